"""The daemon under a real systemd: units, journal, cgroups, sandbox."""
import hashlib
import hmac
import json
import os
import re
import sys
import time

import pytest
from container import TOP, wait_for
from scene import CONFIG, SECRET

pytestmark = pytest.mark.timeout(60)


def kind(name):
    with open(os.path.join(TOP, "src/io/log_kinds.h")) as f:
        return re.search(rf'X\({name}, \w+, "([0-9a-f]+)"\)', f.read()).group(1)


def send(container, source, id, secret=SECRET):
    """(status, body) of one callback, sent by curl inside."""
    body = json.dumps({"id": id, "status": "completed"})
    signature = hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()
    done = container.run(
        "curl", "-sS", "-m", "15", "-w", "\n%{http_code}", "-H", f"X-Signature: sha256={signature}",
        "--data-binary", "@-", f"http://127.0.0.1:8080/callback/{source}", input=body)
    answer, status = done.stdout.rsplit("\n", 1)
    return int(status), answer


def state_lines(container, name):
    try:
        with open(container.path("/var/lib/callbackd/" + name)) as f:
            return f.read().split()
    except FileNotFoundError:
        return []


def sleepers(container, *seconds):
    return {pid for pid, command in container.processes().items()
            if command in [f"/bin/sleep {s}" for s in seconds]}


def main_pid(container):
    return int(container.show("callbackd.service", "MainPID"))


# The first test may have to make the container's root.
@pytest.mark.timeout(240)
def test_the_journal_tells_one_jobs_story(service):
    assert send(service, "demo", "story-1") == (200, "{}")
    assert send(service, "demo", "story-2", secret="another")[0] == 401
    wait_for("the hook", lambda: "story-1" in state_lines(service, "published"))

    def whole():
        records = service.journal("CALLBACK_ID=story-1")
        return records if kind("LOG_RUN_DONE") in [r.get("MESSAGE_ID") for r in records] else None

    records = wait_for("the end of the story", whole)
    kinds = [r.get("MESSAGE_ID") for r in records]
    for name in ("LOG_CALLBACK", "LOG_RUN_STARTED", "LOG_HOOK_OUTPUT", "LOG_RUN_DONE"):
        assert kinds.count(kind(name)) == 1, name
    assert kinds.index(kind("LOG_CALLBACK")) < kinds.index(kind("LOG_RUN_STARTED"))
    for r in records:
        assert r["CALLBACK_SOURCE"] == "demo"
    ran = [r for r in records if r["MESSAGE_ID"] in (kind("LOG_RUN_STARTED"), kind("LOG_RUN_DONE"))]
    assert {r["CALLBACK_HOOK"] for r in ran} == {"publish"}
    assert len({r["CALLBACK_RUN"] for r in ran}) == 1
    assert {r["CALLBACK_ATTEMPT"] for r in ran} == {"1"}
    # The hook's own words stand under the hook's name.
    output = service.journal("-t", "publish")
    assert [r["MESSAGE"] for r in output if r.get("CALLBACK_ID") == "story-1"] == ["publishing story-1"]
    # What did not verify has left no job, and no hook ran for it.
    assert "story-2" not in state_lines(service, "published")
    explained = service.run("journalctl", "-x", "--no-pager", "CALLBACK_ID=story-1").stdout
    assert "Subject: A callback came in" in explained


def examples(section):
    """The commands of callbackd-journal(7) that stand in one of its sections, as a shell takes them."""
    with open(os.path.join(TOP, "man/callbackd-journal.7")) as f:
        text = re.search(rf"^\.S[sh] {section}\n(.*?)(?=^\.S[sh] )", f.read(), re.M | re.S)[1]
    lines = [l[4:] if l.startswith(".Dl ") else l for l in text.splitlines()
             if l.startswith((".Dl ", "journalctl"))]
    return [l for l in lines if l.startswith("journalctl")]


def test_the_manuals_examples_say_what_it_says(service):
    """callbackd-journal(7), with the names of this scene in place of its own."""
    assert send(service, "demo", "example-1") == (200, "{}")
    assert send(service, "failing", "example-2") == (200, "{}")
    assert send(service, "demo", "example-3", secret="another")[0] == 401
    dead = wait_for("a dead run", lambda: service.journal(
        "CALLBACK_ID=example-2", "MESSAGE_ID=" + kind("LOG_RUN_DEAD")))[0]
    done = wait_for("the end of a run", lambda: service.journal(
        "CALLBACK_ID=example-1", "MESSAGE_ID=" + kind("LOG_RUN_DONE")))[0]
    # Every field of the contract, on those records that have it.
    assert {k: done[k] for k in done if k.startswith("CALLBACK_") and k != "CALLBACK_RUN"} == {
        "CALLBACK_SOURCE": "demo", "CALLBACK_ID": "example-1", "CALLBACK_STATUS": "completed",
        "CALLBACK_OUTCOME": "success", "CALLBACK_HOOK": "publish", "CALLBACK_ATTEMPT": "1"}
    assert done["EXIT_STATUS"] == "0" and int(done["DURATION_USEC"]) > 0 and done["PRIORITY"] == "6"
    assert dead["EXIT_STATUS"] == "3" and dead["PRIORITY"] == "3"
    (came,) = service.journal("CALLBACK_ID=example-1", "MESSAGE_ID=" + kind("LOG_CALLBACK"))
    assert came["REMOTE_ADDR"] == "127.0.0.1" and came["SYSLOG_IDENTIFIER"] == "callbackd"

    def run(example, *swaps):
        for old, new in swaps:
            assert old in example, example
            example = example.replace(old, new)
        return service.run("sh", "-c", example.replace("journalctl", "journalctl --no-pager -q", 1)).stdout

    job = [("017f22e2", "example-1")]
    story, explained, of_source, follow, as_json = examples("Follow one job")
    for example in (story, of_source, as_json):
        more = [("eachlabs", "demo")] if "eachlabs" in example else []
        out = run(example, *job, *more)
        assert "example-1" in out and "publishing example-1" in out and "example-2" not in out, example
    assert all(json.loads(l)["CALLBACK_ID"] == "example-1" for l in run(as_json, *job).splitlines())
    assert "Subject: A callback came in" in run(explained, *job)
    assert follow.startswith("journalctl -f ")

    output, errors, hook, one_run, attempt = examples("Follow one hook")
    assert "publishing example-1" in run(output)
    assert "publishing" not in run(errors)
    assert "failing badly" in run(errors, ("publish", "failing"))
    assert "Hook publish is done" in run(hook, ("-f ", ""))
    run_id = ("7xk2m9qd-4711", dead["CALLBACK_RUN"])
    assert "attempt 1" in run(one_run, run_id) and "attempt 2" in run(one_run, run_id)
    assert "(attempt 1)" not in run(attempt, run_id) and "dead after attempt 2" in run(attempt, run_id)

    look, act, failed, died, status, refused, address = examples("All failures")
    assert "attempt 1 of 2" in run(look) and "is dead" in run(look)
    assert "is dead" in run(act) and "attempt 1 of 2" not in run(act)
    assert "callbackctl replay" in run(act) and "Subject: " in run(act)
    assert "Hook failing is dead" in run(died)
    assert "attempt 1 of 2" in run(failed) and "is dead" not in run(failed)
    assert "failing" in run(status, ("publish", "failing")) and not run(status)
    assert "Refused a callback for demo" in run(refused)
    assert "Refused a callback for demo" in run(address, ("192.0.2.7", "127.0.0.1")) and not run(address)
    alert = examples("ALERTS")[0].partition(" | ")[0]
    assert json.loads(run(alert, ("-f ", "")).splitlines()[-1])["PRIORITY"] <= "3"


def test_the_unit_is_as_it_says(service):
    assert service.show("callbackd.service", "ActiveState") == "active"
    assert service.show("callbackd.service", "User") == "callbackd"
    assert service.show("callbackd.service", "StatusText") != ""
    state = os.stat(service.path("/var/lib/callbackd"))
    assert oct(state.st_mode & 0o777) == "0o700" and state.st_uid != 0
    control = service.run("stat", "-c", "%a %U %G", "/run/callbackd/control.sock").stdout.split()
    assert control == ["660", "callbackd", "callbackd"]
    service.run("systemctl", "reload", "callbackd.service")
    assert service.run("callbackctl", "status").stdout != ""


def test_bad_configuration_waits_for_a_person(service):
    service.write("/etc/callbackd/callbackd.conf", "[Daemon]\nLisen=127.0.0.1:8080\n")
    reload = service.run("systemctl", "reload", "callbackd.service", check=False)
    assert reload.returncode != 0
    assert send(service, "demo", "after-bad-reload") == (200, "{}"), "it keeps what it had"
    service.run("systemctl", "restart", "callbackd.service", check=False)
    wait_for("it to fail", lambda: service.show("callbackd.service", "ActiveState") == "failed")
    assert service.show("callbackd.service", "ExecMainStatus") == "78"
    time.sleep(2)
    assert service.show("callbackd.service", "ActiveState") == "failed", "no restart on 78"
    service.write("/etc/callbackd/callbackd.conf", CONFIG)
    service.run("systemctl", "reset-failed", "callbackd*")
    service.run("systemctl", "start", "callbackd.service")
    assert send(service, "demo", "after-repair") == (200, "{}")


@pytest.mark.timeout(90)
def test_a_journal_that_stands_still_holds_up_nothing(service):
    journald = service.show("systemd-journald.service", "MainPID")
    service.journal("-n", "1")
    load = service.in_network(sys.executable, os.path.join(TOP, "tests/service/load.py"), "8080",
                              "/callback/flood", SECRET, "11", "4")
    service.kill("STOP", journald)
    try:
        stopped = time.monotonic()
        send(service, "chatty", f"talk-{os.getpid()}")
        n = 0
        while time.monotonic() - stopped < 10:
            started = time.monotonic()
            assert send(service, "demo", f"still-{n}") == (200, "{}")
            assert time.monotonic() - started < 3, "an answer waited for the journal"
            wait_for("a hook while the journal stands still",
                     lambda: f"still-{n}" in state_lines(service, "published"), 8)
            n += 1
            time.sleep(0.5)
    finally:
        service.kill("CONT", journald)
    result = json.loads(load.communicate(timeout=30)[0])
    assert set(result["answers"]) == {"200"}, result
    assert result["broken"] == result["refused"] == 0, result
    assert result["slowest"] < 5, result
    # The sum was kept and is said once the journal listens again.
    dropped = wait_for("what was dropped", lambda: service.journal(
        "MESSAGE_ID=" + kind("LOG_RECORDS_DROPPED")), 25)
    assert any(re.search(r"[1-9]\d*", r["MESSAGE"]) for r in dropped)
    # And the journal goes on as before.
    send(service, "demo", "afterwards")
    wait_for("the story afterwards", lambda: service.journal("CALLBACK_ID=afterwards"))


def test_a_timeout_ends_those_too_who_hide(service):
    send(service, "hidden", f"hidden-{time.time()}")
    wait_for("the hook and its child", lambda: len(sleepers(service, 4251, 4252)) == 2)
    wait_for("both to be ended", lambda: not sleepers(service, 4251, 4252), 10)
    assert service.show("callbackd.service", "ActiveState") == "active"


def test_kill_9_leaves_nothing_behind(service):
    for whom in ("daemon", "runner"):
        before = len(state_lines(service, "attempts"))
        id = f"family-{whom}-{time.time()}"
        send(service, "family", id)
        family = wait_for("the hook's children", lambda: (
            lambda found: found if len(found) == 3 else None)(sleepers(service, 4241, 4242, 4243)))
        old = main_pid(service)
        victim = str(old)
        if whom == "runner":
            victim = service.run("sh", "-c", f"cat /proc/{old}/task/*/children").stdout.split()[0]
        service.kill("KILL", victim)
        wait_for(f"the end of what was running ({whom})",
                 lambda: not family & set(service.processes()), 10)
        wait_for("a new daemon", lambda: main_pid(service) not in (0, old), 15)
        wait_for("the second attempt", lambda: len(state_lines(service, "attempts")) >= before + 2, 20)
        assert state_lines(service, "attempts")[before:] == ["1", "2"]
        assert not sleepers(service, 4241, 4242, 4243)
        wait_for("the run's end", lambda: [
            r for r in service.journal(f"CALLBACK_ID={id}", "MESSAGE_ID=" + kind("LOG_RUN_DONE"))])


def test_a_hook_in_a_service_of_its_own(service):
    """The template units: another user, nothing of the daemon's to be seen, a failure retried."""
    service.run("systemctl", "enable", "--now", "callbackd-hook@apart.socket")
    assert service.show("callbackd-hook@apart.service", "ActiveState") == "inactive"
    id = f"apart-{time.time()}"
    assert send(service, "apart", id) == (200, "{}")
    wait_for("the run's end", lambda: service.journal(
        f"CALLBACK_ID={id}", "MESSAGE_ID=" + kind("LOG_RUN_DONE")), 20)
    assert service.show("callbackd-hook@apart.service", "ActiveState") == "active"
    assert service.show("callbackd-hook@apart.service", "DynamicUser") == "yes"
    with open(service.path("/var/lib/private/callbackd-hook/apart/seen")) as f:
        seen = f.read().splitlines()
    body = json.dumps({"id": id, "status": "completed"})
    where = "/var/lib/private/callbackd-hook/apart"
    assert [line.split(" ", 1)[1] for line in seen] == [f"{where} {body} {id} {n}" for n in (1, 2)]
    assert {line.split(" ", 1)[0] for line in seen}.isdisjoint({"root", "callbackd"})
    output = service.journal("-u", "callbackd-hook@apart.service")
    assert f"apart says {id}" in [r["MESSAGE"] for r in output]
    # It may be stopped and started under a daemon that runs.
    service.run("systemctl", "stop", "callbackd-hook@apart.service")
    assert send(service, "apart", id + "-2") == (200, "{}")
    wait_for("the next run's end", lambda: service.journal(
        f"CALLBACK_ID={id}-2", "MESSAGE_ID=" + kind("LOG_RUN_DONE")), 20)
    service.run("systemctl", "disable", "--now", "callbackd-hook@apart.socket")

"""What is dead: listed, shown, replayed by filter and in steps, discarded, told of, followed."""

import json
import os
import re
import signal
import subprocess
import time
from datetime import datetime, timezone

import pytest

from helpers import Daemon, build_directory, until

SOURCES = "[Source s]\nVerify=none\n[Source t]\nVerify=none\n"
FULL = bool(os.environ.get("FULL"))


def hook(name, command, more=""):
    return f"[Hook {name}]\nExec={command}\nRetries=0\nMaxConcurrent=8\n{more}\n"


def send(d, id, source="s"):
    assert d.post(f"/callback/{source}", {"id": id, "status": "completed"}).status == 200


def dead(d, **query):
    text = "".join(f"&{k}={v}" for k, v in query.items())
    return d.runs(f"?state=dead&limit=1000{text}")


def until_dead(d, n, **query):
    return until(lambda: len(dead(d, **query)) >= n and dead(d, **query), timeout=30)


def counts(d):
    return d.control("GET", "/v1/status").json["runs"]


def quiet(d):
    return until(d.is_quiet, timeout=30)


@pytest.fixture
def mendable(tmp_path):
    """A command that fails until `mended` is there, and then notes down for which run it works."""
    script = tmp_path / "work"
    script.write_text(
        f"#!/bin/sh\necho out of $CALLBACK_ID\necho words >&2\ntest -e {tmp_path}/mended || exit 3\n"
        f"echo $CALLBACK_ID $CALLBACK_RUN >>{tmp_path}/worked\n"
    )
    script.chmod(0o700)
    script.parent.joinpath("worked").touch()
    return script


def worked(script):
    return [line.split()[0] for line in (script.parent / "worked").read_text().splitlines()]


def mend(script):
    (script.parent / "mended").touch()


def test_a_dead_run_is_shown_with_its_output(run_daemon, mendable):
    d = run_daemon(SOURCES + hook("h", mendable))
    send(d, "j")
    (run,) = until_dead(d, 1)
    text = d.ctl("show", run["run"]).stdout
    for words in ("s/j", "dead", "exit status  3", "out of j", "words"):
        assert words in text, text
    shown = json.loads(d.ctl("--json", "show", run["run"]).stdout)
    assert (shown["run"], shown["stdout"], shown["stderr"]) == (run["run"], "out of j\n", "words\n")
    table = d.ctl("runs", "--state", "dead").stdout
    assert run["run"] in table and "exit status 3" in table
    gone = d.ctl("show", run["run"][:-1] + "99")
    assert gone.returncode == 66, gone.stderr


def test_all_that_are_dead_are_replayed_once(run_daemon, mendable):
    d = run_daemon(SOURCES + hook("h", mendable))
    for i in range(12):
        send(d, f"j{i}")
    first = until_dead(d, 12)
    dry = d.ctl("replay", "--all", "--dry-run")
    assert (dry.returncode, dry.stdout) == (0, "12 runs would be replayed\n")
    assert worked(mendable) == [] and len(dead(d)) == 12
    mend(mendable)
    answer = d.ctl("replay", "--all")
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "12 runs are replayed\n", "")
    quiet(d)
    assert sorted(worked(mendable)) == sorted(f"j{i}" for i in range(12))
    # They stay listed, and say what became of them; to do it again does nothing.
    again = d.ctl("replay", "--all")
    assert (again.returncode, again.stdout) == (0, "0 runs are replayed\n")
    after = {r["run"]: r for r in dead(d)}
    assert set(after) == {r["run"] for r in first}
    replays = {r["run"]: r["replay_of"] for r in d.runs("?state=done")}
    assert {r["replayed_by"]: r["run"] for r in after.values()} == replays
    assert dead(d, replayed="no") == [] and len(dead(d, replayed="yes")) == 12
    assert "; replayed as" in d.ctl("runs", "--state", "dead").stdout
    # One by its id can be replayed as often as one likes.
    assert d.ctl("replay", first[0]["run"]).returncode == 0
    quiet(d)
    assert len(worked(mendable)) == 13


def test_the_oldest_are_replayed_first_and_a_few_at_a_time(run_daemon, mendable):
    d = run_daemon(SOURCES + hook("h", mendable, "MaxConcurrent=1"))
    for i in range(5):
        send(d, f"j{i}")
        until_dead(d, i + 1)
    mend(mendable)
    assert d.ctl("replay", "--hook", "h", "--limit", 2).stdout == "2 runs are replayed\n"
    quiet(d)
    assert worked(mendable) == ["j0", "j1"]
    lines = d.ctl("--json", "replay", "--state", "dead").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["j2", "j3", "j4"]
    quiet(d)
    assert worked(mendable) == ["j0", "j1", "j2", "j3", "j4"]


def test_filters(run_daemon, mendable):
    d = run_daemon(SOURCES + hook("a", mendable, "Source=s") + hook("b", mendable))
    send(d, "one")
    send(d, "two", "t")
    until_dead(d, 3)
    time.sleep(0.01)
    moment = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    time.sleep(0.01)
    send(d, "three", "t")
    until_dead(d, 4)

    def matching(*filter):
        lines = d.ctl("--json", "replay", "--dry-run", *filter).stdout.splitlines()
        listed = d.ctl("--json", "runs", "--state", "dead", *filter).stdout.splitlines()
        found = sorted((r["hook"], r["id"]) for r in map(json.loads, lines))
        assert found == sorted((r["hook"], r["id"]) for r in map(json.loads, listed))
        return found

    assert matching("--hook", "a") == [("a", "one")]
    assert matching("--source", "t") == [("b", "three"), ("b", "two")]
    assert matching("--hook", "b", "--source", "s") == [("b", "one")]
    assert matching("--since", moment) == [("b", "three")]
    assert matching("--until", moment) == [("a", "one"), ("b", "one"), ("b", "two")]
    assert matching("--hook", "nosuch") == []
    assert len(matching("--since", "1h")) == 4
    # A replay of what is done is asked for by that word.
    mend(mendable)
    assert d.ctl("replay", "--hook", "a").stdout == "1 run is replayed\n"
    quiet(d)
    assert d.ctl("replay", "--state", "done", "--dry-run").stdout == "1 run would be replayed\n"


@pytest.mark.parametrize(
    "words",
    [("replay",), ("discard",), ("replay", "x-1", "--all"), ("replay", "--state", "waiting"),
     ("discard", "--state", "done"), ("replay", "--since", "yesterday"), ("replay", "--limit", "0x", "--all"),
     ("discard", "--replayed", "perhaps"), ("runs", "--after", "1"), ("runs", "--follow", "--state", "gone")],
)  # fmt: skip
def test_usage(run_daemon, mendable, words):
    d = run_daemon(SOURCES + hook("h", mendable))
    send(d, "j")
    until_dead(d, 1)
    answer = d.ctl(*words)
    assert answer.returncode == 2 and answer.stderr and not answer.stdout
    assert dead(d, replayed="no")


def test_the_interface(run_daemon, mendable):
    d = run_daemon(SOURCES + hook("h", mendable))
    for i in range(3):
        send(d, f"j{i}")
    until_dead(d, 3)
    # What was sent by accident sets nothing going.
    for body in (None, {}, {"limit": 5}, {"al": True}, {"all": "yes"}, {"state": 4}, {"all": True, "limit": 0},
                 {"all": True, "after": "x"}, {"all": True, "dry_run": "no"}):
        assert d.control("POST", "/v1/runs/replay", body).status == 400, body
    assert d.control("GET", "/v1/runs/replay").status == 404
    assert dead(d, replayed="yes") == []
    page = d.control("POST", "/v1/runs/replay", {"hook": "h", "limit": 2}).json
    assert [r["id"] for r in page["runs"]] == ["j0", "j1"] and page["passed_over"] == 0
    assert {"run", "hook", "source", "id", "replay_of"} == page["runs"][0].keys()
    page = d.control("POST", "/v1/runs/replay", {"hook": "h", "limit": 2, "after": page["next"]}).json
    assert [r["id"] for r in page["runs"]] == ["j2"] and page["next"] is None


def test_discard_with_a_reason(run_daemon, mendable):
    d = run_daemon(SOURCES + hook("h", mendable) + hook("keep", mendable, "Source=t"))
    for i in range(3):
        send(d, f"j{i}")
    send(d, "kept", "t")
    until_dead(d, 5)
    assert d.ctl("discard", "--hook", "h", "--dry-run").stdout == "4 runs would be discarded\n"
    assert d.ctl("discard", "--hook", "h", "--source", "s", "--reason", "a known outage").returncode == 0
    assert sorted(r["hook"] for r in dead(d)) == ["h", "keep"]
    gone = d.runs("?state=done")
    assert {r["reason"] for r in gone} == {"discarded: a known outage"} and len(gone) == 3
    assert "out of j" in d.ctl("show", gone[0]["run"]).stdout
    assert d.ctl("discard", "--all").stdout == "2 runs are discarded\n"
    assert counts(d)["dead"] == 0
    assert d.stderr.count("discarded: a known outage, by request") == 3
    assert re.search(r"discarded: a known outage, by request \[s/j0 h ", d.stderr), "not in its job's story"


def test_what_has_no_hook_is_left_alone(run_daemon, mendable):
    """A replay of it would only be dead once more."""
    d = run_daemon(SOURCES + hook("h", mendable) + hook("gone", mendable))
    send(d, "j")
    until_dead(d, 2)
    d.configure(SOURCES + hook("h", mendable))
    assert d.ctl("reload").returncode == 0
    mend(mendable)
    answer = d.ctl("replay", "--all")
    assert (answer.returncode, answer.stdout) == (0, "1 run is replayed\n")
    assert "1 run is left as they are" in answer.stderr or "hook is not configured" in answer.stderr
    quiet(d)
    assert worked(mendable) == ["j"] and len(dead(d)) == 2


@pytest.mark.timeout(120)
def test_a_replay_of_many_is_interrupted_and_begun_anew(run_daemon, mendable):
    """Killed in the middle, tool and daemon: in the end every run was replayed once."""
    n = 20000 if FULL else 2000
    d = run_daemon(SOURCES + hook("h", mendable), daemon="LogLevel=err")
    send(d, "seed")
    (seed,) = until_dead(d, 1)
    assert d.stop() == 0
    multiply(d, seed["run"], n)
    d.start()
    assert counts(d)["dead"] == n + 1
    tool = subprocess.Popen(
        [build_directory() / "callbackctl", "-s", d.control_socket, "--json", "replay", "--all"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    told = [json.loads(tool.stdout.readline())["replay_of"]]
    tool.kill()
    d.kill9()
    told += [json.loads(line)["replay_of"] for line in tool.stdout if line.endswith("\n")]
    tool.wait()
    mend(mendable)
    d.start()
    listed = d.ctl("--json", "runs", "--state", "dead", "--replayed", "yes", "--limit", 2 * n).stdout
    begun = len(listed.splitlines())
    # What was told of is committed.
    assert begun >= len(told)
    assert d.ctl("replay", "--all", timeout=60).returncode == 0
    assert d.ctl("replay", "--all").stdout == "0 runs are replayed\n"
    until(d.is_quiet, timeout=100)
    again = worked(mendable)
    assert len(set(again)) == n + 1
    runs = [line.split()[1] for line in (mendable.parent / "worked").read_text().splitlines()]
    # A process may have been started twice where the daemon died under it; a run was made once.
    assert len(set(runs)) == n + 1


def multiply(d, run, n):
    """n more dead runs, each of a job of its own, as if they had died like this one."""
    import sqlite3

    db = sqlite3.connect(d.state + "/callbackd.db")
    number = int(run.split("-")[1])

    def copy(table, id, changes):
        names = [c[1] for c in db.execute(f"PRAGMA table_info({table})")]
        columns = ", ".join(changes.get(c, c) for c in names)
        db.execute(
            f"WITH RECURSIVE more(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM more WHERE i < {n}) "
            f"INSERT INTO {table} SELECT {columns} FROM {table}, more WHERE number = {id}"
        )

    job, callback = db.execute("SELECT job, callback FROM run WHERE number = ?", (number,)).fetchone()
    copy("job", job, {"number": f"{job} + i", "id": "'copy-' || i", "callback": f"{callback} + i",
                      "latest": f"{callback} + i"})  # fmt: skip
    copy("callback", callback, {"number": f"{callback} + i", "job": f"{job} + i"})
    copy("run", number, {"number": f"{number} + i", "job": f"{job} + i", "callback": f"{callback} + i"})
    db.commit()
    db.close()


def test_a_death_is_told_once_and_no_two_tell_each_other_for_ever(run_daemon, tmp_path):
    note = tmp_path / "note"
    note.write_text(f"#!/bin/sh\necho $CALLBACK_HOOK $CALLBACK_RUN >>{tmp_path}/notes\nexit 1\n")
    note.chmod(0o700)
    d = run_daemon(
        SOURCES + hook("bad", "/bin/false") + hook("tell", note, "On=dead") + hook("also", note, "On=dead")
    )
    send(d, "j")
    # bad dies; both are told of it; each is told of the other's death, and there it ends.
    until_dead(d, 5)
    quiet(d)
    notes = [line.split()[0] for line in (tmp_path / "notes").read_text().splitlines()]
    assert sorted(notes) == ["also", "also", "tell", "tell"]
    assert len(dead(d)) == 5
    runs = {r["run"]: r for r in dead(d)}

    def chain(run):
        return [run["hook"]] + (chain(runs[run["dead_of"]]) if run["dead_of"] else [])

    assert sorted(chain(r) for r in runs.values()) == [
        ["also", "bad"], ["also", "tell", "bad"], ["bad"], ["tell", "also", "bad"], ["tell", "bad"],
    ]  # fmt: skip
    # A replay of one who told dies again: its own hook is in the chain still.
    (told,) = [r for r in runs.values() if chain(r) == ["also", "tell", "bad"]]
    assert d.ctl("replay", told["run"]).returncode == 0
    until_dead(d, 6)
    quiet(d)
    assert len(dead(d)) == 6


def test_what_a_hook_that_is_told_gets(run_daemon, recorder):
    d = run_daemon(SOURCES + hook("bad", "/bin/false") + hook("tell", recorder.exec, "On=dead"))
    d.post("/callback/s", {"id": "j", "status": "completed", "more": [1, 2]})
    (run,) = recorder.wait(1)
    assert json.loads(run.payload) == {"id": "j", "status": "completed", "more": [1, 2]}
    assert (run.HOOK, run.SOURCE, run.ID, run.STATUS, run.OUTCOME) == ("tell", "s", "j", "completed", "success")
    # Which run died, and why: the daemon is asked by the run's own id, as the manual says.
    told = json.loads(d.ctl("--json", "show", run.RUN).stdout)
    died = json.loads(d.ctl("--json", "show", told["dead_of"]).stdout)
    assert (died["hook"], died["state"], died["reason"]) == ("bad", "dead", "exit status 1")


def test_a_hook_that_is_gone_is_told_by_job_and_by_source(run_daemon, recorder):
    config = SOURCES + hook("tell", recorder.exec, "On=dead\nSource=t") + hook("all", recorder.exec, "On=dead")
    gone = hook("gone", "/bin/false").replace("Retries=0", "Retries=3\nRetryDelay=1h\nRetryDelayMax=1h")
    d = run_daemon(config + gone)
    send(d, "one")
    send(d, "two", "t")
    until(lambda: [r["attempt"] for r in d.runs("?state=waiting")] == [1, 1])
    d.configure(config)
    assert d.ctl("reload").returncode == 0
    told = recorder.wait(3)
    assert sorted((r.HOOK, r.ID) for r in told) == [("all", "one"), ("all", "two"), ("tell", "two")]
    for id, source in (("one", "s"), ("two", "t")):
        story = rf"no such hook; replay it with: .* \[{source}/{id} gone "
        until(lambda story=story: re.search(story, d.stderr))
    until(lambda: "Hook gone is not configured any more; its 2 waiting runs are dead" in d.stderr)
    assert d.stop() == 0
    assert len(recorder.all()) == 3


def test_however_many_wait_for_a_hook_that_is_gone(run_daemon, mendable):
    n = 1200  # more than die at a time
    d = run_daemon(SOURCES + hook("h", mendable).replace("Retries=0", "RetryDelay=1h\nRetryDelayMax=1h"))
    send(d, "seed")
    (seed,) = until(lambda: [r for r in d.runs("?state=waiting") if r["attempt"] == 1])
    assert d.stop() == 0
    multiply(d, seed["run"], n)
    d.configure(SOURCES)
    d.start()
    until(lambda: counts(d)["dead"] == n + 1)
    until(lambda: f"Hook h is not configured any more; its {n + 1} waiting runs are dead" in d.stderr)


class Follower:
    """callbackctl runs --follow, line by line."""

    def __init__(self, d, *options, json=True):
        words = [build_directory() / "callbackctl", "-s", d.control_socket] + ["--json"] * json
        self.process = subprocess.Popen(
            [*words, "runs", "--follow", *map(str, options)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        # It hears of what comes after it was let in; that is counted.
        until(lambda: d.control("GET", "/v1/status").json["waiting_clients"] >= 1)

    def line(self):
        return self.process.stdout.readline()

    def change(self):
        return json.loads(self.line())

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=15)
        return self.process.returncode, out, err

    def close(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def follow(request):
    made = []

    def make(d, *options, **more):
        made.append(Follower(d, *options, **more))
        return made[-1]

    yield make
    for f in made:
        f.close()


def test_runs_are_followed(run_daemon, mendable, follow):
    d = run_daemon(SOURCES + hook("h", mendable) + hook("other", "/bin/true"))
    f = follow(d, "--hook", "h")
    send(d, "j")
    seen = [f.change()]
    while seen[-1]["run"]["state"] != "dead":
        seen.append(f.change())
    # Waiting first, where the daemon was not that quick; each once, and of this hook alone.
    assert [c["run"]["state"] for c in seen] in (["running", "dead"], ["waiting", "running", "dead"])
    assert {c["run"]["hook"] for c in seen} == {"h"}
    assert seen[0]["seq"] < seen[-1]["seq"]
    # Where it was left, a next one goes on: nothing twice, nothing missed.
    send(d, "k")
    until_dead(d, 2)
    g = follow(d, "--state", "dead", "--after", seen[-1]["seq"])
    change = g.change()
    assert (change["run"]["id"], change["run"]["state"]) == ("k", "dead")


def test_following_for_people_ends_by_ctrl_c(run_daemon, mendable, follow):
    d = run_daemon(SOURCES + hook("h", mendable))
    f = follow(d, "--state", "dead", json=False)
    send(d, "j")
    line = f.line()
    (run,) = dead(d)
    for words in (run["run"], " h ", "s/j", "dead", "exit 3", "exit status 3"):
        assert words in line, line
    status, rest, told = f.interrupt()
    assert status == -signal.SIGINT and rest == ""
    seq = re.search(r"--follow --after (\d+)\n", told).group(1)
    send(d, "k")
    g = follow(d, "--state", "dead", "--after", seq, json=False)
    assert "s/k" in g.line()


def test_a_follower_outlives_the_daemon(run_daemon, mendable, follow):
    d = run_daemon(SOURCES + hook("h", mendable))
    f = follow(d, "--state", "dead")
    send(d, "j")
    assert f.change()["run"]["id"] == "j"
    d.restart()
    send(d, "k")
    assert f.change()["run"]["id"] == "k"
    d.kill9()
    d.start()
    send(d, "l")
    assert f.change()["run"]["id"] == "l"

"""What goes wrong around the daemon or within it, and that it comes back by itself."""
import json
import os
import platform
import re
import subprocess
import sys
import time

import pytest
from container import TOP, wait_for
from scene import CONFIG, SECRET
from test_service import kind, main_pid, send, state_lines
from test_zero import assert_no_request_failed, assert_nothing_lost, under_load

FULL = bool(os.environ.get("FULL"))
pytestmark = pytest.mark.timeout(300 if FULL else 90)
DROP_IN = "/etc/systemd/system/callbackd.service.d/test.conf"
WATCHDOG_SECONDS = 2


def pid_here(service, pid):
    """The number that a process of the container has for us."""
    for here in service.processes():
        with open(f"/proc/{here}/status") as f:
            numbers = next(line for line in f if line.startswith("NSpid:")).split()[1:]
        if numbers == [str(here), str(pid)]:
            return here
    raise AssertionError(f"no process {pid} in the container")


def thread(pid, name):
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/comm") as f:
            if f.read().strip() == name:
                return tid
    raise AssertionError(f"no thread {name}")


def stall(pid, tid):
    done = subprocess.run([sys.executable, os.path.join(TOP, "tests/service/stall.py"), str(pid),
                           str(tid)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def watched(service):
    service.write(DROP_IN, f"[Service]\nWatchdogSec={WATCHDOG_SECONDS}\n")
    service.run("systemctl", "daemon-reload")
    service.run("systemctl", "restart", "callbackd.service", timeout=30)
    yield service
    os.unlink(service.path(DROP_IN))
    service.run("systemctl", "daemon-reload")
    service.run("systemctl", "restart", "callbackd.service", timeout=30)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="stall.py knows x86-64 alone")
@pytest.mark.parametrize("whom", ["loop", "writer", *(["runner", "all"] if FULL else [])])
def test_the_watchdog_ends_what_hangs(watched, whom):
    old = main_pid(watched)
    here = pid_here(watched, old)
    id = f"hangs-{whom}-{time.time()}"
    assert send(watched, "demo", id) == (200, "{}")
    before = len(watched.journal("-u", "callbackd.service", "UNIT_RESULT=watchdog"))
    if whom == "loop":
        stall(here, here)
    elif whom == "writer":
        stall(here, thread(here, "store"))
    elif whom == "runner":
        watched.kill("STOP", watched.run(
            "sh", "-c", f"cat /proc/{old}/task/*/children").stdout.split()[0])
    else:
        watched.kill("STOP", old)
    stalled = time.monotonic()
    wait_for("a new daemon", lambda: main_pid(watched) not in (0, old), 30)
    if FULL:
        assert time.monotonic() - stalled < 2 * WATCHDOG_SECONDS + 4
    assert send(watched, "demo", id + "-after") == (200, "{}")
    wait_for("both hooks", lambda: {id, id + "-after"} <= set(state_lines(watched, "published")))
    wait_for("the reason", lambda: len(watched.journal(
        "-u", "callbackd.service", "UNIT_RESULT=watchdog")) == before + 1)


WAITS = """
[Source waits]
Verify=hmac
SecretFile=demo.secret
SignaturePrefix=sha256=
[Hook waits]
Source=waits
Exec=/usr/local/bin/waits
WorkingDirectory=/run/callbackd
"""
# It waits for the file that bears its job's id.
WAITS_HOOK = """#!/bin/sh
echo "$CALLBACK_ID begin $CALLBACK_ATTEMPT" >>waits
while [ ! -e "$CALLBACK_ID" ]; do sleep 0.05; done
echo "$CALLBACK_ID end $CALLBACK_ATTEMPT" >>waits
"""
STATE = "/var/lib/callbackd"


@pytest.fixture
def small_disk(service):
    """small_disk(lines of [Daemon]): the service on an empty state directory of 16 MiB."""

    def restart_with(config, mount):
        service.run("systemctl", "stop", "callbackd.service", "callbackd.socket", timeout=60)
        service.run(*mount)
        service.write("/etc/callbackd/callbackd.conf", config)
        service.run("systemctl", "start", "callbackd.service", timeout=30)

    def begin(daemon):
        service.write("/usr/local/bin/waits", WAITS_HOOK, 0o755)
        restart_with(CONFIG.replace("[Daemon]\n", "[Daemon]\n" + daemon, 1) + WAITS,
                     ["mount", "-t", "tmpfs", "-o", "size=16M", "small", STATE])
        return service

    yield begin
    restart_with(CONFIG, ["umount", STATE])


def waits_lines(service):
    return service.run("cat", "/run/callbackd/waits", check=False).stdout.splitlines()


def run_of(service, id):
    return json.loads(service.run("callbackctl", "--json", "show", f"waits/{id}").stdout)["runs"][0]


@pytest.mark.parametrize("how", ["low", "full"])
def test_a_full_disk(small_disk, how):
    service = small_disk("MinFreeBytes=4M\n" if how == "low" else "MinFreeBytes=0\n")
    id = f"{how}-{time.time()}"
    taken = []

    def status():
        id = f"{how}-{time.time()}"
        answer = send(service, "flood", id)[0]
        if answer == 200:
            taken.append(id)
        return answer

    assert send(service, "waits", id) == (200, "{}")
    wait_for("the hook", lambda: f"{id} begin 1" in waits_lines(service))
    pid = main_pid(service)
    # All but 2 MiB, or all.
    service.run("sh", "-c", f"cd {STATE}; free=$(df -k --output=avail . | tail -1); exec head -c "
                f"$(( free - {2048 if how == 'low' else -64} ))K /dev/zero >balloon", check=False)
    wait_for("a 503", lambda: status() == 503, 30)
    # A hook that ends meanwhile: with some room left that is written down, without it is kept.
    service.run("touch", f"/run/callbackd/{id}")
    wait_for("its end", lambda: f"{id} end 1" in waits_lines(service))
    if how == "low":
        wait_for("the run's end", lambda: run_of(service, id)["state"] == "done")
    assert status() == 503
    health = service.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                         "http://127.0.0.1:8080/healthz").stdout
    assert health == "503"
    assert main_pid(service) == pid, "it lives"
    service.run("rm", f"{STATE}/balloon")
    wait_for("a 200 with space again", lambda: status() == 200, 5 if FULL else 15)
    wait_for("the run's end", lambda: run_of(service, id)["state"] == "done")
    assert waits_lines(service)[-2:] == [f"{id} begin 1", f"{id} end 1"], "it ran once"
    assert main_pid(service) == pid
    listed = service.run("callbackctl", "--json", "list", "--source=flood", "--limit=100000").stdout
    assert set(taken) <= {json.loads(line)["id"] for line in listed.splitlines()}
    for name in "LOG_STORE_FULL", "LOG_STORE_RESUMED":
        assert service.journal(f"_PID={pid}", "MESSAGE_ID=" + kind(name)), name


def test_the_journal_restarts(service, tmp_path):
    pid = main_pid(service)
    with under_load(service, tmp_path) as load:
        for _ in range(5 if FULL else 1):
            service.run("systemctl", "restart", "systemd-journald.service")
            time.sleep(0.5)
    assert_no_request_failed(service, load)
    assert_nothing_lost(service, load)
    id = f"journal-{time.time()}"
    assert send(service, "demo", id) == (200, "{}")
    wait_for("the story", lambda: service.journal(
        f"CALLBACK_ID={id}", "MESSAGE_ID=" + kind("LOG_RUN_DONE")))
    assert main_pid(service) == pid


def log_dropped(service):
    return json.loads(service.run("callbackctl", "--json", "status").stdout)["log_dropped"]


def test_a_journal_that_is_gone(service, tmp_path):
    units = ["systemd-journald.service", *(f"systemd-journald{s}.socket"
                                          for s in ("", "-dev-log", "-audit"))]
    pid, before, begin = main_pid(service), log_dropped(service), time.time()
    service.run("systemctl", "stop", *units)
    try:
        ids = {f"no-journal-{n}-{begin}" for n in range(3)}
        for id in ids:
            assert send(service, "demo", id) == (200, "{}")
        wait_for("the hooks", lambda: ids <= set(state_lines(service, "published")))
        # Taken, started, a line of output, done.
        wait_for("all to be counted", lambda: log_dropped(service) >= before + 4 * len(ids))
        with under_load(service, tmp_path) as load:
            time.sleep(5 if FULL else 0.5)
    finally:
        service.run("systemctl", "start", *units)
    assert_no_request_failed(service, load)
    assert_nothing_lost(service, load)
    # Others speak of too many lines in a second.
    wait_for("what was dropped", lambda: [r for r in service.journal(
        f"_PID={pid}", "MESSAGE_ID=" + kind("LOG_RECORDS_DROPPED"), f"--since=@{begin:.0f}")
        if re.match(r"[1-9]\d* log records? left out", r["MESSAGE"])], 20)
    id = f"journal-again-{time.time()}"
    assert send(service, "demo", id) == (200, "{}")
    wait_for("the story", lambda: service.journal(
        f"CALLBACK_ID={id}", "MESSAGE_ID=" + kind("LOG_RUN_DONE")))
    assert main_pid(service) == pid

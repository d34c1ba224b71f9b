"""
The life of runs under blows: the daemon killed again and again, trees that will not die, floods of output, what
a child inherits, and a runner that hangs. Short here; FULL=1 has the numbers that are promised.
"""

import json
import os
import pwd
import random
import re
import resource
import signal
import subprocess
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from helpers import until

FULL = bool(os.environ.get("FULL"))
SLOW = 3 if os.environ.get("SAN") else 1
SOURCE = "[Source s]\nVerify=none\n"


def send(d, id):
    assert d.post("/callback/s", {"id": id, "status": "completed"}).status == 200


def counts(d):
    return d.control("GET", "/v1/status").json["runs"]


def quiet(d, timeout=30):
    until(d.is_quiet, timeout, "waiting and running runs")


def all_runs(d):
    lines = d.ctl("--json", "runs", "--limit", 1000000, timeout=60).stdout.splitlines()
    return [json.loads(line) for line in lines]


def usec(text):
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1e6)


def environment_of(pid):
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def processes_of(prefix):
    """Pids of processes whose run id begins so."""
    wanted = f"CALLBACK_RUN={prefix}".encode()
    return [
        int(p.name) for p in Path("/proc").iterdir()
        if p.name.isdigit() and any(e.startswith(wanted) for e in environment_of(p.name))
    ]  # fmt: skip


def runner_of(d):
    return int(Path(f"/proc/{d.process.pid}/task/{d.process.pid}/children").read_text().split()[0])


def memory(pid):
    return int(re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1)) * 1024


# ---- Killed again and again


@pytest.mark.timeout(900)
def test_killed_while_hooks_run(run_daemon, tmp_path):
    """Every callback has one end, attempts are exact, nobody is left over."""
    rounds = 200 if FULL else 10
    script = tmp_path / "work"
    # One write, a line at once: what it notes down is what was started.
    script.write_text(
        f"#!/bin/sh\necho $CALLBACK_RUN $CALLBACK_ATTEMPT >>{tmp_path}/starts\n"
        "(setsid sleep 300 &) >/dev/null 2>&1\n"
        f"sleep 0.$(($$ % 3))$(($$ % 10))\necho $CALLBACK_RUN >>{tmp_path}/ends\nexit $(($$ % 4 == 0))\n"
    )
    script.chmod(0o700)
    (tmp_path / "starts").touch()
    d = run_daemon(
        SOURCE + f"[Hook h]\nExec={script}\nRetries=50\nRetryDelay=20ms\nRetryDelayMax=100ms\nMaxConcurrent=4\n"
    )
    chance = random.Random(5)
    accepted, kills, slowest = [], 0, 0.0
    for n in range(rounds):
        for k in range(chance.randrange(1, 4)):
            send(d, f"j{n}-{k}")
            accepted.append(f"j{n}-{k}")
        time.sleep(chance.uniform(0.02, 0.3))
        d.kill9()
        kills += 1
        before = int(time.time() * 1e6)
        d.start()
        ready = time.monotonic()
        # What runs was started by this life: the rest was put back before it was ready.
        for run in d.runs("?state=running"):
            assert usec(run["started"]) >= before, run
        if d.runs("?state=waiting"):
            begun = len((tmp_path / "starts").read_bytes())
            until(lambda: len((tmp_path / "starts").read_bytes()) > begun or not d.runs("?state=waiting"))
            slowest = max(slowest, time.monotonic() - ready)
    quiet(d, timeout=120)
    print(f"{kills} kills, {len(accepted)} callbacks, first start after READY at most {slowest * 1000:.0f} ms")
    assert slowest < (1 if FULL else 5)

    runs = all_runs(d)
    assert sorted(r["id"] for r in runs) == sorted(accepted), "a run a callback, and no other"
    assert {r["state"] for r in runs} <= {"done", "dead"}
    started = {}
    for line in (tmp_path / "starts").read_text().splitlines():
        run, attempt = line.split()
        started.setdefault(run, []).append(int(attempt))
    unseen = 0
    for r in runs:
        attempts = started[r["run"]]
        assert len(attempts) == len(set(attempts)), f"{r['run']}: two processes of one attempt: {attempts}"
        assert attempts == sorted(attempts) and attempts[-1] == r["attempt"], (r, attempts)
        # Counted before it is made, an attempt may have died with the daemon before it was a process.
        unseen += r["attempt"] - len(attempts)
    assert unseen <= kills * 4
    print(f"{sum(map(len, started.values()))} processes, {unseen} attempts that died before they were one")
    ends = (tmp_path / "ends").read_text().split()
    assert {r["run"] for r in runs if r["state"] == "done"} <= set(ends)
    name = runs[0]["run"].split("-")[0]
    # A background child of a run that ended well may live as long as the daemon, and no longer.
    assert d.stop() == 0
    until(lambda: processes_of(name + "-") == [])


def test_daemon_and_runner_killed_at_once(run_daemon, tmp_path):
    """Who then lives on, in the background and with nobody above him, is ended by the next start."""
    script = tmp_path / "work"
    script.write_text(
        "#!/bin/sh\n[ $CALLBACK_ATTEMPT = 1 ] || exit 0\n(setsid sleep 1000 &) >/dev/null 2>&1\nexec sleep 1000\n"
    )
    script.chmod(0o700)
    d = run_daemon(SOURCE + f"[Hook h]\nExec={script}\n")
    send(d, "j")
    name = d.runs()[0]["run"]
    until(lambda: len(processes_of(name)) == 2)
    runner = runner_of(d)
    d.signal(signal.SIGSTOP)  # so that it does not see its runner die
    os.kill(runner, signal.SIGKILL)
    d.kill9()
    until(lambda: len(processes_of(name)) == 1)
    d.start()
    until(lambda: processes_of(name) == [])
    until(lambda: [r["state"] for r in d.runs()] == ["done"])
    until(lambda: "1 processes that a former life of this daemon had left were ended" in d.stderr)


def test_recovery_is_at_once(run_daemon, tmp_path):
    d = run_daemon(
        SOURCE + f"[Hook h]\nExec=/bin/sh -c 'echo >>{tmp_path}/starts; exec sleep 100'\nRetryDelay=1h\n"
        "RetryDelayMax=1h\nMaxConcurrent=8\n",
        daemon="StopTimeout=0",
    )
    for i in range(8):
        send(d, f"j{i}")
    until(lambda: (tmp_path / "starts").exists() and len((tmp_path / "starts").read_text()) == 8)
    d.kill9()
    d.start()
    ready = time.monotonic()
    until(lambda: len((tmp_path / "starts").read_text()) == 16)
    assert time.monotonic() - ready < (1 if FULL else 8)
    assert {(r["state"], r["attempt"]) for r in d.runs()} == {("running", 2)}


def test_exit_75_is_no_alarm(run_daemon, tmp_path):
    """EX_TEMPFAIL is an ordinary retry, told at info level; any other failure is a warning."""
    script = tmp_path / "work"
    script.write_text("#!/bin/sh\n[ $CALLBACK_ATTEMPT = 1 ] && exit 75\n[ $CALLBACK_ATTEMPT = 2 ] && exit 3\nexit 0\n")
    script.chmod(0o700)
    config = SOURCE + f"[Hook h]\nExec={script}\nRetryDelay=10ms\n"
    d = run_daemon(config, daemon="LogLevel=notice")
    send(d, "j")
    until(lambda: [r["state"] for r in d.runs()] == ["done"])
    assert "exit status 3; again in" in d.stderr and "exit status 75" not in d.stderr
    d.configure(config)
    assert d.ctl("reload").returncode == 0
    send(d, "k")
    until(lambda: {r["state"] for r in d.runs()} == {"done"})
    assert "exit status 75; again in" in d.stderr
    assert {r["attempt"] for r in d.runs()} == {3}


# ---- The whole tree

TREE = """#!/bin/sh
# Double-forked, in sessions of their own, deaf to SIGTERM.
trap '' TERM
(setsid sh -c 'trap "" TERM; (setsid sleep 1000 &); exec sleep 1000' &) >/dev/null 2>&1
(trap '' TERM; exec sleep 1000) &
%s
exec sleep 1000
"""
HIDDEN = "(setsid env -i sleep 1000 &)\n"  # forgets where it is from: only a group still knows


@contextmanager
def delegated_group():
    """A delegated control group with us inside it while the body runs; skips where there is none."""
    with open("/proc/self/mountinfo") as f:
        points = [line.split()[4] for line in f if " - cgroup2 " in line]
    own = [line.strip()[3:] for line in open("/proc/self/cgroup") if line.startswith("0::")]
    if not points or not own:
        pytest.skip("no cgroup v2 here")
    home, group = Path(points[0] + own[0]), Path(points[0] + own[0]) / f"callbackd-test-{os.getpid()}"
    try:
        group.mkdir()
        os.setxattr(group, "user.delegate", b"1")
    except OSError as e:
        if group.exists():
            group.rmdir()
        pytest.skip(f"no control group of our own: {e}")

    def enter(where):
        (where / "cgroup.procs").write_text("0")

    @contextmanager
    def inside():
        enter(group)
        try:
            yield
        finally:
            enter(home)

    try:
        yield group, inside
    finally:
        (group / "cgroup.kill").write_text("1")
        until(lambda: "populated 0" in (group / "cgroup.events").read_text())
        for below in sorted(group.rglob("*"), reverse=True):
            if below.is_dir():
                below.rmdir()
        group.rmdir()


def end_trees(d, n, script, timeout_usec, kill_after_usec):
    """Until all n runs are dead; how long they lived beyond Timeout= and KillAfter=, in usec."""
    for i in range(n):
        send(d, f"j{i}")
    until(lambda: counts(d)["dead"] == n, 60 + n, "trees that end")
    lived = [usec(r["finished"]) - usec(r["started"]) for r in all_runs(d)]
    assert len(lived) == n and min(lived) >= timeout_usec
    assert {r["reason"] for r in all_runs(d)} == {"Timeout= passed"}
    return [each - timeout_usec - kill_after_usec for each in lived]


def tree_config(script, at_once):
    return SOURCE + f"[Hook h]\nExec={script}\nTimeout=500ms\nKillAfter=300ms\nRetries=0\nMaxConcurrent={at_once}\n"


def check_beyond(beyond):
    beyond.sort()
    print(f"beyond the grace: median {beyond[len(beyond) // 2] / 1e3:.0f} ms, longest {beyond[-1] / 1e3:.0f} ms")
    assert beyond[-1] < (1_000_000 if FULL else 10_000_000)


@pytest.mark.timeout(600)
def test_no_tree_outlives_its_timeout(run_daemon, tmp_path):
    script = tmp_path / "tree"
    script.write_text(TREE % "")
    script.chmod(0o700)
    d = run_daemon(tree_config(script, 10), daemon="LogLevel=err")
    send(d, "first")
    name = d.runs()[0]["run"].split("-")[0]
    until(lambda: len(processes_of(name + "-")) >= 4)
    until(lambda: counts(d)["dead"] == 1)
    # A run is dead when the last of its processes is: nothing to wait for.
    assert processes_of(name + "-") == []
    assert d.ctl("forget", "s/first").returncode == 0
    check_beyond(end_trees(d, 1000 if FULL else 40, script, 500_000, 300_000))
    assert processes_of(name + "-") == []


@pytest.mark.timeout(600)
def test_no_tree_outlives_its_timeout_in_its_group(run_daemon, new_daemon, tmp_path):
    script = tmp_path / "tree"
    script.write_text(TREE % HIDDEN)
    script.chmod(0o700)
    with delegated_group() as (group, inside):
        d = new_daemon(tree_config(script, 10), daemon="LogLevel=err")
        with inside():
            d.start()
        check_beyond(end_trees(d, 1000 if FULL else 40, script, 500_000, 300_000))
        # Nobody but daemon and runner, not even who cleared his environment; no group left.
        assert {p.name for p in group.iterdir() if p.is_dir()} == {"daemon"}
        inhabitants = (group / "daemon" / "cgroup.procs").read_text().split()
        assert sorted(map(int, inhabitants)) == sorted([d.process.pid, runner_of(d)])
        assert d.stop() == 0


# ---- Output


def test_lines_come_as_they_are_written(run_daemon, tmp_path):
    script = tmp_path / "talk"
    script.write_text(
        f"#!/bin/sh\necho one\necho two >&2\nwhile [ ! -e {tmp_path}/go ]; do sleep 0.02; done\necho three\n"
    )
    script.chmod(0o700)
    d = run_daemon(SOURCE + f"[Hook talk]\nExec={script}\n")
    send(d, "j")
    until(lambda: "]: one\n" in d.stderr and "]: two\n" in d.stderr)
    assert [r["state"] for r in d.runs()] == ["running"] and "three" not in d.stderr
    (tmp_path / "go").touch()
    until(lambda: "]: three\n" in d.stderr)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("source", ["cat /dev/zero", "yes", "yes $(head -c 60 /dev/zero | tr '\\0' x)"])
def test_a_flood_on_both_streams(run_daemon, tmp_path, source):
    """No stall, no memory; what the journal does not take is counted, the end of it is kept."""
    size = (1 << 30) if FULL else (32 << 20)
    script = tmp_path / "flood"
    script.write_text(
        f"#!/bin/sh\n({source} | head -c {size}; printf 'end of out\\n') &\n"
        f"({source} | head -c {size}; printf 'end of err\\n') >&2 &\nwait\n"
    )
    script.chmod(0o700)
    d = run_daemon(SOURCE + f"[Hook h]\nExec={script}\nTimeout=15min\n[Hook quick]\nOn=error\nExec=/bin/true\n")
    before = memory(d.process.pid)
    begun = time.monotonic()
    send(d, "j")
    most, others, slowest = 0, 0, 0.0
    while True:
        most = max(most, memory(d.process.pid) - before)
        asked = time.monotonic()
        assert d.request("GET", "/healthz").status == 200
        slowest = max(slowest, time.monotonic() - asked)
        others += 1
        if [r["state"] for r in d.runs("?hook=h")] == ["done"]:
            break
    took = time.monotonic() - begun
    print(f"{source[:16]}: 2 x {size >> 20} MiB in {took:.1f} s, RssAnon +{most >> 10} KiB, "
          f"slowest of {others} answers {slowest * 1000:.0f} ms")  # fmt: skip
    assert most < 8 << 20 or SLOW > 1
    (run,) = d.runs("?hook=h")
    run = d.control("GET", f"/v1/runs/{run['run']}").json
    assert (run["state"], run["truncated"], run["exit_status"]) == ("done", True, 0)
    assert len(run["stdout"]) == len(run["stderr"]) == 64 * 1024
    assert run["stdout"].endswith("end of out\n") and run["stderr"].endswith("end of err\n")
    assert d.stop() == 0
    written = d.stderr.count(f"\nh[{run['run']}]: ")
    left_out = sum(map(int, re.findall(r"\nh\[\d+\]: (\d+) lines? of hook h left out", d.stderr)))
    dropped = sum(map(int, re.findall(r": (\d+) log records? left out", d.stderr)))
    assert left_out, "nothing was said of what was left out"
    assert len(d.stderr) < 16e6 + took * 10e6, "that is no limit"
    if source.startswith("yes"):
        line = 2 if source == "yes" else 61
        # The last line of each is cut by head and goes on as "end of …", or begins it.
        lines = 2 * (size // line + 1)
        assert written + left_out + dropped == lines


def test_a_background_child_holds_neither_stream(run_daemon):
    d = run_daemon(SOURCE + "[Hook h]\nExec=/bin/sh -c 'sleep 300 & sleep 300 >/dev/null & echo over; echo so >&2'\n")
    begun = time.monotonic()
    send(d, "j")
    until(lambda: [r["state"] for r in d.runs()] == ["done"])
    assert time.monotonic() - begun < 8
    run = d.control("GET", f"/v1/runs/{d.runs()[0]['run']}").json
    assert (run["stdout"], run["stderr"], run["truncated"]) == ("over\n", "so\n", False)


# ---- What a child inherits

LOOK = r"""
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
/* Nothing is opened before it is looked at. */
extern char **environ;
int main(int argc, char **argv)
{
	char fds[512] = "", line[256], path[512], cwd[512];
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(d))
			strcat(strcat(fds, e->d_name), " ");
	closedir(d);
	snprintf(path, sizeof(path), "%s/%s", argv[1], getenv("CALLBACK_RUN"));
	FILE *out = fopen(path, "w"), *status = fopen("/proc/self/status", "r");
	fprintf(out, "fds %s\n", fds);
	while (fgets(line, sizeof(line), status))
		if (!strncmp(line, "SigBlk", 6) || !strncmp(line, "SigIgn", 6) || !strncmp(line, "SigCgt", 6) ||
			!strncmp(line, "SigPnd", 6) || !strncmp(line, "ShdPnd", 6))
			fputs(line, out);
	for (int i = 0; i < RLIMIT_NLIMITS; i++) {
		struct rlimit l;
		getrlimit(i, &l);
		fprintf(out, "limit %d %ld %ld\n", i, (long)l.rlim_cur, (long)l.rlim_max);
	}
	fprintf(out, "umask %o\n", umask(0));
	fprintf(out, "leads %d %d\n", getpgid(0) == getpid(), getsid(0) == getpid());
	fprintf(out, "cwd %s\n", getcwd(cwd, sizeof(cwd)));
	fprintf(out, "nice %d\nargs %d\nenviron\n", getpriority(PRIO_PROCESS, 0), argc);
	for (char **v = environ; *v; v++)
		fwrite(*v, strlen(*v) + 1, 1, out);
	return fclose(out) ? 1 : 0;
}
"""


@contextmanager
def strange_signals():
    """What systemd does (SIGPIPE ignored), and worse: children must not inherit it."""
    old = signal.signal(signal.SIGUSR1, signal.SIG_IGN), signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGCHLD})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2, signal.SIGCHLD})
        signal.signal(signal.SIGUSR1, old[0])
        signal.signal(signal.SIGHUP, old[1])


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def children_of(pid):
    return [
        p.name for p in Path("/proc").iterdir()
        if p.name.isdigit() and (p / "stat").exists() and parent_of(p) == pid
    ]  # fmt: skip


def parent_of(process):
    try:
        return int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


@pytest.mark.timeout(300)
def test_what_a_child_inherits_under_load(new_daemon, tmp_path):
    n = 1000 if FULL else 100
    (tmp_path / "look.c").write_text(LOOK)
    (tmp_path / "seen").mkdir()
    subprocess.run(["cc", "-w", "-O1", "-o", tmp_path / "look", tmp_path / "look.c"], check=True)
    d = new_daemon(
        SOURCE + f"[Hook h]\nExec={tmp_path}/look {tmp_path}/seen\nMaxConcurrent=16\n"
        "Export=SIZE:/size\nEnvironment=GREETING=hallo\n",
        env={"SECRET_OF_THE_DAEMON": "no child's business", "CALLBACK_ID": "forged"},
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1000, hard))  # the daemon raises its own
    try:
        limits = [resource.getrlimit(i) for i in range(16)]
        with strange_signals():
            d.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    d.post("/callback/s", {"id": "first", "status": "completed"})
    until(lambda: [r["state"] for r in d.runs()] == ["done"])
    runner = runner_of(d)
    before = descriptors(d.process.pid), descriptors(runner)

    for i in range(n):
        body = json.dumps({"id": f"j{i}", "status": "Completed", "size": i})
        assert d.post("/callback/s", body, {"Content-Type": "application/json"}).status == 200
    quiet(d, 60)
    runs = {r["run"]: r for r in all_runs(d)}
    person = pwd.getpwuid(os.geteuid())
    umask = os.umask(0)
    os.umask(umask)
    assert len(runs) == n + 1
    for id, run in runs.items():
        assert (run["state"], run["attempt"]) == ("done", 1), run
        facts, environ = (tmp_path / "seen" / id).read_bytes().split(b"environ\n", 1)
        job = None if run["id"] == "first" else int(run["id"][1:])
        received = d.job("s", run["id"])["received"] if job is None or job % 50 == 0 else None
        expected = {
            f"PATH={os.environ['PATH']}", "LANG=C.UTF-8", f"HOME={person.pw_dir}", f"USER={person.pw_name}",
            "GREETING=hallo", "CALLBACK_SOURCE=s", f"CALLBACK_ID={run['id']}", f"CALLBACK_STATUS={run['status']}",
            "CALLBACK_OUTCOME=success", "CALLBACK_HOOK=h", f"CALLBACK_RUN={id}", "CALLBACK_ATTEMPT=1",
        }  # fmt: skip
        if job is not None:
            expected.add(f"CALLBACK_SIZE={job}")
        seen = environ.decode().split("\0")
        assert seen.pop() == ""
        (when,) = [v for v in seen if v.startswith("CALLBACK_RECEIVED=")]
        assert re.fullmatch(r"CALLBACK_RECEIVED=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", when)
        assert received is None or when == f"CALLBACK_RECEIVED={received}"
        assert sorted(seen) == sorted(expected | {when})
        lines = facts.decode().splitlines()
        assert len([line for line in lines if line.startswith(("Sig", "Shd"))]) == 5
        assert sorted(lines[0].split()[1:]) == ["0", "1", "2"]
        for line in lines:
            if line.startswith(("Sig", "Shd")):
                assert int(line.split()[1], 16) == 0, line
        assert [tuple(map(int, line.split()[2:])) for line in lines if line.startswith("limit")] == limits
        assert f"umask {umask:o}" in lines and "leads 1 1" in lines and f"cwd {d.state}" in lines
        assert f"nice {os.getpriority(os.PRIO_PROCESS, 0)}" in lines and "args 2" in lines

    # No zombie, no descriptor more than before, in either of the two.
    until(lambda: children_of(runner) == [])
    assert children_of(d.process.pid) == [str(runner)]
    # `before` may count a connection of ours that was just being closed.
    until(lambda: descriptors(d.process.pid) <= before[0] and descriptors(runner) <= before[1])
    after = descriptors(d.process.pid), descriptors(runner)
    print(f"{n} children equal; descriptors of daemon and runner {before} before, {after} after")


# ---- A runner that hangs


def test_the_watchdog_is_not_fed_for_a_runner_that_hangs(run_daemon, recorder):
    d = run_daemon(SOURCE + f"[Hook h]\nExec={recorder.exec}\n", env={"WATCHDOG_USEC": "100000"})

    def fed():
        d.notify.forget()
        return d.notify.messages.count("WATCHDOG=1")

    until(lambda: fed() >= 3)
    runner = runner_of(d)
    os.kill(runner, signal.SIGSTOP)
    try:
        until(lambda: Path(f"/proc/{runner}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T")
        time.sleep(0.2)  # an answer on its way may still count
        at = fed()
        time.sleep(1.0)  # twenty times the interval
        assert fed() == at
        # Loop and store are well: it is the runner alone that is missed.
        send(d, "j")
        assert d.request("GET", "/healthz").status == 200
        assert fed() == at
    finally:
        os.kill(runner, signal.SIGCONT)
    recorder.wait(1)
    until(lambda: fed() >= at + 2)

"""callbackctl against a fake control server: what it asks, what it prints, how it exits."""

import datetime
import http.server
import json
import os
import pty
import signal
import struct
import socket
import subprocess
import threading
import time

import pytest

from fake_control import FakeControl
from helpers import build_directory

CTL = str(build_directory() / "callbackctl")

STATUS = {
    "version": "0.1.0", "pid": 7, "uptime_seconds": 65, "config_path": "/etc/x.conf",
    "listeners": [{"kind": "public", "address": "127.0.0.1:8080"}], "stopping": False,
    "store": {"name": "st", "seq": 3, "healthy": True, "jobs": 3, "jobs_pending": 1, "size_bytes": 4096},
    "runs": {"waiting": 1, "running": 0, "dead": 0, "slots": 32, "slots_used": 0},
    "callbacks": {"accepted": 5}, "last_error": None,
    "sources": [{"name": "src"}, {"name": "other"}], "hooks": [{"name": "publish"}],
}


def job(job_id="j1", outcome="success", status="COMPLETED", **more):
    return {"source": "src", "id": job_id, "status": status, "outcome": outcome,
            "received": "2026-09-01T10:00:00.000000Z",
            "updated": "2026-09-01T10:00:00.000000Z", "expected": None, "confirmed": None,
            "deliveries": 1, "public_url": None, "size_bytes": None, **more}


def full(*args, runs=(), payload="{}", **more):
    return job(*args, runs=list(runs), payload=payload, hooks=[], **more)


def run_of(run="st-1", state="done", **more):
    return {"run": run, "hook": "publish", "source": "src", "id": "j1", "status": "x",
            "outcome": "success", "state": state, "attempt": 1, "due": None, "started": None,
            "finished": None, "exit_status": 0, "signal": None, "reason": None,
            "truncated": False, "test": False, "replay_of": None, **more}


@pytest.fixture
def fake(tmp_path):
    f = FakeControl(str(tmp_path / "control.sock"))
    f.routes[("GET", "/v1/status")] = (200, STATUS)
    yield f
    f.close()


def ctl(fake, *args, timeout=30, env=None):
    return subprocess.run([CTL, "-s", fake.path, *args], capture_output=True, text=True,
                          timeout=timeout, env={**os.environ, "TZ": "UTC", **(env or {})})


# ---- how it is called ----

@pytest.mark.parametrize("args", [
    [], ["nonsense"], ["show"], ["show", "a", "b"], ["status", "extra"], ["list", "--nope"],
    ["wait"], ["wait", "x", "--timeout", "soon"], ["list", "--limit", "x"], ["pause"],
    ["resume", "h", "i"], ["verify", "s"], ["doctor", "f"], ["backup"], ["restore"], ["restore", "f", "--director"],
    ["presets", "github", "gitlab"], ["watch", "--after", "x"],
    ["expect", "src/x", "--within", "later"],
])
def test_usage_errors(fake, args):
    r = ctl(fake, *args)
    assert (r.returncode, r.stdout) == (2, "")
    assert r.stderr


def test_help_and_version(fake):
    assert ctl(fake, "--help").returncode == 0
    r = ctl(fake, "wait", "--help")
    assert r.returncode == 0 and "--timeout SPAN" in r.stdout
    assert ctl(fake, "--version").stdout.startswith("callbackctl ")
    assert fake.asked == []


@pytest.mark.parametrize("size,text", [
    (0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (197632, "193 KiB"),
    (1048575, "1.0 MiB"), (1503238553, "1.4 GiB")])
def test_status_for_people(fake, size, text):
    error = {"time": "2026-09-01T10:00:00.000000Z", "error": "no room"}
    status = {**STATUS, "store": {**STATUS["store"], "size_bytes": size}, "last_error": error}
    fake.routes[("GET", "/v1/status")] = (200, status)
    lines = ctl(fake, "status").stdout.splitlines()
    assert any(line.split("  ")[-1].strip() == "healthy, " + text for line in lines)
    (last,) = [line for line in lines if line.startswith("last error")]
    assert "2026-09-01 10:00:00" in last and "no room" in last


# ---- its own troubles ----

@pytest.mark.parametrize("args", [["status"], ["--json", "status"], ["list"], ["--help"],
                                  ["--json", "wait", "src/j1"]])
def test_output_that_cannot_be_written(fake, args):
    fake.routes[("GET", "/v1/jobs")] = (200, {"jobs": [job()], "next": None})
    fake.routes[("GET", "/v1/jobs/src/j1")] = (200, full())
    with open("/dev/full", "w", encoding="ascii") as full_disk:
        r = subprocess.run([CTL, "-s", fake.path, *args], stdout=full_disk, text=True,
                           stderr=subprocess.PIPE, timeout=20)
    assert r.returncode == 1 and r.stderr.count("\n") == 1 and "write" in r.stderr


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("args", [["watch"], ["--json", "watch"], ["wait", "src/j1", "src/j2"]])
def test_a_reader_that_goes_ends_it_quietly(fake, args, ignored):
    go = threading.Event()

    def watch(handler, body, query):
        handler.send_response(200)
        handler.end_headers()
        line = json.dumps({"seq": 1, "time": None, "job": job()}).encode() + b"\n"
        go.wait(10)
        try:
            while True:
                handler.wfile.write(line)
                time.sleep(0.01)
        except OSError:
            handler.close_connection = True

    fake.routes[("GET", "/v1/watch")] = watch
    fake.routes[("GET", "/v1/jobs/src/j1")] = lambda h, b, q: go.wait(10) and h.answer(200, full())
    fake.routes[("GET", "/v1/jobs/src/j2")] = lambda h, b, q: time.sleep(30)
    ignore = lambda: signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    p = subprocess.Popen([CTL, "-s", fake.path, *args], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, restore_signals=not ignored,
                         preexec_fn=ignore if ignored else None)
    fake.wait_for(1)
    p.stdout.close()
    go.set()
    assert p.wait(10) == -signal.SIGPIPE and p.stderr.read() == ""


def test_nobody_listens(tmp_path):
    for args in (["status"], ["wait", "x"], ["watch"], ["show", "x"]):
        r = subprocess.run([CTL, "-s", str(tmp_path / "none"), *args], capture_output=True,
                           text=True, timeout=20)
        assert r.returncode == 69, args
        assert "No such file" in r.stderr and r.stderr.count("\n") == 1


def test_socket_of_environment(fake):
    r = subprocess.run([CTL, "status"], capture_output=True, text=True, timeout=20,
                       env={**os.environ, "CALLBACKD_SOCKET": fake.path})
    assert r.returncode == 0


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_no_access(fake):
    os.chmod(os.path.dirname(fake.path), 0o755)
    for parent in ("/tmp", os.path.dirname(os.path.dirname(fake.path)),
                   os.path.dirname(os.path.dirname(os.path.dirname(fake.path)))):
        os.chmod(parent, os.stat(parent).st_mode | 0o055)
    os.chmod(fake.path, 0o600)
    copy = os.path.join(os.path.dirname(fake.path), "ctl")
    with open(CTL, "rb") as a, open(copy, "wb") as b:
        b.write(a.read())
    os.chmod(copy, 0o755)
    r = subprocess.run([copy, "-s", fake.path, "status"], capture_output=True, text=True,
                       user=65534, group=65534, extra_groups=[], timeout=20)
    assert r.returncode == 77 and "Permission denied" in r.stderr


# ---- what there is ----

def test_status(fake):
    r = ctl(fake, "status")
    assert r.returncode == 0
    assert "0.1.0, pid 7, up 1min 5s" in r.stdout and "src other" in r.stdout
    assert "127.0.0.1:8080" in r.stdout
    assert json.loads(ctl(fake, "--json", "status").stdout) == STATUS
    assert json.loads(ctl(fake, "status", "--json").stdout) == STATUS


def test_list_follows_pages_and_aligns(fake):
    pages = {"": {"jobs": [job("a")], "next": "7"}, "7": {"jobs": [], "next": "5"},
             "5": {"jobs": [job("longer-id", "error", "FAILED"), job("c")], "next": None}}

    def route(h, body, query):
        after = [p[6:] for p in query.split("&") if p.startswith("after=")]
        h.answer(200, pages[after[0] if after else ""])

    fake.routes[("GET", "/v1/jobs")] = route
    r = ctl(fake, "list", "--source", "src", "--outcome", "error", "--since", "1h 5min")
    assert r.returncode == 0
    lines = r.stdout.splitlines()
    assert len(lines) == 4
    column = lines[0].index("OUTCOME")
    assert [l[column:].split()[0] for l in lines[1:]] == ["success", "error", "success"]
    assert lines[1].startswith("2026-09-01 10:00:00  src")
    assert "source=src" in fake.asked[0][1] and "since=1h%205min" in fake.asked[0][1]
    r = ctl(fake, "--json", "list", "--limit", "2")
    assert [json.loads(l)["id"] for l in r.stdout.splitlines()] == ["a", "longer-id"]


def test_list_of_what_is_expected(fake):
    now = datetime.datetime.now(datetime.timezone.utc)
    ago = lambda **span: (now - datetime.timedelta(**span)).isoformat().replace("+00:00", "Z")
    jobs = [job("a", "pending", None, expected=ago(hours=5, minutes=3)), job("b", "pending", "RUNNING"),
            job("c", "pending", None, expected=ago(days=2, hours=1))]
    fake.routes[("GET", "/v1/jobs")] = (200, {"jobs": jobs, "next": None})
    lines = ctl(fake, "list", "--expected").stdout.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["EXPECTED", "5h 3min", "2d 1h"]
    assert "outcome=pending" in fake.asked[-1][1]
    assert len(ctl(fake, "list", "--expected", "--limit", "1").stdout.splitlines()) == 2
    assert [json.loads(l)["id"] for l in ctl(fake, "--json", "list", "--expected").stdout.splitlines()] == ["a", "c"]
    assert ctl(fake, "list", "--expected", "--outcome", "error").returncode == 2
    fake.routes[("GET", "/v1/jobs/src/a")] = (200, full("a", "pending", None, expected=ago(minutes=2, seconds=5)))
    assert "(for 2min " in ctl(fake, "show", "src/a").stdout


def test_local_time(fake):
    fake.routes[("GET", "/v1/jobs")] = (200, {"jobs": [job()], "next": None})
    assert "12:00:00" in ctl(fake, "list", env={"TZ": "UTC-2"}).stdout


def test_runs(fake):
    fake.routes[("GET", "/v1/runs")] = (200, {"runs": [run_of(state="dead", exit_status=3,
                                                            reason="exit 3")], "next": None})
    r = ctl(fake, "runs", "--state", "dead", "--hook", "publish")
    assert r.returncode == 0 and "st-1" in r.stdout and "exit 3" in r.stdout
    assert "state=dead&hook=publish" in fake.asked[0][1]


def test_show(fake):
    fake.routes[("GET", "/v1/jobs/src/a%2Fb")] = (200, full("a/b", payload='{"x":"\\u001b[2J"}',
        runs=[run_of(stdout="one\ntwo\x1b[31m\n", stderr="")]))
    r = ctl(fake, "show", "src/a/b")
    assert r.returncode == 0
    assert "src/a/b" in r.stdout and "    two\\x1B[31m\n" in r.stdout and "\x1b" not in r.stdout


def test_show_of_any_source(fake):
    fake.routes[("GET", "/v1/jobs")] = (200, {"jobs": [job("x/y")], "next": None})
    fake.routes[("GET", "/v1/jobs/src/x%2Fy")] = (200, full("x/y"))
    r = ctl(fake, "--json", "show", "x/y")  # no source is called x
    assert r.returncode == 0 and json.loads(r.stdout)["id"] == "x/y"
    assert ("GET", "/v1/jobs?id=x%2Fy", b"") in fake.asked


def test_show_unknown_and_ambiguous(fake):
    fake.routes[("GET", "/v1/jobs")] = (200, {"jobs": [], "next": None})
    assert ctl(fake, "show", "x").returncode == 66
    assert ctl(fake, "show", "src/x").returncode == 66
    fake.routes[("GET", "/v1/jobs")] = (200, {"jobs": [job("x"), {**job("x"),
        "source": "other"}], "next": None})
    r = ctl(fake, "show", "x")
    assert r.returncode == 2 and "src/x, other/x" in r.stderr


def test_terminal_gets_colour_and_no_escapes_of_others(fake):
    fake.routes[("GET", "/v1/jobs")] = (200, {"jobs": [job("i", status="a\x1b]0;x\x07\u202e")],
                                              "next": None})

    def on_terminal(env):
        main, side = pty.openpty()
        p = subprocess.Popen([CTL, "-s", fake.path, "list"], stdout=side, stdin=side,
                             env={**os.environ, **env})
        os.close(side)
        out = b""
        try:
            while chunk := os.read(main, 4096):
                out += chunk
        except OSError:
            pass
        os.close(main)
        assert p.wait(10) == 0
        return out

    out = on_terminal({"NO_COLOR": ""})
    assert b"\x1b[32msuccess\x1b[0m" in out and b"\x1b]" not in out
    assert "\u202e".encode() not in out
    assert b"\x1b" not in on_terminal({"NO_COLOR": "1"})
    assert "\x1b" not in ctl(fake, "list").stdout


# ---- waiting ----

def test_wait_success_and_error(fake):
    fake.routes[("GET", "/v1/jobs/src/j1")] = (200, full())
    r = ctl(fake, "wait", "src/j1")
    assert (r.returncode, r.stdout) == (0, "src/j1  success  COMPLETED\n")
    for outcome in ("error", "canceled", "lost"):
        fake.routes[("GET", "/v1/jobs/src/j2")] = (200, full("j2", outcome, "FAILED"))
        r = ctl(fake, "wait", "src/j1", "src/j2")
        assert r.returncode == 1 and len(r.stdout.splitlines()) == 2


def test_wait_asks_again_until_known(fake):
    answers = [(404, {"error": "no such job"}), (200, full(outcome="pending", status=None)),
               (200, full())]
    fake.routes[("GET", "/v1/jobs/src/j1")] = lambda h, b, q: h.answer(*answers.pop(0))
    r = ctl(fake, "wait", "src/j1")
    assert r.returncode == 0 and answers == []
    waits = [q for _, q, _ in fake.asked if "wait=" in q]
    assert all("wait=3600.000" in q for q in waits)


def test_wait_unknown_source_part(fake):
    lists = [[], [job("a/b")]]
    fake.routes[("GET", "/v1/jobs")] = lambda h, b, q: h.answer(
        200, {"jobs": lists.pop(0), "next": None})
    fake.routes[("GET", "/v1/jobs/src/a%2Fb")] = (200, full("a/b"))
    r = ctl(fake, "wait", "a/b", "--timeout", "20")
    assert (r.returncode, r.stdout) == (0, "src/a/b  success  COMPLETED\n")


def slow_pending(h, body, query):
    wait = float([p for p in query.split("&") if p.startswith("wait=")][0][5:])
    time.sleep(min(wait, 3))
    h.answer(200, full(outcome="pending", status=None))


def test_wait_timeout(fake):
    fake.routes[("GET", "/v1/jobs/src/j1")] = slow_pending
    start = time.monotonic()
    r = ctl(fake, "wait", "src/j1", "--timeout", "1s")
    assert r.returncode == 124 and 0.9 < time.monotonic() - start < 4
    assert r.stderr.count("\n") == 1
    assert ctl(fake, "wait", "src/j1", "--timeout", "0").returncode == 124


def test_wait_timeout_beats_error(fake):
    fake.routes[("GET", "/v1/jobs/src/j1")] = slow_pending
    fake.routes[("GET", "/v1/jobs/src/j2")] = (200, full("j2", "error", "FAILED"))
    r = ctl(fake, "wait", "src/j1", "src/j2", "--timeout", "300ms")
    assert r.returncode == 124 and "src/j2  error" in r.stdout
    fake.routes[("GET", "/v1/jobs/src/j1")] = lambda h, b, q: time.sleep(4)
    assert ctl(fake, "wait", "src/j1", "--timeout", "0").returncode == 124  # a deaf daemon


def test_wait_any(fake):
    fake.routes[("GET", "/v1/jobs/src/j1")] = slow_pending
    fake.routes[("GET", "/v1/jobs/src/j2")] = (200, full("j2", "error", "FAILED"))
    start = time.monotonic()
    r = ctl(fake, "wait", "--any", "src/j1", "src/j2", "--timeout", "15s")  # j1 is let go
    assert (r.returncode, r.stdout) == (1, "src/j2  error  FAILED\n")
    assert time.monotonic() - start < 5


def test_wait_hooks(fake):
    answers = [full(runs=[run_of(state="running")]), full(runs=[run_of(state="done")])]
    fake.routes[("GET", "/v1/jobs/src/j1")] = lambda h, b, q: h.answer(200, answers.pop(0))
    assert ctl(fake, "wait", "--hooks", "src/j1").returncode == 0 and answers == []
    assert all("hooks=yes" in q for _, q, _ in fake.asked if "wait=" in q)
    fake.routes[("GET", "/v1/jobs/src/j1")] = (200, full(runs=[run_of(state="dead")]))
    assert ctl(fake, "wait", "--hooks", "src/j1").returncode == 1
    assert ctl(fake, "wait", "src/j1").returncode == 0
    fake.routes[("GET", "/v1/jobs/src/j1")] = (200, full(runs=[
        run_of("st-1", "dead"), run_of("st-2", "done", replay_of="st-1")]))
    assert ctl(fake, "wait", "--hooks", "src/j1").returncode == 0


def test_wait_ambiguous(fake):
    fake.routes[("GET", "/v1/jobs")] = (200, {"jobs": [job("x"), {**job("x"),
        "source": "other"}], "next": None})
    r = ctl(fake, "wait", "x")
    assert r.returncode == 2 and "src/x, other/x" in r.stderr


def test_wait_outlives_a_restart(fake, tmp_path):
    fake.routes[("GET", "/v1/jobs/src/j1")] = (503, {"error": "the daemon is stopping"})
    fake.routes[("GET", "/v1/jobs/src/j0")] = (200, full("j0"))
    p = subprocess.Popen([CTL, "-s", fake.path, "wait", "src/j0", "src/j1"],
                         stdout=subprocess.PIPE, text=True)
    fake.wait_for(4)  # j1 again: its 503 has arrived
    fake.close()
    time.sleep(1)
    # j0's answer may have been cut off with the first server: it is asked for again
    again = FakeControl(fake.path, {("GET", "/v1/jobs/src/j0"): (200, full("j0")),
                                    ("GET", "/v1/jobs/src/j1"): (200, full())})
    assert p.communicate(timeout=20)[0].endswith("src/j1  success  COMPLETED\n")
    assert p.returncode == 0
    again.close()
    fake.server = again.server


def test_a_daemon_that_is_starting_is_waited_for(fake):
    answers = [(503, {"error": "the daemon is starting"}), (200, full())]
    fake.routes[("GET", "/v1/jobs/src/j1")] = lambda h, body, query: h.answer(*answers.pop(0))
    r = ctl(fake, "wait", "src/j1")
    assert r.returncode == 0 and r.stdout.endswith("src/j1  success  COMPLETED\n")


def stream(h, lines=(), hold=None):
    """A watch's answer: `lines`, then open until `hold` is set, if there is one."""
    h.send_response(200)
    h.send_header("Transfer-Encoding", "chunked")
    h.end_headers()
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    for part in filter(None, (data[:30], data[30:])):  # a line in two pieces
        h.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        h.wfile.flush()
    if hold:
        hold.wait(20)
    h.wfile.write(b"0\r\n\r\n")


def test_wait_many(fake):
    over = threading.Event()
    fake.routes[("GET", "/v1/watch")] = lambda h, b, q: stream(h, hold=over)
    names = [f"m{i}" for i in range(60)]
    for n in names:
        fake.routes[("GET", f"/v1/jobs/src/{n}")] = (200, full(n))
    r = ctl(fake, "--json", "wait", *[f"src/{n}" for n in names])
    assert r.returncode == 0
    over.set()
    assert sorted(json.loads(l)["id"] for l in r.stdout.splitlines()) == sorted(names)


def test_wait_outlives_a_restart_before_its_first_answer(fake):
    """The watch is up, all else is open: that is a daemon that was there."""
    gone = threading.Event()

    def break_off(h):
        gone.wait(20)
        h.close_connection = True
        h.connection.shutdown(socket.SHUT_RDWR)

    fake.routes[("GET", "/v1/watch")] = lambda h, b, q: stream(h, hold=gone)
    names = [f"m{i}" for i in range(20)]
    for n in names:
        fake.routes[("GET", f"/v1/jobs/src/{n}")] = (
            lambda h, b, q, n=n: h.answer(200, full(n)) if gone.is_set() else break_off(h))  # fmt: skip
    p = subprocess.Popen([CTL, "-s", fake.path, "wait", *[f"src/{n}" for n in names]],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    fake.wait_for(22, timeout=20)  # with the status and the watch
    gone.set()
    out, err = p.communicate(timeout=30)
    assert p.returncode == 0 and len(out.splitlines()) == 20, err


LINES = [{"seq": 4, "time": "2026-09-01T10:00:00.000000Z", "job": job()},
         {"seq": 5, "time": "2026-09-01T10:00:01.000000Z", "run": run_of(state="running")}]


def test_watch_goes_on_behind_the_last_line(fake):
    """It ends by itself only when it is refused: here on its third connection."""
    answers = [lambda h: stream(h, LINES[:1]), lambda h: stream(h, LINES[1:]),
               lambda h: h.answer(400, {"error": "enough"})]
    fake.routes[("GET", "/v1/watch")] = lambda h, b, q: answers.pop(0)(h)
    r = ctl(fake, "--json", "watch", "--after", "3")
    assert [json.loads(l) for l in r.stdout.splitlines()] == LINES
    assert r.returncode == 2 and "enough" in r.stderr
    assert [p for _, p, _ in fake.asked if "watch" in p] == [f"/v1/watch?after={n}" for n in (3, 4, 5)]


def test_watch_for_people_and_from_now(fake):
    answers = [lambda h: stream(h, LINES), lambda h: h.answer(400, {"error": "enough"})]
    fake.routes[("GET", "/v1/watch")] = lambda h, b, q: answers.pop(0)(h)
    r = ctl(fake, "watch")
    assert r.stdout.splitlines() == [
        "4  2026-09-01 10:00:00  src/j1  success  COMPLETED",
        "5  2026-09-01 10:00:01  src/j1  running  run st-1  publish  attempt 1"]
    assert fake.asked[1][1] == "/v1/watch?after=3"  # the number that the status told


def test_watch_keeps_a_cursor(fake, tmp_path):
    cursor = tmp_path / "cursor"
    answers = [lambda h: stream(h), lambda h: h.answer(400, {"error": "enough"})] * 1
    fake.routes[("GET", "/v1/watch")] = lambda h, b, q: answers.pop(0)(h)
    assert ctl(fake, "watch", "--cursor", str(cursor)).returncode == 2
    assert cursor.read_text() == "3 st\n"  # before anything happened: nothing can be missed
    answers[:] = [lambda h: stream(h, LINES), lambda h: h.answer(400, {"error": "enough"})]
    assert ctl(fake, "watch", "--cursor", str(cursor), "--after", "1").returncode == 2
    assert cursor.read_text() == "5 st\n" and os.listdir(tmp_path).count("cursor.new") == 0
    assert [p for _, p, _ in fake.asked if "watch" in p][-2:] == ["/v1/watch?after=3", "/v1/watch?after=5"]
    # numbers of another store mean nothing: all that this one holds is told, and that is said
    fake.routes[("GET", "/v1/status")] = (200, {**STATUS, "store": {"name": "nd", "seq": 9}})
    answers[:] = [lambda h: h.answer(400, {"error": "enough"})]
    r = ctl(fake, "watch", "--cursor", str(cursor))
    assert fake.asked[-1][1] == "/v1/watch?after=0" and "another store" in r.stderr
    assert cursor.read_text() == "0 nd\n"


@pytest.mark.parametrize("content", ["", "x", "3 st\nmore", "-1 st\n", "9" * 19, " st\n"])
def test_what_is_no_cursor_is_not_taken_for_one(fake, tmp_path, content):
    (tmp_path / "cursor").write_text(content)
    r = ctl(fake, "watch", "--cursor", str(tmp_path / "cursor"))
    assert r.returncode == 2 and "no cursor" in r.stderr and fake.asked == []
    assert (tmp_path / "cursor").read_text() == content


def test_a_cursor_that_cannot_be_kept_ends_the_watch(fake, tmp_path):
    fake.routes[("GET", "/v1/watch")] = lambda h, b, q: stream(h, LINES)
    r = ctl(fake, "watch", "--cursor", str(tmp_path / "none" / "cursor"))
    assert r.returncode == 66 and r.stdout == "" and "cursor" in r.stderr
    (tmp_path / "cursor").write_text("3 st\n")
    (tmp_path / "cursor.new").mkdir()
    r = ctl(fake, "watch", "--cursor", str(tmp_path / "cursor"))
    assert r.returncode == 66 and len(r.stdout.splitlines()) == 1  # no line beyond what was kept


def test_watch_tells_of_a_gap(fake):
    gap = {"seq": 3, "time": "2026-09-01T10:00:00.000000Z", "gap": {"after": 1, "next": 4}}
    for options in ([], ["--json"]):
        answers = [lambda h: stream(h, [gap, *LINES]), lambda h: h.answer(400, {"error": "enough"})]
        fake.routes[("GET", "/v1/watch")] = lambda h, b, q: answers.pop(0)(h)
        r = ctl(fake, *options, "watch", "--after", "1")
        assert "between 1 and 4 is not kept any more" in r.stderr
        assert len(r.stdout.splitlines()) == (3 if options else 2)


def test_watch_tells_of_a_number_from_the_future(fake):
    """A cursor that is damaged, or a store that was put back to a backup."""
    gap = {"seq": 6, "time": "2026-09-01T10:00:00.000000Z", "gap": {"after": 5000, "next": 7}}
    answers = [lambda h: stream(h, [gap]), lambda h: h.answer(400, {"error": "enough"})]
    fake.routes[("GET", "/v1/watch")] = lambda h, b, q: answers.pop(0)(h)
    r = ctl(fake, "watch", "--after", "5000")
    assert "number 5000 is beyond what the daemon's store has told" in r.stderr and "going on at 7" in r.stderr


# ---- what changes something ----

def test_expect_and_forget(fake):
    fake.routes[("PUT", "/v1/jobs/src/n%20%C3%A9")] = (200, full("n é", "pending", None))
    assert ctl(fake, "expect", "src/n é", "--within", "10min").returncode == 0
    assert json.loads(fake.asked[-1][2]) == {"within": "10min"}
    fake.routes[("PUT", "/v1/jobs/src/done")] = (200, full("done", "success", "COMPLETED"))
    r = ctl(fake, "expect", "src/done")
    assert r.returncode == 0 and r.stdout == "src/done is over already: success\n"
    fake.routes[("GET", "/v1/jobs")] = (200, {"jobs": [], "next": None})
    r = ctl(fake, "expect", "new")  # of which source?
    assert r.returncode == 2 and "src, other" in r.stderr
    fake.routes[("GET", "/v1/jobs")] = (200, {"jobs": [{**job("known"), "source": "other"}], "next": None})
    fake.routes[("PUT", "/v1/jobs/other/known")] = (200, full("known", "pending", None))
    assert ctl(fake, "expect", "known").returncode == 0  # the one that knows it
    fake.routes[("GET", "/v1/jobs")] = (200, {"jobs": [job("x"), {**job("x"), "source": "other"}], "next": None})
    r = ctl(fake, "expect", "x")
    assert r.returncode == 2 and "src/x, other/x" in r.stderr
    r = ctl(fake, "forget", "x")
    assert r.returncode == 2 and "src/x, other/x" in r.stderr
    fake.routes[("GET", "/v1/jobs")] = (200, {"jobs": [], "next": None})
    fake.routes[("GET", "/v1/status")] = (200, {**STATUS, "sources": [{"name": "src"}]})
    fake.routes[("PUT", "/v1/jobs/src/new")] = (200, full("new", "pending", None))
    assert ctl(fake, "expect", "new").returncode == 0
    fake.routes[("DELETE", "/v1/jobs/src/j1")] = (200, {})
    assert ctl(fake, "forget", "src/j1").returncode == 0
    fake.routes[("DELETE", "/v1/jobs/src/j1")] = (409, {"error": "a run of it is running"})
    r = ctl(fake, "forget", "src/j1")
    assert r.returncode == 1 and "a run of it is running" in r.stderr


def test_replay_and_discard(fake):
    fake.routes[("POST", "/v1/runs/st-1/replay")] = (200, {"run": "st-9", "hook": "h"})
    fake.routes[("POST", "/v1/runs/st-2/replay")] = (409, {"error": "waits"})
    fake.routes[("POST", "/v1/runs/st-3/replay")] = (200, {"run": "st-10", "hook": "h"})
    r = ctl(fake, "replay", "st-1", "st-2", "st-3")
    assert r.returncode == 1 and "st-9" in r.stdout and "st-10" in r.stdout
    assert ctl(fake, "replay", "st-7").returncode == 66
    fake.routes[("POST", "/v1/runs/st-1/discard")] = (200, {})
    assert ctl(fake, "discard", "st-1", "--reason", "known").returncode == 0
    assert json.loads(fake.asked[-1][2]) == {"reason": "known"}


def test_reload(fake):
    fake.routes[("POST", "/v1/reload")] = (200, {})
    assert ctl(fake, "reload").returncode == 0
    fake.routes[("POST", "/v1/reload")] = (422, {"error": "refused",
                                                 "problems": ["a.conf:3: bad", "b.conf:4: x"]})
    r = ctl(fake, "reload")
    assert r.returncode == 78 and "a.conf:3: bad\nb.conf:4: x\n" in r.stderr and not r.stdout


def test_test(fake, tmp_path):
    route = ("POST", "/v1/sources/src/test")
    fake.routes[route] = (200, {"status": 200, "body": "{}", "id": "test-1", "tampered": False})
    body = tmp_path / "body"
    body.write_bytes(b"\xff\x00")
    r = ctl(fake, "test", "src", "--status", "DONE", "--id", "i", "--body", str(body))
    assert (r.returncode, r.stdout) == (0, "src/test-1  200  {}\n")
    assert json.loads(fake.asked[-1][2]) == {"status": "DONE", "id": "i", "body_base64": "/wA="}
    assert ctl(fake, "test", "src", "--tamper").returncode == 1
    assert json.loads(fake.asked[-1][2]) == {"tamper": True}
    fake.routes[route] = (200, {"status": 401, "body": "", "id": "test-1", "tampered": True})
    assert ctl(fake, "test", "src", "--tamper").returncode == 0
    assert ctl(fake, "test", "src").returncode == 1
    assert ctl(fake, "test", "nosuch").returncode == 66


# ---- uploads ----

class Storage:
    """The presigned side: notes each PUT, answers as told."""

    def __init__(self):
        self.puts = []
        self.answer = (200, b"")
        self.answers = []  # statuses before that one; None: no answer
        self.before_answer = lambda: None
        self.meet = None
        self.now = self.most = 0
        self.lock = threading.Lock()
        storage = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_PUT(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                storage.puts.append((self.path, list(self.headers.raw_items())
                                     if hasattr(self.headers, "raw_items")
                                     else self.headers.items(), body))
                storage.before_answer()
                with storage.lock:
                    storage.now += 1
                    storage.most = max(storage.most, storage.now)
                if storage.meet:
                    storage.meet.wait(20)
                with storage.lock:
                    storage.now -= 1
                    first = [storage.answers.pop(0)] if storage.answers else []
                status, data = storage.answer if not first else (first[0], b"in its own words")
                if status is None:
                    self.close_connection = True
                    self.connection.shutdown(2)
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def storage(fake):
    s = Storage()
    headers = {"Content-Type": "video/mp4", "x-amz-meta-file-id": "u1",
               "x-amz-tagging": "uploader=customer&ttl_days=30"}
    fake.routes[("POST", "/v1/uploads")] = (200, {
        "source": "src", "id": "u1", "upload_url": s.url + "/b/../k?X-Sig=a%2Fb",
        "public_url": "https://cdn/x", "status": "PENDING", "required_headers": headers})
    fake.routes[("GET", "/v1/jobs/src/u1")] = (200, full(
        "u1", payload='{"size_bytes": 12345}', public_url="https://cdn/x"))
    s.required = headers
    yield s
    s.close()


@pytest.fixture
def video(tmp_path):
    f = tmp_path / "clip.mp4"
    f.write_bytes(os.urandom(300000))
    return f


def test_upload(fake, storage, video):
    r = ctl(fake, "upload", str(video), "--content-type", "video/mp4", "--file-type", "video",
            "--owner", "org-1", "--source", "src", "--video-duration", "12.5",
            "--video-bitrate", "900", "--timeout", "20s")
    assert (r.returncode, r.stderr) == (0, f"callbackctl: {video}: is job src/u1\n")
    assert r.stdout == "COMPLETED  12345 bytes  https://cdn/x\n"
    asked = [a for a in fake.asked if a[0] == "POST"][0]
    assert json.loads(asked[2]) == {
        "content_type": "video/mp4", "file_type": "video", "owner": "org-1", "source": "src",
        "size_bytes": 300000, "video_duration_seconds": 12.5, "video_bitrate_kbps": 900}
    path, headers, body = storage.puts[0]
    assert path == "/b/../k?X-Sig=a%2Fb" and body == video.read_bytes()
    want = {**storage.required, "Host": storage.url[7:], "Content-Length": "300000"}
    assert dict(headers) == want and len(headers) == len(want)


def test_upload_json_and_several(fake, storage, video):
    r = ctl(fake, "--json", "upload", str(video), "--content-type", "video/mp4")
    line = json.loads(r.stdout)
    assert line["file"] == str(video) and line["size_bytes"] == 12345
    r = ctl(fake, "upload", str(video), str(video), "--content-type", "video/mp4")
    assert r.stdout == 2 * f"{video}  COMPLETED  12345 bytes  https://cdn/x\n"


def test_upload_empty_file_and_no_headers(fake, storage, tmp_path):
    empty = tmp_path / "e.bin"
    empty.write_bytes(b"")
    route = fake.routes[("POST", "/v1/uploads")]
    fake.routes[("POST", "/v1/uploads")] = (200, {**route[1], "required_headers": {}})
    fake.routes[("GET", "/v1/jobs/src/u1")] = (200, full("u1", payload="no json"))
    r = ctl(fake, "upload", str(empty), "--content-type", "a/b")
    assert r.returncode == 0 and r.stdout == "COMPLETED  0 bytes  https://cdn/x\n"
    assert {k for k, _ in storage.puts[0][1]} == {"Host", "Content-Length"}


def test_upload_guesses_the_type(fake, storage, video, tmp_path):
    if not os.path.exists("/etc/mime.types"):
        pytest.skip("no /etc/mime.types")
    assert ctl(fake, "upload", str(video)).returncode == 0
    asked = [a for a in fake.asked if a[0] == "POST"][0]
    assert json.loads(asked[2])["content_type"] == "video/mp4"
    unknown = tmp_path / "x.nosuchextension"
    unknown.write_bytes(b"x")
    r = ctl(fake, "upload", str(unknown))
    assert r.returncode == 2 and "--content-type" in r.stderr


@pytest.mark.parametrize("status,words", [
    (403, b"<?xml version='1.0'?>\n<Error>\n  <Code>AccessDenied</Code>\x1b[2J</Error>\n"),
    (400, b'{"error":"too large"}')])
def test_upload_refused_by_storage(fake, storage, video, status, words):
    storage.answer = (status, words)
    r = ctl(fake, "upload", str(video), "--content-type", "video/mp4")
    assert r.returncode == 76 and r.stdout == ""
    assert str(status) in r.stderr and "x-amz-tagging" in r.stderr
    assert "uploader=customer" not in r.stderr and "\x1b" not in r.stderr
    assert ("AccessDenied" in r.stderr) == (status == 403)


def test_upload_refused_by_source(fake, video):
    fake.routes[("POST", "/v1/uploads")] = (502, {"error": "no such owner", "code": "BAD_REQUEST",
        "request_id": "rq-1", "upstream_status": 400})
    r = ctl(fake, "upload", str(video), "--content-type", "video/mp4")
    assert r.returncode == 76 and "no such owner" in r.stderr and "rq-1" in r.stderr
    fake.routes[("POST", "/v1/uploads")] = (409, {"error": "no UploadURL="})
    assert ctl(fake, "upload", str(video), "--content-type", "a/b").returncode == 78


def test_upload_processing_error(fake, storage, video):
    fake.routes[("GET", "/v1/jobs/src/u1")] = (200, full(
        "u1", "error", "ERROR", payload='{"error": "corrupt file"}'))
    r = ctl(fake, "upload", str(video), "--content-type", "video/mp4")
    assert r.returncode == 1 and "corrupt file" in r.stderr
    assert r.stdout == "ERROR  300000 bytes  https://cdn/x\n"


def test_upload_refusal_beats_error_and_timeout(fake, storage, video):
    fake.routes[("GET", "/v1/jobs/src/u1")] = slow_pending
    r = ctl(fake, "upload", str(video), "--content-type", "a/b", "--timeout", "500ms")
    assert r.returncode == 124
    calls = []

    def initiate(h, body, query):
        calls.append(1)
        if len(calls) == 1:
            h.answer(502, {"error": "refused"})
        else:
            h.answer(200, {"source": "src", "id": "u1", "upload_url": storage.url + "/k",
                           "public_url": "p", "required_headers": {}})

    fake.routes[("POST", "/v1/uploads")] = initiate
    r = ctl(fake, "upload", str(video), str(video), "--content-type", "a/b", "--timeout", "500ms")
    assert r.returncode == 76 and len(calls) == 2


def test_upload_bad_files(fake, tmp_path):
    assert ctl(fake, "upload", str(tmp_path / "none"), "--content-type", "a/b").returncode == 66
    r = ctl(fake, "upload", str(tmp_path), "--content-type", "a/b")
    assert r.returncode == 2 and "is a directory" in r.stderr
    os.mkfifo(tmp_path / "fifo")
    r = ctl(fake, "upload", str(tmp_path / "fifo"), "--content-type", "a/b")
    assert r.returncode == 2 and "not a regular file" in r.stderr
    r = ctl(fake, "upload", "-", "--content-type", "a/b")
    assert r.returncode == 2 and "length" in r.stderr
    for jobs in ("0", "65", "x"):
        assert ctl(fake, "upload", "f", "--jobs", jobs).returncode == 2
    assert fake.asked == []


def initiates(fake):
    return [json.loads(body) for method, path, body in fake.asked if method == "POST"]


@pytest.mark.parametrize("answers,exit", [([503, 200], 0), ([500, 429, 200], 0), ([403], 76), ([501], 76)])
def test_upload_is_tried_again_where_that_may_help(fake, storage, video, answers, exit):
    storage.answers = list(answers)
    r = ctl(fake, "upload", str(video), "--content-type", "a/b")
    assert r.returncode == exit and storage.answers == []
    assert len(storage.puts) == len(answers) and len(initiates(fake)) == 1
    assert all(body == video.read_bytes() for _, _, body in storage.puts)  # from its beginning, each time
    assert ("again in 1s" in r.stderr) == (len(answers) > 1)
    forgotten = [p for method, p, _ in fake.asked if method == "DELETE"]
    assert forgotten == (["/v1/jobs/src/u1"] if exit else [])


def test_upload_survives_a_lost_connection(fake, storage, video):
    storage.answers = [None, 200]
    r = ctl(fake, "upload", str(video), "--content-type", "a/b")
    assert r.returncode == 0 and len(storage.puts) == 2 and "again in 1s" in r.stderr


@pytest.mark.timeout(90)
def test_upload_gives_up_in_the_end(fake, storage, video):
    storage.answers = [503] * 4
    r = ctl(fake, "upload", str(video), "--content-type", "a/b")
    assert r.returncode == 76 and storage.answers == [] and "503" in r.stderr
    # it may have arrived all the same: the job stays expected
    assert not [p for method, p, _ in fake.asked if method == "DELETE"]


def test_upload_in_time_or_not_at_all(fake, storage, video):
    storage.answers = [503] * 4
    r = ctl(fake, "upload", str(video), "--content-type", "a/b", "--timeout", "500ms")
    assert r.returncode == 124 and len(storage.puts) == 1 and "not uploaded in time" in r.stderr
    # it may have arrived all the same: the job stays expected
    assert not [p for method, p, _ in fake.asked if method == "DELETE"]


def test_upload_of_a_file_that_becomes_shorter(fake, storage, video):
    answer = fake.routes[("POST", "/v1/uploads")]

    def shorten(h, body, query):
        os.truncate(video, 1000)
        h.answer(*answer)

    fake.routes[("POST", "/v1/uploads")] = shorten
    r = ctl(fake, "upload", str(video), "--content-type", "a/b")
    assert r.returncode == 1 and "300000" in r.stderr and "1000" in r.stderr and storage.puts == []
    assert fake.asked[-1][:2] == ("DELETE", "/v1/jobs/src/u1")


def test_upload_of_a_file_that_is_written_to(fake, storage, video):
    storage.before_answer = lambda: os.truncate(video, 400000)
    r = ctl(fake, "upload", str(video), "--content-type", "a/b")
    assert r.returncode == 0 and "has changed" in r.stderr and "400000" in r.stderr


def test_upload_detached(fake, storage, video):
    del fake.routes[("GET", "/v1/jobs/src/u1")]
    r = ctl(fake, "upload", "--detach", str(video), "--content-type", "a/b")
    assert (r.returncode, r.stdout) == (0, "src/u1  uploaded  300000 bytes  https://cdn/x\n")
    r = ctl(fake, "--json", "upload", "--detach", str(video), "--content-type", "a/b")
    assert json.loads(r.stdout) == {"source": "src", "id": "u1", "status": None, "outcome": "pending",
                                    "file": str(video), "size_bytes": 300000, "public_url": "https://cdn/x"}
    assert not [p for method, p, _ in fake.asked if method == "GET"]


def wav(seconds):
    data = bytes(int(seconds * 8000))
    head = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8) + b"data" + struct.pack("<I", len(data))
    return b"RIFF" + struct.pack("<I", len(head) + len(data)) + head + data


def test_upload_tells_how_long_it_lasts(fake, storage, tmp_path):
    box = lambda name, inside: struct.pack(">I", 8 + len(inside)) + name + inside
    mvhd = box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, 600, 7530) + bytes(80))
    (tmp_path / "a.wav").write_bytes(wav(2.5))
    (tmp_path / "b.mp4").write_bytes(box(b"ftyp", b"isom") + box(b"mdat", bytes(999)) + box(b"moov", mvhd))
    paths = [str(tmp_path / "a.wav"), str(tmp_path / "b.mp4")]
    assert ctl(fake, "upload", *paths).returncode == 0
    told = initiates(fake)
    assert told[0]["audio_duration_seconds"] == 2.5 and "video_duration_seconds" not in told[0]
    assert told[1]["video_duration_seconds"] == 12.55 and "audio_duration_seconds" not in told[1]
    assert ctl(fake, "upload", paths[1], "--video-duration", "9").returncode == 0
    assert initiates(fake)[2]["video_duration_seconds"] == 9  # what a person says goes before
    assert ctl(fake, "upload", paths[1], "--file-type", "other").returncode == 0
    assert "video_duration_seconds" not in initiates(fake)[3]


@pytest.mark.parametrize("jobs", [1, 3])
def test_upload_of_several_at_once(fake, storage, tmp_path, jobs):
    paths = [tmp_path / f"f{i}" for i in range(6)]
    for path in paths:
        path.write_bytes(b"x" * 100)
    storage.meet = threading.Barrier(jobs)  # none is answered before so many are there
    r = ctl(fake, "upload", "--jobs", str(jobs), "--content-type", "a/b", *map(str, paths))
    assert r.returncode == 0 and sorted(r.stdout.splitlines()) == [
        f"{path}  COMPLETED  12345 bytes  https://cdn/x" for path in paths]
    assert storage.most == jobs


def test_upload_that_is_interrupted_says_how_to_go_on(fake, storage, video):
    fake.routes[("GET", "/v1/jobs/src/u1")] = lambda h, b, q: time.sleep(30)
    for number in (signal.SIGINT, signal.SIGTERM):
        before = len(fake.asked)
        p = subprocess.Popen([CTL, "-s", fake.path, "upload", str(video), "--content-type", "a/b"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        fake.wait_for(before + 2)
        p.send_signal(number)
        assert p.wait(10) == -number  # as one that dies of it
        assert "callbackctl wait src/u1\n" in p.stderr.read()
        p.stdout.close(), p.stderr.close()


def test_refused_goes_before_all_else(fake, storage, video, tmp_path):
    none = str(tmp_path / "none")
    storage.answers = [403]
    r = ctl(fake, "upload", none, str(tmp_path), str(video), "--content-type", "a/b")
    assert r.returncode == 76 and "No such file" in r.stderr and "is a directory" in r.stderr


def on_terminal(fake, *args, env=None, seen=None):
    """What a person sees who has both outputs on a terminal; `seen`: (bytes, event to set then)."""
    main, side = pty.openpty()
    p = subprocess.Popen([CTL, "-s", fake.path, *args], stdout=side, stderr=side, stdin=side,
                         env={**os.environ, "TZ": "UTC", **(env or {})})
    os.close(side)
    out = b""
    try:
        while chunk := os.read(main, 4096):
            out += chunk
            if seen and seen[0] in out:
                seen[1].set()
    except OSError:
        pass
    os.close(main)
    return p.wait(20), out


def test_progress_is_for_terminals_alone(fake, storage, video):
    go = threading.Event()
    fake.routes[("GET", "/v1/jobs/src/u1")] = lambda h, b, q: go.wait(20) and h.answer(200, full("u1"))
    status, out = on_terminal(fake, "wait", "src/u1", env={"NO_COLOR": "1"}, seen=(b"\rwaiting, ", go))
    assert status == 0 and go.is_set() and b"\x1b" not in out
    assert out.endswith(b"src/u1  success  COMPLETED\r\n")
    assert out.rpartition(b"\r ")[2].strip(b" ").startswith(b"\rsrc/u1")  # the line was blanked
    go.clear()
    seen = (b"waiting for 1 of 1 callback, ", go)
    status, out = on_terminal(fake, "upload", str(video), "--content-type", "a/b", env={"NO_COLOR": "1"}, seen=seen)
    assert status == 0 and go.is_set() and b"\x1b" not in out
    def late(h, body, query):  # longer than it takes to the first progress
        time.sleep(1.3)
        h.answer(200, full("u1"))

    fake.routes[("GET", "/v1/jobs/src/u1")] = late
    r = ctl(fake, "wait", "src/u1")
    assert r.returncode == 0 and r.stderr == "" and "\r" not in r.stdout


def test_upload_hostile_header(fake, storage, video):
    route = fake.routes[("POST", "/v1/uploads")]
    fake.routes[("POST", "/v1/uploads")] = (200, {**route[1],
                                                  "required_headers": {"A": "b\r\nC: d"}})
    r = ctl(fake, "upload", str(video), "--content-type", "a/b")
    assert r.returncode == 76 and storage.puts == []


def test_errors_of_the_daemon_are_escaped(fake):
    fake.routes[("GET", "/v1/jobs/src/x")] = (404, {"error": "no\x1b[31m job"})
    r = ctl(fake, "show", "src/x")
    assert r.returncode == 66 and "\x1b" not in r.stderr and r.stderr.count("\n") == 1

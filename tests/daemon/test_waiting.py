"""callbackctl wait and watch against the daemon: many jobs, restarts, consumers that were away."""

import json
import os
import sqlite3
import subprocess

import pytest

from helpers import build_directory, hmac_hex, until

FULL = bool(os.environ.get("FULL"))
SECRET = "a secret of the test"
CONFIG = """
[Source s]
Verify=hmac
SecretFile=secret

[Source t]
Verify=hmac
SecretFile=secret

[Hook fail]
Source=s
On=error
Exec=/bin/false
Retries=0

[Hook slow]
Source=t
Exec=/bin/sh -c "while ! test -e @DIR@/go; do sleep 0.05; done"
"""


@pytest.fixture
def d(run_daemon):
    daemon = run_daemon(CONFIG, files={"secret": SECRET})
    yield daemon
    daemon.write("go", "")  # a slow hook would hold up the stop


def call_back(d, id, status="completed", source="s"):
    body = json.dumps({"id": id, "status": status})
    answer = d.post(f"/callback/{source}", body, {**hmac_hex(SECRET, body), "Content-Type": "application/json"})
    assert answer.status == 200, answer


class Ctl:
    """callbackctl, left to run."""

    def __init__(self, d, *args):
        # Two descriptors: of a common one the reading would move the place where it writes.
        self.path = os.path.join(d.directory, f"out-{id(self)}")
        with open(self.path, "wb") as out:
            self.process = subprocess.Popen(
                [build_directory() / "callbackctl", "-s", d.control_socket, *args], cwd=d.directory,
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
        self.stderr = ""

    def lines(self):
        with open(self.path, encoding="utf-8") as out:
            return out.read().splitlines()

    def end(self, timeout=40):
        _, self.stderr = self.process.communicate(timeout=timeout)
        return self.process.returncode, self.lines()

    def stop(self):
        self.process.terminate()
        return self.end()[1]

    def sockets(self):
        place = f"/proc/{self.process.pid}/fd"
        return sum(os.readlink(f"{place}/{fd}").startswith("socket:") for fd in os.listdir(place))


def clients(d, n):
    until(lambda: d.control("GET", "/v1/status").json["waiting_clients"] == n, timeout=30)


# ---- wait


def test_hundreds_of_jobs_over_few_connections_and_a_restart(d):
    n = 2000 if FULL else 300
    call_back(d, "j0")
    call_back(d, f"j{n - 1}", "failed")
    wait = Ctl(d, "--json", "wait", *(f"s/j{i}" if i % 3 else f"j{i}" for i in range(n)))
    until(lambda: len(wait.lines()) == 2)
    assert wait.sockets() <= 30  # 16 polls, the watch, a few questions
    for i in range(1, n // 2):
        call_back(d, f"j{i}")
    until(lambda: len(wait.lines()) == n // 2 + 1)
    assert d.stop() == 0
    d.start()
    for i in range(n // 2, n - 1):
        call_back(d, f"j{i}")
    status, lines = wait.end()
    assert status == 1, wait.stderr
    assert sorted(json.loads(line)["id"] for line in lines) == sorted(f"j{i}" for i in range(n))
    assert wait.stderr == ""


def test_what_came_while_the_daemon_was_away_is_seen(d):
    """The last word of a fed job falls between two connections."""
    ids = [f"j{i}" for i in range(20)]
    wait = Ctl(d, "wait", *(f"s/{i}" for i in ids))
    clients(d, 17)
    d.kill9()
    d.start()
    for i in ids:  # perhaps before it is back, perhaps after
        call_back(d, i)
    status, lines = wait.end()
    assert status == 0 and len(lines) == 20, wait.stderr


@pytest.mark.parametrize("n", [1, 20])  # polled; fed
def test_the_first_to_end_decides(d, n):
    wait = Ctl(d, "wait", "--any", *(f"s/j{i}" for i in range(n + 1)))
    clients(d, min(n + 1, 17))
    call_back(d, f"j{n}", "failed")
    assert wait.end() == (1, [f"s/j{n}  error  failed"]), wait.stderr
    clients(d, 0)


@pytest.mark.parametrize("n", [1, 20])
def test_the_time_passes(d, n):
    call_back(d, "e", "failed")
    call_back(d, "j0")
    wait = Ctl(d, "wait", "--timeout", "1s", "s/e", *(f"s/j{i}" for i in range(n + 1)))
    status, lines = wait.end()  # 124 before 1 before 0
    assert status == 124 and sorted(lines) == ["s/e  error  failed", "s/j0  success  completed"]
    assert wait.stderr.count("not over in time") == n
    assert Ctl(d, "wait", "--timeout", "0", *["s/j0"] * (n + 1)).end() == (0, ["s/j0  success  completed"] * (n + 1))


@pytest.mark.parametrize("n", [0, 20])
def test_hooks_are_waited_for_when_asked(d, n):
    more = [f"t/j{i}" for i in range(n)]
    for name in more:
        call_back(d, name[2:], source="t")
    call_back(d, "x", source="t")
    assert Ctl(d, "wait", *more, "t/x").end()[0] == 0  # the hooks run still
    wait = Ctl(d, "wait", "--hooks", *more, "t/x")
    clients(d, min(n + 1, 17))
    assert wait.lines() == []
    d.write("go", "")
    status, lines = wait.end()
    assert status == 0 and len(lines) == n + 1
    call_back(d, "f", "failed")
    assert Ctl(d, "wait", "--hooks", "s/f").end()[0] == 1
    call_back(d, "g")
    assert Ctl(d, "wait", "--hooks", "s/g").end() == (0, ["s/g  success  completed"])


def test_an_id_of_several_sources_has_to_be_named(d):
    for source in "st":
        call_back(d, "twin", source=source)
    wait = Ctl(d, "wait", "twin")
    assert wait.end()[0] == 2 and "s/twin" in wait.stderr and "t/twin" in wait.stderr


# ---- expectations


def test_what_is_expected_is_listed_with_its_age(d):
    assert d.ctl("expect", "s/a", "--within", "1h").returncode == 0
    call_back(d, "b", "running")
    done = d.ctl("expect", "nowhere")
    assert done.returncode == 2 and "s, t" in done.stderr
    assert d.ctl("expect", "b").returncode == 0  # known: of that source
    lines = d.ctl("list", "--expected").stdout.splitlines()
    assert len(lines) == 3 and all("s  " in line.split("  ")[0] + "  " for line in lines[1:])
    call_back(d, "a")
    assert [json.loads(line)["id"] for line in d.ctl("--json", "list", "--expected").stdout.splitlines()] == ["b"]
    assert d.ctl("forget", "b").returncode == 0
    assert len(d.ctl("list", "--expected").stdout.splitlines()) == 1
    assert d.ctl("forget", "b").returncode == 66


# ---- watch


def seqs(lines):
    return [json.loads(line)["seq"] for line in lines]


def test_a_consumer_that_was_away_misses_nothing(d):
    """Killed, restarted, the daemon restarted under it: with its cursor it sees each change once."""
    cursor = os.path.join(d.directory, "cursor")
    seen = []
    first = Ctl(d, "--json", "watch", "--cursor", cursor)
    until(lambda: os.path.exists(cursor))
    first.process.kill()  # before it has seen anything
    seen += first.end()[1]
    call_back(d, "a")
    second = Ctl(d, "--json", "watch", "--cursor", cursor)
    until(lambda: len(second.lines()) >= 1)
    assert d.stop() == 0
    d.start()
    call_back(d, "b")
    until(lambda: any('"b"' in line for line in second.lines()))
    seen += second.stop()
    for i in range(300):
        call_back(d, f"c{i}")
    third = Ctl(d, "--json", "watch", "--cursor", cursor)
    until(lambda: len(seen) + len(third.lines()) == 302)
    seen += third.stop()
    assert seqs(seen) == list(range(1, 303))
    with open(cursor, encoding="ascii") as text:
        assert text.read().split() == ["302", d.control("GET", "/v1/status").json["store"]["name"]]


def test_watch_comes_back_by_itself_without_a_cursor(d):
    watch = Ctl(d, "watch")
    clients(d, 1)
    d.kill9()
    d.start()
    call_back(d, "a")
    until(lambda: watch.lines())
    (line,) = watch.stop()
    assert line.startswith("1  ") and line.endswith("  s/a  success  completed")


def tell(d, after, n):
    """The first lines of a watch from a number on."""
    watch = Ctl(d, "--json", "watch", "--after", str(after))
    until(lambda: len(watch.lines()) >= n)
    lines = watch.stop()
    return [json.loads(line) for line in lines[:n]], watch.stderr


def test_what_is_not_kept_any_more_is_told(d):
    for i in range(6):
        call_back(d, f"j{i}")
    assert d.stop() == 0
    (store,) = [name for name in os.listdir(d.state) if name.endswith((".db", ".sqlite", ".sqlite3")) or name == "store"]
    with sqlite3.connect(os.path.join(d.state, store)) as db:
        db.execute("DELETE FROM change WHERE seq <= 3")  # as pruning does, some day
    db.close()
    d.start()
    (gap, line), words = tell(d, 1, 2)
    assert gap["gap"] == {"after": 1, "next": 4} and gap["seq"] == 3 and gap["time"]
    assert line["seq"] == 4 and "between 1 and 4" in words
    assert tell(d, 3, 1)[0][0]["seq"] == 4  # nothing is missing
    assert tell(d, 0, 1)[0][0]["seq"] == 4  # what there is
    (gap,), _ = tell(d, 5000, 1)  # of another store, or of this one before it was put back
    assert gap["gap"] == {"after": 5000, "next": 7} and gap["seq"] == 6

"""The control socket of a real daemon: shapes, errors, long polls, watch, what changes
something; and callbackctl on top of it."""

import json
import re
import subprocess
import threading
import time

import pytest

from helpers import build_directory, hmac_hex, until
from helpers.daemon import UnixConnection

CONFIG = """
[Source s]
Verify=hmac
SecretFile=secret
[Source t]
Verify=header
SecretFile=secret
[Hook h]
Source=s
Exec=/bin/sh -c 'cat; echo err >&2; test "$CALLBACK_STATUS" != completed || exit 0; exit 3'
On=success failed
Retries=0
"""
FILES = {"secret": "s3cret\n"}


def send(d, id, status="completed", source="s", **more):
    body = json.dumps({"id": id, "status": status, **more})
    headers = hmac_hex("s3cret", body) if source == "s" else {"X-Webhook-Secret": "s3cret"}
    answer = d.post(f"/callback/{source}", body, headers)
    assert answer.status == 200, answer


@pytest.fixture
def d(run_daemon):
    return run_daemon(CONFIG, files=FILES)


class Watch(threading.Thread):
    """Collects the lines of /v1/watch."""

    def __init__(self, d, query=""):
        super().__init__(daemon=True)
        self.connection = UnixConnection(d.control_socket, 30)
        self.connection.request("GET", "/v1/watch" + query)
        self.answer = self.connection.getresponse()  # from here on nothing is missed
        self.lines = []
        self.start()

    def run(self):
        try:
            while line := self.answer.readline():
                self.lines.append(json.loads(line))
        except (OSError, ValueError, AttributeError):
            pass


def test_job_and_run_shapes(d):
    send(d, "a/b", x=1)
    job = d.control("GET", "/v1/jobs/s/a%2Fb?wait=5&hooks=yes").json
    assert {"source", "id", "status", "outcome", "received", "updated", "expected", "confirmed",
            "deliveries", "payload", "runs", "hooks"} <= set(job)
    assert (job["id"], job["outcome"], job["expected"]) == ("a/b", "success", None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", job["received"])
    (run,) = job["runs"]
    assert {"run", "hook", "source", "id", "outcome", "state", "attempt", "due", "started",
            "finished", "exit_status", "signal", "stdout", "stderr", "truncated",
            "replay_of"} <= set(run)
    assert run["stdout"] == job["payload"] and run["stderr"] == "err\n"
    assert (run["state"], run["exit_status"], run["signal"]) == ("done", 0, None)
    assert d.control("GET", f"/v1/runs/{run['run']}").json["stdout"] == run["stdout"]
    (listed,) = d.control("GET", "/v1/runs?hook=h&state=done").json["runs"]
    assert "stdout" not in listed and listed["run"] == run["run"]
    (listed,) = d.control("GET", "/v1/jobs?source=&outcome=&since=&limit=&after=").json["jobs"]
    assert "payload" not in listed and "runs" not in listed


def test_hooks_say_why(d):
    send(d, "j", "error")
    assert d.job("s", "j")["hooks"] == [
        {"hook": "h", "ran": False, "why": "On= does not list error"}]
    send(d, "k", source="t")
    assert d.job("t", "k")["hooks"][0]["why"] == "Source= does not name it"
    send(d, "l")
    d.control("GET", "/v1/jobs/s/l?wait=5&hooks=yes")
    assert d.job("s", "l")["hooks"] == [{"hook": "h", "ran": True, "why": None}]
    assert "On= does not list error" in d.ctl("show", "s/j").stdout


@pytest.mark.parametrize("method,path,status", [
    ("GET", "/nowhere", 404), ("GET", "/v1/jobs/s", 404), ("GET", "/v1/jobs/s/x/y", 404),
    ("GET", "/v1/jobs/s/", 404), ("GET", "/v1/jobs/s/x", 404), ("GET", "/v1/jobs/s/%zz", 400),
    ("GET", "/v1/jobs/s/%00", 400), ("GET", "/v1/jobs?limit=0", 400),
    ("GET", "/v1/jobs?limit=x", 400), ("GET", "/v1/jobs?outcome=great", 400),
    ("GET", "/v1/jobs?since=yesterday", 400), ("GET", "/v1/jobs?source=a&source=b", 400),
    ("GET", "/v1/runs?state=great", 400), ("GET", "/v1/runs/none-1", 404),
    ("GET", "/v1/jobs/s/x?wait=soon", 400), ("GET", "/v1/watch?after=x", 400),
    ("DELETE", "/v1/jobs/s/x", 404), ("PUT", "/v1/jobs/nosuch/x", 404),
    ("PUT", "/v1/jobs/s/a%0Ab", 400), ("POST", "/v1/runs/none-1/replay", 404),
    ("POST", "/v1/runs/none-1/discard", 404), ("POST", "/v1/sources/nosuch/test", 404),
    ("POST", "/v1/hooks/nosuch/pause", 404), ("POST", "/v1/hooks/nosuch/resume", 404),
    ("POST", "/v1/sources/nosuch/verify", 404), ("POST", "/v1/backup", 405),
])
def test_errors(d, method, path, status):
    answer = d.control(method, path)
    assert answer.status == status
    assert isinstance(answer.json["error"], str) and answer.json["error"]


def test_methods_not_allowed(d):
    answer = d.control("POST", "/v1/jobs/s/x")
    assert answer.status == 405
    assert answer.headers["Allow"].split(", ") == ["GET", "PUT", "DELETE"]
    assert d.control("GET", "/v1/reload").headers["Allow"] == "POST"


@pytest.mark.parametrize("body", ["{", "[]", '{"within":"soon"}', '{"within":-1}',
                                  '{"a":1,"a":2}'])
def test_bad_bodies(d, body):
    assert d.control("PUT", "/v1/jobs/s/x", body).status == 400
    assert d.job("s", "x") is None


@pytest.mark.parametrize("method,path", [
    ("PUT", "/v1/jobs/s/x"), ("POST", "/v1/runs/none-1/discard"),
    ("POST", "/v1/sources/s/test"), ("POST", "/v1/uploads")])
def test_unknown_members_are_named(d, method, path):
    answer = d.control(method, path, {"witin\n": "10min"})
    assert answer.status == 400 and "witin\n" in answer.json["error"]
    assert d.control("GET", "/v1/jobs").json["jobs"] == []


def test_expect_is_idempotent_and_forget(d):
    for within in ({}, {"within": "10min"}, {"within": 5.5}):
        answer = d.control("PUT", "/v1/jobs/s/e", within)
        assert answer.status == 200
        assert (answer.json["outcome"], answer.json["status"]) == ("pending", None)
        assert answer.json["expected"] and answer.json["received"] is None
    send(d, "e")
    done = d.control("PUT", "/v1/jobs/s/e", {})
    assert done.json["outcome"] == "success"
    d.control("GET", "/v1/jobs/s/e?wait=5&hooks=yes")
    assert d.control("DELETE", "/v1/jobs/s/e").status == 200
    assert d.job("s", "e") is None
    # In the message too: the journal's short form shows no field.
    until(lambda: "]: Job s/e is forgotten, by request" in d.stderr)
    assert "]: Job s/e is expected, by request" in d.stderr


def test_list_filters_and_pages(d):
    for i in range(7):
        send(d, f"p{i}", "failed" if i % 2 else "completed")
    send(d, "other", source="t")
    seen, after = [], ""
    while after is not None:
        page = d.control("GET", f"/v1/jobs?source=s&limit=3&after={after}").json
        assert len(page["jobs"]) <= 3
        seen += [j["id"] for j in page["jobs"]]
        after = page["next"]
    assert sorted(seen) == [f"p{i}" for i in range(7)] and len(seen) == 7
    ids = lambda q: {j["id"] for j in d.control("GET", "/v1/jobs?" + q).json["jobs"]}
    assert ids("outcome=error&source=s") == {"p1", "p3", "p5"}
    assert ids("since=1h") == {f"p{i}" for i in range(7)} | {"other"}
    assert ids("since=2100-01-01T00:00:00Z") == set()
    assert len(d.ctl("--json", "list", "--limit", "4").stdout.splitlines()) == 4


def test_long_poll_ends_with_the_callback_or_the_time(d):
    start = time.monotonic()
    assert d.control("GET", "/v1/jobs/s/w?wait=0.5").status == 404
    assert 0.4 < time.monotonic() - start < 5
    d.control("PUT", "/v1/jobs/s/w", {})
    assert d.control("GET", "/v1/jobs/s/w?wait=0.2").json["outcome"] == "pending"
    got = []
    polls = [threading.Thread(target=lambda p=p: got.append(d.control("GET", p).json))
             for p in ("/v1/jobs/s/w?wait=20", "/v1/jobs?id=w&wait=20") * 3]
    start = time.monotonic()
    for t in polls:
        t.start()
    until(lambda: d.control("GET", "/v1/status").json["waiting_clients"] == 6)
    send(d, "w", "running")  # not over yet
    send(d, "w")
    for t in polls:
        t.join(10)
    assert time.monotonic() - start < 10 and len(got) == 6
    for answer in got:
        assert (answer["jobs"][0] if "jobs" in answer else answer)["outcome"] == "success"
    assert d.control("GET", "/v1/status").json["waiting_clients"] == 0


def test_an_asker_that_goes_is_forgotten(d):
    c = UnixConnection(d.control_socket, 10)
    c.request("GET", "/v1/jobs/s/g?wait=60")
    w = Watch(d)
    until(lambda: d.control("GET", "/v1/status").json["waiting_clients"] == 2)
    c.close()
    w.connection.sock.shutdown(2)
    until(lambda: d.control("GET", "/v1/status").json["waiting_clients"] == 0)
    send(d, "g")


def test_watch_without_gap_or_double(d):
    for i in range(300):
        send(d, f"w{i}", source="t")
    w = Watch(d, "?after=0")
    live = Watch(d)
    senders = [threading.Thread(target=lambda n=n: [send(d, f"x{n}-{i}", source="t")
                                                    for i in range(50)]) for n in range(3)]
    for t in senders:
        t.start()
    for t in senders:
        t.join()
    late = Watch(d, "?after=100")
    want = {f"w{i}" for i in range(300)} | {f"x{n}-{i}" for n in range(3) for i in range(50)}
    until(lambda: {l["job"]["id"] for l in w.lines if "job" in l} == want)
    until(lambda: len(live.lines) >= 150)
    until(lambda: late.lines and late.lines[-1]["seq"] == w.lines[-1]["seq"])
    seqs = [l["seq"] for l in w.lines]
    assert seqs == sorted(set(seqs)) and seqs[-1] - seqs[0] == len(seqs) - 1
    assert [l["seq"] for l in late.lines] == [s for s in seqs if s > 100]
    assert [l["seq"] for l in live.lines] == seqs[-150:]


def test_watchers_that_begin_in_a_burst(d):
    """The seam between history and live, many times, while others commit."""
    count, workers = 120, 4
    senders = [threading.Thread(target=lambda n=n: [send(d, f"b{n}-{i}", source="t")
                                                    for i in range(count)])
               for n in range(workers)]
    for t in senders:
        t.start()
    watches = []
    while any(t.is_alive() for t in senders):
        watches.append(Watch(d, "?after=0"))
        time.sleep(0.005)
    for t in senders:
        t.join()
    send(d, "end", source="t")
    end = lambda w: w.lines and w.lines[-1]["job"]["id"] == "end"
    until(lambda: all(end(w) for w in watches))
    for w in watches:
        seqs = [line["seq"] for line in w.lines]
        assert seqs == list(range(seqs[0], seqs[0] + count * workers + 1))


def test_a_slow_watcher_costs_a_constant_and_loses_nothing(d):
    w = UnixConnection(d.control_socket, 30)
    w.request("GET", "/v1/watch?after=0")
    answer = w.getresponse()
    for i in range(1800):  # far more than socket and buffer hold
        send(d, f"{i}" + 240 * '"', 250 * '"', source="t")
    send(d, "last", source="t")
    seqs, size = [], 0
    while True:
        data = answer.readline()
        size += len(data)
        line = json.loads(data)
        seqs.append(line["seq"])
        if line["job"]["id"] == "last":
            break
    assert seqs == list(range(seqs[0], seqs[0] + 1801)) and size > 2 << 20
    send(d, "live again", source="t")
    assert json.loads(answer.readline())["job"]["id"] == "live again"
    w.close()


def test_replay_and_discard(d):
    send(d, "r", "failed")
    job = d.control("GET", "/v1/jobs/s/r?wait=5&hooks=yes").json
    (run,) = job["runs"]
    assert run["state"] == "dead"
    assert d.ctl("wait", "--hooks", "s/r").returncode == 1
    r = d.ctl("--json", "replay", run["run"])
    assert r.returncode == 0
    new = json.loads(r.stdout)["run"]
    d.control("GET", "/v1/jobs/s/r?wait=5&hooks=yes")
    again = d.control("GET", f"/v1/runs/{new}").json
    assert (again["replay_of"], again["attempt"], again["state"]) == (run["run"], 1, "dead")
    assert d.ctl("discard", new, "--reason", "known").returncode == 0
    assert d.control("GET", f"/v1/runs/{new}").json["state"] == "done"
    assert d.ctl("discard", new).returncode == 1


def test_the_test_of_a_source(d):
    for source in ("s", "t"):
        r = d.ctl("--json", "test", source)
        assert r.returncode == 0, r.stderr
        answer = json.loads(r.stdout)
        assert (answer["status"], answer["body"]) == (200, "{}")
        assert d.job(source, answer["id"])["outcome"] == "success"
        assert answer["id"].startswith("test-")
        assert "s3cret" not in r.stdout
        assert d.ctl("test", source, "--tamper").returncode == 0
        assert d.ctl("test", source, "--status", "failed", "--id", "f").returncode == 0
        assert d.job(source, "test-f")["outcome"] == "error"


def test_tests_are_told_apart(run_daemon, recorder):
    d = run_daemon(f"[Source s]\nVerify=hmac\nSecretFile=secret\n[Hook h]\nExec={recorder.exec}\n",
                   files=FILES)
    assert d.ctl("test", "s").returncode == 0
    (run,) = recorder.wait(1)
    assert run.env["CALLBACK_TEST"] == "1" and run.ID.startswith("test-")
    send(d, "test-mine")
    assert "CALLBACK_TEST" not in recorder.wait(2)[1].env


def test_reload_and_its_problems(d):
    assert d.ctl("reload").returncode == 0
    d.configure(CONFIG + "Bogus=1\nOther=2\n")
    answer = d.control("POST", "/v1/reload")
    assert answer.status == 422 and len(answer.json["problems"]) >= 2
    r = d.ctl("reload")
    assert r.returncode == 78 and "Bogus" in r.stderr and "Other" in r.stderr
    # Escaped once, wherever it is told.
    d.configure(CONFIG + "Bo\x1bgus=1\n")
    check = [build_directory() / "callbackd", "-n", "-c", str(d.config)]
    for answer in (d.ctl("reload"), subprocess.run(check, capture_output=True, text=True, timeout=20, check=False)):
        assert answer.returncode == 78 and "unknown key Bo\\x1Bgus=" in answer.stderr
    assert "unknown key Bo\\x1Bgus=" in d.control("POST", "/v1/reload").json["problems"][0]
    until(lambda: "unknown key Bo\\x1Bgus=" in d.stderr)
    send(d, "still")


def test_status(d):
    s = d.control("GET", "/v1/status").json
    assert s["pid"] == d.process.pid and s["store"]["healthy"] is True
    assert [x["name"] for x in s["sources"]] == ["s", "t"]
    assert d.ctl("status").returncode == 0


def test_stop_ends_long_polls_and_watches(d):
    got = []
    poll = threading.Thread(target=lambda: got.append(
        d.control("GET", "/v1/jobs/s/z?wait=60").status))
    poll.start()
    w = Watch(d)
    until(lambda: d.control("GET", "/v1/status").json["waiting_clients"] == 2)
    start = time.monotonic()
    d.process.terminate()
    assert d.process.wait(15) == 0
    assert time.monotonic() - start < 10
    poll.join(5)
    w.join(5)
    assert got == [503] and not w.is_alive()


def test_wait_of_the_tool(d):
    p = [subprocess.Popen([build_directory() / "callbackctl", "-s", d.control_socket, "wait", *args],
                          stdout=subprocess.PIPE, text=True)
         for args in (["s/later", "u"], ["--any", "s/never", "u"])]
    until(lambda: d.control("GET", "/v1/status").json["waiting_clients"] == 4)
    send(d, "u", source="t")
    assert p[1].communicate(timeout=10)[0] == "t/u  success  completed\n"
    send(d, "later", "failed")
    # two answers that come close together are met in either order
    lines = p[0].communicate(timeout=10)[0].splitlines()
    assert sorted(lines) == ["s/later  error  failed", "t/u  success  completed"]
    assert [x.returncode for x in p] == [1, 0]

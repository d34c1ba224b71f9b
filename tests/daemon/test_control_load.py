"""The control socket under many askers: what a wait costs, what one that never reads costs,
and that a stop leaves nobody without an answer."""

import http.client
import json
import socket
import threading
import time

import pytest

from helpers import until

CONFIG = "[Source s]\nVerify=none\n"
MIB = 1 << 20


@pytest.fixture
def d(run_daemon):
    return run_daemon(CONFIG)


def rss(d):
    with open(f"/proc/{d.process.pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * 4096


def ask(d, path):
    """Asked, and nothing of the answer is read."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(d.control_socket)
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return s


def waiting(d, count):
    until(lambda: d.control("GET", "/v1/status").json["waiting_clients"] == count)


def fat(d, status):
    body = json.dumps({"id": "fat", "status": status, "x": "\1\2" * 80000})
    assert d.post("/callback/s", body, timeout=60).status == 200


def test_a_long_poll_keeps_no_payload(d):
    """What waits costs what waiting takes, and its end does not hold up the others."""
    count = 150
    fat(d, "pending")
    d.job("s", "fat")
    before = rss(d)
    polls = [ask(d, "/v1/jobs/s/fat?wait=600") for _ in range(count)]
    waiting(d, count)
    assert d.control("GET", "/v1/jobs/s/fat?wait=0.05").status == 200  # theirs are answered
    assert rss(d) - before < 30 * MIB
    fat(d, "completed")
    slowest, left = 0, count
    while left:
        start = time.monotonic()
        assert d.request("GET", "/healthz", timeout=60).status == 200
        left = d.control("GET", "/v1/status", timeout=60).json["waiting_clients"]
        slowest = max(slowest, time.monotonic() - start)
    assert slowest < 1, slowest
    for s in polls:
        assert s.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200"
        s.close()


def changes_of(s):
    """What a watch says, behind its head and between the sizes of its chunks."""
    for line in s.makefile("rb"):
        if line.startswith(b"{"):
            yield json.loads(line)


def test_watchers_that_never_read_cost_little(d):
    watchers, count = 60, 1500
    before = rss(d)
    watches = [ask(d, "/v1/watch?after=0") for _ in range(watchers)]
    waiting(d, watchers)
    c = http.client.HTTPConnection("127.0.0.1", d.port, timeout=30)
    for i in range(count):  # a megabyte a watcher
        c.request("POST", "/callback/s", json.dumps({"id": f"{i:0200}", "status": "x" * 200}))
        assert c.getresponse().read() == b"{}"
    c.close()
    time.sleep(0.3)
    assert rss(d) - before < 20 * MIB
    for _, change in zip(range(count), changes_of(watches[0])):  # and nothing is lost
        assert int(change["job"]["id"]) == _
    for s in watches:
        s.close()


def test_a_line_longer_than_the_room_is_told(run_daemon):
    d = run_daemon(CONFIG + "[Hook h]\nExec=/bin/false\nRetries=0\n")
    d.post("/callback/s", '{"id":"j","status":"completed"}')
    (run,) = d.control("GET", "/v1/jobs/s/j?wait=10&hooks=yes").json["runs"]
    s = ask(d, "/v1/watch")
    waiting(d, 1)
    reason = "r" * 200000
    answer = d.control("POST", f"/v1/runs/{run['run']}/discard", {"reason": reason})
    assert answer.status == 200
    assert reason in next(changes_of(s))["run"]["reason"]
    s.close()


def test_calls_that_last_have_a_cap(d):
    polls = [ask(d, f"/v1/jobs/s/{i}?wait=600" if i % 2 else "/v1/watch") for i in range(1024)]
    waiting(d, 1024)
    for path in ("/v1/watch", "/v1/jobs/s/x?wait=5", "/v1/jobs?id=x&wait=5"):
        answer = d.control("GET", path)
        assert answer.status == 503 and "1024" in answer.json["error"]
    assert d.control("GET", "/v1/jobs/s/x").status == 404  # what does not last is served
    polls.pop().close()
    waiting(d, 1023)
    assert d.control("GET", "/v1/jobs/s/x?wait=0.01").status == 404
    for s in polls:
        s.close()
    waiting(d, 0)


UPLOADS = """
[Source up]
Preset=eachlabs
UploadURL=http://127.0.0.1:{port}/
UploadOwner=o
APIKeyFile=key
"""


def said(s):
    """The whole answer: the connection ends behind it."""
    answer = b"".join(iter(lambda: s.recv(65536), b""))
    s.close()
    return answer


def test_a_stop_answers_what_is_in_flight(run_daemon):
    service = socket.create_server(("127.0.0.1", 0))  # takes an upload, and never answers
    d = run_daemon(CONFIG + UPLOADS.format(port=service.getsockname()[1]), files={"key": "k\n"})
    upload = ask(d, "/nowhere")  # a connection that is kept
    assert b"404" in upload.recv(65536)
    body = b'{"content_type":"image/png"}'
    head = b"POST /v1/uploads HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    upload.sendall(head % len(body) + body)
    service.settimeout(10)
    busy, _ = service.accept()
    watch = ask(d, "/v1/watch")
    assert b" 200 OK" in watch.recv(65536)
    late = socket.socket(socket.AF_UNIX)  # its body is not here yet
    late.settimeout(20)
    late.connect(d.control_socket)
    late.sendall(head % len(body) + body[:5])
    waiting(d, 1)
    start = time.monotonic()
    d.process.terminate()
    answers = [said(upload), said(late)]
    assert d.process.wait(15) == 0
    assert time.monotonic() - start < 5
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 503 ") and b'"the daemon is stopping"' in answer
    assert said(watch).endswith(b"0\r\n\r\n")
    busy.close()
    service.close()


def test_a_stop_answers_what_the_store_still_works_on(d):
    """The questions that come with the signal: each gets its answer, or a 503."""
    askers = [ask(d, "/v1/jobs/s/none") for _ in range(40)]
    for s in askers:
        assert b" 404 " in s.recv(65536)
    d.process.send_signal(19)  # SIGSTOP: all of it is there at once
    for i, s in enumerate(askers):
        s.sendall(f"PUT /v1/jobs/s/e{i} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
    d.process.terminate()
    d.process.send_signal(18)
    for answer in map(said, askers):
        assert answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 503 ")), answer
    assert d.process.wait(15) == 0

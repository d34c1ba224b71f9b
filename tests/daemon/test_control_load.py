"""The control socket under many askers: what a wait costs, what one that never reads costs,
and that a stop leaves nobody without an answer."""

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

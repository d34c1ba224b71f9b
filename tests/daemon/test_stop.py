"""An orderly stop: what was under way is answered, and what was answered is kept."""

import json
import signal

from helpers import until
from helpers.sign import hmac_hex

SOURCE = "[Source s]\nVerify=hmac\nSecretFile=s\n"
FILES = {"s": "s3cret"}
NOTE = "[Hook note]\nExec={}\n"


def request(id):
    body = json.dumps({"id": id, "status": "completed"}).encode()
    head = [f"{name}: {value}" for name, value in hmac_hex("s3cret", body).items()]
    lines = ["POST /callback/s HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *head]
    return "\r\n".join(lines).encode() + b"\r\n\r\n", body


def answer(connection):
    got = b""
    while piece := connection.recv(65536):
        got += piece
    return got


def test_requests_under_way_are_taken(run_daemon, recorder):
    d = run_daemon(SOURCE + NOTE.format(recorder.exec), files=FILES)
    held = {}
    for where in "head", "body":
        head, body = request(where)
        cut = len(head) - 10 if where == "head" else len(head) + 5
        held[where] = d.connect(), (head + body)[cut:]
        held[where][0].sendall((head + body)[:cut])
    assert d.request("GET", "/healthz").status == 200  # so those before it are accepted
    d.signal(signal.SIGTERM)
    assert d.notify.wait("STOPPING=1", d.process, 10)
    for where, (connection, rest) in held.items():
        connection.sendall(rest)
        got = answer(connection)
        assert got.startswith(b"HTTP/1.1 200 "), (where, got)
        assert b"\r\nConnection: close\r\n" in got, where
    assert d.wait() == 0
    d.restart()
    for where in held:
        until(lambda: d.job("s", where)["runs"][0]["state"] == "done")
        assert d.job("s", where)["deliveries"] == 1
    assert sorted(run.ID for run in recorder.all()) == ["body", "head"]

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


def test_callbacks_are_taken_while_hooks_end(run_daemon, recorder, tmp_path):
    """The next start is as far away as StopTimeout=, and senders do not wait for so long."""
    script = f'while [ ! -e {tmp_path}/go ]; do sleep 0.02; done'
    d = run_daemon(
        SOURCE + f"Path=/slow\n[Hook slow]\nSource=s\nExec=/bin/sh -c '{script}'\n"
        "[Source t]\nVerify=hmac\nSecretFile=s\n" + "[Hook note]\nSource=t\n" + f"Exec={recorder.exec}\n",
        files=FILES,
    )
    body = '{"id":"held","status":"completed"}'
    assert d.post("/slow", body, hmac_hex("s3cret", body)).status == 200
    until(lambda: d.runs("?state=running"))
    d.signal(signal.SIGTERM)
    assert d.notify.wait("STOPPING=1", d.process, 10)
    for n in range(3):
        body = json.dumps({"id": f"late-{n}", "status": "completed"})
        assert d.post("/callback/t", body, hmac_hex("s3cret", body)).status == 200
    assert d.process.poll() is None
    (tmp_path / "go").touch()
    assert d.wait() == 0
    assert recorder.all() == []
    d.start()
    assert {run.ID for run in recorder.wait(3)} == {"late-0", "late-1", "late-2"}
    assert {run.ATTEMPT for run in recorder.all()} == {"1"}
    assert d.job("s", "held")["runs"][0]["state"] == "done"

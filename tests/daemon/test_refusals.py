"""What the journal says of what was refused: one line with reason and address, bounded, no token."""

import re
import socket

import pytest

from helpers import certificate, until
from helpers.crowd import insecure
from helpers.wire import Talk, answers, converse_all

TOKEN = "tok3n-S3CRET-0123456789abcdefghijklmnopqrst"
CONFIG = "[Source s]\nVerify=token\nSecretFile=token\n[Source n]\nVerify=hmac\nSecretFile=secret\n"
FILES = {"token": TOKEN + "\n", "secret": "s3cret\n"}
LIMITS = "LogLevel=debug\nMaxBodyBytes=1000\nHeaderTimeout=300ms\nBodyTimeout=300ms\nHandshakeTimeout=300ms\n"
PATH = b"/callback/s/" + TOKEN.encode()
H = b" HTTP/1.1\r\nHost: a\r\n"

CASES = [  # what is sent, the status, what the line says
    (b"GET " + PATH + H + b"\r\n", 405, "Answered 405 to a GET"),
    (b"BR\xc3\x84W " + PATH + H + b"\r\n", 400, "method is no token"),
    (b"POST /nowhere/" + TOKEN.encode() + H + b"\r\n", 404, "Answered 404 to a POST"),
    (b"POST " + PATH + b"/more" + H + b"\r\n", 401, "the token in the path is none of 1 secret"),
    (b"POST " + PATH[:-1] + H + b"\r\n", 401, "the token in the path is none of 1 secret"),
    (b"POST /callback/n" + H + b"Content-Length: 2\r\n\r\n{}", 401, "Refused a callback for n"),
    (b"POST " + PATH + b" HTTP/1.1\r\n\r\n", 400, "no Host"),
    (b"POST " + PATH + b" HTTP/1.1\nHost: a\r\n\r\n", 400, "LF without CR"),
    (b"POST " + PATH + b"\x00" + H + b"\r\n", 400, "NUL in the head"),
    (b"POST " + PATH + H + b"Transfer-Encoding: x\r\n\r\n", 400, "Transfer-Encoding other than chunked"),
    (b"POST " + PATH + H + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "with Content-Length"),
    (b"POST " + PATH + H + b"Transfer-Encoding: chunked\r\n\r\nz", 400, "chunked coding not as RFC 9112 has it"),
    (b"POST " + PATH + H + b"Content-Length: 1001\r\n\r\n", 413, "body too large"),
    (b"POST " + PATH + b"?" + b"x" * 9000 + H + b"\r\n", 414, "target too long"),
    (b"POST " + PATH + H + b"Content-Encoding: gzip\r\n\r\n", 415, "Content-Encoding"),
    (b"POST " + PATH + H + b"Expect: tea\r\n\r\n", 417, "Expect"),
    (b"POST " + PATH + H + b"X: y\r\n" * 100 + b"\r\n", 431, "too many header fields"),
    (b"POST " + PATH + H, 408, "head too slow"),
    (b"POST " + PATH + H + b"Content-Length: 5\r\n\r\n{", 408, "body too slow"),
]


@pytest.fixture
def daemon(new_daemon, tmp_path):
    certificate(tmp_path)
    tls = socket.create_server(("127.0.0.1", 0))
    keys = f"TLSCertificateFile={tmp_path}/cert.pem\nTLSKeyFile={tmp_path}/key.pem\n"
    return new_daemon(
        CONFIG, daemon=LIMITS + keys, files=FILES, sockets=[("callbackd-tls.socket", tls)]
    ).start()


def exchange(address, message, source="127.0.0.77"):
    with socket.create_connection(address, timeout=15, source_address=(source, 0)) as s:
        s.sendall(message)
        received = b""
        try:
            while data := s.recv(65536):
                received += data
                if b"\r\n\r\n" in received:
                    break
        except ConnectionResetError:
            pass
        return received


def test_one_line_each_with_reason_and_address_and_no_token(daemon):
    address = ("127.0.0.1", daemon.port)
    for number, (message, status, reason) in enumerate(CASES):
        source = f"127.0.1.{number + 1}"
        assert int(exchange(address, message, source)[9:12]) == status, message
        line = until(lambda: [line for line in daemon.stderr.splitlines() if f"from {source}]" in line])
        assert len(line) == 1 and reason in line[0], (reason, line)
    assert TOKEN[:-1] not in daemon.stderr
    # The counter of status says how many of them the listener itself refused.
    assert daemon.control("GET", "/v1/status").json


def test_what_has_no_answer_is_told_too(daemon):
    tls = daemon.sockets[1][1].getsockname()
    for number, (message, reason) in enumerate(
        [(b"GET " + PATH + H + b"\r\n", "TLS handshake failed"), (b"\x16\x03\x01", "handshake too slow")]
    ):
        source = f"127.0.2.{number + 1}"
        assert b"HTTP/1.1 2" not in exchange(tls, message, source)
        line = until(lambda: [line for line in daemon.stderr.splitlines() if f"from {source}]" in line])
        assert len(line) == 1 and reason in line[0], (reason, line)
    with socket.create_connection(tls, source_address=("127.0.2.9", 0)) as raw:
        with insecure().wrap_socket(raw) as s:  # a sound one is not told of
            s.sendall(b"GET /healthz" + H + b"\r\n")
            assert s.recv(100).startswith(b"HTTP/1.1 200 ")
    assert daemon.stop() == 0
    assert "127.0.2.9" not in daemon.stderr
    assert TOKEN not in daemon.stderr


def test_a_flood_is_counted_not_written(daemon):
    n = 4000
    talks = (Talk(i, [b"GET " + PATH + H + b"Connection: close\r\n\r\n"]) for i in range(n))
    for talk in converse_all(talks, lambda: socket.create_connection(("127.0.0.1", daemon.port))):
        assert answers(talk.received)[0][0] == 405
    assert daemon.stop() == 0
    written = daemon.stderr.count("Answered 405 to a GET")
    left_out = [int(n) for n in re.findall(r"(\d+) log records? of kind \w+ left out", daemon.stderr)]
    assert written + sum(left_out) == n
    assert written < n and 1 <= len(left_out) <= 10, (written, left_out)
    assert TOKEN not in daemon.stderr


def hold_body(d, size, source):
    """A connection that has sent all of a body but its last byte."""
    s = socket.create_connection(("127.0.0.1", d.port), source_address=(source, 0), timeout=10)
    s.sendall(b"POST /callback/n HTTP/1.1\r\nHost: h\r\nX-Signature: " + b"00" * 32 + b"\r\nContent-Length: %d\r\n\r\n" % size)
    try:
        s.sendall(b"x" * (size - 1))
    except OSError:
        pass  # it was refused meanwhile
    return s


def ended(s):
    """The status when its body is sent to the end."""
    try:
        s.sendall(b"x")
    except OSError:
        pass  # it was refused meanwhile
    return s.recv(100).split(b" ")[1]


def test_one_address_cannot_take_all_the_room_for_bodies(run_daemon):
    d = run_daemon(
        CONFIG,
        daemon="MaxBodyBytes=100000\nMaxBodyBytesInFlight=1000000\n",
        files={"token": "t", "secret": "k"},
    )
    held = [hold_body(d, 100000, "127.0.0.66") for _ in range(6)]
    other = hold_body(d, 100000, "127.0.0.67")
    other.sendall(b"x")
    assert other.recv(100).startswith(b"HTTP/1.1 401 ")
    statuses = [ended(s) for s in held]
    assert set(statuses) == {b"401", b"503"} and statuses.count(b"401") <= 2, statuses
    # what they held is given back
    again = hold_body(d, 100000, "127.0.0.66")
    assert ended(again) == b"401"
    for s in [*held, other, again]:
        s.close()

"""
Malformed and borderline messages by table (malformed/README): each sent whole, byte by byte, cut
in two at every position and ended at every position. A canary, a callback to another source, follows
each one: it must be served exactly when the table says that the connection goes on. The make check
takes a few positions of each message, FULL=1 all.
"""

import itertools
import json
import os
import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest

from helpers import certificate
from helpers.wire import Talk, answers, converse_all

FULL = bool(os.environ.get("FULL"))
DATA = Path(__file__).parent / "malformed"

EVIL = b'POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{"id":-1}'
START = b"POST /s HTTP/1.1\r\nHost: a\r\n"
WORDS = {
    "s": START,
    "te": START + b"Transfer-Encoding: chunked\r\n\r\n",
    "cl2": START + b"Content-Length: 2\r\n\r\n{}",
    "evil": EVIL,
}
LIMITS = "MaxHeaderBytes=1024\nMaxHeaders=20\nMaxTargetBytes=256\nMaxBodyBytes=1000\nLogLevel=err\n"
SOURCES = "[Source s]\nPath=/s\nVerify=none\n[Source c]\nPath=/c\nVerify=none\nStatusField=\n"
ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}


@dataclass
class Case:
    name: str
    statuses: list
    goes_on: bool
    ends: bool  # the peer shuts its side behind the message
    perhaps: bool  # llhttp may refuse it
    message: bytes


def unescape(text, at=0, closing=None):
    """(bytes, where it stopped) of a message as the table writes it."""
    out = b""
    while at < len(text):
        c = text[at]
        if c == closing:
            return out, at + 1
        if c != "\\":
            out += c.encode("ascii")
            at += 1
        elif text[at + 1] == "x":
            out += bytes.fromhex(text[at + 2 : at + 4])
            at += 4
        elif text[at + 1] == "{":
            repeat = re.compile(r"(\d+)\*").match(text, at + 2)
            inside, end = unescape(text, repeat.end() if repeat else at + 2, "}")
            out += inside * int(repeat[1]) if repeat else WORDS[inside.decode()]
            at = end
        else:
            out += ESCAPES[text[at + 1]]
            at += 2
    assert closing is None, f"no }} in {text}"
    return out, at


def read_cases():
    found = []
    for path in sorted(DATA.glob("*.txt")):
        for line in path.read_text("ascii").splitlines():
            status, section, source, name, message = line.split(None, 4)
            assert re.fullmatch(r"(limit:)?(9112|9110|3986):[\d.]+", section), line
            assert source in {"own", "llhttp", "pico", "kettle", "smuggler", "garden", "probe", "funky"}, line
            statuses = [int(s) for s in status.rstrip("+$?").split(",")]
            message, _ = unescape(message)
            found.append(
                Case(f"{path.stem}/{name}", statuses, "+" in status, "$" in status, "?" in status, message)
            )
    return found


CASES = read_cases()
MESSAGES = {c.name: c for c in CASES}


def canary(number):
    body = b'{"id":"c%d"}' % number
    head = b"POST /c HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + body


def positions(message, salt):
    """Where to cut: everywhere, or where it is likeliest to hurt and at some places more."""
    every = range(1, len(message))
    if FULL or len(message) < 3:
        return every
    ends = [m.end() for m in re.finditer(rb"\r\n", message)]
    some = {1, len(message) - 1, ends[salt % len(ends)] - 1 if ends else 2}
    some |= {1 + (salt * 7919 + i * len(message) // 3) % (len(message) - 1) for i in range(3)}
    return sorted(some & set(every))


def methods(case):
    return re.findall(rb"(?:^|\r\n)([A-Z]+) ", case.message)


class Trial:
    """Conversations about cases, and which canaries were due."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.numbers = itertools.count()
        self.due = set()
        self.checked = 0

    def talk(self, case, pieces):
        """`pieces` are the message's; the canary goes with the last of them."""
        number = next(self.numbers)
        if not case.ends:
            pieces = [*pieces[:-1], pieces[-1] + canary(number)]
        return Talk((case.name, number), pieces, case.ends)

    def check(self, talk):
        case = MESSAGES[talk.key[0]]
        found = answers(talk.received, methods(case))
        got = [a[0] for a in found]
        want = case.statuses + [200] * case.goes_on
        if case.perhaps and got == [400]:
            want = got
        elif case.goes_on:
            self.due.add(f"c{talk.key[1]}")
        assert got == want, (case, talk.pieces[:3], talk.received)
        assert not talk.reset, (case, "closed by a reset")
        if not case.ends or 400 in want:
            assert found[-1][1].get("connection") == "close", (case, talk.received)
        self.checked += 1

    def run(self, talks, connect, timeout=50):
        for talk in converse_all(talks, connect, timeout=timeout):
            self.check(talk)

    def finish(self):
        """It serves on; the canaries that were due are there, and no other."""
        assert self.daemon.request("GET", "/healthz").status == 200
        ids, after = set(), ""
        while True:
            page = self.daemon.control("GET", f"/v1/jobs?source=c&limit=1000{after}").json
            ids |= {j["id"] for j in page["jobs"]}
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
        assert "-1" not in ids, "a smuggled request was served"
        assert ids == self.due


def unix_listener(path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.listen(4096)
    return s


@pytest.fixture
def daemon(new_daemon, tmp_path):
    certificate(tmp_path)
    tls = socket.create_server(("127.0.0.1", 0), backlog=1024)
    return new_daemon(
        SOURCES,
        daemon=LIMITS + f"TLSCertificateFile={tmp_path}/cert.pem\nTLSKeyFile={tmp_path}/key.pem\n",
        sockets=[("callbackd.socket", unix_listener(f"{tmp_path}/public")), ("callbackd-tls.socket", tls)],
    ).start()


def over_unix(daemon):
    path = daemon.sockets[1][1].getsockname()

    def connect():
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        return s

    return connect


def test_the_table():
    assert len(CASES) >= 300
    assert len(MESSAGES) == len(CASES), "a name is there twice"
    assert len({(c.message, c.ends) for c in CASES}) == len(CASES), "a message is there twice"
    assert len(EVIL) == 57  # the table counts on it


def test_whole(daemon):
    trial = Trial(daemon)
    trial.run(
        [trial.talk(c, [c.message]) for c in CASES],
        lambda: socket.create_connection(("127.0.0.1", daemon.port)),
    )
    trial.finish()
    assert trial.checked == len(CASES)


def test_whole_over_tls(daemon):
    """One after another: a blocking client each."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    trial = Trial(daemon)
    for case in CASES:
        talk = trial.talk(case, [case.message])
        with socket.create_connection(daemon.sockets[2][1].getsockname()) as raw:
            tls = context.wrap_socket(raw, suppress_ragged_eofs=False)
            tls.sendall(talk.pieces[0])
            if talk.end:
                with socket.socket(fileno=os.dup(tls.fileno())) as same:
                    same.shutdown(socket.SHUT_WR)  # no close_notify
            while data := tls.recv(65536):  # an end without close_notify is an error here
                talk.received += data
            tls.close()
        trial.check(talk)
    trial.finish()


@pytest.mark.timeout(240 if FULL else 60)
def test_byte_by_byte(daemon):
    trial = Trial(daemon)
    trial.run(
        [trial.talk(c, [c.message[i : i + 1] for i in range(len(c.message))]) for c in CASES],
        over_unix(daemon),
        timeout=200,
    )
    trial.finish()
    assert trial.checked == len(CASES)


@pytest.mark.timeout(600 if FULL else 60)
def test_cut_in_two(daemon):
    trial = Trial(daemon)
    talks = (
        trial.talk(c, [c.message[:at], c.message[at:]])
        for n, c in enumerate(CASES)
        for at in positions(c.message, n)
    )
    trial.run(talks, over_unix(daemon), timeout=580)
    trial.finish()


@pytest.mark.timeout(600 if FULL else 60)
def test_ended_at_every_position(daemon):
    """A prefix and the end of the stream: never more answers than the whole message has, the same ones,
    and at most one 400 in the place of what was cut."""
    trial = Trial(daemon)
    talks = (
        Talk((c.name, at), [c.message[:at]], end=True)
        for n, c in enumerate(CASES)
        for at in positions(c.message, n)
    )
    for talk in converse_all(talks, over_unix(daemon), timeout=580):
        case = MESSAGES[talk.key[0]]
        whole = b"\r\n\r\n" in case.message[: talk.key[1]]
        got = [a[0] for a in answers(talk.received, methods(case) if whole else ())]
        assert got[:-1] == case.statuses[: len(got) - 1], (case, talk.key, got)
        assert got[-1] == 400 or got == case.statuses[: len(got)], (case, talk.key, got)
    trial.finish()  # no canary was due


def test_the_limits_that_ship(run_daemon):
    d = run_daemon(SOURCES)

    def send(message):
        with d.connect() as s:
            s.sendall(message)
            s.shutdown(socket.SHUT_WR)
            received = b""
            while data := s.recv(65536):
                received += data
            return answers(received)[0][0]

    end = b"Content-Length: 2\r\n\r\n{}"
    fixed = len(START) + len(b"X: \r\nContent-Length: 2\r\n\r\n")
    assert send(START + b"X: " + b"y" * (16384 - fixed) + b"\r\n" + end) == 200
    assert send(START + b"X: " + b"y" * (16385 - fixed) + b"\r\n" + end) == 431
    assert send(START + b"X: y\r\n" * 98 + end) == 200
    assert send(START + b"X: y\r\n" * 99 + end) == 431
    assert send(START.replace(b"/s", b"/s?" + b"x" * 8189) + end) == 200
    assert send(START.replace(b"/s", b"/s?" + b"x" * 8190) + end) == 414
    for size, status in ((1 << 20, 200), ((1 << 20) + 1, 413)):
        assert send(START + b"Content-Length: %d\r\n\r\n" % size + b"x" * size) == status
        assert send(START + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n") == status


def test_every_accepted_body_is_kept_byte_for_byte(run_daemon):
    """What the chunks said and nothing else."""
    d = run_daemon(SOURCES)
    body = json.dumps({"id": "kept", "status": "completed", "x": "\r\n0\r\n\r\n" + "y" * 300}).encode()
    message = START + b"Transfer-Encoding: chunked\r\n\r\n"
    for at in range(0, len(body), 7):
        message += b"%x;n=%d\r\n" % (len(body[at : at + 7]), at) + body[at : at + 7] + b"\r\n"
    with d.connect() as s:
        s.sendall(message + b"0\r\nX: y\r\n\r\n")
        assert s.recv(100).startswith(b"HTTP/1.1 200 ")
    assert d.job("s", "kept")["payload"].encode() == body

"""
Slow, idle, greedy and too many peers: each costs little and ends in time, and honest ones do not notice.
The make check takes few peers and short deadlines; FULL=1 2,000 with the deadlines that ship and 15,000
idle connections.
"""

import os
import resource
import shutil
import socket
import subprocess
import time

import pytest

from helpers import build_directory, certificate, until
from helpers.crowd import HonestClient, SlowPeer, cpu_seconds, insecure, memory, suffer, want_descriptors
from helpers.wire import answers

FULL = bool(os.environ.get("FULL"))
SAN = bool(os.environ.get("SAN"))
own_memory = pytest.mark.skipif(SAN, reason="a sanitizer's memory is not ours")

SOURCE = "[Source s]\nPath=/s\nVerify=hmac\nSecretFile=secret\n"
FILES = {"secret": "s3cret\n"}
HEAD = b"POST /s HTTP/1.1\r\nHost: a\r\nX-Signature: " + b"0" * 64 + b"\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
MIB = 1 << 20


@pytest.fixture
def tls_daemon(new_daemon, tmp_path):
    """start(daemon=…): one that listens plainly and with TLS."""
    certificate(tmp_path)

    def start(daemon="", small_buffers=False):
        tls = socket.create_server(("127.0.0.1", 0), backlog=4096)
        keys = f"TLSCertificateFile={tmp_path}/cert.pem\nTLSKeyFile={tmp_path}/key.pem\nLogLevel=warning\n"
        d = new_daemon(SOURCE, daemon=keys + daemon, files=FILES, sockets=[("callbackd-tls.socket", tls)])
        d.listener.listen(4096)
        if small_buffers:  # what is accepted inherits it: a peer that does not read is soon known
            d.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        d.start()
        d.tls_address = tls.getsockname()
        d.address = ("127.0.0.1", d.port)
        return d

    return start


def slow_peers(d, each, deadlines):
    """Peers of every kind, and how long one of each may last."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    kinds = [
        ("head", d.address, HEAD, b"x", False, "head"),
        ("body", d.address, HEAD + b"Content-Length: 100000\r\n\r\n", b"x", False, "body"),
        ("chunks", d.address, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", False, "body"),
        ("nothing", d.address, b"", b"", False, "idle"),
        ("idle", d.address, HEALTH, b"", False, "idle"),
        ("hello", d.tls_address, hello, b"x", False, "handshake"),
        ("no hello", d.tls_address, b"", b"", False, "handshake"),
        ("reader", d.address, HEALTH * 400, b"", True, "answer"),
    ]
    return [
        SlowPeer(kind, address, first, drip, deaf, deadlines[deadline])
        for _ in range(each)
        for kind, address, first, drip, deaf, deadline in kinds
    ]


# A machine that does other things too: the bounds that count are those of FULL=1.
P99 = 0.05
MEDIAN = 0.5
LATE = (1 if FULL else 4) + 2 * SAN


@pytest.mark.timeout(180)
def test_slow_peers_end_in_time_and_honest_ones_do_not_notice(tls_daemon):
    if FULL:
        assert want_descriptors(4096)
        deadlines = {"head": 10, "body": 20.1, "idle": 15, "handshake": 10, "answer": 20.4}
        d = tls_daemon(small_buffers=True)
        each = 250
    else:
        deadlines = {"head": 1.5, "body": 2, "idle": 1.2, "handshake": 1, "answer": 2}
        d = tls_daemon(
            "HeaderTimeout=1500ms\nBodyTimeout=2s\nKeepAliveTimeout=1200ms\nHandshakeTimeout=1s\n", small_buffers=True
        )
        each = 25
    with HonestClient(d.port, "/s", "s3cret") as honest:
        peers = slow_peers(d, each, deadlines)
        left = suffer(peers, max(deadlines.values()) + 5)
    assert not left, {p.kind for p in left}
    for kind in {p.kind for p in peers}:
        lasted = [p.lasted for p in peers if p.kind == kind]
        allowed = next(p.allowed for p in peers if p.kind == kind)
        print(f"{kind}: {len(lasted)} peers lasted {min(lasted):.2f} to {max(lasted):.2f} s of {allowed} s")
        assert max(lasted) < allowed + LATE, kind
        assert min(lasted) > allowed - 0.7, kind  # by the deadline, not by an accident
    for p in peers:
        if p.kind in ("head", "body", "chunks"):
            assert [a[0] for a in answers(p.answer)] == [408], (p.kind, p.answer)
    p99, median = honest.percentile(0.99), honest.percentile(0.5)
    print(f"honest: {len(honest.taken)} callbacks, p99 {p99 * 1000:.1f} ms, {honest.failed} failed")
    assert honest.failed == 0 and len(honest.taken) > (50 if FULL else 5)
    assert SAN or (p99 < P99 if FULL else median < MEDIAN)
    assert d.request("GET", "/healthz").status == 200


def test_a_stop_does_not_wait_for_slow_peers(tls_daemon):
    d = tls_daemon(small_buffers=True)
    peers = slow_peers(d, 2, dict.fromkeys(("head", "body", "idle", "handshake", "answer"), 5))
    until(lambda: d.control("GET", "/v1/status").json)
    d.process.terminate()
    began = time.monotonic()
    left = suffer(peers, 7)
    assert {p.kind for p in left} <= {"reader"}  # whose end waits behind what it does not read
    assert d.wait(12) == 0
    assert time.monotonic() - began < 10
    told = [p for p in peers if p.kind in ("head", "body", "chunks")]
    assert all([a[0] for a in answers(p.answer)] == [503] for p in told)


def hold(connect, n):
    """n connections that have had an answer and stay."""
    held = []
    for i in range(n):
        s = connect(i)
        s.sendall(HEALTH)
        assert s.recv(1000).startswith(b"HTTP/1.1 200 ")
        held.append(s)
    return held


@own_memory
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "tls, n, allowed", [(False, 15000 if FULL else 2000, 4), (True, 15000 if FULL else 500, 20)], ids=["plain", "tls"]
)
def test_memory_of_idle_connections(tls_daemon, tls, n, allowed):
    if not want_descriptors(n + 1000):
        pytest.skip(f"no {n} descriptors here")
    d = tls_daemon("KeepAliveTimeout=10min\nHandshakeTimeout=10min\n")
    context = insecure()

    def connect(i):  # of several addresses: no one may hold a quarter of the connections
        s = socket.create_connection(
            d.tls_address if tls else d.address, source_address=(f"127.0.0.{2 + i % 8}", 0), timeout=30
        )
        return context.wrap_socket(s) if tls else s

    for s in hold(connect, 100):  # what is allocated once is not counted
        s.close()
    before = memory(d.process.pid)["RssAnon"]
    held = hold(connect, n)
    each = (memory(d.process.pid)["RssAnon"] - before) / n / 1024
    print(f"{n} idle connections: {each:.2f} KiB of RssAnon each")
    assert each < allowed
    assert d.request("GET", "/healthz").status == 200
    held[0].sendall(HEALTH)  # and they are still of use
    assert held[0].recv(1000).startswith(b"HTTP/1.1 200 ")
    for s in held:
        s.close()


def descriptors(d):
    return len(os.listdir(f"/proc/{d.process.pid}/fd"))


@own_memory
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_pipelining_without_reading(tls_daemon, tls):
    """Not even where the number of requests does not end it."""
    d = tls_daemon("MaxRequestsPerConnection=100000000\n")
    s = socket.create_connection(d.tls_address if tls else d.address)
    if tls:
        s = insecure().wrap_socket(s)
    s.sendall(HEALTH)
    assert s.recv(1000).startswith(b"HTTP/1.1 200 ")
    before = most = memory(d.process.pid)["RssAnon"]
    busy = descriptors(d)
    s.settimeout(0.2)
    end = time.monotonic() + (10 if FULL else 1.5)
    sent = 0
    while time.monotonic() < end:
        try:
            sent += s.send(HEALTH * 100)
        except (TimeoutError, OSError):
            pass
        most = max(most, memory(d.process.pid)["RssAnon"])
    print(f"{sent // len(HEALTH)} requests, {(most - before) / 1024:.0f} KiB more")
    assert sent > 10000 * len(HEALTH)
    assert most - before < MIB
    assert d.request("GET", "/healthz").status == 200
    s.close()  # a reset, with all that was not read
    until(lambda: descriptors(d) < busy, 10, "the end of a connection that was reset")


@own_memory
def test_a_thousand_large_bodies_of_strangers(tls_daemon):
    """They are read to be verified, so the head cannot refuse them: what is in flight has a bound."""
    assert want_descriptors(2048)
    d = tls_daemon()
    d.request("GET", "/healthz")
    before = memory(d.process.pid)
    message = HEAD + b"Content-Length: %d\r\n\r\n" % MIB + b"x" * MIB
    left = []
    for _ in range(1000):
        s = socket.create_connection(d.address)
        s.setblocking(False)
        left.append([s, memoryview(message), b""])
    statuses, most = {}, 0
    while left:
        for entry in list(left):
            s, rest, answer = entry
            try:
                if rest:
                    entry[1] = rest[s.send(rest[:65536]) :]
            except BlockingIOError:
                pass
            except OSError:
                entry[1] = b""
            try:
                data = s.recv(65536)
                entry[2] = answer = answer + data
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if not data or b"\r\n\r\n" in answer and not entry[1]:
                status = int(answer[9:12] or 0)
                statuses[status] = statuses.get(status, 0) + 1
                left.remove(entry)
                s.close()
        most = max(most, memory(d.process.pid)["RssAnon"])
    after = memory(d.process.pid)
    print(
        f"{statuses}: RssAnon {before['RssAnon'] >> 10} KiB, at most {most >> 10} KiB, then {after['RssAnon'] >> 10} "
        f"KiB; VmHWM {after['VmHWM'] >> 10} KiB"
    )
    assert set(statuses) <= {401, 503} and statuses[401] > 0
    assert most < 80 * MIB and after["VmHWM"] - before["VmHWM"] < 80 * MIB
    assert d.request("GET", "/healthz").status == 200


@pytest.mark.parametrize("spare", [30, None], ids=["some", "none at all"])
def test_out_of_descriptors(tls_daemon, spare):
    """With the reserve descriptor those who wait are told; without even that one nothing spins."""
    d = tls_daemon()
    pid = d.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(d) + spare if spare else 3, hard))
    lines, spent, began = d.stderr.count("\n"), cpu_seconds(pid), time.monotonic()
    crowd = [socket.create_connection(d.address) for _ in range(200)]
    until(lambda: "descriptors" in d.stderr)
    time.sleep(10 if FULL else 1.5)  # the time over which it is measured
    elapsed = time.monotonic() - began
    share = (cpu_seconds(pid) - spent) / elapsed
    said = d.stderr.count("\n") - lines
    print(f"{elapsed:.1f} s without descriptors: {share:.1%} CPU, {said} lines")
    assert share <= 0.05 + 0.2 * SAN
    assert 1 <= said <= elapsed
    if spare:
        assert crowd[-1].recv(100).startswith(b"HTTP/1.1 503 ")
    if FULL:  # they come back because their peers leave, or because the limit is raised
        for s in crowd:
            s.close()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    began = time.monotonic()
    assert d.request("GET", "/healthz").status == 200
    assert time.monotonic() - began < LATE
    for s in crowd:
        s.close()


def test_max_connections_is_clamped_to_the_descriptors_there_are(new_daemon, tmp_path):
    """…and said."""
    few = tmp_path / "few"
    few.write_text(f'#!/bin/sh\nulimit -n 1000\nexec {build_directory()}/callbackd "$@"\n')
    few.chmod(0o700)
    d = new_daemon(SOURCE, files=FILES, program=few).start()
    until(lambda: "MaxConnections=16384 is lowered to " in d.stderr, what=d.stderr)


@pytest.mark.skipif(not FULL or not shutil.which("slowhttptest"), reason="FULL=1 and slowhttptest")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("mode", [["-H"], ["-B", "-t", "POST", "-s", "8192"], ["-X", "-w", "1", "-y", "2"]])
def test_slowhttptest(tls_daemon, tmp_path, mode):
    assert want_descriptors(4096)
    d = tls_daemon()
    answer = subprocess.run(
        ["slowhttptest", *mode, "-c", "1000", "-r", "500", "-i", "2", "-l", "25", "-p", "2", "-u", d.url + "/s"],
        capture_output=True, text=True, timeout=110, check=False, cwd=tmp_path,
    )  # fmt: skip
    text = answer.stdout + answer.stderr
    assert "service available:" in text.replace("\x1b[1;32m", ""), text[-2000:]
    states = [line for line in text.splitlines() if "service available" in line]
    print(states[-1])
    assert all("YES" in line for line in states), states

"""Behind proxies: the client's address by X-Forwarded-For and by the PROXY protocol, and the manual's
examples for nginx, Caddy and HAProxy as they stand there, under mixed load without one 502."""

import contextlib
import http.client
import json
import os
import random
import shutil
import socket
import ssl
import struct
import threading
import time

import pytest

from helpers import certificate, hmac_hex, until
from helpers.crowd import insecure
from helpers.proxies import Proxy, manual, replaced

FULL = bool(os.environ.get("FULL"))
SOURCES = (
    "[Source s]\nPath=/s\nVerify=hmac\nSecretFile=secret\n"
    "[Source near]\nPath=/near\nVerify=hmac\nSecretFile=secret\nAllowFrom=203.0.113.0/24 2001:db8::/32\n"
)
FILES = {"secret": "s3cret\n"}
BODY = json.dumps({"id": "x", "status": "completed"})
SIGNED = hmac_hex("s3cret", BODY)
SIGNATURE = b"X-Signature: " + SIGNED["X-Signature"].encode() + b"\r\n"
CALLBACK = b"POST /near HTTP/1.1\r\nHost: a\r\n" + SIGNATURE + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY.encode()


def unix_listener(path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(path))
    s.listen(512)
    return s


def status_of(s, message):
    s.sendall(message)
    answer = s.recv(65536)
    return int(answer[9:12] or 0)


# ---- X-Forwarded-For


@pytest.mark.parametrize(
    "forwarded, status",
    [
        ("203.0.113.7", 200),
        ("198.51.100.1, 203.0.113.7", 200),  # what stands further left, anybody may have written
        ("203.0.113.7, 198.51.100.1", 401),
        ("203.0.113.7, 127.0.0.1", 200),  # a trusted proxy before the trusted proxy
        ("203.0.113.7, 10.1.2.3, 127.0.0.1", 200),
        ("2001:db8::7", 200),
        ("[2001:db8::7]:4711", 200),
        ("::ffff:203.0.113.7", 200),
        ("203.0.113.7:4711", 200),
        ("203.0.113.7, unknown", 401),  # not to be read: the proxy itself counts
        ("203.0.113.7,,", 200),
        ("", 401),
        (None, 401),
    ],
)
def test_forwarded_for(run_daemon, forwarded, status):
    d = run_daemon(SOURCES, daemon="TrustedProxy=127.0.0.1 10.0.0.0/8\n", files=FILES)
    headers = dict(SIGNED) if forwarded is None else {**SIGNED, "X-Forwarded-For": forwarded}
    assert d.post("/near", BODY, headers).status == status


def test_forwarded_for_of_somebody_else_is_not_believed(run_daemon):
    d = run_daemon(SOURCES, daemon="TrustedProxy=192.0.2.1\n", files=FILES)
    assert d.post("/near", BODY, {**SIGNED, "X-Forwarded-For": "203.0.113.7"}).status == 401
    until(lambda: "from 127.0.0.1]" in d.stderr)


@pytest.mark.parametrize("trusted, status", [("unix", 200), ("127.0.0.1", 401)])
def test_forwarded_for_over_a_unix_socket(new_daemon, tmp_path, trusted, status):
    listener = unix_listener(tmp_path / "public")
    d = new_daemon(
        SOURCES, daemon=f"TrustedProxy={trusted}\n", files=FILES, sockets=[("callbackd.socket", listener)]
    ).start()
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(tmp_path / "public"))
        assert status_of(s, CALLBACK.replace(b"Host", b"X-Forwarded-For: 203.0.113.7\r\nHost")) == status
    until(lambda: ("from 203.0.113.7]" if status == 200 else "from unix]") in d.stderr)


def test_the_cap_of_an_address_counts_requests_behind_a_proxy(run_daemon):
    d = run_daemon(SOURCES, daemon="TrustedProxy=127.0.0.1\nMaxConnectionsPerAddress=3\n", files=FILES)

    def begin(client):
        s = d.connect()
        s.sendall(
            b"POST /s HTTP/1.1\r\nHost: a\r\n" + SIGNATURE + b"X-Forwarded-For: " + client
            + b"\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY)
        )  # fmt: skip
        return s, int(s.recv(1000)[9:12])

    with contextlib.ExitStack() as stack:
        held = []
        for _ in range(3):
            s, status = begin(b"203.0.113.7")
            held.append(stack.enter_context(s))
            assert status == 100
        s, status = begin(b"203.0.113.7")
        s.close()
        assert status == 503
        s, status = begin(b"203.0.113.8")  # the same proxy for another client
        stack.enter_context(s)
        assert status == 100
        assert status_of(held[0], BODY.encode()) == 200  # one is over: the next may come
        s, status = begin(b"203.0.113.7")
        stack.enter_context(s)
        assert status == 100
    until(lambda: "too many requests of one address [from 203.0.113.7]" in d.stderr)
    # Without a proxy its connections count; the fourth is refused at once.
    other = run_daemon(SOURCES, daemon="MaxConnectionsPerAddress=3\n", files=FILES)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(other.connect()) for _ in range(3)]
        assert all(status_of(s, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n") == 200 for s in held)
        assert stack.enter_context(other.connect()).recv(1000).startswith(b"HTTP/1.1 503 ")


# ---- the PROXY protocol


def proxy_v2(client="203.0.113.7", command=1, more=b"", family=None):
    v6 = ":" in client
    kind = socket.AF_INET6 if v6 else socket.AF_INET
    addresses = socket.inet_pton(kind, client) + socket.inet_pton(kind, "::1" if v6 else "127.0.0.1")
    rest = addresses + struct.pack("!HH", 4711, 443) + more
    family = (0x21 if v6 else 0x11) if family is None else family
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x20 | command, family]) + struct.pack("!H", len(rest)) + rest


@pytest.fixture
def proxied(new_daemon, tmp_path):
    certificate(tmp_path)
    d = new_daemon(
        SOURCES,
        daemon="ProxyProtocol=yes\nHandshakeTimeout=1s\n"
        f"TLSCertificateFile={tmp_path}/cert.pem\nTLSKeyFile={tmp_path}/key.pem\n",
        files=FILES,
        sockets=[("callbackd-tls.socket", socket.create_server(("127.0.0.1", 0)))],
    ).start()
    d.tls_address = d.sockets[1][1].getsockname()
    return d


@pytest.mark.parametrize(
    "header, status",
    [
        (proxy_v2(), 200),
        (proxy_v2("2001:db8::7"), 200),
        (proxy_v2("198.51.100.1"), 401),
        (proxy_v2(more=b"\x04\x00\x03abc" + b"x" * 3000), 200),  # its extensions are skipped
        (proxy_v2(command=0), 401),  # LOCAL: the proxy speaks for itself
        (proxy_v2(family=0), 401),  # of no address family
        (proxy_v2(command=2), 0),
        (proxy_v2()[:12] + b"\x11" + proxy_v2()[13:], 0),  # version 1 in the binary form
        (b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n", 0),
        (b"", 0),  # no header: the request itself is none
        (b"\r\n\r\n\0\r\nQUIT\r" + proxy_v2()[12:], 0),
        (proxy_v2()[:14] + b"\0\x04" + proxy_v2()[16:20], 0),  # too short for its family
    ],
)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_proxy_protocol(proxied, tls, header, status):
    s = socket.create_connection(proxied.tls_address if tls else ("127.0.0.1", proxied.port), timeout=15)
    try:
        s.sendall(header)
        if tls:
            s = insecure().wrap_socket(s)
        assert status_of(s, CALLBACK) == status
    except (ConnectionError, ssl.SSLError):
        assert status == 0
    finally:
        s.close()
    if status == 0:
        until(lambda: "no sound PROXY header" in proxied.stderr)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_proxy_header_byte_by_byte_and_with_all_behind_it(proxied, tls):
    """Exactly its bytes are taken: TLS begins behind the last of them."""
    address = proxied.tls_address if tls else ("127.0.0.1", proxied.port)
    with socket.create_connection(address, timeout=15) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in proxy_v2(more=b"x" * 40):
            s.sendall(bytes([byte]))
        with insecure().wrap_socket(s) if tls else s as stream:
            assert status_of(stream, CALLBACK) == 200
    if not tls:
        with socket.create_connection(address, timeout=15) as s:
            assert status_of(s, proxy_v2() + CALLBACK) == 200


def test_a_slow_proxy_header_ends(proxied):
    with proxied.connect() as s:
        began = time.monotonic()
        for byte in proxy_v2()[:5]:
            s.sendall(bytes([byte]))
            time.sleep(0.1)
        assert s.recv(10) == b""
        assert time.monotonic() - began < 2
    until(lambda: "handshake too slow" in proxied.stderr)


# ---- the examples of the manual


@pytest.fixture
def behind(new_daemon, tmp_path):
    """behind(kind): (daemon, proxy) by the manual's word."""
    certificate(tmp_path)

    def make(kind, unix=False):
        if not shutil.which(kind.split("-")[0], path="/usr/sbin:/usr/bin:/sbin:/bin"):
            pytest.skip(f"{kind} is not installed")
        tls = socket.create_server(("127.0.0.1", 0), backlog=512)
        sockets = [("callbackd-tls.socket", tls)]
        if unix:
            sockets.append(("callbackd.socket", unix_listener(tmp_path / "public")))
        d = new_daemon(SOURCES, files=FILES, sockets=sockets)
        config = manual("callbackd").replace("[Daemon]\n", "")
        config = replaced(config, {"https://callbacks.example.org": d.url})
        if unix:
            config = replaced(config, {"=127.0.0.1\n": "=unix\n"})
        if kind == "haproxy-tcp":
            config = config.replace("TrustedProxy=127.0.0.1", "ProxyProtocol=yes")
        keys = f"TLSCertificateFile={tmp_path}/cert.pem\nTLSKeyFile={tmp_path}/key.pem\nLogLevel=info\n"
        d.configure(SOURCES, keys + config)
        d.start()
        backend = f"127.0.0.1:{tls.getsockname()[1] if kind == 'haproxy-tcp' else d.port}"
        return d, Proxy(kind, str(tmp_path), str(tmp_path / "public") if unix else backend, str(tmp_path))

    return make


def connect(proxy, source="127.0.0.9"):
    if proxy.kind == "caddy":
        return http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=30, source_address=(source, 0))
    return http.client.HTTPSConnection(
        "127.0.0.1", proxy.port, timeout=30, source_address=(source, 0), context=insecure()
    )


def ask(connection, method, path, body=None, headers=None, chunked=False):
    if chunked:
        parts = iter([body[: len(body) // 2], body[len(body) // 2 :]])
        connection.request(method, path, parts, headers or {}, encode_chunked=True)
    else:
        connection.request(method, path, body, headers or {})
    reply = connection.getresponse()
    reply.read()
    return reply.status


@pytest.mark.parametrize("kind", ["nginx", "nginx-unix", "caddy", "haproxy", "haproxy-tcp"])
def test_the_examples_of_the_manual(behind, kind):
    d, proxy = behind("nginx", unix=True) if kind == "nginx-unix" else behind(kind)
    with proxy:
        c = connect(proxy)
        # HAProxy checks first whether there is somebody.
        assert until(lambda: ask(c, "GET", "/healthz") == 200, 15)
        for _ in range(2):
            assert ask(c, "POST", "/s", BODY.encode(), SIGNED) == 200
        assert ask(c, "POST", "/s", BODY.encode(), SIGNED, chunked=True) == 200
        assert ask(c, "POST", "/s", BODY.encode()) == 401
        # A client that names somebody else is not believed, and the target comes as it was sent.
        assert ask(c, "POST", "/near", BODY.encode(), {**SIGNED, "X-Forwarded-For": "203.0.113.7"}) == 401
        assert ask(c, "POST", "/%73", BODY.encode(), SIGNED) == 404
        assert ask(c, "POST", "//s", BODY.encode(), SIGNED) == 404
        assert d.job("s", "x")["deliveries"] == 3
        until(lambda: d.stderr.count("[s/x from 127.0.0.9]") == 3, what=d.stderr)
        c.close()


class Mixed:
    """Clients of a proxy that do all that senders do, right and wrong; what was not as expected."""

    def __init__(self, proxy, seconds, clients=4):
        self.proxy, self.end = proxy, time.monotonic() + seconds
        self.seconds = seconds
        self.done, self.wrong = {}, []
        self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(clients)]

    def _run(self, name):
        dice, number, c = random.Random(name), 0, connect(self.proxy)
        large = b"x" * 700_000
        while time.monotonic() < self.end:
            number += 1
            body = json.dumps({"id": f"{name}-{number}", "status": "completed", "pad": "y" * dice.randrange(3000)})
            good = hmac_hex("s3cret", body)
            kind, wanted, request = dice.choices(
                [
                    ("callback", 200, ("POST", "/s", body.encode(), good)),
                    ("chunked", 200, ("POST", "/s", body.encode(), good, True)),
                    ("wrong signature", 401, ("POST", "/s", body.encode(), SIGNED)),
                    ("no signature, large", 401, ("POST", "/s", large)),
                    ("wrong signature, large", 401, ("POST", "/s", large, SIGNED)),
                    ("no such path, large", 404, ("POST", "/nowhere", large)),
                    ("too large", 413, ("POST", "/s", large * 3, SIGNED)),
                    ("not POST", 405, ("GET", "/s")),
                    ("health", 200, ("GET", "/healthz")),
                    ("gzip", 415, ("POST", "/s", body.encode(), {**good, "Content-Encoding": "gzip"})),
                ],
                [40, 10, 5, 2, 2, 2, 1, 5, 10, 2],
            )[0]
            try:
                status = ask(c, *request)
            except (OSError, http.client.HTTPException) as e:
                self.wrong.append((kind, repr(e)))
                c = connect(self.proxy)
                continue
            self.done[kind] = self.done.get(kind, 0) + 1
            if status != wanted:
                self.wrong.append((kind, status))
            if number % 50 == 0:
                c.close()
                c = connect(self.proxy)
            # Now and then long enough for idle connections to come to their end on either side.
            if self.seconds > 120 and number % 400 == 0:
                time.sleep(min(dice.choice([14, 15, 16, 59, 60, 61, 74, 75, 76]), self.end - time.monotonic()))

    def run(self):
        for t in self.threads:
            t.start()
        for t in self.threads:
            t.join(self.seconds + 100)
        return self


@pytest.mark.timeout(800 if FULL else 60)
@pytest.mark.parametrize("kind", ["nginx", "caddy", "haproxy"])
def test_mixed_load_without_one_502(behind, kind):
    seconds = (600 if kind == "nginx" else 60) if FULL else (3 if kind == "nginx" else 1)
    d, proxy = behind(kind)
    with proxy:
        until(lambda: ask(connect(proxy), "GET", "/healthz") == 200, 15)
        mixed = Mixed(proxy, seconds).run()
        words = proxy.words()
    print(f"{kind}, {seconds} s: {mixed.done}, {len(mixed.wrong)} not as expected")
    assert not mixed.wrong, (mixed.wrong[:5], words[-2000:])
    assert mixed.done["callback"] > 10 * min(seconds, 10) and len(mixed.done) >= 8
    assert d.request("GET", "/healthz").status == 200

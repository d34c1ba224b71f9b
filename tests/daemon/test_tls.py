"""ListenTLS= from outside: versions, ALPN, client certificates, reload under load, what a scanner finds."""

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time

import pytest

from helpers import certificate, expired_certificate, hmac_hex, until
from helpers.crowd import HonestClient, insecure

FULL = bool(os.environ.get("FULL"))
SOURCE = "[Source s]\nPath=/s\nVerify=hmac\nSecretFile=secret\n"
FILES = {"secret": "s3cret\n"}
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def start(new_daemon, tmp_path):
    certificate(tmp_path)

    def make(daemon=""):
        tls = socket.create_server(("127.0.0.1", 0), backlog=1024)
        keys = f"TLSCertificateFile={tmp_path}/cert.pem\nTLSKeyFile={tmp_path}/key.pem\n"
        d = new_daemon(SOURCE, daemon=keys + daemon, files=FILES, sockets=[("callbackd-tls.socket", tls)])
        d.tls_address = tls.getsockname()
        return d.start()

    return make


def trusting(path):
    context = ssl.create_default_context(cafile=path)
    return context


def dial(d, context):
    return context.wrap_socket(socket.create_connection(d.tls_address, timeout=15), server_hostname="localhost")


def ask(s):
    s.sendall(HEALTH)
    return s.recv(1000)


def test_a_callback_with_a_certificate_that_is_checked(start, tmp_path):
    d = start()
    body = json.dumps({"id": "t", "status": "completed"})
    c = http.client.HTTPSConnection(
        "localhost", d.tls_address[1], timeout=15, context=trusting(f"{tmp_path}/cert.pem")
    )
    for _ in range(2):  # the second on the same connection
        c.request("POST", "/s", body, hmac_hex("s3cret", body))
        reply = c.getresponse()
        assert (reply.status, reply.read()) == (200, b"{}")
    c.close()
    assert d.job("s", "t")["deliveries"] == 2


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_that_are_served(start, version):
    context = insecure()
    context.minimum_version = context.maximum_version = version
    with dial(start(), context) as s:
        assert ask(s).startswith(b"HTTP/1.1 200 ")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_versions_that_are_not(start):
    context = insecure()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    d = start()
    with pytest.raises(ssl.SSLError, match="(?i)version|alert"):
        dial(d, context)
    until(lambda: "TLS handshake failed" in d.stderr)


def test_alpn(start):
    d = start()
    for offered, chosen in ((None, None), (["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1")):
        context = insecure()
        if offered:
            context.set_alpn_protocols(offered)
        with dial(d, context) as s:
            assert s.selected_alpn_protocol() == chosen
            assert ask(s).startswith(b"HTTP/1.1 200 ")
    context = insecure()
    context.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match="(?i)application.protocol"):
        dial(d, context)


def test_client_certificates(start, tmp_path):
    ca = (certificate(tmp_path, "ca", "cakey", "our people"), f"{tmp_path}/cakey.pem")
    certificate(tmp_path, "friend", "friendkey", "friend", ca)
    certificate(tmp_path, "stranger", "strangerkey", "stranger")
    d = start(f"TLSClientCAFile={ca[0]}\n")
    context = insecure()
    context.load_cert_chain(f"{tmp_path}/friend.pem", f"{tmp_path}/friendkey.pem")
    with dial(d, context) as s:
        assert ask(s).startswith(b"HTTP/1.1 200 ")
    for name in (None, "stranger"):
        context = insecure()
        if name:
            context.load_cert_chain(f"{tmp_path}/{name}.pem", f"{tmp_path}/{name}key.pem")
        # With TLS 1.3 the client is through before the server has seen its certificate.
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            with dial(d, context) as s:
                assert ask(s) == b""
                raise ConnectionResetError
    until(lambda: d.stderr.count("TLS handshake failed") == 2)


def test_plain_http_where_tls_is_due(start):
    d = start()
    with socket.create_connection(d.tls_address, timeout=15) as s:
        with contextlib.suppress(ConnectionResetError):
            assert not ask(s).startswith(b"HTTP/")


def test_renegotiation_is_refused(start):
    d = start()
    answer = subprocess.run(
        ["openssl", "s_client", "-tls1_2", "-connect", "%s:%d" % d.tls_address],
        input=b"R\n", capture_output=True, timeout=20, check=False,
    )  # fmt: skip
    assert b"RENEGOTIATING" in answer.stdout + answer.stderr
    assert b"no renegotiation" in answer.stderr, answer.stderr


def serial(d):
    with dial(d, insecure()) as s:
        assert ask(s).startswith(b"HTTP/1.1 200 ")
        return s.getpeercert(binary_form=True)


@pytest.mark.timeout(240)
def test_certificates_are_read_again_under_load(start, tmp_path):
    times = 100 if FULL else 10
    spares = []
    for n in range(4):
        certificate(tmp_path, f"spare{n}", f"sparekey{n}")
        spares.append((f"{tmp_path}/spare{n}.pem", f"{tmp_path}/sparekey{n}.pem"))
    d = start()
    seen = {serial(d)}
    port = d.tls_address[1]
    with dial(d, insecure()) as old, HonestClient(port, "/s", "s3cret", tls=True, pause=0) as load:
        ask(old)
        for n in range(times):
            for source, name in zip(spares[n % 4], ("cert.pem", "key.pem"), strict=True):
                shutil.copy(source, tmp_path / "new")
                os.replace(tmp_path / "new", tmp_path / name)
            d.notify.forget()  # as systemd does: a full socket would hold the daemon up
            assert d.ctl("reload").returncode == 0
            now = serial(d)
            with open(spares[n % 4][0], encoding="ascii") as text:
                assert now == ssl.PEM_cert_to_DER_cert(text.read())
            seen.add(now)
        assert ask(old).startswith(b"HTTP/1.1 200 ")  # what was connected goes on
    print(f"{times} reloads beside {len(load.taken)} callbacks, {load.failed} failed")
    assert load.failed == 0 and len(load.taken) > times
    assert len(seen) == 5
    assert d.stderr.count("TLSCertificateFile= was read again") == times


def test_a_bad_certificate_leaves_the_old_one_at_work(start, tmp_path):
    d = start()
    before = serial(d)
    certificate(tmp_path, "other", "otherkey")
    shutil.copy(tmp_path / "otherkey.pem", tmp_path / "key.pem")  # not the certificate's
    answer = d.ctl("reload")
    assert answer.returncode == 78 and "key" in answer.stdout + answer.stderr
    assert serial(d) == before
    (tmp_path / "cert.pem").write_text("no certificate")
    assert d.ctl("reload").returncode == 78
    assert serial(d) == before
    shutil.copy(tmp_path / "other.pem", tmp_path / "cert.pem")
    assert d.ctl("reload").returncode == 0
    assert serial(d) != before


def test_the_end_of_a_certificate_is_warned_of(new_daemon, tmp_path):
    certificate(tmp_path, days=3)
    d = new_daemon(
        SOURCE,
        daemon=f"TLSCertificateFile={tmp_path}/cert.pem\nTLSKeyFile={tmp_path}/key.pem\n",
        files=FILES,
        sockets=[("callbackd-tls.socket", socket.create_server(("127.0.0.1", 0)))],
    ).start()
    until(lambda: "TLSCertificateFile= expires within 3 days" in d.stderr)
    expired_certificate(tmp_path)
    assert d.ctl("reload").returncode == 0
    until(lambda: re.search(r"TLSCertificateFile= expired \d{4,} days ago\n", d.stderr))


TESTSSL = shutil.which("testssl") or shutil.which("testssl.sh")
@pytest.mark.skipif(not FULL or not TESTSSL, reason="FULL=1 and testssl.sh")
@pytest.mark.timeout(600)
def test_testssl_finds_nothing_of_medium_or_worse(start, tmp_path):
    ca = (certificate(tmp_path, "ca", "cakey", "an authority", days=3650), f"{tmp_path}/cakey.pem")
    d = start()
    certificate(tmp_path, ca=ca, days=300, more=["crlDistributionPoints=URI:http://localhost/list.crl"])
    assert d.ctl("reload").returncode == 0
    began = time.monotonic()
    subprocess.run(
        [TESTSSL, "--quiet", "--color", "0", "--add-ca", ca[0], "--warnings", "off", "--ip", "127.0.0.1", "--jsonfile",
         f"{tmp_path}/found.json", "localhost:%d" % d.tls_address[1]],
        capture_output=True, timeout=580, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    found = json.loads((tmp_path / "found.json").read_text())
    assert len(found) > 80, "it did not get far"
    bad = [f for f in found if f["severity"] not in ("OK", "INFO", "LOW", "DEBUG")]
    print(f"testssl.sh: {len(found)} findings in {time.monotonic() - began:.0f} s")
    for f in bad:
        print(f["severity"], f["id"], f["finding"])
    assert not bad
    assert d.request("GET", "/healthz").status == 200


def test_bodies_larger_than_a_record_arrive(start, tmp_path):
    """16 KiB is a TLS record and was the read's high-water mark: what was left in the record must come too."""
    d = start("MaxHeaderBytes=1024\n")
    for size in (100, 5000, 16383, 16384, 16385, 32768, 100000, 1 << 20):
        body = b"[" + b" " * (size - 2) + b"]"
        head = "".join(f"{k}: {v}\r\n" for k, v in hmac_hex("s3cret", body).items())
        with dial(d, trusting(f"{tmp_path}/cert.pem")) as tls:
            tls.settimeout(5)
            tls.sendall(f"POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n{head}\r\n".encode() + body)
            assert tls.recv(1000).startswith(b"HTTP/1.1 200"), size

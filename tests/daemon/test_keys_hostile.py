"""
SNS with hostile URLs, in a network namespace of its own in which every address is ours: whatever is
looked up or connected to is seen, by our DNS, by our listeners and by the kernel's own count.
"""

import base64
import datetime
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from helpers import until
from helpers.issuer import openssl

INSIDE = "CALLBACKD_TEST_NAMESPACE"
inside = pytest.mark.skipif(INSIDE not in os.environ, reason="only in the namespace")
TOPIC = "arn:aws:sns:us-east-1:1:videos"
SOURCE = f"[Source s]\nPreset=aws-sns\nAllowTopic={TOPIC}\nCAFile=@DIR@/ca.pem\n"
PUBLIC = "54.239.1.1"
HOST = "sns.us-east-1.amazonaws.com"


@pytest.mark.skipif(INSIDE in os.environ, reason="this is the namespace")
@pytest.mark.timeout(240)
def test_all_of_this_in_a_namespace(tmp_path):
    """Runs this file again in there."""
    enter = ["unshare", "--net", "--mount"]
    if os.geteuid() != 0 or not shutil.which("ip") or subprocess.run([*enter, "true"], capture_output=True).returncode:
        pytest.skip("namespaces are not to be had here: root and ip(8) are needed")
    done = subprocess.run(
        [*enter, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs", __file__],
        env={**os.environ, INSIDE: str(tmp_path), "PYTEST_ADDOPTS": ""},
        capture_output=True, text=True, timeout=230,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert f"{INNER} passed, 1 skipped" in done.stdout, done.stdout[-3000:]


# ---- the Internet


class Dns:
    """Answers from `table`: name -> addresses, or a function that gives them. Notes what was asked."""

    def __init__(self):
        self.table, self.asked = {}, []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            query, peer = self._socket.recvfrom(512)
            self._socket.sendto(self._answer(query), peer)

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        (kind,) = struct.unpack(">H", query[at + 1 : at + 3])
        name = ".".join(labels).lower()
        self.asked.append(name)
        found = self.table.get(name, ())
        found = found() if callable(found) else found
        family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
        data = [socket.inet_pton(family, a) for a in found if (":" in a) == (kind == 28)] if family else []
        code = 0x8580 if name in self.table else 0x8583
        head = query[:2] + struct.pack(">HHHHH", code, 1, len(data), 0, 0)
        return head + query[12 : at + 5] + b"".join(
            struct.pack(">HHHIH", 0xC00C, kind, 1, 0, len(d)) + d for d in data)  # fmt: skip


class Web:
    """HTTPS on port 443 of every address there is. `seen`: where each connection went; `paths`."""

    def __init__(self, directory):
        self.seen, self.paths, self.pages = [], [], {}
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(f"{directory}/sns.pem", f"{directory}/sns.key")
        for family, address in (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"):
            listener = socket.create_server((address, 443), family=family)
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener):
        while True:
            connection, _ = listener.accept()
            self.seen.append(connection.getsockname()[0])
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            with self.tls.wrap_socket(connection, server_side=True) as s:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += s.recv(4096) or b"\r\n\r\n"
                path = head.split()[1].decode()
                self.paths.append(path)
                page = self.pages.get(path.partition("?")[0], b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
                if callable(page):
                    page(s)
                else:
                    s.sendall(page)
        except (OSError, IndexError):
            pass


def ok(body):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def connects():
    """How many TCP connections anybody in here has begun, by the kernel."""
    names, values = [
        line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Tcp:")
    ]
    return int(values[names.index("ActiveOpens")])


class World:
    def __init__(self, directory):
        self.directory = directory
        for command in (
            "ip link set lo up",
            "ip route add local 0.0.0.0/0 dev lo",
            "ip -6 route add local ::/0 dev lo",
            "mount --make-rprivate /",
        ):
            subprocess.run(command.split(), check=True)
        Path(directory, "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:1\n")
        subprocess.run(["mount", "--bind", f"{directory}/resolv.conf", os.path.realpath("/etc/resolv.conf")], check=True)
        names = ",".join(f"DNS:{n}" for n in ("sns.amazonaws.com", "sns.us-east-1.amazonaws.com",
                                              *(f"sns.us-east-{i}.amazonaws.com" for i in range(2, 60)), "evil.example"))  # fmt: skip
        ca = ["-CA", f"{directory}/ca.pem", "-CAkey", f"{directory}/ca.key", "-addext", "basicConstraints=CA:FALSE"]
        self._certify("ca", "Test CA", [])
        self._certify("sns", "sns.amazonaws.com", [*ca, "-addext", f"subjectAltName={names}"])
        self._certify("other", "sns.amazonaws.com", ["-addext", "subjectAltName=DNS:sns.amazonaws.com"])
        self.dns, self.web = Dns(), Web(directory)
        self.dns.table[HOST] = [PUBLIC]
        self.web.pages["/ok.pem"] = ok(self.read("sns.pem"))

    def _certify(self, name, subject, more):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={subject}", "-days", "30",
                "-keyout", f"{self.directory}/{name}.key", "-out", f"{self.directory}/{name}.pem", *more)  # fmt: skip

    def read(self, name):
        return Path(self.directory, name).read_bytes()

    def message(self, url=f"https://{HOST}/ok.pem", kind="Notification", topic=TOPIC, key="sns", **more):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        m = {"Type": kind, "MessageId": f"m-{time.monotonic_ns()}", "TopicArn": topic, "Timestamp": now,
             "Message": json.dumps({"id": "1", "status": "completed"}), "SignatureVersion": "2"}  # fmt: skip
        signed = ["Message", "MessageId", "Timestamp", "TopicArn", "Type"]
        if kind != "Notification":
            m |= {"Token": "t0ken", "SubscribeURL": f"https://{HOST}/?Action=ConfirmSubscription&Token=t0ken"}
            signed = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        m |= {"SigningCertURL": url, **more}
        text = "".join(f"{name}\n{m[name]}\n" for name in signed).encode()
        signature = openssl("dgst", "-sha256", "-sign", f"{self.directory}/{key}.key", input=text)
        m["Signature"] = base64.b64encode(signature).decode()
        return json.dumps(m).encode()


@pytest.fixture(scope="module")
def world():
    return World(os.environ[INSIDE])


@pytest.fixture
def daemon(run_daemon, world):
    world.dns.asked.clear(), world.web.seen.clear(), world.web.paths.clear()
    return run_daemon(SOURCE, files={"ca.pem": world.read("ca.pem")})


def post(d, body):
    return d.post("/callback/s", body, timeout=40).status


def trouble(d, url):
    return next(k["trouble"] for k in d.control("GET", "/v1/status").json["keys"] if k["url"] == url)


# ---- the tests of the inside; their number stands below


@inside
def test_a_message_of_sns_is_taken_and_its_certificate_fetched_once(daemon, world):
    for _ in range(3):
        assert post(daemon, world.message()) == 200, daemon.stderr
    assert world.web.seen == [PUBLIC] and world.web.paths == ["/ok.pem"]
    assert post(daemon, world.message(key="other")) == 401
    assert post(daemon, world.message(topic=TOPIC + "2")) == 401
    assert world.web.seen == [PUBLIC]


@inside
def test_nothing_but_the_pattern_is_looked_up_or_connected_to(daemon, world):
    hostile = [
        "https://evil.example/x.pem", f"https://{HOST}@evil.example/x.pem", f"https://{HOST}:443@evil.example/x.pem",
        f"https://{HOST}.evil.example/x.pem", f"https://evil.example/{HOST}/x.pem", f"https://evil.example?{HOST}/x.pem",
        f"https://evil.example#{HOST}/x.pem", f"https://evil.example\\{HOST}/x.pem", f"https://{HOST}\\@evil.example/x.pem",
        f"https://user:pw@{HOST}/x.pem", f"http://{HOST}/x.pem", f"https://{HOST}:8443/x.pem", f"https://{HOST}:80/x.pem",
        f"https://{HOST}./x.pem", f"ftp://{HOST}/x.pem", "file:///etc/x.pem", f"//{HOST}/x.pem", f"https:/{HOST}/x.pem",
        "https://10.0.0.1/x.pem", "https://127.0.0.1/x.pem", "https://[::1]/x.pem", "https://2130706433/x.pem",
        "https://0x7f.1/x.pem", f"https://{PUBLIC}/x.pem", "https://localhost/x.pem", "https://sns/x.pem",
        f"https://{HOST}%2eevil.example/x.pem", f"https://{HOST}%00.evil.example/x.pem", f"https://{HOST}\t/x.pem",
        f" https://{HOST}/x.pem", f"https://{HOST}/x.pem?a", f"https://{HOST}/x.pem#a", f"https://{HOST}/../x.pem",
        f"https://{HOST}/x.pem\r\nHost: evil.example", f"https://{HOST}/x.txt", f"https://{HOST}", "",
        "https://sns.evil.amazonaws.com.example/x.pem", "https://s3.us-east-1.amazonaws.com/x.pem",
        "https://evil.s3.amazonaws.com/x.pem", f"https://evil-{HOST}/x.pem", f"https://a.{HOST}/x.pem",
        "https://sns.us-east-1.amazonaws.com.cn.evil.example/x.pem", "https://sns.us_east.amazonaws.com/x.pem",
    ]  # fmt: skip
    bodies = [world.message(url=u) for u in hostile]
    bodies += [world.message(kind="SubscriptionConfirmation", SubscribeURL=u) for u in (
        "https://evil.example/?Action=ConfirmSubscription", f"https://{HOST}@evil.example/?Action=ConfirmSubscription",
        "https://10.0.0.1/?Action=ConfirmSubscription", f"http://{HOST}/?Action=ConfirmSubscription",
        f"https://{HOST}/?Action=DeleteTopic", f"https://{HOST}:444/?Action=ConfirmSubscription")]  # fmt: skip
    before = connects()
    statuses = [post(daemon, body) for body in bodies]
    assert statuses == [401] * len(bodies), list(zip(statuses, hostile))
    assert connects() - before == len(bodies)  # our own posts, and not one more
    assert world.dns.asked == [] and world.web.seen == []


PRIVATE = [
    "127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255", "192.0.0.8", "198.18.0.1", "240.0.0.1",
    "::1", "::", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:54.239.1.1",
    "2002:7f00:1::", "2002:36ef:101::1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2001::1", "2001:db8::1",
    "100::1", "::127.0.0.1", "fec0::1",
]  # fmt: skip


@inside
@pytest.mark.parametrize("half", [0, 1])
def test_no_address_that_is_not_public_is_connected_to(daemon, world, half):
    mine = PRIVATE[half::2]  # fewer than the limit on fetches of certificates
    for i, address in enumerate(mine, 2):
        host = f"sns.us-east-{i}.amazonaws.com"
        world.dns.table[host] = [address]
        body = world.message(url=f"https://{host}/ok.pem")
        before = connects()
        assert post(daemon, body) == 503, address
        assert connects() - before == 1, address
        assert "no public address" in trouble(daemon, f"https://{host}/ok.pem"), address
    assert world.web.seen == []


@inside
def test_of_several_addresses_only_the_public_ones(daemon, world):
    for i, address in enumerate(["54.239.1.2", "2600::1", "64:ff9b::36ef:101"], 50):
        host = f"sns.us-east-{i}.amazonaws.com"
        world.dns.table[host] = ["127.0.0.1", "::1", "10.0.0.1", address, "fd00::1"]
        world.web.seen.clear()
        # libcurl takes its time to go on to the next one
        until(lambda h=host: post(daemon, world.message(url=f"https://{h}/ok.pem")) == 200, 40, address)
        assert world.web.seen == [address]


@inside
def test_a_name_that_is_bound_anew_leads_nowhere(daemon, world):
    """Public when it is looked up first, ours ever after: what counts is what is connected to."""
    host, turns = "sns.us-east-59.amazonaws.com", iter([[PUBLIC]] * 2 + [["127.0.0.1", "::1"]] * 100)
    world.dns.table[host] = lambda: next(turns)
    for i in range(4):
        world.web.pages[f"/{'abcd'[i]}.pem"] = ok(world.read("sns.pem"))
        assert post(daemon, world.message(url=f"https://{host}/{'abcd'[i]}.pem")) in (200, 503)
    assert set(world.web.seen) <= {PUBLIC}


@inside
def test_proxy_variables_do_not_count(run_daemon, world):
    world.web.seen.clear()
    env = {name: "http://10.0.0.1:3128" for name in ("https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")}
    d = run_daemon(SOURCE, files={"ca.pem": world.read("ca.pem")}, env=env)
    before, body = connects(), world.message()
    assert post(d, body) == 200, d.stderr
    assert connects() - before == 2 and world.web.seen == [PUBLIC]


def endless(s):
    s.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        s.sendall(b"-" * 4096)


def dripping(s):
    s.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(60):
        s.sendall(b"-")
        time.sleep(0.5)


@inside
def test_what_comes_is_bounded_and_no_redirect_is_followed(daemon, world):
    pages = {
        "redirect": (b"HTTP/1.1 302 F\r\nLocation: https://evil.example/ok.pem\r\nContent-Length: 0\r\n\r\n", "redirect"),
        "inward": (b"HTTP/1.1 307 F\r\nLocation: https://127.0.0.1/ok.pem\r\nContent-Length: 0\r\n\r\n", "redirect"),
        "huge": (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n-", "too large"),
        "endless": (endless, "too large"),
        "headers": (lambda s: [s.sendall(b"HTTP/1.1 200 OK\r\n"), *(s.sendall(b"X: " + b"x" * 8000 + b"\r\n") for _ in range(64))], "large"),
        "other": (ok(world.read("other.pem")), ""),  # no chain leads from it to what is trusted
        "none": (ok(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), ""),
        "missing": (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "404"),
    }  # fmt: skip
    world.dns.table["evil.example"] = ["54.239.6.6"]
    for name, (page, words) in pages.items():
        world.web.pages[f"/{name}.pem"] = page
        url = f"https://{HOST}/{name}.pem"
        body = world.message(url=url, key="other" if name == "other" else "sns")
        before = connects()
        assert post(daemon, body) == 503, name
        assert connects() - before == 2, name
        assert words in trouble(daemon, url), name
    world.web.pages["/drip.pem"] = dripping
    began = time.monotonic()
    assert post(daemon, world.message(url=f"https://{HOST}/drip.pem")) == 503
    assert 4.9 < time.monotonic() - began < 25
    assert set(world.web.seen) == {PUBLIC} and "evil.example" not in world.dns.asked
    assert post(daemon, world.message()) == 200


@inside
def test_a_subscription_is_confirmed_once_it_is_verified(daemon, world):
    world.web.pages["/"] = ok(b"<ConfirmSubscriptionResponse/>")
    for wrong in ({"topic": TOPIC + "2"}, {"key": "other"}):
        assert post(daemon, world.message(kind="SubscriptionConfirmation", **wrong)) == 401
    assert not any(p.startswith("/?") for p in world.web.paths)
    assert post(daemon, world.message(kind="SubscriptionConfirmation")) == 200, daemon.stderr
    assert [p for p in world.web.paths if p.startswith("/?")] == ["/?Action=ConfirmSubscription&Token=t0ken"]
    until(lambda: f"Confirmed the subscription to {TOPIC}" in daemon.stderr)
    assert post(daemon, world.message(kind="UnsubscribeConfirmation")) == 200
    assert len(world.web.paths) == 2
    until(lambda: "SNS has ended the subscription" in daemon.stderr)
    assert daemon.control("GET", "/v1/jobs").json["jobs"] == []
    # what fails is SNS' to repeat
    world.web.pages["/"] = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
    assert post(daemon, world.message(kind="SubscriptionConfirmation")) == 503
    world.web.pages["/"] = b"HTTP/1.1 302 F\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"
    assert post(daemon, world.message(kind="SubscriptionConfirmation")) == 503
    assert set(world.web.seen) == {PUBLIC}
    inward = "sns.us-east-49.amazonaws.com"
    world.dns.table[inward] = ["127.0.0.1", "::1"]
    url = f"https://{inward}/?Action=ConfirmSubscription&Token=t0ken"
    assert post(daemon, world.message(kind="SubscriptionConfirmation", SubscribeURL=url)) == 503
    assert set(world.web.seen) == {PUBLIC}
    assert "t0ken" not in daemon.stderr


@inside
def test_invented_certificate_urls_are_bounded_and_throw_nothing_out(daemon, world):
    assert post(daemon, world.message()) == 200
    for i in range(60):
        assert post(daemon, world.message(url=f"https://{HOST}/no/{'x' * (i + 1)}.pem")) == 503
    assert len(world.web.seen) < 60
    held = [k for k in daemon.control("GET", "/v1/status").json["keys"] if k["kind"] == "certificate"]
    assert len(held) <= 32
    before = len(world.web.seen)
    assert post(daemon, world.message()) == 200 and len(world.web.seen) == before


INNER = 10

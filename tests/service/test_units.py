"""What the units promise: how tight they are and what for, credentials, rotation by reload,
and the way back from a configuration that is broken."""
import json
import os
import re
import ssl
import subprocess
import sys
import time

import pytest
from container import TOP, wait_for
from scene import CONFIG, SECRET
from test_service import kind, main_pid, send

FULL = bool(os.environ.get("FULL"))
pytestmark = pytest.mark.timeout(300 if FULL else 90)
SERVICE = "callbackd.service"
CONF = "/etc/callbackd/callbackd.conf"
DROP_INS = "/etc/systemd/system/callbackd.service.d"
# Answers what Confirm=yes asks.
SOURCE_THAT_IS_ASKED = """
import http.server, json, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"id": self.path[1:], "status": "completed"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
print(server.server_port, flush=True)
server.serve_forever()
"""
ASKED = """
[Source asked]
Verify=hmac
SecretFile=demo.secret
SignaturePrefix=sha256=
Confirm=yes
StatusURL=http://localhost:PORT/{id}
"""


def restart(service):
    service.run("systemctl", "daemon-reload")
    service.run("systemctl", "restart", SERVICE, timeout=60)


@pytest.fixture
def drop_in(service):
    """drop_in(text): in force from a restart on, until the test's end."""
    path = DROP_INS + "/test-units.conf"

    def put(text):
        service.write(path, text)
        restart(service)

    yield put
    if os.path.lexists(service.path(path)):
        os.unlink(service.path(path))
    service.write(CONF, CONFIG)
    service.run("systemctl", "reset-failed", "callbackd*")
    restart(service)


def exposure(service, unit):
    """As systemd scores it, and the settings that cost points."""
    told = service.run("systemd-analyze", "security", "--no-pager", unit).stdout
    rows = json.loads(service.run(
        "systemd-analyze", "security", "--no-pager", "--json=short", unit).stdout)
    score = float(re.search(r"Overall exposure level for \S+: (\S+)", told).group(1))
    return score, {r["name"].split("=")[0] for r in rows if r["exposure"] and float(r["exposure"])}


def run_is_done(service, id):
    wait_for("the run's end", lambda: service.journal(
        f"CALLBACK_ID={id}", "MESSAGE_ID=" + kind("LOG_RUN_DONE")), 20)


def test_the_sandbox_and_what_it_leaves_open(service):
    score, open_for_hooks = exposure(service, SERVICE)
    print(f"{SERVICE}: {score}")
    assert score <= 2.5
    hook, open_for_one = exposure(service, "callbackd-hook@apart.service")
    print(f"callbackd-hook@.service: {hook}")
    assert hook <= 2.5
    with open(os.path.join(TOP, "man/callbackd.8")) as f:
        chapter = f.read().split(".Ss What the sandbox leaves open\n")[1].split("\n.S")[0]
    told = set(re.findall(r"(\w+)=", " ".join(re.findall(r"^\.It (.*)", chapter, re.M))))
    assert open_for_hooks | open_for_one <= told, "the manual says of each what it is open for"
    assert told <= open_for_hooks, "and of none that is closed"
    units = [name for name in os.listdir(service.path("/usr/lib/systemd/system")) if name.startswith("callbackd")]
    assert len(units) >= 7
    said = service.run("systemd-analyze", "verify", "--man=no", *[
        "/usr/lib/systemd/system/" + u.replace("@.", "@apart.") for u in sorted(units)])
    assert said.stdout + said.stderr == ""


def test_sealed_with_hooks_in_services_of_their_own(service):
    """As the file says it is put in place, and all that the daemon does by itself still works."""
    link = DROP_INS + "/sealed.conf"
    answerer = service.in_network(sys.executable, "-c", SOURCE_THAT_IS_ASKED)
    port = answerer.stdout.readline().strip()
    try:
        service.run("mkdir", "-p", DROP_INS)
        service.run("ln", "-s", "/usr/share/callbackd/sealed.conf", link)
        service.write(CONF, CONFIG + ASKED.replace("PORT", port))
        service.run("systemctl", "enable", "--now", "callbackd-hook@apart.socket")
        restart(service)
        score, _ = exposure(service, SERVICE)
        print(f"{SERVICE}, sealed: {score}")
        assert score <= 1.3
        said = service.run("systemd-analyze", "verify", "--man=no", "/usr/lib/systemd/system/" + SERVICE)
        assert said.stdout + said.stderr == ""
        ids = [f"{source}-sealed-{time.time()}" for source in ("apart", "asked")]
        for source, id in zip(("apart", "asked"), ids):
            assert send(service, source, id) == (200, "{}")
        run_is_done(service, ids[0])
        wait_for("the source's answer", lambda: json.loads(service.run(
            "callbackctl", "--json", "show", ids[1]).stdout)["confirmed"])
        service.run("systemctl", "reload", SERVICE)
        assert service.show(SERVICE, "NRestarts") == "0"
        with open(f"/proc/{pid_here(service)}/limits") as f:
            files = re.search(r"Max open files\s+(\d+)\s+(\d+)", f.read())
        assert files.group(1) == files.group(2), "it may raise its own descriptor limit"
    finally:
        answerer.kill()
        answerer.communicate()
        if os.path.lexists(service.path(link)):
            os.unlink(service.path(link))
        service.write(CONF, CONFIG)
        service.run("systemctl", "disable", "--now", "callbackd-hook@apart.socket")
        service.run("systemctl", "stop", "callbackd-hook@apart.service")
        service.run("rm", "-f", "/var/lib/private/callbackd-hook/apart/seen")
        restart(service)


def pid_here(service):
    """The main process by this machine's number."""
    inner = main_pid(service)
    for here in service.processes():
        with open(f"/proc/{here}/status") as f:
            if re.search(rf"^NSpid:\s.*\b{inner}$", f.read(), re.M):
                return here
    raise AssertionError("no main process")


@pytest.mark.parametrize("how", ["plain", "encrypted"])
def test_secrets_as_credentials(service, drop_in, how):
    def give(secret):
        if how == "plain":
            service.write("/etc/credstore/vault.secret", secret, 0o600)
            return "LoadCredential=vault.secret:/etc/credstore/vault.secret"
        made = service.run("systemd-creds", "encrypt", "--with-key=host", "--name=vault.secret", "-",
                           "/etc/credstore.encrypted/vault.secret", input=secret, check=False)
        if made.returncode != 0:
            pytest.skip(f"no encrypted credentials here: {made.stderr.strip()}")
        return "LoadCredentialEncrypted=vault.secret:/etc/credstore.encrypted/vault.secret"

    service.run("mkdir", "-p", "/etc/credstore", "/etc/credstore.encrypted")
    service.run("rm", "-f", "/etc/credstore.encrypted/vault.secret")
    service.write(CONF, CONFIG.replace("[Source demo]", """[Source vault]
Verify=hmac
SecretFile=vault.secret
SignaturePrefix=sha256=

[Source demo]"""))
    drop_in("[Service]\n" + give("a first secret\n"))
    assert not os.path.exists(service.path("/etc/callbackd/vault.secret"))
    assert send(service, "vault", f"{how}-1", "a first secret") == (200, "{}")
    assert send(service, "vault", f"{how}-2", "a second secret")[0] == 401
    # What the manual says of rotation: a reload keeps the value, a restart takes the new one.
    service.run("rm", "-f", "/etc/credstore.encrypted/vault.secret")
    give("a second secret\n")
    service.run("systemctl", "reload", SERVICE)
    assert send(service, "vault", f"{how}-3", "a first secret") == (200, "{}")
    restart(service)
    assert send(service, "vault", f"{how}-4", "a second secret") == (200, "{}")
    assert send(service, "vault", f"{how}-5", "a first secret")[0] == 401
    assert service.run("callbackd", "-n").returncode == 0, "from a shell it is only warned of"


def certificate(service, directory, name):
    """A new certificate and key in the service's places, of that name."""
    key, crt = str(directory / (name + ".key")), str(directory / (name + ".crt"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                    "-nodes", "-subj", f"/CN={name}", "-days", "30", "-keyout", key, "-out", crt],
                   check=True, capture_output=True)
    for path, inside in (key, "/etc/callbackd/tls.key"), (crt, "/etc/callbackd/tls.crt"):
        with open(path) as f:
            service.write(inside, f.read(), 0o640, group="callbackd")
    with open(crt) as f:
        return f.read()


def served_certificate(service):
    child = service.in_network(sys.executable, "-c", "import ssl; print(ssl.get_server_certificate(('127.0.0.1', 8443)))")
    return child.communicate(timeout=20)[0]


def is_same(one, other):
    return ssl.PEM_cert_to_DER_cert(one.strip()) == ssl.PEM_cert_to_DER_cert(other.strip())


def test_rotation_by_reload_under_load(service, tmp_path):
    """Certificate and secret replaced. Connections come and go: 7 requests each."""
    old, new = "a secret before", "a secret after"
    text = CONFIG.replace("[Daemon]\n", """[Daemon]
TLSCertificateFile=tls.crt
TLSKeyFile=tls.key
MaxRequestsPerConnection=7
""") + """
[Source rotated]
Verify=hmac
SecretFile=rotated.secret
SecretFile=rotated.old
SignaturePrefix=sha256=
"""

    def secrets(current, before):
        service.write("/etc/callbackd/rotated.secret", current + "\n", 0o640, group="callbackd")
        service.write("/etc/callbackd/rotated.old", before + "\n", 0o640, group="callbackd")

    def load(secret, name):
        return service.in_network(
            sys.executable, os.path.join(TOP, "tests/service/load.py"), "tls:8443",
            "/callback/rotated", secret, "60", "3", "0.005", str(tmp_path / name))

    def end(child):
        child.terminate()
        result = json.loads(child.communicate(timeout=30)[0])
        assert set(result["answers"]) == {"200"} and result["answers"]["200"] > 20, result
        assert result["refused"] == result["broken"] == result["closed"] == 0, result

    children = []
    try:
        secrets(old, old)
        first = certificate(service, tmp_path, "first")
        service.write(CONF, text)
        # As the manual says a socket is added to a service that runs.
        service.run("systemctl", "enable", "callbackd-tls.socket")
        service.run("systemctl", "restart", SERVICE, timeout=60)
        assert is_same(served_certificate(service), first)
        pid = main_pid(service)
        children.append(load(old, "old"))
        time.sleep(0.5)
        # The new ones, with the old secret still beside the new: who signs with it is taken.
        second = certificate(service, tmp_path, "second")
        secrets(new, old)
        service.run("systemctl", "reload", SERVICE)
        assert is_same(served_certificate(service), second)
        children.append(load(new, "new"))
        for n in range(30 if FULL else 3):
            certificate(service, tmp_path, f"again-{n}")
            service.run("systemctl", "reload", SERVICE)
        end(children[0])
        secrets(new, new)
        service.run("systemctl", "reload", SERVICE)
        assert send(service, "rotated", "old", old)[0] == 401
        assert send(service, "rotated", "new", new) == (200, "{}")
        time.sleep(0.3)
        end(children[1])
        assert main_pid(service) == pid, "a reload is no restart"
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
                child.communicate()
        service.write(CONF, CONFIG)
        service.run("systemctl", "disable", "callbackd-tls.socket")
        service.run("systemctl", "stop", "callbackd-tls.socket", SERVICE, timeout=60)
        service.run("systemctl", "start", SERVICE, timeout=60)


def test_a_broken_reload_tells_where(service):
    service.write(CONF, CONFIG + "\n[Source demo2]\nVerfy=hmac\n")
    line = (CONFIG + "\n[Source demo2]\nVerfy=hmac\n").count("\n")
    pid = main_pid(service)
    since = time.time()
    reload = service.run("systemctl", "reload", SERVICE, check=False)
    assert reload.returncode != 0
    told = service.run("systemctl", "status", "--no-pager", "-l", "-n", "50", SERVICE, check=False).stdout
    assert f"{CONF}:{line}: " in told and "Verify" in told, told
    # What `systemctl reload` points to has it as callbackctl's own words, too.
    words = [r["MESSAGE"] for r in service.journal("-u", SERVICE, f"--since=@{since:.3f}")
             if r.get("SYSLOG_IDENTIFIER") == "callbackctl"]
    assert any(f"{CONF}:{line}: " in w for w in words), words
    assert send(service, "demo", f"still-{since}") == (200, "{}")
    assert main_pid(service) == pid
    service.write(CONF, CONFIG)
    service.run("systemctl", "reload", SERVICE)


def test_a_broken_start_does_not_loop_and_the_way_back_works(service):
    """Also when callbacks go on knocking at the socket."""
    def starts():
        return len(service.journal("_PID=1", "UNIT=" + SERVICE, "EXIT_CODE=exited",
                                   f"--since=@{since:.3f}"))

    with open(os.path.join(TOP, "man/callbackd.8")) as f:
        chapter = f.read().split(".It The service has failed with status 78")[1]
    way_back = re.findall(r"^# (.+)$", chapter.split(".Ed")[0], re.M)
    assert len(way_back) == 2
    since = time.time()
    service.write(CONF, "[Daemon]\nLisen=127.0.0.1:8080\n")
    service.run("systemctl", "restart", SERVICE, check=False, timeout=60)
    wait_for("it to fail", lambda: service.show(SERVICE, "ActiveState") == "failed")

    def knock():
        service.run("curl", "-s", "-m", "0.2", "http://127.0.0.1:8080/", check=False)
        return service.show("callbackd.socket", "ActiveState") == "failed"

    wait_for("its socket to give up", knock, 40)
    assert service.show("callbackd.socket", "Result") in ("trigger-limit-hit", "service-start-limit-hit")
    n = starts()
    print(f"{n} starts")
    assert 1 <= n <= 60, f"{n} starts"
    for _ in range(10):
        service.run("curl", "-s", "-m", "0.2", "http://127.0.0.1:8080/", check=False)
    assert starts() == n, "nothing starts it any more"
    told = service.run("callbackd", "-n", check=False)
    assert told.returncode == 78 and f"{CONF}:2: " in told.stdout + told.stderr
    service.write(CONF, CONFIG)
    for command in way_back:
        service.run("sh", "-c", command, timeout=60)
    assert send(service, "demo", f"back-{since}") == (200, "{}")
    for unit in (SERVICE, "callbackd.socket", "callbackd-control.socket"):
        assert service.show(unit, "ActiveState") == "active", unit
    # For ten seconds the socket remembers how often it tried; other tests are not to meet that.
    service.run("systemctl", "daemon-reload")

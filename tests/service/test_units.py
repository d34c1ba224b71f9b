"""The units as systemd sees them: scores, the sealed variant, credentials, reloads."""
import json
import os
import ssl
import subprocess
import sys

from container import TOP, wait_for
from scene import CONFIG, SECRET
from test_service import kind, send

DROPIN = "/etc/systemd/system/callbackd.service.d/test.conf"


def restart_with(service, dropin):
    """The service under a drop-in of its own; None takes it away."""
    if dropin is None:
        os.unlink(service.path(DROPIN))
    else:
        service.write(DROPIN, dropin)
    service.run("systemctl", "daemon-reload")
    service.run("systemctl", "restart", "callbackd.service", timeout=60)


def score(service, unit):
    out = service.run("systemd-analyze", "security", "--no-pager", unit, check=False, timeout=60).stdout
    return float(out.strip().splitlines()[-1].split(": ")[1].split()[0])


def test_scores(service):
    assert score(service, "callbackd.service") <= 2.5
    verified = service.run("sh", "-c", "systemd-analyze verify --man=no /lib/systemd/system/callbackd* "
                           "/usr/lib/systemd/system/callbackd* 2>&1", check=False, timeout=60)
    assert verified.stdout == ""


def test_sealed_with_hooks_in_units_of_their_own(service):
    with open(os.path.join(TOP, "systemd/sealed.conf")) as f:
        restart_with(service, f.read())
    try:
        assert score(service, "callbackd.service") <= 1.3
        service.run("systemctl", "enable", "--now", "callbackd-hook@apart.socket")
        id = "sealed-1"
        assert send(service, "apart", id) == (200, "{}")
        wait_for("the run's end", lambda: service.journal(f"CALLBACK_ID={id}", "MESSAGE_ID=" + kind("LOG_RUN_DONE")), 20)
        answer = service.run("callbackctl", "test", "demo", "--tamper")
        assert "401" in answer.stdout
    finally:
        restart_with(service, None)


def test_secrets_as_credentials_and_encrypted(service):
    service.write("/etc/secrets/plain", "plain secret\n", 0o600)
    service.write("/etc/secrets/clear", "encrypted secret\n", 0o600)
    service.run("systemd-creds", "setup", check=False)
    made = service.run("systemd-creds", "encrypt", "--with-key=host", "--name=sealed.secret", "/etc/secrets/clear",
                       "/etc/secrets/sealed", check=False)
    encrypted = made.returncode == 0
    config = CONFIG.replace("[Source chatty]\nVerify=hmac\nSecretFile=demo.secret", "[Source chatty]\nVerify=hmac\nSecretFile=plain.secret")
    dropin = "[Service]\nLoadCredential=plain.secret:/etc/secrets/plain\n"
    if encrypted:
        config = config.replace("[Source flood]\nVerify=hmac\nSecretFile=demo.secret", "[Source flood]\nVerify=hmac\nSecretFile=sealed.secret")
        dropin += "LoadCredentialEncrypted=sealed.secret:/etc/secrets/sealed\n"
    service.write("/etc/callbackd/callbackd.conf", config)
    restart_with(service, dropin)
    try:
        assert send(service, "chatty", "by-credential", secret="plain secret") == (200, "{}")
        assert send(service, "chatty", "by-another")[0] == 401
        if encrypted:
            assert send(service, "flood", "by-sealed", secret="encrypted secret") == (200, "{}")
        else:
            print(f"no encrypted credentials here: {made.stderr.strip()}")
    finally:
        service.write("/etc/callbackd/callbackd.conf", CONFIG)
        restart_with(service, None)


def test_a_bad_reload_says_file_and_line_and_a_bad_start_does_not_loop(service):
    service.write("/etc/callbackd/callbackd.conf", CONFIG + "\n[Hook broken]\nExce=/bin/true\n")
    line = (CONFIG + "\n[Hook broken]\nExce=").count("\n") + 1
    reload = service.run("systemctl", "reload", "callbackd.service", check=False)
    assert reload.returncode != 0
    where = f"callbackd.conf:{line}: "
    said = wait_for("the problem", lambda: [r["MESSAGE"] for r in service.journal("-u", "callbackd.service", "-n", "50")
                                            if where in r["MESSAGE"] and "Exce" in r["MESSAGE"]])
    assert said
    assert send(service, "demo", "after-a-bad-reload") == (200, "{}")
    service.run("systemctl", "stop", "callbackd.service")
    service.run("systemctl", "start", "callbackd.service", check=False)
    wait_for("it to fail", lambda: service.show("callbackd.service", "ActiveState") == "failed")
    starts = len(service.journal("UNIT=callbackd.service", "MESSAGE_ID=7d4958e842da4a758f6c1cdc7b36dcc5"))
    for _ in range(30):  # callbacks that find nobody do not make it try for ever
        service.run("curl", "-s", "-m", "1", "http://127.0.0.1:8080/", check=False)
    more = len(service.journal("UNIT=callbackd.service", "MESSAGE_ID=7d4958e842da4a758f6c1cdc7b36dcc5")) - starts
    assert more <= 25
    assert service.show("callbackd.service", "NRestarts") == "0"
    # The manual's way back.
    service.write("/etc/callbackd/callbackd.conf", CONFIG)
    service.run("systemctl", "reset-failed", "callbackd*")
    service.run("systemctl", "start", "callbackd.service")
    assert send(service, "demo", "after-the-repair") == (200, "{}")


def certificate(service, directory, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", f"/CN={name}", "-days", "30", "-keyout", f"{directory}/key", "-out", f"{directory}/cert"],
                   check=True, capture_output=True)
    for part, mode in (("cert", 0o644), ("key", 0o640)):
        with open(f"{directory}/{part}") as f:
            service.write(f"/etc/callbackd/{part}.pem", f.read(), mode, group="callbackd")


SHOWN = """
import socket, ssl
c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
with socket.create_connection(("127.0.0.1", 8443), 10) as s, c.wrap_socket(s) as t:
    print(ssl.DER_cert_to_PEM_cert(t.getpeercert(True)))
"""


def shown(service):
    pem = service.in_network(sys.executable, "-c", SHOWN).communicate(timeout=20)[0]
    assert ssl.PEM_cert_to_DER_cert(pem.strip())
    return pem.strip()


def test_secret_and_certificate_replaced_under_load(service, tmp_path):
    certificate(service, tmp_path, "before")
    service.write("/etc/callbackd/new.secret", "the next secret\n", 0o640, group="callbackd")
    tls = CONFIG.replace("[Daemon]\n", "[Daemon]\nListenTLS=127.0.0.1:8443\nTLSCertificateFile=cert.pem\nTLSKeyFile=key.pem\n", 1)
    service.write("/etc/callbackd/callbackd.conf", tls)
    service.run("systemctl", "restart", "callbackd.service", timeout=60)
    assert shown(service) == (tmp_path / "cert").read_text().strip()
    ids = tmp_path / "ids"
    load = service.in_network(sys.executable, os.path.join(TOP, "tests/service/load.py"), "8080", "/callback/flood", SECRET,
                              "4", "4", "0.002", str(ids))
    certificate(service, tmp_path, "after")
    service.write("/etc/callbackd/callbackd.conf", tls.replace("SecretFile=demo.secret", "SecretFile=demo.secret\nSecretFile=new.secret"))
    service.run("systemctl", "reload", "callbackd.service")
    assert shown(service) == (tmp_path / "cert").read_text().strip(), "the new certificate"
    assert send(service, "demo", "by-the-new", secret="the next secret") == (200, "{}")
    assert send(service, "demo", "by-the-old") == (200, "{}"), "both, while senders change over"
    result = json.loads(load.communicate(timeout=60)[0])
    assert set(result["answers"]) == {"200"} and result["answers"]["200"] > 20, result
    assert not result.get("refused") and not result.get("broken") and not result.get("lost"), result
    service.write("/etc/callbackd/callbackd.conf", tls.replace("SecretFile=demo.secret", "SecretFile=new.secret"))
    service.run("systemctl", "reload", "callbackd.service")
    assert send(service, "demo", "too-old")[0] == 401
    assert send(service, "demo", "new-alone", secret="the next secret") == (200, "{}")
    service.write("/etc/callbackd/callbackd.conf", CONFIG)
    service.run("systemctl", "restart", "callbackd.service", timeout=60)

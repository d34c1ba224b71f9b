"""Doctor, backup and restore where they are needed: under a real systemd, by root, of a service
that runs as somebody else in a sandbox."""
import json

from container import wait_for
from scene import CONFIG
from test_service import send, state_lines

HOOK = "[Hook closed]\nSource=hidden\nOn=error\nExec=/root/closed/hook\n"


def doctor(container):
    done = container.run("callbackctl", "--json", "doctor", check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_what_works_in_my_shell_and_not_in_the_service(service):
    service.write("/root/closed/hook", "#!/bin/sh\nexit 0\n", 0o755)
    assert service.run("/root/closed/hook").returncode == 0, "it works in my shell"
    service.write("/etc/callbackd/callbackd.conf", CONFIG + HOOK)
    service.run("systemctl", "reload", "callbackd.service")
    status, found = doctor(service)
    assert status == 1
    told = {c["check"]: c for c in found}
    assert told["hook closed"]["state"] == "problem"
    assert "/root may not be entered by this user" in told["hook closed"]["text"]
    assert told["hook publish"]["state"] == "ok"
    assert told["process trees"]["state"] == "ok" and told["journal"]["state"] == "ok"
    assert told["reading the journal"]["state"] == "ok", "root can"
    service.write("/etc/callbackd/callbackd.conf", CONFIG)
    service.run("systemctl", "reload", "callbackd.service")
    assert not [c for c in doctor(service)[1] if c["state"] == "problem" and c["check"] != "hook apart"]


def test_no_daemon(service):
    service.run("systemctl", "stop", "callbackd.service", "callbackd.socket", "callbackd-control.socket")
    status, found = doctor(service)
    assert status == 69
    told = {c["check"]: c["text"] for c in found}
    assert "inactive" in told["service"] and "journalctl -u callbackd" in told["service"]
    service.run("systemctl", "start", "callbackd.socket", "callbackd.service")
    assert service.show("callbackd.socket", "ActiveState") == "active"


def test_backup_and_restore_as_the_manual_says(service):
    assert send(service, "demo", "copied") == (200, "{}")
    wait_for("the hook", lambda: "copied" in state_lines(service, "published"))
    told = service.run("callbackctl", "backup", "/root/copy.db").stdout
    assert "checked" in told
    assert send(service, "demo", "too-late") == (200, "{}")
    busy = service.run("callbackctl", "restore", "/root/copy.db", check=False)
    assert busy.returncode == 1 and "in use" in busy.stderr
    service.run("systemctl", "stop", "callbackd.service", "callbackd.socket", "callbackd-tls.socket")
    service.run("callbackctl", "restore", "/root/copy.db")
    service.run("systemctl", "start", "callbackd.socket", "callbackd.service")
    assert service.show("callbackd.socket", "ActiveState") == "active"
    # As the service user, who owns what root has put there.
    assert service.run("callbackctl", "show", "demo/copied").returncode == 0
    assert service.run("callbackctl", "show", "demo/too-late", check=False).returncode == 66
    owners = service.run("sh", "-c", "stat -c %U /var/lib/callbackd/callbackd.db*").stdout.split()
    assert set(owners) == {"callbackd"}
    assert send(service, "demo", "afterwards") == (200, "{}")

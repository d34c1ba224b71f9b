"""The Debian package in a machine of its own: installed, used, upgraded, removed, purged."""
import json
import os
import shutil
import subprocess
import sys
import time

import pytest
from container import BUILD, TOP, Unavailable, new_container, wait_for
from scene import SECRET
from test_service import kind, send

FULL = bool(os.environ.get("FULL"))
pytestmark = pytest.mark.timeout(900 if FULL else 120)
PACKAGE = "callbackd"
CONFIG = """\
[Daemon]
StopTimeout=1s

[Source demo]
Verify=hmac
SecretFile=demo.secret
SignaturePrefix=sha256=

[Source slow]
Verify=hmac
SecretFile=demo.secret
SignaturePrefix=sha256=

[Source flood]
Verify=hmac
SecretFile=demo.secret
SignaturePrefix=sha256=

[Source failing]
Verify=hmac
SecretFile=demo.secret
SignaturePrefix=sha256=

[Hook publish]
Source=demo
Exec=/bin/echo publishing ${CALLBACK_ID}

[Hook fail]
Source=failing
Exec=/bin/false
Retries=0

[Hook sleeper]
Source=slow
Exec=/bin/sleep 4261
"""
SLEEPS = "/bin/sleep 4261"


def build(directory, tree=TOP, objects=BUILD):
    """The package of `tree`; with the programs of `objects`, or with its own."""
    env = dict(os.environ, DEB_BUILD_OPTIONS="noautodbgsym parallel=2")
    if objects:
        env["CALLBACKD_BUILD"] = objects
    done = subprocess.run(["sh", os.path.join(tree, "tests/deb.sh"), str(directory)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def older(package, directory):
    """The same files under a lower version."""
    tree, out = os.path.join(directory, "older"), os.path.join(directory, "older.deb")
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    with open(os.path.join(tree, "DEBIAN/control")) as f:
        control = f.read().replace("\nVersion: ", "\nVersion: 0~")
    with open(os.path.join(tree, "DEBIAN/control"), "w") as f:
        f.write(control)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, out], check=True, stdout=subprocess.DEVNULL)
    return out


def of_an_older_commit(commit, directory):
    """Built whole from what that commit was; the packaging is today's."""
    tree = os.path.join(directory, "tree")
    os.mkdir(tree)
    archive = subprocess.run(["git", "-C", TOP, "archive", commit], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", tree], input=archive, check=True)
    shutil.rmtree(os.path.join(tree, "debian"), ignore_errors=True)
    shutil.copytree(os.path.join(TOP, "debian"), os.path.join(tree, "debian"))
    shutil.copy(os.path.join(TOP, "tests/deb.sh"), os.path.join(tree, "tests/deb.sh"))
    return older(build(os.path.join(directory, "old-deb"), tree, None), directory)


def commit_to_upgrade_from():
    """The last release, or what was there before there was a package; None in a shallow clone."""
    def git(*argv):
        done = subprocess.run(["git", "-C", TOP, *argv], capture_output=True, text=True)
        return done.stdout.split() if done.returncode == 0 else []

    if os.environ.get("OLD_COMMIT"):
        return os.environ["OLD_COMMIT"]
    release = git("describe", "--tags", "--abbrev=0", "HEAD^")
    if release:
        return release[0]
    first = git("log", "--diff-filter=A", "--format=%H", "--", "debian/changelog")
    before = git("rev-parse", "--verify", "-q", first[-1] + "^") if first else []
    return before[0] if before else None


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    if not shutil.which("dh") or not shutil.which("dpkg-buildpackage"):
        pytest.skip("package tests: no debhelper here")
    directory = str(tmp_path_factory.mktemp("deb"))
    new = build(os.path.join(directory, "deb"))
    commit = commit_to_upgrade_from() if FULL or os.environ.get("OLD_COMMIT") else None
    if FULL and not commit:
        pytest.skip("package tests: a shallow clone has no older commit to upgrade from")
    print(f"the older package: {commit or 'the same tree'}")
    return of_an_older_commit(commit, directory) if commit else older(new, directory), new


@pytest.fixture(scope="module")
def machine(packages):
    try:
        container = new_container()
        container.boot()
    except Unavailable as e:
        pytest.skip(f"container tests: {e}")
    for name, path in zip(("old.deb", "new.deb"), packages):
        shutil.copy(path, container.path("/root/" + name))
    yield container
    container.close()


def processes(container, *words):
    return [c for c in container.processes().values() if any(w in c for w in words)]


def jobs(container):
    """What is known of each job, by its id: fields that are the same in all versions."""
    done = container.run("callbackctl", "--json", "list", "--limit", "100000")
    fields = ("source", "status", "outcome", "received", "updated", "deliveries")
    return {job["id"]: [job[f] for f in fields] for job in map(json.loads, done.stdout.splitlines())}


def runs_that_ended(container):
    """{id of its job: the run} of those that no upgrade changes."""
    done = container.run("callbackctl", "--json", "runs", "--limit", "100000")
    fields = ("run", "hook", "source", "state", "attempt", "started", "finished", "exit_status")
    runs = [run for run in map(json.loads, done.stdout.splitlines()) if run["state"] in ("done", "dead")]
    return {run["id"]: [run[f] for f in fields] for run in runs}


def test_installed_it_waits_for_its_administrator(machine):
    machine.run("dpkg", "-i", "/root/old.deb", timeout=60)
    assert machine.run("id", "-u", PACKAGE).stdout.strip() != "0"
    for unit in ("callbackd.service", "callbackd.socket", "callbackd-control.socket"):
        assert machine.run("systemctl", "is-enabled", unit, check=False).stdout.strip() == "disabled"
        assert machine.show(unit, "ActiveState") == "inactive"
    assert machine.run("callbackd", "-n", check=False).returncode == 0, "the sample is sound"


def test_enabled_and_started_by_its_first_callback(machine):
    machine.write("/etc/callbackd/callbackd.conf", CONFIG)
    machine.write("/etc/callbackd/demo.secret", SECRET + "\n", 0o640, group=PACKAGE)
    machine.run("systemctl", "enable", "--now", "callbackd.socket", "callbackd-control.socket")
    machine.run("systemctl", "enable", "callbackd.service")
    assert machine.show("callbackd.service", "ActiveState") == "inactive"
    assert send(machine, "demo", "first") == (200, "{}")
    assert machine.show("callbackd.service", "ActiveState") == "active"
    said = wait_for("the hook's output", lambda: machine.journal("-t", "publish"))
    assert said[0]["MESSAGE"] == "publishing first"
    records = wait_for("the story", lambda: [r for r in machine.journal("CALLBACK_ID=first") if r.get("MESSAGE_ID") == kind("LOG_RUN_DONE")])
    for field, value in {"CALLBACK_SOURCE": "demo", "CALLBACK_STATUS": "completed", "CALLBACK_OUTCOME": "success",
                         "CALLBACK_HOOK": "publish", "CALLBACK_ATTEMPT": "1", "EXIT_STATUS": "0"}.items():
        assert records[0].get(field) == value, (field, records[0])
    assert int(records[0]["DURATION_USEC"]) > 0 and records[0]["CALLBACK_RUN"]
    # The catalog came with the package, by a trigger of systemd's.
    explained = machine.run("journalctl", "-x", "--no-pager", "CALLBACK_ID=first").stdout
    assert "Subject: A callback came in" in explained


def test_an_upgrade_keeps_configuration_and_state(machine, tmp_path):
    assert send(machine, "slow", "long") == (200, "{}")
    assert send(machine, "failing", "failed") == (200, "{}")
    wait_for("a long hook", lambda: processes(machine, SLEEPS))
    wait_for("a dead run", lambda: "failed" in runs_that_ended(machine))
    before, ended = jobs(machine), runs_that_ended(machine)
    assert {"first", "failed"} <= set(ended)
    version = machine.run("dpkg-query", "-W", "-f", "${Version}", PACKAGE).stdout
    machine.write("/etc/callbackd/hooks/other", "#!/bin/sh\nexit 0\n", 0o755)
    machine.run("systemctl", "start", "callbackd-hook@other.socket", "callbackd-hook@other.service")
    pid, hook_pid = (machine.show(u, "MainPID") for u in ("callbackd.service", "callbackd-hook@other.service"))
    socket = machine.show("callbackd.socket", "InactiveExitTimestampMonotonic")
    taken = tmp_path / "taken"
    load = machine.in_network(sys.executable, os.path.join(TOP, "tests/service/load.py"), "8080",
                              "/callback/flood", SECRET, "120", "3", "0.005", str(taken))
    try:
        time.sleep(0.3)
        machine.run("dpkg", "-i", "/root/new.deb", timeout=90)
        time.sleep(0.3)
        load.terminate()
        result = json.loads(load.communicate(timeout=30)[0])
    finally:
        load.kill()
        load.communicate()
    assert result["refused"] == result["broken"] == 0 and set(result["answers"]) == {"200"}, result
    assert machine.run("dpkg-query", "-W", "-f", "${Version}", PACKAGE).stdout != version
    assert machine.show("callbackd.service", "ActiveState") == "active"
    assert machine.show("callbackd.service", "MainPID") != pid, "it runs what was installed"
    assert machine.show("callbackd-hook@other.service", "MainPID") not in ("0", hook_pid), "and so does a hook's own service"
    machine.run("systemctl", "stop", "callbackd-hook@other.socket", "callbackd-hook@other.service")
    assert machine.show("callbackd.socket", "InactiveExitTimestampMonotonic") == socket, "its socket stayed open"
    with open(machine.path("/etc/callbackd/callbackd.conf")) as f:
        assert f.read() == CONFIG
    after = jobs(machine)
    assert {id: after.get(id) for id in before} == before
    assert len(taken.read_text().split()) > 20
    assert set(taken.read_text().split()) <= set(after), "all that was answered 200"
    ran = runs_that_ended(machine)
    assert {id: ran.get(id) for id in ended} == ended
    assert send(machine, "demo", "second") == (200, "{}")
    # What was dead can be replayed; the hook that was cut short goes on: it was not forgotten.
    machine.run("callbackctl", "replay", ended["failed"][0])
    wait_for("the long hook again", lambda: processes(machine, SLEEPS), 20)


def test_upgrades_do_not_start_what_is_stopped(machine):
    machine.run("systemctl", "stop", "callbackd.service", "callbackd.socket", timeout=60)
    machine.run("dpkg", "-i", "/root/old.deb", timeout=60)
    machine.run("dpkg", "-i", "/root/new.deb", timeout=60)
    assert machine.show("callbackd.service", "ActiveState") == "inactive"
    machine.run("systemctl", "start", "callbackd.socket", "callbackd.service")


def test_removed_it_leaves_no_process_and_purged_no_state(machine):
    machine.write("/etc/callbackd/hooks/apart", "#!/bin/sh\nexit 0\n", 0o755)
    machine.run("systemctl", "enable", "--now", "callbackd-hook@apart.socket")
    machine.run("systemctl", "start", "callbackd-hook@apart.service")
    wait_for("a hook's own service", lambda: processes(machine, "callbackctl serve"))
    wait_for("a hook of the daemon's", lambda: processes(machine, SLEEPS), 20)
    machine.run("dpkg", "-r", PACKAGE, timeout=60)
    assert not processes(machine, PACKAGE, "callbackctl", SLEEPS)
    assert os.path.exists(machine.path("/var/lib/callbackd/callbackd.db")), "state outlives a removal"
    assert os.path.exists(machine.path("/etc/callbackd/callbackd.conf"))
    # Installed again it goes on where it was.
    machine.run("dpkg", "-i", "/root/new.deb", timeout=60)
    machine.run("systemctl", "start", "callbackd.socket", "callbackd-control.socket", "callbackd.service")
    assert {"first", "second"} <= set(jobs(machine))
    machine.run("dpkg", "-P", PACKAGE, timeout=60)
    for path in ("/var/lib/callbackd", "/var/lib/private/callbackd-hook", "/var/lib/callbackd-hook", "/run/callbackd", "/etc/callbackd/callbackd.conf"):
        assert not os.path.lexists(machine.path(path)), path
    assert os.path.exists(machine.path("/etc/callbackd/demo.secret")), "the administrator's own"
    assert not processes(machine, PACKAGE, SLEEPS)
    links = [os.path.join(d, n) for d, dirs, names in os.walk(machine.path("/etc/systemd/system"))
             for n in dirs + names if PACKAGE in n]
    assert not links, "nothing is enabled that is gone"
    assert machine.run("id", PACKAGE).returncode == 0, "the user stays"
    units = machine.run("systemctl", "list-units", "--all", "--no-legend", "callbackd*", check=False).stdout
    assert "running" not in units and "listening" not in units


@pytest.mark.skipif(not FULL, reason="FULL=1")
def test_lintian(packages):
    if not shutil.which("lintian"):
        pytest.skip("no lintian here")
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error", packages[1]], capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout

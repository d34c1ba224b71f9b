"""The doctor looks at the service from within, says what is wrong and what to do."""

import json
import os
import socket
import subprocess

import pytest

from helpers import build_directory, certificate, until

SOURCE = "[Source s]\nVerify=hmac\nSecretFile=secret\n"
FILES = {"secret": "s3cret\n"}
HOOK = "[Hook h]\nSource=s\nExec={}\n"


def checks(d):
    done = d.ctl("doctor", "--json")
    assert done.returncode in (0, 1), done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(set(c) == {"check", "state", "text"} and c["text"] for c in found)
    assert (done.returncode == 1) == any(c["state"] == "problem" for c in found)
    return found


def of(found, check, state=None):
    return " | ".join(c["text"] for c in found if c["check"] == check and state in (None, c["state"]))


def test_all_is_well(run_daemon):
    d = run_daemon(SOURCE + HOOK.format("/bin/true"), files=FILES)
    found = checks(d)
    assert not [c for c in found if c["state"] == "problem"], found
    assert "/bin/true can be run" in of(found, "hook h", "ok")
    assert "1 sources, 1 hooks, 1 secrets read" in of(found, "configuration", "ok")
    assert {"daemon", "disk", "clock", "descriptors", "process trees", "journal", "public URL"} <= {c["check"] for c in found}
    people = d.ctl("doctor")
    assert people.returncode == 0 and "hook h" in people.stdout


@pytest.mark.parametrize("name, content, mode, words", [
    ("absent", None, 0, "No such file"), ("plain", "#!/bin/sh\n", 0o644, "chmod a+x"),
    ("bare", "true\n", 0o755, "no #! line"), ("lost", "#!/opt/nowhere/python3\n", 0o755, "/opt/nowhere"),
])
def test_a_hook_that_cannot_run(run_daemon, tmp_path, name, content, mode, words):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    d = run_daemon(SOURCE + HOOK.format("/bin/true") + HOOK.replace("h]", "bad]").format(path), files=FILES)
    found = checks(d)
    assert words in of(found, "hook bad", "problem")
    assert of(found, "hook h", "ok")


def test_where_a_hook_works_and_whom_it_asks(run_daemon, tmp_path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "worker"))
    listener.listen()
    more = f"""{SOURCE}{HOOK.format("/bin/true")}WorkingDirectory=/nonexistent/deeper
[Hook asks]
Mode=socket
Socket={tmp_path}/worker
[Hook silent]
Mode=socket
Socket={tmp_path}/nobody
[Hook named]
Exec=true
[Hook unnamed]
Exec=no-such-program-anywhere
"""
    found = checks(run_daemon(more, files=FILES))
    assert "/nonexistent" in of(found, "hook h", "problem")
    assert "connected" in of(found, "hook asks", "ok")
    assert "No such file" in of(found, "hook silent", "problem")
    assert of(found, "hook named", "ok")
    assert "no directory of PATH" in of(found, "hook unnamed", "problem")


def test_what_the_next_reload_would_say(run_daemon):
    d = run_daemon(SOURCE + HOOK.format("/bin/true"), files=FILES)
    os.unlink(os.path.join(d.directory, "secret"))
    found = checks(d)
    assert "secret" in of(found, "configuration", "problem")
    assert "would not take it" in of(found, "configuration", "problem")
    assert of(found, "hook h", "ok"), "the hooks at work are looked at all the same"
    d.write("secret", "s3cret\n")
    d.configure(SOURCE + "Verfy=x\n")
    assert "callbackd.conf:" in of(checks(d), "configuration", "problem")


def test_certificates(run_daemon, tmp_path):
    made = certificate(str(tmp_path), days=3)
    d = run_daemon(SOURCE, daemon=f"TLSCertificateFile={made}\nTLSKeyFile={tmp_path}/key.pem\n"
                   "PublicURL=https://hooks.example.com\n", files=FILES)
    found = checks(d)
    assert "expires within" in of(found, "certificate", "warning")
    assert "not for hooks.example.com" in of(found, "certificate", "warning")


def test_no_room(run_daemon):
    d = run_daemon(SOURCE, daemon="MinFreeBytes=900T", files=FILES)
    assert "less than MinFreeBytes=" in of(checks(d), "disk", "problem")


def test_too_few_descriptors(run_daemon):
    d = run_daemon(SOURCE, daemon="MaxConnections=900000\nMaxConcurrent=200", files=FILES)
    assert "LimitNOFILE=" in of(checks(d), "descriptors", "warning")


def test_without_a_daemon(run_daemon, tmp_path):
    d = run_daemon(SOURCE, files=FILES)
    d.stop()
    done = d.ctl("doctor", "--json")
    assert done.returncode == 69
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert "cannot reach the daemon" in of(found, "daemon", "problem")
    assert of(found, "service")
    nowhere = subprocess.run([build_directory() / "callbackctl", "-s", tmp_path / "none", "doctor"],
                             capture_output=True, text=True, timeout=30, check=False)
    assert nowhere.returncode == 69 and "No such file" in nowhere.stdout


# A look at what is called "hangs" comes back when a file called "back" is there.
HANGS = """
#define _GNU_SOURCE
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int faccessat(int fd, const char *path, int mode, int flags)
{
	while (strstr(path, "/hangs") && access(BACK, 0) < 0)
		usleep(10000);
	return (int)syscall(SYS_faccessat2, fd, path, mode, flags);
}
"""


@pytest.fixture
def hanging(run_daemon, tmp_path):
    """A daemon with a hook on a file server that is away, and how it comes back."""
    if os.environ.get("SAN"):
        pytest.skip("a sanitizer wants to be the first library")
    (tmp_path / "hangs.c").write_text(HANGS)
    subprocess.run(["gcc", "-shared", "-fPIC", f'-DBACK="{tmp_path}/back"', "-o", tmp_path / "hangs.so", tmp_path / "hangs.c"],
                   check=True)
    d = run_daemon(SOURCE + HOOK.format("/hangs/hook"), files=FILES, env={"LD_PRELOAD": str(tmp_path / "hangs.so")})
    yield d, tmp_path / "back"
    (tmp_path / "back").touch()


def test_a_file_system_that_never_answers_holds_up_nobody(hanging):
    d, back = hanging
    s = socket.socket(socket.AF_UNIX)
    s.connect(d.control_socket)
    s.sendall(b"GET /v1/doctor HTTP/1.1\r\nHost: x\r\n\r\n")
    until(lambda: "doctor" in threads(d), what="its thread")
    assert d.control("GET", "/v1/status", timeout=5).status == 200
    s.close()  # who asked gives up; the thread cannot
    until(lambda: d.control("GET", "/v1/doctor", timeout=15).status == 409, what="the next one to be told")
    assert threads(d).count("doctor") == 1
    back.touch()
    until(lambda: d.control("GET", "/v1/doctor", timeout=15).status == 200, what="it to be back")


def test_who_waits_is_told_where_it_hangs(hanging):
    d, _ = hanging
    if not os.environ.get("FULL"):
        pytest.skip("ten seconds; FULL=1 runs it")
    answer = d.control("GET", "/v1/doctor")
    assert answer.status == 504 and "/hangs/hook" in answer.json["error"]
    assert d.stop() == 0, "a stop does not wait for it"


def threads(d):
    names = []
    for task in os.listdir(f"/proc/{d.process.pid}/task"):
        try:
            with open(f"/proc/{d.process.pid}/task/{task}/comm", encoding="ascii") as f:
                names.append(f.read().strip())
        except OSError:
            pass
    return names

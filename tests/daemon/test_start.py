"""Starting, refusing to start, reloading: one clear line each, and the exit status of the contract."""

import os
import signal
import socket
import subprocess

import pytest

from helpers import build_directory, hmac_hex, until

SOURCE = "[Source s]\nVerify=hmac\nSecretFile=secret\n"
FILES = {"secret": "s3cret\n"}


def callbackd(*args, env=None):
    return subprocess.run(
        [build_directory() / "callbackd", *map(str, args)],
        capture_output=True, text=True, timeout=20, check=False, env={**os.environ, **(env or {})},
    )  # fmt: skip


def test_five_mistakes_are_five_lines(new_daemon):
    d = new_daemon(
        "[Source s]\nVerfy=hmac\nVerify=hmac\nSecretFile=secret\nTolerance=soon\nPath=no-slash\n"
        "[Hook h]\nExec=/bin/sh -c 'echo ${CALLBACK_ID}'\nRetries=many\n",
        files=FILES,
    )
    answer = callbackd("-n", "-c", d.config)
    assert answer.returncode == 78
    lines = answer.stderr.splitlines()
    assert len(lines) == 5, answer.stderr
    first = open(d.config).read().splitlines().index("[Source s]") + 1
    for line, (offset, word) in zip(
        lines, [(1, "Verify"), (4, "Tolerance"), (5, "Path"), (7, '"$CALLBACK_ID"'), (8, "Retries")], strict=True
    ):
        assert line.startswith(f"{d.config}:{first + offset}: "), line
        assert word in line
    d.spawn()
    assert d.wait() == 78
    assert d.stderr.count(f"{d.config}:") == 5


def test_a_good_configuration_is_silent(new_daemon):
    d = new_daemon(SOURCE, files=FILES)
    answer = callbackd("-n", "-c", d.config)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
    answer = callbackd("--print-config", "-c", d.config)
    assert answer.returncode == 0
    assert "SecretFile=secret" in answer.stdout and "s3cret" not in answer.stdout


@pytest.mark.parametrize(
    "args, status", [(["--nonsense"], 64), (["word"], 64), (["--version"], 0), (["--help"], 0), (["-c"], 64)]
)
def test_usage(args, status):
    assert callbackd(*args).returncode == status


def test_no_configuration_is_78(tmp_path):
    answer = callbackd("-c", tmp_path / "none.conf")
    assert answer.returncode == 78
    assert "none.conf" in answer.stderr and "No such file" in answer.stderr


@pytest.mark.parametrize("content, words", [(None, "No such file"), ("", "empty"), ("\n", "empty")])
def test_missing_or_empty_secret_is_78(new_daemon, content, words):
    d = new_daemon(SOURCE, files={} if content is None else {"secret": content})
    d.spawn()
    assert d.wait() == 78
    assert words in d.stderr and "secret" in d.stderr


def test_port_in_use_is_71(new_daemon, tmp_path):
    d = new_daemon(SOURCE, files=FILES)
    config = tmp_path / "c.conf"
    config.write_text(open(d.config).read().replace("[Source", f"Listen=127.0.0.1:{d.port}\n[Source"))
    os.link(os.path.join(d.directory, "secret"), tmp_path / "secret")
    answer = callbackd("-c", config)
    assert answer.returncode == 71
    assert f"127.0.0.1:{d.port}" in answer.stderr and "in use" in answer.stderr


def test_unwritable_state_directory_is_74(new_daemon):
    d = new_daemon(SOURCE, files=FILES)
    with open(d.state, "w"):
        pass  # a file where the directory should be: not even root can write there
    d.spawn()
    assert d.wait() == 74
    assert d.state in d.stderr


def test_a_second_daemon_on_the_same_store_is_74(run_daemon, new_daemon):
    d = run_daemon(SOURCE, files=FILES)
    other = new_daemon(SOURCE, files=FILES)
    text = open(other.config).read().replace(f"{other.directory}/state", d.state)
    other.write("callbackd.conf", text)
    other.spawn()
    assert other.wait() == 74
    assert "in use" in other.stderr


def test_a_damaged_store_is_74_and_left_alone(new_daemon):
    d = new_daemon(SOURCE, files=FILES)
    os.mkdir(d.state, 0o700)
    path = os.path.join(d.state, "callbackd.db")
    with open(path, "wb") as out:
        out.write(b"not a store at all" * 1000)
    d.spawn()
    assert d.wait() == 74
    assert open(path, "rb").read() == b"not a store at all" * 1000


def test_second_sigterm_dies_of_it(run_daemon):
    d = run_daemon(SOURCE + "[Hook h]\nExec=/bin/sleep 100\n", files=FILES)
    body = '{"id":"j","status":"completed"}'
    assert d.post("/callback/s", body, hmac_hex("s3cret", body)).status == 200
    until(lambda: d.runs("?state=running"))
    d.signal(signal.SIGTERM)
    assert d.notify.wait("STOPPING=1", d.process, 5)
    d.signal(signal.SIGTERM)
    assert d.wait() == -signal.SIGTERM


def test_reload_is_all_or_nothing(run_daemon):
    d = run_daemon(SOURCE, files=FILES)
    d.configure(SOURCE.replace("hmac", "magic"))
    answer = d.ctl("reload")
    assert answer.returncode == 78
    assert f"{d.config}:" in answer.stderr and "magic" in answer.stderr
    body = '{"id":"j","status":"completed"}'
    assert d.post("/callback/s", body, hmac_hex("s3cret", body)).status == 200
    d.write("secret", "changed")
    d.configure(SOURCE)
    assert d.ctl("reload").returncode == 0
    assert d.post("/callback/s", body, hmac_hex("s3cret", body)).status == 401
    assert d.post("/callback/s", body, hmac_hex("changed", body)).status == 200
    d.signal(signal.SIGHUP)
    assert d.ctl("status").returncode == 0


def test_listens_where_it_is_told(new_daemon, tmp_path):
    """Without sockets handed over: IPv4, IPv6 and a unix socket of its own."""
    d = new_daemon(SOURCE, files=FILES)
    with socket.socket() as a, socket.socket(socket.AF_INET6) as b:
        a.bind(("127.0.0.1", 0))
        b.bind(("::1", 0))
        v4, v6 = a.getsockname()[1], b.getsockname()[1]
    path = tmp_path / "public.sock"
    d.configure(SOURCE, daemon=f"Listen=127.0.0.1:{v4}\nListen=[::1]:{v6}\nListen={path}")
    process = subprocess.Popen(
        [build_directory() / "callbackd", "-c", d.config],
        env={**os.environ, "NOTIFY_SOCKET": d.notify.path}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert d.notify.wait("READY=1", process, 10), process.stderr.read()
        for family, address in [(socket.AF_INET, ("127.0.0.1", v4)), (socket.AF_INET6, ("::1", v6)), (socket.AF_UNIX, str(path))]:
            with socket.socket(family) as s:
                s.settimeout(5)
                s.connect(address)
                s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                assert s.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
    finally:
        process.terminate()
        assert process.wait(10) == 0
    assert not path.exists()


def test_ctl_without_a_daemon_is_69(tmp_path):
    answer = subprocess.run(
        [build_directory() / "callbackctl", "-s", str(tmp_path / "none.sock"), "status"],
        capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip
    assert answer.returncode == 69
    assert "none.sock" in answer.stderr and len(answer.stderr.splitlines()) == 1


def test_a_storm_of_hangups_does_not_hold_a_stop(run_daemon):
    d = run_daemon(SOURCE, files=FILES)
    for _ in range(50):
        d.signal(signal.SIGHUP)
    d.signal(signal.SIGTERM)
    for _ in range(50):
        try:
            d.signal(signal.SIGHUP)
        except ProcessLookupError:
            break
    assert d.wait(10) == 0
    assert d.stderr.count("Configuration reloaded") < 40


def test_connections_leave_descriptors_to_hooks(new_daemon):
    d = new_daemon(SOURCE + "[Hook h]\nExec=/bin/true\nRetries=0\n", files=FILES)
    d.spawn(limit_descriptors=320)
    assert d.notify.wait("READY=1", d.process, 10), d.stderr
    until(lambda: "MaxConnections=16384 is lowered to" in d.stderr)
    crowd = [d.connect() for _ in range(300)]
    body = '{"id":"j","status":"completed"}'
    for c in crowd[:200]:
        c.close()
    until(lambda: _status(d, body) == 200)
    assert d.ctl("wait", "s/j", "--hooks", "--timeout", "10s").returncode == 0
    assert {r["state"] for r in d.runs()} == {"done"}
    for c in crowd:
        c.close()


def _status(d, body):
    try:
        return d.post("/callback/s", body, hmac_hex("s3cret", body), timeout=2).status
    except OSError:
        return None

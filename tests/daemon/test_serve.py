"""callbackctl serve: an ordinary command behind Mode=socket, as the template unit runs it."""

import os
import signal
import socket
import subprocess
import time

import pytest

from helpers import build_directory, until
from helpers.daemon import spawn

SOURCE = "[Source s]\nVerify=none\n"
QUICK = "RetryDelay=20ms\nRetryDelayMax=50ms\n"


class Served:
    """A listening socket, and callbackctl serve that is handed it as systemd would."""

    def __init__(self, directory):
        self.path = str(directory / "hook.sock")
        self.log = directory / "serve.log"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        self.process = None

    def start(self, *argv, env=None):
        with open(self.log, "ab") as log:
            self.process = spawn(
                [build_directory() / "callbackctl", "serve", *argv],
                [("hook.socket", self.listener)],
                str(self.path) + ".notify",
                env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "COLOR": "red", **(env or {})},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        return self

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.listener.close()


@pytest.fixture
def served(tmp_path):
    made = Served(tmp_path)
    yield made
    made.close()


def hook(served, more=""):
    return SOURCE + f"[Hook h]\nMode=socket\nSocket={served.path}\n{QUICK}{more}\n"


def send(d, *ids):
    for id in ids:
        assert d.post("/callback/s", {"id": id, "status": "completed"}).status == 200


def ended(d, id):
    def state():
        (run,) = d.job("s", id)["runs"]
        return run if run["state"] in ("done", "dead") else None

    return until(state, 20)


def test_a_command_gets_what_a_hook_gets(run_daemon, served, recorder):
    served.start(recorder.exec)
    d = run_daemon(
        "[Source s]\nVerify=none\nIdField=header:X-Id\nStatusField=\n"
        + hook(served, "Export=AGENT:header:X-Agent GONE:/gone\n").replace(SOURCE, "")
    )
    payload = b"\x00\xff not \x80 text\n"
    assert d.post("/callback/s", payload, {"X-Id": "a b", "X-Agent": "probe \u00e9".encode().decode("latin-1")}).status == 200
    (run,) = recorder.wait(1)
    assert run.payload == payload
    assert (run.ID, run.OUTCOME, run.HOOK, run.SOURCE, run.ATTEMPT) == ("a b", "success", "h", "s", "1")
    assert run.AGENT == "probe \u00e9" and run.RECEIVED.endswith("Z")
    done = ended(d, "a%20b")
    assert (done["state"], done["run"]) == ("done", run.RUN)
    names = set(run.env) - {"PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"}  # the shells' and Python's own doing
    assert names == {"PATH", "HOME", "COLOR", "CALLBACK_AGENT", *(
        "CALLBACK_" + n for n in ("SOURCE", "ID", "OUTCOME", "RECEIVED", "HOOK", "RUN", "ATTEMPT"))}  # fmt: skip
    assert "hook got a b" in served.log.read_text()


def test_its_exit_status_answers(run_daemon, served):
    served.start("sh", "-c", 'test $CALLBACK_ATTEMPT = 2 && exit 0; test $CALLBACK_ID = killed && kill -9 $$; exit 3')
    d = run_daemon(hook(served))
    send(d, "j", "killed")
    assert [ended(d, id)["attempt"] for id in ("j", "killed")] == [2, 2]
    assert "its worker answered: fail exit status 3" in d.stderr
    assert "its worker answered: fail killed by signal 9" in d.stderr


def test_what_the_window_holds_runs_at_once(run_daemon, served, tmp_path):
    """Three that wait for each other."""
    served.start("sh", "-c", f"cd {tmp_path} && : >in.$CALLBACK_ID; while [ $(ls in.* | wc -l) -lt 3 ]; do sleep 0.02; done")
    d = run_daemon(hook(served, "MaxConcurrent=3"))
    send(d, "a", "b", "c")
    assert [ended(d, id)["state"] for id in "abc"] == ["done"] * 3


def test_timeout_ends_the_whole_tree_of_it(run_daemon, served, tmp_path):
    script = tmp_path / "tree"
    script.write_text(
        "#!/bin/sh\n[ $CALLBACK_ATTEMPT = 2 ] || [ $CALLBACK_ID = other ] && exit 0\ntrap '' TERM\n"
        "(setsid sh -c 'trap \"\" TERM; sleep 4391 & sleep 4391' &)\nsleep 4391\n"
    )
    script.chmod(0o700)
    served.start("--kill-after", "200ms", str(script))
    d = run_daemon(hook(served, "Timeout=500ms\nRetries=1"))
    send(d, "slow")
    assert (ended(d, "slow")["state"], ended(d, "slow")["attempt"]) == ("done", 2)
    assert not sleepers(served)


def sleepers(served):
    """Whatever is below the server: what is orphaned comes to it."""
    with open(f"/proc/{served.process.pid}/task/{served.process.pid}/children", encoding="ascii") as children:
        return children.read().split()


def test_a_stop_of_the_daemon_waits_for_its_answer(run_daemon, served, tmp_path):
    served.start("sh", "-c", f": >{tmp_path}/begun; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done")
    d = run_daemon(hook(served))
    send(d, "j")
    until((tmp_path / "begun").exists)
    d.signal(signal.SIGTERM)
    until(lambda: "Stopping:" in d.stderr)
    (tmp_path / "go").touch()
    assert d.wait() == 0
    d.start()
    assert (ended(d, "j")["state"], ended(d, "j")["attempt"]) == ("done", 1)


def test_a_stop_of_the_service_finishes_what_runs(run_daemon, served, tmp_path):
    served.start("sh", "-c", f": >{tmp_path}/begun; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done")
    d = run_daemon(hook(served))
    send(d, "j")
    until((tmp_path / "begun").exists)
    served.process.terminate()
    time.sleep(0.1)
    assert served.process.poll() is None
    (tmp_path / "go").touch()
    assert served.process.wait(10) == 0
    assert (ended(d, "j")["state"], ended(d, "j")["attempt"]) == ("done", 1)
    served.start("true")
    send(d, "k")
    assert ended(d, "k")["state"] == "done"


def test_it_serves_standard_input_too(run_daemon, recorder):
    d = run_daemon(SOURCE + f"[Hook h]\nMode=stream\nExec={build_directory()}/callbackctl serve {recorder.exec}\n{QUICK}")
    send(d, "a", "b")
    assert {r.ID for r in recorder.wait(2)} == {"a", "b"}
    assert [ended(d, id)["state"] for id in "ab"] == ["done"] * 2
    assert "hook got a completed" in d.stderr  # what the command writes is log, and no answer


def test_lines_that_are_none_are_refused():
    lines = '{"run":"a-1","hook":1}\nnonsense\n{"run":"a b"}\n[1]\n'
    out = subprocess.run([build_directory() / "callbackctl", "serve", "/bin/true"], input=lines, capture_output=True,
                         text=True, timeout=20, check=False)  # fmt: skip
    assert out.stdout == "a-1 fail the line cannot be read\n"
    assert out.stderr.count("a line that is no callback") == 4
    assert out.returncode == 0


def test_a_command_that_is_not_there():
    line = (
        '{"run":"a-1","hook":"h","source":"s","id":"i","status":null,"outcome":"success","received":"t","attempt":1,'
        '"payload":""}\n'
    )
    out = subprocess.run([build_directory() / "callbackctl", "serve", "/no/such"], input=line, capture_output=True,
                         text=True, timeout=20, check=False)  # fmt: skip
    assert out.stdout == "a-1 fail exit status 127\n"
    assert "/no/such: No such file or directory" in out.stderr

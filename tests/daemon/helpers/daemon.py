"""callbackd from outside: started as systemd starts it, spoken to as senders and people do."""

import http.client
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "tests"))

from launch import NotifySocket, bind_tcp, spawn  # noqa: E402


def build_directory():
    return (TOP / os.environ.get("B", "build")).resolve()


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def converse(connection, method, path, body, headers):
    try:
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        return Answer(reply.status, reply.headers, reply.read())
    finally:
        connection.close()


class Daemon:
    """
    One daemon with a directory of its own. `config` is what follows [Daemon]; in it and in
    `daemon` (more lines of that section) @DIR@ and @PORT@ are replaced. `files` are written beside
    the configuration, 0600: secrets and keys. `sockets`: more listening (name, socket) to hand over.
    """

    def __init__(self, config, daemon="", files=None, env=None, program="callbackd", sockets=()):
        self.directory = tempfile.mkdtemp(prefix="callbackd-")
        self.listener = bind_tcp()
        self.sockets = [("callbackd.socket", self.listener), *sockets]
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.state = os.path.join(self.directory, "state")
        self.control_socket = os.path.join(self.directory, "control.sock")
        self.config = os.path.join(self.directory, "callbackd.conf")
        self.stderr_path = os.path.join(self.directory, "stderr")
        self._program = build_directory() / program
        self._env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TZ": "UTC", **(env or {})}
        for name in os.environ.keys() & {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}:
            self._env.setdefault(name, os.environ[name])
        self.process = None
        self.last_words = ""
        self.notify = NotifySocket(self.directory)
        for name, content in (files or {}).items():
            self.write(name, content)
        self.configure(config, daemon)

    # ---- its files

    def write(self, name, content):
        path = os.path.join(self.directory, name)
        with open(path, "wb", opener=lambda p, flags: os.open(p, flags, 0o600)) as out:
            out.write(content.encode() if isinstance(content, str) else content)
        return path

    def configure(self, config, daemon=""):
        """Writes the configuration; a running daemon takes it with reload()."""
        text = (
            "[Daemon]\nPublicURL=http://127.0.0.1:@PORT@\nStateDirectory=@DIR@/state\n"
            f"ControlSocket=@DIR@/control.sock\n{daemon}\n{config}\n"
        )
        self.write("callbackd.conf", text.replace("@DIR@", self.directory).replace("@PORT@", str(self.port)))

    def _log_is_idle(self):
        """Has the thread that writes the log nothing to write? Whoever queued a line has woken it."""
        try:
            for task in Path(f"/proc/{self.process.pid}/task").iterdir():
                if (task / "comm").read_text() == "log\n":
                    return (task / "stat").read_text().rsplit(")", 1)[1].split()[0] not in "RD"
        except (OSError, IndexError):
            pass  # it ended meanwhile
        return True

    @property
    def stderr(self):
        """What it has logged: all that was told before the answer that a test has seen."""
        end = time.monotonic() + 5
        while self.process and self.process.poll() is None and not self._log_is_idle() and time.monotonic() < end:
            time.sleep(0.001)
        with open(self.stderr_path, encoding="utf-8", errors="replace") as text:
            return text.read()

    # ---- its life

    def start(self, *args, timeout=20):
        """Starts it and waits for READY=1; an early end is an error with its words."""
        self.spawn(*args)
        if not self.notify.wait("READY=1", self.process, timeout):
            status = self.process.poll()
            raise AssertionError(f"callbackd is not ready (status {status}):\n{self.stderr}")
        return self

    def spawn(self, *args, limit_descriptors=None):
        """Starts it without waiting."""

        def limit():
            if limit_descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit_descriptors, limit_descriptors))

        self.notify.forget()
        with open(self.stderr_path, "ab") as err:
            self.process = spawn(
                [self._program, "-c", self.config, *args],
                self.sockets,
                self.notify.path,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=err,
                stderr=err,
                cwd=self.directory,
                preexec_fn=limit,
            )
        return self

    def stop(self, timeout=20):
        """SIGTERM; its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.wait(timeout)

    def wait(self, timeout=20):
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"callbackd did not end within {timeout} s:\n{self.stderr}") from None

    def kill9(self):
        self.process.kill()
        return self.process.wait()

    def restart(self):
        assert self.stop() == 0, self.stderr
        return self.start()

    def signal(self, number):
        self.process.send_signal(number)

    def close(self):
        """Whatever state it is in: ended, and its files gone. False: it had to be killed."""
        stopped = True
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.last_words = self.stderr
                self.kill9()
                stopped = False
        self.notify.close()
        for _, listener in self.sockets:
            listener.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        return stopped

    # ---- as a sender

    def request(self, method, path, body=None, headers=None, timeout=15):
        return converse(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout), method, path, body, headers
        )

    def post(self, path, body=b"", headers=None, timeout=15):
        """A dict is sent as JSON."""
        if isinstance(body, dict):
            body = json.dumps(body)
            headers = {"Content-Type": "application/json", **(headers or {})}
        return self.request("POST", path, body, headers, timeout)

    def connect(self):
        """A plain connection, for what http.client would not send."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=15)

    # ---- as a person

    def control(self, method, path, body=None, timeout=30):
        headers = {}
        if isinstance(body, (dict, list)):
            body, headers = json.dumps(body), {"Content-Type": "application/json"}
        return converse(UnixConnection(self.control_socket, timeout), method, path, body, headers)

    def ctl(self, *args, input=None, timeout=30):
        return subprocess.run(
            [build_directory() / "callbackctl", "-s", self.control_socket, *map(str, args)],
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self._env,
            cwd=self.directory,
            check=False,
        )

    def job(self, source, id, wait=None):
        """The job as GET tells it, or None; `wait` seconds for it to become terminal."""
        path = f"/v1/jobs/{source}/{id}" + (f"?wait={wait}" if wait else "")
        answer = self.control("GET", path)
        assert answer.status in (200, 404), answer
        return answer.json if answer.status == 200 else None

    def is_quiet(self):
        """No run waits and none runs, by one answer: between two a run may go from the one to the other."""
        counts = self.control("GET", "/v1/status").json["runs"]
        return counts["waiting"] == 0 and counts["running"] == 0

    def runs(self, query=""):
        answer = self.control("GET", f"/v1/runs{query}")
        assert answer.status == 200, answer
        return answer.json["runs"]

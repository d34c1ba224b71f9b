"""
What stands beside callbackd in the bench: each rival is a context manager that starts its server on
loopback with a directory of its own (BENCH_DIR, else the temporary directory: the same disk as
callbackd's store), says with which words of `load` it is spoken to, and ends it by its process.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "daemon")]

from helpers import Daemon, build_directory, until  # noqa: E402

SECRET = "bench-secret"
SOURCE = "[Source bench]\nVerify=hmac\nSecretFile=secret\n"
DAEMON = "LogLevel=warning\nMaxRequestsPerConnection=1000000000"

if os.environ.get("BENCH_DIR"):
    tempfile.tempdir = os.environ["BENCH_DIR"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def end(process, how=signal.SIGTERM, patience=30):
    process.send_signal(how)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as text:
        words = text.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def rss_anon_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(next(line for line in status if line.startswith("RssAnon")).split()[1])


def written_bytes(path, pid):
    """
    Written to the disk that `path` is on, since it was started. Where that is no disk of its own, what
    the kernel says of the process: it counts a whole large folio for each page that gets dirty in it.
    """
    device = os.stat(path).st_dev
    with open("/proc/diskstats", encoding="ascii") as disks:
        for line in disks:
            words = line.split()
            if (int(words[0]), int(words[1])) == (os.major(device), os.minor(device)):
                return int(words[9]) * 512
    with open(f"/proc/{pid}/io", encoding="ascii") as io:
        return next(int(line.split()[1]) for line in io if line.startswith("write_bytes"))


class Ours:
    name, label = "callbackd", "callbackd: HMAC verified, in the store and on disk before 200"
    missing = None

    def __init__(self, config=SOURCE, daemon=DAEMON, files=None):
        self.arguments = config, daemon, {"secret": SECRET, **(files or {})}

    def __enter__(self):
        config, daemon, files = self.arguments
        self.daemon = Daemon(config, daemon=daemon, files=files).start()
        self.port, self.words = self.daemon.port, []
        self.pid = self.daemon.process.pid
        return self

    def counted(self):
        """Commits, callbacks, and bytes handed to the disk: the log, and what is carried over from it."""
        store = self.daemon.control("GET", "/v1/status").json["store"]
        return store["commits"], store["jobs"], written_bytes(self.daemon.state, self.pid)

    def __exit__(self, *_):
        self.daemon.close()


class Server:
    """One process that answers on a port."""

    program, owner = "", None

    @classmethod
    def path(cls):
        return shutil.which(cls.program) or shutil.which(f"/usr/sbin/{cls.program}")

    @classmethod
    def ready(cls):
        """None, or why it is left out."""
        return None if cls.path() else f"{cls.program} is not installed"

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix=f"bench-{self.name.split()[0]}-")
        self.port = free_port()
        with open(os.path.join(self.directory, "log"), "wb") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory
            )
        try:
            until(self._answers, 30)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _answers(self):
        if self.process.poll() is not None:
            with open(os.path.join(self.directory, "log"), encoding="utf-8", errors="replace") as log:
                raise RuntimeError(f"{self.name} ended: {log.read()[-500:]}")
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def __exit__(self, *_):
        end(self.process)
        shutil.rmtree(self.directory, ignore_errors=True)

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path


class Nginx(Server):
    name, label, program = "nginx", "nginx: a bare 200 (verifies nothing, stores nothing)", "nginx"
    words = []

    def command(self):
        conf = (
            f"daemon off; worker_processes 2; pid {self.directory}/pid; error_log {self.directory}/error;"
            "events { worker_connections 4096; } http { access_log off; keepalive_requests 1000000000;"
            f" client_body_temp_path {self.directory}; server {{ listen 127.0.0.1:{self.port} backlog=4096;"
            ' location / { return 200 "{}"; } } }\n'
        )
        return [self.path(), "-c", self.write("nginx.conf", conf)]


class Webhook(Server):
    name, label, program = "webhook", "webhook: HMAC verified, /bin/true started (stores nothing)", "webhook"
    words = ["--path", "/hooks/bench"]

    def command(self):
        hooks = (
            '[{"id": "bench", "execute-command": "/bin/true", "response-message": "{}",'
            ' "trigger-rule-mismatch-http-response-code": 403, "trigger-rule": {"match": {'
            f'"type": "payload-hmac-sha256", "secret": "{SECRET}",'
            ' "parameter": {"source": "header", "name": "X-Signature"}}}}]'
        )
        return [self.path(), "-hooks", self.write("hooks.json", hooks), "-ip", "127.0.0.1", "-port", str(self.port)]

    def __exit__(self, *_):
        # It answers before it starts the command: what it still has to start is not waited for.
        end(self.process, signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)


class Redis(Server):
    name, label, program = "redis", "Redis: LPUSH, appendfsync always", "redis-server"
    words = ["--protocol", "redis"]

    def command(self):
        # What is written is never rewritten in between: the most favourable case.
        return [
            self.path(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.directory, "--save", "",
            "--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0",
        ]  # fmt: skip


class Beanstalkd(Server):
    name, label, program = "beanstalkd", "beanstalkd: put, -f0", "beanstalkd"
    words = ["--protocol", "beanstalk"]

    def command(self):
        os.mkdir(os.path.join(self.directory, "log.d"))
        user = pwd.getpwuid(os.geteuid()).pw_name
        return [self.path(), "-l", "127.0.0.1", "-p", str(self.port), "-b", f"{self.directory}/log.d", "-f0", "-u", user]


class Postgres(Server):
    name, label = "postgresql", "PostgreSQL: INSERT, unique, synchronous_commit=on"
    words = ["--protocol", "postgres"]
    user = "postgres"

    @classmethod
    def path(cls):
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        return str(found[-1].parent) if found else None

    @classmethod
    def ready(cls):
        if not cls.path():
            return "PostgreSQL is not installed"
        if os.geteuid() == 0:
            try:
                pwd.getpwnam(cls.user)
            except KeyError:
                return "PostgreSQL: no user postgres to run as"
        return None

    def as_user(self, *words):
        """It refuses to run as root."""
        if os.geteuid() != 0:
            return list(words)
        return ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", *words]

    def command(self):
        data = f"{self.directory}/data"
        if os.geteuid() == 0:
            shutil.chown(self.directory, self.user)
        subprocess.run(
            self.as_user(f"{self.path()}/initdb", "-D", data, "-A", "trust", "-U", "bench", "--no-locale", "-E", "UTF8"),
            check=True, stdout=subprocess.DEVNULL, cwd=self.directory,
        )  # fmt: skip
        sql = "CREATE DATABASE bench"
        table = "CREATE TABLE callback (source text, id text, payload bytea, PRIMARY KEY (id, source))"
        for database, text in (("postgres", sql), ("bench", table)):
            subprocess.run(
                self.as_user(f"{self.path()}/postgres", "--single", "-D", data, database),
                input=text + "\n", text=True, check=True, capture_output=True, cwd=self.directory,
            )  # fmt: skip
        return self.as_user(
            f"{self.path()}/postgres", "-D", data, "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
            "-c", f"unix_socket_directories={self.directory}", "-c", "max_connections=300",
            "-c", "fsync=on", "-c", "synchronous_commit=on",
        )  # fmt: skip

    def _answers(self):
        # Its port is open before it lets anybody in.
        with open(os.path.join(self.directory, "log"), encoding="utf-8", errors="replace") as log:
            return super()._answers() and "ready to accept connections" in log.read()

    def __exit__(self, *_):
        end(self.process, signal.SIGINT)  # "fast": does not wait for its clients
        shutil.rmtree(self.directory, ignore_errors=True)


class Raw:
    """The physical limit: as many bytes a sync as callbackd handed to the disk a commit, in the same round."""

    name, label = "raw loop", "pwrite and fdatasync, the same bytes and callbacks a batch"

    @staticmethod
    def measure(batch, bytes_of_a_batch, seconds):
        with tempfile.TemporaryDirectory(prefix="bench-raw-") as directory:
            out = subprocess.run(
                [build_directory() / "bench/raw", f"{directory}/file", str(max(512, int(bytes_of_a_batch))), str(seconds)],
                capture_output=True, text=True, check=True,
            ).stdout  # fmt: skip
        return float(out) * batch


RIVALS = [Nginx, Webhook, Redis, Postgres, Beanstalkd]

"""nginx, HAProxy and Caddy with the configurations of callbackd(8), on ports of our own."""

import re
import shutil
import socket
import subprocess
import time

from .daemon import TOP


def manual(name):
    """The example that callbackd(8) marks as tested by this name, as people see it."""
    text = (TOP / "man/callbackd.8").read_text("utf-8")
    found = re.search(rf'^\.\\" tested: {re.escape(name)}\n\.Bd [^\n]*\n(.*?)^\.Ed$', text, re.M | re.S)
    assert found, f"no example {name} in callbackd(8)"
    assert "\\" not in found[1], "an example that mdoc would change"
    return found[1]


def replaced(text, changes):
    """Every change must hit: or the example is not the one that is tried."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Proxy:
    """A proxy in front of `backend` (ADDR:PORT or a path). With: it serves at .port."""

    def __init__(self, kind, directory, backend, certificate=None):
        self.kind, self.directory, self.backend = kind, directory, backend
        self.certificate = certificate
        self.port = free_port()
        self.process = self.log = None

    def _nginx(self):
        where = f"unix:{self.backend}" if self.backend[0] == "/" else self.backend
        server = replaced(
            manual("nginx"),
            {
                "server 127.0.0.1:8080;": f"server {where};",
                "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;",
                "/etc/ssl/callbacks.pem": f"{self.certificate}/cert.pem",
                "/etc/ssl/private/callbacks.key": f"{self.certificate}/key.pem",
                "client_max_body_size 1m;": "client_max_body_size 3m;",  # so that ours is met
            },
        )
        paths = "".join(
            f"{kind}_temp_path {self.directory}/nginx-{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = (
            f"daemon off; pid {self.directory}/nginx.pid; error_log stderr; worker_processes 1;\n"
            f"user root; events {{ worker_connections 512; }}\nhttp {{\naccess_log off;\n{paths}{server}}}\n"
        )
        return ["nginx", "-p", self.directory, "-c", self._write("nginx.conf", config), "-e", "stderr"]

    def _caddy(self):
        site = replaced(
            manual("caddy"),
            {
                "callbacks.example.org {": f"http://127.0.0.1:{self.port} {{\nbind 127.0.0.1",
                "127.0.0.1:8080": self.backend,
            },
        )
        config = f"{{\n    admin off\n    auto_https off\n}}\n{site}"
        return ["caddy", "run", "--adapter", "caddyfile", "--config", self._write("Caddyfile", config)]

    def _haproxy(self):
        text = replaced(
            manual("haproxy"),
            {
                ":443 ssl": f"127.0.0.1:{self.port} ssl",
                "/etc/haproxy/callbacks.pem": self._bundle(),
                "127.0.0.1:8080": self.backend,
            },
        )
        return ["haproxy", "-db", "-f", self._write("haproxy.cfg", text)]

    def _haproxy_tcp(self):
        text = replaced(
            manual("haproxy-tcp"), {"bind :443": f"bind 127.0.0.1:{self.port}", "127.0.0.1:8443": self.backend}
        )
        return ["haproxy", "-db", "-f", self._write("haproxy.cfg", text)]

    def _bundle(self):
        both = "".join(open(f"{self.certificate}/{n}.pem", encoding="ascii").read() for n in ("cert", "key"))
        return self._write("bundle.pem", both)

    def _write(self, name, text):
        path = f"{self.directory}/{name}"
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path

    def __enter__(self):
        for _ in range(5):
            if self._start():
                return self
            self.port = free_port()  # somebody else was quicker
        raise AssertionError(self.words())

    def _start(self):
        argv = {
            "nginx": self._nginx, "caddy": self._caddy, "haproxy": self._haproxy, "haproxy-tcp": self._haproxy_tcp,
        }[self.kind]()  # fmt: skip
        if self.log:
            self.log.close()
        self.log = open(f"{self.directory}/{self.kind}.log", "wb")
        env = {"HOME": str(self.directory), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        argv[0] = shutil.which(argv[0], path=env["PATH"])
        self.process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=env, cwd=self.directory
        )
        deadline = time.monotonic() + 15
        while True:
            try:
                if self.process.poll() is not None:
                    return False
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                return True
            except OSError:
                assert time.monotonic() < deadline, self.words()
                time.sleep(0.02)

    def words(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as text:
            return text.read()

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

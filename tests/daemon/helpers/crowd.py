"""Crowds of connections: slow ones, idle ones, and an honest client that measures beside them."""

import http.client
import json
import multiprocessing
import os
import resource
import select
import socket
import ssl
import time

from .sign import hmac_hex


def want_descriptors(n):
    """Raises our own limit as far as may be; what there is to use."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard >= n


def memory(pid):
    """Bytes: RssAnon (what is the process's own) and VmHWM (the most there ever was of all)."""
    with open(f"/proc/{pid}/status", encoding="ascii") as text:
        fields = dict(line.split(":", 1) for line in text)
    return {k: int(fields[k].split()[0]) * 1024 for k in ("RssAnon", "VmHWM")}


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as text:
        words = text.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / 100


def insecure():
    """A TLS client that believes everybody."""
    return ssl._create_unverified_context()  # noqa: S323 (no hundred authorities are loaded)


class SlowPeer:
    """Sends `first`, then `drip` again and again; never reads when `deaf`."""

    def __init__(self, kind, address, first, drip=b"", deaf=False, allowed=0.0):
        self.kind, self.drip, self.deaf, self.allowed = kind, drip, deaf, allowed
        self.sock = socket.socket()
        if deaf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.sock.connect(address)
        self.sock.setblocking(False)
        self.began = time.monotonic()
        self.lasted = None
        self.answer = b""
        if first:
            self.sock.send(first)

    def step(self):
        try:
            if self.drip:
                self.sock.send(self.drip)
        except OSError:  # full, or closed on us: then the poller tells
            pass

    def on_event(self, events):
        """True: it is closed."""
        if not self.deaf:
            try:
                data = self.sock.recv(65536)
                self.answer += data
                if data:
                    return False
            except BlockingIOError:
                return False
            except OSError:
                pass
        elif not events & (select.EPOLLHUP | select.EPOLLERR | select.EPOLLRDHUP):
            return False
        self.lasted = time.monotonic() - self.began
        self.sock.close()
        return True


def suffer(peers, seconds, pause=0.4):
    """Drips until all are closed on us or the time is up; those that are still open."""
    open_peers = {p.sock.fileno(): p for p in peers}
    end = time.monotonic() + seconds
    with select.epoll() as poller:
        for fd, p in open_peers.items():
            poller.register(fd, select.EPOLLRDHUP if p.deaf else select.EPOLLIN)
        drip = time.monotonic()
        while open_peers and time.monotonic() < end:
            for fd, events in poller.poll(max(0.0, min(drip, end) - time.monotonic())):
                if open_peers[fd].on_event(events):
                    del open_peers[fd]
            if time.monotonic() >= drip:
                drip = time.monotonic() + pause
                for p in open_peers.values():
                    p.step()
    for p in open_peers.values():
        p.sock.close()
    return list(open_peers.values())


def _connect(port, tls):
    if tls:
        return http.client.HTTPSConnection("127.0.0.1", port, timeout=15, context=insecure())
    return http.client.HTTPConnection("127.0.0.1", port, timeout=15)


def _honest(port, path, secret, tls, pause, stop, out):
    """Callbacks, on new connections and on kept ones by turns, a pause behind each."""
    taken, failed, number, kept = [], 0, 0, None
    while not stop.is_set():
        number += 1
        body = json.dumps({"id": f"honest-{os.getpid()}-{number}", "status": "completed"})
        began = time.monotonic()
        try:
            if kept is None or number % 2:
                kept = _connect(port, tls)
            kept.request("POST", path, body, hmac_hex(secret, body))
            reply = kept.getresponse()
            reply.read()
            failed += reply.status != 200
        except (OSError, http.client.HTTPException):
            failed += 1
            kept = None
        taken.append(time.monotonic() - began)
        stop.wait(pause)
    out.send((taken, failed))


class HonestClient:
    """With: callbacks go on beside what happens; then .taken (seconds each) and .failed."""

    def __init__(self, port, path, secret, tls=False, pause=0.005):
        context = multiprocessing.get_context("fork")  # a process: our own work must not delay it
        self._stop = context.Event()
        self._in, out = context.Pipe(False)
        self._process = context.Process(target=_honest, args=(port, path, secret, tls, pause, self._stop, out))

    def __enter__(self):
        self._process.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self.taken, self.failed = self._in.recv() if self._in.poll(20) else ([], -1)
        self._process.join(10)
        self._process.kill()

    def percentile(self, share):
        return sorted(self.taken)[min(len(self.taken) - 1, int(len(self.taken) * share))]

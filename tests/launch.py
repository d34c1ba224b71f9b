#!/usr/bin/python3
"""Starts callbackd as systemd would: sockets bound first and handed over, READY=1 waited for.

So a test or the demo knows its port before the configuration is written, and nothing sleeps.
As a program, for shell scripts:

    launch.py --fill conf.in=conf --ready FIFO -- callbackd -c conf

binds a port of the kernel's choice, writes conf with @PORT@ replaced, starts the daemon, writes
`ready PORT` (or `failed`) to FIFO, and passes SIGTERM on. It ends with the daemon's status.
"""

import argparse
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time


def bind_tcp(address="127.0.0.1"):
    """A listening socket; what connects before the daemon accepts waits in its backlog."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.bind((address, 0))
    listener.listen(1024)
    return listener


class NotifySocket:
    """$NOTIFY_SOCKET: every datagram since the start, as it was sent."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "notify")
        self.messages = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(self.path)

    def wait(self, line, process, timeout):
        """True once `line` was sent; False when the process ended or the time is up."""
        deadline = time.monotonic() + timeout
        pidfd = os.pidfd_open(process.pid)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._socket, selectors.EVENT_READ)
                selector.register(pidfd, selectors.EVENT_READ)
                while True:
                    if self._read(line):
                        return True
                    ready = selector.select(max(0, deadline - time.monotonic()))
                    if not ready or (process.poll() is not None and not self._read(line)):
                        return False
        finally:
            os.close(pidfd)

    def forget(self):
        """What was sent so far is of a former life."""
        while self._read("READY=1"):
            pass

    def _read(self, line):
        while True:
            try:
                message = self._socket.recv(65536).decode("utf-8", "replace")
            except BlockingIOError:
                return False
            self.messages.append(message)
            if line in message.splitlines():
                return True

    def close(self):
        self._socket.close()
        os.unlink(self.path)


def spawn(argv, sockets, notify_path, env=None, **more):
    """Popen of `argv` with [(name, socket)] as its descriptors 3, 4, … (sd_listen_fds(3))."""
    fds = [s.fileno() for _, s in sockets]
    child_env = dict(os.environ if env is None else env)
    child_env["NOTIFY_SOCKET"] = notify_path
    # $LISTEN_PID must be the daemon's own pid, known only behind the fork: this file, run
    # again in between, sets it and becomes the daemon.
    shim = [sys.executable, "-I", "-S", os.path.abspath(__file__), "--become", ",".join(map(str, fds))]
    shim += [":".join(name for name, _ in sockets), *map(str, argv)]
    return subprocess.Popen(shim, env=child_env, pass_fds=fds, **more)


def become(fds, names, argv):
    high = [os.dup2(fd, 200 + i) for i, fd in enumerate(fds)]
    for place, fd in enumerate(high, 3):
        os.dup2(fd, place, inheritable=True)
    os.closerange(3 + len(fds), 300)
    if fds:
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=names)
    os.execv(argv[0], argv)


def main():
    if sys.argv[1:2] == ["--become"]:
        become([int(fd) for fd in sys.argv[2].split(",") if fd], sys.argv[3], sys.argv[4:])
    parser = argparse.ArgumentParser()
    parser.add_argument("--fill", action="append", default=[], metavar="FROM=TO")
    parser.add_argument("--ready", required=True, metavar="FIFO")
    parser.add_argument("--timeout", type=float, default=20)
    parser.add_argument("argv", nargs="+")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="launch-") as directory:
        listener, notify = bind_tcp(), NotifySocket(directory)
        port = listener.getsockname()[1]
        for pair in args.fill:
            source, _, target = pair.partition("=")
            with open(source, encoding="utf-8") as text, open(target, "w", encoding="utf-8") as out:
                out.write(text.read().replace("@PORT@", str(port)))
        process = spawn(args.argv, [("callbackd.socket", listener)], notify.path)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        signal.signal(signal.SIGINT, lambda *_: process.terminate())
        ready = notify.wait("READY=1", process, args.timeout)
        with open(args.ready, "w", encoding="ascii") as out:
            out.write(f"ready {port}\n" if ready else "failed\n")
        if not ready:
            process.terminate()
        status = process.wait()
        return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())

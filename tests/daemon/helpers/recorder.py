"""A hook that notes down what it got and tells the test over a FIFO that it did: no polling."""

import os
import selectors
import stat
import time
from dataclasses import dataclass


@dataclass
class Run:
    env: dict
    payload: bytes

    def __getattr__(self, name):  # run.ID is CALLBACK_ID
        try:
            return self.env["CALLBACK_" + name]
        except KeyError:
            raise AttributeError(name) from None


class Recorder:
    """`Exec=` of a hook is `recorder.exec`; `wait(n)` gives the first n runs in the order they ended."""

    def __init__(self, directory, name="hook", exit_status=0):
        self._directory = os.path.join(directory, f"{name}.runs")
        os.mkdir(self._directory)
        self._fifo = os.path.join(directory, f"{name}.fifo")
        os.mkfifo(self._fifo)
        # Read and write: a hook never waits for a reader, we never see an end.
        self._fd = os.open(self._fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._text = b""
        self.runs = []
        self.exec = os.path.join(directory, name)
        self.fail(exit_status)

    def fail(self, exit_status):
        """What the next runs end with."""
        script = f"""#!/bin/sh
f="{self._directory}/$CALLBACK_RUN.$CALLBACK_ATTEMPT"
/usr/bin/env -0 >"$f.env"
/bin/cat >"$f.payload"
echo "hook got $CALLBACK_ID $CALLBACK_STATUS"
echo "$f" >"{self._fifo}"
exit {exit_status}
"""
        with open(self.exec + ".new", "w", encoding="utf-8") as out:
            out.write(script)
            os.fchmod(out.fileno(), stat.S_IRWXU)
        os.rename(self.exec + ".new", self.exec)

    def wait(self, n=1, timeout=10.0):
        deadline = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self._fd, selectors.EVENT_READ)
            while len(self.runs) < n:
                assert selector.select(max(0, deadline - time.monotonic())), (
                    f"{len(self.runs)} of {n} runs within {timeout} s"
                )
                self._read()
        return self.runs[:n]

    def all(self):
        """What ran until now; after daemon.stop() that is all there will be."""
        self._read()
        return self.runs

    def _read(self):
        try:
            self._text += os.read(self._fd, 65536)
        except BlockingIOError:
            pass
        *lines, self._text = self._text.split(b"\n")
        for line in lines:
            path = line.decode()
            with open(path + ".env", "rb") as env, open(path + ".payload", "rb") as payload:
                pairs = (item.split("=", 1) for item in env.read().decode().split("\0") if item)
                self.runs.append(Run(dict(pairs), payload.read()))

    def close(self):
        os.close(self._fd)

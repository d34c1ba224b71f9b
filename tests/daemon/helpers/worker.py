"""Workers for Mode=stream, batch and socket: small Python programs that note down what they are given."""

import json
import os
import socket
import stat
import threading

PROGRAM = """#!/usr/bin/python3 -S
import json, os, signal, sys, time
place = {place!r}

def note(what):
    with open(place, "a", encoding="utf-8") as out:
        out.write(json.dumps(what) + "\\n")

def say(text):
    os.write(1, text.encode() + b"\\n")

def ok(run): say(run["run"] + " ok")
def fail(run, why=""): say(run["run"] + " fail " + why)
def wait_for(name):
    while not os.path.exists(os.path.join(os.path.dirname(place), name)): time.sleep(0.01)

note({{"start": os.getpid(), "env": dict(os.environ), "argv": sys.argv[1:]}})
{body}
note({{"end": os.getpid()}})
"""

ANSWER = """
for line in sys.stdin:
    run = json.loads(line)
    note(run)
    {each}
"""


class Worker:
    """`Exec=` is worker.exec; `runs`: the lines it was given, `starts`: its processes, of all lives."""

    def __init__(self, directory, each="ok(run)", body=None, name="worker"):
        self.directory = str(directory)
        self._place = os.path.join(self.directory, f"{name}.seen")
        self.exec = os.path.join(self.directory, name)
        self.become(each, body)

    def become(self, each="ok(run)", body=None):
        """Another program in the old one's place, for the next start."""
        if body is None:
            body = ANSWER.format(each=each.replace("\n", "\n    "))
        with open(self.exec + ".new", "w", encoding="utf-8") as out:
            out.write(PROGRAM.format(place=self._place, body=body))
            os.fchmod(out.fileno(), stat.S_IRWXU)
        os.rename(self.exec + ".new", self.exec)

    def let(self, name):
        """What wait_for(name) of the worker waits for."""
        open(os.path.join(self.directory, name), "w").close()

    @property
    def seen(self):
        if not os.path.exists(self._place):
            return []
        with open(self._place, encoding="utf-8") as text:
            return [json.loads(line) for line in text if line.endswith("\n")]

    @property
    def runs(self):
        return [s for s in self.seen if "run" in s]

    @property
    def ids(self):
        return [s["id"] for s in self.runs]

    @property
    def starts(self):
        return [s for s in self.seen if "start" in s]

    @property
    def ends(self):
        return [s for s in self.seen if "end" in s]


class Peer:
    """The other side of Mode=socket: `each(peer, run)` is called with every line that comes."""

    def __init__(self, path, each=None):
        self.path = path
        self.each = each or (lambda peer, run: peer.ok(run))
        self.runs, self.connections = [], 0
        self._connection = self._listener = None

    def open(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, args=(self._listener,), daemon=True)
        self._thread.start()
        return self

    def _serve(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._connection = connection
            self.connections += 1
            try:
                for line in connection.makefile("rb"):
                    run = json.loads(line)
                    self.runs.append(run)
                    self.each(self, run)
            except (OSError, ValueError):
                pass
            connection.close()

    @property
    def ids(self):
        return [r["id"] for r in self.runs]

    def say(self, text):
        self._connection.sendall(text.encode())

    def ok(self, run):
        self.say(run["run"] + " ok\n")

    def hang_up(self):
        self._connection.shutdown(socket.SHUT_RDWR)

    def close(self):
        if self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        if self._connection:
            try:
                self.hang_up()
            except OSError:
                pass

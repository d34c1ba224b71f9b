#!/usr/bin/python3
"""
Hooks per second by mode, everything committed. "with": callbacks of 2 KiB are sent for SECONDS
over 16 connections, and the time counts until the last hook is done, so receiving them is in it.
"backlog": they are sent first, while the worker waits, and the time counts from then on. Beside
them, where it is installed, adnanh/webhook, which runs a command a request and remembers nothing.

    make all build/bench/load && B=build /usr/bin/python3 tests/bench/bench_workers.py      SECONDS=5
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "daemon")]

from helpers import Daemon, build_directory, until  # noqa: E402

SECONDS = float(os.environ.get("SECONDS", "5"))
CONNECTIONS = int(os.environ.get("CONNECTIONS", "16"))
SECRET = "bench-secret"
SOURCE = "[Source bench]\nVerify=hmac\nSecretFile=secret\n"

# A worker that costs little: the run is the first member, and an answer is one write.
ANSWER = """
import os, sys, time
while not os.path.exists(os.path.join(os.path.dirname(sys.argv[0]), "go")):
    time.sleep(0.01)
for line in sys.stdin.buffer:
    os.write(1, line.split(b'"', 4)[3] + b" ok\\n")
"""

HOOKS = {
    "exec, MaxConcurrent=16": "Exec=/bin/true\nMaxConcurrent=16",
    "stream, MaxConcurrent=64": "Mode=stream\nExec=/usr/bin/python3 -S @DIR@/answer.py\nMaxConcurrent=64",
    "stream, MaxConcurrent=256": "Mode=stream\nExec=/usr/bin/python3 -S @DIR@/answer.py\nMaxConcurrent=256",
    "batch, BatchMax=1000": "Mode=batch\nExec=/bin/sh -c 'cat >/dev/null'\nBatchMax=1000",
}


def load(port, path="/callback/bench"):
    out = subprocess.run(
        [build_directory() / "bench/load", "--port", str(port), "--path", path, "--secret", SECRET, "--warm", "0",
         "--connections", str(CONNECTIONS), "--seconds", str(SECONDS)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    figures = json.loads(out)
    return figures["rate"], figures["failed"]


def ours(hook, backlog=False):
    d = Daemon(
        SOURCE + f"[Hook h]\n{hook}\n", daemon="LogLevel=warning\nMaxRequestsPerConnection=1000000000",
        files={"secret": SECRET, "answer.py": ANSWER},
    ).start()  # fmt: skip

    def counts():
        runs = json.loads(d.ctl("--json", "status").stdout)["runs"]
        return runs["waiting"] + runs["running"] == 0 and runs["done"] or 0

    if not backlog:
        d.write("go", "")
    begun = time.monotonic()
    accepted, failures = load(d.port)
    if backlog:
        d.write("go", "")
        begun = time.monotonic()
    done = until(counts, 300)
    seconds = time.monotonic() - begun
    d.stop()
    d.close()
    return accepted, done / seconds, failures


def webhook():
    directory = tempfile.mkdtemp(prefix="bench-webhook-")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    hooks = os.path.join(directory, "hooks.json")
    rule = {"match": {"type": "payload-hmac-sha256", "secret": SECRET,
                      "parameter": {"source": "header", "name": "X-Signature"}}}  # fmt: skip
    with open(hooks, "w", encoding="utf-8") as out:
        # Answered once the command is over: so its rate is what the load sees.
        json.dump([{"id": "bench", "execute-command": "/bin/true", "include-command-output-in-response": True,
                    "trigger-rule": rule}], out)  # fmt: skip
    process = subprocess.Popen(
        ["webhook", "-hooks", hooks, "-ip", "127.0.0.1", "-port", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def answers():
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False

    until(answers)
    rate, failures = load(port, "/hooks/bench")
    process.send_signal(signal.SIGTERM)
    process.wait()
    shutil.rmtree(directory)
    return rate, rate, failures


def tell(name, accepted, done, failures):
    print(f"{name:36} {done:8.0f} hooks/s   {accepted:8.0f} callbacks/s accepted meanwhile   failures {failures}", flush=True)


if __name__ == "__main__":
    if shutil.which("webhook"):
        tell("webhook (stores nothing)", *webhook())
    else:
        print("webhook is not installed: left out")
    for hook_name, text in HOOKS.items():
        tell(hook_name + ", with", *ours(text))
        if "answer.py" in text:
            tell(hook_name + ", backlog", *ours(text, backlog=True))

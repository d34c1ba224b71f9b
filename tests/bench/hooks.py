#!/usr/bin/python3
"""
How many runs of a hook a second, everything committed, beside a bare loop that spawns and waits for
the same command, at 16 in flight, in one run. Rounds take turns, medians are told with their spread.

    make bench-hooks      RUNS=4000 ROUNDS=3 by environment
"""

import http.client
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "daemon")]

from helpers import Daemon, build_directory  # noqa: E402

RUNS = int(os.environ.get("RUNS", "4000"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
AT_ONCE = int(os.environ.get("AT_ONCE", "16"))
COMMAND = os.environ.get("COMMAND", "/bin/true")

CONFIG = f"[Source s]\nVerify=none\n[Hook h]\nExec={COMMAND}\nMaxConcurrent={AT_ONCE}\n"
DAEMON = f"LogLevel=warning\nMaxConcurrent={AT_ONCE}\nMaxRequestsPerConnection=1000000000"


def ok(answer):
    assert answer.returncode == 0, answer.stderr


def put(d, first, n):
    """So many callbacks on one connection, pipelined in small groups."""
    c = http.client.HTTPConnection("127.0.0.1", d.port, timeout=30)
    for i in range(first, first + n):
        c.request("POST", "/callback/s", f'{{"id":"j{i}","status":"completed"}}')
        reply = c.getresponse()
        reply.read()
        assert reply.status == 200, reply.status
    c.close()


def runs(d):
    return d.control("GET", "/v1/status").json["runs"]


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as text:
        words = text.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as text:
        return [int(p) for p in text.read().split()]


def ours(d, first):
    """A backlog made while the hook is paused, then let go: runs a second until the last is done."""
    ok(d.ctl("pause", "h"))
    put(d, first, RUNS)
    before = runs(d)
    store = d.control("GET", "/v1/status").json["store"]["commits"]
    pids = [d.process.pid, *children(d.process.pid)]
    cpu = [cpu_seconds(p) for p in pids]
    began = time.monotonic()
    ok(d.ctl("resume", "h"))
    while runs(d)["done"] - before["done"] < RUNS:
        time.sleep(0.02)
    took = time.monotonic() - began
    cpu = [cpu_seconds(p) - c for p, c in zip(pids, cpu)]
    commits = d.control("GET", "/v1/status").json["store"]["commits"] - store
    per_run = " ".join(f"{1e6 * c / RUNS:.0f}" for c in cpu)
    print(f"    {RUNS / took:.0f}/s; {commits / RUNS:.2f} commits a run; CPU a run (daemon, runner): {per_run} us")
    return RUNS / took


def bare():
    words = [build_directory() / "bench" / "spawn", str(RUNS), str(AT_ONCE), *COMMAND.split()]
    return float(subprocess.run(words, check=True, capture_output=True, text=True, env={}).stdout)


def tell(name, figures):
    print(f"{name:34} {statistics.median(figures):7.0f} runs/s  ({min(figures):.0f} to {max(figures):.0f})")
    return statistics.median(figures)


def main():
    d = Daemon(CONFIG, daemon=DAEMON).start()
    figures = {"bare": [], "ours": []}
    try:
        for i in range(ROUNDS):
            figures["bare"].append(bare())
            figures["ours"].append(ours(d, i * RUNS))
    finally:
        d.stop()
        d.close()
    print(f"{COMMAND}, {AT_ONCE} at once, {RUNS} runs a round:")
    loop = tell("posix_spawn and waitpid, nothing else", figures["bare"])
    hooks = tell("callbackd, everything committed", figures["ours"])
    print(f"{'share of the bare loop':34} {hooks / loop:7.2f}  (goal 0.8)")


if __name__ == "__main__":
    main()

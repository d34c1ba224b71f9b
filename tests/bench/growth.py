#!/usr/bin/python3
"""
What it costs as it grows: the same ingest (2 KiB, 64 connections, closed loop) into an empty store,
with 1 and 10 million callbacks stored, with as many waiting runs, with 500 sources and hooks, with
bodies from 200 B to 1 MiB, in TLS. For each the start and the memory; where much is stored, `show`
and `list`. Rounds take turns with the empty store, so that each has its own to compare with.

    make bench-growth     SECONDS=10 ROUNDS=3 MILLIONS="1 10" WAITING=1000000 by environment

Stored callbacks have some 350 bytes of payload; 10 million take some 8 GB of disk, given back at the end.
"""

import os
import statistics
import sys
import time

import bench
from fill import fill
from rivals import SECRET, SOURCE, Ours, rss_anon_kib

from helpers import Daemon, certificate, hmac_hex
from launch import bind_tcp

MILLIONS = [float(n) for n in os.environ.get("MILLIONS", "1 10").split()]
WAITING = int(os.environ.get("WAITING", "1000000"))
HOOK = "[Hook h]\nSource=bench\nExec=/bin/true\n"


def start(server):
    begin = time.monotonic()
    server.daemon.start(timeout=300)
    server.pid = server.daemon.process.pid
    return time.monotonic() - begin


def post(server, job):
    body = f'{{"id":"{job}","status":"completed","padding":"{"x" * 300}"}}'
    answer = server.daemon.post("/callback/bench", body, hmac_hex(SECRET, body))
    assert answer.status == 200, answer


def asked(server, *words):
    """The median of 5, the program's own start within."""
    times = []
    for _ in range(5):
        begin = time.monotonic()
        reply = server.daemon.ctl(*words, timeout=120)
        times.append(time.monotonic() - begin)
        assert reply.returncode == 0, reply.stderr
    return 1000 * statistics.median(times)


def ingest(server, *more):
    return bench.load(server, 64, bench.SECONDS, *more)


def empty():
    with Ours() as server:
        return ingest(server)["rate"]


def tell(name, rate, baseline, rss, started=None, extra=""):
    line = f"{name:34} {rate:7.0f}/s  {rate / baseline:5.2f} of the empty store's {baseline:7.0f}/s  RssAnon {rss / 1024:6.1f} MiB"
    print(line + (f"  start {started:5.2f} s" if started is not None else "") + extra, flush=True)


def stored(n, waiting):
    """The store is filled once; each round ingests into it, after one into an empty one."""
    what = f"{n:.0f} {'waiting runs' if waiting else 'callbacks'} stored"
    with Ours(SOURCE + (HOOK if waiting else "")) as server:
        if waiting:
            assert server.daemon.ctl("pause", "h").returncode == 0
        post(server, "first")
        assert server.daemon.stop() == 0
        seconds = fill(os.path.join(server.daemon.state, "callbackd.db"), int(n), runs=waiting)
        size = os.path.getsize(os.path.join(server.daemon.state, "callbackd.db"))
        print(f"({what}: filled in {seconds:.0f} s, {size / 1e9:.1f} GB)", flush=True)
        started = start(server)
        idle = rss_anon_kib(server.pid)
        rounds = [(empty(), ingest(server)["rate"]) for _ in range(bench.ROUNDS)]
        show, listed = asked(server, "show", "bench/first"), asked(server, "list")
        extra = f" (idle {idle / 1024:.1f})  show {show:.0f} ms  list {listed:.0f} ms"
        baseline, rate = (statistics.median(r) for r in zip(*rounds, strict=True))
        tell(what, rate, baseline, rss_anon_kib(server.pid), started, extra)
        goal = [(rate / baseline >= 0.7, "0.7 of the rate"), (max(show, listed) < 20, "show and list under 20 ms")]
        goal += [(started < 2, "start under 2 s")]
        print("    " + ", ".join(f"{word}: {'reached' if ok else 'NOT REACHED'}" for ok, word in goal), flush=True)


def varied(name, server, *more):
    with server:
        started = start(server) if server.daemon.stop() == 0 else None
        rounds = [(empty(), ingest(server, *more)) for _ in range(bench.ROUNDS)]
        baseline = statistics.median(b for b, _ in rounds)
        rate = statistics.median(got["rate"] for _, got in rounds)
        told = "".join(f"  {word} {n:.0f}" for word in ("shed", "failed") if (n := sum(g[word] for _, g in rounds)))
        tell(name, rate, baseline, rss_anon_kib(server.pid), started, told)


def crowd(n=500):
    """So many sources, each with a hook; the hooks want no success, so that none runs."""
    config = "".join(
        f"[Source s{i}]\nVerify=hmac\nSecretFile=secret\n[Hook h{i}]\nSource=s{i}\nOn=error\nExec=/bin/true\n" for i in range(n)
    )
    varied(f"{n} sources and hooks", Ours(config), "--sources", n, "--path", "/callback/s")


class OverTLS(Ours):
    """As Ours, on a second listener."""

    def __init__(self):
        self.listener = bind_tcp()
        super().__init__()

    def __enter__(self):
        config, daemon, files = self.arguments
        self.daemon = Daemon(config, daemon="", files=files, sockets=[("callbackd-tls.socket", self.listener)])
        certificate(self.daemon.directory)
        words = f"{daemon}\nTLSCertificateFile=@DIR@/cert.pem\nTLSKeyFile=@DIR@/key.pem"
        self.daemon.configure(config, words)
        self.daemon.start()
        self.port, self.words, self.pid = self.listener.getsockname()[1], ["--tls"], self.daemon.process.pid
        return self


def main():
    for body in (200, 2048, 16384, 131072, 1048576):
        # One address may hold a quarter of the room for bodies, 16 MiB: what is beyond is refused.
        connections = min(64, 12 * 1048576 // body)
        varied(f"bodies of {body} B, {connections} conn.", Ours(), "--body", body, "--connections", connections)
    crowd()
    varied("TLS", OverTLS())
    stored(WAITING, True)
    for millions in MILLIONS:
        stored(millions * 1e6, False)


if __name__ == "__main__":
    sys.exit(main())

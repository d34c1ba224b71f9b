#!/usr/bin/python3
"""
Durable acknowledgement beside what people would use instead, all in one run on one machine: 2 KiB of
JSON, signed with HMAC-SHA256, each body different, over connections that stay open. A closed loop
finds the peak; rounds take turns, medians are told with their spread. An open loop at half the peak
finds the latency, in a store that is pruned meanwhile. And what an idle daemon weighs.

    make bench            SECONDS=10 ROUNDS=3 CONNECTIONS="1 16 64 256" ONLY="redis nginx" by environment

A run of full length writes tests/bench/bench.json, the chart bench.svg beside it, and the table of
README.md; a shorter one writes to build/bench and leaves them alone.
"""

import json
import os
import statistics
import subprocess
import sys
import time

import figures
from fill import fill
from rivals import DAEMON, RIVALS, SECRET, SOURCE, Ours, Raw, rss_anon_kib

from helpers import build_directory, hmac_hex, until

SECONDS = float(os.environ.get("SECONDS", "10"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
CONNECTIONS = [int(n) for n in os.environ.get("CONNECTIONS", "1 16 64 256").split()]
ONLY = os.environ.get("ONLY", "").split()
FILLED = int(os.environ.get("FILLED", "1000000"))
FULL_LENGTH = SECONDS >= 10 and ROUNDS >= 3 and not ONLY and CONNECTIONS == [1, 16, 64, 256]
OVERLOAD_CONNECTIONS = 2048


def load(server, connections, seconds=SECONDS, *more):
    out = subprocess.run(
        [build_directory() / "bench/load", "--port", str(server.port), "--connections", str(connections),
         "--secret", SECRET, "--seconds", str(seconds), *server.words, *map(str, more)],
        stdout=subprocess.PIPE, text=True, check=True, timeout=seconds + 60,
    ).stdout  # fmt: skip
    return json.loads(out)


def once_ours(connections):
    """The load, and how callbacks and bytes fell into commits."""
    with Ours() as server:
        before = server.counted()
        got = load(server, connections)
        commits, jobs, written = (a - b for a, b in zip(server.counted(), before, strict=True))
    got["batch"] = jobs / max(1, commits)
    got["bytes_a_batch"] = written / max(1, commits)
    return got


def once(rival, connections):
    with rival() as server:
        return load(server, connections)


def tell(connections, name, got):
    print(
        f"  {connections:3} {name:11} {got['rate']:8.0f}/s"
        + (f"  p50 {got['p50'] / 1000:7.2f} ms  p99 {got['p99'] / 1000:7.2f} ms" if "p50" in got else "")
        + (f"  client {got['client_cpu']:.0f} us a request" if "client_cpu" in got else "")
        + (f"  FAILED {got['failed']}" if got.get("failed") else ""),
        flush=True,
    )


def peak():
    """{connections: {name: [round, …]}}"""
    rivals = []
    for rival in RIVALS:
        if ONLY and rival.name not in ONLY:
            continue
        if why := rival.ready():
            print(f"left out: {why}")
        else:
            rivals.append(rival)
    results = {n: {} for n in CONNECTIONS}
    for turn in range(ROUNDS):
        print(f"round {turn + 1} of {ROUNDS}", flush=True)
        for n in CONNECTIONS:
            ours = once_ours(n)
            rate = Raw.measure(ours["batch"], ours["bytes_a_batch"], SECONDS)
            for name, got in (
                (Ours.name, ours),
                (Raw.name, {"rate": rate}),
                *((rival.name, try_once(rival, n)) for rival in rivals),
            ):
                if got:
                    results[n].setdefault(name, []).append(got)
                    tell(n, name, got)
    return results


def try_once(rival, connections):
    """A rival that does not come through is told of; it does not end the run of the others."""
    try:
        return once(rival, connections)
    except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as problem:
        print(f"  {connections:3} {rival.name}: {problem}", flush=True)
        return None


def open_loop(rate):
    """
    Half the peak for 3 * SECONDS, each request at its time, while the store forgets what is older
    than its retention as fast as it may, and carries its log over.
    """
    with Ours(SOURCE, daemon=f"{DAEMON}\nRetention=1d") as server:
        body = '{"id":"first","status":"completed","padding":"' + "x" * 400 + '"}'
        assert server.daemon.post("/callback/bench", body, hmac_hex(SECRET, body)).status == 200
        assert server.daemon.stop() == 0
        fill(os.path.join(server.daemon.state, "callbackd.db"), FILLED, age_days=2)
        server.daemon.start()
        server.pid = server.daemon.process.pid
        commits, _, written = server.counted()
        before = server.daemon.control("GET", "/v1/status").json["store"]
        got = load(server, 256, 3 * SECONDS, "--rate", rate, "--warm", 1)
        after = server.daemon.control("GET", "/v1/status").json["store"]
        taken = (got["rate"]) * 3 * SECONDS + rate * 1
        got["offered"] = rate
        got["pruned"] = max(0, round(before["jobs"] + taken - after["jobs"]))
        got["commits"] = after["commits"] - commits
        got["written"] = server.counted()[2] - written
    return got


def overload():
    """
    Twice what it takes from as many connections in a closed loop: how much of that it keeps, and how
    long those wait whom it accepts. What finds every connection busy is not sent at all.
    """
    with Ours() as server:
        peak_rate = load(server, OVERLOAD_CONNECTIONS)["rate"]
        got = load(server, OVERLOAD_CONNECTIONS, SECONDS, "--rate", 2 * peak_rate, "--drop")
    got["peak"], got["offered"] = peak_rate, 2 * peak_rate
    return got


def idle():
    with Ours() as server:
        assert server.daemon.post("/callback/bench", "{}", hmac_hex(SECRET, "{}")).status == 200
        until(lambda: server.daemon.control("GET", "/v1/status").status == 200)
        time.sleep(1)
        rss = rss_anon_kib(server.pid)
    with open(build_directory() / "callbackd", "rb") as binary:
        stripped = build_directory() / "bench/callbackd.stripped"
        stripped.write_bytes(binary.read())
    subprocess.run(["strip", stripped], check=True)
    return {"rss_kib": rss, "binary_kib": stripped.stat().st_size / 1024}


def main():
    begin = time.monotonic()
    run = {"when": time.strftime("%Y-%m-%d"), "seconds": SECONDS, "rounds": ROUNDS, "machine": figures.machine()}
    run["idle"] = idle()
    run["peak"] = {str(n): of for n, of in peak().items()}
    best = max(statistics.median(r["rate"] for r in of[Ours.name]) for of in run["peak"].values())
    print(f"open loop at half of {best:.0f}/s, with {FILLED} old jobs to forget", flush=True)
    run["open"] = open_loop(best / 2)
    print(f"open loop at twice the peak, over {OVERLOAD_CONNECTIONS} connections", flush=True)
    run["overload"] = overload()
    print(f"({time.monotonic() - begin:.0f} s)\n")
    figures.publish(run, FULL_LENGTH)


if __name__ == "__main__":
    sys.exit(main())

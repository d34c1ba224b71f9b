#!/usr/bin/python3
"""
Durable acknowledgement beside a server that stores nothing, in one run: signed 2 KiB callbacks over
keep-alive connections, closed loop, rounds interleaved, medians told with their spread. And what an
idle daemon weighs, and how long a hook waits for its start.

    make bench            SECONDS=10 ROUNDS=3 by environment
"""

import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "daemon")]

from helpers import Daemon, build_directory, hmac_hex, until  # noqa: E402

SECONDS = float(os.environ.get("SECONDS", "10"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SECRET = "bench-secret"
SOURCE = "[Source bench]\nVerify=hmac\nSecretFile=secret\n"


class Ours:
    name = "callbackd (verified, fdatasync before 200)"

    def __enter__(self):
        self.daemon = Daemon(SOURCE, daemon="LogLevel=warning\nMaxRequestsPerConnection=1000000000", files={"secret": SECRET}).start()
        self.port = self.daemon.port
        return self

    def __exit__(self, *_):
        self.daemon.stop()
        self.daemon.close()


class Nginx:
    name = "nginx, a bare 200 (stores nothing)"

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="bench-nginx-")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        conf = os.path.join(self.directory, "nginx.conf")
        with open(conf, "w", encoding="utf-8") as out:
            out.write(
                f"daemon off; worker_processes 2; pid {self.directory}/pid; error_log {self.directory}/error;"
                "events { worker_connections 4096; } http { access_log off; keepalive_requests 1000000000;"
                f" client_body_temp_path {self.directory}; server {{ listen 127.0.0.1:{self.port};"
                ' location / { return 200 "{}"; } } }\n'
            )
        self.process = subprocess.Popen(["nginx", "-c", conf], stderr=subprocess.DEVNULL)
        until(self._answers)
        return self

    def _answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def load(port, connections):
    out = subprocess.run(
        [build_directory() / "bench/load", str(port), "/callback/bench", SECRET, str(connections), str(SECONDS)],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    return dict(zip(("rate", "p50", "p99", "max", "failures"), map(float, out), strict=True))


def throughput():
    rivals = [Ours] + ([Nginx] if shutil.which("nginx") else [])
    if len(rivals) == 1:
        print("nginx is not installed: left out")
    for connections in (1, 16, 64):
        results = {r.name: [] for r in rivals}
        for _ in range(ROUNDS):
            for rival in rivals:
                with rival() as server:
                    results[rival.name].append(load(server.port, connections))
        for name, rounds in results.items():
            rates = sorted(r["rate"] for r in rounds)
            print(
                f"{connections:3} connections  {name:45} {statistics.median(rates):8.0f}/s"
                f" ({rates[0]:.0f} to {rates[-1]:.0f})  p50 {statistics.median(r['p50'] for r in rounds) / 1000:.2f} ms"
                f"  p99 {statistics.median(r['p99'] for r in rounds) / 1000:.2f} ms"
                f"  failures {sum(int(r['failures']) for r in rounds)}"
            )


def memory():
    with Ours() as server:
        time.sleep(1)
        with open(f"/proc/{server.daemon.process.pid}/status", encoding="ascii") as status:
            rss = next(line for line in status if line.startswith("RssAnon")).split()[1]
    print(f"idle: RssAnon {rss} KiB")


def hook_latency():
    """From the sender's request to the hook's first instruction, 100 callbacks/s."""
    directory = tempfile.mkdtemp(prefix="bench-hook-")
    script = os.path.join(directory, "hook")
    with open(script, "w", encoding="utf-8") as out:
        out.write(f'#!/bin/sh\nexec date +"$CALLBACK_ID %s%N" >>{directory}/starts\n')
        os.fchmod(out.fileno(), 0o700)
    daemon = Daemon(
        SOURCE + f"[Hook h]\nExec={script}\nMaxConcurrent=16\n", daemon="LogLevel=warning", files={"secret": SECRET}
    ).start()
    sent, c = {}, http.client.HTTPConnection("127.0.0.1", daemon.port)
    begin = time.monotonic()
    for i in range(300):
        time.sleep(max(0, begin + i / 100 - time.monotonic()))
        body = json.dumps({"id": f"j{i}", "status": "completed"})
        sent[f"j{i}"] = time.time_ns()
        c.request("POST", "/callback/bench", body, hmac_hex(SECRET, body))
        c.getresponse().read()
    daemon.stop()
    with open(f"{directory}/starts", encoding="ascii") as starts:
        lags = sorted((int(line.split()[1]) - sent[line.split()[0]]) / 1e6 for line in starts)
    daemon.close()
    shutil.rmtree(directory)
    print(
        f"callback sent to hook's `date` (sh and date started, 100/s, {len(lags)} hooks):"
        f" p50 {lags[len(lags) // 2]:.1f} ms  p99 {lags[len(lags) * 99 // 100]:.1f} ms"
    )


if __name__ == "__main__":
    memory()
    hook_latency()
    throughput()

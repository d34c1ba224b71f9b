#!/usr/bin/python3
"""
How many instructions one callback costs, by thread: the figure that a noisy machine does not change.
The daemon runs under callgrind for a short and for a longer load; told is the difference, so the
start counts for nothing. Then the functions that cost the most of the longer one.

    make build/bench/load && tests/bench/instructions.py [CONNECTIONS]
"""

import glob
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "daemon")]

from helpers import Daemon, build_directory  # noqa: E402

SECRET = "bench-secret"
SOURCE = "[Source bench]\nVerify=hmac\nSecretFile=secret\n"
SHORT, LONG = "2", "8"  # seconds
THREADS = {"01": "loop", "02": "log", "03": "store"}  # in the order of their start


def under_callgrind(directory):
    """A program that is the daemon under callgrind."""
    path = os.path.join(directory, "callbackd")
    with open(path, "w", encoding="utf-8") as out:
        out.write(
            "#!/bin/sh\nexec valgrind --tool=callgrind --separate-threads=yes"
            f' --callgrind-out-file={directory}/out.%p "{build_directory() / "callbackd"}" "$@"\n'
        )
    os.chmod(path, stat.S_IRWXU)
    return path


def measure(connections, seconds):
    """Callbacks answered, instructions by thread number, the directory with the profile."""
    directory = tempfile.mkdtemp(prefix="callgrind-")
    daemon = Daemon(
        SOURCE, daemon="LogLevel=warning\nMaxRequestsPerConnection=1000000000", files={"secret": SECRET}
    )
    daemon._program = under_callgrind(directory)
    daemon.start()
    main = daemon.process.pid
    load = [build_directory() / "bench/load", "--port", str(daemon.port), "--connections", connections]
    load += ["--secret", SECRET, "--seconds", seconds]
    rate = json.loads(subprocess.run(load, stdout=subprocess.PIPE, text=True, check=True).stdout)["rate"]
    daemon.stop()
    daemon.close()
    threads = {}
    for name in glob.glob(f"{directory}/out.{main}-*"):
        for line in Path(name).read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(("summary:", "totals:")):
                threads[name.rsplit("-", 1)[1]] = int(line.split()[1])
    return rate * float(seconds), threads, directory


def main():
    connections = sys.argv[1] if len(sys.argv) > 1 else "16"
    few, before, short = measure(connections, SHORT)
    many, after, long = measure(connections, LONG)
    for thread in sorted(after):
        each = (after[thread] - before.get(thread, 0)) / (many - few)
        print(f"{THREADS.get(thread, thread)}: {each:.0f} instructions a callback")
    for name in sorted(glob.glob(f"{long}/out.*-0[13]")):
        report = subprocess.run(["callgrind_annotate", name], capture_output=True, text=True, check=False).stdout
        print(*re.findall(r"^ *[\d,]+ \([ \d.]+%\) .*", report, re.M)[:16], sep="\n")
    shutil.rmtree(short)
    shutil.rmtree(long)


main()

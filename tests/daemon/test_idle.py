"""What a daemon costs that has nothing to do: no wake-up but the watchdog's, little memory, a
small program."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from helpers import build_directory, until

pytestmark = pytest.mark.skipif(bool(os.environ.get("SAN")), reason="a sanitizer has threads and memory of its own")
FULL = bool(os.environ.get("FULL"))


def family(pid):
    """The daemon and its runner."""
    pids = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        pids += [int(child) for child in (task / "children").read_text().split()]
    return pids


def wake_ups(pid):
    """How often a thread of them was put on a processor because it had waited for something."""
    total = 0
    for member in family(pid):
        for task in Path(f"/proc/{member}/task").iterdir():
            total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text(), re.M)[1])
    return total


def processor_ticks(pid):
    total = 0
    for member in family(pid):
        total += sum(map(int, Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()[11:15]))
    return total


def test_nothing_wakes_it(run_daemon, recorder):
    """After work, too: what was done has left no timer behind that comes again and again."""
    d = run_daemon(f"[Source s]\nVerify=none\n[Hook h]\nSource=s\nExec={recorder.exec}\n")
    for i in range(20):
        assert d.post("/callback/s", {"id": f"j{i}", "status": "completed"}).status == 200
    until(d.is_quiet, what="the hooks")
    # A connection times out, STATUS= is told once more, the log is carried over after a quiet:
    # then nothing, for longer than the period of anything that would come again and again.
    seconds = 12 if FULL else 4
    until(lambda: is_quiet(d.process.pid, seconds), timeout=45, what="quiet")


def is_quiet(pid, seconds):
    before, ticks = wake_ups(pid), processor_ticks(pid)
    time.sleep(seconds)
    return wake_ups(pid) == before and processor_ticks(pid) - ticks <= 1


def test_memory(run_daemon):
    d = run_daemon("[Source s]\nVerify=none\n")
    assert d.post("/callback/s", {"id": "one", "status": "completed"}).status == 200
    status = Path(f"/proc/{d.process.pid}/status").read_text()
    assert int(re.search(r"^RssAnon:\s+(\d+) kB", status, re.M)[1]) < 6 * 1024


@pytest.mark.skipif(not shutil.which("strip"), reason="no strip")
def test_size_of_the_program(tmp_path):
    subprocess.run(["strip", "-o", tmp_path / "callbackd", build_directory() / "callbackd"], check=True)
    assert os.path.getsize(tmp_path / "callbackd") < 600 * 1024

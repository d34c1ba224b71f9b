"""Zero downtime: restarts, kills and upgrades under load lose no connection attempt and no
callback. What "lost" and "a clean close" are, load.py says."""
import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from container import TOP, wait_for
from scene import SECRET
from test_service import kind, main_pid, send, state_lines

FULL = bool(os.environ.get("FULL"))
RESTARTS = 100 if FULL else 5
pytestmark = pytest.mark.timeout(900 if FULL else 90)


class Load:
    """Callbacks for two sources for as long as the block lasts: `flood` has no hook and is sent
    as fast as answers come, `demo` has one that writes the id down."""

    def __init__(self, service, tmp_path, seconds=600):
        self.service = service
        self.children, self.ids = {}, {}
        for source, pause in ("flood", "0.002"), ("demo", "0.1"):
            self.ids[source] = str(tmp_path / source)
            self.children[source] = service.in_network(
                sys.executable, os.path.join(TOP, "tests/service/load.py"), "8080",
                f"/callback/{source}", SECRET, str(seconds), "3", pause, self.ids[source])

    def end(self):
        self.results, self.taken = {}, {}
        for source, child in self.children.items():
            child.send_signal(signal.SIGTERM)
        for source, child in self.children.items():
            self.results[source] = json.loads(child.communicate(timeout=60)[0])
            with open(self.ids[source]) as f:
                self.taken[source] = f.read().split()

    def kill(self):
        for child in self.children.values():
            if child.poll() is None:
                child.kill()
                child.wait()


@contextlib.contextmanager
def under_load(service, tmp_path):
    load = Load(service, tmp_path)
    try:
        time.sleep(0.3)
        yield load
        time.sleep(0.3)
        load.end()
    finally:
        load.kill()
    print(f"load: {load.results}")


def jobs(service, source):
    """{id: deliveries} of all the daemon has of a source."""
    listed = service.run("callbackctl", "--json", "list", f"--source={source}",
                         "--limit=1000000", timeout=120).stdout
    return {j["id"]: j["deliveries"] for j in map(json.loads, listed.splitlines())}


def assert_nothing_lost(service, load):
    """All that was answered 200 is in the store, and its hook ran."""
    for source, taken in load.taken.items():
        assert len(taken) > 20, source
        missing = set(taken) - set(jobs(service, source))
        assert not missing, f"answered 200 and not there: {sorted(missing)[:5]}"
    wait_for("the hooks", lambda: set(load.taken["demo"]) <= set(state_lines(service, "published")),
             60)


def assert_no_request_failed(service, load):
    """Beyond clean closes, and of what was closed nothing had been taken."""
    for source, result in load.results.items():
        assert result["refused"] == result["broken"] == 0, load.results
        assert set(result["answers"]) == {"200"}, load.results
        repeated = [id for id, n in jobs(service, source).items() if n != 1]
        assert not repeated, f"taken and not answered: {repeated[:5]}"


def test_restarts_under_load(service, tmp_path):
    with under_load(service, tmp_path) as load:
        for _ in range(RESTARTS):
            time.sleep(0.2)
            service.run("systemctl", "restart", "callbackd.service", timeout=60)
    assert_no_request_failed(service, load)
    assert_nothing_lost(service, load)
    ran = state_lines(service, "published")
    twice = {id for id in load.taken["demo"] if ran.count(id) != 1}
    assert not twice, "a hook that a restart interrupted is finished, not begun again"

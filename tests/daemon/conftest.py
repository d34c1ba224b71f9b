"""Fixtures of the tests that see callbackd from outside. $B names the build directory."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "storage-service")]

from helpers import Daemon, Recorder, build_directory  # noqa: E402
from storage_service import StorageService  # noqa: E402

# The daemon of a failed test speaks for itself.
_daemons = pytest.StashKey()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for number, daemon in enumerate(item.stash.get(_daemons, [])):
            if os.path.exists(daemon.stderr_path):
                report.sections.append((f"stderr of callbackd {number}", daemon.stderr))


@pytest.fixture(scope="session", autouse=True)
def _built():
    missing = [p for p in ("callbackd", "callbackctl") if not (build_directory() / p).exists()]
    assert not missing, f"{', '.join(missing)} not in {build_directory()}: run make first"


@pytest.fixture
def recorder(tmp_path_factory):
    """A hook that notes down its runs: Exec={recorder.exec}."""
    r = Recorder(str(tmp_path_factory.mktemp("recorder")))  # tmp_path is the test's own
    yield r
    r.close()


@pytest.fixture
def new_daemon(request, recorder):
    """
    new_daemon(config, …): a Daemon that is not started yet, cleaned up at the end. Before the
    recorder: a hook that runs at the end must still find its reader.
    """
    made = request.node.stash.setdefault(_daemons, [])

    def make(config, **more):
        made.append(Daemon(config, **more))
        return made[-1]

    yield make
    stuck = [d for d in made if not d.close()]
    assert not stuck, f"SIGTERM did not end callbackd within 10 s:\n{stuck[0].last_words}"


@pytest.fixture
def run_daemon(new_daemon):
    """The same, started and ready."""
    return lambda config, **more: new_daemon(config, **more).start()


@pytest.fixture
def storage():
    """The stand-in for the storage service, in a hurry."""
    with StorageService(api_key="k-upload-test", delay=0.01, retry_interval=0.2) as s:
        yield s

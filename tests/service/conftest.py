"""One booted container for all tests of this directory, or the plain word why not."""
import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from container import BUILD, Unavailable, new_container  # noqa: E402
from scene import APART, CONFIG, HOOKS, SECRET  # noqa: E402


def boot():
    container = new_container()
    try:
        container.install(BUILD)
        container.write("/etc/callbackd/callbackd.conf", CONFIG)
        for name, text in HOOKS.items():
            container.write(f"/usr/local/bin/{name}", "#!/bin/sh\n" + text, 0o755)
        container.write("/etc/callbackd/hooks/apart", "#!/bin/sh\n" + APART, 0o755)
        container.boot()
    except BaseException:
        container.close()
        raise
    return container


@pytest.fixture(scope="session")
def booted():
    try:
        container = boot()
    except Unavailable as e:
        pytest.skip(f"container tests: {e}")
    yield container
    container.close()


@pytest.fixture
def service(booted):
    """The container with the service enabled and running, whatever the test before did."""
    if not os.path.exists(booted.path("/etc/callbackd/demo.secret")):
        booted.write("/etc/callbackd/demo.secret", SECRET + "\n", 0o640, group="callbackd")
        booted.run("journalctl", "--update-catalog")
        booted.run("systemctl", "enable", "--now", "callbackd.service")
    booted.write("/etc/callbackd/callbackd.conf", CONFIG)
    booted.run("systemctl", "reset-failed")
    booted.run("systemctl", "start", "callbackd.service", timeout=30)
    return booted

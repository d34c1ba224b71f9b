"""Every test has its time: 60 s, or what @pytest.mark.timeout(SECONDS) says; under a
sanitizer three times that. A test that hangs fails with a traceback of where it hung."""
import os
import signal

import pytest

SLOW = 3 if os.environ.get("SAN") else 1


def pytest_configure(config):
    config.addinivalue_line("markers", "timeout(seconds): how long this test may take")


class Hung(Exception):
    pass


def seconds_of(item):
    marker = item.get_closest_marker("timeout")
    return int((marker.args[0] if marker else 60) * SLOW)


def limited(item, what):
    seconds = seconds_of(item)

    def on_alarm(_signal, _frame):
        raise Hung(f"{what} not done after {seconds} s")

    old = signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    yield from limited(item, "test")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item):
    yield from limited(item, "fixture")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item):
    yield from limited(item, "end of fixture")

"""For what sends no word when it comes true: looked at again and again, to a deadline."""

import time


def until(condition, timeout=10.0, what="it"):
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
        time.sleep(0.01)

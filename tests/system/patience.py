# SPDX-License-Identifier: MIT
"""Waiting for what must happen: for a condition, never for a time, however slow or busy the machine is."""

import time

PATIENCE = 240  # seconds until something that must happen counts as never happening


def until(condition, what, patience=PATIENCE):
    """Poll until the condition holds; returns its value. `what` says what did not happen."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not after {patience} s: {what() if callable(what) else what}"
        time.sleep(0.05)
    return value


def steady(read, what):
    """Poll until two readings in a row are the same; returns it."""
    last = [None]

    def same():
        before, last[0] = last[0], read()
        return before is not None and before == last[0]

    until(same, f"{what} does not come to rest")
    return last[0]

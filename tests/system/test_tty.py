# SPDX-License-Identifier: MIT
"""Terminals, judged by a program in the guest that says the same on Linux."""

import pytest

from patience import until


def failed_lines(output):
    return "\n".join(line for line in output.splitlines() if line.startswith(("FAIL", "got"))) or output


@pytest.mark.linux
def test_ptys(guest):
    """Sessions on a pty: job control, window size, hangup of both ends."""
    status, output = guest.status("ptys")
    assert status == 0 and "all ok" in output, failed_lines(output)


def test_ptys_debug(debug_guest):
    """The same under the kernel's own checks; nothing is left behind."""
    status, output = debug_guest.status("ptys")
    assert status == 0 and "all ok" in output, failed_lines(output)
    # Of the last session, the child that init takes over may be still about to end.
    until(lambda: debug_guest.cat("/proc/sys/kernel/pty/nr").strip() == "0", "no terminal is left")

# SPDX-License-Identifier: MIT
"""Files, descriptors, pipes and poll, judged by programs in the guest that say the same on Linux."""

import pytest


def failed_lines(output):
    return "\n".join(line for line in output.splitlines() if line.startswith("FAIL")) or output


PROGRAMS = ["file_tree", "file_io", "file_locks", "file_notify", "file_signals", "file_space", "file_splice"]


@pytest.mark.linux
@pytest.mark.parametrize("program", PROGRAMS)
def test_file_program(guest, program):
    status, output = guest.status(f"{program} /tmp/{program}")
    assert status == 0 and "all ok" in output, failed_lines(output)


@pytest.mark.parametrize("program", PROGRAMS)
def test_file_program_debug(debug_guest, program):
    """The same under the kernel's own checks."""
    status, output = debug_guest.status(f"{program} /tmp/debug_{program}")
    assert status == 0 and "all ok" in output, failed_lines(output)

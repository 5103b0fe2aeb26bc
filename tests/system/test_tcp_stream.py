# SPDX-License-Identifier: MIT
"""TCP as programs see it: the stream, blocking, buffers, options, limits, heartbeats."""

import pytest


@pytest.mark.linux
@pytest.mark.row("W-07", "W-21", "T-02", "X-08", "X-10", "N-01", "N-02", "H-05", "Z-02", "A-03")
def test_a_program_judges(guest):
    """tcpcheck's verdicts, most of them in the names of rows."""
    output = guest.sh("tcpcheck", timeout=120)
    assert "all ok" in output, output

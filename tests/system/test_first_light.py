# SPDX-License-Identifier: MIT
"""The main job: a frame travels from the wire to a task blocked in recvfrom, and its answer back."""

import pytest

pytestmark = pytest.mark.linux


def test_ping(guest):
    """The guest answers pings of small, full and fragmented size."""
    assert guest.ping(5) == 5
    assert guest.ping(3, size=1472) == 3
    assert guest.ping(2, size=8000) == 2


def test_udp_echo(guest):
    """A ring-3 program asleep in recvfrom answers."""
    for size in (0, 1, 17, 18, 19, 512, 1471, 1472, 1473, 2944, 9000, 65507):
        payload = bytes((size + n) & 0xff for n in range(size))
        assert guest.echo(payload) == payload, f"size {size}"

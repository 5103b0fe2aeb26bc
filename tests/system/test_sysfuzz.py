# SPDX-License-Identifier: MIT
"""Isolation: programs that throw seeded nonsense at every system call, return through hostile signal frames and run broken ELF files
(guest/sysfuzz.c) hurt nobody but themselves: the kernel complains of nothing, gives everything back and serves on."""

import re

import pytest

from console import COMPLAINT
from patience import until

# What ends by TCP's timers, not with the process.
TIMED = {"tcp_bind_bucket", "tw_sock_TCP", "TCP", "request_sock_TCP", "sock_inode_cache"}


def memory(guest):
    """Active objects of each cache, and the free memory in KiB."""
    free = int(re.search(r"^MemFree: +(\d+)", guest.cat("/proc/meminfo"), re.M).group(1))
    return {name: count for name, count in guest.slabs().items() if name not in TIMED}, free


def left_over(guest, before):
    """What is still held that was not before."""
    now, free = memory(guest)
    held = {name: count - before[0].get(name, 0) for name, count in now.items() if count > before[0].get(name, 0) + 8}
    return held if held or free > before[1] - 2048 else {"KiB of memory": before[1] - free}


@pytest.mark.parametrize("smp, seed, calls", [(1, 11, 120), (2, 12, 120), (4, 13, 60)])
def test_system_call_fuzzer(guests, smp, seed, calls):
    """Under the kernel's own checks."""
    guest = guests.boot(smp=smp, debug=True)
    try:
        guest.sh("sysfuzz 1 4 20", 300)  # what is made once and kept
        before = memory(guest)
        output = guest.sh(f"sysfuzz {seed} 4 {calls}", 500)
        assert "all ok" in output, output
        assert sum(map(int, re.findall(r"^round \d+: (\d+) calls", output, re.M))) > 25, output
        assert guest.echo(b"still here") == b"still here"
        status, output = guest.status("proccheck")
        assert status == 0 and "all ok" in output, output
        # Where a grace period or a worker has to pass, it takes a moment.
        until(lambda: not left_over(guest, before), lambda: f"all is given back: {left_over(guest, before)}")
        assert not re.search(rf"^{COMPLAINT}", guest.kernel_log(), re.M)
        assert guest.console.trouble() is None
    finally:
        guest.close()


def test_exhaustion(guests):
    """Stack, processes and descriptors run out for those who take them all, and come back (guest/exhaust.c, which says the same on Linux)."""
    guest = guests.boot(smp=2, debug=True)
    try:
        before = None
        for _ in range(3):
            status, output = guest.status("exhaust")
            assert status == 0 and "all ok" in output, output
            before = before or memory(guest)  # the first round makes what is made once and kept
        until(lambda: not left_over(guest, before), lambda: f"all is given back: {left_over(guest, before)}")
        assert guest.echo(b"still here") == b"still here"
        assert not re.search(rf"^{COMPLAINT}", guest.kernel_log(), re.M)
        assert guest.console.trouble() is None
    finally:
        guest.close()

# SPDX-License-Identifier: MIT
"""scripts/bench nic: igb-lite beside QEMU's stock igb, alone (here) and under a Linux guest (bench_guest)."""

import os
import statistics
import subprocess

from .bench_common import Table, qemu_version
from .build import build
from .paths import QEMU
from .shell import Failed, run, say

HELP = "igb-lite and stock igb: what a packet costs in the device alone, and what a Linux guest makes of them"
PROGRAM = QEMU.parent / "igb-lite-bench"
NICS = ["igb-lite", "igb"]
PARTS = ["device", "tap", "vnet", "socket"]
SENT, LOOPED = "TX 64 B", "TX and RX 64 B, loopback"  # the loop less the way out is what reception costs


def arguments(parser):
    """Our options."""
    parser.add_argument("--part", choices=PARTS, action="append",
                        help="only the device alone, or only the Linux guest over one backend: a TAP, a TAP with a vnet header, a "
                        "socket (all)")
    parser.add_argument("--repetitions", type=int, default=21, metavar="N", help="of each case of the device, in turn (21)")
    parser.add_argument("--guest-repetitions", type=int, default=7, metavar="N", help="of each case of the guests, in turn (7)")
    parser.add_argument("--seconds", type=int, default=1, help="length of each repetition with a guest (1)")


def device_alone(repetitions):
    """The table of tests/qtest/igb-lite-bench: the device without a guest."""
    say(f"bench: the device alone, {repetitions} repetitions")
    done = run([PROGRAM, repetitions], "igb-lite-bench", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
               env=dict(os.environ, QTEST_QEMU_BINARY=str(QEMU)))
    table = Table(f"{qemu_version()}, qtest, no guest; backend: a hub with no other port, which discards; interrupts masked\n"
                  f"ns of QEMU's CPU time per packet, {repetitions} repetitions in turn", NICS)
    found = {}
    for nic, case, figures in (line.split("\t") for line in done.stdout.splitlines() if "\t" in line):
        found[case, nic] = [float(figure) for figure in figures.split()]
    if not found:
        raise Failed("igb-lite-bench printed nothing")
    for kind, of in (("min", min), ("median", statistics.median)):
        for (case, nic), figures in found.items():
            table.note(f"{case}: {kind}", nic, of(figures))
            if case.startswith(LOOPED):
                table.note(f"RX alone{case[len(LOOPED):]}: {kind}", nic, of(figures) - of(found[SENT, nic]))
    return table


def measure(options):
    """The tables."""
    parts = options.part or PARTS
    build("qemu", *(["rootfs", "linux"] if parts != ["device"] else []))
    tables = [device_alone(options.repetitions)] if "device" in parts else []
    backends = [part for part in parts if part != "device"]
    if backends:
        from . import bench_guest  # scapy, which its guest needs, is slow to import
        tables += bench_guest.measure(backends, options.guest_repetitions, options.seconds)
    return tables

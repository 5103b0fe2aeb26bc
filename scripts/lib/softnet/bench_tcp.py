# SPDX-License-Identifier: MIT
"""scripts/bench tcp: what connections cost on Softnet and on Linux: on loopback in guest instructions (-icount), with the bytes that a
connection takes in each state; and over the NIC with the host's TCP (bench_tcp_nic); same QEMU and program in one run."""

from .bench_common import costs_of_both, program_archive
from .build import build

HELP = "Softnet and Linux: round trips, connections and bulk data by TCP, on loopback and over the NIC; bytes per connection"
PARTS = ["lo", "nic"]


def arguments(parser):
    """Our options."""
    parser.add_argument("--part", choices=PARTS, action="append", help="only over loopback, or only over the NIC (both)")
    parser.add_argument("--memory", default="256M", metavar="SIZE", help="memory of both guests on loopback (256M)")
    parser.add_argument("--nic", choices=["igb", "igb-lite"], default="igb-lite", help="NIC model of both guests (igb-lite)")
    parser.add_argument("--smp", type=int, default=1, metavar="N", help="CPUs of both guests with a NIC (1)")
    parser.add_argument("--repetitions", type=int, default=5, metavar="N", help="of each case with a NIC, in turn (5)")
    parser.add_argument("--seconds", type=int, default=2, help="length of each repetition with a NIC (2)")


def measure(options):
    """The tables."""
    parts = options.part or PARTS
    tables = [costs_of_both(program_archive("tcp_costs"), options.memory)] if "lo" in parts else []
    if "nic" in parts:
        build("qemu", "kernel", "rootfs", "linux")
        from . import bench_tcp_nic  # scapy, which its guests need, is slow to import
        tables.append(bench_tcp_nic.measure(options))
    return tables

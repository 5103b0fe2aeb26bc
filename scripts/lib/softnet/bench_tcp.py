# SPDX-License-Identifier: MIT
"""scripts/bench tcp: what connections cost on Softnet and on Linux, on loopback in guest instructions (-icount), and the bytes that a
connection takes in each state; same QEMU and program in one run."""

from .bench_common import costs_of_both, program_archive

HELP = "Softnet and Linux: instructions for round trips, connections and bulk data on loopback; bytes per connection"


def arguments(parser):
    """Our options."""
    parser.add_argument("--memory", default="256M", metavar="SIZE", help="memory of both guests (256M)")


def measure(options):
    """Both guests."""
    return [costs_of_both(program_archive("tcp_costs"), options.memory)]

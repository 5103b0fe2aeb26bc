# SPDX-License-Identifier: MIT
"""scripts/bench proc: what processes cost on Softnet and on Linux, in guest instructions (-icount), same QEMU and program in one run."""

from .bench_common import costs_of_both, program_archive

HELP = "Softnet and Linux: instructions for a system call, a context switch, a pipe, fork and exec"


def arguments(parser):
    """Our options."""
    parser.add_argument("--memory", default="256M", metavar="SIZE", help="memory of both guests (256M)")


def measure(options):
    """Both guests."""
    return [costs_of_both(program_archive("proc_costs", "-pthread"), options.memory)]

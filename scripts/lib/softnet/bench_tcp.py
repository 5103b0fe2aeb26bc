# SPDX-License-Identifier: MIT
"""scripts/bench tcp: what connections cost on Softnet and on Linux, on loopback in guest instructions (-icount), and the bytes that a
connection takes in each state; same QEMU and program in one run."""

from .bench_common import LOGS, Table, compile_client, qemu_version
from .bench_proc import guest_figures
from .build import build
from .cpio import Archive
from .paths import KERNEL, LINUX_KERNEL
from .qemu import Machine
from .shell import say

HELP = "Softnet and Linux: instructions for round trips, connections and bulk data on loopback; bytes per connection"


def arguments(parser):
    """Our options."""
    parser.add_argument("--memory", default="256M", metavar="SIZE", help="memory of both guests (256M)")


def initramfs():
    """An archive in which the program is everything: /init. Static musl, so that both kernels run the same bytes."""
    LOGS.mkdir(parents=True, exist_ok=True)
    program = compile_client("tcp_costs", "-static", cc="musl-gcc")
    archive = Archive()
    archive.directory("dev")
    archive.character_device("dev/console", 5, 1)
    archive.file("init", program.read_bytes(), 0o755)
    path = LOGS / "tcp_costs.cpio"
    path.write_bytes(archive.bytes())
    return path


def measure(options):
    """Both guests, one after the other: the result is the same on every run."""
    build("kernel", "linux")
    archive = initramfs()
    table = Table(f"{qemu_version()}, TCG, -icount shift=0,sleep=off, 1 CPU: guest instructions, and bytes", ["Softnet", "Linux"])
    for name, kernel in (("Softnet", KERNEL), ("Linux", LINUX_KERNEL)):
        say(f"bench: {name}")
        machine = Machine(kernel=kernel, initrd=archive, memory=options.memory, append="quiet loglevel=0 panic=-1")
        for key, value in guest_figures(machine, name).items():
            table.note(key, name, value)
    return [table]

# SPDX-License-Identifier: MIT
"""scripts/bench proc: what processes cost on Softnet and on Linux, in guest instructions (-icount), same QEMU and program in one run."""

import re
import subprocess

from .bench_common import LOGS, Table, compile_client, qemu_version
from .build import build
from .cpio import Archive
from .paths import KERNEL, LINUX_KERNEL
from .qemu import Machine
from .shell import Failed, say

HELP = "Softnet and Linux: instructions for a system call, a context switch, a pipe, fork and exec"
LIMIT = 600  # seconds for one guest


def arguments(parser):
    """Our options."""
    parser.add_argument("--memory", default="256M", metavar="SIZE", help="memory of both guests (256M)")


def initramfs():
    """An archive in which the program is everything: /init. Static musl, so that both kernels run the same bytes."""
    LOGS.mkdir(parents=True, exist_ok=True)
    program = compile_client("proc_costs", "-static", "-pthread", cc="musl-gcc")
    archive = Archive()
    archive.directory("dev")
    archive.character_device("dev/console", 5, 1)
    archive.character_device("dev/null", 1, 3)
    archive.character_device("dev/zero", 1, 5)
    archive.file("init", program.read_bytes(), 0o755)
    path = LOGS / "proc_costs.cpio"
    path.write_bytes(archive.bytes())
    return path


def guest_figures(machine, name):
    """Boot, and what the program printed: {name: instructions}."""
    machine.extra = ("-icount", "shift=0,sleep=off")
    words = [word.replace("thread=multi", "thread=single") for word in machine.command()]
    log = LOGS / f"proc-{name}.log"
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired as error:
        log.write_bytes(error.stdout or b"")
        raise Failed(f"{name} did not finish within {LIMIT} s, see {log}") from error
    log.write_bytes(done.stdout + done.stderr)
    text = done.stdout.decode(errors="replace")
    figures = {key: float(value) for key, value in re.findall(r"^cost (.+) ([\d.]+)\r*$", text, re.M)}
    if not re.search(r"^done\r*$", text, re.M):
        raise Failed(f"{name} did not finish, see {log}")
    return figures


def measure(options):
    """Both guests, one after the other: the result is the same on every run."""
    build("kernel", "linux")
    archive = initramfs()
    table = Table(f"{qemu_version()}, TCG, -icount shift=0,sleep=off, 1 CPU: guest instructions", ["Softnet", "Linux"])
    for name, kernel in (("Softnet", KERNEL), ("Linux", LINUX_KERNEL)):
        say(f"bench: {name}")
        machine = Machine(kernel=kernel, initrd=archive, memory=options.memory, append="quiet loglevel=0 panic=-1")
        for key, value in guest_figures(machine, name).items():
            table.note(key, name, value)
    return [table]

# SPDX-License-Identifier: MIT
"""scripts/bench udp: Softnet next to a stock Linux guest: same QEMU, NIC model, CPUs, user program and client, in one run."""

import os
import struct

from . import netns
from .bench_common import GUEST, HOST, LOGS, TAP, Table, compile_client, compile_counter, first_reply, qemu_version, running, \
    wait_for_echo
from .build import build
from .paths import KERNEL, LINUX_INITRD, LINUX_KERNEL, ROOTFS
from .qemu import MAC, Machine
from .shell import run, say

HELP = "Softnet and Linux: UDP echoes per second, instructions per echo, time to the first ping reply"
WINDOWS = (1, 32)


def arguments(parser):
    """Our options."""
    parser.add_argument("--nic", choices=["igb", "igb-lite"], default="igb", help="NIC model of both guests (igb)")
    parser.add_argument("--smp", type=int, default=1, metavar="N", help="CPUs of both guests (1)")
    parser.add_argument("--seconds", type=float, default=5, help="length of each measurement (5)")


def client_run(client, window, seconds, counter):
    """One run of the client: (echoes, lost, seconds, instructions)."""
    done = run([client, GUEST, 7, window, seconds, 64, counter or "-"], "udp_window", capture_output=True, text=True)
    echoes, lost, taken, instructions = done.stdout.split()
    return int(echoes), int(lost), float(taken), int(instructions)


def measure_guest(table, machine, name, client, plugin, seconds):
    """All figures of one kernel."""
    tap = netns.open_tap(TAP, HOST)
    netns.ip("neigh", "replace", GUEST, "lladdr", MAC, "dev", TAP)  # the host's own ARP must not cost a second
    say(f"bench: {name}, with the instruction counter")
    with running(machine, tap, LOGS / f"{name}-counted.log", plugin) as counter:
        replied = first_reply()
        total, at_entry, entered = struct.unpack("3Q", counter.read_bytes()[:24])
        table.note("first ping reply, ms after kernel entry", name, (replied - entered) / 1e6)
        table.note("first ping reply, million instructions", name, (total - at_entry) / 1e6)
        wait_for_echo()
        for window in WINDOWS:
            client_run(client, window, 1, counter)
            echoes, lost, _, instructions = client_run(client, window, seconds, counter)
            table.note(f"instructions per echo, window {window}", name, instructions / max(echoes, 1))
            table.add(f"lost, window {window}", name, lost)
    say(f"bench: {name}, without it")
    with running(machine, tap, LOGS / f"{name}.log"):
        first_reply()
        wait_for_echo()
        for window in WINDOWS:
            client_run(client, window, 1, None)
            echoes, lost, taken, _ = client_run(client, window, seconds, None)
            table.note(f"echoes/s, window {window}", name, echoes / taken)
            table.add(f"lost, window {window}", name, lost)
    os.close(tap)


def measure(options):
    """Both kernels, one after the other."""
    build("qemu", "kernel", "rootfs", "linux")
    client, plugin = compile_client("udp_window"), compile_counter()
    netns.enter_new()
    common = {"smp": options.smp, "nic": options.nic, "memory": "512M"}
    machines = {"Linux": Machine(kernel=LINUX_KERNEL, initrd=LINUX_INITRD, append="quiet", **common),
                "Softnet": Machine(kernel=KERNEL, initrd=ROOTFS, append="quiet", **common)}
    table = Table(f"{qemu_version()}, TCG, {options.nic}, {options.smp} CPU, UDP echo of 64 bytes over TAP, "
                  f"{options.seconds:g} s each", ["Softnet", "Linux"])
    for name, machine in machines.items():
        measure_guest(table, machine, name, client, plugin, options.seconds)
    return [table]

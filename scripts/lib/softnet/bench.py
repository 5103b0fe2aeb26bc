# SPDX-License-Identifier: MIT
"""scripts/bench: Softnet next to a stock Linux guest: same QEMU, NIC model, CPUs, user program and client, in one run."""

import argparse
import contextlib
import json
import os
import select
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from . import netns
from .build import build
from .paths import BUILD, KERNEL, LINUX_INITRD, LINUX_KERNEL, OUT, QEMU, ROOT, ROOTFS
from .qemu import MAC, Machine
from .shell import Failed, main, run, say

HOST, GUEST = "10.9.0.1", "10.9.0.2"
TAP = "bench0"
WINDOWS = (1, 32)
PING_EVERY = 0.005
BOOT_LIMIT = 120


def compile_tools():
    """The client and the plugin, into build/bench; returns (client, plugin)."""
    target, source = BUILD / "bench", ROOT / "tests" / "bench"
    target.mkdir(parents=True, exist_ok=True)
    glib = subprocess.run(["pkg-config", "--cflags", "glib-2.0"], capture_output=True, text=True, check=False).stdout.split()
    client, plugin = target / "udp_window", target / "insn_counter.so"
    run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", source / "udp_window.c", "-o", client], "compiling udp_window")
    run(["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-I", OUT / "qemu" / "include", *glib,
         source / "insn_counter.c", "-o", plugin], "compiling insn_counter")
    return client, plugin


def checksum(data):
    """The Internet checksum of an even number of bytes."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff


def first_reply():
    """Ping until the guest answers; the time of the answer (CLOCK_MONOTONIC, ns)."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        sock.setblocking(False)
        end = time.monotonic() + BOOT_LIMIT
        number = 0
        while time.monotonic() < end:
            number += 1
            head = struct.pack("!BBHHH", 8, 0, 0, 0x5057, number & 0xffff)
            head = head[:2] + struct.pack("!H", checksum(head)) + head[4:]
            with contextlib.suppress(OSError):
                sock.sendto(head, (GUEST, 0))
            if select.select([sock], [], [], PING_EVERY)[0]:
                data, peer = sock.recvfrom(2048)
                if peer[0] == GUEST and data[20] == 0:
                    return time.monotonic_ns()
    raise Failed(f"the guest did not answer a ping within {BOOT_LIMIT} s")


@contextlib.contextmanager
def running(machine, tap, log, plugin=None):
    """A guest under QEMU while the body runs; yields the counter file, if there is a plugin."""
    machine.netdev = f"tap,fd={tap}"
    machine.address, machine.gateway = GUEST, HOST
    machine.extra = ()
    counter = None
    with tempfile.TemporaryDirectory(prefix="softnet-bench-") as directory:
        if plugin:
            counter = Path(directory) / "count"
            machine.extra = ("-plugin", f"{plugin},out={counter}")
        with open(log, "wb") as out:
            process = subprocess.Popen(machine.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, pass_fds=[tap])
        try:
            yield counter
            if process.poll() is not None:
                raise Failed(f"QEMU ended by itself, see {log}")
        finally:
            process.terminate()
            process.wait()


def client_run(client, window, seconds, counter):
    """One run of the client: (echoes, lost, seconds, instructions)."""
    done = run([client, GUEST, 7, window, seconds, 64, counter or "-"], "udp_window", capture_output=True, text=True)
    echoes, lost, taken, instructions = done.stdout.split()
    return int(echoes), int(lost), float(taken), int(instructions)


def wait_for_echo():
    """Until the echo server answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        sock.connect((GUEST, 7))
        for _ in range(100):
            try:
                sock.send(b"there?")
                sock.recv(100)
                return
            except OSError:
                time.sleep(0.1)
    raise Failed("the guest's echo server does not answer")


def measure(machine, name, client, plugin, seconds):
    """All figures of one kernel."""
    figures = {}
    tap = netns.open_tap(TAP, HOST)
    netns.ip("neigh", "replace", GUEST, "lladdr", MAC, "dev", TAP)  # the host's own ARP must not cost a second
    say(f"bench: {name}, with the instruction counter")
    with running(machine, tap, BUILD / "bench" / f"{name}-counted.log", plugin) as counter:
        replied = first_reply()
        total, at_entry, entered = struct.unpack("3Q", counter.read_bytes()[:24])
        figures["first ping reply, ms after kernel entry"] = (replied - entered) / 1e6
        figures["first ping reply, million instructions"] = (total - at_entry) / 1e6
        wait_for_echo()
        for window in WINDOWS:
            client_run(client, window, 1, counter)
            echoes, lost, _, instructions = client_run(client, window, seconds, counter)
            figures[f"instructions per echo, window {window}"] = instructions / max(echoes, 1)
            figures[f"lost, window {window}"] = lost
    say(f"bench: {name}, without it")
    with running(machine, tap, BUILD / "bench" / f"{name}.log"):
        first_reply()
        wait_for_echo()
        for window in WINDOWS:
            client_run(client, window, 1, None)
            echoes, lost, taken, _ = client_run(client, window, seconds, None)
            figures[f"echoes/s, window {window}"] = echoes / taken
            figures[f"lost, window {window}"] += lost
    os.close(tap)
    return figures


def show(results, heading):
    """The table: both figures and their ratio."""
    print(heading)
    print(f"{'':44} {'Softnet':>12} {'Linux':>12} {'ratio':>8}")
    for name, ours in results["softnet"].items():
        theirs = results["linux"][name]
        ratio = f"{ours / theirs:8.3f}" if theirs else f"{'-':>8}"
        print(f"{name:44} {ours:12,.1f} {theirs:12,.1f} {ratio}")


def start():
    """Build, measure, print."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("what", choices=["udp"], help="udp: echoes per second, instructions per echo, boot")
    parser.add_argument("--nic", choices=["igb", "igb-lite"], default="igb", help="NIC model of both guests (igb)")
    parser.add_argument("--smp", type=int, default=1, metavar="N", help="CPUs of both guests (1)")
    parser.add_argument("--seconds", type=float, default=5, help="length of each measurement (5)")
    parser.add_argument("--json", metavar="FILE", help="also write the figures there")
    options = parser.parse_args()
    build("qemu", "kernel", "rootfs", "linux")
    client, plugin = compile_tools()
    netns.enter_new()
    common = {"smp": options.smp, "nic": options.nic, "memory": "512M"}
    machines = {"linux": Machine(kernel=LINUX_KERNEL, initrd=LINUX_INITRD, append="quiet", **common),
                "softnet": Machine(kernel=KERNEL, initrd=ROOTFS, append="quiet", **common)}
    results = {name: measure(machine, name, client, plugin, options.seconds) for name, machine in machines.items()}
    version = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=False).stdout.split("\n")[0]
    show(results, f"{version}, TCG, {options.nic}, {options.smp} CPU, UDP echo of 64 bytes over TAP, {options.seconds:g} s each")
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(start)

# SPDX-License-Identifier: MIT
"""The second part of scripts/bench nic: the same Linux guest, Debian's, on igb-lite and on stock igb, over a TAP and over a socket
backend. Both guests run at the same time and are measured in turn, each first as often as the other, and with the real-time
scheduler where the machine allows it: so what else the machine does meets neither, and medians are close together.

Throughput is as the clients see it; CPU time is the QEMU process's; interrupts and packets are the guest's own counts (packets
those of the driver's queues, which count a segmented packet as its segments)."""

import contextlib
import re
import socket
import subprocess
import sys
import tempfile
import time

from . import netns
from .bench_common import LOGS, Table, compile_client, medians, qemu_version, real_time
from .paths import ROOT
from .shell import run, say

sys.path.append(str(ROOT / "tests" / "system"))  # the guest that judges the NIC, from the system tests
from linux_driver import LinuxGuest  # noqa: E402

NICS = ["igb-lite", "igb"]
BACKENDS = {"tap": "a TAP", "vnet": "a TAP with a vnet header",
            "socket": "QEMU's dgram backend on a Unix socket, and a pump from there to a TAP"}
SMALL = 64


class BenchGuest(LinuxGuest):
    """The judge's guest with one CPU and nothing that slows it: no capture, and a backend of our choice."""

    capture = False

    def __init__(self, nic, backend):
        self.kind, self.pump = backend, None
        self.vnet_hdr = backend == "vnet"
        super().__init__(tempfile.mkdtemp(prefix="softnet-bench-"), nic=nic, smp=1)

    def backend(self, tap):
        """TAP or socket."""
        if self.kind != "socket":
            return super().backend(tap)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        with open(LOGS / "tap_pump.log", "wb") as log:
            self.pump = subprocess.Popen([LOGS / "tap_pump", str(tap), str(ours.fileno())], stderr=log,
                                         pass_fds=[tap, ours.fileno()])
        ours.close()
        self.end = theirs
        return f"dgram,local.type=fd,local.str={theirs.fileno()}", [theirs.fileno()]

    def close(self):
        """The pump too."""
        super().close()
        if self.pump:
            self.pump.terminate()
            self.pump.wait()
            self.end.close()

    def cpu_seconds(self):
        """CPU time so far of the QEMU process."""
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def counts(self):
        """(packets, interrupts) so far, both directions, all queues."""
        packets = sum(value for name, value in self.statistics().items() if re.fullmatch(r"[rt]x_queue_\d+_packets", name))
        return packets, self.queue_interrupts()


def echo(window):
    """Small datagrams there and back, so many under way: what is per second."""
    def load(guest, client, seconds):
        done = run([client, guest.ip, 7, window, seconds, SMALL, "-"], "udp_window", capture_output=True, text=True)
        echoes, _, taken, _ = done.stdout.split()
        return int(echoes) / float(taken)
    return load


def stream(*words):
    """A measurement by iperf3: bits that arrived, in Mbit/s."""
    return lambda guest, client, seconds: guest.iperf("-t", seconds, *words)["end"]["sum_received"]["bits_per_second"] / 1e6


def datagrams(guest, client, seconds):
    """Small datagrams from the guest as fast as it can; returns how many arrive a second."""
    found = guest.iperf("-t", seconds, "-u", "-b", "0", "-l", SMALL, "-R")["end"]["sum"]
    return (found["packets"] - found["lost_packets"]) / found["seconds"]


CASES = {
    "UDP 64 B echo, 1 under way": ("echoes/s", echo(1)),
    "UDP 64 B echo, 32 under way": ("echoes/s", echo(32)),
    "UDP 64 B from the guest": ("datagrams/s", datagrams),
    "TCP to the guest": ("Mbit/s", stream()),
    "TCP from the guest": ("Mbit/s", stream("-R")),
}


def measure_once(guest, case, client, seconds):
    """One repetition: {unit: figure}."""
    unit, load = CASES[case]
    packets, interrupts = guest.counts()
    begin = guest.cpu_seconds()
    figures = {unit: load(guest, client, seconds)}
    used = guest.cpu_seconds() - begin
    after, more = guest.counts()
    count = max(after - packets, 1)
    figures["interrupts per packet"] = (more - interrupts) / count
    figures["host CPU per packet, us"] = used / count * 1e6
    return figures


def over(backend, client, repetitions, seconds, priority):
    """The table of one backend."""
    table = Table(f"\n{qemu_version()}, TCG, Debian's Linux, 1 CPU, over {BACKENDS[backend]}\n"
                  f"medians of {repetitions} repetitions of {seconds:g} s in turn, {priority}", NICS)
    with contextlib.ExitStack() as stack:
        guests = {}
        for nic in NICS:
            say(f"bench: Linux on {nic} over {backend}")
            guests[nic] = stack.enter_context(contextlib.closing(BenchGuest(nic, backend)))
            guests[nic].resolve()
            stack.enter_context(guests[nic].iperf_server())
        cases = {case: lambda guest, case=case: measure_once(guest, case, client, seconds) for case in CASES}
        medians(table, guests, cases, repetitions)
    return table


def measure(backends, repetitions, seconds):
    """The tables."""
    client = compile_client("udp_window")
    compile_client("tap_pump")
    netns.enter_new()
    priority = real_time()
    return [over(backend, client, repetitions, seconds, priority) for backend in backends]

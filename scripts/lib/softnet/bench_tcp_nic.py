# SPDX-License-Identifier: MIT
"""The second part of scripts/bench tcp: Softnet and Debian's Linux on the same NIC, over a TAP, with the host's TCP as the other end:
Debian's iperf3, unmodified, in the guest as server and as client, questions and answers one at a time, and whole connections. Both
guests run at the same time and are measured in turn, with the real-time scheduler where the machine allows it (bench_guest has the
same for two NICs). What is counted is counted by two more guests under a TCG plugin, instruction by instruction."""

import contextlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from . import netns
from .bench_common import COUNTED, LOGS, Table, compile_client, compile_counter, medians, qemu_version, real_time
from .paths import KERNEL, LINUX_INITRD, LINUX_KERNEL, ROOT, ROOTFS
from .qemu import Machine
from .shell import run, say

sys.path.append(str(ROOT / "tests" / "system"))  # a guest with a console and a TAP, from the system tests
import debian_tools  # noqa: E402
from guest import Guest  # noqa: E402

KERNELS = {"Softnet": (KERNEL, ROOTFS), "Linux": (LINUX_KERNEL, LINUX_INITRD)}
SIZE = 64
ECHO_PORT = 5007
MBYTE = 1 << 20


class TcpGuest(Guest):
    """One kernel with Debian's iperf3 and an echo server; counter: the plugin's file, or None."""

    capture = False
    host_program = "/usr/bin/iperf3"  # Debian's, on this machine

    def __init__(self, name, nic, smp, plugin=None):
        kernel, initrd = KERNELS[name]
        directory = Path(tempfile.mkdtemp(prefix="softnet-bench-"))
        self.counter = directory / "count" if plugin else None
        words = "quiet" if name == "Softnet" else "quiet ipv6.disable=1 net.ifnames=0"
        super().__init__(Machine(kernel=kernel, initrd=debian_tools.initramfs(directory, [self.host_program], initrd), nic=nic, smp=smp,
                                 memory="512M", append=words, extra=("-plugin", f"{plugin},out={self.counter}") if plugin else ()))

    def instructions(self):
        """Executed so far by all CPUs; 0 without the plugin."""
        return int.from_bytes(self.counter.read_bytes()[:8], "little") if self.counter else 0

    def rounds(self, client, what, seconds):
        """tcp_rounds: (how many, seconds, instructions)."""
        done = run([client, what, self.ip, ECHO_PORT, seconds, SIZE, self.counter or "-"], "tcp_rounds", capture_output=True, text=True)
        count, taken, instructions = done.stdout.split()
        return int(count), float(taken), int(instructions)

    def own_iperf(self, *words):
        """iperf3's client in the guest against the host's server: its report."""
        with subprocess.Popen(["iperf3", "-s", "-1", "-B", self.host_ip, "--forceflush"], stdout=subprocess.PIPE, text=True) as server:
            for line in server.stdout:
                if "listening" in line:
                    break
            self.sh(f"{self.iperf_program} -J -c {self.host_ip} {' '.join(map(str, words))} > /tmp/iperf.json", 60)
            server.communicate()
        return json.loads(self.cat("/tmp/iperf.json"))


def arrived(report):
    """(bytes that iperf3's receiver got, Mbit/s)."""
    found = report["end"]["sum_received"]
    return found["bytes"], found["bits_per_second"] / 1e6


@contextlib.contextmanager
def running(nic, smp, plugin=None):
    """Both guests with their servers while the body runs: {name: guest}."""
    with contextlib.ExitStack() as stack:
        guests = {}
        for name in KERNELS:
            say(f"bench: {name}{', counted' if plugin else ''}")
            guest = guests[name] = stack.enter_context(contextlib.closing(TcpGuest(name, nic, smp, plugin)))
            guest.resolve()
            stack.enter_context(guest.iperf_server())
            stack.enter_context(guest.background(f"/bin/tcpecho epoll {ECHO_PORT}"))
        yield guests


def rates(client, seconds):
    """What is measured by the clock: {name: function of a guest that gives {unit: figure}}."""
    def stream(run_once, *words):
        return lambda guest: {"Mbit/s": arrived(run_once(guest, "-t", seconds, *words))[1]}

    def rounds(what):
        def load(guest):
            count, taken, _ = guest.rounds(client, what, seconds)
            return {"/s": count / taken}
        return load
    return {
        "iperf3 to the guest's server": stream(TcpGuest.iperf),
        "iperf3 from the guest's server": stream(TcpGuest.iperf, "-R"),
        "iperf3 from the guest's client": stream(TcpGuest.own_iperf),
        "iperf3 to the guest's client": stream(TcpGuest.own_iperf, "-R"),
        f"round trips of {SIZE} bytes, one at a time": rounds("rounds"),
        "connections opened, accepted, used, closed": rounds("connects"),
    }


def costs(client, seconds):
    """What is counted: the same in instructions."""
    def stream(*words):
        def load(guest):
            before = guest.instructions()
            count, _ = arrived(guest.iperf("-t", seconds, *words))
            return {"instructions": (guest.instructions() - before) / (count / MBYTE)}
        return load

    def rounds(what):
        def load(guest):
            count, _, instructions = guest.rounds(client, what, seconds)
            return {"instructions": instructions / count}
        return load
    return {
        "a MByte to the guest": stream(),
        "a MByte from the guest": stream("-R"),
        "a round trip": rounds("rounds"),
        "a connection": rounds("connects"),
    }


def measure(options):
    """The table."""
    LOGS.mkdir(parents=True, exist_ok=True)
    client, plugin = compile_client("tcp_rounds"), compile_counter()
    netns.enter_new()
    # So that closed connections, which wait on the client's side, do not use up its ports.
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("1024 65000")
    Path("/proc/sys/net/ipv4/tcp_tw_reuse").write_text("1")
    priority = real_time()
    table = Table(f"\n{qemu_version()}, TCG, {options.nic}, {options.smp} CPU, over a TAP\n"
                  f"medians of {options.repetitions} repetitions of {options.seconds} s in turn, {priority}", list(KERNELS))
    with running(options.nic, options.smp) as guests:
        medians(table, guests, rates(client, options.seconds), options.repetitions)
    with running(options.nic, options.smp, plugin) as guests:
        medians(table, guests, costs(client, options.seconds), COUNTED)
    return table

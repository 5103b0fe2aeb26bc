# SPDX-License-Identifier: MIT
"""scripts/run: builds what is missing, boots Softnet on its NIC, leaves you at its console."""

import argparse
import os
import shlex
import socket
import sys

from . import netns, servers
from .build import build
from .paths import BUILD, DEBUG_KERNEL, KERNEL, QEMU, ROOTFS
from .qemu import Machine
from .shell import Failed, main, say

TAP_NAME = "softnet0"
DEFAULT_MEMORY = "256M"
SERVICES = "telnet,http"  # that init starts; with --servers nginx has the port of http
STREAM_PORTS = {23: 2323, 80: 8080, 6379: 16379}  # of the guest: the port of 127.0.0.1 that is forwarded to it, if it is free


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/run", description="Boots Softnet under QEMU, on igb-lite.",
                                     epilog="In the console: Ctrl-a x ends QEMU, Ctrl-a c is QEMU's monitor.")
    parser.add_argument("--smp", type=int, default=2, metavar="N", help="CPUs (2)")
    parser.add_argument("--memory", default=DEFAULT_MEMORY, metavar="SIZE", help="memory (256M)")
    parser.add_argument("--net", choices=["user", "tap"], default="user",
                        help="user: through QEMU's own NAT, with forwarded ports; tap: a network namespace of its own")
    parser.add_argument("--nic", choices=["igb-lite", "igb"], default="igb-lite", help="the NIC model (igb-lite)")
    parser.add_argument("--pcap", metavar="FILE", help="keep every frame in FILE")
    parser.add_argument("--gdb", action="store_true", help="wait for gdb on port 1234 before the first instruction")
    parser.add_argument("--debug", action="store_true", help="the kernel with checks and test hooks")
    parser.add_argument("--accel", choices=["tcg", "kvm"], default="tcg", help="how QEMU runs the guest (tcg)")
    parser.add_argument("--kernel", metavar="FILE", help="another kernel (a stock Linux, for instance)")
    parser.add_argument("--initrd", metavar="FILE", help="another initramfs")
    parser.add_argument("--servers", action="store_true",
                        help="Debian's redis-server, memcached, nginx, iperf3 and python3 in the initramfs, and 512 MB of memory")
    parser.add_argument("--append", default="", metavar="WORDS", help="more words for the kernel command line")
    parser.add_argument("--dry-run", action="store_true", help="only print the QEMU command")
    options = parser.parse_args()
    if not 1 <= options.smp <= 255:
        parser.error("--smp must be between 1 and 255")
    return options


def free_port(kind, wanted):
    """The first port from `wanted` on that is free on 127.0.0.1."""
    for port in range(wanted, wanted + 100):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise Failed(f"no free port from {wanted} to {wanted + 99} on 127.0.0.1")


def use_user_net(machine):
    """QEMU's NAT with ports of 127.0.0.1 forwarded to the guest."""
    echo = free_port(socket.SOCK_DGRAM, 10007)
    streams = {guest: free_port(socket.SOCK_STREAM, host) for guest, host in STREAM_PORTS.items()}
    machine.address, machine.gateway = "10.0.2.15", "10.0.2.2"
    machine.netdev = f"user,net=10.0.2.0/24,hostfwd=udp:127.0.0.1:{echo}-:7" + \
        "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{guest}" for guest, host in streams.items())
    return [f"UDP echo: 127.0.0.1:{echo}   try: python3 -c \"import socket;s=socket.socket(2,2);s.settimeout(2);"
            f"s.sendto(b'hello',('127.0.0.1',{echo}));print(s.recv(99))\"",
            f"a shell: telnet 127.0.0.1 {streams[23]}   a page: curl http://127.0.0.1:{streams[80]}/",
            "TCP: " + ", ".join(f"127.0.0.1:{host} is the guest's port {guest}" for guest, host in streams.items()),
            "QEMU's NAT does not pass pings on: use --net tap for ping"]


def use_tap(machine, dry):
    """A namespace with a TAP device; the descriptor goes to QEMU."""
    if dry:
        machine.netdev = "tap,fd=3"
        return []
    rootless = os.getuid() != 0
    netns.enter_new()
    machine.netdev = f"tap,fd={netns.open_tap(TAP_NAME, machine.gateway)}"
    enter = f"nsenter {'-U --preserve-credentials ' if rootless else ''}-n -t {os.getpid()}"
    return [f"the guest is {machine.address} in a network namespace of its own; from another terminal:",
            f"  {enter} ping {machine.address}",
            f"  {enter} {sys.executable} -c \"import socket;s=socket.socket(2,2);s.settimeout(2);"
            f"s.sendto(b'hello',('{machine.address}',7));print(s.recv(99))\"",
            f"  {enter} bash"]


def prepare(options):
    """Build what the options need and is missing or out of date."""
    if options.dry_run:
        return
    if not os.environ.get("SOFTNET_QEMU"):
        build("qemu")
    if not options.kernel:
        build("debug" if options.debug else "kernel")
    if not options.initrd:
        build("rootfs")
    if options.servers:
        build("servers")
        options.initrd = BUILD / "servers.cpio"
        options.initrd.write_bytes(servers.initramfs())
        options.memory = "512M" if options.memory == DEFAULT_MEMORY else options.memory
    for name in filter(None, (options.kernel, options.initrd)):
        if not os.access(name, os.R_OK):
            raise Failed(f"cannot read {name}")
    if options.accel == "kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise Failed("no access to /dev/kvm: use --accel tcg, or add this user to the group kvm")


def start():
    """Build, then become QEMU."""
    options = parse()
    prepare(options)
    machine = Machine(
        kernel=options.kernel or (DEBUG_KERNEL if options.debug else KERNEL), initrd=options.initrd or ROOTFS,
        smp=options.smp, memory=options.memory, accel=options.accel, nic=options.nic,
        append=f"services={'telnet' if options.servers else SERVICES} {options.append}".strip(),
        pcap=options.pcap or "", serial="mon:stdio" if sys.stdin.isatty() else "stdio")
    hints = use_user_net(machine) if options.net == "user" else use_tap(machine, options.dry_run)
    if options.gdb:
        machine.extra += ("-s", "-S")
        hints.append(f"waiting for: gdb {machine.kernel} -ex 'target remote :1234'")
    command = machine.command()
    if options.dry_run:
        print(shlex.join(command))
        return
    for line in hints:
        say(line)
    os.execv(QEMU, command)


if __name__ == "__main__":
    main(start)

# SPDX-License-Identifier: MIT
"""One echo server in every shape (userland/tcpecho): what each costs in tasks, system calls, switches and memory for the same clients."""

import contextlib
import re
import select
import socket
import sys
import time

from . import netns
from .bench_common import Table, qemu_version
from .build import build
from .paths import KERNEL, LINUX_INITRD, LINUX_KERNEL, ROOT, ROOTFS
from .shell import Failed, say

SHAPES = ("fork", "thread", "select", "poll", "epoll", "epoll-et", "reuseport", "shared", "exclusive")
PORT = 6500
SIZE = 64
PATIENCE = 240  # seconds for one answer


class Clients:
    """Connections of the host's to an echo server of the guest's; end them with close()."""

    def __init__(self, ip, port, count):
        self.socks = []
        for _ in range(count):
            sock = socket.create_connection((ip, port), PATIENCE)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socks.append(sock)

    def send(self):
        """A request on every connection."""
        for sock in self.socks:
            sock.sendall(b"?" * SIZE)

    def receive(self):
        """Every answer, whole."""
        for sock in self.socks:
            left = SIZE
            while left:
                if not select.select([sock], [], [], PATIENCE)[0]:
                    raise Failed("the echo server does not answer")
                got = sock.recv(left)
                if not got:
                    raise Failed("the echo server has closed a connection")
                left -= len(got)

    def rounds(self, count):
        """So many times a request on every connection at once, and all answers."""
        for _ in range(count):
            self.send()
            self.receive()

    def close(self):
        """All connections."""
        for sock in self.socks:
            sock.close()


@contextlib.contextmanager
def serving(guest, shape, port=PORT, reactors=2):
    """A server of this shape in the guest while the body runs."""
    with guest.background(f"tcpecho {shape} {port} {reactors}", ready=rf"listening {port}") as job:
        yield job


def ended(guest, job):
    """End it, all connections being closed; what it says that it has done."""
    guest.sh(f"kill -15 {job.pid}")
    found = job.wait_for(r"served (.*)", PATIENCE).group(1)
    return {name: int(figure) for name, figure in re.findall(r"(\w+)=(\d+)", found)}


def free_memory(guest):
    """KiB that nobody uses."""
    return int(re.search(r"^MemFree:\s+(\d+)", guest.cat("/proc/meminfo"), re.M).group(1))


def measure_shape(guest, shape, connections, rounds, port=PORT):
    """One shape under that load: {column: figure}."""
    with serving(guest, shape, port) as job:
        before = free_memory(guest)
        clients = Clients(guest.ip, port, connections)
        try:
            clients.rounds(1)
            memory = before - free_memory(guest)
            clients.rounds(rounds - 1)
        finally:
            clients.close()
        found = ended(guest, job)
    requests = max(found["requests"], 1)
    return {"tasks": found["tasks"], "KiB": max(memory, 0), "requests": found["requests"],
            "calls/request": found["calls"] / requests, "requests/wait": requests / max(found["waits"], 1),
            "wake-ups/request": found["voluntary"] / requests,
            "switches/request": (found["voluntary"] + found["preempted"]) / requests}


def table_of(guest, name, connections, rounds, shapes=SHAPES):
    """All shapes in one guest."""
    columns = ["tasks", "KiB", "requests", "calls/request", "requests/wait", "wake-ups/request", "switches/request"]
    table = Table(f"\n{name}: {connections} connections, {rounds} requests on each, all at once; KiB: memory that they took", columns)
    for port, shape in enumerate(shapes, PORT):
        for column, figure in measure_shape(guest, shape, connections, rounds, port).items():
            table.note(shape, column, figure)
    return table


def measure(options):
    """The tables of both kernels."""
    build("qemu", "kernel", "rootfs", "linux")
    sys.path.append(str(ROOT / "tests" / "system"))
    netns.enter_new()
    from guest import Guest  # the system tests'; its packet library must come after the namespace
    tables = []
    for name, kernel, initrd in (("Softnet", KERNEL, ROOTFS), ("Linux", LINUX_KERNEL, LINUX_INITRD)):
        say(f"bench: {name}, every shape of the echo server")
        with contextlib.closing(Guest(kernel=kernel, initrd=initrd, nic="igb", memory="512M", smp=2)) as guest:
            end = time.monotonic() + PATIENCE
            while not guest.ping(1, timeout=1):
                if time.monotonic() > end:
                    raise Failed(f"{name} does not answer pings")
            tables.append(table_of(guest, f"{name}, {qemu_version()}, TCG, igb over TAP, 2 CPUs", options.connections, options.rounds))
    return tables

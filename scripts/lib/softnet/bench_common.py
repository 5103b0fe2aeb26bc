# SPDX-License-Identifier: MIT
"""What the benches share: a guest behind a TAP, the helper programs of tests/bench, and the tables that they print."""

import contextlib
import os
import re
import select
import socket
import statistics
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from .build import build
from .cpio import Archive
from .paths import BUILD, KERNEL, LINUX_KERNEL, OUT, QEMU, ROOT
from .qemu import Machine
from .shell import Failed, run, say

HOST, GUEST = "10.9.0.1", "10.9.0.2"
TAP = "bench0"
LOGS = BUILD / "bench"
SOURCES = ROOT / "tests" / "bench"
PING_EVERY = 0.005
BOOT_LIMIT = 120
COUNTED = 3  # repetitions of what is counted, not timed


class Table:
    """Figures by name (rows) and side (columns), in the order in which they were noted; with two columns their ratio too."""

    def __init__(self, heading, columns):
        self.heading, self.columns, self.rows = heading, list(columns), {}

    def note(self, name, column, figure):
        """Enter one figure."""
        self.rows.setdefault(name, {})[column] = figure

    def add(self, name, column, figure):
        """Add to a figure, which starts from 0."""
        row = self.rows.setdefault(name, {})
        row[column] = row.get(column, 0) + figure

    def show(self):
        """Print it."""
        two = len(self.columns) == 2
        width = max([44, *map(len, self.rows)])
        print(self.heading)
        print(" " * width + "".join(f" {name:>12}" for name in self.columns) + (f" {'ratio':>8}" if two else ""))
        for name, row in self.rows.items():
            figures = [row.get(column) for column in self.columns]
            line = f"{name:{width}}" + "".join(f" {written(figure):>12}" for figure in figures)
            if two:
                line += f" {figures[0] / figures[1]:8.3f}" if all(figures) else f" {'-':>8}"
            print(line)

    def as_dict(self):
        """The same for --json."""
        return {"heading": self.heading, "figures": self.rows}


def written(figure):
    """A figure with as many decimals as are worth reading."""
    if figure is None:
        return "-"
    return f"{figure:,.{1 if abs(figure) >= 10 or not figure else 3}f}"


def in_turn(sides, load, repetitions):
    """What load(side) gives, a dict of figures: of each name and side the median, the sides being measured in turn and each first as
    often as the other: {name: {side's name: median}}."""
    found = {}
    for number in range(repetitions):
        for name in list(sides)[::-1 if number % 2 else 1]:
            for unit, figure in load(sides[name]).items():
                found.setdefault(unit, {}).setdefault(name, []).append(figure)
    return {unit: {name: statistics.median(figures) for name, figures in row.items()} for unit, row in found.items()}


def medians(table, sides, cases, repetitions):
    """Into the table what each case, {name: load}, gives in_turn()."""
    for case, load in cases.items():
        say(f"bench: {case}")
        for unit, row in in_turn(sides, load, repetitions).items():
            for side, figure in row.items():
                table.note(f"{case}: {unit}", side, figure)


def qemu_version():
    """The first line of QEMU's --version."""
    return subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=False).stdout.split("\n")[0]


def compile_client(name, *flags, cc="cc"):
    """A program of tests/bench, into build/bench; returns its path. flags: -static for one that runs in the guest too."""
    LOGS.mkdir(parents=True, exist_ok=True)
    run([cc, "-O2", "-Wall", "-Wextra", "-Werror", *flags, SOURCES / f"{name}.c", "-o", LOGS / name], f"compiling {name}")
    return LOGS / name


def program_archive(name, *flags):
    """An initramfs in which a program of tests/bench is everything: /init. Static musl, so that both kernels run the same bytes."""
    program = compile_client(name, "-static", *flags, cc="musl-gcc")
    archive = Archive()
    archive.directory("dev")
    archive.character_device("dev/console", 5, 1)
    archive.character_device("dev/null", 1, 3)
    archive.character_device("dev/zero", 1, 5)
    archive.file("init", program.read_bytes(), 0o755)
    path = LOGS / f"{name}.cpio"
    path.write_bytes(archive.bytes())
    return path


def guest_figures(machine, log, limit=600):
    """Boot such an archive under -icount; what the program printed: {name: figure}. `limit`: seconds."""
    machine.extra = ("-icount", "shift=0,sleep=off")
    words = [word.replace("thread=multi", "thread=single") for word in machine.command()]
    log = LOGS / f"{log}.log"
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired as error:
        log.write_bytes(error.stdout or b"")
        raise Failed(f"the guest did not finish within {limit} s, see {log}") from error
    log.write_bytes(done.stdout + done.stderr)
    text = done.stdout.decode(errors="replace")
    figures = {key: float(value) for key, value in re.findall(r"^cost (.+) ([\d.]+)\r*$", text, re.M)}
    if not re.search(r"^done\r*$", text, re.M):
        raise Failed(f"the guest did not finish, see {log}")
    return figures


def costs_of_both(archive, memory):
    """The table of guest_figures() of both kernels, one after the other: the result is the same on every run."""
    build("kernel", "linux")
    table = Table(f"{qemu_version()}, TCG, -icount shift=0,sleep=off, 1 CPU: guest instructions", ["Softnet", "Linux"])
    for name, kernel in (("Softnet", KERNEL), ("Linux", LINUX_KERNEL)):
        say(f"bench: {name}")
        machine = Machine(kernel=kernel, initrd=archive, memory=memory, append="quiet loglevel=0 panic=-1")
        for key, value in guest_figures(machine, f"{archive.stem}-{name}").items():
            table.note(key, name, value)
    return table


def compile_counter():
    """The TCG plugin that counts instructions; returns its path."""
    LOGS.mkdir(parents=True, exist_ok=True)
    glib = subprocess.run(["pkg-config", "--cflags", "glib-2.0"], capture_output=True, text=True, check=False).stdout.split()
    plugin = LOGS / "insn_counter.so"
    run(["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-I", OUT / "qemu" / "include", *glib,
         SOURCES / "insn_counter.c", "-o", plugin], "compiling insn_counter")
    return plugin


def real_time():
    """Put this process, and what it starts, before all that is not real-time, if the machine allows that; returns words for the
    table's heading."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        return "no real-time priority: other load counts"
    return "real-time"


@contextlib.contextmanager
def running(machine, tap, log, plugin=None):
    """A guest under QEMU while the body runs, on the open TAP; yields the counter file, if there is a plugin."""
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


def wait_for_echo():
    """Until the guest's UDP echo server answers."""
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

# SPDX-License-Identifier: MIT
"""The part "servers" of scripts/bench epoll: Debian's Redis and nginx, unmodified, on Softnet and on Debian's Linux, with the same NIC
over a TAP and with redis-benchmark and wrk on the host. Both guests run at the same time and are measured in turn; what a request
costs in instructions is counted by two more guests under a TCG plugin."""

import contextlib
import csv
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

from . import netns, servers
from .bench_common import LOGS, Table, compile_counter, qemu_version, real_time
from .bench_tcp_nic import COUNTED, in_turn, medians
from .build import build
from .paths import KERNEL, LINUX_KERNEL, ROOT
from .qemu import Machine
from .shell import Failed, run, say

sys.path.append(str(ROOT / "tests" / "system"))  # a guest with a console and a TAP, from the system tests
from guest import Guest  # noqa: E402

KERNELS = {"Softnet": KERNEL, "Linux": LINUX_KERNEL}
REDIS = "/usr/bin/redis-server --bind 0.0.0.0 --protected-mode no --save '' --tcp-backlog 4096 --dir /tmp --logfile /tmp/redis.log"
NGINX = "/usr/sbin/nginx -c /srv/nginx.conf -g 'daemon off;'"
# Of redis-benchmark: words, and how many requests make it worth while.
LOADS = {"20 connections": (["-c", "20"], 20_000), "1,000 connections": (["-c", "1000"], 20_000),
         "20 connections, 16 at a time": (["-c", "20", "-P", "16"], 100_000)}
COUNTED_PART = 4  # of the requests, where instructions are counted
PAGE_CONNECTIONS = 20
UNITS = ("requests/s", "p50, ms", "p99, ms")


class ServerGuest(Guest):
    """One kernel with Debian's servers; counter: the plugin's file, or None."""

    capture = False

    def __init__(self, name, smp, plugin=None):
        directory = Path(tempfile.mkdtemp(prefix="softnet-bench-"))
        (directory / "initrd.cpio").write_bytes(servers.initramfs(name == "Linux"))
        self.counter = directory / "count" if plugin else None
        super().__init__(Machine(kernel=KERNELS[name], initrd=directory / "initrd.cpio", nic="igb", smp=smp, memory="512M",
                                 append="quiet" if name == "Softnet" else "quiet ipv6.disable=1 net.ifnames=0",
                                 extra=("-plugin", f"{plugin},out={self.counter}") if plugin else ()))
        self.sh("busybox mkdir /tmp/www; echo a small page > /tmp/www/index.html; echo 4096 > /proc/sys/net/core/somaxconn")

    def instructions(self):
        """Executed so far by all CPUs."""
        return int.from_bytes(self.counter.read_bytes()[:8], "little")

    def redis(self, test, load, part=1):
        """redis-benchmark: (requests/s, p50 in ms, p99 in ms, instructions per request or None)."""
        words, requests = LOADS[load]
        before = self.instructions() if self.counter else 0
        done = run(["redis-benchmark", "-h", self.ip, "--csv", "-t", test, "-n", requests // part, *words], "redis-benchmark",
                   capture_output=True, text=True)
        found = list(csv.DictReader(done.stdout.splitlines()))[-1]
        cost = (self.instructions() - before) / (requests // part) if self.counter else None
        return float(found["rps"]), float(found["p50_latency_ms"]), float(found["p99_latency_ms"]), cost

    def page(self, seconds):
        """wrk: the same of nginx's small page."""
        before = self.instructions() if self.counter else 0
        done = run(["wrk", "-t", "1", "-c", PAGE_CONNECTIONS, "-d", seconds, "--latency", "--timeout", "60", f"http://{self.ip}/"], "wrk",
                   capture_output=True, text=True)
        if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
            raise Failed(f"wrk has met errors:\n{done.stdout}")
        units = {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}
        latency = {share: float(figure) * units[unit]
                   for share, figure, unit in re.findall(r"^ +(50|99)% +([\d.]+)(us|ms|s|m)$", done.stdout, re.M)}
        requests = int(re.search(r"(\d+) requests in", done.stdout).group(1))
        cost = (self.instructions() - before) / requests if self.counter else None
        return float(re.search(r"Requests/sec: +([\d.]+)", done.stdout).group(1)), latency["50"], latency["99"], cost


@contextlib.contextmanager
def running(smp, plugin=None):
    """Both guests with both servers while the body runs: {name: guest}."""
    with contextlib.ExitStack() as stack:
        guests = {}
        for name in KERNELS:
            say(f"bench: {name}{', counted' if plugin else ''}")
            guest = guests[name] = stack.enter_context(contextlib.closing(ServerGuest(name, smp, plugin)))
            guest.resolve()
            stack.enter_context(guest.background(REDIS))
            stack.enter_context(guest.background(NGINX))
            deadline = time.monotonic() + 120
            while not all(re.search(rf":{port:04X} 00000000:0000 0A", guest.cat("/proc/net/tcp")) for port in (80, 6379)):
                if time.monotonic() > deadline:
                    raise Failed(f"{name}'s servers do not listen")
                time.sleep(0.2)
        yield guests


def timed(seconds):
    """What is measured by the clock: {name: function of a guest that gives (requests/s, p50, p99, …)}."""
    cases = {f"Redis {test.upper()}, {load}": lambda guest, test=test, load=load: guest.redis(test, load)
             for load in LOADS for test in ("get", "set")}
    cases[f"nginx, small page, {PAGE_CONNECTIONS} connections"] = lambda guest: guest.page(seconds)
    return cases


def counted():
    """What is counted in instructions: {name: function of a guest}."""
    cases = {f"Redis {test.upper()}, {load}: instructions": lambda guest, test=test, load=load: guest.redis(test, load, COUNTED_PART)[3]
             for load in LOADS for test in ("get", "set")}
    cases[f"nginx, small page, {PAGE_CONNECTIONS} connections: instructions"] = lambda guest: guest.page(1)[3]
    return cases


def measure(options):
    """Two tables: rates with latencies, and instructions per request."""
    build("qemu", "kernel", "rootfs", "linux", "servers")
    LOGS.mkdir(parents=True, exist_ok=True)
    plugin = compile_counter()
    netns.enter_new()
    priority = real_time()
    heading = f"\n{qemu_version()}, TCG, igb, {options.smp} CPU, over a TAP"
    rates = Table(f"{heading}: Debian's redis-server and nginx\n"
                  f"medians of {options.repetitions} repetitions in turn, {priority}", list(KERNELS))
    with running(options.smp) as guests:
        for name, load in timed(options.seconds).items():
            say(f"bench: {name}")
            for kernel, figures in in_turn(guests, load, options.repetitions).items():
                for unit, column in zip(UNITS, zip(*figures)):
                    rates.note(f"{name}: {unit}", kernel, statistics.median(column))
    costs = Table(f"{heading}: guest instructions per request, all CPUs; medians of {COUNTED}", list(KERNELS))
    with running(options.smp, plugin) as guests:
        medians(costs, guests, counted(), COUNTED)
    return [rates, costs]

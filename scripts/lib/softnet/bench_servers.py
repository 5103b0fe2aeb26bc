# SPDX-License-Identifier: MIT
"""The part "servers" of scripts/bench epoll: Debian's Redis and nginx, unmodified, on Softnet and on Debian's Linux, with the same NIC
over a TAP and with redis-benchmark and wrk on the host. Both guests run at the same time and are measured in turn; what a request
costs in instructions is counted by two more guests under a TCG plugin."""

import contextlib
import csv
import re
import sys
import tempfile
import time
from pathlib import Path

from . import netns, servers
from .bench_common import COUNTED, LOGS, Table, compile_counter, medians, qemu_version, real_time
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

    def redis(self, test, load):
        """redis-benchmark: {unit: figure}; with the counter fewer requests, and only instructions."""
        words, requests = LOADS[load]
        requests //= COUNTED_PART if self.counter else 1
        before = self.counter and self.instructions()
        done = run(["redis-benchmark", "-h", self.ip, "--csv", "-t", test, "-n", requests, *words], "redis-benchmark",
                   capture_output=True, text=True)
        if self.counter:
            return {"instructions": (self.instructions() - before) / requests}
        found = list(csv.DictReader(done.stdout.splitlines()))[-1]
        return {"requests/s": float(found["rps"]), "p50, ms": float(found["p50_latency_ms"]), "p99, ms": float(found["p99_latency_ms"])}

    def page(self, seconds):
        """wrk: the same of nginx's small page; with the counter for one second."""
        before = self.counter and self.instructions()
        done = run(["wrk", "-t", "1", "-c", PAGE_CONNECTIONS, "-d", 1 if self.counter else seconds, "--latency", "--timeout", "60",
                    f"http://{self.ip}/"], "wrk", capture_output=True, text=True)
        if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
            raise Failed(f"wrk has met errors:\n{done.stdout}")
        if self.counter:
            return {"instructions": (self.instructions() - before) / int(re.search(r"(\d+) requests in", done.stdout).group(1))}
        units = {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}
        latency = {share: float(figure) * units[unit]
                   for share, figure, unit in re.findall(r"^ +(50|99)% +([\d.]+)(us|ms|s|m)$", done.stdout, re.M)}
        return {"requests/s": float(re.search(r"Requests/sec: +([\d.]+)", done.stdout).group(1)), "p50, ms": latency["50"],
                "p99, ms": latency["99"]}


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


def loads(seconds):
    """{name: function of a guest that gives {unit: figure}}."""
    cases = {f"Redis {test.upper()}, {load}": lambda guest, test=test, load=load: guest.redis(test, load)
             for load in LOADS for test in ("get", "set")}
    cases[f"nginx, small page, {PAGE_CONNECTIONS} connections"] = lambda guest: guest.page(seconds)
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
        medians(rates, guests, loads(options.seconds), options.repetitions)
    costs = Table(f"{heading}: guest instructions per request, all CPUs; medians of {COUNTED}", list(KERNELS))
    with running(options.smp, plugin) as guests:
        medians(costs, guests, loads(options.seconds), COUNTED)
    return [rates, costs]

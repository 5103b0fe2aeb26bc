# SPDX-License-Identifier: MIT
"""Redis's own test suite, from Debian's source package, run by tclsh on this machine against Debian's redis-server in a guest."""

import contextlib
import re
import shutil
import subprocess
from pathlib import Path

from patience import until
from softnet import debian, paths, servers

LIST = Path(__file__).parent / "judges" / "redis.txt"
SERVER = ("/usr/bin/redis-server --bind 0.0.0.0 --protected-mode no --save '' --dir /tmp --logfile /tmp/redis.log "
          "--enable-protected-configs yes --enable-debug-command yes --enable-module-command yes")
LIMIT = 1200  # seconds


def listed():
    """(units, names of cases to leave out) of judges/redis.txt."""
    lines = [line for line in LIST.read_text().splitlines() if line and not line.startswith("#")]
    return [line for line in lines if not line.startswith("- ")], [line[2:] for line in lines if line.startswith("- ")]


def prepare(directory, kind):
    """The suite in a directory that it may write to, with redis-cli and redis-benchmark where it looks for them, and the initramfs."""
    source = debian.source("redis")
    shutil.copytree(source / "tests", directory / "tests")
    shutil.copy(source / "redis.conf", directory)
    (directory / "src").mkdir()
    for name in ("redis-cli", "redis-benchmark"):
        (directory / "src" / name).symlink_to(shutil.which(name))
    (directory / "initrd.cpio").write_bytes(servers.initramfs(kind == "linux"))


def verdicts(log, units):
    """{unit: {test: passed}}; a name that comes twice must pass both times. And the units that came to no end."""
    found, unit, endless = {unit: {} for unit in units}, "", set(units)
    for line in re.sub(r"\x1b\[[0-9;]*m", "", log).splitlines():
        if match := re.match(r"Testing (\S+)$", line):
            unit = match.group(1)
        elif match := re.match(r"\[\d+/\d+ done\]: (\S+) ", line):
            endless.discard(match.group(1))
        elif match := re.match(r"\[(ok|err|exception|timeout)\]: (.*?)(?: \(\d+ ms\)| in tests/\S+)?$", line):
            name = f"{unit}: {match.group(2)}"
            of_unit = found.setdefault(unit, {})
            of_unit[name] = of_unit.get(name, True) and match.group(1) == "ok"
    return found, endless


def ask(guest, directory, units, left_out):
    """One run of some units: its output."""
    words = [word for name in left_out for word in ("--skiptest", name)] + [word for unit in units for word in ("--single", unit)]
    with open(directory / "suite.log", "w+", errors="replace") as log, contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(["tclsh", "tests/test_helper.tcl", "--host", guest.ip, "--port", "6379", "--durable", "--tags", "-slow -needs:repl",
                        *words], cwd=directory, stdout=log, stderr=subprocess.STDOUT, timeout=LIMIT, check=False)
    return (directory / "suite.log").read_text(errors="replace")


def run(kind, directory, units, left_out):
    """Boot Softnet or Linux, run some units of a prepared suite: ({unit: {case: passed}}, units without an end, the suite's output,
    trouble of the kernel). The guest has one CPU, as many cases send by one connection and then by another and expect the server to see
    it in that order. Some race with the clock all the same."""
    from guest import Guest  # scapy is slow to import: only when needed
    options = {"kernel": paths.LINUX_KERNEL, "nic": "igb"} if kind == "linux" else {}
    guest = Guest(initrd=directory / "initrd.cpio", smp=1, memory="512M", **options)
    try:
        with guest.background(SERVER):
            ping = ["redis-cli", "-h", guest.ip, "ping"]
            until(lambda: subprocess.run(ping, capture_output=True, check=False).stdout == b"PONG\n",
                  lambda: f"Redis answers: {guest.console.text[-2000:]}")
            text = ask(guest, directory, units, left_out)
        return *verdicts(text, units), text, list(filter(None, [guest.console.trouble()]))
    finally:
        guest.close()

# SPDX-License-Identifier: MIT
"""Runs the same cases from the same initramfs on two kernels: Softnet and the stock Linux guest.

The guest's side is tests/system/guest/caserunner.c, started as process 1. A kernel that dies or hangs in a case loses that
case only: the remaining ones run after another boot. Results of Linux are kept in build/differential by a hash of all that
can change them, so that a second run asks it nothing."""

import dataclasses
import hashlib
import json
import os
import re
import select
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from console import PANIC
from softnet import linux_guest, paths
from softnet.cpio import Archive
from softnet.qemu import Machine

RUNNER = "/test/caserunner"
BOOT_SECONDS = 600  # until the first case begins, on a loaded machine
GRACE_SECONDS = 120  # what the guest may be late to report a timeout
STORE = paths.BUILD / "differential"


@dataclasses.dataclass(frozen=True)
class Case:
    """One command. `words` is what the guest executes (no shell in between unless it is one of the words)."""

    name: str
    words: tuple
    seconds: int = 20


@dataclasses.dataclass
class Result:
    """How a case ended ("exit 0", "signal 11", "timeout", "died" with the whole guest) and what it wrote (stdout and stderr)."""

    end: str
    output: str

    def __str__(self):
        return f"{self.output}[{self.end}]"


def shell_case(name, script, seconds=20, shell="/bin/busybox"):
    """A case that is a script of busybox's shell, or of another one."""
    words = (shell, "sh", "-c", script) if shell.endswith("busybox") else (shell, "-c", script)
    return Case(name, words, seconds)


def cases_archive(cases):
    """The cpio with /cases for caserunner."""
    data = bytearray()
    for case in cases:
        for word in (case.name, str(case.seconds), str(len(case.words)), *case.words):
            data += word.encode() + b"\0"
    archive = Archive()
    archive.file("cases", bytes(data))
    return archive.bytes()


def unescape(line):
    """A "#O" line as text; each byte that is not ASCII stays \\xHH."""
    ending = "\n"
    if line.endswith("\\c"):
        line, ending = line[:-2], ""
    return re.sub(r"\\x(09|5c|0d)", lambda found: chr(int(found.group(1), 16)), line) + ending


class Boot:
    """One boot with some cases; results() reads the console until the end, the guest's death or its silence."""

    def __init__(self, machine, cases):
        self.cases = {case.name: case for case in cases}
        self.machine = machine
        self.results = {}
        self.text = ""  # its end
        self.trouble = ""  # what the kernel complained of, from its first complaint on
        self.process = subprocess.Popen(machine.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)

    def lines(self):
        """Lines of the console as they come; sets self.why and ends when there are no more to wait for."""
        pending = b""
        self.allowed = BOOT_SECONDS
        deadline = time.monotonic() + self.allowed
        while True:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not data:
                self.why = "the guest has ended" if ready else f"nothing for {self.allowed} s"
                return
            pending += data
            *whole, pending = pending.split(b"\n")
            for line in whole:
                text = line.decode("utf-8", "replace").replace("\r", "")
                self.text = self.text[-20000:] + text + "\n"
                if self.trouble or PANIC.search(text):
                    self.trouble = (self.trouble + text + "\n")[:1500]
                yield text
                deadline = time.monotonic() + self.allowed

    def run(self):
        """All results of this boot; the case in which the guest died has the end "died"."""
        current, output = None, []
        try:
            for line in self.lines():
                # the kernel's own messages may come first on a line
                found = re.search(r"#([BOED])(?: (.*))?$", line)
                if not found:
                    continue
                kind, rest = found.group(1), found.group(2) or ""
                if kind == "B" and rest in self.cases:
                    current, output = rest, []
                    self.allowed = self.cases[current].seconds + GRACE_SECONDS
                elif kind == "O" and current:
                    output.append(unescape(rest))
                elif kind == "E" and current and rest.startswith(f"{current} "):
                    self.results[current] = Result(rest[len(current) + 1:], "".join(output))
                    current = None
                    self.allowed = GRACE_SECONDS
                elif kind == "D":
                    return self.results
            if current:
                self.results[current] = Result("died", "".join(output) + f"\n{self.why}; the console:\n{self.text[-4000:]}")
            return self.results
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


def machine_for(kind, initrd, smp=2, memory="1G", append=""):
    """The QEMU machine of "softnet", "debug" (Softnet with its checks) or "linux": no NIC, the console on stdout."""
    if kind == "linux":
        kernel = next(linux_guest.unpacked().glob("boot/vmlinuz-*"))
    else:
        kernel = paths.DEBUG_KERNEL if kind == "debug" else paths.KERNEL
    return Machine(kernel=kernel, initrd=initrd, smp=smp, memory=memory,
                   append=f"rdinit={RUNNER} quiet loglevel=1 panic=-1 {append}".strip())


def run_cases(kind, base, cases, **options):
    """Boot `kind` with the archive at `base` and run the cases, with as many boots as it takes. Returns {name: Result} and the
    list of what Softnet said when it was in trouble."""
    left, results, trouble, crashes = list(cases), {}, [], 0
    while left:
        with tempfile.TemporaryDirectory(prefix="softnet-") as directory:
            initrd = Path(directory) / "initrd.cpio"
            initrd.write_bytes(base.read_bytes() + cases_archive(left))
            boot = Boot(machine_for(kind, initrd, **options), left)
            got = boot.run()
        if boot.trouble and kind != "linux":
            trouble.append(boot.trouble)
        if not got and kind == "linux" and boot.process.returncode == -signal.SIGSEGV and crashes < 5:
            # QEMU 10.0.2 now and then dies of a freed memory map (address_space_translate_for_iotlb) when one CPU's thread runs while
            # another sizes BARs, which Linux does at boot with its CPUs up. Of Softnet's guests none may.
            crashes += 1
            continue
        if not got:
            raise AssertionError(f"{kind} does not reach its first case ({boot.why}):\n{boot.text[-4000:]}")
        results.update(got)
        left = [case for case in left if case.name not in results]
    return results, trouble


def archive_digest(data, keep):
    """A hash of a cpio archive without the programs in test/ whose names are not in `keep`: those do not matter to a case."""
    digest, at = hashlib.sha256(), 0
    while data[at:at + 6] == b"070701":
        size, name_size = int(data[at + 54:at + 62], 16), int(data[at + 94:at + 102], 16)
        name = data[at + 110:at + 110 + name_size - 1].decode()
        begin = at + (110 + name_size + 3) // 4 * 4
        if not name.startswith("test/") or name[5:] in keep:
            digest.update(f"{name}\0{data[at + 14:at + 22]}\0".encode())
            digest.update(data[begin:begin + size])
        at = begin + (size + 3) // 4 * 4
    digest.update(data[at:].rstrip(b"\0"))
    return digest


def linux_results(base, cases, **options):
    """Results of the stock Linux guest: those of build/differential where it ran the very same case in the same archive before, the
    others from one boot."""
    data = base.read_bytes()
    digests, keys = {}, {}
    for case in cases:
        keep = frozenset(["caserunner", *re.findall(r"/test/(\w+)", " ".join(case.words))])
        if keep not in digests:
            digests[keep] = archive_digest(data, keep)
        key = digests[keep].copy()
        key.update(repr((linux_guest.unpacked().name, case, sorted(options.items()))).encode())
        keys[case.name] = STORE / f"linux-{key.hexdigest()[:32]}.json"
    missing = [case for case in cases if not keys[case.name].exists()]
    results, _ = run_cases("linux", base, missing, **options)
    STORE.mkdir(parents=True, exist_ok=True)
    for name, result in results.items():
        if result.end not in ("timeout", "died"):  # that is no behaviour to hold anything to
            keys[name].write_text(json.dumps((result.end, result.output)))
    kept = {name: Result(*json.loads(keys[name].read_text())) for name in keys if name not in results}
    return results | kept

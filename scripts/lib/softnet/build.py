# SPDX-License-Identifier: MIT
"""scripts/build: makes the outputs without running them."""

import argparse
import os
import re
import shutil
import sys
import textwrap

from . import debian, judges, linux_guest, mkrootfs, servers
from .paths import BUILD, DEBUG_KERNEL, KERNEL, LIB, OUT, ROOT, ROOTFS
from .shell import Failed, main, run, say

# Build directory of each Meson build and the words that set it up.
MESON = {
    "kernel-release": ["--cross-file", LIB / "x86_64-softnet.ini", "-Darch=x86_64"],
    "kernel-debug": ["--cross-file", LIB / "x86_64-softnet.ini", "-Darch=x86_64", "-Ddebug_checks=true"],
    "userland": ["--native-file", LIB / "musl.ini", "-Darch=userland"],
    "host": ["-Darch=host", "-Ddebug_checks=true", "-Db_sanitize=address,undefined", "-Db_lundef=false"],
    "fuzz": ["-Darch=host", "-Ddebug_checks=true", "-Dfuzz=true", "-Db_lundef=false"],
}
KERNEL_NAME = "softnet-x86_64.elf"


def meson(name):
    """Set up (once) and build one build directory; returns it."""
    directory = BUILD / name
    env = dict(os.environ)
    if name == "fuzz":
        env.update(CC="clang", CXX="clang++")
    log = BUILD / f"{name}.log"
    BUILD.mkdir(exist_ok=True)
    if not (directory / "build.ninja").exists():
        shutil.rmtree(directory, ignore_errors=True)
        with open(log, "w", encoding="utf-8") as out:
            setup = ["meson", "setup", directory, ROOT, *MESON[name]]
            try:
                run(setup, f"setting up build/{name}", stdout=out, stderr=out, env=env)
            except Failed as error:
                shutil.rmtree(directory, ignore_errors=True)
                raise Failed(f"{error}; see {log}") from error
    jobs = os.environ.get("SOFTNET_JOBS")
    command = ["ninja", "-C", directory, *(["-j", jobs] if jobs else [])]
    if sys.stderr.isatty():  # progress on one line
        run(command, f"building build/{name}", stdout=sys.stderr, env=env)
        return directory
    with open(log, "w", encoding="utf-8") as out:
        try:
            run(command, f"building build/{name}", stdout=out, stderr=out, env=env)
        except Failed as error:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            wrong = [line for line in lines if re.search(r"error|undefined reference|FAILED|\*\*\*", line)]
            say("\n".join(wrong[:40] or lines[-20:]))
            raise Failed(f"{error}; see {log}") from error
    return directory


def publish(source, target):
    """Copy a result to its fixed place, all or nothing, only when it changed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.stat().st_size == source.stat().st_size \
            and target.read_bytes() == source.read_bytes():
        return
    partial = target.with_name(target.name + ".new")
    shutil.copy2(source, partial)
    partial.replace(target)


def build_kernel(directory, target):
    """Build one kernel and put it in its place."""
    built = meson(directory)
    found = sorted(built.glob(f"**/{KERNEL_NAME}"))
    if not found:
        raise Failed(f"build/{directory} made no {KERNEL_NAME}")
    publish(found[0], target)


def build_qemu():
    """QEMU with igb-lite in it, built once into the cache."""
    run([LIB / "build-qemu"], "building QEMU")


def build_nic_fuzzer():
    """The device's fuzzer, a QEMU of its own, built once into the cache."""
    run([LIB / "build-qemu", "--fuzz"], "building the device's fuzzer")


def build_rootfs():
    """The initramfs, from the user programs."""
    directory = meson("userland")
    mkrootfs.build(directory, ROOTFS)


TARGETS = {
    "qemu": ("out/qemu/qemu-system-x86_64, with igb-lite", build_qemu),
    "kernel": ("out/softnet-x86_64.elf", lambda: build_kernel("kernel-release", KERNEL)),
    "debug": ("out/debug/softnet-x86_64.elf, with checks and test hooks",
              lambda: build_kernel("kernel-debug", DEBUG_KERNEL)),
    "userland": ("the programs of the guest, build/userland", lambda: meson("userland")),
    "rootfs": ("out/rootfs.cpio, the initramfs", build_rootfs),
    "host": ("the kernel as a Linux process and its unit tests, build/host", lambda: meson("host")),
    "fuzz": ("the fuzzers of the network path, build/fuzz", lambda: meson("fuzz")),
    "fuzz-nic": ("out/qemu/fuzz_igb_lite, the device's fuzzer", build_nic_fuzzer),
    "debian": ("out/debian/rootfs.cpio, an initramfs of Debian's bash, coreutils, procps and python3",
               lambda: (meson("userland"), debian.build())),
    "judges": ("out/judges, nolibc-test, kselftests and ash tests from Debian's source packages", judges.build),
    "servers": ("out/servers/extra.cpio, Debian's redis-server, memcached, nginx, iperf3 and python3, to put behind an initramfs",
                servers.build),
    "linux": ("out/linux, a stock Linux guest from Debian's packages, to compare with", linux_guest.build),
}
ALL = ["qemu", "kernel", "debug", "rootfs"]


def build(*names):
    """Bring the named outputs up to date."""
    for name in names:
        say(f"build: {name}")
        TARGETS[name][1]()


def start():
    """Parse the command line and build."""
    what = "\n".join(f"  {name:9} {text}" for name, (text, _) in TARGETS.items())
    parser = argparse.ArgumentParser(
        prog="scripts/build", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Builds what is named, or everything that scripts/run needs.",
        epilog=f"WHAT is one of\n  all       {' '.join(ALL)} (the default)\n{what}\n\n" + textwrap.dedent("""\
            Environment: SOFTNET_JOBS (parallel jobs), SOFTNET_CACHE (what is kept between checkouts),
            SOFTNET_SETUP=skip (do not install packages)."""))
    parser.add_argument("what", nargs="*", metavar="WHAT", help="what to build")
    names = parser.parse_args().what or ["all"]
    wanted = []
    for name in names:
        if name != "all" and name not in TARGETS:
            parser.error(f"there is no '{name}' to build")
        wanted += ALL if name == "all" else [name]
    OUT.mkdir(exist_ok=True)
    build(*dict.fromkeys(wanted))


if __name__ == "__main__":
    main(start)

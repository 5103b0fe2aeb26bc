# SPDX-License-Identifier: MIT
"""A stock Linux guest from Debian's packages: out/linux/vmlinuz, and out/linux/initrd.cpio, which is our own initramfs and
the modules that Linux needs for the igb. It boots with the same QEMU command as Softnet."""

import lzma
import os
import re
import subprocess
import tempfile
from pathlib import Path

from .cpio import Archive
from .paths import CACHE, LINUX_INITRD, LINUX_KERNEL, ROOTFS
from .shell import Failed, run, say

META_PACKAGE = "linux-image-amd64"
MODULES = ["igb"]
SUITES = ("stable", "backports")


def package(suite):
    """The image package that Debian's meta package names now in a suite, e.g. linux-image-6.1.0-40-amd64; None if the suite is
    not among apt's sources."""
    done = subprocess.run(["apt-cache", "madison", META_PACKAGE], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        _, version, source = (word.strip() for word in line.split("|"))
        if ("-backports/" in source) == (suite == "backports") and "Packages" in source:
            shown = subprocess.run(["apt-cache", "show", f"{META_PACKAGE}={version}"], capture_output=True, text=True, check=False)
            found = re.search(r"^Depends: (linux-image-[0-9]\S*)", shown.stdout, re.M)
            if found:
                return found.group(1)
    return None


def download(name):
    """Download and unpack a package to a directory of its name in the cache."""
    target = CACHE / "linux" / name
    if target.exists():
        return target
    say(f"linux: downloading {name}")
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        run(["apt-get", "-qq", "-o", "APT::Sandbox::User=", "download", name],
            f"downloading {name} (is the mirror reachable? try apt-get update)", cwd=scratch,
            stderr=subprocess.DEVNULL)
        found = next(Path(scratch).glob("*.deb"))
        run(["dpkg-deb", "-x", found, f"{scratch}/tree"], f"unpacking {name}")
        os.rename(f"{scratch}/tree", target)
    return target


def unpacked(suite="stable"):
    """The directory of a suite's kernel package, downloaded into the cache once; None if there is no such suite here."""
    link = CACHE / "linux" / suite
    if link.exists():
        return link.resolve()
    link.parent.mkdir(parents=True, exist_ok=True)
    name = package(suite)
    if name is None and suite != "stable":
        return None
    if name is None:
        raise Failed(f"apt knows no {META_PACKAGE}: run apt-get update as root")
    target = download(name)
    temporary = link.with_name(f"{suite}.{os.getpid()}")
    temporary.symlink_to(target.name)
    temporary.replace(link)
    return target


def module_closure(directory, names=tuple(MODULES)):
    """Files of the named modules and all that they depend on, dependencies first."""
    paths = {}
    for path in directory.glob("**/*.ko*"):
        paths[path.name.split(".ko")[0].replace("-", "_")] = path
    ordered = []

    def visit(name):
        path = paths.get(name)
        if path is None:
            return  # built in
        if path in ordered:
            return
        for needed in re.findall(rb"\0depends=([^\0]*)\0", module_bytes(path))[:1]:
            for other in filter(None, needed.decode().split(",")):
                visit(other.replace("-", "_"))
        ordered.append(path)

    for name in names:
        visit(name)
    return ordered


def module_bytes(path):
    """A module's contents, unpacked if it is compressed."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".zst":
        return run(["zstd", "-dc", path], f"unpacking {path.name}", capture_output=True).stdout
    return data


def build():
    """Make out/linux from the cached stable package and the current out/rootfs.cpio; have the backported one in the cache too."""
    if not ROOTFS.exists():
        raise Failed("out/rootfs.cpio is missing: run scripts/build rootfs linux")
    directory = unpacked()
    unpacked("backports")
    kernels = list(directory.glob("boot/vmlinuz-*"))
    if not kernels:
        raise Failed(f"no kernel in {directory}: remove it and run this again")
    LINUX_KERNEL.parent.mkdir(parents=True, exist_ok=True)
    LINUX_KERNEL.write_bytes(kernels[0].read_bytes())
    modules = Archive()
    for number, path in enumerate(module_closure(directory)):
        modules.file(f"lib/modules-load/{number:02}-{path.name.split('.ko')[0]}.ko", module_bytes(path))
    LINUX_INITRD.write_bytes(ROOTFS.read_bytes() + modules.bytes())

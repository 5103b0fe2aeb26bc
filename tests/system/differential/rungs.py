# SPDX-License-Identifier: MIT
"""The rungs of the ladder (docs/conformance.md §3.3): which initramfs the cases of each file need, and how to get it."""

from softnet import paths
from softnet.shell import Failed


def base():
    """The usual initramfs: our programs and Debian's static busybox."""
    if not paths.ROOTFS.exists():
        raise Failed("out/rootfs.cpio is missing: run scripts/build rootfs")
    return paths.ROOTFS, {"memory": "512M"}


def debian():
    """Debian's own bash, coreutils, procps and python3."""
    if not paths.DEBIAN_ROOTFS.exists():
        raise Failed("out/debian/rootfs.cpio is missing: run scripts/build debian")
    return paths.DEBIAN_ROOTFS, {"memory": "1G"}


# Archive: a function that returns its path and the machine's options.
ARCHIVES = {"base": base, "debian": debian}
# Case file: its archive.
RUNGS = {
    "10-static": "base",
    "20-threads": "base",
    "30-busybox": "base",
    "35-process": "base",
    "40-dynamic": "debian",
    "50-bash": "debian",
    "55-coreutils": "debian",
    "57-procps": "debian",
    "60-python": "debian",
}

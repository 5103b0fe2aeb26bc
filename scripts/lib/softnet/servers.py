# SPDX-License-Identifier: MIT
"""Servers that nobody here wrote: out/servers/extra.cpio has Debian's redis-server, memcached, nginx, iperf3 and python3 with all that
they are linked with, to be put behind out/rootfs.cpio (or the Linux guest's initramfs)."""

from . import debian
from .cpio import Archive
from .paths import LINUX_INITRD, ROOT, ROOTFS, SERVERS
from .shell import Failed, say

PACKAGES = ["redis-server", "redis-tools", "memcached", "nginx", "iperf3", "python3-minimal"]
CONFIGURATION = ROOT / "tests" / "system" / "servers"  # in the guest: /srv


def initramfs(linux=False):
    """The bytes of an initramfs with our shell and the servers, for Softnet or for the Linux guest."""
    base = LINUX_INITRD if linux else ROOTFS
    for path in (base, SERVERS):
        if not path.exists():
            raise Failed(f"{path} is missing: run scripts/build rootfs linux servers")
    return base.read_bytes() + SERVERS.read_bytes()


def build():
    """Write the archive."""
    names = debian.closure([*PACKAGES, f"libpython{debian.python_version()}-stdlib"])
    archive = Archive()
    archive.symlink("lib64", "usr/lib64")  # the other archive has a /lib of its own: not merged with /usr
    archive.directory("lib")
    archive.symlink("lib/x86_64-linux-gnu", "../usr/lib/x86_64-linux-gnu")
    for name in names:
        debian.add_tree(archive, debian.unpacked(name))
    for path in sorted(CONFIGURATION.iterdir()):
        archive.file(f"srv/{path.name}", path.read_bytes(), 0o644)
    SERVERS.parent.mkdir(parents=True, exist_ok=True)
    SERVERS.write_bytes(archive.bytes())
    say(f"servers: {len(names)} packages, {SERVERS.stat().st_size >> 20} MB")

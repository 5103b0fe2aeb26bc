# SPDX-License-Identifier: MIT
"""Builds out/rootfs.cpio: init, our shell and servers in /bin, the test programs in /test, Debian's busybox."""

from pathlib import Path

from .cpio import Archive
from .shell import Failed

BUSYBOX = Path("/bin/busybox")
EMPTY_DIRECTORIES = ["dev", "proc", "sys", "tmp", "etc", "root", "var", "run", "lib", "www"]
APPLETS = ["ash", "httpd", "telnetd"]  # of busybox, by their own names
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/motd": "Softnet: every step from the wire to recvfrom. Type help.\n",
    "www/index.html": "<!doctype html><title>Softnet</title><p>Every step from the wire to <code>recvfrom</code>, and back.\n",
}


def executables(directory):
    """The program files directly in a build directory, by name."""
    return sorted(path for path in directory.iterdir()
                  if path.is_file() and path.stat().st_mode & 0o100 and path.open("rb").read(4) == b"\x7fELF")


def build(build_directory, target):
    """Write the initramfs from build/userland's programs."""
    archive = Archive()
    for name in EMPTY_DIRECTORIES:
        archive.directory(name, 0o1777 if name == "tmp" else 0o755)
    archive.character_device("dev/console", 5, 1, 0o600)
    archive.character_device("dev/null", 1, 3)
    programs = executables(build_directory / "userland")
    if not any(path.name == "init" for path in programs):
        raise Failed("build/userland has no init: run scripts/build userland")
    for path in programs:
        archive.file("init" if path.name == "init" else f"bin/{path.name}", path.read_bytes(), 0o755)
    for path in executables(build_directory / "tests" / "system" / "guest"):
        archive.file(f"test/{path.name}", path.read_bytes(), 0o755)
    for name, text in FILES.items():
        archive.file(name, text.encode())
    # A file of known content and awkward size for tests that read files.
    archive.file("test/pattern.bin", bytes((n * 7 + (n >> 8)) & 0xff for n in range(100_003)))
    if BUSYBOX.exists() and BUSYBOX.stat().st_size > 500_000:
        archive.file("bin/busybox", BUSYBOX.read_bytes(), 0o755)
        for name in APPLETS:
            archive.symlink(f"bin/{name}", "busybox")
    data = archive.bytes()
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or target.read_bytes() != data:
        partial = target.with_name(target.name + ".new")
        partial.write_bytes(data)
        partial.replace(target)

# SPDX-License-Identifier: MIT
"""An initramfs with programs of Debian's packages, as they are on this machine, and the libraries that they need."""

import re
import subprocess
from pathlib import Path

from softnet import paths
from softnet.cpio import Archive


def libraries(program):
    """What the program is linked with, the loader included."""
    output = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+)", output)


def initramfs(directory, programs, base=paths.ROOTFS):
    """The usual initramfs, or another, with these programs behind it, each as /deb/NAME; returns its path."""
    archive = Archive()
    added = set()
    for program in programs:
        archive.file(f"deb/{Path(program).name}", Path(program).read_bytes(), 0o755)
        for library in libraries(program):
            if library not in added:
                archive.file(library, Path(library).read_bytes(), 0o755)
                added.add(library)
    target = Path(directory) / f"debian-{base.name}"
    target.write_bytes(base.read_bytes() + archive.bytes())
    return target

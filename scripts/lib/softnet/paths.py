# SPDX-License-Identifier: MIT
"""Where things are. The places under out/ are fixed (docs/design.md §4), so that nobody has to search."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LIB = ROOT / "scripts" / "lib"
OUT = ROOT / "out"
BUILD = ROOT / "build"
CACHE = Path(os.environ.get("SOFTNET_CACHE")
             or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "softnet")

QEMU = Path(os.environ.get("SOFTNET_QEMU") or OUT / "qemu" / "qemu-system-x86_64")
KERNEL = OUT / "softnet-x86_64.elf"
DEBUG_KERNEL = OUT / "debug" / "softnet-x86_64.elf"
ROOTFS = OUT / "rootfs.cpio"
LINUX_KERNEL = OUT / "linux" / "vmlinuz"
LINUX_INITRD = OUT / "linux" / "initrd.cpio"
DEBIAN_ROOTFS = OUT / "debian" / "rootfs.cpio"
JUDGES = OUT / "judges"
SERVERS = OUT / "servers" / "extra.cpio"
ROWS_DIR = BUILD / "rows.d"
ROWS_JSON = BUILD / "rows.json"

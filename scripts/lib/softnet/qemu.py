# SPDX-License-Identifier: MIT
"""The QEMU command line that scripts/run, the system tests and the benchmark use.

Environment: SOFTNET_APPEND (more words for Softnet's command line)."""

import dataclasses
import os
from pathlib import Path

from .paths import KERNEL, QEMU, ROOTFS

MAC = "52:54:00:12:34:56"
GUEST_NETMASK = "255.255.255.0"
# For Linux, whose checks of its timer at boot, and of CPUs and grace periods that come late, a busy host fails at times.
LINUX_WORDS = "no_timer_check nowatchdog rcupdate.rcu_cpu_stall_suppress=1"


@dataclasses.dataclass
class Machine:
    """One guest. `netdev` is QEMU's -netdev without its id; `address`/`gateway` go to the kernel by ip= (no address: DHCP)."""

    kernel: Path = KERNEL
    initrd: Path = ROOTFS
    qemu: Path = QEMU
    smp: int = 1
    memory: str = "256M"
    accel: str = "tcg"
    nic: str = "igb-lite"
    nic_options: str = ""
    mac: str = MAC
    netdev: str = ""
    address: str = "10.9.0.2"
    gateway: str = "10.9.0.1"
    append: str = ""
    serial: str = "stdio"
    pcap: str = ""
    bridges: tuple = ()  # words for devices that the NIC sits behind (nic_options: "bus=…")
    extra: tuple = ()

    def kernel_words(self):
        """The kernel command line."""
        words = "console=ttyS0"
        if self.netdev:
            words += f" ip={self.address}::{self.gateway}:{GUEST_NETMASK}::eth0:off" if self.address else " ip=dhcp"
        if Path(self.kernel).name.startswith("vmlinuz"):
            words += f" {LINUX_WORDS}"
        else:
            words += f" {os.environ.get('SOFTNET_APPEND', '')}".rstrip()
        return f"{words} {self.append}".strip()

    def command(self):
        """The whole command as a list of words."""
        accel = "tcg,thread=multi" if self.accel == "tcg" else self.accel
        words = [
            str(self.qemu), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-M", "q35", "-accel", accel, "-cpu", "max", "-smp", str(self.smp), "-m", self.memory,
            "-kernel", str(self.kernel), "-initrd", str(self.initrd), "-append", self.kernel_words(),
            "-serial", self.serial,
        ]
        if self.netdev:
            options = f",{self.nic_options}" if self.nic_options else ""
            kind, _, rest = self.netdev.partition(",")
            words += ["-netdev", f"{kind},id=n0" + (f",{rest}" if rest else ""), *self.bridges]
            words += ["-device", f"{self.nic},netdev=n0,mac={self.mac}{options}"]
            if self.pcap:
                words += ["-object", f"filter-dump,id=dump0,netdev=n0,file={self.pcap}"]
        return words + list(self.extra)

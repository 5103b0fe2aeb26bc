# SPDX-License-Identifier: MIT
"""A stock Linux guest that can judge the NIC: our initramfs, Debian's igb and 8021q modules, Debian's ethtool; and readers of
what they say."""

import contextlib
import json
import re
import socket
import struct
import subprocess
import time
from pathlib import Path

from scapy.all import IP, TCP, UDP, Ether

from guest import Guest
from softnet import linux_guest, paths
from softnet.cpio import Archive
from softnet.qemu import Machine
from softnet.shell import Failed

ETHTOOL = "/usr/sbin/ethtool"  # the path in the guest too; /bin/ethtool is ours
MODULE_DIRECTORY = "lib/modules-load"  # init loads all that is in it, in the order of the names
MODULES = ("igb", "8021q")
EXPECTED_WARNING = "enabling UDP RSS"  # igb says so on any NIC
FCS = 4
MIN_FRAME = 60


def shared_objects(program):
    """The libraries and the loader of a dynamically linked program, by ldd."""
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    found = re.findall(r"(?:=> )?(/\S+) \(0x", done.stdout)
    if not found:
        raise Failed(f"{program} is missing, or ldd cannot read it: is the Debian package ethtool installed?")
    return found


def write_initrd(directory, target):
    """The initramfs of the judge: our root file system and, behind it, what is Debian's. Returns the guest's path of igb."""
    if not paths.ROOTFS.exists():
        raise Failed("out/rootfs.cpio is missing: run scripts/build rootfs")
    extra = Archive()
    names = {}
    for number, path in enumerate(linux_guest.module_closure(directory, MODULES)):
        module = path.name.split(".ko")[0]
        names[module] = f"{MODULE_DIRECTORY}/{number:02}-{module}.ko"
        extra.file(names[module], linux_guest.module_bytes(path))
    for name in [ETHTOOL, *shared_objects(ETHTOOL)]:
        extra.file(name, Path(name).read_bytes(), 0o755)
    target.write_bytes(paths.ROOTFS.read_bytes() + extra.bytes())
    return f"/{names['igb']}"


def mac_len(frame):
    """The bytes of a captured frame as the NIC counts them: padded, with FCS."""
    return max(len(frame), MIN_FRAME) + FCS


def mac_bytes(text):
    """aa:bb:cc:dd:ee:ff as bytes."""
    return bytes.fromhex(text.replace(":", ""))


def wrong_checksums(frames):
    """Frames (bytes) whose IPv4, TCP or UDP checksum is wrong, by scapy; of fragments only the header's."""
    wrong = []
    for data in frames:
        frame = Ether(data)
        if IP not in frame:
            continue
        layers = [IP] if frame[IP].frag or frame[IP].flags.MF else [IP, TCP, UDP]
        rebuilt = frame.copy()
        for layer in layers:
            if layer in rebuilt:
                del rebuilt[layer].chksum
        rebuilt = Ether(bytes(rebuilt))
        wrong += [(frame.summary(), layer.__name__) for layer in layers
                  if layer in frame and frame[layer].chksum != rebuilt[layer].chksum]
    return wrong


class LinuxGuest(Guest):
    """Debian's kernel on the NIC, igb loaded and eth0 configured by init."""

    def __init__(self, directory, nic="igb-lite", smp=2):
        tree = linux_guest.unpacked()
        initrd = Path(directory) / "initrd.cpio"
        self.module = write_initrd(tree, initrd)
        self.qmp_path = Path(directory) / "qmp"
        kernel = next(tree.glob("boot/vmlinuz-*"))
        # No IPv6, so that the guest sends nothing by itself, and counters can be compared with what was sent. One thread
        # for all CPUs: QEMU 10.0.2 now and then dies of a freed memory map (address_space_translate_for_iotlb) when one
        # CPU's thread runs while another sizes BARs, which a Linux does with its CPUs up.
        super().__init__(Machine(kernel=kernel, initrd=initrd, smp=smp, memory="512M", nic=nic, accel="tcg,thread=single",
                                 append="ipv6.disable=1 net.ifnames=0",
                                 extra=("-qmp", f"unix:{self.qmp_path},server=on,wait=off")))
        self.sh("busybox dmesg -n 1")  # the kernel's messages stay out of the commands' output
        self.wait_link()

    def ping(self, count=1, size=56, timeout=5):
        """Round trips answered whole. One by one: a ping of several gives up early on the later ones of them."""
        answered = 0
        for _ in range(count):
            done = subprocess.run(["ping", "-n", "-q", "-c", "1", "-s", str(size), "-W", str(timeout), self.ip],
                                  capture_output=True, text=True, check=False)
            answered += " 1 received" in done.stdout and "wrong data" not in done.stdout
        return answered

    # --- the driver ----------------------------------------------------------------------------------------------

    def load(self):
        """Insert igb again, give eth0 its address, wait for the link."""
        self.sh(f"busybox insmod {self.module}")
        self.sh(f"busybox ip addr add {self.ip}/24 dev eth0; busybox ip link set eth0 up")
        self.wait_link()

    def wait_link(self, up=True, device="eth0", timeout=30):
        """Wait for the carrier, or for its end."""
        deadline = time.monotonic() + timeout
        wanted = "1" if up else "0"
        while self.status(f"cat /sys/class/net/{device}/carrier")[1].strip() != wanted:
            if time.monotonic() > deadline:
                raise AssertionError(f"{device}: carrier is not {wanted} after {timeout} s\n{self.dmesg()[-2000:]}")
            time.sleep(0.2)

    def dmesg(self):
        """The kernel's log with levels: lines `<LEVEL>[time] text`."""
        return self.sh("busybox dmesg -r")

    def complaints(self):
        """Lines of the log that igb, or the kernel about igb, wrote at level warning or worse; and any sign of a crash."""
        found = []
        for line in self.dmesg().splitlines():
            level = re.match(r"<(\d+)>", line)
            worse = level and int(level.group(1)) & 7 <= 4 and EXPECTED_WARNING not in line
            if worse and re.search(r"\bigb|eth0|NETDEV WATCHDOG|irq|dma", line, re.I) \
                    or re.search(r"Call Trace|BUG:|WARNING:|Oops|Tx Unit Hang|nobody cared", line):
                found.append(line)
        return found

    def vectors(self):
        """Names in /proc/interrupts of eth0's vectors, in order."""
        return sorted(name for name in self.interrupts() if name.startswith("eth0"))

    # --- ethtool -------------------------------------------------------------------------------------------------

    def ethtool(self, words, timeout=60):
        """Debian's ethtool; it must succeed."""
        return self.sh(f"{ETHTOOL} {words}", timeout)

    def features(self, words):
        """Switch offloads (ethtool -K), wait for the link if the driver reset itself, and check that they are as asked for."""
        self.ethtool(f"-K eth0 {words}")
        self.wait_link()
        shown = self.ethtool("-k eth0")
        names = {"rx": "rx-checksumming", "tx": "tx-checksumming", "sg": "scatter-gather", "gro": "generic-receive-offload",
                 "tso": "tcp-segmentation-offload", "gso": "generic-segmentation-offload",
                 "rxvlan": "rx-vlan-offload", "txvlan": "tx-vlan-offload"}
        pairs = words.split()
        for name, value in zip(pairs[::2], pairs[1::2]):
            assert re.search(rf"^\s*{names.get(name, name)}: {value}", shown, re.M), f"{name} is not {value}:\n{shown}"

    def statistics(self):
        """ethtool -S as {name: number}."""
        return {name: int(value) for name, value in re.findall(r"^\s*(\w+): (\d+)$", self.ethtool("-S eth0"), re.M)}

    def wire(self):
        """All frames so far of QEMU's capture, as bytes (much faster than pcap())."""
        data, frames, at = self.pcap_path.read_bytes(), [], 24
        while at + 16 <= len(data):
            length = struct.unpack_from("<I", data, at + 8)[0]
            if at + 16 + length > len(data):
                break  # being written
            frames.append(data[at + 16:at + 16 + length])
            at += 16 + length
        return frames

    def settled(self):
        """Statistics and the wire's frames at one moment: read again until neither has changed between two readings."""
        last = None
        for _ in range(30):
            found, frames = self.statistics(), self.wire()
            if last == (found, len(frames)):
                return found, frames
            last = (found, len(frames))
        raise AssertionError("the wire does not become quiet")

    @contextlib.contextmanager
    def counted(self):
        """Growth of the statistics while the body runs, and the frames of that time, in the yielded Count."""
        count = Count(self.mac)
        before, frames = self.settled()
        yield count
        after, all_frames = self.settled()
        count.frames = all_frames[len(frames):]
        count.growth = {name: value - before.get(name, 0) for name, value in after.items()}

    def put(self, frames, timeout=30):
        """Send raw frames, and wait until the NIC has been handed all of them."""
        wanted = len(self._from_host()) + len(frames)
        self.send_frames(frames)
        deadline = time.monotonic() + timeout
        while len(self._from_host()) < wanted:
            if time.monotonic() > deadline:
                raise AssertionError(f"the TAP lost frames: {len(self._from_host())} of {wanted} arrived")
            time.sleep(0.02)

    def _from_host(self):
        return [frame for frame in self.wire() if frame[6:12] != mac_bytes(self.mac)]

    # --- link ----------------------------------------------------------------------------------------------------

    def set_link(self, up):
        """Plug the cable in or out, by QMP."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            sock.connect(str(self.qmp_path))
            stream = sock.makefile("rw")
            stream.readline()  # the greeting
            for command in ({"execute": "qmp_capabilities"},
                            {"execute": "set_link", "arguments": {"name": "n0", "up": up}}):
                stream.write(json.dumps(command) + "\n")
                stream.flush()
                answer = json.loads(stream.readline())
                while "event" in answer:
                    answer = json.loads(stream.readline())
                assert "return" in answer, answer

    # --- queues --------------------------------------------------------------------------------------------------

    def channels(self, number):
        """ethtool -L combined."""
        self.ethtool(f"-L eth0 combined {number}")
        self.wait_link()


class Count:
    """What happened during `counted`: frames in both directions, and how much each statistic grew."""

    def __init__(self, mac):
        self.mac, self.growth, self.frames = mac_bytes(mac), {}, []

    def __getitem__(self, name):
        return self.growth[name]

    @property
    def sent(self):
        """Frames that the guest sent."""
        return [frame for frame in self.frames if frame[6:12] == self.mac]

    @property
    def received(self):
        """Frames that arrived at the NIC, wanted or not."""
        return [frame for frame in self.frames if frame[6:12] != self.mac]

    def per_queue(self, what="packets", side="rx"):
        """Growth of rx_queue_N_packets and the like, in the order of N."""
        found = {int(match.group(1)): value for name, value in self.growth.items()
                 if (match := re.fullmatch(rf"{side}_queue_(\d+)_{what}", name))}
        return [found[number] for number in sorted(found)]

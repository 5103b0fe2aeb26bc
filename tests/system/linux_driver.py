# SPDX-License-Identifier: MIT
"""A stock Linux guest that can judge the NIC: our initramfs, Debian's igb and 8021q modules, Debian's ethtool and iperf3; and
readers of what they say."""

import contextlib
import hashlib
import json
import random
import re
import socket
import subprocess
import threading
from pathlib import Path

from scapy.all import IP, TCP, UDP, Ether

from console import Console
from guest import PCAP_HEAD, Guest
from parsers import parse_snmp
from patience import PATIENCE, steady, until
from softnet import linux_guest, netns, paths
from softnet.cpio import Archive
from softnet.qemu import Machine
from softnet.shell import Failed
from vlan_port import VlanPort

ETHTOOL = "/usr/sbin/ethtool"  # the path in the guest too; /bin/ethtool is ours
IPERF = "/usr/bin/iperf3"
MODULE_DIRECTORY = "lib/modules-load"  # init loads all that is in it, in the order of the names
MODULES = ("igb", "8021q")
EXPECTED_WARNING = "enabling UDP RSS"  # igb says so on any NIC
FCS = 4
MIN_FRAME = 60
TWO_QUEUES = ["eth0", "eth0-rx-0", "eth0-rx-1", "eth0-tx-0", "eth0-tx-1"]
PATTERN = bytes((n * 7 + (n >> 8)) & 0xff for n in range(100_003))  # /test/pattern.bin


def shared_objects(program):
    """The libraries and the loader of a dynamically linked program, by ldd."""
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    found = re.findall(r"(?:=> )?(/\S+) \(0x", done.stdout)
    if not found:
        raise Failed(f"{program} is missing, or ldd cannot read it: run scripts/lib/setup")
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
    for name in sorted({ETHTOOL, IPERF, *shared_objects(ETHTOOL), *shared_objects(IPERF)}):
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


def check_traffic(guest, sizes=(0, 600, 1472, 3000)):
    """Pings and UDP echoes with their data."""
    assert guest.ping(2) == 2
    for size in sizes:
        payload = random.Random(size).randbytes(size)
        assert guest.echo(payload) == payload, f"size {size}"


def fetch(guest, address=None):
    """/test/pattern.bin from the guest's httpd, which is started if it does not run."""
    if "httpd" not in guest.sh("busybox ps"):
        guest.sh("busybox httpd -p 80 -h /test")
    with socket.create_connection((address or guest.ip, 80), timeout=PATIENCE) as sock:
        sock.sendall(b"GET /pattern.bin HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    assert re.match(rb"HTTP/1.\d 200 ", answer), answer[:100]
    return answer.partition(b"\r\n\r\n")[2]


def check_segmented(guest, segment=1400, total=30_000, sends=5):
    """/test/udpgso: each send must arrive as datagrams of the size asked for and a short last one. Returns how many sends and
    datagrams there were."""
    sizes = [segment] * (total // segment) + [total % segment]
    with guest.udp() as sock:
        guest.sh(f"/test/udpgso {guest.host_ip} {sock.getsockname()[1]} {segment} {total} {sends}")
        for number in range(sends):
            datagrams = [sock.recv(65536) for _ in sizes]
            assert list(map(len, datagrams)) == sizes
            assert b"".join(datagrams) == bytes((number + at) % 251 for at in range(total))
    return sends, sends * len(sizes)


def connect(guest, port):
    """A TCP connection, as soon as somebody listens."""
    def attempt():
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection((guest.ip, port), timeout=PATIENCE)

    return until(attempt, f"somebody listens on port {port}")


def upload(guest, data, send):
    """The bytes go by `send`, a function of a connection, to a file in the guest, and are there."""
    with guest.background("busybox nc -l -p 5001 < /dev/null > /tmp/upload"):
        with connect(guest, 5001) as sock:
            send(sock)
        wait_for_size(guest, len(data))
    assert guest.sh("busybox md5sum /tmp/upload").split()[0] == hashlib.md5(data).hexdigest()
    guest.sh("busybox rm /tmp/upload")


def wait_for_size(guest, size):
    """Until upload()'s file has it."""
    until(lambda: guest.sh("busybox stat -c %s /tmp/upload").split()[-1:] == [str(size)], f"/tmp/upload has {size} bytes")


def listening(path):
    """Whether somebody takes connections to this Unix socket: its file is there a moment before."""
    with open("/proc/self/net/unix", encoding="ascii") as file:
        return any(line.split()[3::4] == ["00010000", str(path)] for line in file)


def receive_errors(guest):
    """What has been lost and counted, by name: datagrams that found a socket's buffer full, frames that the NIC or the TAP had no room
    for."""
    found = {name: value for name, value in guest.statistics().items() if re.fullmatch(r"rx_missed_errors|rx_queue_\d+_drops", name)}
    with open("/proc/self/net/snmp", encoding="ascii") as file:
        found["host RcvbufErrors"] = parse_snmp(file.read())["Udp"]["RcvbufErrors"]
    found["guest RcvbufErrors"] = guest.snmp()["Udp"]["RcvbufErrors"]
    with open("/proc/self/net/dev", encoding="ascii") as file:
        columns = next(line.partition(":")[2].split() for line in file if line.partition(":")[0].strip() == guest.tap)
    found["TAP dropped"] = int(columns[11])
    return found


def growth(before, after):
    """What of receive_errors() has grown, and by how much."""
    return {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}


class LinuxGuest(Guest):
    """Debian's kernel on the NIC, igb loaded and eth0 configured by init."""

    iperf_program = IPERF

    def __init__(self, directory, suite="stable", nic="igb-lite", smp=2):
        tree = linux_guest.unpacked(suite)
        initrd = Path(directory) / "initrd.cpio"
        self.module = write_initrd(tree, initrd)
        self.qmp_path = Path(directory) / "qmp"
        self.moves = 0
        kernel = next(tree.glob("boot/vmlinuz-*"))
        # No IPv6, so that the guest sends nothing by itself, and counters can be compared with what was sent. One thread
        # for all CPUs: QEMU 10.0.2 now and then dies of a freed memory map (address_space_translate_for_iotlb) when one
        # CPU's thread runs while another sizes BARs, which a Linux does with its CPUs up. The NIC sits behind a port, so that
        # it can be unplugged.
        super().__init__(Machine(kernel=kernel, initrd=initrd, smp=smp, memory="512M", nic=nic, accel="tcg,thread=single",
                                 append="quiet ipv6.disable=1 net.ifnames=0", bridges=("-device", "pcie-root-port,id=port0,slot=1"),
                                 nic_options="id=nic0,bus=port0",
                                 extra=("-qmp", f"unix:{self.qmp_path},server=on,wait=off")))
        self.sh("busybox dmesg -n 1")  # the kernel's messages stay out of the commands' output
        # A neighbour once known is not asked again (after 15 to 45 s, else): ARP would be counted in the middle of a test. eth0 takes
        # the default when it is made anew.
        for name in ("default", "eth0"):
            self.write(f"/proc/sys/net/ipv4/neigh/{name}/base_reachable_time_ms", "3600000")
        self.wait_link()

    # --- the driver ----------------------------------------------------------------------------------------------

    def load(self):
        """Insert igb again, give eth0 its address, wait for the link."""
        self.sh(f"busybox insmod {self.module}")
        self.configure()

    def configure(self):
        """Give a new eth0 its address, and wait for the link."""
        self.sh(f"busybox ip addr add {self.ip}/24 dev eth0; busybox ip link set eth0 up")
        self.wait_link()

    def wait_link(self, up=True, device="eth0"):
        """Wait for the carrier, and for the queues that a worker opens then; or for the carrier's end."""
        wanted = ["1", "up"] if up else ["0"]
        path = f"/sys/class/net/{device}"
        until(lambda: self.status(f"cat {path}/carrier {path}/operstate")[1].split()[:len(wanted)] == wanted,
              lambda: f"{device}'s carrier and state are {wanted}\n{self.dmesg()[-2000:]}")
        if up:  # the state is set before the queues are opened, under a lock that this call has to wait for
            self.sh(f"busybox ifconfig {device} txqueuelen 1000")

    def reset_qdiscs(self):
        """Have eth0's queue disciplines begin anew. Linux looks at carriers once a second: of one that was gone and is back between
        two looks it learns nothing, and a packet that waits in a discipline since then waits until another comes to the same
        queue. Here the driver's reset takes that short; a real link's does not."""
        self.sh("busybox ifconfig eth0 txqueuelen 999; busybox ifconfig eth0 txqueuelen 1000")

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

    def ethtool(self, words, timeout=2 * PATIENCE):
        """Debian's ethtool; it must succeed."""
        return self.sh(f"{ETHTOOL} {words}", timeout)

    def features(self, words):
        """Switch offloads (ethtool -K), wait for the link if the driver reset itself, and check that they are as asked for."""
        self.ethtool("-K eth0 " + re.sub(r"\buso\b", "tx-udp-segmentation", words))
        self.wait_link()
        shown = self.ethtool("-k eth0")
        names = {"rx": "rx-checksumming", "tx": "tx-checksumming", "sg": "scatter-gather", "gro": "generic-receive-offload",
                 "tso": "tcp-segmentation-offload", "gso": "generic-segmentation-offload",
                 "rxvlan": "rx-vlan-offload", "txvlan": "tx-vlan-offload",
                 "uso": "tx-udp-segmentation"}
        pairs = words.split()
        for name, value in zip(pairs[::2], pairs[1::2]):
            assert re.search(rf"^\s*{names.get(name, name)}: {value}", shown, re.M), f"{name} is not {value}:\n{shown}"

    def statistics(self):
        """ethtool -S as {name: number}."""
        return {name: int(value) for name, value in re.findall(r"^\s*(\w+): (\d+)$", self.ethtool("-S eth0"), re.M)}

    def settled(self):
        """Statistics and the wire's frames at one moment: read again until neither has changed between two readings."""
        return steady(lambda: (self.statistics(), self.wire()), "the wire")

    @contextlib.contextmanager
    def counted(self):
        """Growth of the statistics while the body runs, and the frames of that time, in the yielded Count."""
        count = Count(self.mac)
        before, frames = self.settled()
        yield count
        after, all_frames = self.settled()
        count.frames = all_frames[len(frames):]
        count.growth = {name: value - before.get(name, 0) for name, value in after.items()}

    # --- QEMU ----------------------------------------------------------------------------------------------------

    def qmp(self, command, **arguments):
        """Run a QMP command; returns what it returns."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(str(self.qmp_path))
            stream = sock.makefile("rw")
            stream.readline()  # the greeting
            for words in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                stream.write(json.dumps(words) + "\n")
                stream.flush()
                answer = json.loads(stream.readline())
                while "event" in answer:
                    answer = json.loads(stream.readline())
                assert "return" in answer, answer
        return answer["return"]

    def set_link(self, up):
        """Plug the cable in or out."""
        self.qmp("set_link", name="n0", up=up)

    @contextlib.contextmanager
    def uncaptured(self):
        """No capture while the body runs: it would be large."""
        self.qmp("qom-set", path="/objects/dump0", property="status", value="off")
        try:
            yield
        finally:
            self.qmp("qom-set", path="/objects/dump0", property="status", value="on")

    def unplug(self):
        """Take the NIC out as a user would, by the port's button; returns when the guest has let go of it."""
        self.qmp("device_del", id="nic0")
        until(lambda: not any(child["name"] == "nic0" for child in self.qmp("qom-list", path="/machine/peripheral")), "the NIC has gone")

    def plug(self):
        """Put it in again; eth0 gets its address as soon as the driver has found it."""
        self.qmp("device_add", driver=self.machine.nic, id="nic0", bus="port0", netdev="n0", mac=self.mac)
        until(lambda: self.exists("/sys/class/net/eth0/address"), "the driver finds the NIC")
        self.configure()

    def migrate(self):
        """Move the running guest to a second QEMU of the same command; the first one ends. Both have the TAP open, as two
        QEMUs on one host may: the one whose guest runs reads it."""
        self.moves += 1
        way, qmp = self.directory / f"way{self.moves}", self.directory / f"qmp{self.moves}"
        self.pcap_path = self.directory / f"wire{self.moves}.pcap"
        self.wire_end = PCAP_HEAD
        self.machine.pcap = str(self.pcap_path)
        self.machine.extra = ("-qmp", f"unix:{qmp},server=on,wait=off")
        process = subprocess.Popen([*self.machine.command(), "-incoming", f"unix:{way}"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=open(self.directory / f"qemu{self.moves}.log", "wb"),
                                   pass_fds=[self.tap_fd])
        try:
            until(lambda: listening(way) or process.poll() is not None, "the second QEMU starts")
            self.qmp("migrate", uri=f"unix:{way}")
            status = until(lambda: (found := self.qmp("query-migrate")["status"]) in ("completed", "failed") and found, "migration ends")
            assert status == "completed"
        except BaseException:
            process.kill()
            process.wait()
            raise
        self.process.terminate()
        self.process.wait()
        self.process, self.qmp_path = process, qmp
        self.console = Console(process, self.directory / f"console{self.moves}.log")

    # --- ways ----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def mtu(self, size):
        """Another MTU on both sides while the body runs."""
        self._set_mtu(size)
        try:
            yield
        finally:
            self._set_mtu(1500)

    def _set_mtu(self, size):
        netns.ip("link", "set", self.tap, "mtu", str(size))
        if self.cat("/sys/class/net/eth0/mtu").strip() != str(size):
            self.sh(f"busybox ip link set eth0 mtu {size}")
            self.wait_link()

    @contextlib.contextmanager
    def vlan(self, number, mtu=1500):
        """A VLAN between both sides while the body runs; yields the guest's address in it."""
        name = f"eth0.{number}"
        port = VlanPort(f"{self.tap}v{number}", self.tap, number, f"10.8.{number}.1", mtu)
        try:
            self.sh(f"busybox ip link add link eth0 name {name} type vlan id {number}; "
                    f"busybox ip addr add 10.8.{number}.2/24 dev {name}; busybox ip link set {name} up")
            yield f"10.8.{number}.2"
        finally:
            self.sh(f"busybox ip link del {name}", check=False)
            port.close()

    @contextlib.contextmanager
    def way(self, number, mtu=1500):
        """A VLAN, or none (None); yields the guest's address there."""
        if number is None:
            yield self.ip
        else:
            with self.vlan(number, mtu) as address:
                yield address

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


class Stream:
    """A TCP connection to an echo in the guest, in use while the body runs: 16 KB go there and come back, again and again."""

    def __init__(self, guest, port=5001):
        self.guest, self.port = guest, port
        self.rounds, self.error, self.stopped = 0, None, threading.Event()

    def __enter__(self):
        self.job = self.guest.background(f"busybox nc -l -p {self.port} -e busybox cat")
        self.job.__enter__()
        self.sock = connect(self.guest, self.port)
        self.sock.settimeout(PATIENCE)  # frames that a change loses come after a retransmission, whose timer doubles
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        self.goes_on()
        return self

    def _run(self):
        chance = random.Random(self.port)
        try:
            while not self.stopped.is_set():
                data, back = chance.randbytes(1 << 14), b""
                self.sock.sendall(data)
                while len(back) < len(data):
                    part = self.sock.recv(1 << 16)
                    assert part, "closed"
                    back += part
                assert back == data, "other bytes came back"
                self.rounds += 1
        except (OSError, AssertionError) as error:
            self.error = error

    def goes_on(self):
        """Wait for one whole round that begins now."""
        wanted = self.rounds + 2
        until(lambda: self.rounds >= wanted or self.error, lambda: f"the TCP stream goes on after {self.rounds} rounds",
              2 * PATIENCE)
        assert self.error is None, f"TCP stream: {self.error}"

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join(2 * PATIENCE)
        self.sock.close()
        self.job.__exit__(None, None, None)
        assert self.error is None, f"TCP stream: {self.error}"

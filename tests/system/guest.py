# SPDX-License-Identifier: MIT
"""A guest under QEMU with a TAP device, seen from outside: its console, its files, its frames, host sockets next to it."""

import contextlib
import itertools
import json
import os
import re
import signal
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from scapy.all import ARP, ICMP, IP, UDP, Ether, conf, rdpcap

from console import Console, ConsoleError
from parsers import key_values, parse_snmp, parse_table, parse_trace
from patience import PATIENCE, until
from softnet import netns
from softnet.qemu import Machine

_numbers = itertools.count(1)
conf.verb = 0
TRACING = "/sys/kernel/debug/tracing"
PCAP_HEAD = 24  # bytes before the first record of a capture
RECORD_HEAD = 16  # bytes of a record before its frame
SO_RCVBUFFORCE = 33  # SO_RCVBUF beyond the machine's limit, for who may


class Guest:
    """One running guest. Networks of guests made in one process differ in the third byte: 10.9.N.0/24."""

    capture = True  # QEMU writes all frames to pcap_path
    vnet_hdr = False  # the TAP leaves segmentation and checksums to the host, for a NIC that knows how to ask for it
    iperf_program = "/deb/iperf3"  # where the initramfs has it, see debian_tools

    def __init__(self, machine=None, **options):
        number = next(_numbers)
        self.tap = f"sn{number}"
        self.host_ip = f"10.9.{number}.1"
        self.ip = f"10.9.{number}.2"
        self.directory = Path(tempfile.mkdtemp(prefix="softnet-"))
        self.pcap_path = self.directory / "wire.pcap"
        self.wire_end = PCAP_HEAD  # as far as its records have been looked at
        self.tap_fd = tap = netns.open_tap(self.tap, self.host_ip, vnet_hdr=self.vnet_hdr)
        self.machine = machine or Machine(**options)
        self.machine.netdev, descriptors = self.backend(tap)
        self.machine.address, self.machine.gateway = self.ip, self.host_ip
        self.machine.pcap = str(self.pcap_path) if self.capture else ""
        self.mac = self.machine.mac
        self.host_mac = Path(f"/sys/class/net/{self.tap}/address").read_text().strip() \
            if os.path.exists(f"/sys/class/net/{self.tap}/address") else _interface_mac(self.tap)
        self.process = subprocess.Popen(self.machine.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=open(self.directory / "qemu.log", "wb"), pass_fds=descriptors)
        self.console = Console(self.process, self.directory / "console.log")
        try:
            self.console.wait_for(r"^softnet# ", 2 * PATIENCE)
        except ConsoleError as error:
            self.close()
            log = (self.directory / "qemu.log").read_text(errors="replace")[-1000:]
            raise ConsoleError(f"{error}\nQEMU said: {log}\ncommand: {' '.join(self.machine.command())}") from error
        self.boot_log = self.console.text
        self.broken = False
        until(lambda: any(row["port"] == 7 for row in self.udp_sockets()), "the echo server, which init starts before the shell, is there")

    def backend(self, tap):
        """QEMU's netdev between the NIC and our TAP, and the descriptors that QEMU gets."""
        return f"tap,fd={tap}", [tap]

    # --- console -------------------------------------------------------------------------------------------------

    def sh(self, line, timeout=PATIENCE, check=True):
        """Run a shell line in the guest; returns its output. A status other than 0 fails unless check is off."""
        status, output = self.console.command(line, timeout)
        if check and status:
            raise AssertionError(f"guest: '{line}' ended with {status}: {output[-800:]}")
        return output

    def status(self, line, timeout=PATIENCE):
        """Run a shell line; returns (exit status, output)."""
        return self.console.command(line, timeout)

    def cat(self, path, timeout=PATIENCE):
        """The contents of a text file in the guest."""
        return self.sh(f"cat {path}", timeout)

    def write(self, path, text):
        """Write one line to a file in the guest."""
        self.sh(f"echo '{text}' > {path}")

    @contextlib.contextmanager
    def setting(self, name, value):
        """That file of /proc/sys/net says so while the body runs."""
        path = f"/proc/sys/net/{name}"
        before = self.cat(path).strip()
        self.write(path, value)
        yield
        self.write(path, before)

    def kernel_log(self):
        """The kernel's log without the times: the console's reader drops lines that look like the kernel's."""
        self.sh("busybox dmesg > /tmp/kernel_log")
        return self.sh(r"busybox sed 's/^[^]]*\] *//' /tmp/kernel_log")

    def exists(self, path):
        """Whether a file can be opened in the guest."""
        return self.status(f"cat {path} > /dev/null")[0] == 0

    @contextlib.contextmanager
    def background(self, line, ready=None, timeout=PATIENCE):
        """Run a program in the background while the body runs; wait for `ready` on the console first; kill it at the end."""
        begin = self.console.position()
        output = self.sh(f"{line} & echo __job $!")
        pid = int(re.search(r"__job (\d+)", output).group(1))
        found = self.console.wait_for(ready, timeout, begin) if ready else None
        try:
            yield Job(self, pid, begin, found)
        finally:
            if not self.console.ended:
                self.sh(f"kill -9 {pid} ; wait {pid}", check=False)

    # --- counters ------------------------------------------------------------------------------------------------

    def snmp(self):
        """/proc/net/snmp as {"Udp": {"NoPorts": 1, …}, …}."""
        return parse_snmp(self.cat("/proc/net/snmp"))

    def interrupts(self):
        """/proc/interrupts as {name: [count per CPU]}; the name is the line's last word."""
        return parse_table(self.cat("/proc/interrupts"), name_last=True)

    def irq_numbers(self):
        """{action name: interrupt number} of /proc/interrupts."""
        lines = self.cat("/proc/interrupts").splitlines()
        return {line.split()[-1]: int(line.split(":")[0]) for line in lines if re.match(r"\s*\d+:", line)}

    def queue_interrupts(self):
        """Interrupts so far of eth0's queue vectors, all CPUs together."""
        return sum(sum(counts) for name, counts in self.interrupts().items() if name.startswith("eth0-"))

    def cpu_times(self):
        """/proc/stat as {CPU: {"user": ticks, "system": …, "irq": …, "softirq": …}}."""
        rows = {}
        for line in self.cat("/proc/stat").splitlines():
            if match := re.match(r"cpu(\d+) (.*)", line):
                rows[int(match.group(1))] = dict(zip("user nice system idle iowait irq softirq".split(), map(int, match.group(2).split())))
        return rows

    def softirqs(self):
        """/proc/softirqs as {"NET_RX": [per CPU], …}."""
        return parse_table(self.cat("/proc/softirqs"))

    def softnet(self):
        """/proc/net/softnet_stat: a list of columns per CPU."""
        return [[int(word, 16) for word in line.split()] for line in
                self.cat("/proc/net/softnet_stat").splitlines() if line.strip()]

    def netdev(self, device="eth0"):
        """A device's line of /proc/net/dev."""
        names = ("rx_bytes rx_packets rx_errs rx_drop rx_fifo rx_frame rx_compressed rx_multicast "
                 "tx_bytes tx_packets tx_errs tx_drop tx_fifo tx_colls tx_carrier tx_compressed").split()
        for line in self.cat("/proc/net/dev").splitlines():
            name, _, rest = line.partition(":")
            if name.strip() == device:
                return dict(zip(names, map(int, rest.split())))
        raise AssertionError(f"no {device} in /proc/net/dev")

    def slabs(self):
        """{cache: active objects} of /proc/slabinfo."""
        return {line.split()[0]: int(line.split()[1]) for line in self.cat("/proc/slabinfo").splitlines()
                if re.match(r"\S+ +\d+ +\d+ ", line)}

    def udp_sockets(self):
        """/proc/net/udp as a list of dicts."""
        rows = []
        for line in self.cat("/proc/net/udp").splitlines():
            words = line.split()
            if len(words) >= 13 and words[0].endswith(":") and words[0] != "sl":
                address, port = words[1].split(":")
                queues = words[4].split(":")
                rows.append({"local": address, "port": int(port, 16), "state": words[3], "tx_queue": int(queues[0], 16),
                             "rx_queue": int(queues[1], 16), "drops": int(words[12])})
        return rows

    def udp_socket(self, port):
        """The socket bound to a port in /proc/net/udp."""
        return next(row for row in self.udp_sockets() if row["port"] == port)

    def task(self, pid):
        """State letter, CPU, wait channel and switches of a task."""
        stat = self.cat(f"/proc/{pid}/stat").strip().splitlines()[-1]
        rest = stat[stat.rindex(")") + 2:].split()
        status = dict(re.findall(r"^(\w+):\s+(.*)$", self.cat(f"/proc/{pid}/status"), re.M))
        return {"comm": stat[stat.index("(") + 1:stat.rindex(")")], "state": rest[0], "cpu": int(rest[36]),
                "utime": int(rest[11]), "stime": int(rest[12]),
                "wchan": self.cat(f"/proc/{pid}/wchan").strip(),
                "voluntary": int(status.get("voluntary_ctxt_switches", -1)),
                "involuntary": int(status.get("nonvoluntary_ctxt_switches", -1))}

    def asleep(self, pid, where):
        """Wait until a task sleeps in that function of the kernel."""
        until(lambda: (task := self.task(pid))["state"] == "S" and task["wchan"].lstrip("_").endswith(where), f"{pid} sleeps in {where}")

    def freed(self):
        """Wait until what was closed is freed: the thread that runs the callbacks of grace periods has nothing to do."""
        self.asleep(self.pids("rcu_sched")[0], "rcu_main")

    def pids(self, comm):
        """Pids of tasks of that name, by ps."""
        return [int(line.split()[0]) for line in self.sh("ps").splitlines() if line.split()[-1:] == [comm]]

    # --- debugfs -------------------------------------------------------------------------------------------------

    def debug(self, name):
        """Text of a file under /sys/kernel/debug."""
        return self.cat(f"/sys/kernel/debug/{name}")

    def debug_rows(self, name):
        """The lines of a debugfs file as dicts of their name=value fields; "_" holds the words without "="."""
        return [key_values(line) for line in self.debug(name).splitlines() if line.strip()]

    def sockets(self, port=None):
        """The socket dump: list of dicts with "waits"; only those bound to `port` if given."""
        found = []
        for row in self.debug_rows("net/sockets"):
            if "wait" in row:
                found[-1]["waits"].append(row)
            elif "sk" in row:
                found.append(dict(row, waits=[]))
        return [row for row in found if port is None or row["local"].endswith(f":{port}")]

    def hook(self, text):
        """Write a test hook (debug kernel)."""
        self.write("/sys/kernel/debug/test/hooks", text)

    @contextlib.contextmanager
    def trace(self, events="*"):
        """Record events while the body runs; the yielded Trace has its records afterwards."""
        self.sh(f"echo 0 > {TRACING}/tracing_on; echo '!*' > {TRACING}/set_event; echo '{events}' > {TRACING}/set_event; "
                f"echo > {TRACING}/trace; echo 1 > {TRACING}/tracing_on")
        recording = Trace()
        yield recording
        self.sh(f"echo 0 > {TRACING}/tracing_on")
        recording.records = parse_trace(self.cat(f"{TRACING}/trace", 2 * PATIENCE))

    # --- network -------------------------------------------------------------------------------------------------

    def udp(self, port=0, timeout=PATIENCE, connect=None):
        """A host UDP socket on the guest's network."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        with contextlib.suppress(PermissionError):
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
        sock.bind((self.host_ip, port))
        sock.settimeout(timeout)
        if connect:
            sock.connect((self.ip, connect))
        return sock

    def echo(self, payload=b"hello", port=7):
        """One exchange with the guest's echo server."""
        with self.udp(connect=port) as sock:
            sock.send(payload)
            return sock.recv(65536)

    def ping(self, count=1, size=56, timeout=PATIENCE):
        """Round trips answered whole, by the host's ping. One by one: a ping of several gives up early on the later ones of them."""
        answered = 0
        for _ in range(count):
            done = subprocess.run(["ping", "-n", "-q", "-c", "1", "-s", str(size), "-W", str(timeout), self.ip],
                                  capture_output=True, text=True, check=False)
            answered += " 1 received" in done.stdout and "wrong data" not in done.stdout
        return answered

    def answers(self):
        """Ping until there is an answer: the link may still be coming up."""
        until(lambda: self.ping(timeout=1), lambda: f"the guest answers pings; its console ends with\n{self.console.text[-3000:]}")

    def raw_socket(self):
        """An AF_PACKET socket on the TAP: what is sent goes to the guest, what is received came from either side."""
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        sock.bind((self.tap, 0))
        return sock

    def send_frames(self, frames, gap=0.0):
        """Put raw frames (bytes or scapy packets) on the wire towards the guest."""
        with self.raw_socket() as sock:
            for frame in frames:
                data = bytes(frame)
                while True:
                    try:
                        sock.send(data)
                        break
                    except BlockingIOError:
                        time.sleep(0.001)
                    except OSError as error:
                        if error.errno != 105:  # ENOBUFS: the TAP's queue is full
                            raise
                        time.sleep(0.001)
                if gap:
                    time.sleep(gap)

    def put(self, frames, gap=0.0):
        """send_frames(), and wait until the NIC has been handed all of them."""
        since = self.wire_position()
        self.send_frames(frames, gap)
        until(lambda: len(self.wire(since, to_guest=True)) >= len(frames), "all frames have come through the TAP")

    def deliver(self, frames, gap=0.0):
        """send_frames() of frames that the NIC takes, and wait until the driver has handed all of them to the stack."""
        wanted = self.netdev()["rx_packets"] + len(frames)
        self.send_frames(frames, gap)
        until(lambda: self.netdev()["rx_packets"] >= wanted, "the driver has all frames")

    @contextlib.contextmanager
    def frozen(self):
        """QEMU stands still while the body runs, so that what the body sends arrives at once."""
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    def frame(self, payload=b"x", dport=7, sport=4000, **ip_options):
        """An Ethernet frame with a UDP datagram for the guest, addressed so that answers come to the host."""
        return Ether(dst=self.mac, src=self.host_mac) / IP(src=self.host_ip, dst=self.ip, **ip_options) / \
            UDP(sport=sport, dport=dport) / payload

    @contextlib.contextmanager
    def sniff(self, only_guest=True):
        """Frames on the wire while the body runs, and until a ping that follows is answered, in the yielded list."""
        packets, since = [], self.wire_position()
        yield packets
        assert self.ping() == 1, "the guest does not answer pings"
        for when, frame in self._records(since):
            packet = Ether(frame)
            packet.time = when
            if not only_guest or packet.src == self.mac:
                packets.append(packet)

    def exchange(self, frames, answers=0):
        """Send raw frames, wait for so many (an ARP request, which may come at any time, is none), and for what else comes before the
        answer to a ping that follows. Returns what the guest sent, without answers to pings."""
        def answered():
            return sum(frame[12:14] + frame[20:22] != b"\x08\x06\x00\x01" for frame in self.wire(since, to_guest=False))

        with self.sniff() as packets:
            since = self.wire_position()
            self.send_frames(frames)
            until(lambda: answered() >= answers, f"{answers} answers")
        return [packet for packet in packets if not (ICMP in packet and packet[ICMP].type == 0)]

    def pcap(self):
        """All frames so far of QEMU's own capture."""
        return rdpcap(str(self.pcap_path))

    def wire_position(self):
        """Where the last whole record of QEMU's capture ends now: wire() from there on sees what comes later."""
        with open(self.pcap_path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            while file.seek(self.wire_end) + RECORD_HEAD <= size:
                end = self.wire_end + RECORD_HEAD + struct.unpack("<8xI4x", file.read(RECORD_HEAD))[0]
                if end > size:
                    break  # being written
                self.wire_end = end
        return self.wire_end

    def _records(self, since):
        """(time, frame) of each frame of QEMU's capture from there on."""
        with open(self.pcap_path, "rb") as file:
            file.seek(since)
            data = file.read()
        at = 0
        while at + RECORD_HEAD <= len(data):
            seconds, microseconds, length = struct.unpack_from("<III", data, at)
            if at + RECORD_HEAD + length > len(data):
                break  # being written
            yield seconds + microseconds / 1e6, data[at + RECORD_HEAD:at + RECORD_HEAD + length]
            at += RECORD_HEAD + length

    def wire(self, since=PCAP_HEAD, to_guest=None):
        """All frames of QEMU's capture, or those from a wire_position() on, or those of one direction, as bytes (much faster than
        pcap())."""
        ours = bytes.fromhex(self.mac.replace(":", ""))
        return [frame for _, frame in self._records(since) if to_guest is None or to_guest == (frame[6:12] != ours)]

    def up(self, device):
        """Open a device again, with the default route that closing eth0 has taken away (as on Linux), and wait for its link."""
        self.sh(f"ip {device} up")
        if device == "eth0":
            self.sh(f"/bin/busybox route add default gw {self.host_ip}")
        until(lambda: self.cat(f"/sys/class/net/{device}/carrier").strip() == "1", f"{device} has a link")

    def resolve(self):
        """Make both sides know each other's MAC for a while, so that no ARP comes between; nothing is under way afterwards."""
        self.answers()
        netns.ip("neigh", "replace", self.ip, "lladdr", self.mac, "dev", self.tap, "nud", "permanent")
        self.send_frames([Ether(dst=self.mac, src=self.host_mac) / ARP(
            op=2, hwsrc=self.host_mac, psrc=self.host_ip, hwdst=self.mac, pdst=self.ip)])
        assert self.ping() == 1, "the guest does not answer pings"

    # --- iperf3 --------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def iperf_server(self):
        """iperf3's server in the guest while the body runs."""
        with self.background(f"{self.iperf_program} -s --logfile /tmp/iperf.log"):
            yield

    def iperf(self, *words, address=None, timeout=PATIENCE):
        """One run of iperf3's client on the host, as the dict that it reports."""
        command = ["iperf3", "-J", "-c", address or self.ip, *map(str, words)]
        def run():
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
            found = json.loads(done.stdout)
            # Else the server is not there yet, or still at work for the last client.
            return None if re.search("unable to connect|busy|control message: Connection reset", found.get("error", "")) else found

        report = until(run, "iperf3's server serves")
        assert "error" not in report, f"{' '.join(command)}: {report['error']}"
        return report

    # --- end -----------------------------------------------------------------------------------------------------

    def close(self):
        """End QEMU (killed by its own pid) and drop the namespace's TAP with it."""
        if self.tap_fd is not None:
            os.close(self.tap_fd)
            self.tap_fd = None
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Job:
    """A program running in the background of the guest."""

    def __init__(self, guest, pid, begin, found):
        self.guest, self.pid, self.begin, self.found = guest, pid, begin, found

    def wait_for(self, pattern, timeout=PATIENCE):
        """Wait for a line of its output."""
        return self.guest.console.wait_for(pattern, timeout, self.begin)

    def output(self):
        """The console since it was started."""
        return self.guest.console.text[self.begin:]


class Trace:
    """Records of one trace, each a dict: comm, pid, cpu, ctx, time, event and the event's fields."""

    def __init__(self):
        self.records = []

    def of(self, *events, **fields):
        """Records of these events (any, if none named) whose fields have these values."""
        return [record for record in self.records if (not events or record["event"] in events)
                and all(record.get(name) == str(value) for name, value in fields.items())]

    def one(self, *events, **fields):
        """The only such record."""
        found = self.of(*events, **fields)
        assert len(found) == 1, f"expected one {events} {fields}, got {found}"
        return found[0]

    def packet(self, skb):
        """All records of one packet, in order."""
        return self.of(skb=skb)

    def order(self, *events):
        """Assert that the events happen in this order (others may come between); returns their records."""
        found, at = [], 0
        for event in events:
            name, wanted = event if isinstance(event, tuple) else (event, {})
            while at < len(self.records):
                record = self.records[at]
                at += 1
                if record["event"] == name and all(record.get(k) == str(v) for k, v in wanted.items()):
                    found.append(record)
                    break
            else:
                names = [record["event"] for record in self.records]
                raise AssertionError(f"{name} {wanted} does not follow {[f['event'] for f in found]} in {names}")
        return found


def _interface_mac(name):
    """A device's MAC when /sys shows another namespace's devices."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((name, 0))
        return ":".join(f"{byte:02x}" for byte in sock.getsockname()[4])

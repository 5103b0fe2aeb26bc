# SPDX-License-Identifier: MIT
"""Every way in which a connection ends, with the host's TCP as the peer: what goes over the wire, and that tshark finds no fault in it."""

import re
import socket
import struct
import subprocess
import time

import pytest
from scapy.all import IP, TCP, wrpcap

from patience import PATIENCE, until

WARNING = 0x600000  # tshark's levels: chat, note, warning, error
# A reset is a warning of its own, and here it is meant; so is the report of a duplicate, when the host was impatient. The capture may
# lack packets on a busy machine: no analysis of sequences.
FAULTS = "tcp.checksum.status == 0 || ip.checksum.status == 0 || _ws.malformed || " \
    f"(_ws.expert.severity >= {WARNING} && tcp.flags.reset == 0 && !tcp.options.sack.dsack)"


@pytest.fixture(scope="module")
def captured():
    """The packets of this file's connections."""
    return []


def reset(sock):
    """Close with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def to_the_end(sock):
    """Read until the end of the stream; then close."""
    while sock.recv(65536):
        pass
    sock.close()


def answer_long(sock):
    """The guest has shut down its side only: it still reads."""
    assert sock.recv(10) == b""
    sock.sendall(b"m" * 200000)
    sock.close()


def send_late(sock):
    """Send after the guest has closed: its answer is RST."""
    assert sock.recv(10) == b""
    end = time.monotonic() + PATIENCE
    with pytest.raises(OSError):
        while time.monotonic() < end:
            sock.sendall(b"late")
            time.sleep(0.02)
    sock.close()


def expect_reset(sock):
    """The guest's end is a reset."""
    with pytest.raises(ConnectionResetError):
        while sock.recv(65536):
            pass
    sock.close()


def unread(sock):
    """The guest closes with these bytes unread."""
    sock.sendall(b"unread")
    expect_reset(sock)


# way of the guest: (what the host does, flags that the guest sends besides ACK, last word of the guest)
MATRIX = {
    "close": (to_the_end, "F", "closed"),
    "last": (socket.socket.close, "F", "end 0"),
    "half": (answer_long, "F", "end 200000"),
    "rdwr": (to_the_end, "F", "end 0"),
    "both": (socket.socket.close, "F", "closed"),
    "linger": (expect_reset, "R", "closed"),
    "unread": (unread, "R", "closed"),
    "late": (send_late, "FR", "closed"),
    "reset": (reset, "", "end 0 Connection reset by peer"),
}


@pytest.mark.row("G-01", "G-02", "G-04", "G-05", "G-06")
@pytest.mark.parametrize("way", MATRIX)
def test_close_matrix(guest, captured, way):
    """Each end of a connection in a capture: the flags are as they should be."""
    guest.resolve()
    act, flags, word = MATRIX[way]
    with socket.create_server((guest.host_ip, 0)) as server, guest.sniff(only_guest=False) as packets:
        server.settimeout(PATIENCE)
        port = server.getsockname()[1]
        with guest.background(f"tcpclose {guest.host_ip} {port} {'last' if way == 'reset' else way}") as job:
            peer, _ = server.accept()
            peer.settimeout(PATIENCE)
            assert peer.recv(5) == b"hello"
            peer.sendall(b"ready")
            act(peer)
            job.wait_for(word)
            job.wait_for("closed")
    packets = [packet for packet in packets if TCP in packet and port in (packet[TCP].sport, packet[TCP].dport)]
    ours = [packet[TCP] for packet in packets if packet[IP].src == guest.ip]
    assert str(ours[0].flags) == "S"
    for flag in "FR":
        sent = [segment for segment in ours if flag in str(segment.flags)]
        assert bool(sent) == (flag in flags), (flag, [str(segment.flags) for segment in ours])
    captured += packets


@pytest.mark.row("G-02")
def test_tshark_finds_no_fault(captured, tmp_path):
    """Checksums on: no packet of the matrix is malformed, wrong, or worth a warning of tshark's."""
    if not captured:
        pytest.skip("the matrix was not run")
    wrpcap(str(tmp_path / "ends.pcap"), captured)
    # What the connections carry is of no protocol, whatever a port that came by chance stands for.
    done = subprocess.run(["tshark", "-r", tmp_path / "ends.pcap", "-d", "tcp.port==0-65535,data",
                           "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
                           "-o", "tcp.analyze_sequence_numbers:FALSE", "-Y", FAULTS], capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.row("G-07")
def test_time_wait_is_seen(guest):
    """Who closes first keeps the port: TIME_WAIT in /proc/net/tcp with its timer, counted in sockstat, without a socket."""
    guest.resolve()
    with socket.create_server((guest.host_ip, 0)) as server:
        port = server.getsockname()[1]
        with guest.background(f"tcpclose {guest.host_ip} {port} close") as job:
            peer, _ = server.accept()
            peer.recv(5)
            peer.sendall(b"ready")
            to_the_end(peer)
            job.wait_for("closed")

        def waiting():
            rows = [line.split() for line in guest.cat("/proc/net/tcp").splitlines() if f":{port:04X} " in line]
            return rows and rows[0][3] == "06" and rows

        rows = until(waiting, "the connection is in TIME_WAIT")
        assert rows[0][5].startswith("03:") and rows[0][9] == "0"
        assert re.search(r"^TCP: inuse \d+ orphan \d+ tw [1-9]", guest.cat("/proc/net/sockstat"), re.M)

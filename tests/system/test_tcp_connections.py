# SPDX-License-Identifier: MIT
"""TCP connections with the host's own TCP as the peer: handshakes, queues, close, memory, many at once."""

import contextlib
import socket
import struct
from pathlib import Path

import pytest
from scapy.all import IP, TCP, Ether

from patience import PATIENCE, steady, until


def parse_tcp(guest):
    """/proc/net/tcp: (local port, remote port, state, rx_queue, timer) of each line."""
    rows = []
    for line in guest.cat("/proc/net/tcp").splitlines():
        words = line.split()
        if len(words) > 9 and words[0].endswith(":") and words[0] != "sl":
            rows.append({"lport": int(words[1].split(":")[1], 16), "rport": int(words[2].split(":")[1], 16),
                         "state": int(words[3], 16), "rx": int(words[4].split(":")[1], 16), "timer": words[5].split(":")[0]})
    return rows


def ext(guest):
    """The TcpExt counters of /proc/net/netstat."""
    lines = [line.split() for line in guest.cat("/proc/net/netstat").splitlines() if line.startswith("TcpExt:")]
    return dict(zip(lines[0][1:], map(int, lines[1][1:])))


def dial(guest, port):
    """A connection of the host's to the guest."""
    return socket.create_connection((guest.ip, port), PATIENCE)


@contextlib.contextmanager
def serving(guest):
    """A listening socket of the host's on the guest's network."""
    with socket.create_server((guest.host_ip, 0)) as server:
        server.settimeout(PATIENCE)
        yield server


@pytest.mark.linux
@pytest.mark.row("H-01")
def test_echo_with_the_hosts_tcp(guest):
    """Handshake, data both ways, end of stream, close."""
    with guest.background("tcppeer echo 6100", ready=r"listening 6100"):
        with dial(guest, 6100) as sock:
            blob = bytes(range(256)) * 200
            sock.sendall(blob)
            got = b""
            while len(got) < len(blob):
                got += sock.recv(65536)
            assert got == blob
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(10) == b""


@pytest.fixture
def host_asks_for_ecn():
    """The host's connections want explicit congestion notification, as few systems' do by default."""
    wanted = {Path("/proc/sys/net/ipv4/tcp_ecn"): "1", Path("/proc/sys/net/ipv4/tcp_ecn_fallback"): "0"}  # not even a SYN sent again does without
    before = {setting: setting.read_text() for setting in wanted}
    for setting, value in wanted.items():
        setting.write_text(value)
    yield
    for setting, value in before.items():
        setting.write_text(value)


@pytest.mark.linux
@pytest.mark.usefixtures("host_asks_for_ecn")
def test_ecn_is_agreed_on(guest):
    """A peer that asks for ECN gets it (tcp_ecn is 2), and the guest's data is marked as able to bear a congestion mark."""
    agreed, seen = 8, 16  # of tcp_info's options, its byte 5
    with guest.background("tcppeer echo 6104", ready=r"listening 6104"):
        with dial(guest, 6104) as sock:
            sock.sendall(b"marked")
            assert sock.recv(10) == b"marked"
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[5] & (agreed | seen) == agreed | seen


@pytest.mark.linux
@pytest.mark.row("C-04")
def test_connect_to_the_host(guest):
    """The guest connects; a SYN with MSS, SACK, timestamps and window scale; nobody there: ECONNREFUSED."""
    with serving(guest) as server, guest.sniff() as packets:
        port = server.getsockname()[1]
        with guest.background(f"tcppeer connect {guest.host_ip} {port}", ready=r"connected (\d+)") as job:
            peer, _ = server.accept()
            with peer:
                assert peer.recv(100) == b"echo"
                peer.sendall(b"right")
                job.wait_for(r"answer right")
    syn = next(p for p in packets if TCP in p and p[TCP].flags == "S")
    names = [name for name, _ in syn[TCP].options]
    assert dict(syn[TCP].options)["MSS"] == 1460 and {"SAckOK", "Timestamp", "WScale"} <= set(names)
    assert "connect: Connection refused" in guest.sh(f"tcppeer connect {guest.host_ip} 1")


@pytest.mark.linux
@pytest.mark.row("L-01", "L-02")
def test_loopback_and_own_address(guest):
    """127.0.0.1 and the guest's own address go through lo: nothing of it on the wire."""
    with guest.background("tcppeer echo 6101", ready=r"listening 6101"), guest.sniff() as packets:
        before = guest.netdev("lo")["rx_packets"]
        for address in ("127.0.0.1", guest.ip):
            assert "answer echo" in guest.sh(f"tcppeer connect {address} 6101")
        until(lambda: guest.netdev("lo")["rx_packets"] >= before + 16, "both connections, and their ends, went through lo")
    assert not [p for p in packets if TCP in p and 6101 in (p[TCP].sport, p[TCP].dport)]


@pytest.mark.row("O-01", "N-04")
def test_accept_queue_overflows(guest):
    """backlog 1 holds two; the host believes that the third is connected too; counters and both dumps say so."""
    def listener_row():
        return next(r for r in guest.debug_rows("net/listen") if r["local"].endswith(":6102"))

    def grown():
        now = ext(guest)
        return [now[name] - before[name] for name in ("ListenOverflows", "ListenDrops")]

    before = ext(guest)
    with guest.background("tcppeer listen 6102 1", ready=r"listening 6102"), contextlib.ExitStack() as stack:
        for number in range(2):
            stack.enter_context(dial(guest, 6102))
            until(lambda number=number: listener_row()["ack_backlog"] == str(number + 1), "it waits to be accepted")
        stack.enter_context(dial(guest, 6102))
        until(lambda: grown()[0] > 0, "the queue overflows")
        row = listener_row()
        assert (row["ack_backlog"], row["max_ack_backlog"], row["qlen"], row["nr_table_entries"]) == ("2", "1", "1", "16")
        lines = parse_tcp(guest)
        listener = next(r for r in lines if r["lport"] == 6102 and r["state"] == 10)
        assert listener["rx"] == 2 and len([r for r in lines if r["lport"] == 6102 and r["state"] == 3]) == 1
    until(lambda: len(set(grown())) == 1, "each overflow is a drop")


@pytest.mark.linux
@pytest.mark.row("G-02")
def test_resets(guest):
    """A closed port refuses; a forged segment for no connection is answered with RST; the host's RST ends a connection."""
    with pytest.raises(ConnectionRefusedError):
        dial(guest, 6199)
    guest.resolve()
    stray = Ether(dst=guest.mac, src=guest.host_mac) / IP(src=guest.host_ip, dst=guest.ip) / \
        TCP(sport=4321, dport=6198, flags="A", seq=1, ack=77)
    answers = [p for p in guest.exchange([stray], 1) if TCP in p and p[TCP].dport == 4321]
    assert [(str(p[TCP].flags), p[TCP].seq) for p in answers] == [("R", 77)]
    with guest.background("tcppeer echo 6103", ready=r"listening 6103"):
        sock = dial(guest, 6103)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        port = sock.getsockname()[1]
        sock.close()  # RST
        until(lambda: not [r for r in parse_tcp(guest) if (r["lport"], r["rport"]) == (6103, port)], "it is gone")
        with dial(guest, 6103) as again:
            again.sendall(b"alive")
            assert again.recv(10) == b"alive"


def held(guest):
    """Slab bytes in use: {cache: objects × object size}."""
    sizes = {}
    for line in guest.cat("/proc/slabinfo").splitlines():
        words = line.split()
        if len(words) > 5 and words[1].isdigit():
            sizes[words[0]] = int(words[1]) * int(words[3])
    return sizes


@pytest.mark.row("Y-01", "Y-02")
def test_memory_of_idle_connections(guest):
    """At most 2 KiB in all objects for an idle connection that was accepted."""
    count = 999
    with guest.background("tcppeer hold 6104 128", ready=r"listening 6104") as job, contextlib.ExitStack() as stack:
        stack.enter_context(dial(guest, 6104))
        job.wait_for(r"held 1\b")
        before = held(guest)
        for _ in range(count):
            stack.enter_context(dial(guest, 6104))
        job.wait_for(rf"held {count + 1}\b")
        after = steady(lambda: held(guest), "memory")
    grown = {name: (after[name] - before.get(name, 0)) / count for name in after
             if after[name] - before.get(name, 0) >= 16 * count}
    print(f"bytes per connection: {sum(grown.values()):.0f} in {grown}")
    assert {"TCP", "sock_inode_cache", "filp", "dentry"} <= set(grown)
    assert sum(grown.values()) <= 2048


@pytest.mark.row("Z-01", "K-06")
def test_ten_thousand_connections(guests):
    """In a guest with 256 MiB: all accepted, chains short, memory given back at the end."""
    guest = guests.boot(memory="256M")
    try:
        count = 10000
        with guest.background("tcppeer hold 6105 128", ready=r"listening 6105") as job, contextlib.ExitStack() as stack:
            for _ in range(count):
                stack.enter_context(dial(guest, 6105))
            job.wait_for(r"held 10000\b")
            table = guest.debug_rows("net/tcp_table")[0]
            assert int(table["sockets"]) >= count and int(table["max_chain"]) < 16
        assert guest.ping(1) == 1
    finally:
        guest.close()

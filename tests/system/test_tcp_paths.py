# SPDX-License-Identifier: MIT
"""Which way a packet goes: loopback next to the wire, TCP's receive and send chains, interrupts and copies (rows L, W, T, H)."""

import itertools
import re
import socket

import pytest

from patience import PATIENCE, until

LOCAL = "sys_* sock_* ip_* net_dev_* netif_* napi_* softirq_* irq_handler_entry igb_* tcp_* sched_wakeup wake_func " \
    "inet_csk_accept arp_send skb_copy_*"
TASK_OUT = ("sock_sendmsg", "ip_output", "net_dev_queue")
LOW_LATENCY = ("ipv4/tcp_low_latency", "1")  # segments go to the socket in the softirq, not to a reader that sleeps (the book's figures)


def receive(sock, size):
    """Exactly so many bytes."""
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        assert part, "the stream has ended"
        data += part
    return data


def names(records):
    """The events' names, one after the other."""
    return [record["event"] for record in records]


@pytest.mark.row("L-04", "L-05", "L-06", "L-07", "L-08")
def test_local_path(guest1):
    """A datagram for 127.0.0.1: ip_output → dev_queue_xmit on lo, no queue → netif_rx → backlog NAPI → ip_rcv, without hard interrupt."""
    guest = guest1
    rows = guest.debug_rows("net/netdev")
    at = next(n for n, row in enumerate(rows) if row["_"][:1] == ["lo"])
    assert rows[at]["start_xmit"] == "loopback_xmit"
    parts = list(itertools.takewhile(lambda row: row["indent"], rows[at + 1:]))
    assert not [row for row in parts if "txq" in row], "lo has no queue"
    before, lo = guest.softnet()[0][0], guest.netdev("lo")
    with guest.trace(LOCAL) as trace:
        guest.sh("udpsend 127.0.0.1 7 once")
    way = trace.order("sock_sendmsg", ("ip_output", {"daddr": "127.0.0.1"}), ("net_dev_queue", {"dev": "lo"}), ("netif_rx", {"dev": "lo"}),
                      ("napi_poll", {"poll": "process_backlog"}))
    skb = way[1]["skb"]
    packet = trace.packet(skb)
    assert [name for name in names(packet) if name in ("ip_output", "net_dev_queue", "netif_rx", "netif_receive_skb", "ip_rcv")] == \
        ["ip_output", "net_dev_queue", "netif_rx", "netif_receive_skb", "ip_rcv"]
    assert not {"igb_xmit", "igb_clean_rx", "arp_send"} & set(names(packet))
    received = next(record for record in packet if record["event"] == "ip_rcv")
    sender = next(record for record in packet if record["event"] == "ip_output")
    assert (sender["ctx"], received["ctx"]) == ("process", "softirq")
    assert received["task"] == sender["task"], "the sender's context is borrowed"
    assert guest.softnet()[0][0] > before
    after = guest.netdev("lo")
    assert after["rx_packets"] - lo["rx_packets"] == after["tx_packets"] - lo["tx_packets"] > 0


@pytest.mark.row("L-11")
def test_own_address_is_as_near_as_loopback(guest1):
    """127.0.0.1 and the own address: the same functions in the same order."""
    guest = guest1
    chains = {}
    for address in ("127.0.0.1", guest.ip):
        with guest.trace("sock_sendmsg ip_* net_dev_* netif_* udp_*") as trace:
            guest.sh(f"udpsend {address} 7 same")
        first = trace.of("ip_output", daddr=address)[0]["skb"]
        chains[address] = names(trace.packet(first))
    assert chains["127.0.0.1"] == chains[guest.ip]
    assert len(chains[guest.ip]) >= 6


@pytest.mark.row("L-09", "L-10", "L-12", "R-22")
def test_local_and_remote_layers(guest1):
    """A remote packet passes the same layers as a local one, and the NIC's besides."""
    guest = guest1
    guest.resolve()
    layers = {}
    with guest.udp(9100):
        for address in ("127.0.0.1", guest.host_ip):
            with guest.trace(LOCAL) as trace:
                guest.sh(f"sendmany {address} 9100 1 64")
            out = trace.of("ip_output", daddr=address)[0]
            layers[address] = set(names(trace.packet(out["skb"])))
            trace.order(("sys_enter", {"name": "sendto"}), *TASK_OUT)
    local, remote = layers["127.0.0.1"], layers[guest.host_ip]
    assert {"ip_output", "net_dev_queue", "net_dev_xmit"} <= local & remote
    assert "igb_xmit" in remote - local and "netif_rx" in local - remote
    guest.asleep(guest.pids("udpecho")[0], "wait_for_more_packets")
    with guest.trace(LOCAL) as trace:
        assert guest.echo(b"remote") == b"remote"
    arrival = next(record for record in trace.of("igb_clean_rx") if "udp_rcv" in names(trace.packet(record["skb"])) or
                   "ip_rcv" in names(trace.packet(record["skb"])))
    chain = names(trace.packet(arrival["skb"]))
    order = ["igb_clean_rx", "netif_receive_skb", "ip_rcv", "ip_local_deliver"]
    assert [name for name in chain if name in order] == order
    trace.order(("irq_handler_entry", {"handler": "igb_msix_ring"}), "napi_schedule", "softirq_entry", "igb_clean_rx", "ip_rcv",
                "sock_queue_rcv", "sched_wakeup", ("sys_exit", {"name": "recvfrom"}))


@pytest.mark.row("W-06", "W-11")
def test_tcp_receive_chain(guest1):
    """recvfrom → inet_recvmsg → tcp_recvmsg; the softirq's tcp_v4_rcv appends to the receive queue and wakes the reader."""
    guest = guest1
    guest.resolve()
    with guest.setting(*LOW_LATENCY), guest.background("tcppeer echo 6300", ready=r"listening 6300") as job, \
            socket.create_connection((guest.ip, 6300), PATIENCE) as sock:
        sock.sendall(b"warm")
        assert sock.recv(10) == b"warm"
        guest.asleep(job.pid, "poll_schedule_timeout")
        with guest.trace(LOCAL) as trace:
            sock.sendall(b"measure")
            assert sock.recv(10) == b"measure"
    read = trace.one("sock_recvmsg", prot="tcp_recvmsg")
    assert read["ops"] == "inet_recvmsg"
    chain = trace.order("igb_clean_rx", "ip_rcv", "tcp_v4_rcv", "sock_queue_rcv", "sock_def_readable", "sched_wakeup", "sock_recvmsg")
    assert {record["ctx"] for record in chain[:-1]} == {"softirq"} and chain[-1]["ctx"] == "process"
    assert chain[3]["sk"] == chain[4]["sk"] == read["sk"]


@pytest.mark.row("H-03", "H-06", "C-01", "C-05")
def test_active_handshake(guest1):
    """connect: port, SYN_SENT, SYN; the SYN-ACK makes it ESTABLISHED and is acknowledged."""
    guest = guest1
    guest.resolve()
    with socket.create_server((guest.host_ip, 0)) as server:
        port = server.getsockname()[1]
        with guest.trace(LOCAL) as trace:
            with guest.background(f"tcppeer connect {guest.host_ip} {port}", ready=r"connected (\d+)"):
                server.accept()[0].close()
    trace.order(("sys_enter", {"name": "connect"}), ("tcp_set_state", {"old": "7", "new": "2"}), ("tcp_v4_connect", {"dport": str(port)}),
                ("net_dev_queue", {"dev": "eth0"}), "tcp_v4_rcv", ("tcp_set_state", {"old": "2", "new": "1"}),
                ("net_dev_queue", {"dev": "eth0"}), ("sys_exit", {"name": "connect", "ret": "0"}))


@pytest.mark.row("H-06", "N-04", "H-04")
def test_passive_handshake(guest1):
    """SYN: a request; ACK: the child, ESTABLISHED, the listener's sleeper woken; accept takes it."""
    guest = guest1
    guest.resolve()
    with guest.background("tcppeer hold 6301 5", ready=r"listening 6301") as job:
        guest.asleep(job.pid, "inet_csk_accept")
        with guest.trace(LOCAL) as trace, socket.create_connection((guest.ip, 6301), PATIENCE):
            job.wait_for(r"held 1\b")
    chain = trace.order("tcp_v4_rcv", "tcp_conn_request", ("net_dev_queue", {"dev": "eth0"}), "tcp_v4_rcv", "tcp_check_req",
                        ("tcp_set_state", {"old": "3", "new": "1"}), "sock_def_readable", "sched_wakeup", "inet_csk_accept",
                        ("sys_exit", {"name": "accept"}))
    assert chain[4]["child"] == chain[5]["sk"] == chain[8]["child"]


@pytest.mark.row("N-06")
def test_half_open_table(guest):
    """200 requests hang in a hash table: the chains stay short, and so do the searches."""
    guest.resolve()
    from scapy.all import IP, TCP, Ether
    stranger = guest.host_ip[:-1] + "9"
    frames = [Ether(dst=guest.mac, src=guest.host_mac) / IP(src=stranger, dst=guest.ip) / TCP(sport=2000 + n, dport=6302, flags="S", seq=n)
              for n in range(200)]  # fewer than a ring has room for
    # What ends a request early: that its peer's address cannot be found, and others, in a table that is more than half full.
    guest.sh(f"busybox arp -s {stranger} 02:00:00:00:00:09")
    with guest.setting("core/somaxconn", "500"), guest.setting("ipv4/tcp_max_syn_backlog", "500"), \
            guest.background("tcppeer listen 6302 500", ready=r"listening 6302"):
        guest.deliver(frames)
        row = next(row for row in guest.debug_rows("net/listen") if row["local"].endswith(":6302"))
        before = guest.debug_rows("net/tcp_table")[0]
        guest.deliver(frames)  # each is looked for again
        after = guest.debug_rows("net/tcp_table")[0]
    guest.sh(f"busybox arp -d {stranger}")
    assert row["nr_table_entries"] == "512" and int(row["qlen"]) >= 150
    chains = list(map(int, row["hist"].split(",")))
    assert sum(chains) == 512 and chains[0] < 512 - int(row["qlen"]) // 4
    lookups = int(after["syn_lookups"]) - int(before["syn_lookups"])
    examined = int(after["syn_examined"]) - int(before["syn_examined"])
    assert lookups >= 150 and examined <= 4 * lookups


@pytest.mark.row("T-14")
def test_copies_when_sending(guest):
    """What a program sends by TCP is copied from user memory once, retransmission or not."""
    def copied():
        return int(re.search(r"user_tx_bytes=(\d+)", guest.debug("net/copied")).group(1))
    before = copied()
    blob = b"y" * 40000
    with guest.background("tcppeer echo 6303", ready=r"listening 6303"), socket.create_connection((guest.ip, 6303), PATIENCE) as sock:
        sock.sendall(blob)
        assert receive(sock, len(blob)) == blob
        until(lambda: copied() - before >= len(blob), "the call has returned")
        assert copied() - before == len(blob)


@pytest.mark.row("T-13")
def test_net_rx_outnumbers_net_tx(guest):
    """A mixed workload: completions and arrivals are both NET_RX."""
    guest.resolve()
    before = guest.softirqs()
    with guest.background("tcppeer echo 6304", ready=r"listening 6304"), socket.create_connection((guest.ip, 6304), PATIENCE) as sock:
        for _ in range(200):
            sock.sendall(b"ping")
            assert receive(sock, 4) == b"ping"
    after = guest.softirqs()
    grown = {name: sum(after[name]) - sum(before[name]) for name in ("NET_RX", "NET_TX")}
    assert grown["NET_RX"] >= 200 and grown["NET_RX"] > 10 * grown["NET_TX"], grown

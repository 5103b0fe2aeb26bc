# SPDX-License-Identifier: MIT
"""Rows T-05, T-08, T-09, T-11, T-12: neighbours, the driver's transmit ring, completion."""

import re
import time

import pytest
from scapy.all import ARP, IP, UDP, Ether


@pytest.mark.linux
@pytest.mark.row("T-05")
def test_t05_arp_then_packet(guest):
    """The first packet to a new host: ARP request, then, answered, the packet. Parked packets follow in order."""
    new_host = guest.host_ip[:-1] + "50"
    mac = "02:00:00:00:00:50"
    with guest.sniff(settle=0.5) as packets:
        guest.console.type(f"sendmany {new_host} 9 3 50; echo __sent\n")
        time.sleep(0.5)
        guest.send_frames([Ether(dst=guest.mac, src=mac)
                           / ARP(op=2, hwsrc=mac, psrc=new_host, hwdst=guest.mac, pdst=guest.ip)])
        guest.console.wait_for(r"^__sent$")
    requests = [n for n, p in enumerate(packets) if ARP in p and p[ARP].op == 1 and p[ARP].pdst == new_host]
    data = [(n, p) for n, p in enumerate(packets) if IP in p and p[IP].dst == new_host]
    assert requests and len(data) == 3
    assert requests[0] < data[0][0] and all(p.dst == mac for _, p in data)
    assert packets[requests[0]].dst == "ff:ff:ff:ff:ff:ff"
    assert [int.from_bytes(bytes(p[UDP].payload)[:4], "little") for _, p in data] == [0, 1, 2]


@pytest.mark.row("T-05")
def test_t05_unresolvable(guest):
    """Nobody answers: requests at 0, 1 and 2 s, then the entry is FAILED and the parked packets are dropped and counted."""
    nobody = guest.host_ip[:-1] + "51"
    with guest.trace("arp_send neigh_update kfree_skb") as trace:
        with guest.sniff(settle=4) as packets:
            guest.sh(f"sendmany {nobody} 9 2 50")
    requests = [p for p in packets if ARP in p and p[ARP].pdst == nobody]
    assert len(requests) == 3
    gaps = [float(b.time - a.time) for a, b in zip(requests, requests[1:])]
    assert all(0.8 < gap < 1.6 for gap in gaps), gaps
    entries = {row["ip"]: row for row in guest.debug_rows("net/neigh")}
    assert entries[nobody]["state"] == "FAILED" and entries[nobody]["queue"] == "0"
    assert len(trace.of("kfree_skb", reason="neigh_failed")) == 2
    assert not [p for p in packets if IP in p and p[IP].dst == nobody]


@pytest.mark.linux
@pytest.mark.row("T-05")
def test_t05_arp_answers(guest):
    """The guest answers requests for its own address only, and learns from them."""
    def ask(target):
        return [p[ARP] for p in guest.exchange([Ether(dst="ff:ff:ff:ff:ff:ff", src=guest.host_mac) / ARP(
            op=1, hwsrc=guest.host_mac, psrc=guest.host_ip, pdst=target)], settle=0.3) if ARP in p and p[ARP].op == 2]
    answers = ask(guest.ip)
    assert [(a.psrc, a.hwsrc, a.pdst) for a in answers] == [(guest.ip, guest.mac, guest.host_ip)]
    assert not ask(guest.host_ip[:-1] + "99")


@pytest.mark.row("T-08", "T-10")
@pytest.mark.parametrize("nic", ["igb-lite", "igb"])
def test_t08_transmit_ring(guests, nic):
    """A send fills one descriptor and moves the tail; the host sees the frame; a burst of more than the ring comes through."""
    guest = guests.get(smp=1, nic=nic)
    guest.resolve()

    def ring():
        return next(row for row in guest.debug_rows("net/rings") if row["_"][:3] == ["eth0", "tx", "0"])

    while (before := ring())["ntc"] != before["ntu"]:  # nothing older is to be cleaned in the trace
        time.sleep(0.05)
    with guest.udp(9000) as sock:
        with guest.trace("igb_xmit igb_clean_tx net_dev_* consume_skb") as trace:
            guest.sh(f"sendmany {guest.host_ip} 9000 1 64")
            assert len(sock.recv(2000)) == 64
            while (after := ring())["ntc"] != after["ntu"]:  # until all is cleaned, and recorded
                time.sleep(0.05)
        size = int(before["count"])
        sent = trace.of("igb_xmit")
        # A data descriptor each, and one for the checksum's context where it changes.
        assert len(sent) <= (int(after["ntu"]) - int(before["ntu"])) % size <= 2 * len(sent)
        assert sent[-1]["ntu"] == after["ntu"] == after["tail"]
        assert {record["skb"] for record in sent} == {record["skb"] for record in trace.of("igb_clean_tx")}
        burst = 1000
        guest.sh(f"sendmany {guest.host_ip} 9000 {burst} 64", timeout=60)
        numbers = []
        sock.settimeout(1)
        try:
            while True:
                numbers.append(int.from_bytes(sock.recv(2000)[:4], "little"))
        except TimeoutError:
            pass
        assert numbers == list(range(burst))


@pytest.mark.row("T-08")
def test_t08_full_ring_stops_the_queue(debug_guest1):
    """Completions held back, the ring fills: the queue stops; once cleaned it is woken and nothing is lost."""
    guest = debug_guest1
    guest.resolve()
    burst = 400
    with guest.udp(9001) as sock:
        before = ethtool_restarts(guest)
        guest.hook("stall_poll eth0 1")
        with guest.trace("igb_tx_* qdisc_*") as trace:
            guest.sh(f"sendmany {guest.host_ip} 9001 {burst} 64 &")
            time.sleep(1)
            stopped = [row for row in guest.debug_rows("net/netdev") if "txq" in row and row.get("stopped") == "1"]
            guest.hook("stall_poll eth0 0")
            time.sleep(1)
        assert stopped and trace.of("igb_tx_stop") and trace.of("igb_tx_wake")
        assert ethtool_restarts(guest) > before
        numbers = []
        sock.settimeout(1)
        try:
            while True:
                numbers.append(int.from_bytes(sock.recv(2000)[:4], "little"))
        except TimeoutError:
            pass
        assert numbers == list(range(burst))
        guest.sh("wait", check=False)


def ethtool_restarts(guest):
    """Times that a stopped queue was woken."""
    return sum(map(int, re.findall(r"^\s*tx_queue_\d+_restart: (\d+)$", guest.sh("ethtool -S eth0"), re.M)))


@pytest.mark.row("T-09")
def test_t09_buffers_are_reclaimed(guest1):
    """After completion the skb caches are where they were, and each packet sent was cleaned."""
    guest = guest1
    guest.resolve()
    with guest.udp(9002):
        guest.sh(f"sendmany {guest.host_ip} 9002 50 64")
        time.sleep(0.3)
        before = guest.slabs()["skbuff_head_cache"]
        with guest.trace("igb_xmit igb_clean_tx") as trace:
            guest.sh(f"sendmany {guest.host_ip} 9002 200 600")
            time.sleep(0.5)
        after = guest.slabs()["skbuff_head_cache"]
    sent = {record["skb"] for record in trace.of("igb_xmit")}
    cleaned = {record["skb"] for record in trace.of("igb_clean_tx")}
    assert len(sent) >= 200 and sent == cleaned
    assert all(record["ctx"] in ("softirq", "ksoftirqd") for record in trace.of("igb_clean_tx"))
    assert abs(after - before) <= 2, (before, after)


@pytest.mark.row("T-11")
def test_t11_completion_is_net_rx(guest):
    """A send-only workload raises NET_RX, and hardly NET_TX."""
    guest.resolve()
    with guest.udp(9003):
        before = guest.softirqs()
        guest.sh(f"sendmany {guest.host_ip} 9003 200 64 2")
        time.sleep(0.2)
        after = guest.softirqs()
    grown = {name: sum(after[name]) - sum(before[name]) for name in ("NET_RX", "NET_TX")}
    assert grown["NET_RX"] >= 20 and grown["NET_TX"] <= grown["NET_RX"] / 10, grown


@pytest.mark.row("T-12")
def test_t12_sending_is_the_callers_time(guest):
    """/proc/stat: a task that sends as fast as it can spends system time down to the driver's ring; softirq time is what cleans up."""
    guest.resolve()
    with guest.udp(9004):
        before = guest.cpu_times()
        for _ in range(40):
            guest.sh(f"sendmany {guest.host_ip} 9004 10000 64", timeout=120)
            after = guest.cpu_times()
            spent = {name: sum(after[cpu][name] - before[cpu][name] for cpu in after) for name in ("system", "softirq", "irq")}
            if spent["system"] > 60:
                break
    assert spent["system"] > 60 and spent["system"] > 2 * spent["softirq"], spent

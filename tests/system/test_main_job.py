# SPDX-License-Identifier: MIT
"""The main job on every machine that counts: ARP, ICMP, UDP; 1, 2 and 4 CPUs; both NIC models; many datagrams."""

import hashlib
import random
import select
import time

import pytest
from scapy.all import ARP, ICMP, IP, UDP

from patience import PATIENCE

SIZES = (0, 1, 17, 18, 19, 512, 1471, 1472, 1473, 2944, 9000, 65507)


@pytest.mark.parametrize("cpus", [1, 2, 4])
@pytest.mark.parametrize("nic", ["igb-lite", "igb"])
def test_ping_and_echo(guests, nic, cpus):
    """Pings and datagrams of all sizes come back, on each NIC model and number of CPUs."""
    guest = guests.get(smp=cpus, nic=nic)
    assert guest.ping(5) == 5
    assert guest.ping(3, size=1472) == 3
    assert guest.ping(2, size=8000) == 2
    for size in SIZES:
        payload = bytes((size + n) & 0xff for n in range(size))
        assert guest.echo(payload) == payload, f"size {size}"


@pytest.mark.linux
def test_linux_reference(guest):
    """The same against whatever kernel is under test (the stock Linux guest, with --stock-linux)."""
    assert guest.ping(5) == 5
    for size in SIZES:
        payload = bytes((size + n) & 0xff for n in range(size))
        assert guest.echo(payload) == payload, f"size {size}"


def test_arp_icmp_udp(guests):
    """A fresh guest: the first thing on the wire is ARP, then ICMP, then UDP; all in QEMU's own capture."""
    guest = guests.boot(smp=1)
    try:
        assert guest.ping(1) == 1
        assert guest.echo(b"third") == b"third"
        kinds = []
        for packet in guest.pcap():
            kind = "arp" if ARP in packet else "icmp" if ICMP in packet else "udp" if UDP in packet else "other"
            if kind not in kinds:
                kinds.append(kind)
        assert kinds == ["arp", "icmp", "udp"]
        echoed = [packet for packet in guest.pcap() if UDP in packet and packet[IP].src == guest.ip]
        assert bytes(echoed[0][UDP].payload)[:5] == b"third"
        for packet in guest.pcap():
            if IP in packet and packet[IP].src == guest.ip:
                rebuilt = packet.copy()
                del rebuilt[IP].chksum
                assert IP(bytes(rebuilt[IP])).chksum == packet[IP].chksum
    finally:
        guest.close()


def test_hundred_thousand_datagrams(guests):
    """100,000 datagrams of 0 to 65,507 bytes, at a window that the queues hold, all echoed whole: none lost, none damaged."""
    guest = guests.get(smp=2)
    guest.ping(2)
    chance = random.Random(1)
    total, window_bytes = 100_000, 60_000
    before = guest.snmp()["Udp"]
    pool = random.Random(2).randbytes(1 << 20)
    with guest.udp(connect=7) as sock:
        sock.setblocking(False)
        waiting, in_flight, sent, received = {}, 0, 0, 0
        last = time.monotonic()
        size = 0
        poller = select.poll()
        poller.register(sock, select.POLLIN)
        while received < total:
            while sent < total and len(waiting) < 16:
                size = _size(chance, sent)
                if waiting and in_flight + size > window_bytes:
                    break
                start = chance.randrange(len(pool) - size)
                payload = (b"%08d" % sent + pool[start:start + size - 8]) if size >= 8 else bytes([size]) * size
                sock.send(payload)
                key = payload[:8] if size >= 8 else b"small-%d" % size
                waiting.setdefault(key, []).append(hashlib.blake2b(payload, digest_size=8).digest())
                in_flight += size
                sent += 1
                if size < 8:
                    break
            if not poller.poll(1000 * PATIENCE):
                raise AssertionError(f"{received} of {sent} came back, then nothing; {guest.snmp()['Udp']}")
            answer = sock.recv(65536)
            key = answer[:8] if len(answer) >= 8 else b"small-%d" % len(answer)
            assert key in waiting, f"an answer to nothing: {answer[:20]!r}"
            assert waiting[key].pop() == hashlib.blake2b(answer, digest_size=8).digest(), "damaged"
            if not waiting[key]:
                del waiting[key]
            in_flight -= len(answer)
            received += 1
        assert not waiting
    print(f"{total} datagrams in {time.monotonic() - last:.0f} s")
    after = guest.snmp()["Udp"]
    assert after["InDatagrams"] - before["InDatagrams"] == total
    assert after["OutDatagrams"] - before["OutDatagrams"] == total
    assert after["InErrors"] == before["InErrors"]


def _size(chance, number):
    """Mostly small datagrams, some of several fragments, the two ends surely."""
    if number % 1000 == 0:
        return (0, 65507, 1472, 1473, 1, 65506)[number // 1000 % 6]
    kind = chance.random()
    if kind < 0.9:
        return chance.randrange(0, 600)
    if kind < 0.99:
        return chance.randrange(0, 1473)
    return chance.randrange(0, 65508)

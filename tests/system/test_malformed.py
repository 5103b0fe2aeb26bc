# SPDX-License-Identifier: MIT
"""Frames with every field wrong: counted, survived, and without leaks. Run on the kernel with its checks on."""

import random

import pytest
from scapy.all import ARP, ICMP, IP, UDP, Ether, Raw, checksum, fragment

from patience import steady, until


def ethernet(guest, payload, **fields):
    """An Ethernet frame for the guest."""
    return Ether(dst=guest.mac, src=guest.host_mac, **fields) / payload


def good(guest):
    """A datagram to the echo server, to be spoilt."""
    return IP(src=guest.host_ip, dst=guest.ip) / UDP(sport=4444, dport=7) / (b"payload-" * 8)


def cut(guest, packet, length):
    """The frame without what follows its first `length` bytes."""
    return bytes(ethernet(guest, packet))[:length]


def patched(guest, offset, value):
    """The good frame with bytes replaced at an offset from the IP header on, the header's checksum right for its 20 bytes."""
    header = bytearray(bytes(good(guest)))
    header[offset:offset + len(value)] = value
    header[10:12] = b"\0\0"
    header[10:12] = checksum(bytes(header[:20])).to_bytes(2, "big")
    return bytes(ethernet(guest, bytes(header), type=0x0800))


def with_options(guest, options):
    """A datagram to the echo server behind these IP options, whatever they are."""
    packet = good(guest)
    header = bytearray(bytes(packet)[:20] + options)
    header[0] = 0x40 + len(header) // 4
    header[2:4] = (len(header) + len(packet) - 20).to_bytes(2, "big")
    header[10:12] = b"\0\0"
    header[10:12] = checksum(bytes(header)).to_bytes(2, "big")
    return bytes(ethernet(guest, bytes(header) + bytes(packet)[20:], type=0x0800))


def cases(guest):
    """(name, frame, counter that must rise by one or None)."""
    base = {"src": guest.host_ip, "dst": guest.ip}
    yield "empty payload", ethernet(guest, b"", type=0x0800), None
    yield "unknown type", ethernet(guest, b"x" * 60, type=0x1234), None
    yield "802.3 length", ethernet(guest, b"x" * 60, type=40), None
    yield "vlan tag without contents", ethernet(guest, b"\0\0", type=0x8100), None
    yield "other destination", Ether(dst="02:11:22:33:44:55", src=guest.host_mac) / good(guest), None
    yield "own source", Ether(dst=guest.mac, src=guest.mac) / good(guest), None
    for length in (15, 20, 33):
        yield f"cut to {length}", cut(guest, good(guest), length), None
    yield "version 6", patched(guest, 0, b"\x65"), ("Ip", "InHdrErrors")
    yield "version 0", patched(guest, 0, b"\x05"), ("Ip", "InHdrErrors")
    yield "header length 4", patched(guest, 0, b"\x44"), ("Ip", "InHdrErrors")
    yield "header longer than the packet", patched(guest, 0, b"\x4f\x00\x00\x14"), ("Ip", "InHdrErrors")
    yield "total length 0", patched(guest, 2, b"\0\0"), ("Ip", "InHdrErrors")
    yield "total length 19", patched(guest, 2, b"\0\x13"), ("Ip", "InHdrErrors")
    yield "header checksum", ethernet(guest, IP(chksum=0x1234, **base) / UDP(dport=7) / b"x"), ("Ip", "InHdrErrors")
    yield "source is broadcast", ethernet(guest, IP(src="255.255.255.255", dst=guest.ip) / UDP(dport=7)), None
    yield "source is multicast", ethernet(guest, IP(src="224.0.0.1", dst=guest.ip) / UDP(dport=7)), None
    yield "source is loopback", ethernet(guest, IP(src="127.0.0.1", dst=guest.ip) / UDP(dport=7)), None
    yield "source is zero", ethernet(guest, IP(src="0.0.0.0", dst=guest.ip) / UDP(dport=7)), None
    yield "source is ours", ethernet(guest, IP(src=guest.ip, dst=guest.ip) / UDP(dport=7)), None
    yield "destination is loopback", ethernet(guest, IP(src=guest.host_ip, dst="127.0.0.1") / UDP(dport=7)), None
    yield "destination elsewhere", ethernet(guest, IP(src=guest.host_ip, dst="203.0.113.5") / UDP(dport=7)), None
    yield "destination zero", ethernet(guest, IP(src=guest.host_ip, dst="0.0.0.0") / UDP(dport=7)), None
    yield "ttl 0", ethernet(guest, IP(ttl=0, **base) / UDP(dport=9)), None
    yield "option of length 0", with_options(guest, b"\x07\x00\x00\x00"), None
    yield "option of length 1", with_options(guest, b"\x44\x01\x05\x00"), None
    yield "option past the end", with_options(guest, b"\x07\x28\x04\x00"), None
    yield "source route", with_options(guest, b"\x83\x07\x04\x01\x02\x03\x04\x00"), None
    yield "record route with a wild pointer", with_options(guest, b"\x07\x07\xff\x00\x00\x00\x00\x00"), None
    yield "evil flag and odd fragment", ethernet(guest, IP(flags=7, frag=0, **base) / UDP(dport=7) / b"x"), None
    yield "last fragment past 65535", ethernet(guest, IP(frag=8191, proto=17, id=7, **base) / (b"x" * 400)), None
    yield "middle fragment not of 8", ethernet(guest, IP(frag=10, flags="MF", proto=17, id=8, **base) / (b"x" * 13)), None
    yield "fragment of nothing", ethernet(guest, IP(frag=10, flags="MF", proto=17, id=9, **base) / b""), None
    yield "udp cut off", ethernet(guest, IP(proto=17, **base) / b"\0\1\0"), ("Udp", "InErrors")
    yield "udp length 7", ethernet(guest, IP(**base) / UDP(dport=7, len=7) / b"xxxx"), ("Udp", "InErrors")
    yield "udp length too long", ethernet(guest, IP(**base) / UDP(dport=7, len=500) / b"xxxx"), ("Udp", "InErrors")
    yield "udp checksum", ethernet(guest, IP(**base) / UDP(dport=4990, chksum=0x1111) / b"xxxx"), ("Udp", "InErrors")
    yield "udp port 0", ethernet(guest, IP(**base) / UDP(sport=0, dport=0) / b"xxxx"), ("Udp", "NoPorts")
    yield "icmp cut off", ethernet(guest, IP(proto=1, **base) / b"\x08\0"), ("Icmp", "InErrors")
    yield "icmp checksum", ethernet(guest, IP(**base) / ICMP(chksum=0x2222) / b"ping"), ("Icmp", "InErrors")
    yield "icmp unknown type", ethernet(guest, IP(**base) / ICMP(type=200) / b"ping"), ("Icmp", "InErrors")
    yield "icmp error without a quote", ethernet(guest, IP(**base) / ICMP(type=3, code=3)), None
    yield "icmp error with half a quote", ethernet(guest, IP(**base) / ICMP(type=3, code=3) / bytes(IP(**base))[:12]), None
    yield "icmp error quoting a long header", ethernet(
        guest, IP(**base) / ICMP(type=3, code=3) / (b"\x4f" + bytes(IP(src=guest.ip, dst=guest.host_ip))[1:])), None
    yield "icmp error about an icmp error", ethernet(
        guest, IP(**base) / ICMP(type=3, code=1) / IP(src=guest.ip, dst=guest.host_ip) / ICMP(type=3, code=1)), None
    yield "tcp cut off", ethernet(guest, IP(proto=6, **base) / b"\0\1\0\2"), None
    yield "arp cut off", ethernet(guest, bytes(ARP())[:20], type=0x0806), None
    for field, value in (("hwtype", 6), ("ptype", 0x86dd), ("hwlen", 8), ("hwlen", 0), ("plen", 16), ("op", 0), ("op", 99)):
        yield f"arp {field} {value}", ethernet(guest, ARP(**{"op": 1, "hwsrc": guest.host_mac, "psrc": guest.host_ip,
                                                             "pdst": guest.ip, field: value})), None
    yield "arp from our own address", ethernet(guest, ARP(op=1, hwsrc=guest.host_mac, psrc=guest.ip, pdst=guest.ip)), None
    yield "arp from a broadcast hardware address", ethernet(
        guest, ARP(op=2, hwsrc="ff:ff:ff:ff:ff:ff", psrc=guest.host_ip[:-1] + "60", pdst=guest.ip)), None


def packets_in_memory(guest):
    """Active objects of the caches that packets live in."""
    slabs = guest.slabs()
    return sum(count for name, count in slabs.items() if name.startswith("skbuff"))


def given_back(guest, before):
    """Wait until no more packets are in memory than before; fragments may wait for 30 s."""
    until(lambda: packets_in_memory(guest) <= before + 4, "all packets are freed")


def test_every_field(debug_guest):
    """Each case, its counter where it has one, and afterwards no packet is left over and the guest still answers."""
    guest = debug_guest
    guest.resolve()
    guest.echo(b"warm")
    before = packets_in_memory(guest)
    wrong = []
    for name, frame, counter in cases(guest):
        def count(counter=counter):
            return guest.snmp()[counter[0]][counter[1]]

        base = steady(count, counter) if counter else 0
        guest.send_frames([frame])
        if counter:
            until(lambda: count() > base, f"{name} is counted by {counter}")  # noqa: B023
        guest.ping()
        if counter and count() != base + 1:
            wrong.append(f"{name}: {counter} went from {base} to {count()}")
        if guest.console.trouble():
            wrong.append(f"{name}: {guest.console.trouble()[:300]}")
            break
    assert not wrong, "\n".join(wrong)
    guest.resolve()
    assert guest.echo(b"alive") == b"alive"
    given_back(guest, before)


def test_random_frames(debug_guest):
    """20,000 frames with random damage (a fixed seed): the guest lives, answers, and keeps no packet."""
    guest = debug_guest
    guest.resolve()
    guest.echo(b"warm")
    before = packets_in_memory(guest)
    chance = random.Random(310)
    seeds = [bytes(frame) for _, frame, _ in cases(guest)]
    seeds += [bytes(ethernet(guest, part)) for part in fragment(IP(src=guest.host_ip, dst=guest.ip, id=99) / UDP(dport=7)
                                                               / Raw(b"z" * 4000), 1400)]
    for _ in range(20):
        batch = []
        for _ in range(1000):
            data = bytearray(chance.choice(seeds))
            for _ in range(chance.randrange(1, 5)):
                data[chance.randrange(12, len(data))] = chance.randrange(256)
            if chance.random() < 0.2:
                data = data[:chance.randrange(14, len(data) + 1)]
            batch.append(bytes(data))
        guest.send_frames(batch)
        assert not guest.console.trouble(), guest.console.trouble()
    guest.resolve()
    assert guest.echo(b"alive") == b"alive"
    given_back(guest, before)


@pytest.mark.linux
def test_fragments(guest):
    """Reassembly in any order, duplicates included; holes give nothing."""
    guest.ping(1)
    packet = IP(src=guest.host_ip, dst=guest.ip, id=4711) / UDP(sport=4445, dport=7) / Raw(bytes(range(256)) * 20)
    parts = [ethernet(guest, part) for part in fragment(packet, 1200)]

    def answered(frames, answers=0):
        # Answers to a port that nobody has open on the host: only seen on the wire, in fragments.
        got = [p for p in guest.exchange(frames, answers) if IP in p and p[IP].proto == 17]
        return sum(len(bytes(p[IP].payload)) for p in got)

    whole = len(bytes(packet[UDP]))
    of_answer = -(-whole // 1480)
    assert answered(parts, of_answer) == whole
    assert answered(parts[::-1], of_answer) == whole
    shuffled = parts[1:] + parts[:1]
    assert answered([shuffled[0], *shuffled[:2], *shuffled[1:]], of_answer) == whole
    assert answered(parts[:-1]) == 0

# SPDX-License-Identifier: MIT
"""Linux's unmodified igb driver (Debian's stock kernel) drives igb-lite: the NIC is judged by a driver and by tools that were
not written for it. One guest of each of Debian's kernels for all tests; each leaves it as it was (two queues, default offloads)."""

import random
import re

import pytest
from scapy.all import ARP, ICMP, IP, TCP, UDP, Dot1Q, Ether, Raw

from linux_driver import PATTERN, TWO_QUEUES, check_traffic, fetch, mac_len, upload, wrong_checksums
from patience import PATIENCE, until
from softnet import netns

SIZES = (0, 1, 17, 18, 19, 512, 1471, 1472, 1473, 9000, 65507)
ELSEWHERE = "192.0.2.9"  # an address that the guest does not have: it takes such frames in, and drops them without an answer


def flows(guest, count, layer, addresses=False, ports=True):
    """Frames of `count` different flows from one address or many, to an address that is not there. The many are from all over: the
    hash is linear, and its random key may map addresses that differ in a few bits only to few queues."""
    chance = random.Random(count)
    found = []
    for number in range(count):
        source = f"{chance.randrange(11, 127)}.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(1, 255)}" \
            if addresses else "198.18.0.1"
        sport, dport = (chance.randrange(1024, 65536), chance.randrange(1024, 65536)) if ports else (1111, 2222)
        found.append(Ether(dst=guest.mac, src=guest.host_mac) / IP(src=source, dst=ELSEWHERE) /
                     layer(sport=sport, dport=dport) / (b"%08d" % number * 4))
    return found


def spread(guest, frames):
    """How many of the frames each receive queue got; none may be missing."""
    with guest.counted() as count:
        guest.put(frames)
    queues = count.per_queue()
    assert sum(queues) == len(count.received) >= len(frames)
    return queues


# --- probe -----------------------------------------------------------------------------------------------------------


def test_probe(linux):
    """The driver finds the card, its own MAC address and a link, and gets the vectors it wants: one per queue and one more."""
    log = linux.dmesg()
    assert re.search(rf"igb \S+ eth0: \(PCIe:[^)]+\) {linux.mac}$", log, re.M)
    assert "Using MSI-X interrupts. 2 rx queue(s), 2 tx queue(s)" in log
    assert re.search(r"eth0 NIC Link is Up 1000 Mbps Full Duplex", log)
    assert linux.vectors() == TWO_QUEUES
    assert re.search(r"^driver: igb$", linux.ethtool("-i eth0"), re.M)
    settings = linux.ethtool("eth0")
    assert re.search(r"Speed: 1000Mb/s\s+Duplex: Full\s+Auto-negotiation: on", settings)
    assert "Link detected: yes" in settings
    assert linux.ethtool("-P eth0").split()[-1] == linux.mac


def test_ping_and_echo(linux):
    """Pings and datagrams of all sizes, by all four queue vectors' interrupts."""
    before = linux.interrupts()
    assert linux.ping(5) == 5
    assert linux.ping(2, size=8000) == 2
    check_traffic(linux, SIZES)
    linux.put(flows(linux, 32, TCP))
    after = linux.interrupts()
    idle = [name for name in TWO_QUEUES if "rx" in name and sum(after[name]) == sum(before[name])]
    assert not idle, "a queue without an interrupt"
    assert sum(sum(after[name]) - sum(before[name]) for name in TWO_QUEUES if "tx" in name) > 0


# --- statistics ------------------------------------------------------------------------------------------------------


def test_receive_statistics(linux):
    """ethtool -S is what was put on the wire, frame by frame and byte by byte; what is for others is not counted."""
    head = {"src": linux.host_mac}
    body = IP(src="198.18.0.1", dst=ELSEWHERE) / UDP(sport=1, dport=2)
    unicast = [Ether(dst=linux.mac, **head) / body / bytes(size) for size in (0, 10, 22, 100, 500, 1000, 1472)]
    broadcast = [Ether(dst="ff:ff:ff:ff:ff:ff", **head) / body / bytes(200)] * 5
    multicast = [Ether(dst="01:00:5e:00:00:01", **head) / body / bytes(300)] * 3  # all hosts: joined
    foreign = [Ether(dst="52:54:00:99:99:99", **head) / body / bytes(400)] * 4
    foreign += [Ether(dst="01:00:5e:77:77:77", **head) / body / bytes(400)] * 2  # a group that nobody joined
    with linux.counted() as count:
        linux.put(unicast + broadcast + multicast + foreign)
    strangers = {bytes(frame) for frame in foreign}
    taken = [frame for frame in count.received if frame not in strangers]
    assert len(count.received) - len(taken) == len(foreign)
    assert count["rx_packets"] == len(taken) >= 15
    assert count["rx_bytes"] == count["rx_long_byte_count"] == sum(map(mac_len, taken))
    assert count["rx_broadcast"] == 5
    assert count["rx_multicast"] == count["multicast"] == 3
    assert sum(count.per_queue()) == len(taken)
    assert sum(count.per_queue("bytes")) == sum(max(len(frame), 60) for frame in taken)
    assert not [name for name, grown in count.growth.items() if grown and re.search("err|drop|missed|no_buffer", name)]


def test_transmit_statistics(linux):
    """The same for what the guest sends."""
    with linux.counted() as count:
        check_traffic(linux)
        linux.put([Ether(dst="ff:ff:ff:ff:ff:ff", src=linux.host_mac) /
                   ARP(op=1, hwsrc=linux.host_mac, psrc=linux.host_ip, pdst=linux.ip)])
    assert count["tx_packets"] == len(count.sent) >= 9
    assert count["tx_bytes"] == sum(map(mac_len, count.sent))
    assert sum(count.per_queue(side="tx")) == len(count.sent)
    assert count["rx_packets"] == len(count.received)
    assert count["tx_broadcast"] == sum(frame[:6] == b"\xff" * 6 for frame in count.sent)


# --- queues ----------------------------------------------------------------------------------------------------------


def test_eight_queues(linux):
    """ethtool -L: the other layout, one vector for both directions of a queue; RSS spreads what it hashes, and only that."""
    linux.channels(8)
    try:
        assert linux.vectors() == ["eth0", *(f"eth0-TxRx-{number}" for number in range(8))]
        before = linux.interrupts()
        assert all(spread(linux, flows(linux, 200, TCP))), "TCP: addresses and ports"
        assert all(spread(linux, flows(linux, 201, UDP, addresses=True, ports=False))), "UDP: addresses"
        same = flows(linux, 40, UDP)
        assert sorted(spread(linux, same))[:-1] == [0] * 7, "UDP: ports are not hashed yet"
        after = linux.interrupts()
        assert all(sum(after[f"eth0-TxRx-{n}"]) > sum(before[f"eth0-TxRx-{n}"]) for n in range(8))
        linux.ethtool("-N eth0 rx-flow-hash udp4 sdfn")
        assert all(spread(linux, flows(linux, 202, UDP))), "UDP: ports are hashed now"
        assert sorted(spread(linux, same[:1] * 30))[:-1] == [0] * 7, "one flow, one queue"
        linux.ethtool("-X eth0 equal 2")
        queues = spread(linux, flows(linux, 60, TCP))
        assert all(queues[:2]) and not any(queues[2:])
        check_traffic(linux)
    finally:
        linux.ethtool("-N eth0 rx-flow-hash udp4 sd")
        linux.ethtool("-X eth0 default")
        linux.channels(2)
    assert linux.vectors() == TWO_QUEUES


@pytest.mark.parametrize("size", [80, 4096])
def test_ring_sizes(linux, size):
    """ethtool -G: the smallest and the largest rings carry more frames than they have places, without a loss."""
    try:
        linux.ethtool(f"-G eth0 rx {size} tx {size}")
        linux.wait_link()
        shown = linux.ethtool("-g eth0").partition("Current")[2]
        assert re.search(rf"^RX:\s+{size}$", shown, re.M) and re.search(rf"^TX:\s+{size}$", shown, re.M)
        with linux.counted() as count:
            for _ in range(6):
                linux.put(flows(linux, 40, TCP))
                linux.settled()  # the driver has taken them: a burst finds the ring empty
            check_traffic(linux)
            with linux.udp(connect=7) as sock:
                for number in range(200):
                    sock.send(b"%d" % number)
                    assert sock.recv(100) == b"%d" % number
        assert count["rx_packets"] == sum(count.per_queue()) == len(count.received)
        assert count["tx_packets"] == sum(count.per_queue(side="tx")) == len(count.sent)
    finally:
        linux.ethtool("-G eth0 rx 256 tx 256")
        linux.wait_link()


def test_coalescing(linux):
    """ethtool -C: with 5 ms between interrupts a vector has no more of them than virtual time allows."""
    interval = 5000
    try:
        linux.ethtool(f"-C eth0 rx-usecs {interval}")
        assert re.search(rf"^rx-usecs: {interval}$", linux.ethtool("-c eth0"), re.M)
        frames = flows(linux, 1, TCP) * 100
        linux.put(frames[:3])  # the driver programs the new interval in an interrupt
        begin = float(linux.cat("/proc/uptime").split()[0])
        before = linux.interrupts()
        linux.send_frames(frames, gap=0.001)
        linux.put(frames[:1])
        after = linux.interrupts()
        end = float(linux.cat("/proc/uptime").split()[0])
        most = (end - begin + 0.02) * 1e6 / interval + 2
        grown = [sum(after[name]) - sum(before[name]) for name in TWO_QUEUES if "rx" in name]
        assert 0 < max(grown) <= most
        check_traffic(linux)
    finally:
        linux.ethtool("-C eth0 rx-usecs 3")


# --- offloads --------------------------------------------------------------------------------------------------------


def test_receive_checksum(linux):
    """Damaged datagrams are found by the card with the offload on, by the stack with it off, and delivered never."""
    good = [linux.frame(b"g" * 100, dport=9)] * 3
    bad = [linux.frame(b"b" * 100, dport=7)]
    bad[0][UDP].chksum = 0x1234
    for setting, by_card in (("on", 5), ("off", 0)):
        linux.features(f"rx {setting}")
        before = linux.snmp()["Udp"]
        with linux.counted() as count:
            linux.put(good + bad * 5)
        after = linux.snmp()["Udp"]
        assert sum(count.per_queue("csum_err")) == by_card, setting
        assert after["InCsumErrors"] - before["InCsumErrors"] == 5, setting
        assert after["InDatagrams"] == before["InDatagrams"], setting
        assert after["NoPorts"] - before["NoPorts"] == 3, setting
        check_traffic(linux)
    linux.features("rx on")


@pytest.mark.parametrize("offloads", ["tx on sg on tso on", "tx on sg on tso off", "tx off sg off tso off"])
def test_transmit_offloads(linux, offloads):
    """TCP and UDP with each set of offloads: data whole, every checksum right, segments made by the card only if it may."""
    try:
        linux.features(offloads)
        with linux.counted() as count:
            assert fetch(linux) == PATTERN
            check_traffic(linux)
        assert wrong_checksums(count.sent) == []
        assert max(map(len, count.sent)) == 1514
        assert count["tx_packets"] == len(count.sent)
        assert count["tx_bytes"] == sum(map(mac_len, count.sent))
        assert (count["tx_tcp_seg_good"] > 0) == ("tso on" in offloads)
    finally:
        linux.features("tx on sg on tso on")


def test_tcp_upload(linux):
    """A megabyte to the guest by TCP."""
    data = random.Random(3).randbytes(1 << 20)
    upload(linux, data, lambda sock: sock.sendall(data))


@pytest.mark.parametrize("offload", ["on", "off"])
def test_vlan(linux, offload):
    """A VLAN device is pinged by tagged frames and answers by such, whoever does the tags; other VLANs are filtered."""
    def tagged(vlan):
        head = Ether(dst=linux.mac, src=linux.host_mac) / Dot1Q(vlan=vlan, prio=3)
        arp = ARP(op=1, hwsrc=linux.host_mac, psrc="10.8.5.1", pdst="10.8.5.2")
        ping = IP(src="10.8.5.1", dst="10.8.5.2") / ICMP(id=vlan, seq=1) / (b"vlan" * 50)
        return [head / arp, head / ping]

    linux.features(f"rxvlan {offload} txvlan {offload}")
    linux.sh("busybox ip link add link eth0 name eth0.5 type vlan id 5; busybox ip addr add 10.8.5.2/24 dev eth0.5; "
             "busybox ip link set eth0.5 up")
    try:
        with linux.counted() as count:
            linux.put(tagged(6))
        assert count["rx_packets"] == 0, "VLAN 6 is not ours"
        with linux.counted() as count:
            since = linux.wire_position()
            for number, frame in enumerate(tagged(5), 1):
                linux.send_frames([frame])  # which answer comes first is not left to the two queues' CPUs
                until(lambda number=number: len(linux.wire(since, to_guest=False)) >= number, "an answer")
        answers = [Ether(frame) for frame in count.sent]
        assert [frame[Dot1Q].vlan for frame in answers[:2]] == [5, 5]
        assert answers[0][ARP].op == 2 and answers[0][ARP].psrc == "10.8.5.2"
        assert answers[1][ICMP].type == 0 and answers[1][Raw].load == b"vlan" * 50
        assert wrong_checksums(count.sent) == []
        assert int(linux.cat("/sys/class/net/eth0.5/statistics/rx_packets")) >= 2
        check_traffic(linux)
    finally:
        linux.sh("busybox ip link del eth0.5")
        linux.features("rxvlan on txvlan on")


def test_jumbo(linux):
    """Frames too long for the MTU are counted and dropped; with an MTU of 9000 they pass, both ways, in one piece."""
    netns.ip("link", "set", linux.tap, "mtu", "9000")
    try:
        long_frame = linux.frame(b"j" * 2000, dport=9)
        with linux.counted() as count:
            linux.put([long_frame])
        assert count["rx_long_length_errors"] == 1 and count["rx_packets"] == 0
        linux.sh("busybox ip link set eth0 mtu 9000")
        linux.wait_link()
        with linux.counted() as count:
            assert linux.ping(3, size=8972) == 3
            check_traffic(linux, (1473, 2048, 4096, 8971, 8972, 8973, 65507))
        assert max(map(len, count.sent)) == max(map(len, count.received)) == 9014
        assert count["rx_packets"] == len(count.received) and count["rx_bytes"] == sum(map(mac_len, count.received))
        assert count["tx_packets"] == len(count.sent) and count["tx_bytes"] == sum(map(mac_len, count.sent))
        assert wrong_checksums(count.sent) == []
    finally:
        netns.ip("link", "set", linux.tap, "mtu", "1500")
        linux.sh("busybox ip link set eth0 mtu 1500")
        linux.wait_link()
    check_traffic(linux)


# --- clock -----------------------------------------------------------------------------------------------------------


def test_clock(linux):
    """The card's clock is a PTP clock of Linux: it can be set, and runs as fast as the guest's own."""
    shown = linux.ethtool("-T eth0")
    assert "PTP Hardware Clock: 0" in shown and "hardware-raw-clock" in shown
    found = re.search(r"set (\d+) clock (\d+) monotonic (\d+) to (\d+)", linux.sh("/test/ptpclock 500"))
    seconds, clock, least, most = map(int, found.groups())
    assert 1_000_000 <= seconds < 1_000_000 + PATIENCE  # it goes on, however late it is read
    assert least * 0.8 < clock < most * 1.2, (least, clock, most)


# --- coming and going ------------------------------------------------------------------------------------------------


def test_self_test(linux):
    """ethtool -t offline: registers, NVM, interrupts, loopback and link, each with result 0; then the NIC works on."""
    report = linux.ethtool("-t eth0 offline", timeout=2 * PATIENCE)
    results = dict(re.findall(r"^(\w+) test\s+\(\S+\)\s+(\d+)$", report, re.M))
    assert results == dict.fromkeys(["Register", "Eeprom", "Interrupt", "Loopback", "Link"], "0")
    assert "The test result is PASS" in report
    linux.wait_link()
    check_traffic(linux)


def test_cable(linux):
    """The link goes and comes back with the host's side of it, and the vector for such news says so."""
    before = sum(linux.interrupts()["eth0"])
    linux.set_link(False)
    linux.wait_link(up=False)
    assert "Link detected: no" in linux.ethtool("eth0")
    linux.set_link(True)
    linux.wait_link()
    assert sum(linux.interrupts()["eth0"]) - before >= 2
    check_traffic(linux)


def test_down_up(linux):
    """Five times down and up."""
    for _ in range(5):
        linux.sh("busybox ip link set eth0 down")
        assert not linux.vectors()
        linux.sh("busybox ip link set eth0 up")
        linux.wait_link()
        assert linux.vectors() == TWO_QUEUES
        check_traffic(linux, (700,))


def test_remove_and_insert(linux):
    """rmmod leaves nothing behind; insmod finds the card as at first."""
    for _ in range(2):
        linux.sh("busybox rmmod igb")
        assert not linux.vectors() and not linux.exists("/sys/class/net/eth0/address")
        linux.load()
        assert linux.vectors() == TWO_QUEUES
        assert linux.cat("/sys/class/net/eth0/address").strip() == linux.mac
        check_traffic(linux, (0, 1472, 9000))

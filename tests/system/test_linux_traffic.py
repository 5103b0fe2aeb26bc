# SPDX-License-Identifier: MIT
"""igb-lite under Linux's igb driver and real load: iperf3 both ways with every offload on and off, over VLANs and with jumbo frames,
UDP segmentation, and reconfiguration while data flows."""

import re

import pytest
from scapy.all import UDP, Ether

from linux_driver import PATTERN, Stream, check_segmented, check_traffic, fetch, growth, receive_errors, wrong_checksums

TCP_BYTES = 4 << 20
WINDOW = ("-w", "128K")  # all flows of several get a share, and little that is sent and not yet received when the client says stop
UDP_BYTES = 600_000
UDP_RATE = "25M"
FEATURES = "rx tx sg tso gso gro rxvlan txvlan uso".split()


def all_features(value):
    """ethtool -K's words for all offloads."""
    return " ".join(f"{name} {value}" for name in FEATURES)


def check_iperf(guest, address, mtu):
    """TCP and UDP, both ways: all bytes of TCP, and no datagram lost without being counted."""
    for reverse in ([], ["-R"]):
        end = guest.iperf("-n", TCP_BYTES, *WINDOW, *reverse, address=address)["end"]
        assert end["sum_sent"]["bytes"] >= TCP_BYTES
        assert end["sum_received"]["bytes"] > TCP_BYTES * 0.7
        before = receive_errors(guest)
        found = guest.iperf("-u", "-n", UDP_BYTES, "-b", UDP_RATE, "-l", mtu - 28, *reverse, address=address)["end"]["sum"]
        assert found["packets"] >= UDP_BYTES // mtu
        counted = growth(before, receive_errors(guest))
        assert found["lost_packets"] <= sum(counted.values()), f"lost and not counted: {counted}"


@pytest.mark.parametrize("offloads", ["on", "off"])
@pytest.mark.parametrize("mtu", [1500, 9000])
@pytest.mark.parametrize("vlan", [None, 5])
def test_iperf(linux, vlan, mtu, offloads):
    """iperf3 both ways; then a file, whose frames are captured: every checksum right, segments made by the card only if it may."""
    try:
        linux.features(all_features(offloads))
        with linux.mtu(mtu), linux.way(vlan, mtu) as address:
            before = linux.statistics()
            with linux.uncaptured(), linux.iperf_server():
                check_iperf(linux, address, mtu)
            after = linux.statistics()
            with linux.counted() as count:
                assert fetch(linux, address) == PATTERN
        assert (after["tx_tcp_seg_good"] > before["tx_tcp_seg_good"]) == (offloads == "on")
        assert not {name for name in after if re.search("err|csum", name) and not re.search("missed|over|fifo|no_buffer", name)
                    and after[name] != before[name]}
        assert wrong_checksums(count.sent) == []
        assert max(map(len, count.sent)) == mtu + 14 + (4 if vlan else 0)
        assert count["tx_packets"] == len(count.sent)
    finally:
        linux.features(all_features("on"))


@pytest.mark.parametrize("by_card", [True, False], ids=["card", "stack"])
def test_udp_segmentation(linux, by_card):
    """UDP_SEGMENT: each send becomes datagrams of the size asked for and a short last one, of right checksums, cut by the card if
    it may (its counter for segmented packets says so)."""
    linux.features(f"uso {'on' if by_card else 'off'}")
    assert linux.ping(1) == 1  # ARP would drop what waits for it
    try:
        with linux.counted() as count:
            sends, datagrams = check_segmented(linux)
        assert wrong_checksums(count.sent) == []
        assert len([1 for frame in count.sent if UDP in Ether(frame)]) == datagrams
        assert count["tx_tcp_seg_good"] == (sends if by_card else 0)
        assert count["tx_packets"] == len(count.sent)
    finally:
        linux.features("uso on")


def test_parallel_flows(linux):
    """Eight connections at once over eight queues: RSS gives the card's receive queues, and Linux its transmit queues, a share."""
    def used(side):
        return [after[f"{side}_queue_{queue}_packets"] - before[f"{side}_queue_{queue}_packets"] > 20 for queue in range(8)]

    linux.channels(8)
    try:
        for _ in range(5):
            before = linux.statistics()
            with linux.uncaptured(), linux.iperf_server():
                for reverse in ([], ["-R"]):
                    linux.iperf("-n", TCP_BYTES, "-P", 8, *WINDOW, *reverse)
            after = linux.statistics()
            # Ports that follow one another: a linear hash with Linux's random key may know few queues for them, or one only; then
            # others are tried (see test_eight_queues for ports that reach all).
            received, sent = used("rx"), used("tx")
            if sum(received) >= 2 and sum(sent) >= 2:
                break
        assert sum(received) >= 2, received
        assert sum(sent) >= 2, sent  # a queue for each CPU at least
    finally:
        linux.channels(2)


def test_reconfiguration_under_load(linux):
    """Rings, channels, coalescing and the interface itself change while a TCP connection is in use: all its data is right."""
    with Stream(linux) as stream:
        for words in ("-G eth0 rx 80 tx 80", "-L eth0 combined 8", "-C eth0 rx-usecs 100", "-L eth0 combined 2",
                      "-G eth0 rx 4096 tx 4096", "-C eth0 rx-usecs 3", "-G eth0 rx 256 tx 256", "-K eth0 tx off sg off rx off",
                      "-K eth0 rx on tx on sg on tso on"):
            linux.ethtool(words)
            linux.wait_link()
            linux.reset_qdiscs()
            stream.goes_on()
        for _ in range(2):
            linux.sh("busybox ip link set eth0 down; busybox ip link set eth0 up")
            linux.wait_link()
            stream.goes_on()
    linux.features(all_features("on"))
    check_traffic(linux)

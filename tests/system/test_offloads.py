# SPDX-License-Identifier: MIT
"""TCP's offloads on igb-lite (rows M-01, M-05, P-03), switched by Debian's ethtool: what goes through the stack, what is on the wire,
and that no byte changes."""

import random
import re

import pytest
from scapy.all import TCP, Ether

import debian_tools
from guest import Guest
from linux_driver import ETHTOOL, PATTERN, fetch, upload, wait_for_size, wrong_checksums
from patience import steady
from softnet.qemu import Machine

DEBIAN_ETHTOOL = "/deb/ethtool"
NAMES = {"rx": "rx-checksumming", "tx": "tx-checksumming", "sg": "scatter-gather", "tso": "tcp-segmentation-offload",
         "gso": "generic-segmentation-offload", "gro": "generic-receive-offload", "rxhash": "receive-hashing"}
FULL = 1514  # a frame without FCS
BURST = 10 * 1448  # what a connection may have under way at its begin


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    guest = Guest(Machine(initrd=debian_tools.initramfs(tmp_path_factory.mktemp("ethtool"), [ETHTOOL]), memory="256M"))
    guest.resolve()
    yield guest
    guest.close()


def offloads(guest):
    """ethtool -k as {name: (on, fixed)}."""
    text = guest.sh(f"{DEBIAN_ETHTOOL} -k eth0")
    return {name: (value == "on", bool(fixed)) for name, value, fixed in re.findall(r"^\s*([\w-]+): (on|off)( \[fixed\])?", text, re.M)}


@pytest.fixture
def switch(card):
    """A function that switches offloads; all are on again afterwards."""
    def to(words):
        card.sh(f"{DEBIAN_ETHTOOL} -K eth0 {words}")
        pairs = words.split()
        found = offloads(card)
        for name, value in zip(pairs[::2], pairs[1::2]):
            assert found[NAMES[name]] == (value == "on", False), name
    yield to
    to("rx on tx on sg on tso on gso on gro on rxhash on")


@pytest.mark.row("M-01")
def test_shown(card):
    """-k, -i, -g and -S; the last counts what passes."""
    found = offloads(card)
    for name in NAMES.values():
        assert found[name] == (True, False), name
    assert found["large-receive-offload"][0] is False
    assert "driver: igb" in card.sh(f"{DEBIAN_ETHTOOL} -i eth0").splitlines()
    assert re.findall(r"^(?:RX|TX):\s+(\d+)$", card.sh(f"{DEBIAN_ETHTOOL} -g eth0"), re.M) == ["4096", "4096", "256", "256"]
    before = statistics(card)
    assert card.echo(b"counted") == b"counted"
    after = statistics(card)
    assert after["rx_queue_0_packets"] > before["rx_queue_0_packets"] and after["tx_queue_0_packets"] > before["tx_queue_0_packets"]


def statistics(guest):
    """ethtool -S as a dict."""
    return {name: int(value) for name, value in re.findall(r"^\s*(\w+): (\d+)$", guest.sh(f"{DEBIAN_ETHTOOL} -S eth0"), re.M)}


def test_needs(card, switch):
    """An offload that needs another goes with it and comes back with it; what the card cannot do stays off."""
    card.sh(f"{DEBIAN_ETHTOOL} -K eth0 tx off")
    found = offloads(card)
    assert not any(found[NAMES[name]][0] for name in ("tx", "sg", "tso", "gso"))
    card.sh(f"{DEBIAN_ETHTOOL} -K eth0 tx on")
    assert all(offloads(card)[NAMES[name]][0] for name in ("tx", "sg", "tso", "gso"))
    assert "Cannot change" in card.status(f"{DEBIAN_ETHTOOL} -K eth0 lro on")[1]


@pytest.mark.row("P-03")
@pytest.mark.parametrize("words, stack_whole, queue_whole", [
    ("tso on", True, True), ("tso off", True, False), ("tso off gso off", False, False),
    ("tx off", False, False), ("sg off", False, False), ("rx off gro off rxhash off", True, True)])
def test_large_sends(card, switch, words, stack_whole, queue_whole):
    """A file that a server in the guest writes: whole packets of many segments pass the stack, and the queue, where they may; on the
    wire there are only frames of Ethernet's size, with right checksums, and the file is what it was."""
    card.sh(f"{DEBIAN_ETHTOOL} -K eth0 {words}")
    since = card.wire_position()
    with card.trace("tcp_transmit_skb net_dev_queue") as trace:
        assert fetch(card) == PATTERN
    sent = [frame for frame in card.wire(since, to_guest=False) if TCP in Ether(frame)]
    assert max(map(len, sent)) == FULL and sum(map(len, sent)) > len(PATTERN)
    assert wrong_checksums(sent) == []
    assert (max(int(record["len"]) for record in trace.of("tcp_transmit_skb")) > FULL) == stack_whole
    assert (max(int(record["len"]) for record in trace.of("net_dev_queue")) > FULL) == queue_whole


def upload_in_bursts(card, rounds=8):
    """Bursts for a program in the guest, each waiting in the TAP before the card sees its first frame. Returns how many TCP frames
    came, and how many packets TCP saw or the card lost."""
    data = random.Random(7).randbytes(BURST * rounds)
    begin = []

    def counts():
        return len([frame for frame in card.wire(to_guest=True) if TCP in Ether(frame)]), seen(card)

    def send(sock):
        begin.extend(steady(counts, "what comes"))
        for at in range(0, len(data), BURST):
            with card.frozen():
                sock.sendall(data[at:at + BURST])
            wait_for_size(card, at + BURST)

    upload(card, data, send)
    return [after - before for before, after in zip(begin, steady(counts, "what comes"))]


def seen(card):
    """TCP's packets so far, and the frames that the card had no room for."""
    return card.snmp()["Tcp"]["InSegs"] + statistics(card)["rx_missed_errors"]


@pytest.mark.row("M-05")
def test_gro(card, switch):
    """Segments that come together are one packet for IP and TCP; without the offload each is one. The bytes are the same, also when
    nobody has checked the checksums before."""
    def merged():
        """Half of them at least; not so if the host's timer sends segment by segment again what a busy machine has let wait."""
        frames, packets = upload_in_bursts(card)
        assert frames >= 80
        return packets <= frames / 2

    assert any(merged() for _ in range(5))
    switch("gro off")
    frames, packets = upload_in_bursts(card)
    assert frames >= 80 and abs(packets - frames) <= 2
    switch("gro on rx off")
    assert any(merged() for _ in range(5))

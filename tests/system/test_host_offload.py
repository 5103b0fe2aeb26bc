# SPDX-License-Identifier: MIT
"""A backend that segments: igb-lite hands Linux's large TCP packets over whole, the host cuts them, and nobody else can tell."""

import contextlib
import fcntl
import os
import random

import pytest
from scapy.all import UDP, Ether

from linux_driver import PATTERN, LinuxGuest, check_segmented, check_traffic, fetch, upload
from softnet import netns

TUNSETOFFLOAD = 0x400454D0
TUN_F_CSUM, TUN_F_USO4, TUN_F_USO6 = 0x01, 0x20, 0x40


class WholeGuest(LinuxGuest):
    """The judge on a TAP with a vnet header."""

    vnet_hdr = True


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    guest = WholeGuest(tmp_path_factory.mktemp("whole"))
    guest.resolve()
    yield guest
    guest.close()


def test_download(whole):
    """What the guest sends arrives as it was, in fewer and larger pieces than its statistics count."""
    with whole.counted() as count:
        assert fetch(whole) == PATTERN
        check_traffic(whole)
    sizes = [len(frame) for frame in count.sent]
    assert max(sizes) > 1514
    assert count["tx_tcp_seg_good"] > 0
    assert count["tx_packets"] > len(sizes)
    assert whole.complaints() == []


def host_cuts_datagrams():
    """Does a TAP of this host take UDP packets that are still to be cut? Linux 6.2 was the first whose did."""
    tap = netns.open_tap("probe0", "10.250.0.1", vnet_hdr=True)
    try:
        with contextlib.suppress(OSError):
            fcntl.ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_USO4 | TUN_F_USO6)
            return True
        return False
    finally:
        os.close(tap)


def test_datagrams(whole):
    """UDP_SEGMENT: a send goes out whole if the TAP takes that, else as the datagrams that the card makes of it; its statistics and
    the receiver cannot tell."""
    assert whole.ping(1) == 1  # ARP would drop what waits for it
    with whole.counted() as count:
        sends, datagrams = check_segmented(whole)
    frames = [frame for frame in count.sent if UDP in Ether(frame)]
    assert len(frames) == (sends if host_cuts_datagrams() else datagrams)
    assert count["tx_tcp_seg_good"] == sends
    assert count["tx_packets"] == datagrams + len(count.sent) - len(frames)


def test_without(whole):
    """With segmentation off, and with all offloads off, all frames are as long as Ethernet's."""
    try:
        for offloads in ("tx on sg on tso off", "tx off sg off tso off"):
            whole.features(offloads)
            with whole.counted() as count:
                assert fetch(whole) == PATTERN
            assert max(len(frame) for frame in count.sent) == 1514
            assert count["tx_packets"] == len(count.sent)
    finally:
        whole.features("tx on sg on tso on")


def test_upload(whole):
    """The other direction has the header, too."""
    data = random.Random(5).randbytes(1 << 20)
    upload(whole, data, lambda sock: sock.sendall(data))

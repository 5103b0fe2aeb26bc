# SPDX-License-Identifier: MIT
"""A backend that segments: igb-lite hands Linux's large TCP packets over whole, the host cuts them, and nobody else can tell."""

import hashlib
import random
import time

import pytest

from linux_driver import PATTERN, LinuxGuest, check_traffic, connect, fetch


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
    with whole.background("busybox nc -l -p 5001 < /dev/null > /tmp/upload"):
        with connect(whole, 5001) as sock:
            sock.sendall(data)
        for _ in range(100):
            if int(whole.sh("busybox stat -c %s /tmp/upload")) == len(data):
                break
            time.sleep(0.1)
    assert whole.sh("busybox md5sum /tmp/upload").split()[0] == hashlib.md5(data).hexdigest()

# SPDX-License-Identifier: MIT
"""igb-lite under Linux's igb driver when the ground moves: the card is unplugged and plugged in again, and the running guest
migrates to another QEMU in the middle of its traffic."""

import re
import struct
import threading
import time

from linux_driver import TWO_QUEUES, Stream, check_traffic, growth, receive_errors
from patience import PATIENCE
from softnet import netns

RATE = 500  # datagrams a second
IN_FLIGHT = 4


def test_unplug_and_plug(linux):
    """Twice: the guest lets go of the card, and finds it again as at first."""
    for _ in range(2):
        linux.unplug()
        assert not linux.vectors() and not linux.exists("/sys/class/net/eth0/address")
        linux.plug()
        assert linux.vectors() == TWO_QUEUES
        assert linux.cat("/sys/class/net/eth0/address").strip() == linux.mac
        check_traffic(linux)


def test_unplug_under_load(linux):
    """The card goes while a TCP connection is in use, and comes back: the connection goes on."""
    with Stream(linux) as stream:
        linux.unplug()
        linux.plug()
        stream.goes_on()
    check_traffic(linux)


class Datagrams(threading.Thread):
    """Numbered datagrams to the guest's UDP echo at a steady rate until stop(); `back` has what came back, in order."""

    def __init__(self, guest):
        super().__init__(daemon=True)
        self.sock = guest.udp(connect=7, timeout=10)
        self.sent, self.back, self.stopped = 0, [], threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self):
        self.reader.start()
        self.start()
        return self

    def run(self):
        while not self.stopped.is_set():
            self.sock.send(struct.pack("!I", self.sent))
            self.sent += 1
            time.sleep(1 / RATE)

    def _read(self):
        while True:
            try:
                self.back.append(struct.unpack("!I", self.sock.recv(100))[0])
            except OSError:  # nothing for a while
                if self.stopped.is_set():
                    return
            if self.stopped.is_set() and len(self.back) == self.sent:
                return

    def __exit__(self, *_):
        self.stopped.set()
        self.join(PATIENCE)
        self.reader.join(PATIENCE)
        self.sock.close()


def test_migration(linux):
    """There and there again, with TCP and UDP under way: TCP goes on, no datagram is doubled, and of those that were not on the way
    at the moment of the move (in a QEMU's hands, or waiting for a buffer of the TAP) none is lost."""
    netns.ip("link", "set", linux.tap, "txqueuelen", "10000")  # a place for all that comes while nobody reads
    for _ in range(2):
        before = receive_errors(linux)
        with Stream(linux) as stream, Datagrams(linux) as datagrams:
            time.sleep(0.5)
            linux.migrate()
            stream.goes_on()
            time.sleep(0.5)
        assert len(set(datagrams.back)) == len(datagrams.back), "a datagram came back twice"
        lost = sorted(set(range(datagrams.sent)) - set(datagrams.back))
        counted = growth(before, receive_errors(linux))
        print(f"{datagrams.sent} datagrams, lost {lost}, counted {counted}")
        assert len(lost) <= IN_FLIGHT + sum(counted.values()), f"{len(lost)} of {datagrams.sent} lost; counted: {counted}"
        assert linux.vectors() == TWO_QUEUES
        check_traffic(linux)
        assert not re.search("NIC Link is Down", linux.dmesg()[-500:])

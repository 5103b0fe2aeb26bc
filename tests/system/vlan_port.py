# SPDX-License-Identifier: MIT
"""The host's side of a VLAN, for hosts whose kernel has no VLAN devices: a TAP with an address, and a thread that puts tags on what
the host sends through it and takes them off what comes back."""

import contextlib
import os
import select
import socket
import struct
import threading

from guest import SO_RCVBUFFORCE
from softnet import netns

SOL_PACKET, PACKET_AUXDATA, PACKET_OUTGOING = 263, 8, 4
VLAN_VALID = 1 << 4  # in tpacket_auxdata's status: the kernel took the tag off and has it in vlan_tci
TAG = b"\x81\x00"
LONGEST = 65536


class VlanPort:
    """VLAN `number` on `device` as TAP `name`; give it up with close()."""

    def __init__(self, name, device, number, address, mtu=1500):
        self.name, self.number = name, number
        self.tap = netns.open_tap(name, address)
        netns.ip("link", "set", name, "mtu", str(mtu))
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        with contextlib.suppress(PermissionError):  # the machine's limit is less than what comes while our thread waits for a processor
            self.wire.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self.wire.bind((device, 0))
        self.stop_reader, self.stop_writer = os.pipe()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            ready = select.select([self.tap, self.wire, self.stop_reader], [], [])[0]
            if self.stop_reader in ready:
                return
            if self.tap in ready:
                self._send(os.read(self.tap, LONGEST))
            if self.wire in ready:
                frame = self._receive()
                if frame:
                    os.write(self.tap, frame)

    def _send(self, frame):
        try:
            self.wire.send(frame[:12] + TAG + struct.pack("!H", self.number) + frame[12:])
        except OSError:
            pass  # the TAP's queue is full, or the frame is longer than its MTU: lost, as on a wire

    def _receive(self):
        """One frame of our VLAN, without its tag; None if it is another's."""
        data, extra, _, address = self.wire.recvmsg(LONGEST, 256)
        if address[2] == PACKET_OUTGOING:
            return None
        for level, kind, value in extra:
            if level == SOL_PACKET and kind == PACKET_AUXDATA:
                status, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", value[:20])
                if status & VLAN_VALID:
                    return data if tci & 0xfff == self.number else None
        if data[12:14] == TAG and struct.unpack("!H", data[14:16])[0] & 0xfff == self.number:
            return data[:12] + data[16:]
        return None

    def close(self):
        """End the thread; the TAP goes with its descriptor."""
        os.write(self.stop_writer, b"x")
        self.thread.join()
        for descriptor in (self.tap, self.stop_reader, self.stop_writer):
            os.close(descriptor)
        self.wire.close()

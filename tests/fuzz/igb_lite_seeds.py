#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes the device fuzzer's seeds, one a scenario, in the format of tests/qtest/fuzz/igb_lite_fuzz_ops.c.

usage: tests/fuzz/igb_lite_seeds.py [DIRECTORY]        (default: tests/fuzz/corpus/fuzz_igb_lite)
"""

import pathlib
import struct
import sys

(REG_WRITE, REG_FLIP, REG_READ, RAW, MEMORY, RX_RING, TX_RING, TX_DATA, TX_CONTEXT, TX_DOORBELL, RX_POST, FRAME, PACKET, CLOCK,
 RUN, CONFIG, VECTOR, LINK, WIRE, FLIP, MIGRATE, STOP, RESET, ENABLE, FAULT) = range(25)

# Command's upper byte of a transmit descriptor.
EOP, RS, DEXT, VLE, TSE = 0x01, 0x08, 0x20, 0x40, 0x80
LAST = EOP | RS | DEXT
# Kinds of addresses.
NULL, OWN_BAR, OWN_MSIX, OWN_CONFIG, RAM_END, NOTHING, TOP, ROM, APIC, END32, RAM = range(11)
# Registers by offset.
CTRL, RCTL, TCTL, VET, ICS, IMS, GPIE, EICS, EIMS, EIAM = 0, 0x100, 0x400, 0x38, 0xc8, 0xd0, 0x1514, 0x1520, 0x1524, 0x1530
EITR, IVAR, RXCSUM, RLPML, MRQC, RETA, RSSRK, MDIC, EERD, PBACLR = (0x1680, 0x1700, 0x5000, 0x5004, 0x5818, 0x5c00, 0x5c80, 0x20,
                                                                    0x14, 0x5b68)
RDBAL, SRRCTL, RDH, RDT, TDBAL, TDLEN, TDH, TDT, TDWBAL = (0xc000, 0xc00c, 0xc010, 0xc018, 0xe000, 0xe008, 0xe010, 0xe018, 0xe038)


def w32(offset, value):
    """Write a register."""
    return struct.pack("<BBHI", RAW, 2 | 4 | (0x80 if offset > 0xffff else 0), offset & 0xffff, value)


def address(kind, offset=0):
    """An address as the fuzzer reads it."""
    return struct.pack("<BH", kind, offset)


def tx_data(where, length, command=LAST, olinfo=0, ahead=0, queue=0):
    """A data descriptor in the slot `ahead` beyond the tail."""
    return bytes([TX_DATA, queue | ahead << 4]) + where + struct.pack("<BHH", command, length, olinfo)


def tx_context(maclen, iplen, kind, l4len=0, mss=0, vlan=0, ahead=0, queue=0):
    """A context descriptor; kind: bit 1 IPv4, bits 3:2 UDP, TCP, SCTP."""
    return bytes([TX_CONTEXT, queue | ahead << 4]) + struct.pack("<IBI", iplen | maclen << 9 | vlan << 16, kind, l4len << 8 | mss << 16)


def doorbell(count, queue=0):
    """The tail forward by count descriptors."""
    return bytes([TX_DOORBELL, queue | (count - 1) << 4])


def packet(kind, payload, *flips):
    """A packet whose headers make sense, but for up to three (place, mask)."""
    pairs = list(flips) + [(99, 0)] * (3 - len(flips))
    return struct.pack("<BBH", PACKET, kind, payload) + bytes(b for pair in pairs for b in pair)


def frame(length, content=b""):
    """A frame of a length, with content over and over."""
    return struct.pack("<BHB", FRAME, length, len(content)) + content


def memory(offset, content):
    """Bytes into the window."""
    return struct.pack("<BHB", MEMORY, offset // 4, len(content)) + content


def vector(number, where, data, masked=False):
    """An MSI-X table entry."""
    return bytes([VECTOR, number | (0x80 if masked else 0)]) + where + struct.pack("<I", data)


def config(place, value, size=2):
    """Configuration space, by place in the fuzzer's list."""
    return struct.pack("<BBHI", CONFIG, place | (size.bit_length() - 1) << 4, 0, value)


def clock(times, shift):
    """Virtual time: times << shift nanoseconds, then what it has set off."""
    return bytes([CLOCK, shift, times - 1, RUN, 3])


def rx_ring(queue, size_code, buffer_kb, posted):
    """A ring of size sizes[size_code]."""
    return bytes([RX_RING, queue, size_code, buffer_kb, posted])


def fault(which, value):
    """A fault by its place in the fuzzer's list; the last one is the event log."""
    return struct.pack("<BBH", FAULT, which, value)


UDP4, UDP6, UDP4_VLAN, EXT6, TCP4, TCP6, SCTP4, FRAG4 = 0x40, 0x41, 0x42, 0x45, 0x08, 0x09, 0x10, 0x60
BUF = address(RAM, 0x2000)  # window + 0x22000
RUN3 = bytes([RUN, 3])
MAC_LOOP = w32(MDIC, 0x4140 | 0 << 16 | 1 << 21 | 1 << 26)
RSS = b"".join(w32(RSSRK + 4 * i, 0x6d5a56da * (i + 1) & 0xffffffff) for i in range(10)) + \
    b"".join(w32(RETA + 4 * i, 0x03020100) for i in range(32)) + w32(MRQC, 0x00ff0002) + w32(RXCSUM, 0x2300)

SEEDS = {
    "tx_one": tx_data(BUF, 100) + doorbell(1) + RUN3,
    "tx_fragments": b"".join(tx_data(BUF, 30, LAST if i == 7 else DEXT, ahead=i) for i in range(8)) + doorbell(8),
    "tx_no_end": b"".join(tx_data(BUF, 30, DEXT | RS, ahead=i) for i in range(7)) + doorbell(7) + RUN3,
    "tx_legacy": tx_data(BUF, 64, EOP | RS | VLE) + doorbell(1),
    "tx_head_write_back": w32(TDWBAL, 0x110001) + tx_data(BUF, 64) + doorbell(1),
    "tx_checksum": tx_context(14, 20, 2 | 1 << 2) + tx_data(BUF, 200, olinfo=0x300, ahead=1) + doorbell(2),
    "tx_sctp": tx_context(14, 20, 2 | 2 << 2) + tx_data(BUF, 40, olinfo=0x300, ahead=1) + doorbell(2),
    "tx_tso4": tx_context(14, 20, 2 | 1 << 2, 20, 100) + tx_data(BUF, 1000, LAST | TSE, 0x300, 1) + doorbell(2),
    "tx_tso6": tx_context(14, 40, 1 << 2, 20, 100) + tx_data(BUF, 1000, LAST | TSE, 0x200, 1) + doorbell(2),
    "tx_uso": tx_context(14, 20, 2, 8, 100) + tx_data(BUF, 1000, LAST | TSE, 0x300, 1) + doorbell(2),
    "tx_tso_long": tx_context(14, 20, 2 | 1 << 2, 20, 1460, 7) + tx_data(address(RAM), 0xffff, LAST | TSE | VLE, 0x300, 1) +
                   doorbell(2) + RUN3,
    "tx_tso_lies": tx_context(127, 511, 2 | 1 << 2, 255, 0xffff) + tx_data(BUF, 900, LAST | TSE, 0x310, 1) + doorbell(2),
    "tx_vlan": w32(VET, 0x88a888a8) + tx_context(14, 0, 0, vlan=0xa123) + tx_data(BUF, 60, LAST | VLE, ahead=1) + doorbell(2),
    "tx_ring_sizes": bytes([TX_RING, 1, 7]) + tx_data(BUF, 60, queue=1) + w32(TDT + 0x40, 4000) + RUN3 + RUN3 +
                     w32(TDLEN + 0x40, 100) + w32(TDT + 0x40, 5) + w32(TDH + 0x40, 0xffff),
    "tx_many_queues": b"".join(bytes([TX_RING, q, 0]) + tx_data(BUF, 60 + q, queue=q) + doorbell(1, q) for q in range(16)),
    "loopback": MAC_LOOP + b"".join(tx_data(BUF, 64 + i, ahead=i) for i in range(5)) + doorbell(5) + RUN3,
    "loopback_rctl": w32(RCTL, 0x0400804a) + memory(0x22000, b"\xff" * 12 + b"\x08\x00" + b"\x45") + tx_data(BUF, 300) + doorbell(1),
    "wire_refuses": bytes([WIRE, 1]) + b"".join(tx_data(BUF, 64, ahead=i) for i in range(5)) + doorbell(5) + RUN3 + bytes([WIRE, 0]),
    "wire_echoes": bytes([WIRE, 2]) + memory(0x22000, b"\xff" * 6) + tx_data(BUF, 64) + doorbell(1) + RUN3,
    "wire_in_pieces": bytes([WIRE, 0x81]) + tx_context(14, 20, 2 | 1 << 2, 20, 100) + tx_data(BUF, 600, DEXT | TSE, 0x300, 1) +
                      tx_data(BUF, 700, LAST, 0, 2) + doorbell(3) + tx_data(BUF, 1500) + doorbell(1) + RUN3 + bytes([WIRE, 0x80]),
    "rx_packets": b"".join(packet(kind, 100) for kind in (UDP4, UDP6, UDP4_VLAN, EXT6, TCP4, TCP6, SCTP4, FRAG4)) + RUN3,
    "rx_ext_headers": RSS + packet(EXT6, 60, (55, 3)) + packet(EXT6 | 0x20, 60) + packet(EXT6, 60, (54, 43), (55, 200)) +
                      packet(EXT6, 60, (20, 60), (54, 60), (62, 60)),
    "rx_lengths": b"".join(frame(n) for n in (0, 1, 13, 14, 15, 17, 18, 59, 60, 1514, 1515, 1519)) + w32(RLPML, 0x3fff) +
                  b"".join(frame(n) for n in (9000, 16378, 16379, 16380, 19999)),
    "rx_jumbo": rx_ring(0, 3, 1, 60) + w32(RLPML, 0x3fff) + frame(9000, b"\xff" * 12) + frame(1024, b"\xff") + frame(1025, b"\xff"),
    "rx_fcs": w32(RCTL, 0x800a) + rx_ring(0, 0, 1, 7) + frame(1024, b"\xff") + frame(1021, b"\xff") + frame(60, b"\xff"),
    "rx_full": rx_ring(0, 0, 1, 3) + b"".join(frame(60, b"\xff") for _ in range(5)) + w32(SRRCTL, 0x82000001) + frame(60, b"\xff"),
    "rx_null_buffer": bytes([RX_POST, 0, 0]) + address(NULL) + bytes([RX_POST, 0, 1]) + address(NOTHING) + frame(3000, b"\xff"),
    "rx_bad_ring": w32(RDH, 0xffff) + frame(60, b"\xff") + w32(RDH, 0) + w32(RDT, 9) + frame(60, b"\xff") + w32(RDBAL, 0xffffff80),
    "rx_vlan": w32(CTRL, 0x40000001) + w32(RCTL, 0x04048022) + packet(UDP4_VLAN, 50) + packet(UDP4_VLAN, 50, (15, 1)),
    "rss": RSS + b"".join(rx_ring(q, 0, 2, 7) for q in range(4)) + b"".join(packet(k, 50, (34, k)) for k in (UDP4, UDP6, TCP4, TCP6)),
    "own_bar": b"".join(tx_data(address(kind, 0), 64) + doorbell(1) for kind in (OWN_BAR, OWN_MSIX, OWN_CONFIG, RAM_END, NOTHING,
                                                                                 TOP, ROM, APIC, END32, NULL)) + RUN3,
    "own_bar_rx": b"".join(bytes([RX_POST, 0, i]) + address(kind, off) + frame(60, b"\xff\xff\xff\xff\xff\xff\0\0\0\x04")
                           for i, (kind, off) in enumerate([(OWN_BAR, 0), (OWN_MSIX, 0), (OWN_CONFIG, 0xa8), (RAM_END, 30),
                                                            (TOP, 20), (ROM, 0), (APIC, 0)])) + RUN3,
    "own_config_reset": bytes([RX_POST, 0, 0]) + address(OWN_CONFIG, 0xa8) + frame(60, b"\xff" * 6 + b"\0\x80") + RUN3,
    "own_config_wb": w32(TDWBAL, 0xb0020004 | 1) + tx_data(BUF, 64) + doorbell(1) + RUN3,
    "ring_in_bar": w32(TDBAL, 0xe0005200) + w32(TDT, 5) + w32(RDBAL, 0xe0040000) + frame(60, b"\xff") + RUN3,
    "message_to_ctrl": vector(0, address(OWN_BAR, 0), 1 << 26) + w32(EICS, 1) + w32(EITR, 100 << 2) + w32(EICS, 1) + clock(200, 10),
    "message_to_config": vector(1, address(OWN_CONFIG, 0xa8), 0x8000) + w32(EICS, 2) + frame(60, b"\xff") + RUN3,
    "message_to_doorbell": vector(0, address(OWN_BAR, TDT // 2), 3) + tx_data(BUF, 64) + w32(EICS, 1) + RUN3,
    "irq_moderated": w32(EITR, 50 << 2) + (w32(EICS, 1) + clock(20, 10)) * 4,
    "irq_masked": vector(2, address(RAM, 0x100), 7, True) + w32(EICS, 4) + w32(PBACLR, 4) + vector(2, address(RAM, 0x100), 7) +
                  config(8, 0xc009) + w32(EICS, 5) + config(8, 0x8009),
    "irq_auto_mask": w32(EIAM, 0x3ff) + w32(EICS, 0x3ff) + w32(EICS, 0x3ff) + w32(EIMS, 0x3ff),
    "irq_legacy": config(8, 0) + w32(GPIE, 0) + w32(IMS, 0xffffffff) + frame(60, b"\xff") + w32(ICS, 4) + config(8, 0x8000),
    "phy": b"".join(w32(MDIC, value | reg << 16 | 1 << 21 | 1 << 26) for reg, value in
                    ((0, 0x9140), (0, 0x1340), (4, 0xde1), (31, 5), (0, 0x1940), (0, 0x1140))) + clock(255, 15) + w32(MDIC, 3 << 26),
    "nvm": b"".join(w32(EERD, word << 2 | 1) for word in (0, 0x3f, 0xff, 0x100, 0x3fff)),
    "link": bytes([LINK, 0]) + frame(60, b"\xff") + tx_data(BUF, 64) + doorbell(1) + bytes([LINK, 1]) + clock(255, 15),
    "bus_master": config(0, 2) + tx_data(BUF, 64) + doorbell(1) + frame(60, b"\xff") + config(0, 6) + RUN3,
    "power_state": config(6, 3) + w32(EICS, 1) + frame(60, b"\xff") + config(6, 0),
    "bars_move": config(2, 0xe0020000, 4) + w32(TCTL, 2) + config(3, 0xe0000000, 4) + frame(60, b"\xff") + RUN3,
    "flip_tx": bytes([FLIP, 1, 3, 0x40]) + tx_context(14, 20, 2 | 1 << 2, 20, 100) + tx_data(BUF, 1000, LAST | TSE, 0x300, 1) +
               doorbell(2) + RUN3,
    "flip_rx": bytes([FLIP, 2, 4, 0xff]) + frame(1500, b"\xff") + frame(60, b"\xff"),
    "migrate": tx_data(BUF, 50, DEXT) + doorbell(1) + w32(EITR, 500 << 2) + w32(EICS, 1) + w32(EICS, 1) + bytes([MIGRATE, 0, 0, 0]) +
               clock(255, 15) + frame(60, b"\xff"),
    "migrate_damaged": b"".join(bytes([MIGRATE]) + struct.pack("<HB", at, 0x81) for at in (300, 700, 2000, 5000)),
    "stop": bytes([TX_RING, 0, 6]) + w32(TDT, 400) + bytes([STOP, 1]) + RUN3 + frame(60, b"\xff") + bytes([STOP, 0]) + RUN3,
    "resets": b"".join(tx_data(BUF, 64) + w32(TDT, 5) + frame(60, b"\xff") + bytes([RESET, how, ENABLE]) for how in range(3)),
    "fault_irq": fault(0, 2) + fault(1, 3) + fault(2, 4) + w32(EIMS, 0x3ff) + b"".join(w32(EICS, 1 << i) for i in range(8)) + clock(255, 15),
    "fault_write_back": fault(3, 1) + fault(10, 50) + frame(60, b"\xff") + frame(60, b"\xff") + tx_data(BUF, 64) + doorbell(1) +
                        clock(100, 10) + bytes([RESET, 0]) + clock(255, 15),
    "fault_corrupt": fault(4, 1) + fault(5, 1) + fault(6, 1) + fault(9, 77) + packet(UDP4, 40) + frame(14, b"\xff") + tx_data(BUF, 64) +
                     doorbell(1) + RUN3,
    "fault_stall": fault(7, 0xffff) + fault(8, 0xffff) + frame(60, b"\xff") + tx_data(BUF, 64) + doorbell(1) + fault(7, 0) + fault(8, 0),
    "event_log": fault(11, 0) + frame(60, b"\xff") + tx_data(BUF, 64) + doorbell(1) + w32(EICS, 1) + RUN3,
    "reset_at_work": bytes([TX_RING, 0, 6]) + w32(TDT, 500) + bytes([RESET, 1]) + RUN3,
    "sizes": b"".join(bytes([RAW, how]) + struct.pack("<HI", RCTL + off, 0xffffffff) for how in (0, 1, 3, 4, 5, 7) for off in (0, 1, 4)),
    "scribble": b"".join(bytes([REG_WRITE, i, i]) + b"\xff\xff\xff\xff" for i in range(64)),
    "flips": b"".join(bytes([REG_FLIP, i, i, i % 32, REG_READ, i, i]) for i in range(110)),
}


def main():
    """Write them all."""
    default = pathlib.Path(__file__).resolve().parent / "corpus" / "fuzz_igb_lite"
    directory = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in SEEDS.items():
        (directory / name).write_bytes(content)
    print(f"{len(SEEDS)} seeds in {directory}")


if __name__ == "__main__":
    main()

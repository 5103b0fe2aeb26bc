// SPDX-License-Identifier: MIT
// The table of trace events: TRACE_EVENT(name, "field formats"). No include guard: included several times.
// Formats, one per argument: d signed, u unsigned, x hex, p pointer, S symbol of an address, s static string, i IPv4 address,
// e.g. TRACE_EVENT(udp_rcv, "skb=%u", "len=%u").
TRACE_EVENT(irq_handler_entry, "irq=%u", "handler=%S")

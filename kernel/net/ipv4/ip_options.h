// SPDX-License-Identifier: MIT
// Options of received IPv4 headers. Linux: net/ipv4/ip_options.c.
#pragma once

#include "net/ipv4/ip.h"

// inet_skb_parm::flags.
constexpr u16 IPSKB_RR_NEEDADDR = 1, IPSKB_TS_NEEDTIME = 2, IPSKB_TS_NEEDADDR = 4,
              IPSKB_ROUTER_ALERT = 8, IPSKB_STRICT = 16, IPSKB_FORWARDED = 32;

/// Check and act on the options of a received packet that has a route: fills IPCB, writes our
/// address into record-route and timestamp options. False: drop (counted; ICMP parameter problem
/// sent). [S]
bool ip_rcv_options(sk_buff *skb);
/// In a header of hlen bytes: options that the later fragments must not repeat (copy bit clear)
/// become no-ops.
void ip_options_strip(u8 *header, u32 hlen);
constexpr u8 IPOPT_END = 0, IPOPT_NOOP = 1, IPOPT_RR = 7, IPOPT_TIMESTAMP = 68, IPOPT_SEC = 130,
             IPOPT_LSRR = 131, IPOPT_CIPSO = 134, IPOPT_SID = 136, IPOPT_SSRR = 137, IPOPT_RA = 148;
constexpr u8 IPOPT_TS_TSONLY = 0, IPOPT_TS_TSANDADDR = 1, IPOPT_TS_PRESPEC = 3;
/// RFC 791: the copy bit.
constexpr bool ipopt_copied(u8 kind)
{
    return kind & 0x80;
}

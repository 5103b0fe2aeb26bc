// SPDX-License-Identifier: MIT
// Between icmp*.cc and IPv4's other files. Linux: include/net/icmp.h.
#pragma once

#include "net/ipv4/ip.h"

/// A message of `type` leaves (IcmpMsg OutType, Out…s, OutMsgs).
void icmp_out_count(u8 type);
/// Settings (/proc/sys/net/ipv4/icmp_*).
extern int sysctl_icmp_echo_ignore_all, sysctl_icmp_echo_ignore_broadcasts,
    sysctl_icmp_ignore_bogus_error_responses, sysctl_icmp_ratelimit, sysctl_icmp_ratemask;

/// Token bucket per destination (Linux inet_peer_xrlim_allow): room for 6 messages, one token per
/// `timeout` jiffies. icmp_ratelimit.cc
bool icmp_xrlim_allow(be32 daddr, u64 timeout);
/// One ICMP message to send: header, then `data_len` bytes of `skb` from `offset`.
struct icmp_bxm {
    const sk_buff *skb;
    s32 offset; // from skb->data; headers that were pulled lie before it
    u32 data_len;
    icmphdr hdr;
    be32 times[3];
    u32 head_len; // of hdr and times
    ip_options opt;
};
/// Build and send; the route stays the caller's. icmp_send.cc
void icmp_push(const icmp_bxm &b, be32 saddr, be32 daddr, u8 tos, rtable *rt, u32 trace_id);
/// Answer to skb with b's message, addresses exchanged (RFC 1122 §3.2.2.6). icmp_send.cc
void icmp_reply(icmp_bxm *b, sk_buff *skb);
/// Handler for inet_protos. [S]
int icmp_rcv(sk_buff *skb);
void icmp_err(sk_buff *skb, u32 info);

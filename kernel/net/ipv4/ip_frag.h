// SPDX-License-Identifier: MIT
// Reassembly of IPv4 fragments (RFC 791 §3.2, RFC 1122 §3.3.2). Linux: net/ipv4/ip_fragment.c,
// net/ipv4/inet_fragment.c.
#pragma once

#include "net/ipv4/ip.h"

/// Take over a fragment (data at its IP header, trimmed to tot_len, route set). Returns the
/// datagram that it completes (data at the IP header, fragments in frag_list), or null: kept or
/// dropped. [S]
sk_buff *ip_defrag(sk_buff *skb);
void ipfrag_init();

/// Sysctls: bytes in all queues at which the oldest are dropped, down to the low mark; seconds that
/// a queue may live.
extern int sysctl_ipfrag_high_thresh, sysctl_ipfrag_low_thresh, sysctl_ipfrag_time;
/// Datagrams under reassembly, and the bytes of memory that they hold (/proc/net/sockstat,
/// "FRAG:").
unsigned ip_frag_nqueues();
unsigned ip_frag_mem();

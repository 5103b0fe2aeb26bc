// SPDX-License-Identifier: MIT
// Reassembly of IPv4 fragments (RFC 791 §3.2, RFC 815; Linux: ip_defrag).
#pragma once

#include "net/core/skbuff.h"

/// Take over a fragment (data at its IP header, trimmed to tot_len, route set). Returns the datagram that it completes (data at the IP
/// header, fragments in frag_list), or null: kept or dropped. [S]
sk_buff *ip_defrag(sk_buff *skb);
/// Datagrams under reassembly, and the bytes of memory that they hold (/proc/net/sockstat, "FRAG:").
unsigned ip_frag_nqueues();
unsigned ip_frag_mem();

// SPDX-License-Identifier: MIT
// Between tcp_input_data.cc and tcp_input_ofo.cc only: what came out of order. Socket lock held.
#pragma once

#include "net/ipv4/tcp_engine.h"

/// Append from's payload to `to` if it follows and fits; counted. True: from is to be freed.
bool tcp_try_coalesce(sock *sk, sk_buff *to, sk_buff *from);
/// A segment beyond rcv_nxt, inside the window, data pulled. Consumes skb.
void tcp_data_queue_ofo(sock *sk, sk_buff *skb);
/// Move what is next in order now to the receive queue.
void tcp_ofo_queue(sock *sk);
/// Forget SACK blocks that rcv_nxt has passed.
void tcp_sack_remove(tcp_sock *tp);
/// The next ACK reports [seq, end_seq) as duplicate (RFC 2883).
void tcp_dsack_set(sock *sk, u32 seq, u32 end_seq);
/// The buffer is full: compact, then throw away what is out of order. 0: room again, -1: none.
int tcp_prune_queue(sock *sk);
/// Throw away everything out of order. True: there was something.
bool tcp_prune_ofo_queue(sock *sk);

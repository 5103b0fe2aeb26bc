// SPDX-License-Identifier: MIT
// Many segments as one packet: cut before a device that cannot (GSO), joined in a driver's poll (GRO). Linux: net/ipv4/tcp_offload.c,
// the GRO part of net/core/dev.c.
#pragma once

#include "net/core/netdevice.h"

/// The packet stands for several segments (skb_shared_info::gso_size).
inline bool skb_is_gso(const sk_buff *skb)
{
    return skb_shinfo(skb)->gso_size;
}
/// Cut a TCP/IPv4 packet (skb->data at the link header, headers in place) into segments of gso_size, chained through next. Takes over
/// skb; null: no memory (dropped). The last segment carries skb's destructor and charge. Any context.
sk_buff *tcp4_gso_segment(sk_buff *skb);
/// A frame of a driver's poll, link header pulled: joined with one of `napi`'s that it continues, or kept as the first of more
/// (true), or to be passed up now (false; the flow's earlier segments have gone up before it). [S]
bool tcp4_gro_receive(napi_struct *napi, sk_buff *skb);
/// Pass up everything that was kept. [S]
void napi_gro_flush(napi_struct *napi);

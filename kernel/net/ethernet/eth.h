// SPDX-License-Identifier: MIT
// The Ethernet header (IEEE 802.3). Linux: include/uapi/linux/if_ether.h,
// include/linux/etherdevice.h.
#pragma once

#include "net/core/netdevice.h"

struct ethhdr {
    u8 h_dest[ETH_ALEN];
    u8 h_source[ETH_ALEN];
    be16 h_proto;
};
static_assert(sizeof(ethhdr) == ETH_HLEN);

inline ethhdr *eth_hdr(const sk_buff *skb)
{
    return reinterpret_cast<ethhdr *>(skb_mac_header(skb));
}

/// Whether two six-byte addresses are the same.
inline bool ether_addr_equal(const u8 *a, const u8 *b)
{
    u32 a4, b4;
    u16 a2, b2;
    __builtin_memcpy(&a4, a, 4);
    __builtin_memcpy(&b4, b, 4);
    __builtin_memcpy(&a2, a + 4, 2);
    __builtin_memcpy(&b2, b + 4, 2);
    return !((a4 ^ b4) | (a2 ^ b2));
}
/// header_ops::create of Ethernet: pushes 14 bytes; negative when the destination is not known yet.
int eth_header(sk_buff *skb, net_device *dev, u16 type, const void *daddr, const void *saddr,
               u32 len);

// SPDX-License-Identifier: MIT
// Address resolution (RFC 826, RFC 5227's announcements). Linux: include/net/arp.h, net/ipv4/arp.c.
#pragma once

#include "net/core/neighbour.h"
#include "net/ipv4/ip.h"

constexpr u16 ARPOP_REQUEST = 1, ARPOP_REPLY = 2;
extern static_object<neigh_table> arp_tbl_storage;
#define arp_tbl (*arp_tbl_storage)

/// Build and send one ARP packet; addresses of the link layer may be null (own / broadcast / zero).
/// Any context but hard IRQ.
void arp_send(u16 op, be32 dest_ip, net_device *dev, be32 src_ip, const u8 *dest_hw,
              const u8 *src_hw, const u8 *target_hw);
/// A device goes down, changes address, or loses IFF_ARP. [P] rtnl
void arp_netdev_event(netdev_event e, net_device *dev);
/// Ethernet address of a multicast group (RFC 1112 §6.4).
void ip_eth_mc_map(be32 group, u8 *mac);
/// /proc/net/arp and friends.
void arp_proc_init();

/// Neighbour of `nexthop` on dev without a reference; made when missing. BH off. Null: table full
/// or no memory.
inline neighbour *ipv4_neigh(net_device *dev, be32 nexthop)
{
    if (dev->flags & (IFF_LOOPBACK | IFF_POINTOPOINT))
        nexthop = be32{}; // one entry serves all
    neighbour *n = neigh_lookup_noref(&arp_tbl, nexthop, dev);
    if (likely(n))
        return n;
    auto r = neigh_create(&arp_tbl, nexthop, dev, false);
    return r ? *r : nullptr;
}

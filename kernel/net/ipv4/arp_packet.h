// SPDX-License-Identifier: MIT
// The ARP packet for IPv4 over Ethernet (RFC 826).
#pragma once

#include "net/uapi.h"

constexpr u16 ARPHRD_ETHER = 1, ARPHRD_IEEE802 = 6;

/// An IPv4 address that is only 16-bit aligned.
struct arp_addr {
    u16 half[2];
    operator be32() const
    {
        be32 a;
        __builtin_memcpy(&a, half, sizeof(a));
        return a;
    }
    arp_addr &operator=(be32 a)
    {
        __builtin_memcpy(half, &a, sizeof(a));
        return *this;
    }
};

struct arp_packet {
    be16 ar_hrd;
    be16 ar_pro;
    u8 ar_hln;
    u8 ar_pln;
    be16 ar_op;
    u8 sha[ETH_ALEN];
    arp_addr sip;
    u8 tha[ETH_ALEN];
    arp_addr tip;
};
static_assert(sizeof(arp_packet) == 28);

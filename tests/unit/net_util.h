// SPDX-License-Identifier: MIT
// For tests of the network stack on the virtual wire: packets with any header field, counters,
// waiting in virtual time.
#pragma once

#include "lib/checksum.h"
#include "net/ipv4/ip.h"
#include "sched/sched.h"
#include "unit.h"
#include "wire.h"

/// Header fields of a test packet; addresses and numbers in host order. Sensible where not set.
struct ip_fields {
    u32 saddr = PEER_IP, daddr = WIRE_IP;
    u16 id = 1, frag = 0; // frag: flags and offset in units of 8, as in the header
    u8 ttl = 64, proto = 17, tos = 0;
    const void *options = nullptr;
    size_t optlen = 0; // multiple of 4
    int tot_len = -1;  // lie about the length
    u16 spoil = 0;     // xored into the checksum
};

inline void put16(u8 *p, u16 v)
{
    p[0] = static_cast<u8>(v >> 8);
    p[1] = static_cast<u8>(v);
}
inline void put32(u8 *p, u32 v)
{
    put16(p, static_cast<u16>(v >> 16));
    put16(p + 2, static_cast<u16>(v));
}
inline u16 get16(const u8 *p)
{
    return static_cast<u16>(p[0] << 8 | p[1]);
}
inline u32 get32(const u8 *p)
{
    return u32{get16(p)} << 16 | get16(p + 2);
}

/// An Ethernet frame with an IPv4 packet; returns its length.
inline size_t make_ip(u8 *f, const ip_fields &h, const void *payload, size_t n)
{
    memcpy(f, WIRE_MAC, 6);
    memcpy(f + 6, PEER_MAC, 6);
    put16(f + 12, ETH_P_IP);
    u8 *ip = f + 14;
    size_t hlen = 20 + h.optlen;
    ip[0] = static_cast<u8>(0x40 | hlen / 4);
    ip[1] = h.tos;
    put16(ip + 2, static_cast<u16>(h.tot_len >= 0 ? static_cast<size_t>(h.tot_len) : hlen + n));
    put16(ip + 4, h.id);
    put16(ip + 6, h.frag);
    ip[8] = h.ttl;
    ip[9] = h.proto;
    put16(ip + 10, 0);
    put32(ip + 12, h.saddr);
    put32(ip + 16, h.daddr);
    if (h.optlen)
        memcpy(ip + 20, h.options, h.optlen);
    u16 sum = ntohs(ip_fast_csum(ip, static_cast<unsigned>(hlen / 4)));
    put16(ip + 10, static_cast<u16>(sum ^ h.spoil));
    if (n)
        memcpy(ip + hlen, payload, n);
    size_t len = 14 + hlen + n;
    if (len < ETH_ZLEN)
        memset(f + len, 0, ETH_ZLEN - len);
    return max(len, ETH_ZLEN);
}

inline void net_sleep(s64 ms)
{
    set_current_state(TASK_UNINTERRUPTIBLE);
    schedule_timeout(ms);
}

inline u64 ip_mib_sum(ip_mib f)
{
    u64 s = 0;
    for (unsigned i = 0; i < NR_CPUS; i++)
        s += net_mib.on(i).ip[f];
    return s;
}
inline u64 icmp_mib_sum(icmp_mib f)
{
    u64 s = 0;
    for (unsigned i = 0; i < NR_CPUS; i++)
        s += net_mib.on(i).icmp[f];
    return s;
}
inline u64 ipext_mib_sum(ipext_mib f)
{
    u64 s = 0;
    for (unsigned i = 0; i < NR_CPUS; i++)
        s += net_mib.on(i).ipext[f];
    return s;
}

/// Teach the kernel the peer's address, so that answers need no ARP.
inline void know_peer()
{
    u8 f[WIRE_FRAME_MAX];
    wire_receive(f, build_arp(f, 1, PEER_IP, WIRE_IP));
    net_sleep(1);
    wire_forget_sent();
}

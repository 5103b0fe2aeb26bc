// SPDX-License-Identifier: MIT
// Raw sockets (Linux net/ipv4/raw.c, raw(7)): whole IP packets of one protocol, in and out.
#pragma once

#include "net/ipv4/udp.h"

struct raw_sock : inet_sock {
    u32 icmp_filter = 0; // bit n: ICMP type n is not wanted (ICMP_FILTER)
    raw_sock() : inet_sock{"RAW"} {}
};
inline raw_sock *raw_sk(sock *sk)
{
    return static_cast<raw_sock *>(sk);
}
inline const raw_sock *raw_sk(const sock *sk)
{
    return static_cast<const raw_sock *>(sk);
}
constexpr int SOL_RAW = 255, ICMP_FILTER = 1;
/// Hash table, hooks into ip_input and icmp, /proc/net/raw. Boot.
void raw_init();
result<size_t> raw_sendmsg(sock *sk, msghdr *m, size_t len);

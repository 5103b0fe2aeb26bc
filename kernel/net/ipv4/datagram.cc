// SPDX-License-Identifier: MIT
// connect() of datagram sockets (Linux net/ipv4/datagram.c ip4_datagram_connect). Process context, takes the socket lock.

#include "net/ipv4/inet_sock.h"
#include "net/ipv4/snmp.h"

/// Where packets to the peer go; fills the flow's addresses.
static result<rtable *> route_to_peer(inet_sock *inet, const sockaddr_in *usin, flowi4 *fl)
{
    fl->oif = inet->sk_bound_dev_if;
    fl->saddr = inet->inet_saddr;
    if (ipv4_is_multicast(usin->sin_addr)) {
        if (!fl->oif)
            fl->oif = inet->mc_index;
        if (!fl->saddr)
            fl->saddr = inet->mc_addr;
    }
    fl->daddr = usin->sin_addr;
    fl->tos = inet->tos;
    fl->proto = inet->sk_protocol;
    fl->sport = inet->inet_sport;
    fl->dport = usin->sin_port;
    auto rt = ip_route_output_key(fl);
    if (!rt && rt.err() == ENETUNREACH)
        IP_INC_STATS(IPSTATS_MIB_OutNoRoutes);
    return rt;
}

static result<void> datagram_connect_locked(inet_sock *inet, const sockaddr_in *usin)
{
    flowi4 fl;
    rtable *rt = TRY(route_to_peer(inet, usin, &fl));
    if ((rt->rt_flags & RTCF_BROADCAST) && !sock_flag(inet, SOCK_BROADCAST)) {
        dst_release(rt);
        return error{EACCES};
    }
    if (!inet->inet_saddr)
        inet->inet_saddr = fl.saddr; // the source address
    if (!inet->inet_rcv_saddr) {
        inet->inet_rcv_saddr = fl.saddr;
        if (inet->sk_prot->rehash)
            inet->sk_prot->rehash(inet);
    }
    inet->inet_daddr = fl.daddr ? fl.daddr : rt->rt_dst;
    inet->inet_dport = usin->sin_port;
    inet->sk_state = TCP_ESTABLISHED;
    sk_dst_set(inet, rt);
    return {};
}

result<void> ip4_datagram_connect(sock *sk, sockaddr_storage *a, int len)
{
    auto *usin = reinterpret_cast<sockaddr_in *>(a);
    if (len < static_cast<int>(sizeof *usin))
        return error{EINVAL};
    if (usin->sin_family != AF_INET)
        return error{EAFNOSUPPORT};
    lock_sock(sk);
    sk_dst_reset(sk);
    auto r = datagram_connect_locked(inet_sk(sk), usin);
    release_sock(sk);
    return r;
}

// SPDX-License-Identifier: MIT
// UDP receive in softirq: checks, socket, queue or backlog (Linux net/ipv4/udp.c __udp4_lib_rcv; atlas §7; rows U-01…U-06), and ICMP
// errors about what we sent. Sockets are found and used under RCU, without a reference (see sock.cc).

#include "net/ipv4/udp.h"

/// Give a packet to the reader's queue; over its limit: counted and freed. [S] slock held, or backlog run.
int __udp_queue_rcv_skb(sock *sk, sk_buff *skb)
{
    auto r = sock_queue_rcv_skb(sk, skb);
    if (r) [[likely]]
        return 0;
    if (r.err() == ENOMEM)
        UDP_INC_STATS(UDP_MIB_RcvbufErrors);
    UDP_INC_STATS(UDP_MIB_InErrors);
    kfree_skb_reason(skb, "socket_rcvbuff");
    return -1;
}

/// What IP_PKTINFO will tell; then the route is not needed any more. Linux ipv4_pktinfo_prepare.
static void ipv4_pktinfo_prepare(const sock *sk, sk_buff *skb)
{
    const rtable *rt = skb_rtable(skb);
    if ((inet_sk(sk)->cmsg_flags & IP_CMSG_PKTINFO) && rt && skb->dev) {
        const iphdr *iph = ip_hdr(skb);
        inet_skb_cb *cb = inet_cb(skb);
        cb->pktinfo_ifindex = skb->dev->ifindex;
        cb->pktinfo_spec_dst =
            rt->rt_flags & RTCF_LOCAL && !(rt->rt_flags & (RTCF_BROADCAST | RTCF_MULTICAST))
                ? iph->daddr
                : inet_select_addr(skb->dev, iph->saddr, 0);
    }
    skb_dst_drop(skb);
}

/// Counted drop of a packet for sk that its buffer does not hold.
[[gnu::noinline]] static int udp_drop_full(sock *sk, sk_buff *skb, const char *reason)
{
    UDP_INC_STATS(UDP_MIB_InErrors);
    sk->sk_drops.fetch_add(1, std::memory_order_relaxed);
    kfree_skb_reason(skb, reason);
    return -1;
}

/// To the socket: at once, or to the backlog while a process owns it (rows U-04, U-06). Takes the skb. [S]
static int udp_queue_rcv_skb(sock *sk, sk_buff *skb)
{
    unsigned limit = static_cast<unsigned>(sk->sk_rcvbuf);
    if (sk_rcvqueues_full(sk, limit)) [[unlikely]]
        return udp_drop_full(sk, skb, "socket_rcvbuff"); // 3.10 does not count RcvbufErrors here
    // A filter looks at the payload: it must be right before.
    if (rcu_dereference(sk->sk_filter) && !skb_csum_unnecessary(skb) && !skb_checksum_complete(skb))
        [[unlikely]] {
        UDP_INC_STATS(UDP_MIB_InCsumErrors);
        return udp_drop_full(sk, skb, "udp_csum");
    }
    ipv4_pktinfo_prepare(sk, skb);
    bh_lock_sock(sk);
    trace(trace_event::udp_queue_rcv_skb, skb->trace_id, sk,
          sk->sk_rmem_alloc.load(std::memory_order_relaxed), sock_owned_by_user(sk));
    int rc = 0;
    if (!sock_owned_by_user(sk)) [[likely]] {
        rc = __udp_queue_rcv_skb(sk, skb);
    } else if (!sk_add_backlog(sk, skb, limit)) {
        bh_unlock_sock(sk);
        return udp_drop_full(sk, skb, "socket_backlog");
    }
    bh_unlock_sock(sk);
    return rc;
}

/// Whether a socket wants a multicast or broadcast packet. Linux __udp_is_mcast_sock.
static bool udp_is_mcast_sock(const udp_sock *up, be16 sport, be32 saddr, be16 dport, be32 daddr,
                              u32 dif)
{
    if (up->udp_port_hash != ntohs(dport) || (up->inet_daddr && up->inet_daddr != saddr) ||
        (up->inet_dport && up->inet_dport != sport) ||
        (up->inet_rcv_saddr && up->inet_rcv_saddr != daddr) ||
        (up->sk_bound_dev_if && up->sk_bound_dev_if != dif))
        return false;
    return !ipv4_is_multicast(daddr) || ip_mc_sf_allow(up, daddr, saddr, dif);
}

/// A copy for each socket that wants it; the last one gets the packet itself. Takes the skb. [S]
static int __udp4_lib_mcast_deliver(sk_buff *skb, const udphdr *uh, be32 saddr, be32 daddr)
{
    u32 slot = ntohs(uh->dest) & udp_table_.mask, dif = skb->dev->ifindex;
    be16 sport = uh->source, dport = uh->dest;
    sock *last = nullptr;
    rcu_read_lock();
    auto *n = rcu_dereference(udp_table_.hash[slot].head.first);
    for (; !is_a_nulls(n); n = rcu_dereference(n->next)) {
        udp_sock *up = udp_sk(container_of(n, sock, sk_nulls_node));
        if (!udp_is_mcast_sock(up, sport, saddr, dport, daddr, dif))
            continue;
        if (last) {
            if (sk_buff *copy = skb_clone(skb, GFP_ATOMIC))
                udp_queue_rcv_skb(last, copy);
            else {
                last->sk_drops.fetch_add(1, std::memory_order_relaxed);
                UDP_INC_STATS(UDP_MIB_RcvbufErrors);
                UDP_INC_STATS(UDP_MIB_InErrors);
            }
        }
        last = up;
    }
    if (last)
        udp_queue_rcv_skb(last, skb);
    else
        consume_skb(skb); // nobody listens: neither an error nor a reason to answer (row U-02)
    rcu_read_unlock();
    return 0;
}

/// Prepare checksum verification: a zero field means none was sent; a device's sum may settle it now; else skb->csum gets the
/// pseudo header and the rest is added when the data is copied. RFC 768.
static void udp4_csum_init(sk_buff *skb, const udphdr *uh, be32 saddr, be32 daddr)
{
    if (!uh->check) {
        skb->ip_summed = CHECKSUM_UNNECESSARY;
    } else if (skb->ip_summed == CHECKSUM_COMPLETE &&
               csum_tcpudp_magic(saddr, daddr, skb->len, IPPROTO_UDP, skb->csum) == be16{}) {
        skb->ip_summed = CHECKSUM_UNNECESSARY;
    }
    if (!skb_csum_unnecessary(skb)) {
        skb->ip_summed = CHECKSUM_NONE;
        skb->csum = csum_tcpudp_nofold(saddr, daddr, skb->len, IPPROTO_UDP, 0);
    }
}

[[gnu::noinline]] static int udp_drop(sk_buff *skb, const char *reason)
{
    UDP_INC_STATS(UDP_MIB_InErrors);
    kfree_skb_reason(skb, reason);
    return 0;
}
[[gnu::noinline]] static int udp_drop_csum(sk_buff *skb)
{
    UDP_INC_STATS(UDP_MIB_InCsumErrors);
    return udp_drop(skb, "udp_csum");
}

/// No socket: an ICMP port unreachable, if the packet is sound (row U-02).
[[gnu::noinline]] static int udp_no_port(sk_buff *skb)
{
    if (!skb_csum_unnecessary(skb) && !skb_checksum_complete(skb))
        return udp_drop_csum(skb);
    UDP_INC_STATS(UDP_MIB_NoPorts);
    icmp_send(skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, be32{});
    kfree_skb_reason(skb, "no_socket");
    return 0;
}

/// skb->data at the UDP header, route set. Takes the skb. [S]
static int __udp4_lib_rcv(sk_buff *skb)
{
    if (!pskb_may_pull(skb, sizeof(udphdr)))
        return udp_drop(skb, "pkt_too_small");
    const udphdr *uh = reinterpret_cast<udphdr *>(skb->data);
    u32 ulen = ntohs(uh->len);
    be32 saddr = ip_hdr(skb)->saddr, daddr = ip_hdr(skb)->daddr;
    trace(trace_event::udp_rcv, skb->trace_id, ulen, saddr.raw, daddr.raw, ntohs(uh->source),
          ntohs(uh->dest));
    if (ulen > skb->len || ulen < sizeof(udphdr)) [[unlikely]]
        return udp_drop(skb, "pkt_too_small");
    if (ulen < skb->len) { // link padding, or something behind the datagram
        if (pskb_trim(skb, ulen))
            return udp_drop(skb, "nomem");
        uh = reinterpret_cast<udphdr *>(skb->data);
    }
    udp4_csum_init(skb, uh, saddr, daddr);
    const rtable *rt = skb_rtable(skb);
    if (rt && rt->rt_flags & (RTCF_BROADCAST | RTCF_MULTICAST))
        return __udp4_lib_mcast_deliver(skb, uh, saddr, daddr);
    rcu_read_lock();
    sock *sk =
        __udp4_lib_lookup(saddr, uh->source, daddr, uh->dest, skb->dev->ifindex, skb->trace_id);
    if (sk) [[likely]] {
        udp_queue_rcv_skb(sk, skb);
        rcu_read_unlock();
        return 0;
    }
    rcu_read_unlock();
    return udp_no_port(skb);
}

int udp_rcv(sk_buff *skb)
{
    return __udp4_lib_rcv(skb);
}

icmp_err inet_icmp_meaning(const inet_sock *inet, u8 type, u8 code)
{
    switch (type) {
    case ICMP_TIME_EXCEEDED:
        return {EHOSTUNREACH, false};
    case ICMP_PARAMETERPROB:
        return {EPROTO, true};
    case ICMP_DEST_UNREACH:
        if (code == ICMP_FRAG_NEEDED)
            return inet->pmtudisc != IP_PMTUDISC_DONT ? icmp_err{EMSGSIZE, true}
                                                      : icmp_err{0, false};
        return code < 16 ? icmp_err_convert[code] : icmp_err{EHOSTUNREACH, false};
    default: // source quench, redirect: nothing for the user
        return {0, false};
    }
}

void udp_err(sk_buff *skb, u32 info)
{
    const iphdr *iph = reinterpret_cast<iphdr *>(skb->data);
    u32 hlen = iph->ihl * 4u;
    if (!pskb_may_pull(skb, hlen + sizeof(udphdr))) {
        ICMP_INC_STATS(ICMP_MIB_InErrors);
        return;
    }
    iph = reinterpret_cast<iphdr *>(skb->data);
    const udphdr *uh = reinterpret_cast<udphdr *>(skb->data + hlen);
    rcu_read_lock();
    // The quoted packet is ours: its source is our socket's address.
    sock *sk = __udp4_lib_lookup(iph->daddr, uh->dest, iph->saddr, uh->source, skb->dev->ifindex,
                                 skb->trace_id);
    if (!sk) {
        rcu_read_unlock();
        ICMP_INC_STATS(ICMP_MIB_InErrors);
        return;
    }
    inet_sock *inet = inet_sk(sk);
    // The socket exists, so the report is about a packet of ours: what it says of the path is kept (RFC 1191).
    if (icmp_hdr(skb)->type == ICMP_DEST_UNREACH && icmp_hdr(skb)->code == ICMP_FRAG_NEEDED)
        ipv4_update_pmtu(iph->daddr, info);
    icmp_err e = inet_icmp_meaning(inet, icmp_hdr(skb)->type, icmp_hdr(skb)->code);
    bool report = e.err != 0;
    if (report && inet->recverr)
        ip_icmp_error(sk, skb, e.err, uh->dest, info, hlen + sizeof(udphdr));
    else if (report && (!e.fatal || sk->sk_state != TCP_ESTABLISHED))
        report = false;
    if (report) {
        sk->sk_err.store(e.err);
        sk->sk_error_report(sk);
    }
    rcu_read_unlock();
}

// SPDX-License-Identifier: MIT
// From a segment of a connection to ip_local_out (atlas §11.4; rows T-04, L-04). Linux: net/ipv4/ip_output.c ip_queue_xmit,
// ip_build_and_send_pkt. Process or softirq context; the socket lock is the caller's. Each function takes over the skb.

#include "net/ipv4/inet_sock.h"
#include "net/ipv4/ip_output.h"

/// DF, as the socket's IP_MTU_DISCOVER and the route allow.
static bool ip_dont_fragment(const inet_sock *inet)
{
    return inet->pmtudisc == IP_PMTUDISC_DO || inet->pmtudisc == IP_PMTUDISC_WANT;
}

/// The route of a connected socket: cached, or looked up and cached. Referenced; null: none.
static rtable *queue_xmit_route(inet_sock *inet, const ip_options *opt)
{
    if (dst_entry *d = sk_dst_check(inet))
        return static_cast<rtable *>(d);
    flowi4 fl;
    fl.daddr = opt && opt->srr ? opt->faddr : inet->inet_daddr;
    fl.saddr = inet->inet_saddr;
    fl.oif = inet->sk_bound_dev_if;
    fl.tos = inet->tos;
    fl.proto = inet->sk_protocol;
    fl.sport = inet->inet_sport;
    fl.dport = inet->inet_dport;
    auto r = ip_route_output_key(&fl);
    if (!r)
        return nullptr;
    sk_dst_set(inet, dst_hold(*r));
    return *r;
}

/// Push the header with room for options; identification is not set yet.
static iphdr *push_header(sk_buff *skb, const inet_sock *inet, const ip_options *opt, u8 ttl)
{
    u32 hlen = static_cast<u32>(sizeof(iphdr)) + (opt ? opt->optlen : 0);
    auto *iph = reinterpret_cast<iphdr *>(skb_push(skb, hlen));
    skb_reset_network_header(skb);
    *iph = iphdr{.ihl = static_cast<u8>((hlen / 4) & 15),
                 .version = 4,
                 .tos = inet->tos,
                 .tot_len = {},
                 .id = {},
                 .frag_off = ip_dont_fragment(inet) ? IP_DF : be16{},
                 .ttl = ttl,
                 .protocol = inet->sk_protocol,
                 .check = {},
                 .saddr = inet->inet_saddr,
                 .daddr = inet->inet_daddr};
    return iph;
}

static u8 sock_ttl(const inet_sock *inet)
{
    return static_cast<u8>(inet->uc_ttl < 0 ? sysctl_ip_default_ttl : inet->uc_ttl);
}

int ip_queue_xmit(sock *sk, sk_buff *skb)
{
    inet_sock *inet = inet_sk(sk);
    ip_options_room room;
    const ip_options *opt = inet_copy_options(inet, room);
    rtable *rt = skb_rtable(skb);
    if (!rt) {
        rt = queue_xmit_route(inet, opt);
        if (rt)
            skb_dst_set(skb, rt);
    }
    if (!rt || (opt && opt->is_strictroute && rt->rt_gateway)) [[unlikely]] {
        IP_INC_STATS(IPSTATS_MIB_OutNoRoutes);
        kfree_skb(skb);
        return -EHOSTUNREACH;
    }
    iphdr *iph = push_header(skb, inet, opt, sock_ttl(inet));
    if (opt && opt->optlen)
        ip_options_build(skb, opt, inet->inet_daddr, rt);
    if (iph->frag_off) {
        // Numbered all the same: receivers that merge segments want consecutive numbers.
        iph->id = htons(inet->inet_id);
        u16 segs = skb_shinfo(skb)->gso_segs;
        inet->inet_id = static_cast<u16>(inet->inet_id + (segs ? segs : 1));
    } else {
        ip_select_ident(iph, rt, false);
    }
    skb->priority = sk->sk_priority;
    skb->mark = sk->sk_mark;
    return ip_local_out(skb);
}

int ip_build_and_send_pkt(sk_buff *skb, sock *sk, be32 saddr, be32 daddr, const ip_options *opt)
{
    inet_sock *inet = inet_sk(sk);
    rtable *rt = skb_rtable(skb);
    iphdr *iph = push_header(skb, inet, opt, sock_ttl(inet));
    iph->saddr = saddr;
    iph->daddr = opt && opt->srr ? opt->faddr : daddr;
    ip_select_ident(iph, rt, static_cast<bool>(iph->frag_off));
    if (opt && opt->optlen)
        ip_options_build(skb, opt, daddr, rt);
    skb->priority = sk->sk_priority;
    skb->mark = sk->sk_mark;
    return ip_local_out(skb);
}

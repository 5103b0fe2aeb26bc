// SPDX-License-Identifier: MIT
// Segments sent without a connection: RST, and ACK for TIME_WAIT and half-open connections; checksums of all segments (Linux
// net/ipv4/tcp_ipv4.c tcp_v4_send_reset, tcp_v4_send_ack, ip_send_unicast_reply; atlas §19; row G-02). Softirq, or process context
// with BH off.

#include "net/core/neighbour.h"
#include "net/ipv4/ip_output.h"
#include "net/ipv4/tcp.h"

void __tcp_v4_send_check_len(sk_buff *skb, be32 saddr, be32 daddr, u32 len)
{
    tcp_hdr(skb)->check =
        be16{static_cast<u16>(~csum_tcpudp_magic(saddr, daddr, len, IPPROTO_TCP, 0).raw)};
    skb->csum_start = skb->transport_header;
    skb->csum_offset = __builtin_offsetof(tcphdr, check);
}

void __tcp_v4_send_check(sk_buff *skb, be32 saddr, be32 daddr)
{
    tcphdr *th = tcp_hdr(skb);
    if (skb->ip_summed == CHECKSUM_PARTIAL) {
        __tcp_v4_send_check_len(skb, saddr, daddr, skb->len);
        return;
    }
    th->check = be16{};
    th->check = csum_tcpudp_magic(saddr, daddr, skb->len, IPPROTO_TCP,
                                  csum_partial(th, th->doff * 4u, skb->csum));
}

void tcp_v4_send_check(sock *sk, sk_buff *skb)
{
    __tcp_v4_send_check(skb, inet_sk(sk)->inet_saddr, inet_sk(sk)->inet_daddr);
}

/// A header with room for a timestamp option.
struct bare_segment {
    tcphdr th;
    be32 opt[3];
};
static_assert(sizeof(bare_segment) == 32);

/// Send a segment without payload to where `in` came from: th->doff words of b, addresses and ports are filled in.
static void tcp_v4_send_bare(const sk_buff *in, bare_segment *b, u32 oif, u8 tos)
{
    const tcphdr *th = tcp_hdr(in);
    const iphdr *from = ip_hdr(in);
    b->th.source = th->dest;
    b->th.dest = th->source;
    flowi4 fl;
    fl.daddr = from->saddr;
    fl.saddr = from->daddr;
    fl.oif = oif;
    fl.tos = tos;
    fl.proto = IPPROTO_TCP;
    fl.sport = b->th.source;
    fl.dport = b->th.dest;
    auto rt = ip_route_output_key(&fl);
    if (!rt)
        return;
    u32 len = b->th.doff * 4u, room = LL_RESERVED_SPACE((*rt)->dev);
    sk_buff *skb = alloc_skb(room + static_cast<u32>(sizeof(iphdr)) + len, GFP_ATOMIC);
    if (!skb) {
        dst_release(*rt);
        return;
    }
    skb->trace_id = in->trace_id;
    skb_reserve(skb, room + static_cast<u32>(sizeof(iphdr)));
    memcpy(skb_put(skb, len), b, len);
    skb_reset_transport_header(skb);
    skb->ip_summed = CHECKSUM_PARTIAL;
    __tcp_v4_send_check(skb, fl.saddr, fl.daddr);
    auto *iph = reinterpret_cast<iphdr *>(skb_push(skb, sizeof(iphdr)));
    skb_reset_network_header(skb);
    *iph = iphdr{.ihl = 5,
                 .version = 4,
                 .tos = tos,
                 .tot_len = {},
                 .id = {},
                 .frag_off = IP_DF,
                 .ttl = static_cast<u8>(sysctl_ip_default_ttl),
                 .protocol = IPPROTO_TCP,
                 .check = {},
                 .saddr = fl.saddr,
                 .daddr = fl.daddr};
    ip_select_ident(iph, *rt, true);
    skb_dst_set(skb, *rt);
    TCP_INC_STATS(TCP_MIB_OutSegs);
    ip_local_out(skb);
}

void tcp_v4_send_reset(sock *sk, sk_buff *skb)
{
    const tcphdr *th = tcp_hdr(skb);
    if (th->rst) // never to an RST
        return;
    const rtable *rt = skb_rtable(skb);
    if (rt && rt->rt_type != RTN_LOCAL)
        return;
    bare_segment b{};
    b.th.doff = sizeof(tcphdr) / 4;
    b.th.rst = 1;
    if (th->ack) {
        b.th.seq = th->ack_seq;
    } else {
        b.th.ack = 1;
        b.th.ack_seq = htonl(TCP_SKB_CB(skb)->end_seq);
    }
    trace(trace_event::tcp_send_reset, skb->trace_id, sk);
    TCP_INC_STATS(TCP_MIB_OutRsts);
    tcp_v4_send_bare(skb, &b, sk ? sk->sk_bound_dev_if : 0, ip_hdr(skb)->tos);
}

void tcp_v4_send_ack(sk_buff *skb, u32 seq, u32 ack, u32 win, u32 ts, u32 tsecr, u32 oif, u8 tos)
{
    bare_segment b{};
    b.th.doff = sizeof(tcphdr) / 4;
    b.th.seq = htonl(seq);
    b.th.ack_seq = htonl(ack);
    b.th.ack = 1;
    b.th.window = htons(static_cast<u16>(min(win, 65535u)));
    if (tsecr) {
        b.opt[0] =
            htonl(u32{TCPOPT_NOP} << 24 | u32{TCPOPT_NOP} << 16 | u32{TCPOPT_TIMESTAMP} << 8 | 10);
        b.opt[1] = htonl(ts);
        b.opt[2] = htonl(tsecr);
        b.th.doff = sizeof(bare_segment) / 4;
    }
    tcp_v4_send_bare(skb, &b, oif, tos);
}

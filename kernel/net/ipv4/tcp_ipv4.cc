// SPDX-License-Identifier: MIT
// TCP over IPv4: from a packet to its socket (Linux net/ipv4/tcp_ipv4.c tcp_v4_rcv, tcp_v4_do_rcv; atlas §8, §15; rows W-11, K-07,
// N-08). Softirq. Handshakes are in tcp_ipv4_listen.cc, answers without a socket in tcp_ipv4_send.cc, connect in
// tcp_ipv4_connect.cc, ICMP in tcp_ipv4_err.cc.

#include "net/ipv4/tcp.h"

[[gnu::noinline]] static int tcp_drop_bad(sk_buff *skb, const char *reason)
{
    TCP_INC_STATS(TCP_MIB_InErrs);
    kfree_skb_reason(skb, reason);
    return 0;
}
[[gnu::noinline]] static int tcp_drop_csum(sk_buff *skb)
{
    TCP_INC_STATS(TCP_MIB_InCsumErrors);
    return tcp_drop_bad(skb, "tcp_csum");
}

static bool tcp_checksum_bad(sk_buff *skb)
{
    return !skb_csum_unnecessary(skb) && !skb_checksum_complete(skb);
}

/// Prepare the verification: a device's sum may settle it now, short segments are summed at once; of others skb->csum gets the
/// pseudo header. False: wrong.
static bool tcp_v4_checksum_init(sk_buff *skb)
{
    const iphdr *iph = ip_hdr(skb);
    if (skb->ip_summed == CHECKSUM_COMPLETE &&
        csum_tcpudp_magic(iph->saddr, iph->daddr, skb->len, IPPROTO_TCP, skb->csum) == be16{}) {
        skb->ip_summed = CHECKSUM_UNNECESSARY;
        return true;
    }
    skb->ip_summed = CHECKSUM_NONE;
    skb->csum = csum_tcpudp_nofold(iph->saddr, iph->daddr, skb->len, IPPROTO_TCP, 0);
    return skb->len > 76 || skb_checksum_complete(skb);
}

/// The request, the child, or the listener itself that a segment for a listener belongs to; null: handled. A child comes locked.
static sock *tcp_v4_hnd_req(sock *sk, sk_buff *skb)
{
    const tcphdr *th = tcp_hdr(skb);
    const iphdr *iph = ip_hdr(skb);
    request_sock **prev;
    if (request_sock *req = inet_csk_search_req(sk, &prev, th->source, iph->saddr, iph->daddr))
        return tcp_check_req(sk, skb, req, prev);
    // Made since the look-up that led here: a segment from the listener's backlog.
    inet_lookup_result r = __inet_lookup_established(iph->saddr, th->source, iph->daddr,
                                                     ntohs(th->dest), TCP_SKB_CB(skb)->iif);
    if (r.sk) {
        bh_lock_sock_nested(r.sk);
        return r.sk;
    }
    if (r.tw) {
        inet_twsk_put(r.tw);
        return nullptr;
    }
    return th->syn ? sk : cookie_v4_check(sk, skb);
}

/// A listener's segment. True: handled, skb consumed.
static bool tcp_v4_listen_rcv(sock *sk, sk_buff *skb)
{
    sock *nsk = tcp_v4_hnd_req(sk, skb);
    if (!nsk) {
        kfree_skb(skb);
        return true;
    }
    if (nsk == sk)
        return false;
    if (tcp_child_process(sk, nsk, skb)) {
        tcp_v4_send_reset(nullptr, skb);
        kfree_skb(skb);
    }
    return true;
}

int tcp_v4_do_rcv(sock *sk, sk_buff *skb)
{
    int bad;
    if (sk->sk_state == TCP_ESTABLISHED) [[likely]] {
        bad = tcp_rcv_established(sk, skb);
    } else {
        if (skb->len < tcp_hdr(skb)->doff * 4u || tcp_checksum_bad(skb))
            return tcp_drop_csum(skb);
        if (sk->sk_state == TCP_LISTEN && tcp_v4_listen_rcv(sk, skb))
            return 0;
        bad = tcp_rcv_state_process(sk, skb);
    }
    if (bad) {
        tcp_v4_send_reset(sk, skb);
        kfree_skb(skb);
    }
    return 0;
}

static void tcp_fill_cb(sk_buff *skb)
{
    const tcphdr *th = tcp_hdr(skb);
    tcp_skb_cb *cb = TCP_SKB_CB(skb);
    cb->seq = ntohl(th->seq);
    cb->end_seq = cb->seq + th->syn + th->fin + skb->len - th->doff * 4u;
    cb->ack_seq = ntohl(th->ack_seq);
    cb->when = 0;
    cb->tcp_flags = skb_transport_header(skb)[13];
    cb->ip_dsfield = ip_hdr(skb)->tos;
    cb->sacked = 0;
    cb->urg_off_valid = 0;
    cb->iif = skb->dev->ifindex;
}

/// Header of a segment for us, sound as far as it can be told without its payload: null, then skb is gone.
static const tcphdr *tcp_v4_check_header(sk_buff *skb)
{
    if (skb->pkt_type != PACKET_HOST) {
        kfree_skb(skb);
        return nullptr;
    }
    TCP_INC_STATS(TCP_MIB_InSegs);
    if (!pskb_may_pull(skb, sizeof(tcphdr))) {
        kfree_skb_reason(skb, "pkt_too_small");
        return nullptr;
    }
    skb_reset_transport_header(skb);
    u32 hlen = tcp_hdr(skb)->doff * 4u;
    if (hlen < sizeof(tcphdr)) {
        tcp_drop_bad(skb, "pkt_too_small");
        return nullptr;
    }
    if (!pskb_may_pull(skb, hlen)) {
        kfree_skb_reason(skb, "pkt_too_small");
        return nullptr;
    }
    if (!skb_csum_unnecessary(skb) && !tcp_v4_checksum_init(skb)) {
        tcp_drop_csum(skb);
        return nullptr;
    }
    return tcp_hdr(skb);
}

[[gnu::noinline]] static int tcp_no_socket(sk_buff *skb)
{
    if (tcp_checksum_bad(skb))
        return tcp_drop_csum(skb);
    tcp_v4_send_reset(nullptr, skb);
    kfree_skb_reason(skb, "no_socket");
    return 0;
}

/// Remember the route by which a segment came, for tcp_v4_early_demux(). slock, nobody owns sk. What came
/// over lo brings its route along; a listener's segments come from anywhere. Linux inet_sk_rx_dst_set.
static void tcp_rx_dst_set(sock *sk, const sk_buff *skb)
{
    inet_sock *inet = inet_sk(sk);
    u32 iif = TCP_SKB_CB(skb)->iif;
    const rtable *rt = skb_rtable(skb);
    if ((rt == sk->sk_rx_dst && iif == inet->rx_dst_ifindex) || !rt || !rt->rt_is_input ||
        sk->sk_state == TCP_LISTEN) [[likely]]
        return;
    dst_entry *d = skb_dst_get(skb), *old = sk->sk_rx_dst;
    write_once(inet->rx_dst_ifindex, iif); // whoever sees the route sees its device
    rcu_assign_pointer(sk->sk_rx_dst, d);
    dst_release(old);
}

/// Under the socket's lock: process, leave it to the sleeping reader, or to the owner. Takes skb and the reference.
static int tcp_v4_deliver(sock *sk, sk_buff *skb)
{
    int rc = 0;
    if (ip_hdr(skb)->ttl < inet_sk(sk)->min_ttl) [[unlikely]] {
        NET_INC_STATS(LINUX_MIB_TCPMinTTLDrop);
        kfree_skb(skb);
        sock_put(sk);
        return 0;
    }
    if (rcu_dereference(sk->sk_filter) && sk_filter(sk, skb, skb->len)) [[unlikely]] {
        kfree_skb_reason(skb, "socket_filter");
        sock_put(sk);
        return 0;
    }
    skb->dev = nullptr; // may go away while the segment waits
    bh_lock_sock(sk);
    if (!sock_owned_by_user(sk)) {
        tcp_rx_dst_set(sk, skb);
        if (!tcp_prequeue(sk, skb))
            rc = tcp_v4_do_rcv(sk, skb);
    } else if (!sk_add_backlog(sk, skb, static_cast<unsigned>(sk->sk_rcvbuf + sk->sk_sndbuf)))
        [[unlikely]] {
        NET_INC_STATS(LINUX_MIB_TCPBacklogDrop);
        kfree_skb_reason(skb, "socket_backlog");
    }
    bh_unlock_sock(sk);
    sock_put(sk);
    return rc;
}

/// A segment for a connection in TIME_WAIT (its reference is ours): null when it is handled, else the listener of a new connection,
/// referenced.
[[gnu::noinline]] static sock *tcp_v4_time_wait(inet_timewait_sock *tw, sk_buff *skb)
{
    const tcphdr *th = tcp_hdr(skb);
    const iphdr *iph = ip_hdr(skb);
    if (tcp_checksum_bad(skb)) {
        inet_twsk_put(tw);
        tcp_drop_csum(skb);
        return nullptr;
    }
    tcp_tw_status status = tcp_timewait_state_process(tw, skb, th);
    if (status == TCP_TW_SYN) {
        sock *sk = __inet_lookup_listener(iph->saddr, th->source, iph->daddr, ntohs(th->dest),
                                          TCP_SKB_CB(skb)->iif);
        if (sk) {
            inet_twsk_deschedule(tw);
            inet_twsk_put(tw);
            return sk;
        }
        status = TCP_TW_ACK;
    }
    if (status == TCP_TW_ACK) {
        tcp_v4_send_ack(skb, tw->tw_snd_nxt, tw->tw_rcv_nxt, tw->tw_rcv_wnd >> tw->tw_rcv_wscale,
                        tcp_time_stamp() + tw->tw_ts_offset, tw->tw_ts_recent, tw->tw_bound_dev_if,
                        tw->tw_tos);
        inet_twsk_put(tw);
    } else if (status == TCP_TW_RST) {
        tcp_v4_send_reset(nullptr, skb);
    }
    kfree_skb(skb);
    return nullptr;
}

void tcp_v4_early_demux(sk_buff *skb)
{
    u32 offset = static_cast<u32>(skb_transport_offset(skb));
    if (skb->pkt_type != PACKET_HOST || !pskb_may_pull(skb, offset + sizeof(tcphdr)))
        return;
    const tcphdr *th = tcp_hdr(skb);
    const iphdr *iph = ip_hdr(skb);
    if (th->doff < sizeof(tcphdr) / 4)
        return;
    u32 iif = skb->dev->ifindex;
    sock *sk = inet_lookup_connection(iph->saddr, th->source, iph->daddr, ntohs(th->dest), iif);
    if (!sk)
        return;
    skb->sk = sk;
    skb->destructor = sock_edemux;
    dst_entry *d = rcu_dereference(sk->sk_rx_dst);
    if (d && dst_check(d) && read_once(inet_sk(sk)->rx_dst_ifindex) == iif)
        skb_dst_set_noref(skb, d);
}

/// The socket of a segment, referenced: early demux may have found it. Linux __inet_lookup_skb.
static inet_lookup_result tcp_v4_lookup_skb(sk_buff *skb)
{
    inet_lookup_result r;
    r.sk = skb_steal_sock(skb);
    if (r.sk)
        return r;
    const tcphdr *th = tcp_hdr(skb);
    const iphdr *iph = ip_hdr(skb);
    rcu_read_lock();
    r = __inet_lookup(iph->saddr, th->source, iph->daddr, ntohs(th->dest), TCP_SKB_CB(skb)->iif);
    rcu_read_unlock();
    return r;
}

int tcp_v4_rcv(sk_buff *skb)
{
    const tcphdr *th = tcp_v4_check_header(skb);
    if (!th)
        return 0;
    tcp_fill_cb(skb);
    const iphdr *iph = ip_hdr(skb);
    trace(trace_event::tcp_v4_rcv, skb->trace_id, skb->len, iph->saddr.raw, iph->daddr.raw,
          ntohs(th->source), ntohs(th->dest));
    inet_lookup_result r = tcp_v4_lookup_skb(skb);
    if (r.tw) {
        r.sk = tcp_v4_time_wait(r.tw, skb);
        if (!r.sk)
            return 0;
    }
    if (!r.sk)
        return tcp_no_socket(skb);
    return tcp_v4_deliver(r.sk, skb);
}

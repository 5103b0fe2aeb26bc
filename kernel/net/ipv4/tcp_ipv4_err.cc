// SPDX-License-Identifier: MIT
// ICMP errors about segments of ours (Linux net/ipv4/tcp_ipv4.c tcp_v4_err; RFC 1122 §4.2.3.9, RFC 5927, RFC 1191). Softirq. What a
// router quotes must fit the connection's sequence numbers; who guesses them is counted and ignored.

#include "net/ipv4/ip.h"
#include "net/ipv4/tcp.h"

void tcp_v4_mtu_reduced(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    if (TCPF(sk->sk_state) & (TCPF(TCP_LISTEN) | TCPF(TCP_CLOSE)))
        return;
    u32 mtu = tp->mtu_info;
    ipv4_update_pmtu(tp->inet_daddr, mtu);
    sk_dst_reset(sk);
    flowi4 fl;
    fl.daddr = tp->inet_opt && tp->inet_opt->srr ? tp->inet_opt->faddr : tp->inet_daddr;
    fl.saddr = tp->inet_saddr;
    fl.oif = sk->sk_bound_dev_if;
    fl.tos = tp->tos;
    fl.proto = IPPROTO_TCP;
    fl.sport = tp->inet_sport;
    fl.dport = tp->inet_dport;
    auto rt = ip_route_output_key(&fl);
    if (!rt)
        return;
    // Something failed on the way. Only an application that asked for it hears of it.
    if (mtu < dst_mtu(*rt) && tp->pmtudisc != IP_PMTUDISC_DONT)
        sk->sk_err_soft.store(EMSGSIZE);
    mtu = dst_mtu(*rt);
    sk_dst_set(sk, *rt);
    if (tp->pmtudisc != IP_PMTUDISC_DONT && tp->icsk_pmtu_cookie > mtu) {
        tcp_sync_mss(sk, mtu);
        tcp_simple_retransmit(sk);
    }
}

/// Fragmentation needed. slock held.
static void handle_frag_needed(sock *sk, u32 info)
{
    if (sk->sk_state == TCP_LISTEN)
        return;
    tcp_sk(sk)->mtu_info = info;
    if (!sock_owned_by_user(sk))
        tcp_v4_mtu_reduced(sk);
    else if (!(tcp_sk(sk)->tsq_flags.fetch_or(TCP_MTU_REDUCED_DEFERRED) & TCP_MTU_REDUCED_DEFERRED))
        sock_hold(sk); // until tcp_release_cb
}

/// The path says that it is the network, not congestion, which loses our retransmissions: take one doubling of the time-out back
/// (RFC 6069).
static void revert_backoff(sock *sk, u32 seq)
{
    tcp_sock *tp = tcp_sk(sk);
    if (seq != tp->snd_una || !tp->icsk_retransmits || !tp->icsk_backoff || sock_owned_by_user(sk))
        return;
    const sk_buff *head = tcp_write_queue_head(sk);
    if (!head)
        return;
    tp->icsk_backoff--;
    u32 base = tp->srtt ? (tp->srtt >> 3) + tp->rttvar : TCP_TIMEOUT_INIT;
    tp->icsk_rto = static_cast<u32>(min(u64{base} << tp->icsk_backoff, u64{TCP_RTO_MAX}));
    u32 age = tcp_time_stamp() - TCP_SKB_CB(head)->when;
    if (age < tp->icsk_rto)
        inet_csk_reset_xmit_timer(sk, ICSK_TIME_RETRANS, tp->icsk_rto - age, TCP_RTO_MAX);
    else
        tcp_retransmit_timer(sk);
}

/// A half-open connection's peer cannot be reached: forget it silently, accept() tells nobody. Listener's slock held.
static void listener_err(sock *sk, const iphdr *quoted, const tcphdr *th, u32 seq)
{
    if (sock_owned_by_user(sk))
        return;
    request_sock **prev;
    request_sock *req = inet_csk_search_req(sk, &prev, th->dest, quoted->daddr, quoted->saddr);
    if (!req)
        return;
    if (seq != inet_rsk(req)->snt_isn) {
        NET_INC_STATS(LINUX_MIB_OutOfWindowIcmps);
        return;
    }
    inet_csk_reqsk_queue_drop(sk, req, prev);
    NET_INC_STATS(LINUX_MIB_ListenDrops);
}

/// Tell the socket. slock held.
static void report_err(sock *sk, int err)
{
    bool owned = sock_owned_by_user(sk);
    if (sk->sk_state == TCP_SYN_SENT || sk->sk_state == TCP_SYN_RECV) {
        // Not connected yet: fatal.
        if (owned) {
            sk->sk_err_soft.store(err);
            return;
        }
        sk->sk_err.store(err);
        sk->sk_error_report(sk);
        tcp_done(sk);
        return;
    }
    // A connection that exists goes on until it times out (RFC 1122 §4.2.3.9), unless the application wants to know.
    if (!owned && inet_sk(sk)->recverr) {
        sk->sk_err.store(err);
        sk->sk_error_report(sk);
    } else {
        sk->sk_err_soft.store(err);
    }
}

/// What a message means for the user; 0: nothing (or all is done). slock held.
static int classify(sock *sk, u8 type, u8 code, u32 info, u32 seq)
{
    switch (type) {
    case ICMP_PARAMETERPROB:
        return EPROTO;
    case ICMP_TIME_EXCEEDED:
        return EHOSTUNREACH;
    case ICMP_DEST_UNREACH:
        if (code > 15)
            return 0;
        if (code == ICMP_FRAG_NEEDED) {
            handle_frag_needed(sk, info);
            return 0;
        }
        if (sk->sk_state != TCP_LISTEN && (code == ICMP_NET_UNREACH || code == ICMP_HOST_UNREACH))
            revert_backoff(sk, seq);
        return icmp_err_convert[code].err;
    default: // source quench, redirect
        return 0;
    }
}

/// slock held.
static void tcp_v4_err_locked(sock *sk, sk_buff *skb, u32 info)
{
    const auto *quoted = reinterpret_cast<const iphdr *>(skb->data);
    const auto *th = reinterpret_cast<const tcphdr *>(skb->data + quoted->ihl * 4u);
    u8 type = icmp_hdr(skb)->type, code = icmp_hdr(skb)->code;
    if (sock_owned_by_user(sk) && !(type == ICMP_DEST_UNREACH && code == ICMP_FRAG_NEEDED))
        NET_INC_STATS(LINUX_MIB_LockDroppedIcmps);
    if (sk->sk_state == TCP_CLOSE)
        return;
    if (quoted->ttl < inet_sk(sk)->min_ttl) [[unlikely]] {
        NET_INC_STATS(LINUX_MIB_TCPMinTTLDrop);
        return;
    }
    tcp_sock *tp = tcp_sk(sk);
    u32 seq = ntohl(th->seq);
    if (sk->sk_state != TCP_LISTEN && !between(seq, tp->snd_una, tp->snd_nxt)) {
        NET_INC_STATS(LINUX_MIB_OutOfWindowIcmps);
        return;
    }
    int err = classify(sk, type, code, info, seq);
    if (!err || sk->sk_state == TCP_CLOSE)
        return;
    if (sk->sk_state == TCP_LISTEN)
        listener_err(sk, quoted, th, seq);
    else
        report_err(sk, err);
}

void tcp_v4_err(sk_buff *skb, u32 info)
{
    const auto *iph = reinterpret_cast<const iphdr *>(skb->data);
    u32 hlen = iph->ihl * 4u;
    if (!pskb_may_pull(skb, hlen + 8)) {
        ICMP_INC_STATS(ICMP_MIB_InErrors);
        return;
    }
    iph = reinterpret_cast<const iphdr *>(skb->data);
    const auto *th = reinterpret_cast<const tcphdr *>(skb->data + hlen);
    rcu_read_lock();
    inet_lookup_result r =
        __inet_lookup(iph->daddr, th->dest, iph->saddr, ntohs(th->source), skb->dev->ifindex);
    rcu_read_unlock();
    if (!r) {
        ICMP_INC_STATS(ICMP_MIB_InErrors);
        return;
    }
    if (r.tw) {
        inet_twsk_put(r.tw);
        return;
    }
    bh_lock_sock(r.sk);
    tcp_v4_err_locked(r.sk, skb, info);
    bh_unlock_sock(r.sk);
    sock_put(r.sk);
}

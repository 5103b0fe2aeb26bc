// SPDX-License-Identifier: MIT
// The passive handshake over IPv4 (Linux net/ipv4/tcp_ipv4.c tcp_v4_conn_request, tcp_v4_syn_recv_sock; atlas §15, §16; rows H-02,
// H-04, O-01…O-04). Softirq (or backlog), under the listener's slock.

#include "net/ipv4/tcp_ecn.h"

static int tcp_v4_send_synack(sock *sk, rtable *rt, inet_request_sock *req)
{
    sk_buff *skb = tcp_make_synack(sk, rt, req);
    if (!skb)
        return -ENOMEM;
    __tcp_v4_send_check(skb, req->loc_addr, req->rmt_addr);
    int err = ip_build_and_send_pkt(skb, sk, req->loc_addr, req->rmt_addr, req->opt);
    return err == NET_XMIT_CN ? 0 : err; // congestion, but it went out
}

static int tcp_v4_rtx_synack(sock *sk, request_sock *req)
{
    rtable *rt = inet_csk_route_req(sk, inet_rsk(req));
    if (!rt)
        return -EHOSTUNREACH;
    int err = tcp_v4_send_synack(sk, rt, inet_rsk(req));
    dst_release(rt);
    if (!err)
        TCP_INC_STATS(TCP_MIB_RetransSegs);
    return err;
}

static void tcp_v4_reqsk_send_ack(sock *sk, sk_buff *skb, request_sock *req)
{
    const inet_request_sock *ireq = inet_rsk(req);
    tcp_v4_send_ack(skb, ireq->snt_isn + 1, ireq->rcv_nxt, req->rcv_wnd, tcp_time_stamp(),
                    req->ts_recent, 0, inet_sk(sk)->tos);
}

static void tcp_v4_reqsk_destruct(request_sock *req)
{
    inet_request_sock *ireq = inet_rsk(req);
    kdelete(ireq->opt);
    ireq->~inet_request_sock();
}

constinit request_sock_ops tcp_request_sock_ops = {
    .slab_name = "request_sock_TCP",
    .obj_size = sizeof(inet_request_sock),
    .rtx_syn_ack = tcp_v4_rtx_synack,
    .send_ack = tcp_v4_reqsk_send_ack,
    .send_reset = tcp_v4_send_reset,
    .destruct = tcp_v4_reqsk_destruct,
};

inet_request_sock *tcp_openreq_alloc(const sk_buff *skb, const tcp_options_received *rx)
{
    void *mem = reqsk_alloc_mem(&tcp_request_sock_ops);
    if (!mem)
        return nullptr;
    auto *req = new (mem) inet_request_sock;
    const tcp_skb_cb *cb = TCP_SKB_CB(skb);
    const tcphdr *th = tcp_hdr(skb);
    req->rsk_ops = &tcp_request_sock_ops;
    req->rcv_isn = cb->seq;
    req->rcv_nxt = cb->seq + 1;
    req->mss = rx->mss_clamp;
    req->ts_recent = rx->saw_tstamp ? rx->rcv_tsval : 0;
    req->tstamp_ok = rx->tstamp_ok;
    req->sack_ok = rx->sack_ok != 0;
    req->snd_wscale = rx->snd_wscale;
    req->wscale_ok = rx->wscale_ok;
    req->rmt_port = th->source;
    req->loc_port = th->dest;
    req->loc_addr = ip_hdr(skb)->daddr;
    req->rmt_addr = ip_hdr(skb)->saddr;
    return req;
}

/// The half-open table is full: true when a cookie shall answer. Told once per listener.
static bool tcp_syn_flood_action(sock *sk)
{
    bool cookies = read_once(sysctl_tcp_syncookies) != 0;
    NET_INC_STATS(cookies ? LINUX_MIB_TCPReqQFullDoCookies : LINUX_MIB_TCPReqQFullDrop);
    listen_sock *lopt = inet_csk(sk)->icsk_accept_queue.listen_opt;
    if (!lopt->synflood_warned) {
        lopt->synflood_warned = true;
        pr_info("TCP: Possible SYN flooding on port %u. %s.  Check SNMP counters.",
                inet_sk(sk)->inet_num, cookies ? "Sending cookies" : "Dropping request");
    }
    return cookies;
}

/// Options of the SYN as far as we use them. A cookie can keep them only in a timestamp.
static tcp_options_received syn_options(const sock *sk, const sk_buff *skb, bool cookie)
{
    tcp_options_received rx;
    rx.mss_clamp = TCP_MSS_DEFAULT;
    rx.user_mss = tcp_sk(sk)->rx_opt.user_mss;
    tcp_parse_options(skb, &rx, false);
    if (cookie && !rx.saw_tstamp) {
        rx.tstamp_ok = rx.sack_ok = rx.wscale_ok = rx.snd_wscale = 0;
    }
    rx.tstamp_ok = rx.saw_tstamp;
    return rx;
}

/// The IP options of a SYN, turned round, for the whole connection; null: none. *err: they cannot be answered.
static ip_options *tcp_v4_save_options(const sk_buff *skb, bool *err)
{
    *err = false;
    if (ip_hdr(skb)->ihl <= 5)
        return nullptr;
    ip_options opt;
    if (ip_options_echo(&opt, skb)) {
        *err = true;
        return nullptr;
    }
    return opt.optlen ? knew<ip_options>(GFP_ATOMIC, opt) : nullptr;
}

/// Without cookies the last quarter of tcp_max_syn_backlog is for peers that have proven themselves. No memory of peers is kept, so
/// nobody has.
static bool last_quarter(const sock *sk)
{
    int most = read_once(sysctl_tcp_max_syn_backlog);
    return !read_once(sysctl_tcp_syncookies) &&
           most - reqsk_queue_len(&inet_csk(sk)->icsk_accept_queue) < most >> 2;
}

/// Initial number of a request: a cookie, one that a TIME_WAIT connection allows, or a fresh one. False: refuse it.
static bool choose_isn(sock *sk, sk_buff *skb, inet_request_sock *req, bool want_cookie)
{
    u32 isn = TCP_SKB_CB(skb)->when;
    if (want_cookie) {
        isn = cookie_v4_init_sequence(sk, skb, &req->mss);
        req->cookie_ts = req->tstamp_ok;
    } else if (!isn) {
        if (last_quarter(sk))
            return false;
        const tcphdr *th = tcp_hdr(skb);
        isn = secure_tcp_sequence_number(req->loc_addr, req->rmt_addr, th->dest, th->source);
    }
    req->snt_isn = isn;
    return true;
}

/// Answer the request; false: it could not be, or was answered statelessly: free it.
static bool answer_syn(sock *sk, inet_request_sock *req, bool want_cookie)
{
    rtable *rt = inet_csk_route_req(sk, req);
    if (!rt)
        return false;
    int err = tcp_v4_send_synack(sk, rt, req);
    dst_release(rt);
    return !err && !want_cookie;
}

static int drop_syn()
{
    NET_INC_STATS(LINUX_MIB_ListenDrops);
    return 0;
}

int tcp_v4_conn_request(sock *sk, sk_buff *skb)
{
    const rtable *in = skb_rtable(skb);
    if (in && in->rt_flags & (RTCF_BROADCAST | RTCF_MULTICAST))
        return drop_syn();
    request_sock_queue *queue = &inet_csk(sk)->icsk_accept_queue;
    bool want_cookie = false;
    // A TIME_WAIT connection that comes back (it has chosen the number) is no flood: the peer is evidently there.
    if (reqsk_queue_is_full(queue) && !TCP_SKB_CB(skb)->when) {
        want_cookie = tcp_syn_flood_action(sk);
        if (!want_cookie)
            return drop_syn();
    }
    if (sk_acceptq_is_full(sk) && reqsk_queue_len_young(queue) > 1) {
        NET_INC_STATS(LINUX_MIB_ListenOverflows);
        return drop_syn();
    }
    tcp_options_received rx = syn_options(sk, skb, want_cookie);
    inet_request_sock *req = tcp_openreq_alloc(skb, &rx);
    if (!req)
        return drop_syn();
    bool bad_options;
    req->opt = tcp_v4_save_options(skb, &bad_options);
    req->mark = sk->sk_mark;
    // A cookie can keep it only in a timestamp.
    req->ecn_ok = (!want_cookie || rx.tstamp_ok) && tcp_ecn_asked(skb);
    trace(trace_event::tcp_conn_request, skb->trace_id, sk, reqsk_queue_len(queue),
          inet_csk(sk)->sk_ack_backlog, want_cookie);
    if (bad_options || !choose_isn(sk, skb, req, want_cookie) ||
        !answer_syn(sk, req, want_cookie)) {
        reqsk_free(req);
        return drop_syn();
    }
    req->snt_synack = tcp_time_stamp();
    inet_csk_reqsk_queue_hash_add(sk, req, TCP_TIMEOUT_INIT);
    return 0;
}

/// Addresses and options of a child.
static void child_set_addresses(sock *child, sk_buff *skb, inet_request_sock *req)
{
    inet_connection_sock *icsk = inet_csk(child);
    icsk->inet_daddr = req->rmt_addr;
    icsk->inet_rcv_saddr = req->loc_addr;
    icsk->inet_saddr = req->loc_addr;
    icsk->inet_opt = req->opt;
    req->opt = nullptr;
    icsk->icsk_ext_hdr_len = icsk->inet_opt ? icsk->inet_opt->optlen : 0;
    icsk->mc_index = TCP_SKB_CB(skb)->iif;
    icsk->mc_ttl = ip_hdr(skb)->ttl;
    icsk->inet_id = static_cast<u16>(tcp_sk(child)->write_seq ^ jiffies());
}

/// A route to the peer for a child, referenced; null: none. Linux inet_csk_route_child_sock.
static rtable *child_route(const sock *sk, inet_sock *child)
{
    const ip_options *opt = child->inet_opt;
    flowi4 fl;
    fl.daddr = opt && opt->srr ? opt->faddr : child->inet_daddr;
    fl.saddr = child->inet_saddr;
    fl.oif = sk->sk_bound_dev_if;
    fl.tos = child->tos;
    fl.proto = child->sk_protocol;
    fl.sport = child->inet_sport;
    fl.dport = child->inet_dport;
    auto r = ip_route_output_key(&fl);
    if (r && !(opt && opt->is_strictroute && (*r)->rt_gateway))
        return *r;
    if (r)
        dst_release(*r);
    IP_INC_STATS(IPSTATS_MIB_OutNoRoutes);
    return nullptr;
}

/// Everything that depends on the path.
static void child_set_route(sock *sk, sock *child, rtable *rt, request_sock *req)
{
    tcp_sock *tp = tcp_sk(child);
    sk_dst_set(child, rt);
    tcp_mtup_init(child);
    tcp_sync_mss(child, dst_mtu(rt));
    tp->advmss = tcp_default_advmss(rt);
    if (u16 user = tcp_sk(sk)->rx_opt.user_mss)
        tp->advmss = min<u32>(tp->advmss, user);
    tcp_initialize_rcv_mss(child);
    tcp_synack_rtt_meas(child, req);
    tp->total_retrans = req->num_retrans;
}

static sock *syn_recv_failed()
{
    NET_INC_STATS(LINUX_MIB_ListenDrops);
    return nullptr;
}

sock *tcp_v4_syn_recv_sock(sock *sk, sk_buff *skb, request_sock *req, rtable *rt)
{
    if (sk_acceptq_is_full(sk)) {
        NET_INC_STATS(LINUX_MIB_ListenOverflows);
        dst_release(rt);
        return syn_recv_failed();
    }
    sock *child = tcp_create_openreq_child(sk, inet_rsk(req), skb);
    if (!child) {
        dst_release(rt);
        return syn_recv_failed();
    }
    child_set_addresses(child, skb, inet_rsk(req));
    if (!rt)
        rt = child_route(sk, inet_sk(child));
    if (rt)
        child_set_route(sk, child, rt, req);
    if (!rt || __inet_inherit_port(sk, child) < 0) {
        inet_csk_prepare_forced_close(child);
        tcp_done(child);
        return syn_recv_failed();
    }
    __inet_hash_nolisten(child, nullptr);
    return child;
}

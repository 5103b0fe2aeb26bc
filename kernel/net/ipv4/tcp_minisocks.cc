// SPDX-License-Identifier: MIT
// From request to child socket (Linux net/ipv4/tcp_minisocks.c tcp_check_req, tcp_create_openreq_child, tcp_child_process; atlas §15;
// rows H-04, H-09, H-10, O-01). Softirq or backlog, under the listener's slock. TIME_WAIT is in tcp_minisocks_tw.cc.

#include "net/ipv4/tcp_ecn.h"

bool tcp_in_window(u32 seq, u32 end_seq, u32 s_win, u32 e_win)
{
    if (seq == s_win)
        return true;
    if (after(end_seq, s_win) && before(seq, e_win))
        return true;
    return seq == e_win && seq == end_seq;
}

/// What the child has from its listener.
static void copy_settings(tcp_sock *child, const tcp_sock *from)
{
    child->nonagle = from->nonagle;
    child->keepalive_probes = from->keepalive_probes;
    child->keepalive_time = from->keepalive_time;
    child->keepalive_intvl = from->keepalive_intvl;
    child->linger2 = from->linger2;
    child->linger2_valid = from->linger2_valid;
    child->thin_lto = from->thin_lto;
    child->snd_cwnd_clamp = from->snd_cwnd_clamp;
    child->reordering = from->reordering;
    child->rx_opt.user_mss = from->rx_opt.user_mss;
}

static void set_sequence(tcp_sock *tp, const inet_request_sock *req)
{
    tp->rcv_wup = tp->copied_seq = tp->rcv_nxt = req->rcv_isn + 1;
    tp->snd_sml = tp->snd_una = tp->snd_nxt = tp->snd_up = req->snt_isn + 1;
    tp->snd_wl1 = req->rcv_isn;
    tp->write_seq = tp->pushed_seq = req->snt_isn + 1;
}

/// Windows and options as the handshake agreed on.
static void set_agreed(tcp_sock *tp, const inet_request_sock *req, const sk_buff *skb)
{
    tp->rx_opt.tstamp_ok = req->tstamp_ok;
    // 2: forward acknowledgement (Linux TCP_FACK_ENABLED).
    tp->rx_opt.sack_ok = req->sack_ok ? (read_once(sysctl_tcp_fack) ? 3 : 1) : 0;
    tp->window_clamp = req->window_clamp;
    tp->rcv_ssthresh = tp->rcv_wnd = req->rcv_wnd;
    tp->rx_opt.wscale_ok = req->wscale_ok;
    if (req->wscale_ok) {
        tp->rx_opt.snd_wscale = req->snd_wscale;
        tp->rx_opt.rcv_wscale = req->rcv_wscale;
    } else {
        tp->window_clamp = min(tp->window_clamp, 65535u);
    }
    tp->snd_wnd = u32{ntohs(tcp_hdr(skb)->window)} << tp->rx_opt.snd_wscale;
    tp->max_window = tp->snd_wnd;
    tp->tcp_header_len = sizeof(tcphdr);
    if (req->tstamp_ok) {
        tp->rx_opt.ts_recent = req->ts_recent;
        tp->rx_opt.ts_recent_stamp = tcp_seconds();
        tp->tcp_header_len += TCPOLEN_TSTAMP_ALIGNED;
    }
    if (skb->len >= TCP_MSS_DEFAULT + tp->tcp_header_len)
        tp->icsk_ack.last_seg_size = static_cast<u16>(skb->len - tp->tcp_header_len);
    tp->rx_opt.mss_clamp = req->mss;
    tp->ecn_flags = req->ecn_ok ? TCP_ECN_OK : 0;
}

sock *tcp_create_openreq_child(sock *sk, inet_request_sock *req, sk_buff *skb)
{
    sock *child = inet_csk_clone_lock(sk, req);
    if (!child)
        return nullptr;
    tcp_sock *tp = tcp_sk(child);
    tcp_sockets_allocated.fetch_add(1, std::memory_order_relaxed);
    copy_settings(tp, tcp_sk(sk));
    set_sequence(tp, req);
    tp->mdev = TCP_TIMEOUT_INIT;
    tp->icsk_rto = TCP_TIMEOUT_INIT;
    tcp_init_xmit_timers(child);
    if (sock_flag(child, SOCK_KEEPOPEN))
        inet_csk_reset_keepalive_timer(child, keepalive_time_when(tp));
    set_agreed(tp, req, skb);
    TCP_INC_STATS(TCP_MIB_PassiveOpens);
    return child;
}

/// Options of a segment for a half-open connection; true: RFC 7323 calls it old.
static bool check_paws(const sk_buff *skb, const request_sock *req, tcp_options_received *rx)
{
    if (tcp_hdr(skb)->doff <= sizeof(tcphdr) / 4)
        return false;
    tcp_parse_options(skb, rx, false);
    if (!rx->saw_tstamp)
        return false;
    rx->ts_recent = req->ts_recent;
    // The true time was not kept; the number of time-outs tells roughly.
    rx->ts_recent_stamp =
        tcp_seconds() - min<u64>(u64{1} << min<u32>(req->num_timeout, 10), tcp_seconds() - 1);
    return tcp_paws_reject(rx, tcp_hdr(skb)->rst);
}

/// The listener has no room: forget the ACK (the SYN-ACK timer or the peer's data will try again), or refuse. Linux listen_overflow.
static sock *listen_overflow(sock *sk, sk_buff *skb, request_sock *req, request_sock **prev)
{
    if (!read_once(sysctl_tcp_abort_on_overflow)) {
        inet_rsk(req)->acked = 1;
        return nullptr;
    }
    req->rsk_ops->send_reset(sk, skb);
    inet_csk_reqsk_queue_drop(sk, req, prev);
    NET_INC_STATS(LINUX_MIB_EmbryonicRsts);
    return nullptr;
}

/// RST, or a second SYN in the window: the half-open connection ends.
static sock *embryonic_reset(sock *sk, sk_buff *skb, request_sock *req, request_sock **prev)
{
    TCP_INC_STATS(TCP_MIB_AttemptFails);
    if (!tcp_hdr(skb)->rst)
        req->rsk_ops->send_reset(sk, skb);
    inet_csk_reqsk_queue_drop(sk, req, prev);
    NET_INC_STATS(LINUX_MIB_EmbryonicRsts);
    return nullptr;
}

/// The same SYN again: the SYN-ACK again, and its timer from now.
static sock *repeated_syn(sock *sk, request_sock *req)
{
    if (!inet_rtx_syn_ack(sk, req))
        req->expires = jiffies() + min<u64>(u64{TCP_TIMEOUT_INIT} << min<u32>(req->num_timeout, 16),
                                            TCP_RTO_MAX);
    return nullptr;
}

/// The ACK that finishes the handshake is there.
static sock *finish_handshake(sock *sk, sk_buff *skb, request_sock *req, request_sock **prev)
{
    sock *child = tcp_v4_syn_recv_sock(sk, skb, req, nullptr);
    trace(trace_event::tcp_check_req, skb->trace_id, sk, child);
    if (!child)
        return listen_overflow(sk, skb, req, prev);
    inet_csk_reqsk_queue_unlink(sk, req, prev);
    inet_csk_reqsk_queue_add(sk, req, child);
    return child;
}

sock *tcp_check_req(sock *sk, sk_buff *skb, request_sock *req, request_sock **prev)
{
    tcp_skb_cb *cb = TCP_SKB_CB(skb);
    inet_request_sock *ireq = inet_rsk(req);
    tcp_options_received rx;
    bool paws_reject = check_paws(skb, req, &rx);
    u8 flags = cb->tcp_flags & (TCPHDR_RST | TCPHDR_SYN | TCPHDR_ACK);
    if (cb->seq == ireq->rcv_isn && flags == TCPHDR_SYN && !paws_reject)
        return repeated_syn(sk, req);
    // RFC 9293 §3.10.7.4: an ACK of something never sent goes to the listener, which answers with RST.
    if ((flags & TCPHDR_ACK) && cb->ack_seq != ireq->snt_isn + 1)
        return sk;
    if (paws_reject ||
        !tcp_in_window(cb->seq, cb->end_seq, ireq->rcv_nxt, ireq->rcv_nxt + req->rcv_wnd)) {
        if (!(flags & TCPHDR_RST))
            req->rsk_ops->send_ack(sk, skb, req);
        if (paws_reject)
            NET_INC_STATS(LINUX_MIB_PAWSEstab);
        return nullptr;
    }
    if (rx.saw_tstamp && !after(cb->seq, ireq->rcv_nxt))
        req->ts_recent = rx.rcv_tsval;
    if (cb->seq == ireq->rcv_isn)
        flags &= static_cast<u8>(~TCPHDR_SYN); // the SYN itself is outside of the window
    if (flags & (TCPHDR_RST | TCPHDR_SYN))
        return embryonic_reset(sk, skb, req, prev);
    if (!(flags & TCPHDR_ACK))
        return nullptr;
    // TCP_DEFER_ACCEPT waits for data, for a while.
    if (req->num_timeout < inet_csk(sk)->icsk_accept_queue.rskq_defer_accept &&
        cb->end_seq == ireq->rcv_isn + 1) {
        ireq->acked = 1;
        NET_INC_STATS(LINUX_MIB_TCPDeferAcceptDrop);
        return nullptr;
    }
    return finish_handshake(sk, skb, req, prev);
}

int tcp_child_process(sock *parent, sock *child, sk_buff *skb)
{
    int bad = 0;
    u8 state = child->sk_state;
    if (!sock_owned_by_user(child)) {
        bad = tcp_rcv_state_process(child, skb);
        // Wake accept() once the child is usable.
        if (state == TCP_SYN_RECV && child->sk_state != state)
            parent->sk_data_ready(parent, 0);
    } else if (!sk_add_backlog(child, skb,
                               static_cast<unsigned>(child->sk_rcvbuf + child->sk_sndbuf))) {
        // Somebody was faster than the listener's backlog, and has much to do: the peer will send it again.
        NET_INC_STATS(LINUX_MIB_TCPBacklogDrop);
        kfree_skb_reason(skb, "socket_backlog");
    }
    bh_unlock_sock(child);
    sock_put(child);
    return bad;
}

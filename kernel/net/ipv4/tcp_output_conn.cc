// SPDX-License-Identifier: MIT
// Segments of a connection's beginning and end, probes, and the segment size (Linux net/ipv4/tcp_output.c; rows C-05, G, H; RFC
// 9293 §3.7, RFC 1191). Socket lock held.

#include "net/ipv4/tcp_ecn.h"

// --- Segment size (RFC 9293 §3.7.1, RFC 6691) ----------------------------------------------------------------------------------------

u32 tcp_mtu_to_mss(sock *sk, u32 pmtu)
{
    const tcp_sock *tp = tcp_sk(sk);
    u32 mss = pmtu > 40 ? pmtu - 40 : 0;
    if (mss > tp->rx_opt.mss_clamp)
        mss = tp->rx_opt.mss_clamp;
    mss = mss > tp->icsk_ext_hdr_len ? mss - tp->icsk_ext_hdr_len : 0;
    // At least this, or headers would eat everything.
    mss = max(mss, 48u);
    return mss - (tp->tcp_header_len - static_cast<u32>(sizeof(tcphdr)));
}

void tcp_mtup_init(sock *) {} // tcp_mtu_probing is off and cannot be switched on

/// Not more than half of the largest window ever offered: otherwise nothing could be in flight while the reader reads.
static u32 bound_to_half_wnd(const tcp_sock *tp, u32 size)
{
    u32 cutoff = tp->max_window > 512 ? tp->max_window >> 1 : tp->max_window;
    return cutoff && size > cutoff ? max(cutoff, 68u - tp->tcp_header_len) : size;
}

u32 tcp_sync_mss(sock *sk, u32 pmtu)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 mss = bound_to_half_wnd(tp, tcp_mtu_to_mss(sk, pmtu));
    tp->icsk_pmtu_cookie = pmtu;
    tp->mss_cache = mss;
    return mss;
}

u32 tcp_current_mss(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 mss = tp->mss_cache;
    if (const dst_entry *d = read_once(sk->sk_dst_cache)) {
        u32 mtu = tcp_dst_mtu(d);
        if (unlikely(mtu != tp->icsk_pmtu_cookie))
            mss = tcp_sync_mss(sk, mtu);
    }
    if (likely(!tp->rx_opt.num_sacks && !tp->rx_opt.dsack))
        return mss;
    // SACK blocks of this moment take their room from the data.
    return mss - (tcp_established_header_len(tp) - tp->tcp_header_len);
}

u32 tcp_send_mss(sock *sk, u32 *size_goal, u32 flags)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 mss = tcp_current_mss(sk);
    *size_goal = mss;
    const dst_entry *d = sk->sk_dst_cache;
    if ((flags & MSG_OOB) || !d || !(d->dev->features & NETIF_F_GSO))
        return mss;
    u32 goal = GSO_MAX_SIZE - 1 - 20 - tp->icsk_ext_hdr_len - tp->tcp_header_len;
    goal = min(goal, static_cast<u32>(sysctl_tcp_limit_output_bytes) >> 1);
    goal = bound_to_half_wnd(tp, goal);
    if (goal > mss)
        *size_goal = goal - goal % mss;
    return mss;
}

// --- SYN ----------------------------------------------------------------------------------------------------------------------------

/// Everything about the connection that does not depend on the peer.
static void connect_init(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    const dst_entry *d = sk->sk_dst_cache;
    tp->tcp_header_len =
        static_cast<u16>(sizeof(tcphdr) + (sysctl_tcp_timestamps ? TCPOLEN_TSTAMP_ALIGNED : 0));
    if (tp->rx_opt.user_mss)
        tp->rx_opt.mss_clamp = tp->rx_opt.user_mss;
    tp->max_window = 0;
    tcp_mtup_init(sk);
    tcp_sync_mss(sk, d ? tcp_dst_mtu(d) : 576);
    u32 advmss = d ? tcp_dst_advmss(d) : TCP_MSS_DEFAULT;
    tp->advmss = advmss;
    if (tp->rx_opt.user_mss && tp->rx_opt.user_mss < advmss)
        tp->advmss = tp->rx_opt.user_mss;
    tcp_initialize_rcv_mss(sk);
    // A size that the user fixed is what can be offered at most.
    u32 full = static_cast<u32>(tcp_full_space(sk));
    if ((sk->sk_userlocks & SOCK_RCVBUF_LOCK) && (tp->window_clamp > full || tp->window_clamp == 0))
        tp->window_clamp = full;
    u8 wscale = 0;
    tcp_select_initial_window(
        full,
        tp->advmss - (tp->rx_opt.ts_recent_stamp
                          ? tp->tcp_header_len - static_cast<u32>(sizeof(tcphdr))
                          : 0),
        &tp->rcv_wnd, &tp->window_clamp, sysctl_tcp_window_scaling, &wscale, 0);
    tp->rx_opt.rcv_wscale = wscale & 15;
    tp->rcv_ssthresh = tp->rcv_wnd;
    sk->sk_err = 0;
    sock_reset_flag(sk, SOCK_DONE);
    tp->snd_wnd = 0;
    tp->snd_wl1 = 0;
    tp->snd_una = tp->snd_sml = tp->snd_up = tp->snd_nxt = tp->write_seq;
    if (!tp->repair)
        tp->rcv_nxt = 0;
    tp->rcv_wup = tp->rcv_nxt;
    tp->copied_seq = tp->rcv_nxt;
    tp->icsk_rto = TCP_TIMEOUT_INIT;
    tp->icsk_retransmits = 0;
    tp->retransmit_skb_hint = tp->lost_skb_hint = nullptr;
    tp->packets_out = 0;
}

int tcp_connect(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    connect_init(sk);
    sk_buff *skb = alloc_skb_fclone(MAX_TCP_HEADER, GFP_KERNEL);
    if (!skb)
        return -ENOBUFS;
    skb_reserve(skb, MAX_TCP_HEADER);
    tcp_init_nondata_skb(skb, tp->write_seq++, TCPHDR_SYN);
    tcp_ecn_send_syn(tp, TCP_SKB_CB(skb));
    skb_shinfo(skb)->gso_segs = 1;
    TCP_SKB_CB(skb)->when = tp->retrans_stamp = tcp_time_stamp();
    tp->sk_wmem_queued += skb->truesize;
    sk_mem_charge(sk, skb->truesize);
    __skb_queue_tail(&sk->sk_write_queue, skb);
    tp->packets_out += 1;
    // A segment that cannot go (filter, no buffer) is as good as one that got lost.
    int err = tcp_transmit_skb(sk, skb, true, GFP_KERNEL);
    if (err == -ECONNREFUSED)
        return err;
    // Only now: tcp_transmit_skb counts what is beyond snd_nxt as new.
    tp->snd_nxt = tp->write_seq;
    tp->pushed_seq = tp->write_seq;
    TCP_INC_STATS(TCP_MIB_ActiveOpens);
    inet_csk_reset_xmit_timer(sk, ICSK_TIME_RETRANS, tp->icsk_rto, TCP_RTO_MAX);
    return 0;
}

int tcp_send_synack(sock *sk)
{
    sk_buff *skb = tcp_write_queue_head(sk);
    if (!skb || !(TCP_SKB_CB(skb)->tcp_flags & TCPHDR_SYN))
        return -EFAULT;
    if (!(TCP_SKB_CB(skb)->tcp_flags & TCPHDR_ACK)) {
        if (skb_cloned(skb)) { // our SYN is still on its way down
            sk_buff *copy = skb_copy(skb, GFP_ATOMIC);
            if (!copy)
                return -ENOMEM;
            tcp_sock *tp = tcp_sk(sk);
            __skb_unlink(skb, &sk->sk_write_queue);
            __skb_queue_head(&sk->sk_write_queue, copy);
            skb_shinfo(copy)->gso_segs = 1;
            tp->sk_wmem_queued += copy->truesize;
            sk_mem_charge(sk, copy->truesize);
            sk_wmem_free_skb(sk, skb);
            skb = copy;
        }
        TCP_SKB_CB(skb)->tcp_flags |= TCPHDR_ACK;
        tcp_ecn_send_synack(tcp_sk(sk), TCP_SKB_CB(skb));
    }
    TCP_SKB_CB(skb)->when = tcp_time_stamp();
    return tcp_transmit_skb(sk, skb, true, GFP_ATOMIC);
}

// --- FIN, RST -----------------------------------------------------------------------------------------------------------------------

void tcp_send_fin(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 mss = tcp_current_mss(sk);
    sk_buff *skb = sk->sk_write_queue.prev;
    if (tp->sk_send_head) { // rides on data that has not gone yet
        TCP_SKB_CB(skb)->tcp_flags |= TCPHDR_FIN;
        TCP_SKB_CB(skb)->end_seq++;
        tp->write_seq++;
    } else {
        // There must be one: a connection may not stay open for ever because memory was short for a moment.
        while (!(skb = alloc_skb_fclone(MAX_TCP_HEADER, GFP_ATOMIC))) {
            if (in_atomic())
                return;
            current()->state.store(TASK_UNINTERRUPTIBLE);
            schedule_timeout(1);
        }
        skb_reserve(skb, MAX_TCP_HEADER);
        tcp_init_nondata_skb(skb, tp->write_seq, TCPHDR_ACK | TCPHDR_FIN);
        skb_shinfo(skb)->gso_segs = 1;
        tcp_queue_skb(sk, skb);
    }
    __tcp_push_pending_frames(sk, mss, TCP_NAGLE_OFF);
}

void tcp_send_active_reset(sock *sk, gfp flags)
{
    sk_buff *skb = alloc_skb(MAX_TCP_HEADER, flags);
    if (!skb) {
        NET_INC_STATS(LINUX_MIB_TCPAbortFailed);
        return;
    }
    skb_reserve(skb, MAX_TCP_HEADER);
    tcp_init_nondata_skb(skb, tcp_acceptable_seq(tcp_sk(sk)), TCPHDR_ACK | TCPHDR_RST);
    TCP_SKB_CB(skb)->when = tcp_time_stamp();
    if (tcp_transmit_skb(sk, skb, false, flags))
        NET_INC_STATS(LINUX_MIB_TCPAbortFailed);
    TCP_INC_STATS(TCP_MIB_OutRsts);
}

// --- Probes -------------------------------------------------------------------------------------------------------------------------

/// An ACK with a sequence number that the peer has seen: it must answer (keepalive, RFC 1122 §4.2.3.6). urgent: at snd_una.
static int xmit_probe(sock *sk, bool urgent)
{
    tcp_sock *tp = tcp_sk(sk);
    sk_buff *skb = alloc_skb(MAX_TCP_HEADER, GFP_ATOMIC);
    if (!skb)
        return -1;
    skb_reserve(skb, MAX_TCP_HEADER);
    tcp_init_nondata_skb(skb, urgent ? tp->snd_una : tp->snd_una - 1, TCPHDR_ACK);
    TCP_SKB_CB(skb)->when = tcp_time_stamp();
    return tcp_transmit_skb(sk, skb, false, GFP_ATOMIC);
}

/// Try to provoke an ACK with the current window: data inside the window if there is some, else a probe. <0: nothing went;
/// 0 or more as tcp_transmit_skb.
int tcp_write_wakeup(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    if (sk->sk_state == TCP_CLOSE)
        return -1;
    sk_buff *skb = tp->sk_send_head;
    if (skb && before(TCP_SKB_CB(skb)->seq, tcp_wnd_end(tp))) {
        u32 mss = tcp_current_mss(sk), room = tcp_wnd_end(tp) - TCP_SKB_CB(skb)->seq;
        if (before(tp->pushed_seq, TCP_SKB_CB(skb)->end_seq))
            tp->pushed_seq = TCP_SKB_CB(skb)->end_seq;
        if (room < TCP_SKB_CB(skb)->end_seq - TCP_SKB_CB(skb)->seq || skb->len > mss) {
            u32 len = min(room, mss);
            TCP_SKB_CB(skb)->tcp_flags |= TCPHDR_PSH;
            if (len < skb->len && tcp_fragment(sk, skb, len, mss))
                return -1;
        } else if (!tcp_skb_pcount(skb)) {
            tcp_set_skb_tso_segs(sk, skb, mss);
        }
        TCP_SKB_CB(skb)->tcp_flags |= TCPHDR_PSH;
        TCP_SKB_CB(skb)->when = tcp_time_stamp();
        int err = tcp_transmit_skb(sk, skb, true, GFP_ATOMIC);
        if (!err)
            tcp_event_new_data_sent(sk, skb);
        return err;
    }
    if (between(tp->snd_up, tp->snd_una + 1, tp->snd_una + 0xffff))
        xmit_probe(sk, true);
    return xmit_probe(sk, false);
}

void tcp_send_probe0(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    int err = tcp_write_wakeup(sk);
    if (tp->packets_out || !tp->sk_send_head) { // no need to go on probing
        tp->icsk_probes_out = 0;
        tp->icsk_backoff = 0;
        return;
    }
    if (err <= 0) {
        if (tp->icsk_backoff < sysctl_tcp_retries2)
            tp->icsk_backoff++;
        tp->icsk_probes_out++;
        u64 when = u64{tp->icsk_rto} << tp->icsk_backoff;
        inet_csk_reset_xmit_timer(sk, ICSK_TIME_PROBE0,
                                  static_cast<u32>(min(when, u64{TCP_RTO_MAX})), TCP_RTO_MAX);
        return;
    }
    // It did not even leave this host: not counted, tried again soon.
    if (!tp->icsk_probes_out)
        tp->icsk_probes_out = 1;
    u64 when = u64{tp->icsk_rto} << tp->icsk_backoff;
    inet_csk_reset_xmit_timer(sk, ICSK_TIME_PROBE0, static_cast<u32>(min(when, u64{TCP_HZ / 2})),
                              TCP_RTO_MAX);
}

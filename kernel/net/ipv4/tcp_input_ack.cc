// SPDX-License-Identifier: MIT
// Acknowledgments: windows, what leaves the write queue, round-trip time (Linux net/ipv4/tcp_input.c tcp_ack,
// tcp_clean_rtx_queue; RFC 9293 §3.10.7.4, RFC 6298, RFC 5961 §5). Socket lock held.

#include "net/ipv4/tcp_ecn.h"

// --- Round-trip time (RFC 6298; times in jiffies, srtt scaled by 8, mdev by 4) ----------------------------------------------------------

/// Jacobson's estimator. Like Linux the variance that counts is the largest of the last round trip, so that it rises at once and
/// falls slowly, and a sudden *drop* of the time counts less as variance.
static void rtt_estimator(tcp_sock *tp, u32 sample)
{
    s32 m = static_cast<s32>(max(sample, 1u));
    if (!tp->srtt) {
        tp->srtt = static_cast<u32>(m) << 3;
        tp->mdev = static_cast<u32>(m) << 1;
        tp->mdev_max = tp->rttvar = max(tp->mdev, TCP_RTO_MIN);
        tp->rtt_seq = tp->snd_nxt;
        return;
    }
    m -= static_cast<s32>(tp->srtt >> 3); // the error
    tp->srtt = static_cast<u32>(static_cast<s32>(tp->srtt) + m);
    s32 mdev = static_cast<s32>(tp->mdev);
    if (m < 0) {
        m = -m - (mdev >> 2);
        if (m > 0)
            m >>= 3;
    } else {
        m -= mdev >> 2;
    }
    tp->mdev = static_cast<u32>(mdev + m);
    if (tp->mdev > tp->mdev_max) {
        tp->mdev_max = tp->mdev;
        if (tp->mdev_max > tp->rttvar)
            tp->rttvar = tp->mdev_max;
    }
    if (after(tp->snd_una, tp->rtt_seq)) { // a round trip is over
        if (tp->mdev_max < tp->rttvar)
            tp->rttvar -= (tp->rttvar - tp->mdev_max) >> 2;
        tp->rtt_seq = tp->snd_nxt;
        tp->mdev_max = TCP_RTO_MIN;
    }
}

void tcp_set_rto(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    tp->icsk_rto = min((tp->srtt >> 3) + tp->rttvar, TCP_RTO_MAX);
}

void tcp_valid_rtt_meas(sock *sk, u32 rtt)
{
    rtt_estimator(tcp_sk(sk), rtt);
    tcp_set_rto(sk);
    inet_csk(sk)->icsk_backoff = 0;
}

void tcp_synack_rtt_meas(sock *sk, request_sock *req)
{
    // Retransmitted: nobody knows which one was answered (Karn).
    u32 sent = tcp_rsk(req)->snt_synack;
    if (sent && !req->num_retrans)
        tcp_valid_rtt_meas(sk, tcp_time_stamp() - sent);
}

/// A sample: by timestamp if there is one (also for retransmissions, RFC 7323 §4), else by send time.
static void ack_update_rtt(sock *sk, u32 flag, s32 seq_rtt)
{
    const tcp_sock *tp = tcp_sk(sk);
    if (tp->rx_opt.saw_tstamp && tp->rx_opt.rcv_tsecr)
        tcp_valid_rtt_meas(sk, tcp_time_stamp() - tp->rx_opt.rcv_tsecr);
    else if (seq_rtt >= 0 && !(flag & FLAG_RETRANS_DATA_ACKED))
        tcp_valid_rtt_meas(sk, static_cast<u32>(seq_rtt));
}

// --- The write queue -------------------------------------------------------------------------------------------------------------------

/// Segments at the front of a many-segment packet that are acknowledged: cut off. 0: none, or no memory.
static u32 tso_acked(sock *sk, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 before_ = tcp_skb_pcount(skb);
    if (tcp_trim_head(sk, skb, tp->snd_una - TCP_SKB_CB(skb)->seq))
        return 0;
    return before_ - tcp_skb_pcount(skb);
}

namespace
{
/// What clean_rtx_queue gathers.
struct clean_state {
    u32 flag = 0, pkts_acked = 0, reord = 0;
    s32 seq_rtt = -1, ca_seq_rtt = -1;
};

void account_acked(tcp_sock *tp, sk_buff *skb, u32 n, u32 now, clean_state &c)
{
    tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    if (tcb->sacked & TCPCB_RETRANS) {
        if (tcb->sacked & TCPCB_SACKED_RETRANS)
            tp->retrans_out -= n;
        c.flag |= FLAG_RETRANS_DATA_ACKED;
        c.ca_seq_rtt = c.seq_rtt = -1;
    } else {
        c.ca_seq_rtt = static_cast<s32>(now - tcb->when);
        if (c.seq_rtt < 0)
            c.seq_rtt = c.ca_seq_rtt;
        if (!(tcb->sacked & TCPCB_SACKED_ACKED)) {
            c.reord = min(c.pkts_acked, c.reord);
            if (!after(tcb->end_seq, tp->high_seq))
                c.flag |= FLAG_ORIG_SACK_ACKED;
        }
    }
    if (tcb->sacked & TCPCB_SACKED_ACKED)
        tp->sacked_out -= n;
    if (tcb->sacked & TCPCB_LOST)
        tp->lost_out -= n;
    tp->packets_out -= n;
    c.pkts_acked += n;
    if (likely(!(tcb->tcp_flags & TCPHDR_SYN))) {
        c.flag |= FLAG_DATA_ACKED;
    } else {
        c.flag |= FLAG_SYN_ACKED;
        tp->retrans_stamp = 0;
    }
}

void after_acked(sock *sk, clean_state &c, u32 prior_fackets, u32 prior_sacked)
{
    tcp_sock *tp = tcp_sk(sk);
    ack_update_rtt(sk, c.flag, c.seq_rtt);
    tcp_rearm_rto(sk);
    if (tcp_is_reno(tp)) {
        tcp_remove_reno_sacks(sk, c.pkts_acked);
    } else {
        // A hole below what was SACKed got filled without a retransmission: the path reorders.
        if (c.reord < prior_fackets)
            tcp_update_reordering(sk, static_cast<s32>(tp->fackets_out - c.reord), false);
        s32 delta =
            static_cast<s32>(tcp_is_fack(tp) ? c.pkts_acked : prior_sacked - tp->sacked_out);
        tp->lost_cnt_hint -= min(tp->lost_cnt_hint, delta);
    }
    tp->fackets_out -= min(c.pkts_acked, tp->fackets_out);
    const tcp_congestion_ops *ca = tcp_ca(sk);
    if (ca->pkts_acked)
        ca->pkts_acked(sk, c.pkts_acked,
                       c.ca_seq_rtt < 0 ? -1 : c.ca_seq_rtt * static_cast<s32>(1000000 / HZ));
}
} // namespace

/// Take what snd_una has passed off the write queue. Returns FLAG_*.
static u32 clean_rtx_queue(sock *sk, u32 prior_fackets, u32 prior_snd_una)
{
    tcp_sock *tp = tcp_sk(sk);
    clean_state c;
    c.reord = tp->packets_out;
    u32 prior_sacked = tp->sacked_out, now = tcp_time_stamp();
    sk_buff *skb;
    while ((skb = tcp_write_queue_head(sk)) && skb != tp->sk_send_head) {
        u32 n = tcp_skb_pcount(skb);
        bool whole = !after(TCP_SKB_CB(skb)->end_seq, tp->snd_una);
        if (!whole) {
            if (n == 1 || !after(tp->snd_una, TCP_SKB_CB(skb)->seq))
                break;
            n = tso_acked(sk, skb);
            if (!n)
                break;
        }
        account_acked(tp, skb, n, now, c);
        if (!whole)
            break;
        if (skb == tp->retransmit_skb_hint)
            tp->retransmit_skb_hint = nullptr;
        if (skb == tp->lost_skb_hint)
            tp->lost_skb_hint = nullptr;
        if (skb == tp->highest_sack)
            tp->highest_sack = skb->next;
        tp->bytes_acked += skb->len;
        __skb_dequeue(&sk->sk_write_queue);
        sk_wmem_free_skb(sk, skb);
    }
    if (likely(between(tp->snd_up, prior_snd_una, tp->snd_una)))
        tp->snd_up = tp->snd_una;
    // The first packet left was SACKed: then everything below it is there, and the ACK should have said so.
    if (skb && (TCP_SKB_CB(skb)->sacked & TCPCB_SACKED_ACKED))
        c.flag |= FLAG_SACK_RENEGING;
    if (c.flag & FLAG_ACKED)
        after_acked(sk, c, prior_fackets, prior_sacked);
    return c.flag;
}

// --- The window ------------------------------------------------------------------------------------------------------------------------

/// The send window as this segment says, if it is newer than the last that said it (RFC 9293 §3.10.7.4 SND.WL1, SND.WL2).
static u32 ack_update_window(sock *sk, const sk_buff *skb, u32 ack, u32 ack_seq)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 flag = 0, nwin = ntohs(tcp_hdr(skb)->window);
    if (likely(!tcp_hdr(skb)->syn))
        nwin <<= tp->rx_opt.snd_wscale;
    if (after(ack, tp->snd_una) || after(ack_seq, tp->snd_wl1) ||
        (ack_seq == tp->snd_wl1 && nwin > tp->snd_wnd)) {
        flag = FLAG_WIN_UPDATE;
        tp->snd_wl1 = ack_seq;
        if (tp->snd_wnd != nwin) {
            tp->snd_wnd = nwin;
            tp->pred_flags = 0;
            tcp_fast_path_check(sk);
            if (nwin > tp->max_window) {
                tp->max_window = nwin;
                tcp_sync_mss(sk, tp->icsk_pmtu_cookie);
            }
        }
    }
    tp->snd_una = ack;
    return flag;
}

/// Nothing was in flight: the window probe's answer.
static void ack_probe(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    if (!after(TCP_SKB_CB(tp->sk_send_head)->end_seq, tcp_wnd_end(tp))) {
        tp->icsk_backoff = 0;
        inet_csk_clear_xmit_timer(sk, ICSK_TIME_PROBE0);
        return; // tcp_data_snd_check sends
    }
    u64 when = u64{tp->icsk_rto} << tp->icsk_backoff;
    inet_csk_reset_xmit_timer(sk, ICSK_TIME_PROBE0, static_cast<u32>(min(when, u64{TCP_RTO_MAX})),
                              TCP_RTO_MAX);
}

/// ts_recent moves only with segments that are not behind the last ACK sent (RFC 7323 §4.3) and never back.
static void replace_ts_recent(tcp_sock *tp, u32 seq)
{
    if (!tp->rx_opt.saw_tstamp || after(seq, tp->rcv_wup))
        return;
    if (static_cast<s32>(tp->rx_opt.rcv_tsval - tp->rx_opt.ts_recent) >= 0 ||
        ktime_get() / NSEC_PER_SEC >= tp->rx_opt.ts_recent_stamp + TCP_PAWS_24DAYS) {
        tp->rx_opt.ts_recent = tp->rx_opt.rcv_tsval;
        tp->rx_opt.ts_recent_stamp = ktime_get() / NSEC_PER_SEC;
    }
}

static void cong_avoid(sock *sk, u32 ack, u32 in_flight)
{
    tcp_ca(sk)->cong_avoid(sk, ack, in_flight);
    tcp_sk(sk)->snd_cwnd_stamp = tcp_time_stamp();
}

/// An ACK behind snd_una: only its SACK blocks may be news.
static int old_ack(sock *sk, sk_buff *skb, u32 flag, u32 prior_snd_una)
{
    tcp_sock *tp = tcp_sk(sk);
    if (TCP_SKB_CB(skb)->sacked) {
        u32 prior_sacked = tp->sacked_out;
        flag |= tcp_sacktag_write_queue(sk, skb, prior_snd_una);
        tcp_fastretrans_alert(sk, 0, prior_sacked, false, flag);
    }
    return 0;
}

/// The part of tcp_ack() after windows and SACKs: the queue, then congestion control.
static void ack_queue(sock *sk, u32 ack, u32 flag, u32 prior_snd_una, u32 prior_fackets,
                      u32 prior_in_flight, u32 prior_sacked)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 acked = tp->packets_out;
    flag |= clean_rtx_queue(sk, prior_fackets, prior_snd_una);
    acked -= tp->packets_out;
    bool dubious =
        !(flag & FLAG_NOT_DUP) || (flag & FLAG_CA_ALERT) || tp->icsk_ca_state != TCP_CA_Open;
    if (unlikely(dubious)) {
        bool may_raise =
            (!(flag & FLAG_ECE) || tp->snd_cwnd < tp->snd_ssthresh) && !tcp_in_cwnd_reduction(sk);
        if ((flag & FLAG_DATA_ACKED) && may_raise)
            cong_avoid(sk, ack, prior_in_flight);
        bool is_dupack = !(flag & (FLAG_SND_UNA_ADVANCED | FLAG_NOT_DUP));
        tcp_fastretrans_alert(sk, acked, prior_sacked, is_dupack, flag);
    } else if (flag & FLAG_DATA_ACKED) {
        cong_avoid(sk, ack, prior_in_flight);
    }
    if (unlikely(tp->tlp_high_seq))
        tcp_process_tlp_ack(sk, ack, flag);
    if ((flag & FLAG_FORWARD_PROGRESS) || !(flag & FLAG_NOT_DUP)) {
        if (auto *rt = static_cast<rtable *>(sk->sk_dst_cache))
            ip_confirm_neighbour(rt, tp->inet_daddr);
    }
    if (tp->icsk_pending == ICSK_TIME_RETRANS)
        tcp_schedule_loss_probe(sk);
}

int tcp_ack(sock *sk, sk_buff *skb, u32 flag)
{
    tcp_sock *tp = tcp_sk(sk);
    const tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    u32 prior_snd_una = tp->snd_una, seq = tcb->seq, ack = tcb->ack_seq;
    if (before(ack, prior_snd_una)) {
        if (before(ack, prior_snd_una - tp->max_window)) { // blind injection (RFC 5961 §5.2)
            tcp_send_challenge_ack(sk);
            return -1;
        }
        return old_ack(sk, skb, flag, prior_snd_una);
    }
    if (after(ack, tp->snd_nxt)) // acknowledges what was never sent
        return -1;
    if (tp->icsk_pending == ICSK_TIME_EARLY_RETRANS || tp->icsk_pending == ICSK_TIME_LOSS_PROBE)
        tcp_rearm_rto(sk);
    if (after(ack, prior_snd_una))
        flag |= FLAG_SND_UNA_ADVANCED;
    u32 prior_fackets = tp->fackets_out, prior_in_flight = tcp_packets_in_flight(tp),
        prior_packets = tp->packets_out, prior_sacked = tp->sacked_out;
    if (flag & FLAG_UPDATE_TS_RECENT)
        replace_ts_recent(tp, seq);
    if (!(flag & FLAG_SLOWPATH) && (flag & FLAG_SND_UNA_ADVANCED)) {
        // Predicted: the window is what it was, and nothing else is in there.
        tp->snd_wl1 = seq;
        tp->snd_una = ack;
        flag |= FLAG_WIN_UPDATE;
        NET_INC_STATS(LINUX_MIB_TCPHPAcks);
    } else {
        if (seq != tcb->end_seq)
            flag |= FLAG_DATA;
        else
            NET_INC_STATS(LINUX_MIB_TCPPureAcks);
        flag |= ack_update_window(sk, skb, ack, seq);
        if (tcb->sacked)
            flag |= tcp_sacktag_write_queue(sk, skb, prior_snd_una);
        if (tcp_ecn_rcv_echo(tp, tcp_hdr(skb)))
            flag |= FLAG_ECE;
    }
    tp->sk_err_soft.store(0, std::memory_order_relaxed);
    tp->icsk_probes_out = 0;
    tp->rcv_tstamp = tcp_time_stamp();
    if (prior_packets) {
        ack_queue(sk, ack, flag, prior_snd_una, prior_fackets, prior_in_flight, prior_sacked);
        return 1;
    }
    if (flag & FLAG_DSACKING_ACK)
        tcp_fastretrans_alert(sk, 0, prior_sacked, false, flag);
    if (tp->sk_send_head)
        ack_probe(sk);
    if (tp->tlp_high_seq)
        tcp_process_tlp_ack(sk, ack, flag);
    return 1;
}

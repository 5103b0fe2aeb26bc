// SPDX-License-Identifier: MIT
// Retransmission and what it does to packets of the write queue: cut, trim, join (Linux net/ipv4/tcp_output.c; RFC 6675 §5, RFC
// 5681 §3.2). Socket lock held; softirq or process.

#include "net/ipv4/tcp_engine.h"

// --- Packets of the write queue ----------------------------------------------------------------------------------------------------

/// The bytes of a queued packet are ours alone (no clone of it is below). 0 or -ENOMEM.
static int make_private(sk_buff *skb)
{
    return skb_cloned(skb) ? pskb_expand_head(skb, 0, 0, GFP_ATOMIC) : 0;
}

void tcp_adjust_pcount(sock *sk, const sk_buff *skb, s32 decr)
{
    tcp_sock *tp = tcp_sk(sk);
    const tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    u32 d = static_cast<u32>(decr);
    tp->packets_out -= d;
    if (tcb->sacked & TCPCB_SACKED_ACKED)
        tp->sacked_out -= d;
    if (tcb->sacked & TCPCB_SACKED_RETRANS)
        tp->retrans_out -= d;
    if (tcb->sacked & TCPCB_LOST)
        tp->lost_out -= d;
    if (tcp_is_reno(tp) && decr > 0)
        tp->sacked_out -= min(tp->sacked_out, d);
    // The count of packets below the highest SACK changes as well.
    if (tp->sacked_out && !tcp_is_reno(tp) &&
        (!tp->highest_sack || before(tcb->seq, TCP_SKB_CB(tp->highest_sack)->seq)))
        tp->fackets_out = decr > 0 && d > tp->fackets_out ? 0 : tp->fackets_out - d;
    if (tp->lost_skb_hint && before(tcb->seq, TCP_SKB_CB(tp->lost_skb_hint)->seq) &&
        (tcp_is_fack(tp) || (tcb->sacked & TCPCB_SACKED_ACKED)))
        tp->lost_cnt_hint -= decr;
}

int tcp_fragment(sock *sk, sk_buff *skb, u32 len, u32 mss_now)
{
    tcp_sock *tp = tcp_sk(sk);
    if (len > skb->len)
        return -EINVAL;
    if (int err = make_private(skb))
        return err;
    u32 linear = skb_headlen(skb) > len ? skb_headlen(skb) - len : 0;
    sk_buff *rest = sk_stream_alloc_skb(sk, linear, GFP_ATOMIC);
    if (!rest)
        return -ENOMEM;
    rest->truesize += skb->len - len - linear; // pages that move take their weight along
    skb->truesize -= skb->len - len - linear;
    tp->sk_wmem_queued += rest->truesize - (skb->len - len - linear);
    sk_mem_charge(sk, rest->truesize - (skb->len - len - linear));

    tcp_skb_cb *tcb = TCP_SKB_CB(skb), *rcb = TCP_SKB_CB(rest);
    *rcb = *tcb;
    rcb->seq = tcb->seq + len;
    tcb->end_seq = rcb->seq;
    tcb->tcp_flags &= static_cast<u8>(~(TCPHDR_FIN | TCPHDR_PSH));
    rest->ip_summed = skb->ip_summed = CHECKSUM_PARTIAL;
    skb_split(skb, rest, len);

    u32 old = tcp_skb_pcount(skb);
    tcp_set_skb_tso_segs(sk, skb, mss_now);
    tcp_set_skb_tso_segs(sk, rest, mss_now);
    if (!before(tp->snd_nxt,
                rcb->end_seq)) { // it was sent already: the number of segments may have changed
        s32 diff = static_cast<s32>(old - tcp_skb_pcount(skb) - tcp_skb_pcount(rest));
        if (diff)
            tcp_adjust_pcount(sk, skb, diff);
    }
    tcp_insert_after(&sk->sk_write_queue, skb, rest);
    return 0;
}

int tcp_trim_head(sock *sk, sk_buff *skb, u32 len)
{
    if (make_private(skb))
        return -ENOMEM;
    u32 pages = len > skb_headlen(skb) ? len - skb_headlen(skb) : 0;
    skb_trim_front(skb, len);
    TCP_SKB_CB(skb)->seq += len;
    skb->ip_summed = CHECKSUM_PARTIAL;
    skb->truesize -= pages;
    tcp_sk(sk)->sk_wmem_queued -= pages;
    sk_mem_uncharge(sk, pages);
    if (tcp_skb_pcount(skb) > 1)
        tcp_set_skb_tso_segs(sk, skb, tcp_current_mss(sk));
    return 0;
}

/// skb takes over all of the next packet; there is room.
static void collapse_next(sock *sk, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    sk_buff *next = skb->next;
    if (tp->highest_sack == next)
        tp->highest_sack = next->next;
    __skb_unlink(next, &sk->sk_write_queue);
    if (next->len)
        skb_copy_bits(next, 0, skb_put(skb, next->len), next->len);
    tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    const tcp_skb_cb *ncb = TCP_SKB_CB(next);
    tcb->end_seq = ncb->end_seq;
    tcb->tcp_flags |= ncb->tcp_flags;
    tcb->sacked |= ncb->sacked & TCPCB_EVER_RETRANS;
    tcp_clear_retrans_hints(tp);
    if (next == tp->retransmit_skb_hint)
        tp->retransmit_skb_hint = skb;
    tcp_adjust_pcount(sk, next, static_cast<s32>(tcp_skb_pcount(next)));
    sk_wmem_free_skb(sk, next);
}

/// Small segments that are all lost go again as one, as long as it fits a segment (RFC 9293 §3.8.1 allows repacketization).
static void try_collapse(sock *sk, sk_buff *to, u32 space)
{
    tcp_sock *tp = tcp_sk(sk);
    if (!sysctl_tcp_retrans_collapse || (TCP_SKB_CB(to)->tcp_flags & TCPHDR_SYN))
        return;
    bool first = true;
    while (sk_buff *skb = to->next) {
        if (skb == tp->sk_send_head || tcp_skb_pcount(skb) > 1 || skb_shinfo(skb)->nr_frags ||
            skb_cloned(skb) || skb_cloned(to) || (TCP_SKB_CB(skb)->sacked & TCPCB_SACKED_ACKED) ||
            (TCP_SKB_CB(to)->tcp_flags & TCPHDR_FIN))
            return;
        if (to->len + skb->len > space)
            return;
        if (first) {
            first = false;
        } else if (skb->len > space - to->len) {
            return;
        }
        // Only what is in the window, and only into room that is there.
        if (skb->len > skb_tailroom(to) || after(TCP_SKB_CB(skb)->end_seq, tcp_wnd_end(tp)))
            return;
        collapse_next(sk, to);
    }
}

// --- Retransmission -----------------------------------------------------------------------------------------------------------------

int __tcp_retransmit_skb(sock *sk, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    // Enough of us waits below already.
    u32 limit =
        min(tp->sk_wmem_queued + (tp->sk_wmem_queued >> 2), static_cast<u32>(sk->sk_sndbuf));
    if (static_cast<u32>(sk->sk_wmem_alloc.load(std::memory_order_relaxed)) > max(limit, 4096u))
        return -EAGAIN;
    tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    if (before(tcb->seq, tp->snd_una)) {
        BUG_ON(before(tcb->end_seq, tp->snd_una));
        if (tcp_trim_head(sk, skb, tp->snd_una - tcb->seq))
            return -ENOMEM;
    }
    // The window may have shrunk below it; one segment at snd_una always goes: it is the probe then (RFC 1122 §4.2.2.16).
    if (!before(tcb->seq, tcp_wnd_end(tp)) && tcb->seq != tp->snd_una)
        return -EAGAIN;
    u32 mss = tcp_current_mss(sk);
    if (skb->len > mss) {
        if (tcp_fragment(sk, skb, mss, mss))
            return -ENOMEM;
    } else if (u32 old = tcp_skb_pcount(skb); unlikely(old > 1)) {
        tcp_set_skb_tso_segs(sk, skb, mss);
        if (s32 diff = static_cast<s32>(old - tcp_skb_pcount(skb)))
            tcp_adjust_pcount(sk, skb, diff);
    }
    try_collapse(sk, skb, mss);
    // A lone FIN whose data is acknowledged goes without the data.
    if (skb->len && (tcb->tcp_flags & TCPHDR_FIN) && tp->snd_una == tcb->end_seq - 1) {
        if (tcp_trim_head(sk, skb, skb->len) == 0)
            tcb->seq = tcb->end_seq - 1;
    }
    tcb->when = tcp_time_stamp();
    return tcp_transmit_skb(sk, skb, true, GFP_ATOMIC);
}

int tcp_retransmit_skb(sock *sk, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    if (int err = __tcp_retransmit_skb(sk, skb))
        return err;
    tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    TCP_INC_STATS(TCP_MIB_RetransSegs);
    tp->total_retrans++;
    if (!tp->retrans_out)
        tp->lost_retrans_low = tp->snd_nxt;
    tcb->sacked |= TCPCB_RETRANS;
    tp->retrans_out += tcp_skb_pcount(skb);
    if (!tp->retrans_stamp) // time of the first one: undo needs it (RFC 3522)
        tp->retrans_stamp = tcb->when;
    tp->undo_retrans += static_cast<s32>(tcp_skb_pcount(skb));
    tcb->ack_seq = tp->snd_nxt; // a SACK above this without it: this one was lost too
    return 0;
}

/// New data is not to be had: then segments above the holes may be guessed lost (forward retransmission).
static bool can_forward_retransmit(sock *sk)
{
    return inet_csk(sk)->icsk_ca_state == TCP_CA_Recovery && tcp_is_fack(tcp_sk(sk)) &&
           !tcp_may_send_now(sk);
}

/// One segment of the recovery. False: stop.
static bool recover_one(sock *sk, sk_buff *skb, linux_mib mib)
{
    tcp_sock *tp = tcp_sk(sk);
    if (tcp_retransmit_skb(sk, skb)) {
        NET_INC_STATS(LINUX_MIB_TCPRetransFail);
        return false;
    }
    NET_INC_STATS(mib);
    if (tcp_in_cwnd_reduction(sk))
        tp->prr_out += tcp_skb_pcount(skb);
    if (skb == tcp_write_queue_head(sk))
        inet_csk_reset_xmit_timer(sk, ICSK_TIME_RETRANS, tp->icsk_rto, TCP_RTO_MAX);
    return true;
}

void tcp_xmit_retransmit_queue(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    if (!tp->packets_out)
        return;
    if (!tp->lost_out)
        tp->retransmit_high = tp->snd_una;
    sk_buff *skb = tp->retransmit_skb_hint ? tp->retransmit_skb_hint : tcp_write_queue_head(sk);
    sk_buff *hole =
        nullptr; // first one below retransmit_high that is neither lost, SACKed nor sent again
    u32 last_lost = tp->retransmit_skb_hint ? TCP_SKB_CB(skb)->end_seq : tp->snd_una;
    if (after(last_lost, tp->retransmit_high))
        last_lost = tp->retransmit_high;
    // First everything that is marked lost.
    for (; skb && skb != tp->sk_send_head; skb = skb->next) {
        if (!hole)
            tp->retransmit_skb_hint = skb;
        if (tcp_packets_in_flight(tp) >= tp->snd_cwnd)
            return;
        if (!before(TCP_SKB_CB(skb)->seq, tp->retransmit_high))
            break;
        u8 sacked = TCP_SKB_CB(skb)->sacked;
        if (!(sacked & TCPCB_LOST)) {
            if (!hole && !(sacked & (TCPCB_SACKED_RETRANS | TCPCB_SACKED_ACKED)))
                hole = skb;
            continue;
        }
        last_lost = TCP_SKB_CB(skb)->end_seq;
        if (sacked & (TCPCB_SACKED_ACKED | TCPCB_SACKED_RETRANS))
            continue;
        if (!recover_one(sk, skb,
                         tp->icsk_ca_state != TCP_CA_Loss ? LINUX_MIB_TCPFastRetrans
                                                          : LINUX_MIB_TCPSlowStartRetrans))
            return;
    }
    tp->retransmit_high = last_lost;
    if (!can_forward_retransmit(sk))
        return;
    if (hole)
        skb = hole;
    for (; skb && skb != tp->sk_send_head; skb = skb->next) {
        if (tcp_packets_in_flight(tp) >= tp->snd_cwnd ||
            (tp->highest_sack && !before(TCP_SKB_CB(skb)->seq, TCP_SKB_CB(tp->highest_sack)->seq)))
            return;
        tp->retransmit_skb_hint = skb;
        if (TCP_SKB_CB(skb)->sacked & (TCPCB_SACKED_ACKED | TCPCB_SACKED_RETRANS))
            continue;
        if (!recover_one(sk, skb, LINUX_MIB_TCPForwardRetrans))
            return;
    }
}

/// The path's MSS shrank: what is too big now is lost (Linux tcp_simple_retransmit).
void tcp_simple_retransmit(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 mss = tcp_current_mss(sk), prior_lost = tp->lost_out;
    for (sk_buff *skb = tcp_write_queue_head(sk); skb && skb != tp->sk_send_head; skb = skb->next) {
        tcp_skb_cb *tcb = TCP_SKB_CB(skb);
        u32 seg = tcp_skb_pcount(skb) > 1 ? skb_shinfo(skb)->gso_size : skb->len;
        if (seg <= mss || (tcb->sacked & TCPCB_SACKED_ACKED))
            continue;
        if (tcb->sacked & TCPCB_SACKED_RETRANS) {
            tcb->sacked &= static_cast<u8>(~TCPCB_SACKED_RETRANS);
            tp->retrans_out -= tcp_skb_pcount(skb);
        }
        tcp_skb_mark_lost(tp, skb);
    }
    tcp_clear_retrans_hints(tp);
    if (prior_lost == tp->lost_out)
        return;
    // No congestion, so cwnd stays: only the sizes were wrong.
    if (tp->icsk_ca_state != TCP_CA_Loss) {
        tp->high_seq = tp->snd_nxt;
        tp->snd_ssthresh = tcp_current_ssthresh(sk);
        tp->prior_ssthresh = 0;
        tp->undo_marker = 0;
        tcp_set_ca_state(sk, TCP_CA_Loss);
    }
    tcp_xmit_retransmit_queue(sk);
}

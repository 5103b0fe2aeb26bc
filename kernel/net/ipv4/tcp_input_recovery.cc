// SPDX-License-Identifier: MIT
// Loss recovery: Open, Disorder, CWR, Recovery, Loss (Linux net/ipv4/tcp_input.c tcp_fastretrans_alert; RFC 5681, RFC 6582, RFC
// 6675, RFC 6937 PRR, RFC 5682 F-RTO, RFC 3522/4015 undo, RFC 5827 early retransmit). Socket lock held.
//
//   Open      nothing is wrong                      Disorder  duplicate ACKs or SACKs, not enough to call it loss
//   CWR       cwnd is being reduced without loss    Recovery  fast retransmit, until high_seq is acknowledged
//   Loss      the retransmission timer expired, until high_seq is acknowledged

#include "net/ipv4/tcp_ecn.h"

void tcp_set_ca_state(sock *sk, u8 state)
{
    const tcp_congestion_ops *ca = inet_csk(sk)->icsk_ca_ops;
    if (ca && ca->set_state)
        ca->set_state(sk, state);
    inet_csk(sk)->icsk_ca_state = state;
}

void tcp_clear_retrans_hints(tcp_sock *tp)
{
    tp->lost_skb_hint = nullptr;
    tp->retransmit_skb_hint = nullptr;
}

// --- Reordering, and duplicate ACKs without SACK ---------------------------------------------------------------------------------------

void tcp_update_reordering(sock *sk, s32 metric, bool by_timestamp)
{
    tcp_sock *tp = tcp_sk(sk);
    if (metric <= static_cast<s32>(tp->reordering))
        return;
    tp->reordering = min(127u, static_cast<u32>(metric));
    NET_INC_STATS(by_timestamp      ? LINUX_MIB_TCPTSReorder
                  : tcp_is_reno(tp) ? LINUX_MIB_TCPRenoReorder
                  : tcp_is_fack(tp) ? LINUX_MIB_TCPFACKReorder
                                    : LINUX_MIB_TCPSACKReorder);
    // FACK takes every hole for a loss: not on a path like this.
    if (tcp_is_fack(tp))
        tp->lost_skb_hint = nullptr;
    tp->rx_opt.sack_ok = tp->rx_opt.sack_ok & ~TCP_FACK_ENABLED & 15;
}

/// Each duplicate ACK stands for a segment that arrived; never so many that nothing is missing. True: it was too many.
static bool limit_reno_sacked(tcp_sock *tp)
{
    u32 holes = min(max(tp->lost_out, 1u), tp->packets_out);
    if (tp->sacked_out + holes <= tp->packets_out)
        return false;
    tp->sacked_out = tp->packets_out - holes;
    return true;
}

static void check_reno_reordering(sock *sk, u32 addend)
{
    tcp_sock *tp = tcp_sk(sk);
    if (limit_reno_sacked(tp))
        tcp_update_reordering(sk, static_cast<s32>(tp->packets_out + addend), false);
}

static void add_reno_sack(sock *sk)
{
    tcp_sk(sk)->sacked_out++;
    check_reno_reordering(sk, 0);
}

void tcp_remove_reno_sacks(sock *sk, u32 acked)
{
    tcp_sock *tp = tcp_sk(sk);
    if (acked > 0) // one of them filled the hole, the others had caused duplicate ACKs
        tp->sacked_out = acked - 1 >= tp->sacked_out ? 0 : tp->sacked_out - (acked - 1);
    check_reno_reordering(sk, acked);
}

// --- cwnd ------------------------------------------------------------------------------------------------------------------------------

/// Start a proportional rate reduction (RFC 6937).
static void init_cwnd_reduction(sock *sk, bool set_ssthresh)
{
    tcp_sock *tp = tcp_sk(sk);
    tp->high_seq = tp->snd_nxt;
    tp->tlp_high_seq = 0;
    tp->snd_cwnd_cnt = 0;
    tp->prior_cwnd = tp->snd_cwnd;
    tp->prr_delivered = 0;
    tp->prr_out = 0;
    if (set_ssthresh)
        tp->snd_ssthresh = tcp_ca(sk)->ssthresh(sk);
    tcp_ecn_queue_cwr(tp);
}

static void cwnd_reduction(sock *sk, s32 newly, bool fast_rexmit)
{
    tcp_sock *tp = tcp_sk(sk);
    s32 in_flight = static_cast<s32>(tcp_packets_in_flight(tp));
    s32 delta = static_cast<s32>(tp->snd_ssthresh) - in_flight, sndcnt;
    tp->prr_delivered += static_cast<u32>(newly);
    if (delta < 0) {
        u64 dividend = u64{tp->snd_ssthresh} * tp->prr_delivered + tp->prior_cwnd - 1;
        sndcnt =
            static_cast<s32>(dividend / max(tp->prior_cwnd, 1u)) - static_cast<s32>(tp->prr_out);
    } else {
        s32 debt = static_cast<s32>(tp->prr_delivered - tp->prr_out);
        sndcnt = min(delta, max(debt, newly) + 1);
    }
    sndcnt = max(sndcnt, fast_rexmit ? 1 : 0);
    tp->snd_cwnd = static_cast<u32>(in_flight + sndcnt);
}

static void end_cwnd_reduction(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    if (tp->icsk_ca_state == TCP_CA_CWR ||
        (tp->undo_marker && tp->snd_ssthresh < TCP_INFINITE_SSTHRESH)) {
        tp->snd_cwnd = tp->snd_ssthresh;
        tp->snd_cwnd_stamp = tcp_time_stamp();
    }
    tcp_cwnd_event(sk, CA_EVENT_COMPLETE_CWR);
}

void tcp_enter_cwr(sock *sk, bool set_ssthresh)
{
    tcp_sock *tp = tcp_sk(sk);
    tp->prior_ssthresh = 0;
    if (tp->icsk_ca_state < TCP_CA_CWR) {
        tp->undo_marker = 0;
        init_cwnd_reduction(sk, set_ssthresh);
        tcp_set_ca_state(sk, TCP_CA_CWR);
    }
}

/// Not more than a small burst above what is in flight.
static void moderate_cwnd(tcp_sock *tp)
{
    tp->snd_cwnd = min(tp->snd_cwnd, tcp_packets_in_flight(tp) + tp->reordering);
    tp->snd_cwnd_stamp = tcp_time_stamp();
}

static bool any_retrans_done(const sock *sk)
{
    if (tcp_sk(sk)->retrans_out)
        return true;
    sk_buff *skb = tcp_write_queue_head(sk);
    return skb && (TCP_SKB_CB(skb)->sacked & TCPCB_EVER_RETRANS);
}

static void try_keep_open(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    u8 state = tcp_left_out(tp) || any_retrans_done(sk) ? TCP_CA_Disorder : TCP_CA_Open;
    if (tp->icsk_ca_state != state) {
        tcp_set_ca_state(sk, state);
        tp->high_seq = tp->snd_nxt;
    }
}

static void try_to_open(sock *sk, u32 flag, s32 newly)
{
    tcp_sock *tp = tcp_sk(sk);
    if (!any_retrans_done(sk))
        tp->retrans_stamp = 0;
    if (flag & FLAG_ECE)
        tcp_enter_cwr(sk, true);
    if (tp->icsk_ca_state != TCP_CA_CWR) {
        try_keep_open(sk);
        if (tp->icsk_ca_state != TCP_CA_Open)
            moderate_cwnd(tp);
    } else {
        cwnd_reduction(sk, newly, false);
    }
}

// --- Undo: the loss was none (RFC 4015; by timestamps RFC 3522, by D-SACK RFC 3708) ------------------------------------------------------

/// The ACK is older than the first retransmission: the original arrived.
static bool packet_delayed(const tcp_sock *tp)
{
    return !tp->retrans_stamp || (tp->rx_opt.saw_tstamp && tp->rx_opt.rcv_tsecr &&
                                  before(tp->rx_opt.rcv_tsecr, tp->retrans_stamp));
}

static bool may_undo(const tcp_sock *tp)
{
    return tp->undo_marker && (!tp->undo_retrans || packet_delayed(tp));
}

static void undo_cwr(sock *sk, bool undo_ssthresh)
{
    tcp_sock *tp = tcp_sk(sk);
    if (tp->prior_ssthresh) {
        const tcp_congestion_ops *ca = tcp_ca(sk);
        tp->snd_cwnd = ca->undo_cwnd ? ca->undo_cwnd(sk) : max(tp->snd_cwnd, tp->snd_ssthresh << 1);
        if (undo_ssthresh && tp->prior_ssthresh > tp->snd_ssthresh) {
            tp->snd_ssthresh = tp->prior_ssthresh;
            tcp_ecn_withdraw_cwr(tp);
        }
    } else {
        tp->snd_cwnd = max(tp->snd_cwnd, tp->snd_ssthresh);
    }
    tp->snd_cwnd_stamp = tcp_time_stamp();
}

/// At the end of a recovery. True: stay in the state for now (Reno: late duplicate ACKs must not start another, RFC 6582).
static bool try_undo_recovery(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    if (may_undo(tp)) {
        NET_INC_STATS(tp->icsk_ca_state == TCP_CA_Loss ? LINUX_MIB_TCPLossUndo
                                                       : LINUX_MIB_TCPFullUndo);
        undo_cwr(sk, true);
        tp->undo_marker = 0;
    }
    if (tp->snd_una == tp->high_seq && tcp_is_reno(tp)) {
        moderate_cwnd(tp);
        return true;
    }
    tcp_set_ca_state(sk, TCP_CA_Open);
    return false;
}

static void try_undo_dsack(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    if (!tp->undo_marker || tp->undo_retrans)
        return;
    undo_cwr(sk, true);
    tp->undo_marker = 0;
    NET_INC_STATS(LINUX_MIB_TCPDSACKUndo);
}

/// A partial ACK in Recovery. Returns whether to mark more as lost.
static bool try_undo_partial(sock *sk, u32 acked)
{
    tcp_sock *tp = tcp_sk(sk);
    bool failed = tcp_is_reno(tp) || tp->fackets_out > tp->reordering;
    if (!may_undo(tp))
        return failed;
    if (!any_retrans_done(sk))
        tp->retrans_stamp = 0;
    tcp_update_reordering(sk, static_cast<s32>(tp->fackets_out + acked), true);
    undo_cwr(sk, false);
    NET_INC_STATS(LINUX_MIB_TCPPartialUndo);
    return false;
}

static bool try_undo_loss(sock *sk, bool frto_undo)
{
    tcp_sock *tp = tcp_sk(sk);
    if (!frto_undo && !may_undo(tp))
        return false;
    for (sk_buff *skb = tcp_write_queue_head(sk); skb && skb != tp->sk_send_head; skb = skb->next)
        TCP_SKB_CB(skb)->sacked &= static_cast<u8>(~TCPCB_LOST);
    tp->lost_out = 0;
    tcp_clear_retrans_hints(tp);
    undo_cwr(sk, true);
    NET_INC_STATS(LINUX_MIB_TCPLossUndo);
    if (frto_undo)
        NET_INC_STATS(LINUX_MIB_TCPSpuriousRTOs);
    tp->icsk_retransmits = 0;
    tp->undo_marker = 0;
    if (frto_undo || tcp_is_sack(tp))
        tcp_set_ca_state(sk, TCP_CA_Open);
    return true;
}

// --- Marking losses ----------------------------------------------------------------------------------------------------------------------

void tcp_skb_mark_lost(tcp_sock *tp, sk_buff *skb)
{
    tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    if (tcb->sacked & (TCPCB_LOST | TCPCB_SACKED_ACKED))
        return;
    if (!tp->retransmit_skb_hint || before(tcb->seq, TCP_SKB_CB(tp->retransmit_skb_hint)->seq))
        tp->retransmit_skb_hint = skb;
    if (!tp->lost_out || after(tcb->end_seq, tp->retransmit_high))
        tp->retransmit_high = tcb->end_seq;
    tp->lost_out += tcp_skb_pcount(skb);
    tcb->sacked |= TCPCB_LOST;
}

/// Mark the first `packets` counted packets lost (FACK and Reno count all, SACK only those that arrived above a hole).
static void mark_head_lost(sock *sk, u32 packets, bool only_head)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 high = tcp_is_sack(tp) ? tp->snd_nxt : tp->high_seq, cnt = 0;
    sk_buff *skb = tcp_write_queue_head(sk);
    if (tp->lost_skb_hint) {
        if (only_head && tp->lost_skb_hint != skb)
            return; // the head is done
        skb = tp->lost_skb_hint;
        cnt = static_cast<u32>(tp->lost_cnt_hint);
    }
    for (; skb && skb != tp->sk_send_head; skb = skb->next) {
        tp->lost_skb_hint = skb;
        tp->lost_cnt_hint = static_cast<s32>(cnt);
        if (after(TCP_SKB_CB(skb)->end_seq, high))
            break;
        u32 old = cnt;
        bool sacked = TCP_SKB_CB(skb)->sacked & TCPCB_SACKED_ACKED;
        if (tcp_is_fack(tp) || tcp_is_reno(tp) || sacked)
            cnt += tcp_skb_pcount(skb);
        if (cnt > packets) {
            if ((tcp_is_sack(tp) && !tcp_is_fack(tp)) || sacked || old >= packets)
                break;
            u32 mss = skb_shinfo(skb)->gso_size;
            if (mss && tcp_fragment(sk, skb, (packets - old) * mss, mss))
                break;
            cnt = packets;
        }
        tcp_skb_mark_lost(tp, skb);
        if (only_head)
            break;
    }
}

static void update_scoreboard(sock *sk, bool fast_rexmit)
{
    tcp_sock *tp = tcp_sk(sk);
    if (tcp_is_reno(tp)) {
        mark_head_lost(sk, 1, true);
    } else if (tcp_is_fack(tp)) {
        s32 lost = static_cast<s32>(tp->fackets_out) - static_cast<s32>(tp->reordering);
        mark_head_lost(sk, static_cast<u32>(max(lost, 1)), false);
    } else {
        s32 upto = static_cast<s32>(tp->sacked_out) - static_cast<s32>(tp->reordering);
        if (upto >= 0)
            mark_head_lost(sk, static_cast<u32>(upto), false);
        else if (fast_rexmit)
            mark_head_lost(sk, 1, true);
    }
}

// --- Entering -----------------------------------------------------------------------------------------------------------------------------

/// Early retransmit waits a quarter of a round trip: reordering is more likely than loss. True: the timer is set.
static bool pause_early_retransmit(sock *sk, u32 flag)
{
    tcp_sock *tp = tcp_sk(sk);
    if (sysctl_tcp_early_retrans < 2 || (flag & FLAG_ECE) || !tp->srtt)
        return false;
    u32 delay = max(tp->srtt >> 5, 2u);
    if (!time_after(tp->icsk_timeout, jiffies() + delay))
        return false; // the RTO comes first
    inet_csk_reset_xmit_timer(sk, ICSK_TIME_EARLY_RETRANS, delay, TCP_RTO_MAX);
    return true;
}

static bool time_to_recover(sock *sk, u32 flag)
{
    tcp_sock *tp = tcp_sk(sk);
    if (tp->lost_out)
        return true;
    u32 dupacks = tcp_is_fack(tp) ? tp->fackets_out : tp->sacked_out + 1;
    if (dupacks > tp->reordering)
        return true;
    // So few in flight that three duplicates cannot come, and nothing new to send (RFC 3042's case).
    u32 out = tp->packets_out;
    if (out <= tp->reordering &&
        tp->sacked_out >= max(out / 2, static_cast<u32>(sysctl_tcp_reordering)) &&
        !tcp_may_send_now(sk))
        return true;
    if (tcp_early_retrans_on(tp) && !tp->retrans_out && tp->sacked_out &&
        out >= tp->sacked_out + 1 && out < 4 && !tcp_may_send_now(sk))
        return !pause_early_retransmit(sk, flag);
    return false;
}

static void enter_recovery(sock *sk, bool ece)
{
    tcp_sock *tp = tcp_sk(sk);
    NET_INC_STATS(tcp_is_reno(tp) ? LINUX_MIB_TCPRenoRecovery : LINUX_MIB_TCPSackRecovery);
    tp->prior_ssthresh = 0;
    tp->undo_marker = tp->snd_una;
    tp->undo_retrans = static_cast<s32>(tp->retrans_out);
    if (tp->icsk_ca_state < TCP_CA_CWR) {
        if (!ece)
            tp->prior_ssthresh = tcp_current_ssthresh(sk);
        init_cwnd_reduction(sk, true);
    }
    tcp_set_ca_state(sk, TCP_CA_Recovery);
}

void tcp_resume_early_retransmit(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    tcp_rearm_rto(sk);
    if (!tcp_early_retrans_on(tp)) // the path turned out to reorder
        return;
    enter_recovery(sk, false);
    update_scoreboard(sk, true);
    tcp_xmit_retransmit_queue(sk);
}

/// All marks of the write queue for a new start; everything that was not SACKed is lost.
static void mark_all_lost(sock *sk, bool forget_sacks)
{
    tcp_sock *tp = tcp_sk(sk);
    for (sk_buff *skb = tcp_write_queue_head(sk); skb && skb != tp->sk_send_head; skb = skb->next) {
        tcp_skb_cb *tcb = TCP_SKB_CB(skb);
        if (tcb->sacked & TCPCB_RETRANS)
            tp->undo_marker =
                0; // it had been sent again before: nothing will prove this one spurious
        tcb->sacked &= static_cast<u8>(~TCPCB_TAGBITS | TCPCB_SACKED_ACKED);
        if (!(tcb->sacked & TCPCB_SACKED_ACKED) || forget_sacks) {
            tcb->sacked &= static_cast<u8>(~TCPCB_SACKED_ACKED);
            tcb->sacked |= TCPCB_LOST;
            tp->lost_out += tcp_skb_pcount(skb);
            tp->retransmit_high = tcb->end_seq;
        }
    }
}

/// The retransmission timer expired (RFC 5681 §3.1 (4)); how: the peer has withdrawn its SACKs.
void tcp_enter_loss(sock *sk, bool how)
{
    tcp_sock *tp = tcp_sk(sk);
    bool new_recovery = false;
    if (tp->icsk_ca_state <= TCP_CA_Disorder || !after(tp->high_seq, tp->snd_una) ||
        (tp->icsk_ca_state == TCP_CA_Loss && !tp->icsk_retransmits)) {
        new_recovery = true;
        tp->prior_ssthresh = tcp_current_ssthresh(sk);
        tp->snd_ssthresh = tcp_ca(sk)->ssthresh(sk);
        tcp_cwnd_event(sk, CA_EVENT_LOSS);
    }
    tp->snd_cwnd = 1;
    tp->snd_cwnd_cnt = 0;
    tp->snd_cwnd_stamp = tcp_time_stamp();
    tp->retrans_out = 0;
    tp->lost_out = 0;
    tp->undo_retrans = 0;
    if (tcp_is_reno(tp))
        tp->sacked_out = 0;
    tp->undo_marker = tp->snd_una;
    if (how) {
        tp->sacked_out = 0;
        tp->fackets_out = 0;
    }
    tcp_clear_retrans_hints(tp);
    mark_all_lost(sk, how);
    tp->reordering = min(tp->reordering, static_cast<u32>(sysctl_tcp_reordering));
    tcp_set_ca_state(sk, TCP_CA_Loss);
    tp->high_seq = tp->snd_nxt;
    tcp_ecn_queue_cwr(tp);
    // F-RTO (RFC 5682 §3.1): perhaps the ACKs were only late.
    tp->frto = sysctl_tcp_frto && (new_recovery || tp->icsk_retransmits);
}

/// SACKed data is not acknowledged by an ACK that stops right before it: the peer threw it away.
static bool check_sack_reneging(sock *sk, u32 flag)
{
    if (!(flag & FLAG_SACK_RENEGING))
        return false;
    tcp_sock *tp = tcp_sk(sk);
    NET_INC_STATS(LINUX_MIB_TCPSACKReneging);
    tcp_enter_loss(sk, true);
    tp->icsk_retransmits++;
    tcp_retransmit_skb(sk, tcp_write_queue_head(sk));
    inet_csk_reset_xmit_timer(sk, ICSK_TIME_RETRANS, tp->icsk_rto, TCP_RTO_MAX);
    return true;
}

// --- The state machine ----------------------------------------------------------------------------------------------------------------------

/// An ACK in Loss. True: done with this ACK; false: the state is Open again, go on.
static bool process_loss(sock *sk, u32 flag, bool is_dupack)
{
    tcp_sock *tp = tcp_sk(sk);
    bool recovered = !before(tp->snd_una, tp->high_seq);
    if (tp->frto) {
        // Something that was never sent again got acknowledged: the timeout was spurious.
        if (flag & FLAG_ORIG_SACK_ACKED) {
            try_undo_loss(sk, true);
            return tp->icsk_ca_state != TCP_CA_Open;
        }
        if (after(tp->snd_nxt, tp->high_seq) && ((flag & FLAG_DATA_SACKED) || is_dupack)) {
            tp->frto = 0; // the loss was real
        } else if ((flag & FLAG_SND_UNA_ADVANCED) && !recovered) {
            // Try new data before more retransmissions.
            tp->high_seq = tp->snd_nxt;
            __tcp_push_pending_frames(sk, tcp_current_mss(sk), TCP_NAGLE_OFF);
            if (after(tp->snd_nxt, tp->high_seq))
                return true;
            tp->frto = 0;
        }
    }
    if (flag & FLAG_DATA_ACKED)
        tp->icsk_retransmits = 0;
    if (recovered) {
        try_undo_recovery(sk);
        return true;
    }
    if (tcp_is_reno(tp)) {
        if (after(tp->snd_nxt, tp->high_seq) && is_dupack)
            add_reno_sack(sk);
        else if (flag & FLAG_SND_UNA_ADVANCED)
            tp->sacked_out = 0;
    }
    if (try_undo_loss(sk, false))
        return tp->icsk_ca_state != TCP_CA_Open;
    tcp_xmit_retransmit_queue(sk);
    return true;
}

/// high_seq is acknowledged: states end. True: done with this ACK.
static bool end_of_state(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    if (tp->icsk_ca_state == TCP_CA_Open) {
        tp->retrans_stamp = 0;
        return false;
    }
    if (before(tp->snd_una, tp->high_seq))
        return false;
    if (tp->icsk_ca_state == TCP_CA_CWR) {
        // CWR is held until something above high_seq is acknowledged.
        if (tp->snd_una != tp->high_seq) {
            end_cwnd_reduction(sk);
            tcp_set_ca_state(sk, TCP_CA_Open);
        }
    } else if (tp->icsk_ca_state == TCP_CA_Recovery) {
        if (tcp_is_reno(tp))
            tp->sacked_out = 0;
        if (try_undo_recovery(sk))
            return true;
        end_cwnd_reduction(sk);
    }
    return false;
}

void tcp_fastretrans_alert(sock *sk, u32 acked, u32 prior_sacked, bool is_dupack, u32 flag)
{
    tcp_sock *tp = tcp_sk(sk);
    bool do_lost = is_dupack || ((flag & FLAG_DATA_SACKED) && tp->fackets_out > tp->reordering);
    bool fast_rexmit = false;
    if (!tp->packets_out)
        tp->sacked_out = 0;
    if (!tp->sacked_out)
        tp->fackets_out = 0;
    if (flag & FLAG_ECE)
        tp->prior_ssthresh = 0;
    if (check_sack_reneging(sk, flag) || end_of_state(sk))
        return;
    switch (tp->icsk_ca_state) {
    case TCP_CA_Recovery:
        if (!(flag & FLAG_SND_UNA_ADVANCED)) {
            if (tcp_is_reno(tp) && is_dupack)
                add_reno_sack(sk);
        } else {
            do_lost = try_undo_partial(sk, acked);
        }
        break;
    case TCP_CA_Loss:
        if (process_loss(sk, flag, is_dupack))
            return;
        [[fallthrough]]; // Open again: as for the others
    default:
        if (tcp_is_reno(tp)) {
            if (flag & FLAG_SND_UNA_ADVANCED)
                tp->sacked_out = 0;
            if (is_dupack)
                add_reno_sack(sk);
        }
        if (tp->icsk_ca_state <= TCP_CA_Disorder)
            try_undo_dsack(sk);
        if (!time_to_recover(sk, flag)) {
            try_to_open(sk, flag, static_cast<s32>(acked + tp->sacked_out - prior_sacked));
            return;
        }
        enter_recovery(sk, flag & FLAG_ECE);
        fast_rexmit = true;
        break;
    }
    if (do_lost)
        update_scoreboard(sk, fast_rexmit);
    cwnd_reduction(sk, static_cast<s32>(acked + tp->sacked_out - prior_sacked), fast_rexmit);
    tcp_xmit_retransmit_queue(sk);
}

/// What the ACK of a tail loss probe tells: a duplicate ACK means that the original was there; an advance without D-SACK means that
/// the probe filled a hole, so there was a loss to answer for.
void tcp_process_tlp_ack(sock *sk, u32 ack, u32 flag)
{
    tcp_sock *tp = tcp_sk(sk);
    bool dupack = ack == tp->tlp_high_seq &&
                  !(flag & (FLAG_SND_UNA_ADVANCED | FLAG_NOT_DUP | FLAG_DATA_SACKED));
    if (dupack) {
        tp->tlp_high_seq = 0;
        return;
    }
    if (!after(ack, tp->tlp_high_seq))
        return;
    tp->tlp_high_seq = 0;
    if (flag & FLAG_DSACKING_ACK)
        return;
    init_cwnd_reduction(sk, true);
    tcp_set_ca_state(sk, TCP_CA_CWR);
    end_cwnd_reduction(sk);
    try_keep_open(sk);
    NET_INC_STATS(LINUX_MIB_TCPLossProbeRecovery);
}

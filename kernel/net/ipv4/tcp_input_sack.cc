// SPDX-License-Identifier: MIT
// SACK blocks onto the write queue: the scoreboard (Linux net/ipv4/tcp_input.c tcp_sacktag_write_queue; RFC 2018, RFC 2883,
// RFC 6675). Socket lock held.
//
// Bounded work: blocks are sorted and the queue is walked once per ACK, from its head or from where SACKs ended so far, up to the end
// of the highest block.

#include "net/ipv4/tcp_engine.h"

namespace
{
struct sack_state {
    u32 reord = 0;      // lowest count of packets at which a hole was filled: measures reordering
    u32 fack_count = 0; // packets from the head to where the walk is
    u32 flag = 0;
};

tcp_sack_block get_block(const u8 *p)
{
    u32 a, b;
    memcpy(&a, p, 4);
    memcpy(&b, p + 4, 4);
    return {bswap32(a), bswap32(b)};
}

/// RFC 2883: the first block repeats what is acknowledged already, or lies within the second.
bool check_dsack(sock *sk, const sk_buff *ack_skb, const tcp_sack_block *b, unsigned n,
                 u32 prior_snd_una)
{
    tcp_sock *tp = tcp_sk(sk);
    bool dup = false;
    if (before(b[0].start_seq, TCP_SKB_CB(ack_skb)->ack_seq)) {
        dup = true;
        NET_INC_STATS(LINUX_MIB_TCPDSACKRecv);
    } else if (n > 1 && !after(b[0].end_seq, b[1].end_seq) &&
               !before(b[0].start_seq, b[1].start_seq)) {
        dup = true;
        NET_INC_STATS(LINUX_MIB_TCPDSACKOfoRecv);
    }
    if (!dup)
        return false;
    tp->rx_opt.sack_ok |= TCP_DSACK_SEEN;
    // It tells of a retransmission that is not in the queue any more.
    if (tp->undo_marker && tp->undo_retrans > 0 && !after(b[0].end_seq, prior_snd_una) &&
        after(b[0].end_seq, tp->undo_marker))
        tp->undo_retrans--;
    return true;
}

/// Whether the peer may say this at all.
bool block_valid(const tcp_sock *tp, bool is_dsack, u32 start, u32 end)
{
    if (after(end, tp->snd_nxt) || !before(start, end) || !before(start, tp->snd_nxt))
        return false;
    if (after(start, tp->snd_una))
        return true;
    if (!is_dsack || !tp->undo_marker || after(end, tp->snd_una))
        return false;
    if (!before(start, tp->undo_marker))
        return true;
    return after(end, tp->undo_marker) && !before(start, end - tp->max_window);
}

void count_invalid(const tcp_sock *tp, bool is_dsack)
{
    NET_INC_STATS(!is_dsack          ? LINUX_MIB_TCPSACKDiscard
                  : !tp->undo_marker ? LINUX_MIB_TCPDSACKIgnoredNoUndo
                                     : LINUX_MIB_TCPDSACKIgnoredOld);
}

/// First SACK of this packet: what it was before decides what that means.
void newly_sacked(tcp_sock *tp, sk_buff *skb, sack_state &st, u32 n)
{
    tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    if (tcb->sacked & TCPCB_SACKED_RETRANS) {
        // A retransmission, or the original late: counted as the former, so both marks go.
        if (tcb->sacked & TCPCB_LOST) {
            tcb->sacked &= static_cast<u8>(~(TCPCB_LOST | TCPCB_SACKED_RETRANS));
            tp->lost_out -= n;
            tp->retrans_out -= n;
        }
    } else {
        if (!(tcb->sacked & TCPCB_RETRANS)) {
            // Never sent again, and below what was SACKed: it came late on its own.
            if (before(tcb->seq, tcp_highest_sack_seq(tp)))
                st.reord = min(st.fack_count, st.reord);
            if (!after(tcb->end_seq, tp->high_seq))
                st.flag |= FLAG_ORIG_SACK_ACKED;
        }
        if (tcb->sacked & TCPCB_LOST) {
            tcb->sacked &= static_cast<u8>(~TCPCB_LOST);
            tp->lost_out -= n;
        }
    }
    tcb->sacked |= TCPCB_SACKED_ACKED;
    st.flag |= FLAG_DATA_SACKED;
    tp->sacked_out += n;
    if (!tcp_is_fack(tp) && tp->lost_skb_hint &&
        before(tcb->seq, TCP_SKB_CB(tp->lost_skb_hint)->seq))
        tp->lost_cnt_hint += static_cast<s32>(n);
    tp->fackets_out = max(tp->fackets_out, st.fack_count + n);
}

/// One packet that a block covers whole.
void sacktag_one(tcp_sock *tp, sk_buff *skb, sack_state &st, bool dup)
{
    tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    u32 n = tcp_skb_pcount(skb);
    if (dup && (tcb->sacked & TCPCB_RETRANS)) {
        if (tp->undo_marker && tp->undo_retrans > 0 && after(tcb->end_seq, tp->undo_marker))
            tp->undo_retrans--;
        if (tcb->sacked & TCPCB_SACKED_ACKED)
            st.reord = min(st.fack_count, st.reord);
    }
    if (!after(tcb->end_seq, tp->snd_una))
        return;
    if (!(tcb->sacked & TCPCB_SACKED_ACKED)) {
        newly_sacked(tp, skb, st, n);
        if (!before(tcb->seq, tcp_highest_sack_seq(tp)) || tp->sacked_out == n)
            tp->highest_sack = skb->next;
    }
    // A duplicate of a retransmission: both copies have arrived, none is in flight.
    if (dup && (tcb->sacked & TCPCB_SACKED_RETRANS)) {
        tcb->sacked &= static_cast<u8>(~TCPCB_SACKED_RETRANS);
        tp->retrans_out -= n;
    }
}

/// Cut a many-segment packet at a block's border, on segment boundaries. False: not covered, or no memory.
bool match_to_block(sock *sk, sk_buff *skb, const tcp_sack_block &b)
{
    const tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    if (!after(b.start_seq, tcb->seq) && !before(b.end_seq, tcb->end_seq))
        return true;
    if (tcp_skb_pcount(skb) <= 1 || !after(tcb->end_seq, b.start_seq))
        return false;
    u32 mss = skb_shinfo(skb)->gso_size;
    bool head_in = !after(b.start_seq, tcb->seq);
    u32 len = head_in ? b.end_seq - tcb->seq : b.start_seq - tcb->seq;
    // A part of a segment counts as not received.
    len = head_in ? len / mss * mss : (len + mss - 1) / mss * mss;
    if (!len || len >= skb->len || tcp_fragment(sk, skb, len, mss))
        return false;
    return head_in; // else the covered part is the next packet now
}

/// Walk from skb (st.fack_count packets from the head) and tag everything in the block. Returns where it stopped.
sk_buff *walk(sock *sk, sk_buff *skb, sack_state &st, const tcp_sack_block &b, bool dup)
{
    tcp_sock *tp = tcp_sk(sk);
    for (; skb && skb != tp->sk_send_head; skb = skb->next) {
        if (!before(TCP_SKB_CB(skb)->seq, b.end_seq))
            break;
        if (before(b.start_seq, TCP_SKB_CB(skb)->end_seq) && match_to_block(sk, skb, b))
            sacktag_one(tp, skb, st, dup);
        st.fack_count += tcp_skb_pcount(skb);
    }
    return skb;
}

/// Retransmissions that were overtaken: data sent after them has been SACKed, so they were lost too (needs FACK's assumption that
/// the path keeps order).
void mark_lost_retrans(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 upto = tcp_highest_sack_seq(tp), low = tp->snd_nxt, seen = 0;
    if (!tcp_is_fack(tp) || !tp->retrans_out || !after(upto, tp->lost_retrans_low) ||
        tp->icsk_ca_state != TCP_CA_Recovery)
        return;
    u32 retrans = tp->retrans_out;
    for (sk_buff *skb = tcp_write_queue_head(sk); skb && skb != tp->sk_send_head && seen < retrans;
         skb = skb->next) {
        tcp_skb_cb *tcb = TCP_SKB_CB(skb);
        if (!after(tcb->end_seq, tp->snd_una) || !(tcb->sacked & TCPCB_SACKED_RETRANS))
            continue;
        if (after(upto, tcb->ack_seq)) {
            tcb->sacked &= static_cast<u8>(~TCPCB_SACKED_RETRANS);
            tp->retrans_out -= tcp_skb_pcount(skb);
            tcb->sacked &= static_cast<u8>(~TCPCB_LOST); // marked anew, with the hint
            tp->lost_out -= min(tp->lost_out, tcp_skb_pcount(skb));
            tcp_skb_mark_lost(tp, skb);
            NET_INC_STATS(LINUX_MIB_TCPLostRetransmit);
        } else {
            if (before(tcb->ack_seq, low))
                low = tcb->ack_seq;
            seen += tcp_skb_pcount(skb);
        }
    }
    if (tp->retrans_out)
        tp->lost_retrans_low = low;
}

/// The valid blocks in *out, ascending; *first: where the ACK's first (perhaps D-SACK) one went, or -1.
unsigned collect_blocks(tcp_sock *tp, const tcp_sack_block *in, unsigned n, bool dup, u32 ack_seq,
                        u32 prior_snd_una, tcp_sack_block *out, int *first)
{
    unsigned used = 0;
    *first = -1;
    for (unsigned i = 0; i < n; i++) {
        bool d = dup && i == 0;
        if (!block_valid(tp, d, in[i].start_seq, in[i].end_seq)) {
            // Old blocks in an overtaken ACK are no offence.
            if (d || ack_seq == tp->snd_una || after(in[i].end_seq, tp->snd_una))
                count_invalid(tp, d);
            continue;
        }
        if (!after(in[i].end_seq, prior_snd_una))
            continue;
        unsigned k = used++;
        while (k && after(out[k - 1].start_seq, in[i].start_seq)) {
            out[k] = out[k - 1];
            if (*first == static_cast<int>(k - 1))
                *first = static_cast<int>(k);
            k--;
        }
        out[k] = in[i];
        if (i == 0)
            *first = static_cast<int>(k);
    }
    return used;
}
} // namespace

u32 tcp_sacktag_write_queue(sock *sk, const sk_buff *ack_skb, u32 prior_snd_una)
{
    tcp_sock *tp = tcp_sk(sk);
    const u8 *opt = reinterpret_cast<const u8 *>(tcp_hdr(ack_skb)) + TCP_SKB_CB(ack_skb)->sacked;
    unsigned n = min((opt[1] - 2u) / TCPOLEN_SACK_PERBLOCK, 4u);
    tcp_sack_block in[4], sorted[4];
    for (unsigned i = 0; i < n; i++)
        in[i] = get_block(opt + 2 + i * TCPOLEN_SACK_PERBLOCK);
    sack_state st;
    st.reord = tp->packets_out;
    if (!tp->sacked_out) {
        tp->fackets_out = 0;
        tp->highest_sack = tcp_write_queue_head(sk);
    }
    bool dup = n && check_dsack(sk, ack_skb, in, n, prior_snd_una);
    if (dup)
        st.flag |= FLAG_DSACKING_ACK;
    u32 ack_seq = TCP_SKB_CB(ack_skb)->ack_seq;
    // Ancient: its blocks say nothing.
    if (before(ack_seq, prior_snd_una - tp->max_window))
        return 0;
    if (!tp->packets_out)
        return st.flag;
    int first;
    unsigned used = collect_blocks(tp, in, n, dup, ack_seq, prior_snd_una, sorted, &first);
    sk_buff *skb = tcp_write_queue_head(sk);
    for (unsigned i = 0; i < used; i++) {
        bool d = dup && static_cast<int>(i) == first;
        if (d && i + 1 < used && !after(sorted[i].end_seq, sorted[i + 1].end_seq)) {
            // A D-SACK inside another block: the walk must come by twice.
            sack_state again = st;
            walk(sk, skb, again, sorted[i], true);
            again.fack_count = st.fack_count;
            st = again;
            continue;
        }
        skb = walk(sk, skb, st, sorted[i], d);
        // The packet where it stopped may reach into this block and the next: it is looked at again.
    }
    mark_lost_retrans(sk);
    if (st.reord < tp->fackets_out && (tp->icsk_ca_state != TCP_CA_Loss || tp->undo_marker))
        tcp_update_reordering(sk, static_cast<s32>(tp->fackets_out - st.reord), false);
    return st.flag;
}

// SPDX-License-Identifier: MIT
// Segments beyond a gap: their queue, the SACK blocks that tell of them, and what happens when memory gets short (Linux
// net/ipv4/tcp_input.c tcp_data_queue_ofo, tcp_sack_new_ofo_skb, tcp_prune_queue; RFC 2018, RFC 2883). Socket lock held.
//
// The queue is sorted and its packets do not overlap. A hostile peer cannot make it long: every packet counts with its truesize
// against sk_rcvbuf, and a new packet looks from the tail.

#include "net/ipv4/tcp_input_ofo.h"
#include "net/ipv4/tcp_ecn.h"

// --- SACK blocks of our own ------------------------------------------------------------------------------------------------------------

void tcp_dsack_set(sock *sk, u32 seq, u32 end_seq)
{
    tcp_sock *tp = tcp_sk(sk);
    if (!tcp_is_sack(tp) || !sysctl_tcp_dsack)
        return;
    NET_INC_STATS(before(seq, tp->rcv_nxt) ? LINUX_MIB_TCPDSACKOldSent : LINUX_MIB_TCPDSACKOfoSent);
    tp->rx_opt.dsack = 1;
    tp->duplicate_sack[0].start_seq = seq;
    tp->duplicate_sack[0].end_seq = end_seq;
}

static void dsack_extend(sock *sk, u32 seq, u32 end_seq)
{
    tcp_sock *tp = tcp_sk(sk);
    if (!tp->rx_opt.dsack) {
        tcp_dsack_set(sk, seq, end_seq);
        return;
    }
    tcp_sack_block &d = tp->duplicate_sack[0];
    if (!after(seq, d.end_seq) && !after(d.start_seq, end_seq)) {
        if (before(seq, d.start_seq))
            d.start_seq = seq;
        if (after(end_seq, d.end_seq))
            d.end_seq = end_seq;
    }
}

static bool sack_extend(tcp_sack_block *b, u32 seq, u32 end_seq)
{
    if (after(seq, b->end_seq) || after(b->start_seq, end_seq))
        return false;
    if (before(seq, b->start_seq))
        b->start_seq = seq;
    if (after(end_seq, b->end_seq))
        b->end_seq = end_seq;
    return true;
}

static void sack_drop(tcp_sock *tp, unsigned i)
{
    tp->rx_opt.num_sacks--;
    for (; i < tp->rx_opt.num_sacks; i++)
        tp->selective_acks[i] = tp->selective_acks[i + 1];
}

/// A segment arrived: its block comes first (RFC 2018 §4), grown by those that it touches.
static void sack_new_segment(sock *sk, u32 seq, u32 end_seq)
{
    tcp_sock *tp = tcp_sk(sk);
    if (!tcp_is_sack(tp))
        return;
    tcp_sack_block mine{seq, end_seq};
    for (unsigned i = 0; i < tp->rx_opt.num_sacks;) {
        if (sack_extend(&mine, tp->selective_acks[i].start_seq, tp->selective_acks[i].end_seq))
            sack_drop(tp, i);
        else
            i++;
    }
    unsigned n = min<unsigned>(tp->rx_opt.num_sacks, 3);
    for (unsigned i = n; i > 0; i--)
        tp->selective_acks[i] = tp->selective_acks[i - 1];
    tp->selective_acks[0] = mine;
    tp->rx_opt.num_sacks = static_cast<u8>(n + 1);
}

void tcp_sack_remove(tcp_sock *tp)
{
    if (tp->out_of_order_queue.empty()) {
        tp->rx_opt.num_sacks = 0;
        return;
    }
    for (unsigned i = 0; i < tp->rx_opt.num_sacks;) {
        if (before(tp->rcv_nxt, tp->selective_acks[i].start_seq))
            i++;
        else
            sack_drop(tp, i);
    }
}

// --- The queue ---------------------------------------------------------------------------------------------------------------------------

void tcp_ofo_queue(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 dsack_high = tp->rcv_nxt;
    while (sk_buff *skb = skb_peek(&tp->out_of_order_queue)) {
        tcp_skb_cb *tcb = TCP_SKB_CB(skb);
        if (after(tcb->seq, tp->rcv_nxt))
            break;
        if (before(tcb->seq, dsack_high)) {
            u32 dsack = dsack_high;
            if (before(dsack_high, tcb->end_seq))
                dsack_high = tcb->end_seq;
            dsack_extend(sk, tcb->seq, dsack);
        }
        __skb_dequeue(&tp->out_of_order_queue);
        if (!after(tcb->end_seq, tp->rcv_nxt)) {
            kfree_skb_reason(skb, "tcp_ofo_drop");
            continue;
        }
        tp->rcv_nxt = tcb->end_seq;
        bool fin = tcp_hdr(skb)->fin;
        __skb_queue_tail(&sk->sk_receive_queue, skb);
        tp->bytes_received += skb->len;
        if (fin) {
            tcp_fin(sk);
            return;
        }
    }
}

/// Sort skb in behind `prev` (null: at the front), and drop what it covers of the packets behind.
static void insert_ofo(sock *sk, sk_buff *prev, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    sk_buff_head *q = &tp->out_of_order_queue;
    tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    if (prev)
        tcp_insert_after(q, prev, skb);
    else
        __skb_queue_head(q, skb);
    while (sk_buff *next = skb->next) {
        tcp_skb_cb *ncb = TCP_SKB_CB(next);
        if (!after(tcb->end_seq, ncb->seq))
            break;
        if (before(tcb->end_seq, ncb->end_seq)) {
            dsack_extend(sk, ncb->seq, tcb->end_seq);
            break;
        }
        __skb_unlink(next, q);
        dsack_extend(sk, ncb->seq, ncb->end_seq);
        NET_INC_STATS(LINUX_MIB_TCPOFOMerge);
        kfree_skb_reason(next, "tcp_ofo_merge");
    }
}

void tcp_data_queue_ofo(sock *sk, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    tcp_ecn_check_ce(sk, skb);
    if (unlikely(tcp_try_rmem_schedule(sk, skb, skb->truesize))) {
        NET_INC_STATS(LINUX_MIB_TCPOFODrop);
        kfree_skb_reason(skb, "tcp_ofo_drop");
        return;
    }
    tp->pred_flags = 0; // with a gap every segment is looked at
    inet_csk_schedule_ack(sk);
    NET_INC_STATS(LINUX_MIB_TCPOFOQueue);
    u32 seq = tcb->seq, end_seq = tcb->end_seq;
    sk_buff *at = tp->out_of_order_queue.prev;
    // The usual case: it follows the last one.
    if (at && seq == TCP_SKB_CB(at)->end_seq) {
        if (tcp_try_coalesce(sk, at, skb)) {
            consume_skb(skb);
        } else {
            tcp_set_owner_r(skb, sk);
            __skb_queue_tail(&tp->out_of_order_queue, skb);
        }
        sack_new_segment(sk, seq, end_seq);
        return;
    }
    while (at && after(TCP_SKB_CB(at)->seq, seq))
        at = at->prev;
    if (at && before(seq, TCP_SKB_CB(at)->end_seq)) {
        if (!after(end_seq, TCP_SKB_CB(at)->end_seq)) { // all of it is there
            NET_INC_STATS(LINUX_MIB_TCPOFOMerge);
            tcp_dsack_set(sk, seq, end_seq);
            sack_new_segment(sk, seq, end_seq);
            kfree_skb_reason(skb, "tcp_ofo_merge");
            return;
        }
        if (after(seq, TCP_SKB_CB(at)->seq)) {
            tcp_dsack_set(sk, seq, TCP_SKB_CB(at)->end_seq);
        } else {
            at = at->prev; // same start, longer: in front of it, which then goes
        }
    }
    tcp_set_owner_r(skb, sk);
    insert_ofo(sk, at, skb);
    sack_new_segment(sk, seq, end_seq);
}

// --- Short of memory -----------------------------------------------------------------------------------------------------------------------

/// Copy the payload of [first, end) of a queue into new packets without the room that small segments waste (Linux tcp_collapse).
/// Overlaps vanish. Stops when memory runs out: then the rest stays as it was.
static void collapse_run(sock *sk, sk_buff_head *q, sk_buff *first, const sk_buff *end)
{
    while (first && first != end) {
        u32 seq = TCP_SKB_CB(first)->seq, stop = seq;
        // A run of packets without gap, SYN or FIN.
        sk_buff *last = first;
        unsigned n = 0;
        for (sk_buff *s = first; s && s != end; s = s->next) {
            if (tcp_hdr(s)->fin || tcp_hdr(s)->syn || after(TCP_SKB_CB(s)->seq, stop) ||
                TCP_SKB_CB(s)->end_seq - seq > 2 * PAGE_SIZE)
                break;
            if (after(TCP_SKB_CB(s)->end_seq, stop))
                stop = TCP_SKB_CB(s)->end_seq;
            last = s;
            n++;
        }
        sk_buff *behind = n ? last->next : first->next;
        u32 mem = 0;
        for (sk_buff *s = first; n && s != behind; s = s->next)
            mem += s->truesize;
        if (n < 2 || SKB_TRUESIZE(stop - seq) >= mem) {
            first = behind;
            continue;
        }
        sk_buff *all = alloc_skb(stop - seq + sizeof(tcphdr), GFP_ATOMIC);
        if (!all)
            return;
        // The header stays: urgent pointer arithmetic and flags look at it.
        memcpy(skb_put(all, sizeof(tcphdr)), tcp_hdr(first), sizeof(tcphdr));
        skb_reset_transport_header(all);
        skb_pull(all, sizeof(tcphdr));
        *TCP_SKB_CB(all) = *TCP_SKB_CB(first);
        TCP_SKB_CB(all)->end_seq = stop;
        u32 at = seq;
        while (first != behind) {
            sk_buff *next = first->next;
            const tcp_skb_cb *tcb = TCP_SKB_CB(first);
            if (after(tcb->end_seq, at)) {
                u32 skip = at - tcb->seq, len = tcb->end_seq - at;
                skb_copy_bits(first, skip, skb_put(all, len), len);
                at = tcb->end_seq;
            }
            __skb_unlink(first, q);
            consume_skb(first);
            NET_INC_STATS(LINUX_MIB_TCPRcvCollapsed);
            first = next;
        }
        tcp_set_owner_r(all, sk);
        if (behind)
            tcp_insert_before(q, behind, all);
        else
            __skb_queue_tail(q, all);
    }
}

bool tcp_prune_ofo_queue(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    if (tp->out_of_order_queue.empty())
        return false;
    NET_INC_STATS(LINUX_MIB_OfoPruned);
    __skb_queue_purge(&tp->out_of_order_queue);
    // The peer must not rely on what we told it (RFC 2018 §8 allows it).
    tp->rx_opt.num_sacks = 0;
    tp->rx_opt.dsack = 0;
    sk_mem_reclaim(sk);
    return true;
}

int tcp_prune_queue(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    NET_INC_STATS(LINUX_MIB_PruneCalled);
    auto over = [sk] { return sk->sk_rmem_alloc.load(std::memory_order_relaxed) > sk->sk_rcvbuf; };
    if (sk->sk_rmem_alloc.load(std::memory_order_relaxed) >= sk->sk_rcvbuf)
        tcp_clamp_window(sk);
    else if (tcp_memory_pressure.load(std::memory_order_relaxed))
        tp->rcv_ssthresh = min(tp->rcv_ssthresh, 4 * tp->advmss);
    collapse_run(sk, &tp->out_of_order_queue, skb_peek(&tp->out_of_order_queue), nullptr);
    // The reader may stand in the middle of the first packet of the receive queue: its place is by sequence number, so that is fine.
    collapse_run(sk, &sk->sk_receive_queue, skb_peek(&sk->sk_receive_queue), nullptr);
    sk_mem_reclaim(sk);
    if (!over())
        return 0;
    tcp_prune_ofo_queue(sk);
    if (!over())
        return 0;
    // What was promised cannot be kept: dropped, and the next window is zero.
    NET_INC_STATS(LINUX_MIB_RcvPruned);
    tp->pred_flags = 0;
    return -1;
}

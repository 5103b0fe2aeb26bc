// SPDX-License-Identifier: MIT
// Payload: the receive queue, what came out of order with its SACK blocks, duplicates, urgent data, FIN, and making room (Linux
// net/ipv4/tcp_input.c tcp_data_queue; RFC 9293 §3.10.7.4, RFC 2018, RFC 2883, RFC 6093). Socket lock held.

#include "net/core/sock_async.h"
#include "net/ipv4/tcp_ecn.h"
#include "net/ipv4/tcp_input_ofo.h"
#include "trace/trace.h"

/// Destructor of what is in a TCP socket's queues.
static void tcp_rfree(sk_buff *skb)
{
    sock *sk = skb->sk;
    sk->sk_rmem_alloc.fetch_sub(static_cast<int>(skb->truesize), std::memory_order_relaxed);
    sk_mem_uncharge(sk, skb->truesize);
}

void tcp_set_owner_r(sk_buff *skb, sock *sk)
{
    if (skb->destructor)
        skb_orphan(skb);
    skb->sk = sk;
    skb->destructor = tcp_rfree;
    sk->sk_rmem_alloc.fetch_add(static_cast<int>(skb->truesize), std::memory_order_relaxed);
    sk_mem_charge(sk, skb->truesize);
}

// --- In order -------------------------------------------------------------------------------------------------------------------------

bool tcp_try_coalesce(sock *sk, sk_buff *to, sk_buff *from)
{
    if (tcp_hdr(from)->fin || TCP_SKB_CB(from)->seq != TCP_SKB_CB(to)->end_seq)
        return false;
    u32 delta;
    if (!skb_try_coalesce(to, from, &delta))
        return false;
    sk->sk_rmem_alloc.fetch_add(static_cast<int>(delta), std::memory_order_relaxed);
    sk_mem_charge(sk, delta);
    NET_INC_STATS(LINUX_MIB_TCPRcvCoalesce);
    TCP_SKB_CB(to)->end_seq = TCP_SKB_CB(from)->end_seq;
    TCP_SKB_CB(to)->ack_seq = TCP_SKB_CB(from)->ack_seq;
    return true;
}

bool tcp_queue_rcv(sock *sk, sk_buff *skb, u32 hdrlen)
{
    tcp_sock *tp = tcp_sk(sk);
    skb_pull(skb, hdrlen);
    tp->bytes_received += skb->len;
    sk_buff *tail = sk->sk_receive_queue.prev;
    bool eaten = tail && tcp_try_coalesce(sk, tail, skb);
    tp->rcv_nxt = TCP_SKB_CB(skb)->end_seq;
    if (!eaten) {
        tcp_set_owner_r(skb, sk);
        __skb_queue_tail(&sk->sk_receive_queue, skb);
    }
    trace(trace_event::sock_queue_rcv, skb->trace_id, sk, sk->sk_receive_queue.qlen,
          sk->sk_rmem_alloc.load(std::memory_order_relaxed));
    return eaten;
}

/// Room for size more bytes, by pruning if need be.
int tcp_try_rmem_schedule(sock *sk, sk_buff *skb, u32 size)
{
    if (sk->sk_rmem_alloc.load(std::memory_order_relaxed) <= sk->sk_rcvbuf &&
        sk_rmem_schedule(sk, size))
        return 0;
    if (tcp_prune_queue(sk) < 0)
        return -ENOMEM;
    if (sk_rmem_schedule(sk, size))
        return 0;
    if (!tcp_prune_ofo_queue(sk))
        return -ENOMEM;
    (void)skb;
    return sk_rmem_schedule(sk, size) ? 0 : -ENOMEM;
}

// --- FIN ------------------------------------------------------------------------------------------------------------------------------

void tcp_fin(sock *sk)
{
    inet_csk_schedule_ack(sk);
    sk->sk_shutdown |= RCV_SHUTDOWN;
    sock_set_flag(sk, SOCK_DONE);
    switch (sk->sk_state) {
    case TCP_SYN_RECV:
    case TCP_ESTABLISHED:
        tcp_set_state(sk, TCP_CLOSE_WAIT);
        inet_csk(sk)->icsk_ack.pingpong = 1;
        break;
    case TCP_CLOSE_WAIT:
    case TCP_CLOSING:
    case TCP_LAST_ACK:
        break;          // again: nothing new
    case TCP_FIN_WAIT1: // both at the same time
        tcp_send_ack(sk);
        tcp_set_state(sk, TCP_CLOSING);
        break;
    case TCP_FIN_WAIT2:
        tcp_send_ack(sk);
        tcp_time_wait(sk, TCP_TIME_WAIT, 0);
        break;
    default:
        pr_err("tcp_fin: impossible, sk->sk_state=%d\n", sk->sk_state);
        break;
    }
    // Data behind a FIN is none.
    __skb_queue_purge(&tcp_sk(sk)->out_of_order_queue);
    if (tcp_is_sack(tcp_sk(sk))) {
        tcp_sk(sk)->rx_opt.dsack = 0;
        tcp_sk(sk)->rx_opt.num_sacks = 0;
    }
    sk_mem_reclaim(sk);
    if (sock_flag(sk, SOCK_DEAD))
        return;
    sk->sk_state_change(sk);
    // Nothing will come and nothing can be sent any more, or only the former.
    bool hung_up = sk->sk_shutdown == SHUTDOWN_MASK || sk->sk_state == TCP_CLOSE;
    sk_wake_async(sk, sock_wake::waitdata, hung_up ? POLL_HUP : POLL_IN);
}

// --- tcp_data_queue -------------------------------------------------------------------------------------------------------------------

/// Straight to the reader in whose context this runs. True: all of it, the rest of the work remains.
static bool copy_in_order(sock *sk, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    if (tp->ucopy.task != current() || tp->copied_seq != tp->rcv_nxt || !tp->ucopy.len ||
        TCP_SKB_CB(skb)->seq != tp->rcv_nxt || !sock_owned_by_user(sk) || tp->urg_data)
        return false;
    u32 chunk = min(skb->len, tp->ucopy.len);
    current()->state.store(TASK_RUNNING, std::memory_order_relaxed);
    local_bh_enable();
    bool whole = false;
    if (skb_copy_datagram_iter(skb, 0, *tp->ucopy.iter, chunk)) {
        tp->ucopy.len -= chunk;
        tp->copied_seq += chunk;
        whole = chunk == skb->len;
        tcp_rcv_space_adjust(sk);
    }
    local_bh_disable();
    return whole;
}

/// The next expected segment, trimmed to it, data pulled.
static void queue_in_order(sock *sk, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    bool eaten = false, copied = false;
    bool fin = tcp_hdr(skb)->fin;
    if (tp->ucopy.task)
        eaten = copied = copy_in_order(sk, skb) && !fin;
    if (!copied) {
        if (tcp_try_rmem_schedule(sk, skb, skb->truesize)) {
            kfree_skb_reason(skb, "socket_rcvbuff");
            return;
        }
        eaten = tcp_queue_rcv(sk, skb, 0);
    }
    tp->rcv_nxt = TCP_SKB_CB(skb)->end_seq;
    if (skb->len)
        tcp_event_data_recv(sk, skb);
    if (fin)
        tcp_fin(sk);
    if (!tp->out_of_order_queue.empty()) {
        tcp_ofo_queue(sk);
        // RFC 5681 §4.2: an ACK at once when a gap is filled.
        if (tp->out_of_order_queue.empty())
            tp->icsk_ack.pingpong = 0;
    }
    if (tp->rx_opt.num_sacks)
        tcp_sack_remove(tp);
    tcp_fast_path_check(sk);
    if (eaten)
        consume_skb(skb);
    if (!sock_flag(sk, SOCK_DEAD))
        sk->sk_data_ready(sk, 0);
}

void tcp_data_queue(sock *sk, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    if (tcb->seq == tcb->end_seq) {
        kfree_skb(skb);
        return;
    }
    skb_dst_drop(skb);
    skb_pull(skb, tcp_hdr(skb)->doff * 4u);
    tcp_ecn_accept_cwr(tp, skb);
    tp->rx_opt.dsack = 0;
    u32 window_end = tp->rcv_nxt + tcp_receive_window(tp);
    if (tcb->seq == tp->rcv_nxt) {
        if (tcp_receive_window(tp) == 0) { // a probe: answered with the window as it is
            tcp_enter_quickack_mode(sk);
            inet_csk_schedule_ack(sk);
            kfree_skb_reason(skb, "tcp_zerowindow");
            return;
        }
        queue_in_order(sk, skb);
        return;
    }
    if (!after(tcb->end_seq, tp->rcv_nxt)) { // a retransmission of what is there
        NET_INC_STATS(LINUX_MIB_DelayedACKLost);
        tcp_dsack_set(sk, tcb->seq, tcb->end_seq);
        tcp_enter_quickack_mode(sk);
        inet_csk_schedule_ack(sk);
        kfree_skb_reason(skb, "tcp_old_data");
        return;
    }
    if (!before(tcb->seq, window_end)) {
        tcp_enter_quickack_mode(sk);
        inet_csk_schedule_ack(sk);
        kfree_skb_reason(skb, "tcp_overwindow");
        return;
    }
    tcp_enter_quickack_mode(sk);
    if (before(tcb->seq, tp->rcv_nxt)) { // the first part is old
        tcp_dsack_set(sk, tcb->seq, tp->rcv_nxt);
        if (!tcp_receive_window(tp)) {
            inet_csk_schedule_ack(sk);
            kfree_skb_reason(skb, "tcp_zerowindow");
            return;
        }
        queue_in_order(sk, skb);
        return;
    }
    tcp_data_queue_ofo(sk, skb);
}

// --- Duplicates -------------------------------------------------------------------------------------------------------------------------

void tcp_send_dupack(sock *sk, const sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    const tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    if (tcb->end_seq != tcb->seq && before(tcb->seq, tp->rcv_nxt)) {
        NET_INC_STATS(LINUX_MIB_DelayedACKLost);
        tcp_enter_quickack_mode(sk);
        if (tcp_is_sack(tp) && sysctl_tcp_dsack) {
            u32 end = after(tcb->end_seq, tp->rcv_nxt) ? tp->rcv_nxt : tcb->end_seq;
            tcp_dsack_set(sk, tcb->seq, end);
        }
    }
    tcp_send_ack(sk);
}

// --- Urgent data (RFC 6093: one byte, and a mark) -------------------------------------------------------------------------------------------

/// A new urgent pointer.
static void check_urg(sock *sk, const sk_buff *skb, const tcphdr *th)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 ptr = ntohs(th->urg_ptr);
    if (ptr && !sysctl_tcp_stdurg)
        ptr--; // everybody points behind the byte
    ptr += TCP_SKB_CB(skb)->seq;
    if (after(tp->copied_seq, ptr) || before(ptr, tp->rcv_nxt))
        return; // old
    if (tp->urg_data && !after(ptr, tp->urg_seq))
        return;
    sk_send_sigurg(sk);
    // A second urgent byte right behind a first that was not read: the first becomes ordinary data again, unless it was the next.
    if (tp->urg_seq == tp->copied_seq && tp->urg_data && !sock_flag(sk, SOCK_URGINLINE) &&
        tp->copied_seq != tp->rcv_nxt) {
        sk_buff *first = skb_peek(&sk->sk_receive_queue);
        tp->copied_seq++;
        if (first && !before(tp->copied_seq, TCP_SKB_CB(first)->end_seq))
            tcp_eat_skb(sk, first);
    }
    tp->urg_data = TCP_URG_NOTYET;
    tp->urg_seq = ptr;
    tp->pred_flags = 0; // data has to go the slow way
}

void tcp_urg(sock *sk, sk_buff *skb, const tcphdr *th)
{
    tcp_sock *tp = tcp_sk(sk);
    if (unlikely(th->urg))
        check_urg(sk, skb, th);
    if (likely(tp->urg_data != TCP_URG_NOTYET))
        return;
    u32 at = tp->urg_seq - ntohl(th->seq) + th->doff * 4u - th->syn;
    if (at >= skb->len)
        return;
    u8 byte;
    BUG_ON(skb_copy_bits(skb, at, &byte, 1) != 0);
    tp->urg_data = TCP_URG_VALID | byte;
    if (!sock_flag(sk, SOCK_DEAD))
        sk->sk_data_ready(sk, 0);
}

// --- A reader sleeps (atlas §8): the prequeue -----------------------------------------------------------------------------------------------

bool tcp_prequeue(sock *sk, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    if (sysctl_tcp_low_latency || !tp->ucopy.task)
        return false;
    // Only data and what belongs to it: a bare ACK would wake the reader for nothing.
    if (skb->len <= tcp_hdr(skb)->doff * 4u && tp->ucopy.prequeue.empty())
        return false;
    skb_dst_drop(skb);
    __skb_queue_tail(&tp->ucopy.prequeue, skb);
    tp->ucopy.memory += static_cast<int>(skb->truesize);
    if (tp->ucopy.memory > sk->sk_rcvbuf) {
        // Too much for the reader: at once, here.
        while (sk_buff *s = __skb_dequeue(&tp->ucopy.prequeue)) {
            sk->sk_backlog_rcv(sk, s);
            NET_INC_STATS(LINUX_MIB_TCPPrequeueDropped);
        }
        tp->ucopy.memory = 0;
    } else if (tp->ucopy.prequeue.qlen == 1) {
        rcu_read_lock();
        if (socket_wq *wq = rcu_dereference(sk->sk_wq); wq_has_sleeper(wq))
            wake_up_interruptible_sync_poll(&wq->wait, POLLIN | POLLRDNORM | POLLRDBAND);
        rcu_read_unlock();
        // Should the reader be slow, the peer must not wait for its ACK.
        if (!inet_csk_ack_scheduled(sk))
            inet_csk_reset_xmit_timer(sk, ICSK_TIME_DACK, 3 * TCP_RTO_MIN / 4, TCP_RTO_MAX);
    }
    return true;
}

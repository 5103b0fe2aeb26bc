// SPDX-License-Identifier: MIT
// When new data goes out (Linux net/ipv4/tcp_output.c tcp_write_xmit and around; atlas §11.2): congestion window, peer's window,
// Nagle (RFC 1122 §4.2.3.4), bursts that wait for more (TSO deferral), small queues (TSQ), tail loss probes. Socket lock held.

#include "irq/softirq.h"
#include "lib/percpu.h"
#include "net/ipv4/tcp_engine.h"

u32 tcp_init_cwnd()
{
    return TCP_INIT_CWND;
}

// --- Queue bookkeeping -------------------------------------------------------------------------------------------------------------

u32 tcp_set_skb_tso_segs(sock *, sk_buff *skb, u32 mss_now)
{
    skb_shared_info *si = skb_shinfo(skb);
    if (skb->len <= mss_now || skb->ip_summed != CHECKSUM_PARTIAL) {
        si->gso_segs = 1;
        si->gso_size = 0;
        si->gso_type = 0;
        return 1;
    }
    si->gso_segs = static_cast<u16>((skb->len + mss_now - 1) / mss_now);
    si->gso_size = static_cast<u16>(mss_now);
    si->gso_type = SKB_GSO_TCPV4;
    return si->gso_segs;
}

u32 tcp_init_tso_segs(sock *sk, sk_buff *skb, u32 mss_now)
{
    const skb_shared_info *si = skb_shinfo(skb);
    u32 segs = si->gso_segs;
    if (!segs || (segs > 1 && si->gso_size != mss_now))
        segs = tcp_set_skb_tso_segs(sk, skb, mss_now);
    return segs;
}

void tcp_queue_skb(sock *sk, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    tp->write_seq = TCP_SKB_CB(skb)->end_seq;
    __skb_queue_tail(&sk->sk_write_queue, skb);
    if (!tp->sk_send_head) {
        tp->sk_send_head = skb;
        if (!tp->highest_sack)
            tp->highest_sack = skb;
    }
    tp->sk_wmem_queued += skb->truesize;
    sk_mem_charge(sk, skb->truesize);
}

void tcp_event_new_data_sent(sock *sk, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 before_ = tp->packets_out;
    tp->sk_send_head = skb->next;
    tp->snd_nxt = TCP_SKB_CB(skb)->end_seq;
    tp->packets_out += tcp_skb_pcount(skb);
    if (!before_ || tp->icsk_pending == ICSK_TIME_EARLY_RETRANS ||
        tp->icsk_pending == ICSK_TIME_LOSS_PROBE)
        tcp_rearm_rto(sk);
}

// --- Tests -------------------------------------------------------------------------------------------------------------------------

/// Segments of skb that the congestion window admits.
static u32 cwnd_test(const tcp_sock *tp, const sk_buff *skb)
{
    if ((TCP_SKB_CB(skb)->tcp_flags & TCPHDR_FIN) && tcp_skb_pcount(skb) == 1)
        return 1; // a FIN alone never waits for it
    u32 in_flight = tcp_packets_in_flight(tp);
    return in_flight < tp->snd_cwnd ? tp->snd_cwnd - in_flight : 0;
}

static bool snd_wnd_test(const tcp_sock *tp, const sk_buff *skb, u32 mss)
{
    u32 end = TCP_SKB_CB(skb)->end_seq;
    if (skb->len > mss)
        end = TCP_SKB_CB(skb)->seq + mss;
    return !after(end, tcp_wnd_end(tp));
}

/// A small segment is still unacknowledged (Minshall's form of Nagle's rule).
static bool small_in_flight(const tcp_sock *tp)
{
    return after(tp->snd_sml, tp->snd_una) && !after(tp->snd_sml, tp->snd_nxt);
}

/// Nagle or cork holds this small segment back.
static bool nagle_holds(const tcp_sock *tp, const sk_buff *skb, u32 mss, u8 nonagle)
{
    return skb->len < mss &&
           ((nonagle & TCP_NAGLE_CORK) || (!nonagle && tp->packets_out && small_in_flight(tp)));
}

static bool nagle_test(const tcp_sock *tp, const sk_buff *skb, u32 mss, u8 nonagle)
{
    return (nonagle & TCP_NAGLE_PUSH) || tcp_urg_mode(tp) ||
           (TCP_SKB_CB(skb)->tcp_flags & TCPHDR_FIN) || !nagle_holds(tp, skb, mss, nonagle);
}

bool tcp_may_send_now(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    sk_buff *skb = tp->sk_send_head;
    if (!skb)
        return false;
    u32 mss = tcp_current_mss(sk);
    u8 nonagle = skb->next ? TCP_NAGLE_PUSH : tp->nonagle;
    if (!tcp_init_tso_segs(sk, skb, mss))
        return false;
    return nagle_test(tp, skb, mss, nonagle) && cwnd_test(tp, skb) && snd_wnd_test(tp, skb, mss);
}

/// A burst that the windows cut short had better wait for the next ACK: a bigger one is cheaper (Linux tcp_tso_should_defer).
static bool tso_should_defer(sock *sk, sk_buff *skb, u32 mss)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 now2 = tcp_time_stamp() << 1 | 1;
    u32 in_flight = tcp_packets_in_flight(tp);
    u32 send_win = tcp_wnd_end(tp) - TCP_SKB_CB(skb)->seq;
    u32 limit = min(send_win, (tp->snd_cwnd - in_flight) * mss);
    bool send = (TCP_SKB_CB(skb)->tcp_flags & TCPHDR_FIN) || tp->icsk_ca_state != TCP_CA_Open ||
                (tp->tso_deferred && (now2 >> 1) - (tp->tso_deferred >> 1) > 1) ||
                limit >= GSO_MAX_SIZE || (skb->next && limit >= skb->len);
    if (!send) {
        u32 divisor = static_cast<u32>(sysctl_tcp_tso_win_divisor);
        if (divisor)
            send = limit >= min(tp->snd_wnd, tp->snd_cwnd * mss) / divisor;
        else
            send = limit > 3 * mss;
    }
    if (send) {
        tp->tso_deferred = 0;
        return false;
    }
    if (!tp->tso_deferred)
        tp->tso_deferred = now2;
    return true;
}

/// Bytes of skb to send in one go: whole segments inside cwnd and window.
static u32 split_point(const tcp_sock *tp, const sk_buff *skb, u32 mss, u32 quota)
{
    u32 window = tcp_wnd_end(tp) - TCP_SKB_CB(skb)->seq;
    u32 most = mss * min(quota, GSO_MAX_SIZE / mss + 1);
    if (likely(most <= window && skb->next))
        return most;
    u32 needed = min(skb->len, window);
    return most <= needed ? most : needed - needed % mss;
}

/// Was cwnd what limited us? If not, it says nothing about the path and decays (RFC 2861).
static void cwnd_validate(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 now = tcp_time_stamp();
    if (tp->packets_out >= tp->snd_cwnd) {
        tp->snd_cwnd_used = 0;
        tp->snd_cwnd_stamp = now;
        return;
    }
    if (tp->packets_out > tp->snd_cwnd_used)
        tp->snd_cwnd_used = tp->packets_out;
    if (!sysctl_tcp_slow_start_after_idle || now - tp->snd_cwnd_stamp < tp->icsk_rto)
        return;
    if (tp->icsk_ca_state == TCP_CA_Open && sk->sk_socket &&
        !(sk->sk_socket->flags.load(std::memory_order_relaxed) & SOCK_NOSPACE)) {
        u32 used = max(tp->snd_cwnd_used, tcp_init_cwnd());
        if (used < tp->snd_cwnd) {
            tp->snd_ssthresh = tcp_current_ssthresh(sk);
            tp->snd_cwnd = (tp->snd_cwnd + used) >> 1;
        }
        tp->snd_cwnd_used = 0;
    }
    tp->snd_cwnd_stamp = now;
}

// --- The loop ----------------------------------------------------------------------------------------------------------------------

/// Cut skb so that `len` bytes can go; the rest stays in the queue behind it. False: no memory.
static bool split_for_xmit(sock *sk, sk_buff *skb, u32 len, u32 mss)
{
    return skb->len <= len || tcp_fragment(sk, skb, len, mss) == 0;
}

bool tcp_write_xmit(sock *sk, u32 mss_now, u8 nonagle, int push_one, gfp flags)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 sent = 0;
    while (sk_buff *skb = tp->sk_send_head) {
        u32 segs = tcp_init_tso_segs(sk, skb, mss_now);
        u32 quota = cwnd_test(tp, skb);
        if (!quota) {
            if (push_one != 2)
                break;
            quota = 1; // a loss probe goes beyond cwnd
        }
        if (unlikely(!snd_wnd_test(tp, skb, mss_now)))
            break;
        if (segs == 1) {
            u8 rule = skb->next ? TCP_NAGLE_PUSH : nonagle;
            if (unlikely(!nagle_test(tp, skb, mss_now, rule)))
                break;
        } else if (!push_one && tso_should_defer(sk, skb, mss_now)) {
            break;
        }
        // Small queues: what waits below is enough; the completion of some of it calls again (tcp_wfree).
        if (sk->sk_wmem_alloc.load(std::memory_order_relaxed) >= sysctl_tcp_limit_output_bytes) {
            tp->tsq_flags.fetch_or(TSQ_THROTTLED);
            // Completion may have come between the test and the mark.
            smp_mb();
            if (sk->sk_wmem_alloc.load() >= sysctl_tcp_limit_output_bytes)
                break;
        }
        u32 limit = mss_now;
        if (segs > 1 && !tcp_urg_mode(tp))
            limit = split_point(tp, skb, mss_now, quota);
        if (unlikely(!split_for_xmit(sk, skb, limit, mss_now)))
            break;
        TCP_SKB_CB(skb)->when = tcp_time_stamp();
        if (unlikely(tcp_transmit_skb(sk, skb, true, flags)))
            break;
        tcp_event_new_data_sent(sk, skb);
        if (skb->len < tcp_skb_pcount(skb) * mss_now)
            tp->snd_sml = TCP_SKB_CB(skb)->end_seq;
        sent += tcp_skb_pcount(skb);
        if (push_one)
            break;
    }
    if (likely(sent)) {
        if (tcp_in_cwnd_reduction(sk))
            tp->prr_out += sent;
        if (push_one != 2)
            tcp_schedule_loss_probe(sk);
        cwnd_validate(sk);
        return false;
    }
    return push_one == 2 || (!tp->packets_out && tp->sk_send_head);
}

void __tcp_push_pending_frames(sock *sk, u32 cur_mss, u8 nonagle)
{
    if (unlikely(sk->sk_state == TCP_CLOSE))
        return;
    tcp_sock *tp = tcp_sk(sk);
    // Nothing in flight and nothing could go: only a probe can find out when the window opens.
    if (tcp_write_xmit(sk, cur_mss, nonagle, 0, GFP_ATOMIC) && !tp->packets_out &&
        !tp->icsk_pending)
        inet_csk_reset_xmit_timer(sk, ICSK_TIME_PROBE0, tp->icsk_rto, TCP_RTO_MAX);
}

void tcp_push_one(sock *sk, u32 mss_now)
{
    tcp_write_xmit(sk, mss_now, TCP_NAGLE_PUSH, 1, GFP_ATOMIC);
}

// --- Tail loss probe (draft-dukkipati-tcpm-tcp-loss-probe, RFC 8985 §7) ----------------------------------------------------------------

bool tcp_schedule_loss_probe(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    if (tp->icsk_pending == ICSK_TIME_LOSS_PROBE) { // no two in a row
        tcp_rearm_rto(sk);
        return false;
    }
    if (sysctl_tcp_early_retrans < 3 || !tp->srtt || !tp->packets_out || !tcp_is_sack(tp) ||
        tp->icsk_ca_state != TCP_CA_Open)
        return false;
    if (tp->snd_cwnd > tcp_packets_in_flight(tp) && tp->sk_send_head)
        return false;
    u32 rtt = tp->srtt >> 3, timeout = rtt << 1;
    if (tp->packets_out == 1) // the peer may be delaying its ACK
        timeout = max(timeout, rtt + (rtt >> 1) + TCP_DELACK_MAX);
    timeout = max(timeout, TCP_HZ / 100);
    u64 now = jiffies();
    if (time_after(now + timeout, tp->icsk_timeout)) {
        s64 left = static_cast<s64>(tp->icsk_timeout - now);
        if (left > 0)
            timeout = static_cast<u32>(left);
    }
    inet_csk_reset_xmit_timer(sk, ICSK_TIME_LOSS_PROBE, timeout, TCP_RTO_MAX);
    return true;
}

/// Send the last segment again, or its last part.
static int probe_tail(sock *sk, u32 mss)
{
    tcp_sock *tp = tcp_sk(sk);
    sk_buff *skb = sk->sk_write_queue.prev;
    if (!skb)
        return -1;
    u32 pcount = tcp_skb_pcount(skb);
    if (pcount > 1 && skb->len > (pcount - 1) * mss) {
        if (tcp_fragment(sk, skb, (pcount - 1) * mss, mss))
            return -1;
        skb = sk->sk_write_queue.prev;
    }
    int err = skb->len ? __tcp_retransmit_skb(sk, skb) : -1;
    if (!err)
        tp->tlp_high_seq = tp->snd_nxt; // what its ACK tells: tcp_process_tlp_ack()
    return err;
}

void tcp_send_loss_probe(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    int err = -1;
    if (tp->sk_send_head) // new data probes as well
        err = tcp_write_xmit(sk, tcp_current_mss(sk), TCP_NAGLE_OFF, 2, GFP_ATOMIC) ? -1 : 0;
    else if (!tp->tlp_high_seq)
        err = probe_tail(sk, tcp_current_mss(sk));
    inet_csk_reset_xmit_timer(sk, ICSK_TIME_RETRANS, tp->icsk_rto, TCP_RTO_MAX);
    if (!err)
        NET_INC_STATS(LINUX_MIB_TCPLossProbes);
}

// --- Small queues (TSQ): a connection has at most tcp_limit_output_bytes below TCP --------------------------------------------------------

namespace
{
/// Sockets of this CPU that wait for the tasklet; IRQs off.
struct tsq_tasklet {
    tcp_sock *head = nullptr, *tail = nullptr;
};
constinit percpu<tsq_tasklet> tsq_tasklets;

tcp_sock *tsq_pop()
{
    irq_guard off;
    tsq_tasklet &l = *tsq_tasklets;
    tcp_sock *tp = l.head;
    if (tp)
        l.head = tp->tsq_next;
    return tp;
}

void tsq_push(tcp_sock *tp)
{
    irq_guard off;
    tsq_tasklet &l = *tsq_tasklets;
    tp->tsq_next = nullptr;
    (l.head ? l.tail->tsq_next : l.head) = tp;
    l.tail = tp;
    raise_softirq_irqoff(TASKLET_SOFTIRQ);
}

/// Throttled sockets go on. slock held, not owned.
void tsq_xmit(sock *sk)
{
    constexpr u32 states = TCPF(TCP_ESTABLISHED) | TCPF(TCP_FIN_WAIT1) | TCPF(TCP_CLOSING) |
                           TCPF(TCP_CLOSE_WAIT) | TCPF(TCP_LAST_ACK);
    if (TCPF(sk->sk_state) & states)
        tcp_write_xmit(sk, tcp_current_mss(sk), tcp_sk(sk)->nonagle, 0, GFP_ATOMIC);
}

void tcp_tasklet_action()
{
    while (tcp_sock *tp = tsq_pop()) {
        bh_lock_sock(tp);
        if (!sock_owned_by_user(tp))
            tsq_xmit(tp);
        else
            tp->tsq_flags.fetch_or(TCP_TSQ_DEFERRED); // tcp_release_cb() does it
        bh_unlock_sock(tp);
        tp->tsq_flags.fetch_and(~TSQ_QUEUED);
        sk_wmem_put(tp, 1);
    }
}
} // namespace

void tcp_tasklet_init()
{
    open_softirq(TASKLET_SOFTIRQ, tcp_tasklet_action, "tasklet_action");
}

void tcp_wfree(sk_buff *skb)
{
    sock *sk = skb->sk;
    tcp_sock *tp = tcp_sk(sk);
    int len = static_cast<int>(skb->truesize);
    u32 flags = tp->tsq_flags.load(std::memory_order_relaxed);
    if (likely(!(flags & TSQ_THROTTLED)) || (flags & TSQ_QUEUED) ||
        (tp->tsq_flags.fetch_or(TSQ_QUEUED) & TSQ_QUEUED)) {
        // One unit stays until the end, so that the sock cannot go away under the callback.
        sk->sk_wmem_alloc.fetch_sub(len - 1, std::memory_order_acq_rel);
        sk_wmem_put(sk, 1);
        return;
    }
    tp->tsq_flags.fetch_and(~TSQ_THROTTLED);
    sk->sk_wmem_alloc.fetch_sub(len - 1, std::memory_order_acq_rel); // the unit is the list's now
    tsq_push(tp);
}

/// Linux keeps these in tsq_flags because a softirq or timer found the socket owned (atlas §26.4). slock held, owned.
void tcp_release_cb(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    constexpr u32 deferred = TCP_TSQ_DEFERRED | TCP_WRITE_TIMER_DEFERRED |
                             TCP_DELACK_TIMER_DEFERRED | TCP_MTU_REDUCED_DEFERRED;
    if (likely(!(tp->tsq_flags.load(std::memory_order_relaxed) & deferred)))
        return;
    u32 todo = tp->tsq_flags.fetch_and(~deferred);
    if (todo & TCP_TSQ_DEFERRED)
        tsq_xmit(sk);
    if (todo & TCP_WRITE_TIMER_DEFERRED) {
        tcp_write_timer_handler(sk);
        sock_put(sk);
    }
    if (todo & TCP_DELACK_TIMER_DEFERRED) {
        tcp_delack_timer_handler(sk);
        sock_put(sk);
    }
    if (todo & TCP_MTU_REDUCED_DEFERRED) {
        tcp_v4_mtu_reduced(sk);
        sock_put(sk);
    }
}

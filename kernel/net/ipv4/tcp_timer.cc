// SPDX-License-Identifier: MIT
// Timers of a connection (Linux net/ipv4/tcp_timer.c; atlas §18; RFC 6298 §5, RFC 1122 §4.2.3.5, §4.2.3.6). Handlers run in TIMER
// softirq with a reference on the sock that the armed timer held; a socket that a process owns gets a bit in tsq_flags and is served
// by tcp_release_cb().

#include "net/ipv4/tcp_engine.h"

void tcp_init_xmit_timers(sock *) {} // the sock's constructor set the handlers

static u64 since(u32 stamp)
{
    return tcp_time_stamp() - stamp;
}

/// The end of a connection that does not answer.
static void write_err(sock *sk)
{
    int soft = sk->sk_err_soft.load();
    sk->sk_err = soft ? soft : ETIMEDOUT;
    sk->sk_error_report(sk);
    tcp_done(sk);
    NET_INC_STATS(LINUX_MIB_TCPAbortOnTimeout);
}

/// Sockets without a process must not use up memory: when there are too many or memory is short, this one is reset (atlas §19).
/// True: it is gone.
static bool out_of_resources(sock *sk, bool do_reset)
{
    tcp_sock *tp = tcp_sk(sk);
    int shift = 0;
    // Long silent, or slow in general: counts twice.
    if (static_cast<s32>(tcp_time_stamp() - tp->lsndtime) > static_cast<s32>(2 * TCP_RTO_MAX) ||
        !do_reset)
        shift++;
    if (sk->sk_err_soft.load())
        shift++;
    bool many = tcp_orphan_count.load(std::memory_order_relaxed) << shift > sysctl_tcp_max_orphans;
    bool memory = tp->sk_wmem_queued > 2048 + 256 &&
                  tcp_memory_allocated.load(std::memory_order_relaxed) > sysctl_tcp_mem[2];
    if (!many && !memory)
        return false;
    if (printk_ratelimit())
        pr_info("%s\n", many ? "TCP: too many orphaned sockets"
                             : "TCP: out of memory -- consider tuning tcp_mem");
    // Something was sent lately, or the window is open: then a reset makes sense.
    if (static_cast<s32>(tcp_time_stamp() - tp->lsndtime) <= static_cast<s32>(TCP_TIMEWAIT_LEN) ||
        (!tp->snd_wnd && !tp->packets_out))
        do_reset = true;
    if (do_reset)
        tcp_send_active_reset(sk, GFP_ATOMIC);
    tcp_done(sk);
    NET_INC_STATS(LINUX_MIB_TCPAbortOnMemory);
    return true;
}

static int orphan_retries(sock *sk, bool alive)
{
    int retries = sysctl_tcp_orphan_retries;
    if (sk->sk_err_soft.load() && !alive) // ICMP told of an error: no hope
        retries = 0;
    if (retries == 0 && alive)
        retries = 8;
    return retries;
}

/// Whether the time that `boundary` retransmissions with back-off from RTO_MIN take is over since the first of this loss (so that
/// the limit is the same for every RTT), or `timeout` if given.
static bool retransmits_timed_out(sock *sk, unsigned boundary, u32 timeout, bool syn)
{
    const tcp_sock *tp = tcp_sk(sk);
    if (!tp->icsk_retransmits)
        return false;
    u32 rto_base = syn ? TCP_TIMEOUT_INIT : TCP_RTO_MIN;
    u32 start = tp->retrans_stamp;
    if (!start)
        start = TCP_SKB_CB(tcp_write_queue_head(sk))->when;
    if (!timeout) {
        unsigned thresh = 0; // doublings until RTO_MAX
        while (rto_base << (thresh + 1) <= TCP_RTO_MAX)
            thresh++;
        if (boundary <= thresh)
            timeout = ((2u << boundary) - 1) * rto_base;
        else
            timeout = ((2u << thresh) - 1) * rto_base + (boundary - thresh) * TCP_RTO_MAX;
    }
    return tcp_time_stamp() - start >= timeout;
}

/// True: the connection was given up.
static bool write_timeout(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    int retry_until;
    bool syn = TCPF(sk->sk_state) & (TCPF(TCP_SYN_SENT) | TCPF(TCP_SYN_RECV));
    if (syn) {
        if (tp->icsk_retransmits)
            sk_dst_reset(sk); // perhaps another route
        retry_until = tp->icsk_syn_retries ? tp->icsk_syn_retries : sysctl_tcp_syn_retries;
    } else {
        if (retransmits_timed_out(sk, static_cast<unsigned>(sysctl_tcp_retries1), 0, false))
            sk_dst_reset(sk);
        retry_until = sysctl_tcp_retries2;
        if (sock_flag(sk, SOCK_DEAD)) {
            bool alive = tp->icsk_rto < TCP_RTO_MAX;
            retry_until = orphan_retries(sk, alive);
            bool do_reset =
                alive || !retransmits_timed_out(sk, static_cast<unsigned>(retry_until), 0, false);
            if (out_of_resources(sk, do_reset))
                return true;
        }
    }
    if (!retransmits_timed_out(sk, static_cast<unsigned>(retry_until),
                               syn ? 0 : tp->icsk_user_timeout, syn))
        return false;
    write_err(sk);
    return true;
}

/// What the time-out is counted as, besides TCPTimeouts.
static void count_timeout(sock *sk)
{
    const tcp_sock *tp = tcp_sk(sk);
    if (tp->icsk_ca_state == TCP_CA_Recovery)
        NET_INC_STATS(tcp_is_sack(tp) ? LINUX_MIB_TCPSackRecoveryFail
                                      : LINUX_MIB_TCPRenoRecoveryFail);
    else if (tp->icsk_ca_state == TCP_CA_Loss)
        NET_INC_STATS(LINUX_MIB_TCPLossFailures);
    else if (tp->icsk_ca_state == TCP_CA_Disorder || tp->sacked_out)
        NET_INC_STATS(tcp_is_sack(tp) ? LINUX_MIB_TCPSackFailures : LINUX_MIB_TCPRenoFailures);
}

void tcp_retransmit_timer(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    if (!tp->packets_out)
        return;
    sk_buff *head = tcp_write_queue_head(sk);
    BUG_ON(!head);
    tp->tlp_high_seq = 0;
    bool syn = TCPF(sk->sk_state) & (TCPF(TCP_SYN_SENT) | TCPF(TCP_SYN_RECV));
    if (!tp->snd_wnd && !sock_flag(sk, SOCK_DEAD) && !syn) {
        // The peer closed its window over what we have in flight. It answers: then go on for ever, as with a window probe.
        if (since(tp->rcv_tstamp) > TCP_RTO_MAX) {
            write_err(sk);
            return;
        }
        tcp_enter_loss(sk, false);
        tcp_retransmit_skb(sk, head);
        sk_dst_reset(sk);
    } else {
        if (write_timeout(sk))
            return;
        if (tp->icsk_retransmits == 0)
            count_timeout(sk);
        tcp_enter_loss(sk, false);
        if (tcp_retransmit_skb(sk, tcp_write_queue_head(sk))) {
            // It could not even leave this host: no backoff for that.
            if (!tp->icsk_retransmits)
                tp->icsk_retransmits = 1;
            inet_csk_reset_xmit_timer(sk, ICSK_TIME_RETRANS, min(tp->icsk_rto, TCP_HZ / 2),
                                      TCP_RTO_MAX);
            return;
        }
        tp->icsk_backoff++;
        tp->icsk_retransmits++;
    }
    tp->icsk_rto = min(tp->icsk_rto << 1, TCP_RTO_MAX); // RFC 6298 §5.5
    inet_csk_reset_xmit_timer(sk, ICSK_TIME_RETRANS, tp->icsk_rto, TCP_RTO_MAX);
    if (retransmits_timed_out(sk, static_cast<unsigned>(sysctl_tcp_retries1) + 1, 0, false))
        sk_dst_reset(sk);
}

void tcp_rearm_rto(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    if (!tp->packets_out) {
        inet_csk_clear_xmit_timer(sk, ICSK_TIME_RETRANS);
        return;
    }
    u32 rto = tp->icsk_rto;
    if (tp->icsk_pending == ICSK_TIME_EARLY_RETRANS || tp->icsk_pending == ICSK_TIME_LOSS_PROBE) {
        // The timer was used for something else meanwhile: what is left of the RTO counts.
        u32 when = TCP_SKB_CB(tcp_write_queue_head(sk))->when + rto;
        s32 left = static_cast<s32>(when - tcp_time_stamp());
        if (left > 0)
            rto = static_cast<u32>(left);
    }
    inet_csk_reset_xmit_timer(sk, ICSK_TIME_RETRANS, rto, TCP_RTO_MAX);
}

// --- Zero window probes ----------------------------------------------------------------------------------------------------------------------

static void probe_timer(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    if (tp->packets_out || !tp->sk_send_head) {
        tp->icsk_probes_out = 0;
        return;
    }
    // A peer that answers, even with window zero, is alive: icsk_probes_out goes back with each ACK (RFC 1122 §4.2.2.17).
    int most = sysctl_tcp_retries2;
    if (sock_flag(sk, SOCK_DEAD)) {
        bool alive = (u64{tp->icsk_rto} << tp->icsk_backoff) < TCP_RTO_MAX;
        most = orphan_retries(sk, alive);
        if (out_of_resources(sk, alive || tp->icsk_probes_out <= most))
            return;
    }
    if (tp->icsk_probes_out > most)
        write_err(sk);
    else
        tcp_send_probe0(sk);
}

// --- Handlers --------------------------------------------------------------------------------------------------------------------------------

void tcp_write_timer_handler(sock *sk)
{
    inet_connection_sock *icsk = inet_csk(sk);
    if (sk->sk_state == TCP_CLOSE || !icsk->icsk_pending) {
        sk_mem_reclaim(sk);
        return;
    }
    if (time_after(icsk->icsk_timeout, jiffies())) { // was put off meanwhile
        sk_reset_timer(sk, &icsk->icsk_retransmit_timer, icsk->icsk_timeout);
        sk_mem_reclaim(sk);
        return;
    }
    u8 event = icsk->icsk_pending;
    switch (event) {
    case ICSK_TIME_EARLY_RETRANS:
        tcp_resume_early_retransmit(sk);
        break;
    case ICSK_TIME_LOSS_PROBE:
        tcp_send_loss_probe(sk);
        break;
    case ICSK_TIME_RETRANS:
        icsk->icsk_pending = 0;
        NET_INC_STATS(LINUX_MIB_TCPTimeouts);
        tcp_retransmit_timer(sk);
        break;
    case ICSK_TIME_PROBE0:
        icsk->icsk_pending = 0;
        probe_timer(sk);
        break;
    default:
        break;
    }
    sk_mem_reclaim(sk);
}

/// Run `handler`, or leave it to the owner, who then also has the reference. [T]
static void timer_event(sock *sk, u32 deferred, void (*handler)(sock *))
{
    bh_lock_sock(sk);
    bool keep = false;
    if (!sock_owned_by_user(sk)) {
        handler(sk);
    } else {
        if (deferred == TCP_DELACK_TIMER_DEFERRED) {
            inet_csk(sk)->icsk_ack.blocked = 1;
            NET_INC_STATS(LINUX_MIB_DelayedACKLocked);
        }
        keep = !(tcp_sk(sk)->tsq_flags.fetch_or(deferred) & deferred);
    }
    bh_unlock_sock(sk);
    if (!keep)
        sock_put(sk);
}

void tcp_write_timer(timer_list *t)
{
    timer_event(
        static_cast<tcp_sock *>(container_of(t, inet_connection_sock, icsk_retransmit_timer)),
        TCP_WRITE_TIMER_DEFERRED, tcp_write_timer_handler);
}

void tcp_delack_timer_handler(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    auto &ack = tp->icsk_ack;
    sk_mem_reclaim(sk);
    if (sk->sk_state == TCP_CLOSE || !(ack.pending & ICSK_ACK_TIMER))
        return;
    if (time_after(ack.timeout, jiffies())) {
        sk_reset_timer(sk, &tp->icsk_delack_timer, ack.timeout);
        return;
    }
    ack.pending &= static_cast<u8>(~ICSK_ACK_TIMER);
    if (!tp->ucopy.prequeue.empty()) {
        // The reader was woken but did not get to run.
        NET_ADD_STATS(LINUX_MIB_TCPSchedulerFailed, tp->ucopy.prequeue.qlen);
        while (sk_buff *skb = __skb_dequeue(&tp->ucopy.prequeue))
            sk->sk_backlog_rcv(sk, skb);
        tp->ucopy.memory = 0;
    }
    if (inet_csk_ack_scheduled(sk)) {
        if (!ack.pingpong) { // nothing to ride on: wait longer next time
            ack.ato = min(ack.ato << 1, tp->icsk_rto);
        } else { // interactive, and the application was slow: start over
            ack.pingpong = 0;
            ack.ato = TCP_ATO_MIN;
        }
        tcp_send_ack(sk);
        NET_INC_STATS(LINUX_MIB_DelayedACKs);
    }
}

void tcp_delack_timer(timer_list *t)
{
    timer_event(static_cast<tcp_sock *>(container_of(t, inet_connection_sock, icsk_delack_timer)),
                TCP_DELACK_TIMER_DEFERRED, tcp_delack_timer_handler);
}

// --- Keepalive; SYN-ACKs of a listener; FIN_WAIT2 beyond a minute ------------------------------------------------------------------------------

void tcp_set_keepalive(sock *sk, bool on)
{
    if (TCPF(sk->sk_state) & (TCPF(TCP_CLOSE) | TCPF(TCP_LISTEN)))
        return;
    if (on && !sock_flag(sk, SOCK_KEEPOPEN))
        inet_csk_reset_keepalive_timer(sk, keepalive_time_when(tcp_sk(sk)));
    else if (!on)
        inet_csk_delete_keepalive_timer(sk);
}

/// Time since anything came: data or ACK, the later.
static u32 keepalive_elapsed(const tcp_sock *tp)
{
    u32 now = tcp_time_stamp();
    return min(now - tp->icsk_ack.lrcvtime, now - tp->rcv_tstamp);
}

static void keepalive_event(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 elapsed = keepalive_time_when(tp);
    // Data is on its way: its own timers will notice.
    if (!tp->packets_out && !tp->sk_send_head) {
        elapsed = keepalive_elapsed(tp);
        if (elapsed >= keepalive_time_when(tp)) {
            u32 probes = tp->keepalive_probes ? tp->keepalive_probes
                                              : static_cast<u32>(sysctl_tcp_keepalive_probes);
            bool over = tp->icsk_user_timeout
                            ? elapsed >= tp->icsk_user_timeout && tp->icsk_probes_out > 0
                            : tp->icsk_probes_out >= probes;
            if (over) {
                tcp_send_active_reset(sk, GFP_ATOMIC);
                write_err(sk);
                return;
            }
            if (tcp_write_wakeup(sk) <= 0) {
                tp->icsk_probes_out++;
                elapsed = keepalive_intvl_when(tp);
            } else {
                elapsed = TCP_HZ / 2; // it did not leave this host
            }
        } else {
            elapsed = keepalive_time_when(tp) - elapsed;
        }
    }
    sk_mem_reclaim(sk);
    inet_csk_reset_keepalive_timer(sk, elapsed);
}

static void sk_timer_event(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    if (sk->sk_state == TCP_LISTEN) {
        inet_csk_reqsk_queue_prune(sk, TCP_SYNQ_INTERVAL, TCP_TIMEOUT_INIT, TCP_RTO_MAX);
        return;
    }
    if (sk->sk_state == TCP_FIN_WAIT2 && sock_flag(sk, SOCK_DEAD)) {
        if (tp->linger2 >= 0) {
            s32 left = static_cast<s32>(tcp_fin_time(sk)) - static_cast<s32>(TCP_TIMEWAIT_LEN);
            if (left > 0) {
                tcp_time_wait(sk, TCP_FIN_WAIT2, static_cast<u32>(left));
                return;
            }
        }
        tcp_send_active_reset(sk, GFP_ATOMIC);
        tcp_done(sk);
        return;
    }
    if (sock_flag(sk, SOCK_KEEPOPEN) && sk->sk_state != TCP_CLOSE && sk->sk_state != TCP_SYN_SENT)
        keepalive_event(sk);
}

void tcp_keepalive_timer(timer_list *t)
{
    sock *sk = static_cast<tcp_sock *>(container_of(t, inet_connection_sock, sk_timer));
    bh_lock_sock(sk);
    if (sock_owned_by_user(sk))
        inet_csk_reset_keepalive_timer(sk, TCP_HZ / 20); // try again soon
    else
        sk_timer_event(sk);
    bh_unlock_sock(sk);
    sock_put(sk);
}

// SPDX-License-Identifier: MIT
// What every connection-oriented socket does: accept, timers, children, the end (Linux net/ipv4/inet_connection_sock.c; atlas §15,
// §18; rows H-05, N-03). Ports are in inet_connection_sock_port.cc, the listener's queues in inet_connection_sock_listen.cc.
// Socket lock held unless a function says otherwise.

#include "net/ipv4/tcp.h"

// --- accept -----------------------------------------------------------------------------------------

/// Sleep exclusively, first come first served, until a connection is there. [P]
static result<void> inet_csk_wait_for_connect(sock *sk, s64 timeo)
{
    wait_queue wait;
    errno_t err{};
    for (;;) {
        prepare_to_wait_exclusive(sk_sleep(sk), &wait, TASK_INTERRUPTIBLE);
        release_sock(sk);
        // The queue may have been filled by the backlog just now.
        if (!read_once(inet_csk(sk)->icsk_accept_queue.rskq_accept_head))
            timeo = schedule_timeout(timeo);
        lock_sock(sk);
        err = errno_t{};
        if (!reqsk_queue_empty(&inet_csk(sk)->icsk_accept_queue))
            break;
        err = EINVAL;
        if (sk->sk_state != TCP_LISTEN)
            break;
        err = sock_intr_errno(timeo);
        if (signal_pending())
            break;
        err = EAGAIN;
        if (!timeo)
            break;
    }
    finish_wait(sk_sleep(sk), &wait);
    return err ? result<void>{error{err}} : result<void>{};
}

static result<sock *> accept_locked(sock *sk, u32 file_flags)
{
    inet_connection_sock *icsk = inet_csk(sk);
    if (sk->sk_state != TCP_LISTEN)
        return error{EINVAL};
    if (reqsk_queue_empty(&icsk->icsk_accept_queue)) {
        s64 timeo = sock_rcvtimeo(sk, file_flags & O_NONBLOCK);
        if (!timeo)
            return error{EAGAIN};
        TRY_VOID(inet_csk_wait_for_connect(sk, timeo));
    }
    request_sock *req = reqsk_queue_remove(&icsk->icsk_accept_queue);
    sock *child = req->sk;
    icsk->sk_ack_backlog--;
    BUG_ON(!child);
    trace(trace_event::inet_csk_accept, sk, child, icsk->sk_ack_backlog);
    reqsk_free(req);
    return child;
}

result<sock *> inet_csk_accept(sock *sk, u32 file_flags)
{
    lock_sock(sk);
    auto r = accept_locked(sk, file_flags);
    release_sock(sk);
    return r;
}

// --- Timers -----------------------------------------------------------------------------------------

void inet_csk_clear_xmit_timers(sock *sk)
{
    inet_connection_sock *icsk = inet_csk(sk);
    icsk->icsk_pending = icsk->icsk_ack.pending = icsk->icsk_ack.blocked = 0;
    sk_stop_timer(sk, &icsk->icsk_retransmit_timer);
    sk_stop_timer(sk, &icsk->icsk_delack_timer);
    sk_stop_timer(sk, &icsk->sk_timer);
}

void inet_csk_clear_xmit_timer(sock *sk, u8 what)
{
    // The timers themselves run on: without a pending event they do nothing, and most are armed again at once.
    inet_connection_sock *icsk = inet_csk(sk);
    if (what == ICSK_TIME_DACK)
        icsk->icsk_ack.blocked = icsk->icsk_ack.pending = 0;
    else
        icsk->icsk_pending = 0;
}

/// Arm a timer whose handler compares the time with the event's own. One that is armed for an earlier time stays as it is: its handler
/// will find the event put off and wait again, which is seldom, while events are put off with every ACK.
static void arm_xmit_timer(sock *sk, timer_list *t, u64 at)
{
    if (!t->pending() || time_after(read_once(t->expires), at))
        sk_reset_timer(sk, t, at);
}

void inet_csk_reset_xmit_timer(sock *sk, u8 what, u32 when, u32 max_when)
{
    inet_connection_sock *icsk = inet_csk(sk);
    u64 at = jiffies() + min(when, max_when);
    if (what == ICSK_TIME_DACK) {
        icsk->icsk_ack.pending |= ICSK_ACK_TIMER;
        icsk->icsk_ack.timeout = at;
        arm_xmit_timer(sk, &icsk->icsk_delack_timer, at);
        return;
    }
    icsk->icsk_pending = what;
    icsk->icsk_timeout = at;
    arm_xmit_timer(sk, &icsk->icsk_retransmit_timer, at);
}

void inet_csk_reset_keepalive_timer(sock *sk, u32 len)
{
    sk_reset_timer(sk, &inet_csk(sk)->sk_timer, jiffies() + len);
}

void inet_csk_delete_keepalive_timer(sock *sk)
{
    sk_stop_timer(sk, &inet_csk(sk)->sk_timer);
}

// --- Children and the end ---------------------------------------------------------------------------

/// What a child has from its listener beyond SOL_SOCKET, and from the request.
static void inet_csk_copy(inet_connection_sock *child, const inet_connection_sock *from,
                          const inet_request_sock *req)
{
    child->uc_ttl = from->uc_ttl;
    child->tos = from->tos;
    child->pmtudisc = from->pmtudisc;
    child->recverr = from->recverr;
    child->is_icsk = from->is_icsk;
    child->freebind = from->freebind;
    child->mc_ttl = from->mc_ttl;
    child->mc_loop = from->mc_loop;
    child->mc_all = from->mc_all;
    child->mc_index = from->mc_index;
    child->mc_addr = from->mc_addr;
    child->min_ttl = from->min_ttl;
    child->cmsg_flags = from->cmsg_flags;
    child->inet_dport = req->rmt_port;
    child->inet_num = ntohs(req->loc_port);
    child->inet_sport = req->loc_port;
    child->sk_mark = req->mark;
    child->icsk_ca_ops = from->icsk_ca_ops;
    child->icsk_syn_retries = from->icsk_syn_retries;
    child->icsk_user_timeout = from->icsk_user_timeout;
}

sock *inet_csk_clone_lock(sock *sk, const inet_request_sock *req)
{
    sock *child = sk_clone_lock(sk, GFP_ATOMIC);
    if (!child)
        return nullptr;
    child->sk_state = TCP_SYN_RECV;
    child->sk_write_space = sk_stream_write_space;
    inet_csk_copy(inet_csk(child), inet_csk(sk), req);
    return child;
}

rtable *inet_csk_route_req(sock *sk, inet_request_sock *req)
{
    flowi4 fl;
    fl.daddr = req->opt && req->opt->srr ? req->opt->faddr : req->rmt_addr;
    fl.saddr = req->loc_addr;
    fl.oif = sk->sk_bound_dev_if;
    fl.tos = inet_sk(sk)->tos;
    fl.proto = sk->sk_protocol;
    fl.sport = inet_sk(sk)->inet_sport;
    fl.dport = req->rmt_port;
    auto r = ip_route_output_key(&fl);
    if (r && !(req->opt && req->opt->is_strictroute && (*r)->rt_gateway))
        return *r;
    if (r)
        dst_release(*r);
    IP_INC_STATS(IPSTATS_MIB_OutNoRoutes);
    return nullptr;
}

void inet_csk_destroy_sock(sock *sk)
{
    BUG_ON(sk->sk_state != TCP_CLOSE || !sock_flag(sk, SOCK_DEAD));
    BUG_ON(inet_sk(sk)->inet_num && !inet_csk(sk)->icsk_bind_hash);
    sk->sk_prot->destroy(sk);
    sk_stream_kill_queues(sk);
    tcp_orphan_count.fetch_sub(1, std::memory_order_relaxed);
    sock_put(sk);
}

void inet_csk_prepare_forced_close(sock *sk)
{
    bh_unlock_sock(sk);
    sock_put(sk);
    sock_set_flag(sk, SOCK_DEAD);
    tcp_orphan_count.fetch_add(1, std::memory_order_relaxed);
    if (!inet_csk(sk)->icsk_bind_hash)
        inet_sk(sk)->inet_num = 0;
}

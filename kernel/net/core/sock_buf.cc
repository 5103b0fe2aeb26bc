// SPDX-License-Identifier: MIT
// What a socket's packets cost it: receive and send buffer accounting by truesize (Linux net/core/sock.c; row U-06).

#include "net/core/sock.h"

int sysctl_rmem_default = 212992, sysctl_wmem_default = 212992, sysctl_rmem_max = 212992,
    sysctl_wmem_max = 212992;
int sysctl_somaxconn = 128;
int sysctl_optmem_max = 20480;

void sock_rfree(sk_buff *skb)
{
    skb->sk->sk_rmem_alloc.fetch_sub(static_cast<int>(skb->truesize), std::memory_order_release);
}

void sock_edemux(sk_buff *skb)
{
    sock_put(skb->sk);
}

void skb_set_owner_r(sk_buff *skb, sock *sk)
{
    if (skb->destructor)
        skb_orphan(skb);
    skb->sk = sk;
    skb->destructor = sock_rfree;
    sk->sk_rmem_alloc.fetch_add(static_cast<int>(skb->truesize), std::memory_order_relaxed);
}

void skb_set_owner_w(sk_buff *skb, sock *sk)
{
    if (skb->destructor)
        skb_orphan(skb);
    skb->sk = sk;
    skb->destructor = sock_wfree;
    sk->sk_wmem_alloc.fetch_add(static_cast<int>(skb->truesize), std::memory_order_relaxed);
}

result<void> sock_queue_rcv_skb(sock *sk, sk_buff *skb)
{
    if (sk->sk_rmem_alloc.load(std::memory_order_relaxed) >= sk->sk_rcvbuf) [[unlikely]] {
        sk->sk_drops.fetch_add(1, std::memory_order_relaxed);
        return error{ENOMEM};
    }
    if (rcu_dereference(sk->sk_filter)) [[unlikely]]
        if (int err = sk_filter(sk, skb, sk->sk_prot->filter_keeps))
            return error{static_cast<errno_t>(-err)};
    skb->dev = nullptr; // may go away while the packet waits
    skb_set_owner_r(skb, sk);
    if (sock_flag(sk, SOCK_RCVTSTAMP) && !skb->tstamp)
        skb->tstamp = ktime_get_real();
    int len = static_cast<int>(skb->len);
    u32 id = skb->trace_id;
    u32 qlen;
    {
        spin_guard<irqsave> g{sk->sk_receive_queue.lock};
        // SO_RXQ_OVFL reports how many were lost before this one. `mark` has no use any more here (Linux's union dropcount).
        skb->mark = static_cast<u32>(sk->sk_drops.load(std::memory_order_relaxed));
        __skb_queue_tail(&sk->sk_receive_queue, skb);
        qlen = sk->sk_receive_queue.qlen;
    }
    // The packet is the reader's from here on.
    trace(trace_event::sock_queue_rcv, id, sk, qlen,
          sk->sk_rmem_alloc.load(std::memory_order_relaxed));
    if (!sock_flag(sk, SOCK_DEAD))
        sk->sk_data_ready(sk, len);
    return {};
}

result<void> sock_queue_err_skb(sock *sk, sk_buff *skb)
{
    int after = sk->sk_rmem_alloc.load() + static_cast<int>(skb->truesize);
    if (after >= sk->sk_rcvbuf)
        return error{ENOMEM};
    skb->dev = nullptr;
    skb_dst_drop(skb);
    skb_set_owner_r(skb, sk);
    int len = static_cast<int>(skb->len);
    skb_queue_tail(&sk->sk_error_queue, skb);
    if (!sock_flag(sk, SOCK_DEAD))
        sk->sk_data_ready(sk, len);
    return {};
}

/// Sleep until half the send buffer is free, the time is over, or something else needs attention. [P]
static s64 sock_wait_for_wmem(sock *sk, s64 timeo)
{
    wait_queue wait;
    while (timeo && !signal_pending()) {
        if (sk->sk_socket)
            sk->sk_socket->flags.fetch_or(SOCK_NOSPACE);
        prepare_to_wait(sk_sleep(sk), &wait, TASK_INTERRUPTIBLE);
        if (sk->sk_wmem_alloc.load() < sk->sk_sndbuf || (sk->sk_shutdown & SEND_SHUTDOWN) ||
            sk->sk_err.load())
            break;
        timeo = schedule_timeout(timeo);
    }
    finish_wait(sk_sleep(sk), &wait);
    return timeo;
}

result<sk_buff *> sock_alloc_send_skb(sock *sk, u32 size, bool noblock)
{
    s64 timeo = sock_sndtimeo(sk, noblock);
    for (;;) {
        if (int err = sock_error(sk)) [[unlikely]]
            return error{static_cast<errno_t>(err)};
        if (sk->sk_shutdown & SEND_SHUTDOWN) [[unlikely]]
            return error{EPIPE};
        if (sk->sk_wmem_alloc.load(std::memory_order_relaxed) < sk->sk_sndbuf) [[likely]]
            break;
        if (sk->sk_socket)
            sk->sk_socket->flags.fetch_or(SOCK_ASYNC_NOSPACE | SOCK_NOSPACE);
        if (!timeo)
            return error{EAGAIN};
        if (signal_pending())
            return error{sock_intr_errno(timeo)};
        timeo = sock_wait_for_wmem(sk, timeo);
    }
    sk_buff *skb = alloc_skb(size, GFP_KERNEL);
    if (!skb)
        return error{ENOBUFS};
    skb_set_owner_w(skb, sk);
    return skb;
}

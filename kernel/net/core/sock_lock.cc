// SPDX-License-Identifier: MIT
// The socket lock (Linux net/core/sock.c lock_sock_nested, release_sock; atlas §9, §26.3; rows U-04, U-05). `slock` is a
// spinlock that protects `owned` and the backlog; `owned` is the lock proper of a process, which may sleep with it. Softirqs take
// slock only, and park what they bring for an owner in the backlog; the owner works it off in release_sock.

#include "net/core/sock.h"

/// Wait, first come first served, until nobody owns the lock. slock held with BH off, before and after. [P]
static void __lock_sock(sock *sk) NO_THREAD_SAFETY_ANALYSIS
{
    wait_queue wait;
    socket_lock_t &l = sk->sk_lock;
    for (;;) {
        prepare_to_wait_exclusive(&l.wq, &wait, TASK_UNINTERRUPTIBLE);
        l.slock.unlock();
        local_bh_enable();
        schedule();
        local_bh_disable();
        l.slock.lock();
        if (!l.owned)
            break;
    }
    finish_wait(&l.wq, &wait);
}

void lock_sock(sock *sk)
{
    might_sleep();
    local_bh_disable();
    sk->sk_lock.slock.lock();
    if (sk->sk_lock.owned) [[unlikely]]
        __lock_sock(sk);
    sk->sk_lock.owned = 1;
    sk->sk_lock.owner = current();
    sk->sk_lock.slock.unlock();
    local_bh_enable();
}

/// Process what arrived meanwhile, in its order, with BH off but slock free; more may arrive at the tail. slock held.
static void __release_sock(sock *sk) NO_THREAD_SAFETY_ANALYSIS
{
    auto &b = sk->sk_backlog;
    while (sk_buff *skb = b.head) {
        b.head = b.tail = nullptr;
        b.qlen = 0;
        sk->sk_lock.slock.unlock();
        while (skb) {
            sk_buff *next = skb->next;
            skb->next = nullptr;
            trace(trace_event::sk_backlog_rcv, skb->trace_id, sk);
            sk->sk_backlog_rcv(sk, skb);
            if (need_resched()) { // Linux cond_resched_softirq(): let BHs and others run between two packets
                local_bh_enable();
                cond_resched();
                local_bh_disable();
            }
            skb = next;
        }
        sk->sk_lock.slock.lock();
    }
    // Only now: while the backlog was worked off it counted against the limit, so a flood cannot keep the owner here for ever.
    b.len = 0;
}

void release_sock(sock *sk)
{
    local_bh_disable();
    sk->sk_lock.slock.lock();
    if (sk->sk_backlog.tail) [[unlikely]]
        __release_sock(sk);
    if (sk->sk_prot->release_cb)
        sk->sk_prot->release_cb(sk);
    sk->sk_lock.owned = 0;
    sk->sk_lock.owner = nullptr;
    if (sk->sk_lock.wq.active())
        wake_up(&sk->sk_lock.wq);
    sk->sk_lock.slock.unlock();
    local_bh_enable();
}

bool lock_sock_fast(sock *sk) NO_THREAD_SAFETY_ANALYSIS
{
    might_sleep();
    local_bh_disable();
    sk->sk_lock.slock.lock();
    if (!sk->sk_lock.owned) [[likely]]
        return false; // keeps the spinlock and BH off until unlock_sock_fast
    __lock_sock(sk);
    sk->sk_lock.owned = 1;
    sk->sk_lock.owner = current();
    sk->sk_lock.slock.unlock();
    local_bh_enable();
    return true;
}

void unlock_sock_fast(sock *sk, bool slow) NO_THREAD_SAFETY_ANALYSIS
{
    if (slow) {
        release_sock(sk);
        return;
    }
    sk->sk_lock.slock.unlock();
    local_bh_enable();
}

bool sk_add_backlog(sock *sk, sk_buff *skb, unsigned limit)
{
    if (sk_rcvqueues_full(sk, limit))
        return false;
    skb_dst_force(skb);
    auto &b = sk->sk_backlog;
    skb->next = nullptr;
    if (b.tail)
        b.tail->next = skb;
    else
        b.head = skb;
    b.tail = skb;
    b.len += static_cast<int>(skb->truesize);
    b.qlen++;
    trace(trace_event::sk_add_backlog, skb->trace_id, sk, b.len);
    return true;
}

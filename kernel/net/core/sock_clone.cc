// SPDX-License-Identifier: MIT
// Children of a listening sock, and timers that hold a reference on their sock. Linux: net/core/sock.c sk_clone_lock,
// sk_reset_timer.

#include "net/core/sock.h"

void sk_reset_timer(sock *sk, timer_list *t, u64 expires)
{
    if (!mod_timer(t, expires))
        sock_hold(sk);
}

void sk_stop_timer(sock *sk, timer_list *t)
{
    if (del_timer(t))
        BUG_ON(sk->sk_refcnt.put()); // the caller has one of its own
}

/// Flags that describe what became of the parent, not how it is set up.
constexpr u32 SOCK_FLAGS_NOT_INHERITED = SOCK_DONE | SOCK_DEAD | SOCK_DESTROY;

static void sk_copy_options(const sock *from, sock *to)
{
    to->sk_state = from->sk_state;
    to->sk_reuse = from->sk_reuse;
    to->sk_reuseport = from->sk_reuseport;
    to->sk_protocol = from->sk_protocol;
    to->sk_no_check = from->sk_no_check;
    to->sk_type = from->sk_type;
    to->sk_bound_dev_if = from->sk_bound_dev_if;
    to->sk_flags.store(from->sk_flags.load() & ~SOCK_FLAGS_NOT_INHERITED);
    to->sk_userlocks = from->sk_userlocks & static_cast<u8>(~SOCK_BINDPORT_LOCK);
    to->sk_rcvbuf = from->sk_rcvbuf;
    to->sk_sndbuf = from->sk_sndbuf;
    to->sk_rcvlowat = from->sk_rcvlowat;
    to->sk_rcvtimeo = from->sk_rcvtimeo;
    to->sk_sndtimeo = from->sk_sndtimeo;
    to->sk_lingertime = from->sk_lingertime;
    to->sk_stamp = from->sk_stamp;
    to->sk_uid = from->sk_uid;
    to->sk_pid = from->sk_pid;
    to->sk_mark = from->sk_mark;
    to->sk_user_data = nullptr;
}

sock *sk_clone_lock(const sock *sk, gfp flags) NO_THREAD_SAFETY_ANALYSIS
{
    sock *child = sk_alloc(sk->sk_family, flags, sk->sk_prot);
    if (!child)
        return nullptr;
    sk_copy_options(sk, child);
    child->sk_state_change = sk->sk_state_change;
    child->sk_data_ready = sk->sk_data_ready;
    child->sk_write_space = sk->sk_write_space;
    child->sk_error_report = sk->sk_error_report;
    child->sk_backlog_rcv = sk->sk_backlog_rcv;
    child->sk_destruct = sk->sk_destruct;
    sock_hold(child);
    sk_all_add(child);
    // Nobody else knows it: this never waits, and the checker sees no nesting of two socks.
    BUG_ON(!child->sk_lock.slock.try_lock());
    return child;
}

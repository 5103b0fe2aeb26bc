// SPDX-License-Identifier: MIT
// Datagrams of AF_UNIX, and packets of SOCK_SEQPACKET. Linux: net/unix/af_unix.c. Process context.

#include "net/unix/af_unix.h"

void unix_dgram_disconnected(sock *sk, sock *other)
{
    if (sk->sk_receive_queue.empty())
        return;
    skb_queue_purge(&sk->sk_receive_queue);
    wake_up_interruptible_all(&unix_sk(sk)->peer_wait);
    unix_wake_senders(sk);
    bool tell;
    {
        spin_guard<bh> g{unix_lock};
        tell = !sock_flag(other, SOCK_DEAD) && unix_sk(other)->peer == sk;
        if (tell)
            other->sk_err.store(ECONNRESET);
    }
    if (tell)
        other->sk_error_report(other);
}

// --- Connect -------------------------------------------------------------------------------------------------------------------

/// The name's socket with a reference, if `sk` may send there.
static result<sock *> find_receiver(sock *sk, sockaddr_storage *a, int len)
{
    u32 hash;
    len = TRY(unix_mkname(a, len, &hash));
    if (sock_flag(sk, SOCK_PASSCRED_F))
        TRY_VOID(unix_autobind(sk));
    for (;;) {
        sock *other = TRY(unix_find_other(a, len, sk->sk_type, hash));
        bool dead, allowed;
        {
            spin_guard<bh> g{unix_lock};
            dead = sock_flag(other, SOCK_DEAD);
            allowed = unix_may_send(sk, other);
        }
        if (!dead && allowed)
            return other;
        sock_put(other);
        if (!dead)
            return error{EPERM};
        cond_resched();
    }
}

result<void> unix_dgram_connect(socket *s, sockaddr_storage *a, int len, u32)
{
    sock *sk = s->sk, *other = nullptr;
    if (len < static_cast<int>(sizeof a->ss_family))
        return error{EINVAL};
    if (a->ss_family != AF_UNSPEC)
        other = TRY(find_receiver(sk, a, len));
    sock *old;
    {
        spin_guard<bh> g{unix_lock};
        old = unix_sk(sk)->peer;
        unix_sk(sk)->peer = other;
        unix_stop_watching(sk);
    }
    if (!old)
        return {};
    if (other != old)
        unix_dgram_disconnected(sk, old);
    sock_put(old);
    return {};
}

// --- Send ----------------------------------------------------------------------------------------------------------------------

enum class delivery { done, dead, full };

/// Queue a message at `other`; EPERM, EPIPE.
static result<delivery> dgram_deliver(sock *sk, sock *other, sk_buff *skb)
{
    auto len = static_cast<int>(skb->len);
    {
        spin_guard<bh> g{unix_lock};
        if (!unix_may_send(sk, other))
            return error{EPERM};
        if (sock_flag(other, SOCK_DEAD))
            return delivery::dead;
        if (other->sk_shutdown & RCV_SHUTDOWN)
            return error{EPIPE};
        if (unix_sk(other)->peer != sk && unix_recvq_full(other))
            return delivery::full;
        if (sock_flag(other, SOCK_RCVTSTAMP))
            skb->tstamp = ktime_get_real();
        unix_maybe_add_creds(skb, sk, other);
        skb_queue_tail(&other->sk_receive_queue, skb);
    }
    other->sk_data_ready(other, len);
    return delivery::done;
}

/// The receiver has been closed: forget it if it was our peer. True: it was.
static bool forget_dead_peer(sock *sk, sock *other)
{
    {
        spin_guard<bh> g{unix_lock};
        if (unix_sk(sk)->peer != other)
            return false;
        unix_sk(sk)->peer = nullptr;
        unix_stop_watching(sk);
    }
    unix_dgram_disconnected(sk, other);
    sock_put(other);
    return true;
}

/// Where one message goes.
struct destination {
    sockaddr_storage *name; // null: the peer
    int len;
    u32 hash;
};

/// Find the receiver and deliver, waiting while it is full.
static result<void> dgram_send(sock *sk, const destination &d, sk_buff *skb, s64 timeo)
{
    for (;;) {
        sock *other =
            d.name ? TRY(unix_find_other(d.name, d.len, sk->sk_type, d.hash)) : unix_peer_get(sk);
        if (!other)
            return error{ECONNRESET};
        if (sk_filter(other, skb, 0)) {
            sock_put(other);
            kfree_skb(skb); // as good as sent
            return {};
        }
        auto r = dgram_deliver(sk, other, skb);
        errno_t why = static_cast<errno_t>(r.err());
        if (r && *r == delivery::dead && forget_dead_peer(sk, other))
            why = ECONNREFUSED;
        if (r && *r == delivery::full)
            why = unix_wait_for_peer(other, &timeo);
        sock_put(other);
        if (why)
            return error{why};
        if (*r == delivery::done)
            return {};
        cond_resched();
    }
}

result<size_t> unix_dgram_sendmsg(socket *s, msghdr *m, size_t len)
{
    sock *sk = s->sk;
    unix_gc_if_needed();
    scm_cookie scm;
    TRY_VOID(scm_send(s, m, &scm));
    if (m->msg_flags & MSG_OOB)
        return error{EOPNOTSUPP};
    destination d{nullptr, 0, 0};
    if (m->msg_namelen) {
        d.name = m->msg_name;
        d.len = TRY(unix_mkname(m->msg_name, m->msg_namelen, &d.hash));
    } else if (!read_once(unix_sk(sk)->peer)) {
        return error{ENOTCONN};
    }
    if (sock_flag(sk, SOCK_PASSCRED_F))
        TRY_VOID(unix_autobind(sk));
    if (static_cast<s64>(len) > sk->sk_sndbuf - 32)
        return error{EMSGSIZE};
    bool noblock = m->msg_flags & MSG_DONTWAIT;
    skb_ptr skb{TRY(sock_alloc_send_skb(sk, static_cast<u32>(len), noblock))};
    unix_scm_to_skb(&scm, skb.get());
    if (len)
        TRY_VOID(m->msg_iter->copy_from(skb_put(skb.get(), static_cast<u32>(len)), len));
    TRY_VOID(dgram_send(sk, d, skb.get(), sock_sndtimeo(sk, noblock)));
    skb.release();
    return len;
}

// --- Receive -------------------------------------------------------------------------------------------------------------------

result<size_t> unix_dgram_recvmsg(socket *s, msghdr *m, size_t len, u32 flags)
{
    sock *sk = s->sk;
    if (flags & MSG_OOB)
        return error{EOPNOTSUPP};
    m->msg_namelen = 0;
    bool peeked;
    auto got = skb_recv_datagram(sk, flags, flags & MSG_DONTWAIT, &peeked);
    if (!got) {
        // The end of a connection shows to those who do not wait, too.
        if (got.err() == EAGAIN && sk->sk_type == SOCK_SEQPACKET &&
            (sk->sk_shutdown & RCV_SHUTDOWN))
            return size_t{0};
        return got.fail();
    }
    sk_buff *skb = *got;
    if (!skb)
        return size_t{0};
    unix_wake_senders(sk);
    unix_copy_addr(m, skb->sk);
    u32 size = skb->len, n = static_cast<u32>(min<size_t>(len, size));
    if (n < size)
        m->msg_flags |= MSG_TRUNC;
    auto r = skb_copy_datagram_iter(skb, 0, *m->msg_iter, n);
    if (r) {
        scm_cookie scm;
        sock_recv_ts_and_drops(m, sk, skb);
        scm.creds = UNIXCB(skb).creds;
        unix_scm_from_skb(skb, &scm, flags & MSG_PEEK);
        scm_recv(s, m, &scm, flags | m->msg_flags);
    }
    consume_skb(skb);
    if (!r)
        return r.fail();
    return flags & MSG_TRUNC ? size_t{size} : size_t{n};
}

// --- Poll ----------------------------------------------------------------------------------------------------------------------

/// Whether the peer's queue has no room; then its next read wakes those who poll us.
static bool watch_full_peer(unix_sock *u)
{
    sock *other = read_once(u->peer);
    if (!other)
        return false;
    spin_guard<bh> g{unix_lock};
    other = u->peer;
    if (!other || unix_sk(other)->peer == u || sock_flag(other, SOCK_DEAD))
        return false;
    if (!u->watch_node.linked())
        unix_sk(other)->watchers.push_back(*u);
    smp_mb(); // on the list before the look: the reader's wake-up is not missed
    return unix_recvq_full(other);
}

u32 unix_dgram_poll(file *f, socket *s, poll_table *pt)
{
    sock *sk = s->sk;
    poll_wait(f, sk_sleep(sk), pt);
    u32 mask = sk->sk_err.load() || !sk->sk_error_queue.empty() ? POLLERR : 0;
    if (sk->sk_shutdown & RCV_SHUTDOWN)
        mask |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (sk->sk_shutdown == SHUTDOWN_MASK)
        mask |= POLLHUP;
    if (!sk->sk_receive_queue.empty())
        mask |= POLLIN | POLLRDNORM;
    if (sk->sk_type == SOCK_SEQPACKET && sk->sk_state == TCPF_CLOSE)
        mask |= POLLHUP;
    if (unix_writable(sk) && !watch_full_peer(unix_sk(sk)))
        mask |= POLLOUT | POLLWRNORM | POLLWRBAND;
    else
        s->flags.fetch_or(SOCK_ASYNC_NOSPACE);
    return mask;
}

// SPDX-License-Identifier: MIT
// Connections of AF_UNIX (SOCK_STREAM and SOCK_SEQPACKET), and the bytes of streams. Linux: net/unix/af_unix.c. Process context.

#include "net/unix/af_unix.h"

/// Bytes in one message at most: what Linux's SKB_MAX_ALLOC comes to, a little less than 16 KiB.
constexpr size_t STREAM_CHUNK_MAX = 16384 - 320;

static void init_peercred(sock *sk)
{
    const task_struct *t = current();
    sk->sk_peer_cred = {t->tgid, static_cast<u32>(t->euid), static_cast<u32>(t->egid)};
}

// --- Connections ---------------------------------------------------------------------------------------------------------------

result<void> unix_listen(socket *s, int backlog)
{
    unix_sock *u = unix_sk(s->sk);
    {
        spin_guard<bh> g{unix_lock};
        if (!u->addr || (u->sk_state != TCPF_CLOSE && u->sk_state != TCPF_LISTEN))
            return error{EINVAL};
        u->max_ack_backlog = static_cast<u32>(backlog);
        u->sk_state = TCPF_LISTEN;
        init_peercred(u);
    }
    wake_up_interruptible_all(&u->peer_wait); // the backlog may be longer now
    return {};
}

/// Tie sk to newsk, and queue the latter at the listener. unix_lock held.
static void establish(socket *s, unix_sock *newu, unix_sock *listener, sk_buff *skb)
{
    unix_sock *u = unix_sk(s->sk);
    sock_hold(u);
    newu->peer = u;
    newu->sk_state = TCPF_ESTABLISHED;
    init_peercred(newu);
    if (listener->addr) {
        listener->addr->refs.get();
        newu->addr = listener->addr;
    }
    path_get(listener->where);
    newu->where = listener->where;
    u->sk_peer_cred = listener->sk_peer_cred;
    s->state = SS_CONNECTED;
    u->sk_state = TCPF_ESTABLISHED;
    sock_hold(newu);
    u->peer = newu;
    skb_queue_tail(&listener->sk_receive_queue, skb);
}

enum class attempt { done, again, full };

/// One try to connect to `other`; an errno is final.
static result<attempt> try_connect(socket *s, sock *other, sock *newsk, sk_buff *skb)
{
    spin_guard<bh> g{unix_lock};
    if (sock_flag(other, SOCK_DEAD))
        return attempt::again;
    if (other->sk_state != TCPF_LISTEN || (other->sk_shutdown & RCV_SHUTDOWN))
        return error{ECONNREFUSED};
    if (unix_recvq_full(other))
        return attempt::full;
    if (s->sk->sk_state == TCPF_ESTABLISHED)
        return error{EISCONN};
    if (s->sk->sk_state != TCPF_CLOSE)
        return error{EINVAL};
    establish(s, unix_sk(newsk), unix_sk(other), skb);
    return attempt::done;
}

/// Look the name up and connect, waiting while the backlog is full.
static result<void> connect_to(socket *s, const sockaddr_storage *a, int len, u32 hash, s64 timeo,
                               sock *newsk, sk_buff *skb)
{
    for (;;) {
        sock *other = TRY(unix_find_other(a, len, s->sk->sk_type, hash));
        auto r = try_connect(s, other, newsk, skb);
        errno_t why = static_cast<errno_t>(r.err());
        if (r && *r == attempt::done)
            other->sk_data_ready(other, 0);
        if (r && *r == attempt::full)
            why = unix_wait_for_peer(other, &timeo);
        sock_put(other);
        if (why)
            return error{why};
        if (*r == attempt::done)
            return {};
        cond_resched();
    }
}

result<void> unix_stream_connect(socket *s, sockaddr_storage *a, int len, u32 file_flags)
{
    sock *sk = s->sk;
    u32 hash;
    len = TRY(unix_mkname(a, len, &hash));
    if (sock_flag(sk, SOCK_PASSCRED_F))
        TRY_VOID(unix_autobind(sk));
    sock *newsk = TRY(unix_create1(nullptr, sk->sk_type));
    // The message that stands for the connection in the listener's queue; its sender is the new sock.
    sk_buff *skb = alloc_skb(1, GFP_KERNEL);
    if (skb) {
        skb_set_owner_w(skb, newsk);
        UNIXCB(skb) = {no_ucred, false, nullptr};
    }
    auto r =
        skb ? connect_to(s, a, len, hash, sock_sndtimeo(sk, file_flags & O_NONBLOCK), newsk, skb)
            : result<void>{error{ENOMEM}};
    if (!r) {
        if (skb)
            kfree_skb(skb);
        unix_release_sock(newsk, false);
    }
    return r;
}

result<void> unix_accept(socket *s, socket *newsock, u32 file_flags)
{
    sock *sk = s->sk;
    if (sk->sk_state != TCPF_LISTEN)
        return error{EINVAL};
    bool peeked;
    sk_buff *skb = TRY(skb_recv_datagram(sk, 0, file_flags & O_NONBLOCK, &peeked));
    if (!skb)
        return error{EINVAL}; // shut down for receiving
    sock *tsk = skb->sk;
    {
        spin_guard<bh> g{unix_lock};
        if (sock_flag(sk, SOCK_PASSCRED_F))
            sock_set_flag(tsk, SOCK_PASSCRED_F);
        newsock->state = SS_CONNECTED;
        sock_graft(tsk, newsock);
    }
    consume_skb(skb);
    wake_up_interruptible(&unix_sk(sk)->peer_wait);
    return {};
}

result<void> unix_socketpair(socket *a, socket *b)
{
    spin_guard<bh> g{unix_lock};
    sock *ska = a->sk, *skb = b->sk;
    sock_hold(ska);
    sock_hold(skb);
    unix_sk(ska)->peer = skb;
    unix_sk(skb)->peer = ska;
    init_peercred(ska);
    init_peercred(skb);
    if (unix_connection_based(ska)) {
        ska->sk_state = skb->sk_state = TCPF_ESTABLISHED;
        a->state = b->state = SS_CONNECTED;
    }
    return {};
}

// --- Streams -------------------------------------------------------------------------------------------------------------------

/// Hand a message to the peer; false: it takes none any more.
static bool stream_deliver(sock *sk, sock *other, sk_buff *skb)
{
    auto len = static_cast<int>(skb->len);
    {
        spin_guard<bh> g{unix_lock};
        if (sock_flag(other, SOCK_DEAD) || (other->sk_shutdown & RCV_SHUTDOWN))
            return false;
        unix_maybe_add_creds(skb, sk, other);
        skb_queue_tail(&other->sk_receive_queue, skb);
    }
    other->sk_data_ready(other, len);
    return true;
}

/// Send everything; *sent counts what the peer got.
static result<void> stream_send(sock *sk, sock *other, msghdr *m, size_t len, scm_cookie *scm,
                                size_t *sent)
{
    while (*sent < len) {
        // Two messages in the buffer, so that writer and reader can work at the same time.
        size_t size = min(len - *sent, static_cast<size_t>(max((sk->sk_sndbuf >> 1) - 64, 1)));
        size = min(size, STREAM_CHUNK_MAX);
        skb_ptr skb{
            TRY(sock_alloc_send_skb(sk, static_cast<u32>(size), m->msg_flags & MSG_DONTWAIT))};
        unix_scm_to_skb(scm, skb.get()); // the files go with the first bytes
        TRY_VOID(m->msg_iter->copy_from(skb_put(skb.get(), static_cast<u32>(size)), size));
        if (!stream_deliver(sk, other, skb.get()))
            return error{EPIPE};
        skb.release();
        *sent += size;
    }
    return {};
}

result<size_t> unix_stream_sendmsg(socket *s, msghdr *m, size_t len)
{
    sock *sk = s->sk;
    unix_gc_if_needed();
    scm_cookie scm;
    TRY_VOID(scm_send(s, m, &scm));
    if (m->msg_flags & MSG_OOB)
        return error{EOPNOTSUPP};
    if (m->msg_namelen)
        return error{sk->sk_state == TCPF_ESTABLISHED ? EISCONN : EOPNOTSUPP};
    sock *other = unix_peer_get(sk);
    if (!other)
        return error{ENOTCONN};
    size_t sent = 0;
    bool shut = sk->sk_shutdown & SEND_SHUTDOWN;
    auto r = shut ? result<void>{error{EPIPE}} : stream_send(sk, other, m, len, &scm, &sent);
    sock_put(other);
    if (sent)
        return sent;
    if (r.err() == EPIPE && !(m->msg_flags & MSG_NOSIGNAL))
        send_signal(current(), SIGPIPE);
    if (!r)
        return r.fail();
    return size_t{0};
}

/// Sleep until there is something to read, or a reason to stop. readlock not held. What is left of the time.
[[gnu::noinline]] static s64 stream_data_wait(sock *sk, s64 timeo)
{
    wait_queue wait;
    prepare_to_wait(sk_sleep(sk), &wait, TASK_INTERRUPTIBLE);
    if (read_once(sk->sk_receive_queue.next) == nullptr && !sk->sk_err.load() &&
        !(sk->sk_shutdown & RCV_SHUTDOWN) && !signal_pending())
        timeo = schedule_timeout(timeo);
    finish_wait(sk_sleep(sk), &wait);
    return timeo;
}

/// One recvmsg of a stream.
struct stream_read {
    sock *sk;
    msghdr *m;
    u32 flags;
    size_t size, target;
    s64 timeo;
    size_t copied = 0;
    scm_cookie scm{};
    bool check_creds = false;
};

enum class step { more, stop, wait };

/// Bytes of the first message. readlock held. False: nothing further may be read in this call.
static result<bool> read_from(stream_read &r, sk_buff *skb)
{
    const unix_skb_parms &p = UNIXCB(skb);
    if (r.check_creds) { // messages of different writers are not glued together
        if (memcmp(&p.creds, &r.scm.creds, sizeof p.creds) != 0)
            return false;
    } else if (sock_flag(r.sk, SOCK_PASSCRED_F)) {
        r.scm.creds = p.creds;
        r.check_creds = true;
    }
    if (!r.copied)
        unix_copy_addr(r.m, skb->sk);
    auto chunk = static_cast<u32>(min<size_t>(skb->len, r.size));
    TRY_VOID(skb_copy_datagram_iter(skb, 0, *r.m->msg_iter, chunk));
    r.copied += chunk;
    r.size -= chunk;
    bool had_files = p.fp;
    unix_scm_from_skb(skb, &r.scm, r.flags & MSG_PEEK);
    if (r.flags & MSG_PEEK)
        return false;
    skb_pull(skb, chunk);
    if (skb->len)
        return false;
    {
        spin_guard<irqsave> g{r.sk->sk_receive_queue.lock};
        __skb_unlink(skb, &r.sk->sk_receive_queue);
    }
    consume_skb(skb);
    return !had_files; // what follows the files is for the next call
}

/// One turn with readlock held.
static result<step> stream_step(stream_read &r)
{
    mutex_guard g{unix_sk(r.sk)->readlock};
    if (sk_buff *skb = skb_peek(&r.sk->sk_receive_queue)) {
        bool more = TRY(read_from(r, skb));
        return more && r.size ? step::more : step::stop;
    }
    if (r.copied >= r.target)
        return step::stop;
    if (int err = sock_error(r.sk))
        return error{static_cast<errno_t>(err)};
    if (r.sk->sk_shutdown & RCV_SHUTDOWN)
        return step::stop;
    if (!r.timeo)
        return error{EAGAIN};
    return step::wait;
}

result<size_t> unix_stream_recvmsg(socket *s, msghdr *m, size_t len, u32 flags)
{
    sock *sk = s->sk;
    if (sk->sk_state != TCPF_ESTABLISHED)
        return error{EINVAL};
    if (flags & MSG_OOB)
        return error{EOPNOTSUPP};
    m->msg_namelen = 0;
    size_t lowat = static_cast<size_t>(sk->sk_rcvlowat);
    stream_read r{sk,
                  m,
                  flags,
                  len,
                  flags & MSG_WAITALL ? len : min(lowat, max<size_t>(len, 1)),
                  sock_rcvtimeo(sk, flags & MSG_DONTWAIT)};
    if (!len) // a look at errors and the end only
        r.target = 0;
    errno_t why{};
    for (;;) {
        auto st = stream_step(r);
        why = static_cast<errno_t>(st.err());
        if (why || *st == step::stop)
            break;
        if (*st == step::more)
            continue;
        r.timeo = stream_data_wait(sk, r.timeo);
        if (signal_pending()) {
            why = sock_intr_errno(r.timeo);
            break;
        }
    }
    scm_recv(s, m, &r.scm, flags | m->msg_flags);
    if (why && !r.copied)
        return error{why};
    return r.copied;
}

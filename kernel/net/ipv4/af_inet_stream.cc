// SPDX-License-Identifier: MIT
// Stream sockets of AF_INET: connect's state machine, listen, accept, shutdown (Linux net/ipv4/af_inet.c; atlas §13…§15, §19; rows
// C-01, N-01, N-02, H-05, G-03). Process context; each takes the socket lock.

#include "net/ipv4/tcp.h"

constexpr u32 TCPF_CONNECTING = TCPF(TCP_SYN_SENT) | TCPF(TCP_SYN_RECV);

/// Sleep until the handshake is over, one way or the other; what is left of the time.
static s64 inet_wait_for_connect(sock *sk, s64 timeo)
{
    wait_queue wait;
    wait_queue_head *q = sk_sleep(sk);
    prepare_to_wait(q, &wait, TASK_INTERRUPTIBLE);
    while (TCPF(sk->sk_state) & TCPF_CONNECTING) {
        release_sock(sk);
        timeo = schedule_timeout(timeo);
        lock_sock(sk);
        if (signal_pending() || !timeo)
            break;
        prepare_to_wait(q, &wait, TASK_INTERRUPTIBLE);
    }
    finish_wait(q, &wait);
    return timeo;
}

/// The handshake failed: why, and ready for another try.
static result<void> connect_failed(socket *s, u32 flags)
{
    int err = sock_error(s->sk);
    s->state = s->sk->sk_prot->disconnect(s->sk, flags) ? SS_UNCONNECTED : SS_DISCONNECTING;
    return error{err ? static_cast<errno_t>(err) : ECONNABORTED};
}

static result<void> disconnect(socket *s, u32 flags)
{
    auto r = s->sk->sk_prot->disconnect(s->sk, flags);
    s->state = r ? SS_UNCONNECTED : SS_DISCONNECTING;
    return r;
}

static result<void> stream_connect_locked(socket *s, sockaddr_storage *a, int len, u32 flags)
{
    sock *sk = s->sk;
    if (a->ss_family == AF_UNSPEC)
        return disconnect(s, flags);
    errno_t pending = EINPROGRESS;
    switch (s->state) {
    case SS_CONNECTED:
        return error{EISCONN};
    case SS_CONNECTING:
        pending = EALREADY; // and wait for the result of the first call, unless non-blocking
        break;
    case SS_UNCONNECTED:
        if (sk->sk_state != TCP_CLOSE)
            return error{EISCONN};
        TRY_VOID(sk->sk_prot->connect(sk, a, len));
        s->state = SS_CONNECTING;
        break;
    default:
        return error{EINVAL};
    }
    s64 timeo = sock_sndtimeo(sk, flags & O_NONBLOCK);
    if (TCPF(sk->sk_state) & TCPF_CONNECTING) {
        if (!timeo || !inet_wait_for_connect(sk, timeo))
            return error{pending};
        if (signal_pending() && (TCPF(sk->sk_state) & TCPF_CONNECTING))
            return error{sock_intr_errno(timeo)};
    }
    if (sk->sk_state == TCP_CLOSE)
        return connect_failed(s, flags);
    // An error that came since is for the next call, but the connection exists.
    s->state = SS_CONNECTED;
    return {};
}

static result<void> inet_stream_connect(socket *s, sockaddr_storage *a, int len, u32 flags)
{
    if (len < static_cast<int>(sizeof a->ss_family))
        return error{EINVAL};
    lock_sock(s->sk);
    auto r = stream_connect_locked(s, a, len, flags);
    release_sock(s->sk);
    return r;
}

static result<void> inet_listen(socket *s, int backlog)
{
    sock *sk = s->sk;
    lock_sock(sk);
    result<void> r{};
    if (s->state != SS_UNCONNECTED || s->type != SOCK_STREAM ||
        !(TCPF(sk->sk_state) & (TCPF(TCP_CLOSE) | TCPF(TCP_LISTEN))))
        r = error{EINVAL};
    else if (sk->sk_state != TCP_LISTEN)
        r = inet_csk_listen_start(sk, static_cast<u32>(backlog));
    // Again on a listener: only this limit changes (row N-02). Linux keeps 16 bits.
    if (r)
        inet_csk(sk)->sk_max_ack_backlog = static_cast<u16>(backlog);
    release_sock(sk);
    return r;
}

static result<void> inet_accept(socket *s, socket *newsock, u32 flags)
{
    sock *child = TRY(s->sk->sk_prot->accept(s->sk, flags));
    lock_sock(child);
    sock_graft(child, newsock);
    newsock->state = SS_CONNECTED;
    release_sock(child);
    return {};
}

/// Whether a connection attempt that was shut down has come to something.
static void settle_connecting(socket *s)
{
    if (s->state != SS_CONNECTING)
        return;
    bool open = !(TCPF(s->sk->sk_state) & (TCPF_CONNECTING | TCPF(TCP_CLOSE)));
    s->state = open ? SS_CONNECTED : SS_DISCONNECTING;
}

static result<void> shutdown_locked(socket *s, int how)
{
    sock *sk = s->sk;
    settle_connecting(s);
    // SOCK_DGRAM uses CLOSE and ESTABLISHED only.
    if (sk->sk_state == TCP_LISTEN) {
        if (static_cast<u32>(how) & RCV_SHUTDOWN)
            return disconnect(s, O_NONBLOCK);
        return {};
    }
    if (sk->sk_state == TCP_SYN_SENT)
        return disconnect(s, O_NONBLOCK);
    // An unconnected socket is told so, and shut down all the same: pollers see POLLHUP.
    bool connected = sk->sk_state != TCP_CLOSE;
    sk->sk_shutdown |= static_cast<u8>(how);
    if (sk->sk_prot->shutdown)
        sk->sk_prot->shutdown(sk, how);
    return connected ? result<void>{} : error{ENOTCONN};
}

result<void> inet_shutdown(socket *s, int how)
{
    sock *sk = s->sk;
    how++; // 0, 1, 2 become the bits RCV, SEND, both
    if (how <= 0 || how & ~static_cast<int>(SHUTDOWN_MASK))
        return error{EINVAL};
    lock_sock(sk);
    auto r = shutdown_locked(s, how);
    sk->sk_state_change(sk); // whoever sleeps on it looks again
    release_sock(sk);
    return r;
}

constinit const proto_ops inet_stream_ops = {
    .family = AF_INET,
    .name = "inet_stream_ops",
    .release = inet_release,
    .bind = inet_bind,
    .connect = inet_stream_connect,
    .accept = inet_accept,
    .getname = inet_getname,
    .poll = tcp_poll,
    .ioctl = inet_ioctl,
    .listen = inet_listen,
    .shutdown = inet_shutdown,
    .setsockopt = sock_common_setsockopt,
    .getsockopt = sock_common_getsockopt,
    .sendmsg = inet_sendmsg,
    .recvmsg = inet_recvmsg,
};

// SPDX-License-Identifier: MIT
// AF_UNIX: making and ending sockets, what all types share. Linux: net/unix/af_unix.c. Process context; locks in af_unix.h.

#include "net/unix/af_unix.h"
#include "fs/ioctl.h"
#include "fs/seq_file.h"
#include "lib/initcall.h"
#include "net/core/sock_async.h"

spinlock unix_lock{"unix"};
int sysctl_max_dgram_qlen = 10;

static std::atomic<u64> unix_nr_socks{0};
static kmem_cache *unix_slab;

void unix_wake_senders(sock *sk)
{
    unix_sock *u = unix_sk(sk);
    wake_up_interruptible_sync_poll(&u->peer_wait, POLLOUT | POLLWRNORM | POLLWRBAND);
    smp_mb(); // who watches looks at the queue after it is on the list
    while (!u->watchers.empty()) {
        unix_sock *w;
        {
            spin_guard<bh> g{unix_lock};
            w = u->watchers.pop_front();
            if (!w)
                return;
            sock_hold(w);
        }
        rcu_read_lock();
        if (socket_wq *wq = rcu_dereference(w->sk_wq); wq_has_sleeper(wq))
            wake_up_interruptible_sync_poll(&wq->wait, POLLOUT | POLLWRNORM | POLLWRBAND);
        rcu_read_unlock();
        sock_put(w);
    }
}

static constinit proto unix_proto = {
    .name = "UNIX",
    .obj_size = sizeof(unix_sock),
    .slab = &unix_slab,
    .construct = [](void *mem) -> sock * { return new (mem) unix_sock; },
    .destruct = [](sock *sk) { unix_sk(sk)->~unix_sock(); },
    .symbol = "unix_proto",
};

/// A message was read, or thrown away: its sender may have room again.
static void unix_write_space(sock *sk)
{
    rcu_read_lock();
    if (unix_writable(sk)) {
        socket_wq *wq = rcu_dereference(sk->sk_wq);
        if (wq_has_sleeper(wq))
            wake_up_interruptible_sync_poll(&wq->wait, POLLOUT | POLLWRNORM | POLLWRBAND);
        sk_wake_async(sk, sock_wake::space, POLL_OUT);
    }
    rcu_read_unlock();
}

static void unix_sock_destructor(sock *sk)
{
    skb_queue_purge(&sk->sk_receive_queue);
    unix_release_address(unix_sk(sk)->addr);
    unix_nr_socks.fetch_sub(1, std::memory_order_relaxed);
}

result<sock *> unix_create1(socket *s, u16 type)
{
    if (unix_nr_socks.fetch_add(1, std::memory_order_relaxed) > 2 * max_open_files()) {
        unix_nr_socks.fetch_sub(1, std::memory_order_relaxed);
        return error{ENOMEM};
    }
    sock *sk = sk_alloc(AF_UNIX, GFP_KERNEL, &unix_proto);
    if (!sk) {
        unix_nr_socks.fetch_sub(1, std::memory_order_relaxed);
        return error{ENOMEM};
    }
    sock_init_data(s, sk);
    sk->sk_type = type;
    sk->sk_write_space = unix_write_space;
    sk->sk_destruct = unix_sock_destructor;
    unix_sk(sk)->max_ack_backlog = static_cast<u32>(read_once(sysctl_max_dgram_qlen));
    unix_insert_unbound(unix_sk(sk));
    return sk;
}

static result<void> unix_create(socket *s, int protocol, bool)
{
    if (protocol && protocol != AF_UNIX)
        return error{EPROTONOSUPPORT};
    s->state = SS_UNCONNECTED;
    switch (s->type) {
    case SOCK_STREAM:
        s->ops = &unix_stream_ops;
        break;
    case SOCK_RAW: // BSD's name of it
        s->type = SOCK_DGRAM;
        [[fallthrough]];
    case SOCK_DGRAM:
        s->ops = &unix_dgram_ops;
        break;
    case SOCK_SEQPACKET:
        s->ops = &unix_seqpacket_ops;
        break;
    default:
        return error{ESOCKTNOSUPPORT};
    }
    TRY(unix_create1(s, s->type));
    return {};
}

sock *unix_peer_get(sock *sk)
{
    spin_guard<bh> g{unix_lock};
    sock *peer = unix_sk(sk)->peer;
    if (peer)
        sock_hold(peer);
    return peer;
}

errno_t unix_wait_for_peer(sock *other, s64 *timeo)
{
    if (!*timeo)
        return EAGAIN;
    unix_sock *u = unix_sk(other);
    wait_queue wait;
    prepare_to_wait_exclusive(&u->peer_wait, &wait, TASK_INTERRUPTIBLE);
    if (!sock_flag(other, SOCK_DEAD) && !(other->sk_shutdown & RCV_SHUTDOWN) &&
        unix_recvq_full(other) && !signal_pending())
        *timeo = schedule_timeout(*timeo);
    finish_wait(&u->peer_wait, &wait);
    return signal_pending() ? sock_intr_errno(*timeo) : errno_t{};
}

// --- The end -------------------------------------------------------------------------------------------------------------------

/// What unix_release_sock learns and takes while it holds the lock.
struct released {
    path where;
    sock *peer;
    bool was_listening, unread;
};

static released cut_off(unix_sock *u, bool embryo)
{
    spin_guard<bh> g{unix_lock};
    unix_remove(u);
    sock_orphan(u);
    u->sk_shutdown = SHUTDOWN_MASK;
    released r{u->where, u->peer, u->sk_state == TCPF_LISTEN,
               !u->sk_receive_queue.empty() || embryo};
    u->where = {};
    u->peer = nullptr;
    unix_stop_watching(u);
    u->sk_state = TCPF_CLOSE;
    if (r.peer && unix_connection_based(u)) {
        r.peer->sk_shutdown = SHUTDOWN_MASK;
        if (r.unread)
            r.peer->sk_err.store(ECONNRESET);
    }
    return r;
}

void unix_release_sock(sock *sk, bool embryo)
{
    unix_sock *u = unix_sk(sk);
    released r = cut_off(u, embryo);
    wake_up_interruptible_all(&u->peer_wait);
    unix_wake_senders(sk);
    if (r.peer) {
        if (unix_connection_based(sk)) {
            r.peer->sk_state_change(r.peer);
            sk_wake_async(r.peer, sock_wake::waitdata, POLL_HUP);
        }
        sock_put(r.peer);
    }
    while (sk_buff *skb = skb_dequeue(&sk->sk_receive_queue)) {
        if (r.was_listening)
            unix_release_sock(skb->sk, true); // one level only: an embryo does not listen
        kfree_skb(skb);
    }
    path_put(r.where);
    sock_put(sk);
    unix_gc();
}

static result<void> unix_release(socket *s)
{
    sock *sk = s->sk;
    if (!sk)
        return {};
    s->sk = nullptr;
    unix_release_sock(sk, false);
    return {};
}

static result<void> unix_shutdown(socket *s, int how)
{
    if (how < 0 || how > 2)
        return error{EINVAL};
    auto mode = static_cast<u8>(how + 1); // RCV_SHUTDOWN, SEND_SHUTDOWN, both
    sock *sk = s->sk, *other;
    {
        spin_guard<bh> g{unix_lock};
        sk->sk_shutdown |= mode;
        other = unix_connection_based(sk) ? unix_sk(sk)->peer : nullptr;
        if (other) {
            sock_hold(other);
            other->sk_shutdown |= static_cast<u8>((mode & RCV_SHUTDOWN ? SEND_SHUTDOWN : 0) |
                                                  (mode & SEND_SHUTDOWN ? RCV_SHUTDOWN : 0));
        }
    }
    sk->sk_state_change(sk);
    if (other) {
        other->sk_state_change(other);
        sock_put(other);
    }
    return {};
}

// --- Poll, ioctl, options ------------------------------------------------------------------------------------------------------

static u32 unix_poll(file *f, socket *s, poll_table *pt)
{
    sock *sk = s->sk;
    poll_wait(f, sk_sleep(sk), pt);
    u32 mask = sk->sk_err.load() ? POLLERR : 0;
    if (sk->sk_shutdown == SHUTDOWN_MASK)
        mask |= POLLHUP;
    if (sk->sk_shutdown & RCV_SHUTDOWN)
        mask |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (!sk->sk_receive_queue.empty())
        mask |= POLLIN | POLLRDNORM;
    if (sk->sk_state == TCPF_CLOSE)
        mask |= POLLHUP; // not connected (yet)
    if (unix_writable(sk))
        mask |= POLLOUT | POLLWRNORM | POLLWRBAND;
    return mask;
}

u32 unix_unread(sock *sk)
{
    spin_guard<irqsave> g{sk->sk_receive_queue.lock};
    u32 n = 0;
    for (const sk_buff *skb = skb_peek(&sk->sk_receive_queue); skb; skb = skb->next) {
        n += skb->len;
        if (!unix_connection_based(sk))
            break;
    }
    return n;
}

static result<s64> unix_ioctl(socket *s, u32 cmd, u64 arg)
{
    s64 n;
    if (cmd == SIOCOUTQ)
        n = sk_wmem_alloc_get(s->sk);
    else if (cmd == SIOCINQ && s->sk->sk_state == TCPF_LISTEN)
        return error{EINVAL};
    else if (cmd == SIOCINQ)
        n = unix_unread(s->sk);
    else
        return dev_ioctl(cmd, arg);
    TRY_VOID(put_user(user_ptr<int>{arg}, static_cast<int>(n)));
    return s64{0};
}

static result<void> no_setsockopt(socket *, int, int, user_ptr<const void>, unsigned)
{
    return error{EOPNOTSUPP};
}
static result<void> no_getsockopt(socket *, int, int, user_ptr<void>, user_ptr<int>)
{
    return error{EOPNOTSUPP};
}
static result<void> no_accept(socket *, socket *, u32)
{
    return error{EOPNOTSUPP};
}
static result<void> no_listen(socket *, int)
{
    return error{EOPNOTSUPP};
}

static result<size_t> unix_seqpacket_sendmsg(socket *s, msghdr *m, size_t len)
{
    if (int err = sock_error(s->sk))
        return error{static_cast<errno_t>(err)};
    if (s->sk->sk_state != TCPF_ESTABLISHED)
        return error{ENOTCONN};
    m->msg_namelen = 0;
    return unix_dgram_sendmsg(s, m, len);
}

static result<size_t> unix_seqpacket_recvmsg(socket *s, msghdr *m, size_t len, u32 flags)
{
    if (s->sk->sk_state != TCPF_ESTABLISHED)
        return error{ENOTCONN};
    return unix_dgram_recvmsg(s, m, len, flags);
}

/// The methods that the three types share.
static consteval proto_ops common_ops(const char *name)
{
    return {
        .family = AF_UNIX,
        .name = name,
        .release = unix_release,
        .bind = unix_bind,
        .connect = unix_stream_connect,
        .accept = unix_accept,
        .getname = unix_getname,
        .poll = unix_poll,
        .ioctl = unix_ioctl,
        .listen = unix_listen,
        .shutdown = unix_shutdown,
        .setsockopt = no_setsockopt,
        .getsockopt = no_getsockopt,
        .sendmsg = unix_stream_sendmsg,
        .recvmsg = unix_stream_recvmsg,
        .socketpair = unix_socketpair,
    };
}
static consteval proto_ops dgram_ops()
{
    proto_ops o = common_ops("unix_dgram_ops");
    o.connect = unix_dgram_connect;
    o.accept = no_accept;
    o.listen = no_listen;
    o.poll = unix_dgram_poll;
    o.sendmsg = unix_dgram_sendmsg;
    o.recvmsg = unix_dgram_recvmsg;
    return o;
}
static consteval proto_ops seqpacket_ops()
{
    proto_ops o = common_ops("unix_seqpacket_ops");
    o.poll = unix_dgram_poll;
    o.sendmsg = unix_seqpacket_sendmsg;
    o.recvmsg = unix_seqpacket_recvmsg;
    return o;
}
constinit const proto_ops unix_stream_ops = common_ops("unix_stream_ops");
constinit const proto_ops unix_dgram_ops = dgram_ops();
constinit const proto_ops unix_seqpacket_ops = seqpacket_ops();

static const net_proto_family unix_family_ops = {AF_UNIX, unix_create, "unix"};

static int af_unix_init()
{
    unix_name_init();
    unix_gc_init();
    if (int err = proto_register(&unix_proto))
        return err;
    sysctl_create_int("net/unix/max_dgram_qlen", &sysctl_max_dgram_qlen, 0, INT32_MAX);
    unix_proc_init();
    unix_diag_init();
    return sock_register(&unix_family_ops);
}
fs_initcall(af_unix_init);

// SPDX-License-Identifier: MIT
// See sock_async.h. The list hangs off the sock, which softirqs reach; it is empty when the sock loses its file.

#include "net/core/sock_async.h"

namespace
{
/// Asked under the lock of the lists: the file is on one, so its socket is there.
bool flags_of(file *f, u32 flag, bool clear)
{
    auto *s = static_cast<socket *>(f->private_data);
    u32 old = clear ? s->flags.fetch_and(~flag) : s->flags.load(std::memory_order_relaxed);
    return old & flag;
}
bool nobody_waits(file *f)
{
    return !flags_of(f, SOCK_ASYNC_WAITDATA, false);
}
bool room_was_missing(file *f)
{
    return flags_of(f, SOCK_ASYNC_NOSPACE, true);
}
} // namespace

void __sk_wake_async(sock *sk, sock_wake how, int reason)
{
    bool (*wanted)(file *) = how == sock_wake::waitdata ? nobody_waits
                             : how == sock_wake::space  ? room_was_missing
                                                        : nullptr;
    kill_fasync(&sk->sk_fasync, how == sock_wake::urgent ? SIGURG : SIGIO, reason, wanted);
}

void sk_send_sigurg(sock *sk)
{
    spin_guard<bh> g{sk->sk_callback_lock};
    if (sk->sk_socket && sk->sk_socket->file && send_sigurg(sk->sk_socket->file))
        sk_wake_async(sk, sock_wake::urgent, POLL_PRI);
}

result<void> sock_fasync(int fd, file *f, bool on)
{
    auto *s = static_cast<socket *>(f->private_data);
    return s->sk ? fasync_helper(fd, f, on, &s->sk->sk_fasync) : result<void>{error{EINVAL}};
}

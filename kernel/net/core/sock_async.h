// SPDX-License-Identifier: MIT
// SIGIO and SIGURG of sockets. Linux: net/socket.c (sock_fasync, sock_wake_async), net/core/sock.c (sk_send_sigurg).
#pragma once

#include "fs/fasync.h"
#include "net/core/sock.h"

/// What has happened: data to read, room to write, anything else, urgent data (Linux SOCK_WAKE_*).
enum class sock_wake : u8 { waitdata, space, io, urgent };

/// SIGIO (urgent: SIGURG) with `reason` (POLL_*) to those who asked for it by O_ASYNC. Not while somebody sleeps for the data anyway, and
/// for room only after a writer had found none. Any context. Linux sk_wake_async.
void __sk_wake_async(sock *sk, sock_wake how, int reason);
inline void sk_wake_async(sock *sk, sock_wake how, int reason)
{
    if (read_once(sk->sk_fasync)) [[unlikely]]
        __sk_wake_async(sk, how, reason);
}
/// SIGURG to the owner of the socket's file. [P S]
void sk_send_sigurg(sock *sk);
/// The fasync method of socket files. [P]
result<void> sock_fasync(int fd, file *f, bool on);

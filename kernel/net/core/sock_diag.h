// SPDX-License-Identifier: MIT
// NETLINK_SOCK_DIAG: programs (ss) ask for lists of sockets, by family. Linux: include/linux/sock_diag.h, net/core/sock_diag.c. Only dumps
// are answered. Process context.
#pragma once

#include "net/core/sock.h"
#include "net/netlink/netlink.h"

constexpr u16 SOCK_DIAG_BY_FAMILY = 20;
/// How a request of every family begins.
struct sock_diag_req {
    u8 sdiag_family, sdiag_protocol;
};

/// A family's lister: see netlink_callback; `request_len` is what its requests have at least.
struct sock_diag_handler {
    int (*dump)(sk_buff *skb, netlink_callback *cb);
    u32 request_len;
};
/// Boot.
void sock_diag_register(int family, const sock_diag_handler *h);

/// What tells a socket from others that had its address: the halves of its own.
inline void sock_diag_save_cookie(const void *sk, u32 (&cookie)[2])
{
    u64 v = reinterpret_cast<u64>(sk);
    cookie[0] = static_cast<u32>(v);
    cookie[1] = static_cast<u32>(v >> 32);
}

/// SK_MEMINFO_*: memory that a socket has and may have, in bytes.
struct sock_diag_meminfo {
    u32 rmem_alloc, rcvbuf, wmem_alloc, sndbuf, fwd_alloc, wmem_queued, optmem, backlog;
};
sock_diag_meminfo sock_diag_memory(const sock *sk, u32 fwd_alloc, u32 wmem_queued);

/// The place where a dump goes on: the list that was being walked, and how many of its sockets are in earlier packets.
class sock_diag_place
{
public:
    explicit sock_diag_place(netlink_callback *cb) : cb_{cb}, skip_{cb->args[2]} {}
    u64 phase() const { return cb_->args[0]; }
    u64 list() const { return cb_->args[1]; }
    /// One more socket of this list: false if an earlier packet has it.
    bool is_new() { return at_++ >= skip_; }
    /// It did not fit: the next packet begins with it.
    void stop() { cb_->args[2] = at_ - 1; }
    /// This list is done.
    void next_list()
    {
        cb_->args[1]++;
        cb_->args[2] = skip_ = at_ = 0;
    }
    void next_phase()
    {
        cb_->args[0]++;
        cb_->args[1] = cb_->args[2] = skip_ = at_ = 0;
    }

private:
    netlink_callback *cb_;
    u64 skip_, at_ = 0;
};

// SPDX-License-Identifier: MIT
// Classic BPF socket filters: checked once, then run on every packet that would be queued. Linux: include/linux/filter.h,
// net/core/filter.c; McCanne and Jacobson 1993.
#pragma once

#include "net/core/skbuff.h"
#include "sched/rcu.h"

/// One instruction of the ABI.
struct sock_filter {
    u16 code;
    u8 jt, jf;
    u32 k;
};
static_assert(sizeof(sock_filter) == 8);
constexpr unsigned BPF_MAXINSNS = 4096, BPF_MEMWORDS = 16;

/// A program that passed the check; freed a grace period after it was detached.
struct sk_filter_prog {
    rcu_head rcu;
    u32 len = 0;
    sock_filter insns[];
};

/// Whether a program is safe: known instructions, jumps forward and inside, memory written before it is read, no division by zero,
/// and a return at the end.
bool sk_chk_filter(const sock_filter *f, u32 len);
/// Run a checked program: the bytes to keep, 0: drop. Any context.
u32 sk_run_filter(const sk_buff *skb, const sock_filter *f, u32 len);

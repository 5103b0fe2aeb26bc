// SPDX-License-Identifier: MIT
// Between futex.cc and futex_pi.cc.
#pragma once

#include "sched/process.h"

constexpr u32 FUTEX_WAITERS = 0x80000000, FUTEX_OWNER_DIED = 0x40000000,
              FUTEX_TID_MASK = 0x3fffffff;

/// Identity of a word: an address in an mm, or (mm null) a physical address in shared memory.
struct futex_key {
    mm_struct *mm = nullptr;
    u64 addr = 0;
    bool operator==(const futex_key &) const = default;
};
/// The key of the current process's word: EINVAL, EFAULT. [P]
result<futex_key> futex_get_key(u64 uaddr, bool shared);
/// Whether somebody sleeps there by FUTEX_WAIT. Any context.
bool futex_has_waiters(const futex_key &key);
/// Sleep until *flag, `expires` (ktime, ~0: never) or a signal: 0, ETIMEDOUT, ERESTARTSYS. [P]
int futex_sleep(const bool *flag, u64 expires);
/// The current task ends: whoever waits for a lock that it holds gets that, marked as orphaned. [P]
void exit_pi_locks();

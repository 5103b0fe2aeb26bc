// SPDX-License-Identifier: MIT
// Who looks at each system call before and after it: while somebody does, do_syscall() goes the long way. Linux: the _TIF_WORK_SYSCALL_ENTRY flags.
#pragma once

#include <atomic>

#include "lib/types.h"

/// The watchers, one bit each: strace.cc, delay.cc.
constexpr u32 WATCH_STRACE = 1, WATCH_DELAY = 2;
/// The bits of those who watch now. Any context may read it.
extern std::atomic<u32> syscall_watchers;

/// Begin or stop watching. Process context; calls that are under way may be seen or not.
inline void watch_syscalls(u32 who, bool on)
{
    if (on)
        syscall_watchers.fetch_or(who);
    else
        syscall_watchers.fetch_and(~who);
}

/// Perhaps sleep a random time, as the delays that were asked for say (delay.cc). [P], no lock held.
void syscall_delay();

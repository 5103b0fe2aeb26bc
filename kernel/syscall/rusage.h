// SPDX-License-Identifier: MIT
// struct rusage of x86_64 and how it is filled, for getrusage, wait4 and waitid.
#pragma once

#include "mm/mm.h"
#include "sched/process.h"

struct user_rusage {
    s64 utime[2], stime[2]; // struct timeval
    s64 maxrss;             // KiB
    s64 shared[3];          // kept by nobody, Linux neither
    s64 min_flt, maj_flt;
    s64 unused[6]; // swaps, blocks, messages, signals
    s64 nvcsw, nivcsw;
};
static_assert(sizeof(user_rusage) == 144);
user_rusage make_rusage(const child_usage &u);
inline u64 mm_rss(const mm_struct *mm)
{
    return mm ? mm->rss.load(std::memory_order_relaxed) : 0;
}

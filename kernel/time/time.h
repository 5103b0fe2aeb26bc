// SPDX-License-Identifier: MIT
// Kernel time. HZ = 1000 (Linux x86 defconfig); jiffies are derived from the monotonic clock, so there is no drift and no
// tick while idle. Any context.
#pragma once

#include "arch/arch.h"

constexpr u64 HZ = 1000;
constexpr u64 NSEC_PER_SEC = 1'000'000'000;
constexpr u64 NSEC_PER_MSEC = 1'000'000;
constexpr u64 NSEC_PER_USEC = 1'000;
/// schedule_timeout() argument: sleep without limit.
constexpr s64 MAX_SCHEDULE_TIMEOUT = INT64_MAX;

/// Monotonic nanoseconds.
inline u64 ktime_get()
{
    return arch_clock_ns();
}
/// Milliseconds since boot; Linux's jiffies at HZ=1000 (without its start offset).
inline u64 jiffies()
{
    return arch_clock_ns() / (NSEC_PER_SEC / HZ);
}
/// Wall clock in ns since 1970 (settable by clock_settime).
u64 ktime_get_real();
/// Timers that follow the wall clock move with it, listeners are told. [P]
void ktime_set_real(u64 ns);
inline bool time_after_eq(u64 a, u64 b)
{
    return static_cast<s64>(a - b) >= 0;
}
inline bool time_after(u64 a, u64 b)
{
    return static_cast<s64>(b - a) < 0;
}

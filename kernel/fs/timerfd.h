// SPDX-License-Identifier: MIT
// timerfd_create(2) and its like.
#pragma once

#include "fs/internal.h"
#include "time/posix_timers.h"

/// A new descriptor of a timer on CLOCK_REALTIME, _MONOTONIC or _BOOTTIME; flags O_CLOEXEC, O_NONBLOCK. [P]
result<int> do_timerfd_create(s32 clock, u32 flags);
/// flags: 1 absolute, 2 cancel when the wall clock is set. Returns what was set before. [P]
result<itimer_ns> do_timerfd_settime(int fd, u32 flags, const itimer_ns &to);
result<itimer_ns> do_timerfd_gettime(int fd);

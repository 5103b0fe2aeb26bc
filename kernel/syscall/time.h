// SPDX-License-Identifier: MIT
// System calls on clocks and timers. Effects and errors as in the Linux manual pages of section 2.
// All [P].
#pragma once

#include "syscall/syscall.h"
#include "time/time.h"

/// struct timespec and struct timeval of x86_64.
struct kernel_timespec {
    s64 sec, nsec;
};
struct kernel_timeval {
    s64 sec, usec;
};
struct kernel_itimerval {
    kernel_timeval interval, value;
};
/// Nanoseconds of a relative or absolute time given by the user: EFAULT, EINVAL; what does not fit
/// is "for ever" (~0 - 1).
result<u64> get_timespec_ns(u64 user_addr);
kernel_timespec ns_to_timespec(u64 ns);

result<void> sys_clock_gettime(s32 clock, user_ptr<kernel_timespec> ts);
result<void> sys_clock_settime(s32 clock, user_ptr<kernel_timespec> ts);
result<void> sys_clock_getres(s32 clock, user_ptr<kernel_timespec> ts);
result<void> sys_nanosleep(u64 req, user_ptr<kernel_timespec> rem);
result<void> sys_clock_nanosleep(s32 clock, int flags, u64 req, user_ptr<kernel_timespec> rem);
result<void> sys_gettimeofday(user_ptr<kernel_timeval> tv, user_ptr<u64> tz);
result<void> sys_settimeofday(user_ptr<kernel_timeval> tv, user_ptr<u64> tz);
result<s64> sys_time(user_ptr<s64> t);
result<s64> sys_times(user_ptr<void> buf);
result<u32> sys_alarm(u32 seconds);
result<void> sys_setitimer(int which, u64 value, user_ptr<kernel_itimerval> old);
result<void> sys_getitimer(int which, user_ptr<kernel_itimerval> value);
result<void> sys_getrusage(int who, user_ptr<void> usage);

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
struct kernel_itimerspec {
    kernel_timespec interval, value;
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
/// struct timezone.
struct timezone_abi {
    s32 minuteswest = 0, dsttime = 0;
};
result<void> sys_gettimeofday(user_ptr<kernel_timeval> tv, user_ptr<timezone_abi> tz);
result<void> sys_settimeofday(user_ptr<kernel_timeval> tv, user_ptr<timezone_abi> tz);
result<s64> sys_time(user_ptr<s64> t);
result<s64> sys_times(user_ptr<void> buf);
result<s64> sys_restart_syscall();
result<s64> sys_adjtimex(user_ptr<void> buf);
result<s64> sys_clock_adjtime(s32 clock, user_ptr<void> buf);
// posix_timers.cc
result<void> sys_timer_create(s32 clock, user_ptr<const void> event, user_ptr<s32> id);
result<void> sys_timer_settime(s32 id, int flags, user_ptr<const kernel_itimerspec> to,
                               user_ptr<kernel_itimerspec> old);
result<void> sys_timer_gettime(s32 id, user_ptr<kernel_itimerspec> value);
result<s32> sys_timer_getoverrun(s32 id);
result<void> sys_timer_delete(s32 id);
result<int> sys_timerfd_create(s32 clock, u32 flags);
result<void> sys_timerfd_settime(int fd, u32 flags, user_ptr<const kernel_itimerspec> to,
                                 user_ptr<kernel_itimerspec> old);
result<void> sys_timerfd_gettime(int fd, user_ptr<kernel_itimerspec> value);
result<u32> sys_alarm(u32 seconds);
result<void> sys_setitimer(int which, u64 value, user_ptr<kernel_itimerval> old);
result<void> sys_getitimer(int which, user_ptr<kernel_itimerval> value);
result<void> sys_getrusage(int who, user_ptr<void> usage);

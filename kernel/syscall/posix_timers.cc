// SPDX-License-Identifier: MIT
// timer_create and its like, interval timers, timerfd: arguments in and results out. Linux:
// kernel/posix-timers.c, kernel/itimer.c, fs/timerfd.c. Context: process. No locks of its own.

#include "time/posix_timers.h"
#include "fs/timerfd.h"
#include "sched/process.h"
#include "syscall/time.h"

namespace
{
constexpr int ITIMER_REAL = 0, ITIMER_PROF = 2;

/// struct sigevent of x86_64.
struct user_sigevent {
    u64 value;
    s32 signo, notify, thread, pad[11];
};
static_assert(sizeof(user_sigevent) == 64);

result<u64> timespec_ns(const kernel_timespec &t)
{
    if (t.sec < 0 || t.nsec < 0 || t.nsec >= static_cast<s64>(NSEC_PER_SEC))
        return error{EINVAL};
    if (static_cast<u64>(t.sec) >= KTIME_MAX / NSEC_PER_SEC)
        return KTIME_MAX;
    return static_cast<u64>(t.sec) * NSEC_PER_SEC + static_cast<u64>(t.nsec);
}

result<itimer_ns> get_itimerspec(user_ptr<const kernel_itimerspec> from)
{
    kernel_itimerspec t;
    TRY_VOID(copy_from_user(&t, from.cast<const void>(), sizeof(t)));
    itimer_ns ns;
    ns.interval = TRY(timespec_ns(t.interval));
    ns.value = TRY(timespec_ns(t.value));
    return ns;
}

result<void> put_itimerspec(user_ptr<kernel_itimerspec> to, const itimer_ns &ns)
{
    return put_user(to, kernel_itimerspec{ns_to_timespec(ns.interval), ns_to_timespec(ns.value)});
}

result<timer_event> get_event(user_ptr<const void> from)
{
    constexpr s32 SIGEV_SIGNAL = 0, SIGEV_NONE = 1, SIGEV_THREAD = 2, SIGEV_THREAD_ID = 4;
    if (!from)
        return timer_event{false, static_cast<s32>(SIGALRM), 0, true, 0};
    user_sigevent e;
    TRY_VOID(copy_from_user(&e, from, sizeof(e)));
    bool thread = e.notify & SIGEV_THREAD_ID;
    s32 kind = e.notify & ~SIGEV_THREAD_ID;
    if ((kind != SIGEV_SIGNAL && kind != SIGEV_NONE && kind != SIGEV_THREAD) ||
        (thread && (kind != SIGEV_SIGNAL || e.thread <= 0)))
        return error{EINVAL};
    return timer_event{kind == SIGEV_NONE, e.signo, e.value, false, thread ? e.thread : 0};
}

bool valid(const kernel_timeval &tv)
{
    return tv.sec >= 0 && tv.usec >= 0 && tv.usec < 1'000'000;
}

u64 timeval_ns(const kernel_timeval &tv)
{
    if (static_cast<u64>(tv.sec) >= KTIME_MAX / NSEC_PER_SEC)
        return KTIME_MAX;
    return static_cast<u64>(tv.sec) * NSEC_PER_SEC + static_cast<u64>(tv.usec) * NSEC_PER_USEC;
}

/// Rounded up: a running timer never shows zero.
kernel_timeval ns_to_timeval_up(u64 ns)
{
    u64 us = (ns + NSEC_PER_USEC - 1) / NSEC_PER_USEC;
    return {static_cast<s64>(us / 1'000'000), static_cast<s64>(us % 1'000'000)};
}
} // namespace

result<void> sys_timer_create(s32 clock, user_ptr<const void> event, user_ptr<s32> id)
{
    timer_event e = TRY(get_event(event));
    s32 made = TRY(posix_timer_create(clock, e));
    auto r = put_user(id, made);
    if (!r)
        (void)posix_timer_delete(made).err();
    return r;
}

result<void> sys_timer_settime(s32 id, int flags, user_ptr<const kernel_itimerspec> to,
                               user_ptr<kernel_itimerspec> old)
{
    if (!to)
        return error{EINVAL};
    itimer_ns ns = TRY(get_itimerspec(to));
    itimer_ns before = TRY(posix_timer_settime(id, flags & TIMER_ABSTIME, ns));
    if (old)
        return put_itimerspec(old, before);
    return {};
}

result<void> sys_timer_gettime(s32 id, user_ptr<kernel_itimerspec> value)
{
    return put_itimerspec(value, TRY(posix_timer_gettime(id)));
}

result<s32> sys_timer_getoverrun(s32 id)
{
    return posix_timer_getoverrun(id);
}

result<void> sys_timer_delete(s32 id)
{
    return posix_timer_delete(id);
}

result<u32> sys_alarm(u32 seconds)
{
    u64 left, interval;
    set_real_timer(u64{seconds} * NSEC_PER_SEC, 0, &left, &interval);
    // Rounded to the nearest second, but never to "none was set".
    u64 s = (left + NSEC_PER_SEC / 2) / NSEC_PER_SEC;
    return static_cast<u32>(left && !s ? 1 : s);
}

result<void> sys_setitimer(int which, u64 value, user_ptr<kernel_itimerval> old)
{
    kernel_itimerval v{};
    if (value)
        TRY_VOID(get_user(v, user_ptr<kernel_itimerval>{value}));
    if (which < ITIMER_REAL || which > ITIMER_PROF || !valid(v.value) || !valid(v.interval))
        return error{EINVAL};
    itimer_ns to{timeval_ns(v.interval), timeval_ns(v.value)}, before;
    if (which == ITIMER_REAL)
        set_real_timer(to.value, to.interval, &before.value, &before.interval);
    else
        set_cpu_itimer(which, to, &before);
    if (!old)
        return {};
    return put_user(
        old, kernel_itimerval{ns_to_timeval_up(before.interval), ns_to_timeval_up(before.value)});
}

result<void> sys_getitimer(int which, user_ptr<kernel_itimerval> value)
{
    itimer_ns now;
    if (which < ITIMER_REAL || which > ITIMER_PROF)
        return error{EINVAL};
    if (which == ITIMER_REAL)
        get_real_timer(&now.value, &now.interval);
    else
        now = get_cpu_itimer(which);
    return put_user(value,
                    kernel_itimerval{ns_to_timeval_up(now.interval), ns_to_timeval_up(now.value)});
}

result<int> sys_timerfd_create(s32 clock, u32 flags)
{
    return do_timerfd_create(clock, flags);
}

result<void> sys_timerfd_settime(int fd, u32 flags, user_ptr<const kernel_itimerspec> to,
                                 user_ptr<kernel_itimerspec> old)
{
    itimer_ns ns = TRY(get_itimerspec(to));
    itimer_ns before = TRY(do_timerfd_settime(fd, flags, ns));
    if (old)
        return put_itimerspec(old, before);
    return {};
}

result<void> sys_timerfd_gettime(int fd, user_ptr<kernel_itimerspec> value)
{
    return put_itimerspec(value, TRY(do_timerfd_gettime(fd)));
}

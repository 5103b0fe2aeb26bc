// SPDX-License-Identifier: MIT
// Clocks, sleeping, interval timers. Linux: kernel/posix-timers.c, kernel/time.c, kernel/hrtimer.c,
// kernel/itimer.c. Context: process. No locks of its own.

#include "syscall/time.h"
#include "sched/process.h"
#include "syscall/rusage.h"

namespace
{
constexpr s32 CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1, CLOCK_PROCESS_CPUTIME_ID = 2,
              CLOCK_THREAD_CPUTIME_ID = 3, CLOCK_MONOTONIC_RAW = 4, CLOCK_REALTIME_COARSE = 5,
              CLOCK_MONOTONIC_COARSE = 6, CLOCK_BOOTTIME = 7;
constexpr int TIMER_ABSTIME = 1;
constexpr int ITIMER_REAL = 0;
constexpr u64 NEVER = ~u64{0} - 1;

/// CPU time of the current thread, up to this moment.
u64 thread_cputime()
{
    irq_guard g;
    account_time_switch(CPUTIME_SYSTEM); // charge what has run since
    return current()->utime + current()->stime;
}

u64 process_cputime()
{
    (void)thread_cputime();
    u64 utime, stime;
    process_times(current(), &utime, &stime);
    return utime + stime;
}

result<u64> read_clock(s32 clock)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        return ktime_get_real();
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
        return ktime_get();
    case CLOCK_PROCESS_CPUTIME_ID:
        return process_cputime();
    case CLOCK_THREAD_CPUTIME_ID:
        return thread_cputime();
    default:
        return error{EINVAL};
    }
}

u64 saturating_add(u64 a, u64 b)
{
    return a + b < a || a + b > NEVER ? NEVER : a + b;
}

/// Sleep until ktime `expires`. `rem` (0: none) gets what is left when a signal came.
result<void> sleep_until(u64 expires, u64 rem_addr)
{
    for (;;) {
        if (signal_pending())
            break;
        set_current_state(TASK_INTERRUPTIBLE);
        if (ktime_get() >= expires || schedule_hrtimeout(expires) == 0) {
            set_current_state(TASK_RUNNING);
            return {};
        }
    }
    if (rem_addr) {
        u64 now = ktime_get();
        TRY_VOID(put_user(user_ptr<kernel_timespec>{rem_addr},
                          ns_to_timespec(expires > now ? expires - now : 0)));
    }
    return error{EINTR};
}

u64 timeval_ns(const kernel_timeval &tv)
{
    return static_cast<u64>(tv.sec) * NSEC_PER_SEC + static_cast<u64>(tv.usec) * NSEC_PER_USEC;
}
kernel_timeval ns_to_timeval(u64 ns)
{
    return {static_cast<s64>(ns / NSEC_PER_SEC),
            static_cast<s64>(ns % NSEC_PER_SEC / NSEC_PER_USEC)};
}
bool valid(const kernel_timeval &tv)
{
    return tv.sec >= 0 && tv.usec >= 0 && tv.usec < 1'000'000 &&
           static_cast<u64>(tv.sec) < NEVER / NSEC_PER_SEC;
}
} // namespace

result<u64> get_timespec_ns(u64 user_addr)
{
    kernel_timespec ts;
    TRY_VOID(get_user(ts, user_ptr<kernel_timespec>{user_addr}));
    if (ts.sec < 0 || ts.nsec < 0 || ts.nsec >= static_cast<s64>(NSEC_PER_SEC))
        return error{EINVAL};
    if (static_cast<u64>(ts.sec) >= NEVER / NSEC_PER_SEC)
        return NEVER;
    return static_cast<u64>(ts.sec) * NSEC_PER_SEC + static_cast<u64>(ts.nsec);
}

kernel_timespec ns_to_timespec(u64 ns)
{
    return {static_cast<s64>(ns / NSEC_PER_SEC), static_cast<s64>(ns % NSEC_PER_SEC)};
}

result<void> sys_clock_gettime(s32 clock, user_ptr<kernel_timespec> ts)
{
    return put_user(ts, ns_to_timespec(TRY(read_clock(clock))));
}

result<void> sys_clock_settime(s32 clock, user_ptr<kernel_timespec> ts)
{
    if (clock != CLOCK_REALTIME)
        return error{EINVAL};
    u64 ns = TRY(get_timespec_ns(ts.addr()));
    if (current()->euid)
        return error{EPERM};
    ktime_set_real(ns);
    return {};
}

result<void> sys_clock_getres(s32 clock, user_ptr<kernel_timespec> ts)
{
    (void)TRY(read_clock(clock));
    if (!ts)
        return {};
    bool coarse = clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE;
    return put_user(ts, kernel_timespec{0, coarse ? s64{NSEC_PER_SEC / HZ} : 1});
}

result<void> sys_nanosleep(u64 req, user_ptr<kernel_timespec> rem)
{
    u64 ns = TRY(get_timespec_ns(req));
    return sleep_until(saturating_add(ktime_get(), ns), rem.addr());
}

result<void> sys_clock_nanosleep(s32 clock, int flags, u64 req, user_ptr<kernel_timespec> rem)
{
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME)
        return error{clock == CLOCK_PROCESS_CPUTIME_ID ? EOPNOTSUPP : EINVAL};
    u64 ns = TRY(get_timespec_ns(req));
    if (!(flags & TIMER_ABSTIME))
        return sleep_until(saturating_add(ktime_get(), ns), rem.addr());
    if (clock == CLOCK_REALTIME) {
        u64 now = ktime_get_real();
        ns = ns > now ? saturating_add(ktime_get(), ns - now) : 0;
    }
    return sleep_until(ns, 0);
}

result<void> sys_gettimeofday(user_ptr<kernel_timeval> tv, user_ptr<u64> tz)
{
    if (tv)
        TRY_VOID(put_user(tv, ns_to_timeval(ktime_get_real())));
    if (tz)
        TRY_VOID(put_user(tz, u64{0})); // two ints: UTC, no DST
    return {};
}

result<void> sys_settimeofday(user_ptr<kernel_timeval> tv, user_ptr<u64>)
{
    if (!tv)
        return {};
    kernel_timeval v;
    TRY_VOID(get_user(v, tv));
    if (!valid(v))
        return error{EINVAL};
    if (current()->euid)
        return error{EPERM};
    ktime_set_real(timeval_ns(v));
    return {};
}

result<s64> sys_time(user_ptr<s64> t)
{
    s64 now = static_cast<s64>(ktime_get_real() / NSEC_PER_SEC);
    if (t)
        TRY_VOID(put_user(t, now));
    return now;
}

result<s64> sys_times(user_ptr<void> buf)
{
    constexpr u64 TICK = NSEC_PER_SEC / 100;
    if (buf) {
        (void)thread_cputime();
        signal_state *s = current()->signal;
        u64 utime, stime;
        process_times(current(), &utime, &stime);
        u64 t[4] = {utime / TICK, stime / TICK, s->cutime / TICK, s->cstime / TICK};
        TRY_VOID(copy_to_user(buf, t, sizeof(t)));
    }
    return static_cast<s64>(ktime_get() / TICK);
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
    if (which != ITIMER_REAL || !valid(v.value) || !valid(v.interval))
        return error{EINVAL};
    u64 left, interval;
    set_real_timer(timeval_ns(v.value), timeval_ns(v.interval), &left, &interval);
    if (!old)
        return {};
    return put_user(old, kernel_itimerval{ns_to_timeval(interval), ns_to_timeval(left)});
}

result<void> sys_getitimer(int which, user_ptr<kernel_itimerval> value)
{
    if (which != ITIMER_REAL)
        return error{EINVAL};
    hrtimer &t = current()->signal->real_timer;
    u64 now = ktime_get(), expires = read_once(t.expires);
    u64 left = read_once(t.queued) ? (expires > now ? expires - now : 1) : 0;
    return put_user(value, kernel_itimerval{ns_to_timeval(current()->signal->real_interval),
                                            ns_to_timeval(left)});
}

user_rusage make_rusage(const child_usage &u)
{
    user_rusage r{};
    kernel_timeval ut = ns_to_timeval(u.utime), st = ns_to_timeval(u.stime);
    r.utime[0] = ut.sec;
    r.utime[1] = ut.usec;
    r.stime[0] = st.sec;
    r.stime[1] = st.usec;
    r.maxrss = static_cast<s64>(u.maxrss * (PAGE_SIZE / 1024));
    r.nvcsw = static_cast<s64>(u.nvcsw);
    r.nivcsw = static_cast<s64>(u.nivcsw);
    return r;
}

result<void> sys_getrusage(int who, user_ptr<void> usage)
{
    constexpr int RUSAGE_SELF = 0, RUSAGE_CHILDREN = -1, RUSAGE_THREAD = 1;
    task_struct *t = current();
    signal_state *s = t->signal;
    (void)thread_cputime();
    child_usage u{};
    u64 nv = t->nvcsw.load(std::memory_order_relaxed),
        ni = t->nivcsw.load(std::memory_order_relaxed);
    switch (who) {
    case RUSAGE_SELF:
        process_times(t, &u.utime, &u.stime);
        u.nvcsw = s->nvcsw + nv;
        u.nivcsw = s->nivcsw + ni;
        u.maxrss = max(s->maxrss, mm_rss(t->mm));
        break;
    case RUSAGE_CHILDREN:
        u = {s->cutime, s->cstime, s->cmaxrss, 0, 0};
        break;
    case RUSAGE_THREAD:
        u = {t->utime, t->stime, mm_rss(t->mm), nv, ni};
        break;
    default:
        return error{EINVAL};
    }
    user_rusage r = make_rusage(u);
    return copy_to_user(usage, &r, sizeof(r));
}

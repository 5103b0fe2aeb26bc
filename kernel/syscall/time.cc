// SPDX-License-Identifier: MIT
// Clocks, sleeping, interval timers. Linux: kernel/posix-timers.c, kernel/time.c, kernel/hrtimer.c,
// kernel/itimer.c. Context: process. No locks of its own.

#include "syscall/time.h"
#include "sched/process.h"
#include "time/alarm_clocks.h"
#include "time/posix_timers.h"

namespace
{
constexpr u64 NEVER = KTIME_MAX;

u64 saturating_add(u64 a, u64 b)
{
    return a + b < a || a + b > NEVER ? NEVER : a + b;
}

/// What an interrupted relative sleep needs to go on: restart_block.arg.
enum sleep_arg { EXPIRES, REMAINDER, CLOCK };

result<void> sleep_on_clock(s32 clock, u64 expires);
s64 restart_sleep(restart_block *r);

/// Sleep until `expires` on `clock` (monotonic scale but for CPU clocks). EINTR.
result<void> sleep_on_clock(s32 clock, u64 expires)
{
    if (is_cpu_clock(clock)) {
        cpu_clock c = TRY(find_cpu_clock(clock));
        int err = cpu_clock_sleep(c, expires);
        put_task(c.task);
        return err ? result<void>{error{EINTR}} : result<void>{};
    }
    for (;;) {
        if (signal_pending())
            return error{EINTR};
        set_current_state(TASK_INTERRUPTIBLE);
        if (ktime_get() >= expires || schedule_hrtimeout(expires) == 0) {
            set_current_state(TASK_RUNNING);
            return {};
        }
    }
}

u64 sleep_clock_now(s32 clock)
{
    auto now = is_cpu_clock(clock) ? posix_clock_read(clock) : result<u64>{ktime_get()};
    return now ? *now : 0;
}

/// A relative sleep; a signal without a handler (stop and continue) does not end it.
result<void> relative_sleep(s32 clock, u64 expires, u64 rem_addr)
{
    auto r = sleep_on_clock(clock, expires);
    if (r)
        return r;
    if (rem_addr) {
        u64 now = sleep_clock_now(clock);
        TRY_VOID(put_user(user_ptr<kernel_timespec>{rem_addr},
                          ns_to_timespec(expires > now ? expires - now : 0)));
    }
    restart_block &b = current()->sig.restart_at;
    b.fn = restart_sleep;
    b.arg[EXPIRES] = expires;
    b.arg[REMAINDER] = rem_addr;
    b.arg[CLOCK] = static_cast<u64>(static_cast<s64>(clock));
    return error{ERESTART_RESTARTBLOCK};
}

s64 restart_sleep(restart_block *r)
{
    return -static_cast<s64>(
        relative_sleep(static_cast<s32>(r->arg[CLOCK]), r->arg[EXPIRES], r->arg[REMAINDER]).err());
}

/// Sleep on a wall clock: setting it moves the end.
result<void> sleep_until_real(u64 real)
{
    for (;;) {
        hrtimer_wake w{current()};
        hrtimer_start_real(&w.timer, real);
        set_current_state(TASK_INTERRUPTIBLE);
        if (ktime_get_real() < real && !signal_pending())
            schedule();
        set_current_state(TASK_RUNNING);
        hrtimer_cancel(&w.timer);
        if (ktime_get_real() >= real)
            return {};
        if (signal_pending())
            return error{ERESTARTNOHAND};
    }
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
    return put_user(ts, ns_to_timespec(TRY(posix_clock_read(clock))));
}

result<void> sys_clock_settime(s32 clock, user_ptr<kernel_timespec> ts)
{
    if (clock != CLOCK_REALTIME)
        return error{EINVAL};
    u64 ns = TRY(get_timespec_ns(ts.addr()));
    if (!capable(CAP_SYS_TIME))
        return error{EPERM};
    ktime_set_real(ns);
    return {};
}

result<void> sys_clock_getres(s32 clock, user_ptr<kernel_timespec> ts)
{
    (void)TRY(posix_clock_read(clock));
    if (!ts)
        return {};
    bool coarse = clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE;
    return put_user(ts, kernel_timespec{0, coarse ? s64{NSEC_PER_SEC / HZ} : 1});
}

result<void> sys_nanosleep(u64 req, user_ptr<kernel_timespec> rem)
{
    u64 ns = TRY(get_timespec_ns(req));
    return relative_sleep(CLOCK_MONOTONIC, saturating_add(ktime_get(), ns), rem.addr());
}

result<void> sys_clock_nanosleep(s32 clock, int flags, u64 req, user_ptr<kernel_timespec> rem)
{
    if (is_alarm_clock(clock) && !capable(CAP_WAKE_ALARM))
        return error{EPERM};
    clock = alarm_base(clock);
    bool real = clock == CLOCK_REALTIME || clock == CLOCK_TAI;
    if (clock == CLOCK_THREAD_CPUTIME_ID ||
        (is_cpu_clock(clock) && (clock & ~7) == ~7 && (clock & 4)))
        return error{EINVAL}; // a thread cannot sleep on its own time
    if (!is_cpu_clock(clock) && !real && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME) {
        bool known = clock >= CLOCK_MONOTONIC_RAW && clock <= CLOCK_MONOTONIC_COARSE;
        return error{known ? EOPNOTSUPP : EINVAL};
    }
    u64 ns = TRY(get_timespec_ns(req));
    bool absolute = flags & TIMER_ABSTIME;
    if (real && absolute)
        return sleep_until_real(ns);
    s32 on = is_cpu_clock(clock) ? clock : CLOCK_MONOTONIC;
    if (!absolute) {
        u64 now = is_cpu_clock(clock) ? TRY(posix_clock_read(clock)) : ktime_get();
        return relative_sleep(on, saturating_add(now, ns), rem.addr());
    }
    auto r = sleep_on_clock(on, ns);
    return r.err() == EINTR ? result<void>{error{ERESTARTNOHAND}} : r;
}

result<s64> sys_restart_syscall()
{
    restart_block &b = current()->sig.restart_at;
    auto *fn = b.fn;
    b.fn = nullptr;
    s64 r = fn ? fn(&b) : -EINTR;
    if (r < 0)
        return error{static_cast<errno_t>(-r)};
    return r;
}

namespace
{
/// Kept for programs; the kernel's own times are UTC.
timezone_abi sys_tz;
} // namespace

result<void> sys_gettimeofday(user_ptr<kernel_timeval> tv, user_ptr<timezone_abi> tz)
{
    if (tv)
        TRY_VOID(put_user(tv, ns_to_timeval(ktime_get_real())));
    if (tz)
        TRY_VOID(put_user(tz, sys_tz));
    return {};
}

result<void> sys_settimeofday(user_ptr<kernel_timeval> tv, user_ptr<timezone_abi> tz)
{
    constexpr s32 MOST_MINUTES = 15 * 60; // from UTC
    kernel_timeval v{};
    timezone_abi zone;
    if (tv)
        TRY_VOID(get_user(v, tv));
    if (tz)
        TRY_VOID(get_user(zone, tz));
    if (tv && !valid(v))
        return error{EINVAL};
    if (!capable(CAP_SYS_TIME))
        return error{EPERM};
    if (tz) {
        if (zone.minuteswest > MOST_MINUTES || zone.minuteswest < -MOST_MINUTES)
            return error{EINVAL};
        sys_tz = zone;
    }
    if (tv)
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
        signal_state *s = current()->signal;
        u64 utime, stime;
        process_times(current(), &utime, &stime);
        u64 t[4] = {utime / TICK, stime / TICK, s->cutime / TICK, s->cstime / TICK};
        TRY_VOID(copy_to_user(buf, t, sizeof(t)));
    }
    return static_cast<s64>(ktime_get() / TICK);
}

namespace
{
/// struct timex of x86_64.
struct user_timex {
    u32 modes, pad;
    s64 offset, freq, maxerror, esterror;
    s32 status, pad2;
    s64 constant, precision, tolerance;
    kernel_timeval time;
    s64 tick, ppsfreq, jitter;
    s32 shift, pad3;
    s64 stabil, jitcnt, calcnt, errcnt, stbcnt;
    s32 tai, pad4[11];
};
static_assert(sizeof(user_timex) == 208);
} // namespace

/// Reading only: nothing disciplines the clock here, it runs at the TSC's measured rate.
result<s64> sys_adjtimex(user_ptr<void> buf)
{
    constexpr s32 STA_UNSYNC = 0x40;
    constexpr s64 TIME_ERROR = 5, TICK_US = 10'000, PHASE_LIMIT_US = 16'000'000,
                  MAX_FREQ = 500 * 65536;
    user_timex t;
    TRY_VOID(copy_from_user(&t, buf.cast<const void>(), sizeof(t)));
    if (t.modes && !capable(CAP_SYS_TIME))
        return error{EPERM};
    if (t.modes)
        return error{EINVAL};
    t = {};
    t.maxerror = t.esterror = PHASE_LIMIT_US;
    t.status = STA_UNSYNC;
    t.constant = 2;
    t.precision = 1;
    t.tolerance = MAX_FREQ;
    t.time = ns_to_timeval(ktime_get_real());
    t.tick = TICK_US;
    TRY_VOID(copy_to_user(buf, &t, sizeof(t)));
    return TIME_ERROR;
}

result<s64> sys_clock_adjtime(s32 clock, user_ptr<void> buf)
{
    (void)TRY(posix_clock_read(clock));
    if (clock != CLOCK_REALTIME)
        return error{EOPNOTSUPP};
    return sys_adjtimex(buf);
}

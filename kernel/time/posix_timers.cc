// SPDX-License-Identifier: MIT
// Timers of timer_create(2). Linux: kernel/posix-timers.c.
//
// A timer that fired stops; a periodic one starts again when its signal is taken (or at once when the
// signal is ignored), counting what it missed: no period is short enough to occupy the CPU.
//
// Contexts: process, but for timer_fired (hard IRQ). Locks: signal_state.timer_mutex for the list and
// for changes; tasklist_lock → signal_state.lock for what the expiry touches. Freed by delete and
// exit_itimers, after the hrtimer is off.

#include "time/posix_timers.h"
#include "mm/slab.h"
#include "sched/cred.h"
#include "sched/process.h"
#include "time/alarm_clocks.h"

namespace
{
constexpr u64 MIN_IGNORED_INTERVAL = NSEC_PER_SEC / HZ;

bool is_real(s32 clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_TAI;
}

/// Move t->expires beyond `now`; returns the periods passed.
u64 forward(k_itimer *t, u64 now)
{
    if (t->expires > now)
        return 0;
    u64 n = (now - t->expires) / t->interval + 1;
    t->expires += n * t->interval;
    return n;
}

void add_overrun(k_itimer *t, u64 n)
{
    u64 sum = static_cast<u64>(t->overrun) + n;
    t->overrun = static_cast<s32>(min<u64>(sum, INT32_MAX));
}

/// Time now on the timer's clock.
u64 clock_now(const k_itimer *t)
{
    return is_real(t->clock) ? ktime_get_real() : ktime_get();
}

void start(k_itimer *t)
{
    if (t->none)
        return;
    if (is_cpu_clock(t->clock)) {
        spin_guard<irqsave> tl{tasklist_lock};
        spin_guard<plain> g{t->owner->lock};
        cpu_timer_arm(t, t->expires);
        update_cpu_ticks(t->owner);
    } else if (is_real(t->clock)) {
        hrtimer_start_real(&t->timer, t->expires);
    } else {
        hrtimer_start(&t->timer, t->expires);
    }
}

void stop(k_itimer *t)
{
    if (is_cpu_clock(t->clock)) {
        spin_guard<irqsave> g{t->owner->lock};
        cpu_timer_disarm(t);
    } else {
        hrtimer_cancel(&t->timer);
    }
}

/// Expiry of a timer on a wall or monotonic clock. Returns when to look again.
u64 timer_fired(hrtimer *h)
{
    k_itimer *t = container_of(h, k_itimer, timer);
    spin_guard<irqsave> tl{tasklist_lock};
    signal_state *s = t->owner;
    task_struct *p = t->target ? t->target : s->owner;
    if (!p || p->signal != s)
        return 0;
    spin_guard<plain> g{s->lock};
    int sent = send_sigqueue(p, s, t->queue, !t->target);
    t->waiting = sent == 0;
    if (sent != 1 || !t->interval)
        return 0;
    // Ignored: nobody will take it. Go on, but not faster than the clock's tick.
    u64 now = clock_now(t);
    add_overrun(t, forward(t, now));
    u64 next = max(t->expires - now, MIN_IGNORED_INTERVAL);
    return ktime_get() + next;
}

k_itimer *find_timer(s32 id)
{
    for (k_itimer &t : current()->signal->posix_timers)
        if (t.id == id)
            return &t;
    return nullptr;
}

void free_timer(k_itimer *t)
{
    stop(t);
    if (t->queue)
        sigqueue_release(t->owner, t->queue);
    if (t->target)
        put_task(t->target);
    if (t->cpu.task)
        put_task(t->cpu.task);
    kdelete(t);
}

result<void> set_target(k_itimer *t, const timer_event &e)
{
    if (e.none)
        return {};
    if (e.signo < 1 || e.signo > static_cast<s32>(NSIG))
        return error{EINVAL};
    if (!e.thread)
        return {};
    task_struct *to = find_get_task(e.thread);
    if (to && to->tgid != current()->tgid) {
        put_task(to);
        to = nullptr;
    }
    if (!to)
        return error{EINVAL};
    t->target = to;
    return {};
}

result<void> set_clock(k_itimer *t, s32 clock)
{
    if (is_alarm_clock(clock) && !capable(CAP_WAKE_ALARM))
        return error{EPERM};
    clock = alarm_base(clock);
    t->clock = clock;
    if (!is_cpu_clock(clock)) {
        bool known = clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC ||
                     clock == CLOCK_BOOTTIME || clock == CLOCK_TAI;
        if (known)
            return {};
        return error{clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_REALTIME_COARSE ||
                             clock == CLOCK_MONOTONIC_COARSE
                         ? EOPNOTSUPP
                         : EINVAL};
    }
    t->cpu = TRY(find_cpu_clock(clock));
    return {};
}

/// What is left and the interval; brings a periodic timer of which nobody is told up to date.
itimer_ns remaining(k_itimer *t)
{
    u64 now = is_cpu_clock(t->clock) ? cpu_clock_sample(t->cpu) : clock_now(t);
    if (!t->expires)
        return {t->interval, 0};
    u64 expires = t->expires;
    if (t->interval && (t->waiting || t->none) && expires <= now)
        expires += ((now - expires) / t->interval + 1) * t->interval;
    if (expires > now)
        return {t->interval, expires - now};
    // Due: SIGEV_NONE shows 0, the others never do while they wait for their signal to be sent.
    return {t->interval, u64{!t->none && (t->interval || t->cpu_node.linked() || t->timer.queued)}};
}
} // namespace

k_itimer::k_itimer() : timer{timer_fired} {}
k_itimer::~k_itimer() = default;

s32 posix_timer_id(const k_itimer *t)
{
    return t->id;
}

result<s32> posix_timer_create(s32 clock, const timer_event &e)
{
    signal_state *s = current()->signal;
    auto *t = knew<k_itimer>(GFP_KERNEL);
    if (!t)
        return error{EAGAIN};
    t->owner = s;
    t->none = e.none;
    auto ok = set_clock(t, clock);
    if (ok)
        ok = set_target(t, e);
    if (ok && !(t->queue = sigqueue_alloc_timer(t)))
        ok = error{EAGAIN};
    if (!ok) {
        free_timer(t);
        return ok.fail();
    }
    s->timer_mutex.lock();
    do {
        t->id = s->next_timer_id;
        s->next_timer_id = s->next_timer_id == INT32_MAX ? 0 : s->next_timer_id + 1;
    } while (find_timer(t->id));
    kernel_siginfo &info = t->queue->info;
    info.signo = e.none ? 0 : e.signo;
    info.code = SI_TIMER;
    info.timer.id = t->id;
    info.timer.value = e.value_is_id ? static_cast<u64>(t->id) : e.value;
    s->posix_timers.push_back(*t);
    s32 id = t->id;
    s->timer_mutex.unlock();
    return id;
}

result<itimer_ns> posix_timer_settime(s32 id, bool absolute, const itimer_ns &to)
{
    mutex_guard g{current()->signal->timer_mutex};
    k_itimer *t = find_timer(id);
    if (!t)
        return error{EINVAL};
    itimer_ns old = remaining(t);
    stop(t);
    t->waiting = false;
    t->overrun = t->overrun_last = 0;
    t->interval = to.interval;
    t->expires = to.value;
    if (!to.value)
        return old;
    if (!absolute) {
        u64 now = is_cpu_clock(t->clock) ? cpu_clock_sample(t->cpu) : clock_now(t);
        t->expires = min(now + to.value, KTIME_MAX);
    }
    start(t);
    return old;
}

result<itimer_ns> posix_timer_gettime(s32 id)
{
    mutex_guard g{current()->signal->timer_mutex};
    k_itimer *t = find_timer(id);
    if (!t)
        return error{EINVAL};
    return remaining(t);
}

result<s32> posix_timer_getoverrun(s32 id)
{
    mutex_guard g{current()->signal->timer_mutex};
    k_itimer *t = find_timer(id);
    if (!t)
        return error{EINVAL};
    return t->overrun_last;
}

result<void> posix_timer_delete(s32 id)
{
    mutex_guard g{current()->signal->timer_mutex};
    k_itimer *t = find_timer(id);
    if (!t)
        return error{EINVAL};
    t->node.unlink();
    free_timer(t);
    return {};
}

s32 posix_timer_rearm(s32 id)
{
    signal_state *s = current()->signal;
    mutex_guard g{s->timer_mutex};
    k_itimer *t = find_timer(id);
    if (!t || !t->waiting)
        return 0;
    t->waiting = false;
    if (!t->interval) {
        t->expires = 0;
        return 0;
    }
    u64 now = is_cpu_clock(t->clock) ? cpu_clock_sample(t->cpu) : clock_now(t);
    u64 periods = forward(t, now);
    add_overrun(t, periods ? periods - 1 : 0);
    t->overrun_last = t->overrun;
    t->overrun = 0;
    start(t);
    return t->overrun_last;
}

void exit_itimers(signal_state *s)
{
    mutex_guard g{s->timer_mutex};
    while (k_itimer *t = s->posix_timers.pop_front())
        free_timer(t);
}

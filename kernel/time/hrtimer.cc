// SPDX-License-Identifier: MIT
// High-resolution timers: one tree per CPU ordered by expiry, handlers in hard-IRQ context. Linux: kernel/hrtimer.c.
// base.lock protects the tree and the timers on it; it is dropped around a handler, which may re-arm its own timer.
#include "sched/sched.h"
#include "time/clockevent.h"
#include "time/timer.h"
#include "time/timer_base.h"
#include "trace/trace.h"

struct by_expires {
    bool operator()(const hrtimer &a, const hrtimer &b) const { return a.expires < b.expires; }
};

struct hrtimer_base {
    spinlock lock{"hrtimer_base"};
    hrtimer *running = nullptr;
    rbtree<hrtimer, &hrtimer::node, by_expires> timers;
};
static percpu<hrtimer_base> bases;

/// Lock the base that t shall be on, with t off every tree. IRQs off.
static hrtimer_base *move_here(hrtimer *t) NO_THREAD_SAFETY_ANALYSIS
{
    return move_timer_base(bases, t, [](hrtimer_base &b, hrtimer *timer) {
        if (timer->queued)
            b.timers.erase(*timer);
        timer->queued = false;
    });
}

static void enqueue(hrtimer_base &b, hrtimer *t, u64 expires)
{
    t->expires = expires;
    t->queued = true;
    b.timers.insert(*t);
}

/// Wall-clock time on the monotonic scale; what is past is due at once.
static u64 from_real(u64 real)
{
    u64 now = ktime_get(), offset = ktime_get_real() - now;
    return real > offset ? real - offset : 1;
}

static void start(hrtimer *t, u64 expires, bool real, u64 real_expires) NO_THREAD_SAFETY_ANALYSIS
{
    irq_guard g;
    hrtimer_base *b = move_here(t);
    t->real = real;
    t->real_expires = real_expires;
    enqueue(*b, t, expires);
    if (b == &*bases)
        clock_event_at_most(expires);
    // else: its handler runs there, and that CPU programs its device afterwards
    b->lock.unlock();
}

void hrtimer_start(hrtimer *t, u64 expires)
{
    start(t, expires, false, 0);
}

void hrtimer_start_real(hrtimer *t, u64 real_expires)
{
    start(t, from_real(real_expires), true, real_expires);
}

/// Put this CPU's timers that follow the wall clock to their new places. IRQs off.
static void rekey_timers(void *) NO_THREAD_SAFETY_ANALYSIS
{
    static percpu<u32> generations;
    hrtimer_base &b = *bases;
    u32 generation = ++*generations;
    b.lock.lock();
    for (hrtimer *t = b.timers.first(); t;) {
        if (!t->real || t->generation == generation) {
            t = b.timers.next(*t);
            continue;
        }
        b.timers.erase(*t);
        t->generation = generation;
        t->expires = from_real(t->real_expires);
        b.timers.insert(*t);
        t = b.timers.first(); // the order changed: from the start
    }
    hrtimer *first = b.timers.first();
    if (first)
        clock_event_at_most(first->expires);
    b.lock.unlock();
}

void hrtimers_clock_was_set()
{
    {
        irq_guard g;
        rekey_timers(nullptr);
    }
    smp_call_function(rekey_timers, nullptr);
}

bool hrtimer_cancel(hrtimer *t) NO_THREAD_SAFETY_ANALYSIS
{
    bool was_queued = false;
    for (;;) {
        irq_flags flags = local_irq_save();
        hrtimer_base *b = lock_timer_base(bases, t);
        bool running = false;
        if (b) {
            if (t->queued) {
                b->timers.erase(*t);
                t->queued = false;
                was_queued = true;
            }
            running = b->running == t;
            b->lock.unlock();
        }
        local_irq_restore(flags);
        if (!running)
            return was_queued;
        cpu_relax();
    }
}

void hrtimer_run(u64 now_ns) NO_THREAD_SAFETY_ANALYSIS
{
    hrtimer_base &b = *bases;
    b.lock.lock();
    for (hrtimer *t; (t = b.timers.first()) && t->expires <= now_ns;) {
        b.timers.erase(*t);
        t->queued = false;
        b.running = t;
        u64 (*f)(hrtimer *) = t->function;
        b.lock.unlock();
        trace(trace_event::hrtimer_expire, reinterpret_cast<void *>(f));
        u64 again = f(t);
        b.lock.lock();
        // A handler that returned 0 may have given its timer away (a sleeper's stack): do not touch it.
        if (again && !t->queued)
            enqueue(b, t, again);
        b.running = nullptr;
    }
    b.lock.unlock();
}

u64 hrtimer_next_event()
{
    hrtimer_base &b = *bases;
    spin_guard<plain> g{b.lock};
    hrtimer *t = b.timers.first();
    return t ? t->expires : ~u64{0};
}

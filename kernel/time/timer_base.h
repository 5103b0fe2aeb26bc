// SPDX-License-Identifier: MIT
// Which CPU's base a timer belongs to: the rule that the wheel (timer.cc) and hrtimers (hrtimer.cc) share. Linux:
// lock_timer_base(), switch_hrtimer_base(). A timer's `cpu` is the base it was last on, -1 before its first start, -2 while it
// moves; it changes under the lock of the base it leaves. All callers have IRQs off.
#pragma once

#include "lib/percpu.h"
#include "lib/spinlock.h"

constexpr s32 TIMER_NO_BASE = -1, TIMER_MOVING = -2;

/// Lock the base that t belongs to. Null, nothing locked: it never had one.
template <class Base, class Timer>
Base *lock_timer_base(percpu<Base> &bases, const Timer *t) NO_THREAD_SAFETY_ANALYSIS
{
    for (;;) {
        s32 cpu = read_once(t->cpu);
        if (cpu == TIMER_NO_BASE)
            return nullptr;
        if (cpu >= 0) {
            Base &b = bases.on(static_cast<unsigned>(cpu));
            b.lock.lock();
            if (t->cpu == cpu)
                return &b;
            b.lock.unlock();
        }
        cpu_relax();
    }
}

/// Take t off its base by unlink(base, t), and lock the base it shall be on: this CPU's, unless its handler is running
/// elsewhere (who waits for the handler must find it there).
template <class Base, class Timer, class F>
Base *move_timer_base(percpu<Base> &bases, Timer *t, F unlink) NO_THREAD_SAFETY_ANALYSIS
{
    s32 me = static_cast<s32>(smp_processor_id());
    Base &mine = *bases;
    Base *b;
    while (!(b = lock_timer_base(bases, t))) {
        s32 none = TIMER_NO_BASE;
        if (__atomic_compare_exchange_n(&t->cpu, &none, me, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
            mine.lock.lock();
            b = &mine;
            break;
        }
    }
    unlink(*b, t);
    if (b == &mine || b->running == t)
        return b;
    write_once(t->cpu, TIMER_MOVING);
    b->lock.unlock();
    mine.lock.lock();
    write_once(t->cpu, me);
    return &mine;
}

// SPDX-License-Identifier: MIT
// The per-CPU timer interrupt: there is no tick. The device is programmed for the earliest of hrtimers, wheel and the end of
// the running task's slice. Linux: kernel/time/tick-sched.c, hrtimer_interrupt(). Own CPU, IRQs off.
#include "time/clockevent.h"
#include "irq/irq.h"
#include "irq/softirq.h"
#include "lib/percpu.h"
#include "sched/rq.h"
#include "time/posix_timers.h"
#include "time/timer.h"

struct clock_event {
    u64 programmed = ~u64{0}; // the device will interrupt at or before this
    u64 interrupts = 0;
};
static percpu<clock_event> events;

/// The one place that knows all reasons for a timer interrupt.
static u64 next_event()
{
    return min(min(hrtimer_next_event(), wheel_next_event()), this_rq()->slice_end);
}

void clock_event_at_most(u64 ns)
{
    clock_event &e = *events;
    // Later than what is programmed: that interrupt will look again. Nothing is ever taken back, an early one is cheap.
    if (ns >= e.programmed)
        return;
    e.programmed = ns;
    arch_timer_program(ns);
}

void timer_interrupt(pt_regs *)
{
    irq_enter();
    constexpr unsigned LOCAL_TIMER_VECTOR = 236; // as Linux x86 prints it
    trace(trace_event::local_timer_entry, LOCAL_TIMER_VECTOR);
    clock_event &e = *events;
    e.interrupts++;
    e.programmed = ~u64{0};
    u64 now = arch_clock_ns();
    hrtimer_run(now);
    wheel_check(now);
    if (this_rq()->slice_end <= now)
        scheduler_tick();
    if (current()->cpu_timers.load(std::memory_order_relaxed)) [[unlikely]] {
        run_posix_cpu_timers();
        clock_event_at_most(now + NSEC_PER_SEC / HZ);
    }
    u64 next = next_event();
    if (next != ~u64{0})
        clock_event_at_most(next);
    trace(trace_event::local_timer_exit, LOCAL_TIMER_VECTOR);
    irq_exit();
}

u64 timer_irq_count(unsigned cpu)
{
    return read_once(events.on(cpu).interrupts);
}

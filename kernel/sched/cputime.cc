// SPDX-License-Identifier: MIT
// CPU time by class, exact to the clock: charged at every boundary between user, system, hard IRQ, softirq and idle.
// Linux: kernel/sched/cputime.c with CONFIG_VIRT_CPU_ACCOUNTING. Row R-17. Own CPU, IRQs off;
// at the entry of a system call they may be on, then an interrupt in between costs at most its own stretch.
#include "lib/percpu.h"
#include "lib/preempt.h"
#include "sched/rq.h"

struct cpu_times {
    u64 total[NR_CPUTIME];
    u64 last = 0; // when `cls` began
    cpu_time_class cls = CPUTIME_SYSTEM;
    cpu_time_class base = CPUTIME_SYSTEM; // what the interrupt interrupted
};
static percpu<cpu_times> times;

static inline void charge(cpu_times &t, u64 now, cpu_time_class to)
{
    u64 delta = now - t.last;
    if (static_cast<s64>(delta) < 0)
        [[unlikely]] { // an interrupt after `now` was read has charged beyond it
        delta = 0;
        now = t.last;
    }
    t.last = now;
    t.total[t.cls] += delta;
    if (t.cls == CPUTIME_SYSTEM)
        current()->stime += delta;
    else if (t.cls == CPUTIME_USER)
        current()->utime += delta;
    t.cls = to;
}

void account_at(u64 now, cpu_time_class to)
{
    charge(*times, now, to);
}

void account_time_switch(cpu_time_class to)
{
    charge(*times, arch_clock_ns(), to);
}

/// Called after preempt_count was raised for the interrupt.
void account_hardirq_enter()
{
    cpu_times &t = *times;
    if (t.cls != CPUTIME_SOFTIRQ)
        t.base = t.cls;
    charge(t, arch_clock_ns(), CPUTIME_IRQ);
}

void account_hardirq_exit()
{
    cpu_times &t = *times;
    charge(t, arch_clock_ns(), in_serving_softirq() ? CPUTIME_SOFTIRQ : t.base);
}

/// Straight from hard IRQ (base is known) or from process context. Returns the time, which the caller needs as well.
u64 account_softirq_enter()
{
    cpu_times &t = *times;
    if (t.cls != CPUTIME_IRQ)
        t.base = t.cls;
    u64 now = arch_clock_ns();
    charge(t, now, CPUTIME_SOFTIRQ);
    return now;
}

void account_softirq_exit()
{
    cpu_times &t = *times;
    charge(t, arch_clock_ns(), t.base);
}

u64 cpu_time(unsigned cpu, cpu_time_class c)
{
    cpu_times &t = times.on(cpu);
    u64 v = read_once(t.total[c]);
    // An idle CPU has not charged its current stretch yet.
    if (c == CPUTIME_IDLE && read_once(t.cls) == CPUTIME_IDLE) {
        s64 open = static_cast<s64>(arch_clock_ns() - read_once(t.last));
        v += open > 0 ? static_cast<u64>(open) : 0;
    }
    return v;
}

// SPDX-License-Identifier: MIT
// CPU time by class, exact to the clock: charged at every boundary between user, system, hard IRQ, softirq and idle, in cycles;
// nanoseconds are for those who ask. Linux: kernel/sched/cputime.c with CONFIG_VIRT_CPU_ACCOUNTING. Row R-17. Own CPU, IRQs off.
#include "sched/cputime.h"
#include "lib/preempt.h"
#include "sched/rq.h"

static void charge(cpu_times &t, cpu_time_class to)
{
    cpu_time_class ends = t.cls;
    u64 spent = next_stretch(t, to);
    t.total[ends] += spent;
    if (ends == CPUTIME_SYSTEM)
        current()->system_cycles += spent;
    else if (ends == CPUTIME_USER)
        current()->user_cycles += spent;
}

void account_begin()
{
    u64 now = arch_cycles();
    for (unsigned i = 0; i < NR_CPUS; i++) {
        cpu_times &t = arch_cpu_block(i)->time;
        t.last = now;
        t.cls = t.base = CPUTIME_SYSTEM;
    }
}

void account_time_switch(cpu_time_class to)
{
    charge(this_cpu()->time, to);
}

void account_current()
{
    irq_guard g;
    account_time_switch(CPUTIME_SYSTEM);
}

/// Called after preempt_count was raised for the interrupt.
void account_hardirq_enter()
{
    cpu_times &t = this_cpu()->time;
    if (t.cls != CPUTIME_SOFTIRQ)
        t.base = t.cls;
    charge(t, CPUTIME_IRQ);
}

void account_hardirq_exit()
{
    cpu_times &t = this_cpu()->time;
    charge(t, in_serving_softirq() ? CPUTIME_SOFTIRQ : t.base);
}

/// Straight from hard IRQ (base is known) or from process context.
u64 account_softirq_enter()
{
    cpu_times &t = this_cpu()->time;
    if (t.cls != CPUTIME_IRQ)
        t.base = t.cls;
    charge(t, CPUTIME_SOFTIRQ);
    return t.last;
}

void account_softirq_exit()
{
    cpu_times &t = this_cpu()->time;
    charge(t, t.base);
}

u64 cpu_time(unsigned cpu, cpu_time_class c)
{
    const cpu_times &t = arch_cpu_block(cpu)->time;
    u64 v = read_once(t.total[c]);
    // An idle CPU has not charged its current stretch yet.
    if (c == CPUTIME_IDLE && read_once(t.cls) == CPUTIME_IDLE) {
        s64 open = static_cast<s64>(arch_cycles() - read_once(t.last));
        v += open > 0 ? static_cast<u64>(open) : 0;
    }
    return arch_cycles_to_ns(v);
}

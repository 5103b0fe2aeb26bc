// SPDX-License-Identifier: MIT
// Softirqs: the pending word and its dispatcher, and the hard-IRQ entry and exit that lead to it. Linux: kernel/softirq.c.
// Everything here concerns the local CPU only, so IRQs off is all the locking there is. Rows R-06…R-08, B-07.
#include "irq/softirq.h"
#include "irq/irq.h"
#include "irq/ksoftirqd.h"
#include "lib/percpu.h"
#include "lib/printk.h"
#include "sched/cputime.h"

const char *const softirq_to_name[NR_SOFTIRQS] = {
    "HI",           "TIMER",   "NET_TX", "NET_RX",  "BLOCK",
    "BLOCK_IOPOLL", "TASKLET", "SCHED",  "HRTIMER", "RCU",
};
softirq_action softirq_vec[NR_SOFTIRQS];

struct softirq_counts {
    u64 n[NR_SOFTIRQS] = {};
};
static percpu<softirq_counts> counts;

u64 softirq_count(unsigned cpu, unsigned nr)
{
    return counts.on(cpu).n[nr];
}

void open_softirq(softirq_nr nr, void (*action)(), const char *name)
{
    softirq_vec[nr] = {action, name};
}

void raise_softirq_irqoff(softirq_nr nr)
{
    __raise_softirq_irqoff(nr);
    // In interrupt it runs on the way out; otherwise nobody would look at the word.
    if (!in_interrupt())
        wakeup_softirqd();
}

void raise_softirq(softirq_nr nr)
{
    irq_guard g;
    raise_softirq_irqoff(nr);
}

static void run_vector(u64 *count, unsigned nr, u32 pending)
{
    const softirq_action &a = softirq_vec[nr];
    count[nr]++;
    if (!a.action) [[unlikely]]
        return;
    trace(trace_event::softirq_entry, nr, a.name, pending);
    u32 before = preempt_count();
    a.action();
    trace(trace_event::softirq_exit, nr, a.name);
    if (preempt_count() != before) [[unlikely]] {
        pr_err("softirq %u %s left preempt_count %#x, was %#x\n", nr, a.name, preempt_count(),
               before);
        this_cpu()->preempt_count = before;
    }
}

/// Rounds over the pending word, vectors low to high, IRQs on while they run. IRQs off on entry and exit; not nested.
/// What is left after 10 rounds, 2 ms, or when a task waits for the CPU, is ksoftirqd's.
void __do_softirq()
{
    cpu_block *cpu = this_cpu();
    u32 pending = cpu->softirq_pending;
    cpu->preempt_count += SOFTIRQ_OFFSET;
    u64 start = account_softirq_enter();
    u64 *count = counts->n;
    for (unsigned round = 1;; round++) {
        cpu->softirq_pending = 0;
        local_irq_enable();
        for (u32 todo = pending; todo; todo &= todo - 1)
            run_vector(count, static_cast<unsigned>(__builtin_ctz(todo)), pending);
        local_irq_disable();
        pending = cpu->softirq_pending;
        if (!pending)
            break;
        if (round == MAX_SOFTIRQ_RESTART || read_once(cpu->need_resched) ||
            arch_cycles_to_ns(arch_cycles() - start) >= MAX_SOFTIRQ_TIME) {
            wakeup_softirqd();
            break;
        }
    }
    account_softirq_exit();
    cpu->preempt_count -= SOFTIRQ_OFFSET;
}

void do_softirq()
{
    if (in_interrupt())
        return;
    irq_guard g;
    if (this_cpu()->softirq_pending)
        __do_softirq();
}

void local_bh_enable()
{
    cpu_block *cpu = this_cpu();
    compiler_barrier();
    u32 left = cpu->preempt_count -= SOFTIRQ_DISABLE_OFFSET;
    if (cpu->softirq_pending && !(left & (SOFTIRQ_MASK | HARDIRQ_MASK))) [[unlikely]] {
#if SOFTNET_DEBUG
        WARN_ON_ONCE(irqs_disabled());
#endif
        do_softirq();
    }
}

void irq_enter()
{
    this_cpu()->preempt_count += HARDIRQ_OFFSET;
    account_hardirq_enter();
}

void irq_exit()
{
    cpu_block *cpu = this_cpu();
    cpu->preempt_count -= HARDIRQ_OFFSET;
    if (cpu->softirq_pending && !(cpu->preempt_count & (SOFTIRQ_MASK | HARDIRQ_MASK)))
        __do_softirq(); // charges the time since irq_enter itself
    else
        account_hardirq_exit();
}

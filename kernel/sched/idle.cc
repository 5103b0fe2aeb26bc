// SPDX-License-Identifier: MIT
// Idle tasks and the idle loop: no tick while idle, the CPU halts until the next timer or interrupt. Linux: kernel/cpu/idle.c.
#include "irq/softirq.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "sched/cputime.h"
#include "sched/rq.h"

alignas(task_struct) static u8 idle_storage[NR_CPUS][sizeof(task_struct)];

task_struct *idle_task(unsigned cpu)
{
    return run_queues[cpu].idle;
}

void sched_init()
{
    for (unsigned i = 0; i < NR_CPUS; i++) {
        auto *t = new (idle_storage[i]) task_struct;
        t->flags = PF_KTHREAD | PF_IDLE;
        t->cpu = i;
        t->cpus_allowed = u64{1} << i;
        t->on_cpu.store(1, std::memory_order_relaxed);
        snprintf(t->comm, sizeof(t->comm), "swapper/%u", i);
        run_queue *rq = cpu_rq(i);
        rq->cpu = i;
        rq->curr = rq->idle = t;
    }
    this_cpu()->current = cpu_rq(smp_processor_id())->idle;
    account_begin();
}

/// The boot CPU's first look at its queue, and that of each other CPU when it starts.
static void activate_this_cpu()
{
    run_queue *rq = this_rq();
    {
        spin_guard<irqsave> g{rq->lock};
        write_once(rq->active, 1);
    }
    cpu_active_mask.fetch_or(u64{1} << rq->cpu);
    smp_mb();
    this_cpu()->need_resched = 1; // tasks may have been queued before
}

void cpu_idle_loop()
{
    activate_this_cpu();
    local_irq_disable();
    account_time_switch(CPUTIME_IDLE); // from here on schedule() switches the class
    for (;;) {
        local_irq_disable();
        while (!need_resched()) {
            arch_halt(); // enables IRQs and waits, in one step
            local_irq_disable();
        }
        local_irq_enable();
        schedule();
    }
}

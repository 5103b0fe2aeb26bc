// SPDX-License-Identifier: MIT
// ksoftirqd/N: one bound thread per CPU that serves softirqs when interrupts leave too many behind. Linux: kernel/softirq.c.
// Rows B-02…B-04, R-07.
#include "irq/ksoftirqd.h"
#include "irq/softirq.h"
#include "lib/initcall.h"
#include "lib/percpu.h"
#include "sched/sched.h"

struct ksoftirqd_state {
    task_struct *task = nullptr;
    u64 runs = 0;
};
static percpu<ksoftirqd_state> state;

void wakeup_softirqd()
{
    task_struct *t = state->task;
    // Awake already: it will look at the word again before it sleeps.
    if (t && t->state.load(std::memory_order_relaxed) != TASK_RUNNING)
        wake_up_process(t);
}

static void run_ksoftirqd()
{
    local_irq_disable();
    u32 pending = this_cpu()->softirq_pending;
    if (pending) {
        state->runs++;
        trace(trace_event::ksoftirqd_run, smp_processor_id(), pending);
        __do_softirq();
    }
    local_irq_enable();
    cond_resched();
}

static void ksoftirqd_main(void *)
{
    for (;;) {
        set_current_state(TASK_INTERRUPTIBLE);
        if (!read_once(this_cpu()->softirq_pending))
            schedule();
        current()->state.store(TASK_RUNNING, std::memory_order_relaxed);
        run_ksoftirqd();
    }
}

/// Threads for all CPUs that are known and have none.
int spawn_ksoftirqd()
{
    for (unsigned cpu = 0; cpu < num_online_cpus(); cpu++) {
        ksoftirqd_state &s = state.on(cpu);
        if (s.task)
            continue;
        task_struct *t =
            kthread_create(ksoftirqd_main, nullptr, static_cast<int>(cpu), "ksoftirqd/%u", cpu);
        if (!t)
            return -ENOMEM;
        t->flags |= PF_KSOFTIRQD;
        s.task = t;
        wake_up_process(t);
    }
    return 0;
}
early_initcall(spawn_ksoftirqd);

/// CPUs that were not yet known at the early level.
static int spawn_ksoftirqd_smp()
{
    return spawn_ksoftirqd();
}
pure_initcall(spawn_ksoftirqd_smp);

u64 ksoftirqd_runs(unsigned cpu)
{
    return read_once(state.on(cpu).runs);
}

bool in_ksoftirqd()
{
    return (current()->flags & PF_KSOFTIRQD) && in_serving_softirq() && !in_irq();
}

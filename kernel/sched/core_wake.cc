// SPDX-License-Identifier: MIT
// Waking tasks: try_to_wake_up() and its first-time sibling. Linux: kernel/sched/core.c (try_to_wake_up, ttwu_queue).
// Any context. Order: p->pi_lock → rq->lock. Rows W-14, W-19.
#include "sched/rq.h"
#include "trace/trace.h"

static void trace_wakeup(task_struct *p, unsigned success)
{
    if (trace_enabled(trace_event::sched_wakeup)) [[unlikely]]
        trace(trace_event::sched_wakeup, p->pid, trace_comm(p->comm, 0), trace_comm(p->comm, 1),
              p->cpu, success);
}

/// p has not left its run queue yet: taking back its wish to sleep is enough. p->pi_lock held.
static bool wake_queued(task_struct *p) NO_THREAD_SAFETY_ANALYSIS
{
    run_queue *rq = lock_task_rq(p);
    bool queued = p->on_rq;
    if (queued) {
        if (p != rq->curr)
            check_preempt_curr(rq, p);
        p->state.store(TASK_RUNNING, std::memory_order_relaxed);
    }
    rq->lock.unlock();
    return queued;
}

/// Put p, which is on no queue and runs nowhere, on `cpu`'s queue. IRQs off.
static void queue_woken(task_struct *p, unsigned cpu)
{
    run_queue *rq = cpu_rq(cpu);
    spin_guard<plain> g{rq->lock};
    enqueue_task(rq, p, true);
    p->state.store(TASK_RUNNING, std::memory_order_relaxed);
    check_preempt_curr(rq, p);
}

int try_to_wake_up(task_struct *p, unsigned mode, int wake_flags)
{
    // The waker's stores (the condition) come before the look at the state; pairs with set_current_state().
    smp_mb();
    spin_guard<irqsave> g{p->pi_lock};
    if (!(p->state.load(std::memory_order_relaxed) & mode))
        return 0;
    smp_mb(); // state before on_rq: pairs with the order of schedule()
    if (read_once(p->on_rq) && wake_queued(p)) {
        trace_wakeup(p, 1);
        return 1;
    }
    // It is going to sleep on another CPU: wait until its registers are saved (row W-19).
    while (p->on_cpu.load(std::memory_order_acquire))
        cpu_relax();
    p->state.store(TASK_WAKING, std::memory_order_relaxed);
    unsigned cpu = select_task_rq(p, wake_flags);
    if (cpu != p->cpu)
        set_task_cpu(p, cpu);
    queue_woken(p, cpu);
    trace_wakeup(p, 1);
    return 1;
}

int wake_up_process(task_struct *p)
{
    return try_to_wake_up(p, TASK_NORMAL | TASK_STOPPED, 0);
}

void wake_up_new_task(task_struct *p)
{
    spin_guard<irqsave> g{p->pi_lock};
    unsigned cpu = select_task_rq(p, 0);
    p->cpu = cpu;
    run_queue *rq = cpu_rq(cpu);
    spin_guard<plain> l{rq->lock};
    place_new_task(rq, p);
    p->state.store(TASK_RUNNING, std::memory_order_relaxed);
    enqueue_task(rq, p, false);
    trace_wakeup(p, 1);
    check_preempt_curr(rq, p);
}

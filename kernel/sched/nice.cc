// SPDX-License-Identifier: MIT
// Changing a task's weight. Linux: kernel/sched/core.c set_user_nice. Any context. Locks: pi_lock →
// rq.lock.

#include "sched/process.h"
#include "sched/rq.h"

void sched_set_nice(task_struct *p, s32 nice) NO_THREAD_SAFETY_ANALYSIS
{
    spin_guard<irqsave> g{p->pi_lock};
    run_queue *rq = lock_task_rq(p);
    if (p->on_rq) {
        rq->load -= task_weight(p);
        p->nice = nice;
        rq->load += task_weight(p);
    }
    p->nice = nice;
    rq->lock.unlock();
}

// SPDX-License-Identifier: MIT
// The real-time class: SCHED_FIFO and SCHED_RR tasks run before all others, the highest priority
// first, but for 50 ms of each second when others wait. Linux: kernel/sched/rt.c, without groups and
// without pushing tasks to other CPUs (idle ones pull). rq->lock held, IRQs off.
#include "sched/process.h"
#include "sched/rq.h"

void rt_queue::insert(task_struct *p, bool front)
{
    unsigned n = p->rt_priority;
    if (front)
        queue[n].push_front(*p);
    else
        queue[n].push_back(*p);
    bitmap[n / 64] |= u64{1} << (n % 64);
}

void rt_queue::erase(task_struct *p)
{
    unsigned n = p->rt_priority;
    p->rt_node.unlink();
    if (queue[n].empty())
        bitmap[n / 64] &= ~(u64{1} << (n % 64));
}

/// Highest non-empty queue at or below priority n, or null.
static list<task_struct, &task_struct::rt_node> *queue_at_most(rt_queue &rt, int n)
{
    for (; n > 0; n--)
        if (rt.bitmap[n / 64] >> (n % 64) & 1)
            return &rt.queue[n];
    return nullptr;
}

task_struct *rt_queue::first()
{
    auto *q = queue_at_most(*this, MAX_RT_PRIO - 1);
    return q ? q->front() : nullptr;
}

task_struct *rt_queue::next(task_struct *p)
{
    if (task_struct *n = queue[p->rt_priority].next(*p))
        return n;
    auto *q = queue_at_most(*this, p->rt_priority - 1);
    return q ? q->front() : nullptr;
}

void rt_queue::account(u64 now, u64 delta)
{
    if (now - period_start >= RT_PERIOD) {
        period_start = now;
        time = 0;
    }
    time += delta;
}

void sched_set_policy(task_struct *p, u8 policy, u8 rt_priority) NO_THREAD_SAFETY_ANALYSIS
{
    spin_guard<irqsave> g{p->pi_lock};
    run_queue *rq = lock_task_rq(p);
    bool queued = p->on_rq;
    bool was_rt = rt_task(p);
    if (queued)
        dequeue_task(rq, p, arch_clock_ns());
    p->policy = policy;
    p->rt_priority = rt_priority;
    if (was_rt && !rt_priority && static_cast<s64>(rq->min_vruntime - p->vruntime) > 0)
        p->vruntime = rq->min_vruntime; // its time as a real-time task was not counted
    if (queued) {
        enqueue_task(rq, p, false);
        if (rq->curr == p)
            resched_cpu(rq);
        else
            check_preempt_curr(rq, p);
    }
    rq->lock.unlock();
}

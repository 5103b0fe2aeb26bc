// SPDX-License-Identifier: MIT
// The fair class: tasks ordered by weighted virtual run time, sleepers get a bounded credit, slices share a latency period.
// Linux: kernel/sched/fair.c, without groups. Every function: rq->lock held, IRQs off.
#include "sched/rq.h"
#include "trace/trace.h"

// Weights: 1024 * 1.25^-nice, rounded as Linux's prio_to_weight has them (facts of the interface: nice ratios).
static constexpr u32 weights[40] = {
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
    3906,  3121,  2501,  1991,  1586,  1277,  1024,  820,   655,   526,   423,  335,  272,  215,
    172,   137,   110,   87,    70,    56,    45,    36,    29,    23,    18,   15,
};

u32 nice_weight(s32 nice)
{
    return weights[(nice < -20 ? -20 : nice > 19 ? 19 : nice) + 20];
}

u32 task_weight(const task_struct *p)
{
    if (rt_task(p)) [[unlikely]]
        return 0;
    return p->policy == SCHED_IDLE ? IDLE_LOAD : nice_weight(p->nice);
}

/// Time as the fair class counts it; a real-time task's weight says nothing about it.
static u64 weighted(u64 delta, const task_struct *p)
{
    u32 weight = p->nice == 0 && p->policy != SCHED_IDLE ? 0 : task_weight(p);
    if (!weight) [[likely]]
        return delta;
    return delta * NICE_0_LOAD / weight;
}

static bool vruntime_before(u64 a, u64 b)
{
    return static_cast<s64>(a - b) < 0;
}

/// min_vruntime follows the smallest of curr and the leftmost waiting task, and never goes back.
static void update_min_vruntime(run_queue *rq)
{
    task_struct *first = rq->tasks.first();
    bool running = rq->curr != rq->idle && rq->curr->on_rq && !rt_task(rq->curr);
    u64 v;
    if (running && first)
        v = vruntime_before(rq->curr->vruntime, first->vruntime) ? rq->curr->vruntime
                                                                 : first->vruntime;
    else if (running)
        v = rq->curr->vruntime;
    else if (first)
        v = first->vruntime;
    else
        return;
    if (vruntime_before(rq->min_vruntime, v))
        write_once(rq->min_vruntime, v);
}

/// Charge the running task for its time since the last call.
void update_curr(run_queue *rq, u64 now)
{
    task_struct *c = rq->curr;
    if (c == rq->idle)
        return;
    u64 delta = now - c->exec_start;
    if (static_cast<s64>(delta) <= 0) [[unlikely]]
        return;
    c->exec_start = now;
    c->sum_exec_runtime += delta;
    if (rt_task(c)) [[unlikely]] {
        rq->rt.account(now, delta);
        return;
    }
    c->vruntime += weighted(delta, c);
    update_min_vruntime(rq);
}

/// The time a task may run before others have their turn.
static u64 slice_of(run_queue *rq, const task_struct *p)
{
    if (rt_task(p)) [[unlikely]]
        return RR_TIMESLICE;
    u64 period =
        rq->nr_running > SCHED_NR_LATENCY ? rq->nr_running * SCHED_MIN_GRANULARITY : SCHED_LATENCY;
    u64 slice = period * task_weight(p) / max(rq->load, 1);
    return max(slice, SCHED_MIN_GRANULARITY);
}

/// When the real-time rules ask for another look at the running task.
static u64 rt_next_look(run_queue *rq, u64 now)
{
    u64 period_left = rq->rt.period_start + RT_PERIOD - now;
    if (static_cast<s64>(period_left) <= 0)
        period_left = RT_PERIOD;
    if (!rt_task(rq->curr))
        return now + period_left;
    u64 share = rq->rt.time < RT_RUNTIME ? RT_RUNTIME - rq->rt.time : period_left;
    return now + min(share, RR_TIMESLICE);
}

/// Competition exists: see that the running task's slice ends. Only the CPU itself can program its timer.
static void arm_slice(run_queue *rq, u64 now)
{
    rq->slice_end = now + slice_of(rq, rq->curr);
    // Real-time tasks wait for their next period, or others for the end of their share.
    if (rt_task(rq->curr) || !rq->rt.empty()) [[unlikely]]
        rq->slice_end = min(rq->slice_end, rt_next_look(rq, now));
    if (rq->cpu == smp_processor_id())
        clock_event_at_most(rq->slice_end);
}

/// A waking task starts at most half a latency period before the others (Linux GENTLE_FAIR_SLEEPERS).
static void place_waking_task(run_queue *rq, task_struct *p)
{
    u64 floor = rq->min_vruntime - SCHED_LATENCY / 2;
    if (vruntime_before(p->vruntime, floor))
        p->vruntime = floor;
}

void place_new_task(run_queue *rq, task_struct *p)
{
    p->vruntime = rq->min_vruntime;
    if (rq->nr_running)
        p->vruntime += weighted(SCHED_MIN_GRANULARITY, p);
}

void enqueue_task(run_queue *rq, task_struct *p, bool wakeup)
{
    if (wakeup)
        place_waking_task(rq, p);
    p->on_rq = 1;
    rq->load += task_weight(p);
    write_once(rq->nr_running, rq->nr_running + 1);
    if (p != rq->curr && rt_task(p)) [[unlikely]]
        rq->rt.insert(p, false);
    else if (p != rq->curr)
        rq->tasks.insert(*p);
    if (rq->nr_running == 2 && rq->curr != rq->idle) {
        u64 now = arch_clock_ns();
        arm_slice(rq, now);
        if (rq->cpu != smp_processor_id() && rq->active)
            arch_send_ipi(rq->cpu, ipi::reschedule); // its handler programs the end of the slice
    }
}

void dequeue_task(run_queue *rq, task_struct *p, u64 now)
{
    update_curr(rq, now);
    if (p != rq->curr && rt_task(p)) [[unlikely]]
        rq->rt.erase(p);
    else if (p != rq->curr)
        rq->tasks.erase(*p);
    p->on_rq = 0;
    rq->load -= task_weight(p);
    write_once(rq->nr_running, rq->nr_running - 1);
}

/// The running task goes back among the waiting ones (if it is still runnable).
void put_prev_task(run_queue *rq, task_struct *prev)
{
    if (!prev->on_rq || prev == rq->idle)
        return;
    if (rt_task(prev)) [[unlikely]] {
        rq->rt.insert(prev, !prev->rt_yields); // preempted: it goes on before its equals
        prev->rt_yields = false;
        return;
    }
    rq->tasks.insert(*prev);
}

/// The real-time task that is to run, taken out of its queue, or null.
static task_struct *pick_rt(run_queue *rq, u64 now)
{
    if (rq->rt.empty()) [[likely]]
        return nullptr;
    if (rq->rt.throttled(now) && rq->tasks.first())
        return nullptr;
    task_struct *p = rq->rt.first();
    rq->rt.erase(p);
    return p;
}

/// Real-time tasks first, then the leftmost one, taken out of the tree, or null. The caller switches to it.
task_struct *pick_next_task(run_queue *rq, u64 now)
{
    task_struct *p = pick_rt(rq, now);
    if (!p) [[likely]] {
        p = rq->tasks.first();
        if (!p)
            return nullptr;
        rq->tasks.erase(*p);
    }
    p->exec_start = now;
    rq->curr = p;
    rq->slice_start = p->sum_exec_runtime;
    if (rq->nr_running > 1)
        arm_slice(rq, now);
    else
        rq->slice_end = ~u64{0};
    update_min_vruntime(rq);
    return p;
}

void resched_cpu(run_queue *rq)
{
    cpu_block *me = this_cpu();
    if (rq->cpu == me->id) {
        me->need_resched = 1;
        return;
    }
    // A CPU that has not started yet looks at its queue when it reaches its idle loop.
    if (read_once(rq->active))
        arch_send_ipi(rq->cpu, ipi::reschedule);
}

void check_preempt_curr(run_queue *rq, task_struct *p)
{
    task_struct *c = rq->curr;
    if (c == rq->idle) {
        resched_cpu(rq);
        return;
    }
    if (c == p)
        return;
    if (rt_task(p) || rt_task(c)) [[unlikely]] {
        if (p->rt_priority > c->rt_priority)
            resched_cpu(rq);
        return;
    }
    if (p->policy != SCHED_OTHER && c->policy != SCHED_IDLE)
        return; // batch work does not interrupt
    update_curr(rq, arch_clock_ns());
    s64 ahead = static_cast<s64>(c->vruntime - p->vruntime);
    if (ahead > static_cast<s64>(weighted(SCHED_WAKEUP_GRANULARITY, p)))
        resched_cpu(rq);
}

/// scheduler_tick() when real-time tasks run or wait.
static void rt_tick(run_queue *rq, u64 now)
{
    task_struct *c = rq->curr;
    bool resched = !rt_task(c) ? !rq->rt.throttled(now) // their next period has begun
                               : rq->rt.throttled(now) && rq->tasks.first();
    if (c->policy == SCHED_RR && c->sum_exec_runtime - rq->slice_start >= RR_TIMESLICE &&
        !rq->rt.queue[c->rt_priority].empty())
        resched = c->rt_yields = true;
    u64 slice = slice_of(rq, c);
    if (!rt_task(c) && c->sum_exec_runtime - rq->slice_start >= slice)
        resched = true;
    if (resched)
        this_cpu()->need_resched = 1;
    rq->slice_end = min(rt_next_look(rq, now), now + slice);
    kick_idle_cpu(rq);
}

/// The slice may be over. Hard IRQ, from timer_interrupt().
void scheduler_tick()
{
    run_queue *rq = this_rq();
    spin_guard<plain> g{rq->lock};
    if (rq->curr == rq->idle || rq->nr_running < 2) {
        rq->slice_end = ~u64{0};
        return;
    }
    u64 now = arch_clock_ns();
    update_curr(rq, now);
    if (rt_task(rq->curr) || !rq->rt.empty()) [[unlikely]] {
        rt_tick(rq, now);
        return;
    }
    u64 ran = rq->curr->sum_exec_runtime - rq->slice_start;
    u64 slice = slice_of(rq, rq->curr);
    if (ran >= slice) {
        this_cpu()->need_resched = 1;
        rq->slice_end = now + SCHED_MIN_GRANULARITY; // it may be in a long system call: look again
    } else {
        rq->slice_end = now + (slice - ran);
    }
    kick_idle_cpu(rq);
}

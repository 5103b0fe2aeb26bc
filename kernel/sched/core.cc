// SPDX-License-Identifier: MIT
// The scheduler's heart: schedule(), the switch and what follows it. Linux: kernel/sched/core.c.
// A task leaves its CPU only in schedule(): no kernel preemption. rq->lock is held across arch_switch_to().
#include "irq/softirq.h"
#include "lib/percpu.h"
#include "lib/string.h"
#include "sched/rq.h"
#include "trace/trace.h"

run_queue run_queues[NR_CPUS];
std::atomic<u64> cpu_active_mask{0};

/// The incoming task ends the outgoing one's switch: on_cpu drops only now that prev's registers are saved, so that
/// a waker on another CPU cannot start prev on two CPUs (row W-19). IRQs off; releases rq->lock.
static void finish_task_switch(task_struct *prev) NO_THREAD_SAFETY_ANALYSIS
{
    run_queue *rq = this_rq();
    task_struct *push = rq->push;
    rq->push = nullptr;
    // Read before on_cpu is cleared: after that a waker may run prev to its end elsewhere.
    bool dead = prev->state.load(std::memory_order_relaxed) == TASK_DEAD;
    prev->on_cpu.store(0, std::memory_order_release);
    rq->lock.unlock();
    if (push) [[unlikely]]
        push_task(push);
    if (dead) [[unlikely]]
        put_task(prev);
}

void schedule_tail(task_struct *prev)
{
    finish_task_switch(prev);
    local_irq_enable();
}

static void trace_sleep(task_struct *prev, u32 state)
{
    if (trace_enabled(trace_event::sched_sleep)) [[unlikely]]
        trace(trace_event::sched_sleep, prev->pid, state, prev->wchan);
}

/// prev leaves the queue if it wants to sleep and no signal forbids it. rq->lock held.
static void deactivate_prev(run_queue *rq, task_struct *prev, u64 now)
{
    u32 state = prev->state.load(std::memory_order_relaxed);
    if (state == TASK_RUNNING)
        return;
    if ((state & TASK_INTERRUPTIBLE) && prev->sigpending.load(std::memory_order_relaxed)) {
        prev->state.store(TASK_RUNNING, std::memory_order_relaxed);
        return;
    }
    dequeue_task(rq, prev, now);
    trace_sleep(prev, state);
}

/// Choose who runs next; prev has been put back or taken off. rq->lock held.
static task_struct *choose_next(run_queue *rq, u64 now)
{
    task_struct *next = pick_next_task(rq, now);
    if (next) [[likely]]
        return next;
    if (num_online_cpus() > 1 && idle_balance(rq, now))
        next = pick_next_task(rq, now);
    if (next)
        return next;
    rq->curr = rq->idle;
    rq->slice_end = ~u64{0};
    return rq->idle;
}

static void trace_switch(task_struct *prev, task_struct *next)
{
    if (trace_enabled(trace_event::sched_switch)) [[unlikely]]
        trace(trace_event::sched_switch, prev->pid, prev->state.load(std::memory_order_relaxed),
              next->pid, trace_comm(next->comm, 0), trace_comm(next->comm, 1));
}

static void context_switch(run_queue *rq, task_struct *prev, task_struct *next)
{
    trace_switch(prev, next);
    rq->nr_switches++;
    next->on_cpu.store(1, std::memory_order_relaxed);
    this_cpu()->current = next;
    finish_task_switch(arch_switch_to(prev, next));
}

/// One pass; IRQs are off on entry and exit.
static void schedule_irqoff() NO_THREAD_SAFETY_ANALYSIS
{
    cpu_block *cpu = this_cpu();
    run_queue *rq = cpu_rq(cpu->id);
    u64 now = arch_clock_ns();
    rq->lock.lock();
    task_struct *prev = rq->curr;
    cpu->need_resched = 0;
    write_once(rq->nr_quiescent, rq->nr_quiescent + 1);
    bool voluntary = false;
    if (prev != rq->idle) {
        update_curr(rq, now);
        deactivate_prev(rq, prev, now);
        voluntary = !prev->on_rq;
        if (!voluntary && !(prev->cpus_allowed >> cpu->id & 1)) [[unlikely]] {
            dequeue_task(rq, prev, now);
            rq->push = prev;
        }
        put_prev_task(rq, prev);
    }
    task_struct *next = choose_next(rq, now);
    if (next->cpu_timers.load(std::memory_order_relaxed)) [[unlikely]]
        clock_event_at_most(now + NSEC_PER_SEC / HZ);
    if (next == prev) {
        rq->lock.unlock();
        return;
    }
    (voluntary ? prev->nvcsw : prev->nivcsw).fetch_add(1, std::memory_order_relaxed);
    account_time_switch(next == rq->idle ? CPUTIME_IDLE : CPUTIME_SYSTEM);
    context_switch(rq, prev, next);
}

void schedule_from(const void *wchan)
{
#if SOFTNET_DEBUG
    BUG_ON(in_atomic());
    BUG_ON(this_cpu()->lock_depth);
#endif
    irq_flags flags = local_irq_save();
    current()->wchan = wchan;
    schedule_irqoff();
    local_irq_restore(flags);
}

void schedule()
{
    schedule_from(__builtin_return_address(0));
}

void cond_resched()
{
    might_sleep();
    if (need_resched()) [[unlikely]]
        schedule();
}

void sched_yield_current()
{
    {
        irq_guard g;
        run_queue *rq = this_rq();
        if (read_once(rq->nr_running) == 1 && !need_resched()) { // there is nobody to yield to
            write_once(rq->nr_quiescent, rq->nr_quiescent + 1);
            return;
        }
        spin_guard<plain> l{rq->lock};
        update_curr(rq, arch_clock_ns());
        if (rq->curr->rt_priority) [[unlikely]]
            rq->curr->rt_yields = true;
        // Behind every waiting task, as sched_yield(2) promises for equals.
        for (task_struct *t = rq->tasks.first(); t; t = rq->tasks.next(*t))
            if (static_cast<s64>(t->vruntime - rq->curr->vruntime) > 0)
                rq->curr->vruntime = t->vruntime;
    }
    schedule();
}

u64 nr_context_switches()
{
    u64 n = 0;
    for (unsigned i = 0; i < num_online_cpus(); i++)
        n += read_once(run_queues[i].nr_switches);
    return n;
}

unsigned nr_running()
{
    unsigned n = 0;
    for (unsigned i = 0; i < num_online_cpus(); i++)
        n += read_once(run_queues[i].nr_running);
    return n;
}

u64 sched_active_mask()
{
    return cpu_active_mask.load(std::memory_order_relaxed);
}

void sched_runqueue_info(unsigned cpu, runqueue_info *out)
{
    run_queue *rq = cpu_rq(cpu);
    irq_guard g;
    spin_guard<plain> l{rq->lock};
    out->nr_running = rq->nr_running;
    out->nr_switches = rq->nr_switches;
    out->curr = rq->curr;
    out->idle = rq->curr == rq->idle;
    get_task(rq->curr);
}

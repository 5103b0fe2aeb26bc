// SPDX-License-Identifier: MIT
// Which CPU a task runs on: choice at wake-up, pull by CPUs that run dry, affinity. Linux: kernel/sched/core.c, fair.c.
// No periodic balancing: wake-ups spread tasks, idle CPUs pull, and a loaded CPU's tick kicks an idle one.
#include "sched/rq.h"
#include "trace/trace.h"

static u64 usable_mask(const task_struct *p)
{
    u64 active = sched_active_mask() | 1; // the boot CPU is about to be active while others are not
    if (u64 m = p->cpus_allowed & active) [[likely]]
        return m;
    u64 online = (u64{1} << num_online_cpus()) - 1; // bound to a CPU that is still starting
    u64 m = p->cpus_allowed & online;
    return m ? m : active;
}

static bool cpu_is_idle(unsigned cpu)
{
    return !read_once(cpu_rq(cpu)->nr_running) && read_once(cpu_rq(cpu)->active);
}

/// An idle CPU of `mask`, or -1.
static int find_idle_cpu(u64 mask)
{
    for (u64 m = mask; m; m &= m - 1) {
        unsigned c = static_cast<unsigned>(__builtin_ctzll(m));
        if (cpu_is_idle(c))
            return static_cast<int>(c);
    }
    return -1;
}

static unsigned least_loaded_cpu(u64 mask)
{
    unsigned best = static_cast<unsigned>(__builtin_ctzll(mask));
    for (u64 m = mask; m; m &= m - 1) {
        unsigned c = static_cast<unsigned>(__builtin_ctzll(m));
        if (read_once(cpu_rq(c)->nr_running) < read_once(cpu_rq(best)->nr_running))
            best = c;
    }
    return best;
}

/// The previous CPU if it idles (warm cache, no balancing work), else another idle one; else with WF_SYNC the waker's,
/// which is about to be free; else the previous one. A new or displaced task goes to the least loaded. p->pi_lock held.
unsigned select_task_rq(task_struct *p, int wake_flags)
{
    unsigned prev = p->cpu;
    u64 allowed = p->cpus_allowed;
    if ((allowed >> prev & 1) && cpu_is_idle(prev)) [[likely]]
        return prev;
    u64 mask = usable_mask(p);
    if (!(mask & (mask - 1)))
        return static_cast<unsigned>(__builtin_ctzll(mask));
    int idle = find_idle_cpu(mask);
    if (idle >= 0)
        return static_cast<unsigned>(idle);
    unsigned me = smp_processor_id();
    if ((wake_flags & WF_SYNC) && (mask >> me & 1) && read_once(cpu_rq(me)->nr_running) <= 1)
        return me;
    return (mask >> prev & 1) ? prev : least_loaded_cpu(mask);
}

void set_task_cpu(task_struct *p, unsigned cpu)
{
    trace(trace_event::sched_migrate, p->pid, p->cpu, cpu);
    p->vruntime += read_once(cpu_rq(cpu)->min_vruntime) - read_once(cpu_rq(p->cpu)->min_vruntime);
    write_once(p->cpu, cpu);
}

run_queue *lock_task_rq(task_struct *p) NO_THREAD_SAFETY_ANALYSIS
{
    for (;;) {
        run_queue *rq = cpu_rq(read_once(p->cpu));
        rq->lock.lock();
        if (rq == cpu_rq(p->cpu)) [[likely]]
            return rq;
        rq->lock.unlock();
    }
}

void push_task(task_struct *p)
{
    spin_guard<irqsave> g{p->pi_lock};
    u64 mask = usable_mask(p);
    int idle = find_idle_cpu(mask);
    unsigned cpu = idle >= 0 ? static_cast<unsigned>(idle) : least_loaded_cpu(mask);
    if (cpu != p->cpu)
        set_task_cpu(p, cpu);
    run_queue *rq = cpu_rq(cpu);
    spin_guard<plain> l{rq->lock};
    enqueue_task(rq, p, false);
    check_preempt_curr(rq, p);
}

/// Take one waiting task from `from`, whose lock is held as well.
static bool pull_one(run_queue *rq, run_queue *from, u64 now)
{
    for (task_struct *t = from->rt.first(); t; t = from->rt.next(t)) {
        if (!(t->cpus_allowed >> rq->cpu & 1))
            continue;
        dequeue_task(from, t, now);
        set_task_cpu(t, rq->cpu);
        enqueue_task(rq, t, false);
        return true;
    }
    for (task_struct *t = from->tasks.first(); t; t = from->tasks.next(*t)) {
        if (!(t->cpus_allowed >> rq->cpu & 1))
            continue;
        dequeue_task(from, t, now);
        set_task_cpu(t, rq->cpu);
        enqueue_task(rq, t, false);
        return true;
    }
    return false;
}

bool idle_balance(run_queue *rq, u64 now) NO_THREAD_SAFETY_ANALYSIS
{
    run_queue *busiest = nullptr;
    unsigned most = 1;
    for (unsigned i = 0; i < num_online_cpus(); i++) {
        unsigned n = read_once(run_queues[i].nr_running);
        if (n > most && i != rq->cpu) {
            most = n;
            busiest = &run_queues[i];
        }
    }
    // Only tried: two CPUs that pull from each other must not wait for each other.
    if (!busiest || !busiest->lock.try_lock())
        return false;
    bool got = pull_one(rq, busiest, now);
    busiest->lock.unlock();
    return got;
}

void kick_idle_cpu(run_queue *rq)
{
    u64 online = (u64{1} << num_online_cpus()) - 1;
    int idle = find_idle_cpu(online & ~(u64{1} << rq->cpu));
    if (idle >= 0)
        arch_send_ipi(static_cast<unsigned>(idle),
                      ipi::reschedule); // it passes schedule() and pulls
}

/// Move p if it waits on a CPU that it may not use; a running p is told to pass schedule(). Returns true when p is the
/// caller and has to go.
static bool apply_affinity(task_struct *p, u64 mask) NO_THREAD_SAFETY_ANALYSIS
{
    spin_guard<irqsave> g{p->pi_lock};
    run_queue *rq = lock_task_rq(p);
    p->cpus_allowed = mask;
    bool must_go = p->on_rq && !(mask >> p->cpu & 1);
    bool running = rq->curr == p;
    if (must_go && !running) {
        dequeue_task(rq, p, arch_clock_ns());
        rq->lock.unlock();
        unsigned cpu = least_loaded_cpu(usable_mask(p));
        set_task_cpu(p, cpu);
        run_queue *to = cpu_rq(cpu);
        spin_guard<plain> l{to->lock};
        enqueue_task(to, p, false);
        check_preempt_curr(to, p);
        return false;
    }
    if (must_go)
        resched_cpu(rq);
    rq->lock.unlock();
    return must_go && p == current();
}

result<void> sched_setaffinity(task_struct *p, u64 mask)
{
    mask &= (u64{1} << num_online_cpus()) - 1;
    if (!mask)
        return error{EINVAL};
    if (apply_affinity(p, mask))
        schedule();
    return {};
}

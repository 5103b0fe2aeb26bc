// SPDX-License-Identifier: MIT
// The run queue of one CPU and the functions that sched/ shares with itself. Linux: kernel/sched/sched.h.
// Order of locks: task.pi_lock → rq.lock; a second rq.lock only by try_lock. rq.lock is taken with IRQs off, and is
// handed from the task that calls arch_switch_to() to the one that returns from it.
#pragma once

#include "sched/sched.h"

// Figures of Linux 3.10's fair class (kernel/sched/fair.c), ns, without its scaling by the number of CPUs.
constexpr u64 SCHED_LATENCY = 6'000'000;
constexpr u64 SCHED_MIN_GRANULARITY = 750'000;
constexpr u64 SCHED_WAKEUP_GRANULARITY = 1'000'000;
constexpr unsigned SCHED_NR_LATENCY = SCHED_LATENCY / SCHED_MIN_GRANULARITY;
constexpr u32 NICE_0_LOAD = 1024, IDLE_LOAD = 3;
// Of the real-time class (kernel/sched/rt.c): time slice of SCHED_RR, and what real-time tasks may take of each period
// while others wait.
constexpr u64 RR_TIMESLICE = 100'000'000;
constexpr u64 RT_PERIOD = 1'000'000'000, RT_RUNTIME = 950'000'000;
constexpr unsigned MAX_RT_PRIO = 100;

inline bool rt_task(const task_struct *p)
{
    return p->rt_priority;
}

struct by_vruntime {
    bool operator()(const task_struct &a, const task_struct &b) const
    {
        return static_cast<s64>(a.vruntime - b.vruntime) < 0;
    }
};

/// Waiting real-time tasks, a queue for each priority.
struct rt_queue {
    u64 bitmap[2] = {}; // bit n of the whole: queue n has tasks
    list<task_struct, &task_struct::rt_node> queue[MAX_RT_PRIO];
    u64 period_start = 0, time = 0; // run time of real-time tasks in this period

    void insert(task_struct *p, bool front);
    void erase(task_struct *p);
    /// First of the highest priority, or null.
    task_struct *first();
    /// The next one in order, or null.
    task_struct *next(task_struct *p);
    bool empty() const { return !(bitmap[0] | bitmap[1]); }
    /// They have had their share of this period.
    bool throttled(u64 now) const { return time >= RT_RUNTIME && now - period_start < RT_PERIOD; }
    void account(u64 now, u64 delta);
};

/// Runnable tasks of one CPU. `curr` is not in the tree while it runs, but counts in nr_running and load.
struct alignas(64) run_queue {
    spinlock lock{"rq.lock"};
    u32 cpu = 0;
    u32 nr_running = 0; // without the idle task
    u32 active = 0;     // the CPU has reached its idle loop
    u64 load = 0;       // sum of weights
    u64 min_vruntime = 0;
    u64 slice_end =
        ~u64{0}; // when scheduler_tick() must look (arch_clock_ns scale), ~0: no competition
    u64 slice_start = 0; // sum_exec_runtime of curr when it was picked
    task_struct *curr = nullptr, *idle = nullptr;
    task_struct *push =
        nullptr; // runnable, but not allowed here any more: finish_task_switch() moves it
    u64 nr_switches = 0;
    u64 nr_quiescent = 0; // calls of schedule(): RCU
    rbtree<task_struct, &task_struct::run_node, by_vruntime> tasks;
    rt_queue rt;
};
extern run_queue run_queues[NR_CPUS];
/// Bit n: CPU n has reached its idle loop and runs tasks.
extern std::atomic<u64> cpu_active_mask;
inline run_queue *cpu_rq(unsigned cpu)
{
    return &run_queues[cpu];
}
inline run_queue *this_rq()
{
    return &run_queues[smp_processor_id()];
}

/// Weight of a nice value (-20…19): each step is worth about 10 % of CPU time.
u32 nice_weight(s32 nice);
/// Weight of a task of the fair class; 0: it is a real-time task.
u32 task_weight(const task_struct *p);

// fair.cc: rq->lock held.
void update_curr(run_queue *rq, u64 now);
void enqueue_task(run_queue *rq, task_struct *p, bool wakeup);
void dequeue_task(run_queue *rq, task_struct *p, u64 now);
task_struct *pick_next_task(run_queue *rq, u64 now);
void put_prev_task(run_queue *rq, task_struct *prev);
/// `p` was just queued: mark the CPU for rescheduling if it deserves to run before curr; wake the CPU if it idles.
void check_preempt_curr(run_queue *rq, task_struct *p);
void resched_cpu(run_queue *rq);
/// Place a new task behind the running ones.
void place_new_task(run_queue *rq, task_struct *p);

// core_balance.cc
/// Change p's CPU; p is on no run queue. Keeps its lag relative to min_vruntime. p->pi_lock or sole owner.
void set_task_cpu(task_struct *p, unsigned cpu);
unsigned select_task_rq(task_struct *p, int wake_flags);
/// Idle pull: take one waiting task from the busiest CPU. rq->lock held; true when rq has work now.
bool idle_balance(run_queue *rq, u64 now);
/// Called on the tick of a CPU that has tasks waiting: get an idle CPU to pull.
void kick_idle_cpu(run_queue *rq);
/// Lock the run queue that p belongs to; IRQs off.
run_queue *lock_task_rq(task_struct *p);
/// Queue `p` (on no queue, state RUNNING) on a CPU that it may use.
void push_task(task_struct *p);

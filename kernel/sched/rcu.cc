// SPDX-License-Identifier: MIT
// Read-copy-update without preemption: once every CPU has called schedule(), no reader that was there before is left.
// Linux: kernel/rcutree.c, for the smallest case. Callbacks run in the kernel thread "rcu_sched".
#include "lib/initcall.h"
#include "lib/percpu.h"
#include "lib/printk.h"
#include "sched/rq.h"

/// Wait until CPU `cpu` has passed schedule() since `before` was read from its counter; it is asked to.
static void wait_for_cpu(unsigned cpu, u64 before)
{
    run_queue *rq = cpu_rq(cpu);
    while (read_once(rq->nr_quiescent) == before) {
        arch_send_ipi(cpu, ipi::reschedule);
        set_current_state(TASK_UNINTERRUPTIBLE);
        schedule_timeout(1);
    }
}

void synchronize_rcu()
{
    might_sleep();
    smp_mb(); // the caller's removal before the snapshots
    u64 before[NR_CPUS];
    u64 mask = sched_active_mask();
    for (unsigned i = 0; i < NR_CPUS; i++)
        before[i] = read_once(cpu_rq(i)->nr_quiescent);
    for (unsigned i = 0; i < NR_CPUS; i++)
        // This CPU is quiescent: we may sleep here. A migration meanwhile does not matter.
        if ((mask >> i & 1) && i != smp_processor_id())
            wait_for_cpu(i, before[i]);
    smp_mb();
}

struct rcu_queue {
    spinlock lock{"rcu_queue"};
    rcu_head *first = nullptr, **tail = &first;
};
static percpu<rcu_queue> queues;
static wait_queue_head rcu_wait;
static std::atomic<u32> rcu_pending{0};
static task_struct *rcu_thread;

void call_rcu(rcu_head *head, void (*func)(rcu_head *))
{
    head->func = func;
    head->next = nullptr;
    bool first;
    {
        irq_guard g; // stay on this CPU between finding the queue and locking it
        rcu_queue &q = *queues;
        spin_guard<plain> l{q.lock};
        first = !q.first;
        *q.tail = head;
        q.tail = &head->next;
    }
    if (first && !rcu_pending.exchange(1) && rcu_thread)
        wake_up(&rcu_wait);
}

static rcu_head *take_queue(unsigned cpu)
{
    rcu_queue &q = queues.on(cpu);
    spin_guard<irqsave> g{q.lock};
    rcu_head *h = q.first;
    q.first = nullptr;
    q.tail = &q.first;
    return h;
}

static void run_callbacks(rcu_head *h)
{
    while (h) {
        rcu_head *next = h->next;
        h->func(h);
        h = next;
        cond_resched();
    }
}

/// Take what is queued everywhere, wait one grace period for all, run.
static void rcu_collect()
{
    rcu_head *batch[NR_CPUS];
    for (unsigned i = 0; i < NR_CPUS; i++)
        batch[i] = take_queue(i);
    synchronize_rcu();
    for (rcu_head *h : batch)
        run_callbacks(h);
}

static void rcu_main(void *)
{
    for (;;) {
        (void)wait_event_interruptible(&rcu_wait,
                                       rcu_pending.load()); // sleeps as S, not D: it waits for work
        // Let a batch gather: callbacks free memory, nobody waits for them.
        set_current_state(TASK_UNINTERRUPTIBLE);
        schedule_timeout(10);
        rcu_pending.store(0);
        smp_mb();
        rcu_collect();
    }
}

static int rcu_init()
{
    rcu_thread = kthread_create(rcu_main, nullptr, -1, "rcu_sched");
    if (!rcu_thread)
        return -ENOMEM;
    wake_up_process(rcu_thread);
    return 0;
}
early_initcall(rcu_init);

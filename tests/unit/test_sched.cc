// SPDX-License-Identifier: MIT
// The scheduler: fairness, affinity and migration, idle pull, cross-calls, RCU, CPU time classes.
#include "mm/slab.h"
#include "sched/mutex.h"
#include "unit.h"

static void msleep(int ms)
{
    set_current_state(TASK_UNINTERRUPTIBLE);
    schedule_timeout(ms);
}

struct worker {
    u64 until;
    std::atomic<u32> done{0};
    u64 ran = 0;
    u32 cpus = 0;
};

/// Computes until a point in time, giving way when asked.
static void burn(void *p)
{
    auto *w = static_cast<worker *>(p);
    while (ktime_get() < w->until) {
        host_consume_ns(100'000);
        w->cpus |= 1u << smp_processor_id();
        cond_resched();
    }
    w->ran = current()->sum_exec_runtime;
    w->done = 1;
}

static void wait_done(worker &w)
{
    while (!w.done)
        msleep(5);
}

static void equal_tasks_share_a_cpu(void *)
{
    static worker w[3];
    u64 start = ktime_get();
    for (worker &x : w) {
        x.until = start + 300 * NSEC_PER_MSEC;
        wake_up_process(kthread_create(burn, &x, 1, "burn"));
    }
    for (worker &x : w)
        wait_done(x);
    for (worker &x : w) {
        HOST_EXPECT(x.ran > 80 * NSEC_PER_MSEC);
        HOST_EXPECT(x.ran < 120 * NSEC_PER_MSEC);
    }
}

static void nice_weighs(void *)
{
    static worker fast, slow;
    fast.until = slow.until = ktime_get() + 400 * NSEC_PER_MSEC;
    task_struct *f = kthread_create(burn, &fast, 1, "nice-0"),
                *s = kthread_create(burn, &slow, 1, "nice-5");
    s->nice = 5; // weight 335 against 1024
    wake_up_process(f);
    wake_up_process(s);
    wait_done(fast);
    wait_done(slow);
    u64 ratio = fast.ran * 100 / slow.ran;
    HOST_EXPECT(ratio > 240 && ratio < 380);
}

static void busy_tasks_spread(void *)
{
    static worker w[4];
    u64 start = ktime_get();
    for (worker &x : w) {
        x.until = start + 50 * NSEC_PER_MSEC;
        wake_up_process(kthread_create(burn, &x, -1, "spread"));
    }
    u32 used = 0;
    for (worker &x : w) {
        wait_done(x);
        HOST_EXPECT((x.cpus & (x.cpus - 1)) == 0); // no reason to move
        used |= x.cpus;
    }
    HOST_EXPECT(used == 15);
}

/// Two tasks that were bound to one CPU are let go: the idle CPU is told, and pulls one.
static void idle_cpu_pulls(void *)
{
    static worker w[2];
    task_struct *t[2];
    u64 start = ktime_get();
    for (int i = 0; i < 2; i++) {
        w[i].until = start + 100 * NSEC_PER_MSEC;
        t[i] = kthread_create(burn, &w[i], 3, "pull");
        get_task(t[i]);
        wake_up_process(t[i]);
    }
    msleep(5);
    for (task_struct *p : t)
        HOST_EXPECT(bool(sched_setaffinity(p, ~u64{0})));
    msleep(30);
    HOST_EXPECT((w[0].cpus | w[1].cpus) != 8);
    for (int i = 0; i < 2; i++) {
        wait_done(w[i]);
        put_task(t[i]);
    }
}

static void affinity_moves_a_running_task(void *)
{
    static worker w;
    w.until = ktime_get() + 40 * NSEC_PER_MSEC;
    task_struct *t = kthread_create(burn, &w, 2, "mover");
    get_task(t);
    wake_up_process(t);
    msleep(10);
    HOST_EXPECT(w.cpus == 1u << 2);
    HOST_EXPECT(bool(sched_setaffinity(t, 1u << 3)));
    msleep(5);
    w.cpus = 0;
    wait_done(w);
    HOST_EXPECT(w.cpus == 1u << 3);
    HOST_EXPECT(sched_setaffinity(t, u64{1} << 40).err() == EINVAL);
    put_task(t);
}

static void affinity_of_current(void *)
{
    for (unsigned cpu = 0; cpu < num_online_cpus(); cpu++) {
        HOST_EXPECT(bool(sched_setaffinity(current(), u64{1} << cpu)));
        HOST_EXPECT(smp_processor_id() == cpu);
        msleep(1);
        HOST_EXPECT(smp_processor_id() == cpu);
    }
    HOST_EXPECT(bool(sched_setaffinity(current(), ~u64{0})));
}

static void calls_reach_every_other_cpu(void *)
{
    static std::atomic<u32> mask;
    mask = 0;
    unsigned me = smp_processor_id();
    smp_call_function([](void *) { mask |= 1u << smp_processor_id(); }, nullptr);
    HOST_EXPECT(mask == ((1u << num_online_cpus()) - 1u - (1u << me)));
}

struct rcu_object {
    rcu_head rcu;
    int *freed;
};

static void rcu_callbacks_run(void *)
{
    int freed = 0;
    for (int i = 0; i < 100; i++) {
        auto *o = knew<rcu_object>(GFP_KERNEL);
        o->freed = &freed;
        call_rcu(&o->rcu, [](rcu_head *h) {
            auto *o = container_of(h, rcu_object, rcu);
            ++*o->freed;
            kdelete(o);
        });
        HOST_EXPECT(freed < 100);
    }
    msleep(100);
    HOST_EXPECT(freed == 100);
}

static void time_is_classed(void *)
{
    static worker w;
    u64 busy = cpu_time(1, CPUTIME_SYSTEM), idle = cpu_time(1, CPUTIME_IDLE), t0 = ktime_get();
    w.until = t0 + 20 * NSEC_PER_MSEC;
    w.done = 0;
    wake_up_process(kthread_create(burn, &w, 1, "burn"));
    wait_done(w);
    msleep(30);
    u64 t = ktime_get() - t0;
    busy = cpu_time(1, CPUTIME_SYSTEM) - busy;
    idle = cpu_time(1, CPUTIME_IDLE) - idle;
    HOST_EXPECT(busy > 19 * NSEC_PER_MSEC && busy < 23 * NSEC_PER_MSEC);
    HOST_EXPECT(idle > 29 * NSEC_PER_MSEC && busy + idle <= t + NSEC_PER_MSEC);
}

static void blocked_task_uses_no_time(void *)
{
    static wait_queue_head q;
    static std::atomic<bool> go;
    task_struct *t =
        kthread_create([](void *) { wait_event(&q, go.load()); }, nullptr, -1, "blocked");
    get_task(t);
    wake_up_process(t);
    msleep(5);
    u64 before = t->sum_exec_runtime;
    HOST_EXPECT(!t->on_rq && t->state == TASK_UNINTERRUPTIBLE); // W-01
    msleep(50);
    HOST_EXPECT(t->sum_exec_runtime == before);
    go = true;
    wake_up(&q);
    msleep(5);
    put_task(t);
}

static void tasks_are_reclaimed(void *)
{
    u64 before = page_alloc_stats().free;
    for (int i = 0; i < 300; i++) {
        task_struct *t = kthread_create([](void *) {}, nullptr, -1, "short");
        wake_up_process(t);
        if (i % 20 == 19)
            msleep(1);
    }
    msleep(200);
    u64 after = page_alloc_stats().free;
    HOST_EXPECT(after + 80 > before); // caches may keep some
}

extern "C" int main()
{
    unit_main("sched",
              {KERNEL_UNIT(equal_tasks_share_a_cpu), KERNEL_UNIT(nice_weighs),
               KERNEL_UNIT(busy_tasks_spread), KERNEL_UNIT(idle_cpu_pulls),
               KERNEL_UNIT(affinity_moves_a_running_task), KERNEL_UNIT(affinity_of_current),
               KERNEL_UNIT(calls_reach_every_other_cpu), KERNEL_UNIT(rcu_callbacks_run),
               KERNEL_UNIT(time_is_classed), KERNEL_UNIT(blocked_task_uses_no_time),
               KERNEL_UNIT(tasks_are_reclaimed)},
              4);
}

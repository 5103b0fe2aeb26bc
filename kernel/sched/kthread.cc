// SPDX-License-Identifier: MIT
// Kernel threads. Linux: kernel/kthread.c. A thread that returns from its function ends; nobody waits for it.
#include "lib/printk.h"
#include "mm/slab.h"
#include "sched/sched.h"

struct kthread_start {
    void (*fn)(void *);
    void *arg;
};

static void kthread_main(void *p)
{
    auto *start = static_cast<kthread_start *>(p);
    kthread_start s = *start;
    kfree(start);
    s.fn(s.arg);
    do_exit(0);
}

task_struct *kthread_create(void (*fn)(void *), void *arg, int cpu, const char *namefmt, ...)
{
    auto *start = static_cast<kthread_start *>(kmalloc(sizeof(kthread_start), GFP_KERNEL));
    task_struct *t = start ? task_alloc() : nullptr;
    if (!t) {
        kfree(start);
        return nullptr;
    }
    *start = {fn, arg};
    va_list ap;
    va_start(ap, namefmt);
    vsnprintf(t->comm, sizeof(t->comm), namefmt, ap);
    va_end(ap);
    t->flags = PF_KTHREAD;
    if (cpu >= 0) {
        t->cpus_allowed = u64{1} << cpu;
        t->cpu = static_cast<u32>(cpu);
    }
    arch_thread_init(t, kthread_main, start);
    if (task_publish(t))
        return t;
    kfree(start);
    put_task(t);
    put_task(t); // both references are ours: it never ran
    return nullptr;
}

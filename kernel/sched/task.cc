// SPDX-License-Identifier: MIT
// Task structures: allocation, pids, lists, references. Linux: parts of kernel/fork.c and kernel/pid.c.
// tasklist_lock protects the lists, the pid hash and parenthood; taken with IRQs off (signals come from interrupts).
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "mm/vmalloc.h"
#include "sched/sched.h"

spinlock tasklist_lock{"tasklist_lock"};
task_struct *init_task;

using task_list = list<task_struct, &task_struct::tasks>;
using pid_list = list<task_struct, &task_struct::pid_link>;
static task_list all_tasks;
static constexpr unsigned PID_BUCKETS = 64, PID_MAX = 32768, RESERVED_PIDS = 300;
static pid_list pid_hash[PID_BUCKETS];
static s32 last_pid;
static u64 forks;
static kmem_cache *task_cache;

static kmem_cache *cache()
{
    if (!task_cache)
        task_cache = kmem_cache_create("task_struct", sizeof(task_struct), alignof(task_struct));
    return task_cache;
}

task_struct *task_alloc()
{
    task_struct *t = kmem_cache_new<task_struct>(cache(), GFP_KERNEL);
    if (!t)
        return nullptr;
    t->stack = stack_alloc();
    if (!t->stack) {
        kmem_cache_delete(task_cache, t);
        return nullptr;
    }
    t->state.store(TASK_UNINTERRUPTIBLE, std::memory_order_relaxed);
    t->start_time = arch_clock_ns();
    t->cpu = smp_processor_id();
    return t;
}

static void free_task(rcu_head *head)
{
    auto *t = container_of(head, task_struct, rcu);
    arch_thread_free(t);
    stack_free(t->stack);
    exit_creds(t);
    kmem_cache_delete(task_cache, t);
}

void get_task(task_struct *t)
{
    t->usage.get();
}

/// Drop a reference. The last takes the task off the lists and frees it in process context. Any context, but not
/// holding tasklist_lock.
void put_task(task_struct *t)
{
    if (!t->usage.put())
        return;
    {
        spin_guard<irqsave> g{tasklist_lock};
        if (t->tasks.linked())
            t->tasks.unlink();
        if (t->pid_link.linked())
            t->pid_link.unlink();
    }
    call_rcu(&t->rcu, free_task);
}

static pid_list &bucket(s32 pid)
{
    return pid_hash[static_cast<u32>(pid) % PID_BUCKETS];
}

static task_struct *find_locked(s32 pid)
{
    for (task_struct &t : bucket(pid))
        if (t.pid == pid)
            return &t;
    return nullptr;
}

/// The next number that no task uses, 0 when there is none; after the first round low numbers are left to daemons, as in
/// Linux.
static s32 alloc_pid()
{
    for (unsigned tries = 0; tries < PID_MAX; tries++) {
        last_pid = last_pid + 1 < static_cast<s32>(PID_MAX) ? last_pid + 1
                                                            : static_cast<s32>(RESERVED_PIDS);
        if (!find_locked(last_pid))
            return last_pid;
    }
    return 0;
}

result<void> task_publish(task_struct *t)
{
    spin_guard<irqsave> g{tasklist_lock};
    return task_publish_locked(t, nullptr);
}

result<void> task_publish_locked(task_struct *t, task_struct *parent)
{
    t->pid = alloc_pid();
    if (!t->pid)
        return error{EAGAIN};
    if (!t->tgid)
        t->tgid = t->pid;
    all_tasks.push_back(*t);
    bucket(t->pid).push_back(*t);
    t->parent = parent;
    if (parent)
        parent->children.push_back(*t);
    forks++;
    return {};
}

task_struct *find_get_task(int pid)
{
    spin_guard<irqsave> g{tasklist_lock};
    task_struct *t = find_locked(pid);
    return t && t->usage.get_unless_zero() ? t : nullptr;
}

void for_each_task(void (*f)(task_struct *, void *), void *arg)
{
    spin_guard<irqsave> g{tasklist_lock};
    for_each_task_locked(f, arg);
}

void for_each_task_locked(void (*f)(task_struct *, void *), void *arg)
{
    for (task_struct &t : all_tasks)
        f(&t, arg);
}

u64 total_forks()
{
    return read_once(forks);
}

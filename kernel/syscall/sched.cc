// SPDX-License-Identifier: MIT
// Scheduling policy and affinity. Linux: kernel/sched/core.c. There is one class, SCHED_OTHER
// (BATCH and IDLE are accepted as it); the real-time ones are refused. Context: process.

#include "lib/string.h"
#include "sched/process.h"
#include "syscall/process.h"

namespace
{
constexpr int SCHED_OTHER = 0, SCHED_FIFO = 1, SCHED_RR = 2, SCHED_BATCH = 3, SCHED_IDLE = 5;
constexpr int PRIO_PROCESS = 0, PRIO_PGRP = 1, PRIO_USER = 2;

/// A task by id with a reference; 0: the current one.
result<task_struct *> find_task(s32 pid)
{
    if (pid < 0)
        return error{EINVAL};
    if (!pid) {
        get_task(current());
        return current();
    }
    task_struct *t = find_get_task(pid);
    if (!t)
        return error{ESRCH};
    return t;
}

bool normal(int policy)
{
    return policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE;
}
} // namespace

result<void> sys_sched_yield()
{
    sched_yield_current();
    return {};
}

result<void> sys_sched_setaffinity(s32 pid, u32 len, user_ptr<const void> mask)
{
    u64 m = 0;
    TRY_VOID(copy_from_user(&m, mask, min(len, u32{sizeof(m)})));
    task_struct *t = TRY(find_task(pid));
    auto r = sched_setaffinity(t, m);
    put_task(t);
    return r;
}

result<int> sys_sched_getaffinity(s32 pid, u32 len, user_ptr<void> mask)
{
    if (len < sizeof(u64) || len % sizeof(u64))
        return error{EINVAL};
    task_struct *t = TRY(find_task(pid));
    u64 m = t->cpus_allowed & ((u64{1} << num_online_cpus()) - 1);
    put_task(t);
    TRY_VOID(copy_to_user(mask, &m, sizeof(m)));
    return static_cast<int>(sizeof(m));
}

result<int> sys_sched_getscheduler(s32 pid)
{
    put_task(TRY(find_task(pid)));
    return SCHED_OTHER;
}

result<void> sys_sched_setscheduler(s32 pid, int policy, user_ptr<const s32> param)
{
    s32 prio;
    TRY_VOID(copy_from_user(&prio, param.cast<const void>(), sizeof(prio)));
    put_task(TRY(find_task(pid)));
    if (policy == SCHED_FIFO || policy == SCHED_RR)
        return error{EPERM};
    if (!normal(policy) || prio)
        return error{EINVAL};
    return {};
}

result<void> sys_sched_getparam(s32 pid, user_ptr<s32> param)
{
    put_task(TRY(find_task(pid)));
    return put_user(param, 0);
}

result<void> sys_sched_setparam(s32 pid, user_ptr<const s32> param)
{
    return sys_sched_setscheduler(pid, SCHED_OTHER, param);
}

result<int> sys_sched_get_priority_max(int policy)
{
    if (policy == SCHED_FIFO || policy == SCHED_RR)
        return 99;
    return normal(policy) ? result<int>{0} : result<int>{error{EINVAL}};
}
result<int> sys_sched_get_priority_min(int policy)
{
    if (policy == SCHED_FIFO || policy == SCHED_RR)
        return 1;
    return normal(policy) ? result<int>{0} : result<int>{error{EINVAL}};
}

/// 20 - nice, so that the result is never negative.
result<int> sys_getpriority(int which, s32 who)
{
    if (which < PRIO_PROCESS || which > PRIO_USER)
        return error{EINVAL};
    task_struct *t = TRY(find_task(which == PRIO_PROCESS ? who : 0));
    int nice = t->nice;
    put_task(t);
    return 20 - nice;
}

result<void> sys_setpriority(int which, s32 who, int nice)
{
    if (which < PRIO_PROCESS || which > PRIO_USER)
        return error{EINVAL};
    nice = max(-20, min(19, nice));
    task_struct *t = TRY(find_task(which == PRIO_PROCESS ? who : 0));
    bool allowed = nice >= t->nice || !current()->euid;
    if (allowed)
        sched_set_nice(t, nice);
    put_task(t);
    if (!allowed)
        return error{EACCES};
    return {};
}

result<void> sys_getcpu(user_ptr<u32> cpu, user_ptr<u32> node)
{
    if (cpu)
        TRY_VOID(put_user(cpu, smp_processor_id()));
    if (node)
        TRY_VOID(put_user(node, u32{0}));
    return {};
}

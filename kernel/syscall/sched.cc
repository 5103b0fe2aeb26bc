// SPDX-License-Identifier: MIT
// Scheduling policy, nice values and affinity. Linux: kernel/sched/core.c, kernel/sys.c. Context:
// process. Locks: tasklist_lock for walks over tasks.

#include "lib/string.h"
#include "sched/process.h"
#include "syscall/process.h"

namespace
{
constexpr int SCHED_RESET_ON_FORK = 0x40000000;
constexpr s32 MAX_USER_RT_PRIO = 99;
constexpr int PRIO_PROCESS = 0, PRIO_PGRP = 1, PRIO_USER = 2;

/// A task by id with a reference; 0: the current one. ESRCH.
result<task_struct *> find_task(s32 pid)
{
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
bool real_time(int policy)
{
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

/// Whether the caller may change how `t` is scheduled, apart from raising it.
bool may_schedule(const task_struct *t)
{
    const task_struct *me = current();
    return me->euid == t->uid || me->euid == t->euid || capable(CAP_SYS_NICE);
}

/// A limit of t's process; its signal state may go any time.
u64 limit_of(task_struct *t, unsigned what)
{
    spin_guard<irqsave> g{tasklist_lock};
    return t->signal ? t->signal->rlim[what].cur : 0;
}

result<void> check_policy(task_struct *t, int policy, s32 prio, bool reset)
{
    if (capable(CAP_SYS_NICE))
        return {};
    if (real_time(policy)) {
        u64 limit = limit_of(t, RLIMIT_RTPRIO);
        if ((policy != t->policy && !limit) ||
            (prio > t->rt_priority && static_cast<u64>(prio) > limit))
            return error{EPERM};
    }
    if (t->policy == SCHED_IDLE && policy != SCHED_IDLE &&
        static_cast<u64>(20 - t->nice) > limit_of(t, RLIMIT_NICE))
        return error{EPERM};
    if (!may_schedule(t) || (t->reset_on_fork && !reset))
        return error{EPERM};
    return {};
}

/// policy -1: as it is.
result<void> set_scheduler(task_struct *t, int policy, s32 prio)
{
    bool reset = policy == -1 ? t->reset_on_fork : policy & SCHED_RESET_ON_FORK;
    policy = policy == -1 ? t->policy : policy & ~SCHED_RESET_ON_FORK;
    if (!normal(policy) && !real_time(policy))
        return error{EINVAL};
    if (prio < 0 || prio > MAX_USER_RT_PRIO || real_time(policy) != (prio != 0))
        return error{EINVAL};
    TRY_VOID(check_policy(t, policy, prio, reset));
    t->reset_on_fork = reset;
    sched_set_policy(t, static_cast<u8>(policy), static_cast<u8>(prio));
    return {};
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
    auto r = may_schedule(t) ? sched_setaffinity(t, m) : result<void>{error{EPERM}};
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
    if (pid < 0)
        return error{EINVAL};
    task_struct *t = TRY(find_task(pid));
    int policy = t->policy | (t->reset_on_fork ? SCHED_RESET_ON_FORK : 0);
    put_task(t);
    return policy;
}

result<void> sys_sched_setscheduler(s32 pid, int policy, user_ptr<const s32> param)
{
    if (policy < 0 || !param || pid < 0)
        return error{EINVAL};
    s32 prio;
    TRY_VOID(copy_from_user(&prio, param.cast<const void>(), sizeof(prio)));
    task_struct *t = TRY(find_task(pid));
    auto r = set_scheduler(t, policy, prio);
    put_task(t);
    return r;
}

result<void> sys_sched_getparam(s32 pid, user_ptr<s32> param)
{
    if (!param || pid < 0)
        return error{EINVAL};
    task_struct *t = TRY(find_task(pid));
    s32 prio = t->rt_priority;
    put_task(t);
    return put_user(param, prio);
}

result<void> sys_sched_setparam(s32 pid, user_ptr<const s32> param)
{
    if (!param || pid < 0)
        return error{EINVAL};
    s32 prio;
    TRY_VOID(copy_from_user(&prio, param.cast<const void>(), sizeof(prio)));
    task_struct *t = TRY(find_task(pid));
    auto r = set_scheduler(t, -1, prio);
    put_task(t);
    return r;
}

/// SCHED_RR's slice; 0 for SCHED_FIFO; for the others what two equals would get in turn.
result<void> sys_sched_rr_get_interval(s32 pid, user_ptr<void> ts)
{
    constexpr s64 RR_NS = 100'000'000, FAIR_NS = 3'000'000;
    if (pid < 0)
        return error{EINVAL};
    task_struct *t = TRY(find_task(pid));
    s64 out[2] = {0, t->policy == SCHED_RR ? RR_NS : t->policy == SCHED_FIFO ? 0 : FAIR_NS};
    put_task(t);
    return copy_to_user(ts, out, sizeof(out));
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

namespace
{
/// Tasks that getpriority and setpriority are about, and what to do with them.
struct priority_walk {
    int which;
    s32 who;
    bool set;
    int nice;
    bool found = false;
    int best = -1; // highest 20 - nice
    errno_t err{};
};

bool may_lower(const task_struct *t, int nice)
{
    if (nice >= t->nice || capable(CAP_SYS_NICE))
        return true;
    return t->signal && static_cast<u64>(20 - nice) <= t->signal->rlim[RLIMIT_NICE].cur;
}

void visit_priority(task_struct *t, void *arg)
{
    auto *w = static_cast<priority_walk *>(arg);
    bool match = w->which == PRIO_PROCESS ? t->pid == w->who
                 : w->which == PRIO_PGRP  ? t->signal && t->signal->pgrp == w->who
                                          : !(t->flags & PF_KTHREAD) && t->uid == w->who;
    if (!match)
        return;
    w->found = true;
    w->best = max(w->best, 20 - t->nice);
    if (!w->set)
        return;
    const task_struct *me = current();
    if (t->uid != me->euid && t->euid != me->euid && !capable(CAP_SYS_NICE))
        w->err = EPERM;
    else if (!may_lower(t, w->nice))
        w->err = EACCES;
    else
        sched_set_nice(t, w->nice);
}

result<int> walk_priorities(int which, s32 who, bool set, int nice)
{
    if (which < PRIO_PROCESS || which > PRIO_USER)
        return error{EINVAL};
    if (!who)
        who = which == PRIO_PROCESS ? current()->pid
              : which == PRIO_PGRP  ? current()->signal->pgrp
                                    : current()->uid;
    priority_walk w{which, who, set, nice};
    for_each_task(visit_priority, &w);
    if (!w.found)
        return error{ESRCH};
    if (w.err)
        return error{w.err};
    return w.best;
}
} // namespace

/// 20 - nice, so that the result is never negative.
result<int> sys_getpriority(int which, s32 who)
{
    return walk_priorities(which, who, false, 0);
}

result<void> sys_setpriority(int which, s32 who, int nice)
{
    (void)TRY(walk_priorities(which, who, true, max(-20, min(19, nice))));
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

// SPDX-License-Identifier: MIT
// Who a process is: pids, sessions and process groups. Linux: kernel/sys.c. Context: process. Locks:
// tasklist_lock for what other processes can see. (User and group ids: creds.cc.)

#include "sched/process.h"
#include "syscall/process.h"

result<s32> sys_getpid()
{
    return current()->tgid;
}
result<s32> sys_gettid()
{
    return current()->pid;
}
result<s32> sys_getppid()
{
    rcu_read_lock(); // the parent may end now, but not be freed
    task_struct *p = read_once(current()->group_leader->parent);
    s32 pid = p ? p->tgid : 0;
    rcu_read_unlock();
    return pid;
}
namespace
{
struct group_walk {
    s32 pgrp, session;
    bool found;
};
void find_group(task_struct *t, void *arg)
{
    auto *w = static_cast<group_walk *>(arg);
    if (t->signal && t->signal->pgrp == w->pgrp &&
        (!w->session || t->signal->session == w->session))
        w->found = true;
}
/// Whether a process group exists (in that session, if not 0).
bool group_exists(s32 pgrp, s32 session)
{
    group_walk w{pgrp, session, false};
    for_each_task(find_group, &w);
    return w.found;
}

/// A process by pid with a reference; 0: the caller's.
result<task_struct *> find_process(s32 pid)
{
    if (!pid) {
        get_task(current()->group_leader);
        return current()->group_leader;
    }
    task_struct *t = find_get_task(pid);
    if (!t)
        return error{ESRCH};
    return t;
}

/// The rules of setpgid(2) for `t`, which is the caller or its child.
errno_t join_group(task_struct *t, s32 pgid, bool exists)
{
    spin_guard<irqsave> g{tasklist_lock};
    signal_state *mine = current()->signal, *s = t->signal;
    if (!s || t->group_leader != t)
        return s ? EINVAL : ESRCH;
    if (t != current()->group_leader) {
        if (t->parent != current()->group_leader)
            return ESRCH;
        if (s->session != mine->session)
            return EPERM;
        if (!(t->flags & PF_FORKNOEXEC))
            return EACCES;
    }
    if (s->leader || (pgid != t->pid && !exists))
        return EPERM;
    s->pgrp = pgid;
    return errno_t{};
}
} // namespace

result<s32> sys_setsid()
{
    task_struct *t = current()->group_leader;
    if (group_exists(t->pid, 0))
        return error{EPERM};
    spin_guard<irqsave> g{tasklist_lock};
    signal_state *s = t->signal;
    s->session = s->pgrp = t->pid;
    s->leader = true;
    s->tty = nullptr;
    return t->pid;
}

result<void> sys_setpgid(s32 pid, s32 pgid)
{
    if (pgid < 0)
        return error{EINVAL};
    task_struct *t = TRY(find_process(pid));
    if (!pgid)
        pgid = t->pid;
    errno_t err = join_group(t, pgid, group_exists(pgid, current()->signal->session));
    put_task(t);
    if (err)
        return error{err};
    return {};
}

result<s32> sys_getpgid(s32 pid)
{
    task_struct *t = TRY(find_process(pid));
    s32 id = task_pgrp(t);
    put_task(t);
    return id;
}
result<s32> sys_getpgrp()
{
    return current()->signal->pgrp;
}
result<s32> sys_getsid(s32 pid)
{
    task_struct *t = TRY(find_process(pid));
    s32 id = task_session(t);
    put_task(t);
    return id;
}

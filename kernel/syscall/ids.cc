// SPDX-License-Identifier: MIT
// Who a process is: pids, sessions and groups, user and group ids. Linux: kernel/sys.c,
// kernel/groups.c. Context: process. Locks: tasklist_lock for what other processes can see.
// Credentials belong to the thread, as in Linux; libc changes all threads. Supplementary groups are
// not kept: the only permission that is checked is euid 0.

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
    spin_guard<irqsave> g{tasklist_lock};
    task_struct *p = current()->group_leader->parent;
    return p ? p->tgid : 0;
}
result<s32> sys_getuid()
{
    return current()->uid;
}
result<s32> sys_geteuid()
{
    return current()->euid;
}
result<s32> sys_getgid()
{
    return current()->gid;
}
result<s32> sys_getegid()
{
    return current()->egid;
}

namespace
{
/// The three ids of one kind; fields of the current task.
struct id_set {
    s32 &real, &effective, &saved;
};
id_set users()
{
    return {current()->uid, current()->euid, current()->suid};
}
id_set groups()
{
    return {current()->gid, current()->egid, current()->sgid};
}
bool privileged()
{
    return current()->euid == 0;
}

result<void> set_id(id_set s, s32 id)
{
    if (id < 0)
        return error{EINVAL};
    if (privileged()) {
        s.real = s.effective = s.saved = id;
        return {};
    }
    if (id != s.real && id != s.saved)
        return error{EPERM};
    s.effective = id;
    return {};
}

bool may_become(const id_set &s, s32 id)
{
    return id == -1 || privileged() || id == s.real || id == s.effective || id == s.saved;
}

result<void> set_re(id_set s, s32 r, s32 e)
{
    if (!may_become(s, r) || !may_become(s, e))
        return error{EPERM};
    s32 old_real = s.real;
    if (e != -1)
        s.effective = e;
    if (r != -1)
        s.real = r;
    if (r != -1 || (e != -1 && e != old_real))
        s.saved = s.effective;
    return {};
}

result<void> set_res(id_set s, s32 r, s32 e, s32 saved)
{
    if (!may_become(s, r) || !may_become(s, e) || !may_become(s, saved))
        return error{EPERM};
    if (r != -1)
        s.real = r;
    if (e != -1)
        s.effective = e;
    if (saved != -1)
        s.saved = saved;
    return {};
}

result<void> get_res(id_set s, user_ptr<s32> r, user_ptr<s32> e, user_ptr<s32> saved)
{
    TRY_VOID(put_user(r, s.real));
    TRY_VOID(put_user(e, s.effective));
    return put_user(saved, s.saved);
}
} // namespace

result<void> sys_setuid(s32 id)
{
    return set_id(users(), id);
}
result<void> sys_setgid(s32 id)
{
    return set_id(groups(), id);
}
result<void> sys_setreuid(s32 r, s32 e)
{
    return set_re(users(), r, e);
}
result<void> sys_setregid(s32 r, s32 e)
{
    return set_re(groups(), r, e);
}
result<void> sys_setresuid(s32 r, s32 e, s32 s)
{
    return set_res(users(), r, e, s);
}
result<void> sys_setresgid(s32 r, s32 e, s32 s)
{
    return set_res(groups(), r, e, s);
}
result<void> sys_getresuid(user_ptr<s32> r, user_ptr<s32> e, user_ptr<s32> s)
{
    return get_res(users(), r, e, s);
}
result<void> sys_getresgid(user_ptr<s32> r, user_ptr<s32> e, user_ptr<s32> s)
{
    return get_res(groups(), r, e, s);
}
result<s32> sys_setfsuid(s32)
{
    return current()->euid;
}
result<s32> sys_setfsgid(s32)
{
    return current()->egid;
}

result<int> sys_getgroups(int n, user_ptr<u32>)
{
    if (n < 0)
        return error{EINVAL};
    return 0;
}
result<void> sys_setgroups(int n, user_ptr<const u32>)
{
    if (!privileged())
        return error{EPERM};
    if (n < 0 || n > 65536)
        return error{EINVAL};
    return {};
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

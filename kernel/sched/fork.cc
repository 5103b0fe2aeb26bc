// SPDX-License-Identifier: MIT
// New processes and threads. Linux: kernel/fork.c copy_process, do_fork. Context: process. Locks:
// tasklist_lock and the parent's signal lock for the moment of joining. The child is built while
// nobody else sees it; whatever fails before that point is undone in reverse order.

#include "lib/string.h"
#include "mm/mm.h"
#include "mm/slab.h"
#include "sched/process.h"
#include "sched/signal_internal.h"

const process_file_ops *process_files;

namespace
{
kmem_cache *signal_cache()
{
    static kmem_cache *c;
    if (!c)
        c = kmem_cache_create("signal_cache", sizeof(signal_state), 64);
    return c;
}

kmem_cache *sighand_cache()
{
    static kmem_cache *c;
    if (!c)
        c = kmem_cache_create("sighand_cache", sizeof(sighand_struct), 64);
    return c;
}

result<void> copy_mm(u64 flags, task_struct *t)
{
    mm_struct *mm = current()->mm;
    if (flags & CLONE_VM) {
        mm_get(mm);
        t->mm = mm;
        return {};
    }
    t->mm = mm_dup(mm);
    if (!t->mm)
        return error{ENOMEM};
    return {};
}

result<void> copy_files(u64 flags, task_struct *t)
{
    task_struct *me = current();
    if (flags & CLONE_FILES) {
        process_files->files_get(me->files);
        t->files = me->files;
    } else if (!(t->files = process_files->files_dup(me->files))) {
        return error{ENOMEM};
    }
    if (flags & CLONE_FS) {
        process_files->fs_get(me->fs);
        t->fs = me->fs;
    } else if (!(t->fs = process_files->fs_dup(me->fs))) {
        return error{ENOMEM};
    }
    return {};
}

result<sighand_struct *> copy_sighand(u64 flags)
{
    sighand_struct *mine = current()->signal->hand;
    if (flags & CLONE_SIGHAND) {
        mine->count.get();
        return mine;
    }
    auto *h = kmem_cache_new<sighand_struct>(sighand_cache(), GFP_KERNEL);
    if (!h)
        return error{ENOMEM};
    spin_guard<irqsave> g{mine->lock};
    memcpy(h->action, mine->action, sizeof(h->action));
    if (flags & CLONE_CLEAR_SIGHAND)
        for (kernel_sigaction &a : h->action)
            if (a.handler != SIG_IGN)
                a = {};
    return h;
}

result<void> copy_signal(u64 flags, task_struct *t)
{
    signal_state *mine = current()->signal;
    if (flags & CLONE_THREAD) {
        mine->count.get();
        t->signal = mine;
        return {};
    }
    auto *s = kmem_cache_new<signal_state>(signal_cache(), GFP_KERNEL);
    if (!s)
        return error{ENOMEM};
    auto hand = copy_sighand(flags);
    if (!hand) {
        kmem_cache_delete(signal_cache(), s);
        return hand.fail();
    }
    s->hand = *hand;
    spin_guard<irqsave> g{mine->lock};
    memcpy(s->rlim, mine->rlim, sizeof(s->rlim));
    s->oom_score_adj = mine->oom_score_adj;
    s->has_child_subreaper = mine->has_child_subreaper || mine->child_subreaper;
    s->dumpable = mine->dumpable;
    s->owner = t;
    t->signal = s;
    return {};
}

/// What a child takes over by value.
void copy_fields(task_struct *t)
{
    task_struct *me = current();
    memcpy(t->comm, me->comm, sizeof(t->comm));
    t->cpus_allowed = me->cpus_allowed;
    t->nice = me->nice;
    t->vruntime = me->vruntime;
    if (me->reset_on_fork) {
        t->nice = max(me->nice, 0);
    } else {
        t->policy = me->policy;
        t->rt_priority = me->rt_priority;
    }
    t->flags = PF_FORKNOEXEC | (me->flags & PF_STRACE);
    copy_creds(t);
    t->sig.blocked = me->sig.blocked;
}

void undo(task_struct *t)
{
    if (t->mm)
        mm_put(t->mm);
    if (t->files)
        process_files->files_put(t->files);
    if (t->fs)
        process_files->fs_put(t->fs);
    if (t->signal)
        signal_put(t->signal);
    t->mm = nullptr;
    t->files = nullptr;
    t->fs = nullptr;
    t->signal = nullptr;
    uncount_process(t);
    put_task(t);
    put_task(t); // both references are ours: it never ran
}

result<void> check_flags(u64 flags)
{
    if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND))
        return error{EINVAL};
    if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM))
        return error{EINVAL};
    if ((flags & CLONE_CLEAR_SIGHAND) && (flags & CLONE_SIGHAND))
        return error{EINVAL};
    // Siblings of process 1 would have nobody to reap them.
    if ((flags & CLONE_PARENT) && current()->group_leader == init_task)
        return error{EINVAL};
    if (flags & (CLONE_NEWNS | CLONE_NEWMASK)) // namespaces: not configured in, as Linux says it
        return error{EINVAL};
    return {};
}

/// RLIMIT_NPROC, which the mighty may exceed.
bool too_many_processes(const task_struct *t)
{
    if (!t->cred.user)
        return false;
    u64 limit = current()->signal->rlim[RLIMIT_NPROC].cur;
    s64 n = user_processes(t->cred.user).load(std::memory_order_relaxed);
    return static_cast<u64>(n) > limit && t->uid && !capable(CAP_SYS_RESOURCE) &&
           !capable(CAP_SYS_ADMIN);
}

/// Enter the child into the lists, all at once: nobody finds one that is given up again. A process that is to end gets no child
/// any more. Who has a signal to take takes that first, then forks again: one for the whole group must not miss the child.
result<void> join(u64 flags, task_struct *t)
{
    task_struct *me = current();
    signal_state *s = t->signal;
    bool thread = flags & CLONE_THREAD;
    spin_guard<irqsave> g{tasklist_lock};
    spin_guard<plain> l{s->lock};
    if (me->signal->group_exit || me->signal->group_exec)
        return error{EAGAIN};
    if (signal_pending())
        return error{ERESTARTNOINTR};
    t->group_leader = thread ? me->group_leader : t;
    t->tgid = thread ? me->tgid : 0;
    task_struct *parent =
        thread || (flags & CLONE_PARENT) ? me->group_leader->parent : me->group_leader;
    TRY_VOID(task_publish_locked(t, thread ? nullptr : parent));
    t->parent = parent;
    if (!thread) { // under tasklist_lock: setpgid() and a hangup concern all or none
        s->pgrp = me->signal->pgrp;
        s->session = me->signal->session;
        s->tty = me->signal->tty;
    }
    s->threads.push_back(*t);
    s->nr_threads++;
    s->live.fetch_add(1, std::memory_order_relaxed);
    t->cpu_timers.store(thread ? me->cpu_timers.load() : 0, std::memory_order_relaxed);
    if (!thread)
        cpu_limit_changed(s);
    return {};
}

result<task_struct *> copy_process(u64 flags, u64 stack, u64 tls, const pt_regs *regs)
{
    TRY_VOID(check_flags(flags));
    task_struct *t = task_alloc();
    if (!t)
        return error{ENOMEM};
    copy_fields(t);
    result<void> r = too_many_processes(t) ? result<void>{error{EAGAIN}} : copy_mm(flags, t);
    if (r)
        r = copy_files(flags, t);
    if (r)
        r = copy_signal(flags, t);
    if (!r) {
        undo(t);
        return r.fail();
    }
    arch_thread_fork(t, regs, stack, flags & CLONE_SETTLS ? tls : 0);
    if (!(flags & CLONE_VM) || (flags & CLONE_VFORK)) {
        t->sig.sas_sp = current()->sig.sas_sp;
        t->sig.sas_size = current()->sig.sas_size;
        t->sig.sas_flags = current()->sig.sas_flags;
    }
    if (flags & CLONE_THREAD)
        t->exit_signal = -1;
    else if (flags & CLONE_PARENT)
        t->exit_signal = current()->group_leader->exit_signal;
    else
        t->exit_signal = static_cast<s32>(flags & CSIGNAL);
    return t;
}
} // namespace

void signal_put(signal_state *s)
{
    if (!s->count.put())
        return;
    hrtimer_cancel(&s->real_timer);
    flush_sigqueue(s->shared);
    sighand_put(s->hand);
    kmem_cache_delete(signal_cache(), s);
}

void sighand_put(sighand_struct *h)
{
    if (h && h->count.put())
        kmem_cache_delete(sighand_cache(), h);
}

result<void> unshare_sighand()
{
    signal_state *s = current()->signal;
    sighand_struct *old = s->hand;
    if (old->count.read() == 1)
        return {};
    sighand_struct *mine = TRY(copy_sighand(0));
    {
        spin_guard<irqsave> tl{tasklist_lock}; // who sends looks at it
        spin_guard<plain> g{s->lock};
        s->hand = mine;
    }
    sighand_put(old);
    return {};
}

signal_state *signal_alloc()
{
    auto *s = kmem_cache_new<signal_state>(signal_cache(), GFP_KERNEL);
    if (s && !(s->hand = kmem_cache_new<sighand_struct>(sighand_cache(), GFP_KERNEL))) {
        kmem_cache_delete(signal_cache(), s);
        return nullptr;
    }
    return s;
}

result<s32> do_fork(u64 flags, u64 stack, u64 parent_tid, u64 child_tid, u64 tls,
                    const pt_regs *regs)
{
    task_struct *t = TRY(copy_process(flags, stack, tls, regs));
    completion vfork;
    if (flags & CLONE_VFORK)
        t->vfork_done = &vfork;
    if (flags & CLONE_CHILD_SETTID)
        t->set_child_tid = child_tid;
    if (flags & CLONE_CHILD_CLEARTID)
        t->clear_child_tid = child_tid;
    result<void> joined = join(flags, t);
    if (!joined) {
        undo(t);
        return joined.fail();
    }
    s32 pid = t->pid;
    if (flags & CLONE_PARENT_SETTID)
        (void)put_user(user_ptr<s32>{parent_tid}, pid).err();
    // Into the child's memory, which is a copy of ours unless it is shared.
    if ((flags & CLONE_CHILD_SETTID) && t->mm != current()->mm)
        (void)mm_write(t->mm, child_tid, &pid, sizeof(pid)).err();
    else if (flags & CLONE_CHILD_SETTID)
        (void)put_user(user_ptr<s32>{child_tid}, pid).err();
    wake_up_new_task(t);
    if (flags & CLONE_VFORK)
        wait_for_completion(&vfork);
    return pid;
}

int become_init()
{
    task_struct *t = current();
    auto *s = signal_alloc();
    t->cred.user = user_alloc(0);
    if (!s || !t->cred.user) // the kernel will not come far without process 1: nothing to undo
        return -ENOMEM;
    user_processes(t->cred.user).fetch_add(1);
    s->owner = t;
    s->unkillable = true;
    t->signal = s;
    t->exit_signal = static_cast<s32>(SIGCHLD);
    spin_guard<irqsave> g{tasklist_lock};
    s->threads.push_back(*t);
    s->nr_threads = 1;
    s->live.store(1);
    init_task = t;
    return 0;
}

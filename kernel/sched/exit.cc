// SPDX-License-Identifier: MIT
// The end of threads and processes: giving up what they hold, handing children over, telling the
// parent, being reaped. Linux: kernel/exit.c. Context: process. Locks: tasklist_lock (irqsave) →
// signal_state.lock.
//
// References: a task holds one on itself, dropped when its last schedule() is over; the other
// belongs to whoever reaps it: the parent in wait, or the thread itself when nobody waits for it.

#include "lib/printk.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "sched/cputime.h"
#include "sched/futex_internal.h"
#include "sched/signal_internal.h"

namespace
{
/// Stop being found: lists of children, threads, pids. Returns the signal state, for the caller to
/// drop after the lock.
signal_state *unlink_task(task_struct *t)
{
    if (t->sibling.linked())
        t->sibling.unlink();
    if (t->tasks.linked())
        t->tasks.unlink();
    if (t->pid_link.linked())
        t->pid_link.unlink();
    t->exit_state.store(EXIT_DEAD);
    signal_state *s = t->signal;
    if (!s)
        return nullptr;
    spin_guard<plain> g{s->lock};
    if (t->thread_node.linked())
        t->thread_node.unlink();
    flush_sigqueue(t->sig.pending);
    t->signal = nullptr;
    return s;
}

using child_list = list<task_struct, &task_struct::sibling>;

/// Who takes over the children of `father`: the nearest ancestor that asked for it, or process 1.
task_struct *find_reaper(task_struct *father)
{
    if (father->signal->has_child_subreaper)
        for (task_struct *p = father->parent; p && p != init_task; p = p->parent)
            if (p->signal && p->signal->child_subreaper && p->signal->nr_threads)
                return p;
    return init_task;
}

struct stopped_walk {
    s32 pgrp;
    bool found;
};
void look_for_stopped(task_struct *t, void *arg)
{
    auto *w = static_cast<stopped_walk *>(arg);
    if (t->group_leader == t && t->signal && t->signal->pgrp == w->pgrp && t->signal->stopping)
        w->found = true;
}

/// `t` loses `father`, or ends itself (father null): if its process group has nobody left who could
/// continue it, and has stopped jobs, they are hung up and continued (POSIX, _exit). tasklist_lock
/// held.
void kill_orphaned_pgrp(task_struct *t, task_struct *father)
{
    signal_state *s = t->signal;
    task_struct *guide = father ? father : t->parent;
    if (!s || !guide || !guide->signal || guide->signal->pgrp == s->pgrp ||
        guide->signal->session != s->session ||
        !pgrp_orphaned_without(s->pgrp, father ? nullptr : t))
        return;
    stopped_walk w{s->pgrp, false};
    for_each_task_locked(look_for_stopped, &w);
    if (!w.found)
        return;
    kernel_siginfo info;
    info.code = SI_KERNEL;
    kill_pgrp_locked(s->pgrp, SIGHUP, info);
    kill_pgrp_locked(s->pgrp, SIGCONT, info);
}

bool tell_parent_of_end(task_struct *leader)
{
    s32 status = leader->exit_code;
    return (status & 0x7f) ? notify_parent(leader, CLD_KILLED, status & 0x7f)
                           : notify_parent(leader, CLD_EXITED, status >> 8 & 0xff);
}

/// Children of a dying process get another parent, which is told of those that are dead already; whom
/// it does not want to wait for goes to `reap`.
void reparent_children(task_struct *t, child_list &reap)
{
    task_struct *reaper = find_reaper(t);
    kernel_siginfo info;
    info.code = SI_USER;
    while (task_struct *c = t->children.pop_front()) {
        c->parent = reaper;
        reaper->children.push_back(*c);
        if (c->pdeath_signal)
            send_signal_locked(c, c->pdeath_signal, info, true);
        c->exit_signal = static_cast<s32>(SIGCHLD);
        if (c->exit_state.load() == EXIT_ZOMBIE && !c->signal->nr_threads) {
            if (tell_parent_of_end(c)) {
                c->exit_state.store(EXIT_DEAD);
                c->sibling.unlink();
                reap.push_back(*c);
            }
        } else {
            kill_orphaned_pgrp(c, t);
        }
    }
}

/// The last thread of a process is gone: its leader can be waited for. True: by nobody, reap it at
/// once.
bool process_ends(task_struct *leader, child_list &reap)
{
    reparent_children(leader, reap);
    kill_orphaned_pgrp(leader, nullptr);
    leader->exit_state.store(EXIT_ZOMBIE);
    if (leader->parent && !tell_parent_of_end(leader))
        return false;
    leader->exit_state.store(EXIT_DEAD); // a waiting parent must not take it as well
    return true;
}

/// The current thread, which goes, leaves its usage with its process.
void account_gone_thread(task_struct *t, signal_state *s)
{
    child_usage u;
    account_current();
    thread_usage(t, &u);
    t->flags |= PF_ACCOUNTED;
    add_usage(s, u);
}

/// Leave the process. Tasks to be reaped now come back in reap[0…1], and children in `orphans`.
void leave_process(task_struct *t, task_struct *reap[2], child_list &orphans)
{
    spin_guard<irqsave> g{tasklist_lock};
    signal_state *s = t->signal;
    task_struct *leader = t->group_leader;
    bool last, stops;
    {
        spin_guard<plain> l{s->lock};
        last = --s->nr_threads == 0;
        stops = s->stopping && !last && s->nr_stopped == s->nr_threads; // all others wait for us
        account_gone_thread(t, s);
        if (s->group_exit)
            leader->exit_code = s->group_exit_code;
        if (s->group_exec && s->nr_threads == 1)
            wake_up_process(s->group_exec);
        if (last)
            wake_cpu_sleepers(s);
    }
    if (t != leader) {
        reap[0] = t;
        t->exit_state.store(EXIT_DEAD);
    } else if (!last) {
        t->exit_state.store(
            EXIT_ZOMBIE); // waits for its threads; notify_parent comes with the last
    }
    if (stops)
        notify_parent(leader, CLD_STOPPED, s->stop_code);
    if (!last)
        return;
    leader->signal->owner = nullptr;
    if (process_ends(leader, orphans))
        reap[1] = leader;
}

void drop_resources(task_struct *t)
{
    mm_struct *mm = t->mm;
    if (mm) {
        if (signal_state *s = t->signal)
            s->maxrss = max(s->maxrss, mm->rss.load(std::memory_order_relaxed));
        {
            spin_guard<irqsave> g{t->pi_lock}; // against get_task_mm()
            t->mm = nullptr;
            arch_activate_mm(nullptr);
        }
        mm_put(mm);
    }
    if (t->files)
        process_files->files_put(t->files);
    if (t->fs)
        process_files->fs_put(t->fs);
    t->files = nullptr;
    t->fs = nullptr;
}
} // namespace

mm_struct *get_task_mm(task_struct *t)
{
    spin_guard<irqsave> g{t->pi_lock};
    mm_struct *mm = t->mm;
    if (mm)
        mm_get(mm);
    return mm;
}

namespace
{
/// From now on no signal is for `t`; what it has been woken for others may take.
void begin_exit(task_struct *t)
{
    signal_state *s = t->signal;
    if (!s) {
        t->flags |= PF_EXITING;
        return;
    }
    spin_guard<irqsave> g{s->lock};
    t->flags |= PF_EXITING;
    if (!s->group_exit)
        retarget_shared(t, ~t->sig.blocked);
}

/// The last thread begins to exit: timers end, a session leader's terminal is hung up.
void last_thread_exits(task_struct *t)
{
    signal_state *s = t->signal;
    if (s->live.fetch_sub(1) != 1)
        return;
    hrtimer_cancel(&s->real_timer);
    exit_itimers(s);
    if (process_exit_sem)
        process_exit_sem();
    if (s->leader && process_tty_hangup)
        process_tty_hangup(s);
}
} // namespace

void (*process_tty_hangup)(signal_state *s);
void (*process_exit_sem)();

void release_task(task_struct *t)
{
    signal_state *s;
    {
        spin_guard<irqsave> g{tasklist_lock};
        s = unlink_task(t);
    }
    uncount_process(t);
    if (s)
        signal_put(s);
    put_task(t);
}

bool notify_parent(task_struct *t, int code, int status)
{
    task_struct *parent = t->parent;
    if (!parent || !parent->signal)
        return true;
    kernel_siginfo info;
    info.code = code;
    info.p = {t->pid, static_cast<u32>(t->uid), static_cast<u64>(status), 0, 0};
    u64 utime, stime;
    process_times_locked(t, &utime, &stime);
    info.p.utime = static_cast<s64>(utime / (NSEC_PER_SEC / 100));
    info.p.stime = static_cast<s64>(stime / (NSEC_PER_SEC / 100));
    bool ended = code == CLD_EXITED || code == CLD_KILLED || code == CLD_DUMPED;
    const kernel_sigaction &a = parent->signal->hand->action[SIGCHLD - 1];
    auto sig = static_cast<unsigned>(ended ? t->exit_signal : s32{SIGCHLD});
    bool unwanted = ended && sig == SIGCHLD && (a.handler == SIG_IGN || (a.flags & SA_NOCLDWAIT));
    bool send = sig && sig <= NSIG &&
                (ended ? a.handler != SIG_IGN || sig != SIGCHLD : !(a.flags & SA_NOCLDSTOP));
    if (send)
        send_signal_locked(parent, sig, info, true);
    wake_up_all(&parent->wait_child);
    return unwanted;
}

void mm_release()
{
    task_struct *t = current();
    if (t->robust_list)
        exit_robust_list();
    exit_pi_locks();
    u64 tid_addr = t->clear_child_tid;
    t->clear_child_tid = 0;
    if (tid_addr && t->mm->users.read() > 1) {
        (void)put_user(user_ptr<s32>{tid_addr}, 0).err();
        (void)futex_wake(tid_addr, true, 1, ~u32{0}).err();
    }
    if (completion *c = t->vfork_done) {
        t->vfork_done = nullptr;
        complete(c);
    }
}

void do_exit(int code)
{
    task_struct *t = current();
    if (t == init_task && (!t->signal || t->signal->nr_threads == 1))
        panic("Attempted to kill init! exitcode=0x%08x", static_cast<unsigned>(code));
    begin_exit(t);
    t->exit_code = code;
    if (t->mm)
        mm_release();
    if (t->signal)
        last_thread_exits(t);
    drop_resources(t);
    task_struct *reap_now[2] = {};
    child_list orphans;
    if (t->signal)
        leave_process(t, reap_now, orphans);
    else
        reap_now[0] = t;
    for (task_struct *r : reap_now)
        if (r)
            release_task(r);
    while (task_struct *r = orphans.pop_front())
        release_task(r);
    {
        // A late wake-up that has seen an older state must not overwrite this one.
        spin_guard<irqsave> g{t->pi_lock};
        t->state.store(TASK_DEAD);
    }
    schedule();
    panic("a dead task runs");
}

void do_group_exit(int code)
{
    signal_state *s = current()->signal;
    {
        spin_guard<irqsave> g{s->lock};
        if (s->group_exit)
            code = s->group_exit_code;
        else
            start_group_exit(s, code);
    }
    do_exit(code);
}

namespace
{
/// The only thread left is not the leader: it becomes it, taking its pid and its place among the
/// parent's children. tasklist_lock held; the old leader is dead and comes back for release.
task_struct *take_over_leadership(task_struct *t)
{
    task_struct *old = t->group_leader;
    s32 pid = t->pid;
    t->pid = old->pid;
    old->pid = pid;
    t->pid_link
        .unlink(); // our bucket is the old leader's now, and the other way round: it leaves soon
    t->pid_link.insert_between(old->pid_link.prev, &old->pid_link);
    old->pid_link.unlink();
    t->sibling.insert_between(old->sibling.prev, &old->sibling);
    old->sibling.unlink();
    t->children.splice_back(old->children);
    for (task_struct &c : t->children)
        c.parent = t;
    t->group_leader = t;
    old->group_leader = t;
    t->parent = old->parent;
    t->exit_signal = old->exit_signal;
    old->exit_signal = -1;
    t->signal->owner = t;
    t->start_time = old->start_time;
    t->pdeath_signal = old->pdeath_signal;
    if (init_task == old)
        init_task = t;
    return old;
}
} // namespace

int de_thread()
{
    task_struct *t = current();
    signal_state *s = t->signal;
    {
        spin_guard<irqsave> g{s->lock};
        if (s->group_exit || s->group_exec)
            return -EAGAIN;
        if (s->nr_threads > 1) {
            s->group_exec = t;
            for (task_struct &o : s->threads)
                if (&o != t)
                    kill_thread(&o);
        }
    }
    for (;;) {
        set_current_state(TASK_UNINTERRUPTIBLE);
        if (read_once(s->nr_threads) == 1)
            break;
        schedule();
    }
    set_current_state(TASK_RUNNING);
    task_struct *old = nullptr;
    {
        spin_guard<irqsave> g{tasklist_lock};
        if (t->group_leader != t)
            old = take_over_leadership(t);
        s->group_exec = nullptr;
        t->exit_signal = static_cast<s32>(SIGCHLD);
    }
    if (old)
        release_task(old);
    return 0;
}

// SPDX-License-Identifier: MIT
// Waiting for children (wait4, waitid). Linux: kernel/exit.c do_wait. Children belong to the
// process, that is to its group leader, whichever thread made them. Context: process. Locks:
// tasklist_lock.

#include "sched/cputime.h"
#include "sched/process.h"
#include "sched/signal_internal.h"

namespace
{
/// What live threads and gone ones have used. tasklist_lock held.
void usage_locked(task_struct *t, child_usage *u)
{
    signal_state *s = t->signal;
    *u = {s->utime, s->stime, s->maxrss, s->nvcsw, s->nivcsw, s->min_flt, s->maj_flt};
    for (task_struct &o : s->threads) {
        if (o.flags & PF_ACCOUNTED)
            continue;
        child_usage one;
        thread_usage(&o, &one);
        add_usage(u, one);
    }
}

bool eligible(const task_struct *c, s32 pid, u32 options)
{
    // Children that end with another signal, or none, are for those who ask for them.
    bool clone = c->exit_signal != static_cast<s32>(SIGCHLD);
    if (!(options & WALL) && clone != static_cast<bool>(options & WCLONE))
        return false;
    if (pid > 0)
        return c->pid == pid;
    if (pid == -1)
        return true;
    s32 pgrp = pid == 0 ? current()->signal->pgrp : -pid;
    return c->signal && c->signal->pgrp == pgrp;
}

/// Of the process alone, and of a dead one's children too.
void fill_usage(task_struct *c, wait_result *r)
{
    signal_state *s = c->signal;
    usage_locked(c, &r->usage);
    if (!c->exit_state.load())
        return;
    child_usage &u = r->usage;
    u.utime += s->cutime;
    u.stime += s->cstime;
    u.maxrss = max(u.maxrss, s->cmaxrss);
    u.nvcsw += s->cnvcsw;
    u.nivcsw += s->cnivcsw;
    u.min_flt += s->cmin_flt;
    u.maj_flt += s->cmaj_flt;
}

bool try_zombie(task_struct *c, u32 options, wait_result *r, task_struct **release)
{
    if (!(options & WEXITED) || c->exit_state.load() != EXIT_ZOMBIE || c->signal->nr_threads)
        return false;
    r->pid = c->pid;
    r->uid = c->uid;
    r->status = c->exit_code;
    r->code = c->exit_code & 0x7f ? CLD_KILLED : CLD_EXITED;
    fill_usage(c, r);
    if (options & WNOWAIT)
        return true;
    c->exit_state.store(EXIT_DEAD); // nobody else may reap it
    signal_state *mine = current()->signal;
    mine->cutime += r->usage.utime;
    mine->cstime += r->usage.stime;
    mine->cmaxrss = max(mine->cmaxrss, r->usage.maxrss);
    mine->cnvcsw += r->usage.nvcsw;
    mine->cnivcsw += r->usage.nivcsw;
    mine->cmin_flt += r->usage.min_flt;
    mine->cmaj_flt += r->usage.maj_flt;
    *release = c;
    return true;
}

bool try_stopped(task_struct *c, u32 options, wait_result *r)
{
    signal_state *s = c->signal;
    if (!(options & WUNTRACED))
        return false;
    spin_guard<plain> g{s->lock};
    if (!s->stopping || !s->stop_code || s->nr_stopped != s->nr_threads)
        return false;
    r->pid = c->pid;
    r->uid = c->uid;
    r->status = s->stop_code << 8 | 0x7f;
    r->code = CLD_STOPPED;
    if (!(options & WNOWAIT))
        s->stop_code = 0;
    return true;
}

bool try_continued(task_struct *c, u32 options, wait_result *r)
{
    signal_state *s = c->signal;
    if (!(options & WCONTINUED))
        return false;
    spin_guard<plain> g{s->lock};
    if (!s->continued)
        return false;
    r->pid = c->pid;
    r->uid = c->uid;
    r->status = 0xffff;
    r->code = CLD_CONTINUED;
    if (!(options & WNOWAIT))
        s->continued = false;
    return true;
}

/// One look at the children: true when `r` is filled. ECHILD when none could ever match.
result<bool> scan(s32 pid, u32 options, wait_result *r)
{
    task_struct *release = nullptr;
    bool any = false, found = false;
    {
        spin_guard<irqsave> g{tasklist_lock};
        for (task_struct &c : current()->group_leader->children) {
            if (c.exit_state.load() == EXIT_DEAD || !c.signal || !eligible(&c, pid, options))
                continue;
            any = true;
            found = try_zombie(&c, options, r, &release) || try_stopped(&c, options, r) ||
                    try_continued(&c, options, r);
            if (found)
                break;
        }
    }
    if (release)
        release_task(release);
    if (!any)
        return error{ECHILD};
    return found;
}
} // namespace

result<wait_result> do_wait(s32 pid, u32 options)
{
    wait_queue_head *q = &current()->group_leader->wait_child;
    wait_queue w{default_wake_function, current()};
    add_wait_queue(q, &w);
    wait_result r;
    errno_t err{};
    for (;;) {
        set_current_state(TASK_INTERRUPTIBLE);
        auto found = scan(pid, options, &r);
        if (!found) {
            err = static_cast<errno_t>(found.err());
            break;
        }
        if (*found || (options & WNOHANG))
            break;
        if (signal_pending()) {
            err = ERESTARTSYS;
            break;
        }
        schedule();
    }
    set_current_state(TASK_RUNNING);
    remove_wait_queue(q, &w);
    if (err)
        return error{err};
    return r;
}

void thread_usage(task_struct *t, child_usage *u)
{
    *u = {arch_cycles_to_ns(read_once(t->user_cycles)),
          arch_cycles_to_ns(read_once(t->system_cycles)),
          0,
          t->nvcsw.load(std::memory_order_relaxed),
          t->nivcsw.load(std::memory_order_relaxed),
          read_once(t->min_flt),
          read_once(t->maj_flt)};
}

void process_usage(task_struct *t, child_usage *u)
{
    *u = {};
    spin_guard<irqsave> g{tasklist_lock};
    if (t->signal)
        usage_locked(t, u);
}

void children_usage(task_struct *t, child_usage *u)
{
    spin_guard<irqsave> g{tasklist_lock};
    const signal_state *s = t->signal;
    *u = {s->cutime, s->cstime, s->cmaxrss, s->cnvcsw, s->cnivcsw, s->cmin_flt, s->cmaj_flt};
}

void process_times_locked(task_struct *t, u64 *utime, u64 *stime)
{
    child_usage u{};
    if (t->signal)
        usage_locked(t, &u);
    *utime = u.utime;
    *stime = u.stime;
}

void process_times(task_struct *t, u64 *utime, u64 *stime)
{
    account_current();
    spin_guard<irqsave> g{tasklist_lock};
    process_times_locked(t, utime, stime);
}

// SPDX-License-Identifier: MIT
// Waiting for children (wait4, waitid). Linux: kernel/exit.c do_wait. Children belong to the
// process, that is to its group leader, whichever thread made them. Context: process. Locks:
// tasklist_lock.

#include "sched/process.h"
#include "sched/signal_internal.h"

namespace
{
bool eligible(const task_struct *c, s32 pid)
{
    if (pid > 0)
        return c->pid == pid;
    if (pid == -1)
        return true;
    s32 pgrp = pid == 0 ? current()->signal->pgrp : -pid;
    return c->signal && c->signal->pgrp == pgrp;
}

void fill_usage(task_struct *c, wait_result *r)
{
    signal_state *s = c->signal;
    // A stopped child's threads are still accounted in themselves; good enough is the leader and
    // the gone.
    bool dead = c->exit_state.load() != 0;
    r->usage = {s->utime + s->cutime + (dead ? 0 : c->utime),
                s->stime + s->cstime + (dead ? 0 : c->stime), max(s->maxrss, s->cmaxrss), s->nvcsw,
                s->nivcsw};
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
            if (c.exit_state.load() == EXIT_DEAD || !c.signal || !eligible(&c, pid))
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

void process_times(task_struct *t, u64 *utime, u64 *stime)
{
    *utime = *stime = 0;
    spin_guard<irqsave> g{tasklist_lock};
    signal_state *s = t->signal;
    if (!s)
        return;
    *utime = s->utime;
    *stime = s->stime;
    for (task_struct &o : s->threads) {
        if (o.flags & PF_EXITING)
            continue;
        *utime += read_once(o.utime);
        *stime += read_once(o.stime);
    }
}

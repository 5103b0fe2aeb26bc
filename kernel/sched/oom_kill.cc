// SPDX-License-Identifier: MIT
// When memory runs out: which process goes. Linux: mm/oom_kill.c (3.10). Context: process, no lock
// held. Locks: tasklist_lock → signal_state.lock.

#include "lib/printk.h"
#include "mm/mm.h"
#include "sched/process.h"
#include "sched/signal_internal.h"

namespace
{
constexpr s64 ADJ_MIN = -1000;

/// The rss of t's address space in pages; 0: it has none any more. tasklist_lock held.
u64 rss_of(task_struct *t)
{
    spin_guard<irqsave> g{t->pi_lock};
    return t->mm ? t->mm->rss.load(std::memory_order_relaxed) + 1 : 0;
}

bool spared(task_struct *t)
{
    return t->group_leader != t || (t->flags & PF_KTHREAD) || t == init_task || !t->signal ||
           t->signal->oom_score_adj == ADJ_MIN;
}

struct choice {
    task_struct *victim = nullptr;
    u64 points = 0;
    bool dying = false; // one is on its way out already
};

void consider(task_struct *t, void *arg)
{
    auto *c = static_cast<choice *>(arg);
    if (spared(t))
        return;
    u64 points = oom_badness(t);
    if (!points)
        return;
    if (t->signal->group_exit)
        c->dying = true;
    if (points > c->points) {
        c->points = points;
        c->victim = t;
    }
}

/// A child with memory of its own goes first: its parent loses less work. tasklist_lock held.
task_struct *sacrifice_child(task_struct *t)
{
    task_struct *best = t;
    u64 most = 0;
    for (task_struct &c : t->children) {
        if (spared(&c) || c.mm == t->mm)
            continue;
        u64 points = oom_badness(&c);
        if (points > most) {
            most = points;
            best = &c;
        }
    }
    return best;
}

void kill(task_struct *t)
{
    unsigned long total = 0, rss = 0;
    {
        spin_guard<irqsave> g{t->pi_lock};
        if (t->mm) {
            total = t->mm->total_vm << (PAGE_SHIFT - 10);
            rss = t->mm->rss.load(std::memory_order_relaxed) << (PAGE_SHIFT - 10);
        }
    }
    pr_err("Killed process %d (%s) total-vm:%lukB, anon-rss:%lukB, file-rss:%lukB\n", t->pid,
           t->comm, total, rss, 0ul);
    kernel_siginfo info;
    info.code = SI_KERNEL;
    send_signal_locked(t, SIGKILL, info, true);
}

/// Choose and kill, or see that one is being killed.
void kill_one()
{
    choice c;
    spin_guard<irqsave> g{tasklist_lock};
    for_each_task_locked(consider, &c);
    if (c.dying || !c.victim)
        return;
    task_struct *me = current();
    pr_warn("%s invoked oom-killer: gfp_mask=0x%x, order=0, oom_score_adj=%d\n", me->comm,
            static_cast<unsigned>(GFP_USER), me->signal ? me->signal->oom_score_adj : 0);
    pr_err(
        "Out of memory: Kill process %d (%s) score %llu or sacrifice child\n", c.victim->pid,
        c.victim->comm,
        static_cast<unsigned long long>(c.points * 1000 / max(page_alloc_stats().total, u64{1})));
    kill(sacrifice_child(c.victim));
}

bool must_die()
{
    const signal_state *s = current()->signal;
    return !s || s->group_exit || (current()->sig.pending.mask & sigmask(SIGKILL));
}
} // namespace

u64 oom_badness(task_struct *t)
{
    s64 points = static_cast<s64>(rss_of(t));
    if (!points || !t->signal)
        return 0;
    s64 total = static_cast<s64>(page_alloc_stats().total);
    if (!t->cred.user || (t->cred.cap_effective >> CAP_SYS_ADMIN & 1))
        points -= points * 3 / 100; // the mighty get a little more
    points += t->signal->oom_score_adj * total / 1000;
    return points > 0 ? static_cast<u64>(points) : 1;
}

bool out_of_memory()
{
    constexpr s64 PAUSE = HZ / 50;
    constexpr int TRIES = 50;
    if (must_die() || (current()->flags & PF_EXITING))
        return false;
    kill_one();
    for (int i = 0; i < TRIES && !must_die(); i++) {
        set_current_state(TASK_UNINTERRUPTIBLE); // other signals do not make memory
        schedule_timeout(PAUSE);
        if (page_alloc_stats().free > page_alloc_user_reserve())
            break;
    }
    set_current_state(TASK_RUNNING);
    if (must_die())
        return false;
    if (page_alloc_stats().free > page_alloc_user_reserve())
        return true;
    // Nobody could be killed, or it did not help: it is our turn.
    kernel_siginfo info;
    info.code = SI_KERNEL;
    if (current() != init_task)
        send_signal_info(current(), SIGKILL, info, true);
    return current() == init_task;
}

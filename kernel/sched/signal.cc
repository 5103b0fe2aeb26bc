// SPDX-License-Identifier: MIT
// Sending signals: what is ignored, where it is queued, which thread is woken, what ends or stops a
// process at once. Linux: kernel/signal.c. Contexts: any. Locks: tasklist_lock → signal_state.lock
// → task.pi_lock.

#include "lib/initcall.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "sched/signal_internal.h"

namespace
{
kmem_cache *sigqueue_cache;

/// Linux's limit of queued signals per user is 1/4 of memory in pages; ours is per process.
constexpr u64 MAX_QUEUED = 1024;

/// Wake `t` so that it looks at its signals; `kill` also out of a stop.
void signal_wake_up(task_struct *t, bool kill)
{
    t->sigpending.store(1, std::memory_order_seq_cst);
    unsigned mode = kill ? TASK_INTERRUPTIBLE | TASK_STOPPED : TASK_INTERRUPTIBLE;
    if (try_to_wake_up(t, mode, 0))
        return;
    u32 cpu = read_once(t->cpu);
    if (t->on_cpu.load(std::memory_order_relaxed) && cpu != smp_processor_id())
        arch_send_ipi(cpu, ipi::reschedule); // running user code there: make it enter the kernel
}

bool wants(const task_struct *t, unsigned sig)
{
    if ((t->sig.blocked & sigmask(sig)) || (t->flags & PF_EXITING))
        return false;
    return sig == SIGKILL || !t->sig.stopped;
}

/// The thread to take a signal; null: all block it, it stays pending.
task_struct *choose_thread(signal_state *s, task_struct *p, unsigned sig, bool group)
{
    if (wants(p, sig))
        return p;
    if (group)
        for (task_struct &t : s->threads)
            if (wants(&t, sig))
                return &t;
    return nullptr;
}

void drop_signals(sigpending_set &set, u64 mask)
{
    set.mask &= ~mask;
    for (sigqueue &q : set.queue)
        if (sigmask(static_cast<unsigned>(q.info.signo)) & mask) {
            q.node.unlink();
            kmem_cache_delete(sigqueue_cache, &q);
        }
}

void drop_from_all(signal_state *s, u64 mask)
{
    drop_signals(s->shared, mask);
    for (task_struct &t : s->threads)
        drop_signals(t.sig.pending, mask);
}

/// SIGCONT ends a stop even when it is blocked or ignored; a stop signal takes back a pending
/// SIGCONT.
void stop_and_continue(signal_state *s, unsigned sig)
{
    if (sig == SIGCONT) {
        drop_from_all(s, STOP_SIGNALS);
        if (!s->stopping)
            return;
        s->stopping = false;
        s->stop_code = 0;
        s->continued = s->nr_stopped != 0;
        for (task_struct &t : s->threads)
            try_to_wake_up(&t, TASK_STOPPED, 0);
    } else if (sigmask(sig) & STOP_SIGNALS) {
        drop_from_all(s, sigmask(SIGCONT));
    }
}

bool is_ignored(const signal_state *s, const task_struct *p, unsigned sig)
{
    u64 handler = s->action[sig - 1].handler;
    if (s->unkillable && handler == SIG_DFL)
        return true;
    if (p->sig.blocked & sigmask(sig))
        return false;
    return handler == SIG_IGN || (handler == SIG_DFL && (sigmask(sig) & IGNORED_SIGNALS));
}

int enqueue(sigpending_set &set, unsigned sig, const kernel_siginfo &info)
{
    if (sig < 32 && (set.mask & sigmask(sig)))
        return 0; // one instance of a classic signal is enough
    u64 queued = 0;
    for (auto i = set.queue.begin(); i != set.queue.end() && queued < MAX_QUEUED; ++i)
        queued++;
    auto *q = queued < MAX_QUEUED ? kmem_cache_new<sigqueue>(sigqueue_cache, GFP_ATOMIC) : nullptr;
    if (!q && sig >= 32 && info.code != SI_USER)
        return -EAGAIN;
    if (q) {
        q->info = info;
        q->info.signo = static_cast<s32>(sig);
        set.queue.push_back(*q);
    }
    set.mask |= sigmask(sig);
    return 0;
}
} // namespace

signal_state::signal_state() : real_timer{real_timer_expired}
{
    for (rlimit64 &r : rlim)
        r = {RLIM_INFINITY, RLIM_INFINITY};
    rlim[RLIMIT_STACK].cur = u64{8} << 20;
    rlim[RLIMIT_CORE].cur = 0;
    rlim[RLIMIT_NOFILE] = {1024, 4096};
    rlim[RLIMIT_MEMLOCK] = {65536, 65536};
    rlim[RLIMIT_SIGPENDING] = {MAX_QUEUED, MAX_QUEUED};
    rlim[RLIMIT_MSGQUEUE] = {819200, 819200};
    rlim[RLIMIT_NICE] = rlim[RLIMIT_RTPRIO] = {0, 0};
}

void start_group_exit(signal_state *s, int code)
{
    s->group_exit = true;
    s->group_exit_code = code;
    s->stopping = false;
    for (task_struct &t : s->threads) {
        t.sig.pending.mask |= sigmask(SIGKILL);
        signal_wake_up(&t, true);
    }
}

void wake_for_stop(signal_state *s)
{
    for (task_struct &t : s->threads)
        if (!t.sig.stopped && !(t.flags & PF_EXITING))
            signal_wake_up(&t, false);
}

void queue_forced(task_struct *t, unsigned sig, const kernel_siginfo &info)
{
    (void)enqueue(t->sig.pending, sig, info);
}

void kill_thread(task_struct *t)
{
    t->sig.pending.mask |= sigmask(SIGKILL);
    signal_wake_up(t, true);
}

int send_signal_locked(task_struct *p, unsigned sig, const kernel_siginfo &info, bool group)
{
    signal_state *s = p->signal;
    if (!s)
        return p->mm ? 0 : -ESRCH;
    if (!sig || p->exit_state.load(std::memory_order_relaxed))
        return 0;
    spin_guard<plain> g{s->lock};
    stop_and_continue(s, sig);
    if (is_ignored(s, p, sig) || s->group_exit)
        return 0;
    int err = enqueue(group ? s->shared : p->sig.pending, sig, info);
    if (err)
        return err;
    task_struct *t = choose_thread(s, p, sig, group);
    if (!t)
        return 0;
    bool ends =
        s->action[sig - 1].handler == SIG_DFL && !(sigmask(sig) & (STOP_SIGNALS | IGNORED_SIGNALS));
    if (sig == SIGKILL || ends)
        start_group_exit(s, static_cast<int>(sig));
    else
        signal_wake_up(t, false);
    return 0;
}

int send_signal_info(task_struct *p, unsigned sig, const kernel_siginfo &info, bool group)
{
    spin_guard<irqsave> g{tasklist_lock};
    return send_signal_locked(p, sig, info, group);
}

int send_signal(task_struct *p, unsigned sig)
{
    kernel_siginfo info;
    info.code = SI_KERNEL;
    return send_signal_info(p, sig, info, true);
}

namespace
{
struct pgrp_walk {
    s32 pgrp;
    unsigned sig;
    const kernel_siginfo *info;
    int found;
};
void signal_member(task_struct *t, void *arg)
{
    auto *w = static_cast<pgrp_walk *>(arg);
    if (t->group_leader != t || !t->signal || t->signal->pgrp != w->pgrp)
        return;
    w->found = 1;
    send_signal_locked(t, w->sig, *w->info, true);
}

struct orphan_walk {
    s32 pgrp;
    bool has_guide;
};
void look_for_guide(task_struct *t, void *arg)
{
    auto *w = static_cast<orphan_walk *>(arg);
    if (t->group_leader != t || !t->signal || t->signal->pgrp != w->pgrp || t->exit_state.load())
        return;
    task_struct *parent = t->parent;
    if (parent && parent != init_task && parent->signal && parent->signal->pgrp != w->pgrp &&
        parent->signal->session == t->signal->session)
        w->has_guide = true;
}
} // namespace

int kill_pgrp(s32 pgrp, unsigned sig, const kernel_siginfo &info)
{
    if (pgrp <= 0)
        return -ESRCH;
    pgrp_walk w{pgrp, sig, &info, 0};
    for_each_task(signal_member, &w);
    return w.found ? 0 : -ESRCH;
}

bool is_orphaned_pgrp(s32 pgrp)
{
    orphan_walk w{pgrp, false};
    for_each_task(look_for_guide, &w);
    return !w.has_guide;
}

s32 task_pgrp(task_struct *t)
{
    spin_guard<irqsave> g{tasklist_lock};
    return t->signal ? t->signal->pgrp : 0;
}
s32 task_session(task_struct *t)
{
    spin_guard<irqsave> g{tasklist_lock};
    return t->signal ? t->signal->session : 0;
}

void discard_ignored(signal_state *s, unsigned sig)
{
    u64 handler = s->action[sig - 1].handler;
    if (handler == SIG_IGN || (handler == SIG_DFL && (sigmask(sig) & IGNORED_SIGNALS)))
        drop_from_all(s, sigmask(sig));
}

bool signal_pending()
{
    return current()->sigpending.load(std::memory_order_relaxed);
}
bool signal_pending(task_struct *p)
{
    return p->sigpending.load(std::memory_order_relaxed);
}

void flush_sigqueue(sigpending_set &s)
{
    s.mask = 0;
    while (sigqueue *q = s.queue.pop_front())
        kmem_cache_delete(sigqueue_cache, q);
}

/// Take signal `sig` out of a set that has it. signal lock held.
void take_signal(sigpending_set &set, unsigned sig, kernel_siginfo *info)
{
    *info = kernel_siginfo{};
    info->signo = static_cast<s32>(sig);
    sigqueue *first = nullptr;
    bool more = false;
    for (sigqueue &q : set.queue) {
        if (q.info.signo != static_cast<s32>(sig))
            continue;
        more = first;
        if (more)
            break;
        first = &q;
    }
    if (!more)
        set.mask &= ~sigmask(sig);
    if (!first)
        return;
    *info = first->info;
    first->node.unlink();
    kmem_cache_delete(sigqueue_cache, first);
}

int signal_init()
{
    sigqueue_cache = kmem_cache_create("sigqueue", sizeof(sigqueue));
    return 0;
}
early_initcall(signal_init);

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

/// Queued signals that a user may have, at first (Linux computes it from memory; 256 MB give this).
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

/// Done with an entry that is on no list: free it, unless it is a living timer's.
void free_sigqueue(sigqueue *q)
{
    if (q->timer)
        return;
    if (q->user) {
        user_sigpending(q->user).fetch_sub(1, std::memory_order_relaxed);
        user_put(q->user);
    }
    kmem_cache_delete(sigqueue_cache, q);
}

sigqueue *alloc_sigqueue(task_struct *t, gfp flags, bool override_limit)
{
    user_struct *u = t->cred.user;
    u64 limit = t->signal->rlim[RLIMIT_SIGPENDING].cur;
    if (u &&
        static_cast<u64>(user_sigpending(u).fetch_add(1, std::memory_order_relaxed)) >= limit &&
        !override_limit) {
        user_sigpending(u).fetch_sub(1, std::memory_order_relaxed);
        return nullptr;
    }
    auto *q = kmem_cache_new<sigqueue>(sigqueue_cache, flags);
    if (!q) {
        if (u)
            user_sigpending(u).fetch_sub(1, std::memory_order_relaxed);
        return nullptr;
    }
    user_get(u);
    q->user = u;
    return q;
}

void drop_signals(sigpending_set &set, u64 mask)
{
    set.mask &= ~mask;
    for (sigqueue &q : set.queue)
        if (sigmask(static_cast<unsigned>(q.info.signo)) & mask) {
            q.node.unlink();
            free_sigqueue(&q);
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

u64 handler_of(signal_state *s, unsigned sig)
{
    return read_once(s->hand->action[sig - 1].handler);
}

bool is_ignored(signal_state *s, const task_struct *p, unsigned sig)
{
    u64 handler = handler_of(s, sig);
    if (s->unkillable && handler == SIG_DFL)
        return true;
    if ((p->sig.blocked | p->sig.real_blocked) & sigmask(sig))
        return false;
    return handler == SIG_IGN || (handler == SIG_DFL && (sigmask(sig) & IGNORED_SIGNALS));
}

int enqueue(task_struct *t, sigpending_set &set, unsigned sig, const kernel_siginfo &info)
{
    if (sig < 32 && (set.mask & sigmask(sig)))
        return 0;               // one instance of a classic signal is enough
    bool ours = info.code >= 0; // the kernel's and kill()'s get a place beyond the limit
    auto *q = alloc_sigqueue(t, GFP_ATOMIC, sig < 32 && ours);
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

/// A signal was queued: see that somebody takes it. Locked.
void complete_signal(task_struct *p, signal_state *s, unsigned sig, bool group)
{
    wait_queue_head *q = signalfd_queue(s);
    smp_mb(); // the signal before the look at the queue
    if (q->active())
        wake_up_all(q);
    task_struct *t = choose_thread(s, p, sig, group);
    if (!t)
        return;
    bool ends = handler_of(s, sig) == SIG_DFL && !(sigmask(sig) & (STOP_SIGNALS | IGNORED_SIGNALS));
    // A core-dumping signal takes its own way, so that the dying thread is the one it was for.
    bool awaited = t->sig.real_blocked & sigmask(sig); // its taker decides
    if (sig == SIGKILL || (ends && !awaited && !(sigmask(sig) & CORE_SIGNALS)))
        start_group_exit(s, static_cast<int>(sig));
    else
        signal_wake_up(t, false);
}
} // namespace

wait_queue_head *signalfd_queue(const signal_state *s)
{
    static wait_queue_head queues[64];
    return &queues[(reinterpret_cast<u64>(s) >> 8) % 64];
}

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

void retarget_shared(const task_struct *from, u64 mask)
{
    signal_state *s = from->signal;
    u64 left = s->shared.mask & mask;
    for (task_struct &t : s->threads) {
        if (!left)
            return;
        u64 takes = left & ~t.sig.blocked;
        if (&t == from || (t.flags & PF_EXITING) || !takes)
            continue;
        left &= ~takes;
        signal_wake_up(&t, false);
    }
}

void queue_forced(task_struct *t, unsigned sig, const kernel_siginfo &info)
{
    (void)enqueue(t, t->sig.pending, sig, info);
}

void kill_thread(task_struct *t)
{
    t->sig.pending.mask |= sigmask(SIGKILL);
    signal_wake_up(t, true);
}

int send_signal_siglocked(task_struct *p, signal_state *s, unsigned sig, const kernel_siginfo &info,
                          bool group)
{
    stop_and_continue(s, sig);
    if (is_ignored(s, p, sig) || s->group_exit)
        return 0;
    int err = enqueue(p, group ? s->shared : p->sig.pending, sig, info);
    if (err)
        return err;
    complete_signal(p, s, sig, group);
    return 0;
}

int send_signal_locked(task_struct *p, unsigned sig, const kernel_siginfo &info, bool group)
{
    signal_state *s = p->signal;
    if (!s)
        return p->mm ? 0 : -ESRCH;
    if (!sig || p->exit_state.load(std::memory_order_relaxed) == EXIT_DEAD || !s->nr_threads)
        return 0;
    spin_guard<plain> g{s->lock};
    return send_signal_siglocked(p, s, sig, info, group);
}

int send_sigqueue(task_struct *p, signal_state *s, sigqueue *q, bool group)
{
    auto sig = static_cast<unsigned>(q->info.signo);
    if (!s->nr_threads || s->group_exit || (!group && p->exit_state.load()))
        return -1;
    if (q->node.linked()) {
        q->info.timer.overrun++;
        return 0;
    }
    stop_and_continue(s, sig);
    if (is_ignored(s, p, sig))
        return 1;
    q->info.timer.overrun = 0;
    sigpending_set &set = group ? s->shared : p->sig.pending;
    set.queue.push_back(*q);
    set.mask |= sigmask(sig);
    complete_signal(p, s, sig, group);
    return 0;
}

void sigqueue_release(signal_state *s, sigqueue *q)
{
    spin_guard<irqsave> g{s->lock};
    q->timer = nullptr;
    if (!q->node.linked())
        free_sigqueue(q);
}

sigqueue *sigqueue_alloc_timer(k_itimer *t)
{
    sigqueue *q = alloc_sigqueue(current(), GFP_KERNEL, false);
    if (q)
        q->timer = t;
    return q;
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
    const task_struct *without; // does not count any more
    bool has_guide;
};
void look_for_guide(task_struct *t, void *arg)
{
    auto *w = static_cast<orphan_walk *>(arg);
    if (t->group_leader != t || !t->signal || t->signal->pgrp != w->pgrp || t == w->without ||
        (t->exit_state.load() && !t->signal->nr_threads))
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
    spin_guard<irqsave> g{tasklist_lock};
    return kill_pgrp_locked(pgrp, sig, info);
}

int kill_pgrp_locked(s32 pgrp, unsigned sig, const kernel_siginfo &info)
{
    pgrp_walk w{pgrp, sig, &info, 0};
    for_each_task_locked(signal_member, &w);
    return w.found ? 0 : -ESRCH;
}

bool pgrp_orphaned_without(s32 pgrp, const task_struct *without)
{
    orphan_walk w{pgrp, without, false};
    for_each_task_locked(look_for_guide, &w);
    return !w.has_guide;
}

bool is_orphaned_pgrp(s32 pgrp)
{
    spin_guard<irqsave> g{tasklist_lock};
    return pgrp_orphaned_without(pgrp, nullptr);
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
    u64 handler = handler_of(s, sig);
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
        free_sigqueue(q);
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
    if (first->timer)
        current()->sig.timer_due = posix_timer_id(first->timer);
    free_sigqueue(first);
}

int signal_init()
{
    sigqueue_cache = kmem_cache_create("sigqueue", sizeof(sigqueue));
    return 0;
}
early_initcall(signal_init);

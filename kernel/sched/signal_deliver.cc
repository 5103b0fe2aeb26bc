// SPDX-License-Identifier: MIT
// The receiving side of signals: what the current thread does about them on its way to user mode,
// masks, restarts of system calls. Linux: kernel/signal.c get_signal_to_deliver,
// arch/x86/kernel/signal.c do_signal. Context: process. Locks: signal_state.lock (irqsave);
// tasklist_lock outside it where a parent is told.

#include "lib/printk.h"
#include "lib/string.h"
#include "sched/cputime.h"
#include "sched/process.h"
#include "sched/signal_internal.h"

namespace
{
constexpr u64 SYNCHRONOUS = sigmask(SIGSEGV) | sigmask(SIGBUS) | sigmask(SIGILL) |
                            sigmask(SIGTRAP) | sigmask(SIGFPE) | sigmask(SIGSYS);

unsigned first_signal(u64 mask)
{
    if (mask & SYNCHRONOUS)
        mask &= SYNCHRONOUS;
    return static_cast<unsigned>(__builtin_ctzll(mask)) + 1;
}

/// Lowest pending signal within `allowed`, its own first; 0: none. Locked.
unsigned dequeue_locked(signal_state *s, u64 allowed, kernel_siginfo *info)
{
    for (sigpending_set *set : {&current()->sig.pending, &s->shared}) {
        u64 m = set->mask & allowed;
        if (!m)
            continue;
        unsigned sig = first_signal(m);
        take_signal(*set, sig, info);
        if (sig == SIGALRM && set == &s->shared)
            real_timer_taken(s);
        return sig;
    }
    return 0;
}

/// If the signal just taken is a POSIX timer's: start that again. Not locked.
void posix_timer_taken(kernel_siginfo *info)
{
    task_struct *t = current();
    if (t->sig.timer_due < 0) [[likely]]
        return;
    s32 id = t->sig.timer_due;
    t->sig.timer_due = -1;
    info->timer.overrun += posix_timer_rearm(id);
}

void recalc_locked(signal_state *s)
{
    task_struct *t = current();
    u64 m = (t->sig.pending.mask | s->shared.mask) & ~t->sig.blocked;
    bool stop = s->stopping && !t->sig.stopped;
    t->sigpending.store(m || stop || s->group_exit, std::memory_order_relaxed);
}

/// Stop until SIGCONT or death. The last thread to stop tells the parent.
void do_signal_stop(signal_state *s)
{
    task_struct *t = current();
    bool last;
    {
        spin_guard<irqsave> g{s->lock};
        if (!s->stopping || s->group_exit)
            return;
        t->sig.stopped = true;
        last = ++s->nr_stopped == s->nr_threads;
        t->state.store(TASK_STOPPED, std::memory_order_seq_cst);
    }
    if (last) {
        spin_guard<irqsave> g{tasklist_lock};
        notify_parent(t->group_leader, CLD_STOPPED, s->stop_code);
    }
    schedule();
    bool tell;
    {
        spin_guard<irqsave> g{s->lock};
        t->sig.stopped = false;
        tell = s->continued && s->nr_stopped == s->nr_threads;
        s->nr_stopped--;
    }
    if (tell) {
        spin_guard<irqsave> g{tasklist_lock};
        notify_parent(t->group_leader, CLD_CONTINUED, SIGCONT);
    }
}

/// Default action of a stop signal. Terminal stops do not stop a group that nobody could continue.
void begin_stop(signal_state *s, unsigned sig)
{
    if (sig != SIGSTOP && is_orphaned_pgrp(s->pgrp))
        return;
    {
        spin_guard<irqsave> g{s->lock};
        if (!s->stopping && !s->group_exit) {
            s->stopping = true;
            s->stop_code = static_cast<s32>(sig);
            s->continued = false;
            wake_for_stop(s);
        }
    }
    do_signal_stop(s);
}

void take_action(sighand_struct *h, unsigned sig, kernel_sigaction *act)
{
    spin_guard<plain> g{h->lock};
    *act = h->action[sig - 1];
    if (act->handler > SIG_IGN && (act->flags & SA_RESETHAND))
        h->action[sig - 1].handler = SIG_DFL;
}

/// The next signal that has a handler; the defaults happen here. 0: nothing left.
unsigned next_handled(signal_state *s, kernel_siginfo *info, kernel_sigaction *act)
{
    task_struct *t = current();
    for (;;) {
        unsigned sig;
        bool stop, exit;
        {
            spin_guard<irqsave> g{s->lock};
            exit = s->group_exit;
            stop = s->stopping;
            sig = exit || stop ? 0 : dequeue_locked(s, ~t->sig.blocked, info);
            if (sig)
                take_action(s->hand, sig, act);
        }
        if (exit)
            do_exit(s->group_exit_code);
        if (stop) {
            do_signal_stop(s);
            continue;
        }
        posix_timer_taken(info);
        if (!sig)
            return 0;
        if (sig == SIGKILL)
            do_exit(SIGKILL); // this thread alone: another one runs execve
        if (act->handler > SIG_IGN)
            return sig;
        if (act->handler == SIG_IGN || (sigmask(sig) & IGNORED_SIGNALS) || s->unkillable)
            continue;
        if (sigmask(sig) & STOP_SIGNALS)
            begin_stop(s, sig);
        else
            do_group_exit(static_cast<int>(sig));
    }
}

/// End of an interrupted system call: again, or EINTR. `act` null: no handler runs.
void finish_restart(pt_regs *regs, const kernel_sigaction *act)
{
    task_struct *t = current();
    if (!t->sig.restart)
        return;
    t->sig.restart = false;
    s64 code = -arch_syscall_result(regs);
    if (code != ERESTARTSYS && code != ERESTARTNOINTR && code != ERESTARTNOHAND &&
        code != ERESTART_RESTARTBLOCK)
        return;
    constexpr u64 NR_restart_syscall = 219;
    bool again =
        !act || code == ERESTARTNOINTR || (code == ERESTARTSYS && (act->flags & SA_RESTART));
    if (again && code == ERESTART_RESTARTBLOCK)
        arch_restart_syscall(regs, NR_restart_syscall);
    else if (again)
        arch_restart_syscall(regs, syscall_nr(regs));
    else
        arch_set_syscall_result(regs, -EINTR);
}

void enter_handler(pt_regs *regs, unsigned sig, const kernel_siginfo &info,
                   const kernel_sigaction &act)
{
    task_struct *t = current();
    signal_frame f{sig,           &info,           act.handler,
                   act.flags,     act.restorer,    t->sig.blocked,
                   t->sig.sas_sp, t->sig.sas_size, t->sig.sas_flags};
    if (t->sig.restore_saved)
        f.blocked = t->sig.saved;
    if (!arch_setup_signal_frame(regs, f)) {
        kernel_siginfo segv;
        segv.code = SI_KERNEL;
        force_signal(SIGSEGV, segv);
        if (sig == SIGSEGV)
            do_group_exit(SIGSEGV); // its own handler's stack is bad
        return;
    }
    t->sig.restore_saved = false;
    constexpr u32 SS_DISABLE = 2, SS_AUTODISARM = 1u << 31;
    if (t->sig.sas_flags & SS_AUTODISARM) {
        t->sig.sas_sp = t->sig.sas_size = 0;
        t->sig.sas_flags = SS_DISABLE;
    }
    u64 mask = t->sig.blocked | act.mask;
    if (!(act.flags & SA_NODEFER))
        mask |= sigmask(sig);
    set_blocked(mask);
}
} // namespace

void do_signal(pt_regs *regs)
{
    task_struct *t = current();
    signal_state *s = t->signal;
    kernel_siginfo info;
    kernel_sigaction act;
    unsigned sig = next_handled(s, &info, &act);
    finish_restart(regs, sig ? &act : nullptr);
    if (sig) {
        enter_handler(regs, sig, info, act);
    } else if (t->sig.restore_saved) {
        t->sig.restore_saved = false;
        set_blocked(t->sig.saved);
    }
    recalc_sigpending();
}

void exit_to_user_work(pt_regs *regs)
{
    do {
        local_irq_enable();
        if (need_resched())
            schedule();
        if (signal_pending())
            do_signal(regs);
        local_irq_disable();
    } while (exit_work_pending(current()));
}

void exit_to_user(pt_regs *regs)
{
    if (exit_work_pending(current())) [[unlikely]]
        exit_to_user_work(regs);
    account_time_switch(CPUTIME_USER);
}

void recalc_sigpending()
{
    signal_state *s = current()->signal;
    spin_guard<irqsave> g{s->lock};
    recalc_locked(s);
}

void set_blocked(u64 mask)
{
    task_struct *t = current();
    spin_guard<irqsave> g{t->signal->lock};
    u64 newly = mask & ~UNBLOCKABLE & ~t->sig.blocked;
    t->sig.blocked = mask & ~UNBLOCKABLE;
    retarget_shared(t, newly);
    recalc_locked(t->signal);
}

unsigned dequeue_signal(u64 mask, kernel_siginfo *info)
{
    signal_state *s = current()->signal;
    unsigned sig;
    {
        spin_guard<irqsave> g{s->lock};
        sig = dequeue_locked(s, mask, info);
        recalc_locked(s);
    }
    posix_timer_taken(info);
    return sig;
}

u64 pending_signals(u64 mask)
{
    task_struct *t = current();
    return (read_once(t->sig.pending.mask) | read_once(t->signal->shared.mask)) & mask;
}

u64 signal_handler(unsigned sig)
{
    return read_once(current()->signal->hand->action[sig - 1].handler);
}

bool signal_blocked_or_ignored(unsigned sig)
{
    task_struct *t = current();
    spin_guard<irqsave> g{t->signal->lock};
    return (t->sig.blocked & sigmask(sig)) || signal_handler(sig) == SIG_IGN;
}

result<void> set_user_sigmask(u64 mask_addr, u64 size)
{
    if (!mask_addr)
        return {};
    if (size != sizeof(u64))
        return error{EINVAL};
    u64 mask;
    TRY_VOID(get_user(mask, user_ptr<u64>{mask_addr}));
    task_struct *t = current();
    t->sig.saved = t->sig.blocked;
    t->sig.restore_saved = true;
    set_blocked(mask);
    return {};
}

void restore_user_sigmask(bool interrupted)
{
    task_struct *t = current();
    if (!t->sig.restore_saved || (interrupted && signal_pending()))
        return;
    t->sig.restore_saved = false;
    set_blocked(t->sig.saved);
}

void force_signal(unsigned sig, const kernel_siginfo &info)
{
    task_struct *t = current();
    signal_state *s = t->signal;
    spin_guard<irqsave> g{s->lock};
    {
        spin_guard<plain> h{s->hand->lock};
        kernel_sigaction &a = s->hand->action[sig - 1];
        if (a.handler == SIG_IGN || (t->sig.blocked & sigmask(sig))) {
            a.handler = SIG_DFL;
            t->sig.blocked &= ~sigmask(sig);
        }
        if (a.handler == SIG_DFL)
            s->unkillable = false;
    }
    queue_forced(t, sig, info);
    recalc_locked(s);
}

void user_exception(pt_regs *regs, int signal, int code, u64 addr)
{
    task_struct *t = current();
    auto sig = static_cast<unsigned>(signal);
    if (signal_handler(sig) <= SIG_IGN && sig != SIGTRAP && printk_ratelimit())
        pr_info("%s[%d]: %s at %llx ip %llx sp %llx", t->comm, t->pid,
                sig == SIGSEGV ? "segfault" : "exception", static_cast<unsigned long long>(addr),
                static_cast<unsigned long long>(regs_ip(regs)),
                static_cast<unsigned long long>(regs_sp(regs)));
    kernel_siginfo info;
    info.code = code;
    info.addr = addr;
    force_signal(sig, info);
}

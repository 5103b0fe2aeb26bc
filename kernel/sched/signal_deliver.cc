// SPDX-License-Identifier: MIT
// The receiving side of signals: what the current thread does about them on its way to user mode,
// masks, restarts of system calls. Linux: kernel/signal.c get_signal_to_deliver,
// arch/x86/kernel/signal.c do_signal. Context: process. Locks: signal_state.lock (irqsave);
// tasklist_lock outside it where a parent is told.

#include "lib/printk.h"
#include "lib/string.h"
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
        return sig;
    }
    return 0;
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
                *act = s->action[sig - 1];
            if (sig && act->handler > SIG_IGN && (act->flags & SA_RESETHAND))
                s->action[sig - 1].handler = SIG_DFL;
        }
        if (exit)
            do_exit(s->group_exit_code);
        if (stop) {
            do_signal_stop(s);
            continue;
        }
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
    if (code != ERESTARTSYS && code != ERESTARTNOINTR && code != ERESTARTNOHAND)
        return;
    bool again =
        !act || code == ERESTARTNOINTR || (code == ERESTARTSYS && (act->flags & SA_RESTART));
    if (again)
        arch_restart_syscall(regs);
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

void exit_to_user(pt_regs *regs)
{
    while (this_cpu()->need_resched || current()->sigpending.load(std::memory_order_relaxed))
        [[unlikely]]
        {
            local_irq_enable();
            if (need_resched())
                schedule();
            if (signal_pending())
                do_signal(regs);
            local_irq_disable();
        }
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
    t->sig.blocked = mask & ~UNBLOCKABLE;
    recalc_locked(t->signal);
}

unsigned dequeue_signal(u64 mask, kernel_siginfo *info)
{
    signal_state *s = current()->signal;
    spin_guard<irqsave> g{s->lock};
    unsigned sig = dequeue_locked(s, mask, info);
    recalc_locked(s);
    return sig;
}

bool signal_blocked_or_ignored(unsigned sig)
{
    task_struct *t = current();
    spin_guard<irqsave> g{t->signal->lock};
    return (t->sig.blocked & sigmask(sig)) || t->signal->action[sig - 1].handler == SIG_IGN;
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
    kernel_sigaction &a = s->action[sig - 1];
    if (a.handler == SIG_IGN || (t->sig.blocked & sigmask(sig))) {
        a.handler = SIG_DFL;
        t->sig.blocked &= ~sigmask(sig);
    }
    if (a.handler == SIG_DFL)
        s->unkillable = false;
    queue_forced(t, sig, info);
    recalc_locked(s);
}

namespace
{
/// si_code of a fault that the processor reported.
int fault_code(int sig)
{
    switch (static_cast<unsigned>(sig)) {
    case SIGILL:
    case SIGBUS:
        return 2; // ILL_ILLOPN, BUS_ADRERR
    case SIGFPE:
    case SIGTRAP:
    case SIGSEGV:
        return 1; // FPE_INTDIV, TRAP_BRKPT, SEGV_MAPERR
    default:
        return SI_KERNEL;
    }
}
} // namespace

void user_exception(pt_regs *regs, int signal, u64 addr)
{
    task_struct *t = current();
    auto sig = static_cast<unsigned>(signal);
    u64 handler = t->signal->action[sig - 1].handler;
    if (handler <= SIG_IGN && sig != SIGTRAP && printk_ratelimit())
        pr_info("%s[%d]: %s at %llx ip %llx sp %llx", t->comm, t->pid,
                sig == SIGSEGV ? "segfault" : "exception", static_cast<unsigned long long>(addr),
                static_cast<unsigned long long>(regs_ip(regs)),
                static_cast<unsigned long long>(regs_sp(regs)));
    kernel_siginfo info;
    info.code = fault_code(signal);
    info.addr = addr;
    force_signal(sig, info);
}

// SPDX-License-Identifier: MIT
// Sending, masking, awaiting signals. Linux: kernel/signal.c. Context: process.
// Locks: tasklist_lock → signal_state.lock.

#include "syscall/signal.h"
#include "fs/signalfd.h"
#include "lib/string.h"
#include "sched/process.h"
#include "syscall/time.h"

namespace
{
constexpr u64 SIGSET_SIZE = 8;
constexpr u32 SS_ONSTACK = 1, SS_DISABLE = 2, SS_AUTODISARM = 1u << 31;
constexpr u64 MINSIGSTKSZ = 2048;

kernel_siginfo from_user(int code)
{
    kernel_siginfo info;
    info.code = code;
    info.p.pid = current()->tgid;
    info.p.uid = static_cast<u32>(current()->uid);
    return info;
}

/// Whether the caller may signal `t`; tasklist_lock held.
bool may_signal(const task_struct *t, unsigned sig)
{
    const task_struct *me = current();
    if (capable(CAP_KILL) || me->euid == t->suid || me->euid == t->uid || me->uid == t->suid ||
        me->uid == t->uid)
        return true;
    return sig == SIGCONT && t->signal && t->signal->session == me->signal->session;
}

int signal_one(task_struct *t, unsigned sig, const kernel_siginfo &info, bool group)
{
    spin_guard<irqsave> g{tasklist_lock};
    if (!may_signal(t, sig))
        return EPERM;
    return -send_signal_locked(t, sig, info, group);
}

struct kill_walk {
    s32 pgrp; // 0: everybody but init and ourselves
    unsigned sig;
    kernel_siginfo info;
    bool matched = false, sent = false;
};
void kill_member(task_struct *t, void *arg)
{
    auto *w = static_cast<kill_walk *>(arg);
    if (t->group_leader != t || !t->signal)
        return;
    if (w->pgrp ? t->signal->pgrp != w->pgrp : t == init_task || t == current()->group_leader)
        return;
    w->matched = true;
    if (!may_signal(t, w->sig))
        return;
    w->sent = true;
    send_signal_locked(t, w->sig, w->info, true);
}

result<void> signal_thread(s32 tgid, s32 pid, u32 sig)
{
    if (pid <= 0 || sig > NSIG)
        return error{EINVAL};
    task_struct *t = find_get_task(pid);
    if (!t)
        return error{ESRCH};
    int err = tgid && t->tgid != tgid ? ESRCH : signal_one(t, sig, from_user(SI_TKILL), false);
    put_task(t);
    if (err)
        return error{static_cast<errno_t>(err)};
    return {};
}
} // namespace

result<void> sys_kill(s32 pid, u32 sig)
{
    if (sig > NSIG)
        return error{EINVAL};
    if (pid > 0) {
        task_struct *t = find_get_task(pid);
        if (!t)
            return error{ESRCH};
        int err = signal_one(t, sig, from_user(SI_USER), true);
        put_task(t);
        if (err)
            return error{static_cast<errno_t>(err)};
        return {};
    }
    if (pid == INT32_MIN)
        return error{ESRCH};
    kill_walk w{pid == -1 ? 0 : pid ? -pid : current()->signal->pgrp, sig, from_user(SI_USER)};
    if (pid == 0 && !w.pgrp)
        return error{ESRCH};
    for_each_task(kill_member, &w);
    if (!w.matched)
        return error{ESRCH};
    if (!w.sent)
        return error{EPERM};
    return {};
}

result<void> sys_tgkill(s32 tgid, s32 pid, u32 sig)
{
    if (tgid <= 0)
        return error{EINVAL};
    return signal_thread(tgid, pid, sig);
}
result<void> sys_tkill(s32 pid, u32 sig)
{
    return signal_thread(0, pid, sig);
}

namespace
{
result<void> queue_info(s32 tgid, s32 pid, u32 sig, user_ptr<const void> uinfo, bool group)
{
    kernel_siginfo info;
    TRY_VOID(copy_from_user(&info, uinfo, sizeof(info)));
    if ((info.code >= 0 || info.code == SI_TKILL) && pid != current()->pid)
        return error{EPERM}; // only the kernel sends those
    if (sig > NSIG)
        return error{EINVAL};
    info.signo = static_cast<s32>(sig);
    info.pad = 0;
    task_struct *t = find_get_task(pid);
    if (!t)
        return error{ESRCH};
    int err = tgid && t->tgid != tgid ? ESRCH : signal_one(t, sig, info, group);
    put_task(t);
    if (err)
        return error{static_cast<errno_t>(err)};
    return {};
}
} // namespace

result<void> sys_rt_sigqueueinfo(s32 pid, u32 sig, user_ptr<const void> uinfo)
{
    return queue_info(0, pid, sig, uinfo, true);
}

result<void> sys_rt_tgsigqueueinfo(s32 tgid, s32 pid, u32 sig, user_ptr<const void> uinfo)
{
    if (pid <= 0 || tgid <= 0)
        return error{EINVAL};
    return queue_info(tgid, pid, sig, uinfo, false);
}

result<int> sys_signalfd4(int fd, user_ptr<u64> mask, u64 size, u32 flags)
{
    if (size != SIGSET_SIZE)
        return error{EINVAL};
    u64 m;
    TRY_VOID(get_user(m, mask));
    return do_signalfd(fd, m, flags);
}

result<int> sys_signalfd(int fd, user_ptr<u64> mask, u64 size)
{
    return sys_signalfd4(fd, mask, size, 0);
}

result<void> sys_rt_sigaction(u32 sig, user_ptr<kernel_sigaction> act,
                              user_ptr<kernel_sigaction> old, u64 size)
{
    if (size != SIGSET_SIZE || sig < 1 || sig > NSIG)
        return error{EINVAL};
    kernel_sigaction a, before;
    if (act)
        TRY_VOID(get_user(a, act));
    if (act && (sigmask(sig) & UNBLOCKABLE))
        return error{EINVAL};
    a.mask &= ~UNBLOCKABLE;
    signal_state *s = current()->signal;
    {
        spin_guard<irqsave> tl{tasklist_lock}; // the threads' pending signals are looked at
        spin_guard<plain> g{s->lock};
        {
            spin_guard<plain> h{s->hand->lock};
            before = s->hand->action[sig - 1];
            if (act)
                s->hand->action[sig - 1] = a;
        }
        if (act)
            discard_ignored(s, sig);
    }
    if (old)
        TRY_VOID(put_user(old, before));
    return {};
}

result<void> sys_rt_sigprocmask(int how, user_ptr<u64> set, user_ptr<u64> old, u64 size)
{
    constexpr int SIG_BLOCK = 0, SIG_UNBLOCK = 1, SIG_SETMASK = 2;
    if (size != SIGSET_SIZE)
        return error{EINVAL};
    u64 before = current()->sig.blocked;
    if (set) {
        u64 m;
        TRY_VOID(get_user(m, set));
        switch (how) {
        case SIG_BLOCK:
            set_blocked(before | m);
            break;
        case SIG_UNBLOCK:
            set_blocked(before & ~m);
            break;
        case SIG_SETMASK:
            set_blocked(m);
            break;
        default:
            return error{EINVAL};
        }
    }
    if (old)
        TRY_VOID(put_user(old, before));
    return {};
}

result<void> sys_rt_sigpending(user_ptr<void> set, u64 size)
{
    if (size > SIGSET_SIZE)
        return error{EINVAL};
    task_struct *t = current();
    u64 m = (read_once(t->sig.pending.mask) | read_once(t->signal->shared.mask)) & t->sig.blocked;
    return copy_to_user(set, &m, size);
}

namespace
{
result<void> put_siginfo(user_ptr<void> to, const kernel_siginfo &info)
{
    if (!to)
        return {};
    u8 full[128] = {};
    memcpy(full, &info, sizeof(info));
    return copy_to_user(to, full, sizeof(full));
}
} // namespace

result<s64> sys_rt_sigtimedwait(user_ptr<u64> set, user_ptr<void> uinfo, u64 timeout, u64 size)
{
    if (size != SIGSET_SIZE)
        return error{EINVAL};
    u64 wanted;
    TRY_VOID(get_user(wanted, set));
    wanted &= ~UNBLOCKABLE;
    u64 expires = ~u64{0};
    if (timeout) {
        u64 ns = TRY(get_timespec_ns(timeout));
        expires = ktime_get() + ns < ns ? ~u64{0} - 1 : ktime_get() + ns;
    }
    task_struct *t = current();
    kernel_siginfo info;
    unsigned sig = dequeue_signal(wanted, &info);
    if (!sig) {
        // While we wait, what we wait for counts as not blocked, so that its sender wakes us.
        u64 blocked = t->sig.blocked;
        t->sig.real_blocked = blocked;
        set_blocked(blocked & ~wanted);
        for (;;) {
            set_current_state(TASK_INTERRUPTIBLE);
            sig = dequeue_signal(wanted, &info);
            if (sig || signal_pending() || ktime_get() >= expires)
                break;
            schedule_hrtimeout(expires);
        }
        set_current_state(TASK_RUNNING);
        bool interrupted = !sig && signal_pending();
        if (!sig) // one may have come after the last look
            sig = dequeue_signal(wanted, &info);
        set_blocked(blocked);
        t->sig.real_blocked = 0;
        if (!sig)
            return error{interrupted ? EINTR : EAGAIN};
    }
    TRY_VOID(put_siginfo(uinfo, info));
    return s64{sig};
}

namespace
{
void wait_for_signal()
{
    for (;;) {
        set_current_state(TASK_INTERRUPTIBLE);
        if (signal_pending())
            break;
        schedule();
    }
    set_current_state(TASK_RUNNING);
}
} // namespace

result<void> sys_rt_sigsuspend(user_ptr<u64> set, u64 size)
{
    if (size != SIGSET_SIZE)
        return error{EINVAL};
    u64 mask;
    TRY_VOID(get_user(mask, set));
    task_struct *t = current();
    t->sig.saved = t->sig.blocked;
    t->sig.restore_saved = true;
    set_blocked(mask);
    wait_for_signal();
    return error{ERESTARTNOHAND};
}

result<void> sys_pause()
{
    wait_for_signal();
    return error{ERESTARTNOHAND};
}

result<s64> sys_rt_sigreturn(pt_regs *regs)
{
    signal_frame f{};
    if (!arch_restore_signal_frame(regs, &f)) {
        kernel_siginfo info;
        info.code = SI_KERNEL;
        force_signal(SIGSEGV, info);
        return 0;
    }
    task_struct *t = current();
    t->sig.restart_at.fn = nullptr; // what a handler interrupted does not go on
    set_blocked(f.blocked);
    if (!(f.sas_flags & ~(SS_ONSTACK | SS_DISABLE | SS_AUTODISARM))) {
        t->sig.sas_sp = f.sas_sp;
        t->sig.sas_size = f.sas_size;
        t->sig.sas_flags = f.sas_flags & (SS_DISABLE | SS_AUTODISARM);
    }
    return arch_syscall_result(regs);
}

result<void> sys_sigaltstack(pt_regs *regs, user_ptr<void> ss, user_ptr<void> old)
{
    struct stack_abi {
        u64 sp;
        s32 flags, pad;
        u64 size;
    } now{}, next{};
    task_struct *t = current();
    u64 sp = regs_sp(regs);
    // With autodisarm the stack is forgotten while a handler runs on it.
    bool on_it = !(t->sig.sas_flags & (SS_DISABLE | SS_AUTODISARM)) && sp > t->sig.sas_sp &&
                 sp - t->sig.sas_sp <= t->sig.sas_size;
    u32 state = t->sig.sas_size ? (on_it ? SS_ONSTACK : 0) : SS_DISABLE;
    now = {t->sig.sas_sp, static_cast<s32>(state | (t->sig.sas_flags & SS_AUTODISARM)), 0,
           t->sig.sas_size};
    if (ss) {
        TRY_VOID(copy_from_user(&next, ss.cast<const void>(), sizeof(next)));
        if (on_it)
            return error{EPERM};
        u32 flags = static_cast<u32>(next.flags);
        if (flags & ~(SS_ONSTACK | SS_DISABLE | SS_AUTODISARM))
            return error{EINVAL};
        u32 disarm = flags & SS_AUTODISARM;
        if (!(flags & SS_DISABLE) && next.size < MINSIGSTKSZ)
            return error{ENOMEM};
        bool off = flags & SS_DISABLE;
        t->sig.sas_sp = off ? 0 : next.sp;
        t->sig.sas_size = off ? 0 : next.size;
        t->sig.sas_flags = (off ? SS_DISABLE : 0) | disarm;
    }
    if (old)
        return copy_to_user(old, &now, sizeof(now));
    return {};
}

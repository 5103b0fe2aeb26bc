// SPDX-License-Identifier: MIT
// Making, ending and awaiting processes; futex; thread set-up. Linux: kernel/fork.c, kernel/exit.c,
// kernel/futex.c, kernel/sys.c. Context: process.

#include "syscall/process.h"
#include "fs/fs.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "sched/process.h"
#include "sched/rcu.h"
#include "syscall/exec.h"
#include "syscall/rusage.h"
#include "syscall/time.h"

result<s32> sys_fork(pt_regs *regs)
{
    return do_fork(SIGCHLD, 0, 0, 0, 0, regs);
}
result<s32> sys_vfork(pt_regs *regs)
{
    return do_fork(CLONE_VFORK | CLONE_VM | SIGCHLD, 0, 0, 0, 0, regs);
}
result<s32> sys_clone(pt_regs *regs, u64 flags, u64 stack, u64 parent_tid, u64 child_tid, u64 tls)
{
    return do_fork(flags & CLONE_LEGACY, stack, parent_tid, child_tid, tls, regs);
}

namespace
{
/// struct clone_args, first version and what was added to it.
struct user_clone_args {
    u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    u64 set_tid, set_tid_size, cgroup;
};
constexpr u64 CLONE_ARGS_SIZE_VER0 = 64;

/// A structure that may be longer than ours, if what we do not know is zero: E2BIG otherwise.
result<void> get_clone_args(user_clone_args *a, user_ptr<const void> from, u64 size)
{
    if (size > PAGE_SIZE)
        return error{E2BIG};
    if (size < CLONE_ARGS_SIZE_VER0)
        return error{EINVAL};
    *a = {};
    TRY_VOID(copy_from_user(a, from, min(size, u64{sizeof(*a)})));
    for (u64 at = sizeof(*a); at < size; at++) {
        u8 rest;
        TRY_VOID(copy_from_user(&rest, from + at, 1));
        if (rest)
            return error{E2BIG};
    }
    return {};
}
} // namespace

result<s32> sys_clone3(pt_regs *regs, user_ptr<const void> uargs, u64 size)
{
    constexpr u64 CLONE_PIDFD = 0x1000, CLONE_DETACHED = 0x400000, CLONE_INTO_CGROUP = 0x200000000;
    user_clone_args a;
    TRY_VOID(get_clone_args(&a, uargs, size));
    if ((a.flags & ~(CLONE_LEGACY | CLONE_CLEAR_SIGHAND)) ||
        (a.flags & (CSIGNAL | CLONE_DETACHED | CLONE_PIDFD | CLONE_INTO_CGROUP)) ||
        a.exit_signal > NSIG)
        return error{EINVAL};
    if ((a.flags & (CLONE_THREAD | CLONE_PARENT)) && a.exit_signal)
        return error{EINVAL};
    if (!a.stack != !a.stack_size || (a.stack && a.stack + a.stack_size > TASK_SIZE))
        return error{EINVAL};
    if (a.set_tid || a.set_tid_size)
        return error{EINVAL}; // numbers are not for choosing: there is one pid namespace
    return do_fork(a.flags | a.exit_signal, a.stack ? a.stack + a.stack_size : 0, a.parent_tid,
                   a.child_tid, a.tls, regs);
}

result<void> sys_unshare(u64 flags)
{
    constexpr u64 CLONE_SYSVSEM = 0x40000, ALONE = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
    task_struct *t = current();
    if (flags & ~(ALONE | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM))
        return error{EINVAL};
    if ((flags & ALONE) && t->signal->live.load() > 1)
        return error{EINVAL}; // threads are not taken apart
    fs_struct *mine = flags & CLONE_FS ? fs_struct_dup(t->fs) : nullptr;
    if ((flags & CLONE_FS) && !mine)
        return error{ENOMEM};
    auto r = flags & CLONE_FILES ? unshare_files() : result<void>{};
    if (!r || !mine) {
        fs_struct_put(mine);
        return r;
    }
    fs_struct *old = t->fs;
    rcu_assign_pointer(t->fs, mine);
    fs_struct_put(old);
    return {};
}

result<void> sys_exit(int code)
{
    do_exit((code & 0xff) << 8);
}
result<void> sys_exit_group(int code)
{
    do_group_exit((code & 0xff) << 8);
}

result<s32> sys_wait4(s32 pid, user_ptr<s32> status, u32 options, user_ptr<void> usage)
{
    if (options & ~(WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD | WALL | WCLONE))
        return error{EINVAL};
    if (pid == INT32_MIN)
        return error{ESRCH};
    wait_result r = TRY(do_wait(pid, options | WEXITED));
    if (r.pid && status)
        TRY_VOID(put_user(status, r.status));
    if (r.pid && usage) {
        user_rusage u = make_rusage(r.usage);
        TRY_VOID(copy_to_user(usage, &u, sizeof(u)));
    }
    return r.pid;
}

result<void> sys_waitid(int which, s32 id, user_ptr<void> info, u32 options, user_ptr<void> usage)
{
    constexpr int P_ALL = 0, P_PID = 1, P_PGID = 2;
    constexpr u32 KINDS = WEXITED | WUNTRACED | WCONTINUED;
    if ((options & ~(KINDS | WNOHANG | WNOWAIT | WNOTHREAD | WALL | WCLONE)) || !(options & KINDS))
        return error{EINVAL};
    if (which == P_PGID && !id)
        id = current()->signal->pgrp; // as newer kernels do
    if (which < P_ALL || which > P_PGID || (which != P_ALL && id <= 0))
        return error{EINVAL};
    s32 pid = which == P_ALL ? -1 : which == P_PID ? id : -id;
    if (which == P_PGID && id == 1)
        return error{ECHILD}; // -1 would mean any
    wait_result r = TRY(do_wait(pid, options));
    if (r.pid && usage) {
        user_rusage u = make_rusage(r.usage);
        TRY_VOID(copy_to_user(usage, &u, sizeof(u)));
    }
    if (!info)
        return {};
    s32 si[32] = {};
    if (r.pid) {
        bool exited = r.code == CLD_EXITED;
        si[0] = static_cast<s32>(SIGCHLD);
        si[2] = r.code;
        si[4] = r.pid;
        si[5] = r.uid;
        si[6] = exited || r.code == CLD_STOPPED ? r.status >> 8 & 0xff : r.status & 0x7f;
        if (r.code == CLD_CONTINUED)
            si[6] = static_cast<s32>(SIGCONT);
    }
    return copy_to_user(info, si, sizeof(si));
}

result<s32> sys_set_tid_address(u64 addr)
{
    current()->clear_child_tid = addr;
    return current()->pid;
}

result<void> sys_set_robust_list(u64 head, u64 len)
{
    if (len != 24)
        return error{EINVAL};
    current()->robust_list = head;
    return {};
}

result<void> sys_get_robust_list(s32 pid, user_ptr<u64> head, user_ptr<u64> len)
{
    u64 addr = current()->robust_list;
    if (pid) {
        task_struct *t = find_get_task(pid);
        if (!t)
            return error{ESRCH};
        addr = t->robust_list;
        bool mine = t->tgid == current()->tgid;
        put_task(t);
        if (!mine && !capable(CAP_SYS_PTRACE))
            return error{EPERM};
    }
    TRY_VOID(put_user(len, u64{24}));
    return put_user(head, addr);
}

namespace
{
constexpr u32 FUTEX_WAIT = 0, FUTEX_WAKE = 1, FUTEX_REQUEUE = 3, FUTEX_CMP_REQUEUE = 4,
              FUTEX_WAKE_OP = 5, FUTEX_LOCK_PI = 6, FUTEX_UNLOCK_PI = 7, FUTEX_TRYLOCK_PI = 8,
              FUTEX_WAIT_BITSET = 9, FUTEX_WAKE_BITSET = 10, FUTEX_WAIT_REQUEUE_PI = 11,
              FUTEX_CMP_REQUEUE_PI = 12;
constexpr u32 FUTEX_PRIVATE_FLAG = 128, FUTEX_CLOCK_REALTIME = 256;

/// The moment at which a wait ends, on the ktime scale.
result<u64> futex_expiry(u32 cmd, bool realtime, u64 timeout)
{
    if (!timeout)
        return ~u64{0};
    u64 ns = TRY(get_timespec_ns(timeout));
    u64 now = ktime_get();
    if (cmd == FUTEX_WAIT) // relative
        return now + ns < now ? ~u64{0} - 1 : now + ns;
    if (!realtime)
        return max(ns, u64{1});
    u64 real = ktime_get_real();
    return ns > real ? now + (ns - real) : 1;
}
} // namespace

namespace
{
enum futex_arg { UADDR, VAL, EXPIRES, BITSET, SHARED };
s64 restart_futex_wait(restart_block *r);

/// A wait; one with a time limit keeps its end when it is restarted.
result<s64> wait_restartable(u64 uaddr, bool shared, u32 val, u64 expires, u32 bitset)
{
    auto r = futex_wait(uaddr, shared, val, expires, bitset);
    if (r.err() != ERESTARTSYS || expires == ~u64{0})
        return r;
    restart_block &b = current()->sig.restart_at;
    b.fn = restart_futex_wait;
    b.arg[UADDR] = uaddr;
    b.arg[VAL] = val;
    b.arg[EXPIRES] = expires;
    b.arg[BITSET] = bitset;
    b.arg[SHARED] = shared;
    return error{ERESTART_RESTARTBLOCK};
}

s64 restart_futex_wait(restart_block *r)
{
    auto done = wait_restartable(r->arg[UADDR], r->arg[SHARED], static_cast<u32>(r->arg[VAL]),
                                 r->arg[EXPIRES], static_cast<u32>(r->arg[BITSET]));
    return done ? *done : -static_cast<s64>(done.err());
}
} // namespace

result<s64> sys_futex(u64 uaddr, u32 op, u32 val, u64 timeout, u64 uaddr2, u32 val3)
{
    u32 cmd = op & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
    bool shared = !(op & FUTEX_PRIVATE_FLAG), realtime = op & FUTEX_CLOCK_REALTIME;
    if (realtime && cmd != FUTEX_WAIT_BITSET && cmd != FUTEX_WAIT_REQUEUE_PI)
        return error{ENOSYS};
    switch (cmd) {
    case FUTEX_WAIT:
        val3 = ~u32{0};
        [[fallthrough]];
    case FUTEX_WAIT_BITSET:
        return wait_restartable(uaddr, shared, val, TRY(futex_expiry(cmd, realtime, timeout)),
                                val3);
    case FUTEX_WAKE:
        val3 = ~u32{0};
        [[fallthrough]];
    case FUTEX_WAKE_BITSET:
        return futex_wake(uaddr, shared, val, val3);
    case FUTEX_REQUEUE:
        return futex_requeue(uaddr, uaddr2, shared, val, static_cast<u32>(timeout), nullptr);
    case FUTEX_CMP_REQUEUE:
        return futex_requeue(uaddr, uaddr2, shared, val, static_cast<u32>(timeout), &val3);
    case FUTEX_WAKE_OP:
        return futex_wake_op(uaddr, uaddr2, shared, val, static_cast<u32>(timeout), val3);
    case FUTEX_LOCK_PI: // its time is always the wall clock's
        return futex_lock_pi(uaddr, shared, TRY(futex_expiry(cmd, true, timeout)), false);
    case FUTEX_TRYLOCK_PI:
        return futex_lock_pi(uaddr, shared, ~u64{0}, true);
    case FUTEX_UNLOCK_PI:
        return futex_unlock_pi(uaddr, shared);
    case FUTEX_WAIT_REQUEUE_PI:
        return futex_wait_requeue_pi(uaddr, uaddr2, shared, val,
                                     TRY(futex_expiry(cmd, realtime, timeout)));
    case FUTEX_CMP_REQUEUE_PI:
        return futex_cmp_requeue_pi(uaddr, uaddr2, shared, val, static_cast<u32>(timeout), val3);
    default:
        return error{ENOSYS};
    }
}

result<void> sys_arch_prctl(u32 code, u64 addr)
{
    constexpr u32 ARCH_SET_FS = 0x1002, ARCH_GET_FS = 0x1003;
    if (code == ARCH_SET_FS) {
        if (addr >= TASK_SIZE)
            return error{EPERM};
        arch_set_tls(addr);
        return {};
    }
    if (code == ARCH_GET_FS)
        return put_user(user_ptr<u64>{addr}, arch_get_tls());
    return error{EINVAL};
}

// SPDX-License-Identifier: MIT
// Where every system call passes: number → function. Linux: arch/x86/kernel/entry_64.S system_call
// and its table. Context: process, from syscall_entry with IRQs off. No locks.

#include "lib/printk.h"
#include "sched/cputime.h"
#include "syscall/strace.h"
#include "syscall/syscall.h"
#include "syscall/watch.h"
#include "trace/trace.h"

std::atomic<u32> syscall_watchers;

namespace
{
/// One bit per number that was already reported as not implemented.
std::atomic<u64> reported[NR_SYSCALLS / 64];

[[gnu::cold]] s64 not_implemented(u64 nr)
{
    if (nr < NR_SYSCALLS) {
        u64 bit = u64{1} << (nr % 64);
        if (!(reported[nr / 64].fetch_or(bit, std::memory_order_relaxed) & bit))
            pr_info("%s[%d]: system call %llu is not implemented", current()->comm, current()->pid,
                    static_cast<unsigned long long>(nr));
    }
    return -ENOSYS;
}

/// For traces; null: no such call.
const char *syscall_name(u64 nr)
{
    return nr < NR_SYSCALLS ? syscall_table.entry[nr].name : nullptr;
}

/// Restart codes: exit_to_user() must look at them even if no signal is left (sched/signal.cc).
[[gnu::cold, gnu::noinline]] void want_restart(task_struct *t)
{
    t->sig.restart = true;
    t->sigpending.store(1, std::memory_order_relaxed);
}

/// Somebody wants to know of system calls that begin.
bool watched()
{
    return trace_enabled(trace_event::sys_enter) ||
           syscall_watchers.load(std::memory_order_relaxed);
}

/// [gnu::noinline]: what it needs must not make every system call save more registers.
[[gnu::cold, gnu::noinline]] s64 watched_call(u64 nr, pt_regs *regs)
{
    const char *name = syscall_name(nr);
    trace(trace_event::sys_enter, nr, name, syscall_arg(regs, 0), syscall_arg(regs, 1),
          syscall_arg(regs, 2), syscall_arg(regs, 3));
    if (!name)
        return not_implemented(nr);
    u32 watchers = syscall_watchers.load(std::memory_order_relaxed);
    if (watchers & WATCH_DELAY)
        syscall_delay();
    s64 ret =
        watchers & WATCH_STRACE ? strace_syscall(nr, regs) : syscall_table.entry[nr].call(regs);
    if (watchers & WATCH_DELAY)
        syscall_delay();
    return ret;
}

/// The end of a call, which may have begun when nobody wanted to know. Returns `ret`.
[[gnu::cold, gnu::noinline]] s64 trace_exit(u64 nr, s64 ret)
{
    trace(trace_event::sys_exit, nr, syscall_name(nr), ret);
    return ret;
}
} // namespace

s64 sys_ni_syscall(pt_regs *regs)
{
    return not_implemented(syscall_nr(regs));
}

s64 do_syscall(pt_regs *regs)
{
    task_struct *t = current();
    account_user_exit(t);
    local_irq_enable();
    u64 nr = syscall_nr(regs);
    t->syscall_nr = static_cast<s32>(nr);
    s64 ret;
    if (watched()) [[unlikely]]
        ret = watched_call(nr, regs);
    else
        ret = nr < NR_SYSCALLS ? syscall_table.entry[nr].call(regs) : not_implemented(nr);
    if (ret <= -ERESTARTSYS && ret >= -ERESTART_RESTARTBLOCK) [[unlikely]]
        want_restart(t);
    if (trace_enabled(trace_event::sys_exit)) [[unlikely]]
        ret = trace_exit(static_cast<u64>(t->syscall_nr), ret);
    t->syscall_nr = -1;
    local_irq_disable();
    if (exit_work_pending(t)) [[unlikely]] {
        arch_set_syscall_result(regs, ret); // a signal's handler may return to it, or to a restart
        exit_to_user_work(regs);
        ret = arch_syscall_result(regs);
    }
    account_user_enter(t);
    return ret;
}

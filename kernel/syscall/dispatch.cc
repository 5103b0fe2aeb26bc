// SPDX-License-Identifier: MIT
// Where every system call passes: number → function. Linux: arch/x86/kernel/entry_64.S system_call
// and its table. Context: process, from syscall_entry with IRQs off. No locks.

#include "lib/printk.h"
#include "sched/sched.h"
#include "syscall/strace.h"
#include "syscall/syscall.h"
#include "trace/trace.h"

namespace
{
/// One bit per number that was already reported as not implemented.
std::atomic<u64> reported[NR_SYSCALLS / 64];

[[gnu::cold, gnu::noinline]] s64 not_implemented(u64 nr)
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
} // namespace

s64 do_syscall(pt_regs *regs)
{
    account_time_switch(CPUTIME_SYSTEM); // with IRQs still off, as it must be
    local_irq_enable();
    u64 nr = syscall_nr(regs);
    task_struct *t = current();
    t->syscall_nr = static_cast<s32>(nr);
    if (trace_enabled(trace_event::sys_enter)) [[unlikely]]
        trace(trace_event::sys_enter, nr, syscall_name(nr), syscall_arg(regs, 0),
              syscall_arg(regs, 1), syscall_arg(regs, 2), syscall_arg(regs, 3));
    s64 ret;
    if (nr < NR_SYSCALLS && syscall_table.entry[nr].call) [[likely]]
        ret = read_once(strace_active) ? strace_syscall(nr, regs)
                                       : syscall_table.entry[nr].call(regs);
    else
        ret = not_implemented(nr);
    if (ret <= -ERESTARTSYS && ret >= -ERESTART_RESTARTBLOCK) [[unlikely]]
        want_restart(t);
    if (trace_enabled(trace_event::sys_exit)) [[unlikely]]
        trace(trace_event::sys_exit, nr, syscall_name(nr), ret);
    t->syscall_nr = -1;
    return ret;
}

// SPDX-License-Identifier: MIT
// The boundary between user and kernel, crossed at every system call, in a few instructions: CPU time (the rest is in cputime.cc) and
// what is left to do before user mode (the rest is in signal_deliver.cc).
#pragma once

#include "sched/sched.h"

/// The stretch of this CPU's time that ends now, which becomes `begins`'s: add it to no total yet. IRQs off.
inline u64 next_stretch(cpu_times &t, cpu_time_class begins)
{
    u64 now = arch_cycles(), spent = now - t.last;
    t.last = now;
    t.cls = begins;
    return spent;
}

/// The current task begins a system call: IRQs off.
inline void account_user_exit(task_struct *curr)
{
    cpu_block *cpu = this_cpu();
    u64 spent = next_stretch(cpu->time, CPUTIME_SYSTEM);
    cpu->time.total[CPUTIME_USER] += spent;
    curr->user_cycles += spent;
}

/// The current task goes back to user mode from one: IRQs off.
inline void account_user_enter(task_struct *curr)
{
    cpu_block *cpu = this_cpu();
    u64 spent = next_stretch(cpu->time, CPUTIME_USER);
    cpu->time.total[CPUTIME_SYSTEM] += spent;
    curr->system_cycles += spent;
}

/// The current task must not enter user mode yet.
inline bool exit_work_pending(const task_struct *curr)
{
    return this_cpu()->need_resched | curr->sigpending.load(std::memory_order_relaxed);
}
/// Reschedule and deliver signals until nothing is left to do. IRQs off on entry and exit.
[[gnu::cold]] void exit_to_user_work(pt_regs *regs);

/// The current task's CPU time is true up to this moment. [P]
void account_current();
/// Boot: time begins.
void account_begin();

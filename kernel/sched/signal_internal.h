// SPDX-License-Identifier: MIT
// Between signal.cc, signal_deliver.cc, exit.cc and fork.cc. "locked": signal_state.lock held.
#pragma once

#include "sched/signal.h"

constexpr u64 STOP_SIGNALS =
    sigmask(SIGSTOP) | sigmask(SIGTSTP) | sigmask(SIGTTIN) | sigmask(SIGTTOU);
/// Without a handler these do nothing.
constexpr u64 IGNORED_SIGNALS =
    sigmask(SIGCHLD) | sigmask(SIGCONT) | sigmask(SIGURG) | sigmask(SIGWINCH);

/// Their default action leaves a core dump on Linux; here the wait status says whether it would have,
/// and RLIMIT_CORE is 0 unless raised.
constexpr u64 CORE_SIGNALS =
    sigmask(SIGQUIT) | sigmask(SIGILL) | sigmask(SIGTRAP) | sigmask(SIGABRT) | sigmask(SIGFPE) |
    sigmask(SIGSEGV) | sigmask(SIGBUS) | sigmask(SIGSYS) | sigmask(SIGXCPU) | sigmask(SIGXFSZ);

/// All threads are to end with `code` (as wait4 stores it). Locked.
void start_group_exit(signal_state *s, int code);
/// Make the other threads notice signal_state.stopping. Locked.
void wake_for_stop(signal_state *s);
/// Signals of the process out of `mask`, which `from` may have been woken for and takes no more: wake others for them. Locked.
void retarget_shared(const task_struct *from, u64 mask);
/// kill_pgrp() and is_orphaned_pgrp(), as if `without` were gone, with tasklist_lock held.
int kill_pgrp_locked(s32 pgrp, unsigned sig, const kernel_siginfo &info);
bool pgrp_orphaned_without(s32 pgrp, const task_struct *without);
/// process_times() with tasklist_lock held.
void process_times_locked(task_struct *t, u64 *utime, u64 *stime);
/// mm_task_ops::oom_kill.
bool out_of_memory();
/// End one thread, not its process (execve by another thread). Locked.
void kill_thread(task_struct *t);
/// Take one instance of `sig` out of `set`, which has it. Locked.
void take_signal(sigpending_set &set, unsigned sig, kernel_siginfo *info);
/// Queue a fault's signal for the current thread, whatever else is pending. Locked.
void queue_forced(task_struct *t, unsigned sig, const kernel_siginfo &info);
/// A fresh object with one reference, or null; drop one. [P]
signal_state *signal_alloc();
void signal_put(signal_state *s);
/// Take a dead task off every list and drop the reaper's reference. tasklist_lock not held.
void release_task(task_struct *t);
/// hrtimer function of signal_state.real_timer: SIGALRM. Hard IRQ.
u64 real_timer_expired(hrtimer *t);
/// Its signal was taken: start an interval timer again. Locked.
void real_timer_taken(signal_state *s);

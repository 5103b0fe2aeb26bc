// SPDX-License-Identifier: MIT
// Between signal.cc, signal_deliver.cc, exit.cc and fork.cc. "locked": signal_state.lock held.
#pragma once

#include "sched/signal.h"

constexpr u64 STOP_SIGNALS =
    sigmask(SIGSTOP) | sigmask(SIGTSTP) | sigmask(SIGTTIN) | sigmask(SIGTTOU);
/// Without a handler these do nothing.
constexpr u64 IGNORED_SIGNALS =
    sigmask(SIGCHLD) | sigmask(SIGCONT) | sigmask(SIGURG) | sigmask(SIGWINCH);

/// All threads are to end with `code` (as wait4 stores it). Locked.
void start_group_exit(signal_state *s, int code);
/// Make the other threads notice signal_state.stopping. Locked.
void wake_for_stop(signal_state *s);
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

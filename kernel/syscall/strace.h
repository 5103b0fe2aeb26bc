// SPDX-License-Identifier: MIT
// Every system call of chosen processes in the kernel log, in the style of strace(1): from the table that dispatches, so that nothing can be
// called unseen. Chosen by `strace=` on the command line (all, or names of calls, with commas) or /sys/kernel/debug/strace (docs/debugfs.md).
// Process context; the lines are printed without locks held.
#pragma once

#include "syscall/syscall.h"

/// Run call `nr` (its entry has a function) and print it if the current task is traced. Returns what the call returned.
s64 strace_syscall(u64 nr, pt_regs *regs);

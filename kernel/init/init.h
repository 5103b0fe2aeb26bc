// SPDX-License-Identifier: MIT
// What init/ offers to others and asks of them.
#pragma once

#include "lib/initcall.h"
#include "lib/types.h"

/// How one initcall went.
struct initcall_record {
    const initcall *call;
    int ret;
    u64 usecs;
};
constexpr unsigned MAX_INITCALLS = 256;
/// The initcalls run so far, in order. Valid for ever; [P].
unsigned initcall_records(const initcall_record **out);
/// Run early ones, resp. all others, in the order of their levels. [P]
void do_pre_smp_initcalls();
void do_initcalls();

/// The texts of deviations.h.
extern const char *const known_deviations[];
extern const unsigned nr_known_deviations;

/// Replace the current kernel thread by a program: does not return on success, else -errno.
/// (syscall/) [P]
int kernel_execve(const char *path, const char *const *argv, const char *const *envp);

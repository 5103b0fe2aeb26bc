// SPDX-License-Identifier: MIT
// System calls on processes, credentials and scheduling. Effects and errors as in the Linux manual
// pages of section 2. All [P].
#pragma once

#include "syscall/syscall.h"

// exec.cc
result<void> sys_execve(pt_regs *regs, user_ptr<const char> name, u64 argv, u64 envp);

// process.cc
result<s32> sys_fork(pt_regs *regs);
result<s32> sys_vfork(pt_regs *regs);
result<s32> sys_clone(pt_regs *regs, u64 flags, u64 stack, u64 parent_tid, u64 child_tid, u64 tls);
result<s32> sys_clone3(pt_regs *regs, user_ptr<const void> args, u64 size);
result<void> sys_exit(int code);
result<void> sys_exit_group(int code);
result<s32> sys_wait4(s32 pid, user_ptr<s32> status, u32 options, user_ptr<void> usage);
result<void> sys_waitid(int which, s32 id, user_ptr<void> info, u32 options, user_ptr<void> usage);
result<s32> sys_set_tid_address(u64 addr);
result<void> sys_set_robust_list(u64 head, u64 len);
result<void> sys_get_robust_list(s32 pid, user_ptr<u64> head, user_ptr<u64> len);
result<s64> sys_futex(u64 uaddr, u32 op, u32 val, u64 timeout, u64 uaddr2, u32 val3);
result<void> sys_arch_prctl(u32 code, u64 addr);
/// Own tables instead of shared ones (CLONE_FILES, CLONE_FS); new name spaces are EINVAL.
result<void> sys_unshare(u64 flags);

// prctl.cc
result<s64> sys_prctl(int option, u64 a2, u64 a3, u64 a4, u64 a5);

// ids.cc
result<s32> sys_getpid();
result<s32> sys_getppid();
result<s32> sys_gettid();
result<s32> sys_getuid();
result<s32> sys_geteuid();
result<s32> sys_getgid();
result<s32> sys_getegid();
result<void> sys_setuid(s32 id);
result<void> sys_setgid(s32 id);
result<void> sys_setreuid(s32 r, s32 e);
result<void> sys_setregid(s32 r, s32 e);
result<void> sys_setresuid(s32 r, s32 e, s32 s);
result<void> sys_setresgid(s32 r, s32 e, s32 s);
result<void> sys_getresuid(user_ptr<s32> r, user_ptr<s32> e, user_ptr<s32> s);
result<void> sys_getresgid(user_ptr<s32> r, user_ptr<s32> e, user_ptr<s32> s);
result<s32> sys_setfsuid(s32 id);
result<s32> sys_setfsgid(s32 id);
result<int> sys_getgroups(int n, user_ptr<u32> list);
result<void> sys_setgroups(int n, user_ptr<const u32> list);
result<void> sys_capget(user_ptr<u32> header, user_ptr<u32> data);
result<void> sys_capset(user_ptr<u32> header, user_ptr<const u32> data);
result<s32> sys_setsid();
result<void> sys_setpgid(s32 pid, s32 pgid);
result<s32> sys_getpgid(s32 pid);
result<s32> sys_getpgrp();
result<s32> sys_getsid(s32 pid);

// sched.cc
result<void> sys_sched_yield();
result<void> sys_sched_setaffinity(s32 pid, u32 len, user_ptr<const void> mask);
result<int> sys_sched_getaffinity(s32 pid, u32 len, user_ptr<void> mask);
result<int> sys_sched_getscheduler(s32 pid);
result<void> sys_sched_setscheduler(s32 pid, int policy, user_ptr<const s32> param);
result<void> sys_sched_getparam(s32 pid, user_ptr<s32> param);
result<void> sys_sched_setparam(s32 pid, user_ptr<const s32> param);
result<void> sys_sched_rr_get_interval(s32 pid, user_ptr<void> ts);
result<int> sys_sched_get_priority_max(int policy);
result<int> sys_sched_get_priority_min(int policy);
result<int> sys_getpriority(int which, s32 who);
result<void> sys_setpriority(int which, s32 who, int nice);
result<void> sys_getcpu(user_ptr<u32> cpu, user_ptr<u32> node);

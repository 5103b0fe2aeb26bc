// SPDX-License-Identifier: MIT
// System calls on signals. Effects and errors as in the Linux manual pages of section 2. All [P].
#pragma once

#include "sched/signal.h"
#include "syscall/syscall.h"

result<void> sys_kill(s32 pid, u32 sig);
result<void> sys_tgkill(s32 tgid, s32 pid, u32 sig);
result<void> sys_tkill(s32 pid, u32 sig);
result<void> sys_rt_sigqueueinfo(s32 pid, u32 sig, user_ptr<const void> info);
result<void> sys_rt_tgsigqueueinfo(s32 tgid, s32 pid, u32 sig, user_ptr<const void> info);
result<int> sys_signalfd(int fd, user_ptr<u64> mask, u64 size);
result<int> sys_signalfd4(int fd, user_ptr<u64> mask, u64 size, u32 flags);
result<void> sys_rt_sigaction(u32 sig, user_ptr<kernel_sigaction> act,
                              user_ptr<kernel_sigaction> old, u64 size);
result<void> sys_rt_sigprocmask(int how, user_ptr<u64> set, user_ptr<u64> old, u64 size);
result<void> sys_rt_sigpending(user_ptr<void> set, u64 size);
result<s64> sys_rt_sigtimedwait(user_ptr<u64> set, user_ptr<void> info, u64 timeout, u64 size);
result<void> sys_rt_sigsuspend(user_ptr<u64> set, u64 size);
result<s64> sys_rt_sigreturn(pt_regs *regs);
result<void> sys_pause();
result<void> sys_sigaltstack(pt_regs *regs, user_ptr<void> ss, user_ptr<void> old);

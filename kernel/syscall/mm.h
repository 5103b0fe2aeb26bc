// SPDX-License-Identifier: MIT
// System calls on memory. Effects and errors as in the Linux manual pages of section 2. All [P].
#pragma once

#include "syscall/syscall.h"

result<u64> sys_mmap(u64 addr, u64 len, u32 prot, u32 flags, int fd, u64 off);
result<void> sys_munmap(u64 addr, u64 len);
result<void> sys_mprotect(u64 addr, u64 len, u32 prot);
result<u64> sys_mremap(u64 addr, u64 old_len, u64 new_len, u32 flags, u64 new_addr);
result<u64> sys_brk(u64 brk);
result<void> sys_madvise(u64 addr, u64 len, int advice);
result<void> sys_msync(u64 addr, u64 len, u32 flags);
result<void> sys_mlock(u64 addr, u64 len);
result<void> sys_munlock(u64 addr, u64 len);
result<void> sys_mlockall(u32 flags);
result<void> sys_munlockall();
result<void> sys_mincore(u64 addr, u64 len, user_ptr<u8> vec);
// process_vm.cc
result<s64> sys_process_vm_readv(s32 pid, u64 local, u64 nlocal, u64 remote, u64 nremote,
                                 u64 flags);
result<s64> sys_process_vm_writev(s32 pid, u64 local, u64 nlocal, u64 remote, u64 nremote,
                                  u64 flags);

// SPDX-License-Identifier: MIT
// System calls of System V IPC, as the manual pages of the same names. All [P].
#pragma once

#include "syscall/file.h"

result<int> sys_shmget(s32 key, u64 size, u32 flags);
result<u64> sys_shmat(int id, u64 addr, u32 flags);
result<void> sys_shmdt(u64 addr);
result<int> sys_shmctl(int id, u32 cmd, user_ptr<void> arg);
result<int> sys_semget(s32 key, int n, u32 flags);
result<void> sys_semop(int id, user_ptr<const void> ops, u32 n);
result<void> sys_semtimedop(int id, user_ptr<const void> ops, u32 n,
                            user_ptr<timespec64_abi> timeout);
result<int> sys_semctl(int id, int num, u32 cmd, u64 arg);
result<int> sys_msgget(s32 key, u32 flags);
result<void> sys_msgsnd(int id, user_ptr<const void> msg, u64 size, u32 flags);
result<size_t> sys_msgrcv(int id, user_ptr<void> msg, u64 size, s64 type, u32 flags);
result<int> sys_msgctl(int id, u32 cmd, user_ptr<void> arg);

// POSIX message queues
result<int> sys_mq_open(user_ptr<const char> name, u32 flags, u32 mode, user_ptr<void> attr);
result<void> sys_mq_unlink(user_ptr<const char> name);
result<void> sys_mq_timedsend(int fd, user_ptr<const void> msg, u64 size, u32 prio,
                              user_ptr<timespec64_abi> timeout);
result<size_t> sys_mq_timedreceive(int fd, user_ptr<void> msg, u64 size, user_ptr<u32> prio,
                                   user_ptr<timespec64_abi> timeout);
result<void> sys_mq_notify(int fd, user_ptr<const void> event);
result<void> sys_mq_getsetattr(int fd, user_ptr<const void> change, user_ptr<void> old);

// SPDX-License-Identifier: MIT
// System V IPC: what the system calls need. Linux: ipc/. Process context. Errors are those of the manual pages; ids and limits as in 3.10.
#pragma once

#include "fs/fs.h"

/// shmget; shmat: the address; shmdt; shmctl (`arg` by cmd).
result<int> do_shmget(s32 key, u64 size, u32 flags);
result<u64> do_shmat(int id, u64 addr, u32 flags);
result<void> do_shmdt(u64 addr);
result<int> do_shmctl(int id, u32 cmd, user_ptr<void> arg);

/// One operation of semop (struct sembuf).
struct sembuf {
    u16 num;
    s16 op, flags;
};
constexpr unsigned SEMOPM = 32;
result<int> do_semget(s32 key, int n, u32 flags);
/// All operations at once, or none. `expires`: ktime, ~0 for ever.
result<void> do_semop(int id, const sembuf *ops, unsigned n, u64 expires);
result<int> do_semctl(int id, int num, u32 cmd, u64 arg);

result<int> do_msgget(s32 key, u32 flags);
result<void> do_msgsnd(int id, user_ptr<const void> msg, u64 size, u32 flags);
result<size_t> do_msgrcv(int id, user_ptr<void> msg, u64 size, s64 type, u32 flags);
result<int> do_msgctl(int id, u32 cmd, user_ptr<void> arg);

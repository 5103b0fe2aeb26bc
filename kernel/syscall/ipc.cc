// SPDX-License-Identifier: MIT
// System V IPC: what is the system calls' own; the rest is fs/ipc/. Linux: ipc/syscall.c. Process context.

#include "syscall/ipc.h"
#include "fs/ipc/ipc.h"
#include "syscall/timeout.h"

result<int> sys_shmget(s32 key, u64 size, u32 flags)
{
    return do_shmget(key, size, flags);
}
result<u64> sys_shmat(int id, u64 addr, u32 flags)
{
    return do_shmat(id, addr, flags);
}
result<void> sys_shmdt(u64 addr)
{
    return do_shmdt(addr);
}
result<int> sys_shmctl(int id, u32 cmd, user_ptr<void> arg)
{
    return do_shmctl(id, cmd, arg);
}

result<int> sys_semget(s32 key, int n, u32 flags)
{
    return do_semget(key, n, flags);
}

result<void> sys_semtimedop(int id, user_ptr<const void> uops, u32 n,
                            user_ptr<timespec64_abi> timeout)
{
    if (!n || id < 0)
        return error{EINVAL};
    if (n > SEMOPM)
        return error{E2BIG};
    sembuf ops[SEMOPM];
    TRY_VOID(copy_from_user(ops, uops, n * sizeof(sembuf)));
    return do_semop(id, ops, n, TRY(read_timeout(timeout, &timespec64_abi::nsec, 1)));
}

result<void> sys_semop(int id, user_ptr<const void> ops, u32 n)
{
    return sys_semtimedop(id, ops, n, user_ptr<timespec64_abi>{0});
}
result<int> sys_semctl(int id, int num, u32 cmd, u64 arg)
{
    return do_semctl(id, num, cmd, arg);
}

result<int> sys_msgget(s32 key, u32 flags)
{
    return do_msgget(key, flags);
}
result<void> sys_msgsnd(int id, user_ptr<const void> msg, u64 size, u32 flags)
{
    return do_msgsnd(id, msg, size, flags);
}
result<size_t> sys_msgrcv(int id, user_ptr<void> msg, u64 size, s64 type, u32 flags)
{
    return do_msgrcv(id, msg, size, type, flags);
}
result<int> sys_msgctl(int id, u32 cmd, user_ptr<void> arg)
{
    return do_msgctl(id, cmd, arg);
}

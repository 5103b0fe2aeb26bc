// SPDX-License-Identifier: MIT
// System V IPC and POSIX message queues: what is the system calls' own; the rest is fs/ipc/. Linux: ipc/syscall.c, ipc/mqueue.c. Process
// context.

#include "syscall/ipc.h"
#include "fs/ipc/ipc.h"
#include "fs/ipc/mqueue.h"
#include "fs/namei.h"
#include "syscall/time.h"
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

namespace
{
/// An absolute time of the wall clock as ktime; a null pointer is for ever. EINVAL, EFAULT.
result<u64> read_deadline(user_ptr<timespec64_abi> user)
{
    if (!user)
        return FOREVER;
    u64 at = TRY(get_timespec_ns(user.addr())), now = ktime_get_real();
    return at <= now ? u64{0} : deadline(at - now);
}
} // namespace

result<int> sys_mq_open(user_ptr<const char> uname, u32 flags, u32 mode, user_ptr<void> uattr)
{
    mq_attr attr{};
    if (uattr)
        TRY_VOID(copy_from_user(&attr, uattr.cast<const void>(), sizeof attr));
    user_path name;
    TRY_VOID(name.get(uname.addr()));
    return do_mq_open(name.c_str(), flags, mode, uattr ? &attr : nullptr);
}

result<void> sys_mq_unlink(user_ptr<const char> uname)
{
    user_path name;
    TRY_VOID(name.get(uname.addr()));
    return do_mq_unlink(name.c_str());
}

result<void> sys_mq_timedsend(int fd, user_ptr<const void> msg, u64 size, u32 prio,
                              user_ptr<timespec64_abi> timeout)
{
    u64 expires = TRY(read_deadline(timeout));
    file_ptr f = TRY(fget(fd));
    return do_mq_send(f.get(), msg, size, prio, expires);
}

result<size_t> sys_mq_timedreceive(int fd, user_ptr<void> msg, u64 size, user_ptr<u32> prio,
                                   user_ptr<timespec64_abi> timeout)
{
    u64 expires = TRY(read_deadline(timeout));
    file_ptr f = TRY(fget(fd));
    return do_mq_receive(f.get(), msg, size, prio, expires);
}

result<void> sys_mq_notify(int fd, user_ptr<const void> event)
{
    mq_event e{};
    if (event)
        TRY_VOID(copy_from_user(&e, event, sizeof e));
    file_ptr f = TRY(fget(fd));
    return do_mq_notify(f.get(), event ? &e : nullptr);
}

result<void> sys_mq_getsetattr(int fd, user_ptr<const void> change, user_ptr<void> old)
{
    mq_attr to{};
    if (change)
        TRY_VOID(copy_from_user(&to, change, sizeof to));
    file_ptr f = TRY(fget(fd));
    mq_attr a = TRY(do_mq_getsetattr(f.get(), change ? &to : nullptr));
    return old ? copy_to_user(old, &a, sizeof a) : result<void>{};
}

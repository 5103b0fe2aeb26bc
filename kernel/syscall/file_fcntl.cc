// SPDX-License-Identifier: MIT
// fcntl and flock. Linux: fs/fcntl.c, fs/locks.c. Process context, no locks of its own.

#include "fs/fasync.h"
#include "fs/file.h"
#include "fs/locks.h"
#include "fs/pipe.h"
#include "sched/sched.h"
#include "syscall/file.h"

namespace
{
result<int> dup_from(u32 fd, u64 from, u32 flags)
{
    file_ptr f = TRY(fget_raw(static_cast<int>(fd)));
    if (from >= rlimit_nofile())
        return error{EINVAL};
    int copy = TRY(get_unused_fd_flags(flags, static_cast<int>(from)));
    fd_install(copy, f.release());
    return copy;
}

/// As fcntl(2) passes it.
struct flock_abi {
    s16 type, whence;
    s64 start, len;
    s32 pid;
};

/// The range that a struct flock names, counted from the file's start. EINVAL, EOVERFLOW. Linux flock_to_posix_lock.
result<void> range_of(const flock_abi &a, const file *f, file_lock *l)
{
    s64 base = 0;
    if (a.whence == 1)
        base = static_cast<s64>(f->f_pos);
    else if (a.whence == 2)
        base = static_cast<s64>(f->f_inode->size);
    else if (a.whence != 0)
        return error{EINVAL};
    if (__builtin_add_overflow(base, a.start, &l->start))
        return error{EOVERFLOW};
    if (l->start < 0)
        return error{EINVAL};
    l->end = OFFSET_MAX;
    if (a.len > 0) {
        if (__builtin_add_overflow(l->start, a.len - 1, &l->end))
            return error{EOVERFLOW};
    } else if (a.len < 0) {
        if (l->start + a.len < 0)
            return error{EINVAL};
        l->end = l->start - 1;
        l->start += a.len;
    }
    return {};
}

/// The lock that a call asks about. EINVAL, EOVERFLOW, EBADF: the file is not open for it.
result<void> lock_of(const flock_abi &a, file *f, lock_kind kind, file_lock *l)
{
    if (kind == lock_kind::ofd && a.pid)
        return error{EINVAL};
    TRY_VOID(range_of(a, f, l));
    if (a.type != F_RDLCK && a.type != F_WRLCK && a.type != F_UNLCK)
        return error{EINVAL};
    l->kind = kind;
    l->type = a.type;
    l->i = f->f_inode;
    bool ofd = kind == lock_kind::ofd;
    l->owner = ofd ? static_cast<const void *>(f) : current()->files;
    l->pid = ofd ? -1 : current()->tgid;
    return {};
}

result<void> get_lock(file *f, user_ptr<flock_abi> arg, lock_kind kind)
{
    flock_abi a;
    TRY_VOID(get_user(a, arg));
    if (a.type != F_RDLCK && a.type != F_WRLCK)
        return error{EINVAL};
    file_lock l;
    TRY_VOID(lock_of(a, f, kind, &l));
    posix_test_lock(&l);
    a.type = l.type;
    if (l.type != F_UNLCK) {
        a.whence = 0;
        a.start = l.start;
        a.len = l.end == OFFSET_MAX ? 0 : l.end - l.start + 1;
        a.pid = l.pid;
    }
    return put_user(arg, a);
}

result<void> set_lock(u32 fd, file *f, user_ptr<flock_abi> arg, lock_kind kind, bool wait)
{
    flock_abi a;
    TRY_VOID(get_user(a, arg));
    file_lock l;
    TRY_VOID(lock_of(a, f, kind, &l));
    if ((l.type == F_RDLCK && !(f->f_mode & FMODE_READ)) ||
        (l.type == F_WRLCK && !(f->f_mode & FMODE_WRITE)))
        return error{EBADF};
    TRY_VOID(posix_lock_file(l, wait));
    // Another thread may have closed the descriptor before the lock was there to be removed.
    auto still = fget_raw(static_cast<int>(fd));
    if (l.type != F_UNLCK && (!still || still->get() != f)) {
        l.type = F_UNLCK;
        TRY_VOID(posix_lock_file(l, false));
        return error{EBADF};
    }
    return {};
}

enum fcntl_cmd : u32 {
    F_DUPFD = 0,
    F_GETFD = 1,
    F_SETFD = 2,
    F_GETFL = 3,
    F_SETFL = 4,
    F_GETLK = 5,
    F_SETLK = 6,
    F_SETLKW = 7,
    F_SETOWN = 8,
    F_GETOWN = 9,
    F_SETSIG = 10,
    F_GETSIG = 11,
    F_SETOWN_EX = 15,
    F_GETOWN_EX = 16,
    F_OFD_GETLK = 36,
    F_OFD_SETLK = 37,
    F_OFD_SETLKW = 38,
    F_DUPFD_CLOEXEC = 1030,
    F_SETPIPE_SZ = 1031,
    F_GETPIPE_SZ = 1032,
};
constexpr u32 FD_CLOEXEC = 1;
constexpr u32 SETFL_MASK = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME;

/// The commands about record locks; `fd` is the descriptor that was named.
result<void> fcntl_lock(u32 fd, file *f, u32 cmd, user_ptr<flock_abi> arg)
{
    lock_kind kind = cmd >= F_OFD_GETLK ? lock_kind::ofd : lock_kind::posix;
    if (cmd == F_GETLK || cmd == F_OFD_GETLK)
        return get_lock(f, arg, kind);
    return set_lock(fd, f, arg, kind, cmd == F_SETLKW || cmd == F_OFD_SETLKW);
}

/// As F_SETOWN_EX passes it.
struct f_owner_ex {
    s32 type, pid;
};

/// The commands about who gets SIGIO.
result<s64> fcntl_owner(file *f, u32 cmd, u64 arg)
{
    f_owner_ex ex;
    switch (cmd) {
    case F_SETOWN:
        TRY_VOID(f_setown_signed(f, static_cast<s32>(arg)));
        return s64{0};
    case F_GETOWN:
        return s64{f_getown_signed(f)};
    case F_SETSIG:
        TRY_VOID(f_setsig(f, arg));
        return s64{0};
    case F_GETSIG:
        return s64{f_getown(f).signum};
    case F_SETOWN_EX:
        TRY_VOID(get_user(ex, user_ptr<f_owner_ex>{arg}));
        if (ex.type < F_OWNER_TID || ex.type > F_OWNER_PGRP)
            return error{EINVAL};
        TRY_VOID(f_setown(f, ex.type, ex.pid));
        return s64{0};
    default: // F_GETOWN_EX
        ex = {f_getown(f).type, f_getown(f).pid};
        TRY_VOID(put_user(user_ptr<f_owner_ex>{arg}, ex));
        return s64{0};
    }
}

result<s64> fcntl_file(u32 fd, file *f, u32 cmd, u64 arg)
{
    switch (cmd) {
    case F_GETFL:
        return static_cast<s64>(f->f_flags);
    case F_SETFL:
        TRY_VOID(file_set_async(static_cast<int>(fd), f, arg & O_ASYNC));
        f->f_flags = (f->f_flags & ~SETFL_MASK) | (static_cast<u32>(arg) & SETFL_MASK);
        return s64{0};
    case F_GETPIPE_SZ:
        return is_pipe(f) ? result<s64>{s64{pipe_size(f)}} : result<s64>{error{EBADF}};
    case F_SETPIPE_SZ:
        if (!is_pipe(f))
            return error{EBADF};
        return s64{TRY(pipe_set_size(f, static_cast<u32>(arg)))};
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        TRY_VOID(fcntl_lock(fd, f, cmd, user_ptr<flock_abi>{arg}));
        return s64{0};
    case F_SETOWN:
    case F_GETOWN:
    case F_SETSIG:
    case F_GETSIG:
    case F_SETOWN_EX:
    case F_GETOWN_EX:
        return fcntl_owner(f, cmd, arg);
    default:
        return error{EINVAL};
    }
}
} // namespace

result<s64> sys_fcntl(u32 fd, u32 cmd, u64 arg)
{
    switch (cmd) {
    case F_DUPFD:
        return s64{TRY(dup_from(fd, arg, 0))};
    case F_DUPFD_CLOEXEC:
        return s64{TRY(dup_from(fd, arg, O_CLOEXEC))};
    case F_GETFD:
        return s64{TRY(get_close_on_exec(fd)) ? FD_CLOEXEC : 0};
    case F_SETFD:
        TRY_VOID(set_close_on_exec(fd, arg & FD_CLOEXEC));
        return s64{0};
    default:
        break;
    }
    file_ptr f = TRY(fget_raw(static_cast<int>(fd)));
    if ((f->f_mode & FMODE_PATH) && cmd != F_GETFL)
        return error{EBADF};
    return fcntl_file(fd, f.get(), cmd, arg);
}

result<void> sys_flock(int fd, u32 op)
{
    constexpr u32 LOCK_SH = 1, LOCK_EX = 2, LOCK_NB = 4, LOCK_UN = 8;
    file_ptr f = TRY(fget(fd));
    u32 what = op & ~LOCK_NB;
    if (what != LOCK_SH && what != LOCK_EX && what != LOCK_UN)
        return error{EINVAL};
    if (what != LOCK_UN && !(f->f_mode & (FMODE_READ | FMODE_WRITE)))
        return error{EBADF};
    s16 type = what == LOCK_UN ? F_UNLCK : what == LOCK_EX ? F_WRLCK : F_RDLCK;
    return flock_lock_file(f.get(), type, !(op & LOCK_NB));
}

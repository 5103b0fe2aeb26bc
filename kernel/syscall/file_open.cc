// SPDX-License-Identifier: MIT
// Descriptors: open, close, dup, ioctl, pipe, eventfd. Linux: fs/open.c, fs/ioctl.c, fs/file.c. Process context.

#include "fs/eventfd.h"
#include "fs/fasync.h"
#include "fs/file.h"
#include "fs/ioctl.h"
#include "fs/namei.h"
#include "fs/pipe.h"
#include "sched/sched.h"
#include "syscall/exec.h"
#include "syscall/file.h"

result<int> sys_openat(int dfd, user_ptr<const char> uname, u32 flags, u32 mode)
{
    user_path name;
    TRY_VOID(name.get(uname.addr()));
    int fd = TRY(get_unused_fd_flags(flags & O_CLOEXEC));
    auto f = do_filp_open(dfd, name.c_str(), flags, mode);
    if (!f) {
        put_unused_fd(fd);
        return f.fail();
    }
    fd_install(fd, f->release());
    return fd;
}

result<int> sys_open(user_ptr<const char> name, u32 flags, u32 mode)
{
    return sys_openat(AT_FDCWD, name, flags, mode);
}

result<int> sys_creat(user_ptr<const char> name, u32 mode)
{
    return sys_openat(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

result<void> sys_close(u32 fd)
{
    return close_fd(fd);
}

result<void> sys_close_range(u32 first, u32 last, u32 flags)
{
    constexpr u32 CLOSE_RANGE_UNSHARE = 2, CLOSE_RANGE_CLOEXEC = 4;
    if (first > last || (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)))
        return error{EINVAL};
    if (flags & CLOSE_RANGE_UNSHARE)
        TRY_VOID(unshare_files());
    files_struct *f = current()->files;
    u32 end = f ? files_max(f) : 0;
    for (u32 fd = first; fd < end && fd <= last; fd++) {
        // Closed ones in the range are no error.
        auto r = flags & CLOSE_RANGE_CLOEXEC ? set_close_on_exec(fd, true) : close_fd(fd);
        (void)r;
        cond_resched();
    }
    return {};
}

result<int> sys_dup(u32 fd)
{
    file_ptr f = TRY(fget_raw(static_cast<int>(fd)));
    int copy = TRY(get_unused_fd_flags(0));
    fd_install(copy, f.release());
    return copy;
}

result<int> sys_dup3(u32 old_fd, u32 new_fd, u32 flags)
{
    if (flags & ~O_CLOEXEC || old_fd == new_fd)
        return error{EINVAL};
    file_ptr f = TRY(fget_raw(static_cast<int>(old_fd)));
    return replace_fd(new_fd, f.get(), flags);
}

result<int> sys_dup2(u32 old_fd, u32 new_fd)
{
    if (old_fd != new_fd)
        return sys_dup3(old_fd, new_fd, 0);
    file_ptr f = TRY(fget_raw(static_cast<int>(old_fd)));
    return static_cast<int>(new_fd);
}

namespace
{
constexpr u32 FIONCLEX = 0x5450, FIOCLEX = 0x5451, FIONBIO = 0x5421, FIOASYNC = 0x5452,
              FIOQSIZE = 0x5460;

result<s64> set_flag(file *f, u32 flag, u64 arg)
{
    int on;
    TRY_VOID(get_user(on, user_ptr<int>{arg}));
    f->f_flags = on ? f->f_flags | flag : f->f_flags & ~flag;
    return s64{0};
}
} // namespace

result<s64> sys_ioctl(u32 fd, u32 cmd, u64 arg)
{
    file_ptr f = TRY(fget(static_cast<int>(fd)));
    switch (cmd) {
    case FIOCLEX:
    case FIONCLEX:
        TRY_VOID(set_close_on_exec(fd, cmd == FIOCLEX));
        return s64{0};
    case FIONBIO:
        return set_flag(f.get(), O_NONBLOCK, arg);
    case FIOASYNC: {
        int on;
        TRY_VOID(get_user(on, user_ptr<int>{arg}));
        if (!f->f_op->fasync && !!on != !!(f->f_flags & O_ASYNC))
            return error{ENOTTY};
        TRY_VOID(file_set_async(static_cast<int>(fd), f.get(), on));
        return s64{0};
    }
    case FIONREAD:
        if (s_isreg(f->f_inode->mode)) {
            TRY_VOID(put_user(user_ptr<int>{arg}, static_cast<int>(f->f_inode->size - f->f_pos)));
            return s64{0};
        }
        break;
    case FIOQSIZE:
        if (s_isreg(f->f_inode->mode) || s_isdir(f->f_inode->mode)) {
            TRY_VOID(put_user(user_ptr<s64>{arg}, static_cast<s64>(f->f_inode->size)));
            return s64{0};
        }
        break;
    default:
        break;
    }
    if (!f->f_op->ioctl)
        return error{ENOTTY};
    auto r = f->f_op->ioctl(f.get(), cmd, arg);
    return r.err() == ENOIOCTLCMD ? result<s64>{error{ENOTTY}} : static_cast<result<s64> &&>(r);
}

result<void> sys_pipe2(user_ptr<void> ufds, u32 flags)
{
    if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
        return error{EINVAL};
    file *r, *w;
    TRY_VOID(create_pipe_files(&r, &w, flags));
    file_ptr read_end{r}, write_end{w};
    int fds[2];
    fds[0] = TRY(get_unused_fd_flags(flags));
    auto second = get_unused_fd_flags(flags);
    auto copied = second ? (fds[1] = *second, copy_to_user(ufds, fds, sizeof fds))
                         : result<void>{second.fail()};
    if (!copied) {
        put_unused_fd(fds[0]);
        if (second)
            put_unused_fd(fds[1]);
        return copied;
    }
    fd_install(fds[0], read_end.release());
    fd_install(fds[1], write_end.release());
    return {};
}

result<void> sys_pipe(user_ptr<void> fds)
{
    return sys_pipe2(fds, 0);
}

result<int> sys_eventfd2(u32 count, u32 flags)
{
    return do_eventfd(count, flags);
}

result<int> sys_eventfd(u32 count)
{
    return do_eventfd(count, 0);
}

result<u32> sys_umask(u32 mask)
{
    return set_umask(mask);
}

// SPDX-License-Identifier: MIT
// read, write and their kin, lseek, sendfile, fsync. Linux: fs/read_write.c, fs/splice.c. Process context.
// Locks: file.f_pos_lock around calls that use the position of a seekable file.

#include "fs/internal.h"
#include "fs/iovec.h"
#include "sched/sched.h"
#include "syscall/file.h"

namespace
{
/// A descriptor's file for one call.
class fd_ref : pinned
{
public:
    explicit fd_ref(int fd) { f_ = fget_light(fd, &put_); }
    ~fd_ref() { fput_light(f_, put_); }
    explicit operator bool() const { return f_; }
    file *operator->() const { return f_; }
    file *get() const { return f_; }

private:
    file *f_;
    bool put_;
};

/// The position lock, for files that have a position: a reader blocked on a pipe or socket must not hold up writers.
class pos_guard : pinned
{
public:
    explicit pos_guard(file *f)
        : f_{s_isreg(f->f_inode->mode) || s_isdir(f->f_inode->mode) ? f : nullptr}
    {
        if (f_)
            f_->f_pos_lock.lock();
    }
    ~pos_guard()
    {
        if (f_)
            f_->f_pos_lock.unlock();
    }

private:
    file *f_;
};

using transfer = result<size_t> (*)(file *f, iov_iter &it, u64 *pos);

/// read/write and readv/writev at the file's position.
result<size_t> at_f_pos(int fd, iov_iter it, transfer go)
{
    fd_ref f{fd};
    if (!f)
        return error{EBADF};
    pos_guard g{f.get()};
    return go(f.get(), it, &f->f_pos);
}

/// pread/pwrite and preadv/pwritev.
result<size_t> at_pos(int fd, iov_iter it, s64 pos, transfer go)
{
    if (pos < 0)
        return error{EINVAL};
    fd_ref f{fd};
    if (!f)
        return error{EBADF};
    if (!f->f_op->llseek)
        return error{ESPIPE};
    u64 p = static_cast<u64>(pos);
    return go(f.get(), it, &p);
}

result<iov_iter> user_buffer(user_ptr<void> buf, size_t n)
{
    if (static_cast<s64>(n) < 0)
        return error{EINVAL};
    if (!access_ok(buf.addr(), n))
        return error{EFAULT};
    return iov_iter::user(buf.addr(), min(n, MAX_RW_COUNT));
}

/// A wrong descriptor is reported before a wrong buffer, as in Linux.
result<size_t> single(int fd, user_ptr<void> buf, size_t n, transfer go)
{
    auto it = user_buffer(buf, n);
    if (!it) {
        fd_ref f{fd};
        return error{f ? static_cast<errno_t>(it.err()) : EBADF};
    }
    return at_f_pos(fd, *it, go);
}
} // namespace

result<size_t> sys_read(int fd, user_ptr<void> buf, size_t n)
{
    return single(fd, buf, n, vfs_read);
}

result<size_t> sys_write(int fd, user_ptr<void> buf, size_t n)
{
    return single(fd, buf, n, vfs_write);
}

result<size_t> sys_pread64(int fd, user_ptr<void> buf, size_t n, s64 pos)
{
    return at_pos(fd, TRY(user_buffer(buf, n)), pos, vfs_read);
}

result<size_t> sys_pwrite64(int fd, user_ptr<void> buf, size_t n, s64 pos)
{
    return at_pos(fd, TRY(user_buffer(buf, n)), pos, vfs_write);
}

result<size_t> sys_readv(int fd, user_ptr<const void> vec, u64 n)
{
    user_iovec v;
    TRY_VOID(v.import(vec, n));
    return at_f_pos(fd, v.iter(), vfs_read);
}

result<size_t> sys_writev(int fd, user_ptr<const void> vec, u64 n)
{
    user_iovec v;
    TRY_VOID(v.import(vec, n));
    return at_f_pos(fd, v.iter(), vfs_write);
}

result<size_t> sys_preadv(int fd, user_ptr<const void> vec, u64 n, s64 pos)
{
    user_iovec v;
    TRY_VOID(v.import(vec, n));
    return at_pos(fd, v.iter(), pos, vfs_read);
}

result<size_t> sys_pwritev(int fd, user_ptr<const void> vec, u64 n, s64 pos)
{
    user_iovec v;
    TRY_VOID(v.import(vec, n));
    return at_pos(fd, v.iter(), pos, vfs_write);
}

result<s64> sys_lseek(int fd, s64 off, int whence)
{
    fd_ref f{fd};
    if (!f)
        return error{EBADF};
    if (whence < 0 || whence > 4)
        return error{EINVAL};
    pos_guard g{f.get()};
    return vfs_llseek(f.get(), off, whence);
}

namespace
{
constexpr size_t SENDFILE_CHUNK = 65536;

/// Copy through a kernel buffer; *pos advances by what the output took. An error counts only if nothing was copied.
result<size_t> copy_file(file *in, file *out, u64 *pos, size_t n, u8 *bounce)
{
    size_t done = 0;
    while (done < n) {
        u64 at = *pos;
        iov_iter to = iov_iter::kernel(bounce, min(n - done, SENDFILE_CHUNK));
        auto got = vfs_read(in, to, &at);
        if (!got && !done)
            return got;
        if (!got || !*got)
            break;
        iov_iter from = iov_iter::kernel(bounce, *got);
        auto put = vfs_write(out, from, &out->f_pos);
        if (!put && !done)
            return put;
        if (!put)
            break;
        done += *put;
        *pos += *put;
        if (*put < *got || signal_pending())
            break;
        cond_resched();
    }
    return done;
}
} // namespace

result<size_t> sys_sendfile(int out_fd, int in_fd, user_ptr<s64> offset, size_t n)
{
    s64 off = 0;
    if (offset) {
        TRY_VOID(get_user(off, offset));
        if (off < 0)
            return error{EINVAL};
    }
    fd_ref in{in_fd}, out{out_fd};
    if (!in || !(in->f_mode & FMODE_READ) || !out || !(out->f_mode & FMODE_WRITE))
        return error{EBADF};
    if (offset && !in->f_op->llseek)
        return error{ESPIPE};
    // The input must be something with a position to read at; a pipe, socket or terminal is not.
    if (!in->f_op->llseek || !in->f_op->read || (out->f_flags & O_APPEND))
        return error{EINVAL};
    if (static_cast<s64>(n) < 0)
        return error{EINVAL};
    auto *bounce = static_cast<u8 *>(kmalloc(SENDFILE_CHUNK, GFP_KERNEL));
    if (!bounce)
        return error{ENOMEM};
    u64 pos = offset ? static_cast<u64>(off) : in->f_pos;
    auto r = copy_file(in.get(), out.get(), &pos, min(n, MAX_RW_COUNT), bounce);
    kfree(bounce);
    if (!offset)
        in->f_pos = pos;
    else
        TRY_VOID(put_user(offset, static_cast<s64>(pos)));
    return r;
}

namespace
{
/// There is no disk: what was written is as safe as it will ever be. Pipes and sockets cannot be synced.
result<void> sync_file(int fd)
{
    fd_ref f{fd};
    if (!f)
        return error{EBADF};
    u32 mode = f->f_inode->mode;
    return s_isreg(mode) || s_isdir(mode) ? result<void>{} : result<void>{error{EINVAL}};
}
} // namespace

result<void> sys_fsync(int fd)
{
    return sync_file(fd);
}

result<void> sys_fdatasync(int fd)
{
    return sync_file(fd);
}

result<void> sys_sync()
{
    return {};
}

result<void> sys_syncfs(int fd)
{
    fd_ref f{fd};
    return f ? result<void>{} : result<void>{error{EBADF}};
}

result<void> sys_sync_file_range(int fd, s64 off, s64 n, u32 flags)
{
    enum { WAIT_BEFORE = 1, WRITE = 2, WAIT_AFTER = 4 };
    s64 end;
    if (flags & ~u32{WAIT_BEFORE | WRITE | WAIT_AFTER})
        return error{EINVAL};
    if (off < 0 || __builtin_add_overflow(off, n, &end) || end < off)
        return error{EINVAL};
    fd_ref f{fd};
    if (!f)
        return error{EBADF};
    u32 mode = f->f_inode->mode;
    return s_isreg(mode) || s_isdir(mode) ? result<void>{} : result<void>{error{ESPIPE}};
}

result<void> sys_fadvise64(int fd, s64, s64 len, int advice)
{
    fd_ref f{fd};
    if (!f)
        return error{EBADF};
    if (!f->f_op->llseek)
        return error{ESPIPE};
    if (len < 0 || advice < 0 || advice > 5)
        return error{EINVAL};
    return {}; // everything is in memory already
}

// SPDX-License-Identifier: MIT
// Attributes of files: size, mode, owner, times. Linux: fs/open.c, fs/attr.c, fs/utimes.c. Process context.
// Locks: i_mutex for the size; the other attributes are single words.

#include "fs/fsnotify.h"
#include "fs/namei.h"
#include "fs/pseudo.h"
#include "sched/sched.h"
#include "syscall/file.h"

namespace
{
constexpr u32 MS_RDONLY = 1, S_ISUID = 04000, S_ISGID = 02000, S_IXGRP = 010;
constexpr u32 AT_SYMLINK_NOFOLLOW = 0x100, AT_EMPTY_PATH = 0x1000;
constexpr s64 UTIME_NOW = 0x3fffffff, UTIME_OMIT = 0x3ffffffe;
constexpr s64 NSEC = 1'000'000'000;

result<path_ref> user_path_at(int dfd, user_ptr<const char> uname, u32 lookup)
{
    user_path name;
    TRY_VOID(name.get(uname.addr()));
    return kern_path_at(dfd, name.c_str(), lookup);
}

result<path_ref> path_of_fd(int fd)
{
    file_ptr f = TRY(fget(fd));
    path p{f->f_mnt, f->f_dentry};
    path_get(p);
    return path_ref{p};
}

bool read_only(const path_ref &p)
{
    return p->mnt && (p->mnt->flags & MS_RDONLY);
}

result<void> set_size(dentry *d, s64 size)
{
    inode *i = d->d_inode;
    if (!i->i_op || !i->i_op->truncate)
        return error{EINVAL};
    TRY_VOID(file_size_allowed(static_cast<u64>(size), i->size));
    {
        mutex_guard g{i->i_mutex};
        TRY_VOID(i->i_op->truncate(i, static_cast<u64>(size)));
    }
    fsnotify_dentry(d, IN_MODIFY);
    return {};
}
} // namespace

result<void> sys_truncate(user_ptr<const char> name, s64 size)
{
    if (size < 0)
        return error{EINVAL};
    path_ref p = TRY(user_path_at(AT_FDCWD, name, LOOKUP_FOLLOW));
    if (s_isdir(p.ino()->mode))
        return error{EISDIR};
    if (!s_isreg(p.ino()->mode))
        return error{EINVAL};
    if (read_only(p))
        return error{EROFS};
    TRY_VOID(inode_permission(p.ino(), MAY_WRITE));
    TRY_VOID(get_write_access(p.ino()));
    auto r = set_size(p->dentry, size);
    put_write_access(p.ino());
    return r;
}

result<void> sys_ftruncate(int fd, s64 size)
{
    if (size < 0)
        return error{EINVAL};
    file_ptr f = TRY(fget(fd));
    if (!s_isreg(f->f_inode->mode) || !(f->f_mode & FMODE_WRITE))
        return error{EINVAL};
    return set_size(f->f_dentry, size);
}

result<void> sys_fallocate(int fd, u32 mode, s64 offset, s64 len)
{
    file_ptr f = TRY(fget(fd));
    if (offset < 0 || len <= 0)
        return error{EINVAL};
    bool punch = mode & FALLOC_FL_PUNCH_HOLE;
    if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) ||
        (punch && !(mode & FALLOC_FL_KEEP_SIZE)))
        return error{EOPNOTSUPP};
    if (!(f->f_mode & FMODE_WRITE))
        return error{EBADF};
    if (s_isfifo(f->f_inode->mode))
        return error{ESPIPE};
    if (!s_isreg(f->f_inode->mode))
        return error{ENODEV};
    s64 end;
    if (__builtin_add_overflow(offset, len, &end))
        return error{EFBIG};
    if (!f->f_op->fallocate)
        return error{EOPNOTSUPP};
    TRY_VOID(f->f_op->fallocate(f.get(), mode, static_cast<u64>(offset), static_cast<u64>(len)));
    fsnotify_file(f.get(), IN_MODIFY);
    return {};
}

namespace
{
result<void> change_mode(const path_ref &p, u32 mode)
{
    inode *i = p.ino();
    if (read_only(p))
        return error{EROFS};
    if (i->i_sb && i->i_sb == proc_sb())
        return error{EPERM}; // modes and owners of /proc say how things are
    if (!inode_owner_or_capable(i))
        return error{EPERM};
    if (!in_group_p(i->gid) && !capable(CAP_FSETID))
        mode &= ~S_ISGID;
    i->mode = (i->mode & S_IFMT) | (mode & 07777);
    i->ctime = current_time();
    fsnotify_dentry(p->dentry, IN_ATTRIB);
    return {};
}

/// -1 leaves an owner as it is. Only user 0 gives files away; owners may change the group to their own.
result<void> change_owner(const path_ref &p, u32 uid, u32 gid)
{
    inode *i = p.ino();
    const task_struct *t = current();
    if (read_only(p))
        return error{EROFS};
    if (i->i_sb && i->i_sb == proc_sb())
        return error{EPERM};
    if (!capable(CAP_CHOWN)) {
        bool owner = t->cred.fsuid == i->uid;
        if ((uid != ~0u && (!owner || uid != i->uid)) ||
            (gid != ~0u && (!owner || (gid != i->gid && !in_group_p(gid)))))
            return error{EPERM};
    }
    if (uid != ~0u)
        i->uid = uid;
    if (gid != ~0u)
        i->gid = gid;
    if (!s_isdir(i->mode))
        i->mode &= ~(S_ISUID | (i->mode & S_IXGRP ? S_ISGID : 0));
    i->ctime = current_time();
    fsnotify_dentry(p->dentry, IN_ATTRIB);
    return {};
}
} // namespace

result<void> sys_fchmodat(int dfd, user_ptr<const char> name, u32 mode)
{
    return change_mode(TRY(user_path_at(dfd, name, LOOKUP_FOLLOW)), mode);
}

result<void> sys_chmod(user_ptr<const char> name, u32 mode)
{
    return sys_fchmodat(AT_FDCWD, name, mode);
}

result<void> sys_fchmod(int fd, u32 mode)
{
    return change_mode(TRY(path_of_fd(fd)), mode);
}

result<void> sys_fchownat(int dfd, user_ptr<const char> name, u32 uid, u32 gid, u32 flags)
{
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return error{EINVAL};
    u32 how = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
              (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    return change_owner(TRY(user_path_at(dfd, name, how)), uid, gid);
}

result<void> sys_chown(user_ptr<const char> name, u32 uid, u32 gid)
{
    return sys_fchownat(AT_FDCWD, name, uid, gid, 0);
}

result<void> sys_lchown(user_ptr<const char> name, u32 uid, u32 gid)
{
    return sys_fchownat(AT_FDCWD, name, uid, gid, AT_SYMLINK_NOFOLLOW);
}

result<void> sys_fchown(int fd, u32 uid, u32 gid)
{
    return change_owner(TRY(path_of_fd(fd)), uid, gid);
}

namespace
{
/// New access and modification times; nsec may be UTIME_NOW or UTIME_OMIT.
result<void> change_times(const path_ref &p, const timespec64_abi t[2])
{
    inode *i = p.ino();
    for (int k = 0; k < 2; k++)
        if (t[k].nsec != UTIME_NOW && t[k].nsec != UTIME_OMIT &&
            (t[k].nsec < 0 || t[k].nsec >= NSEC))
            return error{EINVAL};
    if (t[0].nsec == UTIME_OMIT && t[1].nsec == UTIME_OMIT)
        return {};
    if (read_only(p))
        return error{EROFS};
    bool now = t[0].nsec == UTIME_NOW && t[1].nsec == UTIME_NOW;
    if (!inode_owner_or_capable(i)) {
        if (!now)
            return error{EPERM};
        TRY_VOID(inode_permission(i, MAY_WRITE));
    }
    i->ctime = current_time();
    for (int k = 0; k < 2; k++) {
        if (t[k].nsec == UTIME_OMIT)
            continue;
        u64 v = t[k].nsec == UTIME_NOW ? i->ctime : static_cast<u64>(t[k].sec * NSEC + t[k].nsec);
        (k ? i->mtime : i->atime) = v;
    }
    // One time alone is what reading or writing would have changed.
    bool both = t[0].nsec != UTIME_OMIT && t[1].nsec != UTIME_OMIT;
    fsnotify_dentry(p->dentry, both ? IN_ATTRIB : t[0].nsec != UTIME_OMIT ? IN_ACCESS : IN_MODIFY);
    return {};
}
constexpr timespec64_abi BOTH_NOW[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
} // namespace

result<void> sys_utimensat(int dfd, user_ptr<const char> name, user_ptr<timespec64_abi> times,
                           u32 flags)
{
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return error{EINVAL};
    timespec64_abi t[2] = {BOTH_NOW[0], BOTH_NOW[1]};
    if (times)
        TRY_VOID(copy_from_user(t, times.cast<const void>(), sizeof t));
    if (!name && dfd != AT_FDCWD)
        return change_times(TRY(path_of_fd(dfd)), t);
    u32 how = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
              (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    return change_times(TRY(user_path_at(dfd, name, how)), t);
}

result<void> sys_futimesat(int dfd, user_ptr<const char> name, user_ptr<timeval_abi> times)
{
    timespec64_abi t[2] = {BOTH_NOW[0], BOTH_NOW[1]};
    if (times) {
        timeval_abi tv[2];
        TRY_VOID(copy_from_user(tv, times.cast<const void>(), sizeof tv));
        for (int k = 0; k < 2; k++) {
            if (tv[k].usec < 0 || tv[k].usec >= 1'000'000)
                return error{EINVAL};
            t[k] = {tv[k].sec, tv[k].usec * 1000};
        }
    }
    if (!name)
        return change_times(TRY(path_of_fd(dfd)), t);
    return change_times(TRY(user_path_at(dfd, name, LOOKUP_FOLLOW)), t);
}

result<void> sys_utimes(user_ptr<const char> name, user_ptr<timeval_abi> times)
{
    if (!name)
        return error{EFAULT};
    return sys_futimesat(AT_FDCWD, name, times);
}

result<void> sys_utime(user_ptr<const char> name, user_ptr<s64> times)
{
    timespec64_abi t[2] = {BOTH_NOW[0], BOTH_NOW[1]};
    if (times) {
        s64 v[2];
        TRY_VOID(copy_from_user(v, times.cast<const void>(), sizeof v));
        t[0] = {v[0], 0};
        t[1] = {v[1], 0};
    }
    return change_times(TRY(user_path_at(AT_FDCWD, name, LOOKUP_FOLLOW)), t);
}

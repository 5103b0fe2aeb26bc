// SPDX-License-Identifier: MIT
// Opening files. Linux: fs/open.c and do_last() of fs/namei.c. Process context; takes the tree lock for the walk, not for f_op->open
// (which may sleep for long, as a FIFO's does).

#include "fs/fsnotify.h"
#include "fs/namei.h"
#include "lib/string.h"
#include "sched/sched.h"

namespace
{
constexpr u32 MS_RDONLY = 1;

u32 access_mask(u32 flags)
{
    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        return MAY_READ;
    case O_WRONLY:
        return MAY_WRITE;
    default:
        return MAY_READ | MAY_WRITE;
    }
}

/// May the current task open what it found in this way?
result<void> may_open(const path &p, u32 flags)
{
    inode *i = p.dentry->d_inode;
    u32 want = access_mask(flags) | (flags & O_TRUNC ? MAY_WRITE : 0);
    if (s_islnk(i->mode))
        return error{ELOOP};
    if (s_isdir(i->mode) && (want & MAY_WRITE))
        return error{EISDIR};
    if ((flags & O_DIRECTORY) && !s_isdir(i->mode))
        return error{ENOTDIR};
    if ((want & MAY_WRITE) && p.mnt && (p.mnt->flags & MS_RDONLY) &&
        (s_isreg(i->mode) || s_isdir(i->mode)))
        return error{EROFS};
    return inode_permission(i, want);
}

result<void> truncate_on_open(inode *i)
{
    if (!s_isreg(i->mode) || !i->i_op || !i->i_op->truncate)
        return {};
    mutex_guard g{i->i_mutex};
    return i->i_op->truncate(i, 0);
}

/// Tell of what dentry_open has done.
void notify_open(file *f, u32 flags)
{
    if ((flags & O_TRUNC) && s_isreg(f->f_inode->mode))
        fsnotify_file(f, IN_MODIFY);
    fsnotify_file(f, IN_OPEN);
}
} // namespace

result<file_ptr> dentry_open(const path &p, u32 flags)
{
    inode *i = p.dentry->d_inode;
    file_ptr f{TRY(alloc_file(p.dentry, flags, i->i_fop))};
    if (p.mnt) {
        mntget(p.mnt);
        f->f_mnt = p.mnt;
    }
    if (flags & O_PATH) {
        f->f_op = &bad_file_operations;
        return f;
    }
    if (flags & O_DIRECT)
        return error{EINVAL}; // nothing here goes past the pages in memory
    if (!f->f_op)
        return error{ENXIO}; // sockets, block devices: not opened by name
    if ((f->f_mode & FMODE_WRITE) && s_isreg(i->mode)) {
        TRY_VOID(get_write_access(i));
        f->f_mode |= FMODE_WRITER;
    }
    if (f->f_op->open) {
        f->f_flags |= flags & O_NOCTTY; // concerns the open method only
        auto r = f->f_op->open(i, f.get());
        f->f_flags &= ~O_NOCTTY;
        if (!r) {
            f->f_op = &bad_file_operations; // what was not opened is not released
            return r.fail();
        }
    }
    if (flags & O_TRUNC)
        TRY_VOID(truncate_on_open(i));
    notify_open(f.get(), flags);
    return f;
}

namespace
{
/// The walk of an open with O_CREAT: finds or makes the last component.
result<path_ref> lookup_or_create(int dfd, const char *name, u32 flags, u32 mode, bool *created)
{
    nameidata nd;
    bool excl = flags & O_EXCL;
    TRY_VOID(
        nd.walk(dfd, name, LOOKUP_PARENT | (excl || (flags & O_NOFOLLOW) ? 0 : LOOKUP_FOLLOW)));
    if (!nd.last_is_normal()) {
        // "/", "." and ".." are directories; a link straight to an object leaves that object as the place.
        if (s_isdir(nd.ino()->mode))
            return error{EISDIR};
        return nd.take();
    }
    if (nd.trailing_slash())
        return error{EISDIR};
    if (dentry *d = nd.last_dentry()) {
        if (excl)
            return error{EEXIST};
        path p = follow_mounts({nd.at().mnt, d});
        path_get(p);
        return path_ref{p};
    }
    dentry *d = TRY(vfs_create_at(nd, S_IFREG | (mode & 07777 & ~current_umask()), 0, nullptr));
    *created = true;
    path p{nd.at().mnt, d};
    mntget(p.mnt);
    return path_ref{p};
}
} // namespace

namespace
{
/// O_TMPFILE: a regular file without a name in the file system of directory `name`; it goes with its last descriptor.
result<file_ptr> open_tmpfile(int dfd, const char *name, u32 flags, u32 mode)
{
    if (!(flags & O_DIRECTORY) || !(access_mask(flags) & MAY_WRITE))
        return error{EINVAL};
    path_ref dir = TRY(kern_path_at(dfd, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY));
    if (dir->mnt->flags & MS_RDONLY)
        return error{EROFS};
    TRY_VOID(inode_permission(dir.ino(), MAY_WRITE | MAY_EXEC));
    super_block *sb = dir->mnt->sb;
    if (!sb->s_op || !sb->s_op->new_inode)
        return error{EOPNOTSUPP};
    char text[24];
    dentry *d;
    {
        tree_guard g;
        u32 perm = mode & 07777 & ~current_umask();
        inode *i = TRY(sb->s_op->new_inode(sb, S_IFREG | perm, 0, nullptr));
        i->nlink = 0;
        int n = snprintf(text, sizeof text, "#%llu", static_cast<unsigned long long>(i->ino));
        d = d_alloc(dir->dentry, text, static_cast<size_t>(n), i);
        if (!d) {
            iput(i);
            return error{ENOMEM};
        }
        d->unlinked = true;
    }
    mntget(dir->mnt);
    path_ref p{path{dir->mnt, d}};
    return dentry_open(p.get(), flags & ~(O_TMPFILE_ | O_DIRECTORY | O_CREAT | O_EXCL | O_TRUNC));
}
} // namespace

result<file_ptr> do_filp_open(int dfd, const char *name, u32 flags, u32 mode)
{
    bool created = false;
    path_ref p;
    if (flags & O_PATH) {
        flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        u32 how =
            (flags & O_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & O_DIRECTORY ? LOOKUP_DIRECTORY : 0);
        p = TRY(kern_path_at(dfd, name, how));
        return dentry_open(p.get(), flags);
    }
    if (flags & O_TMPFILE_)
        return open_tmpfile(dfd, name, flags, mode);
    if (flags & O_CREAT) {
        p = TRY(lookup_or_create(dfd, name, flags, mode, &created));
    } else {
        u32 how =
            (flags & O_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & O_DIRECTORY ? LOOKUP_DIRECTORY : 0);
        p = TRY(kern_path_at(dfd, name, how));
    }
    // The creator may use the file as it asked to, whatever mode it gave it.
    if (!created)
        TRY_VOID(may_open(p.get(), flags));
    return dentry_open(p.get(), created ? flags & ~O_TRUNC : flags);
}

result<file_ptr> filp_open(const char *name, u32 flags, u32 mode)
{
    return do_filp_open(AT_FDCWD, name, flags, mode);
}

// SPDX-License-Identifier: MIT
// Changing directories: mknod, mkdir, unlink, rmdir, symlink, link, rename. Linux: the second half of fs/namei.c.
// All file systems keep their names in the dentry tree, so these work on it directly; a file system only says how to make an inode.
//
// Contexts: process. Locks: the tree lock (held by nameidata) for the whole of each operation.

#include "fs/fsnotify.h"
#include "fs/namei.h"
#include "fs/pseudo.h"
#include "lib/string.h"
#include "sched/sched.h"

namespace
{
constexpr u32 S_ISVTX = 01000, S_ISGID = 02000;
constexpr u32 MS_RDONLY = 1;

/// May entries of this directory be added or removed?
result<void> may_change(const path &dir)
{
    if (dir.dentry->unlinked)
        return error{ENOENT};
    if (!dir.mnt)
        return error{EPERM};
    if (dir.mnt->flags & MS_RDONLY)
        return error{EROFS};
    return inode_permission(dir.dentry->d_inode, MAY_WRITE | MAY_EXEC);
}

/// May `victim` be removed from (or replaced in) `dir`?
result<void> may_delete(const path &dir, const dentry *victim, bool want_dir)
{
    TRY_VOID(may_change(dir));
    const inode *d = dir.dentry->d_inode;
    if ((d->mode & S_ISVTX) && !inode_owner_or_capable(d) &&
        !inode_owner_or_capable(victim->d_inode))
        return error{EPERM};
    if (want_dir && !s_isdir(victim->d_inode->mode))
        return error{ENOTDIR};
    if (!want_dir && s_isdir(victim->d_inode->mode))
        return error{EISDIR};
    if (!dir.mnt->sb->s_op || !dir.mnt->sb->s_op->new_inode || !victim->child.linked())
        return error{EPERM};
    if (victim->mounts)
        return error{EBUSY};
    return {};
}

void touch_dir(dentry *dir)
{
    dir->d_inode->mtime = dir->d_inode->ctime = current_time();
}

/// Count an entry that may_delete() allowed as gone; it is still in the tree.
void remove_entry(dentry *dir, dentry *d)
{
    inode *i = d->d_inode;
    i->ctime = current_time();
    if (s_isdir(i->mode)) {
        i->nlink = 0;
        dir->d_inode->nlink--;
    } else {
        i->nlink--;
        fsnotify_inode(i, IN_ATTRIB);
    }
    touch_dir(dir);
}

/// Forget an entry that may_delete() allowed, and tell.
void delete_entry(dentry *dir, dentry *d)
{
    remove_entry(dir, d);
    fsnotify_name(dir, IN_DELETE, d->d_inode, d->dname());
    d_drop(d);
}
} // namespace

result<dentry *> vfs_create_at(nameidata &nd, u32 mode, u32 rdev, const char *target)
{
    if (!nd.last_is_normal() || nd.last_dentry())
        return error{EEXIST};
    if (nd.trailing_slash() && !s_isdir(mode))
        return error{ENOENT};
    TRY_VOID(may_change(nd.at()));
    super_block *sb = nd.at().mnt->sb;
    if (!sb->s_op || !sb->s_op->new_inode)
        return error{sb == proc_sb() ? ENOENT : EPERM}; // proc's lookup fails before anything else
    if ((s_ischr(mode) || (mode & S_IFMT) == S_IFBLK) && !capable(CAP_MKNOD))
        return error{EPERM};
    dentry *dir = nd.at().dentry;
    inode *i = TRY(sb->s_op->new_inode(sb, mode, rdev, target));
    if (dir->d_inode->mode & S_ISGID) {
        i->gid = dir->d_inode->gid;
        if (s_isdir(mode))
            i->mode |= S_ISGID;
    }
    dentry *d = d_alloc(dir, nd.last(), nd.last_len(), i);
    if (!d) {
        iput(i);
        return error{ENOMEM};
    }
    d_add(d);
    if (s_isdir(mode))
        dir->d_inode->nlink++;
    touch_dir(dir);
    fsnotify_name(dir, IN_CREATE, i, d->dname());
    return dget(d);
}

namespace
{
result<void> create_named(int dfd, const char *name, u32 mode, u32 rdev, const char *target)
{
    nameidata nd;
    TRY_VOID(nd.walk(dfd, name, LOOKUP_PARENT));
    dput(TRY(vfs_create_at(nd, mode, rdev, target)));
    return {};
}
} // namespace

result<void> do_mknodat(int dfd, const char *name, u32 mode, u32 rdev)
{
    if (!(mode & S_IFMT))
        mode |= S_IFREG;
    switch (mode & S_IFMT) {
    case S_IFREG:
    case S_IFIFO:
    case S_IFSOCK:
        break;
    case S_IFCHR:
    case S_IFBLK:
        break; // CAP_MKNOD is asked for once the directory may be written
    case S_IFDIR:
        return error{EPERM};
    default:
        return error{EINVAL};
    }
    return create_named(dfd, name, (mode & S_IFMT) | (mode & 07777 & ~current_umask()), rdev,
                        nullptr);
}

result<void> do_mkdirat(int dfd, const char *name, u32 mode)
{
    return create_named(dfd, name, S_IFDIR | (mode & 01777 & ~current_umask()), 0, nullptr);
}

result<void> do_symlinkat(const char *target, int dfd, const char *name)
{
    if (!*target)
        return error{ENOENT};
    return create_named(dfd, name, S_IFLNK | 0777, 0, target);
}

result<void> do_unlinkat(int dfd, const char *name)
{
    nameidata nd;
    TRY_VOID(nd.walk(dfd, name, LOOKUP_PARENT));
    if (!nd.last_is_normal())
        return error{EISDIR};
    dentry *d = nd.last_dentry();
    if (!d)
        return error{ENOENT};
    if (nd.trailing_slash())
        return error{s_isdir(d->d_inode->mode) ? EISDIR : ENOTDIR};
    TRY_VOID(may_delete(nd.at(), d, false));
    delete_entry(nd.at().dentry, d);
    return {};
}

result<void> do_rmdirat(int dfd, const char *name)
{
    nameidata nd;
    TRY_VOID(nd.walk(dfd, name, LOOKUP_PARENT));
    if (!nd.last_len())
        return error{EBUSY};
    if (strcmp(nd.last(), ".") == 0)
        return error{EINVAL};
    if (strcmp(nd.last(), "..") == 0)
        return error{ENOTEMPTY};
    dentry *d = nd.last_dentry();
    if (!d)
        return error{ENOENT};
    TRY_VOID(may_delete(nd.at(), d, true));
    if (!d->children.empty())
        return error{ENOTEMPTY};
    delete_entry(nd.at().dentry, d);
    return {};
}

result<void> do_linkat(int old_dfd, const char *old_name, int new_dfd, const char *new_name,
                       u32 lookup_flags)
{
    path_ref old = TRY(kern_path_at(old_dfd, old_name, lookup_flags));
    nameidata nd;
    TRY_VOID(nd.walk(new_dfd, new_name, LOOKUP_PARENT));
    if (!nd.last_is_normal() || nd.last_dentry())
        return error{EEXIST};
    inode *i = old.ino();
    if (old->mnt != nd.at().mnt)
        return error{EXDEV};
    if (nd.trailing_slash())
        return error{ENOENT};
    TRY_VOID(may_change(nd.at()));
    super_block *sb = nd.at().mnt->sb;
    if (s_isdir(i->mode) || !sb->s_op || !sb->s_op->new_inode)
        return error{EPERM};
    if (!i->nlink)
        return error{ENOENT}; // was removed meanwhile
    dentry *d = d_alloc(nd.at().dentry, nd.last(), nd.last_len(), i);
    if (!d)
        return error{ENOMEM};
    iget(i);
    i->nlink++;
    i->ctime = current_time();
    d_add(d);
    touch_dir(nd.at().dentry);
    fsnotify_inode(i, IN_ATTRIB);
    fsnotify_name(nd.at().dentry, IN_CREATE, i, d->dname());
    return {};
}

namespace
{
/// The rules of rename(2) for replacing `target` (may be null) by `source`.
result<void> check_rename(const path &from, dentry *source, const path &to, dentry *target)
{
    bool is_dir = s_isdir(source->d_inode->mode);
    TRY_VOID(may_delete(from, source, is_dir));
    if (is_dir && d_is_ancestor(source, to.dentry))
        return error{EINVAL};
    if (!target)
        return may_change(to);
    if (d_is_ancestor(target, from.dentry))
        return error{ENOTEMPTY};
    TRY_VOID(may_delete(to, target, is_dir));
    if (is_dir && !target->children.empty())
        return error{ENOTEMPTY};
    return {};
}

/// A second walk while the first has the lock: only the parent directory is needed, found beforehand.
struct rename_end {
    path_ref dir;
    char last[NAME_MAX + 1];
    size_t len;
    bool trailing, normal;
};

result<void> find_end(int dfd, const char *name, rename_end *out)
{
    nameidata nd;
    TRY_VOID(nd.walk(dfd, name, LOOKUP_PARENT));
    out->dir = nd.take();
    memcpy(out->last, nd.last(), nd.last_len() + 1);
    out->len = nd.last_len();
    out->trailing = nd.trailing_slash();
    out->normal = nd.last_is_normal();
    return {};
}

/// Both halves of a move, and the moved object's own.
void notify_move(const rename_end &from, const rename_end &to, inode *moved)
{
    u32 cookie = fsnotify_active() ? fsnotify_get_cookie() : 0;
    fsnotify_name(from.dir->dentry, IN_MOVED_FROM, moved, from.last, cookie);
    fsnotify_name(to.dir->dentry, IN_MOVED_TO, moved, to.last, cookie);
    fsnotify_inode(moved, IN_MOVE_SELF);
}

result<void> rename_locked(rename_end &from, rename_end &to, bool no_replace)
{
    dentry *from_dir = from.dir->dentry, *to_dir = to.dir->dentry;
    dentry *source = d_find(from_dir, from.last, from.len);
    if (!source)
        return error{ENOENT};
    bool is_dir = s_isdir(source->d_inode->mode);
    if (!is_dir && (from.trailing || to.trailing))
        return error{ENOTDIR};
    dentry *target = d_find(to_dir, to.last, to.len);
    if (target && no_replace)
        return error{EEXIST};
    if (target && target->d_inode == source->d_inode)
        return {}; // two names of one file: nothing happens
    TRY_VOID(check_rename(from.dir.get(), source, to.dir.get(), target));
    dget(source);
    if (!d_move(source, to_dir, to.last, to.len)) {
        dput(source);
        return error{ENOMEM};
    }
    if (target)
        remove_entry(to_dir, target);
    notify_move(from, to, source->d_inode);
    if (target)
        d_drop(target);
    if (is_dir) {
        from_dir->d_inode->nlink--;
        to_dir->d_inode->nlink++;
    }
    source->d_inode->ctime = current_time();
    touch_dir(from_dir);
    touch_dir(to_dir);
    dput(source);
    return {};
}
} // namespace

result<void> do_renameat(int old_dfd, const char *old_name, int new_dfd, const char *new_name,
                         bool no_replace)
{
    rename_end from, to;
    TRY_VOID(find_end(old_dfd, old_name, &from));
    TRY_VOID(find_end(new_dfd, new_name, &to));
    if (from.dir->mnt != to.dir->mnt)
        return error{EXDEV};
    if (!from.normal)
        return error{EBUSY};
    if (!to.normal)
        return error{no_replace ? EEXIST : EBUSY};
    tree_guard g;
    return rename_locked(from, to, no_replace);
}

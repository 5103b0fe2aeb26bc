// SPDX-License-Identifier: MIT
// The path walk: from a string to a place in the tree, through mounts, "..", and symbolic links (at most 40). Linux: fs/namei.c.
//
// Contexts: process. Locks: nameidata holds the tree lock from construction to destruction, so a walk sees one state of the tree and
// its caller may change what it found. Nothing in here touches user memory.

#include "fs/namei.h"
#include "lib/string.h"
#include "sched/sched.h"

namespace
{
kmem_cache *names_cache;
}

char *getname_buffer()
{
    return static_cast<char *>(kmem_cache_alloc(names_cache, GFP_KERNEL));
}

void putname_buffer(char *s)
{
    if (s)
        kmem_cache_free(names_cache, s);
}

user_path::~user_path()
{
    putname_buffer(s_);
}

result<void> user_path::get(u64 addr)
{
    if (!s_)
        s_ = getname_buffer();
    if (!s_)
        return error{ENOMEM};
    ssize_t n = arch_strncpy_from_user(s_, reinterpret_cast<const char *>(addr), PATH_MAX);
    if (n < 0)
        return error{EFAULT};
    if (static_cast<size_t>(n) >= PATH_MAX && s_[PATH_MAX - 1])
        return error{ENAMETOOLONG};
    return {};
}

nameidata::~nameidata()
{
    if (held_)
        dput(held_);
    path_put(at_);
    path_put(root_);
    vfs_tree_lock().unlock();
    putname_buffer(buf_[0]);
    putname_buffer(buf_[1]);
}

void nameidata::move_to(path p)
{
    path old = at_;
    at_ = p;
    path_put(old);
}

path_ref nameidata::take()
{
    path_get(at_);
    return path_ref{at_};
}

bool nameidata::last_is_normal() const
{
    return last_len_ && strcmp(last_, ".") != 0 && strcmp(last_, "..") != 0;
}

/// Where the walk starts: root, cwd, or the directory that dfd names.
result<void> nameidata::start(int dfd, const char *name, u32 flags)
{
    root_ = get_fs_root();
    if (*name == '/') {
        path_get(root_);
        move_to(root_);
    } else if (dfd == AT_FDCWD) {
        move_to(get_fs_pwd());
    } else {
        file_ptr f = TRY(fget_raw(dfd));
        if (*name && !s_isdir(f->f_inode->mode))
            return error{ENOTDIR};
        path p{f->f_mnt, f->f_dentry};
        path_get(p);
        move_to(p);
    }
    if (!*name && !(flags & LOOKUP_EMPTY))
        return error{ENOENT};
    return {};
}

/// Find one name in at_'s directory and what is mounted there. *out gets references.
result<void> nameidata::lookup_one(const char *name, size_t len, path *out)
{
    inode *dir = at_.dentry->d_inode;
    if (dentry *d = d_find(at_.dentry, name, len)) {
        *out = follow_mounts({at_.mnt, d});
        path_get(*out);
        return {};
    }
    if (!dir->i_op || !dir->i_op->lookup || at_.dentry->unlinked)
        return error{ENOENT};
    dentry *d = TRY(dir->i_op->lookup(at_.dentry, name, len));
    if (at_.mnt)
        mntget(at_.mnt);
    *out = {at_.mnt, d};
    return {};
}

/// Replace the link just met by its target: the rest of the walk becomes target + rest.
result<void> nameidata::follow_link(dentry *link, const char *&rest)
{
    if (++links_ > MAX_SYMLINKS)
        return error{ELOOP};
    last_len_ = 0;
    inode *i = link->d_inode;
    if (i->i_op && i->i_op->follow) {
        move_to(TRY(i->i_op->follow(i)));
        return {};
    }
    if (!i->i_op || !i->i_op->readlink)
        return error{EINVAL};
    char *&buf = buf_[cur_ ^= 1]; // `rest` may point into the other one
    if (!buf && !(buf = getname_buffer()))
        return error{ENOMEM};
    size_t n = TRY(i->i_op->readlink(i, buf, PATH_MAX));
    size_t tail = strlen(rest);
    if (n + tail + 2 > PATH_MAX)
        return error{ENAMETOOLONG};
    if (!n)
        return error{ENOENT};
    if (tail)
        buf[n++] = '/';
    memcpy(buf + n, rest, tail + 1);
    if (*buf == '/') {
        path_get(root_);
        move_to(root_);
    }
    rest = buf;
    return {};
}

/// Take one step. True: the walk is over.
result<bool> nameidata::component(const char *&rest, u32 flags)
{
    while (*rest == '/')
        rest++;
    if (!*rest)
        return true;
    size_t len = 0;
    while (rest[len] && rest[len] != '/')
        len++;
    if (len > NAME_MAX)
        return error{ENAMETOOLONG};
    const char *name = rest, *after = rest + len;
    while (*after == '/')
        after++;
    bool last = !*after, trailing = last && after != name + len;
    if (!s_isdir(at_.dentry->d_inode->mode))
        return error{ENOTDIR};
    TRY_VOID(inode_permission(at_.dentry->d_inode, MAY_EXEC));
    bool dot = len == 1 && name[0] == '.', dotdot = len == 2 && name[0] == '.' && name[1] == '.';
    bool parent = last && (flags & LOOKUP_PARENT);
    if (parent) {
        memcpy(last_, name, len);
        last_[len] = 0;
        last_len_ = len;
        trailing_ = trailing;
        if (dot || dotdot)
            return true;
    }
    path child;
    if (dot) {
        child = at_;
        path_get(child);
    } else if (dotdot) {
        child = follow_dotdot(at_, root_);
        path_get(child);
    } else {
        auto found = lookup_one(name, len, &child);
        if (parent && found.err() == ENOENT)
            return true;
        TRY_VOID(found);
    }
    path_ref owned{child};
    if (s_islnk(owned.ino()->mode) && (!last || trailing || (flags & LOOKUP_FOLLOW)) &&
        !(parent && !(flags & LOOKUP_FOLLOW))) {
        // An absolute rest keeps a trailing slash, which demands a directory.
        rest = after - (trailing ? 1 : 0);
        TRY_VOID(follow_link(child.dentry, rest));
        return false;
    }
    if (parent)
        return true;
    if (trailing && !s_isdir(owned.ino()->mode))
        return error{ENOTDIR};
    path_get(child);
    move_to(child);
    rest = after;
    return last;
}

result<void> nameidata::walk(int dfd, const char *name, u32 flags)
{
    TRY_VOID(start(dfd, name, flags));
    const char *rest = name;
    for (;;) {
        bool done = TRY(component(rest, flags));
        if (done)
            break;
    }
    if ((flags & LOOKUP_DIRECTORY) && !(flags & LOOKUP_PARENT) && !s_isdir(ino()->mode))
        return error{ENOTDIR};
    return {};
}

dentry *nameidata::last_dentry()
{
    if (!last_is_normal())
        return nullptr;
    if (dentry *d = d_find(at_.dentry, last_, last_len_))
        return d;
    if (!held_) {
        path p;
        if (lookup_one(last_, last_len_, &p)) {
            held_ = p.dentry;
            if (p.mnt)
                mntput(p.mnt);
        }
    }
    return held_;
}

result<path_ref> kern_path_at(int dfd, const char *name, u32 flags)
{
    nameidata nd;
    TRY_VOID(nd.walk(dfd, name, flags));
    return nd.take();
}

void namei_init()
{
    names_cache = kmem_cache_create("names_cache", PATH_MAX);
}

// SPDX-License-Identifier: MIT
// proc, sysfs and debugfs: one instance each, whose names the kernel publishes. Linux: fs/proc/generic.c, fs/sysfs/, fs/debugfs/.
//
// Contexts: process, any time after vfs_caches_init(). Locks: the tree lock. An entry belongs to its inode; open files
// outlive a removal.

#include "fs/pseudo.h"
#include "lib/string.h"

namespace
{
const file_system_type proc_type{"proc", true, 0x9fa0, nullptr, 0555};
const file_system_type sysfs_type{"sysfs", true, 0x62656572, nullptr, 0555};
const file_system_type debugfs_type{"debugfs", true, 0x64626720, nullptr, 0700};
super_block *proc_super, *sysfs_super, *debugfs_super;

void destroy_entry(inode *i)
{
    kfree(i->private_data);
    kdelete(i);
}

} // namespace

inode *owned_inode(super_block *sb, u32 mode, void *data)
{
    auto *i = data ? knew<inode>(GFP_KERNEL) : nullptr;
    if (!i) {
        kfree(data);
        return nullptr;
    }
    inode_init(i, sb, mode);
    i->uid = i->gid = 0;
    i->private_data = data;
    i->destroy = destroy_entry;
    return i;
}

namespace
{
result<size_t> link_readlink(inode *i, char *buf, size_t n)
{
    size_t len = min<u64>(i->size, n);
    memcpy(buf, i->private_data, len);
    return len;
}
const inode_operations pseudo_link_operations{.readlink = link_readlink};

/// Next component of `path`; its length, and the rest behind it.
size_t next_name(const char *&path, const char *&name)
{
    while (*path == '/')
        path++;
    name = path;
    while (*path && *path != '/')
        path++;
    return static_cast<size_t>(path - name);
}

/// The directory of the last component, made as needed. Tree lock held. Null: no memory or not a directory.
dentry *make_parents(super_block *sb, const char *path, const char **last, size_t *last_len)
{
    dentry *at = sb->root;
    const char *name;
    size_t len = next_name(path, name);
    for (;;) {
        const char *following;
        size_t following_len = next_name(path, following);
        if (!following_len) {
            *last = name;
            *last_len = len;
            return at;
        }
        dentry *d = d_find(at, name, len);
        if (!d) {
            inode *i = new_inode(sb, S_IFDIR | (sb->root->d_inode->mode & 0777) | 0500);
            d = i ? d_alloc(at, name, len, i) : nullptr;
            if (!d) {
                iput(i);
                return nullptr;
            }
            i->i_fop = &simple_dir_operations;
            at->d_inode->nlink++;
            d_add(d);
        } else if (!s_isdir(d->d_inode->mode)) {
            return nullptr;
        }
        at = d;
        name = following;
        len = following_len;
    }
}

int create_text(super_block *sb, const char *path, seq_show show, void *private_data,
                seq_store store)
{
    u32 mode = S_IFREG | (show ? 0444 : 0) | (store ? 0200 : 0);
    inode *i = pseudo_file_inode(sb, mode, show, private_data, store);
    return i ? pseudo_add(sb, path, i) : -ENOMEM;
}
} // namespace

super_block *proc_sb()
{
    return proc_super;
}
super_block *sysfs_sb()
{
    return sysfs_super;
}
super_block *debugfs_sb()
{
    return debugfs_super;
}

inode *pseudo_file_inode(super_block *sb, u32 mode, seq_show show, void *private_data,
                         seq_store store)
{
    auto *e = static_cast<pseudo_entry *>(kmalloc(sizeof(pseudo_entry), GFP_KERNEL));
    if (e)
        *e = {show, store, private_data, nullptr};
    inode *i = owned_inode(sb, mode, e);
    if (i)
        i->i_fop = &seq_file_operations;
    return i;
}

int pseudo_add(super_block *sb, const char *path, inode *i)
{
    tree_guard g;
    const char *name;
    size_t len;
    dentry *dir = make_parents(sb, path, &name, &len);
    int err = 0;
    if (!dir)
        err = -ENOTDIR;
    else if (!len)
        err = -EINVAL;
    else if (len > NAME_MAX)
        err = -ENAMETOOLONG;
    else if (d_find(dir, name, len))
        err = -EEXIST;
    dentry *d = err ? nullptr : d_alloc(dir, name, len, i);
    if (!d) {
        iput(i);
        return err ? err : -ENOMEM;
    }
    d_add(d);
    if (s_isdir(i->mode))
        dir->d_inode->nlink++;
    return 0;
}

dentry *pseudo_mkdir(super_block *sb, const char *path)
{
    tree_guard g;
    char probe[PATH_MAX / 8];
    // The parents of "<path>/x" are the directory itself.
    if (snprintf(probe, sizeof probe, "%s/x", path) >= static_cast<int>(sizeof probe))
        return nullptr;
    const char *name;
    size_t len;
    return make_parents(sb, probe, &name, &len);
}

int pseudo_symlink(super_block *sb, const char *path, const char *target)
{
    size_t len = strlen(target);
    auto *copy = static_cast<char *>(kmalloc(len + 1, GFP_KERNEL));
    if (copy)
        memcpy(copy, target, len + 1);
    inode *i = owned_inode(sb, S_IFLNK | 0777, copy);
    if (!i)
        return -ENOMEM;
    i->size = len;
    i->i_op = &pseudo_link_operations;
    return pseudo_add(sb, path, i);
}

int pseudo_remove(super_block *sb, const char *path)
{
    tree_guard g;
    const char *name;
    size_t len;
    dentry *dir = make_parents(sb, path, &name, &len);
    dentry *d = dir && len ? d_find(dir, name, len) : nullptr;
    if (!d)
        return -ENOENT;
    for (dentry *at = d;;) {
        if (dentry *c = at->children.front()) {
            at = c;
            continue;
        }
        dentry *parent = at->parent;
        bool done = at == d;
        if (s_isdir(at->d_inode->mode))
            parent->d_inode->nlink--;
        d_drop(at);
        if (done)
            return 0;
        at = parent;
    }
}

namespace
{
result<void> text_truncate(inode *i, u64)
{
    static_cast<pseudo_entry *>(i->private_data)->truncated();
    return {};
}
const inode_operations truncatable_operations{.truncate = text_truncate};
} // namespace

int pseudo_on_truncate(super_block *sb, const char *path, void (*f)())
{
    tree_guard g;
    const char *name;
    size_t len;
    dentry *dir = make_parents(sb, path, &name, &len);
    dentry *d = dir ? d_find(dir, name, len) : nullptr;
    if (!d || !s_isreg(d->d_inode->mode))
        return -ENOENT;
    static_cast<pseudo_entry *>(d->d_inode->private_data)->truncated = f;
    d->d_inode->i_op = &truncatable_operations;
    return 0;
}

int proc_create(const char *path, seq_show show, void *private_data, seq_store store)
{
    return create_text(proc_super, path, show, private_data, store);
}

int debugfs_create(const char *path, seq_show show, void *private_data, seq_store store)
{
    return create_text(debugfs_super, path, show, private_data, store);
}

int sysfs_create(const char *path, seq_show show, void *private_data, seq_store store)
{
    return create_text(sysfs_super, path, show, private_data, store);
}

int sysfs_remove(const char *path)
{
    return pseudo_remove(sysfs_super, path);
}

int sysfs_symlink(const char *path, const char *target)
{
    return pseudo_symlink(sysfs_super, path, target);
}

int proc_remove(const char *path)
{
    return pseudo_remove(proc_super, path);
}

void pseudo_fs_init()
{
    register_filesystem(&proc_type);
    register_filesystem(&sysfs_type);
    register_filesystem(&debugfs_type);
    proc_super = sget(&proc_type);
    sysfs_super = sget(&sysfs_type);
    debugfs_super = sget(&debugfs_type);
    if (!proc_super || !sysfs_super || !debugfs_super)
        panic("VFS: no memory for proc, sysfs and debugfs");
    if (!pseudo_mkdir(sysfs_super, "kernel/debug") || !pseudo_mkdir(sysfs_super, "class/net"))
        panic("VFS: no memory for /sys");
}

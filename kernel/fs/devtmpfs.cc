// SPDX-License-Identifier: MIT
// /dev: a RAM file system that the kernel fills with device nodes, and the mounts that every boot has. Linux:
// drivers/base/devtmpfs.c. Process context, boot.

#include "fs/devtmpfs.h"
#include "fs/namei.h"
#include "lib/string.h"

namespace
{
const file_system_type devtmpfs_type{"devtmpfs", true, 0x01021994, &ramfs_super_ops, 0755};
super_block *dev_super;

/// Add `name` (one component, or "dir/name" with an existing dir) to the devtmpfs tree. 0 or -errno.
int add_node(const char *name, u32 mode, u32 rdev, const char *target)
{
    tree_guard g;
    dentry *dir = dev_super->root;
    if (const char *slash = strchr(name, '/')) {
        dir = d_find(dir, name, static_cast<size_t>(slash - name));
        name = slash + 1;
    }
    if (!dir)
        return -ENOENT;
    size_t len = strlen(name);
    if (d_find(dir, name, len))
        return -EEXIST;
    auto i = dev_super->s_op->new_inode(dev_super, mode, rdev, target);
    if (!i)
        return -i.err();
    (*i)->uid = (*i)->gid = 0;
    dentry *d = d_alloc(dir, name, len, *i);
    if (!d) {
        iput(*i);
        return -ENOMEM;
    }
    d_add(d);
    if (s_isdir(mode))
        dir->d_inode->nlink++;
    return 0;
}
} // namespace

int devtmpfs_create_node(const char *name, u32 mode, u32 rdev)
{
    return add_node(name, S_IFCHR | mode, rdev, nullptr);
}

void devtmpfs_init()
{
    register_filesystem(&devtmpfs_type);
    dev_super = sget(&devtmpfs_type);
    if (!dev_super)
        panic("VFS: no memory for devtmpfs");
    struct node {
        const char *name;
        u32 mode, rdev;
    };
    static const node nodes[] = {
        {"null", 0666, mkdev(1, 3)},   {"zero", 0666, mkdev(1, 5)},    {"full", 0666, mkdev(1, 7)},
        {"random", 0666, mkdev(1, 8)}, {"urandom", 0666, mkdev(1, 9)}, {"kmsg", 0644, mkdev(1, 11)},
    };
    int err = 0;
    for (const node &n : nodes)
        err |= devtmpfs_create_node(n.name, n.mode, n.rdev);
    err |= add_node("fd", S_IFLNK | 0777, 0, "/proc/self/fd");
    err |= add_node("stdin", S_IFLNK | 0777, 0, "/proc/self/fd/0");
    err |= add_node("stdout", S_IFLNK | 0777, 0, "/proc/self/fd/1");
    err |= add_node("stderr", S_IFLNK | 0777, 0, "/proc/self/fd/2");
    err |= add_node("shm", S_IFDIR | 01777, 0, nullptr);
    err |= add_node("pts", S_IFDIR | 0755, 0, nullptr);
    if (err)
        panic("VFS: no memory for /dev");
}

namespace
{
void mount_at(const char *type, const char *dir)
{
    auto made = do_mkdirat(AT_FDCWD, dir, 0755); // the archive may have it already
    if (!made && made.err() != EEXIST)
        pr_warn("VFS: cannot make %s: error %d\n", dir, made.err());
    auto at = kern_path(dir, LOOKUP_FOLLOW | LOOKUP_DIRECTORY);
    auto r = at ? do_kern_mount(type, type, at->get(), 0, true) : result<void>{at.fail()};
    if (!r)
        pr_err("VFS: cannot mount %s on %s: error %d\n", type, dir, r.err());
}
} // namespace

void mount_standard_filesystems()
{
    mount_at("devtmpfs", "/dev");
    mount_at("devpts", "/dev/pts");
    mount_at("proc", "/proc");
    mount_at("sysfs", "/sys");
    mount_at("debugfs", "/sys/kernel/debug");
}

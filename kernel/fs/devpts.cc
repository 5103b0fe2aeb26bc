// SPDX-License-Identifier: MIT
// devpts: one instance, as Linux 3.10 without CONFIG_DEVPTS_MULTIPLE_INSTANCES; each mount shows it and sets its options. Linux:
// fs/devpts/inode.c. Process context; the tree lock protects names and options.

#include "fs/devpts.h"
#include "fs/internal.h"
#include "fs/seq_file.h"
#include "lib/string.h"
#include "sched/sched.h"

namespace
{
constexpr u64 DEVPTS_SUPER_MAGIC = 0x1cd1;
constexpr u32 DEV_PTMX = mkdev(5, 2);

struct pts_mount_opts {
    bool setuid = false, setgid = false;
    u32 uid = 0, gid = 0;
    u32 mode = 0600, ptmxmode = 0;
};
pts_mount_opts opts;
inode *ptmx_inode;

/// One "name=number" out of `s` (up to a comma) in `base`; false: another option, or no number.
bool option(const char *s, const char *name, unsigned base, u32 *value)
{
    size_t len = strlen(name);
    if (strncmp(s, name, len) != 0)
        return false;
    const char *end;
    u64 v = strtoul(s + len, &end, base);
    if (end == s + len || (*end && *end != ',') || v > UINT32_MAX)
        return false;
    *value = static_cast<u32>(v);
    return true;
}

result<void> devpts_mount_options(super_block *, const char *data)
{
    pts_mount_opts o;
    for (const char *s = data ? data : ""; *s;) {
        u32 ignored;
        if (option(s, "uid=", 10, &o.uid))
            o.setuid = true;
        else if (option(s, "gid=", 10, &o.gid))
            o.setgid = true;
        else if (option(s, "ptmxmode=", 8, &o.ptmxmode))
            o.ptmxmode &= 0777;
        else if (option(s, "mode=", 8, &o.mode))
            o.mode &= 0777;
        else if (strncmp(s, "newinstance", 11) != 0 && !option(s, "max=", 10, &ignored) &&
                 *s != ',')
            return error{EINVAL};
        while (*s && *s++ != ',')
            ;
    }
    opts = o;
    if (ptmx_inode)
        ptmx_inode->mode = S_IFCHR | opts.ptmxmode;
    return {};
}

void devpts_show_options(seq_file *m, super_block *)
{
    if (opts.setuid)
        seq_printf(m, ",uid=%u", opts.uid);
    if (opts.setgid)
        seq_printf(m, ",gid=%u", opts.gid);
    seq_printf(m, ",mode=%03o,ptmxmode=%03o", opts.mode, opts.ptmxmode);
}

const file_system_type devpts_type{
    "devpts", true, DEVPTS_SUPER_MAGIC, nullptr, 0755, devpts_mount_options, devpts_show_options};
super_block *devpts_super;

/// A node in the root; tree lock held. Null: out of memory.
inode *add_node(const char *name, u64 ino, u32 mode, u32 rdev)
{
    inode *i = new_inode(devpts_super, mode);
    if (!i)
        return nullptr;
    i->ino = ino;
    init_special_inode(i, mode, rdev);
    dentry *d = d_alloc(devpts_super->root, name, strlen(name), i);
    if (!d) {
        iput(i);
        return nullptr;
    }
    d_add(d);
    return i;
}
} // namespace

result<void> devpts_pty_new(u32 index, u32 rdev)
{
    char name[16];
    snprintf(name, sizeof name, "%u", index);
    tree_guard g;
    inode *i = add_node(name, index + 3, S_IFCHR | opts.mode, rdev);
    if (!i)
        return error{ENOMEM};
    if (opts.setuid)
        i->uid = opts.uid;
    if (opts.setgid)
        i->gid = opts.gid;
    return {};
}

void devpts_pty_kill(u32 index)
{
    char name[16];
    int len = snprintf(name, sizeof name, "%u", index);
    tree_guard g;
    if (dentry *d = d_find(devpts_super->root, name, static_cast<size_t>(len))) {
        d->d_inode->nlink--;
        d_drop(d);
    }
}

bool devpts_owns(const inode *i)
{
    return i->i_sb == devpts_super;
}

void devpts_init()
{
    register_filesystem(&devpts_type);
    devpts_super = sget(&devpts_type);
    tree_guard g;
    if (!devpts_super || !(ptmx_inode = add_node("ptmx", 2, S_IFCHR, DEV_PTMX)))
        panic("VFS: no memory for devpts");
    devpts_super->root->d_inode->ino = 1;
    ptmx_inode->uid = ptmx_inode->gid = 0;
}

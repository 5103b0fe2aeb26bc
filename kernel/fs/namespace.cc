// SPDX-License-Identifier: MIT
// File system types, their instances and the mount table: one name space for all tasks. Linux: fs/namespace.c, fs/super.c.
//
// Contexts: process. Locks: the tree lock for the table and mount points; mount.count needs none. A mount is freed by its last
// reference; the table holds one while it is attached. Instances of `single` types live for ever.

#include "fs/internal.h"
#include "fs/namei.h"
#include "fs/seq_file.h"
#include "lib/string.h"
#include "mm/static_object.h"
#include "sched/sched.h"

namespace
{
constexpr u64 MS_MGC_MSK = 0xffff0000, MS_MGC_VAL = 0xC0ED0000;
constexpr u32 MNT_FORCE = 1, MNT_DETACH = 2, MNT_EXPIRE = 4, UMOUNT_NOFOLLOW = 8;
constexpr u32 MNT_FLAGS =
    MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME;

constexpr unsigned MAX_TYPES = 16;
struct type_slot {
    const file_system_type *type;
    super_block *single;
};
type_slot types[MAX_TYPES];
unsigned nr_types;
u32 next_mount_id = 1;
u32 next_anon_dev = 1; // minor of the next anonymous device (major 0)

static_object<list<mount, &mount::node>> mounts;
mount *root_mount;

const file_system_type rootfs_type{"rootfs", true, 0x858458f6, &ramfs_super_ops, 0755};
const file_system_type ramfs_type{"ramfs", false, 0x858458f6, &ramfs_super_ops, 0755};

type_slot *find_type(const char *name)
{
    for (unsigned i = 0; i < nr_types; i++)
        if (strcmp(types[i].type->name, name) == 0)
            return &types[i];
    return nullptr;
}

/// Forget a whole detached tree: its entries lose the tree's reference, deepest first.
void kill_tree(dentry *root)
{
    dentry *d = root;
    for (;;) {
        if (dentry *c = d->children.front()) {
            d = c;
            continue;
        }
        if (d == root)
            return;
        dentry *parent = d->parent;
        d_drop(d); // may free d; parent stays: it is in the tree, or the root
        d = parent;
    }
}

super_block *alloc_super(const file_system_type *t)
{
    auto *sb = knew<super_block>(GFP_KERNEL);
    if (!sb)
        return nullptr;
    sb->type = t;
    sb->s_op = t->s_op;
    sb->magic = t->magic;
    sb->dev = mkdev(0, next_anon_dev++);
    inode *i = nullptr;
    if (t->s_op && t->s_op->new_inode) {
        auto r = t->s_op->new_inode(sb, S_IFDIR | t->root_mode, 0, nullptr);
        i = r ? *r : nullptr;
    } else if ((i = new_inode(sb, S_IFDIR | t->root_mode))) {
        i->i_fop = &simple_dir_operations;
    }
    sb->root = i ? d_alloc(nullptr, "/", 1, i) : nullptr;
    if (!sb->root) {
        iput(i);
        kdelete(sb);
        return nullptr;
    }
    return sb;
}

void put_super(super_block *sb)
{
    if (--sb->active || sb->type->single)
        return;
    kill_tree(sb->root);
    dput(sb->root);
    kdelete(sb);
}
} // namespace

void register_filesystem(const file_system_type *t)
{
    BUG_ON(nr_types == MAX_TYPES);
    types[nr_types++].type = t;
}

void for_each_filesystem(void (*f)(const file_system_type *, void *), void *arg)
{
    for (unsigned i = 0; i < nr_types; i++)
        f(types[i].type, arg);
}

super_block *sget(const file_system_type *t)
{
    type_slot *s = find_type(t->name);
    if (!t->single)
        return alloc_super(t);
    if (!s->single)
        s->single = alloc_super(t);
    return s->single;
}

void mntget(mount *m)
{
    m->count.get();
}

void mntput(mount *m) NO_THREAD_SAFETY_ANALYSIS
{
    if (!m || !m->count.put())
        return;
    // Instances that die with their last mount are unreachable now, so killing their tree needs no lock of its own; the counts
    // of `active` do.
    bool locked = vfs_tree_lock().held();
    if (!locked)
        vfs_tree_lock().lock();
    dput(m->root);
    put_super(m->sb);
    if (!locked)
        vfs_tree_lock().unlock();
    kdelete(m);
}

void path_get(const path &p)
{
    if (p.mnt)
        mntget(p.mnt);
    if (p.dentry)
        dget(p.dentry);
}

void path_put(const path &p)
{
    if (p.dentry)
        dput(p.dentry);
    if (p.mnt)
        mntput(p.mnt);
}

path root_path()
{
    return {root_mount, root_mount->root};
}

path follow_mounts(path p)
{
    while (p.mnt && p.dentry->mounts) {
        mount *on = nullptr;
        for (mount &m : *mounts)
            if (m.parent == p.mnt && m.mountpoint == p.dentry)
                on = &m;
        if (!on)
            break;
        p = {on, on->root};
    }
    return p;
}

path follow_dotdot(path p, const path &root)
{
    for (;;) {
        if (p.mnt == root.mnt && p.dentry == root.dentry)
            return p;
        if (!p.mnt || p.dentry != p.mnt->root)
            break;
        if (!p.mnt->parent)
            return p;
        p = {p.mnt->parent, p.mnt->mountpoint};
    }
    return p.dentry->parent ? follow_mounts({p.mnt, p.dentry->parent}) : p;
}

namespace
{
/// Attach a mount to a place: the table takes over the caller's reference. Tree lock held.
void attach(mount *m, const path &at)
{
    m->parent = at.mnt;
    m->mountpoint = dget(at.dentry);
    mntget(at.mnt);
    at.dentry->mounts++;
    mounts->push_back(*m);
}

/// Take a mount off its place. Tree lock held. The caller drops the table's reference.
void detach(mount *m)
{
    m->node.unlink();
    m->mountpoint->mounts--;
    dput(m->mountpoint);
    mount *parent = m->parent;
    m->parent = nullptr;
    m->mountpoint = nullptr;
    mntput(parent);
}

mount *new_mount(super_block *sb, dentry *root, const char *devname, u32 flags)
{
    auto *m = knew<mount>(GFP_KERNEL);
    if (!m)
        return nullptr;
    m->sb = sb;
    m->root = dget(root);
    m->flags = flags & MNT_FLAGS;
    m->id = next_mount_id++;
    sb->active++;
    strlcpy(m->devname, devname && *devname ? devname : "none", sizeof m->devname);
    return m;
}

/// Tree lock held, the caller has references of `at`.
result<void> mount_locked(type_slot *t, const char *devname, path at, u64 flags, bool automatic,
                          const char *data)
{
    at = follow_mounts(at);
    if (!s_isdir(at.dentry->d_inode->mode))
        return error{ENOTDIR};
    if (!at.mnt || at.dentry->unlinked)
        return error{ENOENT};
    bool at_top = at.dentry == at.mnt->root && at.mnt->sb == t->single && t->single;
    if (at_top) {
        // The same file system on the same place again: busy, unless the kernel put it there for the init script that now asks.
        if (!at.mnt->automatic)
            return error{EBUSY};
        if (t->type->mount_options)
            TRY_VOID(t->type->mount_options(t->single, data));
        at.mnt->automatic = false;
        at.mnt->flags = flags & MNT_FLAGS;
        return {};
    }
    super_block *sb = sget(t->type);
    if (!sb)
        return error{ENOMEM};
    auto opts = t->type->mount_options ? t->type->mount_options(sb, data) : result<void>{};
    if (!opts) {
        sb->active++;
        put_super(sb);
        return opts;
    }
    mount *m = new_mount(sb, sb->root, devname, static_cast<u32>(flags));
    if (!m) {
        sb->active++;
        put_super(sb);
        return error{ENOMEM};
    }
    m->automatic = automatic;
    attach(m, at);
    return {};
}

result<void> bind_mount(const path &from, const path &to, u64 flags)
{
    if (!from.mnt || !to.mnt)
        return error{EINVAL};
    if (s_isdir(from.dentry->d_inode->mode) != s_isdir(to.dentry->d_inode->mode))
        return error{ENOTDIR};
    mount *m = new_mount(from.mnt->sb, from.dentry, from.mnt->devname, static_cast<u32>(flags));
    if (!m)
        return error{ENOMEM};
    attach(m, to);
    return {};
}

bool mount_is_below(const mount *m, const mount *top)
{
    for (; m; m = m->parent)
        if (m == top)
            return true;
    return false;
}

result<void> move_mount(const path &from, const path &to)
{
    if (!from.mnt || from.dentry != from.mnt->root || !from.mnt->parent || !to.mnt)
        return error{EINVAL};
    if (mount_is_below(to.mnt, from.mnt))
        return error{ELOOP};
    if (s_isdir(from.dentry->d_inode->mode) != s_isdir(to.dentry->d_inode->mode))
        return error{ENOTDIR};
    detach(from.mnt);
    attach(from.mnt, to);
    return {};
}
} // namespace

result<void> do_kern_mount(const char *type, const char *devname, const path &at, u32 flags,
                           bool automatic)
{
    type_slot *t = find_type(type);
    if (!t)
        return error{ENODEV};
    tree_guard g;
    return mount_locked(t, devname, at, flags, automatic, nullptr);
}

result<void> do_mount(const char *devname, const char *dir, const char *type, u64 flags,
                      const char *data)
{
    if (!capable(CAP_SYS_ADMIN))
        return error{EPERM};
    if ((flags & MS_MGC_MSK) == MS_MGC_VAL)
        flags &= ~MS_MGC_MSK;
    if (!(flags & (MS_NOATIME | MS_STRICTATIME)))
        flags |= MS_RELATIME; // the default since 2.6.30
    path_ref at = TRY(kern_path(dir, LOOKUP_FOLLOW));
    if (flags & MS_REMOUNT) {
        tree_guard g;
        if (!at->mnt || at->dentry != at->mnt->root)
            return error{EINVAL};
        super_block *sb = at->mnt->sb;
        if (data && *data && sb->type->mount_options)
            TRY_VOID(sb->type->mount_options(sb, data));
        at->mnt->flags = static_cast<u32>(flags & MNT_FLAGS);
        return {};
    }
    if (flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE))
        return {}; // one name space: nothing to propagate to
    if (flags & (MS_BIND | MS_MOVE)) {
        path_ref from = TRY(kern_path(devname, LOOKUP_FOLLOW));
        tree_guard g;
        return flags & MS_BIND ? bind_mount(from.get(), at.get(), flags)
                               : move_mount(from.get(), at.get());
    }
    type_slot *t = find_type(type);
    if (!t || t->type == &rootfs_type)
        return error{ENODEV};
    tree_guard g;
    return mount_locked(t, devname, at.get(), flags, false, data);
}

namespace
{
bool has_child_mounts(const mount *m)
{
    for (mount &c : *mounts)
        if (c.parent == m)
            return true;
    return false;
}

/// Detach m and everything mounted below it. Tree lock held.
void detach_tree(mount *m)
{
    for (bool again = true; again;) {
        again = false;
        for (mount &c : *mounts)
            if (c.parent == m) {
                detach_tree(&c);
                again = true;
                break;
            }
    }
    detach(m);
    mntput(m);
}
} // namespace

result<void> do_umount(const char *dir, u32 flags)
{
    if (flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW))
        return error{EINVAL};
    if (!capable(CAP_SYS_ADMIN))
        return error{EPERM};
    nameidata nd;
    TRY_VOID(nd.walk(AT_FDCWD, dir, flags & UMOUNT_NOFOLLOW ? 0 : LOOKUP_FOLLOW));
    mount *m = nd.at().mnt;
    if (!m || nd.at().dentry != m->root)
        return error{EINVAL};
    if (!m->parent)
        return error{EBUSY}; // the root
    if (flags & MNT_DETACH) {
        detach_tree(m);
        return {};
    }
    if (has_child_mounts(m) || m->count.read() > 2) // the table and this walk
        return error{EBUSY};
    detach(m);
    mntput(m);
    return {};
}

void for_each_mount(void (*f)(mount &m, void *arg), void *arg)
{
    for (mount &m : *mounts)
        f(m, arg);
}

void mnt_init()
{
    mounts.init();
    register_filesystem(&rootfs_type);
    register_filesystem(&ramfs_type);
    tmpfs_init();
    super_block *sb = sget(&rootfs_type);
    root_mount = sb ? new_mount(sb, sb->root, "rootfs", 0) : nullptr;
    if (!root_mount)
        panic("VFS: no memory for the root file system");
    mounts->push_back(*root_mount);
}

// SPDX-License-Identifier: MIT
// Root directory, working directory and umask of a process, shared by its threads. Linux: fs/fs_struct.c. Process context.
// Locks: fs_struct.lock for the two paths. Freed after a grace period, so that /proc may look at another task's.

#include "fs/internal.h"
#include "sched/rcu.h"
#include "sched/sched.h"

struct fs_struct : pinned {
    refcount count;
    spinlock lock{"fs_struct.lock"};
    u32 umask = 022;
    path root, pwd;
    rcu_head rcu;
};

fs_struct *fs_struct_alloc()
{
    auto *f = knew<fs_struct>(GFP_KERNEL);
    if (!f)
        return nullptr;
    f->root = f->pwd = root_path();
    path_get(f->root);
    path_get(f->pwd);
    return f;
}

fs_struct *fs_struct_dup(fs_struct *old)
{
    auto *f = knew<fs_struct>(GFP_KERNEL);
    if (!f)
        return nullptr;
    spin_guard<plain> g{old->lock};
    f->umask = old->umask;
    f->root = old->root;
    f->pwd = old->pwd;
    path_get(f->root);
    path_get(f->pwd);
    return f;
}

void fs_struct_get(fs_struct *f)
{
    f->count.get();
}

void fs_struct_put(fs_struct *f)
{
    if (!f || !f->count.put())
        return;
    path_put(f->root);
    path_put(f->pwd);
    call_rcu(&f->rcu, [](rcu_head *h) { kdelete(container_of(h, fs_struct, rcu)); });
}

namespace
{
path copy_path(fs_struct *f, path fs_struct::*which)
{
    path p = root_path();
    if (!f) {
        path_get(p);
        return p;
    }
    spin_guard<plain> g{f->lock};
    p = f->*which;
    path_get(p);
    return p;
}

void replace_path(path fs_struct::*which, const path &p)
{
    fs_struct *f = current()->fs;
    if (!f)
        return;
    path old;
    path_get(p);
    {
        spin_guard<plain> g{f->lock};
        old = f->*which;
        f->*which = p;
    }
    path_put(old);
}
} // namespace

path get_fs_root()
{
    task_struct *t = current();
    return copy_path(t ? t->fs : nullptr, &fs_struct::root);
}

path get_fs_pwd()
{
    task_struct *t = current();
    return copy_path(t ? t->fs : nullptr, &fs_struct::pwd);
}

void set_fs_root(const path &p)
{
    replace_path(&fs_struct::root, p);
}

void set_fs_pwd(const path &p)
{
    replace_path(&fs_struct::pwd, p);
}

bool task_fs_paths(task_struct *t, path *root, path *pwd)
{
    rcu_read_lock();
    fs_struct *f = rcu_dereference(t->fs);
    bool ok = f && f->count.get_unless_zero();
    rcu_read_unlock();
    if (!ok)
        return false;
    *root = copy_path(f, &fs_struct::root);
    *pwd = copy_path(f, &fs_struct::pwd);
    fs_struct_put(f);
    return true;
}

u32 current_umask()
{
    task_struct *t = current();
    return t && t->fs ? t->fs->umask : 022;
}

u32 set_umask(u32 mask)
{
    fs_struct *f = current()->fs;
    if (!f)
        return 0;
    u32 old = f->umask;
    f->umask = mask & 0777;
    return old;
}

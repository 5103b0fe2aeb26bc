// SPDX-License-Identifier: MIT
// Inodes: the cache, reference counts, permission checks. Linux: fs/inode.c, fs/attr.c. Process context.
// An inode lives while a dentry or an open file refers to it; the last iput() calls destroy, which owns the object.

#include "fs/internal.h"
#include "sched/sched.h"
#include "time/time.h"

namespace
{
kmem_cache *inode_cache;
std::atomic<u64> last_ino{1};
std::atomic<u64> inode_count{0};
} // namespace

u64 get_next_ino()
{
    return last_ino.fetch_add(1, std::memory_order_relaxed) + 1;
}

u64 nr_inodes()
{
    return inode_count.load(std::memory_order_relaxed);
}

u64 current_time()
{
    return ktime_get_real();
}

void inode_init(inode *i, super_block *sb, u32 mode)
{
    i->ino = get_next_ino();
    i->mode = mode;
    i->nlink = s_isdir(mode) ? 2 : 1;
    i->i_sb = sb;
    i->atime = i->mtime = i->ctime = current_time();
    if (task_struct *t = current()) {
        i->uid = static_cast<u32>(t->euid);
        i->gid = static_cast<u32>(t->egid);
    }
    if (sb)
        sb->nr_inodes.fetch_add(1, std::memory_order_relaxed);
    inode_count.fetch_add(1, std::memory_order_relaxed);
}

inode *new_inode(super_block *sb, u32 mode)
{
    auto *i = kmem_cache_new<inode>(inode_cache, GFP_KERNEL);
    if (i)
        inode_init(i, sb, mode);
    return i;
}

void iget(inode *i)
{
    i->count.get();
}

void iput(inode *i)
{
    if (!i || !i->count.put())
        return;
    if (i->i_sb)
        i->i_sb->nr_inodes.fetch_sub(1, std::memory_order_relaxed);
    inode_count.fetch_sub(1, std::memory_order_relaxed);
    if (i->destroy)
        i->destroy(i);
    else
        kmem_cache_delete(inode_cache, i);
}

result<void> inode_permission(const inode *i, u32 mask)
{
    const task_struct *t = current();
    if (!t || t->euid == 0) {
        if ((mask & MAY_EXEC) && !s_isdir(i->mode) && !(i->mode & 0111))
            return error{EACCES};
        return {};
    }
    u32 bits = i->mode;
    if (static_cast<u32>(t->euid) == i->uid)
        bits >>= 6;
    else if (static_cast<u32>(t->egid) == i->gid)
        bits >>= 3;
    if (mask & ~bits & 7)
        return error{EACCES};
    return {};
}

bool inode_owner_or_capable(const inode *i)
{
    const task_struct *t = current();
    return !t || t->euid == 0 || static_cast<u32>(t->euid) == i->uid;
}

void inode_cache_init()
{
    inode_cache = kmem_cache_create("inode_cache", sizeof(inode));
}

// SPDX-License-Identifier: MIT
// Inodes: the cache, reference counts, permission checks. Linux: fs/inode.c, fs/attr.c. Process context.
// An inode lives while a dentry or an open file refers to it; the last iput() calls destroy, which owns the object.

#include "fs/fsnotify.h"
#include "fs/internal.h"
#include "sched/signal.h"
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
        i->uid = t->cred.fsuid;
        i->gid = t->cred.fsgid;
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
    fsnotify_inode_delete(i);
    if (i->i_sb)
        i->i_sb->nr_inodes.fetch_sub(1, std::memory_order_relaxed);
    inode_count.fetch_sub(1, std::memory_order_relaxed);
    locks_free_context(i);
    if (i->destroy)
        i->destroy(i);
    else
        kmem_cache_delete(inode_cache, i);
}

result<void> inode_permission(const inode *i, u32 mask)
{
    if (!current())
        return {};
    u32 bits = i->mode;
    if (current()->cred.fsuid == i->uid)
        bits >>= 6;
    else if (in_group_p(i->gid))
        bits >>= 3;
    if (!(mask & ~bits & 7))
        return {};
    // Who may override needs, to execute a file, at least one x.
    bool can_exec = s_isdir(i->mode) || (i->mode & 0111) || !(mask & MAY_EXEC);
    if (can_exec && capable(CAP_DAC_OVERRIDE))
        return {};
    bool reads = mask == MAY_READ || (s_isdir(i->mode) && !(mask & MAY_WRITE));
    if (reads && capable(CAP_DAC_READ_SEARCH))
        return {};
    return error{EACCES};
}

bool inode_owner_or_capable(const inode *i)
{
    return !current() || current()->cred.fsuid == i->uid || capable(CAP_FOWNER);
}

result<void> get_write_access(inode *i)
{
    s32 n = i->writecount.load(std::memory_order_relaxed);
    do {
        if (n < 0)
            return error{ETXTBSY};
    } while (!i->writecount.compare_exchange_weak(n, n + 1));
    return {};
}

void put_write_access(inode *i)
{
    i->writecount.fetch_sub(1);
}

result<void> deny_write_access(inode *i)
{
    s32 n = i->writecount.load(std::memory_order_relaxed);
    do {
        if (n > 0)
            return error{ETXTBSY};
    } while (!i->writecount.compare_exchange_weak(n, n - 1));
    return {};
}

void allow_write_access(inode *i)
{
    i->writecount.fetch_add(1);
}

result<void> file_size_allowed(u64 size, u64 old_size)
{
    const signal_state *s = current()->signal;
    if (!s || size <= old_size || size <= read_once(s->rlim[RLIMIT_FSIZE].cur))
        return {};
    kernel_siginfo info;
    info.code = SI_KERNEL;
    send_signal_info(current(), SIGXFSZ, info, false);
    return error{EFBIG};
}

void inode_cache_init()
{
    inode_cache = kmem_cache_create("inode_cache", sizeof(inode));
}

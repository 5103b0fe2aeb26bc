// SPDX-License-Identifier: MIT
// ramfs: files whose pages live in memory only; also tmpfs, devtmpfs and the root. Linux: fs/ramfs/, mm/shmem.c.
//
// Contexts: process. Locks: i_mutex serialises writers and truncation; ramfs_inode.lock (innermost) protects the page tree, so that
// readers and page faults need no sleeping lock. A page belongs to the tree and to whoever maps or copies it, by reference count.

#include "fs/internal.h"
#include "fs/page_tree.h"
#include "lib/string.h"
#include "sched/sched.h"
#include "sched/signal.h"

namespace
{
constexpr u64 MAX_FILE_SIZE = u64{1} << 47; // keeps page indexes well inside page_tree

struct ramfs_inode : inode {
    spinlock lock{"ramfs.pages"};
    page_tree pages;
    char *target = nullptr; // of a symbolic link
};
kmem_cache *ramfs_inode_cache;
std::atomic<u64> all_pages{0};

ramfs_inode *ram(inode *i)
{
    return static_cast<ramfs_inode *>(i);
}

/// Page `index` with a reference, or null where there is none.
page *find_page(ramfs_inode *i, u64 index)
{
    spin_guard<plain> g{i->lock};
    page *p = i->pages.lookup(index);
    if (p)
        get_page(p);
    return p;
}

/// Charge one page to the file system's limit.
bool charge(super_block *sb)
{
    u64 used = sb->used_pages.fetch_add(1, std::memory_order_relaxed);
    if (!sb->max_pages || used < sb->max_pages)
        return true;
    sb->used_pages.fetch_sub(1, std::memory_order_relaxed);
    return false;
}

/// Page `index` with a reference, zeroed if new (then with the flags); null: no memory or the file system is full.
page *make_page(ramfs_inode *i, u64 index, u8 new_flags = 0)
{
    if (page *p = find_page(i, index))
        return p;
    if (!charge(i->i_sb))
        return nullptr;
    page *fresh = alloc_pages(GFP_USER | GFP_ZERO, 0);
    page *found = nullptr;
    if (fresh) {
        fresh->flags |= new_flags;
        spin_guard<plain> g{i->lock};
        found = i->pages.lookup(index); // a page fault may have been faster
        if (!found && i->pages.insert(index, fresh)) {
            all_pages.fetch_add(1, std::memory_order_relaxed);
            i->nr_pages.fetch_add(1, std::memory_order_relaxed);
            get_page(fresh);
            return fresh;
        }
        if (found)
            get_page(found);
    }
    i->i_sb->used_pages.fetch_sub(1, std::memory_order_relaxed);
    if (fresh)
        put_page(fresh);
    return found;
}

/// Page `index` as make_page() gives it, for one who will use its contents.
page *page_to_use(ramfs_inode *i, u64 index)
{
    page *p = make_page(i, index);
    if (p && (p->flags & PG_UNWRITTEN)) // no other flag of a file's page changes
        p->flags &= static_cast<u8>(~PG_UNWRITTEN);
    return p;
}

/// Zero the bytes from `from` up to `to`, which lie in one page.
void zero_part(ramfs_inode *i, u64 from, u64 to)
{
    if (from >= to)
        return;
    if (page *p = find_page(i, from / PAGE_SIZE)) {
        memset(static_cast<u8 *>(page_address(p)) + from % PAGE_SIZE, 0, to - from);
        put_page(p);
    }
}

/// Pages that are gone from the tree do not count any more.
void uncharge(ramfs_inode *i, u64 n)
{
    i->i_sb->used_pages.fetch_sub(n, std::memory_order_relaxed);
    all_pages.fetch_sub(n, std::memory_order_relaxed);
    i->nr_pages.fetch_sub(n, std::memory_order_relaxed);
}

void drop_pages(ramfs_inode *i, u64 first)
{
    u64 n;
    {
        spin_guard<plain> g{i->lock};
        n = i->pages.remove(first);
    }
    uncharge(i, n);
}

/// Give back the pages from `first` up to `end`. One that somebody maps stays, but its contents go: mapping and file are to agree.
void punch_pages(ramfs_inode *i, u64 first, u64 end)
{
    for (;;) {
        u64 gone = 0;
        {
            spin_guard<plain> g{i->lock};
            first = i->pages.next(first, end, true);
            if (first >= end)
                return;
            page *p = i->pages.lookup(first);
            if (p->refs.load(std::memory_order_relaxed) == 1)
                gone = i->pages.remove(first, first + 1);
            else
                memset(page_address(p), 0, PAGE_SIZE);
        }
        uncharge(i, gone);
        first++;
        cond_resched();
    }
}

/// i_mutex held.
void punch_hole(ramfs_inode *i, u64 start, u64 end)
{
    u64 first = align_up(start, PAGE_SIZE), last = align_down(end, PAGE_SIZE);
    if (first > last) {
        zero_part(i, start, end);
        return;
    }
    zero_part(i, start, first);
    zero_part(i, last, end);
    punch_pages(i, first / PAGE_SIZE, last / PAGE_SIZE);
}

/// Pages for the range that has none. ENOSPC or EINTR leaves those that were made. i_mutex held.
result<void> allocate_range(ramfs_inode *i, u64 first, u64 end)
{
    if (end - first > (i->i_sb->max_pages ? i->i_sb->max_pages : page_alloc_stats().free))
        return error{ENOSPC};
    for (u64 at = first; at < end; at++) {
        page *p = signal_pending() ? nullptr : make_page(i, at, PG_UNWRITTEN);
        if (!p)
            return error{signal_pending() ? EINTR : ENOSPC};
        put_page(p);
        cond_resched();
    }
    return {};
}

result<void> ramfs_fallocate(file *f, u32 mode, u64 offset, u64 len)
{
    ramfs_inode *i = ram(f->f_inode);
    u64 end = offset + len;
    mutex_guard g{i->i_mutex};
    if (mode & FALLOC_FL_PUNCH_HOLE) {
        punch_hole(i, offset, end);
    } else {
        if (end > MAX_FILE_SIZE)
            return error{EFBIG};
        bool grows = !(mode & FALLOC_FL_KEEP_SIZE) && end > i->size;
        if (grows)
            TRY_VOID(file_size_allowed(end, i->size));
        TRY_VOID(allocate_range(i, offset / PAGE_SIZE, (end + PAGE_SIZE - 1) / PAGE_SIZE));
        if (grows)
            write_once(i->size, end);
    }
    i->mtime = i->ctime = current_time();
    return {};
}

/// SEEK_DATA and SEEK_HOLE go by pages; the rest is as everywhere.
result<s64> ramfs_llseek(file *f, s64 off, int whence)
{
    constexpr int SEEK_DATA = 3, SEEK_HOLE = 4;
    if (whence != SEEK_DATA && whence != SEEK_HOLE)
        return generic_file_llseek(f, off, whence);
    ramfs_inode *i = ram(f->f_inode);
    mutex_guard g{i->i_mutex};
    u64 at = static_cast<u64>(off), size = i->size;
    if (off < 0 || at >= size)
        return error{ENXIO};
    u64 index, end = (size + PAGE_SIZE - 1) / PAGE_SIZE;
    {
        spin_guard<plain> lock{i->lock};
        index = i->pages.next(at / PAGE_SIZE, end, whence == SEEK_DATA);
    }
    if (index == end && whence == SEEK_DATA)
        return error{ENXIO};
    f->f_pos = min(max(index * PAGE_SIZE, at), size);
    return static_cast<s64>(f->f_pos);
}

result<void> ramfs_truncate(inode *i, u64 size)
{
    if (size > MAX_FILE_SIZE)
        return error{EFBIG};
    if (size < i->size) {
        write_once(i->size, size);
        drop_pages(ram(i), (size + PAGE_SIZE - 1) / PAGE_SIZE);
        zero_part(ram(i), size, align_up(size, PAGE_SIZE));
    }
    write_once(i->size, size);
    i->mtime = i->ctime = current_time();
    return {};
}

result<size_t> ramfs_read(file *f, iov_iter &to, u64 *pos)
{
    ramfs_inode *i = ram(f->f_inode);
    size_t done = 0;
    while (to.count()) {
        u64 size = read_once(i->size);
        if (*pos >= size)
            break;
        size_t off = *pos % PAGE_SIZE;
        size_t n = min(min<u64>(to.count(), size - *pos), PAGE_SIZE - off);
        page *p = find_page(i, *pos / PAGE_SIZE);
        auto r = p ? to.copy_to(static_cast<u8 *>(page_address(p)) + off, n) : to.zero(n);
        if (p)
            put_page(p);
        if (!r) {
            if (!done)
                return r.fail();
            break;
        }
        *pos += n;
        done += n;
        cond_resched();
    }
    return done;
}

result<size_t> ramfs_write(file *f, iov_iter &from, u64 *pos)
{
    ramfs_inode *i = ram(f->f_inode);
    mutex_guard g{i->i_mutex};
    if (f->f_flags & O_APPEND)
        *pos = i->size;
    size_t done = 0;
    errno_t why = EFBIG;
    u64 limit = MAX_FILE_SIZE;
    if (const signal_state *s = current()->signal; s && from.count()) {
        limit = min(limit, read_once(s->rlim[RLIMIT_FSIZE].cur));
        if (*pos >= limit)
            TRY_VOID(file_size_allowed(*pos + from.count(), 0));
    }
    while (from.count() && *pos < limit) {
        size_t off = *pos % PAGE_SIZE;
        size_t n = min(min<u64>(from.count(), limit - *pos), PAGE_SIZE - off);
        page *p = page_to_use(i, *pos / PAGE_SIZE);
        if (!p) {
            why = ENOSPC;
            break;
        }
        auto r = from.copy_from(static_cast<u8 *>(page_address(p)) + off, n);
        put_page(p);
        if (!r) {
            why = EFAULT;
            break;
        }
        *pos += n;
        done += n;
        if (*pos > i->size)
            write_once(i->size, *pos);
        cond_resched();
    }
    if (done)
        i->mtime = i->ctime = current_time();
    else if (from.count())
        return error{why};
    return done;
}

page *ramfs_file_page(file *f, u64 index)
{
    ramfs_inode *i = ram(f->f_inode);
    if (index >= (read_once(i->size) + PAGE_SIZE - 1) / PAGE_SIZE)
        return nullptr;
    return page_to_use(i, index);
}

/// mincore: Linux does not count what fallocate made and nobody used.
bool ramfs_page_resident(file *f, u64 index)
{
    page *p = find_page(ram(f->f_inode), index);
    bool there = p && !(p->flags & PG_UNWRITTEN);
    if (p)
        put_page(p);
    return there;
}

result<size_t> ramfs_readlink(inode *i, char *buf, size_t n)
{
    size_t len = min<u64>(i->size, n);
    memcpy(buf, ram(i)->target, len);
    return len;
}

void ramfs_destroy(inode *i)
{
    ramfs_inode *r = ram(i);
    drop_pages(r, 0);
    kfree(r->target);
    kmem_cache_delete(ramfs_inode_cache, r);
}

const file_operations ramfs_file_operations{
    .read = ramfs_read,
    .write = ramfs_write,
    .llseek = ramfs_llseek,
    .file_page = ramfs_file_page,
    .page_resident = ramfs_page_resident,
    .fallocate = ramfs_fallocate,
};
const inode_operations ramfs_inode_operations{.truncate = ramfs_truncate};
const inode_operations ramfs_link_operations{.readlink = ramfs_readlink};

result<inode *> ramfs_new_inode(super_block *sb, u32 mode, u32 rdev, const char *target)
{
    if (sb->max_inodes && sb->nr_inodes.load() >= sb->max_inodes)
        return error{ENOSPC};
    auto *i = kmem_cache_new<ramfs_inode>(ramfs_inode_cache, GFP_KERNEL);
    if (!i)
        return error{ENOSPC};
    if (target) {
        size_t len = strlen(target);
        i->target = static_cast<char *>(kmalloc(len + 1, GFP_KERNEL));
        if (!i->target) {
            kmem_cache_delete(ramfs_inode_cache, i);
            return error{ENOSPC};
        }
        memcpy(i->target, target, len + 1);
        i->size = len;
    }
    inode_init(i, sb, mode);
    i->destroy = ramfs_destroy;
    if (s_isreg(mode)) {
        i->i_op = &ramfs_inode_operations;
        i->i_fop = &ramfs_file_operations;
    } else if (s_isdir(mode)) {
        i->i_fop = &simple_dir_operations;
        i->size = 2 * BOGO_DIRENT_SIZE;
    } else if (s_islnk(mode)) {
        i->i_op = &ramfs_link_operations;
    } else {
        init_special_inode(i, mode, rdev);
    }
    return i;
}
} // namespace

const super_operations ramfs_super_ops{.new_inode = ramfs_new_inode};

u64 ramfs_pages()
{
    return all_pages.load(std::memory_order_relaxed);
}

void ramfs_init()
{
    page_tree_init();
    ramfs_inode_cache = kmem_cache_create("shmem_inode_cache", sizeof(ramfs_inode));
}

// SPDX-License-Identifier: MIT
// Open files: the "filp" cache, reference counts, the system-wide limit. Linux: fs/file_table.c. Process context.

#include "fs/eventpoll.h"
#include "fs/fasync.h"
#include "fs/file.h"
#include "fs/fsnotify.h"
#include "fs/internal.h"
#include "fs/locks.h"
#include "lib/string.h"
#include "sched/cred.h"

namespace
{
kmem_cache *filp_cache;
std::atomic<u64> open_files{0};
u64 max_files = 8192;
} // namespace

u64 nr_open_files()
{
    return open_files.load(std::memory_order_relaxed);
}

u64 max_open_files()
{
    return max_files;
}

void set_max_open_files(u64 n)
{
    max_files = n;
}

result<file *> alloc_file(dentry *d, u32 flags, const file_operations *ops)
{
    if (open_files.fetch_add(1, std::memory_order_relaxed) >= read_once(max_files) &&
        !capable(CAP_SYS_ADMIN)) {
        open_files.fetch_sub(1, std::memory_order_relaxed);
        if (printk_ratelimit())
            pr_info("VFS: file-max limit %llu reached\n",
                    static_cast<unsigned long long>(max_files));
        return error{ENFILE};
    }
    auto *f = kmem_cache_new<file>(filp_cache, GFP_KERNEL);
    if (!f) {
        open_files.fetch_sub(1, std::memory_order_relaxed);
        return error{ENOMEM};
    }
    f->f_dentry = dget(d);
    f->f_inode = d->d_inode;
    f->f_op = ops;
    f->f_flags = flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);
    if (flags & O_PATH)
        f->f_mode = FMODE_PATH;
    else
        f->f_mode = (flags + 1) &
                    (FMODE_READ | FMODE_WRITE); // O_RDONLY 0 → 1, O_WRONLY 1 → 2, O_RDWR 2 → 3
    return f;
}

void get_file(file *f)
{
    f->count.get();
}

void fput(file *f)
{
    if (!f || !f->count.put())
        return;
    might_sleep();
    if (f->f_op != &bad_file_operations)
        fsnotify_file(f, f->f_mode & FMODE_WRITE ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
    if (f->f_ep_links)
        eventpoll_release_file(f);
    locks_remove_file(f);
    fasync_release_file(f);
    if (f->f_op && f->f_op->release)
        f->f_op->release(f->f_inode, f);
    if (f->f_mode & FMODE_WRITER)
        put_write_access(f->f_inode);
    dentry *d = f->f_dentry;
    mount *m = f->f_mnt;
    kmem_cache_delete(filp_cache, f);
    open_files.fetch_sub(1, std::memory_order_relaxed);
    dput(d);
    if (m)
        mntput(m);
}

result<file *> anon_inode_getfile(const char *name, const file_operations *ops, void *private_data,
                                  u32 flags)
{
    inode *i = new_inode(nullptr, 0600);
    if (!i)
        return error{ENOMEM};
    auto d = d_alloc_pseudo(name, i);
    if (!d) {
        iput(i);
        return d.fail();
    }
    auto f = alloc_file(*d, flags, ops);
    dput(*d);
    if (!f)
        return f.fail();
    (*f)->private_data = private_data;
    return *f;
}

result<int> anon_inode_getfd(const char *name, const file_operations *ops, void *private_data,
                             u32 flags)
{
    int fd = TRY(get_unused_fd_flags(flags & O_CLOEXEC));
    auto f = anon_inode_getfile(name, ops, private_data, flags & ~O_CLOEXEC);
    if (!f) {
        put_unused_fd(fd);
        return f.fail();
    }
    fd_install(fd, *f);
    return fd;
}

void files_init()
{
    filp_cache = kmem_cache_create("filp", sizeof(file));
    // Linux: a tenth of memory in KiB-sized units, at least NR_FILE = 8192.
    max_files = max<u64>(page_alloc_stats().total * (PAGE_SIZE / 1024) / 10, 8192);
}

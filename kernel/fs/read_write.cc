// SPDX-License-Identifier: MIT
// Reading, writing and seeking open files from inside the kernel. Linux: fs/read_write.c. Process context, no locks of its own.

#include "fs/fsnotify.h"
#include "fs/namei.h"
#include "mm/mm.h"
#include "sched/signal.h"

result<size_t> vfs_read(file *f, iov_iter &to, u64 *pos)
{
    if (!(f->f_mode & FMODE_READ))
        return error{EBADF};
    if (!f->f_op->read)
        return error{s_isdir(f->f_inode->mode) ? EISDIR : EINVAL};
    auto r = f->f_op->read(f, to, pos);
    if (r && *r)
        fsnotify_file(f, IN_ACCESS);
    if (signal_state *s = current()->signal) {
        s->io_reads.fetch_add(1, std::memory_order_relaxed);
        s->io_read.fetch_add(r ? *r : 0, std::memory_order_relaxed);
    }
    return r;
}

result<size_t> vfs_write(file *f, iov_iter &from, u64 *pos)
{
    if (!(f->f_mode & FMODE_WRITE))
        return error{EBADF};
    if (!f->f_op->write)
        return error{EINVAL};
    auto r = f->f_op->write(f, from, pos);
    if (r && *r)
        fsnotify_file(f, IN_MODIFY);
    if (signal_state *s = current()->signal) {
        s->io_writes.fetch_add(1, std::memory_order_relaxed);
        s->io_written.fetch_add(r ? *r : 0, std::memory_order_relaxed);
    }
    return r;
}

result<s64> vfs_llseek(file *f, s64 off, int whence)
{
    if (!f->f_op->llseek)
        return error{ESPIPE};
    return f->f_op->llseek(f, off, whence);
}

u32 vfs_poll(file *f, poll_table *pt)
{
    if (!f->f_op->poll)
        return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
    return f->f_op->poll(f, pt);
}

result<s64> generic_file_llseek(file *f, s64 off, int whence)
{
    s64 base;
    switch (whence) {
    case 0: // SEEK_SET
        base = 0;
        break;
    case 1: // SEEK_CUR
        base = static_cast<s64>(f->f_pos);
        break;
    case 2: // SEEK_END
        base = static_cast<s64>(f->f_inode->size);
        break;
    case 3: // SEEK_DATA: the whole file counts as data
    case 4: // SEEK_HOLE: so the only hole is at its end
        if (off < 0 || static_cast<u64>(off) >= f->f_inode->size)
            return error{ENXIO};
        f->f_pos = whence == 3 ? static_cast<u64>(off) : f->f_inode->size;
        return static_cast<s64>(f->f_pos);
    default:
        return error{EINVAL};
    }
    s64 pos;
    if (__builtin_add_overflow(base, off, &pos))
        return error{EOVERFLOW};
    if (pos < 0)
        return error{EINVAL};
    f->f_pos = static_cast<u64>(pos);
    return pos;
}

result<size_t> kernel_read(file *f, void *buf, size_t n, u64 pos)
{
    size_t done = 0;
    while (done < n) {
        iov_iter it = iov_iter::kernel(static_cast<u8 *>(buf) + done, n - done);
        auto r = vfs_read(f, it, &pos);
        if (!r) {
            if (done)
                break;
            return r;
        }
        if (!*r)
            break;
        done += *r;
    }
    return done;
}

struct page *file_page(file *f, u64 index)
{
    return f->f_op->file_page ? f->f_op->file_page(f, index) : nullptr;
}

namespace
{
ssize_t mm_read(file *f, void *buf, size_t n, u64 pos)
{
    auto r = kernel_read(f, buf, n, pos);
    return r ? static_cast<ssize_t>(*r) : -r.err();
}
void mm_deny_write_again(file *f)
{
    f->f_inode->writecount.fetch_sub(1); // negative already
}
void mm_allow_write(file *f)
{
    allow_write_access(f->f_inode);
}
bool mm_resident(file *f, u64 index)
{
    return !f->f_op->page_resident || f->f_op->page_resident(f, index);
}
void mm_mapped(file *f, int by)
{
    if (f->f_op->mapped)
        f->f_op->mapped(f, by);
}
const mm_file_ops file_ops_for_mm{
    mm_read,        get_file,    fput,     file_page, mm_deny_write_again,
    mm_allow_write, mm_resident, mm_mapped};
} // namespace

void vfs_caches_init()
{
    dcache_init();
    inode_cache_init();
    files_init();
    namei_init();
    ramfs_init();
    chrdev_init();
    mnt_init();
    pseudo_fs_init();
    devtmpfs_init();
    devpts_init();
    mm_files = &file_ops_for_mm;
}

// SPDX-License-Identifier: MIT
// /proc/<pid>/fd and fdinfo. Linux: fs/proc/fd.c. Process context.
// An entry of fd is a link that leads straight to the open file's place, so it works for pipes and deleted files too.

#include "fs/proc/internal.h"
#include "lib/string.h"

namespace
{
constexpr u64 FIRST_FD_POS = 16;

/// A descriptor of a process.
struct proc_fd {
    proc_pid who; // first: pid_of() works on it too
    u32 fd;
};

/// The open file with a reference, or null.
file *get_proc_file(const proc_pid &who, u32 fd, u32 *flags)
{
    task_struct *t = get_proc_task(who);
    files_struct *files = t ? get_task_files(t) : nullptr;
    if (t)
        put_task(t);
    if (!files)
        return nullptr;
    file *f = files_lookup(files, fd, flags);
    files_put(files);
    return f;
}

result<path> fd_follow(inode *i)
{
    auto *p = static_cast<proc_fd *>(i->private_data);
    file *f = get_proc_file(p->who, p->fd, nullptr);
    if (!f)
        return error{ENOENT};
    path at{f->f_mnt, f->f_dentry};
    path_get(at);
    fput(f);
    return at;
}
const inode_operations fd_link_iops{.follow = fd_follow};

/// An inode for descriptor `fd`; mode 0: by what the file was opened for.
inode *fd_inode(const proc_pid &who, u32 fd)
{
    file *f = get_proc_file(who, fd, nullptr);
    if (!f)
        return nullptr;
    u32 mode = S_IFLNK | (f->f_mode & FMODE_READ ? 0500 : 0) | (f->f_mode & FMODE_WRITE ? 0300 : 0);
    fput(f);
    auto *data = static_cast<proc_fd *>(kmalloc(sizeof(proc_fd), GFP_KERNEL));
    if (data)
        *data = {who, fd};
    inode *i = owned_inode(proc_sb(), mode, data);
    if (i) {
        i->i_op = &fd_link_iops;
        i->size = 64; // as Linux: nobody knows the length before reading
    }
    return i;
}

/// fdinfo's text file.
struct fdinfo_text {
    pseudo_entry entry;
    proc_pid who;
    u32 fd;
};

void show_fdinfo(seq_file *m)
{
    auto *p = static_cast<fdinfo_text *>(m->private_data);
    u32 cloexec = 0;
    file *f = get_proc_file(p->who, p->fd, &cloexec);
    if (!f) {
        m->error = ENOENT;
        return;
    }
    seq_printf(m, "pos:\t%lld\nflags:\t0%o\n", static_cast<long long>(f->f_pos),
               f->f_flags | cloexec);
    if (f->f_op->show_fdinfo)
        f->f_op->show_fdinfo(m, f);
    fput(f);
}

inode *fdinfo_inode(const proc_pid &who, u32 fd)
{
    file *f = get_proc_file(who, fd, nullptr);
    if (!f)
        return nullptr;
    fput(f);
    auto *p = static_cast<fdinfo_text *>(kmalloc(sizeof(fdinfo_text), GFP_KERNEL));
    if (p)
        *p = {{show_fdinfo, nullptr, p, nullptr}, who, fd};
    inode *i = owned_inode(proc_sb(), S_IFREG | 0400, p);
    if (i)
        i->i_fop = &seq_file_operations;
    return i;
}

result<dentry *> lookup_fd(dentry *dir, const char *name, size_t len,
                           inode *(*make)(const proc_pid &, u32))
{
    s64 fd = parse_number(name, len);
    inode *i = fd < 0 ? nullptr : make(pid_of(dir->d_inode), static_cast<u32>(fd));
    if (!i)
        return error{ENOENT};
    return proc_instantiate(dir, name, len, i);
}
result<dentry *> fd_lookup(dentry *dir, const char *name, size_t len)
{
    return lookup_fd(dir, name, len, fd_inode);
}
result<dentry *> fdinfo_lookup(dentry *dir, const char *name, size_t len)
{
    return lookup_fd(dir, name, len, fdinfo_inode);
}

result<void> list_fds(file *f, dir_context *ctx, u32 type)
{
    tree_guard g;
    if (!dcache_iterate(f, ctx))
        return {};
    task_struct *t = get_proc_task(pid_of(f->f_inode));
    files_struct *files = t ? get_task_files(t) : nullptr;
    if (t)
        put_task(t);
    if (!files)
        return {};
    u64 at = *ctx->pos >= FIRST_FD_POS ? *ctx->pos - FIRST_FD_POS + 1 : 0;
    for (unsigned max = files_max(files); at < max; at++) {
        auto fd = static_cast<u32>(at);
        ::file *one = files_lookup(files, fd, nullptr);
        if (!one)
            continue;
        fput(one);
        char name[16];
        int n = snprintf(name, sizeof name, "%u", fd);
        if (!dir_emit(ctx, name, static_cast<size_t>(n), FIRST_FD_POS + fd, FIRST_FD_POS + fd,
                      type))
            break;
    }
    files_put(files);
    return {};
}
result<void> fd_iterate(file *f, dir_context *ctx)
{
    return list_fds(f, ctx, S_IFLNK);
}
result<void> fdinfo_iterate(file *f, dir_context *ctx)
{
    return list_fds(f, ctx, S_IFREG);
}
} // namespace

const inode_operations proc_fd_dir_iops{.lookup = fd_lookup};
const inode_operations proc_fdinfo_dir_iops{.lookup = fdinfo_lookup};
const file_operations proc_fd_dir_fops{.llseek = dcache_dir_lseek, .iterate = fd_iterate};
const file_operations proc_fdinfo_dir_fops{.llseek = dcache_dir_lseek, .iterate = fdinfo_iterate};

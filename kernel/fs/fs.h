// SPDX-License-Identifier: MIT
// The virtual file system: inode, dentry, file and their operations, as Linux names them (include/linux/fs.h), without what
// a RAM-backed tree does not need. One namespace tree: ramfs root (initramfs), with proc, sysfs, debugfs, devtmpfs mounted on directories.
#pragma once

#include "lib/list.h"
#include "lib/refcount.h"
#include "lib/result.h"
#include "lib/spinlock.h"
#include "mm/uaccess.h"
#include "sched/mutex.h"
#include "sched/wait.h"

struct inode;
struct dentry;
struct file;
struct poll_table;
struct kstat;

constexpr u32 S_IFMT = 0170000, S_IFSOCK = 0140000, S_IFLNK = 0120000, S_IFREG = 0100000, S_IFBLK = 0060000,
              S_IFDIR = 0040000, S_IFCHR = 0020000, S_IFIFO = 0010000;
constexpr u32 O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_ACCMODE = 3, O_CREAT = 0100, O_EXCL = 0200, O_NOCTTY = 0400,
              O_TRUNC = 01000, O_APPEND = 02000, O_NONBLOCK = 04000, O_DIRECTORY = 0200000,
              O_NOFOLLOW = 0400000, O_CLOEXEC = 02000000;
constexpr u32 POLLIN = 1, POLLPRI = 2, POLLOUT = 4, POLLERR = 8, POLLHUP = 0x10, POLLNVAL = 0x20, POLLRDNORM = 0x40,
              POLLRDBAND = 0x80, POLLWRNORM = 0x100, POLLWRBAND = 0x200, POLLMSG = 0x400, POLLRDHUP = 0x2000;

/// Source or destination of a read/write: user memory (possibly several pieces) or kernel memory. It keeps its position.
class iov_iter {
  public:
    /// One user buffer.
    static iov_iter user(u64 base, size_t len);
    /// One kernel buffer.
    static iov_iter kernel(void *base, size_t len);
    /// User pieces; the array (kernel copy, validated) must outlive the iterator.
    struct piece {
        u64 base;
        u64 len;
    };
    static iov_iter user_vec(const piece *v, unsigned n);

    size_t count() const { return count_; }
    /// Copy n bytes (n <= count()) and advance; EFAULT leaves the position undefined. [P]
    result<void> copy_to(const void *from, size_t n);   // kernel → iterator
    result<void> copy_from(void *to, size_t n);         // iterator → kernel
    /// copy_from with the Internet checksum of the bytes added to *csum (host-endian partial sum).
    result<void> csum_copy_from(void *to, size_t n, u32 *csum);
    result<void> csum_copy_to(const void *from, size_t n, u32 *csum);
    void advance(size_t n);

  private:
    const piece *v_ = nullptr;
    piece one_{};
    unsigned n_ = 0, at_ = 0;
    size_t off_ = 0, count_ = 0;
    bool user_ = false;
};

/// What can be done with an open file; null = not supported (EINVAL/ENOTTY/always ready as in Linux).
struct file_operations {
    result<size_t> (*read)(file *f, iov_iter &to, u64 *pos);
    result<size_t> (*write)(file *f, iov_iter &from, u64 *pos);
    result<s64> (*llseek)(file *f, s64 off, int whence);
    /// Ready events; registers on wait queues through poll_wait() when pt is not null.
    u32 (*poll)(file *f, poll_table *pt);
    result<s64> (*ioctl)(file *f, u32 cmd, u64 arg);
    result<void> (*open)(inode *i, file *f);
    /// Last reference gone. [P]
    void (*release)(inode *i, file *f);
    /// Directory listing: fill user buffer via ctx (fs/ internal).
    result<size_t> (*iterate)(file *f, struct dir_context *ctx);
};

/// Operations on directory and other inodes.
struct inode_operations {
    result<dentry *> (*lookup)(inode *dir, dentry *d); // dynamic trees (proc pids); null: dcache is all there is
    result<void> (*create)(inode *dir, dentry *d, u32 mode);
    result<void> (*unlink)(inode *dir, dentry *d);
    result<size_t> (*readlink)(inode *i, char *buf, size_t n);
    result<void> (*truncate)(inode *i, u64 size);
};

/// A file system object. Embedded in bigger objects by some (socket_alloc); `destroy` frees it then.
struct inode : pinned {
    u64 ino = 0;
    u32 mode = 0;
    u32 nlink = 1;
    u32 uid = 0, gid = 0;
    u64 size = 0;
    u32 rdev = 0;
    u64 atime = 0, mtime = 0, ctime = 0; // ns, real time
    refcount count;
    const inode_operations *i_op = nullptr;
    const file_operations *i_fop = nullptr;
    void *private_data = nullptr;
    void (*destroy)(inode *) = nullptr;
    mutex i_mutex{"inode.i_mutex"};
};

/// A name in the tree (or an anonymous one: "socket:[ino]", "pipe:[ino]").
struct dentry : pinned {
    refcount count;
    dentry *parent = nullptr;
    inode *d_inode = nullptr;
    list_node child;
    list<dentry, &dentry::child> children;
    dentry *mounted = nullptr; // root of what is mounted here
    dentry *covers = nullptr;  // for a mount root: the directory it is mounted on
    char name[40] = {};        // short names inline
    char *long_name = nullptr;
    const char *dname() const { return long_name ? long_name : name; }
};

/// An open file (Linux struct file, cache "filp").
struct file : pinned {
    refcount count;
    dentry *f_dentry = nullptr;
    inode *f_inode = nullptr;
    const file_operations *f_op = nullptr;
    u32 f_flags = 0;
    u32 f_mode = 0;
    u64 f_pos = 0;
    void *private_data = nullptr;
    mutex f_pos_lock{"file.f_pos"};
};

/// New file on `d` (reference taken) with `ops`; ENFILE/ENOMEM. [P]
result<file *> alloc_file(dentry *d, u32 flags, const file_operations *ops);
void get_file(file *f);
/// Drop a reference; the last calls release. [P]
void fput(file *f);
void iget(inode *i);
void iput(inode *i);
dentry *dget(dentry *d);
void dput(dentry *d);
/// New anonymous dentry (not hashed in the tree) that takes over a reference of inode i. [P]
result<dentry *> d_alloc_pseudo(const char *name, inode *i);
/// New inode number, never reused.
u64 get_next_ino();
/// Owning handle of a file reference.
class file_ptr {
  public:
    file_ptr() = default;
    explicit file_ptr(file *f) : f_{f} {}
    file_ptr(file_ptr &&o) : f_{o.f_} { o.f_ = nullptr; }
    file_ptr &operator=(file_ptr &&o)
    {
        file *old = f_;
        f_ = o.f_;
        o.f_ = nullptr;
        if (old)
            fput(old);
        return *this;
    }
    ~file_ptr()
    {
        if (f_)
            fput(f_);
    }
    file *operator->() const { return f_; }
    file *get() const { return f_; }
    file *release()
    {
        file *f = f_;
        f_ = nullptr;
        return f;
    }

  private:
    file *f_ = nullptr;
};

/// Open a path relative to the current task's root/cwd. [P]
result<file_ptr> filp_open(const char *path, u32 flags, u32 mode);
/// Read from a file into kernel memory (execve, mmap). Returns bytes. [P]
result<size_t> kernel_read(file *f, void *buf, size_t n, u64 pos);
/// The page cache of a ramfs file: page number `index` with a reference, allocated on demand within size; null beyond EOF or OOM.
/// Lets shared and private file mappings map file pages. Null for files that have no pages.
struct page *file_page(file *f, u64 index);

// --- Descriptors --------------------------------------------------------------------------------------------------------
/// A process's table of open files (Linux files_struct): grows up to RLIMIT_NOFILE.
struct files_struct;
files_struct *files_alloc();
/// fork: same open files.
files_struct *files_dup(files_struct *f);
void files_get(files_struct *f);
void files_put(files_struct *f);
/// execve: close those marked close-on-exec.
void files_close_on_exec(files_struct *f);
/// The file of descriptor fd of the current task with a reference; EBADF. [P]
result<file_ptr> fget(int fd);
/// Fast path without reference traffic when the table is not shared: valid until the system call ends. *fput_needed says
/// whether fdput must drop a reference. Null: EBADF.
file *fget_light(int fd, bool *fput_needed);
inline void fput_light(file *f, bool needed)
{
    if (needed)
        fput(f);
}
/// Reserve a descriptor ≥ from (EMFILE), install a file in it (takes over the reference), or give it back.
result<int> get_unused_fd_flags(u32 flags, int from = 0);
void fd_install(int fd, file *f);
void put_unused_fd(int fd);
/// Root and cwd of a process.
struct fs_struct;
fs_struct *fs_struct_alloc();
fs_struct *fs_struct_dup(fs_struct *f);
void fs_struct_get(fs_struct *f);
void fs_struct_put(fs_struct *f);

// --- Poll ---------------------------------------------------------------------------------------------------------------
/// Collects wait queues while a poll method runs (Linux poll_table): qproc null means "only tell the events".
struct poll_table {
    void (*qproc)(file *f, wait_queue_head *q, poll_table *pt) = nullptr;
};
inline void poll_wait(file *f, wait_queue_head *q, poll_table *pt)
{
    if (pt && pt->qproc && q)
        pt->qproc(f, q, pt);
}

/// Boot: caches "filp", "dentry", "inode_cache", root tree; called by start_kernel.
void vfs_caches_init();

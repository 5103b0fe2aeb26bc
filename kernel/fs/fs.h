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
struct mount;
struct super_block;
struct poll_table;
struct dir_context;
struct kstat;

/// A place in the name space: a directory entry as seen through a mount (Linux struct path). Anonymous files (sockets, pipes)
/// have no mount. Not owning; see path_ref in fs/namei.h.
struct path {
    ::mount *mnt = nullptr;
    ::dentry *dentry = nullptr;
};

constexpr u32 S_IFMT = 0170000, S_IFSOCK = 0140000, S_IFLNK = 0120000, S_IFREG = 0100000,
              S_IFBLK = 0060000, S_IFDIR = 0040000, S_IFCHR = 0020000, S_IFIFO = 0010000;
constexpr u32 O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_ACCMODE = 3, O_CREAT = 0100, O_EXCL = 0200,
              O_NOCTTY = 0400, O_TRUNC = 01000, O_APPEND = 02000, O_NONBLOCK = 04000,
              O_DIRECTORY = 0200000, O_NOFOLLOW = 0400000, O_CLOEXEC = 02000000, O_DSYNC = 010000,
              O_ASYNC = 020000, O_DIRECT = 040000, O_LARGEFILE = 0100000, O_NOATIME = 01000000,
              O_SYNC = 04010000, O_PATH = 010000000,
              O_TMPFILE_ = 020000000; // O_TMPFILE without its O_DIRECTORY
/// file::f_mode: what the file was opened for; FMODE_PATH: only names a place (O_PATH).
constexpr u32 FMODE_READ = 1, FMODE_WRITE = 2, FMODE_PATH = 4;
/// It counts in inode::writecount.
constexpr u32 FMODE_WRITER = 8;
/// Permission bits of inode_permission() and access(2).
constexpr u32 MAY_EXEC = 1, MAY_WRITE = 2, MAY_READ = 4;
constexpr bool s_isdir(u32 m)
{
    return (m & S_IFMT) == S_IFDIR;
}
constexpr bool s_isreg(u32 m)
{
    return (m & S_IFMT) == S_IFREG;
}
constexpr bool s_islnk(u32 m)
{
    return (m & S_IFMT) == S_IFLNK;
}
constexpr bool s_ischr(u32 m)
{
    return (m & S_IFMT) == S_IFCHR;
}
constexpr bool s_isfifo(u32 m)
{
    return (m & S_IFMT) == S_IFIFO;
}
/// Device numbers as stat(2) shows them for majors and minors below 256.
constexpr u32 mkdev(u32 major, u32 minor)
{
    return major << 8 | (minor & 0xff) | (minor & ~0xffu) << 12;
}
constexpr u32 dev_major(u32 dev)
{
    return dev >> 8 & 0xfff;
}
constexpr u32 dev_minor(u32 dev)
{
    return (dev & 0xff) | (dev >> 12 & 0xfff00);
}
constexpr u32 POLLIN = 1, POLLPRI = 2, POLLOUT = 4, POLLERR = 8, POLLHUP = 0x10, POLLNVAL = 0x20,
              POLLRDNORM = 0x40, POLLRDBAND = 0x80, POLLWRNORM = 0x100, POLLWRBAND = 0x200,
              POLLMSG = 0x400, POLLRDHUP = 0x2000;

/// Source or destination of a read/write: user memory (possibly several pieces) or kernel memory. It keeps its position.
class iov_iter
{
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
    /// Kernel pieces, in the same way.
    static iov_iter kernel_vec(const piece *v, unsigned n);

    size_t count() const { return count_; }
    /// Copy n bytes (n <= count()) and advance; EFAULT leaves the position undefined. [P]
    result<void> copy_to(const void *from, size_t n); // kernel → iterator
    result<void> copy_from(void *to, size_t n);       // iterator → kernel
    /// copy_from with the Internet checksum of the bytes added to *csum (host-endian partial sum).
    result<void> csum_copy_from(void *to, size_t n, u32 *csum);
    result<void> csum_copy_to(const void *from, size_t n, u32 *csum);
    /// Fill n bytes with zeros (reads of holes and /dev/zero).
    result<void> zero(size_t n);
    void advance(size_t n);
    /// Whether the memory is the user's.
    bool is_user() const { return user_; }

private:
    size_t contiguous(u64 *addr);
    void consume(size_t n);
    template <class F>
    result<void> each(size_t n, F f);

    const piece *v_ = nullptr;
    piece one_{};
    unsigned n_ = 0, at_ = 0;
    size_t off_ = 0, count_ = 0;
    bool user_ = false;
};

/// What can be done with an open file; null = not supported (EINVAL/ENOTTY/always ready as in Linux).
struct file_operations {
    result<size_t> (*read)(file *f, iov_iter &to, u64 *pos) = nullptr;
    result<size_t> (*write)(file *f, iov_iter &from, u64 *pos) = nullptr;
    result<s64> (*llseek)(file *f, s64 off, int whence) = nullptr; // null: ESPIPE
    /// Ready events; registers on wait queues through poll_wait() when pt is not null.
    u32 (*poll)(file *f, poll_table *pt) = nullptr;
    result<s64> (*ioctl)(file *f, u32 cmd, u64 arg) = nullptr;
    result<void> (*open)(inode *i, file *f) = nullptr;
    /// Last reference gone. [P]
    void (*release)(inode *i, file *f) = nullptr;
    /// Directory listing: emit entries to ctx from *ctx->pos on (fs/internal.h).
    result<void> (*iterate)(file *f, dir_context *ctx) = nullptr;
    /// Page `index` of the file with a reference, for mappings (see ::file_page); null: the file has no pages.
    struct page *(*file_page)(file *f, u64 index) = nullptr;
    /// Whether page `index` is in memory (mincore); null: all are.
    bool (*page_resident)(file *f, u64 index) = nullptr;
    /// An area of an address space that maps the file comes (by 1) or goes (by -1); any lock may be held when it comes.
    void (*mapped)(file *f, int by) = nullptr;
    /// O_ASYNC is switched on or off (fs/fasync.h); null: the flag has no effect. [P]
    result<void> (*fasync)(int fd, file *f, bool on) = nullptr;
    /// fallocate(2) with a checked range and mode; null: EOPNOTSUPP. [P]
    result<void> (*fallocate)(file *f, u32 mode, u64 offset, u64 len) = nullptr;
    /// Extra lines of /proc/<pid>/fdinfo/<n>.
    void (*show_fdinfo)(struct seq_file *m, file *f) = nullptr;
};

/// Operations on inodes. Directories whose names all live in the dentry tree need none: create, unlink and rename are the
/// same for all of them (fs/namei_dir.cc). All are called with the tree lock held (fs/internal.h).
struct inode_operations {
    /// Names that are made on demand (proc's process directories): a new dentry with a reference, not put into the tree;
    /// ENOENT when there is none. Asked only for names that the tree does not have.
    result<dentry *> (*lookup)(dentry *dir, const char *name, size_t len) = nullptr;
    /// Target of a symbolic link, not NUL-terminated; returns its length (cut at n).
    result<size_t> (*readlink)(inode *i, char *buf, size_t n) = nullptr;
    /// A link that leads straight to a place (/proc/<pid>/fd/N): the path with references.
    result<path> (*follow)(inode *i) = nullptr;
    /// Change the size; i_mutex held, tree lock not.
    result<void> (*truncate)(inode *i, u64 size) = nullptr;
};

/// A file system object. Embedded in bigger objects by some (socket_alloc); `destroy` frees it then.
struct inode : pinned {
    u64 ino = 0;
    u32 mode = 0;
    u32 nlink = 1;
    u32 uid = 0, gid = 0;
    u64 size = 0;
    std::atomic<u64> nr_pages{0}; // that hold its contents (st_blocks)
    u32 rdev = 0;
    u64 atime = 0, mtime = 0, ctime = 0; // ns, real time
    refcount count;
    const inode_operations *i_op = nullptr;
    const file_operations *i_fop = nullptr;
    void *private_data = nullptr;
    /// Called when the last reference goes; frees the object. Null: it came from new_inode().
    void (*destroy)(inode *) = nullptr;
    super_block *i_sb = nullptr;    // null: anonymous (socket, pipe, eventfd)
    std::atomic<s32> writecount{0}; // > 0: open for writing so often; < 0: being executed so often
    mutex i_mutex{"inode.i_mutex"};
    struct file_lock_context *i_flctx =
        nullptr;                            // its locks (fs/locks.h); null: there never was one
    struct inotify_mark *i_marks = nullptr; // who watches it (fs/inotify.h)
};

/// A name in the tree (or an anonymous one: "socket:[ino]", "pipe:[ino]"). The tree holds one reference of each entry in it, an
/// entry holds one of its parent and one of its inode. parent, children and names change under the tree lock.
struct dentry : pinned {
    refcount count;
    dentry *parent = nullptr;
    inode *d_inode = nullptr;
    list_node child;
    list<dentry, &dentry::child> children;
    u64 cookie = 0;        // directory position of this entry: grows in creation order
    u64 next_cookie = 3;   // for the next child (1 and 2 are "." and "..")
    u32 hash = 0;          // of the name
    u32 mounts = 0;        // how many mounts lie on this entry
    bool unlinked = false; // was removed from the tree: "(deleted)"
    char name[40] = {};    // short names inline
    char *long_name = nullptr;
    const char *dname() const { return long_name ? long_name : name; }
};

/// An open file (Linux struct file, cache "filp").
struct file : pinned {
    refcount count;
    dentry *f_dentry = nullptr;
    inode *f_inode = nullptr;
    mount *f_mnt = nullptr; // null for anonymous files
    const file_operations *f_op = nullptr;
    u32 f_flags = 0; // O_* without the creation flags
    u32 f_mode = 0;  // FMODE_*
    u64 f_pos = 0;
    void *private_data = nullptr;
    mutex f_pos_lock{"file.f_pos"};
    struct epitem *f_ep_links = nullptr;   // the epolls that watch it (fs/eventpoll.h)
    struct fown_struct *f_owner = nullptr; // who gets its SIGIO and SIGURG (fs/fasync.h)
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
/// New anonymous file "name" on a fresh inode of type and permission `mode`: eventfd, epoll. [P]
result<file *> anon_inode_getfile(const char *name, const file_operations *ops, void *private_data,
                                  u32 flags);
/// Register the operations of character devices `major`, minors first…last; opening such a node uses them. Boot. [P]
void register_chrdev(u32 major, u32 first, u32 last, const char *name, const file_operations *ops);
/// Make the node /dev/<name> of character device `rdev`. [P]
int devtmpfs_create_node(const char *name, u32 mode, u32 rdev);
/// Owning handle of a file reference.
class file_ptr
{
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

/// A regular file that is executed cannot be written and the other way round: ETXTBSY. Each get or deny is
/// followed by its put or allow. Any context.
result<void> get_write_access(inode *i);
void put_write_access(inode *i);
result<void> deny_write_access(inode *i);
void allow_write_access(inode *i);
/// RLIMIT_FSIZE for a regular file of `old_size` that is to become `size`: EFBIG and SIGXFSZ. [P]
result<void> file_size_allowed(u64 size, u64 old_size);

/// Open a path relative to the current task's root/cwd. [P]
result<file_ptr> filp_open(const char *path, u32 flags, u32 mode);
/// Read from a file into kernel memory (execve, mmap). Returns bytes. [P]
result<size_t> kernel_read(file *f, void *buf, size_t n, u64 pos);
/// The page cache of a ramfs file: page number `index` with a reference, allocated on demand within size; null beyond EOF or OOM.
/// Lets shared and private file mappings map file pages. Null for files that have no pages.
struct page *file_page(file *f, u64 index);

/// read(2)/write(2) on an open file: checks the mode, then f_op. `pos` null: the file has no position. [P]
result<size_t> vfs_read(file *f, iov_iter &to, u64 *pos);
result<size_t> vfs_write(file *f, iov_iter &from, u64 *pos);
result<s64> vfs_llseek(file *f, s64 off, int whence);
/// Events of a file; files without a poll method are always readable and writable. [P]
u32 vfs_poll(file *f, poll_table *pt);

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

// SPDX-License-Identifier: MIT
// What the parts of fs/ share: super blocks, mounts, the dentry tree, directory contexts. Not for other folders.
//
// Locks: one sleeping tree lock (vfs_tree_lock) protects the dentry tree and the mount table; inode.i_mutex protects file contents.
// Order: tree lock → i_mutex → mm's lock. Code that holds an mm lock may take neither (page faults read files through
// file_page and mm_file_ops, which take only spinlocks).
#pragma once

#include "fs/fs.h"
#include "mm/slab.h"

struct file_system_type;

/// Most bytes of one name and of a path with its NUL (Linux NAME_MAX, PATH_MAX), and of symbolic links in one walk.
constexpr size_t NAME_MAX = 255, PATH_MAX = 4096;
constexpr unsigned MAX_SYMLINKS = 40;
/// What an entry adds to the size of a tmpfs directory; an empty one has the size of two.
constexpr u64 BOGO_DIRENT_SIZE = 20;

/// Flags of mount(2), and which of them a mount keeps.
constexpr u64 MS_RDONLY = 1, MS_NOSUID = 2, MS_NODEV = 4, MS_NOEXEC = 8, MS_REMOUNT = 32,
              MS_NOATIME = 1024, MS_NODIRATIME = 2048, MS_BIND = 4096, MS_MOVE = 8192,
              MS_REC = 16384, MS_UNBINDABLE = 1 << 17, MS_PRIVATE = 1 << 18, MS_SLAVE = 1 << 19,
              MS_SHARED = 1 << 20, MS_RELATIME = 1 << 21, MS_STRICTATIME = 1 << 24;

/// Modes of fallocate(2): leave the size; give the range's pages back.
constexpr u32 FALLOC_FL_KEEP_SIZE = 1, FALLOC_FL_PUNCH_HOLE = 2;

/// How a file system makes inodes when names are created in it; null new_inode: its tree is read-only for users (EPERM).
struct super_operations {
    /// New inode with nlink as usual for its type (2 for a directory); `target`: of a symbolic link. Tree lock held.
    result<inode *> (*new_inode)(super_block *sb, u32 mode, u32 rdev, const char *target) = nullptr;
};

/// One instance of a file system.
struct super_block : pinned {
    const file_system_type *type = nullptr;
    const super_operations *s_op = nullptr;
    dentry *root = nullptr;
    u32 dev = 0;        // st_dev
    u64 magic = 0;      // f_type of statfs
    u64 max_pages = 0;  // limit of page-backed content, 0: none
    u64 max_inodes = 0; // limit of inodes, 0: none
    std::atomic<u64> used_pages{0};
    std::atomic<u64> nr_inodes{0};
    u32 active = 0;          // mounts of it (tree lock)
    bool configured = false; // its mount options were read once (tree lock)
};

/// A kind of file system as mount(2) knows it. `single`: every mount shows the one instance.
struct file_system_type {
    const char *name;
    bool single;
    u64 magic;
    const super_operations *s_op;
    /// Number of the anonymous device of a single instance; 0: given at mount time.
    u32 root_mode;
    /// Options of mount(2), for every mount of the type. EINVAL. Null: they are ignored. Tree lock held.
    result<void> (*mount_options)(super_block *sb, const char *data) = nullptr;
    /// Print ",name=value" for /proc/mounts, or null.
    void (*show_options)(struct seq_file *m, super_block *sb) = nullptr;
};

/// A file system attached to the tree (Linux struct mount/vfsmount).
struct mount : pinned {
    refcount count; // one for the table, one per path
    super_block *sb = nullptr;
    dentry *root = nullptr;
    mount *parent = nullptr;      // null: the name space's root, or detached
    dentry *mountpoint = nullptr; // in parent
    list_node node;
    u32 flags = 0; // MS_RDONLY, MS_NOSUID …
    u32 id = 0;    // as /proc/PID/mountinfo shows it
    bool automatic =
        false; // made by the kernel at boot; mount(2) of the same type there takes it over
    char devname[64] = {};
};

/// The tree lock, as a scope.
mutex &vfs_tree_lock();
class tree_guard : pinned
{
public:
    tree_guard() { vfs_tree_lock().lock(); }
    ~tree_guard() { vfs_tree_lock().unlock(); }
};

// --- dcache.cc ----------------------------------------------------------------------------------------------------------
u32 name_hash(const char *name, size_t len);
/// New entry `name` below `parent` (reference taken; null: root or anonymous) that takes over a reference of `i`. Not yet
/// in the tree. Null: out of memory.
dentry *d_alloc(dentry *parent, const char *name, size_t len, inode *i);
/// Put a new entry into its parent's children: the tree takes over the caller's reference. Tree lock held.
void d_add(dentry *d);
/// Take an entry out of the tree and drop the tree's reference; the parent's directory position is lost. Tree lock held.
void d_drop(dentry *d);
/// Entry by name, without a reference; null when there is none. Tree lock held.
dentry *d_find(dentry *dir, const char *name, size_t len);
/// Rename in place: new parent and name. False: out of memory, nothing changed. Tree lock held.
bool d_move(dentry *d, dentry *new_parent, const char *name, size_t len);
/// The parent with a reference if somebody watches it (fs/inotify.h), and the entry's name; else null. `name` has room for NAME_MAX + 1.
dentry *dget_watched_parent(dentry *d, char *name);
/// Whether `a` is `d` or one of its ancestors. Tree lock held.
bool d_is_ancestor(const dentry *a, const dentry *d);
/// Path of `p` as seen from `root` (null dentry: the real root), built at the end of buf; returns its start, or null
/// when buf is too small. Deleted entries end in " (deleted)". Takes the tree lock.
char *d_path(const path &p, const path &root, char *buf, size_t n);
/// The same with the tree lock held; `deleted` false leaves the suffix out.
char *d_path_locked(const path &p, const path &root, char *buf, size_t n, bool deleted);
void dcache_init();

// --- inode.cc -----------------------------------------------------------------------------------------------------------
/// New inode of a super block (null: anonymous) with times set to now, owned by the current task. Null: out of memory.
inode *new_inode(super_block *sb, u32 mode);
/// Fill in a just constructed inode of any size (embedded ones too).
void inode_init(inode *i, super_block *sb, u32 mode);
/// Whether the current task may do `mask` (MAY_*) with the inode: owner, group and other bits; user 0 may all but execute
/// files without any x bit. EACCES.
result<void> inode_permission(const inode *i, u32 mask);
/// Free the locks of an inode that goes (fs/locks.cc).
void locks_free_context(inode *i);
/// Whether the current task owns the inode or is user 0.
bool inode_owner_or_capable(const inode *i);
u64 current_time();
void inode_cache_init();

// --- file_table.cc ------------------------------------------------------------------------------------------------------
void files_init();
/// Counts for /proc/sys/fs/file-nr.
u64 nr_open_files();
u64 max_open_files();
void set_max_open_files(u64 n);

// --- open.cc ------------------------------------------------------------------------------------------------------------
/// Turn a dentry reached by `p` into an open file: permission was checked. Calls f_op->open. [P], tree lock not held.
result<file_ptr> dentry_open(const path &p, u32 flags);

// --- namespace.cc -------------------------------------------------------------------------------------------------------
void register_filesystem(const file_system_type *t);
void for_each_filesystem(void (*f)(const file_system_type *, void *), void *arg);
/// The one instance of a `single` type, made on first use; a fresh instance of others. Null: out of memory.
super_block *sget(const file_system_type *t);
/// What lies on (mnt, d): the topmost mount's root, or the same path. References are not touched. Tree lock held.
path follow_mounts(path p);
/// One step up to the parent directory, crossing mount roots, not beyond root. Tree lock held, no references touched.
path follow_dotdot(path p, const path &root);
void mntget(mount *m);
void mntput(mount *m);
void path_get(const path &p);
void path_put(const path &p);
/// The name space's root (no reference).
path root_path();
/// Mount a new instance of `type` on the directory `at`. [P]
result<void> do_kern_mount(const char *type, const char *devname, const path &at, u32 flags,
                           bool automatic);
/// mount(2), umount2(2) with kernel strings.
result<void> do_mount(const char *devname, const char *dir, const char *type, u64 flags,
                      const char *data);
result<void> do_umount(const char *dir, u32 flags);
void mnt_init();
/// Visit the mounts, oldest first. Tree lock held.
void for_each_mount(void (*f)(mount &m, void *arg), void *arg);
/// The mounts as seen from `root`: /proc/PID/{mounts,mountinfo,mountstats}. [P]
void show_mounts(struct seq_file *m, const path &root);
void show_mountinfo(struct seq_file *m, const path &root);
void show_mountstats(struct seq_file *m, const path &root);

// --- fs_struct.cc -------------------------------------------------------------------------------------------------------
/// Root and cwd of the current task with references (the real root for kernel threads).
path get_fs_root();
path get_fs_pwd();
/// The same of another task; false when it has none any more.
bool task_fs_paths(task_struct *t, path *root, path *pwd);
void set_fs_root(const path &p);
void set_fs_pwd(const path &p);
u32 current_umask();
u32 set_umask(u32 mask);

// --- file.cc ------------------------------------------------------------------------------------------------------------
/// Files of another task with a reference, or null.
files_struct *get_task_files(task_struct *t);
/// File of a descriptor in `f` with a reference, or null. *flags gets O_CLOEXEC if set.
file *files_lookup(files_struct *f, unsigned fd, u32 *flags);
/// Size of the table, descriptors.
unsigned files_max(files_struct *f);
/// fget that also gives O_PATH files.
result<file_ptr> fget_raw(int fd);

// --- readdir.cc ---------------------------------------------------------------------------------------------------------
/// A listing in progress: emit() returns false when the buffer is full, and then the entry comes again next time.
struct dir_context {
    bool (*emit)(dir_context *ctx, const char *name, size_t len, u64 pos, u64 ino, u32 type);
    u64 *pos; // position of the last entry emitted
};
/// Emit if the entry at `pos` is still to come; false: stop.
inline bool dir_emit(dir_context *ctx, const char *name, size_t len, u64 pos, u64 ino, u32 mode)
{
    if (*ctx->pos >= pos)
        return true;
    if (!ctx->emit(ctx, name, len, pos, ino, mode >> 12 & 15))
        return false;
    *ctx->pos = pos;
    return true;
}
/// "." and "..", then the children of the tree. True: all were emitted (the caller may go on with its own). Tree lock held.
bool dcache_iterate(file *f, dir_context *ctx);
result<void> dcache_readdir(file *f, dir_context *ctx);
result<s64> dcache_dir_lseek(file *f, s64 off, int whence);
extern const file_operations simple_dir_operations;
/// Plain seek within a file of i->size bytes; SEEK_SET/CUR/END.
result<s64> generic_file_llseek(file *f, s64 off, int whence);

// --- ramfs.cc, char_dev.cc, pipe.cc, pseudo.cc ---------------------------------------------------------------------------
extern const super_operations ramfs_super_ops;
extern const file_operations chrdev_operations, fifo_operations, bad_file_operations;
/// ops of special inodes (devices, fifos, sockets) by mode.
void init_special_inode(inode *i, u32 mode, u32 rdev);
void ramfs_init();
void tmpfs_init();
void chrdev_init();
void pipe_init();
void pseudo_fs_init();
void devtmpfs_init();
void devpts_init();
/// Pages that hold file contents.
u64 ramfs_pages();
void for_each_chrdev(void (*f)(u32 major, const char *name, void *arg), void *arg);
/// /dev/kmsg and /proc/kmsg.
extern const file_operations kmsg_fops;
/// Count of inodes for /proc/sys/fs/inode-nr.
u64 nr_inodes();

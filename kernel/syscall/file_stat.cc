// SPDX-License-Identifier: MIT
// stat, statx, statfs, access, readlink. Linux: fs/stat.c, fs/statfs.c, fs/open.c. Process context.

#include "fs/namei.h"
#include "lib/string.h"
#include "sched/sched.h"
#include "syscall/file.h"

namespace
{
constexpr u32 AT_SYMLINK_NOFOLLOW = 0x100, AT_EACCESS = 0x200, AT_NO_AUTOMOUNT = 0x800,
              AT_EMPTY_PATH = 0x1000;
constexpr u64 NSEC = 1'000'000'000;

/// struct stat of x86_64.
struct stat_abi {
    u64 dev, ino, nlink;
    u32 mode, uid, gid, pad;
    u64 rdev;
    s64 size, blksize, blocks;
    u64 atime, atime_nsec, mtime, mtime_nsec, ctime, ctime_nsec;
    u64 unused[3];
};
static_assert(sizeof(stat_abi) == 144);

struct statx_time {
    s64 sec;
    u32 nsec;
    s32 pad;
};
struct statx_abi {
    u32 mask, blksize;
    u64 attributes;
    u32 nlink, uid, gid;
    u16 mode, pad1;
    u64 ino, size, blocks, attributes_mask;
    statx_time atime, btime, ctime, mtime;
    u32 rdev_major, rdev_minor, dev_major, dev_minor;
    u64 spare[14];
};
static_assert(sizeof(statx_abi) == 256);
constexpr u32 STATX_BASIC_STATS = 0x7ff, STATX_RESERVED = 0x80000000, AT_STATX_SYNC_TYPE = 0x6000;

struct statfs_abi {
    s64 type, bsize;
    u64 blocks, bfree, bavail, files, ffree;
    s32 fsid[2];
    s64 namelen, frsize, flags, spare[4];
};
static_assert(sizeof(statfs_abi) == 120);

/// Device of files that no mounted file system holds (sockets, pipes), as Linux's anonymous devices.
constexpr u32 ANON_DEV = mkdev(0, 255);

u64 blocks_of(const inode *i)
{
    return i->nr_pages.load(std::memory_order_relaxed) * (PAGE_SIZE / 512);
}

result<void> copy_stat(const inode *i, user_ptr<void> buf)
{
    stat_abi s{};
    s.dev = i->i_sb ? i->i_sb->dev : ANON_DEV;
    s.ino = i->ino;
    s.nlink = i->nlink;
    s.mode = i->mode;
    s.uid = i->uid;
    s.gid = i->gid;
    s.rdev = i->rdev;
    s.size = static_cast<s64>(i->size);
    s.blksize = PAGE_SIZE;
    s.blocks = static_cast<s64>(blocks_of(i));
    s.atime = i->atime / NSEC;
    s.atime_nsec = i->atime % NSEC;
    s.mtime = i->mtime / NSEC;
    s.mtime_nsec = i->mtime % NSEC;
    s.ctime = i->ctime / NSEC;
    s.ctime_nsec = i->ctime % NSEC;
    return copy_to_user(buf, &s, sizeof s);
}

/// The walk that all of these begin with.
result<path_ref> user_path_at(int dfd, user_ptr<const char> uname, u32 lookup)
{
    user_path name;
    TRY_VOID(name.get(uname.addr()));
    return kern_path_at(dfd, name.c_str(), lookup);
}

u32 lookup_flags(u32 at_flags)
{
    return (at_flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
           (at_flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
}
} // namespace

result<void> sys_newfstatat(int dfd, user_ptr<const char> name, user_ptr<void> buf, u32 flags)
{
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH))
        return error{EINVAL};
    path_ref p = TRY(user_path_at(dfd, name, lookup_flags(flags)));
    return copy_stat(p.ino(), buf);
}

result<void> sys_stat(user_ptr<const char> name, user_ptr<void> buf)
{
    return sys_newfstatat(AT_FDCWD, name, buf, 0);
}

result<void> sys_lstat(user_ptr<const char> name, user_ptr<void> buf)
{
    return sys_newfstatat(AT_FDCWD, name, buf, AT_SYMLINK_NOFOLLOW);
}

result<void> sys_fstat(int fd, user_ptr<void> buf)
{
    file_ptr f = TRY(fget_raw(fd));
    return copy_stat(f->f_inode, buf);
}

namespace
{
statx_time split(u64 ns)
{
    return {static_cast<s64>(ns / NSEC), static_cast<u32>(ns % NSEC), 0};
}
} // namespace

result<void> sys_statx(int dfd, user_ptr<const char> name, u32 flags, u32 mask, user_ptr<void> buf)
{
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE) ||
        (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE || (mask & STATX_RESERVED))
        return error{EINVAL};
    path_ref p = TRY(user_path_at(dfd, name, lookup_flags(flags)));
    const inode *i = p.ino();
    u32 dev = i->i_sb ? i->i_sb->dev : ANON_DEV;
    statx_abi s{};
    s.mask = STATX_BASIC_STATS;
    s.blksize = PAGE_SIZE;
    s.nlink = i->nlink;
    s.uid = i->uid;
    s.gid = i->gid;
    s.mode = static_cast<u16>(i->mode);
    s.ino = i->ino;
    s.size = i->size;
    s.blocks = blocks_of(i);
    s.atime = split(i->atime);
    s.mtime = split(i->mtime);
    s.ctime = split(i->ctime);
    s.rdev_major = dev_major(i->rdev);
    s.rdev_minor = dev_minor(i->rdev);
    s.dev_major = dev_major(dev);
    s.dev_minor = dev_minor(dev);
    return copy_to_user(buf, &s, sizeof s);
}

namespace
{
result<void> copy_statfs(const inode *i, const mount *m, user_ptr<void> buf)
{
    statfs_abi s{};
    const super_block *sb = i->i_sb;
    s.type = sb ? static_cast<s64>(sb->magic) : 0x50495045; // PIPEFS_MAGIC
    s.bsize = s.frsize = PAGE_SIZE;
    s.namelen = NAME_MAX;
    s.flags = 0x20 | (m ? m->flags & 0xf : 0); // ST_VALID and the mount's ro, nosuid, nodev, noexec
    if (sb && sb->max_pages) {
        s.blocks = sb->max_pages;
        s.bfree = s.bavail =
            sb->max_pages - min(sb->max_pages, sb->used_pages.load(std::memory_order_relaxed));
        s.files = sb->max_pages;
        s.ffree = sb->max_pages - min(sb->max_pages, sb->nr_inodes.load(std::memory_order_relaxed));
    }
    return copy_to_user(buf, &s, sizeof s);
}
} // namespace

result<void> sys_statfs(user_ptr<const char> name, user_ptr<void> buf)
{
    path_ref p = TRY(user_path_at(AT_FDCWD, name, LOOKUP_FOLLOW));
    return copy_statfs(p.ino(), p->mnt, buf);
}

result<void> sys_fstatfs(int fd, user_ptr<void> buf)
{
    file_ptr f = TRY(fget_raw(fd));
    return copy_statfs(f->f_inode, f->f_mnt, buf);
}

namespace
{
/// access(2) asks for the real user: act as that one while it lives.
class as_real_user : pinned
{
public:
    explicit as_real_user(bool effective)
        : c_{current()->cred}, fsuid_{c_.fsuid}, fsgid_{c_.fsgid}, caps_{c_.cap_effective}
    {
        if (effective)
            return;
        const task_struct *t = current();
        c_.fsuid = static_cast<u32>(t->uid);
        c_.fsgid = static_cast<u32>(t->gid);
        c_.cap_effective = t->uid ? 0 : c_.cap_permitted;
    }
    ~as_real_user()
    {
        c_.fsuid = fsuid_;
        c_.fsgid = fsgid_;
        c_.cap_effective = caps_;
    }

private:
    task_cred &c_;
    u32 fsuid_, fsgid_;
    u64 caps_;
};
} // namespace

result<void> sys_faccessat2(int dfd, user_ptr<const char> name, u32 mode, u32 flags)
{
    constexpr u32 MS_RDONLY = 1;
    if ((mode & ~7u) || flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_EACCESS))
        return error{EINVAL};
    as_real_user real{static_cast<bool>(flags & AT_EACCESS)};
    path_ref p = TRY(user_path_at(dfd, name, lookup_flags(flags)));
    const inode *i = p.ino();
    if ((mode & MAY_WRITE) && p->mnt && (p->mnt->flags & MS_RDONLY) &&
        (s_isreg(i->mode) || s_isdir(i->mode)))
        return error{EROFS};
    return inode_permission(i, mode);
}

result<void> sys_faccessat(int dfd, user_ptr<const char> name, u32 mode)
{
    return sys_faccessat2(dfd, name, mode, 0);
}

result<void> sys_access(user_ptr<const char> name, u32 mode)
{
    return sys_faccessat2(AT_FDCWD, name, mode, 0);
}

namespace
{
/// Text of a link: what it says, or for a link straight to an object that object's path.
result<size_t> read_link(const path &p, char *buf)
{
    inode *i = p.dentry->d_inode;
    if (!s_islnk(i->mode) || !i->i_op)
        return error{EINVAL};
    if (i->i_op->readlink) {
        tree_guard g;
        return i->i_op->readlink(i, buf, PATH_MAX);
    }
    path target;
    {
        tree_guard g;
        target = TRY(i->i_op->follow(i));
    }
    path_ref owned{target}, root{get_fs_root()};
    const char *text = d_path(target, root.get(), buf, PATH_MAX);
    if (!text)
        return error{ENAMETOOLONG};
    size_t n = strlen(text);
    memmove(buf, text, n);
    return n;
}
} // namespace

result<size_t> sys_readlinkat(int dfd, user_ptr<const char> uname, user_ptr<void> buf, int n)
{
    if (n <= 0)
        return error{EINVAL};
    user_path name;
    TRY_VOID(name.get(uname.addr()));
    auto p = kern_path_at(dfd, name.c_str(), LOOKUP_EMPTY);
    if (!p)
        return p.fail();
    if (!*name.c_str() && !s_islnk(p->ino()->mode))
        return error{ENOENT};
    char *text = getname_buffer();
    if (!text)
        return error{ENOMEM};
    auto len = read_link(p->get(), text);
    if (len)
        *len = min(*len, static_cast<size_t>(n));
    auto copied = len ? copy_to_user(buf, text, *len) : result<void>{};
    putname_buffer(text);
    if (!copied)
        return copied.fail();
    return len;
}

result<size_t> sys_readlink(user_ptr<const char> name, user_ptr<void> buf, int n)
{
    return sys_readlinkat(AT_FDCWD, name, buf, n);
}

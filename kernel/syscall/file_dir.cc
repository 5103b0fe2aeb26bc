// SPDX-License-Identifier: MIT
// Directories: listing, working directory, and the calls that change names; mount. Linux: fs/readdir.c, fs/namei.c, fs/namespace.c.
// Process context.

#include "fs/namei.h"
#include "lib/string.h"
#include "sched/sched.h"
#include "syscall/file.h"

namespace
{
constexpr size_t DIR_BUFFER = 32768;

/// Entries go to a kernel buffer first: the tree lock is held while they are made.
struct getdents_buffer {
    dir_context ctx;
    u8 *buf;
    size_t used, size;
    bool old_format;
    bool too_small; // not even one entry fits
};

/// struct linux_dirent64: ino, offset of the next, length, type, name; the old one has no type but puts it into its last byte.
bool fill_entry(dir_context *ctx, const char *name, size_t len, u64 pos, u64 ino, u32 type)
{
    auto *b = reinterpret_cast<getdents_buffer *>(ctx); // ctx is the first member
    size_t head = b->old_format ? 18 : 19;
    size_t reclen = align_up(head + len + (b->old_format ? 2 : 1), 8);
    if (b->size - b->used < reclen) {
        b->too_small = b->used == 0;
        return false;
    }
    u8 *e = b->buf + b->used;
    memset(e, 0, reclen);
    auto len16 = static_cast<u16>(reclen);
    memcpy(e, &ino, 8);
    memcpy(e + 8, &pos, 8);
    memcpy(e + 16, &len16, 2);
    if (b->old_format)
        e[reclen - 1] = static_cast<u8>(type);
    else
        e[18] = static_cast<u8>(type);
    memcpy(e + head, name, len);
    b->used += reclen;
    return true;
}

result<size_t> read_dir(int fd, user_ptr<void> buf, u32 n, bool old_format)
{
    file_ptr f = TRY(fget(fd));
    if (!f->f_op->iterate)
        return error{ENOTDIR};
    getdents_buffer b{{fill_entry, nullptr},      nullptr,    0,
                      min<size_t>(n, DIR_BUFFER), old_format, false};
    b.buf = static_cast<u8 *>(kmalloc(max<size_t>(b.size, 1), GFP_KERNEL));
    if (!b.buf)
        return error{ENOMEM};
    mutex_guard g{f->f_pos_lock};
    u64 pos = f->f_pos;
    b.ctx.pos = &pos;
    auto r = f->f_op->iterate(f.get(), &b.ctx);
    if (r && b.too_small)
        r = result<void>{error{EINVAL}};
    if (r)
        r = copy_to_user(buf, b.buf, b.used);
    kfree(b.buf);
    TRY_VOID(r);
    f->f_pos = pos;
    return b.used;
}
} // namespace

result<size_t> sys_getdents(int fd, user_ptr<void> buf, u32 n)
{
    return read_dir(fd, buf, n, true);
}

result<size_t> sys_getdents64(int fd, user_ptr<void> buf, u32 n)
{
    return read_dir(fd, buf, n, false);
}

result<size_t> sys_getcwd(user_ptr<void> buf, size_t n)
{
    path_ref pwd{get_fs_pwd()}, root{get_fs_root()};
    if (pwd->dentry->unlinked)
        return error{ENOENT};
    char *text = getname_buffer();
    if (!text)
        return error{ENOMEM};
    const char *s = d_path(pwd.get(), root.get(), text, PATH_MAX);
    result<void> r = error{ENAMETOOLONG};
    size_t len = s ? strlen(s) + 1 : 0;
    if (s)
        r = len > n ? result<void>{error{ERANGE}} : copy_to_user(buf, s, len);
    putname_buffer(text);
    TRY_VOID(r);
    return len;
}

namespace
{
result<void> go_to(const path &p, void (*set)(const path &))
{
    if (!s_isdir(p.dentry->d_inode->mode))
        return error{ENOTDIR};
    TRY_VOID(inode_permission(p.dentry->d_inode, MAY_EXEC));
    set(p);
    return {};
}
} // namespace

result<void> sys_chdir(user_ptr<const char> uname)
{
    user_path name;
    TRY_VOID(name.get(uname.addr()));
    path_ref p = TRY(kern_path(name.c_str(), LOOKUP_FOLLOW | LOOKUP_DIRECTORY));
    return go_to(p.get(), set_fs_pwd);
}

result<void> sys_fchdir(int fd)
{
    file_ptr f = TRY(fget_raw(fd));
    return go_to({f->f_mnt, f->f_dentry}, set_fs_pwd);
}

result<void> sys_chroot(user_ptr<const char> uname)
{
    user_path name;
    TRY_VOID(name.get(uname.addr()));
    path_ref p = TRY(kern_path(name.c_str(), LOOKUP_FOLLOW | LOOKUP_DIRECTORY));
    if (!capable(CAP_SYS_CHROOT))
        return error{EPERM};
    return go_to(p.get(), set_fs_root);
}

result<void> sys_mkdirat(int dfd, user_ptr<const char> uname, u32 mode)
{
    user_path name;
    TRY_VOID(name.get(uname.addr()));
    return do_mkdirat(dfd, name.c_str(), mode);
}

result<void> sys_mkdir(user_ptr<const char> name, u32 mode)
{
    return sys_mkdirat(AT_FDCWD, name, mode);
}

result<void> sys_unlinkat(int dfd, user_ptr<const char> uname, u32 flags)
{
    constexpr u32 AT_REMOVEDIR = 0x200;
    if (flags & ~AT_REMOVEDIR)
        return error{EINVAL};
    user_path name;
    TRY_VOID(name.get(uname.addr()));
    return flags ? do_rmdirat(dfd, name.c_str()) : do_unlinkat(dfd, name.c_str());
}

result<void> sys_rmdir(user_ptr<const char> uname)
{
    user_path name;
    TRY_VOID(name.get(uname.addr()));
    return do_rmdirat(AT_FDCWD, name.c_str());
}

result<void> sys_unlink(user_ptr<const char> name)
{
    return sys_unlinkat(AT_FDCWD, name, 0);
}

result<void> sys_renameat2(int from_dfd, user_ptr<const char> ufrom, int to_dfd,
                           user_ptr<const char> uto, u32 flags)
{
    constexpr u32 RENAME_NOREPLACE = 1;
    if (flags & ~RENAME_NOREPLACE)
        return error{EINVAL};
    user_path from, to;
    TRY_VOID(from.get(ufrom.addr()));
    TRY_VOID(to.get(uto.addr()));
    return do_renameat(from_dfd, from.c_str(), to_dfd, to.c_str(), flags);
}

result<void> sys_renameat(int from_dfd, user_ptr<const char> from, int to_dfd,
                          user_ptr<const char> to)
{
    return sys_renameat2(from_dfd, from, to_dfd, to, 0);
}

result<void> sys_rename(user_ptr<const char> from, user_ptr<const char> to)
{
    return sys_renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

result<void> sys_linkat(int from_dfd, user_ptr<const char> ufrom, int to_dfd,
                        user_ptr<const char> uto, u32 flags)
{
    constexpr u32 AT_SYMLINK_FOLLOW = 0x400, AT_EMPTY_PATH = 0x1000;
    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return error{EINVAL};
    user_path from, to;
    TRY_VOID(from.get(ufrom.addr()));
    TRY_VOID(to.get(uto.addr()));
    u32 how = (flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) |
              (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    return do_linkat(from_dfd, from.c_str(), to_dfd, to.c_str(), how);
}

result<void> sys_link(user_ptr<const char> from, user_ptr<const char> to)
{
    return sys_linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

result<void> sys_symlinkat(user_ptr<const char> utarget, int dfd, user_ptr<const char> uname)
{
    user_path target, name;
    TRY_VOID(target.get(utarget.addr()));
    TRY_VOID(name.get(uname.addr()));
    return do_symlinkat(target.c_str(), dfd, name.c_str());
}

result<void> sys_symlink(user_ptr<const char> target, user_ptr<const char> name)
{
    return sys_symlinkat(target, AT_FDCWD, name);
}

result<void> sys_mknodat(int dfd, user_ptr<const char> uname, u32 mode, u32 dev)
{
    user_path name;
    TRY_VOID(name.get(uname.addr()));
    return do_mknodat(dfd, name.c_str(), mode, dev);
}

result<void> sys_mknod(user_ptr<const char> name, u32 mode, u32 dev)
{
    return sys_mknodat(AT_FDCWD, name, mode, dev);
}

namespace
{
/// A string argument of mount(2) that may be absent.
result<void> optional_string(user_path &to, u64 addr, const char **s)
{
    *s = "";
    if (!addr)
        return {};
    TRY_VOID(to.get(addr));
    *s = to.c_str();
    return {};
}
} // namespace

result<void> sys_mount(user_ptr<const char> udev, user_ptr<const char> udir,
                       user_ptr<const char> utype, u64 flags, user_ptr<const char> udata)
{
    user_path dev, dir, type, data;
    const char *dev_s, *type_s, *data_s;
    TRY_VOID(optional_string(dev, udev.addr(), &dev_s));
    TRY_VOID(dir.get(udir.addr()));
    TRY_VOID(optional_string(type, utype.addr(), &type_s));
    TRY_VOID(optional_string(data, udata.addr(), &data_s));
    return do_mount(dev_s, dir.c_str(), type_s, flags, data_s);
}

result<void> sys_umount2(user_ptr<const char> udir, u32 flags)
{
    user_path dir;
    TRY_VOID(dir.get(udir.addr()));
    return do_umount(dir.c_str(), flags);
}

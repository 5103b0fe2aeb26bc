// SPDX-License-Identifier: MIT
// The initial file tree: cpio archives in "newc" format, as `cpio -o -H newc` and Linux's gen_init_cpio make them. Linux: init/initramfs.c.
// The archive is untrusted: every length is checked against what is left, names may not climb out, and one bad entry
// costs only itself.
//
// Contexts: process, at boot. Format: 110 bytes of ASCII header ("070701" or "070702" and 13 hexadecimal fields of 8), the name with its
// NUL padded to 4, the data padded to 4; "TRAILER!!!" ends an archive, and zeros may follow before the next one.

#include "fs/devtmpfs.h"
#include "fs/namei.h"
#include "lib/initcall.h"
#include "lib/string.h"

namespace
{
constexpr size_t HEADER = 110;

struct cpio_entry {
    u32 ino, mode, uid, gid, nlink, mtime, filesize, dev_maj, dev_min, rdev_maj, rdev_min, namesize,
        check;
    char name[PATH_MAX];
    const u8 *data;
};

/// First name of a file with several, so that the others become links to it.
struct hard_link {
    hard_link *next;
    u32 ino, dev_maj, dev_min;
    path_ref first;
};

struct unpacker {
    const u8 *at, *end;
    cpio_entry *e;
    hard_link *links = nullptr;
    unsigned made = 0, skipped = 0;
};

/// Eight hexadecimal digits; false if they are not.
bool hex8(const u8 *s, u32 *out)
{
    u32 v = 0;
    for (int i = 0; i < 8; i++) {
        u8 c = s[i];
        u32 digit = c >= '0' && c <= '9'                 ? c - '0'
                    : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                         : 16;
        if (digit > 15)
            return false;
        v = v << 4 | digit;
    }
    *out = v;
    return true;
}

/// Read one header with its name and place; null, or what is wrong with it.
const char *parse_entry(unpacker &u)
{
    cpio_entry &e = *u.e;
    auto left = static_cast<size_t>(u.end - u.at);
    if (left < HEADER)
        return "it ends within a header";
    if (memcmp(u.at, "070701", 6) != 0 && memcmp(u.at, "070702", 6) != 0)
        return "a header does not begin with 070701";
    u32 *fields[] = {&e.ino,      &e.mode,     &e.uid,     &e.gid,     &e.nlink,
                     &e.mtime,    &e.filesize, &e.dev_maj, &e.dev_min, &e.rdev_maj,
                     &e.rdev_min, &e.namesize, &e.check};
    for (unsigned i = 0; i < 13; i++)
        if (!hex8(u.at + 6 + 8 * i, fields[i]))
            return "a header has a field that is not hexadecimal";
    if (!e.namesize || e.namesize > PATH_MAX)
        return "a name is empty or too long";
    size_t data = align_up(HEADER + e.namesize, 4);
    if (left < data || left - data < e.filesize)
        return "it ends within a file";
    memcpy(e.name, u.at + HEADER, e.namesize);
    if (e.name[e.namesize - 1] || strlen(e.name) + 1 != e.namesize)
        return "a name has no NUL at its end";
    e.data = u.at + data;
    size_t whole = align_up(data + e.filesize, 4);
    u.at += min(whole, left);
    return nullptr;
}

bool climbs(const char *name)
{
    for (const char *s = name; s; s = strchr(s, '/')) {
        while (*s == '/')
            s++;
        if (s[0] == '.' && s[1] == '.' && (!s[2] || s[2] == '/'))
            return true;
    }
    return false;
}

result<void> write_data(const char *name, const cpio_entry &e)
{
    file_ptr f = TRY(filp_open(name, O_WRONLY | O_CREAT | O_TRUNC, e.mode & 07777));
    u64 pos = 0;
    while (pos < e.filesize) {
        iov_iter from = iov_iter::kernel(const_cast<u8 *>(e.data) + pos, e.filesize - pos);
        size_t n = TRY(vfs_write(f.get(), from, &pos));
        if (!n)
            return error{ENOSPC};
    }
    return {};
}

/// A regular file: its own, or one more name of one that came before (whose data may come with any of the names).
result<void> make_file(unpacker &u, const char *name)
{
    const cpio_entry &e = *u.e;
    if (e.nlink < 2)
        return write_data(name, e);
    for (hard_link *l = u.links; l; l = l->next) {
        if (l->ino != e.ino || l->dev_maj != e.dev_maj || l->dev_min != e.dev_min)
            continue;
        auto buf = getname_buffer();
        if (!buf)
            return error{ENOMEM};
        const char *first = d_path(l->first.get(), root_path(), buf, PATH_MAX);
        auto r = first ? do_linkat(AT_FDCWD, first, AT_FDCWD, name, 0)
                       : result<void>{error{ENAMETOOLONG}};
        putname_buffer(buf);
        TRY_VOID(r);
        return e.filesize ? write_data(name, e) : result<void>{};
    }
    TRY_VOID(write_data(name, e));
    path_ref at = TRY(kern_path(name, 0));
    auto *l = knew<hard_link>(
        GFP_KERNEL, hard_link{u.links, e.ino, e.dev_maj, e.dev_min, static_cast<path_ref &&>(at)});
    if (!l)
        return error{ENOMEM};
    u.links = l;
    return {};
}

result<void> make_symlink(const cpio_entry &e, const char *name)
{
    if (!e.filesize || e.filesize >= PATH_MAX)
        return error{EINVAL};
    char *target = getname_buffer();
    if (!target)
        return error{ENOMEM};
    memcpy(target, e.data, e.filesize);
    target[e.filesize] = 0;
    auto r = do_symlinkat(target, AT_FDCWD, name);
    putname_buffer(target);
    return r;
}

result<void> make_entry(unpacker &u, const char *name)
{
    const cpio_entry &e = *u.e;
    switch (e.mode & S_IFMT) {
    case S_IFREG:
        return make_file(u, name);
    case S_IFDIR: {
        auto r = do_mkdirat(AT_FDCWD, name, e.mode & 07777);
        return r.err() == EEXIST ? result<void>{} : static_cast<result<void> &&>(r);
    }
    case S_IFLNK:
        return make_symlink(e, name);
    default:
        return do_mknodat(AT_FDCWD, name, e.mode, mkdev(e.rdev_maj, e.rdev_min));
    }
}

/// Mode and owner as archived: neither umask nor write access matters here.
void set_attributes(const cpio_entry &e, const char *name)
{
    auto at = kern_path(name, 0);
    if (!at)
        return;
    inode *i = at->ino();
    if (!s_islnk(i->mode))
        i->mode = (i->mode & S_IFMT) | (e.mode & 07777);
    i->uid = e.uid;
    i->gid = e.gid;
    i->mtime = u64{e.mtime} * 1'000'000'000;
}

void unpack_entry(unpacker &u)
{
    const cpio_entry &e = *u.e;
    const char *name = e.name;
    while (*name == '/' || (name[0] == '.' && name[1] == '/'))
        name++;
    if (!*name || strcmp(name, ".") == 0)
        return; // the root itself
    auto r = climbs(name) ? result<void>{error{EINVAL}} : make_entry(u, name);
    if (r) {
        set_attributes(e, name);
        u.made++;
    } else if (u.skipped++ < 10) {
        pr_warn("initramfs: skipped %.200s: error %d\n", name, r.err());
    }
}

void forget_links(unpacker &u)
{
    while (hard_link *l = u.links) {
        u.links = l->next;
        kdelete(l);
    }
}

/// Whether the data is compressed, and by what.
const char *compression(const u8 *d, size_t n)
{
    if (n >= 2 && d[0] == 0x1f && d[1] == 0x8b)
        return "gzip";
    if (n >= 4 && memcmp(d, "\x28\xb5\x2f\xfd", 4) == 0)
        return "zstd";
    if (n >= 6 && memcmp(d,
                         "\xfd"
                         "7zXZ",
                         5) == 0)
        return "xz";
    if (n >= 3 && memcmp(d, "BZh", 3) == 0)
        return "bzip2";
    if (n >= 4 && (memcmp(d, "\x02\x21\x4c\x18", 4) == 0 || memcmp(d, "\x04\x22\x4d\x18", 4) == 0))
        return "lz4";
    return nullptr;
}

void unpack_all(unpacker &u, const u8 *start)
{
    while (u.at < u.end) {
        if (!*u.at) { // padding between archives
            u.at++;
            continue;
        }
        if (const char *how = compression(u.at, static_cast<size_t>(u.end - u.at))) {
            pr_err("initramfs: the archive at offset %zu is compressed (%s): only plain newc cpio "
                   "is read\n",
                   static_cast<size_t>(u.at - start), how);
            return;
        }
        size_t offset = static_cast<size_t>(u.at - start);
        if (const char *wrong = parse_entry(u)) {
            pr_err("initramfs: broken archive at offset %zu: %s\n", offset, wrong);
            return;
        }
        if (strcmp(u.e->name, "TRAILER!!!") == 0)
            forget_links(u);
        else
            unpack_entry(u);
    }
}
} // namespace

unsigned unpack_initramfs(const unsigned char *data, unsigned long size)
{
    unpacker u{data, data + size, knew<cpio_entry>(GFP_KERNEL)};
    if (!u.e) {
        pr_err("initramfs: out of memory\n");
        return 0;
    }
    unpack_all(u, data);
    forget_links(u);
    kdelete(u.e);
    if (u.skipped)
        pr_warn("initramfs: %u entries skipped\n", u.skipped);
    return u.made;
}

static int populate_rootfs()
{
    const u8 *start = nullptr;
    size_t size = 0;
    arch_initrd(&start, &size);
    if (start && size) {
        unsigned n = unpack_initramfs(start, size);
        pr_info("initramfs: %u entries, %zu bytes\n", n, size);
    }
    mount_standard_filesystems();
    return 0;
}
fs_initcall(populate_rootfs);

// SPDX-License-Identifier: MIT
// tmpfs: ramfs's files with limits and mount options. Linux: mm/shmem.c (shmem_parse_options, shmem_show_options).
// Process context; the tree lock protects a super block's options.

#include "fs/internal.h"
#include "fs/seq_file.h"
#include "lib/string.h"

namespace
{
constexpr u64 TMPFS_MAGIC = 0x01021994;

/// What a mount's options ask for; values that are not named stay as they are.
struct tmpfs_options {
    u64 pages, inodes;
    u32 mode, uid, gid;
};

u64 default_limit()
{
    return page_alloc_stats().total / 2; // of pages, and of inodes
}

/// N with a suffix k, m, g, or (if `percent` is given) N% of it. False: no number.
bool parse_size(const char *s, const char **end, u64 percent_of, u64 *out)
{
    if (*s < '0' || *s > '9')
        return false;
    u64 n = strtoul(s, end, 0);
    unsigned shift = 0;
    if (percent_of && **end == '%') {
        ++*end;
        *out = percent_of * min<u64>(n, 100) / 100;
        return true;
    }
    switch (**end | 32) {
    case 'g':
        shift += 10;
        [[fallthrough]];
    case 'm':
        shift += 10;
        [[fallthrough]];
    case 'k':
        shift += 10;
        ++*end;
        break;
    default:
        break;
    }
    if (n > ~u64{0} >> 1 >> shift)
        return false;
    *out = n << shift;
    return true;
}

/// Whether `s` begins with `name`; then *value is what follows.
bool named(const char *s, const char *name, const char **value)
{
    size_t n = strlen(name);
    if (strncmp(s, name, n) != 0)
        return false;
    *value = s + n;
    return true;
}

/// One option up to the comma. False: unknown or malformed.
bool parse_option(const char *s, tmpfs_options *o)
{
    const char *v, *end = nullptr;
    u64 n = 0;
    if (named(s, "mpol=", &v))
        return true; // one memory node: every policy is the same
    if (named(s, "size=", &v)) {
        if (!parse_size(v, &end, page_alloc_stats().total * PAGE_SIZE, &n))
            return false;
        o->pages = (n + PAGE_SIZE - 1) / PAGE_SIZE;
    } else if (named(s, "nr_blocks=", &v)) {
        if (!parse_size(v, &end, 0, &o->pages))
            return false;
    } else if (named(s, "nr_inodes=", &v)) {
        if (!parse_size(v, &end, 0, &o->inodes))
            return false;
    } else if (named(s, "mode=", &v) && *v >= '0' && *v <= '7') {
        o->mode = static_cast<u32>(strtoul(v, &end, 8)) & 07777;
    } else if (named(s, "uid=", &v) && *v >= '0' && *v <= '9') {
        o->uid = static_cast<u32>(strtoul(v, &end, 10));
    } else if (named(s, "gid=", &v) && *v >= '0' && *v <= '9') {
        o->gid = static_cast<u32>(strtoul(v, &end, 10));
    } else {
        return false;
    }
    return !*end || *end == ',';
}

/// mount(2) and remounting; a limit below what is in use is refused.
result<void> tmpfs_mount_options(super_block *sb, const char *data)
{
    inode *root = sb->root->d_inode;
    tmpfs_options o{sb->max_pages, sb->max_inodes, root->mode & 07777, root->uid, root->gid};
    if (!sb->configured)
        o.pages = o.inodes = default_limit();
    for (const char *s = data ? data : ""; *s;) {
        if (*s != ',' && !parse_option(s, &o))
            return error{EINVAL};
        while (*s && *s++ != ',')
            ;
    }
    if ((o.pages && o.pages < sb->used_pages.load()) ||
        (o.inodes && o.inodes < sb->nr_inodes.load()))
        return error{EINVAL};
    sb->max_pages = o.pages;
    sb->max_inodes = o.inodes;
    if (!sb->configured) { // a remount leaves the root as it is
        root->mode = S_IFDIR | o.mode;
        root->uid = o.uid;
        root->gid = o.gid;
    }
    sb->configured = true;
    return {};
}

void tmpfs_show_options(seq_file *m, super_block *sb)
{
    const inode *root = sb->root->d_inode;
    auto kb = [](u64 pages) { return static_cast<unsigned long long>(pages) * (PAGE_SIZE / 1024); };
    if (sb->max_pages != default_limit())
        seq_printf(m, ",size=%lluk", kb(sb->max_pages));
    if (sb->max_inodes != default_limit())
        seq_printf(m, ",nr_inodes=%llu", static_cast<unsigned long long>(sb->max_inodes));
    if ((root->mode & 07777) != 01777)
        seq_printf(m, ",mode=%03o", root->mode & 07777);
    if (root->uid)
        seq_printf(m, ",uid=%u", root->uid);
    if (root->gid)
        seq_printf(m, ",gid=%u", root->gid);
}

const file_system_type tmpfs_type{
    "tmpfs", false, TMPFS_MAGIC, &ramfs_super_ops, 01777, tmpfs_mount_options, tmpfs_show_options};
} // namespace

void tmpfs_init()
{
    register_filesystem(&tmpfs_type);
}

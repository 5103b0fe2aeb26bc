// SPDX-License-Identifier: MIT
// Listing directories of the dentry tree. Linux: fs/readdir.c, fs/libfs.c. Process context; takes the tree lock while it emits into a
// kernel buffer (never into user memory).
// Positions: "." is 1, ".." is 2, entries have growing cookies; a position is that of the last entry delivered, so entries may come
// and go between two calls without others being skipped or repeated.

#include "fs/internal.h"
#include "lib/string.h"

bool dcache_iterate(file *f, dir_context *ctx)
{
    dentry *d = f->f_dentry;
    dentry *up = d->parent ? d->parent : d;
    if (!dir_emit(ctx, ".", 1, 1, d->d_inode->ino, S_IFDIR) ||
        !dir_emit(ctx, "..", 2, 2, up->d_inode->ino, S_IFDIR))
        return false;
    for (dentry &c : d->children)
        if (!dir_emit(ctx, c.dname(), strlen(c.dname()), c.cookie, c.d_inode->ino, c.d_inode->mode))
            return false;
    return true;
}

result<void> dcache_readdir(file *f, dir_context *ctx)
{
    tree_guard g;
    if (f->f_dentry->unlinked)
        return error{ENOENT};
    dcache_iterate(f, ctx);
    return {};
}

result<s64> dcache_dir_lseek(file *f, s64 off, int whence)
{
    if (whence == 1)
        off += static_cast<s64>(f->f_pos);
    else if (whence != 0)
        return error{EINVAL};
    if (off < 0)
        return error{EINVAL};
    f->f_pos = static_cast<u64>(off);
    return off;
}

const file_operations simple_dir_operations{
    .llseek = dcache_dir_lseek,
    .iterate = dcache_readdir,
};

// SPDX-License-Identifier: MIT
// The trees of text files: proc, sysfs, debugfs. Names are never removed, except by their owner through pseudo_remove(). Process context.
#pragma once

#include "fs/internal.h"
#include "fs/seq_file.h"

/// What the inode of a text file has in private_data.
struct pseudo_entry {
    seq_show show;
    seq_store store;
    void *private_data;
    void (*truncated)() = nullptr; // the file was opened with O_TRUNC, or truncated
};
extern const file_operations seq_file_operations;
/// Run `show` into m's buffer, growing it until the text fits. ENOMEM.
result<void> seq_generate(seq_file &m, seq_show show);

/// A new inode of `mode`, owned by user 0, whose private_data is `data` (kmalloc, freed with it, here too on failure). Null:
/// out of memory, or data is null.
inode *owned_inode(super_block *sb, u32 mode, void *data);
/// A new inode of a text file that is in no tree yet (proc's per-process files). Null: out of memory.
inode *pseudo_file_inode(super_block *sb, u32 mode, seq_show show, void *private_data,
                         seq_store store);
/// Add an inode under `path` below the root of `sb`; makes the directories above. Takes over the inode's reference. 0 or -errno
/// (EEXIST, ENOMEM, ENAMETOOLONG, ENOTDIR).
int pseudo_add(super_block *sb, const char *path, inode *i);
/// Make (or find) the directory `path`. Null: out of memory, or a file is in the way.
dentry *pseudo_mkdir(super_block *sb, const char *path);
/// A symbolic link whose target is `target`, copied.
int pseudo_symlink(super_block *sb, const char *path, const char *target);
/// Call `f` whenever the file `path` is truncated (O_TRUNC). 0 or -ENOENT.
int pseudo_on_truncate(super_block *sb, const char *path, void (*f)());
/// Remove a file or a whole directory. ENOENT.
int pseudo_remove(super_block *sb, const char *path);
super_block *proc_sb();
super_block *sysfs_sb();
super_block *debugfs_sb();

// SPDX-License-Identifier: MIT
// Where the VFS tells what happens to files: hooks for inotify. Linux: include/linux/fsnotify.h. Process context; any sleeping lock may be
// held. While nobody watches anything each hook is one load.
#pragma once

#include "fs/fs.h"

/// What can be watched and what is told (inotify(7)).
constexpr u32 IN_ACCESS = 1, IN_MODIFY = 2, IN_ATTRIB = 4, IN_CLOSE_WRITE = 8,
              IN_CLOSE_NOWRITE = 0x10, IN_OPEN = 0x20, IN_MOVED_FROM = 0x40, IN_MOVED_TO = 0x80,
              IN_CREATE = 0x100, IN_DELETE = 0x200, IN_DELETE_SELF = 0x400, IN_MOVE_SELF = 0x800,
              IN_UNMOUNT = 0x2000, IN_Q_OVERFLOW = 0x4000, IN_IGNORED = 0x8000,
              IN_ISDIR = 0x40000000;

/// Watches that exist.
extern std::atomic<u32> nr_inotify_marks;
inline bool fsnotify_active()
{
    return nr_inotify_marks.load(std::memory_order_relaxed) != 0;
}

/// Something happened to the object named by `d`: for those who watch it, and for those who watch its directory.
void __fsnotify_dentry(dentry *d, u32 mask);
inline void fsnotify_dentry(dentry *d, u32 mask)
{
    if (fsnotify_active()) [[unlikely]]
        __fsnotify_dentry(d, mask);
}
/// The same of an open file; files that only name a place tell nothing.
inline void fsnotify_file(file *f, u32 mask)
{
    if (fsnotify_active() && !(f->f_mode & FMODE_PATH)) [[unlikely]]
        __fsnotify_dentry(f->f_dentry, mask);
}
/// To those who watch the inode itself; these events never say IN_ISDIR.
void __fsnotify_inode(inode *i, u32 mask);
inline void fsnotify_inode(inode *i, u32 mask)
{
    if (fsnotify_active()) [[unlikely]]
        __fsnotify_inode(i, mask);
}
/// An entry of directory `dir` came or went; `child` tells whether it is a directory. `cookie` ties both halves of a move together.
void __fsnotify_name(inode *dir, u32 mask, const inode *child, const char *name, u32 cookie);
inline void fsnotify_name(const dentry *dir, u32 mask, const inode *child, const char *name,
                          u32 cookie = 0)
{
    if (fsnotify_active()) [[unlikely]]
        __fsnotify_name(dir->d_inode, mask, child, name, cookie);
}
/// A cookie for the next move.
u32 fsnotify_get_cookie();
/// The inode goes: IN_DELETE_SELF if it has no name any more, else IN_UNMOUNT, and the watches end.
void fsnotify_inode_delete(inode *i);

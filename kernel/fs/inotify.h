// SPDX-License-Identifier: MIT
// inotify: a file from which one reads what happens to watched files and directories. Linux: fs/notify/inotify/. Process context.
#pragma once

#include "fs/fsnotify.h"

/// New instance (flags: IN_NONBLOCK, IN_CLOEXEC as O_*). EINVAL, EMFILE (also: too many instances of the user), ENFILE, ENOMEM. [P]
result<int> do_inotify_init(u32 flags);
/// Watch the object at `name`: the watch's number; a watch that is there gets the new mask (IN_MASK_ADD: more). EBADF, EINVAL, ENOSPC (too
/// many of the user), ENOMEM, EEXIST (IN_MASK_CREATE), and what the path lookup gives. [P]
result<int> do_inotify_add_watch(int fd, const char *name, u32 mask);
/// End a watch; IN_IGNORED is told. EBADF, EINVAL. [P]
result<void> do_inotify_rm_watch(int fd, s32 wd);

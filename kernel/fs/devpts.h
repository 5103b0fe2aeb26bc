// SPDX-License-Identifier: MIT
// /dev/pts: the nodes of pseudo terminals. Process context.
#pragma once

#include "fs/fs.h"

/// Add the node of pty `index` (device `rdev`), owned by the current task, by the mount's mode and gid. ENOMEM.
result<void> devpts_pty_new(u32 index, u32 rdev);
/// Remove it; open files stay as they are.
void devpts_pty_kill(u32 index);
/// Whether an inode is a node of /dev/pts: only such nodes open a pty's slave.
bool devpts_owns(const inode *i);

// SPDX-License-Identifier: MIT
// Descriptor tables: what the system calls need beyond fs/fs.h. Process context.
#pragma once

#include "fs/internal.h"

/// RLIMIT_NOFILE of the current process, at most /proc/sys/fs/nr_open; 1024 for kernel threads.
u64 rlimit_nofile();
/// A descriptor for a new anonymous file with `ops` (flags: O_RDWR…, O_NONBLOCK, O_CLOEXEC). ENFILE, EMFILE, ENOMEM; private_data is
/// then the caller's to free. Linux anon_inode_getfd.
result<int> anon_inode_getfd(const char *name, const file_operations *ops, void *private_data,
                             u32 flags);
/// Whether other tasks have the same table.
bool files_shared(const files_struct *f);
/// close(2): EBADF.
result<void> close_fd(unsigned fd);
/// Make `fd` refer to `file` (a new reference is taken), closing what it was (dup2). EBADF: beyond the limit.
result<int> replace_fd(unsigned fd, file *file, u32 flags);
/// FD_CLOEXEC of a descriptor: O_CLOEXEC or 0; EBADF.
result<u32> get_close_on_exec(unsigned fd);
result<void> set_close_on_exec(unsigned fd, bool on);
/// The integer behind /proc/sys/fs/nr_open.
int *nr_open_sysctl();

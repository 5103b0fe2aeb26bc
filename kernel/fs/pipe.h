// SPDX-License-Identifier: MIT
// Pipes: what the system calls need. Process context.
#pragma once

#include "fs/internal.h"

/// The two files of a new pipe; flags: O_NONBLOCK. ENFILE, ENOMEM.
result<void> create_pipe_files(file **read_end, file **write_end, u32 flags);
bool is_pipe(const file *f);
/// F_GETPIPE_SZ and F_SETPIPE_SZ of a file that is_pipe(): bytes. EBUSY when what is in it does not fit.
unsigned pipe_size(file *f);
result<unsigned> pipe_set_size(file *f, u64 bytes);

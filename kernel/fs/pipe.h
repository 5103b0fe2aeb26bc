// SPDX-License-Identifier: MIT
// Pipes: what the system calls need. Process context.
#pragma once

#include "fs/internal.h"

/// The two files of a new pipe; flags: O_NONBLOCK, O_DIRECT (each write is read as a packet). ENFILE, ENOMEM.
result<void> create_pipe_files(file **read_end, file **write_end, u32 flags);
bool is_pipe(const file *f);
/// F_GETPIPE_SZ and F_SETPIPE_SZ of a file that is_pipe(): bytes. EBUSY when what is in it does not fit.
unsigned pipe_size(file *f);
result<unsigned> pipe_set_size(file *f, u64 bytes);

// --- splice.cc ----------------------------------------------------------------------------------------------------------
/// Flags of splice(2) and its like. MOVE, MORE and GIFT are hints; data is copied from and to files, and moved between pipes.
constexpr u32 SPLICE_F_MOVE = 1, SPLICE_F_NONBLOCK = 2, SPLICE_F_MORE = 4, SPLICE_F_GIFT = 8;
/// Up to `len` bytes from `in` to `out`, one of which at least is a pipe. A null position: the file's own. Errors as splice(2).
result<size_t> do_splice(file *in, u64 *in_pos, file *out, u64 *out_pos, size_t len, u32 flags);
/// Up to `len` bytes of pipe `in` into pipe `out`, without taking them. EINVAL: not two pipes.
result<size_t> do_tee(file *in, file *out, size_t len, u32 flags);
/// User memory into a pipe's writing end, or a pipe's data to user memory. EBADF: not a pipe.
result<size_t> do_vmsplice(file *pipe, iov_iter it, u32 flags);

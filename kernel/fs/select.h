// SPDX-License-Identifier: MIT
// poll and select over open files. Linux: fs/select.c. Process context.
#pragma once

#include "fs/fs.h"

/// As poll(2) passes it.
struct pollfd {
    int fd;
    s16 events, revents;
};
/// Wait until one of the descriptors is ready, `expires` (ktime, ~0: never, 0: do not wait) or a signal: the number of
/// entries with revents set; EINTR. [P]
result<int> do_poll(pollfd *fds, unsigned n, u64 expires);
/// select(2) on bitmaps of n descriptors: `in` and `out` each hold three maps of `words` u64 (read, write, except). EBADF, EINTR. [P]
result<int> do_select(unsigned n, unsigned words, const u64 *in, u64 *out, u64 expires);

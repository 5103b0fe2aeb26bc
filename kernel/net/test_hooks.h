// SPDX-License-Identifier: MIT
// Test hooks: named commands behind /sys/kernel/debug/test/hooks, in debug kernels only (docs/debugfs.md). They let a test bring
// about states that last too short to be seen from outside: an owned socket, a stalled poll.
#pragma once

#include "lib/types.h"

/// Runs a command: argv[0] is the hook's name, argv[argc] null. Returns 0 or -errno; the write returns it. [P]
using test_hook_fn = int (*)(int argc, char **argv);

#if SOFTNET_DEBUG
/// Add a command; `name` must stay. Returns 0, -EEXIST or -ENOMEM. [P] from core_initcall on.
int register_test_hook(const char *name, test_hook_fn fn);
#else
inline int register_test_hook(const char *, test_hook_fn)
{
    return 0;
}
#endif

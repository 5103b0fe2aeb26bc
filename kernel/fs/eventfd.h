// SPDX-License-Identifier: MIT
// eventfd2(2).
#pragma once

#include "fs/internal.h"

/// A new descriptor of a counter; flags EFD_SEMAPHORE (1), O_CLOEXEC, O_NONBLOCK. EINVAL, EMFILE, ENOMEM. [P]
result<int> do_eventfd(u32 count, u32 flags);

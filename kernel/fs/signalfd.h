// SPDX-License-Identifier: MIT
// signalfd4(2).
#pragma once

#include "fs/internal.h"

/// A descriptor for the signals of `mask`: a new one (fd -1), or change that of `fd`. flags O_CLOEXEC, O_NONBLOCK. [P]
result<int> do_signalfd(int fd, u64 mask, u32 flags);

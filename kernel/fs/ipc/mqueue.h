// SPDX-License-Identifier: MIT
// POSIX message queues: what the system calls need. Linux: ipc/mqueue.c. Process context. Errors as mq_overview(7)'s pages.
#pragma once

#include "fs/fs.h"

/// struct mq_attr of x86_64.
struct mq_attr {
    s64 flags, maxmsg, msgsize, curmsgs, reserved[4];
};
/// struct sigevent, as far as it is used: SIGEV_SIGNAL (0), SIGEV_NONE (1).
struct mq_event {
    u64 value;
    s32 signo, how;
};

/// A descriptor for the queue `name` (without a slash); `attr` null: the defaults.
result<int> do_mq_open(const char *name, u32 flags, u32 mode, const mq_attr *attr);
result<void> do_mq_unlink(const char *name);
/// `expires`: ktime, ~0 for ever. EBADF: `f` is no queue, or is not open for that.
result<void> do_mq_send(file *f, user_ptr<const void> msg, u64 size, u32 prio, u64 expires);
result<size_t> do_mq_receive(file *f, user_ptr<void> msg, u64 size, user_ptr<u32> prio,
                             u64 expires);
/// Null: no more notice for the current process.
result<void> do_mq_notify(file *f, const mq_event *e);
/// What it is, and (`change` not null) O_NONBLOCK on or off.
result<mq_attr> do_mq_getsetattr(file *f, const mq_attr *change);

// SPDX-License-Identifier: MIT
// epoll: one object that watches many files for one waiter. Linux: fs/eventpoll.c, include/linux/eventpoll.h (atlas §10). Process context.
#pragma once

#include "fs/fs.h"

/// As epoll_ctl(2) passes it on x86_64: packed, 12 bytes.
struct [[gnu::packed]] epoll_event {
    u32 events;
    u64 data;
};
static_assert(sizeof(epoll_event) == 12);

constexpr int EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CTL_MOD = 3;
/// Bits of events that are no poll events: how to report. EXCLUSIVE is of Linux 4.5.
constexpr u32 EPOLLEXCLUSIVE = 1u << 28, EPOLLWAKEUP = 1u << 29, EPOLLONESHOT = 1u << 30,
              EPOLLET = 1u << 31;
/// Longest chain of epolls that watch epolls: steps from one to the next (ELOOP beyond), as recent Linux counts them; 3.10 only looked
/// downwards.
constexpr unsigned EP_MAX_NESTS = 4;

/// A new eventpoll behind a new descriptor (flags: O_CLOEXEC). EMFILE, ENFILE, ENOMEM. Linux sys_epoll_create1. [P]
result<int> do_epoll_create(u32 flags);
/// Add, change or remove the watch of file `fd` (ev: null for DEL). EBADF, EPERM (it cannot be polled), EINVAL, EEXIST, ENOENT, ELOOP,
/// ENOSPC (max_user_watches), ENOMEM. Linux sys_epoll_ctl. [P]
result<void> do_epoll_ctl(int epfd, int op, int fd, const epoll_event *ev);
/// Up to `max` events of epfd into user memory, waiting until ktime `expires` (0: do not, ~0: for ever). EBADF, EINVAL (no epoll), EINTR,
/// EFAULT (nothing is lost). Linux ep_poll. [P]
result<int> do_epoll_wait(int epfd, user_ptr<epoll_event> events, int max, u64 expires);
/// The last descriptor of a watched file is gone: take it out of every epoll. fput() calls it when file::f_ep_links is set. [P]
void eventpoll_release_file(file *f);

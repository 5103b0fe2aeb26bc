// SPDX-License-Identifier: MIT
// epoll_create, epoll_create1, epoll_ctl, epoll_wait, epoll_pwait, epoll_pwait2: flags, time-outs, signal masks and user memory around
// fs/eventpoll.cc. Linux: fs/eventpoll.c. Process context.

#include "fs/eventpoll.h"
#include "mm/uaccess.h"
#include "sched/signal.h"
#include "syscall/file.h"
#include "syscall/timeout.h"

namespace
{
constexpr int EP_MAX_EVENTS = 0x7fffffff / static_cast<int>(sizeof(epoll_event));

u64 deadline_ms(int timeout_ms)
{
    return timeout_ms < 0    ? FOREVER
           : timeout_ms == 0 ? 0
                             : deadline(static_cast<u64>(timeout_ms) * NSEC_PER_MSEC);
}

result<int> wait_events(int epfd, user_ptr<epoll_event> events, int max, u64 expires)
{
    if (max <= 0 || max > EP_MAX_EVENTS)
        return error{EINVAL};
    u64 bytes = static_cast<u64>(max) * sizeof(epoll_event);
    if (events.addr() > TASK_SIZE || bytes > TASK_SIZE - events.addr())
        return error{EFAULT};
    return do_epoll_wait(epfd, events, max, expires);
}

result<int> pwait(int epfd, user_ptr<epoll_event> events, int max, u64 expires, u64 sigmask,
                  u64 sigsetsize)
{
    TRY_VOID(set_user_sigmask(sigmask, sigsetsize));
    auto r = wait_events(epfd, events, max, expires);
    restore_user_sigmask(r.err() == EINTR);
    return r;
}
} // namespace

result<int> sys_epoll_create(int size)
{
    if (size <= 0) // the size itself means nothing since 2.6.8
        return error{EINVAL};
    return do_epoll_create(0);
}

result<int> sys_epoll_create1(u32 flags)
{
    return do_epoll_create(flags);
}

result<void> sys_epoll_ctl(int epfd, int op, int fd, user_ptr<epoll_event> event)
{
    epoll_event ev;
    if (op == EPOLL_CTL_DEL)
        return do_epoll_ctl(epfd, op, fd, nullptr);
    TRY_VOID(copy_from_user(&ev, event.cast<const void>(), sizeof ev));
    return do_epoll_ctl(epfd, op, fd, &ev);
}

result<int> sys_epoll_wait(int epfd, user_ptr<epoll_event> events, int max, int timeout_ms)
{
    return wait_events(epfd, events, max, deadline_ms(timeout_ms));
}

result<int> sys_epoll_pwait(int epfd, user_ptr<epoll_event> events, int max, int timeout_ms,
                            u64 sigmask, u64 sigsetsize)
{
    return pwait(epfd, events, max, deadline_ms(timeout_ms), sigmask, sigsetsize);
}

result<int> sys_epoll_pwait2(int epfd, user_ptr<epoll_event> events, int max,
                             user_ptr<timespec64_abi> timeout, u64 sigmask, u64 sigsetsize)
{
    u64 expires = TRY(read_timeout(timeout, &timespec64_abi::nsec, 1));
    return pwait(epfd, events, max, expires, sigmask, sigsetsize);
}

// SPDX-License-Identifier: MIT
// For tests of epoll: a kernel thread as a process with descriptors and user memory, and the calls by short names.
#pragma once

#include "fs/eventfd.h"
#include "fs/eventpoll_internal.h"
#include "fs/file.h"
#include "unit.h"

namespace epoll_test
{
constexpr u64 FOREVER = ~u64{0};
alignas(4096) inline u8 user_room[65536];
inline files_struct *table; // the descriptor table of the test's threads

/// A kernel thread with the test's descriptors and user memory.
inline void as_process()
{
    if (!table)
        table = files_alloc();
    current()->files = table;
    host_user_memory(user_room, sizeof user_room);
}

template <void (*F)()>
inline void process(void *)
{
    as_process();
    F();
    current()->files = nullptr;
}

inline user_ptr<epoll_event> user_events()
{
    return user_ptr<epoll_event>{reinterpret_cast<u64>(user_room)};
}
inline const epoll_event &event_at(int i)
{
    return reinterpret_cast<const epoll_event *>(user_room)[i];
}

inline int epoll()
{
    auto fd = do_epoll_create(0);
    HOST_EXPECT(fd);
    return *fd;
}
/// 0 or errno; data is the descriptor.
inline int ctl(int ep, int op, int fd, u32 events = 0)
{
    epoll_event ev{events, static_cast<u64>(fd)};
    return do_epoll_ctl(ep, op, fd, op == EPOLL_CTL_DEL ? nullptr : &ev).err();
}
/// Events now ready, or -errno.
inline int wait(int ep, int max = 64, u64 expires = 0)
{
    auto r = do_epoll_wait(ep, user_events(), max, expires);
    return r ? *r : -r.err();
}
inline int event_fd(u32 count = 0)
{
    auto fd = do_eventfd(count, O_NONBLOCK);
    HOST_EXPECT(fd);
    return *fd;
}
inline void signal_fd(int fd)
{
    u64 one = 1;
    auto f = fget(fd);
    iov_iter from = iov_iter::kernel(&one, sizeof one);
    HOST_EXPECT(f && vfs_write(f->get(), from, nullptr));
}
/// What was in the counter; 0: nothing.
inline u64 drain_fd(int fd)
{
    u64 n = 0;
    auto f = fget(fd);
    iov_iter to = iov_iter::kernel(&n, sizeof n);
    return f && vfs_read(f->get(), to, nullptr) ? n : 0;
}
inline void close(int fd)
{
    HOST_EXPECT(close_fd(static_cast<unsigned>(fd)));
}
inline eventpoll *inside(int ep)
{
    return ep_of(fget(ep)->get());
}
inline void msleep(int ms)
{
    set_current_state(TASK_UNINTERRUPTIBLE);
    schedule_timeout(ms);
}
} // namespace epoll_test

/// A test that runs in such a thread.
#define PROCESS_UNIT(f) (unit_case{#f, nullptr, epoll_test::process<f>})

// SPDX-License-Identifier: MIT
// eventfd: a counter to wait on. Linux: fs/eventfd.c. Process context. Lock: eventfd_ctx.wq.lock, as wake-ups come with it held.

#include "fs/eventfd.h"
#include "fs/file.h"
#include "fs/seq_file.h"
#include "sched/sched.h"

namespace
{
constexpr u32 EFD_SEMAPHORE = 1;

struct eventfd_ctx : pinned {
    wait_queue_head wq;
    u64 count = 0;
    bool semaphore = false;
};

eventfd_ctx *ctx_of(file *f)
{
    return static_cast<eventfd_ctx *>(f->private_data);
}

/// Take what a read gets; false when the counter is 0.
bool take_count(eventfd_ctx *c, u64 *value)
{
    spin_guard<irqsave> g{c->wq.lock};
    if (!c->count)
        return false;
    *value = c->semaphore ? 1 : c->count;
    c->count -= *value;
    return true;
}

bool add_count(eventfd_ctx *c, u64 value)
{
    spin_guard<irqsave> g{c->wq.lock};
    if (~u64{0} - 1 - c->count < value)
        return false;
    c->count += value;
    return true;
}

[[gnu::noinline]] int eventfd_wait(eventfd_ctx *c, bool for_data, u64 value)
{
    return wait_event_interruptible(&c->wq, for_data ? read_once(c->count) != 0
                                                     : ~u64{0} - 1 - read_once(c->count) >= value);
}

result<size_t> eventfd_read(file *f, iov_iter &to, u64 *)
{
    eventfd_ctx *c = ctx_of(f);
    if (to.count() < sizeof(u64))
        return error{EINVAL};
    u64 value;
    while (!take_count(c, &value)) {
        if (f->f_flags & O_NONBLOCK)
            return error{EAGAIN};
        if (eventfd_wait(c, true, 0))
            return error{ERESTARTSYS};
    }
    wake_up_poll(&c->wq, POLLOUT);
    TRY_VOID(to.copy_to(&value, sizeof value));
    return sizeof value;
}

result<size_t> eventfd_write(file *f, iov_iter &from, u64 *)
{
    eventfd_ctx *c = ctx_of(f);
    u64 value;
    if (from.count() < sizeof value)
        return error{EINVAL};
    TRY_VOID(from.copy_from(&value, sizeof value));
    if (value == ~u64{0})
        return error{EINVAL};
    while (!add_count(c, value)) {
        if (f->f_flags & O_NONBLOCK)
            return error{EAGAIN};
        if (eventfd_wait(c, false, value))
            return error{ERESTARTSYS};
    }
    wake_up_poll(&c->wq, POLLIN);
    return sizeof value;
}

u32 eventfd_poll(file *f, poll_table *pt)
{
    eventfd_ctx *c = ctx_of(f);
    poll_wait(f, &c->wq, pt);
    u64 count = read_once(c->count);
    return (count ? POLLIN : 0) | (count == ~u64{0} ? POLLERR : 0) |
           (count < ~u64{0} - 1 ? POLLOUT : 0);
}

void eventfd_release(inode *, file *f)
{
    kdelete(ctx_of(f));
}

void eventfd_fdinfo(seq_file *m, file *f)
{
    seq_printf(m, "eventfd-count: %16llx\n",
               static_cast<unsigned long long>(read_once(ctx_of(f)->count)));
}

const file_operations eventfd_fops{
    .read = eventfd_read,
    .write = eventfd_write,
    .poll = eventfd_poll,
    .release = eventfd_release,
    .show_fdinfo = eventfd_fdinfo,
};
} // namespace

result<int> do_eventfd(u32 count, u32 flags)
{
    if (flags & ~(EFD_SEMAPHORE | O_CLOEXEC | O_NONBLOCK))
        return error{EINVAL};
    auto *c = knew<eventfd_ctx>(GFP_KERNEL);
    if (!c)
        return error{ENOMEM};
    c->count = count;
    c->semaphore = flags & EFD_SEMAPHORE;
    auto fd = anon_inode_getfd("anon_inode:[eventfd]", &eventfd_fops, c,
                               O_RDWR | (flags & (O_NONBLOCK | O_CLOEXEC)));
    if (!fd)
        kdelete(c);
    return fd;
}

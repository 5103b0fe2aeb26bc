// SPDX-License-Identifier: MIT
// timerfd: a timer that is read. Linux: fs/timerfd.c. Process context, but for the expiry (hard IRQ). Lock: timerfd_ctx.wq.lock
// (irqsave). After an expiry the timer stands still; whoever reads starts a periodic one again and learns of what was missed.

#include "fs/timerfd.h"
#include "fs/file.h"
#include "fs/seq_file.h"
#include "sched/cred.h"
#include "sched/sched.h"
#include "time/alarm_clocks.h"

namespace
{
constexpr u32 TFD_ABSTIME = 1, TFD_CANCEL_ON_SET = 2;

struct timerfd_ctx : pinned {
    wait_queue_head wq;
    hrtimer timer;
    clock_set_listener listener;
    s32 clock = 0;
    u64 expires = 0; // on the clock's scale; 0: disarmed
    u64 interval = 0;
    u64 ticks = 0;
    bool expired = false;  // the hrtimer stands still since then
    bool cancels = false;  // TFD_TIMER_CANCEL_ON_SET
    bool canceled = false; // the clock was set
    u32 settime_flags = 0;
    timerfd_ctx();
};

u64 timer_expired(hrtimer *t)
{
    auto *c = container_of(t, timerfd_ctx, timer);
    spin_guard<irqsave> g{c->wq.lock};
    c->expired = true;
    c->ticks++;
    __wake_up_common(&c->wq, TASK_NORMAL, 0, 0, reinterpret_cast<void *>(u64{POLLIN}));
    return 0;
}

void clock_was_set(clock_set_listener *l)
{
    auto *c = container_of(l, timerfd_ctx, listener);
    spin_guard<irqsave> g{c->wq.lock};
    c->canceled = true;
    c->ticks++;
    __wake_up_common(&c->wq, TASK_NORMAL, 0, 0, reinterpret_cast<void *>(u64{POLLIN}));
}

timerfd_ctx::timerfd_ctx() : timer{timer_expired}, listener{clock_was_set} {}

timerfd_ctx *ctx_of(file *f)
{
    return static_cast<timerfd_ctx *>(f->private_data);
}

u64 now_of(const timerfd_ctx *c)
{
    return c->clock == CLOCK_REALTIME ? ktime_get_real() : ktime_get();
}

void start(timerfd_ctx *c)
{
    if (c->clock == CLOCK_REALTIME)
        hrtimer_start_real(&c->timer, c->expires);
    else
        hrtimer_start(&c->timer, c->expires);
}

/// Periods that have passed since the first expiry; `expires` moves beyond now. wq.lock held.
u64 forward(timerfd_ctx *c)
{
    u64 now = now_of(c);
    if (c->expires > now)
        return 0;
    u64 n = (now - c->expires) / c->interval + 1;
    c->expires += n * c->interval;
    return n;
}

/// What a read gets: 0 nothing yet. ECANCELED once after the clock was set.
result<u64> take_ticks(timerfd_ctx *c)
{
    spin_guard<irqsave> g{c->wq.lock};
    if (c->canceled) {
        c->canceled = false;
        c->ticks = 0;
        return error{ECANCELED};
    }
    u64 ticks = c->ticks;
    if (ticks && c->expired && c->interval) {
        u64 periods = forward(c);
        ticks += periods ? periods - 1 : 0;
        start(c);
    }
    if (ticks)
        c->expired = false;
    c->ticks = 0;
    return ticks;
}

[[gnu::noinline]] int timerfd_wait(timerfd_ctx *c)
{
    return wait_event_interruptible(&c->wq, read_once(c->ticks) != 0);
}

result<size_t> timerfd_read(file *f, iov_iter &to, u64 *)
{
    timerfd_ctx *c = ctx_of(f);
    if (to.count() < sizeof(u64))
        return error{EINVAL};
    for (;;) {
        u64 ticks = TRY(take_ticks(c));
        if (ticks) {
            TRY_VOID(to.copy_to(&ticks, sizeof ticks));
            return sizeof ticks;
        }
        if (f->f_flags & O_NONBLOCK)
            return error{EAGAIN};
        if (timerfd_wait(c))
            return error{ERESTARTSYS};
    }
}

u32 timerfd_poll(file *f, poll_table *pt)
{
    timerfd_ctx *c = ctx_of(f);
    poll_wait(f, &c->wq, pt);
    return read_once(c->ticks) ? POLLIN : 0;
}

void timerfd_release(inode *, file *f)
{
    timerfd_ctx *c = ctx_of(f);
    remove_clock_set_listener(&c->listener);
    hrtimer_cancel(&c->timer);
    kdelete(c);
}

/// Interval and time left. wq.lock held.
itimer_ns remaining(timerfd_ctx *c)
{
    if (!c->expires)
        return {c->interval, 0};
    if (c->expired && c->interval) { // count what has passed, as a read would
        u64 periods = forward(c);
        c->ticks += periods ? periods - 1 : 0;
        c->expired = false;
        start(c);
    }
    u64 now = now_of(c);
    return {c->interval, c->expires > now ? c->expires - now : 0};
}

void timerfd_fdinfo(seq_file *m, file *f)
{
    timerfd_ctx *c = ctx_of(f);
    itimer_ns left;
    u64 ticks;
    {
        spin_guard<irqsave> g{c->wq.lock};
        ticks = c->ticks;
        left = remaining(c);
    }
    seq_printf(m, "clockid: %d\nticks: %llu\nsettime flags: 0%o\n", c->clock,
               static_cast<unsigned long long>(ticks), c->settime_flags);
    seq_printf(m, "it_value: (%llu, %llu)\nit_interval: (%llu, %llu)\n",
               static_cast<unsigned long long>(left.value / NSEC_PER_SEC),
               static_cast<unsigned long long>(left.value % NSEC_PER_SEC),
               static_cast<unsigned long long>(left.interval / NSEC_PER_SEC),
               static_cast<unsigned long long>(left.interval % NSEC_PER_SEC));
}

const file_operations timerfd_fops{
    .read = timerfd_read,
    .poll = timerfd_poll,
    .release = timerfd_release,
    .show_fdinfo = timerfd_fdinfo,
};

result<file_ptr> timerfd_of(int fd)
{
    file_ptr f = TRY(fget(fd));
    if (f->f_op != &timerfd_fops)
        return error{EINVAL};
    return f;
}
} // namespace

result<int> do_timerfd_create(s32 clock, u32 flags)
{
    if (is_alarm_clock(clock) && !capable(CAP_WAKE_ALARM))
        return error{EPERM};
    clock = alarm_base(clock);
    if ((flags & ~(O_CLOEXEC | O_NONBLOCK)) ||
        (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME))
        return error{EINVAL};
    auto *c = knew<timerfd_ctx>(GFP_KERNEL);
    if (!c)
        return error{ENOMEM};
    c->clock = clock;
    auto fd = anon_inode_getfd("anon_inode:[timerfd]", &timerfd_fops, c,
                               O_RDWR | (flags & (O_NONBLOCK | O_CLOEXEC)));
    if (!fd)
        kdelete(c);
    return fd;
}

result<itimer_ns> do_timerfd_settime(int fd, u32 flags, const itimer_ns &to)
{
    if (flags & ~(TFD_ABSTIME | TFD_CANCEL_ON_SET))
        return error{EINVAL};
    file_ptr f = TRY(timerfd_of(fd));
    timerfd_ctx *c = ctx_of(f.get());
    bool cancels =
        (flags & TFD_CANCEL_ON_SET) && (flags & TFD_ABSTIME) && c->clock == CLOCK_REALTIME;
    remove_clock_set_listener(&c->listener);
    hrtimer_cancel(&c->timer);
    itimer_ns old;
    {
        spin_guard<irqsave> g{c->wq.lock};
        old = remaining(c);
    }
    hrtimer_cancel(&c->timer); // remaining() may have started it
    {
        spin_guard<irqsave> g{c->wq.lock};
        c->ticks = 0;
        c->expired = c->canceled = false;
        c->cancels = cancels;
        c->settime_flags = flags;
        c->interval = to.interval;
        u64 now = now_of(c);
        c->expires = !to.value             ? 0
                     : flags & TFD_ABSTIME ? to.value
                                           : min(now + to.value, KTIME_MAX);
        if (c->expires)
            start(c);
    }
    if (cancels)
        add_clock_set_listener(&c->listener);
    return old;
}

result<itimer_ns> do_timerfd_gettime(int fd)
{
    file_ptr f = TRY(timerfd_of(fd));
    timerfd_ctx *c = ctx_of(f.get());
    spin_guard<irqsave> g{c->wq.lock};
    return remaining(c);
}

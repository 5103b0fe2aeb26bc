// SPDX-License-Identifier: MIT
// Sleeping with a limit. Linux: schedule_timeout() of kernel/timer.c, schedule_hrtimeout() of kernel/hrtimer.c. [P]
#include "sched/sched.h"

struct process_timer {
    timer_list timer;
    task_struct *task;
};

static void process_timeout(timer_list *t)
{
    wake_up_process(container_of(t, process_timer, timer)->task);
}

s64 schedule_timeout(s64 timeout)
{
    const void *caller = __builtin_return_address(0);
    if (timeout == MAX_SCHEDULE_TIMEOUT) {
        schedule_from(caller);
        return timeout;
    }
    if (timeout < 0) {
        current()->state.store(TASK_RUNNING, std::memory_order_relaxed);
        return 0;
    }
    process_timer t{timer_list{process_timeout}, current()};
    u64 expire = jiffies() + static_cast<u64>(timeout);
    mod_timer(&t.timer, expire);
    schedule_from(caller);
    del_timer_sync(&t.timer);
    s64 left = static_cast<s64>(expire - jiffies());
    return left < 0 ? 0 : left;
}

u64 hrtimer_wake::expired(hrtimer *t)
{
    auto *s = container_of(t, hrtimer_wake, timer);
    task_struct *task = s->task;
    write_once(s->task, nullptr);
    if (task)
        wake_up_process(task);
    return 0;
}

int schedule_hrtimeout(u64 expires)
{
    const void *caller = __builtin_return_address(0);
    if (expires == ~u64{0}) {
        schedule_from(caller);
        return -EINTR;
    }
    hrtimer_wake s{current()};
    hrtimer_start(&s.timer, expires);
    if (read_once(s.task))
        schedule_from(caller);
    hrtimer_cancel(&s.timer);
    current()->state.store(TASK_RUNNING, std::memory_order_relaxed);
    return read_once(s.task) ? -EINTR : 0;
}

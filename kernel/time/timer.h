// SPDX-License-Identifier: MIT
// Timers. timer_list: jiffies resolution, per-CPU wheel, handlers run in TIMER softirq. hrtimer: nanoseconds, per-CPU tree, handlers
// run in hard-IRQ context of the timer interrupt. Linux: kernel/timer.c, kernel/hrtimer.c.
#pragma once

#include "lib/list.h"
#include "lib/rbtree.h"
#include "time/time.h"

/// A coarse timer. Initialise once with its function; the owner keeps it alive until del_timer_sync().
struct timer_list : pinned {
    list_node entry;
    u64 expires = 0; // jiffies
    void (*function)(timer_list *) = nullptr;
    s32 cpu = -1; // wheel it is on, -1: none yet
    explicit timer_list(void (*f)(timer_list *)) : function{f} {}
    bool pending() const { return entry.linked(); }
};
/// (Re)arm for `expires` jiffies on this CPU; returns whether it was pending. Any context.
bool mod_timer(timer_list *t, u64 expires);
/// Disarm; returns whether it was pending. The handler may still be running on another CPU.
bool del_timer(timer_list *t);
/// Disarm and wait for a running handler. Not from the handler, not holding a lock it takes. [P][S]
bool del_timer_sync(timer_list *t);

/// A precise timer.
struct hrtimer : pinned {
    rb_node node;
    u64 expires = 0; // ktime_get() scale
    /// Runs with IRQs off in hard-IRQ context; returns the next expiry, or 0 to stop.
    u64 (*function)(hrtimer *) = nullptr;
    s32 cpu = -1;
    bool queued = false;
    explicit hrtimer(u64 (*f)(hrtimer *)) : function{f} {}
};
void hrtimer_start(hrtimer *t, u64 expires);
/// Disarm; waits for a running handler on another CPU. Returns whether it was queued.
bool hrtimer_cancel(hrtimer *t);

/// The earliest thing this CPU's clock event device has to interrupt for (hrtimer, wheel, end of a time slice) is at or
/// after `ns`: program it if that is sooner than what is programmed. IRQs off.
void clock_event_at_most(u64 ns);

/// Boot, before SMP: TIMER softirq. Per CPU state is static.
void timers_init();

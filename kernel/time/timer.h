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
    bool real = false; // follows the wall clock: expires is computed from real_expires
    u32 generation = 0;
    u64 real_expires = 0; // ktime_get_real() scale
    explicit hrtimer(u64 (*f)(hrtimer *)) : function{f} {}
};
void hrtimer_start(hrtimer *t, u64 expires);
/// The same at a time of the wall clock, also when that is set meanwhile.
void hrtimer_start_real(hrtimer *t, u64 real_expires);
/// The wall clock was set: timers that follow it move. [P]
void hrtimers_clock_was_set();
/// Disarm; waits for a running handler on another CPU. Returns whether it was queued.
bool hrtimer_cancel(hrtimer *t);

/// Told after the wall clock was set (timerfd's TFD_TIMER_CANCEL_ON_SET). The call comes with a spinlock held, IRQs off.
struct clock_set_listener : pinned {
    list_node node;
    void (*clock_was_set)(clock_set_listener *l);
    explicit clock_set_listener(void (*f)(clock_set_listener *)) : clock_was_set{f} {}
};
void add_clock_set_listener(clock_set_listener *l);
/// Off the list, if it is on it.
void remove_clock_set_listener(clock_set_listener *l);

/// The earliest thing this CPU's clock event device has to interrupt for (hrtimer, wheel, end of a time slice) is at or
/// after `ns`: program it if that is sooner than what is programmed. IRQs off.
void clock_event_at_most(u64 ns);

/// Boot, before SMP: TIMER softirq. Per CPU state is static.
void timers_init();

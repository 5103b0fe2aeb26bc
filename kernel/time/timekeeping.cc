// SPDX-License-Identifier: MIT
// Wall-clock time: an offset to the monotonic clock, from the RTC at boot. Linux: kernel/time/timekeeping.c. Any context.
#include "lib/initcall.h"
#include "lib/spinlock.h"
#include "time/timer.h"
#include <atomic>

static std::atomic<u64> real_offset{0};

u64 ktime_get_real()
{
    return ktime_get() + real_offset.load(std::memory_order_relaxed);
}

namespace
{
spinlock listener_lock{"clock_set_listeners"};
list<clock_set_listener, &clock_set_listener::node> listeners;
} // namespace

void add_clock_set_listener(clock_set_listener *l)
{
    spin_guard<irqsave> g{listener_lock};
    listeners.push_back(*l);
}

void remove_clock_set_listener(clock_set_listener *l)
{
    spin_guard<irqsave> g{listener_lock};
    if (l->node.linked())
        l->node.unlink();
}

void ktime_set_real(u64 ns)
{
    real_offset.store(ns - ktime_get(), std::memory_order_relaxed);
    hrtimers_clock_was_set();
    spin_guard<irqsave> g{listener_lock};
    for (clock_set_listener &l : listeners)
        l.clock_was_set(&l);
}

static int timekeeping_init()
{
    // The RTC counts whole seconds: the middle of one is wrong by half a second at most. Linux: rtc_hctosys().
    real_offset.store(arch_boot_epoch_s() * NSEC_PER_SEC + NSEC_PER_SEC / 2,
                      std::memory_order_relaxed);
    return 0;
}
early_initcall(timekeeping_init);

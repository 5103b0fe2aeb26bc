// SPDX-License-Identifier: MIT
// Wall-clock time: an offset to the monotonic clock, from the RTC at boot. Linux: kernel/time/timekeeping.c. Any context.
#include "lib/initcall.h"
#include "time/time.h"
#include <atomic>

static std::atomic<u64> real_offset{0};

u64 ktime_get_real()
{
    return ktime_get() + real_offset.load(std::memory_order_relaxed);
}

void ktime_set_real(u64 ns)
{
    real_offset.store(ns - ktime_get(), std::memory_order_relaxed);
}

static int timekeeping_init()
{
    real_offset.store(arch_boot_epoch_s() * NSEC_PER_SEC, std::memory_order_relaxed);
    return 0;
}
early_initcall(timekeeping_init);

// SPDX-License-Identifier: MIT
// What a CPU's time was spent on. Part of cpu_block; sched/cputime.h has the rules.
#pragma once

#include "lib/types.h"

enum cpu_time_class : u32 {
    CPUTIME_USER,
    CPUTIME_SYSTEM,
    CPUTIME_SOFTIRQ,
    CPUTIME_IRQ,
    CPUTIME_IDLE,
    NR_CPUTIME
};

/// One CPU's time by class, in arch_cycles(). Its CPU's alone, IRQs off; others may read the totals.
struct cpu_times {
    u64 total[NR_CPUTIME];
    u64 last;            // when `cls` began
    cpu_time_class cls;  // now
    cpu_time_class base; // what the interrupt interrupted
};

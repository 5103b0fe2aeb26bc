// SPDX-License-Identifier: MIT
// Execution context of the CPU, kept in one word as in Linux (include/linux/preempt_mask.h): softirq part bits
// 8-15 (SOFTIRQ_OFFSET while serving, SOFTIRQ_DISABLE_OFFSET = 2x while only disabled), hardirq bits 16-19.
// The kernel itself is not preempted: a task leaves the CPU only in schedule() or on return to user mode.
#pragma once

#include "arch/arch.h"

constexpr u32 SOFTIRQ_OFFSET = 0x100;
constexpr u32 SOFTIRQ_DISABLE_OFFSET = 2 * SOFTIRQ_OFFSET;
constexpr u32 SOFTIRQ_MASK = 0xff00;
constexpr u32 HARDIRQ_OFFSET = 0x10000;
constexpr u32 HARDIRQ_MASK = 0xf0000;

inline u32 preempt_count()
{
    return this_cpu()->preempt_count;
}
/// In a hard-IRQ handler.
inline bool in_irq()
{
    return preempt_count() & HARDIRQ_MASK;
}
/// In hard IRQ, in softirq, or with BHs disabled (Linux's in_interrupt()).
inline bool in_interrupt()
{
    return preempt_count() & (HARDIRQ_MASK | SOFTIRQ_MASK);
}
/// Serving a softirq (not merely with BHs disabled).
inline bool in_serving_softirq()
{
    return preempt_count() & SOFTIRQ_OFFSET;
}
inline bool in_softirq()
{
    return preempt_count() & SOFTIRQ_MASK;
}
/// May not sleep here.
inline bool in_atomic()
{
    return preempt_count() != 0;
}

/// Keep softirqs off this CPU (process or softirq context; nests).
inline void local_bh_disable()
{
    this_cpu()->preempt_count += SOFTIRQ_DISABLE_OFFSET;
    compiler_barrier();
}
/// Undo local_bh_disable(); runs pending softirqs when the last level ends ("borrowed" process context). irq/softirq.cc
void local_bh_enable();
/// Undo without running softirqs (scheduler and __do_softirq internals).
inline void local_bh_enable_no_run()
{
    compiler_barrier();
    this_cpu()->preempt_count -= SOFTIRQ_DISABLE_OFFSET;
}

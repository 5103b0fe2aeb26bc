// SPDX-License-Identifier: MIT
// Softirqs as Linux 3.10's kernel/softirq.c (atlas §3): pending word per CPU, vectors run low to high with IRQs on,
// at most 10 rounds / 2 ms / until need_resched, then ksoftirqd/N.
#pragma once

#include "lib/preempt.h"
#include "trace/trace.h"

enum softirq_nr : unsigned {
    HI_SOFTIRQ,
    TIMER_SOFTIRQ,
    NET_TX_SOFTIRQ,
    NET_RX_SOFTIRQ,
    BLOCK_SOFTIRQ,
    BLOCK_IOPOLL_SOFTIRQ,
    TASKLET_SOFTIRQ,
    SCHED_SOFTIRQ,
    HRTIMER_SOFTIRQ,
    RCU_SOFTIRQ,
    NR_SOFTIRQS,
};
/// When __do_softirq stops and leaves the rest to ksoftirqd: rounds, and nanoseconds (atlas §1).
constexpr unsigned MAX_SOFTIRQ_RESTART = 10;
constexpr u64 MAX_SOFTIRQ_TIME = 2'000'000;
extern const char *const softirq_to_name[NR_SOFTIRQS];

/// One vector: its action and the action's name for the softirq_vec dump (row B-07).
struct softirq_action {
    void (*action)();
    const char *name;
};
extern softirq_action softirq_vec[NR_SOFTIRQS];

/// Install a vector's action. Boot.
void open_softirq(softirq_nr nr, void (*action)(), const char *name);
/// Mark pending on this CPU; IRQs off. Wakes ksoftirqd when not in interrupt (Linux raise_softirq_irqoff).
void raise_softirq_irqoff(softirq_nr nr);
void raise_softirq(softirq_nr nr);
/// Only set the bit; IRQs off (Linux __raise_softirq_irqoff).
inline void __raise_softirq_irqoff(softirq_nr nr)
{
    cpu_block *c = this_cpu();
    u32 bit = 1u << nr;
    if (c->softirq_pending & bit)
        return;
    c->softirq_pending |= bit;
    trace(trace_event::softirq_raise, nr, c->softirq_pending);
}
/// Run pending softirqs from process context unless in interrupt.
void do_softirq();
/// Handler invocations of vector nr on a CPU (/proc/softirqs).
u64 softirq_count(unsigned cpu, unsigned nr);
/// Early initcall: one ksoftirqd per CPU (rows B-02…B-04).
int spawn_ksoftirqd();
/// Times ksoftirqd/cpu found work (row B-02).
u64 ksoftirqd_runs(unsigned cpu);
/// True while the current code runs in ksoftirqd serving softirqs.
bool in_ksoftirqd();

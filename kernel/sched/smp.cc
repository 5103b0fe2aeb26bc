// SPDX-License-Identifier: MIT
// Inter-processor interrupts and calls on other CPUs. Linux: kernel/smp.c.
#include "irq/irq.h"
#include "lib/percpu.h"
#include "sched/rq.h"
#include <atomic>

struct ipi_counts {
    u64 n[static_cast<unsigned>(ipi::nr)] = {};
};
static percpu<ipi_counts> counts;

/// One call at a time: `call_lock` is held with IRQs on, so that waiting callers still serve their own interrupts.
static spinlock call_lock{"smp_call"};
static void (*call_fn)(void *);
static void *call_arg;
static std::atomic<u32> call_waiting{0};

u64 ipi_count(unsigned cpu, ipi kind)
{
    return counts.on(cpu).n[static_cast<unsigned>(kind)];
}

static void run_call()
{
    call_fn(call_arg);
    call_waiting.fetch_sub(1, std::memory_order_release);
}

/// Somebody queued work here or set our slice: schedule() on the way out if this CPU idles.
static void reschedule_here()
{
    run_queue *rq = this_rq();
    this_cpu()->need_resched = 1;
    if (rq->slice_end != ~u64{0})
        clock_event_at_most(rq->slice_end);
}

void handle_ipi(ipi kind, pt_regs *)
{
    irq_enter();
    counts->n[static_cast<unsigned>(kind)]++;
    switch (kind) {
    case ipi::reschedule:
        reschedule_here();
        break;
    case ipi::call_function:
        run_call();
        break;
    default:
        arch_stop_cpu();
    }
    irq_exit();
}

void smp_call_function(void (*f)(void *), void *arg)
{
    might_sleep();
    unsigned n = num_online_cpus();
    spin_guard<plain> g{call_lock};
    call_fn = f;
    call_arg = arg;
    u64 targets = sched_active_mask();
    unsigned me = smp_processor_id();
    targets &= ~(u64{1} << me);
    call_waiting.store(static_cast<u32>(__builtin_popcountll(targets)), std::memory_order_release);
    for (unsigned i = 0; i < n; i++)
        if (targets >> i & 1)
            arch_send_ipi(i, ipi::call_function);
    while (call_waiting.load(std::memory_order_acquire))
        cpu_relax();
}

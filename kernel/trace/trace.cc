// SPDX-License-Identifier: MIT
// Recording trace events into per-CPU rings. Any context, NMI excepted: IRQs are off for the few stores.
#include "trace/trace.h"
#include "lib/errno.h"
#include "lib/initcall.h"
#include "lib/percpu.h"
#include "lib/spinlock.h"
#include "lib/string.h"
#include "mm/page.h"
#include "sched/sched.h"
#include "trace/ring.h"
#include "trace/trace_text.h"

u64 trace_mask[4];
static_assert(NR_TRACE_EVENTS <= sizeof(trace_mask) * 8);

const trace_event_info trace_event_table[NR_TRACE_EVENTS] = {
#define TRACE_EVENT(name, ...) {#name, {__VA_ARGS__}},
#include "trace/events.h"
#undef TRACE_EVENT
};

static percpu<trace_ring> rings;
static std::atomic<u32> last_id{0};

trace_ring &trace_ring_of(unsigned cpu)
{
    return rings.on(cpu);
}

u32 trace_new_id()
{
    u32 id = last_id.fetch_add(1, std::memory_order_relaxed) + 1;
    return id ? id : trace_new_id(); // 0 means no packet
}

static trace_context context_now()
{
    u32 count = preempt_count();
    if (count & HARDIRQ_MASK)
        return trace_context::hardirq;
    if (!(count & SOFTIRQ_OFFSET))
        return trace_context::process;
    return current()->flags & PF_KSOFTIRQD ? trace_context::ksoftirqd : trace_context::softirq;
}

void trace_write(trace_event e, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5)
{
    irq_guard g;
    trace_ring &r = *rings;
    if (!r.records)
        return;
    trace_record &t = r.records[r.head & (r.size - 1)];
    write_once(t.seq, ~u64{0}); // a reader on another CPU must not take a half-written record
    smp_wmb();
    task_struct *task = current();
    t.time = arch_clock_ns();
    t.pid = task->pid;
    t.event = e;
    t.context = context_now();
    memcpy(t.comm, task->comm, sizeof(t.comm));
    u64 args[TRACE_ARGS] = {a0, a1, a2, a3, a4, a5};
    memcpy(t.args, args, sizeof(args));
    smp_wmb();
    write_once(t.seq, r.head);
    write_once(r.head, r.head + 1);
    r.contexts[static_cast<unsigned>(t.context)]++;
}

/// Rings of `per_cpu` records (a power of two) for CPUs [0, n). What was recorded is lost. Recording is off. [P]
static int allocate_rings(u32 per_cpu)
{
    size_t bytes = align_up(per_cpu * sizeof(trace_record), PAGE_SIZE);
    unsigned order = 0;
    while ((PAGE_SIZE << order) < bytes)
        order++;
    if (order >= MAX_ORDER)
        return -ENOMEM;
    for (unsigned cpu = 0; cpu < num_online_cpus(); cpu++) {
        void *p = get_free_pages(GFP_KERNEL | GFP_ZERO, order);
        if (!p)
            return -ENOMEM;
        trace_ring &r = rings.on(cpu);
        trace_record *old = r.records;
        r.records = static_cast<trace_record *>(p);
        r.size = per_cpu;
        r.head = 0;
        if (old)
            free_pages(old);
    }
    return 0;
}

u32 trace_ring_bytes()
{
    return static_cast<u32>(rings.on(0).size * sizeof(trace_record));
}

int trace_resize(u32 bytes)
{
    u32 records = 4096;
    while (records * sizeof(trace_record) < bytes && records < 32768)
        records *= 2;
    bool was_on = trace_is_on();
    trace_set_on(false);
    synchronize_rcu(); // writers run with IRQs off: none is left with the old ring
    int err = allocate_rings(records);
    trace_set_on(was_on);
    return err;
}

static int trace_init()
{
    return allocate_rings(8192);
}
core_initcall(trace_init);

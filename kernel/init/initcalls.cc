// SPDX-License-Identifier: MIT
// Running the initcalls in the order of their levels, and telling it (rows B-04, B-05). Linux:
// init/main.c do_initcalls(). [P]
#include "arch/arch.h"
#include "init/init.h"
#include "lib/preempt.h"
#include "lib/printk.h"

extern "C" const initcall __initcall_start[], __initcall_early_end[], __initcall_end[];

static initcall_record records[MAX_INITCALLS];
static unsigned nr_records;

unsigned initcall_records(const initcall_record **out)
{
    *out = records;
    return nr_records;
}

static void do_one_initcall(const initcall &c)
{
    u32 count = preempt_count();
    u64 start = arch_clock_ns();
    int ret = c.fn();
    u64 usecs = (arch_clock_ns() - start) / 1000;
    pr_info("initcall %s %s returned %d after %lu usecs\n", c.level, c.name, ret, usecs);
    if (nr_records < MAX_INITCALLS)
        records[nr_records++] = {&c, ret, usecs};
    if (preempt_count() != count || irqs_disabled()) {
        pr_err("initcall %s left interrupts or BHs disabled\n", c.name);
        this_cpu()->preempt_count = count;
        local_irq_enable();
    }
}

static void run(const initcall *from, const initcall *to)
{
    for (const initcall *c = from; c < to; c++)
        do_one_initcall(*c);
}

void do_pre_smp_initcalls()
{
    run(__initcall_start, __initcall_early_end);
}
void do_initcalls()
{
    run(__initcall_early_end, __initcall_end);
}

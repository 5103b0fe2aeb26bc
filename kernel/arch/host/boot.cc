// SPDX-License-Identifier: MIT
// Boot on the host: the order of init/main.cc, without init process and user mode.
#include "fs/fs.h"
#include "host.h"
#include "internal.h"
#include "lib/initcall.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "mm/vmalloc.h"
#include "sched/sched.h"

extern const initcall __initcall_start[], __initcall_end[];
static bool booted;

/// Every initcall of the image whose level is early, or is not. Sorted by level by the linker.
static void run_initcalls(bool early)
{
    for (const initcall *c = __initcall_start; c != __initcall_end; c++) {
        if (!strcmp(c->level, "early") != early)
            continue;
        int ret = c->fn();
        pr_debug("initcall %s %s returned %d\n", c->level, c->name, ret);
        if (ret)
            pr_err("initcall %s %s failed: %d\n", c->level, c->name, ret);
    }
}

/// A CPU's first code: on CPU 0 after sched_init, its idle loop.
static void idle_start()
{
    cpu_idle_loop();
}

void arch_smp_init()
{
    for (unsigned i = 1; i < host.cpus; i++) {
        host_vcpu &c = host.cpu[i];
        c.block.current = idle_task(i);
        c.running = c.block.current->thread.fiber = os_fiber_create(idle_start);
        c.started = true;
    }
}

static void kernel_init(void *)
{
    run_initcalls(true);
    arch_smp_init();
    run_initcalls(false);
    host_spawner_init();
    booted = true;
}

/// The boot CPU's first fiber: becomes its idle task.
static void boot_start()
{
    page_alloc_init();
    kmem_cache_init();
    vmalloc_init();
    sched_init();
    idle_task(0)->thread.fiber = host.cpu[0].running;
    timers_init();
    local_irq_enable();
    vfs_caches_init();
    task_struct *t = kthread_create(kernel_init, nullptr, -1, "kernel_init");
    BUG_ON(!t);
    wake_up_process(t);
    cpu_idle_loop();
}

void host_boot(const host_config &config)
{
    host.cpus = min(max(config.cpus, 1u), NR_CPUS);
    host_seed(config.seed);
    host.memory = config.memory;
    host.cmdline = config.cmdline;
    for (unsigned i = 0; i < NR_CPUS; i++) {
        host.cpu[i].block.self = &host.cpu[i].block;
        host.cpu[i].block.id = i;
    }
    os_ram_create(host.memory);
    host.cpu[0].running = os_fiber_create(boot_start);
    host.cpu[0].started = true;
    if (!host_run_until([](void *) { return booted; }, nullptr, HOST_NEVER))
        panic("host: boot did not end");
    host_run_until(nullptr, nullptr, 1000000);
}

void host_boot(unsigned ncpus, u64 seed)
{
    host_config c;
    c.cpus = ncpus;
    c.seed = seed;
    host_boot(c);
}

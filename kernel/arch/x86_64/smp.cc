// SPDX-License-Identifier: MIT
// Starting the other CPUs: INIT, startup IPI, trampoline (SDM vol. 3 §9.4.4). Boot CPU, after early
// initcalls; one after the other. Linux: arch/x86/kernel/smpboot.c.
#include "internal.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/vmalloc.h"
#include "sched/sched.h"

extern "C" {
extern const u8 trampoline_start[], trampoline_end[], trampoline_args[];
void secondary_entry64();
[[noreturn]] void x86_call_on_stack(u64 top, void (*f)());
}

namespace
{
constexpr phys_addr_t TRAMPOLINE = 0x8000; // trampoline.S
constexpr u32 ICR_INIT = 0x4500, ICR_STARTUP = 0x4600;
constexpr u64 START_TIMEOUT_US = 1'000'000;

/// What trampoline.S reads, in its order.
struct start_args {
    u64 pml4, cpu, stack, pgd, entry;
};

bool wait_online(x86_cpu &c, u64 us)
{
    u64 end = arch_clock_ns() + us * 1000;
    while (!c.online.load(std::memory_order_acquire)) {
        if (arch_clock_ns() > end)
            return false;
        cpu_relax();
    }
    return true;
}

bool start_cpu(unsigned cpu, u32 id)
{
    x86_cpu &c = x86_cpus[cpu];
    void *stack = stack_alloc();
    if (!stack || !cpu_alloc_stacks(cpu))
        return false;
    task_struct *idle = idle_task(cpu);
    idle->stack = stack;
    c.kernel_sp = reinterpret_cast<u64>(stack) + THREAD_SIZE;
    c.block.self = &c.block;
    c.block.id = cpu;
    c.block.current = idle;
    c.apic_id = id;
    start_args a{image_phys(boot_pml4), reinterpret_cast<u64>(&c), c.kernel_sp, arch_kernel_pgd(),
                 reinterpret_cast<u64>(&secondary_entry64)};
    memcpy(phys_to_virt(TRAMPOLINE + static_cast<u64>(trampoline_args - trampoline_start)), &a,
           sizeof(a));
    smp_mb();
    apic_send(id, ICR_INIT);
    arch_udelay(10);
    // The second startup IPI is for hardware that missed the first.
    for (int tries = 0; tries < 2; tries++) {
        apic_send(id, ICR_STARTUP | TRAMPOLINE >> 12);
        if (wait_online(c, tries ? START_TIMEOUT_US : 200'000))
            return true;
    }
    return false;
}
} // namespace

/// On the started CPU, on its idle stack and the kernel's tables.
extern "C" [[noreturn]] void x86_secondary_start(x86_cpu *c, u64, u64 pgd)
{
    wrmsr(MSR_GS_BASE, reinterpret_cast<u64>(c));
    cpu_init(c->block.id);
    c->active_pgd = pgd;
    apic_init_cpu(false);
    c->online.store(1, std::memory_order_release);
    while (read_once(nr_cpus) <= c->block.id)
        cpu_relax(); // until the boot CPU has counted us
    secondary_start_kernel();
}

void arch_boot_cpu_idle()
{
    void *stack = stack_alloc();
    if (!stack)
        panic("no memory for the idle stack");
    idle_task(0)->stack = stack;
    x86_call_on_stack(reinterpret_cast<u64>(stack) + THREAD_SIZE - 16, &cpu_idle_loop);
}

void arch_smp_init()
{
    memcpy(phys_to_virt(TRAMPOLINE), trampoline_start,
           static_cast<size_t>(trampoline_end - trampoline_start));
    for (unsigned i = 0; i < acpi.nr_cpus; i++) {
        u32 id = acpi.apic_ids[i];
        if (id == x86_cpus[0].apic_id)
            continue;
        if (!start_cpu(nr_cpus, id)) {
            pr_err("smp: CPU with APIC id %u did not start\n", id);
            x86_cpus[nr_cpus].online.store(0, std::memory_order_relaxed);
            continue;
        }
        write_once(nr_cpus, nr_cpus + 1);
    }
    pr_info("smp: Brought up %u CPU%s\n", nr_cpus, nr_cpus == 1 ? "" : "s");
}

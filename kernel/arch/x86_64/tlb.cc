// SPDX-License-Identifier: MIT
// TLB shoot-down by inter-processor interrupt, switching address spaces, device mappings. Linux:
// arch/x86/mm/tlb.c. One request at a time: shoot_lock is held with IRQs on, so that CPUs waiting
// for it still serve requests.
#include "internal.h"
#include "lib/spinlock.h"
#include "mm/mm.h"
#include "mm/vmalloc.h"
#include "pgtable.h"

namespace
{
constexpr u64 FLUSH_ALL_ABOVE = 32; // pages

/// What other CPUs are asked to do.
struct request {
    u64 start = 0, end = 0;
    bool kernel = false;
    arch_pgd drop = 0; // leave these tables; 0: flush [start,end)
};
constinit request req;
std::atomic<u32> waiting; // who has not done it yet
spinlock shoot_lock{"tlb_shoot"};

void flush_all(bool global)
{
    if (global && x86_features_found.pge) {
        u64 cr4 = read_cr4();
        write_cr4(cr4 & ~CR4_PGE);
        write_cr4(cr4);
    } else {
        write_cr3(read_cr3());
    }
}

void flush_local(u64 start, u64 end, bool kernel)
{
    if ((end - start) / PAGE_SIZE > FLUSH_ALL_ABOVE) {
        flush_all(kernel);
        return;
    }
    for (u64 va = align_down(start, PAGE_SIZE); va < end; va += PAGE_SIZE)
        invlpg(va);
}

/// Leave `pgd` if it is loaded here (a kernel thread kept its predecessor's tables). IRQs off.
void leave(arch_pgd pgd)
{
    if (this_x86_cpu()->active_pgd == pgd)
        arch_activate_mm(nullptr);
}

/// Let every CPU in `mask`, which are others than this one, do `what`, and wait until all have. IRQs on.
void shoot(u32 mask, const request &what)
{
    if (!mask)
        return; // mostly: nobody needs to wait for the lock
    spin_guard<plain> g{shoot_lock};
    req = what;
    waiting.store(mask, std::memory_order_seq_cst);
    for (u32 m = mask; m; m &= m - 1)
        apic_send(x86_cpus[__builtin_ctz(m)].apic_id, VECTOR_TLB);
    while (waiting.load(std::memory_order_acquire))
        cpu_relax();
}

u32 others_online()
{
    u32 m = 0;
    for (unsigned i = 0; i < nr_cpus; i++)
        if (x86_cpus[i].online.load(std::memory_order_relaxed))
            m |= 1u << i;
    return m & ~(1u << smp_processor_id());
}
} // namespace

void tlb_handle_ipi()
{
    if (!(waiting.load(std::memory_order_acquire) >> smp_processor_id() & 1))
        return;
    if (req.drop)
        leave(req.drop);
    else
        flush_local(req.start, req.end, req.kernel);
    waiting.fetch_and(~(1u << smp_processor_id()), std::memory_order_release);
}

void arch_flush_tlb(mm_struct *mm, u64 start, u64 end)
{
    // The page-table stores come before the look at who has the tables loaded; arch_activate_mm()
    // does it the other way round.
    smp_mb();
    if (this_x86_cpu()->active_mm == mm)
        flush_local(start, end, false);
    shoot(mm->cpus.load(std::memory_order_seq_cst) & ~(1u << smp_processor_id()),
          {.start = start, .end = end});
}

void arch_flush_tlb_kernel(u64 start, u64 end)
{
    flush_local(start, end, true);
    shoot(others_online(), {.start = start, .end = end, .kernel = true});
}

void tlb_drop_pgd(arch_pgd pgd)
{
    {
        irq_guard g;
        leave(pgd);
    }
    u32 mask = 0;
    for (u32 m = others_online(); m; m &= m - 1)
        if (read_once(x86_cpus[__builtin_ctz(m)].active_pgd) == pgd)
            mask |= m & -m;
    shoot(mask, {.drop = pgd});
}

void arch_activate_mm(mm_struct *mm)
{
    x86_cpu *cpu = this_x86_cpu();
    mm_struct *old = cpu->active_mm;
    if (old == mm && cpu->active_pgd)
        return;
    u32 bit = 1u << cpu->block.id;
    if (mm)
        mm->cpus.fetch_or(
            bit, std::memory_order_seq_cst); // before CR3: from now on requests reach this CPU
    cpu->active_mm = mm;
    cpu->active_pgd = mm ? mm->pgd : arch_kernel_pgd();
    write_cr3(cpu->active_pgd);
    if (old)
        old->cpus.fetch_and(~bit, std::memory_order_seq_cst);
}

void *ioremap(phys_addr_t p, size_t size)
{
    phys_addr_t base = align_down(p, PAGE_SIZE);
    size_t len = align_up(p + size, PAGE_SIZE) - base;
    u64 va = size && p + size > p ? vmap_reserve(len) : 0;
    if (!va)
        return nullptr;
    for (u64 off = 0; off < len; off += PAGE_SIZE)
        if (!arch_map_page(arch_kernel_pgd(), va + off, base + off,
                           PROT_READ_ | PROT_WRITE_ | PROT_NC_))
            return nullptr;
    return reinterpret_cast<void *>(va + (p - base));
}

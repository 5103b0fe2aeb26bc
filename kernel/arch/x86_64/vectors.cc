// SPDX-License-Identifier: MIT
// Device interrupt vectors: each CPU has its own space, an interrupt owns one vector of one CPU.
// When it moves, its old vector stays valid until the next move, so that a message already under
// way is still delivered. Also the IO-APIC (82093AA). vector_lock protects all; [P]. Linux:
// arch/x86/kernel/apic/vector.c, io_apic.c.
#include "internal.h"
#include "irq/irq.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/spinlock.h"

namespace
{
struct slot {
    u8 cpu, vector; // vector 0: none
};
/// Where interrupt n is delivered, and where it was before.
struct route {
    slot now, before;
} routes[NR_IRQS];
spinlock vector_lock{"vectors"};

u8 *ioapic;
unsigned ioapic_entries;
spinlock ioapic_lock{"ioapic"};
constexpr u32 IOAPIC_VERSION = 1, IOAPIC_TABLE = 0x10, IOAPIC_MASKED = 0x10000;

void release(slot &s)
{
    if (s.vector)
        x86_cpus[s.cpu].vector_irq[s.vector] = 0;
    s = {};
}

u32 ioapic_read(u32 reg)
{
    mmio_write32(ioapic, reg);
    return mmio_read32(ioapic + 0x10);
}
void ioapic_write(u32 reg, u32 v)
{
    mmio_write32(ioapic, reg);
    mmio_write32(ioapic + 0x10, v);
}
} // namespace

int vector_alloc(unsigned irq, unsigned cpu)
{
    if (irq >= NR_IRQS || cpu >= nr_cpus)
        return -EINVAL;
    spin_guard<irqsave> g{vector_lock};
    x86_cpu &c = x86_cpus[cpu];
    for (unsigned v = VECTOR_DEVICE_FIRST; v <= VECTOR_DEVICE_LAST; v++) {
        if (c.vector_irq[v])
            continue;
        release(routes[irq].before);
        routes[irq].before = routes[irq].now;
        routes[irq].now = {static_cast<u8>(cpu), static_cast<u8>(v)};
        c.vector_irq[v] = static_cast<u16>(irq + 1); // 0 means free
        return static_cast<int>(v);
    }
    return -ENOSPC;
}

int arch_setup_msi(unsigned irq, unsigned cpu, msi_msg *msg)
{
    // Without interrupt remapping a message names an 8-bit APIC id (SDM vol. 3 §11.11.1).
    if (cpu >= nr_cpus || x86_cpus[cpu].apic_id > 255)
        return -ENOSPC;
    int v = vector_alloc(irq, cpu);
    if (v < 0)
        return v;
    msg->address = 0xfee00000 | u64{x86_cpus[cpu].apic_id} << 12;
    msg->data = static_cast<u32>(v);
    return 0;
}

void arch_free_msi(unsigned irq)
{
    if (irq >= NR_IRQS)
        return;
    spin_guard<irqsave> g{vector_lock};
    release(routes[irq].before);
    release(routes[irq].now);
}

void ioapic_init()
{
    if (!acpi.ioapic)
        return;
    ioapic = static_cast<u8 *>(ioremap(acpi.ioapic, PAGE_SIZE));
    if (!ioapic)
        return;
    ioapic_entries = (ioapic_read(IOAPIC_VERSION) >> 16 & 0xff) + 1;
    for (unsigned i = 0; i < ioapic_entries; i++)
        ioapic_write(IOAPIC_TABLE + 2 * i, IOAPIC_MASKED);
}

int ioapic_route(unsigned gsi, u8 vector, u32 dest, u16 flags)
{
    unsigned pin = gsi - acpi.ioapic_gsi_base;
    if (!ioapic || gsi < acpi.ioapic_gsi_base || pin >= ioapic_entries)
        return -ENODEV;
    u32 low = vector;
    if ((flags & 3) == 3)
        low |= 1 << 13; // active low
    if ((flags >> 2 & 3) == 3)
        low |= 1 << 15; // level
    spin_guard<irqsave> g{ioapic_lock};
    ioapic_write(IOAPIC_TABLE + 2 * pin, IOAPIC_MASKED);
    ioapic_write(IOAPIC_TABLE + 2 * pin + 1, dest << 24);
    ioapic_write(IOAPIC_TABLE + 2 * pin, low);
    return 0;
}

int arch_setup_gsi(unsigned gsi, unsigned irq, unsigned cpu)
{
    u16 flags = 0;
    if (gsi < 16) {
        flags = acpi.isa_irq[gsi].flags;
        gsi = acpi.isa_irq[gsi].gsi;
    }
    if (cpu >= nr_cpus || x86_cpus[cpu].apic_id > 255)
        return -EINVAL;
    int v = vector_alloc(irq, cpu);
    return v < 0 ? v : ioapic_route(gsi, static_cast<u8>(v), x86_cpus[cpu].apic_id, flags);
}

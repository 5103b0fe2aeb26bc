// SPDX-License-Identifier: MIT
// Interrupt descriptors, dispatch and affinity. Linux: kernel/irq/{irqdesc,manage,handle,chip}.c.
// desc.lock protects configuration; do_irq() reads the action without it: free_irq() waits until no CPU runs it.
#include "irq/irq.h"
#include "irq/softirq.h"
#include "lib/printk.h"
#include "lib/spinlock.h"

struct irq_desc {
    irq_handler handler = nullptr;
    void *dev_id = nullptr;
    const char *name = nullptr;
    const irq_chip *chip = nullptr;
    void *chip_data = nullptr;
    u32 cpu = 0;
    bool used = false, msi = false;
    std::atomic<u32> running{0};
    u64 count[NR_CPUS] = {};
};
static irq_desc descs[NR_IRQS];
static spinlock desc_lock{"irq_desc"};
static std::atomic<u64> spurious{0};

/// ISA interrupts keep their numbers, message-signalled ones start above them.
static constexpr unsigned FIRST_MSI = 24;
static constexpr const char *GSI_CHIP = "IO-APIC-edge";

void do_irq(unsigned irq, pt_regs *)
{
    irq_enter();
    irq_desc &d = descs[irq % NR_IRQS];
    d.running.fetch_add(1, std::memory_order_acquire);
    d.count[smp_processor_id()]++;
    if (irq_handler h = __atomic_load_n(&d.handler, __ATOMIC_ACQUIRE)) [[likely]] {
        trace(trace_event::irq_handler_entry, irq, reinterpret_cast<void *>(h), d.name);
        h(irq, d.dev_id);
        trace(trace_event::irq_handler_exit, irq);
    } else {
        spurious.fetch_add(1, std::memory_order_relaxed);
    }
    d.running.fetch_sub(1, std::memory_order_release);
    irq_exit();
}

/// A free number in [from, NR_IRQS), marked used. desc_lock held.
static int claim(unsigned from)
{
    for (unsigned i = from; i < NR_IRQS; i++)
        if (!descs[i].used) {
            descs[i].used = true;
            return static_cast<int>(i);
        }
    return -1;
}

static void release(unsigned irq)
{
    spin_guard<irqsave> g{desc_lock};
    irq_desc &d = descs[irq];
    d.used = d.msi = false;
    d.chip = nullptr;
    d.chip_data = nullptr;
    for (u64 &c : d.count)
        c = 0;
}

result<unsigned> irq_alloc_msi(const irq_chip *chip, void *chip_data, unsigned cpu)
{
    if (cpu >= num_online_cpus())
        return error{EINVAL};
    int irq;
    {
        spin_guard<irqsave> g{desc_lock};
        irq = claim(FIRST_MSI);
    }
    if (irq < 0)
        return error{ENOSPC};
    unsigned n = static_cast<unsigned>(irq);
    msi_msg msg;
    if (arch_setup_msi(n, cpu, &msg) < 0) {
        release(n);
        return error{ENOSPC};
    }
    irq_desc &d = descs[n];
    d.chip = chip;
    d.chip_data = chip_data;
    d.cpu = cpu;
    d.msi = true;
    if (chip->write_msi_msg)
        chip->write_msi_msg(chip_data, msg);
    return n;
}

void irq_free_msi(unsigned irq)
{
    if (irq >= NR_IRQS || !descs[irq].msi)
        return;
    BUG_ON(descs[irq].handler);
    arch_free_msi(irq);
    release(irq);
}

result<unsigned> irq_alloc_gsi(unsigned gsi, unsigned cpu)
{
    if (gsi >= FIRST_MSI || cpu >= num_online_cpus())
        return error{EINVAL};
    {
        spin_guard<irqsave> g{desc_lock};
        if (descs[gsi].used)
            return error{EBUSY};
        descs[gsi].used = true;
    }
    if (int err = arch_setup_gsi(gsi, gsi, cpu)) {
        release(gsi);
        return error{static_cast<errno_t>(-err)};
    }
    descs[gsi].cpu = cpu;
    return gsi;
}

static void set_mask(irq_desc &d, bool masked)
{
    if (d.chip && d.chip->mask)
        d.chip->mask(d.chip_data, masked);
}

result<void> request_irq(unsigned irq, irq_handler h, const char *name, void *dev_id)
{
    if (irq >= NR_IRQS || !h)
        return error{EINVAL};
    irq_desc &d = descs[irq];
    {
        spin_guard<irqsave> g{desc_lock};
        if (!d.used)
            return error{EINVAL};
        if (d.handler)
            return error{EBUSY};
        d.dev_id = dev_id;
        d.name = name;
        __atomic_store_n(&d.handler, h, __ATOMIC_RELEASE);
    }
    set_mask(d, false);
    return {};
}

void free_irq(unsigned irq, void *dev_id)
{
    if (irq >= NR_IRQS)
        return;
    irq_desc &d = descs[irq];
    if (WARN_ON_ONCE(!d.handler || d.dev_id != dev_id))
        return;
    set_mask(d, true);
    {
        spin_guard<irqsave> g{desc_lock};
        __atomic_store_n(&d.handler, nullptr, __ATOMIC_SEQ_CST);
    }
    while (d.running.load(std::memory_order_seq_cst))
        cpu_relax();
    d.name = nullptr;
    d.dev_id = nullptr;
}

result<void> irq_set_affinity(unsigned irq, u64 mask)
{
    mask &= (u64{1} << num_online_cpus()) - 1;
    if (irq >= NR_IRQS || !descs[irq].used)
        return error{EINVAL};
    if (!mask)
        return error{EINVAL};
    irq_desc &d = descs[irq];
    unsigned cpu = static_cast<unsigned>(__builtin_ctzll(mask));
    if (!d.msi) {
        if (int err = arch_setup_gsi(irq, irq, cpu))
            return error{static_cast<errno_t>(-err)};
        d.cpu = cpu;
        return {};
    }
    // The old vector stays valid until the device has the new message: nothing is lost in between.
    msi_msg msg;
    if (int err = arch_setup_msi(irq, cpu, &msg))
        return error{static_cast<errno_t>(-err)};
    d.cpu = cpu;
    set_mask(d, true);
    if (d.chip->write_msi_msg)
        d.chip->write_msi_msg(d.chip_data, msg);
    set_mask(d, false);
    return {};
}

u64 irq_get_affinity(unsigned irq)
{
    return irq < NR_IRQS && descs[irq].used ? u64{1} << descs[irq].cpu : 0;
}

bool irq_get_info(unsigned irq, irq_info *out)
{
    if (irq >= NR_IRQS || !descs[irq].used)
        return false;
    irq_desc &d = descs[irq];
    out->name = d.name;
    out->chip = d.chip ? d.chip->name : GSI_CHIP;
    for (unsigned i = 0; i < NR_CPUS; i++)
        out->count[i] = read_once(d.count[i]);
    out->affinity = u64{1} << d.cpu;
    return true;
}

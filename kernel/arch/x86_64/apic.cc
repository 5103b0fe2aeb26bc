// SPDX-License-Identifier: MIT
// Local APIC (SDM vol. 3 §11): the memory-mapped xAPIC, or x2APIC where that does not suffice.
// Interprocessor interrupts, EOI, the one-shot timer. Own CPU only, except that sending is to
// others. Any context.
#include "internal.h"
#include "lib/printk.h"
#include "lib/spinlock.h"
#include "time/time.h"

namespace
{
enum apic_reg : u32 {
    APIC_ID = 0x20,
    APIC_TPR = 0x80,
    APIC_EOI = 0xb0,
    APIC_SVR = 0xf0,
    APIC_ESR = 0x280,
    APIC_ICR = 0x300,
    APIC_ICR_HIGH = 0x310,
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_LVT_ERROR = 0x370,
    APIC_TIMER_INIT = 0x380,
    APIC_TIMER_CURRENT = 0x390,
    APIC_TIMER_DIV = 0x3e0,
};
constexpr u32 LVT_MASKED = 0x10000, LVT_TSC_DEADLINE = 0x40000, SVR_ENABLE = 0x100,
              ICR_PENDING = 0x1000;
constexpr u32 DIVIDE_BY_1 = 0xb;
constexpr u64 APIC_BASE_ENABLE = 0x800, APIC_BASE_X2APIC = 0x400;

bool x2apic, deadline_mode;
u8 *mmio;
u64 timer_mult; // counts = ns * mult >> 32
constexpr u64 MAX_SLEEP_NS = 4'000'000'000;

void write(apic_reg r, u32 v)
{
    if (x2apic)
        wrmsr(MSR_X2APIC + (r >> 4), v);
    else
        mmio_write32(mmio + r, v);
}
u32 read(apic_reg r)
{
    return x2apic ? static_cast<u32>(rdmsr(MSR_X2APIC + (r >> 4))) : mmio_read32(mmio + r);
}
} // namespace

/// x2APIC only where xAPIC cannot do: the firmware has switched already, or an id does not fit 8
/// bits. (QEMU's instruction counter does not stand reading the timer through an MSR; memory-mapped
/// registers are safe everywhere.)
static bool want_x2apic(u64 base)
{
    if (!x86_features_found.x2apic)
        return false;
    if (base & APIC_BASE_X2APIC)
        return true;
    for (unsigned i = 0; i < acpi.nr_cpus; i++)
        if (acpi.apic_ids[i] > 254)
            return true;
    return false;
}

void apic_init_cpu(bool boot_cpu)
{
    u64 base = rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;
    if (boot_cpu) {
        x2apic = want_x2apic(base);
        if (!x2apic)
            mmio = static_cast<u8 *>(ioremap(acpi.lapic, PAGE_SIZE));
        if (!x2apic && !mmio)
            panic("cannot map the local APIC");
    }
    wrmsr(MSR_APIC_BASE, base);
    if (x2apic)
        wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
    write(APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
    write(APIC_TPR, 0);
    write(APIC_LVT_LINT0, LVT_MASKED);
    write(APIC_LVT_LINT1, LVT_MASKED);
    write(APIC_LVT_ERROR, VECTOR_ERROR);
    write(APIC_TIMER_DIV, DIVIDE_BY_1);
    deadline_mode = x86_features_found.tsc_deadline;
    write(APIC_LVT_TIMER, VECTOR_TIMER | (deadline_mode ? LVT_TSC_DEADLINE : 0));
    this_x86_cpu()->apic_id = apic_id();
}

u32 apic_id()
{
    return x2apic ? read(APIC_ID) : read(APIC_ID) >> 24;
}

void apic_eoi()
{
    write(APIC_EOI, 0);
}

void apic_send(u32 dest, u32 icr_low)
{
    if (x2apic) {
        // The WRMSR is not serialising: what the target will look at must be visible first.
        __asm__ volatile("mfence; lfence" ::: "memory");
        wrmsr(MSR_X2APIC + (APIC_ICR >> 4), u64{dest} << 32 | icr_low);
        return;
    }
    irq_guard g; // the two halves belong together
    while (mmio_read32(mmio + APIC_ICR) & ICR_PENDING)
        cpu_relax();
    mmio_write32(mmio + APIC_ICR_HIGH, dest << 24);
    mmio_write32(mmio + APIC_ICR, icr_low);
}

void arch_send_ipi(unsigned cpu, ipi kind)
{
    if (cpu < nr_cpus)
        apic_send(x86_cpus[cpu].apic_id, VECTOR_IPI + static_cast<u32>(kind));
}

void apic_timer_calibrated(u64 hz)
{
    timer_mult = (hz << 32) / NSEC_PER_SEC;
    pr_info("apic: %s, timer %lu.%03lu MHz%s\n", x2apic ? "x2APIC" : "xAPIC", hz / 1000000,
            hz / 1000 % 1000, deadline_mode ? ", TSC deadline" : "");
}
void apic_timer_oneshot(u32 count, bool masked)
{
    write(APIC_LVT_TIMER, VECTOR_TIMER | (masked ? LVT_MASKED : 0));
    write(APIC_TIMER_INIT, count);
}
void apic_timer_restore_mode()
{
    write(APIC_LVT_TIMER, VECTOR_TIMER | (deadline_mode ? LVT_TSC_DEADLINE : 0));
}
u32 apic_timer_count()
{
    return read(APIC_TIMER_CURRENT);
}

void arch_timer_program(u64 deadline_ns)
{
    if (deadline_mode) {
        wrmsr(MSR_TSC_DEADLINE, deadline_ns == ~u64{0} ? 0 : tsc_of_ns(deadline_ns));
        return;
    }
    if (deadline_ns == ~u64{0}) {
        write(APIC_TIMER_INIT, 0);
        return;
    }
    u64 now = arch_clock_ns();
    u64 delta = deadline_ns > now ? min(deadline_ns - now, MAX_SLEEP_NS) : 0;
    u64 count = static_cast<u64>(static_cast<unsigned __int128>(delta) * timer_mult >> 32) + 1;
    write(APIC_TIMER_INIT, static_cast<u32>(min(count, 0xffffffff)));
}

// SPDX-License-Identifier: MIT
// Time: the TSC as clock, calibrated once at boot against the ACPI PM timer (or the PIT), and with
// it the local APIC timer; the RTC's date. All CPUs read the same TSC. Linux:
// arch/x86/kernel/tsc.c, rtc.c.
#include "internal.h"
#include "lib/printk.h"
#include "time/time.h"

u64 tsc_khz;

namespace
{
constexpr u64 PM_TIMER_HZ = 3'579'545, PIT_HZ = 1'193'182;
constexpr u64 CALIBRATION_US = 5000;

u64 tsc_base, tsc_mult; // ns = (tsc - base) * mult >> 32

using u128 = unsigned __int128;

/// a * b / c in 128 bits; the quotient must fit.
u64 mul_div(u64 a, u64 b, u64 c)
{
    u64 quotient, remainder;
    u128 p = u128{a} * b;
    __asm__("divq %4"
            : "=a"(quotient), "=d"(remainder)
            : "a"(static_cast<u64>(p)), "d"(static_cast<u64>(p >> 64)), "r"(c)
            : "cc");
    return quotient;
}

/// A reference counter read together with the TSC: of a few tries the one that took least, so that
/// an interruption of this virtual CPU between the two reads does not count.
struct sample {
    u64 ref, tsc;
    u32 apic;
};

u64 read_pit()
{
    outb(0x43, 0); // latch channel 0
    u64 lo = inb(0x40);
    return lo | u64{inb(0x40)} << 8;
}

sample take_sample()
{
    sample best{};
    u64 best_cost = ~u64{0};
    for (int i = 0; i < 5; i++) {
        u64 before = arch_cycles();
        u64 ref = acpi.pm_timer_port ? inl(acpi.pm_timer_port) & 0xffffff : read_pit();
        u64 after = arch_cycles();
        u32 apic = apic_timer_count();
        if (after - before < best_cost) {
            best_cost = after - before;
            best = {ref, before + (after - before) / 2, apic};
        }
    }
    return best;
}

/// Reference ticks between two samples; both counters wrap far beyond the calibration time.
u64 ref_ticks(const sample &a, const sample &b)
{
    return acpi.pm_timer_port ? (b.ref - a.ref) & 0xffffff : (a.ref - b.ref) & 0xffff;
}
} // namespace

void clock_calibrate()
{
    u64 ref_hz = acpi.pm_timer_port ? PM_TIMER_HZ : PIT_HZ;
    if (!acpi.pm_timer_port) {
        outb(0x43, 0x34); // channel 0, rate generator, full range
        outb(0x40, 0);
        outb(0x40, 0);
    }
    apic_timer_oneshot(0xffffffff, true);
    sample a = take_sample(), b;
    u64 ticks;
    do {
        cpu_relax();
        b = take_sample();
        ticks = ref_ticks(a, b);
    } while (ticks < ref_hz * CALIBRATION_US / 1'000'000);
    apic_timer_oneshot(0, true);
    apic_timer_restore_mode();
    u64 hz = mul_div(b.tsc - a.tsc, ref_hz, ticks);
    // An instruction-counted virtual machine has a TSC of exactly 1 GHz; the measurement's error
    // would be all that is wrong.
    if (hz > 999'500'000 && hz < 1'000'500'000)
        hz = 1'000'000'000;
    u64 apic_hz = mul_div(a.apic - b.apic, ref_hz, ticks);
    tsc_khz = hz / 1000;
    tsc_base = a.tsc;
    tsc_mult = mul_div(NSEC_PER_SEC, u64{1} << 32, hz);
    pr_info("tsc: %lu.%03lu MHz by the %s\n", tsc_khz / 1000, tsc_khz % 1000,
            acpi.pm_timer_port ? "ACPI PM timer" : "PIT");
    apic_timer_calibrated(apic_hz);
}

u64 arch_clock_ns()
{
    return arch_cycles_to_ns(arch_cycles() - tsc_base);
}

u64 arch_cycles_to_ns(u64 cycles)
{
    return static_cast<u64>(u128{cycles} * tsc_mult >> 32);
}

u64 tsc_of_ns(u64 ns)
{
    return tsc_base + mul_div(ns, u64{1} << 32, tsc_mult) + 1;
}

void arch_udelay(u64 us)
{
    u64 end = arch_clock_ns() + us * NSEC_PER_USEC;
    while (arch_clock_ns() < end)
        cpu_relax();
}

// --- Real-time clock (MC146818)
// --------------------------------------------------------------------------------

static u8 rtc_read(u8 reg)
{
    outb(0x70, reg | 0x80);
    return inb(0x71);
}

struct rtc_time {
    u8 second, minute, hour, day, month, year;
    bool operator==(const rtc_time &) const = default;
};

static rtc_time rtc_snapshot()
{
    for (int i = 0; i < 10000 && (rtc_read(0x0a) & 0x80); i++)
        cpu_relax(); // update in progress
    return {rtc_read(0), rtc_read(2), rtc_read(4), rtc_read(7), rtc_read(8), rtc_read(9)};
}

static u8 from_bcd(u8 v)
{
    return static_cast<u8>((v >> 4) * 10 + (v & 15));
}

/// Days since 1970-01-01 of a civil date (proleptic Gregorian calendar), years from 1970 on.
static u64 days_from_civil(u64 y, u64 m, u64 d)
{
    u64 shifted = m <= 2 ? y - 1 : y; // years start in March, so that the leap day is last
    u64 month = m <= 2 ? m + 9 : m - 3;
    return 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + (153 * month + 2) / 5 + d -
           1 - 719468;
}

u64 arch_boot_epoch_s()
{
    rtc_time t = rtc_snapshot(), again = rtc_snapshot();
    for (int i = 0; i < 5 && !(t == again); i++) {
        t = again;
        again = rtc_snapshot();
    }
    u8 mode = rtc_read(0x0b);
    bool pm = t.hour & 0x80;
    t.hour &= 0x7f;
    if (!(mode & 4))
        t = {from_bcd(t.second), from_bcd(t.minute), from_bcd(t.hour),
             from_bcd(t.day),    from_bcd(t.month),  from_bcd(t.year)};
    if (!(mode & 2))
        t.hour = static_cast<u8>(t.hour % 12 + (pm ? 12 : 0));
    u64 days = days_from_civil(2000 + t.year, t.month, t.day);
    return ((days * 24 + t.hour) * 60 + t.minute) * 60 + t.second - arch_clock_ns() / NSEC_PER_SEC;
}

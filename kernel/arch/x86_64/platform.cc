// SPDX-License-Identifier: MIT
// The PC around the CPU: console port, power off, restart, stopping a CPU, bringing up the platform
// in order. Any context for console and the ways out.
#include "internal.h"
#include "lib/printk.h"

void arch_platform_init()
{
    acpi_init();
    apic_init_cpu(true);
    ioapic_init();
    clock_calibrate();
    // The boot CPU's exception stacks get guard pages.
    if (!cpu_alloc_stacks(0))
        panic("no memory for exception stacks");
}

namespace
{
constexpr u16 COM1 = 0x3f8;
enum uart_reg : u16 {
    UART_TX = 0,
    UART_IER = 1,
    UART_FCR = 2,
    UART_LCR = 3,
    UART_MCR = 4,
    UART_LSR = 5,
    UART_SCR = 7
};
constexpr u8 LSR_THRE = 0x20;
constexpr unsigned FIFO_DEPTH = 16;
bool uart_present;
} // namespace

/// 115200 8N1, FIFOs on, interrupts off. Called before everything else.
void early_console_init()
{
    outb(COM1 + UART_SCR, 0x5a);
    uart_present = inb(COM1 + UART_SCR) == 0x5a;
    if (!uart_present)
        return;
    outb(COM1 + UART_IER, 0);
    outb(COM1 + UART_LCR, 0x80);
    outb(COM1 + UART_TX, 1);
    outb(COM1 + UART_IER, 0);
    outb(COM1 + UART_LCR, 3);
    outb(COM1 + UART_FCR, 7);
    outb(COM1 + UART_MCR, 0x0b); // DTR, RTS, OUT2: interrupts reach the IO-APIC
}

static void wait_transmitter()
{
    // Minutes: who reads the other end may be slow, and what is written too early is lost. Not for ever: a UART may be broken.
    for (unsigned i = 0; i < 100'000'000 && !(inb(COM1 + UART_LSR) & LSR_THRE); i++)
        cpu_relax();
}

void arch_console_write(const char *s, size_t n)
{
    if (!uart_present)
        return;
    unsigned room = 0;
    auto put = [&room](char c) {
        if (!room) {
            wait_transmitter(); // empty: the whole FIFO is free
            room = FIFO_DEPTH;
        }
        outb(COM1 + UART_TX, static_cast<u8>(c));
        room--;
    };
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\n')
            put('\r');
        put(s[i]);
    }
}

void arch_stop_cpu()
{
    local_irq_disable();
    this_x86_cpu()->online.store(0, std::memory_order_relaxed);
    for (;;)
        __asm__ volatile("hlt");
}

void arch_power_off()
{
    local_irq_disable();
    wait_transmitter();
    if (acpi.has_s5) {
        constexpr u16 SLP_EN = 1 << 13;
        if (acpi.pm1a_cnt)
            outw(acpi.pm1a_cnt, static_cast<u16>(SLP_EN | acpi.slp_typa << 10));
        if (acpi.pm1b_cnt)
            outw(acpi.pm1b_cnt, static_cast<u16>(SLP_EN | acpi.slp_typb << 10));
    }
    // The machine goes off when it gets to it: this CPU may run on for a while.
    constexpr u64 PATIENCE_US = 2'000'000;
    arch_udelay(PATIENCE_US);
    printk(KERN_EMERG, "Power off is not possible; halted\n");
    arch_stop_cpu();
}

void arch_restart()
{
    local_irq_disable();
    if (acpi.has_reset && acpi.reset_space == 1)
        outb(static_cast<u16>(acpi.reset_addr), acpi.reset_value);
    outb(0xcf9, 2); // PCH reset control: hard reset
    outb(0xcf9, 6);
    for (int i = 0; i < 10000 && (inb(0x64) & 2); i++)
        cpu_relax();
    outb(0x64, 0xfe); // keyboard controller pulses the reset line
    struct [[gnu::packed]] {
        u16 limit;
        u64 base;
    } none{0, 0};
    __asm__ volatile("lidt %0; int3" ::"m"(none)); // triple fault
    arch_stop_cpu();
}

// SPDX-License-Identifier: MIT
// 16550A receive interrupt of the serial console. Hard IRQ; no locks: one CPU takes the interrupt.
// Linux: drivers/tty/serial/8250. PC only: the registers are I/O ports. Data sheet: National
// Semiconductor PC16550D.
#include "drivers/tty/serial.h"
#include "asm/io.h"
#include "irq/irq.h"
#include "lib/initcall.h"
#include "lib/printk.h"

void (*console_rx)(u8 c);

namespace
{
constexpr u16 COM1 = 0x3f8;
constexpr unsigned COM1_GSI = 4;
enum : u16 { UART_RX = 0, UART_IER = 1, UART_IIR = 2, UART_LSR = 5 };
constexpr u8 IER_RX = 1, LSR_DATA = 1, LSR_OVERRUN = 2;
constexpr unsigned MAX_BYTES = 256; // in one interrupt: a stuck line must not keep the CPU
u64 overruns;

void serial_interrupt(unsigned, void *)
{
    for (unsigned n = 0; n < MAX_BYTES; n++) {
        u8 lsr = inb(COM1 + UART_LSR);
        if (lsr == 0xff || !(lsr & (LSR_DATA | LSR_OVERRUN)))
            return;
        if (lsr & LSR_OVERRUN)
            overruns++;
        if (!(lsr & LSR_DATA))
            return;
        u8 c = inb(COM1 + UART_RX);
        if (console_rx)
            console_rx(c);
    }
}

int serial_init()
{
    auto irq = irq_alloc_gsi(COM1_GSI, 0);
    if (!irq)
        return -irq.err();
    if (auto r = request_irq(*irq, serial_interrupt, "serial", nullptr); !r)
        return -r.err();
    inb(COM1 + UART_IIR);
    outb(COM1 + UART_IER, IER_RX);
    return 0;
}
device_initcall(serial_init);
} // namespace

u64 serial_overruns()
{
    return read_once(overruns);
}

// SPDX-License-Identifier: MIT
// Device interrupts: descriptors, handlers, affinity, /proc/interrupts counts. Linux: kernel/irq/.
#pragma once

#include "arch/arch.h"
#include "lib/result.h"

using irq_handler = void (*)(unsigned irq, void *dev_id);
constexpr unsigned NR_IRQS = 256;

/// How the interrupt controller of an interrupt re-targets it (MSI-X rewrites its table entry).
struct irq_chip {
    const char *name; // as /proc/interrupts shows it: "PCI-MSI-edge", "IO-APIC-edge"
    /// Program `msg` into the device.
    void (*write_msi_msg)(void *chip_data, const msi_msg &msg);
    void (*mask)(void *chip_data, bool masked);
};

/// Allocate an interrupt number for a message-signalled source, routed to `cpu`. [P]
result<unsigned> irq_alloc_msi(const irq_chip *chip, void *chip_data, unsigned cpu);
void irq_free_msi(unsigned irq);
/// Install the handler; `name` is shown in /proc/interrupts and must stay. [P]
result<void> request_irq(unsigned irq, irq_handler h, const char *name, void *dev_id);
/// Remove and wait until no CPU runs the handler. [P]
void free_irq(unsigned irq, void *dev_id);
/// Move to the lowest CPU set in `mask` (bit n = CPU n, online). [P]
result<void> irq_set_affinity(unsigned irq, u64 mask);
u64 irq_get_affinity(unsigned irq);
/// Registered by a GSI (serial port). [P]
result<unsigned> irq_alloc_gsi(unsigned gsi, unsigned cpu);

/// For /proc/interrupts: count on a CPU, or null name if unused.
struct irq_info {
    const char *name, *chip;
    u64 count[NR_CPUS];
    u64 affinity;
};
bool irq_get_info(unsigned irq, irq_info *out);

/// Hard-IRQ context begins/ends; irq_exit runs pending softirqs. Called by do_irq, timer_interrupt, handle_ipi.
void irq_enter();
void irq_exit();

/// Timer interrupts taken by a CPU (/proc/interrupts LOC). Maintained by time/.
u64 timer_irq_count(unsigned cpu);

// SPDX-License-Identifier: MIT
// Shared by the files of the host port: the virtual machine's state.
#pragma once

#include "arch/arch.h"
#include "irq/irq.h"
#include "os.h"

constexpr u64 HOST_NEVER = ~u64{0};

/// A virtual CPU. All of it belongs to the one host thread.
struct host_vcpu {
    cpu_block block; // first: this_cpu() points here
    bool started = false, halted = false, irqs_on = false;
    u64 timer = HOST_NEVER; // next timer interrupt, virtual ns
    u32 ipis = 0;           // bit n: ipi n is pending
    bool host_call = false; // the test wants the spawner woken
    u64 irqs[NR_IRQS / 64] = {};
    host_fiber *running = nullptr;
    task_struct *switched_from = nullptr;
};

struct host_machine {
    unsigned cpus = 0;
    u64 clock = 0;
    u64 turn_state = 1, test_state = 1; // generators
    unsigned preempt_one_in = 0;
    bool inside = false; // a virtual CPU has its turn (not the main thread)
    bool expect_panic = false, panicked = false;
    size_t memory = 0;
    const char *cmdline = "";
    host_vcpu cpu[NR_CPUS];
};
extern host_machine host;

inline host_vcpu *this_vcpu()
{
    return reinterpret_cast<host_vcpu *>(host_cpu);
}
/// Give the turn back to the main thread; returns at this CPU's next turn. Interrupts are not looked at.
void host_yield();
/// Deliver what is pending if IRQs are on.
void host_check_irqs();
bool host_has_interrupt(const host_vcpu &c);
u64 host_next_random(u64 &state);
/// The kernel thread that makes other threads for host_spawn(), and its wake-up (hard IRQ).
void host_spawner_init();
void host_spawner_interrupt();

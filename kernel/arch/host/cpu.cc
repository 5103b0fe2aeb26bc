// SPDX-License-Identifier: MIT
// Virtual CPUs: turns, interrupts, halting, the virtual clock.
#include "host.h"
#include "internal.h"
#include "sched/sched.h"

host_machine host;
cpu_block *host_cpu = &host.cpu[0].block;

// A look at the clock and a turn of a spin loop take time, so that loops that wait for the clock end.
static constexpr u64 CLOCK_READ_NS = 20, RELAX_NS = 50;

u64 host_next_random(u64 &state)
{
    state += 0x9e3779b97f4a7c15;
    u64 z = state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

void host_yield()
{
    host_vcpu *me = this_vcpu();
    os_fiber_switch(me->running, os_main_fiber, false);
}

void host_point()
{
    if (!host.preempt_one_in || !host.inside)
        return;
    if (host_next_random(host.turn_state) % host.preempt_one_in)
        return;
    host_yield();
    host_check_irqs();
}

void cpu_relax()
{
    host.clock += RELAX_NS;
    if (!host.inside)
        return;
    host_yield();
    host_check_irqs();
}

// --- interrupts ---------------------------------------------------------------------------------

bool host_has_interrupt(const host_vcpu &c)
{
    if (c.ipis || c.host_call || c.timer <= host.clock)
        return true;
    for (u64 w : c.irqs)
        if (w)
            return true;
    return false;
}

/// Take one pending interrupt; IRQs are off.
static void deliver_one(host_vcpu &c)
{
    if (c.timer <= host.clock) {
        c.timer = HOST_NEVER;
        timer_interrupt(nullptr);
        return;
    }
    if (c.ipis) {
        auto kind = static_cast<ipi>(__builtin_ctz(c.ipis));
        c.ipis &= c.ipis - 1;
        handle_ipi(kind, nullptr);
        return;
    }
    if (c.host_call) {
        c.host_call = false;
        irq_enter();
        host_spawner_interrupt();
        irq_exit();
        return;
    }
    for (unsigned w = 0; w < NR_IRQS / 64; w++)
        if (c.irqs[w]) {
            unsigned irq = w * 64 + static_cast<unsigned>(__builtin_ctzll(c.irqs[w]));
            c.irqs[w] &= c.irqs[w] - 1;
            do_irq(irq, nullptr);
            return;
        }
}

void host_check_irqs()
{
    while (this_vcpu()->irqs_on && host_has_interrupt(*this_vcpu())) {
        this_vcpu()->irqs_on = false;
        deliver_one(*this_vcpu());
        this_vcpu()->irqs_on = true;
    }
}

void local_irq_disable()
{
    host_point();
    this_vcpu()->irqs_on = false;
}

void local_irq_enable()
{
    this_vcpu()->irqs_on = true;
    if (host.inside)
        host_check_irqs();
    host_point();
}

irq_flags local_irq_save()
{
    host_point();
    host_vcpu *c = this_vcpu();
    irq_flags f = c->irqs_on;
    c->irqs_on = false;
    return f;
}

void local_irq_restore(irq_flags f)
{
    if (f)
        local_irq_enable();
    else
        host_point();
}

bool irqs_disabled()
{
    return !this_vcpu()->irqs_on;
}

void arch_halt()
{
    host_vcpu *c = this_vcpu();
    c->irqs_on = true;
    if (!host_has_interrupt(*c)) {
        c->halted = true;
        host_yield();
        c->halted = false;
    }
    host_check_irqs();
}

unsigned num_online_cpus()
{
    return host.cpus;
}

void arch_send_ipi(unsigned cpu, ipi kind)
{
    host_point();
    host.cpu[cpu].ipis |= 1u << static_cast<unsigned>(kind);
    if (&host.cpu[cpu] == this_vcpu() && host.inside)
        host_check_irqs();
}

void host_raise_irq(unsigned irq, unsigned cpu)
{
    host.cpu[cpu % NR_CPUS].irqs[irq / 64 % (NR_IRQS / 64)] |= u64{1} << (irq % 64);
    if (host.inside)
        host_check_irqs();
}

/// Virtual devices raise interrupts by number: the message carries nothing else.
int arch_setup_msi(unsigned irq, unsigned cpu, msi_msg *msg)
{
    *msg = {cpu, irq};
    return 0;
}

void arch_free_msi(unsigned) {}
int arch_setup_gsi(unsigned, unsigned, unsigned)
{
    return 0;
}

cpu_block *arch_cpu_block(unsigned cpu)
{
    return &host.cpu[cpu].block;
}

// --- time ---------------------------------------------------------------------------------------

u64 arch_cycles()
{
    return arch_clock_ns();
}

u64 arch_cycles_to_ns(u64 cycles)
{
    return cycles;
}

u64 arch_clock_ns()
{
    return host.clock += CLOCK_READ_NS;
}
u64 host_now_ns()
{
    return host.clock;
}
u64 arch_boot_epoch_s()
{
    return 1'000'000'000;
}
void arch_timer_program(u64 deadline_ns)
{
    this_vcpu()->timer = deadline_ns;
}
void arch_udelay(u64 us)
{
    host.clock += us * 1000;
}

/// The one clock moves for every CPU, so each of them gets a chance to run afterwards.
void host_consume_ns(u64 ns)
{
    u64 end = host.clock + ns;
    while (host.clock < end) {
        u64 next = min(end, this_vcpu()->timer);
        host.clock = max(host.clock, next);
        host_check_irqs();
        if (host.inside)
            host_yield();
        host_check_irqs();
    }
}

// SPDX-License-Identifier: MIT
// Inline part of the host port. The kernel runs in one host thread; virtual CPUs take turns at the points below
// (host_point), where a test may also ask for random turns. Included by arch/arch.h only, after cpu_block.
#pragma once

inline void compiler_barrier()
{
    __asm__ volatile("" ::: "memory");
}

/// The virtual CPU whose turn it is.
extern cpu_block *host_cpu;
inline cpu_block *this_cpu()
{
    return host_cpu;
}

/// Whether IRQs were on.
using irq_flags = u64;
void local_irq_disable();
void local_irq_enable();
irq_flags local_irq_save();
void local_irq_restore(irq_flags f);
bool irqs_disabled();

/// Virtual nanoseconds.
u64 arch_cycles();

/// In a spin loop: another virtual CPU has its turn.
void cpu_relax();

/// A place where another virtual CPU may run, if the test asks for it.
void host_point();
inline void smp_mb()
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    host_point();
}
inline void smp_rmb()
{
    compiler_barrier();
}
inline void smp_wmb()
{
    compiler_barrier();
}
inline void mb()
{
    compiler_barrier();
}
inline void rmb()
{
    compiler_barrier();
}
inline void wmb()
{
    compiler_barrier();
}
inline void dma_rmb()
{
    compiler_barrier();
}
inline void dma_wmb()
{
    compiler_barrier();
}

/// Idle: called with IRQs off; the virtual CPU stops until it has an interrupt; returns with IRQs on.
void arch_halt();

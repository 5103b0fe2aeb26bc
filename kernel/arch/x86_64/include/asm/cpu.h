// SPDX-License-Identifier: MIT
// Inline part of the x86_64 port: this CPU's block (GS base), interrupt flag, barriers, idling. Any
// context unless said otherwise. Included by arch/arch.h only, after cpu_block.
#pragma once

/// The compiler may not move memory accesses across this point.
inline void compiler_barrier()
{
    __asm__ volatile("" ::: "memory");
}

/// Never defined or accessed: an operand that makes this_cpu() depend on memory, so that the
/// compiler computes it anew after every call (the task may have migrated) and every barrier, but
/// shares it in between.
extern const char this_cpu_anchor[];

/// The block of the CPU that runs this code; valid until schedule().
inline cpu_block *this_cpu()
{
    cpu_block *p;
    __asm__("mov %%gs:0, %0" : "=r"(p) : "m"(*this_cpu_anchor));
    return p;
}

/// The flags register as local_irq_save() found it.
using irq_flags = u64;
constexpr irq_flags X86_EFLAGS_IF = 0x200;

inline irq_flags local_save_flags()
{
    irq_flags f;
    __asm__ volatile("pushfq; popq %0" : "=rm"(f)::"memory");
    return f;
}
inline void local_irq_disable()
{
    __asm__ volatile("cli" ::: "memory");
}
inline void local_irq_enable()
{
    __asm__ volatile("sti" ::: "memory");
}
/// IRQs off; returns the state to give to local_irq_restore().
inline irq_flags local_irq_save()
{
    irq_flags f = local_save_flags();
    local_irq_disable();
    return f;
}
inline void local_irq_restore(irq_flags f)
{
    if (f & X86_EFLAGS_IF)
        local_irq_enable();
    else
        compiler_barrier();
}
inline bool irqs_disabled()
{
    return !(local_save_flags() & X86_EFLAGS_IF);
}

/// The time-stamp counter, which all CPUs have in step and at a constant rate.
inline u64 arch_cycles()
{
    u64 lo, hi; // the instruction clears their upper halves
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return hi << 32 | lo;
}

/// In a spin loop.
inline void cpu_relax()
{
    __asm__ volatile("pause" ::: "memory");
}

// x86 is TSO: only a store followed by a load of another location needs an instruction.
inline void smp_mb()
{
    __asm__ volatile("lock; addl $0, -4(%%rsp)" ::: "memory", "cc");
}
inline void smp_rmb()
{
    compiler_barrier();
}
inline void smp_wmb()
{
    compiler_barrier();
}
/// Order accesses to memory that a device shares (coherent DMA) and to its registers.
inline void mb()
{
    __asm__ volatile("mfence" ::: "memory");
}
inline void rmb()
{
    __asm__ volatile("lfence" ::: "memory");
}
inline void wmb()
{
    __asm__ volatile("sfence" ::: "memory");
}

/// Idle: called with IRQs off after the last look at need_resched; sleeps until an interrupt (none
/// is lost) and returns with IRQs on.
inline void arch_halt()
{
    __asm__ volatile("sti; hlt" ::: "memory");
}

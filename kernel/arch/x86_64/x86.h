// SPDX-License-Identifier: MIT
// Instructions, MSRs and control-register bits of x86_64 that C++ has no words for (Intel SDM vol.
// 3 and 4). Port-internal.
#pragma once

#include "arch/arch.h"
#include "asm/io.h"

constexpr u32 MSR_APIC_BASE = 0x1b, MSR_TSC_DEADLINE = 0x6e0, MSR_X2APIC = 0x800,
              MSR_EFER = 0xc0000080, MSR_STAR = 0xc0000081, MSR_LSTAR = 0xc0000082,
              MSR_SFMASK = 0xc0000084, MSR_FS_BASE = 0xc0000100, MSR_GS_BASE = 0xc0000101,
              MSR_KERNEL_GS_BASE = 0xc0000102, MSR_PAT = 0x277;
constexpr u64 EFER_SCE = 1, EFER_NX = 1 << 11;
constexpr u64 CR0_MP = 2, CR0_EM = 4, CR0_TS = 8, CR0_NE = 0x20, CR0_WP = 0x10000, CR0_AM = 0x40000;
constexpr u64 CR4_PGE = 0x80, CR4_OSFXSR = 0x200, CR4_OSXMMEXCPT = 0x400, CR4_UMIP = 0x800,
              CR4_OSXSAVE = 0x40000, CR4_SMEP = 0x100000, CR4_SMAP = 0x200000;
constexpr u64 X86_EFLAGS_TF = 0x100, X86_EFLAGS_DF = 0x400, X86_EFLAGS_NT = 0x4000,
              X86_EFLAGS_RF = 0x10000, X86_EFLAGS_AC = 0x40000;

inline u64 rdmsr(u32 msr)
{
    u32 lo, hi;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return u64{hi} << 32 | lo;
}
inline void wrmsr(u32 msr, u64 v)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"(static_cast<u32>(v)), "d"(static_cast<u32>(v >> 32))
                     : "memory");
}

struct cpuid_regs {
    u32 a, b, c, d;
};
inline cpuid_regs cpuid(u32 leaf, u32 sub = 0)
{
    cpuid_regs r;
    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(sub));
    return r;
}
/// Highest basic leaf is at least `leaf`.
inline bool cpuid_has_leaf(u32 leaf)
{
    return cpuid(leaf & 0x80000000).a >= leaf;
}

inline u64 read_cr0()
{
    u64 v;
    __asm__ volatile("mov %%cr0, %0" : "=r"(v));
    return v;
}
inline void write_cr0(u64 v)
{
    __asm__ volatile("mov %0, %%cr0" ::"r"(v) : "memory");
}
inline u64 read_cr2()
{
    u64 v;
    __asm__ volatile("mov %%cr2, %0" : "=r"(v));
    return v;
}
inline u64 read_cr3()
{
    u64 v;
    __asm__ volatile("mov %%cr3, %0" : "=r"(v)::"memory");
    return v;
}
inline void write_cr3(u64 v)
{
    __asm__ volatile("mov %0, %%cr3" ::"r"(v) : "memory");
}
inline u64 read_cr4()
{
    u64 v;
    __asm__ volatile("mov %%cr4, %0" : "=r"(v));
    return v;
}
inline void write_cr4(u64 v)
{
    __asm__ volatile("mov %0, %%cr4" ::"r"(v) : "memory");
}
inline void invlpg(u64 va)
{
    __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}

/// Volatile accesses to memory-mapped registers.
inline u32 mmio_read32(const volatile void *p)
{
    return *static_cast<const volatile u32 *>(p);
}
inline void mmio_write32(volatile void *p, u32 v)
{
    *static_cast<volatile u32 *>(p) = v;
}

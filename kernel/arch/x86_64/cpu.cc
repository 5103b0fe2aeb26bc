// SPDX-License-Identifier: MIT
// What each CPU needs before it runs kernel code: features, control registers, GDT, TSS with
// interrupt stacks, IDT, system-call MSRs. cpu_init() runs on the CPU itself, IRQs off. Linux:
// arch/x86/kernel/cpu/common.c cpu_init().
#include "internal.h"
#include "lib/string.h"
#include "mm/vmalloc.h"

x86_cpu x86_cpus[NR_CPUS];

cpu_block *arch_cpu_block(unsigned cpu)
{
    return &x86_cpus[cpu].block;
}
unsigned nr_cpus = 1;
x86_features x86_features_found;
u8 smap_enabled;

unsigned num_online_cpus()
{
    return read_once(nr_cpus);
}

extern "C" void syscall_entry();

void detect_features()
{
    x86_features &f = x86_features_found;
    cpuid_regs l1 = cpuid(1);
    f.pge = l1.d >> 13 & 1;
    f.x2apic = l1.c >> 21 & 1;
    f.tsc_deadline = l1.c >> 24 & 1;
    f.xsave = l1.c >> 26 & 1;
    f.rdrand = l1.c >> 30 & 1;
    if (cpuid_has_leaf(7)) {
        cpuid_regs l7 = cpuid(7);
        f.smep = l7.b >> 7 & 1;
        f.smap = l7.b >> 20 & 1;
        f.umip = l7.c >> 2 & 1;
    }
    if (f.xsave && cpuid_has_leaf(0xd))
        f.xsaveopt = cpuid(0xd, 1).a & 1;
    f.nx = cpuid_has_leaf(0x80000001) && (cpuid(0x80000001).d >> 20 & 1);
    f.invariant_tsc = cpuid_has_leaf(0x80000007) && (cpuid(0x80000007).d >> 8 & 1);
    smap_enabled = f.smap;
}

static void set_control_registers()
{
    const x86_features &f = x86_features_found;
    write_cr0((read_cr0() | CR0_MP | CR0_NE | CR0_WP | CR0_AM) & ~(CR0_EM | CR0_TS));
    u64 cr4 = read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT;
    cr4 |= (f.pge ? CR4_PGE : 0) | (f.smep ? CR4_SMEP : 0) | (f.smap ? CR4_SMAP : 0) |
           (f.umip ? CR4_UMIP : 0) | (f.xsave ? CR4_OSXSAVE : 0);
    write_cr4(cr4);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | (f.nx ? EFER_NX : 0));
}

static void load_gdt(x86_cpu *c)
{
    c->gdt[1] = 0x00cf9a000000ffff;
    c->gdt[KERNEL_CS / 8] = 0x00af9b000000ffff;
    c->gdt[KERNEL_DS / 8] = 0x00cf93000000ffff;
    c->gdt[4] = 0x00cffb000000ffff; // user 32-bit code: sysret's base selector, otherwise unused
    c->gdt[USER_DS / 8] = 0x00cff3000000ffff;
    c->gdt[USER_CS / 8] = 0x00affb000000ffff;
    u64 base = reinterpret_cast<u64>(&c->tss);
    c->gdt[TSS_SELECTOR / 8] =
        (sizeof(tss64) - 1) | (base & 0xffffff) << 16 | u64{0x89} << 40 | (base >> 24 & 0xff) << 56;
    c->gdt[TSS_SELECTOR / 8 + 1] = base >> 32;
    struct [[gnu::packed]] {
        u16 limit;
        u64 base;
    } gdtr{sizeof(c->gdt) - 1, reinterpret_cast<u64>(c->gdt)};
    // clang-format off
    __asm__ volatile("lgdt %0\n\t"
                     "push %1\n\t"
                     "lea 1f(%%rip), %%rax\n\t"
                     "push %%rax\n\t"
                     "lretq\n"
                     "1: mov %2, %%ds; mov %2, %%es; mov %2, %%ss\n\t"
                     "xor %%eax, %%eax; mov %%eax, %%fs; mov %%eax, %%gs\n\t"
                     "lldt %%ax\n\t"
                     "mov %3, %%eax; ltr %%ax"
                     :: "m"(gdtr), "i"(KERNEL_CS), "r"(static_cast<u32>(KERNEL_DS)), "i"(TSS_SELECTOR)
                     : "rax", "memory");
    // clang-format on
}

// The boot CPU takes exceptions before there is an allocator.
alignas(16) static u8 boot_ist[4][PAGE_SIZE];

void cpu_init(unsigned cpu)
{
    x86_cpu *c = &x86_cpus[cpu];
    c->block.self = &c->block;
    c->block.id = cpu;
    set_control_registers();
    if (cpu == 0 && !c->tss.ist[0])
        for (unsigned i = 0; i < 4; i++)
            c->tss.ist[i] = reinterpret_cast<u64>(boot_ist[i] + PAGE_SIZE);
    c->tss.iomap_base = sizeof(tss64); // no port is open to user mode
    c->tss.rsp[0] = c->kernel_sp;
    load_gdt(c);
    wrmsr(MSR_GS_BASE, reinterpret_cast<u64>(c)); // loading %gs cleared it
    wrmsr(MSR_KERNEL_GS_BASE, 0);
    wrmsr(MSR_FS_BASE, 0);
    idt_load();
    wrmsr(MSR_STAR, KERNEL_CS << 32 | (USER_DS - 8) << 48);
    wrmsr(MSR_LSTAR, reinterpret_cast<u64>(&syscall_entry));
    wrmsr(MSR_SFMASK, X86_EFLAGS_IF | X86_EFLAGS_TF | X86_EFLAGS_DF | X86_EFLAGS_NT |
                          X86_EFLAGS_AC | X86_EFLAGS_RF);
    fpu_init_cpu();
}

bool cpu_alloc_stacks(unsigned cpu)
{
    for (unsigned i = 0; i < 4; i++) {
        void *s = stack_alloc();
        if (!s)
            return false;
        x86_cpus[cpu].tss.ist[i] = reinterpret_cast<u64>(s) + THREAD_SIZE;
    }
    return true;
}

bool arch_random(u64 *v)
{
    if (!x86_features_found.rdrand)
        return false;
    for (int tries = 0; tries < 10; tries++) {
        u8 ok;
        __asm__ volatile("rdrand %0; setc %1" : "=r"(*v), "=qm"(ok)::"cc");
        if (ok)
            return true;
    }
    return false;
}

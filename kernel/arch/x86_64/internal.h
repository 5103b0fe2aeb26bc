// SPDX-License-Identifier: MIT
// What the files of the x86_64 port share among themselves. Nobody outside includes this.
#pragma once

#include "arch/arch.h"
#include "asm/ptregs.h"
#include "x86.h"
#include <atomic>

// --- Address-space layout
// ------------------------------------------------------------------------------
constexpr u64 KERNEL_BASE = 0xffffffff80000000; // image: physical + this
constexpr u64 DIRECT_MAP = 0xffff888000000000;  // all RAM: physical + this
constexpr u64 DIRECT_MAP_MAX = u64{1} << 39;    // one PML4 entry
/// Addresses that linker.ld defines.
extern "C" u8 _text[], _etext[], _rodata[], _erodata[], _data[], _end[];

/// Physical address of something in the kernel image.
inline phys_addr_t image_phys(const void *p)
{
    return reinterpret_cast<u64>(p) - KERNEL_BASE;
}

// --- Per-CPU
// -------------------------------------------------------------------------------------------
/// Task-state segment (SDM vol. 3 §8.7): only stacks matter.
struct [[gnu::packed]] tss64 {
    u32 reserved0;
    u64 rsp[3];
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3, iomap_base;
};
/// Interrupt-stack-table slots (1-based in gates).
enum ist_slot : unsigned { IST_NONE, IST_DF, IST_NMI, IST_MC, IST_DB };

/// One CPU of the port. GS base points here in kernel mode. entry.S knows the offsets marked E.
struct alignas(64) x86_cpu {
    cpu_block block;           // E 0
    alignas(64) u64 kernel_sp; // E 128: top of the current task's stack
    u64 user_sp;               // E 136: scratch of the syscall entry
    task_struct *fpu_owner;    // E 144: whose FPU state the registers hold
    arch_pgd active_pgd;       // CR3
    mm_struct *active_mm;      // whose pgd that is; null: the kernel's own
    u64 loaded_fs;             // FS base MSR, as loaded for …
    task_struct *fs_owner;     // … this task
    u32 apic_id;
    std::atomic<u32> online;
    u64 gdt[10];
    tss64 tss;
    u16 vector_irq[256]; // device interrupt number of a vector, 0: none
};
static_assert(__builtin_offsetof(x86_cpu, kernel_sp) == 128 &&
              __builtin_offsetof(x86_cpu, fpu_owner) == 144);
extern x86_cpu x86_cpus[NR_CPUS];
inline x86_cpu *this_x86_cpu()
{
    return reinterpret_cast<x86_cpu *>(this_cpu());
}
extern unsigned nr_cpus;

/// CPU features found at boot.
struct x86_features {
    bool nx, smep, smap, umip, x2apic, tsc_deadline, xsave, xsaveopt, rdrand, invariant_tsc, pge;
};
extern x86_features x86_features_found;
extern u8 smap_enabled; // uaccess.S

/// GDT, TSS, IDT, MSRs and control registers of CPU `cpu`, which runs this. Its stacks must be set
/// in x86_cpus[cpu].
void cpu_init(unsigned cpu);
void detect_features();
/// Switch CPU `cpu`'s IST stacks to allocated ones with guard pages. [P] after vmalloc_init.
bool cpu_alloc_stacks(unsigned cpu);
void idt_init();
void idt_load();

// --- Boot
// ----------------------------------------------------------------------------------------------
/// Zeroed page for page tables before the page allocator exists.
phys_addr_t boot_alloc_page();
/// Physical RAM of the boot loader's map; valid from the start.
unsigned boot_ram(mem_range *out, unsigned max, bool with_tables);
phys_addr_t boot_rsdp();
/// Build the final kernel page tables and switch to them. Boot CPU.
void paging_init();
void fpu_init_cpu();
/// Boot tables with an identity map of low memory, for starting CPUs: physical address.
extern "C" u64 boot_pml4[512];

// --- Interrupt controllers
// -------------------------------------------------------------------------------
constexpr u8 VECTOR_DEVICE_FIRST = 0x30, VECTOR_DEVICE_LAST = 0xdf;
constexpr u8 VECTOR_TLB = 0xe8, VECTOR_IPI = 0xe0, VECTOR_TIMER = 0xec, VECTOR_ERROR = 0xfe,
             VECTOR_SPURIOUS = 0xff;

/// What ACPI told. Filled by acpi_init().
struct acpi_info {
    u32 apic_ids[NR_CPUS];
    unsigned nr_cpus;
    phys_addr_t lapic, ioapic, ecam;
    u32 ioapic_gsi_base;
    u8 ecam_first_bus, ecam_last_bus;
    struct {
        u32 gsi;
        u16 flags;
    } isa_irq[16];
    u16 pm_timer_port; // 0: none
    bool pm_timer_32;
    u16 pm1a_cnt, pm1b_cnt;
    u8 slp_typa, slp_typb;
    bool has_s5;
    bool has_reset;
    u8 reset_space, reset_value;
    u64 reset_addr;
};
extern acpi_info acpi;
void acpi_init();

void apic_init_cpu(bool boot_cpu);
u32 apic_id();
void apic_eoi();
void apic_send(u32 apic_id, u32 icr_low);
/// Timer counts per second at the divider used; set by clock_calibrate().
void apic_timer_calibrated(u64 hz);
u32 apic_timer_count();
void apic_timer_oneshot(u32 count, bool masked);
void apic_timer_restore_mode();
/// TSC value at arch_clock_ns() == ns.
u64 tsc_of_ns(u64 ns);
void ioapic_init();
int ioapic_route(unsigned gsi, u8 vector, u32 dest, u16 mps_flags);
/// Reserve a device vector of `cpu` for `irq`; -ENOSPC.
int vector_alloc(unsigned irq, unsigned cpu);
void clock_calibrate();
extern u64 tsc_khz;
void tlb_handle_ipi();
/// No CPU keeps `pgd` loaded on return.
void tlb_drop_pgd(arch_pgd pgd);

// --- Tasks
// -------------------------------------------------------------------------------------------
void fpu_save_on_switch(task_struct *prev);
/// Address to continue at after a fault at `ip`, or 0.
u64 extable_find(u64 ip);
[[noreturn]] void die(const char *what, pt_regs *regs, u64 addr);

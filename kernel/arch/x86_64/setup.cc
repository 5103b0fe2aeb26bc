// SPDX-License-Identifier: MIT
// Boot CPU from head.S to start_kernel(): global constructors, the boot loader's tables (PVH
// hvm_start_info, version 1), the memory map, early page-table memory. Runs once, IRQs off;
// afterwards everything here is read-only.
#include "internal.h"
#include "lib/printk.h"
#include "lib/string.h"

namespace
{
/// hvm_start_info and its tables: xen/include/public/arch-x86/hvm/start_info.h.
struct hvm_start_info {
    u32 magic, version, flags, nr_modules;
    u64 modlist_paddr, cmdline_paddr, rsdp_paddr, memmap_paddr;
    u32 memmap_entries, reserved;
};
struct hvm_modlist_entry {
    u64 paddr, size, cmdline_paddr, reserved;
};
struct hvm_memmap_entry {
    u64 addr, size;
    u32 type, reserved;
};
constexpr u32 HVM_START_MAGIC = 0x336ec578;
enum e820_type : u32 { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4 };

constexpr unsigned MAX_RANGES = 64;
constexpr size_t COMMAND_LINE_SIZE = 2048; // as Linux's x86 COMMAND_LINE_SIZE
struct {
    mem_range range;
    u32 type;
} map[MAX_RANGES];
unsigned nr_map;
char command_line[COMMAND_LINE_SIZE];
phys_addr_t initrd_phys, rsdp, boot_alloc_next;
u64 initrd_size;

void copy_command_line(u64 paddr)
{
    if (paddr)
        strlcpy(command_line, reinterpret_cast<const char *>(paddr), sizeof(command_line));
}

/// The boot loader's tables lie in identity-mapped low memory that will be handed out later, so
/// copy them.
void read_start_info(const hvm_start_info *si)
{
    if (si->magic != HVM_START_MAGIC)
        return;
    copy_command_line(si->cmdline_paddr);
    rsdp = si->rsdp_paddr;
    if (si->nr_modules) {
        auto *m = reinterpret_cast<const hvm_modlist_entry *>(si->modlist_paddr);
        initrd_phys = m->paddr;
        initrd_size = m->size;
    }
    if (si->version < 1)
        return;
    auto *e = reinterpret_cast<const hvm_memmap_entry *>(si->memmap_paddr);
    for (u32 i = 0; i < si->memmap_entries && nr_map < MAX_RANGES; i++)
        if (e[i].size)
            map[nr_map++] = {{e[i].addr, e[i].addr + e[i].size}, e[i].type};
}

using init_fn = void (*)();
} // namespace

extern "C" init_fn __init_array_start[], __init_array_end[];
extern "C" u8 boot_stack_top[];

void early_console_init();

extern "C" [[noreturn]] void x86_start(u64 start_info)
{
    // this_cpu() must work before anything else, since constructors may use locks.
    x86_cpu *cpu = &x86_cpus[0];
    cpu->block.self = &cpu->block;
    cpu->kernel_sp = reinterpret_cast<u64>(boot_stack_top);
    wrmsr(MSR_GS_BASE, reinterpret_cast<u64>(cpu));
    for (init_fn *f = __init_array_start; f != __init_array_end; f++)
        (*f)();
    // Not before: x86_cpus has a constructor, which clears it.
    cpu->online.store(1, std::memory_order_relaxed);
    // The two 8259s would deliver on vectors of their own choice. Mask them for good, while the
    // local APIC still passes their line on: an interrupt that they have already signalled is then
    // withdrawn.
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    early_console_init();
    detect_features();
    idt_init();
    cpu_init(0);
    read_start_info(reinterpret_cast<const hvm_start_info *>(start_info));
    boot_alloc_next = align_up(image_phys(_end), PAGE_SIZE);
    paging_init();
    start_kernel();
}

phys_addr_t boot_rsdp()
{
    return rsdp;
}
const char *arch_command_line()
{
    return command_line;
}

void arch_initrd(const u8 **start, size_t *size)
{
    *start = initrd_size ? static_cast<const u8 *>(phys_to_virt(initrd_phys)) : nullptr;
    *size = initrd_size;
}

static bool in_ram(phys_addr_t start, phys_addr_t end)
{
    for (unsigned i = 0; i < nr_map; i++)
        if (map[i].type == E820_RAM && start >= map[i].range.start && end <= map[i].range.end)
            return true;
    return false;
}

// Early table memory follows the image; it lies below 4 GiB, where the boot tables reach it. The
// initrd is at the top of low RAM, but step over it if it is not.
phys_addr_t boot_alloc_page()
{
    phys_addr_t p = boot_alloc_next;
    if (p < initrd_phys + initrd_size && p + PAGE_SIZE > initrd_phys)
        p = align_up(initrd_phys + initrd_size, PAGE_SIZE);
    if (!in_ram(p, p + PAGE_SIZE))
        panic("no memory for page tables");
    boot_alloc_next = p + PAGE_SIZE;
    memset(reinterpret_cast<void *>(p), 0, PAGE_SIZE); // identity-mapped here
    return p;
}

unsigned boot_ram(mem_range *out, unsigned max, bool with_tables)
{
    unsigned n = 0;
    for (unsigned i = 0; i < nr_map && n < max; i++) {
        u32 t = map[i].type;
        if (t == E820_RAM || (with_tables && (t == E820_ACPI || t == E820_NVS)))
            out[n++] = map[i].range;
    }
    return n;
}

/// Cut [start,end) out of out[0..n); returns the new count.
static unsigned subtract(mem_range *out, unsigned n, unsigned max, phys_addr_t start,
                         phys_addr_t end)
{
    for (unsigned i = 0; i < n; i++) {
        mem_range r = out[i];
        if (end <= r.start || start >= r.end)
            continue;
        out[i].end = start > r.start ? start : r.start;
        if (r.end > end && n < max)
            out[n++] = {end, r.end};
    }
    return n;
}

unsigned arch_memory_map(mem_range *out, unsigned max)
{
    unsigned n = boot_ram(out, max, false);
    n = subtract(out, n, max, 0, 0x100000); // BIOS data, start info, the trampoline
    n = subtract(out, n, max, image_phys(_text), boot_alloc_next);
    n = subtract(out, n, max, align_down(initrd_phys, PAGE_SIZE),
                 align_up(initrd_phys + initrd_size, PAGE_SIZE));
    unsigned k = 0;
    for (unsigned i = 0; i < n; i++) {
        mem_range r{align_up(out[i].start, PAGE_SIZE),
                    min(align_down(out[i].end, PAGE_SIZE), DIRECT_MAP_MAX)};
        if (r.start < r.end)
            out[k++] = r;
    }
    return k;
}

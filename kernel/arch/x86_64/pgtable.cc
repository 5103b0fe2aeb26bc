// SPDX-License-Identifier: MIT
// Page tables (SDM vol. 3 §4.5, four levels): the kernel's own at boot, and mapping, unmapping and
// looking up pages of any address space afterwards. The upper half of every space shares the
// kernel's level-3 tables, all made at boot, so kernel mappings never need copying. User tables:
// caller's mm lock; kernel tables: kernel_lock here around new tables.
#include "pgtable.h"
#include "internal.h"
#include "lib/spinlock.h"
#include "lib/string.h"
#include "mm/page.h"

const u64 VMALLOC_START = 0xffffc90000000000, VMALLOC_END = 0xffffc97fffe00000;
const u64 TASK_SIZE = 0x7ffffffff000;

static u64 kernel_pgd;
static std::atomic<u64> table_pages{0}; // of user halves
static spinlock kernel_lock{"kernel_pgtable"};

void *phys_to_virt(phys_addr_t p)
{
    return reinterpret_cast<void *>(p + DIRECT_MAP);
}
phys_addr_t virt_to_phys(const void *v)
{
    u64 a = reinterpret_cast<u64>(v);
    return a >= KERNEL_BASE ? a - KERNEL_BASE : a - DIRECT_MAP;
}
arch_pgd arch_kernel_pgd()
{
    return kernel_pgd;
}

static u64 *table_of(u64 entry)
{
    return static_cast<u64 *>(phys_to_virt(entry & PTE_ADDR));
}

// --- Boot: identity-mapped access, pages from boot_alloc_page()
// --------------------------------------------

static u64 *boot_table(u64 *entry)
{
    if (!*entry)
        *entry = boot_alloc_page() | PTE_P | PTE_W;
    return reinterpret_cast<u64 *>(*entry & PTE_ADDR);
}

static void boot_map_large(u64 va, phys_addr_t pa, u64 bits)
{
    u64 *l3 = boot_table(&reinterpret_cast<u64 *>(kernel_pgd)[pt_index(va, 3)]);
    u64 *l2 = boot_table(&l3[pt_index(va, 2)]);
    l2[pt_index(va, 1)] = pa | bits | PTE_P | PTE_LARGE | PTE_G | PTE_A | PTE_D;
}

/// Protection of a 2 MiB block of RAM in the direct map: the image's text and rodata have no
/// writable alias.
static u64 direct_bits(phys_addr_t pa, u64 nx)
{
    bool constant = pa >= image_phys(_text) && pa < image_phys(_data);
    return nx | (constant ? 0 : PTE_W);
}

void paging_init()
{
    u64 nx = x86_features_found.nx ? PTE_NX : 0;
    kernel_pgd = boot_alloc_page();
    for (u64 va = KERNEL_BASE + image_phys(_text); va < reinterpret_cast<u64>(_end);
         va += LARGE_PAGE) {
        u64 bits = va < reinterpret_cast<u64>(_rodata) ? 0
                   : va < reinterpret_cast<u64>(_data) ? nx
                                                       : nx | PTE_W;
        boot_map_large(va, va - KERNEL_BASE, bits);
    }
    mem_range r[64];
    unsigned n = boot_ram(r, 64, true);
    for (unsigned i = 0; i < n; i++)
        for (phys_addr_t pa = align_down(r[i].start, LARGE_PAGE);
             pa < min(r[i].end, DIRECT_MAP_MAX); pa += LARGE_PAGE)
            boot_map_large(DIRECT_MAP + pa, pa, direct_bits(pa, nx));
    boot_table(&reinterpret_cast<u64 *>(kernel_pgd)[pt_index(VMALLOC_START, 3)]);
    this_x86_cpu()->active_pgd = kernel_pgd;
    write_cr3(kernel_pgd);
}

// --- After boot
// ----------------------------------------------------------------------------------------------

/// The entry of `va` at `level` (0: 4 KiB pages), or null when a table on the way is missing.
static u64 *walk(arch_pgd pgd, u64 va, unsigned level)
{
    u64 *t = static_cast<u64 *>(phys_to_virt(pgd));
    for (unsigned l = 3; l > level; l--) {
        u64 e = t[pt_index(va, l)];
        if (!(e & PTE_P) || (e & PTE_LARGE))
            return nullptr;
        t = table_of(e);
    }
    return &t[pt_index(va, level)];
}

/// Like walk() down to level 0, making tables. Null: out of memory.
static u64 *walk_alloc(arch_pgd pgd, u64 va)
{
    u64 user = va < TASK_SIZE ? PTE_U : 0;
    u64 *t = static_cast<u64 *>(phys_to_virt(pgd));
    for (unsigned l = 3; l > 0; l--) {
        u64 *e = &t[pt_index(va, l)];
        if (!*e) {
            page *p = alloc_pages(GFP_ATOMIC | GFP_ZERO, 0);
            table_pages.fetch_add(p ? 1 : 0, std::memory_order_relaxed);
            if (!p)
                return nullptr;
            *e = page_to_phys(p) | PTE_P | PTE_W | PTE_A | user;
        }
        t = table_of(*e);
    }
    return &t[pt_index(va, 0)];
}

/// Page-table bits for a protection; PTE_NONE instead of PTE_P when nothing is allowed.
static u64 prot_bits(u32 prot)
{
    u64 b = PTE_A | PTE_D;
    b |= prot & (PROT_READ_ | PROT_WRITE_ | PROT_EXEC_) ? PTE_P : PTE_NONE;
    if (prot & PROT_WRITE_)
        b |= PTE_W;
    if (!(prot & PROT_EXEC_) && x86_features_found.nx)
        b |= PTE_NX;
    b |= prot & PROT_USER_ ? PTE_U : PTE_G;
    if (prot & PROT_NC_)
        b |= PTE_PCD | PTE_PWT;
    return b;
}

bool arch_map_page(arch_pgd pgd, u64 va, phys_addr_t pa, u32 prot)
{
    u64 *e;
    if (pgd == kernel_pgd) {
        spin_guard<irqsave> g{kernel_lock};
        e = walk_alloc(pgd, va);
    } else {
        e = walk_alloc(pgd, va);
    }
    if (!e)
        return false;
    write_once(*e, (pa & PTE_ADDR) | prot_bits(prot));
    return true;
}

phys_addr_t arch_unmap_page(arch_pgd pgd, u64 va)
{
    u64 *e = walk(pgd, va, 0);
    if (!e || !*e)
        return ~phys_addr_t{0};
    u64 old = *e;
    write_once(*e, 0);
    return old & PTE_ADDR;
}

phys_addr_t arch_query_page(arch_pgd pgd, u64 va, u32 *prot)
{
    u64 *e = walk(pgd, va, 0);
    u64 v = e ? read_once(*e) : 0;
    if (!v)
        return ~phys_addr_t{0};
    if (prot) {
        u32 p = v & PTE_P ? u32{PROT_READ_} : 0;
        if ((v & (PTE_P | PTE_W)) == (PTE_P | PTE_W))
            p |= PROT_WRITE_;
        if ((v & PTE_P) && !(v & PTE_NX))
            p |= PROT_EXEC_;
        if (v & PTE_U)
            p |= PROT_USER_;
        if (v & PTE_PCD)
            p |= PROT_NC_;
        *prot = p;
    }
    return v & PTE_ADDR;
}

/// Index of the first entry of a table in [i, n) that is not 0, or n. Tables are mostly empty: eight at a time.
static unsigned next_used(const u64 *t, unsigned i, unsigned n)
{
    for (; i < n && i % 8; i++)
        if (t[i])
            return i;
    for (; i + 8 <= n; i += 8)
        if (t[i] | t[i + 1] | t[i + 2] | t[i + 3] | t[i + 4] | t[i + 5] | t[i + 6] | t[i + 7])
            break;
    while (i < n && !t[i])
        i++;
    return i;
}

/// arch_next_mapped() below one table of `level`, whose entries cover va; 0: nothing here.
static u64 next_mapped(const u64 *t, unsigned level, u64 va, u64 end)
{
    u64 step = PAGE_SIZE << (9 * level), base = align_down(va, step << 9);
    unsigned n =
        end - base < step << 9 ? static_cast<unsigned>((end - base + step - 1) / step) : 512;
    for (unsigned i = pt_index(va, level);; i++) {
        i = next_used(t, i, n);
        if (i == n)
            return 0;
        u64 at = max(base + i * step, va);
        if (level == 0)
            return at;
        if (t[i] & PTE_P)
            if (u64 found = next_mapped(table_of(t[i]), level - 1, at, end))
                return found;
    }
}

u64 arch_next_mapped(arch_pgd pgd, u64 va, u64 end)
{
    va = align_down(va, PAGE_SIZE);
    if (va >= end)
        return end;
    // Page 0 is never mapped in a user's space, so that 0 can mean "nothing".
    u64 found = next_mapped(static_cast<u64 *>(phys_to_virt(pgd)), 3, va, end);
    return found ? found : end;
}

arch_pgd arch_pgd_alloc()
{
    page *p = alloc_pages(GFP_KERNEL | GFP_ZERO, 0);
    table_pages.fetch_add(p ? 1 : 0, std::memory_order_relaxed);
    if (!p)
        return 0;
    auto *t = static_cast<u64 *>(page_address(p));
    memcpy(t + 256, static_cast<u64 *>(phys_to_virt(kernel_pgd)) + 256, 256 * sizeof(u64));
    return page_to_phys(p);
}

static void free_tables(u64 *t, unsigned level, unsigned n)
{
    for (unsigned i = next_used(t, 0, n); i < n; i = next_used(t, i + 1, n)) {
        if (!(t[i] & PTE_P))
            continue;
        if (level > 1)
            free_tables(table_of(t[i]), level - 1, 512);
        table_pages.fetch_sub(1, std::memory_order_relaxed);
        put_page(phys_to_page(t[i] & PTE_ADDR));
    }
}

static u64 count_tables(const u64 *t, unsigned level, unsigned n)
{
    u64 pages = 1;
    for (unsigned i = 0; i < n; i++)
        if (t[i] & PTE_P)
            pages += level > 1 ? count_tables(table_of(t[i]), level - 1, 512) : 1;
    return pages;
}

u64 arch_table_pages()
{
    return table_pages.load(std::memory_order_relaxed);
}

u64 arch_pgd_pages(arch_pgd pgd)
{
    return count_tables(static_cast<const u64 *>(phys_to_virt(pgd)), 3, 256);
}

void arch_pgd_free(arch_pgd pgd)
{
    tlb_drop_pgd(pgd);
    free_tables(static_cast<u64 *>(phys_to_virt(pgd)), 3, 256);
    table_pages.fetch_sub(1, std::memory_order_relaxed);
    put_page(phys_to_page(pgd));
}

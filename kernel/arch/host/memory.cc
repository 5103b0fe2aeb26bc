// SPDX-License-Identifier: MIT
// Memory of the host port: RAM is a shared mapping, the kernel's virtual area aliases its pages; user address spaces are
// tables that only the copy functions look at. Without an mm, user pointers are host pointers into one allowed range.
#include "host.h"
#include "internal.h"
#include "lib/checksum.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "sched/sched.h"

extern const u64 VMALLOC_START = HOST_VMALLOC_START;
extern const u64 VMALLOC_END = HOST_VMALLOC_START + HOST_VMALLOC_SIZE;
extern const u64 TASK_SIZE = 0x7ffffffff000;

void *phys_to_virt(phys_addr_t p)
{
    return reinterpret_cast<void *>(HOST_DIRECT_MAP + (p - HOST_PHYS_BASE));
}

phys_addr_t virt_to_phys(const void *v)
{
    return reinterpret_cast<u64>(v) - HOST_DIRECT_MAP + HOST_PHYS_BASE;
}

void *ioremap(phys_addr_t, size_t)
{
    return nullptr;
}

unsigned arch_memory_map(mem_range *out, unsigned max)
{
    if (!max)
        return 0;
    out[0] = {HOST_PHYS_BASE, HOST_PHYS_BASE + host.memory};
    return 1;
}

// --- page tables: one table of all user mappings, hashed by (pgd, page) ---------------------------

static constexpr arch_pgd KERNEL_PGD = 1;
static arch_pgd last_pgd = KERNEL_PGD;

struct mapping {
    rb_node node;
    arch_pgd pgd;
    u64 va;
    phys_addr_t pa;
    u32 prot;
};
struct mapping_less {
    bool operator()(const mapping &a, const mapping &b) const
    {
        return a.pgd != b.pgd ? a.pgd < b.pgd : a.va < b.va;
    }
};
static rbtree<mapping, &mapping::node, mapping_less> mappings;

arch_pgd arch_kernel_pgd()
{
    return KERNEL_PGD;
}
arch_pgd arch_pgd_alloc()
{
    return ++last_pgd;
}

static mapping *first_at_or_after(arch_pgd pgd, u64 va)
{
    return mappings.lower_bound(
        [=](const mapping &m) { return m.pgd < pgd || (m.pgd == pgd && m.va < va); });
}

static mapping *find(arch_pgd pgd, u64 va)
{
    mapping *m = first_at_or_after(pgd, va);
    return m && m->pgd == pgd && m->va == va ? m : nullptr;
}

bool arch_map_page(arch_pgd pgd, u64 va, phys_addr_t pa, u32 prot)
{
    if (pgd == KERNEL_PGD && !os_ram_alias(va, pa - HOST_PHYS_BASE, prot & PROT_WRITE_))
        return false;
    mapping *m = find(pgd, va);
    if (!m) {
        m = new mapping;
        m->pgd = pgd;
        m->va = va;
        mappings.insert(*m);
    }
    m->pa = pa;
    m->prot = prot;
    return true;
}

static void drop(mapping *m)
{
    mappings.erase(*m);
    delete m;
}

phys_addr_t arch_unmap_page(arch_pgd pgd, u64 va)
{
    mapping *m = find(pgd, va);
    if (!m)
        return ~u64{0};
    phys_addr_t pa = m->pa;
    if (pgd == KERNEL_PGD)
        os_ram_unalias(va);
    drop(m);
    return pa;
}

phys_addr_t arch_query_page(arch_pgd pgd, u64 va, u32 *prot)
{
    mapping *m = find(pgd, va);
    if (!m)
        return ~u64{0};
    if (prot)
        *prot = m->prot;
    return m->pa;
}

u64 arch_next_mapped(arch_pgd pgd, u64 va, u64 end)
{
    mapping *m = first_at_or_after(pgd, va);
    return m && m->pgd == pgd && m->va < end ? m->va : end;
}

void arch_pgd_free(arch_pgd pgd)
{
    while (mapping *m = first_at_or_after(pgd, 0)) {
        if (m->pgd != pgd)
            return;
        drop(m);
    }
}

u64 arch_table_pages()
{
    return 0;
}

u64 arch_pgd_pages(arch_pgd)
{
    return 0; // a list of mappings, not tables
}

void arch_flush_tlb(mm_struct *, u64, u64) {}
void arch_flush_tlb_kernel(u64, u64) {}
void arch_activate_mm(mm_struct *) {}

// --- user copies --------------------------------------------------------------------------------

static u64 user_start, user_end;

void host_user_memory(void *start, size_t n)
{
    user_start = reinterpret_cast<u64>(start);
    user_end = user_start + n;
}

/// The host address behind user address `a`, good for *n bytes (cut at the page or the range); null: it faults.
static u8 *user_address(u64 a, size_t *n, bool write)
{
    mm_struct *mm = current()->mm;
    if (!mm) {
        if (a < user_start || a >= user_end)
            return nullptr;
        *n = min(*n, user_end - a);
        return reinterpret_cast<u8 *>(a);
    }
    if (a >= TASK_SIZE)
        return nullptr;
    u64 page = align_down(a, PAGE_SIZE);
    *n = min(*n, page + PAGE_SIZE - a);
    u32 want = PROT_USER_ | (write ? PROT_WRITE_ : PROT_READ_);
    for (int tries = 0; tries < 2; tries++) {
        u32 prot = 0;
        phys_addr_t pa = arch_query_page(mm->pgd, page, &prot);
        if (pa != ~u64{0} && (prot & want) == want)
            return static_cast<u8 *>(phys_to_virt(pa)) + (a - page);
        if (handle_mm_fault(mm, a, write, false, false))
            break;
    }
    return nullptr;
}

/// Visit [a, a+n) of user memory in pieces; returns what was not reached.
template <class F>
static size_t for_user(u64 a, size_t n, bool write, F f)
{
    while (n) {
        size_t part = n;
        u8 *p = user_address(a, &part, write);
        if (!p)
            break;
        f(p, part);
        a += part;
        n -= part;
    }
    return n;
}

size_t arch_copy_from_user(void *to, const void *from_user, size_t n)
{
    auto *d = static_cast<u8 *>(to);
    return for_user(reinterpret_cast<u64>(from_user), n, false, [&](u8 *p, size_t k) {
        memcpy(d, p, k);
        d += k;
    });
}

size_t arch_copy_to_user(void *to_user, const void *from, size_t n)
{
    auto *s = static_cast<const u8 *>(from);
    return for_user(reinterpret_cast<u64>(to_user), n, true, [&](u8 *p, size_t k) {
        memcpy(p, s, k);
        s += k;
    });
}

size_t arch_clear_user(void *to_user, size_t n)
{
    return for_user(reinterpret_cast<u64>(to_user), n, true,
                    [](u8 *p, size_t k) { memset(p, 0, k); });
}

ssize_t arch_strncpy_from_user(char *to, const char *from_user, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (arch_copy_from_user(to + i, from_user + i, 1))
            return -EFAULT;
        if (!to[i])
            return static_cast<ssize_t>(i + 1);
    }
    return static_cast<ssize_t>(n);
}

size_t arch_csum_and_copy_from_user(void *to, const void *from_user, size_t n, u32 *csum)
{
    size_t left = arch_copy_from_user(to, from_user, n);
    *csum = csum_partial(to, n - left, *csum);
    return left;
}

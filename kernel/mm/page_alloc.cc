// SPDX-License-Identifier: MIT
// The buddy allocator: free blocks of 2^order frames, merged with their buddy when both are free;
// in front of it per-CPU lists of single frames, so that the usual case takes no lock. Linux:
// mm/page_alloc.c.
//
// Contexts: any. Locks: zone.lock (irqsave) for the buddy lists, innermost; per-CPU lists are
// touched with IRQs off on their own CPU only. A block belongs to its reference holders; the last
// put_page() frees it.

#include "lib/percpu.h"
#include "lib/printk.h"
#include "lib/spinlock.h"
#include "lib/string.h"
#include "mm/kasan.h"
#include "mm/page.h"
#include "mm/page_internal.h"
#include "mm/static_object.h"

bool (*should_fail_alloc)(size_t size, gfp flags);

namespace
{
/// Frames moved between a CPU's list and the buddy lists at once, and the most that a list keeps
/// (Linux's pcp->batch and pcp->high for machines of this size).
constexpr u32 PCP_BATCH = 31;
constexpr u32 PCP_HIGH = 186;
constexpr u64 MAX_BLOCK = u64{1} << (MAX_ORDER - 1);

struct buddy_zone {
    spinlock lock{"zone.lock"};
    list<page, &page::lru> free_area[MAX_ORDER];
    u64 nr_free[MAX_ORDER] = {}; // blocks
    u64 free_pages = 0;          // frames in free_area
    u64 total_pages = 0;
    /// Only GFP_ATOMIC may take the last frames: packets keep flowing when programs have eaten the
    /// rest.
    u64 reserve = 0;
};

struct pcp_list {
    page *head = nullptr; // linked through slab_freelist
    u32 count = 0;
};

static_object<buddy_zone> zone;
percpu<pcp_list> pcp;
page *mem_map;
u64 min_pfn, max_pfn;

page *pfn_to_page(u64 pfn)
{
    return mem_map + (pfn - min_pfn);
}
u64 page_to_pfn(const page *p)
{
    return static_cast<u64>(p - mem_map) + min_pfn;
}

void add_free(page *p, unsigned order)
{
    p->order = static_cast<u8>(order);
    p->flags = PG_BUDDY;
    zone->free_area[order].push_front(*p);
    zone->nr_free[order]++;
}
void del_free(page *p)
{
    zone->free_area[p->order].erase(*p);
    zone->nr_free[p->order]--;
    p->flags = 0;
}

/// Give a block back, merging upwards. zone.lock held.
void buddy_free(page *p, unsigned order)
{
    u64 pfn = page_to_pfn(p);
    zone->free_pages += u64{1} << order;
    while (order < MAX_ORDER - 1) {
        u64 other = pfn ^ (u64{1} << order);
        if (other < min_pfn || other >= max_pfn)
            break;
        page *b = pfn_to_page(other);
        if (!(b->flags & PG_BUDDY) || b->order != order)
            break;
        del_free(b);
        pfn = min(pfn, other);
        order++;
    }
    add_free(pfn_to_page(pfn), order);
}

/// Take a block, splitting a bigger one when needed. zone.lock held.
page *buddy_alloc(unsigned order)
{
    for (unsigned o = order; o < MAX_ORDER; o++) {
        page *p = zone->free_area[o].front();
        if (!p)
            continue;
        del_free(p);
        while (o > order) {
            o--;
            add_free(p + (u64{1} << o), o);
        }
        zone->free_pages -= u64{1} << order;
        return p;
    }
    return nullptr;
}

bool below_reserve(gfp flags, u64 wanted)
{
    // Programs stop first, so that the kernel can still work for them, then the rest of the kernel.
    u64 reserve = flags & GFP_USER ? 2 * zone->reserve : zone->reserve;
    return !(flags & GFP_ATOMIC) && zone->free_pages < reserve + wanted;
}

/// This CPU's list is empty: move up to a batch to it and return one more. IRQs off.
page *pcp_refill(pcp_list &l, gfp flags)
{
    spin_guard<plain> g{zone->lock};
    page *p = below_reserve(flags, 1) ? nullptr : buddy_alloc(0);
    if (!p)
        return nullptr;
    while (l.count < PCP_BATCH && !below_reserve(flags, 1)) {
        page *q = buddy_alloc(0);
        if (!q)
            break;
        q->slab_freelist = l.head;
        l.head = q;
        l.count++;
    }
    return p;
}

/// Keep a CPU's list short. IRQs off.
void pcp_drain(pcp_list &l, u32 n)
{
    spin_guard<plain> g{zone->lock};
    while (n-- && l.head) {
        page *p = l.head;
        l.head = static_cast<page *>(p->slab_freelist);
        l.count--;
        p->slab_freelist = nullptr;
        buddy_free(p, 0);
    }
}

page *alloc_single(gfp flags)
{
    irq_guard irq;
    pcp_list &l = *pcp;
    page *p = l.head;
    if (p) [[likely]] {
        l.head = static_cast<page *>(p->slab_freelist);
        l.count--;
        return p;
    }
    return pcp_refill(l, flags);
}

page *alloc_block(gfp flags, unsigned order)
{
    spin_guard<irqsave> g{zone->lock};
    return below_reserve(flags, u64{1} << order) ? nullptr : buddy_alloc(order);
}

#if SOFTNET_DEBUG
constexpr u8 PAGE_POISON = 0xaa; // Linux's PAGE_POISON

void poison_free(page *p, size_t bytes)
{
    memset(page_address(p), PAGE_POISON, bytes);
}
void check_poison(page *p, size_t bytes)
{
    const u64 *w = static_cast<const u64 *>(page_address(p));
    for (size_t i = 0; i < bytes / sizeof(u64); i++)
        if (w[i] != 0xaaaaaaaaaaaaaaaaULL) [[unlikely]]
            panic("page %llx: written after it was freed, at offset %zu",
                  static_cast<unsigned long long>(page_to_phys(p)), i * sizeof(u64));
}
#else
void poison_free(page *, size_t) {}
void check_poison(page *, size_t) {}
#endif
} // namespace

page *alloc_pages_unchecked(gfp flags, unsigned order)
{
    if (order >= MAX_ORDER) [[unlikely]]
        return nullptr;
    page *p = order ? alloc_block(flags, order) : alloc_single(flags);
    if (!p) [[unlikely]]
        return nullptr;
    size_t bytes = PAGE_SIZE << order;
    p->order = static_cast<u8>(order);
    p->flags = order ? PG_HEAD : 0;
    p->slab_freelist = nullptr;
    p->refs.store(1, std::memory_order_relaxed);
    kasan_unpoison(page_address(p), bytes);
    check_poison(p, bytes);
    if (flags & GFP_ZERO)
        memset(page_address(p), 0, bytes);
    return p;
}

page *alloc_pages(gfp flags, unsigned order)
{
#if SOFTNET_DEBUG
    WARN_ON_ONCE(!(flags & GFP_ATOMIC) && in_interrupt());
    if (should_fail_alloc && should_fail_alloc(PAGE_SIZE << order, flags))
        return nullptr;
#endif
    return alloc_pages_unchecked(flags, order);
}

static std::atomic<u64> anon_pages{0};

void set_page_anon(page *p)
{
    p->flags |= PG_ANON;
    anon_pages.fetch_add(1, std::memory_order_relaxed);
}

u64 nr_anon_pages()
{
    return anon_pages.load(std::memory_order_relaxed);
}

void put_page(page *p)
{
    if (p->flags & PG_RESERVED) [[unlikely]]
        return;
    if (p->refs.load(std::memory_order_acquire) != 1) {
        int old = p->refs.fetch_sub(1, std::memory_order_acq_rel);
        BUG_ON(old <= 0);
        if (old != 1)
            return;
    }
    BUG_ON(p->flags & (PG_BUDDY | PG_SLAB));
    if (p->flags & PG_ANON)
        anon_pages.fetch_sub(1, std::memory_order_relaxed);
    unsigned order = p->order;
    p->refs.store(0, std::memory_order_relaxed);
    poison_free(p, PAGE_SIZE << order);
    kasan_poison(page_address(p), PAGE_SIZE << order);
    irq_guard irq;
    if (order) {
        spin_guard<plain> g{zone->lock};
        buddy_free(p, order);
        return;
    }
    pcp_list &l = *pcp;
    p->slab_freelist = l.head;
    l.head = p;
    if (++l.count > PCP_HIGH) [[unlikely]]
        pcp_drain(l, PCP_BATCH);
}

page *phys_to_page(phys_addr_t pa)
{
    return pfn_to_page(pa >> PAGE_SHIFT);
}
page *virt_to_page(const void *v)
{
    return phys_to_page(virt_to_phys(v));
}
phys_addr_t page_to_phys(const page *p)
{
    return page_to_pfn(p) << PAGE_SHIFT;
}
void *page_address(const page *p)
{
    return phys_to_virt(page_to_phys(p));
}

void *get_free_pages(gfp flags, unsigned order)
{
    page *p = alloc_pages(flags, order);
    return p ? page_address(p) : nullptr;
}
void free_pages(void *v)
{
    if (v)
        put_page(virt_to_page(v));
}

bool pfn_valid(phys_addr_t pa)
{
    u64 pfn = pa >> PAGE_SHIFT;
    return pfn >= min_pfn && pfn < max_pfn && !(pfn_to_page(pfn)->flags & PG_RESERVED);
}

u64 page_alloc_user_reserve()
{
    return 2 * zone->reserve;
}

page_stats page_alloc_stats()
{
    page_stats s{};
    spin_guard<irqsave> g{zone->lock};
    s.total = zone->total_pages;
    s.free = zone->free_pages;
    for (unsigned o = 0; o < MAX_ORDER; o++)
        s.free_area[o] = zone->nr_free[o];
    for (unsigned c = 0; c < num_online_cpus(); c++)
        s.free += read_once(pcp.on(c).count);
    return s;
}

namespace
{
/// Whole frames inside a boot memory range.
mem_range frames_of(const mem_range &r)
{
    return {align_up(r.start, PAGE_SIZE) >> PAGE_SHIFT, align_down(r.end, PAGE_SIZE) >> PAGE_SHIFT};
}

/// Hand the frames [start,end) to the buddy lists in the biggest aligned blocks.
void free_range(u64 start, u64 end)
{
    for (u64 pfn = start; pfn < end; pfn++)
        pfn_to_page(pfn)->flags = 0;
    zone->total_pages += end - start;
    while (start < end) {
        unsigned order = MAX_ORDER - 1;
        while ((start & ((u64{1} << order) - 1)) || start + (u64{1} << order) > end)
            order--;
        page *p = pfn_to_page(start);
        poison_free(p, PAGE_SIZE << order);
        kasan_poison(page_address(p), PAGE_SIZE << order);
        buddy_free(p, order);
        start += u64{1} << order;
    }
}

/// Take the frame table out of the first range that has room for it; returns its frames.
mem_range place_mem_map(const mem_range *map, unsigned n)
{
    u64 bytes = (max_pfn - min_pfn) * sizeof(page);
    u64 need = align_up(bytes, PAGE_SIZE) >> PAGE_SHIFT;
    for (unsigned i = 0; i < n; i++) {
        mem_range f = frames_of(map[i]);
        if (f.start >= f.end || f.end - f.start <= need)
            continue;
        mem_map = static_cast<page *>(phys_to_virt(f.start << PAGE_SHIFT));
        memset(static_cast<void *>(mem_map), 0, bytes);
        return {f.start, f.start + need};
    }
    panic("page_alloc: no memory for %llu page frames",
          static_cast<unsigned long long>(max_pfn - min_pfn));
}
} // namespace

void page_alloc_init()
{
    mem_range map[64];
    unsigned n = arch_memory_map(map, 64);
    zone.init();
    min_pfn = ~u64{0};
    max_pfn = 0;
    for (unsigned i = 0; i < n; i++) {
        mem_range f = frames_of(map[i]);
        if (f.start >= f.end)
            continue;
        min_pfn = min(min_pfn, f.start);
        max_pfn = max(max_pfn, f.end);
    }
    if (!max_pfn)
        panic("page_alloc: the boot loader reports no usable memory");
    min_pfn = align_down(min_pfn, MAX_BLOCK);
    mem_range table = place_mem_map(map, n);
    for (u64 pfn = min_pfn; pfn < max_pfn; pfn++)
        pfn_to_page(pfn)->flags = PG_RESERVED;
    for (unsigned i = 0; i < n; i++) {
        mem_range f = frames_of(map[i]);
        if (table.start >= f.start && table.end <= f.end)
            f.start = table.end;
        if (f.start < f.end)
            free_range(f.start, f.end);
    }
    zone->reserve = min(zone->total_pages / 64, 1024);
    pr_info("Memory: %lluK available, %lluK for page frames",
            static_cast<unsigned long long>(zone->total_pages << (PAGE_SHIFT - 10)),
            static_cast<unsigned long long>((table.end - table.start) << (PAGE_SHIFT - 10)));
}

// SPDX-License-Identifier: MIT
// Page frames and the buddy allocator. Linux: mm/page_alloc.c, struct page.
#pragma once

#include "arch/arch.h"
#include "lib/list.h"
#include <atomic>

/// Allocation context: GFP_KERNEL may wait for reclaim (process context only), GFP_ATOMIC never
/// sleeps.
enum gfp : u32 { GFP_KERNEL = 0, GFP_ATOMIC = 1, GFP_ZERO = 2, GFP_USER = 4 };
constexpr gfp operator|(gfp a, gfp b)
{
    return static_cast<gfp>(u32(a) | u32(b));
}

constexpr unsigned MAX_ORDER = 11;

/// One page frame. `order` and `lru` belong to the buddy allocator while the page is free; a slab
/// page points to its cache.
struct page {
    std::atomic<int> refs;
    u8 order;
    u8 flags;
    u16 slab_inuse;
    void *slab_cache;
    void *slab_freelist;
    list_node lru;
};
/// PG_UNWRITTEN: fallocate made it for a file, and nobody has written to it or mapped it since.
enum page_flag : u8 {
    PG_BUDDY = 1,
    PG_SLAB = 2,
    PG_RESERVED = 4,
    PG_HEAD = 8,
    PG_ANON = 16,
    PG_UNWRITTEN = 32
};

/// 2^order contiguous, naturally aligned frames with one reference; null when out of memory. Any
/// context.
page *alloc_pages(gfp flags, unsigned order);
/// Drop a reference of the block's head page; the last frees the whole block. Any context.
void put_page(page *p);
inline void get_page(page *p)
{
    p->refs.fetch_add(1, std::memory_order_relaxed);
}
page *virt_to_page(const void *v);
page *phys_to_page(phys_addr_t pa);
phys_addr_t page_to_phys(const page *p);
void *page_address(const page *p);
/// Count a fresh page as anonymous memory of programs until it is freed; how many there are. Any context.
void set_page_anon(page *p);
u64 nr_anon_pages();
/// Convenience: one block by address.
void *get_free_pages(gfp flags, unsigned order);
void free_pages(void *v);
/// True when `pa` is RAM that has a struct page.
bool pfn_valid(phys_addr_t pa);

/// Statistics for /proc/meminfo and buddyinfo, pages.
struct page_stats {
    u64 total, free, free_area[MAX_ORDER];
};
page_stats page_alloc_stats();
/// Frames that are not for programs: below it their faults fail.
u64 page_alloc_user_reserve();
/// Boot: take over the memory map.
void page_alloc_init();

/// Debug: every allocation for which this returns true fails (fault injection, arch/host and debug
/// kernel).
extern bool (*should_fail_alloc)(size_t size, gfp flags);

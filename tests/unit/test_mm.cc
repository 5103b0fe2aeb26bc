// SPDX-License-Identifier: MIT
// Pages and slabs: nothing overlaps, everything comes back, failure is clean.
#include "mm/page.h"
#include "mm/slab.h"
#include "mm/vmalloc.h"
#include "unit.h"

static void buddy_gives_back_all(void *)
{
    static page *held[300];
    static unsigned order[300];
    u64 before = page_alloc_stats().free;
    for (int op = 0; op < 20000; op++) {
        unsigned i = host_random() % 300;
        if (held[i]) {
            auto *p = static_cast<u8 *>(page_address(held[i]));
            size_t n = PAGE_SIZE << order[i];
            HOST_EXPECT(p[0] == (i & 0xff) && p[n - 1] == (i & 0xff)); // nobody else wrote here
            put_page(held[i]);
            held[i] = nullptr;
            continue;
        }
        order[i] = host_random() % 4;
        held[i] = alloc_pages(GFP_KERNEL, order[i]);
        if (!held[i])
            continue;
        auto *p = static_cast<u8 *>(page_address(held[i]));
        size_t n = PAGE_SIZE << order[i];
        HOST_EXPECT(reinterpret_cast<u64>(p) % n == 0);
        HOST_EXPECT(virt_to_page(p) == held[i]);
        p[0] = p[n - 1] = static_cast<u8>(i);
    }
    for (page *&p : held)
        if (p) {
            put_page(p);
            p = nullptr;
        }
    HOST_EXPECT(page_alloc_stats().free == before);
}

static void buddy_runs_out_cleanly(void *)
{
    static page *all[64];
    u64 before = page_alloc_stats().free;
    unsigned n = 0;
    while (n < 64 && (all[n] = alloc_pages(GFP_ATOMIC, 9)))
        n++;
    HOST_EXPECT(n > 10 && n < 64);
    while (n)
        put_page(all[--n]);
    HOST_EXPECT(page_alloc_stats().free == before);
    HOST_EXPECT(!alloc_pages(GFP_KERNEL, MAX_ORDER));
}

static void references_keep_pages(void *)
{
    u64 before = page_alloc_stats().free;
    page *p = alloc_pages(GFP_KERNEL, 2);
    get_page(p);
    put_page(p);
    HOST_EXPECT(page_alloc_stats().free < before);
    put_page(p);
    HOST_EXPECT(page_alloc_stats().free == before);
}

static void kmalloc_sizes(void *)
{
    for (size_t n = 1; n < 40000; n = n * 5 / 4 + 1) {
        auto *p = static_cast<u8 *>(kzalloc(n, GFP_KERNEL));
        HOST_EXPECT(p && ksize(p) >= n);
        for (size_t i = 0; i < n; i++)
            HOST_EXPECT(p[i] == 0);
        memset(p, 0xee, n);
        kfree(p);
    }
    kfree(nullptr);
}

static void cache_statistics(void *)
{
    kmem_cache *c = kmem_cache_create("unit-192", 192);
    static void *obj[500];
    for (void *&o : obj) {
        o = kmem_cache_alloc(c, GFP_KERNEL);
        memset(o, 0x5a, 192);
    }
    slab_stats s{};
    auto find = [](const slab_stats &st, void *out) {
        if (!strcmp(st.name, "unit-192"))
            *static_cast<slab_stats *>(out) = st;
    };
    for_each_slab(find, &s);
    HOST_EXPECT(s.active_objs == 500 && s.objsize == 192 && s.num_objs >= 500);
    for (void *o : obj)
        kmem_cache_free(c, o);
    for_each_slab(find, &s);
    HOST_EXPECT(s.active_objs == 0);
}

static void vmalloc_is_contiguous(void *)
{
    u64 before = page_alloc_stats().free;
    auto *p = static_cast<u8 *>(vzalloc(10 * PAGE_SIZE + 5));
    HOST_EXPECT(p && p[10 * PAGE_SIZE + 4] == 0);
    memset(p, 1, 10 * PAGE_SIZE + 5);
    vfree(p);
    HOST_EXPECT(page_alloc_stats().free + 2 >= before);
}

static bool fail_all(size_t, gfp)
{
    return true;
}
static void injected_failure(void *)
{
    should_fail_alloc = fail_all;
    HOST_EXPECT(!alloc_pages(GFP_KERNEL, 0));
    HOST_EXPECT(!kmalloc(100, GFP_KERNEL));
    should_fail_alloc = nullptr;
    void *p = kmalloc(100, GFP_KERNEL);
    HOST_EXPECT(p);
    kfree(p);
}

extern "C" int main()
{
    unit_main("mm",
              {KERNEL_UNIT(buddy_gives_back_all), KERNEL_UNIT(buddy_runs_out_cleanly),
               KERNEL_UNIT(references_keep_pages), KERNEL_UNIT(kmalloc_sizes),
               KERNEL_UNIT(cache_statistics), KERNEL_UNIT(vmalloc_is_contiguous),
               KERNEL_UNIT(injected_failure)},
              2);
}

// SPDX-License-Identifier: MIT
// General memory: the kmalloc-N caches up to 8192 bytes, whole page blocks beyond. Linux:
// mm/slab_common.c. Contexts: any. Locks: none of its own. The caller of kmalloc frees with kfree.

#include "lib/printk.h"
#include "mm/page_internal.h"
#include "mm/slab_internal.h"
#include "mm/static_object.h"

namespace
{
struct size_class {
    const char *name;
    u32 size;
};
constexpr size_class classes[] = {
    {"kmalloc-8", 8},       {"kmalloc-16", 16},     {"kmalloc-32", 32},     {"kmalloc-64", 64},
    {"kmalloc-96", 96},     {"kmalloc-128", 128},   {"kmalloc-192", 192},   {"kmalloc-256", 256},
    {"kmalloc-512", 512},   {"kmalloc-1024", 1024}, {"kmalloc-2048", 2048}, {"kmalloc-4096", 4096},
    {"kmalloc-8192", 8192},
};
constexpr size_t MAX_CACHED = 8192;

static_object<kmem_cache> caches[sizeof(classes) / sizeof(classes[0])];
/// Cache for sizes up to 192, one entry per 8 bytes; and by power of two above.
kmem_cache *small_index[192 / 8 + 1];
kmem_cache *log2_index[14];

kmem_cache *cache_for(size_t size)
{
    if (size <= 192)
        return small_index[(size + 7) / 8];
    return log2_index[64 - __builtin_clzll(size - 1)];
}

unsigned order_for(size_t size)
{
    unsigned o = 0;
    while (o < MAX_ORDER && (PAGE_SIZE << o) < size)
        o++;
    return o;
}
} // namespace

void *kmalloc(size_t size, gfp flags)
{
    if (size <= MAX_CACHED) [[likely]]
        return kmem_cache_alloc(cache_for(size), flags);
    page *p = alloc_pages(flags, order_for(size));
    return p ? page_address(p) : nullptr;
}

void kfree(const void *ptr)
{
    if (!ptr)
        return;
    page *p = virt_to_page(ptr);
    if (p->flags & PG_SLAB) [[likely]] {
        kmem_cache_free(static_cast<kmem_cache *>(p->slab_cache), const_cast<void *>(ptr));
        return;
    }
    BUG_ON(p->refs.load(std::memory_order_relaxed) != 1 || page_address(p) != ptr);
    put_page(p);
}

size_t ksize(const void *ptr)
{
    if (!ptr)
        return 0;
    page *p = virt_to_page(ptr);
    if (p->flags & PG_SLAB)
        return static_cast<kmem_cache *>(p->slab_cache)->size;
    return PAGE_SIZE << p->order;
}

void kmalloc_init()
{
    kmem_cache *for_size = nullptr;
    size_t covered = 0;
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        u32 size = classes[i].size;
        // Naturally aligned up to a cache line, as types with alignas(64) expect of the sizes they
        // can have.
        u32 align = min(size & -size, 64u);
        for_size = &caches[i].init();
        kmem_cache_setup(for_size, classes[i].name, size, align, nullptr);
        for (; covered <= size && covered <= 192; covered += 8)
            small_index[covered / 8] = for_size;
        if ((size & (size - 1)) == 0)
            log2_index[__builtin_ctz(size)] = for_size;
    }
}

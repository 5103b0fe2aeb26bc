// SPDX-License-Identifier: MIT
// Object caches (Linux SLUB's role and statistics: /proc/slabinfo) and kmalloc. Any context with
// GFP_ATOMIC.
#pragma once

#include "lib/list.h"
#include "lib/result.h"
#include "mm/page.h"

/// A cache of equal objects. Define one per Linux cache name; alive for ever.
struct kmem_cache;

/// New cache; panics at boot when out of memory. `align` 0: 8 bytes. `ctor` runs when a page of
/// objects is made. [P]
kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align = 0,
                              void (*ctor)(void *) = nullptr);
/// One object (uninitialised unless GFP_ZERO), or null.
void *kmem_cache_alloc(kmem_cache *c, gfp flags);
void kmem_cache_free(kmem_cache *c, void *obj);

/// General memory from the kmalloc-N caches (8…8192), pages beyond. Null when out of memory.
void *kmalloc(size_t size, gfp flags);
inline void *kzalloc(size_t size, gfp flags)
{
    return kmalloc(size, flags | GFP_ZERO);
}
void kfree(const void *p);
/// Usable bytes behind a kmalloc pointer.
size_t ksize(const void *p);

/// Statistics of one cache.
struct slab_stats {
    const char *name;
    u64 active_objs, num_objs, objsize, objperslab, pagesperslab, active_slabs, num_slabs;
};
/// Call `f` for each cache, in creation order. [P]
void for_each_slab(void (*f)(const slab_stats &, void *), void *arg);
void kmem_cache_init();

/// Typed construction in a cache: kmem_cache_new<T>(cache, flags, args…) / kmem_cache_delete(cache,
/// p).
template <class T, class... A>
T *kmem_cache_new(kmem_cache *c, gfp flags, A &&...a)
{
    void *p = kmem_cache_alloc(c, flags);
    return p ? new (p) T(static_cast<A &&>(a)...) : nullptr;
}
template <class T>
void kmem_cache_delete(kmem_cache *c, T *p)
{
    p->~T();
    kmem_cache_free(c, p);
}
/// Typed kmalloc construction.
template <class T, class... A>
T *knew(gfp flags, A &&...a)
{
    void *p = kmalloc(sizeof(T), flags);
    return p ? new (p) T(static_cast<A &&>(a)...) : nullptr;
}
template <class T>
void kdelete(T *p)
{
    if (p) {
        p->~T();
        kfree(p);
    }
}

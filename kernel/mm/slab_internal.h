// SPDX-License-Identifier: MIT
// The object cache's parts, shared by slab.cc (allocation), slab_debug.cc (checks) and kmalloc.cc.
// Private to mm/.
//
// An object travels slab page → magazine of a CPU → user → magazine (of any CPU) → slab page. A
// magazine is an array of free objects that only its CPU touches, with IRQs off, so the usual
// allocation and free take no lock and do not read the object. Magazines are filled and emptied in
// batches under kmem_cache.lock.
#pragma once

#include "lib/percpu.h"
#include "lib/printk.h"
#include "lib/spinlock.h"
#include "mm/kasan.h"
#include "mm/slab.h"

/// Free objects of one cache on one CPU; the newest (cache-hot) one is at the end.
struct slab_magazine {
    u32 count;
    u32 limit;
    void *objs[];
};

struct kmem_cache : pinned {
    slab_magazine
        *cpu[NR_CPUS]; // first: the fast path; an empty shared one until a CPU first uses the cache
    u32 size = 0;      // as asked for
    u32 stride = 0;    // distance between objects
    u32 link_off = 0;  // where a free object in its slab keeps the link to the next
    u32 align = 0;
    u32 order = 0; // of a slab's pages
    u32 per_slab = 0;
    u32 mag_limit = 0;
    void (*ctor)(void *) = nullptr;
    const char *name = nullptr;

    spinlock lock{"kmem_cache.lock"};
    list<page, &page::lru> partial; // slabs with free objects, including entirely free ones
    u64 num_slabs = 0, free_slabs = 0;
    u64 in_slabs = 0; // free objects in slabs (the rest is in magazines or in use)
    kmem_cache *next = nullptr;
};

/// Entirely free slabs that a cache keeps instead of returning their pages.
constexpr u64 SLAB_KEEP_FREE = 4;

/// Debug hooks (slab_debug.cc); empty in release kernels. All may be called in any context.
#if SOFTNET_DEBUG
/// Bytes after the object for the red zone.
constexpr u32 SLAB_REDZONE = 16;
/// A fresh object in a new slab: mark it free.
void slab_debug_new(kmem_cache *c, void *obj);
/// Handed out: panics unless it was free and untouched.
void slab_debug_alloc(kmem_cache *c, void *obj);
/// Given back: panics on a double free, a wrong pointer or cache, or a write past its end.
void slab_debug_free(kmem_cache *c, void *obj);
#else
constexpr u32 SLAB_REDZONE = 0;
inline void slab_debug_new(kmem_cache *, void *) {}
inline void slab_debug_alloc(kmem_cache *, void *) {}
inline void slab_debug_free(kmem_cache *, void *) {}
#endif

/// Head page of the slab that `obj` is in.
inline page *slab_head(const void *obj)
{
    page *p = virt_to_page(obj);
    return p->flags & PG_HEAD ? p : static_cast<page *>(p->slab_freelist);
}
/// Fill in a cache made by the caller and publish it. Boot or [P].
void kmem_cache_setup(kmem_cache *c, const char *name, size_t size, size_t align,
                      void (*ctor)(void *));
/// Create the kmalloc-N caches. Boot.
void kmalloc_init();

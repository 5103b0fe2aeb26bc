// SPDX-License-Identifier: MIT
// Debug kernels: every free object is filled with a pattern and every object is followed by a red
// zone that says whether it is in use. Catches use after free (the pattern changed), double free
// (red zone says free), overruns (red zone damaged), and frees into the wrong cache. Linux's
// slub_debug=FZP, with its byte values. Empty in release kernels. Contexts: any, no locks: only the
// object's owner (or the code giving it out) comes here.

#include "lib/string.h"
#include "mm/slab_internal.h"

#if SOFTNET_DEBUG
namespace
{
constexpr u8 POISON_FREE = 0x6b, POISON_END = 0xa5, POISON_INUSE = 0x5a;
constexpr u8 RED_INACTIVE = 0xbb, RED_ACTIVE = 0xcc;

u8 *red_zone(const kmem_cache *c, void *obj)
{
    return static_cast<u8 *>(obj) + c->size;
}

/// Offset of the first byte of [p,p+n) that is not `v`, or n.
size_t first_other(const u8 *p, u8 v, size_t n)
{
    size_t i = 0;
    while (i < n && p[i] == v)
        i++;
    return i;
}

void check_red_zone(const kmem_cache *c, void *obj, u8 expect, const char *when)
{
    const u8 *z = red_zone(c, obj);
    size_t bad = first_other(z, expect, SLAB_REDZONE);
    if (bad == SLAB_REDZONE) [[likely]]
        return;
    u8 other = expect == RED_ACTIVE ? RED_INACTIVE : RED_ACTIVE;
    if (first_other(z, other, SLAB_REDZONE) == SLAB_REDZONE)
        panic("slab %s: object %p is %s (%s)", c->name, obj,
              expect == RED_ACTIVE ? "already free" : "still in use", when);
    panic("slab %s: object %p: byte %zu after its end overwritten with %02x (%s)", c->name, obj,
          bad, z[bad], when);
}

bool poisoned(const kmem_cache *c)
{
    return !c->ctor && !kasan_enabled;
}

void poison(kmem_cache *c, void *obj)
{
    if (!poisoned(c))
        return;
    memset(obj, POISON_FREE, c->size - 1);
    static_cast<u8 *>(obj)[c->size - 1] = POISON_END;
}
} // namespace

void slab_debug_new(kmem_cache *c, void *obj)
{
    poison(c, obj);
    memset(red_zone(c, obj), RED_INACTIVE, SLAB_REDZONE);
}

void slab_debug_alloc(kmem_cache *c, void *obj)
{
    check_red_zone(c, obj, RED_INACTIVE, "allocating");
    if (poisoned(c)) {
        u8 *b = static_cast<u8 *>(obj);
        size_t bad = first_other(b, POISON_FREE, c->size - 1);
        if (bad != c->size - 1 || b[bad] != POISON_END) [[unlikely]]
            panic("slab %s: object %p written at offset %zu after it was freed", c->name, obj, bad);
        memset(obj, POISON_INUSE, c->size);
    }
    memset(red_zone(c, obj), RED_ACTIVE, SLAB_REDZONE);
}

void slab_debug_free(kmem_cache *c, void *obj)
{
    page *p = virt_to_page(obj);
    if (!(p->flags & PG_SLAB))
        panic("slab %s: free of %p, which is no slab object", c->name, obj);
    if (p->slab_cache != c)
        panic("slab %s: free of %p, which belongs to %s", c->name, obj,
              static_cast<kmem_cache *>(p->slab_cache)->name);
    page *head = slab_head(obj);
    auto off = static_cast<u64>(static_cast<char *>(obj) - static_cast<char *>(page_address(head)));
    if (off % c->stride || off / c->stride >= c->per_slab)
        panic("slab %s: free of %p, which is inside an object", c->name, obj);
    check_red_zone(c, obj, RED_ACTIVE, "freeing");
    memset(red_zone(c, obj), RED_INACTIVE, SLAB_REDZONE);
    poison(c, obj);
}
#endif

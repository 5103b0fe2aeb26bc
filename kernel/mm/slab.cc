// SPDX-License-Identifier: MIT
// Object caches: slabs of equal objects behind per-CPU magazines (slab_internal.h says how they
// work together). Linux: kmem_cache (mm/slub.c), /proc/slabinfo.
//
// Contexts: any. Locks: kmem_cache.lock (irqsave), and zone.lock inside the page allocator, never
// nested here. Caches live for ever; an object belongs to whoever allocated it.

#include "lib/lockdep.h"
#include "lib/string.h"
#include "mm/page_internal.h"
#include "mm/slab_internal.h"
#include "mm/static_object.h"

namespace
{
constexpr u32 MAX_SLAB_ORDER = 3;
constexpr u32 MIN_OBJECTS = 8;

/// No room and nothing in it: sends both paths to the slow case, which makes the CPU's own
/// magazine.
slab_magazine no_magazine;
kmem_cache *first_cache, **last_cache = &first_cache;
static_object<spinlock> cache_list_lock;
static_object<kmem_cache> cache_cache; // objects: kmem_cache

void *&link_of(const kmem_cache *c, void *obj)
{
    return *reinterpret_cast<void **>(static_cast<char *>(obj) + c->link_off);
}

/// Linux's slab.c figures: bigger objects, smaller arrays.
u32 magazine_limit(u32 stride)
{
    if (stride <= 256)
        return 120;
    if (stride <= 1024)
        return 54;
    return stride <= PAGE_SIZE ? 24 : 8;
}

/// Smallest page order that holds at least MIN_OBJECTS and wastes no more than an eighth.
u32 slab_order(u32 stride)
{
    for (u32 o = 0; o < MAX_SLAB_ORDER; o++) {
        u64 bytes = PAGE_SIZE << o;
        if (bytes / stride >= MIN_OBJECTS && bytes % stride <= bytes / 8)
            return o;
    }
    u32 o = MAX_SLAB_ORDER;
    while ((PAGE_SIZE << o) < stride)
        o++;
    return o;
}

/// Cut new pages into objects. Null when out of memory.
page *new_slab(kmem_cache *c, gfp flags)
{
    page *p = alloc_pages_unchecked(static_cast<gfp>(flags & ~GFP_ZERO), c->order);
    if (!p)
        return nullptr;
    char *base = static_cast<char *>(page_address(p));
    for (u32 i = 0; i < (1u << c->order); i++) {
        p[i].slab_cache = c;
        p[i].slab_freelist = p;
        p[i].flags = PG_SLAB;
    }
    p->flags = PG_SLAB | PG_HEAD;
    p->slab_inuse = 0;
    void *list = nullptr;
    for (u32 i = c->per_slab; i-- > 0;) {
        char *obj = base + size_t{i} * c->stride;
        if (c->ctor)
            c->ctor(obj);
        slab_debug_new(c, obj);
        link_of(c, obj) = list;
        list = obj;
        kasan_poison(obj, c->size);
    }
    p->slab_freelist = list;
    return p;
}

void free_slab(kmem_cache *c, page *p)
{
    for (u32 i = 0; i < (1u << c->order); i++) {
        p[i].slab_cache = p[i].slab_freelist = nullptr;
        p[i].flags = 0;
    }
    kasan_unpoison(page_address(p), PAGE_SIZE << c->order);
    p->flags = c->order ? PG_HEAD : 0;
    put_page(p);
}

void add_slab(kmem_cache *c, page *p)
{
    spin_guard<plain> g{c->lock};
    c->partial.push_front(*p);
    c->num_slabs++;
    c->free_slabs++;
    c->in_slabs += c->per_slab;
}

/// Take up to n objects out of slabs into `m`. Returns how many. IRQs off.
u32 take_from_slabs(kmem_cache *c, slab_magazine *m, u32 n)
{
    spin_guard<plain> g{c->lock};
    u32 got = 0;
    while (got < n) {
        page *p = c->partial.front();
        if (!p)
            break;
        c->free_slabs -= p->slab_inuse == 0;
        while (got < n && p->slab_freelist) {
            void *obj = p->slab_freelist;
            if (c->link_off < c->size)
                kasan_unpoison(obj, sizeof(void *));
            p->slab_freelist = link_of(c, obj);
            if (c->link_off < c->size)
                kasan_poison(obj, sizeof(void *));
            p->slab_inuse++;
            m->objs[m->count++] = obj;
            got++;
        }
        if (!p->slab_freelist)
            c->partial.erase(*p);
    }
    c->in_slabs -= got;
    return got;
}

/// Return one object to its slab; an entirely free slab beyond what the cache keeps is unlinked and
/// returned.
page *put_to_slab(kmem_cache *c, void *obj)
{
    page *p = slab_head(obj);
    bool was_full = !p->slab_freelist;
    if (c->link_off < c->size)
        kasan_unpoison(obj, sizeof(void *));
    link_of(c, obj) = p->slab_freelist;
    if (c->link_off < c->size)
        kasan_poison(obj, sizeof(void *));
    p->slab_freelist = obj;
    c->in_slabs++;
    if (was_full)
        c->partial.push_back(*p);
    if (--p->slab_inuse)
        return nullptr;
    if (c->free_slabs < SLAB_KEEP_FREE) {
        c->free_slabs++;
        return nullptr;
    }
    c->partial.erase(*p);
    c->num_slabs--;
    c->in_slabs -= c->per_slab;
    return p;
}

/// Empty the older half of a full magazine into slabs. IRQs off.
void drain_magazine(kmem_cache *c, slab_magazine *m)
{
    u32 n = m->count / 2;
    page *gone = nullptr; // linked through slab_freelist
    {
        spin_guard<plain> g{c->lock};
        for (u32 i = 0; i < n; i++)
            if (page *p = put_to_slab(c, m->objs[i])) {
                p->slab_cache = gone;
                gone = p;
            }
    }
    memmove(m->objs, m->objs + n, (m->count - n) * sizeof(void *));
    m->count -= n;
    while (gone) {
        page *p = gone;
        gone = static_cast<page *>(p->slab_cache);
        free_slab(c, p);
    }
}

/// This CPU's own magazine, made on first use. IRQs off. Null when out of memory.
slab_magazine *own_magazine(kmem_cache *c)
{
    slab_magazine *m = c->cpu[smp_processor_id()];
    if (m != &no_magazine)
        return m;
    size_t bytes = sizeof(slab_magazine) + c->mag_limit * sizeof(void *);
    // Magazines are never freed, so they are cut from pages one after the other.
    static percpu<char *> at, end;
    if (*end - *at < static_cast<ssize_t>(bytes)) {
        page *p = alloc_pages_unchecked(GFP_ATOMIC, 0);
        if (!p)
            return nullptr;
        *at = static_cast<char *>(page_address(p));
        *end = *at + PAGE_SIZE;
    }
    m = reinterpret_cast<slab_magazine *>(*at);
    *at += align_up(bytes, 64);
    m->count = 0;
    m->limit = c->mag_limit;
    c->cpu[smp_processor_id()] = m;
    return m;
}

/// The magazine is empty. IRQs off.
[[gnu::noinline]] void *alloc_slow(kmem_cache *c, gfp flags)
{
    slab_magazine *m = own_magazine(c);
    if (!m)
        return nullptr;
    u32 want = (m->limit + 1) / 2;
    if (!take_from_slabs(c, m, want)) {
        page *p = new_slab(c, flags);
        if (!p)
            return nullptr;
        add_slab(c, p);
        if (!take_from_slabs(c, m, want))
            return nullptr; // other CPUs took all of it: as good as out of memory
    }
    return m->objs[--m->count];
}

/// The magazine is full (or not there yet). IRQs off.
[[gnu::noinline]] void free_slow(kmem_cache *c, void *obj)
{
    slab_magazine *m = own_magazine(c);
    if (m) {
        if (m->count >= m->limit)
            drain_magazine(c, m);
        m->objs[m->count++] = obj;
        return;
    }
    page *p;
    {
        spin_guard<plain> g{c->lock};
        p = put_to_slab(c, obj);
    }
    if (p)
        free_slab(c, p);
}
} // namespace

void *kmem_cache_alloc(kmem_cache *c, gfp flags)
{
#if SOFTNET_DEBUG
    WARN_ON_ONCE(!(flags & GFP_ATOMIC) && in_interrupt());
    if (should_fail_alloc && should_fail_alloc(c->size, flags))
        return nullptr;
#endif
    void *obj;
    {
        irq_guard irq;
        slab_magazine *m = c->cpu[smp_processor_id()];
        if (m->count) [[likely]]
            obj = m->objs[--m->count];
        else
            obj = alloc_slow(c, flags);
    }
    if (!obj) [[unlikely]]
        return nullptr;
    kasan_unpoison(obj, c->size);
    slab_debug_alloc(c, obj);
    if (flags & GFP_ZERO)
        memset(obj, 0, c->size);
    return obj;
}

void kmem_cache_free(kmem_cache *c, void *obj)
{
    if (!obj) [[unlikely]]
        return;
    slab_debug_free(c, obj);
    kasan_poison(obj, c->size);
    irq_guard irq;
    slab_magazine *m = c->cpu[smp_processor_id()];
    if (m->count < m->limit) [[likely]]
        m->objs[m->count++] = obj;
    else
        free_slow(c, obj);
}

void kmem_cache_setup(kmem_cache *c, const char *name, size_t size, size_t align,
                      void (*ctor)(void *))
{
    BUG_ON(!size || size > PAGE_SIZE * 4 || (align & (align - 1)));
    c->name = name;
    c->ctor = ctor;
    c->align = static_cast<u32>(max(align, sizeof(void *)));
    c->size = static_cast<u32>(align_up(size, sizeof(void *)));
    // A constructed object stays constructed while free, so the link must lie outside it; in debug
    // kernels it lies outside always, so that the poison covers the whole object.
    bool outside = ctor || SLAB_REDZONE;
    c->link_off = outside ? c->size + SLAB_REDZONE : 0;
    c->stride = align_up(c->size + SLAB_REDZONE + (outside ? u32{sizeof(void *)} : 0), c->align);
    c->order = slab_order(c->stride);
    c->per_slab = static_cast<u32>((PAGE_SIZE << c->order) / c->stride);
    c->mag_limit = magazine_limit(c->stride);
    for (auto &m : c->cpu)
        m = &no_magazine;
    spin_guard<irqsave> g{*cache_list_lock};
    *last_cache = c;
    last_cache = &c->next;
}

kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align, void (*ctor)(void *))
{
    auto *c = kmem_cache_new<kmem_cache>(&*cache_cache, GFP_KERNEL);
    if (!c)
        panic("kmem_cache_create(%s): out of memory", name);
    kmem_cache_setup(c, name, size, align, ctor);
    return c;
}

void for_each_slab(void (*f)(const slab_stats &, void *), void *arg)
{
    for (kmem_cache *c = first_cache; c; c = c->next) {
        slab_stats s{};
        {
            spin_guard<irqsave> g{c->lock};
            s.num_slabs = c->num_slabs;
            s.active_slabs = c->num_slabs - c->free_slabs;
            s.num_objs = c->num_slabs * c->per_slab;
            s.active_objs = s.num_objs - c->in_slabs;
        }
        // Exact when the cache is idle; a magazine in use on another CPU may be read one operation
        // late.
        for (unsigned i = 0; i < NR_CPUS; i++)
            s.active_objs -= min(u64{read_once(c->cpu[i]->count)}, s.active_objs);
        s.name = c->name;
        s.objsize = c->size;
        s.objperslab = c->per_slab;
        s.pagesperslab = u64{1} << c->order;
        f(s, arg);
    }
}

void kmem_cache_init()
{
    cache_list_lock.init("slab.caches");
    kmem_cache_setup(&cache_cache.init(), "kmem_cache", sizeof(kmem_cache), 64, nullptr);
    kmalloc_init();
}

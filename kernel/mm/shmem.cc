// SPDX-License-Identifier: MIT
// The pages of shared anonymous mappings (MAP_SHARED|MAP_ANONYMOUS survives fork): a tree of
// 512-way nodes by page number, so that a huge, sparsely used mapping costs only what it uses.
// Linux: mm/shmem.c.
//
// Context: process. Locks: shm_object.lock (irqsave, innermost but for the allocators). The areas
// that refer to the object own it.

#include "lib/refcount.h"
#include "lib/spinlock.h"
#include "mm/mm_internal.h"

namespace
{
constexpr unsigned NODE_BITS = 9;
constexpr unsigned LEVELS = 4; // 36 bits of page number: all of user space
constexpr u64 FANOUT = u64{1} << NODE_BITS;

/// An inner node holds nodes, a node of level 0 holds page pointers; one page each.
struct shm_node {
    void *slot[FANOUT];
};
static_assert(sizeof(shm_node) == PAGE_SIZE);

shm_node *new_node()
{
    return static_cast<shm_node *>(get_free_pages(GFP_USER | GFP_ZERO, 0));
}

void free_node(shm_node *n, unsigned level)
{
    for (void *s : n->slot) {
        if (!s)
            continue;
        if (level)
            free_node(static_cast<shm_node *>(s), level - 1);
        else
            put_page(static_cast<page *>(s));
    }
    free_pages(n);
}
} // namespace

struct shm_object : pinned {
    refcount count;
    spinlock lock{"shm_object.lock"};
    shm_node *root = nullptr;
};

shm_object *shm_alloc()
{
    return knew<shm_object>(GFP_KERNEL);
}
void shm_get(shm_object *s)
{
    s->count.get();
}
void shm_put(shm_object *s)
{
    if (!s->count.put())
        return;
    if (s->root)
        free_node(s->root, LEVELS - 1);
    kdelete(s);
}

page *shm_page(shm_object *s, u64 index)
{
    if (index >> (NODE_BITS * LEVELS))
        return nullptr;
    spin_guard<irqsave> g{s->lock};
    if (!s->root && !(s->root = new_node()))
        return nullptr;
    shm_node *n = s->root;
    for (unsigned level = LEVELS - 1; level > 0; level--) {
        void *&slot = n->slot[(index >> (level * NODE_BITS)) % FANOUT];
        if (!slot && !(slot = new_node()))
            return nullptr;
        n = static_cast<shm_node *>(slot);
    }
    void *&slot = n->slot[index % FANOUT];
    if (!slot && !(slot = alloc_pages(GFP_USER | GFP_ZERO, 0)))
        return nullptr;
    page *p = static_cast<page *>(slot);
    get_page(p);
    return p;
}

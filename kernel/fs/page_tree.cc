// SPDX-License-Identifier: MIT
// See page_tree.h.

#include "fs/page_tree.h"
#include "mm/slab.h"

struct page_tree::tree_node {
    void *slot[SLOTS];
    u32 used; // slots that are not null
};

namespace
{
kmem_cache *node_cache;
} // namespace

void page_tree_init()
{
    node_cache = kmem_cache_create("radix_tree_node", sizeof(page_tree::tree_node));
}

page *page_tree::lookup(u64 index) const
{
    if (index >> (BITS * height_))
        return nullptr;
    void *at = root_;
    for (unsigned h = height_; at && h; h--)
        at = static_cast<tree_node *>(at)->slot[index >> (BITS * (h - 1)) & (SLOTS - 1)];
    return static_cast<page *>(at);
}

/// Add levels above the root until index fits.
bool page_tree::grow(u64 index)
{
    while (index >> (BITS * height_)) {
        if (height_ == MAX_HEIGHT)
            return false;
        if (root_) {
            auto *n = static_cast<tree_node *>(kmem_cache_alloc(node_cache, GFP_ATOMIC | GFP_ZERO));
            if (!n)
                return false;
            n->slot[0] = root_;
            n->used = 1;
            root_ = n;
        }
        height_++;
    }
    return true;
}

bool page_tree::insert(u64 index, page *p)
{
    if (!grow(index))
        return false;
    void **slot = &root_;
    tree_node *parent = nullptr;
    for (unsigned h = height_; h; h--) {
        if (!*slot) {
            *slot = kmem_cache_alloc(node_cache, GFP_ATOMIC | GFP_ZERO);
            if (!*slot)
                return false; // empty nodes above stay until the next truncate
            if (parent)
                parent->used++;
        }
        parent = static_cast<tree_node *>(*slot);
        slot = &parent->slot[index >> (BITS * (h - 1)) & (SLOTS - 1)];
    }
    *slot = p;
    if (parent)
        parent->used++;
    return true;
}

/// Free what lies from `first` up to `end` in the subtree; indexes are relative to it.
u64 page_tree::prune(void **slot, unsigned height, u64 first, u64 end)
{
    if (!*slot)
        return 0;
    if (height == 0) {
        put_page(static_cast<page *>(*slot));
        *slot = nullptr;
        return 1;
    }
    auto *n = static_cast<tree_node *>(*slot);
    u64 freed = 0, span = u64{1} << (BITS * (height - 1));
    for (u64 i = first / span; i < SLOTS && i * span < end; i++) {
        u64 begin = i * span;
        bool was = n->slot[i];
        freed += prune(&n->slot[i], height - 1, first > begin ? first - begin : 0,
                       min(end - begin, span));
        if (was && !n->slot[i])
            n->used--;
    }
    if (!n->used) {
        kmem_cache_free(node_cache, n);
        *slot = nullptr;
    }
    return freed;
}

u64 page_tree::remove(u64 first, u64 end)
{
    if (first >> (BITS * height_) || first >= end)
        return 0;
    u64 freed = prune(&root_, height_, first, end);
    if (!root_)
        height_ = 0;
    return freed;
}

u64 page_tree::next(u64 from, u64 end, bool present) const
{
    // A missing subtree is skipped as a whole, so that a file with one page far out is searched in no time.
    while (from < end) {
        if (from >> (BITS * height_) || !root_)
            return present ? end : from;
        void *at = root_;
        unsigned h = height_;
        for (; at && h; h--)
            at = static_cast<tree_node *>(at)->slot[from >> (BITS * (h - 1)) & (SLOTS - 1)];
        if (!!at == present)
            return from;
        // `at` is null at height h, or a page.
        from = ((from >> (BITS * h)) + 1) << (BITS * h);
    }
    return end;
}

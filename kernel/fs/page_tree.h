// SPDX-License-Identifier: MIT
// The pages of one file by index: a radix tree of 64-way nodes that grows in height with the largest index, so that small files cost one
// node at most and sparse ones only what they use. Linux: lib/radix-tree.c (cache "radix_tree_node").
// Not locked: the owner's spinlock. Allocation is atomic.
#pragma once

#include "mm/page.h"

class page_tree : pinned
{
public:
    /// Pages that the tree can index: 2^36, i.e. 256 TiB.
    static constexpr unsigned BITS = 6, SLOTS = 1 << BITS, MAX_HEIGHT = 6;

    /// Page at index, without a reference; null when there is none.
    page *lookup(u64 index) const;
    /// Store a page at an empty index; takes over its reference. False: out of memory.
    bool insert(u64 index, page *p);
    /// Drop the references of all pages from `first` up to but not including `end`; returns how many there were.
    u64 remove(u64 first, u64 end = ~u64{0});
    /// The first index from `from` on that has (has no) page, looking up to but not including `end`; `end` if there is none.
    u64 next(u64 from, u64 end, bool present) const;

private:
    struct tree_node;
    bool grow(u64 index);
    static u64 prune(void **slot, unsigned height, u64 first, u64 end);
    void *root_ = nullptr;
    unsigned height_ = 0; // 0: root_ is the page of index 0
    friend void page_tree_init();
};
void page_tree_init();

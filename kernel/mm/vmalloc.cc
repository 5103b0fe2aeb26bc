// SPDX-License-Identifier: MIT
// Virtually contiguous kernel memory: areas of the kernel's own address range, each with an
// unmapped page on both sides. Linux: mm/vmalloc.c, alloc_thread_info.
//
// Contexts: process; stack_free() may also be called with IRQs off by the scheduler, so stacks are
// kept on a short list and unmapped later. Locks: vmalloc.lock (irqsave): areas and kernel page
// tables; zone.lock inside it. The caller of vzalloc/stack_alloc frees.

#include "mm/vmalloc.h"
#include "lib/percpu.h"
#include "lib/preempt.h"
#include "lib/printk.h"
#include "lib/rbtree.h"
#include "lib/spinlock.h"
#include "lib/string.h"
#include "mm/kasan.h"
#include "mm/slab.h"
#include "mm/static_object.h"

namespace
{
/// One area [start, start + pages), without its guard pages.
struct vm_struct {
    rb_node node;
    u64 start = 0;
    u64 pages = 0;
};
struct vm_struct_less {
    bool operator()(const vm_struct &a, const vm_struct &b) const { return a.start < b.start; }
};
struct vmalloc_space {
    spinlock lock{"vmalloc.lock"};
    rbtree<vm_struct, &vm_struct::node, vm_struct_less> areas;
    u64 hint = 0; // no gap of one stack's size lies below
};
/// Stacks kept for reuse, linked through their first word.
struct stack_list {
    void *head = nullptr;
    unsigned count = 0;
};

constexpr u64 STACK_PAGES = THREAD_SIZE / PAGE_SIZE;
constexpr unsigned STACKS_KEPT = 8; // per CPU

static_object<vmalloc_space> space;
percpu<stack_list> free_stacks;
kmem_cache *vm_struct_cache;

u64 span(u64 pages)
{
    return (pages + 1) * PAGE_SIZE;
} // with the guard page above

/// Lowest gap for `pages` plus guards, at or after `from`. vmalloc.lock held. 0: none.
u64 find_gap(u64 pages, u64 from)
{
    u64 at = from + PAGE_SIZE;
    vm_struct *a = space->areas.lower_bound(
        [&](const vm_struct &v) { return v.start + span(v.pages) <= from; });
    for (; a; a = space->areas.next(*a)) {
        if (at + span(pages) <= a->start)
            break;
        at = a->start + span(a->pages);
    }
    return at + span(pages) <= VMALLOC_END ? at : 0;
}

/// Reserve address space; no pages yet. Null when out of it.
vm_struct *reserve(u64 pages)
{
    auto *v = kmem_cache_new<vm_struct>(vm_struct_cache, GFP_ATOMIC);
    if (!v)
        return nullptr;
    spin_guard<irqsave> g{space->lock};
    v->pages = pages;
    v->start = find_gap(pages, space->hint);
    if (!v->start)
        v->start = find_gap(pages, VMALLOC_START);
    if (!v->start) {
        kmem_cache_delete(vm_struct_cache, v);
        return nullptr;
    }
    space->areas.insert(*v);
    space->hint = v->start - PAGE_SIZE;
    return v;
}

void release(vm_struct *v)
{
    {
        spin_guard<irqsave> g{space->lock};
        space->areas.erase(*v);
        space->hint = min(space->hint, v->start - PAGE_SIZE);
    }
    kmem_cache_delete(vm_struct_cache, v);
}

/// Unmap and free the first n pages of an area. IRQs on.
void unmap_pages(vm_struct *v, u64 n)
{
    constexpr u64 BATCH = 32;
    for (u64 done = 0; done < n;) {
        page *batch[BATCH];
        u64 k = min(n - done, BATCH);
        u64 va = v->start + done * PAGE_SIZE;
        {
            spin_guard<irqsave> g{space->lock};
            for (u64 i = 0; i < k; i++)
                batch[i] = phys_to_page(arch_unmap_page(arch_kernel_pgd(), va + i * PAGE_SIZE));
        }
        arch_flush_tlb_kernel(va, va + k * PAGE_SIZE);
        for (u64 i = 0; i < k; i++)
            put_page(batch[i]);
        done += k;
    }
}

bool map_pages(vm_struct *v)
{
    for (u64 i = 0; i < v->pages; i++) {
        page *p = alloc_pages(GFP_ZERO, 0);
        bool ok = false;
        if (p) {
            spin_guard<irqsave> g{space->lock};
            ok = arch_map_page(arch_kernel_pgd(), v->start + i * PAGE_SIZE, page_to_phys(p),
                               PROT_READ_ | PROT_WRITE_);
        }
        if (!ok) {
            if (p)
                put_page(p);
            unmap_pages(v, i);
            return false;
        }
    }
    return true;
}

vm_struct *find(u64 start)
{
    spin_guard<irqsave> g{space->lock};
    vm_struct *v = space->areas.lower_bound([&](const vm_struct &a) { return a.start < start; });
    return v && v->start == start ? v : nullptr;
}
} // namespace

void *vzalloc(size_t size)
{
    u64 pages = align_up(size, PAGE_SIZE) >> PAGE_SHIFT;
    if (!pages || size > VMALLOC_END - VMALLOC_START)
        return nullptr;
    vm_struct *v = reserve(pages);
    if (!v)
        return nullptr;
    if (!map_pages(v)) {
        release(v);
        return nullptr;
    }
    return reinterpret_cast<void *>(v->start);
}

void vfree(void *p)
{
    if (!p)
        return;
    vm_struct *v = find(reinterpret_cast<u64>(p));
    if (!v)
        panic("vfree(%p): no such area", p);
    unmap_pages(v, v->pages);
    release(v);
}

void *stack_alloc()
{
    {
        irq_guard irq;
        stack_list &l = *free_stacks;
        if (void *s = l.head) {
            l.head = *static_cast<void **>(s);
            l.count--;
            return s;
        }
    }
    return vzalloc(THREAD_SIZE);
}

void stack_free(void *stack)
{
    if (!stack)
        return;
    void *surplus = nullptr;
    // Unmapping needs other CPUs' help, so only where the caller could wait for them.
    bool can_unmap = !irqs_disabled() && !in_interrupt();
    {
        irq_guard irq;
        stack_list &l = *free_stacks;
        *static_cast<void **>(stack) = l.head;
        l.head = stack;
        l.count++;
        if (l.count > STACKS_KEPT && can_unmap) {
            surplus = l.head;
            l.head = *static_cast<void **>(surplus);
            l.count--;
        }
    }
    if (surplus)
        vfree(surplus);
}

u64 vmap_reserve(size_t size)
{
    u64 pages = align_up(size, PAGE_SIZE) >> PAGE_SHIFT;
    vm_struct *v = pages ? reserve(pages) : nullptr;
    return v ? v->start : 0;
}

void vmalloc_init()
{
    space.init();
    space->hint = VMALLOC_START;
    vm_struct_cache = kmem_cache_create("vmap_area", sizeof(vm_struct));
}

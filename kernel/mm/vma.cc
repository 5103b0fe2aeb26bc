// SPDX-License-Identifier: MIT
// The areas of an address space: finding, splitting, joining, removing. Linux: mm/mmap.c
// (vma_merge, split_vma, …). Context: process. Locks: the mm's, held by the callers as
// mm_internal.h says.

#include "mm/mm_internal.h"

kmem_cache *vm_area_cache;
int sysctl_max_map_count = 65530;

void dead_areas::drop()
{
    while (vm_area *a = head_) {
        head_ = a->next_dead;
        area_free(a);
    }
}

vm_area *area_alloc(u64 start, u64 end, u32 flags, file *f, shm_object *shm, u64 pgoff)
{
    auto *a = kmem_cache_new<vm_area>(vm_area_cache, GFP_KERNEL);
    if (!a)
        return nullptr;
    a->start = start;
    a->end = end;
    a->flags = flags;
    a->vm_file = f;
    a->shm = shm;
    a->pgoff = pgoff;
    if (f) {
        mm_files->get(f);
        if (mm_files->mapped)
            mm_files->mapped(f, 1);
    }
    if (shm)
        shm_get(shm);
    return a;
}

void area_free(vm_area *a)
{
    if (a->vm_file) {
        if (mm_files->mapped)
            mm_files->mapped(a->vm_file, -1);
        mm_files->put(a->vm_file);
    }
    if (a->shm)
        shm_put(a->shm);
    kmem_cache_delete(vm_area_cache, a);
}

void account_pages(mm_struct *mm, u32 flags, u64 bytes)
{
    mm->total_vm += bytes >> PAGE_SHIFT;
    if (flags & VM_LOCKED)
        mm->locked_vm += bytes >> PAGE_SHIFT;
}

void unaccount_pages(mm_struct *mm, u32 flags, u64 bytes)
{
    mm->total_vm -= bytes >> PAGE_SHIFT;
    if (flags & VM_LOCKED)
        mm->locked_vm -= bytes >> PAGE_SHIFT;
}

void area_link(mm_struct *mm, vm_area *a)
{
    mm->areas.insert(*a);
    mm->map_count++;
    mm->map_seq++;
    account_pages(mm, a->flags, a->end - a->start);
    mm->hiwater_vm = max(mm->hiwater_vm, mm->total_vm);
}

void area_unlink(mm_struct *mm, vm_area *a)
{
    mm->areas.erase(*a);
    mm->map_count--;
    mm->map_seq++;
    unaccount_pages(mm, a->flags, a->end - a->start);
}

vm_area *find_area(mm_struct *mm, u64 addr)
{
    return mm->areas.lower_bound([&](const vm_area &a) { return a.end <= addr; });
}

vm_area *find_area_below(mm_struct *mm, u64 addr)
{
    const vm_area *below = nullptr;
    mm->areas.lower_bound([&](const vm_area &a) {
        if (a.start >= addr)
            return false;
        below = &a;
        return true;
    });
    return const_cast<vm_area *>(below);
}

result<void> split_at(mm_struct *mm, u64 at)
{
    vm_area *a = find_area(mm, at);
    if (!a || a->start >= at)
        return {};
    if (too_many_areas(mm, 0))
        return error{ENOMEM};
    vm_area *upper =
        area_alloc(at, a->end, a->flags, a->vm_file, a->shm, a->pgoff + (at - a->start));
    if (!upper)
        return error{ENOMEM};
    unaccount_pages(mm, a->flags, a->end - at); // area_link counts it again
    a->end = at;
    area_link(mm, upper);
    return {};
}

namespace
{
/// Whether `b`, right behind `a`, could as well be a part of `a`.
bool continues(const vm_area *a, const vm_area *b)
{
    if (a->end != b->start || a->flags != b->flags || a->vm_file != b->vm_file || a->shm != b->shm)
        return false;
    return (!a->vm_file && !a->shm) || a->pgoff + (a->end - a->start) == b->pgoff;
}

void absorb(mm_struct *mm, vm_area *a, vm_area *b, dead_areas &dead)
{
    area_unlink(mm, b);
    account_pages(mm, b->flags, b->end - b->start);
    a->end = b->end;
    dead.add(b);
}
} // namespace

void merge_area(mm_struct *mm, vm_area *a, dead_areas &dead)
{
    vm_area *next = mm->areas.next(*a);
    if (next && continues(a, next))
        absorb(mm, a, next, dead);
    vm_area *prev = mm->areas.prev(*a);
    if (prev && continues(prev, a))
        absorb(mm, prev, a, dead);
}

result<void> unmap_range(mm_struct *mm, u64 start, u64 end, dead_areas &dead)
{
    vm_area *a = find_area(mm, start);
    if (!a || a->start >= end)
        return {};
    TRY_VOID(split_at(mm, start));
    TRY_VOID(split_at(mm, end));
    for (a = find_area(mm, start); a && a->start < end;) {
        vm_area *next = mm->areas.next(*a);
        area_unlink(mm, a);
        dead.add(a);
        a = next;
    }
    zap_pages(mm, start, end);
    return {};
}

result<u64> find_room(mm_struct *mm, u64 hint, u64 len)
{
    if (hint >= MMAP_MIN_ADDR && hint < TASK_SIZE && len <= TASK_SIZE - hint) {
        vm_area *a = find_area(mm, hint);
        if (!a || hint + len <= a->start)
            return hint;
    }
    // Downwards from mmap_base, as Linux's default layout does; then what is left above it.
    u64 high = mm->mmap_base;
    vm_area *a = find_area_below(mm, high);
    for (; a; a = mm->areas.prev(*a)) {
        if (a->end < high && high - a->end >= len)
            return high - len;
        high = min(high, a->start);
    }
    if (high > MMAP_MIN_ADDR && high - MMAP_MIN_ADDR >= len)
        return high - len;
    u64 low = mm->mmap_base;
    for (a = find_area(mm, low); a; a = mm->areas.next(*a)) {
        if (a->start > low && a->start - low >= len + PAGE_SIZE) // keep off a stack's guard page
            return low;
        low = max(low, a->end);
    }
    if (low < TASK_SIZE && TASK_SIZE - low >= len)
        return low;
    return error{ENOMEM};
}

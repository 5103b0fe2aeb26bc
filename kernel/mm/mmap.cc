// SPDX-License-Identifier: MIT
// mmap, munmap, brk, mprotect and madvise on an address space; the system-call wrappers decode and
// check their arguments' form. Linux: mm/mmap.c, mm/mprotect.c, mm/madvise.c. Context: process.
// Locks: the mm's, taken here. Files of removed areas are dropped after it.

#include "mm/mm_internal.h"

namespace
{
constexpr unsigned RLIMIT_DATA = 2, RLIMIT_MEMLOCK = 8, RLIMIT_AS = 9;
constexpr int MADV_NORMAL = 0, MADV_WILLNEED = 3, MADV_DONTNEED = 4, MADV_FREE = 8,
              MADV_DONTFORK = 10, MADV_DOFORK = 11, MADV_MERGEABLE = 12, MADV_DODUMP = 17;

result<u64> page_length(u64 len)
{
    if (!len)
        return error{EINVAL};
    if (len > TASK_SIZE)
        return error{ENOMEM};
    return align_up(len, PAGE_SIZE);
}

/// A range argument of munmap/mprotect/madvise: aligned start, inside user space.
result<u64> range_end(u64 addr, u64 len)
{
    if (addr & (PAGE_SIZE - 1))
        return error{EINVAL};
    if (addr > TASK_SIZE || len > TASK_SIZE - addr)
        return error{ENOMEM};
    return addr + align_up(len, PAGE_SIZE);
}

/// Linux's heuristic overcommit: refuse one private writable mapping that can never fit.
bool overcommits(u64 len, u32 flags, u32 map_flags)
{
    if (!(flags & VM_WRITE) || (flags & VM_SHARED) || (map_flags & MAP_NORESERVE) ||
        sysctl_overcommit_memory)
        return false;
    return (len >> PAGE_SHIFT) > page_alloc_stats().total;
}

result<u64> choose_address(mm_struct *mm, u64 addr, u64 len, u32 map_flags, dead_areas &dead)
{
    if (too_many_areas(mm, 0))
        return error{ENOMEM};
    if (!(map_flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)))
        return find_room(mm, align_down(addr, PAGE_SIZE), len);
    if (addr & (PAGE_SIZE - 1))
        return error{EINVAL};
    if (addr > TASK_SIZE || len > TASK_SIZE - addr)
        return error{ENOMEM};
    if (addr < MMAP_MIN_ADDR)
        return error{EPERM};
    if (map_flags & MAP_FIXED_NOREPLACE) {
        vm_area *there = find_area(mm, addr);
        if (there && there->start < addr + len)
            return error{EEXIST};
        return addr;
    }
    TRY_VOID(unmap_range(mm, addr, addr + len, dead));
    return addr;
}

} // namespace

int sysctl_overcommit_memory;

void populate(mm_struct *mm, u64 start, u64 end, bool write)
{
    for (u64 va = start; va < end; va += PAGE_SIZE)
        if (mm_fault(mm, va, write, false) != fault_result::ok)
            break;
}

result<void> may_expand(const mm_struct *mm, u32 flags, u64 bytes)
{
    u64 limit = mm_tasks->limit(RLIMIT_AS);
    if ((mm->total_vm << PAGE_SHIFT) + bytes > limit)
        return error{ENOMEM};
    if ((flags & VM_LOCKED) && !mm_tasks->may_lock() &&
        (mm->locked_vm << PAGE_SHIFT) + bytes > mm_tasks->limit(RLIMIT_MEMLOCK))
        return error{EAGAIN};
    return {};
}

result<u64> do_mmap(mm_struct *mm, u64 addr, u64 len, u32 prot, u32 map_flags, file *f, u64 off)
{
    len = TRY(page_length(len));
    if (off + len < off)
        return error{EOVERFLOW};
    u32 type = map_flags & MAP_TYPE;
    if (type != MAP_SHARED && type != MAP_PRIVATE)
        return error{EINVAL};
    u32 flags = prot & VM_ACCESS;
    flags |= type == MAP_SHARED ? u32{VM_SHARED} : 0;
    flags |= map_flags & MAP_GROWSDOWN ? u32{VM_GROWSDOWN} : 0;
    flags |= map_flags & MAP_RDONLY_FILE_ ? u32{VM_DENYWRITE} : 0;
    flags |= map_flags & MAP_LOCKED ? u32{VM_LOCKED} : mm->def_flags;
    if ((map_flags & MAP_LOCKED) && !mm_tasks->may_lock() && !mm_tasks->limit(RLIMIT_MEMLOCK))
        return error{EPERM};
    if (overcommits(len, flags, map_flags))
        return error{ENOMEM};
    shm_object *shm = nullptr;
    if (!f && type == MAP_SHARED && !(shm = shm_alloc()))
        return error{ENOMEM};
    vm_area *a = area_alloc(0, 0, flags, f, shm, f ? off : 0);
    if (shm)
        shm_put(shm); // the area holds it
    if (!a)
        return error{ENOMEM};
    dead_areas dead;
    u64 start;
    {
        mm_guard g{mm};
        auto fits = may_expand(mm, flags, len);
        if (!fits) {
            dead.add(a);
            return fits.fail();
        }
        auto at = choose_address(mm, addr, len, map_flags, dead);
        if (!at) {
            dead.add(a);
            return at.fail();
        }
        start = *at;
        a->start = start;
        a->end = start + len;
        area_link(mm, a);
        merge_area(mm, a, dead);
    }
    if (((map_flags & MAP_POPULATE) || (flags & VM_LOCKED)) && (flags & VM_ACCESS))
        populate(mm, start, start + len, (flags & VM_WRITE) && type == MAP_PRIVATE);
    return start;
}

result<void> do_munmap(mm_struct *mm, u64 addr, u64 len)
{
    if ((addr & (PAGE_SIZE - 1)) || !len || addr > TASK_SIZE || len > TASK_SIZE - addr)
        return error{EINVAL};
    dead_areas dead;
    mm_guard g{mm};
    return unmap_range(mm, addr, addr + align_up(len, PAGE_SIZE), dead);
}

u64 do_brk(mm_struct *mm, u64 brk)
{
    dead_areas dead;
    mm_guard g{mm};
    if (brk < mm->start_brk || brk > TASK_SIZE)
        return mm->brk;
    u64 from = align_up(mm->brk, PAGE_SIZE), to = align_up(brk, PAGE_SIZE);
    if (to < from && !unmap_range(mm, to, from, dead))
        return mm->brk;
    if (to > from) {
        vm_area *next = find_area(mm, from);
        if (next && next->start < to + PAGE_SIZE)
            return mm->brk;
        u32 flags = VM_READ | VM_WRITE | mm->def_flags;
        if (brk - mm->start_brk > mm_tasks->limit(RLIMIT_DATA) || !may_expand(mm, flags, to - from))
            return mm->brk;
        if (overcommits(to - from, flags, 0) || too_many_areas(mm, 0))
            return mm->brk;
        vm_area *a = area_alloc(from, to, flags, nullptr, nullptr, 0);
        if (!a)
            return mm->brk;
        area_link(mm, a);
        merge_area(mm, a, dead);
    }
    mm->brk = brk;
    return brk;
}

namespace
{
/// Give the present pages of an area the area's new protection.
void protect_pages(mm_struct *mm, const vm_area *a, u64 start, u64 end)
{
    u64 va = arch_next_mapped(mm->pgd, start, end);
    if (va >= end)
        return;
    u64 first = va, last = va;
    for (; va < end; va = arch_next_mapped(mm->pgd, va + PAGE_SIZE, end)) {
        u32 prot;
        phys_addr_t pa = arch_query_page(mm->pgd, va, &prot);
        (void)arch_map_page(mm->pgd, va, pa, area_prot(a, phys_to_page(pa))); // its table exists
        last = va;
    }
    arch_flush_tlb(mm, first, last + PAGE_SIZE);
}

} // namespace

result<void> check_covered(mm_struct *mm, u64 start, u64 end)
{
    for (vm_area *a = find_area(mm, start); start < end; a = mm->areas.next(*a)) {
        if (!a || a->start > start)
            return error{ENOMEM};
        start = a->end;
    }
    return {};
}

result<void> do_mprotect(mm_struct *mm, u64 addr, u64 len, u32 prot)
{
    u64 end = TRY(range_end(addr, len));
    if (end == addr)
        return {};
    dead_areas dead;
    mm_guard g{mm};
    TRY_VOID(check_covered(mm, addr, end));
    if (prot & VM_WRITE)
        for (vm_area *a = find_area(mm, addr); a && a->start < end; a = mm->areas.next(*a))
            if (a->flags & VM_DENYWRITE)
                return error{EACCES};
    TRY_VOID(split_at(mm, addr));
    TRY_VOID(split_at(mm, end));
    for (vm_area *a = find_area(mm, addr); a && a->start < end; a = mm->areas.next(*a)) {
        u32 flags = (a->flags & ~VM_ACCESS) | (prot & VM_ACCESS);
        if (flags == a->flags)
            continue;
        a->flags = flags;
        protect_pages(mm, a, a->start, a->end);
    }
    mm->map_seq++;
    if (vm_area *a = find_area(mm, addr))
        merge_area(mm, a, dead);
    if (vm_area *a = find_area(mm, end - 1))
        merge_area(mm, a, dead);
    return {};
}

result<void> mm_check_mapped(mm_struct *mm, u64 addr, u64 len)
{
    u64 end = TRY(range_end(addr, len));
    mm_guard g{mm};
    return check_covered(mm, addr, end);
}

result<void> do_madvise(mm_struct *mm, u64 addr, u64 len, int advice)
{
    // Hints about merging, huge pages and core dumps change nothing here; freeing lazily may be never.
    bool ignored = (advice >= MADV_NORMAL && advice <= MADV_WILLNEED) || advice == MADV_FREE ||
                   (advice >= MADV_MERGEABLE && advice <= MADV_DODUMP);
    bool fork = advice == MADV_DONTFORK || advice == MADV_DOFORK;
    if (!ignored && !fork && advice != MADV_DONTNEED)
        return error{EINVAL};
    auto r = range_end(addr, len);
    if (!r)
        return error{EINVAL};
    u64 end = *r;
    if (end == addr)
        return {};
    mm_guard g{mm};
    if (fork) {
        TRY_VOID(split_at(mm, addr));
        TRY_VOID(split_at(mm, end));
    }
    for (vm_area *a = find_area(mm, addr); a && a->start < end; a = mm->areas.next(*a)) {
        if (advice == MADV_DONTNEED && (a->flags & VM_LOCKED))
            return error{EINVAL};
        if (advice == MADV_FREE && (a->vm_file || a->shm))
            return error{EINVAL};
        if (advice == MADV_DONTNEED)
            zap_pages(mm, max(a->start, addr), min(a->end, end));
        if (fork)
            a->flags = advice == MADV_DONTFORK ? a->flags | VM_DONTCOPY : a->flags & ~VM_DONTCOPY;
    }
    return check_covered(mm, addr, end);
}

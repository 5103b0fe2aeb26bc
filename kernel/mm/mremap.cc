// SPDX-License-Identifier: MIT
// mremap: shrink, grow in place, or move an area with its pages. Linux: mm/mremap.c.
// Context: process. Locks: the mm's, taken here.

#include "mm/mm_internal.h"

namespace
{
/// Map every page of [from, from+len) at `to` as well, then unmap the old places: memory for tables
/// may run out only in the first half, which can be undone.
result<void> move_pages(mm_struct *mm, u64 from, u64 to, u64 len)
{
    u64 end = from + len, va = from;
    u32 prot;
    for (va = arch_next_mapped(mm->pgd, from, end); va < end;
         va = arch_next_mapped(mm->pgd, va + PAGE_SIZE, end)) {
        phys_addr_t pa = arch_query_page(mm->pgd, va, &prot);
        if (!arch_map_page(mm->pgd, to + (va - from), pa, prot))
            break;
    }
    bool failed = va < end;
    u64 undo_from = failed ? to : from, undo_end = failed ? to + (va - from) : end;
    for (u64 u = arch_next_mapped(mm->pgd, undo_from, undo_end); u < undo_end;
         u = arch_next_mapped(mm->pgd, u + PAGE_SIZE, undo_end))
        arch_unmap_page(mm->pgd, u);
    arch_flush_tlb(mm, undo_from, undo_end);
    if (failed)
        return error{ENOMEM};
    return {};
}

result<u64> move_area(mm_struct *mm, vm_area *a, u64 addr, u64 old_len, u64 new_len, u64 to,
                      dead_areas &dead)
{
    vm_area *b =
        area_alloc(to, to + new_len, a->flags, a->vm_file, a->shm, a->pgoff + (addr - a->start));
    if (!b)
        return error{ENOMEM};
    auto moved = move_pages(mm, addr, to, old_len);
    if (!moved) {
        dead.add(b);
        return moved.fail();
    }
    area_link(mm, b);
    // Only bookkeeping is left at the old place; splitting it can still fail, then it stays, empty.
    (void)unmap_range(mm, addr, addr + old_len, dead).err();
    merge_area(mm, b, dead);
    return to;
}

/// Extend `a`, whose last byte is the range's last, when the addresses behind it are free.
bool grow_in_place(mm_struct *mm, vm_area *a, u64 by, dead_areas &dead)
{
    vm_area *next = mm->areas.next(*a);
    if ((next && next->start - a->end < by) || by > TASK_SIZE - a->end)
        return false;
    a->end += by;
    account_pages(mm, a->flags, by);
    mm->map_seq++;
    merge_area(mm, a, dead);
    return true;
}

result<u64> mremap_fixed_target(mm_struct *mm, u64 addr, u64 old_len, u64 to, u64 new_len,
                                dead_areas &dead)
{
    if ((to & (PAGE_SIZE - 1)) || to > TASK_SIZE || new_len > TASK_SIZE - to || to < MMAP_MIN_ADDR)
        return error{EINVAL};
    if (to < addr + old_len && addr < to + new_len)
        return error{EINVAL};
    TRY_VOID(unmap_range(mm, to, to + new_len, dead));
    return to;
}
} // namespace

result<u64> do_mremap(mm_struct *mm, u64 addr, u64 old_len, u64 new_len, u32 flags, u64 new_addr)
{
    if ((flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED)) || (addr & (PAGE_SIZE - 1)) || !new_len ||
        ((flags & MREMAP_FIXED) && !(flags & MREMAP_MAYMOVE)))
        return error{EINVAL};
    if (old_len > TASK_SIZE || new_len > TASK_SIZE || addr > TASK_SIZE - old_len)
        return error{EINVAL};
    old_len = align_up(old_len, PAGE_SIZE);
    new_len = align_up(new_len, PAGE_SIZE);
    if (!old_len)
        return error{EINVAL};
    dead_areas dead;
    mm_guard g{mm};
    u64 to = 0;
    if (flags & MREMAP_FIXED)
        to = TRY(mremap_fixed_target(mm, addr, old_len, new_addr, new_len, dead));
    if (old_len > new_len) {
        TRY_VOID(unmap_range(mm, addr + new_len, addr + old_len, dead));
        old_len = new_len;
    }
    vm_area *a = find_area(mm, addr);
    if (!a || a->start > addr || a->end - addr < old_len)
        return error{EFAULT};
    if (!to && old_len == new_len)
        return addr;
    if (new_len > old_len)
        TRY_VOID(may_expand(mm, a->flags, new_len - old_len));
    if (!to && a->end == addr + old_len && grow_in_place(mm, a, new_len - old_len, dead))
        return addr;
    if (!(flags & MREMAP_MAYMOVE) || too_many_areas(mm, 2))
        return error{ENOMEM};
    if (!to)
        to = TRY(find_room(mm, 0, new_len));
    return move_area(mm, a, addr, old_len, new_len, to, dead);
}

// SPDX-License-Identifier: MIT
// mlock and its like, and mincore. Linux: mm/mlock.c, mm/mincore.c. There is no swap, so locking means
// that pages are made now, stay through madvise, and count against RLIMIT_MEMLOCK. Context: process.
// Locks: the mm's, taken here.

#include "mm/mm_internal.h"

namespace
{
constexpr unsigned RLIMIT_MEMLOCK = 8;
}

result<void> set_locked(mm_struct *mm, u64 start, u64 end, bool lock)
{
    TRY_VOID(split_at(mm, start));
    TRY_VOID(split_at(mm, end));
    for (vm_area *a = find_area(mm, start); a && a->start < end; a = mm->areas.next(*a)) {
        u64 bytes = a->end - a->start;
        unaccount_pages(mm, a->flags, bytes);
        a->flags = lock ? a->flags | VM_LOCKED : a->flags & ~u32{VM_LOCKED};
        account_pages(mm, a->flags, bytes);
    }
    mm->map_seq++;
    return {};
}

result<void> do_mlock(mm_struct *mm, u64 addr, u64 len, bool lock)
{
    u64 start = align_down(addr, PAGE_SIZE);
    len = align_up(len + (addr - start), PAGE_SIZE);
    if (start > TASK_SIZE || len > TASK_SIZE - start || start + len < addr)
        return error{lock ? ENOMEM : EINVAL};
    u64 limit = mm_tasks->limit(RLIMIT_MEMLOCK);
    bool mighty = mm_tasks->may_lock();
    if (lock && !mighty && !limit)
        return error{EPERM};
    if (!len)
        return {};
    {
        dead_areas dead;
        mm_guard g{mm};
        if (lock && !mighty && (mm->locked_vm << PAGE_SHIFT) + len > limit)
            return error{ENOMEM};
        TRY_VOID(check_covered(mm, start, start + len));
        TRY_VOID(set_locked(mm, start, start + len, lock));
        if (vm_area *a = find_area(mm, start))
            merge_area(mm, a, dead);
        if (vm_area *a = find_area(mm, start + len - 1))
            merge_area(mm, a, dead);
    }
    if (lock)
        populate(mm, start, start + len, false);
    return {};
}

result<void> do_mlockall(mm_struct *mm, bool current_areas, bool future_areas)
{
    u64 limit = mm_tasks->limit(RLIMIT_MEMLOCK);
    bool lock = current_areas || future_areas;
    mm_guard g{mm};
    if (lock && !mm_tasks->may_lock()) {
        if (!limit)
            return error{EPERM};
        if (current_areas && (mm->total_vm << PAGE_SHIFT) > limit)
            return error{ENOMEM};
    }
    mm->def_flags = future_areas ? u32{VM_LOCKED} : 0;
    if (current_areas || !lock)
        return set_locked(mm, 0, TASK_SIZE, current_areas);
    return {};
}

result<u8> mm_resident(mm_struct *mm, u64 addr)
{
    file *f = nullptr;
    u64 index = 0;
    {
        mm_guard g{mm};
        vm_area *a = find_area(mm, addr);
        if (!a || a->start > addr)
            return error{ENOMEM};
        u32 prot;
        if (arch_query_page(mm->pgd, addr, &prot) != ~phys_addr_t{0})
            return u8{1};
        if (!a->vm_file || !mm_files->get_page)
            return u8{0};
        f = a->vm_file;
        mm_files->get(f);
        index = (addr - a->start + a->pgoff) >> PAGE_SHIFT;
    }
    bool there = mm_files->resident(f, index);
    mm_files->put(f);
    return static_cast<u8>(there);
}

size_t mm_access(mm_struct *mm, u64 addr, void *buf, size_t n, bool write)
{
    size_t done = 0;
    while (done < n) {
        size_t k = min(n - done, PAGE_SIZE - (addr & (PAGE_SIZE - 1)));
        if (mm_fault(mm, addr, write, false) != fault_result::ok)
            break;
        mm_guard g{mm};
        u32 prot;
        phys_addr_t pa = arch_query_page(mm->pgd, align_down(addr, PAGE_SIZE), &prot);
        if (pa == ~phys_addr_t{0} || (write && !(prot & PROT_WRITE_)))
            continue; // changed meanwhile: look again
        char *at = static_cast<char *>(phys_to_virt(pa)) + (addr & (PAGE_SIZE - 1));
        char *mine = static_cast<char *>(buf) + done;
        __builtin_memcpy(write ? at : mine, write ? mine : at, k);
        done += k;
        addr += k;
    }
    return done;
}

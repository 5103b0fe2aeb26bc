// SPDX-License-Identifier: MIT
// Single words of user memory for futexes: atomic change, and the identity of shared memory across
// processes. Context: process. Locks: the mm's, under which a present page stays present; the word
// is reached through the direct map.

#include "mm/mm_internal.h"

result<u32> mm_cmpxchg(mm_struct *mm, u64 addr, u32 expected, u32 desired)
{
    if (addr & 3)
        return error{EINVAL};
    for (;;) {
        if (mm_fault(mm, addr, true, false) != fault_result::ok)
            return error{EFAULT};
        mm_guard g{mm};
        u32 prot;
        phys_addr_t pa = arch_query_page(mm->pgd, align_down(addr, PAGE_SIZE), &prot);
        if (pa == ~phys_addr_t{0} || !(prot & PROT_WRITE_))
            continue; // another thread unmapped it in between
        auto *w = reinterpret_cast<u32 *>(static_cast<char *>(phys_to_virt(pa)) +
                                          (addr & (PAGE_SIZE - 1)));
        __atomic_compare_exchange_n(w, &expected, desired, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST);
        return expected;
    }
}

result<u64> mm_shared_phys(mm_struct *mm, u64 addr)
{
    for (;;) {
        {
            mm_guard g{mm};
            vm_area *a = find_area(mm, addr);
            if (!a || a->start > addr || addr >= TASK_SIZE)
                return error{EFAULT};
            if (!(a->flags & VM_SHARED))
                return u64{0};
            u32 prot;
            phys_addr_t pa = arch_query_page(mm->pgd, align_down(addr, PAGE_SIZE), &prot);
            if (pa != ~phys_addr_t{0})
                return pa + (addr & (PAGE_SIZE - 1));
        }
        if (mm_fault(mm, addr, false, false) != fault_result::ok)
            return error{EFAULT};
    }
}

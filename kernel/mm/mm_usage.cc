// SPDX-License-Identifier: MIT
// What pages an address space has, by area and by kind, for /proc/<pid>/{smaps,statm,status}. Linux: fs/proc/task_mmu.c.
// Context: process. Locks: takes the mm's sleeping lock.

#include "mm/mm_usage.h"
#include "mm/mm_internal.h"

namespace
{
/// Whether the frame at `p` belongs to the mapping alone: then it is a private copy or an anonymous page nobody shares.
void count_page(const page *p, const vm_area &a, u32 prot, area_usage *u)
{
    int refs = p->refs.load(std::memory_order_relaxed);
    bool file_backed = a.vm_file && (a.flags & VM_SHARED || refs > 1);
    // a page of a file has one reference from its file
    int sharers = max(1, file_backed ? refs - 1 : refs);
    bool dirty = !file_backed || prot & PROT_WRITE_;
    u->rss++;
    u->pss_bytes += PAGE_SIZE / static_cast<u64>(sharers);
    if (!file_backed)
        u->anonymous++;
    if (sharers > 1)
        ++(dirty ? u->shared_dirty : u->shared_clean);
    else
        ++(dirty ? u->private_dirty : u->private_clean);
}
} // namespace

void mm_area_usage(mm_struct *mm, const vm_area &a, area_usage *u)
{
    for (u64 va = a.start; (va = arch_next_mapped(mm->pgd, va, a.end)) < a.end; va += PAGE_SIZE) {
        u32 prot = 0;
        phys_addr_t pa = arch_query_page(mm->pgd, va, &prot);
        if (pa != ~phys_addr_t{0} && pfn_valid(pa))
            count_page(phys_to_page(pa), a, prot, u);
    }
}

void mm_usage_sums(mm_struct *mm, mm_sums *out)
{
    struct walk {
        mm_struct *mm;
        mm_sums *out;
    } w{mm, out};
    mm_for_each_area(
        mm,
        [](const vm_area &a, void *arg) {
            auto *x = static_cast<walk *>(arg);
            u64 pages = (a.end - a.start) >> PAGE_SHIFT;
            area_usage u;
            mm_area_usage(x->mm, a, &u);
            x->out->rss += u.rss;
            x->out->anonymous += u.anonymous;
            x->out->areas++;
            if (a.flags & VM_GROWSDOWN)
                x->out->stack += pages;
            else if (a.vm_file && (a.flags & (VM_WRITE | VM_EXEC)) == VM_EXEC)
                ++x->out->text_areas == 1 ? x->out->exe += pages : x->out->lib += pages;
            else if ((a.flags & (VM_WRITE | VM_SHARED)) == VM_WRITE)
                x->out->data += pages;
        },
        &w);
}

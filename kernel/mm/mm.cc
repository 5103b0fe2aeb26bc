// SPDX-License-Identifier: MIT
// The life of an address space: made, copied for fork, read and written by the kernel, destroyed.
// Linux: kernel/fork.c (dup_mm), mm/mmap.c (exit_mmap). Context: process. Locks: the mm's; fork
// holds the parent's, the child is not visible yet. The last mm_put() frees.

#include "lib/string.h"
#include "mm/mm_internal.h"

const mm_file_ops *mm_files;
const mm_task_ops *mm_tasks;

namespace
{
kmem_cache *mm_cache;

/// A page of `mm` made ready for the kernel to read or write at `addr`; null when the program could
/// not either. The page stays as long as nobody else can unmap it: the caller builds the mm, or
/// holds its lock.
char *kernel_address(mm_struct *mm, u64 addr)
{
    u32 prot;
    phys_addr_t pa = arch_query_page(mm->pgd, align_down(addr, PAGE_SIZE), &prot);
    if (pa == ~phys_addr_t{0})
        return nullptr;
    return static_cast<char *>(phys_to_virt(pa)) + (addr & (PAGE_SIZE - 1));
}

result<void> write_or_clear(mm_struct *mm, u64 addr, const char *from, size_t n)
{
    while (n) {
        size_t k = min(n, PAGE_SIZE - (addr & (PAGE_SIZE - 1)));
        fault_result r = mm_fault(mm, addr, true, false);
        if (r != fault_result::ok)
            return error{r == fault_result::oom ? ENOMEM : EFAULT};
        char *to = kernel_address(mm, addr);
        if (!to)
            return error{EFAULT};
        if (from)
            memcpy(to, from, k);
        else
            memset(to, 0, k);
        from = from ? from + k : nullptr;
        addr += k;
        n -= k;
    }
    return {};
}

/// Share the pages of parent area `a` with the child's `b`: private ones lose write permission in
/// both.
result<void> share_pages(mm_struct *mm, const vm_area *a, mm_struct *child, bool *flush)
{
    bool cow = !(a->flags & VM_SHARED);
    for (u64 va = arch_next_mapped(mm->pgd, a->start, a->end); va < a->end;
         va = arch_next_mapped(mm->pgd, va + PAGE_SIZE, a->end)) {
        u32 prot;
        phys_addr_t pa = arch_query_page(mm->pgd, va, &prot);
        if (cow && (prot & PROT_WRITE_)) {
            prot &= ~u32{PROT_WRITE_};
            (void)arch_map_page(mm->pgd, va, pa, prot); // its table exists
            *flush = true;
        }
        if (!arch_map_page(child->pgd, va, pa, prot))
            return error{ENOMEM};
        get_page(phys_to_page(pa));
        child->rss.fetch_add(1, std::memory_order_relaxed);
    }
    return {};
}

result<void> share_areas(mm_struct *mm, mm_struct *child, bool *flush)
{
    for (vm_area *a = mm->areas.first(); a; a = mm->areas.next(*a)) {
        if (a->flags & VM_DONTCOPY)
            continue;
        vm_area *b = area_alloc(a->start, a->end, a->flags & ~u32{VM_LOCKED}, a->vm_file, a->shm,
                                a->pgoff); // locks are not inherited
        if (!b)
            return error{ENOMEM};
        area_link(child, b);
        TRY_VOID(share_pages(mm, a, child, flush));
    }
    return {};
}

void copy_layout(mm_struct *to, const mm_struct *from)
{
    to->start_brk = from->start_brk;
    to->brk = from->brk;
    to->mmap_base = from->mmap_base;
    to->start_stack = from->start_stack;
    to->arg_start = from->arg_start;
    to->arg_end = from->arg_end;
    to->env_start = from->env_start;
    to->env_end = from->env_end;
    to->def_stack_limit = from->def_stack_limit;
    to->exe_file = from->exe_file;
    if (to->exe_file) {
        mm_files->get(to->exe_file);
        mm_files->deny_write_again(to->exe_file);
    }
}
} // namespace

void mm_init()
{
    mm_cache = kmem_cache_create("mm_struct", sizeof(mm_struct), 64);
    vm_area_cache = kmem_cache_create("vm_area_struct", sizeof(vm_area));
}

mm_struct *mm_alloc()
{
    auto *mm = kmem_cache_new<mm_struct>(mm_cache, GFP_KERNEL);
    if (!mm)
        return nullptr;
    mm->lock = mm_tasks->lock_alloc();
    mm->pgd = mm->lock ? arch_pgd_alloc() : 0;
    if (mm->pgd)
        return mm;
    if (mm->lock)
        mm_tasks->lock_free(mm->lock);
    kmem_cache_delete(mm_cache, mm);
    return nullptr;
}

mm_struct *mm_dup(mm_struct *mm)
{
    mm_struct *child = mm_alloc();
    if (!child)
        return nullptr;
    bool flush = false, ok;
    {
        mm_guard g{mm};
        copy_layout(child, mm);
        ok = static_cast<bool>(share_areas(mm, child, &flush));
        if (flush)
            arch_flush_tlb(mm, 0, TASK_SIZE);
    }
    if (ok)
        return child;
    mm_put(child);
    return nullptr;
}

void mm_put(mm_struct *mm)
{
    if (!mm->users.put())
        return;
    {
        dead_areas dead;
        zap_pages(mm, 0, TASK_SIZE, false);
        while (vm_area *a = mm->areas.first()) {
            area_unlink(mm, a);
            dead.add(a);
        }
    }
    if (mm->exe_file) {
        mm_files->allow_write(mm->exe_file);
        mm_files->put(mm->exe_file);
    }
    arch_pgd_free(mm->pgd);
    mm_tasks->lock_free(mm->lock);
    kmem_cache_delete(mm_cache, mm);
}

result<void> mm_write(mm_struct *mm, u64 addr, const void *buf, size_t n)
{
    return write_or_clear(mm, addr, static_cast<const char *>(buf), n);
}
result<void> mm_clear(mm_struct *mm, u64 addr, size_t n)
{
    return write_or_clear(mm, addr, nullptr, n);
}

size_t mm_read(mm_struct *mm, u64 addr, void *buf, size_t n)
{
    size_t done = 0;
    while (done < n) {
        size_t k = min(n - done, PAGE_SIZE - (addr & (PAGE_SIZE - 1)));
        if (mm_fault(mm, addr, false, false) != fault_result::ok)
            break;
        mm_guard g{mm};
        const char *from = kernel_address(mm, addr);
        if (!from)
            break;
        memcpy(static_cast<char *>(buf) + done, from, k);
        done += k;
        addr += k;
    }
    return done;
}

void mm_for_each_area(mm_struct *mm, void (*f)(const vm_area &, void *), void *arg)
{
    mm_guard g{mm};
    for (vm_area *a = mm->areas.first(); a; a = mm->areas.next(*a))
        f(*a, arg);
}

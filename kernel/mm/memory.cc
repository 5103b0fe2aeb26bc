// SPDX-License-Identifier: MIT
// Pages of user memory: page faults (demand-zero, file pages, copy-on-write, stack growth) and
// their removal. Linux: mm/memory.c.
//
// Context: process, IRQs on. Locks: the mm's sleeping lock, dropped while a file is asked for a
// page (a file operation may hold the file's locks while it touches user memory, so we must not
// take them the other way round). A mapped page holds one reference; a private page with exactly
// one is ours to write.

#include "lib/printk.h"
#include "lib/string.h"
#include "mm/mm_internal.h"
#include "mm/mm_usage.h"

namespace
{
constexpr phys_addr_t NOT_MAPPED = ~phys_addr_t{0};

bool allows(const vm_area *a, bool write, bool exec)
{
    if (write)
        return a->flags & VM_WRITE;
    if (exec)
        return a->flags & VM_EXEC;
    return a->flags & VM_ACCESS;
}

/// The area of `addr`, a stack grown down to it when that is allowed.
vm_area *area_for_fault(mm_struct *mm, u64 addr)
{
    vm_area *a = find_area(mm, addr);
    if (!a || addr >= a->start)
        return a;
    constexpr unsigned RLIMIT_STACK = 3;
    u64 start = align_down(addr, PAGE_SIZE);
    if (!(a->flags & VM_GROWSDOWN) || a->end - start > mm_tasks->limit(RLIMIT_STACK) ||
        addr < MMAP_MIN_ADDR || !may_expand(mm, a->flags, a->start - start))
        return nullptr;
    vm_area *below = find_area_below(mm, a->start);
    if (below && below->end + PAGE_SIZE > start) // a page stays free below a stack
        return nullptr;
    account_pages(mm, a->flags, a->start - start);
    a->start = start; // the order of areas does not change
    return a;
}

bool map(mm_struct *mm, const vm_area *a, u64 va, page *p)
{
    if (!arch_map_page(mm->pgd, va, page_to_phys(p), area_prot(a, p))) {
        put_page(p);
        return false;
    }
    return true;
}

page *copy_of(const page *src)
{
    page *p = alloc_pages(GFP_USER, 0);
    if (p) {
        memcpy(page_address(p), page_address(src), PAGE_SIZE);
        set_page_anon(p);
    }
    return p;
}

/// A present page: write to a shared copy, or nothing to do because another thread was first.
fault_result fault_present(mm_struct *mm, vm_area *a, u64 va, phys_addr_t pa, u32 prot, bool write)
{
    if (!write || (prot & PROT_WRITE_))
        return fault_result::ok;
    page *old = phys_to_page(pa);
    if ((a->flags & VM_SHARED) || old->refs.load(std::memory_order_acquire) == 1) {
        if (!arch_map_page(mm->pgd, va, pa, area_prot(a, old)))
            return fault_result::oom;
        arch_flush_tlb(mm, va, va + PAGE_SIZE);
        return fault_result::ok;
    }
    page *mine = copy_of(old);
    if (!mine || !map(mm, a, va, mine))
        return fault_result::oom;
    arch_flush_tlb(mm, va, va + PAGE_SIZE);
    put_page(old);
    return fault_result::ok;
}

/// A page read through the file because it has none of its own to share.
page *read_page(file *f, u64 pos)
{
    page *p = alloc_pages(GFP_USER | GFP_ZERO, 0);
    if (!p)
        return nullptr;
    if (mm_files->read(f, page_address(p), PAGE_SIZE, pos) <= 0) {
        put_page(p);
        return nullptr;
    }
    return p;
}

/// The page of file `f` at `pos` for a private or shared mapping. Lock not held.
page *file_fault_page(file *f, u64 pos, bool shared, bool write, fault_result *why)
{
    *why = fault_result::bus;
    page *p = mm_files->get_page ? mm_files->get_page(f, pos >> PAGE_SHIFT) : nullptr;
    if (!p)
        return shared ? nullptr : read_page(f, pos);
    if (shared || !write)
        return p;
    page *mine = copy_of(p);
    put_page(p);
    if (!mine)
        *why = fault_result::oom;
    return mine;
}

/// One try at a fault with the lock held; `got` is a file page that the caller fetched for area
/// version `seq`.
struct fault_state {
    u64 addr;
    bool write, exec;
    page *got = nullptr;
    file *want = nullptr; // out: fetch this file's page, then try again
    u64 pos = 0;
    bool shared = false;
    u32 seq = 0;
};

fault_result fault_locked(mm_struct *mm, fault_state &s)
{
    u64 va = align_down(s.addr, PAGE_SIZE);
    vm_area *a = area_for_fault(mm, s.addr);
    if (!a)
        return fault_result::segv;
    if (!allows(a, s.write, s.exec))
        return fault_result::access;
    u32 prot = 0;
    phys_addr_t pa = arch_query_page(mm->pgd, va, &prot);
    if (pa != NOT_MAPPED)
        return fault_present(mm, a, va, pa, prot, s.write);
    page *p = nullptr;
    if (a->shm) {
        p = shm_page(a->shm, (va - a->start + a->pgoff) >> PAGE_SHIFT);
    } else if (!a->vm_file) {
        p = alloc_pages(GFP_USER | GFP_ZERO, 0);
        if (p)
            set_page_anon(p);
    } else if (s.got && s.seq == mm->map_seq) {
        p = s.got;
        s.got = nullptr;
    } else {
        s.want = a->vm_file;
        mm_files->get(s.want);
        s.pos = va - a->start + a->pgoff;
        s.shared = a->flags & VM_SHARED;
        s.seq = mm->map_seq;
        return fault_result::ok;
    }
    if (!p || !map(mm, a, va, p))
        return fault_result::oom;
    mm->hiwater_rss = max(mm->hiwater_rss, mm->rss.fetch_add(1, std::memory_order_relaxed) + 1);
    return fault_result::ok;
}
} // namespace

u32 area_prot(const vm_area *a, const page *p)
{
    u32 prot = PROT_USER_;
    if (a->flags & VM_ACCESS)
        prot |= PROT_READ_;
    if (a->flags & VM_EXEC)
        prot |= PROT_EXEC_;
    if ((a->flags & VM_WRITE) &&
        ((a->flags & VM_SHARED) || p->refs.load(std::memory_order_acquire) == 1))
        prot |= PROT_WRITE_;
    return prot;
}

fault_result mm_fault(mm_struct *mm, u64 addr, bool write, bool exec)
{
    if (addr >= TASK_SIZE)
        return fault_result::segv;
    fault_state s{addr, write, exec};
    for (;;) {
        s.want = nullptr;
        fault_result r;
        {
            mm_guard g{mm};
            r = fault_locked(mm, s);
        }
        if (s.got)
            put_page(s.got);
        s.got = nullptr;
        if (!s.want)
            return r;
        fault_result why;
        s.got = file_fault_page(s.want, s.pos, s.shared, write, &why);
        mm_files->put(s.want);
        if (!s.got)
            return why;
    }
}

static std::atomic<u64> page_faults{0};

u64 nr_page_faults()
{
    return page_faults.load(std::memory_order_relaxed);
}

int handle_mm_fault(mm_struct *mm, u64 addr, bool write, bool exec, bool user)
{
    constexpr int SEGV_MAPERR = 1, SEGV_ACCERR = 2;
    if (!mm)
        return SEGV_MAPERR;
    page_faults.fetch_add(1, std::memory_order_relaxed);
    mm_tasks->count_fault();
    for (;;) {
        switch (mm_fault(mm, addr, write, exec)) {
        case fault_result::ok:
            return 0;
        case fault_result::oom:
            if (mm_tasks->oom_kill())
                continue;
            return user ? 0 : SEGV_MAPERR; // a signal waits for us
        case fault_result::bus:
            if (user)
                mm_tasks->sigbus(addr);
            return user ? 0 : SEGV_MAPERR;
        case fault_result::access:
            return SEGV_ACCERR;
        default:
            return SEGV_MAPERR;
        }
    }
}

void zap_pages(mm_struct *mm, u64 start, u64 end, bool flush)
{
    constexpr unsigned BATCH = 64;
    u64 va = arch_next_mapped(mm->pgd, start, end);
    while (va < end) {
        page *batch[BATCH];
        unsigned n = 0;
        u64 first = va, last = va;
        for (; va < end && n < BATCH; va = arch_next_mapped(mm->pgd, va + PAGE_SIZE, end)) {
            batch[n++] = phys_to_page(arch_unmap_page(mm->pgd, va));
            last = va;
        }
        if (flush)
            arch_flush_tlb(mm, first, last + PAGE_SIZE);
        mm->rss.fetch_sub(n, std::memory_order_relaxed);
        for (unsigned i = 0; i < n; i++)
            put_page(batch[i]);
    }
}

// SPDX-License-Identifier: MIT
// Between mm.cc, mmap.cc, memory.cc and their neighbours. Private to mm/. Everything here wants the
// mm's lock held, unless it says otherwise.
#pragma once

#include "mm/mm.h"
#include "mm/slab.h"

/// Areas taken out of an mm: their files are dropped after the lock, because a file's release may
/// sleep on other locks.
class dead_areas : pinned
{
public:
    ~dead_areas() { drop(); }
    void add(vm_area *a)
    {
        a->next_dead = head_;
        head_ = a;
    }
    /// Lock not held.
    void drop();

private:
    vm_area *head_ = nullptr;
};

/// Cache "vm_area_struct", made by mm_init().
extern kmem_cache *vm_area_cache;
/// New area with its references taken; null when out of memory.
vm_area *area_alloc(u64 start, u64 end, u32 flags, file *f, shm_object *shm, u64 pgoff);
/// Free an area that is on no tree, dropping its references. Lock not held.
void area_free(vm_area *a);
void area_link(mm_struct *mm, vm_area *a);
void area_unlink(mm_struct *mm, vm_area *a);
/// Count pages that an area of `flags` gains or loses. area_link and area_unlink do it themselves.
void account_pages(mm_struct *mm, u32 flags, u64 bytes);
void unaccount_pages(mm_struct *mm, u32 flags, u64 bytes);
/// Whether `more` areas beside one would be beyond vm.max_map_count.
inline bool too_many_areas(const mm_struct *mm, u32 more)
{
    return mm->map_count + more >= static_cast<u32>(sysctl_max_map_count);
}
/// RLIMIT_AS and RLIMIT_MEMLOCK for `bytes` more of `flags`: ENOMEM, EAGAIN.
result<void> may_expand(const mm_struct *mm, u32 flags, u64 bytes);
/// Fault in what is there to fault in [start,end). Lock not held.
void populate(mm_struct *mm, u64 start, u64 end, bool write);
/// Give the areas of [start,end) whole pieces and set or clear VM_LOCKED.
result<void> set_locked(mm_struct *mm, u64 start, u64 end, bool lock);
/// ENOMEM unless areas cover [start,end) without a gap.
result<void> check_covered(mm_struct *mm, u64 start, u64 end);
/// First area that ends after `addr` (it need not contain it).
vm_area *find_area(mm_struct *mm, u64 addr);
/// Last area that starts below `addr`.
vm_area *find_area_below(mm_struct *mm, u64 addr);
/// Cut so that no area straddles `at`.
result<void> split_at(mm_struct *mm, u64 at);
/// Join `a` with its neighbours where they continue each other.
void merge_area(mm_struct *mm, vm_area *a, dead_areas &dead);
/// Take out every area in [start,end) and their pages.
result<void> unmap_range(mm_struct *mm, u64 start, u64 end, dead_areas &dead);
/// Room for `len` bytes at `hint` if it is free, else anywhere; ENOMEM.
result<u64> find_room(mm_struct *mm, u64 hint, u64 len);

/// Unmap and drop the pages in [start,end). `flush` false: no CPU can have the mm active.
void zap_pages(mm_struct *mm, u64 start, u64 end, bool flush = true);
/// Page-table protection of a page in area `a`; a private page that others share must not become
/// writable.
u32 area_prot(const vm_area *a, const page *p);

/// `segv`: nothing is mapped there; `access`: it does not allow that.
enum class fault_result : u8 { ok, segv, access, bus, oom };
/// Resolve an access. Takes and drops the lock itself; may sleep.
fault_result mm_fault(mm_struct *mm, u64 addr, bool write, bool exec);

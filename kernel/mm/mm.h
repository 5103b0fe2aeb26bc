// SPDX-License-Identifier: MIT
// User address spaces: regions, demand-zero and copy-on-write paging. Linux: mm_struct, vm_area_struct, mm/mmap.c, mm/memory.c.
#pragma once

#include "lib/rbtree.h"
#include "lib/refcount.h"
#include "lib/result.h"
#include "lib/spinlock.h"
#include "mm/page.h"

enum vm_flag : u32 { VM_READ = 1, VM_WRITE = 2, VM_EXEC = 4, VM_SHARED = 8, VM_GROWSDOWN = 0x100 };

/// One mapped region [start,end), page aligned. File mappings read through `read_page`.
struct vm_area {
    rb_node node;
    u64 start = 0, end = 0;
    u32 flags = 0;
    file *vm_file = nullptr; // referenced
    u64 pgoff = 0;           // file offset of start, bytes
};
struct vm_area_less {
    bool operator()(const vm_area &a, const vm_area &b) const { return a.start < b.start; }
};

/// How mm reaches files without including fs/: set by fs/ at init.
struct mm_file_ops {
    /// Read up to n bytes at `pos` into kernel memory; short at EOF. Returns bytes or -errno. [P]
    ssize_t (*read)(file *f, void *buf, size_t n, u64 pos);
    void (*get)(file *f);
    void (*put)(file *f);
};
extern const mm_file_ops *mm_files;

/// An address space, shared by the threads of a process.
struct mm_struct : pinned {
    refcount users;
    arch_pgd pgd = 0;
    /// Serialises changes of regions and page tables of this mm; a sleeping mutex (sched/mutex.h) cannot be included
    /// here, so mm.cc keeps it opaque.
    struct mm_lock *lock = nullptr;
    rbtree<vm_area, &vm_area::node, vm_area_less> areas;
    u64 start_brk = 0, brk = 0, mmap_base = 0, start_stack = 0;
    u64 arg_start = 0, arg_end = 0, env_start = 0, env_end = 0;
    std::atomic<u64> rss{0}; // pages
    u64 total_vm = 0;        // pages
    std::atomic<u32> cpus{0}; // bit n: CPU n has this mm active (TLB shoot-down)
};

/// New empty address space, or null. [P]
mm_struct *mm_alloc();
/// Copy for fork: regions copied, pages shared copy-on-write. [P]
mm_struct *mm_dup(mm_struct *mm);
inline void mm_get(mm_struct *mm) { mm->users.get(); }
/// Drop a user; the last frees everything. [P]
void mm_put(mm_struct *mm);

/// The mmap family; addresses and results as the system calls. [P]
result<u64> do_mmap(mm_struct *mm, u64 addr, u64 len, u32 prot, u32 map_flags, file *f, u64 off);
result<void> do_munmap(mm_struct *mm, u64 addr, u64 len);
result<void> do_mprotect(mm_struct *mm, u64 addr, u64 len, u32 prot);
result<u64> do_mremap(mm_struct *mm, u64 addr, u64 old_len, u64 new_len, u32 flags, u64 new_addr);
u64 do_brk(mm_struct *mm, u64 brk);
/// Copy into another (new) address space while building it (execve's stack). [P]
result<void> mm_write(mm_struct *mm, u64 addr, const void *buf, size_t n);

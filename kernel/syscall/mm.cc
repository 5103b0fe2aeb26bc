// SPDX-License-Identifier: MIT
// Memory calls: decode, find the file, hand on to mm/. Linux: mm/mmap.c, mm/mremap.c, mm/msync.c,
// mm/mlock.c, mm/mincore.c. Context: process.

#include "syscall/mm.h"
#include "fs/seq_file.h"
#include "lib/initcall.h"
#include "mm/mm.h"
#include "sched/sched.h"

namespace
{
constexpr u32 MS_ASYNC = 1, MS_INVALIDATE = 2, MS_SYNC = 4;

/// Whether descriptor `fd` is /dev/zero, whose mappings are anonymous memory.
bool is_dev_zero(int fd)
{
    auto f = fget(fd);
    return f && s_ischr((*f)->f_inode->mode) && (*f)->f_inode->rdev == mkdev(1, 5);
}

/// The file of a mapping, checked against what it is opened for.
result<file_ptr> mappable_file(int fd, u32 prot, u32 *flags)
{
    file_ptr f = TRY(fget(fd));
    if (!(f->f_mode & FMODE_READ))
        return error{EACCES};
    if ((*flags & MAP_TYPE) == MAP_SHARED && !(f->f_mode & FMODE_WRITE)) {
        if (prot & VM_WRITE)
            return error{EACCES};
        *flags |= MAP_RDONLY_FILE_;
    }
    if (!f->f_op->file_page && !(s_isreg(f->f_inode->mode) && (*flags & MAP_TYPE) == MAP_PRIVATE))
        return error{ENODEV};
    return f;
}
int mmap_min_addr = MMAP_MIN_ADDR; // fixed: the file takes no other value

int mm_sysctl_init()
{
    sysctl_create_int("vm/mmap_min_addr", &mmap_min_addr, mmap_min_addr, mmap_min_addr);
    sysctl_create_int("vm/max_map_count", &sysctl_max_map_count, 0, INT32_MAX);
    sysctl_create_int("vm/overcommit_memory", &sysctl_overcommit_memory, 0, 1);
    return 0;
}
fs_initcall(mm_sysctl_init);
} // namespace

result<u64> sys_mmap(u64 addr, u64 len, u32 prot, u32 flags, int fd, u64 off)
{
    if (off & (PAGE_SIZE - 1))
        return error{EINVAL};
    flags &= ~MAP_RDONLY_FILE_;
    mm_struct *mm = current()->mm;
    // Linux's VM_READ…EXEC have PROT_READ…EXEC's values.
    if (flags & MAP_ANONYMOUS)
        return do_mmap(mm, addr, len, prot, flags, nullptr, off);
    if (!len)
        return fget(fd) ? error{EINVAL} : error{EBADF};
    if (is_dev_zero(fd)) // as if there were no file (Linux mmap_zero)
        return do_mmap(mm, addr, len, prot, flags | MAP_ANONYMOUS, nullptr, off);
    file_ptr f = TRY(mappable_file(fd, prot, &flags));
    return do_mmap(mm, addr, len, prot, flags, f.get(), off);
}

result<void> sys_munmap(u64 addr, u64 len)
{
    return do_munmap(current()->mm, addr, len);
}

result<void> sys_mprotect(u64 addr, u64 len, u32 prot)
{
    constexpr u32 PROT_SEM = 8;
    if (prot & ~(VM_ACCESS | PROT_SEM))
        return error{EINVAL};
    return do_mprotect(current()->mm, addr, len, prot);
}

result<u64> sys_mremap(u64 addr, u64 old_len, u64 new_len, u32 flags, u64 new_addr)
{
    return do_mremap(current()->mm, addr, old_len, new_len, flags, new_addr);
}

result<u64> sys_brk(u64 brk)
{
    return do_brk(current()->mm, brk);
}
result<void> sys_madvise(u64 addr, u64 len, int advice)
{
    return do_madvise(current()->mm, addr, len, advice);
}

result<void> sys_msync(u64 addr, u64 len, u32 flags)
{
    if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) ||
        ((flags & MS_ASYNC) && (flags & MS_SYNC)))
        return error{EINVAL};
    return mm_check_mapped(current()->mm, addr, len); // shared pages are the file's own
}

result<void> sys_mlock(u64 addr, u64 len)
{
    return do_mlock(current()->mm, addr, len, true);
}
result<void> sys_munlock(u64 addr, u64 len)
{
    return do_mlock(current()->mm, addr, len, false);
}
result<void> sys_mlockall(u32 flags)
{
    constexpr u32 MCL_CURRENT = 1, MCL_FUTURE = 2;
    if (!flags || (flags & ~(MCL_CURRENT | MCL_FUTURE)))
        return error{EINVAL};
    return do_mlockall(current()->mm, flags & MCL_CURRENT, flags & MCL_FUTURE);
}
result<void> sys_munlockall()
{
    return do_mlockall(current()->mm, false, false);
}

result<void> sys_mincore(u64 addr, u64 len, user_ptr<u8> vec)
{
    if (addr & (PAGE_SIZE - 1))
        return error{EINVAL};
    if (addr > TASK_SIZE || len > TASK_SIZE - addr)
        return error{ENOMEM};
    u64 pages = align_up(len, PAGE_SIZE) >> PAGE_SHIFT;
    for (u64 i = 0; i < pages; i++) {
        u8 v = TRY(mm_resident(current()->mm, addr + i * PAGE_SIZE));
        TRY_VOID(put_user(vec + i, v));
        cond_resched();
    }
    return {};
}

// SPDX-License-Identifier: MIT
// process_vm_readv and _writev: copying between the memory of two processes. Linux:
// mm/process_vm_access.c. Context: process. No locks of its own.

#include "mm/mm.h"
#include "mm/slab.h"
#include "sched/process.h"
#include "syscall/mm.h"

namespace
{
struct piece {
    u64 base, len;
};
constexpr u64 UIO_MAXIOV = 1024;

/// A user's iovec array in kernel memory.
struct vector : pinned {
    piece *v = nullptr;
    u64 n = 0, at = 0;
    ~vector() { kfree(v); }

    result<void> get(u64 addr, u64 count)
    {
        if (count > UIO_MAXIOV)
            return error{EINVAL};
        v = static_cast<piece *>(kmalloc(max(count, u64{1}) * sizeof(piece), GFP_KERNEL));
        if (!v)
            return error{ENOMEM};
        n = count;
        TRY_VOID(copy_from_user(v, user_ptr<const void>{addr}, n * sizeof(piece)));
        u64 total = 0;
        for (u64 i = 0; i < n; i++)
            if (v[i].len > INT64_MAX || (total += v[i].len) > INT64_MAX)
                return error{EINVAL};
        return {};
    }
    /// The piece to go on with, or null.
    piece *next()
    {
        while (at < n && !v[at].len)
            at++;
        return at < n ? &v[at] : nullptr;
    }
    void advance(u64 k)
    {
        v[at].base += k;
        v[at].len -= k;
    }
};

/// Whether the caller may look into `t`: the same user throughout, or the right to trace.
bool may_access(const task_struct *t)
{
    const task_struct *me = current();
    if (t->tgid == me->tgid || capable(CAP_SYS_PTRACE))
        return true;
    return me->uid == t->uid && me->uid == t->euid && me->uid == t->suid && me->gid == t->gid &&
           me->gid == t->egid && me->gid == t->sgid;
}

result<mm_struct *> get_mm(s32 pid)
{
    task_struct *t = find_get_task(pid);
    if (!t)
        return error{ESRCH};
    mm_struct *mm = nullptr;
    bool may;
    {
        spin_guard<irqsave> g{tasklist_lock};
        may = may_access(t) && (!t->signal || t->signal->dumpable || capable(CAP_SYS_PTRACE));
    }
    if (may)
        mm = get_task_mm(t);
    put_task(t);
    if (!may)
        return error{EPERM};
    if (!mm)
        return error{ESRCH};
    return mm;
}

result<s64> copy_all(mm_struct *mm, vector &local, vector &remote, bool write, char *page)
{
    s64 done = 0;
    for (piece *l, *r; (l = local.next()) && (r = remote.next());) {
        size_t k = min(min(l->len, r->len), u64{PAGE_SIZE});
        if (write && !copy_from_user(page, user_ptr<const void>{l->base}, k))
            return done ? result<s64>{done} : result<s64>{error{EFAULT}};
        size_t moved = mm_access(mm, r->base, page, k, write);
        if (!write && moved && !copy_to_user(user_ptr<void>{l->base}, page, moved))
            return done ? result<s64>{done} : result<s64>{error{EFAULT}};
        done += static_cast<s64>(moved);
        if (moved < k)
            return done ? result<s64>{done} : result<s64>{error{EFAULT}};
        local.advance(k);
        remote.advance(k);
        if (signal_pending())
            break;
        cond_resched();
    }
    return done;
}

result<s64> transfer(s32 pid, u64 local, u64 nlocal, u64 remote, u64 nremote, u64 flags, bool write)
{
    if (flags)
        return error{EINVAL};
    vector l, r;
    TRY_VOID(l.get(local, nlocal));
    TRY_VOID(r.get(remote, nremote));
    if (!l.next() || !r.next())
        return s64{0};
    mm_struct *mm = TRY(get_mm(pid));
    auto *page = static_cast<char *>(get_free_pages(GFP_KERNEL, 0));
    auto done = page ? copy_all(mm, l, r, write, page) : result<s64>{error{ENOMEM}};
    free_pages(page);
    mm_put(mm);
    return done;
}
} // namespace

result<s64> sys_process_vm_readv(s32 pid, u64 local, u64 nlocal, u64 remote, u64 nremote, u64 flags)
{
    return transfer(pid, local, nlocal, remote, nremote, flags, false);
}

result<s64> sys_process_vm_writev(s32 pid, u64 local, u64 nlocal, u64 remote, u64 nremote,
                                  u64 flags)
{
    return transfer(pid, local, nlocal, remote, nremote, flags, true);
}

// SPDX-License-Identifier: MIT
// What the three kinds of System V IPC share: keys and ids, owners and permissions. Linux: ipc/util.c. Process context.
//
// An object stands in its kind's table until it is removed. The table and what is in it are protected by the kind's mutex; it may be
// taken under an mm's lock (shared memory), and no user memory is touched while it is held.
#pragma once

#include "fs/ipc/ipc.h"
#include "fs/seq_file.h"
#include "mm/slab.h"
#include "sched/sched.h"

constexpr s32 IPC_PRIVATE = 0;
constexpr u32 IPC_CREAT = 01000, IPC_EXCL = 02000, IPC_NOWAIT = 04000;
constexpr u32 IPC_RMID = 0, IPC_SET = 1, IPC_STAT = 2, IPC_INFO = 3;
constexpr u32 S_IRUGO = 0444, S_IWUGO = 0222;
/// Most objects of a kind; an id is a sequence number times this, plus the place in the table.
constexpr unsigned IPCMNI = 32768;

/// Head of every object.
struct ipc_object : pinned {
    s32 key = 0, id = 0;
    u32 uid = 0, gid = 0, cuid = 0, cgid = 0, mode = 0;
    u64 ctime = 0; // seconds
    bool removed = false;
    refcount count; // the table's, and those who use it without the mutex
};

/// struct ipc64_perm of x86_64.
struct ipc_perm_abi {
    s32 key;
    u32 uid, gid, cuid, cgid, mode;
    u16 seq, pad[3];
    u64 unused[2];
};
static_assert(sizeof(ipc_perm_abi) == 48);

/// All objects of a kind.
struct ipc_ids : pinned {
    mutex lock;
    ipc_object **slots = nullptr;
    unsigned size = 0; // of `slots`
    unsigned in_use = 0;
    u32 seq = 0;
    explicit ipc_ids(const char *lock_name) : lock{lock_name} {}
};

/// Seconds of the wall clock, and the current process, as the *_ds structures tell them.
u64 ipc_time();
s32 ipc_pid();
/// Put a new object into the table, at most `limit` of them, and give it its id. ENOSPC, ENOMEM. Lock held.
result<void> ipc_add(ipc_ids &ids, ipc_object *o, s32 key, u32 flags, unsigned limit);
/// Take it out; the caller drops the table's reference. Lock held.
void ipc_remove(ipc_ids &ids, ipc_object *o);
/// By key, null when there is none; by id: EINVAL, EIDRM; by place in the table (SHM_STAT and the like): EINVAL. Lock held.
ipc_object *ipc_find_key(ipc_ids &ids, s32 key);
result<ipc_object *> ipc_find(ipc_ids &ids, int id);
result<ipc_object *> ipc_find_index(ipc_ids &ids, int index);
/// Highest place in use, 0 when all are free. Lock held.
int ipc_max_index(const ipc_ids &ids);
/// Whether the current task has the permissions of `flags` (S_IRUGO, S_IWUGO, or the flags of a get call). EACCES.
result<void> ipc_permitted(const ipc_object *o, u32 flags);
/// Whether it may change or remove the object. EPERM.
result<void> ipc_may_control(const ipc_object *o);
/// The object as the user sees it, and IPC_SET's changes.
ipc_perm_abi ipc_perm_of(const ipc_object *o);
void ipc_set_perm(ipc_object *o, const ipc_perm_abi &p);
/// The ...get calls: find by key, or make one with `make()`, which returns it in the table; `fits(o)` checks a found one.
template <class Make, class Fits>
result<int> ipc_get(ipc_ids &ids, s32 key, u32 flags, Make make, Fits fits)
{
    mutex_guard g{ids.lock};
    ipc_object *o = key == IPC_PRIVATE ? nullptr : ipc_find_key(ids, key);
    if (!o) {
        if (key != IPC_PRIVATE && !(flags & IPC_CREAT))
            return error{ENOENT};
        o = TRY(make());
        return int{o->id};
    }
    if ((flags & IPC_CREAT) && (flags & IPC_EXCL))
        return error{EEXIST};
    TRY_VOID(fits(o));
    TRY_VOID(ipc_permitted(o, flags));
    return int{o->id};
}
/// IPC_STAT, or (by_index) SHM_STAT and the like, which return the id: what `status` says of the object goes to the user.
template <class Object, class Abi>
result<int> ipc_stat(ipc_ids &ids, int id, bool by_index, user_ptr<void> arg,
                     Abi (*status)(const Object *))
{
    Abi d;
    int r = 0;
    {
        mutex_guard g{ids.lock};
        ipc_object *o = TRY(by_index ? ipc_find_index(ids, id) : ipc_find(ids, id));
        TRY_VOID(ipc_permitted(o, S_IRUGO));
        d = status(static_cast<const Object *>(o));
        if (by_index)
            r = o->id;
    }
    TRY_VOID(copy_to_user(arg, &d, sizeof d));
    return r;
}
/// Print every object of a kind. `row` gets the file and the object. The mutex is held.
template <class Row>
void ipc_show(seq_file *m, ipc_ids &ids, const char *head, Row row)
{
    mutex_guard g{ids.lock};
    seq_puts(m, head);
    for (unsigned i = 0; i < ids.size; i++)
        if (const ipc_object *o = ids.slots[i])
            row(m, o);
}

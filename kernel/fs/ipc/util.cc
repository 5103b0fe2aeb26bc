// SPDX-License-Identifier: MIT
// Keys, ids and permissions of System V IPC. See fs/ipc/util.h.

#include "fs/ipc/util.h"
#include "sched/process.h"

u64 ipc_time()
{
    return ktime_get_real() / NSEC_PER_SEC;
}

s32 ipc_pid()
{
    return current() ? current()->tgid : 0;
}

namespace
{
/// Lowest free place, the table made larger if it is full. Lock held.
result<unsigned> free_place(ipc_ids &ids)
{
    unsigned i = 0;
    while (i < ids.size && ids.slots[i])
        i++;
    if (i < ids.size)
        return i;
    unsigned size = ids.size ? ids.size * 2 : 16;
    auto **slots = static_cast<ipc_object **>(kzalloc(size * sizeof(ipc_object *), GFP_KERNEL));
    if (!slots)
        return error{ENOMEM};
    for (unsigned k = 0; k < ids.size; k++)
        slots[k] = ids.slots[k];
    kfree(ids.slots);
    ids.slots = slots;
    ids.size = size;
    return i;
}
} // namespace

result<void> ipc_add(ipc_ids &ids, ipc_object *o, s32 key, u32 flags, unsigned limit)
{
    if (ids.in_use >= min(limit, IPCMNI))
        return error{ENOSPC};
    unsigned place = TRY(free_place(ids));
    o->key = key;
    o->id = static_cast<s32>(ids.seq * IPCMNI + place);
    ids.seq = (ids.seq + 1) % (INT32_MAX / IPCMNI);
    o->mode = flags & 0777;
    o->uid = o->cuid = static_cast<u32>(current()->euid);
    o->gid = o->cgid = static_cast<u32>(current()->egid);
    o->ctime = ipc_time();
    ids.slots[place] = o;
    ids.in_use++;
    return {};
}

void ipc_remove(ipc_ids &ids, ipc_object *o)
{
    ids.slots[static_cast<u32>(o->id) % IPCMNI] = nullptr;
    ids.in_use--;
    o->removed = true;
}

ipc_object *ipc_find_key(ipc_ids &ids, s32 key)
{
    for (unsigned i = 0; i < ids.size; i++)
        if (ids.slots[i] && ids.slots[i]->key == key)
            return ids.slots[i];
    return nullptr;
}

result<ipc_object *> ipc_find_index(ipc_ids &ids, int index)
{
    if (index < 0)
        return error{EINVAL};
    unsigned place = static_cast<u32>(index) % IPCMNI;
    ipc_object *o = place < ids.size ? ids.slots[place] : nullptr;
    return o ? result<ipc_object *>{o} : result<ipc_object *>{error{EINVAL}};
}

result<ipc_object *> ipc_find(ipc_ids &ids, int id)
{
    ipc_object *o = TRY(ipc_find_index(ids, id));
    return o->id == id ? result<ipc_object *>{o} : result<ipc_object *>{error{EIDRM}};
}

int ipc_max_index(const ipc_ids &ids)
{
    int last = 0;
    for (unsigned i = 0; i < ids.size; i++)
        if (ids.slots[i])
            last = static_cast<int>(i);
    return last;
}

result<void> ipc_permitted(const ipc_object *o, u32 flags)
{
    u32 wanted = flags >> 6 | flags >> 3 | flags, granted = o->mode;
    auto euid = static_cast<u32>(current()->euid);
    if (euid == o->cuid || euid == o->uid)
        granted >>= 6;
    else if (in_egroup_p(o->cgid) || in_egroup_p(o->gid))
        granted >>= 3;
    if ((wanted & ~granted & 7) && !capable(CAP_IPC_OWNER))
        return error{EACCES};
    return {};
}

result<void> ipc_may_control(const ipc_object *o)
{
    auto euid = static_cast<u32>(current()->euid);
    if (euid == o->cuid || euid == o->uid || capable(CAP_SYS_ADMIN))
        return {};
    return error{EPERM};
}

ipc_perm_abi ipc_perm_of(const ipc_object *o)
{
    ipc_perm_abi p{};
    p.key = o->key;
    p.uid = o->uid;
    p.gid = o->gid;
    p.cuid = o->cuid;
    p.cgid = o->cgid;
    p.mode = o->mode;
    p.seq = static_cast<u16>(static_cast<u32>(o->id) / IPCMNI);
    return p;
}

void ipc_set_perm(ipc_object *o, const ipc_perm_abi &p)
{
    o->uid = p.uid;
    o->gid = p.gid;
    o->mode = (o->mode & ~0777u) | (p.mode & 0777);
    o->ctime = ipc_time();
}

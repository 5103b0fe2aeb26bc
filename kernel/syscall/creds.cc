// SPDX-License-Identifier: MIT
// User and group ids, supplementary groups, capabilities. Linux: kernel/sys.c, kernel/groups.c,
// kernel/capability.c, security/commoncap.c. Context: process. No locks: credentials belong to the
// thread, as in Linux; libc changes all threads.

#include "mm/slab.h"
#include "sched/process.h"
#include "syscall/process.h"

result<s32> sys_getuid()
{
    return current()->uid;
}
result<s32> sys_geteuid()
{
    return current()->euid;
}
result<s32> sys_getgid()
{
    return current()->gid;
}
result<s32> sys_getegid()
{
    return current()->egid;
}

namespace
{
/// The three ids of one kind; fields of the current task.
struct id_set {
    s32 real, effective, saved;
};
id_set users()
{
    return {current()->uid, current()->euid, current()->suid};
}
id_set groups()
{
    return {current()->gid, current()->egid, current()->sgid};
}

/// Put new user ids in place: capabilities, fsuid and the count of the user's processes follow.
result<void> commit_users(const id_set &to)
{
    task_struct *t = current();
    user_struct *user = nullptr;
    if (to.real != t->uid && !(user = user_alloc(static_cast<u32>(to.real))))
        return error{EAGAIN};
    cred_ids old{t->uid, t->euid, t->suid};
    t->uid = to.real;
    t->euid = to.effective;
    t->suid = to.saved;
    if (old.euid != t->euid)
        t->signal->dumpable = 0;
    creds_changed(old, user);
    return {};
}

result<void> commit_groups(const id_set &to)
{
    task_struct *t = current();
    if (to.effective != t->egid)
        t->signal->dumpable = 0;
    t->gid = to.real;
    t->egid = to.effective;
    t->sgid = to.saved;
    t->cred.fsgid = static_cast<u32>(to.effective);
    return {};
}

result<id_set> set_id(id_set s, s32 id, capability cap)
{
    if (id == -1)
        return error{EINVAL};
    if (capable(cap))
        return id_set{id, id, id};
    if (id != s.real && id != s.saved)
        return error{EPERM};
    s.effective = id;
    return s;
}

result<id_set> set_re(id_set s, s32 r, s32 e, capability cap)
{
    bool mighty = capable(cap);
    if (r != -1 && r != s.real && r != s.effective && !mighty)
        return error{EPERM};
    if (e != -1 && e != s.real && e != s.effective && e != s.saved && !mighty)
        return error{EPERM};
    s32 old_real = s.real;
    if (e != -1)
        s.effective = e;
    if (r != -1)
        s.real = r;
    if (r != -1 || (e != -1 && e != old_real))
        s.saved = s.effective;
    return s;
}

result<id_set> set_res(id_set s, s32 r, s32 e, s32 saved, capability cap)
{
    auto may = [&](s32 id) {
        return id == -1 || id == s.real || id == s.effective || id == s.saved || capable(cap);
    };
    if (!may(r) || !may(e) || !may(saved))
        return error{EPERM};
    return id_set{r != -1 ? r : s.real, e != -1 ? e : s.effective, saved != -1 ? saved : s.saved};
}

result<void> get_res(const id_set &s, user_ptr<s32> r, user_ptr<s32> e, user_ptr<s32> saved)
{
    TRY_VOID(put_user(r, s.real));
    TRY_VOID(put_user(e, s.effective));
    return put_user(saved, s.saved);
}
} // namespace

result<void> sys_setuid(s32 id)
{
    return commit_users(TRY(set_id(users(), id, CAP_SETUID)));
}
result<void> sys_setgid(s32 id)
{
    return commit_groups(TRY(set_id(groups(), id, CAP_SETGID)));
}
result<void> sys_setreuid(s32 r, s32 e)
{
    return commit_users(TRY(set_re(users(), r, e, CAP_SETUID)));
}
result<void> sys_setregid(s32 r, s32 e)
{
    return commit_groups(TRY(set_re(groups(), r, e, CAP_SETGID)));
}
result<void> sys_setresuid(s32 r, s32 e, s32 s)
{
    return commit_users(TRY(set_res(users(), r, e, s, CAP_SETUID)));
}
result<void> sys_setresgid(s32 r, s32 e, s32 s)
{
    return commit_groups(TRY(set_res(groups(), r, e, s, CAP_SETGID)));
}
result<void> sys_getresuid(user_ptr<s32> r, user_ptr<s32> e, user_ptr<s32> s)
{
    return get_res(users(), r, e, s);
}
result<void> sys_getresgid(user_ptr<s32> r, user_ptr<s32> e, user_ptr<s32> s)
{
    return get_res(groups(), r, e, s);
}

/// Returns the old id whether it worked or not; that is all one learns.
result<s32> sys_setfsuid(s32 id)
{
    task_struct *t = current();
    task_cred &c = t->cred;
    constexpr u64 FS_CAPS = u64{1} << CAP_CHOWN | u64{1} << CAP_DAC_OVERRIDE |
                            u64{1} << CAP_DAC_READ_SEARCH | u64{1} << CAP_FOWNER |
                            u64{1} << CAP_FSETID | u64{1} << CAP_MKNOD;
    u32 old = c.fsuid;
    bool may = id == t->uid || id == t->euid || id == t->suid || static_cast<u32>(id) == old ||
               capable(CAP_SETUID);
    if (id == -1 || !may)
        return static_cast<s32>(old);
    c.fsuid = static_cast<u32>(id);
    if (!old && id)
        c.cap_effective &= ~FS_CAPS;
    if (old && !id)
        c.cap_effective |= c.cap_permitted & FS_CAPS;
    return static_cast<s32>(old);
}

result<s32> sys_setfsgid(s32 id)
{
    task_struct *t = current();
    u32 old = t->cred.fsgid;
    bool may = id == t->gid || id == t->egid || id == t->sgid || static_cast<u32>(id) == old ||
               capable(CAP_SETGID);
    if (id != -1 && may)
        t->cred.fsgid = static_cast<u32>(id);
    return static_cast<s32>(old);
}

result<int> sys_getgroups(int n, user_ptr<u32> list)
{
    const group_info *g = current()->cred.groups;
    unsigned have = groups_count(g);
    if (n < 0)
        return error{EINVAL};
    if (!n)
        return static_cast<int>(have);
    if (static_cast<unsigned>(n) < have)
        return error{EINVAL};
    for (unsigned i = 0; i < have; i++)
        TRY_VOID(put_user(list + i, groups_at(g, i)));
    return static_cast<int>(have);
}

result<void> sys_setgroups(int n, user_ptr<const u32> list)
{
    constexpr int NGROUPS_MAX = 65536;
    if (!capable(CAP_SETGID))
        return error{EPERM};
    if (n < 0 || n > NGROUPS_MAX)
        return error{EINVAL};
    auto count = static_cast<unsigned>(n);
    auto *ids = static_cast<u32 *>(kmalloc(max(count, 1u) * sizeof(u32), GFP_KERNEL));
    if (!ids)
        return error{ENOMEM};
    auto r = copy_from_user(ids, list.cast<const void>(), count * sizeof(u32));
    group_info *g = r ? groups_alloc(ids, count) : nullptr;
    kfree(ids);
    if (!r)
        return r;
    if (!g)
        return error{ENOMEM};
    task_struct *t = current();
    group_info *old;
    {
        spin_guard<irqsave> l{tasklist_lock}; // /proc shows them
        old = t->cred.groups;
        t->cred.groups = g;
    }
    groups_put(old);
    return {};
}

namespace
{
constexpr u32 CAP_VERSION_1 = 0x19980330, CAP_VERSION_2 = 0x20071026, CAP_VERSION_3 = 0x20080522;

/// Words per set for the header's version, 0: unknown, and then the header tells ours.
result<unsigned> cap_words(user_ptr<u32> header)
{
    u32 version;
    TRY_VOID(get_user(version, header));
    if (version == CAP_VERSION_1)
        return 1u;
    if (version == CAP_VERSION_2 || version == CAP_VERSION_3)
        return 2u;
    TRY_VOID(put_user(header, CAP_VERSION_3));
    return 0u;
}

result<task_cred> cred_of(s32 pid)
{
    if (pid < 0)
        return error{EINVAL};
    if (!pid || pid == current()->pid)
        return task_cred{current()->cred};
    task_struct *t = find_get_task(pid);
    if (!t)
        return error{ESRCH};
    task_cred c = t->cred; // only its sets are looked at
    put_task(t);
    return c;
}
} // namespace

result<void> sys_capget(user_ptr<u32> header, user_ptr<u32> data)
{
    unsigned words = TRY(cap_words(header));
    if (!words)
        return data ? result<void>{error{EINVAL}} : result<void>{};
    s32 pid;
    TRY_VOID(get_user(pid, (header + 1).cast<s32>()));
    task_cred c = TRY(cred_of(pid));
    if (!data)
        return {};
    for (unsigned w = 0; w < words; w++) {
        const u64 sets[3] = {c.cap_effective, c.cap_permitted, c.cap_inheritable};
        for (unsigned k = 0; k < 3; k++)
            TRY_VOID(put_user(data + (w * 3 + k), static_cast<u32>(sets[k] >> (32 * w))));
    }
    return {};
}

result<void> sys_capset(user_ptr<u32> header, user_ptr<const u32> data)
{
    unsigned words = TRY(cap_words(header));
    if (!words)
        return error{EINVAL};
    s32 pid;
    TRY_VOID(get_user(pid, (header + 1).cast<s32>()));
    if (pid && pid != current()->pid)
        return error{EPERM};
    u64 sets[3] = {};
    for (unsigned w = 0; w < words; w++)
        for (unsigned k = 0; k < 3; k++) {
            u32 v;
            TRY_VOID(copy_from_user(&v, (data + (w * 3 + k)).cast<const void>(), sizeof(v)));
            sets[k] |= u64{v} << (32 * w);
        }
    u64 effective = sets[0] & CAP_FULL_SET, permitted = sets[1] & CAP_FULL_SET,
        inheritable = sets[2] & CAP_FULL_SET;
    task_cred &c = current()->cred;
    bool may_inherit =
        capable(CAP_SETPCAP) || !(inheritable & ~(c.cap_inheritable | c.cap_permitted));
    if (!may_inherit || (inheritable & ~(c.cap_inheritable | c.cap_bset)) ||
        (permitted & ~c.cap_permitted) || (effective & ~permitted))
        return error{EPERM};
    c.cap_effective = effective;
    c.cap_permitted = permitted;
    c.cap_inheritable = inheritable;
    return {};
}

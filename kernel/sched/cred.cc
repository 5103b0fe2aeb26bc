// SPDX-License-Identifier: MIT
// See cred.h. Contexts: process, unless said otherwise. Locks: user_lock (irqsave, innermost) for
// the table of users; signals drop references in any context.

#include "sched/cred.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "sched/sched.h"

struct group_info : pinned {
    refcount count;
    unsigned n = 0;
    u32 *ids = nullptr;
};

struct user_struct : pinned {
    refcount count;
    u32 uid;
    std::atomic<s64> processes{0}, sigpending{0};
    list_node node;
    explicit user_struct(u32 id) : uid{id} {}
};

namespace
{
constexpr unsigned USER_BUCKETS = 32;
spinlock user_lock{"uidhash_lock"};
list<user_struct, &user_struct::node> users[USER_BUCKETS];

user_struct *find_locked(u32 uid)
{
    for (user_struct &u : users[uid % USER_BUCKETS])
        if (u.uid == uid)
            return &u;
    return nullptr;
}

bool has_group(const group_info *g, u32 gid)
{
    unsigned lo = 0, hi = groups_count(g);
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (g->ids[mid] == gid)
            return true;
        if (g->ids[mid] < gid)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

/// Sift one entry down a max-heap of n ids.
void sift(u32 *a, unsigned at, unsigned n)
{
    for (unsigned child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && a[child + 1] > a[child])
            child++;
        if (a[at] >= a[child])
            return;
        std::swap(a[at], a[child]);
    }
}

void sort_ids(u32 *a, unsigned n)
{
    for (unsigned i = n / 2; i-- > 0;)
        sift(a, i, n);
    for (unsigned end = n; end-- > 1;) {
        std::swap(a[0], a[end]);
        sift(a, 0, end);
    }
}
} // namespace

group_info *groups_alloc(const u32 *ids, unsigned n)
{
    auto *g = knew<group_info>(GFP_KERNEL);
    if (!g)
        return nullptr;
    g->ids = static_cast<u32 *>(kmalloc(max(n, 1u) * sizeof(u32), GFP_KERNEL));
    if (!g->ids) {
        kdelete(g);
        return nullptr;
    }
    memcpy(g->ids, ids, n * sizeof(u32));
    g->n = n;
    sort_ids(g->ids, n);
    return g;
}

void groups_get(group_info *g)
{
    if (g)
        g->count.get();
}

void groups_put(group_info *g)
{
    if (!g || !g->count.put())
        return;
    kfree(g->ids);
    kdelete(g);
}

unsigned groups_count(const group_info *g)
{
    return g ? g->n : 0;
}

u32 groups_at(const group_info *g, unsigned i)
{
    return g->ids[i];
}

user_struct *user_alloc(u32 uid)
{
    {
        spin_guard<irqsave> g{user_lock};
        if (user_struct *u = find_locked(uid)) {
            u->count.get();
            return u;
        }
    }
    auto *fresh = knew<user_struct>(GFP_KERNEL, uid);
    if (!fresh)
        return nullptr;
    user_struct *u;
    {
        spin_guard<irqsave> g{user_lock};
        u = find_locked(uid);
        if (u)
            u->count.get();
        else
            users[uid % USER_BUCKETS].push_back(*fresh);
    }
    if (!u)
        return fresh;
    kdelete(fresh);
    return u;
}

void user_get(user_struct *u)
{
    if (u)
        u->count.get();
}

void user_put(user_struct *u)
{
    if (!u)
        return;
    {
        spin_guard<irqsave> g{user_lock}; // nobody finds it between the last put and the unlink
        if (!u->count.put())
            return;
        u->node.unlink();
    }
    kdelete(u);
}

std::atomic<s64> &user_processes(user_struct *u)
{
    return u->processes;
}
std::atomic<s64> &user_sigpending(user_struct *u)
{
    return u->sigpending;
}

bool capable(capability cap)
{
    const task_struct *t = current();
    return !t || !t->cred.user || (t->cred.cap_effective >> cap & 1);
}

bool in_group_p(u32 gid)
{
    const task_cred &c = current()->cred;
    return c.fsgid == gid || has_group(c.groups, gid);
}

bool in_egroup_p(u32 gid)
{
    const task_struct *t = current();
    return static_cast<u32>(t->egid) == gid || has_group(t->cred.groups, gid);
}

void copy_creds(task_struct *t)
{
    task_struct *me = current();
    t->uid = me->uid;
    t->gid = me->gid;
    t->euid = me->euid;
    t->egid = me->egid;
    t->suid = me->suid;
    t->sgid = me->sgid;
    t->cred = me->cred;
    groups_get(t->cred.groups);
    user_get(t->cred.user);
    if (t->cred.user)
        user_processes(t->cred.user).fetch_add(1, std::memory_order_relaxed);
}

void uncount_process(task_struct *t)
{
    if (t->cred.user)
        user_processes(t->cred.user).fetch_sub(1, std::memory_order_relaxed);
}

void exit_creds(task_struct *t)
{
    user_put(t->cred.user);
    groups_put(t->cred.groups);
    t->cred.user = nullptr;
    t->cred.groups = nullptr;
}

void creds_changed(const cred_ids &old, user_struct *new_user)
{
    task_struct *t = current();
    task_cred &c = t->cred;
    c.fsuid = static_cast<u32>(t->euid);
    c.fsgid = static_cast<u32>(t->egid);
    if (new_user) {
        user_processes(new_user).fetch_add(1, std::memory_order_relaxed);
        if (c.user)
            user_processes(c.user).fetch_sub(1, std::memory_order_relaxed);
        user_put(c.user);
        c.user = new_user;
    }
    bool had_root = !old.uid || !old.euid || !old.suid;
    if (had_root && t->uid && t->euid && t->suid && !c.keep_caps)
        c.cap_permitted = c.cap_effective = 0;
    if (!old.euid && t->euid)
        c.cap_effective = 0;
    if (old.euid && !t->euid)
        c.cap_effective = c.cap_permitted;
}

void creds_for_exec()
{
    task_struct *t = current();
    task_cred &c = t->cred;
    c.keep_caps = false;
    bool root = !t->uid || !t->euid;
    c.cap_permitted = root ? c.cap_inheritable | c.cap_bset : 0;
    c.cap_effective = t->euid ? 0 : c.cap_permitted;
    t->suid = t->euid;
    t->sgid = t->egid;
    c.fsuid = static_cast<u32>(t->euid);
    c.fsgid = static_cast<u32>(t->egid);
}

// SPDX-License-Identifier: MIT
// System V semaphores. Linux: ipc/sem.c. Process context. Lock: sem_ids.lock for everything; a set's wait queue is used without it.
// What SEM_UNDO will do is kept per set and process, and done when the last thread of the process ends.

#include "fs/ipc/util.h"
#include "lib/initcall.h"
#include "lib/string.h"
#include "sched/process.h"

namespace
{
constexpr s16 SEM_UNDO = 0x1000;
constexpr int SEMVMX = 32767;
constexpr u32 GETPID = 11, GETVAL = 12, GETALL = 13, GETNCNT = 14, GETZCNT = 15, SETVAL = 16,
              SETALL = 17, SEM_STAT = 18, SEM_INFO = 19;
/// As /proc/sys/kernel/sem shows them: per set, in all, operations of a call, sets.
int sem_limits[4] = {250, 32000, static_cast<int>(SEMOPM), 128};

/// The adjustments of one process; `process` is only compared.
struct sem_undo {
    list_node node;
    const signal_state *process;
    s16 *adjust;
};

/// A task in semop.
struct sem_waiter {
    list_node node;
    const sembuf *ops;
    unsigned n;
};

struct sem_set : ipc_object {
    unsigned nsems = 0;
    u16 *values = nullptr;
    s32 *pids = nullptr;
    u64 otime = 0;
    list<sem_undo, &sem_undo::node> undos;
    list<sem_waiter, &sem_waiter::node> waiters;
    wait_queue_head wait;
    u32 changes = 0; // waiters look again
};

struct semid_abi {
    ipc_perm_abi perm;
    u64 otime, unused1, ctime, unused2, nsems, unused3, unused4;
};
static_assert(sizeof(semid_abi) == 104);

ipc_ids sem_ids{"sem_ids"};
unsigned sems_in_use; // sem_ids.lock

void free_undo(sem_undo *u)
{
    kfree(u->adjust);
    kdelete(u);
}

void put_set(sem_set *s)
{
    if (!s->count.put())
        return;
    while (sem_undo *u = s->undos.pop_front())
        free_undo(u);
    kfree(s->values);
    kfree(s->pids);
    kdelete(s);
}

/// Values changed: those who wait try again. Lock held.
void changed(sem_set *s)
{
    write_once(s->changes, s->changes + 1);
    wake_up_all(&s->wait);
}

result<ipc_object *> new_set(s32 key, int n, u32 flags)
{
    if (!n)
        return error{EINVAL};
    if (sems_in_use + static_cast<unsigned>(n) > static_cast<unsigned>(sem_limits[1]))
        return error{ENOSPC};
    auto *s = knew<sem_set>(GFP_KERNEL);
    if (!s)
        return error{ENOMEM};
    auto count = static_cast<unsigned>(n);
    s->nsems = count;
    s->values = static_cast<u16 *>(kzalloc(count * sizeof(u16), GFP_KERNEL));
    s->pids = static_cast<s32 *>(kzalloc(count * sizeof(s32), GFP_KERNEL));
    auto added = s->values && s->pids
                     ? ipc_add(sem_ids, s, key, flags, static_cast<unsigned>(sem_limits[3]))
                     : result<void>{error{ENOMEM}};
    if (!added) {
        put_set(s);
        return added.fail();
    }
    sems_in_use += count;
    return static_cast<ipc_object *>(s);
}

result<sem_set *> find_set(int id)
{
    return static_cast<sem_set *>(TRY(ipc_find(sem_ids, id)));
}

/// The adjustments of the current process, made if need be. Null: no memory. Lock held.
sem_undo *undo_of(sem_set *s)
{
    for (sem_undo &u : s->undos)
        if (u.process == current()->signal)
            return &u;
    auto *u = knew<sem_undo>(GFP_KERNEL);
    if (!u)
        return nullptr;
    u->process = current()->signal;
    u->adjust = static_cast<s16 *>(kzalloc(s->nsems * sizeof(s16), GFP_KERNEL));
    if (!u->adjust) {
        kdelete(u);
        return nullptr;
    }
    s->undos.push_back(*u);
    return u;
}

/// One operation on its value: 0, EAGAIN (it would wait), ERANGE.
errno_t apply(sem_set *s, const sembuf &o, sem_undo *u)
{
    int now = s->values[o.num];
    if (!o.op)
        return now ? EAGAIN : errno_t{};
    if (now + o.op < 0)
        return EAGAIN;
    if (now + o.op > SEMVMX)
        return ERANGE;
    if (o.flags & SEM_UNDO) {
        int adjust = u->adjust[o.num] - o.op;
        if (adjust < -SEMVMX - 1 || adjust > SEMVMX)
            return ERANGE;
        u->adjust[o.num] = static_cast<s16>(adjust);
    }
    s->values[o.num] = static_cast<u16>(now + o.op);
    return errno_t{};
}

void take_back(sem_set *s, const sembuf &o, sem_undo *u)
{
    s->values[o.num] = static_cast<u16>(s->values[o.num] - o.op);
    if (o.op && (o.flags & SEM_UNDO))
        u->adjust[o.num] = static_cast<s16>(u->adjust[o.num] + o.op);
}

/// All operations or none. EAGAIN: *nowait says whether the one that would wait must not. Lock held.
errno_t try_all(sem_set *s, const sembuf *ops, unsigned n, sem_undo *u, bool *nowait)
{
    bool alters = false;
    for (unsigned i = 0; i < n; i++) {
        errno_t why = apply(s, ops[i], u);
        alters |= ops[i].op != 0;
        if (!why)
            continue;
        *nowait = static_cast<u16>(ops[i].flags) & IPC_NOWAIT;
        while (i--)
            take_back(s, ops[i], u);
        return why;
    }
    for (unsigned i = 0; i < n; i++)
        s->pids[ops[i].num] = ipc_pid();
    s->otime = ipc_time();
    if (alters)
        changed(s);
    return errno_t{};
}

/// What can be told before anything is tried. Lock held.
result<sem_undo *> check_ops(sem_set *s, const sembuf *ops, unsigned n)
{
    bool alters = false, undo = false;
    for (unsigned i = 0; i < n; i++) {
        if (ops[i].num >= s->nsems)
            return error{EFBIG};
        alters |= ops[i].op != 0;
        undo |= ops[i].op && (ops[i].flags & SEM_UNDO);
    }
    TRY_VOID(ipc_permitted(s, alters ? S_IWUGO : S_IRUGO));
    sem_undo *u = undo ? undo_of(s) : nullptr;
    if (undo && !u)
        return error{ENOMEM};
    return u;
}

/// Sleep until the set changes from what it was. EAGAIN: time is up; EINTR.
result<void> wait_for_change(sem_set *s, u32 seen, u64 expires)
{
    wait_queue w;
    result<void> r;
    prepare_to_wait(&s->wait, &w, TASK_INTERRUPTIBLE);
    while (read_once(s->changes) == seen && r) {
        if (signal_pending())
            r = error{EINTR};
        else if (ktime_get() >= expires)
            r = error{EAGAIN};
        else
            (void)schedule_hrtimeout(expires);
        if (r)
            prepare_to_wait(&s->wait, &w, TASK_INTERRUPTIBLE);
    }
    finish_wait(&s->wait, &w);
    return r;
}

/// semop on a set that cannot go away. `me` is not on a list yet.
result<void> semop_on(sem_set *s, sem_waiter &me, u64 expires)
{
    sem_undo *u;
    {
        mutex_guard g{sem_ids.lock};
        u = TRY(check_ops(s, me.ops, me.n));
    }
    for (;;) {
        u32 seen;
        {
            mutex_guard g{sem_ids.lock};
            if (s->removed)
                return error{EIDRM};
            bool nowait = false;
            errno_t why = try_all(s, me.ops, me.n, u, &nowait);
            if (!why)
                return {};
            if (why != EAGAIN || nowait)
                return error{why};
            seen = s->changes;
            s->waiters.push_back(me);
        }
        auto r = wait_for_change(s, seen, expires);
        mutex_guard g{sem_ids.lock};
        me.node.unlink();
        if (!r)
            return error{s->removed ? EIDRM : static_cast<errno_t>(r.err())};
    }
}
} // namespace

result<int> do_semget(s32 key, int n, u32 flags)
{
    if (n < 0 || n > sem_limits[0])
        return error{EINVAL};
    return ipc_get(
        sem_ids, key, flags, [&] { return new_set(key, n, flags); },
        [&](ipc_object *o) -> result<void> {
            if (static_cast<unsigned>(n) > static_cast<sem_set *>(o)->nsems)
                return error{EINVAL};
            return {};
        });
}

result<void> do_semop(int id, const sembuf *ops, unsigned n, u64 expires)
{
    sem_set *s;
    {
        mutex_guard g{sem_ids.lock};
        s = TRY(find_set(id));
        s->count.get();
    }
    sem_waiter me{{}, ops, n};
    auto r = semop_on(s, me, expires);
    put_set(s);
    return r;
}

namespace
{
semid_abi set_status(const sem_set *s)
{
    semid_abi d{};
    d.perm = ipc_perm_of(s);
    d.otime = s->otime;
    d.ctime = s->ctime;
    d.nsems = s->nsems;
    return d;
}

/// IPC_INFO and SEM_INFO: struct seminfo.
result<int> sem_info(u32 cmd, user_ptr<void> arg)
{
    // semmap, semmni, semmns, semmnu, semmsl, semopm, semume, semusz, semvmx, semaem
    int info[10] = {sem_limits[1], sem_limits[3], sem_limits[1], sem_limits[1],
                    sem_limits[0], sem_limits[2], sem_limits[2], 20,
                    SEMVMX,        SEMVMX};
    int last;
    {
        mutex_guard g{sem_ids.lock};
        last = ipc_max_index(sem_ids);
        if (cmd == SEM_INFO) {
            info[7] = static_cast<int>(sem_ids.in_use);
            info[9] = static_cast<int>(sems_in_use);
        }
    }
    TRY_VOID(copy_to_user(arg, info, sizeof info));
    return last;
}

/// Tasks that wait for the value to grow (or to become 0). Lock held.
int count_waiters(sem_set *s, unsigned num, bool zero)
{
    int n = 0;
    for (const sem_waiter &w : s->waiters)
        for (unsigned i = 0; i < w.n; i++)
            n += w.ops[i].num == num && (zero ? !w.ops[i].op : w.ops[i].op < 0) &&
                 !(static_cast<u16>(w.ops[i].flags) & IPC_NOWAIT);
    return n;
}

/// A value was set: no process takes back what it did to it before. Lock held.
void forget_undo(sem_set *s, unsigned num)
{
    for (sem_undo &u : s->undos)
        u.adjust[num] = 0;
}

/// The commands about one semaphore.
result<int> sem_one(int id, int num, u32 cmd, int value)
{
    if (cmd == SETVAL && (value < 0 || value > SEMVMX))
        return error{ERANGE};
    mutex_guard g{sem_ids.lock};
    sem_set *s = TRY(find_set(id));
    TRY_VOID(ipc_permitted(s, cmd == SETVAL ? S_IWUGO : S_IRUGO));
    if (num < 0 || static_cast<unsigned>(num) >= s->nsems)
        return error{EINVAL};
    auto i = static_cast<unsigned>(num);
    switch (cmd) {
    case GETVAL:
        return int{s->values[i]};
    case GETPID:
        return int{s->pids[i]};
    case GETNCNT:
    case GETZCNT:
        return count_waiters(s, i, cmd == GETZCNT);
    default: // SETVAL
        s->values[i] = static_cast<u16>(value);
        s->pids[i] = ipc_pid();
        s->ctime = ipc_time();
        forget_undo(s, i);
        changed(s);
        return 0;
    }
}

/// GETALL and SETALL through a kernel copy with room for SEMMSL values.
result<int> sem_all(int id, u32 cmd, user_ptr<void> arg, u16 *copy)
{
    unsigned n;
    {
        mutex_guard g{sem_ids.lock};
        sem_set *s = TRY(find_set(id));
        TRY_VOID(ipc_permitted(s, cmd == SETALL ? S_IWUGO : S_IRUGO));
        n = s->nsems;
        memcpy(copy, s->values, n * sizeof(u16));
    }
    if (cmd == GETALL) {
        TRY_VOID(copy_to_user(arg, copy, n * sizeof(u16)));
        return 0;
    }
    TRY_VOID(copy_from_user(copy, arg.cast<const void>(), n * sizeof(u16)));
    for (unsigned i = 0; i < n; i++)
        if (copy[i] > SEMVMX)
            return error{ERANGE};
    mutex_guard g{sem_ids.lock};
    sem_set *s = TRY(find_set(id)); // it may have gone meanwhile; its size never changes
    for (unsigned i = 0; i < n; i++) {
        s->values[i] = copy[i];
        s->pids[i] = ipc_pid();
        forget_undo(s, i);
    }
    s->ctime = ipc_time();
    changed(s);
    return 0;
}

/// IPC_RMID and IPC_SET.
result<int> sem_change(int id, u32 cmd, const semid_abi &d)
{
    sem_set *s;
    {
        mutex_guard g{sem_ids.lock};
        s = TRY(find_set(id));
        TRY_VOID(ipc_may_control(s));
        if (cmd == IPC_SET) {
            ipc_set_perm(s, d.perm);
            return 0;
        }
        ipc_remove(sem_ids, s);
        sems_in_use -= s->nsems;
        changed(s);
    }
    put_set(s);
    return 0;
}
} // namespace

result<int> do_semctl(int id, int num, u32 cmd, u64 arg)
{
    if (id < 0)
        return error{EINVAL};
    user_ptr<void> p{arg};
    semid_abi d{};
    switch (cmd) {
    case IPC_INFO:
    case SEM_INFO:
        return sem_info(cmd, p);
    case IPC_STAT:
    case SEM_STAT:
        return ipc_stat(sem_ids, id, cmd == SEM_STAT, p, set_status);
    case GETALL:
    case SETALL: {
        auto *copy = static_cast<u16 *>(kmalloc(IPCMNI * sizeof(u16), GFP_KERNEL));
        if (!copy)
            return error{ENOMEM};
        auto r = sem_all(id, cmd, p, copy);
        kfree(copy);
        return r;
    }
    case GETVAL:
    case GETPID:
    case GETNCNT:
    case GETZCNT:
    case SETVAL:
        return sem_one(id, num, cmd, static_cast<int>(arg));
    case IPC_SET:
        TRY_VOID(copy_from_user(&d, p.cast<const void>(), sizeof d));
        [[fallthrough]];
    case IPC_RMID:
        return sem_change(id, cmd, d);
    default:
        return error{EINVAL};
    }
}

namespace
{
/// Take back what the process did with SEM_UNDO; a value stays within its limits. Lock held.
void undo_set(sem_set *s)
{
    for (sem_undo &u : s->undos) {
        if (u.process != current()->signal)
            continue;
        for (unsigned i = 0; i < s->nsems; i++) {
            if (!u.adjust[i])
                continue;
            s->values[i] = static_cast<u16>(max(0, min(SEMVMX, s->values[i] + u.adjust[i])));
            s->pids[i] = ipc_pid();
        }
        s->otime = ipc_time();
        u.node.unlink();
        free_undo(&u);
        changed(s);
        return;
    }
}

void exit_sem()
{
    if (!read_once(sem_ids.in_use))
        return;
    mutex_guard g{sem_ids.lock};
    for (unsigned i = 0; i < sem_ids.size; i++)
        if (sem_ids.slots[i])
            undo_set(static_cast<sem_set *>(sem_ids.slots[i]));
}

void show_sysvipc_sem(seq_file *m)
{
    auto row = [](seq_file *to, const ipc_object *o) {
        auto *s = static_cast<const sem_set *>(o);
        seq_printf(to, "%10d %10d  %4o %10u %5u %5u %5u %5u %10llu %10llu\n", s->key, s->id,
                   s->mode, s->nsems, s->uid, s->gid, s->cuid, s->cgid,
                   static_cast<unsigned long long>(s->otime),
                   static_cast<unsigned long long>(s->ctime));
    };
    ipc_show(
        m, sem_ids,
        "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n",
        row);
}

int sem_init()
{
    process_exit_sem = exit_sem;
    sysctl_create_ints("kernel/sem", sem_limits, 4, 0, static_cast<int>(IPCMNI));
    return proc_create("sysvipc/sem", show_sysvipc_sem);
}
fs_initcall(sem_init);
} // namespace

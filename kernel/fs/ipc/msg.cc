// SPDX-License-Identifier: MIT
// System V message queues. Linux: ipc/msg.c, ipc/msgutil.c. Process context. Lock: msg_ids.lock for everything but the contents of a
// message that is on no queue; the queue's wait queue is used without it.

#include "fs/ipc/util.h"
#include "lib/initcall.h"

namespace
{
constexpr u32 MSG_NOERROR = 010000, MSG_EXCEPT = 020000, MSG_COPY = 040000;
constexpr u32 MSG_STAT = 11, MSG_INFO = 12;
int msgmax = 8192, msgmnb = 16384, msgmni = 2000;

struct message {
    list_node node;
    s64 type;
    u64 size;
    u8 *data() { return reinterpret_cast<u8 *>(this + 1); }
};

struct msg_queue : ipc_object {
    list<message, &message::node> messages;
    u64 stime = 0, rtime = 0;
    u64 cbytes = 0, qnum = 0, qbytes = 0;
    s32 lspid = 0, lrpid = 0;
    wait_queue_head wait;
    u32 changes = 0; // waiters look again
};

struct msqid_abi {
    ipc_perm_abi perm;
    u64 stime, rtime, ctime, cbytes, qnum, qbytes;
    s32 lspid, lrpid;
    u64 unused[2];
};
static_assert(sizeof(msqid_abi) == 120);

ipc_ids msg_ids{"msg_ids"};

void free_message(message *m)
{
    kfree(m);
}

void put_queue(msg_queue *q)
{
    if (!q->count.put())
        return;
    while (message *m = q->messages.pop_front())
        free_message(m);
    kdelete(q);
}

void changed(msg_queue *q)
{
    write_once(q->changes, q->changes + 1);
    wake_up_all(&q->wait);
}

result<ipc_object *> new_queue(s32 key, u32 flags)
{
    auto *q = knew<msg_queue>(GFP_KERNEL);
    if (!q)
        return error{ENOMEM};
    q->qbytes = static_cast<u64>(read_once(msgmnb));
    auto added = ipc_add(msg_ids, q, key, flags, static_cast<unsigned>(msgmni));
    if (!added) {
        put_queue(q);
        return added.fail();
    }
    return static_cast<ipc_object *>(q);
}

/// The queue with a reference, if the current task may use it so.
result<msg_queue *> get_queue(int id, u32 permission)
{
    mutex_guard g{msg_ids.lock};
    auto *q = static_cast<msg_queue *>(TRY(ipc_find(msg_ids, id)));
    TRY_VOID(ipc_permitted(q, permission));
    q->count.get();
    return q;
}

/// Sleep until the queue changes from what it was. ERESTARTNOHAND.
result<void> wait_for_change(msg_queue *q, u32 seen)
{
    if (wait_event_interruptible(&q->wait, read_once(q->changes) != seen))
        return error{ERESTARTNOHAND};
    return {};
}

/// One try to put the message on the queue: EAGAIN when there is no room, EIDRM. *seen: what to wait for a change from.
result<void> try_send(msg_queue *q, message *m, u32 *seen)
{
    mutex_guard g{msg_ids.lock};
    if (q->removed)
        return error{EIDRM};
    *seen = q->changes;
    if (m->size + q->cbytes > q->qbytes || q->qnum + 1 > q->qbytes)
        return error{EAGAIN};
    q->messages.push_back(*m);
    q->cbytes += m->size;
    q->qnum++;
    q->stime = ipc_time();
    q->lspid = ipc_pid();
    changed(q);
    return {};
}

/// The message that `type` and the flags ask for, or null. Lock held.
message *choose(msg_queue *q, s64 type, u32 flags)
{
    message *best = nullptr;
    for (message &m : q->messages) {
        if (type < 0) { // the first of the lowest type up to -type
            if (m.type <= -type && (!best || m.type < best->type))
                best = &m;
        } else if (!type || (m.type == type) != !!(flags & MSG_EXCEPT)) {
            return &m;
        }
    }
    return best;
}

/// One try to take a message: ENOMSG, E2BIG, EIDRM.
result<message *> try_receive(msg_queue *q, u64 size, s64 type, u32 flags, u32 *seen)
{
    mutex_guard g{msg_ids.lock};
    if (q->removed)
        return error{EIDRM};
    *seen = q->changes;
    message *m = choose(q, type, flags);
    if (!m)
        return error{ENOMSG};
    if (m->size > size && !(flags & MSG_NOERROR))
        return error{E2BIG};
    m->node.unlink();
    q->cbytes -= m->size;
    q->qnum--;
    q->rtime = ipc_time();
    q->lrpid = ipc_pid();
    changed(q);
    return m;
}

/// A message of user memory: a type and the data. EFAULT, EINVAL, ENOMEM.
result<message *> load_message(user_ptr<const void> msg, u64 size)
{
    s64 type;
    TRY_VOID(copy_from_user(&type, msg, sizeof type));
    if (type < 1)
        return error{EINVAL};
    auto *m = static_cast<message *>(kmalloc(sizeof(message) + size, GFP_KERNEL));
    if (!m)
        return error{ENOMEM};
    m = new (m) message{{}, type, size};
    user_ptr<const void> text{msg.addr() + sizeof type};
    auto copied = copy_from_user(m->data(), text, size);
    if (!copied) {
        free_message(m);
        return copied.fail();
    }
    return m;
}

result<void> send(msg_queue *q, message *m, u32 flags)
{
    for (;;) {
        u32 seen;
        auto r = try_send(q, m, &seen);
        if (r || r.err() != EAGAIN || (flags & IPC_NOWAIT))
            return r;
        TRY_VOID(wait_for_change(q, seen));
    }
}

result<message *> receive(msg_queue *q, u64 size, s64 type, u32 flags)
{
    for (;;) {
        u32 seen;
        auto r = try_receive(q, size, type, flags, &seen);
        if (r || r.err() != ENOMSG || (flags & IPC_NOWAIT))
            return r;
        TRY_VOID(wait_for_change(q, seen));
    }
}
} // namespace

result<int> do_msgget(s32 key, u32 flags)
{
    return ipc_get(
        msg_ids, key, flags, [&] { return new_queue(key, flags); },
        [](ipc_object *) { return result<void>{}; });
}

result<void> do_msgsnd(int id, user_ptr<const void> msg, u64 size, u32 flags)
{
    if (size > static_cast<u64>(read_once(msgmax)) || id < 0)
        return error{EINVAL};
    message *m = TRY(load_message(msg, size));
    auto q = get_queue(id, S_IWUGO);
    auto r = q ? send(*q, m, flags) : result<void>{q.fail()};
    if (!r)
        free_message(m);
    if (q)
        put_queue(*q);
    return r;
}

result<size_t> do_msgrcv(int id, user_ptr<void> msg, u64 size, s64 type, u32 flags)
{
    if (id < 0 || static_cast<s64>(size) < 0)
        return error{EINVAL};
    if (flags & MSG_COPY)
        return error{ENOSYS}; // as a kernel without CONFIG_CHECKPOINT_RESTORE
    if (type == INT64_MIN)
        type = -INT64_MAX;
    msg_queue *q = TRY(get_queue(id, S_IRUGO));
    auto got = receive(q, size, type, flags);
    put_queue(q);
    message *m = TRY(got);
    size_t n = min(m->size, size);
    auto r = copy_to_user(msg, &m->type, sizeof m->type);
    if (r)
        r = copy_to_user(user_ptr<void>{msg.addr() + sizeof m->type}, m->data(), n);
    free_message(m);
    return r ? result<size_t>{n} : result<size_t>{error{EFAULT}};
}

namespace
{
msqid_abi queue_status(const msg_queue *q)
{
    msqid_abi d{};
    d.perm = ipc_perm_of(q);
    d.stime = q->stime;
    d.rtime = q->rtime;
    d.ctime = q->ctime;
    d.cbytes = q->cbytes;
    d.qnum = q->qnum;
    d.qbytes = q->qbytes;
    d.lspid = q->lspid;
    d.lrpid = q->lrpid;
    return d;
}

/// IPC_INFO and MSG_INFO: struct msginfo.
result<int> msg_info(u32 cmd, user_ptr<void> arg)
{
    // msgpool, msgmap, msgmax, msgmnb, msgmni, msgssz, msgtql, msgseg
    int info[8] = {msgmni * msgmnb / 1024, msgmnb, msgmax, msgmnb, msgmni, 16, msgmnb, 0xffff};
    int last;
    {
        mutex_guard g{msg_ids.lock};
        last = ipc_max_index(msg_ids);
        if (cmd == MSG_INFO) { // queues, messages, bytes in use
            info[0] = static_cast<int>(msg_ids.in_use);
            info[1] = info[6] = 0;
            for (unsigned i = 0; i < msg_ids.size; i++)
                if (auto *q = static_cast<msg_queue *>(msg_ids.slots[i])) {
                    info[1] += static_cast<int>(q->qnum);
                    info[6] += static_cast<int>(q->cbytes);
                }
        }
    }
    TRY_VOID(copy_to_user(arg, info, sizeof info));
    return last;
}

/// IPC_RMID and IPC_SET.
result<int> msg_change(int id, u32 cmd, const msqid_abi &d)
{
    msg_queue *q;
    {
        mutex_guard g{msg_ids.lock};
        q = static_cast<msg_queue *>(TRY(ipc_find(msg_ids, id)));
        TRY_VOID(ipc_may_control(q));
        if (cmd == IPC_SET) {
            if (d.qbytes > static_cast<u64>(read_once(msgmnb)) && !capable(CAP_SYS_RESOURCE))
                return error{EPERM};
            q->qbytes = d.qbytes;
            ipc_set_perm(q, d.perm);
            changed(q);
            return 0;
        }
        ipc_remove(msg_ids, q);
        changed(q);
    }
    put_queue(q);
    return 0;
}
} // namespace

result<int> do_msgctl(int id, u32 cmd, user_ptr<void> arg)
{
    if (id < 0)
        return error{EINVAL};
    msqid_abi d{};
    switch (cmd) {
    case IPC_INFO:
    case MSG_INFO:
        return msg_info(cmd, arg);
    case IPC_STAT:
    case MSG_STAT:
        return ipc_stat(msg_ids, id, cmd == MSG_STAT, arg, queue_status);
    case IPC_SET:
        TRY_VOID(copy_from_user(&d, arg.cast<const void>(), sizeof d));
        [[fallthrough]];
    case IPC_RMID:
        return msg_change(id, cmd, d);
    default:
        return error{EINVAL};
    }
}

namespace
{
void show_sysvipc_msg(seq_file *m)
{
    auto row = [](seq_file *to, const ipc_object *o) {
        auto *q = static_cast<const msg_queue *>(o);
        auto n = [](u64 v) { return static_cast<unsigned long long>(v); };
        seq_printf(to,
                   "%10d %10d  %4o  %10llu %10llu %5d %5d %5u %5u %5u %5u %10llu %10llu %10llu\n",
                   q->key, q->id, q->mode, n(q->cbytes), n(q->qnum), q->lspid, q->lrpid, q->uid,
                   q->gid, q->cuid, q->cgid, n(q->stime), n(q->rtime), n(q->ctime));
    };
    ipc_show(
        m, msg_ids,
        "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid"
        "      stime      rtime      ctime\n",
        row);
}

int msg_init()
{
    sysctl_create_int("kernel/msgmax", &msgmax, 0, 1 << 16);
    sysctl_create_int("kernel/msgmnb", &msgmnb, 0, 1 << 24);
    sysctl_create_int("kernel/msgmni", &msgmni, 0, static_cast<int>(IPCMNI));
    return proc_create("sysvipc/msg", show_sysvipc_msg);
}
fs_initcall(msg_init);
} // namespace

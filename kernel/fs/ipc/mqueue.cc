// SPDX-License-Identifier: MIT
// POSIX message queues. Linux: ipc/mqueue.c. Process context. Lock: mq_lock for everything; a queue's wait queue is used without it.
// A queue is an inode: its name holds one reference, as does each open file. There is no mqueue file system to mount.

#include "fs/ipc/mqueue.h"
#include "fs/internal.h"
#include "fs/seq_file.h"
#include "lib/initcall.h"
#include "lib/string.h"
#include "sched/process.h"

namespace
{
constexpr u32 MQ_PRIO_MAX = 32768;
constexpr int HARD_MSGMAX = 65536, HARD_MSGSIZEMAX = 16 << 20;
/// What Linux counts for RLIMIT_MSGQUEUE beside the data: a message's head, and a tree node per priority.
constexpr u64 MESSAGE_COST = 48 + 48;
constexpr int SIGEV_SIGNAL = 0, SIGEV_NONE = 1;
int queues_max = 256, msg_max = 10, msgsize_max = 8192, msg_default = 10, msgsize_default = 8192;

struct mq_message {
    list_node node;
    u32 prio;
    u64 size;
    u8 *data() { return reinterpret_cast<u8 *>(this + 1); }
};

struct mqueue : inode {
    list_node in_all;
    char name[NAME_MAX + 1] = {};
    bool linked = false; // its name is known
    s64 maxmsg = 0, msgsize = 0, curmsgs = 0;
    u64 bytes = 0;                                // in messages
    list<mq_message, &mq_message::node> messages; // highest priority first, then oldest
    wait_queue_head wait;
    unsigned receivers = 0; // who wait for a message
    s32 notify_pid = 0;     // process that asked for notice, 0: none
    const file *notify_by = nullptr;
    mq_event notify{};
};

mutex mq_lock{"mq_lock"};
list<mqueue, &mqueue::in_all> queues; // all that exist, without a name too
unsigned nr_queues;

u64 cost(s64 maxmsg, s64 msgsize)
{
    return static_cast<u64>(maxmsg) * (static_cast<u64>(msgsize) + MESSAGE_COST);
}

void mqueue_destroy(inode *i)
{
    auto *q = static_cast<mqueue *>(i);
    {
        mutex_guard g{mq_lock};
        q->in_all.unlink();
        nr_queues--;
    }
    while (mq_message *m = q->messages.pop_front())
        kfree(m);
    kdelete(q);
}

mqueue *queue_of(const file *f)
{
    return static_cast<mqueue *>(f->f_inode);
}

/// Lock held.
mqueue *find_queue(const char *name)
{
    for (mqueue &q : queues)
        if (q.linked && !strcmp(q.name, name))
            return &q;
    return nullptr;
}

u32 mqueue_poll(file *f, poll_table *pt)
{
    mqueue *q = queue_of(f);
    poll_wait(f, &q->wait, pt);
    s64 n = read_once(q->curmsgs);
    return (n ? POLLIN | POLLRDNORM : 0) | (n < q->maxmsg ? POLLOUT | POLLWRNORM : 0);
}

/// The text that Linux's mqueue files have.
result<size_t> mqueue_read(file *f, iov_iter &to, u64 *pos)
{
    char text[96];
    int n;
    {
        mutex_guard g{mq_lock};
        mqueue *q = queue_of(f);
        bool signal = q->notify_pid && q->notify.how == SIGEV_SIGNAL;
        n = snprintf(text, sizeof text, "QSIZE:%-10llu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n",
                     static_cast<unsigned long long>(q->bytes), q->notify_pid ? q->notify.how : 0,
                     signal ? q->notify.signo : 0, q->notify_pid);
    }
    auto size = static_cast<u64>(n);
    if (*pos >= size)
        return size_t{0};
    size_t part = min<size_t>(to.count(), size - *pos);
    TRY_VOID(to.copy_to(text + *pos, part));
    *pos += part;
    return part;
}

void mqueue_release(inode *, file *f)
{
    mutex_guard g{mq_lock};
    mqueue *q = queue_of(f);
    if (q->notify_by == f) {
        q->notify_pid = 0;
        q->notify_by = nullptr;
    }
}

const file_operations mqueue_fops{
    .read = mqueue_read,
    .llseek = generic_file_llseek,
    .poll = mqueue_poll,
    .release = mqueue_release,
};

/// Sizes for a new queue: EINVAL, EOVERFLOW.
result<void> check_attr(const mq_attr &a)
{
    if (a.maxmsg <= 0 || a.msgsize <= 0)
        return error{EINVAL};
    bool mighty = capable(CAP_SYS_RESOURCE);
    if (a.maxmsg > (mighty ? HARD_MSGMAX : read_once(msg_max)) ||
        a.msgsize > (mighty ? HARD_MSGSIZEMAX : read_once(msgsize_max)))
        return error{EINVAL};
    return {};
}

/// RLIMIT_MSGQUEUE counts all queues that a user has made. Lock held.
bool within_limit(u64 more)
{
    u64 sum = more;
    for (const mqueue &q : queues)
        if (q.uid == current()->cred.fsuid)
            sum += cost(q.maxmsg, q.msgsize);
    return sum <= read_once(current()->signal->rlim[RLIMIT_MSGQUEUE].cur);
}

/// A new queue with a reference for the caller beside its name's. Lock held.
result<mqueue *> create_queue(const char *name, u32 mode, const mq_attr *attr)
{
    if (nr_queues >= static_cast<unsigned>(read_once(queues_max)) && !capable(CAP_SYS_RESOURCE))
        return error{ENOSPC};
    s64 maxmsg = min(msg_max, msg_default), msgsize = min(msgsize_max, msgsize_default);
    if (attr) {
        TRY_VOID(check_attr(*attr));
        maxmsg = attr->maxmsg;
        msgsize = attr->msgsize;
    }
    if (!within_limit(cost(maxmsg, msgsize)))
        return error{EMFILE};
    auto *q = knew<mqueue>(GFP_KERNEL);
    if (!q)
        return error{ENOMEM};
    inode_init(q, nullptr, S_IFREG | (mode & 0777 & ~current_umask()));
    q->destroy = mqueue_destroy;
    q->size = 80; // as Linux shows it
    q->maxmsg = maxmsg;
    q->msgsize = msgsize;
    memcpy(q->name, name, strlen(name) + 1);
    q->linked = true;
    queues.push_back(*q);
    nr_queues++;
    iget(q);
    return q;
}

/// The queue of a name, made if the flags say so, with a reference. Lock held.
result<mqueue *> lookup_queue(const char *name, u32 flags, u32 mode, const mq_attr *attr)
{
    mqueue *q = find_queue(name);
    if (!q && (flags & O_CREAT))
        return create_queue(name, mode, attr);
    if (!q)
        return error{ENOENT};
    if ((flags & O_CREAT) && (flags & O_EXCL))
        return error{EEXIST};
    u32 access = flags & O_ACCMODE;
    if (access == O_ACCMODE)
        return error{EINVAL};
    u32 wanted = access == O_RDONLY   ? MAY_READ
                 : access == O_WRONLY ? MAY_WRITE
                                      : MAY_READ | MAY_WRITE;
    TRY_VOID(inode_permission(q, wanted));
    iget(q);
    return q;
}

result<void> check_name(const char *name)
{
    if (!*name)
        return error{ENOENT};
    if (strlen(name) > NAME_MAX)
        return error{ENAMETOOLONG};
    if (strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
        return error{EACCES};
    return {};
}

/// An open file of a queue, whose reference it takes over.
result<file *> open_queue(mqueue *q, u32 flags)
{
    char name[NAME_MAX + 2];
    snprintf(name, sizeof name, "/%s", q->name);
    auto d = d_alloc_pseudo(name, q);
    if (!d) {
        iput(q);
        return d.fail();
    }
    auto f = alloc_file(*d, flags & (O_ACCMODE | O_NONBLOCK), &mqueue_fops);
    dput(*d);
    return f;
}
} // namespace

result<int> do_mq_open(const char *name, u32 flags, u32 mode, const mq_attr *attr)
{
    TRY_VOID(check_name(name));
    int fd = TRY(get_unused_fd_flags(O_CLOEXEC));
    mqueue *q = nullptr;
    errno_t why{};
    {
        mutex_guard g{mq_lock};
        auto found = lookup_queue(name, flags, mode, attr);
        if (found)
            q = *found;
        else
            why = static_cast<errno_t>(found.err());
    }
    if (q) {
        auto f = open_queue(q, flags);
        if (f)
            fd_install(fd, *f);
        else
            why = static_cast<errno_t>(f.err());
    }
    if (why) {
        put_unused_fd(fd);
        return error{why};
    }
    return fd;
}

result<void> do_mq_unlink(const char *name)
{
    TRY_VOID(check_name(name));
    mqueue *q;
    {
        mutex_guard g{mq_lock};
        q = find_queue(name);
        if (!q)
            return error{ENOENT};
        if (!inode_owner_or_capable(q))
            return error{EPERM}; // the directory is sticky
        q->linked = false;
        q->nlink = 0;
    }
    iput(q);
    return {};
}

namespace
{
/// The queue of a file that is open for it; EBADF.
result<mqueue *> usable(file *f, u32 mode)
{
    if (f->f_op != &mqueue_fops || !(f->f_mode & mode))
        return error{EBADF};
    return queue_of(f);
}

/// Sleep until there is a message (or room for one). ETIMEDOUT, ERESTARTSYS.
result<void> mq_wait(mqueue *q, bool for_data, u64 expires)
{
    wait_queue w;
    errno_t why{};
    for (;;) {
        prepare_to_wait(&q->wait, &w, TASK_INTERRUPTIBLE);
        s64 n = read_once(q->curmsgs);
        if (for_data ? n > 0 : n < q->maxmsg)
            break;
        if (signal_pending())
            why = ERESTARTSYS;
        else if (ktime_get() >= expires)
            why = ETIMEDOUT;
        else
            (void)schedule_hrtimeout(expires);
        if (why)
            break;
    }
    finish_wait(&q->wait, &w);
    return why ? result<void>{error{why}} : result<void>{};
}

/// The first message came to an empty queue for which nobody waits: tell who asked, once. Lock held.
void give_notice(mqueue *q)
{
    s32 pid = q->notify_pid;
    q->notify_pid = 0;
    q->notify_by = nullptr;
    if (!pid || q->notify.how != SIGEV_SIGNAL || !q->notify.signo)
        return;
    task_struct *t = find_get_task(pid);
    if (!t)
        return;
    kernel_siginfo info;
    info.code = SI_MESGQ;
    info.p = {current()->tgid, static_cast<u32>(current()->uid), q->notify.value, 0, 0};
    (void)send_signal_info(t, static_cast<unsigned>(q->notify.signo), info, true);
    put_task(t);
}

/// Put a message behind those of its priority; false: the queue is full.
bool insert(mqueue *q, mq_message *m)
{
    mutex_guard g{mq_lock};
    if (q->curmsgs >= q->maxmsg)
        return false;
    mq_message *before = nullptr;
    for (mq_message &other : q->messages)
        if (other.prio < m->prio) {
            before = &other;
            break;
        }
    if (before)
        q->messages.insert_before(*before, *m);
    else
        q->messages.push_back(*m);
    write_once(q->curmsgs, q->curmsgs + 1);
    q->bytes += m->size;
    if (q->curmsgs == 1 && !q->receivers)
        give_notice(q);
    return true;
}

mq_message *take_first(mqueue *q)
{
    mutex_guard g{mq_lock};
    mq_message *m = q->messages.pop_front();
    if (m) {
        write_once(q->curmsgs, q->curmsgs - 1);
        q->bytes -= m->size;
    }
    return m;
}

result<void> send(mqueue *q, mq_message *m, bool nonblock, u64 expires)
{
    while (!insert(q, m)) {
        if (nonblock)
            return error{EAGAIN};
        TRY_VOID(mq_wait(q, false, expires));
    }
    wake_up_interruptible_sync_poll(&q->wait, POLLIN | POLLRDNORM);
    return {};
}

result<mq_message *> receive(mqueue *q, bool nonblock, u64 expires)
{
    mq_message *m;
    while (!(m = take_first(q))) {
        if (nonblock)
            return error{EAGAIN};
        {
            mutex_guard g{mq_lock};
            q->receivers++;
        }
        auto r = mq_wait(q, true, expires);
        mutex_guard g{mq_lock};
        q->receivers--;
        if (!r)
            return r.fail();
    }
    wake_up_interruptible_sync_poll(&q->wait, POLLOUT | POLLWRNORM);
    return m;
}
} // namespace

result<void> do_mq_send(file *f, user_ptr<const void> msg, u64 size, u32 prio, u64 expires)
{
    if (prio >= MQ_PRIO_MAX)
        return error{EINVAL};
    mqueue *q = TRY(usable(f, FMODE_WRITE));
    if (size > static_cast<u64>(q->msgsize))
        return error{EMSGSIZE};
    auto *m = static_cast<mq_message *>(kmalloc(sizeof(mq_message) + size, GFP_KERNEL));
    if (!m)
        return error{ENOMEM};
    m = new (m) mq_message{{}, prio, size};
    auto r = copy_from_user(m->data(), msg, size);
    if (r)
        r = send(q, m, f->f_flags & O_NONBLOCK, expires);
    if (!r)
        kfree(m);
    return r;
}

result<size_t> do_mq_receive(file *f, user_ptr<void> msg, u64 size, user_ptr<u32> prio, u64 expires)
{
    mqueue *q = TRY(usable(f, FMODE_READ));
    if (size < static_cast<u64>(q->msgsize))
        return error{EMSGSIZE};
    mq_message *m = TRY(receive(q, f->f_flags & O_NONBLOCK, expires));
    size_t n = m->size;
    auto r = copy_to_user(msg, m->data(), n);
    if (r && prio)
        r = put_user(prio, m->prio);
    kfree(m);
    return r ? result<size_t>{n} : result<size_t>{error{EFAULT}};
}

result<void> do_mq_notify(file *f, const mq_event *e)
{
    if (e && e->how != SIGEV_SIGNAL && e->how != SIGEV_NONE)
        return error{EINVAL};
    if (e && e->how == SIGEV_SIGNAL && static_cast<u32>(e->signo) > NSIG)
        return error{EINVAL};
    mqueue *q = TRY(usable(f, FMODE_READ | FMODE_WRITE));
    mutex_guard g{mq_lock};
    if (!e) {
        if (q->notify_pid == current()->tgid) {
            q->notify_pid = 0;
            q->notify_by = nullptr;
        }
        return {};
    }
    if (q->notify_pid)
        return error{EBUSY};
    q->notify_pid = current()->tgid;
    q->notify_by = f;
    q->notify = *e;
    return {};
}

result<mq_attr> do_mq_getsetattr(file *f, const mq_attr *change)
{
    if (change && (change->flags & ~static_cast<s64>(O_NONBLOCK)))
        return error{EINVAL};
    mqueue *q = TRY(usable(f, FMODE_READ | FMODE_WRITE));
    mutex_guard g{mq_lock};
    mq_attr a{f->f_flags & O_NONBLOCK, q->maxmsg, q->msgsize, q->curmsgs, {}};
    if (change)
        f->f_flags = (f->f_flags & ~O_NONBLOCK) | static_cast<u32>(change->flags);
    return a;
}

namespace
{
int mqueue_init()
{
    sysctl_create_int("fs/mqueue/queues_max", &queues_max, 0, INT32_MAX);
    sysctl_create_int("fs/mqueue/msg_max", &msg_max, 1, HARD_MSGMAX);
    sysctl_create_int("fs/mqueue/msgsize_max", &msgsize_max, 128, HARD_MSGSIZEMAX);
    sysctl_create_int("fs/mqueue/msg_default", &msg_default, 1, HARD_MSGMAX);
    return sysctl_create_int("fs/mqueue/msgsize_default", &msgsize_default, 128, HARD_MSGSIZEMAX);
}
fs_initcall(mqueue_init);
} // namespace

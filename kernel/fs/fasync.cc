// SPDX-License-Identifier: MIT
// See fasync.h. Linux: fs/fcntl.c. Lock: fasync_lock (irqsave); signals are sent with it held, so it lies outside of tasklist_lock.

#include "fs/fasync.h"
#include "mm/slab.h"
#include "sched/process.h"
#include "sched/signal.h"

/// One file on one list.
struct fasync_struct {
    fasync_struct *next = nullptr;
    file *f = nullptr;
    int fd = -1;
};

namespace
{
spinlock fasync_lock{"fasync_lock"};

/// si_band of a reason.
s64 band_of(int reason)
{
    switch (reason) {
    case POLL_IN:
        return POLLIN | POLLRDNORM;
    case POLL_OUT:
        return POLLOUT | POLLWRNORM | POLLWRBAND;
    case POLL_MSG:
        return POLLIN | POLLRDNORM | POLLMSG;
    case POLL_ERR:
        return POLLERR;
    case POLL_PRI:
        return POLLPRI | POLLRDBAND;
    default:
        return POLLHUP | POLLERR;
    }
}

/// Whether the owner may be signalled by who set it (Linux sigio_perm).
bool may_signal(const task_struct *t, const fown_struct &o)
{
    auto is = [t](u32 id) {
        return id == static_cast<u32>(t->suid) || id == static_cast<u32>(t->uid);
    };
    return !o.euid || is(o.euid) || is(o.uid);
}

using sender = int (*)(task_struct *p, unsigned sig, const kernel_siginfo &info, bool group);

void signal_task(task_struct *t, const fown_struct &o, int fd, unsigned sig, int reason,
                 sender send)
{
    if (!may_signal(t, o))
        return;
    kernel_siginfo info;
    bool group = o.type != F_OWNER_TID;
    if (o.signum && sig == SIGIO) {
        info.signo = static_cast<s32>(o.signum);
        info.code = reason;
        info.poll.band = band_of(reason);
        info.poll.fd = fd;
        if (!send(t, o.signum, info, group))
            return;
        info = kernel_siginfo{}; // the queue is full: SIGIO tells that something was lost
    }
    info.code = SI_KERNEL;
    (void)send(t, sig, info, group); // it may be gone already
}

/// What signals the members of a group.
struct group_walk {
    const fown_struct *o;
    int fd;
    unsigned sig;
    int reason;
};

/// fasync_lock held.
void signal_owner(const fown_struct &o, int fd, unsigned sig, int reason)
{
    if (!o.pid)
        return;
    if (o.type == F_OWNER_PGRP) {
        group_walk w{&o, fd, sig, reason};
        for_each_task(
            [](task_struct *t, void *arg) {
                auto *g = static_cast<group_walk *>(arg);
                if (t->group_leader == t && t->signal && t->signal->pgrp == g->o->pid)
                    signal_task(t, *g->o, g->fd, g->sig, g->reason, send_signal_locked);
            },
            &w);
    } else if (task_struct *t = find_get_task(o.pid)) {
        signal_task(t, o, fd, sig, reason, send_signal_info);
        put_task(t);
    }
}

/// The file's owner, made if need be; null: no memory. [P]
fown_struct *need_owner(file *f)
{
    if (fown_struct *o = read_once(f->f_owner))
        return o;
    auto *fresh = knew<fown_struct>(GFP_KERNEL);
    if (!fresh)
        return nullptr;
    spin_guard<irqsave> g{fasync_lock};
    if (!f->f_owner)
        write_once(f->f_owner, fresh);
    else
        kdelete(fresh);
    return f->f_owner;
}

/// Whether there is a task, or for F_OWNER_PGRP a group, of this number.
bool owner_exists(s32 type, s32 pid)
{
    if (task_struct *t = find_get_task(pid)) {
        put_task(t);
        return true;
    }
    struct search {
        s32 pgrp;
        bool found;
    } s{pid, false};
    if (type == F_OWNER_PGRP)
        for_each_task(
            [](task_struct *t, void *arg) {
                auto *w = static_cast<search *>(arg);
                w->found |= t->signal && t->signal->pgrp == w->pgrp;
            },
            &s);
    return s.found;
}
} // namespace

fown_struct f_getown(file *f)
{
    spin_guard<irqsave> g{fasync_lock};
    return f->f_owner ? *f->f_owner : fown_struct{};
}

result<void> f_setown(file *f, s32 type, s32 pid)
{
    if (pid && !owner_exists(type, pid))
        return error{ESRCH};
    fown_struct *o = need_owner(f);
    if (!o)
        return error{ENOMEM};
    const task_struct *t = current();
    spin_guard<irqsave> g{fasync_lock};
    o->type = type;
    o->pid = pid;
    o->uid = static_cast<u32>(t->uid);
    o->euid = static_cast<u32>(t->euid);
    return {};
}

result<void> f_setsig(file *f, u64 signum)
{
    if (signum > NSIG)
        return error{EINVAL};
    fown_struct *o = need_owner(f);
    if (!o)
        return error{ENOMEM};
    spin_guard<irqsave> g{fasync_lock};
    o->signum = static_cast<u32>(signum);
    return {};
}

result<void> f_setown_signed(file *f, s32 who)
{
    if (who == -0x7fffffff - 1)
        return error{EINVAL};
    return who < 0 ? f_setown(f, F_OWNER_PGRP, -who) : f_setown(f, F_OWNER_PID, who);
}

s32 f_getown_signed(file *f)
{
    fown_struct o = f_getown(f);
    return o.type == F_OWNER_PGRP ? -o.pid : o.pid;
}

result<void> fasync_helper(int fd, file *f, bool on, fasync_struct **list)
{
    fasync_struct *fresh = on ? knew<fasync_struct>(GFP_KERNEL) : nullptr;
    if (on && !fresh)
        return error{ENOMEM};
    {
        spin_guard<irqsave> g{fasync_lock};
        fasync_struct **at = list;
        while (*at && (*at)->f != f)
            at = &(*at)->next;
        if (!on && *at) {
            fresh = *at; // to be freed
            write_once(*at, fresh->next);
        } else if (on && *at) {
            (*at)->fd = fd;
        } else if (on) {
            fresh->f = f;
            fresh->fd = fd;
            write_once(*at, fresh);
            fresh = nullptr;
        }
        f->f_flags = on ? f->f_flags | O_ASYNC : f->f_flags & ~O_ASYNC;
    }
    kdelete(fresh);
    return {};
}

result<void> file_set_async(int fd, file *f, bool on)
{
    if (!f->f_op->fasync || on == !!(f->f_flags & O_ASYNC))
        return {};
    return f->f_op->fasync(fd, f, on);
}

void kill_fasync(fasync_struct *const *list, unsigned sig, int reason, bool (*wanted)(file *f))
{
    if (!read_once(*list))
        return;
    spin_guard<irqsave> g{fasync_lock};
    for (const fasync_struct *a = *list; a; a = a->next) {
        const fown_struct *o = a->f->f_owner;
        // SIGURG has its own way to the owner: here it is only for those who did not choose a signal.
        if (o && !(sig == SIGURG && o->signum == 0) && (!wanted || wanted(a->f)))
            signal_owner(*o, a->fd, sig, reason);
    }
}

bool send_sigurg(file *f)
{
    spin_guard<irqsave> g{fasync_lock};
    const fown_struct *o = f->f_owner;
    if (!o || !o->pid)
        return false;
    signal_owner(*o, -1, SIGURG, POLL_PRI);
    return true;
}

void fasync_release_file(file *f)
{
    if ((f->f_flags & O_ASYNC) && f->f_op && f->f_op->fasync)
        (void)f->f_op->fasync(-1, f, false);
    kdelete(f->f_owner);
}

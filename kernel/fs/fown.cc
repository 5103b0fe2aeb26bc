// SPDX-License-Identifier: MIT
// The owner of a file: who gets SIGURG (F_SETOWN; Linux fs/fcntl.c). The owner is kept as a number, with the ids that set it.

#include "fs/file.h"
#include "sched/cred.h"
#include "sched/signal.h"

void f_setown(file *f, s32 who)
{
    task_struct *t = who > 0 ? find_get_task(who) : nullptr;
    if (t)
        put_task(t);
    f->f_owner.uid = static_cast<u32>(current()->uid);
    f->f_owner.euid = static_cast<u32>(current()->euid);
    write_once(f->f_owner.who, who > 0 && !t ? 0 : who);
}

s32 f_getown(const file *f)
{
    return read_once(f->f_owner.who);
}

namespace
{
struct sigurg_walk {
    s32 who; // a process, or minus a process group
    u32 uid, euid;
};

/// Whether who set the owner may signal it (sigio_perm).
bool may_tell(const task_struct *t, const sigurg_walk *w)
{
    auto is = [t](u32 id) {
        return id == static_cast<u32>(t->suid) || id == static_cast<u32>(t->uid);
    };
    return !w->euid || is(w->euid) || is(w->uid);
}

void tell_member(task_struct *t, void *arg)
{
    auto *w = static_cast<sigurg_walk *>(arg);
    if (t->group_leader != t || !t->signal)
        return;
    if (w->who > 0 ? t->pid != w->who : t->signal->pgrp != -w->who)
        return;
    kernel_siginfo info;
    info.code = SI_KERNEL;
    if (may_tell(t, w))
        send_signal_locked(t, SIGURG, info, true);
}
} // namespace

void send_sigurg(file *f)
{
    sigurg_walk w{f_getown(f), f->f_owner.uid, f->f_owner.euid};
    if (w.who)
        for_each_task(tell_member, &w);
}

// SPDX-License-Identifier: MIT
// SCM_RIGHTS and SCM_CREDENTIALS (Linux net/core/scm.c). Process context.

#include "net/core/scm.h"

// --- Lists of files ------------------------------------------------------------------------------------------------------------

scm_fp_list *scm_fp_alloc(unsigned n)
{
    void *mem = kmalloc(sizeof(scm_fp_list) + n * sizeof(file *), GFP_KERNEL);
    return mem ? new (mem) scm_fp_list : nullptr;
}

void scm_fp_copy(scm_fp_list *to, const scm_fp_list *from)
{
    to->count = from->count;
    for (unsigned i = 0; i < from->count; i++) {
        get_file(from->fp[i]);
        to->fp[i] = from->fp[i];
    }
}

namespace
{
/// A task that is closing the files of messages, and what it has still to do.
struct fp_drain {
    task_struct *task;
    scm_fp_list *todo;
    fp_drain *next;
};
fp_drain *drains; // fp_drain_lock
spinlock fp_drain_lock{"scm.drain"};

/// Leave the work to an outer call of the same task; false: there is none, `d` is it now.
bool join_drain(fp_drain *d)
{
    spin_guard<bh> g{fp_drain_lock};
    for (fp_drain *o = drains; o; o = o->next)
        if (o->task == d->task) {
            d->todo->next = o->todo;
            o->todo = d->todo;
            return true;
        }
    d->next = drains;
    drains = d;
    return false;
}

/// Next list of this task; null (and `d` is off the list): done.
scm_fp_list *next_drain(fp_drain *d)
{
    spin_guard<bh> g{fp_drain_lock};
    if (scm_fp_list *l = d->todo) {
        d->todo = l->next;
        return l;
    }
    fp_drain **at = &drains;
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    return nullptr;
}
} // namespace

void scm_fp_free(scm_fp_list *l)
{
    l->next = nullptr;
    fp_drain d{current(), l, nullptr};
    if (join_drain(&d))
        return;
    while ((l = next_drain(&d))) {
        for (unsigned i = 0; i < l->count; i++)
            fput(l->fp[i]);
        kfree(l);
    }
}

// --- Sending -------------------------------------------------------------------------------------------------------------------

/// Add the files of one SCM_RIGHTS message.
static result<void> copy_files(const cmsghdr *c, scm_cookie *scm)
{
    unsigned n =
        static_cast<unsigned>(min<u64>((c->cmsg_len - sizeof *c) / sizeof(int), INT32_MAX));
    unsigned had = scm->fp ? scm->fp->count : 0;
    if (!n)
        return {};
    if (n > SCM_MAX_FD - had)
        return error{EINVAL};
    if (!scm->fp && !(scm->fp = scm_fp_alloc(SCM_MAX_FD)))
        return error{ENOMEM};
    auto *fds = reinterpret_cast<const int *>(c + 1);
    for (unsigned i = 0; i < n; i++)
        scm->fp->fp[scm->fp->count++] = TRY(fget(fds[i])).release();
    return {};
}

/// May the current task say that it is this one?
static result<void> check_creds(const ucred &c)
{
    const task_struct *t = current();
    auto is = [](u32 id, s32 a, s32 b, s32 d) {
        return id == static_cast<u32>(a) || id == static_cast<u32>(b) || id == static_cast<u32>(d);
    };
    if (t->euid != 0 && (c.pid != t->tgid || !is(c.uid, t->uid, t->euid, t->suid) ||
                         !is(c.gid, t->gid, t->egid, t->sgid)))
        return error{EPERM};
    if (c.pid != t->tgid) {
        task_struct *other = find_get_task(c.pid);
        if (!other)
            return error{ESRCH};
        put_task(other);
    }
    return {};
}

result<void> scm_send(socket *s, const msghdr *m, scm_cookie *scm)
{
    if (!m->msg_control_kern)
        return {};
    const cmsghdr *c = nullptr;
    while ((c = TRY(cmsg_next(m, c)))) {
        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_RIGHTS && s->ops->family == AF_UNIX) {
            TRY_VOID(copy_files(c, scm));
        } else if (c->cmsg_type == SCM_CREDENTIALS) {
            ucred cr;
            if (c->cmsg_len != sizeof *c + sizeof cr)
                return error{EINVAL};
            memcpy(&cr, c + 1, sizeof cr);
            TRY_VOID(check_creds(cr));
            scm->creds = cr;
            scm->creds_set = true;
        } else {
            return error{EINVAL};
        }
    }
    return {};
}

// --- Receiving -----------------------------------------------------------------------------------------------------------------

/// New descriptors for the files, as many as there is room for.
static void install_files(msghdr *m, scm_fp_list *l, u32 flags)
{
    size_t room = m->msg_controllen > sizeof(cmsghdr)
                      ? (m->msg_controllen - sizeof(cmsghdr)) / sizeof(int)
                      : 0;
    auto most = static_cast<unsigned>(min<size_t>(room, l->count)), n = 0u;
    for (; n < most; n++) {
        auto fd = get_unused_fd_flags(flags & MSG_CMSG_CLOEXEC ? O_CLOEXEC : 0);
        if (!fd)
            break;
        u64 at = m->msg_control + sizeof(cmsghdr) + n * sizeof(int);
        if (!put_user(user_ptr<int>{at}, *fd)) {
            put_unused_fd(*fd);
            break;
        }
        get_file(l->fp[n]);
        fd_install(*fd, l->fp[n]);
    }
    if (n < l->count)
        m->msg_flags |= MSG_CTRUNC;
    if (!n)
        return;
    cmsghdr h{sizeof h + n * sizeof(int), SOL_SOCKET, SCM_RIGHTS};
    if (!copy_to_user(user_ptr<void>{m->msg_control}, &h, sizeof h))
        return; // the descriptors are there all the same, as in Linux
    size_t space = min(align_up(h.cmsg_len, 8), m->msg_controllen);
    m->msg_control += space;
    m->msg_controllen -= space;
}

void scm_recv(socket *s, msghdr *m, scm_cookie *scm, u32 flags)
{
    bool pass = sock_flag(s->sk, SOCK_PASSCRED_F);
    if (!m->msg_control) {
        if (pass || scm->fp)
            m->msg_flags |= MSG_CTRUNC;
        return;
    }
    if (pass) {
        auto r = put_cmsg(m, SOL_SOCKET, SCM_CREDENTIALS, &scm->creds, sizeof scm->creds);
        (void)r; // a bad address loses them
    }
    if (scm->fp)
        install_files(m, scm->fp, flags);
}

// SPDX-License-Identifier: MIT
// See inotify.h and fsnotify.h. Linux: fs/notify/ (fsnotify.c, inotify_fsnotify.c, inotify_user.c).
//
// Contexts: process. Lock: fsnotify_lock (plain) for watches, instances and their queues. A watch belongs to its inode and to its instance
// and ends with the first of them to go; it keeps neither alive.

#include "fs/inotify.h"
#include "fs/fasync.h"
#include "fs/file.h"
#include "fs/ioctl.h"
#include "fs/namei.h"
#include "fs/seq_file.h"
#include "lib/initcall.h"
#include "lib/string.h"
#include "mm/static_object.h"
#include "sched/sched.h"

std::atomic<u32> nr_inotify_marks{0};

namespace
{
constexpr u32 IN_ONLYDIR = 0x1000000, IN_DONT_FOLLOW = 0x2000000, IN_EXCL_UNLINK = 0x4000000,
              IN_MASK_CREATE = 0x10000000, IN_MASK_ADD = 0x20000000, IN_ONESHOT = 0x80000000,
              IN_ALL_EVENTS = 0xfff,
              ALL_BITS = IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR |
                         IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_CREATE | IN_MASK_ADD | IN_ISDIR |
                         IN_ONESHOT;

/// As read(2) gives it; `len` bytes of name with NULs follow.
struct inotify_event_abi {
    s32 wd;
    u32 mask, cookie, len;
};

struct queued_event {
    list_node node;
    inotify_event_abi e{};
    char name[NAME_MAX + 1] = {};
};

struct inotify_group;
} // namespace

/// One watch.
struct inotify_mark : pinned {
    inode *i = nullptr;
    inotify_mark *next = nullptr; // of the same inode
    inotify_group *group = nullptr;
    list_node node; // of the instance
    s32 wd = 0;
    u32 mask = 0; // what to tell, and IN_EXCL_UNLINK, IN_ONESHOT
};

namespace
{
/// An instance.
struct inotify_group : pinned {
    list_node node;
    list<inotify_mark, &inotify_mark::node> marks;
    list<queued_event, &queued_event::node> events;
    u32 nr_marks = 0, nr_events = 0;
    s32 last_wd = 0;
    u32 uid = 0;
    bool overflowed = false; // IN_Q_OVERFLOW is in the queue
    wait_queue_head wait;
    fasync_struct *fasync = nullptr;
};

spinlock fsnotify_lock{"fsnotify_lock"};
static_object<list<inotify_group, &inotify_group::node>> groups;
kmem_cache *event_cache, *mark_cache;
int max_queued_events = 16384, max_user_instances = 128, max_user_watches = 8192;
std::atomic<u32> last_cookie{0};

/// Bytes that the name takes in a read: with a NUL, a multiple of the event's size.
u32 padded(const char *name)
{
    constexpr size_t UNIT = sizeof(inotify_event_abi);
    return *name ? static_cast<u32>(align_up(strlen(name) + 1, UNIT)) : 0;
}

/// Lock held.
void enqueue(inotify_group *g, s32 wd, u32 mask, u32 cookie, const char *name)
{
    queued_event *last = g->events.back();
    if (last && last->e.wd == wd && last->e.mask == mask && last->e.cookie == cookie &&
        strcmp(last->name, name) == 0)
        return; // the same twice in a row is told once
    bool full = g->nr_events >= static_cast<u32>(read_once(max_queued_events));
    if (full && g->overflowed)
        return;
    auto *q = kmem_cache_new<queued_event>(event_cache, GFP_ATOMIC);
    if (!q)
        return;
    if (full) {
        g->overflowed = true;
        q->e = {-1, IN_Q_OVERFLOW, 0, 0};
    } else {
        q->e = {wd, mask, cookie, padded(name)};
        memcpy(q->name, name, strlen(name));
    }
    g->events.push_back(*q);
    write_once(g->nr_events, g->nr_events + 1);
    wake_up_poll(&g->wait, POLLIN | POLLRDNORM);
    kill_fasync(&g->fasync, SIGIO, POLL_IN);
}

/// End a watch. Lock held.
void remove_mark(inotify_mark *m)
{
    inotify_mark **at = &m->i->i_marks;
    while (*at != m)
        at = &(*at)->next;
    write_once(*at, m->next);
    m->node.unlink();
    m->group->nr_marks--;
    nr_inotify_marks.fetch_sub(1, std::memory_order_relaxed);
    enqueue(m->group, m->wd, IN_IGNORED, 0, "");
    kmem_cache_delete(mark_cache, m);
}

/// Tell the watchers of an inode. `unlinked`: the name through which it happened is gone. Lock held.
void tell(inode *i, u32 mask, const char *name, u32 cookie, bool unlinked)
{
    inotify_mark *next;
    for (inotify_mark *m = i->i_marks; m; m = next) {
        next = m->next;
        if (!(m->mask & mask & IN_ALL_EVENTS) || (unlinked && (m->mask & IN_EXCL_UNLINK)))
            continue;
        enqueue(m->group, m->wd, mask, cookie, name);
        if (m->mask & IN_ONESHOT)
            remove_mark(m);
    }
}

u32 isdir(const inode *i)
{
    return s_isdir(i->mode) ? IN_ISDIR : 0;
}
} // namespace

void __fsnotify_inode(inode *i, u32 mask)
{
    spin_guard<plain> g{fsnotify_lock};
    tell(i, mask, "", 0, false);
}

void __fsnotify_name(inode *dir, u32 mask, const inode *child, const char *name, u32 cookie)
{
    spin_guard<plain> g{fsnotify_lock};
    tell(dir, mask | isdir(child), name, cookie, false);
}

void __fsnotify_dentry(dentry *d, u32 mask)
{
    char name[NAME_MAX + 1];
    if (dentry *parent = dget_watched_parent(d, name)) {
        {
            spin_guard<plain> g{fsnotify_lock};
            tell(parent->d_inode, mask | isdir(d->d_inode), name, 0, d->unlinked);
        }
        dput(parent);
    }
    if (read_once(d->d_inode->i_marks))
        __fsnotify_inode(d->d_inode, mask | isdir(d->d_inode));
}

u32 fsnotify_get_cookie()
{
    return last_cookie.fetch_add(1, std::memory_order_relaxed) + 1;
}

void fsnotify_inode_delete(inode *i)
{
    if (!i->i_marks)
        return;
    spin_guard<plain> g{fsnotify_lock};
    bool unmounted = i->nlink != 0;
    for (inotify_mark *m = i->i_marks; m; m = i->i_marks) {
        if (unmounted)
            enqueue(m->group, m->wd, IN_UNMOUNT, 0, "");
        else if (m->mask & IN_DELETE_SELF)
            enqueue(m->group, m->wd, IN_DELETE_SELF, 0, "");
        remove_mark(m);
    }
}

namespace
{
inotify_group *group_of(file *f)
{
    return static_cast<inotify_group *>(f->private_data);
}

/// The next event out of the queue if it fits into `room`: null when there is none, EINVAL when it does not fit.
result<queued_event *> take_event(inotify_group *g, size_t room)
{
    spin_guard<plain> guard{fsnotify_lock};
    queued_event *q = g->events.front();
    if (!q)
        return nullptr;
    if (sizeof q->e + q->e.len > room)
        return error{EINVAL};
    q->node.unlink();
    write_once(g->nr_events, g->nr_events - 1);
    if (q->e.mask & IN_Q_OVERFLOW)
        g->overflowed = false;
    return q;
}

[[gnu::noinline]] int inotify_wait(inotify_group *g)
{
    return wait_event_interruptible(&g->wait, read_once(g->nr_events) != 0);
}

result<size_t> inotify_read(file *f, iov_iter &to, u64 *)
{
    inotify_group *g = group_of(f);
    size_t done = 0;
    for (;;) {
        auto r = take_event(g, to.count());
        if (!r && done)
            return done; // what does not fit any more waits for the next read
        queued_event *q = TRY(static_cast<result<queued_event *> &&>(r));
        if (q) {
            auto copied = to.copy_to(&q->e, sizeof q->e);
            if (copied)
                copied = to.copy_to(q->name, q->e.len);
            size_t n = sizeof q->e + q->e.len;
            kmem_cache_delete(event_cache, q);
            TRY_VOID(copied);
            done += n;
            continue;
        }
        if (done)
            return done;
        if (f->f_flags & O_NONBLOCK)
            return error{EAGAIN};
        if (inotify_wait(g))
            return error{ERESTARTSYS};
    }
}

u32 inotify_poll(file *f, poll_table *pt)
{
    inotify_group *g = group_of(f);
    poll_wait(f, &g->wait, pt);
    return read_once(g->nr_events) ? POLLIN | POLLRDNORM : 0;
}

result<s64> inotify_ioctl(file *f, u32 cmd, u64 arg)
{
    if (cmd != FIONREAD)
        return error{ENOTTY};
    inotify_group *g = group_of(f);
    int bytes = 0;
    {
        spin_guard<plain> guard{fsnotify_lock};
        for (const queued_event &q : g->events)
            bytes += static_cast<int>(sizeof q.e + q.e.len);
    }
    TRY_VOID(put_user(user_ptr<int>{arg}, bytes));
    return s64{0};
}

void inotify_release(inode *, file *f)
{
    inotify_group *g = group_of(f);
    {
        spin_guard<plain> guard{fsnotify_lock};
        while (inotify_mark *m = g->marks.front())
            remove_mark(m);
        g->node.unlink();
        while (queued_event *q = g->events.pop_front())
            kmem_cache_delete(event_cache, q);
    }
    kdelete(g);
}

result<void> inotify_fasync(int fd, file *f, bool on)
{
    return fasync_helper(fd, f, on, &group_of(f)->fasync);
}

void inotify_fdinfo(seq_file *m, file *f)
{
    spin_guard<plain> guard{fsnotify_lock};
    for (const inotify_mark &k : group_of(f)->marks)
        seq_printf(m, "inotify wd:%x ino:%llx sdev:%x mask:%x ignored_mask:0\n", k.wd,
                   static_cast<unsigned long long>(k.i->ino), k.i->i_sb ? k.i->i_sb->dev : 0,
                   k.mask);
}

/// A queue has no position: asking for one is no error (Linux noop_llseek).
result<s64> inotify_llseek(file *, s64, int)
{
    return s64{0};
}

const file_operations inotify_fops{
    .read = inotify_read,
    .llseek = inotify_llseek,
    .poll = inotify_poll,
    .ioctl = inotify_ioctl,
    .release = inotify_release,
    .fasync = inotify_fasync,
    .show_fdinfo = inotify_fdinfo,
};

result<file_ptr> inotify_file(int fd)
{
    file_ptr f = TRY(fget(fd));
    if (f->f_op != &inotify_fops)
        return error{EINVAL};
    return f;
}

/// What the user's other instances and watches leave. Lock held.
bool room_for_group(u32 uid)
{
    int n = 0;
    for (const inotify_group &g : *groups)
        n += g.uid == uid;
    return n < read_once(max_user_instances);
}
bool room_for_mark(u32 uid)
{
    u32 n = 0;
    for (const inotify_group &g : *groups)
        n += g.uid == uid ? g.nr_marks : 0;
    return n < static_cast<u32>(read_once(max_user_watches));
}
} // namespace

result<int> do_inotify_init(u32 flags)
{
    if (flags & ~(O_CLOEXEC | O_NONBLOCK))
        return error{EINVAL};
    auto *g = knew<inotify_group>(GFP_KERNEL);
    if (!g)
        return error{ENOMEM};
    g->uid = static_cast<u32>(current()->uid);
    {
        spin_guard<plain> guard{fsnotify_lock};
        if (room_for_group(g->uid))
            groups->push_front(*g);
    }
    result<int> fd = g->node.linked()
                         ? anon_inode_getfd("anon_inode:inotify", &inotify_fops, g,
                                            O_RDONLY | (flags & (O_NONBLOCK | O_CLOEXEC)))
                         : result<int>{error{EMFILE}};
    if (!fd) {
        if (g->node.linked()) {
            spin_guard<plain> guard{fsnotify_lock};
            g->node.unlink();
        }
        kdelete(g);
    }
    return fd;
}

namespace
{
/// The instance's watch of the inode; null: there is none. Lock held.
inotify_mark *find_mark(const inotify_group *g, const inode *i)
{
    for (inotify_mark *m = i->i_marks; m; m = m->next)
        if (m->group == g)
            return m;
    return nullptr;
}

/// The number of the instance's watch of the inode: one that is there gets the new mask, else *fresh is used up. EEXIST, ENOSPC.
result<int> change_or_add(inotify_group *g, inode *i, u32 mask, inotify_mark **fresh)
{
    u32 kept = mask & (IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT);
    spin_guard<plain> guard{fsnotify_lock};
    if (inotify_mark *m = find_mark(g, i)) {
        if (mask & IN_MASK_CREATE)
            return error{EEXIST};
        m->mask = mask & IN_MASK_ADD ? m->mask | kept : kept;
        return m->wd;
    }
    if (!room_for_mark(g->uid))
        return error{ENOSPC};
    inotify_mark *m = *fresh;
    *fresh = nullptr;
    m->i = i;
    m->group = g;
    m->mask = kept;
    m->wd = ++g->last_wd;
    m->next = i->i_marks;
    write_once(i->i_marks, m);
    g->marks.push_front(*m);
    g->nr_marks++;
    nr_inotify_marks.fetch_add(1, std::memory_order_relaxed);
    return m->wd;
}
} // namespace

result<int> do_inotify_add_watch(int fd, const char *name, u32 mask)
{
    if (!(mask & ALL_BITS))
        return error{EINVAL};
    file_ptr f = TRY(inotify_file(fd));
    if ((mask & IN_MASK_ADD) && (mask & IN_MASK_CREATE))
        return error{EINVAL};
    u32 how =
        (mask & IN_DONT_FOLLOW ? 0 : LOOKUP_FOLLOW) | (mask & IN_ONLYDIR ? LOOKUP_DIRECTORY : 0);
    path_ref p = TRY(kern_path_at(AT_FDCWD, name, how));
    TRY_VOID(inode_permission(p.ino(), MAY_READ));
    auto *fresh = kmem_cache_new<inotify_mark>(mark_cache, GFP_KERNEL);
    if (!fresh)
        return error{ENOMEM};
    auto wd = change_or_add(group_of(f.get()), p.ino(), mask, &fresh);
    if (fresh)
        kmem_cache_delete(mark_cache, fresh);
    return wd;
}

result<void> do_inotify_rm_watch(int fd, s32 wd)
{
    file_ptr f = TRY(inotify_file(fd));
    spin_guard<plain> guard{fsnotify_lock};
    for (inotify_mark &m : group_of(f.get())->marks)
        if (m.wd == wd) {
            remove_mark(&m);
            return {};
        }
    return error{EINVAL};
}

namespace
{
int inotify_init()
{
    constexpr int MANY = 0x7fffffff;
    groups.init();
    event_cache = kmem_cache_create("inotify_event_private_data", sizeof(queued_event));
    mark_cache = kmem_cache_create("inotify_inode_mark", sizeof(inotify_mark));
    int err = sysctl_create_int("fs/inotify/max_queued_events", &max_queued_events, 0, MANY);
    err |= sysctl_create_int("fs/inotify/max_user_instances", &max_user_instances, 0, MANY);
    err |= sysctl_create_int("fs/inotify/max_user_watches", &max_user_watches, 0, MANY);
    return err;
}
fs_initcall(inotify_init);
} // namespace

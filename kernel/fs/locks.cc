// SPDX-License-Identifier: MIT
// See locks.h. Linux: fs/locks.c. Process context. Lock: file_lock_lock (plain) for every list; waits are without it. A waiter sleeps on its
// own request, which names its obstacle; whoever removes or changes that obstacle clears the name and wakes the waiter, which then looks
// again.

#include "fs/locks.h"
#include "fs/file.h"
#include "fs/seq_file.h"
#include "lib/initcall.h"
#include "mm/static_object.h"
#include "sched/sched.h"

namespace
{
constexpr unsigned MAX_DEADLOCK_STEPS = 10;

using lock_list = list<file_lock, &file_lock::node>;
using global_list = list<file_lock, &file_lock::global>;

spinlock file_lock_lock{"file_lock_lock"};
static_object<global_list> held, waiting;
kmem_cache *lock_cache;
} // namespace

/// The locks of one inode, made at the first and freed with the inode (Linux struct file_lock_context).
struct file_lock_context : pinned {
    lock_list posix, flock;
};

namespace
{
lock_list &list_of(inode *i, lock_kind kind)
{
    return kind == lock_kind::flock ? i->i_flctx->flock : i->i_flctx->posix;
}

/// Make sure that the inode has a context.
bool need_context(inode *i)
{
    if (read_once(i->i_flctx))
        return true;
    auto *fresh = knew<file_lock_context>(GFP_KERNEL);
    if (!fresh)
        return false;
    {
        spin_guard<plain> g{file_lock_lock};
        if (!i->i_flctx) {
            write_once(i->i_flctx, fresh);
            return true;
        }
    }
    kdelete(fresh);
    return true;
}

bool same_owner(const file_lock &a, const file_lock &b)
{
    return a.owner == b.owner && a.kind == b.kind;
}

bool conflict(const file_lock &a, const file_lock &b)
{
    return !same_owner(a, b) && (a.type == F_WRLCK || b.type == F_WRLCK) && a.start <= b.end &&
           b.start <= a.end;
}

/// The first lock in the way of `request`, or null. Lock held.
file_lock *find_conflict(const file_lock &request)
{
    for (file_lock &l : list_of(request.i, request.kind))
        if (conflict(l, request))
            return &l;
    return nullptr;
}

/// What was in the way has changed: those who wait for it look again. Lock held.
void wake_blocked(const file_lock &l)
{
    for (file_lock &w : *waiting)
        if (w.blocked_on == &l) {
            write_once(w.blocked_on, nullptr);
            wake_up(&w.wait);
        }
}

/// Out of the lists; freed. Lock held.
void remove_lock(file_lock &l)
{
    l.node.unlink();
    l.global.unlink();
    wake_blocked(l);
    kmem_cache_delete(lock_cache, &l);
}

void copy_lock(file_lock &to, const file_lock &from)
{
    to.kind = from.kind;
    to.type = from.type;
    to.owner = from.owner;
    to.pid = from.pid;
    to.start = from.start;
    to.end = from.end;
    to.i = from.i;
}

/// Into the inode's list, with its owner's other locks in order of their starts. Lock held.
void insert_lock(file_lock &l)
{
    lock_list &all = list_of(l.i, l.kind);
    held->push_front(l);
    bool among_own = false;
    for (file_lock &o : all) {
        bool own = same_owner(o, l);
        if ((among_own && !own) || (own && o.start > l.start)) {
            all.insert_before(o, l);
            return;
        }
        among_own |= own;
    }
    all.push_back(l);
}

/// Whether waiting for `obstacle` would close a circle of processes that wait for each other. Lock held.
bool would_deadlock(const file_lock &request, const file_lock &obstacle)
{
    const file_lock *at = &obstacle;
    for (unsigned step = 0; at && step < MAX_DEADLOCK_STEPS; step++) {
        if (at->kind != lock_kind::posix)
            return false; // an open file waits for nobody
        if (same_owner(*at, request))
            return true;
        const file_lock *next = nullptr;
        for (file_lock &w : *waiting)
            if (same_owner(w, *at) && w.blocked_on)
                next = w.blocked_on;
        at = next;
    }
    return false;
}

/// A lock allocated before the spinlock is taken; what was not used goes back.
class spare_lock : pinned
{
public:
    spare_lock() : l_{kmem_cache_new<file_lock>(lock_cache, GFP_KERNEL)} {}
    ~spare_lock()
    {
        if (l_)
            kmem_cache_delete(lock_cache, l_);
    }
    explicit operator bool() const { return l_; }
    file_lock &take()
    {
        file_lock *l = l_;
        l_ = nullptr;
        return *l;
    }

private:
    file_lock *l_;
};

/// Change the owner's locks so that `request` holds: those of its type that touch it become one with it, others give way. `added` becomes
/// the lock, `rest` what is behind it of one that it cuts in two. Lock held.
void apply(const file_lock &request, spare_lock &added, spare_lock &rest)
{
    s64 start = request.start, end = request.end;
    bool unlock = request.type == F_UNLCK;
    for (file_lock &l : list_of(request.i, request.kind)) {
        if (!same_owner(l, request))
            continue;
        if (l.type == request.type) {
            bool before = l.end != OFFSET_MAX && l.end + 1 < start;
            bool behind = end != OFFSET_MAX && end + 1 < l.start;
            if (before || behind)
                continue;
            start = min(start, l.start);
            end = max(end, l.end);
            remove_lock(l);
            continue;
        }
        if (l.end < request.start || l.start > request.end)
            continue;
        if (l.start >= request.start && l.end <= request.end) {
            remove_lock(l);
            continue;
        }
        if (l.start < request.start && l.end > request.end) {
            file_lock &behind = rest.take();
            copy_lock(behind, l);
            behind.start = request.end + 1;
            l.end = request.start - 1;
            insert_lock(behind);
        } else if (l.start < request.start) {
            l.end = request.start - 1;
        } else {
            l.start = request.end + 1;
        }
        wake_blocked(l);
    }
    if (unlock)
        return;
    file_lock &own = added.take();
    copy_lock(own, request);
    own.start = start;
    own.end = end;
    insert_lock(own);
}

/// A sleeper's request while it is in the list of waiters.
void start_waiting(file_lock &w, const file_lock &request, file_lock *obstacle)
{
    copy_lock(w, request);
    w.blocked_on = obstacle;
    waiting->push_front(w);
}

/// Until the obstacle has changed; ERESTARTSYS on a signal.
[[gnu::noinline]] result<void> wait_for_change(file_lock &w)
{
    int err = wait_event_interruptible(&w.wait, !read_once(w.blocked_on));
    spin_guard<plain> g{file_lock_lock};
    w.global.unlink();
    return err ? result<void>{error{ERESTARTSYS}} : result<void>{};
}

/// One attempt. True: done; false: `w` waits for what is in the way.
result<bool> try_posix(const file_lock &request, bool wait, file_lock *w)
{
    spare_lock added, rest;
    if (!added || !rest)
        return error{ENOLCK};
    spin_guard<plain> g{file_lock_lock};
    file_lock *obstacle = request.type == F_UNLCK ? nullptr : find_conflict(request);
    if (!obstacle) {
        apply(request, added, rest);
        return true;
    }
    if (!wait)
        return error{EAGAIN};
    if (request.kind == lock_kind::posix && would_deadlock(request, *obstacle))
        return error{EDEADLK};
    start_waiting(*w, request, obstacle);
    return false;
}
} // namespace

result<void> posix_lock_file(const file_lock &request, bool wait)
{
    if (request.type == F_UNLCK && !read_once(request.i->i_flctx))
        return {};
    if (!need_context(request.i))
        return error{ENOLCK};
    for (;;) {
        file_lock w;
        if (TRY(try_posix(request, wait, &w)))
            return {};
        TRY_VOID(wait_for_change(w));
    }
}

void posix_test_lock(file_lock *request)
{
    spin_guard<plain> g{file_lock_lock};
    const file_lock *found = request->i->i_flctx ? find_conflict(*request) : nullptr;
    if (found)
        copy_lock(*request, *found);
    else
        request->type = F_UNLCK;
}

namespace
{
/// Give back the file's flock, unless it has this type already (then true). Lock held.
bool drop_flock(const file *f, s16 keep)
{
    for (file_lock &l : f->f_inode->i_flctx->flock)
        if (l.owner == f) {
            if (l.type == keep)
                return true;
            remove_lock(l);
            break;
        }
    return false;
}

result<bool> try_flock(const file_lock &request, bool wait, file_lock *w)
{
    spare_lock added;
    if (!added)
        return error{ENOLCK};
    spin_guard<plain> g{file_lock_lock};
    file_lock *obstacle = find_conflict(request);
    if (!obstacle) {
        file_lock &own = added.take();
        copy_lock(own, request);
        insert_lock(own);
        return true;
    }
    if (!wait)
        return error{EAGAIN};
    start_waiting(*w, request, obstacle);
    return false;
}
} // namespace

result<void> flock_lock_file(file *f, s16 type, bool wait)
{
    if (type == F_UNLCK && !read_once(f->f_inode->i_flctx))
        return {};
    if (!need_context(f->f_inode))
        return error{ENOLCK};
    {
        // A change of type gives the old lock back first: others may be faster (flock(2)).
        spin_guard<plain> g{file_lock_lock};
        if (drop_flock(f, type) || type == F_UNLCK)
            return {};
    }
    file_lock request;
    request.kind = lock_kind::flock;
    request.type = type;
    request.owner = f;
    request.pid = current()->tgid;
    request.i = f->f_inode;
    for (;;) {
        file_lock w;
        if (TRY(try_flock(request, wait, &w)))
            return {};
        TRY_VOID(wait_for_change(w));
    }
}

void locks_remove_posix(file *f, const files_struct *owner)
{
    if (!read_once(f->f_inode->i_flctx))
        return;
    spin_guard<plain> g{file_lock_lock};
    for (file_lock &l : f->f_inode->i_flctx->posix)
        if (l.kind == lock_kind::posix && l.owner == owner)
            remove_lock(l);
}

void locks_remove_file(file *f)
{
    if (!read_once(f->f_inode->i_flctx))
        return;
    spin_guard<plain> g{file_lock_lock};
    drop_flock(f, F_UNLCK);
    for (file_lock &l : f->f_inode->i_flctx->posix)
        if (l.kind == lock_kind::ofd && l.owner == f)
            remove_lock(l);
}

void locks_free_context(inode *i)
{
    kdelete(i->i_flctx);
}

namespace
{
/// One line of /proc/locks: number, kind, type, process, file, range.
void show_lock(seq_file *m, unsigned long long number, const file_lock &l, const char *arrow)
{
    static constexpr const char *KINDS[] = {"POSIX ", "OFDLCK", "FLOCK "};
    u32 dev = l.i->i_sb ? l.i->i_sb->dev : 0;
    seq_printf(m, "%llu:%s %s ADVISORY  %s %d %02x:%02x:%llu %lld ", number, arrow,
               KINDS[static_cast<unsigned>(l.kind)], l.type == F_WRLCK ? "WRITE" : "READ ", l.pid,
               dev_major(dev), dev_minor(dev), static_cast<unsigned long long>(l.i->ino),
               static_cast<long long>(l.start));
    if (l.end == OFFSET_MAX)
        seq_puts(m, "EOF\n");
    else
        seq_printf(m, "%lld\n", static_cast<long long>(l.end));
}

void show_locks(seq_file *m)
{
    unsigned long long number = 0;
    spin_guard<plain> g{file_lock_lock};
    for (file_lock &l : *held) {
        show_lock(m, ++number, l, "");
        for (file_lock &w : *waiting)
            if (w.blocked_on == &l)
                show_lock(m, number, w, " ->");
    }
}

int locks_init()
{
    held.init();
    waiting.init();
    lock_cache = kmem_cache_create("file_lock_cache", sizeof(file_lock));
    return proc_create("locks", show_locks);
}
fs_initcall(locks_init);
} // namespace

// SPDX-License-Identifier: MIT
// eventpoll: creation, ADD/MOD/DEL, the callback that makes an item ready, and the end. Linux: fs/eventpoll.c (atlas §10, rows E-01…E-10,
// E-18…E-24, E-31). Process context but for ep_poll_callback: any context, the watched file's wait-queue lock held, IRQs off.

#include "fs/eventpoll_internal.h"
#include "fs/file.h"
#include "fs/seq_file.h"
#include "lib/initcall.h"
#include "lib/percpu.h"
#include "mm/slab.h"
#include "trace/trace.h"

mutex epmutex{"epmutex"};
list<eventpoll, &eventpoll::all> all_eventpolls;

namespace
{
kmem_cache *epi_cache, *pwq_cache;
int max_user_watches;
spinlock users_lock{"ep_users"};
ep_user *users;

/// file::f_ep_links of all files, by a few locks (Linux f_lock).
constexpr unsigned F_LOCKS = 16;
struct f_lock {
    spinlock lock{"file.f_lock"};
};
f_lock f_locks[F_LOCKS];
spinlock &f_lock_of(const file *f)
{
    return f_locks[reinterpret_cast<u64>(f) / 64 % F_LOCKS].lock;
}

/// The counter of the current user; null: out of memory.
ep_user *current_ep_user()
{
    s32 uid = current()->uid;
    auto find = [uid] {
        ep_user *u = users;
        while (u && u->uid != uid)
            u = u->next;
        return u;
    };
    {
        spin_guard<plain> g{users_lock};
        if (ep_user *u = find())
            return u;
    }
    auto *fresh = knew<ep_user>(GFP_KERNEL);
    if (!fresh)
        return nullptr;
    fresh->uid = uid;
    spin_guard<plain> g{users_lock};
    if (ep_user *u = find()) {
        kdelete(fresh);
        return u;
    }
    fresh->next = users;
    return users = fresh;
}

/// A watched file has news (row E-08): ready list, then a waiter. Returns whether that counts as a wake-up of an exclusive entry.
int ep_poll_callback(wait_queue *w, unsigned, int, void *key)
{
    epitem *epi = container_of(w, eppoll_entry, wait)->base;
    eventpoll *ep = epi->ep;
    auto mask = static_cast<u32>(reinterpret_cast<u64>(key));
    bool pwake = false, woke = false;
    const char *where = "masked";
    {
        spin_guard<irqsave> g{ep->lock};
        ep->callbacks++;
        u32 wanted = epi->event.events & ~EP_PRIVATE_BITS;
        // A wake-up without a key may mean anything; one with a key that nobody asked for here is not for us.
        if (wanted && (!mask || (mask & wanted))) {
            if (ep->ovflist != EP_UNACTIVE_PTR) {
                // A transfer owns the ready list: it takes this one along when it is done.
                where = "ovflist";
                if (epi->ovf_next == EP_UNACTIVE_PTR) {
                    epi->ovf_next = ep->ovflist;
                    ep->ovflist = epi;
                }
            } else {
                where = epi->rdllink.linked() ? "linked" : "rdllist";
                ep_add_ready(ep, epi);
            }
            woke = ep->wq.active();
            pwake = ep_wake_one(ep);
        }
        trace(trace_event::ep_poll_callback, ep, epi->fd, mask, where);
    }
    if (pwake)
        ep_poll_safewake(&ep->poll_wait);
    return !(epi->event.events & EPOLLEXCLUSIVE) || woke || pwake;
}

/// What ep_ptable_queue_proc finds its item by.
struct ep_pqueue {
    poll_table pt;
    epitem *epi;
};

/// The file's poll method names a wait queue: put an entry on it.
void ep_ptable_queue_proc(file *, wait_queue_head *q, poll_table *pt)
{
    epitem *epi = container_of(pt, ep_pqueue, pt)->epi;
    if (epi->nwait < 0)
        return;
    auto *pwq = kmem_cache_new<eppoll_entry>(pwq_cache, GFP_KERNEL, epi, q);
    if (!pwq) {
        epi->nwait = -1;
        return;
    }
    pwq->next = epi->pwqlist;
    epi->pwqlist = pwq;
    epi->nwait++;
    if (epi->event.events & EPOLLEXCLUSIVE)
        add_wait_queue_exclusive(q, &pwq->wait);
    else
        add_wait_queue(q, &pwq->wait);
}

void ep_unregister_pollwait(epitem *epi)
{
    while (eppoll_entry *pwq = epi->pwqlist) {
        epi->pwqlist = pwq->next;
        remove_wait_queue(pwq->whead, &pwq->wait);
        kmem_cache_delete(pwq_cache, pwq);
    }
}

void link_to_file(epitem *epi)
{
    file *f = epi->file;
    spin_guard<plain> g{f_lock_of(f)};
    epi->fllink = f->f_ep_links;
    epi->fllink_pprev = &f->f_ep_links;
    if (f->f_ep_links)
        f->f_ep_links->fllink_pprev = &epi->fllink;
    write_once(f->f_ep_links, epi);
}

void unlink_from_file(epitem *epi)
{
    spin_guard<plain> g{f_lock_of(epi->file)};
    write_once(*epi->fllink_pprev, epi->fllink);
    if (epi->fllink)
        epi->fllink->fllink_pprev = epi->fllink_pprev;
}

/// Take an item off everything and free it. ep->mtx held; no transfer runs.
void ep_remove(eventpoll *ep, epitem *epi)
{
    // First the wait queues, without ep->lock: callbacks take it inside the queue's.
    ep_unregister_pollwait(epi);
    unlink_from_file(epi);
    ep->rbr.erase(*epi);
    ep->nr_items--;
    trace(trace_event::ep_rbtree, ep, "erase", epi->fd);
    {
        spin_guard<irqsave> g{ep->lock};
        if (epi->rdllink.linked())
            epi->rdllink.unlink();
    }
    ep->user->epoll_watches.fetch_sub(1, std::memory_order_relaxed);
    kmem_cache_delete(epi_cache, epi);
}

epitem *ep_find(eventpoll *ep, file *f, int fd)
{
    epitem *epi =
        ep->rbr.lower_bound([=](const epitem &i) { return i.file != f ? i.file < f : i.fd < fd; });
    return epi && epi->file == f && epi->fd == fd ? epi : nullptr;
}

/// An item whose file already has what it asked for is ready at once (row E-06), also after MOD (row E-18).
void ep_ready_if(eventpoll *ep, epitem *epi, u32 revents)
{
    bool pwake = false;
    {
        spin_guard<irqsave> g{ep->lock};
        if ((revents & epi->event.events) && !epi->rdllink.linked()) {
            ep->rdllist.push_back(*epi);
            pwake = ep_wake_one(ep);
        }
    }
    if (pwake)
        ep_poll_safewake(&ep->poll_wait);
}

/// epmutex and ep->mtx held.
int ep_insert(eventpoll *ep, const epoll_event &ev, file *f, int fd)
{
    if (ep->user->epoll_watches.load(std::memory_order_relaxed) >= read_once(max_user_watches))
        return -ENOSPC;
    auto *epi = kmem_cache_new<epitem>(epi_cache, GFP_KERNEL, ep, f, fd, ev);
    if (!epi)
        return -ENOMEM;
    ep->user->epoll_watches.fetch_add(1, std::memory_order_relaxed);
    ep_pqueue epq{{ep_ptable_queue_proc}, epi};
    u32 revents = ep_item_poll(epi, &epq.pt, 1);
    link_to_file(epi);
    ep->rbr.insert(*epi);
    ep->nr_items++;
    trace(trace_event::ep_rbtree, ep, "insert", fd);
    int err = epi->nwait < 0 ? -ENOMEM : ep_reverse_path_check(f);
    if (err) {
        ep_remove(ep, epi);
        return err;
    }
    ep_ready_if(ep, epi, revents);
    return 0;
}

/// ep->mtx held. The new mask is there before the file is looked at, so that an event between is seen by one of both.
int ep_modify(eventpoll *ep, epitem *epi, const epoll_event &ev)
{
    if (epi->event.events & EPOLLEXCLUSIVE)
        return -EINVAL;
    {
        spin_guard<irqsave> g{ep->lock};
        epi->event = ev;
    }
    smp_mb();
    ep_ready_if(ep, epi, ep_item_poll(epi, nullptr, 1));
    return 0;
}

/// The epoll file is gone.
void eventpoll_release(inode *, file *f)
{
    eventpoll *ep = ep_of(f);
    {
        mutex_guard g{epmutex};
        {
            mutex_guard m{ep->mtx};
            while (epitem *epi = ep->rbr.first())
                ep_remove(ep, epi);
        }
        ep->all.unlink();
    }
    kdelete(ep);
}

u32 eventpoll_poll(file *f, poll_table *pt)
{
    return ep_eventpoll_poll(f, pt, 0);
}

/// EXCLUSIVE is for plain wake-ups of files that are no epolls, chosen once and for all (Linux 4.5).
bool exclusive_allowed(int op, const epoll_event &ev, const file *target)
{
    constexpr u32 ok = POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM |
                       EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;
    return op == EPOLL_CTL_ADD && !is_file_epoll(target) && !(ev.events & ~ok);
}

/// The operation proper; epmutex held for ADD and DEL.
int ep_ctl(eventpoll *ep, int op, file *target, int fd, epoll_event ev)
{
    if (op == EPOLL_CTL_ADD && is_file_epoll(target))
        if (int err = ep_loop_check(ep, target))
            return err;
    ev.events |= POLLERR | POLLHUP;
    mutex_guard g{ep->mtx};
    epitem *epi = ep_find(ep, target, fd);
    switch (op) {
    case EPOLL_CTL_ADD:
        return epi ? -EEXIST : ep_insert(ep, ev, target, fd);
    case EPOLL_CTL_MOD:
        return epi ? ep_modify(ep, epi, ev) : -ENOENT;
    case EPOLL_CTL_DEL:
        if (epi)
            ep_remove(ep, epi);
        return epi ? 0 : -ENOENT;
    default:
        return -EINVAL;
    }
}

int eventpoll_init()
{
    epi_cache = kmem_cache_create("eventpoll_epi", sizeof(epitem));
    pwq_cache = kmem_cache_create("eventpoll_pwq", sizeof(eppoll_entry));
    // 4 % of memory at Linux's 200 bytes for each watch.
    max_user_watches =
        static_cast<int>(min<u64>(page_alloc_stats().total / 25 * PAGE_SIZE / 200, 0x7fffffff));
    return sysctl_create_int("fs/epoll/max_user_watches", &max_user_watches, 0, 0x7fffffff);
}
fs_initcall(eventpoll_init);
} // namespace

eppoll_entry::eppoll_entry(epitem *i, wait_queue_head *q)
    : base{i}, wait{ep_poll_callback, nullptr}, whead{q}
{
}

epitem::epitem(eventpoll *e, ::file *f, int n, const epoll_event &ev)
    : ovf_next{EP_UNACTIVE_PTR}, file{f}, fd{n}, ep{e}, event{ev}
{
}

const file_operations eventpoll_fops{
    .poll = eventpoll_poll,
    .release = eventpoll_release,
    .show_fdinfo = ep_show_fdinfo,
};

bool ep_wake_one(eventpoll *ep)
{
    if (ep->wq.active()) {
        ep->wakeups++;
        __wake_up_common(&ep->wq, TASK_NORMAL, 1, 0, nullptr);
    }
    return ep->poll_wait.active();
}

void ep_poll_safewake(wait_queue_head *q)
{
    // An epoll that watches this one is told under q->lock and may have watchers of its own: the nesting, which ep_loop_check()
    // limits, is the lock's subclass.
    static percpu<unsigned> depth;
    irq_guard irq;
    unsigned &d = *depth;
    if (d > EP_MAX_NESTS + 1)
        return;
    q->lock.lock_nested(d++);
    __wake_up_common(q, TASK_NORMAL, 1, 0, reinterpret_cast<void *>(u64{POLLIN}));
    d--;
    q->lock.unlock();
}

void eventpoll_release_file(file *f)
{
    // No descriptor is left, so nobody can add it again; epmutex keeps epolls from going away meanwhile.
    mutex_guard g{epmutex};
    while (epitem *epi = read_once(f->f_ep_links)) {
        mutex_guard m{epi->ep->mtx};
        ep_remove(epi->ep, epi);
    }
}

result<int> do_epoll_create(u32 flags)
{
    if (flags & ~O_CLOEXEC)
        return error{EINVAL};
    ep_user *user = current_ep_user();
    auto *ep = user ? knew<eventpoll>(GFP_KERNEL) : nullptr;
    if (!ep)
        return error{ENOMEM};
    ep->ovflist = EP_UNACTIVE_PTR;
    ep->user = user;
    auto fd = get_unused_fd_flags(flags & O_CLOEXEC);
    if (!fd) {
        kdelete(ep);
        return fd;
    }
    auto f = anon_inode_getfile("anon_inode:[eventpoll]", &eventpoll_fops, ep, O_RDWR);
    if (!f) {
        put_unused_fd(*fd);
        kdelete(ep);
        return f.fail();
    }
    ep->file = *f;
    {
        mutex_guard g{epmutex};
        all_eventpolls.push_back(*ep);
    }
    fd_install(*fd, *f);
    return fd;
}

result<void> do_epoll_ctl(int epfd, int op, int fd, const epoll_event *ev)
{
    file_ptr f = TRY(fget(epfd)), target = TRY(fget(fd));
    if (!target->f_op || !target->f_op->poll)
        return error{EPERM};
    if (f.get() == target.get() || !is_file_epoll(f.get()))
        return error{EINVAL};
    epoll_event event{};
    if (ev)
        event = *ev;
    if ((event.events & EPOLLEXCLUSIVE) && op != EPOLL_CTL_DEL &&
        !exclusive_allowed(op, event, target.get()))
        return error{EINVAL};
    eventpoll *ep = ep_of(f.get());
    int err;
    if (op == EPOLL_CTL_MOD) {
        err = ep_ctl(ep, op, target.get(), fd, event);
    } else {
        mutex_guard g{epmutex};
        err = ep_ctl(ep, op, target.get(), fd, event);
    }
    if (err)
        return error{static_cast<errno_t>(-err)};
    return {};
}

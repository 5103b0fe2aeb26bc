// SPDX-License-Identifier: MIT
// The insides of epoll: eventpoll (wq, rbr, rdllist, ovflist), epitem, eppoll_entry (rows E-02…E-10). Only fs/eventpoll*.cc include this.
// Locks, outermost first: epmutex (tree of epolls, ends of files) → eventpoll::mtx (tree, transfer; may sleep) → eventpoll::lock (the lists;
// IRQs off). The callback runs under the watched file's wait_queue_head.lock and takes only eventpoll::lock. Unregistering
// takes the wait queue's lock without eventpoll::lock, so the order never turns round (atlas §26.6).
#pragma once

#include "fs/eventpoll.h"
#include "lib/rbtree.h"
#include "sched/sched.h"

struct eventpoll;
struct epitem;

/// The entry of one epitem on one wait queue of its file (cache eventpoll_pwq).
struct eppoll_entry : pinned {
    eppoll_entry *next = nullptr; // of the same item
    epitem *base;
    wait_queue wait;
    wait_queue_head *whead;
    eppoll_entry(epitem *i, wait_queue_head *q);
};

/// One watched descriptor (cache eventpoll_epi).
struct epitem : pinned {
    rb_node rbn;       // in eventpoll::rbr. mtx
    list_node rdllink; // in rdllist, or in the list of a running transfer
    epitem *ovf_next;  // in ovflist; EP_UNACTIVE_PTR: not on it. lock
    ::file *file;      // not referenced: eventpoll_release_file() comes before it dies
    int fd;            // with `file` the key: as it was named at ADD
    int nwait = 0;     // entries in pwqlist; -1: no memory for one
    eppoll_entry *pwqlist = nullptr;
    eventpoll *ep;
    epitem *fllink = nullptr, **fllink_pprev = nullptr; // of file::f_ep_links. f_lock
    epoll_event event; // events 0 but for private bits: disabled by ONESHOT

    epitem(eventpoll *e, ::file *f, int n, const epoll_event &ev);
};
static_assert(sizeof(epitem) <= 128 && sizeof(eppoll_entry) <= 72, "atlas §10, §20");

struct ep_item_order {
    /// Files by address, then descriptor numbers.
    bool operator()(const epitem &a, const epitem &b) const
    {
        return a.file != b.file ? a.file < b.file : a.fd < b.fd;
    }
};

/// Watches of one user, against max_user_watches.
struct ep_user {
    ep_user *next = nullptr;
    s32 uid = 0;
    std::atomic<s64> epoll_watches{0};
};

/// What epoll_create makes: reached by its file's private_data.
struct eventpoll : pinned {
    spinlock lock{"eventpoll.lock"};
    mutex mtx{"eventpoll.mtx"};
    wait_queue_head wq; // epoll_wait's sleepers. Under `lock`; its own lock is not used
    wait_queue_head poll_wait{
        "eventpoll.poll_wait"}; // who polls the epoll file: poll(2), another epoll
    list<epitem, &epitem::rdllink> rdllist;
    rbtree<epitem, &epitem::rbn, ep_item_order> rbr;
    epitem *ovflist; // became ready while a transfer runs, newest first; EP_UNACTIVE_PTR: none runs
    ep_user *user = nullptr;
    ::file *file = nullptr;
    u32 visited = 0;  // mark of the last walk over the tree of epolls
    u32 nr_items = 0; // in rbr. mtx
    list_node all;    // every eventpoll, for the dump. epmutex
    // What the rows count; the dump shows it. send_visits, returns, empty_returns: mtx; the others: lock.
    u64 callbacks = 0, wakeups = 0, sleeps = 0;
    u64 returns = 0, events_sent = 0, send_visits = 0, empty_wakeups = 0;
};

inline epitem *const EP_UNACTIVE_PTR = reinterpret_cast<epitem *>(-1L);
/// Bits that ONESHOT leaves.
constexpr u32 EP_PRIVATE_BITS = EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE;

extern mutex epmutex;
extern list<eventpoll, &eventpoll::all> all_eventpolls;
extern const file_operations eventpoll_fops;

inline bool is_file_epoll(const file *f)
{
    return f->f_op == &eventpoll_fops;
}
inline eventpoll *ep_of(const file *f)
{
    return static_cast<eventpoll *>(f->private_data);
}
/// Ready events of an item that it asked for; `depth`: epolls around it. ep->mtx held. pt null: only look.
u32 ep_item_poll(epitem *epi, poll_table *pt, unsigned depth);
/// poll of an epoll file inside `depth` others.
u32 ep_eventpoll_poll(file *f, poll_table *pt, unsigned depth);
/// Wake one sleeper of epoll_wait; true if somebody polls the epoll file and must be told after the lock is released. ep->lock held.
bool ep_wake_one(eventpoll *ep);
/// Tell those who poll the epoll file. No eventpoll::lock held; IRQs may be off.
void ep_poll_safewake(wait_queue_head *q);
/// Make an item ready unless it is on a list already. ep->lock held.
inline void ep_add_ready(eventpoll *ep, epitem *epi)
{
    if (!epi->rdllink.linked())
        ep->rdllist.push_back(*epi);
}
/// ADD of an epoll to an epoll: 0, or -ELOOP for a circle or too deep a nest. epmutex held.
int ep_loop_check(eventpoll *ep, file *target);
/// After an ADD: -EINVAL when some file can now be reached by too many paths (a storm of wake-ups). epmutex held.
int ep_reverse_path_check(file *target);
/// fdinfo of an epoll file.
void ep_show_fdinfo(seq_file *m, file *f);

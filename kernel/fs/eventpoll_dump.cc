// SPDX-License-Identifier: MIT
// What can be seen of epoll: /proc/<pid>/fdinfo as Linux 3.10 has it, and the whole inside in /sys/kernel/debug/eventpoll (docs/debugfs.md;
// rows E-02, E-03, E-05, E-10, E-19). Process context: epmutex, then each mtx, then the lists' locks.

#include "fs/eventpoll_internal.h"
#include "fs/seq_file.h"
#include "lib/initcall.h"

namespace
{
unsigned long long ull(u64 n)
{
    return n;
}

unsigned length(list<epitem, &epitem::rdllink> &l)
{
    unsigned n = 0;
    for (epitem &epi : l) {
        (void)epi;
        n++;
    }
    return n;
}

/// Deepest leaf of a tree: nodes on the way.
unsigned tree_depth(const rb_node *n)
{
    return n ? 1 + max(tree_depth(n->left), tree_depth(n->right)) : 0;
}

void dump_waiters(seq_file *m, const char *list_name, wait_queue_head &q)
{
    for (wait_queue &w : q.task_list) {
        bool task = w.func == default_wake_function || w.func == autoremove_wake_function;
        seq_printf(m, "  %s=%p func=%pf flags=%#x pid=%d\n", list_name, static_cast<void *>(&w),
                   reinterpret_cast<void *>(w.func), w.flags,
                   task ? static_cast<task_struct *>(w.private_)->pid : 0);
    }
}

void dump_item(seq_file *m, eventpoll *ep, epitem *epi)
{
    spin_guard<irqsave> g{ep->lock};
    seq_printf(
        m, "  item=%p fd=%d file=%p name=%s events=%#x data=%#llx nwait=%d rdllist=%d ovflist=%d\n",
        static_cast<void *>(epi), epi->fd, static_cast<void *>(epi->file),
        epi->file->f_dentry ? epi->file->f_dentry->dname() : "-", u32{epi->event.events},
        static_cast<unsigned long long>(epi->event.data), epi->nwait, epi->rdllink.linked(),
        epi->ovf_next != EP_UNACTIVE_PTR);
}

void dump_eventpoll(seq_file *m, eventpoll *ep)
{
    mutex_guard g{ep->mtx};
    {
        spin_guard<irqsave> l{ep->lock};
        unsigned waiters = 0;
        for (wait_queue &w : ep->wq.task_list) {
            (void)w;
            waiters++;
        }
        epitem *first = ep->rbr.first();
        const rb_node *root = first ? &first->rbn : nullptr;
        while (root && root->parent)
            root = root->parent;
        seq_printf(m,
                   "ep=%p file=%p items=%u depth=%u rb_ok=%d ready=%u ovflist=%s waiters=%u "
                   "poll_waiters=%d callbacks=%llu wakeups=%llu sleeps=%llu returns=%llu "
                   "events=%llu visits=%llu empty_wakeups=%llu\n",
                   static_cast<void *>(ep), static_cast<void *>(ep->file), ep->nr_items,
                   tree_depth(root), ep->rbr.check() == static_cast<int>(ep->nr_items),
                   length(ep->rdllist), ep->ovflist == EP_UNACTIVE_PTR ? "inactive" : "active",
                   waiters, ep->poll_wait.active(), ull(ep->callbacks), ull(ep->wakeups),
                   ull(ep->sleeps), ull(ep->returns), ull(ep->events_sent), ull(ep->send_visits),
                   ull(ep->empty_wakeups));
        dump_waiters(m, "wq", ep->wq);
    }
    {
        spin_guard<irqsave> l{ep->poll_wait.lock};
        dump_waiters(m, "poll_wait", ep->poll_wait);
    }
    for (epitem *epi = ep->rbr.first(); epi; epi = ep->rbr.next(*epi))
        dump_item(m, ep, epi);
}

void eventpoll_show(seq_file *m)
{
    mutex_guard g{epmutex};
    for (eventpoll &ep : all_eventpolls)
        dump_eventpoll(m, &ep);
}

int eventpoll_debugfs()
{
    return debugfs_create("eventpoll", eventpoll_show);
}
late_initcall(eventpoll_debugfs);
} // namespace

void ep_show_fdinfo(seq_file *m, file *f)
{
    eventpoll *ep = ep_of(f);
    mutex_guard g{ep->mtx};
    for (epitem *epi = ep->rbr.first(); epi; epi = ep->rbr.next(*epi))
        seq_printf(m, "tfd: %8d events: %8x data: %16llx\n", epi->fd, u32{epi->event.events},
                   static_cast<unsigned long long>(epi->event.data));
}

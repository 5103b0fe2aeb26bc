// SPDX-License-Identifier: MIT
// epoll_wait: sleeping for and transferring ready events (Linux fs/eventpoll.c ep_poll, ep_scan_ready_list, ep_send_events; rows E-05,
// E-07, E-09, E-25…E-30, E-32). Process context. The ready list is stolen as a whole under ep->mtx; what becomes ready meanwhile goes to ovflist.

#include "fs/eventpoll_internal.h"
#include "trace/trace.h"

namespace
{
bool ep_events_available(eventpoll *ep)
{
    return !ep->rdllist.empty() || read_once(ep->ovflist) != EP_UNACTIVE_PTR;
}

/// The items of a running transfer.
using transfer_list = list<epitem, &epitem::rdllink>;

void begin_transfer(eventpoll *ep, transfer_list &tx)
{
    spin_guard<irqsave> g{ep->lock};
    tx.splice_back(ep->rdllist);
    ep->ovflist = nullptr;
}

/// What was not sent goes back to the front, what came meanwhile to the end, newest first (row E-28). Those who poll the epoll file are
/// told of arrivals only, by the callback: what is left is no news for them (since Linux 5.5; an edge-triggered epoll around this one
/// would be ready for ever).
void end_transfer(eventpoll *ep, transfer_list &tx)
{
    spin_guard<irqsave> g{ep->lock};
    for (epitem *epi = ep->ovflist, *next; epi; epi = next) {
        next = epi->ovf_next;
        epi->ovf_next = EP_UNACTIVE_PTR;
        ep_add_ready(ep, epi);
    }
    ep->ovflist = EP_UNACTIVE_PTR;
    tx.splice_back(ep->rdllist);
    ep->rdllist.splice_back(tx);
    if (!ep->rdllist.empty())
        (void)ep_wake_one(ep);
}

/// After an item was reported: disarm (ONESHOT), keep (level), or drop (edge). Says which, for the trace.
const char *after_report(eventpoll *ep, epitem *epi)
{
    if (epi->event.events & EPOLLONESHOT) {
        spin_guard<irqsave> g{ep->lock};
        epi->event.events &= EP_PRIVATE_BITS;
        return "oneshot";
    }
    if (epi->event.events & EPOLLET)
        return "edge";
    // Level: ready until a look finds it is not. A callback cannot have put it there: it goes to ovflist now.
    ep->rdllist.push_back(*epi);
    return "level";
}

/// Look at each item again, and store what is still so. Returns the number of events, or -EFAULT if not even one could be stored.
int ep_send_events(eventpoll *ep, user_ptr<epoll_event> events, int max)
{
    transfer_list tx;
    mutex_guard g{ep->mtx};
    begin_transfer(ep, tx);
    int n = 0;
    while (n < max) {
        epitem *epi = tx.pop_front();
        if (!epi)
            break;
        ep->send_visits++;
        u32 revents = ep_item_poll(epi, nullptr, 1);
        if (!revents)
            continue; // somebody else was quicker: a callback will bring it back
        epoll_event ev{revents, epi->event.data};
        if (!put_user(events + n, ev)) {
            tx.push_front(*epi);
            n = n ? n : -EFAULT;
            break;
        }
        n++;
        const char *requeue = after_report(ep, epi);
        trace(trace_event::ep_send_event, ep, epi->fd, revents, requeue);
    }
    end_transfer(ep, tx);
    ep->returns++;
    if (n > 0)
        ep->events_sent += static_cast<u64>(n);
    return n;
}

/// Sleep until something is ready. 0, or -EINTR; *timed_out: the time is over.
[[gnu::noinline]] int ep_sleep(eventpoll *ep, u64 expires, bool *timed_out)
{
    int r = 0;
    irq_flags flags = local_irq_save();
    ep->lock.lock();
    if (!ep_events_available(ep)) {
        wait_queue wait{default_wake_function, current()};
        wait.flags |= WQ_FLAG_EXCLUSIVE;
        ep->wq.task_list.push_front(wait); // newest first (row W-13)
        for (;;) {
            set_current_state(TASK_INTERRUPTIBLE);
            if (ep_events_available(ep) || *timed_out)
                break;
            if (signal_pending()) {
                r = -EINTR;
                break;
            }
            ep->sleeps++;
            ep->lock.unlock();
            local_irq_restore(flags);
            *timed_out = schedule_hrtimeout(expires) == 0;
            flags = local_irq_save();
            ep->lock.lock();
        }
        wait.task_list.unlink();
        current()->state.store(TASK_RUNNING, std::memory_order_relaxed);
    }
    ep->lock.unlock();
    local_irq_restore(flags);
    return r;
}

/// Until there is an event to report, the time is over, or a signal comes.
result<int> ep_poll(eventpoll *ep, user_ptr<epoll_event> events, int max, u64 expires)
{
    bool timed_out = expires == 0;
    for (bool first = true;; first = false) {
        u64 sleeps = read_once(ep->sleeps);
        if (expires)
            if (int err = ep_sleep(ep, expires, &timed_out))
                return error{static_cast<errno_t>(-err)};
        bool avail;
        {
            spin_guard<irqsave> g{ep->lock};
            avail = ep_events_available(ep);
        }
        trace(trace_event::ep_poll, ep, max, avail);
        int n = avail ? ep_send_events(ep, events, max) : 0;
        if (n < 0)
            return error{EFAULT};
        if (n || timed_out)
            return n;
        if (!first || sleeps != read_once(ep->sleeps))
            ep->empty_wakeups++; // woken for nothing (row E-11)
    }
}

/// Anything in the ready list that is ready indeed? What is not, leaves the list. ep->mtx held.
bool ep_any_ready(eventpoll *ep, unsigned depth)
{
    transfer_list tx;
    begin_transfer(ep, tx);
    bool ready = false;
    while (epitem *epi = tx.front()) {
        if (ep_item_poll(epi, nullptr, depth + 1)) {
            ready = true;
            break;
        }
        epi->rdllink.unlink();
    }
    end_transfer(ep, tx);
    return ready;
}
} // namespace

u32 ep_item_poll(epitem *epi, poll_table *pt, unsigned depth)
{
    u32 events = is_file_epoll(epi->file) ? ep_eventpoll_poll(epi->file, pt, depth)
                                          : epi->file->f_op->poll(epi->file, pt);
    return events & epi->event.events;
}

u32 ep_eventpoll_poll(file *f, poll_table *pt, unsigned depth) NO_THREAD_SAFETY_ANALYSIS
{
    eventpoll *ep = ep_of(f);
    poll_wait(f, &ep->poll_wait, pt);
    if (depth > EP_MAX_NESTS + 1)
        return 0;
    ep->mtx.lock_nested(depth);
    bool ready = ep_any_ready(ep, depth);
    ep->mtx.unlock();
    return ready ? POLLIN | POLLRDNORM : 0;
}

result<int> do_epoll_wait(int epfd, user_ptr<epoll_event> events, int max, u64 expires)
{
    file_ptr f = TRY(fget(epfd));
    if (!is_file_epoll(f.get()))
        return error{EINVAL};
    return ep_poll(ep_of(f.get()), events, max, expires);
}

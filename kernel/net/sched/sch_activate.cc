// SPDX-License-Identifier: MIT
// Giving devices their qdiscs when they come up and taking them away; the transmit watchdog. Linux:
// net/sched/sch_generic.c. Process context with rtnl; the watchdog runs in TIMER softirq.

#include "lib/printk.h"
#include "mm/slab.h"
#include "net/sched/sch_generic.h"
#include "sched/rcu.h"
#include "sched/sched.h"

namespace
{
/// The watchdog's timer with its device.
struct dev_watchdog_timer : timer_list {
    net_device *dev;
    explicit dev_watchdog_timer(net_device *d);
};

/// Oldest stopped queue of the device that has waited longer than watchdog_timeo, or null.
netdev_queue *hung_queue(net_device *dev)
{
    for (unsigned i = 0; i < dev->num_tx_queues; i++) {
        netdev_queue *txq = netdev_get_tx_queue(dev, i);
        if (netif_xmit_stopped(txq) &&
            time_after(jiffies(), txq->trans_start + dev->watchdog_timeo))
            return txq;
    }
    return nullptr;
}

/// [T] A queue that stays stopped too long means that the device lost an interrupt or hangs.
void dev_watchdog(timer_list *t)
{
    net_device *dev = static_cast<dev_watchdog_timer *>(t)->dev;
    if (!netif_running(dev) || !netif_carrier_ok(dev) || dev->tx[0].qdisc == &noop_qdisc)
        return;
    if (netdev_queue *txq = hung_queue(dev)) {
        txq->trans_timeout.fetch_add(1);
        pr_warn("%s: transmit queue %u timed out\n", dev->name,
                static_cast<unsigned>(txq - dev->tx));
        dev->netdev_ops->ndo_tx_timeout(dev);
    }
    mod_timer(t, jiffies() + dev->watchdog_timeo);
}

dev_watchdog_timer::dev_watchdog_timer(net_device *d) : timer_list{dev_watchdog}, dev{d} {}

/// A fresh qdisc for a queue, or noop when there is no memory (Linux says so and goes on).
Qdisc *qdisc_create_dflt(net_device *dev, netdev_queue *txq)
{
    bool queued = dev->tx_queue_len != 0;
    auto *q = knew<Qdisc>(GFP_KERNEL, queued ? &pfifo_fast_ops : &noqueue_qdisc_ops, txq,
                          queued ? TCQ_F_CAN_BYPASS : 0u);
    if (!q) {
        pr_warn("%s: no memory for a qdisc\n", dev->name);
        return &noop_qdisc;
    }
    q->limit = dev->tx_queue_len;
    return q;
}

void attach_default_qdiscs(net_device *dev)
{
    for (unsigned i = 0; i < dev->num_tx_queues; i++)
        if (dev->tx[i].qdisc_sleeping == &noop_qdisc)
            dev->tx[i].qdisc_sleeping = qdisc_create_dflt(dev, &dev->tx[i]);
    if (dev->qdisc && dev->qdisc != &noop_qdisc)
        return;
    dev->qdisc = dev->tx[0].qdisc_sleeping;
    if (dev->num_tx_queues > 1 && dev->tx_queue_len)
        if (auto *mq = knew<Qdisc>(GFP_KERNEL, &mq_qdisc_ops, dev->tx, TCQ_F_MQROOT))
            dev->qdisc = mq;
}

/// Whether a CPU still runs or is about to run the queue's old qdisc.
bool some_qdisc_is_busy(net_device *dev)
{
    for (unsigned i = 0; i < dev->num_tx_queues; i++) {
        Qdisc *q = dev->tx[i].qdisc_sleeping;
        spin_guard<bh> g{q->lock};
        if (q->running || (q->state.load() & QDISC_STATE_SCHED))
            return true;
    }
    return false;
}
} // namespace

void __netdev_watchdog_up(net_device *dev)
{
    if (dev->netdev_ops->ndo_tx_timeout && dev->watchdog_timer)
        mod_timer(dev->watchdog_timer, jiffies() + dev->watchdog_timeo);
}

void dev_activate(net_device *dev)
{
    attach_default_qdiscs(dev);
    if (!netif_carrier_ok(dev))
        return; // link_watch comes back
    bool need_watchdog = false;
    for (unsigned i = 0; i < dev->num_tx_queues; i++) {
        netdev_queue *txq = &dev->tx[i];
        Qdisc *q = txq->qdisc_sleeping;
        if (!(q->flags & TCQ_F_BUILTIN))
            q->state.fetch_and(~QDISC_STATE_DEACTIVATED);
        rcu_assign_pointer(txq->qdisc, q);
        if (q->ops->enqueue) {
            txq->trans_start = jiffies();
            need_watchdog = true;
        }
    }
    if (need_watchdog)
        __netdev_watchdog_up(dev);
}

void dev_deactivate(net_device *dev)
{
    for (unsigned i = 0; i < dev->num_tx_queues; i++) {
        netdev_queue *txq = &dev->tx[i];
        Qdisc *q = txq->qdisc;
        if (!q || (q->flags & TCQ_F_BUILTIN))
            continue;
        spin_guard<bh> g{q->lock};
        q->state.fetch_or(QDISC_STATE_DEACTIVATED);
        rcu_assign_pointer(txq->qdisc, &noop_qdisc);
        q->ops->reset(q);
    }
    if (dev->watchdog_timer)
        del_timer_sync(dev->watchdog_timer);
    synchronize_rcu();
    while (some_qdisc_is_busy(dev)) {
        set_current_state(TASK_UNINTERRUPTIBLE);
        schedule_timeout(1);
    }
    for (unsigned i = 0; i < dev->num_tx_queues; i++) {
        Qdisc *q = dev->tx[i].qdisc_sleeping;
        spin_guard<bh> g{q->lock};
        q->ops->reset(q);
    }
}

void dev_init_scheduler(net_device *dev)
{
    for (unsigned i = 0; i < dev->num_tx_queues; i++)
        dev->tx[i].qdisc = dev->tx[i].qdisc_sleeping = &noop_qdisc;
    dev->qdisc = &noop_qdisc;
    if (!dev->watchdog_timer)
        dev->watchdog_timer = knew<dev_watchdog_timer>(GFP_KERNEL, dev);
}

void dev_shutdown(net_device *dev)
{
    if (dev->qdisc && (dev->qdisc->flags & TCQ_F_MQROOT))
        kdelete(dev->qdisc);
    for (unsigned i = 0; i < dev->num_tx_queues; i++) {
        Qdisc *q = dev->tx[i].qdisc_sleeping;
        dev->tx[i].qdisc = dev->tx[i].qdisc_sleeping = &noop_qdisc;
        if (q && !(q->flags & TCQ_F_BUILTIN))
            kdelete(q);
    }
    dev->qdisc = &noop_qdisc;
    if (dev->watchdog_timer) {
        del_timer_sync(dev->watchdog_timer);
        kdelete(static_cast<dev_watchdog_timer *>(dev->watchdog_timer));
        dev->watchdog_timer = nullptr;
    }
}

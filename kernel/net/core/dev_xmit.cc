// SPDX-License-Identifier: MIT
// Transmission: queue choice, qdisc or direct path, handing to the driver, NET_TX softirq (atlas
// §11.7; rows T-06, T-07, L-05).
// Linux: net/core/dev.c. Process or softirq context, BHs off inside. Root lock and queue lock are
// never held together.

#include "irq/softirq.h"
#include "lib/printk.h"
#include "net/core/dev.h"
#include "net/ipv4/tcp_offload.h"
#include "net/sched/sch_generic.h"
#include "sched/rcu.h"
#include "trace/trace.h"

/// Most devices stacked below one another on this CPU before it must be a loop.
static constexpr int RECURSION_LIMIT = 10;
static constinit percpu<int> xmit_recursion;

/// Transmit queue of this CPU (Linux's XPS with its usual map, queue n for CPU n): no lock is
/// shared between CPUs, and completion comes back to the sender's CPU.
static netdev_queue *netdev_pick_tx(net_device *dev, sk_buff *skb)
{
    unsigned n = dev->real_num_tx_queues, i = 0;
    if (n > 1) {
        i = smp_processor_id();
        while (i >= n)
            i -= n;
    }
    skb->queue_mapping = static_cast<u16>(i);
    return &dev->tx[i];
}

void dev_queue_xmit_nit(sk_buff *skb, net_device *dev)
{
    for (packet_type *pt = rcu_dereference(ptype_all); pt; pt = rcu_dereference(pt->next)) {
        if (pt->dev && pt->dev != dev)
            continue;
        sk_buff *c = skb_clone(skb, GFP_ATOMIC);
        if (!c)
            return;
        net_timestamp(c);
        skb_reset_mac_header(c);
        if (c->network_header < c->mac_header)
            c->network_header = c->mac_header;
        c->transport_header = c->network_header;
        c->pkt_type = PACKET_OUTGOING;
        pt->func(c, dev, pt, dev);
    }
}

/// Make the packet something that the device can send. False: freed.
static bool validate_xmit_skb(sk_buff *skb, net_device *dev)
{
    if (unlikely(skb_is_gso(skb)))
        return true; // was queued before ethtool forbade it; the device still can
    if (unlikely(skb_is_nonlinear(skb)) &&
        (!(dev->features & NETIF_F_SG) || skb_shinfo(skb)->frag_list) && skb_linearize(skb)) {
        kfree_skb_reason(skb, "nomem");
        return false;
    }
    if (skb->ip_summed == CHECKSUM_PARTIAL &&
        !(dev->features & (NETIF_F_HW_CSUM | NETIF_F_IP_CSUM)) && skb_checksum_help(skb)) {
        kfree_skb_reason(skb, "nomem");
        return false;
    }
    return true;
}

int dev_hard_start_xmit(sk_buff *skb, net_device *dev)
{
    // A local route stays with the packet on lo: reception then needs no lookup.
    if (skb->dst && !(dev->flags & IFF_LOOPBACK))
        skb_dst_drop(skb);
    if (unlikely(ptype_all))
        dev_queue_xmit_nit(skb, dev);
    if (!validate_xmit_skb(skb, dev))
        return NETDEV_TX_OK;
    u32 id = skb->trace_id, len = skb->len; // the driver may free it at once
    int rc = dev->netdev_ops->ndo_start_xmit(skb, dev);
    trace(trace_event::net_dev_xmit, id, dev->name, rc, len);
    return rc;
}

/// Through a qdisc: at once when it is empty and idle, else queue and run it. BH off.
static int __dev_xmit_skb(sk_buff *skb, Qdisc *q, net_device *dev, netdev_queue *txq)
{
    spin_guard<plain> g{q->lock};
    if (unlikely(q->state.load(std::memory_order_relaxed) & QDISC_STATE_DEACTIVATED)) {
        kfree_skb_reason(skb, "dev_ready");
        return NET_XMIT_DROP;
    }
    if ((q->flags & TCQ_F_CAN_BYPASS) && !q->qlen && qdisc_run_begin(q)) {
        q->bytes += skb->len;
        q->packets++;
        if (sch_direct_xmit(skb, q, dev, txq))
            __qdisc_run(q);
        else
            qdisc_run_end(q);
        return NET_XMIT_SUCCESS;
    }
    u32 id = skb->trace_id;
    int rc = q->ops->enqueue(skb, q);
    trace(trace_event::qdisc_enqueue, id, dev->name, static_cast<u32>(txq - dev->tx), q->qlen);
    if (qdisc_run_begin(q))
        __qdisc_run(q);
    return rc;
}

/// Devices without a queue (lo, tunnels). BH off.
static int xmit_noqueue(sk_buff *skb, net_device *dev, netdev_queue *txq)
{
    if (!(dev->flags & IFF_UP)) {
        kfree_skb_reason(skb, "dev_ready");
        return -ENETDOWN;
    }
    unsigned cpu = smp_processor_id();
    bool lock = !(dev->features & NETIF_F_LLTX);
    int &depth = xmit_recursion.on(cpu);
    if (unlikely(txq->xmit_lock_owner == static_cast<s32>(cpu) || depth > RECURSION_LIMIT)) {
        if (printk_ratelimit())
            pr_err("Dead loop on virtual device %s, fix it urgently!\n", dev->name);
        kfree_skb_reason(skb, "dev_ready");
        return -ENETDOWN;
    }
    depth++;
    if (lock)
        __netif_tx_lock(txq, cpu);
    int rc = -ENETDOWN;
    if (!netif_xmit_stopped(txq))
        rc = dev_hard_start_xmit(skb, dev);
    else
        kfree_skb_reason(skb, "full_ring");
    if (lock)
        __netif_tx_unlock(txq);
    depth--;
    if (rc == NETDEV_TX_BUSY) { // no queue to put it back to
        kfree_skb_reason(skb, "full_ring");
        return -ENETDOWN;
    }
    return rc;
}

/// A packet of many segments for a device that takes only one: cut here, before the queue, so that the queue counts and drops what
/// goes out (Linux 3.10 cuts behind it, in dev_hard_start_xmit).
[[gnu::noinline]] static int xmit_segments(sk_buff *skb)
{
    int rc = 0;
    for (sk_buff *seg = tcp4_gso_segment(skb); seg;) {
        sk_buff *next = seg->next;
        seg->next = nullptr;
        rc = dev_queue_xmit(seg);
        seg = next;
    }
    return rc;
}

int dev_queue_xmit(sk_buff *skb)
{
    net_device *dev = skb->dev;
    if (unlikely(skb_is_gso(skb)) &&
        (!(dev->features & NETIF_F_TSO) || skb_shinfo(skb)->gso_type & SKB_GSO_TCP_ECN))
        return xmit_segments(skb);
    skb_reset_mac_header(skb);
    local_bh_disable(); // rcu_read_lock_bh
    netdev_queue *txq = netdev_pick_tx(dev, skb);
    Qdisc *q = rcu_dereference(txq->qdisc);
    trace(trace_event::net_dev_queue, skb->trace_id, dev->name, skb->len);
    int rc = q->ops->enqueue ? __dev_xmit_skb(skb, q, dev, txq) : xmit_noqueue(skb, dev, txq);
    local_bh_enable();
    return rc;
}

// --- NET_TX --------------------------------------------------------------------------------------

void __netif_schedule(Qdisc *q)
{
    if (q->state.fetch_or(QDISC_STATE_SCHED) & QDISC_STATE_SCHED)
        return;
    irq_guard off;
    softnet_data &sd = this_softnet();
    q->next_sched = nullptr;
    *sd.output_queue_tailp = q;
    sd.output_queue_tailp = &q->next_sched;
    raise_softirq_irqoff(NET_TX_SOFTIRQ);
}

void dev_kfree_skb_irq(sk_buff *skb)
{
    if (skb->users.read() != 1 && !skb->users.put())
        return;
    irq_guard off;
    softnet_data &sd = this_softnet();
    skb->next = sd.completion_queue;
    sd.completion_queue = skb;
    raise_softirq_irqoff(NET_TX_SOFTIRQ);
}

void dev_kfree_skb_any(sk_buff *skb)
{
    if (in_irq() || irqs_disabled())
        dev_kfree_skb_irq(skb);
    else
        consume_skb(skb);
}

/// Packets that drivers finished with in hard IRQ context.
static void free_completed(softnet_data &sd)
{
    local_irq_disable();
    sk_buff *skb = sd.completion_queue;
    sd.completion_queue = nullptr;
    local_irq_enable();
    while (skb) {
        sk_buff *next = skb->next;
        skb->next = nullptr;
        consume_skb(skb);
        skb = next;
    }
}

void net_tx_action()
{
    softnet_data &sd = this_softnet();
    trace(trace_event::net_tx_action, smp_processor_id());
    if (read_once(sd.completion_queue))
        free_completed(sd);
    if (!read_once(sd.output_queue))
        return;
    local_irq_disable();
    Qdisc *q = sd.output_queue;
    sd.output_queue = nullptr;
    sd.output_queue_tailp = &sd.output_queue;
    local_irq_enable();
    while (q) {
        Qdisc *next = q->next_sched;
        if (q->lock.try_lock()) {
            q->state.fetch_and(~QDISC_STATE_SCHED);
            if (qdisc_run_begin(q))
                __qdisc_run(q);
            q->lock.unlock();
        } else if (!(q->state.load() & QDISC_STATE_DEACTIVATED)) {
            q->state.fetch_and(~QDISC_STATE_SCHED);
            __netif_schedule(q);
        } else {
            q->state.fetch_and(~QDISC_STATE_SCHED);
        }
        q = next;
    }
}

void netif_tx_stop_queue(netdev_queue *q)
{
    // The watchdog counts from here; Linux stamps every packet, which only matters for the last one
    // before a stop.
    q->trans_start = jiffies();
    q->state.fetch_or(QUEUE_STATE_DRV_XOFF);
}

void netif_tx_start_queue(netdev_queue *q)
{
    q->state.fetch_and(~QUEUE_STATE_DRV_XOFF);
}

void netif_tx_wake_queue(netdev_queue *q)
{
    if (q->state.fetch_and(~QUEUE_STATE_DRV_XOFF) & QUEUE_STATE_DRV_XOFF)
        if (Qdisc *d = rcu_dereference(q->qdisc); d && d->ops->enqueue)
            __netif_schedule(d);
}

void netif_tx_start_all_queues(net_device *dev)
{
    for (unsigned i = 0; i < dev->num_tx_queues; i++)
        netif_tx_start_queue(&dev->tx[i]);
}

void netif_tx_stop_all_queues(net_device *dev)
{
    for (unsigned i = 0; i < dev->num_tx_queues; i++)
        netif_tx_stop_queue(&dev->tx[i]);
}

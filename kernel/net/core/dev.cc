// SPDX-License-Identifier: MIT
// Reception above the drivers: taps, protocol demultiplexing by EtherType, the backlog pseudo
// device (atlas §5, §6).
// Linux: net/core/dev.c. Softirq; netif_rx any context. Packet types are an RCU list changed under
// ptype_lock.

#include "net/core/dev.h"
#include "irq/softirq.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "net/ipv4/tcp_offload.h"
#include "sched/rcu.h"
#include "time/time.h"
#include "trace/trace.h"

constinit static_object<percpu<softnet_data>> softnet_storage;
int netdev_budget = 300, weight_p = 64, netdev_max_backlog = 1000;

packet_type *ptype_all;
packet_type *ptype_base[PTYPE_HASH_SIZE];
static constinit spinlock ptype_lock{"ptype_lock"};
static std::atomic<int> netstamp_needed{0};

static packet_type **ptype_head(const packet_type *pt)
{
    return pt->type == htons(ETH_P_ALL) ? &ptype_all : &ptype_base[ptype_bucket(pt->type)];
}

void dev_add_pack(packet_type *pt)
{
    spin_guard<bh> g{ptype_lock};
    packet_type **head = ptype_head(pt);
    pt->next = *head;
    rcu_assign_pointer(*head, pt);
}

/// Nobody uses pt any more when this returns. [P]
void dev_remove_pack(packet_type *pt)
{
    {
        spin_guard<bh> g{ptype_lock};
        packet_type **pp = ptype_head(pt);
        while (*pp && *pp != pt)
            pp = &(*pp)->next;
        if (!*pp)
            return;
        rcu_assign_pointer(*pp, pt->next);
    }
    synchronize_rcu();
}

void net_enable_timestamp()
{
    netstamp_needed.fetch_add(1);
}
void net_disable_timestamp()
{
    netstamp_needed.fetch_sub(1);
}

void net_timestamp(sk_buff *skb)
{
    if (unlikely(netstamp_needed.load(std::memory_order_relaxed)) && !skb->tstamp)
        skb->tstamp = ktime_get_real();
}

/// A handler gets its own reference; the packet may not be written by more than one
/// (skb_share_check in the handlers).
static void deliver_skb(sk_buff *skb, packet_type *pt, net_device *orig_dev)
{
    pt->func(skb_get(skb), skb->dev, pt, orig_dev);
}

static void deliver_taps(sk_buff *skb, net_device *orig_dev)
{
    for (packet_type *pt = rcu_dereference(ptype_all); pt; pt = rcu_dereference(pt->next))
        if (!pt->dev || pt->dev == skb->dev)
            deliver_skb(skb, pt, orig_dev);
}

/// To every handler of the type but the last, who gets the packet itself; null when nobody wants
/// it.
static packet_type *deliver_protocols(sk_buff *skb, net_device *orig_dev)
{
    packet_type *last = nullptr;
    packet_type *pt = rcu_dereference(ptype_base[ptype_bucket(skb->protocol)]);
    for (; pt; pt = rcu_dereference(pt->next)) {
        if (pt->type != skb->protocol || (pt->dev && pt->dev != skb->dev))
            continue;
        if (last)
            deliver_skb(skb, last, orig_dev);
        last = pt;
    }
    return last;
}

int __netif_receive_skb(sk_buff *skb)
{
    net_device *orig_dev = skb->dev;
    net_timestamp(skb);
    trace(trace_event::netif_receive_skb, skb->trace_id, orig_dev->name, skb->protocol.host(),
          skb->len);
    skb_reset_network_header(skb);
    skb_reset_transport_header(skb);
    skb->mac_len = static_cast<u16>(skb->network_header - skb->mac_header);
    this_softnet().processed++;
    rcu_read_lock();
    if (unlikely(ptype_all))
        deliver_taps(skb, orig_dev);
    int ret = NET_RX_DROP;
    if (packet_type *pt = deliver_protocols(skb, orig_dev)) {
        ret = pt->func(skb, skb->dev, pt, orig_dev);
    } else {
        orig_dev->rx_dropped.fetch_add(1, std::memory_order_relaxed);
        kfree_skb_reason(skb, "unhandled_proto");
    }
    rcu_read_unlock();
    return ret;
}

int netif_receive_skb(sk_buff *skb)
{
    return __netif_receive_skb(skb);
}

// TCP's merging of segments (dev_gro_receive) belongs here; datagrams always pass through as they
// came.
int napi_gro_receive(napi_struct *n, sk_buff *skb)
{
    if ((skb->dev->features & NETIF_F_GRO) && tcp4_gro_receive(n, skb))
        return NET_RX_SUCCESS;
    return __netif_receive_skb(skb);
}

// --- The backlog device
// ---------------------------------------------------------------------------------------

/// Queue on this CPU's backlog; takes over the skb. Any context.
static int enqueue_to_backlog(sk_buff *skb)
{
    {
        irq_guard off;
        softnet_data &sd = this_softnet();
        spin_guard<plain> g{sd.input_pkt_queue.lock};
        if (likely(sd.input_pkt_queue.qlen <= static_cast<u32>(netdev_max_backlog))) {
            bool was_empty = sd.input_pkt_queue.empty();
            __skb_queue_tail(&sd.input_pkt_queue, skb);
            if (was_empty && !(sd.backlog.state.fetch_or(NAPI_STATE_SCHED) & NAPI_STATE_SCHED))
                ____napi_schedule(sd, &sd.backlog);
            return NET_RX_SUCCESS;
        }
        sd.dropped++;
    }
    skb->dev->rx_dropped.fetch_add(1, std::memory_order_relaxed);
    kfree_skb_reason(skb, "cpu_backlog");
    return NET_RX_DROP;
}

int netif_rx(sk_buff *skb)
{
    net_timestamp(skb);
    trace(trace_event::netif_rx, skb->trace_id, skb->dev->name, skb->len);
    return enqueue_to_backlog(skb);
}

int netif_rx_ni(sk_buff *skb)
{
    local_bh_disable();
    int ret = netif_rx(skb);
    local_bh_enable(); // runs what was raised
    return ret;
}

int process_backlog(napi_struct *n, int quota)
{
    softnet_data &sd = this_softnet();
    int work = 0;
    n->weight = weight_p;
    local_irq_disable();
    while (work < quota) {
        while (sk_buff *skb = __skb_dequeue(&sd.process_queue)) {
            local_irq_enable();
            __netif_receive_skb(skb);
            local_irq_disable();
            if (++work >= quota) {
                local_irq_enable();
                return work;
            }
        }
        spin_guard<plain> g{sd.input_pkt_queue.lock};
        u32 qlen = sd.input_pkt_queue.qlen;
        __skb_queue_splice_tail_init(&sd.input_pkt_queue, &sd.process_queue);
        if (qlen < static_cast<u32>(quota - work)) {
            // All that is left fits: leave the list now, so that a later netif_rx schedules again.
            list<napi_struct, &napi_struct::poll_list>::erase(*n);
            n->state.store(0, std::memory_order_relaxed);
            quota = work + static_cast<int>(qlen);
        }
    }
    local_irq_enable();
    return work;
}

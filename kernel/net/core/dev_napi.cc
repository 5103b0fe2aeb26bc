// SPDX-License-Identifier: MIT
// NAPI: scheduling polls, the NET_RX softirq, boot of the device layer (atlas §2, §5; rows B-06,
// B-07, R-05…R-16).
// Linux: net/core/dev.c. poll_list: own CPU only, IRQs off. Whoever sets NAPI_STATE_SCHED owns the
// napi_struct.

#include "irq/softirq.h"
#include "lib/initcall.h"
#include "lib/printk.h"
#include "net/core/dev.h"
#include "net/ipv4/tcp_offload.h"
#include "sched/sched.h"
#include "trace/trace.h"

void ____napi_schedule(softnet_data &sd, napi_struct *n)
{
    trace(trace_event::napi_schedule, n, reinterpret_cast<void *>(n->poll));
    sd.poll_list.push_back(*n);
    __raise_softirq_irqoff(NET_RX_SOFTIRQ);
}

bool napi_schedule_prep(napi_struct *n)
{
    u32 s = n->state.load(std::memory_order_relaxed);
    return !(s & NAPI_STATE_DISABLE) && !(n->state.fetch_or(NAPI_STATE_SCHED) & NAPI_STATE_SCHED);
}

void __napi_schedule(napi_struct *n)
{
    irq_guard off;
    ____napi_schedule(this_softnet(), n);
}

void napi_schedule(napi_struct *n)
{
    if (napi_schedule_prep(n))
        __napi_schedule(n);
}

void napi_complete(napi_struct *n)
{
    if (n->gro_list)
        napi_gro_flush(n);
    consume_skb(n->skb);
    n->skb = nullptr;
    irq_guard off;
    trace(trace_event::napi_complete, n, reinterpret_cast<void *>(n->poll));
    list<napi_struct, &napi_struct::poll_list>::erase(*n);
    n->state.fetch_and(~NAPI_STATE_SCHED, std::memory_order_release);
}

void netif_napi_add(net_device *dev, napi_struct *n, int (*poll)(napi_struct *, int),
                    const char *name, int weight)
{
    n->poll = poll;
    n->poll_name = name;
    n->weight = weight;
    n->dev = dev;
    n->state.store(NAPI_STATE_SCHED); // off until napi_enable
    napi_struct **pp = &dev->napi_list;
    while (*pp)
        pp = &(*pp)->dev_next;
    n->dev_next = nullptr;
    *pp = n;
}

void netif_napi_del(napi_struct *n)
{
    if (!n->dev)
        return;
    consume_skb(n->skb);
    n->skb = nullptr;
    for (napi_struct **pp = &n->dev->napi_list; *pp; pp = &(*pp)->dev_next) {
        if (*pp == n) {
            *pp = n->dev_next;
            break;
        }
    }
    n->dev = nullptr;
}

void napi_enable(napi_struct *n)
{
    BUG_ON(!(n->state.load() & NAPI_STATE_SCHED));
    n->state.fetch_and(~NAPI_STATE_SCHED, std::memory_order_release);
}

void napi_disable(napi_struct *n)
{
    n->state.fetch_or(NAPI_STATE_DISABLE);
    while (n->state.fetch_or(NAPI_STATE_SCHED, std::memory_order_acquire) & NAPI_STATE_SCHED) {
        set_current_state(TASK_UNINTERRUPTIBLE);
        schedule_timeout(1);
    }
    n->state.fetch_and(~NAPI_STATE_DISABLE);
}

/// Poll the first entry of the list, charge its work; a full poll goes to the tail (round robin).
/// IRQs off on entry and exit.
static int poll_one(softnet_data &sd)
{
    napi_struct *n = sd.poll_list.front();
    int weight = n->weight, work = 0;
    local_irq_enable();
    // Not scheduled: it was completed between by someone else's list walk; only its owner may poll.
    if (likely(n->state.load(std::memory_order_relaxed) & NAPI_STATE_SCHED)) {
        work = n->poll(n, weight);
        trace(trace_event::napi_poll, n, reinterpret_cast<void *>(n->poll),
              n->dev ? n->dev->name : "-", work, weight);
        if (unlikely(work >= weight) && n->gro_list)
            napi_gro_flush(n);
    }
    local_irq_disable();
    if (unlikely(work >= weight)) {
        // A poll that used its whole weight still owns the entry and has not touched the list.
        if (n->state.load(std::memory_order_relaxed) & NAPI_STATE_DISABLE) {
            list<napi_struct, &napi_struct::poll_list>::erase(*n);
            n->state.fetch_and(~NAPI_STATE_SCHED, std::memory_order_release);
        } else {
            list<napi_struct, &napi_struct::poll_list>::erase(*n);
            sd.poll_list.push_back(*n);
        }
    }
    return work;
}

void net_rx_action()
{
    softnet_data &sd = this_softnet();
    int budget = netdev_budget;
    u64 limit = 0;
    local_irq_disable();
    while (!sd.poll_list.empty()) {
        if (!limit) {
            limit = jiffies() + 2;
        } else if (budget <= 0 || time_after_eq(jiffies(), limit)) {
            sd.time_squeeze++;
            trace(trace_event::net_rx_time_squeeze, smp_processor_id());
            __raise_softirq_irqoff(NET_RX_SOFTIRQ);
            break;
        }
        budget -= poll_one(sd);
    }
    local_irq_enable();
}

static int net_dev_init()
{
    skb_init();
    softnet_storage.init();
    for (unsigned i = 0; i < NR_CPUS; i++) {
        softnet_data &sd = softnet_data_percpu.on(i);
        sd.backlog.poll = process_backlog;
        sd.backlog.poll_name = "process_backlog";
        sd.backlog.weight = weight_p;
        sd.backlog.state.store(0);
    }
    open_softirq(NET_TX_SOFTIRQ, net_tx_action, "net_tx_action");
    open_softirq(NET_RX_SOFTIRQ, net_rx_action, "net_rx_action");
    linkwatch_init();
    dev_proc_init();
    net_sysctl_init();
    dev_debugfs_init();
    return 0;
}
subsys_initcall(net_dev_init);

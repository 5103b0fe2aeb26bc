// SPDX-License-Identifier: MIT
// Running queueing disciplines: dequeue, direct transmission, requeue, quota (atlas §11.7). Linux:
// net/sched/sch_generic.c. Softirq or process context with BHs off. See sch_generic.h for the
// locks.

#include "net/sched/sch_generic.h"
#include "irq/softirq.h"
#include "lib/printk.h"
#include "sched/sched.h"
#include "trace/trace.h"

static unsigned queue_index(const netdev_queue *txq)
{
    return static_cast<unsigned>(txq - txq->dev->tx);
}

/// The device refused: keep the packet in front of the queue and try again from NET_TX. Root lock.
static bool dev_requeue_skb(sk_buff *skb, Qdisc *q)
{
    q->gso_skb = skb;
    q->requeues++;
    q->qlen++;
    q->backlog += skb->len;
    trace(trace_event::qdisc_requeue, skb->trace_id, skb->dev->name, queue_index(q->dev_queue));
    __netif_schedule(q);
    return false;
}

/// Next packet; null when empty, or when the one put back cannot go because the driver has stopped
/// the queue. Root lock.
static sk_buff *dequeue_skb(Qdisc *q)
{
    sk_buff *skb = q->gso_skb;
    if (unlikely(skb)) {
        if (netif_xmit_stopped(q->dev_queue))
            return nullptr;
        q->gso_skb = nullptr;
        q->qlen--;
        q->backlog -= skb->len;
        return skb;
    }
    if (q->dev_queue &&
        netif_xmit_stopped(q->dev_queue)) // noop_qdisc, which all share, has no queue
        return nullptr;
    return q->ops->dequeue(q);
}

bool sch_direct_xmit(sk_buff *skb, Qdisc *q, net_device *dev, netdev_queue *txq)
{
    int rc = NETDEV_TX_BUSY;
    q->lock.unlock();
    __netif_tx_lock(txq, smp_processor_id());
    if (likely(!(txq->state.load(std::memory_order_relaxed) &
                 (QUEUE_STATE_DRV_XOFF | QUEUE_STATE_STACK_XOFF | QUEUE_STATE_FROZEN))))
        rc = dev_hard_start_xmit(skb, dev);
    __netif_tx_unlock(txq);
    q->lock.lock();
    if (unlikely(rc == NETDEV_TX_BUSY))
        return dev_requeue_skb(skb, q);
    return q->qlen && !netif_xmit_stopped(txq);
}

void __qdisc_run(Qdisc *q)
{
    int quota = weight_p;
    for (;;) {
        sk_buff *skb = dequeue_skb(q);
        if (!skb || !sch_direct_xmit(skb, q, skb->dev, q->dev_queue))
            break;
        if (--quota <= 0 || need_resched()) {
            __netif_schedule(q);
            break;
        }
    }
    qdisc_run_end(q);
}

// --- noop: an inactive device --------------------------------------------------------------------

static int noop_enqueue(sk_buff *skb, Qdisc *)
{
    kfree_skb_reason(skb, "dev_ready");
    return NET_XMIT_CN;
}
static sk_buff *noop_dequeue(Qdisc *)
{
    return nullptr;
}
static void noop_reset(Qdisc *) {}

const Qdisc_ops noop_qdisc_ops{"noop", noop_enqueue, noop_dequeue, noop_dequeue, noop_reset};
const Qdisc_ops noqueue_qdisc_ops{"noqueue", nullptr, noop_dequeue, noop_dequeue, noop_reset};
const Qdisc_ops mq_qdisc_ops{"mq", nullptr, noop_dequeue, noop_dequeue, noop_reset};

constinit Qdisc noop_qdisc{&noop_qdisc_ops, nullptr, TCQ_F_BUILTIN};

// --- pfifo_fast: three bands, band 0 first -------------------------------------------------------

/// Band of each priority (Linux's prio2band, from the meanings of TOS in RFC 1349).
static constexpr u8 prio2band[16] = {1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1};

static int pfifo_fast_enqueue(sk_buff *skb, Qdisc *q)
{
    if (unlikely(q->qlen >= q->limit)) {
        q->drops++;
        kfree_skb_reason(skb, "qdisc_drop");
        return NET_XMIT_DROP;
    }
    __skb_queue_tail(&q->band[prio2band[skb->priority & 15]], skb);
    q->qlen++;
    q->backlog += skb->len;
    return NET_XMIT_SUCCESS;
}

static sk_buff *pfifo_fast_dequeue(Qdisc *q)
{
    for (sk_buff_head &b : q->band) {
        if (sk_buff *skb = __skb_dequeue(&b)) {
            q->qlen--;
            q->backlog -= skb->len;
            q->bytes += skb->len;
            q->packets++;
            return skb;
        }
    }
    return nullptr;
}

static sk_buff *pfifo_fast_peek(Qdisc *q)
{
    for (sk_buff_head &b : q->band)
        if (sk_buff *skb = skb_peek(&b))
            return skb;
    return nullptr;
}

static void pfifo_fast_reset(Qdisc *q)
{
    for (sk_buff_head &b : q->band)
        while (sk_buff *skb = __skb_dequeue(&b))
            kfree_skb_reason(skb, "qdisc_drop");
    if (q->gso_skb)
        kfree_skb_reason(q->gso_skb, "qdisc_drop");
    q->gso_skb = nullptr;
    q->qlen = 0;
    q->backlog = 0;
}

const Qdisc_ops pfifo_fast_ops{"pfifo_fast", pfifo_fast_enqueue, pfifo_fast_dequeue,
                               pfifo_fast_peek, pfifo_fast_reset};

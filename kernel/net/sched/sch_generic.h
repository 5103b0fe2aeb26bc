// SPDX-License-Identifier: MIT
// Queueing disciplines: what stands between dev_queue_xmit() and a driver's transmit queue (rows
// T-06, T-07, L-05).
// Linux: include/net/sch_generic.h, net/sched/sch_generic.c. The root lock (Qdisc::lock, BH off)
// protects a qdisc's queue; only the CPU that set `running` dequeues. Root lock and
// netdev_queue._xmit_lock are never held together.
#pragma once

#include "net/core/netdevice.h"

struct Qdisc;

/// What a discipline implements. All under the root lock.
struct Qdisc_ops {
    const char *id;
    /// Takes over the skb: NET_XMIT_SUCCESS, or NET_XMIT_DROP after freeing it. Null: no queue at
    /// all.
    int (*enqueue)(sk_buff *skb, Qdisc *q);
    sk_buff *(*dequeue)(Qdisc *q);
    sk_buff *(*peek)(Qdisc *q);
    /// Free everything queued.
    void (*reset)(Qdisc *q);
};

constexpr u32 TCQ_F_BUILTIN = 1, TCQ_F_CAN_BYPASS = 4, TCQ_F_MQROOT = 8;
constexpr u32 QDISC_STATE_SCHED = 1, QDISC_STATE_DEACTIVATED = 2;
constexpr unsigned PFIFO_FAST_BANDS = 3;

struct Qdisc : pinned {
    const Qdisc_ops *ops;
    netdev_queue *dev_queue;
    u32 flags;
    u32 limit = 0;             // packets, from tx_queue_len
    std::atomic<u32> state{0}; // QDISC_STATE_*
    bool running = false;      // root lock
    spinlock lock{"Qdisc.lock"};
    u32 qlen = 0;               // packets in all bands and in gso_skb
    sk_buff *gso_skb = nullptr; // packet that the driver could not take
    u64 bytes = 0, packets = 0; // sent
    u64 backlog = 0;            // bytes queued
    u32 drops = 0, requeues = 0, overlimits = 0;
    Qdisc *next_sched = nullptr; // softnet_data.output_queue
    sk_buff_head band[PFIFO_FAST_BANDS];
    constexpr Qdisc(const Qdisc_ops *o, netdev_queue *q, u32 f) : ops{o}, dev_queue{q}, flags{f} {}
};

extern const Qdisc_ops pfifo_fast_ops, noqueue_qdisc_ops, mq_qdisc_ops, noop_qdisc_ops;
/// Drops everything: the qdisc of a device that is not active.
extern Qdisc noop_qdisc;

/// Become the CPU that runs q; false when another one is. Root lock.
inline bool qdisc_run_begin(Qdisc *q)
{
    if (q->running)
        return false;
    q->running = true;
    return true;
}
inline void qdisc_run_end(Qdisc *q)
{
    q->running = false;
}

/// Send until the queue is empty, the device busy, or the quota (weight_p packets) or the CPU's
/// patience is used up; then NET_TX goes on. Caller has qdisc_run_begin(); root lock held.
void __qdisc_run(Qdisc *q);
/// Send one packet: drops the root lock meanwhile. True when there may be more. Root lock held.
bool sch_direct_xmit(sk_buff *skb, Qdisc *q, net_device *dev, netdev_queue *txq);
/// Run q in NET_TX softirq on this CPU. Any context.
void __netif_schedule(Qdisc *q);

/// Give an IFF_UP device with carrier its real qdiscs and start its watchdog. [P] rtnl
void dev_activate(net_device *dev);
/// Back to noop_qdisc; waits until nobody runs the old ones. [P] rtnl
void dev_deactivate(net_device *dev);
/// Queues start on noop_qdisc (registration) / free the qdiscs (unregistration). [P]
void dev_init_scheduler(net_device *dev);
void dev_shutdown(net_device *dev);
/// (Re)arm the transmit watchdog of a device with carrier.
void __netdev_watchdog_up(net_device *dev);

/// Hand one packet to the driver: taps, software checksum, ndo_start_xmit. Queue lock held unless
/// LLTX. NETDEV_TX_*, or -errno when it was freed. net/core/dev_xmit.cc
int dev_hard_start_xmit(sk_buff *skb, net_device *dev);

inline void __netif_tx_lock(netdev_queue *txq, unsigned cpu) ACQUIRE(txq->_xmit_lock)
{
    txq->_xmit_lock.lock();
    txq->xmit_lock_owner = static_cast<s32>(cpu);
}
inline void __netif_tx_unlock(netdev_queue *txq) RELEASE(txq->_xmit_lock)
{
    txq->xmit_lock_owner = -1;
    txq->_xmit_lock.unlock();
}

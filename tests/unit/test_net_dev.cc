// SPDX-License-Identifier: MIT
// sk_buff operations, the backlog's limit, qdiscs: bypass, quota, requeue, drop (rows R-20, T-06,
// T-07, L-05, L-08).
#include "irq/softirq.h"
#include "net/sched/sch_generic.h"
#include "net_util.h"

// --- sk_buff -------------------------------------------------------------------------------------

/// Bytes 0…n-1 in a linear part, a page fragment and a fragment list.
static sk_buff *three_parts()
{
    sk_buff *skb = alloc_skb(200, GFP_KERNEL), *part = alloc_skb(100, GFP_KERNEL);
    page *pg = alloc_pages(GFP_KERNEL, 0);
    HOST_EXPECT(skb && part && pg);
    skb_reserve(skb, 64);
    u8 v = 0;
    for (u8 *p = skb_put(skb, 51), *e = p + 51; p < e;)
        *p++ = v++;
    auto *d = static_cast<u8 *>(page_address(pg)) + 7;
    for (unsigned i = 0; i < 60; i++)
        d[i] = v++;
    skb_add_rx_frag(skb, pg, 7, 60, PAGE_SIZE);
    for (u8 *p = skb_put(part, 33), *e = p + 33; p < e;)
        *p++ = v++;
    skb_shinfo(skb)->frag_list = part;
    skb->len += 33;
    skb->data_len += 33;
    return skb;
}

static bool holds(const sk_buff *skb, u32 n)
{
    u8 b[256];
    if (skb->len != n || skb_copy_bits(skb, 0, b, n))
        return false;
    for (unsigned i = 0; i < n; i++)
        if (b[i] != i)
            return false;
    return true;
}

static void parts_are_one_packet(void *)
{
    u8 all[144], b[144];
    for (unsigned i = 0; i < 144; i++)
        all[i] = static_cast<u8>(i);
    sk_buff *skb = three_parts();
    HOST_EXPECT(holds(skb, 144));
    for (u32 off = 0; off <= 144; off += 3)
        for (u32 n = 0; n <= 144 - off; n += 5) {
            HOST_EXPECT(!skb_copy_bits(skb, off, b, n) && !memcmp(b, all + off, n));
            HOST_EXPECT(csum_fold(skb_checksum(skb, off, n, 0)) ==
                        csum_fold(csum_partial(all + off, n, 0)));
        }
    HOST_EXPECT(skb_copy_bits(skb, 140, b, 5) && skb_copy_bits(skb, 145, b, 0));
    HOST_EXPECT(!pskb_may_pull(skb, 145) && pskb_may_pull(skb, 100) && holds(skb, 144));
    kfree_skb(skb);
    for (u32 cut : {143u, 111u, 110u, 60u, 51u, 20u, 0u}) {
        skb = three_parts();
        HOST_EXPECT(!pskb_trim(skb, cut) && holds(skb, cut));
        kfree_skb(skb);
    }
}

/// Clones share; who changes gets bytes of its own; nobody sees the other's change.
static void clones_share_until_written(void *)
{
    sk_buff *skb = three_parts(), *c = skb_clone(skb, GFP_KERNEL);
    HOST_EXPECT(c->data == skb->data && skb_cloned(c) && skb_cloned(skb));
    HOST_EXPECT(!pskb_expand_head(c, 100, 100, GFP_KERNEL) && c->data != skb->data &&
                !skb_cloned(skb));
    *skb_push(c, 1) = 0xff;
    skb_pull(c, 1);
    HOST_EXPECT(!skb_linearize(c) && holds(c, 144));
    c->data[0] = 99;
    HOST_EXPECT(holds(skb, 144));
    kfree_skb(c);
    c = skb_copy(skb, GFP_KERNEL);
    sk_buff *p = pskb_copy(skb, GFP_KERNEL);
    kfree_skb(skb);
    HOST_EXPECT(holds(c, 144) && holds(p, 144));
    kfree_skb(c);
    kfree_skb(p);
    skb = alloc_skb_fclone(64, GFP_KERNEL);
    skb_put(skb, 4);
    c = skb_clone(skb, GFP_KERNEL);
    sk_buff *c2 = skb_clone(skb, GFP_KERNEL);
    kfree_skb(skb);
    HOST_EXPECT(c->len == 4 && c2->len == 4);
    kfree_skb(c);
    kfree_skb(c2);
}

/// Every allocation on the way fails once: no leak, the packet is as before.
static unsigned fail_countdown;
static bool fail_nth(size_t, gfp)
{
    return fail_countdown && --fail_countdown == 0;
}
static void memory_failure_leaves_packets_whole(void *)
{
    for (unsigned nth = 1; nth < 6; nth++) {
        sk_buff *skb = three_parts(), *c = skb_clone(skb, GFP_KERNEL);
        should_fail_alloc = fail_nth;
        fail_countdown = nth;
        int err = skb_linearize(c);
        fail_countdown = nth;
        sk_buff *d = skb_copy(skb, GFP_ATOMIC);
        fail_countdown = nth;
        sk_buff *e = skb_clone(skb, GFP_ATOMIC);
        fail_countdown = 0;
        should_fail_alloc = nullptr;
        HOST_EXPECT(err == 0 || err == -ENOMEM);
        HOST_EXPECT(holds(skb, 144) && holds(c, 144));
        for (sk_buff *s : {skb, c, d, e})
            kfree_skb(s);
    }
}

static void truesize_is_linuxs(void *)
{
    sk_buff *skb = alloc_skb(60, GFP_KERNEL);
    HOST_EXPECT(skb->truesize == 768);
    kfree_skb(skb);
    HOST_EXPECT(SKB_TRUESIZE(256) == 832);
}

// --- Backlog -------------------------------------------------------------------------------------

/// len <= netdev_max_backlog admits one more than the limit.
static void backlog_holds_1001(void *)
{
    HOST_EXPECT(wire_up());
    bh_guard g; // nothing is processed meanwhile
    softnet_data &sd = *softnet_data_percpu;
    u64 dropped = sd.dropped, processed = sd.processed;
    unsigned in = 0;
    for (unsigned i = 0; i < 1100; i++) {
        sk_buff *skb = alloc_skb(64, GFP_ATOMIC);
        skb_put(skb, 20);
        skb->dev = wire_dev();
        skb->protocol = htons(0x1234);
        in += netif_rx(skb) == NET_RX_SUCCESS;
    }
    HOST_EXPECT(in == 1001 && sd.dropped == dropped + 99 && sd.processed == processed);
}

// --- Qdisc ---------------------------------------------------------------------------------------

static unsigned room; // packets that the test device takes before it stops
static unsigned sent;
static net_device *tdev;

static netdev_tx tdev_xmit(sk_buff *skb, net_device *d)
{
    if (!room) {
        netif_tx_stop_queue(&d->tx[0]);
        return NETDEV_TX_BUSY;
    }
    room--;
    sent++;
    consume_skb(skb);
    return NETDEV_TX_OK;
}

static net_device_ops make_tdev_ops()
{
    net_device_ops o{};
    o.name = "tdev_ops";
    o.ndo_start_xmit = tdev_xmit;
    return o;
}

static int xmit_one()
{
    sk_buff *skb = alloc_skb(128, GFP_KERNEL);
    skb_reserve(skb, 16);
    skb_put(skb, 60);
    skb->dev = tdev;
    return dev_queue_xmit(skb);
}

static void qdisc_bypass_requeue_and_drop(void *)
{
    static const net_device_ops ops = make_tdev_ops();
    tdev = alloc_etherdev_mq(0, 1);
    HOST_EXPECT(tdev && tdev->tx[0].qdisc == &noop_qdisc);
    tdev->netdev_ops = &ops;
    HOST_EXPECT(register_netdev(tdev) == 0);
    {
        mutex_guard g{rtnl_mutex};
        HOST_EXPECT(dev_open(tdev) == 0);
    }
    Qdisc *q = tdev->tx[0].qdisc;
    HOST_EXPECT(!strcmp(q->ops->id, "pfifo_fast"));
    room = 1;
    HOST_EXPECT(xmit_one() == NET_XMIT_SUCCESS && sent == 1 && q->qlen == 0); // straight through
    HOST_EXPECT(xmit_one() == NET_XMIT_SUCCESS && sent == 1 && q->qlen == 1 && q->requeues == 1);
    unsigned ok = 0;
    for (unsigned i = 0; i < 1200; i++)
        ok += xmit_one() == NET_XMIT_SUCCESS;
    HOST_EXPECT(ok == 999 && q->drops == 201 && q->qlen == 1000);
}

/// More than a quota of packets goes on in NET_TX.
static void quota_continues_in_net_tx(void *)
{
    auto runs = [] {
        u64 s = 0;
        for (unsigned i = 0; i < 2; i++)
            s += softirq_count(i, NET_TX_SOFTIRQ);
        return s;
    };
    u64 before = runs();
    room = 100000;
    netif_tx_wake_queue(&tdev->tx[0]);
    net_sleep(10);
    HOST_EXPECT(sent == 1001 && tdev->tx[0].qdisc->qlen == 0);
    HOST_EXPECT(runs() - before >= 1000 / 64);
    before = runs();
    HOST_EXPECT(xmit_one() == NET_XMIT_SUCCESS && runs() == before);
}

static void a_device_can_leave(void *)
{
    room = 0;
    for (unsigned i = 0; i < 10; i++)
        xmit_one();
    unregister_netdev(tdev);
    HOST_EXPECT(!dev_get_by_index(tdev->ifindex));
    free_netdev(tdev);
}

static void lo_has_no_queue(void *)
{
    mutex_guard g{rtnl_mutex};
    HOST_EXPECT(dev_open(loopback_dev) == 0);
    HOST_EXPECT(!loopback_dev->tx[0].qdisc->ops->enqueue && loopback_dev->mtu == 65536);
}

extern "C" int main()
{
    unit_main("net_dev",
              {KERNEL_UNIT(parts_are_one_packet), KERNEL_UNIT(clones_share_until_written),
               KERNEL_UNIT(memory_failure_leaves_packets_whole), KERNEL_UNIT(truesize_is_linuxs),
               KERNEL_UNIT(backlog_holds_1001), KERNEL_UNIT(qdisc_bypass_requeue_and_drop),
               KERNEL_UNIT(quota_continues_in_net_tx), KERNEL_UNIT(a_device_can_leave),
               KERNEL_UNIT(lo_has_no_queue)},
              2);
}

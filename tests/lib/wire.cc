// SPDX-License-Identifier: MIT
// The virtual wire's device; see wire.h.
#include "wire.h"
#include "host.h"
#include "irq/irq.h"
#include "lib/string.h"
#include "net/ipv4/devinet.h"

struct frame_ring {
    static constexpr unsigned SIZE = 512;
    u8 data[SIZE][WIRE_FRAME_MAX];
    size_t len[SIZE];
    unsigned head = 0, tail = 0;
    bool push(const void *f, size_t n)
    {
        if (head - tail == SIZE || n > WIRE_FRAME_MAX)
            return false;
        memcpy(data[head % SIZE], f, n);
        len[head++ % SIZE] = n;
        return true;
    }
    size_t pop(u8 *f)
    {
        if (head == tail)
            return 0;
        size_t n = len[tail % SIZE];
        memcpy(f, data[tail++ % SIZE], n);
        return n;
    }
};
static frame_ring sent, received;
static net_device *dev;
static napi_struct *napi;
static unsigned irq;
static u64 tx_packets;

static netdev_tx wire_xmit(sk_buff *skb, net_device *)
{
    static u8 flat[WIRE_FRAME_MAX];
    // Checksums left to the device are made here, as hardware would.
    if (skb->ip_summed == CHECKSUM_PARTIAL && skb_checksum_help(skb)) {
        kfree_skb(skb);
        return NETDEV_TX_OK;
    }
    if (skb->len <= WIRE_FRAME_MAX && !skb_copy_bits(skb, 0, flat, skb->len))
        sent.push(flat, skb->len);
    tx_packets++;
    consume_skb(skb);
    return NETDEV_TX_OK;
}

static void wire_stats(net_device *, net_device_stats *s)
{
    s->tx_packets = tx_packets;
}

static sk_buff *make_skb(const void *frame, size_t n)
{
    sk_buff *skb = netdev_alloc_skb(dev, static_cast<u32>(n));
    if (!skb)
        return nullptr;
    memcpy(skb_put(skb, static_cast<u32>(n)), frame, n);
    skb->protocol = eth_type_trans(skb, dev);
    return skb;
}

static int wire_poll(napi_struct *n, int budget)
{
    int work = 0;
    u8 frame[WIRE_FRAME_MAX];
    while (work < budget) {
        size_t len = received.pop(frame);
        if (!len)
            break;
        if (sk_buff *skb = make_skb(frame, len))
            napi_gro_receive(n, skb);
        work++;
    }
    if (work < budget)
        napi_complete(n);
    return work;
}

static void wire_irq(unsigned, void *)
{
    napi_schedule(napi);
}

static int wire_open(net_device *d)
{
    napi_enable(napi);
    netif_tx_start_all_queues(d);
    return 0;
}
static int wire_stop(net_device *d)
{
    netif_tx_stop_all_queues(d);
    napi_disable(napi);
    return 0;
}

static net_device_ops make_ops()
{
    net_device_ops o{};
    o.name = "wire_ops";
    o.ndo_open = wire_open;
    o.ndo_stop = wire_stop;
    o.ndo_start_xmit = wire_xmit;
    o.ndo_get_stats64 = wire_stats;
    return o;
}

bool wire_up()
{
    static const net_device_ops ops = make_ops();
    static const irq_chip chip{"wire", nullptr, nullptr};
    dev = alloc_etherdev_mq(sizeof(napi_struct), 1);
    if (!dev)
        return false;
    napi = new (dev->priv) napi_struct;
    dev->netdev_ops = &ops;
    memcpy(dev->dev_addr, WIRE_MAC, sizeof(WIRE_MAC));
    netif_napi_add(dev, napi, wire_poll, "wire_poll", 64);
    auto n = irq_alloc_msi(&chip, nullptr, 0);
    if (!n || !request_irq(irq = *n, wire_irq, "eth0-TxRx-0", dev) || register_netdev(dev))
        return false;
    mutex_guard g{rtnl_mutex};
    if (dev_open(dev))
        return false;
    netif_carrier_on(dev);
    return !inet_set_ifaddr(dev, htonl(WIRE_IP), htonl(0xffffff00), htonl(WIRE_IP | 0xff));
}

net_device *wire_dev()
{
    return dev;
}

void wire_receive(const void *frame, size_t n)
{
    bh_guard g;
    if (n < ETH_HLEN)
        return; // no device passes less on
    if (sk_buff *skb = make_skb(frame, n))
        netif_receive_skb(skb);
}

void wire_interrupt(const void *frame, size_t n, unsigned cpu)
{
    if (received.push(frame, n))
        host_raise_irq(irq, cpu);
}

size_t wire_sent(u8 *frame)
{
    return sent.pop(frame);
}
void wire_forget_sent()
{
    sent.tail = sent.head;
}

// SPDX-License-Identifier: MIT
// The loopback device: what is sent is received, on the same CPU, in the sender's context (atlas
// §12; rows L-05…L-08).
// Linux: drivers/net/loopback.c. Transmit runs with BHs off and without a queue or lock (LLTX);
// counters are per CPU.

#include "lib/initcall.h"
#include "lib/printk.h"
#include "net/core/netdevice.h"

namespace
{
struct lo_stats {
    u64 packets, bytes;
};
constinit percpu<lo_stats> lstats;

netdev_tx loopback_xmit(sk_buff *skb, net_device *dev)
{
    skb_orphan(skb); // the sender's buffer space is free again
    // The route stays: reception needs no lookup. No wire can damage the data, so a checksum left
    // to the device is right.
    if (skb->ip_summed == CHECKSUM_PARTIAL)
        skb->ip_summed = CHECKSUM_UNNECESSARY;
    skb->protocol = eth_type_trans(skb, dev);
    u32 len = skb->len;
    if (likely(netif_rx(skb) == NET_RX_SUCCESS)) {
        lo_stats &s = *lstats;
        s.packets++;
        s.bytes += len;
    }
    return NETDEV_TX_OK;
}

void loopback_get_stats64(net_device *, net_device_stats *s)
{
    for (unsigned i = 0; i < NR_CPUS; i++) {
        s->rx_packets += read_once(lstats.on(i).packets);
        s->rx_bytes += read_once(lstats.on(i).bytes);
    }
    s->tx_packets = s->rx_packets;
    s->tx_bytes = s->rx_bytes;
}

const net_device_ops loopback_ops{.name = "loopback_ops",
                                  .ndo_init = nullptr,
                                  .ndo_open = nullptr,
                                  .ndo_stop = nullptr,
                                  .ndo_start_xmit = loopback_xmit,
                                  .ndo_get_stats64 = loopback_get_stats64,
                                  .ndo_set_rx_mode = nullptr,
                                  .ndo_set_mac_address = nullptr,
                                  .ndo_change_mtu = nullptr,
                                  .ndo_tx_timeout = nullptr};

void loopback_setup(net_device *dev)
{
    ether_setup(dev);
    dev->mtu = 65536;
    dev->type = 772; // ARPHRD_LOOPBACK
    dev->flags = IFF_LOOPBACK;
    memset(dev->broadcast, 0, sizeof(dev->broadcast));
    dev->tx_queue_len = 0;
    dev->features = NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_RXCSUM | NETIF_F_LLTX;
    dev->netdev_ops = &loopback_ops;
}
} // namespace

/// lo is the first device: called from net_dev_init's successor at subsys level.
static int loopback_net_init()
{
    net_device *dev = alloc_netdev_mq(0, "lo", loopback_setup, 1);
    if (!dev || register_netdev(dev))
        panic("loopback: cannot register lo");
    loopback_dev = dev;
    return 0;
}
subsys_initcall(loopback_net_init);

// SPDX-License-Identifier: MIT
// igb: what `ethtool -i -g -G -S` show and set. Process context, rtnl held.
#include "drivers/net/igb/igb.h"

constexpr unsigned GLOBAL_STATS = 14, RX_QUEUE_STATS = 5, TX_QUEUE_STATS = 3;

static void get_drvinfo(net_device *dev, const char **driver, const char **bus_info)
{
    *driver = "igb";
    *bus_info = igb_priv(dev)->pdev->name;
}

static void get_ringparam(net_device *dev, u32 *rx, u32 *tx, u32 *rx_max, u32 *tx_max)
{
    *rx = igb_priv(dev)->rx_ring_count;
    *tx = igb_priv(dev)->tx_ring_count;
    *rx_max = *tx_max = IGB_MAX_RXD;
}

/// Clamped to 80…4096 and rounded up to 8, as Linux does; a running device is closed and opened again.
static int set_ringparam(net_device *dev, u32 rx, u32 tx)
{
    igb_adapter *a = igb_priv(dev);
    u16 new_rx = static_cast<u16>(align_up(min(max(rx, IGB_MIN_RXD), IGB_MAX_RXD), 8));
    u16 new_tx = static_cast<u16>(align_up(min(max(tx, IGB_MIN_RXD), IGB_MAX_RXD), 8));
    u16 old_rx = a->rx_ring_count, old_tx = a->tx_ring_count;
    if (new_rx == old_rx && new_tx == old_tx)
        return 0;
    bool running = netif_running(dev);
    if (running)
        dev->netdev_ops->ndo_stop(dev);
    a->rx_ring_count = new_rx;
    a->tx_ring_count = new_tx;
    if (!running)
        return 0;
    int err = dev->netdev_ops->ndo_open(dev);
    if (err) {
        // No memory for the new size: go back to the old one.
        a->rx_ring_count = old_rx;
        a->tx_ring_count = old_tx;
        if (dev->netdev_ops->ndo_open(dev))
            pr_err("igb %s: rings lost in a resize", a->pdev->name);
    }
    return err;
}

static unsigned get_sset_count(net_device *dev)
{
    return GLOBAL_STATS + igb_priv(dev)->num_q_vectors * (RX_QUEUE_STATS + TX_QUEUE_STATS);
}

static void get_strings(net_device *dev, char (*names)[32])
{
    static const char *const global[GLOBAL_STATS] = {"rx_packets",
                                                     "tx_packets",
                                                     "rx_bytes",
                                                     "tx_bytes",
                                                     "rx_broadcast",
                                                     "tx_broadcast",
                                                     "rx_multicast",
                                                     "tx_multicast",
                                                     "rx_crc_errors",
                                                     "rx_no_buffer_count",
                                                     "rx_missed_errors",
                                                     "rx_short_length_errors",
                                                     "rx_long_length_errors",
                                                     "tx_timeout_count"};
    static const char *const rxq[RX_QUEUE_STATS] = {"packets", "bytes", "drops", "csum_err",
                                                    "alloc_failed"};
    static const char *const txq[TX_QUEUE_STATS] = {"packets", "bytes", "restart"};
    for (const char *g : global)
        strlcpy(*names++, g, sizeof *names);
    unsigned n = igb_priv(dev)->num_q_vectors;
    for (unsigned q = 0; q < n; q++)
        for (const char *s : txq)
            snprintf(*names++, sizeof *names, "tx_queue_%u_%s", q, s);
    for (unsigned q = 0; q < n; q++)
        for (const char *s : rxq)
            snprintf(*names++, sizeof *names, "rx_queue_%u_%s", q, s);
}

static void get_ethtool_stats(net_device *dev, u64 *v)
{
    igb_adapter *a = igb_priv(dev);
    if (a->up)
        igb_update_stats(a);
    const e1000_hw_stats &s = a->stats;
    for (u64 x : {s.gprc, s.gptc, s.gorc, s.gotc, s.bprc, s.bptc, s.mprc, s.mptc, s.crcerrs, s.rnbc,
                  s.mpc, s.ruc, s.roc, a->tx_timeout_count})
        *v++ = x;
    for (unsigned q = 0; q < a->num_q_vectors; q++) {
        const igb_ring &t = a->q_vector[q]->tx;
        for (u64 x : {t.packets, t.bytes, t.restart_queue})
            *v++ = x;
    }
    for (unsigned q = 0; q < a->num_q_vectors; q++) {
        const igb_ring &r = a->q_vector[q]->rx;
        for (u64 x : {r.packets, r.bytes, r.drops, r.csum_err, r.alloc_failed})
            *v++ = x;
    }
}

const ethtool_ops igb_ethtool_ops{
    .get_drvinfo = get_drvinfo,
    .get_ringparam = get_ringparam,
    .set_ringparam = set_ringparam,
    .get_sset_count = get_sset_count,
    .get_strings = get_strings,
    .get_ethtool_stats = get_ethtool_stats,
};

// SPDX-License-Identifier: MIT
// igb: registration, probe, open and close, interrupts, NAPI poll, watchdog. Contexts: see igb.h.
#include "drivers/net/igb/igb.h"
#include "lib/initcall.h"
#include "mm/slab.h"
#include "trace/trace.h"

constexpr u64 WATCHDOG_PERIOD = 2 * HZ, LINK_POLL_PERIOD = HZ / 10; // with and without link

// --- Interrupts ---------------------------------------------------------------------------------

/// Tell the device the interval that the previous poll chose.
static void igb_write_itr(igb_q_vector *q)
{
    if (!q->set_itr)
        return;
    q->adapter->hw.write(EITR, q->rx.queue_index + 1u, q->itr_val | EITR_CNT_IGNR);
    q->set_itr = false;
}

/// A queue vector: the device has masked it (EIAM); schedule the poll on this CPU. Touches no packet (row R-05). [H]
static void igb_msix_ring(unsigned, void *data)
{
    auto *q = static_cast<igb_q_vector *>(data);
    igb_write_itr(q);
    napi_schedule(&q->napi);
}

/// Link change and the rest. [H]
static void igb_msix_other(unsigned, void *data)
{
    auto *a = static_cast<igb_adapter *>(data);
    u32 icr = a->hw.read(ICR);
    if (icr & ICR_LSC)
        mod_timer(&a->watchdog_timer, jiffies());
    a->hw.write(EIMS, a->eims_other);
}

/// Interval for a device with several vectors: about half the average frame's size in µs, never more than 20,000 interrupts a second.
static u32 update_ring_itr(const igb_q_vector *q)
{
    u32 wire = min(q->total_bytes / q->total_packets + 24, 3000u);
    u32 itr = wire > 300 && wire < 1200 ? wire / 3 : wire / 2;
    return max(itr, IGB_20K_ITR);
}

/// Interval for a single vector: 20,000 a second, 4,000 while big frames come in bulk.
static u32 set_itr(igb_q_vector *q)
{
    u32 bytes = q->total_bytes, packets = q->total_packets;
    if (q->bulk)
        q->bulk = !(bytes < 6000 || (bytes > 25000 && packets > 35));
    else
        q->bulk = bytes > 10000 ? packets < 10 || bytes / packets > 1200 : bytes / packets > 2000;
    return q->bulk ? IGB_4K_ITR : IGB_20K_ITR;
}

/// The poll has finished: choose the next interval and unmask the vector. What completed meanwhile fires at once; a device that did not mask
/// (QEMU's stock igb) may have spent its message while SCHED was set, so look at the ring once more.
static void igb_ring_irq_enable(igb_q_vector *q)
{
    igb_adapter *a = q->adapter;
    if (q->total_packets) {
        u32 itr = a->num_q_vectors == 1 ? set_itr(q) : update_ring_itr(q);
        if (itr != q->itr_val) {
            q->itr_val = static_cast<u16>(itr);
            q->set_itr = true;
        }
        q->total_packets = q->total_bytes = 0;
    }
    if (!a->up)
        return;
    a->hw.write(EIMS, q->eims_value);
    trace(trace_event::igb_irq_enable, a->netdev->name, q->rx.queue_index);
    if (igb_rx_pending(&q->rx))
        napi_schedule(&q->napi);
}

/// Returns 0 when done, or the whole budget to be called again: never the number of packets (atlas §5).
int igb_poll(napi_struct *napi, int budget)
{
    auto *q = container_of(napi, igb_q_vector, napi);
    igb_adapter *a = q->adapter;
    if (a->stall_poll.load(std::memory_order_relaxed)) [[unlikely]] {
        napi_complete(napi); // test hook: the vector stays masked, the ring fills
        return 0;
    }
    if (u32 us = a->slow_poll_us.load(std::memory_order_relaxed)) [[unlikely]]
        arch_udelay(us);
    bool done = igb_clean_tx_irq(q);
    done &= igb_clean_rx_irq(q, budget);
    if (!done)
        return budget;
    napi_complete(napi);
    igb_ring_irq_enable(q);
    return 0;
}

// --- Watchdog -----------------------------------------------------------------------------------

/// Tell the stack when the link has changed. Returns whether there is one. [P][T]
static bool igb_check_link(igb_adapter *a)
{
    bool link = igb_has_link(a);
    if (link && !netif_carrier_ok(a->netdev)) {
        u32 status = a->hw.read(STATUS);
        const char *speed = status & STATUS_SPEED_1000  ? "1000"
                            : status & STATUS_SPEED_100 ? "100"
                                                        : "10";
        pr_info("igb %s: %s: link up, %s Mbps %s duplex", a->pdev->name, a->netdev->name, speed,
                status & STATUS_FD ? "full" : "half");
        netif_carrier_on(a->netdev);
    } else if (!link && netif_carrier_ok(a->netdev)) {
        pr_info("igb %s: %s: link down", a->pdev->name, a->netdev->name);
        netif_carrier_off(a->netdev);
    }
    return link;
}

/// Vectors with completed descriptors. An interrupt for them is on its way, or was lost. Any context: a look, no more.
static u32 pending_vectors(const igb_adapter *a)
{
    u32 eims = 0;
    for (unsigned i = 0; i < a->num_q_vectors; i++)
        if (igb_rx_pending(&a->q_vector[i]->rx) || igb_tx_pending(&a->q_vector[i]->tx))
            eims |= a->q_vector[i]->eims_value;
    return eims;
}

/// Every 2 s and after each link change: carrier, statistics, and a software interrupt where one may have been lost (Linux sends it
/// to every vector). [T]
static void igb_watchdog(timer_list *t)
{
    auto *a = container_of(t, igb_adapter, watchdog_timer);
    if (!a->up)
        return;
    bool link = igb_check_link(a);
    igb_update_stats(a);
    if (u32 eims = pending_vectors(a))
        a->hw.write(EICS, eims);
    mod_timer(&a->watchdog_timer, jiffies() + (link ? WATCHDOG_PERIOD : LINK_POLL_PERIOD));
}

igb_adapter::igb_adapter() : watchdog_timer{igb_watchdog} {}

// --- Open and close -----------------------------------------------------------------------------

static result<void> setup_all_resources(igb_adapter *a)
{
    for (unsigned i = 0; i < a->num_q_vectors; i++) {
        igb_q_vector *q = a->q_vector[i];
        q->rx.count = a->rx_ring_count;
        q->tx.count = a->tx_ring_count;
        TRY_VOID(igb_setup_tx_resources(&q->tx));
        TRY_VOID(igb_setup_rx_resources(&q->rx));
    }
    return {};
}

static void free_all_resources(igb_adapter *a)
{
    for (unsigned i = 0; i < a->num_q_vectors; i++) {
        igb_free_ring(&a->q_vector[i]->tx);
        igb_free_ring(&a->q_vector[i]->rx);
    }
}

/// Program everything and post the receive buffers.
static void igb_configure(igb_adapter *a)
{
    igb_setup_tctl(a);
    igb_rar_set(a, a->netdev->dev_addr);
    igb_setup_mrqc(a);
    igb_setup_rctl(a);
    for (unsigned i = 0; i < a->num_q_vectors; i++) {
        igb_configure_tx_ring(a, &a->q_vector[i]->tx);
        igb_ring *rx = &a->q_vector[i]->rx;
        igb_configure_rx_ring(a, rx);
        igb_alloc_rx_buffers(rx, igb_desc_unused(rx));
    }
}

static void igb_free_irq(igb_adapter *a, unsigned vectors)
{
    for (unsigned v = 0; v < vectors; v++)
        free_irq(a->pdev->msix[v].irq, v ? static_cast<void *>(a->q_vector[v - 1]) : a);
}

static result<void> igb_request_irq(igb_adapter *a)
{
    TRY_VOID(request_irq(a->pdev->msix[0].irq, igb_msix_other, a->netdev->name, a));
    for (unsigned i = 0; i < a->num_q_vectors; i++) {
        igb_q_vector *q = a->q_vector[i];
        snprintf(q->name, sizeof q->name, "%s-TxRx-%u", a->netdev->name, i);
        q->irq = q->napi.irq = a->pdev->msix[i + 1].irq;
        result<void> r = request_irq(q->irq, igb_msix_ring, q->name, q);
        if (!r) {
            igb_free_irq(a, i + 1);
            return r.fail();
        }
    }
    igb_configure_msix(a);
    return {};
}

/// The last steps of opening, in their order (row B-13): NAPI, interrupts, transmit queues, link.
static void igb_up(igb_adapter *a)
{
    a->up = true;
    // A link that is there since the probe counts from the first packet on; without one negotiate, and LSC tells the end.
    if (!igb_check_link(a))
        igb_setup_link(a);
    for (unsigned i = 0; i < a->num_q_vectors; i++)
        napi_enable(&a->q_vector[i]->napi);
    a->hw.read(ICR);
    igb_irq_enable(a);
    pr_debug("igb %s: open: NAPI enabled, interrupts unmasked", a->netdev->name);
    netif_tx_start_all_queues(a->netdev);
    pr_debug("igb %s: open: transmit queues started", a->netdev->name);
    a->hw.set_bits(CTRL_EXT, CTRL_EXT_DRV_LOAD);
    mod_timer(&a->watchdog_timer, jiffies() + LINK_POLL_PERIOD);
}

static int igb_open(net_device *dev)
{
    igb_adapter *a = igb_priv(dev);
    netif_carrier_off(dev);
    result<void> r = setup_all_resources(a);
    if (!r) {
        free_all_resources(a);
        return -r.err();
    }
    pr_debug("igb %s: open: rings allocated", dev->name);
    igb_configure(a);
    pr_debug("igb %s: open: receive buffers posted", dev->name);
    r = igb_request_irq(a);
    if (!r) {
        result<void> ignored = igb_reset_hw(a);
        (void)ignored;
        for (unsigned i = 0; i < a->num_q_vectors; i++)
            igb_clean_ring(&a->q_vector[i]->rx);
        free_all_resources(a);
        return -r.err();
    }
    pr_debug("igb %s: open: interrupts requested", dev->name);
    igb_up(a);
    return 0;
}

/// Stop the traffic: transmit queues, receive unit, interrupts, NAPI, timer, then the device; the rings are empty afterwards.
static void igb_down(igb_adapter *a)
{
    a->up = false;
    a->hw.clear_bits(RCTL, RCTL_EN);
    netif_tx_stop_all_queues(a->netdev);
    netif_carrier_off(a->netdev);
    a->hw.clear_bits(TCTL, TCTL_EN);
    a->hw.read(STATUS);
    igb_irq_disable(a);
    for (unsigned i = 0; i < a->num_q_vectors; i++)
        napi_disable(&a->q_vector[i]->napi);
    del_timer_sync(&a->watchdog_timer);
    igb_update_stats(a);
    if (!igb_reset_hw(a))
        pr_err("igb %s: no answer to the reset", a->pdev->name);
    a->hw.clear_bits(CTRL_EXT, CTRL_EXT_DRV_LOAD);
    for (unsigned i = 0; i < a->num_q_vectors; i++) {
        igb_clean_ring(&a->q_vector[i]->tx);
        igb_clean_ring(&a->q_vector[i]->rx);
    }
}

static int igb_close(net_device *dev)
{
    igb_adapter *a = igb_priv(dev);
    igb_down(a);
    igb_free_irq(a, a->num_q_vectors + 1);
    free_all_resources(a);
    return 0;
}

void igb_reinit_locked(igb_adapter *a)
{
    if (!netif_running(a->netdev))
        return;
    igb_down(a);
    igb_configure(a);
    igb_configure_msix(a);
    igb_up(a);
}

static void igb_get_stats64(net_device *dev, net_device_stats *s)
{
    igb_adapter *a = igb_priv(dev);
    if (a->up)
        igb_update_stats(a);
    u64 ring_drops = 0;
    for (unsigned i = 0; i < a->num_q_vectors; i++) {
        const igb_q_vector *q = a->q_vector[i];
        s->rx_packets += q->rx.packets;
        s->rx_bytes += q->rx.bytes;
        s->tx_packets += q->tx.packets;
        s->tx_bytes += q->tx.bytes;
        ring_drops += q->rx.drops;
    }
    const e1000_hw_stats &h = a->stats;
    s->multicast = h.mprc;
    s->rx_crc_errors = h.crcerrs;
    s->rx_length_errors = h.ruc + h.roc;
    s->rx_errors = h.crcerrs + h.ruc + h.roc;
    s->rx_missed_errors = h.mpc;
    s->rx_fifo_errors = h.mpc + ring_drops; // atlas §25
}

static int igb_set_mac(net_device *dev, const u8 *addr)
{
    memcpy(dev->dev_addr, addr, ETH_ALEN);
    igb_rar_set(igb_priv(dev), addr);
    return 0;
}

/// Receive buffers hold an unfragmented frame of the standard MTU; larger ones span descriptors up to an skb's fragments.
static int igb_change_mtu(net_device *dev, int mtu)
{
    constexpr int max_mtu = 9216;
    if (mtu < 68 || mtu > max_mtu)
        return -EINVAL;
    dev->mtu = static_cast<u32>(mtu);
    igb_reinit_locked(igb_priv(dev));
    return 0;
}

/// A queue was stopped for 5 s: count it and force a poll, which reclaims what a lost interrupt left. [T]
static void igb_tx_timeout(net_device *dev)
{
    igb_adapter *a = igb_priv(dev);
    a->tx_timeout_count++;
    pr_warn("igb %s: transmit queue stuck", a->pdev->name);
    a->hw.write(EICS, a->eims_enable_mask & ~a->eims_other);
}

static const net_device_ops igb_netdev_ops{
    .name = "igb_netdev_ops",
    .ndo_init = nullptr,
    .ndo_open = igb_open,
    .ndo_stop = igb_close,
    .ndo_start_xmit = igb_xmit_frame,
    .ndo_get_stats64 = igb_get_stats64,
    .ndo_set_rx_mode = igb_set_rx_mode,
    .ndo_set_mac_address = igb_set_mac,
    .ndo_change_mtu = igb_change_mtu,
    .ndo_tx_timeout = igb_tx_timeout,
};

// --- Probe --------------------------------------------------------------------------------------

static result<void> alloc_q_vectors(igb_adapter *a)
{
    for (unsigned i = 0; i < a->num_q_vectors; i++) {
        auto *q = knew<igb_q_vector>(GFP_KERNEL | GFP_ZERO);
        if (!q)
            return error{ENOMEM};
        a->q_vector[i] = q;
        q->adapter = a;
        for (igb_ring *r : {&q->rx, &q->tx}) {
            r->q_vector = q;
            r->netdev = a->netdev;
            r->queue_index = static_cast<u8>(i);
        }
        q->rx.is_rx = true;
        netif_napi_add(a->netdev, &q->napi, igb_poll, "igb_poll", 64);
    }
    return {};
}

/// Vector 0 on CPU 0, one queue vector on each CPU; fewer queues when the device or the CPUs have no more vectors.
static result<void> igb_init_interrupts(igb_adapter *a, unsigned max_queues)
{
    unsigned cpus[IGB_MAX_QUEUES + 1] = {};
    for (unsigned n = max_queues; n; n--) {
        for (unsigned i = 0; i < n; i++)
            cpus[i + 1] = i % num_online_cpus();
        if (pci_enable_msix(a->pdev, n + 1, cpus)) {
            a->num_q_vectors = n;
            return {};
        }
    }
    return error{ENOSPC};
}

static result<void> probe_adapter(igb_adapter *a, pci_dev *pdev, net_device *dev, unsigned queues)
{
    a->netdev = dev;
    a->pdev = pdev;
    pci_enable_device(pdev);
    volatile u8 *regs = pci_iomap(pdev, 0);
    if (!regs)
        return error{EIO};
    a->hw = igb_regs{regs};
    TRY_VOID(igb_reset_hw(a));
    u8 mac[6];
    TRY_VOID(igb_read_mac_addr(a, mac));
    memcpy(dev->dev_addr, mac, ETH_ALEN);
    TRY_VOID(igb_init_interrupts(a, queues));
    dev->num_rx_queues = dev->real_num_tx_queues = a->num_q_vectors;
    dev->netdev_ops = &igb_netdev_ops;
    dev->ethtool = &igb_ethtool_ops;
    dev->features = NETIF_F_SG | NETIF_F_IP_CSUM | NETIF_F_RXCSUM | NETIF_F_RXHASH | NETIF_F_TSO |
                    NETIF_F_GSO | NETIF_F_GRO;
    dev->hw_features = dev->wanted_features = dev->features;
    dev->irq = pdev->msix[0].irq;
    return alloc_q_vectors(a);
}

static int igb_probe(pci_dev *pdev, const pci_device_id *)
{
    unsigned queues = min(IGB_MAX_QUEUES, num_online_cpus());
    net_device *dev = alloc_etherdev_mq(sizeof(igb_adapter), queues);
    if (!dev)
        return -ENOMEM;
    auto *a = new (dev->priv) igb_adapter;
    pdev->drvdata = a;
    result<void> r = probe_adapter(a, pdev, dev, queues);
    int err = r ? 0 : -r.err();
    if (!err) {
        netif_carrier_off(dev);
        err = register_netdev(dev);
    }
    if (err) {
        for (igb_q_vector *q : a->q_vector)
            kdelete(q);
        pci_disable_msix(pdev);
        free_netdev(dev);
        return err;
    }
    igb_setup_link(a); // by the time somebody opens it the link is up
    igb_debug_init(a);
    const u8 *m = dev->dev_addr;
    pr_info("igb %s: %s: %02x:%02x:%02x:%02x:%02x:%02x, %u queue pairs, %u MSI-X vectors",
            pdev->name, dev->name, m[0], m[1], m[2], m[3], m[4], m[5], a->num_q_vectors,
            a->num_q_vectors + 1);
    return 0;
}

static const pci_device_id igb_pci_tbl[] = {{0x8086, 0x10c9}, {0, 0}};
static pci_driver igb_driver{"igb", igb_pci_tbl, igb_probe, nullptr};

static int igb_init_module()
{
    return pci_register_driver(&igb_driver);
}
module_init(igb_init_module);

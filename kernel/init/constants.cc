// SPDX-License-Identifier: MIT
// /sys/kernel/debug/constants: the figures of docs/linux310-atlas.md §1 as the running kernel has them (row B-01). What can be changed at
// run time is read from its variable. [P]
#include "drivers/net/igb/igb.h"
#include "fs/seq_file.h"
#include "irq/softirq.h"
#include "lib/initcall.h"
#include "net/core/neighbour.h"
#include "net/core/sock.h"
#include "net/ipv4/arp.h"
#include "net/ipv4/inet_sock.h"

static void show_constants(seq_file *m)
{
    net_device *eth = dev_get_by_name("eth0");
    const neigh_parms &arp = arp_tbl.parms;
    const struct {
        const char *name;
        u64 value;
    } rows[] = {
        {"netdev_budget", u64(netdev_budget)},
        {"dev_weight", u64(weight_p)},
        {"netdev_max_backlog", u64(netdev_max_backlog)},
        {"softirq_restart_max", MAX_SOFTIRQ_RESTART},
        {"softirq_time_ms", MAX_SOFTIRQ_TIME / NSEC_PER_MSEC},
        {"igb_default_rxd", IGB_DEFAULT_RXD},
        {"igb_default_txd", IGB_DEFAULT_TXD},
        {"igb_min_rxd", IGB_MIN_RXD},
        {"igb_max_rxd", IGB_MAX_RXD},
        {"igb_rx_buffer_write", IGB_RX_BUFFER_WRITE},
        {"rmem_default", u64(sysctl_rmem_default)},
        {"wmem_default", u64(sysctl_wmem_default)},
        {"rmem_max", u64(sysctl_rmem_max)},
        {"wmem_max", u64(sysctl_wmem_max)},
        {"lo_mtu", loopback_dev->mtu},
        {"eth_tx_queue_len", eth ? eth->tx_queue_len : 0},
        {"arp_retrans_ms", u64(arp.retrans_time_ms)},
        {"arp_ucast_probes", u64(arp.ucast_probes)},
        {"arp_mcast_probes", u64(arp.mcast_probes)},
        {"arp_reachable_ms", u64(arp.base_reachable_time_ms)},
        {"arp_delay_ms", u64(arp.delay_probe_time_s) * 1000},
        {"arp_unres_qlen_bytes", u64(arp.queue_len_bytes)},
        {"local_port_min", u64(sysctl_local_port_range[0])},
        {"local_port_max", u64(sysctl_local_port_range[1])},
    };
    for (const auto &r : rows)
        seq_printf(m, "%s %lu\n", r.name, r.value);
    if (eth)
        dev_put(eth);
}

static int constants_init()
{
    return debugfs_create("constants", show_constants);
}
late_initcall(constants_init);

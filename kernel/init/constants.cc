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
#include "net/ipv4/tcp.h"

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
        {"somaxconn", u64(sysctl_somaxconn)},
        {"tcp_rmem_min", u64(sysctl_tcp_rmem[0])},
        {"tcp_rmem_default", u64(sysctl_tcp_rmem[1])},
        {"tcp_wmem_min", u64(sysctl_tcp_wmem[0])},
        {"tcp_wmem_default", u64(sysctl_tcp_wmem[1])},
        {"tcp_syncookies", u64(sysctl_tcp_syncookies)},
        {"tcp_abort_on_overflow", u64(sysctl_tcp_abort_on_overflow)},
        {"tcp_syn_retries", u64(sysctl_tcp_syn_retries)},
        {"tcp_synack_retries", u64(sysctl_tcp_synack_retries)},
        {"tcp_rto_init_ms", TCP_TIMEOUT_INIT},
        {"tcp_rto_min_ms", TCP_RTO_MIN},
        {"tcp_rto_max_ms", TCP_RTO_MAX},
        {"tcp_delack_min_ms", TCP_DELACK_MIN},
        {"tcp_delack_max_ms", TCP_DELACK_MAX},
        {"tcp_synq_interval_ms", TCP_SYNQ_INTERVAL},
        {"tcp_timewait_ms", TCP_TIMEWAIT_LEN},
        {"tcp_fin_timeout", u64(sysctl_tcp_fin_timeout)},
        {"tcp_retries1", u64(sysctl_tcp_retries1)},
        {"tcp_retries2", u64(sysctl_tcp_retries2)},
        {"tcp_orphan_retries", u64(sysctl_tcp_orphan_retries)},
        {"tcp_keepalive_time", u64(sysctl_tcp_keepalive_time)},
        {"tcp_keepalive_intvl", u64(sysctl_tcp_keepalive_intvl)},
        {"tcp_keepalive_probes", u64(sysctl_tcp_keepalive_probes)},
        {"tcp_init_cwnd", TCP_INIT_CWND},
        {"tcp_limit_output_bytes", u64(sysctl_tcp_limit_output_bytes)},
        {"tcp_early_retrans", u64(sysctl_tcp_early_retrans)},
        {"tcp_low_latency", u64(sysctl_tcp_low_latency)},
        {"listening_hash", INET_LHTABLE_SIZE},
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

// SPDX-License-Identifier: MIT
// Shared by the files that make up Linux's net/core/dev.c; not for other folders.
#pragma once

#include "net/core/netdevice.h"

/// This CPU's softnet_data. The caller may not migrate: softirq, BH or IRQs off.
inline softnet_data &this_softnet()
{
    return softnet_data_percpu.on(smp_processor_id());
}

constexpr unsigned PTYPE_HASH_SIZE = 16;
extern packet_type *ptype_all;
extern packet_type *ptype_base[PTYPE_HASH_SIZE];
constexpr unsigned ptype_bucket(be16 type)
{
    return type.host() & (PTYPE_HASH_SIZE - 1);
}

/// Taps see a packet on its way in or out (Linux dev_queue_xmit_nit). BH off.
void dev_queue_xmit_nit(sk_buff *skb, net_device *dev);
/// Reception proper: everything after RPS. Takes over the skb. [S]
int __netif_receive_skb(sk_buff *skb);
/// Poll function of the backlog device. [S]
int process_backlog(napi_struct *n, int quota);
/// Softirq actions.
void net_rx_action();
void net_tx_action();
/// Put n on this CPU's poll list and set the NET_RX bit. IRQs off.
void ____napi_schedule(softnet_data &sd, napi_struct *n);
/// Fill skb->tstamp if anybody wants it.
void net_timestamp(sk_buff *skb);

/// Tell the notifiers. [P] rtnl
void call_netdevice_notifiers(netdev_event e, net_device *dev);
/// Carrier changed: the link watch thread will look at the device. Any context.
void linkwatch_fire_event(net_device *dev);
/// Start the thread. Boot.
void linkwatch_init();
/// Program filters after a change of flags or list. [P] rtnl
void dev_set_rx_mode(net_device *dev);

// Views, made at net_dev_init: net-procfs.cc, net-sysfs.cc, sysctl_net_core.cc, dev_debugfs.cc.
void dev_proc_init();
void dev_sysfs_register(net_device *dev);
void net_sysctl_init();
void dev_debugfs_init();

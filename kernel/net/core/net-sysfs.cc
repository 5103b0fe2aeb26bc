// SPDX-License-Identifier: MIT
// /sys/class/net/<dev>/: attributes and statistics, one value a file; /proc/sys/net/core. Linux:
// net/core/net-sysfs.c, net/core/sysctl_net_core.c. [P]

#include "fs/seq_file.h"
#include "lib/printk.h"
#include "net/core/dev.h"

namespace
{
/// What a file shows: which device, which value. Lives as long as the device's files (devices are
/// not removed from /sys).
template <void (*Show)(seq_file *, net_device *)>
void show(seq_file *m)
{
    Show(m, static_cast<net_device *>(m->private_data));
}

void address(seq_file *m, net_device *d)
{
    for (unsigned i = 0; i < d->addr_len; i++)
        seq_printf(m, "%s%02x", i ? ":" : "", d->dev_addr[i]);
    seq_putc(m, '\n');
}
void mtu(seq_file *m, net_device *d)
{
    seq_printf(m, "%u\n", d->mtu);
}
void flags(seq_file *m, net_device *d)
{
    seq_printf(m, "0x%x\n", d->flags);
}
void ifindex(seq_file *m, net_device *d)
{
    seq_printf(m, "%u\n", d->ifindex);
}
void type(seq_file *m, net_device *d)
{
    seq_printf(m, "%u\n", d->type);
}
void tx_queue_len(seq_file *m, net_device *d)
{
    seq_printf(m, "%u\n", d->tx_queue_len);
}
void operstate(seq_file *m, net_device *d)
{
    bool up = d->flags & IFF_UP;
    seq_printf(m, "%s\n",
               !up                       ? "down"
               : d->flags & IFF_LOOPBACK ? "unknown"
               : netif_carrier_ok(d)     ? "up"
                                         : "down");
}
void carrier(seq_file *m, net_device *d)
{
    if (netif_running(d)) // Linux: EINVAL while the device is down
        seq_printf(m, "%d\n", netif_carrier_ok(d) ? 1 : 0);
}

/// One statistics file for each member.
template <u64 net_device_stats::*Member>
void stat(seq_file *m)
{
    net_device_stats s;
    dev_get_stats(static_cast<net_device *>(m->private_data), &s);
    seq_printf(m, "%llu\n", static_cast<unsigned long long>(s.*Member));
}

struct attribute {
    const char *name;
    seq_show show;
};
#define STAT(n)                                      \
    {                                                \
        "statistics/" #n, stat<&net_device_stats::n> \
    }
constexpr attribute attributes[] = {
    {"address", show<address>},
    {"mtu", show<mtu>},
    {"flags", show<flags>},
    {"ifindex", show<ifindex>},
    {"type", show<type>},
    {"tx_queue_len", show<tx_queue_len>},
    {"operstate", show<operstate>},
    {"carrier", show<carrier>},
    STAT(rx_packets),
    STAT(tx_packets),
    STAT(rx_bytes),
    STAT(tx_bytes),
    STAT(rx_errors),
    STAT(tx_errors),
    STAT(rx_dropped),
    STAT(tx_dropped),
    STAT(multicast),
    STAT(collisions),
    STAT(rx_length_errors),
    STAT(rx_over_errors),
    STAT(rx_crc_errors),
    STAT(rx_frame_errors),
    STAT(rx_fifo_errors),
    STAT(rx_missed_errors),
    STAT(tx_aborted_errors),
    STAT(tx_carrier_errors),
    STAT(tx_fifo_errors),
    STAT(tx_heartbeat_errors),
    STAT(tx_window_errors),
};
#undef STAT
} // namespace

void dev_sysfs_register(net_device *dev)
{
    for (const attribute &a : attributes) {
        char path[80];
        snprintf(path, sizeof(path), "class/net/%s/%s", dev->name, a.name);
        sysfs_create(path, a.show, dev);
    }
}

void net_sysctl_init()
{
    sysctl_create_int("net/core/netdev_budget", &netdev_budget, 1, 100000);
    sysctl_create_int("net/core/dev_weight", &weight_p, 1, 10000);
    sysctl_create_int("net/core/netdev_max_backlog", &netdev_max_backlog, 0, 1000000);
}

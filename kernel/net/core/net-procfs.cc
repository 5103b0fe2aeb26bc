// SPDX-License-Identifier: MIT
// /proc/net/{dev,softnet_stat,ptype,dev_mcast} in Linux's formats (rows B-06, B-08). Linux:
// net/core/net-procfs.c. [P]

#include "fs/seq_file.h"
#include "lib/printk.h"
#include "net/core/dev.h"

namespace
{
using ull = unsigned long long;

void dev_line(net_device *dev, void *arg)
{
    net_device_stats s;
    dev_get_stats(dev, &s);
    ull frame = s.rx_length_errors + s.rx_over_errors + s.rx_crc_errors + s.rx_frame_errors;
    ull carrier =
        s.tx_carrier_errors + s.tx_aborted_errors + s.tx_window_errors + s.tx_heartbeat_errors;
    seq_printf(static_cast<seq_file *>(arg),
               "%6s: %7llu %7llu %4llu %4llu %4llu %5llu %10llu %9llu %8llu %7llu %4llu %4llu "
               "%4llu %5llu %7llu %10llu\n",
               dev->name, ull{s.rx_bytes}, ull{s.rx_packets}, ull{s.rx_errors},
               ull{s.rx_dropped + s.rx_missed_errors}, ull{s.rx_fifo_errors}, frame, 0ull,
               ull{s.multicast}, ull{s.tx_bytes}, ull{s.tx_packets}, ull{s.tx_errors},
               ull{s.tx_dropped}, ull{s.tx_fifo_errors}, ull{s.collisions}, carrier, 0ull);
}

void dev_show(seq_file *m)
{
    seq_puts(m, "Inter-|   Receive                            "
                "                    |  Transmit\n"
                " face |bytes    packets errs drop fifo frame "
                "compressed multicast|bytes    packets errs "
                "drop fifo colls carrier compressed\n");
    for_each_netdev(dev_line, m);
}

void softnet_show(seq_file *m)
{
    for (unsigned i = 0; i < num_online_cpus(); i++) {
        const softnet_data &sd = softnet_data_percpu.on(i);
        seq_printf(m, "%08x %08x %08x %08x %08x %08x %08x %08x %08x %08x\n",
                   static_cast<u32>(read_once(sd.processed)),
                   static_cast<u32>(read_once(sd.dropped)),
                   static_cast<u32>(read_once(sd.time_squeeze)), 0u, 0u, 0u, 0u, 0u,
                   static_cast<u32>(read_once(sd.cpu_collision)),
                   static_cast<u32>(read_once(sd.received_rps)));
    }
}

void ptype_line(seq_file *m, const packet_type *pt)
{
    if (pt->type == htons(ETH_P_ALL))
        seq_puts(m, "ALL ");
    else
        seq_printf(m, "%04x", pt->type.host());
    seq_printf(m, " %-8s %s\n", pt->dev ? pt->dev->name : "", pt->func_name);
}

void ptype_show(seq_file *m)
{
    seq_puts(m, "Type Device      Function\n");
    for (const packet_type *pt = rcu_dereference(ptype_all); pt; pt = rcu_dereference(pt->next))
        ptype_line(m, pt);
    for (packet_type *&head : ptype_base)
        for (const packet_type *pt = rcu_dereference(head); pt; pt = rcu_dereference(pt->next))
            ptype_line(m, pt);
}

/// A copy of a filter list, so that nothing is printed under its lock.
struct mc_copy {
    static constexpr unsigned max = 64;
    netdev_hw_addr a[max];
    unsigned n = 0;
};

void mc_lines(net_device *dev, void *arg)
{
    mc_copy c;
    for_each_mc_addr(
        dev,
        [](const netdev_hw_addr *a, void *to) {
            auto *copy = static_cast<mc_copy *>(to);
            if (copy->n < mc_copy::max)
                copy->a[copy->n++] = *a;
        },
        &c);
    auto *m = static_cast<seq_file *>(arg);
    for (unsigned i = 0; i < c.n; i++) {
        const u8 *a = c.a[i].addr;
        seq_printf(m, "%-4u %-15s %-5u %-5d %02x%02x%02x%02x%02x%02x\n", dev->ifindex, dev->name,
                   c.a[i].refcount, 0, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
}

void dev_mc_show(seq_file *m)
{
    for_each_netdev(mc_lines, m);
}
} // namespace

void dev_proc_init()
{
    proc_create("net/dev", dev_show);
    proc_create("net/softnet_stat", softnet_show);
    proc_create("net/ptype", ptype_show);
    proc_create("net/dev_mcast", dev_mc_show);
}

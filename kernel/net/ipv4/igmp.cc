// SPDX-License-Identifier: MIT
// Groups that this host listens to, per device (RFC 1112 level 2 reception). Linux:
// net/ipv4/igmp.c. Lists change under rtnl, read under RCU. The host is a silent listener: received
// IGMP is checked and counted, reports are not sent, which is enough on links without multicast
// routers.

#include "fs/seq_file.h"
#include "lib/printk.h"
#include "mm/slab.h"
#include "net/ipv4/arp.h"
#include "net/ipv4/ip_output.h"
#include "net/ipv4/route.h"

static constexpr be32 IGMP_ALL_HOSTS = htonl(0xe0000001);

bool ip_check_mc(const net_device *dev, be32 group)
{
    const in_device *d = in_dev_get_rcu(dev);
    for (const ip_mc_list *m = d ? rcu_dereference(d->mc_list) : nullptr; m;
         m = rcu_dereference(m->next_rcu))
        if (m->multiaddr == group)
            return true;
    return false;
}

/// Tell the device's filter, while it is up.
static void filter(net_device *dev, be32 group, bool add)
{
    u8 mac[MAX_ADDR_LEN] = {};
    ip_eth_mc_map(group, mac);
    if (dev->type != 1 || !(dev->flags & IFF_UP))
        return;
    if (add)
        dev_mc_add(dev, mac);
    else
        dev_mc_del(dev, mac);
}

static int inc_group(in_device *d, be32 group)
{
    for (ip_mc_list *m = d->mc_list; m; m = m->next_rcu) {
        if (m->multiaddr == group) {
            m->users++;
            return 0;
        }
    }
    auto *m = knew<ip_mc_list>(GFP_KERNEL);
    if (!m)
        return -ENOMEM;
    m->multiaddr = group;
    m->next_rcu = d->mc_list;
    rcu_assign_pointer(d->mc_list, m);
    filter(d->dev, group, true);
    rt_cache_flush();
    return 0;
}

static void mc_free_rcu(rcu_head *h)
{
    kdelete(container_of(h, ip_mc_list, rcu));
}

static int dec_group(in_device *d, be32 group)
{
    for (ip_mc_list **pp = &d->mc_list; *pp; pp = &(*pp)->next_rcu) {
        ip_mc_list *m = *pp;
        if (m->multiaddr != group)
            continue;
        if (--m->users)
            return 0;
        rcu_assign_pointer(*pp, m->next_rcu);
        filter(d->dev, group, false);
        call_rcu(&m->rcu, mc_free_rcu);
        rt_cache_flush();
        return 0;
    }
    return -EADDRNOTAVAIL;
}

void ip_mc_up(in_device *d)
{
    for (const ip_mc_list *m = d->mc_list; m; m = m->next_rcu)
        filter(d->dev, m->multiaddr, true);
    if (!ip_check_mc(d->dev, IGMP_ALL_HOSTS))
        inc_group(d, IGMP_ALL_HOSTS);
}

/// The device is still marked up or just went down: either way its filter list is emptied here.
void ip_mc_down(in_device *d)
{
    for (const ip_mc_list *m = d->mc_list; m; m = m->next_rcu) {
        u8 mac[MAX_ADDR_LEN] = {};
        ip_eth_mc_map(m->multiaddr, mac);
        dev_mc_del(d->dev, mac);
    }
    dec_group(d, IGMP_ALL_HOSTS);
}

int ip_mc_join_dev(net_device *dev, be32 group)
{
    if (!ipv4_is_multicast(group))
        return -EINVAL;
    mutex_guard g{rtnl_mutex};
    return dev->ip_ptr ? inc_group(dev->ip_ptr, group) : -ENODEV;
}

int ip_mc_leave_dev(net_device *dev, be32 group)
{
    mutex_guard g{rtnl_mutex};
    return dev->ip_ptr ? dec_group(dev->ip_ptr, group) : -ENODEV;
}

net_device *ip_mc_find_dev(be32 group, be32 local_addr, u32 ifindex)
{
    if (ifindex)
        return dev_get_by_index(ifindex);
    net_device *dev = nullptr;
    if (local_addr) {
        dev = ip_dev_find(local_addr);
    } else {
        flowi4 fl;
        fl.daddr = group;
        auto r = ip_route_output_key(&fl);
        if (r) {
            dev = (*r)->dev;
            dev_hold(dev);
            dst_release(*r);
            return dev;
        }
    }
    if (dev)
        dev_hold(dev);
    return dev;
}

/// [S] RFC 2236 §2: eight bytes and a checksum.
static int igmp_rcv(sk_buff *skb)
{
    bool bad = skb->len < 8 || csum_fold(skb_checksum(skb, 0, skb->len, 0));
    kfree_skb_reason(skb, bad ? "ip_csum" : "not_specified");
    return 0;
}

const net_protocol igmp_protocol{igmp_rcv, nullptr, "igmp_rcv", true};

static void show_dev(net_device *dev, void *arg)
{
    auto *m = static_cast<seq_file *>(arg);
    const in_device *d = dev->ip_ptr;
    if (!d)
        return;
    unsigned count = 0;
    for (const ip_mc_list *e = d->mc_list; e; e = e->next_rcu)
        count++;
    seq_printf(m, "%u\t%-10s: %5u %7s\n", dev->ifindex, dev->name, count, "V3");
    for (const ip_mc_list *e = d->mc_list; e; e = e->next_rcu)
        seq_printf(m, "\t\t\t\t%08X %5d %d:%08X\t\t%d\n", e->multiaddr.raw, e->users, 0, 0u, 0);
}

static void igmp_show(seq_file *m)
{
    seq_puts(m, "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n");
    mutex_guard g{rtnl_mutex};
    for_each_netdev(show_dev, m);
}

void igmp_proc_init()
{
    proc_create("net/igmp", igmp_show);
}

// SPDX-License-Identifier: MIT
// IPv4 addresses of devices and what follows from them (row L-03). Linux: net/ipv4/devinet.c.
// Lists change under rtnl; readers do not sleep (RCU).

#include "net/ipv4/devinet.h"
#include "lib/printk.h"
#include "mm/slab.h"
#include "net/core/neighbour.h"
#include "net/ipv4/arp.h"
#include "net/ipv4/ip_fib.h"

ipv4_devconf ipv4_devconf_all, ipv4_devconf_dflt;

in_device *inetdev_get(net_device *dev)
{
    if (dev->ip_ptr)
        return dev->ip_ptr;
    if (dev->mtu < 68) // RFC 791: every link carries 68 bytes
        return nullptr;
    auto *d = knew<in_device>(GFP_KERNEL);
    if (!d)
        return nullptr;
    d->cnf = ipv4_devconf_dflt;
    d->dev = dev;
    dev_hold(dev);
    rcu_assign_pointer(dev->ip_ptr, d);
    ipv4_devconf_register(dev->name, &d->cnf);
    if (dev->flags & IFF_UP)
        ip_mc_up(d);
    return d;
}

static void in_dev_free_rcu(rcu_head *h)
{
    in_device *d = container_of(h, in_device, rcu);
    dev_put(d->dev);
    kdelete(d);
}

static void inetdev_destroy(in_device *d)
{
    ip_mc_down(d);
    while (d->ifa_list)
        inet_del_ifa(d, d->ifa_list);
    rcu_assign_pointer(d->dev->ip_ptr, nullptr);
    call_rcu(&d->rcu, in_dev_free_rcu);
}

be32 inet_class_mask(be32 addr)
{
    u32 a = addr.host();
    if (!a)
        return be32{};
    if (!(a & 0x80000000))
        return inet_make_mask(8);
    if ((a & 0xc0000000) == 0x80000000)
        return inet_make_mask(16);
    if ((a & 0xe0000000) == 0xc0000000)
        return inet_make_mask(24);
    return be32{};
}

in_ifaddr *inet_alloc_ifa(net_device *dev, be32 addr, be32 mask, be32 broadcast)
{
    auto *ifa = knew<in_ifaddr>(GFP_KERNEL);
    if (!ifa)
        return nullptr;
    ifa->ifa_local = ifa->ifa_address = addr;
    ifa->ifa_mask = mask ? mask : inet_class_mask(addr);
    ifa->ifa_prefixlen = static_cast<u8>(max(inet_mask_len(ifa->ifa_mask), 0));
    ifa->ifa_scope = ipv4_is_loopback(addr) ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
    ifa->ifa_broadcast = broadcast;
    if (!broadcast && (dev->flags & IFF_BROADCAST) && ifa->ifa_prefixlen < 31)
        ifa->ifa_broadcast = addr | ~ifa->ifa_mask;
    strlcpy(ifa->ifa_label, dev->name, sizeof(ifa->ifa_label));
    return ifa;
}

int inet_insert_ifa(in_device *d, in_ifaddr *ifa)
{
    if (!ifa->ifa_local) {
        kdelete(ifa);
        return 0;
    }
    ifa->secondary = false;
    in_ifaddr **last_primary = &d->ifa_list, **pp = &d->ifa_list;
    for (; *pp; pp = &(*pp)->ifa_next) {
        in_ifaddr *o = *pp;
        if (!o->secondary && ifa->ifa_scope <= o->ifa_scope)
            last_primary = &o->ifa_next;
        if (o->ifa_mask != ifa->ifa_mask || !inet_ifa_match(ifa->ifa_address, o))
            continue;
        if (o->ifa_local == ifa->ifa_local || o->ifa_scope != ifa->ifa_scope) {
            bool same = o->ifa_local == ifa->ifa_local;
            kdelete(ifa);
            return same ? -EEXIST : -EINVAL;
        }
        ifa->secondary = true;
    }
    if (!ifa->secondary)
        pp = last_primary;
    ifa->ifa_dev = d;
    ifa->ifa_next = *pp;
    rcu_assign_pointer(*pp, ifa);
    rtmsg_ifa(true, ifa);
    fib_inetaddr_event(NETDEV_UP, ifa);
    return 0;
}

static void ifa_free_rcu(rcu_head *h)
{
    kdelete(container_of(h, in_ifaddr, rcu));
}

static void unlink_ifa(in_device *d, in_ifaddr *ifa)
{
    in_ifaddr **pp = &d->ifa_list;
    while (*pp && *pp != ifa)
        pp = &(*pp)->ifa_next;
    if (!*pp)
        return;
    rcu_assign_pointer(*pp, ifa->ifa_next);
    rtmsg_ifa(false, ifa);
    fib_inetaddr_event(NETDEV_DOWN, ifa);
    call_rcu(&ifa->rcu, ifa_free_rcu);
}

void inet_del_ifa(in_device *d, in_ifaddr *ifa)
{
    if (!ifa->secondary) {
        for (in_ifaddr *o = d->ifa_list; o;) {
            in_ifaddr *next = o->ifa_next;
            if (o->secondary && o->ifa_mask == ifa->ifa_mask && inet_ifa_match(o->ifa_address, ifa))
                unlink_ifa(d, o);
            o = next;
        }
    }
    unlink_ifa(d, ifa);
}

int inet_set_ifaddr(net_device *dev, be32 addr, be32 mask, be32 brd)
{
    in_device *d = inetdev_get(dev);
    if (!d)
        return -ENOBUFS;
    in_ifaddr *ifa = inet_alloc_ifa(dev, addr, mask, brd);
    if (!ifa)
        return -ENOBUFS;
    if (d->ifa_list)
        inet_del_ifa(d, d->ifa_list);
    return inet_insert_ifa(d, ifa);
}

be32 inet_select_addr(net_device *dev, be32 dst, u8 scope)
{
    be32 found{};
    in_device *d = in_dev_get_rcu(dev);
    for (const in_ifaddr *ifa = d ? rcu_dereference(d->ifa_list) : nullptr; ifa;
         ifa = rcu_dereference(ifa->ifa_next)) {
        if (ifa->secondary || ifa->ifa_scope > scope)
            continue;
        if (!dst || inet_ifa_match(dst, ifa))
            return ifa->ifa_local;
        if (!found)
            found = ifa->ifa_local;
    }
    if (found)
        return found;
    // Not on this device: any device's address that is valid far enough (but not lo's).
    for (u32 at = 0; net_device *o = netdev_next(at);) {
        at = o->ifindex;
        d = in_dev_get_rcu(o);
        for (const in_ifaddr *ifa = d ? rcu_dereference(d->ifa_list) : nullptr; ifa && !found;
             ifa = rcu_dereference(ifa->ifa_next))
            if (!ifa->secondary && ifa->ifa_scope != RT_SCOPE_LINK && ifa->ifa_scope <= scope)
                found = ifa->ifa_local;
        dev_put(o);
        if (found)
            break;
    }
    return found;
}

/// lo gets 127.0.0.1/8 when it is brought up, as Linux does (inetdev_event).
static void loopback_up(net_device *dev)
{
    in_device *d = inetdev_get(dev);
    if (!d || d->ifa_list)
        return;
    if (in_ifaddr *ifa = inet_alloc_ifa(dev, INADDR_LOOPBACK, inet_make_mask(8), be32{}))
        inet_insert_ifa(d, ifa);
}

static void inetdev_event(netdev_event e, net_device *dev)
{
    in_device *d = dev->ip_ptr;
    switch (e) {
    case NETDEV_REGISTER:
        inetdev_get(dev);
        break;
    case NETDEV_UP:
        if (dev->flags & IFF_LOOPBACK)
            loopback_up(dev);
        if ((d = inetdev_get(dev)))
            ip_mc_up(d);
        break;
    case NETDEV_DOWN:
        if (d)
            ip_mc_down(d);
        break;
    case NETDEV_CHANGEMTU:
        if (d && dev->mtu < 68)
            inetdev_destroy(d);
        break;
    case NETDEV_UNREGISTER:
        if (d)
            inetdev_destroy(d);
        break;
    default:
        break;
    }
    fib_netdev_event(e, dev);
    arp_netdev_event(e, dev);
}

static void add_existing(net_device *dev, void *)
{
    inetdev_event(NETDEV_REGISTER, dev);
    if (dev->flags & IFF_UP)
        inetdev_event(NETDEV_UP, dev);
}

void devinet_init()
{
    devinet_netlink_init();
    fib_netlink_init();
    ipv4_devconf_register("all", &ipv4_devconf_all);
    ipv4_devconf_register("default", &ipv4_devconf_dflt);
    static netdev_notifier ip_netdev_notifier;
    ip_netdev_notifier.call = inetdev_event;
    register_netdevice_notifier(&ip_netdev_notifier);
    mutex_guard g{rtnl_mutex};
    for_each_netdev(add_existing, nullptr);
}

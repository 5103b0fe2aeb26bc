// SPDX-License-Identifier: MIT
// Bringing devices up and down, their flags, MTU, addresses and receive filters (rows B-12, B-13).
// Linux: net/core/dev.c, net/core/dev_addr_lists.c. Process context with rtnl.

#include "lib/printk.h"
#include "mm/slab.h"
#include "net/core/dev.h"
#include "net/sched/sch_generic.h"

int dev_open(net_device *dev)
{
    if (dev->flags & IFF_UP)
        return 0;
    if (!(dev->state.load() & LINK_STATE_PRESENT))
        return -ENODEV;
    dev->state.fetch_or(LINK_STATE_START);
    int err = dev->netdev_ops->ndo_open ? dev->netdev_ops->ndo_open(dev) : 0;
    if (err) {
        dev->state.fetch_and(~LINK_STATE_START);
        return err;
    }
    dev->flags |= IFF_UP;
    dev_set_rx_mode(dev);
    dev_activate(dev);
    call_netdevice_notifiers(NETDEV_UP, dev);
    return 0;
}

int dev_close(net_device *dev)
{
    if (!(dev->flags & IFF_UP))
        return 0;
    dev->state.fetch_and(~LINK_STATE_START);
    dev_deactivate(dev);
    if (dev->netdev_ops->ndo_stop)
        dev->netdev_ops->ndo_stop(dev);
    dev->flags &= ~IFF_UP;
    call_netdevice_notifiers(NETDEV_DOWN, dev);
    return 0;
}

u32 dev_get_flags(const net_device *dev)
{
    u32 f = dev->flags & ~IFF_RUNNING;
    if (netif_running(dev) && netif_carrier_ok(dev))
        f |= IFF_RUNNING;
    return f;
}

static int change_count(net_device *dev, int *count, u32 flag, int inc)
{
    if (*count + inc < 0)
        return -EINVAL;
    bool was = *count != 0;
    *count += inc;
    if (was == (*count != 0))
        return 0;
    dev->flags ^= flag;
    dev_set_rx_mode(dev);
    return 0;
}

int dev_set_promiscuity(net_device *dev, int inc)
{
    return change_count(dev, &dev->promiscuity, IFF_PROMISC, inc);
}
int dev_set_allmulti(net_device *dev, int inc)
{
    return change_count(dev, &dev->allmulti, IFF_ALLMULTI, inc);
}

int dev_change_flags(net_device *dev, u32 flags)
{
    constexpr u32 direct =
        IFF_NOARP | IFF_MULTICAST | 0x4 /* DEBUG */ | 0x20 /* NOTRAILERS */ | 0x4000 /* DYNAMIC */;
    u32 old = dev->flags;
    dev->flags = (flags & direct) | (dev->flags & ~direct);
    if ((old ^ dev->flags) & IFF_MULTICAST)
        dev_set_rx_mode(dev);
    int err = 0;
    if ((old ^ flags) & IFF_UP)
        err = old & IFF_UP ? dev_close(dev) : dev_open(dev);
    // A program's wish counts once in the reference counts that drivers and sockets share.
    if ((flags ^ old) & IFF_PROMISC)
        dev_set_promiscuity(dev, flags & IFF_PROMISC ? 1 : -1);
    if ((flags ^ old) & IFF_ALLMULTI)
        dev_set_allmulti(dev, flags & IFF_ALLMULTI ? 1 : -1);
    if (!err && (dev->flags & IFF_UP) && (old & IFF_UP) && old != dev->flags)
        call_netdevice_notifiers(NETDEV_CHANGE, dev);
    return err;
}

int dev_set_mtu(net_device *dev, int mtu)
{
    if (mtu < 0)
        return -EINVAL;
    if (static_cast<u32>(mtu) == dev->mtu)
        return 0;
    if (dev->netdev_ops->ndo_change_mtu) {
        if (int err = dev->netdev_ops->ndo_change_mtu(dev, mtu))
            return err;
    } else if (mtu < 68 || mtu > 65536) {
        return -EINVAL;
    }
    dev->mtu = static_cast<u32>(mtu);
    if (dev->flags & IFF_UP)
        call_netdevice_notifiers(NETDEV_CHANGEMTU, dev);
    return 0;
}

int dev_set_mac_address(net_device *dev, const u8 *addr)
{
    if (!dev->netdev_ops->ndo_set_mac_address)
        return -EOPNOTSUPP;
    if (addr[0] & 1)
        return -EADDRNOTAVAIL; // a group address cannot be a station's
    if (int err = dev->netdev_ops->ndo_set_mac_address(dev, addr))
        return err;
    memcpy(dev->dev_addr, addr, dev->addr_len);
    call_netdevice_notifiers(NETDEV_CHANGEADDR, dev);
    return 0;
}

void dev_set_rx_mode(net_device *dev)
{
    if ((dev->flags & IFF_UP) && dev->netdev_ops->ndo_set_rx_mode)
        dev->netdev_ops->ndo_set_rx_mode(dev);
}

int dev_mc_add(net_device *dev, const u8 *addr)
{
    auto *fresh = static_cast<netdev_hw_addr *>(kzalloc(sizeof(netdev_hw_addr), GFP_KERNEL));
    if (!fresh)
        return -ENOMEM;
    {
        spin_guard<bh> g{dev->mc_lock};
        for (netdev_hw_addr *a = dev->mc_list; a; a = a->next) {
            if (!memcmp(a->addr, addr, dev->addr_len)) {
                a->refcount++;
                kfree(fresh);
                return 0;
            }
        }
        memcpy(fresh->addr, addr, dev->addr_len);
        fresh->refcount = 1;
        fresh->next = dev->mc_list;
        dev->mc_list = fresh;
    }
    dev_set_rx_mode(dev);
    return 0;
}

int dev_mc_del(net_device *dev, const u8 *addr)
{
    netdev_hw_addr *gone = nullptr;
    {
        spin_guard<bh> g{dev->mc_lock};
        netdev_hw_addr **pp = &dev->mc_list;
        while (*pp && memcmp((*pp)->addr, addr, dev->addr_len))
            pp = &(*pp)->next;
        if (!*pp)
            return -ENOENT;
        if (--(*pp)->refcount)
            return 0;
        gone = *pp;
        *pp = gone->next;
    }
    kfree(gone);
    dev_set_rx_mode(dev);
    return 0;
}

void for_each_mc_addr(net_device *dev, void (*f)(const netdev_hw_addr *, void *), void *arg)
{
    spin_guard<bh> g{dev->mc_lock};
    for (netdev_hw_addr *a = dev->mc_list; a; a = a->next)
        f(a, arg);
}

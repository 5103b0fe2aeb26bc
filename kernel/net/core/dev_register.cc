// SPDX-License-Identifier: MIT
// Network devices: allocation, names, registration, lookup, life (row B-12). Linux: net/core/dev.c.
// The list of devices: changed under rtnl and dev_base_lock (BH), looked up under dev_base_lock. A
// device lives while referenced; unregister_netdev() waits for the last reference but its own.

#include "lib/initcall.h"
#include "lib/printk.h"
#include "mm/slab.h"
#include "net/core/dev.h"
#include "net/sched/sch_generic.h"

constinit static_object<mutex> rtnl_storage;
net_device *loopback_dev;

namespace
{
using device_list = list<net_device, &net_device::dev_list>;
constinit static_object<device_list> dev_base;
constinit spinlock dev_base_lock{"dev_base_lock"};
netdev_notifier *netdev_chain; // rtnl
u32 last_ifindex;

/// Index of the name's "%d" or null; only "eth%d"-like names are made here.
bool name_is_template(const char *name)
{
    return strchr(name, '%') != nullptr;
}

net_device *find_name(const char *name)
{
    for (net_device &d : *dev_base)
        if (!strcmp(d.name, name))
            return &d;
    return nullptr;
}

/// Replace the template by the first free number. dev_base_lock.
int alloc_name(net_device *dev)
{
    char name[16], stem[16];
    strlcpy(stem, dev->name, sizeof(stem));
    char *pct = strchr(stem, '%');
    if (pct[1] != 'd' || pct[2])
        return -EINVAL;
    *pct = 0;
    for (unsigned i = 0; i < 1000; i++) {
        if (snprintf(name, sizeof(name), "%s%u", stem, i) >= static_cast<int>(sizeof(name)))
            return -EINVAL;
        if (!find_name(name)) {
            strlcpy(dev->name, name, sizeof(dev->name));
            return 0;
        }
    }
    return -ENFILE;
}

/// Name, index, list.
int list_netdevice(net_device *dev)
{
    spin_guard<bh> g{dev_base_lock};
    if (name_is_template(dev->name)) {
        if (int err = alloc_name(dev))
            return err;
    } else if (find_name(dev->name)) {
        return -EEXIST;
    }
    dev->ifindex = ++last_ifindex;
    dev_base->push_back(*dev);
    dev->registered = true;
    return 0;
}
} // namespace

int rtnl_init()
{
    rtnl_storage.init("rtnl_mutex");
    dev_base.init();
    return 0;
}
core_initcall(rtnl_init);

void register_netdevice_notifier(netdev_notifier *n)
{
    mutex_guard g{rtnl_mutex};
    n->next = nullptr;
    netdev_notifier **pp = &netdev_chain;
    while (*pp)
        pp = &(*pp)->next;
    *pp = n;
}

void call_netdevice_notifiers(netdev_event e, net_device *dev)
{
    for (netdev_notifier *n = netdev_chain; n; n = n->next)
        n->call(e, dev);
}

net_device *alloc_netdev_mq(size_t priv_size, const char *name, void (*setup)(net_device *),
                            unsigned queues)
{
    if (!queues || queues > 256 || strlen(name) >= sizeof(net_device::name))
        return nullptr;
    auto *dev = knew<net_device>(GFP_KERNEL);
    if (!dev)
        return nullptr;
    strlcpy(dev->name, name, sizeof(dev->name));
    auto *tx = static_cast<netdev_queue *>(kmalloc(queues * sizeof(netdev_queue), GFP_KERNEL));
    dev->priv = priv_size ? kzalloc(priv_size, GFP_KERNEL) : nullptr;
    if (!tx || (priv_size && !dev->priv)) {
        kfree(tx);
        kfree(dev->priv);
        kdelete(dev);
        return nullptr;
    }
    for (unsigned i = 0; i < queues; i++)
        (new (&tx[i]) netdev_queue)->dev = dev;
    dev->tx = tx;
    dev->num_tx_queues = dev->real_num_tx_queues = dev->num_rx_queues = queues;
    setup(dev);
    dev_init_scheduler(dev);
    return dev;
}

net_device *alloc_etherdev_mq(size_t priv_size, unsigned queues)
{
    return alloc_netdev_mq(priv_size, "eth%d", ether_setup, queues);
}

void free_netdev(net_device *dev)
{
    dev_shutdown(dev);
    while (netdev_hw_addr *a = dev->mc_list) {
        dev->mc_list = a->next;
        kfree(a);
    }
    for (unsigned i = 0; i < dev->num_tx_queues; i++)
        dev->tx[i].~netdev_queue();
    kfree(dev->tx);
    kfree(dev->priv);
    kdelete(dev);
}

int register_netdev(net_device *dev)
{
    mutex_guard g{rtnl_mutex};
    if (dev->netdev_ops->ndo_init)
        if (int err = dev->netdev_ops->ndo_init(dev))
            return err;
    if (int err = list_netdevice(dev))
        return err;
    dev_sysfs_register(dev);
    call_netdevice_notifiers(NETDEV_REGISTER, dev);
    return 0;
}

void unregister_netdev(net_device *dev)
{
    mutex_guard g{rtnl_mutex};
    dev_close(dev);
    {
        spin_guard<bh> b{dev_base_lock};
        if (!dev->registered)
            return;
        device_list::erase(*dev);
        dev->registered = false;
    }
    call_netdevice_notifiers(NETDEV_UNREGISTER, dev);
    synchronize_rcu();
    for (unsigned tries = 1; dev->refcnt.read() > 1; tries++) {
        set_current_state(TASK_UNINTERRUPTIBLE);
        schedule_timeout(10);
        call_netdevice_notifiers(NETDEV_UNREGISTER, dev);
        if (tries % 1000 == 0)
            pr_warn("unregister_netdevice: waiting for %s to become free. Usage count = %d\n",
                    dev->name, dev->refcnt.read() - 1);
    }
}

void dev_put(net_device *d)
{
    if (d)
        BUG_ON(d->refcnt.put()); // the registration's own reference goes with free_netdev
}

net_device *dev_get_by_name(const char *name)
{
    spin_guard<bh> g{dev_base_lock};
    net_device *d = find_name(name);
    if (d)
        dev_hold(d);
    return d;
}

net_device *dev_get_by_index(u32 ifindex)
{
    spin_guard<bh> g{dev_base_lock};
    for (net_device &d : *dev_base) {
        if (d.ifindex == ifindex) {
            dev_hold(&d);
            return &d;
        }
    }
    return nullptr;
}

net_device *netdev_next(u32 after_ifindex)
{
    spin_guard<bh> g{dev_base_lock};
    net_device *best = nullptr;
    for (net_device &d : *dev_base)
        if (d.ifindex > after_ifindex && (!best || d.ifindex < best->ifindex))
            best = &d;
    if (best)
        dev_hold(best);
    return best;
}

void for_each_netdev(void (*f)(net_device *, void *), void *arg)
{
    u32 at = 0;
    while (net_device *d = netdev_next(at)) {
        at = d->ifindex;
        f(d, arg);
        dev_put(d);
    }
}

void dev_get_stats(net_device *dev, net_device_stats *s)
{
    memset(s, 0, sizeof(*s));
    if (dev->netdev_ops->ndo_get_stats64)
        dev->netdev_ops->ndo_get_stats64(dev, s);
    s->rx_dropped += dev->rx_dropped.load(std::memory_order_relaxed);
    s->tx_dropped += dev->tx_dropped.load(std::memory_order_relaxed);
}

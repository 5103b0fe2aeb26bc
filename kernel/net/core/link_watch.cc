// SPDX-License-Identifier: MIT
// Carrier changes: drivers report them from any context, a kernel thread (Linux: the events
// workqueue) activates or deactivates the device's queues under rtnl and tells the notifiers.
// Linux: net/core/link_watch.c.

#include "lib/printk.h"
#include "net/core/dev.h"
#include "net/sched/sch_generic.h"
#include "sched/sched.h"
#include "sched/wait.h"

namespace
{
constinit spinlock lw_lock{"linkwatch"};
net_device *lw_head; // devices with a pending event, referenced
constinit static_object<wait_queue_head> lw_wait;

net_device *take_event()
{
    spin_guard<irqsave> g{lw_lock};
    net_device *d = lw_head;
    if (d) {
        lw_head = d->lw_next;
        d->lw_next = nullptr;
        d->lw_pending = false;
    }
    return d;
}

void linkwatch_do_dev(net_device *dev)
{
    mutex_guard g{rtnl_mutex};
    if (!(dev->flags & IFF_UP))
        return;
    if (netif_carrier_ok(dev))
        dev_activate(dev);
    else
        dev_deactivate(dev);
    call_netdevice_notifiers(NETDEV_CHANGE, dev);
}

void linkwatch_thread(void *)
{
    for (;;) {
        wait_event(&*lw_wait, read_once(lw_head) != nullptr);
        while (net_device *dev = take_event()) {
            linkwatch_do_dev(dev);
            dev_put(dev);
        }
    }
}
} // namespace

void linkwatch_fire_event(net_device *dev)
{
    {
        spin_guard<irqsave> g{lw_lock};
        if (dev->lw_pending)
            return;
        dev->lw_pending = true;
        dev_hold(dev);
        dev->lw_next = lw_head;
        lw_head = dev;
    }
    wake_up(&*lw_wait);
}

void linkwatch_init()
{
    lw_wait.init();
    task_struct *t = kthread_create(linkwatch_thread, nullptr, -1, "linkwatch");
    if (!t)
        panic("no memory for the link watch thread");
    wake_up_process(t);
}

void netif_carrier_on(net_device *dev)
{
    if (!(dev->state.fetch_and(~LINK_STATE_NOCARRIER) & LINK_STATE_NOCARRIER) || !dev->registered)
        return;
    linkwatch_fire_event(dev);
    if (netif_running(dev))
        __netdev_watchdog_up(dev);
}

void netif_carrier_off(net_device *dev)
{
    if ((dev->state.fetch_or(LINK_STATE_NOCARRIER) & LINK_STATE_NOCARRIER) || !dev->registered)
        return;
    linkwatch_fire_event(dev);
}

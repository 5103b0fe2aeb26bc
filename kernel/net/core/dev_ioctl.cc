// SPDX-License-Identifier: MIT
// The device ioctls that ifconfig uses (SIOCGIF…, SIOCSIF…). Linux: net/core/dev_ioctl.c. Process
// context; takes rtnl. Every value from user space is copied in first and checked; changes need uid
// 0 (CAP_NET_ADMIN).

#include "lib/printk.h"
#include "mm/uaccess.h"
#include "net/core/dev.h"
#include "net/core/ethtool.h"
#include "net/core/ifreq.h"
#include "net/ipv4/inet_sock.h"
#include "sched/sched.h"

int (*gifconf_inet)(net_device *dev, u64 user_buf, int len);

namespace
{
struct ifconf {
    s32 len;
    u64 buf;
};

/// SIOCGIFCONF: one ifreq for each address; with no buffer, the size they need.
result<s64> dev_ifconf(u64 arg)
{
    ifconf c;
    TRY_VOID(copy_from_user(&c, user_ptr<const void>{arg}, sizeof(c)));
    if (c.len < 0)
        return error{EINVAL};
    mutex_guard g{rtnl_mutex};
    int total = 0;
    u32 at = 0;
    while (net_device *d = netdev_next(at)) {
        at = d->ifindex;
        int done = gifconf_inet
                       ? gifconf_inet(d, c.buf ? c.buf + static_cast<u64>(total) : 0, c.len - total)
                       : 0;
        dev_put(d);
        if (done < 0)
            return error{EFAULT};
        total += done;
    }
    c.len = total;
    TRY_VOID(copy_to_user(user_ptr<void>{arg}, &c, sizeof(c)));
    return 0;
}

result<s64> dev_ifname(ifreq *r)
{
    net_device *d = r->ivalue > 0 ? dev_get_by_index(static_cast<u32>(r->ivalue)) : nullptr;
    if (!d)
        return error{ENODEV};
    strlcpy(r->name, d->name, sizeof(r->name));
    dev_put(d);
    return 0;
}

/// Reading. The result goes back to the user in *r.
result<s64> get(net_device *d, ifreq *r, u32 cmd)
{
    switch (cmd) {
    case SIOCGIFFLAGS:
        r->flags = static_cast<s16>(dev_get_flags(d));
        return 0;
    case SIOCGIFMETRIC:
        r->ivalue = 0;
        return 0;
    case SIOCGIFMTU:
        r->ivalue = static_cast<s32>(d->mtu);
        return 0;
    case SIOCGIFHWADDR:
        memset(r->hwaddr, 0, sizeof(r->hwaddr));
        memcpy(r->hwaddr, &d->type, 2);
        memcpy(r->hwaddr + 2, d->dev_addr, d->addr_len);
        return 0;
    case SIOCGIFINDEX:
        r->ivalue = static_cast<s32>(d->ifindex);
        return 0;
    case SIOCGIFTXQLEN:
        r->ivalue = static_cast<s32>(d->tx_queue_len);
        return 0;
    default: // SIOCGIFMAP
        r->map = {d->mem_start, d->mem_end, 0, static_cast<u8>(d->irq), 0, 0};
        return 0;
    }
}

/// Changing. rtnl.
int set(net_device *d, const ifreq *r, u32 cmd)
{
    switch (cmd) {
    case SIOCSIFFLAGS:
        return dev_change_flags(d, static_cast<u16>(r->flags));
    case SIOCSIFMETRIC:
        return -EOPNOTSUPP;
    case SIOCSIFMTU:
        return dev_set_mtu(d, r->ivalue);
    case SIOCSIFHWADDR: {
        u16 family;
        memcpy(&family, r->hwaddr, 2);
        return family == d->type ? dev_set_mac_address(d, r->hwaddr + 2) : -EINVAL;
    }
    case SIOCADDMULTI:
    case SIOCDELMULTI:
        if (!d->netdev_ops->ndo_set_rx_mode || r->hwaddr[0] || r->hwaddr[1] || !(r->hwaddr[2] & 1))
            return -EINVAL;
        return cmd == SIOCADDMULTI ? dev_mc_add(d, r->hwaddr + 2) : dev_mc_del(d, r->hwaddr + 2);
    default: // SIOCSIFTXQLEN
        if (r->ivalue < 0)
            return -EINVAL;
        d->tx_queue_len = static_cast<u32>(r->ivalue);
        return 0;
    }
}

bool is_get(u32 cmd)
{
    return cmd == SIOCGIFFLAGS || cmd == SIOCGIFMETRIC || cmd == SIOCGIFMTU ||
           cmd == SIOCGIFHWADDR || cmd == SIOCGIFINDEX || cmd == SIOCGIFTXQLEN || cmd == SIOCGIFMAP;
}
bool is_set(u32 cmd)
{
    return cmd == SIOCSIFFLAGS || cmd == SIOCSIFMETRIC || cmd == SIOCSIFMTU ||
           cmd == SIOCSIFHWADDR || cmd == SIOCADDMULTI || cmd == SIOCDELMULTI ||
           cmd == SIOCSIFTXQLEN;
}

result<s64> one_device(net_device *d, ifreq *r, u32 cmd, u64 arg)
{
    if (is_get(cmd)) {
        TRY(get(d, r, cmd));
        TRY_VOID(copy_to_user(user_ptr<void>{arg}, r, sizeof(*r)));
        return 0;
    }
    if (cmd != SIOCETHTOOL && !is_set(cmd))
        return error{ENOTTY};
    mutex_guard g{rtnl_mutex};
    if (cmd == SIOCETHTOOL)
        return dev_ethtool(d, r->data);
    if (current()->uid)
        return error{EPERM};
    int err = set(d, r, cmd);
    if (err)
        return error{static_cast<errno_t>(-err)};
    return 0;
}
} // namespace

result<s64> dev_ioctl(u32 cmd, u64 arg)
{
    if (cmd == SIOCGIFCONF)
        return dev_ifconf(arg);
    if (!is_get(cmd) && !is_set(cmd) && cmd != SIOCETHTOOL && cmd != SIOCGIFNAME)
        return error{ENOTTY};
    ifreq r;
    TRY_VOID(copy_from_user(&r, user_ptr<const void>{arg}, sizeof(r)));
    if (cmd == SIOCGIFNAME) {
        TRY(dev_ifname(&r));
        TRY_VOID(copy_to_user(user_ptr<void>{arg}, &r, sizeof(r)));
        return 0;
    }
    r.name[sizeof(r.name) - 1] = 0;
    char label[sizeof(r.name)];
    strlcpy(label, r.name, sizeof(label));
    if (char *colon = strchr(label, ':')) // an alias: its device
        *colon = 0;
    net_device *d = dev_get_by_name(label);
    if (!d)
        return error{ENODEV};
    auto res = one_device(d, &r, cmd, arg);
    dev_put(d);
    return res;
}

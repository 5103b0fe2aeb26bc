// SPDX-License-Identifier: MIT
// SIOCGIFADDR, SIOCSIFADDR and friends: what ifconfig does to addresses. Linux: net/ipv4/devinet.c
// devinet_ioctl. Process context; takes rtnl. An address that changes is replaced by a changed
// copy, since readers may hold the old one.

#include "lib/printk.h"
#include "mm/slab.h"
#include "mm/uaccess.h"
#include "net/core/ifreq.h"
#include "net/ipv4/devinet.h"
#include "net/ipv4/inet_sock.h"
#include "net/ipv4/inetdevice.h"
#include "sched/sched.h"

namespace
{
bool reads(u32 cmd)
{
    return cmd == SIOCGIFADDR || cmd == SIOCGIFBRDADDR || cmd == SIOCGIFDSTADDR ||
           cmd == SIOCGIFNETMASK;
}
bool writes(u32 cmd)
{
    return cmd == SIOCSIFADDR || cmd == SIOCSIFBRDADDR || cmd == SIOCSIFDSTADDR ||
           cmd == SIOCSIFNETMASK || cmd == SIOCSIFFLAGS;
}

/// The address with this label (an alias "eth0:1", or the device's name).
in_ifaddr *find_label(const in_device *d, const char *label)
{
    for (in_ifaddr *a = d ? d->ifa_list : nullptr; a; a = a->ifa_next)
        if (!strcmp(a->ifa_label, label))
            return a;
    return nullptr;
}

void read_address(const in_ifaddr *a, u32 cmd, ifreq *r)
{
    be32 v = cmd == SIOCGIFADDR      ? a->ifa_local
             : cmd == SIOCGIFBRDADDR ? a->ifa_broadcast
             : cmd == SIOCGIFDSTADDR ? a->ifa_address
                                     : a->ifa_mask;
    r->addr = sockaddr_in{AF_INET, {}, v, {}};
}

/// Put `n` in the place of `old` (may be null). Takes n. rtnl
int replace(in_device *d, in_ifaddr *old, in_ifaddr *n)
{
    if (old)
        inet_del_ifa(d, old);
    return inet_insert_ifa(d, n);
}

in_ifaddr *copy_ifa(const in_ifaddr *a)
{
    auto *n = knew<in_ifaddr>(GFP_KERNEL);
    if (!n)
        return nullptr;
    n->ifa_local = a->ifa_local;
    n->ifa_address = a->ifa_address;
    n->ifa_mask = a->ifa_mask;
    n->ifa_broadcast = a->ifa_broadcast;
    n->ifa_prefixlen = a->ifa_prefixlen;
    n->ifa_scope = a->ifa_scope;
    memcpy(n->ifa_label, a->ifa_label, sizeof(n->ifa_label));
    return n;
}

int set_address(net_device *dev, in_ifaddr *old, const char *label, be32 addr)
{
    if (inet_class_mask(addr) == be32{} && addr)
        return -EINVAL; // multicast, class E: no station's address
    in_device *d = inetdev_get(dev);
    if (!d)
        return -ENOBUFS;
    if (old && old->ifa_local == addr)
        return 0;
    if (!addr) {
        if (old)
            inet_del_ifa(d, old);
        return 0;
    }
    in_ifaddr *n = inet_alloc_ifa(dev, addr, be32{}, be32{});
    if (!n)
        return -ENOBUFS;
    strlcpy(n->ifa_label, label, sizeof(n->ifa_label));
    return replace(d, old, n);
}

int set_netmask(net_device *dev, in_ifaddr *old, be32 mask)
{
    int len = inet_mask_len(mask);
    if (len < 0)
        return -EINVAL;
    if (old->ifa_mask == mask)
        return 0;
    in_ifaddr *n = copy_ifa(old);
    if (!n)
        return -ENOBUFS;
    n->ifa_mask = mask;
    n->ifa_prefixlen = static_cast<u8>(len);
    // A broadcast address that followed from the old mask follows the new one.
    if ((dev->flags & IFF_BROADCAST) && len < 31 &&
        old->ifa_broadcast == (old->ifa_local | ~old->ifa_mask))
        n->ifa_broadcast = n->ifa_local | ~mask;
    return replace(dev->ip_ptr, old, n);
}

int set_other(net_device *dev, in_ifaddr *old, u32 cmd, be32 v)
{
    in_ifaddr *n = copy_ifa(old);
    if (!n)
        return -ENOBUFS;
    if (cmd == SIOCSIFBRDADDR) {
        n->ifa_broadcast = v;
    } else {
        if (!(dev->flags & IFF_POINTOPOINT) && !inet_class_mask(v)) {
            kdelete(n);
            return -EINVAL;
        }
        n->ifa_address = v;
    }
    return replace(dev->ip_ptr, old, n);
}

int set_one(net_device *dev, in_ifaddr *ifa, const char *label, u32 cmd, const ifreq &r)
{
    if (cmd == SIOCSIFFLAGS) {
        if (!strchr(label, ':'))
            return dev_change_flags(dev, static_cast<u16>(r.flags));
        if (!ifa)
            return -EADDRNOTAVAIL;
        if (!(r.flags & static_cast<s16>(IFF_UP))) // an alias that goes down is deleted
            inet_del_ifa(dev->ip_ptr, ifa);
        return 0;
    }
    if (r.addr.sin_family != AF_INET)
        return -EINVAL;
    if (cmd == SIOCSIFADDR)
        return set_address(dev, ifa, label, r.addr.sin_addr);
    if (!ifa)
        return -EADDRNOTAVAIL;
    return cmd == SIOCSIFNETMASK ? set_netmask(dev, ifa, r.addr.sin_addr)
                                 : set_other(dev, ifa, cmd, r.addr.sin_addr);
}
} // namespace

int inet_gifconf(net_device *dev, u64 buf, int len)
{
    int done = 0;
    for (const in_ifaddr *a = dev->ip_ptr ? dev->ip_ptr->ifa_list : nullptr; a; a = a->ifa_next) {
        if (!buf) {
            done += static_cast<int>(sizeof(ifreq));
            continue;
        }
        if (len - done < static_cast<int>(sizeof(ifreq)))
            break;
        ifreq r;
        memset(r.raw, 0, sizeof(r.raw));
        memset(r.name, 0, sizeof(r.name));
        strlcpy(r.name, a->ifa_label, sizeof(r.name));
        r.addr = sockaddr_in{AF_INET, {}, a->ifa_local, {}};
        if (!copy_to_user(user_ptr<void>{buf + static_cast<u64>(done)}, &r, sizeof(r)))
            return -EFAULT;
        done += static_cast<int>(sizeof(ifreq));
    }
    return done;
}

result<s64> devinet_ioctl(u32 cmd, u64 arg)
{
    if (!reads(cmd) && !writes(cmd))
        return error{EINVAL};
    ifreq r;
    TRY_VOID(copy_from_user(&r, user_ptr<const void>{arg}, sizeof(r)));
    r.name[sizeof(r.name) - 1] = 0;
    if (writes(cmd) && current()->uid)
        return error{EPERM};
    char name[sizeof(r.name)];
    strlcpy(name, r.name, sizeof(name));
    if (char *colon = strchr(name, ':'))
        *colon = 0;
    mutex_guard g{rtnl_mutex};
    net_device *dev = dev_get_by_name(name);
    if (!dev)
        return error{ENODEV};
    dev_put(dev); // rtnl keeps it
    in_ifaddr *ifa = find_label(dev->ip_ptr, r.name);
    if (reads(cmd)) {
        if (!ifa)
            return error{EADDRNOTAVAIL};
        read_address(ifa, cmd, &r);
        TRY_VOID(copy_to_user(user_ptr<void>{arg}, &r, sizeof(r)));
        return 0;
    }
    int err = set_one(dev, ifa, r.name, cmd, r);
    if (err)
        return error{static_cast<errno_t>(-err)};
    return 0;
}

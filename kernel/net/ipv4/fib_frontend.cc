// SPDX-License-Identifier: MIT
// Routes that follow from addresses and devices (row L-03), and the route ioctls. Linux:
// net/ipv4/fib_frontend.c. Process context with rtnl.

#include "lib/printk.h"
#include "net/core/sock.h"
#include "net/ipv4/devinet.h"
#include "net/ipv4/inet_sock.h"
#include "net/ipv4/ip_fib.h"
#include "net/ipv4/route.h"

namespace
{
/// Add or delete one of the kernel's own routes (Linux fib_magic).
void fib_magic(bool add, u8 type, be32 dst, u8 plen, const in_ifaddr *ifa)
{
    fib_config c;
    c.type = type;
    c.dst = dst;
    c.plen = plen;
    c.protocol = RTPROT_KERNEL;
    c.prefsrc = ifa->ifa_local;
    c.dev = ifa->ifa_dev->dev;
    c.scope = type == RTN_LOCAL ? RT_SCOPE_HOST : RT_SCOPE_LINK;
    fib_table &t = type == RTN_UNICAST ? fib_table_main : fib_table_local;
    if (add)
        fib_table_insert(t, c, false);
    else
        fib_table_delete(t, c);
}

/// The routes of one address, each f(type, prefix, length).
template <class F>
void for_each_ifa_route(const in_ifaddr *ifa, bool up, F &&f)
{
    be32 mask = ifa->ifa_mask, addr = ifa->ifa_local, prefix = ifa->ifa_address & mask;
    f(RTN_LOCAL, addr, u8{32});
    if (!up)
        return;
    if (ifa->ifa_broadcast && !ipv4_is_lbcast(ifa->ifa_broadcast))
        f(RTN_BROADCAST, ifa->ifa_broadcast, u8{32});
    if (ipv4_is_zeronet(prefix) || ifa->secondary || (prefix == addr && ifa->ifa_prefixlen == 32))
        return;
    f(ifa->ifa_dev->dev->flags & IFF_LOOPBACK ? RTN_LOCAL : RTN_UNICAST, prefix,
      ifa->ifa_prefixlen);
    if (ifa->ifa_prefixlen < 31) {
        f(RTN_BROADCAST, prefix, u8{32});
        f(RTN_BROADCAST, prefix | ~mask, u8{32});
    }
}

void fib_add_ifaddr(const in_ifaddr *ifa)
{
    bool up = ifa->ifa_dev->dev->flags & IFF_UP;
    for_each_ifa_route(ifa, up,
                       [&](u8 type, be32 dst, u8 plen) { fib_magic(true, type, dst, plen, ifa); });
}

struct prefsrc_gone {
    be32 addr;
};
bool has_prefsrc(const fib_alias *a, void *arg)
{
    be32 addr = static_cast<prefsrc_gone *>(arg)->addr;
    return a->fi->fib_prefsrc == addr && a->type != RTN_LOCAL && a->type != RTN_BROADCAST;
}

/// The address is off its device's list already; routes that other addresses need as well are put
/// back.
void fib_del_ifaddr(const in_ifaddr *ifa)
{
    for_each_ifa_route(ifa, true,
                       [&](u8 type, be32 dst, u8 plen) { fib_magic(false, type, dst, plen, ifa); });
    for (const in_ifaddr *o = ifa->ifa_dev->ifa_list; o; o = o->ifa_next)
        fib_add_ifaddr(o);
    if (inet_addr_type(ifa->ifa_local) != RTN_LOCAL) {
        prefsrc_gone gone{ifa->ifa_local};
        fib_table_flush(fib_table_main, has_prefsrc, &gone);
    }
}

/// Routes that need the device to be up; its local addresses stay reachable.
bool needs_dev_up(const fib_alias *a, void *dev)
{
    return a->fi->nh_dev == dev && a->fi->nh_scope != RT_SCOPE_NOWHERE;
}
bool uses_dev(const fib_alias *a, void *dev)
{
    return a->fi->nh_dev == dev;
}

void fib_disable_ip(net_device *dev, bool force)
{
    auto *f = force ? uses_dev : needs_dev_up;
    fib_table_flush(fib_table_local, f, dev);
    fib_table_flush(fib_table_main, f, dev);
    rt_flush_exceptions();
    rt_cache_flush();
}
} // namespace

void fib_inetaddr_event(netdev_event e, in_ifaddr *ifa)
{
    if (e == NETDEV_UP)
        fib_add_ifaddr(ifa);
    else
        fib_del_ifaddr(ifa);
    rt_cache_flush();
}

void fib_netdev_event(netdev_event e, net_device *dev)
{
    in_device *d = in_dev_get_rcu(dev);
    switch (e) {
    case NETDEV_UP:
        for (in_ifaddr *ifa = d ? d->ifa_list : nullptr; ifa; ifa = ifa->ifa_next)
            fib_add_ifaddr(ifa);
        rt_cache_flush();
        break;
    case NETDEV_DOWN:
        fib_disable_ip(dev, false);
        break;
    case NETDEV_UNREGISTER:
        fib_disable_ip(dev, true);
        break;
    case NETDEV_CHANGEMTU:
    case NETDEV_CHANGE:
        rt_cache_flush();
        break;
    default:
        break;
    }
}

// --- SIOCADDRT, SIOCDELRT ------------------------------------------------------------------------

namespace
{
constexpr u32 SIOCADDRT = 0x890b, SIOCDELRT = 0x890c;
constexpr u16 RTF_GATEWAY = 2, RTF_HOST = 4, RTF_REJECT = 0x200;

/// struct rtentry of the ABI.
struct rtentry {
    u64 rt_pad1;
    sockaddr_in rt_dst, rt_gateway, rt_genmask;
    u16 rt_flags;
    s16 rt_pad2;
    u64 rt_pad3;
    u64 rt_pad4;
    s16 rt_metric;
    u64 rt_dev; // user string
    u64 rt_mtu, rt_window;
    u16 rt_irtt;
};
static_assert(sizeof(rtentry) == 120 && __builtin_offsetof(rtentry, rt_dev) == 88);

/// The named device, which rtnl keeps.
result<net_device *> route_device(u64 user_name)
{
    char name[16];
    ssize_t n =
        arch_strncpy_from_user(name, reinterpret_cast<const char *>(user_name), sizeof(name));
    if (n < 0)
        return error{EFAULT};
    name[sizeof(name) - 1] = 0;
    if (char *colon = strchr(name, ':')) // an alias label: the device itself
        *colon = 0;
    net_device *dev = dev_get_by_name(name);
    if (!dev)
        return error{ENODEV};
    dev_put(dev);
    return dev;
}

result<void> rtentry_to_config(const rtentry &rt, bool del, fib_config *c)
{
    if (rt.rt_dst.sin_family != AF_INET)
        return error{EAFNOSUPPORT};
    c->dst = rt.rt_dst.sin_addr;
    c->plen = 32;
    if (!(rt.rt_flags & RTF_HOST)) {
        be32 mask = rt.rt_genmask.sin_addr;
        if (rt.rt_genmask.sin_family != AF_INET && (mask || rt.rt_genmask.sin_family))
            return error{EAFNOSUPPORT};
        int len = inet_mask_len(mask);
        if (len < 0 || (c->dst & ~mask))
            return error{EINVAL};
        c->plen = static_cast<u8>(len);
    }
    if (rt.rt_metric > 0)
        c->priority = static_cast<u32>(rt.rt_metric - 1);
    if (rt.rt_flags & RTF_REJECT) {
        c->type = RTN_UNREACHABLE;
        c->scope = RT_SCOPE_HOST;
        return {};
    }
    c->scope = RT_SCOPE_NOWHERE;
    if (rt.rt_dev)
        c->dev = TRY(route_device(rt.rt_dev));
    if (rt.rt_gateway.sin_family == AF_INET && rt.rt_gateway.sin_addr) {
        c->gw = rt.rt_gateway.sin_addr;
        if ((rt.rt_flags & RTF_GATEWAY) && inet_addr_type(c->gw) == RTN_UNICAST)
            c->scope = RT_SCOPE_UNIVERSE;
    }
    if (del) {
        c->type = RTN_UNSPEC; // any
        return {};
    }
    if ((rt.rt_flags & RTF_GATEWAY) && !c->gw)
        return error{EINVAL};
    if (c->scope == RT_SCOPE_NOWHERE)
        c->scope = RT_SCOPE_LINK;
    return {};
}
} // namespace

result<s64> ip_rt_ioctl(u32 cmd, u64 arg)
{
    if (cmd != SIOCADDRT && cmd != SIOCDELRT)
        return error{EINVAL};
    if (current()->uid)
        return error{EPERM};
    rtentry rt;
    TRY_VOID(copy_from_user(&rt, user_ptr<const void>{arg}, sizeof(rt)));
    mutex_guard g{rtnl_mutex};
    fib_config c;
    TRY_VOID(rtentry_to_config(rt, cmd == SIOCDELRT, &c));
    int err = cmd == SIOCADDRT ? fib_table_insert(fib_table_main, c, false)
                               : fib_table_delete(fib_table_main, c);
    if (err)
        return error{static_cast<errno_t>(-err)};
    return 0;
}

int ip_rt_add_default(net_device *dev, be32 gateway)
{
    fib_config c;
    c.gw = gateway;
    c.dev = dev;
    return fib_table_insert(fib_table_main, c, true);
}

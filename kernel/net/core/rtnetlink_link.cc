// SPDX-License-Identifier: MIT
// Links over netlink: RTM_GETLINK, RTM_NEWLINK, RTM_SETLINK. Linux: net/core/rtnetlink.c rtnl_fill_ifinfo, do_setlink. Process context.

#include "net/core/dev.h"
#include "net/core/rtnetlink.h"
#include "net/sched/sch_generic.h"

namespace
{
struct ifinfomsg {
    u8 ifi_family, pad;
    u16 ifi_type;
    s32 ifi_index;
    u32 ifi_flags, ifi_change;
};
static_assert(sizeof(ifinfomsg) == 16);
enum : u16 {
    IFLA_ADDRESS = 1,
    IFLA_BROADCAST,
    IFLA_IFNAME,
    IFLA_MTU,
    IFLA_LINK,
    IFLA_QDISC,
    IFLA_STATS,
    IFLA_TXQLEN = 13,
    IFLA_MAP,
    IFLA_OPERSTATE = 16,
    IFLA_LINKMODE,
    IFLA_STATS64 = 23,
    IFLA_GROUP = 27,
    IFLA_EXT_MASK = 29,
    IFLA_PROMISCUITY = 30,
    IFLA_NUM_TX_QUEUES,
    IFLA_NUM_RX_QUEUES,
    IFLA_CARRIER,
    IFLA_ALT_IFNAME = 53,
};
constexpr unsigned IFLA_MAX = 53;
constexpr u32 IFF_LOWER_UP = 0x10000;

struct rtnl_link_ifmap {
    u64 mem_start, mem_end, base_addr;
    u16 irq;
    u8 dma, port;
    u32 pad;
};
/// struct rtnl_link_stats64; struct rtnl_link_stats has the same members in 32 bits.
struct link_stats {
    net_device_stats dev;
    u64 rx_compressed, tx_compressed;
};
static_assert(sizeof(link_stats) == 23 * 8);

bool put_stats(sk_buff *skb, net_device *d)
{
    link_stats s{};
    dev_get_stats(d, &s.dev);
    u64 wide[23];
    u32 narrow[23];
    memcpy(wide, &s, sizeof wide);
    for (unsigned i = 0; i < 23; i++)
        narrow[i] = static_cast<u32>(wide[i]);
    return nla_put(skb, IFLA_STATS, narrow, sizeof narrow) &&
           nla_put(skb, IFLA_STATS64, wide, sizeof wide);
}

/// RFC 2863's state as Linux numbers it: unknown 0, down 2, up 6.
u8 operstate(const net_device *d)
{
    if (!netif_running(d) || !netif_carrier_ok(d))
        return 2;
    return d->flags & IFF_LOOPBACK ? 0 : 6;
}

bool put_attributes(sk_buff *skb, net_device *d)
{
    rtnl_link_ifmap map{};
    map.mem_start = d->mem_start;
    map.mem_end = d->mem_end;
    map.irq = static_cast<u16>(d->irq);
    auto promisc = static_cast<u32>(d->promiscuity);
    return nla_put_string(skb, IFLA_IFNAME, d->name) &&
           nla_put_value(skb, IFLA_TXQLEN, d->tx_queue_len) &&
           nla_put_value(skb, IFLA_OPERSTATE, operstate(d)) &&
           nla_put_value(skb, IFLA_LINKMODE, u8{0}) && nla_put_value(skb, IFLA_MTU, d->mtu) &&
           nla_put_value(skb, IFLA_GROUP, u32{0}) &&
           nla_put_value(skb, IFLA_PROMISCUITY, promisc) &&
           nla_put_value(skb, IFLA_NUM_TX_QUEUES, static_cast<u32>(d->num_tx_queues)) &&
           nla_put_value(skb, IFLA_NUM_RX_QUEUES, static_cast<u32>(d->num_rx_queues)) &&
           nla_put_value(skb, IFLA_CARRIER, u8{netif_carrier_ok(d)}) &&
           (!d->qdisc || nla_put_string(skb, IFLA_QDISC, d->qdisc->ops->id)) &&
           nla_put_value(skb, IFLA_MAP, map) &&
           nla_put(skb, IFLA_ADDRESS, d->dev_addr, d->addr_len) &&
           nla_put(skb, IFLA_BROADCAST, d->broadcast, d->addr_len) && put_stats(skb, d);
}

/// One message about a device; false: no room. rtnl held.
bool fill_ifinfo(sk_buff *skb, net_device *d, u16 type, u32 portid, u32 seq, u32 change, u16 flags)
{
    nlmsghdr *h = nlmsg_put(skb, portid, seq, type, sizeof(ifinfomsg), flags);
    if (!h)
        return false;
    u32 ifi_flags = dev_get_flags(d);
    if (netif_running(d) && netif_carrier_ok(d))
        ifi_flags |= IFF_LOWER_UP;
    new (h + 1) ifinfomsg{AF_UNSPEC, 0, d->type, static_cast<s32>(d->ifindex), ifi_flags, change};
    if (!put_attributes(skb, d)) {
        nlmsg_cancel(skb, h);
        return false;
    }
    nlmsg_end(skb, h);
    return true;
}

/// args[0]: index of the last device done.
int dump_links(sk_buff *skb, netlink_callback *cb)
{
    mutex_guard g{rtnl_mutex};
    while (net_device *d = netdev_next(static_cast<u32>(cb->args[0]))) {
        bool ok = fill_ifinfo(skb, d, RTM_NEWLINK, cb->portid, cb->seq, 0, NLM_F_MULTI);
        if (ok)
            cb->args[0] = d->ifindex;
        dev_put(d);
        if (!ok)
            return static_cast<int>(skb->len) ? static_cast<int>(skb->len) : -EMSGSIZE;
    }
    return 0;
}

/// The device that a request means: by index or name. -EINVAL: it names none, -ENODEV.
int find_link(const nlmsghdr *h, const nlattr **tb, const ifinfomsg **ifi, net_device **d)
{
    if (!nlmsg_parse(h, sizeof(ifinfomsg), tb, IFLA_MAX))
        return -EINVAL;
    *ifi = nlmsg_data<ifinfomsg>(h);
    const nlattr *name = tb[IFLA_IFNAME] ? tb[IFLA_IFNAME] : tb[IFLA_ALT_IFNAME];
    if ((*ifi)->ifi_index <= 0 && !name)
        return -EINVAL;
    *d = rtnl_device((*ifi)->ifi_index, name);
    return *d ? 0 : -ENODEV;
}

int get_link(netlink_sock *nlk, const nlmsghdr *h)
{
    const nlattr *tb[IFLA_MAX + 1];
    const ifinfomsg *ifi;
    net_device *d;
    if (int err = find_link(h, tb, &ifi, &d))
        return err;
    return rtnl_reply(nlk, [&](sk_buff *skb) {
        return fill_ifinfo(skb, d, RTM_NEWLINK, nlk->portid, h->nlmsg_seq, 0, 0);
    });
}

/// Attributes that can be changed; each is checked before it is applied, as in Linux one after the other.
int apply(net_device *d, const ifinfomsg *ifi, const nlattr **tb)
{
    int err;
    if (const nlattr *a = tb[IFLA_ADDRESS]) {
        if (nla_len(a) < d->addr_len)
            return -EINVAL;
        if ((err = dev_set_mac_address(d, reinterpret_cast<const u8 *>(a + 1))))
            return err;
    }
    if (tb[IFLA_MTU] && (err = dev_set_mtu(d, nla_get<s32>(tb[IFLA_MTU], -1))))
        return err;
    char name[16];
    if (ifi->ifi_index > 0 && nla_get_name(tb[IFLA_IFNAME], name) && strcmp(name, d->name))
        return -EOPNOTSUPP; // devices keep their names here
    if (tb[IFLA_TXQLEN])
        d->tx_queue_len = nla_get(tb[IFLA_TXQLEN], d->tx_queue_len);
    if (ifi->ifi_flags || ifi->ifi_change) {
        u32 flags = ifi->ifi_flags;
        if (ifi->ifi_change)
            flags = (flags & ifi->ifi_change) | (d->flags & ~ifi->ifi_change);
        return dev_change_flags(d, flags);
    }
    return 0;
}

int set_link(netlink_sock *, const nlmsghdr *h)
{
    const nlattr *tb[IFLA_MAX + 1];
    const ifinfomsg *ifi;
    net_device *d;
    int err = find_link(h, tb, &ifi, &d);
    return err ? err : apply(d, ifi, tb);
}

/// There is no kind of link that could be made.
int new_link(netlink_sock *, const nlmsghdr *h)
{
    const nlattr *tb[IFLA_MAX + 1];
    const ifinfomsg *ifi;
    net_device *d;
    int err = find_link(h, tb, &ifi, &d);
    bool nameless = err == -EINVAL && nlmsg_len(h) >= sizeof(ifinfomsg);
    if (err == -ENODEV || nameless)
        return h->nlmsg_flags & NLM_F_CREATE ? -EOPNOTSUPP : -ENODEV;
    if (!err && (h->nlmsg_flags & NLM_F_EXCL))
        return -EEXIST;
    return err ? err : apply(d, ifi, tb);
}

int del_link(netlink_sock *, const nlmsghdr *h)
{
    const nlattr *tb[IFLA_MAX + 1];
    const ifinfomsg *ifi;
    net_device *d;
    int err = find_link(h, tb, &ifi, &d);
    return err ? err : -EOPNOTSUPP; // hardware stays
}

void link_event(netdev_event e, net_device *dev)
{
    rtnl_notify(RTNLGRP_LINK, [&](sk_buff *skb) {
        u16 type = e == NETDEV_UNREGISTER ? RTM_DELLINK : RTM_NEWLINK;
        return fill_ifinfo(skb, dev, type, 0, 0, e == NETDEV_UNREGISTER ? ~0u : 0, 0);
    });
}
} // namespace

int rtnl_link_init()
{
    static netdev_notifier notifier;
    notifier.call = link_event;
    register_netdevice_notifier(&notifier);
    rtnl_register(AF_UNSPEC, RTM_GETLINK, get_link, dump_links);
    rtnl_register(AF_UNSPEC, RTM_SETLINK, set_link, nullptr);
    rtnl_register(AF_UNSPEC, RTM_NEWLINK, new_link, nullptr);
    rtnl_register(AF_UNSPEC, RTM_DELLINK, del_link, nullptr);
    return 0;
}

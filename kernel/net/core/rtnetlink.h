// SPDX-License-Identifier: MIT
// NETLINK_ROUTE: requests about links, addresses, routes and neighbours, and notifications of their changes. Linux: net/core/rtnetlink.c.
// Requests that change something run with rtnl, in process context.
#pragma once

#include "net/core/netdevice.h"
#include "net/netlink/netlink.h"

constexpr u16 RTM_BASE = 16, RTM_NEWLINK = 16, RTM_DELLINK = 17, RTM_GETLINK = 18, RTM_SETLINK = 19,
              RTM_NEWADDR = 20, RTM_DELADDR = 21, RTM_GETADDR = 22, RTM_NEWROUTE = 24,
              RTM_DELROUTE = 25, RTM_GETROUTE = 26, RTM_NEWNEIGH = 28, RTM_DELNEIGH = 29,
              RTM_GETNEIGH = 30, RTM_NEWRULE = 32, RTM_GETRULE = 34, RTM_NR = 88;
constexpr u32 RTNLGRP_LINK = 1, RTNLGRP_NEIGH = 3, RTNLGRP_IPV4_IFADDR = 5, RTNLGRP_IPV4_ROUTE = 7;

/// A request: `doit` handles one (0, -errno; rtnl held), `dumpit` fills packets of a dump (rtnl not held; see netlink_callback).
using rtnl_doit = int (*)(netlink_sock *nlk, const nlmsghdr *h);
using rtnl_dumpit = int (*)(sk_buff *skb, netlink_callback *cb);
/// Handlers of a message type for a protocol family; AF_UNSPEC's serve families that have none. Boot.
void rtnl_register(int family, u16 type, rtnl_doit doit, rtnl_dumpit dumpit);

/// Send a notification made by `fill` (false: it did not fit) to a group, if anybody listens. Any context but hard IRQ.
template <class F>
void rtnl_notify(u32 group, F fill)
{
    if (!netlink_has_listeners(NETLINK_ROUTE, group))
        return;
    sk_buff *skb = nlmsg_new(GFP_ATOMIC);
    if (!skb || !fill(skb)) {
        if (skb)
            kfree_skb(skb);
        return;
    }
    netlink_broadcast(NETLINK_ROUTE, skb, 0, group);
}
/// Answer one request with what `fill` writes: 0 or -ENOBUFS, -EMSGSIZE.
template <class F>
int rtnl_reply(netlink_sock *nlk, F fill)
{
    sk_buff *skb = nlmsg_new(GFP_KERNEL);
    if (!skb)
        return -ENOBUFS;
    if (!fill(skb)) {
        kfree_skb(skb);
        return -EMSGSIZE;
    }
    netlink_unicast(nlk, skb);
    return 0;
}
/// The device of index or name with rtnl held (no reference); null: none.
net_device *rtnl_device(s32 index, const nlattr *name);

// SPDX-License-Identifier: MIT
// IPv4 addresses over netlink: RTM_GETADDR, RTM_NEWADDR, RTM_DELADDR. Linux: net/ipv4/devinet.c inet_rtm_newaddr, inet_fill_ifaddr.
// Process context with rtnl.

#include "mm/slab.h"
#include "net/core/rtnetlink.h"
#include "net/ipv4/inetdevice.h"

namespace
{
struct ifaddrmsg {
    u8 ifa_family, ifa_prefixlen, ifa_flags, ifa_scope;
    u32 ifa_index;
};
static_assert(sizeof(ifaddrmsg) == 8);
enum : u16 { IFA_ADDRESS = 1, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_ANYCAST, IFA_CACHEINFO };
constexpr unsigned IFA_MAX = 6;
constexpr u8 IFA_F_SECONDARY = 1, IFA_F_PERMANENT = 0x80;
struct ifa_cacheinfo {
    u32 prefered, valid, cstamp, tstamp; // seconds; ~0: for ever
};

bool fill(sk_buff *skb, const in_ifaddr *a, u16 type, u32 portid, u32 seq, u16 flags)
{
    nlmsghdr *h = nlmsg_put(skb, portid, seq, type, sizeof(ifaddrmsg), flags);
    if (!h)
        return false;
    auto ifa_flags = static_cast<u8>(IFA_F_PERMANENT | (a->secondary ? IFA_F_SECONDARY : 0));
    new (h + 1)
        ifaddrmsg{AF_INET, a->ifa_prefixlen, ifa_flags, a->ifa_scope, a->ifa_dev->dev->ifindex};
    ifa_cacheinfo ci{~0u, ~0u, 0, 0};
    bool ok = (!a->ifa_address || nla_put_value(skb, IFA_ADDRESS, a->ifa_address)) &&
              (!a->ifa_local || nla_put_value(skb, IFA_LOCAL, a->ifa_local)) &&
              (!a->ifa_broadcast || nla_put_value(skb, IFA_BROADCAST, a->ifa_broadcast)) &&
              (!a->ifa_label[0] || nla_put_string(skb, IFA_LABEL, a->ifa_label)) &&
              nla_put_value(skb, IFA_CACHEINFO, ci);
    if (ok)
        nlmsg_end(skb, h);
    else
        nlmsg_cancel(skb, h);
    return ok;
}

/// args[0]: last device done, args[1]: addresses done of the next one.
int dump_addresses(sk_buff *skb, netlink_callback *cb)
{
    mutex_guard g{rtnl_mutex};
    while (net_device *d = netdev_next(static_cast<u32>(cb->args[0]))) {
        u32 index = d->ifindex;
        dev_put(d); // rtnl keeps it
        u64 at = 0;
        for (const in_ifaddr *a = d->ip_ptr ? d->ip_ptr->ifa_list : nullptr; a; a = a->ifa_next) {
            if (at++ < cb->args[1])
                continue;
            if (!fill(skb, a, RTM_NEWADDR, cb->portid, cb->seq, NLM_F_MULTI))
                return static_cast<int>(skb->len);
            cb->args[1] = at;
        }
        cb->args[0] = index;
        cb->args[1] = 0;
    }
    return 0;
}

int new_address(netlink_sock *, const nlmsghdr *h)
{
    const nlattr *tb[IFA_MAX + 1];
    if (!nlmsg_parse(h, sizeof(ifaddrmsg), tb, IFA_MAX))
        return -EINVAL;
    auto *m = nlmsg_data<ifaddrmsg>(h);
    be32 local = nla_get(tb[IFA_LOCAL], be32{});
    if (m->ifa_prefixlen > 32 || !tb[IFA_LOCAL])
        return -EINVAL;
    net_device *dev = rtnl_device(static_cast<s32>(m->ifa_index), nullptr);
    if (!dev)
        return -ENODEV;
    in_device *d = inetdev_get(dev);
    auto *a = d ? knew<in_ifaddr>(GFP_KERNEL) : nullptr;
    if (!a)
        return -ENOBUFS;
    a->ifa_local = local;
    a->ifa_address = nla_get(tb[IFA_ADDRESS], local);
    a->ifa_prefixlen = m->ifa_prefixlen;
    a->ifa_mask = inet_make_mask(m->ifa_prefixlen);
    a->ifa_scope = m->ifa_scope;
    a->ifa_broadcast = nla_get(tb[IFA_BROADCAST], be32{});
    if (!nla_get_name(tb[IFA_LABEL], a->ifa_label))
        strlcpy(a->ifa_label, dev->name, sizeof a->ifa_label);
    int err = inet_insert_ifa(d, a);
    // An address that is there already may be named again ("replace"): nothing in it can change.
    return err == -EEXIST && (h->nlmsg_flags & NLM_F_REPLACE) && !(h->nlmsg_flags & NLM_F_EXCL)
               ? 0
               : err;
}

bool matches(const in_ifaddr *a, const ifaddrmsg *m, const nlattr **tb)
{
    char label[16];
    if (tb[IFA_LOCAL] && a->ifa_local != nla_get(tb[IFA_LOCAL], be32{}))
        return false;
    if (nla_get_name(tb[IFA_LABEL], label) && strcmp(label, a->ifa_label))
        return false;
    return !tb[IFA_ADDRESS] || (m->ifa_prefixlen == a->ifa_prefixlen &&
                                inet_ifa_match(nla_get(tb[IFA_ADDRESS], be32{}), a));
}

int del_address(netlink_sock *, const nlmsghdr *h)
{
    const nlattr *tb[IFA_MAX + 1];
    if (!nlmsg_parse(h, sizeof(ifaddrmsg), tb, IFA_MAX))
        return -EINVAL;
    auto *m = nlmsg_data<ifaddrmsg>(h);
    net_device *dev = rtnl_device(static_cast<s32>(m->ifa_index), nullptr);
    if (!dev || !dev->ip_ptr)
        return -ENODEV;
    for (in_ifaddr *a = dev->ip_ptr->ifa_list; a; a = a->ifa_next)
        if (matches(a, m, tb)) {
            inet_del_ifa(dev->ip_ptr, a);
            return 0;
        }
    return -EADDRNOTAVAIL;
}
} // namespace

void rtmsg_ifa(bool added, const in_ifaddr *a)
{
    rtnl_notify(RTNLGRP_IPV4_IFADDR, [&](sk_buff *skb) {
        return fill(skb, a, added ? RTM_NEWADDR : RTM_DELADDR, 0, 0, 0);
    });
}

void devinet_netlink_init()
{
    for (int family : {AF_UNSPEC, AF_INET})
        rtnl_register(family, RTM_GETADDR, nullptr, dump_addresses);
    rtnl_register(AF_INET, RTM_NEWADDR, new_address, nullptr);
    rtnl_register(AF_INET, RTM_DELADDR, del_address, nullptr);
}

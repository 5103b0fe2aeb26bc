// SPDX-License-Identifier: MIT
// Neighbours over netlink: RTM_GETNEIGH, RTM_NEWNEIGH, RTM_DELNEIGH and notifications. Linux: net/core/neighbour.c neigh_add,
// neigh_delete, neigh_dump_info. Process context, but for neigh_notify.

#include "net/core/neighbour.h"
#include "net/core/rtnetlink.h"
#include "net/ipv4/arp.h"

namespace
{
struct ndmsg {
    u8 ndm_family, pad1;
    u16 pad2;
    s32 ndm_ifindex;
    u16 ndm_state;
    u8 ndm_flags, ndm_type;
};
static_assert(sizeof(ndmsg) == 12);
enum : u16 { NDA_DST = 1, NDA_LLADDR, NDA_CACHEINFO, NDA_PROBES };
constexpr unsigned NDA_MAX = 4;
constexpr u8 NTF_USE = 1, NTF_PROXY = 8;
struct nda_cacheinfo {
    u32 confirmed, used, updated, refcnt; // times in USER_HZ ticks ago
};

u32 ticks_ago(u64 when)
{
    return static_cast<u32>((jiffies() - when) * 100 / HZ);
}

bool fill(sk_buff *skb, const neighbour *n, u16 type, u32 portid, u32 seq, u16 flags)
{
    nlmsghdr *h = nlmsg_put(skb, portid, seq, type, sizeof(ndmsg), flags);
    if (!h)
        return false;
    u8 state = read_once(n->nud_state);
    new (h + 1) ndmsg{AF_INET, 0, 0, static_cast<s32>(n->dev->ifindex), state, 0, n->type};
    nda_cacheinfo ci{ticks_ago(n->confirmed), ticks_ago(n->used), ticks_ago(n->updated),
                     static_cast<u32>(n->refcnt.read() - 1)};
    bool ok = nla_put_value(skb, NDA_DST, n->primary_key) &&
              (!(state & NUD_VALID) || nla_put(skb, NDA_LLADDR, n->ha, n->dev->addr_len)) &&
              nla_put_value(skb, NDA_PROBES, static_cast<u32>(n->probes.load())) &&
              nla_put_value(skb, NDA_CACHEINFO, ci);
    if (ok)
        nlmsg_end(skb, h);
    else
        nlmsg_cancel(skb, h);
    return ok;
}

/// A dump in progress: entries up to args[0] are done.
struct neigh_dump {
    sk_buff *skb;
    netlink_callback *cb;
    u64 at;
    u32 ifindex;
    bool full;
};

void dump_one(neighbour *n, void *arg)
{
    auto *d = static_cast<neigh_dump *>(arg);
    if (d->full || d->at++ < d->cb->args[0])
        return;
    bool wanted = n->nud_state != NUD_NONE && (!d->ifindex || n->dev->ifindex == d->ifindex);
    if (wanted && !fill(d->skb, n, RTM_NEWNEIGH, d->cb->portid, d->cb->seq, NLM_F_MULTI)) {
        d->full = true;
        return;
    }
    d->cb->args[0] = d->at;
}

int dump_neighbours(sk_buff *skb, netlink_callback *cb)
{
    auto *req = dump_request<ndmsg>(cb);
    if (req && (req->ndm_flags & NTF_PROXY))
        return 0; // no proxy entries
    neigh_dump d{skb, cb, 0, 0, false};
    neigh_for_each(&arp_tbl, dump_one, &d);
    return d.full ? static_cast<int>(skb->len) : 0;
}

/// What the requests have in common: address and device.
int parse(const nlmsghdr *h, const nlattr **tb, const ndmsg **ndm, be32 *dst, net_device **dev)
{
    if (!nlmsg_parse(h, sizeof(ndmsg), tb, NDA_MAX) || !tb[NDA_DST] ||
        nla_len(tb[NDA_DST]) < sizeof *dst)
        return -EINVAL;
    *ndm = nlmsg_data<ndmsg>(h);
    if ((*ndm)->ndm_family != AF_INET)
        return -EAFNOSUPPORT;
    *dst = nla_get(tb[NDA_DST], be32{});
    if ((*ndm)->ndm_ifindex <= 0)
        return -EINVAL;
    *dev = rtnl_device((*ndm)->ndm_ifindex, nullptr);
    return *dev ? 0 : -ENODEV;
}

int new_neighbour(netlink_sock *, const nlmsghdr *h)
{
    const nlattr *tb[NDA_MAX + 1];
    const ndmsg *ndm;
    be32 dst;
    net_device *dev;
    if (int err = parse(h, tb, &ndm, &dst, &dev))
        return err;
    const u8 *lladdr = tb[NDA_LLADDR] ? reinterpret_cast<const u8 *>(tb[NDA_LLADDR] + 1) : nullptr;
    if (lladdr && nla_len(tb[NDA_LLADDR]) < dev->addr_len)
        return -EINVAL;
    if (ndm->ndm_flags & NTF_PROXY)
        return -EOPNOTSUPP;
    u32 flags = NEIGH_UPDATE_F_ADMIN | NEIGH_UPDATE_F_OVERRIDE;
    neighbour *n = neigh_lookup(&arp_tbl, dst, dev);
    if (!n) {
        if (!(h->nlmsg_flags & NLM_F_CREATE))
            return -ENOENT;
        auto made = neigh_create(&arp_tbl, dst, dev, true);
        if (!made)
            return -made.err();
        n = *made;
    } else if (h->nlmsg_flags & NLM_F_EXCL) {
        neigh_release(n);
        return -EEXIST;
    } else if (!(h->nlmsg_flags & NLM_F_REPLACE)) {
        flags &= ~NEIGH_UPDATE_F_OVERRIDE;
    }
    int err = 0;
    if (ndm->ndm_flags & NTF_USE)
        neigh_event_send(n, nullptr);
    else
        err = neigh_update(n, lladdr, static_cast<u8>(ndm->ndm_state), flags);
    neigh_release(n);
    return err;
}

int del_neighbour(netlink_sock *, const nlmsghdr *h)
{
    const nlattr *tb[NDA_MAX + 1];
    const ndmsg *ndm;
    be32 dst;
    net_device *dev;
    if (int err = parse(h, tb, &ndm, &dst, &dev))
        return err;
    neighbour *n = neigh_lookup(&arp_tbl, dst, dev);
    if (!n)
        return -ENOENT;
    int err = neigh_update(n, nullptr, NUD_FAILED, NEIGH_UPDATE_F_ADMIN | NEIGH_UPDATE_F_OVERRIDE);
    neigh_release(n);
    return err;
}
} // namespace

void neigh_notify(const neighbour *n)
{
    rtnl_notify(RTNLGRP_NEIGH, [n](sk_buff *skb) { return fill(skb, n, RTM_NEWNEIGH, 0, 0, 0); });
}

int rtnl_neigh_init()
{
    rtnl_register(AF_UNSPEC, RTM_GETNEIGH, nullptr, dump_neighbours);
    rtnl_register(AF_UNSPEC, RTM_NEWNEIGH, new_neighbour, nullptr);
    rtnl_register(AF_UNSPEC, RTM_DELNEIGH, del_neighbour, nullptr);
    return 0;
}

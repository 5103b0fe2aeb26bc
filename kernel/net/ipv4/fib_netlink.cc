// SPDX-License-Identifier: MIT
// Routes over netlink: RTM_GETROUTE (dump and "route get"), RTM_NEWROUTE, RTM_DELROUTE, RTM_GETRULE. Linux: net/ipv4/fib_frontend.c
// inet_rtm_newroute, fib_semantics.c fib_dump_info, route.c inet_rtm_getroute, core/fib_rules.c. Process context with rtnl.

#include "net/core/rtnetlink.h"
#include "net/ipv4/ip_fib.h"

namespace
{
struct rtmsg {
    u8 rtm_family, rtm_dst_len, rtm_src_len, rtm_tos, rtm_table, rtm_protocol, rtm_scope, rtm_type;
    u32 rtm_flags;
};
static_assert(sizeof(rtmsg) == 12);
enum : u16 {
    RTA_DST = 1,
    RTA_SRC,
    RTA_IIF,
    RTA_OIF,
    RTA_GATEWAY,
    RTA_PRIORITY,
    RTA_PREFSRC,
    RTA_METRICS,
    RTA_MULTIPATH,
    RTA_CACHEINFO = 12,
    RTA_TABLE = 15,
};
constexpr unsigned RTA_MAX = 15;
constexpr u16 RTAX_MTU = 2;
constexpr u32 RTM_F_CLONED = 0x200;
struct rta_cacheinfo {
    u32 rta_clntref, rta_lastuse;
    s32 rta_expires;
    u32 rta_error, rta_used, rta_id, rta_ts, rta_tsage;
};

bool put_mtu(sk_buff *skb, u32 mtu)
{
    if (!mtu)
        return true;
    nlattr *nest = nla_nest_start(skb, RTA_METRICS);
    if (!nest || !nla_put_value(skb, RTAX_MTU, mtu))
        return false;
    nla_nest_end(skb, nest);
    return true;
}

bool fill(sk_buff *skb, const fib_alias *a, u8 table, u16 type, u32 portid, u32 seq, u16 flags)
{
    nlmsghdr *h = nlmsg_put(skb, portid, seq, type, sizeof(rtmsg), flags);
    if (!h)
        return false;
    const fib_info *fi = a->fi;
    new (h + 1)
        rtmsg{AF_INET, a->plen, 0, a->tos, table, fi->fib_protocol, fi->fib_scope, a->type, 0};
    bool ok = nla_put_value(skb, RTA_TABLE, u32{table}) &&
              (!a->plen || nla_put_value(skb, RTA_DST, a->prefix)) &&
              (!fi->fib_priority || nla_put_value(skb, RTA_PRIORITY, fi->fib_priority)) &&
              put_mtu(skb, fi->fib_mtu) &&
              (!fi->fib_prefsrc || nla_put_value(skb, RTA_PREFSRC, fi->fib_prefsrc)) &&
              (!fi->nh_gw || nla_put_value(skb, RTA_GATEWAY, fi->nh_gw)) &&
              (!fi->nh_dev || nla_put_value(skb, RTA_OIF, fi->nh_dev->ifindex));
    if (ok)
        nlmsg_end(skb, h);
    else
        nlmsg_cancel(skb, h);
    return ok;
}

/// A dump in progress: args[0] routes are done.
struct route_dump {
    sk_buff *skb;
    netlink_callback *cb;
    u64 at;
    u8 table;
    bool full;
};

void dump_one(const fib_alias *a, void *arg)
{
    auto *d = static_cast<route_dump *>(arg);
    if (d->full || d->at++ < d->cb->args[0])
        return;
    if (fill(d->skb, a, d->table, RTM_NEWROUTE, d->cb->portid, d->cb->seq, NLM_F_MULTI))
        d->cb->args[0] = d->at;
    else
        d->full = true;
}

int dump_routes(sk_buff *skb, netlink_callback *cb)
{
    auto *req = dump_request<rtmsg>(cb);
    if (req && (req->rtm_flags & RTM_F_CLONED))
        return 0; // cached routes are not dumped
    mutex_guard g{rtnl_mutex};
    route_dump d{skb, cb, 0, RT_TABLE_MAIN, false};
    fib_table_walk(fib_table_main, dump_one, &d);
    d.table = RT_TABLE_LOCAL;
    fib_table_walk(fib_table_local, dump_one, &d);
    return d.full ? static_cast<int>(skb->len) : 0;
}

/// Decode a request: table and configuration, or -errno.
int rtm_to_fib_config(const nlmsghdr *h, fib_config *c, fib_table **table)
{
    const nlattr *tb[RTA_MAX + 1];
    if (!nlmsg_parse(h, sizeof(rtmsg), tb, RTA_MAX))
        return -EINVAL;
    auto *m = nlmsg_data<rtmsg>(h);
    if (m->rtm_dst_len > 32 || m->rtm_src_len || m->rtm_type > RTN_PROHIBIT || tb[RTA_MULTIPATH])
        return -EINVAL;
    u32 id = nla_get(tb[RTA_TABLE], u32{m->rtm_table});
    if (id && id != RT_TABLE_MAIN && id != RT_TABLE_LOCAL)
        return -EOPNOTSUPP; // two tables only
    *table = id == RT_TABLE_LOCAL ? &fib_table_local : &fib_table_main;
    c->dst = nla_get(tb[RTA_DST], be32{});
    c->plen = m->rtm_dst_len;
    c->type = m->rtm_type;
    c->scope = m->rtm_scope;
    c->tos = m->rtm_tos;
    c->protocol = m->rtm_protocol;
    c->gw = nla_get(tb[RTA_GATEWAY], be32{});
    c->prefsrc = nla_get(tb[RTA_PREFSRC], be32{});
    c->priority = nla_get(tb[RTA_PRIORITY], u32{0});
    if (const nlattr *nest = tb[RTA_METRICS]) {
        const nlattr *metrics[RTAX_MTU + 1];
        if (!nla_parse_nested(nest, metrics, RTAX_MTU))
            return -EINVAL;
        c->mtu = nla_get(metrics[RTAX_MTU], u32{0});
    }
    if (s32 oif = nla_get(tb[RTA_OIF], s32{0}))
        if (!(c->dev = rtnl_device(oif, nullptr)))
            return -ENODEV;
    return 0;
}

/// Whether the table has a route of this prefix, tos and metric.
bool exists(fib_table &t, const fib_config &c)
{
    struct search {
        const fib_config *c;
        bool found;
    } s{&c, false};
    fib_table_walk(
        t,
        [](const fib_alias *a, void *arg) {
            auto *q = static_cast<search *>(arg);
            if (a->prefix == q->c->dst && a->plen == q->c->plen && a->tos == q->c->tos &&
                a->fi->fib_priority == q->c->priority)
                q->found = true;
        },
        &s);
    return s.found;
}

int new_route(netlink_sock *, const nlmsghdr *h)
{
    fib_config c;
    fib_table *t;
    if (int err = rtm_to_fib_config(h, &c, &t))
        return err;
    bool there = exists(*t, c), replace = h->nlmsg_flags & NLM_F_REPLACE;
    if (there && (h->nlmsg_flags & NLM_F_EXCL))
        return -EEXIST;
    if (!there && !(h->nlmsg_flags & NLM_F_CREATE))
        return -ENOENT;
    return fib_table_insert(*t, c, there && replace);
}

int del_route(netlink_sock *, const nlmsghdr *h)
{
    fib_config c;
    fib_table *t;
    if (int err = rtm_to_fib_config(h, &c, &t))
        return err;
    return fib_table_delete(*t, c);
}

/// "ip route get": which way a packet would go.
int get_route(netlink_sock *nlk, const nlmsghdr *h)
{
    const nlattr *tb[RTA_MAX + 1];
    if (!nlmsg_parse(h, sizeof(rtmsg), tb, RTA_MAX))
        return -EINVAL;
    if (tb[RTA_IIF])
        return -EOPNOTSUPP; // no packets are invented for the input side
    flowi4 fl;
    fl.daddr = nla_get(tb[RTA_DST], be32{});
    fl.saddr = nla_get(tb[RTA_SRC], be32{});
    fl.oif = nla_get(tb[RTA_OIF], u32{0});
    fl.tos = nlmsg_data<rtmsg>(h)->rtm_tos;
    auto rt = ip_route_output_key(&fl);
    if (!rt)
        return -rt.err();
    int err = rtnl_reply(nlk, [&](sk_buff *skb) {
        nlmsghdr *r = nlmsg_put(skb, nlk->portid, h->nlmsg_seq, RTM_NEWROUTE, sizeof(rtmsg), 0);
        rtable *t = *rt;
        if (!r)
            return false;
        new (r + 1) rtmsg{AF_INET, 32, 0, fl.tos, RT_TABLE_MAIN, 0, 0, t->rt_type, RTM_F_CLONED};
        rta_cacheinfo ci{};
        ci.rta_error = static_cast<u32>(t->error);
        bool ok = nla_put_value(skb, RTA_DST, fl.daddr) &&
                  (!t->dev || nla_put_value(skb, RTA_OIF, t->dev->ifindex)) &&
                  nla_put_value(skb, RTA_PREFSRC, fl.saddr) &&
                  (!t->rt_gateway || nla_put_value(skb, RTA_GATEWAY, t->rt_gateway)) &&
                  nla_put_value(skb, RTA_TABLE, u32{RT_TABLE_MAIN}) && put_mtu(skb, t->mtu) &&
                  nla_put_value(skb, RTA_CACHEINFO, ci);
        nlmsg_end(skb, r);
        return ok;
    });
    dst_release(*rt);
    return err;
}

// --- The three rules that there always are ---------------------------------------------------------------------------------------

struct fib_rule_hdr {
    u8 family, dst_len, src_len, tos, table, res1, res2, action;
    u32 flags;
};
constexpr u16 FRA_PRIORITY = 6, FRA_TABLE = 15;
constexpr u8 FR_ACT_TO_TBL = 1;

int dump_rules(sk_buff *skb, netlink_callback *cb)
{
    static const struct {
        u32 priority;
        u8 table;
    } rules[] = {{0, RT_TABLE_LOCAL}, {32766, RT_TABLE_MAIN}, {32767, 253}};
    for (u64 i = cb->args[0]; i < 3; cb->args[0] = ++i) {
        nlmsghdr *h =
            nlmsg_put(skb, cb->portid, cb->seq, RTM_NEWRULE, sizeof(fib_rule_hdr), NLM_F_MULTI);
        if (!h)
            return static_cast<int>(skb->len);
        new (h + 1) fib_rule_hdr{AF_INET, 0, 0, 0, rules[i].table, 0, 0, FR_ACT_TO_TBL, 0};
        if (!nla_put_value(skb, FRA_TABLE, u32{rules[i].table}) ||
            (rules[i].priority && !nla_put_value(skb, FRA_PRIORITY, rules[i].priority))) {
            nlmsg_cancel(skb, h);
            return static_cast<int>(skb->len);
        }
        nlmsg_end(skb, h);
    }
    return 0;
}
} // namespace

void rtmsg_fib(bool added, const fib_alias *a, const fib_table &t)
{
    rtnl_notify(RTNLGRP_IPV4_ROUTE, [&](sk_buff *skb) {
        return fill(skb, a, t.id, added ? RTM_NEWROUTE : RTM_DELROUTE, 0, 0, 0);
    });
}

void fib_netlink_init()
{
    for (int family : {AF_UNSPEC, AF_INET}) {
        rtnl_register(family, RTM_GETROUTE, get_route, dump_routes);
        rtnl_register(family, RTM_GETRULE, nullptr, dump_rules);
    }
    rtnl_register(AF_INET, RTM_NEWROUTE, new_route, nullptr);
    rtnl_register(AF_INET, RTM_DELROUTE, del_route, nullptr);
}

// SPDX-License-Identifier: MIT
// NETLINK_ROUTE: the table of requests. Linux: net/core/rtnetlink.c rtnetlink_rcv_msg. Process context.

#include "net/core/rtnetlink.h"
#include "lib/initcall.h"

namespace
{
struct rtnl_link_handler {
    rtnl_doit doit;
    rtnl_dumpit dumpit;
};
/// By family (AF_UNSPEC, AF_INET) and type.
rtnl_link_handler handlers[2][RTM_NR - RTM_BASE];

int index_of(int family)
{
    return family == AF_INET ? 1 : 0;
}

template <class F>
F find(int family, u16 type, F rtnl_link_handler::*which)
{
    F f = handlers[index_of(family)][type - RTM_BASE].*which;
    return f ? f : handlers[0][type - RTM_BASE].*which;
}

int rtnetlink_rcv_msg(netlink_sock *nlk, const nlmsghdr *h)
{
    if (h->nlmsg_type >= RTM_NR)
        return -EOPNOTSUPP;
    if (nlmsg_len(h) < 1)
        return 0;
    int family = *nlmsg_data<u8>(h), kind = h->nlmsg_type & 3; // new, del, get, set
    if (kind != 2 && current()->euid != 0)
        return -EPERM;
    if (kind == 2 && (h->nlmsg_flags & NLM_F_DUMP)) {
        rtnl_dumpit dump = find(family, h->nlmsg_type, &rtnl_link_handler::dumpit);
        return dump ? netlink_dump_start(nlk, h, dump) : -EOPNOTSUPP;
    }
    rtnl_doit doit = find(family, h->nlmsg_type, &rtnl_link_handler::doit);
    if (!doit)
        return -EOPNOTSUPP;
    mutex_guard g{rtnl_mutex};
    return doit(nlk, h);
}
const netlink_kernel rtnetlink{rtnetlink_rcv_msg};
} // namespace

void rtnl_register(int family, u16 type, rtnl_doit doit, rtnl_dumpit dumpit)
{
    handlers[index_of(family)][type - RTM_BASE] = {doit, dumpit};
}

net_device *rtnl_device(s32 index, const nlattr *name)
{
    char text[16];
    net_device *d = nullptr;
    if (index > 0)
        d = dev_get_by_index(static_cast<u32>(index));
    else if (nla_get_name(name, text))
        d = dev_get_by_name(text);
    if (d)
        dev_put(d);
    return d;
}

int rtnl_link_init();
int rtnl_neigh_init();

static int rtnetlink_init()
{
    netlink_kernel_create(NETLINK_ROUTE, &rtnetlink);
    rtnl_neigh_init();
    return rtnl_link_init();
}
subsys_initcall(rtnetlink_init);

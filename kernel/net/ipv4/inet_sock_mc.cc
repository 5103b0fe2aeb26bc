// SPDX-License-Identifier: MIT
// The multicast groups of a socket (Linux net/ipv4/igmp.c, the socket's side). Changed under the socket lock; read by the receive path
// under RCU. Each entry holds one membership of the device (igmp.cc).

#include "mm/slab.h"
#include "net/ipv4/inet_sock.h"

struct ip_mc_socklist {
    ip_mc_socklist *next = nullptr;
    be32 group{};
    u32 ifindex = 0;
    rcu_head rcu;
};
/// Linux igmp_max_memberships.
constexpr unsigned MAX_MEMBERSHIPS = 20;

static void free_rcu(rcu_head *head)
{
    kdelete(container_of(head, ip_mc_socklist, rcu));
}

bool ip_mc_sf_allow(const inet_sock *inet, be32 group, be32, u32 dif)
{
    for (auto *m = rcu_dereference(inet->mc_list); m; m = rcu_dereference(m->next))
        if (m->group == group && m->ifindex == dif)
            return true;
    return inet->mc_all;
}

result<void> ip_mc_join_group(inet_sock *inet, be32 group, be32 local, u32 ifindex)
{
    if (!ipv4_is_multicast(group))
        return error{EINVAL};
    net_device *dev = ip_mc_find_dev(group, local, ifindex);
    if (!dev)
        return error{ENODEV};
    u32 index = dev->ifindex;
    unsigned count = 0;
    errno_t err{};
    for (auto *m = inet->mc_list; m; m = m->next, count++)
        if (m->group == group && m->ifindex == index)
            err = EADDRINUSE;
    if (!err && count >= MAX_MEMBERSHIPS)
        err = ENOBUFS;
    auto *m = err ? nullptr : knew<ip_mc_socklist>(GFP_KERNEL);
    if (!err && !m)
        err = ENOMEM;
    if (!err)
        err = static_cast<errno_t>(-ip_mc_join_dev(dev, group));
    dev_put(dev);
    if (err) {
        kdelete(m);
        return error{err};
    }
    m->group = group;
    m->ifindex = index;
    m->next = inet->mc_list;
    rcu_assign_pointer(inet->mc_list, m);
    return {};
}

/// Take an entry off and give its membership back.
static void mc_drop(ip_mc_socklist **at)
{
    ip_mc_socklist *m = *at;
    rcu_assign_pointer(*at, m->next);
    if (net_device *dev = dev_get_by_index(m->ifindex)) {
        ip_mc_leave_dev(dev, m->group);
        dev_put(dev);
    }
    call_rcu(&m->rcu, free_rcu);
}

result<void> ip_mc_leave_group(inet_sock *inet, be32 group, be32 local, u32 ifindex)
{
    net_device *dev = ip_mc_find_dev(group, local, ifindex);
    if (!dev)
        return error{ENODEV};
    u32 index = dev->ifindex;
    dev_put(dev);
    for (auto **at = &inet->mc_list; *at; at = &(*at)->next) {
        if ((*at)->group != group || (*at)->ifindex != index)
            continue;
        mc_drop(at);
        return {};
    }
    return error{EADDRNOTAVAIL};
}

void ip_mc_drop_socket(inet_sock *inet)
{
    while (inet->mc_list)
        mc_drop(&inet->mc_list);
}

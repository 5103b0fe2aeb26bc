// SPDX-License-Identifier: MIT
// IPv4 addresses and settings of a device. Linux: include/linux/inetdevice.h, net/ipv4/devinet.c.
// Changed under rtnl, read under RCU (code that does not sleep).
#pragma once

#include "net/ipv4/ip.h"

struct in_device;

/// One address (Linux in_ifaddr).
struct in_ifaddr {
    in_ifaddr *ifa_next = nullptr; // RCU
    in_device *ifa_dev = nullptr;
    be32 ifa_local{}, ifa_address{}, ifa_mask{}, ifa_broadcast{};
    u8 ifa_prefixlen = 0, ifa_scope = 0;
    bool secondary = false; // of a subnet that has a primary address already
    char ifa_label[16] = {};
    rcu_head rcu;
};

/// A multicast group that this host listens to on a device (Linux ip_mc_list).
struct ip_mc_list {
    ip_mc_list *next_rcu = nullptr;
    be32 multiaddr{};
    int users = 1;
    rcu_head rcu;
};

/// /proc/sys/net/ipv4/conf/<dev>/.
struct ipv4_devconf {
    int forwarding = 0, rp_filter = 0, arp_ignore = 0, arp_announce = 0, arp_accept = 0,
        arp_filter = 0, accept_local = 0, log_martians = 0;
};
extern ipv4_devconf ipv4_devconf_all, ipv4_devconf_dflt;

struct in_device {
    net_device *dev = nullptr; // referenced
    in_ifaddr *ifa_list = nullptr;
    ip_mc_list *mc_list = nullptr;
    ipv4_devconf cnf;
    rcu_head rcu;
};
inline in_device *in_dev_get_rcu(const net_device *dev)
{
    return rcu_dereference(dev->ip_ptr);
}
/// Effective settings: the larger of "all" and the device's, or both (forwarding is the device's
/// own).
inline int IN_DEV_RPFILTER(const in_device *d)
{
    return max(ipv4_devconf_all.rp_filter, d->cnf.rp_filter);
}
inline int IN_DEV_ARP_IGNORE(const in_device *d)
{
    return max(ipv4_devconf_all.arp_ignore, d->cnf.arp_ignore);
}
inline bool IN_DEV_FORWARD(const in_device *d)
{
    return d->cnf.forwarding;
}
inline bool IN_DEV_LOG_MARTIANS(const in_device *d)
{
    return ipv4_devconf_all.log_martians || d->cnf.log_martians;
}

constexpr u8 RT_SCOPE_UNIVERSE = 0, RT_SCOPE_SITE = 200, RT_SCOPE_LINK = 253, RT_SCOPE_HOST = 254,
             RT_SCOPE_NOWHERE = 255;

constexpr be32 inet_make_mask(unsigned len)
{
    return len ? htonl(~0u << (32 - len)) : be32{};
}
/// Prefix length of a netmask; -1 when its ones are not contiguous.
constexpr int inet_mask_len(be32 mask)
{
    u32 m = mask.host();
    return (~m & (~m + 1)) ? -1 : __builtin_popcount(m);
}
/// Whether `a` is in the subnet of ifa.
inline bool inet_ifa_match(be32 a, const in_ifaddr *ifa)
{
    return !((a ^ ifa->ifa_address) & ifa->ifa_mask);
}

/// Add an address (takes ownership of ifa; freed on error), tell the routing code. 0 or -EEXIST.
/// [P] rtnl
int inet_insert_ifa(in_device *d, in_ifaddr *ifa);
/// Delete; later secondaries of the same subnet go too, as in Linux. [P] rtnl
void inet_del_ifa(in_device *d, in_ifaddr *ifa);
/// Configuration of dev, made when missing. Null: no memory. [P] rtnl
in_device *inetdev_get(net_device *dev);
/// A new address with what follows from it filled in (mask by class when `mask` is 0). [P]
in_ifaddr *inet_alloc_ifa(net_device *dev, be32 addr, be32 mask, be32 broadcast);
/// Address of a device for SIOCGIFCONF. See dev_ioctl.cc.
int inet_gifconf(net_device *dev, u64 user_buf, int len);
/// Classful default mask (RFC 791), as SIOCSIFADDR uses it; 0 for others.
be32 inet_class_mask(be32 addr);

/// Tell fib_frontend.cc about an address. [P] rtnl
void fib_inetaddr_event(netdev_event e, in_ifaddr *ifa);
/// A device event for routes. [P] rtnl
void fib_netdev_event(netdev_event e, net_device *dev);
void devinet_init();
/// Publish settings at /proc/sys/net/ipv4/conf/<name>/. sysctl_net_ipv4.cc
void ipv4_devconf_register(const char *name, ipv4_devconf *cnf);
/// igmp.cc: membership of 224.0.0.1 and filters while the device is up. [P] rtnl
void ip_mc_up(in_device *d);
void ip_mc_down(in_device *d);
void igmp_proc_init();
/// Notify listeners of netlink of an address that was added or deleted. [P] rtnl. devinet_netlink.cc
void rtmsg_ifa(bool added, const in_ifaddr *a);
void devinet_netlink_init();

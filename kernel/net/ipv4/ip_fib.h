// SPDX-License-Identifier: MIT
// The forwarding information base: tables "local" (255) and "main" (254), longest prefix first (row
// L-02, L-03).
// Linux: include/net/ip_fib.h, net/ipv4/fib_*.c. Changed under rtnl; look-ups are lockless (RCU).
// Not a trie: one hash of prefixes for each length that occurs, tried from the longest; a host has
// few lengths (32, 24, 8, 0).
#pragma once

#include "net/ipv4/inetdevice.h"

constexpr u8 RT_TABLE_MAIN = 254, RT_TABLE_LOCAL = 255;
constexpr u8 RTPROT_KERNEL = 2, RTPROT_BOOT = 3;

/// Next hop and attributes, shared by nothing: one per route. Caches the rtables made from it, so
/// that packets allocate none.
struct fib_info : pinned {
    net_device *nh_dev = nullptr; // referenced; null for unreachable routes
    be32 nh_gw{};
    be32 fib_prefsrc{};
    u8 nh_scope = RT_SCOPE_NOWHERE;
    u8 fib_protocol = RTPROT_BOOT;
    u8 fib_scope = RT_SCOPE_UNIVERSE;
    u32 fib_priority = 0;
    u32 fib_mtu = 0;
    std::atomic<rtable *> nh_rth_input{nullptr};
    std::atomic<rtable *> nh_rth_output[NR_CPUS] = {};
    rcu_head rcu;
};

/// A route: prefix → fib_info.
struct fib_alias {
    fib_alias *next = nullptr; // bucket chain, RCU; same prefix: ascending priority
    be32 prefix{};
    u8 plen = 0, type = RTN_UNICAST, tos = 0;
    fib_info *fi = nullptr;
    rcu_head rcu;
};

constexpr unsigned FIB_BUCKETS = 64;
struct fib_table {
    u8 id;
    u64 lengths; // bit n: there are prefixes of length n
    fib_alias *const *hash[33];
    u32 count[33];
};
extern fib_table fib_table_local, fib_table_main;

/// Result of a look-up.
struct fib_result {
    u8 prefixlen, type;
    be32 prefix;
    fib_info *fi;
};

/// What to add or delete.
struct fib_config {
    be32 dst{}, gw{}, prefsrc{};
    u8 plen = 0, type = RTN_UNICAST, scope = RT_SCOPE_UNIVERSE, tos = 0, protocol = RTPROT_BOOT;
    u32 priority = 0, mtu = 0;
    net_device *dev = nullptr;
};

/// Longest match in a table; oif 0: any. False: none. Any context, BH off or not sleeping.
bool fib_table_lookup(const fib_table &t, be32 dst, u32 oif, fib_result *res);
/// Local, then main. 0 or -ENETUNREACH / -EHOSTUNREACH / -EACCES / -EINVAL for the reject types.
int fib_lookup(be32 dst, u32 oif, fib_result *res);
/// [P] rtnl. 0 or -errno (EEXIST, ENOENT/ESRCH, EINVAL, ENETUNREACH, ENOMEM, ENETDOWN).
int fib_table_insert(fib_table &t, const fib_config &cfg, bool replace);
int fib_table_delete(fib_table &t, const fib_config &cfg);
/// Remove every route for which f says so. [P] rtnl
int fib_table_flush(fib_table &t, bool (*f)(const fib_alias *, void *), void *arg);
/// Visit in order of length (longest last) then bucket; f may not sleep. BH off.
void fib_table_walk(fib_table &t, void (*f)(const fib_alias *, void *), void *arg);

/// Source address that a route prefers; else one of its device.
be32 fib_res_prefsrc(const fib_result &res, be32 daddr);
/// Routes of a freed fib_info: drop its cached rtables. route.cc
void fib_info_release_rt(fib_info *fi);
void fib_init();
void fib_proc_init();
/// Notify listeners of netlink of a route. [P] rtnl. fib_netlink.cc
void rtmsg_fib(bool added, const fib_alias *a, const fib_table &t);
void fib_netlink_init();

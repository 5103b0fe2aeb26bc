// SPDX-License-Identifier: MIT
// /proc/sys/net/ipv4: the settings that exist, under Linux's names, with their limits checked.
// Linux: net/ipv4/sysctl_net_ipv4.c, net/ipv4/devinet.c, net/core/neighbour.c.

#include "net/ipv4/sysctl_net_ipv4.h"
#include "fs/seq_file.h"
#include "lib/printk.h"
#include "net/ipv4/arp.h"
#include "net/ipv4/icmp.h"
#include "net/ipv4/inet_sock.h"
#include "net/ipv4/inetdevice.h"
#include "net/ipv4/ip_frag.h"
#include "net/ipv4/ip_output.h"

namespace
{
constexpr int int_max = 0x7fffffff;

void set_forwarding_dev(net_device *dev, void *on)
{
    if (dev->ip_ptr)
        dev->ip_ptr->cnf.forwarding = *static_cast<int *>(on);
}

/// 0 or 1; anything else is refused.
int parse_bool(const char *text, int *out)
{
    const char *end;
    u64 v = strtoul(text, &end, 10);
    while (*end == '\n' || *end == ' ')
        end++;
    if (*end || end == text || v > 1)
        return -EINVAL;
    *out = static_cast<int>(v);
    return 0;
}

/// ip_forward sets every device's and the default, as in Linux.
int ip_forward_store(char *text, size_t, void *)
{
    int on;
    if (int err = parse_bool(text, &on))
        return err;
    mutex_guard g{rtnl_mutex};
    ipv4_devconf_all.forwarding = ipv4_devconf_dflt.forwarding = on;
    for_each_netdev(set_forwarding_dev, &on);
    rt_cache_flush();
    return 0;
}
void ip_forward_show(seq_file *m)
{
    seq_printf(m, "%d\n", ipv4_devconf_all.forwarding);
}

/// What is remembered of look-ups depends on these.
void conf_file(const char *dev, const char *name, int *value, int hi)
{
    char path[64];
    snprintf(path, sizeof(path), "net/ipv4/conf/%s/%s", dev, name);
    sysctl_create_int(path, value, 0, hi, rt_cache_flush);
}

void neigh_file(const char *dev, const char *name, int *value, int lo, int hi)
{
    char path[64];
    snprintf(path, sizeof(path), "net/ipv4/neigh/%s/%s", dev, name);
    sysctl_create_int(path, value, lo, hi);
}
} // namespace

void ipv4_devconf_register(const char *name, ipv4_devconf *c)
{
    if (c != &ipv4_devconf_all)
        conf_file(name, "forwarding", &c->forwarding, 1);
    conf_file(name, "rp_filter", &c->rp_filter, 2);
    conf_file(name, "arp_ignore", &c->arp_ignore, 1);
    conf_file(name, "accept_local", &c->accept_local, 1);
    conf_file(name, "log_martians", &c->log_martians, 1);
}

void sysctl_net_ipv4_init()
{
    proc_create("sys/net/ipv4/ip_forward", ip_forward_show, nullptr, ip_forward_store);
    proc_create("sys/net/ipv4/conf/all/forwarding", ip_forward_show, nullptr, ip_forward_store);
    sysctl_create_int("net/ipv4/ip_default_ttl", &sysctl_ip_default_ttl, 1, 255);
    sysctl_create_int("net/ipv4/ip_nonlocal_bind", &sysctl_ip_nonlocal_bind, 0, int_max);
    sysctl_create_int("net/ipv4/ip_no_pmtu_disc", &sysctl_ip_no_pmtu_disc, 0, int_max);
    sysctl_create_int("net/ipv4/ip_early_demux", &sysctl_ip_early_demux, 0, int_max);
    sysctl_create_int("net/ipv4/ipfrag_high_thresh", &sysctl_ipfrag_high_thresh, 0, int_max);
    sysctl_create_int("net/ipv4/ipfrag_low_thresh", &sysctl_ipfrag_low_thresh, 0, int_max);
    sysctl_create_int("net/ipv4/ipfrag_time", &sysctl_ipfrag_time, 1, 3600);
    neigh_parms &p = arp_tbl.parms;
    neigh_file("default", "ucast_solicit", &p.ucast_probes, 0, 100);
    neigh_file("default", "mcast_solicit", &p.mcast_probes, 0, 100);
    neigh_file("default", "retrans_time_ms", &p.retrans_time_ms, 10, 3600000);
    neigh_file("default", "base_reachable_time_ms", &p.base_reachable_time_ms, 1000, 3600000);
    neigh_file("default", "delay_first_probe_time", &p.delay_probe_time_s, 0, 3600);
    neigh_file("default", "gc_stale_time", &p.gc_stale_time_s, 0, 3600);
    neigh_file("default", "unres_qlen_bytes", &p.queue_len_bytes, 0, 16 << 20);
    neigh_file("default", "gc_thresh1", &arp_tbl.gc_thresh1, 0, 65536);
    neigh_file("default", "gc_thresh2", &arp_tbl.gc_thresh2, 0, 65536);
    neigh_file("default", "gc_thresh3", &arp_tbl.gc_thresh3, 1, 65536);
}

void sysctl_icmp_init()
{
    sysctl_create_int("net/ipv4/icmp_echo_ignore_all", &sysctl_icmp_echo_ignore_all, 0, 1);
    sysctl_create_int("net/ipv4/icmp_echo_ignore_broadcasts", &sysctl_icmp_echo_ignore_broadcasts,
                      0, 1);
    sysctl_create_int("net/ipv4/icmp_ignore_bogus_error_responses",
                      &sysctl_icmp_ignore_bogus_error_responses, 0, 1);
    sysctl_create_int("net/ipv4/icmp_ratelimit", &sysctl_icmp_ratelimit, 0, int_max);
    sysctl_create_int("net/ipv4/icmp_ratemask", &sysctl_icmp_ratemask, 0, int_max);
}

// SPDX-License-Identifier: MIT
// IPv4's counters and boot: /proc/net/snmp, /proc/net/netstat in Linux's formats (atlas §25),
// ip_init. Linux: net/ipv4/proc.c.

#include "fs/seq_file.h"
#include "lib/printk.h"
#include "net/ipv4/icmp.h"
#include "net/ipv4/ip_frag.h"
#include "net/ipv4/ip_output.h"
#include "net/ipv4/route.h"
#include "net/ipv4/sysctl_net_ipv4.h"

namespace
{
/// Sum over CPUs of one field, reached by an offset in net_mibs.
u64 mib_sum(size_t offset)
{
    u64 s = 0;
    for (unsigned i = 0; i < NR_CPUS; i++)
        s += read_once(
            *reinterpret_cast<const u64 *>(reinterpret_cast<const u8 *>(&net_mib.on(i)) + offset));
    return s;
}

/// "Name: field field…" then "Name: value value…". `pre`: fields and values that are no counters.
void show_mib(seq_file *m, const char *name, const char *pre_names, const char *pre_values,
              const char *const *fields, unsigned n, size_t offset)
{
    seq_printf(m, "%s:%s", name, pre_names);
    for (unsigned i = 0; i < n; i++)
        seq_printf(m, " %s", fields[i]);
    seq_printf(m, "\n%s:%s", name, pre_values);
    for (unsigned i = 0; i < n; i++)
        seq_printf(m, " %llu", static_cast<unsigned long long>(mib_sum(offset + i * sizeof(u64))));
    seq_putc(m, '\n');
}

#define MIB_NAME(n) #n,
constexpr const char *ip_names[] = {IPSTATS_MIB(MIB_NAME)};
constexpr const char *ipext_names[] = {IPEXT_MIB(MIB_NAME)};
constexpr const char *icmp_names[] = {ICMP_MIB(MIB_NAME)};
constexpr const char *udp_names[] = {UDP_MIB(MIB_NAME)};
constexpr const char *tcp_names[] = {TCP_MIB(MIB_NAME)};
constexpr const char *tcpext_names[] = {TCPEXT_MIB(MIB_NAME)};
#undef MIB_NAME

/// Only types that occurred: "IcmpMsg: InType8 OutType0".
void show_icmpmsg(seq_file *m)
{
    bool any = false;
    for (int pass = 0; pass < 2; pass++) {
        for (int dir = 0; dir < 2; dir++) {
            size_t base = dir ? __builtin_offsetof(net_mibs, icmp_out_type)
                              : __builtin_offsetof(net_mibs, icmp_in_type);
            for (unsigned t = 0; t < 256; t++) {
                u64 v = mib_sum(base + t * sizeof(u64));
                if (!v)
                    continue;
                if (!any)
                    seq_puts(m, "IcmpMsg:");
                any = true;
                if (pass == 0)
                    seq_printf(m, " %sType%u", dir ? "Out" : "In", t);
                else
                    seq_printf(m, " %llu", static_cast<unsigned long long>(v));
            }
        }
        if (any)
            seq_puts(m, pass == 0 ? "\nIcmpMsg:" : "\n");
    }
}

void snmp_show(seq_file *m)
{
    char values[48];
    snprintf(values, sizeof(values), " %d %d", ipv4_devconf_all.forwarding ? 1 : 2,
             sysctl_ip_default_ttl);
    show_mib(m, "Ip", " Forwarding DefaultTTL", values, ip_names, IPSTATS_MIB_MAX,
             __builtin_offsetof(net_mibs, ip));
    show_mib(m, "Icmp", "", "", icmp_names, ICMP_MIB_MAX, __builtin_offsetof(net_mibs, icmp));
    show_icmpmsg(m);
    // RFC 2988's algorithm, RTO limits in ms, no limit of connections.
    show_mib(m, "Tcp", " RtoAlgorithm RtoMin RtoMax MaxConn", " 1 200 120000 -1", tcp_names,
             TCP_MIB_MAX, __builtin_offsetof(net_mibs, tcp));
    show_mib(m, "Udp", "", "", udp_names, UDP_MIB_MAX, __builtin_offsetof(net_mibs, udp));
}

void netstat_show(seq_file *m)
{
    show_mib(m, "TcpExt", "", "", tcpext_names, LINUX_MIB_MAX,
             __builtin_offsetof(net_mibs, tcpext));
    show_mib(m, "IpExt", "", "", ipext_names, IPEXT_MIB_MAX, __builtin_offsetof(net_mibs, ipext));
}
} // namespace

void ip_init()
{
    ip_packet_type.type = htons(ETH_P_IP);
    ip_packet_type.func = ip_rcv;
    ip_packet_type.func_name = "ip_rcv";
    ip_rt_init();
    ipfrag_init();
    gifconf_inet = inet_gifconf;
    devinet_init();
    fib_proc_init();
    igmp_proc_init();
    sysctl_net_ipv4_init();
    proc_create("net/snmp", snmp_show);
    proc_create("net/netstat", netstat_show);
    debugfs_create("net/inet_protos", inet_protos_show);
}

void icmp_init()
{
    sysctl_icmp_init();
}

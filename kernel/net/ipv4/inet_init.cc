// SPDX-License-Identifier: MIT
// Boot of IPv4 (Linux net/ipv4/af_inet.c inet_init; atlas §2; row B-09): protocols, the family, the protocol table, the types, the
// parts below, and last the packet type, so that no frame comes in before all is in place.

#include "fs/seq_file.h"
#include "lib/initcall.h"
#include "net/ipv4/ping.h"
#include "net/ipv4/raw.h"
#include "net/ipv4/tcp.h"
#include "net/ipv4/udp.h"

static const net_protocol udp_protocol = {
    .handler = udp_rcv,
    .err_handler = udp_err,
    .name = "udp_rcv",
    .no_policy = true,
};

static const net_protocol tcp_protocol = {
    .handler = tcp_v4_rcv,
    .err_handler = tcp_v4_err,
    .name = "tcp_v4_rcv",
    .no_policy = true,
    .early_demux = tcp_v4_early_demux,
};

static const net_proto_family inet_family_ops = {
    .family = AF_INET,
    .create = inet_create,
    .name = "inet_create",
};

static inet_protosw inetsw_array[] = {
    {.type = SOCK_STREAM,
     .protocol = IPPROTO_TCP,
     .prot = &tcp_prot,
     .ops = &inet_stream_ops,
     .flags = INET_PROTOSW_PERMANENT},
    {.type = SOCK_DGRAM,
     .protocol = IPPROTO_UDP,
     .prot = &udp_prot,
     .ops = &inet_dgram_ops,
     .flags = INET_PROTOSW_PERMANENT},
    {.type = SOCK_DGRAM,
     .protocol = IPPROTO_ICMP,
     .prot = &ping_prot,
     .ops = &inet_dgram_ops,
     .flags = INET_PROTOSW_REUSE},
    {.type = SOCK_RAW,
     .protocol = IPPROTO_IP,
     .prot = &raw_prot,
     .ops = &inet_sockraw_ops,
     .flags = INET_PROTOSW_REUSE},
};

static void inetsw_show(seq_file *m)
{
    for_each_protosw(
        [](const inet_protosw *p, void *arg) {
            seq_printf(static_cast<seq_file *>(arg), "type=%d protocol=%d ops=%s prot=%s\n",
                       p->type, p->protocol, p->ops->name, p->prot->symbol);
        },
        m);
}

/// One protocol that must be there.
static void inet_must_add(const net_protocol *p, u8 number)
{
    if (inet_add_protocol(p, number) < 0)
        pr_err("inet_init: cannot add protocol %u", number);
}

static int inet_init()
{
    for (proto *p : {&tcp_prot, &udp_prot, &raw_prot, &ping_prot})
        if (int err = proto_register(p))
            return err;
    if (int err = sock_register(&inet_family_ops))
        return err;
    inet_must_add(&icmp_protocol, IPPROTO_ICMP);
    inet_must_add(&udp_protocol, IPPROTO_UDP);
    inet_must_add(&tcp_protocol, IPPROTO_TCP);
    inet_must_add(&igmp_protocol, IPPROTO_IGMP);
    for (inet_protosw &p : inetsw_array)
        inet_register_protosw(&p);
    arp_init();
    ip_init();
    tcp_init();
    udp_init();
    ping_init();
    raw_init();
    icmp_init();
    sysctl_create_ints("net/ipv4/ip_local_port_range", sysctl_local_port_range, 2, 1, 65535);
    debugfs_create("net/inetsw", inetsw_show);
    udp_proc_init();
    inet_diag_init();
    dev_add_pack(&ip_packet_type);
    return 0;
}
fs_initcall(inet_init);

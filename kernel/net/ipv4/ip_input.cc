// SPDX-License-Identifier: MIT
// IPv4 reception: header checks, routing, reassembly, delivery to protocols (atlas §5; rows R-10,
// B-08). Linux: net/ipv4/ip_input.c. Softirq; no locks; counters are per CPU. Each function takes
// over the skb.

#include "lib/printk.h"
#include "net/core/neighbour.h"
#include "net/ipv4/inetdevice.h"
#include "net/ipv4/ip_frag.h"
#include "net/ipv4/ip_options.h"
#include "trace/trace.h"

constinit percpu<net_mibs> net_mib;
int sysctl_ip_early_demux = 1;
bool (*raw_local_deliver_hook)(sk_buff *skb, u8 protocol);

constinit packet_type ip_packet_type;

/// Nobody takes the protocol: tell the sender unless a raw socket got it.
static void no_protocol(sk_buff *skb, bool raw)
{
    if (raw) {
        IP_INC_STATS(IPSTATS_MIB_InDelivers);
        consume_skb(skb);
        return;
    }
    IP_INC_STATS(IPSTATS_MIB_InUnknownProtos);
    icmp_send(skb, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, be32{});
    kfree_skb_reason(skb, "ip_noproto");
}

static int ip_local_deliver_finish(sk_buff *skb)
{
    skb_pull(skb, ip_hdrlen(skb));
    skb_reset_transport_header(skb);
    u8 protocol = ip_hdr(skb)->protocol;
    rcu_read_lock();
    bool raw = raw_local_deliver_hook && raw_local_deliver_hook(skb, protocol);
    const net_protocol *p = rcu_dereference(inet_protos[protocol]);
    if (likely(p)) {
        IP_INC_STATS(IPSTATS_MIB_InDelivers);
        p->handler(skb);
    } else {
        no_protocol(skb, raw);
    }
    rcu_read_unlock();
    return 0;
}

int ip_local_deliver(sk_buff *skb)
{
    const iphdr *iph = ip_hdr(skb);
    trace(trace_event::ip_local_deliver, skb->trace_id, skb->len, iph->protocol);
    if (unlikely(iph->frag_off & (IP_MF | IP_OFFSET))) {
        skb = ip_defrag(skb);
        if (!skb)
            return 0;
    }
    return ip_local_deliver_finish(skb);
}

/// Let the protocol find the packet's socket, and the route of the socket's last packet with it. A fragment's ports are not
/// its own.
static void ip_early_demux(sk_buff *skb)
{
    const iphdr *iph = ip_hdr(skb);
    if (iph->frag_off & (IP_MF | IP_OFFSET))
        return;
    const net_protocol *p = rcu_dereference(inet_protos[iph->protocol]);
    if (p && p->early_demux)
        p->early_demux(skb);
}

/// Route, options, counters of the kind of destination. RCU.
static int ip_rcv_finish(sk_buff *skb)
{
    if (read_once(sysctl_ip_early_demux) && !skb->dst && !skb->sk)
        ip_early_demux(skb);
    const iphdr *iph = ip_hdr(skb);
    if (likely(!skb->dst)) {
        if (int err = ip_route_input(skb, iph->daddr, iph->saddr, iph->tos, skb->dev)) {
            kfree_skb_reason(skb, err == -EXDEV ? "ip_rpfilter" : "ip_martian");
            return NET_RX_DROP;
        }
    }
    if (unlikely(iph->ihl > 5) && !ip_rcv_options(skb)) {
        kfree_skb_reason(skb, "ip_inhdr");
        return NET_RX_DROP;
    }
    u8 type = skb_rtable(skb)->rt_type;
    if (type == RTN_MULTICAST) {
        IPEXT_ADD_STATS(IPEXT_MIB_InMcastPkts, 1);
        IPEXT_ADD_STATS(IPEXT_MIB_InMcastOctets, skb->len);
    } else if (type == RTN_BROADCAST) {
        IPEXT_ADD_STATS(IPEXT_MIB_InBcastPkts, 1);
        IPEXT_ADD_STATS(IPEXT_MIB_InBcastOctets, skb->len);
    }
    return dst_input(skb);
}

static int ip_hdr_error(sk_buff *skb, const char *reason)
{
    IP_INC_STATS(IPSTATS_MIB_InHdrErrors);
    kfree_skb_reason(skb, reason);
    return NET_RX_DROP;
}

/// RFC 1122 §3.2.1: version, length and checksum of the header before anything else is believed.
static int ip_rcv_checked(sk_buff *skb)
{
    if (!pskb_may_pull(skb, sizeof(iphdr)))
        return ip_hdr_error(skb, "ip_inhdr");
    const iphdr *iph = ip_hdr(skb);
    if (iph->ihl < 5 || iph->version != 4 || !pskb_may_pull(skb, iph->ihl * 4u))
        return ip_hdr_error(skb, "ip_inhdr");
    iph = ip_hdr(skb);
    if (unlikely(ip_fast_csum(iph, iph->ihl))) {
        IPEXT_ADD_STATS(IPEXT_MIB_InCsumErrors, 1);
        return ip_hdr_error(skb, "ip_csum");
    }
    u32 len = iph->tot_len.host();
    if (skb->len < len) {
        IPEXT_ADD_STATS(IPEXT_MIB_InTruncatedPkts, 1);
        kfree_skb_reason(skb, "pkt_too_small");
        return NET_RX_DROP;
    }
    if (len < iph->ihl * 4u)
        return ip_hdr_error(skb, "ip_inhdr");
    // Ethernet pads short frames.
    if (pskb_trim(skb, len)) {
        IP_INC_STATS(IPSTATS_MIB_InDiscards);
        kfree_skb_reason(skb, "nomem");
        return NET_RX_DROP;
    }
    iph = ip_hdr(skb);
    skb->transport_header = static_cast<u16>(skb->network_header + iph->ihl * 4u);
    __builtin_memset(skb->cb, 0, sizeof(inet_skb_parm));
    skb_orphan(skb);
    trace(trace_event::ip_rcv, skb->trace_id, len, iph->saddr.raw, iph->daddr.raw, iph->protocol);
    return ip_rcv_finish(skb);
}

int ip_rcv(sk_buff *skb, net_device *, packet_type *, net_device *)
{
    if (skb->pkt_type == PACKET_OTHERHOST) {
        kfree_skb_reason(skb, "otherhost");
        return NET_RX_DROP;
    }
    IP_INC_STATS(IPSTATS_MIB_InReceives);
    IPEXT_ADD_STATS(IPEXT_MIB_InOctets, skb->len);
    skb = skb_share_check(skb, GFP_ATOMIC);
    if (!skb) {
        IP_INC_STATS(IPSTATS_MIB_InDiscards);
        return NET_RX_DROP;
    }
    return ip_rcv_checked(skb);
}

int ip_forward(sk_buff *skb)
{
    if (skb->pkt_type != PACKET_HOST) { // RFC 1812 §5.3.4: link broadcasts are not forwarded
        kfree_skb_reason(skb, "otherhost");
        return NET_RX_DROP;
    }
    rtable *rt = skb_rtable(skb);
    if (ip_hdr(skb)->ttl <= 1) {
        IP_INC_STATS(IPSTATS_MIB_InHdrErrors);
        icmp_send(skb, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, be32{});
        kfree_skb_reason(skb, "ip_inhdr");
        return NET_RX_DROP;
    }
    if (IPCB(skb)->srr && rt->rt_gateway && (IPCB(skb)->flags & IPSKB_STRICT)) {
        icmp_send(skb, ICMP_DEST_UNREACH, ICMP_SR_FAILED, be32{});
        kfree_skb_reason(skb, "ip_nolocal");
        return NET_RX_DROP;
    }
    u32 mtu = dst_mtu(rt);
    if (skb->len > mtu && (ip_hdr(skb)->frag_off & IP_DF)) {
        IP_INC_STATS(IPSTATS_MIB_FragFails);
        icmp_send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, htonl(mtu));
        kfree_skb_reason(skb, "ip_nolocal");
        return NET_RX_DROP;
    }
    if (skb_cow_head(skb, LL_RESERVED_SPACE(rt->dev))) {
        IP_INC_STATS(IPSTATS_MIB_OutDiscards);
        kfree_skb_reason(skb, "nomem");
        return NET_RX_DROP;
    }
    skb_orphan(skb); // early demux: a socket of ours may still have the address
    iphdr *iph = ip_hdr(skb);
    iph->ttl--;
    iph->check = be16{};
    iph->check = ip_fast_csum(iph, iph->ihl);
    skb->priority = iph->tos >> 2 & 7;
    if (skb->ip_summed == CHECKSUM_COMPLETE)
        skb->ip_summed = CHECKSUM_NONE;
    IP_INC_STATS(IPSTATS_MIB_ForwDatagrams);
    return dst_output(skb);
}

// SPDX-License-Identifier: MIT
// IPv4 transmission below the sockets: from a finished header to the neighbour (atlas §11.4).
// Linux: net/ipv4/ip_output.c. Process or softirq context. Each function takes over the skb. No
// locks; the neighbour look-up needs BHs off.

#include "net/ipv4/ip_output.h"
#include "lib/printk.h"
#include "net/ipv4/arp.h"
#include "net/ipv4/inet_sock.h"
#include "net/ipv4/inetdevice.h"
#include "trace/trace.h"

int sysctl_ip_default_ttl = 64;
int sysctl_ip_default_ttl_get()
{
    return sysctl_ip_default_ttl;
}

static int ip_finish_output2(sk_buff *skb)
{
    rtable *rt = skb_rtable(skb);
    net_device *dev = rt->dev;
    if (unlikely(rt->rt_type == RTN_MULTICAST)) {
        IPEXT_ADD_STATS(IPEXT_MIB_OutMcastPkts, 1);
        IPEXT_ADD_STATS(IPEXT_MIB_OutMcastOctets, skb->len);
    } else if (unlikely(rt->rt_type == RTN_BROADCAST)) {
        IPEXT_ADD_STATS(IPEXT_MIB_OutBcastPkts, 1);
        IPEXT_ADD_STATS(IPEXT_MIB_OutBcastOctets, skb->len);
    }
    if (unlikely(skb_headroom(skb) < LL_RESERVED_SPACE(dev)) &&
        pskb_expand_head(skb, LL_RESERVED_SPACE(dev), 0, GFP_ATOMIC)) {
        kfree_skb_reason(skb, "nomem");
        return -ENOMEM;
    }
    local_bh_disable(); // the neighbour is not referenced
    neighbour *n = ipv4_neigh(dev, rt_nexthop(rt, ip_hdr(skb)->daddr));
    int rc = -EINVAL;
    if (likely(n))
        rc = neigh_output(n, skb);
    else
        kfree_skb_reason(skb, "neigh_failed");
    local_bh_enable();
    return rc;
}

static int ip_finish_output(sk_buff *skb)
{
    if (unlikely(skb->len > dst_mtu(skb->dst)) && !skb_shinfo(skb)->gso_size)
        return ip_fragment(skb, ip_finish_output2);
    return ip_finish_output2(skb);
}

static void count_out(const sk_buff *skb)
{
    net_mibs &m = *net_mib;
    m.ip[IPSTATS_MIB_OutRequests]++;
    m.ipext[IPEXT_MIB_OutOctets] += skb->len;
}

int ip_output(sk_buff *skb)
{
    const iphdr *iph = ip_hdr(skb);
    count_out(skb);
    skb->dev = skb->dst->dev;
    skb->protocol = htons(ETH_P_IP);
    trace(trace_event::ip_output, skb->trace_id, skb->len, iph->saddr.raw, iph->daddr.raw,
          iph->protocol);
    return ip_finish_output(skb);
}

/// Whether the sender wants to hear itself (IP_MULTICAST_LOOP).
static bool ip_mc_loops(const sk_buff *skb)
{
    return !skb->sk || skb->sk->sk_family != AF_INET || inet_sk(skb->sk)->mc_loop;
}

int ip_mc_output(sk_buff *skb)
{
    rtable *rt = skb_rtable(skb);
    count_out(skb);
    skb->dev = rt->dev;
    skb->protocol = htons(ETH_P_IP);
    // A copy for ourselves, as if it had come in by this device.
    if ((rt->rt_flags & RTCF_LOCAL) && ((rt->rt_flags & RTCF_BROADCAST) || ip_mc_loops(skb))) {
        if (sk_buff *copy = skb_copy(skb, GFP_ATOMIC)) {
            skb_dst_drop(copy);
            skb_reset_mac_header(copy);
            if (copy->ip_summed == CHECKSUM_PARTIAL || copy->ip_summed == CHECKSUM_NONE)
                copy->ip_summed = CHECKSUM_UNNECESSARY;
            copy->pkt_type = PACKET_HOST;
            skb_dst_set(copy, dst_hold(rt)); // input is ip_local_deliver
            netif_rx_ni(copy);
        }
    }
    if ((rt->rt_flags & RTCF_MULTICAST) && ip_hdr(skb)->ttl == 0) {
        kfree_skb(skb);
        return 0;
    }
    const iphdr *iph = ip_hdr(skb);
    trace(trace_event::ip_output, skb->trace_id, skb->len, iph->saddr.raw, iph->daddr.raw,
          iph->protocol);
    return ip_finish_output(skb);
}

int ip_local_out(sk_buff *skb)
{
    iphdr *iph = ip_hdr(skb);
    iph->tot_len = htons(static_cast<u16>(skb->len));
    iph->check = be16{};
    iph->check = ip_fast_csum(iph, iph->ihl);
    return dst_output(skb);
}

int ip_send_skb(sk_buff *skb)
{
    int err = ip_local_out(skb);
    if (err > 0) // NET_XMIT_*: only a dropped packet is an error
        err = err == NET_XMIT_CN ? 0 : -ENOBUFS;
    if (err < 0)
        IP_INC_STATS(IPSTATS_MIB_OutDiscards);
    return err;
}

// --- Identification ------------------------------------------------------------------------------
// RFC 6864: unique per source, destination and protocol among fragments in flight. Counters are
// shared by a keyed hash, so that an observer of one flow learns nothing about another.

static std::atomic<u32> ip_idents[2048];
static u64 ip_ident_key[2];

void ip_select_ident(iphdr *iph, const dst_entry *, bool df)
{
    if (df) { // never fragmented: needs no identity (Linux 3.10 sends 0)
        iph->id = be16{};
        return;
    }
    if (unlikely(!read_once(ip_ident_key[0])))
        get_random_bytes(ip_ident_key, sizeof(ip_ident_key));
    struct {
        be32 saddr, daddr;
        u64 protocol;
    } flow{iph->saddr, iph->daddr, iph->protocol};
    u64 h = siphash(&flow, sizeof(flow), ip_ident_key);
    u32 n = ip_idents[h % 2048].fetch_add(1, std::memory_order_relaxed);
    iph->id = htons(static_cast<u16>(n + (h >> 48)));
}

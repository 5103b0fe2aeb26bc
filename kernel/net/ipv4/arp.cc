// SPDX-License-Identifier: MIT
// Address resolution on Ethernet (RFC 826; atlas §11.6, row T-05). Linux: net/ipv4/arp.c.
// arp_rcv: softirq. Every field of a received packet is checked before it may change the table.
// Requests that are not for us teach nothing new: only senders that ask us, or that we know
// already, are remembered, so a flood cannot fill more than the table.

#include "net/ipv4/arp.h"
#include "lib/printk.h"
#include "net/ethernet/eth.h"
#include "net/ipv4/arp_packet.h"
#include "net/ipv4/inetdevice.h"
#include "trace/trace.h"

constinit static_object<neigh_table> arp_tbl_storage;

void ip_eth_mc_map(be32 group, u8 *mac)
{
    u32 a = group.host();
    u8 m[ETH_ALEN] = {
        1, 0, 0x5e, static_cast<u8>((a >> 16) & 0x7f), static_cast<u8>(a >> 8), static_cast<u8>(a)};
    memcpy(mac, m, ETH_ALEN);
}

/// State and address of a new entry: what needs no asking is answered here.
static int arp_constructor(neighbour *n)
{
    net_device *dev = n->dev;
    if (!in_dev_get_rcu(dev))
        return -EINVAL;
    n->type = inet_addr_type(n->primary_key);
    if (!dev->header_ops) {
        n->nud_state = NUD_NOARP;
        n->output = neigh_connected_output;
        return 0;
    }
    if (n->type == RTN_MULTICAST) {
        n->nud_state = NUD_NOARP;
        ip_eth_mc_map(n->primary_key, n->ha);
    } else if (dev->flags & (IFF_NOARP | IFF_LOOPBACK)) {
        n->nud_state = NUD_NOARP;
        memcpy(n->ha, dev->dev_addr, dev->addr_len);
    } else if (n->type == RTN_BROADCAST || (dev->flags & IFF_POINTOPOINT)) {
        n->nud_state = NUD_NOARP;
        memcpy(n->ha, dev->broadcast, dev->addr_len);
    }
    if (n->nud_state & NUD_VALID)
        n->output = neigh_connected_output;
    return 0;
}

static sk_buff *arp_create(u16 op, be32 dest_ip, net_device *dev, be32 src_ip, const u8 *dest_hw,
                           const u8 *src_hw, const u8 *target_hw)
{
    sk_buff *skb = alloc_skb(LL_RESERVED_SPACE(dev) + sizeof(arp_packet), GFP_ATOMIC);
    if (!skb)
        return nullptr;
    skb_reserve(skb, LL_RESERVED_SPACE(dev));
    skb_reset_network_header(skb);
    auto *arp = reinterpret_cast<arp_packet *>(skb_put(skb, sizeof(arp_packet)));
    skb->dev = dev;
    skb->protocol = htons(ETH_P_ARP);
    if (!src_hw)
        src_hw = dev->dev_addr;
    if (dev_hard_header(skb, dev, ETH_P_ARP, dest_hw ? dest_hw : dev->broadcast, src_hw, skb->len) <
        0) {
        kfree_skb_reason(skb, "dev_hdr");
        return nullptr;
    }
    arp->ar_hrd = htons(ARPHRD_ETHER);
    arp->ar_pro = htons(ETH_P_IP);
    arp->ar_hln = ETH_ALEN;
    arp->ar_pln = 4;
    arp->ar_op = htons(op);
    memcpy(arp->sha, src_hw, ETH_ALEN);
    arp->sip = src_ip;
    if (target_hw)
        memcpy(arp->tha, target_hw, ETH_ALEN);
    else
        memset(arp->tha, 0, ETH_ALEN);
    arp->tip = dest_ip;
    return skb;
}

void arp_send(u16 op, be32 dest_ip, net_device *dev, be32 src_ip, const u8 *dest_hw,
              const u8 *src_hw, const u8 *target_hw)
{
    if ((dev->flags & IFF_NOARP) || dev->addr_len != ETH_ALEN)
        return;
    sk_buff *skb = arp_create(op, dest_ip, dev, src_ip, dest_hw, src_hw, target_hw);
    if (!skb)
        return;
    trace(trace_event::arp_send, op, src_ip.raw, dest_ip.raw, dev->name);
    dev_queue_xmit(skb);
}

/// Which of our addresses asks: that of the waiting packet if it is ours (arp_announce 0).
static be32 solicit_source(const neighbour *n, const sk_buff *skb)
{
    if (skb && inet_addr_type(ip_hdr(skb)->saddr) == RTN_LOCAL)
        return ip_hdr(skb)->saddr;
    return inet_select_addr(n->dev, n->primary_key, RT_SCOPE_LINK);
}

static void arp_solicit(neighbour *n, sk_buff *skb)
{
    if (!in_dev_get_rcu(n->dev))
        return;
    be32 saddr = solicit_source(n, skb);
    if (!saddr)
        return;
    // The first ucast_probes go to the address that we believe in, if there is one; the rest to
    // everybody.
    bool unicast = n->probes.load() < n->tbl->parms.ucast_probes && (n->nud_state & NUD_VALID);
    u8 ha[MAX_ADDR_LEN];
    memcpy(ha, n->ha, sizeof(ha));
    arp_send(ARPOP_REQUEST, n->primary_key, n->dev, saddr, unicast ? ha : nullptr, nullptr,
             unicast ? ha : nullptr);
}

/// The packet cannot be delivered: its sender (often ourselves) learns by ICMP.
static void arp_error_report(neighbour *, sk_buff *skb)
{
    icmp_send(skb, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, be32{});
    kfree_skb_reason(skb, "neigh_failed");
}

static const neigh_ops arp_ops{arp_solicit, arp_error_report, arp_constructor};

// --- Reception -----------------------------------------------------------------------------------

/// Formally an ARP packet for IPv4 over this device, with believable sender addresses.
static bool arp_valid(const arp_packet *arp, const net_device *dev)
{
    u16 hrd = arp->ar_hrd.host(), op = arp->ar_op.host();
    if ((hrd != ARPHRD_ETHER && hrd != ARPHRD_IEEE802) || arp->ar_pro != htons(ETH_P_IP) ||
        arp->ar_hln != dev->addr_len || arp->ar_pln != 4)
        return false;
    if (op != ARPOP_REQUEST && op != ARPOP_REPLY)
        return false;
    if (arp->sha[0] & 1) // RFC 1812 §3.3.2: no group address as somebody's own
        return false;
    if (ipv4_is_multicast(arp->sip) || ipv4_is_lbcast(arp->sip))
        return false;
    return !ipv4_is_loopback(arp->tip) && !ipv4_is_multicast(arp->tip) && !ipv4_is_lbcast(arp->tip);
}

/// arp_ignore (0: answer for every address of ours; 1: only if it is on this device).
static bool arp_ignored(const in_device *d, be32 tip)
{
    if (IN_DEV_ARP_IGNORE(d) == 0)
        return false;
    for (const in_ifaddr *ifa = rcu_dereference(d->ifa_list); ifa;
         ifa = rcu_dereference(ifa->ifa_next))
        if (ifa->ifa_local == tip)
            return false;
    return true;
}

/// A request that we answer. False: not for us.
static bool arp_answer(sk_buff *skb, const arp_packet *arp, net_device *dev, const in_device *d)
{
    if (!be32(arp->sip)) { // duplicate address detection (RFC 5227 §2.1): answered, nothing learned
        if (inet_addr_type(arp->tip) == RTN_LOCAL && !arp_ignored(d, arp->tip))
            arp_send(ARPOP_REPLY, arp->sip, dev, arp->tip, arp->sha, dev->dev_addr, arp->sha);
        return true;
    }
    if (be32(arp->sip) == arp->tip) // an announcement
        return false;
    if (ip_route_input(skb, arp->tip, arp->sip, 0, dev) != 0 ||
        skb_rtable(skb)->rt_type != RTN_LOCAL)
        return false;
    if (arp_ignored(d, arp->tip))
        return true;
    if (neighbour *n = neigh_event_ns(&arp_tbl, arp->sha, arp->sip, dev)) {
        arp_send(ARPOP_REPLY, arp->sip, dev, arp->tip, arp->sha, dev->dev_addr, arp->sha);
        neigh_release(n);
    }
    return true;
}

/// A reply, an announcement, or somebody's request: refresh the sender if we know it.
static void arp_learn(const sk_buff *skb, const arp_packet *arp, net_device *dev)
{
    if (!be32(arp->sip) || inet_addr_type(arp->sip) != RTN_UNICAST)
        return;
    neighbour *n = neigh_lookup(&arp_tbl, arp->sip, dev);
    if (!n)
        return;
    bool reply = arp->ar_op == htons(ARPOP_REPLY);
    // Several answers to one question: the first one wins for locktime.
    bool override = time_after(jiffies(), n->updated + static_cast<u64>(arp_tbl.parms.locktime_ms));
    u8 state = reply && skb->pkt_type == PACKET_HOST ? NUD_REACHABLE : NUD_STALE;
    neigh_update(n, arp->sha, state, override ? NEIGH_UPDATE_F_OVERRIDE : 0);
    neigh_release(n);
}

static int arp_rcv(sk_buff *skb, net_device *dev, packet_type *, net_device *)
{
    const in_device *d = in_dev_get_rcu(dev);
    if (skb->pkt_type == PACKET_OTHERHOST || (dev->flags & (IFF_NOARP | IFF_LOOPBACK)) || !d) {
        kfree_skb_reason(skb, skb->pkt_type == PACKET_OTHERHOST ? "otherhost" : "unhandled_proto");
        return NET_RX_SUCCESS;
    }
    skb = skb_share_check(skb, GFP_ATOMIC);
    if (!skb)
        return NET_RX_SUCCESS;
    if (!pskb_may_pull(skb, sizeof(arp_packet))) {
        kfree_skb_reason(skb, "pkt_too_small");
        return NET_RX_SUCCESS;
    }
    const auto *arp = reinterpret_cast<const arp_packet *>(skb_network_header(skb));
    if (!arp_valid(arp, dev)) {
        kfree_skb_reason(skb, "unhandled_proto");
        return NET_RX_SUCCESS;
    }
    trace(trace_event::arp_rcv, skb->trace_id, arp->ar_op.host(), be32(arp->sip).raw,
          be32(arp->tip).raw);
    bool done = arp->ar_op == htons(ARPOP_REQUEST) && arp_answer(skb, arp, dev, d);
    if (!done)
        arp_learn(skb, arp, dev);
    consume_skb(skb);
    return NET_RX_SUCCESS;
}

void arp_netdev_event(netdev_event e, net_device *dev)
{
    if (e == NETDEV_CHANGEADDR || (e == NETDEV_CHANGE && (dev->flags & IFF_NOARP)))
        neigh_changeaddr(&arp_tbl, dev);
    else if (e == NETDEV_DOWN || e == NETDEV_UNREGISTER)
        neigh_ifdown(&arp_tbl, dev);
    if (e == NETDEV_CHANGEADDR)
        rt_cache_flush();
}

void ip_confirm_neighbour(const rtable *rt, be32 daddr)
{
    bh_guard b;
    neighbour *n = neigh_lookup_noref(&arp_tbl, rt_nexthop(rt, daddr), rt->dev);
    if (n)
        write_once(n->confirmed, jiffies());
}

static packet_type arp_packet_type;

void arp_init()
{
    arp_tbl_storage.init("arp_cache", &arp_ops, ETH_P_IP);
    neigh_table_init(&arp_tbl);
    arp_packet_type.type = htons(ETH_P_ARP);
    arp_packet_type.func = arp_rcv;
    arp_packet_type.func_name = "arp_rcv";
    dev_add_pack(&arp_packet_type);
    arp_proc_init();
}

// SPDX-License-Identifier: MIT
// Routing of packets that arrive: for us, to be forwarded, or martian (atlas §5). Linux:
// net/ipv4/route.c ip_route_input_slow. Softirq. The hot path is a match in this CPU's recent
// look-ups.

#include "lib/printk.h"
#include "net/ipv4/route.h"

/// Routes that depend on nothing but their kind; made at boot, never freed.
static rtable *rt_in_broadcast, *rt_in_multicast, *rt_in_unreach_host, *rt_in_unreach_net,
    *rt_in_prohibit;
/// The route of packets for us. Sockets remember it (sk_rx_dst), so each generation has its own.
static std::atomic<rtable *> rt_in_local;

/// Null: no memory.
static rtable *new_input(u8 type, u32 flags, int (*input)(sk_buff *), u32 genid)
{
    rtable *rt = rt_dst_alloc(loopback_dev, flags, type, genid);
    if (!rt)
        return nullptr;
    rt->input = input;
    rt->output = ip_error;
    rt->rt_is_input = true;
    return rt;
}

static rtable *make_input(u8 type, u32 flags, int (*input)(sk_buff *), int err)
{
    rtable *rt = new_input(type, flags, input, 0);
    if (!rt)
        panic("no memory for the input routes");
    rt->error = err;
    return rt;
}

/// A reference on the route of packets for us, of the generation in which the look-up began; null: no memory. *cached: the
/// generation holds it.
static rtable *local_input(u32 genid, bool *cached)
{
    *cached = true;
    if (rtable *rt = rt_cached(rt_in_local, genid))
        return rt;
    rtable *rt = new_input(RTN_LOCAL, RTCF_LOCAL, ip_local_deliver, genid);
    if (rt)
        *cached = rt_cache_install(rt_in_local, rt);
    return rt;
}

void rt_input_init()
{
    rt_in_broadcast = make_input(RTN_BROADCAST, RTCF_BROADCAST | RTCF_LOCAL, ip_local_deliver, 0);
    rt_in_multicast = make_input(RTN_MULTICAST, RTCF_MULTICAST | RTCF_LOCAL, ip_local_deliver, 0);
    rt_in_unreach_host = make_input(RTN_UNREACHABLE, 0, ip_error, EHOSTUNREACH);
    rt_in_unreach_net = make_input(RTN_UNREACHABLE, 0, ip_error, ENETUNREACH);
    rt_in_prohibit = make_input(RTN_UNREACHABLE, 0, ip_error, EACCES);
}

int ip_error(sk_buff *skb)
{
    const rtable *rt = skb_rtable(skb);
    in_device *in_dev = in_dev_get_rcu(skb->dev);
    bool forward = in_dev && IN_DEV_FORWARD(in_dev);
    u8 code = ICMP_HOST_UNREACH;
    if (rt->error == ENETUNREACH) {
        code = ICMP_NET_UNREACH;
        IPEXT_ADD_STATS(IPEXT_MIB_InNoRoutes, 1);
    } else if (rt->error == EACCES) {
        code = 13; // communication administratively prohibited (RFC 1812)
    } else {
        IP_INC_STATS(IPSTATS_MIB_InAddrErrors);
    }
    if (forward) // a host that does not forward says nothing (RFC 1122 §3.3.1)
        icmp_send(skb, ICMP_DEST_UNREACH, code, be32{});
    kfree_skb_reason(skb, "ip_nolocal");
    return 0;
}

static int martian(const sk_buff *skb, const in_device *d, be32 daddr, be32 saddr, const char *what)
{
    if (d && IN_DEV_LOG_MARTIANS(d) && printk_ratelimit())
        pr_warn("martian %s %pI4 from %pI4, on dev %s\n", what, &daddr, &saddr, skb->dev->name);
    return -EINVAL;
}
static int martian_source(const sk_buff *skb, const in_device *d, be32 daddr, be32 saddr)
{
    rt_cache_stats->in_martian_src++;
    return martian(skb, d, daddr, saddr, "source");
}
static int martian_destination(const sk_buff *skb, const in_device *d, be32 daddr, be32 saddr)
{
    rt_cache_stats->in_martian_dst++;
    return martian(skb, d, daddr, saddr, "destination");
}

/// Could a packet from saddr come in by dev? Own addresses never do; rp_filter asks for the way
/// back (RFC 3704). 0, -EINVAL or -EXDEV.
static int fib_validate_source(be32 saddr, const net_device *dev, const in_device *d)
{
    fib_result res;
    int rpf = IN_DEV_RPFILTER(d);
    if (dev->flags & IFF_LOOPBACK)
        return 0;
    if (fib_table_lookup(fib_table_local, saddr, 0, &res) && res.type != RTN_UNICAST)
        return res.type == RTN_LOCAL && d->cnf.accept_local ? 0 : -EINVAL;
    if (!rpf)
        return 0;
    if (fib_lookup(saddr, 0, &res))
        return -EXDEV;
    return res.fi->nh_dev == dev || rpf == 2 ? 0 : -EXDEV; // 2: loose, any way back will do
}

/// Whether the addresses may appear in a packet from this wire at all. 0 or -EINVAL; *broadcast:
/// limited broadcast.
static int check_addresses(const sk_buff *skb, const in_device *d, be32 daddr, be32 saddr,
                           bool *broadcast)
{
    if (ipv4_is_multicast(saddr) || ipv4_is_lbcast(saddr))
        return martian_source(skb, d, daddr, saddr);
    *broadcast = ipv4_is_lbcast(daddr) || (!saddr && !daddr);
    if (*broadcast)
        return 0;
    if (ipv4_is_zeronet(saddr))
        return martian_source(skb, d, daddr, saddr);
    if (ipv4_is_zeronet(daddr))
        return martian_destination(skb, d, daddr, saddr);
    if (skb->dev->flags & IFF_LOOPBACK)
        return 0;
    if (ipv4_is_loopback(daddr))
        return martian_destination(skb, d, daddr, saddr);
    if (ipv4_is_loopback(saddr))
        return martian_source(skb, d, daddr, saddr);
    return 0;
}

/// Cached route through fi for forwarding; null: no memory. A reference for the caller.
static rtable *mkroute_input(fib_info *fi, u32 genid, bool *cached)
{
    rtable *rt = rt_cached(fi->nh_rth_input, genid);
    *cached = true;
    if (rt)
        return rt;
    rt = rt_dst_alloc(fi->nh_dev, 0, RTN_UNICAST, genid);
    if (!rt)
        return nullptr;
    rt->input = ip_forward;
    rt->output = ip_output;
    rt->rt_is_input = true;
    if (fi->nh_gw && fi->nh_scope == RT_SCOPE_LINK)
        rt->rt_gateway = fi->nh_gw;
    if (fi->fib_mtu) {
        rt->mtu = fi->fib_mtu;
        rt->expires = ~u64{0} >> 2;
    }
    *cached = rt_cache_install(fi->nh_rth_input, rt);
    return rt;
}

static rtable *unreachable(int err)
{
    rt_cache_stats->in_no_route++;
    return err == -ENETUNREACH ? rt_in_unreach_net
           : err == -EACCES    ? rt_in_prohibit
                               : rt_in_unreach_host;
}

static int check_source_or_martian(const sk_buff *skb, const in_device *d, be32 daddr, be32 saddr)
{
    int err = fib_validate_source(saddr, skb->dev, d);
    if (err == -EINVAL)
        return martian_source(skb, d, daddr, saddr);
    if (err == -EXDEV)
        NET_INC_STATS(LINUX_MIB_IPReversePathFilter);
    return err;
}

/// Decide; a reference in *out. *keep: may be remembered for the same addresses. genid: now, or before.
static int input_slow(const sk_buff *skb, in_device *d, be32 daddr, be32 saddr, u32 genid,
                      rtable **out, bool *keep)
{
    bool broadcast = false;
    if (int err = check_addresses(skb, d, daddr, saddr, &broadcast))
        return err;
    fib_result res{};
    int err = broadcast ? 0 : fib_lookup(daddr, 0, &res);
    if (err) {
        *out =
            static_cast<rtable *>(dst_hold(unreachable(IN_DEV_FORWARD(d) ? err : -EHOSTUNREACH)));
        return 0;
    }
    if (broadcast || res.type == RTN_BROADCAST) {
        if (!ipv4_is_zeronet(saddr))
            if (int e = check_source_or_martian(skb, d, daddr, saddr))
                return e;
        rt_cache_stats->in_brd++;
        *out = static_cast<rtable *>(dst_hold(rt_in_broadcast));
        return 0;
    }
    if (res.type == RTN_LOCAL) {
        if (int e = check_source_or_martian(skb, d, daddr, saddr))
            return e;
        *out = local_input(genid, keep);
        return *out ? 0 : -ENOBUFS;
    }
    if (!IN_DEV_FORWARD(d)) {
        *out = static_cast<rtable *>(dst_hold(unreachable(-EHOSTUNREACH)));
        return 0;
    }
    if (res.type != RTN_UNICAST || !res.fi->nh_dev)
        return martian_destination(skb, d, daddr, saddr);
    if (int e = check_source_or_martian(skb, d, daddr, saddr))
        return e;
    *out = mkroute_input(res.fi, genid, keep);
    return *out ? 0 : -ENOBUFS;
}

static int input_multicast(sk_buff *skb, const in_device *d, be32 daddr, be32 saddr)
{
    rt_cache_stats->in_slow_mc++;
    if (!ip_check_mc(skb->dev, daddr))
        return -EINVAL;
    if (ipv4_is_multicast(saddr) || ipv4_is_lbcast(saddr) || ipv4_is_loopback(saddr))
        return martian_source(skb, d, daddr, saddr);
    if (ipv4_is_zeronet(saddr)) {
        if ((daddr & htonl(0xffffff00)) != htonl(0xe0000000))
            return martian_source(skb, d, daddr, saddr);
    } else if (int err = check_source_or_martian(skb, d, daddr, saddr)) {
        return err;
    }
    skb_dst_set(skb, dst_hold(rt_in_multicast));
    return 0;
}

int ip_route_input(sk_buff *skb, be32 daddr, be32 saddr, u8, net_device *dev)
{
    u32 genid = rt_genid.load(std::memory_order_acquire);
    rt_slot &s = rt_recent->input[rt_slot_of(daddr, saddr)];
    if (rtable *rt = rt_slot_match(s, daddr, saddr, dev->ifindex, genid)) {
        skb_dst_set(skb, rt);
        return 0;
    }
    in_device *d = in_dev_get_rcu(dev);
    if (!d)
        return -EINVAL;
    if (ipv4_is_multicast(daddr))
        return input_multicast(skb, d, daddr, saddr);
    rt_cache_stats->in_slow_tot++;
    rtable *rt = nullptr;
    bool keep = false;
    if (int err = input_slow(skb, d, daddr, saddr, genid, &rt, &keep))
        return err;
    skb_dst_set(skb, rt);
    if (keep && rt_genid.load() == genid) {
        bh_guard b;
        rt_slot_set(s, daddr, saddr, dev->ifindex, genid, rt, be32{});
    }
    return 0;
}

// SPDX-License-Identifier: MIT
// Routing of packets that leave (atlas §11.5; row L-02). Linux: net/ipv4/route.c
// __ip_route_output_key, __mkroute_output. Process or softirq context. The hot path is a match in
// this CPU's recent look-ups: no lock, no allocation.

#include "lib/printk.h"
#include "net/ipv4/route.h"
#include "trace/trace.h"

namespace
{
/// What the look-up has decided so far.
struct out_route {
    net_device *dev = nullptr;
    u8 type = RTN_UNICAST;
    u32 flags = 0;
    fib_info *fi = nullptr; // cacheable next hop
    u32 genid = rt_genid.load(std::memory_order_acquire);
};

be32 gateway_of(const fib_info *fi)
{
    return fi && fi->nh_gw && fi->nh_scope == RT_SCOPE_LINK ? fi->nh_gw : be32{};
}

rtable *new_output_rt(const out_route &o, be32 src)
{
    rtable *rt = rt_dst_alloc(o.dev, o.flags, o.type, o.genid);
    if (!rt)
        return nullptr;
    rt->output = ip_output;
    rt->rt_gateway = gateway_of(o.fi);
    if (o.flags & RTCF_LOCAL)
        rt->input = ip_local_deliver;
    if ((o.flags & (RTCF_BROADCAST | RTCF_MULTICAST)) && (o.flags & RTCF_LOCAL) &&
        !(o.dev->flags & IFF_LOOPBACK))
        rt->output = ip_mc_output; // a copy comes back to us
    if (o.fi && o.fi->fib_mtu) {
        rt->mtu = o.fi->fib_mtu;
        rt->expires = ~u64{0} >> 2;
    }
    rt->rt_src = src;
    return rt;
}

/// Final form of the decision: type and flags by address; then the cached rtable of the next hop,
/// or a new one.
result<rtable *> mkroute_output(out_route o, const flowi4 &fl)
{
    if (ipv4_is_loopback(fl.saddr) && !(o.dev->flags & IFF_LOOPBACK))
        return error{EINVAL};
    if (ipv4_is_lbcast(fl.daddr))
        o.type = RTN_BROADCAST;
    else if (ipv4_is_multicast(fl.daddr))
        o.type = RTN_MULTICAST;
    else if (ipv4_is_zeronet(fl.daddr))
        return error{EINVAL};
    if (o.dev->flags & IFF_LOOPBACK)
        o.flags |= RTCF_LOCAL;
    if (o.type == RTN_BROADCAST) {
        o.flags |= RTCF_BROADCAST | RTCF_LOCAL;
        o.fi = nullptr;
    } else if (o.type == RTN_MULTICAST) {
        o.flags |= RTCF_MULTICAST | (ip_check_mc(o.dev, fl.daddr) ? RTCF_LOCAL : 0);
        o.fi = nullptr;
    }
    if (!o.fi) {
        rtable *rt = new_output_rt(o, fl.saddr);
        if (!rt)
            return error{ENOBUFS};
        return rt;
    }
    if (rtable *rt = rt_find_exception(fl.daddr)) {
        // What was learned about a path holds while it begins in the same way.
        if (rt->dev == o.dev && rt->rt_gateway == gateway_of(o.fi)) {
            write_once(rt->genid, o.genid);
            return rt;
        }
        dst_release(rt);
    }
    std::atomic<rtable *> &slot = o.fi->nh_rth_output[smp_processor_id()];
    rtable *rt = rt_cached(slot, o.genid);
    if (rt)
        return rt;
    rt = new_output_rt(o, fl.saddr);
    if (!rt)
        return error{ENOBUFS};
    rt_cache_install(slot, rt);
    return rt;
}

/// Checks on a source address that the caller chose; multicast and broadcast leave by its device.
/// Sets o->dev in that case.
errno_t check_source(flowi4 *fl, out_route *o)
{
    if (ipv4_is_multicast(fl->saddr) || ipv4_is_lbcast(fl->saddr) || ipv4_is_zeronet(fl->saddr))
        return EINVAL;
    if (fl->anysrc)
        return errno_t{};
    net_device *dev = ip_dev_find(fl->saddr);
    if (!dev)
        return EINVAL;
    if (!fl->oif && (ipv4_is_multicast(fl->daddr) || ipv4_is_lbcast(fl->daddr)))
        o->dev = dev;
    return errno_t{};
}

/// A device was asked for. Done (o->dev final) for link-local multicast and broadcast.
errno_t check_oif(flowi4 *fl, net_device *dev, bool *done)
{
    if (!(dev->flags & IFF_UP) || !in_dev_get_rcu(dev))
        return ENETUNREACH;
    bool local_mc = (fl->daddr & htonl(0xffffff00)) == htonl(0xe0000000);
    if (local_mc || ipv4_is_lbcast(fl->daddr)) {
        if (!fl->saddr)
            fl->saddr = inet_select_addr(dev, be32{}, RT_SCOPE_LINK);
        *done = true;
    } else if (!fl->saddr && ipv4_is_multicast(fl->daddr)) {
        fl->saddr = inet_select_addr(dev, be32{}, RT_SCOPE_UNIVERSE);
    } else if (!fl->saddr && !fl->daddr) {
        fl->saddr = inet_select_addr(dev, be32{}, RT_SCOPE_HOST);
    }
    return errno_t{};
}

/// The tables. `asked`: device from fl->oif or null.
errno_t lookup_tables(flowi4 *fl, net_device *asked, out_route *o)
{
    fib_result res;
    int err = fib_lookup(fl->daddr, fl->oif, &res);
    if (err) {
        if (!asked || err != -ENETUNREACH)
            return static_cast<errno_t>(-err);
        // No route, but a device: what is there to find out is on its link (how addresses come
        // before routes).
        o->dev = asked;
        if (!fl->saddr)
            fl->saddr = inet_select_addr(asked, be32{}, RT_SCOPE_LINK);
        return errno_t{};
    }
    o->type = res.type;
    o->fi = res.fi;
    if (res.type == RTN_LOCAL) {
        if (!fl->saddr)
            fl->saddr = res.fi->fib_prefsrc ? res.fi->fib_prefsrc : fl->daddr;
        o->dev = loopback_dev;
        o->flags |= RTCF_LOCAL;
        return errno_t{};
    }
    if (!fl->saddr)
        fl->saddr = fib_res_prefsrc(res, fl->daddr);
    o->dev = res.fi->nh_dev;
    return errno_t{};
}

result<rtable *> output_slow(flowi4 *fl)
{
    out_route o;
    if (fl->saddr)
        if (errno_t err = check_source(fl, &o))
            return error{err};
    if (o.dev)
        return mkroute_output(o, *fl);
    net_device *asked = nullptr;
    if (fl->oif) {
        asked = dev_get_by_index(fl->oif);
        if (!asked)
            return error{ENODEV};
        dev_put(asked); // stays: nothing sleeps from here to the reference in the rtable
        bool done = false;
        if (errno_t err = check_oif(fl, asked, &done))
            return error{err};
        if (done) {
            o.dev = asked;
            return mkroute_output(o, *fl);
        }
    }
    if (!fl->daddr) {
        fl->daddr = fl->saddr ? fl->saddr : INADDR_LOOPBACK;
        fl->saddr = fl->daddr;
        o.dev = loopback_dev;
        o.type = RTN_LOCAL;
        o.flags = RTCF_LOCAL;
        return mkroute_output(o, *fl);
    }
    if (errno_t err = lookup_tables(fl, asked, &o))
        return error{err};
    return mkroute_output(o, *fl);
}
} // namespace

result<rtable *> ip_route_output_key(flowi4 *fl)
{
    u32 genid = rt_genid.load(std::memory_order_acquire);
    be32 daddr = fl->daddr, saddr = fl->saddr;
    rt_slot &s = rt_recent->output[rt_slot_of(daddr, saddr)];
    if (rtable *rt = rt_slot_match(s, daddr, saddr, fl->oif, genid)) {
        if (!saddr)
            fl->saddr = s.src;
        return rt;
    }
    bh_guard b;
    rt_cache_stats->out_slow_tot++;
    result<rtable *> r = output_slow(fl);
    // Only what a next hop's cache holds on to may be remembered without a reference.
    if (r && !fl->anysrc && daddr && (*r)->rt_type <= RTN_LOCAL && !(*r)->mtu &&
        rt_genid.load() == genid) {
        fib_result res;
        if (!fib_lookup(daddr, fl->oif, &res) &&
            res.fi->nh_rth_output[smp_processor_id()].load() == *r)
            rt_slot_set(rt_recent->output[rt_slot_of(daddr, saddr)], daddr, saddr, fl->oif, genid,
                        *r, fl->saddr);
    }
    return r;
}

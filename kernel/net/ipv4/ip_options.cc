// SPDX-License-Identifier: MIT
// IPv4 options (RFC 791 §3.1, RFC 1122 §3.2.1.8): every length and pointer is checked before it is
// used. Linux: net/ipv4/ip_options.c. Received packets: softirq. Options of sockets: any context.

#include "net/ipv4/ip_options.h"
#include "lib/printk.h"
#include "net/ipv4/inetdevice.h"
#include "sched/sched.h"
#include "time/time.h"

namespace
{
/// Milliseconds since midnight UT, network order (RFC 791 timestamp option).
be32 iptime()
{
    return htonl(static_cast<u32>(ktime_get_real() / NSEC_PER_MSEC % 86400000));
}

/// Walks one option area. `h` is the IP header (or 20 bytes before a socket's options); offsets are
/// from there.
struct option_parser {
    u8 *h;
    u32 end;          // of the options
    bool received;    // a packet from the wire: our address and time are written at once
    be32 own{};       // our address
    ip_options out{}; // offsets and flags found
    bool changed = false;

    /// Offset of the first bad byte, 0 if all is well.
    u32 parse();

private:
    u32 source_route(u32 at, u32 len);
    u32 record_route(u32 at, u32 len);
    u32 timestamp(u32 at, u32 len);
    u32 stamp(u32 at, u32 len);
    u32 one(u32 at, u32 len);
    void put(u32 at, be32 v) { memcpy(h + at, &v, 4); }
};

u32 option_parser::source_route(u32 at, u32 len)
{
    u8 *o = h + at;
    if (len < 3)
        return at + 1;
    if (o[2] < 4)
        return at + 2;
    if (out.srr)
        return at;
    if (!received) {
        // RFC 791: the user lists all hops; the first becomes the destination.
        if (o[2] != 4 || len < 7 || ((len - 3) & 3))
            return at + 1;
        memcpy(&out.faddr.raw, o + 3, 4);
        if (len > 7)
            memmove(o + 3, o + 7, len - 7);
    }
    out.is_strictroute = o[0] == IPOPT_SSRR;
    out.srr = static_cast<u8>(at);
    return 0;
}

u32 option_parser::record_route(u32 at, u32 len)
{
    u8 *o = h + at;
    if (out.rr)
        return at;
    if (len < 3)
        return at + 1;
    if (o[2] < 4)
        return at + 2;
    if (o[2] <= len) {
        if (o[2] + 3u > len)
            return at + 2;
        if (received) {
            put(at + o[2] - 1, own);
            changed = true;
        }
        o[2] = static_cast<u8>(o[2] + 4);
        out.rr_needaddr = 1;
    }
    out.rr = static_cast<u8>(at);
    return 0;
}

/// Room for another entry of a timestamp option: fill it.
u32 option_parser::stamp(u32 at, u32 len)
{
    u8 *o = h + at;
    u32 time_at = 0;
    if (o[2] + 3u > len)
        return at + 2;
    switch (o[3] & 15) {
    case IPOPT_TS_TSONLY:
        time_at = at + o[2] - 1;
        o[2] = static_cast<u8>(o[2] + 4);
        break;
    case IPOPT_TS_TSANDADDR:
        if (o[2] + 7u > len)
            return at + 2;
        if (received)
            put(at + o[2] - 1, own);
        out.ts_needaddr = 1;
        time_at = at + o[2] + 3;
        o[2] = static_cast<u8>(o[2] + 8);
        break;
    case IPOPT_TS_PRESPEC: {
        if (o[2] + 7u > len)
            return at + 2;
        be32 whom;
        memcpy(&whom.raw, o + o[2] - 1, 4);
        if (inet_addr_type(whom) == RTN_UNICAST)
            return 0; // somebody else's turn
        time_at = at + o[2] + 3;
        o[2] = static_cast<u8>(o[2] + 8);
        break;
    }
    default:
        return at + 3;
    }
    out.ts_needtime = 1;
    if (received) {
        put(time_at, iptime());
        changed = true;
    }
    return 0;
}

u32 option_parser::timestamp(u32 at, u32 len)
{
    u8 *o = h + at;
    if (out.ts)
        return at;
    if (len < 4)
        return at + 1;
    if (o[2] < 5)
        return at + 2;
    if (o[2] <= len) {
        if (u32 bad = stamp(at, len))
            return bad;
    } else if ((o[3] & 15) != IPOPT_TS_PRESPEC) {
        // No room: count the overflow in the high nibble.
        if (o[3] >> 4 == 15)
            return at + 3;
        if (received) {
            o[3] = static_cast<u8>(o[3] + 16);
            changed = true;
        }
    }
    out.ts = static_cast<u8>(at);
    return 0;
}

u32 option_parser::one(u32 at, u32 len)
{
    switch (h[at]) {
    case IPOPT_LSRR:
    case IPOPT_SSRR:
        return source_route(at, len);
    case IPOPT_RR:
        return record_route(at, len);
    case IPOPT_TIMESTAMP:
        return timestamp(at, len);
    case IPOPT_RA:
        if (len < 4)
            return at + 1;
        if (!h[at + 2] && !h[at + 3])
            out.router_alert = static_cast<u8>(at);
        return 0;
    default:
        return received || !current()->uid ? 0
                                           : at; // security and unknown options: root's business
    }
}

u32 option_parser::parse()
{
    for (u32 at = sizeof(iphdr); at < end;) {
        if (h[at] == IPOPT_NOOP) {
            at++;
            continue;
        }
        if (h[at] == IPOPT_END) {
            for (u32 i = at; i < end; i++) {
                if (h[i] == IPOPT_END)
                    continue;
                h[i] = IPOPT_END; // nothing may hide behind the end
                changed = true;
            }
            break;
        }
        if (end - at < 2)
            return at;
        u32 len = h[at + 1];
        if (len < 2 || len > end - at)
            return at;
        if (u32 bad = one(at, len))
            return bad;
        at += len;
    }
    return 0;
}

/// Our address as the packet's receiver sees it.
be32 spec_dst(const sk_buff *skb)
{
    const iphdr *iph = ip_hdr(skb);
    if (skb_rtable(skb)->rt_type == RTN_LOCAL)
        return iph->daddr;
    return inet_select_addr(skb->dev, iph->saddr, RT_SCOPE_UNIVERSE);
}
} // namespace

bool ip_rcv_options(sk_buff *skb)
{
    if (skb_cow_head(skb, skb_headroom(skb))) {
        IP_INC_STATS(IPSTATS_MIB_InDiscards);
        return false;
    }
    iphdr *iph = ip_hdr(skb);
    option_parser p{.h = reinterpret_cast<u8 *>(iph),
                    .end = iph->ihl * 4u,
                    .received = true,
                    .own = spec_dst(skb)};
    if (u32 bad = p.parse()) {
        IP_INC_STATS(IPSTATS_MIB_InHdrErrors);
        icmp_send(skb, ICMP_PARAMETERPROB, 0, htonl(bad << 24));
        return false;
    }
    if (p.changed) {
        iph->check = be16{};
        iph->check = ip_fast_csum(iph, iph->ihl);
    }
    if (p.out.srr) // accept_source_route is off, as by default in Linux (RFC 7126 §4.3)
        return false;
    inet_skb_parm *cb = IPCB(skb);
    cb->optlen = static_cast<u8>(iph->ihl * 4u - sizeof(iphdr));
    cb->rr = p.out.rr;
    cb->ts = p.out.ts;
    cb->flags = static_cast<u16>((p.out.rr_needaddr ? IPSKB_RR_NEEDADDR : 0) |
                                 (p.out.ts_needtime ? IPSKB_TS_NEEDTIME : 0) |
                                 (p.out.ts_needaddr ? IPSKB_TS_NEEDADDR : 0) |
                                 (p.out.router_alert ? IPSKB_ROUTER_ALERT : 0));
    return true;
}

result<ip_options> ip_options_get(const u8 *data, unsigned n)
{
    if (n > 40)
        return error{EINVAL};
    u8 area[sizeof(iphdr) + 40] = {};
    memcpy(area + sizeof(iphdr), data, n);
    u32 padded = (n + 3) & ~3u;
    option_parser p{.h = area, .end = static_cast<u32>(sizeof(iphdr)) + padded, .received = false};
    if (p.parse())
        return error{EINVAL};
    p.out.optlen = static_cast<u8>(padded);
    memcpy(p.out.data, area + sizeof(iphdr), padded);
    return p.out;
}

/// Copy an option into the answer; returns where it is.
static u8 *echo_copy(ip_options *d, const u8 *opt, u8 *where)
{
    u8 *to = d->data + d->optlen;
    *where = static_cast<u8>(sizeof(iphdr) + d->optlen);
    memcpy(to, opt, opt[1]);
    d->optlen = static_cast<u8>(d->optlen + opt[1]);
    return to;
}

/// The next entry of an echoed timestamp option is ours to fill. 0 or -EINVAL.
static int echo_timestamp(ip_options *d, u8 *o, u16 flags)
{
    u32 len = o[1], at = o[2];
    if (at > len)
        return 0;
    if (flags & IPSKB_TS_NEEDADDR) {
        if (at + 3 > len)
            return -EINVAL;
        d->ts_needaddr = 1;
        at += 4;
    }
    if (flags & IPSKB_TS_NEEDTIME) {
        if (at + 3 > len)
            return -EINVAL;
        if ((o[3] & 15) != IPOPT_TS_PRESPEC) {
            d->ts_needtime = 1;
            at += 4;
        } else if (at + 7 <= len) {
            be32 whom;
            memcpy(&whom.raw, o + at - 1, 4);
            if (inet_addr_type(whom) != RTN_UNICAST) {
                d->ts_needtime = 1;
                at += 8;
            }
        }
    }
    o[2] = static_cast<u8>(at);
    return 0;
}

int ip_options_echo(ip_options *d, const sk_buff *skb)
{
    *d = ip_options{};
    const auto *cb = reinterpret_cast<const inet_skb_parm *>(skb->cb);
    if (!cb->optlen)
        return 0;
    const u8 *h = skb_network_header(skb);
    if (cb->rr) {
        u8 *o = echo_copy(d, h + cb->rr, &d->rr);
        if ((cb->flags & IPSKB_RR_NEEDADDR) && o[2] <= o[1]) {
            if (o[2] + 3u > o[1])
                return -EINVAL;
            o[2] = static_cast<u8>(o[2] + 4);
            d->rr_needaddr = 1;
        }
    }
    if (cb->ts) {
        u8 *o = echo_copy(d, h + cb->ts, &d->ts);
        if (int err = echo_timestamp(d, o, cb->flags))
            return err;
    }
    while (d->optlen & 3)
        d->data[d->optlen++] = IPOPT_END;
    return 0;
}

void ip_options_build(sk_buff *skb, const ip_options *opt, be32 daddr, const rtable *rt)
{
    u8 *h = skb_network_header(skb);
    memcpy(h + sizeof(iphdr), opt->data, opt->optlen);
    be32 own = ip_hdr(skb)->saddr ? ip_hdr(skb)->saddr : rt->rt_src;
    if (opt->srr)
        memcpy(h + opt->srr + h[opt->srr + 1] - 4, &daddr, 4);
    if (opt->rr_needaddr)
        memcpy(h + opt->rr + h[opt->rr + 2] - 5, &own, 4);
    if (opt->ts_needaddr)
        memcpy(h + opt->ts + h[opt->ts + 2] - 9, &own, 4);
    if (opt->ts_needtime) {
        be32 now = iptime();
        memcpy(h + opt->ts + h[opt->ts + 2] - 5, &now, 4);
    }
}

void ip_options_strip(u8 *h, u32 hlen)
{
    for (u32 at = sizeof(iphdr); at < hlen && h[at] != IPOPT_END;) {
        if (h[at] == IPOPT_NOOP) {
            at++;
            continue;
        }
        u32 len = at + 1 < hlen ? h[at + 1] : 0;
        if (len < 2 || len > hlen - at)
            return;
        if (!ipopt_copied(h[at]))
            memset(h + at, IPOPT_NOOP, len);
        at += len;
    }
}

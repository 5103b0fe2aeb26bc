// SPDX-License-Identifier: MIT
// ICMP transmission: errors about received packets (RFC 1122 §3.2.2, RFC 1812 §4.3.2) and answers.
// Linux: net/ipv4/icmp.c. Softirq or process context, no locks held by the caller. The skb that it
// is about stays the caller's.

#include "lib/printk.h"
#include "net/core/neighbour.h"
#include "net/ipv4/icmp.h"
#include "net/ipv4/inetdevice.h"
#include "net/ipv4/ip_options.h"
#include "net/ipv4/ip_output.h"
#include "trace/trace.h"

int sysctl_icmp_ratelimit = 1000, sysctl_icmp_ratemask = 0x1818;

/// Highest type that has a name (RFC 792, 950).
static constexpr u8 NR_ICMP_TYPES = 18;

/// Types that report an error, about which no error may be sent.
static bool icmp_is_error(u8 type)
{
    return type == ICMP_DEST_UNREACH || type == ICMP_SOURCE_QUENCH || type == ICMP_REDIRECT ||
           type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
}

void icmp_out_count(u8 type)
{
    static constexpr struct {
        u8 type;
        icmp_mib mib;
    } names[] = {{ICMP_ECHOREPLY, ICMP_MIB_OutEchoReps},
                 {ICMP_DEST_UNREACH, ICMP_MIB_OutDestUnreachs},
                 {ICMP_SOURCE_QUENCH, ICMP_MIB_OutSrcQuenchs},
                 {ICMP_REDIRECT, ICMP_MIB_OutRedirects},
                 {ICMP_ECHO, ICMP_MIB_OutEchos},
                 {ICMP_TIME_EXCEEDED, ICMP_MIB_OutTimeExcds},
                 {ICMP_PARAMETERPROB, ICMP_MIB_OutParmProbs},
                 {ICMP_TIMESTAMP, ICMP_MIB_OutTimestamps},
                 {ICMP_TIMESTAMPREPLY, ICMP_MIB_OutTimestampReps},
                 {17, ICMP_MIB_OutAddrMasks},
                 {18, ICMP_MIB_OutAddrMaskReps}};
    ICMP_INC_STATS(ICMP_MIB_OutMsgs);
    net_mib->icmp_out_type[type]++;
    for (auto &n : names)
        if (n.type == type)
            ICMP_INC_STATS(n.mib);
}

/// Copy the quoted bytes, of which the first may lie before skb->data. False: not there.
static bool copy_quoted(const icmp_bxm &b, u8 *to)
{
    u32 before = b.offset < 0 ? min(static_cast<u32>(-b.offset), b.data_len) : 0;
    if (before)
        memcpy(to, b.skb->data + b.offset, before);
    u32 at = b.offset > 0 ? static_cast<u32>(b.offset) : 0;
    return before == b.data_len || !skb_copy_bits(b.skb, at, to + before, b.data_len - before);
}

void icmp_push(const icmp_bxm &b, be32 saddr, be32 daddr, u8 tos, rtable *rt, u32 trace_id)
{
    u32 room = LL_RESERVED_SPACE(rt->dev), hlen = static_cast<u32>(sizeof(iphdr)) + b.opt.optlen;
    u32 total = hlen + b.head_len + b.data_len;
    sk_buff *skb = total <= 65535 ? alloc_skb(room + total, GFP_ATOMIC) : nullptr;
    if (!skb) {
        ICMP_INC_STATS(ICMP_MIB_OutErrors);
        return;
    }
    skb->trace_id = trace_id;
    skb_reserve(skb, room);
    skb_reset_network_header(skb);
    auto *iph = reinterpret_cast<iphdr *>(skb_put(skb, hlen));
    skb->transport_header = static_cast<u16>(skb->network_header + hlen);
    u8 *icmp = skb_put(skb, b.head_len + b.data_len);
    memcpy(icmp, &b.hdr, sizeof(icmphdr));
    if (b.head_len > sizeof(icmphdr))
        memcpy(icmp + sizeof(icmphdr), b.times, b.head_len - sizeof(icmphdr));
    if (!copy_quoted(b, icmp + b.head_len)) {
        kfree_skb(skb);
        return;
    }
    icmphdr *ih = icmp_hdr(skb);
    ih->checksum = be16{};
    ih->checksum = ip_compute_csum(icmp, b.head_len + b.data_len);
    *iph = iphdr{.ihl = static_cast<u8>((hlen / 4) & 15),
                 .version = 4,
                 .tos = tos,
                 .tot_len = {},
                 .id = {},
                 .frag_off = {},
                 .ttl = static_cast<u8>(sysctl_ip_default_ttl),
                 .protocol = IPPROTO_ICMP,
                 .check = {},
                 .saddr = saddr,
                 .daddr = daddr};
    ip_select_ident(iph, rt, false);
    if (b.opt.optlen)
        ip_options_build(skb, &b.opt, daddr, rt);
    skb_dst_set(skb, dst_hold(rt));
    icmp_out_count(b.hdr.type);
    ip_send_skb(skb);
}

/// Rate limit by type and destination (sysctls icmp_ratelimit, icmp_ratemask).
static bool icmp_allowed(const rtable *rt, u8 type, u8 code, be32 daddr)
{
    if (type > NR_ICMP_TYPES || !(sysctl_icmp_ratemask >> type & 1))
        return true;
    if (type == ICMP_DEST_UNREACH && code == ICMP_FRAG_NEEDED) // path MTU discovery must work
        return true;
    if (rt->dev->flags & IFF_LOOPBACK)
        return true;
    return icmp_xrlim_allow(daddr, static_cast<u64>(max(sysctl_icmp_ratelimit, 0)));
}

/// Route for a message; an error route or none: null. A reference.
static rtable *icmp_route(be32 daddr, be32 *saddr, u8 tos)
{
    flowi4 fl;
    fl.daddr = daddr;
    fl.saddr = *saddr;
    fl.tos = tos;
    fl.proto = IPPROTO_ICMP;
    auto r = ip_route_output_key(&fl);
    if (!r)
        return nullptr;
    *saddr = fl.saddr;
    return *r;
}

void icmp_reply(icmp_bxm *b, sk_buff *skb)
{
    if (ip_options_echo(&b->opt, skb))
        return;
    const iphdr *iph = ip_hdr(skb);
    be32 daddr = iph->saddr;
    be32 saddr = skb_rtable(skb)->rt_type == RTN_LOCAL
                     ? iph->daddr
                     : inet_select_addr(skb->dev, daddr, RT_SCOPE_UNIVERSE);
    rtable *rt = icmp_route(daddr, &saddr, iph->tos);
    if (!rt)
        return;
    if (rt->rt_type <= RTN_LOCAL && icmp_allowed(rt, b->hdr.type, b->hdr.code, daddr)) {
        trace(trace_event::icmp_reply, skb->trace_id, b->hdr.type, daddr.raw);
        icmp_push(*b, saddr, daddr, iph->tos, rt, skb->trace_id);
    }
    dst_release(rt);
}

/// RFC 1122 §3.2.2: what an error must never be sent about.
static bool icmp_may_send(const sk_buff *skb, u8 type)
{
    const rtable *rt = skb_rtable(skb);
    if (!rt || skb_network_header(skb) < skb->head ||
        skb->network_header + sizeof(iphdr) > skb->tail)
        return false;
    const iphdr *iph = ip_hdr(skb);
    if (skb->pkt_type != PACKET_HOST || (rt->rt_flags & (RTCF_BROADCAST | RTCF_MULTICAST)))
        return false;
    if (iph->frag_off & IP_OFFSET)
        return false;
    if (ipv4_is_zeronet(iph->saddr) || ipv4_is_multicast(iph->saddr) || ipv4_is_lbcast(iph->saddr))
        return false;
    if (ipv4_is_multicast(iph->daddr) || ipv4_is_lbcast(iph->daddr))
        return false;
    if (!icmp_is_error(type) || iph->protocol != IPPROTO_ICMP)
        return true;
    u32 at = skb->network_header + iph->ihl * 4u;
    if (at + 1 > skb->tail)
        return false;
    u8 inner = skb->head[at];
    return inner <= NR_ICMP_TYPES && !icmp_is_error(inner);
}

void icmp_send(sk_buff *skb_in, u8 type, u8 code, be32 info)
{
    if (!icmp_may_send(skb_in, type))
        return;
    const iphdr *iph = ip_hdr(skb_in);
    u8 tos = icmp_is_error(type) ? static_cast<u8>((iph->tos & 0x1e) | 0xc0) : iph->tos;
    be32 saddr = skb_rtable(skb_in)->rt_flags & RTCF_LOCAL ? iph->daddr : be32{};
    icmp_bxm b{};
    // Only what was received carries parsed options in cb; for a packet of our own there are none
    // to answer.
    if (skb_rtable(skb_in)->rt_is_input && iph->ihl > 5 && type != ICMP_PARAMETERPROB &&
        ip_options_echo(&b.opt, skb_in))
        return;
    rtable *rt = icmp_route(iph->saddr, &saddr, tos);
    if (!rt)
        return;
    if (rt->rt_type <= RTN_LOCAL && icmp_allowed(rt, type, code, iph->saddr)) {
        b.skb = skb_in;
        b.hdr.type = type;
        b.hdr.code = code;
        b.hdr.un.gateway = info;
        b.head_len = sizeof(icmphdr);
        b.offset = skb_network_offset(skb_in);
        u32 have = static_cast<u32>(static_cast<s64>(skb_in->len) - b.offset);
        // RFC 1812 §4.3.2.3: as much as fits into 576 bytes.
        u32 room = min(dst_mtu(rt), 576u) - static_cast<u32>(sizeof(iphdr)) - b.opt.optlen -
                   static_cast<u32>(sizeof(icmphdr));
        b.data_len = min(have, room);
        trace(trace_event::icmp_send, skb_in->trace_id, type, code, iph->saddr.raw);
        icmp_push(b, saddr, iph->saddr, tos, rt, skb_in->trace_id);
    }
    dst_release(rt);
}

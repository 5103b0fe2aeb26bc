// SPDX-License-Identifier: MIT
// ICMP reception (RFC 792, RFC 1122 §3.2.2): echo, timestamp, errors about packets of ours. Linux:
// net/ipv4/icmp.c. Softirq. icmp_rcv takes over the skb.

#include "net/ipv4/icmp.h"
#include "fs/seq_file.h"
#include "lib/printk.h"
#include "net/ipv4/inet_sock.h"
#include "net/ipv4/inetdevice.h"
#include "time/time.h"
#include "trace/trace.h"

int sysctl_icmp_echo_ignore_all, sysctl_icmp_echo_ignore_broadcasts = 1,
                                 sysctl_icmp_ignore_bogus_error_responses = 1;
bool (*ping_rcv_hook)(sk_buff *skb);
void (*ping_err_hook)(sk_buff *skb, u32 info);
void (*raw_icmp_error_hook)(sk_buff *skb, u8 protocol, u32 info);

/// errno of each unreachable code (RFC 1122 §4.1.3.3; Linux icmp_err_convert).
const struct icmp_err icmp_err_convert[16] = {
    {ENETUNREACH, false},  {EHOSTUNREACH, false}, {ENOPROTOOPT, true},  {ECONNREFUSED, true},
    {EMSGSIZE, false},     {EOPNOTSUPP, false},   {ENETUNREACH, true},  {EHOSTDOWN, true},
    {ENONET, true},        {ENETUNREACH, true},   {EHOSTUNREACH, true}, {ENETUNREACH, false},
    {EHOSTUNREACH, false}, {EHOSTUNREACH, true},  {EHOSTUNREACH, true}, {EHOSTUNREACH, true},
};

namespace
{
/// Input counter of a type; IcmpMsg counts every type.
void icmp_in_count(u8 type)
{
    net_mib->icmp_in_type[type]++;
    switch (type) {
    case ICMP_ECHOREPLY:
        ICMP_INC_STATS(ICMP_MIB_InEchoReps);
        break;
    case ICMP_DEST_UNREACH:
        ICMP_INC_STATS(ICMP_MIB_InDestUnreachs);
        break;
    case ICMP_SOURCE_QUENCH:
        ICMP_INC_STATS(ICMP_MIB_InSrcQuenchs);
        break;
    case ICMP_REDIRECT:
        ICMP_INC_STATS(ICMP_MIB_InRedirects);
        break;
    case ICMP_ECHO:
        ICMP_INC_STATS(ICMP_MIB_InEchos);
        break;
    case ICMP_TIME_EXCEEDED:
        ICMP_INC_STATS(ICMP_MIB_InTimeExcds);
        break;
    case ICMP_PARAMETERPROB:
        ICMP_INC_STATS(ICMP_MIB_InParmProbs);
        break;
    case ICMP_TIMESTAMP:
        ICMP_INC_STATS(ICMP_MIB_InTimestamps);
        break;
    case ICMP_TIMESTAMPREPLY:
        ICMP_INC_STATS(ICMP_MIB_InTimestampReps);
        break;
    case 17:
        ICMP_INC_STATS(ICMP_MIB_InAddrMasks);
        break;
    case 18:
        ICMP_INC_STATS(ICMP_MIB_InAddrMaskReps);
        break;
    default:
        break;
    }
}

/// Hand an error to the protocol of the quoted packet. skb->data: the quoted IP header.
void icmp_socket_deliver(sk_buff *skb, u32 info)
{
    const auto *iph = reinterpret_cast<const iphdr *>(skb->data);
    u8 protocol = iph->protocol;
    // Eight bytes of the quoted payload are promised (RFC 792) and needed to find the socket.
    if (!pskb_may_pull(skb, iph->ihl * 4u + 8))
        return;
    if (raw_icmp_error_hook)
        raw_icmp_error_hook(skb, protocol, info);
    const net_protocol *p = rcu_dereference(inet_protos[protocol]);
    if (p && p->err_handler)
        p->err_handler(skb, info);
}

/// RFC 1191: a router says which MTU; an old one says 0, and a plateau below the packet's size is
/// guessed.
u32 frag_needed_mtu(const icmphdr *ih, const iphdr *quoted)
{
    static constexpr u16 plateau[] = {32000, 17914, 8166, 4352, 2002, 1492, 576, 296, 216, 128, 68};
    u32 mtu = ih->un.frag.mtu.host();
    if (mtu)
        return mtu;
    u32 len = quoted->tot_len.host();
    for (u16 p : plateau)
        if (p < len)
            return p;
    return 68;
}

/// Destination unreachable, time exceeded, source quench, parameter problem.
void icmp_unreach(sk_buff *skb)
{
    if (!pskb_may_pull(skb, sizeof(icmphdr) + sizeof(iphdr))) {
        ICMP_INC_STATS(ICMP_MIB_InErrors);
        return;
    }
    const icmphdr ih = *icmp_hdr(skb);
    const auto *quoted = reinterpret_cast<const iphdr *>(icmp_hdr(skb) + 1);
    if (quoted->ihl < 5 || quoted->version != 4) { // mangled, or a lie
        ICMP_INC_STATS(ICMP_MIB_InErrors);
        return;
    }
    u32 info = 0;
    if (ih.type == ICMP_DEST_UNREACH) {
        if (ih.code > 15)
            return;
        if (ih.code == ICMP_FRAG_NEEDED && !sysctl_ip_no_pmtu_disc)
            info = frag_needed_mtu(&ih, quoted);
    } else if (ih.type == ICMP_PARAMETERPROB) {
        info = ih.un.gateway.host() >> 24;
    }
    // RFC 1122 §3.2.2: an error about a broadcast of ours is bogus.
    if (!sysctl_icmp_ignore_bogus_error_responses &&
        inet_addr_type(quoted->daddr) == RTN_BROADCAST) {
        const iphdr *outer = ip_hdr(skb);
        if (printk_ratelimit())
            pr_warn("%pI4 sent an invalid ICMP type %u, code %u error to a broadcast: %pI4 on %s\n",
                    &outer->saddr, ih.type, ih.code, &quoted->daddr, skb->dev->name);
        return;
    }
    skb_pull(skb, sizeof(icmphdr));
    icmp_socket_deliver(skb, info);
}

void icmp_echo(sk_buff *skb)
{
    if (sysctl_icmp_echo_ignore_all)
        return;
    icmp_bxm b{.skb = skb,
               .offset = 0,
               .data_len = skb->len,
               .hdr = *icmp_hdr(skb),
               .times = {},
               .head_len = sizeof(icmphdr),
               .opt = {}};
    b.hdr.type = ICMP_ECHOREPLY;
    icmp_reply(&b, skb);
}

/// RFC 1122 §3.2.2.8. skb->data behind the ICMP header.
void icmp_timestamp(sk_buff *skb)
{
    if (skb->len < 4) {
        ICMP_INC_STATS(ICMP_MIB_InErrors);
        return;
    }
    icmp_bxm b{.skb = skb,
               .offset = 0,
               .data_len = 0,
               .hdr = *icmp_hdr(skb),
               .times = {},
               .head_len = sizeof(icmphdr) + 12,
               .opt = {}};
    b.times[1] = b.times[2] = htonl(static_cast<u32>(ktime_get_real() / NSEC_PER_MSEC % 86400000));
    if (skb_copy_bits(skb, 0, &b.times[0].raw, 4))
        return;
    b.hdr.type = ICMP_TIMESTAMPREPLY;
    b.hdr.code = 0;
    icmp_reply(&b, skb);
}

void icmp_dispatch(sk_buff *skb, u8 type)
{
    switch (type) {
    case ICMP_ECHO:
        icmp_echo(skb);
        break;
    case ICMP_TIMESTAMP:
        icmp_timestamp(skb);
        break;
    case ICMP_DEST_UNREACH:
    case ICMP_TIME_EXCEEDED:
    case ICMP_PARAMETERPROB:
    case ICMP_SOURCE_QUENCH:
        icmp_unreach(skb);
        break;
    case ICMP_ECHOREPLY:
        if (ping_rcv_hook)
            ping_rcv_hook(skb);
        break;
    default:
        // Redirects are ignored (a host with one router gains nothing, an attacker much); the rest
        // is obsolete.
        break;
    }
}

int icmp_bad(sk_buff *skb, bool csum)
{
    if (csum)
        ICMP_INC_STATS(ICMP_MIB_InCsumErrors);
    ICMP_INC_STATS(ICMP_MIB_InErrors);
    kfree_skb_reason(skb, csum ? "ip_csum" : "pkt_too_small");
    return 0;
}

bool icmp_csum_ok(sk_buff *skb)
{
    // A device does not look into ICMP; its "unnecessary" comes from lo only.
    if (skb->ip_summed == CHECKSUM_UNNECESSARY && (skb->dev->flags & IFF_LOOPBACK))
        return true;
    if (skb->ip_summed == CHECKSUM_COMPLETE && !csum_fold(skb->csum))
        return true;
    return !csum_fold(skb_checksum(skb, 0, skb->len, 0));
}
} // namespace

int icmp_rcv(sk_buff *skb)
{
    ICMP_INC_STATS(ICMP_MIB_InMsgs);
    if (!icmp_csum_ok(skb))
        return icmp_bad(skb, true);
    if (!pskb_may_pull(skb, sizeof(icmphdr)))
        return icmp_bad(skb, false);
    const icmphdr *ih = icmp_hdr(skb);
    u8 type = ih->type;
    icmp_in_count(type);
    trace(trace_event::icmp_rcv, skb->trace_id, type, ih->code);
    if (type > 18) { // RFC 1122 §3.2.2: unknown types are silently discarded
        ICMP_INC_STATS(ICMP_MIB_InErrors);
        kfree_skb_reason(skb, "unhandled_proto");
        return 0;
    }
    // RFC 1122 §3.2.2.6, .8: to a group only echo and timestamp may come, and need not be answered.
    if (skb_rtable(skb)->rt_flags & (RTCF_BROADCAST | RTCF_MULTICAST)) {
        bool ask = type == ICMP_ECHO || type == ICMP_TIMESTAMP;
        if ((ask && sysctl_icmp_echo_ignore_broadcasts) || (!ask && type != 17 && type != 18)) {
            if (!ask)
                ICMP_INC_STATS(ICMP_MIB_InErrors);
            kfree_skb(skb);
            return 0;
        }
    }
    if (type != ICMP_ECHOREPLY && type != ICMP_DEST_UNREACH && type != ICMP_TIME_EXCEEDED &&
        type != ICMP_PARAMETERPROB && type != ICMP_SOURCE_QUENCH)
        skb_pull(skb, sizeof(icmphdr));
    icmp_dispatch(skb, type);
    consume_skb(skb);
    return 0;
}

/// An error about an ICMP message of ours: only ping sockets care, and learn it through their hook.
/// A smaller MTU is kept.
void icmp_err(sk_buff *skb, u32 info)
{
    const auto *outer = reinterpret_cast<const icmphdr *>(skb_transport_header(skb));
    const auto *quoted = reinterpret_cast<const iphdr *>(skb->data);
    const auto *inner = reinterpret_cast<const icmphdr *>(skb->data + quoted->ihl * 4u);
    if (inner->type != ICMP_ECHOREPLY && ping_err_hook)
        ping_err_hook(skb, info);
    if (outer->type == ICMP_DEST_UNREACH && outer->code == ICMP_FRAG_NEEDED &&
        inner->type == ICMP_ECHOREPLY)
        ipv4_update_pmtu(quoted->daddr, info);
}

const net_protocol icmp_protocol{icmp_rcv, icmp_err, "icmp_rcv", true};

// SPDX-License-Identifier: MIT
// One datagram from user memory: headers reserved, payload copied, split where it exceeds the MTU
// (atlas §11.3, row T-14).
// Linux: net/ipv4/ip_output.c __ip_append_data, __ip_make_skb. Process context; may wait for send
// buffer and memory.

#include "lib/printk.h"
#include "net/core/neighbour.h"
#include "net/core/sock.h"
#include "net/ipv4/icmp.h"
#include "net/ipv4/ip_output.h"
#include "trace/trace.h"

namespace
{
/// Geometry of a datagram.
struct layout {
    u32 hh_len;        // link-layer headroom
    u32 fragheaderlen; // IP header with options
    u32 mtu;
    u32 total;    // L4 header and payload
    bool partial; // the device will checksum

    u32 first_payload() const { return total + fragheaderlen <= mtu ? total : max_payload(); }
    /// All fragments but the last carry a multiple of eight (RFC 791 §3.2).
    u32 max_payload() const { return (mtu - fragheaderlen) & ~7u; }
};

result<layout> plan(const ipcm_cookie &ipc, u32 len, u32 transhdrlen, const rtable *rt)
{
    layout l;
    l.hh_len = LL_RESERVED_SPACE(rt->dev);
    l.fragheaderlen = static_cast<u32>(sizeof(iphdr)) + (ipc.opt ? ipc.opt->optlen : 0);
    l.mtu = dst_mtu(rt);
    l.total = transhdrlen + len;
    if (l.total < len || l.total > 0xffff - l.fragheaderlen || l.mtu < l.fragheaderlen + 8)
        return error{EMSGSIZE};
    bool fits = l.total + l.fragheaderlen <= l.mtu;
    if (!fits && ipc.df) { // path MTU discovery forbids what would be needed
        IP_INC_STATS(IPSTATS_MIB_FragFails);
        return error{EMSGSIZE};
    }
    l.partial = transhdrlen && fits && !ipc.opt &&
                (rt->dev->features & (NETIF_F_IP_CSUM | NETIF_F_HW_CSUM));
    return l;
}

/// An skb for one fragment with `payload` bytes of L4 data: headroom reserved, network header
/// placed, tail behind the IP header.
result<sk_buff *> new_fragment(sock *sk, const layout &l, u32 payload, bool first, bool noblock)
{
    u32 size = l.hh_len + l.fragheaderlen + payload + 15;
    sk_buff *skb;
    if (first) {
        skb = TRY(sock_alloc_send_skb(sk, size, noblock));
    } else {
        // The datagram was let in: what it still needs may overdraw the buffer up to twice its
        // size.
        if (sk->sk_wmem_alloc.load(std::memory_order_relaxed) > 2 * sk->sk_sndbuf)
            return error{ENOBUFS};
        skb = alloc_skb(size, GFP_KERNEL);
        if (!skb)
            return error{ENOBUFS};
        skb_set_owner_w(skb, sk);
    }
    skb_reserve(skb, l.hh_len);
    skb_reset_network_header(skb);
    skb_put(skb, l.fragheaderlen);
    skb->transport_header = static_cast<u16>(skb->network_header + l.fragheaderlen);
    return skb;
}

/// Copy `n` bytes behind the tail, summing them unless the device will.
result<void> fill(sk_buff *skb, const layout &l, iov_iter &from, u32 n)
{
    u8 *to = skb_put(skb, n);
    if (l.partial) {
        skb->ip_summed = CHECKSUM_PARTIAL;
        return from.copy_from(to, n);
    }
    skb->csum = 0;
    return from.csum_copy_from(to, n, &skb->csum);
}

/// One fragment, filled: the first has `transhdrlen` zero bytes first.
result<sk_buff *> build_fragment(sock *sk, const layout &l, iov_iter &from, u32 payload,
                                 u32 transhdrlen, bool first, bool noblock)
{
    sk_buff *skb = TRY(new_fragment(sk, l, payload, first, noblock));
    if (transhdrlen)
        __builtin_memset(skb_put(skb, transhdrlen), 0, transhdrlen);
    if (payload > transhdrlen) {
        auto r = fill(skb, l, from, payload - transhdrlen);
        if (!r) {
            kfree_skb(skb);
            return r.fail();
        }
    }
    trace(trace_event::skb_copy_from_user, skb->trace_id, payload - transhdrlen);
    return skb;
}

/// Hang a further fragment on the datagram's head, which takes over its charge.
void attach(sk_buff *head, sk_buff **tail, sk_buff *f, const layout &l)
{
    skb_pull(f, l.fragheaderlen);
    f->trace_id = head->trace_id;
    *tail = f;
    head->len += f->len;
    head->data_len += f->len;
    head->truesize += f->truesize;
    f->destructor = nullptr;
    f->sk = nullptr;
}

void fill_header(sk_buff *skb, const flowi4 &fl, const ipcm_cookie &ipc, const rtable *rt,
                 const layout &l, u8 protocol)
{
    iphdr *iph = ip_hdr(skb);
    iph->version = 4;
    iph->ihl = (l.fragheaderlen / 4) & 15;
    iph->tos = ipc.tos;
    iph->frag_off = ipc.df;
    iph->ttl = ipc.ttl ? ipc.ttl : static_cast<u8>(sysctl_ip_default_ttl);
    iph->protocol = protocol;
    iph->saddr = fl.saddr;
    iph->daddr = fl.daddr;
    ip_select_ident(iph, rt, static_cast<bool>(ipc.df));
    if (ipc.opt && ipc.opt->optlen)
        ip_options_build(skb, ipc.opt, ipc.addr ? ipc.addr : fl.daddr, rt);
    skb->priority = ipc.priority;
    skb->mark = ipc.mark;
    skb_dst_set(skb, dst_hold(const_cast<rtable *>(rt)));
}
} // namespace

result<sk_buff *> ip_make_skb(sock *sk, const flowi4 &fl, const ipcm_cookie &ipc, iov_iter &from,
                              u32 len, u32 transhdrlen, rtable *rt, u32 msg_flags, u8 protocol)
{
    if (len > from.count())
        return error{EMSGSIZE};
    layout l = TRY(plan(ipc, len, transhdrlen, rt));
    bool noblock = msg_flags & MSG_DONTWAIT;
    u32 done = l.first_payload();
    sk_buff *skb = TRY(build_fragment(sk, l, from, done, transhdrlen, true, noblock));
    sk_buff **tail = &skb_shinfo(skb)->frag_list;
    while (done < l.total) {
        u32 n = min(l.total - done, l.max_payload());
        auto r = build_fragment(sk, l, from, n, 0, false, noblock);
        if (!r) {
            kfree_skb(skb);
            return r.fail();
        }
        attach(skb, tail, *r, l);
        tail = &(*r)->next;
        done += n;
    }
    fill_header(skb, fl, ipc, rt, l, protocol);
    if (protocol == IPPROTO_ICMP && skb_headlen(skb) >= l.fragheaderlen + sizeof(icmphdr))
        icmp_out_count(icmp_hdr(skb)->type);
    return skb;
}

// SPDX-License-Identifier: MIT
// Cutting a datagram to the MTU (RFC 791 §3.2). Linux: net/ipv4/ip_output.c ip_fragment. Process or
// softirq context. Two ways: a datagram that ip_make_skb() already cut gets headers only; any other
// is copied piece by piece.

#include "lib/printk.h"
#include "net/core/neighbour.h"
#include "net/core/sock.h"
#include "net/ipv4/ip_options.h"
#include "trace/trace.h"

namespace
{
using output_fn = int (*)(sk_buff *);

/// Whether head and list have the lengths of fragments for this MTU and may be changed in place.
bool ready_made(const sk_buff *skb, u32 hlen, u32 mtu)
{
    u32 first = skb_headlen(skb);
    if (!skb_shinfo(skb)->frag_list || skb_shinfo(skb)->nr_frags || first > mtu ||
        ((first - hlen) & 7) || skb_cloned(skb) || (ip_hdr(skb)->frag_off & (IP_MF | IP_OFFSET)))
        return false;
    for (const sk_buff *f = skb_shinfo(skb)->frag_list; f; f = f->next)
        if (f->len > mtu - hlen || ((f->len & 7) && f->next) ||
            skb_headroom(f) < hlen + LL_RESERVED_SPACE(skb->dev) || skb_shared(f) || f->data_len ||
            skb_cloned(f))
            return false;
    return true;
}

void finish_header(sk_buff *skb, u32 offset, bool more)
{
    iphdr *iph = ip_hdr(skb);
    iph->tot_len = htons(static_cast<u16>(skb->len));
    iph->frag_off = htons(static_cast<u16>(offset >> 3)) | (more ? IP_MF : be16{});
    iph->check = be16{};
    iph->check = ip_fast_csum(iph, iph->ihl);
    trace(trace_event::ip_fragment, skb->trace_id, offset, skb->len);
}

int sent(sk_buff *skb, output_fn output)
{
    int err = output(skb);
    if (!err)
        IP_INC_STATS(IPSTATS_MIB_FragCreates);
    return err;
}

int outcome(int err)
{
    IP_INC_STATS(err ? IPSTATS_MIB_FragFails : IPSTATS_MIB_FragOKs);
    return err;
}

void free_list(sk_buff *f)
{
    while (f) {
        sk_buff *next = f->next;
        f->next = nullptr;
        kfree_skb(f);
        f = next;
    }
}

/// Give a list member its header (a copy of the first fragment's) and its share of the socket's
/// charge.
void dress(sk_buff *f, sk_buff *head, const u8 *header, u32 hlen)
{
    memcpy(skb_push(f, hlen), header, hlen);
    skb_reset_network_header(f);
    f->transport_header = static_cast<u16>(f->network_header + hlen);
    f->dev = head->dev;
    f->protocol = head->protocol;
    f->priority = head->priority;
    f->mark = head->mark;
    f->ip_summed = CHECKSUM_NONE;
    f->dst = dst_hold(head->dst);
    f->trace_id = head->trace_id;
    if (head->sk) {
        f->sk = head->sk;
        f->destructor = sock_wfree;
        head->truesize -= f->truesize;
    }
}

int send_ready_made(sk_buff *skb, u32 hlen, output_fn output)
{
    u8 header[60], later[60];
    sk_buff *list = skb_shinfo(skb)->frag_list;
    skb_shinfo(skb)->frag_list = nullptr;
    u32 offset = 0, first = skb_headlen(skb);
    skb->len = first;
    skb->data_len = 0;
    memcpy(header, skb->data, hlen);
    memcpy(later, header, hlen);
    for (sk_buff *f = list; f; f = f->next)
        dress(f, skb, header, hlen);
    finish_header(skb, 0, true);
    offset = first - hlen;
    // Options that are not to be copied vanish from the rest (as no-ops).
    if (hlen > sizeof(iphdr)) {
        ip_options_strip(later, hlen);
        for (sk_buff *f = list; f; f = f->next)
            memcpy(f->data, later, hlen);
    }
    int err = sent(skb, output);
    while (list && !err) {
        sk_buff *f = list;
        list = f->next;
        f->next = nullptr;
        u32 n = f->len - hlen;
        finish_header(f, offset, list != nullptr);
        offset += n;
        err = sent(f, output);
    }
    free_list(list);
    return outcome(err);
}

/// One fragment of `n` payload bytes at `at` (from the start of the IP payload), copied from skb.
/// Null: no memory.
sk_buff *copy_fragment(sk_buff *skb, const u8 *header, u32 hlen, u32 at, u32 n)
{
    u32 room = LL_RESERVED_SPACE(skb->dev);
    sk_buff *f = alloc_skb(room + hlen + n, GFP_ATOMIC);
    if (!f)
        return nullptr;
    skb_copy_header(f, skb);
    f->ip_summed = CHECKSUM_NONE;
    f->csum = 0;
    skb_reserve(f, room);
    skb_reset_mac_header(f);
    skb_reset_network_header(f);
    memcpy(skb_put(f, hlen), header, hlen);
    f->transport_header = static_cast<u16>(f->network_header + hlen);
    if (skb->sk)
        skb_set_owner_w(f, skb->sk);
    if (skb_copy_bits(skb, hlen + at, skb_put(f, n), n)) {
        kfree_skb(f);
        return nullptr;
    }
    return f;
}

int send_copied(sk_buff *skb, u32 hlen, u32 mtu, output_fn output)
{
    u8 header[60];
    memcpy(header, skb->data, hlen);
    u32 left = skb->len - hlen, at = 0, per = (mtu - hlen) & ~7u;
    u32 base = (ip_hdr(skb)->frag_off & IP_OFFSET).host() * 8u;
    bool more_behind = static_cast<bool>(ip_hdr(skb)->frag_off & IP_MF);
    while (left) {
        u32 n = left <= mtu - hlen ? left : per;
        sk_buff *f = copy_fragment(skb, header, hlen, at, n);
        if (!f) {
            kfree_skb_reason(skb, "nomem");
            return outcome(-ENOMEM);
        }
        if (at == 0)
            ip_options_strip(header, hlen);
        left -= n;
        finish_header(f, base + at, left || more_behind);
        at += n;
        if (int err = sent(f, output)) {
            kfree_skb(skb);
            return outcome(err);
        }
    }
    consume_skb(skb);
    return outcome(0);
}
} // namespace

int ip_fragment(sk_buff *skb, int (*output)(sk_buff *))
{
    u32 mtu = dst_mtu(skb->dst), hlen = ip_hdrlen(skb);
    if (mtu < hlen + 8 || (ip_hdr(skb)->frag_off & IP_DF)) {
        IP_INC_STATS(IPSTATS_MIB_FragFails);
        icmp_send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, htonl(mtu));
        kfree_skb(skb);
        return -EMSGSIZE;
    }
    if (skb->ip_summed == CHECKSUM_PARTIAL && skb_checksum_help(skb)) {
        kfree_skb_reason(skb, "nomem");
        return outcome(-ENOMEM);
    }
    return ready_made(skb, hlen, mtu) ? send_ready_made(skb, hlen, output)
                                      : send_copied(skb, hlen, mtu, output);
}

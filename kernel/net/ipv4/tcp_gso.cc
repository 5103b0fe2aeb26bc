// SPDX-License-Identifier: MIT
// Segmentation in software (Linux net/ipv4/tcp_offload.c tcp_tso_segment, net/core/skbuff.c skb_segment): for devices without TSO, after
// the one pass through TCP and IP that all segments share.

#include "net/ipv4/tcp.h"
#include "net/ipv4/tcp_offload.h"

/// Headers of segment number i at payload offset `off`: copied, then what differs.
static void fix_headers(sk_buff *seg, const sk_buff *skb, u32 i, u32 off, bool last)
{
    iphdr *iph = ip_hdr(seg);
    tcphdr *th = tcp_hdr(seg);
    u32 l3 = static_cast<u32>(skb_network_offset(seg));
    iph->tot_len = htons(static_cast<u16>(seg->len - l3));
    iph->id = htons(static_cast<u16>(ntohs(ip_hdr(skb)->id) + i));
    iph->check = be16{};
    iph->check = ip_fast_csum(iph, iph->ihl);
    th->seq = htonl(ntohl(tcp_hdr(skb)->seq) + off);
    if (!last)
        th->fin = th->psh = 0;
    if (i)
        th->cwr = 0;
    seg->ip_summed = CHECKSUM_PARTIAL;
    __tcp_v4_send_check_len(seg, iph->saddr, iph->daddr,
                            seg->len - static_cast<u32>(skb_transport_offset(seg)));
}

static sk_buff *make_segment(const sk_buff *skb, u32 hlen, u32 off, u32 len)
{
    sk_buff *seg = alloc_skb(hlen + len, GFP_ATOMIC);
    if (!seg)
        return nullptr;
    skb_copy_header(seg, skb);
    memcpy(skb_put(seg, hlen), skb->data, hlen);
    skb_copy_bits(skb, hlen + off, skb_put(seg, len), len);
    u32 shift = skb_headroom(skb);
    seg->mac_header = 0;
    seg->network_header = static_cast<u16>(skb->network_header - shift);
    seg->transport_header = static_cast<u16>(skb->transport_header - shift);
    return seg;
}

sk_buff *tcp4_gso_segment(sk_buff *skb)
{
    u32 mss = skb_shinfo(skb)->gso_size;
    u32 hlen = static_cast<u32>(skb_transport_offset(skb)) + tcp_hdr(skb)->doff * 4u;
    u32 payload = skb->len - hlen;
    sk_buff *head = nullptr, *tail = nullptr;
    for (u32 off = 0, i = 0; off < payload; off += mss, i++) {
        u32 len = min(mss, payload - off);
        sk_buff *seg = make_segment(skb, hlen, off, len);
        if (!seg)
            break; // what is missing will be sent again
        fix_headers(seg, skb, i, off, off + len == payload);
        (tail ? tail->next : head) = seg;
        tail = seg;
    }
    if (tail && skb->destructor) {
        // The charge of the whole leaves with the last one.
        tail->sk = skb->sk;
        tail->destructor = skb->destructor;
        u32 t = tail->truesize;
        tail->truesize = skb->truesize;
        skb->truesize = t;
        skb->sk = nullptr;
        skb->destructor = nullptr;
    }
    if (tail)
        consume_skb(skb);
    else
        kfree_skb_reason(skb, "nomem");
    return head;
}

// SPDX-License-Identifier: MIT
// GRO: segments of a connection that come in one poll go up as one packet (Linux net/core/dev.c dev_gro_receive, net/ipv4/af_inet.c
// inet_gro_receive, tcp_offload.c tcp_gro_receive). What was joined can be cut again exactly: same headers, consecutive numbers, all
// but the last of equal size. Softirq, owner of the napi_struct; no locks. A poll's end passes everything up, so nothing waits.

#include "net/core/dev.h"
#include "net/ipv4/tcp.h"
#include "net/ipv4/tcp_offload.h"

namespace
{
/// In skb->cb of what is kept.
struct gro_cb {
    u32 next_seq; // sequence number that continues it
    u16 mss;      // payload of all but the last
    u16 count;    // segments
    u16 next_id;  // IP identification that continues it
};
static_assert(sizeof(gro_cb) <= sizeof(sk_buff::cb));
gro_cb *cb_of(sk_buff *skb)
{
    return reinterpret_cast<gro_cb *>(skb->cb);
}
constexpr unsigned GRO_MAX_FLOWS = 8;
/// Flags that a segment may add to those before it.
constexpr u8 GRO_FREE_FLAGS = TCPHDR_PSH | TCPHDR_FIN;

/// The headers of a frame that may be joined, all linear.
struct headers {
    iphdr *iph;
    tcphdr *th;
    u32 hlen, payload;
    u8 flags;
};

/// The segment's checksum is right, by the device's word or by our own sum, which nobody needs to repeat.
bool checksum_right(sk_buff *skb, const iphdr *iph)
{
    if (likely(skb->ip_summed == CHECKSUM_UNNECESSARY))
        return true;
    constexpr u32 ihl = sizeof(iphdr);
    u32 len = skb->len - ihl;
    wsum pseudo = csum_tcpudp_nofold(iph->saddr, iph->daddr, len, IPPROTO_TCP, 0);
    if (skb->ip_summed != CHECKSUM_NONE || csum_fold(skb_checksum(skb, ihl, len, pseudo)) != be16{})
        return false;
    skb->ip_summed = CHECKSUM_UNNECESSARY;
    return true;
}

/// TCP over plain IPv4, checksums right, nothing behind the datagram. False: not for us.
bool look(sk_buff *skb, headers *h)
{
    if (skb->protocol != htons(ETH_P_IP) || !pskb_may_pull(skb, sizeof(iphdr) + sizeof(tcphdr)))
        return false;
    auto *iph = reinterpret_cast<iphdr *>(skb->data);
    if (iph->version != 4 || iph->ihl != 5 || iph->protocol != IPPROTO_TCP ||
        (iph->frag_off & htons(0xbfff)) || ntohs(iph->tot_len) != skb->len)
        return false;
    u32 thlen = reinterpret_cast<tcphdr *>(iph + 1)->doff * 4u;
    h->hlen = static_cast<u32>(sizeof(iphdr)) + thlen;
    if (thlen < sizeof(tcphdr) || !pskb_may_pull(skb, h->hlen))
        return false;
    h->iph = reinterpret_cast<iphdr *>(skb->data);
    if (ip_fast_csum(h->iph, 5).raw || !checksum_right(skb, h->iph))
        return false;
    h->th = reinterpret_cast<tcphdr *>(h->iph + 1);
    h->payload = skb->len - h->hlen;
    h->flags = skb->data[sizeof(iphdr) + 13];
    return true;
}

iphdr *kept_ip(sk_buff *p)
{
    return reinterpret_cast<iphdr *>(p->data);
}
tcphdr *kept_tcp(sk_buff *p)
{
    return reinterpret_cast<tcphdr *>(p->data + sizeof(iphdr));
}

/// The ports, as one number.
u32 ports(const tcphdr *th)
{
    u32 both;
    __builtin_memcpy(&both, th, sizeof both);
    return both;
}

/// Options are the same; they are whole words.
bool same_options(const tcphdr *a, const tcphdr *b, unsigned words)
{
    auto *x = reinterpret_cast<const u32 *>(a + 1), *y = reinterpret_cast<const u32 *>(b + 1);
    for (unsigned i = 0; i < words; i++)
        if (x[i] != y[i])
            return false;
    return true;
}

bool same_flow(sk_buff *p, const headers &h)
{
    const iphdr *iph = kept_ip(p);
    return iph->saddr == h.iph->saddr && iph->daddr == h.iph->daddr &&
           ports(kept_tcp(p)) == ports(h.th);
}

/// It continues p, and only what has to differ differs.
bool continues(sk_buff *p, const headers &h)
{
    const iphdr *iph = kept_ip(p);
    const tcphdr *th = kept_tcp(p);
    const gro_cb *cb = cb_of(p);
    // Header length, window and flags in one; what is kept has ACK and no flag but those that may come.
    constexpr u32 fixed = ~(u32{GRO_FREE_FLAGS} << 8);
    return h.payload && h.payload <= cb->mss && ntohl(h.th->seq) == cb->next_seq &&
           !((tcp_flag_word(th) ^ tcp_flag_word(h.th)) & fixed) && th->ack_seq == h.th->ack_seq &&
           iph->tos == h.iph->tos && iph->ttl == h.iph->ttl && iph->frag_off == h.iph->frag_off &&
           ntohs(h.iph->id) == cb->next_id && same_options(th, h.th, th->doff - 5u) &&
           p->len + h.payload < 65536;
}

/// Move skb's page fragments behind p's. False: it has linear payload, or too many.
bool join_pages(sk_buff *p, sk_buff *skb, const headers &h)
{
    skb_shared_info *to = skb_shinfo(p), *from = skb_shinfo(skb);
    if (skb_headlen(skb) != h.hlen || from->frag_list || skb_cloned(skb) || skb_cloned(p) ||
        to->nr_frags + from->nr_frags > MAX_SKB_FRAGS || to->frag_list)
        return false;
    for (unsigned i = 0; i < from->nr_frags; i++)
        to->frags[to->nr_frags++] = from->frags[i];
    from->nr_frags = 0;
    u32 pages = skb->truesize - SKB_TRUESIZE(skb->end);
    p->truesize += pages;
    skb->truesize -= pages;
    p->len += h.payload;
    p->data_len += h.payload;
    return true;
}

bool join(napi_struct *napi, sk_buff *p, sk_buff *skb, const headers &h)
{
    if (!join_pages(p, skb, h))
        return false;
    gro_cb *cb = cb_of(p);
    cb->next_seq += h.payload;
    cb->count++;
    cb->next_id++;
    p->data[sizeof(iphdr) + 13] |= h.flags & GRO_FREE_FLAGS;
    skb->len = skb_headlen(skb);
    skb->data_len = 0;
    napi_reuse_skb(napi, skb);
    return true;
}

/// Up the stack as one packet.
void complete(sk_buff *p)
{
    const gro_cb cb = *cb_of(p);
    p->next = nullptr;
    if (cb.count > 1) {
        iphdr *iph = kept_ip(p);
        iph->tot_len = htons(static_cast<u16>(p->len));
        iph->check = be16{};
        iph->check = ip_fast_csum(iph, 5);
        skb_shinfo(p)->gso_size = cb.mss;
        skb_shinfo(p)->gso_segs = cb.count;
        skb_shinfo(p)->gso_type = SKB_GSO_TCPV4;
    }
    memset(p->cb, 0, sizeof(p->cb));
    netif_receive_skb(p);
}

void unlink_and_complete(napi_struct *napi, sk_buff **pp)
{
    sk_buff *p = *pp;
    *pp = p->next;
    napi->gro_count--;
    complete(p);
}

void keep(napi_struct *napi, sk_buff *skb, const headers &h)
{
    gro_cb *cb = cb_of(skb);
    *cb = {.next_seq = ntohl(h.th->seq) + h.payload,
           .mss = static_cast<u16>(h.payload),
           .count = 1,
           .next_id = static_cast<u16>(ntohs(h.iph->id) + 1)};
    skb->next = nullptr;
    sk_buff **pp = &napi->gro_list;
    while (*pp)
        pp = &(*pp)->next;
    *pp = skb;
    napi->gro_count++;
}
} // namespace

bool tcp4_gro_receive(napi_struct *napi, sk_buff *skb)
{
    headers h;
    if (!look(skb, &h))
        return false;
    for (sk_buff **pp = &napi->gro_list; *pp; pp = &(*pp)->next) {
        sk_buff *p = *pp;
        if (!same_flow(p, h))
            continue;
        u16 mss = cb_of(p)->mss;
        bool last = h.payload < mss || (h.flags & (TCPHDR_PSH | TCPHDR_FIN));
        if (continues(p, h) && join(napi, p, skb, h)) {
            if (last)
                unlink_and_complete(napi, pp);
            return true;
        }
        unlink_and_complete(napi, pp); // its order before this one must stay
        break;
    }
    if (!h.payload || h.flags != TCPHDR_ACK)
        return false;
    if (napi->gro_count >= GRO_MAX_FLOWS && napi->gro_list)
        unlink_and_complete(napi, &napi->gro_list);
    keep(napi, skb, h);
    return true;
}

void napi_gro_flush(napi_struct *napi)
{
    while (napi->gro_list)
        unlink_and_complete(napi, &napi->gro_list);
}

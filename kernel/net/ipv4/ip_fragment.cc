// SPDX-License-Identifier: MIT
// Reassembly of IPv4 datagrams (RFC 791 §3.2, RFC 815, RFC 1122 §3.3.2). Linux:
// net/ipv4/ip_fragment.c. Softirq. Fragments may come in any order and twice; whatever contradicts
// itself (overlap, two ends, more than 64 KiB) costs the whole datagram, so that no crafted set of
// pieces can be put together in two ways. q->lock protects a queue.

#include "lib/printk.h"
#include "net/ipv4/inet_fragment.h"
#include "net/ipv4/inetdevice.h"
#include "trace/trace.h"

namespace
{
/// skb->cb of a queued fragment, behind the inet_skb_parm: its place.
struct ipfrag_cb {
    inet_skb_parm h;
    u32 offset, end;
};
ipfrag_cb *FRAG_CB(sk_buff *skb)
{
    return reinterpret_cast<ipfrag_cb *>(skb->cb);
}
static_assert(sizeof(ipfrag_cb) <= sizeof(sk_buff::cb));

/// Outcome of adding a fragment.
enum class added : u8 { queued, complete, duplicate, bad };

/// [T] Time is up (RFC 1122 §3.3.2: ICMP only if the first fragment is here).
void ip_expire(timer_list *t) NO_THREAD_SAFETY_ANALYSIS
{
    ipq *q = static_cast<ipq_timer *>(t)->q;
    q->lock.lock();
    if (q->last_in & FRAG_COMPLETE || q->dead) {
        q->lock.unlock();
        ipq_put(q, "frag_timeout");
        return;
    }
    inet_frag_kill(q);
    IP_INC_STATS(IPSTATS_MIB_ReasmTimeout);
    IP_INC_STATS(IPSTATS_MIB_ReasmFails);
    sk_buff *head = (q->last_in & FRAG_FIRST_IN) ? q->fragments : nullptr;
    if (head)
        skb_get(head);
    q->lock.unlock();
    if (head) {
        head->dev = dev_get_by_index(q->iif);
        if (head->dev) {
            const iphdr *iph = ip_hdr(head);
            if (!head->dst)
                ip_route_input(head, iph->daddr, iph->saddr, iph->tos, head->dev);
            if (head->dst && skb_rtable(head)->rt_type == RTN_LOCAL)
                icmp_send(head, ICMP_TIME_EXCEEDED, ICMP_EXC_FRAGTIME, be32{});
            dev_put(head->dev);
            head->dev = nullptr;
        }
        kfree_skb_reason(head, "frag_timeout");
    }
    ipq_put(q, "frag_timeout");
}

/// Where a fragment goes. Sets *prev (null: in front). added::queued if there is room for it.
added find_place(ipq *q, u32 offset, u32 end, sk_buff **prev)
{
    sk_buff *before = nullptr, *after = q->fragments;
    if (q->tail && FRAG_CB(q->tail)->offset < offset) {
        before = q->tail; // in order: the usual case
        after = nullptr;
    }
    while (after && FRAG_CB(after)->offset < offset) {
        before = after;
        after = after->next;
    }
    if (after && FRAG_CB(after)->offset == offset && FRAG_CB(after)->end == end)
        return added::duplicate;
    if ((before && FRAG_CB(before)->end > offset) || (after && FRAG_CB(after)->offset < end))
        return added::bad;
    *prev = before;
    return added::queued;
}

void insert_after(ipq *q, sk_buff *prev, sk_buff *skb)
{
    skb->next = prev ? prev->next : q->fragments;
    (prev ? prev->next : q->fragments) = skb;
    if (!skb->next)
        q->tail = skb;
}

/// Update what is known of the end of the datagram. False: contradiction.
bool note_end(ipq *q, u32 end, bool last)
{
    if (last) {
        if (end < q->len || ((q->last_in & FRAG_LAST_IN) && end != q->len))
            return false;
        q->last_in |= FRAG_LAST_IN;
        q->len = end;
        return true;
    }
    if (end > q->len) {
        if (q->last_in & FRAG_LAST_IN)
            return false;
        q->len = end;
    }
    return true;
}

/// Add a fragment; takes it over only when it is queued. q->lock.
added ip_frag_queue(ipq *q, sk_buff *skb)
{
    const iphdr *iph = ip_hdr(skb);
    u32 ihl = iph->ihl * 4u, offset = (iph->frag_off & IP_OFFSET).host() * 8u;
    bool last = !(iph->frag_off & IP_MF);
    u32 n = skb->len - ihl, end = offset + n;
    if (!last && (n & 7)) // RFC 791: only the last may be odd; the rest of a longer one is noise
        n &= ~7u, end = offset + n;
    if (n == 0 || end + ihl > 65535)
        return added::bad;
    sk_buff *prev = nullptr;
    added where = find_place(q, offset, end, &prev);
    if (where != added::queued)
        return where;
    if (!note_end(q, end, last))
        return added::bad;
    if (pskb_trim(skb, ihl + n))
        return added::bad;
    FRAG_CB(skb)->offset = offset;
    FRAG_CB(skb)->end = end;
    q->ecn |= static_cast<u8>(1 << (iph->tos & 3));
    q->iif = skb->dev->ifindex;
    insert_after(q, prev, skb);
    skb->dev = nullptr; // may be gone before the datagram is complete
    q->meat += n;
    inet_frag_mem_add(q, static_cast<s32>(skb->truesize));
    if (offset == 0)
        q->last_in |= FRAG_FIRST_IN;
    return q->last_in == (FRAG_FIRST_IN | FRAG_LAST_IN) && q->meat == q->len ? added::complete
                                                                             : added::queued;
}

/// ECN of the datagram from those of its fragments (RFC 3168 §5.3): 0 or CE; false: inconsistent,
/// drop.
bool reassembled_ecn(u8 seen, u8 *ce)
{
    constexpr u8 NOT_ECT = 1, CE = 8;
    *ce = seen & CE ? 3 : 0;
    return !((seen & NOT_ECT) && (seen & CE)) && !((seen & NOT_ECT) && (seen & ~(NOT_ECT | CE)));
}

/// Make one skb of the queue's fragments: the first one with the others in its frag_list. Null:
/// counted and freed. q->lock, and q is off the hash.
sk_buff *ip_frag_reasm(ipq *q, net_device *dev)
{
    u8 ce;
    sk_buff *head = q->fragments;
    u32 ihl = ip_hdrlen(head), len = ihl + q->len;
    if (len > 65535 || !reassembled_ecn(q->ecn, &ce) || skb_cow_head(head, 0))
        return nullptr;
    if (skb_shinfo(head)->frag_list && skb_linearize(head))
        return nullptr;
    q->fragments = q->tail = nullptr;
    sk_buff *rest = head->next;
    head->next = nullptr;
    for (sk_buff *f = rest; f; f = f->next) {
        skb_pull(f, ip_hdrlen(f));
        skb_dst_drop(f);
        head->len += f->len;
        head->data_len += f->len;
        head->truesize += f->truesize;
    }
    skb_shinfo(head)->frag_list = rest;
    if (head->ip_summed == CHECKSUM_COMPLETE)
        head->ip_summed = CHECKSUM_NONE;
    if (rest) // each fragment was checked, the sum over all was not
        head->ip_summed = CHECKSUM_NONE;
    head->dev = dev;
    iphdr *iph = ip_hdr(head);
    iph->frag_off = be16{};
    iph->tot_len = htons(static_cast<u16>(len));
    iph->tos |= ce;
    iph->check = be16{};
    iph->check = ip_fast_csum(iph, iph->ihl);
    inet_frag_mem_add(q, -static_cast<s32>(q->mem));
    return head;
}

frag_key key_of(const sk_buff *skb)
{
    const iphdr *iph = ip_hdr(skb);
    return {iph->saddr, iph->daddr, iph->id, iph->protocol};
}

/// sk_buff's headers of fragments must be in the linear part.
bool fragment_linear(sk_buff *skb)
{
    return pskb_may_pull(skb, ip_hdrlen(skb)) && (!skb_is_nonlinear(skb) || !skb_linearize(skb));
}
} // namespace

sk_buff *ip_defrag(sk_buff *skb) NO_THREAD_SAFETY_ANALYSIS
{
    IP_INC_STATS(IPSTATS_MIB_ReasmReqds);
    const iphdr *iph = ip_hdr(skb);
    u32 id = iph->id.host(), off = (iph->frag_off & IP_OFFSET).host() * 8u,
        n = skb->len - iph->ihl * 4u, trace_id = skb->trace_id;
    net_device *dev = skb->dev;
    ipq *q = fragment_linear(skb) ? inet_frag_find(key_of(skb), ip_expire) : nullptr;
    if (!q) {
        IP_INC_STATS(IPSTATS_MIB_ReasmFails);
        kfree_skb_reason(skb, "nomem");
        return nullptr;
    }
    q->lock.lock();
    added r = q->dead ? added::bad : ip_frag_queue(q, skb);
    sk_buff *whole = nullptr;
    if (r == added::complete) {
        q->last_in |= FRAG_COMPLETE;
        inet_frag_kill(q);
        whole = ip_frag_reasm(q, dev);
    } else if (r == added::bad) {
        inet_frag_kill(q);
    }
    q->lock.unlock();
    if (r == added::complete || r == added::bad)
        IP_INC_STATS(whole ? IPSTATS_MIB_ReasmOKs : IPSTATS_MIB_ReasmFails);
    trace(trace_event::ip_defrag, trace_id, id, off, n, whole ? 1 : 0);
    if (r == added::bad || r == added::duplicate)
        kfree_skb_reason(skb, "frag_overlap");
    ipq_put(q, "frag_overlap");
    return whole;
}

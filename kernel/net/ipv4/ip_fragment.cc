// SPDX-License-Identifier: MIT
// Reassembly of IPv4 fragments. Linux: net/ipv4/ip_fragment.c, inet_fragment.c, with its limits: 30 s, 4 MiB high and 3 MiB low mark of
// memory, oldest datagram evicted first. Overlaps are cut as in 3.10: what came first stays, except that a fragment covers later ones
// that it reaches into from the front.
//
// Softirq (ip_local_deliver, timer). One lock for all: fragments are rare. A queue is referenced by the table (unlinked when it is
// complete, evicted or expired) and by its pending timer. No packet is freed and no ICMP sent under the lock.
#include "fs/seq_file.h"
#include "lib/initcall.h"
#include "lib/random.h"
#include "mm/slab.h"
#include "net/ipv4/ip.h"
#include "net/ipv4/ip_frag.h"
#include "net/ipv4/snmp.h"
#include "trace/trace.h"

constexpr unsigned FRAG_HASHSZ = 64;
static int sysctl_high_thresh = 4 << 20, sysctl_low_thresh = 3 << 20, sysctl_time_s = 30;

/// One datagram under reassembly: its fragments in order of offset, chained through skb->next, data behind the IP header.
struct ipq : pinned {
    list_node hash_node, lru_node;
    be32 saddr{}, daddr{};
    be16 id{};
    u8 protocol = 0;
    bool first_in = false, last_in = false, hashed = false;
    u32 iif = 0;
    u32 len = 0;  // of the datagram as far as known: end of the last byte seen
    u32 meat = 0; // bytes that are here
    sk_buff *fragments = nullptr;
    timer_list timer;
    refcount refs;
    ipq();
};

/// skb->cb of a fragment on a queue.
struct frag_cb {
    inet_skb_parm h;
    u32 offset;
};
static frag_cb *FRAG_CB(sk_buff *skb)
{
    return reinterpret_cast<frag_cb *>(skb->cb);
}

static spinlock frag_lock{"ip_frag.lock"};
static list<ipq, &ipq::hash_node> buckets[FRAG_HASHSZ];
static list<ipq, &ipq::lru_node> lru; // oldest use first
static std::atomic<unsigned> frag_mem{0}, frag_queues{0};
static u32 frag_rnd;

unsigned ip_frag_nqueues()
{
    return frag_queues.load(std::memory_order_relaxed);
}
unsigned ip_frag_mem()
{
    return frag_mem.load(std::memory_order_relaxed);
}

static void charge(int bytes)
{
    frag_mem.fetch_add(static_cast<unsigned>(bytes), std::memory_order_relaxed);
}

static void free_chain(sk_buff *skb)
{
    while (skb) {
        sk_buff *next = skb->next;
        skb->next = nullptr;
        charge(-static_cast<int>(skb->truesize));
        kfree_skb(skb);
        skb = next;
    }
}

static void ipq_put(ipq *q)
{
    if (!q->refs.put())
        return;
    free_chain(q->fragments);
    charge(-static_cast<int>(sizeof *q));
    frag_queues.fetch_sub(1, std::memory_order_relaxed);
    kdelete(q);
}

/// Take it off the table; returns whether the caller now owns the table's reference. frag_lock held.
static bool ipq_unlink(ipq *q)
{
    if (!q->hashed)
        return false;
    q->hashed = false;
    q->hash_node.unlink();
    q->lru_node.unlink();
    if (del_timer(&q->timer))
        (void)!q->refs.put(); // never the last: the table's is still there
    return true;
}

/// Time is over: count, and tell the sender if the first fragment, which names the ports, is here (RFC 792). [T]
static void ipq_expire(timer_list *t)
{
    auto *q = container_of(t, ipq, timer);
    bool ours;
    {
        spin_guard<plain> g{frag_lock};
        ours = ipq_unlink(q);
    }
    if (ours) {
        IP_INC_STATS(IPSTATS_MIB_ReasmTimeout);
        IP_INC_STATS(IPSTATS_MIB_ReasmFails);
        net_device *dev = q->first_in ? dev_get_by_index(q->iif) : nullptr;
        if (dev) {
            q->fragments->dev = dev;
            icmp_send(q->fragments, ICMP_TIME_EXCEEDED, ICMP_EXC_FRAGTIME, {});
            dev_put(dev);
        }
        ipq_put(q);
    }
    ipq_put(q); // the timer's reference
}

ipq::ipq() : timer{ipq_expire} {}

/// Make room: drop the datagrams that were idle longest until the low mark is reached.
static void ip_evict()
{
    if (ip_frag_mem() <= static_cast<unsigned>(sysctl_high_thresh))
        return;
    while (ip_frag_mem() > static_cast<unsigned>(sysctl_low_thresh)) {
        ipq *q;
        {
            spin_guard<bh> g{frag_lock};
            q = lru.front();
            if (!q)
                return;
            ipq_unlink(q);
        }
        IP_INC_STATS(IPSTATS_MIB_ReasmFails);
        ipq_put(q);
    }
}

/// The queue of the datagram that iph belongs to, made if there is none; null when out of memory. frag_lock held.
static ipq *ip_find(const iphdr *iph)
{
    u32 key = u32{iph->id.raw} << 16 | iph->protocol;
    auto &bucket =
        buckets[jhash_3words(key, iph->saddr.raw, iph->daddr.raw, frag_rnd) % FRAG_HASHSZ];
    for (ipq &q : bucket)
        if (q.id == iph->id && q.saddr == iph->saddr && q.daddr == iph->daddr &&
            q.protocol == iph->protocol) {
            list<ipq, &ipq::lru_node>::erase(q);
            lru.push_back(q);
            return &q;
        }
    ipq *q = knew<ipq>(GFP_ATOMIC);
    if (!q)
        return nullptr;
    q->saddr = iph->saddr;
    q->daddr = iph->daddr;
    q->id = iph->id;
    q->protocol = iph->protocol;
    q->hashed = true;
    charge(sizeof *q);
    frag_queues.fetch_add(1, std::memory_order_relaxed);
    bucket.push_back(*q);
    lru.push_back(*q);
    q->refs.get(); // the timer's
    mod_timer(&q->timer, jiffies() + static_cast<u64>(sysctl_time_s) * HZ);
    return q;
}

/// The fragment's place in the datagram against what is known of its length. False: they contradict each other.
static bool check_end(ipq *q, u32 *end, bool more)
{
    if (!more) {
        if (*end < q->len || (q->last_in && *end != q->len))
            return false;
        q->last_in = true;
        q->len = *end;
        return true;
    }
    *end &= ~7u; // all but the last carry multiples of 8
    if (*end > q->len) {
        if (q->last_in)
            return false;
        q->len = *end;
    }
    return true;
}

/// Cut off what later fragments already on the queue share with [.., end) and drop those that are covered whole. Dropped ones are
/// chained to *dropped. False: out of memory.
static bool eat_followers(ipq *q, sk_buff **link, u32 end, sk_buff **dropped)
{
    while (sk_buff *next = *link) {
        u32 start = FRAG_CB(next)->offset;
        if (start >= end)
            return true;
        u32 overlap = end - start;
        if (overlap < next->len) {
            if (!pskb_may_pull(next, overlap))
                return false;
            skb_pull(next, overlap);
            FRAG_CB(next)->offset += overlap;
            q->meat -= overlap;
            next->ip_summed = CHECKSUM_NONE;
            return true;
        }
        *link = next->next;
        q->meat -= next->len;
        next->next = *dropped;
        *dropped = next;
    }
    return true;
}

/// Put the fragment where it belongs. False: it is bad, a duplicate, or memory is short; the caller drops it. frag_lock held.
static bool ip_frag_queue(ipq *q, sk_buff *skb, sk_buff **dropped)
{
    const iphdr *iph = ip_hdr(skb);
    u32 ihl = iph->ihl * 4u, offset = (ntohs(iph->frag_off) & 0x1fffu) * 8;
    bool more{iph->frag_off & IP_MF};
    u32 end = offset + skb->len - ihl;
    if (end > 65535 || !check_end(q, &end, more) || end <= offset)
        return false;
    if (!pskb_may_pull(skb, ihl))
        return false;
    skb_pull(skb, ihl);
    if (pskb_trim(skb, end - offset))
        return false;
    sk_buff *prev = nullptr;
    for (sk_buff *s = q->fragments; s && FRAG_CB(s)->offset < offset; s = s->next)
        prev = s;
    if (prev && FRAG_CB(prev)->offset + prev->len > offset) {
        u32 overlap = FRAG_CB(prev)->offset + prev->len - offset;
        if (offset + overlap >= end || !pskb_may_pull(skb, overlap))
            return false;
        skb_pull(skb, overlap);
        offset += overlap;
        skb->ip_summed = CHECKSUM_NONE;
    }
    sk_buff **link = prev ? &prev->next : &q->fragments;
    if (!eat_followers(q, link, end, dropped))
        return false;
    FRAG_CB(skb)->offset = offset;
    skb->next = *link;
    *link = skb;
    if (skb->dev)
        q->iif = skb->dev->ifindex;
    skb->dev = nullptr;
    q->meat += skb->len;
    charge(static_cast<int>(skb->truesize));
    q->first_in |= offset == 0;
    return true;
}

/// All bytes are here: one skb with the others in its frag_list, data at the IP header again. Null: too long, or no memory; the
/// fragments are freed. Owns q's fragments; no lock.
static sk_buff *ip_frag_reasm(ipq *q, net_device *dev)
{
    sk_buff *head = q->fragments;
    u32 ihl = ip_hdrlen(head);
    if (ihl + q->len > 65535) {
        if (printk_ratelimit())
            pr_info("ip: oversized datagram from %pI4", &q->saddr);
        return nullptr;
    }
    if (skb_cloned(head) && pskb_expand_head(head, 0, 0, GFP_ATOMIC))
        return nullptr;
    q->fragments = nullptr;
    charge(-static_cast<int>(head->truesize));
    sk_buff *rest = head->next;
    head->next = nullptr;
    skb_push(head, ihl);
    // A following sk_buff that shares its data with a tap stays as it is: only its bytes are read.
    skb_shinfo(head)->frag_list = rest;
    head->ip_summed = CHECKSUM_NONE;
    for (sk_buff *s = rest; s; s = s->next) {
        charge(-static_cast<int>(s->truesize));
        head->len += s->len;
        head->data_len += s->len;
        head->truesize += s->truesize;
    }
    head->dev = dev;
    iphdr *iph = ip_hdr(head);
    iph->frag_off = be16{};
    iph->tot_len = htons(static_cast<u16>(ihl + q->len));
    iph->check = be16{};
    iph->check = ip_fast_csum(iph, iph->ihl);
    return head;
}

/// Put skb on its queue; *complete is the queue when nothing is missing any more (unlinked, the table's reference handed over).
static bool queue_fragment(sk_buff *skb, ipq **complete, sk_buff **dropped)
{
    spin_guard<bh> g{frag_lock};
    ipq *q = ip_find(ip_hdr(skb));
    if (!q || !ip_frag_queue(q, skb, dropped))
        return false;
    if (q->first_in && q->last_in && q->meat == q->len && ipq_unlink(q))
        *complete = q;
    return true;
}

sk_buff *ip_defrag(sk_buff *skb)
{
    IP_INC_STATS(IPSTATS_MIB_ReasmReqds);
    ip_evict();
    net_device *dev = skb->dev;
    const iphdr *iph = ip_hdr(skb);
    u32 id = ntohs(iph->id), off = (ntohs(iph->frag_off) & 0x1fffu) * 8,
        len = skb->len - iph->ihl * 4u, trace_id = skb->trace_id;
    ipq *q = nullptr;
    sk_buff *dropped = nullptr;
    bool kept = queue_fragment(skb, &q, &dropped);
    trace(trace_event::ip_defrag, trace_id, id, off, len, q ? 1u : 0u);
    free_chain(dropped);
    if (!kept) {
        IP_INC_STATS(IPSTATS_MIB_ReasmFails);
        kfree_skb(skb);
        return nullptr;
    }
    if (!q)
        return nullptr;
    sk_buff *whole = ip_frag_reasm(q, dev);
    IP_INC_STATS(whole ? IPSTATS_MIB_ReasmOKs : IPSTATS_MIB_ReasmFails);
    ipq_put(q);
    return whole;
}

static int ip_frag_init()
{
    frag_rnd = get_random_u32();
    sysctl_create_int("net/ipv4/ipfrag_high_thresh", &sysctl_high_thresh, 0, INT32_MAX);
    sysctl_create_int("net/ipv4/ipfrag_low_thresh", &sysctl_low_thresh, 0, INT32_MAX);
    sysctl_create_int("net/ipv4/ipfrag_time", &sysctl_time_s, 1, 3600);
    return 0;
}
fs_initcall(ip_frag_init);

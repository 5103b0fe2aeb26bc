// SPDX-License-Identifier: MIT
// Fragment queues: hash with a random key, expiry, and a limit on memory that evicts the oldest.
// Linux: net/ipv4/inet_fragment.c. Softirq (timers too). Order: frag_lock, then q->lock never
// inside it; a queue is looked up under frag_lock and referenced.

#include "net/ipv4/inet_fragment.h"
#include "lib/printk.h"
#include "lib/random.h"
#include "mm/slab.h"
#include "mm/static_object.h"

int sysctl_ipfrag_high_thresh = 4 << 20, sysctl_ipfrag_low_thresh = 3 << 20,
    sysctl_ipfrag_time = 30;

namespace
{
constexpr unsigned INETFRAGS_HASHSZ = 64, INETFRAGS_MAXDEPTH = 128;
using lru_list = list<ipq, &ipq::lru>;

constinit spinlock frag_lock{"inet_frags"};
ipq *frag_hash[INETFRAGS_HASHSZ];
constinit static_object<lru_list> frag_lru;
std::atomic<s64> frag_mem{0};
std::atomic<u32> nqueues{0};
u64 frag_key_secret[2];

unsigned frag_bucket(const frag_key &k)
{
    struct {
        be32 s, d;
        u32 rest;
        u32 zero;
    } in{k.saddr, k.daddr, static_cast<u32>(k.id.raw) | static_cast<u32>(k.protocol) << 16, 0};
    return siphash(&in, sizeof(in), frag_key_secret) % INETFRAGS_HASHSZ;
}

/// Off hash and lru; false if somebody else did it. frag_lock.
bool unhash(ipq *q)
{
    if (q->dead)
        return false;
    ipq **pp = &frag_hash[frag_bucket(q->key)];
    while (*pp != q)
        pp = &(*pp)->hash_next;
    *pp = q->hash_next;
    lru_list::erase(*q);
    q->dead = true;
    nqueues.fetch_sub(1);
    return true;
}

/// The oldest queue with a reference, already off the hash; null when there is none.
ipq *take_oldest()
{
    spin_guard<bh> g{frag_lock};
    ipq *q = frag_lru->front();
    if (!q)
        return nullptr;
    q->refcnt.get();
    unhash(q);
    return q;
}

void drop_timer(ipq *q)
{
    if (del_timer(&q->timer))
        BUG_ON(q->refcnt.put());
}

/// Memory is over the high mark: drop old datagrams down to the low one (Linux inet_frag_evictor).
void evict()
{
    while (frag_mem.load(std::memory_order_relaxed) > sysctl_ipfrag_low_thresh) {
        ipq *q = take_oldest();
        if (!q)
            return;
        IP_INC_STATS(IPSTATS_MIB_ReasmFails);
        drop_timer(q);
        ipq_put(q, "frag_mem"); // the hash's
        // The analyzer does not count references: the last one is ours.
        ipq_put(q, "frag_mem"); // NOLINT(clang-analyzer-unix.Malloc)
    }
}
} // namespace

u32 ip_frag_nqueues()
{
    return nqueues.load();
}
u32 ip_frag_mem()
{
    return static_cast<u32>(max<s64>(frag_mem.load(), 0));
}

void inet_frag_mem_add(ipq *q, s32 bytes)
{
    q->mem = static_cast<u32>(static_cast<s32>(q->mem) + bytes);
    frag_mem.fetch_add(bytes, std::memory_order_relaxed);
}

void ipq_put(ipq *q, const char *reason)
{
    if (!q->refcnt.put())
        return;
    while (sk_buff *skb = q->fragments) {
        q->fragments = skb->next;
        skb->next = nullptr;
        kfree_skb_reason(skb, reason);
    }
    inet_frag_mem_add(q, -static_cast<s32>(q->mem));
    frag_mem.fetch_sub(sizeof(ipq), std::memory_order_relaxed);
    kdelete(q);
}

void inet_frag_kill(ipq *q)
{
    drop_timer(q);
    bool mine;
    {
        spin_guard<bh> g{frag_lock};
        mine = unhash(q);
    }
    if (mine)
        BUG_ON(q->refcnt.put()); // the caller has one more
}

static ipq *find_locked(const frag_key &key, unsigned bucket, unsigned *depth)
{
    *depth = 0;
    for (ipq *q = frag_hash[bucket]; q; q = q->hash_next, ++*depth) {
        if (q->key == key) {
            q->refcnt.get();
            lru_list::erase(*q);
            frag_lru->push_back(*q);
            return q;
        }
    }
    return nullptr;
}

ipq *inet_frag_find(const frag_key &key, void (*expire)(timer_list *))
{
    if (frag_mem.load(std::memory_order_relaxed) > sysctl_ipfrag_high_thresh)
        evict();
    unsigned bucket = frag_bucket(key), depth;
    {
        spin_guard<bh> g{frag_lock};
        if (ipq *q = find_locked(key, bucket, &depth))
            return q;
    }
    if (depth > INETFRAGS_MAXDEPTH) {
        if (printk_ratelimit())
            pr_warn("inet_frag_find: Fragment hash bucket list length grew over limit %u. Dropping "
                    "fragment.\n",
                    INETFRAGS_MAXDEPTH);
        return nullptr;
    }
    auto *q = knew<ipq>(GFP_ATOMIC, key, expire);
    if (!q)
        return nullptr;
    frag_mem.fetch_add(sizeof(ipq), std::memory_order_relaxed);
    spin_guard<bh> g{frag_lock};
    if (ipq *other = find_locked(key, bucket, &depth)) {
        ipq_put(q, "");
        return other;
    }
    q->hash_next = frag_hash[bucket];
    frag_hash[bucket] = q;
    frag_lru->push_back(*q);
    nqueues.fetch_add(1);
    q->refcnt.get(); // the caller's
    q->refcnt.get(); // the timer's
    mod_timer(&q->timer, jiffies() + static_cast<u64>(sysctl_ipfrag_time) * HZ);
    return q;
}

void ipfrag_init()
{
    get_random_bytes(frag_key_secret, sizeof(frag_key_secret));
    frag_lru.init();
}

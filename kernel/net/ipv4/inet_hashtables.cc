// SPDX-License-Identifier: MIT
// The hash tables of connections and listeners, and the look-up of a segment's socket (Linux net/ipv4/inet_hashtables.c; atlas §8,
// §26.8; rows K-06, K-07, X-05…X-07). Readers are softirqs under RCU, without locks: a sock's memory stays for a grace period after
// its last reference, so a reader takes a reference only if there still is one, then looks again whether the key fits. Writers hold
// the chain's lock with BH off. Ports are in inet_hashtables_bind.cc.

#include "lib/random.h"
#include "mm/vmalloc.h"
#include "net/ipv4/tcp.h"

constinit inet_hashinfo tcp_hashinfo;
static u32 inet_ehash_secret;

u32 inet_ehashfn(be32 laddr, u16 lport, be32 faddr, be16 fport)
{
    return jhash_3words(laddr.raw, faddr.raw, u32{lport} << 16 | fport.raw, inet_ehash_secret);
}

static u32 inet_sk_ehashfn(const inet_sock *inet)
{
    return inet_ehashfn(inet->inet_rcv_saddr, inet->inet_num, inet->inet_daddr, inet->inet_dport);
}

static inet_connection_sock *by_node(hlist_nulls_node *n)
{
    return static_cast<inet_connection_sock *>(container_of(n, sock, sk_nulls_node));
}
static inet_timewait_sock *tw_by_node(hlist_nulls_node *n)
{
    return container_of(n, inet_timewait_sock, tw_nulls_node);
}

// --- Look-up ----------------------------------------------------------------------------------------

/// The key of a segment, seen from here.
struct segment_key {
    be32 saddr, daddr;
    be16 sport;
    u16 hnum;
    u32 dif;
    bool matches(const inet_sock *sk) const
    {
        return sk->inet_num == hnum && sk->inet_dport == sport && sk->inet_daddr == saddr &&
               sk->inet_rcv_saddr == daddr && (!sk->sk_bound_dev_if || sk->sk_bound_dev_if == dif);
    }
    bool matches(const inet_timewait_sock *tw) const
    {
        return tw->tw_num == hnum && tw->tw_dport == sport && tw->tw_daddr == saddr &&
               tw->tw_rcv_saddr == daddr && (!tw->tw_bound_dev_if || tw->tw_bound_dev_if == dif);
    }
};

/// What the two kinds of chains hold: the element of a node, its hash, its references.
struct connection_chain {
    using element = inet_connection_sock;
    static element *at(hlist_nulls_node *n) { return by_node(n); }
    static u32 hash(const element *sk) { return sk->sk_hash; }
    static refcount &refs(element *sk) { return sk->sk_refcnt; }
    static void put(element *sk) { sock_put(sk); }
};
struct time_wait_chain {
    using element = inet_timewait_sock;
    static element *at(hlist_nulls_node *n) { return tw_by_node(n); }
    static u32 hash(const element *tw) { return tw->tw_hash; }
    static refcount &refs(element *tw) { return tw->tw_refcnt; }
    static void put(element *tw) { inet_twsk_put(tw); }
};

/// Walk one chain for the first element of the key, and reference it; null: none. RCU.
template <class Chain>
static typename Chain::element *lookup_chain(const hlist_nulls_head &head, u32 hash,
                                             const segment_key &k, u32 *examined)
{
    for (;;) {
        auto *n = rcu_dereference(head.first);
        bool again = false;
        for (; !is_a_nulls(n); n = rcu_dereference(n->next)) {
            auto *x = Chain::at(n);
            ++*examined;
            if (Chain::hash(x) != hash || !k.matches(x))
                continue;
            if (!Chain::refs(x).get_unless_zero())
                return nullptr; // just ended
            if (k.matches(x)) [[likely]]
                return x;
            again = true; // it became another connection meanwhile
            Chain::put(x);
            break;
        }
        if (!again && get_nulls_value(n) == (hash & tcp_hashinfo.ehash_mask)) [[likely]]
            return nullptr;
    }
}

static void count_lookup(u32 examined)
{
    tcp_hashinfo.lookups.inc();
    tcp_hashinfo.examined.add(examined);
}

sock *inet_lookup_connection(be32 saddr, be16 sport, be32 daddr, u16 hnum, u32 dif)
{
    segment_key k{saddr, daddr, sport, hnum, dif};
    u32 hash = inet_ehashfn(daddr, hnum, saddr, sport);
    u32 examined = 0;
    sock *sk =
        lookup_chain<connection_chain>(inet_ehash_bucket_of(hash)->chain, hash, k, &examined);
    count_lookup(examined);
    return sk;
}

inet_lookup_result __inet_lookup_established(be32 saddr, be16 sport, be32 daddr, u16 hnum, u32 dif)
{
    segment_key k{saddr, daddr, sport, hnum, dif};
    u32 hash = inet_ehashfn(daddr, hnum, saddr, sport);
    u32 examined = 0;
    const inet_ehash_bucket *b = inet_ehash_bucket_of(hash);
    inet_lookup_result r;
    r.sk = lookup_chain<connection_chain>(b->chain, hash, k, &examined);
    if (!r.sk)
        r.tw = lookup_chain<time_wait_chain>(b->twchain, hash, k, &examined);
    count_lookup(examined);
    return r;
}

/// How well a listener fits: -1 not at all; 2 for the family, 4 more for the address and the device it insists on.
static int compute_score(const inet_sock *sk, u16 hnum, be32 daddr, u32 dif)
{
    if (sk->inet_num != hnum)
        return -1;
    int score = 2;
    if (sk->inet_rcv_saddr) {
        if (sk->inet_rcv_saddr != daddr)
            return -1;
        score += 4;
    }
    if (sk->sk_bound_dev_if) {
        if (sk->sk_bound_dev_if != dif)
            return -1;
        score += 4;
    }
    return score;
}

/// The best listener of a chain; among equals with SO_REUSEPORT one that depends on the 4-tuple only. RCU.
static inet_connection_sock *best_listener(const segment_key &k, u32 slot, int *hiscore)
{
    for (;;) {
        inet_connection_sock *best = nullptr;
        u32 matches = 0, phash = 0;
        *hiscore = 0;
        auto *n = rcu_dereference(tcp_hashinfo.listening_hash[slot].head.first);
        for (; !is_a_nulls(n); n = rcu_dereference(n->next)) {
            auto *sk = by_node(n);
            int score = compute_score(sk, k.hnum, k.daddr, k.dif);
            if (score > *hiscore) {
                best = sk;
                *hiscore = score;
                if (sk->sk_reuseport) {
                    phash = inet_ehashfn(k.daddr, k.hnum, k.saddr, k.sport);
                    matches = 1;
                }
            } else if (score == *hiscore && best && best->sk_reuseport) {
                matches++;
                if ((u64{phash} * matches) >> 32 == 0)
                    best = sk;
                phash = phash * 1664525 + 1013904223; // next pseudo-random number
            }
        }
        if (get_nulls_value(n) == slot) [[likely]]
            return best;
    }
}

sock *__inet_lookup_listener(be32 saddr, be16 sport, be32 daddr, u16 hnum, u32 dif)
{
    segment_key k{saddr, daddr, sport, hnum, dif};
    u32 slot = hnum & (INET_LHTABLE_SIZE - 1);
    for (;;) {
        int score;
        inet_connection_sock *sk = best_listener(k, slot, &score);
        if (!sk || !sk->sk_refcnt.get_unless_zero())
            return nullptr;
        if (compute_score(sk, hnum, daddr, dif) >= score) [[likely]]
            return sk;
        sock_put(sk);
    }
}

inet_lookup_result __inet_lookup(be32 saddr, be16 sport, be32 daddr, u16 hnum, u32 dif)
{
    inet_lookup_result r = __inet_lookup_established(saddr, sport, daddr, hnum, dif);
    if (!r)
        r.sk = __inet_lookup_listener(saddr, sport, daddr, hnum, dif);
    return r;
}

// --- Into the tables and out ------------------------------------------------------------------------

void __inet_hash_nolisten(sock *sk, inet_timewait_sock *tw)
{
    BUG_ON(sk->sk_nulls_node.hashed());
    sk->sk_hash = inet_sk_ehashfn(inet_sk(sk));
    bool drop = false;
    {
        spin_guard<plain> g{inet_ehash_lockp(sk->sk_hash)};
        hlist_nulls_add_head_rcu(&sk->sk_nulls_node, &inet_ehash_bucket_of(sk->sk_hash)->chain);
        if (tw) {
            BUG_ON(sk->sk_hash != tw->tw_hash);
            drop = inet_twsk_unhash(tw);
        }
    }
    sk->sk_prot->inuse.fetch_add(1, std::memory_order_relaxed);
    if (drop)
        inet_twsk_put(tw);
}

void inet_hash(sock *sk)
{
    if (sk->sk_state == TCP_CLOSE)
        return;
    bh_guard b;
    if (sk->sk_state != TCP_LISTEN) {
        __inet_hash_nolisten(sk, nullptr);
        return;
    }
    BUG_ON(sk->sk_nulls_node.hashed());
    inet_listen_hashbucket *head = inet_listen_bucket_of(inet_sk(sk)->inet_num);
    spin_guard<plain> g{head->lock};
    hlist_nulls_add_head_rcu(&sk->sk_nulls_node, &head->head);
    sk->sk_prot->inuse.fetch_add(1, std::memory_order_relaxed);
}

void inet_unhash(sock *sk)
{
    if (!sk->sk_nulls_node.hashed())
        return;
    spinlock &lock = sk->sk_state == TCP_LISTEN ? inet_listen_bucket_of(inet_sk(sk)->inet_num)->lock
                                                : inet_ehash_lockp(sk->sk_hash);
    spin_guard<bh> g{lock};
    if (!sk->sk_nulls_node.hashed())
        return;
    hlist_nulls_del_rcu(&sk->sk_nulls_node);
    sk->sk_prot->inuse.fetch_sub(1, std::memory_order_relaxed);
}

// --- Boot -------------------------------------------------------------------------------------------

/// Chains for established connections: one per 8 KiB of memory from 512 MiB on, one per 32 KiB below, a power of two, at most 512 Ki
/// (Linux alloc_large_system_hash with tcp_init's figures).
static u32 ehash_entries(u64 pages)
{
    u64 bytes = pages * PAGE_SIZE;
    constexpr u64 mib = 1 << 20;
    bytes = (bytes + mib - 1) / mib * mib;
    u64 want = bytes >> (pages >= 128 * 1024 ? 13 : 15);
    u32 n = 512;
    while (n < want && n < 512 * 1024)
        n <<= 1;
    return n;
}

static void *must_vzalloc(size_t bytes)
{
    void *p = vzalloc(bytes);
    if (!p)
        panic("tcp: no memory for the hash tables");
    return p;
}

void inet_hashinfo_init(u64 pages)
{
    inet_hashinfo &h = tcp_hashinfo;
    u32 n = ehash_entries(pages);
    h.ehash = static_cast<inet_ehash_bucket *>(must_vzalloc(n * sizeof(inet_ehash_bucket)));
    for (u32 i = 0; i < n; i++)
        new (&h.ehash[i]) inet_ehash_bucket{hlist_nulls_head{i}, hlist_nulls_head{i}};
    h.ehash_mask = n - 1;
    constexpr u32 locks = 1024;
    h.ehash_locks = static_cast<spinlock *>(must_vzalloc(locks * sizeof(spinlock)));
    for (u32 i = 0; i < locks; i++)
        new (&h.ehash_locks[i]) spinlock{"inet_ehash"};
    h.ehash_locks_mask = locks - 1;
    h.bhash_size = min(n, 64u * 1024);
    h.bhash = static_cast<inet_bind_hashbucket *>(
        must_vzalloc(h.bhash_size * sizeof(inet_bind_hashbucket)));
    for (u32 i = 0; i < h.bhash_size; i++)
        new (&h.bhash[i]) inet_bind_hashbucket{};
    h.listening_hash = static_cast<inet_listen_hashbucket *>(
        must_vzalloc(INET_LHTABLE_SIZE * sizeof(inet_listen_hashbucket)));
    for (u32 i = 0; i < INET_LHTABLE_SIZE; i++)
        new (&h.listening_hash[i]) inet_listen_hashbucket{i};
    h.bind_bucket_cachep = kmem_cache_create("tcp_bind_bucket", sizeof(inet_bind_bucket), 64);
    get_random_bytes(&inet_ehash_secret, sizeof inet_ehash_secret);
    pr_info("TCP: Hash tables configured (established %u bind %u)", n, h.bhash_size);
}

// SPDX-License-Identifier: MIT
// UDP's hash tables, ports and lookup (Linux net/ipv4/udp.c; rows U-01, U-03, K-06). Readers are softirqs under RCU, without locks;
// writers hold the slot's lock with BH off, first table before second.

#include "net/ipv4/udp.h"
#include "lib/random.h"
#include "mm/vmalloc.h"

constinit udp_table udp_table_;
static u32 udp_hash_secret;

static udp_hslot *udp_hashslot(u32 port)
{
    return &udp_table_.hash[port & udp_table_.mask];
}
static u32 udp4_portaddr_hash(be32 addr, u32 port)
{
    return jhash_3words(addr.raw, 0, 0, udp_hash_secret) ^ port;
}
static udp_hslot *udp_hashslot2(u32 hash)
{
    return &udp_table_.hash2[hash & udp_table_.mask];
}
static udp_sock *by_port(hlist_nulls_node *n)
{
    return udp_sk(container_of(n, sock, sk_nulls_node));
}
static udp_sock *by_addr(hlist_nulls_node *n)
{
    return udp_sk(container_of(n, sock, sk_portaddr_node));
}

// --- Ports ----------------------------------------------------------------------------------------

/// Bound addresses that overlap: equal, or one of them any.
static bool ipv4_rcv_saddr_equal(const inet_sock *a, const inet_sock *b)
{
    return !a->inet_rcv_saddr || !b->inet_rcv_saddr || a->inet_rcv_saddr == b->inet_rcv_saddr;
}

/// Whether two sockets may not have the same port: neither SO_REUSEADDR nor SO_REUSEPORT (same user) on both, no different
/// device, overlapping addresses.
static bool udp_conflict(const udp_sock *a, const udp_sock *b)
{
    return (!a->sk_reuse || !b->sk_reuse) &&
           (!a->sk_bound_dev_if || !b->sk_bound_dev_if ||
            a->sk_bound_dev_if == b->sk_bound_dev_if) &&
           (!a->sk_reuseport || !b->sk_reuseport || a->sk_uid != b->sk_uid) &&
           ipv4_rcv_saddr_equal(a, b);
}

/// Ports of one slot that are taken: bit = port >> log. At most 65536/256 of them.
struct port_bitmap {
    u64 word[4] = {};
    bool test(u32 n) const { return word[n / 64] >> (n % 64) & 1; }
    void set(u32 n) { word[n / 64] |= u64{1} << (n % 64); }
};

static bool udp_lport_inuse(u32 port, udp_hslot *slot, const udp_sock *up)
{
    for (auto *n = slot->head.first; !is_a_nulls(n); n = n->next) {
        const udp_sock *o = by_port(n);
        if (o != up && o->udp_port_hash == port && udp_conflict(o, up))
            return true;
    }
    return false;
}

/// Look for a free port in the local range, slot by slot from a random start. On success the slot is locked. BH off.
static udp_hslot *udp_pick_port(const udp_sock *up, u32 *port) NO_THREAD_SAFETY_ANALYSIS
{
    u32 low = static_cast<u32>(read_once(sysctl_local_port_range[0]));
    u32 high = static_cast<u32>(read_once(sysctl_local_port_range[1]));
    if (high < low)
        return nullptr;
    u32 rnd = prandom_u32();
    u32 first = static_cast<u32>((u64{rnd} * (high - low + 1)) >> 32) + low;
    // An odd multiple of the table size visits every port of the slot.
    u32 step = (rnd | 1) * (udp_table_.mask + 1);
    for (u32 i = 0; i <= udp_table_.mask; i++, first++) {
        udp_hslot *slot = udp_hashslot(first);
        slot->lock.lock();
        port_bitmap taken;
        for (auto *n = slot->head.first; !is_a_nulls(n); n = n->next)
            if (const udp_sock *o = by_port(n); o != up && udp_conflict(o, up))
                taken.set(o->udp_port_hash >> udp_table_.log);
        u16 p = static_cast<u16>(first), start = p;
        do {
            if (p >= low && p <= high && !taken.test(p >> udp_table_.log)) {
                *port = p;
                return slot;
            }
            p = static_cast<u16>(p + step);
        } while (p != start);
        slot->lock.unlock();
    }
    return nullptr;
}

/// Bind to `snum` (0: any free one) and hash; inet_rcv_saddr is set. EADDRINUSE. [P] socket lock held. Linux udp_lib_get_port.
static result<void> udp_v4_get_port(sock *sk, u16 snum) NO_THREAD_SAFETY_ANALYSIS
{
    udp_sock *up = udp_sk(sk);
    bh_guard g;
    u32 port = snum;
    udp_hslot *slot;
    if (!snum) {
        slot = udp_pick_port(up, &port);
        if (!slot)
            return error{EADDRINUSE};
    } else {
        slot = udp_hashslot(port);
        slot->lock.lock();
        if (udp_lport_inuse(port, slot, up)) {
            slot->lock.unlock();
            return error{EADDRINUSE};
        }
    }
    up->inet_num = up->udp_port_hash = static_cast<u16>(port);
    up->udp_portaddr_hash = udp4_portaddr_hash(up->inet_rcv_saddr, port);
    if (!up->sk_nulls_node.hashed()) {
        hlist_nulls_add_head_rcu(&up->sk_nulls_node, &slot->head);
        slot->count++;
        udp_prot.inuse.fetch_add(1, std::memory_order_relaxed);
        udp_hslot *slot2 = udp_hashslot2(up->udp_portaddr_hash);
        spin_guard<plain> g2{slot2->lock};
        hlist_nulls_add_head_rcu(&up->sk_portaddr_node, &slot2->head);
        slot2->count++;
    }
    slot->lock.unlock();
    return {};
}

static void udp_lib_unhash(sock *sk)
{
    udp_sock *up = udp_sk(sk);
    if (!up->sk_nulls_node.hashed())
        return;
    udp_hslot *slot = udp_hashslot(up->udp_port_hash),
              *slot2 = udp_hashslot2(up->udp_portaddr_hash);
    spin_guard<bh> g{slot->lock};
    if (!up->sk_nulls_node.hashed())
        return;
    hlist_nulls_del_rcu(&up->sk_nulls_node);
    slot->count--;
    up->inet_num = 0;
    udp_prot.inuse.fetch_sub(1, std::memory_order_relaxed);
    spin_guard<plain> g2{slot2->lock};
    hlist_nulls_del_rcu(&up->sk_portaddr_node);
    slot2->count--;
}

void udp_v4_rehash(sock *sk)
{
    udp_sock *up = udp_sk(sk);
    u32 hash = udp4_portaddr_hash(up->inet_rcv_saddr, up->inet_num);
    udp_hslot *old2 = udp_hashslot2(up->udp_portaddr_hash), *new2 = udp_hashslot2(hash);
    up->udp_portaddr_hash = hash;
    if (old2 == new2 || !up->sk_nulls_node.hashed())
        return;
    spin_guard<bh> g{udp_hashslot(up->udp_port_hash)->lock};
    {
        spin_guard<plain> g2{old2->lock};
        hlist_nulls_del_rcu(&up->sk_portaddr_node);
        old2->count--;
    }
    spin_guard<plain> g2{new2->lock};
    hlist_nulls_add_head_rcu(&up->sk_portaddr_node, &new2->head);
    new2->count++;
}

// --- Lookup -----------------------------------------------------------------------------------------

/// A packet's addresses as the lookup wants them.
struct udp_key {
    be32 saddr, daddr;
    be16 sport;
    u16 hnum;
    u32 dif;
};

/// How well a socket fits: -1 not at all; 2 for the family, 4 more for each of remote address, remote port, device that it
/// insists on; the local address is added by the caller.
static int udp_score(const udp_sock *up, const udp_key &k)
{
    int score = 2;
    if (up->inet_daddr) {
        if (up->inet_daddr != k.saddr)
            return -1;
        score += 4;
    }
    if (up->inet_dport) {
        if (up->inet_dport != k.sport)
            return -1;
        score += 4;
    }
    if (up->sk_bound_dev_if) {
        if (up->sk_bound_dev_if != k.dif)
            return -1;
        score += 4;
    }
    return score;
}
/// Linux compute_score: by the first table.
static int compute_score(const udp_sock *up, const udp_key &k)
{
    if (up->udp_port_hash != k.hnum)
        return -1;
    if (!up->inet_rcv_saddr)
        return udp_score(up, k);
    if (up->inet_rcv_saddr != k.daddr)
        return -1;
    int s = udp_score(up, k);
    return s < 0 ? s : s + 4;
}
/// Linux compute_score2: by the second table, for one bound address; that counts nothing.
static int compute_score2(const udp_sock *up, const udp_key &k, be32 bound)
{
    if (up->udp_port_hash != k.hnum || up->inet_rcv_saddr != bound)
        return -1;
    return udp_score(up, k);
}

/// The best of a chain; among equals with SO_REUSEPORT a pick that is the same for every packet of the flow.
struct udp_best {
    udp_sock *sk = nullptr;
    int badness = 0;
    u32 matches = 0, hash = 0;
    bool reuseport = false;
    void consider(udp_sock *up, int score, const udp_key &k)
    {
        if (score > badness) {
            sk = up;
            badness = score;
            reuseport = up->sk_reuseport;
            if (reuseport) {
                u32 ports = u32{k.hnum} << 16 | k.sport.raw;
                hash = jhash_3words(k.daddr.raw, k.saddr.raw, ports, udp_hash_secret);
                matches = 1;
            }
        } else if (score == badness && reuseport) {
            matches++;
            if ((u64{hash} * matches) >> 32 == 0)
                sk = up;
            hash = hash * 1664525 + 1013904223; // next pseudo-random number
        }
    }
};

/// Walk slot2's chain for sockets bound to `bound`. RCU.
static udp_sock *udp4_lib_lookup2(const udp_key &k, be32 bound, u32 *examined)
{
    u32 slot = udp4_portaddr_hash(bound, k.hnum) & udp_table_.mask;
    for (;;) {
        udp_best best;
        auto *n = rcu_dereference(udp_table_.hash2[slot].head.first);
        for (; !is_a_nulls(n); n = rcu_dereference(n->next)) {
            ++*examined;
            udp_sock *up = by_addr(n);
            best.consider(up, compute_score2(up, k, bound), k);
        }
        if (get_nulls_value(n) == slot) [[likely]]
            return best.sk;
    }
}

/// Walk the port's chain. RCU.
static udp_sock *udp4_lib_lookup1(const udp_key &k, u32 *examined)
{
    u32 slot = k.hnum & udp_table_.mask;
    for (;;) {
        udp_best best;
        auto *n = rcu_dereference(udp_table_.hash[slot].head.first);
        for (; !is_a_nulls(n); n = rcu_dereference(n->next)) {
            ++*examined;
            udp_sock *up = by_port(n);
            best.consider(up, compute_score(up, k), k);
        }
        if (get_nulls_value(n) == slot) [[likely]]
            return best.sk;
    }
}

/// The crowded case. False: the second table's chains are no shorter, use the first.
static bool udp4_lookup_crowded(const udp_key &k, u32 count, u32 *examined, udp_sock **found)
{
    if (count < udp_hashslot2(udp4_portaddr_hash(k.daddr, k.hnum))->count)
        return false;
    *found = udp4_lib_lookup2(k, k.daddr, examined);
    if (*found)
        return true;
    if (count < udp_hashslot2(udp4_portaddr_hash(INADDR_ANY, k.hnum))->count)
        return false;
    *found = udp4_lib_lookup2(k, INADDR_ANY, examined);
    return true;
}

sock *__udp4_lib_lookup(be32 saddr, be16 sport, be32 daddr, be16 dport, u32 dif, u32 trace_id)
{
    udp_key k{saddr, daddr, sport, ntohs(dport), dif};
    u32 examined = 0;
    udp_sock *found = nullptr;
    u32 count = read_once(udp_hashslot(k.hnum)->count);
    if (count <= UDP_CROWDED || !udp4_lookup_crowded(k, count, &examined, &found)) [[likely]]
        found = udp4_lib_lookup1(k, &examined);
    udp_table_.lookups.inc();
    udp_table_.examined.add(examined);
    trace(trace_event::udp_lookup, trace_id, static_cast<sock *>(found), examined);
    return found;
}

// --- The protocol -------------------------------------------------------------------------------------

static void udp_lib_close(sock *sk, s64)
{
    sk_common_release(sk);
}

static void udp_destroy_sock(sock *sk)
{
    bool slow = lock_sock_fast(sk);
    udp_flush_pending_frames(udp_sk(sk));
    unlock_sock_fast(sk, slow);
}

/// connect(AF_UNSPEC): forget the peer, and what bind() did not fix. Ping sockets use it too.
result<void> udp_disconnect(sock *sk, u32)
{
    inet_sock *inet = inet_sk(sk);
    sk->sk_state = TCP_CLOSE;
    inet->inet_daddr = be32{};
    inet->inet_dport = be16{};
    sk->sk_bound_dev_if = 0;
    if (!(sk->sk_userlocks & SOCK_BINDADDR_LOCK)) {
        inet->inet_rcv_saddr = inet->inet_saddr = be32{};
        if (sk->sk_prot->rehash)
            sk->sk_prot->rehash(sk);
    }
    if (!(sk->sk_userlocks & SOCK_BINDPORT_LOCK)) {
        sk->sk_prot->unhash(sk);
        inet->inet_sport = be16{};
    }
    sk_dst_reset(sk);
    return {};
}

static result<void> udp_setsockopt(sock *sk, int level, int name, user_ptr<const void> val,
                                   unsigned len)
{
    if (level != SOL_UDP)
        return ip_setsockopt(sk, level, name, val, len);
    int v;
    if (len < sizeof v)
        return error{EINVAL};
    TRY_VOID(copy_from_user(&v, val, sizeof v));
    if (name != UDP_CORK)
        return error{ENOPROTOOPT};
    udp_sock *up = udp_sk(sk);
    lock_sock(sk);
    up->corkflag = v != 0;
    if (!v)
        (void)udp_push_pending_frames(up); // an error shows in sk_err or counters, as in Linux
    release_sock(sk);
    return {};
}

static result<void> udp_getsockopt(sock *sk, int level, int name, user_ptr<void> val,
                                   user_ptr<int> optlen)
{
    if (level != SOL_UDP)
        return ip_getsockopt(sk, level, name, val, optlen);
    int len;
    TRY_VOID(get_user(len, optlen));
    if (len < 0)
        return error{EINVAL};
    if (name != UDP_CORK)
        return error{ENOPROTOOPT};
    len = min(len, static_cast<int>(sizeof(int)));
    int v = udp_sk(sk)->corkflag;
    TRY_VOID(put_user(optlen, len));
    return copy_to_user(val, &v, static_cast<size_t>(len));
}

static kmem_cache *udp_slab;

constinit proto udp_prot = {
    .name = "UDP",
    .close = udp_lib_close,
    .connect = ip4_datagram_connect,
    .disconnect = udp_disconnect,
    .destroy = udp_destroy_sock,
    .setsockopt = udp_setsockopt,
    .getsockopt = udp_getsockopt,
    .sendmsg = udp_sendmsg,
    .recvmsg = udp_recvmsg,
    .ioctl = udp_ioctl,
    .backlog_rcv = __udp_queue_rcv_skb,
    .unhash = udp_lib_unhash,
    .get_port = udp_v4_get_port,
    .rehash = udp_v4_rehash,
    .obj_size = sizeof(udp_sock),
    .slab = &udp_slab,
    .construct = [](void *mem) -> sock * { return new (mem) udp_sock; },
    .destruct = [](sock *sk) { udp_sk(sk)->~udp_sock(); },
    .symbol = "udp_prot",
    .filter_keeps = 8,
};

/// Linux: one slot per 2 MiB of memory, 256 to 65536.
void udp_init()
{
    u64 want = page_alloc_stats().total * PAGE_SIZE >> 21;
    u32 log = 8;
    while (log < 16 && (u64{1} << log) < want)
        log++;
    u32 n = u32{1} << log;
    size_t bytes = 2 * n * sizeof(udp_hslot);
    auto *slots = static_cast<udp_hslot *>(vzalloc(bytes));
    if (!slots)
        panic("udp_init: no memory for the hash tables");
    udp_table_.hash = slots;
    udp_table_.hash2 = slots + n;
    for (u32 i = 0; i < n; i++) {
        new (&udp_table_.hash[i]) udp_hslot{i, "udp_hslot"};
        new (&udp_table_.hash2[i]) udp_hslot{i, "udp_hslot2"};
    }
    udp_table_.mask = n - 1;
    udp_table_.log = log;
    get_random_bytes(&udp_hash_secret, sizeof udp_hash_secret);
    pr_info("UDP hash table entries: %u (order: %u, %zu bytes)", n, log, bytes);
}

// SPDX-License-Identifier: MIT
// Local ports of connections: buckets, and the choice of a port by connect (Linux net/ipv4/inet_hashtables.c __inet_hash_connect;
// atlas §14; rows C-02, C-03, C-06…C-09). A chain's lock is taken with BH off, before an ehash lock. bind() is in
// inet_connection_sock_port.cc.

#include "lib/random.h"
#include "net/ipv4/tcp.h"

inet_bind_bucket *inet_bind_bucket_find(inet_bind_hashbucket *head, u16 port)
{
    for (inet_bind_bucket *tb = head->chain; tb; tb = tb->next)
        if (tb->port == port)
            return tb;
    return nullptr;
}

inet_bind_bucket *inet_bind_bucket_create(inet_bind_hashbucket *head, u16 port)
{
    auto *tb = kmem_cache_new<inet_bind_bucket>(tcp_hashinfo.bind_bucket_cachep, GFP_ATOMIC);
    if (!tb)
        return nullptr;
    tb->port = port;
    tb->next = head->chain;
    tb->pprev = &head->chain;
    if (tb->next)
        tb->next->pprev = &tb->next;
    head->chain = tb;
    return tb;
}

void inet_bind_bucket_destroy(inet_bind_bucket *tb)
{
    if (tb->owners || tb->tw_owners)
        return;
    *tb->pprev = tb->next;
    if (tb->next)
        tb->next->pprev = tb->pprev;
    kmem_cache_delete(tcp_hashinfo.bind_bucket_cachep, tb);
}

void inet_bind_hash(sock *sk, inet_bind_bucket *tb, u16 port)
{
    inet_connection_sock *icsk = inet_csk(sk);
    tcp_hashinfo.bsockets.fetch_add(1, std::memory_order_relaxed);
    icsk->inet_num = port;
    icsk->icsk_bind_next = tb->owners;
    icsk->icsk_bind_pprev = &tb->owners;
    if (tb->owners)
        tb->owners->icsk_bind_pprev = &icsk->icsk_bind_next;
    tb->owners = icsk;
    tb->num_owners++;
    icsk->icsk_bind_hash = tb;
}

void inet_put_port(sock *sk)
{
    inet_connection_sock *icsk = inet_csk(sk);
    inet_bind_hashbucket *head = inet_bhash_of(icsk->inet_num);
    spin_guard<bh> g{head->lock};
    inet_bind_bucket *tb = icsk->icsk_bind_hash;
    if (!tb)
        return;
    tcp_hashinfo.bsockets.fetch_sub(1, std::memory_order_relaxed);
    *icsk->icsk_bind_pprev = icsk->icsk_bind_next;
    if (icsk->icsk_bind_next)
        icsk->icsk_bind_next->icsk_bind_pprev = icsk->icsk_bind_pprev;
    icsk->icsk_bind_next = nullptr;
    icsk->icsk_bind_pprev = nullptr;
    tb->num_owners--;
    icsk->icsk_bind_hash = nullptr;
    icsk->inet_num = 0;
    inet_bind_bucket_destroy(tb);
}

int __inet_inherit_port(sock *sk, sock *child)
{
    u16 port = inet_sk(child)->inet_num;
    inet_bind_hashbucket *head = inet_bhash_of(port);
    spin_guard<plain> g{head->lock};
    inet_bind_bucket *tb = inet_csk(sk)->icsk_bind_hash;
    if (!tb || tb->port != port)
        return -ENOENT;
    inet_bind_hash(child, tb, port);
    return 0;
}

// --- connect ----------------------------------------------------------------------------------------

/// Where the scan of ports starts for a destination (Linux secure_ipv4_port_ephemeral): keyed, so that nobody else can tell.
static u32 port_offset(const inet_sock *inet)
{
    static u64 key[2];
    if (!read_once(key[0])) [[unlikely]]
        get_random_bytes(key, sizeof key);
    struct {
        be32 saddr, daddr;
        u64 dport;
    } flow{inet->inet_rcv_saddr, inet->inet_daddr, inet->inet_dport.raw};
    return static_cast<u32>(siphash(&flow, sizeof flow, key));
}

/// Whether a TIME_WAIT connection with sk's addresses may give way to sk: its peer has timestamps to tell old segments by. `asked`:
/// the port was chosen for sk, then tcp_tw_reuse must allow it, after a second. sk goes on where it ended. Linux tcp_twsk_unique.
static bool twsk_unique(tcp_sock *tp, const inet_timewait_sock *tw, bool chosen)
{
    if (!tw->tw_ts_recent_stamp)
        return false;
    u64 age = jiffies() / HZ - tw->tw_ts_recent_stamp;
    if (chosen && !(read_once(sysctl_tcp_tw_reuse) && static_cast<s64>(age) > 1))
        return false;
    tp->write_seq = tw->tw_snd_nxt + 65535 + 2;
    if (!tp->write_seq)
        tp->write_seq = 1;
    tp->rx_opt.ts_recent = tw->tw_ts_recent;
    tp->rx_opt.ts_recent_stamp = tw->tw_ts_recent_stamp;
    return true;
}

static bool same_tuple(const inet_sock *a, const inet_sock *b, u16 port)
{
    return a->inet_num == port && a->inet_dport == b->inet_dport &&
           a->inet_daddr == b->inet_daddr && a->inet_rcv_saddr == b->inet_rcv_saddr &&
           (!a->sk_bound_dev_if || a->sk_bound_dev_if == b->sk_bound_dev_if);
}

/// The TIME_WAIT connection with sk's addresses and this port, or null. ehash lock held.
static inet_timewait_sock *find_tw(const inet_ehash_bucket *head, u32 hash, const inet_sock *inet,
                                   u16 port)
{
    for (auto *n = head->twchain.first; !is_a_nulls(n); n = n->next) {
        auto *tw = container_of(n, inet_timewait_sock, tw_nulls_node);
        if (tw->tw_hash == hash && tw->tw_num == port && tw->tw_dport == inet->inet_dport &&
            tw->tw_daddr == inet->inet_daddr && tw->tw_rcv_saddr == inet->inet_rcv_saddr &&
            (!tw->tw_bound_dev_if || tw->tw_bound_dev_if == inet->sk_bound_dev_if))
            return tw;
    }
    return nullptr;
}

/// Hash sk with `port` if no other connection has its four addresses; *tw: a TIME_WAIT one that gave way, referenced. BH off.
static bool inet_check_established(sock *sk, u16 port, bool chosen, inet_timewait_sock **out)
{
    inet_sock *inet = inet_sk(sk);
    u32 hash = inet_ehashfn(inet->inet_rcv_saddr, port, inet->inet_daddr, inet->inet_dport);
    inet_ehash_bucket *head = inet_ehash_bucket_of(hash);
    bool unhashed = false;
    {
        spin_guard<plain> g{inet_ehash_lockp(hash)};
        inet_timewait_sock *tw = find_tw(head, hash, inet, port);
        if (tw && !twsk_unique(tcp_sk(sk), tw, chosen))
            return false;
        if (!tw)
            for (auto *n = head->chain.first; !is_a_nulls(n); n = n->next) {
                const sock *o = container_of(n, sock, sk_nulls_node);
                if (o->sk_hash == hash && same_tuple(inet_sk(o), inet, port))
                    return false;
            }
        inet->inet_num = port;
        inet->inet_sport = htons(port);
        sk->sk_hash = hash;
        BUG_ON(sk->sk_nulls_node.hashed());
        hlist_nulls_add_head_rcu(&sk->sk_nulls_node, &head->chain);
        if (tw) {
            tw->tw_refcnt.get();
            unhashed = inet_twsk_unhash(tw);
            NET_INC_STATS(LINUX_MIB_TWRecycled);
        }
        *out = tw;
    }
    sk->sk_prot->inuse.fetch_add(1, std::memory_order_relaxed);
    if (unhashed)
        inet_twsk_put(*out);
    return true;
}

/// A TIME_WAIT connection gave way: it ends. BH off, no lock held.
static void kill_replaced(inet_timewait_sock *tw)
{
    if (!tw)
        return;
    inet_twsk_deschedule(tw);
    inet_twsk_put(tw);
}

/// Try one port: bucket free, or made by connects with other destinations. EADDRINUSE: next; ENOMEM. BH off.
static result<void> try_port(sock *sk, u16 port, inet_timewait_sock **tw)
{
    inet_bind_hashbucket *head = inet_bhash_of(port);
    spin_guard<plain> g{head->lock};
    inet_bind_bucket *tb = inet_bind_bucket_find(head, port);
    if (tb) {
        if (tb->fastreuse >= 0 || tb->fastreuseport >= 0)
            return error{EADDRINUSE}; // somebody bound it (row C-03)
        if (!inet_check_established(sk, port, true, tw))
            return error{EADDRINUSE};
    } else {
        tb = inet_bind_bucket_create(head, port);
        if (!tb)
            return error{ENOMEM};
        tb->fastreuse = tb->fastreuseport = -1;
    }
    inet_bind_hash(sk, tb, port);
    if (!sk->sk_nulls_node.hashed()) {
        inet_sk(sk)->inet_sport = htons(port);
        __inet_hash_nolisten(sk, nullptr);
    }
    if (*tw && inet_twsk_bind_unhash(*tw))
        inet_twsk_put(*tw);
    return {};
}

/// The port was bound already: alone on it, or its four addresses must be free.
static result<void> hash_bound(sock *sk)
{
    inet_connection_sock *icsk = inet_csk(sk);
    u16 port = icsk->inet_num;
    inet_bind_hashbucket *head = inet_bhash_of(port);
    inet_timewait_sock *tw = nullptr;
    bh_guard b;
    {
        spin_guard<plain> g{head->lock};
        inet_bind_bucket *tb = icsk->icsk_bind_hash;
        if (tb->owners == icsk && !icsk->icsk_bind_next && !tb->tw_owners) {
            __inet_hash_nolisten(sk, nullptr);
            return {};
        }
    }
    if (!inet_check_established(sk, port, false, &tw))
        return error{EADDRNOTAVAIL};
    kill_replaced(tw);
    return {};
}

result<void> inet_hash_connect(sock *sk)
{
    if (inet_sk(sk)->inet_num)
        return hash_bound(sk);
    static std::atomic<u32> hint;
    u32 low = static_cast<u32>(read_once(sysctl_local_port_range[0]));
    u32 high = static_cast<u32>(read_once(sysctl_local_port_range[1]));
    if (high < low)
        return error{EADDRNOTAVAIL};
    u32 remaining = high - low + 1;
    u32 offset = hint.load(std::memory_order_relaxed) + port_offset(inet_sk(sk));
    for (u32 i = 1; i <= remaining; i++) {
        auto port = static_cast<u16>(low + (i + offset) % remaining);
        if (inet_is_reserved_local_port(port))
            continue;
        inet_timewait_sock *tw = nullptr;
        bh_guard b;
        auto r = try_port(sk, port, &tw);
        tcp_hashinfo.port_tries.inc();
        if (r) {
            hint.fetch_add(i, std::memory_order_relaxed);
            kill_replaced(tw);
            return {};
        }
        if (r.err() == ENOMEM)
            break;
    }
    return error{EADDRNOTAVAIL};
}

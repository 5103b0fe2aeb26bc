// SPDX-License-Identifier: MIT
// bind() of a connection-oriented socket (Linux net/ipv4/inet_connection_sock.c inet_csk_get_port, inet_csk_bind_conflict; atlas §13;
// rows C-03, X-05). Process context, socket lock held; a chain of bhash is locked with BH off.

#include "lib/random.h"
#include "net/ipv4/tcp.h"

static bool same_or_any(be32 a, be32 b)
{
    return !a || !b || a == b;
}

/// Conflict of sk with another owner of the port. `relax`: two SO_REUSEADDR sockets on the same address are fine, as when the port was
/// asked for; when the kernel chooses it looks for a better one.
static bool conflicts(const sock *sk, be32 o_addr, u32 o_dev, bool o_reuse, bool o_listen,
                      bool o_reuseport_ok, bool relax)
{
    if (sk->sk_bound_dev_if && o_dev && sk->sk_bound_dev_if != o_dev)
        return false;
    bool both_reuse = sk->sk_reuse && o_reuse && !o_listen;
    bool overlap = same_or_any(inet_sk(sk)->inet_rcv_saddr, o_addr);
    if (!both_reuse && !(sk->sk_reuseport && o_reuseport_ok))
        return overlap;
    return !relax && both_reuse && overlap;
}

static bool inet_csk_bind_conflict(const sock *sk, const inet_bind_bucket *tb, bool relax)
{
    for (const inet_connection_sock *o = tb->owners; o; o = o->icsk_bind_next)
        if (o != sk &&
            conflicts(sk, o->inet_rcv_saddr, o->sk_bound_dev_if, o->sk_reuse,
                      o->sk_state == TCP_LISTEN, o->sk_reuseport && o->sk_uid == sk->sk_uid, relax))
            return true;
    for (const inet_timewait_sock *o = tb->tw_owners; o; o = o->tw_bind_next)
        if (conflicts(sk, o->tw_rcv_saddr, o->tw_bound_dev_if, o->tw_reuse, false, o->tw_reuseport,
                      relax))
            return true;
    return false;
}

static bool bucket_in_use(const inet_bind_bucket *tb)
{
    return tb->owners || tb->tw_owners;
}

/// The bucket's flags alone say that sk may join.
static bool fast_reuse(const sock *sk, const inet_bind_bucket *tb)
{
    return (tb->fastreuse > 0 && sk->sk_reuse && sk->sk_state != TCP_LISTEN) ||
           (tb->fastreuseport > 0 && sk->sk_reuseport &&
            tb->fastuid == static_cast<u32>(sk->sk_uid));
}

/// Join the bucket: its flags stay true for all owners. bhash lock held.
static void take_port(sock *sk, inet_bind_bucket *tb, u16 port)
{
    bool reuse = sk->sk_reuse && sk->sk_state != TCP_LISTEN;
    auto uid = static_cast<u32>(sk->sk_uid);
    if (!bucket_in_use(tb)) {
        tb->fastreuse = reuse;
        tb->fastreuseport = sk->sk_reuseport != 0;
        tb->fastuid = uid;
    } else {
        if (tb->fastreuse && !reuse)
            tb->fastreuse = 0;
        if (tb->fastreuseport && (!sk->sk_reuseport || tb->fastuid != uid))
            tb->fastreuseport = 0;
    }
    if (!inet_csk(sk)->icsk_bind_hash)
        inet_bind_hash(sk, tb, port);
}

/// What became of an attempt to have a port.
enum class attempt { taken, conflict, retry, nomem };

/// Bind to this port. `chosen`: the kernel chose it because its owners can share it, then it may have changed since (retry).
static attempt bind_to(sock *sk, u16 port, bool chosen)
{
    inet_bind_hashbucket *head = inet_bhash_of(port);
    spin_guard<bh> g{head->lock};
    inet_bind_bucket *tb = inet_bind_bucket_find(head, port);
    if (tb && bucket_in_use(tb)) {
        if ((chosen || !fast_reuse(sk, tb)) && inet_csk_bind_conflict(sk, tb, true))
            return chosen ? attempt::retry : attempt::conflict;
    } else if (!tb) {
        tb = inet_bind_bucket_create(head, port);
        if (!tb)
            return attempt::nomem;
    }
    take_port(sk, tb, port);
    return attempt::taken;
}

/// Look at one port for a socket that takes any: free, or shareable without conflict. Otherwise remember the least crowded port that
/// could be shared in an emergency.
static attempt try_any(sock *sk, u16 port, u32 range, int *smallest_size, u16 *smallest)
{
    inet_bind_hashbucket *head = inet_bhash_of(port);
    spin_guard<bh> g{head->lock};
    inet_bind_bucket *tb = inet_bind_bucket_find(head, port);
    if (!tb) {
        tb = inet_bind_bucket_create(head, port);
        if (!tb)
            return attempt::nomem;
    } else {
        bool crowded = false;
        if (fast_reuse(sk, tb) && (*smallest_size < 0 || tb->num_owners < *smallest_size)) {
            *smallest_size = tb->num_owners;
            *smallest = port;
            // More sockets than ports: sharing is no exception any more.
            crowded = static_cast<u32>(tcp_hashinfo.bsockets.load()) > range;
        }
        if (inet_csk_bind_conflict(sk, tb, crowded))
            return attempt::conflict;
    }
    take_port(sk, tb, port);
    return attempt::taken;
}

/// Any port of the local range, from a random start.
static result<void> get_any_port(sock *sk)
{
    u32 low = static_cast<u32>(read_once(sysctl_local_port_range[0]));
    u32 high = static_cast<u32>(read_once(sysctl_local_port_range[1]));
    if (high < low)
        return error{EADDRINUSE};
    u32 range = high - low + 1;
    for (int attempts = 5; attempts; attempts--) {
        int smallest_size = -1;
        u16 smallest = 0;
        u32 start = prandom_u32() % range;
        for (u32 i = 0; i < range; i++) {
            auto port = static_cast<u16>(low + (start + i) % range);
            if (inet_is_reserved_local_port(port))
                continue;
            attempt a = try_any(sk, port, range, &smallest_size, &smallest);
            if (a == attempt::taken)
                return {};
            if (a == attempt::nomem)
                return error{EADDRINUSE};
        }
        if (smallest_size < 0)
            break;
        attempt a = bind_to(sk, smallest, true);
        if (a == attempt::taken)
            return {};
        if (a != attempt::retry)
            break;
    }
    return error{EADDRINUSE};
}

result<void> inet_csk_get_port(sock *sk, u16 port)
{
    if (!port)
        return get_any_port(sk);
    if (bind_to(sk, port, false) != attempt::taken)
        return error{EADDRINUSE};
    return {};
}

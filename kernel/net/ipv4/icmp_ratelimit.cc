// SPDX-License-Identifier: MIT
// Token buckets per destination for ICMP errors (RFC 1812 §4.3.2.8). Linux: inet_peer_xrlim_allow
// over an AVL tree of peers; here a set-associative table, so that memory is fixed: a new
// destination takes the place of the longest idle one of its set. Any context but hard IRQ.

#include "lib/random.h"
#include "lib/spinlock.h"
#include "net/ipv4/icmp.h"

namespace
{
constexpr unsigned SETS = 256, WAYS = 4;
constexpr u64 XRLIM_BURST_FACTOR = 6;

struct peer {
    be32 addr{};
    u64 rate_last = 0; // jiffies; 0: free
    u64 rate_tokens = 0;
};
peer peers[SETS][WAYS];
u32 peer_rnd;
constinit spinlock peer_lock{"icmp_ratelimit"};

peer &find(be32 addr, u64 now)
{
    peer(&set)[WAYS] = peers[jhash_3words(addr.raw, 0, 0, peer_rnd) % SETS];
    peer *oldest = &set[0];
    for (peer &p : set) {
        if (p.addr == addr && p.rate_last)
            return p;
        if (p.rate_last < oldest->rate_last)
            oldest = &p;
    }
    oldest->addr = addr;
    oldest->rate_tokens = ~u64{0} >> 1; // full, whatever the burst is
    oldest->rate_last = now;
    return *oldest;
}
} // namespace

bool icmp_xrlim_allow(be32 daddr, u64 timeout)
{
    spin_guard<bh> g{peer_lock};
    if (!peer_rnd)
        peer_rnd = get_random_u32() | 1;
    u64 now = jiffies() + 1; // never 0
    peer &p = find(daddr, now);
    u64 tokens = p.rate_tokens + (now - p.rate_last);
    p.rate_last = now;
    tokens = min(tokens, XRLIM_BURST_FACTOR * timeout);
    bool ok = tokens >= timeout;
    if (ok)
        tokens -= timeout;
    p.rate_tokens = tokens;
    return ok;
}

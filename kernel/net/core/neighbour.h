// SPDX-License-Identifier: MIT
// Neighbours: link-layer addresses of next hops, learned and kept fresh by ARP (atlas §11.6, row
// T-05). Linux: include/net/neighbour.h, net/core/neighbour.c. Look-ups are lockless (RCU, BHs
// off); tbl->lock (BH) protects chains, n->lock (BH) an entry's state.
// Order: tbl->lock, then n->lock. Nothing is transmitted while either is held. An armed timer holds
// a reference of its entry.
#pragma once

#include "lib/random.h"
#include "net/core/dst.h"
#include "time/timer.h"

constexpr u8 NUD_NONE = 0, NUD_INCOMPLETE = 0x01, NUD_REACHABLE = 0x02, NUD_STALE = 0x04,
             NUD_DELAY = 0x08, NUD_PROBE = 0x10, NUD_FAILED = 0x20, NUD_NOARP = 0x40,
             NUD_PERMANENT = 0x80;
constexpr u8 NUD_IN_TIMER = NUD_INCOMPLETE | NUD_REACHABLE | NUD_DELAY | NUD_PROBE;
constexpr u8 NUD_VALID =
    NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY;
constexpr u8 NUD_CONNECTED = NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE;
constexpr u32 NEIGH_UPDATE_F_OVERRIDE = 1, NEIGH_UPDATE_F_WEAK_OVERRIDE = 2,
              NEIGH_UPDATE_F_ADMIN = 0x80000000;

struct neigh_table;
struct neighbour;

/// Room for a cached link-layer header, right-aligned, copied as two words.
constexpr unsigned HH_DATA_MOD = 16;
/// Headroom that a packet to `dev` needs before its network header.
inline u32 LL_RESERVED_SPACE(const net_device *dev)
{
    return (dev->hard_header_len & ~(HH_DATA_MOD - 1)) + HH_DATA_MOD;
}

/// A neighbour's timer, which finds its owner.
struct neigh_timer : timer_list {
    neighbour *n;
    neigh_timer(void (*f)(timer_list *), neighbour *o) : timer_list{f}, n{o} {}
};

/// One next hop on one device. Freed after a grace period when refcnt falls to 0.
struct neighbour : pinned {
    neighbour *next = nullptr; // chain, RCU
    neigh_table *tbl;
    net_device *dev; // referenced
    be32 primary_key;
    u8 nud_state = NUD_NONE;
    u8 type = 0; // rtn_type of the address
    bool dead = false;
    u16 hh_len = 0; // of the cached header; 0: none
    int (*output)(neighbour *n, sk_buff *skb);
    u32 ha_seq = 0; // odd while ha and hh change
    alignas(8) u8 ha[MAX_ADDR_LEN] = {};
    alignas(8) u8 hh[HH_DATA_MOD] = {};
    u64 confirmed, updated, used; // jiffies
    refcount refcnt;
    std::atomic<int> probes{0};
    spinlock lock{"neighbour.lock"};
    sk_buff_head arp_queue; // waiting for the address
    u32 arp_queue_len_bytes = 0;
    neigh_timer timer;
    struct : rcu_head {
        neighbour *n;
    } rcu;
    neighbour(neigh_table *t, net_device *d, be32 key);
};

/// Times in jiffies as sysctl shows them in seconds or ms.
struct neigh_parms {
    int base_reachable_time_ms = 30000, retrans_time_ms = 1000, delay_probe_time_s = 5,
        gc_stale_time_s = 60;
    int queue_len_bytes = 65536, ucast_probes = 3, mcast_probes = 3, app_probes = 0,
        locktime_ms = 1000;
    u64 reachable_time = 30 * HZ; // random around the base (RFC 4861 §6.3.2's habit)
};

struct neigh_statistics {
    u64 allocs, destroys, hash_grows, res_failed, lookups, hits, rcv_probes_mcast, rcv_probes_ucast,
        periodic_gc_runs, forced_gc_runs, unres_discards;
};

/// What makes a table ARP.
struct neigh_ops {
    /// Send a probe; skb: the first waiting packet or null. No lock held.
    void (*solicit)(neighbour *n, sk_buff *skb);
    /// A waiting packet cannot be sent: takes over the skb.
    void (*error_report)(neighbour *n, sk_buff *skb);
    /// Fill type, state and address of a new entry. 0 or -EINVAL.
    int (*constructor)(neighbour *n);
};

constexpr unsigned NEIGH_HASH = 256;
struct neigh_table : pinned {
    const char *id;
    const neigh_ops *ops;
    u16 protocol;
    neigh_parms parms;
    int gc_interval_s = 30, gc_thresh1 = 128, gc_thresh2 = 512, gc_thresh3 = 1024;
    u64 last_flush = 0, last_rand = 0;
    u32 hash_rnd = 0;
    std::atomic<int> entries{0};
    spinlock lock{"neigh_table.lock"};
    neighbour *hash[NEIGH_HASH] = {};
    timer_list gc_timer;
    neigh_table(const char *name, const neigh_ops *o, u16 proto);
};
extern percpu<neigh_statistics> neigh_stats;

/// Make the table live: random key, periodic collection. Boot.
void neigh_table_init(neigh_table *tbl);

inline u32 neigh_hash(const neigh_table *tbl, be32 key, const net_device *dev)
{
    u32 h = (key.raw ^ (dev->ifindex * 0x9e3779b1u)) * (tbl->hash_rnd | 1);
    return h >> 24;
}
/// Entry of (key, dev) without a reference: valid while BHs stay off. Null if there is none.
inline neighbour *neigh_lookup_noref(neigh_table *tbl, be32 key, const net_device *dev)
{
    neighbour *n = rcu_dereference(tbl->hash[neigh_hash(tbl, key, dev)]);
    for (; n; n = rcu_dereference(n->next))
        if (n->primary_key == key && n->dev == dev)
            return n;
    return nullptr;
}
/// The same with a reference, counted in the statistics.
neighbour *neigh_lookup(neigh_table *tbl, be32 key, net_device *dev);
/// New entry, or the one that somebody else made meanwhile; with a reference if want_ref. ENOBUFS
/// when the table is full. Any context.
result<neighbour *> neigh_create(neigh_table *tbl, be32 key, net_device *dev, bool want_ref);
void neigh_release(neighbour *n);

/// Send through the neighbour in whatever state it is: now, later or never. Takes over the skb.
/// [P][S]
int neigh_resolve_output(neighbour *n, sk_buff *skb);
/// The address is known and fresh.
int neigh_connected_output(neighbour *n, sk_buff *skb);
/// With the cached header if there is one.
int neigh_output(neighbour *n, sk_buff *skb);
/// Use of the entry: true when the packet was queued or dropped (taken over), false when it may be
/// sent at once.
bool neigh_event_send(neighbour *n, sk_buff *skb);
/// New knowledge about the neighbour (lladdr null: keep). 0 or -EPERM/-EINVAL. No lock held.
int neigh_update(neighbour *n, const u8 *lladdr, u8 state, u32 flags);
/// A request from (key, lladdr) was received: remember it as STALE. Referenced, or null.
neighbour *neigh_event_ns(neigh_table *tbl, const u8 *lladdr, be32 key, net_device *dev);
/// The device goes down or changes its address: forget its entries.
void neigh_ifdown(neigh_table *tbl, net_device *dev);
void neigh_changeaddr(neigh_table *tbl, net_device *dev);
/// Snapshot for the views: calls f for every entry, referenced, no lock held.
void neigh_for_each(neigh_table *tbl, void (*f)(neighbour *, void *), void *arg);
const char *nud_name(u8 state);
/// Tell listeners of netlink about an entry. Any context but hard IRQ; n->lock may be held. neighbour_netlink.cc
void neigh_notify(const neighbour *n);

// neighbour.cc and neighbour_output.cc only:
/// (Re)arm the timer; takes a reference when it was not armed. n->lock.
void neigh_add_timer(neighbour *n, u64 when);
bool neigh_del_timer(neighbour *n);
/// Change the state with its trace. n->lock.
void neigh_set_state(neighbour *n, u8 state);
/// Choose n->output by state. n->lock.
void neigh_suspect(neighbour *n);
void neigh_connect(neighbour *n);
/// Drop the waiting packets as undeliverable; unlocks and relocks n->lock (held, BHs off).
void neigh_invalidate(neighbour *n);
/// Ask; unlocks n->lock, which is held.
void neigh_probe(neighbour *n) RELEASE(n->lock);
void neigh_timer_handler(timer_list *t);

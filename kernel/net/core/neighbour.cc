// SPDX-License-Identifier: MIT
// The neighbour table: entries, look-up, garbage collection. Linux: net/core/neighbour.c. Contexts
// and locks: neighbour.h. Memory is bounded: at most gc_thresh3 entries, at most queue_len_bytes of
// waiting packets each.

#include "net/core/neighbour.h"
#include "lib/printk.h"
#include "mm/slab.h"
#include "trace/trace.h"

constinit percpu<neigh_statistics> neigh_stats;

static neigh_table *gc_table; // the table of gc_timer
static kmem_cache *neigh_cache;

static void neigh_periodic_work(timer_list *t);

neighbour::neighbour(neigh_table *t, net_device *d, be32 key)
    : tbl{t}, dev{d}, primary_key{key}, output{neigh_resolve_output}, timer{neigh_timer_handler,
                                                                            this}
{
    u64 now = jiffies();
    confirmed = updated = used = now;
    rcu.n = this;
}

neigh_table::neigh_table(const char *name, const neigh_ops *o, u16 proto)
    : id{name}, ops{o}, protocol{proto}, gc_timer{neigh_periodic_work}
{
}

/// Uniform in [½ base, 1½ base).
static u64 rand_reach_time(u64 base)
{
    return base ? prandom_u32() % base + (base >> 1) : 0;
}

void neigh_table_init(neigh_table *tbl)
{
    if (!neigh_cache)
        neigh_cache = kmem_cache_create("arp_cache", sizeof(neighbour), 64);
    get_random_bytes(&tbl->hash_rnd, sizeof(tbl->hash_rnd));
    tbl->last_flush = tbl->last_rand = jiffies();
    tbl->parms.reachable_time =
        rand_reach_time(static_cast<u64>(tbl->parms.base_reachable_time_ms));
    gc_table = tbl;
    mod_timer(&tbl->gc_timer, jiffies() + static_cast<u64>(tbl->parms.base_reachable_time_ms) / 2);
}

static void neigh_free_rcu(rcu_head *h)
{
    neighbour *n = static_cast<decltype(neighbour::rcu) *>(h)->n;
    dev_put(n->dev);
    kmem_cache_delete(neigh_cache, n);
}

void neigh_release(neighbour *n)
{
    if (!n || !n->refcnt.put())
        return;
    BUG_ON(!n->dead);
    neigh_stats->destroys++;
    __skb_queue_purge(&n->arp_queue);
    n->tbl->entries.fetch_sub(1);
    call_rcu(&n->rcu, neigh_free_rcu);
}

neighbour *neigh_lookup(neigh_table *tbl, be32 key, net_device *dev)
{
    bh_guard b;
    neigh_stats->lookups++;
    neighbour *n = neigh_lookup_noref(tbl, key, dev);
    if (!n || !n->refcnt.get_unless_zero())
        return nullptr;
    neigh_stats->hits++;
    return n;
}

/// Take an entry off its chain: *pp == n. Drops the table's reference. tbl->lock.
static void unlink_entry(neighbour **pp, neighbour *n)
{
    rcu_assign_pointer(*pp, n->next);
    {
        spin_guard<plain> g{n->lock};
        n->dead = true;
        neigh_del_timer(n);
    }
    neigh_release(n);
}

/// Free entries that nobody refers to; `stale_only`: those not used for a while. Returns how many.
/// tbl->lock.
static int shrink(neigh_table *tbl, bool stale_only)
{
    int freed = 0;
    u64 now = jiffies(), stale = static_cast<u64>(tbl->parms.gc_stale_time_s) * HZ;
    for (neighbour *&head : tbl->hash) {
        for (neighbour **pp = &head; *pp;) {
            neighbour *n = *pp;
            u8 state = n->nud_state;
            bool busy = n->refcnt.read() != 1 || (state & NUD_PERMANENT);
            u64 used = time_after(n->confirmed, n->used) ? n->confirmed : n->used;
            if (stale_only &&
                ((state & NUD_IN_TIMER) || (state != NUD_FAILED && !time_after(now, used + stale))))
                busy = true;
            if (busy) {
                pp = &n->next;
                continue;
            }
            unlink_entry(pp, n);
            freed++;
        }
    }
    return freed;
}

/// Make room in a table that is (nearly) full. False: cannot.
static bool make_room(neigh_table *tbl)
{
    int entries = tbl->entries.load();
    u64 now = jiffies();
    if (entries < tbl->gc_thresh2 ||
        (entries < tbl->gc_thresh3 && !time_after(now, tbl->last_flush + 5 * HZ)))
        return true;
    neigh_stats->forced_gc_runs++;
    spin_guard<bh> g{tbl->lock};
    tbl->last_flush = now;
    shrink(tbl, false);
    return tbl->entries.load() < tbl->gc_thresh3;
}

static neighbour *neigh_alloc(neigh_table *tbl, be32 key, net_device *dev)
{
    if (!make_room(tbl)) {
        if (printk_ratelimit())
            pr_warn("%s: neighbour table overflow\n", tbl->id);
        return nullptr;
    }
    auto *n = kmem_cache_new<neighbour>(neigh_cache, GFP_ATOMIC, tbl, dev, key);
    if (!n)
        return nullptr;
    dev_hold(dev);
    tbl->entries.fetch_add(1);
    neigh_stats->allocs++;
    return n;
}

result<neighbour *> neigh_create(neigh_table *tbl, be32 key, net_device *dev, bool want_ref)
{
    neighbour *n = neigh_alloc(tbl, key, dev);
    if (!n)
        return error{ENOBUFS};
    if (tbl->ops->constructor(n)) {
        n->dead = true;
        neigh_release(n);
        return error{EINVAL};
    }
    n->confirmed = jiffies() - (tbl->parms.reachable_time << 1);
    spin_guard<bh> g{tbl->lock};
    if (neighbour *other = neigh_lookup_noref(tbl, key, dev)) {
        n->dead = true;
        neigh_release(n);
        if (want_ref)
            other->refcnt.get();
        return other;
    }
    neighbour *&head = tbl->hash[neigh_hash(tbl, key, dev)];
    n->next = head;
    if (want_ref)
        n->refcnt.get();
    rcu_assign_pointer(head, n);
    return n;
}

/// [T] Drop what has been idle, and draw a new reachable time every five minutes.
static void neigh_periodic_work(timer_list *t)
{
    neigh_table *tbl = gc_table;
    u64 now = jiffies();
    {
        spin_guard<bh> g{tbl->lock};
        neigh_stats->periodic_gc_runs++;
        if (time_after(now, tbl->last_rand + 300 * HZ)) {
            tbl->last_rand = now;
            tbl->parms.reachable_time =
                rand_reach_time(static_cast<u64>(tbl->parms.base_reachable_time_ms));
        }
        if (tbl->entries.load() >= tbl->gc_thresh1)
            shrink(tbl, true);
    }
    mod_timer(t, now + static_cast<u64>(max(tbl->parms.base_reachable_time_ms, 1000)) / 2);
}

/// Unlink every entry of a device; those still referenced die with their last reference and send
/// nowhere.
static void flush_dev(neigh_table *tbl, net_device *dev)
{
    spin_guard<bh> g{tbl->lock};
    for (neighbour *&head : tbl->hash) {
        for (neighbour **pp = &head; *pp;) {
            neighbour *n = *pp;
            if (n->dev != dev) {
                pp = &n->next;
                continue;
            }
            {
                spin_guard<plain> l{n->lock};
                __skb_queue_purge(&n->arp_queue);
                n->arp_queue_len_bytes = 0;
                n->output = neigh_resolve_output;
                neigh_set_state(n, n->nud_state & NUD_VALID ? NUD_NOARP : NUD_NONE);
            }
            unlink_entry(pp, n);
        }
    }
}

void neigh_ifdown(neigh_table *tbl, net_device *dev)
{
    flush_dev(tbl, dev);
}
void neigh_changeaddr(neigh_table *tbl, net_device *dev)
{
    flush_dev(tbl, dev);
}

void neigh_for_each(neigh_table *tbl, void (*f)(neighbour *, void *), void *arg)
{
    for (unsigned b = 0; b < NEIGH_HASH; b++) {
        neighbour *batch[32];
        unsigned n = 0, skip = 0;
        do {
            n = 0;
            {
                spin_guard<bh> g{tbl->lock};
                unsigned at = 0;
                for (neighbour *e = tbl->hash[b]; e && n < 32; e = e->next, at++) {
                    if (at < skip)
                        continue;
                    e->refcnt.get();
                    batch[n++] = e;
                }
            }
            for (unsigned i = 0; i < n; i++) {
                f(batch[i], arg);
                neigh_release(batch[i]);
            }
            skip += n;
        } while (n == 32);
    }
}

const char *nud_name(u8 state)
{
    switch (state) {
    case NUD_INCOMPLETE:
        return "INCOMPLETE";
    case NUD_REACHABLE:
        return "REACHABLE";
    case NUD_STALE:
        return "STALE";
    case NUD_DELAY:
        return "DELAY";
    case NUD_PROBE:
        return "PROBE";
    case NUD_FAILED:
        return "FAILED";
    case NUD_NOARP:
        return "NOARP";
    case NUD_PERMANENT:
        return "PERMANENT";
    default:
        return "NONE";
    }
}

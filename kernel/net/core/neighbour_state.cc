// SPDX-License-Identifier: MIT
// The neighbour state machine (atlas §11.6, row T-05): probing, time-outs, new knowledge. Linux:
// net/core/neighbour.c neigh_timer_handler, __neigh_event_send, neigh_update. Softirq or process
// context; n->lock (BH) per entry.

#include "lib/printk.h"
#include "net/core/neighbour.h"
#include "net/ethernet/eth.h"
#include "trace/trace.h"

void neigh_set_state(neighbour *n, u8 state)
{
    if (n->nud_state == state)
        return;
    trace(trace_event::neigh_update, n->primary_key.raw, n->nud_state, state, n->dev->name);
    write_once(n->nud_state, state);
}

void neigh_suspect(neighbour *n)
{
    n->output = neigh_resolve_output;
}
void neigh_connect(neighbour *n)
{
    n->output = neigh_connected_output;
}

void neigh_add_timer(neighbour *n, u64 when)
{
    n->refcnt.get();
    if (mod_timer(&n->timer, when))
        BUG_ON(n->refcnt.put()); // it was armed and has its reference already
}

bool neigh_del_timer(neighbour *n)
{
    if (!del_timer(&n->timer))
        return false;
    BUG_ON(n->refcnt.put());
    return true;
}

void neigh_invalidate(neighbour *n)
{
    neigh_stats->res_failed++;
    n->updated = jiffies();
    // error_report may come back here (it sends ICMP to ourselves), so not with the lock.
    while (n->nud_state == NUD_FAILED) {
        sk_buff *skb = __skb_dequeue(&n->arp_queue);
        if (!skb)
            break;
        n->lock.unlock();
        n->tbl->ops->error_report(n, skb);
        n->lock.lock();
    }
    __skb_queue_purge(&n->arp_queue);
    n->arp_queue_len_bytes = 0;
}

void neigh_probe(neighbour *n) NO_THREAD_SAFETY_ANALYSIS
{
    // A copy of the packet's header view: the queue may change once the lock is gone.
    sk_buff *skb = skb_peek(&n->arp_queue);
    if (skb)
        skb = skb_clone(skb, GFP_ATOMIC);
    n->lock.unlock();
    n->tbl->ops->solicit(n, skb);
    n->probes.fetch_add(1);
    if (skb)
        consume_skb(skb);
}

static int neigh_max_probes(const neighbour *n)
{
    const neigh_parms &p = n->tbl->parms;
    return n->nud_state & NUD_PROBE ? p.ucast_probes
                                    : p.ucast_probes + p.app_probes + p.mcast_probes;
}

/// What becomes of REACHABLE and DELAY entries when their time is up; returns the next expiry.
/// n->lock.
static u64 age_entry(neighbour *n, u64 now)
{
    const neigh_parms &p = n->tbl->parms;
    u64 delay = static_cast<u64>(p.delay_probe_time_s) * HZ;
    if (n->nud_state & NUD_REACHABLE) {
        if (!time_after(now, n->confirmed + p.reachable_time))
            return n->confirmed + p.reachable_time;
        n->updated = now;
        neigh_suspect(n);
        if (!time_after(now, n->used + delay)) {
            neigh_set_state(n, NUD_DELAY);
            return now + delay;
        }
        neigh_set_state(n, NUD_STALE);
        return now;
    }
    if (n->nud_state & NUD_DELAY) {
        n->updated = now;
        if (!time_after(now, n->confirmed + delay)) {
            neigh_set_state(n, NUD_REACHABLE);
            neigh_connect(n);
            return n->confirmed + p.reachable_time;
        }
        neigh_set_state(n, NUD_PROBE);
        n->probes.store(0);
        return now + static_cast<u64>(p.retrans_time_ms);
    }
    return now + static_cast<u64>(p.retrans_time_ms); // PROBE, INCOMPLETE
}

/// [T] The reference that the armed timer held is ours.
void neigh_timer_handler(timer_list *t) NO_THREAD_SAFETY_ANALYSIS
{
    neighbour *n = static_cast<neigh_timer *>(t)->n;
    n->lock.lock();
    u64 now = jiffies();
    if (!(n->nud_state & NUD_IN_TIMER) || n->dead) {
        n->lock.unlock();
        neigh_release(n);
        return;
    }
    u64 next = age_entry(n, now);
    if ((n->nud_state & (NUD_INCOMPLETE | NUD_PROBE)) && n->probes.load() >= neigh_max_probes(n)) {
        neigh_set_state(n, NUD_FAILED);
        neigh_invalidate(n);
        neigh_notify(n);
    }
    if (n->nud_state & NUD_IN_TIMER)
        neigh_add_timer(n, time_after(now + HZ / 2, next) ? now + HZ / 2 : next);
    if (n->nud_state & (NUD_INCOMPLETE | NUD_PROBE))
        neigh_probe(n); // unlocks
    else
        n->lock.unlock();
    neigh_release(n);
}

/// Park a packet until the address is known; the oldest make room. n->lock.
static void queue_unresolved(neighbour *n, sk_buff *skb)
{
    u32 limit = static_cast<u32>(n->tbl->parms.queue_len_bytes);
    while (n->arp_queue_len_bytes + skb->truesize > limit) {
        sk_buff *old = __skb_dequeue(&n->arp_queue);
        if (!old)
            break;
        n->arp_queue_len_bytes -= old->truesize;
        neigh_stats->unres_discards++;
        kfree_skb_reason(old, "neigh_queuefull");
    }
    __skb_queue_tail(&n->arp_queue, skb);
    n->arp_queue_len_bytes += skb->truesize;
}

bool neigh_event_send(neighbour *n, sk_buff *skb) NO_THREAD_SAFETY_ANALYSIS
{
    u64 now = jiffies();
    write_once(n->used, now);
    if (n->nud_state & (NUD_CONNECTED | NUD_DELAY | NUD_PROBE))
        return false;
    local_bh_disable();
    n->lock.lock();
    bool queued = false, probe = false;
    const neigh_parms &p = n->tbl->parms;
    if (n->dead) {
        // Its device is going away.
        if (skb)
            kfree_skb_reason(skb, "neigh_failed");
        queued = true;
    } else if (!(n->nud_state & (NUD_VALID | NUD_INCOMPLETE))) { // NONE, FAILED: ask now
        n->probes.store(p.ucast_probes);
        neigh_set_state(n, NUD_INCOMPLETE);
        n->updated = now;
        neigh_add_timer(n, now + max<u64>(static_cast<u64>(p.retrans_time_ms), HZ / 2));
        probe = true;
    } else if (n->nud_state & NUD_STALE) { // use it, and see whether somebody confirms
        neigh_set_state(n, NUD_DELAY);
        n->updated = now;
        neigh_add_timer(n, now + static_cast<u64>(p.delay_probe_time_s) * HZ);
    }
    if (!n->dead && n->nud_state == NUD_INCOMPLETE) {
        if (skb)
            queue_unresolved(n, skb);
        queued = true;
    }
    if (probe)
        neigh_probe(n); // unlocks
    else
        n->lock.unlock();
    local_bh_enable();
    return queued;
}

/// Store a new address and rebuild the cached header. n->lock; readers see ha_seq change.
static void set_lladdr(neighbour *n, const u8 *lladdr)
{
    write_once(n->ha_seq, n->ha_seq + 1);
    smp_wmb();
    memcpy(n->ha, lladdr, n->dev->addr_len);
    if (n->hh_len)
        memcpy(n->hh + HH_DATA_MOD - n->hh_len, lladdr, ETH_ALEN); // destination comes first
    smp_wmb();
    write_once(n->ha_seq, n->ha_seq + 1);
}

/// Send what waited. n->lock held, dropped meanwhile.
static void flush_queue(neighbour *n)
{
    while (n->nud_state & NUD_VALID) {
        sk_buff *skb = __skb_dequeue(&n->arp_queue);
        if (!skb)
            break;
        n->arp_queue_len_bytes -= skb->truesize;
        n->lock.unlock();
        neigh_output(n, skb);
        n->lock.lock();
    }
    __skb_queue_purge(&n->arp_queue);
    n->arp_queue_len_bytes = 0;
}

/// Decide on state and address by what was there. True: go on with the (possibly adjusted) values.
/// n->lock.
static bool accept_update(neighbour *n, const u8 **lladdr, u8 *state, u32 flags)
{
    u8 old = n->nud_state;
    bool same = (old & NUD_VALID) && !memcmp(*lladdr, n->ha, n->dev->addr_len);
    if (same) {
        *lladdr = n->ha;
    } else if ((old & NUD_VALID) && !(flags & NEIGH_UPDATE_F_OVERRIDE)) {
        if (!((flags & NEIGH_UPDATE_F_WEAK_OVERRIDE) && (old & NUD_CONNECTED)))
            return false; // keep what we have for locktime
        *lladdr = n->ha;
        *state = NUD_STALE;
    }
    if (*state & NUD_CONNECTED)
        n->confirmed = jiffies();
    n->updated = jiffies();
    if ((old & NUD_VALID) && same && *state == NUD_STALE && (old & NUD_CONNECTED))
        *state = old; // no reason to doubt a confirmed entry
    return true;
}

int neigh_update(neighbour *n, const u8 *lladdr, u8 state, u32 flags)
{
    spin_guard<bh> g{n->lock};
    u8 old = n->nud_state;
    if (!(flags & NEIGH_UPDATE_F_ADMIN) && (old & (NUD_NOARP | NUD_PERMANENT)))
        return -EPERM;
    if (n->dead)
        return -EINVAL;
    if (!(state & NUD_VALID)) {
        neigh_del_timer(n);
        if (old & NUD_CONNECTED)
            neigh_suspect(n);
        neigh_set_state(n, state);
        if ((old & (NUD_INCOMPLETE | NUD_PROBE)) && (state & NUD_FAILED))
            neigh_invalidate(n);
        if (state != old)
            neigh_notify(n);
        return 0;
    }
    if (!lladdr) {
        if (!(old & NUD_VALID))
            return -EINVAL;
        lladdr = n->ha;
    }
    if (n->dev->addr_len && !accept_update(n, &lladdr, &state, flags))
        return 0;
    if (state != old) {
        neigh_del_timer(n);
        if (state & NUD_IN_TIMER)
            neigh_add_timer(n,
                            jiffies() + (state & NUD_REACHABLE ? n->tbl->parms.reachable_time : 0));
        neigh_set_state(n, state);
    }
    if (lladdr != n->ha) {
        set_lladdr(n, lladdr);
        if (!(state & NUD_CONNECTED))
            n->confirmed =
                jiffies() - (static_cast<u64>(n->tbl->parms.base_reachable_time_ms) << 1);
    }
    if (state & NUD_CONNECTED)
        neigh_connect(n);
    else
        neigh_suspect(n);
    if (state != old || lladdr != n->ha)
        neigh_notify(n);
    if (!(old & NUD_VALID))
        flush_queue(n);
    return 0;
}

neighbour *neigh_event_ns(neigh_table *tbl, const u8 *lladdr, be32 key, net_device *dev)
{
    neighbour *n = neigh_lookup(tbl, key, dev);
    if (!n) {
        auto r = neigh_create(tbl, key, dev, true);
        if (!r)
            return nullptr;
        n = *r;
    }
    neigh_update(n, lladdr, NUD_STALE, NEIGH_UPDATE_F_OVERRIDE);
    return n;
}

// --- Output --------------------------------------------------------------------------------------

/// Remember the header that was just built in front of skb. n->lock not held; BH off.
static void neigh_hh_init(neighbour *n)
{
    spin_guard<bh> g{n->lock};
    if (n->hh_len || n->dev->header_ops != &eth_header_ops)
        return;
    auto *eth = reinterpret_cast<ethhdr *>(n->hh + HH_DATA_MOD - ETH_HLEN);
    eth->h_proto = htons(n->tbl->protocol);
    memcpy(eth->h_source, n->dev->dev_addr, ETH_ALEN);
    memcpy(eth->h_dest, n->ha, ETH_ALEN);
    smp_wmb();
    write_once(n->hh_len, static_cast<u16>(ETH_HLEN));
}

/// Address as of one moment, while updates go on.
static void read_ha(const neighbour *n, u8 *ha)
{
    u32 seq;
    do {
        while ((seq = read_once(n->ha_seq)) & 1)
            cpu_relax();
        smp_rmb();
        memcpy(ha, n->ha, MAX_ADDR_LEN);
        smp_rmb();
    } while (read_once(n->ha_seq) != seq);
}

int neigh_connected_output(neighbour *n, sk_buff *skb)
{
    u8 ha[MAX_ADDR_LEN];
    if (!n->hh_len)
        neigh_hh_init(n);
    read_ha(n, ha);
    if (skb_cow_head(skb, LL_RESERVED_SPACE(n->dev))) {
        kfree_skb_reason(skb, "nomem");
        return -ENOMEM;
    }
    if (dev_hard_header(skb, n->dev, skb->protocol.host(), ha, nullptr, skb->len) < 0) {
        kfree_skb_reason(skb, "dev_hdr");
        return -EINVAL;
    }
    return dev_queue_xmit(skb);
}

int neigh_resolve_output(neighbour *n, sk_buff *skb)
{
    return neigh_event_send(n, skb) ? 0 : neigh_connected_output(n, skb);
}

int neigh_output(neighbour *n, sk_buff *skb)
{
    if (!(n->nud_state & NUD_CONNECTED) || !n->hh_len || skb_headroom(skb) < HH_DATA_MOD)
        return n->output(n, skb);
    u8 *to = skb->data - HH_DATA_MOD;
    u32 seq;
    do {
        while ((seq = read_once(n->ha_seq)) & 1)
            cpu_relax();
        smp_rmb();
        __builtin_memcpy(to, n->hh, HH_DATA_MOD);
        smp_rmb();
    } while (read_once(n->ha_seq) != seq);
    skb_push(skb, ETH_HLEN);
    return dev_queue_xmit(skb);
}

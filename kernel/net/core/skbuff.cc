// SPDX-License-Identifier: MIT
// Life of an sk_buff: allocation, clones, references, release. Linux: net/core/skbuff.c.
// Any context (GFP_ATOMIC outside process context). Nothing here takes a lock; the receive fragment
// cache is per CPU with IRQs off. The last kfree_skb()/consume_skb() frees: destructor, route,
// fragments, data, head, in that order.

#include "net/core/skbuff.h"
#include "lib/percpu.h"
#include "lib/printk.h"
#include "mm/kasan.h"
#include "mm/slab.h"
#include "net/core/dst.h"
#include "net/core/netdevice.h"
#include "net/core/skbuff_internal.h"
#include "trace/trace.h"

static_assert(SKB_TRUESIZE(256) == 832, "Linux's rmem_default is 256 of these");

namespace
{
kmem_cache *skbuff_head_cache, *skbuff_fclone_cache;

/// sk_buff::fclone: how the head was allocated.
enum : u8 { SKB_FCLONE_UNAVAILABLE, SKB_FCLONE_ORIG, SKB_FCLONE_CLONE };

/// One object of skbuff_fclone_cache: an skb and the memory of its first clone.
struct fclone_pair {
    alignas(sk_buff) u8 orig[sizeof(sk_buff)];
    alignas(sk_buff) u8 clone[sizeof(sk_buff)];
    std::atomic<int> users;  // of the pair: 1 or 2
    std::atomic<int> in_use; // the clone's memory is taken
};

u32 new_trace_id()
{
    return (trace_mask[0] | trace_mask[1] | trace_mask[2] | trace_mask[3]) ? trace_new_id() : 0;
}

fclone_pair *pair_of(sk_buff *skb)
{
    u8 *p = reinterpret_cast<u8 *>(skb);
    return reinterpret_cast<fclone_pair *>(
        skb->fclone == SKB_FCLONE_CLONE ? p - __builtin_offsetof(fclone_pair, clone) : p);
}

/// Construct the head over `data`, which has `size` bytes before the shared info.
sk_buff *init_skb(void *mem, u8 *data, u32 size)
{
    auto *skb = new (mem) sk_buff;
    skb->head = skb->data = data;
    skb->end = size;
    skb->truesize = SKB_TRUESIZE(size);
    skb_shared_info *si = skb_shinfo(skb);
    si->dataref.store(1, std::memory_order_relaxed);
    si->nr_frags = si->gso_size = si->gso_segs = si->gso_type = 0;
    si->frag_list = nullptr;
    skb->trace_id = new_trace_id();
    trace(trace_event::alloc_skb, skb->trace_id, size, skb->truesize);
    return skb;
}

// --- Receive buffers: slices of a per-CPU block, as Linux's netdev_alloc_frag --------------------

constexpr unsigned FRAG_ORDER = 3;
constexpr size_t FRAG_BLOCK = PAGE_SIZE << FRAG_ORDER;
/// References taken at once; those not handed out yet are given back when the block is used up.
constexpr int FRAG_BIAS = 1 << 20;

struct frag_cache {
    page *pg = nullptr;
    u8 *va = nullptr;
    u32 offset = 0;
    int bias = 0;
};
constinit percpu<frag_cache> netdev_frag_cache;

/// Start a block, or start over on the old one when all its slices have been freed. IRQs off.
bool frag_refill(frag_cache &c)
{
    if (c.pg && c.pg->refs.fetch_sub(c.bias, std::memory_order_acq_rel) == c.bias) {
        c.pg->refs.store(FRAG_BIAS, std::memory_order_relaxed);
    } else {
        c.pg = alloc_pages(GFP_ATOMIC, FRAG_ORDER);
        if (!c.pg)
            return false;
        c.pg->refs.fetch_add(FRAG_BIAS - 1, std::memory_order_relaxed);
        c.va = static_cast<u8 *>(page_address(c.pg));
    }
    c.bias = FRAG_BIAS;
    c.offset = FRAG_BLOCK;
    return true;
}

u8 *frag_alloc(u32 size)
{
    irq_guard off;
    frag_cache &c = *netdev_frag_cache;
    if (c.offset < size && !frag_refill(c))
        return nullptr;
    c.offset -= size;
    c.bias--;
    return c.va + c.offset;
}

/// Give the head's memory back to where it came from.
void free_head(sk_buff *skb)
{
    if (likely(skb->fclone == SKB_FCLONE_UNAVAILABLE)) {
        kmem_cache_free(skbuff_head_cache, skb);
        return;
    }
    fclone_pair *p = pair_of(skb);
    if (skb->fclone == SKB_FCLONE_CLONE)
        p->in_use.store(0, std::memory_order_release);
    if (p->users.fetch_sub(1, std::memory_order_acq_rel) == 1)
        kmem_cache_free(skbuff_fclone_cache, p);
}

void free_skb(sk_buff *skb)
{
    if (skb->destructor)
        skb->destructor(skb);
    skb_dst_drop(skb);
    skb_release_data(skb);
    free_head(skb);
}

/// Memory for a clone of `skb`: its companion if that is free. Sets *fclone.
void *clone_memory(sk_buff *skb, gfp flags, u8 *fclone)
{
    *fclone = SKB_FCLONE_UNAVAILABLE;
    if (skb->fclone == SKB_FCLONE_ORIG) {
        fclone_pair *p = pair_of(skb);
        int expect = 0;
        if (p->in_use.compare_exchange_strong(expect, 1, std::memory_order_acquire)) {
            p->users.fetch_add(1, std::memory_order_relaxed);
            *fclone = SKB_FCLONE_CLONE;
            return p->clone;
        }
    }
    return kmem_cache_alloc(skbuff_head_cache, flags);
}
} // namespace

u8 *skb_alloc_area(u32 *size, gfp flags)
{
    if (*size > (1u << 22))
        return nullptr;
    void *data = kmalloc(SKB_DATA_ALIGN(*size) + SKB_SHINFO_SIZE, flags);
    if (!data)
        return nullptr;
    *size = static_cast<u32>((ksize(data) & ~size_t{63}) - SKB_SHINFO_SIZE);
    return static_cast<u8 *>(data);
}

void skb_free_area(u8 *head, bool head_frag)
{
    if (head_frag)
        put_page(virt_to_page(
            reinterpret_cast<void *>(align_down(reinterpret_cast<u64>(head), FRAG_BLOCK))));
    else
        kfree(head);
}

void skb_release_data(sk_buff *skb)
{
    skb_shared_info *si = skb_shinfo(skb);
    if (skb->cloned && si->dataref.fetch_sub(1, std::memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; i < si->nr_frags; i++)
        put_page(si->frags[i].pg);
    for (sk_buff *f = si->frag_list; f;) {
        sk_buff *next = f->next;
        f->next = nullptr;
        consume_skb(f);
        f = next;
    }
    skb_free_area(skb->head, skb->head_frag);
}

sk_buff *alloc_skb(u32 size, gfp flags)
{
    void *mem = kmem_cache_alloc(skbuff_head_cache, flags);
    if (!mem)
        return nullptr;
    u8 *data = skb_alloc_area(&size, flags);
    if (!data) {
        kmem_cache_free(skbuff_head_cache, mem);
        return nullptr;
    }
    return init_skb(mem, data, size);
}

sk_buff *alloc_skb_fclone(u32 size, gfp flags)
{
    auto *p = static_cast<fclone_pair *>(kmem_cache_alloc(skbuff_fclone_cache, flags));
    if (!p)
        return nullptr;
    u8 *data = skb_alloc_area(&size, flags);
    if (!data) {
        kmem_cache_free(skbuff_fclone_cache, p);
        return nullptr;
    }
    new (&p->users) std::atomic<int>{1};
    new (&p->in_use) std::atomic<int>{0};
    sk_buff *skb = init_skb(p->orig, data, size);
    skb->fclone = SKB_FCLONE_ORIG;
    return skb;
}

sk_buff *netdev_alloc_skb(net_device *dev, u32 len)
{
    if (kasan_enabled || SKB_DATA_ALIGN(len + NET_SKB_PAD) + SKB_SHINFO_SIZE > PAGE_SIZE) {
        // Big, or checked by AddressSanitizer: memory of its own.
        sk_buff *skb = alloc_skb(len + NET_SKB_PAD, GFP_ATOMIC);
        if (!skb)
            return nullptr;
        skb_reserve(skb, NET_SKB_PAD - NET_IP_ALIGN);
        skb->dev = dev;
        return skb;
    }
    void *mem = kmem_cache_alloc(skbuff_head_cache, GFP_ATOMIC);
    if (!mem)
        return nullptr;
    u32 size = SKB_DATA_ALIGN(len + NET_SKB_PAD);
    u8 *data = frag_alloc(size + SKB_SHINFO_SIZE);
    if (!data) {
        kmem_cache_free(skbuff_head_cache, mem);
        return nullptr;
    }
    sk_buff *skb = init_skb(mem, data, size);
    skb->head_frag = 1;
    skb_reserve(skb, NET_SKB_PAD - NET_IP_ALIGN);
    skb->dev = dev;
    return skb;
}

void napi_reuse_skb(napi_struct *n, sk_buff *skb)
{
    if (n->skb || !skb->head_frag || skb->cloned || skb->destructor || skb->dst ||
        skb->fclone != SKB_FCLONE_UNAVAILABLE || skb_shared(skb) || skb->data_len) {
        consume_skb(skb);
        return;
    }
    trace(trace_event::consume_skb, skb->trace_id, __builtin_return_address(0));
    n->skb = skb;
}

sk_buff *napi_alloc_skb(napi_struct *n, u32 len)
{
    sk_buff *skb = n->skb;
    if (!skb || skb->end < SKB_DATA_ALIGN(len + NET_SKB_PAD))
        return netdev_alloc_skb(n->dev, len);
    n->skb = nullptr;
    init_skb(skb, skb->head, skb->end);
    skb->head_frag = 1;
    skb_reserve(skb, NET_SKB_PAD - NET_IP_ALIGN);
    skb->dev = n->dev;
    return skb;
}

void consume_skb(sk_buff *skb)
{
    if (!skb || (skb->users.read() != 1 && !skb->users.put()))
        return;
    trace(trace_event::consume_skb, skb->trace_id, __builtin_return_address(0));
    free_skb(skb);
}

static void drop_skb(sk_buff *skb, const char *reason, void *location)
{
    if (!skb || (skb->users.read() != 1 && !skb->users.put()))
        return;
    trace(trace_event::kfree_skb, skb->trace_id, reason, location);
    free_skb(skb);
}

void kfree_skb(sk_buff *skb)
{
    drop_skb(skb, "not_specified", __builtin_return_address(0));
}

void kfree_skb_reason(sk_buff *skb, const char *reason)
{
    drop_skb(skb, reason, __builtin_return_address(0));
}

void skb_orphan(sk_buff *skb)
{
    if (skb->destructor)
        skb->destructor(skb);
    skb->destructor = nullptr;
    skb->sk = nullptr;
}

void skb_dst_drop(sk_buff *skb)
{
    if (!skb->dst)
        return;
    if (!skb->dst_noref)
        dst_release(skb->dst);
    skb->dst = nullptr;
    skb->dst_noref = 0;
}

void skb_copy_header(sk_buff *to, const sk_buff *from)
{
    to->tstamp = from->tstamp;
    to->dev = from->dev;
    memcpy(to->cb, from->cb, sizeof(to->cb));
    to->dst = skb_dst_get(from);
    to->mac_len = from->mac_len;
    to->queue_mapping = from->queue_mapping;
    to->csum = from->csum;
    to->csum_start = from->csum_start;
    to->csum_offset = from->csum_offset;
    to->priority = from->priority;
    to->mark = from->mark;
    to->hash = from->hash;
    to->l4_hash = from->l4_hash;
    to->protocol = from->protocol;
    to->pkt_type = from->pkt_type;
    to->ip_summed = from->ip_summed;
    to->vlan_present = from->vlan_present;
    to->vlan_tci = from->vlan_tci;
    to->trace_id = from->trace_id;
    to->transport_header = from->transport_header;
    to->network_header = from->network_header;
    to->mac_header = from->mac_header;
}

sk_buff *skb_clone(sk_buff *skb, gfp flags)
{
    u8 fclone;
    void *mem = clone_memory(skb, flags, &fclone);
    if (!mem)
        return nullptr;
    auto *n = new (mem) sk_buff;
    n->fclone = fclone;
    skb_copy_header(n, skb);
    n->len = skb->len;
    n->data_len = skb->data_len;
    n->head = skb->head;
    n->data = skb->data;
    n->tail = skb->tail;
    n->end = skb->end;
    n->truesize = skb->truesize;
    n->head_frag = skb->head_frag;
    n->cloned = skb->cloned = 1;
    skb_shinfo(skb)->dataref.fetch_add(1, std::memory_order_relaxed);
    return n;
}

sk_buff *skb_share_check(sk_buff *skb, gfp flags)
{
    if (likely(!skb_shared(skb)))
        return skb;
    sk_buff *n = skb_clone(skb, flags);
    if (n)
        consume_skb(skb);
    else
        kfree_skb_reason(skb, "nomem");
    return n;
}

void skb_over_panic(const sk_buff *skb, u32 n, const char *what)
{
    panic("%s: no room for %u bytes (len %u, headroom %u, tailroom %u, end %u, dev %s)", what, n,
          skb->len, skb_headroom(skb), skb_tailroom(skb), skb->end,
          skb->dev ? skb->dev->name : "-");
}

void skb_init()
{
    if (skbuff_head_cache)
        return;
    skbuff_head_cache = kmem_cache_create("skbuff_head_cache", sizeof(sk_buff), 64);
    skbuff_fclone_cache = kmem_cache_create("skbuff_fclone_cache", sizeof(fclone_pair), 64);
}

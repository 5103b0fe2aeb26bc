// SPDX-License-Identifier: MIT
// sk_buff: the one structure in which a packet lives from descriptor to user buffer (row R-20).
// Linux: include/linux/skbuff.h, net/core/skbuff.c. head ≤ data ≤ tail ≤ end; page fragments and a
// fragment list follow in skb_shared_info at `end`.
// Ownership: a plain pointer is borrowed; skb_ptr owns. Clones share the data, which is then
// read-only (skb_cloned()).
#pragma once

#include "lib/checksum.h"
#include "lib/list.h"
#include "lib/refcount.h"
#include "lib/result.h"
#include "lib/spinlock.h"
#include "lib/string.h"
#include "mm/page.h"

struct net_device;
struct sock;
struct dst_entry;
struct sk_buff;

/// Page fragment: `page` referenced, bytes [offset, offset+size).
struct skb_frag {
    page *pg;
    u32 offset;
    u32 size;
};
constexpr unsigned MAX_SKB_FRAGS = 17;

/// Behind the linear data; shared by clones.
struct skb_shared_info {
    std::atomic<int> dataref;
    u16 nr_frags;
    u16 gso_size;
    u16 gso_segs;
    u16 gso_type;
    sk_buff *frag_list; // further skbs of one datagram (fragments)
    skb_frag frags[MAX_SKB_FRAGS];
};

enum pkt_type : u8 {
    PACKET_HOST = 0,
    PACKET_BROADCAST = 1,
    PACKET_MULTICAST = 2,
    PACKET_OTHERHOST = 3,
    PACKET_OUTGOING = 4
};
/// State of the checksum (Linux's ip_summed): NONE not looked at; UNNECESSARY device found it
/// right; COMPLETE `csum` is the sum of the data; PARTIAL (transmit) the pseudo header is in the
/// field at csum_start+csum_offset, the device finishes.
enum ip_summed : u8 { CHECKSUM_NONE, CHECKSUM_UNNECESSARY, CHECKSUM_COMPLETE, CHECKSUM_PARTIAL };

struct sk_buff : pinned {
    sk_buff *next = nullptr,
            *prev = nullptr; // sk_buff_head links, or frag_list/backlog chain through next
    sock *sk = nullptr;
    u64 tstamp = 0; // ns real time of reception, 0: not taken
    net_device *dev = nullptr;
    /// Private to the layer that holds the packet (IPCB, UDP_SKB_CB, NAPI_GRO_CB…).
    alignas(8) u8 cb[48] = {};
    dst_entry *dst = nullptr; // referenced unless dst_noref
    u32 len = 0, data_len = 0;
    u16 mac_len = 0, queue_mapping = 0;
    wsum csum = 0;
    u16 csum_start = 0, csum_offset = 0; // from head / from csum_start
    u32 priority = 0, mark = 0, hash = 0;
    be16 protocol{};
    ::pkt_type pkt_type = PACKET_HOST;
    ::ip_summed ip_summed = CHECKSUM_NONE;
    u8 cloned : 1 = 0, nohdr : 1 = 0, l4_hash : 1 = 0, head_frag : 1 = 0, peeked : 1 = 0,
                vlan_present : 1 = 0, dst_noref : 1 = 0;
    u8 fclone = 0; // SKB_FCLONE_*: member of a pair from skbuff_fclone_cache
    u16 vlan_tci = 0;
    u32 trace_id = 0;
    void (*destructor)(sk_buff *) = nullptr;
    u16 transport_header = 0, network_header = 0, mac_header = 0; // offsets from head
    u8 *head = nullptr, *data = nullptr;
    u32 tail = 0, end = 0; // offsets from head
    u32 truesize = 0;
    refcount users;
};

inline skb_shared_info *skb_shinfo(const sk_buff *skb)
{
    return reinterpret_cast<skb_shared_info *>(skb->head + skb->end);
}
inline u8 *skb_tail_pointer(const sk_buff *skb)
{
    return skb->head + skb->tail;
}
inline u32 skb_headlen(const sk_buff *skb)
{
    return skb->len - skb->data_len;
}
inline u32 skb_headroom(const sk_buff *skb)
{
    return static_cast<u32>(skb->data - skb->head);
}
inline u32 skb_tailroom(const sk_buff *skb)
{
    return skb->data_len ? 0 : skb->end - skb->tail;
}
inline bool skb_is_nonlinear(const sk_buff *skb)
{
    return skb->data_len != 0;
}
inline u8 *skb_transport_header(const sk_buff *skb)
{
    return skb->head + skb->transport_header;
}
inline u8 *skb_network_header(const sk_buff *skb)
{
    return skb->head + skb->network_header;
}
inline u8 *skb_mac_header(const sk_buff *skb)
{
    return skb->head + skb->mac_header;
}
inline void skb_reset_transport_header(sk_buff *skb)
{
    skb->transport_header = static_cast<u16>(skb->data - skb->head);
}
inline void skb_reset_network_header(sk_buff *skb)
{
    skb->network_header = static_cast<u16>(skb->data - skb->head);
}
inline void skb_reset_mac_header(sk_buff *skb)
{
    skb->mac_header = static_cast<u16>(skb->data - skb->head);
}
inline int skb_transport_offset(const sk_buff *skb)
{
    return static_cast<int>(skb_transport_header(skb) - skb->data);
}
inline int skb_network_offset(const sk_buff *skb)
{
    return static_cast<int>(skb_network_header(skb) - skb->data);
}

/// What a head counts for in truesize: the slab object of Linux's sk_buff, so that buffers fill at
/// the same packet.
constexpr u32 SKB_HEAD_TRUESIZE = 256;
static_assert(sizeof(sk_buff) <= SKB_HEAD_TRUESIZE);
/// Bytes charged for a packet with `size` data bytes (Linux SKB_TRUESIZE).
constexpr u32 SKB_DATA_ALIGN(u32 n)
{
    return (n + 63) & ~63u;
}
constexpr u32 SKB_TRUESIZE(u32 size)
{
    return size + SKB_HEAD_TRUESIZE + SKB_DATA_ALIGN(sizeof(skb_shared_info));
}

/// A fresh skb has a trace id (trace_new_id()) while tracing is on, else 0.
/// New skb with `size` bytes of linear room (cache skbuff_head_cache + kmalloc); null when out of
/// memory. Any context with GFP_ATOMIC.
sk_buff *alloc_skb(u32 size, gfp flags);
/// The same from skbuff_fclone_cache: the first skb_clone() of it needs no allocation (TCP's write
/// queue).
sk_buff *alloc_skb_fclone(u32 size, gfp flags);
/// The same for reception: NET_SKB_PAD headroom, skb->dev set. [S]
sk_buff *netdev_alloc_skb(net_device *dev, u32 len);
/// Headroom of received packets: NET_SKB_PAD less the bytes that put the IP header behind
/// Ethernet's 14 on a multiple of four.
constexpr u32 NET_SKB_PAD = 64, NET_IP_ALIGN = 2;
/// Drop a reference; the last frees. consume: delivered; kfree: dropped (traced with the caller's
/// address as reason). Any context but hard IRQ with a destructor: use dev_kfree_skb_any.
void consume_skb(sk_buff *skb);
void kfree_skb(sk_buff *skb);
/// kfree_skb with one of the reasons of docs/debugfs.md (a static string) for the trace.
void kfree_skb_reason(sk_buff *skb, const char *reason);
/// From hard IRQ or with IRQs off: to completion_queue, freed in NET_TX (Linux dev_kfree_skb_irq).
/// net/core/dev.cc
void dev_kfree_skb_irq(sk_buff *skb);
void dev_kfree_skb_any(sk_buff *skb);
inline sk_buff *skb_get(sk_buff *skb)
{
    skb->users.get();
    return skb;
}
inline bool skb_shared(const sk_buff *skb)
{
    return skb->users.read() != 1;
}
inline bool skb_cloned(const sk_buff *skb)
{
    return skb->cloned && skb_shinfo(skb)->dataref.load(std::memory_order_relaxed) != 1;
}
/// Another sk_buff over the same data.
sk_buff *skb_clone(sk_buff *skb, gfp flags);
/// A private copy, linear.
sk_buff *skb_copy(const sk_buff *skb, gfp flags);
/// Private header, shared fragments.
sk_buff *pskb_copy(sk_buff *skb, gfp flags);
/// If shared, replace by a clone (reference on the old dropped); null (and skb freed) when out of
/// memory.
sk_buff *skb_share_check(sk_buff *skb, gfp flags);
/// Make the header private and grow head/tail room. 0 or -ENOMEM.
int pskb_expand_head(sk_buff *skb, u32 nhead, u32 ntail, gfp flags);
/// At least `headroom` bytes of private headroom. 0 or -ENOMEM.
int skb_cow_head(sk_buff *skb, u32 headroom);
/// All data in the linear part. 0 or -ENOMEM.
int skb_linearize(sk_buff *skb);

/// Extend at the tail / at the front; BUG when there is no room. Return the first new byte.
[[noreturn]] void skb_over_panic(const sk_buff *skb, u32 n, const char *what);
inline u8 *skb_put(sk_buff *skb, u32 n)
{
    u8 *p = skb_tail_pointer(skb);
    if (unlikely(n > skb_tailroom(skb)))
        skb_over_panic(skb, n, "skb_put");
    skb->tail += n;
    skb->len += n;
    return p;
}
inline u8 *skb_push(sk_buff *skb, u32 n)
{
    if (unlikely(n > skb_headroom(skb)))
        skb_over_panic(skb, n, "skb_push");
    skb->len += n;
    return skb->data -= n;
}
/// Remove from the front; null when fewer bytes.
inline u8 *skb_pull(sk_buff *skb, u32 n)
{
    if (n > skb_headlen(skb))
        return nullptr;
    skb->len -= n;
    return skb->data += n;
}
inline void skb_reserve(sk_buff *skb, u32 n)
{
    skb->data += n;
    skb->tail += n;
}
/// Make the first n bytes linear. False: packet shorter, or out of memory.
bool pskb_may_pull_slow(sk_buff *skb, u32 n);
inline bool pskb_may_pull(sk_buff *skb, u32 n)
{
    return likely(n <= skb_headlen(skb)) || pskb_may_pull_slow(skb, n);
}
/// Cut to `len` bytes (0 or -ENOMEM); adjusts CHECKSUM_COMPLETE away.
int pskb_trim(sk_buff *skb, u32 len);
/// Copy bytes [offset, offset+n) of the packet. 0 or -EFAULT when out of range.
int skb_copy_bits(const sk_buff *skb, u32 offset, void *to, u32 n);
/// Sum of [offset, offset+n), added to `sum`.
wsum skb_checksum(const sk_buff *skb, u32 offset, u32 n, wsum sum);
/// Finish a CHECKSUM_PARTIAL packet in software. 0 or -errno.
int skb_checksum_help(sk_buff *skb);
/// Add a page fragment (takes over the page reference).
void skb_add_rx_frag(sk_buff *skb, page *pg, u32 off, u32 size, u32 truesize);
/// Keep the first `len` bytes, move the others to `rest`, which is empty and has room for the linear part that moves. skb's
/// area must be private; lengths only, truesize is the caller's. Linux skb_split. (net/core/skbuff_split.cc)
void skb_split(sk_buff *skb, sk_buff *rest, u32 len);
/// Drop the first `len` bytes, linear or in page fragments; area private, no fragment list.
void skb_trim_front(sk_buff *skb, u32 len);
/// Append what `from` carries to `to`, by copy into its room or by moving pages. True: `from` is to be freed, and `to` grew
/// by *delta_truesize. Linux skb_try_coalesce.
bool skb_try_coalesce(sk_buff *to, sk_buff *from, u32 *delta_truesize);
/// Run and clear the destructor, drop sk.
void skb_orphan(sk_buff *skb);
/// The packet has no route any more.
void skb_dst_drop(sk_buff *skb);
inline void skb_dst_set(sk_buff *skb, dst_entry *dst)
{
    skb->dst = dst;
}

/// A queue of packets with a lock and a length.
struct sk_buff_head : pinned {
    sk_buff *next = nullptr, *prev = nullptr; // first, last
    u32 qlen = 0;
    spinlock lock{"sk_buff_head"};
    bool empty() const { return next == nullptr; }
};
inline sk_buff *skb_peek(const sk_buff_head *q)
{
    return q->next;
}
/// Without lock (caller holds it or owns the queue).
inline void __skb_queue_tail(sk_buff_head *q, sk_buff *skb)
{
    skb->next = nullptr;
    skb->prev = q->prev;
    if (q->prev)
        q->prev->next = skb;
    else
        q->next = skb;
    q->prev = skb;
    write_once(q->qlen, q->qlen + 1);
}
void __skb_queue_head(sk_buff_head *q, sk_buff *skb);
void __skb_unlink(sk_buff *skb, sk_buff_head *q);
inline sk_buff *__skb_dequeue(sk_buff_head *q)
{
    sk_buff *skb = q->next;
    if (!skb)
        return nullptr;
    q->next = skb->next;
    if (skb->next)
        skb->next->prev = nullptr;
    else
        q->prev = nullptr;
    skb->next = skb->prev = nullptr;
    write_once(q->qlen, q->qlen - 1);
    return skb;
}
/// Move everything from `from` to the tail of `to`.
void __skb_queue_splice_tail_init(sk_buff_head *from, sk_buff_head *to);
/// With the lock, IRQs off.
void skb_queue_tail(sk_buff_head *q, sk_buff *skb);
sk_buff *skb_dequeue(sk_buff_head *q);
void skb_queue_purge(sk_buff_head *q);
void skb_queue_head(sk_buff_head *q, sk_buff *skb);
/// Unlink and free every packet; the caller owns the queue.
void __skb_queue_purge(sk_buff_head *q);
/// Copy what clones and fragments inherit: device, protocol, route (referenced), priority, mark,
/// trace id, cb. Not the data.
void skb_copy_header(sk_buff *to, const sk_buff *from);
void skb_init();

/// Owning handle: freed as dropped unless released.
class skb_ptr
{
public:
    skb_ptr() = default;
    explicit skb_ptr(sk_buff *s) : s_{s} {}
    skb_ptr(skb_ptr &&o) : s_{o.s_} { o.s_ = nullptr; }
    skb_ptr &operator=(skb_ptr &&o)
    {
        sk_buff *old = s_;
        s_ = o.s_;
        o.s_ = nullptr;
        if (old)
            kfree_skb(old);
        return *this;
    }
    ~skb_ptr()
    {
        if (s_)
            kfree_skb(s_);
    }
    sk_buff *operator->() const { return s_; }
    sk_buff *get() const { return s_; }
    explicit operator bool() const { return s_; }
    sk_buff *release()
    {
        sk_buff *s = s_;
        s_ = nullptr;
        return s;
    }

private:
    sk_buff *s_ = nullptr;
};

// SPDX-License-Identifier: MIT
// The data of an sk_buff: copies, growing, pulling, trimming, checksums over linear part, page
// fragments and fragment list.
// Linux: net/core/skbuff.c. Any context; the caller owns the skb. Every function that changes bytes
// first makes them private.

#include "lib/printk.h"
#include "net/core/netdevice.h"
#include "net/core/skbuff.h"
#include "net/core/skbuff_internal.h"

namespace
{
/// The bytes [offset, offset+n) of the packet one contiguous piece at a time: f(ptr, len) for each;
/// false when out of range. Fragment lists nest at most two levels (a list member has page
/// fragments, no list of its own).
template <class F>
bool walk(const sk_buff *skb, u32 offset, u32 n, F &f)
{
    u32 start = skb_headlen(skb);
    if (offset > skb->len || n > skb->len - offset)
        return false;
    if (offset < start && n) {
        u32 take = min(n, start - offset);
        f(skb->data + offset, take);
        offset += take;
        n -= take;
    }
    const skb_shared_info *si = skb_shinfo(skb);
    for (unsigned i = 0; n && i < si->nr_frags; i++) {
        const skb_frag &fr = si->frags[i];
        if (offset < start + fr.size) {
            u32 at = offset - start, take = min(n, fr.size - at);
            f(static_cast<u8 *>(page_address(fr.pg)) + fr.offset + at, take);
            offset += take;
            n -= take;
        }
        start += fr.size;
    }
    for (const sk_buff *p = si->frag_list; n && p; p = p->next) {
        if (offset < start + p->len) {
            u32 at = offset - start, take = min(n, p->len - at);
            if (!walk(p, at, take, f))
                return false;
            offset += take;
            n -= take;
        }
        start += p->len;
    }
    return n == 0;
}

/// Drop the fragment list members that lie wholly beyond `keep` bytes of list, cut the one that
/// straddles.
int trim_frag_list(skb_shared_info *si, u32 keep)
{
    sk_buff **pp = &si->frag_list;
    while (sk_buff *f = *pp) {
        if (keep >= f->len) {
            keep -= f->len;
            pp = &f->next;
            continue;
        }
        if (keep) {
            if (int err = pskb_trim(f, keep))
                return err;
            keep = 0;
            pp = &f->next;
            continue;
        }
        *pp = f->next;
        f->next = nullptr;
        consume_skb(f);
    }
    return 0;
}

/// Fragments of a packet whose area became private: references of its own.
void share_frags(const skb_shared_info *si)
{
    for (unsigned i = 0; i < si->nr_frags; i++)
        get_page(si->frags[i].pg);
    for (sk_buff *f = si->frag_list; f; f = f->next)
        skb_get(f);
}
} // namespace

int pskb_expand_head(sk_buff *skb, u32 nhead, u32 ntail, gfp flags)
{
    BUG_ON(skb_shared(skb));
    // Bounds first: lengths come from the wire.
    if (nhead > 0xffff || ntail > (1u << 20))
        return -ENOMEM;
    nhead = SKB_DATA_ALIGN(nhead);
    u32 size = nhead + skb->end + ntail;
    u8 *head = skb_alloc_area(&size, flags);
    if (!head)
        return -ENOMEM;
    memcpy(head + nhead, skb->head, skb->tail);
    skb_shared_info *si = skb_shinfo(skb);
    auto *nsi = reinterpret_cast<skb_shared_info *>(head + size);
    memcpy(static_cast<void *>(nsi), si,
           __builtin_offsetof(skb_shared_info, frags[0]) + si->nr_frags * sizeof(skb_frag));
    nsi->dataref.store(1, std::memory_order_relaxed);
    if (skb_cloned(skb)) {
        share_frags(si);
        skb_release_data(skb);
    } else {
        skb_free_area(skb->head, skb->head_frag);
    }
    u32 off = skb_headroom(skb);
    skb->head = head;
    skb->data = head + nhead + off;
    skb->end = size;
    skb->tail += nhead;
    skb->transport_header = static_cast<u16>(skb->transport_header + nhead);
    skb->network_header = static_cast<u16>(skb->network_header + nhead);
    skb->mac_header = static_cast<u16>(skb->mac_header + nhead);
    if (skb->ip_summed == CHECKSUM_PARTIAL)
        skb->csum_start = static_cast<u16>(skb->csum_start + nhead);
    skb->head_frag = 0;
    skb->cloned = 0;
    return 0;
}

int skb_cow_head(sk_buff *skb, u32 headroom)
{
    u32 room = skb_headroom(skb);
    if (room >= headroom && !skb_cloned(skb))
        return 0;
    return pskb_expand_head(skb, headroom > room ? headroom - room : 0, 0, GFP_ATOMIC);
}

sk_buff *skb_copy(const sk_buff *skb, gfp flags)
{
    u32 room = skb_headroom(skb);
    sk_buff *n = alloc_skb(room + skb->len, flags);
    if (!n)
        return nullptr;
    skb_copy_header(n, skb);
    skb_reserve(n, room);
    BUG_ON(skb_copy_bits(skb, 0, skb_put(n, skb->len), skb->len) != 0);
    return n;
}

sk_buff *pskb_copy(sk_buff *skb, gfp flags)
{
    u32 room = skb_headroom(skb), head = skb_headlen(skb);
    sk_buff *n = alloc_skb(room + head, flags);
    if (!n)
        return nullptr;
    skb_copy_header(n, skb);
    skb_reserve(n, room);
    memcpy(skb_put(n, head), skb->data, head);
    const skb_shared_info *si = skb_shinfo(skb);
    skb_shared_info *nsi = skb_shinfo(n);
    share_frags(si);
    memcpy(nsi->frags, si->frags, si->nr_frags * sizeof(skb_frag));
    nsi->nr_frags = si->nr_frags;
    nsi->frag_list = si->frag_list;
    n->data_len = skb->data_len;
    n->len = skb->len;
    n->truesize += skb->data_len;
    return n;
}

bool pskb_may_pull_slow(sk_buff *skb, u32 n)
{
    if (n > skb->len)
        return false;
    // A driver's frame: its headers at the beginning of the first page. They alone move, so that the payload's pages can be passed on
    // as they are (GRO, TCP's receive queue). Anything else is rare, and all of it becomes linear.
    skb_shared_info *si = skb_shinfo(skb);
    u32 more = n - skb_headlen(skb);
    if (skb_cloned(skb) || skb->end - skb->tail < more || !si->nr_frags ||
        si->frags[0].size <= more)
        return skb_linearize(skb) == 0;
    skb_frag &f = si->frags[0];
    memcpy(skb->head + skb->tail, static_cast<const u8 *>(page_address(f.pg)) + f.offset, more);
    f.offset += more;
    f.size -= more;
    skb->tail += more;
    skb->data_len -= more;
    return true;
}

int skb_linearize(sk_buff *skb)
{
    u32 extra = skb->data_len;
    if (!extra)
        return 0;
    if (skb->end - skb->tail < extra || skb_cloned(skb))
        if (int err = pskb_expand_head(skb, 0, extra, GFP_ATOMIC))
            return err;
    u32 head = skb_headlen(skb);
    BUG_ON(skb_copy_bits(skb, head, skb->head + skb->tail, extra) != 0);
    skb_shared_info *si = skb_shinfo(skb);
    for (unsigned i = 0; i < si->nr_frags; i++)
        put_page(si->frags[i].pg);
    si->nr_frags = 0;
    while (sk_buff *f = si->frag_list) {
        si->frag_list = f->next;
        f->next = nullptr;
        consume_skb(f);
    }
    skb->tail += extra;
    skb->data_len = 0;
    return 0;
}

int pskb_trim(sk_buff *skb, u32 len)
{
    if (len >= skb->len)
        return 0;
    if (skb->ip_summed == CHECKSUM_COMPLETE)
        skb->ip_summed = CHECKSUM_NONE;
    if (!skb->data_len) {
        // Linear: only this head's view changes, so clones do not mind.
        skb->tail -= skb->len - len;
        skb->len = len;
        return 0;
    }
    if (skb_cloned(skb) || skb_shinfo(skb)->frag_list)
        if (int err = pskb_expand_head(skb, 0, 0, GFP_ATOMIC))
            return err;
    skb_shared_info *si = skb_shinfo(skb);
    u32 head = skb_headlen(skb);
    u32 keep = len > head ? len - head : 0; // of the non-linear part
    unsigned kept = 0;
    u32 left = keep;
    for (unsigned i = 0; i < si->nr_frags; i++) {
        if (left == 0) {
            put_page(si->frags[i].pg);
            continue;
        }
        si->frags[i].size = min(si->frags[i].size, left);
        left -= si->frags[i].size;
        kept++;
    }
    si->nr_frags = static_cast<u16>(kept);
    if (int err = trim_frag_list(si, left))
        return err;
    if (len < head)
        skb->tail -= head - len;
    skb->data_len = keep;
    skb->len = len;
    return 0;
}

int skb_copy_bits(const sk_buff *skb, u32 offset, void *to, u32 n)
{
    if (likely(offset <= skb_headlen(skb) && n <= skb_headlen(skb) - offset)) {
        memcpy(to, skb->data + offset, n);
        return 0;
    }
    auto copy = [to = static_cast<u8 *>(to)](const u8 *p, u32 len) mutable {
        memcpy(to, p, len);
        to += len;
    };
    return walk(skb, offset, n, copy) ? 0 : -EFAULT;
}

wsum skb_checksum(const sk_buff *skb, u32 offset, u32 n, wsum sum)
{
    if (likely(offset <= skb_headlen(skb) && n <= skb_headlen(skb) - offset))
        return csum_partial(skb->data + offset, n, sum);
    u32 pos = 0;
    auto add = [&](const u8 *p, u32 len) {
        sum = csum_block_add(sum, csum_partial(p, len, 0), pos);
        pos += len;
    };
    walk(skb, offset, n, add);
    return sum;
}

int skb_checksum_help(sk_buff *skb)
{
    if (skb->ip_summed != CHECKSUM_PARTIAL)
        return 0;
    if (skb_cloned(skb))
        if (int err = pskb_expand_head(skb, 0, 0, GFP_ATOMIC))
            return err;
    s64 start = skb->csum_start - static_cast<s64>(skb_headroom(skb));
    u32 field = skb->csum_start + skb->csum_offset;
    if (start < 0 || static_cast<u64>(start) > skb->len || field + 2 > skb->tail)
        return -EINVAL;
    wsum sum = skb_checksum(skb, static_cast<u32>(start), skb->len - static_cast<u32>(start), 0);
    be16 c = csum_fold(sum);
    memcpy(skb->head + field, &c, sizeof(c));
    skb->ip_summed = CHECKSUM_NONE;
    return 0;
}

void skb_add_rx_frag(sk_buff *skb, page *pg, u32 off, u32 size, u32 truesize)
{
    skb_shared_info *si = skb_shinfo(skb);
    BUG_ON(si->nr_frags >= MAX_SKB_FRAGS);
    si->frags[si->nr_frags++] = {pg, off, size};
    skb->len += size;
    skb->data_len += size;
    skb->truesize += truesize;
}

// SPDX-License-Identifier: MIT
// Cutting and joining packets of a byte stream: split in two, drop from the front, append one to another. Linux: net/core/skbuff.c
// (skb_split, __pskb_trim_head, skb_try_coalesce). Any context; the caller owns both packets. No locks, no allocation.

#include "lib/string.h"
#include "net/core/skbuff.h"

void skb_split(sk_buff *skb, sk_buff *rest, u32 len)
{
    u32 head = skb_headlen(skb);
    skb_shared_info *si = skb_shinfo(skb), *rsi = skb_shinfo(rest);
    if (len < head) { // `rest` takes the end of the linear part and all fragments
        memcpy(skb_put(rest, head - len), skb->data + len, head - len);
        for (unsigned i = 0; i < si->nr_frags; i++)
            rsi->frags[i] = si->frags[i];
        rsi->nr_frags = si->nr_frags;
        si->nr_frags = 0;
        rest->data_len = skb->data_len;
        rest->len += skb->data_len;
        skb->tail -= head - len;
        skb->len = len;
        skb->data_len = 0;
        return;
    }
    u32 at = head;
    unsigned keep = 0, n = 0;
    rest->len = rest->data_len = skb->len - len;
    for (unsigned i = 0; i < si->nr_frags; i++) {
        skb_frag &f = si->frags[i];
        u32 end = at + f.size;
        if (end <= len) {
            keep++;
        } else if (at >= len) {
            rsi->frags[n++] = f;
        } else { // the border is in this one: both refer to the page
            u32 mine = len - at;
            get_page(f.pg);
            rsi->frags[n++] = {f.pg, f.offset + mine, f.size - mine};
            f.size = mine;
            keep++;
        }
        at = end;
    }
    si->nr_frags = static_cast<u16>(keep);
    rsi->nr_frags = static_cast<u16>(n);
    skb->len = len;
    skb->data_len = len - head;
}

void skb_trim_front(sk_buff *skb, u32 len)
{
    u32 head = min(len, skb_headlen(skb));
    skb_pull(skb, head);
    len -= head;
    if (!len)
        return;
    skb_shared_info *si = skb_shinfo(skb);
    skb->len -= len;
    skb->data_len -= len;
    unsigned k = 0;
    for (unsigned i = 0; i < si->nr_frags; i++) {
        skb_frag f = si->frags[i];
        u32 cut = min(len, f.size);
        len -= cut;
        if (cut == f.size) {
            put_page(f.pg);
            continue;
        }
        f.offset += cut;
        f.size -= cut;
        si->frags[k++] = f;
    }
    si->nr_frags = static_cast<u16>(k);
}

bool skb_try_coalesce(sk_buff *to, sk_buff *from, u32 *delta_truesize)
{
    if (skb_cloned(to) || skb_shinfo(to)->frag_list || skb_shinfo(from)->frag_list)
        return false;
    if (from->len <= skb_tailroom(to)) {
        if (from->len)
            BUG_ON(skb_copy_bits(from, 0, skb_put(to, from->len), from->len) != 0);
        *delta_truesize = 0;
        return true;
    }
    // Pages move without a copy only when `from` is nothing but pages and owns them alone.
    skb_shared_info *ti = skb_shinfo(to), *fi = skb_shinfo(from);
    if (skb_headlen(from) || skb_cloned(from) || ti->nr_frags + fi->nr_frags > MAX_SKB_FRAGS)
        return false;
    for (unsigned i = 0; i < fi->nr_frags; i++)
        ti->frags[ti->nr_frags++] = fi->frags[i];
    fi->nr_frags = 0;
    *delta_truesize = from->truesize - SKB_TRUESIZE(from->end);
    to->len += from->len;
    to->data_len += from->len;
    to->truesize += *delta_truesize;
    return true;
}

// SPDX-License-Identifier: MIT
// igb: receive. Softirq (igb_poll), owner of the vector's NAPI context; igb_alloc_rx_buffers also in open, before the vector runs.
#include "drivers/net/igb/igb.h"
#include "trace/trace.h"

/// A buffer for slot `b`: the half page it still has, or a new page. Returns false when out of memory.
static bool alloc_mapped_page(igb_ring *r, igb_rx_buffer *b)
{
    if (b->pg)
        return true;
    page *pg = alloc_pages(GFP_ATOMIC, 0);
    if (!pg) [[unlikely]] {
        r->alloc_failed++;
        return false;
    }
    b->pg = pg;
    b->page_offset = 0;
    b->dma = page_to_phys(pg);
    b->va = static_cast<u8 *>(page_address(pg));
    return true;
}

void igb_alloc_rx_buffers(igb_ring *r, u16 n)
{
    u16 i = r->next_to_use;
    u16 posted = 0;
    while (n--) {
        if (!alloc_mapped_page(r, &r->rx_buffer_info[i]))
            break;
        e1000_adv_rx_desc *d = &r->rx_desc[i];
        d->read.pkt_addr = r->rx_buffer_info[i].dma + r->rx_buffer_info[i].page_offset;
        d->read.hdr_addr = 0; // also clears the write-back's status and length
        posted++;
        if (++i == r->count)
            i = 0;
    }
    if (!posted)
        return;
    r->next_to_use = r->next_to_alloc = i;
    trace(trace_event::igb_alloc_rx_buffers, r->netdev->name, r->queue_index, posted, i);
    dma_wmb(); // descriptors before the tail
    writel(i, r->tail);
}

bool igb_rx_pending(const igb_ring *r)
{
    return read_once(r->rx_desc[r->next_to_clean].wb.status_error) & RXD_STAT_DD;
}

/// Bytes of link, IP and TCP or UDP header of a frame of more than IGB_RX_HDR_LEN bytes at p; what cannot be told is IGB_RX_HDR_LEN
/// (Linux igb_get_headlen). The payload stays in the page, where GRO and the socket queues can pass it on without a copy.
static u32 header_length(const u8 *p)
{
    if (p[12] != 0x08 || p[13] != 0x00 || (p[14] & 0xf0) != 0x40)
        return IGB_RX_HDR_LEN;
    u32 l4 = ETH_HLEN + (p[14] & 15) * 4u;
    if (p[23] == IPPROTO_TCP)
        return max(l4 + (p[l4 + 12] >> 4) * 4u, u32{ETH_HLEN});
    if (p[23] == IPPROTO_UDP)
        return l4 + 8;
    return IGB_RX_HDR_LEN;
}

/// Hand the slot's data to skb: short frames by copy into the head, so that the page stays; of long ones the headers, which must be
/// linear before anybody looks at them, and the rest as a page fragment, the other half of the page going back to the slot while
/// nobody else uses it (Linux igb_add_rx_frag, igb_pull_tail, igb_can_reuse_rx_page).
static bool add_rx_data(igb_rx_buffer *b, sk_buff *skb, u32 size)
{
    const u8 *va = b->va + b->page_offset;
    u32 head = 0;
    if (!skb->len) {
        head = size <= IGB_RX_HDR_LEN ? size : header_length(va);
        memcpy(skb_put(skb, head), va, head);
        if (head == size)
            return true;
    }
    if (skb_shinfo(skb)->nr_frags == MAX_SKB_FRAGS)
        return false; // longer than any frame we asked for
    bool sole_owner = b->pg->refs.load(std::memory_order_acquire) == 1;
    if (sole_owner)
        get_page(b->pg); // the slot keeps the page, the skb gets its own reference
    skb_add_rx_frag(skb, b->pg, b->page_offset + head, size - head, IGB_RX_BUFSZ);
    if (sole_owner)
        b->page_offset ^= IGB_RX_BUFSZ;
    else
        b->pg = nullptr; // its reference went with the skb
    return true;
}

/// Data of the descriptor at next_to_clean goes to the frame being built. Null: out of memory or oversized; the frame is dropped
/// and the slot's buffer is posted again.
static sk_buff *fetch_rx_buffer(igb_ring *r, u32 size)
{
    igb_rx_buffer *b = &r->rx_buffer_info[r->next_to_clean];
    sk_buff *skb = r->skb;
    if (!skb) {
        skb = napi_alloc_skb(&r->q_vector->napi, IGB_RX_HDR_LEN);
        if (!skb) [[unlikely]] {
            r->alloc_failed++;
            return nullptr;
        }
        skb->trace_id = trace_new_id();
    }
    r->skb = nullptr;
    if (add_rx_data(b, skb, size))
        return skb;
    kfree_skb(skb);
    return nullptr;
}

static void rx_checksum(igb_ring *r, sk_buff *skb, u32 staterr)
{
    if (staterr & RXD_STAT_IXSM || !(r->netdev->features & NETIF_F_RXCSUM))
        return;
    if (staterr & (RXDEXT_STATERR_TCPE | RXDEXT_STATERR_IPE)) {
        r->csum_err++; // the stack looks for itself and counts
        return;
    }
    if (staterr & (RXD_STAT_TCPCS | RXD_STAT_UDPCS))
        skb->ip_summed = CHECKSUM_UNNECESSARY;
}

static void process_skb(igb_q_vector *q, sk_buff *skb, u32 staterr, u32 rss, u16 pkt_info)
{
    igb_ring *r = &q->rx;
    if (skb_headlen(skb) < ETH_HLEN) {
        kfree_skb(skb);
        return;
    }
    if (pkt_info & RXD_PKTINFO_RSSTYPE && r->netdev->features & NETIF_F_RXHASH)
        skb->hash = rss;
    rx_checksum(r, skb, staterr);
    skb->queue_mapping = r->queue_index;
    q->total_bytes += skb->len;
    r->bytes += skb->len;
    skb->protocol = eth_type_trans(skb, r->netdev);
    napi_gro_receive(&q->napi, skb);
}

/// A piece of the frame was lost: throw away what there is of it, and the rest up to its last descriptor.
static void discard_frame(igb_ring *r, bool eop)
{
    if (r->skb)
        kfree_skb(r->skb);
    r->skb = nullptr;
    r->discard = !eop;
}

bool igb_clean_rx_irq(igb_q_vector *q, int budget)
{
    igb_ring *r = &q->rx;
    u16 unused = igb_desc_unused(r);
    int packets = 0;
    while (packets < budget) {
        if (unused >= IGB_RX_BUFFER_WRITE) {
            igb_alloc_rx_buffers(r, unused);
            unused = igb_desc_unused(r);
        }
        e1000_adv_rx_desc *d = &r->rx_desc[r->next_to_clean];
        u32 staterr = read_once(d->wb.status_error);
        if (!(staterr & RXD_STAT_DD))
            break;
        dma_rmb(); // the rest of the descriptor after DD
        u16 index = r->next_to_clean;
        u16 size = d->wb.length, pkt_info = d->wb.pkt_info;
        u32 rss = d->wb.rss;
        bool eop = staterr & RXD_STAT_EOP;
        sk_buff *skb = r->discard || size > IGB_RX_BUFSZ ? nullptr : fetch_rx_buffer(r, size);
        r->next_to_clean = static_cast<u16>(index + 1 == r->count ? 0 : index + 1);
        unused++;
        r->cleaned++;
        if (!skb) [[unlikely]] {
            discard_frame(r, eop);
            continue;
        }
        if (!eop) {
            r->skb = skb; // the frame goes on in the next descriptor
            continue;
        }
        packets++;
        r->packets++;
        trace(trace_event::igb_clean_rx, skb->trace_id, r->netdev->name, r->queue_index, index,
              skb->len, rss);
        process_skb(q, skb, staterr, rss, pkt_info);
    }
    q->total_packets += static_cast<u32>(packets);
    if (unused >= IGB_RX_BUFFER_WRITE)
        igb_alloc_rx_buffers(r, unused);
    return packets < budget;
}

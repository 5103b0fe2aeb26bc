// SPDX-License-Identifier: MIT
// igb: descriptor rings: memory, programming, emptying. Process context; the ring's interrupt and NAPI context are off.
#include "drivers/net/igb/igb.h"
#include "mm/slab.h"
#include "mm/vmalloc.h"

constexpr u64 DMA_COHERENT_ALIGN = 4096;

static unsigned order_of(u32 bytes)
{
    unsigned order = 0;
    while ((PAGE_SIZE << order) < bytes)
        order++;
    return order;
}

/// The half that both directions share: descriptors for the device (physically contiguous, zeroed), `info` for software.
static result<void> alloc_ring(igb_ring *r, void **info, size_t info_entry)
{
    r->size = static_cast<u32>(align_up(r->count * sizeof(e1000_adv_rx_desc), DMA_COHERENT_ALIGN));
    *info = vzalloc(r->count * info_entry);
    if (!*info)
        return error{ENOMEM};
    void *desc = get_free_pages(GFP_KERNEL | GFP_ZERO, order_of(r->size));
    if (!desc) {
        vfree(*info);
        *info = nullptr;
        return error{ENOMEM};
    }
    r->rx_desc = static_cast<e1000_adv_rx_desc *>(desc);
    r->dma = virt_to_phys(desc);
    r->next_to_use = r->next_to_clean = r->next_to_alloc = 0;
    return {};
}

result<void> igb_setup_rx_resources(igb_ring *r)
{
    void *info = nullptr;
    result<void> res = alloc_ring(r, &info, sizeof(igb_rx_buffer));
    r->rx_buffer_info = static_cast<igb_rx_buffer *>(info);
    return res;
}

result<void> igb_setup_tx_resources(igb_ring *r)
{
    void *info = nullptr;
    result<void> res = alloc_ring(r, &info, sizeof(igb_tx_buffer));
    r->tx_buffer_info = static_cast<igb_tx_buffer *>(info);
    return res;
}

void igb_free_ring(igb_ring *r)
{
    if (!r->rx_desc)
        return;
    vfree(r->is_rx ? static_cast<void *>(r->rx_buffer_info) : r->tx_buffer_info);
    free_pages(r->rx_desc);
    r->rx_desc = nullptr;
    r->rx_buffer_info = nullptr;
}

static void clean_rx_ring(igb_ring *r)
{
    if (r->skb)
        kfree_skb(r->skb);
    r->skb = nullptr;
    for (u16 i = 0; i < r->count; i++) {
        igb_rx_buffer *b = &r->rx_buffer_info[i];
        if (b->pg)
            put_page(b->pg);
        *b = {};
    }
}

static void clean_tx_ring(igb_ring *r)
{
    for (u16 i = 0; i < r->count; i++) {
        igb_tx_buffer *b = &r->tx_buffer_info[i];
        if (b->skb)
            kfree_skb(b->skb);
        *b = {};
    }
}

void igb_clean_ring(igb_ring *r)
{
    if (!r->rx_desc)
        return;
    if (r->is_rx)
        clean_rx_ring(r);
    else
        clean_tx_ring(r);
    memset(r->rx_desc, 0, r->size);
    r->next_to_use = r->next_to_clean = r->next_to_alloc = 0;
}

void igb_configure_rx_ring(igb_adapter *a, igb_ring *r)
{
    unsigned q = r->queue_index;
    a->hw.write(RXDCTL, q, 0);
    a->hw.write(RDBAL, q, static_cast<u32>(r->dma));
    a->hw.write(RDBAH, q, static_cast<u32>(r->dma >> 32));
    a->hw.write(RDLEN, q, r->count * static_cast<u32>(sizeof(e1000_adv_rx_desc)));
    a->hw.write(RDH, q, 0);
    a->hw.write(RDT, q, 0);
    r->tail = a->hw.address(RDT, q);
    // With several queues a full one must not hold up the others: the device drops for it.
    u32 drop = a->num_q_vectors > 1 ? SRRCTL_DROP_EN : 0;
    a->hw.write(SRRCTL, q, SRRCTL_BSIZEPKT_2K | SRRCTL_DESCTYPE_ADV_ONEBUF | drop);
    a->hw.write(RXDCTL, q,
                XDCTL_QUEUE_ENABLE | 8 | 8 << 8 | 4 << 16); // prefetch, host, write-back thresholds
}

void igb_configure_tx_ring(igb_adapter *a, igb_ring *r)
{
    unsigned q = r->queue_index;
    a->hw.write(TXDCTL, q, 0);
    a->hw.write(TDLEN, q, r->count * static_cast<u32>(sizeof(e1000_adv_tx_desc)));
    a->hw.write(TDBAL, q, static_cast<u32>(r->dma));
    a->hw.write(TDBAH, q, static_cast<u32>(r->dma >> 32));
    a->hw.write(TDH, q, 0);
    a->hw.write(TDT, q, 0);
    r->tail = a->hw.address(TDT, q);
    a->hw.write(TXDCTL, q, XDCTL_QUEUE_ENABLE | 8 | 1 << 8 | 16 << 16);
}

// SPDX-License-Identifier: MIT
// igb: transmit and completion (atlas §11.8). igb_xmit_frame: BHs off, the queue's xmit lock held. igb_clean_tx_irq: softirq owner of the
// vector. They share next_to_clean (written by cleaning) and next_to_use (written by sending).
#include "drivers/net/igb/igb.h"
#include "net/ipv4/tcp.h"
#include "trace/trace.h"

static netdev_queue *txring_txq(const igb_ring *r)
{
    return netdev_get_tx_queue(r->netdev, r->queue_index);
}

/// Stop the queue unless `need` descriptors are free; looks again after stopping, because cleaning may have just made room.
static bool maybe_stop_tx(igb_ring *r, u16 need)
{
    if (likely(igb_desc_unused(r) >= need))
        return false;
    netdev_queue *txq = txring_txq(r);
    netif_tx_stop_queue(txq);
    trace(trace_event::igb_tx_stop, r->netdev->name, r->queue_index);
    smp_mb();
    if (igb_desc_unused(r) < need)
        return true;
    netif_tx_start_queue(txq);
    r->restart_queue++;
    return false;
}

/// Write the context descriptor that tells the device where the IPv4 L4 checksum is. Returns whether the packet wants one.
static bool tx_csum(igb_ring *r, const sk_buff *skb)
{
    if (skb->ip_summed != CHECKSUM_PARTIAL)
        return false;
    u16 i = r->next_to_use;
    e1000_adv_tx_desc *d = &r->tx_desc[i];
    u32 l4_start = static_cast<u32>(skb_transport_offset(skb)),
        l3_start = static_cast<u32>(skb_network_offset(skb));
    d->ctx.vlan_macip_lens = (l4_start - l3_start) | l3_start << TXD_MACLEN_SHIFT;
    d->ctx.seqnum_seed = 0;
    bool tcp = skb->csum_offset == 16; // the checksum's place in a TCP header; UDP's is 6
    d->ctx.type_tucmd_mlhl =
        TXD_DTYP_CTXT | TXD_DCMD_DEXT | TXD_TUCMD_IPV4 | (tcp ? TXD_TUCMD_L4T_TCP : 0);
    d->ctx.mss_l4len_idx = (tcp ? 20u : 8u) << TXD_L4LEN_SHIFT;
    r->tx_buffer_info[i].next_to_watch = nullptr;
    r->next_to_use = static_cast<u16>(i + 1 == r->count ? 0 : i + 1);
    return true;
}

/// The same for a packet that the device cuts into segments of gso_size (TSO): it fills in the IP length and checksum, the TCP sequence
/// number, flags and checksum of each, from a header without lengths.
static void tx_tso(igb_ring *r, sk_buff *skb)
{
    iphdr *iph = ip_hdr(skb);
    tcphdr *th = tcp_hdr(skb);
    iph->tot_len = be16{};
    iph->check = be16{};
    __tcp_v4_send_check_len(skb, iph->saddr, iph->daddr, 0);
    u16 i = r->next_to_use;
    e1000_adv_tx_desc *d = &r->tx_desc[i];
    u32 l3_start = static_cast<u32>(skb_network_offset(skb));
    d->ctx.vlan_macip_lens = ip_hdrlen(skb) | l3_start << TXD_MACLEN_SHIFT;
    d->ctx.seqnum_seed = 0;
    d->ctx.type_tucmd_mlhl = TXD_DTYP_CTXT | TXD_DCMD_DEXT | TXD_TUCMD_IPV4 | TXD_TUCMD_L4T_TCP;
    d->ctx.mss_l4len_idx = u32{skb_shinfo(skb)->gso_size} << TXD_MSS_SHIFT | th->doff * 4u
                                                                                 << TXD_L4LEN_SHIFT;
    r->tx_buffer_info[i].next_to_watch = nullptr;
    r->next_to_use = static_cast<u16>(i + 1 == r->count ? 0 : i + 1);
}

/// One piece of the packet into the next descriptor(s).
static e1000_adv_tx_desc *fill_piece(igb_ring *r, const void *data, u32 size, u32 cmd, u32 olinfo)
{
    e1000_adv_tx_desc *d = nullptr;
    dma_addr_t dma = virt_to_phys(data);
    while (size) {
        u32 chunk = min(size, 1u << IGB_MAX_TXD_PWR);
        u16 i = r->next_to_use;
        d = &r->tx_desc[i];
        d->read.buffer_addr = dma;
        d->read.cmd_type_len = cmd | chunk;
        d->read.olinfo_status = olinfo;
        r->tx_buffer_info[i].dma = dma;
        r->next_to_use = static_cast<u16>(i + 1 == r->count ? 0 : i + 1);
        dma += chunk;
        size -= chunk;
    }
    return d;
}

static void tx_map(igb_ring *r, sk_buff *skb, u16 first, bool csum, bool tso)
{
    u32 cmd = TXD_DTYP_DATA | TXD_DCMD_DEXT | TXD_DCMD_IFCS;
    u32 olinfo = skb->len << TXD_PAYLEN_SHIFT | (csum ? TXD_POPTS_TXSM : 0);
    if (tso) {
        u32 hlen = static_cast<u32>(skb_transport_offset(skb)) + tcp_hdr(skb)->doff * 4u;
        cmd |= TXD_DCMD_TSE;
        olinfo = (skb->len - hlen) << TXD_PAYLEN_SHIFT | TXD_POPTS_TXSM | TXD_POPTS_IXSM;
    }
    e1000_adv_tx_desc *last = nullptr;
    if (skb_headlen(skb))
        last = fill_piece(r, skb->data, skb_headlen(skb), cmd, olinfo);
    const skb_shared_info *sh = skb_shinfo(skb);
    for (u16 f = 0; f < sh->nr_frags; f++) {
        const skb_frag &frag = sh->frags[f];
        last = fill_piece(r, static_cast<u8 *>(page_address(frag.pg)) + frag.offset, frag.size, cmd,
                          olinfo);
    }
    last->read.cmd_type_len |= TXD_DCMD_EOP | TXD_DCMD_RS;
    igb_tx_buffer *b = &r->tx_buffer_info[first];
    b->skb = skb;
    b->bytecount = skb->len;
    r->tx_buffer_info[r->next_to_use].next_to_watch = nullptr;
    dma_wmb(); // descriptors and buffer info before they are published
    write_once(b->next_to_watch, last);
}

netdev_tx igb_xmit_frame(sk_buff *skb, net_device *dev)
{
    constexpr u32 min_frame = 17; // shorter ones hang the hardware
    igb_adapter *a = igb_priv(dev);
    if (!a->up || !skb->len) {
        kfree_skb(skb);
        return NETDEV_TX_OK;
    }
    if (skb->len < min_frame) {
        u32 pad = min_frame - skb->len;
        if (skb_linearize(skb) ||
            (skb_tailroom(skb) < pad && pskb_expand_head(skb, 0, pad, GFP_ATOMIC))) {
            kfree_skb(skb);
            return NETDEV_TX_OK;
        }
        memset(skb_put(skb, pad), 0, pad);
    }
    igb_ring *r = &a->q_vector[skb->queue_mapping % a->num_q_vectors]->tx;
    u16 need =
        static_cast<u16>(skb_shinfo(skb)->nr_frags + (skb_headlen(skb) >> IGB_MAX_TXD_PWR) + 3);
    if (maybe_stop_tx(r, need))
        return NETDEV_TX_BUSY;
    u32 id = skb->trace_id, len = skb->len;
    u16 first = r->next_to_use;
    bool tso = skb_shinfo(skb)->gso_size, csum = false;
    if (tso)
        tx_tso(r, skb);
    else
        csum = tx_csum(r, skb);
    tx_map(r, skb, first, csum, tso);
    trace(trace_event::igb_xmit, id, dev->name, r->queue_index, r->next_to_use, len);
    writel(r->next_to_use, r->tail);
    maybe_stop_tx(r, IGB_DESC_NEEDED);
    return NETDEV_TX_OK;
}

/// Forget the descriptors from `i` up to and including the packet's last one; returns the index behind it.
static u16 unmap_packet(igb_ring *r, u16 i, const e1000_adv_tx_desc *last)
{
    for (;;) {
        bool done = &r->tx_desc[i] == last;
        r->tx_buffer_info[i].next_to_watch = nullptr;
        i = static_cast<u16>(i + 1 == r->count ? 0 : i + 1);
        r->cleaned++;
        if (done)
            return i;
    }
}

static void maybe_wake_tx(igb_ring *r)
{
    netdev_queue *txq = txring_txq(r);
    if (!netif_tx_queue_stopped(txq))
        return;
    smp_mb(); // our next_to_clean before looking at the queue again: the sender stops, then re-reads it
    if (igb_desc_unused(r) >= 2 * IGB_DESC_NEEDED && netif_tx_queue_stopped(txq) &&
        r->q_vector->adapter->up) {
        trace(trace_event::igb_tx_wake, r->netdev->name, r->queue_index);
        netif_tx_wake_queue(txq);
        r->restart_queue++;
    }
}

bool igb_tx_pending(const igb_ring *r)
{
    const e1000_adv_tx_desc *eop =
        read_once(r->tx_buffer_info[read_once(r->next_to_clean)].next_to_watch);
    return eop && (read_once(eop->wb.status) & TXD_STAT_DD);
}

bool igb_clean_tx_irq(igb_q_vector *q)
{
    igb_ring *r = &q->tx;
    u32 budget = IGB_TX_WORK;
    u16 i = r->next_to_clean;
    bool all = true;
    for (;;) {
        igb_tx_buffer *b = &r->tx_buffer_info[i];
        e1000_adv_tx_desc *eop = read_once(b->next_to_watch);
        if (!eop)
            break;
        dma_rmb();
        if (!(read_once(eop->wb.status) & TXD_STAT_DD))
            break;
        if (!budget--) {
            all = false;
            break;
        }
        sk_buff *skb = b->skb;
        b->skb = nullptr;
        q->total_packets++;
        q->total_bytes += b->bytecount;
        r->packets++;
        r->bytes += b->bytecount;
        trace(trace_event::igb_clean_tx, skb->trace_id, r->netdev->name, r->queue_index, i);
        consume_skb(skb);
        i = unmap_packet(r, i, eop);
        std::atomic_thread_fence(std::memory_order_release);
        write_once(r->next_to_clean, i);
    }
    maybe_wake_tx(r);
    return all;
}

// SPDX-License-Identifier: MIT
// The mapped receive ring, TPACKET_V2 (libpcap's). Linux: packet_set_ring, tpacket_rcv of net/packet/af_packet.c. The program may write
// anything into the ring at any time: the kernel reads nothing from it but a frame's status word.

#include "net/packet/packet.h"

namespace
{
constexpr u32 TP_STATUS_KERNEL = 0, TP_STATUS_USER = 1, TP_STATUS_COPY = 2, TP_STATUS_LOSING = 4,
              TP_STATUS_CSUMNOTREADY = 8;
struct tpacket2_hdr {
    u32 tp_status, tp_len, tp_snaplen;
    u16 tp_mac, tp_net;
    u32 tp_sec, tp_nsec;
    u16 tp_vlan_tci, tp_vlan_tpid;
    u8 padding[4];
};
static_assert(sizeof(tpacket2_hdr) == 32);
struct tpacket_req {
    u32 block_size, block_nr, frame_size, frame_nr;
};
constexpr u32 TPACKET_ALIGNMENT = 16, TPACKET_HDRLEN = sizeof(tpacket2_hdr) + sizeof(sockaddr_ll);
/// Most memory of one ring.
constexpr u64 MAX_RING = u64{64} << 20;

u32 tp_align(u32 n)
{
    return (n + TPACKET_ALIGNMENT - 1) & ~(TPACKET_ALIGNMENT - 1);
}

/// Offset of a frame in the mapping.
u64 frame_offset(const packet_ring &r, u32 i)
{
    return u64{i / r.frames_per_block} * r.block_size + u64{i % r.frames_per_block} * r.frame_size;
}

u8 *ring_address(const packet_ring &r, u64 offset)
{
    return static_cast<u8 *>(page_address(r.pages[offset / PAGE_SIZE])) + offset % PAGE_SIZE;
}

/// Copy to the ring, page by page: from memory, or from a packet at `skb_offset`.
void ring_write(const packet_ring &r, u64 at, const void *from, u32 n)
{
    auto *p = static_cast<const u8 *>(from);
    while (n) {
        u32 part = min<u32>(n, static_cast<u32>(PAGE_SIZE - at % PAGE_SIZE));
        memcpy(ring_address(r, at), p, part);
        at += part;
        p += part;
        n -= part;
    }
}
void ring_write_skb(const packet_ring &r, u64 at, const sk_buff *skb, u32 n)
{
    for (u32 off = 0; off < n;) {
        u32 part = min<u32>(n - off, static_cast<u32>(PAGE_SIZE - at % PAGE_SIZE));
        skb_copy_bits(skb, off, ring_address(r, at), part);
        at += part;
        off += part;
    }
}

u32 *status_of(const packet_ring &r, u32 i)
{
    return reinterpret_cast<u32 *>(ring_address(r, frame_offset(r, i)));
}

/// Fill the next frame; false: it is still the program's. ring_lock held.
bool fill_frame(packet_sock *po, const sk_buff *skb, const sockaddr_ll &sll, u32 origlen)
{
    packet_ring &r = po->ring;
    if (__atomic_load_n(status_of(r, r.head), __ATOMIC_ACQUIRE) != TP_STATUS_KERNEL)
        return false;
    u32 maclen = po->sk_type == SOCK_DGRAM ? 0 : static_cast<u32>(max(skb_network_offset(skb), 0));
    u32 net = tp_align(TPACKET_HDRLEN + max<u32>(maclen, 16)) + po->reserve, mac = net - maclen;
    u32 room = r.frame_size > mac ? r.frame_size - mac : 0;
    u32 snaplen = min(skb->len, room);
    u64 at = frame_offset(r, r.head);
    ring_write_skb(r, at + mac, skb, snaplen);
    u64 ns = skb->tstamp ? skb->tstamp : ktime_get_real();
    u32 status = TP_STATUS_USER | (po->tp_drops.load() ? TP_STATUS_LOSING : 0) |
                 (skb->ip_summed == CHECKSUM_PARTIAL ? TP_STATUS_CSUMNOTREADY : 0);
    tpacket2_hdr h{TP_STATUS_KERNEL,
                   origlen,
                   snaplen,
                   static_cast<u16>(mac),
                   static_cast<u16>(net),
                   static_cast<u32>(ns / NSEC_PER_SEC),
                   static_cast<u32>(ns % NSEC_PER_SEC),
                   skb->vlan_tci,
                   0,
                   {}};
    ring_write(r, at, &h, sizeof h);
    ring_write(r, at + sizeof h, &sll, sizeof sll);
    __atomic_store_n(status_of(r, r.head), status, __ATOMIC_RELEASE);
    r.head = r.head + 1 == r.nr_frames ? 0 : r.head + 1;
    return true;
}
} // namespace

int tpacket_rcv(sk_buff *skb, net_device *dev, packet_type *pt, net_device *orig_dev)
{
    packet_sock *po = container_of(pt, packet_sock, prot_hook);
    skb = skb_share_check(skb, GFP_ATOMIC);
    if (!skb)
        return 0;
    packet_pull_data(po, skb, dev);
    sockaddr_ll sll;
    packet_fill_sll(po, skb, dev, orig_dev, &sll);
    u32 origlen = skb->len;
    if (sk_filter(po, skb, 0)) {
        consume_skb(skb);
        return 0;
    }
    bool done;
    {
        spin_guard<bh> g{po->ring_lock};
        done = po->ring.nr_frames && fill_frame(po, skb, sll, origlen);
    }
    done ? po->tp_packets.fetch_add(1) : po->tp_drops.fetch_add(1);
    po->sk_data_ready(po, 0);
    consume_skb(skb);
    return 0;
}

bool packet_ring_readable(packet_sock *po)
{
    spin_guard<bh> g{po->ring_lock};
    packet_ring &r = po->ring;
    if (!r.nr_frames)
        return false;
    u32 last = r.head ? r.head - 1 : r.nr_frames - 1;
    return __atomic_load_n(status_of(r, last), __ATOMIC_ACQUIRE) != TP_STATUS_KERNEL;
}

page *packet_file_page(socket *s, u64 index)
{
    packet_sock *po = pkt_sk(s->sk);
    spin_guard<bh> g{po->ring_lock};
    if (index >= po->ring.nr_pages)
        return nullptr;
    get_page(po->ring.pages[index]);
    return po->ring.pages[index];
}

// --- Making and ending ---------------------------------------------------------------------------------------------------------

static void free_pages_of(packet_ring &r)
{
    for (u32 i = 0; i < r.nr_pages && r.pages; i++)
        if (r.pages[i])
            put_page(r.pages[i]); // mappings have references of their own
    kfree(r.pages);
    r = packet_ring{};
}

static result<void> check_request(const packet_sock *po, const tpacket_req &q)
{
    if (po->version != 1)
        return error{EINVAL}; // V2 only
    u32 least = TPACKET_HDRLEN + po->reserve;
    if (!q.block_size || q.block_size % PAGE_SIZE || q.block_size > INT32_MAX || !q.frame_size ||
        q.frame_size < least || q.frame_size % TPACKET_ALIGNMENT || q.frame_size > q.block_size)
        return error{EINVAL};
    u32 per_block = q.block_size / q.frame_size;
    if (u64{per_block} * q.block_nr != q.frame_nr)
        return error{EINVAL};
    return u64{q.block_size} * q.block_nr > MAX_RING ? result<void>{error{ENOMEM}} : result<void>{};
}

static result<void> make_ring(const tpacket_req &q, packet_ring *r)
{
    r->block_size = q.block_size;
    r->frame_size = q.frame_size;
    r->frames_per_block = q.block_size / q.frame_size;
    r->nr_pages = static_cast<u32>(u64{q.block_size} * q.block_nr / PAGE_SIZE);
    r->pages = static_cast<page **>(kzalloc(r->nr_pages * sizeof(page *), GFP_KERNEL));
    for (u32 i = 0; r->pages && i < r->nr_pages; i++) {
        r->pages[i] = alloc_pages(GFP_KERNEL | GFP_ZERO, 0);
        if (!r->pages[i]) {
            free_pages_of(*r);
            return error{ENOMEM};
        }
        cond_resched();
    }
    if (!r->pages)
        return error{ENOMEM};
    r->nr_frames = q.frame_nr;
    return {};
}

result<void> packet_set_ring(packet_sock *po, user_ptr<const void> val, unsigned len)
{
    tpacket_req q;
    if (len < sizeof q)
        return error{EINVAL};
    TRY_VOID(copy_from_user(&q, val, sizeof q));
    packet_ring fresh;
    if (q.block_nr) {
        if (po->ring.nr_frames)
            return error{EBUSY};
        TRY_VOID(check_request(po, q));
        TRY_VOID(make_ring(q, &fresh));
    } else if (q.frame_nr) {
        return error{EINVAL};
    }
    bool was_running = po->running;
    if (was_running)
        packet_unhook(po);
    {
        spin_guard<bh> g{po->ring_lock};
        packet_ring old = po->ring;
        po->ring = fresh;
        fresh = old;
    }
    po->prot_hook.func = po->ring.nr_frames ? tpacket_rcv : nullptr;
    if (was_running)
        packet_hook(po);
    skb_queue_purge(&po->sk_receive_queue);
    free_pages_of(fresh);
    return {};
}

void packet_free_ring(packet_sock *po)
{
    free_pages_of(po->ring);
}

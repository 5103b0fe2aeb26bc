/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite: from a ring to the wire. A packet is gathered into a private buffer, so that guest
 * memory is read once and never written, then checksummed, segmented and tagged as its context
 * descriptor says; the packet itself is not parsed.
 *
 * A doorbell handles up to DOORBELL_DESCS descriptors of a queue in the CPU's access, the rest is
 * tx_bh's. The head moves only over whole packets: one that has no end yet stays in the ring and is
 * gathered anew, so that no half packet is state to migrate.
 */
#include "qemu/osdep.h"

#include "hw/qdev-core.h"
#include "igb_lite.h"
#include "net/eth.h"
#include "qemu/crc32c.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "system/runstate.h"
#include "trace.h"

#define DOORBELL_DESCS 128
#define BH_DESCS 256
/* Descriptors of one packet; what has more is dropped in pieces of this many. */
#define PACKET_DESCS 256
/* Descriptors fetched by one DMA. */
#define FETCH 16
/* In front of every frame: room for a VLAN tag. */
#define HEADROOM 4
#define MIN_FRAME 60
/* Bounds the number of frames that one packet is cut into. */
#define MIN_MSS 32

/* One queue's run over its ring. */
typedef struct TxRun {
    unsigned q;
    uint32_t size, head, tail;
    IGBLiteTxDesc fetched[FETCH];
    uint32_t first, count; /* which ring slots are in fetched */
    uint32_t done;         /* descriptors retired */
    size_t bytes;          /* of their packets */
    bool raise;            /* something was written back */
} TxRun;

/* One gathered packet. */
typedef struct TxPacket {
    uint32_t cmd, olinfo; /* the first descriptor's */
    unsigned descs;
    size_t len;
    bool bad;
    uint64_t
        write_back[PACKET_DESCS]; /* for descriptors with RS, their second half with DD; else 0 */
} TxPacket;

static uint64_t ring_slot(IGBLiteState *s, unsigned q, uint32_t index)
{
    return ((uint64_t)IGB_LITE_Q(s, TDBAH, q) << 32 | IGB_LITE_Q(s, TDBAL, q)) +
           (uint64_t)index * sizeof(IGBLiteTxDesc);
}

/* Hands one frame, at frame + HEADROOM, to the wire or to the loopback. */
static void emit(IGBLiteState *s, uint8_t *frame, size_t len, bool tagged, uint16_t tag)
{
    uint8_t *start = frame + HEADROOM;

    if (tagged) {
        memmove(frame, start, 12);
        stw_be_p(frame + 12, IGB_LITE_GET(s, VET, VLAN));
        stw_be_p(frame + 14, tag);
        start = frame;
        len += HEADROOM;
    }
    if (len < MIN_FRAME) {
        memset(start + len, 0, MIN_FRAME - len);
        len = MIN_FRAME;
    }
    if (!s->link_up) {
        trace_igb_lite_tx_no_link(len);
        return;
    }
    trace_igb_lite_tx_frame(len);
    igb_lite_log(s, "tx-frame", "\"queue\":%u,\"len\":%zu", s->tx_queue, len);
    if (igb_lite_fault(s, IGB_LITE_FAULT_TX_CORRUPT)) {
        igb_lite_fault_corrupt(s, start, len);
    }
    igb_lite_count_seen(s, true, len);
    igb_lite_count_frame(s, true, start, len);
    if (igb_lite_phy_loopback(s) || IGB_LITE_GET(s, RCTL, LBM)) {
        igb_lite_rx_frame(s, start, len, true);
    } else {
        qemu_send_packet(qemu_get_queue(s->nic), start, len);
    }
}

/* Where the layers of a packet start, from its context. */
typedef struct TxLayout {
    size_t l3, l4, payload;
    unsigned l4_type;
    bool ipv4;
    uint16_t mss, tag;
} TxLayout;

static TxLayout layout_of(const IGBLiteTxContext *ctx)
{
    TxLayout l = {.l3 = FIELD_EX32(ctx->vlan_macip_lens, TX_CTX_LO, MACLEN)};

    l.l4 = l.l3 + FIELD_EX32(ctx->vlan_macip_lens, TX_CTX_LO, IPLEN);
    l.payload = l.l4 + FIELD_EX32(ctx->mss_l4len_idx, TX_CTX_OL, L4LEN);
    l.l4_type = FIELD_EX32(ctx->type_cmd, TX_CTX_CMD, L4T);
    l.ipv4 = FIELD_EX32(ctx->type_cmd, TX_CTX_CMD, IPV4);
    l.mss = FIELD_EX32(ctx->mss_l4len_idx, TX_CTX_OL, MSS);
    l.tag = FIELD_EX32(ctx->vlan_macip_lens, TX_CTX_LO, VLAN);
    return l;
}

/*
 * The IPv4 header checksum: the complement of the sum over the header as it is. Its own field is
 * the seed that software left, normally 0.
 */
static void ip_checksum(IGBLiteState *s, uint8_t *frame, size_t len, const TxLayout *l)
{
    if (l->l4 < l->l3 + sizeof(struct ip_header) || l->l4 > len) {
        igb_lite_guest_error(s, "TX: IP header at %zu to %zu in a packet of %zu", l->l3, l->l4,
                             len);
        return;
    }
    stw_be_p(frame + l->l3 + 10, ~igb_lite_fold(igb_lite_sum(frame + l->l3, l->l4 - l->l3, 0)));
}

/*
 * The layer 4 checksum: the complement of the sum from layer 4's start to the end. Software left
 * the sum of the pseudo header in its field, without the length when the packet is segmented:
 * add_length then.
 */
static void l4_checksum(IGBLiteState *s, uint8_t *frame, size_t len, const TxLayout *l,
                        bool add_length)
{
    static const uint8_t field[] = {
        [IGB_LITE_L4_UDP] = 6, [IGB_LITE_L4_TCP] = 16, [IGB_LITE_L4_SCTP] = 8};
    uint8_t *l4 = frame + l->l4;
    size_t width = l->l4_type == IGB_LITE_L4_SCTP ? 4 : 2;
    uint8_t *sum;
    uint16_t val;

    if (l->l4_type >= ARRAY_SIZE(field) || l->l4 + field[l->l4_type] + width > len) {
        igb_lite_guest_error(s, "TX: layer 4 type %u at %zu in a packet of %zu", l->l4_type, l->l4,
                             len);
        return;
    }
    sum = l4 + field[l->l4_type];
    if (l->l4_type == IGB_LITE_L4_SCTP) {
        stl_le_p(sum, 0);
        stl_le_p(sum, crc32c(0xffffffff, l4, len - l->l4));
        return;
    }
    val = ~igb_lite_fold(igb_lite_sum(l4, len - l->l4, add_length ? len - l->l4 : 0));
    stw_be_p(sum, val || l->l4_type != IGB_LITE_L4_UDP ? val : 0xffff);
}

/*
 * One segment's headers: lengths, IP id, TCP sequence number and flags, or UDP length. at: its
 * payload's place in all of it.
 */
static void fix_headers(uint8_t *frame, size_t len, const TxLayout *l, unsigned index, size_t at,
                        bool last)
{
    uint8_t *ip = frame + l->l3, *l4 = frame + l->l4;

    if (l->ipv4) {
        stw_be_p(ip + 2, len - l->l3);
        stw_be_p(ip + 4, lduw_be_p(ip + 4) + index);
    } else {
        stw_be_p(ip + 4, len - l->l3 - sizeof(struct ip6_header));
    }
    if (l->l4_type == IGB_LITE_L4_TCP) {
        stl_be_p(l4 + 4, ldl_be_p(l4 + 4) + at);
        l4[13] &= ~((last ? 0 : TH_FIN | TH_PUSH) | (index ? TH_CWR : 0));
    } else {
        stw_be_p(l4 + 4, len - l->l4);
    }
}

/* Cuts the packet in tx_buf into frames of at most mss bytes of payload. */
static void segment(IGBLiteState *s, const TxPacket *p, const TxLayout *l)
{
    size_t min_ip = l->ipv4 ? sizeof(struct ip_header) : sizeof(struct ip6_header);
    size_t min_l4 = l->l4_type == IGB_LITE_L4_TCP ? sizeof(tcp_header) : sizeof(udp_header);
    const uint8_t *packet = s->tx_buf + HEADROOM;
    uint8_t *frame = s->tx_frame + HEADROOM;
    bool tagged = FIELD_EX32(p->cmd, TX_CMD, VLE);
    size_t total = p->len - MIN(p->len, l->payload);

    if (l->mss < MIN_MSS || l->payload + l->mss + 2 * HEADROOM > IGB_LITE_FRAME_MAX ||
        l->payload > p->len || l->l3 < sizeof(struct eth_header) || l->l4 < l->l3 + min_ip ||
        l->payload < l->l4 + min_l4 || l->l4_type > IGB_LITE_L4_TCP) {
        igb_lite_guest_error(s, "TX: cannot segment: headers %zu %zu %zu, MSS %u, length %zu",
                             l->l3, l->l4, l->payload, l->mss, p->len);
        return;
    }
    igb_lite_count(s, R_TSCTC, 1);
    for (size_t at = 0, i = 0; at < total || !i; at += l->mss, i++) {
        size_t part = MIN(l->mss, total - at);

        memcpy(frame, packet, l->payload);
        memcpy(frame + l->payload, packet + l->payload + at, part);
        fix_headers(frame, l->payload + part, l, i, at, at + part == total);
        if (FIELD_EX32(p->olinfo, TX_OL, IXSM)) {
            ip_checksum(s, frame, l->payload + part, l);
        }
        if (FIELD_EX32(p->olinfo, TX_OL, TXSM)) {
            l4_checksum(s, frame, l->payload + part, l, true);
        }
        emit(s, s->tx_frame, l->payload + part, tagged, l->tag);
    }
}

/* Sends the packet gathered in tx_buf. */
static void send_packet(IGBLiteState *s, unsigned q, const TxPacket *p)
{
    TxLayout l = layout_of(&s->tx_ctx[q][FIELD_EX32(p->olinfo, TX_OL, CTX)]);
    bool extended = FIELD_EX32(p->cmd, TX_CMD, DEXT);
    bool tagged = FIELD_EX32(p->cmd, TX_CMD, VLE);
    uint8_t *frame = s->tx_buf + HEADROOM;

    s->tx_queue = q;
    if (extended && FIELD_EX32(p->cmd, TX_CMD, TSTAMP)) {
        igb_lite_time_sent(s);
    }
    if (extended && FIELD_EX32(p->cmd, TX_CMD, TSE)) {
        segment(s, p, &l);
        return;
    }
    if (p->len < sizeof(struct eth_header) || p->len + 2 * HEADROOM > IGB_LITE_FRAME_MAX) {
        igb_lite_guest_error(s, "TX queue %u: frame of %zu bytes", q, p->len);
        return;
    }
    if (extended && FIELD_EX32(p->olinfo, TX_OL, IXSM)) {
        ip_checksum(s, frame, p->len, &l);
    }
    if (extended && FIELD_EX32(p->olinfo, TX_OL, TXSM)) {
        l4_checksum(s, frame, p->len, &l, false);
    }
    emit(s, s->tx_buf, p->len, tagged, extended ? l.tag : p->olinfo >> 16);
}

/* The descriptor in slot index, fetched with those that follow it. */
static bool fetch(IGBLiteState *s, TxRun *run, uint32_t index, IGBLiteTxDesc *desc)
{
    const IGBLiteTxDesc *d;

    if (index - run->first >= run->count) {
        uint32_t until = index <= run->tail ? run->tail : run->size;

        run->first = index;
        run->count = MIN(FETCH, until - index);
        if (!igb_lite_dma_read(s, ring_slot(s, run->q, index), run->fetched,
                               run->count * sizeof(*desc))) {
            run->count = 0;
            return false;
        }
    }
    d = &run->fetched[index - run->first];
    desc->addr = le64_to_cpu(d->addr);
    desc->cmd = le32_to_cpu(d->cmd);
    desc->olinfo = le32_to_cpu(d->olinfo);
    trace_igb_lite_tx_desc(run->q, index, desc->addr, desc->cmd, desc->olinfo);
    return true;
}

static bool is_context(const IGBLiteTxDesc *d)
{
    return FIELD_EX32(d->cmd, TX_CMD, DEXT) &&
           FIELD_EX32(d->cmd, TX_CMD, TYPE) == IGB_LITE_TX_CONTEXT;
}

static void set_context(IGBLiteState *s, unsigned q, const IGBLiteTxDesc *d)
{
    s->tx_ctx[q][FIELD_EX32(d->olinfo, TX_CTX_OL, INDEX)] = (IGBLiteTxContext){
        .vlan_macip_lens = d->addr,
        .type_cmd = d->cmd,
        .mss_l4len_idx = d->olinfo,
    };
}

static void gather_data(IGBLiteState *s, unsigned q, TxPacket *p, const IGBLiteTxDesc *d)
{
    size_t len = FIELD_EX32(d->cmd, TX_CMD, LENGTH);

    if (!p->descs) {
        p->cmd = d->cmd;
        p->olinfo = d->olinfo;
    }
    if (p->bad || !len) {
        return;
    }
    if (p->len + len + HEADROOM > sizeof(s->tx_buf)) {
        igb_lite_guest_error(s, "TX queue %u: packet longer than %zu", q, sizeof(s->tx_buf));
        p->bad = true;
        return;
    }
    p->bad = !igb_lite_dma_read(s, d->addr, s->tx_buf + HEADROOM + p->len, len);
    p->len += len;
}

/*
 * Gathers what starts at the head: one packet, or one context descriptor, which leaves p->len 0 and
 * p->bad set. False if it has no end yet or cannot be read.
 */
static bool gather(IGBLiteState *s, TxRun *run, TxPacket *p)
{
    uint32_t posted = (run->tail + run->size - run->head) % run->size;
    IGBLiteTxDesc d;

    p->descs = p->len = p->bad = 0;
    while (p->descs < posted && p->descs < PACKET_DESCS) {
        bool context;

        if (!fetch(s, run, (run->head + p->descs) % run->size, &d)) {
            return false;
        }
        context = is_context(&d);
        if (context) {
            set_context(s, run->q, &d);
            p->bad |= !p->descs;
        } else {
            gather_data(s, run->q, p, &d);
        }
        p->write_back[p->descs++] = FIELD_EX32(d.cmd, TX_CMD, RS)
                                        ? d.cmd | (uint64_t)(d.olinfo | R_TX_OL_DD_MASK) << 32
                                        : 0;
        if (context ? p->descs == 1 : FIELD_EX32(d.cmd, TX_CMD, EOP)) {
            return true;
        }
    }
    if (p->descs == PACKET_DESCS || posted == run->size - 1) {
        igb_lite_guest_error(s, "TX queue %u: %u descriptors without an end of packet", run->q,
                             p->descs);
        p->bad = true;
        return true;
    }
    return false;
}

/*
 * Moves the head past the packet and tells the driver: DD in descriptors with RS, or the head to
 * where TDWBA says.
 */
static void retire(IGBLiteState *s, TxRun *run, const TxPacket *p)
{
    uint32_t base = IGB_LITE_Q(s, TDWBAL, run->q);
    IGBLiteWriteBack wb = {
        .tx = true, .queue = run->q, .head_only = FIELD_EX32(base, TDWBAL, HEAD_WB)};
    bool any = false;

    for (unsigned i = 0; i < p->descs; i++) {
        if (p->write_back[i]) {
            any = true;
            if (!wb.head_only) {
                wb.index = run->head;
                wb.addr = ring_slot(s, run->q, run->head);
                wb.status = p->write_back[i];
                run->raise |= igb_lite_write_back(s, &wb);
            }
        }
        run->head = (run->head + 1) % run->size;
    }
    run->done += p->descs;
    run->bytes += p->len;
    IGB_LITE_Q(s, TDH, run->q) = run->head;
    if (any && wb.head_only) {
        wb.index = wb.status = run->head;
        wb.addr = (uint64_t)IGB_LITE_Q(s, TDWBAH, run->q) << 32 | (base & ~3u);
        run->raise |= igb_lite_write_back(s, &wb);
    }
}

/*
 * Works on queue q until it has nothing complete left, and then leaves tx_ready, or until budget
 * descriptors are done.
 */
static void run_queue(IGBLiteState *s, unsigned q, int budget)
{
    TxRun run = {.q = q, .head = IGB_LITE_Q(s, TDH, q), .tail = IGB_LITE_Q(s, TDT, q)};
    TxPacket packet;
    bool more = IGB_LITE_GET(s, TCTL, EN) && FIELD_EX32(IGB_LITE_Q(s, TXDCTL, q), TXDCTL, ENABLE) &&
                run.head != run.tail && !(s->fault_stall[1] >> q & 1);

    if (more) {
        run.size = igb_lite_ring_size(s, IGB_LITE_Q(s, TDLEN, q), run.head, run.tail);
        more = run.size;
    }
    while (more && budget > 0) {
        if (!gather(s, &run, &packet)) {
            more = false;
            break;
        }
        if (!packet.bad) {
            send_packet(s, q, &packet);
        }
        retire(s, &run, &packet);
        budget -= packet.descs;
        more = run.head != run.tail;
    }
    if (run.raise) {
        igb_lite_irq_sent(s, q, run.done, run.size, run.bytes);
    }
    if (!more) {
        s->tx_ready &= ~(1u << q);
    }
}

/* A share of at most budget descriptors for every queue that is ready; the rest is for tx_bh. */
static void run_queues(IGBLiteState *s, int budget)
{
    for (uint32_t todo = s->tx_ready; todo; todo &= todo - 1) {
        run_queue(s, ctz32(todo), budget);
    }
    if (s->tx_ready) {
        qemu_bh_schedule(s->tx_bh);
    }
}

/*
 * Something that may let these queues go on has happened; the caller delivers interrupts. In an
 * MMIO access only.
 */
void igb_lite_tx_kick(IGBLiteState *s, uint32_t queues)
{
    s->tx_ready |= queues;
    run_queues(s, DOORBELL_DESCS);
}

static void tx_bh(void *opaque)
{
    IGBLiteState *s = opaque;

    if (runstate_is_running()) { /* else the state handler schedules this again */
        igb_lite_enter(s);
        run_queues(s, BH_DESCS);
        igb_lite_irq_deliver(s);
        igb_lite_leave(s);
    }
}

void igb_lite_tx_reset(IGBLiteState *s)
{
    qemu_bh_cancel(s->tx_bh);
    s->tx_ready = 0;
    memset(s->tx_ctx, 0, sizeof(s->tx_ctx));
}

void igb_lite_tx_realize(IGBLiteState *s)
{
    s->tx_bh = qemu_bh_new_guarded(tx_bh, s, &DEVICE(s)->mem_reentrancy_guard);
}

void igb_lite_tx_unrealize(IGBLiteState *s)
{
    qemu_bh_delete(s->tx_bh);
}

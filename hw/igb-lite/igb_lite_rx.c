/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite: from the wire to a ring. A frame is filtered, given to a queue, copied into the buffers
 * of as many descriptors as it takes, and then published, descriptor by descriptor.
 *
 * With reception off, or the link down, a frame is lost as on a wire with nobody listening. When
 * its queue has too few descriptors it waits, with all behind it, in the net layer, which in turn
 * lets the backend wait: a guest that is merely slow loses nothing. What has waited for rx-wait-ms
 * is lost, and from then on all that the queue has no room for, until the guest moves its tail. A
 * queue with SRRCTL.DROP_EN makes nobody wait. Losses are counted (DROP_EN: RQDPC of the queue,
 * else MPC), lack of descriptors too (RNBC).
 */
#include "qemu/osdep.h"

#include "igb_lite.h"
#include "net/eth.h"
#include "qemu/iov.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "trace.h"
#include <zlib.h>

#define MIN_FRAME 60
#define MAX_PARTS 3

/* A frame on its way into a ring. */
typedef struct RxFrame {
    IGBLitePacket packet;
    struct iovec
        parts[MAX_PARTS]; /* what is stored: the frame, perhaps without its tag and with its FCS */
    unsigned part_count;
    size_t stored; /* their length */
    uint32_t fcs;
    uint64_t info;
    uint64_t status; /* of the last descriptor, without length */
} RxFrame;

static size_t buffer_size(IGBLiteState *s, unsigned q)
{
    uint32_t kb = FIELD_EX32(IGB_LITE_Q(s, SRRCTL, q), SRRCTL, BSIZE_KB);

    return kb ? kb * KiB : 2048 >> IGB_LITE_GET(s, RCTL, BSIZE);
}

/* Ones-complement sum of the pseudo header and layer 4: 0xffff when the checksum in it is right. */
static bool l4_sum_ok(const IGBLitePacket *p)
{
    const uint8_t *ip = p->data + p->l3;
    size_t len = p->l3_end - p->l4;
    uint32_t seed = len + (p->tcp ? IP_PROTO_TCP : IP_PROTO_UDP);
    uint32_t sum = p->ipv4 ? igb_lite_sum(ip + 12, 8, seed) : igb_lite_sum(ip + 8, 32, seed);

    return igb_lite_fold(igb_lite_sum(p->data + p->l4, len, igb_lite_fold(sum))) == 0xffff;
}

/* Checksum bits of the status; says nothing about what it did not check. */
static uint64_t checksum_status(IGBLiteState *s, const IGBLitePacket *p)
{
    uint64_t status = 0;

    if (p->ipv4 && IGB_LITE_GET(s, RXCSUM, IPOFLD)) {
        size_t header = (p->data[p->l3] & 0xf) * 4;

        status |= R_RX_STATUS_IPCS_MASK;
        if (igb_lite_fold(igb_lite_sum(p->data + p->l3, header, 0)) != 0xffff) {
            status |= R_RX_STATUS_IPE_MASK;
        }
    }
    if (!(p->tcp || p->udp) || !IGB_LITE_GET(s, RXCSUM, TUOFLD)) {
        return status;
    }
    if (p->udp) {
        const uint8_t *udp = p->data + p->l4;

        if (!lduw_be_p(udp + 6) || lduw_be_p(udp + 4) != p->l3_end - p->l4) {
            return status; /* no checksum, or not over all of the packet */
        }
        status |= R_RX_STATUS_UDPCS_MASK;
    }
    status |= R_RX_STATUS_L4CS_MASK;
    return l4_sum_ok(p) ? status : status | R_RX_STATUS_L4E_MASK;
}

static uint32_t packet_type(const IGBLitePacket *p)
{
    return (p->ipv4 ? IGB_LITE_PT_IPV4 : 0) | (p->ipv6 ? IGB_LITE_PT_IPV6 : 0) |
           (p->ipv6_ext ? IGB_LITE_PT_IPV6_EXT : 0) | (p->tcp ? IGB_LITE_PT_TCP : 0) |
           (p->udp ? IGB_LITE_PT_UDP : 0) | (p->sctp ? IGB_LITE_PT_SCTP : 0);
}

static void add_part(RxFrame *f, const void *data, size_t len)
{
    f->parts[f->part_count++] = (struct iovec){.iov_base = (void *)data, .iov_len = len};
    f->stored += len;
}

/* What is to be stored of the frame, and what its last descriptor will say. Returns the queue. */
static unsigned prepare(IGBLiteState *s, RxFrame *f, bool loopback)
{
    const IGBLitePacket *p = &f->packet;
    unsigned type;
    uint32_t hash = igb_lite_rss_hash(s, p, &type);

    f->info = FIELD_DP64(0, RX_INFO, RSS_TYPE, type);
    f->info = FIELD_DP64(f->info, RX_INFO, PKT_TYPE, packet_type(p));
    f->info = IGB_LITE_GET(s, RXCSUM, PCSD) ? FIELD_DP64(f->info, RX_INFO, RSS_HASH, hash)
                                            : FIELD_DP64(f->info, RX_INFO, IP_ID, p->ip_id);
    f->status = checksum_status(s, p) | (loopback ? R_RX_STATUS_LB_MASK : 0);
    if (unlikely(IGB_LITE_GET(s, TSYNCRXCTL, ENABLE)) && igb_lite_time_received(s, p)) {
        f->status |= R_RX_STATUS_TS_MASK;
    }
    if (p->vlan && IGB_LITE_GET(s, CTRL, VME)) {
        f->status = FIELD_DP64(f->status | R_RX_STATUS_VP_MASK, RX_STATUS, VLAN, p->vlan_tag);
        add_part(f, p->data, 12);
        add_part(f, p->data + 16, p->len - 16);
    } else {
        add_part(f, p->data, p->len);
    }
    if (!IGB_LITE_GET(s, RCTL, SECRC)) {
        f->fcs = cpu_to_le32(crc32(0, p->data, p->len));
        add_part(f, &f->fcs, sizeof(f->fcs));
    }
    return igb_lite_rss_queue(s, hash, type);
}

/* The frame is lost and counted. A frame that has waited is in RNBC already. */
static void missed(IGBLiteState *s, unsigned q)
{
    bool drop_en = FIELD_EX32(IGB_LITE_Q(s, SRRCTL, q), SRRCTL, DROP_EN);

    igb_lite_log(s, "rx-missed", "\"queue\":%u", q);
    trace_igb_lite_rx_missed(q, IGB_LITE_Q(s, RDH, q), IGB_LITE_Q(s, RDT, q));
    igb_lite_count(s, drop_en ? R_RQDPC + q * 0x10 : R_MPC, 1);
    if (!s->rx_retry) {
        igb_lite_count(s, R_RNBC, 1);
    }
    igb_lite_irq_other(s, R_ICR_RXO_MASK);
}

/* Too few descriptors: may the frame wait for more? Then it is the net layer that keeps it. */
static bool may_wait(IGBLiteState *s, unsigned q)
{
    return s->rx_wait_ms && !FIELD_EX32(IGB_LITE_Q(s, SRRCTL, q), SRRCTL, DROP_EN) &&
           !(s->rx_stuck >> q & 1);
}

static void begin_wait(IGBLiteState *s, unsigned q)
{
    igb_lite_log(s, "rx-wait", "\"queue\":%u", q);
    trace_igb_lite_rx_wait(q, IGB_LITE_Q(s, RDH, q), IGB_LITE_Q(s, RDT, q));
    s->rx_waiting = true;
    s->rx_wait_queue = q;
    if (!s->rx_retry) {
        igb_lite_count(s, R_RNBC, 1);
    }
    if (!timer_pending(s->rx_timer)) {
        timer_mod(s->rx_timer, qemu_clock_get_ms(QEMU_CLOCK_VIRTUAL) + s->rx_wait_ms);
    }
}

static uint64_t ring_slot(IGBLiteState *s, unsigned q, uint32_t index)
{
    return ((uint64_t)IGB_LITE_Q(s, RDBAH, q) << 32 | IGB_LITE_Q(s, RDBAL, q)) +
           (uint64_t)index * 16;
}

/*
 * Reads descriptors from the head on until their buffers hold the frame. A null buffer holds
 * nothing. Returns how many, 0 if the queue has too few, -1 if they cannot be read.
 */
static int collect(IGBLiteState *s, unsigned q, uint32_t size, const RxFrame *f,
                   IGBLiteRxRead *descs)
{
    uint32_t head = IGB_LITE_Q(s, RDH, q);
    uint32_t posted = igb_lite_ring_count(head, IGB_LITE_Q(s, RDT, q), size);
    size_t room = 0, each = buffer_size(s, q);
    unsigned n = 0;

    while (room < f->stored) {
        uint32_t index = igb_lite_ring_add(head, n, size);

        if (n == posted) {
            return 0;
        }
        if (n == IGB_LITE_RX_DESCS ||
            !igb_lite_dma_read_desc(s, ring_slot(s, q, index), &descs[n])) {
            return -1;
        }
        descs[n].packet = le64_to_cpu(descs[n].packet);
        descs[n].header = le64_to_cpu(descs[n].header);
        trace_igb_lite_rx_desc(q, index, descs[n].packet);
        if (descs[n].packet) {
            room += each;
        } else {
            igb_lite_guest_error(s, "RX queue %u: null buffer in descriptor %u", q, index);
        }
        n++;
    }
    return n;
}

/* Copies len bytes from the frame's offset at to guest memory. */
static bool copy_out(IGBLiteState *s, const RxFrame *f, size_t at, uint64_t addr, size_t len)
{
    struct iovec chunk[MAX_PARTS];
    unsigned n;

    if (at + len <= f->parts[0].iov_len) { /* the usual case: all of it is in one piece */
        return igb_lite_dma_write(s, addr, f->parts[0].iov_base + at, len);
    }
    n = iov_copy(chunk, MAX_PARTS, f->parts, f->part_count, at, len);

    for (unsigned i = 0; i < n; i++) {
        if (!igb_lite_dma_write(s, addr, chunk[i].iov_base, chunk[i].iov_len)) {
            return false;
        }
        addr += chunk[i].iov_len;
    }
    return true;
}

/*
 * Writes back n descriptors; of those without a buffer only DD, as the 82576 does. False if the last
 * has to wait, and with it the interrupt.
 */
static bool publish(IGBLiteState *s, unsigned q, uint32_t size, const RxFrame *f,
                    const IGBLiteRxRead *descs, unsigned n)
{
    IGBLiteWriteBack wb = {.queue = q, .index = IGB_LITE_Q(s, RDH, q)};
    size_t at = 0, each = buffer_size(s, q);
    bool done = true;

    for (unsigned i = 0; i < n; i++) {
        bool last = i == n - 1;
        size_t len = MIN(each, f->stored - at);

        wb.addr = ring_slot(s, q, wb.index);
        wb.info = last ? f->info : 0;
        wb.status = R_RX_STATUS_DD_MASK | (last ? f->status | R_RX_STATUS_EOP_MASK : 0);
        if (descs[i].packet) {
            wb.status = FIELD_DP64(wb.status, RX_STATUS, LENGTH, len);
            at += len;
        } else {
            wb.status |= descs[i].header;
        }
        done = igb_lite_write_back(s, &wb);
        trace_igb_lite_rx_done(q, wb.index, wb.info, wb.status);
        wb.index = igb_lite_ring_add(wb.index, 1, size);
    }
    IGB_LITE_Q(s, RDH, q) = wb.index;
    return done;
}

/* Copies the frame to the buffers of n descriptors. */
static bool fill_buffers(IGBLiteState *s, unsigned q, const RxFrame *f, const IGBLiteRxRead *descs,
                         int n)
{
    size_t at = 0, each = buffer_size(s, q);

    for (int i = 0; i < n; i++) {
        size_t len = descs[i].packet ? MIN(each, f->stored - at) : 0;

        if (len && !copy_out(s, f, at, descs[i].packet, len)) {
            return false;
        }
        at += len;
    }
    return true;
}

/* Gives the frame to a queue. False if it has to wait until the queue has descriptors. */
static bool store(IGBLiteState *s, unsigned q, RxFrame *f, bool loopback)
{
    IGBLiteRxRead *descs = s->rx_descs;
    uint32_t size = 0;
    int n = -1;

    if (s->rx_storing) { /* our DMA has made another NIC send to us */
        igb_lite_count_seen(s, false, f->packet.len);
        missed(s, q);
        return true;
    }
    s->rx_storing = true;
    if (FIELD_EX32(IGB_LITE_Q(s, RXDCTL, q), RXDCTL, ENABLE)) {
        size = igb_lite_ring_size(s, IGB_LITE_Q(s, RDLEN, q), IGB_LITE_Q(s, RDH, q),
                                  IGB_LITE_Q(s, RDT, q));
    }
    if (size) {
        n = s->fault_stall[0] >> q & 1 ? 0 : collect(s, q, size, f, descs);
    }
    if (n == 0 && !loopback && may_wait(s, q)) {
        begin_wait(s, q);
        s->rx_storing = false;
        return false;
    }
    igb_lite_count_seen(s, false, f->packet.len);
    if (n > 0 && fill_buffers(s, q, f, descs, n)) {
        igb_lite_log(s, "rx-frame", "\"queue\":%u,\"len\":%zu,\"descriptors\":%d", q, f->packet.len,
                     n);
        igb_lite_count_frame(s, false, f->packet.data, f->packet.len);
        if (publish(s, q, size, f, descs, n)) {
            igb_lite_irq_queue(s, false, q);
        }
    } else {
        missed(s, q);
    }
    s->rx_storing = false;
    return true;
}

static bool any_queue_enabled(IGBLiteState *s)
{
    for (unsigned q = 0; q < IGB_LITE_QUEUES; q++) {
        if (FIELD_EX32(IGB_LITE_Q(s, RXDCTL, q), RXDCTL, ENABLE)) {
            return true;
        }
    }
    return false;
}

/*
 * A frame, without FCS, has come in from the wire or by loopback. Marks interrupt causes; the
 * caller delivers. False: not now; the net layer is to keep the frame (never by loopback).
 */
bool igb_lite_rx_frame(IGBLiteState *s, const uint8_t *frame, size_t len, bool loopback)
{
    RxFrame f;

    f.part_count = 0;
    f.stored = 0;
    if (!IGB_LITE_GET(s, RCTL, EN) || !any_queue_enabled(s)) {
        trace_igb_lite_rx_off(len);
        return true;
    }
    if (!igb_lite_parse(s, frame, len, &f.packet)) {
        return true;
    }
    if (igb_lite_too_long(s, &f.packet)) {
        igb_lite_count_seen(s, false, len);
        igb_lite_count(s, R_ROC, 1);
        return true;
    }
    if (!igb_lite_wanted(s, &f.packet)) {
        igb_lite_count_seen(s, false, len);
        igb_lite_log(s, "rx-filtered", "\"len\":%zu", len);
        trace_igb_lite_rx_filtered(len, f.packet.vlan_tag);
        return true;
    }
    return store(s, prepare(s, &f, loopback), &f, loopback);
}

bool igb_lite_can_receive(NetClientState *nc)
{
    IGBLiteState *s = qemu_get_nic_opaque(nc);

    return !s->rx_waiting;
}

/* A copy with a wrong bit, if the fault strikes (for a frame that waited: has struck); or NULL. */
static uint8_t *corrupted(IGBLiteState *s, const uint8_t *buf, size_t size)
{
    uint8_t *copy;

    if (!s->rx_retry) {
        s->rx_corrupted = igb_lite_fault(s, IGB_LITE_FAULT_RX_CORRUPT);
    }
    if (!s->rx_corrupted) {
        return NULL;
    }
    copy = g_memdup2(buf, size);
    igb_lite_fault_corrupt(s, copy, size);
    return copy;
}

/* The net layer has a frame. A short one gets the padding that a sending NIC would have added. */
ssize_t igb_lite_receive(NetClientState *nc, const uint8_t *buf, size_t size)
{
    IGBLiteState *s = qemu_get_nic_opaque(nc);
    g_autofree uint8_t *copy = NULL;
    uint8_t padded[MIN_FRAME] = {};
    bool taken = true;

    if (s->gone || !s->link_up || igb_lite_phy_loopback(s)) {
        trace_igb_lite_rx_off(size);
        return size;
    }
    if (size < s->vnet_len) {
        return size;
    }
    buf += s->vnet_len; /* of its contents we asked for none */
    size -= s->vnet_len;
    igb_lite_enter(s);
    if (unlikely(s->faults[IGB_LITE_FAULT_RX_CORRUPT].every)) {
        copy = corrupted(s, buf, size);
        buf = copy ?: buf;
    }
    if (size < sizeof(padded)) {
        memcpy(padded, buf, size);
        taken = igb_lite_rx_frame(s, padded, sizeof(padded), false);
    } else {
        taken = igb_lite_rx_frame(s, buf, size, false);
    }
    s->rx_retry = false;
    if (taken && timer_pending(s->rx_timer)) {
        timer_del(s->rx_timer);
    }
    if (s->owed && !s->gone) {
        qemu_bh_schedule(s->irq_bh);
    }
    igb_lite_leave(s);
    return taken ? size + s->vnet_len : 0;
}

/* Lets the net layer offer the frame that waits, and those behind it, again. */
static void rx_bh(void *opaque)
{
    IGBLiteState *s = opaque;

    if (!s->gone && runstate_is_running()) { /* else the state handler schedules this again */
        igb_lite_enter(s);
        s->rx_retry = s->rx_waiting;
        s->rx_waiting = false;
        qemu_flush_queued_packets(qemu_get_queue(s->nic));
        s->rx_retry = false;
        igb_lite_irq_deliver(s);
        igb_lite_leave(s);
    }
}

/* It has waited long enough: the guest does not merely take its time. */
static void rx_timer(void *opaque)
{
    IGBLiteState *s = opaque;

    s->rx_stuck |= 1u << s->rx_wait_queue;
    qemu_bh_schedule(s->rx_bh);
}

/* These queues may have descriptors now, or something else has changed that frames wait for. */
void igb_lite_rx_kick(IGBLiteState *s, uint32_t queues)
{
    s->rx_stuck &= ~queues;
    if (s->rx_waiting) {
        qemu_bh_schedule(s->rx_bh);
    }
}

void igb_lite_rx_reset(IGBLiteState *s)
{
    timer_del(s->rx_timer);
    igb_lite_rx_kick(s, UINT32_MAX);
}

void igb_lite_rx_realize(IGBLiteState *s)
{
    s->rx_timer = timer_new_ms(QEMU_CLOCK_VIRTUAL, rx_timer, s);
    s->rx_bh = qemu_bh_new_guarded(rx_bh, s, &DEVICE(s)->mem_reentrancy_guard);
}

void igb_lite_rx_unrealize(IGBLiteState *s)
{
    timer_free(s->rx_timer);
    qemu_bh_delete(s->rx_bh);
}

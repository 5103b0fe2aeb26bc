/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite: a transmit ring: which descriptors make up a packet, when they are done, how much is
 * done at once. What becomes of a packet is in igb_lite_send.c.
 *
 * A doorbell does up to DOORBELL_WORK of a queue in the CPU's access, the rest is tx_bh's. The head
 * moves only over whole packets: one that has no end yet stays in the ring and is gathered anew, so
 * that no half packet is state to migrate. One of more than IGB_LITE_TX_PARTS descriptors is dropped
 * in pieces of so many.
 */
#include "qemu/osdep.h"

#include "hw/qdev-core.h"
#include "igb_lite.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "system/runstate.h"
#include "trace.h"

/* Work of a queue in one go: descriptors and frames, whichever are more. */
#define DOORBELL_WORK 128
#define BH_WORK 256

/* One queue's run over its ring. */
typedef struct TxRun {
    unsigned q;
    uint32_t size, head, tail;
    uint32_t done; /* descriptors retired */
    size_t bytes;  /* of their packets */
    bool raise;    /* something was written back */
} TxRun;

static uint64_t ring_slot(IGBLiteState *s, unsigned q, uint32_t index)
{
    return ((uint64_t)IGB_LITE_Q(s, TDBAH, q) << 32 | IGB_LITE_Q(s, TDBAL, q)) +
           (uint64_t)index * sizeof(IGBLiteTxDesc);
}

/* The descriptor in slot index. */
static bool fetch(IGBLiteState *s, const TxRun *run, uint32_t index, IGBLiteTxDesc *desc)
{
    if (!igb_lite_dma_read_desc(s, ring_slot(s, run->q, index), desc)) {
        return false;
    }
    desc->addr = le64_to_cpu(desc->addr);
    desc->cmd = le32_to_cpu(desc->cmd);
    desc->olinfo = le32_to_cpu(desc->olinfo);
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

/* One piece of the packet: where it is, or, if it is no plain memory, a copy in tx_buf. */
static void gather_data(IGBLiteState *s, unsigned q, IGBLiteTxPacket *p, const IGBLiteTxDesc *d)
{
    size_t len = FIELD_EX32(d->cmd, TX_CMD, LENGTH);
    const void *data;

    if (!p->descs) {
        p->cmd = d->cmd;
        p->olinfo = d->olinfo;
    }
    if (p->bad || !len) {
        return;
    }
    if (p->len + len + IGB_LITE_HEADROOM > sizeof(s->tx_buf)) {
        igb_lite_guest_error(s, "TX queue %u: packet longer than %zu", q, sizeof(s->tx_buf));
        p->bad = true;
        return;
    }
    data = igb_lite_dma_peek(s, d->addr, len);
    if (!data) {
        data = s->tx_buf + p->len;
        p->bad = !igb_lite_dma_read(s, d->addr, s->tx_buf + p->len, len);
    }
    s->tx_parts[p->parts++] = (struct iovec){.iov_base = (void *)data, .iov_len = len};
    p->len += len;
}

/*
 * Gathers what starts at the head: one packet, or one context descriptor, which leaves p->len 0 and
 * p->bad set. False if it has no end yet or cannot be read.
 */
static bool gather(IGBLiteState *s, const TxRun *run, IGBLiteTxPacket *p)
{
    uint32_t posted = igb_lite_ring_count(run->head, run->tail, run->size);
    IGBLiteTxDesc d;

    *p = (IGBLiteTxPacket){};
    while (p->descs < posted && p->descs < IGB_LITE_TX_PARTS) {
        bool context;

        if (!fetch(s, run, igb_lite_ring_add(run->head, p->descs, run->size), &d)) {
            return false;
        }
        context = is_context(&d);
        if (context) {
            set_context(s, run->q, &d);
            p->bad |= !p->descs;
        } else {
            gather_data(s, run->q, p, &d);
        }
        s->tx_write_back[p->descs++] = FIELD_EX32(d.cmd, TX_CMD, RS)
                                           ? d.cmd | (uint64_t)(d.olinfo | R_TX_OL_DD_MASK) << 32
                                           : 0;
        if (context ? p->descs == 1 : FIELD_EX32(d.cmd, TX_CMD, EOP)) {
            return true;
        }
    }
    if (p->descs == IGB_LITE_TX_PARTS || posted == run->size - 1) {
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
static void retire(IGBLiteState *s, TxRun *run, const IGBLiteTxPacket *p)
{
    uint32_t base = IGB_LITE_Q(s, TDWBAL, run->q);
    IGBLiteWriteBack wb = {
        .tx = true, .queue = run->q, .head_only = FIELD_EX32(base, TDWBAL, HEAD_WB)};
    bool any = false;

    for (unsigned i = 0; i < p->descs; i++) {
        if (s->tx_write_back[i]) {
            any = true;
            if (!wb.head_only) {
                wb.index = run->head;
                wb.addr = ring_slot(s, run->q, run->head);
                wb.status = s->tx_write_back[i];
                run->raise |= igb_lite_write_back(s, &wb);
            }
        }
        run->head = igb_lite_ring_add(run->head, 1, run->size);
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
 * Works on queue q until it has nothing complete left, and then leaves tx_ready, or until the budget
 * is used up. What is peeked at stays while the RCU read lock is held.
 */
static void run_queue(IGBLiteState *s, unsigned q, int budget)
{
    RCU_READ_LOCK_GUARD();
    TxRun run = {.q = q, .head = IGB_LITE_Q(s, TDH, q), .tail = IGB_LITE_Q(s, TDT, q)};
    IGBLiteTxPacket packet;
    bool more = IGB_LITE_GET(s, TCTL, EN) && FIELD_EX32(IGB_LITE_Q(s, TXDCTL, q), TXDCTL, ENABLE) &&
                run.head != run.tail && !(s->fault_stall[1] >> q & 1);

    if (more) {
        run.size = igb_lite_ring_size(s, IGB_LITE_Q(s, TDLEN, q), run.head, run.tail);
        more = run.size;
    }
    while (more && budget > 0) {
        s->tx_frames = 0;
        if (!gather(s, &run, &packet)) {
            more = false;
            break;
        }
        if (!packet.bad) {
            igb_lite_send(s, q, &packet);
        }
        retire(s, &run, &packet);
        budget -= MAX(packet.descs, s->tx_frames);
        more = run.head != run.tail && !s->gone;
    }
    if (run.raise) {
        igb_lite_irq_sent(s, q, run.done, run.size, run.bytes);
    }
    if (!more) {
        s->tx_ready &= ~(1u << q);
    }
}

/* A share of the work for every queue that is ready; the rest is for tx_bh. */
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
    run_queues(s, DOORBELL_WORK);
}

static void tx_bh(void *opaque)
{
    IGBLiteState *s = opaque;

    if (runstate_is_running()) { /* else the state handler schedules this again */
        igb_lite_enter(s);
        run_queues(s, BH_WORK);
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

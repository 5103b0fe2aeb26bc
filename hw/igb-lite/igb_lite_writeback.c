/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite: descriptors go back to the driver: types and hash of a received one first, then status
 * and length as one 64-bit store, so that a driver sees all or nothing.
 *
 * Normally that happens at once. The faults fault-write-back-delay and fault-descriptor-corrupt
 * hold it back or change it: then the rest of the queue's write-backs stands behind the one that is
 * held, and the queue's interrupt comes when it is made. A queue that is switched off, and a reset,
 * forget what is held, since its memory may be in other hands; a machine that stops gets it at once.
 */
#include "qemu/osdep.h"

#include "igb_lite.h"
#include "qemu/main-loop.h"
#include "trace.h"

#define HELD_MAX 65536 /* a whole ring of every queue */

struct IGBLiteHeld {
    IGBLiteWriteBack wb;
    int64_t due;
    QTAILQ_ENTRY(IGBLiteHeld) next;
};

static void make(IGBLiteState *s, const IGBLiteWriteBack *wb)
{
    igb_lite_log(s, "write-back",
                 "\"dir\":\"%s\",\"queue\":%u,\"index\":%u,\"status\":\"0x%" PRIx64 "\"",
                 wb->tx ? "tx" : "rx", wb->queue, wb->index, wb->status);
    if (wb->head_only) {
        uint32_t head = cpu_to_le32(wb->status);

        igb_lite_dma_write(s, wb->addr, &head, sizeof(head));
        return;
    }
    igb_lite_dma_write_back(s, wb->addr, wb->tx ? NULL : &wb->info, wb->status);
}

static bool queue_is_held(IGBLiteState *s, const IGBLiteWriteBack *wb)
{
    IGBLiteHeld *h;

    QTAILQ_FOREACH(h, &s->held, next)
    {
        if (h->wb.tx == wb->tx && h->wb.queue == wb->queue) {
            return true;
        }
    }
    return false;
}

static void hold(IGBLiteState *s, const IGBLiteWriteBack *wb)
{
    IGBLiteHeld *h = g_new(IGBLiteHeld, 1);

    *h = (IGBLiteHeld){
        .wb = *wb,
        .due = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + s->fault_delay_us * (int64_t)SCALE_US,
    };
    QTAILQ_INSERT_TAIL(&s->held, h, next);
    s->held_count++;
    if (!timer_pending(s->held_timer)) {
        timer_mod(s->held_timer, h->due);
    }
}

static void let_go(IGBLiteState *s, IGBLiteHeld *h)
{
    QTAILQ_REMOVE(&s->held, h, next);
    s->held_count--;
    g_free(h);
}

/* With faults: inverts a bit of the status that is not DD, holds back. False if it is held. */
bool igb_lite_write_back_faulty(IGBLiteState *s, IGBLiteWriteBack *wb)
{
    if (!wb->head_only && igb_lite_fault(s, IGB_LITE_FAULT_DESC_CORRUPT)) {
        unsigned bit = igb_lite_fault_random(s) % 64;

        wb->status ^= bit == (wb->tx ? 32 : 0) ? 1ull << 63 : 1ull << bit;
    }
    if ((igb_lite_fault(s, IGB_LITE_FAULT_WB_DELAY) || queue_is_held(s, wb)) &&
        s->held_count < HELD_MAX) {
        hold(s, wb);
        return false;
    }
    make(s, wb);
    return true;
}

/* Writes back. True if it is done, false if it, and the interrupt, will come later. */
bool igb_lite_write_back(IGBLiteState *s, IGBLiteWriteBack *wb)
{
    if (unlikely(s->held_count || s->faults[IGB_LITE_FAULT_WB_DELAY].every ||
                 s->faults[IGB_LITE_FAULT_DESC_CORRUPT].every)) {
        return igb_lite_write_back_faulty(s, wb);
    }
    make(s, wb);
    return true;
}

/* Makes what is due; all of it if all is set. */
static void release(IGBLiteState *s, bool all)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    IGBLiteHeld *h;

    while (!s->gone && (h = QTAILQ_FIRST(&s->held)) && (all || h->due <= now)) {
        IGBLiteWriteBack wb = h->wb;

        let_go(s, h);
        make(s, &wb);
        if (!s->gone) {
            igb_lite_irq_queue(s, wb.tx, wb.queue);
        }
    }
    if (!s->gone && (h = QTAILQ_FIRST(&s->held))) {
        timer_mod(s->held_timer, h->due);
    }
}

static void held_bh(void *opaque)
{
    IGBLiteState *s = opaque;

    igb_lite_enter(s);
    release(s, false);
    igb_lite_irq_deliver(s);
    igb_lite_leave(s);
}

static void held_timer(void *opaque)
{
    IGBLiteState *s = opaque;

    qemu_bh_schedule(s->held_bh);
}

/* The machine stops: memory is to be complete. */
void igb_lite_write_back_all(IGBLiteState *s)
{
    igb_lite_enter(s);
    release(s, true);
    igb_lite_leave(s);
}

/* A queue was switched off, or all were reset (queue < 0). */
void igb_lite_write_back_forget(IGBLiteState *s, bool tx, int queue)
{
    IGBLiteHeld *h, *next;

    QTAILQ_FOREACH_SAFE(h, &s->held, next, next)
    {
        if (queue < 0 || (h->wb.tx == tx && h->wb.queue == queue)) {
            let_go(s, h);
        }
    }
    if (!s->held_count) {
        timer_del(s->held_timer);
    }
}

void igb_lite_write_back_realize(IGBLiteState *s)
{
    QTAILQ_INIT(&s->held);
    s->held_timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, held_timer, s);
    s->held_bh = qemu_bh_new_guarded(held_bh, s, &DEVICE(s)->mem_reentrancy_guard);
}

void igb_lite_write_back_unrealize(IGBLiteState *s)
{
    igb_lite_write_back_forget(s, false, -1);
    timer_free(s->held_timer);
    qemu_bh_delete(s->held_bh);
}

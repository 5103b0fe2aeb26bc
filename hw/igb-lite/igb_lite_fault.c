/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite: faults on demand, for teaching and for testing drivers. Each is a property that can be
 * set at run time and is off at first; see docs/igb-lite.md. fault-NAME = n lets the fault happen at
 * every n-th occasion, or, with fault-seed, at one in n on average, in an order that the seed
 * determines. fault-stall-rx and -tx are masks of queues that stand still. Faults do not migrate:
 * they belong to the experiment, not to the machine.
 */
#include "qemu/osdep.h"

#include "igb_lite.h"
#include "qapi/visitor.h"
#include "qemu/main-loop.h"
#include "trace.h"

static const char *const names[IGB_LITE_FAULTS] = {
    [IGB_LITE_FAULT_IRQ_DROP] = "fault-irq-drop",
    [IGB_LITE_FAULT_IRQ_DELAY] = "fault-irq-delay",
    [IGB_LITE_FAULT_IRQ_REPEAT] = "fault-irq-repeat",
    [IGB_LITE_FAULT_WB_DELAY] = "fault-write-back-delay",
    [IGB_LITE_FAULT_DESC_CORRUPT] = "fault-descriptor-corrupt",
    [IGB_LITE_FAULT_RX_CORRUPT] = "fault-rx-corrupt",
    [IGB_LITE_FAULT_TX_CORRUPT] = "fault-tx-corrupt",
};

/* A number that the seed, or the constant in its place, determines (xorshift64*). */
uint32_t igb_lite_fault_random(IGBLiteState *s)
{
    uint64_t x = s->fault_state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    s->fault_state = x;
    return (x * 0x2545f4914f6cdd1dull) >> 32;
}

/* Does it happen this time? For igb_lite_fault, which tests first whether it can. */
bool igb_lite_fault_strikes(IGBLiteState *s, IGBLiteFault fault)
{
    IGBLiteFaultState *f = &s->faults[fault];

    if (s->fault_seed ? igb_lite_fault_random(s) % f->every : ++f->seen % f->every) {
        return false;
    }
    s->fault_count++;
    trace_igb_lite_fault(names[fault]);
    igb_lite_log(s, "fault", "\"fault\":\"%s\"", names[fault]);
    return true;
}

/* Inverts one bit of a frame behind its addresses and type, so that it still gets to its place. */
void igb_lite_fault_corrupt(IGBLiteState *s, uint8_t *frame, size_t len)
{
    if (len > 14) {
        uint32_t bit = igb_lite_fault_random(s) % ((len - 14) * 8);

        frame[14 + bit / 8] ^= 1 << bit % 8;
    }
}

static void every_get(Object *obj, Visitor *v, const char *name, void *opaque, Error **errp)
{
    IGBLiteFaultState *f = &IGB_LITE(obj)->faults[(uintptr_t)opaque];

    visit_type_uint32(v, name, &f->every, errp);
}

static void every_set(Object *obj, Visitor *v, const char *name, void *opaque, Error **errp)
{
    IGBLiteFaultState *f = &IGB_LITE(obj)->faults[(uintptr_t)opaque];
    uint32_t every;

    if (visit_type_uint32(v, name, &every, errp)) {
        *f = (IGBLiteFaultState){.every = every};
    }
}

/* The seed; setting it starts its order anew. */
static void seed_get(Object *obj, Visitor *v, const char *name, void *opaque, Error **errp)
{
    visit_type_uint64(v, name, &IGB_LITE(obj)->fault_seed, errp);
}

static void seed_set(Object *obj, Visitor *v, const char *name, void *opaque, Error **errp)
{
    IGBLiteState *s = IGB_LITE(obj);

    if (visit_type_uint64(v, name, &s->fault_seed, errp)) {
        s->fault_state = s->fault_seed ?: 1;
    }
}

/* Masks of stalled queues; opaque: is it that of TX. */
static void stall_get(Object *obj, Visitor *v, const char *name, void *opaque, Error **errp)
{
    visit_type_uint32(v, name, &IGB_LITE(obj)->fault_stall[!!opaque], errp);
}

static void stall_set(Object *obj, Visitor *v, const char *name, void *opaque, Error **errp)
{
    IGBLiteState *s = IGB_LITE(obj);
    uint32_t mask;

    if (!visit_type_uint32(v, name, &mask, errp)) {
        return;
    }
    igb_lite_log(s, "fault", "\"fault\":\"%s\",\"queues\":%u", name, mask);
    s->fault_stall[!!opaque] = mask;
    if (DEVICE(s)->realized && !s->gone) { /* what has been let go may go on */
        if (opaque) {
            s->tx_ready |= MAKE_64BIT_MASK(0, IGB_LITE_QUEUES) & ~mask;
            qemu_bh_schedule(s->tx_bh);
        } else {
            igb_lite_rx_kick(s, ~mask);
        }
    }
}

void igb_lite_fault_init(IGBLiteState *s)
{
    Object *obj = OBJECT(s);

    s->fault_state = 1;
    s->fault_delay_us = 1000;
    for (uintptr_t i = 0; i < IGB_LITE_FAULTS; i++) {
        object_property_add(obj, names[i], "uint32", every_get, every_set, NULL, (void *)i);
    }
    object_property_add(obj, "fault-seed", "uint64", seed_get, seed_set, NULL, NULL);
    object_property_add(obj, "fault-stall-rx", "uint32", stall_get, stall_set, NULL, NULL);
    object_property_add(obj, "fault-stall-tx", "uint32", stall_get, stall_set, NULL, (void *)1);
    object_property_add_uint32_ptr(obj, "fault-delay-us", &s->fault_delay_us,
                                   OBJ_PROP_FLAG_READWRITE);
    object_property_add_uint64_ptr(obj, "fault-count", &s->fault_count, OBJ_PROP_FLAG_READ);
}

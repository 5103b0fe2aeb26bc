/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite: from causes to interrupts.
 *
 * In MSI-X mode (GPIE bit 4) a queue's cause goes through IVAR, any other through ICR, IMS and
 * IVAR_MISC, to a vector's bit in EICR. A message is owed from then on, and sent once EIMS has the
 * bit and the vector's EITR interval since its last message has passed; sending clears the bit in
 * EICR if EIAC has it (auto-clear) and in EIMS if EIAM has it and GPIE.EIAME is set (auto-mask).
 * Writing EIMS makes a message owed again for what is still in EICR. Out of MSI-X mode all causes
 * are in ICR, and ICR & IMS drives the INTx pin, or vector 0 if MSI-X is enabled in config space.
 *
 * Causes only mark; igb_lite_irq_deliver() sends. A received frame leaves that to irq_bh, so that a
 * burst costs one message. A message that has only sent packets to report is held for tx-wait-us,
 * unless they are many: a quarter of the ring, or TX_BULK bytes. One timer serves all vectors and is
 * armed only when a message has to wait. A message is itself a DMA write to an address that the
 * guest chose, so all state is up to date before it leaves.
 */
#include "qemu/osdep.h"

#include "hw/pci/msix.h"
#include "hw/qdev-core.h"
#include "igb_lite.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "trace.h"

#define TX_BULK 4096           /* bytes sent that are reported at once */
#define OWED_LEGACY (1u << 31) /* in owed: vector 0 out of MSI-X mode */

static bool msix_mode(IGBLiteState *s)
{
    return IGB_LITE_GET(s, GPIE, MSIX_MODE);
}

/* The INTx pin follows ICR & IMS. */
static void update_pin(IGBLiteState *s)
{
    PCIDevice *pci = PCI_DEVICE(s);

    if (!s->gone && !msix_enabled(pci)) {
        pci_set_irq(pci, !msix_mode(s) && (s->mac[R_ICR] & s->mac[R_IMS]));
    }
}

/* Vectors get a cause: their EICR bits are set and messages are owed. */
static void set_eicr(IGBLiteState *s, uint32_t vectors)
{
    vectors &= IGB_LITE_EICR_MASK;
    s->mac[R_EICR] |= vectors;
    s->owed |= vectors;
    s->tx_held &= ~vectors;
    trace_igb_lite_irq_cause(vectors, s->mac[R_EICR], s->mac[R_EIMS]);
}

static void set_ivar(IGBLiteState *s, uint8_t entry)
{
    if (FIELD_EX32(entry, IVAR, VALID)) {
        set_eicr(s, 1u << FIELD_EX32(entry, IVAR, VECTOR));
    }
}

/* An unmasked cause is in ICR. */
static void notify_other(IGBLiteState *s)
{
    if (msix_mode(s)) {
        set_ivar(s, s->mac[R_IVAR_MISC] >> 8);
    } else {
        s->owed |= !s->gone && msix_enabled(PCI_DEVICE(s)) ? OWED_LEGACY : 0;
        update_pin(s);
    }
}

/* Causes outside the queues, or every cause out of MSI-X mode. */
void igb_lite_irq_other(IGBLiteState *s, uint32_t causes)
{
    causes &= ~R_ICR_INTA_MASK;
    s->mac[R_ICR] |= causes;
    trace_igb_lite_irq_other(causes, s->mac[R_ICR], s->mac[R_IMS]);
    if (causes & s->mac[R_IMS]) {
        notify_other(s);
    }
}

/* Descriptors of a queue were written back. */
void igb_lite_irq_queue(IGBLiteState *s, bool tx, unsigned q)
{
    if (msix_mode(s)) {
        /* One register has queues q and q + 8; a byte each for RX q, TX q, RX q + 8, TX q + 8. */
        set_ivar(s, s->mac[R_IVAR + q % 8] >> (8 * (q / 8 * 2 + tx)));
    } else {
        igb_lite_irq_other(s, tx ? R_ICR_TXDW_MASK : R_ICR_RXDW_MASK);
    }
}

/*
 * Packets of a queue were sent: descs of its ring's descriptors are written back. A driver with
 * little under way may wait for it to send more, as TCP does, so bulk is reported at once.
 */
void igb_lite_irq_sent(IGBLiteState *s, unsigned q, uint32_t descs, uint32_t ring, size_t bytes)
{
    uint8_t entry = s->mac[R_IVAR + q % 8] >> (8 * (q / 8 * 2 + 1));
    unsigned vector = FIELD_EX32(entry, IVAR, VECTOR);
    uint32_t bit = 1u << vector, held = s->tx_held & bit;
    bool fresh = !(s->owed & bit);

    igb_lite_irq_queue(s, true, q);
    s->tx_unsaid[q] = fresh ? descs : s->tx_unsaid[q] + descs;
    s->tx_unsaid_bytes[q] = fresh ? bytes : s->tx_unsaid_bytes[q] + bytes;
    if (!s->tx_wait_us || !msix_mode(s) || !FIELD_EX32(entry, IVAR, VALID) ||
        vector >= IGB_LITE_VECTORS || s->tx_unsaid[q] >= ring / 4 ||
        s->tx_unsaid_bytes[q] >= TX_BULK) {
        return;
    }
    if (fresh) {
        held = bit;
        s->tx_held_until[vector] =
            qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + s->tx_wait_us * (int64_t)SCALE_US;
    }
    s->tx_held |= held;
}

static void notify_once(IGBLiteState *s, unsigned vector)
{
    igb_lite_log(s, "interrupt", "\"vector\":%u,\"masked\":%s", vector,
                 msix_is_masked(PCI_DEVICE(s), vector) ? "true" : "false");
    msix_notify(PCI_DEVICE(s), vector);
}

/* A message leaves, unless a fault prevents it. All state is up to date before. */
static void notify(IGBLiteState *s, unsigned vector)
{
    if (igb_lite_fault(s, IGB_LITE_FAULT_IRQ_DROP)) {
        return;
    }
    notify_once(s, vector);
    if (igb_lite_fault(s, IGB_LITE_FAULT_IRQ_REPEAT) && !s->gone) {
        notify_once(s, vector);
    }
}

/* The fault that lets a message wait, once. */
static void delay(IGBLiteState *s, unsigned vector, int64_t now)
{
    uint32_t bit = 1u << vector;

    if (s->irq_delayed & bit) {
        s->irq_delayed &= ~bit;
    } else if (igb_lite_fault(s, IGB_LITE_FAULT_IRQ_DELAY)) {
        s->irq_delayed |= bit;
        s->quiet_until[vector] = now + s->fault_delay_us * (int64_t)SCALE_US;
    }
}

static void send_message(IGBLiteState *s, unsigned vector, int64_t now)
{
    uint32_t bit = 1u << vector;
    int64_t interval = FIELD_EX32(s->mac[R_EITR + vector], EITR, INTERVAL);

    s->owed &= ~bit;
    s->tx_held &= ~bit;
    s->quiet_until[vector] = interval ? now + interval * SCALE_US : 0;
    if (s->mac[R_EIAC] & bit) {
        s->mac[R_EICR] &= ~bit;
    }
    if (IGB_LITE_GET(s, GPIE, EIAME) && (s->mac[R_EIAM] & bit)) {
        s->mac[R_EIMS] &= ~bit;
    }
    igb_lite_count(s, R_IAC, 1);
    trace_igb_lite_msix(vector, s->mac[R_EICR], s->mac[R_EIMS],
                        msix_is_masked(PCI_DEVICE(s), vector));
    notify(s, vector);
}

/*
 * Sends the messages that are owed and not held back by EIMS or EITR; arms the timer for the rest.
 */
void igb_lite_irq_deliver(IGBLiteState *s)
{
    int64_t now, next = INT64_MAX;
    int64_t due;
    uint32_t ready;

    if (!s->owed || s->gone || !msix_enabled(PCI_DEVICE(s))) {
        return;
    }
    if (s->owed & OWED_LEGACY) {
        s->owed &= ~OWED_LEGACY;
        if (!msix_mode(s)) {
            trace_igb_lite_msix(0, s->mac[R_ICR], s->mac[R_IMS], msix_is_masked(PCI_DEVICE(s), 0));
            notify(s, 0);
        }
    }
    now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    ready = s->owed & s->mac[R_EICR] & s->mac[R_EIMS];
    while (ready && !s->gone) { /* a message, too, may unplug the device */
        unsigned vector = ctz32(ready);

        ready &= ready - 1;
        if (vector >= IGB_LITE_VECTORS) {
            igb_lite_guest_error(s, "interrupt for vector %u of %u", vector, IGB_LITE_VECTORS);
            s->owed &= ~(1u << vector);
            continue;
        }
        if (s->quiet_until[vector] <= now) {
            delay(s, vector, now);
        }
        due = s->quiet_until[vector];
        if (s->tx_held >> vector & 1) {
            due = MAX(due, s->tx_held_until[vector]);
        }
        if (due > now) {
            trace_igb_lite_irq_wait(vector, due - now);
            next = MIN(next, due);
        } else {
            send_message(s, vector, now);
        }
    }
    if (next != INT64_MAX && !s->gone) {
        /* Only if that is sooner: setting it anew at each doorbell would wake the main loop. */
        timer_mod_anticipate_ns(s->irq_timer, next);
    }
}

/* Guest reads one of the interrupt registers that do more than hold a value. */
uint32_t igb_lite_irq_read(IGBLiteState *s, uint32_t addr)
{
    uint32_t val;

    switch (addr) {
    case A_ICR:
        val = s->mac[R_ICR];
        if (val & s->mac[R_IMS]) {
            val |= R_ICR_INTA_MASK;
        }
        s->mac[R_ICR] = 0;
        if (!msix_mode(s)) {
            s->mac[R_IMS] &= ~s->mac[R_IAM];
        }
        update_pin(s);
        return val;
    case A_EICR:
        val = s->mac[R_EICR];
        s->mac[R_EICR] = 0;
        s->owed &= ~val;
        return val;
    case A_IMS:
    case A_IMC:
        return s->mac[R_IMS];
    case A_EIMS:
    case A_EIMC:
        return s->mac[R_EIMS];
    default:
        return 0; /* ICS and EICS are write-only */
    }
}

/* Guest writes one of them; the caller delivers. */
void igb_lite_irq_write(IGBLiteState *s, uint32_t addr, uint32_t val)
{
    switch (addr) {
    case A_ICR:
        s->mac[R_ICR] &= ~val;
        update_pin(s);
        break;
    case A_ICS:
        igb_lite_irq_other(s, val);
        break;
    case A_IMS:
        s->mac[R_IMS] |= val & ~R_ICR_INTA_MASK;
        if (s->mac[R_ICR] & val) {
            notify_other(s);
        }
        break;
    case A_IMC:
        s->mac[R_IMS] &= ~val;
        update_pin(s);
        break;
    case A_EICR:
        s->mac[R_EICR] &= ~val;
        s->owed &= ~(val & IGB_LITE_EICR_MASK);
        break;
    case A_EICS:
        set_eicr(s, val);
        break;
    case A_EIMS:
        s->mac[R_EIMS] |= val & IGB_LITE_EICR_MASK;
        s->owed |= s->mac[R_EICR] & val;
        break;
    case A_EIMC:
        s->mac[R_EIMS] &= ~val;
        break;
    }
}

/* Guest writes a vector's EITR. Unless it says CNT_IGNR, the running interval ends. */
void igb_lite_eitr_write(IGBLiteState *s, uint32_t addr, uint32_t val)
{
    unsigned vector = (addr - A_EITR) / 4;

    s->mac[addr / 4] = val & R_EITR_INTERVAL_MASK;
    if (!FIELD_EX32(val, EITR, CNT_IGNR) && vector < IGB_LITE_VECTORS) {
        s->quiet_until[vector] = 0;
    }
}

static void irq_bh(void *opaque)
{
    igb_lite_enter(opaque);
    igb_lite_irq_deliver(opaque);
    igb_lite_leave(opaque);
}

static void irq_timer(void *opaque)
{
    IGBLiteState *s = opaque;

    qemu_bh_schedule(s->irq_bh);
}

/* Forgets what is owed; nothing is sent. EITR's values stay. */
void igb_lite_irq_reset(IGBLiteState *s)
{
    timer_del(s->irq_timer);
    qemu_bh_cancel(s->irq_bh);
    s->owed = 0;
    s->tx_held = 0;
    s->irq_delayed = 0;
    memset(s->quiet_until, 0, sizeof(s->quiet_until));
    if (!s->gone) {
        pci_set_irq(PCI_DEVICE(s), 0);
    }
}

/* After migration: whatever is owed goes out, or its timer is armed. */
void igb_lite_irq_resume(IGBLiteState *s)
{
    qemu_bh_schedule(s->irq_bh);
}

void igb_lite_irq_realize(IGBLiteState *s)
{
    s->irq_timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, irq_timer, s);
    s->irq_bh = qemu_bh_new_guarded(irq_bh, s, &DEVICE(s)->mem_reentrancy_guard);
}

void igb_lite_irq_unrealize(IGBLiteState *s)
{
    timer_free(s->irq_timer);
    qemu_bh_delete(s->irq_bh);
}

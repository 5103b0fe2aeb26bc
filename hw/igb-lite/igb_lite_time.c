/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite: SYSTIM, and the time stamps of PTP frames (IEEE 1588).
 *
 * SYSTIM counts QEMU's virtual clock, the one behind the guest's own timers, so device and guest
 * events have one time. Every TIMINCA.INCPERIOD times 16 ns it grows by TIMINCA.INCVALUE. It is not
 * run but computed, from a value and the moment when it had it. A stamp register keeps the first
 * time until its high half is read; frames after that are not stamped, as on the 82576.
 */
#include "qemu/osdep.h"

#include "igb_lite.h"
#include "trace.h"

#define CLOCK_NS 16
#define ETH_P_PTP 0x88f7
#define PTP_EVENT_PORT 319
#define UDP_HEADER 8
#define PTP_V1_CONTROL 32 /* offset of the message's kind in version 1 */
#define PTP_V1_LEN 40
#define PTP_V2_LEN 34

/* TSYNCRXCTL.TYPE */
enum { STAMP_L2_V2, STAMP_L4_V1, STAMP_L2_L4_V2, STAMP_ALL = 4, STAMP_EVENT_V2 };

/* Now. Moves the reference point along, by whole periods, so that no fraction is lost. */
static uint64_t systim(IGBLiteState *s)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    int64_t period = IGB_LITE_GET(s, TIMINCA, INCPERIOD) * CLOCK_NS;

    if (!period || now < s->systim_since) {
        s->systim_since = now;
    } else {
        uint64_t ticks = (now - s->systim_since) / period;

        s->systim += ticks * IGB_LITE_GET(s, TIMINCA, INCVALUE);
        s->systim_since += ticks * period;
    }
    return s->systim;
}

/* Reading the low half holds the high half that belongs to it. */
uint32_t igb_lite_systim_read(IGBLiteState *s, uint32_t at)
{
    if (at == A_SYSTIML) {
        uint64_t now = systim(s);

        s->mac[R_SYSTIML] = now;
        s->mac[R_SYSTIMH] = now >> 32;
    }
    return s->mac[at / 4];
}

void igb_lite_systim_write(IGBLiteState *s, uint32_t at, uint32_t val)
{
    s->systim = deposit64(systim(s), at == A_SYSTIML ? 0 : 32, 32, val);
    s->mac[at / 4] = val;
}

void igb_lite_timinca_write(IGBLiteState *s, uint32_t at, uint32_t val)
{
    systim(s); /* what has passed, at the old rate */
    s->mac[R_TIMINCA] = val;
}

/* Reading the high half of a stamp makes room for the next. */
uint32_t igb_lite_stamp_read(IGBLiteState *s, uint32_t at)
{
    s->mac[at == A_TXSTMPH ? R_TSYNCTXCTL : R_TSYNCRXCTL] &= ~R_TSYNCRXCTL_VALID_MASK;
    return s->mac[at / 4];
}

static bool stamp(IGBLiteState *s, unsigned control, unsigned low)
{
    uint64_t now;

    if (s->mac[control] & R_TSYNCRXCTL_VALID_MASK) {
        return false;
    }
    now = systim(s);
    s->mac[low] = now;
    s->mac[low + 1] = now >> 32;
    s->mac[control] |= R_TSYNCRXCTL_VALID_MASK;
    trace_igb_lite_stamp(low == R_TXSTMPL, now);
    return true;
}

/* A frame is sent whose descriptor asks for its time. */
void igb_lite_time_sent(IGBLiteState *s)
{
    if (IGB_LITE_GET(s, TSYNCTXCTL, ENABLE)) {
        stamp(s, R_TSYNCTXCTL, R_TXSTMPL);
    }
}

/* Is this the message (version 2 if v2) whose kind TSYNCRXCFG names, or any event message? */
static bool message_matches(IGBLiteState *s, const uint8_t *ptp, size_t len, bool v2, bool event)
{
    if (v2) {
        return len >= PTP_V2_LEN && (ptp[1] & 0xf) == 2 &&
               (event ? (ptp[0] & 0xf) < 8 : (ptp[0] & 0xf) == IGB_LITE_GET(s, TSYNCRXCFG, MSGT));
    }
    return len >= PTP_V1_LEN && lduw_be_p(ptp) == 1 &&
           ptp[PTP_V1_CONTROL] == IGB_LITE_GET(s, TSYNCRXCFG, CTRLT);
}

/* A frame has come: is its time in RXSTMP? */
bool igb_lite_time_received(IGBLiteState *s, const IGBLitePacket *p)
{
    unsigned type = IGB_LITE_GET(s, TSYNCRXCTL, TYPE);
    bool l2 = lduw_be_p(p->data + p->l3 - 2) == ETH_P_PTP;
    bool l4 = p->udp && lduw_be_p(p->data + p->l4 + 2) == PTP_EVENT_PORT;
    size_t at = l2 ? p->l3 : p->l4 + UDP_HEADER;
    bool matches;

    if (!IGB_LITE_GET(s, TSYNCRXCTL, ENABLE) || (!l2 && !l4 && type != STAMP_ALL)) {
        return false;
    }
    switch (type) {
    case STAMP_L2_V2:
        matches = l2 && message_matches(s, p->data + at, p->len - at, true, false);
        break;
    case STAMP_L4_V1:
        matches = l4 && message_matches(s, p->data + at, p->len - at, false, false);
        break;
    case STAMP_L2_L4_V2:
    case STAMP_EVENT_V2:
        matches = message_matches(s, p->data + at, p->len - at, true, type == STAMP_EVENT_V2);
        break;
    default:
        matches = type == STAMP_ALL;
    }
    return matches && stamp(s, R_TSYNCRXCTL, R_RXSTMPL);
}

void igb_lite_time_reset(IGBLiteState *s)
{
    s->systim = 0;
    s->systim_since = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

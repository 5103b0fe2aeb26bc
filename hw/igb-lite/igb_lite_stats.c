/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite: statistics. Counters stop at their maximum; that reading clears them is in the
 * register table.
 */
#include "qemu/osdep.h"

#include "igb_lite.h"
#include "net/eth.h"
#include "trace.h"

static inline void count(IGBLiteState *s, unsigned reg, uint32_t n)
{
    uint32_t *counter = &s->mac[reg];

    *counter = n > UINT32_MAX - *counter ? UINT32_MAX : *counter + n;
}

/* Adds n to the counter at index reg (R_name + instance). */
void igb_lite_count(IGBLiteState *s, unsigned reg, uint32_t n)
{
    count(s, reg, n);
    trace_igb_lite_count(reg * 4, n, s->mac[reg]);
}

static inline void count64(IGBLiteState *s, unsigned low, uint64_t n)
{
    uint64_t value = s->mac[low] | (uint64_t)s->mac[low + 1] << 32;

    value = n > UINT64_MAX - value ? UINT64_MAX : value + n;
    s->mac[low] = value;
    s->mac[low + 1] = value >> 32;
}

/*
 * A frame passed the MAC, wanted or not: total counters. len is without FCS, the byte counters are
 * with it.
 */
void igb_lite_count_seen(IGBLiteState *s, bool tx, size_t len)
{
    count(s, tx ? R_TPT : R_TPR, 1);
    count64(s, tx ? R_TOTL : R_TORL, len + 4);
}

/*
 * A frame was sent, or received and stored: counters of good frames, by kind and size. What is sent
 * is counted as seen, too.
 */
void igb_lite_count_frame(IGBLiteState *s, bool tx, const uint8_t *frame, size_t len)
{
    static const uint16_t limits[] = {64, 127, 255, 511, 1023};
    size_t on_wire = len + 4;
    unsigned bucket = 0;

    if (tx) {
        igb_lite_count_seen(s, true, len);
    }
    while (bucket < ARRAY_SIZE(limits) && on_wire > limits[bucket]) {
        bucket++;
    }
    count(s, (tx ? R_PTC : R_PRC) + bucket, 1);
    count(s, tx ? R_GPTC : R_GPRC, 1);
    count64(s, tx ? R_GOTCL : R_GORCL, on_wire);
    if (is_broadcast_ether_addr(frame)) {
        count(s, tx ? R_BPTC : R_BPRC, 1);
    } else if (is_multicast_ether_addr(frame)) {
        count(s, tx ? R_MPTC : R_MPRC, 1);
    }
}

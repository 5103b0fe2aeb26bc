/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite: which received frames are for us: by length, VLAN and destination address.
 */
#include "qemu/osdep.h"

#include "igb_lite.h"
#include "net/eth.h"

/* Without RCTL.LPE, without FCS and tag. */
#define LONGEST_PLAIN 1514

static bool table_bit(IGBLiteState *s, unsigned table, unsigned bit)
{
    return s->mac[table + bit / 32] >> (bit % 32) & 1;
}

static bool address_matches(IGBLiteState *s, const uint8_t *addr)
{
    uint32_t low = ldl_le_p(addr), high = lduw_le_p(addr + 4) | R_RAH_AV_MASK;
    uint32_t mask = R_RAH_AV_MASK | 0xffff;

    for (unsigned i = 0; i < 16; i++) {
        if (s->mac[R_RAL + 2 * i] == low && (s->mac[R_RAH + 2 * i] & mask) == high) {
            return true;
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        if (s->mac[R_RAL2 + 2 * i] == low && (s->mac[R_RAH2 + 2 * i] & mask) == high) {
            return true;
        }
    }
    return false;
}

/* Is the frame for us: VLAN table, then destination address (RCTL, RAL/RAH, MTA). */
bool igb_lite_wanted(IGBLiteState *s, const IGBLitePacket *p)
{
    static const uint8_t hash_shift[] = {4, 3, 2, 0};
    uint32_t rctl = s->mac[R_RCTL];
    const uint8_t *dst = p->data;

    if (p->vlan && FIELD_EX32(rctl, RCTL, VFE) && !table_bit(s, R_VFTA, p->vlan_tag & 0xfff)) {
        return false;
    }
    if (is_broadcast_ether_addr(dst)) {
        return FIELD_EX32(rctl, RCTL, BAM) || FIELD_EX32(rctl, RCTL, MPE);
    }
    if (address_matches(s, dst)) {
        return true;
    }
    if (is_multicast_ether_addr(dst)) {
        unsigned hash = lduw_le_p(dst + 4) >> hash_shift[FIELD_EX32(rctl, RCTL, MO)];

        return FIELD_EX32(rctl, RCTL, MPE) || table_bit(s, R_MTA, hash & 0xfff);
    }
    return FIELD_EX32(rctl, RCTL, UPE);
}

/* Longer than RLPML, or, without RCTL.LPE, than Ethernet allows; and than the MAC can take. */
bool igb_lite_too_long(IGBLiteState *s, const IGBLitePacket *p)
{
    size_t limit = IGB_LITE_GET(s, RCTL, LPE)
                       ? IGB_LITE_GET(s, RLPML, SIZE)
                       : LONGEST_PLAIN + 4 + (p->vlan ? sizeof(struct vlan_header) : 0);

    if (p->len + 4 > IGB_LITE_FRAME_MAX) {
        return true;
    }
    return p->len + 4 > limit && !IGB_LITE_GET(s, RCTL, SBP);
}

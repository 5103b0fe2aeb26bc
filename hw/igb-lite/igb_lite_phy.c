/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite: the PHY behind MDIC (one, at address 1), auto-negotiation and link state, and the NVM
 * behind EERD.
 *
 * The link is up when the PHY has power, auto-negotiation has ended and the netdev's link is up.
 * The partner can do everything, so the result is always 1 Gbit/s full duplex. The autoneg timer
 * only schedules link_bh.
 */
#include "qemu/osdep.h"

#include "hw/net/mii.h"
#include "hw/qdev-core.h"
#include "igb_lite.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "trace.h"

/*
 * What the vendor's image has where drivers look; all else is 0xffff. Words 0 to 2 hold the MAC,
 * 0x3f the checksum.
 */
static const struct {
    uint8_t word;
    uint16_t value;
} nvm_words[] = {
    {0x03, 0x0d34}, {0x05, 0x1000}, {0x08, 0x1040}, {0x0a, 0x002b}, {0x0b, 0x0000},
    {0x0c, 0x8086}, {0x0d, 0x10c9}, {0x0f, 0x70c3}, {0x11, 0x10c9}, {0x43, 0x0000},
};

#define NVM_CHECKSUM 0xbaba
#define NVM_CHECKSUM_WORD 0x3f

static void fill_nvm(IGBLiteState *s)
{
    const uint8_t *mac = s->conf.macaddr.a;
    uint16_t sum = 0;

    memset(s->nvm, 0xff, sizeof(s->nvm));
    for (unsigned i = 0; i < ARRAY_SIZE(nvm_words); i++) {
        s->nvm[nvm_words[i].word] = nvm_words[i].value;
    }
    for (unsigned i = 0; i < 3; i++) {
        s->nvm[i] = mac[2 * i] | mac[2 * i + 1] << 8;
    }
    for (unsigned i = 0; i < NVM_CHECKSUM_WORD; i++) {
        sum += s->nvm[i];
    }
    s->nvm[NVM_CHECKSUM_WORD] = NVM_CHECKSUM - sum;
}

/* EERD: a read of one NVM word, done at once. */
void igb_lite_eerd_write(IGBLiteState *s, uint32_t val)
{
    uint32_t word = FIELD_EX32(val, EERD, ADDR);
    uint32_t result = FIELD_DP32(0, EERD, ADDR, word);

    if (FIELD_EX32(val, EERD, START)) {
        if (word >= IGB_LITE_NVM_WORDS) {
            igb_lite_guest_error(s, "EERD: word 0x%x is beyond the NVM", word);
        } else {
            result = FIELD_DP32(result, EERD, DATA, s->nvm[word]);
        }
        result = FIELD_DP32(result, EERD, DONE, 1);
    }
    s->mac[R_EERD] = result;
}

static void set_link(IGBLiteState *s, bool up)
{
    uint16_t done = MII_BMSR_LINK_ST | MII_BMSR_AN_COMP;

    s->phy[MII_BMSR] = up ? s->phy[MII_BMSR] | done : s->phy[MII_BMSR] & ~done;
    s->phy[MII_ANLPAR] =
        up ? s->phy[MII_ANLPAR] | MII_ANLPAR_ACK : s->phy[MII_ANLPAR] & ~MII_ANLPAR_ACK;
    s->mac[R_STATUS] = FIELD_DP32(s->mac[R_STATUS], STATUS, LU, up);
    if (s->link_up != up) {
        s->link_up = up;
        trace_igb_lite_link(up);
        igb_lite_log(s, "link", "\"up\":%s", up ? "true" : "false");
        igb_lite_rx_kick(s, UINT32_MAX);
        igb_lite_irq_other(s, R_ICR_LSC_MASK);
    }
}

/* Drops the link, and starts auto-negotiation if there is anyone to negotiate with. */
static void restart_autoneg(IGBLiteState *s)
{
    bool possible = !qemu_get_queue(s->nic)->link_down && !(s->phy[MII_BMCR] & MII_BMCR_PDOWN);

    set_link(s, false);
    timer_del(s->autoneg_timer);
    if (possible) {
        trace_igb_lite_autoneg(s->autoneg_ms);
        timer_mod(s->autoneg_timer, qemu_clock_get_ms(QEMU_CLOCK_VIRTUAL) + s->autoneg_ms);
    }
}

static void autoneg_timer(void *opaque)
{
    IGBLiteState *s = opaque;

    qemu_bh_schedule(s->link_bh);
}

static void link_bh(void *opaque)
{
    IGBLiteState *s = opaque;

    if (!s->gone && !qemu_get_queue(s->nic)->link_down && !(s->phy[MII_BMCR] & MII_BMCR_PDOWN)) {
        igb_lite_enter(s);
        set_link(s, true);
        igb_lite_irq_deliver(s);
        igb_lite_leave(s);
    }
}

/* The netdev's link was set up or down from outside; no guard covers this, so irq_bh delivers. */
void igb_lite_link_changed(IGBLiteState *s)
{
    if (s->gone) {
        return;
    }
    restart_autoneg(s);
    qemu_bh_schedule(s->irq_bh);
}

bool igb_lite_phy_loopback(IGBLiteState *s)
{
    return s->phy[MII_BMCR] & MII_BMCR_LOOPBACK;
}

static void phy_write(IGBLiteState *s, unsigned reg, uint16_t val)
{
    switch (reg) {
    case MII_BMCR:
        if (val & MII_BMCR_RESET) {
            igb_lite_phy_reset(s);
            restart_autoneg(s);
            break;
        }
        bool power_changes = (val ^ s->phy[MII_BMCR]) & MII_BMCR_PDOWN;
        s->phy[MII_BMCR] = val & ~MII_BMCR_ANRESTART;
        if (val & MII_BMCR_LOOPBACK) {
            timer_del(s->autoneg_timer);
            set_link(s, true);
        } else if (power_changes || (val & MII_BMCR_ANRESTART && val & MII_BMCR_AUTOEN)) {
            restart_autoneg(s);
        }
        break;
    case MII_ANAR:
    case MII_ANNP:
    case MII_CTRL1000:
    case MII_NSR:
    case MII_REC:
    case MII_SNRDR:
    case MII_TEST:
    case IGB_LITE_PHY_PAGE:
        s->phy[reg] = val;
        break;
    default:
        break; /* read-only, or not there */
    }
}

/*
 * MDIC: one PHY access, done at once. Registers that do not exist read as 0; the page register is
 * stored and otherwise ignored. A PHY that does not exist is an error, which is how drivers look
 * for the one that does.
 */
void igb_lite_mdic_write(IGBLiteState *s, uint32_t val)
{
    unsigned reg = FIELD_EX32(val, MDIC, REG);
    unsigned op = FIELD_EX32(val, MDIC, OP);

    if (FIELD_EX32(val, MDIC, PHY) != IGB_LITE_PHY_ADDR || (op != 1 && op != 2)) {
        igb_lite_guest_error(s, "MDIC: PHY %u, operation %u", FIELD_EX32(val, MDIC, PHY), op);
        val = FIELD_DP32(val, MDIC, ERROR, 1);
    } else if (op == 2) {
        val = FIELD_DP32(val, MDIC, DATA, s->phy[reg]);
        trace_igb_lite_phy_read(reg, s->phy[reg]);
    } else {
        trace_igb_lite_phy_write(reg, val & 0xffff);
        phy_write(s, reg, val & 0xffff);
    }
    s->mac[R_MDIC] = FIELD_DP32(val, MDIC, READY, 1);
    if (FIELD_EX32(val, MDIC, INT_EN)) {
        igb_lite_irq_other(s, R_ICR_MDAC_MASK);
    }
}

/* PHY registers to their values at power-on. */
void igb_lite_phy_reset(IGBLiteState *s)
{
    memset(s->phy, 0, sizeof(s->phy));
    s->phy[MII_BMCR] = MII_BMCR_AUTOEN | MII_BMCR_FD | MII_BMCR_SPEED1000;
    s->phy[MII_BMSR] = 0x7949;
    s->phy[MII_PHYID1] = IGB_LITE_PHY_ID1;
    s->phy[MII_PHYID2] = IGB_LITE_PHY_ID2;
    s->phy[MII_ANAR] = 0x0de1;
    s->phy[MII_ANLPAR] = 0x07e0;
    s->phy[MII_ANER] = MII_ANER_NP | MII_ANER_NWAY;
    s->phy[MII_ANNP] = MII_ANNP_MP | 1;
    s->phy[MII_CTRL1000] = 0x0f00;
    s->phy[MII_STAT1000] = 0x3c00;
    s->phy[MII_EXTSTAT] = 0x3000;
    s->phy[MII_NSR] = 0x0120;
    s->phy[MII_LBREMR] = 0xc000;
    s->phy[MII_TEST] = 0x008d;
}

/* After a reset of the MAC the link comes up anew. */
void igb_lite_link_reset(IGBLiteState *s)
{
    s->link_up = false;
    restart_autoneg(s);
}

void igb_lite_phy_realize(IGBLiteState *s)
{
    fill_nvm(s);
    s->autoneg_timer = timer_new_ms(QEMU_CLOCK_VIRTUAL, autoneg_timer, s);
    s->link_bh = qemu_bh_new_guarded(link_bh, s, &DEVICE(s)->mem_reentrancy_guard);
}

void igb_lite_phy_unrealize(IGBLiteState *s)
{
    timer_free(s->autoneg_timer);
    qemu_bh_delete(s->link_bh);
}

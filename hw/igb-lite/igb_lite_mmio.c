/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite: register accesses, by the table in igb_lite_regs.h; the values after a reset; the
 * table's registers in and out of a migration stream. Runs under the big QEMU lock.
 */
#include "qemu/osdep.h"

#include "hw/pci/msix.h"
#include "igb_lite.h"
#include "trace.h"

/* What a register does beyond its kind of access. at: the instance's canonical offset. */
typedef struct RegHook {
    uint32_t (*read)(IGBLiteState *s, uint32_t at);            /* instead of the stored value */
    void (*write)(IGBLiteState *s, uint32_t at, uint32_t val); /* instead of storing it */
    void (*stored)(IGBLiteState *s, unsigned index);           /* after storing */
} RegHook;

typedef struct RegInfo {
    uint32_t offset;
    uint16_t count, step;
    uint32_t reset, writable;
    IGBLiteAccess access;
    const RegHook *hook;
} RegInfo;

static uint32_t status_read(IGBLiteState *s, uint32_t at)
{
    return FIELD_DP32(s->mac[R_STATUS], STATUS, GIO_MASTER_ENABLE,
                      !IGB_LITE_GET(s, CTRL, GIO_MASTER_DISABLE));
}

/* The semaphore is taken by whoever reads it free. */
static uint32_t swsm_read(IGBLiteState *s, uint32_t at)
{
    uint32_t val = s->mac[R_SWSM];

    s->mac[R_SWSM] |= R_SWSM_SMBI_MASK;
    return val;
}

static void ctrl_write(IGBLiteState *s, uint32_t at, uint32_t val)
{
    if (FIELD_EX32(val, CTRL, RST)) {
        igb_lite_software_reset(s);
        return;
    }
    if (FIELD_EX32(val & ~s->mac[R_CTRL], CTRL, PHY_RST)) {
        trace_igb_lite_reset("CTRL.PHY_RST");
        igb_lite_phy_reset(s);
        igb_lite_link_changed(s);
    }
    s->mac[R_CTRL] = val;
}

static void eerd_write(IGBLiteState *s, uint32_t at, uint32_t val)
{
    igb_lite_eerd_write(s, val);
}

static void mdic_write(IGBLiteState *s, uint32_t at, uint32_t val)
{
    igb_lite_mdic_write(s, val);
}

static void pbaclr_write(IGBLiteState *s, uint32_t at, uint32_t val)
{
    for (unsigned v = 0; v < IGB_LITE_VECTORS; v++) {
        if (val >> v & 1) {
            msix_clr_pending(PCI_DEVICE(s), v);
        }
    }
}

static void base_write(IGBLiteState *s, uint32_t at, uint32_t val)
{
    if (val % 128) {
        igb_lite_guest_error(s, "ring base 0x%x in register 0x%x is not a multiple of 128", val,
                             at);
    }
    s->mac[at / 4] = val & ~127u;
}

static void tctl_stored(IGBLiteState *s, unsigned index)
{
    igb_lite_tx_kick(s, MAKE_64BIT_MASK(0, IGB_LITE_QUEUES));
}

static void rssrk_stored(IGBLiteState *s, unsigned index)
{
    s->rss_stale = true;
}

static void rctl_stored(IGBLiteState *s, unsigned index)
{
    igb_lite_rx_kick(s, UINT32_MAX);
}

static void srrctl_stored(IGBLiteState *s, unsigned q)
{
    igb_lite_rx_kick(s, 1u << q);
}

/* RDT, RXDCTL: notices a ring that cannot be used when it is made, not at the first frame. */
static void rx_ring_stored(IGBLiteState *s, unsigned q)
{
    igb_lite_log(s, "tail", "\"dir\":\"rx\",\"queue\":%u,\"tail\":%u", q, IGB_LITE_Q(s, RDT, q));
    igb_lite_rx_kick(s, 1u << q);
    if (!FIELD_EX32(IGB_LITE_Q(s, RXDCTL, q), RXDCTL, ENABLE)) {
        igb_lite_write_back_forget(s, false, q);
    } else {
        igb_lite_ring_size(s, IGB_LITE_Q(s, RDLEN, q), IGB_LITE_Q(s, RDH, q),
                           IGB_LITE_Q(s, RDT, q));
    }
}

static void tx_ring_stored(IGBLiteState *s, unsigned q)
{
    igb_lite_log(s, "tail", "\"dir\":\"tx\",\"queue\":%u,\"tail\":%u", q, IGB_LITE_Q(s, TDT, q));
    if (!FIELD_EX32(IGB_LITE_Q(s, TXDCTL, q), TXDCTL, ENABLE)) {
        igb_lite_write_back_forget(s, true, q);
    }
    igb_lite_tx_kick(s, 1u << q);
}

static const RegHook hook_none = {};
static const RegHook hook_base = {.write = base_write};
static const RegHook hook_ctrl = {.write = ctrl_write};
static const RegHook hook_eerd = {.write = eerd_write};
static const RegHook hook_eitr = {.write = igb_lite_eitr_write};
static const RegHook hook_irq = {.read = igb_lite_irq_read, .write = igb_lite_irq_write};
static const RegHook hook_mdic = {.write = mdic_write};
static const RegHook hook_pbaclr = {.write = pbaclr_write};
static const RegHook hook_rctl = {.stored = rctl_stored};
static const RegHook hook_rdt = {.stored = rx_ring_stored};
static const RegHook hook_rssrk = {.stored = rssrk_stored};
static const RegHook hook_rxdctl = {.stored = rx_ring_stored};
static const RegHook hook_srrctl = {.stored = srrctl_stored};
static const RegHook hook_stamp = {.read = igb_lite_stamp_read};
static const RegHook hook_status = {.read = status_read};
static const RegHook hook_swsm = {.read = swsm_read};
static const RegHook hook_systim = {.read = igb_lite_systim_read, .write = igb_lite_systim_write};
static const RegHook hook_timinca = {.write = igb_lite_timinca_write};
static const RegHook hook_tctl = {.stored = tctl_stored};
static const RegHook hook_tdt = {.stored = tx_ring_stored};

/* clang-format off */
#define REG_INFO(name, offset, count, step, reset, writable, access, hook) \
    { offset, count, step, reset, writable, IGB_LITE_##access, &hook_##hook },
static const RegInfo reg_table[] = { IGB_LITE_REGISTERS(REG_INFO) };
#undef REG_INFO

static const struct {
    uint32_t at, step, count, canonical, canonical_step, length;
} aliases[] = {
#define ALIAS(...) { __VA_ARGS__ },
    IGB_LITE_ALIASES(ALIAS)
#undef ALIAS
};
/* clang-format on */

/* For each 32-bit word of the BAR: its register's first place, and 1 + its row in reg_table. */
static struct {
    uint32_t canonical;
    uint8_t row; /* 0: no register */
} words[IGB_LITE_MMIO_SIZE / 4];

void igb_lite_mmio_class_init(void)
{
    QEMU_BUILD_BUG_ON(ARRAY_SIZE(reg_table) > UINT8_MAX);
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        words[i].canonical = i * 4;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(reg_table); i++) {
        for (unsigned n = 0; n < reg_table[i].count; n++) {
            words[(reg_table[i].offset + n * reg_table[i].step) / 4].row = i + 1;
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(aliases); i++) {
        for (unsigned n = 0; n < aliases[i].count; n++) {
            for (unsigned b = 0; b < aliases[i].length; b += 4) {
                uint32_t to = aliases[i].canonical + n * aliases[i].canonical_step + b;
                uint32_t from = aliases[i].at + n * aliases[i].step + b;

                words[from / 4] = words[to / 4];
            }
        }
    }
}

static const RegInfo *find(uint32_t *addr)
{
    uint8_t row = words[*addr / 4].row;

    *addr = words[*addr / 4].canonical;
    return row ? &reg_table[row - 1] : NULL;
}

static uint64_t mmio_read(void *opaque, hwaddr addr, unsigned size)
{
    IGBLiteState *s = opaque;
    uint32_t at = addr, val;
    const RegInfo *r = find(&at);

    if (!r) {
        qemu_log_mask(LOG_UNIMP, TYPE_IGB_LITE ": read of register 0x%05x\n", at);
        val = 0;
    } else if (r->hook->read) {
        val = r->hook->read(s, at);
    } else {
        val = s->mac[at / 4];
        if (r->access == IGB_LITE_RC || r->access == IGB_LITE_RCH) {
            s->mac[at / 4] = 0;
        }
        if (r->access == IGB_LITE_RCH) {
            s->mac[at / 4 - 1] = 0;
        }
    }
    trace_igb_lite_reg_read(addr, val);
    return val;
}

static void mmio_write(void *opaque, hwaddr addr, uint64_t val, unsigned size)
{
    IGBLiteState *s = opaque;
    uint32_t at = addr;
    const RegInfo *r = find(&at);

    igb_lite_enter(s);
    trace_igb_lite_reg_write(addr, val);
    if (!r) {
        qemu_log_mask(LOG_UNIMP, TYPE_IGB_LITE ": write of 0x%08x to register 0x%05x\n",
                      (uint32_t)val, at);
    } else if (r->hook->write) {
        r->hook->write(s, at, val);
    } else {
        s->mac[at / 4] = (s->mac[at / 4] & ~r->writable) | (val & r->writable);
        if (r->hook->stored) {
            r->hook->stored(s, (at - r->offset) / r->step);
        }
    }
    igb_lite_irq_deliver(s);
    igb_lite_leave(s);
}

/* Refuses all but aligned 32-bit accesses. */
static bool mmio_accepts(void *opaque, hwaddr addr, unsigned size, bool is_write, MemTxAttrs attrs)
{
    IGBLiteState *s = opaque;

    if (size == 4 && addr % 4 == 0) {
        return true;
    }
    igb_lite_guest_error(s, "%s of %u bytes at 0x%05x refused", is_write ? "write" : "read", size,
                         (unsigned)addr);
    return false;
}

const MemoryRegionOps igb_lite_mmio_ops = {
    .read = mmio_read,
    .write = mmio_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {.min_access_size = 4, .max_access_size = 8, .accepts = mmio_accepts},
    .impl = {.min_access_size = 4, .max_access_size = 4},
};

/* Registers to their values after reset; those of kind RWK only if all is set. */
void igb_lite_registers_reset(IGBLiteState *s, bool all)
{
    const uint8_t *mac = s->conf.macaddr.a;

    for (unsigned i = 0; i < ARRAY_SIZE(reg_table); i++) {
        const RegInfo *r = &reg_table[i];

        for (unsigned n = 0; (all || r->access != IGB_LITE_RWK) && n < r->count; n++) {
            s->mac[(r->offset + n * r->step) / 4] = r->reset;
        }
    }
    s->mac[R_RXDCTL] |= R_RXDCTL_ENABLE_MASK;
    s->mac[R_TXDCTL] |= R_TXDCTL_ENABLE_MASK;
    s->mac[R_RAL] = ldl_le_p(mac);
    s->mac[R_RAH] = lduw_le_p(mac + 4) | R_RAH_AV_MASK;
    s->rss_stale = true;
    igb_lite_time_reset(s);
}

/* How many registers the table has, instances counted. */
uint32_t igb_lite_registers_count(void)
{
    uint32_t count = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(reg_table); i++) {
        count += reg_table[i].count;
    }
    return count;
}

/* Copies the table's registers, one after the other, to or from s->saved. */
void igb_lite_registers_copy(IGBLiteState *s, bool to_saved)
{
    uint32_t at = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(reg_table); i++) {
        for (unsigned n = 0; n < reg_table[i].count; n++, at++) {
            uint32_t *reg = &s->mac[(reg_table[i].offset + n * reg_table[i].step) / 4];

            if (to_saved) {
                s->saved[at] = *reg;
            } else {
                *reg = s->saved[at];
            }
        }
    }
}

/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite: a PCIe network controller, a strict subset of the Intel 82576. This file: the PCI
 * device, access to registers, DMA, reset, migration. See igb_lite.h for the rules and
 * docs/igb-lite.md for the data sheet.
 */
#include "qemu/osdep.h"

#include "hw/pci/msix.h"
#include "hw/pci/pcie.h"
#include "hw/qdev-properties.h"
#include "igb_lite.h"
#include "migration/vmstate.h"
#include "net/eth.h"
#include "qapi/error.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/range.h"
#include "qemu/units.h"
#include "system/runstate.h"
#include "trace.h"

#define MMIO_BAR 0
#define MSIX_BAR 3
#define MSIX_SIZE (16 * KiB)
#define MSIX_PBA 0x2000
#define PM_OFFSET 0x40
#define MSIX_OFFSET 0x70
#define PCIE_OFFSET 0xa0

typedef enum RegKind { RW, RO, KEEP, STAT, FN } RegKind;

typedef struct RegInfo {
    uint32_t offset;
    uint16_t count, step;
    uint32_t reset, writable;
    RegKind kind;
} RegInfo;

/* clang-format off */
#define REG_INFO(name, offset, count, step, reset, writable, kind) \
    { offset, count, step, reset, writable, kind },
static const RegInfo reg_table[] = { IGB_LITE_REGISTERS(REG_INFO) };
#undef REG_INFO
/* clang-format on */

/* For each 32-bit word of the BAR, 1 + its register's place in reg_table; 0: no register. */
static uint8_t reg_index[IGB_LITE_MMIO_SIZE / 4];

static void build_reg_index(void)
{
    QEMU_BUILD_BUG_ON(ARRAY_SIZE(reg_table) > UINT8_MAX);
    for (unsigned i = 0; i < ARRAY_SIZE(reg_table); i++) {
        for (unsigned n = 0; n < reg_table[i].count; n++) {
            reg_index[(reg_table[i].offset + n * reg_table[i].step) / 4] = i + 1;
        }
    }
}

/* DMA. A failure (bus mastering off, no memory there, our own registers) is the guest's error. */
bool igb_lite_dma_read(IGBLiteState *s, uint64_t addr, void *buf, size_t len)
{
    trace_igb_lite_dma_read(addr, len);
    if (pci_dma_read(PCI_DEVICE(s), addr, buf, len) == MEMTX_OK) {
        return true;
    }
    igb_lite_guest_error(s, "DMA read of %zu bytes at 0x%" PRIx64 " failed", len, addr);
    return false;
}

bool igb_lite_dma_write(IGBLiteState *s, uint64_t addr, const void *buf, size_t len)
{
    trace_igb_lite_dma_write(addr, len);
    if (pci_dma_write(PCI_DEVICE(s), addr, buf, len) == MEMTX_OK) {
        return true;
    }
    igb_lite_guest_error(s, "DMA write of %zu bytes at 0x%" PRIx64 " failed", len, addr);
    return false;
}

/* Makes a descriptor visible: one 64-bit store, after everything that was written before. */
bool igb_lite_dma_publish(IGBLiteState *s, uint64_t addr, uint64_t value)
{
    MemTxResult result;

    trace_igb_lite_dma_publish(addr, value);
    smp_wmb();
    address_space_stq_le(pci_get_address_space(PCI_DEVICE(s)), addr, value, MEMTXATTRS_UNSPECIFIED,
                         &result);
    if (result == MEMTX_OK) {
        return true;
    }
    igb_lite_guest_error(s, "DMA write of a descriptor at 0x%" PRIx64 " failed", addr);
    return false;
}

/*
 * A ring's number of descriptors from its length register; 0 if ring, head or tail cannot be used.
 */
uint32_t igb_lite_ring_size(IGBLiteState *s, uint32_t len, uint32_t head, uint32_t tail)
{
    uint32_t size = len / 16;

    if (!len || len % 128) {
        igb_lite_guest_error(s, "ring of %u bytes", len);
        return 0;
    }
    if (head >= size || tail >= size) {
        igb_lite_guest_error(s, "head %u or tail %u beyond a ring of %u", head, tail, size);
        return 0;
    }
    return size;
}

/* Registers to their values after reset; those of kind KEEP, and EITR, only if all is set. */
static void reset_registers(IGBLiteState *s, bool all)
{
    const uint8_t *mac = s->conf.macaddr.a;

    for (unsigned i = 0; i < ARRAY_SIZE(reg_table); i++) {
        const RegInfo *r = &reg_table[i];

        for (unsigned n = 0; (all || (r->kind != KEEP && r->offset != A_EITR)) && n < r->count;
             n++) {
            s->mac[(r->offset + n * r->step) / 4] = r->reset;
        }
    }
    s->mac[R_RXDCTL] |= R_RXDCTL_ENABLE_MASK;
    s->mac[R_TXDCTL] |= R_TXDCTL_ENABLE_MASK;
    s->mac[R_RAL] = ldl_le_p(mac);
    s->mac[R_RAH] = lduw_le_p(mac + 4) | R_RAH_AV_MASK;
}

/* CTRL.RST: everything but config space, the PHY's registers and what the table keeps. */
static void software_reset(IGBLiteState *s)
{
    trace_igb_lite_reset("CTRL.RST");
    igb_lite_tx_reset(s);
    igb_lite_irq_reset(s);
    reset_registers(s, false);
    s->rss_stale = true;
    igb_lite_link_reset(s);
}

static void write_ctrl(IGBLiteState *s, uint32_t val)
{
    if (FIELD_EX32(val, CTRL, RST)) {
        software_reset(s);
        return;
    }
    if (FIELD_EX32(val & ~s->mac[R_CTRL], CTRL, PHY_RST)) {
        trace_igb_lite_reset("CTRL.PHY_RST");
        igb_lite_phy_reset(s);
        igb_lite_link_changed(s);
    }
    s->mac[R_CTRL] = val;
}

static void check_ring_base(IGBLiteState *s, uint32_t addr, uint32_t val)
{
    if (val % 128) {
        igb_lite_guest_error(s, "ring base 0x%x in register 0x%x is not a multiple of 128", val,
                             addr);
    }
}

/* A queue register with a function: does it after the value is stored. */
static void queue_written(IGBLiteState *s, uint32_t base, unsigned q, uint32_t val)
{
    switch (base) {
    case A_RDBAL:
    case A_TDBAL:
        check_ring_base(s, base + q * 0x40, val);
        break;
    case A_RXDCTL:
        if (FIELD_EX32(val, RXDCTL, ENABLE)) {
            igb_lite_ring_size(s, IGB_LITE_Q(s, RDLEN, q), IGB_LITE_Q(s, RDH, q),
                               IGB_LITE_Q(s, RDT, q));
        }
        break;
    case A_RDT:
        if (FIELD_EX32(IGB_LITE_Q(s, RXDCTL, q), RXDCTL, ENABLE)) {
            igb_lite_ring_size(s, IGB_LITE_Q(s, RDLEN, q), IGB_LITE_Q(s, RDH, q), val & 0xffff);
        }
        break;
    case A_TDT:
    case A_TXDCTL:
        igb_lite_tx_kick(s, 1u << q);
        break;
    }
}

/*
 * Queue registers at the 82575's places, and the ICR group at the 82576's second place, to where
 * the table has them.
 */
static uint32_t canonical(uint32_t addr)
{
    if (addr >= 0x1500 && addr <= 0x1510) {
        static const uint16_t icr_group[] = {A_ICR, A_ICS, A_IMS, A_IMC, A_IAM};

        return icr_group[(addr - 0x1500) / 4];
    }
    if (((addr >= 0x2800 && addr < 0x2c00) || (addr >= 0x3800 && addr < 0x3c00)) &&
        (addr & 0xff) < 0x40) {
        return (addr < 0x3000 ? 0xc000 : 0xe000) + (addr >> 8 & 3) * 0x40 + (addr & 0xff);
    }
    return addr;
}

static uint64_t mmio_read(void *opaque, hwaddr addr, unsigned size)
{
    IGBLiteState *s = opaque;
    uint32_t at = canonical(addr);
    const RegInfo *r = reg_index[at / 4] ? &reg_table[reg_index[at / 4] - 1] : NULL;
    uint32_t val = s->mac[at / 4];

    if (!r) {
        qemu_log_mask(LOG_UNIMP, TYPE_IGB_LITE ": read of register 0x%05x\n", at);
    } else if (r->kind == STAT) {
        val = igb_lite_stat_read(s, at);
    } else if (r->kind == FN) {
        switch (r->offset) {
        case A_STATUS:
            val = FIELD_DP32(val, STATUS, GIO_MASTER_ENABLE,
                             !IGB_LITE_GET(s, CTRL, GIO_MASTER_DISABLE));
            break;
        case A_SWSM: /* taken by whoever reads it free */
            s->mac[R_SWSM] |= R_SWSM_SMBI_MASK;
            break;
        case A_GORCL ... A_GOTCH:
        case A_TORL ... A_TOTH:
            val = igb_lite_stat_read(s, at);
            break;
        case A_ICR ... A_IMC:
        case A_EICS ... A_EIMC:
        case A_EICR:
            val = igb_lite_irq_read(s, at);
            break;
        }
    }
    trace_igb_lite_reg_read(addr, val);
    return val;
}

/* A write to a register of kind FN. */
static void write_function(IGBLiteState *s, const RegInfo *r, uint32_t at, uint32_t val)
{
    uint32_t *reg = &s->mac[at / 4];

    switch (r->offset) {
    case A_CTRL:
        write_ctrl(s, val);
        return;
    case A_EERD:
        igb_lite_eerd_write(s, val);
        return;
    case A_MDIC:
        igb_lite_mdic_write(s, val);
        return;
    case A_ICR ... A_IMC:
    case A_EICS ... A_EIMC:
    case A_EICR ... A_EITR:
        igb_lite_irq_write(s, at, val);
        return;
    case A_PBACLR:
        for (unsigned v = 0; v < IGB_LITE_VECTORS; v++) {
            if (val >> v & 1) {
                msix_clr_pending(PCI_DEVICE(s), v);
            }
        }
        return;
    }
    *reg = (*reg & ~r->writable) | (val & r->writable);
    switch (r->offset) {
    case A_TCTL:
        igb_lite_tx_kick(s, MAKE_64BIT_MASK(0, IGB_LITE_QUEUES));
        break;
    case A_RSSRK:
        s->rss_stale = true;
        break;
    default:
        if (at >= A_RDBAL) {
            queue_written(s, r->offset, (at - r->offset) / r->step, val);
        }
    }
}

static void mmio_write(void *opaque, hwaddr addr, uint64_t val, unsigned size)
{
    IGBLiteState *s = opaque;
    uint32_t at = canonical(addr);
    const RegInfo *r = reg_index[at / 4] ? &reg_table[reg_index[at / 4] - 1] : NULL;

    trace_igb_lite_reg_write(addr, val);
    if (!r) {
        qemu_log_mask(LOG_UNIMP, TYPE_IGB_LITE ": write of 0x%08x to register 0x%05x\n",
                      (uint32_t)val, at);
    } else if (r->kind == FN) {
        write_function(s, r, at, val);
    } else {
        s->mac[at / 4] = (s->mac[at / 4] & ~r->writable) | (val & r->writable);
    }
    igb_lite_irq_deliver(s);
}

static const MemoryRegionOps mmio_ops = {
    .read = mmio_read,
    .write = mmio_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {.min_access_size = 4, .max_access_size = 4},
    .impl = {.min_access_size = 4, .max_access_size = 4},
};

/*
 * What a stopped device or a switched-off bus kept from happening happens now; not here, since no
 * guard covers this.
 */
static void resume(IGBLiteState *s)
{
    s->tx_ready = MAKE_64BIT_MASK(0, IGB_LITE_QUEUES);
    qemu_bh_schedule(s->tx_bh);
    igb_lite_irq_resume(s);
}

static void vm_state_changed(void *opaque, bool running, RunState state)
{
    if (running) {
        resume(opaque);
    }
}

static void write_config(PCIDevice *pci, uint32_t addr, uint32_t val, int len)
{
    pci_default_write_config(pci, addr, val, len);
    pcie_cap_flr_write_config(pci, addr, val, len);
    if ((range_covers_byte(addr, len, PCI_COMMAND) &&
         (pci->config[PCI_COMMAND] & PCI_COMMAND_MASTER)) ||
        ranges_overlap(addr, len, MSIX_OFFSET, 4)) {
        resume(IGB_LITE(pci));
    }
}

static void link_status_changed(NetClientState *nc)
{
    igb_lite_link_changed(qemu_get_nic_opaque(nc));
}

static NetClientInfo net_info = {
    .type = NET_CLIENT_DRIVER_NIC,
    .size = sizeof(NICState),
    .receive = igb_lite_receive,
    .link_status_changed = link_status_changed,
};

/* Power-on, bus reset, function level reset. */
static void reset_hold(Object *obj, ResetType type)
{
    IGBLiteState *s = IGB_LITE(obj);

    trace_igb_lite_reset("device");
    igb_lite_tx_reset(s);
    igb_lite_irq_reset(s);
    reset_registers(s, true);
    s->rss_stale = true;
    igb_lite_phy_reset(s);
    igb_lite_link_reset(s);
}

static bool realize_pci(IGBLiteState *s, Error **errp)
{
    PCIDevice *pci = PCI_DEVICE(s);

    pci->config_write = write_config;
    pci->config[PCI_INTERRUPT_PIN] = 1;
    memory_region_init_io(&s->mmio, OBJECT(s), &mmio_ops, s, "igb-lite-mmio", IGB_LITE_MMIO_SIZE);
    pci_register_bar(pci, MMIO_BAR, PCI_BASE_ADDRESS_SPACE_MEMORY, &s->mmio);
    memory_region_init(&s->msix, OBJECT(s), "igb-lite-msix", MSIX_SIZE);
    pci_register_bar(pci, MSIX_BAR, PCI_BASE_ADDRESS_MEM_TYPE_64, &s->msix);
    if (pci_pm_init(pci, PM_OFFSET, errp) < 0) {
        return false;
    }
    if (pcie_endpoint_cap_init(pci, PCIE_OFFSET) < 0) {
        error_setg(errp, "igb-lite: no room for the PCIe capability");
        return false;
    }
    pcie_cap_flr_init(pci);
    if (msix_init(pci, IGB_LITE_VECTORS, &s->msix, MSIX_BAR, 0, &s->msix, MSIX_BAR, MSIX_PBA,
                  MSIX_OFFSET, errp) < 0) {
        pcie_cap_exit(pci);
        return false;
    }
    for (unsigned v = 0; v < IGB_LITE_VECTORS; v++) {
        msix_vector_use(pci, v);
    }
    return true;
}

static void realize(PCIDevice *pci, Error **errp)
{
    IGBLiteState *s = IGB_LITE(pci);

    if (!realize_pci(s, errp)) {
        return;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(reg_table); i++) {
        s->saved_count += reg_table[i].count;
    }
    s->saved = g_new0(uint32_t, s->saved_count);
    qemu_macaddr_default_if_unset(&s->conf.macaddr);
    s->nic = qemu_new_nic(&net_info, &s->conf, TYPE_IGB_LITE, DEVICE(s)->id,
                          &DEVICE(s)->mem_reentrancy_guard, s);
    qemu_format_nic_info_str(qemu_get_queue(s->nic), s->conf.macaddr.a);
    igb_lite_phy_realize(s);
    igb_lite_irq_realize(s);
    igb_lite_tx_realize(s);
    s->vm_state = qemu_add_vm_change_state_handler(vm_state_changed, s);
}

static void unrealize(PCIDevice *pci)
{
    IGBLiteState *s = IGB_LITE(pci);

    qemu_del_vm_change_state_handler(s->vm_state);
    qemu_del_nic(s->nic);
    igb_lite_tx_unrealize(s);
    igb_lite_irq_unrealize(s);
    igb_lite_phy_unrealize(s);
    g_free(s->saved);
    msix_unuse_all_vectors(pci);
    msix_uninit(pci, &s->msix, &s->msix);
    pcie_cap_exit(pci);
}

/* Migration sends the table's registers one after the other, not the holes between them. */
static void copy_registers(IGBLiteState *s, bool to_saved)
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

static int pre_save(void *opaque)
{
    copy_registers(opaque, true);
    return 0;
}

static int post_load(void *opaque, int version)
{
    IGBLiteState *s = opaque;

    copy_registers(s, false);
    s->rss_stale = true;
    return 0;
}

/* clang-format off: one field a line */
static const VMStateDescription vmstate_context = {
    .name = "igb-lite/tx-context",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]){VMSTATE_UINT32(vlan_macip_lens, IGBLiteTxContext),
                                     VMSTATE_UINT32(type_cmd, IGBLiteTxContext),
                                     VMSTATE_UINT32(mss_l4len_idx, IGBLiteTxContext),
                                     VMSTATE_END_OF_LIST()}};

static const VMStateDescription vmstate = {
    .name = TYPE_IGB_LITE,
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = pre_save,
    .post_load = post_load,
    .fields = (const VMStateField[]){
        VMSTATE_PCI_DEVICE(parent_obj, IGBLiteState), VMSTATE_MSIX(parent_obj, IGBLiteState),
        VMSTATE_UINT32_EQUAL(saved_count, IGBLiteState, "this igb-lite has other registers"),
        VMSTATE_VARRAY_UINT32(saved, IGBLiteState, saved_count, 0, vmstate_info_uint32, uint32_t),
        VMSTATE_UINT16_ARRAY(phy, IGBLiteState, IGB_LITE_PHY_REGS),
        VMSTATE_UINT16_ARRAY(nvm, IGBLiteState, IGB_LITE_NVM_WORDS),
        VMSTATE_BOOL(link_up, IGBLiteState), VMSTATE_TIMER_PTR(autoneg_timer, IGBLiteState),
        VMSTATE_UINT32(owed, IGBLiteState),
        VMSTATE_INT64_ARRAY(quiet_until, IGBLiteState, IGB_LITE_VECTORS),
        VMSTATE_STRUCT_2DARRAY(tx_ctx, IGBLiteState, IGB_LITE_QUEUES, 2, 1, vmstate_context,
                               IGBLiteTxContext),
        VMSTATE_UINT64(guest_errors, IGBLiteState), VMSTATE_END_OF_LIST()}};

static const Property properties[] = {
    DEFINE_NIC_PROPERTIES(IGBLiteState, conf),
    DEFINE_PROP_UINT32("autoneg-ms", IGBLiteState, autoneg_ms, 5),
};
/* clang-format on */

static void class_init(ObjectClass *class, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(class);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(class);

    build_reg_index();
    pc->realize = realize;
    pc->exit = unrealize;
    pc->vendor_id = PCI_VENDOR_ID_INTEL;
    pc->device_id = 0x10c9;
    pc->revision = 1;
    pc->class_id = PCI_CLASS_NETWORK_ETHERNET;
    RESETTABLE_CLASS(class)->phases.hold = reset_hold;
    dc->desc = "Softnet's subset of the Intel 82576";
    dc->vmsd = &vmstate;
    device_class_set_props(dc, properties);
    set_bit(DEVICE_CATEGORY_NETWORK, dc->categories);
}

static void instance_init(Object *obj)
{
    IGBLiteState *s = IGB_LITE(obj);

    device_add_bootindex_property(obj, &s->conf.bootindex, "bootindex", "/ethernet-phy@0",
                                  DEVICE(obj));
    object_property_add_uint64_ptr(obj, "guest-errors", &s->guest_errors, OBJ_PROP_FLAG_READ);
}

static const TypeInfo type_info = {
    .name = TYPE_IGB_LITE,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(IGBLiteState),
    .class_init = class_init,
    .instance_init = instance_init,
    .interfaces = (InterfaceInfo[]){{INTERFACE_PCIE_DEVICE}, {}},
};

static void register_types(void)
{
    type_register_static(&type_info);
}

type_init(register_types)

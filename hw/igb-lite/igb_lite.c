/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite: a PCIe network controller, a strict subset of the Intel 82576. This file: the PCI
 * device, its place in the net layer, reset, properties. See igb_lite.h for the rules and
 * docs/igb-lite.md for the data sheet.
 */
#include "qemu/osdep.h"

#include "block/aio.h"
#include "hw/pci/msix.h"
#include "hw/pci/pcie.h"
#include "hw/qdev-properties.h"
#include "igb_lite.h"
#include "net/eth.h"
#include "qapi/error.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/range.h"
#include "qemu/units.h"
#include "standard-headers/linux/virtio_net.h"
#include "system/runstate.h"
#include "trace.h"

#define MMIO_BAR 0
#define MSIX_BAR 3
#define MSIX_SIZE (16 * KiB)
#define MSIX_PBA 0x2000
#define PM_OFFSET 0x40
#define MSIX_OFFSET 0x70
#define PCIE_OFFSET 0xa0

/* Everything, config space excepted. */
static void device_reset(IGBLiteState *s)
{
    trace_igb_lite_reset("device");
    igb_lite_log(s, "reset", "\"what\":\"device\"");
    igb_lite_write_back_forget(s, false, -1);
    igb_lite_tx_reset(s);
    igb_lite_rx_reset(s);
    igb_lite_irq_reset(s);
    igb_lite_registers_reset(s, true);
    igb_lite_phy_reset(s);
    igb_lite_link_reset(s);
}

/* A register access, a frame or a bottom half begins; these may be one in the other. */
void igb_lite_enter(IGBLiteState *s)
{
    s->busy++;
}

/* It ends, and what it was in the way of happens. */
void igb_lite_leave(IGBLiteState *s)
{
    s->busy--;
    if (!s->busy) {
        igb_lite_dma_settle(s);
    }
    if (!s->busy && s->reset_later) {
        s->reset_later = false;
        if (!s->gone) {
            device_reset(s);
        }
    }
}

/* CTRL.RST: everything but config space, the PHY's registers and what the table keeps. */
void igb_lite_software_reset(IGBLiteState *s)
{
    trace_igb_lite_reset("CTRL.RST");
    igb_lite_log(s, "reset", "\"what\":\"CTRL.RST\"");
    igb_lite_write_back_forget(s, false, -1);
    igb_lite_tx_reset(s);
    igb_lite_rx_reset(s);
    igb_lite_irq_reset(s);
    igb_lite_registers_reset(s, false);
    igb_lite_link_reset(s);
}

/*
 * What a stopped device or a switched-off bus kept from happening happens now; not here, since no
 * guard covers this.
 */
static void resume(IGBLiteState *s)
{
    if (s->gone) {
        return;
    }
    s->tx_ready = MAKE_64BIT_MASK(0, IGB_LITE_QUEUES);
    qemu_bh_schedule(s->tx_bh);
    igb_lite_rx_kick(s, UINT32_MAX);
    igb_lite_irq_resume(s);
}

static void vm_state_changed(void *opaque, bool running, RunState state)
{
    if (running) {
        resume(opaque);
    } else {
        igb_lite_write_back_all(opaque);
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
    .can_receive = igb_lite_can_receive,
    .receive = igb_lite_receive,
    .link_status_changed = link_status_changed,
};

/* Power-on, bus reset, function level reset. */
static void reset_hold(Object *obj, ResetType type)
{
    IGBLiteState *s = IGB_LITE(obj);

    if (s->busy) {
        s->reset_later = true;
    } else {
        device_reset(s);
    }
}

/* With host-offload, and a backend that has them, frames have headers that say what is left to do. */
static void vnet_realize(IGBLiteState *s)
{
    NetClientState *peer = qemu_get_queue(s->nic)->peer;

    if (s->host_offload && peer && qemu_has_vnet_hdr(peer)) {
        s->vnet_len = sizeof(struct virtio_net_hdr);
        qemu_set_vnet_hdr_len(peer, s->vnet_len);
    }
}

static bool realize_pci(IGBLiteState *s, Error **errp)
{
    PCIDevice *pci = PCI_DEVICE(s);

    pci->config_write = write_config;
    pci->config[PCI_INTERRUPT_PIN] = IGB_LITE_INTERRUPT_PIN;
    memory_region_init_io(&s->mmio, OBJECT(s), &igb_lite_mmio_ops, s, "igb-lite-mmio",
                          IGB_LITE_MMIO_SIZE);
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
    s->saved_count = igb_lite_registers_count();
    s->saved = g_new0(uint32_t, s->saved_count);
    qemu_macaddr_default_if_unset(&s->conf.macaddr);
    s->nic = qemu_new_nic(&net_info, &s->conf, TYPE_IGB_LITE, DEVICE(s)->id,
                          &DEVICE(s)->mem_reentrancy_guard, s);
    vnet_realize(s);
    qemu_format_nic_info_str(qemu_get_queue(s->nic), s->conf.macaddr.a);
    igb_lite_dma_realize(s);
    igb_lite_write_back_realize(s);
    igb_lite_phy_realize(s);
    igb_lite_irq_realize(s);
    igb_lite_rx_realize(s);
    igb_lite_tx_realize(s);
    s->vm_state = qemu_add_vm_change_state_handler(vm_state_changed, s);
}

/* The end of what work in progress may still use. */
static void release(IGBLiteState *s)
{
    qemu_del_nic(s->nic);
    igb_lite_tx_unrealize(s);
    igb_lite_rx_unrealize(s);
    igb_lite_irq_unrealize(s);
    igb_lite_phy_unrealize(s);
    igb_lite_write_back_unrealize(s);
    g_free(s->saved);
}

static void release_later(void *opaque)
{
    release(opaque);
    object_unref(OBJECT(opaque));
}

static void unrealize(PCIDevice *pci)
{
    IGBLiteState *s = IGB_LITE(pci);

    s->gone = true;
    qemu_del_vm_change_state_handler(s->vm_state);
    igb_lite_dma_unrealize(s);
    timer_del(s->autoneg_timer);
    igb_lite_irq_reset(s);
    igb_lite_tx_reset(s);
    igb_lite_rx_reset(s);
    msix_unuse_all_vectors(pci);
    msix_uninit(pci, &s->msix, &s->msix);
    pcie_cap_exit(pci);
    if (s->busy) { /* unplugged by its own DMA */
        object_ref(OBJECT(s));
        aio_bh_schedule_oneshot(qemu_get_aio_context(), release_later, s);
    } else {
        release(s);
    }
}

/* clang-format off: one a line */
static const Property properties[] = {
    DEFINE_NIC_PROPERTIES(IGBLiteState, conf),
    DEFINE_PROP_UINT32("autoneg-ms", IGBLiteState, autoneg_ms, 500),
    DEFINE_PROP_BOOL("host-offload", IGBLiteState, host_offload, true),
    DEFINE_PROP_UINT32("rx-wait-ms", IGBLiteState, rx_wait_ms, 200),
    DEFINE_PROP_UINT32("tx-wait-us", IGBLiteState, tx_wait_us, 250),
};
/* clang-format on */

static void class_init(ObjectClass *class, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(class);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(class);

    igb_lite_mmio_class_init();
    pc->realize = realize;
    pc->exit = unrealize;
    pc->vendor_id = PCI_VENDOR_ID_INTEL;
    pc->device_id = 0x10c9;
    pc->revision = 1;
    pc->class_id = PCI_CLASS_NETWORK_ETHERNET;
    RESETTABLE_CLASS(class)->phases.hold = reset_hold;
    dc->desc = "Softnet's subset of the Intel 82576";
    dc->vmsd = &igb_lite_vmstate;
    device_class_set_props(dc, properties);
    set_bit(DEVICE_CATEGORY_NETWORK, dc->categories);
}

static void instance_init(Object *obj)
{
    IGBLiteState *s = IGB_LITE(obj);

    device_add_bootindex_property(obj, &s->conf.bootindex, "bootindex", "/ethernet-phy@0",
                                  DEVICE(obj));
    igb_lite_log_init(s);
    igb_lite_fault_init(s);
    object_property_add_uint64_ptr(obj, "guest-errors", &s->guest_errors, OBJ_PROP_FLAG_READ);
}

static void instance_finalize(Object *obj)
{
    igb_lite_log_finalize(IGB_LITE(obj));
}

static const TypeInfo type_info = {
    .name = TYPE_IGB_LITE,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(IGBLiteState),
    .class_init = class_init,
    .instance_init = instance_init,
    .instance_finalize = instance_finalize,
    .interfaces = (InterfaceInfo[]){{INTERFACE_PCIE_DEVICE}, {}},
};

static void register_types(void)
{
    type_register_static(&type_info);
}

type_init(register_types)

/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite: migration. The stream has the table's registers one after the other, the PHY, the NVM,
 * what interrupts are owed and held back, SYSTIM and the transmit contexts. No half-gathered packet is
 * state (see igb_lite_tx.c), no derived table is sent, and what the stream says about indices is
 * checked where it is used, as if the guest had written it.
 */
#include "qemu/osdep.h"

#include "hw/pci/msix.h"
#include "igb_lite.h"
#include "migration/vmstate.h"
#include "qemu/error-report.h"

static int pre_save(void *opaque)
{
    igb_lite_registers_copy(opaque, true);
    return 0;
}

static int post_load(void *opaque, int version)
{
    IGBLiteState *s = opaque;

    /* The core checks the identity only; with another pin it would take an interrupt line that does not exist. */
    if (s->parent_obj.config[PCI_INTERRUPT_PIN] != IGB_LITE_INTERRUPT_PIN) {
        error_report("igb-lite: interrupt pin %u in the state that was sent",
                     s->parent_obj.config[PCI_INTERRUPT_PIN]);
        return -EINVAL;
    }
    igb_lite_registers_copy(s, false);
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

const VMStateDescription igb_lite_vmstate = {
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
        VMSTATE_UINT64(systim, IGBLiteState), VMSTATE_INT64(systim_since, IGBLiteState),
        VMSTATE_UINT64(guest_errors, IGBLiteState), VMSTATE_END_OF_LIST()}};
/* clang-format on */

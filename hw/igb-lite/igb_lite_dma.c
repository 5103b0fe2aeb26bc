/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite: DMA, and whether a ring can be used.
 */
#include "qemu/osdep.h"

#include "igb_lite.h"
#include "trace.h"

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

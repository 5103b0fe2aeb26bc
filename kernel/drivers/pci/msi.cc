// SPDX-License-Identifier: MIT
// MSI-X: the device's vector table, one interrupt number per entry. Table entries are rewritten with the vector masked, so that no message
// goes out half old, half new.
#include "drivers/pci/pci.h"
#include "lib/io.h"
#include "lib/printk.h"

constexpr u16 MSIX_FLAGS_ENABLE = 0x8000, MSIX_FLAGS_MASKALL = 0x4000, MSIX_FLAGS_QSIZE = 0x7ff;
constexpr u32 MSIX_ENTRY_CTRL_MASKBIT = 1;

static void msix_mask(void *data, bool masked)
{
    auto *e = static_cast<msix_entry *>(data);
    writel(masked ? MSIX_ENTRY_CTRL_MASKBIT : 0, &e->slot[3]);
    readl(&e->slot[3]); // the write has arrived
}

static void msix_write_msg(void *data, const msi_msg &msg)
{
    auto *e = static_cast<msix_entry *>(data);
    u32 ctrl = readl(&e->slot[3]);
    writel(ctrl | MSIX_ENTRY_CTRL_MASKBIT, &e->slot[3]);
    writel(static_cast<u32>(msg.address), &e->slot[0]);
    writel(static_cast<u32>(msg.address >> 32), &e->slot[1]);
    writel(msg.data, &e->slot[2]);
    writel(ctrl, &e->slot[3]);
    readl(&e->slot[3]);
}

static const irq_chip msix_chip{"PCI-MSI-edge", msix_write_msg, msix_mask};

static void release_vectors(pci_dev *d)
{
    for (unsigned i = 0; i < d->msix_count; i++) {
        msix_mask(&d->msix[i], true);
        irq_free_msi(d->msix[i].irq);
    }
    d->msix_count = 0;
}

result<void> pci_enable_msix(pci_dev *d, unsigned n, const unsigned *cpus)
{
    u8 cap = pci_find_capability(d, PCI_CAP_ID_MSIX);
    if (!cap)
        return error{EINVAL};
    u16 flags = pci_read_config_word(d, cap + 2);
    if (n > PCI_MAX_MSIX || n > (flags & MSIX_FLAGS_QSIZE) + 1u)
        return error{ENOSPC};
    u32 table = pci_read_config_dword(d, cap + 4);
    unsigned bar = table & 7;
    u32 offset = table & ~7u;
    if (bar > 5 || u64{offset} + u64{n} * 16 > d->resource[bar].size)
        return error{EINVAL};
    volatile u8 *base = pci_iomap(d, bar);
    if (!base)
        return error{ENOMEM};
    // Masked as a whole while the entries are written.
    pci_write_config_word(d, cap + 2, flags | MSIX_FLAGS_ENABLE | MSIX_FLAGS_MASKALL);
    for (unsigned i = 0; i < n; i++) {
        auto *slot = reinterpret_cast<volatile u32 *>(base + offset + 16 * i);
        d->msix[i].slot = slot;
        writel(MSIX_ENTRY_CTRL_MASKBIT, &slot[3]);
        auto irq = irq_alloc_msi(&msix_chip, &d->msix[i], cpus[i]);
        if (!irq) {
            release_vectors(d);
            pci_write_config_word(d, cap + 2, flags & ~MSIX_FLAGS_ENABLE);
            return irq.fail();
        }
        d->msix[i].irq = *irq;
        d->msix_count = i + 1;
        msix_mask(&d->msix[i], false);
    }
    pci_write_config_word(d, cap + 2, (flags & ~MSIX_FLAGS_MASKALL) | MSIX_FLAGS_ENABLE);
    return {};
}

void pci_disable_msix(pci_dev *d)
{
    u8 cap = pci_find_capability(d, PCI_CAP_ID_MSIX);
    if (!cap)
        return;
    release_vectors(d);
    u16 flags = pci_read_config_word(d, cap + 2);
    pci_write_config_word(d, cap + 2, flags & ~MSIX_FLAGS_ENABLE);
}

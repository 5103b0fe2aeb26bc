// SPDX-License-Identifier: MIT
// PCI Express: enumeration through ECAM, drivers, BARs, MSI-X. Linux: drivers/pci/, include/linux/pci.h. All [P] unless said otherwise.
#pragma once

#include "irq/irq.h"
#include "lib/list.h"
#include "lib/result.h"

constexpr unsigned PCI_COMMAND = 0x04, PCI_STATUS = 0x06, PCI_CLASS_REVISION = 0x08,
                   PCI_HEADER_TYPE = 0x0e, PCI_BASE_ADDRESS_0 = 0x10, PCI_SECONDARY_BUS = 0x19,
                   PCI_CAPABILITY_LIST = 0x34;
constexpr u16 PCI_COMMAND_MEMORY = 2, PCI_COMMAND_MASTER = 4, PCI_COMMAND_INTX_DISABLE = 0x400;
constexpr u8 PCI_CAP_ID_MSIX = 0x11;

/// A memory BAR as the firmware assigned it; size 0: absent or I/O space.
struct pci_resource {
    phys_addr_t start = 0;
    u64 size = 0;
};

/// One entry of a device's MSI-X table in use.
struct msix_entry {
    volatile u32 *slot = nullptr; // address lo, hi, data, vector control
    unsigned irq = 0;
};
constexpr unsigned PCI_MAX_MSIX = 16;

/// What a driver matches: vendor and device id; ends with vendor 0.
struct pci_device_id {
    u16 vendor, device;
};

struct pci_dev;
/// A driver: `probe` is called once per matching device (row B-10); 0 or -errno.
struct pci_driver {
    const char *name;
    const pci_device_id *id_table;
    int (*probe)(pci_dev *dev, const pci_device_id *id);
    pci_driver *next;
};

/// A function found on the bus; lives for ever.
struct pci_dev : pinned {
    u8 bus = 0, devfn = 0;
    u16 vendor = 0, device = 0;
    u32 class_code = 0; // 24 bits: class, subclass, interface
    char name[16] = {}; // "0000:00:02.0"
    pci_resource resource[6];
    volatile u8 *config = nullptr; // its 4 KiB of configuration space
    const pci_driver *driver = nullptr;
    void *drvdata = nullptr;
    msix_entry msix[PCI_MAX_MSIX];
    unsigned msix_count = 0;
    list_node node;
};

/// Configuration space; offset aligned to the size. All-ones for a device that is gone. Any context.
u8 pci_read_config_byte(const pci_dev *d, unsigned off);
u16 pci_read_config_word(const pci_dev *d, unsigned off);
u32 pci_read_config_dword(const pci_dev *d, unsigned off);
void pci_write_config_word(pci_dev *d, unsigned off, u16 v);
void pci_write_config_dword(pci_dev *d, unsigned off, u32 v);
/// Offset of a capability, or 0. The walk is bounded: a looping list ends.
u8 pci_find_capability(const pci_dev *d, u8 id);

/// Memory decoding and bus mastering on, INTx off.
void pci_enable_device(pci_dev *d);
/// Uncached mapping of a whole BAR; null if absent.
volatile u8 *pci_iomap(pci_dev *d, unsigned bar);
/// Enable MSI-X with exactly n vectors, vector i routed to CPU cpus[i]; the interrupt numbers are in d->msix[i].irq. ENOSPC when the
/// device or the CPUs have fewer; nothing is changed then.
result<void> pci_enable_msix(pci_dev *d, unsigned n, const unsigned *cpus);
void pci_disable_msix(pci_dev *d);

/// Register a driver and probe the devices it matches. 0 or -errno.
int pci_register_driver(pci_driver *drv);

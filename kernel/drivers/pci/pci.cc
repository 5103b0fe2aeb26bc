// SPDX-License-Identifier: MIT
// Enumeration of PCI functions through the ECAM window, capabilities, BARs and driver matching. Runs at boot from one task, so the
// lists need no lock. The firmware has assigned the BARs; a function whose BAR it left at 0 is listed but cannot be mapped.
#include "drivers/pci/pci.h"
#include "lib/initcall.h"
#include "lib/io.h"
#include "lib/printk.h"
#include "mm/slab.h"

static list<pci_dev, &pci_dev::node> pci_devices;
static pci_driver *pci_drivers;

u8 pci_read_config_byte(const pci_dev *d, unsigned off)
{
    return readb(d->config + off);
}

u16 pci_read_config_word(const pci_dev *d, unsigned off)
{
    return readw(d->config + off);
}

u32 pci_read_config_dword(const pci_dev *d, unsigned off)
{
    return readl(d->config + off);
}

void pci_write_config_word(pci_dev *d, unsigned off, u16 v)
{
    writew(v, d->config + off);
}

void pci_write_config_dword(pci_dev *d, unsigned off, u32 v)
{
    writel(v, d->config + off);
}

u8 pci_find_capability(const pci_dev *d, u8 id)
{
    constexpr u16 status_cap_list = 0x10;
    if (!(pci_read_config_word(d, PCI_STATUS) & status_cap_list))
        return 0;
    u8 at = pci_read_config_byte(d, PCI_CAPABILITY_LIST) & ~3u;
    // 48 capabilities of 4 bytes fit behind the 64-byte header: more steps mean a loop.
    for (unsigned steps = 0; at >= 0x40 && steps < 48; steps++) {
        if (pci_read_config_byte(d, at) == id)
            return at;
        at = pci_read_config_byte(d, at + 1) & ~3u;
    }
    return 0;
}

void pci_enable_device(pci_dev *d)
{
    u16 cmd = pci_read_config_word(d, PCI_COMMAND);
    pci_write_config_word(d, PCI_COMMAND,
                          cmd | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
}

volatile u8 *pci_iomap(pci_dev *d, unsigned bar)
{
    const pci_resource &r = d->resource[bar];
    if (!r.size || !r.start)
        return nullptr;
    return static_cast<volatile u8 *>(ioremap(r.start, r.size));
}

/// Size of BAR `i`, by the write-ones protocol with decoding off; returns the number of BAR slots it uses.
static unsigned probe_bar(pci_dev *d, unsigned i)
{
    unsigned off = PCI_BASE_ADDRESS_0 + 4 * i;
    u32 old = pci_read_config_dword(d, off);
    pci_write_config_dword(d, off, ~0u);
    u32 mask = pci_read_config_dword(d, off);
    pci_write_config_dword(d, off, old);
    if (old & 1 || !mask) // I/O space, or nothing there
        return 1;
    bool is64 = (old & 6) == 4 && i < 5;
    u64 start = old & ~0xfu, size_mask = mask & ~0xfu;
    if (is64) {
        u32 old_hi = pci_read_config_dword(d, off + 4);
        pci_write_config_dword(d, off + 4, ~0u);
        size_mask |= u64{pci_read_config_dword(d, off + 4)} << 32;
        pci_write_config_dword(d, off + 4, old_hi);
        start |= u64{old_hi} << 32;
    } else {
        size_mask |= ~u64{0} << 32;
    }
    d->resource[i].start = start;
    d->resource[i].size = size_mask ? ~size_mask + 1 : 0;
    return is64 ? 2 : 1;
}

static void probe_bars(pci_dev *d, unsigned count)
{
    u16 cmd = pci_read_config_word(d, PCI_COMMAND);
    pci_write_config_word(d, PCI_COMMAND, cmd & ~(PCI_COMMAND_MEMORY | 1u));
    for (unsigned i = 0; i < count;)
        i += probe_bar(d, i);
    pci_write_config_word(d, PCI_COMMAND, cmd);
}

static void match_driver(pci_dev *d, pci_driver *drv)
{
    if (d->driver)
        return;
    for (const pci_device_id *id = drv->id_table; id->vendor; id++) {
        if (id->vendor != d->vendor || id->device != d->device)
            continue;
        pr_info("%s %s: probing device %04x:%04x", drv->name, d->name, d->vendor, d->device);
        d->driver = drv;
        int err = drv->probe(d, id);
        if (err) {
            pr_err("%s %s: probe failed with error %d", drv->name, d->name, err);
            d->driver = nullptr;
        }
        return;
    }
}

int pci_register_driver(pci_driver *drv)
{
    drv->next = pci_drivers;
    pci_drivers = drv;
    pr_info("pci: driver %s registered", drv->name);
    for (pci_dev &d : pci_devices)
        match_driver(&d, drv);
    return 0;
}

static bool add_function(volatile u8 *config, u8 bus, u8 devfn)
{
    u32 id = readl(config);
    if ((id & 0xffff) == 0xffff || (id & 0xffff) == 0)
        return false;
    auto *d = knew<pci_dev>(GFP_KERNEL);
    if (!d)
        panic("pci: out of memory");
    d->bus = bus;
    d->devfn = devfn;
    d->config = config;
    d->vendor = static_cast<u16>(id);
    d->device = static_cast<u16>(id >> 16);
    d->class_code = pci_read_config_dword(d, PCI_CLASS_REVISION) >> 8;
    snprintf(d->name, sizeof d->name, "0000:%02x:%02x.%u", bus, devfn >> 3, devfn & 7u);
    u8 type = pci_read_config_byte(d, PCI_HEADER_TYPE) & 0x7f;
    probe_bars(d, type == 0 ? 6 : type == 1 ? 2 : 0);
    pci_devices.push_back(*d);
    pr_info("pci %s: [%04x:%04x] class 0x%06x", d->name, d->vendor, d->device, d->class_code);
    return true;
}

/// All functions of one bus; buses behind bridges are in the same ECAM window and found by their own numbers.
static void scan_bus(phys_addr_t ecam, u8 bus)
{
    // Most buses are empty: look at them through one mapping and keep it only if something lives there.
    auto *window = static_cast<volatile u8 *>(ioremap(ecam, u64{1} << 20));
    if (!window) {
        pr_err("pci: no address space for bus %02x", bus);
        return;
    }
    for (unsigned dev = 0; dev < 32; dev++) {
        volatile u8 *config = window + (dev << 15);
        if (!add_function(config, bus, static_cast<u8>(dev << 3)))
            continue;
        if (!(readb(config + PCI_HEADER_TYPE) & 0x80))
            continue; // single function
        for (unsigned fn = 1; fn < 8; fn++)
            add_function(config + (fn << 12), bus, static_cast<u8>(dev << 3 | fn));
    }
}

/// Enumerate: bus 0 of the window, then every bus that a bridge found so far leads to (the firmware numbered them).
static int pci_subsys_init()
{
    u8 first = 0, last = 0;
    phys_addr_t ecam = arch_pci_ecam_base(&first, &last);
    if (!ecam) {
        pr_warn("pci: no ECAM window (ACPI MCFG): no PCI devices");
        return -ENODEV;
    }
    scan_bus(ecam, first);
    // Bridges append to the list while it is walked, so the walk reaches the buses behind them too.
    for (pci_dev *d = pci_devices.front(); d; d = pci_devices.next(*d)) {
        if ((pci_read_config_byte(d, PCI_HEADER_TYPE) & 0x7f) != 1)
            continue;
        u8 secondary = pci_read_config_byte(d, PCI_SECONDARY_BUS);
        if (secondary > d->bus && secondary <= last) // numbers only grow: no loop
            scan_bus(ecam + (u64{static_cast<u8>(secondary - first)} << 20), secondary);
    }
    return 0;
}
subsys_initcall(pci_subsys_init);

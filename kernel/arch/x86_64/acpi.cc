// SPDX-License-Identifier: MIT
// The few ACPI tables that a PC needs (ACPI 6.4 §5): MADT (CPUs, IO-APIC, ISA overrides), MCFG
// (PCIe configuration space), FADT (PM timer, power off, reset) and the \_S5_ package of the DSDT.
// Boot CPU, once, after vmalloc_init(). Tables are the firmware's and may be wrong: lengths are
// checked against each table's own.
#include "internal.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "pgtable.h"

acpi_info acpi;

namespace
{
struct [[gnu::packed]] rsdp_table {
    char signature[8];
    u8 checksum;
    char oem[6];
    u8 revision;
    u32 rsdt;
    u32 length;
    u64 xsdt;
};
struct [[gnu::packed]] sdt_header {
    char signature[4];
    u32 length;
    u8 revision, checksum;
    char oem[6], oem_table[8];
    u32 oem_revision, creator, creator_revision;
};
struct [[gnu::packed]] generic_address {
    u8 space, bit_width, bit_offset, access;
    u64 address;
};
constexpr u32 MAX_TABLE = 1 << 20;

template <class T>
T at(const void *base, size_t offset)
{
    T v;
    memcpy(&v, static_cast<const u8 *>(base) + offset, sizeof(T));
    return v;
}

/// Firmware memory: in the direct map when it lies in RAM, else mapped.
const void *map_phys(phys_addr_t p, size_t n)
{
    phys_addr_t last = p + n - 1;
    u64 *l4 = static_cast<u64 *>(phys_to_virt(arch_kernel_pgd()));
    for (phys_addr_t a = align_down(p, LARGE_PAGE); a <= last; a += LARGE_PAGE) {
        u64 va = DIRECT_MAP + a;
        u64 e = p < DIRECT_MAP_MAX ? l4[pt_index(va, 3)] : 0;
        for (unsigned level = 2; level >= 1 && e; level--)
            e = static_cast<u64 *>(phys_to_virt(e & PTE_ADDR))[pt_index(va, level)];
        if (!e)
            return ioremap(p, n);
    }
    return phys_to_virt(p);
}

u8 sum(const void *p, size_t n)
{
    u8 s = 0;
    for (size_t i = 0; i < n; i++)
        s = static_cast<u8>(s + static_cast<const u8 *>(p)[i]);
    return s;
}

/// A table with a right length and checksum, or null.
const sdt_header *map_table(phys_addr_t p)
{
    auto *h = p ? static_cast<const sdt_header *>(map_phys(p, sizeof(sdt_header))) : nullptr;
    if (!h || h->length < sizeof(sdt_header) || h->length > MAX_TABLE)
        return nullptr;
    u32 len = h->length;
    h = static_cast<const sdt_header *>(map_phys(p, len));
    return h && sum(h, len) == 0 ? h : nullptr;
}

const rsdp_table *find_rsdp()
{
    if (phys_addr_t p = boot_rsdp())
        return static_cast<const rsdp_table *>(map_phys(p, sizeof(rsdp_table)));
    // No hint: the BIOS area, on 16-byte boundaries (ACPI 6.4 §5.2.5.1).
    for (phys_addr_t p = 0xe0000; p < 0x100000; p += 16) {
        auto *r = static_cast<const rsdp_table *>(phys_to_virt(p));
        if (!memcmp(r->signature, "RSD PTR ", 8) && sum(r, 20) == 0)
            return r;
    }
    return nullptr;
}

void madt_entry(const u8 *e, u8 type, u8 len)
{
    constexpr u32 ENABLED = 1;
    auto add_cpu = [](u32 id) {
        if (acpi.nr_cpus < NR_CPUS)
            acpi.apic_ids[acpi.nr_cpus] = id;
        acpi.nr_cpus++;
    };
    if (type == 0 && len >= 8 && (at<u32>(e, 4) & ENABLED)) {
        add_cpu(e[3]);
    } else if (type == 9 && len >= 16 && (at<u32>(e, 8) & ENABLED)) {
        add_cpu(at<u32>(e, 4));
    } else if (type == 1 && len >= 12 && !acpi.ioapic) {
        acpi.ioapic = at<u32>(e, 4);
        acpi.ioapic_gsi_base = at<u32>(e, 8);
    } else if (type == 2 && len >= 10 && e[3] < 16) {
        acpi.isa_irq[e[3]] = {at<u32>(e, 4), at<u16>(e, 8)};
    } else if (type == 5 && len >= 12) {
        acpi.lapic = at<u64>(e, 4);
    }
}

void parse_madt(const sdt_header *h)
{
    auto *b = reinterpret_cast<const u8 *>(h);
    if (h->length < 44)
        return;
    acpi.lapic = at<u32>(b, 36);
    for (u32 off = 44; off + 2 <= h->length;) {
        u8 len = b[off + 1];
        if (len < 2 || off + len > h->length)
            break;
        madt_entry(b + off, b[off], len);
        off += len;
    }
}

void parse_mcfg(const sdt_header *h)
{
    auto *b = reinterpret_cast<const u8 *>(h);
    if (h->length < 44 + 16 || at<u16>(b, 44 + 8) != 0) // segment 0 only
        return;
    acpi.ecam = at<u64>(b, 44);
    acpi.ecam_first_bus = b[44 + 10];
    acpi.ecam_last_bus = b[44 + 11];
}

/// An AML integer at p: ZeroOp, OneOp or BytePrefix. Advances p.
bool aml_byte(const u8 *&p, const u8 *end, u8 *v)
{
    if (p < end && (*p == 0 || *p == 1)) {
        *v = *p++;
        return true;
    }
    if (p + 1 < end && *p == 0x0a) {
        *v = p[1];
        p += 2;
        return true;
    }
    return false;
}

/// \_S5_ is Name(_S5_, Package{SLP_TYPa, SLP_TYPb, …}): NameOp "_S5_" PackageOp PkgLength
/// NumElements elements.
void parse_dsdt(const sdt_header *h)
{
    auto *b = reinterpret_cast<const u8 *>(h);
    const u8 *end = b + h->length;
    for (const u8 *p = b + sizeof(sdt_header); p + 8 < end; p++) {
        if (memcmp(p, "_S5_", 4) || p[4] != 0x12)
            continue;
        const u8 *q = p + 5;
        q += (*q >> 6) + 1; // PkgLength: its two top bits count the bytes that follow
        q++;                // NumElements
        if (aml_byte(q, end, &acpi.slp_typa) && aml_byte(q, end, &acpi.slp_typb)) {
            acpi.has_s5 = true;
            return;
        }
    }
}

void parse_fadt(const sdt_header *h)
{
    auto *b = reinterpret_cast<const u8 *>(h);
    u32 len = h->length;
    if (len < 116)
        return;
    acpi.pm1a_cnt = static_cast<u16>(at<u32>(b, 64));
    acpi.pm1b_cnt = static_cast<u16>(at<u32>(b, 68));
    acpi.pm_timer_port = static_cast<u16>(at<u32>(b, 76));
    u32 flags = at<u32>(b, 112);
    acpi.pm_timer_32 = flags >> 8 & 1;
    if ((flags >> 10 & 1) && len >= 129) {
        auto reg = at<generic_address>(b, 116);
        acpi.has_reset = reg.space <= 1;
        acpi.reset_space = reg.space;
        acpi.reset_addr = reg.address;
        acpi.reset_value = b[128];
    }
    phys_addr_t dsdt = len >= 148 ? at<u64>(b, 140) : 0;
    if (auto *d = map_table(dsdt ? dsdt : at<u32>(b, 40)))
        parse_dsdt(d);
}

void parse_table(phys_addr_t p)
{
    const sdt_header *h = map_table(p);
    if (!h)
        return;
    if (!memcmp(h->signature, "APIC", 4))
        parse_madt(h);
    else if (!memcmp(h->signature, "MCFG", 4))
        parse_mcfg(h);
    else if (!memcmp(h->signature, "FACP", 4))
        parse_fadt(h);
}
} // namespace

void acpi_init()
{
    for (unsigned i = 0; i < 16; i++)
        acpi.isa_irq[i] = {i, 0};
    const rsdp_table *r = find_rsdp();
    if (!r || memcmp(r->signature, "RSD PTR ", 8))
        panic("ACPI: no RSDP; Softnet needs a PC with ACPI");
    bool wide = r->revision >= 2 && r->xsdt;
    const sdt_header *root = map_table(wide ? r->xsdt : r->rsdt);
    if (!root)
        panic("ACPI: bad root table");
    size_t entry = wide ? 8 : 4;
    for (size_t off = sizeof(sdt_header); off + entry <= root->length; off += entry)
        parse_table(wide ? at<u64>(root, off) : at<u32>(root, off));
    if (!acpi.lapic || !acpi.nr_cpus)
        panic("ACPI: no MADT");
    if (acpi.nr_cpus > NR_CPUS) {
        pr_warn("ACPI: %u CPUs, only %u are used\n", acpi.nr_cpus, NR_CPUS);
        acpi.nr_cpus = NR_CPUS;
    }
}

phys_addr_t arch_pci_ecam_base(u8 *first_bus, u8 *last_bus)
{
    *first_bus = acpi.ecam_first_bus;
    *last_bus = acpi.ecam_last_bus;
    return acpi.ecam;
}

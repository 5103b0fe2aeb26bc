/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: every register of the table (igb_lite_regs.h), every instance: value after
 * reset, kind of access, reserved bits, the ends of arrays, sizes of access. What a register does
 * beyond holding a value has its test elsewhere.
 */
#include "hw/pci/pci_regs.h"
#include "igb-lite.h"

typedef struct Reg {
    const char *name;
    uint32_t offset, count, step, reset, writable;
    IGBLiteAccess access;
} Reg;

/* clang-format off */
#define REG(name, offset, count, step, reset, writable, access, hook) \
    { #name, offset, count, step, reset, writable, IGB_LITE_##access },
static const Reg table[] = { IGB_LITE_REGISTERS(REG) };
/* clang-format on */

#define BAR_SIZE (128 * 1024)
#define FOR_EACH(r, i)                                               \
    for (const Reg *r = table; r < table + G_N_ELEMENTS(table); r++) \
        for (uint32_t i = 0; i < r->count; i++)

static uint32_t place(const Reg *r, uint32_t i)
{
    return r->offset + i * r->step;
}

static bool stores(const Reg *r)
{
    return r->access == IGB_LITE_RW || r->access == IGB_LITE_RWK;
}

/* What the table cannot say of an instance: see the comment above it. */
static uint32_t reset_value(const Reg *r, uint32_t i)
{
    switch (place(r, i)) {
    case A_RAL:
        return 0xaa005452;
    case A_RAH:
        return 0x8000ccbb;
    case A_RXDCTL:
    case A_TXDCTL:
        return r->reset | R_RXDCTL_ENABLE_MASK;
    default:
        return r->reset;
    }
}

/* The machine without DMA: what the tests write makes rings of nonsense. */
static Nic *start(void)
{
    Nic *n = nic_start();

    qpci_config_writew(n->dev, PCI_COMMAND, PCI_COMMAND_MEMORY);
    return n;
}

#define check(got, want, r, i)                                                              \
    do {                                                                                    \
        uint32_t got_ = (got), want_ = (want);                                              \
        if (got_ != want_) {                                                                \
            g_error("%s[%u] is 0x%08x and not 0x%08x (line %d)", (r)->name, i, got_, want_, \
                    __LINE__);                                                              \
        }                                                                                   \
    } while (0)

static void check_reset(Nic *n)
{
    FOR_EACH(r, i)
    {
        check(r32(n, place(r, i)), reset_value(r, i), r, i);
    }
    w32(n, A_SWSM, 0); /* the read has taken it */
}

static void test_reset(void)
{
    Nic *n = start();

    check_reset(n);
    check_reset(n); /* reading changes nothing that reset gave */
    nic_stop(n);
}

/* Writing changes the writable bits and no others. */
static void test_stored(void)
{
    static const uint32_t patterns[] = {0xffffffff, 0, 0xa5a5a5a5, 0x5a5a5a5a, 1, 0x80000000};
    Nic *n = start();

    FOR_EACH(r, i)
    {
        for (unsigned p = 0; stores(r) && p < G_N_ELEMENTS(patterns); p++) {
            w32(n, place(r, i), patterns[p]);
            check(r32(n, place(r, i)),
                  (patterns[p] & r->writable) | (reset_value(r, i) & ~r->writable), r, i);
        }
    }
    w32(n, A_CTRL, 0xfbffffff & ~R_CTRL_PHY_RST_MASK);
    g_assert_cmphex(r32(n, A_CTRL), ==, 0xfbffffff & ~R_CTRL_PHY_RST_MASK);
    nic_stop(n);
}

/* Read-only and write-only registers, counters that nothing has counted. */
static void test_not_stored(void)
{
    Nic *n = start();

    FOR_EACH(r, i)
    {
        switch (r->access) {
        case IGB_LITE_RO:
        case IGB_LITE_RC:
        case IGB_LITE_RCL:
        case IGB_LITE_RCH:
            w32(n, place(r, i), ~reset_value(r, i));
            check(r32(n, place(r, i)), reset_value(r, i), r, i);
            break;
        case IGB_LITE_WO:
            w32(n, place(r, i), 0xffffffff);
            check(r32(n, place(r, i)), 0, r, i);
            break;
        default:
            break;
        }
    }
    nic_stop(n);
}

static const Reg *find(uint32_t offset)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        if (table[i].offset == offset) {
            return &table[i];
        }
    }
    g_assert_not_reached();
}

/* A cause register, what sets it, its mask, and what clears the mask: bit by bit. */
static void check_causes(Nic *n, uint32_t causes, uint32_t set, uint32_t mask, uint32_t clear)
{
    uint32_t all = find(causes)->writable;

    g_assert_cmphex(find(causes)->access, ==, IGB_LITE_RC1);
    g_assert_cmphex(find(set)->access, ==, IGB_LITE_WO);
    g_assert_cmphex(find(mask)->access, ==, IGB_LITE_W1S);
    g_assert_cmphex(find(clear)->access, ==, IGB_LITE_W1C);
    for (unsigned bit = 0; bit < 32; bit++) {
        w32(n, set, 1u << bit);
        g_assert_cmphex(r32(n, causes), ==, all & 1u << bit);
        g_assert_cmphex(r32(n, causes), ==, 0);
        w32(n, mask, 1u << bit);
        g_assert_cmphex(r32(n, mask), ==, all & (2ull << bit) - 1);
        g_assert_cmphex(r32(n, clear), ==, all & (2ull << bit) - 1);
    }
    for (unsigned bit = 0; bit < 32; bit++) {
        w32(n, clear, 1u << bit);
        g_assert_cmphex(r32(n, mask), ==, all & ~((2ull << bit) - 1));
    }
    w32(n, set, 0xffffffff);
    w32(n, causes, 0x00ff00ff);
    g_assert_cmphex(r32(n, causes), ==, all & 0xff00ff00);
}

static void test_causes(void)
{
    Nic *n = start();

    w32(n, A_GPIE, R_GPIE_MSIX_MODE_MASK);
    check_causes(n, A_ICR, A_ICS, A_IMS, A_IMC);
    check_causes(n, A_EICR, A_EICS, A_EIMS, A_EIMC);
    nic_stop(n);
}

/* A value of its own in every register that stores: none is another's neighbour's. */
static uint32_t own_value(const Reg *r, uint32_t i)
{
    uint32_t mixed = (place(r, i) + 4) * 0x9e3779b1u;

    return (mixed & r->writable) | (reset_value(r, i) & ~r->writable);
}

static void write_own_values(Nic *n)
{
    FOR_EACH(r, i)
    {
        if (stores(r)) {
            w32(n, place(r, i), own_value(r, i));
        }
    }
}

static void check_own_values(Nic *n)
{
    FOR_EACH(r, i)
    {
        if (stores(r)) {
            check(r32(n, place(r, i)), own_value(r, i), r, i);
        }
    }
}

static void test_apart(void)
{
    Nic *n = start();

    write_own_values(n);
    check_own_values(n);
    nic_stop(n);
}

/* Which words of the BAR are registers, by either place. */
static void mark_registers(uint8_t *there)
{
    FOR_EACH(r, i)
    {
        there[place(r, i) / 4] = 1;
    }
    for (unsigned q = 0; q < 4; q++) {
        for (uint32_t b = 0; b < 0x40; b += 4) {
            there[(0x2800 + q * 0x100 + b) / 4] = there[(0xc000 + q * 0x40 + b) / 4];
            there[(0x3800 + q * 0x100 + b) / 4] = there[(0xe000 + q * 0x40 + b) / 4];
        }
    }
    for (unsigned i = 0; i < 5; i++) {
        there[0x1500 / 4 + i] = 1;
    }
}

/* Everywhere else, right behind arrays too, reads are 0 and writes change nothing at all. */
static void test_nothing_else(void)
{
    g_autofree uint8_t *there = g_malloc0(BAR_SIZE / 4);
    Nic *n = start();

    mark_registers(there);
    write_own_values(n);
    for (uint32_t at = 0; at < BAR_SIZE; at += 4) {
        if (!there[at / 4]) {
            w32(n, at, 0xffffffff);
            g_assert_cmphex(r32(n, at), ==, 0);
        }
    }
    check_own_values(n);
    nic_stop(n);
}

/* The second places of queues 0 to 3 and of the ICR group are the same registers. */
static void test_second_places(void)
{
    Nic *n = start();

    FOR_EACH(r, i)
    {
        bool rx = r->offset >= 0xc000 && r->offset < 0xc040;
        bool tx = r->offset >= 0xe000 && r->offset < 0xe040;
        uint32_t second = (rx ? 0x2800 : 0x3800) + i * 0x100 + r->offset % 0x40;

        if ((rx || tx) && i < 4 && stores(r)) {
            w32(n, second, own_value(r, i));
            check(r32(n, place(r, i)), own_value(r, i), r, i);
            w32(n, place(r, i), 0);
            check(r32(n, second), reset_value(r, i) & ~r->writable, r, i);
        }
    }
    w32(n, 0x1508, 0x7fffffff);
    g_assert_cmphex(r32(n, A_IMS), ==, 0x7fffffff);
    w32(n, 0x150c, 0x7ffffff0);
    g_assert_cmphex(r32(n, A_IMS), ==, 0xf);
    w32(n, 0x1504, 0x30);
    g_assert_cmphex(r32(n, 0x1500), ==, 0x30);
    w32(n, 0x1510, 0x1234);
    g_assert_cmphex(r32(n, A_IAM), ==, 0x1234);
    nic_stop(n);
}

/* CTRL.RST takes everything back but what RWK says. */
static void test_software_reset(void)
{
    Nic *n = start();

    write_own_values(n);
    w32(n, A_CTRL, R_CTRL_RST_MASK);
    FOR_EACH(r, i)
    {
        check(r32(n, place(r, i)), r->access == IGB_LITE_RWK ? own_value(r, i) : reset_value(r, i),
              r, i);
    }
    nic_stop(n);
}

/* The other resets take everything back. */
static void test_device_reset(void)
{
    Nic *n = start();
    uint8_t cap = qpci_find_capability(n->dev, PCI_CAP_ID_EXP, 0);
    uint32_t bar = qpci_config_readl(n->dev, PCI_BASE_ADDRESS_0);

    for (unsigned how = 0; how < 2; how++) {
        write_own_values(n);
        if (how) {
            qtest_system_reset(n->qts);
        } else {
            qpci_config_writew(n->dev, cap + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR);
        }
        qpci_config_writel(n->dev, PCI_BASE_ADDRESS_0, bar);
        qpci_config_writew(n->dev, PCI_COMMAND, PCI_COMMAND_MEMORY);
        check_reset(n);
    }
    nic_stop(n);
}

/* Bytes, words, 64 bits, and 32 bits across registers: refused, each counted, nothing changes. */
static void test_sizes(void)
{
    Nic *n = start();
    uint64_t errors;

    write_own_values(n);
    errors = guest_errors(n);
    FOR_EACH(r, i)
    {
        uint64_t at = n->bar + place(r, i);
        bool every = r->count <= 16 || i == 0 || i == r->count - 1;

        for (unsigned b = 0; every && b < 4; b++) {
            qtest_writeb(n->qts, at + b, 0xff);
            g_assert_cmphex(qtest_readb(n->qts, at + b), ==, 0);
        }
        for (unsigned b = 0; every && b < 4; b += 2) {
            qtest_writew(n->qts, at + b, 0xffff);
            g_assert_cmphex(qtest_readw(n->qts, at + b), ==, 0);
        }
        if (every && at % 8 == 0) {
            qtest_writeq(n->qts, at, ~0ull);
            g_assert_cmphex(qtest_readq(n->qts, at), ==, 0);
            errors += 2;
        }
        errors += every ? 12 : 0;
    }
    g_assert_cmpuint(guest_errors(n), ==, errors);
    qtest_writel(n->qts, n->bar + A_RCTL + 2, 0xffffffff);
    g_assert_cmpuint(guest_errors(n), ==, errors + 2); /* arrives as two halves */
    check_own_values(n);
    nic_stop(n);
}

void igb_lite_add_table_tests(void)
{
    qtest_add_func("igb-lite/table/reset", test_reset);
    qtest_add_func("igb-lite/table/stored", test_stored);
    qtest_add_func("igb-lite/table/not-stored", test_not_stored);
    qtest_add_func("igb-lite/table/causes", test_causes);
    qtest_add_func("igb-lite/table/apart", test_apart);
    qtest_add_func("igb-lite/table/nothing-else", test_nothing_else);
    qtest_add_func("igb-lite/table/second-places", test_second_places);
    qtest_add_func("igb-lite/table/software-reset", test_software_reset);
    qtest_add_func("igb-lite/table/device-reset", test_device_reset);
    qtest_add_func("igb-lite/table/sizes", test_sizes);
}

/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: registers, NVM, PHY, link, resets, counters.
 */
#include "hw/pci/pci_regs.h"
#include "igb-lite.h"
#include "qobject/qdict.h"

/* Offset and value after reset, as the 82576 has them; independent of the device's own table. */
static const uint32_t reset_values[][2] = {
    {0x00000, 0x00100209}, {0x00008, 0x80080481}, {0x00010, 0x00001310}, {0x00018, 0},
    {0x00028, 0},          {0x0002c, 0},          {0x00038, 0x81008100}, {0x000c0, 0},
    {0x000d0, 0},          {0x00100, 0},          {0x00400, 0xa40400f8}, {0x00404, 0x00010840},
    {0x00410, 0x00601008}, {0x00c84, 0xff},       {0x00c8c, 0xff},       {0x00c90, 0xff},
    {0x00e00, 0x07068302}, {0x01010, 0x80040000}, {0x01514, 0},          {0x01524, 0},
    {0x0152c, 0},          {0x01530, 0},          {0x01580, 0},          {0x01680, 0},
    {0x01700, 0},          {0x01740, 0},          {0x02404, 0x40},       {0x03404, 0x28},
    {0x03590, 0x44},       {0x04010, 0},          {0x05000, 0x300},      {0x05004, 0x2600},
    {0x05008, 0},          {0x05200, 0},          {0x05400, 0xaa005452}, {0x05404, 0x8000ccbb},
    {0x05408, 0},          {0x0540c, 0},          {0x05600, 0},          {0x05818, 0},
    {0x05820, 0},          {0x05ad0, 0x80002600}, {0x05aec, 0x80002600}, {0x05af0, 0x80000000},
    {0x05b00, 0x06850200}, {0x05b30, 0},          {0x05b54, 0},          {0x05b5c, 0},
    {0x05c00, 0},          {0x05c80, 0},          {0x0c028, 0x02010000}, {0x0c068, 0x00010000},
    {0x0c3e8, 0x00010000}, {0x0e014, 0x2a00},     {0x0e028, 0x02000000}, {0x0e068, 0},
};

static void check_reset_values(Nic *n)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(reset_values); i++) {
        uint32_t val = r32(n, reset_values[i][0]);

        if (val != reset_values[i][1]) {
            g_test_message("register 0x%05x", reset_values[i][0]);
        }
        g_assert_cmphex(val, ==, reset_values[i][1]);
    }
}

static void test_reset_values(void)
{
    Nic *n = nic_start();

    check_reset_values(n);
    nic_stop(n);
}

static void test_pci_identity(void)
{
    Nic *n = nic_start();
    uint8_t cap = qpci_find_capability(n->dev, PCI_CAP_ID_EXP, 0);

    g_assert_cmphex(qpci_config_readw(n->dev, PCI_VENDOR_ID), ==, 0x8086);
    g_assert_cmphex(qpci_config_readw(n->dev, PCI_DEVICE_ID), ==, 0x10c9);
    g_assert_cmphex(qpci_config_readw(n->dev, PCI_CLASS_DEVICE), ==, 0x0200);
    g_assert_cmphex(qpci_find_capability(n->dev, PCI_CAP_ID_MSIX, 0), ==, 0x70);
    g_assert_cmpuint(qpci_msix_table_size(n->dev), ==, 10);
    g_assert_cmphex(cap, !=, 0);
    g_assert_true(qpci_config_readl(n->dev, cap + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_FLR);
    nic_stop(n);
}

static void test_read_only(void)
{
    static const uint32_t regs[] = {A_STATUS, A_EECD,   A_EEMNGCTL, A_MANC,
                                    A_FWSM,   A_FACTPS, A_GPRC,     A_RQDPC};
    Nic *n = nic_start();

    for (unsigned i = 0; i < G_N_ELEMENTS(regs); i++) {
        uint32_t before = r32(n, regs[i]);

        w32(n, regs[i], ~before);
        g_assert_cmphex(r32(n, regs[i]), ==, before);
    }
    nic_stop(n);
}

static void test_write_masks(void)
{
    static const uint32_t regs[][2] = {
        {A_FCAL, 0xffffffff},
        {A_FCAH, 0xffff},
        {A_FCT, 0xffff},
        {A_FCTTV, 0xffff},
        {A_TIPG, 0x3fffffff},
        {A_FCRTH, 0xfff0},
        {A_VET, 0xffffffff},
        {A_RAL, 0xffffffff},
        {A_RAH, 0x87ffffff},
        {A_EIAC, 0x01ffffff},
        {A_EIAM, 0x01ffffff},
        {A_RDBAL, 0xffffff80},
        {A_RDBAH, 0xffffffff},
        {A_RDLEN, 0xffff0},
        {A_TDBAL, 0xffffff80},
        {A_TDLEN, 0xffff0},
        {A_EITR + 4, 0x7ffc},
        {A_MTA + 4 * 127, 0xffffffff},
        {A_VFTA + 4 * 127, 0xffffffff},
        {A_UTA, 0xffffffff},
        {A_RETA + 4 * 31, 0xffffffff},
        {A_RSSRK + 36, 0xffffffff},
    };
    Nic *n = nic_start();

    for (unsigned i = 0; i < G_N_ELEMENTS(regs); i++) {
        w32(n, regs[i][0], 0xffffffff);
        g_assert_cmphex(r32(n, regs[i][0]), ==, regs[i][1]);
        w32(n, regs[i][0], 0);
        g_assert_cmphex(r32(n, regs[i][0]), ==, 0);
    }
    nic_stop(n);
}

static void test_aliases(void)
{
    Nic *n = nic_start();

    for (unsigned q = 0; q < 4; q++) {
        w32(n, 0x2804 + 0x100 * q, 0x1000 + q);
        w32(n, 0xe004 + 0x40 * q, 0x2000 + q);
    }
    for (unsigned q = 0; q < 4; q++) {
        g_assert_cmphex(r32(n, 0xc004 + 0x40 * q), ==, 0x1000 + q);
        g_assert_cmphex(r32(n, 0x3804 + 0x100 * q), ==, 0x2000 + q);
    }
    w32(n, 0x1508, 0x10);
    g_assert_cmphex(r32(n, 0x00d0), ==, 0x10);
    w32(n, 0x00d8, 0x10);
    g_assert_cmphex(r32(n, 0x1508), ==, 0);
    nic_stop(n);
}

static void test_queue_windows(void)
{
    Nic *n = nic_start();

    for (unsigned q = 0; q < 16; q++) {
        w32(n, A_RDBAH + 0x40 * q, 0x100 + q);
        w32(n, A_RDT + 0x40 * q, 0x200 + q);
        w32(n, A_TDBAH + 0x40 * q, 0x300 + q);
    }
    for (unsigned q = 0; q < 16; q++) {
        g_assert_cmphex(r32(n, A_RDBAH + 0x40 * q), ==, 0x100 + q);
        g_assert_cmphex(r32(n, A_RDT + 0x40 * q), ==, 0x200 + q);
        g_assert_cmphex(r32(n, A_TDBAH + 0x40 * q), ==, 0x300 + q);
    }
    nic_stop(n);
}

/* Anything but an aligned 32-bit access is refused, counted, and changes nothing. */
static void test_narrow_access(void)
{
    Nic *n = nic_start();

    w32(n, A_RCTL, 0x04008022);
    qtest_writeb(n->qts, n->bar + A_RCTL + 1, 0);
    qtest_writew(n->qts, n->bar + A_RCTL, 0);
    g_assert_cmpuint(guest_errors(n), ==, 2);
    qtest_readb(n->qts, n->bar + A_RCTL);
    qtest_readw(n->qts, n->bar + A_RCTL + 2);
    g_assert_cmpuint(guest_errors(n), ==, 4);
    qtest_writel(n->qts, n->bar + A_RCTL + 2, 0);
    g_assert_cmpuint(guest_errors(n), >, 4);
    g_assert_cmphex(r32(n, A_RCTL), ==, 0x04008022);
    nic_stop(n);
}

static void test_unknown_offsets(void)
{
    static const uint32_t offsets[] = {0x4, 0x4038, 0x2840, 0x28c0, 0xb60c, 0xc400, 0x1fffc};
    Nic *n = nic_start();

    for (unsigned i = 0; i < G_N_ELEMENTS(offsets); i++) {
        w32(n, offsets[i], 0xffffffff);
        g_assert_cmphex(r32(n, offsets[i]), ==, 0);
    }
    nic_stop(n);
}

static void test_ctrl_rst(void)
{
    Nic *n = nic_running();

    w32(n, A_RXPBS, 0x22);
    w32(n, A_EITR, 0x100);
    w32(n, A_RAL, 0x12345678);
    w32(n, A_MRQC, 2);
    w32(n, A_CTRL, r32(n, A_CTRL) | R_CTRL_RST_MASK);
    g_assert_cmphex(r32(n, A_CTRL), ==, 0x00100209);
    g_assert_cmphex(r32(n, A_RXPBS), ==, 0x22);
    g_assert_cmphex(r32(n, A_EITR), ==, 0x100);
    w32(n, A_RXPBS, 0x40);
    w32(n, A_EITR, 0);
    check_reset_values(n);
    nic_stop(n);
}

static void test_flr(void)
{
    Nic *n = nic_running();
    uint8_t cap = qpci_find_capability(n->dev, PCI_CAP_ID_EXP, 0);
    uint32_t bar = qpci_config_readl(n->dev, PCI_BASE_ADDRESS_0);

    w32(n, A_RXPBS, 0x22);
    qpci_config_writew(n->dev, cap + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR);
    g_assert_cmphex(qpci_config_readw(n->dev, PCI_COMMAND) & PCI_COMMAND_MASTER, ==, 0);
    qpci_config_writel(n->dev, PCI_BASE_ADDRESS_0, bar);
    qpci_device_enable(n->dev);
    check_reset_values(n);
    nic_stop(n);
}

static void test_system_reset(void)
{
    Nic *n = nic_running();
    uint32_t bar = qpci_config_readl(n->dev, PCI_BASE_ADDRESS_0);

    w32(n, A_RXPBS, 0x22);
    qtest_system_reset(n->qts);
    qpci_config_writel(n->dev, PCI_BASE_ADDRESS_0, bar);
    qpci_device_enable(n->dev);
    check_reset_values(n);
    nic_stop(n);
}

static uint16_t nvm_read(Nic *n, uint32_t word)
{
    w32(n, A_EERD, word << 2 | 1);
    g_assert_cmphex(r32(n, A_EERD) & R_EERD_DONE_MASK, ==, R_EERD_DONE_MASK);
    return r32(n, A_EERD) >> 16;
}

static void test_nvm(void)
{
    Nic *n = nic_start();
    uint16_t sum = 0;

    for (unsigned i = 0; i < 0x40; i++) {
        sum += nvm_read(n, i);
    }
    g_assert_cmphex(sum, ==, 0xbaba);
    g_assert_cmphex(nvm_read(n, 0), ==, 0x5452);
    g_assert_cmphex(nvm_read(n, 1), ==, 0xaa00);
    g_assert_cmphex(nvm_read(n, 2), ==, 0xccbb);
    g_assert_cmpuint(guest_errors(n), ==, 0);
    g_assert_cmphex(nvm_read(n, 0x3fff), ==, 0);
    g_assert_cmpuint(guest_errors(n), ==, 1);
    nic_stop(n);
}

static void test_semaphore(void)
{
    Nic *n = nic_start();

    g_assert_cmphex(r32(n, A_SWSM), ==, 0);
    g_assert_cmphex(r32(n, A_SWSM), ==, 1);
    w32(n, A_SWSM, 3);
    g_assert_cmphex(r32(n, A_SWSM), ==, 3);
    w32(n, A_SWSM, 0);
    g_assert_cmphex(r32(n, A_SWSM), ==, 0);
    nic_stop(n);
}

static void test_phy(void)
{
    Nic *n = nic_start();

    g_assert_cmphex(phy_read(n, 0), ==, 0x1140);
    g_assert_cmphex(phy_read(n, 1), ==, 0x7949);
    g_assert_cmphex(phy_read(n, 2), ==, 0x02a8);
    g_assert_cmphex(phy_read(n, 3), ==, 0x0391);
    g_assert_cmphex(phy_read(n, 20), ==, 0);
    phy_write(n, 2, 0xffff);
    g_assert_cmphex(phy_read(n, 2), ==, 0x02a8);
    phy_write(n, 4, 0x0c01);
    g_assert_cmphex(phy_read(n, 4), ==, 0x0c01);
    phy_write(n, 0, 0x8000);
    g_assert_cmphex(phy_read(n, 4), ==, 0x0de1);
    w32(n, A_MDIC, 2 << 16 | 3 << 21 | 2 << 26);
    g_assert_cmphex(r32(n, A_MDIC) & R_MDIC_ERROR_MASK, ==, R_MDIC_ERROR_MASK);
    nic_stop(n);
}

/*
 * The link comes up when auto-negotiation has taken its time, with one LSC; a restart takes it
 * down.
 */
static void test_autoneg(void)
{
    Nic *n = nic_start_args("-global igb-lite.autoneg-ms=100");

    qtest_clock_step(n->qts, 99 * 1000 * 1000);
    settle(n);
    g_assert_cmphex(r32(n, A_STATUS) & R_STATUS_LU_MASK, ==, 0);
    g_assert_cmphex(r32(n, A_ICR), ==, 0);
    qtest_clock_step(n->qts, 2 * 1000 * 1000);
    wait_reg(n, A_STATUS, R_STATUS_LU_MASK, R_STATUS_LU_MASK);
    g_assert_cmphex(phy_read(n, 1), ==, 0x796d);
    g_assert_cmphex(r32(n, A_ICR), ==, R_ICR_LSC_MASK);
    phy_write(n, 0, 0x1340);
    g_assert_cmphex(phy_read(n, 0), ==, 0x1140);
    g_assert_cmphex(r32(n, A_STATUS) & R_STATUS_LU_MASK, ==, 0);
    g_assert_cmphex(r32(n, A_ICR), ==, R_ICR_LSC_MASK);
    nic_stop(n);
}

static void set_link(Nic *n, bool up)
{
    qtest_qmp_assert_success(n->qts,
                             "{'execute': 'set_link', 'arguments': {'name': 'nic', 'up': %i}}", up);
}

static void test_set_link(void)
{
    Nic *n = nic_start();

    link_up(n);
    set_link(n, false);
    g_assert_cmphex(r32(n, A_STATUS) & R_STATUS_LU_MASK, ==, 0);
    qtest_clock_step(n->qts, 100 * 1000 * 1000);
    settle(n);
    g_assert_cmphex(r32(n, A_STATUS) & R_STATUS_LU_MASK, ==, 0);
    g_assert_cmphex(r32(n, A_ICR), ==, R_ICR_LSC_MASK);
    set_link(n, true);
    link_up(n);
    nic_stop(n);
}

static void test_phy_power(void)
{
    Nic *n = nic_start();

    link_up(n);
    phy_write(n, 0, 0x1940);
    g_assert_cmphex(r32(n, A_STATUS) & R_STATUS_LU_MASK, ==, 0);
    qtest_clock_step(n->qts, 100 * 1000 * 1000);
    settle(n);
    g_assert_cmphex(r32(n, A_STATUS) & R_STATUS_LU_MASK, ==, 0);
    phy_write(n, 0, 0x1140);
    link_up(n);
    nic_stop(n);
}

static void test_master_disable(void)
{
    Nic *n = nic_start();
    uint32_t ctrl = r32(n, A_CTRL);

    g_assert_true(r32(n, A_STATUS) & R_STATUS_GIO_MASTER_ENABLE_MASK);
    w32(n, A_CTRL, ctrl | R_CTRL_GIO_MASTER_DISABLE_MASK);
    g_assert_false(r32(n, A_STATUS) & R_STATUS_GIO_MASTER_ENABLE_MASK);
    nic_stop(n);
}

/*
 * Frames in and out are counted by kind and size, with 4 bytes of FCS; reading clears, for pairs
 * the high half.
 */
static void test_counters(void)
{
    static const uint8_t mcast[6] = {1, 0, 0x5e, 0, 0, 1};
    Nic *n = nic_running();
    uint8_t frame[1514], in[2048];

    w32(n, A_RCTL, r32(n, A_RCTL) | R_RCTL_MPE_MASK);
    wire_send_seen(n, frame, make_frame(frame, 60, 1));
    wire_send_seen(n, frame, make_frame(frame, 61, 1));
    make_frame(frame, 1514, 1);
    make_eth(frame, mcast, 0x88b5);
    wire_send_seen(n, frame, 1514);
    tx_frame(n, 0, 0, frame, make_frame(frame, 100, 1));
    tx_doorbell(n, 0);
    wire_receive(n, in, sizeof(in));

    g_assert_cmpuint(r32(n, A_GPRC), ==, 3);
    g_assert_cmpuint(r32(n, A_GPRC), ==, 0);
    g_assert_cmpuint(r32(n, A_BPRC), ==, 2);
    g_assert_cmpuint(r32(n, A_MPRC), ==, 1);
    g_assert_cmpuint(r32(n, A_PRC), ==, 1);
    g_assert_cmpuint(r32(n, A_PRC + 4), ==, 1);
    g_assert_cmpuint(r32(n, A_PRC + 20), ==, 1);
    g_assert_cmpuint(r32(n, A_GORCL), ==, 64 + 65 + 1518);
    g_assert_cmpuint(r32(n, A_GORCL), ==, 64 + 65 + 1518);
    g_assert_cmpuint(r32(n, A_GORCH), ==, 0);
    g_assert_cmpuint(r32(n, A_GORCL), ==, 0);
    g_assert_cmpuint(r32(n, A_GPTC), ==, 1);
    g_assert_cmpuint(r32(n, A_TPT), ==, 1);
    g_assert_cmpuint(r32(n, A_PTC + 4), ==, 1);
    g_assert_cmpuint(r32(n, A_BPTC), ==, 1);
    g_assert_cmpuint(r32(n, A_GOTCL), ==, 104);
    nic_stop(n);
}

void igb_lite_add_reg_tests(void)
{
    qtest_add_func("igb-lite/reg/reset-values", test_reset_values);
    qtest_add_func("igb-lite/reg/pci-identity", test_pci_identity);
    qtest_add_func("igb-lite/reg/read-only", test_read_only);
    qtest_add_func("igb-lite/reg/write-masks", test_write_masks);
    qtest_add_func("igb-lite/reg/aliases", test_aliases);
    qtest_add_func("igb-lite/reg/queue-windows", test_queue_windows);
    qtest_add_func("igb-lite/reg/narrow-access", test_narrow_access);
    qtest_add_func("igb-lite/reg/unknown-offsets", test_unknown_offsets);
    qtest_add_func("igb-lite/reset/ctrl-rst", test_ctrl_rst);
    qtest_add_func("igb-lite/reset/flr", test_flr);
    qtest_add_func("igb-lite/reset/system", test_system_reset);
    qtest_add_func("igb-lite/reg/nvm", test_nvm);
    qtest_add_func("igb-lite/reg/semaphore", test_semaphore);
    qtest_add_func("igb-lite/reg/phy", test_phy);
    qtest_add_func("igb-lite/link/autoneg", test_autoneg);
    qtest_add_func("igb-lite/link/set-link", test_set_link);
    qtest_add_func("igb-lite/link/phy-power", test_phy_power);
    qtest_add_func("igb-lite/reg/master-disable", test_master_disable);
    qtest_add_func("igb-lite/reg/counters", test_counters);
}

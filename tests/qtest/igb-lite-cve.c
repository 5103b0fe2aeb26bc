/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: what other models of this family of NICs were broken by, one case a rule of
 * docs/igb-device.md F.8 and named after it. In each the device answers, counts what it should, and
 * works afterwards.
 */
#include "hw/pci/pci_regs.h"
#include "igb-lite.h"

#define DATA (R_TX_CMD_DEXT_MASK | IGB_LITE_TX_DATA << R_TX_CMD_TYPE_SHIFT)
#define EOP R_TX_CMD_EOP_MASK
#define RS R_TX_CMD_RS_MASK
#define PHY_LOOPBACK 0x4140

static Received r;

static void still_works(Nic *n)
{
    uint8_t frame[100], in[100];

    rx_ring(n, 0, 8);
    rx_post(n, 0, 7);
    tx_ring(n, 0, 8);
    tx_frame(n, 0, 0, frame, make_frame(frame, 100, 1));
    tx_doorbell(n, 0);
    g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 100);
    wire_send(n, frame, make_frame(frame, 100, 2));
    rx_wait(n, 0, &r);
    g_assert_cmpmem(r.data, r.len, frame, 100);
}

/* Sending that never gets to the tail: descriptors of no length, contexts, a tail outside the ring. */
static void test_endless_tx(void)
{
    static const uint32_t kinds[] = {DATA,
                                     0,
                                     EOP,
                                     DATA | EOP,
                                     DATA | EOP | R_TX_CMD_TSE_MASK,
                                     R_TX_CMD_DEXT_MASK | 2u << 20,
                                     R_TX_CMD_DEXT_MASK | 15u << 20};
    Nic *n = nic_running();

    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        tx_ring(n, 0, 4096);
        for (unsigned d = 0; d < 600; d++) {
            tx_desc(n, 0, TX_BUF(0), kinds[i] | RS, 0);
        }
        tx_doorbell(n, 0);
        settle(n);
        w32(n, A_TDLEN, 128); /* the head is outside now */
        w32(n, A_TDT, 7);
        settle(n);
        w32(n, A_TDH, 0);
        w32(n, A_TDT, 0xffff);
        settle(n);
        g_assert_cmphex(r32(n, A_TCTL) & R_TCTL_EN_MASK, ==, R_TCTL_EN_MASK);
    }
    wire_quiet(n);
    g_assert_cmpuint(r32(n, A_TPT), ==, 0);
    still_works(n);
    nic_stop(n);
}

/* Receiving into null buffers, all around the ring. */
static void test_null_rx(void)
{
    Nic *n = nic_running();
    g_autofree uint8_t *frame = g_malloc(9000);
    uint64_t before = guest_errors(n);

    rx_ring(n, 0, 64);
    for (unsigned i = 0; i < 64; i++) {
        qtest_writeq(n->qts, RX_RING(0) + i * 16, 0);
        qtest_writeq(n->qts, RX_RING(0) + i * 16 + 8, 0);
    }
    w32(n, A_SRRCTL, r32(n, A_SRRCTL) | R_SRRCTL_DROP_EN_MASK);
    w32(n, A_RDT, 63);
    wire_send_seen(n, frame, make_frame(frame, 9000, 1));
    g_assert_false(rx_pending(n, 0));
    g_assert_cmpuint(guest_errors(n), >, before);
    g_assert_cmpuint(r32(n, A_RDH), <, 64);
    still_works(n);
    nic_stop(n);
}

/* A received frame lands on CTRL and asks for a reset while it is being stored, by cable and loopback. */
static void test_reset_by_rx(void)
{
    Nic *n = nic_running();
    uint8_t frame[64] = {};

    memset(frame, 0xff, 6);
    for (unsigned i = 8; i < 64; i += 4) {
        stl_le_p(frame + i, R_CTRL_RST_MASK);
    }
    qtest_writeq(n->qts, RX_RING(0), n->bar - 8);
    qtest_writeq(n->qts, RX_RING(0) + 16, n->bar);
    wire_send_seen(n, frame, 64);
    g_assert_cmphex(r32(n, A_RCTL) & R_RCTL_EN_MASK, ==, R_RCTL_EN_MASK);
    rx_ring(n, 0, 8);
    rx_post(n, 0, 7);
    qtest_writeq(n->qts, RX_RING(0), n->bar);
    phy_write(n, 0, PHY_LOOPBACK);
    tx_frame(n, 0, 0, frame, 64);
    tx_doorbell(n, 0);
    settle(n);
    g_assert_cmphex(r32(n, A_TCTL) & R_TCTL_EN_MASK, ==, R_TCTL_EN_MASK);
    g_assert_cmpuint(guest_errors(n), >=, 2);
    phy_write(n, 0, 0x1140);
    link_up(n);
    still_works(n);
    nic_stop(n);
}

/* Write-backs and messages that land on doorbells and resets. */
static void test_reset_by_write_back(void)
{
    Nic *n = nic_running();
    uint8_t frame[64], in[64];

    make_frame(frame, 64, 1);
    w32(n, A_TDWBAL, (uint32_t)(n->bar + A_CTRL) | 1);
    qtest_writel(n->qts, n->msix, n->bar + A_TDT);
    qtest_writel(n->qts, n->msix + 8, 63);
    w32(n, A_IVAR, 0x80808080);
    w32(n, A_EIMS, 1);
    for (unsigned i = 0; i < 3; i++) {
        tx_frame(n, 0, i, frame, 64);
        tx_doorbell(n, 0);
        g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 64);
    }
    wire_quiet(n);
    g_assert_cmpuint(r32(n, A_TDH), ==, 3);
    g_assert_cmpuint(r32(n, A_TDT), ==, 3);
    w32(n, A_TDWBAL, 0);
    still_works(n);
    nic_stop(n);
}

/* SCTP, short, in pieces, with a checksum to be put where the packet has no room; out and back in. */
static void test_short_sctp(void)
{
    Nic *n = nic_running();
    uint8_t frame[64] = {}, sctp[12] = {};
    size_t whole = make_ip4(frame, 132, sctp, sizeof(sctp));

    memset(frame, 0xff, 6);
    phy_write(n, 0, PHY_LOOPBACK);
    for (size_t len = 14; len <= whole; len++) {
        uint64_t before = guest_errors(n);

        qtest_memwrite(n->qts, TX_BUF(0), frame, len);
        tx_context(n, 0, 20 | 14 << R_TX_CTX_LO_MACLEN_SHIFT,
                   IGB_LITE_L4_SCTP << R_TX_CTX_CMD_L4T_SHIFT | R_TX_CTX_CMD_IPV4_MASK, 0);
        tx_desc(n, 0, TX_BUF(0), 10 | DATA, R_TX_OL_TXSM_MASK | R_TX_OL_IXSM_MASK);
        tx_desc(n, 0, TX_BUF(0) + 10, (len - 10) | DATA | EOP | RS, 0);
        tx_doorbell(n, 0);
        rx_wait(n, 0, &r);
        rx_post(n, 0, 1);
        g_assert_cmpuint(r.len, ==, 60);
        g_assert_cmpint(guest_errors(n) > before, ==, len < whole);
    }
    phy_write(n, 0, 0x1140);
    link_up(n);
    still_works(n);
    nic_stop(n);
}

/* A short frame by loopback, with every option that makes it longer or shorter. */
static void test_short_loopback(void)
{
    Nic *n = nic_running();
    uint8_t frame[64];

    phy_write(n, 0, PHY_LOOPBACK);
    w32(n, A_CTRL, r32(n, A_CTRL) | R_CTRL_VME_MASK);
    for (unsigned kind = 0; kind < 4; kind++) {
        w32(n, A_RCTL, (r32(n, A_RCTL) & ~R_RCTL_SECRC_MASK) | (kind & 1 ? R_RCTL_SECRC_MASK : 0));
        for (size_t len = 14; len < 62; len++) {
            make_frame(frame, len, kind);
            qtest_memwrite(n->qts, TX_BUF(0), frame, len);
            tx_context(n, 0, 0x0555u << 16, 0, 0);
            tx_desc(n, 0, TX_BUF(0), len | DATA | EOP | RS | (kind & 2 ? R_TX_CMD_VLE_MASK : 0), 0);
            tx_doorbell(n, 0);
            rx_wait(n, 0, &r);
            rx_post(n, 0, 1);
            g_assert_cmpmem(r.data, MIN(len, 56), frame, MIN(len, 56));
            g_assert_cmpuint(r.len, >=, 56);
            g_assert_cmpuint(r.len, <=, 66);
            g_assert_cmphex(r.status >> 48, ==, kind & 2 ? 0x555 : 0);
        }
    }
    g_assert_cmpuint(guest_errors(n), ==, 0);
    nic_stop(n);
}

/* Memory that the guest has taken back (the queue off, no bus mastering, reset) is not written. */
static void test_memory_given_back(void)
{
    Nic *n = nic_running();
    uint8_t frame[100], after[100], zero[100] = {};
    uint16_t command = qpci_config_readw(n->dev, PCI_COMMAND);

    make_frame(frame, 100, 1);
    for (unsigned how = 0; how < 3; how++) {
        nic_enable(n);
        rx_ring(n, 0, 8);
        rx_post(n, 0, 7);
        wire_send(n, frame, 100);
        rx_wait(n, 0, &r);
        qtest_memset(n->qts, RX_BUF(0), 0, 64 * 0x4000);
        qtest_memset(n->qts, RX_RING(0), 0, 8 * 16);
        switch (how) {
        case 0:
            w32(n, A_RXDCTL, 0);
            break;
        case 1:
            qpci_config_writew(n->dev, PCI_COMMAND, command & ~PCI_COMMAND_MASTER);
            break;
        case 2:
            w32(n, A_CTRL, R_CTRL_RST_MASK);
            break;
        }
        wire_send(n, frame, 100);
        wire_drained(n);
        qtest_clock_step(n->qts, 10ll * 1000 * 1000 * 1000);
        settle(n);
        for (unsigned i = 0; i < 8; i++) {
            qtest_memread(n->qts, RX_BUF(i), after, 100);
            g_assert_cmpmem(after, 100, zero, 100);
        }
        qtest_memread(n->qts, RX_RING(0), after, 100);
        g_assert_cmpmem(after, 100, zero, 100);
        qpci_config_writew(n->dev, PCI_COMMAND, command);
        w32(n, A_CTRL, R_CTRL_RST_MASK);
    }
    nic_enable(n);
    still_works(n);
    nic_stop(n);
}

/* No virtual functions: there is no such capability, and no function appears whatever is written. */
static void test_no_sriov(void)
{
    const uint64_t config = 0xb0000000 + (4 << 15);
    Nic *n = nic_running();

    qtest_outl(n->qts, 0xcf8, 0x80000060); /* configuration space in memory */
    qtest_outl(n->qts, 0xcfc, 0xb0000001);
    g_assert_cmphex(qtest_readl(n->qts, config), ==, 0x10c98086);
    g_assert_cmphex(qtest_readl(n->qts, config + 0x100), ==, 0); /* the list of them is empty */
    for (unsigned at = 0x100; at < 0x1000; at += 4) {
        qtest_writel(n->qts, config + at, 0xffffffff);
    }
    for (unsigned function = 1; function < 8; function++) {
        g_assert_cmphex(qtest_readl(n->qts, config + (function << 12)), ==, 0xffffffff);
    }
    still_works(n);
    nic_stop(n);
}

/* IPv6 extension headers whose lengths end before, at and behind the packet's end; hashed by them. */
static void test_extension_headers(void)
{
    static const uint8_t types[] = {0, 43, 44, 50, 51, 60, 135};
    static const uint8_t dst[6] = {NIC_MAC};
    Nic *n = nic_running();
    uint8_t frame[128];

    w32(n, A_RXCSUM, r32(n, A_RXCSUM) | R_RXCSUM_PCSD_MASK);
    w32(n, A_MRQC, 2 | 0x00ff0000);
    for (unsigned t = 0; t < G_N_ELEMENTS(types); t++) {
        for (unsigned words = 0; words < 14; words++) {
            for (unsigned payload = 0; payload <= 64; payload += 8) {
                memset(frame, 2, sizeof(frame)); /* also a routing header's type */
                make_eth(frame, dst, 0x86dd);
                frame[14] = 0x60;
                stw_be_p(frame + 18, payload);
                frame[20] = types[t];
                frame[54] = t % 2 ? types[t] : 6;
                frame[55] = words == 13 ? 255 : words;
                wire_send(n, frame, 54 + payload);
                rx_wait(n, 0, &r);
                rx_post(n, 0, 1);
                g_assert_cmpuint(r.len, ==, MAX(60, 54 + payload));
            }
        }
    }
    g_assert_cmpuint(guest_errors(n), ==, 0);
    nic_stop(n);
}

void igb_lite_add_cve_tests(void)
{
    qtest_add_func("igb-lite/cve/2021-20257-endless-tx", test_endless_tx);
    qtest_add_func("igb-lite/cve/2020-28916-null-rx", test_null_rx);
    qtest_add_func("igb-lite/cve/2020-15859-reset-by-rx", test_reset_by_rx);
    qtest_add_func("igb-lite/cve/2023-3019-reset-by-write-back", test_reset_by_write_back);
    qtest_add_func("igb-lite/cve/2024-3567-short-sctp", test_short_sctp);
    qtest_add_func("igb-lite/cve/2025-12464-short-loopback", test_short_loopback);
    qtest_add_func("igb-lite/cve/2021-3748-memory-given-back", test_memory_given_back);
    qtest_add_func("igb-lite/cve/2024-26327-no-sriov", test_no_sriov);
    qtest_add_func("igb-lite/cve/extension-headers", test_extension_headers);
}

/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: every bit of a descriptor that means something, and that others mean nothing.
 */
#include "igb-lite.h"

#define DATA (R_TX_CMD_DEXT_MASK | IGB_LITE_TX_DATA << R_TX_CMD_TYPE_SHIFT)
#define EOP R_TX_CMD_EOP_MASK
#define RS R_TX_CMD_RS_MASK
#define VLE R_TX_CMD_VLE_MASK
#define IPV4 R_TX_CTX_CMD_IPV4_MASK
#define L4(t) ((t) << R_TX_CTX_CMD_L4T_SHIFT)
#define LENGTHS(mac, ip) ((ip) | (mac) << R_TX_CTX_LO_MACLEN_SHIFT)
#define IXSM R_TX_OL_IXSM_MASK
#define TXSM R_TX_OL_TXSM_MASK

static Received r;

static void expect(Nic *n, const uint8_t *frame, size_t len)
{
    uint8_t in[2048];

    g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, len);
    g_assert_cmpmem(in, len, frame, len);
}

static void transmit(Nic *n, const uint8_t *frame, size_t len, uint32_t cmd, uint32_t olinfo)
{
    qtest_memwrite(n->qts, TX_BUF(0), frame, len);
    tx_desc(n, 0, TX_BUF(0), len | cmd, olinfo);
    tx_doorbell(n, 0);
}

/* IXSM and TXSM each do their half, and only theirs. */
static void test_tx_checksum_bits(void)
{
    Nic *n = nic_running();
    uint8_t bare[200], both[200], want[200];
    size_t len = make_udp4(both, 60);

    memcpy(bare, both, len);
    stw_be_p(bare + 24, 0);
    stw_be_p(bare + 40, ones_sum(bare + 26, 8, 17 + len - 34));
    tx_context(n, 0, LENGTHS(14, 20), IPV4 | L4(IGB_LITE_L4_UDP), 0);
    for (unsigned bits = 0; bits < 4; bits++) {
        memcpy(want, bare, len);
        memcpy(want + 24, (bits & 1 ? both : bare) + 24, 2);
        memcpy(want + 40, (bits & 2 ? both : bare) + 40, 2);
        transmit(n, bare, len, DATA | EOP | RS, (bits & 1 ? IXSM : 0) | (bits & 2 ? TXSM : 0));
        expect(n, want, len);
    }
    nic_stop(n);
}

/* SCTP's checksum is CRC32c, by its definition here, bit by bit. */
static uint32_t crc32c_plain(const uint8_t *p, size_t len)
{
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (unsigned bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
        }
    }
    return ~crc;
}

static void test_tx_sctp(void)
{
    Nic *n = nic_running();
    uint8_t sctp[100], frame[200], want[200];
    size_t len;

    for (unsigned i = 0; i < sizeof(sctp); i++) {
        sctp[i] = i * 7;
    }
    len = make_ip4(frame, 132, sctp, sizeof(sctp));
    memcpy(want, frame, len);
    memset(want + 34 + 8, 0, 4);
    stl_le_p(want + 34 + 8, crc32c_plain(want + 34, sizeof(sctp)));
    tx_context(n, 0, LENGTHS(14, 20), IPV4 | L4(IGB_LITE_L4_SCTP), 0);
    transmit(n, frame, len, DATA | EOP | RS, TXSM);
    expect(n, want, len);
    nic_stop(n);
}

/* A packet is what its first descriptor says: the commands of the others do not count. */
static void test_tx_first_rules(void)
{
    Nic *n = nic_running();
    uint8_t frame[100];

    make_frame(frame, 100, 1);
    qtest_memwrite(n->qts, TX_BUF(0), frame, 100);
    tx_context(n, 0, LENGTHS(14, 20) | 0x0123u << 16, IPV4 | L4(IGB_LITE_L4_TCP), 0);
    tx_desc(n, 0, TX_BUF(0), 50 | DATA, 0);
    tx_desc(n, 0, TX_BUF(0) + 50, 50 | DATA | EOP | VLE | R_TX_CMD_TSE_MASK, IXSM | TXSM);
    tx_doorbell(n, 0);
    expect(n, frame, 100);
    nic_stop(n);
}

/* What the 82576 has and we do not need (IFCS, time stamp, PAYLEN, reserved bits) changes nothing. */
static void test_tx_other_bits(void)
{
    static const uint32_t cmd[] = {1u << 16, 1u << 17, 1u << 18, 1u << 19,
                                   1u << 25, 1u << 26, 1u << 28};
    Nic *n = nic_running();
    uint8_t frame[100];

    make_frame(frame, 100, 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(cmd); i++) {
        transmit(n, frame, 100, DATA | EOP | RS | cmd[i], 0);
        expect(n, frame, 100);
    }
    transmit(n, frame, 100, DATA | EOP | RS, ~(IXSM | TXSM | 1u));
    expect(n, frame, 100);
    g_assert_cmpuint(guest_errors(n), ==, 0);
    nic_stop(n);
}

/* Write-back: DD in the descriptors that asked, all else in them as it was. */
static void test_tx_write_back(void)
{
    Nic *n = nic_running();
    uint8_t frame[100];

    qtest_memwrite(n->qts, TX_BUF(0), frame, make_frame(frame, 100, 1));
    tx_context(n, 0, LENGTHS(14, 20), IPV4 | RS, 0x1234u << 16);
    tx_context(n, 0, LENGTHS(14, 20), IPV4, 0);
    tx_desc(n, 0, TX_BUF(0), 40 | DATA | RS, 0x00012040);
    tx_desc(n, 0, TX_BUF(0) + 40, 60 | DATA | EOP, 0);
    tx_doorbell(n, 0);
    expect(n, frame, 100);
    g_assert_true(tx_done(n, 0, 0));
    g_assert_false(tx_done(n, 0, 1));
    g_assert_cmphex(qtest_readq(n->qts, TX_RING(0) + 32), ==, TX_BUF(0));
    g_assert_cmphex(qtest_readl(n->qts, TX_RING(0) + 40), ==, (40 | DATA | RS));
    g_assert_cmphex(qtest_readl(n->qts, TX_RING(0) + 44), ==, 0x00012041);
    g_assert_false(tx_done(n, 0, 3));
    nic_stop(n);
}

/* A legacy descriptor's tag is its own, an extended one's its context's; VET is the type. */
static void test_tx_vlan_bits(void)
{
    Nic *n = nic_running();
    uint8_t frame[100], want[104];

    make_frame(frame, 100, 1);
    memcpy(want, frame, 12);
    memcpy(want + 16, frame + 12, 88);
    tx_context(n, 0, 0x0aaau << 16, 0, 0);
    tx_context(n, 0, 0x0bbbu << 16, 0, R_TX_CTX_OL_INDEX_MASK);
    stl_be_p(want + 12, 0x81000aaa);
    transmit(n, frame, 100, DATA | EOP | RS | VLE, 0xcccu << 16);
    expect(n, want, 104);
    stl_be_p(want + 12, 0x81000bbb);
    transmit(n, frame, 100, DATA | EOP | RS | VLE, R_TX_OL_CTX_MASK);
    expect(n, want, 104);
    w32(n, A_VET, 0x88a8);
    stl_be_p(want + 12, 0x88a8e123);
    transmit(n, frame, 100, EOP | RS | VLE, 0xe123u << 16);
    expect(n, want, 104);
    transmit(n, frame, 100, EOP | RS, 0xe123u << 16);
    expect(n, frame, 100);
    nic_stop(n);
}

/* Contexts belong to their queue. */
static void test_tx_contexts_apart(void)
{
    Nic *n = nic_running();
    uint8_t frame[64], in[100];

    make_frame(frame, 64, 1);
    qtest_memwrite(n->qts, TX_BUF(0), frame, 64);
    for (unsigned q = 0; q < 16; q++) {
        tx_ring(n, q, 8);
        tx_context(n, q, (0x100 + q) << 16, 0, 0);
        tx_context(n, q, (0x200 + q) << 16, 0, R_TX_CTX_OL_INDEX_MASK);
        tx_doorbell(n, q);
    }
    for (unsigned i = 0; i < 32; i++) {
        unsigned q = i % 16;

        tx_desc(n, q, TX_BUF(0), 64 | DATA | EOP | VLE, i < 16 ? 0 : R_TX_OL_CTX_MASK);
        tx_doorbell(n, q);
        g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 68);
        g_assert_cmphex(lduw_be_p(in + 14), ==, (i < 16 ? 0x100 : 0x200) + q);
    }
    nic_stop(n);
}

/* CTRL.RST forgets the contexts. */
static void test_tx_contexts_reset(void)
{
    Nic *n = nic_running();
    uint8_t frame[64], in[100];

    tx_context(n, 0, 0x0aaau << 16, 0, 0);
    tx_doorbell(n, 0);
    w32(n, A_CTRL, R_CTRL_RST_MASK);
    nic_enable(n);
    tx_ring(n, 0, 8);
    transmit(n, frame, make_frame(frame, 64, 1), DATA | EOP | VLE, 0);
    g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 68);
    g_assert_cmphex((uint32_t)ldl_be_p(in + 12), ==, 0x81000000);
    nic_stop(n);
}

/* An IPv6 packet with extension headers, `first` the first one's type, each 8 bytes. */
static size_t make_ip6(uint8_t *frame, uint8_t first, unsigned headers, uint8_t protocol,
                       size_t payload)
{
    static const uint8_t dst[6] = {NIC_MAC};
    size_t at = 54;

    memset(frame, 0, 200);
    make_eth(frame, dst, 0x86dd);
    frame[14] = 0x60;
    stw_be_p(frame + 18, headers * 8 + payload);
    frame[20] = headers ? first : protocol;
    frame[21] = 64;
    frame[22] = frame[38] = 0xfd;
    frame[37] = 1;
    frame[53] = 2;
    for (unsigned i = 0; i < headers; i++, at += 8) {
        frame[at] = i == headers - 1 ? protocol : first;
    }
    stw_be_p(frame + at, 1234);
    stw_be_p(frame + at + 2, 7);
    if (protocol == 17) {
        stw_be_p(frame + at + 4, payload);
        stw_be_p(frame + at + 6,
                 ~ones_sum(frame + at, payload, ones_sum(frame + 22, 32, 17 + payload)) & 0xffff);
    } else {
        frame[at + 12] = 0x50;
        stw_be_p(frame + at + 16,
                 ~ones_sum(frame + at, payload, ones_sum(frame + 22, 32, 6 + payload)) & 0xffff);
    }
    return at + payload;
}

static void receive(Nic *n, const uint8_t *frame, size_t len)
{
    wire_send(n, frame, len);
    rx_wait(n, 0, &r);
    rx_post(n, 0, 1);
}

/* The packet type and what is said of the checksums, for each kind of packet. */
static void test_rx_packet_types(void)
{
    Nic *n = nic_running();
    uint8_t frame[300], sctp[40] = {};

    receive(n, frame, make_udp4(frame, 20));
    g_assert_cmphex(r.info >> 4, ==, IGB_LITE_PT_IPV4 | IGB_LITE_PT_UDP);
    receive(n, frame, make_tcp4(frame, 20));
    g_assert_cmphex(r.info >> 4, ==, IGB_LITE_PT_IPV4 | IGB_LITE_PT_TCP);
    receive(n, frame, make_ip4(frame, 132, sctp, 40));
    g_assert_cmphex(r.info >> 4, ==, IGB_LITE_PT_IPV4 | IGB_LITE_PT_SCTP);
    receive(n, frame, make_ip4(frame, 47, sctp, 40));
    g_assert_cmphex(r.info >> 4, ==, IGB_LITE_PT_IPV4);
    receive(n, frame, make_ip6(frame, 0, 0, 17, 40));
    g_assert_cmphex(r.info >> 4, ==, IGB_LITE_PT_IPV6 | IGB_LITE_PT_UDP);
    g_assert_cmphex(r.status & 0x60000070, ==, R_RX_STATUS_L4CS_MASK | R_RX_STATUS_UDPCS_MASK);
    receive(n, frame, make_ip6(frame, 0, 0, 6, 40));
    g_assert_cmphex(r.info >> 4, ==, IGB_LITE_PT_IPV6 | IGB_LITE_PT_TCP);
    g_assert_cmphex(r.status & 0x60000070, ==, R_RX_STATUS_L4CS_MASK);
    receive(n, frame, make_ip6(frame, 60, 2, 17, 40));
    g_assert_cmphex(r.info >> 4, ==, IGB_LITE_PT_IPV6 | IGB_LITE_PT_IPV6_EXT | IGB_LITE_PT_UDP);
    g_assert_cmphex(r.status & 0x60000070, ==, R_RX_STATUS_L4CS_MASK | R_RX_STATUS_UDPCS_MASK);
    frame[14 + 40 + 16 + 20] ^= 1;
    receive(n, frame, 14 + 40 + 16 + 40);
    g_assert_cmphex(r.status & 0x60000070, ==,
                    R_RX_STATUS_L4CS_MASK | R_RX_STATUS_UDPCS_MASK | R_RX_STATUS_L4E_MASK);
    receive(n, frame, make_ip6(frame, 44, 1, 17, 40)); /* a fragment */
    g_assert_cmphex(r.info >> 4, ==, IGB_LITE_PT_IPV6 | IGB_LITE_PT_IPV6_EXT);
    g_assert_cmphex(r.status & 0x60000070, ==, 0);
    receive(n, frame, make_frame(frame, 60, 1));
    g_assert_cmphex(r.info, ==, 0);
    nic_stop(n);
}

/* Behind a tag everything is as without, stripped or not. */
static void test_rx_tagged(void)
{
    Nic *n = nic_running();
    uint8_t plain[100], frame[104];
    size_t len = make_tcp4(plain, 30);

    memcpy(frame, plain, 12);
    stl_be_p(frame + 12, 0x8100b00c);
    memcpy(frame + 16, plain + 12, len - 12);
    for (unsigned strip = 0; strip < 2; strip++) {
        w32(n, A_CTRL, strip ? r32(n, A_CTRL) | R_CTRL_VME_MASK : r32(n, A_CTRL));
        receive(n, frame, len + 4);
        g_assert_cmphex(r.info >> 4, ==, IGB_LITE_PT_IPV4 | IGB_LITE_PT_TCP);
        g_assert_cmphex(r.status & 0x60000078, ==,
                        R_RX_STATUS_L4CS_MASK | R_RX_STATUS_IPCS_MASK |
                            (strip ? R_RX_STATUS_VP_MASK : 0));
        g_assert_cmphex(r.status >> 48, ==, strip ? 0xb00c : 0);
        g_assert_cmpmem(r.data, r.len, strip ? plain : frame, strip ? len : len + 4);
    }
    nic_stop(n);
}

/* Only the last descriptor of a frame has EOP, the types and the checksums; all have DD. */
static void test_rx_several(void)
{
    Nic *n = nic_running();
    uint8_t frame[3000] = {};
    size_t len = make_tcp4(frame, 2446);

    w32(n, A_RXCSUM, r32(n, A_RXCSUM) | R_RXCSUM_PCSD_MASK);
    w32(n, A_MRQC, 2 | R_MRQC_TCP_IPV4_MASK);
    w32(n, A_RSSRK, 0x12345678);
    w32(n, A_SRRCTL, 1 << R_SRRCTL_DESCTYPE_SHIFT | 1);
    receive(n, frame, len);
    g_assert_cmpuint(r.descs, ==, 3);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_cmphex(qtest_readq(n->qts, RX_RING(0) + i * 16), ==, 0);
        g_assert_cmphex(qtest_readq(n->qts, RX_RING(0) + i * 16 + 8), ==, 1024ull << 32 | 1);
    }
    g_assert_cmphex(r.info, ==, (IGB_LITE_PT_IPV4 | IGB_LITE_PT_TCP) << 4 | 1);
    g_assert_cmphex(r.hash, !=, 0);
    g_assert_cmphex(r.status, ==, (len - 2048) << 32 | 0x63);
    nic_stop(n);
}

void igb_lite_add_desc_tests(void)
{
    qtest_add_func("igb-lite/desc/tx-checksum-bits", test_tx_checksum_bits);
    qtest_add_func("igb-lite/desc/tx-sctp", test_tx_sctp);
    qtest_add_func("igb-lite/desc/tx-first-rules", test_tx_first_rules);
    qtest_add_func("igb-lite/desc/tx-other-bits", test_tx_other_bits);
    qtest_add_func("igb-lite/desc/tx-write-back", test_tx_write_back);
    qtest_add_func("igb-lite/desc/tx-vlan-bits", test_tx_vlan_bits);
    qtest_add_func("igb-lite/desc/tx-contexts-apart", test_tx_contexts_apart);
    qtest_add_func("igb-lite/desc/tx-contexts-reset", test_tx_contexts_reset);
    qtest_add_func("igb-lite/desc/rx-packet-types", test_rx_packet_types);
    qtest_add_func("igb-lite/desc/rx-tagged", test_rx_tagged);
    qtest_add_func("igb-lite/desc/rx-several", test_rx_several);
}

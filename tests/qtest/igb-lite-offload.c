/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: transmit checksums, segmentation and VLAN tags.
 */
#include "igb-lite.h"

#define DATA (R_TX_CMD_DEXT_MASK | IGB_LITE_TX_DATA << R_TX_CMD_TYPE_SHIFT)
#define EOP R_TX_CMD_EOP_MASK
#define RS R_TX_CMD_RS_MASK
#define IPV4 R_TX_CTX_CMD_IPV4_MASK
#define L4(t) ((t) << R_TX_CTX_CMD_L4T_SHIFT)

static uint32_t lengths(unsigned mac, unsigned ip)
{
    return ip | mac << R_TX_CTX_LO_MACLEN_SHIFT;
}

static void send_with(Nic *n, const uint8_t *packet, size_t len, uint32_t cmd, uint32_t olinfo)
{
    qtest_memwrite(n->qts, TX_BUF(0), packet, len);
    for (size_t at = 0; at < len; at += 8000) {
        bool last = len - at <= 8000;

        tx_desc(n, 0, TX_BUF(0) + at, MIN(8000, len - at) | DATA | cmd | (last ? EOP | RS : 0),
                olinfo);
    }
    tx_doorbell(n, 0);
}

/* A UDP frame without checksums: the device fills in both, and leaves guest memory alone. */
static void test_udp_checksum(void)
{
    Nic *n = nic_running();
    uint8_t want[200], frame[200], in[200], after[200];
    size_t len = make_udp4(want, 101);

    memcpy(frame, want, len);
    stw_be_p(frame + 24, 0);
    stw_be_p(frame + 40, ones_sum(frame + 26, 8, 17 + len - 34));
    tx_context(n, 0, lengths(14, 20), IPV4 | L4(IGB_LITE_L4_UDP), 0);
    send_with(n, frame, len, 0, R_TX_OL_IXSM_MASK | R_TX_OL_TXSM_MASK);
    g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, len);
    g_assert_cmpmem(in, len, want, len);
    qtest_memread(n->qts, TX_BUF(0), after, len);
    g_assert_cmpmem(after, len, frame, len);
    nic_stop(n);
}

/* The shortest datagrams: the checksum field is the packet's end. */
static void test_udp_short(void)
{
    Nic *n = nic_running();

    for (size_t payload = 0; payload < 4; payload++) {
        uint8_t want[64], frame[64], in[64];
        size_t len = make_udp4(want, payload);

        memcpy(frame, want, len);
        stw_be_p(frame + 40, ones_sum(frame + 26, 8, 17 + len - 34));
        tx_context(n, 0, lengths(14, 20), IPV4 | L4(IGB_LITE_L4_UDP), 0);
        send_with(n, frame, len, 0, R_TX_OL_TXSM_MASK);
        wire_receive(n, in, sizeof(in));
        g_assert_cmpmem(in, len, want, len);
    }
    nic_stop(n);
}

/* A UDP checksum that comes to 0 is sent as 0xffff (RFC 768). */
static void test_udp_zero(void)
{
    Nic *n = nic_running();
    uint8_t frame[64], in[64];
    size_t len = make_udp4(frame, 18);
    uint16_t pseudo = ones_sum(frame + 26, 8, 17 + len - 34);

    stw_be_p(frame + 40, pseudo);
    stw_be_p(frame + 58, 0);
    stw_be_p(frame + 58, ~ones_sum(frame + 34, len - 34, 0));
    tx_context(n, 0, lengths(14, 20), IPV4 | L4(IGB_LITE_L4_UDP), 0);
    send_with(n, frame, len, 0, R_TX_OL_TXSM_MASK);
    wire_receive(n, in, sizeof(in));
    g_assert_cmphex(lduw_be_p(in + 40), ==, 0xffff);
    nic_stop(n);
}

/* Context 1 is not context 0, and both stay until replaced. */
static void test_tcp_checksum(void)
{
    Nic *n = nic_running();
    uint8_t want[700], frame[700], in[700];
    size_t len = make_tcp4(want, 501);

    memcpy(frame, want, len);
    stw_be_p(frame + 50, ones_sum(frame + 26, 8, 6 + len - 34));
    tx_context(n, 0, lengths(14, 20), IPV4 | L4(IGB_LITE_L4_UDP), 0);
    tx_context(n, 0, lengths(14, 20), IPV4 | L4(IGB_LITE_L4_TCP), R_TX_CTX_OL_INDEX_MASK);
    for (unsigned i = 0; i < 2; i++) {
        send_with(n, frame, len, 0, R_TX_OL_TXSM_MASK | R_TX_OL_CTX_MASK);
        g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, len);
        g_assert_cmpmem(in, len, want, len);
    }
    nic_stop(n);
}

/* Offsets that lie outside the packet: the frame goes out as it is, the error is counted. */
static void test_checksum_beyond(void)
{
    static const uint32_t los[] = {0, 127 << 9 | 511, 14 << 9 | 30, 60 << 9 | 0};
    Nic *n = nic_running();
    uint8_t frame[60], in[100];

    make_frame(frame, 60, 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(los); i++) {
        uint64_t before = guest_errors(n);

        tx_context(n, 0, los[i], IPV4 | L4(3), 0);
        send_with(n, frame, 60, 0, R_TX_OL_IXSM_MASK | R_TX_OL_TXSM_MASK);
        g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 60);
        g_assert_cmpuint(guest_errors(n), >, before);
    }
    /* The reproducer of CVE-2024-3567: SCTP in a frame too short for its header. */
    tx_context(n, 0, lengths(14, 20), L4(IGB_LITE_L4_SCTP), 0);
    send_with(n, frame, 40, 0, R_TX_OL_TXSM_MASK);
    g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 60);
    nic_stop(n);
}

static void test_vlan_insert(void)
{
    Nic *n = nic_running();
    uint8_t frame[100], in[200];

    make_frame(frame, 100, 1);
    tx_context(n, 0, lengths(14, 0) | 0xa123u << 16, 0, 0);
    send_with(n, frame, 100, R_TX_CMD_VLE_MASK, 0);
    g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 104);
    g_assert_cmpmem(in, 12, frame, 12);
    g_assert_cmphex((uint32_t)ldl_be_p(in + 12), ==, 0x8100a123);
    g_assert_cmpmem(in + 16, 88, frame + 12, 88);
    nic_stop(n);
}

/* A TCP packet as Linux hands it over for segmentation. */
static size_t make_tso4(uint8_t *packet, size_t payload, uint8_t flags)
{
    size_t len = make_tcp4(packet, payload);

    packet[47] = flags;
    stw_be_p(packet + 16, 0);
    stw_be_p(packet + 24, 0);
    stw_be_p(packet + 50, ones_sum(packet + 26, 8, 6));
    return len;
}

static void test_tso4(void)
{
    Nic *n = nic_running();
    g_autofree uint8_t *packet = g_malloc(4096);
    uint8_t in[2048];
    size_t len = make_tso4(packet, 2500, 0x99), at = 0;

    tx_context(n, 0, lengths(14, 20), IPV4 | L4(IGB_LITE_L4_TCP), 20 << 8 | 1000u << 16);
    send_with(n, packet, len, R_TX_CMD_TSE_MASK,
              R_TX_OL_IXSM_MASK | R_TX_OL_TXSM_MASK | 2500 << R_TX_OL_PAYLEN_SHIFT);
    for (unsigned i = 0; i < 3; i++) {
        size_t part = i < 2 ? 1000 : 500;

        g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 54 + part);
        g_assert_cmpuint(lduw_be_p(in + 16), ==, 40 + part);
        g_assert_cmphex(lduw_be_p(in + 18), ==, 0x1234 + i);
        g_assert_cmphex(ones_sum(in + 14, 20, 0), ==, 0xffff);
        g_assert_cmphex(ldl_be_p(in + 38), ==, 0x01020304 + at);
        g_assert_cmphex(in[47], ==, i == 0 ? 0x90 : i == 1 ? 0x10 : 0x19);
        g_assert_cmphex(l4_sum4(in), ==, 0xffff);
        g_assert_cmpmem(in + 54, part, packet + 54 + at, part);
        at += part;
    }
    wire_quiet(n);
    g_assert_cmpuint(r32(n, A_TSCTC), ==, 1);
    g_assert_cmpuint(r32(n, A_GPTC), ==, 3);
    nic_stop(n);
}

static void test_tso6(void)
{
    static const uint8_t dst[6] = {NIC_MAC};
    Nic *n = nic_running();
    uint8_t packet[2048] = {}, in[2048];

    make_tcp4(packet + 20, 1500); /* moves TCP to 74, behind 40 bytes of IPv6 */
    make_eth(packet, dst, 0x86dd);
    memset(packet + 14, 0, 40);
    packet[14] = 0x60;
    packet[20] = 6;
    packet[21] = 64;
    packet[22] = packet[38] = 0xfd;
    packet[37] = 1;
    packet[53] = 2;
    stw_be_p(packet + 70, ones_sum(packet + 22, 32, 6));
    tx_context(n, 0, lengths(14, 40), L4(IGB_LITE_L4_TCP), 20 << 8 | 1000u << 16);
    send_with(n, packet, 1574, R_TX_CMD_TSE_MASK, R_TX_OL_TXSM_MASK);
    for (unsigned i = 0; i < 2; i++) {
        size_t part = i ? 500 : 1000;

        g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 74 + part);
        g_assert_cmpuint(lduw_be_p(in + 18), ==, 20 + part);
        g_assert_cmphex(ldl_be_p(in + 58), ==, 0x01020304 + i * 1000);
        g_assert_cmphex(ones_sum(in + 54, 20 + part, ones_sum(in + 22, 32, 6 + 20 + part)), ==,
                        0xffff);
        g_assert_cmpmem(in + 74, part, packet + 74 + i * 1000, part);
    }
    nic_stop(n);
}

/* UDP segmentation makes datagrams, not fragments. */
static void test_uso(void)
{
    Nic *n = nic_running();
    uint8_t packet[2048], in[2048];
    size_t len = make_udp4(packet, 1500);

    stw_be_p(packet + 24, 0);
    stw_be_p(packet + 40, ones_sum(packet + 26, 8, 17));
    tx_context(n, 0, lengths(14, 20), IPV4 | L4(IGB_LITE_L4_UDP), 8 << 8 | 600u << 16);
    send_with(n, packet, len, R_TX_CMD_TSE_MASK, R_TX_OL_IXSM_MASK | R_TX_OL_TXSM_MASK);
    for (unsigned i = 0; i < 3; i++) {
        size_t part = i < 2 ? 600 : 300;

        g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 42 + part);
        g_assert_cmpuint(lduw_be_p(in + 38), ==, 8 + part);
        g_assert_cmphex(lduw_be_p(in + 20), ==, 0);
        g_assert_cmphex(l4_sum4(in), ==, 0xffff);
        g_assert_cmpmem(in + 42, part, packet + 42 + i * 600, part);
    }
    nic_stop(n);
}

/* The longest packet Linux makes: 64 KiB of TCP, in fragments. */
static void test_tso_long(void)
{
    Nic *n = nic_running();
    g_autofree uint8_t *packet = g_malloc(65536);
    uint8_t in[2048];
    size_t len = make_tso4(packet, 65000, 0x10), at = 0;

    tx_context(n, 0, lengths(14, 20), IPV4 | L4(IGB_LITE_L4_TCP), 20 << 8 | 1460u << 16);
    send_with(n, packet, len, R_TX_CMD_TSE_MASK, R_TX_OL_IXSM_MASK | R_TX_OL_TXSM_MASK);
    while (at < 65000) {
        size_t part = MIN(1460, 65000 - at);

        g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 54 + part);
        g_assert_cmpmem(in + 54, part, packet + 54 + at, part);
        at += part;
    }
    nic_stop(n);
}

/* As long as the device's buffer, and one byte more. */
static void test_tso_longest(void)
{
    const size_t longest = 66044;
    Nic *n = nic_running();
    g_autofree uint8_t *packet = g_malloc0(longest + 1);
    uint8_t in[2048];
    size_t sum = 0;

    make_tso4(packet, 100, 0x10);
    tx_context(n, 0, lengths(14, 20), IPV4 | L4(IGB_LITE_L4_TCP), 20 << 8 | 1460u << 16);
    send_with(n, packet, longest + 1, R_TX_CMD_TSE_MASK, R_TX_OL_TXSM_MASK);
    g_assert_true(tx_done(n, 0, n->tx_tail[0] - 1));
    g_assert_cmpuint(guest_errors(n), ==, 1);
    wire_quiet(n);
    send_with(n, packet, longest, R_TX_CMD_TSE_MASK, R_TX_OL_TXSM_MASK);
    while (sum < longest - 54) {
        sum += wire_receive(n, in, sizeof(in)) - 54;
    }
    g_assert_cmpuint(sum, ==, longest - 54);
    g_assert_cmpuint(guest_errors(n), ==, 1);
    nic_stop(n);
}

/* Segmentation that cannot be: dropped, counted, the ring goes on. */
static void test_tso_bad(void)
{
    static const uint32_t contexts[][3] = {
        {14 << 9 | 20, IPV4 | L4(1), 20 << 8},                 /* MSS 0 */
        {14 << 9 | 20, IPV4 | L4(1), 20 << 8 | 1u << 16},      /* MSS 1 */
        {14 << 9 | 20, IPV4 | L4(1), 20 << 8 | 0xffffu << 16}, /* frames too long */
        {14 << 9 | 20, IPV4 | L4(1), 0 | 1000u << 16},         /* no TCP header */
        {14 << 9 | 20, IPV4 | L4(1), 255 << 8 | 1000u << 16},  /* headers longer than the packet */
        {14 << 9 | 4, IPV4 | L4(1), 20 << 8 | 1000u << 16},    /* IP header too short */
        {2 << 9 | 20, IPV4 | L4(1), 20 << 8 | 1000u << 16},    /* no Ethernet header */
        {14 << 9 | 20, IPV4 | L4(2), 20 << 8 | 1000u << 16},   /* SCTP */
        {14 << 9 | 20, L4(1), 20 << 8 | 1000u << 16},          /* IPv6 in 20 bytes */
    };
    Nic *n = nic_running();
    uint8_t packet[300], in[300];
    size_t len = make_tso4(packet, 100, 0x10);

    for (unsigned i = 0; i < G_N_ELEMENTS(contexts); i++) {
        tx_context(n, 0, contexts[i][0], contexts[i][1], contexts[i][2]);
        send_with(n, packet, len, R_TX_CMD_TSE_MASK, R_TX_OL_IXSM_MASK | R_TX_OL_TXSM_MASK);
        g_assert_true(tx_done(n, 0, n->tx_tail[0] - 1));
        g_assert_cmpuint(guest_errors(n), ==, i + 1);
    }
    wire_quiet(n);
    tx_frame(n, 0, 0, packet, make_frame(packet, 64, 1));
    tx_doorbell(n, 0);
    g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 64);
    nic_stop(n);
}

/* A packet longer than the device's buffer is dropped, not cut. */
static void test_too_long(void)
{
    Nic *n = nic_running();
    uint8_t frame[64], in[64];

    for (unsigned i = 0; i < 9; i++) {
        tx_desc(n, 0, TX_BUF(0), 60000 | DATA | (i == 8 ? EOP | RS : 0), 0);
    }
    tx_doorbell(n, 0);
    tx_desc(n, 0, TX_BUF(0), 20000 | DATA | EOP | RS, 0);
    tx_doorbell(n, 0);
    g_assert_true(tx_done(n, 0, 8) && tx_done(n, 0, 9));
    g_assert_cmpuint(guest_errors(n), ==, 2);
    tx_frame(n, 0, 0, frame, make_frame(frame, 64, 1));
    tx_doorbell(n, 0);
    g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 64);
    nic_stop(n);
}

void igb_lite_add_offload_tests(void)
{
    qtest_add_func("igb-lite/offload/udp-checksum", test_udp_checksum);
    qtest_add_func("igb-lite/offload/udp-short", test_udp_short);
    qtest_add_func("igb-lite/offload/udp-zero", test_udp_zero);
    qtest_add_func("igb-lite/offload/tcp-checksum", test_tcp_checksum);
    qtest_add_func("igb-lite/offload/checksum-beyond", test_checksum_beyond);
    qtest_add_func("igb-lite/offload/vlan-insert", test_vlan_insert);
    qtest_add_func("igb-lite/offload/tso4", test_tso4);
    qtest_add_func("igb-lite/offload/tso6", test_tso6);
    qtest_add_func("igb-lite/offload/uso", test_uso);
    qtest_add_func("igb-lite/offload/tso-long", test_tso_long);
    qtest_add_func("igb-lite/offload/tso-longest", test_tso_longest);
    qtest_add_func("igb-lite/offload/tso-bad", test_tso_bad);
    qtest_add_func("igb-lite/offload/too-long", test_too_long);
}

/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: where QEMU's stock igb is wrong. Each case runs on either device (QTEST_NIC)
 * and ends with "wrong: ..." on the stock one; tests/qtest/stock has the words, and tests/qtest/run
 * --stock holds it to them. They use nothing that only igb-lite has.
 */
#include "igb-lite.h"

#define DATA (R_TX_CMD_DEXT_MASK | IGB_LITE_TX_DATA << R_TX_CMD_TYPE_SHIFT)
#define EOP R_TX_CMD_EOP_MASK
#define RS R_TX_CMD_RS_MASK
#define IPV4 R_TX_CTX_CMD_IPV4_MASK
#define L4(t) ((t) << R_TX_CTX_CMD_L4T_SHIFT)
#define LENGTHS(mac, ip) ((ip) | (mac) << R_TX_CTX_LO_MACLEN_SHIFT)

/* The end of a case, and what it says of a device that it finds wrong. */
#define right(condition, what)       \
    do {                             \
        if (!(condition)) {          \
            g_error("wrong: " what); \
        }                            \
    } while (0)

static Received r;

/* Vector v with causes from EICS, sent at most every us microseconds. */
static Nic *throttled(unsigned v, uint32_t us)
{
    Nic *n = nic_running();

    w32(n, A_EIAC, 0x3ff);
    w32(n, A_EIMS, 0x3ff);
    w32(n, A_EITR + 4 * v, us << 2);
    w32(n, A_EICS, 1u << v);
    g_assert_true(message(n, v));
    return n;
}

static void step_us(Nic *n, int64_t us)
{
    qtest_clock_step(n->qts, us * 1000);
    settle(n);
}

static void test_eitr_unit(void)
{
    Nic *n = throttled(1, 162);

    w32(n, A_EICS, 1 << 1);
    step_us(n, 161);
    g_assert_false(message(n, 1));
    step_us(n, 10);
    right(message(n, 1), "EITR does not count microseconds");
    nic_stop(n);
}

static void test_eitr_spurious(void)
{
    Nic *n = throttled(1, 162);

    step_us(n, 5000);
    right(!message(n, 1), "a message without a cause when EITR expires");
    nic_stop(n);
}

static void test_eitr_reset(void)
{
    Nic *n = throttled(1, 1000);

    w32(n, A_EICS, 1 << 1);
    w32(n, A_CTRL, R_CTRL_RST_MASK);
    settle(n);
    right(!message(n, 1), "a reset sends the message that EITR holds back");
    nic_stop(n);
}

static void test_eiam_register(void)
{
    Nic *n = nic_running();

    w32(n, A_EIAM, 0x1f);
    right(r32(n, A_EIAM) == 0x1f, "EIAM does not read as written");
    nic_stop(n);
}

static void test_eiam_masks(void)
{
    Nic *n = nic_running();

    w32(n, A_GPIE, R_GPIE_MSIX_MODE_MASK | R_GPIE_EIAME_MASK);
    w32(n, A_EIAC, 0x3ff);
    w32(n, A_EIAM, 1 << 2);
    w32(n, A_EIMS, 1 << 2);
    w32(n, A_EICS, 1 << 2);
    g_assert_true(message(n, 2));
    right(!(r32(n, A_EIMS) & 1 << 2), "EIAM does not mask");
    nic_stop(n);
}

/* Without auto-clear the bit stays in EICR; a further cause is a further message. */
static void test_eicr_again(void)
{
    Nic *n = nic_running();

    w32(n, A_EIMS, 1 << 2);
    w32(n, A_EICS, 1 << 2);
    g_assert_true(message(n, 2));
    w32(n, A_EICS, 1 << 2);
    right(message(n, 2), "no message while the cause's bit is in EICR");
    nic_stop(n);
}

/*
 * Frames for queue 1 (by RSS), which has no descriptors, while queue 0 has: they are lost, and that
 * is to be seen.
 */
static Nic *overrun(uint32_t drop_en)
{
    Nic *n = nic_running();
    uint8_t frame[100];

    for (unsigned i = 0; i < 128; i += 4) {
        w32(n, A_RETA + i, 0x01010101);
    }
    w32(n, A_RXCSUM, r32(n, A_RXCSUM) | R_RXCSUM_PCSD_MASK);
    w32(n, A_MRQC, 2 | R_MRQC_UDP_IPV4_MASK | R_MRQC_IPV4_MASK);
    rx_ring(n, 1, 8);
    w32(n, A_SRRCTL + 0x40, r32(n, A_SRRCTL + 0x40) | drop_en);
    r32(n, A_TPR);
    for (unsigned i = 0; i < 3; i++) {
        wire_send(n, frame, make_udp4(frame, 20));
    }
    for (unsigned i = 0; i < 10; i++) { /* longer than anything waits, and all behind it has come */
        settle(n);
        step_us(n, 1000 * 1000);
    }
    wire_drained(n);
    g_assert_false(rx_pending(n, 0));
    g_assert_false(rx_pending(n, 1));
    return n;
}

/* Has the counter come to 3, or does it within two seconds? */
static bool counts_three(Nic *n, uint32_t reg)
{
    uint32_t sum = r32(n, reg);

    for (unsigned i = 0; i < 200 && sum < 3; i++) {
        g_usleep(10 * 1000);
        sum += r32(n, reg);
    }
    return sum == 3;
}

static void test_mpc(void)
{
    Nic *n = overrun(0);

    right(counts_three(n, A_MPC), "MPC does not count");
    nic_stop(n);
}

static void test_rnbc(void)
{
    Nic *n = overrun(0);

    right(counts_three(n, A_RNBC), "RNBC does not count");
    nic_stop(n);
}

static void test_rqdpc(void)
{
    Nic *n = overrun(R_SRRCTL_DROP_EN_MASK);

    right(counts_three(n, A_RQDPC + 0x40), "RQDPC does not count");
    nic_stop(n);
}

static void send_with(Nic *n, const uint8_t *packet, size_t len, uint32_t cmd, uint32_t olinfo)
{
    qtest_memwrite(n->qts, TX_BUF(0), packet, len);
    tx_desc(n, 0, TX_BUF(0), len | DATA | EOP | RS | cmd,
            olinfo | (uint32_t)len << R_TX_OL_PAYLEN_SHIFT);
    tx_doorbell(n, 0);
}

static void test_uso(void)
{
    Nic *n = nic_running();
    uint8_t packet[2048], in[2048];
    size_t len = make_udp4(packet, 1500);

    stw_be_p(packet + 24, 0);
    stw_be_p(packet + 40, ones_sum(packet + 26, 8, 17));
    tx_context(n, 0, LENGTHS(14, 20), IPV4 | L4(IGB_LITE_L4_UDP), 8 << 8 | 600u << 16);
    send_with(n, packet, len, R_TX_CMD_TSE_MASK, R_TX_OL_IXSM_MASK | R_TX_OL_TXSM_MASK);
    for (unsigned i = 0; i < 3; i++) {
        size_t part = i < 2 ? 600 : 300;

        len = wire_receive(n, in, sizeof(in));
        right(!(lduw_be_p(in + 20) & 0x3fff), "UDP segmentation makes IP fragments");
        g_assert_cmpuint(len, ==, 42 + part);
        g_assert_cmpuint(lduw_be_p(in + 38), ==, 8 + part);
    }
    nic_stop(n);
}

static void test_tso_flags(void)
{
    Nic *n = nic_running();
    uint8_t packet[2048], in[2048];
    size_t len = make_tcp4(packet, 1500);

    packet[47] = 0x19; /* ACK, PSH, FIN */
    stw_be_p(packet + 16, 0);
    stw_be_p(packet + 24, 0);
    stw_be_p(packet + 50, ones_sum(packet + 26, 8, 6));
    tx_context(n, 0, LENGTHS(14, 20), IPV4 | L4(IGB_LITE_L4_TCP), 20 << 8 | 1000u << 16);
    send_with(n, packet, len, R_TX_CMD_TSE_MASK, R_TX_OL_IXSM_MASK | R_TX_OL_TXSM_MASK);
    wire_receive(n, in, sizeof(in));
    g_assert_cmphex(in[47], ==, 0x10);
    wire_receive(n, in, sizeof(in));
    right(in[47] == 0x19, "the last segment has lost FIN and PSH");
    nic_stop(n);
}

static void test_tx_memory(void)
{
    Nic *n = nic_running();
    uint8_t frame[200], in[200], after[200];
    size_t len = make_udp4(frame, 101);

    stw_be_p(frame + 24, 0);
    stw_be_p(frame + 40, ones_sum(frame + 26, 8, 17 + len - 34));
    tx_context(n, 0, LENGTHS(14, 20), IPV4 | L4(IGB_LITE_L4_UDP), 0);
    send_with(n, frame, len, 0, R_TX_OL_IXSM_MASK | R_TX_OL_TXSM_MASK);
    g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, len);
    g_assert_cmphex(l4_sum4(in), ==, 0xffff);
    qtest_memread(n->qts, TX_BUF(0), after, len);
    right(!memcmp(after, frame, len), "sending has written to the packet in guest memory");
    nic_stop(n);
}

/* The context says where layer 4 is: here behind two IPv4 headers. */
static void test_context_offsets(void)
{
    Nic *n = nic_running();
    uint8_t inner[200], frame[200], in[200];
    size_t len = make_udp4(inner, 50);

    make_ip4(frame, 4, inner + 14, len - 14);
    len += 20;
    stw_be_p(frame + 60, ones_sum(frame + 46, 8, 17 + len - 54));
    tx_context(n, 0, LENGTHS(14, 40), IPV4 | L4(IGB_LITE_L4_UDP), 0);
    send_with(n, frame, len, 0, R_TX_OL_TXSM_MASK);
    g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, len);
    right(ones_sum(in + 54, len - 54, ones_sum(in + 46, 8, 17 + len - 54)) == 0xffff,
          "MACLEN and IPLEN are not where the checksum goes");
    nic_stop(n);
}

static void test_narrow(void)
{
    Nic *n = nic_running();

    w32(n, A_RCTL, 0x04008022);
    qtest_writeb(n->qts, n->bar + A_RCTL + 1, 0);
    right(r32(n, A_RCTL) == 0x04008022, "a byte that is written changes the whole register");
    nic_stop(n);
}

/* The machine is stopped, so that nothing goes on after the access. */
static void test_doorbell(void)
{
    Nic *n = nic_running();
    uint8_t frame[64];

    tx_ring(n, 0, 1024);
    qtest_memwrite(n->qts, TX_BUF(0), frame, make_frame(frame, 64, 0));
    for (unsigned i = 0; i < 1000; i++) {
        tx_desc(n, 0, TX_BUF(0), 64 | EOP | DATA, 0);
    }
    qtest_qmp_assert_success(n->qts, "{'execute': 'stop'}");
    tx_doorbell(n, 0);
    right(r32(n, A_TDH) < 1000, "one access does all the work that a ring has");
    qtest_qmp_assert_success(n->qts, "{'execute': 'cont'}");
    wait_reg(n, A_TDH, 0xffff, 1000);
    nic_stop(n);
}

/* A frame that fills its buffer, and then its FCS: no descriptor says length 0. */
static void test_length_zero(void)
{
    Nic *n = nic_running();
    uint8_t frame[1024];

    w32(n, A_RCTL, r32(n, A_RCTL) & ~R_RCTL_SECRC_MASK);
    w32(n, A_SRRCTL, 1 << R_SRRCTL_DESCTYPE_SHIFT | 1);
    wire_send(n, frame, make_frame(frame, 1024, 1));
    rx_wait(n, 0, &r);
    right(r.status >> 32 & 0xffff, "a descriptor of length 0");
    g_assert_cmpuint(r.len, ==, 1028);
    nic_stop(n);
}

/* The line of the log that has a DMA to addr by this name; ends the test if there is none. */
static unsigned log_line(char **lines, const char *name, uint64_t addr)
{
    g_autofree char *start = g_strdup_printf("%s 0x%" PRIx64, name, addr);

    for (unsigned i = 0; lines[i]; i++) {
        if (strstr(lines[i], start)) {
            return i;
        }
    }
    g_error("no %s", start);
}

/* Payload, then types and hash, then status and length as one 64-bit store; in this order. */
static void test_one_store(void)
{
    g_autofree char *path = g_strdup_printf("/tmp/igb-lite-stores-%d", getpid());
    g_autofree char *args = g_strdup_printf("-trace 'igb_lite_dma_*' -D %s", path);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    Nic *n = nic_start_args(args);
    uint8_t frame[100];
    unsigned payload, info, status;

    nic_enable(n);
    rx_ring(n, 0, 8);
    rx_post(n, 0, 7);
    wire_send(n, frame, make_udp4(frame, 58));
    rx_wait(n, 0, &r);
    nic_stop(n);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    unlink(path);
    lines = g_strsplit(text, "\n", -1);
    payload = log_line(lines, "igb_lite_dma_write", RX_BUF(0));
    info = log_line(lines, "igb_lite_dma_write", RX_RING(0));
    status = log_line(lines, "igb_lite_dma_publish", RX_RING(0) + 8);
    right(payload < info && info < status, "the status is not the last that is stored");
}

void igb_lite_add_beside_tests(void)
{
    qtest_add_func("igb-lite/beside/one-store", test_one_store);
    qtest_add_func("igb-lite/beside/eitr-unit", test_eitr_unit);
    qtest_add_func("igb-lite/beside/eitr-spurious", test_eitr_spurious);
    qtest_add_func("igb-lite/beside/eitr-reset", test_eitr_reset);
    qtest_add_func("igb-lite/beside/eiam-register", test_eiam_register);
    qtest_add_func("igb-lite/beside/eiam-masks", test_eiam_masks);
    qtest_add_func("igb-lite/beside/eicr-again", test_eicr_again);
    qtest_add_func("igb-lite/beside/mpc", test_mpc);
    qtest_add_func("igb-lite/beside/rnbc", test_rnbc);
    qtest_add_func("igb-lite/beside/rqdpc", test_rqdpc);
    qtest_add_func("igb-lite/beside/udp-segmentation", test_uso);
    qtest_add_func("igb-lite/beside/tso-flags", test_tso_flags);
    qtest_add_func("igb-lite/beside/tx-memory", test_tx_memory);
    qtest_add_func("igb-lite/beside/context-offsets", test_context_offsets);
    qtest_add_func("igb-lite/beside/narrow-access", test_narrow);
    qtest_add_func("igb-lite/beside/doorbell", test_doorbell);
    qtest_add_func("igb-lite/beside/length-zero", test_length_zero);
}

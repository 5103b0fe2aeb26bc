/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: the transmit rings.
 */
#include "igb-lite.h"

#define DATA (R_TX_CMD_DEXT_MASK | IGB_LITE_TX_DATA << R_TX_CMD_TYPE_SHIFT)
#define EOP R_TX_CMD_EOP_MASK
#define RS R_TX_CMD_RS_MASK

static void expect(Nic *n, const uint8_t *frame, size_t len)
{
    uint8_t in[16384];

    g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, len);
    g_assert_cmpmem(in, len, frame, len);
}

static void test_one(void)
{
    Nic *n = nic_running();
    uint8_t frame[1514];

    tx_frame(n, 0, 0, frame, make_frame(frame, 1514, 3));
    g_assert_false(tx_done(n, 0, 0));
    tx_doorbell(n, 0);
    expect(n, frame, 1514);
    g_assert_true(tx_done(n, 0, 0));
    g_assert_cmpuint(r32(n, A_TDH), ==, 1);
    nic_stop(n);
}

static void test_no_rs(void)
{
    Nic *n = nic_running();
    uint8_t frame[64];

    qtest_memwrite(n->qts, TX_BUF(0), frame, make_frame(frame, 64, 3));
    tx_desc(n, 0, TX_BUF(0), 64 | EOP | DATA, 0);
    tx_doorbell(n, 0);
    expect(n, frame, 64);
    g_assert_false(tx_done(n, 0, 0));
    g_assert_cmpuint(r32(n, A_TDH), ==, 1);
    nic_stop(n);
}

static void test_wrap(void)
{
    Nic *n = nic_running();
    uint8_t frame[100];

    tx_ring(n, 0, 24); /* no power of two */
    for (unsigned i = 0; i < 80; i++) {
        tx_frame(n, 0, i % 24, frame, make_frame(frame, 60 + i % 40, i));
        tx_doorbell(n, 0);
        expect(n, frame, 60 + i % 40);
        g_assert_true(tx_done(n, 0, i % 24));
        g_assert_cmpuint(r32(n, A_TDH), ==, (i + 1) % 24);
    }
    nic_stop(n);
}

/* All a ring can hold at one doorbell, from a place where it wraps. */
static void test_full(void)
{
    Nic *n = nic_running();
    uint8_t frame[23][80];

    tx_ring(n, 0, 24);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 23; i++) {
            tx_frame(n, 0, i, frame[i], make_frame(frame[i], 80, round * 32 + i));
        }
        tx_doorbell(n, 0);
        for (unsigned i = 0; i < 23; i++) {
            expect(n, frame[i], 80);
        }
        g_assert_cmpuint(r32(n, A_TDH), ==, n->tx_tail[0]);
    }
    nic_stop(n);
}

/* Fragments of every kind make one frame: 1 byte, none, many, odd. */
static void test_fragments(void)
{
    static const unsigned sizes[] = {1, 13, 0, 500, 1, 99, 300, 600};
    Nic *n = nic_running();
    uint8_t frame[1514];
    unsigned at = 0;

    make_frame(frame, 1514, 9);
    qtest_memwrite(n->qts, TX_BUF(0) + 3, frame, 1514);
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        bool last = i == G_N_ELEMENTS(sizes) - 1;

        tx_desc(n, 0, TX_BUF(0) + 3 + at, sizes[i] | DATA | (last ? EOP | RS : i == 3 ? RS : 0), 0);
        at += sizes[i];
    }
    g_assert_cmpuint(at, ==, 1514);
    tx_doorbell(n, 0);
    expect(n, frame, 1514);
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_assert_cmpint(tx_done(n, 0, i), ==, i == 3 || i == 7);
    }
    nic_stop(n);
}

/* More fragments than a small table would hold, over the end of the ring. */
static void test_many_fragments(void)
{
    Nic *n = nic_running();
    uint8_t frame[600];

    tx_ring(n, 0, 256);
    for (unsigned round = 0; round < 2; round++) {
        make_frame(frame, 600, round);
        qtest_memwrite(n->qts, TX_BUF(0), frame, 600);
        for (unsigned i = 0; i < 200; i++) {
            tx_desc(n, 0, TX_BUF(0) + i * 3, 3 | DATA | (i == 199 ? EOP | RS : 0), 0);
        }
        tx_doorbell(n, 0);
        expect(n, frame, 600);
    }
    nic_stop(n);
}

/* A packet without an end waits, the head before it; its end sends it. */
static void test_incomplete(void)
{
    Nic *n = nic_running();
    uint8_t frame[200];

    qtest_memwrite(n->qts, TX_BUF(0), frame, make_frame(frame, 200, 5));
    tx_desc(n, 0, TX_BUF(0), 100 | DATA | RS, 0);
    tx_doorbell(n, 0);
    wire_quiet(n);
    g_assert_cmpuint(r32(n, A_TDH), ==, 0);
    g_assert_false(tx_done(n, 0, 0));
    tx_desc(n, 0, TX_BUF(0) + 100, 100 | DATA | EOP | RS, 0);
    tx_doorbell(n, 0);
    expect(n, frame, 200);
    g_assert_true(tx_done(n, 0, 0) && tx_done(n, 0, 1));
    nic_stop(n);
}

/* A ring full of one endless packet is dropped and given back; the next packet goes out. */
static void test_endless(void)
{
    Nic *n = nic_running();
    uint8_t frame[64];

    tx_ring(n, 0, 8);
    for (unsigned i = 0; i < 7; i++) {
        tx_desc(n, 0, TX_BUF(0), 100 | DATA | RS, 0);
    }
    tx_doorbell(n, 0);
    wire_quiet(n);
    g_assert_cmpuint(r32(n, A_TDH), ==, 7);
    g_assert_true(tx_done(n, 0, 0) && tx_done(n, 0, 6));
    g_assert_cmpuint(guest_errors(n), ==, 1);
    tx_frame(n, 0, 0, frame, make_frame(frame, 64, 5));
    tx_doorbell(n, 0);
    expect(n, frame, 64);
    nic_stop(n);
}

static void test_empty(void)
{
    Nic *n = nic_running();

    w32(n, A_TDT, 0);
    wire_quiet(n);
    g_assert_cmpuint(r32(n, A_TDH), ==, 0);
    g_assert_cmpuint(r32(n, A_TPT), ==, 0);
    g_assert_cmpuint(guest_errors(n), ==, 0);
    nic_stop(n);
}

static void test_tail_beyond(void)
{
    Nic *n = nic_running();
    uint8_t frame[64];

    tx_frame(n, 0, 0, frame, make_frame(frame, 64, 5));
    w32(n, A_TDT, 64);
    wire_quiet(n);
    g_assert_cmpuint(r32(n, A_TDH), ==, 0);
    g_assert_cmpuint(guest_errors(n), ==, 1);
    w32(n, A_TDT, 0xffff);
    wire_quiet(n);
    g_assert_cmpuint(guest_errors(n), ==, 2);
    tx_doorbell(n, 0);
    expect(n, frame, 64);
    nic_stop(n);
}

/* Descriptors wait while the queue or the transmitter is off. */
static void test_enable(void)
{
    Nic *n = nic_running();
    uint8_t frame[64];

    make_frame(frame, 64, 5);
    w32(n, A_TCTL, r32(n, A_TCTL) & ~R_TCTL_EN_MASK);
    tx_frame(n, 0, 0, frame, 64);
    tx_doorbell(n, 0);
    wire_quiet(n);
    w32(n, A_TCTL, r32(n, A_TCTL) | R_TCTL_EN_MASK);
    expect(n, frame, 64);
    w32(n, A_TXDCTL, 0);
    tx_frame(n, 0, 0, frame, 64);
    tx_doorbell(n, 0);
    wire_quiet(n);
    w32(n, A_TXDCTL, R_TXDCTL_ENABLE_MASK);
    expect(n, frame, 64);
    nic_stop(n);
}

static void test_head_write_back(void)
{
    Nic *n = nic_running();
    uint8_t frame[64];

    w32(n, A_TDWBAL, TX_BUF(9) | 1);
    qtest_writel(n->qts, TX_BUF(9), 0xeeeeeeee);
    tx_frame(n, 0, 0, frame, make_frame(frame, 64, 5));
    tx_doorbell(n, 0);
    expect(n, frame, 64);
    g_assert_cmphex(qtest_readl(n->qts, TX_BUF(9)), ==, 1);
    g_assert_false(tx_done(n, 0, 0));
    nic_stop(n);
}

static void test_short(void)
{
    Nic *n = nic_running();
    uint8_t frame[60] = {};

    tx_frame(n, 0, 0, frame, make_frame(frame, 20, 5));
    tx_doorbell(n, 0);
    expect(n, frame, 60);
    tx_frame(n, 0, 0, frame, 13);
    tx_doorbell(n, 0);
    wire_quiet(n);
    g_assert_cmpuint(guest_errors(n), ==, 1);
    g_assert_true(tx_done(n, 0, 1));
    nic_stop(n);
}

static void test_legacy(void)
{
    Nic *n = nic_running();
    uint8_t frame[64];

    qtest_memwrite(n->qts, TX_BUF(0), frame, make_frame(frame, 64, 3));
    tx_desc(n, 0, TX_BUF(0), 64 | EOP | RS, 0);
    tx_doorbell(n, 0);
    expect(n, frame, 64);
    g_assert_true(tx_done(n, 0, 0));
    nic_stop(n);
}

/*
 * More than one access handles: the rest follows on its own, in order, other queues are not
 * starved.
 */
static void test_long_doorbell(void)
{
    Nic *n = nic_running();
    uint8_t frame[64], in[64];
    unsigned seen = 0;

    tx_ring(n, 0, 1024);
    tx_ring(n, 1, 64);
    make_frame(frame, 64, 0);
    for (unsigned i = 0; i < 1000; i++) {
        stw_be_p(frame + 20, i);
        qtest_memwrite(n->qts, TX_BUF(0) + i * 64, frame, 64);
        tx_desc(n, 0, TX_BUF(0) + i * 64, 64 | EOP | DATA | (i == 999 ? RS : 0), 0);
    }
    tx_doorbell(n, 0);
    g_assert_cmpuint(r32(n, A_TDH), >, 0);
    while (seen < 1000) {
        g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 64);
        g_assert_cmpuint(lduw_be_p(in + 20), ==, seen);
        seen++;
    }
    wait_reg(n, A_TDH, 0xffff, 1000);
    nic_stop(n);
}

static void test_queues(void)
{
    Nic *n = nic_running();
    uint8_t frame[64];

    for (unsigned q = 0; q < 16; q++) {
        tx_ring(n, q, 8);
    }
    for (unsigned q = 0; q < 16; q++) {
        tx_frame(n, q, q, frame, make_frame(frame, 64, q));
        tx_doorbell(n, q);
        expect(n, frame, 64);
        g_assert_true(tx_done(n, q, 0));
    }
    nic_stop(n);
}

static void test_loopback(void)
{
    Nic *n = nic_running();
    uint8_t frame[256];
    static Received r;

    phy_write(n, 0, 0x4140);
    tx_frame(n, 0, 0, frame, make_frame(frame, 256, 5));
    tx_doorbell(n, 0);
    rx_wait(n, 0, &r);
    g_assert_cmpmem(r.data, r.len, frame, 256);
    g_assert_true(r.status & R_RX_STATUS_LB_MASK);
    wire_quiet(n);
    nic_stop(n);
}

static void test_no_link(void)
{
    Nic *n = nic_running();
    uint8_t frame[64];

    phy_write(n, 0, 0x1940);
    tx_frame(n, 0, 0, frame, make_frame(frame, 64, 5));
    tx_doorbell(n, 0);
    g_assert_true(tx_done(n, 0, 0));
    g_assert_cmpuint(r32(n, A_TPT), ==, 0);
    wire_quiet(n);
    nic_stop(n);
}

void igb_lite_add_tx_tests(void)
{
    qtest_add_func("igb-lite/tx/one", test_one);
    qtest_add_func("igb-lite/tx/no-rs", test_no_rs);
    qtest_add_func("igb-lite/tx/wrap", test_wrap);
    qtest_add_func("igb-lite/tx/full", test_full);
    qtest_add_func("igb-lite/tx/fragments", test_fragments);
    qtest_add_func("igb-lite/tx/many-fragments", test_many_fragments);
    qtest_add_func("igb-lite/tx/incomplete", test_incomplete);
    qtest_add_func("igb-lite/tx/endless", test_endless);
    qtest_add_func("igb-lite/tx/empty", test_empty);
    qtest_add_func("igb-lite/tx/tail-beyond", test_tail_beyond);
    qtest_add_func("igb-lite/tx/enable", test_enable);
    qtest_add_func("igb-lite/tx/head-write-back", test_head_write_back);
    qtest_add_func("igb-lite/tx/short", test_short);
    qtest_add_func("igb-lite/tx/legacy", test_legacy);
    qtest_add_func("igb-lite/tx/long-doorbell", test_long_doorbell);
    qtest_add_func("igb-lite/tx/queues", test_queues);
    qtest_add_func("igb-lite/tx/loopback", test_loopback);
    qtest_add_func("igb-lite/tx/no-link", test_no_link);
}

/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: the receive rings.
 */
#include "igb-lite.h"
#include <zlib.h>

static Received r;

static void test_one(void)
{
    Nic *n = nic_running();
    uint8_t frame[1514];

    wire_send(n, frame, make_frame(frame, 1514, 3));
    rx_wait(n, 0, &r);
    g_assert_cmpmem(r.data, r.len, frame, 1514);
    g_assert_cmpuint(r.descs, ==, 1);
    g_assert_cmphex(r.info, ==, 0);
    g_assert_cmphex(r.status & 0xffffffff, ==, R_RX_STATUS_DD_MASK | R_RX_STATUS_EOP_MASK);
    g_assert_cmpuint(r32(n, A_RDH), ==, 1);
    nic_stop(n);
}

static void test_wrap(void)
{
    Nic *n = nic_running();
    uint8_t frame[100];

    rx_ring(n, 0, 24); /* no power of two */
    rx_post(n, 0, 23);
    for (unsigned i = 0; i < 80; i++) {
        wire_send(n, frame, make_frame(frame, 60 + i % 40, i));
        rx_wait(n, 0, &r);
        g_assert_cmpmem(r.data, r.len, frame, 60 + i % 40);
        g_assert_cmpuint(r32(n, A_RDH), ==, (i + 1) % 24);
        rx_post(n, 0, 1);
    }
    nic_stop(n);
}

/* A NIC as nic_running makes it, on which no frame waits for descriptors. */
static Nic *nic_impatient(void)
{
    Nic *n = nic_start_args("-global igb-lite.rx-wait-ms=0");

    nic_enable(n);
    rx_ring(n, 0, 64);
    rx_post(n, 0, 63);
    tx_ring(n, 0, 64);
    return n;
}

/* Of 20 frames into 7 descriptors, 13 are lost, in that order, and counted once. */
static void test_full(void)
{
    Nic *n = nic_impatient();
    uint8_t frame[60];

    rx_ring(n, 0, 24);
    rx_post(n, 0, 20);
    for (unsigned i = 0; i < 20; i++) { /* so that what is posted next goes over the end */
        wire_send_seen(n, frame, make_frame(frame, 60, i));
        rx_wait(n, 0, &r);
    }
    r32(n, A_GPRC);
    rx_post(n, 0, 7);
    for (unsigned i = 0; i < 20; i++) {
        wire_send(n, frame, make_frame(frame, 60, i));
    }
    wait_count(n, A_TPR, 20);
    g_assert_cmpuint(r32(n, A_MPC), ==, 13);
    g_assert_cmpuint(r32(n, A_MPC), ==, 0);
    g_assert_cmpuint(r32(n, A_RNBC), ==, 13);
    g_assert_cmpuint(r32(n, A_RQDPC), ==, 0);
    g_assert_cmpuint(r32(n, A_GPRC), ==, 7);
    for (unsigned i = 0; i < 7; i++) {
        rx_wait(n, 0, &r);
        make_frame(frame, 60, i);
        g_assert_cmpmem(r.data, r.len, frame, 60);
    }
    rx_post(n, 0, 7);
    wire_send(n, frame, make_frame(frame, 60, 99));
    rx_wait(n, 0, &r);
    g_assert_cmpmem(r.data, r.len, frame, 60);
    nic_stop(n);
}

/* With SRRCTL.DROP_EN the queue counts, not the port. */
static void test_full_drop_en(void)
{
    Nic *n = nic_running();
    uint8_t frame[60];

    rx_ring(n, 0, 8);
    w32(n, A_SRRCTL, r32(n, A_SRRCTL) | R_SRRCTL_DROP_EN_MASK);
    rx_post(n, 0, 3);
    for (unsigned i = 0; i < 10; i++) {
        wire_send(n, frame, make_frame(frame, 60, i));
    }
    wait_count(n, A_TPR, 10);
    g_assert_cmpuint(r32(n, A_RQDPC), ==, 7);
    g_assert_cmpuint(r32(n, A_RQDPC), ==, 0);
    g_assert_cmpuint(r32(n, A_MPC), ==, 0);
    nic_stop(n);
}

static void test_empty(void)
{
    Nic *n = nic_impatient();
    uint8_t frame[60];

    rx_ring(n, 0, 8);
    wire_send_seen(n, frame, make_frame(frame, 60, 1));
    g_assert_cmpuint(r32(n, A_MPC), ==, 1);
    g_assert_cmpuint(r32(n, A_RDH), ==, 0);
    g_assert_cmpuint(guest_errors(n), ==, 0);
    nic_stop(n);
}

/* Frames over several buffers, also of exactly their size. */
static void test_multi_descriptor(void)
{
    static const size_t sizes[] = {1024, 1025, 2048, 2049, 3072, 9000, 9216, 60};
    Nic *n = nic_running();
    g_autofree uint8_t *frame = g_malloc(16384);

    w32(n, A_SRRCTL, 1 << R_SRRCTL_DESCTYPE_SHIFT | 1);
    w32(n, A_RLPML, 0x3fff);
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        wire_send(n, frame, make_frame(frame, sizes[i], i));
        rx_wait(n, 0, &r);
        g_assert_cmpuint(r.descs, ==, (sizes[i] + 1023) / 1024);
        g_assert_cmpmem(r.data, r.len, frame, sizes[i]);
        rx_post(n, 0, r.descs);
    }
    g_assert_cmpuint(r32(n, A_MPC), ==, 0);
    nic_stop(n);
}

/* A frame that needs more descriptors than are left takes none of them. */
static void test_multi_full(void)
{
    Nic *n = nic_impatient();
    uint8_t frame[4096];

    rx_ring(n, 0, 24);
    w32(n, A_SRRCTL, 1 << R_SRRCTL_DESCTYPE_SHIFT | 1);
    rx_post(n, 0, 22);
    for (unsigned i = 0; i < 22; i++) { /* so that what is posted next goes over the end */
        wire_send_seen(n, frame, make_frame(frame, 60, i));
        rx_wait(n, 0, &r);
    }
    rx_post(n, 0, 3);
    wire_send_seen(n, frame, make_frame(frame, 3073, 1));
    g_assert_cmpuint(r32(n, A_MPC), ==, 1);
    g_assert_cmpuint(r32(n, A_RDH), ==, 22);
    g_assert_cmpuint(guest_errors(n), ==, 0); /* nothing but what was posted was read */
    g_assert_false(rx_pending(n, 0));
    wire_send(n, frame, make_frame(frame, 3072, 2));
    rx_wait(n, 0, &r);
    g_assert_cmpmem(r.data, r.len, frame, 3072);
    nic_stop(n);
}

static void test_bad_tail(void)
{
    Nic *n = nic_running();
    uint8_t frame[60];

    make_frame(frame, 60, 1);
    w32(n, A_RDT, 64);
    g_assert_cmpuint(guest_errors(n), ==, 1);
    wire_send_seen(n, frame, 60);
    g_assert_cmpuint(r32(n, A_MPC), ==, 1);
    w32(n, A_RDH, 0xffff);
    wire_send_seen(n, frame, 60);
    g_assert_cmpuint(r32(n, A_MPC), ==, 1);
    g_assert_cmpuint(guest_errors(n), >=, 3);
    w32(n, A_RDH, 0);
    w32(n, A_RDT, 63);
    wire_send(n, frame, 60);
    rx_wait(n, 0, &r);
    nic_stop(n);
}

/* A null buffer is passed over, its descriptor only gets DD; the frame is in those around it. */
static void test_null_buffer(void)
{
    Nic *n = nic_running();
    uint8_t frame[1500];
    uint64_t first, second;

    rx_ring(n, 0, 8);
    w32(n, A_SRRCTL, 1 << R_SRRCTL_DESCTYPE_SHIFT | 1);
    rx_post(n, 0, 7);
    qtest_writeq(n->qts, RX_RING(0) + 16, 0);
    qtest_writeq(n->qts, RX_RING(0) + 24, 0x123400009abcdef0);
    wire_send(n, frame, make_frame(frame, 1500, 1));
    rx_wait(n, 0, &r);
    first = qtest_readq(n->qts, RX_RING(0) + 16);
    second = qtest_readq(n->qts, RX_RING(0) + 24);
    g_assert_cmpuint(r.descs, ==, 3);
    g_assert_cmpuint(r.len, ==, 1500);
    g_assert_cmphex(first, ==, 0);
    g_assert_cmphex(second, ==, 0x123400009abcdef0 | R_RX_STATUS_DD_MASK);
    g_assert_cmpmem(r.data, 1024, frame, 1024);
    g_assert_cmpmem(r.data + 1024, 476, frame + 1024, 476);
    g_assert_cmpuint(guest_errors(n), ==, 1);
    nic_stop(n);
}

static void check_longest(Nic *n, size_t longest, bool tagged)
{
    uint8_t frame[4096];

    for (size_t len = longest; len <= longest + 1; len++) {
        make_frame(frame, len, 1);
        if (tagged) {
            stw_be_p(frame + 12, 0x8100);
        }
        wire_send_seen(n, frame, len);
        g_assert_cmpuint(r32(n, A_ROC), ==, len > longest);
        g_assert_cmpint(rx_pending(n, 0), ==, len == longest);
        if (len == longest) {
            rx_wait(n, 0, &r);
        }
    }
}

static void test_length_limits(void)
{
    Nic *n = nic_running();
    uint32_t rctl = r32(n, A_RCTL);
    uint8_t frame[1600];

    w32(n, A_RLPML, 1518 + 100);
    check_longest(n, 1514 + 100, false);
    w32(n, A_RCTL, rctl & ~R_RCTL_LPE_MASK);
    check_longest(n, 1514, false);
    check_longest(n, 1518, true);
    w32(n, A_RCTL, r32(n, A_RCTL) | R_RCTL_SBP_MASK); /* "bad" packets too */
    r32(n, A_ROC);
    wire_send_seen(n, frame, make_frame(frame, 1600, 1));
    g_assert_cmpuint(r32(n, A_ROC), ==, 0);
    rx_wait(n, 0, &r);
    g_assert_cmpuint(r.len, ==, 1600);
    nic_stop(n);
}

/*
 * Without RCTL.SECRC the FCS is stored too, also when it alone falls into another buffer; no length
 * is ever 0.
 */
static void test_fcs(void)
{
    static const size_t sizes[] = {60, 1020, 1022, 1024, 1025};
    Nic *n = nic_running();
    uint8_t frame[2048];

    w32(n, A_RCTL, r32(n, A_RCTL) & ~R_RCTL_SECRC_MASK);
    w32(n, A_SRRCTL, 1 << R_SRRCTL_DESCTYPE_SHIFT | 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        wire_send(n, frame, make_frame(frame, sizes[i], i));
        stl_le_p(frame + sizes[i], crc32(0, frame, sizes[i]));
        rx_wait(n, 0, &r);
        g_assert_cmpmem(r.data, r.len, frame, sizes[i] + 4);
        g_assert_cmpuint(r.descs, ==, (sizes[i] + 4 + 1023) / 1024);
        g_assert_cmpuint(r.status >> 32 & 0xffff, >, 0);
    }
    nic_stop(n);
}

/* While reception is off, frames are gone without a trace, as with no link. */
static void test_off(void)
{
    Nic *n = nic_running();
    uint8_t frame[60];

    make_frame(frame, 60, 1);
    w32(n, A_RCTL, r32(n, A_RCTL) & ~R_RCTL_EN_MASK);
    wire_send(n, frame, 60);
    wire_drained(n);
    w32(n, A_RCTL, r32(n, A_RCTL) | R_RCTL_EN_MASK);
    w32(n, A_RXDCTL, 0);
    wire_send(n, frame, 60);
    wire_drained(n);
    w32(n, A_RXDCTL, R_RXDCTL_ENABLE_MASK);
    phy_write(n, 0, 0x1940);
    wire_send(n, frame, 60);
    wire_drained(n);
    phy_write(n, 0, 0x1140);
    link_up(n);
    g_assert_false(rx_pending(n, 0));
    g_assert_cmpuint(r32(n, A_TPR), ==, 0);
    g_assert_cmpuint(r32(n, A_MPC), ==, 0);
    wire_send(n, frame, make_frame(frame, 60, 7));
    rx_wait(n, 0, &r);
    g_assert_cmpmem(r.data, r.len, frame, 60);
    nic_stop(n);
}

static void test_short(void)
{
    Nic *n = nic_running();
    uint8_t frame[60] = {};

    wire_send(n, frame, make_frame(frame, 20, 1));
    rx_wait(n, 0, &r);
    g_assert_cmpmem(r.data, r.len, frame, 60);
    nic_stop(n);
}

/* SRRCTL size 0: the size in RCTL. */
static void test_rctl_size(void)
{
    Nic *n = nic_running();
    uint8_t frame[1000];

    w32(n, A_SRRCTL, 1 << R_SRRCTL_DESCTYPE_SHIFT);
    w32(n, A_RCTL, r32(n, A_RCTL) | 3 << R_RCTL_BSIZE_SHIFT);
    wire_send(n, frame, make_frame(frame, 1000, 1));
    rx_wait(n, 0, &r);
    g_assert_cmpuint(r.descs, ==, 4);
    g_assert_cmpmem(r.data, r.len, frame, 1000);
    nic_stop(n);
}

/* Payload and types are in place before the 64-bit status: what was posted beyond it stays. */
static void test_write_back(void)
{
    Nic *n = nic_running();
    uint8_t frame[100];

    wire_send(n, frame, make_udp4(frame, 58));
    rx_wait(n, 0, &r);
    g_assert_cmphex(r.info, ==, (IGB_LITE_PT_IPV4 | IGB_LITE_PT_UDP) << 4);
    g_assert_cmphex(r.hash, ==, 0x1234); /* RXCSUM.PCSD is 0: the IP identification */
    g_assert_cmphex(qtest_readq(n->qts, RX_RING(0) + 16), ==, RX_BUF(1));
    g_assert_cmphex(qtest_readq(n->qts, RX_RING(0) + 24), ==, 0);
    nic_stop(n);
}

/* A reset in the middle of traffic leaves nothing behind; the rings work again. */
static void test_reset_in_traffic(void)
{
    Nic *n = nic_running();
    uint8_t frame[100];

    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 30; i++) {
            wire_send(n, frame, make_frame(frame, 100, i));
        }
        w32(n, A_CTRL, R_CTRL_RST_MASK);
        g_assert_cmpuint(r32(n, A_RDH), ==, 0);
        g_assert_cmphex(r32(n, A_RCTL), ==, 0);
        wire_drained(n);
        nic_enable(n);
        rx_ring(n, 0, 8);
        rx_post(n, 0, 7);
        wire_send(n, frame, make_frame(frame, 100, 77));
        rx_wait(n, 0, &r);
        g_assert_cmpmem(r.data, r.len, frame, 100);
    }
    nic_stop(n);
}

void igb_lite_add_rx_tests(void)
{
    qtest_add_func("igb-lite/rx/one", test_one);
    qtest_add_func("igb-lite/rx/wrap", test_wrap);
    qtest_add_func("igb-lite/rx/full", test_full);
    qtest_add_func("igb-lite/rx/full-drop-en", test_full_drop_en);
    qtest_add_func("igb-lite/rx/empty", test_empty);
    qtest_add_func("igb-lite/rx/multi-descriptor", test_multi_descriptor);
    qtest_add_func("igb-lite/rx/multi-full", test_multi_full);
    qtest_add_func("igb-lite/rx/bad-tail", test_bad_tail);
    qtest_add_func("igb-lite/rx/null-buffer", test_null_buffer);
    qtest_add_func("igb-lite/rx/length-limits", test_length_limits);
    qtest_add_func("igb-lite/rx/fcs", test_fcs);
    qtest_add_func("igb-lite/rx/off", test_off);
    qtest_add_func("igb-lite/rx/short", test_short);
    qtest_add_func("igb-lite/rx/rctl-size", test_rctl_size);
    qtest_add_func("igb-lite/rx/write-back", test_write_back);
    qtest_add_func("igb-lite/reset/in-traffic", test_reset_in_traffic);
}

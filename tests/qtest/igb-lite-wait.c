/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: frames that wait for descriptors, and what ends their waiting.
 */
#include "igb-lite.h"

#define FRAMES 20
#define POSTED 7

static Received r;

/* FRAMES frames on their way to a ring with room for POSTED: the rest waits. */
static Nic *nic_waiting(void)
{
    Nic *n = nic_running();
    uint8_t frame[60];

    rx_ring(n, 0, 64);
    rx_post(n, 0, POSTED);
    for (unsigned i = 0; i < FRAMES; i++) {
        wire_send(n, frame, make_frame(frame, 60, i));
    }
    for (unsigned i = 0; i < POSTED; i++) {
        rx_wait(n, 0, &r);
        make_frame(frame, 60, i);
        g_assert_cmpmem(r.data, r.len, frame, 60);
    }
    settle(n);
    g_assert_cmpuint(r32(n, A_RNBC), ==, 1);
    g_assert_cmpuint(r32(n, A_MPC), ==, 0);
    g_assert_cmpuint(r32(n, A_TPR), ==, POSTED);
    return n;
}

/* A guest that is slow, but not too slow, loses nothing, whatever it takes to get there. */
static void test_slow_guest(void)
{
    Nic *n = nic_waiting();
    uint8_t frame[60];

    for (unsigned i = POSTED; i < FRAMES; i++) {
        qtest_clock_step(n->qts, 150 * 1000 * 1000); /* less than rx-wait-ms each time */
        rx_post(n, 0, 1);
        rx_wait(n, 0, &r);
        make_frame(frame, 60, i);
        g_assert_cmpmem(r.data, r.len, frame, 60);
    }
    settle(n);
    g_assert_cmpuint(r32(n, A_MPC), ==, 0);
    g_assert_cmpuint(r32(n, A_RNBC), ==, FRAMES - POSTED - 1); /* each but the first waited anew */
    g_assert_cmpuint(r32(n, A_GPRC), ==, FRAMES);
    nic_stop(n);
}

/* A frame of several descriptors waits until there are enough, and is counted once. */
static void test_jumbo_waits(void)
{
    Nic *n = nic_running();
    uint8_t frame[4096];

    rx_ring(n, 0, 64);
    w32(n, A_SRRCTL, 1 << R_SRRCTL_DESCTYPE_SHIFT | 1);
    rx_post(n, 0, 2);
    wire_send(n, frame, make_frame(frame, 4000, 1));
    wire_drained(n);
    rx_post(n, 0, 1);
    settle(n);
    g_assert_false(rx_pending(n, 0));
    rx_post(n, 0, 1);
    rx_wait(n, 0, &r);
    g_assert_cmpuint(r.descs, ==, 4);
    g_assert_cmpmem(r.data, r.len, frame, 4000);
    g_assert_cmpuint(r32(n, A_RNBC), ==, 1);
    nic_stop(n);
}

/* A guest that does nothing for rx-wait-ms loses what does not fit, until it moves the tail. */
static void test_stuck_guest(void)
{
    Nic *n = nic_waiting();
    uint8_t frame[60];

    r32(n, A_ICR);
    qtest_clock_step(n->qts, 250 * 1000 * 1000);
    wait_count(n, A_MPC, FRAMES - POSTED);
    g_assert_cmphex(r32(n, A_ICR) & R_ICR_RXO_MASK, ==, R_ICR_RXO_MASK);
    wire_send_seen(n, frame, make_frame(frame, 60, 50)); /* now at once */
    g_assert_cmpuint(r32(n, A_MPC), ==, 1);
    rx_post(n, 0, 2);
    for (unsigned i = 60; i < 63; i++) {
        wire_send(n, frame, make_frame(frame, 60, i));
    }
    for (unsigned i = 60; i < 62; i++) {
        rx_wait(n, 0, &r);
        make_frame(frame, 60, i);
        g_assert_cmpmem(r.data, r.len, frame, 60);
    }
    rx_post(n, 0, 1); /* and waits again */
    rx_wait(n, 0, &r);
    make_frame(frame, 60, 62);
    g_assert_cmpmem(r.data, r.len, frame, 60);
    nic_stop(n);
}

/* Waiting behind a queue that takes no frames any more ends: the NIC works on. */
static void ends_waiting(void (*end)(Nic *n))
{
    Nic *n = nic_waiting();
    uint8_t frame[60];

    end(n);
    wire_drained(n);
    w32(n, A_RXDCTL, 0);
    nic_enable(n);
    rx_ring(n, 0, 64);
    rx_post(n, 0, 63);
    wire_send(n, frame, make_frame(frame, 60, 99));
    do {
        rx_wait(n, 0, &r); /* what was on the way in the cable may still come */
        make_frame(frame, 60, 99);
    } while (memcmp(r.data, frame, 60));
    nic_stop(n);
}

static void end_by_rctl(Nic *n)
{
    w32(n, A_RCTL, 0);
}

static void end_by_rxdctl(Nic *n)
{
    w32(n, A_RXDCTL, 0);
}

static void end_by_reset(Nic *n)
{
    w32(n, A_CTRL, R_CTRL_RST_MASK);
    w32(n, A_GPIE, R_GPIE_MSIX_MODE_MASK);
}

static void end_by_drop_en(Nic *n)
{
    w32(n, A_SRRCTL, r32(n, A_SRRCTL) | R_SRRCTL_DROP_EN_MASK);
    wait_count(n, A_RQDPC, FRAMES - POSTED);
}

static void end_by_link(Nic *n)
{
    qtest_qmp_assert_success(n->qts,
                             "{'execute': 'set_link', 'arguments': {'name': 'nic', 'up': false}}");
    settle(n);
    qtest_qmp_assert_success(n->qts,
                             "{'execute': 'set_link', 'arguments': {'name': 'nic', 'up': true}}");
}

static void end_by_stop(Nic *n)
{
    qtest_qmp_assert_success(n->qts, "{'execute': 'stop'}");
    qtest_qmp_assert_success(n->qts, "{'execute': 'cont'}");
}

static void test_ends(gconstpointer end)
{
    ends_waiting(end);
}

void igb_lite_add_wait_tests(void)
{
    qtest_add_func("igb-lite/wait/slow-guest", test_slow_guest);
    qtest_add_func("igb-lite/wait/jumbo", test_jumbo_waits);
    qtest_add_func("igb-lite/wait/stuck-guest", test_stuck_guest);
    qtest_add_data_func("igb-lite/wait/ends-by-rctl", end_by_rctl, test_ends);
    qtest_add_data_func("igb-lite/wait/ends-by-rxdctl", end_by_rxdctl, test_ends);
    qtest_add_data_func("igb-lite/wait/ends-by-reset", end_by_reset, test_ends);
    qtest_add_data_func("igb-lite/wait/ends-by-drop-en", end_by_drop_en, test_ends);
    qtest_add_data_func("igb-lite/wait/ends-by-link", end_by_link, test_ends);
    qtest_add_data_func("igb-lite/wait/ends-by-stop", end_by_stop, test_ends);
}

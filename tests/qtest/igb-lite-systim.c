/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: SYSTIM against the virtual clock, and time stamps of PTP frames.
 */
#include "igb-lite.h"

#define PERIOD_1 (1u << R_TIMINCA_INCPERIOD_SHIFT)
#define ENABLE 0x10
#define STAMPED 0x1

static Received r;

static uint64_t systim(Nic *n)
{
    uint64_t low = r32(n, A_SYSTIML);

    return low | (uint64_t)r32(n, A_SYSTIMH) << 32;
}

static void test_rate(void)
{
    static const struct {
        uint32_t timinca;
        uint64_t per_ms;
    } rates[] = {
        {PERIOD_1 | 16, 1000000},                                   /* nanoseconds */
        {PERIOD_1 | 16 << 19, 1000000ull << 19},                    /* as Linux has it */
        {5 * PERIOD_1 | 1000, 1000000 / 80 * 1000ull},              /* 80 ns */
        {255u * PERIOD_1 | 0xffffff, 1000000 / 4080 * 0xffffffull}, /* the extremes */
        {0, 0},                                                     /* stopped */
    };
    Nic *n = nic_start();

    for (unsigned i = 0; i < G_N_ELEMENTS(rates); i++) {
        uint64_t begin, passed;

        w32(n, A_TIMINCA, rates[i].timinca);
        begin = systim(n);
        qtest_clock_step(n->qts, 1000 * 1000);
        passed = systim(n) - begin;
        /* one period more or less */
        g_assert_cmpuint(passed + (rates[i].timinca & 0xffffff), >=, rates[i].per_ms);
        g_assert_cmpuint(passed, <=, rates[i].per_ms + (rates[i].timinca & 0xffffff));
    }
    nic_stop(n);
}

/* Fractions of a period are not lost, however often it is read or its rate is set. */
static void test_no_drift(void)
{
    Nic *n = nic_start();

    w32(n, A_TIMINCA, PERIOD_1 | 16);
    for (unsigned i = 0; i < 1000; i++) {
        qtest_clock_step(n->qts, 7);
        systim(n);
        w32(n, A_TIMINCA, PERIOD_1 | 16);
    }
    g_assert_cmpuint(systim(n), ==, 7000 / 16 * 16);
    nic_stop(n);
}

/* It can be set; reading the low half holds the high one; a reset sets it to 0. */
static void test_set(void)
{
    Nic *n = nic_start();

    w32(n, A_SYSTIMH, 7);
    w32(n, A_SYSTIML, 0xfffffff0);
    w32(n, A_TIMINCA, PERIOD_1 | 16);
    g_assert_cmpuint(r32(n, A_SYSTIML), ==, 0xfffffff0);
    qtest_clock_step(n->qts, 32);
    g_assert_cmpuint(r32(n, A_SYSTIMH), ==, 7);
    g_assert_cmpuint(systim(n), ==, 0x800000010ull);
    w32(n, A_CTRL, R_CTRL_RST_MASK);
    g_assert_cmpuint(systim(n), ==, 0);
    qtest_clock_step(n->qts, 1000);
    g_assert_cmpuint(systim(n), ==, 0);
    nic_stop(n);
}

static uint64_t stamp(Nic *n, uint32_t low)
{
    uint64_t val = r32(n, low);

    return val | (uint64_t)r32(n, low + 4) << 32;
}

static void send_stamped(Nic *n, bool tstamp)
{
    uint8_t frame[100], in[100];

    qtest_memwrite(n->qts, TX_BUF(0), frame, make_frame(frame, 100, 1));
    tx_desc(n, 0, TX_BUF(0),
            100 | R_TX_CMD_EOP_MASK | R_TX_CMD_RS_MASK | R_TX_CMD_DEXT_MASK |
                IGB_LITE_TX_DATA << R_TX_CMD_TYPE_SHIFT | (tstamp ? R_TX_CMD_TSTAMP_MASK : 0),
            100 << R_TX_OL_PAYLEN_SHIFT);
    tx_doorbell(n, 0);
    g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 100);
}

/* The first frame that asks for it is stamped; the next only when the stamp has been read. */
static void test_tx_stamp(void)
{
    Nic *n = nic_running();
    uint64_t first;

    w32(n, A_TIMINCA, PERIOD_1 | 16);
    send_stamped(n, true);
    g_assert_cmphex(r32(n, A_TSYNCTXCTL), ==, 0);
    w32(n, A_TSYNCTXCTL, ENABLE);
    send_stamped(n, false);
    g_assert_cmphex(r32(n, A_TSYNCTXCTL), ==, ENABLE);
    qtest_clock_step(n->qts, 1600);
    send_stamped(n, true);
    first = systim(n);
    qtest_clock_step(n->qts, 1600);
    send_stamped(n, true);
    g_assert_cmphex(r32(n, A_TSYNCTXCTL), ==, ENABLE | STAMPED);
    g_assert_cmpuint(stamp(n, A_TXSTMPL), ==, first);
    g_assert_cmphex(r32(n, A_TSYNCTXCTL), ==, ENABLE);
    send_stamped(n, true);
    g_assert_cmpuint(stamp(n, A_TXSTMPL), ==, first + 1600);
    nic_stop(n);
}

/* A PTP message: in Ethernet, or in UDP over IPv4. */
static size_t make_ptp(uint8_t *frame, bool udp, unsigned version, unsigned type)
{
    uint8_t message[60] = {}, *at;

    message[0] = version == 2 ? type : 0;
    message[1] = version;
    message[32] = version == 2 ? 0 : type;
    if (!udp) {
        memset(frame, 0, 74);
        make_eth(frame, (uint8_t[]){BROADCAST}, 0x88f7);
        memcpy(frame + 14, message, sizeof(message));
        return 74;
    }
    make_udp4(frame, sizeof(message));
    at = frame + 14 + 20;
    stw_be_p(at + 2, 319);
    memcpy(at + 8, message, sizeof(message));
    stw_be_p(at + 6, 0); /* no checksum */
    return 14 + 20 + 8 + sizeof(message);
}

/* Which messages are stamped, by TSYNCRXCTL and TSYNCRXCFG. */
static void test_rx_filters(void)
{
    static const struct {
        unsigned control, config;
        bool udp;
        unsigned version, message;
        bool stamped;
    } cases[] = {
        {0 << 1, 0x000, false, 2, 0, true},   {0 << 1, 0x100, false, 2, 0, false},
        {0 << 1, 0x100, false, 2, 1, true},   {0 << 1, 0x000, true, 2, 0, false},
        {1 << 1, 0x000, true, 1, 0, true},    {1 << 1, 0x001, true, 1, 1, true},
        {1 << 1, 0x000, true, 1, 1, false},   {1 << 1, 0x000, false, 1, 0, false},
        {2 << 1, 0x000, true, 2, 0, true},    {2 << 1, 0x000, false, 2, 0, true},
        {2 << 1, 0x000, true, 2, 3, false},   {5 << 1, 0x000, true, 2, 3, true},
        {5 << 1, 0x000, false, 2, 11, false}, {5 << 1, 0x000, true, 1, 0, false},
        {4 << 1, 0x000, true, 1, 9, true},    {3 << 1, 0x000, true, 2, 0, false},
    };
    Nic *n = nic_running();
    uint8_t frame[128];

    w32(n, A_TIMINCA, PERIOD_1 | 16);
    w32(n, A_RCTL, r32(n, A_RCTL) | R_RCTL_UPE_MASK);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        size_t len = make_ptp(frame, cases[i].udp, cases[i].version, cases[i].message);
        uint64_t now;

        qtest_clock_step(n->qts, 1600);
        w32(n, A_TSYNCRXCFG, cases[i].config);
        w32(n, A_TSYNCRXCTL, cases[i].control | ENABLE);
        wire_send(n, frame, len);
        rx_wait(n, 0, &r);
        now = systim(n);
        if (!!(r.status & R_RX_STATUS_TS_MASK) != cases[i].stamped) {
            g_test_message("case %u", i);
        }
        g_assert_cmpint(!!(r.status & R_RX_STATUS_TS_MASK), ==, cases[i].stamped);
        g_assert_cmpint(r32(n, A_TSYNCRXCTL) & STAMPED, ==, cases[i].stamped);
        if (cases[i].stamped) {
            g_assert_cmpuint(stamp(n, A_RXSTMPL), ==, now);
        }
        g_assert_cmpint(r32(n, A_TSYNCRXCTL) & STAMPED, ==, 0);
    }
    nic_stop(n);
}

/* One stamp at a time, none when disabled, none from frames that end too early. */
static void test_rx_stamp(void)
{
    Nic *n = nic_running();
    uint8_t frame[128];
    uint64_t first;

    w32(n, A_TIMINCA, PERIOD_1 | 16);
    qtest_clock_step(n->qts, 1600);
    wire_send(n, frame, make_ptp(frame, false, 2, 0));
    rx_wait(n, 0, &r);
    g_assert_false(r.status & R_RX_STATUS_TS_MASK);
    w32(n, A_TSYNCRXCTL, ENABLE);
    wire_send(n, frame, make_ptp(frame, false, 2, 0));
    rx_wait(n, 0, &r);
    g_assert_true(r.status & R_RX_STATUS_TS_MASK);
    first = systim(n);
    qtest_clock_step(n->qts, 1600);
    wire_send(n, frame, make_ptp(frame, false, 2, 0));
    rx_wait(n, 0, &r);
    g_assert_false(r.status & R_RX_STATUS_TS_MASK);
    g_assert_cmpuint(stamp(n, A_RXSTMPL), ==, first);
    make_udp4(frame, 18);
    stw_be_p(frame + 36, 319);
    w32(n, A_TSYNCRXCTL, 5 << 1 | ENABLE);
    wire_send(n, frame, 60);
    rx_wait(n, 0, &r);
    g_assert_false(r.status & R_RX_STATUS_TS_MASK);
    nic_stop(n);
}

void igb_lite_add_systim_tests(void)
{
    qtest_add_func("igb-lite/systim/rate", test_rate);
    qtest_add_func("igb-lite/systim/no-drift", test_no_drift);
    qtest_add_func("igb-lite/systim/set", test_set);
    qtest_add_func("igb-lite/systim/tx-stamp", test_tx_stamp);
    qtest_add_func("igb-lite/systim/rx-filters", test_rx_filters);
    qtest_add_func("igb-lite/systim/rx-stamp", test_rx_stamp);
}

/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: the faults that can be asked for.
 */
#include "igb-lite.h"
#include "qobject/qdict.h"

static Received r;

static void set(Nic *n, const char *property, int64_t val)
{
    qtest_qmp_assert_success(n->qts,
                             "{'execute': 'qom-set', 'arguments': {'path': "
                             "'/machine/peripheral/nic', 'property': %s, 'value': %" PRId64 "}}",
                             property, val);
}

static uint64_t get(Nic *n, const char *property)
{
    QDict *response = qtest_qmp(n->qts,
                                "{'execute': 'qom-get', 'arguments': "
                                "{'path': '/machine/peripheral/nic', 'property': %s}}",
                                property);
    uint64_t val = qdict_get_int(response, "return");

    qobject_unref(response);
    return val;
}

/* A running NIC with vector 0 for RX queue 0 and vector 1 for TX queue 0. */
static Nic *nic_fault(const char *property, int64_t val)
{
    Nic *n = nic_running();

    w32(n, A_IVAR, 0x00008180);
    w32(n, A_EIAC, 0x3ff);
    w32(n, A_EIMS, 0x3ff);
    if (property) {
        set(n, property, val);
    }
    return n;
}

static bool cause(Nic *n)
{
    w32(n, A_EICS, 1);
    return message(n, 0);
}

/* Off at first; all of them can be read. */
static void test_off(void)
{
    static const char *const properties[] = {
        "fault-irq-drop",
        "fault-irq-delay",
        "fault-irq-repeat",
        "fault-rx-corrupt",
        "fault-write-back-delay",
        "fault-descriptor-corrupt",
        "fault-tx-corrupt",
        "fault-stall-rx",
        "fault-stall-tx",
        "fault-seed",
        "fault-count",
    };
    Nic *n = nic_start();

    for (unsigned i = 0; i < G_N_ELEMENTS(properties); i++) {
        g_assert_cmpuint(get(n, properties[i]), ==, 0);
    }
    g_assert_cmpuint(get(n, "fault-delay-us"), ==, 1000);
    nic_stop(n);
}

static void test_irq_drop(void)
{
    Nic *n = nic_fault("fault-irq-drop", 3);

    for (unsigned i = 1; i <= 9; i++) {
        g_assert_cmpint(cause(n), ==, i % 3 != 0);
    }
    g_assert_cmpuint(get(n, "fault-count"), ==, 3);
    set(n, "fault-irq-drop", 0);
    for (unsigned i = 0; i < 5; i++) {
        g_assert_true(cause(n));
    }
    nic_stop(n);
}

static void test_irq_delay(void)
{
    Nic *n = nic_fault("fault-irq-delay", 1);

    set(n, "fault-delay-us", 500);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_false(cause(n));
        qtest_clock_step(n->qts, 499 * 1000);
        settle(n);
        g_assert_false(message(n, 0));
        qtest_clock_step(n->qts, 2 * 1000);
        wait_message(n, 0);
        qtest_clock_step(n->qts, 1000 * 1000);
        settle(n);
        g_assert_false(message(n, 0));
    }
    g_assert_cmpuint(get(n, "fault-count"), ==, 3);
    nic_stop(n);
}

/* A repeated message is one more of the same: the event log has every message that is sent. */
static void test_irq_repeat(void)
{
    Nic *n = nic_fault("fault-irq-repeat", 2);
    g_autofree char *path = g_strdup_printf("/tmp/igb-lite-fault-%d", getpid());
    g_autofree char *text = NULL;
    unsigned sent = 0;

    qtest_qmp_assert_success(n->qts,
                             "{'execute': 'qom-set', 'arguments': {'path': "
                             "'/machine/peripheral/nic', 'property': 'event-log', 'value': %s}}",
                             path);
    for (unsigned i = 0; i < 4; i++) {
        g_assert_true(cause(n));
    }
    g_assert_cmpuint(get(n, "fault-count"), ==, 2);
    nic_stop(n);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    unlink(path);
    for (const char *at = text; (at = strstr(at, "\"interrupt\"")); at++) {
        sent++;
    }
    g_assert_cmpuint(sent, ==, 6);
}

static void send_and_receive(Nic *n, unsigned seed)
{
    uint8_t frame[100];

    wire_send_seen(n, frame, make_frame(frame, 100, seed));
}

/* The frame is stored, the head has moved, but DD and the message come later, in order. */
static void test_rx_write_back_delay(void)
{
    Nic *n = nic_fault("fault-write-back-delay", 2);
    uint8_t frame[100];

    send_and_receive(n, 0);
    wait_message(n, 0);
    rx_wait(n, 0, &r);
    send_and_receive(n, 1); /* held */
    set(n, "fault-write-back-delay", 0);
    send_and_receive(n, 2); /* stands behind it */
    settle(n);
    g_assert_cmpuint(r32(n, A_RDH), ==, 3);
    g_assert_false(rx_pending(n, 0));
    g_assert_false(message(n, 0));
    qtest_clock_step(n->qts, 1001 * 1000);
    wait_message(n, 0);
    for (unsigned i = 1; i <= 2; i++) {
        rx_wait(n, 0, &r);
        make_frame(frame, 100, i);
        g_assert_cmpmem(r.data, r.len, frame, 100);
    }
    g_assert_cmpuint(get(n, "fault-count"), ==, 1);
    nic_stop(n);
}

static void test_tx_write_back_delay(void)
{
    Nic *n = nic_fault("fault-write-back-delay", 1);
    uint8_t frame[100], in[100];

    tx_frame(n, 0, 0, frame, make_frame(frame, 100, 1));
    tx_doorbell(n, 0);
    g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 100);
    g_assert_cmpuint(r32(n, A_TDH), ==, 1);
    g_assert_false(tx_done(n, 0, 0));
    g_assert_false(message(n, 1));
    qtest_clock_step(n->qts, 1001 * 1000);
    wait_message(n, 1);
    g_assert_true(tx_done(n, 0, 0));
    nic_stop(n);
}

/* A queue that is switched off gets nothing any more; a machine that stops gets it at once. */
static void test_held_ends(void)
{
    Nic *n = nic_fault("fault-write-back-delay", 1);

    send_and_receive(n, 1);
    w32(n, A_RXDCTL, 0);
    qtest_clock_step(n->qts, 2000 * 1000);
    settle(n);
    g_assert_false(rx_pending(n, 0));
    w32(n, A_RXDCTL, R_RXDCTL_ENABLE_MASK);
    n->rx_next[0] = 1;
    send_and_receive(n, 2);
    g_assert_false(rx_pending(n, 0));
    qtest_qmp_assert_success(n->qts, "{'execute': 'stop'}");
    g_assert_true(rx_pending(n, 0));
    qtest_qmp_assert_success(n->qts, "{'execute': 'cont'}");
    wait_message(n, 0);
    send_and_receive(n, 3);
    w32(n, A_CTRL, R_CTRL_RST_MASK);
    nic_stop(n);
}

static unsigned bits_different(const uint8_t *a, const uint8_t *b, size_t len)
{
    unsigned count = 0;

    for (size_t i = 0; i < len; i++) {
        count += ctpop8(a[i] ^ b[i]);
    }
    return count;
}

/* One bit of every second frame, and the hardware notices by the checksum. */
static void test_rx_corrupt(void)
{
    Nic *n = nic_fault("fault-rx-corrupt", 2);
    uint8_t frame[200];
    size_t len = make_udp4(frame, 100);

    for (unsigned i = 1; i <= 8; i++) {
        wire_send(n, frame, len);
        rx_wait(n, 0, &r);
        g_assert_cmpuint(r.len, ==, len);
        g_assert_cmpuint(bits_different(r.data, frame, len), ==, i % 2 == 0);
        g_assert_cmpmem(r.data, 14, frame, 14);
    }
    g_assert_cmpuint(get(n, "fault-count"), ==, 4);
    nic_stop(n);
}

static void test_tx_corrupt(void)
{
    Nic *n = nic_fault("fault-tx-corrupt", 1);
    uint8_t frame[100], in[100], memory[100];

    for (unsigned i = 0; i < 8; i++) {
        tx_frame(n, 0, 0, frame, make_frame(frame, 100, i));
        tx_doorbell(n, 0);
        g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 100);
        g_assert_cmpuint(bits_different(in, frame, 100), ==, 1);
        qtest_memread(n->qts, TX_BUF(0), memory, 100);
        g_assert_cmpmem(memory, 100, frame, 100); /* not the guest's copy */
    }
    nic_stop(n);
}

static void test_descriptor_corrupt(void)
{
    Nic *n = nic_fault(NULL, 0);
    uint64_t good;

    send_and_receive(n, 1);
    good = qtest_readq(n->qts, RX_RING(0) + 8);
    set(n, "fault-descriptor-corrupt", 1);
    for (unsigned i = 1; i < 9; i++) {
        uint64_t bad;

        send_and_receive(n, 1);
        bad = qtest_readq(n->qts, RX_RING(0) + 16 * i + 8);
        g_assert_cmpuint(ctpop64(bad ^ good), ==, 1);
        g_assert_cmphex(bad & R_RX_STATUS_DD_MASK, ==, R_RX_STATUS_DD_MASK);
    }
    nic_stop(n);
}

/* Queue 0 stands still in both directions, others go on; let go, nothing is lost. */
static void test_stall(void)
{
    Nic *n = nic_fault("fault-stall-tx", 1);
    uint8_t frame[100], in[100];

    tx_ring(n, 1, 64);
    tx_frame(n, 0, 0, frame, make_frame(frame, 100, 1));
    tx_doorbell(n, 0);
    tx_frame(n, 1, 1, frame, make_frame(frame, 100, 2));
    tx_doorbell(n, 1);
    g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 100);
    g_assert_cmpmem(in, 100, frame, 100);
    wire_quiet(n);
    g_assert_cmpuint(r32(n, A_TDH), ==, 0);
    set(n, "fault-stall-tx", 0);
    g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 100);
    make_frame(frame, 100, 1);
    g_assert_cmpmem(in, 100, frame, 100);

    set(n, "fault-stall-rx", 1);
    wire_send(n, frame, make_frame(frame, 100, 3));
    wire_drained(n);
    g_assert_false(rx_pending(n, 0));
    set(n, "fault-stall-rx", 0);
    rx_wait(n, 0, &r);
    g_assert_cmpmem(r.data, r.len, frame, 100);
    g_assert_cmpuint(r32(n, A_MPC), ==, 0);
    nic_stop(n);
}

/* The same seed gives the same order, about as often as asked for; another gives another. */
static void test_seed(void)
{
    Nic *n = nic_fault("fault-irq-drop", 4);
    bool first[400];
    unsigned dropped = 0, same = 0;

    set(n, "fault-seed", 42);
    for (unsigned i = 0; i < 400; i++) {
        first[i] = cause(n);
        dropped += !first[i];
    }
    g_assert_cmpuint(dropped, >, 60);
    g_assert_cmpuint(dropped, <, 140);
    set(n, "fault-seed", 42);
    for (unsigned i = 0; i < 400; i++) {
        g_assert_cmpint(cause(n), ==, first[i]);
    }
    set(n, "fault-seed", 43);
    for (unsigned i = 0; i < 400; i++) {
        same += cause(n) == first[i];
    }
    g_assert_cmpuint(same, <, 400);
    nic_stop(n);
}

void igb_lite_add_fault_tests(void)
{
    qtest_add_func("igb-lite/fault/off", test_off);
    qtest_add_func("igb-lite/fault/irq-drop", test_irq_drop);
    qtest_add_func("igb-lite/fault/irq-delay", test_irq_delay);
    qtest_add_func("igb-lite/fault/irq-repeat", test_irq_repeat);
    qtest_add_func("igb-lite/fault/rx-write-back-delay", test_rx_write_back_delay);
    qtest_add_func("igb-lite/fault/tx-write-back-delay", test_tx_write_back_delay);
    qtest_add_func("igb-lite/fault/held-ends", test_held_ends);
    qtest_add_func("igb-lite/fault/rx-corrupt", test_rx_corrupt);
    qtest_add_func("igb-lite/fault/tx-corrupt", test_tx_corrupt);
    qtest_add_func("igb-lite/fault/descriptor-corrupt", test_descriptor_corrupt);
    qtest_add_func("igb-lite/fault/stall", test_stall);
    qtest_add_func("igb-lite/fault/seed", test_seed);
}

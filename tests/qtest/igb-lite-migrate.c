/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: migration in the middle of traffic. Every register arrives as it was; every
 * frame that was taken, from either side, arrives once and in order.
 */
#include "igb-lite.h"
#include "qobject/qdict.h"

#define FRAMES 60
#define RING 256

static Received r;

static void wait_status(Nic *n, const char *command, const char *want)
{
    for (int i = 0; i < 10000; i++) {
        QDict *response = qtest_qmp(n->qts, "{'execute': %s}", command);
        const char *status = qdict_get_try_str(qdict_get_qdict(response, "return"), "status");
        bool there = status && !strcmp(status, want);

        g_assert_true(!status || strcmp(status, "failed"));
        qobject_unref(response);
        if (there) {
            return;
        }
        g_usleep(10 * 1000);
    }
    g_assert_not_reached();
}

/* The machine moves; the new one stands still until qmp cont. */
static Nic *migrate(Nic *a)
{
    g_autofree char *file = g_strdup_printf("/tmp/igb-lite-migrate-%d", getpid());
    g_autofree char *save = g_strdup_printf("exec:cat > %s", file);
    g_autofree char *load = g_strdup_printf("exec:cat %s", file);
    Nic *b;

    qtest_qmp_assert_success(a->qts, "{'execute': 'migrate', 'arguments': {'uri': %s}}", save);
    wait_status(a, "query-migrate", "completed");
    b = nic_start_args("-S -incoming defer");
    qtest_qmp_assert_success(b->qts, "{'execute': 'migrate-incoming', 'arguments': {'uri': %s}}",
                             load);
    wait_status(b, "query-status", "paused");
    unlink(file);
    b->bar = a->bar;
    b->msix = a->msix;
    memcpy(b->rx_size, a->rx_size, sizeof(a->rx_size));
    memcpy(b->tx_size, a->tx_size, sizeof(a->tx_size));
    memcpy(b->rx_tail, a->rx_tail, sizeof(a->rx_tail));
    memcpy(b->rx_next, a->rx_next, sizeof(a->rx_next));
    memcpy(b->tx_tail, a->tx_tail, sizeof(a->tx_tail));
    return b;
}

static void check_same_registers(Nic *a, Nic *b)
{
    static const struct {
        const char *name;
        uint32_t offset, count, step;
    } table[] = {
#define ROW(name, offset, count, step, ...) {#name, offset, count, step},
        IGB_LITE_REGISTERS(ROW)
#undef ROW
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        for (uint32_t k = 0; k < table[i].count; k++) {
            uint32_t at = table[i].offset + k * table[i].step;
            uint32_t was = r32(a, at), is = r32(b, at);

            if (was != is) {
                g_error("%s[%u] was 0x%08x and is 0x%08x", table[i].name, k, was, is);
            }
        }
    }
    for (unsigned v = 0; v < IGB_LITE_VECTORS * 4; v++) {
        g_assert_cmphex(qtest_readl(b->qts, a->msix + 4 * v), ==,
                        qtest_readl(a->qts, a->msix + 4 * v));
    }
    g_assert_cmphex(qtest_readl(b->qts, a->msix + 0x2000), ==,
                    qtest_readl(a->qts, a->msix + 0x2000));
}

static size_t numbered(uint8_t *frame, uint32_t number)
{
    make_frame(frame, 64, 7);
    stl_be_p(frame + 20, number);
    return 64;
}

static void post_tx(Nic *n, uint32_t first, unsigned count)
{
    uint8_t frame[64];

    for (unsigned i = 0; i < count; i++) {
        numbered(frame, first + i);
        qtest_memwrite(n->qts, TX_BUF(0) + n->tx_tail[0] * 64, frame, 64);
        tx_desc(n, 0, TX_BUF(0) + n->tx_tail[0] * 64,
                64 | R_TX_CMD_EOP_MASK | R_TX_CMD_RS_MASK | R_TX_CMD_DEXT_MASK | 3u << 20, 0);
    }
    tx_doorbell(n, 0);
}

/* Takes numbered frames off the wire, which go on from first, until none has come for a while. */
static uint32_t take_tx(Nic *n, uint32_t first, uint32_t until)
{
    uint8_t in[2048];

    while (first < until) {
        wire_receive(n, in, sizeof(in));
        if (lduw_be_p(in + 12) != 0x8035) { /* QEMU announces the move by RARP */
            g_assert_cmpuint(ldl_be_p(in + 20), ==, first);
            first++;
        }
    }
    return first;
}

static void set_bandwidth(Nic *n, int64_t bytes)
{
    qtest_qmp_assert_success(n->qts,
                             "{'execute': 'migrate-set-parameters', 'arguments': {"
                             "'max-bandwidth': %" PRId64 "}}",
                             bytes);
}

/* Until the migration has sent all memory below the last so many bytes. */
static void wait_remaining(Nic *n, int64_t bytes)
{
    int64_t left = INT64_MAX;

    for (int i = 0; i < 10000 && left > bytes; i++) {
        QDict *response = qtest_qmp(n->qts, "{'execute': 'query-migrate'}");
        QDict *ram = qdict_get_qdict(qdict_get_qdict(response, "return"), "ram");

        left = ram ? qdict_get_int(ram, "remaining") : left;
        qobject_unref(response);
        g_usleep(10 * 1000);
    }
    g_assert_cmpint(left, <=, bytes);
}

/* Memory that the device writes while it is on its way goes along: payload, descriptors, heads. */
static void test_dirty(void)
{
    g_autofree char *file = g_strdup_printf("/tmp/igb-lite-migrate-%d", getpid());
    g_autofree char *save = g_strdup_printf("exec:cat > %s", file);
    g_autofree char *load = g_strdup_printf("exec:cat %s", file);
    Nic *a = nic_running(), *b;
    uint8_t frame[64], in[64];
    uint64_t status;

    qtest_memset(a->qts, 0x6000000, 0x5a, 8 << 20); /* behind all that is used: to wait at */
    w32(a, A_TDWBAL, TX_BUF(99) | 1);
    rx_ring(a, 1, 8);
    set_bandwidth(a, 1 << 20);
    qtest_qmp_assert_success(a->qts, "{'execute': 'migrate', 'arguments': {'uri': %s}}", save);
    wait_remaining(a, 32 << 20);
    wire_send(a, frame, numbered(frame, 77));
    rx_wait(a, 0, &r);
    tx_frame(a, 0, 0, frame, 64);
    tx_doorbell(a, 0);
    wire_receive(a, in, sizeof(in));
    wait_reg(a, A_TDH, 0xffff, 1);
    set_bandwidth(a, 1ll << 32);
    wait_status(a, "query-migrate", "completed");
    b = nic_start_args("-S -incoming defer");
    qtest_qmp_assert_success(b->qts, "{'execute': 'migrate-incoming', 'arguments': {'uri': %s}}",
                             load);
    wait_status(b, "query-status", "paused");
    unlink(file);
    status = qtest_readq(b->qts, RX_RING(0) + 8);
    g_assert_cmphex(status, ==, 64ull << 32 | R_RX_STATUS_DD_MASK | R_RX_STATUS_EOP_MASK);
    g_assert_cmphex(qtest_readq(b->qts, RX_RING(0)), ==, 0);
    qtest_memread(b->qts, RX_BUF(0), in, 64);
    g_assert_cmpmem(in, 64, frame, 64);
    g_assert_cmphex(qtest_readl(b->qts, TX_BUF(99)), ==, 1);
    nic_stop(a);
    nic_stop(b);
}

/* Every kind of register with a value of its own, and state behind the registers. */
static void test_state(void)
{
    Nic *a = nic_running(), *b;

    for (unsigned q = 0; q < 16; q++) {
        w32(a, A_RDBAL + q * 0x40, RX_RING(q));
        w32(a, A_RDLEN + q * 0x40, 128 * (q + 1));
        w32(a, A_TDBAL + q * 0x40, TX_RING(q));
        w32(a, A_TDLEN + q * 0x40, 256 * (q + 1));
        w32(a, A_SRRCTL + q * 0x40, 0x02000000 | (q + 1));
    }
    for (unsigned i = 0; i < 128; i++) {
        w32(a, A_MTA + 4 * i, 0x01010101 * i);
        w32(a, A_VFTA + 4 * i, 0x10001 * i);
        w32(a, A_RETA + 4 * (i % 32), 0x03020100 + i);
        w32(a, A_RSSRK + 4 * (i % 10), 0x9e3779b1u * (i + 1));
        w32(a, A_EITR + 4 * (i % 25), 4 * i);
    }
    w32(a, A_MRQC, 0x00370002);
    w32(a, A_EIAC, 0x155);
    w32(a, A_EIAM, 0x2aa);
    w32(a, A_EICS, 0x3c0);
    w32(a, A_ICS, 0x44);
    w32(a, A_IMS, 0x40000000);
    w32(a, A_SW_FW_SYNC, 5);
    qtest_writel(a->qts, a->msix + 16 * 4 + 12, 1); /* masked, and then pending */
    w32(a, A_EIMS, 1 << 4);
    w32(a, A_EICS, 1 << 4);
    phy_write(a, 4, 0x0c01);
    b = migrate(a);
    check_same_registers(a, b);
    g_assert_cmphex(phy_read(b, 4), ==, 0x0c01);
    g_assert_cmphex(phy_read(b, 1), ==, phy_read(a, 1));
    nic_stop(a);
    nic_stop(b);
}

/*
 * Frames numbered from 0, some sent before the move and some after: stalled, so that the border is
 * in the middle of the ring, or wherever the move happens to fall.
 */
static void test_tx(gconstpointer stalled)
{
    Nic *a = nic_running(), *b;
    uint32_t sent;
    uint8_t half[64];

    tx_ring(a, 0, RING);
    post_tx(a, 0, FRAMES);
    if (stalled) {
        take_tx(a, 0, FRAMES);
        qtest_qmp_assert_success(
            a->qts, "{'execute': 'qom-set', 'arguments': {'path': '/machine/peripheral/"
                    "nic', 'property': 'fault-stall-tx', 'value': 1}}");
    }
    post_tx(a, FRAMES, 100);
    numbered(half, FRAMES + 100); /* and half a frame, whose end comes after the move */
    qtest_memwrite(a->qts, TX_BUF(0) + 300 * 64, half, 64);
    tx_desc(a, 0, TX_BUF(0) + 300 * 64, 40 | R_TX_CMD_DEXT_MASK | 3u << 20, 0);
    tx_doorbell(a, 0);
    b = migrate(a);
    sent = r32(a, A_TDH);
    g_assert_cmpuint(sent, >=, FRAMES);
    g_assert_true(!stalled || sent == FRAMES);
    check_same_registers(a, b);
    if (!stalled) {
        take_tx(a, 0, sent);
    }
    wire_quiet(a);
    qtest_qmp_assert_success(b->qts, "{'execute': 'cont'}");
    tx_desc(b, 0, TX_BUF(0) + 300 * 64 + 40,
            24 | R_TX_CMD_DEXT_MASK | 3u << 20 | R_TX_CMD_EOP_MASK | R_TX_CMD_RS_MASK, 0);
    tx_doorbell(b, 0);
    take_tx(b, sent, FRAMES + 101);
    wait_reg(b, A_TDH, 0xffff, b->tx_tail[0]);
    for (unsigned i = 0; i < FRAMES + 100; i++) {
        g_assert_true(tx_done(b, 0, i));
    }
    nic_stop(a);
    nic_stop(b);
}

/* The same for frames that come in: the ring goes on where it was, also when frames wait for it. */
static void test_rx(void)
{
    Nic *a = nic_running(), *b;
    uint8_t frame[64];
    unsigned taken;

    rx_ring(a, 0, 64);
    rx_post(a, 0, 50);
    for (unsigned i = 0; i < FRAMES; i++) {
        wire_send(a, frame, numbered(frame, i));
    }
    for (unsigned i = 0; i < 20; i++) {
        rx_wait(a, 0, &r);
        g_assert_cmpuint(ldl_be_p(r.data + 20), ==, i);
    }
    b = migrate(a); /* what waited outside the ring stays behind, as on any cable that is pulled */
    taken = r32(a, A_RDH);
    g_assert_cmpuint(taken, >=, 20);
    g_assert_cmpuint(taken, <=, 50);
    check_same_registers(a, b);
    qtest_qmp_assert_success(b->qts, "{'execute': 'cont'}");
    rx_post(b, 0, 12);
    for (unsigned i = 0; i < 62 - taken; i++) {
        wire_send(b, frame, numbered(frame, 1000 + i));
    }
    for (unsigned i = 20; i < 62; i++) {
        rx_wait(b, 0, &r);
        g_assert_cmpuint(ldl_be_p(r.data + 20), ==, i < taken ? i : 1000 + i - taken);
    }
    g_assert_false(rx_pending(b, 0));
    nic_stop(a);
    nic_stop(b);
}

/* The hash's key goes along, whatever has been derived from it. */
static void test_rss(void)
{
    Nic *a = nic_running(), *b;
    uint8_t frame[100];
    uint32_t hash;

    for (unsigned i = 0; i < 10; i++) {
        w32(a, A_RSSRK + 4 * i, 0x9e3779b1u * (i + 1));
    }
    w32(a, A_RXCSUM, r32(a, A_RXCSUM) | R_RXCSUM_PCSD_MASK);
    w32(a, A_MRQC, 2 | R_MRQC_IPV4_MASK);
    wire_send(a, frame, make_udp4(frame, 30));
    rx_wait(a, 0, &r);
    hash = r.hash;
    g_assert_cmphex(hash, !=, 0);
    b = migrate(a);
    qtest_qmp_assert_success(b->qts, "{'execute': 'cont'}");
    w32(b, A_MRQC, 2 | R_MRQC_IPV4_MASK);
    wire_send(b, frame, make_udp4(frame, 30));
    rx_wait(b, 0, &r);
    g_assert_cmphex(r.hash, ==, hash);
    nic_stop(a);
    nic_stop(b);
}

/* A message that EITR holds back goes out once, on the other side, when its time has come. */
static void test_message(void)
{
    Nic *a = nic_running(), *b;

    w32(a, A_EIAC, 0x3ff);
    w32(a, A_EIMS, 0x3ff);
    w32(a, A_EITR + 4, 8000 << 2);
    w32(a, A_EICS, 2);
    g_assert_true(message(a, 1));
    w32(a, A_EICS, 2);
    b = migrate(a);
    g_assert_false(message(a, 1));
    qtest_qmp_assert_success(b->qts, "{'execute': 'cont'}");
    settle(b);
    g_assert_false(message(b, 1));
    qtest_clock_step(b->qts, 100 * 1000 * 1000);
    wait_message(b, 1);
    qtest_clock_step(b->qts, 100 * 1000 * 1000);
    settle(b);
    g_assert_false(message(b, 1));
    nic_stop(a);
    nic_stop(b);
}

/* A reset with most of the ring still to be sent: nothing more goes out, and nothing is written. */
static void test_reset_in_transmission(void)
{
    Nic *n = nic_running();
    uint8_t in[2048];
    uint32_t head;

    tx_ring(n, 0, 1024);
    post_tx(n, 0, 100);
    take_tx(n, 0, 100);
    qtest_qmp_assert_success(n->qts, "{'execute': 'stop'}");
    post_tx(n, 100, 900); /* a part of it now, the rest when the machine runs */
    head = r32(n, A_TDH);
    g_assert_cmpuint(head, <, 1000);
    w32(n, A_CTRL, R_CTRL_RST_MASK);
    qtest_qmp_assert_success(n->qts, "{'execute': 'cont'}");
    take_tx(n, 100, head); /* what had left the device when it was reset */
    wire_quiet(n);
    g_assert_cmpuint(r32(n, A_TDH), ==, 0);
    for (unsigned i = head; i < 1000; i++) {
        g_assert_false(tx_done(n, 0, i));
    }
    nic_enable(n);
    tx_ring(n, 0, 64);
    post_tx(n, 5000, 1);
    wire_receive(n, in, sizeof(in));
    g_assert_cmpuint(ldl_be_p(in + 20), ==, 5000);
    nic_stop(n);
}

void igb_lite_add_migrate_tests(void)
{
    qtest_add_func("igb-lite/migrate/state", test_state);
    qtest_add_func("igb-lite/migrate/dirty-memory", test_dirty);
    qtest_add_func("igb-lite/migrate/rss", test_rss);
    qtest_add_data_func("igb-lite/migrate/tx-stalled", GUINT_TO_POINTER(1), test_tx);
    qtest_add_data_func("igb-lite/migrate/tx", NULL, test_tx);
    qtest_add_func("igb-lite/migrate/rx", test_rx);
    qtest_add_func("igb-lite/migrate/message", test_message);
    qtest_add_func("igb-lite/reset/in-transmission", test_reset_in_transmission);
}

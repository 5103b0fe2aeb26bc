/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: a guest that programs nonsense, and a guest that moves.
 */
#include "hw/pci/pci_regs.h"
#include "igb-lite.h"
#include "qobject/qdict.h"

static Received r;

/* After whatever was done to it, the device still works. */
static void still_works(Nic *n)
{
    uint8_t frame[100], in[100];

    rx_ring(n, 0, 8);
    rx_post(n, 0, 7);
    tx_ring(n, 0, 8);
    tx_frame(n, 0, 0, frame, make_frame(frame, 100, 1));
    tx_doorbell(n, 0);
    g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 100);
    g_assert_cmpmem(in, 100, frame, 100);
    wire_send(n, frame, make_frame(frame, 100, 2));
    rx_wait(n, 0, &r);
    g_assert_cmpmem(r.data, r.len, frame, 100);
}

static void test_ring_length(void)
{
    static const uint32_t lengths[] = {0, 16, 112, 144};
    Nic *n = nic_running();
    uint8_t frame[60];

    make_frame(frame, 60, 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(lengths); i++) {
        uint64_t before = guest_errors(n);

        w32(n, A_RXDCTL, 0);
        w32(n, A_RDLEN, lengths[i]);
        w32(n, A_RXDCTL, R_RXDCTL_ENABLE_MASK);
        g_assert_cmpuint(guest_errors(n), ==, before + 1);
        r32(n, A_MPC);
        wire_send_seen(n, frame, 60);
        g_assert_cmpuint(r32(n, A_MPC), ==, 1);
        w32(n, A_TDLEN, lengths[i]);
        w32(n, A_TDT, 1);
        g_assert_cmpuint(r32(n, A_TDH), ==, 0);
        g_assert_cmpuint(guest_errors(n), >, before + 2);
        w32(n, A_TDT, 0);
    }
    wire_quiet(n);
    still_works(n);
    nic_stop(n);
}

static void test_ring_base(void)
{
    Nic *n = nic_running();

    w32(n, A_RDBAL, RX_RING(0) + 16);
    g_assert_cmphex(r32(n, A_RDBAL), ==, RX_RING(0));
    w32(n, A_TDBAL, TX_RING(0) + 64);
    g_assert_cmphex(r32(n, A_TDBAL), ==, TX_RING(0));
    g_assert_cmpuint(guest_errors(n), ==, 2);
    nic_stop(n);
}

/* Rings and buffers where nothing is, in ROM, and over the end of memory. */
static void test_no_memory(void)
{
    static const uint64_t places[] = {NO_MEMORY, 0xffffffffffffff80ull, 128 * 1024 * 1024 - 128,
                                      0xfffff000};
    Nic *n = nic_running();
    uint8_t frame[60];

    make_frame(frame, 60, 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        uint64_t before = guest_errors(n);

        rx_ring(n, 0, 64);
        tx_ring(n, 0, 64);
        w32(n, A_RDBAL, places[i]);
        w32(n, A_RDBAH, places[i] >> 32);
        w32(n, A_RDH, 20);
        w32(n, A_RDT, 10);
        wire_send_seen(n, frame, 60);
        w32(n, A_TDBAL, places[i]);
        w32(n, A_TDBAH, places[i] >> 32);
        w32(n, A_TDH, 20);
        w32(n, A_TDT, 10);
        settle(n);
        if (places[i] != 0xfffff000) { /* ROM can be read */
            g_assert_cmpuint(guest_errors(n), >, before);
        }
        while (recv(n->wire, frame, sizeof(frame), MSG_DONTWAIT) > 0) {}
        make_frame(frame, 60, 1);
    }
    w32(n, A_CTRL, R_CTRL_RST_MASK);
    nic_enable(n);
    still_works(n);
    nic_stop(n);
}

static void test_bad_buffers(void)
{
    Nic *n = nic_running();
    uint8_t frame[100], in[100];

    tx_desc(n, 0, NO_MEMORY, 100 | R_TX_CMD_EOP_MASK | R_TX_CMD_RS_MASK, 0);
    tx_frame(n, 0, 1, frame, make_frame(frame, 100, 1));
    tx_doorbell(n, 0);
    g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 100);
    g_assert_true(tx_done(n, 0, 0));
    g_assert_cmpuint(guest_errors(n), ==, 1);
    qtest_writeq(n->qts, RX_RING(0), NO_MEMORY);
    wire_send_seen(n, frame, 100);
    g_assert_cmpuint(r32(n, A_MPC), ==, 1);
    g_assert_cmpuint(guest_errors(n), ==, 2);
    still_works(n);
    nic_stop(n);
}

static void set_master(Nic *n, bool on)
{
    uint16_t command = qpci_config_readw(n->dev, PCI_COMMAND) & ~PCI_COMMAND_MASTER;

    qpci_config_writew(n->dev, PCI_COMMAND, command | (on ? PCI_COMMAND_MASTER : 0));
}

/* Bus mastering off: nothing is read or written; switching it on sends what waits. */
static void test_bus_master(void)
{
    Nic *n = nic_running();
    uint8_t frame[100], in[100];

    set_master(n, false);
    tx_frame(n, 0, 0, frame, make_frame(frame, 100, 1));
    tx_doorbell(n, 0);
    wire_quiet(n);
    g_assert_cmpuint(r32(n, A_TDH), ==, 0);
    wire_send_seen(n, frame, 100);
    g_assert_cmpuint(r32(n, A_MPC), ==, 1);
    g_assert_false(rx_pending(n, 0));
    set_master(n, true);
    g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 100);
    still_works(n);
    nic_stop(n);
}

/* DMA at the device's own registers is refused, wherever it comes from. */
static void test_own_bar(void)
{
    Nic *n = nic_running();
    uint8_t frame[100];
    uint8_t reset[100];

    memset(reset, 0, sizeof(reset));
    make_frame(frame, 100, 1);
    for (unsigned i = 0; i < 14; i++) { /* a frame whose bytes are CTRL.RST wherever they land */
        reset[i] = 0xff;
    }
    for (unsigned i = 14; i < 100; i++) {
        reset[i] = i % 4 == 3 ? 0x04 : 0;
    }
    qtest_writeq(n->qts, RX_RING(0), n->bar);
    wire_send_seen(n, reset, 100);
    g_assert_cmphex(r32(n, A_RCTL) & R_RCTL_EN_MASK, ==, R_RCTL_EN_MASK);
    g_assert_cmpuint(r32(n, A_MPC), ==, 1);

    tx_desc(n, 0, n->bar, 64 | R_TX_CMD_EOP_MASK | R_TX_CMD_RS_MASK, 0);
    tx_doorbell(n, 0);
    wire_quiet(n);
    w32(n, A_TDBAL, n->bar + 0x5200); /* a ring in the multicast table */
    w32(n, A_TDT, n->tx_tail[0] + 1);
    wire_quiet(n);
    w32(n, A_RDBAL, n->bar + 0x5200);
    wire_send_seen(n, frame, 100);
    g_assert_cmpuint(r32(n, A_MPC), ==, 1);
    g_assert_cmpuint(guest_errors(n), >=, 4);
    still_works(n);
    nic_stop(n);
}

/* A message aimed at CTRL with data that says reset. */
static void test_own_message(void)
{
    Nic *n = nic_running();

    qtest_writel(n->qts, n->msix + 0, n->bar + A_CTRL);
    qtest_writel(n->qts, n->msix + 8, R_CTRL_RST_MASK);
    w32(n, A_EITR, 100 << 2);
    w32(n, A_EIMS, 1);
    w32(n, A_EICS, 1);
    w32(n, A_EICS, 1); /* and once more from the timer's bottom half */
    qtest_clock_step(n->qts, 200 * 1000);
    settle(n);
    g_assert_cmphex(r32(n, A_RCTL) & R_RCTL_EN_MASK, ==, R_RCTL_EN_MASK);
    g_assert_cmphex(r32(n, A_EIMS), ==, 1);
    still_works(n);
    nic_stop(n);
}

/* Every register written with patterns, then a reset: it still works. */
static void test_scribble(void)
{
    static const uint32_t patterns[] = {0xffffffff, 0, 0xa5a5a5a5, 0x5a5a5a5a};
    Nic *n = nic_running();

    for (unsigned i = 0; i < G_N_ELEMENTS(patterns); i++) {
        for (uint32_t at = 0; at < 128 * 1024; at += at < 0x6000 ? 4 : 0x10) {
            w32(n, at, patterns[i]);
        }
        for (uint32_t at = 8; at < 0x6000; at += 4) {
            g_assert_false(at != A_STATUS && at == A_EECD && r32(n, at) == 0xffffffff);
        }
    }
    w32(n, A_CTRL, R_CTRL_RST_MASK);
    phy_write(n, 0, 0x9140);
    nic_enable(n);
    w32(n, A_EIMC, 0xffffffff);
    still_works(n);
    nic_stop(n);
}

/*
 * Random programming, random descriptors, random frames, from a fixed seed: whatever happens, the
 * device survives it, and works after a reset.
 */
static void random_step(Nic *n, GRand *rand)
{
    static const uint32_t regs[] = {
        A_CTRL,   A_RCTL,   A_TCTL,   A_GPIE,  A_EICS,  A_EIMS,   A_EIMC, A_EIAC,
        A_EIAM,   A_EITR,   A_IVAR,   A_ICS,   A_IMS,   A_MRQC,   A_RETA, A_RSSRK,
        A_RLPML,  A_VET,    A_RXCSUM, A_RDBAL, A_RDBAH, A_RDLEN,  A_RDH,  A_RDT,
        A_SRRCTL, A_RXDCTL, A_TDBAL,  A_TDBAH, A_TDLEN, A_TDH,    A_TDT,  A_TXDCTL,
        A_TDWBAL, A_MDIC,   A_EERD,   A_VFTA,  A_MTA,   A_PBACLR,
    };
    uint32_t reg = regs[g_rand_int_range(rand, 0, G_N_ELEMENTS(regs))];
    uint32_t val = g_rand_int(rand) >> g_rand_int_range(rand, 0, 32);
    uint8_t frame[3000];
    size_t len;

    switch (g_rand_int_range(rand, 0, 8)) {
    case 0: /* wild */
        w32(n, reg, val);
        break;
    case 1: /* tame rings, so that something happens */
        rx_ring(n, 0, 64);
        rx_post(n, 0, g_rand_int_range(rand, 0, 64));
        tx_ring(n, 0, 64);
        break;
    case 2:
    case 3: /* a descriptor, mostly with sane address and random commands */
        tx_desc(n, 0, g_rand_int_range(rand, 0, 8) ? TX_BUF(0) : val,
                g_rand_int(rand) & (g_rand_boolean(rand) ? 0xffffffff : 0xffff07ff),
                g_rand_int(rand));
        tx_doorbell(n, 0);
        break;
    case 4:
    case 5:
        len = g_rand_int_range(rand, 14, sizeof(frame));
        make_udp4(frame, 100);
        for (int i = 0; i < 5; i++) {
            frame[g_rand_int_range(rand, 0, 60)] = g_rand_int(rand);
        }
        send(n->wire, (uint8_t[]){0, 0, len >> 8, len}, 4, MSG_NOSIGNAL);
        send(n->wire, frame, len, MSG_NOSIGNAL);
        break;
    case 6:
        qtest_clock_step(n->qts, g_rand_int_range(rand, 0, 1000000));
        break;
    case 7: /* mostly on */
        w32(n, A_RCTL, R_RCTL_EN_MASK | R_RCTL_UPE_MASK | R_RCTL_BAM_MASK | (val & 0xffffffc0));
        w32(n, A_TCTL, R_TCTL_EN_MASK);
        break;
    }
    while (recv(n->wire, frame, sizeof(frame), MSG_DONTWAIT) > 0) {}
}

static void test_random(void)
{
    for (uint32_t seed = 1; seed <= 8; seed++) {
        GRand *rand = g_rand_new_with_seed(seed);
        Nic *n = nic_running();
        uint8_t frame[2048];

        for (int i = 0; i < 1500; i++) {
            random_step(n, rand);
        }
        w32(n, A_CTRL, R_CTRL_RST_MASK);
        phy_write(n, 0, 0x9140);
        wire_drained(n);
        while (recv(n->wire, frame, sizeof(frame), MSG_DONTWAIT) > 0) {}
        nic_enable(n);
        still_works(n);
        nic_stop(n);
        g_rand_free(rand);
    }
}

static void wait_migrated(Nic *n)
{
    for (int i = 0; i < 10000; i++) {
        QDict *response = qtest_qmp(n->qts, "{'execute': 'query-migrate'}");
        const char *status = qdict_get_try_str(qdict_get_qdict(response, "return"), "status");
        bool done = status && !strcmp(status, "completed");

        g_assert_true(!status || strcmp(status, "failed"));
        qobject_unref(response);
        if (done) {
            return;
        }
        g_usleep(10 * 1000);
    }
    g_assert_not_reached();
}

/* Rings with work in them, contexts, a held back interrupt and the link go along. */
static void test_migration(void)
{
    g_autofree char *file = g_strdup_printf("/tmp/igb-lite-migration-%d", getpid());
    g_autofree char *save = g_strdup_printf("exec:cat > %s", file),
                    *load = g_strdup_printf("exec:cat %s", file);
    Nic *a = nic_running(), *b;
    uint8_t frame[100], in[200];
    size_t len;

    w32(a, A_IVAR, 0x80808080);
    w32(a, A_EIAC, 0x3ff);
    w32(a, A_EIMS, 0x3ff);
    w32(a, A_EITR, 1000 << 2);
    w32(a, A_EICS, 1);
    w32(a, A_EICS, 1); /* held back by EITR */
    g_assert_true(message(a, 0));
    tx_context(a, 0, 14 << R_TX_CTX_LO_MACLEN_SHIFT | 0x0042u << 16, 0, 0);
    tx_desc(a, 0, TX_BUF(0), 50 | R_TX_CMD_DEXT_MASK | 3 << 20 | R_TX_CMD_VLE_MASK,
            0); /* half a packet */
    qtest_memwrite(a->qts, TX_BUF(0), frame, make_frame(frame, 100, 1));
    tx_doorbell(a, 0);
    qtest_qmp_assert_success(a->qts, "{'execute': 'migrate', 'arguments': {'uri': %s}}", save);
    wait_migrated(a);

    b = nic_start_args("-incoming defer");
    qtest_qmp_assert_success(b->qts, "{'execute': 'migrate-incoming', 'arguments': {'uri': %s}}",
                             load);
    qtest_qmp_eventwait(b->qts, "RESUME");
    unlink(file);
    memcpy(b->rx_size, a->rx_size, sizeof(a->rx_size));
    memcpy(b->tx_size, a->tx_size, sizeof(a->tx_size));
    memcpy(b->rx_tail, a->rx_tail, sizeof(a->rx_tail));
    memcpy(b->tx_tail, a->tx_tail, sizeof(a->tx_tail));
    b->bar = a->bar;

    g_assert_cmphex(r32(b, A_STATUS) & R_STATUS_LU_MASK, ==, R_STATUS_LU_MASK);
    g_assert_cmphex(r32(b, A_EIMS), ==, 0x3ff);
    g_assert_cmpuint(r32(b, A_TDH), ==, 1);
    settle(b);
    g_assert_false(message(b, 0));
    qtest_clock_step(b->qts, 100 * 1000 * 1000);
    wait_message(b, 0);
    tx_desc(b, 0, TX_BUF(0) + 50,
            50 | R_TX_CMD_DEXT_MASK | 3 << 20 | R_TX_CMD_EOP_MASK | R_TX_CMD_RS_MASK, 0);
    tx_doorbell(b, 0);
    do {
        len = wire_receive(b, in, sizeof(in));
    } while (lduw_be_p(in + 12) == 0x8035); /* QEMU announces the move by RARP */
    g_assert_cmpuint(len, ==, 104);
    g_assert_cmphex((uint32_t)ldl_be_p(in + 12), ==, 0x81000042);
    wire_send(b, frame, 100);
    rx_wait(b, 0, &r);
    g_assert_cmpmem(r.data, r.len, frame, 100);
    nic_stop(a);
    nic_stop(b);
}

/* A stopped machine sends nothing, and goes on where it was. */
static void test_stop_cont(void)
{
    Nic *n = nic_running();
    uint8_t frame[64], in[64];

    tx_ring(n, 0, 1024);
    make_frame(frame, 64, 0);
    qtest_memwrite(n->qts, TX_BUF(0), frame, 64);
    for (unsigned i = 0; i < 200;
         i++) { /* as many as the socket holds: a stop discards what waits for it */
        tx_desc(n, 0, TX_BUF(0), 64 | R_TX_CMD_EOP_MASK, 0);
    }
    tx_doorbell(n, 0);
    qtest_qmp_assert_success(n->qts, "{'execute': 'stop'}");
    qtest_qmp_assert_success(n->qts, "{'execute': 'cont'}");
    for (unsigned i = 0; i < 200; i++) {
        g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 64);
    }
    wire_quiet(n);
    nic_stop(n);
}

/* Plugged, used and unplugged, again and again. */
static void test_hotplug(void)
{
    QTestState *qts =
        qtest_init("-M q35 -nodefaults -device pcie-root-port,id=rp,chassis=1,slot=1");

    for (unsigned i = 0; i < 3; i++) {
        qtest_qmp_assert_success(qts,
                                 "{'execute': 'device_add', 'arguments': "
                                 "{'driver': %s, 'id': 'plugged', 'bus': 'rp', 'addr': '0'}}",
                                 nic_device());
        qtest_qmp_send(qts, "{'execute': 'device_del', 'arguments': {'id': 'plugged'}}");
        qobject_unref(qtest_qmp_receive(qts));
        qtest_system_reset_nowait(qts);
        qtest_qmp_eventwait(qts, "DEVICE_DELETED");
    }
    qtest_quit(qts);
}

void igb_lite_add_error_tests(void)
{
    qtest_add_func("igb-lite/error/ring-length", test_ring_length);
    qtest_add_func("igb-lite/error/ring-base", test_ring_base);
    qtest_add_func("igb-lite/error/no-memory", test_no_memory);
    qtest_add_func("igb-lite/error/bad-buffers", test_bad_buffers);
    qtest_add_func("igb-lite/error/bus-master", test_bus_master);
    qtest_add_func("igb-lite/error/own-bar", test_own_bar);
    qtest_add_func("igb-lite/error/own-message", test_own_message);
    qtest_add_func("igb-lite/error/scribble", test_scribble);
    qtest_add_func("igb-lite/error/random", test_random);
    qtest_add_func("igb-lite/life/migration", test_migration);
    qtest_add_func("igb-lite/life/stop-cont", test_stop_cont);
    qtest_add_func("igb-lite/life/hotplug", test_hotplug);
}

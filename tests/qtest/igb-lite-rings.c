/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: rings of the sizes that drivers choose, filled to the last descriptor and over
 * the end, with all their descriptors checked.
 */
#include "igb-lite.h"

static const unsigned sizes[] = {8, 80, 88, 128, 136, 256, 1024, 4096};

static Received r;

static void numbered(uint8_t *frame, size_t len, uint32_t number)
{
    make_frame(frame, len, number);
    stl_be_p(frame + 20, number);
}

/* As many frames as the ring holds, at once; again from where it wraps; then it is empty. */
static void test_tx(gconstpointer data)
{
    unsigned size = GPOINTER_TO_UINT(data), next = 0;
    Nic *n = nic_running();
    uint8_t frame[64], in[64];

    tx_ring(n, 0, size);
    for (unsigned round = 0; round < 3; round++) {
        unsigned count = round < 2 ? size - 1 : 3;

        for (unsigned i = 0; i < count; i++) {
            numbered(frame, 64, next + i);
            qtest_memwrite(n->qts, TX_BUF(0) + n->tx_tail[0] * 64, frame, 64);
            tx_desc(n, 0, TX_BUF(0) + n->tx_tail[0] * 64,
                    64 | R_TX_CMD_EOP_MASK | R_TX_CMD_RS_MASK | R_TX_CMD_DEXT_MASK | 3u << 20, 0);
        }
        tx_doorbell(n, 0);
        for (unsigned i = 0; i < count; i++, next++) {
            g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 64);
            numbered(frame, 64, next);
            g_assert_cmpmem(in, 64, frame, 64);
        }
        wait_reg(n, A_TDH, 0xffff, n->tx_tail[0]);
        for (unsigned i = 0; i < count; i++) {
            g_assert_true(tx_done(n, 0, (n->tx_tail[0] + size - 1 - i) % size));
        }
    }
    w32(n, A_TDT, n->tx_tail[0]); /* head = tail: nothing */
    wire_quiet(n);
    g_assert_cmpuint(guest_errors(n), ==, 0);
    nic_stop(n);
}

static void test_rx(gconstpointer data)
{
    unsigned size = GPOINTER_TO_UINT(data), next = 0;
    Nic *n = nic_running();
    uint8_t frame[64];

    rx_ring(n, 0, size);
    for (unsigned round = 0; round < 3; round++) {
        unsigned count = round < 2 ? size - 1 : 3;

        rx_post(n, 0, count);
        for (unsigned i = 0; i < count; i++, next++) { /* buffers repeat after 64 descriptors */
            numbered(frame, 64, next);
            wire_send(n, frame, 64);
            rx_wait(n, 0, &r);
            g_assert_cmpmem(r.data, r.len, frame, 64);
            g_assert_cmpuint(r.descs, ==, 1);
        }
        g_assert_cmpuint(r32(n, A_RDH), ==, n->rx_tail[0]); /* head = tail: nothing left */
        g_assert_cmpuint(r32(n, A_MPC), ==, 0);
    }
    g_assert_cmpuint(guest_errors(n), ==, 0);
    nic_stop(n);
}

/* Heads and tails of every kind that is not a place in the ring, for every size. */
static void test_beyond(void)
{
    Nic *n = nic_running();

    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        uint32_t beyond[] = {sizes[i], sizes[i] + 1, 0x7fff, 0xffff};

        for (unsigned b = 0; b < G_N_ELEMENTS(beyond); b++) {
            uint64_t before;

            tx_ring(n, 0, sizes[i]);
            rx_ring(n, 0, sizes[i]);
            before = guest_errors(n);
            w32(n, A_TDT, beyond[b]);
            w32(n, A_RDT, beyond[b]);
            g_assert_cmpuint(guest_errors(n), ==, before + 2);
            w32(n, A_TDT, 0);
            w32(n, A_TDH, beyond[b]);
            w32(n, A_TDT, 1);
            settle(n);
            g_assert_cmpuint(r32(n, A_TDH), ==, beyond[b]);
            g_assert_cmpuint(r32(n, A_TPT), ==, 0);
        }
    }
    nic_stop(n);
}

/* Lengths are multiples of 128 bytes; all others up to 4096 bytes are no rings. */
static void test_lengths(void)
{
    Nic *n = nic_running();

    for (uint32_t bytes = 0; bytes <= 4096; bytes += 16) {
        uint64_t before;

        w32(n, A_RXDCTL, 0);
        w32(n, A_RDH, 0);
        w32(n, A_RDT, 0);
        w32(n, A_RDLEN, bytes);
        before = guest_errors(n);
        w32(n, A_RXDCTL, R_RXDCTL_ENABLE_MASK);
        g_assert_cmpuint(guest_errors(n) - before, ==, !bytes || bytes % 128 ? 1 : 0);
    }
    nic_stop(n);
}

void igb_lite_add_ring_tests(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autofree char *tx = g_strdup_printf("igb-lite/ring/tx-%u", sizes[i]);
        g_autofree char *rx = g_strdup_printf("igb-lite/ring/rx-%u", sizes[i]);

        qtest_add_data_func(tx, GUINT_TO_POINTER(sizes[i]), test_tx);
        qtest_add_data_func(rx, GUINT_TO_POINTER(sizes[i]), test_rx);
    }
    qtest_add_func("igb-lite/ring/beyond", test_beyond);
    qtest_add_func("igb-lite/ring/lengths", test_lengths);
}

/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: interrupts. Messages go to guest memory; IAC counts them.
 */
#include "hw/pci/pci_regs.h"
#include "igb-lite.h"

#define VECTOR_CTRL(v) (16 * (v) + 12)
#define MSIX_CONTROL 0x72

/* RX and TX queue q cause vector v. */
static void map_queue(Nic *n, unsigned q, unsigned v)
{
    w32(n, A_IVAR + 4 * (q % 8), (0x80 | v) * 0x01010101u);
}

static void receive_one(Nic *n)
{
    uint8_t frame[60];
    static Received r;

    wire_send(n, frame, make_frame(frame, 60, 1));
    rx_wait(n, 0, &r);
    rx_post(n, 0, 1);
    settle(n);
}

/* Each of 16 RX and 16 TX queues has its own byte in IVAR. */
static void test_ivar(void)
{
    Nic *n = nic_running();
    uint8_t frame[60];

    make_frame(frame, 60, 1);
    phy_write(n, 0, 0x4140); /* loopback, so that nothing has to be read from the wire */
    for (unsigned q = 0; q < 16; q++) {
        w32(n, A_IVAR + 4 * (q % 8), 0x80u << (q < 8 ? 8 : 24) | (q % 10u) << (q < 8 ? 8 : 24));
        tx_ring(n, q, 8);
        r32(n, A_EICR);
        tx_frame(n, q, 0, frame, 60);
        tx_doorbell(n, q);
        g_assert_cmphex(r32(n, A_EICR), ==, 1u << q % 10);
        w32(n, A_IVAR + 4 * (q % 8), 0);
        tx_frame(n, q, 0, frame, 60);
        tx_doorbell(n, q);
        g_assert_cmphex(r32(n, A_EICR), ==, 0);
    }
    nic_stop(n);
}

static void test_ivar_rx(void)
{
    Nic *n = nic_running();
    uint8_t frame[100];
    static Received r;

    w32(n, A_MRQC, 2 | R_MRQC_UDP_IPV4_MASK);
    for (unsigned q = 0; q < 16; q++) {
        rx_ring(n, q, 8);
        rx_post(n, q, 7);
        for (unsigned i = 0; i < 128; i += 4) {
            w32(n, A_RETA + i, q * 0x01010101u);
        }
        w32(n, A_IVAR + 4 * (q % 8), (0x80u | q % 10) << (q < 8 ? 0 : 16));
        r32(n, A_EICR);
        wire_send(n, frame, make_udp4(frame, 20));
        rx_wait(n, q, &r);
        g_assert_cmphex(r32(n, A_EICR), ==, 1u << q % 10);
    }
    nic_stop(n);
}

/* A cause without EIMS waits in EICR; setting EIMS sends it, once. */
static void test_mask(void)
{
    Nic *n = nic_running();

    map_queue(n, 0, 3);
    receive_one(n);
    g_assert_false(message(n, 3));
    w32(n, A_EIAC, 1 << 3);
    w32(n, A_EIMS, 1 << 3);
    g_assert_true(message(n, 3));
    g_assert_cmphex(r32(n, A_EICR), ==, 0);
    w32(n, A_EIMS, 1 << 3);
    g_assert_false(message(n, 3));
    w32(n, A_EIMC, 1 << 3);
    g_assert_cmphex(r32(n, A_EIMS), ==, 0);
    receive_one(n);
    g_assert_false(message(n, 3));
    g_assert_cmpuint(messages(n), ==, 1);
    nic_stop(n);
}

/*
 * EIAC: the message clears its bit in EICR. Without it the bit stays, and further causes still
 * send.
 */
static void test_auto_clear(void)
{
    Nic *n = nic_running();

    map_queue(n, 0, 1);
    w32(n, A_EIMS, 1 << 1);
    w32(n, A_EIAC, 1 << 1);
    receive_one(n);
    wait_message(n, 1);
    g_assert_cmphex(r32(n, A_EICR), ==, 0);
    w32(n, A_EIAC, 0);
    receive_one(n);
    wait_message(n, 1);
    receive_one(n);
    wait_message(n, 1);
    g_assert_cmpuint(messages(n), ==, 3);
    w32(n, A_EIMS, 1 << 1); /* still in EICR: sent again */
    g_assert_true(message(n, 1));
    g_assert_cmphex(r32(n, A_EICR), ==, 1 << 1);
    w32(n, A_EIMS, 1 << 1); /* reading EICR has cleared it */
    g_assert_false(message(n, 1));
    nic_stop(n);
}

/*
 * EIAM with GPIE.EIAME: the message masks its vector until EIMS is written, which sends what came
 * meanwhile.
 */
static void test_auto_mask(void)
{
    Nic *n = nic_running();

    map_queue(n, 0, 2);
    w32(n, A_GPIE, R_GPIE_MSIX_MODE_MASK | R_GPIE_EIAME_MASK);
    w32(n, A_EIAC, 0xff);
    w32(n, A_EIAM, 1 << 2);
    w32(n, A_EIMS, 0xff);
    receive_one(n);
    wait_message(n, 2);
    g_assert_cmphex(r32(n, A_EIMS), ==, 0xff & ~(1 << 2));
    receive_one(n);
    receive_one(n);
    g_assert_false(message(n, 2));
    w32(n, A_EIMS, 1 << 2);
    g_assert_true(message(n, 2));
    g_assert_cmphex(r32(n, A_EIMS), ==, 0xff & ~(1 << 2));
    g_assert_cmpuint(messages(n), ==, 2);
    w32(n, A_GPIE, R_GPIE_MSIX_MODE_MASK); /* without EIAME, EIAM does nothing */
    w32(n, A_EIMS, 1 << 2);
    receive_one(n);
    wait_message(n, 2);
    g_assert_cmphex(r32(n, A_EIMS), ==, 0xff);
    nic_stop(n);
}

static void test_eics(void)
{
    Nic *n = nic_running();

    w32(n, A_EIAC, 0x3ff);
    w32(n, A_EIMS, 0x3ff);
    w32(n, A_EICS, 0x3ff);
    for (unsigned v = 0; v < 10; v++) {
        g_assert_true(message(n, v));
    }
    g_assert_cmpuint(messages(n), ==, 10);
    g_assert_cmpuint(guest_errors(n), ==, 0);
    w32(n, A_EIMS, 1 << 10); /* there is no vector 10 */
    w32(n, A_EICS, 1 << 10);
    g_assert_cmpuint(guest_errors(n), ==, 1);
    g_assert_cmpuint(messages(n), ==, 0);
    nic_stop(n);
}

/*
 * A vector masked in its table entry is pending in the PBA, and unmasking sends it once; the same
 * for the function.
 */
static void test_msix_mask(void)
{
    Nic *n = nic_running();

    w32(n, A_EIAC, 0x3ff);
    w32(n, A_EIMS, 0x3ff);
    qtest_writel(n->qts, n->msix + VECTOR_CTRL(4), 1);
    w32(n, A_EICS, 1 << 4);
    w32(n, A_EICS, 1 << 4);
    g_assert_true(qpci_msix_pending(n->dev, 4));
    g_assert_false(message(n, 4));
    qtest_writel(n->qts, n->msix + VECTOR_CTRL(4), 0);
    g_assert_true(message(n, 4));
    g_assert_false(qpci_msix_pending(n->dev, 4));
    qpci_config_writew(n->dev, MSIX_CONTROL, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL | 9);
    w32(n, A_EICS, 1 << 5);
    g_assert_true(qpci_msix_pending(n->dev, 5));
    qpci_config_writew(n->dev, MSIX_CONTROL, PCI_MSIX_FLAGS_ENABLE | 9);
    g_assert_true(message(n, 5));
    g_assert_false(message(n, 4));
    nic_stop(n);
}

static void test_pbaclr(void)
{
    Nic *n = nic_running();

    w32(n, A_EIAC, 0x3ff);
    w32(n, A_EIMS, 0x3ff);
    qtest_writel(n->qts, n->msix + VECTOR_CTRL(6), 1);
    w32(n, A_EICS, 1 << 6);
    g_assert_true(qpci_msix_pending(n->dev, 6));
    w32(n, A_PBACLR, 1 << 6);
    g_assert_false(qpci_msix_pending(n->dev, 6));
    qtest_writel(n->qts, n->msix + VECTOR_CTRL(6), 0);
    g_assert_false(message(n, 6));
    nic_stop(n);
}

/* Causes while MSI-X is off in config space are not lost: switching it on sends them. */
static void test_msix_enable(void)
{
    Nic *n = nic_running();

    w32(n, A_EIAC, 0x3ff);
    w32(n, A_EIMS, 0x3ff);
    qpci_config_writew(n->dev, MSIX_CONTROL, 9);
    w32(n, A_EICS, 1 << 7);
    g_assert_false(message(n, 7));
    qpci_config_writew(n->dev, MSIX_CONTROL, PCI_MSIX_FLAGS_ENABLE | 9);
    wait_message(n, 7);
    g_assert_cmpuint(messages(n), ==, 1);
    nic_stop(n);
}

static void throttled(Nic *n, unsigned v, uint32_t us)
{
    w32(n, A_EIAC, 0x3ff);
    w32(n, A_EIMS, 0x3ff);
    w32(n, A_EITR + 4 * v, us << 2);
    g_assert_cmphex(r32(n, A_EITR + 4 * v), ==, us << 2);
}

/*
 * EITR counts microseconds: the first message at once, the next when the interval has passed, none
 * without a cause.
 */
static void test_eitr(void)
{
    Nic *n = nic_running();

    throttled(n, 1, 162);
    w32(n, A_EICS, 1 << 1);
    g_assert_true(message(n, 1));
    w32(n, A_EICS, 1 << 1);
    g_assert_false(message(n, 1));
    g_assert_cmphex(qtest_readl(n->qts, n->bar + A_EIMS), ==, 0x3ff);
    qtest_clock_step(n->qts, 161 * 1000);
    settle(n);
    g_assert_false(message(n, 1));
    qtest_clock_step(n->qts, 1000);
    wait_message(n, 1);
    g_assert_cmpuint(messages(n), ==, 2);
    qtest_clock_step(n->qts, 10 * 1000 * 1000);
    g_assert_cmpuint(messages(n), ==, 0);
    w32(n, A_EICS, 1 << 1);
    g_assert_true(message(n, 1));
    nic_stop(n);
}

/*
 * tx-wait-us: a message that reports only sent packets waits for more of them, but not for a cause
 * of another kind, nor when a quarter of the ring is done.
 */
static void test_tx_wait(void)
{
    Nic *n = nic_start_args("-global igb-lite.tx-wait-us=200");
    uint8_t frame[64];

    nic_enable(n);
    tx_ring(n, 0, 64);
    make_frame(frame, 64, 1);
    w32(n, A_IVAR, (R_IVAR_VALID_MASK | 2) << 8);
    w32(n, A_EIAC, 0x3ff);
    w32(n, A_EIMS, 0x3ff);
    tx_frame(n, 0, 0, frame, 64);
    tx_doorbell(n, 0);
    qtest_clock_step(n->qts, 150 * 1000);
    tx_frame(n, 0, 1, frame, 64);
    tx_doorbell(n, 0);
    g_assert_true(tx_done(n, 0, 1)); /* the write-back does not wait */
    qtest_clock_step(n->qts, 49 * 1000);
    g_assert_cmpuint(messages(n), ==, 0);
    qtest_clock_step(n->qts, 1000);
    wait_message(n, 2);
    g_assert_cmpuint(messages(n), ==, 1);
    tx_frame(n, 0, 2, frame, 64);
    tx_doorbell(n, 0);
    g_assert_false(message(n, 2));
    w32(n, A_EICS, 1 << 2);
    g_assert_true(message(n, 2));
    for (unsigned i = 0; i < 16; i++) {
        g_assert_false(message(n, 2));
        tx_frame(n, 0, i, frame, 64);
        tx_doorbell(n, 0);
    }
    g_assert_true(message(n, 2));
    qtest_clock_step(n->qts, 1000 * 1000);
    g_assert_cmpuint(messages(n), ==, 2);
    nic_stop(n);
}

/* Causes all the time: at most one message per interval. */
static void test_eitr_rate(void)
{
    Nic *n = nic_running();
    uint32_t sent;

    throttled(n, 0, 100);
    for (unsigned i = 0; i < 500; i++) {
        w32(n, A_EICS, 1);
        qtest_clock_step(n->qts, 10 * 1000);
        r32(n, A_STATUS);
    }
    sent = messages(n);
    g_assert_cmpuint(sent, <=, 51); /* at 0, 100 ... 5000 us */
    g_assert_cmpuint(sent, >=, 40); /* the bottom half may be late against stepped time */
    nic_stop(n);
}

/* Vectors do not slow each other, interval 0 slows nothing. */
static void test_eitr_vectors(void)
{
    Nic *n = nic_running();

    throttled(n, 0, 1000);
    throttled(n, 1, 50);
    throttled(n, 2, 0);
    for (unsigned i = 0; i < 3; i++) {
        w32(n, A_EICS, 7);
    }
    g_assert_cmpuint(messages(n), ==, 1 + 1 + 3);
    qtest_clock_step(n->qts, 60 * 1000);
    settle(n);
    g_assert_cmpuint(messages(n), ==, 1);
    qtest_clock_step(n->qts, 1000 * 1000);
    settle(n);
    g_assert_cmpuint(messages(n), ==, 1);
    nic_stop(n);
}

/* Writing EITR ends the running interval, unless bit 31 says to leave it. */
static void test_eitr_write(void)
{
    Nic *n = nic_running();

    throttled(n, 1, 1000);
    w32(n, A_EICS, 1 << 1);
    w32(n, A_EICS, 1 << 1);
    g_assert_cmpuint(messages(n), ==, 1);
    w32(n, A_EITR + 4, 100 << 2 | R_EITR_CNT_IGNR_MASK);
    g_assert_cmpuint(messages(n), ==, 0);
    w32(n, A_EITR + 4, 100 << 2);
    g_assert_cmpuint(messages(n), ==, 1);
    nic_stop(n);
}

/* A reset with a message held back sends nothing, then or later. */
static void test_eitr_reset(void)
{
    Nic *n = nic_running();

    throttled(n, 1, 1000);
    w32(n, A_EICS, 1 << 1);
    w32(n, A_EICS, 1 << 1);
    g_assert_true(message(n, 1));
    w32(n, A_CTRL, R_CTRL_RST_MASK);
    qtest_clock_step(n->qts, 2000 * 1000);
    settle(n);
    g_assert_false(message(n, 1));
    nic_stop(n);
}

/* A reset of the device ends the running intervals too. */
static void test_eitr_fresh(void)
{
    Nic *n = nic_running();
    uint32_t bar = qpci_config_readl(n->dev, PCI_BASE_ADDRESS_0);

    throttled(n, 1, 8000);
    w32(n, A_EICS, 1 << 1);
    g_assert_true(message(n, 1));
    qpci_config_writew(n->dev, 0xa8, PCI_EXP_DEVCTL_BCR_FLR);
    qpci_config_writel(n->dev, PCI_BASE_ADDRESS_0, bar);
    qpci_config_writel(n->dev, PCI_BASE_ADDRESS_3, n->msix);
    qpci_device_enable(n->dev);
    qpci_config_writew(n->dev, MSIX_CONTROL, PCI_MSIX_FLAGS_ENABLE | 9);
    qtest_writel(n->qts, n->msix + 16, MSG_ADDR(1));
    qtest_writel(n->qts, n->msix + 24, MSG_VALUE + 1);
    qtest_writel(n->qts, n->msix + 28, 0);
    w32(n, A_GPIE, R_GPIE_MSIX_MODE_MASK);
    w32(n, A_EIMS, 1 << 1);
    w32(n, A_EICS, 1 << 1);
    g_assert_true(message(n, 1));
    nic_stop(n);
}

/* A masked cause sends nothing, also while another, which did, is still in ICR. */
static void test_other_masked(void)
{
    Nic *n = nic_running();

    w32(n, A_IVAR_MISC, 0x8900);
    w32(n, A_EIAC, 0x3ff);
    w32(n, A_EIMS, 0x3ff);
    w32(n, A_IMS, R_ICR_LSC_MASK);
    w32(n, A_ICS, R_ICR_LSC_MASK);
    g_assert_true(message(n, 9));
    w32(n, A_ICS, R_ICR_RXO_MASK);
    g_assert_false(message(n, 9));
    w32(n, A_ICS, R_ICR_LSC_MASK);
    g_assert_true(message(n, 9));
    nic_stop(n);
}

/* Link changes: ICR, IMS, IVAR_MISC. Reading ICR clears it. */
static void test_other(void)
{
    Nic *n = nic_running();

    w32(n, A_IVAR_MISC, 0x8900);
    w32(n, A_EIAC, 0x3ff);
    w32(n, A_EIMS, 0x3ff);
    phy_write(n, 0, 0x1940);
    g_assert_cmpuint(messages(n), ==, 0);
    g_assert_cmphex(r32(n, A_ICR), ==, R_ICR_LSC_MASK);
    g_assert_cmphex(r32(n, A_ICR), ==, 0);
    w32(n, A_IMS, R_ICR_LSC_MASK);
    phy_write(n, 0, 0x1140);
    qtest_clock_step(n->qts, 10 * 1000 * 1000);
    wait_message(n, 9);
    g_assert_cmphex(r32(n, A_ICR), ==, R_ICR_LSC_MASK | R_ICR_INTA_MASK);
    w32(n, A_ICS, R_ICR_RXO_MASK); /* not in IMS */
    g_assert_cmpuint(messages(n), ==, 1);
    w32(n, A_IMS, R_ICR_RXO_MASK);
    g_assert_true(message(n, 9));
    w32(n, A_ICR, R_ICR_RXO_MASK);
    g_assert_cmphex(r32(n, A_ICR), ==, 0);
    nic_stop(n);
}

/* Out of MSI-X mode every cause is in ICR and goes to vector 0. */
static void test_single_message(void)
{
    Nic *n = nic_running();

    w32(n, A_GPIE, 0);
    w32(n, A_IMS, R_ICR_RXDW_MASK);
    receive_one(n);
    wait_message(n, 0);
    g_assert_cmphex(r32(n, A_ICR), ==, R_ICR_RXDW_MASK | R_ICR_INTA_MASK);
    for (unsigned bit = 0; bit < 31; bit++) {
        w32(n, A_IMC, 0xffffffff);
        w32(n, A_IMS, 1u << bit);
        w32(n, A_ICS, 1u << bit);
        g_assert_true(message(n, 0));
        g_assert_cmphex(r32(n, A_ICR), ==, 1u << bit | R_ICR_INTA_MASK);
    }
    nic_stop(n);
}

static bool pin(Nic *n)
{
    return qpci_config_readw(n->dev, PCI_STATUS) & PCI_STATUS_INTERRUPT;
}

/* INTx is a level: ICR & IMS. */
static void test_pin(void)
{
    Nic *n = nic_running();

    w32(n, A_GPIE, 0);
    qpci_config_writew(n->dev, MSIX_CONTROL, 9);
    w32(n, A_IMS, R_ICR_RXDW_MASK);
    g_assert_false(pin(n));
    receive_one(n);
    g_assert_true(pin(n));
    w32(n, A_IMC, R_ICR_RXDW_MASK);
    g_assert_false(pin(n));
    w32(n, A_IMS, R_ICR_RXDW_MASK);
    g_assert_true(pin(n));
    qpci_config_writew(n->dev, MSIX_CONTROL, PCI_MSIX_FLAGS_ENABLE | 9);
    g_assert_cmpuint(messages(n), ==, 0); /* the pin has told it already */
    g_assert_false(message(n, 0));
    qpci_config_writew(n->dev, MSIX_CONTROL, 9);
    w32(n, A_IAM, R_ICR_RXDW_MASK);
    g_assert_cmphex(r32(n, A_ICR), ==, R_ICR_RXDW_MASK | R_ICR_INTA_MASK);
    g_assert_false(pin(n));
    g_assert_cmphex(r32(n, A_IMS), ==, 0); /* auto-masked by IAM */
    nic_stop(n);
}

void igb_lite_add_irq_tests(void)
{
    qtest_add_func("igb-lite/irq/ivar-tx", test_ivar);
    qtest_add_func("igb-lite/irq/ivar-rx", test_ivar_rx);
    qtest_add_func("igb-lite/irq/mask", test_mask);
    qtest_add_func("igb-lite/irq/auto-clear", test_auto_clear);
    qtest_add_func("igb-lite/irq/auto-mask", test_auto_mask);
    qtest_add_func("igb-lite/irq/eics", test_eics);
    qtest_add_func("igb-lite/irq/msix-mask", test_msix_mask);
    qtest_add_func("igb-lite/irq/pbaclr", test_pbaclr);
    qtest_add_func("igb-lite/irq/msix-enable", test_msix_enable);
    qtest_add_func("igb-lite/irq/tx-wait", test_tx_wait);
    qtest_add_func("igb-lite/irq/eitr", test_eitr);
    qtest_add_func("igb-lite/irq/eitr-rate", test_eitr_rate);
    qtest_add_func("igb-lite/irq/eitr-vectors", test_eitr_vectors);
    qtest_add_func("igb-lite/irq/eitr-write", test_eitr_write);
    qtest_add_func("igb-lite/irq/eitr-reset", test_eitr_reset);
    qtest_add_func("igb-lite/irq/eitr-fresh", test_eitr_fresh);
    qtest_add_func("igb-lite/irq/other", test_other);
    qtest_add_func("igb-lite/irq/other-masked", test_other_masked);
    qtest_add_func("igb-lite/irq/single-message", test_single_message);
    qtest_add_func("igb-lite/irq/pin", test_pin);
}

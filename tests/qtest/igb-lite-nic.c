/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: the machine, the NIC's rings, the wire, and frames.
 */
#include "hw/pci/pci_regs.h"
#include "igb-lite.h"
#include "libqos/pci-pc.h"
#include "qobject/qdict.h"
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>

#define PATIENCE_MS 100000 /* real time; only a failing test waits that long */
#define MSIX_CAP 0x70

uint32_t r32(Nic *n, uint32_t reg)
{
    return qtest_readl(n->qts, n->bar + reg);
}

void w32(Nic *n, uint32_t reg, uint32_t val)
{
    qtest_writel(n->qts, n->bar + reg, val);
}

const char *nic_device(void)
{
    return getenv("QTEST_NIC") ?: "igb-lite";
}

static void aim_messages(Nic *n)
{
    qpci_msix_enable(n->dev);
    n->msix = n->dev->msix_table_bar.addr;
    for (unsigned v = 0; v < IGB_LITE_VECTORS; v++) {
        qtest_writel(n->qts, n->msix + 16 * v, MSG_ADDR(v));
        qtest_writel(n->qts, n->msix + 16 * v + 4, 0);
        qtest_writel(n->qts, n->msix + 16 * v + 8, MSG_VALUE + v);
        qtest_writel(n->qts, n->msix + 16 * v + 12, 0);
        qtest_writel(n->qts, MSG_ADDR(v), 0);
    }
}

Nic *nic_start_args(const char *args)
{
    Nic *n = g_new0(Nic, 1);
    int pair[2];

    g_assert_cmpint(socketpair(PF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
    n->qts = qtest_initf("-M q35 -nodefaults -m 128 -netdev socket,fd=%d,id=net0 "
                         "-device %s,id=nic,netdev=net0,addr=4,mac=52:54:00:aa:bb:cc "
                         "-global igb-lite.autoneg-ms=5 -global igb-lite.tx-wait-us=0 %s",
                         pair[1], nic_device(), args);
    close(pair[1]);
    n->wire = pair[0];
    n->bus = qpci_new_pc(n->qts, NULL);
    n->dev = qpci_device_find(n->bus, QPCI_DEVFN(4, 0));
    g_assert_nonnull(n->dev);
    n->bar = qpci_iomap(n->dev, 0, NULL).addr;
    qpci_device_enable(n->dev);
    aim_messages(n);
    return n;
}

Nic *nic_start(void)
{
    return nic_start_args("");
}

void nic_stop(Nic *n)
{
    g_free(n->dev);
    qpci_free_pc(n->bus);
    qtest_quit(n->qts);
    close(n->wire);
    g_free(n);
}

void settle(Nic *n)
{
    for (int i = 0; i < 5; i++) {
        r32(n, A_STATUS);
        g_usleep(500);
    }
}

void wait_reg(Nic *n, uint32_t reg, uint32_t mask, uint32_t val)
{
    for (int i = 0; i < PATIENCE_MS * 5 && (r32(n, reg) & mask) != val; i++) {
        g_usleep(200);
    }
    g_assert_cmphex(r32(n, reg) & mask, ==, val);
}

void wait_count(Nic *n, uint32_t reg, uint32_t val)
{
    uint32_t sum = r32(n, reg);

    for (int i = 0; i < PATIENCE_MS * 5 && sum < val; i++) {
        g_usleep(200);
        sum += r32(n, reg);
    }
    g_assert_cmpuint(sum, ==, val);
}

void link_up(Nic *n)
{
    if (strcmp(nic_device(), "igb-lite")) { /* others do not negotiate unasked, and take 500 ms */
        phy_write(n, 0, 0x1340);
        qtest_clock_step(n->qts, 900 * 1000 * 1000);
    }
    qtest_clock_step(n->qts, 20 * 1000 * 1000);
    wait_reg(n, A_STATUS, R_STATUS_LU_MASK, R_STATUS_LU_MASK);
    r32(n, A_ICR);
}

void nic_enable(Nic *n)
{
    link_up(n);
    w32(n, A_RCTL, R_RCTL_EN_MASK | R_RCTL_BAM_MASK | R_RCTL_LPE_MASK | R_RCTL_SECRC_MASK);
    w32(n, A_TCTL, r32(n, A_TCTL) | R_TCTL_EN_MASK);
    w32(n, A_GPIE, R_GPIE_MSIX_MODE_MASK);
}

Nic *nic_running(void)
{
    Nic *n = nic_start();

    nic_enable(n);
    rx_ring(n, 0, 64);
    rx_post(n, 0, 63);
    tx_ring(n, 0, 64);
    return n;
}

uint64_t guest_errors(Nic *n)
{
    QDict *response =
        qtest_qmp(n->qts, "{'execute': 'qom-get', 'arguments': "
                          "{'path': '/machine/peripheral/nic', 'property': 'guest-errors'}}");
    uint64_t count = qdict_get_int(response, "return");

    qobject_unref(response);
    return count;
}

void phy_write(Nic *n, unsigned reg, uint16_t val)
{
    w32(n, A_MDIC, val | reg << 16 | 1 << 21 | 1 << 26);
    g_assert_cmphex(r32(n, A_MDIC) & (R_MDIC_READY_MASK | R_MDIC_ERROR_MASK), ==,
                    R_MDIC_READY_MASK);
}

uint16_t phy_read(Nic *n, unsigned reg)
{
    w32(n, A_MDIC, reg << 16 | 1 << 21 | 2 << 26);
    g_assert_cmphex(r32(n, A_MDIC) & (R_MDIC_READY_MASK | R_MDIC_ERROR_MASK), ==,
                    R_MDIC_READY_MASK);
    return r32(n, A_MDIC);
}

void rx_ring(Nic *n, unsigned q, uint32_t size)
{
    uint32_t at = q * 0x40;

    w32(n, A_RXDCTL + at, 0);
    w32(n, A_RDBAL + at, RX_RING(q));
    w32(n, A_RDBAH + at, 0);
    w32(n, A_RDLEN + at, size * 16);
    w32(n, A_RDH + at, 0);
    w32(n, A_RDT + at, 0);
    w32(n, A_SRRCTL + at, 1 << R_SRRCTL_DESCTYPE_SHIFT | 2);
    w32(n, A_RXDCTL + at, R_RXDCTL_ENABLE_MASK);
    n->rx_size[q] = size;
    n->rx_tail[q] = n->rx_next[q] = 0;
}

void rx_post(Nic *n, unsigned q, uint32_t count)
{
    for (; count; count--) {
        uint64_t slot = RX_RING(q) + n->rx_tail[q] * 16;

        qtest_writeq(n->qts, slot, RX_BUF(q * 64 + n->rx_tail[q] % 64));
        qtest_writeq(n->qts, slot + 8, 0);
        n->rx_tail[q] = (n->rx_tail[q] + 1) % n->rx_size[q];
    }
    w32(n, A_RDT + q * 0x40, n->rx_tail[q]);
}

bool rx_pending(Nic *n, unsigned q)
{
    return qtest_readq(n->qts, RX_RING(q) + n->rx_next[q] * 16 + 8) & R_RX_STATUS_DD_MASK;
}

void rx_wait(Nic *n, unsigned q, Received *r)
{
    *r = (Received){};
    do {
        uint64_t slot = RX_RING(q) + n->rx_next[q] * 16, info;
        size_t len;

        for (int i = 0; i < PATIENCE_MS * 5 && !rx_pending(n, q); i++) {
            g_usleep(200);
        }
        r->status = qtest_readq(n->qts, slot + 8);
        g_assert_cmphex(r->status & R_RX_STATUS_DD_MASK, ==, R_RX_STATUS_DD_MASK);
        info = qtest_readq(n->qts, slot);
        r->info = info;
        r->hash = info >> 32;
        len = r->status >> 32 & 0xffff;
        qtest_memread(n->qts, RX_BUF(q * 64 + n->rx_next[q] % 64), r->data + r->len, len);
        r->len += len;
        r->descs++;
        n->rx_next[q] = (n->rx_next[q] + 1) % n->rx_size[q];
    } while (!(r->status & R_RX_STATUS_EOP_MASK));
}

void tx_ring(Nic *n, unsigned q, uint32_t size)
{
    uint32_t at = q * 0x40;

    w32(n, A_TXDCTL + at, 0);
    w32(n, A_TDBAL + at, TX_RING(q));
    w32(n, A_TDBAH + at, 0);
    w32(n, A_TDLEN + at, size * 16);
    w32(n, A_TDH + at, 0);
    w32(n, A_TDT + at, 0);
    w32(n, A_TXDCTL + at, R_TXDCTL_ENABLE_MASK);
    n->tx_size[q] = size;
    n->tx_tail[q] = 0;
}

void tx_desc(Nic *n, unsigned q, uint64_t addr, uint32_t cmd, uint32_t olinfo)
{
    uint64_t slot = TX_RING(q) + n->tx_tail[q] * 16;

    qtest_writeq(n->qts, slot, addr);
    qtest_writeq(n->qts, slot + 8, cmd | (uint64_t)olinfo << 32);
    n->tx_tail[q] = (n->tx_tail[q] + 1) % n->tx_size[q];
}

void tx_doorbell(Nic *n, unsigned q)
{
    w32(n, A_TDT + q * 0x40, n->tx_tail[q]);
}

void tx_context(Nic *n, unsigned q, uint32_t lo, uint32_t cmd, uint32_t l4len_mss)
{
    tx_desc(n, q, lo, cmd | R_TX_CMD_DEXT_MASK | IGB_LITE_TX_CONTEXT << R_TX_CMD_TYPE_SHIFT,
            l4len_mss);
}

void tx_frame(Nic *n, unsigned q, unsigned i, const void *frame, size_t len)
{
    qtest_memwrite(n->qts, TX_BUF(i), frame, len);
    tx_desc(n, q, TX_BUF(i),
            len | R_TX_CMD_EOP_MASK | R_TX_CMD_RS_MASK | R_TX_CMD_DEXT_MASK |
                IGB_LITE_TX_DATA << R_TX_CMD_TYPE_SHIFT,
            len << R_TX_OL_PAYLEN_SHIFT);
}

bool tx_done(Nic *n, unsigned q, uint32_t index)
{
    return qtest_readl(n->qts, TX_RING(q) + index * 16 + 12) & R_TX_OL_DD_MASK;
}

/* The socket netdev's framing: the length, big-endian, then the frame. */
void wire_send(Nic *n, const void *frame, size_t len)
{
    g_autofree uint8_t *packet = g_malloc(4 + len);

    stl_be_p(packet, len);
    memcpy(packet + 4, frame, len);
    g_assert_cmpint(send(n->wire, packet, 4 + len, MSG_NOSIGNAL), ==, 4 + len);
}

static void receive_all(Nic *n, void *buf, size_t len)
{
    struct pollfd p = {.fd = n->wire, .events = POLLIN};

    while (len) {
        ssize_t got;

        g_assert_cmpint(poll(&p, 1, PATIENCE_MS), ==, 1);
        got = recv(n->wire, buf, len, 0);
        g_assert_cmpint(got, >, 0);
        buf += got;
        len -= got;
    }
}

size_t wire_receive(Nic *n, void *frame, size_t size)
{
    uint32_t len;

    receive_all(n, &len, sizeof(len));
    len = be32_to_cpu(len);
    g_assert_cmpuint(len, <=, size);
    receive_all(n, frame, len);
    return len;
}

void wire_quiet(Nic *n)
{
    struct pollfd p = {.fd = n->wire, .events = POLLIN};

    settle(n);
    g_assert_cmpint(poll(&p, 1, 20), ==, 0);
}

void wire_drained(Nic *n)
{
    int unread = 1;

    for (int i = 0; i < PATIENCE_MS * 5 && unread; i++) {
        g_assert_cmpint(ioctl(n->wire, SIOCOUTQ, &unread), ==, 0);
        g_usleep(200);
    }
    g_assert_cmpint(unread, ==, 0);
    settle(n);
}

void wire_send_seen(Nic *n, const void *frame, size_t len)
{
    r32(n, A_TPR);
    wire_send(n, frame, len);
    wait_count(n, A_TPR, 1);
}

bool message(Nic *n, unsigned v)
{
    uint32_t val = qtest_readl(n->qts, MSG_ADDR(v));

    qtest_writel(n->qts, MSG_ADDR(v), 0);
    g_assert(val == 0 || val == MSG_VALUE + v);
    return val;
}

void wait_message(Nic *n, unsigned v)
{
    bool got = message(n, v);

    for (int i = 0; i < PATIENCE_MS * 5 && !got; i++) {
        g_usleep(200);
        got = message(n, v);
    }
    g_assert_true(got);
}

uint32_t messages(Nic *n)
{
    settle(n);
    return r32(n, A_IAC);
}

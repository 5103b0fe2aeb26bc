/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: DMA aimed at configuration space, by which the device resets or unplugs itself
 * in the middle of a frame, and DMA while the memory map changes.
 */
#include "hw/pci/pci_regs.h"
#include "igb-lite.h"
#include "qobject/qdict.h"

#define ECAM 0xb0000000ull
#define MCH_PCIEXBAR 0x60
#define PCIE_CAP 0xa0 /* of igb-lite */
#define ROOT_PORT_BAR 0xfe000000u

/* Address in configuration space of a register of function 0. */
static uint64_t config(unsigned bus, unsigned slot, unsigned reg)
{
    return ECAM + (bus << 20) + (slot << 15) + reg;
}

static void ecam_enable(QTestState *qts)
{
    qtest_outl(qts, 0xcf8, 0x80000000 | MCH_PCIEXBAR);
    qtest_outl(qts, 0xcfc, ECAM | 1);
    g_assert_cmphex(qtest_readw(qts, config(0, 4, PCI_VENDOR_ID)), ==, 0x8086);
}

/* A broadcast frame whose bytes at offset are those of val. */
static void frame_with(uint8_t *frame, size_t len, unsigned offset, uint32_t val, unsigned size)
{
    memset(frame, 0, len);
    memset(frame, 0xff, 6);
    stl_le_p(frame + offset, val);
    memset(frame + offset + size, 0, len - offset - size);
}

static void nic_again(Nic *n, uint32_t bar)
{
    uint8_t frame[100];
    Received r;

    qpci_config_writel(n->dev, PCI_BASE_ADDRESS_0, bar);
    qpci_device_enable(n->dev);
    nic_enable(n);
    rx_ring(n, 0, 64);
    rx_post(n, 0, 63);
    wire_send(n, frame, make_frame(frame, 100, 5));
    rx_wait(n, 0, &r);
    g_assert_cmpmem(r.data, r.len, frame, 100);
}

/* A received frame is stored over the device's own PCIe capability and asks for an FLR. */
static void test_flr_by_rx(void)
{
    Nic *n = nic_running();
    uint32_t bar = qpci_config_readl(n->dev, PCI_BASE_ADDRESS_0);
    uint8_t frame[64];

    ecam_enable(n->qts);
    frame_with(frame, 64, 16, PCI_EXP_DEVCTL_BCR_FLR, 2);
    qtest_writeq(n->qts, RX_RING(0), config(0, 4, PCIE_CAP + PCI_EXP_DEVCTL - 16));
    wire_send(n, frame, 64);
    wire_drained(n);
    g_assert_cmphex(qpci_config_readw(n->dev, PCI_COMMAND) & PCI_COMMAND_MASTER, ==, 0);
    qpci_config_writel(n->dev, PCI_BASE_ADDRESS_0, bar);
    qpci_device_enable(n->dev);
    g_assert_cmphex(r32(n, A_RCTL), ==, 0);
    g_assert_cmphex(r32(n, A_RDT), ==, 0);
    nic_again(n, bar);
    nic_stop(n);
}

/* The same by a message: between two vectors of one delivery. */
static void test_flr_by_message(void)
{
    Nic *n = nic_running();
    uint32_t bar = qpci_config_readl(n->dev, PCI_BASE_ADDRESS_0);

    ecam_enable(n->qts);
    qtest_writel(n->qts, n->msix, config(0, 4, PCIE_CAP + PCI_EXP_DEVCTL));
    qtest_writel(n->qts, n->msix + 8, PCI_EXP_DEVCTL_BCR_FLR);
    w32(n, A_EIMS, 0x3ff);
    w32(n, A_EICS, 0x3ff);
    qpci_config_writel(n->dev, PCI_BASE_ADDRESS_0, bar);
    qpci_device_enable(n->dev);
    g_assert_cmphex(r32(n, A_EIMS), ==, 0);
    g_assert_cmphex(r32(n, A_EICR), ==, 0);
    nic_again(n, bar);
    nic_stop(n);
}

/* A head write-back that takes bus mastering away: what follows waits until it is back. */
static void test_master_off_by_write_back(void)
{
    Nic *n = nic_running();
    uint8_t frame[100], in[100];

    ecam_enable(n->qts);
    for (unsigned i = 0; i < 4; i++) {
        tx_frame(n, 0, i, frame, make_frame(frame, 100, i));
    }
    w32(n, A_TDWBAH, 0);
    w32(n, A_TDWBAL, config(0, 4, PCI_COMMAND) | 1);
    tx_doorbell(n, 0); /* head 1 as the command register: no memory, no bus master */
    g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 100);
    wire_quiet(n);
    g_assert_cmphex(qpci_config_readw(n->dev, PCI_COMMAND), ==, PCI_COMMAND_IO);
    qpci_config_writew(n->dev, PCI_COMMAND, PCI_COMMAND_MEMORY);
    w32(n, A_TDWBAL, 0);
    qpci_device_enable(n->dev);
    for (unsigned i = 1; i < 4; i++) {
        g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, 100);
        make_frame(frame, 100, i);
        g_assert_cmpmem(in, 100, frame, 100);
    }
    nic_stop(n);
}

/* Behind a root port, whose slot control powers the device off. */
static QTestState *start_behind_root_port(int wire, uint64_t *bar)
{
    QTestState *qts = qtest_initf(
        "-M q35 -nodefaults -m 128 -global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off "
        "-netdev socket,fd=%d,id=net0 -device pcie-root-port,id=rp,chassis=1,slot=1,addr=4 "
        "-device igb-lite,id=nic,netdev=net0,bus=rp,mac=52:54:00:aa:bb:cc,autoneg-ms=5",
        wire);

    qtest_outl(qts, 0xcf8, 0x80000000 | MCH_PCIEXBAR);
    qtest_outl(qts, 0xcfc, ECAM | 1);
    qtest_writel(qts, config(0, 4, PCI_PRIMARY_BUS), 0x00010100);
    qtest_writel(qts, config(0, 4, PCI_MEMORY_BASE), (ROOT_PORT_BAR >> 16) * 0x10001);
    qtest_writew(qts, config(0, 4, PCI_COMMAND), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    g_assert_cmphex(qtest_readl(qts, config(1, 0, PCI_VENDOR_ID)), ==, 0x10c98086);
    qtest_writel(qts, config(1, 0, PCI_BASE_ADDRESS_0), ROOT_PORT_BAR);
    qtest_writew(qts, config(1, 0, PCI_COMMAND), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    *bar = ROOT_PORT_BAR;
    return qts;
}

static unsigned slot_control(QTestState *qts)
{
    unsigned cap = qtest_readb(qts, config(0, 4, PCI_CAPABILITY_LIST));

    while (qtest_readb(qts, config(0, 4, cap)) != PCI_CAP_ID_EXP) {
        cap = qtest_readb(qts, config(0, 4, cap + 1));
    }
    return cap + PCI_EXP_SLTCTL;
}

/* Frames in both directions; one write of theirs hits the slot control. */
static void unplug(bool by_rx)
{
    int pair[2];
    uint64_t bar;
    QTestState *qts;
    Nic n = {};
    uint8_t frame[64];
    unsigned control, value;

    g_assert_cmpint(socketpair(PF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
    qts = start_behind_root_port(pair[1], &bar);
    close(pair[1]);
    n = (Nic){.qts = qts, .bar = bar, .wire = pair[0]};
    nic_enable(&n);
    rx_ring(&n, 0, 64);
    rx_post(&n, 0, 63);
    tx_ring(&n, 0, 64);
    control = slot_control(qts);
    value = qtest_readw(qts, config(0, 4, control)) | PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PIC;
    frame_with(frame, 64, 16, value, 2);
    if (by_rx) {
        qtest_writeq(qts, RX_RING(0), config(0, 4, control - 16));
        wire_send(&n, frame, 64);
    } else { /* looped back, so that a doorbell is in progress */
        w32(&n, A_RCTL, r32(&n, A_RCTL) | 1 << R_RCTL_LBM_SHIFT);
        qtest_writeq(qts, RX_RING(0), config(0, 4, control - 16));
        for (unsigned i = 0; i < 8; i++) {
            tx_frame(&n, 0, i, frame, 64);
        }
        tx_doorbell(&n, 0);
    }
    qtest_qmp_eventwait(qts, "DEVICE_DELETED");
    g_assert_cmphex(qtest_readl(qts, config(1, 0, PCI_VENDOR_ID)), ==, 0xffffffff);
    wire_send(&n, frame, 64);
    settle(&n);
    qtest_quit(qts);
    close(pair[0]);
}

static void test_unplug_by_rx(void)
{
    unplug(true);
}

static void test_unplug_by_loopback(void)
{
    unplug(false);
}

/* Windows on guest memory close when it is no longer there: bus mastering off and on in traffic. */
static void test_map_changes(void)
{
    Nic *n = nic_running();
    uint8_t frame[100];
    Received r;

    for (unsigned i = 0; i < 20; i++) {
        uint16_t command = qpci_config_readw(n->dev, PCI_COMMAND);

        wire_send(n, frame, make_frame(frame, 100, i));
        rx_wait(n, 0, &r);
        g_assert_cmpmem(r.data, r.len, frame, 100);
        qpci_config_writew(n->dev, PCI_COMMAND, command & ~PCI_COMMAND_MASTER);
        wire_send_seen(n, frame, 100);
        g_assert_false(rx_pending(n, 0));
        g_assert_cmpuint(r32(n, A_MPC), ==, 1);
        qpci_config_writew(n->dev, PCI_COMMAND, command);
        rx_post(n, 0, 1);
    }
    nic_stop(n);
}

void igb_lite_add_dma_tests(void)
{
    qtest_add_func("igb-lite/dma/flr-by-rx", test_flr_by_rx);
    qtest_add_func("igb-lite/dma/flr-by-message", test_flr_by_message);
    qtest_add_func("igb-lite/dma/master-off-by-write-back", test_master_off_by_write_back);
    qtest_add_func("igb-lite/dma/unplug-by-rx", test_unplug_by_rx);
    qtest_add_func("igb-lite/dma/unplug-by-loopback", test_unplug_by_loopback);
    qtest_add_func("igb-lite/dma/map-changes", test_map_changes);
}

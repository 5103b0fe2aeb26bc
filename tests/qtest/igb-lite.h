/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: a machine with one NIC whose wire is a socket pair, and what all test files
 * need to drive it. The clock is QEMU's virtual one and stands still but for qtest_clock_step(). A
 * failed assertion ends the program; tests/qtest/run gives each case a program of its own.
 */
#ifndef IGB_LITE_TEST_H
#define IGB_LITE_TEST_H

#include "qemu/osdep.h"

#include "../../../hw/net/igb-lite/igb_lite_regs.h"
#include "libqos/pci.h"
#include "libqtest.h"
#include "qemu/bswap.h"

/* Where things are in guest memory (128 MiB). */
#define RX_RING(q) (0x1000000 + (q)*0x100000ull)
#define TX_RING(q) (0x1080000 + (q)*0x100000ull)
#define RX_BUF(i) (0x3000000 + (i)*0x4000ull)
#define TX_BUF(i) (0x5000000 + (i)*0x4000ull)
#define MSG_ADDR(v) (0x0f00000 + (v)*4ull) /* vector v's message: MSG_VALUE + v is written here */
#define MSG_VALUE 0x5a00
#define NO_MEMORY 0x0000700000000000ull /* nothing answers at this address */

#define NIC_MAC 0x52, 0x54, 0x00, 0xaa, 0xbb, 0xcc
#define PEER_MAC 0x52, 0x54, 0x00, 0x11, 0x22, 0x33
#define BROADCAST 0xff, 0xff, 0xff, 0xff, 0xff, 0xff

typedef struct Nic {
    QTestState *qts;
    QPCIBus *bus;
    QPCIDevice *dev;
    uint64_t bar;  /* address of BAR0 */
    uint64_t msix; /* of BAR3 */
    int wire;      /* the other end of the NIC's cable */
    uint32_t rx_tail[IGB_LITE_QUEUES], rx_next[IGB_LITE_QUEUES], rx_size[IGB_LITE_QUEUES];
    uint32_t tx_tail[IGB_LITE_QUEUES], tx_size[IGB_LITE_QUEUES];
} Nic;

/* A received packet's last descriptor. */
typedef struct Received {
    uint32_t info;
    uint32_t hash;
    uint64_t status;
    unsigned descs;
    size_t len;
    uint8_t data[16 * 1024];
} Received;

/*
 * Machine up and down. nic_start: BARs mapped, bus master and MSI-X on, all vectors aimed at
 * MSG_ADDR; the NIC as reset left it.
 */
Nic *nic_start(void);
/* The device under test: igb-lite, or what QTEST_NIC says. */
const char *nic_device(void);
Nic *nic_start_args(const char *args);
void nic_stop(Nic *n);
/* Link up, RCTL.EN (with BAM, LPE, SECRC), TCTL.EN, MSI-X mode. */
void nic_enable(Nic *n);
/* nic_start + nic_enable + one RX ring (posted) and TX ring of 64. */
Nic *nic_running(void);

uint32_t r32(Nic *n, uint32_t reg);
void w32(Nic *n, uint32_t reg, uint32_t val);
void link_up(Nic *n);
uint64_t guest_errors(Nic *n);
void phy_write(Nic *n, unsigned reg, uint16_t val);
uint16_t phy_read(Nic *n, unsigned reg);
/* Waits, up to seconds of real time, until (r32(reg) & mask) == val. */
void wait_reg(Nic *n, uint32_t reg, uint32_t mask, uint32_t val);
/* Waits until a counter that reading clears has added up to val. */
void wait_count(Nic *n, uint32_t reg, uint32_t val);
/* Gives bottom halves their turn. */
void settle(Nic *n);

/* Rings. */
void rx_ring(Nic *n, unsigned q, uint32_t size);
void rx_post(Nic *n, unsigned q, uint32_t count);
void tx_ring(Nic *n, unsigned q, uint32_t size);
void tx_desc(Nic *n, unsigned q, uint64_t addr, uint32_t cmd, uint32_t olinfo);
void tx_doorbell(Nic *n, unsigned q);
void tx_context(Nic *n, unsigned q, uint32_t lo, uint32_t cmd, uint32_t l4len_mss);
/* One frame in one descriptor with RS, from buffer i. */
void tx_frame(Nic *n, unsigned q, unsigned i, const void *frame, size_t len);
bool tx_done(Nic *n, unsigned q, uint32_t index);

/* The wire. */
void wire_send(Nic *n, const void *frame, size_t len);
size_t wire_receive(Nic *n, void *frame, size_t size);
void wire_quiet(Nic *n);
/* Until QEMU has taken all that was sent. */
void wire_drained(Nic *n);
/* Sends one frame and waits until the NIC has seen it (TPR, which is cleared). */
void wire_send_seen(Nic *n, const void *frame, size_t len);
/* Waits for the next packet of a queue. */
void rx_wait(Nic *n, unsigned q, Received *r);
bool rx_pending(Nic *n, unsigned q);

/* Frames. */
size_t make_frame(uint8_t *frame, size_t len, uint8_t seed);
void make_eth(uint8_t *frame, const uint8_t dst[6], uint16_t type);
uint16_t ones_sum(const uint8_t *p, size_t len, uint32_t seed);
size_t make_ip4(uint8_t *frame, uint8_t protocol, const uint8_t *payload, size_t len);
size_t make_udp4(uint8_t *frame, size_t payload);
size_t make_tcp4(uint8_t *frame, size_t payload);
uint16_t l4_sum4(const uint8_t *frame);

/*
 * Messages: has vector v sent one since the last call; exactly how many (IAC) since the last call.
 */
bool message(Nic *n, unsigned v);
void wait_message(Nic *n, unsigned v);
uint32_t messages(Nic *n);

void igb_lite_add_reg_tests(void);
void igb_lite_add_tx_tests(void);
void igb_lite_add_offload_tests(void);
void igb_lite_add_rx_tests(void);
void igb_lite_add_filter_tests(void);
void igb_lite_add_irq_tests(void);
void igb_lite_add_error_tests(void);
void igb_lite_add_log_tests(void);
void igb_lite_add_fault_tests(void);
void igb_lite_add_rss6_tests(void);
void igb_lite_add_systim_tests(void);
void igb_lite_add_wait_tests(void);
void igb_lite_add_beside_tests(void);
void igb_lite_add_ring_tests(void);
void igb_lite_add_desc_tests(void);
void igb_lite_add_cve_tests(void);
void igb_lite_add_segment_tests(void);
void igb_lite_add_migrate_tests(void);
void igb_lite_add_table_tests(void);
void igb_lite_add_dma_tests(void);

#endif

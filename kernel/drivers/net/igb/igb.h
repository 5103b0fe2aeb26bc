// SPDX-License-Identifier: MIT
// The driver of the Intel 82576, in igb-lite and in QEMU's stock igb. Linux: drivers/net/ethernet/intel/igb/ (atlas §4, §5, §11.8).
// One queue pair (RX ring, TX ring) and one MSI-X vector per CPU, plus vector 0 for link changes.
//   hard IRQ  igb_msix_ring, igb_msix_other: schedule, nothing else
//   softirq   igb_poll → igb_clean_tx_irq, igb_clean_rx_irq (owner of the vector's NAPI context)
//   process   open, close, statistics (rtnl); igb_xmit_frame with BHs off under the queue's xmit lock
#pragma once

#include "drivers/net/igb/igb_regs.h"
#include "drivers/pci/pci.h"
#include "net/core/netdevice.h"

constexpr u32 IGB_DEFAULT_RXD = 256, IGB_DEFAULT_TXD = 256, IGB_MIN_RXD = 80, IGB_MAX_RXD = 4096;
constexpr u32 IGB_RX_BUFFER_WRITE = 16; // refill batch
constexpr u32 IGB_RX_BUFSZ = 2048;      // half a page
constexpr u32 IGB_RX_HDR_LEN = 256;     // frames up to this are copied to the skb's head
constexpr u32 IGB_TX_WORK = 128;        // packets reclaimed per poll
constexpr u32 IGB_MAX_TXD_PWR = 15;     // 32 KiB per descriptor
/// Descriptors that one packet can need: head, fragments, context, and a gap so that tail never meets head.
constexpr u32 IGB_DESC_NEEDED = MAX_SKB_FRAGS + 4;
constexpr unsigned IGB_MAX_QUEUES = 8;
/// Interrupt intervals, in the register's 1 µs units shifted as EITR wants them: 6000, 70 k, 20 k and 4 k interrupts a second.
constexpr u32 IGB_START_ITR = 648, IGB_70K_ITR = 56, IGB_20K_ITR = 196, IGB_4K_ITR = 980;

struct igb_adapter;
struct igb_q_vector;

/// Software's half of a receive descriptor: half of a page; the page reference is the driver's.
struct igb_rx_buffer {
    dma_addr_t dma;
    u8 *va; // of the page
    page *pg;
    u32 page_offset;
};
/// Software's half of a transmit descriptor. On a packet's first one, next_to_watch is its last descriptor (null: no packet begins
/// here), published after everything else.
struct igb_tx_buffer {
    e1000_adv_tx_desc *next_to_watch;
    sk_buff *skb;
    dma_addr_t dma;
    u32 bytecount;
};

/// One descriptor ring (rows B-14, B-15): the descriptors are shared with the device by physical address, the buffer info is the
/// CPU's alone. next_to_use: filled by software; next_to_clean: reaped by software. RX: softirq owner of the vector. TX: next_to_use
/// under the xmit lock, next_to_clean by the softirq owner.
struct igb_ring {
    igb_q_vector *q_vector = nullptr;
    net_device *netdev = nullptr;
    union {
        e1000_adv_rx_desc *rx_desc = nullptr;
        e1000_adv_tx_desc *tx_desc;
    };
    union {
        igb_rx_buffer *rx_buffer_info = nullptr;
        igb_tx_buffer *tx_buffer_info;
    };
    volatile void *tail = nullptr; // register
    dma_addr_t dma = 0;
    u32 size = 0; // bytes of descriptors, a multiple of 4 KiB
    u16 count = 0;
    u8 queue_index = 0;
    bool is_rx = false;
    u16 next_to_use = 0, next_to_clean = 0, next_to_alloc = 0;
    sk_buff *skb = nullptr; // RX: a frame whose last descriptor is still to come
    bool discard = false;   // RX: throw away descriptors up to the next EOP
    u64 packets = 0, bytes = 0, cleaned = 0;
    u64 restart_queue = 0;                         // TX
    u64 drops = 0, csum_err = 0, alloc_failed = 0; // RX
};

/// One interrupt vector with its NAPI context and rings.
struct igb_q_vector {
    igb_adapter *adapter = nullptr;
    napi_struct napi;
    igb_ring rx, tx;
    unsigned irq = 0;
    u32 eims_value = 0;
    u16 itr_val = IGB_START_ITR;
    bool bulk = false; // interval class of a single-vector device
    bool set_itr = false;
    u32 total_packets = 0, total_bytes = 0; // since the last interval decision
    char name[24] = {};
};

/// The device-wide counters, accumulated from registers that clear on read.
struct e1000_hw_stats {
    u64 crcerrs, mpc, gprc, bprc, mprc, gptc, gorc, gotc, rnbc, ruc, rfc, roc, mptc, bptc;
};

/// One NIC: netdev_priv().
struct igb_adapter : pinned {
    net_device *netdev = nullptr;
    pci_dev *pdev = nullptr;
    igb_regs hw;
    unsigned num_q_vectors = 0;
    igb_q_vector *q_vector[IGB_MAX_QUEUES] = {};
    u32 eims_enable_mask = 0, eims_other = 0;
    u16 rx_ring_count = IGB_DEFAULT_RXD, tx_ring_count = IGB_DEFAULT_TXD;
    bool up = false;
    spinlock stats64_lock{"igb.stats64_lock"};
    e1000_hw_stats stats = {};
    u64 tx_timeout_count = 0;
    timer_list watchdog_timer;
    /// Debug kernel: igb_poll leaves the rings alone / spins first (test hooks).
    std::atomic<u32> stall_poll{0}, slow_poll_us{0};
    igb_adapter();
};

inline igb_adapter *igb_priv(net_device *dev)
{
    return netdev_priv<igb_adapter>(dev);
}
/// Free descriptors; one always stays free so that full and empty differ.
inline u16 igb_desc_unused(const igb_ring *r)
{
    u16 ntc = read_once(r->next_to_clean), ntu = r->next_to_use;
    return static_cast<u16>((ntc > ntu ? 0 : r->count) + ntc - ntu - 1);
}

// igb_hw.cc: the device itself. [P]
/// Master disable, full MAC reset, interrupts off. EIO when the device does not answer.
result<void> igb_reset_hw(igb_adapter *a);
/// Permanent MAC from the NVM as the device loaded it; EIO unless it is a valid unicast address.
result<void> igb_read_mac_addr(igb_adapter *a, u8 mac[6]);
/// (Re)start auto-negotiation.
void igb_setup_link(igb_adapter *a);
/// Filters, RSS, MSI-X mapping, receive and transmit units.
void igb_rar_set(igb_adapter *a, const u8 *mac);
void igb_set_rx_mode(net_device *dev);
void igb_setup_mrqc(igb_adapter *a);
void igb_configure_msix(igb_adapter *a);
void igb_irq_enable(igb_adapter *a);
void igb_irq_disable(igb_adapter *a);
void igb_setup_tctl(igb_adapter *a);
void igb_setup_rctl(igb_adapter *a);
bool igb_has_link(igb_adapter *a);
/// Add the registers that clear on read to a->stats. stats64_lock inside; any context.
void igb_update_stats(igb_adapter *a);

// igb_ring.cc: descriptor memory. [P]
result<void> igb_setup_rx_resources(igb_ring *r);
result<void> igb_setup_tx_resources(igb_ring *r);
void igb_free_ring(igb_ring *r);
/// Give back every buffer; the device must be stopped.
void igb_clean_ring(igb_ring *r);
void igb_configure_rx_ring(igb_adapter *a, igb_ring *r);
void igb_configure_tx_ring(igb_adapter *a, igb_ring *r);

// igb_rx.cc, igb_tx.cc. [S] owner of the vector.
/// Post up to n buffers and advance the tail; a failed allocation leaves the slot empty and is counted.
void igb_alloc_rx_buffers(igb_ring *r, u16 n);
/// Deliver up to `budget` frames. Returns whether it finished before the budget ran out.
bool igb_clean_rx_irq(igb_q_vector *q, int budget);
/// Whether the next descriptor is done already.
bool igb_rx_pending(const igb_ring *r);
/// Whether the oldest packet has been sent.
bool igb_tx_pending(const igb_ring *r);
/// Reclaim sent packets. Returns whether all that are done were reclaimed.
bool igb_clean_tx_irq(igb_q_vector *q);
netdev_tx igb_xmit_frame(sk_buff *skb, net_device *dev);

// igb_main.cc
int igb_poll(napi_struct *napi, int budget);
/// Stop and restart with the current settings (ring sizes, transmit time-out). rtnl. [P]
void igb_reinit_locked(igb_adapter *a);

extern const ethtool_ops igb_ethtool_ops;
void igb_debug_init(igb_adapter *a);

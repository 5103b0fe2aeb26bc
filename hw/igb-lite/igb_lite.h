/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite: the device's state and what its parts offer each other.
 *
 * Everything runs under the big QEMU lock: register accesses on a CPU's thread, frames, timers and
 * bottom halves on the main loop's. The parts: igb_lite.c (PCI, reset, properties), _mmio.c
 * (registers), _dma.c, _vmstate.c (migration), _rx.c (wire to ring), _tx.c and _send.c (ring to wire), _rss.c (parsing, checksums, hash), _irq.c (causes to
 * messages), _phy.c (PHY, link, NVM), _time.c (SYSTIM), _writeback.c (descriptors back to the driver), _fault.c, _log.c (events), _stats.c (counters).
 *
 * Re-entry: DMA can be aimed at our own registers. QEMU refuses such accesses while an access, a
 * frame or a guarded bottom half of ours is in progress; timers are not covered, so ours only
 * schedule bottom halves. DMA can also be aimed at configuration space and so reset or unplug the
 * device: each of these pieces of work stands between igb_lite_enter and igb_lite_leave, which put
 * a reset off to its end and keep what it uses alive until then.
 */
#ifndef IGB_LITE_H
#define IGB_LITE_H

#include "hw/pci/pci_device.h"
#include "igb_lite_regs.h"
#include "net/net.h"
#include "qemu/log.h"
#include "qemu/timer.h"
#include "qemu/units.h"
#include "qom/object.h"
#include "system/runstate.h"

#define TYPE_IGB_LITE "igb-lite"
OBJECT_DECLARE_SIMPLE_TYPE(IGBLiteState, IGB_LITE)

#define IGB_LITE_MMIO_SIZE (128 * KiB)
#define IGB_LITE_WINDOWS 4
#define IGB_LITE_NVM_WORDS 256
#define IGB_LITE_INTERRUPT_PIN 1 /* INTA#, as in PCI configuration space */
#define IGB_LITE_PHY_REGS 32
#define IGB_LITE_KEY_LEN 40
/* The longest hash input: two IPv6 addresses and two ports. */
#define IGB_LITE_HASH_LEN 36
/* The longest frame, and the longest packet handed over for segmentation. */
#define IGB_LITE_FRAME_MAX 16383
#define IGB_LITE_TSO_MAX (64 * KiB + 512)

/* Enough for the longest frame and its FCS in the smallest buffers. */
#define IGB_LITE_RX_DESCS 80

/* Room in front of a frame, for a VLAN tag. */
#define IGB_LITE_HEADROOM 4
/* The longest head of a frame: all headers that a context descriptor can describe. */
#define IGB_LITE_HEAD_MAX 1024
/* The descriptors that a packet may have. */
#define IGB_LITE_TX_PARTS 256

/* A transmit context: what a context descriptor said. */
typedef struct IGBLiteTxContext {
    uint32_t vlan_macip_lens;
    uint32_t type_cmd;
    uint32_t mss_l4len_idx;
} IGBLiteTxContext;

/* A gathered packet; its pieces are in tx_parts. */
typedef struct IGBLiteTxPacket {
    uint32_t cmd, olinfo; /* the first descriptor's */
    unsigned descs, parts;
    size_t len;
    bool bad;
} IGBLiteTxPacket;

/* Faults that can be asked for; see igb_lite_fault.c. */
typedef enum IGBLiteFault {
    IGB_LITE_FAULT_IRQ_DROP,
    IGB_LITE_FAULT_IRQ_DELAY,
    IGB_LITE_FAULT_IRQ_REPEAT,
    IGB_LITE_FAULT_WB_DELAY,
    IGB_LITE_FAULT_DESC_CORRUPT,
    IGB_LITE_FAULT_RX_CORRUPT,
    IGB_LITE_FAULT_TX_CORRUPT,
    IGB_LITE_FAULTS,
} IGBLiteFault;

typedef struct IGBLiteFaultState {
    uint32_t every; /* 0: off */
    uint32_t seen;  /* occasions */
} IGBLiteFaultState;

/* A descriptor on its way back to the driver; see igb_lite_writeback.c. */
typedef struct IGBLiteWriteBack {
    bool tx;
    bool head_only; /* 32 bits of status at addr: TX head write-back */
    unsigned queue;
    uint32_t index;  /* in the ring */
    uint64_t addr;   /* of the descriptor */
    uint64_t info;   /* RX: its first half */
    uint64_t status; /* its second half */
} IGBLiteWriteBack;

typedef struct IGBLiteHeld IGBLiteHeld;

/* A stretch of the bus master's address space; see igb_lite_dma.c. */
typedef struct IGBLiteWindow {
    MemoryRegionCache cache;
    hwaddr base, len;
} IGBLiteWindow;

struct IGBLiteState {
    PCIDevice parent_obj;

    NICState *nic;
    NICConf conf;
    MemoryRegion mmio;
    MemoryRegion msix;
    bool host_offload;   /* property */
    unsigned vnet_len;   /* of the header that the backend has in front of a frame */
    uint32_t autoneg_ms; /* property: time from the start of auto-negotiation to link up */

    uint32_t mac[IGB_LITE_MMIO_SIZE / 4]; /* registers, by R_name + index */
    uint16_t phy[IGB_LITE_PHY_REGS];
    uint16_t nvm[IGB_LITE_NVM_WORDS];

    MemoryListener dma_listener;
    IGBLiteWindow windows[IGB_LITE_WINDOWS];
    unsigned next_window;   /* the one that is replaced next */
    unsigned last_window;   /* the one that was used last */
    IGBLiteWindow *written; /* where descriptors were written that the memory core is not told of */
    hwaddr written_from, written_to;
    bool behind_iommu; /* no window can be opened */

    unsigned busy;    /* pieces of work in progress, one in the other; see igb_lite_enter */
    bool reset_later; /* a reset that came meanwhile */
    bool gone;        /* unplugged: no DMA, no frames, no interrupts */

    QEMUTimer *autoneg_timer;
    QEMUBH *link_bh;
    bool link_up;

    QEMUBH *irq_bh;
    QEMUTimer *irq_timer;
    uint32_t owed; /* vectors with a cause that no message has been sent for */
    int64_t quiet_until[IGB_LITE_VECTORS]; /* no message before this virtual time (EITR), ns */
    uint32_t tx_wait_us; /* property: how long a message for sent packets alone waits for more */
    uint32_t tx_held;    /* vectors of whose message that is true */
    int64_t tx_held_until[IGB_LITE_VECTORS];
    uint32_t tx_unsaid[IGB_LITE_QUEUES]; /* descriptors done since a queue's cause became fresh */
    size_t tx_unsaid_bytes[IGB_LITE_QUEUES];

    IGBLiteRxRead rx_descs[IGB_LITE_RX_DESCS]; /* of the frame being stored, in host order */
    uint32_t rx_wait_ms; /* property: how long a frame waits for descriptors */
    QEMUBH *rx_bh;
    QEMUTimer *rx_timer;
    bool rx_storing; /* a frame is being stored, in the buffers of rx_descs */
    bool rx_waiting; /* the net layer keeps a frame for us */
    bool rx_retry;   /* and offers it again now */
    unsigned rx_wait_queue;
    uint32_t rx_stuck; /* queues whose frame has waited in vain: they lose frames */

    QEMUBH *tx_bh;
    unsigned tx_queue; /* whose packet is being sent */
    uint32_t tx_ready; /* queues whose ring may hold work */
    IGBLiteTxContext tx_ctx[IGB_LITE_QUEUES][2];
    struct iovec tx_parts[IGB_LITE_TX_PARTS]; /* of the packet */
    uint64_t
        tx_write_back[IGB_LITE_TX_PARTS]; /* its descriptors' second halves with DD; 0: no RS */
    unsigned tx_frames;                   /* that it became */
    uint8_t tx_head[IGB_LITE_HEADROOM + IGB_LITE_HEAD_MAX]; /* of the frame */
    struct iovec tx_out[IGB_LITE_TX_PARTS + 1];             /* all of it */
    struct iovec tx_vnet[IGB_LITE_TX_PARTS + 2];            /* with a header for the backend */
    uint8_t tx_buf[IGB_LITE_TSO_MAX];
    uint8_t tx_frame[IGB_LITE_FRAME_MAX];

    uint64_t systim;      /* SYSTIM's value */
    int64_t systim_since; /* at this virtual time, ns */

    bool rss_stale; /* rss_table does not match RSSRK */
    uint32_t rss_table[IGB_LITE_HASH_LEN][256];

    FILE *log; /* property event-log, NULL when off */
    char *log_path;
    uint64_t log_limit; /* property: bytes */
    uint64_t log_bytes, log_seq;
    bool log_full, log_flushing;

    IGBLiteFaultState faults[IGB_LITE_FAULTS];
    uint32_t fault_stall[2];         /* property: queues that stand still, RX and TX */
    uint32_t fault_delay_us;         /* property */
    uint64_t fault_seed;             /* property */
    uint64_t fault_state;            /* of the random numbers */
    uint64_t fault_count;            /* property: how many faults there were */
    uint32_t irq_delayed;            /* vectors whose message is held back by a fault */
    bool rx_corrupted;               /* so was the frame that waits, by a fault */
    QTAILQ_HEAD(, IGBLiteHeld) held; /* write-backs */
    unsigned held_count;
    QEMUTimer *held_timer;
    QEMUBH *held_bh;

    uint64_t guest_errors; /* property: bad programming that was noticed */
    VMChangeStateEntry *vm_state;
    uint32_t *saved; /* migration: the registers of the table, one after the other */
    uint32_t saved_count;
};

/* What parsing a received frame found; offsets from the frame's start, 0 = not there. */
typedef struct IGBLitePacket {
    const uint8_t *data;
    size_t len;
    bool vlan, ipv4, ipv6, ipv6_ext, fragment, tcp, udp, sctp;
    uint16_t vlan_tag;
    uint16_t ip_id;
    size_t l3, l4;
    size_t src6, dst6; /* IPv6: where the addresses for the EX hashes are */
    size_t l3_end;     /* where the IP packet ends: padding follows */
} IGBLitePacket;

/* A field of register REG's first instance. */
#define IGB_LITE_GET(s, reg, field) FIELD_EX32((s)->mac[R_##reg], reg, field)
/* Instance q of a queue register. */
#define IGB_LITE_Q(s, reg, q) ((s)->mac[R_##reg + (q)*0x10])

/* Bad programming: counted, and logged under -d guest_errors. */
#define igb_lite_guest_error(s, fmt, ...)                                           \
    do {                                                                            \
        (s)->guest_errors++;                                                        \
        qemu_log_mask(LOG_GUEST_ERROR, TYPE_IGB_LITE ": " fmt "\n", ##__VA_ARGS__); \
    } while (0)

/* The place n (at most size) places on in a ring. */
static inline uint32_t igb_lite_ring_add(uint32_t index, uint32_t n, uint32_t size)
{
    return index + n < size ? index + n : index + n - size;
}

/* How many places from head on to tail. */
static inline uint32_t igb_lite_ring_count(uint32_t head, uint32_t tail, uint32_t size)
{
    return tail >= head ? tail - head : tail + size - head;
}

/* A line in the event log, if there is one. */
#define igb_lite_log(s, event, ...)                      \
    do {                                                 \
        if (unlikely((s)->log)) {                        \
            igb_lite_log_event((s), event, __VA_ARGS__); \
        }                                                \
    } while (0)

/* igb_lite_log.c */
void igb_lite_log_init(IGBLiteState *s);
void igb_lite_log_finalize(IGBLiteState *s);
void G_GNUC_PRINTF(3, 4)
    igb_lite_log_event(IGBLiteState *s, const char *event, const char *fields, ...);

/* igb_lite_fault.c */
void igb_lite_fault_init(IGBLiteState *s);
uint32_t igb_lite_fault_random(IGBLiteState *s);
bool igb_lite_fault_strikes(IGBLiteState *s, IGBLiteFault fault);
void igb_lite_fault_corrupt(IGBLiteState *s, uint8_t *frame, size_t len);

/* Is this an occasion on which the fault happens? */
static inline bool igb_lite_fault(IGBLiteState *s, IGBLiteFault fault)
{
    return unlikely(s->faults[fault].every) && igb_lite_fault_strikes(s, fault);
}

/* igb_lite_writeback.c */
void igb_lite_write_back_realize(IGBLiteState *s);
void igb_lite_write_back_unrealize(IGBLiteState *s);
bool igb_lite_write_back(IGBLiteState *s, IGBLiteWriteBack *wb);
void igb_lite_write_back_all(IGBLiteState *s);
void igb_lite_write_back_forget(IGBLiteState *s, bool tx, int queue);

/* igb_lite.c */
void igb_lite_enter(IGBLiteState *s);
void igb_lite_leave(IGBLiteState *s);
void igb_lite_software_reset(IGBLiteState *s);

/* igb_lite_mmio.c */
extern const MemoryRegionOps igb_lite_mmio_ops;
void igb_lite_mmio_class_init(void);
void igb_lite_registers_reset(IGBLiteState *s, bool all);
uint32_t igb_lite_registers_count(void);
void igb_lite_registers_copy(IGBLiteState *s, bool to_saved);

/* igb_lite_vmstate.c */
extern const VMStateDescription igb_lite_vmstate;

/* igb_lite_dma.c */
void igb_lite_dma_realize(IGBLiteState *s);
void igb_lite_dma_unrealize(IGBLiteState *s);
void igb_lite_dma_settle(IGBLiteState *s);
const void *igb_lite_dma_peek(IGBLiteState *s, uint64_t addr, size_t len);
bool igb_lite_dma_read(IGBLiteState *s, uint64_t addr, void *buf, size_t len);
bool igb_lite_dma_read_desc(IGBLiteState *s, uint64_t addr, void *desc);
bool igb_lite_dma_write(IGBLiteState *s, uint64_t addr, const void *buf, size_t len);
bool igb_lite_dma_write_back(IGBLiteState *s, uint64_t addr, const uint64_t *first,
                             uint64_t second);
uint32_t igb_lite_ring_size(IGBLiteState *s, uint32_t len, uint32_t head, uint32_t tail);

/* igb_lite_irq.c */
void igb_lite_irq_realize(IGBLiteState *s);
void igb_lite_irq_unrealize(IGBLiteState *s);
void igb_lite_irq_reset(IGBLiteState *s);
void igb_lite_irq_resume(IGBLiteState *s);
uint32_t igb_lite_irq_read(IGBLiteState *s, uint32_t addr);
void igb_lite_irq_write(IGBLiteState *s, uint32_t addr, uint32_t val);
void igb_lite_eitr_write(IGBLiteState *s, uint32_t addr, uint32_t val);
void igb_lite_irq_queue(IGBLiteState *s, bool tx, unsigned q);
void igb_lite_irq_sent(IGBLiteState *s, unsigned q, uint32_t descs, uint32_t ring, size_t bytes);
void igb_lite_irq_other(IGBLiteState *s, uint32_t causes);
void igb_lite_irq_deliver(IGBLiteState *s);

/* igb_lite_phy.c */
void igb_lite_phy_realize(IGBLiteState *s);
void igb_lite_phy_unrealize(IGBLiteState *s);
void igb_lite_phy_reset(IGBLiteState *s);
void igb_lite_link_reset(IGBLiteState *s);
void igb_lite_link_changed(IGBLiteState *s);
bool igb_lite_phy_loopback(IGBLiteState *s);
void igb_lite_mdic_write(IGBLiteState *s, uint32_t val);
void igb_lite_eerd_write(IGBLiteState *s, uint32_t val);

/* igb_lite_rss.c */
bool igb_lite_parse(IGBLiteState *s, const uint8_t *data, size_t len, IGBLitePacket *p);
uint32_t igb_lite_sum(const void *data, size_t len, uint32_t seed);
uint16_t igb_lite_fold(uint32_t sum);
uint32_t igb_lite_rss_hash(IGBLiteState *s, const IGBLitePacket *p, unsigned *type);
unsigned igb_lite_rss_queue(IGBLiteState *s, uint32_t hash, unsigned type);

/* igb_lite_rx.c */
void igb_lite_rx_realize(IGBLiteState *s);
void igb_lite_rx_unrealize(IGBLiteState *s);
void igb_lite_rx_reset(IGBLiteState *s);
void igb_lite_rx_kick(IGBLiteState *s, uint32_t queues);
bool igb_lite_can_receive(NetClientState *nc);
ssize_t igb_lite_receive(NetClientState *nc, const uint8_t *buf, size_t size);
bool igb_lite_rx_frame(IGBLiteState *s, const uint8_t *frame, size_t len, bool loopback);

/* igb_lite_filter.c */
bool igb_lite_wanted(IGBLiteState *s, const IGBLitePacket *p);
bool igb_lite_too_long(IGBLiteState *s, const IGBLitePacket *p);

/* igb_lite_tx.c */
void igb_lite_tx_realize(IGBLiteState *s);
void igb_lite_tx_unrealize(IGBLiteState *s);
void igb_lite_tx_reset(IGBLiteState *s);
void igb_lite_tx_kick(IGBLiteState *s, uint32_t queues);

/* igb_lite_time.c */
uint32_t igb_lite_systim_read(IGBLiteState *s, uint32_t at);
void igb_lite_systim_write(IGBLiteState *s, uint32_t at, uint32_t val);
void igb_lite_timinca_write(IGBLiteState *s, uint32_t at, uint32_t val);
uint32_t igb_lite_stamp_read(IGBLiteState *s, uint32_t at);
void igb_lite_time_sent(IGBLiteState *s);
bool igb_lite_time_received(IGBLiteState *s, const IGBLitePacket *p);
void igb_lite_time_reset(IGBLiteState *s);

/* igb_lite_send.c */
void igb_lite_send(IGBLiteState *s, unsigned q, const IGBLiteTxPacket *p);

/* igb_lite_stats.c */
void igb_lite_count(IGBLiteState *s, unsigned reg, uint32_t n);
void igb_lite_count_frame(IGBLiteState *s, bool tx, const uint8_t *frame, size_t len);
void igb_lite_count_seen(IGBLiteState *s, bool tx, size_t len);

#endif

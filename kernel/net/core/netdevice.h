// SPDX-License-Identifier: MIT
// Network devices, NAPI, softnet_data, packet types. Linux: include/linux/netdevice.h,
// net/core/dev.c (atlas §2, §5, §6, §11.7).
#pragma once

#include "lib/percpu.h"
#include "mm/static_object.h"
#include "net/core/skbuff.h"
#include "net/uapi.h"
#include "sched/mutex.h"
#include "time/timer.h"

struct in_device;
struct neighbour;
struct Qdisc;
struct napi_struct;
struct netdev_hw_addr;

/// rtnl: all device, address and route configuration. [P]
extern static_object<mutex> rtnl_storage;
#define rtnl_mutex (*rtnl_storage)

struct net_device_stats {
    u64 rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors, tx_errors, rx_dropped, tx_dropped,
        multicast, collisions, rx_length_errors, rx_over_errors, rx_crc_errors, rx_frame_errors,
        rx_fifo_errors, rx_missed_errors, tx_aborted_errors, tx_carrier_errors, tx_fifo_errors,
        tx_heartbeat_errors, tx_window_errors;
};

enum netdev_tx : int { NETDEV_TX_OK = 0, NETDEV_TX_BUSY = 0x10 };
constexpr int NET_XMIT_SUCCESS = 0, NET_XMIT_DROP = 1, NET_XMIT_CN = 2;
constexpr int NET_RX_SUCCESS = 0, NET_RX_DROP = 1;

/// What a driver implements (row B-12: devices are reached only through this).
struct net_device_ops {
    const char *name;
    int (*ndo_init)(net_device *dev);
    int (*ndo_open)(net_device *dev);                              // [P] rtnl
    int (*ndo_stop)(net_device *dev);                              // [P] rtnl
    netdev_tx (*ndo_start_xmit)(sk_buff *skb, net_device *dev);    // BH off, txq lock unless LLTX
    void (*ndo_get_stats64)(net_device *dev, net_device_stats *s); // any
    void (*ndo_set_rx_mode)(net_device *dev);                      // [P] rtnl
    int (*ndo_set_mac_address)(net_device *dev, const u8 *addr);   // [P] rtnl
    int (*ndo_change_mtu)(net_device *dev, int mtu);               // [P] rtnl
    void (*ndo_tx_timeout)(net_device *dev);                       // [T]
};
/// Link-layer header operations.
struct header_ops {
    /// Push the header; daddr null: unresolved. Returns header length or negative.
    int (*create)(sk_buff *skb, net_device *dev, u16 type, const void *daddr, const void *saddr,
                  u32 len);
};
extern const header_ops eth_header_ops;
/// ethtool's view, by name; values for -S, -g, -i.
struct ethtool_ops {
    void (*get_drvinfo)(net_device *dev, const char **driver, const char **bus_info);
    void (*get_ringparam)(net_device *dev, u32 *rx, u32 *tx, u32 *rx_max, u32 *tx_max);
    int (*set_ringparam)(net_device *dev, u32 rx, u32 tx); // [P] rtnl
    unsigned (*get_sset_count)(net_device *dev);
    void (*get_strings)(net_device *dev, char (*names)[32]);
    void (*get_ethtool_stats)(net_device *dev, u64 *values);
};

/// One transmit queue.
struct netdev_queue : pinned {
    net_device *dev = nullptr;
    Qdisc *qdisc = nullptr;          // RCU; noop_qdisc while inactive
    Qdisc *qdisc_sleeping = nullptr; // what dev_activate installs
    spinlock _xmit_lock{"netdev_queue._xmit_lock"};
    s32 xmit_lock_owner = -1;
    u64 trans_start = 0; // jiffies when the driver last stopped the queue
    std::atomic<u64> trans_timeout{0};
    std::atomic<u32> state{0}; // QUEUE_STATE_*
};
constexpr u32 QUEUE_STATE_DRV_XOFF = 1, QUEUE_STATE_STACK_XOFF = 2, QUEUE_STATE_FROZEN = 4;

constexpr u32 NETIF_F_SG = 1, NETIF_F_IP_CSUM = 2, NETIF_F_HW_CSUM = 8, NETIF_F_LLTX = 0x1000,
              NETIF_F_GSO = 0x800, NETIF_F_TSO = 0x10000, NETIF_F_RXCSUM = 0x20000000,
              NETIF_F_RXHASH = 0x10000000, NETIF_F_GRO = 0x4000;
/// Largest packet that is left to a device or to skb_gso_segment() to cut; skb_shared_info::gso_type.
constexpr u32 GSO_MAX_SIZE = 65536;
constexpr u16 SKB_GSO_TCPV4 = 1;
/// The first segment alone carries CWR: no device here knows that.
constexpr u16 SKB_GSO_TCP_ECN = 8;
constexpr u32 LINK_STATE_START = 1, LINK_STATE_PRESENT = 2, LINK_STATE_NOCARRIER = 4;
constexpr unsigned MAX_ADDR_LEN = 8;

struct net_device : pinned {
    char name[16] = {};
    u32 ifindex = 0;
    u32 flags = 0;
    std::atomic<u32> state{LINK_STATE_PRESENT}; // LINK_STATE_*
    u32 mtu = 1500;
    u16 type = 1; // ARPHRD_ETHER 1, ARPHRD_LOOPBACK 772
    u16 hard_header_len = ETH_HLEN;
    u8 addr_len = ETH_ALEN;
    u8 dev_addr[MAX_ADDR_LEN] = {}, broadcast[MAX_ADDR_LEN] = {};
    u32 features = 0;        // NETIF_F_* in effect
    u32 hw_features = 0;     // those that ethtool -K may change
    u32 wanted_features = 0; // as asked for, in effect or not
    u32 tx_queue_len = 1000;
    const net_device_ops *netdev_ops = nullptr;
    const ethtool_ops *ethtool = nullptr;
    const ::header_ops *header_ops = nullptr;
    in_device *ip_ptr = nullptr; // RCU
    netdev_queue *tx = nullptr;
    unsigned num_tx_queues = 1, real_num_tx_queues = 1, num_rx_queues = 1;
    Qdisc *qdisc = nullptr; // root as shown
    std::atomic<u64> rx_dropped{0}, tx_dropped{0};
    u64 mem_start = 0, mem_end = 0;
    u32 irq = 0;
    int promiscuity = 0, allmulti = 0;
    netdev_hw_addr *mc_list = nullptr; // mc_lock
    spinlock mc_lock{"net_device.mc_lock"};
    list_node dev_list;               // all devices, rtnl/RCU
    napi_struct *napi_list = nullptr; // singly linked through napi->dev_next
    timer_list *watchdog_timer = nullptr;
    u64 watchdog_timeo = 5 * HZ;
    bool registered = false;
    bool lw_pending = false; // link_watch has an event of this device
    net_device *lw_next = nullptr;
    void *priv = nullptr; // driver's
    refcount refcnt;
};

enum napi_state : u32 { NAPI_STATE_SCHED = 1, NAPI_STATE_DISABLE = 2 };
/// A poll context (one per queue vector, and each CPU's backlog). Whoever sets SCHED owns it (atlas
/// §26.2).
struct napi_struct : pinned {
    list_node poll_list;
    std::atomic<u32> state{NAPI_STATE_SCHED}; // disabled until napi_enable
    int weight = 64;
    int (*poll)(napi_struct *n, int budget) = nullptr; // [S]
    const char *poll_name = "";
    net_device *dev = nullptr;
    napi_struct *dev_next = nullptr;
    sk_buff *gro_list = nullptr; // packets that may grow until the poll ends, oldest first
    unsigned gro_count = 0;
    sk_buff *skb = nullptr; // whose segment GRO joined to another: for the next frame of this poll
    u32 irq = 0; // interrupt that schedules it, for the netdev dump; 0: none. Set by the driver
};

/// Per-CPU receive and transmit state (atlas §2, §26.1). Own CPU only, IRQs off for the lists.
struct softnet_data {
    list<napi_struct, &napi_struct::poll_list> poll_list;
    sk_buff_head process_queue;
    sk_buff_head input_pkt_queue;
    napi_struct backlog;
    Qdisc *output_queue = nullptr, **output_queue_tailp = &output_queue;
    sk_buff *completion_queue = nullptr;
    u64 processed = 0, dropped = 0, time_squeeze = 0, cpu_collision = 0, received_rps = 0;
};
extern static_object<percpu<softnet_data>> softnet_storage;
#define softnet_data_percpu (*softnet_storage)
extern int netdev_budget, weight_p, netdev_max_backlog;

/// A protocol's or tap's entry in ptype_base (type & 15) or ptype_all.
struct packet_type : pinned {
    be16 type{};
    net_device *dev = nullptr; // null: any
    /// Takes over the skb (own reference). [S]
    int (*func)(sk_buff *skb, net_device *dev, packet_type *pt, net_device *orig_dev) = nullptr;
    const char *func_name = "";
    packet_type *next = nullptr; // RCU list
};
void dev_add_pack(packet_type *pt);
void dev_remove_pack(packet_type *pt);

// --- Registration and state: [P] with rtnl -------------------------------------------------------
/// Ethernet device with `priv_size` bytes of zeroed driver data and `queues` transmit/receive
/// queues; null: no memory.
net_device *alloc_etherdev_mq(size_t priv_size, unsigned queues);
template <class T>
T *netdev_priv(net_device *dev)
{
    return static_cast<T *>(dev->priv);
}
/// Any device: `setup` fills in what its kind has in common; `name` may hold a %d.
net_device *alloc_netdev_mq(size_t priv_size, const char *name, void (*setup)(net_device *),
                            unsigned queues);
/// What Ethernet devices have in common: header operations, addresses, MTU 1500, queue of 1000.
void ether_setup(net_device *dev);
/// Give it a name ("eth%d") and an index and publish it; takes rtnl itself. 0 or -errno.
int register_netdev(net_device *dev);
void unregister_netdev(net_device *dev);
void free_netdev(net_device *dev);
int dev_open(net_device *dev);
int dev_close(net_device *dev);
/// Set IFF_* as SIOCSIFFLAGS does. 0 or -errno.
int dev_change_flags(net_device *dev, u32 flags);
int dev_set_mtu(net_device *dev, int mtu);
/// Find with a reference; dev_put drops it. Any context.
net_device *dev_get_by_name(const char *name);
net_device *dev_get_by_index(u32 ifindex);
inline void dev_hold(net_device *d)
{
    d->refcnt.get();
}
void dev_put(net_device *d);
/// Visit every device in order of index, each referenced meanwhile; f may sleep if the caller may.
void for_each_netdev(void (*f)(net_device *, void *), void *arg);
/// Next device with a larger index, referenced; null at the end. Any context.
net_device *netdev_next(u32 after_ifindex);
void dev_get_stats(net_device *dev, net_device_stats *s);
inline bool netif_running(const net_device *d)
{
    return d->state.load() & LINK_STATE_START;
}
inline bool netif_carrier_ok(const net_device *d)
{
    return !(d->state.load() & LINK_STATE_NOCARRIER);
}
/// Any context; activates/deactivates the qdisc from process context.
void netif_carrier_on(net_device *dev);
void netif_carrier_off(net_device *dev);
extern net_device *loopback_dev;

// --- NAPI ----------------------------------------------------------------------------------------
/// Attach a poll function; disabled until napi_enable. [P]
void netif_napi_add(net_device *dev, napi_struct *n, int (*poll)(napi_struct *, int),
                    const char *name, int weight);
void netif_napi_del(napi_struct *n);
void napi_enable(napi_struct *n);
/// Stop; waits for a running poll. [P]
void napi_disable(napi_struct *n);
/// Hard IRQ: schedule unless scheduled or disabled.
void napi_schedule(napi_struct *n);
bool napi_schedule_prep(napi_struct *n);
void __napi_schedule(napi_struct *n);
/// Poll found less than its budget: leave the poll list. [S]
void napi_complete(napi_struct *n);

// --- Receive -------------------------------------------------------------------------------------
/// From a driver's poll. Takes over the skb. [S]
int napi_gro_receive(napi_struct *n, sk_buff *skb);
/// netdev_alloc_skb() for a driver's poll: the spare that napi_reuse_skb() kept, if it is large enough. [S] owner of n
sk_buff *napi_alloc_skb(napi_struct *n, u32 len);
/// Keep skb, whose payload has gone to another packet, as n's spare; it is freed if there is one, or if it is no receive buffer of
/// one owner. The poll's end frees the spare. [S] owner of n. Linux: napi_reuse_skb, there for napi_gro_frags() only.
void napi_reuse_skb(napi_struct *n, sk_buff *skb);
int netif_receive_skb(sk_buff *skb);
/// Queue for this CPU's backlog NAPI. Any context. NET_RX_SUCCESS or NET_RX_DROP (counted).
int netif_rx(sk_buff *skb);
int netif_rx_ni(sk_buff *skb);
/// Set mac header, pull 14 bytes, classify destination (skb->pkt_type), return the protocol.
be16 eth_type_trans(sk_buff *skb, net_device *dev);

// --- Transmit ------------------------------------------------------------------------------------
/// Send with link header built. Takes over the skb. 0, NET_XMIT_* or -errno. [P][S]
int dev_queue_xmit(sk_buff *skb);
/// Push the link header through header_ops.
inline int dev_hard_header(sk_buff *skb, net_device *dev, u16 type, const void *daddr,
                           const void *saddr, u32 len)
{
    return dev->header_ops && dev->header_ops->create
               ? dev->header_ops->create(skb, dev, type, daddr, saddr, len)
               : 0;
}
inline netdev_queue *netdev_get_tx_queue(net_device *d, unsigned i)
{
    return &d->tx[i];
}
void netif_tx_stop_queue(netdev_queue *q);
void netif_tx_start_queue(netdev_queue *q);
/// Let the qdisc run again (NET_TX softirq). Any context.
void netif_tx_wake_queue(netdev_queue *q);
inline bool netif_tx_queue_stopped(const netdev_queue *q)
{
    return q->state.load() & QUEUE_STATE_DRV_XOFF;
}
void netif_tx_start_all_queues(net_device *dev);
void netif_tx_stop_all_queues(net_device *dev);

/// Wake after a stop with the queue's lock not needed: bits only.
inline bool netif_xmit_stopped(const netdev_queue *q)
{
    return q->state.load(std::memory_order_relaxed) & 3;
}
/// Count sockets that want skb->tstamp filled at reception (SO_TIMESTAMP). Any context.
void net_enable_timestamp();
void net_disable_timestamp();
/// Promiscuous / all-multicast reference counts. [P] rtnl
int dev_set_promiscuity(net_device *dev, int inc);
int dev_set_allmulti(net_device *dev, int inc);
/// SIOCSIFHWADDR. [P] rtnl
int dev_set_mac_address(net_device *dev, const u8 *addr);
/// Multicast filter list of link-layer addresses (counted); programs the device by ndo_set_rx_mode.
/// BH lock inside.
int dev_mc_add(net_device *dev, const u8 *addr);
int dev_mc_del(net_device *dev, const u8 *addr);
struct netdev_hw_addr {
    u8 addr[MAX_ADDR_LEN];
    u32 refcount;
    netdev_hw_addr *next;
};
/// Visit the filter list (drivers, in ndo_set_rx_mode; /proc/net/dev_mcast).
void for_each_mc_addr(net_device *dev, void (*f)(const netdev_hw_addr *, void *), void *arg);
/// Fills SIOCGIFCONF for a device: set by IPv4. Bytes written (wanted if user_buf is 0) or -errno.
/// [P] rtnl
extern int (*gifconf_inet)(net_device *dev, u64 user_buf, int len);
/// IFF_* as user space sees them (RUNNING from the carrier).
u32 dev_get_flags(const net_device *dev);

/// Notifications of device events (Linux netdevice notifier chain): up, down, change of address or
/// carrier. [P] rtnl
enum netdev_event : int {
    NETDEV_UP = 1,
    NETDEV_DOWN,
    NETDEV_CHANGE,
    NETDEV_REGISTER,
    NETDEV_UNREGISTER,
    NETDEV_CHANGEMTU,
    NETDEV_CHANGEADDR
};
struct netdev_notifier : pinned {
    void (*call)(netdev_event e, net_device *dev) = nullptr;
    netdev_notifier *next = nullptr;
};
void register_netdevice_notifier(netdev_notifier *n);

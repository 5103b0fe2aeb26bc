// SPDX-License-Identifier: MIT
// AF_PACKET: frames as programs see them on a device. Linux: net/packet/af_packet.c, packet(7).
//
// Locks: po->bind_lock (mutex) for binding, memberships and the ring's making; po->ring_lock (spinlock, BH) for the ring's place. Received
// frames come in softirq (or from a transmitting context) by the protocol hook.
#pragma once

#include "mm/page.h"
#include "net/core/netdevice.h"
#include "net/core/sock.h"

constexpr int SOL_PACKET = 263;
constexpr int PACKET_ADD_MEMBERSHIP = 1, PACKET_DROP_MEMBERSHIP = 2, PACKET_RX_RING = 5,
              PACKET_STATISTICS = 6, PACKET_COPY_THRESH = 7, PACKET_AUXDATA = 8, PACKET_ORIGDEV = 9,
              PACKET_VERSION = 10, PACKET_HDRLEN = 11, PACKET_RESERVE = 12, PACKET_LOSS = 14;

struct sockaddr_ll {
    u16 sll_family;
    be16 sll_protocol;
    s32 sll_ifindex;
    u16 sll_hatype;
    u8 sll_pkttype, sll_halen, sll_addr[8];
};
static_assert(sizeof(sockaddr_ll) == 20);
constexpr int SLL_ADDR_OFFSET = 12;

/// A wish for more than the device's own frames; undone with the socket.
struct packet_mclist {
    packet_mclist *next;
    int ifindex;
    u16 type, alen;
    u8 addr[8];
    unsigned count;
};
constexpr u16 PACKET_MR_MULTICAST = 0, PACKET_MR_PROMISC = 1, PACKET_MR_ALLMULTI = 2;

/// The receive ring that a program maps (TPACKET_V2): frames of equal size, each with a header that says whose it is.
struct packet_ring {
    page **pages = nullptr;
    u32 nr_pages = 0;
    u32 block_size = 0, frame_size = 0, nr_frames = 0, frames_per_block = 0;
    u32 head = 0; // next frame to fill
};

struct packet_sock : sock {
    packet_type prot_hook;
    bool running = false; // the hook is in
    be16 num{};           // protocol
    int ifindex = 0;      // 0: every device
    bool auxdata = false, origdev = false, loss = false;
    u32 version = 0, reserve = 0; // TPACKET_V1 is 0, V2 is 1
    std::atomic<u32> tp_packets{0}, tp_drops{0};
    packet_mclist *mclist = nullptr;
    mutex bind_lock{"packet.bind"};
    spinlock ring_lock{"packet.ring"};
    packet_ring ring;
    packet_sock() : sock{"sk_lock-AF_PACKET"} {}
};
inline packet_sock *pkt_sk(sock *sk)
{
    return static_cast<packet_sock *>(sk);
}

/// Private to a queued frame.
struct packet_skb_cb {
    sockaddr_ll sll;
    u32 origlen;
};
static_assert(sizeof(packet_skb_cb) <= sizeof(sk_buff::cb));
inline packet_skb_cb &PACKET_SKB_CB(sk_buff *skb)
{
    return *reinterpret_cast<packet_skb_cb *>(skb->cb);
}

// packet_send.cc
result<size_t> packet_sendmsg(socket *s, msghdr *m, size_t len);
// packet_ring.cc
/// Where a frame came from and went to.
void packet_fill_sll(packet_sock *po, sk_buff *skb, net_device *dev, net_device *orig_dev,
                     sockaddr_ll *sll);
/// The hook while there is a ring. Takes the frame. [S]
int tpacket_rcv(sk_buff *skb, net_device *dev, packet_type *pt, net_device *orig_dev);
/// PACKET_RX_RING: EINVAL, ENOMEM, EBUSY (it is mapped). bind_lock held.
result<void> packet_set_ring(packet_sock *po, user_ptr<const void> val, unsigned len);
void packet_free_ring(packet_sock *po);
page *packet_file_page(socket *s, u64 index);
/// A frame waits in the ring.
bool packet_ring_readable(packet_sock *po);
// af_packet.cc
/// Take the hook out and put it in again with another function. bind_lock held. [P]
void packet_unhook(packet_sock *po);
void packet_hook(packet_sock *po);
/// Data of a frame that was handed to a hook as this type of socket wants it.
void packet_pull_data(packet_sock *po, sk_buff *skb, net_device *dev);

// SPDX-License-Identifier: MIT
// A virtual wire for host tests: an Ethernet device "eth0" of a booted host kernel whose other end is the test. What the kernel
// sends is kept for the test; what the test sends goes to netif_receive_skb() or through a NAPI poll on a virtual interrupt.
// Everything is [K] (in a kernel task) unless said otherwise.
#pragma once

#include "net/core/netdevice.h"
#include "net/core/skbuff.h"
#include "net/core/sock.h"
#include "net/uapi.h"

constexpr u8 WIRE_MAC[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56}; // the kernel's
constexpr u8 PEER_MAC[6] = {0x52, 0x54, 0, 0xaa, 0xbb, 0xcc}; // the test's
constexpr u32 WIRE_IP = 0x0a090002, PEER_IP = 0x0a090001;     // 10.9.0.2, 10.9.0.1
constexpr size_t WIRE_FRAME_MAX = 1600;

/// Make the device, bring it up with WIRE_IP/24. Once. False: the kernel refused.
bool wire_up();
net_device *wire_dev();
/// One frame to netif_receive_skb(), as from a driver's poll: BHs off. The bytes are copied.
void wire_receive(const void *frame, size_t n);
/// One frame into the device's ring and a hard IRQ on `cpu`: the whole way from igb_msix_ring's place on.
void wire_interrupt(const void *frame, size_t n, unsigned cpu);
/// The oldest frame that the kernel has sent: its length, 0 if there is none. Any side.
size_t wire_sent(u8 *frame);
void wire_forget_sent();

/// Frames from the peer, built into `f`; they return the length.
size_t build_arp(u8 *f, u16 op, u32 sender_ip, u32 target_ip);
size_t build_ip(u8 *f, u8 proto, const void *payload, size_t n);
size_t build_udp(u8 *f, u16 sport, u16 dport, const void *payload, size_t n);
size_t build_icmp_echo(u8 *f, u16 id, u16 seq, const void *payload, size_t n);

/// A UDP socket bound to `port`; null: the kernel refused.
socket *udp_open(u16 port);
/// Receive into buf; the sender in *from. -errno.
ssize_t udp_recv(socket *s, void *buf, size_t n, u32 flags, sockaddr_in *from);
ssize_t udp_send(socket *s, const void *buf, size_t n, const sockaddr_in &to);

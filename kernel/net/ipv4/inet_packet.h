// SPDX-License-Identifier: MIT
// What raw and ping sockets have in common (inet_packet.cc). Process context.
#pragma once

#include "net/ipv4/inet_sock.h"

/// recvmsg of a packet from its first queued byte on, with the sender's address and what cmsg_flags asks for. With MSG_TRUNC the
/// whole length is returned. EOPNOTSUPP (MSG_OOB), EAGAIN, EFAULT, a signal.
result<size_t> inet_packet_recvmsg(sock *sk, msghdr *m, size_t len, u32 flags);

/// Where a message goes: its own address, or the connected peer. unspec: AF_UNSPEC counts as AF_INET, as raw sockets have it.
/// EDESTADDRREQ, EINVAL, EAFNOSUPPORT.
result<be32> inet_packet_dest(const inet_sock *inet, const msghdr *m, bool unspec);

/// What the program is told of `err` (0 or -errno) from the way down: a full queue counts only with IP_RECVERR.
result<void> inet_packet_sent(const inet_sock *inet, int err);

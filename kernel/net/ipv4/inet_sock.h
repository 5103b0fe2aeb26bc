// SPDX-License-Identifier: MIT
// An IPv4 socket's addresses and options. Linux: include/net/inet_sock.h.
#pragma once

#include "net/core/sock.h"
#include "net/ipv4/ip.h"

struct inet_sock : sock {
    be32 inet_daddr{}, inet_rcv_saddr{}, inet_saddr{};
    be16 inet_dport{}, inet_sport{};
    u16 inet_num = 0; // local port, host order
    s16 uc_ttl = -1;  // -1: default
    u8 tos = 0, pmtudisc = 1 /* IP_PMTUDISC_WANT */, recverr = 0, is_icsk = 0, freebind = 0, hdrincl = 0, mc_ttl = 1, mc_loop = 1;
    u32 cmsg_flags = 0; // IP_CMSG_*
    u32 mc_index = 0;
    be32 mc_addr{};
    ip_options *inet_opt = nullptr; // IP_OPTIONS
    struct ip_mc_socklist *mc_list = nullptr;
    explicit inet_sock(const char *lock_name) : sock{lock_name} {}
};
inline inet_sock *inet_sk(sock *sk) { return static_cast<inet_sock *>(sk); }
inline const inet_sock *inet_sk(const sock *sk) { return static_cast<const inet_sock *>(sk); }

/// Socket type/protocol table entry (Linux inet_protosw; row K-02).
struct inet_protosw {
    int type;
    int protocol;
    proto *prot;
    const proto_ops *ops;
    u8 flags;
    inet_protosw *next = nullptr; // of the same type
};
constexpr u8 INET_PROTOSW_REUSE = 1, INET_PROTOSW_PERMANENT = 2;
/// Add to the table of its type: permanent entries stay in front, others override non-permanent ones. Boot.
void inet_register_protosw(inet_protosw *p);
extern const proto_ops inet_stream_ops, inet_dgram_ops, inet_sockraw_ops;
extern proto udp_prot, raw_prot, ping_prot;
constexpr u8 TCP_ESTABLISHED = 1, TCP_CLOSE = 7;

// af_inet.cc: the first level.
result<void> inet_bind(socket *s, sockaddr_storage *a, int len);
result<size_t> inet_sendmsg(socket *s, msghdr *m, size_t len);
result<size_t> inet_recvmsg(socket *s, msghdr *m, size_t len, u32 flags);
result<s64> inet_ioctl(socket *s, u32 cmd, u64 arg);
/// Device and route ioctls (SIOCGIFCONF…, SIOCADDRT…): net/core/dev_ioctl.cc, net/ipv4/devinet.cc, fib_frontend.cc. [P]
result<s64> dev_ioctl(u32 cmd, u64 arg);
result<s64> devinet_ioctl(u32 cmd, u64 arg);
result<s64> ip_rt_ioctl(u32 cmd, u64 arg);
result<s64> arp_ioctl(u32 cmd, u64 arg);
/// ip_sockglue.cc: SOL_IP options and control messages.
result<void> ip_setsockopt(sock *sk, int level, int name, user_ptr<const void> val, unsigned len);
result<void> ip_getsockopt(sock *sk, int level, int name, user_ptr<void> val, user_ptr<int> len);

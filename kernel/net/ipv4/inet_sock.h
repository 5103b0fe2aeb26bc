// SPDX-License-Identifier: MIT
// An IPv4 socket's addresses and options. Linux: include/net/inet_sock.h.
#pragma once

#include "net/core/sock.h"
#include "net/ipv4/ip.h"

struct inet_sock : sock {
    be32 inet_daddr{}, inet_rcv_saddr{}, inet_saddr{};
    be16 inet_dport{}, inet_sport{};
    u16 inet_num = 0; // local port, host order
    u16 inet_id = 0;  // identification of the next packet of a connected stream
    s16 uc_ttl = -1;  // -1: default
    u8 tos = 0, pmtudisc = 1 /* IP_PMTUDISC_WANT */, recverr = 0, is_icsk = 0, freebind = 0,
       hdrincl = 0, mc_ttl = 1, mc_loop = 1, mc_all = 1, min_ttl = 0;
    u32 cmsg_flags = 0; // IP_CMSG_*
    u32 mc_index = 0;
    u32 rx_dst_ifindex = 0; // device that sk_rx_dst holds for
    be32 mc_addr{};
    ip_options *inet_opt = nullptr; // IP_OPTIONS
    struct ip_mc_socklist *mc_list = nullptr;
    explicit inet_sock(const char *lock_name) : sock{lock_name} {}
};
inline inet_sock *inet_sk(sock *sk)
{
    return static_cast<inet_sock *>(sk);
}
inline const inet_sock *inet_sk(const sock *sk)
{
    return static_cast<const inet_sock *>(sk);
}

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

/// Visit the table (row K-02).
void for_each_protosw(void (*f)(const inet_protosw *p, void *arg), void *arg);

// af_inet.cc: the first level.
/// The family's create(): ESOCKTNOSUPPORT, EPROTONOSUPPORT, EPERM (raw), ENOBUFS, EINVAL. [P]
result<void> inet_create(socket *s, int protocol, bool kern);
result<void> inet_bind(socket *s, sockaddr_storage *a, int len);
result<void> inet_release(socket *s);
result<int> inet_getname(socket *s, sockaddr_storage *a, bool peer);
result<void> sock_common_setsockopt(socket *s, int level, int name, user_ptr<const void> val,
                                    unsigned len);
result<void> sock_common_getsockopt(socket *s, int level, int name, user_ptr<void> val,
                                    user_ptr<int> len);
/// ENOTCONN, EINVAL (af_inet_stream.cc).
result<void> inet_shutdown(socket *s, int how);
result<size_t> inet_sendmsg(socket *s, msghdr *m, size_t len);
result<size_t> inet_recvmsg(socket *s, msghdr *m, size_t len, u32 flags);
result<s64> inet_ioctl(socket *s, u32 cmd, u64 arg);
/// Device and route ioctls (SIOCGIFADDR…, SIOCADDRT…): net/ipv4/devinet.cc, fib_frontend.cc; see dev_ioctl() too. [P]
result<s64> devinet_ioctl(u32 cmd, u64 arg);
result<s64> ip_rt_ioctl(u32 cmd, u64 arg);
result<s64> arp_ioctl(u32 cmd, u64 arg);
/// Bind to a free port if the socket has none (EAGAIN: none left). [P]
result<void> inet_autobind(sock *sk);
/// Purge what is left; sk_destruct of every IPv4 socket. [P]
void inet_sock_destruct(sock *sk);
/// datagram.cc: remember the peer and its route (UDP, ping, raw). [P]
result<void> ip4_datagram_connect(sock *sk, sockaddr_storage *a, int len);
/// Local ports that the kernel picks from (/proc/sys/net/ipv4/ip_local_port_range).
extern int sysctl_local_port_range[2];
/// /proc/sys/net/ipv4: ip_nonlocal_bind: any address may be bound; ip_no_pmtu_disc: new sockets let their packets be fragmented on the way.
extern int sysctl_ip_nonlocal_bind, sysctl_ip_no_pmtu_disc;
constexpr u16 PROT_SOCK = 1024; // lower ports are for user 0
/// ip_sockglue.cc: SOL_IP options and control messages.
result<void> ip_setsockopt(sock *sk, int level, int name, user_ptr<const void> val, unsigned len);
result<void> ip_getsockopt(sock *sk, int level, int name, user_ptr<void> val, user_ptr<int> len);

/// Bits of cmsg_flags: which control messages a reader wants.
constexpr u32 IP_CMSG_PKTINFO = 1, IP_CMSG_TTL = 2, IP_CMSG_TOS = 4, IP_CMSG_RECVOPTS = 8,
              IP_CMSG_RETOPTS = 16;
/// Values of pmtudisc.
constexpr u8 IP_PMTUDISC_DONT = 0, IP_PMTUDISC_WANT = 1, IP_PMTUDISC_DO = 2, IP_PMTUDISC_PROBE = 3;
/// Control messages of a received packet, as cmsg_flags asks. [P]
void ip_cmsg_recv(msghdr *m, sk_buff *skb);
/// What sendmsg's control messages ask for, into ipc (oif, addr, ttl, tos). EINVAL. [P]
result<void> ip_cmsg_send(const msghdr *m, ipcm_cookie *ipc);
/// Queue an ICMP error for MSG_ERRQUEUE: skb->data is the quoted IP header, payload starts `payload_off` behind it. [S]
void ip_icmp_error(sock *sk, sk_buff *skb, int err, be16 port, u32 info, u32 payload_off);
/// The same for an error found here while sending (EMSGSIZE, ENETUNREACH…).
void ip_local_error(sock *sk, int err, be32 daddr, be16 port, u32 info);
/// recvmsg(MSG_ERRQUEUE). EAGAIN. [P]
result<size_t> ip_recv_error(sock *sk, msghdr *m, size_t len);
/// Whether a multicast packet is for this socket: member of the group on that device, or IP_MULTICAST_ALL. RCU.
bool ip_mc_sf_allow(const inet_sock *inet, be32 group, be32 source, u32 dif);
/// Leave all groups (close). [P]
void ip_mc_drop_socket(inet_sock *inet);
/// Dumps of all sockets: /sys/kernel/debug/net/sockets, /proc/net/sockstat. Boot.
int inet_diag_init();
/// TCP and UDP for NETLINK_SOCK_DIAG (inet_diag_netlink.cc). Boot.
void inet_diag_netlink_init();
/// IP_ADD_MEMBERSHIP / IP_DROP_MEMBERSHIP: ENODEV, EINVAL, EADDRINUSE, EADDRNOTAVAIL, ENOBUFS, ENOMEM. Socket lock held. [P]
result<void> ip_mc_join_group(inet_sock *inet, be32 group, be32 local, u32 ifindex);
result<void> ip_mc_leave_group(inet_sock *inet, be32 group, be32 local, u32 ifindex);

/// Room for a sender's copy of the socket's options, which may be replaced while it waits for memory. Not initialised: most
/// sockets have none.
struct ip_options_room {
    alignas(ip_options) u8 bytes[sizeof(ip_options)];
};
inline const ip_options *inet_copy_options(const inet_sock *inet, ip_options_room &room)
{
    if (!read_once(inet->inet_opt)) [[likely]]
        return nullptr;
    rcu_read_lock();
    const ip_options *o = rcu_dereference(inet->inet_opt);
    const ip_options *copy = o ? new (room.bytes) ip_options(*o) : nullptr;
    rcu_read_unlock();
    return copy;
}
/// In an ipcm_cookie 0 stands for the default time-to-live; a multicast packet whose socket says 0 stays on this host.
inline void ip_fix_mc_ttl(sk_buff *skb, const ipcm_cookie &ipc)
{
    iphdr *iph = ip_hdr(skb);
    if (ipv4_is_multicast(iph->daddr) && !ipc.ttl) [[unlikely]]
        iph->ttl = 0;
}

// SPDX-License-Identifier: MIT
// The user-visible constants and structures of the socket interface: Linux x86_64 ABI numbers and layouts.
#pragma once

#include "lib/types.h"

constexpr int AF_UNSPEC = 0, AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, AF_NETLINK = 16,
              AF_PACKET = 17, NPROTO = 41;
constexpr int SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_RAW = 3, SOCK_RDM = 4, SOCK_SEQPACKET = 5,
              SOCK_PACKET = 10, SOCK_MAX = 11;
constexpr int SOCK_TYPE_MASK = 0xf, SOCK_CLOEXEC = 02000000, SOCK_NONBLOCK = 04000;
constexpr int IPPROTO_IP = 0, IPPROTO_ICMP = 1, IPPROTO_IGMP = 2, IPPROTO_TCP = 6, IPPROTO_UDP = 17,
              IPPROTO_RAW = 255;
constexpr int SOL_SOCKET = 1, SOL_IP = 0, SOL_UDP = 17;
constexpr int SO_DEBUG = 1, SO_REUSEADDR = 2, SO_TYPE = 3, SO_ERROR = 4, SO_DONTROUTE = 5,
              SO_BROADCAST = 6, SO_SNDBUF = 7, SO_RCVBUF = 8, SO_KEEPALIVE = 9, SO_OOBINLINE = 10,
              SO_NO_CHECK = 11, SO_PRIORITY = 12, SO_LINGER = 13, SO_REUSEPORT = 15,
              SO_PASSCRED = 16, SO_PEERCRED = 17, SO_RCVLOWAT = 18, SO_SNDLOWAT = 19,
              SO_RCVTIMEO = 20, SO_SNDTIMEO = 21, SO_BINDTODEVICE = 25, SO_TIMESTAMP = 29,
              SO_ACCEPTCONN = 30, SO_SNDBUFFORCE = 32, SO_RCVBUFFORCE = 33, SO_MARK = 36,
              SO_PROTOCOL = 38, SO_DOMAIN = 39, SO_RXQ_OVFL = 40;
constexpr int IP_TOS = 1, IP_TTL = 2, IP_HDRINCL = 3, IP_OPTIONS = 4, IP_RECVOPTS = 6,
              IP_PKTINFO = 8, IP_MTU_DISCOVER = 10, IP_RECVERR = 11, IP_RECVTTL = 12,
              IP_RECVTOS = 13, IP_MTU = 14, IP_FREEBIND = 15, IP_MULTICAST_IF = 32,
              IP_MULTICAST_TTL = 33, IP_MULTICAST_LOOP = 34, IP_ADD_MEMBERSHIP = 35,
              IP_DROP_MEMBERSHIP = 36;
constexpr u32 MSG_OOB = 1, MSG_PEEK = 2, MSG_DONTROUTE = 4, MSG_CTRUNC = 8, MSG_TRUNC = 0x20,
              MSG_DONTWAIT = 0x40, MSG_EOR = 0x80, MSG_WAITALL = 0x100, MSG_ERRQUEUE = 0x2000,
              MSG_NOSIGNAL = 0x4000, MSG_MORE = 0x8000, MSG_WAITFORONE = 0x10000,
              MSG_CMSG_CLOEXEC = 0x40000000;

struct sockaddr_in {
    u16 sin_family;
    be16 sin_port;
    be32 sin_addr;
    u8 zero[8];
};
static_assert(sizeof(sockaddr_in) == 16);
/// Large enough for every family's address.
struct sockaddr_storage {
    u16 ss_family;
    u8 data[126];
};

constexpr be32 INADDR_ANY{0}, INADDR_LOOPBACK = htonl(0x7f000001),
                              INADDR_BROADCAST = htonl(0xffffffff);
inline bool ipv4_is_loopback(be32 a)
{
    return (a & htonl(0xff000000)) == htonl(0x7f000000);
}
inline bool ipv4_is_multicast(be32 a)
{
    return (a & htonl(0xf0000000)) == htonl(0xe0000000);
}
inline bool ipv4_is_lbcast(be32 a)
{
    return a == INADDR_BROADCAST;
}
inline bool ipv4_is_zeronet(be32 a)
{
    return (a & htonl(0xff000000)) == be32{};
}

constexpr u16 ETH_P_IP = 0x0800, ETH_P_ARP = 0x0806, ETH_P_8021Q = 0x8100, ETH_P_IPV6 = 0x86dd,
              ETH_P_ALL = 3;
constexpr unsigned ETH_ALEN = 6, ETH_HLEN = 14, ETH_DATA_LEN = 1500, ETH_ZLEN = 60;

// Device flags (SIOCGIFFLAGS).
constexpr u32 IFF_UP = 1, IFF_BROADCAST = 2, IFF_LOOPBACK = 8, IFF_POINTOPOINT = 0x10,
              IFF_RUNNING = 0x40, IFF_NOARP = 0x80, IFF_PROMISC = 0x100, IFF_ALLMULTI = 0x200,
              IFF_MULTICAST = 0x1000;

// SPDX-License-Identifier: MIT
// The part of the netlink ABI that test programs use: musl's headers do not have it.
#ifndef NETLINK_ABI_H
#define NETLINK_ABI_H

#include <stdint.h>

struct sockaddr_nl {
    uint16_t nl_family, nl_pad;
    uint32_t nl_pid, nl_groups;
};
struct nlmsghdr {
    uint32_t nlmsg_len;
    uint16_t nlmsg_type, nlmsg_flags;
    uint32_t nlmsg_seq, nlmsg_pid;
};
struct nlmsgerr {
    int error;
    struct nlmsghdr msg;
};
struct rtattr {
    uint16_t rta_len, rta_type;
};
struct ifaddrmsg {
    uint8_t ifa_family, ifa_prefixlen, ifa_flags, ifa_scope;
    uint32_t ifa_index;
};
struct ifinfomsg {
    uint8_t ifi_family, pad;
    uint16_t ifi_type;
    int ifi_index;
    uint32_t ifi_flags, ifi_change;
};
struct rtmsg {
    uint8_t rtm_family, rtm_dst_len, rtm_src_len, rtm_tos, rtm_table, rtm_protocol, rtm_scope,
        rtm_type;
    uint32_t rtm_flags;
};
enum {
    NETLINK_ROUTE = 0,
    NLM_F_REQUEST = 1,
    NLM_F_MULTI = 2,
    NLM_F_ACK = 4,
    NLM_F_DUMP = 0x300,
    NLM_F_EXCL = 0x200,
    NLM_F_CREATE = 0x400,
    NLMSG_NOOP = 1,
    NLMSG_ERROR = 2,
    NLMSG_DONE = 3,
    NETLINK_ADD_MEMBERSHIP = 1,
    RTM_NEWLINK = 16,
    RTM_GETLINK = 18,
    RTM_NEWADDR = 20,
    RTM_DELADDR = 21,
    RTM_GETADDR = 22,
    RTM_NEWROUTE = 24,
    RTM_GETROUTE = 26,
    RTMGRP_IPV4_IFADDR = 0x10,
    RTMGRP_IPV4_ROUTE = 0x40,
    RTNLGRP_LINK = 1,
    RT_SCOPE_HOST = 254,
    RTN_UNICAST = 1,
    IFA_ADDRESS = 1,
    IFA_LOCAL = 2,
};
#define NLMSG_ALIGN(n) (((n) + 3u) & ~3u)
#define NLMSG_LENGTH(n) ((uint32_t)(n) + 16u)
#define NLMSG_DATA(h) ((void *)((h) + 1))
#define NLMSG_NEXT(h, left)                      \
    ((left) -= (int)NLMSG_ALIGN((h)->nlmsg_len), \
     (struct nlmsghdr *)((char *)(h) + NLMSG_ALIGN((h)->nlmsg_len)))
#define NLMSG_OK(h, left) ((left) >= 16u && (h)->nlmsg_len >= 16u && (h)->nlmsg_len <= (left))
#define RTA_LENGTH(n) ((n) + 4u)
#define RTA_ALIGN(n) NLMSG_ALIGN(n)
#define RTA_DATA(a) ((void *)((a) + 1))

#endif

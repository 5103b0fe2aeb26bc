// SPDX-License-Identifier: MIT
// Ping sockets: SOCK_DGRAM with IPPROTO_ICMP (Linux net/ipv4/ping.c): echo requests out, their replies in, without privilege for the
// groups in /proc/sys/net/ipv4/ping_group_range. The "port" is the ICMP identifier.
#pragma once

#include "net/ipv4/udp.h"

struct ping_sock : inet_sock {
    ping_sock() : inet_sock{"PING"} {}
};
extern int sysctl_ping_group_range[2];
/// Hash table, hooks into ICMP, /proc/net/icmp. Boot.
void ping_init();

// SPDX-License-Identifier: MIT
// IPv4 addresses of devices (Linux: include/linux/inetdevice.h, net/ipv4/devinet.c). rtnl held. [P]
#pragma once

#include "net/core/netdevice.h"

/// Make `addr`/`mask` with broadcast address `brd` the device's address; local, subnet and broadcast routes follow (fib_inetaddr_event).
/// 0 or -errno. devinet.cc
int inet_set_ifaddr(net_device *dev, be32 addr, be32 mask, be32 brd);
/// Default route through `gateway` on dev. 0 or -errno. fib_frontend.cc
int ip_rt_add_default(net_device *dev, be32 gateway);

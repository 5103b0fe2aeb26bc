// SPDX-License-Identifier: MIT
// Boot-time address configuration: the `ip=` word of the command line (Linux: net/ipv4/ipconfig.c,
// Documentation/filesystems/nfs/nfsroot.txt).
#pragma once

#include "net/core/netdevice.h"

/// What `ip=` says, or a DHCP server answered. Addresses in network byte order, 0: not given.
struct ip_config {
    be32 client{}, server{}, gateway{}, netmask{};
    be32 dns[2]{};
    char hostname[64] = {};
    char device[16] = {};
    u32 lease_s = 0;
    bool off = false; // ip=off, none: do nothing
    bool use_dhcp = false;
};

/// Parse the value of `ip=`. On an error returns the name of the field that is wrong, else null.
const char *ip_config_parse(const char *text, ip_config *out);
/// Netmask by address class, for a static address without one.
be32 ip_config_class_mask(be32 addr);

/// Ask for a lease on `dev` (up, with carrier). Fills addresses that are still 0. ETIMEDOUT when nobody answers. [P]
result<void> dhcp_request(net_device *dev, ip_config *cfg);

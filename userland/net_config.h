// SPDX-License-Identifier: MIT
// Interface addresses, flags and routes by the classic SIOC… ioctls.
#ifndef NET_CONFIG_H
#define NET_CONFIG_H

#include <netinet/in.h>
#include <stdbool.h>

/// Set IFF_UP on (or take it off) a device. 0, or -1 with errno.
int net_set_up(const char *device, bool up);
/// Set address and netmask (network order) of a device and bring it up. 0, or -1 with errno.
int net_set_address(const char *device, struct in_addr address, struct in_addr mask);
/// The device's address; 0, or -1 with errno (EADDRNOTAVAIL: it has none, ENODEV: no such device).
int net_get_address(const char *device, struct in_addr *address);
/// Add a default route through `gateway`. 0, or -1 with errno.
int net_add_default_route(struct in_addr gateway);
/// Apply the static form of the kernel's ip= word (CLIENT::GATEWAY:MASK::DEVICE:off) found in `cmdline`; true if there was one.
bool net_apply_ip_word(const char *cmdline);

#endif

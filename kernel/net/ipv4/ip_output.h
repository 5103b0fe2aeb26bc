// SPDX-License-Identifier: MIT
// Between the files of IPv4 output. Linux: net/ipv4/ip_output.c.
#pragma once

#include "net/ipv4/ip.h"

extern int sysctl_ip_default_ttl;

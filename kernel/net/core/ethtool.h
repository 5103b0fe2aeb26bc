// SPDX-License-Identifier: MIT
// SIOCETHTOOL, as far as ethtool -i, -g, -G, -S, -k, -K and link tests need it. Linux: net/core/ethtool.c.
#pragma once

#include "lib/result.h"
#include "net/core/netdevice.h"

/// `data`: user address of the command's structure, which starts with its number. [P] rtnl
result<s64> dev_ethtool(net_device *dev, u64 data);

// SPDX-License-Identifier: MIT
// A device's offloads as ethtool -k and -K see them. Linux: net/core/ethtool.c, netdev_update_features() of net/core/dev.c.
#pragma once

#include "lib/result.h"
#include "net/core/netdevice.h"

/// How many features have names, and the names in the order of their numbers.
unsigned ethtool_feature_count();
void ethtool_feature_names(char (*names)[32]);

/// ETHTOOL_GFEATURES, ETHTOOL_SFEATURES and the older commands for one offload each; EOPNOTSUPP for any other. `data`: user address of
/// the command's structure. Setting needs root (EPERM). The positive result of SFEATURES says what of the wish did not come true. [P] rtnl
result<s64> ethtool_features(net_device *dev, u32 cmd, u64 data);

/// Features of `features` without those whose needs it lacks: pages need a checksum, segmentation needs pages.
u32 netdev_fix_features(u32 features);

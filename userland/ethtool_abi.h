// SPDX-License-Identifier: MIT
// The part of the SIOCETHTOOL interface that ethtool.c uses; musl brings no kernel headers.
#ifndef ETHTOOL_ABI_H
#define ETHTOOL_ABI_H

#include <stdint.h>

enum { SIOCETHTOOL = 0x8946 };
enum {
    ETHTOOL_GDRVINFO = 0x03,
    ETHTOOL_GRINGPARAM = 0x10,
    ETHTOOL_SRINGPARAM = 0x11,
    ETHTOOL_GSTRINGS = 0x1b,
    ETHTOOL_GSTATS = 0x1d,
};
enum { ETH_SS_STATS = 1, ETH_GSTRING_LEN = 32 };

struct ethtool_drvinfo {
    uint32_t cmd;
    char driver[32], version[32], fw_version[32], bus_info[32], erom_version[32], reserved[12];
    uint32_t n_priv_flags, n_stats, testinfo_len, eedump_len, regdump_len;
};

struct ethtool_ringparam {
    uint32_t cmd;
    uint32_t rx_max_pending, rx_mini_max_pending, rx_jumbo_max_pending, tx_max_pending;
    uint32_t rx_pending, rx_mini_pending, rx_jumbo_pending, tx_pending;
};

struct ethtool_gstrings {
    uint32_t cmd, string_set, len;
    uint8_t data[];
};

struct ethtool_stats {
    uint32_t cmd, n_stats;
    uint64_t data[];
};

#endif

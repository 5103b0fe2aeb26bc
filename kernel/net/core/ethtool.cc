// SPDX-License-Identifier: MIT
// SIOCETHTOOL. Linux: net/core/ethtool.c; the structures are those of include/uapi/linux/ethtool.h.
// Process context with rtnl. Sizes come from the driver, never from the user; the user's counts
// only limit.

#include "net/core/ethtool.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "mm/uaccess.h"
#include "net/core/ethtool_features.h"
#include "sched/sched.h"

namespace
{
constexpr u32 ETHTOOL_GDRVINFO = 0x03, ETHTOOL_GLINK = 0x0a, ETHTOOL_GRINGPARAM = 0x10,
              ETHTOOL_SRINGPARAM = 0x11, ETHTOOL_GSTRINGS = 0x1b, ETHTOOL_GSTATS = 0x1d,
              ETHTOOL_GSSET_INFO = 0x37, ETH_SS_STATS = 1, ETH_SS_FEATURES = 4;

struct drvinfo {
    u32 cmd;
    char driver[32], version[32], fw_version[32], bus_info[32], erom_version[32], reserved2[12];
    u32 n_priv_flags, n_stats, testinfo_len, eedump_len, regdump_len;
};
static_assert(sizeof(drvinfo) == 196);
struct value {
    u32 cmd, data;
};
struct ringparam {
    u32 cmd, rx_max_pending, rx_mini_max_pending, rx_jumbo_max_pending, tx_max_pending, rx_pending,
        rx_mini_pending, rx_jumbo_pending, tx_pending;
};
struct gstrings {
    u32 cmd, string_set, len;
};
struct sset_info {
    u32 cmd, reserved;
    u64 sset_mask;
    u32 data[2];
};
struct stats_head {
    u32 cmd, n_stats;
};

unsigned stat_count(net_device *dev)
{
    return dev->ethtool && dev->ethtool->get_sset_count ? dev->ethtool->get_sset_count(dev) : 0;
}

result<s64> give(u64 to, const void *from, size_t n)
{
    TRY_VOID(copy_to_user(user_ptr<void>{to}, from, n));
    return 0;
}

result<s64> get_drvinfo(net_device *dev, u64 data)
{
    drvinfo i{};
    i.cmd = ETHTOOL_GDRVINFO;
    const char *driver = "", *bus = "";
    if (!dev->ethtool->get_drvinfo)
        return error{EOPNOTSUPP};
    dev->ethtool->get_drvinfo(dev, &driver, &bus);
    strlcpy(i.driver, driver, sizeof(i.driver));
    strlcpy(i.bus_info, bus, sizeof(i.bus_info));
    strlcpy(i.version, "softnet", sizeof(i.version));
    i.n_stats = stat_count(dev);
    return give(data, &i, sizeof(i));
}

result<s64> get_ringparam(net_device *dev, u64 data)
{
    ringparam p{};
    p.cmd = ETHTOOL_GRINGPARAM;
    if (!dev->ethtool->get_ringparam)
        return error{EOPNOTSUPP};
    dev->ethtool->get_ringparam(dev, &p.rx_pending, &p.tx_pending, &p.rx_max_pending,
                                &p.tx_max_pending);
    return give(data, &p, sizeof(p));
}

result<s64> set_ringparam(net_device *dev, u64 data)
{
    ringparam p;
    if (!dev->ethtool->set_ringparam)
        return error{EOPNOTSUPP};
    if (current()->uid)
        return error{EPERM};
    TRY_VOID(copy_from_user(&p, user_ptr<const void>{data}, sizeof(p)));
    if (p.rx_mini_pending || p.rx_jumbo_pending)
        return error{EINVAL};
    int err = dev->ethtool->set_ringparam(dev, p.rx_pending, p.tx_pending);
    if (err)
        return error{static_cast<errno_t>(-err)};
    return 0;
}

result<s64> get_strings(net_device *dev, u64 data)
{
    gstrings g;
    TRY_VOID(copy_from_user(&g, user_ptr<const void>{data}, sizeof(g)));
    bool features = g.string_set == ETH_SS_FEATURES;
    if (!features && (g.string_set != ETH_SS_STATS || !dev->ethtool || !dev->ethtool->get_strings))
        return error{EOPNOTSUPP};
    g.len = features ? ethtool_feature_count() : stat_count(dev);
    auto *names = static_cast<char(*)[32]>(kzalloc(g.len * 32 + 1, GFP_KERNEL));
    if (!names)
        return error{ENOMEM};
    if (features)
        ethtool_feature_names(names);
    else
        dev->ethtool->get_strings(dev, names);
    auto r = copy_to_user(user_ptr<void>{data}, &g, sizeof(g));
    if (r)
        r = copy_to_user(user_ptr<void>{data + sizeof(g)}, names, g.len * 32);
    kfree(names);
    TRY_VOID(r);
    return 0;
}

result<s64> get_stats(net_device *dev, u64 data)
{
    if (!dev->ethtool->get_ethtool_stats)
        return error{EOPNOTSUPP};
    stats_head h{ETHTOOL_GSTATS, stat_count(dev)};
    auto *values = static_cast<u64 *>(kzalloc(h.n_stats * sizeof(u64) + 1, GFP_KERNEL));
    if (!values)
        return error{ENOMEM};
    dev->ethtool->get_ethtool_stats(dev, values);
    auto r = copy_to_user(user_ptr<void>{data}, &h, sizeof(h));
    if (r)
        r = copy_to_user(user_ptr<void>{data + sizeof(h)}, values, h.n_stats * sizeof(u64));
    kfree(values);
    TRY_VOID(r);
    return 0;
}

/// Which of the asked string sets exist, and the size of each.
result<s64> get_sset_info(net_device *dev, u64 data)
{
    sset_info i;
    constexpr size_t head = __builtin_offsetof(sset_info, data);
    TRY_VOID(copy_from_user(&i, user_ptr<const void>{data}, head));
    u64 asked = i.sset_mask;
    unsigned n = 0;
    i.sset_mask = 0;
    if (asked & (u64{1} << ETH_SS_STATS) && stat_count(dev)) {
        i.sset_mask |= u64{1} << ETH_SS_STATS;
        i.data[n++] = stat_count(dev);
    }
    if (asked & (u64{1} << ETH_SS_FEATURES)) {
        i.sset_mask |= u64{1} << ETH_SS_FEATURES;
        i.data[n++] = ethtool_feature_count();
    }
    return give(data, &i, head + n * sizeof(u32));
}
} // namespace

result<s64> dev_ethtool(net_device *dev, u64 data)
{
    u32 cmd;
    TRY_VOID(copy_from_user(&cmd, user_ptr<const void>{data}, sizeof(cmd)));
    if (cmd == ETHTOOL_GLINK) {
        value v{cmd, netif_running(dev) && netif_carrier_ok(dev) ? 1u : 0u};
        return give(data, &v, sizeof(v));
    }
    if (cmd == ETHTOOL_GSTRINGS)
        return get_strings(dev, data);
    if (cmd == ETHTOOL_GSSET_INFO)
        return get_sset_info(dev, data);
    if (!dev->ethtool)
        return ethtool_features(dev, cmd, data);
    switch (cmd) {
    case ETHTOOL_GDRVINFO:
        return get_drvinfo(dev, data);
    case ETHTOOL_GRINGPARAM:
        return get_ringparam(dev, data);
    case ETHTOOL_SRINGPARAM:
        return set_ringparam(dev, data);
    case ETHTOOL_GSTATS:
        return get_stats(dev, data);
    default:
        return ethtool_features(dev, cmd, data);
    }
}

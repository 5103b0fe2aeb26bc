// SPDX-License-Identifier: MIT
// ethtool -k and -K. A user wishes (wanted_features) within what may change (hw_features); what comes of that is `features`, which every
// packet looks at. Process context with rtnl; readers of `features` hold nothing and see a change with one of the next packets.
#include "net/core/ethtool_features.h"
#include "lib/string.h"
#include "mm/uaccess.h"
#include "sched/sched.h"

namespace
{
constexpr u32 ETHTOOL_GFLAGS = 0x25, ETHTOOL_GFEATURES = 0x3a, ETHTOOL_SFEATURES = 0x3b,
              ETH_FLAG_RXHASH = 1u << 28;
/// Results of ETHTOOL_SFEATURES: the wish has what cannot change; a wish was noted but is not in effect.
constexpr s64 ETHTOOL_F_UNSUPPORTED = 1, ETHTOOL_F_WISH = 2;
constexpr u32 ALL_CSUM = NETIF_F_IP_CSUM | NETIF_F_HW_CSUM;

/// A feature's number in ethtool's bit maps is its place here.
constexpr struct {
    u32 bit;
    const char *name;
} table[] = {
    {NETIF_F_SG, "tx-scatter-gather"},
    {NETIF_F_IP_CSUM, "tx-checksum-ipv4"},
    {NETIF_F_HW_CSUM, "tx-checksum-ip-generic"},
    {NETIF_F_GSO, "tx-generic-segmentation"},
    {NETIF_F_TSO, "tx-tcp-segmentation"},
    {NETIF_F_RXCSUM, "rx-checksum"},
    {NETIF_F_RXHASH, "rx-hashing"},
    {NETIF_F_GRO, "rx-gro"},
    {NETIF_F_LLTX, "tx-lockless"},
};
constexpr unsigned COUNT = sizeof(table) / sizeof(table[0]);
static_assert(COUNT <= 32); // one block of the bit maps

/// Commands from before the bit maps, each for one offload.
constexpr struct {
    u32 get, set, bits;
} single[] = {
    {0x14, 0x15, NETIF_F_RXCSUM}, {0x16, 0x17, ALL_CSUM},    {0x18, 0x19, NETIF_F_SG},
    {0x1e, 0x1f, NETIF_F_TSO},    {0x23, 0x24, NETIF_F_GSO}, {0x2b, 0x2c, NETIF_F_GRO},
};

struct value {
    u32 cmd, data;
};
struct get_block {
    u32 available, requested, active, never_changed;
};
struct set_block {
    u32 valid, requested;
};
struct features_head {
    u32 cmd, size; // in blocks
};

u32 to_numbers(u32 bits)
{
    u32 found = 0;
    for (unsigned i = 0; i < COUNT; i++)
        found |= bits & table[i].bit ? 1u << i : 0;
    return found;
}

u32 from_numbers(u32 numbers)
{
    u32 bits = 0;
    for (unsigned i = 0; i < COUNT; i++)
        bits |= numbers >> i & 1 ? table[i].bit : 0;
    return bits;
}

/// netdev_update_features.
void update(net_device *dev)
{
    u32 wish = (dev->features & ~dev->hw_features) | (dev->wanted_features & dev->hw_features);
    dev->features = netdev_fix_features(wish);
}

result<s64> get_all(net_device *dev, u64 data)
{
    features_head h;
    TRY_VOID(copy_from_user(&h, user_ptr<const void>{data}, sizeof(h)));
    bool room = h.size >= 1;
    h.size = 1;
    get_block b{to_numbers(dev->hw_features), to_numbers(dev->wanted_features),
                to_numbers(dev->features), to_numbers(NETIF_F_LLTX)};
    TRY_VOID(copy_to_user(user_ptr<void>{data}, &h, sizeof(h)));
    if (room)
        TRY_VOID(copy_to_user(user_ptr<void>{data + sizeof(h)}, &b, sizeof(b)));
    return 0;
}

result<s64> set_all(net_device *dev, u64 data)
{
    struct {
        features_head h;
        set_block b;
    } in;
    TRY_VOID(copy_from_user(&in.h, user_ptr<const void>{data}, sizeof(in.h)));
    if (in.h.size != 1)
        return error{EINVAL};
    TRY_VOID(copy_from_user(&in.b, user_ptr<const void>{data + sizeof(in.h)}, sizeof(in.b)));
    if (in.b.valid >> (COUNT - 1) >> 1)
        return error{EINVAL};
    u32 valid = from_numbers(in.b.valid), requested = from_numbers(in.b.requested);
    s64 said = valid & ~dev->hw_features ? ETHTOOL_F_UNSUPPORTED : 0;
    valid &= dev->hw_features;
    dev->wanted_features = (dev->wanted_features & ~valid) | (requested & valid);
    update(dev);
    return said | ((dev->wanted_features ^ dev->features) & valid ? ETHTOOL_F_WISH : 0);
}

result<s64> get_one(net_device *dev, u32 cmd, u32 bits, u64 data)
{
    value v{cmd, dev->features & bits ? 1u : 0u};
    TRY_VOID(copy_to_user(user_ptr<void>{data}, &v, sizeof(v)));
    return 0;
}

result<s64> set_one(net_device *dev, u32 bits, u64 data)
{
    value v;
    TRY_VOID(copy_from_user(&v, user_ptr<const void>{data}, sizeof(v)));
    bits &= dev->hw_features;
    if (!bits)
        return error{EOPNOTSUPP};
    dev->wanted_features = v.data ? dev->wanted_features | bits : dev->wanted_features & ~bits;
    update(dev);
    return 0;
}
} // namespace

unsigned ethtool_feature_count()
{
    return COUNT;
}

void ethtool_feature_names(char (*names)[32])
{
    for (unsigned i = 0; i < COUNT; i++)
        strlcpy(names[i], table[i].name, sizeof(names[i]));
}

u32 netdev_fix_features(u32 features)
{
    if (!(features & ALL_CSUM))
        features &= ~NETIF_F_SG;
    if (!(features & NETIF_F_SG))
        features &= ~(NETIF_F_TSO | NETIF_F_GSO);
    return features;
}

result<s64> ethtool_features(net_device *dev, u32 cmd, u64 data)
{
    if (cmd == ETHTOOL_GFEATURES)
        return get_all(dev, data);
    if (cmd == ETHTOOL_GFLAGS) {
        value v{cmd, dev->features & NETIF_F_RXHASH ? ETH_FLAG_RXHASH : 0};
        TRY_VOID(copy_to_user(user_ptr<void>{data}, &v, sizeof(v)));
        return 0;
    }
    for (auto &one : single)
        if (cmd == one.get)
            return get_one(dev, cmd, one.bits, data);
    if (cmd == ETHTOOL_SFEATURES)
        return current()->uid ? result<s64>{error{EPERM}} : set_all(dev, data);
    for (auto &one : single)
        if (cmd == one.set)
            return current()->uid ? result<s64>{error{EPERM}} : set_one(dev, one.bits, data);
    return error{EOPNOTSUPP};
}

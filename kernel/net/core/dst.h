// SPDX-License-Identifier: MIT
// Route results and neighbours as the packet path uses them. Linux: include/net/dst.h,
// include/net/neighbour.h.
#pragma once

#include "net/core/netdevice.h"
#include "sched/rcu.h"

/// Where a packet goes next: input and output functions, device, next hop. Reference counted; freed
/// after a grace period.
struct dst_entry : pinned {
    net_device *dev = nullptr;             // referenced
    int (*input)(sk_buff *skb) = nullptr;  // [S]
    int (*output)(sk_buff *skb) = nullptr; // [P][S]
    int error = 0;                         // positive errno for unreachable routes
    u32 mtu = 0;                           // learned path MTU, 0: device's
    u64 expires = 0;                       // jiffies until which mtu holds
    std::atomic<int> obsolete{0};          // routing changed since: look up again
    refcount refcnt;
    rcu_head rcu;
    void (*destroy)(dst_entry *) = nullptr;
};
inline dst_entry *dst_hold(dst_entry *d)
{
    if (d)
        d->refcnt.get();
    return d;
}
void dst_release(dst_entry *d);
inline int dst_input(sk_buff *skb)
{
    return skb->dst->input(skb);
}
inline int dst_output(sk_buff *skb)
{
    return skb->dst->output(skb);
}

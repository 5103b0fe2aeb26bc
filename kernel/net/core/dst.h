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
    u32 genid = 0;                         // routing generation it was looked up in
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
/// Generation of addresses and routes: what was looked up in an older one is void.
extern std::atomic<u32> rt_genid;
/// Whether a remembered route still holds (Linux dst_check). Any context.
inline bool dst_check(const dst_entry *d)
{
    return read_once(d->genid) == rt_genid.load(std::memory_order_relaxed);
}
/// Lend the packet a route that RCU protects. Who keeps the packet beyond the read-side section calls
/// skb_dst_force() or skb_dst_drop() before.
inline void skb_dst_set_noref(sk_buff *skb, dst_entry *d)
{
    skb->dst = d;
    skb->dst_noref = 1;
}
/// A reference on the packet's route for somebody else; null: it has none, or one that just ended. RCU.
inline dst_entry *skb_dst_get(const sk_buff *skb)
{
    if (!skb->dst_noref)
        return dst_hold(skb->dst);
    return skb->dst->refcnt.get_unless_zero() ? skb->dst : nullptr;
}
/// The packet leaves the RCU section: a route that was lent becomes its own, or none. RCU.
inline void skb_dst_force(sk_buff *skb)
{
    if (!skb->dst_noref)
        return;
    skb->dst = skb_dst_get(skb);
    skb->dst_noref = 0;
}
inline int dst_input(sk_buff *skb)
{
    return skb->dst->input(skb);
}
inline int dst_output(sk_buff *skb)
{
    return skb->dst->output(skb);
}

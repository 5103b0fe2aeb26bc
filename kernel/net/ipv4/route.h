// SPDX-License-Identifier: MIT
// Inside the routing code: making rtables, the per-CPU memory of recent look-ups, counters. Linux:
// net/ipv4/route.c.
#pragma once

#include "net/ipv4/ip_fib.h"

/// /proc/net/stat/rt_cache, per CPU.
struct rt_cache_stat {
    u64 in_hit, in_slow_tot, in_slow_mc, in_no_route, in_brd, in_martian_dst, in_martian_src,
        out_hit, out_slow_tot, out_slow_mc;
};
extern constinit percpu<rt_cache_stat> rt_cache_stats;

/// A recent look-up of this CPU. Written with BHs off on its own CPU, so that a reader in process
/// context on that CPU is disturbed only by whole writes in softirq. Holds no reference: while
/// `genid` is the current one, the tables hold it.
struct rt_slot {
    be32 daddr{}, saddr{};
    u32 ifindex = 0;
    u32 genid = 0; // 0: empty
    rtable *rt = nullptr;
    be32 src{}; // source address found (output)
};
constexpr unsigned RT_SLOTS = 64;
struct rt_slots {
    rt_slot input[RT_SLOTS], output[RT_SLOTS];
};
extern constinit percpu<rt_slots> rt_recent;
constexpr unsigned rt_slot_of(be32 daddr, be32 saddr)
{
    return ((daddr.raw ^ (saddr.raw * 3)) * 0x9e3779b1u) >> 26;
}
/// The slot's route with a reference if it answers the question, else null. Caller does not sleep.
inline rtable *rt_slot_match(const rt_slot &s, be32 daddr, be32 saddr, u32 ifindex, u32 genid)
{
    rtable *rt = read_once(s.rt);
    compiler_barrier();
    if (s.daddr != daddr || s.saddr != saddr || s.ifindex != ifindex || read_once(s.genid) != genid)
        return nullptr;
    compiler_barrier();
    // Another CPU may have dropped the next hop this instant; the memory stays for the grace
    // period.
    return read_once(s.rt) == rt && rt->refcnt.get_unless_zero() ? rt : nullptr;
}
/// A cached route with a reference if it is of the generation in which the look-up began.
inline rtable *rt_cached(const std::atomic<rtable *> &slot, u32 genid)
{
    rtable *rt = slot.load(std::memory_order_acquire);
    return rt && rt->genid == genid && rt->refcnt.get_unless_zero() ? rt : nullptr;
}
/// BH off.
inline void rt_slot_set(rt_slot &s, be32 daddr, be32 saddr, u32 ifindex, u32 genid, rtable *rt,
                        be32 src)
{
    write_once(s.genid, 0);
    compiler_barrier();
    s.daddr = daddr;
    s.saddr = saddr;
    s.ifindex = ifindex;
    s.rt = rt;
    s.src = src;
    compiler_barrier();
    write_once(s.genid, genid);
}

/// New rtable over dev with one reference; null: no memory. genid: generation in which its look-up began, so that a change
/// meanwhile makes it void.
rtable *rt_dst_alloc(net_device *dev, u32 flags, u8 type, u32 genid);
/// Install `rt` as a next hop's cached route, with a reference of the cache's own, unless another
/// CPU was faster (false). Releases what was there.
bool rt_cache_install(std::atomic<rtable *> &where, rtable *rt);
/// Device that owns a local address, not referenced (valid while not sleeping); null if none.
net_device *ip_dev_find(be32 addr);
/// The exception (learned path MTU) for daddr, referenced, or null.
rtable *rt_find_exception(be32 daddr);
/// Forget learned path MTUs.
void rt_flush_exceptions();
/// dst.input / dst.output of routes that reject.
int ip_error(sk_buff *skb);
/// Make the fixed input routes; after lo exists.
void rt_input_init();
void ip_rt_init();

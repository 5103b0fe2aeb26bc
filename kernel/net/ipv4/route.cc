// SPDX-License-Identifier: MIT
// Routes as the packet path sees them: life of rtables, address types, learned path MTUs. Linux:
// net/ipv4/route.c. Any context. rtables are cached per next hop (route_output.cc, route_input.cc),
// so packets allocate none.

#include "net/ipv4/route.h"
#include "fs/seq_file.h"
#include "lib/printk.h"
#include "mm/slab.h"

constinit percpu<rt_cache_stat> rt_cache_stats;
constinit percpu<rt_slots> rt_recent;
static kmem_cache *ip_dst_cache;

static void rt_destroy(dst_entry *d)
{
    if (d->dev)
        dev_put(d->dev);
    kmem_cache_delete(ip_dst_cache, static_cast<rtable *>(d));
}

rtable *rt_dst_alloc(net_device *dev, u32 flags, u8 type, u32 genid)
{
    auto *rt = kmem_cache_new<rtable>(ip_dst_cache, GFP_ATOMIC);
    if (!rt)
        return nullptr;
    dev_hold(dev);
    rt->dev = dev;
    rt->destroy = rt_destroy;
    rt->rt_flags = flags;
    rt->rt_type = type;
    rt->genid = genid;
    return rt;
}

bool rt_cache_install(std::atomic<rtable *> &where, rtable *rt)
{
    rtable *old = where.load(std::memory_order_acquire);
    if (old && dst_check(old))
        return false;
    dst_hold(rt);
    if (!where.compare_exchange_strong(old, rt, std::memory_order_acq_rel)) {
        dst_release(rt);
        return false;
    }
    dst_release(old);
    return true;
}

void fib_info_release_rt(fib_info *fi)
{
    dst_release(fi->nh_rth_input.exchange(nullptr));
    for (auto &o : fi->nh_rth_output)
        dst_release(o.exchange(nullptr));
}

void rt_cache_flush()
{
    // 0 marks an empty slot.
    if (rt_genid.fetch_add(1) + 1 == 0)
        rt_genid.fetch_add(1);
}

u8 inet_addr_type(be32 addr)
{
    if (!addr || ipv4_is_lbcast(addr))
        return RTN_BROADCAST;
    if (ipv4_is_multicast(addr))
        return RTN_MULTICAST;
    fib_result res;
    return fib_table_lookup(fib_table_local, addr, 0, &res) ? res.type : u8{RTN_UNICAST};
}

net_device *ip_dev_find(be32 addr)
{
    fib_result res;
    if (!fib_table_lookup(fib_table_local, addr, 0, &res) || res.type != RTN_LOCAL)
        return nullptr;
    return res.fi->nh_dev;
}

// --- Learned path MTUs (Linux: next hop exceptions) ----------------------------------------------
// Bounded: FNHE_BUCKETS × FNHE_DEPTH entries, the oldest makes room.

namespace
{
constexpr unsigned FNHE_BUCKETS = 256, FNHE_DEPTH = 5;
constexpr u32 IP_RT_MIN_PMTU = 552;
constexpr u64 IP_RT_MTU_EXPIRES = 600 * HZ;

struct fib_nh_exception {
    be32 daddr{};
    rtable *rt = nullptr; // null: free
    u64 stamp = 0;
};
fib_nh_exception fnhe[FNHE_BUCKETS][FNHE_DEPTH];
u32 fnhe_count;
constinit spinlock fnhe_lock{"fnhe_lock"};

unsigned fnhe_bucket(be32 daddr)
{
    return (daddr.raw * 0x9e3779b1u) >> 24;
}
} // namespace

rtable *rt_find_exception(be32 daddr)
{
    if (likely(!read_once(fnhe_count)))
        return nullptr;
    spin_guard<bh> g{fnhe_lock};
    for (fib_nh_exception &e : fnhe[fnhe_bucket(daddr)]) {
        if (!e.rt || e.daddr != daddr)
            continue;
        if (time_after(jiffies(), e.rt->expires)) {
            dst_release(e.rt);
            e.rt = nullptr;
            fnhe_count--;
            return nullptr;
        }
        dst_hold(e.rt);
        return e.rt;
    }
    return nullptr;
}

/// A route like `model` with its own path MTU.
static rtable *rt_with_mtu(const rtable *model, u32 mtu)
{
    rtable *rt = rt_dst_alloc(model->dev, model->rt_flags, model->rt_type, model->genid);
    if (!rt)
        return nullptr;
    rt->input = model->input;
    rt->output = model->output;
    rt->rt_gateway = model->rt_gateway;
    rt->rt_src = model->rt_src;
    rt->mtu = mtu;
    rt->expires = jiffies() + IP_RT_MTU_EXPIRES;
    return rt;
}

/// Free or oldest entry of the bucket, or that of daddr. fnhe_lock.
static fib_nh_exception *fnhe_slot(be32 daddr)
{
    fib_nh_exception *best = nullptr;
    for (fib_nh_exception &e : fnhe[fnhe_bucket(daddr)]) {
        if (e.rt && e.daddr == daddr)
            return &e;
        if (!best || (best->rt && (!e.rt || time_after(best->stamp, e.stamp))))
            best = &e;
    }
    return best;
}

void ipv4_update_pmtu(be32 daddr, u32 mtu)
{
    flowi4 fl;
    fl.daddr = daddr;
    auto r = ip_route_output_key(&fl);
    if (!r)
        return;
    rtable *cur = *r;
    mtu = max(mtu, IP_RT_MIN_PMTU);
    if (cur->rt_type != RTN_UNICAST || dst_mtu(cur) <= mtu) {
        dst_release(cur);
        return;
    }
    rtable *rt = rt_with_mtu(cur, mtu);
    dst_release(cur);
    if (!rt)
        return;
    rt_cache_flush(); // sockets look up again and find the exception
    rt->genid = rt_genid.load();
    spin_guard<bh> g{fnhe_lock};
    fib_nh_exception *e = fnhe_slot(daddr);
    if (e->rt)
        dst_release(e->rt);
    else
        write_once(fnhe_count, fnhe_count + 1);
    e->daddr = daddr;
    e->rt = rt;
    e->stamp = jiffies();
}

void rt_flush_exceptions()
{
    spin_guard<bh> g{fnhe_lock};
    for (auto &bucket : fnhe) {
        for (fib_nh_exception &e : bucket) {
            if (e.rt)
                dst_release(e.rt);
            e.rt = nullptr;
        }
    }
    fnhe_count = 0;
}

static void rt_cache_stat_show(seq_file *m)
{
    seq_puts(m, "entries  in_hit in_slow_tot in_slow_mc in_no_route in_brd in_martian_dst "
                "in_martian_src  out_hit "
                "out_slow_tot out_slow_mc  gc_total gc_ignored gc_goal_miss gc_dst_overflow "
                "in_hlist_search "
                "out_hlist_search\n");
    for (unsigned i = 0; i < num_online_cpus(); i++) {
        const rt_cache_stat &s = rt_cache_stats.on(i);
        seq_printf(m,
                   "%08x  %08x %08x %08x %08x %08x %08x %08x  %08x %08x %08x %08x %08x %08x %08x "
                   "%08x %08x\n",
                   0u, static_cast<u32>(s.in_hit), static_cast<u32>(s.in_slow_tot),
                   static_cast<u32>(s.in_slow_mc), static_cast<u32>(s.in_no_route),
                   static_cast<u32>(s.in_brd), static_cast<u32>(s.in_martian_dst),
                   static_cast<u32>(s.in_martian_src), static_cast<u32>(s.out_hit),
                   static_cast<u32>(s.out_slow_tot), static_cast<u32>(s.out_slow_mc), 0u, 0u, 0u,
                   0u, 0u, 0u);
    }
}

void ip_rt_init()
{
    if (!ip_dst_cache)
        ip_dst_cache = kmem_cache_create("ip_dst_cache", sizeof(rtable), 64);
    rt_input_init();
    proc_create("net/stat/rt_cache", rt_cache_stat_show);
}

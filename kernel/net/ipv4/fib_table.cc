// SPDX-License-Identifier: MIT
// Routing tables: prefixes hashed by length, longest first. Plays the part of Linux's
// net/ipv4/fib_trie.c and fib_semantics.c. Look-up: any context, no locks. Changes: process context
// with rtnl; removed routes are freed after a grace period.

#include "mm/slab.h"
#include "net/ipv4/ip_fib.h"

constinit fib_table fib_table_local{RT_TABLE_LOCAL, 0, {}, {}};
constinit fib_table fib_table_main{RT_TABLE_MAIN, 0, {}, {}};

static unsigned fib_bucket(be32 prefix)
{
    return (prefix.raw * 0x9e3779b1u) >> 26;
}
static_assert(FIB_BUCKETS == 64);

/// Whether the route can be used: its device is up (or it is one that rejects).
static bool usable(const fib_alias *a, u32 oif)
{
    const net_device *dev = a->fi->nh_dev;
    return !dev || !oif || dev->ifindex == oif;
}

bool fib_table_lookup(const fib_table &t, be32 dst, u32 oif, fib_result *res)
{
    for (u64 left = read_once(t.lengths); left;) {
        unsigned len = 63 - static_cast<unsigned>(__builtin_clzll(left));
        left &= ~(u64{1} << len);
        be32 key = dst & inet_make_mask(len);
        const fib_alias *a = rcu_dereference(t.hash[len][fib_bucket(key)]);
        for (; a; a = rcu_dereference(a->next)) {
            if (a->prefix != key || !usable(a, oif))
                continue;
            *res = {a->plen, a->type, a->prefix, a->fi};
            return true;
        }
    }
    return false;
}

int fib_lookup(be32 dst, u32 oif, fib_result *res)
{
    if (!fib_table_lookup(fib_table_local, dst, oif, res) &&
        !fib_table_lookup(fib_table_main, dst, oif, res))
        return -ENETUNREACH;
    switch (res->type) {
    case RTN_BLACKHOLE:
        return -EINVAL;
    case RTN_UNREACHABLE:
        return -EHOSTUNREACH;
    case RTN_PROHIBIT:
        return -EACCES;
    default:
        return 0;
    }
}

static void fib_info_free_rcu(rcu_head *h)
{
    // rcu is the last thing that refers to it; a look-up that had begun before may have cached a route.
    fib_info *fi = container_of(h, fib_info, rcu);
    fib_info_release_rt(fi);
    if (fi->nh_dev)
        dev_put(fi->nh_dev);
    kdelete(fi);
}

static void fib_alias_free_rcu(rcu_head *h)
{
    kdelete(container_of(h, fib_alias, rcu));
}

static void free_alias(fib_alias *a)
{
    rt_cache_flush();
    call_rcu(&a->fi->rcu, fib_info_free_rcu);
    call_rcu(&a->rcu, fib_alias_free_rcu);
}

/// The gateway must be a neighbour on a device that is up, reached without another gateway (Linux
/// fib_check_nh).
static int check_gateway(fib_config *c)
{
    if (c->scope >= RT_SCOPE_LINK)
        return -EINVAL;
    u8 t = inet_addr_type(c->gw);
    if (t != RTN_UNICAST)
        return -EINVAL;
    fib_result res;
    if (fib_lookup(c->gw, c->dev ? c->dev->ifindex : 0, &res))
        return -ENETUNREACH;
    if (res.type != RTN_UNICAST && res.type != RTN_LOCAL)
        return -EINVAL;
    if (res.fi->nh_gw)
        return -ENETUNREACH; // a gateway behind a gateway: nothing on link leads there
    if (!c->dev)
        c->dev = res.fi->nh_dev;
    return c->dev->flags & IFF_UP ? 0 : -ENETDOWN;
}

static fib_info *fib_create_info(const fib_config &cfg, int *err)
{
    fib_config c = cfg;
    u8 nh_scope = RT_SCOPE_NOWHERE;
    bool reject = c.type == RTN_UNREACHABLE || c.type == RTN_BLACKHOLE || c.type == RTN_PROHIBIT;
    if (!reject && c.gw) {
        if ((*err = check_gateway(&c)))
            return nullptr;
        nh_scope = RT_SCOPE_LINK;
    } else if (!reject) {
        *err = c.dev ? -ENETDOWN : -ENODEV;
        // Local routes may name a device that is down: an own address works without its device.
        if (!c.dev || (!(c.dev->flags & IFF_UP) && c.type != RTN_LOCAL))
            return nullptr;
        nh_scope = c.scope == RT_SCOPE_HOST ? RT_SCOPE_NOWHERE : RT_SCOPE_HOST;
    }
    *err = -EINVAL;
    if (c.prefsrc && (c.type != RTN_LOCAL || c.prefsrc != c.dst) &&
        inet_addr_type(c.prefsrc) != RTN_LOCAL)
        return nullptr;
    *err = -ENOMEM;
    auto *fi = knew<fib_info>(GFP_KERNEL);
    if (!fi)
        return nullptr;
    if (!reject) {
        dev_hold(c.dev);
        fi->nh_dev = c.dev;
    }
    fi->nh_gw = c.gw;
    fi->fib_prefsrc = c.prefsrc;
    fi->nh_scope = nh_scope;
    fi->fib_protocol = c.protocol;
    fi->fib_scope = c.scope;
    fi->fib_priority = c.priority;
    fi->fib_mtu = c.mtu;
    *err = 0;
    return fi;
}

/// Buckets of a length, made at first use.
static fib_alias **buckets(fib_table &t, unsigned plen)
{
    if (!t.hash[plen]) {
        auto *b = static_cast<fib_alias **>(kzalloc(FIB_BUCKETS * sizeof(fib_alias *), GFP_KERNEL));
        if (!b)
            return nullptr;
        t.hash[plen] = b;
        smp_wmb();
    }
    return const_cast<fib_alias **>(t.hash[plen]);
}

static bool same_route(const fib_alias *a, const fib_config &c, be32 prefix)
{
    return a->prefix == prefix && a->tos == c.tos && a->fi->fib_priority == c.priority;
}

int fib_table_insert(fib_table &t, const fib_config &c, bool replace)
{
    if (c.plen > 32 || (c.dst & ~inet_make_mask(c.plen)))
        return -EINVAL;
    fib_alias **heads = buckets(t, c.plen);
    if (!heads)
        return -ENOMEM;
    fib_alias **pp = &heads[fib_bucket(c.dst)];
    while (*pp && !((*pp)->prefix == c.dst && (*pp)->fi->fib_priority >= c.priority))
        pp = &(*pp)->next;
    for (fib_alias *a = *pp; a; a = a->next)
        if (same_route(a, c, c.dst) && !replace &&
            (a->type == c.type && a->fi->nh_dev == c.dev && a->fi->nh_gw == c.gw &&
             a->fi->fib_prefsrc == c.prefsrc))
            return -EEXIST;
    if (t.id == RT_TABLE_MAIN && *pp && same_route(*pp, c, c.dst) && !replace)
        return -EEXIST;
    int err;
    fib_info *fi = fib_create_info(c, &err);
    if (!fi)
        return err;
    auto *a = knew<fib_alias>(GFP_KERNEL);
    if (!a) {
        if (fi->nh_dev)
            dev_put(fi->nh_dev);
        kdelete(fi);
        return -ENOMEM;
    }
    a->prefix = c.dst;
    a->plen = c.plen;
    a->type = c.type;
    a->tos = c.tos;
    a->fi = fi;
    a->next = *pp;
    fib_alias *old = replace && *pp && same_route(*pp, c, c.dst) ? *pp : nullptr;
    if (old)
        a->next = old->next;
    rcu_assign_pointer(*pp, a);
    if (!old && !t.count[c.plen]++)
        write_once(t.lengths, t.lengths | u64{1} << c.plen);
    if (old)
        free_alias(old);
    rt_cache_flush();
    rtmsg_fib(true, a, t);
    return 0;
}

/// Unlink *pp of table t.
static void remove(fib_table &t, fib_alias **pp)
{
    fib_alias *a = *pp;
    rcu_assign_pointer(*pp, a->next);
    if (!--t.count[a->plen])
        write_once(t.lengths, t.lengths & ~(u64{1} << a->plen));
    free_alias(a);
}

int fib_table_delete(fib_table &t, const fib_config &c)
{
    if (c.plen > 32 || !t.hash[c.plen])
        return -ESRCH;
    fib_alias **pp = &const_cast<fib_alias **>(t.hash[c.plen])[fib_bucket(c.dst)];
    for (; *pp; pp = &(*pp)->next) {
        const fib_alias *a = *pp;
        if (a->prefix != c.dst || (c.type && a->type != c.type) ||
            (c.priority && a->fi->fib_priority != c.priority) || (c.gw && a->fi->nh_gw != c.gw) ||
            (c.dev && a->fi->nh_dev != c.dev) || (c.prefsrc && a->fi->fib_prefsrc != c.prefsrc))
            continue;
        rtmsg_fib(false, a, t);
        remove(t, pp);
        return 0;
    }
    return -ESRCH;
}

int fib_table_flush(fib_table &t, bool (*f)(const fib_alias *, void *), void *arg)
{
    int n = 0;
    for (unsigned len = 0; len <= 32; len++) {
        for (unsigned b = 0; t.hash[len] && b < FIB_BUCKETS; b++) {
            for (fib_alias **pp = &const_cast<fib_alias **>(t.hash[len])[b]; *pp;) {
                if (f(*pp, arg)) {
                    remove(t, pp);
                    n++;
                } else {
                    pp = &(*pp)->next;
                }
            }
        }
    }
    return n;
}

void fib_table_walk(fib_table &t, void (*f)(const fib_alias *, void *), void *arg)
{
    bh_guard g;
    for (unsigned len = 0; len <= 32; len++)
        for (unsigned b = 0; t.hash[len] && b < FIB_BUCKETS; b++)
            for (const fib_alias *a = rcu_dereference(t.hash[len][b]); a;
                 a = rcu_dereference(a->next))
                f(a, arg);
}

be32 fib_res_prefsrc(const fib_result &res, be32 daddr)
{
    if (res.fi->fib_prefsrc)
        return res.fi->fib_prefsrc;
    return res.fi->nh_dev ? inet_select_addr(res.fi->nh_dev, res.fi->nh_gw ? res.fi->nh_gw : daddr,
                                             res.fi->fib_scope)
                          : be32{};
}

// SPDX-License-Identifier: MIT
// ARP as users see it: /proc/net/arp, /proc/net/stat/arp_cache, debugfs net/neigh, and the ioctls
// of the arp command.
// Linux: net/ipv4/arp.c, net/core/neighbour.c. Process context.

#include "fs/seq_file.h"
#include "lib/printk.h"
#include "mm/uaccess.h"
#include "net/ipv4/arp.h"
#include "net/ipv4/inet_sock.h"
#include "net/ipv4/ip_fib.h"
#include "sched/sched.h"

namespace
{
constexpr u32 SIOCDARP = 0x8953, SIOCGARP = 0x8954, SIOCSARP = 0x8955;
constexpr s32 ATF_COM = 2, ATF_PERM = 4, ATF_PUBL = 8;

/// struct arpreq of the ABI.
struct arpreq {
    sockaddr_in arp_pa;
    u16 arp_ha_family;
    u8 arp_ha[14];
    s32 arp_flags;
    sockaddr_in arp_netmask;
    char arp_dev[16];
};
static_assert(sizeof(arpreq) == 68);

s32 arp_flags(const neighbour *n)
{
    s32 f = n->nud_state & NUD_VALID ? ATF_COM : 0;
    return n->nud_state & NUD_PERMANENT ? f | ATF_PERM : f;
}

void arp_line(neighbour *n, void *arg)
{
    if (n->nud_state & NUD_NOARP || n->nud_state == NUD_NONE) // not learned, or not asked yet
        return;
    char ip[16], mac[18];
    snprintf(ip, sizeof(ip), "%pI4", &n->primary_key);
    const u8 *a = n->ha;
    snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4], a[5]);
    seq_printf(static_cast<seq_file *>(arg), "%-16s 0x%-10x0x%-10x%s     *        %s\n", ip,
               n->dev->type, static_cast<u32>(arp_flags(n)), mac, n->dev->name);
}

void arp_show(seq_file *m)
{
    seq_puts(m, "IP address       HW type     Flags       HW address            Mask     Device\n");
    neigh_for_each(&arp_tbl, arp_line, m);
}

void arp_stat_show(seq_file *m)
{
    seq_puts(m, "entries  allocs destroys hash_grows  lookups hits  res_failed  rcv_probes_mcast "
                "rcv_probes_ucast  "
                "periodic_gc_runs forced_gc_runs unresolved_discards\n");
    for (unsigned i = 0; i < num_online_cpus(); i++) {
        const neigh_statistics &s = neigh_stats.on(i);
        seq_printf(m, "%08x  %08x %08x %08x  %08x %08x  %08x  %08x %08x  %08x %08x %08x\n",
                   static_cast<u32>(arp_tbl.entries.load()), static_cast<u32>(s.allocs),
                   static_cast<u32>(s.destroys), static_cast<u32>(s.hash_grows),
                   static_cast<u32>(s.lookups), static_cast<u32>(s.hits),
                   static_cast<u32>(s.res_failed), static_cast<u32>(s.rcv_probes_mcast),
                   static_cast<u32>(s.rcv_probes_ucast), static_cast<u32>(s.periodic_gc_runs),
                   static_cast<u32>(s.forced_gc_runs), static_cast<u32>(s.unres_discards));
    }
}

void neigh_line(neighbour *n, void *arg)
{
    auto *m = static_cast<seq_file *>(arg);
    u64 now = jiffies();
    const u8 *a = n->ha;
    seq_printf(m, "ip=%pI4 dev=%s lladdr=%02x:%02x:%02x:%02x:%02x:%02x state=%s nud=0x%02x",
               &n->primary_key, n->dev->name, a[0], a[1], a[2], a[3], a[4], a[5],
               nud_name(n->nud_state), n->nud_state);
    seq_printf(m, " probes=%d queue=%u queue_bytes=%u used=%llu confirmed=%llu refs=%d\n",
               n->probes.load(), n->arp_queue.qlen, n->arp_queue_len_bytes,
               static_cast<unsigned long long>(now - n->used),
               static_cast<unsigned long long>(now - n->confirmed), n->refcnt.read() - 1);
}

void neigh_show(seq_file *m)
{
    neigh_for_each(&arp_tbl, neigh_line, m);
}

/// Device of a request: the named one, else where the address is on link. Not referenced; rtnl.
result<net_device *> arp_device(arpreq *r)
{
    r->arp_dev[sizeof(r->arp_dev) - 1] = 0;
    net_device *dev = nullptr;
    if (r->arp_dev[0]) {
        dev = dev_get_by_name(r->arp_dev);
        if (!dev)
            return error{ENODEV};
        dev_put(dev);
    } else {
        fib_result res;
        if (fib_lookup(r->arp_pa.sin_addr, 0, &res) || !res.fi->nh_dev)
            return error{ENETUNREACH};
        dev = res.fi->nh_dev;
    }
    if (dev->flags & (IFF_NOARP | IFF_LOOPBACK))
        return error{EINVAL};
    return dev;
}

result<s64> arp_get(arpreq *r, net_device *dev, u64 arg)
{
    neighbour *n = neigh_lookup(&arp_tbl, r->arp_pa.sin_addr, dev);
    if (!n)
        return error{ENXIO};
    memcpy(r->arp_ha, n->ha, ETH_ALEN);
    r->arp_ha_family = dev->type;
    r->arp_flags = arp_flags(n);
    strlcpy(r->arp_dev, dev->name, sizeof(r->arp_dev));
    neigh_release(n);
    TRY_VOID(copy_to_user(user_ptr<void>{arg}, r, sizeof(*r)));
    return 0;
}

result<s64> arp_set(const arpreq *r, net_device *dev)
{
    if (r->arp_ha_family != dev->type && (r->arp_flags & ATF_COM))
        return error{EINVAL};
    if (inet_addr_type(r->arp_pa.sin_addr) != RTN_UNICAST)
        return error{EINVAL};
    neighbour *n = neigh_lookup(&arp_tbl, r->arp_pa.sin_addr, dev);
    if (!n)
        n = TRY(neigh_create(&arp_tbl, r->arp_pa.sin_addr, dev, true));
    u8 state = r->arp_flags & ATF_PERM ? NUD_PERMANENT : NUD_STALE;
    int err = neigh_update(n, r->arp_flags & ATF_COM ? r->arp_ha : nullptr, state,
                           NEIGH_UPDATE_F_OVERRIDE | NEIGH_UPDATE_F_ADMIN);
    neigh_release(n);
    if (err)
        return error{static_cast<errno_t>(-err)};
    return 0;
}

result<s64> arp_delete(const arpreq *r, net_device *dev)
{
    neighbour *n = neigh_lookup(&arp_tbl, r->arp_pa.sin_addr, dev);
    if (!n)
        return error{ENXIO};
    int err =
        n->nud_state & NUD_NOARP
            ? -ENXIO
            : neigh_update(n, nullptr, NUD_FAILED, NEIGH_UPDATE_F_OVERRIDE | NEIGH_UPDATE_F_ADMIN);
    neigh_release(n);
    if (err)
        return error{static_cast<errno_t>(-err)};
    return 0;
}
} // namespace

result<s64> arp_ioctl(u32 cmd, u64 arg)
{
    if (cmd != SIOCDARP && cmd != SIOCGARP && cmd != SIOCSARP)
        return error{EINVAL};
    if (cmd != SIOCGARP && current()->uid)
        return error{EPERM};
    arpreq r;
    TRY_VOID(copy_from_user(&r, user_ptr<const void>{arg}, sizeof(r)));
    if (r.arp_pa.sin_family != AF_INET)
        return error{EPFNOSUPPORT};
    if (r.arp_flags & ATF_PUBL)
        return error{EOPNOTSUPP}; // no proxy ARP here
    mutex_guard g{rtnl_mutex};
    net_device *dev = TRY(arp_device(&r));
    if (cmd == SIOCGARP)
        return arp_get(&r, dev, arg);
    return cmd == SIOCSARP ? arp_set(&r, dev) : arp_delete(&r, dev);
}

void arp_proc_init()
{
    proc_create("net/arp", arp_show);
    proc_create("net/stat/arp_cache", arp_stat_show);
    debugfs_create("net/neigh", neigh_show);
}

// SPDX-License-Identifier: MIT
// /proc/net/route in Linux's format, and both tables as debugfs net/fib (row L-03). Linux:
// net/ipv4/fib_trie.c fib_route_seq_show. [P]

#include "fs/seq_file.h"
#include "lib/printk.h"
#include "mm/slab.h"
#include "net/ipv4/ip_fib.h"

namespace
{
/// One route as copied under the walk, so that nothing is printed with BHs off.
struct row {
    be32 prefix, gw, prefsrc;
    u8 plen, type, scope;
    u32 priority;
    char dev[16];
};
/// Copies up to cap rows, counts all.
struct collector {
    row *rows;
    u32 n, cap;
};

void collect(const fib_alias *a, void *arg)
{
    auto *c = static_cast<collector *>(arg);
    if (c->n < c->cap) {
        row &r = c->rows[c->n];
        r = {a->prefix, a->fi->nh_gw,     a->fi->fib_prefsrc,  a->plen,
             a->type,   a->fi->fib_scope, a->fi->fib_priority, {}};
        if (a->fi->nh_dev)
            strlcpy(r.dev, a->fi->nh_dev->name, sizeof(r.dev));
    }
    c->n++;
}

/// f for every route of the table.
template <class F>
void each_route(seq_file *m, fib_table &t, F &&f)
{
    collector c{nullptr, 0, 0};
    fib_table_walk(t, collect, &c);
    c.cap = c.n + 16;
    c.n = 0;
    c.rows = static_cast<row *>(kzalloc(c.cap * sizeof(row), GFP_KERNEL));
    if (!c.rows) {
        m->overflow = true;
        return;
    }
    fib_table_walk(t, collect, &c);
    for (u32 i = 0; i < min(c.n, c.cap); i++)
        f(c.rows[i]);
    kfree(c.rows);
}

constexpr u32 RTF_UP = 1, RTF_GATEWAY = 2, RTF_HOST = 4, RTF_REJECT = 0x200;

void route_show(seq_file *m)
{
    seq_printf(
        m, "%-127s\n",
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT");
    each_route(m, fib_table_main, [m](const row &r) {
        if (r.type == RTN_BROADCAST || r.type == RTN_MULTICAST)
            return;
        bool reject =
            r.type == RTN_UNREACHABLE || r.type == RTN_PROHIBIT || r.type == RTN_BLACKHOLE;
        u32 flags = RTF_UP | (reject ? RTF_REJECT : 0) | (r.gw ? RTF_GATEWAY : 0) |
                    (r.plen == 32 ? RTF_HOST : 0);
        char line[160];
        snprintf(line, sizeof(line), "%s\t%08X\t%08X\t%04X\t%d\t%u\t%u\t%08X\t%d\t%u\t%u",
                 r.dev[0] ? r.dev : "*", r.prefix.raw, r.gw.raw, flags, 0, 0u, r.priority,
                 inet_make_mask(r.plen).raw, 0, 0u, 0u);
        seq_printf(m, "%-127s\n", line);
    });
}

const char *type_name(u8 t)
{
    static constexpr const char *names[] = {"unspec",    "unicast",     "local",
                                            "broadcast", "anycast",     "multicast",
                                            "blackhole", "unreachable", "prohibit"};
    return t < sizeof(names) / sizeof(names[0]) ? names[t] : "?";
}
const char *scope_name(u8 s)
{
    return s == RT_SCOPE_HOST       ? "host"
           : s == RT_SCOPE_LINK     ? "link"
           : s == RT_SCOPE_UNIVERSE ? "global"
                                    : "nowhere";
}

void fib_show(seq_file *m)
{
    for (fib_table *t : {&fib_table_local, &fib_table_main})
        each_route(m, *t, [m, t](const row &r) {
            seq_printf(m, "table=%s dst=%pI4/%u type=%s scope=%s dev=%s gw=",
                       t->id == RT_TABLE_LOCAL ? "local" : "main", &r.prefix, r.plen,
                       type_name(r.type), scope_name(r.scope), r.dev[0] ? r.dev : "-");
            if (r.gw)
                seq_printf(m, "%pI4", &r.gw);
            else
                seq_putc(m, '-');
            if (r.prefsrc)
                seq_printf(m, " src=%pI4", &r.prefsrc);
            else
                seq_puts(m, " src=-");
            seq_printf(m, " metric=%u\n", r.priority);
        });
}
} // namespace

void fib_proc_init()
{
    proc_create("net/route", route_show);
    debugfs_create("net/fib", fib_show);
}

// SPDX-License-Identifier: MIT
// The table of L4 protocols (rows B-08, B-09). Linux: net/ipv4/protocol.c. Entries change rarely,
// readers are in softirq.

#include "fs/seq_file.h"
#include "lib/printk.h"
#include "net/ipv4/ip.h"

const net_protocol *inet_protos[MAX_INET_PROTOS];

int inet_add_protocol(const net_protocol *p, u8 protocol)
{
    const net_protocol *none = nullptr;
    return __atomic_compare_exchange_n(&inet_protos[protocol], &none, p, false, __ATOMIC_RELEASE,
                                       __ATOMIC_RELAXED)
               ? 0
               : -1;
}

int inet_del_protocol(const net_protocol *p, u8 protocol)
{
    const net_protocol *expect = p;
    if (!__atomic_compare_exchange_n(&inet_protos[protocol], &expect,
                                     static_cast<const net_protocol *>(nullptr), false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return -1;
    synchronize_rcu();
    return 0;
}

/// Name of a function, or "-".
static const char *symbol(u64 f)
{
    u64 off;
    return f ? kallsyms_lookup(f, &off) : "-";
}

void inet_protos_show(seq_file *m)
{
    for (unsigned i = 0; i < MAX_INET_PROTOS; i++) {
        const net_protocol *p = rcu_dereference(inet_protos[i]);
        if (p)
            seq_printf(m, "%u %s %s\n", i, p->name, symbol(reinterpret_cast<u64>(p->err_handler)));
    }
}

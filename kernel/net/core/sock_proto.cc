// SPDX-License-Identifier: MIT
// The list of protocols (second level of the dispatch): their object caches and /proc/net/protocols. Linux: net/core/sock.c
// proto_register. Registered at boot, never removed.

#include "fs/seq_file.h"
#include "lib/initcall.h"
#include "net/core/sock.h"

proto *proto_list;

int proto_register(proto *p)
{
    *p->slab = kmem_cache_create(p->name, p->obj_size, 64);
    if (!*p->slab)
        return -ENOBUFS;
    p->next = proto_list;
    rcu_assign_pointer(proto_list, p);
    return 0;
}

/// Linux prints for each method whether the protocol has it: close connect disconnect accept ioctl init destroy shutdown
/// setsockopt getsockopt sendmsg recvmsg sendpage bind backlog_rcv hash unhash get_port enter_memory_pressure.
static void protocols_show(seq_file *m)
{
    seq_printf(m, "%-9s %-4s %-8s %-6s %-5s %-7s %-4s %-10s %s\n", "protocol", "size", "sockets",
               "memory", "press", "maxhdr", "slab", "module",
               "cl co di ac io in de sh ss gs se re sp bi br ha uh gp em");
    for (proto *p = proto_list; p; p = p->next) {
        auto yes = [](const void *f) { return f ? 'y' : 'n'; };
        auto is = [&yes](auto f) { return yes(reinterpret_cast<const void *>(f)); };
        seq_printf(m,
                   "%-9s %4u %6d  %6ld   %-3s %6u   %-3s  %-10s %2c %2c %2c %2c %2c %2c %2c %2c "
                   "%2c %2c %2c %2c %2c %2c %2c %2c %2c %2c %2c\n",
                   p->name, static_cast<unsigned>(p->obj_size), p->allocated.load(), -1L, "NI", 0u,
                   "yes", "kernel", is(p->close), is(p->connect), is(p->disconnect), is(p->accept),
                   is(p->ioctl), is(p->init), is(p->destroy), is(p->shutdown), is(p->setsockopt),
                   is(p->getsockopt), is(p->sendmsg), is(p->recvmsg), 'n', is(p->bind),
                   is(p->backlog_rcv), is(p->hash), is(p->unhash), is(p->get_port), 'n');
    }
}

static int proto_init()
{
    return proc_create("net/protocols", protocols_show);
}
subsys_initcall(proto_init);

static int sysctl_net_core_init()
{
    constexpr int min_rcvbuf = 2288,
                  min_sndbuf = 2048; // as SO_RCVBUF and SO_SNDBUF, see sock_options.cc
    sysctl_create_int("net/core/rmem_default", &sysctl_rmem_default, min_rcvbuf, INT32_MAX);
    sysctl_create_int("net/core/wmem_default", &sysctl_wmem_default, min_sndbuf, INT32_MAX);
    sysctl_create_int("net/core/rmem_max", &sysctl_rmem_max, min_rcvbuf, INT32_MAX);
    sysctl_create_int("net/core/wmem_max", &sysctl_wmem_max, min_sndbuf, INT32_MAX);
    sysctl_create_int("net/core/somaxconn", &sysctl_somaxconn, 0, 65535);
    sysctl_create_int("net/core/optmem_max", &sysctl_optmem_max, 0, INT32_MAX);
    return 0;
}
fs_initcall(sysctl_net_core_init);

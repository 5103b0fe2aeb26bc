// SPDX-License-Identifier: MIT
// /proc/net/netlink. Linux: netlink_seq_show of net/netlink/af_netlink.c. Process context.

#include "fs/seq_file.h"
#include "net/netlink/netlink.h"

static void show_one(netlink_sock *n, void *arg)
{
    seq_printf(
        static_cast<seq_file *>(arg), "%016lx %-3d %-6u %08x %-8d %-8d %016lx %-8d %-8d %-8llu\n",
        reinterpret_cast<unsigned long>(n), n->sk_protocol, n->portid, static_cast<u32>(n->groups),
        n->sk_rmem_alloc.load(), sk_wmem_alloc_get(n), reinterpret_cast<unsigned long>(n->cb),
        n->sk_refcnt.read(), n->sk_drops.load(), static_cast<unsigned long long>(n->sk_ino));
}

static void netlink_show(seq_file *m)
{
    seq_puts(m, "sk               Eth Pid    Groups   Rmem     Wmem     Dump             Locks    "
                "Drops    Inode\n");
    for_each_netlink(show_one, m);
}

void netlink_proc_init()
{
    proc_create("net/netlink", netlink_show);
}

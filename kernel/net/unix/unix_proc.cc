// SPDX-License-Identifier: MIT
// /proc/net/unix. Linux: unix_seq_show of net/unix/af_unix.c. Process context; unix_lock while it prints.

#include "fs/seq_file.h"
#include "net/unix/af_unix.h"

static void print_name(seq_file *m, const unix_address *a)
{
    int n = a->len - static_cast<int>(offsetof(sockaddr_un, sun_path));
    const char *s = a->name.sun_path;
    seq_putc(m, ' ');
    if (s[0]) {
        n--; // the NUL behind a path
    } else {
        seq_putc(m, '@');
        s++;
        n--;
    }
    for (; n > 0; n--, s++)
        seq_putc(m, *s ? *s : '@');
}

static void show_one(unix_sock *u, void *arg)
{
    auto *m = static_cast<seq_file *>(arg);
    bool connected = u->sk_state == TCPF_ESTABLISHED;
    socket_state st = u->sk_socket ? (connected ? SS_CONNECTED : SS_UNCONNECTED)
                                   : (connected ? SS_CONNECTING : SS_DISCONNECTING);
    constexpr u32 SO_ACCEPTCON = 1 << 16;
    seq_printf(m, "%016lx: %08X %08X %08X %04X %02X %5llu", reinterpret_cast<unsigned long>(u),
               static_cast<u32>(u->sk_refcnt.read()), 0u,
               u->sk_state == TCPF_LISTEN ? SO_ACCEPTCON : 0u, u->sk_type, static_cast<u32>(st),
               static_cast<unsigned long long>(u->sk_ino));
    if (u->addr)
        print_name(m, u->addr);
    seq_putc(m, '\n');
}

static void unix_show(seq_file *m)
{
    seq_puts(m, "Num       RefCount Protocol Flags    Type St Inode Path\n");
    for_each_unix(show_one, m);
}

int unix_proc_init()
{
    return proc_create("net/unix", unix_show);
}

// SPDX-License-Identifier: MIT
// /proc/net/udp in Linux's format, the dump of the hash table, and the test hook that holds a socket (docs/debugfs.md).

#include "fs/seq_file.h"
#include "lib/string.h"
#include "net/ipv4/udp.h"
#include "net/test_hooks.h"

void inet_proc_line(seq_file *m, const inet_sock *sk, u32 bucket, const char *bucket_fmt, u16 local,
                    u16 remote, int width)
{
    char line[160], head[16];
    snprintf(head, sizeof head, bucket_fmt, bucket);
    int n =
        snprintf(line, sizeof line,
                 "%s: %08X:%04X %08X:%04X %02X %08X:%08X %02X:%08lX %08X %5u %8d %lu %d %016lx %d",
                 head, inet_sk(sk)->inet_rcv_saddr.raw, local, inet_sk(sk)->inet_daddr.raw, remote,
                 sk->sk_state, static_cast<unsigned>(sk_wmem_alloc_get(sk)),
                 static_cast<unsigned>(sk->sk_rmem_alloc.load()), 0, 0ul, 0,
                 static_cast<unsigned>(sk->sk_uid), 0, static_cast<unsigned long>(sk->sk_ino),
                 sk->sk_refcnt.read(), reinterpret_cast<unsigned long>(sk), sk->sk_drops.load());
    seq_puts(m, line);
    for (; n < width; n++)
        seq_putc(m, ' ');
    seq_putc(m, '\n');
}

constexpr const char *PROC_HEADER =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode ref pointer drops";

void inet_proc_header(seq_file *m, int width)
{
    seq_printf(m, "%-*s\n", width, PROC_HEADER);
}

static void udp4_seq_show(seq_file *m)
{
    inet_proc_header(m, 127);
    for (u32 i = 0; i <= udp_table_.mask; i++) {
        udp_hslot &slot = udp_table_.hash[i];
        if (is_a_nulls(read_once(slot.head.first)))
            continue;
        spin_guard<bh> g{slot.lock};
        for (auto *n = slot.head.first; !is_a_nulls(n); n = n->next) {
            const udp_sock *up = udp_sk(container_of(n, sock, sk_nulls_node));
            inet_proc_line(m, up, i, "%5u", ntohs(up->inet_sport), ntohs(up->inet_dport), 127);
        }
    }
}

static void udp_table_show(seq_file *m)
{
    u32 longest = 0, sockets = 0;
    for (u32 i = 0; i <= udp_table_.mask; i++) {
        longest = max(longest, udp_table_.hash[i].count);
        sockets += udp_table_.hash[i].count;
    }
    seq_printf(m, "slots=%u log=%u max_chain=%u sockets=%u lookups=%llu examined=%llu\n",
               udp_table_.mask + 1, udp_table_.log, longest, sockets,
               static_cast<unsigned long long>(udp_table_.lookups.sum()),
               static_cast<unsigned long long>(udp_table_.examined.sum()));
    for (u32 i = 0; i <= udp_table_.mask; i++) {
        udp_hslot &slot = udp_table_.hash[i];
        spin_guard<bh> g{slot.lock};
        if (!slot.count)
            continue;
        seq_printf(m, "slot=%u len=%u ports=", i, slot.count);
        const char *comma = "";
        for (auto *n = slot.head.first; !is_a_nulls(n); n = n->next) {
            seq_printf(m, "%s%u", comma,
                       udp_sk(container_of(n, sock, sk_nulls_node))->udp_port_hash);
            comma = ",";
        }
        seq_putc(m, '\n');
    }
}

int udp_proc_init()
{
    proc_create("net/udp", udp4_seq_show);
    debugfs_create("net/udp_table", udp_table_show);
    return udp_test_hooks_init();
}

#if SOFTNET_DEBUG

/// A UDP socket bound to the port, referenced, or null.
static sock *udp_find_bound(u16 port)
{
    udp_hslot &slot = udp_table_.hash[port & udp_table_.mask];
    spin_guard<bh> g{slot.lock};
    for (auto *n = slot.head.first; !is_a_nulls(n); n = n->next) {
        udp_sock *up = udp_sk(container_of(n, sock, sk_nulls_node));
        if (up->udp_port_hash == port && up->sk_refcnt.get_unless_zero())
            return up;
    }
    return nullptr;
}

/// A whole decimal number up to `most`.
static bool parse_number(const char *s, u64 most, u64 *v)
{
    const char *end;
    *v = strtoul(s, &end, 10);
    return end != s && !*end && *v <= most;
}

/// hold_sock PORT MS: own the socket for a while, so that packets go to its backlog (rows U-04, U-05). [P]
static int hold_sock(int argc, char **argv)
{
    u64 port, ms;
    if (argc != 3 || !parse_number(argv[1], 65535, &port) || !parse_number(argv[2], 600000, &ms))
        return -EINVAL;
    sock *sk = udp_find_bound(static_cast<u16>(port));
    if (!sk)
        return -ENOENT;
    lock_sock(sk);
    u64 end = jiffies() + ms;
    while (!time_after_eq(jiffies(), end)) {
        set_current_state(TASK_INTERRUPTIBLE);
        schedule_timeout(static_cast<s64>(end - jiffies()));
        if (signal_pending())
            break;
    }
    set_current_state(TASK_RUNNING);
    release_sock(sk);
    sock_put(sk);
    return 0;
}

int udp_test_hooks_init()
{
    return register_test_hook("hold_sock", hold_sock);
}

#else

int udp_test_hooks_init()
{
    return 0;
}

#endif

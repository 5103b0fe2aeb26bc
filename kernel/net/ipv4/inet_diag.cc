// SPDX-License-Identifier: MIT
// What every socket looks like inside: /sys/kernel/debug/net/sockets (rows K-03, K-05, W-08, W-18; docs/debugfs.md) and
// /proc/net/sockstat. Nothing here sleeps while the list of socks is locked.

#include "fs/seq_file.h"
#include "net/ipv4/inet_sock.h"
#include "net/ipv4/ip_frag.h"
#include "net/ipv4/tcp.h"

static void put_ptr(seq_file *m, const char *name, const void *p)
{
    if (p)
        seq_printf(m, " %s=0x%016lx", name, reinterpret_cast<unsigned long>(p));
    else
        seq_printf(m, " %s=-", name);
}

template <class F>
static void put_func(seq_file *m, const char *name, F f)
{
    seq_printf(m, " %s=%s", name, f ? kallsyms_lookup(reinterpret_cast<u64>(f), nullptr) : "-");
}

/// Entries on the wait queue.
static unsigned wait_entries(socket_wq *wq)
{
    unsigned n = 0;
    if (wq) {
        spin_guard<irqsave> g{wq->wait.lock};
        for ([[maybe_unused]] wait_queue &w : wq->wait.task_list)
            n++;
    }
    return n;
}

static void show_wait_entries(seq_file *m, socket_wq *wq)
{
    spin_guard<irqsave> g{wq->wait.lock};
    for (wait_queue &w : wq->wait.task_list) {
        auto *task = static_cast<task_struct *>(w.private_);
        seq_printf(m, "  wait=0x%016lx", reinterpret_cast<unsigned long>(&w));
        put_func(m, "func", w.func);
        seq_printf(m, " flags=0x%x pid=%d\n", w.flags, task ? task->pid : 0);
    }
}

/// Who it is and where it is in the graph. sk_callback_lock held: the socket cannot go.
static void show_identity(seq_file *m, sock *sk)
{
    const socket *s = sk->sk_socket;
    const inet_sock *inet = inet_sk(sk);
    seq_printf(m, "sk=0x%016lx", reinterpret_cast<unsigned long>(sk));
    put_ptr(m, "socket", s);
    put_ptr(m, "file", s ? s->file : nullptr);
    seq_printf(m, " ino=%llu pid=%d family=%u type=%u protocol=%u state=%u ops=%s prot=%s",
               static_cast<unsigned long long>(sk->sk_ino), sk->sk_pid, sk->sk_family, sk->sk_type,
               sk->sk_protocol, sk->sk_state, s && s->ops ? s->ops->name : "-",
               sk->sk_prot->symbol);
    be32 local = inet->inet_rcv_saddr, remote = inet->inet_daddr;
    seq_printf(m, " local=%pI4:%u remote=%pI4:%u", static_cast<void *>(&local),
               sk->sk_type == SOCK_RAW ? inet->inet_num : ntohs(inet->inet_sport),
               static_cast<void *>(&remote), ntohs(inet->inet_dport));
}

/// Bytes in the receive queue, payload and headers that are left.
static u64 queue_bytes(sk_buff_head *q)
{
    spin_guard<irqsave> g{q->lock};
    u64 n = 0;
    for (const sk_buff *skb = q->next; skb; skb = skb->next)
        n += skb->len;
    return n;
}

static void show_state(seq_file *m, sock *sk)
{
    seq_printf(m,
               " refs=%d owned=%d rmem=%d rcvbuf=%d wmem=%d sndbuf=%d rxq=%u rxq_bytes=%llu "
               "backlog=%d backlog_bytes=%d",
               sk->sk_refcnt.read(), sk->sk_lock.owned, sk->sk_rmem_alloc.load(), sk->sk_rcvbuf,
               sk_wmem_alloc_get(sk), sk->sk_sndbuf, sk->sk_receive_queue.qlen,
               static_cast<unsigned long long>(queue_bytes(&sk->sk_receive_queue)),
               sk->sk_backlog.qlen, sk->sk_backlog.len);
    seq_printf(m, " drops=%d err=%d", sk->sk_drops.load(), sk->sk_err.load());
    put_func(m, "state_change", sk->sk_state_change);
    put_func(m, "data_ready", sk->sk_data_ready);
    put_func(m, "write_space", sk->sk_write_space);
    put_func(m, "error_report", sk->sk_error_report);
    put_func(m, "backlog_rcv", sk->sk_backlog_rcv);
}

static void show_sock(sock *sk, void *arg)
{
    auto *m = static_cast<seq_file *>(arg);
    if (sk->sk_family != AF_INET)
        return;
    spin_guard<plain> g{sk->sk_callback_lock};
    const socket *s = sk->sk_socket;
    show_identity(m, sk);
    show_state(m, sk);
    put_ptr(m, "wq", s ? s->wq : nullptr);
    put_ptr(m, "sk_wq", sk->sk_wq);
    put_ptr(m, "sk_socket", s);
    put_ptr(m, "socket_sk", s ? s->sk : nullptr);
    put_ptr(m, "private_data", s && s->file ? s->file->private_data : nullptr);
    seq_printf(m, " wq_entries=%u\n", wait_entries(sk->sk_wq));
    if (sk->sk_wq)
        show_wait_entries(m, sk->sk_wq);
}

static void sockets_show(seq_file *m)
{
    for_each_sock(show_sock, m);
}

/// Pages of receive memory in use by a protocol's sockets.
struct mem_of {
    const proto *prot;
    u64 bytes;
};
static u64 proto_mem_pages(const proto *p)
{
    mem_of sum{p, 0};
    for_each_sock(
        [](sock *sk, void *arg) {
            auto *s = static_cast<mem_of *>(arg);
            if (sk->sk_prot == s->prot)
                s->bytes += static_cast<u64>(sk->sk_rmem_alloc.load());
        },
        &sum);
    return (sum.bytes + PAGE_SIZE - 1) / PAGE_SIZE;
}

static void sockstat_show(seq_file *m)
{
    seq_printf(m, "sockets: used %d\n", sockets_used());
    seq_printf(m, "TCP: inuse %d orphan %d tw %d alloc %d mem %lld\n", tcp_prot.inuse.load(),
               tcp_orphan_count.load(), tcp_tw_count.load(), tcp_sockets_allocated.load(),
               static_cast<long long>(tcp_memory_allocated.load()));
    seq_printf(m, "UDP: inuse %d mem %llu\n", udp_prot.inuse.load(),
               static_cast<unsigned long long>(proto_mem_pages(&udp_prot)));
    seq_printf(m, "UDPLITE: inuse %d\n", 0);
    seq_printf(m, "RAW: inuse %d\n", raw_prot.inuse.load());
    seq_printf(m, "FRAG: inuse %u memory %u\n", ip_frag_nqueues(), ip_frag_mem());
}

int inet_diag_init()
{
    inet_diag_netlink_init();
    debugfs_create("net/sockets", sockets_show);
    return proc_create("net/sockstat", sockstat_show);
}

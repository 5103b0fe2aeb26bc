// SPDX-License-Identifier: MIT
// Ping sockets (Linux net/ipv4/ping.c, icmp(7)): SOCK_DGRAM, IPPROTO_ICMP. Process context but for ping_rcv [S]. The table is small: one
// lock for writers; readers walk under RCU.

#include "net/ipv4/ping.h"
#include "fs/seq_file.h"
#include "net/ipv4/inet_packet.h"

constexpr u32 PING_HTABLE_SIZE = 64; // by identifier
static hlist_nulls_node *ping_hash_table[PING_HTABLE_SIZE];
static spinlock ping_lock{"ping_table"};
static u16 ping_rover;
/// Groups that may use ping sockets; the default is none, as in Linux.
int sysctl_ping_group_range[2] = {1, 0};

static hlist_nulls_head *ping_head(u32 ident)
{
    return reinterpret_cast<hlist_nulls_head *>(&ping_hash_table[ident & (PING_HTABLE_SIZE - 1)]);
}
static inet_sock *ping_entry(hlist_nulls_node *n)
{
    return inet_sk(container_of(n, sock, sk_nulls_node));
}

// --- Identifiers --------------------------------------------------------------------------------------

static bool ping_in_use(u16 ident, const sock *sk)
{
    for (auto *n = ping_head(ident)->first; !is_a_nulls(n); n = n->next) {
        const inet_sock *o = ping_entry(n);
        if (o != sk && o->inet_num == ident && (!o->sk_reuse || !sk->sk_reuse))
            return true;
    }
    return false;
}

/// Bind to identifier `ident`, 0: the next free one. EADDRINUSE.
static result<void> ping_get_port(sock *sk, u16 ident)
{
    spin_guard<bh> g{ping_lock};
    if (!ident) {
        for (u32 i = 0; i < 0x10000 && !ident; i++) {
            u16 next = ++ping_rover;
            if (next && !ping_in_use(next, sk))
                ident = next;
        }
        if (!ident)
            return error{EADDRINUSE};
    } else if (ping_in_use(ident, sk)) {
        return error{EADDRINUSE};
    }
    inet_sk(sk)->inet_num = ident;
    if (!sk->sk_nulls_node.hashed()) {
        hlist_nulls_add_head_rcu(&sk->sk_nulls_node, ping_head(ident));
        ping_prot.inuse.fetch_add(1, std::memory_order_relaxed);
    }
    return {};
}

static void ping_unhash(sock *sk)
{
    spin_guard<bh> g{ping_lock};
    if (!sk->sk_nulls_node.hashed())
        return;
    hlist_nulls_del_rcu(&sk->sk_nulls_node);
    inet_sk(sk)->inet_num = 0;
    inet_sk(sk)->inet_sport = be16{};
    ping_prot.inuse.fetch_sub(1, std::memory_order_relaxed);
}

static result<void> ping_init_sock(sock *)
{
    int gid = current()->gid;
    if (gid < read_once(sysctl_ping_group_range[0]) || gid > read_once(sysctl_ping_group_range[1]))
        return error{EACCES};
    return {};
}

static result<void> ping_bind(sock *sk, sockaddr_storage *a, int len)
{
    auto *sin = reinterpret_cast<const sockaddr_in *>(a);
    inet_sock *inet = inet_sk(sk);
    if (len < static_cast<int>(sizeof *sin))
        return error{EINVAL};
    if (sin->sin_family != AF_INET && (sin->sin_family != AF_UNSPEC || sin->sin_addr))
        return error{EAFNOSUPPORT};
    u8 type = inet_addr_type(sin->sin_addr);
    if (sin->sin_addr && type != RTN_LOCAL)
        return error{EADDRNOTAVAIL};
    lock_sock(sk);
    result<void> r;
    if (inet->inet_num)
        r = error{EINVAL};
    else
        r = ping_get_port(sk, ntohs(sin->sin_port));
    if (r) {
        inet->inet_rcv_saddr = inet->inet_saddr = sin->sin_addr;
        if (sin->sin_addr)
            sk->sk_userlocks |= SOCK_BINDADDR_LOCK;
        if (sin->sin_port)
            sk->sk_userlocks |= SOCK_BINDPORT_LOCK;
        inet->inet_sport = htons(inet->inet_num);
        inet->inet_daddr = be32{};
        inet->inet_dport = be16{};
        sk_dst_reset(sk);
    }
    release_sock(sk);
    return r;
}

// --- Receive [S] --------------------------------------------------------------------------------------

/// The socket with an identifier, for packets to `local` on that device. RCU.
static inet_sock *ping_lookup(u16 ident, be32 local, u32 dif)
{
    hlist_nulls_node *n = rcu_dereference(ping_head(ident)->first);
    for (; !is_a_nulls(n); n = rcu_dereference(n->next)) {
        inet_sock *o = ping_entry(n);
        if (o->inet_num == ident && (!o->inet_rcv_saddr || o->inet_rcv_saddr == local) &&
            (!o->sk_bound_dev_if || o->sk_bound_dev_if == dif))
            return o;
    }
    return nullptr;
}

/// A copy for the socket, from the ICMP header on. False: no memory.
static bool ping_deliver(inet_sock *inet, sk_buff *skb)
{
    sk_buff *copy = skb_clone(skb, GFP_ATOMIC);
    if (!copy)
        return false;
    if (inet->cmsg_flags & IP_CMSG_PKTINFO) {
        inet_cb(copy)->pktinfo_ifindex = skb->dev->ifindex;
        inet_cb(copy)->pktinfo_spec_dst = ip_hdr(skb)->daddr;
    }
    skb_dst_drop(copy);
    if (int off = skb_transport_offset(copy); off < 0)
        skb_push(copy, static_cast<u32>(-off));
    if (!sock_queue_rcv_skb(inet, copy))
        kfree_skb_reason(copy, "socket_rcvbuff");
    return true;
}

/// Hook of icmp_rcv for echo replies. The skb stays the caller's. [S]
static bool ping_rcv(sk_buff *skb)
{
    rcu_read_lock();
    inet_sock *inet =
        ping_lookup(ntohs(icmp_hdr(skb)->un.echo.id), ip_hdr(skb)->daddr, skb->dev->ifindex);
    bool taken = inet && ping_deliver(inet, skb);
    rcu_read_unlock();
    return taken;
}

/// Hook of icmp_err: an error about an echo request; skb->data at the quoted IP header, 8 bytes behind it are there. [S]
static void ping_err(sk_buff *skb, u32 info)
{
    const auto *iph = reinterpret_cast<const iphdr *>(skb->data);
    const auto *quoted = reinterpret_cast<const icmphdr *>(skb->data + iph->ihl * 4u);
    if (quoted->type != ICMP_ECHO)
        return;
    rcu_read_lock();
    inet_sock *inet = ping_lookup(ntohs(quoted->un.echo.id), iph->saddr, skb->dev->ifindex);
    icmp_err e =
        inet ? inet_icmp_meaning(inet, icmp_hdr(skb)->type, icmp_hdr(skb)->code) : icmp_err{};
    bool report = e.err && (inet->recverr || (e.fatal && inet->sk_state == TCP_ESTABLISHED));
    if (report && inet->recverr)
        ip_icmp_error(inet, skb, e.err, be16{}, info, iph->ihl * 4u);
    if (report) {
        inet->sk_err.store(e.err);
        inet->sk_error_report(inet);
    }
    rcu_read_unlock();
}

static int ping_queue_rcv_skb(sock *sk, sk_buff *skb)
{
    if (sock_queue_rcv_skb(sk, skb))
        return 0;
    kfree_skb_reason(skb, "socket_rcvbuff");
    return -1;
}

/// Ping sockets do not tell the whole length (Linux ping_recvmsg).
static result<size_t> ping_recvmsg(sock *sk, msghdr *m, size_t len, u32 flags)
{
    return inet_packet_recvmsg(sk, m, len, flags & ~u32{MSG_TRUNC});
}

// --- Transmit -------------------------------------------------------------------------------------------

/// The user's message, an echo request, with our identifier and the checksum: a copy to free with kfree.
static result<u8 *> ping_message(inet_sock *inet, msghdr *m, u32 len)
{
    if (len < sizeof(icmphdr))
        return error{EINVAL};
    u8 *buf = static_cast<u8 *>(kmalloc(len, GFP_KERNEL));
    if (!buf)
        return error{ENOBUFS};
    auto *h = reinterpret_cast<icmphdr *>(buf);
    auto r = m->msg_iter->copy_from(buf, len);
    if (r && (h->type != ICMP_ECHO || h->code != 0))
        r = error{EINVAL};
    if (!r) {
        kfree(buf);
        return r.fail();
    }
    h->un.echo.id = inet->inet_sport;
    h->checksum = be16{};
    h->checksum = ip_compute_csum(buf, len);
    net_copied->from_user += len;
    return buf;
}

static result<void> ping_send(inet_sock *inet, const flowi4 &fl, ipcm_cookie &ipc, msghdr *m,
                              u32 len, rtable *rt)
{
    u8 *buf = TRY(ping_message(inet, m, len));
    iov_iter from = iov_iter::kernel(buf, len);
    ipc.df = inet->pmtudisc >= IP_PMTUDISC_DO ? IP_DF : be16{};
    auto skb = ip_make_skb(inet, fl, ipc, from, len, 0, rt, m->msg_flags, IPPROTO_ICMP);
    kfree(buf);
    if (!skb)
        return skb.fail();
    ip_fix_mc_ttl(*skb, ipc);
    return inet_packet_sent(inet, ip_send_skb(*skb));
}

static result<size_t> ping_sendmsg(sock *sk, msghdr *m, size_t len)
{
    inet_sock *inet = inet_sk(sk);
    if (len > 0xffff)
        return error{EMSGSIZE};
    if (m->msg_flags & MSG_OOB)
        return error{EOPNOTSUPP};
    flowi4 fl;
    ipcm_cookie ipc;
    ip_options_room room;
    fl.daddr = TRY(inet_packet_dest(inet, m, false));
    ipc.addr = inet->inet_saddr;
    ipc.oif = inet->sk_bound_dev_if;
    ipc.tos = inet->tos;
    ipc.ttl = inet->uc_ttl > 0 ? static_cast<u8>(inet->uc_ttl) : 0;
    ipc.priority = inet->sk_priority;
    if (m->msg_controllen)
        TRY_VOID(ip_cmsg_send(m, &ipc));
    ipc.opt = inet_copy_options(inet, room);
    if (ipv4_is_multicast(fl.daddr))
        ipc.ttl = inet->mc_ttl;
    fl.saddr = ipc.addr;
    fl.oif = ipc.oif;
    fl.tos = ipc.tos;
    fl.proto = IPPROTO_ICMP;
    rtable *rt = TRY(ip_route_output_key(&fl));
    result<void> r;
    if ((rt->rt_flags & RTCF_BROADCAST) && !sock_flag(sk, SOCK_BROADCAST))
        r = error{EACCES};
    else
        r = ping_send(inet, fl, ipc, m, static_cast<u32>(len), rt);
    dst_release(rt);
    if (!r)
        return r.fail();
    return len;
}

// --- The protocol -----------------------------------------------------------------------------------------

static kmem_cache *ping_slab;

constinit proto ping_prot = {
    .name = "PING",
    .close = [](sock *sk, s64) { sk_common_release(sk); },
    .connect = ip4_datagram_connect,
    .disconnect = udp_disconnect,
    .init = ping_init_sock,
    .setsockopt = ip_setsockopt,
    .getsockopt = ip_getsockopt,
    .sendmsg = ping_sendmsg,
    .recvmsg = ping_recvmsg,
    .bind = ping_bind,
    .backlog_rcv = ping_queue_rcv_skb,
    .unhash = ping_unhash,
    .get_port = ping_get_port,
    .obj_size = sizeof(ping_sock),
    .slab = &ping_slab,
    .construct = [](void *mem) -> sock * { return new (mem) ping_sock; },
    .destruct = [](sock *sk) { static_cast<ping_sock *>(sk)->~ping_sock(); },
    .symbol = "ping_prot",
};

static void ping_seq_show(seq_file *m)
{
    inet_proc_header(m, 127);
    spin_guard<bh> g{ping_lock};
    for (u32 i = 0; i < PING_HTABLE_SIZE; i++)
        for (auto *n = ping_head(i)->first; !is_a_nulls(n); n = n->next)
            inet_proc_line(m, ping_entry(n), i, "%5u", ping_entry(n)->inet_num, 0, 127);
}

void ping_init()
{
    for (u32 i = 0; i < PING_HTABLE_SIZE; i++)
        ping_hash_table[i] = hlist_nulls_head::marker(i);
    ping_rcv_hook = ping_rcv;
    ping_err_hook = ping_err;
    proc_create("net/icmp", ping_seq_show);
    sysctl_create_ints("net/ipv4/ping_group_range", sysctl_ping_group_range, 2, 0, INT32_MAX);
}

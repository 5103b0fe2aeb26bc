// SPDX-License-Identifier: MIT
// Raw sockets, receive side and table (Linux net/ipv4/raw.c): every delivered packet is copied to each raw socket of its protocol
// before the protocol itself gets it. Readers are softirqs under RCU; sending is in raw_send.cc.

#include "net/ipv4/raw.h"
#include "fs/ioctl.h"
#include "fs/seq_file.h"
#include "net/ipv4/inet_packet.h"

constexpr u32 RAW_HTABLE_SIZE = 256; // by protocol number

static hlist_nulls_node *raw_hash[RAW_HTABLE_SIZE];
static spinlock raw_lock{"raw_hash"};

static hlist_nulls_head *raw_head(u32 protocol)
{
    static_assert(sizeof(hlist_nulls_head) == sizeof(hlist_nulls_node *));
    return reinterpret_cast<hlist_nulls_head *>(&raw_hash[protocol & (RAW_HTABLE_SIZE - 1)]);
}
static raw_sock *raw_entry(hlist_nulls_node *n)
{
    return raw_sk(container_of(n, sock, sk_nulls_node));
}

static void raw_hash_sk(sock *sk)
{
    spin_guard<bh> g{raw_lock};
    hlist_nulls_add_head_rcu(&sk->sk_nulls_node, raw_head(inet_sk(sk)->inet_num));
    raw_prot.inuse.fetch_add(1, std::memory_order_relaxed);
}

static void raw_unhash_sk(sock *sk)
{
    spin_guard<bh> g{raw_lock};
    if (!sk->sk_nulls_node.hashed())
        return;
    hlist_nulls_del_rcu(&sk->sk_nulls_node);
    raw_prot.inuse.fetch_sub(1, std::memory_order_relaxed);
}

// --- Receive ----------------------------------------------------------------------------------------

/// Whether the socket takes packets remote → local on that device.
static bool raw_match(const raw_sock *rs, u8 protocol, be32 remote, be32 local, u32 dif)
{
    return rs->inet_num == protocol && (!rs->inet_daddr || rs->inet_daddr == remote) &&
           (!rs->inet_rcv_saddr || rs->inet_rcv_saddr == local) &&
           (!rs->sk_bound_dev_if || rs->sk_bound_dev_if == dif) &&
           (!ipv4_is_multicast(local) || ip_mc_sf_allow(rs, local, remote, dif));
}

/// ICMP_FILTER: true when the socket does not want this ICMP type.
static bool icmp_filtered(const raw_sock *rs, const sk_buff *skb)
{
    u8 type = 0;
    if (!rs->icmp_filter)
        return false;
    if (skb->len < sizeof(icmphdr) || skb_copy_bits(skb, 0, &type, 1))
        return true;
    return type < 32 && (rs->icmp_filter >> type & 1);
}

static int raw_rcv_skb(sock *sk, sk_buff *skb)
{
    if (sock_queue_rcv_skb(sk, skb))
        return NET_RX_SUCCESS;
    kfree_skb_reason(skb, "socket_rcvbuff");
    return NET_RX_DROP;
}

/// One socket's copy: from the IP header on. Takes the skb. [S]
static void raw_rcv(raw_sock *rs, sk_buff *skb)
{
    if (rs->cmsg_flags & IP_CMSG_PKTINFO) {
        inet_cb(skb)->pktinfo_ifindex = skb->dev->ifindex;
        inet_cb(skb)->pktinfo_spec_dst = ip_hdr(skb)->daddr;
    }
    skb_dst_drop(skb);
    skb_push(skb, static_cast<u32>(-skb_network_offset(skb)));
    raw_rcv_skb(rs, skb);
}

/// Hook of ip_local_deliver: copies for all raw sockets of the protocol. True when any took one. [S]
static bool raw_local_deliver(sk_buff *skb, u8 protocol)
{
    hlist_nulls_node *n = rcu_dereference(raw_head(protocol)->first);
    if (is_a_nulls(n)) [[likely]]
        return false;
    bool delivered = false;
    rcu_read_lock();
    be32 saddr = ip_hdr(skb)->saddr, daddr = ip_hdr(skb)->daddr;
    for (; !is_a_nulls(n); n = rcu_dereference(n->next)) {
        raw_sock *rs = raw_entry(n);
        if (!raw_match(rs, protocol, saddr, daddr, skb->dev->ifindex))
            continue;
        delivered = true;
        if (protocol == IPPROTO_ICMP && icmp_filtered(rs, skb))
            continue;
        if (sk_buff *copy = skb_clone(skb, GFP_ATOMIC))
            raw_rcv(rs, copy);
    }
    rcu_read_unlock();
    return delivered;
}

/// One socket hears of an ICMP error about its packet.
static void raw_err(raw_sock *rs, sk_buff *skb, u32 info)
{
    icmp_err e = inet_icmp_meaning(rs, icmp_hdr(skb)->type, icmp_hdr(skb)->code);
    if (!e.err)
        return;
    if (rs->recverr)
        ip_icmp_error(rs, skb, e.err, be16{}, info,
                      rs->hdrincl ? 0 : reinterpret_cast<iphdr *>(skb->data)->ihl * 4u);
    else if (!e.fatal || rs->sk_state != TCP_ESTABLISHED)
        return;
    rs->sk_err.store(e.err);
    rs->sk_error_report(rs);
}

/// Hook of ICMP: skb->data at the quoted header. [S]
static void raw_icmp_error(sk_buff *skb, u8 protocol, u32 info)
{
    rcu_read_lock();
    hlist_nulls_node *n = rcu_dereference(raw_head(protocol)->first);
    const iphdr *iph = reinterpret_cast<const iphdr *>(skb->data);
    for (; !is_a_nulls(n); n = rcu_dereference(n->next))
        if (raw_sock *rs = raw_entry(n);
            raw_match(rs, protocol, iph->daddr, iph->saddr, skb->dev->ifindex))
            raw_err(rs, skb, info);
    rcu_read_unlock();
}

// --- The protocol -------------------------------------------------------------------------------------

static void raw_close(sock *sk, s64)
{
    sk_common_release(sk);
}

static result<void> raw_bind(sock *sk, sockaddr_storage *a, int len)
{
    auto *sin = reinterpret_cast<const sockaddr_in *>(a);
    inet_sock *inet = inet_sk(sk);
    if (sk->sk_state != TCP_CLOSE || len < static_cast<int>(sizeof *sin))
        return error{EINVAL};
    u8 type = inet_addr_type(sin->sin_addr);
    if (sin->sin_addr && type != RTN_LOCAL && type != RTN_MULTICAST && type != RTN_BROADCAST)
        return error{EADDRNOTAVAIL};
    inet->inet_rcv_saddr = sin->sin_addr;
    inet->inet_saddr = type == RTN_MULTICAST || type == RTN_BROADCAST ? be32{} : sin->sin_addr;
    sk_dst_reset(sk);
    return {};
}

static result<void> raw_disconnect(sock *sk, u32)
{
    inet_sock *inet = inet_sk(sk);
    sk->sk_state = TCP_CLOSE;
    inet->inet_daddr = be32{};
    inet->inet_dport = be16{};
    sk->sk_bound_dev_if = 0;
    if (!(sk->sk_userlocks & SOCK_BINDADDR_LOCK))
        inet->inet_rcv_saddr = inet->inet_saddr = be32{};
    sk_dst_reset(sk);
    return {};
}

static result<s64> raw_ioctl(sock *sk, u32 cmd, u64 arg)
{
    int amount = 0;
    if (cmd == SIOCOUTQ) {
        amount = sk_wmem_alloc_get(sk);
    } else if (cmd == SIOCINQ) {
        spin_guard<irqsave> g{sk->sk_receive_queue.lock};
        if (sk_buff *skb = skb_peek(&sk->sk_receive_queue))
            amount = static_cast<int>(skb->len);
    } else {
        return error{ENOIOCTLCMD};
    }
    TRY_VOID(put_user(user_ptr<int>{arg}, amount));
    return s64{0};
}

static result<void> raw_setsockopt(sock *sk, int level, int name, user_ptr<const void> val,
                                   unsigned len)
{
    if (level != SOL_RAW)
        return ip_setsockopt(sk, level, name, val, len);
    if (name != ICMP_FILTER)
        return error{ENOPROTOOPT};
    if (inet_sk(sk)->inet_num != IPPROTO_ICMP)
        return error{EOPNOTSUPP};
    u32 filter = raw_sk(sk)->icmp_filter;
    TRY_VOID(copy_from_user(&filter, val, min<size_t>(len, sizeof filter)));
    raw_sk(sk)->icmp_filter = filter;
    return {};
}

static result<void> raw_getsockopt(sock *sk, int level, int name, user_ptr<void> val,
                                   user_ptr<int> optlen)
{
    if (level != SOL_RAW)
        return ip_getsockopt(sk, level, name, val, optlen);
    if (name != ICMP_FILTER)
        return error{ENOPROTOOPT};
    if (inet_sk(sk)->inet_num != IPPROTO_ICMP)
        return error{EOPNOTSUPP};
    int len;
    TRY_VOID(get_user(len, optlen));
    if (len < 0)
        return error{EINVAL};
    len = min(len, static_cast<int>(sizeof(u32)));
    TRY_VOID(put_user(optlen, len));
    return copy_to_user(val, &raw_sk(sk)->icmp_filter, static_cast<size_t>(len));
}

static kmem_cache *raw_slab;

constinit proto raw_prot = {
    .name = "RAW",
    .close = raw_close,
    .connect = ip4_datagram_connect,
    .disconnect = raw_disconnect,
    .setsockopt = raw_setsockopt,
    .getsockopt = raw_getsockopt,
    .sendmsg = raw_sendmsg,
    .recvmsg = inet_packet_recvmsg,
    .ioctl = raw_ioctl,
    .bind = raw_bind,
    .backlog_rcv = raw_rcv_skb,
    .hash = raw_hash_sk,
    .unhash = raw_unhash_sk,
    .obj_size = sizeof(raw_sock),
    .slab = &raw_slab,
    .construct = [](void *mem) -> sock * { return new (mem) raw_sock; },
    .destruct = [](sock *sk) { raw_sk(sk)->~raw_sock(); },
    .symbol = "raw_prot",
    .no_autobind = true,
};

static void raw_seq_show(seq_file *m)
{
    inet_proc_header(m, 0);
    for (u32 i = 0; i < RAW_HTABLE_SIZE; i++) {
        spin_guard<bh> g{raw_lock};
        for (auto *n = raw_head(i)->first; !is_a_nulls(n); n = n->next)
            inet_proc_line(m, raw_entry(n), i, "%4u", raw_entry(n)->inet_num, 0, 0);
    }
}

void raw_init()
{
    for (u32 i = 0; i < RAW_HTABLE_SIZE; i++)
        raw_hash[i] = hlist_nulls_head::marker(i);
    raw_local_deliver_hook = raw_local_deliver;
    raw_icmp_error_hook = raw_icmp_error;
    proc_create("net/raw", raw_seq_show);
}

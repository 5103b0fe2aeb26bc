// SPDX-License-Identifier: MIT
// For tests of sockets: kernel sockets without descriptors, and datagrams handed to udp_rcv as the IP layer would.
#pragma once

#include "mm/slab.h"
#include "net/ipv4/udp.h"
#include "unit.h"

/// An address from four numbers.
constexpr be32 ip4(u8 a, u8 b, u8 c, u8 d)
{
    return htonl(u32{a} << 24 | u32{b} << 16 | u32{c} << 8 | d);
}

inline sockaddr_storage addr_of(be32 ip, u16 port)
{
    sockaddr_storage a{};
    *reinterpret_cast<sockaddr_in *>(&a) = {AF_INET, htons(port), ip, {}};
    return a;
}

/// A UDP socket that ends with its scope. Addresses that are not ours may be bound.
class test_socket : pinned
{
public:
    test_socket()
    {
        auto r = sock_create_kern(AF_INET, SOCK_DGRAM, 0);
        HOST_EXPECT(r);
        s = *r;
        inet_sk(s->sk)->freebind = 1;
    }
    ~test_socket() { close(); }
    void close()
    {
        if (s)
            sock_release(s);
        s = nullptr;
    }
    int bind(be32 ip, u16 port)
    {
        auto a = addr_of(ip, port);
        return s->ops->bind(s, &a, sizeof(sockaddr_in)).err();
    }
    /// Set the peer without asking the routing table.
    void set_peer(be32 ip, u16 port)
    {
        inet_sk(sk())->inet_daddr = ip;
        inet_sk(sk())->inet_dport = htons(port);
        sk()->sk_state = TCP_ESTABLISHED;
    }
    /// Bytes received or -errno.
    ssize_t recv(void *buf, size_t n, u32 flags = 0)
    {
        iov_iter to = iov_iter::kernel(buf, n);
        msghdr m;
        m.msg_iter = &to;
        auto r = sock_recvmsg(s, &m, n, flags);
        return r ? static_cast<ssize_t>(*r) : -r.err();
    }
    sock *sk() { return s->sk; }
    u16 port() { return inet_sk(s->sk)->inet_num; }
    unsigned queued() { return s->sk->sk_receive_queue.qlen; }

    socket *s;
};

/// A received datagram at the UDP header; `check` 0: none sent.
inline sk_buff *udp_packet(be32 saddr, u16 sport, be32 daddr, u16 dport, const void *data, u32 len,
                           be16 check = be16{})
{
    sk_buff *skb = alloc_skb(64 + sizeof(iphdr) + sizeof(udphdr) + len, GFP_KERNEL);
    skb_reserve(skb, 64);
    skb_reset_network_header(skb);
    auto *iph = new (skb_put(skb, sizeof(iphdr))) iphdr{};
    iph->version = 4;
    iph->ihl = 5;
    iph->ttl = 64;
    iph->protocol = IPPROTO_UDP;
    iph->tot_len = htons(static_cast<u16>(skb->len + sizeof(udphdr) + len));
    iph->saddr = saddr;
    iph->daddr = daddr;
    skb_pull(skb, sizeof(iphdr));
    skb_reset_transport_header(skb);
    u16 ulen = static_cast<u16>(sizeof(udphdr) + len);
    new (skb_put(skb, sizeof(udphdr))) udphdr{htons(sport), htons(dport), htons(ulen), check};
    if (len)
        memcpy(skb_put(skb, len), data, len);
    skb->dev = loopback_dev;
    skb->protocol = htons(ETH_P_IP);
    return skb;
}

/// To the socket layer, as in softirq.
inline void deliver(sk_buff *skb)
{
    local_bh_disable();
    udp_rcv(skb);
    local_bh_enable();
}

inline u64 udp_count(udp_mib f)
{
    u64 n = 0;
    for (unsigned i = 0; i < NR_CPUS; i++)
        n += net_mib.on(i).udp[f];
    return n;
}

inline void msleep(int ms)
{
    set_current_state(TASK_UNINTERRUPTIBLE);
    schedule_timeout(ms);
}

// SPDX-License-Identifier: MIT
// IP_RECVERR: the error queue of a socket and recvmsg(MSG_ERRQUEUE) (Linux net/ipv4/ip_sockglue.c ip_icmp_error, ip_recv_error; ip(7)).

#include "net/ipv4/inet_sock.h"

constexpr u8 SO_EE_ORIGIN_LOCAL = 1, SO_EE_ORIGIN_ICMP = 2;

struct sock_extended_err {
    u32 ee_errno;
    u8 ee_origin, ee_type, ee_code, ee_pad;
    u32 ee_info, ee_data;
};
/// skb->cb on the error queue.
struct sock_exterr_skb {
    inet_skb_parm header;
    sock_extended_err ee;
    be32 addr; // where the packet was going
    be16 port;
};
static_assert(sizeof(sock_exterr_skb) <= 48);
static sock_exterr_skb *SKB_EXT_ERR(sk_buff *skb)
{
    return reinterpret_cast<sock_exterr_skb *>(skb->cb);
}

void ip_icmp_error(sock *sk, sk_buff *skb, int err, be16 port, u32 info, u32 payload_off)
{
    sk_buff *copy = skb_clone(skb, GFP_ATOMIC);
    if (!copy)
        return;
    sock_exterr_skb *e = SKB_EXT_ERR(copy);
    e->ee = {static_cast<u32>(err),
             SO_EE_ORIGIN_ICMP,
             icmp_hdr(skb)->type,
             icmp_hdr(skb)->code,
             0,
             info,
             0};
    e->addr = reinterpret_cast<const iphdr *>(skb->data)->daddr;
    e->port = port;
    // What the reader gets is the quoted payload.
    if (!skb_pull(copy, payload_off)) {
        kfree_skb(copy);
        return;
    }
    skb_reset_transport_header(copy);
    if (!sock_queue_err_skb(sk, copy))
        kfree_skb_reason(copy, "socket_rcvbuff");
}

void ip_local_error(sock *sk, int err, be32 daddr, be16 port, u32 info)
{
    if (!inet_sk(sk)->recverr)
        return;
    sk_buff *skb = alloc_skb(sizeof(iphdr), GFP_ATOMIC);
    if (!skb)
        return;
    skb_put(skb, sizeof(iphdr));
    skb_reset_network_header(skb);
    memset(skb->data, 0, sizeof(iphdr));
    ip_hdr(skb)->daddr = daddr;
    sock_exterr_skb *e = SKB_EXT_ERR(skb);
    e->ee = {static_cast<u32>(err), SO_EE_ORIGIN_LOCAL, 0, 0, 0, info, 0};
    e->addr = daddr;
    e->port = port;
    skb_pull(skb, sizeof(iphdr));
    skb_reset_transport_header(skb);
    if (!sock_queue_err_skb(sk, skb))
        kfree_skb_reason(skb, "socket_rcvbuff");
}

/// The next error on the queue is what the next call reports.
static void next_error(sock *sk)
{
    u32 err = 0;
    {
        spin_guard<irqsave> g{sk->sk_error_queue.lock};
        if (sk_buff *next = skb_peek(&sk->sk_error_queue))
            err = SKB_EXT_ERR(next)->ee.ee_errno;
    }
    sk->sk_err.store(static_cast<int>(err));
    if (err)
        sk->sk_error_report(sk);
}

result<size_t> ip_recv_error(sock *sk, msghdr *m, size_t len)
{
    sk_buff *skb = skb_dequeue(&sk->sk_error_queue);
    if (!skb)
        return error{EAGAIN};
    u32 copied = skb->len;
    if (copied > len) {
        m->msg_flags |= MSG_TRUNC;
        copied = static_cast<u32>(len);
    }
    auto r = skb_copy_datagram_iter(skb, 0, *m->msg_iter, copied);
    if (!r) {
        kfree_skb(skb);
        return r.fail();
    }
    sock_recv_ts_and_drops(m, sk, skb);
    const sock_exterr_skb *e = SKB_EXT_ERR(skb);
    if (m->msg_name) {
        *reinterpret_cast<sockaddr_in *>(m->msg_name) = {AF_INET, e->port, e->addr, {}};
        m->msg_namelen = sizeof(sockaddr_in);
    }
    struct {
        sock_extended_err ee;
        sockaddr_in offender;
    } report{e->ee, {}};
    if (e->ee.ee_origin == SO_EE_ORIGIN_ICMP) {
        report.offender = {AF_INET, {}, ip_hdr(skb)->saddr, {}};
        if (inet_sk(sk)->cmsg_flags & ~IP_CMSG_PKTINFO)
            ip_cmsg_recv(m, skb);
    }
    (void)put_cmsg(m, SOL_IP, IP_RECVERR, &report, sizeof report); // too small a buffer: MSG_CTRUNC
    m->msg_flags |= MSG_ERRQUEUE;
    next_error(sk);
    consume_skb(skb);
    return size_t{copied};
}

// SPDX-License-Identifier: MIT
// What sockets that take whole IP packets have in common: raw and ping (Linux net/ipv4/raw.c, ping.c). Process context.

#include "net/ipv4/inet_packet.h"

result<size_t> inet_packet_recvmsg(sock *sk, msghdr *m, size_t len, u32 flags)
{
    if (flags & MSG_OOB)
        return error{EOPNOTSUPP};
    if (flags & MSG_ERRQUEUE)
        return ip_recv_error(sk, m, len);
    bool peeked;
    sk_buff *skb = TRY(skb_recv_datagram(sk, flags, flags & MSG_DONTWAIT, &peeked));
    if (!skb) // receive side shut down
        return size_t{0};
    u32 whole = skb->len, copied = static_cast<u32>(min<size_t>(len, whole));
    auto r = skb_copy_datagram_iter(skb, 0, *m->msg_iter, copied);
    if (r) {
        if (copied < whole)
            m->msg_flags |= MSG_TRUNC;
        sock_recv_ts_and_drops(m, sk, skb);
        if (m->msg_name) {
            *reinterpret_cast<sockaddr_in *>(m->msg_name) = {AF_INET, {}, ip_hdr(skb)->saddr, {}};
            m->msg_namelen = sizeof(sockaddr_in);
        }
        if (inet_sk(sk)->cmsg_flags)
            ip_cmsg_recv(m, skb);
    }
    skb_free_datagram_locked(sk, skb);
    if (!r)
        return r.fail();
    return size_t{flags & MSG_TRUNC ? whole : copied};
}

result<be32> inet_packet_dest(const inet_sock *inet, const msghdr *m, bool unspec)
{
    if (!m->msg_name) {
        if (inet->sk_state != TCP_ESTABLISHED)
            return error{EDESTADDRREQ};
        return be32{inet->inet_daddr};
    }
    auto *sin = reinterpret_cast<const sockaddr_in *>(m->msg_name);
    if (m->msg_namelen < static_cast<int>(sizeof *sin))
        return error{EINVAL};
    if (sin->sin_family != AF_INET && !(unspec && sin->sin_family == AF_UNSPEC))
        return error{EAFNOSUPPORT};
    return be32{sin->sin_addr};
}

result<void> inet_packet_sent(const inet_sock *inet, int err)
{
    if (err >= 0 || (err == -ENOBUFS && !inet->recverr))
        return {};
    return error{static_cast<errno_t>(-err)};
}

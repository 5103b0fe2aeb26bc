// SPDX-License-Identifier: MIT
// UDP receive in process context: recvmsg, poll, the ioctls that tell queue sizes (Linux net/ipv4/udp.c; rows U-07, U-08, R-26).

#include "fs/ioctl.h"
#include "net/ipv4/udp.h"

/// A packet whose checksum turned out wrong while it was read.
[[gnu::noinline]] static void udp_csum_copy_error(sock *sk, sk_buff *skb, u32 flags)
{
    bool slow = lock_sock_fast(sk);
    if (skb_kill_datagram(sk, skb, flags)) {
        UDP_INC_STATS(UDP_MIB_InCsumErrors);
        UDP_INC_STATS(UDP_MIB_InErrors);
    }
    unlock_sock_fast(sk, slow);
}

/// Copy up to `copied` payload bytes, verifying the checksum unless that was done. EINVAL: wrong sum, `to` is where it was.
static result<void> udp_copy(sk_buff *skb, iov_iter &to, u32 copied, u32 ulen)
{
    // A part cannot be verified while it is copied: the whole is, before.
    if (copied < ulen && !skb_csum_unnecessary(skb) && !skb_checksum_complete(skb))
        return error{EINVAL};
    if (skb_csum_unnecessary(skb)) [[likely]]
        return skb_copy_datagram_iter(skb, sizeof(udphdr), to, copied);
    iov_iter start = to;
    auto r = skb_copy_and_csum_datagram_iter(skb, sizeof(udphdr), to);
    if (r.err() == EINVAL)
        to = start;
    return r;
}

/// Address and control messages of a packet that was read.
static void udp_fill_msg(sock *sk, sk_buff *skb, msghdr *m)
{
    sock_recv_ts_and_drops(m, sk, skb);
    if (m->msg_name) {
        auto *sin = reinterpret_cast<sockaddr_in *>(m->msg_name);
        *sin = {AF_INET, udp_hdr(skb)->source, ip_hdr(skb)->saddr, {}};
        m->msg_namelen = sizeof *sin;
    }
    if (inet_sk(sk)->cmsg_flags)
        ip_cmsg_recv(m, skb);
}

result<size_t> udp_recvmsg(sock *sk, msghdr *m, size_t len, u32 flags)
{
    trace(trace_event::udp_recvmsg, sk, len, flags);
    if (flags & MSG_ERRQUEUE) [[unlikely]]
        return ip_recv_error(sk, m, len);
    bool noblock = flags & MSG_DONTWAIT;
    for (;;) {
        bool peeked = false;
        sk_buff *skb = TRY(skb_recv_datagram(sk, flags, noblock, &peeked));
        if (!skb) // receive side shut down
            return size_t{0};
        u32 ulen = skb->len - sizeof(udphdr);
        u32 copied = static_cast<u32>(min<size_t>(len, ulen));
        auto r = udp_copy(skb, *m->msg_iter, copied, ulen);
        if (r) [[likely]] {
            if (!peeked)
                UDP_INC_STATS(
                    UDP_MIB_InDatagrams); // counted when read, not on arrival (atlas §28.10)
            if (copied < ulen)
                m->msg_flags |= MSG_TRUNC;
            udp_fill_msg(sk, skb, m);
            skb_free_datagram_locked(sk, skb);
            return size_t{flags & MSG_TRUNC ? ulen : copied};
        }
        if (r.err() != EINVAL) { // the user's address: the datagram is lost
            if (!peeked) {
                sk->sk_drops.fetch_add(1, std::memory_order_relaxed);
                UDP_INC_STATS(UDP_MIB_InErrors);
            }
            skb_free_datagram_locked(sk, skb);
            return r.fail();
        }
        udp_csum_copy_error(sk, skb, flags);
        if (noblock)
            return error{EAGAIN};
    } // once more, with the next packet
}

/// Bytes of the first sound packet incl. UDP header; bad ones before it are dropped and counted. 0: the queue is empty.
static u32 first_packet_length(sock *sk)
{
    sk_buff_head *q = &sk->sk_receive_queue;
    for (;;) {
        sk_buff *skb;
        {
            spin_guard<irqsave> g{q->lock};
            skb = skb_peek(q);
            if (!skb)
                return 0;
            if (skb_csum_unnecessary(skb) || skb_checksum_complete(skb))
                return skb->len;
            __skb_unlink(skb, q);
        }
        UDP_INC_STATS(UDP_MIB_InCsumErrors);
        UDP_INC_STATS(UDP_MIB_InErrors);
        sk->sk_drops.fetch_add(1, std::memory_order_relaxed);
        bool slow = lock_sock_fast(sk);
        kfree_skb_reason(skb, "udp_csum");
        unlock_sock_fast(sk, slow);
    }
}

u32 udp_poll(file *f, socket *s, poll_table *pt)
{
    u32 mask = datagram_poll(f, s, pt);
    sock *sk = s->sk;
    // A blocking reader would sleep on if all there is has wrong checksums: look first.
    if ((mask & POLLRDNORM) && !(f->f_flags & O_NONBLOCK) && !(sk->sk_shutdown & RCV_SHUTDOWN) &&
        !first_packet_length(sk))
        mask &= ~(POLLIN | POLLRDNORM);
    return mask;
}

result<s64> udp_ioctl(sock *sk, u32 cmd, u64 arg)
{
    int amount;
    switch (cmd) {
    case SIOCOUTQ:
        amount = sk_wmem_alloc_get(sk);
        break;
    case SIOCINQ:
        amount = static_cast<int>(first_packet_length(sk));
        if (amount)
            amount -= static_cast<int>(sizeof(udphdr));
        break;
    default:
        return error{ENOIOCTLCMD};
    }
    TRY_VOID(put_user(user_ptr<int>{arg}, amount));
    return s64{0};
}

// SPDX-License-Identifier: MIT
// sendmsg: from the user's buffer to the write queue (Linux net/ipv4/tcp.c tcp_sendmsg; atlas §11.2). Process context; takes the
// socket lock.
//
// Bytes go into the linear room of the last unsent packet, then, when the device gathers, into page fragments: pieces of a block that
// this CPU's senders share, so that an idle connection owns no page.

#include "lib/percpu.h"
#include "net/ipv4/tcp_engine.h"

namespace
{
/// A block of pages that is handed out from the front; holds one reference. Process context only.
struct page_frag {
    page *pg = nullptr;
    u32 offset = 0, size = 0;
};
/// What the last sender on this CPU left. A task is never interrupted by another one here: it leaves only in schedule().
constinit percpu<page_frag> spare_frag;

class frag_source
{
public:
    frag_source() : f_{*spare_frag} { *spare_frag = page_frag{}; }
    ~frag_source()
    {
        if (!f_.pg)
            return;
        if (!spare_frag->pg && f_.offset < f_.size)
            *spare_frag = f_;
        else
            put_page(f_.pg);
    }
    frag_source(const frag_source &) = delete;
    frag_source &operator=(const frag_source &) = delete;

    /// Some room. False: no memory.
    bool refill()
    {
        if (f_.pg && f_.offset < f_.size)
            return true;
        if (f_.pg && f_.pg->refs.load(std::memory_order_acquire) == 1) {
            f_.offset = 0; // all packets with it are gone
            return true;
        }
        if (f_.pg)
            put_page(f_.pg);
        f_ = page_frag{};
        for (unsigned order : {3u, 0u}) {
            f_.pg = alloc_pages(GFP_KERNEL, order);
            if (f_.pg) {
                f_.size = static_cast<u32>(PAGE_SIZE << order);
                return true;
            }
        }
        return false;
    }
    page_frag &get() { return f_; }

private:
    page_frag f_;
};

/// A sendmsg under way.
struct sender {
    sock *sk;
    tcp_sock *tp;
    iov_iter *from;
    u32 flags;
    u32 mss = 0, goal = 0;
    bool sg = false;
    size_t copied = 0;

    void update_mss()
    {
        mss = tcp_send_mss(sk, &goal, flags);
        const dst_entry *d = sk->sk_dst_cache;
        sg = d && (d->dev->features & NETIF_F_SG);
    }
};

void mark_push(tcp_sock *tp, sk_buff *skb)
{
    TCP_SKB_CB(skb)->tcp_flags |= TCPHDR_PSH;
    tp->pushed_seq = tp->write_seq;
}

/// So much is unsent without PSH that the peer's window half fills with it.
bool forced_push(const tcp_sock *tp)
{
    return after(tp->write_seq, tp->pushed_seq + (tp->max_window >> 1));
}

void push(sender &s, u32 flags, u8 nonagle)
{
    if (!s.tp->sk_send_head)
        return;
    sk_buff *skb = s.sk->sk_write_queue.prev;
    if (!(flags & MSG_MORE) || forced_push(s.tp))
        mark_push(s.tp, skb);
    if (flags & MSG_OOB)
        s.tp->snd_up = s.tp->write_seq;
    __tcp_push_pending_frames(s.sk, s.mss, (flags & MSG_MORE) ? TCP_NAGLE_CORK : nonagle);
}

/// Linear room of a new packet: a segment, or with gathering what fits 2 KiB with all headers, the rest in pages.
u32 linear_size(const sender &s)
{
    if (!s.sg)
        return s.goal;
    return min(s.goal,
               2048 - MAX_TCP_HEADER - SKB_DATA_ALIGN(static_cast<u32>(sizeof(skb_shared_info))));
}

/// A fresh packet at the tail; null: wait for memory.
sk_buff *new_segment(sender &s)
{
    if (!sk_stream_memory_free(s.sk)) {
        if (s.sk->sk_socket)
            s.sk->sk_socket->flags.fetch_or(SOCK_NOSPACE);
        return nullptr;
    }
    sk_buff *skb = sk_stream_alloc_skb(s.sk, linear_size(s), GFP_KERNEL);
    if (!skb)
        return nullptr;
    tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    tcb->seq = tcb->end_seq = s.tp->write_seq;
    tcb->tcp_flags = TCPHDR_ACK;
    tcb->sacked = 0;
    skb->ip_summed = CHECKSUM_PARTIAL;
    tcp_queue_skb(s.sk, skb);
    if (s.tp->nonagle & TCP_NAGLE_PUSH)
        s.tp->nonagle &= static_cast<u8>(~TCP_NAGLE_PUSH);
    return skb;
}

/// A packet without data at the tail (the copy failed, or memory ran out right after it was made).
void drop_empty(sender &s)
{
    sk_buff *skb = s.sk->sk_write_queue.prev;
    if (!skb || skb->len || (TCP_SKB_CB(skb)->tcp_flags & (TCPHDR_SYN | TCPHDR_FIN)))
        return;
    if (s.tp->sk_send_head == skb)
        s.tp->sk_send_head = nullptr;
    if (s.tp->highest_sack == skb)
        s.tp->highest_sack = nullptr;
    __skb_unlink(skb, &s.sk->sk_write_queue);
    sk_wmem_free_skb(s.sk, skb);
}

/// Append up to `n` bytes in page fragments. Bytes done; 0: the packet has no more fragments; ENOMEM, EFAULT.
result<u32> copy_to_frags(sender &s, frag_source &frags, sk_buff *skb, u32 n)
{
    skb_shared_info *si = skb_shinfo(skb);
    if (!frags.refill())
        return error{ENOMEM};
    page_frag &f = frags.get();
    skb_frag *last = si->nr_frags ? &si->frags[si->nr_frags - 1] : nullptr;
    bool merge = last && last->pg == f.pg && last->offset + last->size == f.offset;
    if (!merge && si->nr_frags >= MAX_SKB_FRAGS)
        return u32{0};
    n = min(n, f.size - f.offset);
    if (!sk_wmem_schedule(s.sk, n))
        return error{ENOMEM};
    u8 *to = static_cast<u8 *>(page_address(f.pg)) + f.offset;
    if (!s.from->copy_from(to, n))
        return error{EFAULT};
    if (merge) {
        last->size += n;
    } else {
        get_page(f.pg);
        si->frags[si->nr_frags++] = {f.pg, f.offset, n};
    }
    f.offset += n;
    skb->len += n;
    skb->data_len += n;
    skb->truesize += n;
    s.tp->sk_wmem_queued += n;
    sk_mem_charge(s.sk, n);
    return n;
}

/// Append up to `n` bytes to the packet, wherever there is room. As copy_to_frags.
result<u32> append(sender &s, frag_source &frags, sk_buff *skb, u32 n)
{
    if (u32 room = skb_tailroom(skb)) {
        n = min(n, room);
        if (!s.from->copy_from(skb_tail_pointer(skb), n))
            return error{EFAULT};
        skb_put(skb, n);
        return n;
    }
    if (!s.sg)
        return u32{0};
    return copy_to_frags(s, frags, skb, n);
}

/// One chunk of the user's data into the queue. EFAULT; ENOMEM: wait.
result<void> queue_chunk(sender &s, frag_source &frags, size_t left)
{
    sk_buff *skb = s.tp->sk_send_head ? s.sk->sk_write_queue.prev : nullptr;
    u32 n = 0;
    for (;;) {
        if (!skb || skb->len >= s.goal) {
            skb = new_segment(s);
            if (!skb)
                return error{ENOMEM};
        }
        u32 want = static_cast<u32>(min<u64>(left, s.goal - skb->len));
        result<u32> r = append(s, frags, skb, want);
        if (!r)
            return r.fail();
        n = *r;
        if (n)
            break;
        mark_push(s.tp, skb); // full although short of the goal
        skb = nullptr;
    }
    if (!s.copied)
        TCP_SKB_CB(skb)->tcp_flags &= static_cast<u8>(~TCPHDR_PSH);
    s.tp->write_seq += n;
    TCP_SKB_CB(skb)->end_seq += n;
    skb_shinfo(skb)->gso_segs = 0;
    s.copied += n;
    if (n == left || skb->len < s.goal || (s.flags & MSG_OOB))
        return {};
    if (forced_push(s.tp)) {
        mark_push(s.tp, skb);
        __tcp_push_pending_frames(s.sk, s.mss, TCP_NAGLE_PUSH);
    } else if (skb == s.tp->sk_send_head) {
        tcp_push_one(s.sk, s.mss);
    }
    return {};
}

/// All of it. What was queued is in s.copied, also on error.
result<void> send_all(sender &s, size_t len)
{
    s64 timeo = sock_sndtimeo(s.sk, s.flags & MSG_DONTWAIT);
    if (!(TCPF(s.sk->sk_state) & (TCPF(TCP_ESTABLISHED) | TCPF(TCP_CLOSE_WAIT))))
        TRY_VOID(sk_stream_wait_connect(s.sk, &timeo));
    if (s.sk->sk_socket &&
        (s.sk->sk_socket->flags.load(std::memory_order_relaxed) & SOCK_ASYNC_NOSPACE))
        s.sk->sk_socket->flags.fetch_and(~SOCK_ASYNC_NOSPACE);
    s.update_mss();
    if (s.sk->sk_err.load() || (s.sk->sk_shutdown & SEND_SHUTDOWN))
        return error{EPIPE};
    frag_source frags;
    while (s.copied < len) {
        result<void> r = queue_chunk(s, frags, len - s.copied);
        if (r)
            continue;
        if (r.err() != ENOMEM)
            return r.fail();
        drop_empty(s);
        if (s.copied)
            push(s, s.flags & ~MSG_MORE, TCP_NAGLE_PUSH);
        TRY_VOID(sk_stream_wait_memory(s.sk, &timeo));
        s.update_mss();
    }
    return {};
}
} // namespace

result<size_t> tcp_sendmsg(sock *sk, msghdr *m, size_t len)
{
    lock_sock(sk);
    sender s{.sk = sk, .tp = tcp_sk(sk), .from = m->msg_iter, .flags = m->msg_flags};
    result<void> r = send_all(s, len);
    if (!r)
        drop_empty(s);
    if (s.copied)
        push(s, s.flags, s.tp->nonagle);
    errno_t err = errno_t{};
    if (!r && !s.copied)
        err = sk_stream_error(sk, s.flags, static_cast<errno_t>(r.err()));
    release_sock(sk);
    if (err)
        return error{err};
    net_copied->from_user += s.copied;
    return s.copied;
}

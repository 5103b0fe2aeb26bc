// SPDX-License-Identifier: MIT
// Datagram sockets' receive side (Linux net/core/datagram.c; rows U-08…U-10). The queue's own lock is enough to take a packet: the
// socket lock is not taken. Process context.

#include "net/core/sock.h"

/// Ignore wake-ups that are not for readers (a writer's POLLOUT on the same queue).
static int receiver_wake_function(wait_queue *w, unsigned mode, int flags, void *key)
{
    if (key && !(reinterpret_cast<u64>(key) & (POLLIN | POLLERR)))
        return 0;
    return autoremove_wake_function(w, mode, flags, key);
}

enum class wait_outcome { again, shut_down };

/// Sleep exclusively until a packet or something else is there (row U-09). [P]
[[gnu::noinline]] static result<wait_outcome> wait_for_more_packets(sock *sk, s64 *timeo)
{
    wait_queue wait{receiver_wake_function, current()};
    wait_queue_head *q = sk_sleep(sk);
    prepare_to_wait_exclusive(q, &wait, TASK_INTERRUPTIBLE);
    int err = sock_error(sk);
    auto outcome = wait_outcome::again;
    if (!err && read_once(sk->sk_receive_queue.next) == nullptr) {
        if (sk->sk_shutdown & RCV_SHUTDOWN)
            outcome = wait_outcome::shut_down;
        else if (signal_pending())
            err = sock_intr_errno(*timeo);
        else
            *timeo = schedule_timeout(*timeo);
    }
    finish_wait(q, &wait);
    if (err)
        return error{static_cast<errno_t>(err)};
    return outcome;
}

result<sk_buff *> skb_recv_datagram(sock *sk, u32 flags, bool noblock, bool *peeked)
{
    if (int err = sock_error(sk)) [[unlikely]]
        return error{static_cast<errno_t>(err)};
    sk_buff_head *q = &sk->sk_receive_queue;
    s64 timeo = sock_rcvtimeo(sk, noblock);
    for (;;) {
        sk_buff *skb;
        {
            spin_guard<irqsave> g{q->lock};
            skb = skb_peek(q);
            if (skb) {
                *peeked = skb->peeked;
                if (flags & MSG_PEEK) {
                    skb->peeked = 1;
                    skb_get(skb);
                } else {
                    __skb_unlink(skb, q);
                }
            }
        }
        if (skb) [[likely]] {
            trace(trace_event::skb_recv_datagram, skb->trace_id, sk, q->qlen);
            return skb;
        }
        if (!timeo)
            return error{EAGAIN};
        if (TRY(wait_for_more_packets(sk, &timeo)) == wait_outcome::shut_down)
            return nullptr;
    }
}

void skb_free_datagram_locked(sock *sk, sk_buff *skb)
{
    // The socket lock orders the un-charging against code that looks at the socket's memory as its owner.
    bool slow = lock_sock_fast(sk);
    if (!skb_shared(skb))
        skb_orphan(skb);
    unlock_sock_fast(sk, slow);
    consume_skb(skb);
}

bool skb_kill_datagram(sock *sk, sk_buff *skb, u32 flags)
{
    bool mine = true;
    if (flags & MSG_PEEK) {
        mine = false;
        spin_guard<irqsave> g{sk->sk_receive_queue.lock};
        if (skb == skb_peek(&sk->sk_receive_queue)) {
            __skb_unlink(skb, &sk->sk_receive_queue);
            mine = true;
        }
    }
    if (mine && (flags & MSG_PEEK))
        kfree_skb(skb); // the queue's reference
    kfree_skb(skb);
    sk->sk_drops.fetch_add(1, std::memory_order_relaxed);
    return mine;
}

// --- Copying ------------------------------------------------------------------------------------------------------------------

namespace
{
/// Walk bytes [offset, offset+n) of a packet: f(address, bytes) for each contiguous piece. False: f failed, or out of range.
template <class F>
bool skb_walk(const sk_buff *skb, u32 offset, u32 n, F &f)
{
    u32 head = skb_headlen(skb);
    if (offset < head) {
        u32 part = min(n, head - offset);
        if (!f(skb->data + offset, part))
            return false;
        offset += part;
        n -= part;
    }
    if (!n)
        return true;
    u32 start = head;
    skb_shared_info *si = skb_shinfo(skb);
    for (unsigned i = 0; n && i < si->nr_frags; i++) {
        const skb_frag &fr = si->frags[i];
        if (offset < start + fr.size) {
            u32 at = offset - start, part = min(n, fr.size - at);
            if (!f(static_cast<u8 *>(page_address(fr.pg)) + fr.offset + at, part))
                return false;
            offset += part;
            n -= part;
        }
        start += fr.size;
    }
    for (const sk_buff *s = si->frag_list; n && s; s = s->next) {
        if (offset < start + s->len) {
            u32 at = offset - start, part = min(n, s->len - at);
            if (!skb_walk(s, at, part, f))
                return false;
            offset += part;
            n -= part;
        }
        start += s->len;
    }
    return n == 0;
}
} // namespace

result<void> skb_copy_datagram_iter(const sk_buff *skb, u32 offset, iov_iter &to, u32 n)
{
    auto copy = [&to](const u8 *p, u32 part) { return to.copy_to(p, part).err() == 0; };
    if (!skb_walk(skb, offset, n, copy))
        return error{EFAULT};
    net_copied->to_user += n;
    trace(trace_event::skb_copy_datagram, skb->trace_id, n);
    return {};
}

bool skb_checksum_complete(sk_buff *skb)
{
    bool good = csum_fold(skb_checksum(skb, 0, skb->len, skb->csum)) == be16{};
    if (good)
        skb->ip_summed = CHECKSUM_UNNECESSARY;
    return good;
}

result<void> skb_copy_and_csum_datagram_iter(sk_buff *skb, u32 hlen, iov_iter &to)
{
    u32 n = skb->len - hlen;
    if (to.count() < n) { // not all is wanted: verify first, then copy the part
        if (!skb_checksum_complete(skb))
            return error{EINVAL};
        return skb_copy_datagram_iter(skb, hlen, to, static_cast<u32>(to.count()));
    }
    wsum csum = skb_checksum(skb, 0, hlen, skb->csum);
    u32 done = 0;
    auto copy = [&](const u8 *p, u32 part) {
        u32 sum = 0;
        bool ok = to.csum_copy_to(p, part, &sum).err() == 0;
        csum = csum_block_add(csum, sum, done);
        done += part;
        return ok;
    };
    if (!skb_walk(skb, hlen, n, copy))
        return error{EFAULT};
    if (csum_fold(csum) != be16{})
        return error{EINVAL};
    net_copied->to_user += n;
    trace(trace_event::skb_copy_datagram, skb->trace_id, n);
    return {};
}

u32 datagram_poll(file *f, socket *s, poll_table *pt)
{
    sock *sk = s->sk;
    poll_wait(f, sk_sleep(sk), pt);
    u32 mask = 0;
    if (sk->sk_err.load() || !sk->sk_error_queue.empty())
        mask |= POLLERR | (sock_flag(sk, SOCK_SELECT_ERR_QUEUE) ? POLLPRI : 0);
    if (sk->sk_shutdown & RCV_SHUTDOWN)
        mask |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (sk->sk_shutdown == SHUTDOWN_MASK)
        mask |= POLLHUP;
    if (!sk->sk_receive_queue.empty())
        mask |= POLLIN | POLLRDNORM;
    if (sock_writeable(sk))
        mask |= POLLOUT | POLLWRNORM | POLLWRBAND;
    else
        s->flags.fetch_or(SOCK_ASYNC_NOSPACE);
    return mask;
}

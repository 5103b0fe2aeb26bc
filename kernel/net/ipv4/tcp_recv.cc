// SPDX-License-Identifier: MIT
// recvmsg: from the receive queue, the prequeue, the backlog and the wire, in this order, to the user's buffer (Linux
// net/ipv4/tcp.c tcp_recvmsg; atlas §8, §9; rows W-06, W-07, W-11, W-13). Process context; takes the socket lock.

#include "net/ipv4/tcp_engine.h"
#include "trace/trace.h"

void tcp_cleanup_rbuf(sock *sk, int copied)
{
    tcp_sock *tp = tcp_sk(sk);
    bool now = false;
    if (inet_csk_ack_scheduled(sk)) {
        const auto &ack = tp->icsk_ack;
        now =
            ack.blocked || tp->rcv_nxt - tp->rcv_wup > ack.rcv_mss ||
            // The sender stopped with a PSH, and the reader has everything: nothing more comes to ride with.
            (copied > 0 &&
             ((ack.pending & ICSK_ACK_PUSHED2) ||
              ((ack.pending & ICSK_ACK_PUSHED) && !ack.pingpong)) &&
             !sk->sk_rmem_alloc.load(std::memory_order_relaxed));
    }
    if (copied > 0 && !now && !(sk->sk_shutdown & RCV_SHUTDOWN)) {
        // A window update is worth a segment when the window at least doubles (RFC 9293 §3.8.6.2.2).
        u32 win = tcp_receive_window(tp);
        if (2 * win <= tp->window_clamp) {
            u32 next = __tcp_select_window(sk);
            now = next && next >= 2 * win;
        }
    }
    if (now)
        tcp_send_ack(sk);
}

namespace
{
/// A recvmsg under way.
struct receiver {
    sock *sk;
    tcp_sock *tp;
    msghdr *m;
    u32 flags;
    size_t len; // still wanted
    size_t copied = 0;
    size_t target = 0; // enough to return
    s64 timeo = 0;
    u32 peek_seq = 0, urg_hole = 0;
    u32 *seq = nullptr;   // copied_seq, or peek_seq
    bool reading = false; // we are ucopy.task
};

enum class step { more, stop };

/// Process what waits in the prequeue, as the reader.
void prequeue_process(tcp_sock *tp)
{
    NET_INC_STATS(LINUX_MIB_TCPPrequeued);
    local_bh_disable();
    while (sk_buff *skb = __skb_dequeue(&tp->ucopy.prequeue))
        tp->sk_backlog_rcv(tp, skb);
    local_bh_enable();
    tp->ucopy.memory = 0;
}

/// Bytes that went directly to the user since ucopy.len was set.
void take_direct(receiver &r, linux_mib mib)
{
    size_t chunk = r.len - r.tp->ucopy.len;
    if (!chunk)
        return;
    NET_ADD_STATS(mib, chunk);
    r.len -= chunk;
    r.copied += chunk;
}

/// Urgent byte or mark inside [*seq, *seq + *used): never read across it (RFC 6093). False: nothing to copy.
bool stop_at_urgent(receiver &r, u32 *offset, u32 *used)
{
    u32 at = r.tp->urg_seq - *r.seq;
    if (at >= *used)
        return true;
    if (at) {
        *used = at;
        return true;
    }
    if (sock_flag(r.sk, SOCK_URGINLINE))
        return true;
    ++*r.seq; // out of band: skipped
    r.urg_hole++;
    ++*offset;
    --*used;
    return *used;
}

/// Copy from one packet of the queue. EFAULT (nothing taken).
result<step> copy_from_skb(receiver &r, sk_buff *skb, u32 offset)
{
    u32 used = static_cast<u32>(min<u64>(skb->len - offset, r.len));
    bool fin = tcp_hdr(skb)->fin;
    if (!r.tp->urg_data || stop_at_urgent(r, &offset, &used)) {
        if (!(r.flags & MSG_TRUNC) && !skb_copy_datagram_iter(skb, offset, *r.m->msg_iter, used))
            return error{EFAULT};
        *r.seq += used;
        r.copied += used;
        r.len -= used;
        tcp_rcv_space_adjust(r.sk);
    }
    if (r.tp->urg_data && after(r.tp->copied_seq, r.tp->urg_seq)) {
        r.tp->urg_data = 0;
        tcp_fast_path_check(r.sk);
    }
    if (used + offset < skb->len)
        return step::more;
    if (fin)
        ++*r.seq;
    if (!(r.flags & MSG_PEEK))
        tcp_eat_skb(r.sk, skb);
    return fin ? step::stop : step::more;
}

/// The queue has nothing at *seq. What to do: stop, with or without error, or wait.
result<step> nothing_there(receiver &r)
{
    sock *sk = r.sk;
    if (r.copied >= r.target && !sk->sk_backlog.tail)
        return step::stop;
    if (r.copied) {
        if (sk->sk_err.load() || sk->sk_state == TCP_CLOSE || (sk->sk_shutdown & RCV_SHUTDOWN) ||
            !r.timeo || signal_pending())
            return step::stop;
        return step::more;
    }
    if (sock_flag(sk, SOCK_DONE))
        return step::stop;
    if (sk->sk_err.load())
        return error{static_cast<errno_t>(sock_error(sk))};
    if (sk->sk_shutdown & RCV_SHUTDOWN)
        return step::stop;
    if (sk->sk_state == TCP_CLOSE)
        return error{ENOTCONN}; // never connected
    if (!r.timeo)
        return error{EAGAIN};
    if (signal_pending())
        return error{sock_intr_errno(r.timeo)};
    return step::more;
}

/// Sleep until something is in the receive queue or the prequeue (Linux sk_wait_data; rows W-08…W-13: non-exclusive, at the head).
void wait_data(receiver &r)
{
    sock *sk = r.sk;
    wait_queue wait;
    if (sk->sk_socket)
        sk->sk_socket->flags.fetch_or(SOCK_ASYNC_WAITDATA);
    release_sock(sk); // works off the backlog, perhaps straight into our buffer
    wait_queue_head *q = sk_sleep(sk);
    prepare_to_wait(q, &wait, TASK_INTERRUPTIBLE);
    // Anything that the caller would look at ends the sleep; read without the lock after having queued, so no wake-up is lost.
    bool ready = !sk->sk_receive_queue.empty() || !r.tp->ucopy.prequeue.empty() ||
                 sk->sk_err.load() || (read_once(sk->sk_shutdown) & RCV_SHUTDOWN) ||
                 read_once(sk->sk_state) == TCP_CLOSE || (r.reading && r.tp->ucopy.len != r.len);
    // A peeker has seen what is there: only more than that is news.
    if ((r.flags & MSG_PEEK) && ready && !sk->sk_err.load() && !(sk->sk_shutdown & RCV_SHUTDOWN) &&
        sk->sk_state != TCP_CLOSE)
        ready = r.tp->rcv_nxt != *r.seq;
    if (!ready)
        r.timeo = schedule_timeout(r.timeo);
    finish_wait(q, &wait);
    lock_sock(sk);
    if (sk->sk_socket)
        sk->sk_socket->flags.fetch_and(~SOCK_ASYNC_WAITDATA);
}

/// Wait for more, as the reader to whom segments may go directly.
void wait_for_more(receiver &r)
{
    tcp_sock *tp = r.tp;
    tcp_cleanup_rbuf(r.sk, static_cast<int>(r.copied));
    bool direct = false;
    if (!sysctl_tcp_low_latency && (r.reading || !tp->ucopy.task)) {
        if (!r.reading && !(r.flags & (MSG_TRUNC | MSG_PEEK))) {
            r.reading = true;
            tp->ucopy.task = current();
            tp->ucopy.iter = r.m->msg_iter;
        }
        tp->ucopy.len = static_cast<u32>(min<u64>(r.len, 0x7fffffff));
        direct = !tp->ucopy.prequeue.empty();
    }
    if (!direct) {
        if (r.copied >= r.target) { // only the backlog is of interest
            release_sock(r.sk);
            lock_sock(r.sk);
        } else {
            wait_data(r);
        }
        if (!r.reading)
            return;
        take_direct(r, LINUX_MIB_TCPDirectCopyFromBacklog);
        direct = tp->rcv_nxt == tp->copied_seq && !tp->ucopy.prequeue.empty();
    }
    if (direct && r.reading) {
        tp->ucopy.len = static_cast<u32>(min<u64>(r.len, 0x7fffffff));
        prequeue_process(tp);
        take_direct(r, LINUX_MIB_TCPDirectCopyFromPrequeue);
    }
}

/// The packet in which *seq lies (with *offset), or whose FIN is at *seq; null: none.
sk_buff *find_seq(receiver &r, u32 *offset)
{
    for (sk_buff *skb = skb_peek(&r.sk->sk_receive_queue); skb; skb = skb->next) {
        if (before(*r.seq, TCP_SKB_CB(skb)->seq))
            return nullptr; // cannot be: somebody took what we had not read
        *offset = *r.seq - TCP_SKB_CB(skb)->seq;
        if (tcp_hdr(skb)->syn && *offset)
            --*offset;
        if (*offset < skb->len || tcp_hdr(skb)->fin)
            return skb;
    }
    return nullptr;
}

/// One round of the loop.
result<step> receive_step(receiver &r)
{
    if (r.tp->urg_data && r.tp->urg_seq == *r.seq) {
        if (r.copied)
            return step::stop; // up to the mark
        if (signal_pending())
            return error{r.timeo ? sock_intr_errno(r.timeo) : EAGAIN};
    }
    u32 offset = 0;
    if (sk_buff *skb = find_seq(r, &offset)) {
        if (offset < skb->len)
            return copy_from_skb(r, skb, offset);
        ++*r.seq; // FIN
        if (!(r.flags & MSG_PEEK))
            tcp_eat_skb(r.sk, skb);
        return step::stop;
    }
    step s = TRY(nothing_there(r));
    if (s == step::stop)
        return s;
    wait_for_more(r);
    if ((r.flags & MSG_PEEK) && r.peek_seq - r.copied - r.urg_hole != r.tp->copied_seq)
        r.peek_seq = r.tp->copied_seq; // another reader took something meanwhile
    return step::more;
}

/// MSG_OOB: the one urgent byte.
result<size_t> recv_urg(receiver &r)
{
    tcp_sock *tp = r.tp;
    if (sock_flag(r.sk, SOCK_URGINLINE) || !tp->urg_data || tp->urg_data == TCP_URG_READ)
        return error{EINVAL};
    if (r.sk->sk_state == TCP_CLOSE && !sock_flag(r.sk, SOCK_DONE))
        return error{ENOTCONN};
    if (tp->urg_data & TCP_URG_VALID) {
        u8 byte = static_cast<u8>(tp->urg_data);
        if (!(r.flags & MSG_PEEK))
            tp->urg_data = TCP_URG_READ;
        r.m->msg_flags |= MSG_OOB;
        if (!r.len) {
            r.m->msg_flags |= MSG_TRUNC;
            return size_t{0};
        }
        if (!(r.flags & MSG_TRUNC) && !r.m->msg_iter->copy_to(&byte, 1))
            return error{EFAULT};
        return size_t{1};
    }
    if (r.sk->sk_state == TCP_CLOSE || (r.sk->sk_shutdown & RCV_SHUTDOWN))
        return size_t{0};
    return error{EAGAIN};
}

/// We are not the reader any more; what still waits is processed first.
void end_reading(receiver &r)
{
    tcp_sock *tp = r.tp;
    if (!tp->ucopy.prequeue.empty()) {
        tp->ucopy.len = r.copied ? static_cast<u32>(min<u64>(r.len, 0x7fffffff)) : 0;
        size_t before_ = tp->ucopy.len;
        prequeue_process(tp);
        if (size_t chunk = before_ - tp->ucopy.len) {
            NET_ADD_STATS(LINUX_MIB_TCPDirectCopyFromPrequeue, chunk);
            r.len -= chunk;
            r.copied += chunk;
        }
    }
    tp->ucopy.task = nullptr;
    tp->ucopy.iter = nullptr;
    tp->ucopy.len = 0;
}
} // namespace

result<size_t> tcp_recvmsg(sock *sk, msghdr *m, size_t len, u32 flags)
{
    lock_sock(sk);
    receiver r{.sk = sk, .tp = tcp_sk(sk), .m = m, .flags = flags, .len = len};
    if (sk->sk_state == TCP_LISTEN) {
        release_sock(sk);
        return error{ENOTCONN};
    }
    r.timeo = sock_rcvtimeo(sk, flags & MSG_DONTWAIT);
    if (flags & MSG_OOB) {
        result<size_t> u = recv_urg(r);
        release_sock(sk);
        return u;
    }
    r.seq = &r.tp->copied_seq;
    if (flags & MSG_PEEK) {
        r.peek_seq = r.tp->copied_seq;
        r.seq = &r.peek_seq;
    }
    r.target =
        (flags & MSG_WAITALL) ? len : min<u64>(len, static_cast<u64>(max(sk->sk_rcvlowat, 1)));
    if (!r.target)
        r.target = 1;
    int err = 0;
    do {
        result<step> s = receive_step(r);
        if (!s)
            err = s.err();
        if (!s || *s == step::stop)
            break;
    } while (r.len);
    if (r.reading)
        end_reading(r);
    tcp_cleanup_rbuf(sk, static_cast<int>(r.copied));
    release_sock(sk);
    trace(trace_event::tcp_recvmsg, sk, r.copied);
    net_copied->to_user += r.copied;
    if (err && !r.copied)
        return error{static_cast<errno_t>(err)};
    return r.copied;
}

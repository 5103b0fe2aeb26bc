// SPDX-License-Identifier: MIT
// What stream sockets have in common: memory accounting against tcp_mem, waiting for memory, connection and close. Linux:
// net/core/stream.c and the sk_mem part of net/core/sock.c (atlas §20, §21). Socket lock held everywhere.
//
// Memory: a socket reserves whole pages from tcp_memory_allocated in advance (sk_forward_alloc) and spends them on packets. Below
// tcp_mem[0] nobody is asked; above tcp_mem[1] everybody saves; at tcp_mem[2] only the minimum of a socket goes through.

#include "net/core/sock.h"
#include "net/core/sock_async.h"
#include "net/ipv4/tcp.h"
#include "sched/signal.h"

static s64 mem_pages(u32 size)
{
    return static_cast<s64>((size + PAGE_SIZE - 1) / PAGE_SIZE);
}

static void enter_pressure()
{
    if (tcp_memory_pressure.load(std::memory_order_relaxed))
        return;
    tcp_memory_pressure.store(1, std::memory_order_relaxed);
    NET_INC_STATS(LINUX_MIB_TCPMemoryPressures);
}

static void sk_stream_moderate_sndbuf(sock *sk)
{
    if (sk->sk_userlocks & SOCK_SNDBUF_LOCK)
        return;
    s64 half = tcp_sk(sk)->sk_wmem_queued >> 1;
    sk->sk_sndbuf = max(min(sk->sk_sndbuf, static_cast<int>(half)), 2048 + 256);
}

/// Whether a socket may have `pages` more although others are short of memory.
static bool under_pressure_ok(const sock *sk, s64 total)
{
    if (total > sysctl_tcp_mem[2])
        return false;
    if (!tcp_memory_pressure.load(std::memory_order_relaxed))
        return true;
    const tcp_sock *tp = tcp_sk(sk);
    u64 mine = u64{tp->sk_wmem_queued} + static_cast<u64>(sk->sk_rmem_alloc.load()) +
               static_cast<u64>(max(tp->sk_forward_alloc, 0));
    s64 n = max(tcp_sockets_allocated.load(std::memory_order_relaxed), 1);
    return sysctl_tcp_mem[2] > n * mem_pages(static_cast<u32>(mine));
}

/// Reserve pages for `size` more bytes. Linux __sk_mem_schedule.
static bool mem_schedule(sock *sk, u32 size, bool receive)
{
    tcp_sock *tp = tcp_sk(sk);
    s64 pages = mem_pages(size);
    tp->sk_forward_alloc += static_cast<s32>(pages * static_cast<s64>(PAGE_SIZE));
    s64 total = tcp_memory_allocated.fetch_add(pages, std::memory_order_relaxed) + pages;
    if (likely(total <= sysctl_tcp_mem[0])) {
        if (tcp_memory_pressure.load(std::memory_order_relaxed))
            tcp_memory_pressure.store(0, std::memory_order_relaxed);
        return true;
    }
    if (total > sysctl_tcp_mem[1])
        enter_pressure();
    u32 mine = receive ? static_cast<u32>(sk->sk_rmem_alloc.load(std::memory_order_relaxed))
                       : tp->sk_wmem_queued;
    u32 least = static_cast<u32>(receive ? sysctl_tcp_rmem[0] : sysctl_tcp_wmem[0]);
    if (total <= sysctl_tcp_mem[2] && mine < least)
        return true;
    if (under_pressure_ok(sk, total))
        return true;
    if (!receive) {
        sk_stream_moderate_sndbuf(sk);
        // What a writer may queue at all, it may queue: it will wait for the rest.
        if (tp->sk_wmem_queued + size >= static_cast<u32>(sk->sk_sndbuf))
            return true;
    }
    tp->sk_forward_alloc -= static_cast<s32>(pages * static_cast<s64>(PAGE_SIZE));
    tcp_memory_allocated.fetch_sub(pages, std::memory_order_relaxed);
    return false;
}

bool sk_wmem_schedule(sock *sk, u32 size)
{
    return likely(static_cast<s32>(size) <= tcp_sk(sk)->sk_forward_alloc) ||
           mem_schedule(sk, size, false);
}

bool sk_rmem_schedule(sock *sk, u32 size)
{
    return likely(static_cast<s32>(size) <= tcp_sk(sk)->sk_forward_alloc) ||
           mem_schedule(sk, size, true);
}

void sk_mem_reclaim(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    if (tp->sk_forward_alloc < static_cast<s32>(PAGE_SIZE))
        return;
    s64 pages = tp->sk_forward_alloc / static_cast<s64>(PAGE_SIZE);
    tp->sk_forward_alloc -= static_cast<s32>(pages * static_cast<s64>(PAGE_SIZE));
    s64 left = tcp_memory_allocated.fetch_sub(pages, std::memory_order_relaxed) - pages;
    if (unlikely(tcp_memory_pressure.load(std::memory_order_relaxed)) && left < sysctl_tcp_mem[0])
        tcp_memory_pressure.store(0, std::memory_order_relaxed);
}

void sk_mem_uncharge(sock *sk, u32 size)
{
    tcp_sock *tp = tcp_sk(sk);
    tp->sk_forward_alloc += static_cast<s32>(size);
    // One socket must not sit on much that it does not use (Linux keeps up to 2 MiB).
    if (unlikely(tp->sk_forward_alloc >= (2 << 20)))
        sk_mem_reclaim(sk);
}

sk_buff *sk_stream_alloc_skb(sock *sk, u32 size, gfp flags)
{
    size = align_up(size, 4u);
    if (sk_buff *skb = alloc_skb_fclone(size + MAX_TCP_HEADER, flags)) {
        if (likely(sk_wmem_schedule(sk, skb->truesize))) {
            skb_reserve(skb, MAX_TCP_HEADER);
            return skb;
        }
        kfree_skb_reason(skb, "nomem");
    } else {
        enter_pressure();
        sk_stream_moderate_sndbuf(sk);
    }
    return nullptr;
}

void sk_wmem_free_skb(sock *sk, sk_buff *skb)
{
    tcp_sk(sk)->sk_wmem_queued -= skb->truesize;
    sk_mem_uncharge(sk, skb->truesize);
    consume_skb(skb);
}

/// Free space is at least half of what is queued.
static bool enough_space(const sock *sk)
{
    s64 queued = tcp_sk(sk)->sk_wmem_queued;
    return sk->sk_sndbuf - queued >= queued >> 1;
}

void sk_stream_write_space(sock *sk)
{
    socket *s = sk->sk_socket;
    if (!s || !enough_space(sk))
        return;
    s->flags.fetch_and(~SOCK_NOSPACE);
    rcu_read_lock();
    socket_wq *wq = rcu_dereference(sk->sk_wq);
    if (wq_has_sleeper(wq))
        wake_up_interruptible_sync_poll(&wq->wait, POLLOUT | POLLWRNORM | POLLWRBAND);
    rcu_read_unlock();
    if (!(sk->sk_shutdown & SEND_SHUTDOWN))
        sk_wake_async(sk, sock_wake::space, POLL_OUT);
}

/// Sleep once until woken or `timeo` is over, without the lock, unless `ready` already holds. The condition is read after the task
/// is on the queue, so no wake-up between is lost. [P]
template <class F>
static void stream_sleep(sock *sk, s64 *timeo, F ready)
{
    wait_queue wait;
    release_sock(sk);
    wait_queue_head *q = sk_sleep(sk);
    prepare_to_wait(q, &wait, TASK_INTERRUPTIBLE);
    if (!ready())
        *timeo = schedule_timeout(*timeo);
    finish_wait(q, &wait);
    lock_sock(sk);
}

result<void> sk_stream_wait_connect(sock *sk, s64 *timeo)
{
    constexpr u32 done = TCPF(TCP_ESTABLISHED) | TCPF(TCP_CLOSE_WAIT);
    for (;;) {
        if (int err = sock_error(sk))
            return error{static_cast<errno_t>(err)};
        if (TCPF(sk->sk_state) & done)
            return {};
        if (!(TCPF(sk->sk_state) & (TCPF(TCP_SYN_SENT) | TCPF(TCP_SYN_RECV))))
            return error{EPIPE};
        if (!*timeo)
            return error{EAGAIN};
        if (signal_pending())
            return error{sock_intr_errno(*timeo)};
        tcp_sk(sk)->sk_write_pending++;
        stream_sleep(sk, timeo, [sk] {
            return sk->sk_err.load() ||
                   !(TCPF(read_once(sk->sk_state)) & (TCPF(TCP_SYN_SENT) | TCPF(TCP_SYN_RECV)));
        });
        tcp_sk(sk)->sk_write_pending--;
    }
}

result<void> sk_stream_wait_memory(sock *sk, s64 *timeo)
{
    tcp_sock *tp = tcp_sk(sk);
    // Room in the buffer but no memory: come back in a moment.
    s64 brief = 0;
    if (sk_stream_memory_free(sk))
        brief = 2 + static_cast<s64>(ktime_get() / NSEC_PER_USEC % (HZ / 5));
    for (;;) {
        if (sk->sk_err.load() || (sk->sk_shutdown & SEND_SHUTDOWN))
            return error{EPIPE};
        if (!*timeo)
            return error{EAGAIN};
        if (signal_pending())
            return error{sock_intr_errno(*timeo)};
        if (sk->sk_socket)
            sk->sk_socket->flags.fetch_and(~SOCK_ASYNC_NOSPACE);
        if (!brief && sk_stream_memory_free(sk))
            return {};
        if (sk->sk_socket)
            sk->sk_socket->flags.fetch_or(SOCK_NOSPACE);
        tp->sk_write_pending++;
        s64 wait = brief ? brief : *timeo;
        s64 before = wait;
        stream_sleep(sk, &wait, [sk, brief] {
            return sk->sk_err.load() || (read_once(sk->sk_shutdown) & SEND_SHUTDOWN) ||
                   (!brief && sk_stream_memory_free(sk));
        });
        tp->sk_write_pending--;
        if (!brief) {
            *timeo = wait;
            continue;
        }
        if (*timeo != MAX_SCHEDULE_TIMEOUT)
            *timeo = max(*timeo - (before - wait), 0);
        brief = 0;
    }
}

void sk_stream_wait_close(sock *sk, s64 timeout)
{
    constexpr u32 closing = TCPF(TCP_FIN_WAIT1) | TCPF(TCP_CLOSING) | TCPF(TCP_LAST_ACK);
    while (timeout && (TCPF(sk->sk_state) & closing) && !signal_pending())
        stream_sleep(sk, &timeout, [sk] { return !(TCPF(read_once(sk->sk_state)) & closing); });
}

errno_t sk_stream_error(sock *sk, u32 flags, errno_t err)
{
    if (err == EPIPE) {
        if (int e = sock_error(sk))
            err = static_cast<errno_t>(e);
    }
    if (err == EPIPE && !(flags & MSG_NOSIGNAL))
        send_signal(current(), SIGPIPE);
    return err;
}

void sk_stream_kill_queues(sock *sk)
{
    __skb_queue_purge(&sk->sk_receive_queue);
    __skb_queue_purge(&sk->sk_error_queue);
    sk_mem_reclaim(sk);
}

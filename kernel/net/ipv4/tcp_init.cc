// SPDX-License-Identifier: MIT
// Boot of TCP: tables, caches, limits from the memory size (Linux net/ipv4/tcp.c tcp_init; atlas §1, §20), and what poll and ioctl
// say of a TCP socket.

#include "fs/ioctl.h"
#include "net/ipv4/tcp.h"

/// Limits in pages and bytes, by Linux's formulas.
static void tcp_init_limits(u64 pages)
{
    auto entries = static_cast<int>(tcp_hashinfo.ehash_mask + 1);
    sysctl_tcp_max_tw_buckets = entries / 2;
    sysctl_tcp_max_orphans = entries / 2;
    sysctl_tcp_max_syn_backlog = max(128, entries / 256);
    u64 limit = max<u64>(pages / 8, 128);
    sysctl_tcp_mem[0] = static_cast<s64>(limit / 4 * 3);
    sysctl_tcp_mem[1] = static_cast<s64>(limit);
    sysctl_tcp_mem[2] = sysctl_tcp_mem[0] * 2;
    // A socket gets at most 1/128 of the memory, and 4 or 6 MiB.
    u64 share = pages * PAGE_SIZE / 128;
    sysctl_tcp_wmem[2] = max(64 * 1024, static_cast<int>(min<u64>(4 << 20, share)));
    sysctl_tcp_rmem[2] = max(87380, static_cast<int>(min<u64>(6 << 20, share)));
}

void tcp_init()
{
    u64 pages = page_alloc_stats().total;
    inet_hashinfo_init(pages);
    inet_timewait_init();
    tcp_request_sock_ops.slab =
        kmem_cache_create(tcp_request_sock_ops.slab_name, tcp_request_sock_ops.obj_size, 64);
    tcp_init_limits(pages);
    tcp_register_congestion_control(&tcp_reno);
    tcp_register_congestion_control(&tcp_cubic);
    tcp_tasklet_init();
    sysctl_tcp_init();
    inet_reserved_ports_init();
    tcp_proc_init();
}

// --- poll ---------------------------------------------------------------------------------------------

static u32 tcp_poll_readable(const sock *sk)
{
    const tcp_sock *tp = tcp_sk(sk);
    u32 target = static_cast<u32>(sk->sk_rcvlowat);
    if (tp->urg_seq == read_once(tp->copied_seq) && !sock_flag(sk, SOCK_URGINLINE) && tp->urg_data)
        target++; // the urgent byte is not read as data
    u32 mask =
        read_once(tp->rcv_nxt) - read_once(tp->copied_seq) >= target ? POLLIN | POLLRDNORM : 0u;
    return tp->urg_data & TCP_URG_VALID ? mask | POLLPRI : mask;
}

/// At least a third of the buffer is free.
static bool tcp_stream_is_writeable(const sock *sk)
{
    int queued = static_cast<int>(read_once(tcp_sk(sk)->sk_wmem_queued));
    return sk->sk_sndbuf - queued >= queued >> 1;
}

static u32 tcp_poll_writable(sock *sk, socket *s)
{
    if (sk->sk_shutdown & SEND_SHUTDOWN)
        return POLLOUT | POLLWRNORM;
    if (tcp_stream_is_writeable(sk))
        return POLLOUT | POLLWRNORM;
    // Ask to be woken, then look again: an ACK may have come between.
    s->flags.fetch_or(SOCK_ASYNC_NOSPACE | SOCK_NOSPACE);
    smp_mb();
    return tcp_stream_is_writeable(sk) ? POLLOUT | POLLWRNORM : 0u;
}

u32 tcp_poll(file *f, socket *s, poll_table *pt)
{
    sock *sk = s->sk;
    poll_wait(f, sk_sleep(sk), pt);
    u8 state = read_once(sk->sk_state);
    if (state == TCP_LISTEN)
        return reqsk_queue_empty(&inet_csk(sk)->icsk_accept_queue) ? 0 : POLLIN | POLLRDNORM;
    u32 mask = 0;
    if (sk->sk_shutdown == SHUTDOWN_MASK || state == TCP_CLOSE)
        mask |= POLLHUP;
    if (sk->sk_shutdown & RCV_SHUTDOWN)
        mask |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (state != TCP_SYN_SENT && state != TCP_SYN_RECV)
        mask |= tcp_poll_readable(sk) | tcp_poll_writable(sk, s);
    if (sk->sk_err.load())
        mask |= POLLERR;
    return mask;
}

// --- ioctl ----------------------------------------------------------------------------------------------

constexpr u32 SIOCATMARK = 0x8905, SIOCOUTQNSD = 0x894b;

/// Bytes that can be read before the urgent byte, or all.
static int tcp_inq(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    if (TCPF(sk->sk_state) & (TCPF(TCP_SYN_SENT) | TCPF(TCP_SYN_RECV)))
        return 0;
    if (!sock_flag(sk, SOCK_URGINLINE) && tp->urg_data && !before(tp->urg_seq, tp->copied_seq) &&
        before(tp->urg_seq, tp->rcv_nxt))
        return static_cast<int>(tp->urg_seq - tp->copied_seq);
    int n = static_cast<int>(tp->rcv_nxt - tp->copied_seq);
    return n && sock_flag(sk, SOCK_DONE) ? n - 1 : n; // the FIN counts as a byte
}

result<s64> tcp_ioctl(sock *sk, u32 cmd, u64 arg)
{
    tcp_sock *tp = tcp_sk(sk);
    int answer;
    bool fresh = TCPF(sk->sk_state) & (TCPF(TCP_SYN_SENT) | TCPF(TCP_SYN_RECV));
    switch (cmd) {
    case SIOCINQ: {
        if (sk->sk_state == TCP_LISTEN)
            return error{EINVAL};
        bool slow = lock_sock_fast(sk);
        answer = tcp_inq(sk);
        unlock_sock_fast(sk, slow);
        break;
    }
    case SIOCATMARK:
        answer = tp->urg_data && tp->urg_seq == tp->copied_seq;
        break;
    case SIOCOUTQ:
        if (sk->sk_state == TCP_LISTEN)
            return error{EINVAL};
        answer = fresh ? 0 : static_cast<int>(tp->write_seq - tp->snd_una);
        break;
    case SIOCOUTQNSD:
        if (sk->sk_state == TCP_LISTEN)
            return error{EINVAL};
        answer = fresh ? 0 : static_cast<int>(tp->write_seq - tp->snd_nxt);
        break;
    default:
        return error{ENOIOCTLCMD};
    }
    TRY_VOID(put_user(user_ptr<int>{arg}, answer));
    return s64{0};
}

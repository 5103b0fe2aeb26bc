// SPDX-License-Identifier: MIT
// Life and end of a TCP socket (Linux net/ipv4/tcp.c; atlas §19; rows G-01…G-06): creation, states, shutdown, close, disconnect.
// Process context with the socket lock, unless a function says otherwise. Boot is in tcp_init.cc, options in tcp_options.cc.

#include "net/ipv4/tcp.h"

tcp_sock::tcp_sock()
    : inet_connection_sock{"TCP", tcp_write_timer, tcp_delack_timer, tcp_keepalive_timer}
{
}

result<void> tcp_init_sock(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    tcp_init_xmit_timers(sk);
    tp->is_icsk = 1;
    tp->icsk_rto = TCP_TIMEOUT_INIT;
    tp->mdev = TCP_TIMEOUT_INIT;
    tp->reordering = static_cast<u32>(read_once(sysctl_tcp_reordering));
    sk->sk_state = TCP_CLOSE;
    sk->sk_write_space = sk_stream_write_space;
    sk->sk_sndbuf = read_once(sysctl_tcp_wmem[1]);
    sk->sk_rcvbuf = read_once(sysctl_tcp_rmem[1]);
    tcp_sockets_allocated.fetch_add(1, std::memory_order_relaxed);
    return {};
}

/// Free everything that waits to be sent or acknowledged.
static void tcp_write_queue_purge(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    while (sk_buff *skb = __skb_dequeue(&sk->sk_write_queue))
        sk_wmem_free_skb(sk, skb);
    tp->sk_send_head = nullptr;
    tp->retransmit_skb_hint = tp->lost_skb_hint = nullptr;
    sk_mem_reclaim(sk);
}

void tcp_v4_destroy_sock(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    inet_csk_clear_xmit_timers(sk);
    tcp_cleanup_congestion_control(sk);
    tcp_write_queue_purge(sk);
    __skb_queue_purge(&tp->out_of_order_queue);
    __skb_queue_purge(&tp->ucopy.prequeue);
    if (tp->icsk_bind_hash)
        inet_put_port(sk);
    if (tp->sk_frag_page) {
        put_page(tp->sk_frag_page);
        tp->sk_frag_page = nullptr;
    }
    tcp_sockets_allocated.fetch_sub(1, std::memory_order_relaxed);
}

// --- States -----------------------------------------------------------------------------------------

/// MIB of a change (RFC 4022).
static void count_state(u8 old, u8 state)
{
    if (state == TCP_ESTABLISHED) {
        if (old != TCP_ESTABLISHED)
            TCP_INC_STATS(TCP_MIB_CurrEstab);
        return;
    }
    if (state == TCP_CLOSE && (old == TCP_CLOSE_WAIT || old == TCP_ESTABLISHED))
        TCP_INC_STATS(TCP_MIB_EstabResets);
    if (old == TCP_ESTABLISHED)
        TCP_DEC_STATS(TCP_MIB_CurrEstab);
}

void tcp_set_state(sock *sk, u8 state)
{
    u8 old = sk->sk_state;
    trace(trace_event::tcp_set_state, sk, old, state);
    count_state(old, state);
    if (state == TCP_CLOSE) {
        sk->sk_prot->unhash(sk);
        if (inet_csk(sk)->icsk_bind_hash && !(sk->sk_userlocks & SOCK_BINDPORT_LOCK))
            inet_put_port(sk);
    }
    // Last: who looks without a lock may trust that a closed socket is in no table.
    write_once(sk->sk_state, state);
}

void tcp_done(sock *sk)
{
    if (sk->sk_state == TCP_SYN_SENT || sk->sk_state == TCP_SYN_RECV)
        TCP_INC_STATS(TCP_MIB_AttemptFails);
    tcp_set_state(sk, TCP_CLOSE);
    inet_csk_clear_xmit_timers(sk);
    sk->sk_shutdown = SHUTDOWN_MASK;
    if (!sock_flag(sk, SOCK_DEAD))
        sk->sk_state_change(sk);
    else
        inet_csk_destroy_sock(sk);
}

/// Our side closes: the next state, and whether a FIN is due (RFC 9293 §3.10.4).
static bool tcp_close_state(sock *sk)
{
    u8 next = sk->sk_state;
    bool fin = false;
    switch (sk->sk_state) {
    case TCP_SYN_SENT:
        next = TCP_CLOSE;
        break;
    case TCP_SYN_RECV:
    case TCP_ESTABLISHED:
        next = TCP_FIN_WAIT1;
        fin = true;
        break;
    case TCP_CLOSE_WAIT:
        next = TCP_LAST_ACK;
        fin = true;
        break;
    case TCP_LISTEN:
        next = TCP_CLOSE;
        break;
    default: // closing already
        break;
    }
    tcp_set_state(sk, next);
    return fin;
}

void tcp_shutdown(sock *sk, int how)
{
    // SHUT_RD sends nothing (row G-05).
    if (!(static_cast<u32>(how) & SEND_SHUTDOWN))
        return;
    constexpr u32 open =
        TCPF(TCP_ESTABLISHED) | TCPF(TCP_SYN_SENT) | TCPF(TCP_SYN_RECV) | TCPF(TCP_CLOSE_WAIT);
    if ((TCPF(sk->sk_state) & open) && tcp_close_state(sk))
        tcp_send_fin(sk);
}

// --- close ------------------------------------------------------------------------------------------

/// Throw away what nobody will read; whether there was anything.
static bool drop_unread(sock *sk)
{
    bool unread = false;
    while (sk_buff *skb = __skb_dequeue(&sk->sk_receive_queue)) {
        const tcp_skb_cb *cb = TCP_SKB_CB(skb);
        u32 len = cb->end_seq - cb->seq - (cb->tcp_flags & TCPHDR_FIN ? 1 : 0);
        unread |= len != 0;
        kfree_skb(skb);
    }
    sk_mem_reclaim(sk);
    return unread;
}

/// The process's part of the end: FIN, RST or nothing.
static void close_connection(sock *sk, s64 timeout)
{
    bool unread = drop_unread(sk);
    if (sk->sk_state == TCP_CLOSE)
        return;
    if (unread) {
        // Data is lost: the peer must hear of it (RFC 2525 §2.17).
        NET_INC_STATS(LINUX_MIB_TCPAbortOnClose);
        tcp_set_state(sk, TCP_CLOSE);
        tcp_send_active_reset(sk, GFP_KERNEL);
    } else if (sock_flag(sk, SOCK_LINGER) && !sk->sk_lingertime) {
        (void)sk->sk_prot->disconnect(sk, 0);
        NET_INC_STATS(LINUX_MIB_TCPAbortOnData);
    } else if (tcp_close_state(sk)) {
        tcp_send_fin(sk);
    }
    sk_stream_wait_close(sk, timeout);
}

static bool tcp_too_many_orphans()
{
    return tcp_orphan_count.load(std::memory_order_relaxed) > read_once(sysctl_tcp_max_orphans);
}

/// An orphan that costs too much: too many of them, or TCP has no memory left and this one holds some.
static bool tcp_check_oom(const sock *sk)
{
    bool many = tcp_too_many_orphans();
    bool nomem = tcp_sk(sk)->sk_wmem_queued > 2304 * 2 &&
                 tcp_memory_allocated.load(std::memory_order_relaxed) > sysctl_tcp_mem[2];
    if (many && printk_ratelimit())
        pr_info("TCP: too many orphaned sockets");
    if (nomem && printk_ratelimit())
        pr_info("TCP: out of memory -- consider tuning tcp_mem");
    return many || nomem;
}

/// FIN_WAIT2 without a process does not last for ever. True: sk is done (a small stand-in waits).
static bool orphan_fin_wait2(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    if (tp->linger2 < 0) {
        tcp_set_state(sk, TCP_CLOSE);
        tcp_send_active_reset(sk, GFP_ATOMIC);
        NET_INC_STATS(LINUX_MIB_TCPAbortOnLinger);
        return false;
    }
    u32 timeo = tcp_fin_time(sk);
    if (timeo > TCP_TIMEWAIT_LEN) {
        inet_csk_reset_keepalive_timer(sk, timeo - TCP_TIMEWAIT_LEN);
        return false;
    }
    tcp_time_wait(sk, TCP_FIN_WAIT2, timeo);
    return true;
}

/// No process has it any more. slock held, BH off.
static void adjudge_to_death(sock *sk)
{
    tcp_orphan_count.fetch_add(1, std::memory_order_relaxed);
    if (sk->sk_state == TCP_FIN_WAIT2 && orphan_fin_wait2(sk))
        return; // tcp_done() has ended it
    if (sk->sk_state != TCP_CLOSE) {
        sk_mem_reclaim(sk);
        if (tcp_check_oom(sk)) {
            tcp_set_state(sk, TCP_CLOSE);
            tcp_send_active_reset(sk, GFP_ATOMIC);
            NET_INC_STATS(LINUX_MIB_TCPAbortOnMemory);
        }
    }
    if (sk->sk_state == TCP_CLOSE)
        inet_csk_destroy_sock(sk);
}

void tcp_close(sock *sk, s64 timeout)
{
    lock_sock(sk);
    sk->sk_shutdown = SHUTDOWN_MASK;
    if (sk->sk_state == TCP_LISTEN) {
        tcp_set_state(sk, TCP_CLOSE);
        inet_csk_listen_stop(sk);
    } else {
        close_connection(sk, timeout);
    }
    sock_hold(sk);
    // Works off the backlog, which may end the connection; it is no orphan yet, so it is destroyed here and nowhere else.
    release_sock(sk);
    local_bh_disable();
    bh_lock_sock(sk);
    sock_orphan(sk);
    adjudge_to_death(sk);
    bh_unlock_sock(sk);
    local_bh_enable();
    sock_put(sk);
}

// --- disconnect ---------------------------------------------------------------------------------------

static bool tcp_need_reset(u8 state)
{
    constexpr u32 alive = TCPF(TCP_ESTABLISHED) | TCPF(TCP_CLOSE_WAIT) | TCPF(TCP_FIN_WAIT1) |
                          TCPF(TCP_FIN_WAIT2) | TCPF(TCP_SYN_RECV);
    return TCPF(state) & alive;
}

/// Tell the peer, if there is one that believes in a connection.
static void break_off(sock *sk, u8 old)
{
    const tcp_sock *tp = tcp_sk(sk);
    bool closing = TCPF(old) & (TCPF(TCP_CLOSING) | TCPF(TCP_LAST_ACK));
    if (old == TCP_LISTEN) {
        inet_csk_listen_stop(sk);
    } else if (tcp_need_reset(old) || (tp->snd_nxt != tp->write_seq && closing)) {
        tcp_send_active_reset(sk, GFP_ATOMIC);
        sk->sk_err.store(ECONNRESET);
    } else if (old == TCP_SYN_SENT) {
        sk->sk_err.store(ECONNRESET);
    }
}

/// As new, but for what the application has set.
static void forget_connection(tcp_sock *tp)
{
    tp->srtt = 0;
    tp->write_seq += tp->max_window + 2;
    if (!tp->write_seq)
        tp->write_seq = 1;
    tp->icsk_backoff = 0;
    tp->snd_cwnd = 2;
    tp->icsk_probes_out = 0;
    tp->packets_out = 0;
    tp->retrans_out = tp->sacked_out = tp->lost_out = tp->fackets_out = 0;
    tp->snd_ssthresh = TCP_INFINITE_SSTHRESH;
    tp->snd_cwnd_cnt = 0;
    tp->window_clamp = 0;
    tp->icsk_ca_state = TCP_CA_Open;
    tp->undo_marker = 0;
    tp->undo_retrans = 0;
    tp->urg_data = 0;
    tp->pred_flags = 0;
    inet_csk_delack_init(tp);
    u16 user_mss = tp->rx_opt.user_mss;
    tp->rx_opt = {};
    tp->rx_opt.user_mss = user_mss;
}

result<void> tcp_disconnect(sock *sk, u32)
{
    tcp_sock *tp = tcp_sk(sk);
    u8 old = sk->sk_state;
    if (old != TCP_CLOSE)
        tcp_set_state(sk, TCP_CLOSE);
    break_off(sk, old);
    inet_csk_clear_xmit_timers(sk);
    __skb_queue_purge(&sk->sk_receive_queue);
    tcp_write_queue_purge(sk);
    __skb_queue_purge(&tp->out_of_order_queue);
    tp->inet_dport = be16{};
    if (!(sk->sk_userlocks & SOCK_BINDADDR_LOCK))
        tp->inet_rcv_saddr = tp->inet_saddr = be32{};
    sk->sk_shutdown = 0;
    sock_reset_flag(sk, SOCK_DONE);
    forget_connection(tp);
    sk_dst_reset(sk);
    sk_rx_dst_reset(sk);
    sk->sk_error_report(sk);
    return {};
}

// --- The protocol -------------------------------------------------------------------------------------

static kmem_cache *tcp_slab;

constinit proto tcp_prot = {
    .name = "TCP",
    .close = tcp_close,
    .connect = tcp_v4_connect,
    .disconnect = tcp_disconnect,
    .init = tcp_init_sock,
    .destroy = tcp_v4_destroy_sock,
    .setsockopt = tcp_setsockopt,
    .getsockopt = tcp_getsockopt,
    .sendmsg = tcp_sendmsg,
    .recvmsg = tcp_recvmsg,
    .ioctl = tcp_ioctl,
    .backlog_rcv = tcp_v4_do_rcv,
    .release_cb = tcp_release_cb,
    .hash = inet_hash,
    .unhash = inet_unhash,
    .get_port = inet_csk_get_port,
    .obj_size = sizeof(tcp_sock),
    .slab = &tcp_slab,
    .construct = [](void *mem) -> sock * { return new (mem) tcp_sock; },
    .destruct = [](sock *sk) { tcp_sk(sk)->~tcp_sock(); },
    .symbol = "tcp_prot",
    .shutdown = tcp_shutdown,
    .accept = inet_csk_accept,
    .keepalive = tcp_set_keepalive,
    .no_autobind = true,
};

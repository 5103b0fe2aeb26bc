// SPDX-License-Identifier: MIT
// SOL_TCP options (Linux net/ipv4/tcp.c do_tcp_setsockopt, do_tcp_getsockopt; tcp(7)). Process context. A value is decoded before the
// lock is taken. tcp_info is in tcp_info.cc.

#include "net/ipv4/tcp_info.h"

namespace
{
constexpr u32 MAX_TCP_KEEPIDLE = 32767, MAX_TCP_KEEPINTVL = 32767;
constexpr int MAX_TCP_KEEPCNT = 127, MAX_TCP_SYNCNT = 127;
constexpr u32 TCP_RTO_MAX_S = TCP_RTO_MAX / TCP_HZ;

void push_now(tcp_sock *tp)
{
    if (tcp_send_head(tp))
        __tcp_push_pending_frames(tp, tcp_current_mss(tp), tp->nonagle);
}

void set_nodelay(tcp_sock *tp, int val)
{
    if (val) {
        tp->nonagle |= TCP_NAGLE_OFF | TCP_NAGLE_PUSH; // even a corked socket sends once
        push_now(tp);
    } else {
        tp->nonagle &= static_cast<u8>(~TCP_NAGLE_OFF);
    }
}

void set_cork(tcp_sock *tp, int val)
{
    if (val) {
        tp->nonagle |= TCP_NAGLE_CORK;
        return;
    }
    tp->nonagle &= static_cast<u8>(~TCP_NAGLE_CORK);
    if (tp->nonagle & TCP_NAGLE_OFF)
        tp->nonagle |= TCP_NAGLE_PUSH;
    push_now(tp);
}

/// The idle time changed: a running keepalive timer follows.
void restart_keepalive(tcp_sock *tp)
{
    if (!sock_flag(tp, SOCK_KEEPOPEN) ||
        (TCPF(tp->sk_state) & (TCPF(TCP_CLOSE) | TCPF(TCP_LISTEN))))
        return;
    u32 now = tcp_time_stamp();
    u32 idle = min(now - tp->icsk_ack.lrcvtime, now - tp->rcv_tstamp);
    inet_csk_reset_keepalive_timer(tp, tp->keepalive_time > idle ? tp->keepalive_time - idle : 0);
}

result<void> set_keepalive_option(tcp_sock *tp, int name, int val)
{
    switch (name) {
    case TCP_KEEPIDLE:
        if (val < 1 || static_cast<u32>(val) > MAX_TCP_KEEPIDLE)
            return error{EINVAL};
        tp->keepalive_time = static_cast<u32>(val) * TCP_HZ;
        restart_keepalive(tp);
        return {};
    case TCP_KEEPINTVL:
        if (val < 1 || static_cast<u32>(val) > MAX_TCP_KEEPINTVL)
            return error{EINVAL};
        tp->keepalive_intvl = static_cast<u32>(val) * TCP_HZ;
        return {};
    default: // TCP_KEEPCNT
        if (val < 1 || val > MAX_TCP_KEEPCNT)
            return error{EINVAL};
        tp->keepalive_probes = static_cast<u8>(val);
        return {};
    }
}

/// SYN-ACK time-outs that last `seconds`: 1, 3, 7, … Linux secs_to_retrans.
u8 secs_to_retrans(int seconds)
{
    u8 n = 0;
    if (seconds > 0) {
        u32 timeout = TCP_TIMEOUT_INIT / TCP_HZ, period = timeout;
        n = 1;
        while (static_cast<u32>(seconds) > period && n < 255) {
            n++;
            timeout = min(timeout << 1, TCP_RTO_MAX_S);
            period += timeout;
        }
    }
    return n;
}
int retrans_to_secs(u8 n)
{
    u32 period = 0, timeout = TCP_TIMEOUT_INIT / TCP_HZ;
    while (n-- > 0) {
        period += timeout;
        timeout = min(timeout << 1, TCP_RTO_MAX_S);
    }
    return static_cast<int>(period);
}

void set_linger2(tcp_sock *tp, int val)
{
    if (val < 0)
        tp->linger2 = -1;
    else if (val > read_once(sysctl_tcp_fin_timeout))
        tp->linger2 = 0;
    else
        tp->linger2 = val * static_cast<s32>(TCP_HZ);
}

result<void> set_window_clamp(tcp_sock *tp, int val)
{
    if (!val) {
        if (tp->sk_state != TCP_CLOSE)
            return error{EINVAL};
        tp->window_clamp = 0;
        return {};
    }
    constexpr int least = 2288 / 2; // half of the smallest receive buffer
    tp->window_clamp = static_cast<u32>(max(val, least));
    return {};
}

/// 0: acknowledge lazily; else at once, and with an odd value only until the connection decides for itself again.
void set_quickack(tcp_sock *tp, int val)
{
    if (!val) {
        tp->icsk_ack.pingpong = 1;
        return;
    }
    tp->icsk_ack.pingpong = 0;
    if ((TCPF(tp->sk_state) & (TCPF(TCP_ESTABLISHED) | TCPF(TCP_CLOSE_WAIT))) &&
        inet_csk_ack_scheduled(tp)) {
        tp->icsk_ack.pending |= ICSK_ACK_PUSHED;
        tcp_cleanup_rbuf(tp, 1);
        if (!(val & 1))
            tp->icsk_ack.pingpong = 1;
    }
}

result<void> set_int(tcp_sock *tp, int name, int val)
{
    switch (name) {
    case TCP_MAXSEG:
        if (val && (val < static_cast<int>(TCP_MIN_MSS) || val > 32767))
            return error{EINVAL};
        tp->rx_opt.user_mss = static_cast<u16>(val);
        return {};
    case TCP_NODELAY:
        set_nodelay(tp, val);
        return {};
    case TCP_CORK:
        set_cork(tp, val);
        return {};
    case TCP_KEEPIDLE:
    case TCP_KEEPINTVL:
    case TCP_KEEPCNT:
        return set_keepalive_option(tp, name, val);
    case TCP_SYNCNT:
        if (val < 1 || val > MAX_TCP_SYNCNT)
            return error{EINVAL};
        tp->icsk_syn_retries = static_cast<u8>(val);
        return {};
    case TCP_LINGER2:
        set_linger2(tp, val);
        return {};
    case TCP_DEFER_ACCEPT:
        tp->icsk_accept_queue.rskq_defer_accept = secs_to_retrans(val);
        return {};
    case TCP_WINDOW_CLAMP:
        return set_window_clamp(tp, val);
    case TCP_QUICKACK:
        set_quickack(tp, val);
        return {};
    case TCP_USER_TIMEOUT:
        tp->icsk_user_timeout = static_cast<u32>(val); // ms, which jiffies are
        return {};
    case TCP_THIN_LINEAR_TIMEOUTS:
        if (val < 0 || val > 1)
            return error{EINVAL};
        tp->thin_lto = static_cast<u8>(val);
        return {};
    default:
        return error{ENOPROTOOPT};
    }
}

result<void> set_congestion(sock *sk, user_ptr<const void> val, unsigned len)
{
    char name[16] = {};
    if (len < 1)
        return error{EINVAL};
    TRY_VOID(copy_from_user(name, val, min<unsigned>(len, sizeof name - 1)));
    lock_sock(sk);
    auto r = tcp_set_congestion_control(sk, name);
    release_sock(sk);
    return r;
}

/// Options that are an int; false: none of them.
bool get_int(const tcp_sock *tp, int name, int *v)
{
    auto value = [&](s64 x) { return *v = static_cast<int>(x), true; };
    switch (name) {
    case TCP_MAXSEG:
        return value(TCPF(tp->sk_state) & (TCPF(TCP_CLOSE) | TCPF(TCP_LISTEN)) &&
                             tp->rx_opt.user_mss
                         ? tp->rx_opt.user_mss
                         : tp->mss_cache);
    case TCP_NODELAY:
        return value((tp->nonagle & TCP_NAGLE_OFF) != 0);
    case TCP_CORK:
        return value((tp->nonagle & TCP_NAGLE_CORK) != 0);
    case TCP_KEEPIDLE:
        return value(keepalive_time_when(tp) / TCP_HZ);
    case TCP_KEEPINTVL:
        return value(keepalive_intvl_when(tp) / TCP_HZ);
    case TCP_KEEPCNT:
        return value(tp->keepalive_probes ? tp->keepalive_probes : sysctl_tcp_keepalive_probes);
    case TCP_SYNCNT:
        return value(tp->icsk_syn_retries ? tp->icsk_syn_retries : sysctl_tcp_syn_retries);
    case TCP_LINGER2:
        return value(tp->linger2 < 0 ? -1
                     : tp->linger2   ? tp->linger2 / static_cast<s32>(TCP_HZ)
                                     : sysctl_tcp_fin_timeout);
    case TCP_DEFER_ACCEPT:
        return value(retrans_to_secs(tp->icsk_accept_queue.rskq_defer_accept));
    case TCP_WINDOW_CLAMP:
        return value(tp->window_clamp);
    case TCP_QUICKACK:
        return value(!tp->icsk_ack.pingpong);
    case TCP_USER_TIMEOUT:
        return value(tp->icsk_user_timeout);
    case TCP_THIN_LINEAR_TIMEOUTS:
        return value(tp->thin_lto);
    default:
        return false;
    }
}

/// What an option gives back.
union opt_value {
    int i;
    tcp_info info;
    char name[16];
};

result<unsigned> get_option(sock *sk, int name, opt_value *v)
{
    if (get_int(tcp_sk(sk), name, &v->i))
        return static_cast<unsigned>(sizeof v->i);
    if (name == TCP_INFO) {
        tcp_get_info(sk, &v->info);
        return static_cast<unsigned>(sizeof v->info);
    }
    if (name == TCP_CONGESTION) {
        const tcp_congestion_ops *ca = inet_csk(sk)->icsk_ca_ops;
        strlcpy(v->name, ca ? ca->name : tcp_cubic.name, sizeof v->name);
        return static_cast<unsigned>(sizeof v->name);
    }
    return error{ENOPROTOOPT};
}
} // namespace

result<void> tcp_setsockopt(sock *sk, int level, int name, user_ptr<const void> val, unsigned len)
{
    if (level != SOL_TCP)
        return ip_setsockopt(sk, level, name, val, len);
    if (name == TCP_CONGESTION)
        return set_congestion(sk, val, len);
    int v;
    if (len < sizeof v)
        return error{EINVAL};
    TRY_VOID(copy_from_user(&v, val, sizeof v));
    lock_sock(sk);
    auto r = set_int(tcp_sk(sk), name, v);
    release_sock(sk);
    return r;
}

result<void> tcp_getsockopt(sock *sk, int level, int name, user_ptr<void> val, user_ptr<int> optlen)
{
    if (level != SOL_TCP)
        return ip_getsockopt(sk, level, name, val, optlen);
    int len;
    TRY_VOID(get_user(len, optlen));
    if (len < 0)
        return error{EINVAL};
    opt_value v{};
    unsigned n = min(TRY(get_option(sk, name, &v)), static_cast<unsigned>(len));
    TRY_VOID(put_user(optlen, static_cast<int>(n)));
    return copy_to_user(val, &v, n);
}

// SPDX-License-Identifier: MIT
// CUBIC (RFC 8312; Linux net/ipv4/tcp_cubic.c, 3.10's default): after a loss cwnd grows along C·(t−K)³ + W_max, flat around the size
// at which the loss happened, and never slower than Reno would (§4.2). HyStart's early end of slow start is not there: with the
// simulation's and QEMU's coarse round trips it misfires (a deviation, see docs). Socket lock held; no allocation.

#include "lib/initcall.h"
#include "net/ipv4/tcp_engine.h"

namespace
{
/// In icsk_ca_priv.
struct cubic {
    u32 cnt;         // ACKs per increment of cwnd
    u32 last_max;    // W_max
    u32 last_cwnd;   // cwnd when cnt was computed last…
    u32 last_time;   // …and when, jiffies
    u32 origin;      // the plateau of this epoch
    u32 k;           // time from the epoch's start to the plateau, ms
    u32 epoch_start; // jiffies, 0: none
    u32 ack_cnt;     // ACKed packets since
    u32 tcp_cwnd;    // what Reno would have
    u32 delay_min;   // smallest round trip, ms << 3
    u16 delayed_ack; // packets per ACK, scaled by 16
    u16 started;
};
static_assert(sizeof(cubic) <= sizeof(inet_connection_sock::icsk_ca_priv));

constexpr u32 BETA = 717; // of 1024: multiplicative decrease 0.7
constexpr u32 ACK_RATIO_SHIFT = 4;

cubic *ca_of(sock *sk)
{
    return reinterpret_cast<cubic *>(inet_csk(sk)->icsk_ca_priv);
}

void reset(cubic *ca)
{
    *ca = cubic{};
    ca->delayed_ack = 2 << ACK_RATIO_SHIFT;
}

/// Integer cube root by bisection on bits.
u32 cubic_root(u64 a)
{
    u64 r = 0;
    for (int b = 20; b >= 0; b--) {
        u64 t = r | u64{1} << b;
        if (t * t * t <= a)
            r = t;
    }
    return static_cast<u32>(r);
}

/// Distance from the plateau, in segments, at `ms` from it: 0.4·(ms/1000)³.
u64 cube_distance(u64 ms)
{
    ms = min(ms, u64{1} << 19); // 9 minutes: beyond any use, and the product still fits
    return ms * ms * ms * 4 / 10'000'000'000;
}

void start_epoch(cubic *ca, u32 cwnd, u32 now)
{
    ca->epoch_start = now ? now : 1;
    ca->ack_cnt = 1;
    ca->tcp_cwnd = cwnd;
    if (ca->last_max <= cwnd) {
        ca->k = 0;
        ca->origin = cwnd;
    } else {
        // K = cbrt((W_max - cwnd) / C), in ms: cbrt(n · 2.5 · 10⁹).
        ca->k = cubic_root(u64{ca->last_max - cwnd} * 2'500'000'000ull);
        ca->origin = ca->last_max;
    }
}

/// cwnd that Reno with CUBIC's decrease would have by now (RFC 8312 §4.2): one segment more for so many acknowledged.
void tcp_friendly(cubic *ca, u32 cwnd)
{
    constexpr u32 scale = 8 * (1024 + BETA) / 3 / (1024 - BETA); // 15
    u32 delta = (cwnd * scale) >> 3;
    while (delta && ca->ack_cnt > delta) {
        ca->ack_cnt -= delta;
        ca->tcp_cwnd++;
    }
    if (ca->tcp_cwnd > cwnd) {
        u32 most = cwnd / (ca->tcp_cwnd - cwnd);
        ca->cnt = min(ca->cnt, most);
    }
}

void update(cubic *ca, u32 cwnd)
{
    u32 now = tcp_time_stamp();
    ca->ack_cnt++;
    if (ca->last_cwnd == cwnd && now - ca->last_time <= TCP_HZ / 32)
        return;
    ca->last_cwnd = cwnd;
    ca->last_time = now;
    if (!ca->epoch_start)
        start_epoch(ca, cwnd, now);
    // Where the curve will be one round trip from now.
    u64 t = u64{now - ca->epoch_start} + (ca->delay_min >> 3);
    u64 off = t < ca->k ? ca->k - t : t - ca->k;
    u64 d = cube_distance(off);
    u64 target = t < ca->k ? (ca->origin > d ? ca->origin - d : 0) : ca->origin + d;
    ca->cnt = target > cwnd ? static_cast<u32>(cwnd / min(target - cwnd, u64{cwnd})) : 100 * cwnd;
    if (!ca->last_max && ca->cnt > 20)
        ca->cnt = 20; // no loss yet: find one sooner
    tcp_friendly(ca, cwnd);
    ca->cnt = (ca->cnt << ACK_RATIO_SHIFT) / max<u32>(ca->delayed_ack, 1);
    if (!ca->cnt)
        ca->cnt = 1;
}

void cubic_init(sock *sk)
{
    reset(ca_of(sk));
}

u32 cubic_ssthresh(sock *sk)
{
    const tcp_sock *tp = tcp_sk(sk);
    cubic *ca = ca_of(sk);
    ca->epoch_start = 0;
    // Fast convergence: a flow that loses before its former maximum leaves room for others (RFC 8312 §4.6).
    if (tp->snd_cwnd < ca->last_max)
        ca->last_max = tp->snd_cwnd * (1024 + BETA) / (2 * 1024);
    else
        ca->last_max = tp->snd_cwnd;
    return max(tp->snd_cwnd * BETA / 1024, 2u);
}

void cubic_cong_avoid(sock *sk, u32, u32 in_flight)
{
    tcp_sock *tp = tcp_sk(sk);
    if (!tcp_is_cwnd_limited(sk, in_flight))
        return;
    if (tp->snd_cwnd <= tp->snd_ssthresh) {
        tcp_slow_start(tp);
        return;
    }
    cubic *ca = ca_of(sk);
    update(ca, tp->snd_cwnd);
    tcp_cong_avoid_ai(tp, ca->cnt);
}

void cubic_set_state(sock *sk, u8 state)
{
    if (state == TCP_CA_Loss)
        reset(ca_of(sk));
}

u32 cubic_undo_cwnd(sock *sk)
{
    return max(tcp_sk(sk)->snd_cwnd, ca_of(sk)->last_max);
}

void cubic_acked(sock *sk, u32 cnt, s32 rtt_us)
{
    cubic *ca = ca_of(sk);
    if (inet_csk(sk)->icsk_ca_state == TCP_CA_Open) {
        u32 ratio = ca->delayed_ack;
        ratio = ratio - (ratio >> ACK_RATIO_SHIFT) + cnt;
        ca->delayed_ack = static_cast<u16>(min(ratio, 32u << ACK_RATIO_SHIFT));
    }
    if (rtt_us < 0)
        return;
    // Around a loss the queue is full: those samples say little.
    if (ca->epoch_start && tcp_time_stamp() - ca->epoch_start < TCP_HZ)
        return;
    u32 delay = max(static_cast<u32>(rtt_us / 1000) << 3, 1u);
    if (!ca->delay_min || ca->delay_min > delay)
        ca->delay_min = delay;
}
} // namespace

tcp_congestion_ops tcp_cubic{
    .name = "cubic",
    .non_restricted = true,
    .init = cubic_init,
    .release = nullptr,
    .ssthresh = cubic_ssthresh,
    .min_cwnd = nullptr,
    .cong_avoid = cubic_cong_avoid,
    .set_state = cubic_set_state,
    .cwnd_event = nullptr,
    .undo_cwnd = cubic_undo_cwnd,
    .pkts_acked = cubic_acked,
    .get_info = nullptr,
    .next = nullptr,
};

// SPDX-License-Identifier: MIT
// The receive side's estimates: peer's segment size, when to acknowledge, how much window to offer, how large the buffer is to be
// (Linux net/ipv4/tcp_input.c; RFC 1122 §4.2.3.2, RFC 7323; dynamic right-sizing). Socket lock held.

#include "net/ipv4/tcp_ecn.h"

// --- Quick ACKs and the size of what comes ---------------------------------------------------------------------------------------------

static void incr_quickack(sock *sk)
{
    inet_connection_sock *icsk = inet_csk(sk);
    u32 n = icsk->icsk_ack.rcv_mss ? tcp_sk(sk)->rcv_wnd / (2u * icsk->icsk_ack.rcv_mss) : 0;
    n = n ? n : 2;
    if (n > icsk->icsk_ack.quick)
        icsk->icsk_ack.quick = static_cast<u8>(min(n, TCP_MAX_QUICKACKS));
}

void tcp_enter_quickack_mode(sock *sk)
{
    incr_quickack(sk);
    inet_csk(sk)->icsk_ack.pingpong = 0;
    inet_csk(sk)->icsk_ack.ato = TCP_ATO_MIN;
}

void tcp_initialize_rcv_mss(sock *sk)
{
    const tcp_sock *tp = tcp_sk(sk);
    u32 hint = min(tp->advmss, tp->mss_cache);
    hint = min(hint, tp->rcv_wnd / 2);
    hint = min(hint, TCP_MSS_DEFAULT);
    inet_csk(sk)->icsk_ack.rcv_mss = static_cast<u16>(max(hint, TCP_MIN_MSS));
}

/// Largest segment seen; a smaller one counts only when it looks like the sender's full size (same size twice, no PSH).
static void measure_rcv_mss(sock *sk, const sk_buff *skb)
{
    auto &ack = inet_csk(sk)->icsk_ack;
    u16 last = ack.last_seg_size;
    ack.last_seg_size = 0;
    u32 len = skb_shinfo(skb)->gso_size ? skb_shinfo(skb)->gso_size : skb->len;
    if (len >= ack.rcv_mss) {
        ack.rcv_mss = static_cast<u16>(min(len, 65535u));
        return;
    }
    len += static_cast<u32>(skb->data - skb_transport_header(skb));
    const tcphdr *th = tcp_hdr(skb);
    bool remnant = th->fin || th->urg || th->syn || th->psh;
    if (len >= TCP_MSS_DEFAULT + sizeof(tcphdr) ||
        (len >= TCP_MIN_MSS + sizeof(tcphdr) && !remnant)) {
        len -= tcp_sk(sk)->tcp_header_len;
        ack.last_seg_size = static_cast<u16>(len);
        if (len == last) {
            ack.rcv_mss = static_cast<u16>(len);
            return;
        }
    }
    if (ack.pending & ICSK_ACK_PUSHED)
        ack.pending |= ICSK_ACK_PUSHED2;
    ack.pending |= ICSK_ACK_PUSHED;
}

// --- Window --------------------------------------------------------------------------------------------------------------------------------

/// How much the offered window may grow for a packet of `len` bytes in `truesize` bytes of memory, when that is worse than planned.
static u32 grow_by_ratio(const sock *sk, u32 len, s32 truesize)
{
    s32 ts = tcp_win_from_space(truesize) >> 1;
    s32 window = tcp_win_from_space(sysctl_tcp_rmem[2]) >> 1;
    while (static_cast<s32>(tcp_sk(sk)->rcv_ssthresh) <= window) {
        if (ts <= static_cast<s32>(len))
            return 2u * inet_csk(sk)->icsk_ack.rcv_mss;
        ts >>= 1;
        window >>= 1;
    }
    return 0;
}

static void grow_window(sock *sk, const sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    if (tp->rcv_ssthresh >= tp->window_clamp ||
        static_cast<s32>(tp->rcv_ssthresh) >= tcp_space(sk) ||
        tcp_memory_pressure.load(std::memory_order_relaxed))
        return;
    s32 truesize = static_cast<s32>(skb->truesize);
    u32 incr = tcp_win_from_space(truesize) <= static_cast<s32>(skb->len)
                   ? 2 * tp->advmss
                   : grow_by_ratio(sk, skb->len, truesize);
    if (!incr)
        return;
    incr = max(incr, 2 * skb->len);
    tp->rcv_ssthresh = min(tp->rcv_ssthresh + incr, tp->window_clamp);
    tp->icsk_ack.quick |= 1; // let the peer know soon
}

void tcp_init_buffer_space(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    if (!(sk->sk_userlocks & SOCK_RCVBUF_LOCK)) {
        u32 mss = tp->advmss;
        int want =
            static_cast<int>(2 * SKB_TRUESIZE(mss + MAX_TCP_HEADER) * tcp_default_init_rwnd(mss));
        if (sk->sk_rcvbuf < want)
            sk->sk_rcvbuf = min(want, sysctl_tcp_rmem[2]);
    }
    if (!(sk->sk_userlocks & SOCK_SNDBUF_LOCK)) {
        int want = static_cast<int>(
            SKB_TRUESIZE(max(u32{tp->rx_opt.mss_clamp}, tp->mss_cache) + MAX_TCP_HEADER) *
            TCP_INIT_CWND);
        if (sk->sk_sndbuf < want)
            sk->sk_sndbuf = min(want, sysctl_tcp_wmem[2]);
    }
    tp->rcvq_space.space = tp->rcv_wnd;
    u32 most = static_cast<u32>(tcp_full_space(sk));
    if (tp->window_clamp >= most) {
        tp->window_clamp = most;
        if (sysctl_tcp_app_win && most > 4 * tp->advmss)
            tp->window_clamp = max(most - (most >> sysctl_tcp_app_win), 4 * tp->advmss);
    }
    // One segment stays in reserve.
    if (sysctl_tcp_app_win && tp->window_clamp > 2 * tp->advmss &&
        tp->window_clamp + tp->advmss > most)
        tp->window_clamp = max(2 * tp->advmss, most - tp->advmss);
    tp->rcv_ssthresh = min(tp->rcv_ssthresh, tp->window_clamp);
    tp->snd_cwnd_stamp = tcp_time_stamp();
}

/// The buffer overflowed: offer less, and larger buffers if memory allows (Linux tcp_clamp_window).
void tcp_clamp_window(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    tp->icsk_ack.quick = 0;
    int rmem = sk->sk_rmem_alloc.load(std::memory_order_relaxed);
    if (sk->sk_rcvbuf < sysctl_tcp_rmem[2] && !(sk->sk_userlocks & SOCK_RCVBUF_LOCK) &&
        !tcp_memory_pressure.load(std::memory_order_relaxed) &&
        tcp_memory_allocated.load(std::memory_order_relaxed) < sysctl_tcp_mem[0])
        sk->sk_rcvbuf = min(rmem, sysctl_tcp_rmem[2]);
    if (rmem > sk->sk_rcvbuf)
        tp->rcv_ssthresh = min(tp->window_clamp, 2 * tp->advmss);
}

// --- Round-trip time as the receiver sees it, and buffer size by what the reader takes ---------------------------------------------------------

/// win_dep: the sample comes from a window's worth of data; it can be too long, so only the smallest counts.
static void rcv_rtt_update(tcp_sock *tp, u32 sample, bool win_dep)
{
    u32 m = max(sample, 1u), rtt = tp->rcv_rtt_est.rtt;
    if (!rtt)
        rtt = m << 3;
    else if (!win_dep)
        rtt = static_cast<u32>(static_cast<s32>(rtt) + static_cast<s32>(m - (rtt >> 3)));
    else if (m << 3 < rtt)
        rtt = m << 3;
    tp->rcv_rtt_est.rtt = rtt;
}

static void rcv_rtt_measure(tcp_sock *tp)
{
    if (tp->rcv_rtt_est.time) {
        if (before(tp->rcv_nxt, tp->rcv_rtt_est.seq))
            return;
        rcv_rtt_update(tp, tcp_time_stamp() - tp->rcv_rtt_est.time, true);
    }
    tp->rcv_rtt_est.seq = tp->rcv_nxt + tp->rcv_wnd;
    tp->rcv_rtt_est.time = tcp_time_stamp();
}

void tcp_rcv_rtt_measure_ts(sock *sk, const sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    if (tp->rx_opt.rcv_tsecr &&
        TCP_SKB_CB(skb)->end_seq - TCP_SKB_CB(skb)->seq >= tp->icsk_ack.rcv_mss)
        rcv_rtt_update(tp, tcp_time_stamp() - tp->rx_opt.rcv_tsecr, false);
}

/// Bytes of memory that `space` bytes of payload in full segments take.
static s32 memory_for(const tcp_sock *tp, u32 space)
{
    u32 segs = max(space / max(tp->advmss, 1u), 1u);
    s32 per = static_cast<s32>(SKB_TRUESIZE(tp->advmss + MAX_TCP_HEADER));
    while (tcp_win_from_space(per) < static_cast<s32>(tp->advmss))
        per += 128;
    u64 all = u64{segs} * static_cast<u64>(per);
    return static_cast<s32>(min(all, static_cast<u64>(sysctl_tcp_rmem[2])));
}

void tcp_rcv_space_adjust(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 now = tcp_time_stamp();
    if (tp->rcvq_space.time) {
        if (now - tp->rcvq_space.time < tp->rcv_rtt_est.rtt >> 3 || !tp->rcv_rtt_est.rtt)
            return; // not yet a round trip
        // Twice what the reader took in it: cwnd may double in the next.
        u32 space = max(tp->rcvq_space.space, 2 * (tp->copied_seq - tp->rcvq_space.seq));
        if (tp->rcvq_space.space != space) {
            tp->rcvq_space.space = space;
            if (sysctl_tcp_moderate_rcvbuf && !(sk->sk_userlocks & SOCK_RCVBUF_LOCK)) {
                s32 mem = memory_for(tp, space);
                if (mem > sk->sk_rcvbuf) {
                    sk->sk_rcvbuf = mem;
                    tp->window_clamp = space;
                }
            }
        }
    }
    tp->rcvq_space.seq = tp->copied_seq;
    tp->rcvq_space.time = now;
}

// --- ACK policy ---------------------------------------------------------------------------------------------------------------------------------

void tcp_event_data_recv(sock *sk, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    auto &ack = tp->icsk_ack;
    inet_csk_schedule_ack(sk);
    measure_rcv_mss(sk, skb);
    rcv_rtt_measure(tp);
    u32 now = tcp_time_stamp();
    if (!ack.ato) { // first data of the connection: the peer is in slow start
        incr_quickack(sk);
        ack.ato = TCP_ATO_MIN;
    } else {
        u32 m = now - ack.lrcvtime;
        if (m <= TCP_ATO_MIN / 2) {
            ack.ato = (ack.ato >> 1) + TCP_ATO_MIN / 2;
        } else if (m < ack.ato) {
            ack.ato = min((ack.ato >> 1) + m, tp->icsk_rto);
        } else if (m > tp->icsk_rto) {
            // Too long a gap: the sender restarts, and so do we.
            incr_quickack(sk);
            sk_mem_reclaim(sk);
        }
    }
    ack.lrcvtime = now;
    tcp_ecn_check_ce(sk, skb);
    if (skb->len >= 128)
        grow_window(sk, skb);
}

void __tcp_ack_snd_check(sock *sk, bool ofo_possible)
{
    tcp_sock *tp = tcp_sk(sk);
    const auto &ack = tp->icsk_ack;
    bool now =
        (tp->rcv_nxt - tp->rcv_wup > ack.rcv_mss && __tcp_select_window(sk) >= tp->rcv_wnd) ||
        (ack.quick && !ack.pingpong) || (ofo_possible && !tp->out_of_order_queue.empty());
    if (now)
        tcp_send_ack(sk);
    else
        tcp_send_delayed_ack(sk);
}

void tcp_ack_snd_check(sock *sk)
{
    if (inet_csk_ack_scheduled(sk)) // else the ACK has gone with data
        __tcp_ack_snd_check(sk, true);
}

// --- The other direction: room for the writer ---------------------------------------------------------------------------------------------------------

/// The send buffer follows cwnd: twice what can be in flight.
static void new_space(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    bool expand = !(sk->sk_userlocks & SOCK_SNDBUF_LOCK) &&
                  !tcp_memory_pressure.load(std::memory_order_relaxed) &&
                  tcp_memory_allocated.load(std::memory_order_relaxed) < sysctl_tcp_mem[0] &&
                  tp->packets_out < tp->snd_cwnd;
    if (expand) {
        u32 per = SKB_TRUESIZE(max(u32{tp->rx_opt.mss_clamp}, tp->mss_cache) + MAX_TCP_HEADER);
        u32 segs = max(max(TCP_INIT_CWND, tp->snd_cwnd), tp->reordering + 1);
        u64 want = u64{per} * 2 * segs;
        if (want > static_cast<u64>(sk->sk_sndbuf))
            sk->sk_sndbuf = static_cast<int>(min(want, static_cast<u64>(sysctl_tcp_wmem[2])));
        tp->snd_cwnd_stamp = tcp_time_stamp();
    }
    sk->sk_write_space(sk);
}

void tcp_check_space(sock *sk)
{
    if (sk->sk_socket && (sk->sk_socket->flags.load(std::memory_order_relaxed) & SOCK_NOSPACE))
        new_space(sk);
}

void tcp_data_snd_check(sock *sk)
{
    tcp_push_pending_frames(sk);
    tcp_check_space(sk);
}

void tcp_init_metrics(sock *sk)
{
    // No metrics cache (as with tcp_no_metrics_save): each connection starts fresh. Without a sample, because the SYN had to be
    // repeated and there are no timestamps, the RTO is 3 s (RFC 6298 §5.7).
    tcp_sock *tp = tcp_sk(sk);
    if (!tp->srtt) {
        tp->mdev = tp->mdev_max = tp->rttvar = 3 * TCP_HZ;
        tp->icsk_rto = 3 * TCP_HZ;
    }
    // A handshake that needed retransmission starts with one segment (RFC 5681 §3.1).
    if (tp->total_retrans > 1)
        tp->snd_cwnd = 1;
    else
        tp->snd_cwnd = tcp_init_cwnd();
    tp->snd_cwnd_stamp = tcp_time_stamp();
}

// SPDX-License-Identifier: MIT
// One segment out: options, header, window, checksum, to IP (Linux net/ipv4/tcp_output.c tcp_transmit_skb; atlas §11.2). What to
// send and when is decided in tcp_output_xmit.cc, tcp_output_rtx.cc, tcp_output_conn.cc. Socket lock held; process or softirq.
//
// Data stays on sk_write_queue until it is acknowledged; what goes down is a clone that shares it, with the header in front of the
// shared bytes. While an earlier clone still lives somewhere below, the header area is not ours: then the header part is copied.

#include "net/ipv4/tcp_ecn.h"
#include "trace/trace.h"

// --- Options (RFC 9293 §3.2, RFC 7323, RFC 2018) ---------------------------------------------------------------------------------

namespace
{
struct out_options {
    u16 mss = 0; // 0: none
    u8 ws = 0;   // window scale shift
    bool wscale = false, sack_perm = false, ts = false;
    u8 num_sack = 0;
    u32 tsval = 0, tsecr = 0;
};

be32 word(u8 a, u8 b, u8 c, u8 d)
{
    return htonl(u32{a} << 24 | u32{b} << 16 | u32{c} << 8 | d);
}

/// SYN of an active open. Returns the options' length.
u32 syn_options(sock *sk, out_options &o, u32 when)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 n = 4;
    if (const dst_entry *d = sk->sk_dst_cache)
        tp->advmss = min(tp->advmss, tcp_dst_advmss(d));
    o.mss = static_cast<u16>(tp->advmss);
    if (sysctl_tcp_timestamps) {
        o.ts = true;
        o.tsval = when;
        o.tsecr = tp->rx_opt.ts_recent;
        n += TCPOLEN_TSTAMP_ALIGNED;
    }
    if (sysctl_tcp_window_scaling) {
        o.wscale = true;
        o.ws = tp->rx_opt.rcv_wscale;
        n += 4;
    }
    if (sysctl_tcp_sack) {
        o.sack_perm = true;
        if (!o.ts)
            n += 4;
    }
    return n;
}

/// Segments of an established connection.
u32 established_options(const tcp_sock *tp, out_options &o, u32 when)
{
    u32 n = 0;
    if (tp->rx_opt.tstamp_ok) {
        o.ts = true;
        o.tsval = when;
        o.tsecr = tp->rx_opt.ts_recent;
        n = TCPOLEN_TSTAMP_ALIGNED;
    }
    u32 sacks = u32{tp->rx_opt.num_sacks} + tp->rx_opt.dsack;
    if (unlikely(sacks)) {
        sacks = min(sacks,
                    (MAX_TCP_OPTION_SPACE - n - TCPOLEN_SACK_BASE_ALIGNED) / TCPOLEN_SACK_PERBLOCK);
        o.num_sack = static_cast<u8>(sacks);
        n += TCPOLEN_SACK_BASE_ALIGNED + sacks * TCPOLEN_SACK_PERBLOCK;
    }
    return n;
}

/// Write them behind the header, in 3.10's order. tp: for SACK blocks, may be null.
void write_options(be32 *p, const out_options &o, tcp_sock *tp)
{
    if (unlikely(o.mss))
        *p++ = htonl(u32{TCPOPT_MSS} << 24 | 4u << 16 | o.mss);
    if (likely(o.ts)) {
        *p++ = o.sack_perm ? word(TCPOPT_SACK_PERM, 2, TCPOPT_TIMESTAMP, 10)
                           : word(TCPOPT_NOP, TCPOPT_NOP, TCPOPT_TIMESTAMP, 10);
        *p++ = htonl(o.tsval);
        *p++ = htonl(o.tsecr);
    } else if (unlikely(o.sack_perm)) {
        *p++ = word(TCPOPT_NOP, TCPOPT_NOP, TCPOPT_SACK_PERM, 2);
    }
    if (unlikely(o.wscale))
        *p++ = word(TCPOPT_NOP, TCPOPT_WINDOW, 3, o.ws);
    if (unlikely(o.num_sack)) {
        *p++ = word(TCPOPT_NOP, TCPOPT_NOP, TCPOPT_SACK,
                    static_cast<u8>(2 + o.num_sack * TCPOLEN_SACK_PERBLOCK));
        unsigned left = o.num_sack;
        auto put = [&](const tcp_sack_block &b) {
            *p++ = htonl(b.start_seq);
            *p++ = htonl(b.end_seq);
        };
        if (tp->rx_opt.dsack) {
            put(tp->duplicate_sack[0]);
            left--;
        }
        for (unsigned i = 0; i < left; i++)
            put(tp->selective_acks[i]);
        tp->rx_opt.dsack = 0;
    }
}

void write_ports(tcphdr *th, const inet_sock *inet, u32 seq, u32 ack)
{
    th->source = inet->inet_sport;
    th->dest = inet->inet_dport;
    th->seq = htonl(seq);
    th->ack_seq = htonl(ack);
}

/// Bytes 12 and 13: offset and flags.
void write_flags(tcphdr *th, u32 header_len, u8 flags)
{
    u8 *b = reinterpret_cast<u8 *>(th) + 12;
    b[0] = static_cast<u8>(header_len << 2);
    b[1] = flags;
}
} // namespace

u32 tcp_established_header_len(const tcp_sock *tp)
{
    out_options o;
    return static_cast<u32>(sizeof(tcphdr)) + established_options(tp, o, 0);
}

// --- Window (RFC 9293 §3.8.6.2; RFC 1122 §4.2.3.3) --------------------------------------------------------------------------------

u32 __tcp_select_window(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    s32 mss = tp->icsk_ack.rcv_mss;
    s32 free_space = tcp_space(sk);
    s32 full = min(static_cast<s32>(tp->window_clamp), tcp_full_space(sk));
    if (mss > full)
        mss = full;
    if (free_space < full >> 1) {
        tp->icsk_ack.quick = 0;
        if (tcp_memory_pressure.load(std::memory_order_relaxed))
            tp->rcv_ssthresh = min(tp->rcv_ssthresh, 4u * tp->advmss);
        if (free_space < mss)
            return 0; // receiver's silly window avoidance: less than a segment is nothing
    }
    if (free_space > static_cast<s32>(tp->rcv_ssthresh))
        free_space = static_cast<s32>(tp->rcv_ssthresh);
    if (tp->rx_opt.rcv_wscale) // rounded up: scaling must not lose the last bytes
        return align_up(static_cast<u32>(free_space), 1u << tp->rx_opt.rcv_wscale);
    // Unscaled: multiples of the segment size, and not changed for less than one.
    s32 window = static_cast<s32>(tp->rcv_wnd);
    if (window <= free_space - mss || window > free_space)
        return static_cast<u32>(mss > 0 ? free_space / mss * mss : 0);
    if (mss == full && free_space > window + (full >> 1))
        return static_cast<u32>(free_space);
    return static_cast<u32>(window);
}

u16 tcp_select_window(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 cur = tcp_receive_window(tp), win = __tcp_select_window(sk);
    if (win < cur) // never shrink what was offered (RFC 9293 §3.8.6)
        win = align_up(cur, 1u << tp->rx_opt.rcv_wscale);
    tp->rcv_wnd = win;
    tp->rcv_wup = tp->rcv_nxt;
    if (!tp->rx_opt.rcv_wscale && sysctl_tcp_workaround_signed_windows)
        win = min(win, MAX_TCP_WINDOW);
    else
        win = min(win, 65535u << tp->rx_opt.rcv_wscale);
    win >>= tp->rx_opt.rcv_wscale;
    if (!win)
        tp->pred_flags = 0;
    return static_cast<u16>(win);
}

void tcp_select_initial_window(u32 space_in, u32 mss, u32 *rcv_wnd, u32 *window_clamp,
                               bool wscale_ok, u8 *rcv_wscale, u32 init_rcv_wnd)
{
    if (*window_clamp == 0)
        *window_clamp = 65535u << TCP_MAX_WSCALE;
    u32 space = min(*window_clamp, static_cast<s32>(space_in) < 0 ? 0u : space_in);
    if (mss && space > mss)
        space = space / mss * mss;
    *rcv_wnd = sysctl_tcp_workaround_signed_windows ? min(space, MAX_TCP_WINDOW) : space;
    *rcv_wscale = 0;
    if (wscale_ok) {
        // Room for what auto-tuning may make of the buffer later.
        space = static_cast<u32>(max(sysctl_tcp_rmem[2], sysctl_rmem_max));
        for (space = min(space, *window_clamp); space > 65535 && *rcv_wscale < TCP_MAX_WSCALE;
             space >>= 1)
            ++*rcv_wscale;
    }
    if (mss > (1u << *rcv_wscale)) {
        if (!init_rcv_wnd)
            init_rcv_wnd = tcp_default_init_rwnd(mss);
        *rcv_wnd = min(*rcv_wnd, init_rcv_wnd * mss);
    }
    *window_clamp = min(65535u << *rcv_wscale, *window_clamp);
}

// --- Transmission -----------------------------------------------------------------------------------------------------------------

/// Cwnd after an idle time (RFC 5681 §4.1): halved for each RTO, not below the restart window.
void tcp_cwnd_restart(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    s32 idle = static_cast<s32>(tcp_time_stamp() - tp->lsndtime);
    u32 restart = min(tcp_init_cwnd(), tp->snd_cwnd), cwnd = tp->snd_cwnd;
    tcp_cwnd_event(sk, CA_EVENT_CWND_RESTART);
    tp->snd_ssthresh = tcp_current_ssthresh(sk);
    while ((idle -= static_cast<s32>(tp->icsk_rto)) > 0 && cwnd > restart)
        cwnd >>= 1;
    tp->snd_cwnd = max(cwnd, restart);
    tp->snd_cwnd_stamp = tcp_time_stamp();
    tp->snd_cwnd_used = 0;
}

static void event_data_sent(sock *sk, u32 now)
{
    tcp_sock *tp = tcp_sk(sk);
    if (sysctl_tcp_slow_start_after_idle && !tp->packets_out && now - tp->lsndtime > tp->icsk_rto)
        tcp_cwnd_restart(sk);
    tp->lsndtime = now;
    // An answer soon after a question: the connection talks in turns, ACKs may ride on data.
    if (now - tp->icsk_ack.lrcvtime < tp->icsk_ack.ato)
        tp->icsk_ack.pingpong = 1;
}

static void event_ack_sent(sock *sk, u32 pkts)
{
    tcp_sock *tp = tcp_sk(sk);
    if (tp->icsk_ack.quick) {
        if (pkts >= tp->icsk_ack.quick) {
            tp->icsk_ack.quick = 0;
            tp->icsk_ack.ato = TCP_ATO_MIN; // leaving quick ACK mode, deflate
        } else {
            tp->icsk_ack.quick = static_cast<u8>(tp->icsk_ack.quick - pkts);
        }
    }
    inet_csk_clear_xmit_timer(sk, ICSK_TIME_DACK);
}

/// Urgent pointer of this segment, if it reaches that far (RFC 9293 §3.8.5: points behind the urgent byte here).
static void write_urgent(const tcp_sock *tp, const tcp_skb_cb *tcb, tcphdr *th)
{
    if (before(tp->snd_up, tcb->seq + 0x10000)) {
        th->urg_ptr = htons(static_cast<u16>(tp->snd_up - tcb->seq));
        th->urg = 1;
    } else if (after(tcb->seq + 0xffff, tp->snd_nxt)) {
        th->urg_ptr = htons(0xffff);
        th->urg = 1;
    }
}

/// Build the header in front of skb. Returns its length.
static u32 build_header(sock *sk, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    const tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    out_options o;
    u32 n = static_cast<u32>(sizeof(tcphdr));
    bool syn = tcb->tcp_flags & TCPHDR_SYN;
    n += syn ? syn_options(sk, o, tcb->when) : established_options(tp, o, tcb->when);
    auto *th = reinterpret_cast<tcphdr *>(skb_push(skb, n));
    skb_reset_transport_header(skb);
    write_ports(th, tp, tcb->seq, tp->rcv_nxt);
    write_flags(th, n, tcb->tcp_flags);
    // The window of a SYN is never scaled (RFC 7323 §2.2).
    th->window = htons(syn ? static_cast<u16>(min(tp->rcv_wnd, 65535u)) : tcp_select_window(sk));
    th->check = be16{};
    th->urg_ptr = be16{};
    if (unlikely(tcp_urg_mode(tp) && before(tcb->seq, tp->snd_up)))
        write_urgent(tp, tcb, th);
    write_options(reinterpret_cast<be32 *>(th + 1), o, tp);
    if (likely(!syn))
        tcp_ecn_send(tp, skb, n);
    return n;
}

int tcp_transmit_skb(sock *sk, sk_buff *skb, bool clone_it, gfp flags)
{
    tcp_sock *tp = tcp_sk(sk);
    if (likely(clone_it)) {
        skb = unlikely(skb_cloned(skb)) ? pskb_copy(skb, flags) : skb_clone(skb, flags);
        if (unlikely(!skb))
            return -ENOBUFS;
    }
    const tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    u32 end_seq = tcb->end_seq, seq = tcb->seq, pcount = tcp_skb_pcount(skb);
    bool ack = tcb->tcp_flags & TCPHDR_ACK;
    if (!tcp_packets_in_flight(tp))
        tcp_cwnd_event(sk, CA_EVENT_TX_START);
    u32 header = build_header(sk, skb);
    skb_orphan(skb);
    skb->sk = sk;
    skb->destructor = tcp_wfree;
    sk->sk_wmem_alloc.fetch_add(static_cast<int>(skb->truesize), std::memory_order_relaxed);
    tcp_v4_send_check(sk, skb);
    if (likely(ack))
        event_ack_sent(sk, pcount);
    if (skb->len != header)
        event_data_sent(sk, tcp_time_stamp());
    if (after(end_seq, tp->snd_nxt) || seq == end_seq)
        TCP_ADD_STATS(TCP_MIB_OutSegs, pcount);
    tp->segs_out += pcount;
    trace(trace_event::tcp_transmit_skb, skb->trace_id, sk, seq, end_seq - seq, tp->rcv_nxt);
    int err = ip_queue_xmit(sk, skb);
    if (likely(err <= 0))
        return err;
    tcp_enter_cwr(sk,
                  true); // the queue below is full: that is congestion (RFC 3168's reading of it)
    return err == NET_XMIT_CN ? 0 : err;
}

void tcp_init_nondata_skb(sk_buff *skb, u32 seq, u8 flags)
{
    skb->ip_summed = CHECKSUM_PARTIAL;
    skb->csum = 0;
    tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    memset(tcb, 0, sizeof(*tcb));
    tcb->tcp_flags = flags;
    tcb->seq = seq;
    tcb->end_seq = seq + ((flags & (TCPHDR_SYN | TCPHDR_FIN)) ? 1 : 0);
}

u32 tcp_acceptable_seq(const tcp_sock *tp)
{
    // The peer may have shrunk its window: what we send must be inside it to be looked at.
    return before(tcp_wnd_end(tp), tp->snd_nxt) ? tcp_wnd_end(tp) : tp->snd_nxt;
}

// --- ACKs -------------------------------------------------------------------------------------------------------------------------

void tcp_send_ack(sock *sk)
{
    if (sk->sk_state == TCP_CLOSE)
        return;
    sk_buff *skb = alloc_skb(MAX_TCP_HEADER, GFP_ATOMIC);
    if (unlikely(!skb)) {
        inet_csk_schedule_ack(sk);
        tcp_sk(sk)->icsk_ack.ato = TCP_ATO_MIN;
        inet_csk_reset_xmit_timer(sk, ICSK_TIME_DACK, TCP_DELACK_MAX, TCP_RTO_MAX);
        return;
    }
    skb_reserve(skb, MAX_TCP_HEADER);
    tcp_init_nondata_skb(skb, tcp_acceptable_seq(tcp_sk(sk)), TCPHDR_ACK);
    TCP_SKB_CB(skb)->when = tcp_time_stamp();
    tcp_transmit_skb(sk, skb, false, GFP_ATOMIC);
}

void tcp_send_delayed_ack(sock *sk)
{
    inet_connection_sock *icsk = inet_csk(sk);
    u32 ato = icsk->icsk_ack.ato;
    if (ato > TCP_DELACK_MIN) {
        u32 most = TCP_HZ / 2;
        if (icsk->icsk_ack.pingpong || (icsk->icsk_ack.pending & ICSK_ACK_PUSHED))
            most = TCP_DELACK_MAX;
        // Not longer than a round trip: the sender's own timer must not run out first.
        if (u32 srtt = tcp_sk(sk)->srtt)
            most = min(most, max(srtt >> 3, TCP_DELACK_MIN));
        ato = min(ato, most);
    }
    u64 now = jiffies(), timeout = now + ato;
    if (icsk->icsk_ack.pending & ICSK_ACK_TIMER) {
        // Blocked before, or nearly due: now.
        if (icsk->icsk_ack.blocked || !time_after(icsk->icsk_ack.timeout, now + (ato >> 2))) {
            tcp_send_ack(sk);
            return;
        }
        if (!time_after(icsk->icsk_ack.timeout, timeout))
            timeout = icsk->icsk_ack.timeout;
    }
    icsk->icsk_ack.pending |= ICSK_ACK_SCHED;
    inet_csk_reset_xmit_timer(sk, ICSK_TIME_DACK, static_cast<u32>(timeout - now), TCP_RTO_MAX);
}

// --- The SYN-ACK of a half-open connection -----------------------------------------------------------------------------------------

/// MSS, scale, timestamp and SACK as the SYN offered and we allow. Returns the options' length.
static u32 synack_options(const inet_request_sock *ireq, out_options &o, u32 mss, u32 when)
{
    u32 n = 4;
    o.mss = static_cast<u16>(mss);
    if (ireq->wscale_ok) {
        o.wscale = true;
        o.ws = ireq->rcv_wscale;
        n += 4;
    }
    if (ireq->tstamp_ok) {
        o.ts = true;
        o.tsval = when;
        o.tsecr = ireq->ts_recent;
        n += TCPOLEN_TSTAMP_ALIGNED;
    }
    if (ireq->sack_ok) {
        o.sack_perm = true;
        if (!o.ts)
            n += 4;
    }
    return n;
}

sk_buff *tcp_make_synack(sock *sk, rtable *rt, request_sock *req)
{
    inet_request_sock *ireq = tcp_rsk(req);
    sk_buff *skb = alloc_skb(MAX_TCP_HEADER, GFP_ATOMIC);
    if (unlikely(!skb))
        return nullptr;
    skb_reserve(skb, MAX_TCP_HEADER);
    skb_dst_set(skb, dst_hold(rt));
    u32 mss = tcp_dst_advmss(rt);
    if (u32 user = tcp_sk(sk)->rx_opt.user_mss; user && user < mss)
        mss = user;
    if (req->rcv_wnd == 0) { // the first one: later ones offer the same
        u8 wscale = 0;
        u32 space = static_cast<u32>(tcp_full_space(sk));
        req->window_clamp = tcp_sk(sk)->window_clamp;
        if ((sk->sk_userlocks & SOCK_RCVBUF_LOCK) &&
            (req->window_clamp > space || req->window_clamp == 0))
            req->window_clamp = space;
        tcp_select_initial_window(space, mss - (ireq->tstamp_ok ? TCPOLEN_TSTAMP_ALIGNED : 0),
                                  &req->rcv_wnd, &req->window_clamp, ireq->wscale_ok, &wscale, 0);
        ireq->rcv_wscale = wscale & 15;
    }
    u32 when = tcp_time_stamp();
    if (req->cookie_ts)
        when = cookie_init_timestamp(req);
    out_options o;
    u32 n = static_cast<u32>(sizeof(tcphdr)) + synack_options(ireq, o, mss, when);
    auto *th = reinterpret_cast<tcphdr *>(skb_push(skb, n));
    skb_reset_transport_header(skb);
    th->source = ireq->loc_port;
    th->dest = ireq->rmt_port;
    th->seq = htonl(ireq->snt_isn);
    th->ack_seq = htonl(ireq->rcv_nxt);
    write_flags(th, n, TCPHDR_SYN | TCPHDR_ACK | (ireq->ecn_ok ? TCPHDR_ECE : 0));
    th->window = htons(static_cast<u16>(min(req->rcv_wnd, 65535u)));
    th->check = be16{};
    th->urg_ptr = be16{};
    write_options(reinterpret_cast<be32 *>(th + 1), o, nullptr);
    skb->ip_summed = CHECKSUM_PARTIAL;
    tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    tcb->seq = ireq->snt_isn;
    tcb->end_seq = ireq->snt_isn + 1;
    tcb->when = when;
    TCP_INC_STATS(TCP_MIB_OutSegs);
    return skb;
}

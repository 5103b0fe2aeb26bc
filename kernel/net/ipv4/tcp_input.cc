// SPDX-License-Identifier: MIT
// A segment of an established connection: the predicted fast path, and the checks before the slow one (Linux
// net/ipv4/tcp_input.c tcp_rcv_established, tcp_validate_incoming; atlas §8; RFC 9293 §3.10.7.4, RFC 5961, RFC 7323 §5). Socket
// lock held: softirq, or the owner's backlog and prequeue in process context with BHs off.

#include "net/ipv4/tcp_engine.h"
#include "trace/trace.h"

// --- Options ---------------------------------------------------------------------------------------------------------------------

/// Where a SACK option starts, from the TCP header; kept in the control block for tcp_sacktag_write_queue().
static void note_sack(const sk_buff *skb, const u8 *opt)
{
    // The control block is scratch memory of whoever has the packet, const or not.
    TCP_SKB_CB(const_cast<sk_buff *>(skb))->sacked =
        static_cast<u8>(opt - reinterpret_cast<const u8 *>(tcp_hdr(skb)));
}

static u32 get32(const u8 *p)
{
    u32 v;
    memcpy(&v, p, 4);
    return bswap32(v);
}

/// One option of `len` bytes at p (kind and length included).
static void parse_option(const sk_buff *skb, const u8 *p, u32 len, tcp_options_received *rx,
                         bool estab)
{
    bool syn = tcp_hdr(skb)->syn && !estab;
    switch (p[0]) {
    case TCPOPT_MSS:
        if (len == 4 && syn) {
            u16 mss = static_cast<u16>(p[2] << 8 | p[3]);
            if (mss) {
                if (rx->user_mss && rx->user_mss < mss)
                    mss = rx->user_mss;
                rx->mss_clamp = mss;
            }
        }
        break;
    case TCPOPT_WINDOW:
        if (len == 3 && syn && sysctl_tcp_window_scaling) {
            rx->wscale_ok = 1;
            rx->snd_wscale = min(p[2], u8{TCP_MAX_WSCALE}) & 15;
        }
        break;
    case TCPOPT_TIMESTAMP:
        if (len == 10 && ((estab && rx->tstamp_ok) || (!estab && sysctl_tcp_timestamps))) {
            rx->saw_tstamp = 1;
            rx->rcv_tsval = get32(p + 2);
            rx->rcv_tsecr = get32(p + 6);
        }
        break;
    case TCPOPT_SACK_PERM:
        if (len == 2 && syn && sysctl_tcp_sack) {
            rx->sack_ok = TCP_SACK_SEEN;
            rx->dsack = 0;
            rx->num_sacks = 0;
        }
        break;
    case TCPOPT_SACK:
        if (len >= 10 && (len - 2) % 8 == 0 && rx->sack_ok)
            note_sack(skb, p);
        break;
    default:
        break;
    }
}

void tcp_parse_options(const sk_buff *skb, tcp_options_received *rx, bool estab)
{
    const tcphdr *th = tcp_hdr(skb);
    const u8 *p = reinterpret_cast<const u8 *>(th + 1);
    u32 left = th->doff * 4u - static_cast<u32>(sizeof(tcphdr));
    rx->saw_tstamp = 0;
    while (left) {
        if (*p == TCPOPT_EOL)
            return;
        if (*p == TCPOPT_NOP) {
            p++;
            left--;
            continue;
        }
        if (left < 2 || p[1] < 2 || p[1] > left)
            return; // ill-formed: what came before counts
        u32 len = p[1];
        parse_option(skb, p, len, rx, estab);
        p += len;
        left -= len;
    }
}

/// The timestamp option in the form that everybody sends: two NOPs in front, nothing else.
static bool parse_aligned_timestamp(tcp_sock *tp, const tcphdr *th)
{
    const u8 *p = reinterpret_cast<const u8 *>(th + 1);
    if (get32(p) !=
        (u32{TCPOPT_NOP} << 24 | u32{TCPOPT_NOP} << 16 | u32{TCPOPT_TIMESTAMP} << 8 | 10))
        return false;
    tp->rx_opt.saw_tstamp = 1;
    tp->rx_opt.rcv_tsval = get32(p + 4);
    tp->rx_opt.rcv_tsecr = get32(p + 8);
    return true;
}

/// Options of a segment for which the fast path is not sure. True: there may be something in rx_opt.
static bool fast_parse_options(const sk_buff *skb, const tcphdr *th, tcp_sock *tp)
{
    if (th->doff == sizeof(tcphdr) / 4) {
        tp->rx_opt.saw_tstamp = 0;
        return false;
    }
    if (tp->rx_opt.tstamp_ok && th->doff == (sizeof(tcphdr) + TCPOLEN_TSTAMP_ALIGNED) / 4 &&
        parse_aligned_timestamp(tp, th))
        return true;
    tcp_parse_options(skb, &tp->rx_opt, true);
    return true;
}

// --- PAWS (RFC 7323 §5) ------------------------------------------------------------------------------------------------------------

static bool paws_check(const tcp_options_received *rx, s32 window)
{
    if (static_cast<s32>(rx->ts_recent - rx->rcv_tsval) <= window)
        return true;
    if (ktime_get() / NSEC_PER_SEC >= rx->ts_recent_stamp + TCP_PAWS_24DAYS)
        return true;
    return !rx->ts_recent; // some peers send 0 in the SYN
}

/// A pure ACK that only overtook others on the way: same ACK, no window change, recent enough.
static bool disordered_ack(const sock *sk, const sk_buff *skb)
{
    const tcp_sock *tp = tcp_sk(sk);
    const tcphdr *th = tcp_hdr(skb);
    const tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    u32 nwin = u32{ntohs(th->window)} << tp->rx_opt.snd_wscale;
    bool updates = after(tcb->ack_seq, tp->snd_una) || after(tcb->seq, tp->snd_wl1) ||
                   (tcb->seq == tp->snd_wl1 && nwin > tp->snd_wnd);
    return th->ack && tcb->seq == tcb->end_seq && tcb->seq == tp->rcv_nxt &&
           tcb->ack_seq == tp->snd_una && !updates &&
           static_cast<s32>(tp->rx_opt.ts_recent - tp->rx_opt.rcv_tsval) <=
               static_cast<s32>(tp->icsk_rto * 1024 / TCP_HZ);
}

static bool paws_discard(const sock *sk, const sk_buff *skb)
{
    return !paws_check(&tcp_sk(sk)->rx_opt, 0) && !disordered_ack(sk, skb);
}

static void store_ts_recent(tcp_sock *tp)
{
    tp->rx_opt.ts_recent = tp->rx_opt.rcv_tsval;
    tp->rx_opt.ts_recent_stamp = ktime_get() / NSEC_PER_SEC;
}

// --- Acceptability (RFC 9293 §3.10.7.4, RFC 5961) --------------------------------------------------------------------------------------

/// Any part of it is in the window.
static bool sequence_ok(const tcp_sock *tp, u32 seq, u32 end_seq)
{
    return !before(end_seq, tp->rcv_wup) && !after(seq, tp->rcv_nxt + tcp_receive_window(tp));
}

void tcp_send_challenge_ack(sock *sk)
{
    // At most so many a second over all connections: an attacker must not make us a source of ACKs (RFC 5961 §7).
    static std::atomic<u64> second;
    static std::atomic<int> sent;
    u64 now = ktime_get() / NSEC_PER_SEC;
    if (second.load(std::memory_order_relaxed) != now) {
        second.store(now, std::memory_order_relaxed);
        sent.store(0, std::memory_order_relaxed);
    }
    if (sent.fetch_add(1, std::memory_order_relaxed) < sysctl_tcp_challenge_ack_limit) {
        NET_INC_STATS(LINUX_MIB_TCPChallengeACK);
        tcp_send_ack(sk);
    }
}

void tcp_reset(sock *sk)
{
    switch (sk->sk_state) {
    case TCP_SYN_SENT:
        sk->sk_err = ECONNREFUSED;
        break;
    case TCP_CLOSE_WAIT:
        sk->sk_err = EPIPE;
        break;
    case TCP_CLOSE:
        return;
    default:
        sk->sk_err = ECONNRESET;
        break;
    }
    smp_mb(); // the error is there before anybody is told
    if (!sock_flag(sk, SOCK_DEAD))
        sk->sk_error_report(sk);
    tcp_done(sk);
}

/// Whether the segment is to be processed further. False: consumed (answered, counted, freed).
bool tcp_validate_incoming(sock *sk, sk_buff *skb, const tcphdr *th, bool syn_inerr)
{
    tcp_sock *tp = tcp_sk(sk);
    const tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    bool ok = true;
    if (fast_parse_options(skb, th, tp) && tp->rx_opt.saw_tstamp && paws_discard(sk, skb) &&
        !th->rst) {
        NET_INC_STATS(LINUX_MIB_PAWSEstab);
        tcp_send_dupack(sk, skb);
        ok = false;
    } else if (!sequence_ok(tp, tcb->seq, tcb->end_seq)) {
        // RFC 9293: an unacceptable segment is answered with an ACK, an unacceptable RST with nothing.
        if (!th->rst) {
            if (th->syn) {
                if (syn_inerr)
                    TCP_INC_STATS(TCP_MIB_InErrs);
                NET_INC_STATS(LINUX_MIB_TCPSYNChallenge);
                tcp_send_challenge_ack(sk);
            } else {
                tcp_send_dupack(sk, skb);
            }
        }
        ok = false;
    } else if (th->rst) {
        // Only the exact next number ends the connection; others in the window may be guesses.
        if (tcb->seq == tp->rcv_nxt)
            tcp_reset(sk);
        else
            tcp_send_challenge_ack(sk);
        ok = false;
    } else if (th->syn) {
        if (syn_inerr)
            TCP_INC_STATS(TCP_MIB_InErrs);
        NET_INC_STATS(LINUX_MIB_TCPSYNChallenge);
        tcp_send_challenge_ack(sk);
        ok = false;
    }
    if (!ok)
        kfree_skb(skb);
    return ok;
}

// --- The fast path ------------------------------------------------------------------------------------------------------------------

/// Straight into the buffer of the reader who runs this: backlog or prequeue in process context. True: copied.
static bool copy_to_reader(sock *sk, sk_buff *skb, u32 hlen)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 chunk = skb->len - hlen;
    if (tp->ucopy.task != current() || tp->copied_seq != tp->rcv_nxt || chunk > tp->ucopy.len ||
        !sock_owned_by_user(sk))
        return false;
    if (tcp_checksum_wrong(skb)) // before a byte moves: the iterator cannot go back
        return false;
    local_bh_enable(); // user memory may fault
    bool done = bool(skb_copy_datagram_iter(skb, hlen, *tp->ucopy.iter, chunk));
    local_bh_disable();
    if (!done)
        return false;
    tp->ucopy.len -= chunk;
    tp->copied_seq += chunk;
    tcp_rcv_space_adjust(sk);
    return true;
}

/// Predicted data segment. 0: done, 1: to the slow path, -1: bad checksum (counted).
static int fast_data(sock *sk, sk_buff *skb, u32 hlen)
{
    tcp_sock *tp = tcp_sk(sk);
    bool eaten = false, direct = false;
    bool ts_now = hlen == sizeof(tcphdr) + TCPOLEN_TSTAMP_ALIGNED && tp->rcv_nxt == tp->rcv_wup;
    if (tp->ucopy.task && copy_to_reader(sk, skb, hlen)) {
        if (ts_now)
            store_ts_recent(tp);
        tcp_rcv_rtt_measure_ts(sk, skb);
        skb_pull(skb, hlen);
        tp->rcv_nxt = TCP_SKB_CB(skb)->end_seq;
        NET_INC_STATS(LINUX_MIB_TCPHPHitsToUser);
        eaten = direct = true;
    }
    if (!direct) {
        if (tcp_checksum_wrong(skb))
            return -1;
        if (static_cast<s32>(skb->truesize) > tp->sk_forward_alloc)
            return 1;
        if (ts_now)
            store_ts_recent(tp);
        tcp_rcv_rtt_measure_ts(sk, skb);
        NET_INC_STATS(LINUX_MIB_TCPHPHits);
        skb_dst_drop(skb);
        eaten = tcp_queue_rcv(sk, skb, hlen);
    }
    tcp_event_data_recv(sk, skb);
    bool ack = true;
    if (TCP_SKB_CB(skb)->ack_seq != tp->snd_una) {
        tcp_ack(sk, skb, FLAG_DATA);
        tcp_data_snd_check(sk);
        ack = inet_csk_ack_scheduled(sk);
    }
    if (ack)
        __tcp_ack_snd_check(sk, false);
    if (eaten)
        consume_skb(skb);
    if (!direct)
        sk->sk_data_ready(sk, 0);
    return 0;
}

static void count_bad_checksum(sk_buff *skb)
{
    TCP_INC_STATS(TCP_MIB_InCsumErrors);
    TCP_INC_STATS(TCP_MIB_InErrs);
    kfree_skb_reason(skb, "tcp_csum");
}

/// What header prediction can take. 0: done, 1: to the slow path.
static int fast_path(sock *sk, sk_buff *skb, const tcphdr *th)
{
    tcp_sock *tp = tcp_sk(sk);
    u32 hlen = tp->tcp_header_len;
    if (hlen == sizeof(tcphdr) + TCPOLEN_TSTAMP_ALIGNED) {
        if (!parse_aligned_timestamp(tp, th))
            return 1;
        if (static_cast<s32>(tp->rx_opt.rcv_tsval - tp->rx_opt.ts_recent) < 0)
            return 1; // PAWS
    }
    if (skb->len > hlen) {
        int r = fast_data(sk, skb, hlen);
        if (unlikely(r < 0))
            count_bad_checksum(skb);
        return r > 0;
    }
    if (unlikely(skb->len < hlen)) {
        TCP_INC_STATS(TCP_MIB_InErrs);
        kfree_skb_reason(skb, "hdr_trunc");
        return 0;
    }
    // A pure ACK. One in the next number while nothing has come since our last ACK renews the timestamp.
    if (hlen == sizeof(tcphdr) + TCPOLEN_TSTAMP_ALIGNED && tp->rcv_nxt == tp->rcv_wup)
        store_ts_recent(tp);
    tcp_ack(sk, skb, 0);
    consume_skb(skb);
    tcp_data_snd_check(sk);
    return 0;
}

int tcp_rcv_established(sock *sk, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    const tcphdr *th = tcp_hdr(skb);
    trace(trace_event::tcp_rcv_established, skb->trace_id, sk, TCP_SKB_CB(skb)->seq,
          skb->len - th->doff * 4u);
    tp->rx_opt.saw_tstamp = 0;
    if (likely((tcp_flag_word(th) & htonl(TCP_HP_BITS).raw) == tp->pred_flags &&
               TCP_SKB_CB(skb)->seq == tp->rcv_nxt &&
               !after(TCP_SKB_CB(skb)->ack_seq, tp->snd_nxt)) &&
        likely(fast_path(sk, skb, th) == 0))
        return 0;

    u32 hlen = th->doff * 4u;
    if (skb->len < hlen) {
        TCP_INC_STATS(TCP_MIB_InErrs);
        kfree_skb_reason(skb, "hdr_trunc");
        return 0;
    }
    if (tcp_checksum_wrong(skb)) {
        count_bad_checksum(skb);
        return 0;
    }
    if (!th->ack && !th->rst && !th->syn) {
        kfree_skb(skb);
        return 0;
    }
    if (!tcp_validate_incoming(sk, skb, th, true))
        return 0;
    if (th->ack && tcp_ack(sk, skb, FLAG_SLOWPATH | FLAG_UPDATE_TS_RECENT) < 0) {
        kfree_skb(skb);
        return 0;
    }
    tcp_rcv_rtt_measure_ts(sk, skb);
    tcp_urg(sk, skb, th);
    tcp_data_queue(sk, skb);
    tcp_data_snd_check(sk);
    tcp_ack_snd_check(sk);
    return 0;
}

// SPDX-License-Identifier: MIT
// Between the files of TCP's engine (tcp_input*.cc, tcp_output*.cc, tcp_timer.cc, tcp_send.cc, tcp_recv.cc) only. Socket lock
// held in every function unless it says otherwise.
#pragma once

#include "net/ipv4/tcp.h"

/// tcp_options_received::sack_ok.
constexpr u16 TCP_SACK_SEEN = 1, TCP_FACK_ENABLED = 2, TCP_DSACK_SEEN = 4;
inline bool tcp_is_sack(const tcp_sock *tp)
{
    return tp->rx_opt.sack_ok;
}
inline bool tcp_is_reno(const tcp_sock *tp)
{
    return !tp->rx_opt.sack_ok;
}
inline bool tcp_is_fack(const tcp_sock *tp)
{
    return tp->rx_opt.sack_ok & TCP_FACK_ENABLED;
}

/// What one ACK brought (Linux's FLAG_* of tcp_input.c).
enum ack_flag : u32 {
    FLAG_DATA = 0x01,               // it carries data
    FLAG_WIN_UPDATE = 0x02,         // and moved the window
    FLAG_DATA_ACKED = 0x04,         // it acknowledged new data
    FLAG_RETRANS_DATA_ACKED = 0x08, // of which some had been retransmitted
    FLAG_SYN_ACKED = 0x10,
    FLAG_DATA_SACKED = 0x20, // new SACK
    FLAG_ECE = 0x40,
    FLAG_SLOWPATH = 0x100,
    FLAG_ORIG_SACK_ACKED = 0x200, // something never retransmitted was acknowledged
    FLAG_SND_UNA_ADVANCED = 0x400,
    FLAG_DSACKING_ACK = 0x800,
    FLAG_SACK_RENEGING = 0x2000,
    FLAG_UPDATE_TS_RECENT = 0x4000,
    FLAG_ACKED = FLAG_DATA_ACKED | FLAG_SYN_ACKED,
    FLAG_NOT_DUP = FLAG_DATA | FLAG_WIN_UPDATE | FLAG_ACKED,
    FLAG_CA_ALERT = FLAG_DATA_SACKED | FLAG_ECE,
    FLAG_FORWARD_PROGRESS = FLAG_ACKED | FLAG_DATA_SACKED,
};

// --- Windows and buffers ---------------------------------------------------------------------------------------------------
/// The part of a buffer that may be offered as window (tcp_adv_win_scale: the rest is overhead).
inline s32 tcp_win_from_space(s32 space)
{
    int s = sysctl_tcp_adv_win_scale;
    return s <= 0 ? space >> -s : space - (space >> s);
}
inline s32 tcp_space(const sock *sk)
{
    return tcp_win_from_space(sk->sk_rcvbuf - sk->sk_rmem_alloc.load(std::memory_order_relaxed));
}
inline s32 tcp_full_space(const sock *sk)
{
    return tcp_win_from_space(sk->sk_rcvbuf);
}
/// First receive window in segments (RFC 6928): ten of Ethernet's size, fewer of larger ones.
constexpr u32 tcp_default_init_rwnd(u32 mss)
{
    return mss > 1460 ? max(1460u * 10 / mss, 2u) : 10;
}
inline void sk_mem_charge(sock *sk, u32 size)
{
    tcp_sk(sk)->sk_forward_alloc -= static_cast<s32>(size);
}
/// Charge a received packet to the reader's buffer and to tcp_mem; freeing it gives both back.
void tcp_set_owner_r(sk_buff *skb, sock *sk);
inline void tcp_skb_unlink(sk_buff *skb, sk_buff_head *q)
{
    __skb_unlink(skb, q);
}

// --- Header prediction -----------------------------------------------------------------------------------------------------
constexpr u32 TCP_HP_BITS = 0xf0f7ffff; // host order: all but the reserved bits and PSH
inline void __tcp_fast_path_on(tcp_sock *tp, u32 snd_wnd)
{
    tp->pred_flags = htonl((u32{tp->tcp_header_len} << 26) | 0x00100000 | snd_wnd).raw;
}
inline void tcp_fast_path_on(tcp_sock *tp)
{
    __tcp_fast_path_on(tp, tp->snd_wnd >> tp->rx_opt.snd_wscale);
}
/// The next in-order segment may take the fast path again: no hole, window open, no urgent data pending, room in the buffer.
inline void tcp_fast_path_check(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    if (tp->out_of_order_queue.empty() && tp->rcv_wnd &&
        sk->sk_rmem_alloc.load(std::memory_order_relaxed) < sk->sk_rcvbuf && !tp->urg_data)
        tcp_fast_path_on(tp);
}

// --- Output ----------------------------------------------------------------------------------------------------------------
/// The reader's window as it goes into a header; also notes what was promised.
u16 tcp_select_window(sock *sk);
int tcp_transmit_skb(sock *sk, sk_buff *skb, bool clone_it, gfp flags);
/// Fill in the control block of a packet without data; SYN and FIN count one in sequence space.
void tcp_init_nondata_skb(sk_buff *skb, u32 seq, u8 flags);
u32 tcp_acceptable_seq(const tcp_sock *tp);
/// Segments of skb at mss_now (gso_segs, gso_size).
u32 tcp_set_skb_tso_segs(sock *sk, sk_buff *skb, u32 mss_now);
u32 tcp_init_tso_segs(sock *sk, sk_buff *skb, u32 mss_now);
void tcp_queue_skb(sock *sk, sk_buff *skb);
void tcp_event_new_data_sent(sock *sk, sk_buff *skb);
/// Length of all headers with the options that the next segment gets.
u32 tcp_established_header_len(const tcp_sock *tp);
/// There is data that may go now (used by recovery: new data before guesses).
bool tcp_may_send_now(sock *sk);
/// After the count of segments in a packet of the write queue has changed by -decr.
void tcp_adjust_pcount(sock *sk, const sk_buff *skb, s32 decr);
u32 tcp_init_cwnd();
inline bool tcp_urg_mode(const tcp_sock *tp)
{
    return tp->snd_una != tp->snd_up;
}
inline void tcp_push_pending_frames(sock *sk)
{
    if (tcp_send_head(sk))
        __tcp_push_pending_frames(sk, tcp_current_mss(sk), tcp_sk(sk)->nonagle);
}
inline void tcp_insert_after(sk_buff_head *q, sk_buff *at, sk_buff *skb)
{
    skb->next = at->next;
    skb->prev = at;
    if (at->next)
        at->next->prev = skb;
    else
        q->prev = skb;
    at->next = skb;
    q->qlen++;
}
inline void tcp_insert_before(sk_buff_head *q, sk_buff *at, sk_buff *skb)
{
    if (at->prev)
        tcp_insert_after(q, at->prev, skb);
    else
        __skb_queue_head(q, skb);
}

// --- Input -----------------------------------------------------------------------------------------------------------------
/// An ACK. 1 acceptable, 0 old, -1 not acceptable. tcp_input_ack.cc
int tcp_ack(sock *sk, sk_buff *skb, u32 flag);
/// Options, PAWS, window, RST, SYN. False: consumed. syn_inerr: count a SYN as error. tcp_input.cc
bool tcp_validate_incoming(sock *sk, sk_buff *skb, const tcphdr *th, bool syn_inerr);
/// SACK blocks of an ACK onto the write queue; returns FLAG_*. tcp_input_sack.cc
u32 tcp_sacktag_write_queue(sock *sk, const sk_buff *ack_skb, u32 prior_snd_una);
/// Congestion state machine after a dubious ACK. tcp_input_recovery.cc
void tcp_fastretrans_alert(sock *sk, u32 acked, u32 prior_sacked, bool is_dupack, u32 flag);
void tcp_process_tlp_ack(sock *sk, u32 ack, u32 flag);
void tcp_update_reordering(sock *sk, s32 metric, bool by_timestamp);
void tcp_skb_mark_lost(tcp_sock *tp, sk_buff *skb);
void tcp_remove_reno_sacks(sock *sk, u32 acked);
void tcp_clear_retrans_hints(tcp_sock *tp);
inline bool tcp_in_cwnd_reduction(const sock *sk)
{
    u8 s = inet_csk(sk)->icsk_ca_state;
    return s == TCP_CA_CWR || s == TCP_CA_Recovery;
}
inline u32 tcp_current_ssthresh(const sock *sk)
{
    const tcp_sock *tp = tcp_sk(sk);
    if (tcp_in_cwnd_reduction(sk))
        return tp->snd_ssthresh;
    return max(tp->snd_ssthresh, (tp->snd_cwnd >> 1) + (tp->snd_cwnd >> 2));
}
void tcp_set_ca_state(sock *sk, u8 state);
/// The congestion control; Reno's rules hold for SYNs, before it was chosen.
inline const tcp_congestion_ops *tcp_ca(const sock *sk)
{
    const tcp_congestion_ops *ca = inet_csk(sk)->icsk_ca_ops;
    return ca ? ca : &tcp_reno;
}
inline void tcp_cwnd_event(sock *sk, tcp_ca_event ev)
{
    const tcp_congestion_ops *ca = inet_csk(sk)->icsk_ca_ops;
    if (ca && ca->cwnd_event)
        ca->cwnd_event(sk, ev);
}
/// Where the highest SACK ends; snd_una without one.
inline u32 tcp_highest_sack_seq(const tcp_sock *tp)
{
    if (!tp->sacked_out)
        return tp->snd_una;
    return tp->highest_sack ? TCP_SKB_CB(tp->highest_sack)->seq : tp->snd_nxt;
}
/// Early retransmit (RFC 5827) may be used on this connection.
inline bool tcp_early_retrans_on(const tcp_sock *tp)
{
    return sysctl_tcp_early_retrans && sysctl_tcp_early_retrans < 4 && sysctl_tcp_reordering == 3 &&
           tp->reordering == 3;
}
/// Receive side: tcp_input_data.cc, tcp_input_buf.cc.
void tcp_data_queue(sock *sk, sk_buff *skb);
void tcp_urg(sock *sk, sk_buff *skb, const tcphdr *th);
/// Queue payload at the tail (data already pulled to it); true: it was merged into the tail and skb is to be freed.
bool tcp_queue_rcv(sock *sk, sk_buff *skb, u32 hdrlen);
/// The buffer is over its limit: clamp the window.
void tcp_clamp_window(sock *sk);
void tcp_event_data_recv(sock *sk, sk_buff *skb);
void tcp_rcv_rtt_measure_ts(sock *sk, const sk_buff *skb);
void tcp_ack_snd_check(sock *sk);
void __tcp_ack_snd_check(sock *sk, bool ofo_possible);
void tcp_send_dupack(sock *sk, const sk_buff *skb);
void tcp_send_challenge_ack(sock *sk);
/// Write space came back: sockets that wait for it.
void tcp_check_space(sock *sk);
/// The checksum is wrong (only when the device or tcp_v4_rcv has not verified it); skb->data at the TCP header.
inline bool tcp_checksum_wrong(sk_buff *skb)
{
    return !skb_csum_unnecessary(skb) && !skb_checksum_complete(skb);
}
inline void tcp_eat_skb(sock *sk, sk_buff *skb)
{
    __skb_unlink(skb, &sk->sk_receive_queue);
    consume_skb(skb);
}
inline void tcp_clear_xmit_timer(sock *sk)
{
    inet_csk_clear_xmit_timer(sk, ICSK_TIME_RETRANS);
}

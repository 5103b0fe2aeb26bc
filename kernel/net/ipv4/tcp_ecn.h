// SPDX-License-Identifier: MIT
// Explicit congestion notification (RFC 3168 §6.1; Linux net/ipv4/tcp_input.c, tcp_output.c TCP_ECN_*). A router marks a packet (CE)
// instead of dropping it; the receiver says so with ECE in every ACK until the sender answers CWR, and the sender slows down as for a
// loss. tcp_ecn: 0 off, 1 ask and agree, 2 (as in 3.10) only agree. Socket lock held; for a request, its listener's.
#pragma once

#include "net/ipv4/tcp_engine.h"

/// tcp_sock::ecn_flags: agreed on; our next data carries CWR; our ACKs carry ECE; the peer does mark its packets.
constexpr u8 TCP_ECN_OK = 1, TCP_ECN_QUEUE_CWR = 2, TCP_ECN_DEMAND_CWR = 4, TCP_ECN_SEEN = 8;
/// The last two bits of the TOS byte.
constexpr u8 INET_ECN_NOT_ECT = 0, INET_ECN_ECT_0 = 2, INET_ECN_CE = 3, INET_ECN_MASK = 3;

inline bool tcp_ecn_bits(const tcphdr *th, bool ece, bool cwr)
{
    return th->ece == ece && th->cwr == cwr;
}

// --- The handshake ---------------------------------------------------------------------------------------------------------

/// Whether a SYN asks for it and we agree. One that is marked itself comes from something that does not know what the bits mean.
inline bool tcp_ecn_asked(const sk_buff *skb)
{
    return read_once(sysctl_tcp_ecn) && tcp_ecn_bits(tcp_hdr(skb), true, true) &&
           (TCP_SKB_CB(skb)->ip_dsfield & INET_ECN_MASK) == INET_ECN_NOT_ECT;
}
/// Our SYN asks if we want it always.
inline void tcp_ecn_send_syn(tcp_sock *tp, tcp_skb_cb *tcb)
{
    tp->ecn_flags = 0;
    if (read_once(sysctl_tcp_ecn) != 1)
        return;
    tcb->tcp_flags |= TCPHDR_ECE | TCPHDR_CWR;
    tp->ecn_flags = TCP_ECN_OK;
}
/// Our SYN becomes a SYN-ACK (both sides connect at once).
inline void tcp_ecn_send_synack(const tcp_sock *tp, tcp_skb_cb *tcb)
{
    u8 keep = tp->ecn_flags & TCP_ECN_OK ? TCPHDR_ECE : 0;
    tcb->tcp_flags &= static_cast<u8>(~(TCPHDR_CWR | TCPHDR_ECE) | keep);
}
/// The peer's SYN-ACK or SYN to our SYN: it must say ECE alone, or both.
inline void tcp_ecn_rcv_syn(tcp_sock *tp, const tcphdr *th)
{
    if (!tcp_ecn_bits(th, true, !th->ack))
        tp->ecn_flags &= static_cast<u8>(~TCP_ECN_OK);
}

// --- Sending ---------------------------------------------------------------------------------------------------------------

/// cwnd is being reduced: tell the peer.
inline void tcp_ecn_queue_cwr(tcp_sock *tp)
{
    if (tp->ecn_flags & TCP_ECN_OK)
        tp->ecn_flags |= TCP_ECN_QUEUE_CWR;
}
/// The reduction was for nothing.
inline void tcp_ecn_withdraw_cwr(tcp_sock *tp)
{
    tp->ecn_flags &= static_cast<u8>(~TCP_ECN_QUEUE_CWR);
}
/// Flags and TOS of a segment without SYN: only new data may be marked, not ACKs and retransmissions (RFC 3168 §6.1.4, §6.1.5).
inline void tcp_ecn_send(tcp_sock *tp, sk_buff *skb, u32 header_len)
{
    if (likely(!(tp->ecn_flags & TCP_ECN_OK)))
        return;
    tcphdr *th = tcp_hdr(skb);
    tp->tos &= static_cast<u8>(~INET_ECN_MASK);
    if (skb->len != header_len && !before(TCP_SKB_CB(skb)->seq, tp->snd_nxt)) {
        tp->tos |= INET_ECN_ECT_0;
        if (tp->ecn_flags & TCP_ECN_QUEUE_CWR) {
            tcp_ecn_withdraw_cwr(tp);
            th->cwr = 1;
            skb_shinfo(skb)->gso_type |= SKB_GSO_TCP_ECN;
        }
    }
    if (tp->ecn_flags & TCP_ECN_DEMAND_CWR)
        th->ece = 1;
}

// --- Receiving -------------------------------------------------------------------------------------------------------------

/// Data with CWR: the peer has slowed down.
inline void tcp_ecn_accept_cwr(tcp_sock *tp, const sk_buff *skb)
{
    if (tcp_hdr(skb)->cwr)
        tp->ecn_flags &= static_cast<u8>(~TCP_ECN_DEMAND_CWR);
}
/// Data: was it marked? A marked segment, and one without the bits from a peer that sets them (a retransmission), is acknowledged
/// at once.
inline void tcp_ecn_check_ce(sock *sk, const sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    if (likely(!(tp->ecn_flags & TCP_ECN_OK)))
        return;
    u8 bits = TCP_SKB_CB(skb)->ip_dsfield & INET_ECN_MASK;
    if (bits == INET_ECN_NOT_ECT) {
        if (tp->ecn_flags & TCP_ECN_SEEN)
            tcp_enter_quickack_mode(sk);
        return;
    }
    if (bits == INET_ECN_CE && !(tp->ecn_flags & TCP_ECN_DEMAND_CWR)) {
        tcp_enter_quickack_mode(sk);
        tp->ecn_flags |= TCP_ECN_DEMAND_CWR;
    }
    tp->ecn_flags |= TCP_ECN_SEEN;
}
/// An ACK tells of marked packets of ours.
inline bool tcp_ecn_rcv_echo(const tcp_sock *tp, const tcphdr *th)
{
    return th->ece && !th->syn && (tp->ecn_flags & TCP_ECN_OK);
}

// SPDX-License-Identifier: MIT
// TCP_INFO: a connection's state for its user (Linux net/ipv4/tcp.c tcp_get_info). Any context.

#include "net/ipv4/tcp_info.h"
#include "net/ipv4/tcp_ecn.h"

static constexpr u32 to_usecs(u32 ticks)
{
    return ticks * (1000000 / TCP_HZ);
}

/// Segments in flight; a listener's queues take the same places (ss shows them).
static void fill_segments(const tcp_sock *tp, tcp_info *info)
{
    if (tp->sk_state == TCP_LISTEN) {
        info->tcpi_unacked = tp->sk_ack_backlog;
        info->tcpi_sacked = tp->sk_max_ack_backlog;
    } else {
        info->tcpi_unacked = tp->packets_out;
        info->tcpi_sacked = tp->sacked_out;
    }
    info->tcpi_lost = tp->lost_out;
    info->tcpi_retrans = tp->retrans_out;
    info->tcpi_fackets = tp->fackets_out;
    info->tcpi_total_retrans = tp->total_retrans;
}

void tcp_get_info(const sock *sk, tcp_info *info)
{
    const tcp_sock *tp = tcp_sk(sk);
    u32 now = tcp_time_stamp();
    *info = {};
    info->tcpi_state = sk->sk_state;
    info->tcpi_ca_state = tp->icsk_ca_state;
    info->tcpi_retransmits = tp->icsk_retransmits;
    info->tcpi_probes = tp->icsk_probes_out;
    info->tcpi_backoff = tp->icsk_backoff;
    if (tp->rx_opt.tstamp_ok)
        info->tcpi_options |= TCPI_OPT_TIMESTAMPS;
    if (tp->rx_opt.sack_ok)
        info->tcpi_options |= TCPI_OPT_SACK;
    if (tp->rx_opt.wscale_ok) {
        info->tcpi_options |= TCPI_OPT_WSCALE;
        info->tcpi_snd_wscale = tp->rx_opt.snd_wscale;
        info->tcpi_rcv_wscale = tp->rx_opt.rcv_wscale;
    }
    if (tp->ecn_flags & TCP_ECN_OK)
        info->tcpi_options |= TCPI_OPT_ECN;
    if (tp->ecn_flags & TCP_ECN_SEEN)
        info->tcpi_options |= TCPI_OPT_ECN_SEEN;
    info->tcpi_rto = to_usecs(tp->icsk_rto);
    info->tcpi_ato = to_usecs(tp->icsk_ack.ato);
    info->tcpi_snd_mss = tp->mss_cache;
    info->tcpi_rcv_mss = tp->icsk_ack.rcv_mss;
    fill_segments(tp, info);
    info->tcpi_last_data_sent = now - tp->lsndtime;
    info->tcpi_last_data_recv = now - tp->icsk_ack.lrcvtime;
    info->tcpi_last_ack_recv = now - tp->rcv_tstamp;
    info->tcpi_pmtu = tp->icsk_pmtu_cookie;
    info->tcpi_rcv_ssthresh = tp->rcv_ssthresh;
    info->tcpi_rtt = to_usecs(tp->srtt) >> 3;
    info->tcpi_rttvar = to_usecs(tp->mdev) >> 2;
    info->tcpi_snd_ssthresh = tp->snd_ssthresh;
    info->tcpi_snd_cwnd = tp->snd_cwnd;
    info->tcpi_advmss = tp->advmss;
    info->tcpi_reordering = tp->reordering;
    info->tcpi_rcv_rtt = to_usecs(tp->rcv_rtt_est.rtt) >> 3;
    info->tcpi_rcv_space = tp->rcvq_space.space;
}

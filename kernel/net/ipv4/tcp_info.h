// SPDX-License-Identifier: MIT
// SOL_TCP's option numbers and struct tcp_info: Linux x86_64 ABI (include/uapi/linux/tcp.h of 3.10).
#pragma once

#include "net/ipv4/tcp.h"

constexpr int SOL_TCP = 6;
constexpr int TCP_NODELAY = 1, TCP_MAXSEG = 2, TCP_CORK = 3, TCP_KEEPIDLE = 4, TCP_KEEPINTVL = 5,
              TCP_KEEPCNT = 6, TCP_SYNCNT = 7, TCP_LINGER2 = 8, TCP_DEFER_ACCEPT = 9,
              TCP_WINDOW_CLAMP = 10, TCP_INFO = 11, TCP_QUICKACK = 12, TCP_CONGESTION = 13,
              TCP_THIN_LINEAR_TIMEOUTS = 16, TCP_USER_TIMEOUT = 18;
constexpr u8 TCPI_OPT_TIMESTAMPS = 1, TCPI_OPT_SACK = 2, TCPI_OPT_WSCALE = 4, TCPI_OPT_ECN = 8,
             TCPI_OPT_ECN_SEEN = 16;

/// Times in microseconds, ages in milliseconds, windows in bytes or segments as in Linux.
struct tcp_info {
    u8 tcpi_state, tcpi_ca_state, tcpi_retransmits, tcpi_probes, tcpi_backoff, tcpi_options;
    u8 tcpi_snd_wscale : 4, tcpi_rcv_wscale : 4;
    u8 tcpi_pad;
    u32 tcpi_rto, tcpi_ato, tcpi_snd_mss, tcpi_rcv_mss;
    u32 tcpi_unacked, tcpi_sacked, tcpi_lost, tcpi_retrans, tcpi_fackets;
    u32 tcpi_last_data_sent, tcpi_last_ack_sent, tcpi_last_data_recv, tcpi_last_ack_recv;
    u32 tcpi_pmtu, tcpi_rcv_ssthresh, tcpi_rtt, tcpi_rttvar, tcpi_snd_ssthresh, tcpi_snd_cwnd,
        tcpi_advmss, tcpi_reordering;
    u32 tcpi_rcv_rtt, tcpi_rcv_space;
    u32 tcpi_total_retrans;
};
static_assert(sizeof(tcp_info) == 104);
/// Fill it from a socket. Any context; a socket at work gives a blurred picture.
void tcp_get_info(const sock *sk, tcp_info *info);

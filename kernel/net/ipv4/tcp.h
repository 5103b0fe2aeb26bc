// SPDX-License-Identifier: MIT
// TCP (RFC 9293, 7323, 6298, 5681, 6582, 2018; Linux include/linux/tcp.h, include/net/tcp.h; atlas §8, §11.2, §14…§20).
// Who does what: tcp_ipv4*.cc demultiplexing, handshakes by address, RST and ACK without a socket; tcp_minisocks.cc child sockets, TIME_WAIT; tcp.cc,
// tcp_send.cc, tcp_recv.cc, tcp_options.cc the socket calls; tcp_input*.cc segments in; tcp_output*.cc segments out; tcp_timer.cc;
// tcp_cong.cc. Unless said otherwise a function here wants the socket lock: owned by the process, or slock with nobody owning [S].
#pragma once

#include "net/ipv4/inet_connection_sock.h"

struct tcp_sock;

/// RFC 9293 §3.1. Bit-fields little-endian.
struct tcphdr {
    be16 source, dest;
    be32 seq, ack_seq;
    u16 res1 : 4, doff : 4, fin : 1, syn : 1, rst : 1, psh : 1, ack : 1, urg : 1, ece : 1, cwr : 1;
    be16 window;
    be16 check;
    be16 urg_ptr;
};
static_assert(sizeof(tcphdr) == 20);
inline tcphdr *tcp_hdr(const sk_buff *skb)
{
    return reinterpret_cast<tcphdr *>(skb_transport_header(skb));
}
/// The 32 bits with flags, offset and window: header prediction compares them at once.
inline u32 tcp_flag_word(const tcphdr *th)
{
    u32 w;
    memcpy(&w, reinterpret_cast<const u8 *>(th) + 12, sizeof(w));
    return w;
}
constexpr u8 TCPHDR_FIN = 1, TCPHDR_SYN = 2, TCPHDR_RST = 4, TCPHDR_PSH = 8, TCPHDR_ACK = 0x10,
             TCPHDR_URG = 0x20, TCPHDR_ECE = 0x40, TCPHDR_CWR = 0x80;

/// Options on the wire.
constexpr u8 TCPOPT_NOP = 1, TCPOPT_EOL = 0, TCPOPT_MSS = 2, TCPOPT_WINDOW = 3,
             TCPOPT_SACK_PERM = 4, TCPOPT_SACK = 5, TCPOPT_TIMESTAMP = 8;
constexpr u32 TCPOLEN_TSTAMP_ALIGNED = 12, TCPOLEN_SACK_BASE_ALIGNED = 4, TCPOLEN_SACK_PERBLOCK = 8;
constexpr u32 TCP_MSS_DEFAULT = 536, TCP_MIN_MSS = 88, TCP_INIT_CWND = 10,
              MAX_TCP_OPTION_SPACE = 40, MAX_TCP_WINDOW = 32767, TCP_MAX_WSCALE = 14;
constexpr u32 TCP_INFINITE_SSTHRESH = 0x7fffffff, TCP_FASTRETRANS_THRESH = 3,
              TCP_MAX_QUICKACKS = 16;
/// Headroom for everything in front of the payload (Linux MAX_TCP_HEADER: room for link and IP headers with options).
constexpr u32 MAX_TCP_HEADER = 160;

/// Sequence space is a circle (RFC 9293 §3.4).
constexpr bool before(u32 a, u32 b)
{
    return static_cast<s32>(a - b) < 0;
}
constexpr bool after(u32 a, u32 b)
{
    return before(b, a);
}
/// b <= a <= c on the circle.
constexpr bool between(u32 a, u32 b, u32 c)
{
    return c - b >= a - b;
}

/// skb->cb of a TCP packet. IP's control block comes first: ip_rcv() filled it.
struct tcp_skb_cb {
    inet_skb_parm header;
    u32 seq, end_seq;
    u32 ack_seq; // received
    u32 when;    // sent at, tcp_time_stamp; 0: never, or in retransmission of unknown age
    u8 tcp_flags;
    u8 sacked; // TCPCB_*
    u8 ip_dsfield;
    u8 urg_off_valid;
    u32 iif; // device it came in by
};
static_assert(sizeof(tcp_skb_cb) <= 48);
inline tcp_skb_cb *TCP_SKB_CB(sk_buff *skb)
{
    return reinterpret_cast<tcp_skb_cb *>(skb->cb);
}
inline const tcp_skb_cb *TCP_SKB_CB(const sk_buff *skb)
{
    return reinterpret_cast<const tcp_skb_cb *>(skb->cb);
}
constexpr u8 TCPCB_SACKED_ACKED = 1, TCPCB_SACKED_RETRANS = 2, TCPCB_LOST = 4, TCPCB_TAGBITS = 7,
             TCPCB_EVER_RETRANS = 0x80, TCPCB_RETRANS = TCPCB_SACKED_RETRANS | TCPCB_EVER_RETRANS;

enum tcp_ca_state : u8 { TCP_CA_Open, TCP_CA_Disorder, TCP_CA_CWR, TCP_CA_Recovery, TCP_CA_Loss };
enum tcp_ca_event : u8 {
    CA_EVENT_TX_START,
    CA_EVENT_CWND_RESTART,
    CA_EVENT_COMPLETE_CWR,
    CA_EVENT_FRTO,
    CA_EVENT_LOSS
};
struct tcp_sack_block {
    u32 start_seq = 0, end_seq = 0;
};

/// What a segment's options said, and what was agreed on.
struct tcp_options_received {
    u64 ts_recent_stamp = 0; // seconds when ts_recent was stored
    u32 ts_recent = 0, rcv_tsval = 0, rcv_tsecr = 0;
    u16 saw_tstamp : 1 = 0, tstamp_ok : 1 = 0, dsack : 1 = 0, wscale_ok : 1 = 0, sack_ok : 4 = 0,
                     snd_wscale : 4 = 0, rcv_wscale : 4 = 0;
    u8 num_sacks = 0;
    u16 user_mss = 0, mss_clamp = 0;
};

/// A half-open TCP connection (cache request_sock_TCP). Linux inet_request_sock + tcp_request_sock.
struct inet_request_sock : request_sock {
    be32 loc_addr{}, rmt_addr{};
    be16 loc_port{}, rmt_port{};
    u32 snt_isn = 0, rcv_isn = 0, rcv_nxt = 0, snt_synack = 0;
    u32 mark = 0;
    u16 snd_wscale : 4 = 0, rcv_wscale : 4 = 0, tstamp_ok : 1 = 0, sack_ok : 1 = 0,
                     wscale_ok : 1 = 0, acked : 1 = 0, no_srccheck : 1 = 0, ecn_ok : 1 = 0;
    ip_options *opt = nullptr; // kmalloc
};
using tcp_request_sock = inet_request_sock;
inline inet_request_sock *inet_rsk(request_sock *req)
{
    return static_cast<inet_request_sock *>(req);
}
inline inet_request_sock *tcp_rsk(request_sock *req)
{
    return static_cast<inet_request_sock *>(req);
}

/// The connection (Linux struct tcp_sock; row K-06's object). RFC 9293 §3.3.1 has the SND.* and RCV.* variables.
struct tcp_sock : inet_connection_sock {
    u16 tcp_header_len = 0; // with the options of every segment
    u16 xmit_size_goal_segs = 0;
    u32 pred_flags = 0; // expected tcp_flag_word on the fast path, 0: none
    u32 rcv_nxt = 0, copied_seq = 0,
        rcv_wup = 0; // copied_seq: what the reader has; rcv_wup: rcv_nxt at the last window we sent
    u32 snd_nxt = 0, snd_una = 0, snd_sml = 0, snd_wl1 = 0, snd_wnd = 0, max_window = 0,
        write_seq = 0, pushed_seq = 0, snd_up = 0;
    u32 rcv_tstamp = 0, lsndtime = 0; // last ACK in, last data out: jiffies
    u32 mss_cache = TCP_MSS_DEFAULT, advmss = 0, window_clamp = 0, rcv_ssthresh = 0, rcv_wnd = 0;
    // Round trip, RFC 6298: srtt << 3, mdev << 2, in jiffies.
    u32 srtt = 0, mdev = 0, mdev_max = 0, rttvar = 0, rtt_seq = 0;
    // Congestion, RFC 5681/6582/6675.
    u32 packets_out = 0, retrans_out = 0, sacked_out = 0, lost_out = 0, fackets_out = 0;
    u32 snd_cwnd = TCP_INIT_CWND, snd_ssthresh = TCP_INFINITE_SSTHRESH, snd_cwnd_cnt = 0,
        snd_cwnd_clamp = ~0u, snd_cwnd_used = 0, snd_cwnd_stamp = 0, prior_cwnd = 0,
        prr_delivered = 0, prr_out = 0, prior_ssthresh = 0;
    u32 high_seq = 0, undo_marker = 0, retrans_stamp = 0, total_retrans = 0, tlp_high_seq = 0,
        frto_highmark = 0;
    s32 undo_retrans = 0;
    u32 reordering = 3;
    u8 frto = 0, early_retrans_delayed = 0;
    u8 nonagle = 0; // TCP_NAGLE_*
    u8 repair = 0, thin_lto = 0;
    u8 linger2_valid = 0, defer_tcp_accept_set = 0;
    u8 keepalive_probes = 0; // TCP_KEEPCNT, 0: sysctl
    u8 ecn_flags = 0;
    tcp_options_received rx_opt;
    u8 selective_ack_count = 0; // valid entries of selective_acks
    tcp_sack_block duplicate_sack[1], selective_acks[4], recv_sack_cache[4];
    sk_buff *retransmit_skb_hint = nullptr, *lost_skb_hint = nullptr;
    s32 lost_cnt_hint = 0;
    u32 retransmit_high = 0;
    sk_buff *highest_sack = nullptr; // behind the highest packet that was SACKed; null: send head
    u32 lost_retrans_low = 0;        // snd_nxt at the oldest retransmission in flight
    u32 tso_deferred = 0;            // jiffies << 1 | 1 since a burst is held back, 0: none
    u32 sk_write_pending = 0;        // writers that sleep
    sk_buff_head out_of_order_queue;
    sk_buff *sk_send_head = nullptr; // first of sk_write_queue that was never sent
    u32 sk_wmem_queued = 0;          // truesize of the write queue
    s32 sk_forward_alloc = 0;        // bytes charged to tcp_memory_allocated ahead
    page *sk_frag_page = nullptr;    // where tcp_sendmsg puts bytes next
    u32 sk_frag_offset = 0;
    u16 urg_data = 0; // TCP_URG_* | byte
    u32 urg_seq = 0;
    u32 keepalive_time = 0, keepalive_intvl = 0; // jiffies, 0: sysctl
    s32 linger2 = 0;                             // TCP_LINGER2, jiffies
    // Receive buffer auto-tuning.
    struct {
        u32 rtt = 0, seq = 0, time = 0;
    } rcv_rtt_est;
    struct {
        u32 space = 0, seq = 0, time = 0;
    } rcvq_space;
    // Prequeue and direct copy (atlas §8): a reader sleeps in tcp_recvmsg.
    struct {
        sk_buff_head prequeue;
        task_struct *task = nullptr;
        iov_iter *iter = nullptr;
        int memory = 0;
        u32 len = 0;
        bool wakeup = false;
    } ucopy;
    // Small queues (TSQ): tcp_wfree finishes what the limit stopped.
    std::atomic<u32> tsq_flags{0}; // TSQ_* bits
    tcp_sock *tsq_next = nullptr;
    u32 mtu_info = 0; // path MTU an ICMP error told while a process owned the socket
    u64 bytes_acked = 0, bytes_received = 0; // payload (TCP_INFO of later kernels; dumps)
    u32 segs_out = 0, segs_in = 0;

    tcp_sock();
};
inline tcp_sock *tcp_sk(sock *sk)
{
    return static_cast<tcp_sock *>(sk);
}
inline const tcp_sock *tcp_sk(const sock *sk)
{
    return static_cast<const tcp_sock *>(sk);
}
constexpr u8 TCP_NAGLE_OFF = 1, TCP_NAGLE_CORK = 2, TCP_NAGLE_PUSH = 4;
constexpr u16 TCP_URG_VALID = 0x100, TCP_URG_NOTYET = 0x200, TCP_URG_READ = 0x400;
/// tsq_flags: what a softirq left for tcp_release_cb because a process owned the socket (atlas §26.4).
constexpr u32 TSQ_THROTTLED = 1, TSQ_QUEUED = 2, TCP_TSQ_DEFERRED = 4, TCP_WRITE_TIMER_DEFERRED = 8,
              TCP_DELACK_TIMER_DEFERRED = 16, TCP_MTU_REDUCED_DEFERRED = 32;

/// Milliseconds since boot, 32 bits: the clock of timestamps and of all TCP times (Linux tcp_time_stamp).
inline u32 tcp_time_stamp()
{
    return static_cast<u32>(jiffies());
}

/// Seconds, the clock of ts_recent_stamp; never 0, which means that there is none.
inline u64 tcp_seconds()
{
    return jiffies() / HZ + 1;
}
/// RFC 7323 §5: a remembered timestamp older than this says nothing; an RST is believed after a maximum segment life.
constexpr u64 TCP_PAWS_24DAYS = 24 * 24 * 3600, TCP_PAWS_MSL = 60;
constexpr s32 TCP_PAWS_WINDOW = 1;
inline bool tcp_paws_check(const tcp_options_received *rx, s32 paws_win)
{
    return static_cast<s32>(rx->ts_recent - rx->rcv_tsval) <= paws_win ||
           tcp_seconds() >= rx->ts_recent_stamp + TCP_PAWS_24DAYS || !rx->ts_recent;
}
inline bool tcp_paws_reject(const tcp_options_received *rx, bool rst)
{
    return !tcp_paws_check(rx, 0) && !(rst && tcp_seconds() >= rx->ts_recent_stamp + TCP_PAWS_MSL);
}

// --- sysctls (3.10's names and defaults; /proc/sys/net/ipv4, sysctl_net_ipv4.cc) -----------------------------------------------
extern int sysctl_tcp_timestamps, sysctl_tcp_window_scaling, sysctl_tcp_sack, sysctl_tcp_dsack,
    sysctl_tcp_fack, sysctl_tcp_ecn, sysctl_tcp_retrans_collapse, sysctl_tcp_syn_retries,
    sysctl_tcp_synack_retries, sysctl_tcp_keepalive_time, sysctl_tcp_keepalive_intvl,
    sysctl_tcp_keepalive_probes, sysctl_tcp_retries1, sysctl_tcp_retries2,
    sysctl_tcp_orphan_retries, sysctl_tcp_fin_timeout, sysctl_tcp_syncookies,
    sysctl_tcp_max_syn_backlog, sysctl_tcp_abort_on_overflow, sysctl_tcp_max_orphans,
    sysctl_tcp_max_tw_buckets, sysctl_tcp_tw_reuse, sysctl_tcp_tw_recycle, sysctl_tcp_rfc1337,
    sysctl_tcp_stdurg, sysctl_tcp_low_latency, sysctl_tcp_reordering, sysctl_tcp_app_win,
    sysctl_tcp_adv_win_scale, sysctl_tcp_moderate_rcvbuf, sysctl_tcp_tso_win_divisor,
    sysctl_tcp_early_retrans, sysctl_tcp_frto, sysctl_tcp_slow_start_after_idle,
    sysctl_tcp_workaround_signed_windows, sysctl_tcp_limit_output_bytes,
    sysctl_tcp_challenge_ack_limit, sysctl_tcp_no_metrics_save, sysctl_tcp_base_mss,
    sysctl_tcp_mtu_probing, sysctl_tcp_thin_linear_timeouts, sysctl_tcp_max_ssthresh;
extern int sysctl_tcp_rmem[3], sysctl_tcp_wmem[3];
extern s64 sysctl_tcp_mem[3];                 // pages: low, pressure, high
extern std::atomic<s64> tcp_memory_allocated; // pages
extern std::atomic<int> tcp_memory_pressure, tcp_orphan_count, tcp_sockets_allocated;
/// Publish them (sysctl_tcp.cc). Boot, by tcp_init().
void sysctl_tcp_init();

// --- tcp_ipv4*.cc -------------------------------------------------------------------------------------------------------
int tcp_v4_rcv(sk_buff *skb); // handler in inet_protos. [S]
/// Before routing: a segment of a connection gets its socket (referenced, sock_edemux drops it), and the route of the
/// connection's last segment while that holds, by the same device. Not of listeners or TIME_WAIT. [S] RCU
void tcp_v4_early_demux(sk_buff *skb);
void tcp_v4_err(sk_buff *skb, u32 info); // ICMP about a segment of ours. [S]
/// ICMP said that the path's MTU shrank to mtu_info: route, MSS, retransmission. Socket lock held.
void tcp_v4_mtu_reduced(sock *sk);
int tcp_v4_do_rcv(sock *sk, sk_buff *skb); // sk_backlog_rcv: by state (atlas §8). Consumes skb.
result<void> tcp_v4_connect(sock *sk, sockaddr_storage *a, int len); // [P]
/// RST as answer to skb (never to an RST). sk may be null. [S]
void tcp_v4_send_reset(sock *sk, sk_buff *skb);
/// ACK without a full socket, for TIME_WAIT and half-open connections. [S]
void tcp_v4_send_ack(sk_buff *skb, u32 seq, u32 ack, u32 win, u32 ts, u32 tsecr, u32 oif, u8 tos);
/// A SYN for a listener (atlas §15): request, SYN-ACK, or counted drop. Does not consume skb. 0. [S]
int tcp_v4_conn_request(sock *sk, sk_buff *skb);
/// The child of a finished handshake; null: accept queue full (counted) or no memory. [S]
sock *tcp_v4_syn_recv_sock(sock *sk, sk_buff *skb, request_sock *req, rtable *rt);
/// The pseudo-header part of a segment about to be sent: CHECKSUM_PARTIAL for the device or lo, else computed.
void tcp_v4_send_check(sock *sk, sk_buff *skb);
/// The same with the addresses given, for a segment without a socket's.
void __tcp_v4_send_check(sk_buff *skb, be32 saddr, be32 daddr);
/// The pseudo-header's sum for a segment of `len` bytes (0: the device adds the length of each); the device or lo does the rest.
void __tcp_v4_send_check_len(sk_buff *skb, be32 saddr, be32 daddr, u32 len);
/// MSS that we announce for a route: the device's MTU less basic headers (Linux dst_metric_advmss).
inline u32 tcp_default_advmss(const dst_entry *dst)
{
    return min(max(dst->dev->mtu, 296u) - 40, 65535u - 40);
}
/// RFC 6528: keyed hash of the 4-tuple plus a clock of 64 ns ticks.
u32 secure_tcp_sequence_number(be32 saddr, be32 daddr, be16 sport, be16 dport);
/// Stateless SYN-ACKs (atlas §17). cookie_v4_check: the child, the listener itself (no cookie), or null (dropped). [S]
u32 cookie_v4_init_sequence(sock *sk, const sk_buff *skb, u16 *mss);
sock *cookie_v4_check(sock *sk, sk_buff *skb);
/// TSval of a cookie's SYN-ACK: its low bits carry what the peer's options offered.
u32 cookie_init_timestamp(request_sock *req);
extern request_sock_ops tcp_request_sock_ops;
/// A request for a SYN, filled from it and its options; null: no memory. [S]
inet_request_sock *tcp_openreq_alloc(const sk_buff *skb, const tcp_options_received *rx);

// --- tcp_minisocks.cc ----------------------------------------------------------------------------------------------------
enum tcp_tw_status : u8 { TCP_TW_SUCCESS, TCP_TW_RST, TCP_TW_ACK, TCP_TW_SYN };
/// A segment for TIME_WAIT: drop, RST, ACK, or an acceptable SYN. [S]
tcp_tw_status tcp_timewait_state_process(inet_timewait_sock *tw, sk_buff *skb, const tcphdr *th);
/// Segment [seq, end_seq) touches the window [s_win, e_win) (RFC 9293 §3.10.7.4, first check).
bool tcp_in_window(u32 seq, u32 end_seq, u32 s_win, u32 e_win);
/// sk becomes a TIME_WAIT object (substate TIME_WAIT or FIN_WAIT2) for `timeo` jiffies; sk is done.
void tcp_time_wait(sock *sk, u8 state, u32 timeo);
/// A segment for a half-open connection: the child, sk itself (goes on as for the listener), or null (handled). [S]
sock *tcp_check_req(sock *sk, sk_buff *skb, request_sock *req, request_sock **prev);
sock *tcp_create_openreq_child(sock *sk, inet_request_sock *req, sk_buff *skb);
/// First segment of a child, in its listener's softirq: state machine, then wake accept. [S]
int tcp_child_process(sock *parent, sock *child, sk_buff *skb);

// --- tcp.cc, tcp_send.cc, tcp_recv.cc, tcp_options.cc ------------------------------------------------------------------------
extern proto tcp_prot;
int tcp_proc_init(); // /proc/net/tcp and the dumps of debugfs (tcp_proc.cc). Boot.
void tcp_init();     // hash tables, caches, limits from memory size (atlas §1). Boot.
result<void> tcp_init_sock(sock *sk);
void tcp_v4_destroy_sock(sock *sk);
void tcp_close(sock *sk, s64 timeout);
result<void> tcp_disconnect(sock *sk, u32 flags);
void tcp_shutdown(sock *sk, int how);
/// CLOSE with everything undone; sk_shutdown full, sleepers woken.
void tcp_done(sock *sk);
/// The only way to change the state: MIB, hash tables, port.
void tcp_set_state(sock *sk, u8 state);
u32 tcp_poll(file *f, socket *s, poll_table *pt);
result<s64> tcp_ioctl(sock *sk, u32 cmd, u64 arg);
result<size_t> tcp_sendmsg(sock *sk, msghdr *m, size_t len);
result<size_t> tcp_recvmsg(sock *sk, msghdr *m, size_t len, u32 flags);
result<void> tcp_setsockopt(sock *sk, int level, int name, user_ptr<const void> val, unsigned len);
result<void> tcp_getsockopt(sock *sk, int level, int name, user_ptr<void> val, user_ptr<int> len);
/// Window update to the peer after the reader took bytes, if it is worth a segment.
void tcp_cleanup_rbuf(sock *sk, int copied);
/// Take bytes without copying to a user (splice, sendfile, unit tests).
void tcp_rcv_space_adjust(sock *sk);
/// Segment size and, through *size_goal, bytes worth one skb (TSO: many segments).
u32 tcp_send_mss(sock *sk, u32 *size_goal, u32 flags);
/// Memory of the protocol (sk_stream_*, sk_mem_*; net/core/stream.cc): false when over tcp_mem or out of memory.
bool sk_wmem_schedule(sock *sk, u32 size);
bool sk_rmem_schedule(sock *sk, u32 size);
void sk_mem_reclaim(sock *sk);
void sk_mem_uncharge(sock *sk, u32 size);
sk_buff *sk_stream_alloc_skb(sock *sk, u32 size, gfp flags);
void sk_stream_write_space(sock *sk);
result<void> sk_stream_wait_connect(sock *sk, s64 *timeo);
result<void> sk_stream_wait_memory(sock *sk, s64 *timeo);
void sk_stream_wait_close(sock *sk, s64 timeo);
errno_t sk_stream_error(sock *sk, u32 flags, errno_t err);
void sk_stream_kill_queues(sock *sk);
inline bool sk_stream_memory_free(const sock *sk)
{
    return tcp_sk(sk)->sk_wmem_queued < static_cast<u32>(sk->sk_sndbuf);
}
/// Free one packet of the write queue.
void sk_wmem_free_skb(sock *sk, sk_buff *skb);

// --- tcp_input*.cc -------------------------------------------------------------------------------------------------------
/// ESTABLISHED. Consumes skb. 0; non-zero: answer with RST (skb then still the caller's).
int tcp_rcv_established(sock *sk, sk_buff *skb);
/// Every other state but LISTEN's requests and TIME_WAIT. 0: consumed or to be freed by *caller* when it says so; 1: answer with RST.
/// As in Linux: on return 0 the skb was consumed unless the state says discard, which frees inside.
int tcp_rcv_state_process(sock *sk, sk_buff *skb);
/// Options of a segment into rx (estab: on an established connection, SYN options are ignored).
void tcp_parse_options(const sk_buff *skb, tcp_options_received *rx, bool estab);
void tcp_initialize_rcv_mss(sock *sk);
void tcp_init_buffer_space(sock *sk);
void tcp_init_metrics(sock *sk);
void tcp_finish_connect(sock *sk, sk_buff *skb);
void tcp_enter_cwr(sock *sk, bool set_ssthresh);
void tcp_enter_loss(sock *sk, bool how);
void tcp_reset(sock *sk);
void tcp_valid_rtt_meas(sock *sk, u32 rtt);
void tcp_synack_rtt_meas(sock *sk, request_sock *req);
void tcp_enter_quickack_mode(sock *sk);
void tcp_data_snd_check(sock *sk);
/// Direct segments into the queue of a receive buffer that has room: prune, collapse. 0 or -ENOMEM.
int tcp_try_rmem_schedule(sock *sk, sk_buff *skb, u32 size);
void tcp_fin(sock *sk);
void tcp_simple_retransmit(sock *sk);
void tcp_resume_early_retransmit(sock *sk);
/// A reader sleeps: leave the segment to it (atlas §8). True when taken. [S]
bool tcp_prequeue(sock *sk, sk_buff *skb);
inline u32 tcp_receive_window(const tcp_sock *tp)
{
    s32 win = static_cast<s32>(tp->rcv_wup + tp->rcv_wnd - tp->rcv_nxt);
    return win < 0 ? 0 : static_cast<u32>(win);
}
inline u32 tcp_wnd_end(const tcp_sock *tp)
{
    return tp->snd_una + tp->snd_wnd;
}
inline u32 tcp_left_out(const tcp_sock *tp)
{
    return tp->sacked_out + tp->lost_out;
}
inline u32 tcp_packets_in_flight(const tcp_sock *tp)
{
    return tp->packets_out - tcp_left_out(tp) + tp->retrans_out;
}

// --- tcp_output*.cc ------------------------------------------------------------------------------------------------------
/// Send the SYN (row C-05). 0 or -errno (only ECONNREFUSED).
int tcp_connect(sock *sk);
/// SYN-ACK of a request, referenced by nobody else; null: no memory. dst is held inside. [S]
sk_buff *tcp_make_synack(sock *sk, rtable *rt, request_sock *req);
void tcp_send_fin(sock *sk);
void tcp_send_active_reset(sock *sk, gfp flags);
/// Simultaneous open: answer a SYN in SYN_SENT. 0 or -errno.
int tcp_send_synack(sock *sk);
void tcp_send_ack(sock *sk);
void tcp_send_delayed_ack(sock *sk);
void tcp_push_one(sock *sk, u32 mss_now);
/// Send what Nagle, windows and cwnd allow.
void __tcp_push_pending_frames(sock *sk, u32 cur_mss, u8 nonagle);
bool tcp_write_xmit(sock *sk, u32 mss_now, u8 nonagle, int push_one, gfp flags);
int tcp_retransmit_skb(sock *sk, sk_buff *skb);
int __tcp_retransmit_skb(sock *sk, sk_buff *skb);
void tcp_xmit_retransmit_queue(sock *sk);
int tcp_fragment(sock *sk, sk_buff *skb, u32 len, u32 mss_now);
int tcp_trim_head(sock *sk, sk_buff *skb, u32 len);
void tcp_send_loss_probe(sock *sk);
bool tcp_schedule_loss_probe(sock *sk);
void tcp_send_probe0(sock *sk);
int tcp_write_wakeup(sock *sk);
u32 tcp_sync_mss(sock *sk, u32 pmtu);
u32 tcp_current_mss(sock *sk);
u32 tcp_mtu_to_mss(sock *sk, u32 pmtu);
/// Packet size that a route carries, at most IPv4's 65520 (Linux ipv4_mtu); the MSS to announce on it (ipv4_default_advmss).
inline u32 tcp_dst_mtu(const dst_entry *d)
{
    return min(dst_mtu(d), 0xfff0u);
}
inline u32 tcp_dst_advmss(const dst_entry *d)
{
    return min(max(d->dev->mtu - 40, 256u), 65535u - 40);
}
void tcp_mtup_init(sock *sk);
u32 __tcp_select_window(sock *sk);
void tcp_select_initial_window(u32 space, u32 mss, u32 *rcv_wnd, u32 *window_clamp, bool wscale_ok,
                               u8 *rcv_wscale, u32 init_rcv_wnd);
void tcp_cwnd_restart(sock *sk);
void tcp_wfree(sk_buff *skb);  // destructor of what was sent: TSQ. Any context.
void tcp_release_cb(sock *sk); // what softirqs left while the socket was owned. [P]
void tcp_tasklet_init();       // TSQ. Boot.
/// Make queued data go out / the hashed reader wait: the write queue.
inline sk_buff *tcp_write_queue_head(const sock *sk)
{
    return skb_peek(&sk->sk_write_queue);
}
inline sk_buff *tcp_send_head(const sock *sk)
{
    return tcp_sk(sk)->sk_send_head;
}
inline u32 tcp_skb_pcount(const sk_buff *skb)
{
    return skb_shinfo(skb)->gso_segs ? skb_shinfo(skb)->gso_segs : 1;
}

// --- tcp_timer.cc --------------------------------------------------------------------------------------------------------
void tcp_init_xmit_timers(sock *sk);
void tcp_write_timer(timer_list *t);     // [T]
void tcp_delack_timer(timer_list *t);    // [T]
void tcp_keepalive_timer(timer_list *t); // [T]
void tcp_write_timer_handler(sock *sk);
void tcp_delack_timer_handler(sock *sk);
void tcp_retransmit_timer(sock *sk);
void tcp_rearm_rto(sock *sk);
void tcp_set_rto(sock *sk);
void tcp_set_keepalive(sock *sk, bool on);
inline u32 keepalive_time_when(const tcp_sock *tp)
{
    return tp->keepalive_time ? tp->keepalive_time
                              : static_cast<u32>(sysctl_tcp_keepalive_time) * TCP_HZ;
}
inline u32 keepalive_intvl_when(const tcp_sock *tp)
{
    return tp->keepalive_intvl ? tp->keepalive_intvl
                               : static_cast<u32>(sysctl_tcp_keepalive_intvl) * TCP_HZ;
}
inline u32 tcp_fin_time(const sock *sk)
{
    const tcp_sock *tp = tcp_sk(sk);
    u32 fin = tp->linger2 ? static_cast<u32>(tp->linger2)
                          : static_cast<u32>(sysctl_tcp_fin_timeout) * TCP_HZ;
    u32 rto = tp->icsk_rto;
    return fin < (rto << 2) - (rto >> 1) ? (rto << 2) - (rto >> 1) : fin;
}

// --- tcp_cong.cc ---------------------------------------------------------------------------------------------------------
/// A congestion control (RFC 5681 by "reno"; "cubic", RFC 8312, is 3.10's default).
struct tcp_congestion_ops {
    const char *name;
    bool non_restricted; // every user may choose it
    void (*init)(sock *sk);
    void (*release)(sock *sk);
    u32 (*ssthresh)(sock *sk);
    u32 (*min_cwnd)(const sock *sk);
    void (*cong_avoid)(sock *sk, u32 ack, u32 in_flight);
    void (*set_state)(sock *sk, u8 new_state);
    void (*cwnd_event)(sock *sk, tcp_ca_event ev);
    u32 (*undo_cwnd)(sock *sk);
    void (*pkts_acked)(sock *sk, u32 num_acked, s32 rtt_us);
    void (*get_info)(sock *sk, u32 ext, sk_buff *skb);
    tcp_congestion_ops *next;
};
int tcp_register_congestion_control(tcp_congestion_ops *ca);
/// The files of /proc/sys that name the algorithms. Boot.
void tcp_cong_sysctl_init();
void tcp_init_congestion_control(sock *sk);
void tcp_cleanup_congestion_control(sock *sk);
/// TCP_CONGESTION: ENOENT, EPERM. [P]
result<void> tcp_set_congestion_control(sock *sk, const char *name);
u32 tcp_slow_start(tcp_sock *tp);
void tcp_cong_avoid_ai(tcp_sock *tp, u32 w);
u32 tcp_reno_ssthresh(sock *sk);
void tcp_reno_cong_avoid(sock *sk, u32 ack, u32 in_flight);
u32 tcp_reno_min_cwnd(const sock *sk);
/// cwnd is what limits us: it may grow.
bool tcp_is_cwnd_limited(const sock *sk, u32 in_flight);
extern tcp_congestion_ops tcp_reno, tcp_cubic;

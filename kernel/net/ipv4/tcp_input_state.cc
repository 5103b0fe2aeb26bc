// SPDX-License-Identifier: MIT
// The connection's states other than ESTABLISHED (Linux net/ipv4/tcp_input.c tcp_rcv_state_process, tcp_rcv_synsent_state_process;
// RFC 9293 §3.10.7). Socket lock held; softirq, backlog or prequeue.

#include "net/core/sock_async.h"
#include "net/ipv4/tcp_ecn.h"

static u64 seconds()
{
    return ktime_get() / NSEC_PER_SEC;
}

void tcp_finish_connect(sock *sk, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    tcp_set_state(sk, TCP_ESTABLISHED);
    if (skb)
        tp->icsk_ack.lrcvtime = tcp_time_stamp();
    tcp_init_metrics(sk);
    tcp_init_congestion_control(sk);
    tp->lsndtime = tcp_time_stamp(); // a pause between SYN and first data is none
    tcp_init_buffer_space(sk);
    if (sock_flag(sk, SOCK_KEEPOPEN))
        inet_csk_reset_keepalive_timer(sk, keepalive_time_when(tp));
    if (!tp->rx_opt.snd_wscale)
        __tcp_fast_path_on(tp, tp->snd_wnd);
    else
        tp->pred_flags = 0;
    if (sock_flag(sk, SOCK_DEAD))
        return;
    sk->sk_state_change(sk);
    sk_wake_async(sk, sock_wake::io, POLL_OUT);
}

// --- SYN_SENT ------------------------------------------------------------------------------------------------------------------------------

/// What both kinds of SYN tell: window, scale, options.
static void take_peer_options(sock *sk, const sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    const tcphdr *th = tcp_hdr(skb);
    tcp_ecn_rcv_syn(tp, th);
    tp->rcv_nxt = TCP_SKB_CB(skb)->seq + 1;
    tp->rcv_wup = tp->rcv_nxt;
    tp->snd_wl1 = TCP_SKB_CB(skb)->seq;
    tp->snd_wnd = ntohs(th->window); // never scaled in a SYN
    tp->max_window = max(tp->max_window, tp->snd_wnd);
    if (!tp->rx_opt.wscale_ok) {
        tp->rx_opt.snd_wscale = tp->rx_opt.rcv_wscale = 0;
        tp->window_clamp = min(tp->window_clamp, 65535u);
    }
    tp->tcp_header_len = sizeof(tcphdr);
    if (tp->rx_opt.saw_tstamp) {
        tp->rx_opt.tstamp_ok = 1;
        tp->tcp_header_len = sizeof(tcphdr) + TCPOLEN_TSTAMP_ALIGNED;
        tp->advmss -= TCPOLEN_TSTAMP_ALIGNED;
        tp->rx_opt.ts_recent = tp->rx_opt.rcv_tsval;
        tp->rx_opt.ts_recent_stamp = seconds();
    } else {
        tp->rx_opt.tstamp_ok = 0;
    }
    if (tp->rx_opt.sack_ok && sysctl_tcp_fack)
        tp->rx_opt.sack_ok |= TCP_FACK_ENABLED;
    tcp_sync_mss(sk, tp->icsk_pmtu_cookie);
    tcp_initialize_rcv_mss(sk);
    tp->copied_seq = tp->rcv_nxt;
}

/// SYN and ACK of ours: connected. 0, or -1: the caller sends an ACK unless it was put off.
static int synsent_established(sock *sk, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    tcp_ack(sk, skb, FLAG_SLOWPATH);
    take_peer_options(sk, skb);
    smp_mb();
    tcp_finish_connect(sk, skb);
    if (tp->sk_write_pending || tp->icsk_accept_queue.rskq_defer_accept || tp->icsk_ack.pingpong) {
        // Somebody has data ready: the ACK rides on it.
        inet_csk_schedule_ack(sk);
        tp->icsk_ack.lrcvtime = tcp_time_stamp();
        tcp_enter_quickack_mode(sk);
        inet_csk_reset_xmit_timer(sk, ICSK_TIME_DACK, TCP_DELACK_MAX, TCP_RTO_MAX);
        kfree_skb(skb);
        return 0;
    }
    tcp_send_ack(sk);
    kfree_skb(skb);
    return 0;
}

/// A segment in SYN_SENT (RFC 9293 §3.10.7.3). 1: answer with RST, skb still the caller's; 0: consumed.
static int rcv_synsent(sock *sk, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    const tcphdr *th = tcp_hdr(skb);
    u16 saved_clamp = tp->rx_opt.mss_clamp;
    tcp_parse_options(skb, &tp->rx_opt, false);
    if (th->ack) {
        const tcp_skb_cb *tcb = TCP_SKB_CB(skb);
        bool ack_ok = after(tcb->ack_seq, tp->snd_una) && !after(tcb->ack_seq, tp->snd_nxt);
        // The timestamp must be one that we sent.
        bool ts_ok = !tp->rx_opt.saw_tstamp || !tp->rx_opt.rcv_tsecr ||
                     between(tp->rx_opt.rcv_tsecr, tp->retrans_stamp, tcp_time_stamp());
        if (!ack_ok || !ts_ok) {
            if (ack_ok)
                NET_INC_STATS(LINUX_MIB_PAWSActive);
            tp->rx_opt.mss_clamp = saved_clamp;
            return 1;
        }
        if (th->rst) {
            tcp_reset(sk);
            kfree_skb(skb);
            return 0;
        }
        if (!th->syn) {
            tp->rx_opt.mss_clamp = saved_clamp;
            kfree_skb(skb);
            return 0;
        }
        return synsent_established(sk, skb);
    }
    if (th->rst || !th->syn) {
        tp->rx_opt.mss_clamp = saved_clamp;
        kfree_skb(skb);
        return 0;
    }
    // A SYN without ACK: both sides connect at once.
    tcp_set_state(sk, TCP_SYN_RECV);
    take_peer_options(sk, skb);
    tcp_send_synack(sk);
    kfree_skb(skb);
    return 0;
}

// --- Later states ----------------------------------------------------------------------------------------------------------------------------

/// The ACK of our SYN in SYN_RECV. False: wrong, answer with RST.
static bool ack_in_syn_recv(sock *sk, sk_buff *skb, int acceptable)
{
    tcp_sock *tp = tcp_sk(sk);
    if (acceptable <= 0)
        return false;
    tp->copied_seq = tp->rcv_nxt;
    smp_mb();
    tcp_set_state(sk, TCP_ESTABLISHED);
    sk->sk_state_change(sk);
    tp->snd_una = TCP_SKB_CB(skb)->ack_seq;
    tp->snd_wnd = u32{ntohs(tcp_hdr(skb)->window)} << tp->rx_opt.snd_wscale;
    tp->snd_wl1 = TCP_SKB_CB(skb)->seq;
    if (tp->rx_opt.tstamp_ok)
        tp->advmss -= TCPOLEN_TSTAMP_ALIGNED;
    tcp_init_metrics(sk);
    tcp_init_congestion_control(sk);
    // Not a slow start after a pause.
    tp->lsndtime = tcp_time_stamp();
    tcp_initialize_rcv_mss(sk);
    tcp_init_buffer_space(sk);
    tcp_fast_path_on(tp);
    // The SYN-ACK's round trip is a sample (RFC 6298 §2.2) unless tcp_ack() took one.
    return true;
}

/// Our FIN is acknowledged in FIN_WAIT1. 1: RST, skb the caller's; 0: go on; -1: skb consumed, the sock is gone.
static int fin_acked_in_fin_wait1(sock *sk, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    const tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    const tcphdr *th = tcp_hdr(skb);
    tcp_set_state(sk, TCP_FIN_WAIT2);
    sk->sk_shutdown |= SEND_SHUTDOWN;
    if (auto *rt = static_cast<rtable *>(sk->sk_dst_cache))
        ip_confirm_neighbour(rt, tp->inet_daddr);
    if (!sock_flag(sk, SOCK_DEAD)) {
        sk->sk_state_change(sk); // wake a lingering close
        return 0;
    }
    if (tp->linger2 < 0 ||
        (tcb->end_seq != tcb->seq && after(tcb->end_seq - th->fin, tp->rcv_nxt))) {
        tcp_done(sk);
        NET_INC_STATS(LINUX_MIB_TCPAbortOnData);
        return 1; // data for nobody: RST
    }
    u32 fin_time = tcp_fin_time(sk);
    if (fin_time > TCP_TIMEWAIT_LEN) {
        inet_csk_reset_keepalive_timer(sk, fin_time - TCP_TIMEWAIT_LEN);
    } else if (th->fin || sock_owned_by_user(sk)) {
        // The FIN is looked at below, or the owner is on its way out; the timer is there in case.
        inet_csk_reset_keepalive_timer(sk, fin_time);
    } else {
        tcp_time_wait(sk, TCP_FIN_WAIT2, fin_time);
        kfree_skb(skb);
        return -1;
    }
    return 0;
}

/// ACK processing of states behind SYN_SENT. 1: RST, skb the caller's; 0: go on; -1: consumed.
static int state_ack(sock *sk, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    int acceptable = tcp_ack(sk, skb, FLAG_SLOWPATH | FLAG_UPDATE_TS_RECENT);
    switch (sk->sk_state) {
    case TCP_SYN_RECV:
        if (!ack_in_syn_recv(sk, skb, acceptable))
            return 1;
        break;
    case TCP_FIN_WAIT1:
        if (tp->snd_una == tp->write_seq)
            return fin_acked_in_fin_wait1(sk, skb);
        break;
    case TCP_CLOSING:
        if (tp->snd_una == tp->write_seq) {
            tcp_time_wait(sk, TCP_TIME_WAIT, 0);
            kfree_skb(skb);
            return -1;
        }
        break;
    case TCP_LAST_ACK:
        if (tp->snd_una == tp->write_seq) {
            tcp_done(sk);
            kfree_skb(skb);
            return -1;
        }
        break;
    default:
        break;
    }
    return 0;
}

/// Text and FIN by state (seventh and eighth step of RFC 9293 §3.10.7.4). 1: RST, skb the caller's.
static int state_data(sock *sk, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    const tcp_skb_cb *tcb = TCP_SKB_CB(skb);
    switch (sk->sk_state) {
    case TCP_CLOSE_WAIT:
    case TCP_CLOSING:
    case TCP_LAST_ACK:
        if (!before(tcb->seq, tp->rcv_nxt))
            break; // behind the peer's FIN
        [[fallthrough]];
    case TCP_FIN_WAIT1:
    case TCP_FIN_WAIT2:
        // Nobody will read this: say so (RFC 1122 §4.2.2.13).
        if ((sk->sk_shutdown & RCV_SHUTDOWN) && tcb->end_seq != tcb->seq &&
            after(tcb->end_seq - tcp_hdr(skb)->fin, tp->rcv_nxt)) {
            NET_INC_STATS(LINUX_MIB_TCPAbortOnData);
            tcp_reset(sk);
            return 1;
        }
        [[fallthrough]];
    case TCP_ESTABLISHED:
        tcp_data_queue(sk, skb);
        skb = nullptr;
        break;
    default:
        break;
    }
    if (sk->sk_state != TCP_CLOSE) { // tcp_data_queue may have ended it
        tcp_data_snd_check(sk);
        tcp_ack_snd_check(sk);
    }
    if (skb)
        kfree_skb(skb);
    return 0;
}

int tcp_rcv_state_process(sock *sk, sk_buff *skb)
{
    tcp_sock *tp = tcp_sk(sk);
    const tcphdr *th = tcp_hdr(skb);
    tp->rx_opt.saw_tstamp = 0;
    switch (sk->sk_state) {
    case TCP_CLOSE:
        kfree_skb(skb);
        return 0;
    case TCP_LISTEN:
        if (th->ack)
            return 1;
        if (!th->rst && th->syn && !th->fin && tcp_v4_conn_request(sk, skb) < 0)
            return 1;
        kfree_skb(skb);
        return 0;
    case TCP_SYN_SENT: {
        int r = rcv_synsent(sk, skb);
        if (r)
            return r;
        if (sk->sk_state != TCP_CLOSE)
            tcp_data_snd_check(sk);
        return 0;
    }
    default:
        break;
    }
    if (skb->len < th->doff * 4u || tcp_checksum_wrong(skb)) {
        TCP_INC_STATS(TCP_MIB_InErrs);
        kfree_skb(skb);
        return 0;
    }
    if (!th->ack && !th->rst && !th->syn) {
        kfree_skb(skb);
        return 0;
    }
    if (!tcp_validate_incoming(sk, skb, th, false))
        return 0;
    if (!th->ack) {
        kfree_skb(skb);
        return 0;
    }
    if (int r = state_ack(sk, skb))
        return r > 0;
    tcp_urg(sk, skb, th);
    return state_data(sk, skb);
}

// SPDX-License-Identifier: MIT
// TIME_WAIT: how a connection comes to it, and what segments do there (Linux net/ipv4/tcp_minisocks.c tcp_time_wait,
// tcp_timewait_state_process; RFC 9293 §3.10.7.4, RFC 1337, RFC 7323 §5; atlas §19; rows G-07, Y-05). BH off.

#include "net/ipv4/tcp.h"

void tcp_time_wait(sock *sk, u8 state, u32 timeo)
{
    const tcp_sock *tp = tcp_sk(sk);
    inet_timewait_sock *tw = inet_twsk_alloc(sk, state);
    if (tw) {
        bh_guard b;
        u32 rto = (tp->icsk_rto << 2) - (tp->icsk_rto >> 1);
        tw->tw_rcv_wscale = tp->rx_opt.rcv_wscale;
        tw->tw_rcv_nxt = tp->rcv_nxt;
        tw->tw_snd_nxt = tp->snd_nxt;
        tw->tw_rcv_wnd = tcp_receive_window(tp);
        tw->tw_ts_recent = tp->rx_opt.ts_recent;
        tw->tw_ts_recent_stamp = tp->rx_opt.ts_recent_stamp;
        __inet_twsk_hashdance(tw, sk);
        // Long enough for our last ACK to be sent again.
        timeo = max(timeo, rto);
        tw->tw_timeout = TCP_TIMEWAIT_LEN;
        inet_twsk_schedule(tw, state == TCP_TIME_WAIT ? TCP_TIMEWAIT_LEN : timeo);
        inet_twsk_put(tw);
    } else {
        // Too many: just closed. The peer's last FIN may then be answered with RST.
        NET_INC_STATS(LINUX_MIB_TCPTimeWaitOverflow);
    }
    tcp_done(sk);
}

static tcp_tw_status tw_kill(inet_timewait_sock *tw, tcp_tw_status status)
{
    inet_twsk_deschedule(tw);
    inet_twsk_put(tw);
    return status;
}

static tcp_tw_status tw_drop(inet_timewait_sock *tw)
{
    inet_twsk_put(tw);
    return TCP_TW_SUCCESS;
}

/// FIN_WAIT2 without a process: only the peer's FIN is welcome, for new data nobody is there.
static tcp_tw_status fin_wait2_process(inet_timewait_sock *tw, const sk_buff *skb, const tcphdr *th,
                                       const tcp_options_received &rx, bool paws_reject)
{
    const tcp_skb_cb *cb = TCP_SKB_CB(skb);
    if (paws_reject ||
        !tcp_in_window(cb->seq, cb->end_seq, tw->tw_rcv_nxt, tw->tw_rcv_nxt + tw->tw_rcv_wnd))
        return TCP_TW_ACK;
    if (th->rst)
        return tw_kill(tw, TCP_TW_SUCCESS);
    if (th->syn && !before(cb->seq, tw->tw_rcv_nxt))
        return tw_kill(tw, TCP_TW_RST);
    if (!th->ack || !after(cb->end_seq, tw->tw_rcv_nxt) || cb->end_seq == cb->seq)
        return tw_drop(tw);
    if (!th->fin || cb->end_seq != tw->tw_rcv_nxt + 1)
        return tw_kill(tw, TCP_TW_RST);
    tw->tw_substate = TCP_TIME_WAIT;
    tw->tw_rcv_nxt = cb->end_seq;
    if (rx.saw_tstamp) {
        tw->tw_ts_recent_stamp = tcp_seconds();
        tw->tw_ts_recent = rx.rcv_tsval;
    }
    inet_twsk_schedule(tw, TCP_TIMEWAIT_LEN);
    return TCP_TW_ACK;
}

/// The number with which a connection may start anew from this TIME_WAIT; never 0, that means none.
static u32 tw_new_isn(const inet_timewait_sock *tw)
{
    u32 isn = tw->tw_snd_nxt + 65535 + 2;
    return isn ? isn : 1;
}

/// Exactly at the end of the window and empty, or RST: part of the old connection.
static tcp_tw_status tw_in_window(inet_timewait_sock *tw, const tcphdr *th,
                                  const tcp_options_received &rx)
{
    if (th->rst && !read_once(sysctl_tcp_rfc1337)) // RFC 1337 warns of this
        return tw_kill(tw, TCP_TW_SUCCESS);
    inet_twsk_schedule(tw, TCP_TIMEWAIT_LEN);
    if (rx.saw_tstamp) {
        tw->tw_ts_recent = rx.rcv_tsval;
        tw->tw_ts_recent_stamp = tcp_seconds();
    }
    return tw_drop(tw);
}

tcp_tw_status tcp_timewait_state_process(inet_timewait_sock *tw, sk_buff *skb, const tcphdr *th)
{
    tcp_skb_cb *cb = TCP_SKB_CB(skb);
    tcp_options_received rx;
    bool paws_reject = false;
    if (th->doff > sizeof(tcphdr) / 4 && tw->tw_ts_recent_stamp) {
        tcp_parse_options(skb, &rx, false);
        if (rx.saw_tstamp) {
            rx.ts_recent = tw->tw_ts_recent;
            rx.ts_recent_stamp = tw->tw_ts_recent_stamp;
            paws_reject = tcp_paws_reject(&rx, th->rst);
        }
    }
    if (tw->tw_substate == TCP_FIN_WAIT2)
        return fin_wait2_process(tw, skb, th, rx, paws_reject);
    if (!paws_reject && cb->seq == tw->tw_rcv_nxt && (cb->seq == cb->end_seq || th->rst))
        return tw_in_window(tw, th, rx);
    // A SYN that is certainly newer than the old connection starts a new one.
    bool newer = after(cb->seq, tw->tw_rcv_nxt) ||
                 (rx.saw_tstamp && static_cast<s32>(rx.ts_recent - rx.rcv_tsval) < 0);
    if (th->syn && !th->rst && !th->ack && !paws_reject && newer) {
        cb->when = tw_new_isn(tw);
        return TCP_TW_SYN;
    }
    if (paws_reject)
        NET_INC_STATS(LINUX_MIB_PAWSEstab);
    if (th->rst)
        return tw_drop(tw);
    // The peer has not seen our last ACK: wait from now. A SYN without ACK may be a new connection with an unlucky number: then
    // not, so that it succeeds in the end.
    if (paws_reject || th->ack)
        inet_twsk_schedule(tw, TCP_TIMEWAIT_LEN);
    return TCP_TW_ACK; // the caller drops the reference
}

// SPDX-License-Identifier: MIT
// SYN cookies: a half-open connection that lives in the sequence number of its SYN-ACK (Linux net/ipv4/syncookies.c; RFC 4987 §3.6;
// atlas §17; row O-03). Softirq, under the listener's slock.
//
// Number = hash(addresses) + peer's number + minutes << 24 + (hash(addresses, minutes) + class of MSS) mod 2^24. Window scale and
// SACK are remembered in the low six bits of our timestamp, if the peer sends timestamps.

#include "lib/random.h"
#include "net/ipv4/tcp.h"

constexpr u32 COOKIEBITS = 24, COOKIEMASK = (u32{1} << COOKIEBITS) - 1, MAX_SYNCOOKIE_AGE = 4;
constexpr u32 TSBITS = 6, TSMASK = (u32{1} << TSBITS) - 1, TS_NO_WSCALE = 0xf;
/// After this long without an overflow no cookie is believed any more.
constexpr u64 COOKIE_LIFE = 3 * HZ;

/// Eight classes; a peer's MSS is rounded down to one.
static constexpr u16 msstab[] = {64, 512, 536, 1024, 1440, 1460, 4312, 8960};

static u32 cookie_hash(be32 saddr, be32 daddr, be16 sport, be16 dport, u32 count, unsigned which)
{
    static u64 secret[2][2];
    static std::atomic<bool> ready;
    if (!ready.load(std::memory_order_acquire)) [[unlikely]] {
        get_random_bytes(secret, sizeof secret);
        ready.store(true, std::memory_order_release);
    }
    struct {
        be32 saddr, daddr;
        be16 sport, dport;
        u32 count;
    } k{saddr, daddr, sport, dport, count};
    return static_cast<u32>(siphash(&k, sizeof k, secret[which]));
}

static u32 minutes()
{
    return static_cast<u32>(jiffies() / (60 * HZ));
}

u32 cookie_init_timestamp(request_sock *rsk)
{
    const inet_request_sock *req = inet_rsk(rsk);
    u32 now = tcp_time_stamp();
    u32 options = req->wscale_ok ? req->snd_wscale : TS_NO_WSCALE;
    options |= u32{req->sack_ok} << 4 | u32{req->ecn_ok} << 5;
    u32 ts = (now & ~TSMASK) | options;
    return ts > now ? ts - (TSMASK + 1) : ts; // never ahead of the clock
}

u32 cookie_v4_init_sequence(sock *sk, const sk_buff *skb, u16 *mss)
{
    const iphdr *iph = ip_hdr(skb);
    const tcphdr *th = tcp_hdr(skb);
    tcp_sk(sk)->rx_opt.ts_recent_stamp = jiffies() + 1; // a listener's: when it overflowed last
    u32 index = sizeof msstab / sizeof msstab[0] - 1;
    while (index && *mss < msstab[index])
        index--;
    *mss = msstab[index];
    NET_INC_STATS(LINUX_MIB_SyncookiesSent);
    u32 count = minutes();
    return cookie_hash(iph->saddr, iph->daddr, th->source, th->dest, 0, 0) + ntohl(th->seq) +
           (count << COOKIEBITS) +
           ((cookie_hash(iph->saddr, iph->daddr, th->source, th->dest, count, 1) + index) &
            COOKIEMASK);
}

/// The MSS in a cookie, 0: it is none of ours.
static u16 cookie_check(const sk_buff *skb, u32 cookie)
{
    const iphdr *iph = ip_hdr(skb);
    const tcphdr *th = tcp_hdr(skb);
    cookie -=
        cookie_hash(iph->saddr, iph->daddr, th->source, th->dest, 0, 0) + (ntohl(th->seq) - 1);
    u32 count = minutes();
    u32 age = (count - (cookie >> COOKIEBITS)) & (~u32{0} >> COOKIEBITS);
    if (age >= MAX_SYNCOOKIE_AGE)
        return 0;
    u32 index =
        (cookie - cookie_hash(iph->saddr, iph->daddr, th->source, th->dest, count - age, 1)) &
        COOKIEMASK;
    return index < sizeof msstab / sizeof msstab[0] ? msstab[index] : 0;
}

static bool no_recent_overflow(const sock *sk)
{
    u64 last = tcp_sk(sk)->rx_opt.ts_recent_stamp;
    return !last || time_after(jiffies(), last + COOKIE_LIFE);
}

/// Options out of the timestamp that came back; false: they contradict our settings, so it was none of ours.
static bool cookie_check_timestamp(tcp_options_received *rx)
{
    rx->tstamp_ok = rx->sack_ok = rx->wscale_ok = rx->snd_wscale = 0;
    if (!rx->saw_tstamp)
        return true;
    if (!read_once(sysctl_tcp_timestamps))
        return false;
    u32 options = rx->rcv_tsecr & TSMASK;
    rx->tstamp_ok = 1;
    rx->sack_ok = options >> 4 & 1;
    if (rx->sack_ok && !read_once(sysctl_tcp_sack))
        return false;
    if ((options >> 5 & 1) && !read_once(sysctl_tcp_ecn))
        return false;
    if ((options & TS_NO_WSCALE) == TS_NO_WSCALE)
        return true;
    rx->wscale_ok = 1;
    rx->snd_wscale = options & 0xf;
    return read_once(sysctl_tcp_window_scaling) != 0;
}

/// The request as the SYN would have made it; null: no memory.
static inet_request_sock *cookie_request(const sk_buff *skb, const tcp_options_received *rx,
                                         u32 cookie, u16 mss)
{
    inet_request_sock *req = tcp_openreq_alloc(skb, rx);
    if (!req)
        return nullptr;
    req->rcv_isn = TCP_SKB_CB(skb)->seq - 1;
    req->rcv_nxt = req->rcv_isn + 1;
    req->snt_isn = cookie;
    req->mss = mss;
    req->snt_synack = rx->saw_tstamp ? rx->rcv_tsecr : 0;
    req->ecn_ok = rx->tstamp_ok && (rx->rcv_tsecr >> 5 & 1);
    // The SYN's IP options were forgotten; a peer repeats them (RFC 1122 §4.2.3.8).
    if (ip_hdr(skb)->ihl > 5) {
        ip_options opt;
        if (!ip_options_echo(&opt, skb) && opt.optlen)
            req->opt = knew<ip_options>(GFP_ATOMIC, opt);
    }
    return req;
}

sock *cookie_v4_check(sock *sk, sk_buff *skb)
{
    const tcphdr *th = tcp_hdr(skb);
    if (!read_once(sysctl_tcp_syncookies) || !th->ack || th->rst)
        return sk;
    u32 cookie = TCP_SKB_CB(skb)->ack_seq - 1;
    u16 mss = no_recent_overflow(sk) ? 0 : cookie_check(skb, cookie);
    if (!mss) {
        NET_INC_STATS(LINUX_MIB_SyncookiesFailed);
        return sk;
    }
    NET_INC_STATS(LINUX_MIB_SyncookiesRecv);
    tcp_options_received rx;
    tcp_parse_options(skb, &rx, false);
    if (!cookie_check_timestamp(&rx))
        return sk;
    inet_request_sock *req = cookie_request(skb, &rx, cookie, mss);
    if (!req)
        return nullptr;
    rtable *rt = inet_csk_route_req(sk, req);
    if (!rt) {
        reqsk_free(req);
        return nullptr;
    }
    req->window_clamp = tcp_sk(sk)->window_clamp;
    u8 rcv_wscale = 0;
    s32 space = sk->sk_rcvbuf, s = read_once(sysctl_tcp_adv_win_scale);
    space = s <= 0 ? space >> -s : space - (space >> s);
    tcp_select_initial_window(static_cast<u32>(space), req->mss, &req->rcv_wnd, &req->window_clamp,
                              req->wscale_ok, &rcv_wscale, 0);
    req->rcv_wscale = rcv_wscale & 0xf;
    sock *child = tcp_v4_syn_recv_sock(sk, skb, req, rt);
    if (child)
        inet_csk_reqsk_queue_add(sk, req, child);
    else
        reqsk_free(req);
    return child;
}

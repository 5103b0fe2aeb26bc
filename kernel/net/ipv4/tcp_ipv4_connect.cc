// SPDX-License-Identifier: MIT
// The active open over IPv4 (Linux net/ipv4/tcp_ipv4.c tcp_v4_connect; atlas §14; rows C-01…C-05), and initial sequence numbers
// (RFC 6528; Linux net/core/secure_seq.c). Process context, socket lock held.

#include "lib/random.h"
#include "net/ipv4/tcp.h"

u32 secure_tcp_sequence_number(be32 saddr, be32 daddr, be16 sport, be16 dport)
{
    static u64 key[2];
    static std::atomic<bool> ready;
    if (!ready.load(std::memory_order_acquire)) [[unlikely]] {
        // Two CPUs may come here at first: the key they use may then differ, for two connections, once.
        get_random_bytes(key, sizeof key);
        ready.store(true, std::memory_order_release);
    }
    struct {
        be32 saddr, daddr;
        be16 sport, dport;
        u32 pad;
    } tuple{saddr, daddr, sport, dport, 0};
    // A 32-bit clock of 64 ns ticks wraps in 274 s, longer than a segment lives (120 s).
    return static_cast<u32>(siphash(&tuple, sizeof tuple, key)) +
           static_cast<u32>(ktime_get() >> 6);
}

/// Route to the peer; addresses into fl.
static result<rtable *> route_connect(inet_sock *inet, const sockaddr_in *usin,
                                      const ip_options *opt, flowi4 *fl)
{
    fl->daddr = usin->sin_addr;
    if (opt && opt->srr) {
        if (!usin->sin_addr)
            return error{EINVAL};
        fl->daddr = opt->faddr;
    }
    fl->saddr = inet->inet_saddr;
    fl->oif = inet->sk_bound_dev_if;
    fl->tos = inet->tos;
    fl->proto = IPPROTO_TCP;
    fl->sport = inet->inet_sport;
    fl->dport = usin->sin_port;
    auto rt = ip_route_output_key(fl);
    if (!rt) {
        if (rt.err() == ENETUNREACH)
            IP_INC_STATS(IPSTATS_MIB_OutNoRoutes);
        return rt.fail();
    }
    if ((*rt)->rt_flags & (RTCF_MULTICAST | RTCF_BROADCAST)) {
        dst_release(*rt);
        return error{ENETUNREACH};
    }
    return *rt;
}

/// Both ends are known but for our port.
static void set_addresses(tcp_sock *tp, const sockaddr_in *usin, const ip_options *opt,
                          const flowi4 &fl)
{
    be32 daddr = opt && opt->srr ? usin->sin_addr : fl.daddr;
    if (!tp->inet_saddr)
        tp->inet_saddr = fl.saddr;
    tp->inet_rcv_saddr = tp->inet_saddr;
    if (tp->rx_opt.ts_recent_stamp && tp->inet_daddr != daddr) {
        // The socket was connected to somebody else before.
        tp->rx_opt.ts_recent = 0;
        tp->rx_opt.ts_recent_stamp = 0;
        tp->write_seq = 0;
    }
    tp->inet_dport = usin->sin_port;
    tp->inet_daddr = daddr;
    tp->icsk_ext_hdr_len = opt ? opt->optlen : 0;
    tp->rx_opt.mss_clamp = TCP_MSS_DEFAULT;
}

/// State, port, hash, first number, SYN: in this order (row C-05).
static result<void> start(tcp_sock *tp, rtable *rt)
{
    tcp_set_state(tp, TCP_SYN_SENT);
    auto r = inet_hash_connect(tp);
    if (!r) {
        dst_release(rt);
        return r;
    }
    trace(trace_event::tcp_v4_connect, static_cast<sock *>(tp), tp->inet_daddr.raw,
          ntohs(tp->inet_dport), tp->inet_num);
    sk_dst_set(tp, rt);
    if (!tp->write_seq)
        tp->write_seq = secure_tcp_sequence_number(tp->inet_saddr, tp->inet_daddr, tp->inet_sport,
                                                   tp->inet_dport);
    tp->inet_id = static_cast<u16>(tp->write_seq ^ jiffies());
    if (int err = tcp_connect(tp))
        return error{static_cast<errno_t>(-err)};
    return {};
}

result<void> tcp_v4_connect(sock *sk, sockaddr_storage *a, int len)
{
    const auto *usin = reinterpret_cast<const sockaddr_in *>(a);
    tcp_sock *tp = tcp_sk(sk);
    if (len < static_cast<int>(sizeof *usin))
        return error{EINVAL};
    if (usin->sin_family != AF_INET)
        return error{EAFNOSUPPORT};
    flowi4 fl;
    rtable *rt = TRY(route_connect(tp, usin, tp->inet_opt, &fl));
    set_addresses(tp, usin, tp->inet_opt, fl);
    auto r = start(tp, rt);
    if (!r) {
        tcp_set_state(sk, TCP_CLOSE); // leaves the hash, gives the port back unless bind() took it
        sk_dst_reset(sk);
        tp->inet_dport = be16{};
    }
    return r;
}

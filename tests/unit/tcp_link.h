// SPDX-License-Identifier: MIT
// For golden sequences of a connection that a scripted peer has opened, in virtual time.
#pragma once

#include "net/core/neighbour.h"
#include "net/ipv4/arp.h"
#include "tcp_wire.h"

/// Something to send.
inline u8 bulk[200000];

/// Let `ms` of virtual time pass.
inline void wait_ms(u64 ms)
{
    set_current_state(TASK_UNINTERRUPTIBLE);
    schedule_timeout(static_cast<s64>(ms));
}

/// The peer's link address holds for ever: these tests take hours of virtual time.
inline void link_setup(void *arg)
{
    tcp_setup(arg);
    bh_guard g;
    neighbour *n = ipv4_neigh(wire_dev(), htonl(PEER_IP));
    HOST_EXPECT(n);
    if (n)
        neigh_update(n, PEER_MAC, NUD_PERMANENT, NEIGH_UPDATE_F_OVERRIDE | NEIGH_UPDATE_F_ADMIN);
}

/// A connection accepted from a scripted peer.
struct link : pinned {
    tcp_socket l, c;
    peer p;
    u32 peer_ts = 5000; // our timestamps, when used
    bool ts = false;

    /// sack, timestamps: what the peer's SYN offers; win: its window.
    link(u16 port, bool sack, bool timestamps, u16 win = 65535, u8 wscale = 0, int rcvbuf = 0)
        : c{nullptr}, p{40000, port}, ts{timestamps}
    {
        if (rcvbuf) {
            l.s->sk->sk_rcvbuf = rcvbuf;
            l.s->sk->sk_userlocks |= SOCK_RCVBUF_LOCK;
        }
        HOST_EXPECT(l.bind(port) == 0 && l.listen(5) == 0);
        seg s = p.make(S);
        s.window = win;
        s.mss(1460);
        if (sack) {
            const u8 o[4] = {TCPOPT_NOP, TCPOPT_NOP, TCPOPT_SACK_PERM, 2};
            memcpy(s.opt + s.optlen, o, 4);
            s.optlen += 4;
        }
        if (ts)
            s.timestamp(peer_ts, 0);
        if (wscale)
            s.wscale(wscale);
        tcp_inject(s);
        p.seq++;
        // What an earlier test's connection still had to say may come first.
        bool ok = false;
        for (int i = 0; i < 5 && !ok; i++)
            ok = p.expect(S | A);
        HOST_EXPECT(ok);
        window = win;
        ack();
        c.s = l.accept();
        HOST_EXPECT(c.s);
    }
    /// Nothing of it is left for the next test.
    ~link()
    {
        if (!c.s || c.state() == TCP_CLOSE)
            return;
        p.seq = tp()->rcv_nxt;
        tcp_inject(make(R));
    }
    u16 window;
    seg make(u8 flags, const void *data = nullptr, u32 len = 0)
    {
        seg s = p.make(flags, data, len);
        s.window = window;
        if (ts)
            s.timestamp(peer_ts, p.last.tsval());
        return s;
    }
    void ack() { tcp_inject(make(A)); }
    /// An ACK of `n` with SACK blocks.
    void sack(u32 n, std::initializer_list<tcp_sack_block> blocks)
    {
        p.ack = n;
        seg s = make(A);
        u8 *o = s.opt + s.optlen;
        o[0] = o[1] = TCPOPT_NOP;
        o[2] = TCPOPT_SACK;
        o[3] = static_cast<u8>(2 + 8 * blocks.size());
        o += 4;
        for (const auto &b : blocks) {
            put32(o, b.start_seq);
            put32(o + 4, b.end_seq);
            o += 8;
        }
        s.optlen = static_cast<u8>(o - s.opt);
        tcp_inject(s);
    }
    void data(const void *d, u32 len, u8 flags = A | P)
    {
        tcp_inject(make(flags, d, len));
        p.seq += len;
    }
    tcp_sock *tp() { return c.tp(); }
    /// Wait until the next segment comes out, at most `limit` ms: after how many, or ~0.
    u64 next(seg *s, u64 limit = 400000)
    {
        u64 t0 = jiffies();
        while (!tcp_sent(s)) {
            if (jiffies() - t0 >= limit)
                return ~u64{0};
            wait_ms(1);
        }
        return jiffies() - t0;
    }
};

/// got is want, or up to slack more.
inline bool about(u64 got, u64 want, u64 slack = 3)
{
    bool ok = got >= want && got <= want + slack;
    if (!ok)
        pr_err("got %lu, want %lu\n", got, want);
    return ok;
}

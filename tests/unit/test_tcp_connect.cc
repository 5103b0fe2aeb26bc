// SPDX-License-Identifier: MIT
// The active open: ports, SYN, its retransmission, errors; ICMP; SO_REUSEPORT (atlas §13, §14, §18; rows C-01…C-09, H-08, X-05, X-06,
// K-06, P-05).
#include "tcp_wire.h"

/// A range of local ports for the length of a test.
struct port_range {
    int saved[2] = {sysctl_local_port_range[0], sysctl_local_port_range[1]};
    port_range(int lo, int hi)
    {
        sysctl_local_port_range[0] = lo;
        sysctl_local_port_range[1] = hi;
        know_peer();
    }
    ~port_range()
    {
        sysctl_local_port_range[0] = saved[0];
        sysctl_local_port_range[1] = saved[1];
    }
};

static void syn_and_state(void *)
{
    know_peer();
    moved active{TCP_MIB_ActiveOpens};
    tcp_socket c;
    HOST_EXPECT(c.connect(PEER_IP, 80) == EINPROGRESS);
    HOST_EXPECT(c.state() == TCP_SYN_SENT && active() == 1 && c.port() >= 32768);
    HOST_EXPECT(c.tp()->icsk_pending == ICSK_TIME_RETRANS &&
                c.tp()->icsk_timeout <= jiffies() + 1000);
    HOST_EXPECT(c.connect(PEER_IP, 80) == EALREADY);
    peer p{80, c.port()};
    HOST_EXPECT(p.expect(S) && p.last.mss_option() == 1460 && p.last.find(TCPOPT_SACK_PERM) &&
                p.last.find(TCPOPT_TIMESTAMP) && p.last.find(TCPOPT_WINDOW));
    p.send(S | A);
    HOST_EXPECT(c.state() == TCP_ESTABLISHED && p.expect(A) && p.last.ack == p.seq);
    HOST_EXPECT(c.connect(PEER_IP, 80) == 0); // the result of the first call
    HOST_EXPECT(c.connect(PEER_IP, 80) == EISCONN);
    p.send(R);
}

static void syn_is_repeated_until_timeout(void *)
{
    for (int retries : {6, 2}) {
        sysctl_tcp_syn_retries = retries;
        know_peer();
        tcp_socket c;
        u64 start = jiffies(), at[10] = {};
        HOST_EXPECT(c.connect(PEER_IP, 81) == EINPROGRESS);
        peer p{81, c.port()};
        unsigned n = 0;
        while (c.state() == TCP_SYN_SENT && jiffies() - start < 200000) {
            while (n < 10 && p.expect(S))
                at[n++] = jiffies() - start;
            net_sleep(10);
        }
        u64 end = jiffies() - start;
        static constexpr u64 want[] = {0, 1000, 3000, 7000, 15000, 31000, 63000, 127000};
        HOST_EXPECT(n == static_cast<unsigned>(retries) + 1 && c.error() == ETIMEDOUT);
        for (unsigned i = 0; i < n; i++)
            HOST_EXPECT(at[i] >= want[i] && at[i] <= want[i] + 20);
        HOST_EXPECT(end >= want[n] && end <= want[n] + 30);
    }
    sysctl_tcp_syn_retries = 6;
}

static void ports_to_one_destination_are_consecutive(void *)
{
    port_range r{40000, 49999};
    tcp_socket a, b, c, other;
    a.connect(PEER_IP, 82), b.connect(PEER_IP, 82), c.connect(PEER_IP, 82);
    other.connect(PEER_IP, 83);
    auto next = [](u16 p) { return p == 49999 ? 40000 : p + 1; };
    // The hint moves by what each search took: the distance from the start, which was one here.
    HOST_EXPECT(a.port() != b.port() && b.port() != c.port());
    HOST_EXPECT(b.port() == next(a.port()) && c.port() == next(b.port()));
    HOST_EXPECT(other.port() != next(c.port()));
    wire_forget_sent();
}

static void one_port_serves_many_destinations(void *)
{
    port_range r{45000, 45000};
    tcp_socket a, b, c;
    HOST_EXPECT(a.connect(PEER_IP, 84) == EINPROGRESS && b.connect(PEER_IP, 85) == EINPROGRESS);
    HOST_EXPECT(a.port() == 45000 && b.port() == 45000);
    HOST_EXPECT(c.connect(PEER_IP, 84) == EADDRNOTAVAIL && c.state() == TCP_CLOSE);
    a.close();
    HOST_EXPECT(c.connect(PEER_IP, 84) == EINPROGRESS && c.port() == 45000); // free again
    wire_forget_sent();
}

static void bound_ports_are_not_shared_by_connect(void *)
{
    port_range r{45001, 45002};
    tcp_socket owner, a, b;
    HOST_EXPECT(owner.bind(45001) == 0);
    HOST_EXPECT(a.connect(PEER_IP, 86) == EINPROGRESS && a.port() == 45002);
    HOST_EXPECT(b.connect(PEER_IP, 86) == EADDRNOTAVAIL);
    wire_forget_sent();
}

static void two_servers_double_the_ports(void *)
{
    port_range r{46000, 46099};
    static tcp_socket *all[200];
    for (unsigned i = 0; i < 200; i++) {
        all[i] = knew<tcp_socket>(GFP_KERNEL);
        HOST_EXPECT(all[i]->connect(PEER_IP, i < 100 ? 87 : 88) == EINPROGRESS);
    }
    tcp_socket more;
    u64 tries = tcp_hashinfo.port_tries.sum();
    HOST_EXPECT(more.connect(PEER_IP, 87) == EADDRNOTAVAIL);
    HOST_EXPECT(tcp_hashinfo.port_tries.sum() - tries == 100); // it looked at every port (row C-08)
    for (tcp_socket *t : all)
        kdelete(t);
    wire_forget_sent();
}

static void refused_and_unreachable(void *)
{
    know_peer();
    tcp_socket c;
    HOST_EXPECT(c.connect(PEER_IP, 89) == EINPROGRESS);
    peer p{89, c.port()};
    HOST_EXPECT(p.expect(S));
    p.send(R | A);
    HOST_EXPECT(c.error() == ECONNREFUSED && c.state() == TCP_CLOSE);
    tcp_socket n;
    HOST_EXPECT(n.connect(0xc0000201, 1) == ENETUNREACH); // 192.0.2.1: no route
    HOST_EXPECT(n.connect(0xe0000001, 1) == ENETUNREACH); // multicast
    // A bare ACK with a wrong number in SYN_SENT is answered with RST, and changes nothing.
    tcp_socket s;
    HOST_EXPECT(s.connect(PEER_IP, 90) == EINPROGRESS);
    peer q{90, s.port()};
    HOST_EXPECT(q.expect(S));
    q.ack += 5;
    q.send(A);
    HOST_EXPECT(q.expect(R) && s.state() == TCP_SYN_SENT);
    q.send(R | A); // and an RST with a wrong one is ignored
    HOST_EXPECT(s.state() == TCP_SYN_SENT);
}

/// An ICMP error that quotes a segment of the kernel's to p.
static void icmp_about(const peer &p, u32 seq, u8 type, u8 code, u16 mtu = 0)
{
    static u8 f[WIRE_FRAME_MAX];
    u8 m[36] = {type, code};
    put16(m + 6, mtu);
    u8 *ip = m + 8;
    ip[0] = 0x45;
    put16(ip + 2, 1500);
    ip[8] = 64;
    ip[9] = IPPROTO_TCP;
    put32(ip + 12, WIRE_IP);
    put32(ip + 16, PEER_IP);
    put16(ip + 20, p.us);
    put16(ip + 22, p.port);
    put32(ip + 24, seq);
    put16(m + 2, ntohs(ip_compute_csum(m, sizeof m)));
    ip_fields h;
    h.proto = 1;
    wire_receive(f, make_ip(f, h, m, sizeof m));
}

static void icmp_errors(void *)
{
    know_peer();
    moved outside{LINUX_MIB_OutOfWindowIcmps};
    tcp_socket c;
    HOST_EXPECT(c.connect(PEER_IP, 91) == EINPROGRESS);
    peer p{91, c.port()};
    HOST_EXPECT(p.expect(S));
    icmp_about(p, p.last.seq + 1000, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH); // guessed
    HOST_EXPECT(outside() == 1 && c.state() == TCP_SYN_SENT);
    icmp_about(p, p.last.seq, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH);
    HOST_EXPECT(c.state() == TCP_CLOSE && c.error() == EHOSTUNREACH);
    // A connection that exists hears of it only softly; a smaller path MTU makes smaller segments.
    tcp_socket d;
    HOST_EXPECT(d.connect(PEER_IP, 92) == EINPROGRESS);
    peer q{92, d.port()};
    HOST_EXPECT(q.expect(S));
    q.send(S | A);
    HOST_EXPECT(q.expect(A) && d.tp()->mss_cache > 1400);
    static u8 block[1400];
    HOST_EXPECT(d.send(block, sizeof block) == sizeof block && q.expect(A | P));
    icmp_about(q, q.last.seq, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH);
    HOST_EXPECT(d.state() == TCP_ESTABLISHED && d.error() == 0 &&
                d.tp()->sk_err_soft.load() == EHOSTUNREACH);
    icmp_about(q, q.last.seq, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, 1000);
    HOST_EXPECT(d.tp()->mss_cache <= 960 && q.expect(A) && q.last.len <= 960);
    q.send(R);
}

static void reuseport_spreads_by_flow(void *)
{
    tcp_socket t[4];
    for (tcp_socket &s : t) {
        s.s->sk->sk_reuseport = 1;
        HOST_EXPECT(s.bind(6500) == 0 && s.listen(5) == 0);
    }
    tcp_socket outsider;
    HOST_EXPECT(outsider.bind(6500) == EADDRINUSE);
    unsigned hits[4] = {};
    for (u16 port = 1; port <= 400; port++) {
        sock *first = __inet_lookup_listener(htonl(PEER_IP), htons(port), htonl(WIRE_IP), 6500, 1);
        sock *again = __inet_lookup_listener(htonl(PEER_IP), htons(port), htonl(WIRE_IP), 6500, 1);
        HOST_EXPECT(first && first == again);
        for (int i = 0; i < 4; i++)
            hits[i] += t[i].s->sk == first;
        sock_put(first);
        sock_put(again);
    }
    for (unsigned h : hits)
        HOST_EXPECT(h > 60 && h < 140);
    t[1].s->sk->sk_uid = 0;
    tcp_socket stranger;
    stranger.s->sk->sk_reuseport = 1;
    stranger.s->sk->sk_uid = 1000;
    HOST_EXPECT(stranger.bind(6500) == EADDRINUSE);
}

static void specific_listener_beats_any(void *)
{
    tcp_socket any, mine;
    any.s->sk->sk_reuse = mine.s->sk->sk_reuse = 1;
    HOST_EXPECT(any.bind(6501, 0x7f000001) == 0 && mine.bind(6501, WIRE_IP) == 0);
    HOST_EXPECT(any.listen(1) == 0 && mine.listen(1) == 0);
    peer p{50100, 6501};
    HOST_EXPECT(p.connect() && acceptq(mine) == 1 && acceptq(any) == 0);
}

static void time_wait_port_is_reused_when_allowed(void *)
{
    port_range r{47000, 47000};
    tcp_socket c;
    HOST_EXPECT(c.connect(PEER_IP, 93) == EINPROGRESS);
    peer p{93, 47000};
    HOST_EXPECT(p.expect(S));
    seg s = p.make(S | A);
    s.mss(1460);
    s.timestamp(5000, p.last.tsval());
    tcp_inject(s);
    p.seq++;
    HOST_EXPECT(p.expect(A));
    c.close();
    HOST_EXPECT(p.expect(F | A));
    s = p.make(F | A);
    s.timestamp(5001, p.last.tsval());
    tcp_inject(s);
    p.seq++;
    HOST_EXPECT(p.expect(A));
    tcp_socket d;
    HOST_EXPECT(d.connect(PEER_IP, 93) == EADDRNOTAVAIL);
    sysctl_tcp_tw_reuse = 1;
    HOST_EXPECT(d.connect(PEER_IP, 93) == EADDRNOTAVAIL); // not within a second
    net_sleep(2500);
    know_peer();
    moved recycled{LINUX_MIB_TWRecycled};
    u32 old_end = p.ack;
    HOST_EXPECT(d.connect(PEER_IP, 93) == EINPROGRESS && recycled() == 1);
    HOST_EXPECT(p.expect(S) && p.last.seq == old_end + 65535 + 2);
    sysctl_tcp_tw_reuse = 0;
    p.seq = 777;
    p.send(R | A);
}

static unit_case tests[] = {
    KERNEL_UNIT(tcp_setup),
    KERNEL_UNIT(syn_and_state),
    KERNEL_UNIT(syn_is_repeated_until_timeout),
    KERNEL_UNIT(ports_to_one_destination_are_consecutive),
    KERNEL_UNIT(one_port_serves_many_destinations),
    KERNEL_UNIT(bound_ports_are_not_shared_by_connect),
    KERNEL_UNIT(two_servers_double_the_ports),
    KERNEL_UNIT(refused_and_unreachable),
    KERNEL_UNIT(icmp_errors),
    KERNEL_UNIT(reuseport_spreads_by_flow),
    KERNEL_UNIT(specific_listener_beats_any),
    KERNEL_UNIT(time_wait_port_is_reused_when_allowed),
};

extern "C" int main()
{
    unit_main("tcp_connect", tests, 1);
}

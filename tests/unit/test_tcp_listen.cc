// SPDX-License-Identifier: MIT
// listen, half-open table, accept queue, SYN cookies: the passive handshake and every cell of the overflow matrix (atlas §13, §15…§17;
// rows N-01…N-09, H-02, H-04, H-05, H-08…H-10, O-01…O-04).
#include "tcp_wire.h"

static void table_entries_formula(void **)
{
    // Row N-07's table: backlog clamped to somaxconn, tcp_max_syn_backlog, entries.
    static constexpr u32 t[][4] = {
        {5, 128, 8192, 16},        {128, 128, 8192, 256}, {511, 1024, 128, 256},
        {10000, 65535, 512, 1024}, {0, 128, 128, 16},     {7, 128, 128, 16},
        {8, 128, 128, 16},         {15, 128, 128, 16},    {16, 128, 128, 32}};
    for (auto &r : t)
        assert_int_equal(reqsk_table_entries(min(r[0], r[1]), r[2]), r[3]);
}

static void listen_again_changes_only_the_limit(void *)
{
    tcp_socket l;
    HOST_EXPECT(l.bind(5001) == 0 && l.listen(5) == 0);
    const listen_sock *lopt = l.tp()->icsk_accept_queue.listen_opt;
    HOST_EXPECT(l.tp()->sk_max_ack_backlog == 5 && lopt->nr_table_entries == 16 &&
                lopt->max_qlen_log == 4);
    HOST_EXPECT(l.listen(50) == 0);
    HOST_EXPECT(l.tp()->sk_max_ack_backlog == 50 && lopt->nr_table_entries == 16 &&
                l.tp()->icsk_accept_queue.listen_opt == lopt);
}

static void listen_needs_a_free_port(void *)
{
    tcp_socket a, b, c;
    HOST_EXPECT(a.bind(5002) == 0 && b.bind(5002) == EADDRINUSE);
    a.close();
    tcp_socket d, e;
    d.s->sk->sk_reuse = e.s->sk->sk_reuse = 1;
    HOST_EXPECT(d.bind(5002) == 0 && e.bind(5002) == 0);
    HOST_EXPECT(d.listen(1) == 0 && e.listen(1) == EADDRINUSE);
    HOST_EXPECT(e.state() == TCP_CLOSE && !e.tp()->icsk_accept_queue.listen_opt);
    HOST_EXPECT(c.listen(1) == 0 && c.port() >= 32768 && c.port() <= 61000); // an ephemeral port
}

static void syn_to_a_bound_socket_is_refused(void *)
{
    tcp_socket b;
    HOST_EXPECT(b.bind(5003) == 0);
    moved rsts{TCP_MIB_OutRsts};
    peer p{40000, 5003};
    p.send(S);
    HOST_EXPECT(p.expect(R | A) && p.last.ack == p.seq && p.last.seq == 0 && rsts() == 1);
}

static void handshake_makes_objects_step_by_step(void *)
{
    tcp_socket l;
    HOST_EXPECT(l.bind(5004) == 0 && l.listen(5) == 0);
    u64 socks = slab_active("TCP"), reqs = slab_active("request_sock_TCP");
    moved passive{TCP_MIB_PassiveOpens};
    moved estab{TCP_MIB_CurrEstab};
    peer p{40001, 5004};
    p.send(S);
    HOST_EXPECT(synq(l) == 1 && acceptq(l) == 0);
    HOST_EXPECT(slab_active("TCP") == socks && slab_active("request_sock_TCP") == reqs + 1);
    HOST_EXPECT(p.expect(S | A) && p.last.ack == p.seq && p.last.mss_option() == 1460);
    p.send(A);
    HOST_EXPECT(synq(l) == 0 && acceptq(l) == 1 && passive() == 1 && estab() == 1);
    HOST_EXPECT(slab_active("TCP") == socks + 1 && slab_active("request_sock_TCP") == reqs + 1);
    socket *c = l.accept();
    HOST_EXPECT(c && acceptq(l) == 0 && slab_active("request_sock_TCP") == reqs);
    tcp_socket child{c};
    HOST_EXPECT(child.state() == TCP_ESTABLISHED && tcp_sent_count() == 0);
    int err;
    HOST_EXPECT(!l.accept(&err) && err == EAGAIN);
    p.send(A | P, "hello", 5);
    char buf[16];
    HOST_EXPECT(child.recv(buf, sizeof buf) == 5 && !memcmp(buf, "hello", 5));
    HOST_EXPECT(p.expect(A)); // quick ACK of the first data
    HOST_EXPECT(child.send("world!", 6) == 6);
    HOST_EXPECT(p.expect(A | P) && p.last.len == 6 && !memcmp(p.last.data, "world!", 6));
    p.send(R);
    HOST_EXPECT(child.state() == TCP_CLOSE && child.recv(buf, 1) == -ECONNRESET);
}

static void accept_is_first_come_first_served(void *)
{
    tcp_socket l;
    HOST_EXPECT(l.bind(5005) == 0 && l.listen(10) == 0);
    // The handshakes begin in one order and end in another: the end counts.
    peer a{40010, 5005}, b{40011, 5005}, c{40012, 5005};
    a.send(S), b.send(S), c.send(S);
    HOST_EXPECT(a.expect(S | A) && b.expect(S | A) && c.expect(S | A));
    c.send(A), a.send(A), b.send(A);
    for (u16 port : {40012, 40010, 40011}) {
        tcp_socket got{l.accept()};
        HOST_EXPECT(got.s && ntohs(got.tp()->inet_dport) == port);
    }
}

static void accept_queue_holds_one_more_and_overflows_count(void *)
{
    tcp_socket l;
    HOST_EXPECT(l.bind(5006) == 0 && l.listen(1) == 0);
    moved over{LINUX_MIB_ListenOverflows}, drops{LINUX_MIB_ListenDrops};
    peer p[5] = {{40020, 5006}, {40021, 5006}, {40022, 5006}, {40023, 5006}, {40024, 5006}};
    HOST_EXPECT(p[0].connect() && p[1].connect());
    HOST_EXPECT(acceptq(l) == 2); // limit 1 holds 2
    // Full, but nobody is young: the SYN is taken. The final ACK is forgotten and counted.
    p[2].send(S);
    HOST_EXPECT(p[2].expect(S | A) && over() == 0);
    p[2].send(A);
    HOST_EXPECT(acceptq(l) == 2 && synq(l) == 1 && over() == 1 && drops() == 1);
    p[2].send(A); // again: again
    HOST_EXPECT(over() == 2 && drops() == 2 && tcp_sent_count() == 0);
    p[3].send(S); // one is young: taken
    HOST_EXPECT(p[3].expect(S | A) && synq(l) == 2);
    p[4].send(S); // two are young: refused
    HOST_EXPECT(tcp_sent_count() == 0 && synq(l) == 2 && over() == 3 && drops() == 3);
    // Room again: the client's data finishes the handshake.
    tcp_socket first{l.accept()};
    p[2].send(A | P, "x", 1);
    HOST_EXPECT(acceptq(l) == 2 && synq(l) == 1);
}

static void overflow_with_abort_resets(void *)
{
    tcp_socket l;
    HOST_EXPECT(l.bind(5007) == 0 && l.listen(0) == 0);
    sysctl_tcp_abort_on_overflow = 1;
    moved over{LINUX_MIB_ListenOverflows}, drops{LINUX_MIB_ListenDrops},
        embryonic{LINUX_MIB_EmbryonicRsts};
    peer a{40030, 5007}, b{40031, 5007};
    HOST_EXPECT(a.connect());
    HOST_EXPECT(acceptq(l) == 1);
    b.send(S);
    HOST_EXPECT(b.expect(S | A));
    b.send(A);
    HOST_EXPECT(b.expect(R) && synq(l) == 0);
    HOST_EXPECT(over() == 1 && drops() == 1 && embryonic() == 1);
    sysctl_tcp_abort_on_overflow = 0;
}

static void half_open_full_without_cookies_drops(void *)
{
    sysctl_tcp_syncookies = 0;
    int backlog = sysctl_tcp_max_syn_backlog;
    sysctl_tcp_max_syn_backlog = 1000;
    tcp_socket l;
    HOST_EXPECT(l.bind(5008) == 0 && l.listen(5) == 0);
    moved full{LINUX_MIB_TCPReqQFullDrop}, drops{LINUX_MIB_ListenDrops};
    for (u16 i = 0; i < 21; i++) {
        peer p{static_cast<u16>(41000 + i), 5008};
        p.send(S);
    }
    HOST_EXPECT(synq(l) == 16 && full() == 5 && drops() == 5 && tcp_sent_count() == 16);
    l.close();
    // The last quarter of tcp_max_syn_backlog is for known peers only: dropped without a counter of its own.
    sysctl_tcp_max_syn_backlog = 16;
    tcp_socket q;
    HOST_EXPECT(q.bind(5009) == 0 && q.listen(100) == 0);
    for (u16 i = 0; i < 16; i++) {
        peer p{static_cast<u16>(41100 + i), 5009};
        p.send(S);
    }
    HOST_EXPECT(synq(q) == 13 && full() == 5 && drops() == 8);
    tcp_sent_count();
    sysctl_tcp_max_syn_backlog = backlog;
    sysctl_tcp_syncookies = 1;
}

static void cookies_answer_and_come_back(void *)
{
    tcp_socket l;
    HOST_EXPECT(l.bind(5010) == 0 && l.listen(5) == 0);
    moved cookies{LINUX_MIB_TCPReqQFullDoCookies}, sent{LINUX_MIB_SyncookiesSent},
        recv{LINUX_MIB_SyncookiesRecv}, failed{LINUX_MIB_SyncookiesFailed},
        drops{LINUX_MIB_ListenDrops};
    for (u16 i = 0; i < 16; i++) {
        peer p{static_cast<u16>(42000 + i), 5010};
        p.send(S);
    }
    HOST_EXPECT(synq(l) == 16 && tcp_sent_count() == 16 && sent() == 0);
    peer p{42100, 5010};
    p.send(S);
    HOST_EXPECT(p.expect(S | A) && p.last.ack == p.seq && synq(l) == 16);
    HOST_EXPECT(cookies() == 1 && sent() == 1 && drops() == 1); // a cookie counts as a drop too
    p.send(A);
    HOST_EXPECT(recv() == 1 && failed() == 0 && acceptq(l) == 1);
    tcp_socket child{l.accept()};
    HOST_EXPECT(child.s && child.state() == TCP_ESTABLISHED);
    HOST_EXPECT(child.tp()->rx_opt.mss_clamp == 1460);
    p.send(A | P, "via cookie", 10);
    char buf[16];
    HOST_EXPECT(child.recv(buf, sizeof buf) == 10);
    tcp_sent_count();
    peer forged{42101, 5010};
    forged.ack = 12345;
    forged.send(A);
    HOST_EXPECT(failed() == 1 && forged.expect(R) && forged.last.seq == 12345);
    for (int i = 0; i < 100; i++, tcp_sent_count())
        net_sleep(1000); // all requests are gone, and with them the belief in cookies
    HOST_EXPECT(child.state() == TCP_ESTABLISHED);
    peer old{42102, 5010};
    old.ack = 999;
    old.send(A);
    HOST_EXPECT(failed() == 2);
}

static void syn_ack_is_repeated_and_given_up(void *)
{
    tcp_socket l;
    HOST_EXPECT(l.bind(5011) == 0 && l.listen(5) == 0);
    moved timeouts{LINUX_MIB_TCPTimeouts};
    peer p{40040, 5011};
    p.send(S);
    HOST_EXPECT(p.expect(S | A));
    u64 start = jiffies(), at[8] = {};
    unsigned n = 0;
    while (synq(l) && jiffies() - start < 100000) {
        net_sleep(50);
        while (n < 8 && p.expect(S | A))
            at[n++] = jiffies() - start;
    }
    // At 1, 3, 7, 15, 31 s and up to 0.6 s later (the table is looked at in parts); dropped at 63 s.
    static constexpr u64 want[] = {1000, 3000, 7000, 15000, 31000};
    HOST_EXPECT(n == 5 && timeouts() >= 6); // others may time out too
    for (unsigned i = 0; i < 5; i++)
        HOST_EXPECT(at[i] >= want[i] && at[i] <= want[i] + 650u * (i + 1));
    u64 end = jiffies() - start;
    HOST_EXPECT(synq(l) == 0 && end >= 63000 && end <= 67000);
    // What comes now finds no connection.
    p.send(A | P, "late", 4);
    HOST_EXPECT(p.expect(R));
}

static void repeated_syn_gets_the_same_answer(void *)
{
    tcp_socket l;
    HOST_EXPECT(l.bind(5012) == 0 && l.listen(5) == 0);
    peer p{40050, 5012};
    p.send(S);
    HOST_EXPECT(p.expect(S | A));
    u32 isn = p.last.seq;
    p.seq--;
    p.send(S);
    HOST_EXPECT(p.expect(S | A) && p.last.seq == isn && synq(l) == 1);
    // RST ends it, silently.
    moved embryonic{LINUX_MIB_EmbryonicRsts};
    p.send(R);
    HOST_EXPECT(synq(l) == 0 && embryonic() == 1 && tcp_sent_count() == 0);
}

static void wrong_ack_of_a_half_open_connection_is_reset(void *)
{
    tcp_socket l;
    HOST_EXPECT(l.bind(5013) == 0 && l.listen(5) == 0);
    peer p{40060, 5013};
    p.send(S);
    HOST_EXPECT(p.expect(S | A));
    u32 good = p.ack;
    p.ack += 77;
    p.send(A);
    HOST_EXPECT(p.expect(R) && p.last.seq == good + 77 && synq(l) == 1); // and the request stays
    p.ack = good;
    p.send(A);
    HOST_EXPECT(acceptq(l) == 1);
    // A segment outside the window is answered with an ACK.
    peer q{40061, 5013};
    q.send(S);
    HOST_EXPECT(q.expect(S | A));
    q.seq += 100000;
    q.send(A);
    HOST_EXPECT(q.expect(A) && q.last.ack == 1001 && synq(l) == 1);
}

static void defer_accept_waits_for_data(void *)
{
    tcp_socket l;
    HOST_EXPECT(l.bind(5014) == 0);
    l.tp()->icsk_accept_queue.rskq_defer_accept = 3;
    HOST_EXPECT(l.listen(5) == 0);
    moved deferred{LINUX_MIB_TCPDeferAcceptDrop};
    peer p{40070, 5014};
    HOST_EXPECT(p.connect() && acceptq(l) == 0 && deferred() == 1);
    p.send(A | P, "data", 4);
    HOST_EXPECT(acceptq(l) == 1);
    tcp_socket child{l.accept()};
    char buf[8];
    HOST_EXPECT(child.recv(buf, sizeof buf) == 4);
}

static void close_of_a_listener_resets_who_waits(void *)
{
    net_sleep(200); // what the test before has freed is free
    u64 socks = slab_active("TCP"), reqs = slab_active("request_sock_TCP");
    {
        tcp_socket l;
        HOST_EXPECT(l.bind(5015) == 0 && l.listen(5) == 0);
        peer a{40080, 5015}, b{40081, 5015};
        HOST_EXPECT(a.connect());
        b.send(S);
        HOST_EXPECT(b.expect(S | A));
        l.close();
        HOST_EXPECT(a.expect(R | A)); // its peer believed in a connection
        b.send(A);
        HOST_EXPECT(b.expect(R));
    }
    auto freed = [&] {
        return slab_active("TCP") == socks && slab_active("request_sock_TCP") == reqs;
    };
    for (int tries = 0; tries < 1000 && !freed(); tries++) // grace periods
        net_sleep(1);
    HOST_EXPECT(freed());
}

static void segments_in_listen_state(void *)
{
    tcp_socket l;
    HOST_EXPECT(l.bind(5016) == 0 && l.listen(5) == 0);
    peer p{40090, 5016};
    p.ack = 55;
    p.send(A);
    HOST_EXPECT(p.expect(R) && p.last.seq == 55);
    p.send(R);
    p.send(S | R);
    p.send(S | F); // nonsense
    p.send(0);
    HOST_EXPECT(tcp_sent_count() == 0 && synq(l) == 0);
}

static void bad_headers_are_counted(void *)
{
    tcp_socket l;
    HOST_EXPECT(l.bind(5017) == 0 && l.listen(5) == 0);
    moved errs{TCP_MIB_InErrs}, csum{TCP_MIB_InCsumErrors}, segs{TCP_MIB_InSegs};
    peer p{40100, 5017};
    seg s = p.make(S);
    s.spoil = 0x1234;
    tcp_inject(s);
    HOST_EXPECT(csum() == 1 && errs() == 1 && segs() == 1);
    s = p.make(S);
    s.doff = 4; // less than a header
    tcp_inject(s);
    HOST_EXPECT(errs() == 2 && csum() == 1);
    s.doff = 15; // more than there is
    tcp_inject(s);
    HOST_EXPECT(segs() == 3 && tcp_sent_count() == 0 && synq(l) == 0);
    // Options that lie about their length do no harm.
    static constexpr u8 evil[][8] = {{2, 0, 0, 0}, {2, 1, 0, 0}, {8, 255, 0, 0}, {3, 3},
                                     {5, 10, 0},   {1, 1, 1, 2}, {2, 4, 0, 0},   {0, 2, 4, 5}};
    for (size_t i = 0; i < sizeof evil / sizeof evil[0]; i++) {
        peer q{static_cast<u16>(40110 + i), 5017};
        s = q.make(S);
        memcpy(s.opt, evil[i], 8);
        s.optlen = 8;
        tcp_inject(s);
        HOST_EXPECT(q.expect(S | A));
    }
}

static unit_case tests[] = {
    UNIT(table_entries_formula),
    KERNEL_UNIT(tcp_setup),
    KERNEL_UNIT(listen_again_changes_only_the_limit),
    KERNEL_UNIT(listen_needs_a_free_port),
    KERNEL_UNIT(syn_to_a_bound_socket_is_refused),
    KERNEL_UNIT(handshake_makes_objects_step_by_step),
    KERNEL_UNIT(accept_is_first_come_first_served),
    KERNEL_UNIT(accept_queue_holds_one_more_and_overflows_count),
    KERNEL_UNIT(overflow_with_abort_resets),
    KERNEL_UNIT(half_open_full_without_cookies_drops),
    KERNEL_UNIT(cookies_answer_and_come_back),
    KERNEL_UNIT(syn_ack_is_repeated_and_given_up),
    KERNEL_UNIT(repeated_syn_gets_the_same_answer),
    KERNEL_UNIT(wrong_ack_of_a_half_open_connection_is_reset),
    KERNEL_UNIT(defer_accept_waits_for_data),
    KERNEL_UNIT(close_of_a_listener_resets_who_waits),
    KERNEL_UNIT(segments_in_listen_state),
    KERNEL_UNIT(bad_headers_are_counted),
};

extern "C" int main()
{
    unit_main("tcp_listen", tests, 1);
}

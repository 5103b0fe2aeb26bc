// SPDX-License-Identifier: MIT
// The end of connections: close, shutdown, RST, TIME_WAIT, simultaneous open and close (RFC 9293 §3.6, §3.10; atlas §19; rows G-01…G-07,
// Y-05, K-07).
#include "tcp_wire.h"

/// A listener and a connection that was accepted.
struct connection {
    tcp_socket l;
    peer p;
    tcp_socket c;
    connection(u16 port, u16 us) : p{port, us}, c{nullptr}
    {
        l.s->sk->sk_reuse = 1;
        HOST_EXPECT(l.bind(us) == 0 && l.listen(5) == 0);
        HOST_EXPECT(p.connect());
        c.s = l.accept();
        HOST_EXPECT(c.s);
    }
};

static void active_close_goes_through_time_wait(void *)
{
    connection x{50000, 6000};
    u64 socks = slab_active("TCP"), tws = slab_active("tw_sock_TCP");
    int tw = tcp_tw_count.load();
    x.c.close();
    HOST_EXPECT(x.p.expect(F | A));
    x.p.send(A);
    // FIN_WAIT2 without a process: a small object, not a socket.
    net_sleep(20);
    HOST_EXPECT(slab_active("TCP") == socks - 1 && slab_active("tw_sock_TCP") == tws + 1);
    x.p.send(F | A);
    HOST_EXPECT(x.p.expect(A) && x.p.last.ack == x.p.seq);
    HOST_EXPECT(tcp_tw_count.load() == tw + 1);
    u64 start = jiffies();
    while (tcp_tw_count.load() > tw && jiffies() - start < 100000)
        net_sleep(100);
    u64 lasted = jiffies() - start;
    HOST_EXPECT(lasted >= 52400 && lasted <= 60100);
}

static void segments_in_time_wait(void *)
{
    connection x{50001, 6001};
    x.c.close();
    HOST_EXPECT(x.p.expect(F | A));
    x.p.send(F | A);
    HOST_EXPECT(x.p.expect(A));
    u32 fin_seq = x.p.seq;
    x.p.seq--;
    x.p.send(F | A); // the FIN again: ACK again
    HOST_EXPECT(x.p.expect(A) && x.p.last.ack == fin_seq);
    x.p.seq = fin_seq - 1000;
    x.p.send(S); // an old SYN is answered with ACK
    HOST_EXPECT(x.p.expect(A) && x.p.last.ack == fin_seq);
    // A newer SYN is a new connection, numbered well beyond the old one.
    u32 old_nxt = x.p.ack;
    x.p.seq = fin_seq + 5000;
    x.p.send(S);
    HOST_EXPECT(x.p.expect(S | A) && x.p.last.ack == x.p.seq &&
                x.p.last.seq == old_nxt + 65535 + 2);
    x.p.send(A);
    HOST_EXPECT(acceptq(x.l) == 1);
}

static void rst_kills_time_wait_unless_rfc1337(void *)
{
    int tw = tcp_tw_count.load();
    for (int rfc1337 : {0, 1}) {
        sysctl_tcp_rfc1337 = rfc1337;
        connection x{static_cast<u16>(50002 + rfc1337), static_cast<u16>(6002 + rfc1337)};
        x.c.close();
        HOST_EXPECT(x.p.expect(F | A));
        x.p.send(F | A);
        HOST_EXPECT(x.p.expect(A) && tcp_tw_count.load() == tw + 1);
        x.p.send(R);
        HOST_EXPECT(tcp_tw_count.load() == tw + rfc1337 && !x.p.expect(A));
    }
    sysctl_tcp_rfc1337 = 0;
}

static void too_many_time_waits_are_closed(void *)
{
    int most = sysctl_tcp_max_tw_buckets;
    sysctl_tcp_max_tw_buckets = tcp_tw_count.load();
    moved overflow{LINUX_MIB_TCPTimeWaitOverflow};
    connection x{50005, 6005};
    x.c.close();
    HOST_EXPECT(x.p.expect(F | A));
    x.p.send(F | A);
    HOST_EXPECT(overflow() == 1);
    sysctl_tcp_max_tw_buckets = most;
}

static void orphans_over_the_limit_are_reset(void *)
{
    int most = sysctl_tcp_max_orphans;
    moved aborted{LINUX_MIB_TCPAbortOnMemory};
    sysctl_tcp_max_orphans = tcp_orphan_count.load() + 1;
    connection x{50018, 6018}, y{50019, 6019};
    x.c.close(); // the last one allowed
    HOST_EXPECT(x.p.expect(F | A) && tcp_sent_count() == 0 && aborted() == 0);
    y.c.close();
    HOST_EXPECT(y.p.expect(F | A) && y.p.expect(R | A) && aborted() == 1);
    sysctl_tcp_max_orphans = most;
    x.p.send(R | A);
}

/// An orphan in FIN_WAIT2 waits for its peer's FIN so long and no longer; the object's timer runs in steps of 7.5 s, as 3.10's.
static void fin_wait2_is_left_after_the_timeout(void *)
{
    constexpr u64 step = 7500;
    int usual = sysctl_tcp_fin_timeout;
    for (u16 seconds : {u16{60}, u16{20}}) {
        sysctl_tcp_fin_timeout = seconds;
        connection x{static_cast<u16>(50100 + seconds), static_cast<u16>(6100 + seconds)};
        while (slab_active("tw_sock_TCP")) // of tests before
            net_sleep(1000);
        x.c.close();
        HOST_EXPECT(x.p.expect(F | A));
        x.p.send(A);
        net_sleep(20);
        HOST_EXPECT(slab_active("tw_sock_TCP") == 1);
        u64 start = jiffies(), want = u64{seconds} * HZ;
        while (slab_active("tw_sock_TCP") && jiffies() - start < 200000)
            net_sleep(100);
        u64 lasted = jiffies() - start;
        HOST_EXPECT(lasted + step + 100 >= want && lasted <= want + 2 * step);
        x.p.send(F | A); // too late
        HOST_EXPECT(x.p.expect(R));
    }
    sysctl_tcp_fin_timeout = usual;
}

static void linger2_below_zero_waits_for_nothing(void *)
{
    connection x{50020, 6020};
    moved aborted{LINUX_MIB_TCPAbortOnLinger};
    x.c.tp()->linger2 = -1;
    HOST_EXPECT(x.c.shutdown(1) == 0 && x.p.expect(F | A));
    x.p.send(A);
    HOST_EXPECT(x.c.state() == TCP_FIN_WAIT2);
    x.c.close();
    HOST_EXPECT(x.p.expect(R | A) && aborted() == 1);
}

static void passive_close(void *)
{
    connection x{50006, 6006};
    x.p.send(F | A);
    HOST_EXPECT(x.c.state() == TCP_CLOSE_WAIT);
    net_sleep(50); // the ACK of a FIN may be delayed
    HOST_EXPECT(x.p.expect(A));
    char b;
    HOST_EXPECT(x.c.recv(&b, 1) == 0); // end of stream
    HOST_EXPECT(x.c.poll() & POLLRDHUP);
    HOST_EXPECT(x.c.send("still", 5) == 5 && x.p.expect(A | P));
    x.p.send(A);
    x.c.close();
    HOST_EXPECT(x.p.expect(F | A));
    int tw = tcp_tw_count.load();
    x.p.send(A);
    HOST_EXPECT(tcp_tw_count.load() == tw); // LAST_ACK ends at once
    x.p.send(A);
    HOST_EXPECT(x.p.expect(R));
}

static void simultaneous_close(void *)
{
    connection x{50007, 6007};
    HOST_EXPECT(x.c.shutdown(1) == 0 && x.p.expect(F | A) && x.c.state() == TCP_FIN_WAIT1);
    x.p.ack--; // our FIN crosses theirs
    x.p.send(F | A);
    HOST_EXPECT(x.c.state() == TCP_CLOSING && x.p.expect(A));
    int tw = tcp_tw_count.load();
    x.p.send(A);
    HOST_EXPECT(x.c.state() == TCP_CLOSE && tcp_tw_count.load() == tw + 1);
}

static void simultaneous_open(void *)
{
    know_peer();
    tcp_socket c;
    HOST_EXPECT(c.connect(PEER_IP, 7000) == EINPROGRESS && c.state() == TCP_SYN_SENT);
    peer p{7000, c.port()};
    HOST_EXPECT(p.expect(S));
    p.send(S);
    HOST_EXPECT(c.state() == TCP_SYN_RECV && p.expect(S | A) && p.last.ack == p.seq);
    p.send(A);
    HOST_EXPECT(c.state() == TCP_ESTABLISHED);
    p.send(R);
}

static void half_close(void *)
{
    connection x{50008, 6008};
    HOST_EXPECT(x.c.shutdown(1) == 0 && x.c.tp()->sk_shutdown == SEND_SHUTDOWN);
    HOST_EXPECT(x.p.expect(F | A));
    x.p.send(A);
    HOST_EXPECT(x.c.state() == TCP_FIN_WAIT2 && x.c.send("x", 1) == -EPIPE);
    static u8 block[1000], got[1000];
    memset(block, 'b', sizeof block);
    for (int i = 0; i < 20; i++) {
        x.p.send(A, block, sizeof block);
        HOST_EXPECT(x.c.recv(got, sizeof got) == sizeof got && !memcmp(got, block, sizeof got));
    }
    x.p.send(F | A);
    HOST_EXPECT(x.c.recv(got, 1) == 0);
}

static void shut_rd_sends_nothing(void *)
{
    connection x{50009, 6009};
    HOST_EXPECT(x.c.shutdown(0) == 0 && x.c.tp()->sk_shutdown == RCV_SHUTDOWN);
    HOST_EXPECT(!x.p.expect(F | A) && x.c.state() == TCP_ESTABLISHED);
    x.p.send(A | P, "data", 4);
    HOST_EXPECT(x.p.expect(A)); // still acknowledged, still readable
    char b[8];
    HOST_EXPECT(x.c.recv(b, sizeof b) == 4 && x.c.recv(b, sizeof b) == 0);
    // With both directions shut new data is refused.
    moved abort{LINUX_MIB_TCPAbortOnData};
    HOST_EXPECT(x.c.shutdown(2) == 0 && x.p.expect(F | A));
    x.p.send(A | P, "more", 4);
    HOST_EXPECT(x.p.expect(R) && abort() == 1 && x.c.state() == TCP_CLOSE);
}

static void shut_rdwr_keeps_the_socket(void *)
{
    connection x{50010, 6010};
    net_sleep(20); // what the test before has freed is free
    u64 socks = slab_active("TCP");
    HOST_EXPECT(x.c.shutdown(2) == 0 && x.p.expect(F | A));
    x.p.send(A);
    net_sleep(20);
    HOST_EXPECT(slab_active("TCP") == socks && x.c.s->sk && x.c.state() == TCP_FIN_WAIT2);
    x.c.close();
    net_sleep(20);
    HOST_EXPECT(slab_active("TCP") == socks - 1);
}

static void close_with_unread_data_resets(void *)
{
    connection x{50011, 6011};
    moved abort{LINUX_MIB_TCPAbortOnClose};
    x.p.send(A | P, "unread", 6);
    HOST_EXPECT(x.p.expect(A));
    x.c.close();
    HOST_EXPECT(x.p.expect(R | A) && abort() == 1);
}

static void linger_zero_resets(void *)
{
    connection x{50012, 6012};
    moved abort{LINUX_MIB_TCPAbortOnData};
    sock_set_flag(x.c.s->sk, SOCK_LINGER);
    x.c.s->sk->sk_lingertime = 0;
    x.c.close();
    HOST_EXPECT(x.p.expect(R | A) && abort() == 1);
}

static void data_for_a_closed_socket_resets(void *)
{
    connection x{50013, 6013};
    x.c.close();
    HOST_EXPECT(x.p.expect(F | A));
    x.p.send(A | P, "nobody", 6);
    HOST_EXPECT(x.p.expect(R));
}

static void rst_must_be_exact(void *)
{
    connection x{50014, 6014};
    moved challenge{LINUX_MIB_TCPChallengeACK};
    u32 exact = x.p.seq;
    x.p.seq = exact + 100; // in the window, but not exact
    x.p.send(R);
    HOST_EXPECT(x.c.state() == TCP_ESTABLISHED && challenge() == 1 && x.p.expect(A));
    x.p.seq = exact + 10000000;
    x.p.send(R);
    HOST_EXPECT(x.c.state() == TCP_ESTABLISHED && !x.p.expect(A));
    x.p.seq = exact;
    x.p.send(S); // a SYN in the window: challenge
    HOST_EXPECT(x.c.state() == TCP_ESTABLISHED && x.p.expect(A));
    x.p.seq = exact;
    x.p.send(R);
    HOST_EXPECT(x.c.state() == TCP_CLOSE && x.c.error() == ECONNRESET);
}

static void rst_errors_by_state(void *)
{
    know_peer();
    tcp_socket c;
    HOST_EXPECT(c.connect(PEER_IP, 7001) == EINPROGRESS);
    peer p{7001, c.port()};
    HOST_EXPECT(p.expect(S));
    p.send(R | A);
    HOST_EXPECT(c.state() == TCP_CLOSE && c.error() == ECONNREFUSED);
    connection x{50015, 6015};
    x.p.send(F | A);
    x.p.send(R);
    HOST_EXPECT(x.c.state() == TCP_CLOSE && x.c.error() == EPIPE); // CLOSE_WAIT
}

static void one_element_makes_another_connection(void *)
{
    tcp_socket l, m;
    HOST_EXPECT(l.bind(6016) == 0 && m.bind(6017) == 0 && m.listen(5) == 0 && l.listen(5) == 0);
    peer a{50016, 6016}, b{50017, 6016}, c{50016, 6017};
    HOST_EXPECT(a.connect() && b.connect() && c.connect());
    tcp_socket sa{l.accept()}, sb{l.accept()}, sc{m.accept()};
    a.send(A | P, "a", 1), b.send(A | P, "b", 1), c.send(A | P, "c", 1);
    char buf[4];
    HOST_EXPECT(sa.recv(buf, 4) == 1 && buf[0] == 'a');
    HOST_EXPECT(sb.recv(buf, 4) == 1 && buf[0] == 'b');
    HOST_EXPECT(sc.recv(buf, 4) == 1 && buf[0] == 'c');
    a.send(R), b.send(R), c.send(R);
}

static unit_case tests[] = {
    KERNEL_UNIT(tcp_setup),
    KERNEL_UNIT(active_close_goes_through_time_wait),
    KERNEL_UNIT(segments_in_time_wait),
    KERNEL_UNIT(rst_kills_time_wait_unless_rfc1337),
    KERNEL_UNIT(too_many_time_waits_are_closed),
    KERNEL_UNIT(orphans_over_the_limit_are_reset),
    KERNEL_UNIT(fin_wait2_is_left_after_the_timeout),
    KERNEL_UNIT(linger2_below_zero_waits_for_nothing),
    KERNEL_UNIT(passive_close),
    KERNEL_UNIT(simultaneous_close),
    KERNEL_UNIT(simultaneous_open),
    KERNEL_UNIT(half_close),
    KERNEL_UNIT(shut_rd_sends_nothing),
    KERNEL_UNIT(shut_rdwr_keeps_the_socket),
    KERNEL_UNIT(close_with_unread_data_resets),
    KERNEL_UNIT(linger_zero_resets),
    KERNEL_UNIT(data_for_a_closed_socket_resets),
    KERNEL_UNIT(rst_must_be_exact),
    KERNEL_UNIT(rst_errors_by_state),
    KERNEL_UNIT(one_element_makes_another_connection),
};

extern "C" int main()
{
    unit_main("tcp_close", tests, 1);
}

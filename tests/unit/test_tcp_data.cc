// SPDX-License-Identifier: MIT
// Golden sequences on the virtual wire: retransmission, recovery, probes, keepalive, windows, Nagle, delayed ACKs, urgent data, segment
// checks (rows A-01…A-05, T-02, T-03, T-10, T-12…T-14, W-06, W-07). Time is virtual, so every interval is exact.
#include "tcp_link.h"

namespace
{
// --- Retransmission ---------------------------------------------------------------------------------------------------------------

void rto_doubles_from_200_ms(void *)
{
    link k{6000, false, false};
    moved timeouts{LINUX_MIB_TCPTimeouts};
    moved rtx{TCP_MIB_RetransSegs};
    HOST_EXPECT(k.c.send("hello", 5) == 5);
    seg s;
    HOST_EXPECT(k.next(&s) == 0 && s.len == 5 && s.flags == (P | A));
    u32 seq = s.seq;
    u64 rto = 201; // smoothed round trip of 1 ms and the least variance
    for (int i = 0; i < 6; i++, rto *= 2)
        HOST_EXPECT(about(k.next(&s), rto) && s.seq == seq && s.len == 5);
    HOST_EXPECT(timeouts() == 6 && rtx() == 6);
    k.p.ack = seq + 5;
    k.ack();
    HOST_EXPECT(k.tp()->packets_out == 0 && k.tp()->icsk_retransmits == 0);
    wait_ms(1000);
    HOST_EXPECT(tcp_sent_count() == 0);
}

void retransmission_gives_up_after_15(void *)
{
    link k{6001, false, false};
    HOST_EXPECT(k.c.send("x", 1) == 1);
    u64 t0 = jiffies();
    unsigned n = 0;
    while (k.c.state() != TCP_CLOSE && jiffies() - t0 < 2000000) {
        wait_ms(10);
        n += tcp_sent_count();
    }
    HOST_EXPECT(n == 16); // the first and 15 more
    u64 took = jiffies() - t0;
    HOST_EXPECT(took > 924000 && took < 930000);
    HOST_EXPECT(k.c.error() == ETIMEDOUT);
}

void syn_goes_out_seven_times(void *)
{
    tcp_socket c;
    wire_forget_sent();
    HOST_EXPECT(c.connect(PEER_IP, 81) == EINPROGRESS);
    u64 t0 = jiffies();
    static constexpr u64 at[] = {0, 1000, 3000, 7000, 15000, 31000, 63000};
    for (u64 t : at) {
        seg s;
        while (!tcp_sent(&s) && jiffies() - t0 < 200000)
            wait_ms(1);
        HOST_EXPECT(s.flags == S && about(jiffies() - t0, t));
    }
    while (c.state() != TCP_CLOSE && jiffies() - t0 < 200000)
        wait_ms(10);
    HOST_EXPECT(about(jiffies() - t0, 127000, 20) && c.error() == ETIMEDOUT);
    HOST_EXPECT(tcp_sent_count() == 0);
}

void initial_window_is_ten(void *)
{
    link k{6002, true, true};
    k.c.s->sk->sk_sndbuf = 1 << 20;
    HOST_EXPECT(k.c.send(bulk, 100000) == 100000);
    unsigned n = 0;
    seg s;
    while (tcp_sent(&s)) {
        HOST_EXPECT(s.len == 1448);
        n++;
    }
    HOST_EXPECT(n == 10);
    // An ACK of two lets three out: slow start counts ACKs, as 3.10 without ABC.
    k.p.ack = s.seq + s.len - 8 * 1448;
    k.ack();
    HOST_EXPECT(tcp_sent_count() == 3); // two acknowledged, cwnd 11
}

/// Ten segments are out; the first got lost.
void sack_recovers_one_hole(void *)
{
    link k{6003, true, false};
    moved fast{LINUX_MIB_TCPFastRetrans};
    moved rec{LINUX_MIB_TCPSackRecovery};
    HOST_EXPECT(k.c.send(bulk, 14600) == 14600);
    seg s;
    HOST_EXPECT(tcp_sent(&s));
    u32 first = s.seq;
    HOST_EXPECT(tcp_sent_count() == 9);
    for (u32 i = 1; i <= 2; i++)
        k.sack(first, {{first + 1460, first + 1460 * (i + 1)}});
    HOST_EXPECT(tcp_sent_count() == 0 && k.tp()->icsk_ca_state == TCP_CA_Disorder);
    k.sack(first, {{first + 1460, first + 1460 * 4}});
    HOST_EXPECT(tcp_sent(&s) && s.seq == first && s.len == 1460);
    HOST_EXPECT(k.tp()->icsk_ca_state == TCP_CA_Recovery && fast() == 1 && rec() == 1);
    k.sack(first + 14600, {});
    HOST_EXPECT(k.tp()->icsk_ca_state == TCP_CA_Open && k.tp()->packets_out == 0);
    HOST_EXPECT(k.tp()->snd_ssthresh == 7); // CUBIC: 10 · 0.7
}

void newreno_recovers_two_holes(void *)
{
    link k{6004, false, false};
    moved fast{LINUX_MIB_TCPFastRetrans};
    moved rec{LINUX_MIB_TCPRenoRecovery};
    HOST_EXPECT(k.c.send(bulk, 14600) == 14600);
    seg s;
    HOST_EXPECT(tcp_sent(&s));
    u32 first = s.seq;
    tcp_sent_count();
    k.p.ack = first;
    for (int i = 0; i < 2; i++)
        k.ack();
    HOST_EXPECT(tcp_sent_count() == 0);
    k.ack();
    HOST_EXPECT(tcp_sent(&s) && s.seq == first);
    HOST_EXPECT(rec() == 1 && fast() == 1);
    // A partial ACK tells of the next hole at once (RFC 6582).
    k.p.ack = first + 4 * 1460;
    k.ack();
    HOST_EXPECT(tcp_sent(&s) && s.seq == first + 4 * 1460 && fast() == 2);
    k.p.ack = first + 14600;
    k.ack();
    HOST_EXPECT(k.tp()->packets_out == 0);
}

void tail_loss_probe_before_the_timeout(void *)
{
    link k{6005, true, true};
    k.peer_ts += 10;
    HOST_EXPECT(k.c.send(bulk, 2896) == 2896);
    seg s;
    HOST_EXPECT(tcp_sent(&s));
    u32 first = s.seq;
    tcp_sent_count();
    moved probes{LINUX_MIB_TCPLossProbes};
    moved timeouts{LINUX_MIB_TCPTimeouts};
    u64 t = k.next(&s);
    HOST_EXPECT(t <= 15 && s.seq == first + 1448); // the last one, after 10 ms at least
    HOST_EXPECT(probes() == 1 && timeouts() == 0);
    t = k.next(&s);
    HOST_EXPECT(t >= 190 && s.seq == first && timeouts() == 1);
}

// --- Windows ------------------------------------------------------------------------------------------------------------------------

void zero_window_is_probed(void *)
{
    link k{6006, false, false, 5};
    HOST_EXPECT(k.c.send("0123456789", 10) == 10);
    seg s;
    HOST_EXPECT(k.next(&s, 1000) != ~u64{0} && s.len == 5);
    k.p.ack = s.seq + 5;
    k.window = 0;
    k.ack();
    u64 rto = k.tp()->icsk_rto;
    for (int i = 0; i < 4; i++, rto *= 2) {
        HOST_EXPECT(about(k.next(&s), rto) && s.len == 0 && s.seq == k.p.ack - 1);
        k.ack(); // still closed: the probing goes on
    }
    k.window = 100;
    k.ack();
    HOST_EXPECT(tcp_sent(&s) && s.len == 5 && !memcmp(s.data, "56789", 5));
}

void window_closes_and_opens_by_large_steps(void *)
{
    link k{6007, false, false, 65535, 0, 16384};
    seg s;
    u32 sent = 0;
    while (tcp_receive_window(k.tp()) >= 1000 && sent < 100000) {
        k.data(bulk, 1000);
        sent += 1000;
        wait_ms(50);
        while (tcp_sent(&s))
            ;
    }
    HOST_EXPECT(sent > 0 && k.tp()->rcv_nxt == k.p.seq);
    static u8 in[65536];
    u64 updates = 0;
    u32 last = s.window;
    for (u32 got = 0; got < sent;) {
        ssize_t n = k.c.recv(in, 100);
        HOST_EXPECT(n > 0);
        if (n <= 0)
            break;
        got += static_cast<u32>(n);
        while (tcp_sent(&s)) {
            if (s.window > last)
                HOST_EXPECT(s.window - last >= 536 || last >= 536); // no silly small steps
            last = s.window;
            updates++;
        }
    }
    HOST_EXPECT(updates < sent / 500 + 4);
}

// --- Nagle, cork, ACKs --------------------------------------------------------------------------------------------------------------------

void nagle_holds_the_second_small_one(void *)
{
    link k{6008, false, false};
    HOST_EXPECT(k.c.send("a", 1) == 1 && k.c.send("b", 1) == 1 && k.c.send("c", 1) == 1);
    seg s;
    HOST_EXPECT(tcp_sent(&s) && s.len == 1 && tcp_sent_count() == 0);
    k.p.ack = s.seq + 1;
    k.ack();
    HOST_EXPECT(tcp_sent(&s) && s.len == 2 && !memcmp(s.data, "bc", 2));
    k.p.ack = s.seq + 2;
    k.ack();
    k.tp()->nonagle |= TCP_NAGLE_OFF;
    HOST_EXPECT(k.c.send("d", 1) == 1 && k.c.send("e", 1) == 1);
    HOST_EXPECT(tcp_sent_count() == 2);
}

void more_corks_until_the_end(void *)
{
    link k{6009, false, false};
    HOST_EXPECT(k.c.send("head", 4, MSG_MORE | MSG_DONTWAIT) == 4);
    HOST_EXPECT(tcp_sent_count() == 0);
    HOST_EXPECT(k.c.send("body", 4) == 4);
    seg s;
    HOST_EXPECT(tcp_sent(&s) && s.len == 8 && (s.flags & P));
}

void acks_are_delayed_when_talking_in_turns(void *)
{
    link k{6010, false, false};
    moved delayed{LINUX_MIB_DelayedACKs};
    seg s;
    k.data("q", 1);
    HOST_EXPECT(tcp_sent(&s) && s.len == 0 &&
                s.flags == A); // quick at first: the peer is in slow start
    u8 b[16];
    HOST_EXPECT(k.c.recv(b, 16) == 1 && k.c.send("r", 1) == 1);
    HOST_EXPECT(tcp_sent(&s) && s.len == 1);
    k.p.ack = s.seq + 1;
    k.ack();
    k.data("q", 1); // now it waits for an answer to ride on
    HOST_EXPECT(tcp_sent_count() == 0);
    u64 t = k.next(&s);
    HOST_EXPECT(t >= 38 && t <= 45 && s.len == 0 && s.flags == A && delayed() == 1);
}

// --- Order --------------------------------------------------------------------------------------------------------------------------------

void out_of_order_is_sacked_and_joined(void *)
{
    link k{6012, true, false};
    moved ofo{LINUX_MIB_TCPOFOQueue};
    u32 base = k.p.seq;
    seg s;
    k.p.seq = base + 100;
    k.data("BBBB", 4);
    HOST_EXPECT(tcp_sent(&s) && s.ack == base && s.find(TCPOPT_SACK) &&
                s.find(TCPOPT_SACK)[1] == 10);
    HOST_EXPECT(get32(s.find(TCPOPT_SACK) + 2) == base + 100 &&
                get32(s.find(TCPOPT_SACK) + 6) == base + 104);
    k.p.seq = base + 200;
    k.data("CCCC", 4);
    HOST_EXPECT(tcp_sent(&s) && s.find(TCPOPT_SACK)[1] == 18 &&
                get32(s.find(TCPOPT_SACK) + 2) == base + 200); // the newest first
    HOST_EXPECT(ofo() == 2);
    // The same again: a D-SACK.
    k.p.seq = base + 200;
    k.data("CCCC", 4);
    HOST_EXPECT(tcp_sent(&s) && s.find(TCPOPT_SACK)[1] == 26 &&
                get32(s.find(TCPOPT_SACK) + 2) == base + 200 &&
                get32(s.find(TCPOPT_SACK) + 10) == base + 200);
    static u8 fill[100];
    k.p.seq = base;
    k.data(fill, 100);
    HOST_EXPECT(tcp_sent(&s) && s.ack == base + 104);
    static u8 in[300];
    HOST_EXPECT(k.c.recv(in, 300) == 104 && !memcmp(in + 100, "BBBB", 4));
    k.p.seq = base + 104;
    k.data(fill, 96);
    HOST_EXPECT(k.c.recv(in, 300) == 100 && !memcmp(in + 96, "CCCC", 4));
    HOST_EXPECT(k.tp()->rx_opt.num_sacks == 0);
    HOST_EXPECT(k.c.s->sk->sk_rmem_alloc.load() == 0);
}

void old_data_is_reported_as_duplicate(void *)
{
    link k{6013, true, false};
    moved dsack{LINUX_MIB_TCPDSACKOldSent};
    u32 base = k.p.seq;
    seg s;
    k.data("abcd", 4);
    tcp_sent_count();
    k.p.seq = base;
    k.data("abcd", 4);
    HOST_EXPECT(tcp_sent(&s) && s.ack == base + 4 && s.find(TCPOPT_SACK) &&
                get32(s.find(TCPOPT_SACK) + 2) == base && dsack() == 1);
    u8 in[16];
    HOST_EXPECT(k.c.recv(in, 16) == 4);
    HOST_EXPECT(k.c.recv(in, 16) == -EAGAIN);
}

// --- Segment checks --------------------------------------------------------------------------------------------------------------------------

void rst_and_syn_in_the_window_are_challenged(void *)
{
    link k{6014, false, false};
    moved challenges{LINUX_MIB_TCPChallengeACK};
    moved syns{LINUX_MIB_TCPSYNChallenge};
    seg s = k.make(R | A);
    s.seq += 10; // in the window, not the next
    tcp_inject(s);
    seg r;
    HOST_EXPECT(tcp_sent(&r) && r.flags == A && challenges() == 1 &&
                k.c.state() == TCP_ESTABLISHED);
    s = k.make(S);
    s.seq += 5;
    tcp_inject(s);
    HOST_EXPECT(tcp_sent(&r) && r.flags == A && syns() == 1 && k.c.state() == TCP_ESTABLISHED);
    s = k.make(R);
    s.seq -= 100000; // outside: nothing
    tcp_inject(s);
    HOST_EXPECT(tcp_sent_count() == 0 && k.c.state() == TCP_ESTABLISHED);
    tcp_inject(k.make(R));
    HOST_EXPECT(k.c.state() == TCP_CLOSE && k.c.error() == ECONNRESET);
}

void old_timestamps_are_refused(void *)
{
    link k{6015, true, true};
    moved paws{LINUX_MIB_PAWSEstab};
    k.data("new", 3);
    tcp_sent_count();
    k.peer_ts -= 100;
    k.data("old", 3);
    seg s;
    HOST_EXPECT(tcp_sent(&s) && s.flags == A && s.len == 0 && paws() == 1);
    u8 in[16];
    HOST_EXPECT(k.c.recv(in, 16) == 3 && !memcmp(in, "new", 3));
    HOST_EXPECT(k.c.recv(in, 16) == -EAGAIN);
}

void acks_of_the_unsent_are_refused(void *)
{
    link k{6016, false, false};
    k.p.ack += 100000;
    k.data("x", 1);
    u8 in[4];
    HOST_EXPECT(k.c.recv(in, 4) == -EAGAIN);
    HOST_EXPECT(k.c.state() == TCP_ESTABLISHED);
}

// --- Urgent data, peek, waitall -----------------------------------------------------------------------------------------------------------------

void urgent_byte_is_out_of_band(void *)
{
    link k{6017, false, false};
    seg s = k.make(A | TCPHDR_URG, "abX", 3);
    tcp_inject(s); // urg_ptr 0: make_tcp has no field for it, so the mark is at the first byte
    u8 in[16];
    HOST_EXPECT(k.c.recv(in, 16, MSG_OOB | MSG_DONTWAIT) == 1 && in[0] == 'a');
    HOST_EXPECT(k.c.recv(in, 16, MSG_OOB | MSG_DONTWAIT) == -EINVAL); // once
    HOST_EXPECT(k.c.recv(in, 16) == 2 && !memcmp(in, "bX", 2));
    HOST_EXPECT(k.c.send("!", 1, MSG_OOB | MSG_DONTWAIT) == 1);
    while (tcp_sent(&s))
        if (s.len)
            break;
    HOST_EXPECT((s.flags & TCPHDR_URG) && s.len == 1);
}

void peek_and_trunc_leave_or_skip(void *)
{
    link k{6018, false, false};
    k.data("hello world", 11);
    u8 in[16];
    HOST_EXPECT(k.c.recv(in, 5, MSG_PEEK | MSG_DONTWAIT) == 5 && !memcmp(in, "hello", 5));
    HOST_EXPECT(k.c.recv(in, 6, MSG_TRUNC | MSG_DONTWAIT) == 6);
    HOST_EXPECT(k.c.recv(in, 16, MSG_WAITALL | MSG_DONTWAIT) == 5 && !memcmp(in, "world", 5));
    HOST_EXPECT(k.c.recv(in, 16) == -EAGAIN);
    k.data("bye", 3, A | P | F);
    HOST_EXPECT(k.c.recv(in, 16, MSG_WAITALL) == 3);
    HOST_EXPECT(k.c.recv(in, 16) == 0 && k.c.state() == TCP_CLOSE_WAIT);
}

// --- Keepalive --------------------------------------------------------------------------------------------------------------------------------------

void keepalive_ends_a_dead_connection(void *)
{
    link k{6019, false, false};
    k.tp()->keepalive_time = 10000;
    k.tp()->keepalive_intvl = 2000;
    k.tp()->keepalive_probes = 3;
    tcp_set_keepalive(k.c.s->sk, true);
    sock_set_flag(k.c.s->sk, SOCK_KEEPOPEN);
    seg s;
    HOST_EXPECT(about(k.next(&s), 10000, 20) && s.len == 0 && s.seq == k.p.ack - 1 && s.flags == A);
    k.ack(); // alive: from the start
    HOST_EXPECT(about(k.next(&s), 10000, 20));
    HOST_EXPECT(about(k.next(&s), 2000, 20) && about(k.next(&s), 2000, 20));
    HOST_EXPECT(about(k.next(&s), 2000, 20) && (s.flags & R));
    HOST_EXPECT(k.c.state() == TCP_CLOSE && k.c.error() == ETIMEDOUT);
}

} // namespace

extern "C" int main()
{
    unit_main("tcp_data",
              {KERNEL_UNIT(link_setup),
               KERNEL_UNIT(rto_doubles_from_200_ms),
               KERNEL_UNIT(retransmission_gives_up_after_15),
               KERNEL_UNIT(syn_goes_out_seven_times),
               KERNEL_UNIT(initial_window_is_ten),
               KERNEL_UNIT(sack_recovers_one_hole),
               KERNEL_UNIT(newreno_recovers_two_holes),
               KERNEL_UNIT(tail_loss_probe_before_the_timeout),
               KERNEL_UNIT(zero_window_is_probed),
               KERNEL_UNIT(window_closes_and_opens_by_large_steps),
               KERNEL_UNIT(nagle_holds_the_second_small_one),
               KERNEL_UNIT(more_corks_until_the_end),
               KERNEL_UNIT(acks_are_delayed_when_talking_in_turns),

               KERNEL_UNIT(out_of_order_is_sacked_and_joined),
               KERNEL_UNIT(old_data_is_reported_as_duplicate),
               KERNEL_UNIT(rst_and_syn_in_the_window_are_challenged),
               KERNEL_UNIT(old_timestamps_are_refused),
               KERNEL_UNIT(acks_of_the_unsent_are_refused),
               KERNEL_UNIT(urgent_byte_is_out_of_band),
               KERNEL_UNIT(peek_and_trunc_leave_or_skip),
               KERNEL_UNIT(keepalive_ends_a_dead_connection)},
              1);
}

// SPDX-License-Identifier: MIT
// What a reviewer of a TCP asks for beyond the main sequences (docs/conformance.md §4, items 1, 3…5, 7, 12, 16, 23): segments without flags,
// options that are absent or ill-formed, round trips of repeated segments, congestion windows after pauses and time-outs, window edges, full
// buffers, timestamps after weeks. Time is virtual.
#include "tcp_link.h"

namespace
{
/// A connection to `l`, whose SYN has the options of `opt`.
void connect_with(tcp_socket &l, peer &p, tcp_socket *c, const u8 *opt, u8 n)
{
    seg syn = p.make(S);
    memcpy(syn.opt, opt, n);
    syn.optlen = n;
    tcp_inject(syn);
    p.seq++;
    HOST_EXPECT(p.expect(S | A));
    p.send(A);
    c->s = l.accept();
    HOST_EXPECT(c->s);
}

/// How many segments of how many bytes come out when there is much to send; ends the connection.
void first_flight(peer &p, tcp_socket *c, unsigned number, u32 size)
{
    HOST_EXPECT(c->send(bulk, 30000) > 0);
    unsigned n = 0;
    while (p.expect(A) || p.last.len) {
        HOST_EXPECT(p.last.len == size);
        p.last.len = 0;
        n++;
    }
    HOST_EXPECT(n == number);
    seg r = p.make(R);
    r.seq = c->tp()->rcv_nxt;
    tcp_inject(r);
    HOST_EXPECT(c->state() == TCP_CLOSE);
}

void without_the_option_segments_have_536_bytes(void *)
{
    tcp_socket l, c{nullptr};
    HOST_EXPECT(l.bind(6200) == 0 && l.listen(5) == 0);
    peer p{41000, 6200};
    connect_with(l, p, &c, nullptr, 0);
    first_flight(p, &c, 10, 536);
}

/// Lengths that lie, and a scale beyond 14: what came before counts, nothing is read past the header.
void ill_formed_options_are_not_options(void *)
{
    static constexpr u8 forms[][8] = {
        {2, 0, 5, 180, 0, 0, 0, 0},  // no length
        {2, 1, 5, 180, 0, 0, 0, 0},  // less than kind and length
        {1, 1, 1, 1, 1, 1, 2, 40},   // longer than the header
        {1, 1, 1, 1, 1, 1, 1, 2},    // no room for a length
        {2, 3, 5, 3, 4, 7, 0, 0},    // another length than the kind has
        {8, 10, 0, 0, 0, 1, 0, 0},   // a timestamp cut off
        {4, 3, 0, 5, 2, 4, 3, 2},    // SACK of other lengths
        {254, 6, 1, 2, 3, 4, 0, 99}, // unknown, then the end
    };
    tcp_socket l;
    HOST_EXPECT(l.bind(6201) == 0 && l.listen(5) == 0);
    u16 port = 41001;
    for (const auto &form : forms) {
        peer p{port++, 6201};
        tcp_socket c{nullptr};
        connect_with(l, p, &c, form, sizeof form);
        HOST_EXPECT(!c.tp()->rx_opt.tstamp_ok && !c.tp()->rx_opt.sack_ok &&
                    !c.tp()->rx_opt.wscale_ok);
        first_flight(p, &c, 10, 536);
    }
    peer p{port, 6201};
    tcp_socket c{nullptr};
    const u8 scale[] = {TCPOPT_NOP, TCPOPT_WINDOW, 3, 200};
    connect_with(l, p, &c, scale, sizeof scale);
    HOST_EXPECT(c.tp()->rx_opt.snd_wscale == 14);
}

void segments_that_say_nothing_are_dropped(void *)
{
    link k{6202, false, false};
    seg s = k.make(0, "data", 4);
    tcp_inject(s); // no flags
    s.flags = P;
    tcp_inject(s); // data without ACK
    HOST_EXPECT(tcp_sent_count() == 0 && k.tp()->rcv_nxt == k.p.seq);
    u8 in[8];
    HOST_EXPECT(k.c.recv(in, 8) == -EAGAIN && k.c.state() == TCP_ESTABLISHED);
}

void close_before_the_answer_sends_nothing(void *)
{
    tcp_socket c;
    HOST_EXPECT(c.connect(PEER_IP, 82) == EINPROGRESS);
    peer p{82, c.port()};
    HOST_EXPECT(p.expect(S));
    c.close();
    wait_ms(5000);
    HOST_EXPECT(!p.expect(S) && p.last.dport != 82);
}

// --- Round trips ----------------------------------------------------------------------------------------------------------------

/// The handshake needed `repeats` more SYN-ACKs: no sample, so 3 s; and one segment if it was more than one (RFC 6298 §5.7, RFC 5681 §3.1).
void handshake_with_losses(u16 port, u64 repeats, u32 cwnd)
{
    tcp_socket l, c{nullptr};
    HOST_EXPECT(l.bind(port) == 0 && l.listen(5) == 0);
    peer p{41100, port};
    p.send(S);
    HOST_EXPECT(p.expect(S | A));
    for (u64 n = 0; n < repeats; wait_ms(1))
        n += p.expect(S | A);
    p.send(A);
    c.s = l.accept();
    HOST_EXPECT(c.s && c.tp()->icsk_rto == 3000 && c.tp()->snd_cwnd == cwnd);
}

void lost_syn_acks_make_the_start_careful(void *)
{
    handshake_with_losses(6203, 1, 10);
    handshake_with_losses(6204, 2, 1);
}

/// Send, let it be repeated twice, acknowledge: the time that the next segment waits for its ACK.
u64 rto_after_two_repeats(link &k)
{
    seg s;
    HOST_EXPECT(k.c.send("x", 1) == 1 && k.next(&s) == 0);
    for (int i = 0; i < 2; i++) // the second may be a loss probe's
        HOST_EXPECT(k.next(&s) != ~u64{0} && s.len == 1);
    k.p.ack = s.seq + 1;
    k.p.last = s;
    k.ack();
    return k.tp()->icsk_rto;
}

void karns_rule_unless_there_are_timestamps(void *)
{
    link plain{6205, false, false}, stamped{6206, false, true};
    HOST_EXPECT(rto_after_two_repeats(plain) >= 800); // of which copy is unknown: still backed off
    HOST_EXPECT(rto_after_two_repeats(stamped) < 300);
}

// --- The congestion window --------------------------------------------------------------------------------------------------------

/// Send `n` full segments and acknowledge each by itself.
void round(link &k, unsigned n)
{
    HOST_EXPECT(k.c.send(bulk, n * 1460) == static_cast<ssize_t>(n * 1460));
    seg s;
    while (tcp_sent(&s)) {
        k.p.ack = s.seq + s.len;
        k.ack();
    }
    HOST_EXPECT(k.tp()->packets_out == 0);
}

void window_grows_only_when_it_is_used(void *)
{
    link k{6207, false, false};
    for (int i = 0; i < 30; i++) {
        round(k, 1);
        wait_ms(10);
    }
    HOST_EXPECT(k.tp()->snd_cwnd == 10); // one of ten in flight says nothing about eleven
}

/// Grow the window beyond the initial one, be silent for 5 s: how many go out at once then.
unsigned flight_after_pause(u16 port)
{
    link k{port, false, false};
    k.c.s->sk->sk_sndbuf = 1 << 20;
    for (int i = 0; i < 3; i++)
        round(k, 40);
    HOST_EXPECT(k.tp()->snd_cwnd >= 40);
    wait_ms(5000);
    tcp_sent_count(); // of earlier tests
    HOST_EXPECT(k.c.send(bulk, 40 * 1460) == 40 * 1460);
    return tcp_sent_count();
}

void pause_brings_the_window_down(void *)
{
    HOST_EXPECT(flight_after_pause(6208) == 10);
    sysctl_tcp_slow_start_after_idle = 0;
    HOST_EXPECT(flight_after_pause(6209) == 40);
    sysctl_tcp_slow_start_after_idle = 1;
}

void timeout_starts_with_one_segment(void *)
{
    link k{6210, false, false};
    HOST_EXPECT(k.c.send(bulk, 14600) == 14600);
    seg s;
    HOST_EXPECT(tcp_sent(&s) && tcp_sent_count() == 9);
    u32 first = s.seq;
    HOST_EXPECT(k.next(&s) != ~u64{0} && s.seq == first && tcp_sent_count() == 0);
    HOST_EXPECT(k.tp()->snd_cwnd == 1 && k.tp()->snd_ssthresh == 7 &&
                k.tp()->icsk_ca_state == TCP_CA_Loss);
    k.p.ack = first + 1460;
    k.ack();
    HOST_EXPECT(tcp_sent(&s) && s.seq == first + 1460);
    HOST_EXPECT(tcp_sent(&s) && s.seq == first + 2920 && tcp_sent_count() == 0);
}

// --- The receive window --------------------------------------------------------------------------------------------------------------

void only_what_is_new_and_fits_is_taken(void *)
{
    link k{6211, false, false, 65535, 0, 16384};
    u8 in[16];
    k.data("abc", 3);
    seg s = k.make(A | P, "bcdef", 5);
    s.seq = k.p.seq - 2; // overlaps what was there
    tcp_inject(s);
    k.p.seq += 3;
    HOST_EXPECT(k.c.recv(in, 16) == 6 && !memcmp(in, "abcdef", 6) && k.tp()->rcv_nxt == k.p.seq);
    tcp_sent_count();
    s = k.make(A | P, "beyond", 6);
    s.seq = k.p.seq + tcp_receive_window(k.tp()) + 1;
    tcp_inject(s);
    HOST_EXPECT(tcp_sent(&s) && s.flags == A && s.ack == k.p.seq && tcp_sent_count() == 0);
    HOST_EXPECT(k.tp()->out_of_order_queue.empty());
}

/// Every second byte, then the others: the buffer cannot hold as many packets, the peer sends again, nothing is lost.
void full_buffer_gives_up_what_came_out_of_order(void *)
{
    constexpr u32 BYTES = 2000;
    link k{6212, true, false, 65535, 0, 16384};
    moved called{LINUX_MIB_PruneCalled};
    moved pruned{LINUX_MIB_OfoPruned};
    for (u32 i = 0; i < BYTES; i++)
        bulk[i] = static_cast<u8>(i * 7);
    u32 start = k.p.seq;
    for (u32 i = 1; i < BYTES; i += 2) {
        k.p.seq = start + i;
        k.data(bulk + i, 1);
    }
    HOST_EXPECT(called() > 0 && k.tp()->rcv_nxt == start);
    HOST_EXPECT(k.c.s->sk->sk_rmem_alloc.load() <= 2 * k.c.s->sk->sk_rcvbuf);
    static u8 in[BYTES];
    u32 got = 0;
    for (u32 at = 0; at < BYTES; at = k.tp()->rcv_nxt - start) { // go back to what is missing
        k.p.seq = start + at;
        k.data(bulk + at, 1);
        ssize_t n = k.c.recv(in + got, BYTES - got);
        HOST_EXPECT(n > 0);
        if (n <= 0)
            break;
        got += static_cast<u32>(n);
    }
    HOST_EXPECT(got == BYTES && !memcmp(in, bulk, BYTES));
    HOST_EXPECT(pruned() <= called());
    tcp_sent_count();
    memset(bulk, 0, BYTES);
}

/// With ip_no_pmtu_disc a new socket lets routers cut its packets, and no router's word makes them smaller.
void packets_may_be_cut_when_path_mtus_are_not_sought(void *)
{
    sysctl_ip_no_pmtu_disc = 1;
    link k{6216, false, false};
    sysctl_ip_no_pmtu_disc = 0;
    HOST_EXPECT(k.tp()->pmtudisc == IP_PMTUDISC_DONT);
    HOST_EXPECT(k.c.send(bulk, 1460) == 1460);
    static u8 f[WIRE_FRAME_MAX];
    HOST_EXPECT(wire_sent(f) > 54 && f[23] == IPPROTO_TCP && !(f[20] & 0x40));
    link usual{6217, false, false};
    HOST_EXPECT(usual.c.send(bulk, 1460) == 1460);
    HOST_EXPECT(wire_sent(f) > 54 && f[23] == IPPROTO_TCP && (f[20] & 0x40));
}

// --- Timestamps and keepalive ------------------------------------------------------------------------------------------------------------

void timestamps_older_than_24_days_are_forgotten(void *)
{
    link k{6213, true, true};
    moved paws{LINUX_MIB_PAWSEstab};
    k.data("new", 3);
    k.peer_ts -= 100;
    k.data("old", 3);
    k.p.seq -= 3;
    HOST_EXPECT(paws() == 1);
    wait_ms((24 * 86400 + 10) * u64{1000});
    k.data("old", 3);
    u8 in[16];
    HOST_EXPECT(paws() == 1 && k.c.recv(in, 16) == 6 && !memcmp(in, "newold", 6));
}

void rst_needs_no_new_timestamp(void *)
{
    link k{6214, true, true};
    k.data("new", 3);
    k.peer_ts -= 100;
    tcp_inject(k.make(R));
    HOST_EXPECT(k.c.state() == TCP_CLOSE);
}

void nothing_is_kept_alive_while_data_waits(void *)
{
    link k{6215, false, false};
    k.tp()->keepalive_time = 2000;
    k.tp()->keepalive_intvl = 1000;
    k.tp()->keepalive_probes = 2;
    tcp_set_keepalive(k.c.s->sk, true);
    sock_set_flag(k.c.s->sk, SOCK_KEEPOPEN);
    HOST_EXPECT(k.c.send("data", 4) == 4);
    seg s;
    for (u64 t0 = jiffies(); jiffies() - t0 < 60000;)
        HOST_EXPECT(k.next(&s) != ~u64{0} && s.len == 4); // retransmissions, no probes
    HOST_EXPECT(k.c.state() == TCP_ESTABLISHED);
}
} // namespace

extern "C" int main()
{
    unit_main("tcp_edges",
              {KERNEL_UNIT(link_setup), KERNEL_UNIT(without_the_option_segments_have_536_bytes),
               KERNEL_UNIT(ill_formed_options_are_not_options),
               KERNEL_UNIT(segments_that_say_nothing_are_dropped),
               KERNEL_UNIT(close_before_the_answer_sends_nothing),
               KERNEL_UNIT(lost_syn_acks_make_the_start_careful),
               KERNEL_UNIT(karns_rule_unless_there_are_timestamps),
               KERNEL_UNIT(window_grows_only_when_it_is_used),
               KERNEL_UNIT(pause_brings_the_window_down),
               KERNEL_UNIT(timeout_starts_with_one_segment),
               KERNEL_UNIT(only_what_is_new_and_fits_is_taken),
               KERNEL_UNIT(full_buffer_gives_up_what_came_out_of_order),
               KERNEL_UNIT(packets_may_be_cut_when_path_mtus_are_not_sought),
               KERNEL_UNIT(timestamps_older_than_24_days_are_forgotten),
               KERNEL_UNIT(rst_needs_no_new_timestamp),
               KERNEL_UNIT(nothing_is_kept_alive_while_data_waits)},
              1);
}

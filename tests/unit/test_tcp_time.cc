// SPDX-License-Identifier: MIT
// What TCP does when, in virtual time: delayed and quick ACKs, how long a connect takes, keepalive, corking, time-outs, memory
// while data waits (rows A-01…A-05, H-03, H-07, H-11, H-12, Y-07).
#include "tcp_link.h"

namespace
{
// --- Acknowledgments ----------------------------------------------------------------------------------------------------------------

/// A full segment that the program reads at once: how many segments come back.
unsigned acks_for_a_segment(link *k)
{
    static u8 in[1460];
    k->data(bulk, sizeof in);
    HOST_EXPECT(k->c.recv(in, sizeof in) == sizeof in);
    return tcp_sent_count();
}

void full_segments_are_acknowledged_in_pairs(void *)
{
    link k{6100, true, false};
    unsigned quick = 0;
    while (quick < 40 && acks_for_a_segment(&k) == 1)
        quick++;
    HOST_EXPECT(quick >= 2 && quick <= 20); // at first each, while the sender is in slow start
    unsigned first = acks_for_a_segment(&k);
    for (int i = 0; i < 20; i++) { // then every second one, no more and no less
        unsigned next = acks_for_a_segment(&k);
        HOST_EXPECT(first + next == 1);
        first = next;
    }
    seg s;
    if (first == 0) // the odd one waits for its timer
        acks_for_a_segment(&k);
    HOST_EXPECT(acks_for_a_segment(&k) == 0);
    HOST_EXPECT(k.next(&s) <= 200 && s.flags == A && s.ack == k.p.seq);
}

void quickack_ends_with_an_answer(void *)
{
    link k{6102, false, false};
    seg s;
    k.data("q", 1);
    HOST_EXPECT(tcp_sent(&s));
    u8 b;
    HOST_EXPECT(k.c.recv(&b, 1) == 1 && k.c.send("r", 1) == 1 && tcp_sent(&s));
    HOST_EXPECT(k.tp()->icsk_ack.pingpong);
    k.p.ack = s.seq + 1;
    k.ack();
    k.data("q", 1);
    HOST_EXPECT(tcp_sent_count() == 0); // it waits for the next answer
    HOST_EXPECT(k.c.recv(&b, 1) == 1 && k.c.send("r", 1) == 1);
    HOST_EXPECT(tcp_sent(&s) && s.len == 1 && s.ack == k.p.seq && tcp_sent_count() == 0);
}

// --- How long a connect takes ---------------------------------------------------------------------------------------------------------

/// A task that connects and sleeps meanwhile.
struct connector {
    tcp_socket c;
    u16 port;
    int err = -1;
    u64 took = 0;
    bool done = false;
};
void connect_and_wait(void *arg)
{
    auto *t = static_cast<connector *>(arg);
    u64 start = jiffies();
    t->err = t->c.connect(PEER_IP, t->port, 0);
    t->took = jiffies() - start;
    t->done = true;
}

constexpr u64 ROUND_TRIP = 20;

/// One connection over a wire of 20 ms that loses the first `lost` SYNs; its time in ms.
u64 connect_time(u16 port, unsigned lost)
{
    auto *t = knew<connector>(GFP_KERNEL);
    t->port = port;
    wake_up_process(kthread_create(connect_and_wait, t, -1, "connector"));
    seg s;
    for (unsigned i = 0; i <= lost; i++)
        while (!tcp_sent(&s))
            wait_ms(1);
    HOST_EXPECT(s.flags == S && t->c.state() == TCP_SYN_SENT && !t->done);
    peer p{port, s.sport};
    p.ack = s.seq + 1;
    wait_ms(ROUND_TRIP);
    p.send(S | A);
    while (!t->done)
        wait_ms(1);
    HOST_EXPECT(t->err == 0 && t->c.state() == TCP_ESTABLISHED);
    HOST_EXPECT(t->c.tp()->icsk_pending == 0); // no timer is left
    HOST_EXPECT(p.expect(A) && p.last.ack == p.seq);
    p.send(R);
    u64 took = t->took;
    kdelete(t);
    return took;
}

void connect_takes_one_round_trip(void *)
{
    HOST_EXPECT(about(connect_time(90, 0), ROUND_TRIP));
    HOST_EXPECT(about(connect_time(91, 1), 1000 + ROUND_TRIP)); // a lost SYN costs a second
}

void connect_times_have_peaks(void *)
{
    static constexpr u64 peak[] = {0, 1000, 3000, 7000, 15000, 31000};
    unsigned hits[6] = {};
    for (u16 i = 0; i < 60; i++) {
        unsigned lost = 0;
        while (lost < 5 && host_random() % 10 < 3) // 30 % of the SYNs get lost
            lost++;
        u64 took = connect_time(static_cast<u16>(1000 + i), lost);
        HOST_EXPECT(about(took, peak[lost] + ROUND_TRIP, 10));
        hits[lost]++;
    }
    HOST_EXPECT(hits[0] > hits[1] && hits[1] > hits[2] && hits[2] > 0);
}

// --- Keepalive ------------------------------------------------------------------------------------------------------------------------

void start_keepalive(link *k)
{
    tcp_set_keepalive(k->c.s->sk, true);
    sock_set_flag(k->c.s->sk, SOCK_KEEPOPEN);
}

void keepalive_times_come_from_the_settings(void *)
{
    HOST_EXPECT(sysctl_tcp_keepalive_time == 7200 && sysctl_tcp_keepalive_intvl == 75 &&
                sysctl_tcp_keepalive_probes == 9);
    link k{6110, false, false};
    start_keepalive(&k);
    seg s;
    HOST_EXPECT(about(k.next(&s, 8000000), 7200000, 100) && s.len == 0 && s.seq == k.p.ack - 1);
    for (int i = 1; i < 9; i++)
        HOST_EXPECT(about(k.next(&s), 75000, 20) && s.flags == A);
    HOST_EXPECT(about(k.next(&s), 75000, 20) && (s.flags & R));
    HOST_EXPECT(k.c.state() == TCP_CLOSE && k.c.error() == ETIMEDOUT);
}

/// Probes two, three and four seconds after the last word, and the end at five.
void own_keepalive_times(void *)
{
    link k{6111, false, false};
    k.tp()->keepalive_time = 2000;
    k.tp()->keepalive_intvl = 1000;
    k.tp()->keepalive_probes = 3;
    start_keepalive(&k);
    seg s;
    HOST_EXPECT(about(k.next(&s), 2000, 20) && about(k.next(&s), 1000, 20));
    HOST_EXPECT(about(k.next(&s), 1000, 20) && k.c.state() == TCP_ESTABLISHED);
    HOST_EXPECT(about(k.next(&s), 1000, 20) && (s.flags & R) && k.c.error() == ETIMEDOUT);
}

/// The kernel answers for a program that does nothing.
void keepalive_is_answered_without_the_program(void *)
{
    link k{6112, false, false};
    seg s;
    for (int i = 0; i < 5; i++) {
        seg probe = k.make(A);
        probe.seq--; // as a probe is
        tcp_inject(probe);
        HOST_EXPECT(tcp_sent(&s) && s.flags == A && s.len == 0 && s.ack == k.p.seq);
        wait_ms(75000);
    }
    k.data("are you there?", 14); // a heartbeat of the programs' own: acknowledged, not answered
    wait_ms(300);
    HOST_EXPECT(tcp_sent(&s) && s.flags == A && s.ack == k.p.seq && tcp_sent_count() == 0);
}

/// Something on the way that drops segments without data kills a connection whose ends are well.
void filtered_keepalive_kills_a_healthy_connection(void *)
{
    link k{6113, false, false};
    k.tp()->keepalive_time = 10000;
    k.tp()->keepalive_intvl = 1000;
    k.tp()->keepalive_probes = 3;
    start_keepalive(&k);
    seg s;
    HOST_EXPECT(k.next(&s) != ~u64{0} && s.len == 0); // never gets to the peer
    HOST_EXPECT(k.c.send("data", 4) == 4 && tcp_sent(&s) && s.len == 4);
    k.p.ack = s.seq + 4;
    k.ack(); // data does: the connection is well
    HOST_EXPECT(k.c.state() == TCP_ESTABLISHED && k.tp()->packets_out == 0);
    while (k.c.state() == TCP_ESTABLISHED && k.next(&s, 20000) != ~u64{0})
        HOST_EXPECT(s.len == 0);
    HOST_EXPECT(k.c.error() == ETIMEDOUT);
}

// --- Other time-outs ------------------------------------------------------------------------------------------------------------------

void user_timeout_ends_retransmission(void *)
{
    link k{6120, false, false};
    k.tp()->icsk_user_timeout = 3000;
    HOST_EXPECT(k.c.send("x", 1) == 1);
    u64 start = jiffies();
    while (k.c.state() == TCP_ESTABLISHED && jiffies() - start < 60000)
        wait_ms(10);
    u64 took = jiffies() - start;
    HOST_EXPECT(took >= 3000 && took <= 6500 && k.c.error() == ETIMEDOUT); // at a time-out after it
}

void cork_gives_in_after_200_ms(void *)
{
    link k{6121, false, false};
    k.tp()->nonagle |= TCP_NAGLE_CORK;
    HOST_EXPECT(k.c.send("part", 4) == 4 && tcp_sent_count() == 0);
    seg s;
    u64 waited = k.next(&s, 5000);
    HOST_EXPECT(waited >= 190 && waited <= 250 && s.len == 4);
}

// --- Memory ---------------------------------------------------------------------------------------------------------------------------

void memory_is_held_while_data_waits(void *)
{
    link k{6130, true, false};
    sock *sk = k.c.s->sk;
    s64 pages = tcp_memory_allocated.load();
    HOST_EXPECT(sk->sk_rmem_alloc.load() == 0);
    for (int i = 0; i < 10; i++)
        k.data(bulk, 1000);
    u32 truesize = 0;
    for (sk_buff *skb = skb_peek(&sk->sk_receive_queue); skb; skb = skb->next)
        truesize += skb->truesize;
    HOST_EXPECT(sk->sk_rmem_alloc.load() == static_cast<int>(truesize) && truesize >= 10000);
    HOST_EXPECT(tcp_memory_allocated.load() > pages);
    static u8 in[10000];
    HOST_EXPECT(k.c.recv(in, sizeof in) == sizeof in && sk->sk_rmem_alloc.load() == 0);
    HOST_EXPECT(k.c.send(bulk, 10000) == 10000 && k.tp()->sk_wmem_queued >= 10000);
    seg s;
    while (tcp_sent(&s))
        k.p.ack = s.seq + s.len;
    k.ack();
    HOST_EXPECT(k.tp()->sk_wmem_queued == 0);
    k.c.close();
    tcp_inject(k.make(R));
    wait_ms(20);
    HOST_EXPECT(tcp_memory_allocated.load() <= pages);
}
} // namespace

extern "C" int main()
{
    unit_main(
        "tcp_time",
        {KERNEL_UNIT(link_setup), KERNEL_UNIT(full_segments_are_acknowledged_in_pairs),
         KERNEL_UNIT(quickack_ends_with_an_answer), KERNEL_UNIT(connect_takes_one_round_trip),
         KERNEL_UNIT(connect_times_have_peaks), KERNEL_UNIT(keepalive_times_come_from_the_settings),
         KERNEL_UNIT(own_keepalive_times), KERNEL_UNIT(keepalive_is_answered_without_the_program),
         KERNEL_UNIT(filtered_keepalive_kills_a_healthy_connection),
         KERNEL_UNIT(user_timeout_ends_retransmission), KERNEL_UNIT(cork_gives_in_after_200_ms),
         KERNEL_UNIT(memory_is_held_while_data_waits)},
        1);
}

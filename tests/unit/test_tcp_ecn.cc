// SPDX-License-Identifier: MIT
// Explicit congestion notification (RFC 3168 §6.1): who agrees, what is marked, ECE until CWR, CWR once per reduction. Golden
// sequences against a scripted peer.
#include "tcp_link.h"

namespace
{
constexpr u8 E = TCPHDR_ECE, C = TCPHDR_CWR;
constexpr u8 ECT_0 = 2, CE = 3;

/// A listener, and a connection whose SYN has `flags` and the TOS byte `tos`.
struct ecn_link : pinned {
    tcp_socket l, c;
    peer p;
    bool agreed = false;

    ecn_link(u16 port, u8 flags, u8 tos = 0) : c{nullptr}, p{40100, port}
    {
        HOST_EXPECT(l.bind(port) == 0 && l.listen(5) == 0);
        seg syn = p.make(flags);
        syn.tos = tos;
        syn.mss(1460);
        tcp_inject(syn);
        p.seq++;
        agreed = p.expect(S | A | E);
        HOST_EXPECT(p.last.tos == 0); // neither SYN nor SYN-ACK may be marked
        p.ack = p.last.seq + 1;
        p.send(A);
        c.s = l.accept();
        HOST_EXPECT(c.s);
    }
    ~ecn_link()
    {
        p.seq = c.tp()->rcv_nxt;
        p.send(R);
    }
    /// 100 bytes from the peer.
    void data(u8 tos, u8 flags = A | P)
    {
        static const u8 bytes[100] = {};
        seg s = p.make(flags, bytes, sizeof bytes);
        s.tos = tos;
        tcp_inject(s);
        p.seq += s.len;
    }
    /// 100 bytes from the kernel.
    void send() { HOST_EXPECT(c.send(bulk, 100) == 100); }
};

void syn_asks_and_synack_agrees(void *)
{
    HOST_EXPECT(sysctl_tcp_ecn == 2);
    HOST_EXPECT(ecn_link(7000, S | E | C).agreed);
}

void nobody_agrees_to_less(void *)
{
    HOST_EXPECT(!ecn_link(7001, S).agreed);
    HOST_EXPECT(!ecn_link(7002, S | E).agreed);
    HOST_EXPECT(!ecn_link(7003, S | C).agreed);
    HOST_EXPECT(!ecn_link(7004, S | E | C, CE)
                     .agreed); // marked: something on the way does not know the bits
    sysctl_tcp_ecn = 0;
    HOST_EXPECT(!ecn_link(7005, S | E | C).agreed);
    sysctl_tcp_ecn = 2;
}

void echo_goes_on_until_the_sender_has_slowed_down(void *)
{
    ecn_link k{7006, S | E | C};
    k.data(ECT_0);
    HOST_EXPECT(k.p.expect(A) && k.p.last.tos == 0);
    k.data(CE);
    HOST_EXPECT(k.p.expect(A | E) && k.p.last.tos == 0);
    k.data(ECT_0);
    HOST_EXPECT(k.p.expect(A | E));
    k.data(ECT_0, A | P | C);
    HOST_EXPECT(k.p.expect(A));
    k.data(CE, A | P | C); // answered, and marked again
    HOST_EXPECT(k.p.expect(A | E));
}

void marks_mean_nothing_without_agreement(void *)
{
    ecn_link k{7007, S};
    k.data(CE);
    HOST_EXPECT(k.p.expect(A));
    k.send();
    HOST_EXPECT(k.p.expect(A | P) && k.p.last.tos == 0);
    u32 cwnd = k.c.tp()->snd_cwnd;
    k.p.send(A | E);
    HOST_EXPECT(k.c.tp()->icsk_ca_state == TCP_CA_Open && k.c.tp()->snd_cwnd >= cwnd);
}

void new_data_alone_is_marked(void *)
{
    ecn_link k{7008, S | E | C};
    k.send();
    HOST_EXPECT(k.p.expect(A | P) && k.p.last.tos == ECT_0);
    wait_ms(2000); // no ACK: it comes again
    HOST_EXPECT(k.p.expect(A | P) && k.p.last.len == 100 && k.p.last.tos == 0);
}

void echo_slows_the_sender_down_once(void *)
{
    ecn_link k{7009, S | E | C};
    tcp_sock *tp = k.c.tp();
    k.send();
    HOST_EXPECT(k.p.expect(A | P));
    k.p.send(A | E);
    HOST_EXPECT(tp->icsk_ca_state == TCP_CA_CWR && tp->snd_ssthresh == 7); // CUBIC: 0.7 of 10
    k.send();
    HOST_EXPECT(k.p.expect(A | P | C) && k.p.last.tos == ECT_0);
    k.p.send(A);
    HOST_EXPECT(tp->icsk_ca_state == TCP_CA_Open && tp->snd_cwnd == 7);
    k.send();
    HOST_EXPECT(k.p.expect(A | P));
}

void active_open_asks_only_when_told(void *)
{
    for (int ecn : {2, 1}) {
        sysctl_tcp_ecn = ecn;
        tcp_socket c;
        know_peer();
        HOST_EXPECT(c.connect(PEER_IP, 7010) == EINPROGRESS);
        peer p{7010, c.port()};
        HOST_EXPECT(p.expect(ecn == 1 ? S | E | C : S) && p.last.tos == 0);
        p.send(S | A | E);
        HOST_EXPECT(p.expect(A) && c.send(bulk, 100) == 100);
        HOST_EXPECT(p.expect(A | P) && p.last.tos == (ecn == 1 ? ECT_0 : 0));
        p.send(R);
    }
    // The peer does not want it; or sends back what it got, as some did.
    for (u8 flags : {0, E | C}) {
        tcp_socket c;
        HOST_EXPECT(c.connect(PEER_IP, 7011) == EINPROGRESS);
        peer p{7011, c.port()};
        HOST_EXPECT(p.expect(S | E | C));
        p.send(static_cast<u8>(S | A | flags));
        HOST_EXPECT(p.expect(A) && c.send(bulk, 100) == 100);
        HOST_EXPECT(p.expect(A | P) && p.last.tos == 0);
        p.send(R);
    }
    sysctl_tcp_ecn = 2;
}

} // namespace

extern "C" int main()
{
    unit_main("tcp_ecn",
              {KERNEL_UNIT(link_setup), KERNEL_UNIT(syn_asks_and_synack_agrees),
               KERNEL_UNIT(nobody_agrees_to_less),
               KERNEL_UNIT(echo_goes_on_until_the_sender_has_slowed_down),
               KERNEL_UNIT(marks_mean_nothing_without_agreement),
               KERNEL_UNIT(new_data_alone_is_marked), KERNEL_UNIT(echo_slows_the_sender_down_once),
               KERNEL_UNIT(active_open_asks_only_when_told)},
              1);
}

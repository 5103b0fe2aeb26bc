// SPDX-License-Identifier: MIT
// Reassembly: order, duplicates, overlap, time, memory; and cutting datagrams that leave (row
// T-04).
#include "net/ipv4/ip_frag.h"
#include "net_util.h"

static u8 frame[WIRE_FRAME_MAX], answer[WIRE_FRAME_MAX];
static socket *sock7;

/// A UDP datagram of n payload bytes (pattern i*7) in memory, without checksum.
static u8 datagram[70000];
static size_t make_datagram(size_t n)
{
    put16(datagram, 5000);
    put16(datagram + 2, 7);
    put16(datagram + 4, static_cast<u16>(8 + n));
    put16(datagram + 6, 0);
    for (size_t i = 0; i < n; i++)
        datagram[8 + i] = static_cast<u8>(i * 7);
    return 8 + n;
}

/// Bytes [from, to) of the datagram as a fragment.
static void piece(u16 id, size_t from, size_t to, bool more)
{
    ip_fields h;
    h.id = id;
    h.frag = static_cast<u16>(from / 8 | (more ? 0x2000 : 0));
    wire_receive(frame, make_ip(frame, h, datagram + from, to - from));
}

/// Whether exactly the datagram of n payload bytes can be read.
static bool got(size_t n)
{
    static u8 buf[70000];
    ssize_t r = udp_recv(sock7, buf, sizeof(buf), MSG_DONTWAIT, nullptr);
    if (r != static_cast<ssize_t>(n))
        return false;
    for (size_t i = 0; i < n; i++)
        if (buf[i] != static_cast<u8>(i * 7))
            return false;
    return true;
}
static bool nothing()
{
    u8 b;
    return udp_recv(sock7, &b, 1, MSG_DONTWAIT, nullptr) == -EAGAIN;
}

static void setup(void *)
{
    HOST_EXPECT(wire_up());
    sock7 = udp_open(7);
    HOST_EXPECT(sock7);
    know_peer();
}

static void any_order_works(void *)
{
    static const u8 order[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    u16 id = 100;
    for (auto &o : order) {
        size_t n = make_datagram(3000), cut[4] = {0, 1000, 2000, n};
        for (unsigned i = 0; i < 3; i++) {
            HOST_EXPECT(nothing());
            piece(id, cut[o[i]], cut[o[i] + 1], o[i] != 2);
        }
        HOST_EXPECT(got(3000));
        id++;
    }
    HOST_EXPECT(ip_frag_nqueues() == 0 && ip_frag_mem() == 0);
}

static void largest_datagram_and_one_too_long(void *)
{
    size_t n = make_datagram(65507);
    for (size_t at = 0; at < n; at += 1480)
        piece(200, at, min(at + 1480, n), at + 1480 < n);
    HOST_EXPECT(got(65507));
    u64 fails = ip_mib_sum(IPSTATS_MIB_ReasmFails);
    piece(201, 65512, 65512 + 24, false); // ends beyond 65,535
    HOST_EXPECT(ip_mib_sum(IPSTATS_MIB_ReasmFails) == fails + 1);
    HOST_EXPECT(ip_frag_nqueues() == 0 && ip_frag_mem() == 0);
}

static void duplicates_do_no_harm(void *)
{
    size_t n = make_datagram(2000);
    piece(300, 0, 1000, true);
    piece(300, 0, 1000, true);
    piece(300, 1000, n, false);
    HOST_EXPECT(got(2000) && nothing());
}

static void overlap_costs_the_datagram(void *)
{
    size_t n = make_datagram(2000);
    u64 fails = ip_mib_sum(IPSTATS_MIB_ReasmFails);
    piece(400, 0, 1000, true);
    piece(400, 992, n, false); // begins inside the first
    HOST_EXPECT(nothing() && ip_frag_nqueues() == 0);
    piece(401, 1000, n, false);
    piece(401, 0, 1008, true); // ends inside the second
    HOST_EXPECT(nothing() && ip_frag_nqueues() == 0);
    piece(402, 0, 1000, true);
    piece(402, 400, 800, true); // lies inside
    HOST_EXPECT(nothing() && ip_frag_nqueues() == 0 && ip_frag_mem() == 0);
    HOST_EXPECT(ip_mib_sum(IPSTATS_MIB_ReasmFails) == fails + 3);
}

static void contradictory_ends_cost_the_datagram(void *)
{
    size_t n = make_datagram(2000);
    piece(500, 1000, 1800, false);
    piece(500, 1800, n, false); // another end
    HOST_EXPECT(nothing() && ip_frag_nqueues() == 0);
    piece(501, 400, 800, false);
    piece(501, 1600, 1800, true); // beyond the end
    HOST_EXPECT(nothing() && ip_frag_nqueues() == 0 && ip_frag_mem() == 0);
}

/// 30 s, and the sender hears of it if the first fragment was there.
static void time_exceeded(void *)
{
    make_datagram(2000);
    wire_forget_sent();
    u64 timeouts = ip_mib_sum(IPSTATS_MIB_ReasmTimeout);
    piece(600, 0, 1000, true);
    piece(601, 1000, 2000, true); // no first fragment: no ICMP
    net_sleep(29000);
    HOST_EXPECT(ip_frag_nqueues() == 2);
    know_peer();
    net_sleep(1500);
    HOST_EXPECT(ip_frag_nqueues() == 0 && ip_frag_mem() == 0);
    HOST_EXPECT(ip_mib_sum(IPSTATS_MIB_ReasmTimeout) == timeouts + 2);
    HOST_EXPECT(wire_sent(answer) >= 42 && answer[23] == 1 && answer[34] == 11 && answer[35] == 1);
    HOST_EXPECT(get16(answer + 42 + 4) == 600); // quotes the first fragment
    HOST_EXPECT(!wire_sent(answer));
}

/// Memory stays below the high mark; the oldest datagrams go first.
static void memory_is_bounded(void *)
{
    make_datagram(2000);
    for (unsigned i = 0; i < 5000; i++)
        piece(static_cast<u16>(1000 + i), 0, 1400, true);
    HOST_EXPECT(ip_frag_mem() <= (4u << 20) + 8192);
    HOST_EXPECT(ip_frag_nqueues() > 500);
    size_t n = make_datagram(2000);
    piece(5999, 1400, n, false); // the newest is still there
    HOST_EXPECT(got(2000));
    piece(1000, 1400, n, false); // the oldest is not
    HOST_EXPECT(nothing());
    net_sleep(31000);
    HOST_EXPECT(ip_frag_nqueues() == 0 && ip_frag_mem() == 0);
    know_peer();
}

/// A datagram larger than the MTU leaves as fragments that fit together.
static void sending_is_fragmented(void *)
{
    wire_forget_sent();
    u64 created = ip_mib_sum(IPSTATS_MIB_FragCreates);
    make_datagram(4000);
    HOST_EXPECT(udp_send(sock7, datagram + 8, 4000, {2, htons(9), htonl(PEER_IP), {}}) == 4000);
    static u8 whole[5000];
    size_t end = 0, seen = 0;
    while (size_t n = wire_sent(answer)) {
        HOST_EXPECT(n <= 1514 && ip_fast_csum(answer + 14, 5) == be16{});
        size_t off = (get16(answer + 20) & 0x1fffu) * 8, len = get16(answer + 16) - 20u;
        memcpy(whole + off, answer + 34, len);
        if (!(get16(answer + 20) & 0x2000))
            end = off + len;
        else
            HOST_EXPECT(len % 8 == 0);
        seen++;
    }
    HOST_EXPECT(seen == 3 && end == 4008);
    HOST_EXPECT(!memcmp(whole + 8, datagram + 8, 4000));
    HOST_EXPECT(csum_tcpudp_magic(htonl(WIRE_IP), htonl(PEER_IP), 4008, 17,
                                  csum_partial(whole, 4008, 0)) == be16{});
    HOST_EXPECT(ip_mib_sum(IPSTATS_MIB_FragCreates) == created + 3);
}

extern "C" int main()
{
    unit_main("net_frag",
              {KERNEL_UNIT(setup), KERNEL_UNIT(any_order_works),
               KERNEL_UNIT(largest_datagram_and_one_too_long), KERNEL_UNIT(duplicates_do_no_harm),
               KERNEL_UNIT(overlap_costs_the_datagram),
               KERNEL_UNIT(contradictory_ends_cost_the_datagram), KERNEL_UNIT(time_exceeded),
               KERNEL_UNIT(memory_is_bounded), KERNEL_UNIT(sending_is_fragmented)},
              2);
}

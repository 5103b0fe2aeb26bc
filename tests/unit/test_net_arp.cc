// SPDX-License-Identifier: MIT
// Neighbours: the state machine in virtual time, the unresolved queue, malformed ARP, the limit on
// entries (row T-05).
#include "net/ipv4/arp.h"
#include "net_util.h"

static u8 frame[WIRE_FRAME_MAX], answer[WIRE_FRAME_MAX];
static constexpr u32 DEAD_IP = 0x0a090063; // 10.9.0.99: nobody

static u8 state_of(u32 ip)
{
    neighbour *n = neigh_lookup(&arp_tbl, htonl(ip), wire_dev());
    u8 s = n ? n->nud_state : u8{0xff};
    neigh_release(n);
    return s;
}

static bool next_is_request(u32 target)
{
    size_t n = wire_sent(answer);
    return n >= 42 && get16(answer + 12) == ETH_P_ARP && get16(answer + 20) == 1 &&
           get32(answer + 38) == target;
}

static void setup(void *)
{
    HOST_EXPECT(wire_up());
}

/// ARP at 0, 1 and 2 s, FAILED at 3 s; the sender's socket learns it.
static void unresolvable_host_fails_after_three_seconds(void *)
{
    socket *s = udp_open(100);
    wire_forget_sent();
    u64 t0 = jiffies();
    HOST_EXPECT(udp_send(s, "x", 1, {2, htons(9), htonl(DEAD_IP), {}}) == 1);
    HOST_EXPECT(next_is_request(DEAD_IP) && jiffies() - t0 < 5);
    HOST_EXPECT(state_of(DEAD_IP) == NUD_INCOMPLETE);
    net_sleep(990);
    HOST_EXPECT(!wire_sent(answer));
    net_sleep(20);
    HOST_EXPECT(next_is_request(DEAD_IP));
    net_sleep(1000);
    HOST_EXPECT(next_is_request(DEAD_IP));
    HOST_EXPECT(state_of(DEAD_IP) == NUD_INCOMPLETE);
    net_sleep(1000);
    HOST_EXPECT(!wire_sent(answer));
    HOST_EXPECT(state_of(DEAD_IP) == NUD_FAILED);
    sock_release(s);
}

/// Packets wait for the answer, in order, and leave when it comes.
static void queued_packets_leave_with_the_answer(void *)
{
    socket *s = udp_open(101);
    u32 ip = PEER_IP;
    wire_forget_sent();
    for (char c = 'a'; c <= 'c'; c++)
        HOST_EXPECT(udp_send(s, &c, 1, {2, htons(9), htonl(ip), {}}) == 1);
    HOST_EXPECT(next_is_request(ip) && !wire_sent(answer));
    wire_receive(frame, build_arp(frame, 2, ip, WIRE_IP));
    HOST_EXPECT(state_of(ip) == NUD_REACHABLE);
    for (char c = 'a'; c <= 'c'; c++) {
        HOST_EXPECT(wire_sent(answer) >= 43);
        HOST_EXPECT(!memcmp(answer, PEER_MAC, 6) && answer[42] == static_cast<u8>(c));
    }
    sock_release(s);
}

/// REACHABLE for a while, then STALE; use makes it DELAY, then PROBE with unicast questions.
static void reachable_ages(void *)
{
    socket *s = udp_open(102);
    net_sleep(50000);
    HOST_EXPECT(state_of(PEER_IP) == NUD_STALE);
    wire_forget_sent();
    HOST_EXPECT(udp_send(s, "y", 1, {2, htons(9), htonl(PEER_IP), {}}) == 1);
    HOST_EXPECT(wire_sent(answer) >= 43 && !wire_sent(answer)); // sent at once
    HOST_EXPECT(state_of(PEER_IP) == NUD_DELAY);
    net_sleep(5600);
    HOST_EXPECT(state_of(PEER_IP) == NUD_PROBE);
    HOST_EXPECT(next_is_request(PEER_IP));
    HOST_EXPECT(!memcmp(answer, PEER_MAC, 6)); // unicast
    wire_receive(frame, build_arp(frame, 2, PEER_IP, WIRE_IP));
    HOST_EXPECT(state_of(PEER_IP) == NUD_REACHABLE);
    sock_release(s);
}

/// The oldest make room in a queue of 64 KiB.
static void unresolved_queue_is_bounded(void *)
{
    constexpr u32 ip = DEAD_IP + 1;
    socket *s = udp_open(103);
    u8 data[1000] = {};
    for (int i = 0; i < 200; i++)
        udp_send(s, data, sizeof(data), {2, htons(9), htonl(ip), {}});
    neighbour *n = neigh_lookup(&arp_tbl, htonl(ip), wire_dev());
    HOST_EXPECT(n && n->arp_queue_len_bytes <= 65536 && n->arp_queue.qlen > 10 &&
                n->arp_queue.qlen < 100);
    neigh_release(n);
    u64 lost = 0;
    for (unsigned i = 0; i < NR_CPUS; i++)
        lost += neigh_stats.on(i).unres_discards;
    HOST_EXPECT(lost > 50);
    net_sleep(4000);
    n = neigh_lookup(&arp_tbl, htonl(ip), wire_dev());
    HOST_EXPECT(n && n->arp_queue.qlen == 0 && n->nud_state == NUD_FAILED);
    neigh_release(n);
    sock_release(s);
}

/// Every field of ARP wrong once: no answer, no entry.
static void malformed_arp_is_ignored(void *)
{
    constexpr u32 ip = DEAD_IP + 2;
    struct {
        unsigned at;
        u8 v;
    } bad[] = {{15, 9}, {16, 9}, {18, 5}, {19, 5}, {21, 9}, {22, 1}};
    for (auto b : bad) {
        size_t n = build_arp(frame, 1, ip, WIRE_IP);
        frame[b.at] = b.v;
        wire_forget_sent();
        wire_receive(frame, n);
        HOST_EXPECT(!wire_sent(answer) && state_of(ip) == 0xff);
    }
    for (u32 sip : {0x7f000001u, 0xe0000001u, 0xffffffffu, WIRE_IP}) {
        wire_receive(frame, build_arp(frame, 1, sip, WIRE_IP));
        HOST_EXPECT(state_of(sip) == 0xff);
    }
    for (unsigned n = 14; n < 42; n++) { // cut short
        build_arp(frame, 1, ip, WIRE_IP);
        wire_receive(frame, n);
        HOST_EXPECT(state_of(ip) == 0xff);
    }
}

/// An address probe (sender 0.0.0.0) is answered but teaches nothing; an announcement refreshes
/// only whom we know.
static void probes_and_announcements(void *)
{
    wire_forget_sent();
    wire_receive(frame, build_arp(frame, 1, 0, WIRE_IP));
    HOST_EXPECT(wire_sent(answer) >= 42 && get16(answer + 20) == 2);
    wire_receive(frame, build_arp(frame, 1, DEAD_IP + 3, DEAD_IP + 3));
    HOST_EXPECT(!wire_sent(answer) && state_of(DEAD_IP + 3) == 0xff);
}

/// A flood of requests from all over the subnet fills the table up to its limit, not beyond; we
/// still answer.
static void a_flood_cannot_exhaust_memory(void *)
{
    arp_tbl.gc_thresh2 = 40;
    arp_tbl.gc_thresh3 = 60;
    for (u32 i = 0; i < 5000; i++) {
        wire_receive(frame, build_arp(frame, 1, 0x0a090003 + (i % 250), WIRE_IP));
        HOST_EXPECT(arp_tbl.entries.load() <= 60);
        if (i % 256 == 0) {
            wire_forget_sent();
            net_sleep(1); // grace periods pass
        }
    }
    wire_forget_sent();
    wire_receive(frame, build_arp(frame, 1, PEER_IP, WIRE_IP));
    HOST_EXPECT(wire_sent(answer) >= 42);
}

extern "C" int main()
{
    unit_main("net_arp",
              {KERNEL_UNIT(setup), KERNEL_UNIT(unresolvable_host_fails_after_three_seconds),
               KERNEL_UNIT(queued_packets_leave_with_the_answer), KERNEL_UNIT(reachable_ages),
               KERNEL_UNIT(unresolved_queue_is_bounded), KERNEL_UNIT(malformed_arp_is_ignored),
               KERNEL_UNIT(probes_and_announcements), KERNEL_UNIT(a_flood_cannot_exhaust_memory)},
              2);
}

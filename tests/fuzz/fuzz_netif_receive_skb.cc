// SPDX-License-Identifier: MIT
// Fuzz target: a stream of whole frames into netif_receive_skb() of a booted kernel with one UDP socket open. Nothing may crash,
// hang or leak: after each input the socket is drained, all timers run out, and every sk_buff must be back in its cache.
//
// Input: frames, each behind a 16-bit little-endian word: bits 0-10 its length (the rest of the input if that is shorter),
// bits 11-13 how many frames' worth of time pass first (2^n ms, 0: none), bit 15: addressed to us (the first 6 bytes are
// replaced by our MAC, so that the fuzzer need not find it).
#include "host.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "sched/sched.h"
#include "wire.h"

struct input {
    const u8 *data;
    size_t n;
};
static socket *udp;
static u64 idle_skbs;

static u64 active_skbs()
{
    u64 n = 0;
    for_each_slab(
        [](const slab_stats &s, void *p) {
            if (!strncmp(s.name, "skbuff_", 7))
                *static_cast<u64 *>(p) += s.active_objs;
        },
        &n);
    return n;
}

static void set_up(void *)
{
    BUG_ON(!wire_up());
    udp = udp_open(7);
    BUG_ON(!udp);
    u8 arp[WIRE_FRAME_MAX];
    wire_receive(arp, build_arp(arp, 1, PEER_IP, WIRE_IP)); // answers then have somewhere to go
}

static void feed(void *p)
{
    auto *in = static_cast<input *>(p);
    u8 frame[WIRE_FRAME_MAX];
    while (in->n > 2) {
        u32 head = in->data[0] | u32{in->data[1]} << 8;
        in->data += 2;
        in->n -= 2;
        size_t len = min(min(head & 2047, in->n), sizeof(frame));
        memcpy(frame, in->data, len);
        in->data += len;
        in->n -= len;
        if ((head & 0x8000) && len >= ETH_HLEN)
            memcpy(frame, WIRE_MAC, sizeof(WIRE_MAC));
        if (u32 wait = head >> 11 & 7) {
            set_current_state(TASK_UNINTERRUPTIBLE);
            schedule_timeout(s64{1} << wait);
        }
        wire_receive(frame, len);
    }
    constexpr u32 MSG_DONTWAIT_ = 0x40;
    u8 buf[256];
    // EAGAIN may also mean a packet with a bad checksum: look at the queue itself.
    while (udp->sk->sk_receive_queue.qlen)
        (void)udp_recv(udp, buf, sizeof(buf), MSG_DONTWAIT_, nullptr);
    wire_forget_sent();
}

static void check_idle(void *)
{
    u64 now = active_skbs();
    if (now > idle_skbs)
        panic("%lu sk_buffs leaked", static_cast<unsigned long>(now - idle_skbs));
}

extern "C" int LLVMFuzzerInitialize(int *, char ***)
{
    host_boot(1, 1);
    host_run(set_up, nullptr);
    host_advance_ns(u64{60} * 1000000000);
    idle_skbs = active_skbs();
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const u8 *data, size_t n)
{
    input in{data, n};
    if (!host_run(feed, &in))
        panic("fuzz: the kernel stopped");
    // Reassembly gives up after 30 s, unresolved neighbours after 3.
    host_advance_ns(u64{35} * 1000000000);
    host_run(check_idle, nullptr);
    return 0;
}

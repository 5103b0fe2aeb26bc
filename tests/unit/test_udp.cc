// SPDX-License-Identifier: MIT
// The vertical slice on the host: ARP, ICMP echo, UDP in and out on the virtual wire, a sleeping reader woken by a packet.
// An example for network tests.
#include "sched/sched.h"
#include "unit.h"
#include "wire.h"

static u8 frame[WIRE_FRAME_MAX], answer[WIRE_FRAME_MAX];

static void msleep(int ms)
{
    set_current_state(TASK_UNINTERRUPTIBLE);
    schedule_timeout(ms);
}

static u16 get16(const u8 *p)
{
    return static_cast<u16>(p[0] << 8 | p[1]);
}

static void device_comes_up(void *)
{
    HOST_EXPECT(wire_up());
    HOST_EXPECT(!strcmp(wire_dev()->name, "eth0"));
    HOST_EXPECT(netif_running(wire_dev()));
}

/// A request about our address is answered, and teaches us the peer.
static void arp_is_answered(void *)
{
    wire_forget_sent();
    wire_receive(frame, build_arp(frame, 1, PEER_IP, WIRE_IP));
    msleep(1);
    HOST_EXPECT(wire_sent(answer) >= 42);
    HOST_EXPECT(get16(answer + 12) == ETH_P_ARP && get16(answer + 20) == 2);
    HOST_EXPECT(!memcmp(answer, PEER_MAC, 6) && !memcmp(answer + 22, WIRE_MAC, 6));
}

static void echo_is_answered(void *)
{
    wire_forget_sent();
    wire_receive(frame, build_icmp_echo(frame, 7, 1, "hello, softnet", 14));
    msleep(1);
    size_t n = wire_sent(answer);
    HOST_EXPECT(n >= 14 + 20 + 8 + 14);
    HOST_EXPECT(answer[23] == 1 && answer[34] == 0 && !memcmp(answer + 42, "hello, softnet", 14));
    HOST_EXPECT(!wire_sent(answer));
}

static void closed_port_is_reported(void *)
{
    wire_forget_sent();
    wire_receive(frame, build_udp(frame, 4000, 9, "x", 1));
    msleep(1);
    HOST_EXPECT(wire_sent(answer) >= 42);
    HOST_EXPECT(answer[23] == 1 && answer[34] == 3 && answer[35] == 3);
}

// --- a reader asleep in recvmsg -------------------------------------------------------------------

static struct {
    socket *s;
    ssize_t got;
    char data[64];
    sockaddr_in from;
    task_struct *task;
    std::atomic<bool> done;
} reader;

static void read_and_echo(void *)
{
    reader.task = current();
    reader.got = udp_recv(reader.s, reader.data, sizeof(reader.data), 0, &reader.from);
    if (reader.got > 0)
        HOST_EXPECT(udp_send(reader.s, reader.data, size_t(reader.got), reader.from) == reader.got);
    reader.done = true;
}

static void sleeping_reader_is_woken(void *)
{
    reader.s = udp_open(7);
    HOST_EXPECT(reader.s);
    wake_up_process(kthread_create(read_and_echo, nullptr, -1, "reader"));
    msleep(50); // callbacks run in batches
    HOST_EXPECT(reader.task && reader.task->state == TASK_INTERRUPTIBLE);
    u64 switches = reader.task->nvcsw;
    wire_forget_sent();
    wire_interrupt(frame, build_udp(frame, 4000, 7, "ping", 4), 1);
    msleep(50); // callbacks run in batches
    HOST_EXPECT(reader.done && reader.got == 4 && !memcmp(reader.data, "ping", 4));
    HOST_EXPECT(reader.from.sin_addr == htonl(PEER_IP) && reader.from.sin_port == htons(4000));
    (void)switches;
    size_t n = wire_sent(answer);
    HOST_EXPECT(n >= 46 && answer[23] == 17 && !memcmp(answer + 42, "ping", 4));
    HOST_EXPECT(get16(answer + 34) == 7 && get16(answer + 36) == 4000);
    sock_release(reader.s);
}

static void queue_keeps_order_and_limit(void *)
{
    socket *s = udp_open(77);
    HOST_EXPECT(s);
    constexpr u32 N = 1000;
    for (u32 i = 0; i < N; i++)
        wire_receive(frame, build_udp(frame, 4000, 77, &i, sizeof(i)));
    u32 v = 0, got = 0;
    constexpr u32 MSG_DONTWAIT_ = 0x40;
    while (udp_recv(s, &v, sizeof(v), MSG_DONTWAIT_, nullptr) == sizeof(v))
        HOST_EXPECT(v == got++);
    HOST_EXPECT(got > 100 && got < N); // 212,992 bytes of truesize, then drops
    HOST_EXPECT(udp_recv(s, &v, sizeof(v), MSG_DONTWAIT_, nullptr) == -EAGAIN);
    sock_release(s);
}

extern "C" int main()
{
    unit_main("udp",
              {KERNEL_UNIT(device_comes_up), KERNEL_UNIT(arp_is_answered),
               KERNEL_UNIT(echo_is_answered), KERNEL_UNIT(closed_port_is_reported),
               KERNEL_UNIT(sleeping_reader_is_woken), KERNEL_UNIT(queue_keeps_order_and_limit)},
              2);
}

// SPDX-License-Identifier: MIT
// AF_PACKET sockets and BPF filters, on lo. Says the same on Linux (as root, in a namespace of its own).
#include "guest_test.h"
#include <net/if.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>

struct sockaddr_ll {
    uint16_t sll_family, sll_protocol;
    int sll_ifindex;
    uint16_t sll_hatype;
    uint8_t sll_pkttype, sll_halen, sll_addr[8];
};
struct insn {
    uint16_t code;
    uint8_t jt, jf;
    uint32_t k;
};
struct prog {
    uint16_t len;
    const struct insn *insns;
};
enum {
    ETH_IP = 0x0800,
    ETH_ALL = 3,
    SOL_PACKET_ = 263,
    STATISTICS = 6,
    RX_RING = 5,
    VERSION = 10,
    HDRLEN = 11,
    ATTACH = 26,
    DETACH = 27,
};

static int lo;

static int packet_socket(int type, int protocol)
{
    struct sockaddr_ll a = {
        .sll_family = AF_PACKET, .sll_protocol = htons((uint16_t)protocol), .sll_ifindex = lo};
    int fd = socket(AF_PACKET, type | SOCK_NONBLOCK, 0);
    check("packet socket", fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0, NULL);
    return fd;
}

/// Send a datagram to ourselves and take it.
static void datagram(int from, int to, const char *text)
{
    char buf[100];
    struct sockaddr_in a = address_of("127.0.0.1", port_of(to));
    check_value("datagram", sendto(from, text, strlen(text), 0, (struct sockaddr *)&a, sizeof a),
                (long)strlen(text));
    struct pollfd p = {to, POLLIN, 0};
    check("it came",
          poll(&p, 1, PATIENCE_MS) == 1 && recv(to, buf, sizeof buf, 0) == (ssize_t)strlen(text),
          NULL);
}

static int attach(int fd, const struct insn *i, unsigned n)
{
    struct prog p = {(uint16_t)n, i};
    return setsockopt(fd, SOL_SOCKET, ATTACH, &p, sizeof p);
}
#define ATTACH_PROG(fd, ...)                       \
    attach(fd, (const struct insn[]){__VA_ARGS__}, \
           sizeof(struct insn[]){__VA_ARGS__} / sizeof(struct insn))

static void check_taps(int from, int to)
{
    unsigned char frame[200];
    struct sockaddr_ll a;
    socklen_t len = sizeof a;
    int raw = packet_socket(SOCK_RAW, ETH_ALL), cooked = packet_socket(SOCK_DGRAM, ETH_IP);
    datagram(from, to, "hello");
    check_value("frame on its way out",
                recvfrom(raw, frame, sizeof frame, 0, (struct sockaddr *)&a, &len), 14 + 28 + 5);
    check("its address",
          a.sll_family == AF_PACKET && a.sll_pkttype == 4 && a.sll_ifindex == lo &&
              a.sll_hatype == 772 && a.sll_protocol == htons(ETH_IP),
          "");
    check("its bytes",
          frame[12] == 8 && frame[13] == 0 && frame[14] == 0x45 &&
              memcmp(frame + 42, "hello", 5) == 0,
          "");
    len = sizeof a;
    check_value("the same coming in",
                recvfrom(raw, frame, sizeof frame, 0, (struct sockaddr *)&a, &len), 14 + 28 + 5);
    check("for us", a.sll_pkttype == 0, "");
    check_errno("no more", recv(raw, frame, sizeof frame, 0), EAGAIN);
    check_value("without its header, by protocol", recv(cooked, frame, 20, MSG_TRUNC), 28 + 5);
    check("IP first", frame[0] == 0x45, "");
    check_errno("only what comes in", recv(cooked, frame, sizeof frame, 0), EAGAIN);
    unsigned stats[2];
    len = sizeof stats;
    check("statistics",
          getsockopt(raw, SOL_PACKET_, STATISTICS, stats, &len) == 0 && stats[0] == 2 &&
              stats[1] == 0,
          NULL);
    len = sizeof stats;
    check("are reset", getsockopt(raw, SOL_PACKET_, STATISTICS, stats, &len) == 0 && stats[0] == 0,
          NULL);
    // Send one ourselves: a frame with a protocol that nobody has.
    memset(frame, 0, sizeof frame);
    frame[12] = 0x88;
    frame[13] = 0xb5;
    a = (struct sockaddr_ll){
        .sll_family = AF_PACKET, .sll_ifindex = lo, .sll_protocol = htons(0x88b5)};
    check_value("send a frame", sendto(raw, frame, 60, 0, (struct sockaddr *)&a, sizeof a), 60);
    struct pollfd p = {raw, POLLIN, 0};
    check("it comes back", poll(&p, 1, PATIENCE_MS) == 1 && recv(raw, frame, sizeof frame, 0) == 60,
          NULL);
    check_errno("too short an address", sendto(raw, frame, 60, 0, (struct sockaddr *)&a, 10),
                EINVAL);
    a.sll_ifindex = 9999;
    check_errno("no such device", sendto(raw, frame, 60, 0, (struct sockaddr *)&a, sizeof a),
                ENXIO);
    check_errno("bind there", bind(raw, (struct sockaddr *)&a, sizeof a), ENODEV);
    check_errno("unknown type", socket(AF_PACKET, SOCK_STREAM, 0), ESOCKTNOSUPPORT);
    close(raw);
    close(cooked);
}

static void check_filters(int from, int to)
{
    char frame[200];
    int raw = packet_socket(SOCK_RAW, ETH_ALL);
    // ldh [12]; jeq 0x800; ldb [23]; jeq 17; ldxb 4*([14]&0xf); ldb [x+22]; jeq 'y'; ret 44; ret 0
    check_value("attach",
                ATTACH_PROG(raw, {0x28, 0, 0, 12}, {0x15, 0, 6, 0x800}, {0x30, 0, 0, 23},
                            {0x15, 0, 4, 17}, {0xb1, 0, 0, 14}, {0x50, 0, 0, 22}, {0x15, 0, 1, 'y'},
                            {0x06, 0, 0, 44}, {0x06, 0, 0, 0}),
                0);
    datagram(from, to, "no");
    datagram(from, to, "yes, but cut");
    check_value("only what the filter keeps", recv(raw, frame, sizeof frame, 0), 44);
    check("the right one", frame[42] == 'y', "");
    check_value("twice, out and in", recv(raw, frame, sizeof frame, 0), 44);
    check_errno("nothing else", recv(raw, frame, sizeof frame, 0), EAGAIN);
    // Filters of a datagram socket see the UDP header first; the header cannot be cut off.
    check_value(
        "attach to UDP",
        ATTACH_PROG(to, {0x30, 0, 0, 8}, {0x15, 0, 1, 'a'}, {0x06, 0, 0, 10}, {0x06, 0, 0, 0}), 0);
    struct sockaddr_in a = address_of("127.0.0.1", port_of(to));
    sendto(from, "bad", 3, 0, (struct sockaddr *)&a, sizeof a);
    sendto(from, "allowed", 7, 0, (struct sockaddr *)&a, sizeof a);
    struct pollfd p = {to, POLLIN, 0};
    check("filtered and cut",
          poll(&p, 1, PATIENCE_MS) == 1 && recv(to, frame, sizeof frame, MSG_DONTWAIT) == 2 &&
              frame[0] == 'a',
          NULL);
    check_value("detach", setsockopt(to, SOL_SOCKET, DETACH, &lo, sizeof lo), 0);
    check_errno("detach again", setsockopt(to, SOL_SOCKET, DETACH, &lo, sizeof lo), ENOENT);
    check_errno("no return", ATTACH_PROG(raw, {0x28, 0, 0, 12}), EINVAL);
    check_errno("jump outside", ATTACH_PROG(raw, {0x15, 5, 0, 1}, {0x06, 0, 0, 0}), EINVAL);
    check_errno("division by zero", ATTACH_PROG(raw, {0x34, 0, 0, 0}, {0x06, 0, 0, 0}), EINVAL);
    check_errno("no such instruction", ATTACH_PROG(raw, {0xffff, 0, 0, 0}, {0x06, 0, 0, 0}),
                EINVAL);
    check_errno("memory read before written", ATTACH_PROG(raw, {0x60, 0, 0, 3}, {0x06, 0, 0, 0}),
                EINVAL);
    check_errno("no memory word 16", ATTACH_PROG(raw, {0x02, 0, 0, 16}, {0x06, 0, 0, 0}), EINVAL);
    check_errno("empty", attach(raw, NULL, 0), EINVAL);
    // Far outside the packet: dropped, nothing worse.
    check_value("wild loads", ATTACH_PROG(raw, {0x20, 0, 0, 0x7fffffff}, {0x06, 0, 0, 1}), 0);
    datagram(from, to, "x");
    check_value("wild negative loads", ATTACH_PROG(raw, {0x20, 0, 0, 0x80000000}, {0x06, 0, 0, 1}),
                0);
    datagram(from, to, "x");
    check_errno("dropped", recv(raw, frame, sizeof frame, 0), EAGAIN);
    close(raw);
}

static void check_ring(int from, int to)
{
    int raw = packet_socket(SOCK_RAW, ETH_ALL), v2 = 1;
    struct {
        unsigned block_size, block_nr, frame_size, frame_nr;
    } req = {8192, 2, 1024, 16}, bad = {8192, 2, 1000, 16}, none = {0, 0, 0, 0};
    socklen_t len = sizeof v2;
    check("header length", getsockopt(raw, SOL_PACKET_, HDRLEN, &v2, &len) == 0 && v2 == 32, NULL);
    v2 = 1;
    check_value("V2", setsockopt(raw, SOL_PACKET_, VERSION, &v2, sizeof v2), 0);
    check_errno("odd frames", setsockopt(raw, SOL_PACKET_, RX_RING, &bad, sizeof bad), EINVAL);
    check_value("ring", setsockopt(raw, SOL_PACKET_, RX_RING, &req, sizeof req), 0);
    unsigned char *ring = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, raw, 0);
    check("map", ring != MAP_FAILED, NULL);
    if (ring == MAP_FAILED)
        return;
    struct pollfd p = {raw, POLLIN, 0};
    check_value("empty", poll(&p, 1, 0), 0);
    datagram(from, to, "ringed");
    check_value("readable", poll(&p, 1, PATIENCE_MS), 1);
    volatile unsigned *h = (volatile unsigned *)ring;
    unsigned mac = ((volatile unsigned short *)h)[6];
    check("status and lengths", (h[0] & 1) && h[1] == 48 && h[2] == 48, "");
    check("the frame", mac < 100 && memcmp(ring + mac + 42, "ringed", 6) == 0, "");
    check("the second", ((volatile unsigned *)(ring + 1024))[0] & 1, "");
    for (int i = 0; i < 20; i++)
        datagram(from, to, "more than fits");
    unsigned stats[2];
    len = sizeof stats;
    check("drops are counted",
          getsockopt(raw, SOL_PACKET_, STATISTICS, stats, &len) == 0 && stats[0] == 42 &&
              stats[1] == 26,
          NULL);
    for (int i = 0; i < 16; i++)
        ((volatile unsigned *)(ring + 1024 * i))[0] = 0;
    datagram(from, to, "again");
    check("goes on where it was", h[0] & 1, "");
    munmap(ring, 16384);
    check_value("ring's end", setsockopt(raw, SOL_PACKET_, RX_RING, &none, sizeof none), 0);
    close(raw);
    int udp = udp_socket("127.0.0.1", 0);
    check_errno("other sockets cannot be mapped",
                mmap(NULL, 4096, PROT_READ, MAP_SHARED, udp, 0) == MAP_FAILED ? -1 : 0, ENODEV);
    close(udp);
}

int main(void)
{
    line_output();
    lo = (int)if_nametoindex("lo");
    int from = udp_socket("127.0.0.1", 0), to = udp_socket("127.0.0.1", 0);
    check_taps(from, to);
    check_filters(from, to);
    check_ring(from, to);
    puts(failures ? "failed" : "all ok");
    return failures != 0;
}

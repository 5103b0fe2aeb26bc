/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: frames to send, and an independent ones-complement sum.
 */
#include "igb-lite.h"

/* A broadcast frame of len bytes (at least 14) with bytes that depend on seed. */
size_t make_frame(uint8_t *frame, size_t len, uint8_t seed)
{
    static const uint8_t dst[6] = {BROADCAST};

    for (size_t i = 14; i < len; i++) {
        frame[i] = seed + i * 7 + i / 251;
    }
    make_eth(frame, dst, 0x88b5);
    return len;
}

void make_eth(uint8_t *frame, const uint8_t dst[6], uint16_t type)
{
    static const uint8_t src[6] = {PEER_MAC};

    memcpy(frame, dst, 6);
    memcpy(frame + 6, src, 6);
    stw_be_p(frame + 12, type);
}

/* Folded sum of 16-bit words, byte by byte, the slow and plain way. */
uint16_t ones_sum(const uint8_t *p, size_t len, uint32_t seed)
{
    uint64_t sum = seed;

    for (size_t i = 0; i < len; i++) {
        sum += i % 2 ? p[i] : p[i] << 8;
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/*
 * An IPv4 packet from 10.1.2.3 to 10.4.5.6 in a frame for the NIC; its header checksum is right.
 * Returns the frame's length.
 */
size_t make_ip4(uint8_t *frame, uint8_t protocol, const uint8_t *payload, size_t len)
{
    static const uint8_t dst[6] = {NIC_MAC};
    static const uint8_t addresses[8] = {10, 1, 2, 3, 10, 4, 5, 6};
    uint8_t *ip = frame + 14;

    make_eth(frame, dst, 0x0800);
    memset(ip, 0, 20);
    ip[0] = 0x45;
    stw_be_p(ip + 2, 20 + len);
    stw_be_p(ip + 4, 0x1234);
    ip[8] = 64;
    ip[9] = protocol;
    memcpy(ip + 12, addresses, 8);
    stw_be_p(ip + 10, ~ones_sum(ip, 20, 0));
    memmove(ip + 20, payload, len);
    return 34 + len;
}

/* What the sum over pseudo header and layer 4 comes to: 0xffff if its checksum is right. */
uint16_t l4_sum4(const uint8_t *frame)
{
    const uint8_t *ip = frame + 14;
    size_t len = lduw_be_p(ip + 2) - 20;

    return ones_sum(ip + 20, len, ones_sum(ip + 12, 8, ip[9] + len));
}

size_t make_udp4(uint8_t *frame, size_t payload)
{
    uint8_t udp[2048] = {};
    size_t len = 8 + payload;

    stw_be_p(udp, 1234);
    stw_be_p(udp + 2, 7);
    stw_be_p(udp + 4, len);
    for (size_t i = 8; i < len; i++) {
        udp[i] = i * 3;
    }
    make_ip4(frame, 17, udp, len);
    stw_be_p(frame + 34 + 6, ~l4_sum4(frame));
    return 34 + len;
}

size_t make_tcp4(uint8_t *frame, size_t payload)
{
    g_autofree uint8_t *tcp = g_malloc0(20 + payload);

    stw_be_p(tcp, 4321);
    stw_be_p(tcp + 2, 80);
    stl_be_p(tcp + 4, 0x01020304);
    tcp[12] = 5 << 4;
    tcp[13] = 0x10;
    for (size_t i = 20; i < 20 + payload; i++) {
        tcp[i] = i * 5 + i / 256;
    }
    make_ip4(frame, 6, tcp, 20 + payload);
    stw_be_p(frame + 34 + 16, ~l4_sum4(frame));
    return 54 + payload;
}

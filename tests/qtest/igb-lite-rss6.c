/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: RSS of IPv6 with extension headers, whose EX hashes take the home address
 * option's and the type 2 routing header's address. The addresses and hashes are the published ones.
 */
#include "igb-lite.h"

#define SRC "3ffe:2501:200:1fff::7"
#define DST "3ffe:2501:200:3::1"
#define IP_HASH 0x2cc18cd5
#define L4_HASH 0x40207d3d
#define EX_ALL (R_MRQC_TCP_IPV6_EX_MASK | R_MRQC_IPV6_EX_MASK | R_MRQC_UDP_IPV6_EX_MASK)
#define PLAIN_ALL (R_MRQC_TCP_IPV6_MASK | R_MRQC_IPV6_MASK | R_MRQC_UDP_IPV6_MASK)

enum { TCP = 6, UDP = 17, ROUTING = 43, OPTIONS = 60 };

static const uint32_t published_key[10] = {
    0xda565a6d, 0xc20e5b25, 0x3d256741, 0xb08fa343, 0xcb2bcad0,
    0xb4307bae, 0xa32dcb77, 0x0cf23080, 0x3bb7426a, 0xfa01acbe,
};

static Received r;

/* An extension header of 24 bytes that carries an address; returns the place behind it. */
static uint8_t *add_extension(uint8_t *at, uint8_t type, uint8_t next, const char *address)
{
    memset(at, 0, 24);
    at[0] = next;
    at[1] = 2;
    if (type == OPTIONS) { /* PadN of 2 + 2, then the home address option */
        at[2] = 1;
        at[3] = 2;
        at[6] = 0xc9;
        at[7] = 16;
    } else {
        at[2] = 2;
        at[3] = 1;
    }
    g_assert_cmpint(inet_pton(AF_INET6, address, at + 8), ==, 1);
    return at + 24;
}

/*
 * TCP or UDP from SRC to DST: these in the extension headers if ext, and others in the IPv6 header.
 */
static size_t make_packet(uint8_t *frame, uint8_t l4, bool ext)
{
    static const uint8_t own[6] = {NIC_MAC};
    uint8_t *at = frame + 54;

    memset(frame, 0, 54);
    make_eth(frame, own, 0x86dd);
    frame[14] = 0x60;
    frame[20] = ext ? OPTIONS : l4;
    inet_pton(AF_INET6, ext ? "fe80::1" : SRC, frame + 22);
    inet_pton(AF_INET6, ext ? "fe80::2" : DST, frame + 38);
    if (ext) {
        at = add_extension(at, OPTIONS, ROUTING, SRC);
        at = add_extension(at, ROUTING, l4, DST);
    }
    memset(at, 0, 20);
    stw_be_p(at, 2794);
    stw_be_p(at + 2, 1766);
    if (l4 == TCP) {
        at[12] = 0x50;
    } else {
        stw_be_p(at + 4, 20);
    }
    stw_be_p(frame + 18, at + 20 - frame - 54);
    return at + 20 - frame;
}

static Nic *nic_rss(uint32_t types)
{
    Nic *n = nic_running();

    for (unsigned i = 0; i < 10; i++) {
        w32(n, A_RSSRK + 4 * i, published_key[i]);
    }
    w32(n, A_RXCSUM, R_RXCSUM_PCSD_MASK);
    w32(n, A_MRQC, 2 | types);
    return n;
}

static void expect(Nic *n, uint8_t l4, bool ext, unsigned type, uint32_t hash)
{
    uint8_t frame[256];

    wire_send(n, frame, make_packet(frame, l4, ext));
    rx_wait(n, 0, &r);
    g_assert_cmpuint(r.info & 0xf, ==, type);
    if (hash) {
        g_assert_cmphex(r.hash, ==, hash);
    }
}

static void test_ex(void)
{
    Nic *n = nic_rss(EX_ALL | PLAIN_ALL);

    expect(n, TCP, true, 6, L4_HASH);
    expect(n, UDP, true, 9, L4_HASH);
    expect(n, TCP, false, 3, L4_HASH);
    expect(n, UDP, false, 8, L4_HASH);
    w32(n, A_MRQC, 2 | R_MRQC_IPV6_EX_MASK | R_MRQC_IPV6_MASK);
    expect(n, TCP, true, 4, IP_HASH);
    expect(n, TCP, false, 5, IP_HASH);
    nic_stop(n);
}

/* Without the EX bits, or with RFCTL's, only the addresses of the IPv6 header count. */
static void test_plain(void)
{
    Nic *n = nic_rss(PLAIN_ALL);
    uint32_t hash;

    expect(n, TCP, true, 5, 0);
    hash = r.hash;
    g_assert_cmphex(hash, !=, IP_HASH);
    w32(n, A_MRQC, 2 | EX_ALL | PLAIN_ALL);
    w32(n, A_RFCTL, R_RFCTL_IPV6_EX_DIS_MASK);
    expect(n, UDP, true, 5, hash);
    w32(n, A_MRQC, 2 | EX_ALL);
    expect(n, UDP, true, 0, 0);
    expect(n, UDP, false, 8, L4_HASH);
    nic_stop(n);
}

/* Options and lengths that lie: no hash from behind them, and nothing is read beyond the frame. */
static void test_lies(void)
{
    Nic *n = nic_rss(EX_ALL | PLAIN_ALL);
    uint8_t frame[256];
    size_t len = make_packet(frame, TCP, true);

    for (unsigned at = 54; at < 54 + 48; at++) {
        for (unsigned v = 0; v < 3; v++) {
            make_packet(frame, TCP, true);
            frame[at] = (uint8_t[]){0xff, 0, 0x7f}[v];
            wire_send(n, frame, len);
            rx_wait(n, 0, &r);
            g_assert_cmpuint(r.len, ==, len);
            rx_post(n, 0, 1);
        }
    }
    for (size_t cut = 54; cut < len; cut++) {
        make_packet(frame, TCP, true);
        stw_be_p(frame + 18, cut - 54);
        wire_send(n, frame, MAX(cut, 60));
        rx_wait(n, 0, &r);
        rx_post(n, 0, 1);
    }
    nic_stop(n);
}

void igb_lite_add_rss6_tests(void)
{
    qtest_add_func("igb-lite/rss6/ex", test_ex);
    qtest_add_func("igb-lite/rss6/plain", test_plain);
    qtest_add_func("igb-lite/rss6/lies", test_lies);
}

/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: which frames are received, into which queue, and what the device says about
 * their checksums.
 */
#include "igb-lite.h"

static Received r;

/* Does a frame to this address, with this tag if it is not 0, come through? */
static bool passes(Nic *n, const uint8_t dst[6], uint16_t tag)
{
    uint8_t frame[64];

    make_frame(frame, 64, 1);
    make_eth(frame, dst, 0x88b5);
    if (tag) {
        stw_be_p(frame + 12, 0x8100);
        stw_be_p(frame + 14, tag);
    }
    wire_send_seen(n, frame, 64);
    if (!rx_pending(n, 0)) {
        return false;
    }
    rx_wait(n, 0, &r);
    rx_post(n, 0, 1);
    return true;
}

static void test_unicast(void)
{
    static const uint8_t own[6] = {NIC_MAC}, other[6] = {PEER_MAC};
    Nic *n = nic_running();

    g_assert_true(passes(n, own, 0));
    g_assert_false(passes(n, other, 0));
    w32(n, A_RAL2 + 56, ldl_le_p(other));
    w32(n, A_RAH2 + 56, lduw_le_p(other + 4));
    g_assert_false(passes(n, other, 0));
    w32(n, A_RAH2 + 56, lduw_le_p(other + 4) | R_RAH_AV_MASK);
    g_assert_true(passes(n, other, 0));
    w32(n, A_RAH2 + 56, 0);
    w32(n, A_RCTL, r32(n, A_RCTL) | R_RCTL_UPE_MASK);
    g_assert_true(passes(n, other, 0));
    g_assert_cmpuint(r32(n, A_MPC), ==, 0);
    nic_stop(n);
}

static void test_broadcast(void)
{
    static const uint8_t all[6] = {BROADCAST};
    Nic *n = nic_running();

    g_assert_true(passes(n, all, 0));
    w32(n, A_RCTL, r32(n, A_RCTL) & ~R_RCTL_BAM_MASK);
    g_assert_false(passes(n, all, 0));
    w32(n, A_RCTL, r32(n, A_RCTL) | R_RCTL_UPE_MASK);
    g_assert_false(passes(n, all, 0));
    w32(n, A_RCTL, r32(n, A_RCTL) | R_RCTL_MPE_MASK);
    g_assert_true(passes(n, all, 0));
    nic_stop(n);
}

/* The multicast table by each of the four ways to cut 12 bits out of the address. */
static void test_multicast(void)
{
    static const uint8_t group[6] = {0x01, 0x00, 0x5e, 0x12, 0x34, 0xa6},
                         other[6] = {0x01, 0x00, 0x5e, 0x12, 0x34, 0x5b};
    static const unsigned bits[] = {0xa63, 0x4c6, 0x98d,
                                    0x634}; /* 0xa634 >> 4, 3, 2, 0, low 12 bits */
    Nic *n = nic_running();
    uint32_t rctl = r32(n, A_RCTL);

    for (unsigned mo = 0; mo < 4; mo++) {
        w32(n, A_RCTL, rctl | mo << R_RCTL_MO_SHIFT);
        g_assert_false(passes(n, group, 0));
        w32(n, A_MTA + bits[mo] / 32 * 4, 1u << bits[mo] % 32);
        g_assert_true(passes(n, group, 0));
        g_assert_false(passes(n, other, 0));
        w32(n, A_MTA + bits[mo] / 32 * 4, 0);
    }
    w32(n, A_RCTL, rctl | R_RCTL_MPE_MASK);
    g_assert_true(passes(n, other, 0));
    nic_stop(n);
}

static void test_vlan_filter(void)
{
    static const uint8_t own[6] = {NIC_MAC};
    Nic *n = nic_running();

    g_assert_true(passes(n, own, 0x0123));
    w32(n, A_RCTL, r32(n, A_RCTL) | R_RCTL_VFE_MASK);
    g_assert_false(passes(n, own, 0x0123));
    g_assert_true(passes(n, own, 0));
    w32(n, A_VFTA + 0x123 / 32 * 4, 1u << 0x123 % 32);
    g_assert_true(passes(n, own, 0xe123));
    g_assert_false(passes(n, own, 0x0124));
    nic_stop(n);
}

static void test_vlan_strip(void)
{
    Nic *n = nic_running();
    uint8_t frame[64];

    make_frame(frame, 64, 1);
    stl_be_p(frame + 12, 0x8100a123);
    wire_send(n, frame, 64);
    rx_wait(n, 0, &r);
    g_assert_cmpmem(r.data, r.len, frame, 64);
    g_assert_cmphex(r.status & R_RX_STATUS_VP_MASK, ==, 0);
    w32(n, A_CTRL, r32(n, A_CTRL) | R_CTRL_VME_MASK);
    wire_send(n, frame, 64);
    rx_wait(n, 0, &r);
    g_assert_cmphex(r.status & R_RX_STATUS_VP_MASK, ==, R_RX_STATUS_VP_MASK);
    g_assert_cmphex(r.status >> 48, ==, 0xa123);
    g_assert_cmpuint(r.len, ==, 60);
    g_assert_cmpmem(r.data, 12, frame, 12);
    g_assert_cmpmem(r.data + 12, 48, frame + 16, 48);
    nic_stop(n);
}

/* Sends a frame and gives the checksum bits of its descriptor. */
static uint32_t checksum_bits(Nic *n, const uint8_t *frame, size_t len)
{
    wire_send(n, frame, len);
    rx_wait(n, 0, &r);
    rx_post(n, 0, r.descs);
    return r.status & (R_RX_STATUS_IPCS_MASK | R_RX_STATUS_L4CS_MASK | R_RX_STATUS_UDPCS_MASK |
                       R_RX_STATUS_IPE_MASK | R_RX_STATUS_L4E_MASK);
}

#define IP_OK R_RX_STATUS_IPCS_MASK
#define IP_BAD (R_RX_STATUS_IPCS_MASK | R_RX_STATUS_IPE_MASK)
#define TCP_OK R_RX_STATUS_L4CS_MASK
#define UDP_OK (R_RX_STATUS_L4CS_MASK | R_RX_STATUS_UDPCS_MASK)
#define L4_BAD R_RX_STATUS_L4E_MASK

static void test_rx_checksum(void)
{
    Nic *n = nic_running();
    uint8_t frame[400];
    size_t len;

    for (size_t payload = 10; payload < 40; payload++) {
        len = make_tcp4(frame, payload);
        g_assert_cmphex(checksum_bits(n, frame, len), ==, IP_OK | TCP_OK);
        frame[len - 1] ^= 1;
        g_assert_cmphex(checksum_bits(n, frame, len), ==, IP_OK | TCP_OK | L4_BAD);
        len = make_udp4(frame, payload);
        g_assert_cmphex(checksum_bits(n, frame, len), ==, IP_OK | UDP_OK);
        frame[len - 1] ^= 0x80;
        g_assert_cmphex(checksum_bits(n, frame, len), ==, IP_OK | UDP_OK | L4_BAD);
    }
    len = make_tcp4(frame, 30);
    frame[22] ^= 1; /* TTL: the header's sum is wrong, TCP's is not */
    g_assert_cmphex(checksum_bits(n, frame, len), ==, IP_BAD | TCP_OK);
    len = make_udp4(frame, 30);
    stw_be_p(frame + 40, 0); /* no UDP checksum */
    g_assert_cmphex(checksum_bits(n, frame, len), ==, IP_OK);
    w32(n, A_RXCSUM, 0);
    g_assert_cmphex(checksum_bits(n, frame, make_tcp4(frame, 30)), ==, 0);
    nic_stop(n);
}

/* Headers that lie about lengths: nothing is claimed about them, and nothing breaks. */
static void test_malformed(void)
{
    static const struct {
        uint8_t at, value;
    } lies[] = {
        {14, 0x44}, {14, 0x4f}, {14, 0x65}, {16, 0xff}, {17, 0x05},
        {20, 0x20}, {21, 0x01}, {38, 0xff}, {39, 0x01},
    };
    static const uint8_t own[6] = {NIC_MAC};
    Nic *n = nic_running();
    uint8_t frame[100] = {};
    size_t len;

    w32(n, A_MRQC, 2 | 0xff << 16);
    for (unsigned i = 0; i < G_N_ELEMENTS(lies); i++) {
        len = make_udp4(frame, 50);
        frame[lies[i].at] = lies[i].value;
        g_assert_cmphex(checksum_bits(n, frame, len) & UDP_OK, ==, 0);
    }
    len = make_tcp4(frame, 46); /* a packet that says it is longer than the frame */
    frame[17] += 1;
    g_assert_cmphex(checksum_bits(n, frame, len), ==, 0);
    frame[16] = 0xff;
    g_assert_cmphex(checksum_bits(n, frame, len), ==, 0);
    memset(frame, 0xff, sizeof(frame)); /* IPv6 with extension headers up to and over the end */
    make_eth(frame, own, 0x86dd);
    frame[14] = 0x60;
    for (unsigned next = 0; next < 256; next++) {
        frame[20] = next;
        stw_be_p(frame + 18, next % 3 ? 46 : 0xffff);
        memset(frame + 54, next % 5 ? 0 : next, 46);
        checksum_bits(n, frame, 100);
    }
    for (len = 14; len < 60; len++) { /* cut short; what is missing is padding */
        make_tcp4(frame, 6);
        checksum_bits(n, frame, len);
    }
    nic_stop(n);
}

static void test_fragments(void)
{
    Nic *n = nic_running();
    uint8_t frame[100];
    size_t len = make_udp4(frame, 40);

    stw_be_p(frame + 20, 0x2000);
    stw_be_p(frame + 24, 0);
    stw_be_p(frame + 24, ~ones_sum(frame + 14, 20, 0));
    g_assert_cmphex(checksum_bits(n, frame, len), ==, IP_OK);
    g_assert_cmphex(r.info, ==, IGB_LITE_PT_IPV4 << 4);
    nic_stop(n);
}

static const uint32_t published_key[10] = {
    0xda565a6d, 0xc20e5b25, 0x3d256741, 0xb08fa343, 0xcb2bcad0,
    0xb4307bae, 0xa32dcb77, 0x0cf23080, 0x3bb7426a, 0xfa01acbe,
};

static void rss_on(Nic *n, uint32_t types, unsigned queues)
{
    for (unsigned i = 0; i < 10; i++) {
        w32(n, A_RSSRK + 4 * i, published_key[i]);
    }
    for (unsigned i = 0; i < 128; i += 4) { /* entry i: i * queues / 128, as Linux has it */
        w32(n, A_RETA + i, i * queues / 128 * 0x01010101);
    }
    w32(n, A_RXCSUM, r32(n, A_RXCSUM) | R_RXCSUM_PCSD_MASK);
    w32(n, A_MRQC, 2 | types);
}

/*
 * The published test vectors of the Toeplitz hash: source, destination, hash of the addresses, hash
 * with TCP ports.
 */
static const struct {
    const char *src, *dst;
    uint16_t sport, dport;
    uint32_t ip_hash, tcp_hash;
} vectors[] = {
    {"66.9.149.187", "161.142.100.80", 2794, 1766, 0x323e8fc2, 0x51ccc178},
    {"199.92.111.2", "65.69.140.83", 14230, 4739, 0xd718262a, 0xc626b0ea},
    {"24.19.198.95", "12.22.207.184", 12898, 38024, 0xd2d0a5de, 0x5c2b394a},
    {"38.27.205.30", "209.142.163.6", 48228, 2217, 0x82989176, 0xafc7327f},
    {"153.39.163.191", "202.188.127.2", 44251, 1303, 0x5d1809c5, 0x10e828a2},
    {"3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1", 2794, 1766, 0x2cc18cd5, 0x40207d3d},
    {"3ffe:501:8::260:97ff:fe40:efab", "ff02::1", 14230, 4739, 0x0f0c461c, 0xdde51bbf},
    {"3ffe:1900:4545:3:200:f8ff:fe21:67cf", "fe80::200:f8ff:fe21:67cf", 44251, 38024, 0x4b61e985,
     0x02d1feef},
};

static size_t make_vector(uint8_t *frame, unsigned i, bool tcp)
{
    static const uint8_t own[6] = {NIC_MAC};
    uint8_t l4[20] = {[12] = 0x50};
    struct in6_addr src, dst;

    stw_be_p(l4, vectors[i].sport);
    stw_be_p(l4 + 2, vectors[i].dport);
    if (inet_pton(AF_INET, vectors[i].src, &src) == 1) {
        make_ip4(frame, tcp ? 6 : 253, l4, sizeof(l4));
        inet_pton(AF_INET, vectors[i].dst, &dst);
        memcpy(frame + 26, &src, 4);
        memcpy(frame + 30, &dst, 4);
        return 54;
    }
    g_assert_cmpint(inet_pton(AF_INET6, vectors[i].src, &src), ==, 1);
    g_assert_cmpint(inet_pton(AF_INET6, vectors[i].dst, &dst), ==, 1);
    memset(frame, 0, 74);
    make_eth(frame, own, 0x86dd);
    frame[14] = 0x60;
    frame[19] = 20;
    frame[20] = tcp ? 6 : 253;
    memcpy(frame + 22, &src, 16);
    memcpy(frame + 38, &dst, 16);
    memcpy(frame + 54, l4, 20);
    return 74;
}

static void test_rss_vectors(void)
{
    Nic *n = nic_running();
    uint8_t frame[100];

    w32(n, A_RXCSUM, R_RXCSUM_PCSD_MASK);
    w32(n, A_MRQC, 2 | 0x00370000); /* with a key of zeros first; a new key counts at once */
    wire_send(n, frame, make_vector(frame, 0, true));
    rx_wait(n, 0, &r);
    g_assert_cmphex(r.hash, ==, 0);
    g_assert_cmpuint(r.info & 0xf, ==, 1);
    rss_on(n, 0x00370000, 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(vectors); i++) {
        bool v6 = strchr(vectors[i].src, ':');

        wire_send(n, frame, make_vector(frame, i, false));
        rx_wait(n, 0, &r);
        g_assert_cmphex(r.hash, ==, vectors[i].ip_hash);
        g_assert_cmpuint(r.info & 0xf, ==, v6 ? 5 : 2);
        wire_send(n, frame, make_vector(frame, i, true));
        rx_wait(n, 0, &r);
        g_assert_cmphex(r.hash, ==, vectors[i].tcp_hash);
        g_assert_cmpuint(r.info & 0xf, ==, v6 ? 3 : 1);
    }
    nic_stop(n);
}

/* What MRQC does not name has no hash and goes to queue 0; a fragment has only its addresses'. */
static void test_rss_types(void)
{
    Nic *n = nic_running();
    uint8_t frame[100];
    size_t len;

    rss_on(n, R_MRQC_TCP_IPV4_MASK, 1);
    wire_send(n, frame, make_vector(frame, 0, false));
    rx_wait(n, 0, &r);
    g_assert_cmphex(r.hash, ==, 0);
    g_assert_cmpuint(r.info & 0xf, ==, 0);
    w32(n, A_MRQC, 2 | R_MRQC_TCP_IPV4_MASK | R_MRQC_IPV4_MASK);
    len = make_vector(frame, 0, true);
    stw_be_p(frame + 20, 0x2000);
    wire_send(n, frame, len);
    rx_wait(n, 0, &r);
    g_assert_cmphex(r.hash, ==, vectors[0].ip_hash);
    g_assert_cmpuint(r.info & 0xf, ==, 2);
    len = make_vector(frame, 0, true);
    frame[23] = 17;
    w32(n, A_MRQC, 2 | R_MRQC_UDP_IPV4_MASK);
    stw_be_p(frame + 38, 20);
    wire_send(n, frame, len);
    rx_wait(n, 0, &r);
    g_assert_cmphex(r.hash, ==, vectors[0].tcp_hash); /* the hash of the same ports */
    g_assert_cmpuint(r.info & 0xf, ==, 7);
    w32(n, A_MRQC, 0);
    wire_send(n, frame, len);
    rx_wait(n, 0, &r);
    g_assert_cmpuint(r.info & 0xf, ==, 0);
    nic_stop(n);
}

/* 800 flows over 8 queues: each gets its share, and a flow always the same queue. */
static void test_rss_spread(void)
{
    Nic *n = nic_running();
    uint8_t frame[100];

    rss_on(n, R_MRQC_UDP_IPV4_MASK, 8);
    for (unsigned q = 0; q < 8; q++) {
        rx_ring(n, q, 512);
        rx_post(n, q, 511);
    }
    for (unsigned round = 0; round < 2; round++) {
        unsigned counts[8], sum = 0;

        for (unsigned flow = 0; flow < 800; flow++) {
            make_udp4(frame, 18);
            stw_be_p(frame + 34, 10000 + flow);
            wire_send(n, frame, 60);
        }
        wait_count(n, A_TPR, 800);
        for (unsigned q = 0; q < 8; q++) {
            counts[q] = r32(n, A_RDH + 0x40 * q) / (round + 1);
            g_assert_cmpuint(counts[q] * (round + 1), ==, r32(n, A_RDH + 0x40 * q));
            g_assert_cmpuint(counts[q], >, 60);
            g_assert_cmpuint(counts[q], <, 140);
            sum += counts[q];
        }
        g_assert_cmpuint(sum, ==, 800);
    }
    nic_stop(n);
}

/* RETA may change at any time, to any of 16 queues. */
static void test_reta(void)
{
    Nic *n = nic_running();
    uint8_t frame[100];

    rss_on(n, R_MRQC_UDP_IPV4_MASK, 1);
    for (unsigned q = 0; q < 16; q++) {
        rx_ring(n, q, 8);
        rx_post(n, q, 7);
        for (unsigned i = 0; i < 128; i += 4) {
            w32(n, A_RETA + i, q * 0x01010101u);
        }
        wire_send(n, frame, make_udp4(frame, 20));
        rx_wait(n, q, &r);
        g_assert_cmpuint(r32(n, A_RDH + 0x40 * q), ==, 1);
    }
    nic_stop(n);
}

void igb_lite_add_filter_tests(void)
{
    qtest_add_func("igb-lite/filter/unicast", test_unicast);
    qtest_add_func("igb-lite/filter/broadcast", test_broadcast);
    qtest_add_func("igb-lite/filter/multicast", test_multicast);
    qtest_add_func("igb-lite/filter/vlan", test_vlan_filter);
    qtest_add_func("igb-lite/rx/vlan-strip", test_vlan_strip);
    qtest_add_func("igb-lite/rx/checksum", test_rx_checksum);
    qtest_add_func("igb-lite/rx/malformed", test_malformed);
    qtest_add_func("igb-lite/rx/ip-fragments", test_fragments);
    qtest_add_func("igb-lite/rss/vectors", test_rss_vectors);
    qtest_add_func("igb-lite/rss/types", test_rss_types);
    qtest_add_func("igb-lite/rss/spread", test_rss_spread);
    qtest_add_func("igb-lite/rss/reta", test_reta);
}

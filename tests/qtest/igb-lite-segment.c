/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: segmentation against frames that are built here, one by one, from what a sender
 * would have sent: IPv4 with options and IPv6 with extension headers, TCP with options and UDP, tags,
 * every size of segment, packets in pieces. From a fixed seed.
 */
#include "igb-lite.h"

#define MAX_PAYLOAD 20000

/* A packet to be cut. */
typedef struct Packet {
    bool v6, udp, tagged;
    unsigned ip_len, l4_len, mss, payload;
    uint8_t flags;
    uint16_t id, tag;
    uint32_t seq;
    uint8_t data[MAX_PAYLOAD];
} Packet;

static void random_packet(GRand *rand, Packet *p)
{
    p->v6 = g_rand_boolean(rand);
    p->udp = g_rand_int_range(rand, 0, 3) == 0;
    p->tagged = g_rand_boolean(rand);
    p->ip_len =
        p->v6 ? 40 + 8 * g_rand_int_range(rand, 0, 4) : 20 + 4 * g_rand_int_range(rand, 0, 11);
    p->l4_len = p->udp ? 8 : 20 + 4 * g_rand_int_range(rand, 0, 11);
    p->mss = g_rand_boolean(rand) ? g_rand_int_range(rand, 32, 1461)
                                  : 32 << g_rand_int_range(rand, 0, 6);
    p->payload = g_rand_int_range(rand, 1, g_rand_boolean(rand) ? MAX_PAYLOAD : 2 * p->mss);
    if (g_rand_int_range(rand, 0, 4) == 0) { /* the last segment is a whole one */
        p->payload = MIN(p->payload / p->mss + 1, MAX_PAYLOAD / p->mss) * p->mss;
    }
    p->flags = g_rand_int(rand);
    p->id = g_rand_int(rand);
    p->tag = g_rand_int(rand);
    p->seq = g_rand_int(rand);
    for (unsigned i = 0; i < p->payload; i++) {
        p->data[i] = g_rand_int(rand);
    }
}

static size_t put_ip(const Packet *p, uint8_t *ip, unsigned index, unsigned l4_bytes)
{
    uint8_t protocol = p->udp ? 17 : 6;

    memset(ip, 0, p->ip_len);
    if (p->v6) {
        ip[0] = 0x60;
        stw_be_p(ip + 4, p->ip_len - 40 + l4_bytes);
        ip[6] = p->ip_len > 40 ? 60 : protocol;
        ip[7] = 64;
        ip[8] = ip[24] = 0xfd;
        ip[23] = 1;
        ip[39] = 2;
        for (unsigned at = 40; at < p->ip_len; at += 8) { /* destination options: PadN */
            ip[at] = at + 8 < p->ip_len ? 60 : protocol;
            ip[at + 2] = 1;
            ip[at + 3] = 4;
        }
        return p->ip_len;
    }
    ip[0] = 0x40 | p->ip_len / 4;
    stw_be_p(ip + 2, p->ip_len + l4_bytes);
    stw_be_p(ip + 4, p->id + index);
    ip[8] = 64;
    ip[9] = protocol;
    ip[12] = ip[16] = 10;
    ip[19] = 1;
    memset(ip + 20, 1, p->ip_len - 20); /* options: no operation */
    stw_be_p(ip + 10, ~ones_sum(ip, p->ip_len, 0));
    return p->ip_len;
}

static void put_l4(const Packet *p, uint8_t *l4, unsigned at, unsigned bytes, uint8_t flags)
{
    memset(l4, 0, p->l4_len);
    stw_be_p(l4, 1234);
    stw_be_p(l4 + 2, 80);
    if (p->udp) {
        stw_be_p(l4 + 4, bytes);
        return;
    }
    stl_be_p(l4 + 4, p->seq + at);
    l4[12] = p->l4_len / 4 << 4;
    l4[13] = flags;
    memset(l4 + 20, 1, p->l4_len - 20);
}

static uint16_t pseudo_sum(const Packet *p, const uint8_t *ip, unsigned l4_bytes)
{
    uint32_t seed = (p->udp ? 17 : 6) + l4_bytes;

    return p->v6 ? ones_sum(ip + 8, 32, seed) : ones_sum(ip + 12, 8, seed);
}

/* One frame as the sender's own software would have made it. */
static size_t build_segment(const Packet *p, uint8_t *frame, unsigned index)
{
    static const uint8_t dst[6] = {PEER_MAC};
    unsigned at = index * p->mss, part = MIN(p->mss, p->payload - at);
    bool last = at + part == p->payload;
    uint8_t *ip = frame + 14, *l4, flags = p->flags;
    unsigned bytes = p->l4_len + part;
    uint16_t sum;
    size_t len;

    make_eth(frame, dst, p->v6 ? 0x86dd : 0x0800);
    if (p->tagged) {
        stl_be_p(frame + 12, 0x81000000 | p->tag);
        stw_be_p(frame + 16, p->v6 ? 0x86dd : 0x0800);
        ip += 4;
    }
    l4 = ip + put_ip(p, ip, index, bytes);
    flags &= last ? 0xff : ~0x09;  /* FIN, PSH */
    flags &= index ? ~0x80 : 0xff; /* CWR */
    put_l4(p, l4, at, bytes, flags);
    memcpy(l4 + p->l4_len, p->data + at, part);
    sum = ~ones_sum(l4, bytes, pseudo_sum(p, ip, bytes));
    stw_be_p(l4 + (p->udp ? 6 : 16), p->udp && !sum ? 0xffff : sum);
    len = l4 + bytes - frame;
    if (len < 60) {
        memset(frame + len, 0, 60 - len);
    }
    return MAX(len, 60);
}

/* The whole packet, as a driver leaves it to the device. */
static size_t build_packet(const Packet *p, uint8_t *frame)
{
    static const uint8_t dst[6] = {PEER_MAC};
    uint8_t *ip = frame + 14, *l4;

    make_eth(frame, dst, p->v6 ? 0x86dd : 0x0800);
    l4 = ip + put_ip(p, ip, 0, 0);
    stw_be_p(ip + (p->v6 ? 4 : 2), 0);
    if (!p->v6) {
        stw_be_p(ip + 10, 0);
    }
    put_l4(p, l4, 0, 0, p->flags);
    stw_be_p(l4 + (p->udp ? 6 : 16), pseudo_sum(p, ip, 0));
    memcpy(l4 + p->l4_len, p->data, p->payload);
    return l4 + p->l4_len + p->payload - frame;
}

static void post(Nic *n, GRand *rand, const Packet *p)
{
    static uint8_t packet[MAX_PAYLOAD + 200];
    size_t len = build_packet(p, packet), at = 0;

    qtest_memwrite(n->qts, TX_BUF(0), packet, len);
    tx_context(n, 0, p->ip_len | 14 << R_TX_CTX_LO_MACLEN_SHIFT | (uint32_t)p->tag << 16,
               (p->v6 ? 0 : R_TX_CTX_CMD_IPV4_MASK) | (p->udp ? IGB_LITE_L4_UDP : IGB_LITE_L4_TCP)
                                                          << R_TX_CTX_CMD_L4T_SHIFT,
               p->l4_len << 8 | p->mss << 16);
    while (at < len) {
        size_t part = g_rand_boolean(rand) ? len - at : g_rand_int_range(rand, 1, len - at + 1);

        tx_desc(n, 0, TX_BUF(0) + at,
                part | R_TX_CMD_DEXT_MASK | IGB_LITE_TX_DATA << R_TX_CMD_TYPE_SHIFT |
                    R_TX_CMD_TSE_MASK | (p->tagged ? R_TX_CMD_VLE_MASK : 0) |
                    (at + part == len ? R_TX_CMD_EOP_MASK | R_TX_CMD_RS_MASK : 0),
                (p->v6 ? 0 : R_TX_OL_IXSM_MASK) | R_TX_OL_TXSM_MASK |
                    p->payload << R_TX_OL_PAYLEN_SHIFT);
        at += part;
    }
    tx_doorbell(n, 0);
}

static void test_random(void)
{
    GRand *rand = g_rand_new_with_seed(82576);
    Packet *p = g_new0(Packet, 1);
    Nic *n = nic_running();
    uint8_t want[2048], in[2048];

    for (unsigned i = 0; i < 120; i++) {
        unsigned segments;

        random_packet(rand, p);
        post(n, rand, p);
        segments = DIV_ROUND_UP(p->payload, p->mss);
        for (unsigned s = 0; s < segments; s++) {
            size_t len = build_segment(p, want, s);

            g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, len);
            g_assert_cmpmem(in, len, want, len);
        }
    }
    wire_quiet(n);
    g_assert_cmpuint(r32(n, A_TSCTC), ==, 120);
    g_assert_cmpuint(guest_errors(n), ==, 0);
    g_free(p);
    g_rand_free(rand);
    nic_stop(n);
}

/* One packet per size of its payload around the size of a segment. */
static void test_edges(void)
{
    GRand *rand = g_rand_new_with_seed(1);
    Packet *p = g_new0(Packet, 1);
    Nic *n = nic_running();
    uint8_t want[2048], in[2048];

    random_packet(rand, p);
    p->v6 = p->udp = p->tagged = false;
    p->ip_len = p->l4_len = 20;
    p->mss = 100;
    for (p->payload = 98; p->payload < 203; p->payload++) {
        post(n, rand, p);
        for (unsigned s = 0; s < DIV_ROUND_UP(p->payload, p->mss); s++) {
            size_t len = build_segment(p, want, s);

            g_assert_cmpuint(wire_receive(n, in, sizeof(in)), ==, len);
            g_assert_cmpmem(in, len, want, len);
        }
    }
    wire_quiet(n);
    g_free(p);
    g_rand_free(rand);
    nic_stop(n);
}

void igb_lite_add_segment_tests(void)
{
    qtest_add_func("igb-lite/segment/random", test_random);
    qtest_add_func("igb-lite/segment/edges", test_edges);
}

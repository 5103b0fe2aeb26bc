/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite: what a received frame is (one bounded pass over its headers), ones-complement sums, and
 * the RSS hash.
 *
 * Everything here comes from the wire: no length is believed before it is compared with the
 * frame's.
 */
#include "qemu/osdep.h"

#include "igb_lite.h"
#include "net/eth.h"
#include "qemu/bswap.h"
#include "trace.h"

#define IP6_EXT_MAX 8 /* extension headers that are walked */
#define IP6_PAD1 0
#define IP6_HOME_ADDRESS 0xc9

enum {
    RSS_NONE,
    RSS_TCP4,
    RSS_IP4,
    RSS_TCP6,
    RSS_IP6_EX,
    RSS_IP6,
    RSS_TCP6_EX,
    RSS_UDP4,
    RSS_UDP6,
    RSS_UDP6_EX,
};

static void set_l4(IGBLitePacket *p, uint8_t protocol, size_t offset)
{
    size_t left = p->l3_end - offset;

    p->l4 = offset;
    p->tcp = protocol == IP_PROTO_TCP && left >= sizeof(tcp_header);
    p->udp = protocol == IP_PROTO_UDP && left >= sizeof(udp_header);
    p->sctp = protocol == IP_PROTO_SCTP && left >= sizeof(struct eth_header);
}

static void parse_ip4(IGBLitePacket *p)
{
    const uint8_t *ip = p->data + p->l3;
    size_t header, total;

    if (p->len - p->l3 < sizeof(struct ip_header) || ip[0] >> 4 != 4) {
        return;
    }
    header = (ip[0] & 0xf) * 4;
    total = lduw_be_p(ip + 2);
    if (header < sizeof(struct ip_header) || total < header || total > p->len - p->l3) {
        return;
    }
    p->ipv4 = true;
    p->ip_id = lduw_be_p(ip + 4);
    p->l3_end = p->l3 + total;
    p->fragment = lduw_be_p(ip + 6) & (IP_OFFMASK | IP_MF);
    if (!p->fragment) {
        set_l4(p, ip[9], p->l3 + header);
    }
}

/* The home address option (RFC 6275 section 6.3) of a destination options header, or 0. */
static size_t home_address(const uint8_t *data, size_t at, size_t end)
{
    for (at += 2; at < end;) {
        if (data[at] == IP6_PAD1) {
            at++;
        } else if (end - at < 2 || end - at - 2 < data[at + 1]) {
            break;
        } else if (data[at] == IP6_HOME_ADDRESS && data[at + 1] == 16) {
            return at + 2;
        } else {
            at += 2 + data[at + 1];
        }
    }
    return 0;
}

/* One extension header of IPv6: what it says about the addresses that the EX hashes take. */
static void parse_ip6_ext(IGBLitePacket *p, uint8_t type, size_t at, size_t len)
{
    size_t home = type == IP6_DESTINATON ? home_address(p->data, at, at + len) : 0;

    p->ipv6_ext = true;
    if (home) {
        p->src6 = home;
    } else if (type == IP6_ROUTING && len == 24 && p->data[at + 2] == 2) {
        p->dst6 = at + 8; /* type 2: the only address in it (RFC 6275 section 6.4) */
    }
}

static void parse_ip6(IGBLitePacket *p)
{
    const uint8_t *ip = p->data + p->l3;
    size_t at = p->l3 + sizeof(struct ip6_header);
    size_t payload;
    uint8_t next;

    if (p->len < at || ip[0] >> 4 != 6) {
        return;
    }
    payload = lduw_be_p(ip + 4);
    if (payload > p->len - at) {
        return;
    }
    p->ipv6 = true;
    p->src6 = p->l3 + offsetof(struct ip6_header, ip6_src);
    p->dst6 = p->l3 + offsetof(struct ip6_header, ip6_dst);
    p->l3_end = at + payload;
    next = ip[6];
    for (unsigned i = 0; i < IP6_EXT_MAX; i++) {
        size_t len;

        if (next == IP6_FRAGMENT) {
            p->ipv6_ext = p->fragment = true;
            return;
        }
        if (next != IP6_HOP_BY_HOP && next != IP6_ROUTING && next != IP6_DESTINATON) {
            set_l4(p, next, at);
            return;
        }
        p->ipv6_ext = true;
        if (p->l3_end - at < 8) {
            return;
        }
        len = (p->data[at + 1] + 1) * 8;
        if (len > p->l3_end - at) {
            return;
        }
        parse_ip6_ext(p, next, at, len);
        next = p->data[at];
        at += len;
    }
}

/* Fills p from a frame; false if it is too short for an Ethernet header. */
bool igb_lite_parse(IGBLiteState *s, const uint8_t *data, size_t len, IGBLitePacket *p)
{
    uint16_t type;

    *p = (IGBLitePacket){.data = data, .len = len};
    if (len < sizeof(struct eth_header)) {
        return false;
    }
    p->l3 = sizeof(struct eth_header);
    type = lduw_be_p(data + 12);
    if (type == IGB_LITE_GET(s, VET, VLAN) && len >= p->l3 + sizeof(struct vlan_header)) {
        p->vlan = true;
        p->vlan_tag = lduw_be_p(data + 14);
        type = lduw_be_p(data + 16);
        p->l3 += sizeof(struct vlan_header);
    }
    if (type == ETH_P_IP) {
        parse_ip4(p);
    } else if (type == ETH_P_IPV6) {
        parse_ip6(p);
    }
    return true;
}

/*
 * Ones-complement sum of big-endian 16-bit words, plus seed; an odd last byte counts as the high one.
 *
 * The sum is the same in any word size and, but for a swap of its bytes at the end, in any byte
 * order (RFC 1071 section 2): so 64 bits of host order at a time, their halves in two sums that do
 * not wait for each other, and no carry before 2^32 words.
 */
uint32_t igb_lite_sum(const void *data, size_t len, uint32_t seed)
{
    const uint8_t *p = data;
    uint64_t low = 0, high = 0;
    uint16_t sum;

    for (; len >= 32; p += 32, len -= 32) {
        uint64_t a = ldq_he_p(p), b = ldq_he_p(p + 8), c = ldq_he_p(p + 16), d = ldq_he_p(p + 24);

        low += (uint64_t)(uint32_t)a + (uint32_t)b + (uint32_t)c + (uint32_t)d;
        high += (a >> 32) + (b >> 32) + (c >> 32) + (d >> 32);
    }
    for (; len >= 4; p += 4, len -= 4) {
        low += (uint32_t)ldl_he_p(p);
    }
    if (len) {
        uint8_t rest[4] = {};

        memcpy(rest, p, len);
        low += (uint32_t)ldl_he_p(rest);
    }
    low += high;
    low = (low & 0xffffffff) + (low >> 32);
    low = (low & 0xffffffff) + (low >> 32);
    sum = igb_lite_fold(low);
    return be16_to_cpu(sum) + seed;
}

/* Sums of up to 32 bits to 16. */
uint16_t igb_lite_fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}

/*
 * The Toeplitz hash is linear: the hash of an input is the exclusive or of the hashes of its bytes
 * at their places. The table holds those: for place i and byte value b, the 32-bit windows of the
 * key that b's bits select.
 */
static void build_table(IGBLiteState *s)
{
    uint8_t key[IGB_LITE_KEY_LEN];

    for (unsigned i = 0; i < sizeof(key); i += 4) {
        stl_le_p(key + i, s->mac[R_RSSRK + i / 4]);
    }
    for (unsigned i = 0; i < IGB_LITE_HASH_LEN; i++) {
        uint64_t window = (uint64_t)(uint32_t)ldl_be_p(key + i) << 8 | key[i + 4];
        uint32_t *row = s->rss_table[i];

        row[0] = 0;
        for (unsigned b = 1; b < 256; b++) {
            unsigned low = ctz32(b);

            row[b] = row[b & (b - 1)] ^ (uint32_t)(window >> (1 + low));
        }
    }
    s->rss_stale = false;
}

static uint32_t toeplitz(IGBLiteState *s, const uint8_t *input, size_t len)
{
    uint32_t hash = 0;

    if (s->rss_stale) {
        build_table(s);
    }
    for (size_t i = 0; i < len; i++) {
        hash ^= s->rss_table[i][input[i]];
    }
    return hash;
}

static unsigned hash_type4(IGBLiteState *s, const IGBLitePacket *p)
{
    if (p->tcp && IGB_LITE_GET(s, MRQC, TCP_IPV4)) {
        return RSS_TCP4;
    }
    if (p->udp && IGB_LITE_GET(s, MRQC, UDP_IPV4)) {
        return RSS_UDP4;
    }
    return IGB_LITE_GET(s, MRQC, IPV4) ? RSS_IP4 : RSS_NONE;
}

/*
 * Without extension headers the EX hashes are the plain ones. With them the plain hash of layer 4
 * is not used, and with RFCTL.IPV6_EX_DIS none that looks behind them.
 */
static unsigned hash_type6(IGBLiteState *s, const IGBLitePacket *p)
{
    bool tcp_ex = IGB_LITE_GET(s, MRQC, TCP_IPV6_EX), udp_ex = IGB_LITE_GET(s, MRQC, UDP_IPV6_EX);
    bool ip_ex = IGB_LITE_GET(s, MRQC, IPV6_EX), ip = IGB_LITE_GET(s, MRQC, IPV6);

    if (!p->ipv6_ext) {
        if (p->tcp && (tcp_ex || IGB_LITE_GET(s, MRQC, TCP_IPV6))) {
            return RSS_TCP6;
        }
        if (p->udp && (udp_ex || IGB_LITE_GET(s, MRQC, UDP_IPV6))) {
            return RSS_UDP6;
        }
        return ip || ip_ex ? RSS_IP6 : RSS_NONE;
    }
    if (!IGB_LITE_GET(s, RFCTL, IPV6_EX_DIS)) {
        if (p->tcp && tcp_ex) {
            return RSS_TCP6_EX;
        }
        if (p->udp && udp_ex) {
            return RSS_UDP6_EX;
        }
        if (ip_ex) {
            return RSS_IP6_EX;
        }
    }
    return ip ? RSS_IP6 : RSS_NONE;
}

/*
 * The packet's RSS hash and its type: that of layer 4 if MRQC has it and it may be used, else that
 * of layer 3. 0 and type 0 if RSS is off or has no hash for it.
 */
uint32_t igb_lite_rss_hash(IGBLiteState *s, const IGBLitePacket *p, unsigned *type)
{
    uint8_t input[IGB_LITE_HASH_LEN];
    size_t len;
    uint32_t hash;

    *type = RSS_NONE;
    if (IGB_LITE_GET(s, MRQC, ENABLE) == 2 && (p->ipv4 || p->ipv6)) {
        *type = p->ipv4 ? hash_type4(s, p) : hash_type6(s, p);
    }
    if (*type == RSS_NONE) {
        return 0;
    }
    if (p->ipv4) {
        memcpy(input, p->data + p->l3 + offsetof(struct ip_header, ip_src), 8);
        len = 8;
    } else {
        bool ex = *type == RSS_IP6_EX || *type == RSS_TCP6_EX || *type == RSS_UDP6_EX;
        const uint8_t *ip = p->data + p->l3;

        memcpy(input, ex ? p->data + p->src6 : ip + offsetof(struct ip6_header, ip6_src), 16);
        memcpy(input + 16, ex ? p->data + p->dst6 : ip + offsetof(struct ip6_header, ip6_dst), 16);
        len = 32;
    }
    if (*type != RSS_IP4 && *type != RSS_IP6 && *type != RSS_IP6_EX) {
        memcpy(input + len, p->data + p->l4, 4);
        len += 4;
    }
    hash = toeplitz(s, input, len);
    trace_igb_lite_rss(*type, hash);
    return hash;
}

/* RETA's queue for a hash; queue 0 without one. */
unsigned igb_lite_rss_queue(IGBLiteState *s, uint32_t hash, unsigned type)
{
    unsigned entry = hash & 0x7f;

    return type == RSS_NONE
               ? 0
               : (s->mac[R_RETA + entry / 4] >> (8 * (entry % 4))) & (IGB_LITE_QUEUES - 1);
}

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

enum { RSS_NONE, RSS_TCP4, RSS_IP4, RSS_TCP6, RSS_IP6_EX, RSS_IP6, RSS_UDP4 = 7, RSS_UDP6 };

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

static void parse_ip6(IGBLitePacket *p)
{
    const uint8_t *ip = p->data + p->l3;
    size_t at = p->l3 + sizeof(struct ip6_header);
    uint8_t next;

    if (p->len < at || ip[0] >> 4 != 6 || lduw_be_p(ip + 4) > p->len - at) {
        return;
    }
    p->ipv6 = true;
    p->l3_end = at + lduw_be_p(ip + 4);
    next = ip[6];
    for (unsigned i = 0; i < IP6_EXT_MAX; i++) {
        if (next == IP6_FRAGMENT) {
            p->ipv6_ext = p->fragment = true;
            return;
        }
        if (next != IP6_HOP_BY_HOP && next != IP6_ROUTING && next != IP6_DESTINATON) {
            set_l4(p, next, at);
            return;
        }
        p->ipv6_ext = true;
        if (p->l3_end - at < 8 || (p->data[at + 1] + 1) * 8 > p->l3_end - at) {
            return;
        }
        next = p->data[at];
        at += (p->data[at + 1] + 1) * 8;
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
 * Ones-complement sum of big-endian 16-bit words; an odd last byte counts as the high one. Any
 * length up to 64 KiB and more.
 */
uint32_t igb_lite_sum(const void *data, size_t len, uint32_t seed)
{
    const uint8_t *p = data;
    uint64_t sum = 0;

    /*
     * The sum is the same in any word size and byte order, up to a byte swap of the result (RFC
     * 1071 section 2).
     */
    for (; len >= 4; p += 4, len -= 4) {
        sum += (uint32_t)ldl_be_p(p);
    }
    if (len >= 2) {
        sum += (uint32_t)lduw_be_p(p);
        p += 2;
        len -= 2;
    }
    if (len) {
        sum += (uint32_t)*p << 8;
    }
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    return igb_lite_fold(sum) + seed;
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

/*
 * Which hash MRQC selects for this packet: that of layer 4 if it may be used, else that of layer 3.
 */
static unsigned hash_type(IGBLiteState *s, const IGBLitePacket *p)
{
    bool ex = p->ipv6_ext && !IGB_LITE_GET(s, RFCTL, IPV6_EX_DIS);

    if (p->ipv4) {
        if (p->tcp && IGB_LITE_GET(s, MRQC, TCP_IPV4)) {
            return RSS_TCP4;
        }
        if (p->udp && IGB_LITE_GET(s, MRQC, UDP_IPV4)) {
            return RSS_UDP4;
        }
        return IGB_LITE_GET(s, MRQC, IPV4) ? RSS_IP4 : RSS_NONE;
    }
    if (p->ipv6) {
        bool tcp6 = p->ipv6_ext
                        ? ex && IGB_LITE_GET(s, MRQC, TCP_IPV6_EX)
                        : IGB_LITE_GET(s, MRQC, TCP_IPV6) || IGB_LITE_GET(s, MRQC, TCP_IPV6_EX);

        if (p->tcp && tcp6) {
            return RSS_TCP6;
        }
        if (p->udp && !p->ipv6_ext && IGB_LITE_GET(s, MRQC, UDP_IPV6)) {
            return RSS_UDP6;
        }
        if (ex && IGB_LITE_GET(s, MRQC, IPV6_EX)) {
            return RSS_IP6_EX;
        }
        return IGB_LITE_GET(s, MRQC, IPV6) ? RSS_IP6 : RSS_NONE;
    }
    return RSS_NONE;
}

/* The packet's RSS hash and its type; 0 and type 0 if RSS is off (MRQC) or has no hash for it. */
uint32_t igb_lite_rss_hash(IGBLiteState *s, const IGBLitePacket *p, unsigned *type)
{
    uint8_t input[IGB_LITE_HASH_LEN];
    size_t len, from;
    uint32_t hash;

    *type = IGB_LITE_GET(s, MRQC, ENABLE) == 2 ? hash_type(s, p) : RSS_NONE;
    if (*type == RSS_NONE) {
        return 0;
    }
    len = p->ipv4 ? 8 : 32;
    from = p->l3 +
           (p->ipv4 ? offsetof(struct ip_header, ip_src) : offsetof(struct ip6_header, ip6_src));
    memcpy(input, p->data + from, len);
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

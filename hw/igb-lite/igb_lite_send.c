/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite: from a packet to frames on the wire: checksums, segmentation and tags as the packet's
 * context descriptor says; the packet itself is not parsed. See also igb_lite_tx.c, which gathers.
 *
 * A frame is a head in private memory, in which alone anything is changed, and a tail, pieces of
 * the packet where they are in guest memory. So guest memory is never written, headers are read
 * once, and payload is copied by nobody but the backend. The caller holds the RCU read lock. A guest
 * that changes a payload while it is being sent gets a wrong checksum, nothing worse.
 */
#include "qemu/osdep.h"

#include "igb_lite.h"
#include "net/eth.h"
#include "qemu/crc32c.h"
#include "qemu/iov.h"
#include "standard-headers/linux/virtio_net.h"
#include "trace.h"

#define HEADROOM IGB_LITE_HEADROOM
#define MIN_FRAME 60
/* Whole frames up to this length are copied: that is cheaper than a second piece. */
#define COPY_MAX 256
/* Bounds the number of frames that one packet is cut into. */
#define MIN_MSS 32
/* The longest IP packet. */
#define IP_MAX 65535

/* Where the layers of a packet start, from its context. */
typedef struct TxLayout {
    size_t l3, l4, payload;
    unsigned l4_type;
    bool ipv4;
    uint16_t mss, tag;
} TxLayout;

/* One frame: head_len bytes at s->tx_head + HEADROOM, then len - head_len bytes of s->tx_out. */
typedef struct TxFrame {
    size_t head_len, len;
    unsigned pieces; /* in tx_out[1 …] */
} TxFrame;

static TxLayout layout_of(const IGBLiteTxContext *ctx)
{
    TxLayout l = {.l3 = FIELD_EX32(ctx->vlan_macip_lens, TX_CTX_LO, MACLEN)};

    l.l4 = l.l3 + FIELD_EX32(ctx->vlan_macip_lens, TX_CTX_LO, IPLEN);
    l.payload = l.l4 + FIELD_EX32(ctx->mss_l4len_idx, TX_CTX_OL, L4LEN);
    l.l4_type = FIELD_EX32(ctx->type_cmd, TX_CTX_CMD, L4T);
    l.ipv4 = FIELD_EX32(ctx->type_cmd, TX_CTX_CMD, IPV4);
    l.mss = FIELD_EX32(ctx->mss_l4len_idx, TX_CTX_OL, MSS);
    l.tag = FIELD_EX32(ctx->vlan_macip_lens, TX_CTX_LO, VLAN);
    return l;
}

/* A frame of the packet's first head_len bytes and, behind them, its bytes from at to at + len. */
static TxFrame make_frame(IGBLiteState *s, const IGBLiteTxPacket *p, size_t head_len, size_t at,
                          size_t len)
{
    TxFrame f = {.head_len = head_len, .len = head_len + len};

    if (s->tx_parts[0].iov_len >= head_len) {
        memcpy(s->tx_head + HEADROOM, s->tx_parts[0].iov_base, head_len);
    } else {
        iov_to_buf(s->tx_parts, p->parts, 0, s->tx_head + HEADROOM, head_len);
    }
    if (len) {
        f.pieces = iov_copy(s->tx_out + 1, IGB_LITE_TX_PARTS, s->tx_parts, p->parts, at, len);
    }
    return f;
}

/* Sum of the frame from an offset in its head to its end. */
static uint32_t sum_frame(IGBLiteState *s, const TxFrame *f, size_t from)
{
    uint32_t sum = igb_lite_sum(s->tx_head + HEADROOM + from, f->head_len - from, 0);
    bool odd = (f->head_len - from) & 1;

    for (unsigned i = 1; i <= f->pieces; i++) {
        uint16_t part = igb_lite_fold(igb_lite_sum(s->tx_out[i].iov_base, s->tx_out[i].iov_len, 0));

        sum += odd ? bswap16(part) : part; /* RFC 1071 section 2 */
        odd ^= s->tx_out[i].iov_len & 1;
    }
    return igb_lite_fold(sum);
}

/* The frame as one piece, in tx_frame. */
static uint8_t *linear(IGBLiteState *s, const uint8_t *start, const TxFrame *f)
{
    memcpy(s->tx_frame, start, f->head_len);
    iov_to_buf(s->tx_out + 1, f->pieces, 0, s->tx_frame + f->head_len, f->len - f->head_len);
    return s->tx_frame;
}

/* To the backend; vnet, if there is one, in front. */
static void to_backend(IGBLiteState *s, uint8_t *start, const TxFrame *f,
                       const struct virtio_net_hdr *vnet)
{
    NetClientState *nc = qemu_get_queue(s->nic);
    struct iovec *iov = s->tx_out;

    iov[0] = (struct iovec){.iov_base = start, .iov_len = f->head_len};
    if (s->vnet_len) {
        s->tx_vnet[0] = (struct iovec){.iov_base = (void *)vnet, .iov_len = s->vnet_len};
        memcpy(s->tx_vnet + 1, iov, (f->pieces + 1) * sizeof(*iov));
        qemu_sendv_packet(nc, s->tx_vnet, f->pieces + 2);
    } else if (!f->pieces) {
        qemu_send_packet(nc, start, f->len);
    } else if (nc->peer && nc->peer->info->receive_iov) {
        qemu_sendv_packet(nc, iov, f->pieces + 1);
    } else {
        qemu_send_packet(nc, linear(s, start, f), f->len);
    }
}

/* Hands one frame to the wire or to the loopback. The head has at least an Ethernet header. */
static void emit(IGBLiteState *s, TxFrame *f, const uint16_t *tag)
{
    static const struct virtio_net_hdr no_offload;
    uint8_t *start = s->tx_head + HEADROOM;

    if (s->gone) {
        return;
    }
    if (tag) {
        start -= HEADROOM;
        memmove(start, start + HEADROOM, 12);
        stw_be_p(start + 12, IGB_LITE_GET(s, VET, VLAN));
        stw_be_p(start + 14, *tag);
        f->head_len += HEADROOM;
        f->len += HEADROOM;
    }
    if (f->len < MIN_FRAME) { /* all of it is in the head */
        memset(start + f->len, 0, MIN_FRAME - f->len);
        f->len = f->head_len = MIN_FRAME;
    }
    s->tx_frames++;
    if (!s->link_up) {
        trace_igb_lite_tx_no_link(f->len);
        return;
    }
    trace_igb_lite_tx_frame(f->len);
    igb_lite_log(s, "tx-frame", "\"queue\":%u,\"len\":%zu", s->tx_queue, f->len);
    igb_lite_count_frame(s, true, start, f->len);
    if (igb_lite_fault(s, IGB_LITE_FAULT_TX_CORRUPT)) {
        start = linear(s, start, f);
        f->head_len = f->len;
        f->pieces = 0;
        igb_lite_fault_corrupt(s, start, f->len);
    }
    if (unlikely(igb_lite_phy_loopback(s) || IGB_LITE_GET(s, RCTL, LBM))) {
        igb_lite_rx_frame(s, f->pieces ? linear(s, start, f) : start, f->len, true);
    } else {
        to_backend(s, start, f, &no_offload);
    }
}

/*
 * The IPv4 header checksum: the complement of the sum over the header as it is. Its own field is
 * the seed that software left, normally 0.
 */
static void ip_checksum(IGBLiteState *s, const TxFrame *f, const TxLayout *l)
{
    uint8_t *head = s->tx_head + HEADROOM;

    if (l->l4 < l->l3 + sizeof(struct ip_header) || l->l4 > f->head_len) {
        igb_lite_guest_error(s, "TX: IP header at %zu to %zu in a packet of %zu", l->l3, l->l4,
                             f->len);
        return;
    }
    stw_be_p(head + l->l3 + 10, ~igb_lite_fold(igb_lite_sum(head + l->l3, l->l4 - l->l3, 0)));
}

/* Where layer 4's checksum is in the frame, and its width; 0 if there is no such place. */
static size_t checksum_field(IGBLiteState *s, const TxFrame *f, const TxLayout *l)
{
    static const uint8_t field[] = {
        [IGB_LITE_L4_UDP] = 6, [IGB_LITE_L4_TCP] = 16, [IGB_LITE_L4_SCTP] = 8};
    size_t width = l->l4_type == IGB_LITE_L4_SCTP ? 4 : 2;

    if (l->l4_type >= ARRAY_SIZE(field) || l->l4 + field[l->l4_type] + width > f->head_len) {
        igb_lite_guest_error(s, "TX: layer 4 type %u at %zu in a packet of %zu", l->l4_type, l->l4,
                             f->len);
        return 0;
    }
    return l->l4 + field[l->l4_type];
}

static void sctp_checksum(IGBLiteState *s, const TxFrame *f, size_t l4, uint8_t *field)
{
    uint8_t *head = s->tx_head + HEADROOM;

    stl_le_p(field, 0);
    s->tx_out[0] = (struct iovec){.iov_base = head + l4, .iov_len = f->head_len - l4};
    stl_le_p(field, iov_crc32c(0xffffffff, s->tx_out, f->pieces + 1));
}

/*
 * The layer 4 checksum: the complement of the sum from layer 4's start to the end. Software left
 * the sum of the pseudo header in its field, without the length when the packet is segmented:
 * add_length then.
 */
static void l4_checksum(IGBLiteState *s, const TxFrame *f, const TxLayout *l, bool add_length)
{
    uint8_t *head = s->tx_head + HEADROOM;
    size_t at = checksum_field(s, f, l);
    uint32_t sum;
    uint16_t val;

    if (!at) {
        return;
    }
    if (l->l4_type == IGB_LITE_L4_SCTP) {
        sctp_checksum(s, f, l->l4, head + at);
        return;
    }
    sum = sum_frame(s, f, l->l4) + (add_length ? f->len - l->l4 : 0);
    val = ~igb_lite_fold(sum);
    stw_be_p(head + at, val || l->l4_type != IGB_LITE_L4_UDP ? val : 0xffff);
}

/*
 * One segment's headers: lengths, IP id, TCP sequence number and flags, or UDP length. at: its
 * payload's place in all of it.
 */
static void fix_headers(IGBLiteState *s, const TxFrame *f, const TxLayout *l, unsigned index,
                        size_t at, bool last)
{
    uint8_t *ip = s->tx_head + HEADROOM + l->l3, *l4 = s->tx_head + HEADROOM + l->l4;

    if (l->ipv4) {
        stw_be_p(ip + 2, f->len - l->l3);
        stw_be_p(ip + 4, lduw_be_p(ip + 4) + index);
    } else {
        stw_be_p(ip + 4, f->len - l->l3 - sizeof(struct ip6_header));
    }
    if (l->l4_type == IGB_LITE_L4_TCP) {
        stl_be_p(l4 + 4, ldl_be_p(l4 + 4) + at);
        l4[13] &= ~((last ? 0 : TH_FIN | TH_PUSH) | (index ? TH_CWR : 0));
    } else {
        stw_be_p(l4 + 4, f->len - l->l4);
    }
}

/*
 * With a backend that takes it (property host-offload), a packet to be segmented goes out whole,
 * and the host segments it. Its counters are those of its segments.
 */
static bool send_whole(IGBLiteState *s, const IGBLiteTxPacket *p, const TxLayout *l, bool tagged)
{
    NetClientState *nc = qemu_get_queue(s->nic);
    uint8_t *head = s->tx_head + HEADROOM;
    struct virtio_net_hdr vnet = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM};
    bool udp = l->l4_type == IGB_LITE_L4_UDP;
    size_t total = p->len - l->payload, field;
    TxFrame f;

    if (!s->vnet_len || tagged || !s->link_up || p->len - l->l3 > IP_MAX || total <= l->mss ||
        !FIELD_EX32(p->olinfo, TX_OL, TXSM) || igb_lite_phy_loopback(s) ||
        IGB_LITE_GET(s, RCTL, LBM) || s->faults[IGB_LITE_FAULT_TX_CORRUPT].every ||
        (udp && !qemu_has_uso(nc->peer))) {
        return false;
    }
    f = make_frame(s, p, l->payload, l->payload, total);
    field = checksum_field(s, &f, l);
    if (!field) {
        return false;
    }
    fix_headers(s, &f, l, 0, 0, true);
    if (l->ipv4) {
        ip_checksum(s, &f, l);
    }
    stw_be_p(head + field, igb_lite_fold(lduw_be_p(head + field) + p->len - l->l4));
    vnet.hdr_len = cpu_to_le16(l->payload);
    vnet.gso_size = cpu_to_le16(l->mss);
    vnet.gso_type = udp       ? VIRTIO_NET_HDR_GSO_UDP_L4
                    : l->ipv4 ? VIRTIO_NET_HDR_GSO_TCPV4
                              : VIRTIO_NET_HDR_GSO_TCPV6;
    vnet.csum_start = cpu_to_le16(l->l4);
    vnet.csum_offset = cpu_to_le16(field - l->l4);
    igb_lite_log(s, "tx-frame", "\"queue\":%u,\"len\":%zu", s->tx_queue, f.len);
    for (size_t at = 0; at < total; at += l->mss) {
        igb_lite_count_frame(s, true, head, l->payload + MIN(l->mss, total - at));
    }
    s->tx_frames++;
    to_backend(s, head, &f, &vnet);
    return true;
}

/* Cuts the packet into frames of at most mss bytes of payload. */
static void segment(IGBLiteState *s, const IGBLiteTxPacket *p, const TxLayout *l)
{
    size_t min_ip = l->ipv4 ? sizeof(struct ip_header) : sizeof(struct ip6_header);
    size_t min_l4 = l->l4_type == IGB_LITE_L4_TCP ? sizeof(tcp_header) : sizeof(udp_header);
    bool tagged = FIELD_EX32(p->cmd, TX_CMD, VLE);
    size_t total = p->len - MIN(p->len, l->payload);

    if (l->mss < MIN_MSS || l->payload + l->mss + 2 * HEADROOM > IGB_LITE_FRAME_MAX ||
        l->payload > p->len || l->l3 < sizeof(struct eth_header) || l->l4 < l->l3 + min_ip ||
        l->payload < l->l4 + min_l4 || l->l4_type > IGB_LITE_L4_TCP) {
        igb_lite_guest_error(s, "TX: cannot segment: headers %zu %zu %zu, MSS %u, length %zu",
                             l->l3, l->l4, l->payload, l->mss, p->len);
        return;
    }
    igb_lite_count(s, R_TSCTC, 1);
    if (send_whole(s, p, l, tagged)) {
        return;
    }
    for (size_t at = 0, i = 0; (at < total || !i) && !s->gone; at += l->mss, i++) {
        size_t part = MIN(l->mss, total - at);
        TxFrame f = make_frame(s, p, l->payload, l->payload + at, part);

        if (f.len < MIN_FRAME) { /* too short to have a tail */
            iov_to_buf(s->tx_out + 1, f.pieces, 0, s->tx_head + HEADROOM + f.head_len, part);
            f.head_len = f.len;
            f.pieces = 0;
        }
        fix_headers(s, &f, l, i, at, at + part == total);
        if (FIELD_EX32(p->olinfo, TX_OL, IXSM)) {
            ip_checksum(s, &f, l);
        }
        if (FIELD_EX32(p->olinfo, TX_OL, TXSM)) {
            l4_checksum(s, &f, l, true);
        }
        emit(s, &f, tagged ? &l->tag : NULL);
    }
}

/* Does what becomes of the packet depend on its context? */
static bool needs_context(const IGBLiteTxPacket *p)
{
    return FIELD_EX32(p->cmd, TX_CMD, DEXT) &&
           (p->cmd & (R_TX_CMD_TSE_MASK | R_TX_CMD_VLE_MASK) ||
            p->olinfo & (R_TX_OL_IXSM_MASK | R_TX_OL_TXSM_MASK));
}

/* Sends a packet that stays whole. l: its context, if it needs that. */
static void send_frame(IGBLiteState *s, unsigned q, const IGBLiteTxPacket *p, const TxLayout *l)
{
    bool ip = l && FIELD_EX32(p->olinfo, TX_OL, IXSM);
    bool l4 = l && FIELD_EX32(p->olinfo, TX_OL, TXSM);
    uint16_t tag = l ? l->tag : p->olinfo >> 16;
    size_t head = p->len;
    TxFrame f;

    if (p->len < sizeof(struct eth_header) || p->len + 2 * HEADROOM > IGB_LITE_FRAME_MAX) {
        igb_lite_guest_error(s, "TX queue %u: frame of %zu bytes", q, p->len);
        return;
    }
    if (head > COPY_MAX) {
        head = ip || l4 ? MIN(head, MAX(COPY_MAX, l->l4 + sizeof(tcp_header))) : COPY_MAX;
    }
    f = make_frame(s, p, head, head, p->len - head);
    if (ip) {
        ip_checksum(s, &f, l);
    }
    if (l4) {
        l4_checksum(s, &f, l, false);
    }
    emit(s, &f, FIELD_EX32(p->cmd, TX_CMD, VLE) ? &tag : NULL);
}

/* Sends a gathered packet of queue q. */
void igb_lite_send(IGBLiteState *s, unsigned q, const IGBLiteTxPacket *p)
{
    TxLayout l;

    s->tx_queue = q;
    if (FIELD_EX32(p->cmd, TX_CMD, DEXT) && FIELD_EX32(p->cmd, TX_CMD, TSTAMP)) {
        igb_lite_time_sent(s);
    }
    if (!needs_context(p)) {
        send_frame(s, q, p, NULL);
        return;
    }
    l = layout_of(&s->tx_ctx[q][FIELD_EX32(p->olinfo, TX_OL, CTX)]);
    if (FIELD_EX32(p->cmd, TX_CMD, TSE)) {
        segment(s, p, &l);
    } else {
        send_frame(s, q, p, &l);
    }
}

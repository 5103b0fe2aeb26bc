// SPDX-License-Identifier: MIT
// Sending frames. Linux: packet_snd of net/packet/af_packet.c. Process context.

#include "net/core/neighbour.h"
#include "net/packet/packet.h"

/// Where a message goes: a device with a reference, its protocol and address.
struct target {
    net_device *dev = nullptr;
    be16 proto{};
    const u8 *addr = nullptr;
    ~target() { dev_put(dev); }
};

static result<void> find_target(packet_sock *po, const msghdr *m, target *t)
{
    int ifindex = po->ifindex;
    t->proto = po->num;
    if (m->msg_namelen) {
        auto *sll = reinterpret_cast<const sockaddr_ll *>(m->msg_name);
        if (m->msg_namelen < static_cast<int>(sizeof *sll) ||
            m->msg_namelen < SLL_ADDR_OFFSET + sll->sll_halen)
            return error{EINVAL};
        ifindex = sll->sll_ifindex;
        t->proto = sll->sll_protocol;
        t->addr = sll->sll_addr;
    }
    t->dev = ifindex > 0 ? dev_get_by_index(static_cast<u32>(ifindex)) : nullptr;
    if (!t->dev)
        return error{ENXIO};
    return {};
}

result<size_t> packet_sendmsg(socket *s, msghdr *m, size_t len)
{
    packet_sock *po = pkt_sk(s->sk);
    target t;
    TRY_VOID(find_target(po, m, &t));
    bool raw = s->type == SOCK_RAW;
    u32 header = raw ? t.dev->hard_header_len : 0;
    if (!(t.dev->flags & IFF_UP))
        return error{ENETDOWN};
    if (len > t.dev->mtu + header)
        return error{EMSGSIZE};
    if (len < header)
        return error{EINVAL}; // not even a header
    u32 room = LL_RESERVED_SPACE(t.dev);
    skb_ptr skb{
        TRY(sock_alloc_send_skb(po, room + static_cast<u32>(len), m->msg_flags & MSG_DONTWAIT))};
    sk_buff *p = skb.get();
    skb_reserve(p, room);
    TRY_VOID(m->msg_iter->copy_from(skb_put(p, static_cast<u32>(len)), len));
    skb_reset_network_header(p);
    p->network_header = static_cast<u16>(p->network_header + header);
    if (!raw &&
        dev_hard_header(p, t.dev, t.proto.host(), t.addr, nullptr, static_cast<u32>(len)) < 0)
        return error{EINVAL};
    p->protocol = t.proto;
    p->dev = t.dev;
    p->priority = po->sk_priority;
    p->mark = po->sk_mark;
    int err = dev_queue_xmit(skb.release());
    if (err < 0)
        return error{static_cast<errno_t>(-err)};
    if (err == NET_XMIT_DROP)
        return error{ENOBUFS};
    return len;
}

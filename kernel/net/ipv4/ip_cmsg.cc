// SPDX-License-Identifier: MIT
// Control messages of IPv4 (Linux net/ipv4/ip_sockglue.c ip_cmsg_recv, ip_cmsg_send; ip(7)). Process context.

#include "net/ipv4/udp.h"

struct in_pktinfo {
    int ipi_ifindex;
    be32 ipi_spec_dst, ipi_addr;
};

void ip_cmsg_recv(msghdr *m, sk_buff *skb)
{
    u32 flags = inet_sk(skb->sk)->cmsg_flags;
    const iphdr *iph = ip_hdr(skb);
    // A failing copy out is the user's loss; the datagram itself is there.
    if (flags & IP_CMSG_PKTINFO) {
        const inet_skb_cb *cb = inet_cb(skb);
        in_pktinfo info{static_cast<int>(cb->pktinfo_ifindex), cb->pktinfo_spec_dst, iph->daddr};
        (void)put_cmsg(m, SOL_IP, IP_PKTINFO, &info, sizeof info);
    }
    if (flags & IP_CMSG_TTL) {
        int ttl = iph->ttl;
        (void)put_cmsg(m, SOL_IP, IP_TTL, &ttl, sizeof ttl);
    }
    if (flags & IP_CMSG_TOS)
        (void)put_cmsg(m, SOL_IP, IP_TOS, &iph->tos, 1);
    u32 optlen = iph->ihl * 4u - static_cast<u32>(sizeof *iph);
    if ((flags & IP_CMSG_RECVOPTS) && optlen)
        (void)put_cmsg(m, SOL_IP, IP_RECVOPTS, iph + 1, optlen);
}

/// One byte or an int.
static result<int> cmsg_number(const cmsghdr *c, int least, int most)
{
    size_t n = c->cmsg_len - sizeof *c;
    int v;
    if (n == sizeof(u8))
        v = *reinterpret_cast<const u8 *>(c + 1);
    else if (n == sizeof v)
        memcpy(&v, c + 1, sizeof v);
    else
        return error{EINVAL};
    if (v < least || v > most)
        return error{EINVAL};
    return v;
}

result<void> ip_cmsg_send(const msghdr *m, ipcm_cookie *ipc)
{
    for (const cmsghdr *c = TRY(cmsg_next(m, nullptr)); c; c = TRY(cmsg_next(m, c))) {
        if (c->cmsg_level != SOL_IP)
            continue;
        switch (c->cmsg_type) {
        case IP_PKTINFO: {
            in_pktinfo info;
            if (c->cmsg_len != sizeof *c + sizeof info)
                return error{EINVAL};
            memcpy(&info, c + 1, sizeof info);
            ipc->oif = static_cast<u32>(info.ipi_ifindex);
            ipc->addr = info.ipi_spec_dst;
            break;
        }
        case IP_TTL:
            ipc->ttl = static_cast<u8>(TRY(cmsg_number(c, 1, 255)));
            break;
        case IP_TOS:
            ipc->tos = static_cast<u8>(TRY(cmsg_number(c, 0, 255)));
            break;
        default:
            return error{EINVAL};
        }
    }
    return {};
}

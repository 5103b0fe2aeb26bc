// SPDX-License-Identifier: MIT
// Raw sockets, transmit side (Linux net/ipv4/raw.c raw_sendmsg). Process context. Either the kernel makes the IP header, or the program
// gave it (IP_HDRINCL) and only length, checksum, and empty source and identification are filled in.

#include "net/ipv4/inet_packet.h"
#include "net/ipv4/raw.h"

/// Complete and check a header that came from a program; the packet has its linear data from the IP header on.
static result<void> raw_fix_header(sk_buff *skb, const flowi4 &fl)
{
    iphdr *iph = ip_hdr(skb);
    u32 hlen = iph->ihl * 4u;
    if (hlen < sizeof *iph || hlen > skb->len)
        return error{EINVAL};
    if (!iph->saddr)
        iph->saddr = fl.saddr;
    if (!iph->id)
        ip_select_ident(iph, skb->dst, false);
    skb->transport_header = static_cast<u16>(skb->network_header + hlen);
    return {};
}

/// IP_HDRINCL: the program's packet as it stands. Linux raw_send_hdrinc.
static result<void> raw_send_hdrinc(raw_sock *rs, const flowi4 &fl, msghdr *m, u32 len, rtable *rt)
{
    if (len > rt->dev->mtu)
        return error{EMSGSIZE};
    if (len < sizeof(iphdr))
        return error{EINVAL};
    u32 room = align_up(u32{rt->dev->hard_header_len}, 16u) + 16;
    sk_buff *skb = TRY(sock_alloc_send_skb(rs, len + room, m->msg_flags & MSG_DONTWAIT));
    skb_reserve(skb, room);
    skb->priority = rs->sk_priority;
    skb->mark = rs->sk_mark;
    skb->protocol = htons(ETH_P_IP);
    skb_dst_set(skb, dst_hold(rt));
    skb_put(skb, len);
    skb_reset_network_header(skb);
    auto r = m->msg_iter->copy_from(skb->data, len);
    if (r)
        r = raw_fix_header(skb, fl);
    if (!r) {
        kfree_skb(skb);
        return r;
    }
    net_copied->from_user += len;
    trace(trace_event::skb_copy_from_user, skb->trace_id, len);
    return inet_packet_sent(rs, ip_local_out(skb));
}

/// Header by the kernel.
static result<void> raw_send_built(raw_sock *rs, const flowi4 &fl, ipcm_cookie &ipc, msghdr *m,
                                   u32 len, rtable *rt)
{
    u32 hlen = sizeof(iphdr) + (ipc.opt ? ipc.opt->optlen : 0);
    bool df = rs->pmtudisc >= IP_PMTUDISC_DO ||
              (rs->pmtudisc == IP_PMTUDISC_WANT && len + hlen <= dst_mtu(rt));
    ipc.df = df ? IP_DF : be16{};
    auto skb = ip_make_skb(rs, fl, ipc, *m->msg_iter, len, 0, rt, m->msg_flags,
                           static_cast<u8>(rs->inet_num));
    if (!skb)
        return skb.fail();
    ip_fix_mc_ttl(*skb, ipc);
    (*skb)->ip_summed = CHECKSUM_NONE; // what the program put in is not ours to sum
    net_copied->from_user += len;
    return inet_packet_sent(rs, ip_send_skb(*skb));
}

/// Header values from control messages, else the socket's.
static result<void> raw_params(raw_sock *rs, const msghdr *m, flowi4 *fl, ipcm_cookie *ipc)
{
    ipc->addr = rs->inet_saddr;
    ipc->oif = rs->sk_bound_dev_if;
    ipc->priority = rs->sk_priority;
    ipc->mark = rs->sk_mark;
    if (m->msg_controllen)
        TRY_VOID(ip_cmsg_send(m, ipc));
    if (!ipc->tos)
        ipc->tos = rs->tos;
    fl->saddr = ipc->addr;
    if (ipv4_is_multicast(fl->daddr)) {
        if (!ipc->oif)
            ipc->oif = rs->mc_index;
        if (!fl->saddr)
            fl->saddr = rs->mc_addr;
        if (!ipc->ttl)
            ipc->ttl = rs->mc_ttl;
    } else if (!ipc->ttl && rs->uc_ttl > 0) {
        ipc->ttl = static_cast<u8>(rs->uc_ttl);
    }
    fl->oif = ipc->oif;
    fl->tos = ipc->tos;
    fl->proto = rs->hdrincl ? static_cast<u8>(IPPROTO_RAW) : rs->sk_protocol;
    return {};
}

result<size_t> raw_sendmsg(sock *sk, msghdr *m, size_t len)
{
    raw_sock *rs = raw_sk(sk);
    if (len > 0xffff)
        return error{EMSGSIZE};
    if (m->msg_flags & MSG_OOB)
        return error{EOPNOTSUPP};
    flowi4 fl;
    ipcm_cookie ipc;
    ip_options_room room;
    fl.daddr = TRY(inet_packet_dest(rs, m, true));
    TRY_VOID(raw_params(rs, m, &fl, &ipc));
    if (!rs->hdrincl)
        ipc.opt = inet_copy_options(rs, room);
    rtable *rt = TRY(ip_route_output_key(&fl));
    result<void> r;
    if ((rt->rt_flags & RTCF_BROADCAST) && !sock_flag(sk, SOCK_BROADCAST))
        r = error{EACCES};
    else if (rs->hdrincl)
        r = raw_send_hdrinc(rs, fl, m, static_cast<u32>(len), rt);
    else
        r = raw_send_built(rs, fl, ipc, m, static_cast<u32>(len), rt);
    dst_release(rt);
    if (!r)
        return r.fail();
    return len;
}

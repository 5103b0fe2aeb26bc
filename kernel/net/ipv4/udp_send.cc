// SPDX-License-Identifier: MIT
// UDP transmit (Linux net/ipv4/udp.c udp_sendmsg; atlas §11.3). Process context. Without corking no socket lock is taken: the datagram is
// built on the side and several tasks may send through one socket at once. With MSG_MORE or UDP_CORK the pieces collect
// on sk_write_queue under the socket lock until the last one.

#include "mm/slab.h"
#include "net/ipv4/udp.h"

constexpr u32 MSG_PROBE = 0x10, MSG_CONFIRM = 0x800;

// --- Header and checksum ----------------------------------------------------------------------------

/// The checksum in software: header, payload sums that were taken while copying (frag_list included), pseudo header.
static void udp_csum_software(sk_buff *skb, udphdr *uh, const flowi4 &fl, u32 len)
{
    wsum csum = csum_partial(uh, sizeof *uh, skb->csum);
    for (sk_buff *f = skb_shinfo(skb)->frag_list; f; f = f->next)
        csum = csum_add(csum, f->csum);
    skb->ip_summed = CHECKSUM_NONE;
    uh->check = csum_tcpudp_magic(fl.saddr, fl.daddr, len, IPPROTO_UDP, csum);
    if (!uh->check)
        uh->check = CSUM_MANGLED_0; // 0 on the wire means "no checksum"
}

/// Leave the sum to the device: pseudo header in the field, offsets in the skb. A fragmented datagram must be summed here.
static void udp4_hwcsum(sk_buff *skb, udphdr *uh, const flowi4 &fl, u32 len)
{
    skb->csum_start = skb->transport_header;
    skb->csum_offset = offsetof(udphdr, check);
    uh->check = ~csum_tcpudp_magic(fl.saddr, fl.daddr, len, IPPROTO_UDP, 0);
}

/// Complete the UDP header of what ip_make_skb built, and send it. Takes the skb.
static result<void> udp_send_skb(sk_buff *skb, const flowi4 &fl)
{
    sock *sk = skb->sk;
    u32 len = skb->len - static_cast<u32>(skb_transport_offset(skb));
    udphdr *uh = udp_hdr(skb);
    *uh = {fl.sport, fl.dport, htons(static_cast<u16>(len)), {}};
    bool tell = inet_sk(sk)->recverr;
    if (sk->sk_no_check)
        skb->ip_summed = CHECKSUM_NONE;
    else if (skb->ip_summed == CHECKSUM_PARTIAL)
        udp4_hwcsum(skb, uh, fl, len);
    else
        udp_csum_software(skb, uh, fl, len);
    int err = ip_send_skb(skb); // sk may be gone with the packet, but the caller holds its file
    if (err < 0) [[unlikely]] {
        if (err != -ENOBUFS || tell)
            return error{static_cast<errno_t>(-err)};
        UDP_INC_STATS(
            UDP_MIB_SndbufErrors); // lost in the device queue: as good as lost on the wire
        return {};
    }
    UDP_INC_STATS(UDP_MIB_OutDatagrams);
    return {};
}

/// Everything about one datagram that is decided before data is touched.
struct udp_send_state {
    flowi4 fl;
    ipcm_cookie ipc;
    bool connected = false; // the socket's cached route may be used
    ip_options_room opt_room;
};

// --- Corking ------------------------------------------------------------------------------------------

void udp_flush_pending_frames(udp_sock *up)
{
    if (!up->cork.pending)
        return;
    up->cork.pending = false;
    up->cork.len = 0;
    while (sk_buff *skb = __skb_dequeue(&up->sk_write_queue))
        kfree_skb(skb);
    dst_release(up->cork.rt);
    up->cork.rt = nullptr;
    kdelete(up->cork.opt);
    up->cork.opt = nullptr;
}

/// Start a datagram that grows. Takes over the reference of rt.
static result<void> udp_cork_start(udp_sock *up, const flowi4 &fl, const ipcm_cookie &ipc,
                                   rtable *rt)
{
    ip_options *opt = nullptr;
    if (ipc.opt) {
        opt = knew<ip_options>(GFP_KERNEL, *ipc.opt);
        if (!opt)
            return error{ENOBUFS};
    }
    up->cork.pending = true;
    up->cork.len = 0;
    up->cork.fl = fl;
    up->cork.ipc = ipc;
    up->cork.ipc.opt = up->cork.opt = opt;
    up->cork.rt = rt;
    dst_hold(rt);
    return {};
}

/// Add a piece: the user's bytes go into an skb that counts against the send buffer. Socket lock held.
static result<void> udp_cork_append(udp_sock *up, msghdr *m, u32 len)
{
    if (up->cork.len + len > UDP_MAX_PAYLOAD)
        return error{EMSGSIZE};
    sk_buff *skb = TRY(sock_alloc_send_skb(up, len, m->msg_flags & MSG_DONTWAIT));
    auto r = m->msg_iter->copy_from(skb_put(skb, len), len);
    if (!r) {
        kfree_skb(skb);
        return r;
    }
    __skb_queue_tail(&up->sk_write_queue, skb);
    up->cork.len += len;
    net_copied->from_user += len;
    return {};
}

/// One contiguous copy of the pieces; null when out of memory.
static u8 *udp_cork_gather(udp_sock *up)
{
    u8 *buf = static_cast<u8 *>(kmalloc(max<u32>(up->cork.len, 1), GFP_KERNEL));
    if (!buf)
        return nullptr;
    u32 at = 0;
    while (sk_buff *skb = __skb_dequeue(&up->sk_write_queue)) {
        memcpy(buf + at, skb->data, skb->len);
        at += skb->len;
        consume_skb(skb); // its room in the send buffer goes to the packet itself
    }
    return buf;
}

result<void> udp_push_pending_frames(udp_sock *up)
{
    if (!up->cork.pending)
        return {};
    result<void> r = error{ENOBUFS};
    if (u8 *buf = udp_cork_gather(up)) {
        iov_iter from = iov_iter::kernel(buf, up->cork.len);
        auto skb = ip_make_skb(up, up->cork.fl, up->cork.ipc, from, up->cork.len, sizeof(udphdr),
                               up->cork.rt, MSG_DONTWAIT, IPPROTO_UDP);
        kfree(buf);
        if (skb)
            ip_fix_mc_ttl(*skb, up->cork.ipc);
        r = skb ? udp_send_skb(*skb, up->cork.fl) : result<void>{skb.fail()};
    }
    udp_flush_pending_frames(up);
    return r;
}

/// Start a growing datagram with its first piece, unless one is there already (another task's: EINVAL).
static result<void> udp_send_corked(udp_sock *up, msghdr *m, u32 len, const udp_send_state &st,
                                    rtable *rt)
{
    lock_sock(up);
    result<void> r =
        up->cork.pending ? result<void>{error{EINVAL}} : udp_cork_start(up, st.fl, st.ipc, rt);
    if (r) {
        r = udp_cork_append(up, m, len);
        if (!r)
            udp_flush_pending_frames(up);
    }
    release_sock(up);
    return r;
}

/// Append to the pending datagram and send it if this is the last piece. *gone: there is none any more, because another task
/// has just sent it.
static result<void> udp_append_pending(udp_sock *up, msghdr *m, u32 len, bool more, bool *gone)
{
    lock_sock(up);
    result<void> r;
    *gone = !up->cork.pending;
    if (!*gone) {
        r = udp_cork_append(up, m, len);
        if (!r)
            udp_flush_pending_frames(up);
        else if (!more)
            r = udp_push_pending_frames(up);
    }
    release_sock(up);
    return r;
}

// --- sendmsg ----------------------------------------------------------------------------------------

/// Destination: from the message, or the connected peer.
static result<void> udp_send_dest(const inet_sock *inet, const msghdr *m, udp_send_state *st)
{
    if (!m->msg_name) {
        if (inet->sk_state != TCP_ESTABLISHED)
            return error{EDESTADDRREQ};
        st->fl.daddr = inet->inet_daddr;
        st->fl.dport = inet->inet_dport;
        st->connected = true;
        return {};
    }
    auto *usin = reinterpret_cast<const sockaddr_in *>(m->msg_name);
    if (m->msg_namelen < static_cast<int>(sizeof *usin))
        return error{EINVAL};
    if (usin->sin_family != AF_INET && usin->sin_family != AF_UNSPEC)
        return error{EAFNOSUPPORT};
    if (!usin->sin_port)
        return error{EINVAL};
    st->fl.daddr = usin->sin_addr;
    st->fl.dport = usin->sin_port;
    return {};
}

/// Header values and the flow's other fields: from control messages, else the socket's.
static result<void> udp_send_params(inet_sock *inet, const msghdr *m, udp_send_state *st)
{
    ipcm_cookie &ipc = st->ipc;
    ipc.addr = inet->inet_saddr;
    ipc.oif = inet->sk_bound_dev_if;
    ipc.priority = inet->sk_priority;
    ipc.mark = inet->sk_mark;
    if (m->msg_controllen) {
        TRY_VOID(ip_cmsg_send(m, &ipc));
        st->connected = false;
    }
    if (!ipc.opt)
        ipc.opt = inet_copy_options(inet, st->opt_room);
    if (!ipc.tos)
        ipc.tos = inet->tos;
    flowi4 &fl = st->fl;
    fl.saddr = ipc.addr;
    if (sock_flag(inet, SOCK_LOCALROUTE) || (m->msg_flags & MSG_DONTROUTE))
        st->connected = false;
    if (ipv4_is_multicast(fl.daddr)) {
        if (!ipc.oif)
            ipc.oif = inet->mc_index;
        if (!fl.saddr)
            fl.saddr = inet->mc_addr;
        if (!ipc.ttl)
            ipc.ttl = inet->mc_ttl;
        st->connected = false;
    } else if (!ipc.ttl && inet->uc_ttl > 0) {
        ipc.ttl = static_cast<u8>(inet->uc_ttl);
    }
    fl.oif = ipc.oif;
    fl.tos = ipc.tos;
    fl.proto = IPPROTO_UDP;
    fl.sport = inet->inet_sport;
    return {};
}

/// The route, referenced: the connected socket's own if it is still good. Fills in the addresses it decides.
static result<rtable *> udp_send_route(sock *sk, udp_send_state *st)
{
    flowi4 &fl = st->fl;
    if (st->connected) {
        if (auto *rt = static_cast<rtable *>(sk_dst_check(sk))) [[likely]] {
            if (!fl.saddr)
                fl.saddr = rt->rt_src;
            return rt;
        }
    }
    auto r = ip_route_output_key(&fl);
    if (!r) {
        if (r.err() == ENETUNREACH)
            IP_INC_STATS(IPSTATS_MIB_OutNoRoutes);
        return r.fail();
    }
    rtable *rt = *r;
    if ((rt->rt_flags & RTCF_BROADCAST) && !sock_flag(sk, SOCK_BROADCAST)) {
        dst_release(rt);
        return error{EACCES};
    }
    if (st->connected) {
        dst_hold(rt);
        sk_dst_set(sk, rt);
    }
    return rt;
}

/// DF: always when path MTU discovery is asked for, else (the default) for what fits.
static be16 udp_df(const inet_sock *inet, const rtable *rt, u32 len)
{
    if (inet->pmtudisc >= IP_PMTUDISC_DO)
        return IP_DF;
    u32 opt = inet->inet_opt ? inet->inet_opt->optlen : 0;
    bool fits = len + sizeof(udphdr) + sizeof(iphdr) + opt <= dst_mtu(rt);
    return inet->pmtudisc == IP_PMTUDISC_WANT && fits ? IP_DF : be16{};
}

/// Build and send one whole datagram, without the socket lock.
static result<void> udp_send_now(udp_sock *up, msghdr *m, u32 len, udp_send_state &st, rtable *rt)
{
    st.ipc.df = udp_df(up, rt, len);
    auto skb = ip_make_skb(up, st.fl, st.ipc, *m->msg_iter, len, sizeof(udphdr), rt, m->msg_flags,
                           IPPROTO_UDP);
    if (!skb)
        return skb.fail();
    ip_fix_mc_ttl(*skb, st.ipc);
    net_copied->from_user += len;
    return udp_send_skb(*skb, st.fl);
}

/// A datagram of its own (or the first piece of a corked one).
static result<void> udp_send_new(udp_sock *up, msghdr *m, u32 len, bool more)
{
    udp_send_state st;
    TRY_VOID(udp_send_dest(up, m, &st));
    TRY_VOID(udp_send_params(up, m, &st));
    rtable *rt = TRY(udp_send_route(up, &st));
    trace(trace_event::udp_sendmsg, static_cast<sock *>(up), len, st.fl.daddr.raw,
          ntohs(st.fl.dport));
    result<void> r;
    if ((m->msg_flags & (MSG_CONFIRM | MSG_PROBE)) && (m->msg_flags & MSG_PROBE) && !len) {
        // Only the route was asked for.
    } else if (!more) [[likely]] {
        r = udp_send_now(up, m, len, st, rt);
    } else {
        st.ipc.df = up->pmtudisc >= IP_PMTUDISC_DO ? IP_DF : be16{};
        r = udp_send_corked(up, m, len, st, rt);
    }
    dst_release(rt);
    return r;
}

result<size_t> udp_sendmsg(sock *sk, msghdr *m, size_t len)
{
    udp_sock *up = udp_sk(sk);
    if (len > UDP_MAX_PAYLOAD)
        return error{EMSGSIZE};
    if (m->msg_flags & MSG_OOB)
        return error{EOPNOTSUPP};
    bool more = up->corkflag || (m->msg_flags & MSG_MORE);
    u32 n = static_cast<u32>(len);
    result<void> r;
    bool new_one = true;
    if (read_once(up->cork.pending)) [[unlikely]]
        r = udp_append_pending(up, m, n, more, &new_one);
    if (new_one)
        r = udp_send_new(up, m, n, more);
    if (r) [[likely]]
        return len;
    // No room is an error that Linux counts, whether it came from memory or from the send buffer.
    if (r.err() == ENOBUFS || (sk->sk_socket && sk->sk_socket->flags.load() & SOCK_NOSPACE))
        UDP_INC_STATS(UDP_MIB_SndbufErrors);
    return r.fail();
}

// SPDX-License-Identifier: MIT
// Packets and sockets for tests on the virtual wire; see wire.h.
#include "fs/fs.h"
#include "lib/checksum.h"
#include "lib/string.h"
#include "wire.h"

static u8 *put16(u8 *p, u16 v)
{
    p[0] = static_cast<u8>(v >> 8);
    p[1] = static_cast<u8>(v);
    return p + 2;
}
static u8 *put32(u8 *p, u32 v)
{
    return put16(put16(p, static_cast<u16>(v >> 16)), static_cast<u16>(v));
}
static u8 *put(u8 *p, const void *from, size_t n)
{
    memcpy(p, from, n);
    return p + n;
}

static size_t finish(u8 *f, u8 *end)
{
    size_t n = static_cast<size_t>(end - f);
    if (n < ETH_ZLEN)
        memset(end, 0, ETH_ZLEN - n);
    return max(n, ETH_ZLEN);
}

size_t build_arp(u8 *f, u16 op, u32 sender_ip, u32 target_ip)
{
    static const u8 everybody[6] = {255, 255, 255, 255, 255, 255};
    u8 *p = put(f, op == 1 ? everybody : WIRE_MAC, 6);
    p = put16(put(p, PEER_MAC, 6), ETH_P_ARP);
    p = put16(put16(p, 1), ETH_P_IP);
    *p++ = 6;
    *p++ = 4;
    p = put32(put(put16(p, op), PEER_MAC, 6), sender_ip);
    p = put32(put(p, op == 1 ? everybody : WIRE_MAC, 6), target_ip);
    return finish(f, p);
}

size_t build_ip(u8 *f, u8 proto, const void *payload, size_t n)
{
    static u16 id;
    u8 *ip = put16(put(put(f, WIRE_MAC, 6), PEER_MAC, 6), ETH_P_IP);
    put16(ip, 0x4500);
    put16(ip + 2, static_cast<u16>(20 + n));
    put16(put16(ip + 4, ++id), 0);
    ip[8] = 64;
    ip[9] = proto;
    put16(ip + 10, 0);
    put32(put32(ip + 12, PEER_IP), WIRE_IP);
    put16(ip + 10, ntohs(ip_fast_csum(ip, 5)));
    return finish(f, put(ip + 20, payload, n));
}

size_t build_udp(u8 *f, u16 sport, u16 dport, const void *payload, size_t n)
{
    u8 udp[WIRE_FRAME_MAX];
    put16(put16(put16(put16(udp, sport), dport), static_cast<u16>(8 + n)), 0);
    put(udp + 8, payload, n);
    be16 sum = csum_tcpudp_magic(htonl(PEER_IP), htonl(WIRE_IP), static_cast<u32>(8 + n), 17,
                                 csum_partial(udp, 8 + n, 0));
    put16(udp + 6, ntohs(sum) ? ntohs(sum) : 0xffff);
    return build_ip(f, 17, udp, 8 + n);
}

size_t build_icmp_echo(u8 *f, u16 id, u16 seq, const void *payload, size_t n)
{
    u8 icmp[WIRE_FRAME_MAX];
    put16(put16(put16(put16(icmp, 0x0800), 0), id), seq);
    put(icmp + 8, payload, n);
    put16(icmp + 2, ntohs(ip_compute_csum(icmp, 8 + n)));
    return build_ip(f, 1, icmp, 8 + n);
}

static sockaddr_storage address(const sockaddr_in &a)
{
    sockaddr_storage s{};
    memcpy(&s, &a, sizeof(a));
    return s;
}

socket *udp_open(u16 port)
{
    auto s = sock_create_kern(2, 2, 17);
    if (!s)
        return nullptr;
    sockaddr_storage a = address({2, htons(port), INADDR_ANY, {}});
    if (!(*s)->ops->bind(*s, &a, sizeof(sockaddr_in))) {
        sock_release(*s);
        return nullptr;
    }
    return *s;
}

ssize_t udp_recv(socket *s, void *buf, size_t n, u32 flags, sockaddr_in *from)
{
    sockaddr_storage a{};
    iov_iter to = iov_iter::kernel(buf, n);
    msghdr m;
    m.msg_name = &a;
    m.msg_namelen = sizeof(a);
    m.msg_iter = &to;
    auto r = sock_recvmsg(s, &m, n, flags);
    if (!r)
        return -r.err();
    if (from)
        memcpy(from, &a, sizeof(*from));
    return static_cast<ssize_t>(*r);
}

ssize_t udp_send(socket *s, const void *buf, size_t n, const sockaddr_in &to)
{
    sockaddr_storage a = address(to);
    iov_iter it = iov_iter::kernel(const_cast<void *>(buf), n);
    msghdr m;
    m.msg_name = &a;
    m.msg_namelen = sizeof(to);
    m.msg_iter = &it;
    auto r = sock_sendmsg(s, &m, n);
    return r ? static_cast<ssize_t>(*r) : -r.err();
}

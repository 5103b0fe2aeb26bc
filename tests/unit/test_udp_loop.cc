// SPDX-License-Identifier: MIT
// UDP through the whole stack over lo: sendmsg, routes, checksums, corking, big datagrams, errors that come back by ICMP (rows U-02, T-01),
// control messages, broadcast and multicast.
#include "net/ipv4/devinet.h"
#include "net/ipv4/ping.h"
#include "net/ipv4/raw.h"
#include "sock_util.h"

constexpr be32 lo = ip4(127, 0, 0, 1);

static void bring_lo_up(void *)
{
    mutex_guard g{rtnl_mutex};
    HOST_EXPECT(inet_set_ifaddr(loopback_dev, lo, ip4(255, 0, 0, 0), be32{}) == 0);
    HOST_EXPECT(dev_change_flags(loopback_dev, loopback_dev->flags | IFF_UP) == 0);
}

/// sendto; `port` 0: no address. Bytes or -errno.
static ssize_t send(socket *s, const void *data, size_t n, be32 ip, u16 port, u32 flags = 0)
{
    iov_iter from = iov_iter::kernel(const_cast<void *>(data), n);
    auto a = addr_of(ip, port);
    msghdr m;
    m.msg_iter = &from;
    m.msg_flags = flags;
    if (port) {
        m.msg_name = &a;
        m.msg_namelen = sizeof(sockaddr_in);
    }
    auto r = sock_sendmsg(s, &m, n);
    return r ? static_cast<ssize_t>(*r) : -r.err();
}
static int connect(socket *s, be32 ip, u16 port, u16 family = AF_INET)
{
    auto a = addr_of(ip, port);
    a.ss_family = family;
    return s->ops->connect(s, &a, sizeof(sockaddr_in), 0).err();
}

static u8 out[65536], in[65536];

static void there_and_back(void *)
{
    test_socket server, client;
    HOST_EXPECT(server.bind(be32{}, 7200) == 0);
    u64 sent = udp_count(UDP_MIB_OutDatagrams), got = udp_count(UDP_MIB_InDatagrams);
    HOST_EXPECT(send(client.s, "hello", 5, lo, 7200) == 5); // binds by itself
    HOST_EXPECT(client.port() >= 32768);
    HOST_EXPECT(server.recv(in, sizeof in, MSG_DONTWAIT) == 5 && !memcmp(in, "hello", 5));
    HOST_EXPECT(connect(server.s, lo, client.port()) == 0);
    HOST_EXPECT(send(server.s, "again", 5, be32{}, 0) == 5);
    HOST_EXPECT(client.recv(in, sizeof in, MSG_DONTWAIT) == 5 && !memcmp(in, "again", 5));
    HOST_EXPECT(udp_count(UDP_MIB_OutDatagrams) == sent + 2 &&
                udp_count(UDP_MIB_InDatagrams) == got + 2);
    HOST_EXPECT(sk_wmem_alloc_get(client.sk()) == 0 && sk_wmem_alloc_get(server.sk()) == 0);
    HOST_EXPECT(client.sk()->sk_rmem_alloc.load() == 0);
}

/// Sizes around every edge, with the data checked.
static void sizes(u32 mtu)
{
    {
        mutex_guard g{rtnl_mutex};
        HOST_EXPECT(dev_set_mtu(loopback_dev, static_cast<int>(mtu)) == 0);
    }
    test_socket server, client;
    HOST_EXPECT(server.bind(lo, 7201) == 0);
    for (unsigned i = 0; i < sizeof out; i++)
        out[i] = static_cast<u8>(i * 7 + (i >> 8));
    for (u32 n : {0u, 1u, 17u, 18u, 1471u, 1472u, 1473u, 1480u, 2951u, 2952u, 2953u, 9000u, 30001u,
                  65507u}) {
        HOST_EXPECT(send(client.s, out, n, lo, 7201) == static_cast<ssize_t>(n));
        memset(in, 0, n);
        HOST_EXPECT(server.recv(in, sizeof in, MSG_DONTWAIT) == static_cast<ssize_t>(n));
        HOST_EXPECT(!memcmp(in, out, n));
    }
    HOST_EXPECT(send(client.s, out, 65508, lo, 7201) == -EMSGSIZE);
    HOST_EXPECT(sk_wmem_alloc_get(client.sk()) == 0 && server.sk()->sk_rmem_alloc.load() == 0);
    mutex_guard g{rtnl_mutex};
    HOST_EXPECT(dev_set_mtu(loopback_dev, 65536) == 0);
}

static void all_sizes_in_one_piece(void *)
{
    sizes(65536);
}

static void all_sizes_in_fragments(void *)
{
    sizes(1500);
}

static void path_mtu_discovery_refuses_fragments(void *)
{
    {
        mutex_guard g{rtnl_mutex};
        HOST_EXPECT(dev_set_mtu(loopback_dev, 1500) == 0);
    }
    test_socket client;
    inet_sk(client.sk())->pmtudisc = IP_PMTUDISC_DO;
    HOST_EXPECT(send(client.s, out, 1473, lo, 7201) == -EMSGSIZE);
    HOST_EXPECT(send(client.s, out, 1472, lo, 7201) == 1472);
    mutex_guard g{rtnl_mutex};
    HOST_EXPECT(dev_set_mtu(loopback_dev, 65536) == 0);
}

static void corked_pieces_make_one_datagram(void *)
{
    test_socket server, client;
    HOST_EXPECT(server.bind(lo, 7202) == 0);
    HOST_EXPECT(send(client.s, "one ", 4, lo, 7202, MSG_MORE) == 4);
    HOST_EXPECT(send(client.s, "two ", 4, lo, 7202, MSG_MORE) == 4);
    HOST_EXPECT(server.queued() == 0 && sk_wmem_alloc_get(client.sk()) > 0);
    HOST_EXPECT(send(client.s, "three", 5, lo, 7202) == 5);
    HOST_EXPECT(server.queued() == 1);
    HOST_EXPECT(server.recv(in, sizeof in, MSG_DONTWAIT) == 13 && !memcmp(in, "one two three", 13));
    udp_sk(client.sk())->corkflag = true;
    HOST_EXPECT(send(client.s, "a", 1, lo, 7202) == 1 && send(client.s, "b", 1, lo, 7202) == 1);
    HOST_EXPECT(server.queued() == 0);
    lock_sock(client.sk());
    udp_sk(client.sk())->corkflag = false;
    HOST_EXPECT(udp_push_pending_frames(udp_sk(client.sk())));
    release_sock(client.sk());
    HOST_EXPECT(server.recv(in, sizeof in, MSG_DONTWAIT) == 2 && !memcmp(in, "ab", 2));
    // Too much in sum: the whole datagram is given up.
    HOST_EXPECT(send(client.s, out, 60000, lo, 7202, MSG_MORE) == 60000);
    HOST_EXPECT(send(client.s, out, 6000, lo, 7202) == -EMSGSIZE);
    HOST_EXPECT(send(client.s, "x", 1, lo, 7202, MSG_MORE) ==
                1); // close with a pending datagram: nothing leaks
    HOST_EXPECT(server.queued() == 0);
}

static void closed_port_refuses_a_connected_socket(void *)
{
    test_socket client, plain;
    u64 noports = udp_count(UDP_MIB_NoPorts);
    HOST_EXPECT(connect(client.s, lo, 7299) == 0);
    HOST_EXPECT(send(client.s, "x", 1, be32{}, 0) == 1);
    HOST_EXPECT(udp_count(UDP_MIB_NoPorts) == noports + 1);
    HOST_EXPECT(client.recv(in, 1, MSG_DONTWAIT) == -ECONNREFUSED);
    HOST_EXPECT(client.recv(in, 1, MSG_DONTWAIT) == -EAGAIN);
    HOST_EXPECT(send(plain.s, "x", 1, lo, 7299) == 1);
    HOST_EXPECT(plain.recv(in, 1, MSG_DONTWAIT) == -EAGAIN); // not connected: not told
    inet_sk(plain.sk())->recverr = 1;
    HOST_EXPECT(send(plain.s, "quoted", 6, lo, 7299) == 6);
    HOST_EXPECT(plain.recv(in, 1, MSG_DONTWAIT) == -ECONNREFUSED);
    HOST_EXPECT(plain.recv(in, sizeof in, MSG_ERRQUEUE) == 6 && !memcmp(in, "quoted", 6));
    HOST_EXPECT(plain.recv(in, sizeof in, MSG_ERRQUEUE) == -EAGAIN);
}

static void send_errors(void *)
{
    test_socket s;
    HOST_EXPECT(send(s.s, "x", 1, be32{}, 0) == -EDESTADDRREQ);
    HOST_EXPECT(send(s.s, "x", 1, lo, 7203, MSG_OOB) == -EOPNOTSUPP);
    iov_iter from = iov_iter::kernel(out, 1);
    msghdr m;
    m.msg_iter = &from;
    auto a = addr_of(lo, 0);
    m.msg_name = &a;
    m.msg_namelen = sizeof(sockaddr_in);
    HOST_EXPECT(sock_sendmsg(s.s, &m, 1).err() == EINVAL); // port 0
    m.msg_namelen = 15;
    HOST_EXPECT(sock_sendmsg(s.s, &m, 1).err() == EINVAL);
    m.msg_namelen = 16;
    a = addr_of(lo, 7203);
    a.ss_family = AF_INET6;
    HOST_EXPECT(sock_sendmsg(s.s, &m, 1).err() == EAFNOSUPPORT);
    HOST_EXPECT(send(s.s, "x", 1, ip4(127, 255, 255, 255), 7203) == -EACCES); // broadcast
    sock_set_flag(s.sk(), SOCK_BROADCAST);
    HOST_EXPECT(send(s.s, "x", 1, ip4(127, 255, 255, 255), 7203) == 1);
    HOST_EXPECT(send(s.s, "x", 1, ip4(198, 51, 100, 1), 7203) == -ENETUNREACH);
    HOST_EXPECT(connect(s.s, ip4(198, 51, 100, 1), 7203) == ENETUNREACH);
}

static void disconnect_forgets(void *)
{
    test_socket s;
    HOST_EXPECT(connect(s.s, lo, 7204) == 0);
    HOST_EXPECT(inet_sk(s.sk())->inet_saddr == lo && s.port());
    sockaddr_storage a;
    HOST_EXPECT(s.s->ops->getname(s.s, &a, true));
    HOST_EXPECT(connect(s.s, be32{}, 0, AF_UNSPEC) == 0);
    HOST_EXPECT(s.s->ops->getname(s.s, &a, true).err() == ENOTCONN);
    HOST_EXPECT(!s.port() && !inet_sk(s.sk())->inet_saddr && !s.sk()->sk_nulls_node.hashed());
    HOST_EXPECT(connect(s.s, lo, 7205) == 0 && s.port());
}

static void broadcast_goes_to_all(void *)
{
    test_socket a, b, c, client;
    for (test_socket *t : {&a, &b, &c})
        t->sk()->sk_reuse = 1;
    HOST_EXPECT(a.bind(be32{}, 7206) == 0 && b.bind(be32{}, 7206) == 0 && c.bind(lo, 7206) == 0);
    sock_set_flag(client.sk(), SOCK_BROADCAST);
    HOST_EXPECT(send(client.s, "all", 3, ip4(127, 255, 255, 255), 7206) == 3);
    HOST_EXPECT(a.queued() == 1 && b.queued() == 1 && c.queued() == 0);
    HOST_EXPECT(a.recv(in, 9, MSG_DONTWAIT) == 3 && b.recv(in, 9, MSG_DONTWAIT) == 3);
}

static void raw_socket_sees_and_sends(void *)
{
    auto r = sock_create_kern(AF_INET, SOCK_RAW, IPPROTO_UDP);
    HOST_EXPECT(r);
    if (!r)
        return;
    socket *raw = *r;
    test_socket server, client;
    HOST_EXPECT(server.bind(lo, 7207) == 0);
    HOST_EXPECT(send(client.s, "abc", 3, lo, 7207) == 3);
    HOST_EXPECT(server.queued() == 1);
    HOST_EXPECT(raw->sk->sk_receive_queue.qlen == 1);
    iov_iter to = iov_iter::kernel(in, sizeof in);
    msghdr m;
    m.msg_iter = &to;
    auto n = sock_recvmsg(raw, &m, sizeof in, MSG_DONTWAIT);
    HOST_EXPECT(n && *n == 20 + 8 + 3 && in[0] == 0x45 && !memcmp(in + 28, "abc", 3));
    // The same packet by hand, header included: source and checksum are filled in.
    inet_sk(raw->sk)->hdrincl = 1;
    memset(in + 12, 0, 4);
    HOST_EXPECT(send(raw, in, 31, lo, 7207) == 31);
    HOST_EXPECT(server.queued() == 2);
    in[0] = 0x4f; // header longer than the packet
    HOST_EXPECT(send(raw, in, 31, lo, 7207) == -EINVAL);
    sock_release(raw);
}

static void ping_socket_gets_its_reply(void *)
{
    auto r = sock_create_kern(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
    HOST_EXPECT(!r && r.err() == EACCES); // ping_group_range is empty by default, as in Linux
    sysctl_ping_group_range[0] = 0;
    auto allowed = sock_create_kern(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
    sysctl_ping_group_range[0] = 1;
    HOST_EXPECT(allowed);
    if (!allowed)
        return;
    socket *s = *allowed;
    u8 echo[] = {8, 0, 0, 0, 0, 0, 0x12, 0x34, 'p', 'i', 'n', 'g', '!'};
    HOST_EXPECT(send(s, echo, sizeof echo, lo, 1) == sizeof echo);
    iov_iter to = iov_iter::kernel(in, sizeof in);
    msghdr m;
    m.msg_iter = &to;
    auto n = sock_recvmsg(s, &m, sizeof in, MSG_DONTWAIT);
    HOST_EXPECT(n && *n == sizeof echo && in[0] == 0 && !memcmp(in + 6, echo + 6, sizeof echo - 6));
    be16 ident = inet_sk(s->sk)->inet_sport;
    HOST_EXPECT(!memcmp(in + 4, &ident, 2)); // the kernel's choice, not the program's
    echo[0] = 13;
    HOST_EXPECT(send(s, echo, sizeof echo, lo, 1) == -EINVAL); // only echo requests
    HOST_EXPECT(send(s, echo, 7, lo, 1) == -EINVAL);
    sock_release(s);
}

extern "C" int main()
{
    unit_main("udp_loop",
              {KERNEL_UNIT(bring_lo_up), KERNEL_UNIT(there_and_back),
               KERNEL_UNIT(all_sizes_in_one_piece), KERNEL_UNIT(all_sizes_in_fragments),
               KERNEL_UNIT(path_mtu_discovery_refuses_fragments),
               KERNEL_UNIT(corked_pieces_make_one_datagram),
               KERNEL_UNIT(closed_port_refuses_a_connected_socket), KERNEL_UNIT(send_errors),
               KERNEL_UNIT(disconnect_forgets), KERNEL_UNIT(broadcast_goes_to_all),
               KERNEL_UNIT(raw_socket_sees_and_sends), KERNEL_UNIT(ping_socket_gets_its_reply)},
              2);
}

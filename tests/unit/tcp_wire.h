// SPDX-License-Identifier: MIT
// For tests of TCP on the virtual wire: segments with any field, what the kernel answers, a scripted peer, kernel sockets without
// descriptors, counters. Time is virtual.
#pragma once

#include "net/ipv4/tcp.h"
#include "net_util.h"

constexpr u8 F = TCPHDR_FIN, S = TCPHDR_SYN, R = TCPHDR_RST, P = TCPHDR_PSH, A = TCPHDR_ACK;

/// A segment, addresses and numbers in host order; options as on the wire.
struct seg {
    u16 sport = 0, dport = 0;
    u32 seq = 0, ack = 0;
    u8 flags = 0;
    u16 window = 65535;
    u8 opt[40] = {};
    u8 optlen = 0;
    u32 len = 0;
    u8 data[1500] = {};
    u32 saddr = PEER_IP, daddr = WIRE_IP;
    u16 spoil = 0; // xored into the checksum
    int doff = -1; // lie about the header length (words)
    u8 ttl = 64, tos = 0;

    void mss(u16 v)
    {
        const u8 o[4] = {2, 4, static_cast<u8>(v >> 8), static_cast<u8>(v)};
        memcpy(opt + optlen, o, 4);
        optlen += 4;
    }
    void timestamp(u32 val, u32 ecr)
    {
        u8 *o = opt + optlen;
        o[0] = o[1] = TCPOPT_NOP;
        o[2] = TCPOPT_TIMESTAMP;
        o[3] = 10;
        put32(o + 4, val);
        put32(o + 8, ecr);
        optlen += 12;
    }
    void wscale(u8 shift)
    {
        const u8 o[4] = {TCPOPT_NOP, TCPOPT_WINDOW, 3, shift};
        memcpy(opt + optlen, o, 4);
        optlen += 4;
    }
    /// First byte of the option of that kind, null: absent.
    const u8 *find(u8 kind) const
    {
        for (u8 i = 0; i < optlen && opt[i] != TCPOPT_EOL;) {
            if (opt[i] == kind)
                return opt + i;
            i = static_cast<u8>(opt[i] == TCPOPT_NOP ? i + 1 : i + max<u8>(opt[i + 1], 1));
        }
        return nullptr;
    }
    u16 mss_option() const { return find(TCPOPT_MSS) ? get16(find(TCPOPT_MSS) + 2) : u16{0}; }
    u32 tsval() const { return find(TCPOPT_TIMESTAMP) ? get32(find(TCPOPT_TIMESTAMP) + 2) : 0; }
};

inline u16 tcp_sum(u32 saddr, u32 daddr, const void *tcp, size_t n)
{
    return ntohs(csum_tcpudp_magic(htonl(saddr), htonl(daddr), static_cast<u32>(n), IPPROTO_TCP,
                                   csum_partial(tcp, n, 0)));
}

/// The frame of a segment; its length.
inline size_t make_tcp(u8 *f, const seg &s)
{
    static u8 t[60 + sizeof s.data];
    size_t hlen = 20u + s.optlen, n = hlen + s.len;
    memset(t, 0, hlen);
    put16(t, s.sport);
    put16(t + 2, s.dport);
    put32(t + 4, s.seq);
    put32(t + 8, s.ack);
    t[12] = static_cast<u8>((s.doff >= 0 ? static_cast<size_t>(s.doff) : hlen / 4) << 4);
    t[13] = s.flags;
    put16(t + 14, s.window);
    memcpy(t + 20, s.opt, s.optlen);
    memcpy(t + hlen, s.data, s.len);
    put16(t + 16, static_cast<u16>(tcp_sum(s.saddr, s.daddr, t, n) ^ s.spoil));
    ip_fields h;
    h.proto = IPPROTO_TCP;
    h.saddr = s.saddr;
    h.daddr = s.daddr;
    h.ttl = s.ttl;
    h.tos = s.tos;
    return make_ip(f, h, t, n);
}
inline void tcp_inject(const seg &s)
{
    static u8 f[WIRE_FRAME_MAX];
    wire_receive(f, make_tcp(f, s));
}

/// The next TCP segment that the kernel has sent; false: none. Its checksum must be right.
inline bool tcp_sent(seg *s)
{
    static u8 f[WIRE_FRAME_MAX];
    while (size_t n = wire_sent(f)) {
        if (get16(f + 12) == ETH_P_ARP && get16(f + 20) == 1) // we are there
            wire_receive(f, build_arp(f, 2, PEER_IP, WIRE_IP));
        if (n < 54 || get16(f + 12) != ETH_P_IP || f[23] != IPPROTO_TCP)
            continue;
        size_t ihl = (f[14] & 15) * 4u, total = get16(f + 16);
        const u8 *t = f + 14 + ihl;
        size_t tlen = total - ihl, hlen = (t[12] >> 4) * 4u;
        *s = {};
        s->saddr = get32(f + 26);
        s->daddr = get32(f + 30);
        HOST_EXPECT(tcp_sum(s->saddr, s->daddr, t, tlen) == 0);
        HOST_EXPECT(ip_fast_csum(f + 14, static_cast<unsigned>(ihl / 4)) == be16{});
        s->sport = get16(t);
        s->dport = get16(t + 2);
        s->seq = get32(t + 4);
        s->ack = get32(t + 8);
        s->flags = t[13];
        s->window = get16(t + 14);
        s->optlen = static_cast<u8>(hlen - 20);
        memcpy(s->opt, t + 20, s->optlen);
        s->len = static_cast<u32>(tlen - hlen);
        memcpy(s->data, t + hlen, s->len);
        s->ttl = f[22];
        s->tos = f[15];
        return true;
    }
    return false;
}
/// How many segments were sent and not looked at.
inline unsigned tcp_sent_count()
{
    seg s;
    unsigned n = 0;
    while (tcp_sent(&s))
        n++;
    return n;
}

/// The other end of one connection, scripted. `us`: the kernel's port.
struct peer {
    u16 port, us;
    u32 seq = 1000, ack = 0; // next of ours, next expected of the kernel's
    u32 addr = PEER_IP;
    seg last; // what expect() got

    peer(u16 port_, u16 us_) : port{port_}, us{us_} {}
    seg make(u8 flags, const void *data = nullptr, u32 len = 0) const
    {
        seg s;
        s.saddr = addr;
        s.sport = port;
        s.dport = us;
        s.seq = seq;
        s.ack = flags & A ? ack : 0;
        s.flags = flags;
        s.len = len;
        if (len)
            memcpy(s.data, data, len);
        return s;
    }
    /// Send; sequence space is used up.
    void send(u8 flags, const void *data = nullptr, u32 len = 0)
    {
        seg s = make(flags, data, len);
        if (flags & S)
            s.mss(1460);
        tcp_inject(s);
        seq += len + ((flags & S) != 0) + ((flags & F) != 0);
    }
    /// The kernel's next segment to us has exactly these flags; its numbers are followed. (Old connections of other tests may
    /// still send something to theirs.)
    bool expect(u8 flags)
    {
        do {
            if (!tcp_sent(&last))
                return false;
        } while (last.sport != us || last.dport != port || last.daddr != addr);
        if (last.flags != flags)
            return false;
        if (!(flags & R))
            ack = last.seq + last.len + ((flags & S) != 0) + ((flags & F) != 0);
        return true;
    }
    /// SYN, SYN-ACK, ACK.
    bool connect()
    {
        send(S);
        if (!expect(S | A) || last.ack != seq)
            return false;
        send(A);
        return true;
    }
};

/// A TCP socket that ends with its scope.
class tcp_socket : pinned
{
public:
    tcp_socket()
    {
        auto r = sock_create_kern(AF_INET, SOCK_STREAM, 0);
        HOST_EXPECT(r);
        s = *r;
    }
    explicit tcp_socket(socket *accepted) : s{accepted} {}
    ~tcp_socket() { close(); }
    void close()
    {
        if (s)
            sock_release(s);
        s = nullptr;
    }
    static sockaddr_storage addr(u32 ip, u16 port)
    {
        sockaddr_storage a{};
        *reinterpret_cast<sockaddr_in *>(&a) = {AF_INET, htons(port), htonl(ip), {}};
        return a;
    }
    int bind(u16 port, u32 ip = 0)
    {
        auto a = addr(ip, port);
        return s->ops->bind(s, &a, sizeof(sockaddr_in)).err();
    }
    /// What was sent before is of no interest any more.
    int listen(int backlog)
    {
        know_peer();
        return s->ops->listen(s, backlog).err();
    }
    /// Without waiting: EINPROGRESS is the rule.
    int connect(u32 ip, u16 port, u32 flags = O_NONBLOCK)
    {
        auto a = addr(ip, port);
        return s->ops->connect(s, &a, sizeof(sockaddr_in), flags).err();
    }
    /// The accepted socket, null: nothing there (*err).
    socket *accept(int *err = nullptr, u32 flags = O_NONBLOCK)
    {
        socket *child = sock_alloc();
        child->type = s->type;
        child->ops = s->ops;
        auto r = s->ops->accept(s, child, flags);
        if (err)
            *err = r.err();
        if (r)
            return child;
        sock_release(child);
        return nullptr;
    }
    int shutdown(int how) { return s->ops->shutdown(s, how).err(); }
    ssize_t recv(void *buf, size_t n, u32 flags = MSG_DONTWAIT)
    {
        iov_iter to = iov_iter::kernel(buf, n);
        msghdr m;
        m.msg_iter = &to;
        auto r = sock_recvmsg(s, &m, n, flags);
        return r ? static_cast<ssize_t>(*r) : -r.err();
    }
    ssize_t send(const void *buf, size_t n, u32 flags = MSG_DONTWAIT | MSG_NOSIGNAL)
    {
        iov_iter from = iov_iter::kernel(const_cast<void *>(buf), n);
        msghdr m;
        m.msg_iter = &from;
        m.msg_flags = flags;
        auto r = sock_sendmsg(s, &m, n);
        return r ? static_cast<ssize_t>(*r) : -r.err();
    }
    int error() { return sock_error(s->sk); }
    u32 poll() { return s->ops->poll(nullptr, s, nullptr); }
    tcp_sock *tp() { return tcp_sk(s->sk); }
    u8 state() { return s->sk->sk_state; }
    u16 port() { return inet_sk(s->sk)->inet_num; }

    socket *s;
};

inline u64 tcp_count(tcp_mib f)
{
    u64 n = 0;
    for (unsigned i = 0; i < NR_CPUS; i++)
        n += net_mib.on(i).tcp[f];
    return n;
}
inline u64 ext_count(linux_mib f)
{
    u64 n = 0;
    for (unsigned i = 0; i < NR_CPUS; i++)
        n += net_mib.on(i).tcpext[f];
    return n;
}
/// What a counter has moved by since it was made.
template <class E>
class moved
{
public:
    explicit moved(E f) : f_{f}, start_{now()} {}
    u64 operator()() const { return now() - start_; }

private:
    u64 now() const
    {
        if constexpr (__is_same(E, tcp_mib))
            return tcp_count(f_);
        else
            return ext_count(f_);
    }
    E f_;
    u64 start_;
};

/// Half-open connections of a listener, accept queue.
inline int synq(tcp_socket &l)
{
    return reqsk_queue_len(&l.tp()->icsk_accept_queue);
}
inline int acceptq(tcp_socket &l)
{
    return l.tp()->sk_ack_backlog;
}
/// Objects in use in a cache.
inline u64 slab_active(const char *name)
{
    struct find {
        const char *name;
        u64 n;
    } f{name, 0};
    for_each_slab(
        [](const slab_stats &s, void *arg) {
            auto *x = static_cast<find *>(arg);
            if (!strcmp(s.name, x->name))
                x->n = s.active_objs;
        },
        &f);
    return f.n;
}
inline void tcp_setup(void *)
{
    HOST_EXPECT(wire_up());
    {
        mutex_guard g{rtnl_mutex};
        HOST_EXPECT(dev_open(loopback_dev) == 0);
    }
    know_peer();
}

// SPDX-License-Identifier: MIT
// The AF_INET family (Linux net/ipv4/af_inet.c; rows K-01, K-02): creation by the table of types, and the first level of the
// dispatch that all IPv4 sockets share. Process context. Boot is in inet_init.cc.

#include "net/ipv4/inet_sock.h"
#include "net/ipv4/snmp.h"

int sysctl_local_port_range[2] = {32768, 61000};
int sysctl_ip_nonlocal_bind, sysctl_ip_no_pmtu_disc;

/// Protocols by socket type. Filled at boot; readers need no lock.
static inet_protosw *inetsw[SOCK_MAX];

void inet_register_protosw(inet_protosw *p)
{
    if (p->type < 0 || p->type >= SOCK_MAX)
        return;
    inet_protosw **at = &inetsw[p->type];
    // Permanent entries cannot be overridden: what is not permanent goes behind them, in front of the others.
    for (; *at && (*at)->flags & INET_PROTOSW_PERMANENT; at = &(*at)->next)
        if ((*at)->protocol == p->protocol)
            return;
    p->next = *at;
    rcu_assign_pointer(*at, p);
}

void for_each_protosw(void (*f)(const inet_protosw *p, void *arg), void *arg)
{
    for (inet_protosw *first : inetsw)
        for (inet_protosw *p = first; p; p = p->next)
            f(p, arg);
}

// --- Creation ---------------------------------------------------------------------------------------

/// The entry for (type, protocol); IPPROTO_IP on either side is a wild card, and then the other side decides *protocol.
static result<inet_protosw *> inet_find_protosw(int type, int *protocol)
{
    errno_t err = ESOCKTNOSUPPORT;
    for (inet_protosw *p = rcu_dereference(inetsw[type]); p; p = p->next) {
        if (*protocol == p->protocol && *protocol != IPPROTO_IP)
            return p;
        if (*protocol == IPPROTO_IP) {
            *protocol = p->protocol;
            return p;
        }
        if (p->protocol == IPPROTO_IP)
            return p;
        err = EPROTONOSUPPORT;
    }
    return error{err};
}

void inet_sock_destruct(sock *sk)
{
    // Also what softirqs queued between close and the end of the grace period.
    skb_queue_purge(&sk->sk_receive_queue);
    skb_queue_purge(&sk->sk_error_queue);
    skb_queue_purge(&sk->sk_write_queue);
    kdelete(inet_sk(sk)->inet_opt);
    inet_sk(sk)->inet_opt = nullptr;
    sk_rx_dst_reset(sk);
}

static void inet_init_sock(inet_sock *inet, int protocol, const inet_protosw *answer)
{
    inet->sk_protocol = static_cast<u8>(protocol);
    inet->pmtudisc = sysctl_ip_no_pmtu_disc ? IP_PMTUDISC_DONT : IP_PMTUDISC_WANT;
    inet->sk_reuse = answer->flags & INET_PROTOSW_REUSE;
    inet->sk_destruct = inet_sock_destruct;
    inet->sk_backlog_rcv = answer->prot->backlog_rcv;
    if (inet->sk_type == SOCK_RAW) {
        inet->inet_num = static_cast<u16>(protocol); // the "port" of a raw socket
        if (protocol == IPPROTO_RAW)
            inet->hdrincl = 1;
    }
}

result<void> inet_create(socket *s, int protocol, bool kern)
{
    trace(trace_event::sock_create, "inet_create", AF_INET, s->type, protocol);
    if (protocol < 0 || protocol > 255)
        return error{EINVAL};
    inet_protosw *answer = TRY(inet_find_protosw(s->type, &protocol));
    if (s->type == SOCK_RAW && !kern && !capable_net())
        return error{EPERM};
    sock *sk = sk_alloc(AF_INET, GFP_KERNEL, answer->prot);
    if (!sk)
        return error{ENOBUFS};
    s->ops = answer->ops;
    s->state = SS_UNCONNECTED;
    sock_init_data(s, sk);
    inet_init_sock(inet_sk(sk), protocol, answer);
    if (inet_sk(sk)->inet_num) { // raw: the protocol number is known from the start
        inet_sk(sk)->inet_sport = htons(inet_sk(sk)->inet_num);
        sk->sk_prot->hash(sk);
    }
    if (sk->sk_prot->init) {
        auto r = sk->sk_prot->init(sk);
        if (!r) {
            s->sk = nullptr;
            sk_common_release(sk);
            return r;
        }
    }
    return {};
}

// --- The methods ------------------------------------------------------------------------------------------

result<void> inet_release(socket *s)
{
    sock *sk = s->sk;
    if (!sk)
        return {};
    ip_mc_drop_socket(inet_sk(sk));
    s64 timeout =
        sock_flag(sk, SOCK_LINGER) && !(current()->flags & PF_EXITING) ? sk->sk_lingertime : 0;
    s->sk = nullptr;
    sk->sk_prot->close(sk, timeout);
    return {};
}

/// The local address may be used: ours, any, multicast or broadcast.
static bool inet_can_bind(const inet_sock *inet, be32 addr, u8 type)
{
    return sysctl_ip_nonlocal_bind || inet->freebind || !addr || type == RTN_LOCAL ||
           type == RTN_MULTICAST || type == RTN_BROADCAST;
}

static result<void> inet_bind_locked(inet_sock *inet, const sockaddr_in *sin, u8 addr_type)
{
    if (inet->sk_state != TCP_CLOSE || inet->inet_num)
        return error{EINVAL}; // bound already
    inet->inet_rcv_saddr = inet->inet_saddr = sin->sin_addr;
    if (addr_type == RTN_MULTICAST || addr_type == RTN_BROADCAST)
        inet->inet_saddr = be32{}; // send with the device's own
    u16 port = ntohs(sin->sin_port);
    if (!inet->sk_prot->get_port(inet, port)) {
        inet->inet_saddr = inet->inet_rcv_saddr = be32{};
        return error{EADDRINUSE};
    }
    if (inet->inet_rcv_saddr)
        inet->sk_userlocks |= SOCK_BINDADDR_LOCK;
    if (port)
        inet->sk_userlocks |= SOCK_BINDPORT_LOCK;
    inet->inet_sport = htons(inet->inet_num);
    inet->inet_daddr = be32{};
    inet->inet_dport = be16{};
    sk_dst_reset(inet);
    return {};
}

result<void> inet_bind(socket *s, sockaddr_storage *a, int len)
{
    inet_sock *inet = inet_sk(s->sk);
    if (inet->sk_prot->bind) // raw and ping have rules of their own
        return inet->sk_prot->bind(inet, a, len);
    auto *sin = reinterpret_cast<const sockaddr_in *>(a);
    if (len < static_cast<int>(sizeof *sin))
        return error{EINVAL};
    // AF_UNSPEC with address 0 is accepted as Linux does, for old programs.
    if (sin->sin_family != AF_INET && (sin->sin_family != AF_UNSPEC || sin->sin_addr))
        return error{EAFNOSUPPORT};
    u8 type = inet_addr_type(sin->sin_addr);
    if (!inet_can_bind(inet, sin->sin_addr, type))
        return error{EADDRNOTAVAIL};
    u16 port = ntohs(sin->sin_port);
    if (port && port < PROT_SOCK && !capable_net())
        return error{EACCES};
    lock_sock(inet);
    auto r = inet_bind_locked(inet, sin, type);
    release_sock(inet);
    return r;
}

result<void> inet_autobind(sock *sk)
{
    inet_sock *inet = inet_sk(sk);
    lock_sock(sk);
    bool ok = true;
    if (!inet->inet_num) { // not while we waited for the lock
        ok = static_cast<bool>(sk->sk_prot->get_port(sk, 0));
        if (ok)
            inet->inet_sport = htons(inet->inet_num);
    }
    release_sock(sk);
    return ok ? result<void>{} : error{EAGAIN};
}

static result<void> inet_dgram_connect(socket *s, sockaddr_storage *a, int len, u32)
{
    sock *sk = s->sk;
    if (len < static_cast<int>(sizeof a->ss_family))
        return error{EINVAL};
    if (a->ss_family == AF_UNSPEC)
        return sk->sk_prot->disconnect(sk, O_NONBLOCK);
    if (!inet_sk(sk)->inet_num)
        TRY_VOID(inet_autobind(sk));
    return sk->sk_prot->connect(sk, a, len);
}

static result<void> inet_no_accept(socket *, socket *, u32)
{
    return error{EOPNOTSUPP};
}

static result<void> inet_no_listen(socket *, int)
{
    return error{EOPNOTSUPP};
}

result<int> inet_getname(socket *s, sockaddr_storage *a, bool peer)
{
    const inet_sock *inet = inet_sk(s->sk);
    auto *sin = reinterpret_cast<sockaddr_in *>(a);
    if (peer) {
        if (!inet->inet_dport || inet->sk_state == TCP_CLOSE)
            return error{ENOTCONN};
        *sin = {AF_INET, inet->inet_dport, inet->inet_daddr, {}};
    } else {
        *sin = {AF_INET,
                inet->inet_sport,
                inet->inet_rcv_saddr ? inet->inet_rcv_saddr : inet->inet_saddr,
                {}};
    }
    return static_cast<int>(sizeof *sin);
}

result<size_t> inet_sendmsg(socket *s, msghdr *m, size_t len)
{
    sock *sk = s->sk;
    if (!inet_sk(sk)->inet_num && !sk->sk_prot->no_autobind) [[unlikely]]
        TRY_VOID(inet_autobind(sk));
    return sk->sk_prot->sendmsg(sk, m, len);
}

result<size_t> inet_recvmsg(socket *s, msghdr *m, size_t len, u32 flags)
{
    return s->sk->sk_prot->recvmsg(s->sk, m, len, flags);
}

constexpr u32 SIOCGSTAMP = 0x8906, SIOCGSTAMPNS = 0x8907, SIOCADDRT = 0x890b, SIOCDELRT = 0x890c,
              SIOCRTMSG = 0x890d, SIOCSIFFLAGS = 0x8914, SIOCGIFADDR = 0x8915,
              SIOCSIFNETMASK = 0x891c, SIOCSIFPFLAGS = 0x8934, SIOCGIFPFLAGS = 0x8935,
              SIOCDARP = 0x8953, SIOCSARP = 0x8955;

/// When the last packet that was read had arrived.
static result<s64> sock_get_timestamp(sock *sk, u64 arg, bool nano)
{
    if (sk->sk_stamp == ~u64{0})
        return error{ENOENT};
    if (!sk->sk_stamp)
        sk->sk_stamp = ktime_get_real();
    s64 t[2] = {static_cast<s64>(sk->sk_stamp / NSEC_PER_SEC),
                static_cast<s64>(sk->sk_stamp % NSEC_PER_SEC / (nano ? 1 : NSEC_PER_USEC))};
    TRY_VOID(copy_to_user(user_ptr<void>{arg}, t, sizeof t));
    return s64{0};
}

result<s64> inet_ioctl(socket *s, u32 cmd, u64 arg)
{
    sock *sk = s->sk;
    switch (cmd) {
    case SIOCGSTAMP:
    case SIOCGSTAMPNS:
        return sock_get_timestamp(sk, arg, cmd == SIOCGSTAMPNS);
    case SIOCADDRT:
    case SIOCDELRT:
    case SIOCRTMSG:
        return ip_rt_ioctl(cmd, arg);
    case SIOCSIFPFLAGS:
    case SIOCGIFPFLAGS:
    case SIOCSIFFLAGS:
        return devinet_ioctl(cmd, arg);
    default:
        break;
    }
    if (cmd >= SIOCGIFADDR && cmd <= SIOCSIFNETMASK) // address, destination, broadcast, netmask
        return devinet_ioctl(cmd, arg);
    if (cmd >= SIOCDARP && cmd <= SIOCSARP)
        return arp_ioctl(cmd, arg);
    auto r =
        sk->sk_prot->ioctl ? sk->sk_prot->ioctl(sk, cmd, arg) : result<s64>{error{ENOIOCTLCMD}};
    return r.err() == ENOIOCTLCMD ? dev_ioctl(cmd, arg) : result<s64>{std::move(r)};
}

result<void> sock_common_setsockopt(socket *s, int level, int name, user_ptr<const void> val,
                                    unsigned len)
{
    return s->sk->sk_prot->setsockopt(s->sk, level, name, val, len);
}
result<void> sock_common_getsockopt(socket *s, int level, int name, user_ptr<void> val,
                                    user_ptr<int> len)
{
    return s->sk->sk_prot->getsockopt(s->sk, level, name, val, len);
}

u32 udp_poll(file *f, socket *s, poll_table *pt);

/// The methods of datagram sockets; raw sockets differ in poll only.
static consteval proto_ops dgram_ops(const char *name, u32 (*poll)(file *, socket *, poll_table *))
{
    return {
        .family = AF_INET,
        .name = name,
        .release = inet_release,
        .bind = inet_bind,
        .connect = inet_dgram_connect,
        .accept = inet_no_accept,
        .getname = inet_getname,
        .poll = poll,
        .ioctl = inet_ioctl,
        .listen = inet_no_listen,
        .shutdown = inet_shutdown,
        .setsockopt = sock_common_setsockopt,
        .getsockopt = sock_common_getsockopt,
        .sendmsg = inet_sendmsg,
        .recvmsg = inet_recvmsg,
    };
}
constinit const proto_ops inet_dgram_ops = dgram_ops("inet_dgram_ops", udp_poll);
constinit const proto_ops inet_sockraw_ops = dgram_ops("inet_sockraw_ops", datagram_poll);

// SPDX-License-Identifier: MIT
// AF_NETLINK sockets. Linux: net/netlink/af_netlink.c. Process context, but for netlink_unicast and netlink_broadcast.

#include "lib/initcall.h"
#include "mm/static_object.h"
#include "net/core/scm.h"
#include "net/netlink/netlink.h"

namespace
{
/// Longest message from a program.
constexpr size_t MAX_MESSAGE = 1 << 20;
constexpr int SOL_NETLINK = 270, NETLINK_ADD_MEMBERSHIP = 1, NETLINK_DROP_MEMBERSHIP = 2,
              NETLINK_PKTINFO = 3, NETLINK_BROADCAST_ERROR = 4, NETLINK_NO_ENOBUFS = 5;
constexpr u32 MAX_GROUPS = 64;

using netlink_list = list<netlink_sock, &netlink_sock::node>;
static_object<netlink_list> socks;
spinlock nl_table_lock{"nl_table"};
const netlink_kernel *kernels[MAX_LINKS];
kmem_cache *netlink_slab;

constinit proto netlink_proto = {
    .name = "NETLINK",
    .obj_size = sizeof(netlink_sock),
    .slab = &netlink_slab,
    .construct = [](void *mem) -> sock * { return new (mem) netlink_sock; },
    .destruct = [](sock *sk) { nlk_sk(sk)->~netlink_sock(); },
    .symbol = "netlink_proto",
};

void netlink_destruct(sock *sk)
{
    skb_queue_purge(&sk->sk_receive_queue);
    kdelete(nlk_sk(sk)->cb);
}

/// Socket of a port id with a reference, or null.
netlink_sock *lookup(int protocol, u32 portid)
{
    spin_guard<bh> g{nl_table_lock};
    for (netlink_sock &n : *socks)
        if (n.sk_protocol == protocol && n.portid == portid && portid) {
            sock_hold(&n);
            return &n;
        }
    return nullptr;
}

/// Take a port id, if it is free.
bool claim(netlink_sock *nlk, u32 portid)
{
    spin_guard<bh> g{nl_table_lock};
    for (netlink_sock &n : *socks)
        if (n.sk_protocol == nlk->sk_protocol && n.portid == portid)
            return false;
    nlk->portid = portid;
    return true;
}

/// The process id, or when it is taken, something negative.
void autobind(netlink_sock *nlk)
{
    if (nlk->portid)
        return;
    u32 id = static_cast<u32>(current()->tgid);
    static std::atomic<u32> rover{~u32{4096}};
    while (!claim(nlk, id))
        id = rover.fetch_sub(1, std::memory_order_relaxed) | 0x80000000;
}

result<void> nl_release(socket *s)
{
    sock *sk = s->sk;
    if (!sk)
        return {};
    {
        spin_guard<bh> g{nl_table_lock};
        nlk_sk(sk)->node.unlink();
    }
    s->sk = nullptr;
    sock_orphan(sk);
    wake_up_interruptible_all(&s->wq->wait);
    sock_put(sk);
    return {};
}

bool valid_address(const sockaddr_storage *a, int len)
{
    return len >= static_cast<int>(sizeof(sockaddr_nl)) && a->ss_family == AF_NETLINK;
}

result<void> nl_bind(socket *s, sockaddr_storage *a, int len)
{
    netlink_sock *nlk = nlk_sk(s->sk);
    if (!valid_address(a, len))
        return error{EINVAL};
    auto *nl = reinterpret_cast<const sockaddr_nl *>(a);
    if (nlk->portid && nl->nl_pid != nlk->portid)
        return error{EINVAL};
    if (!nlk->portid && nl->nl_pid && !claim(nlk, nl->nl_pid))
        return error{EADDRINUSE};
    autobind(nlk);
    spin_guard<bh> g{nl_table_lock};
    nlk->groups = (nlk->groups & ~u64{UINT32_MAX}) | nl->nl_groups;
    return {};
}

result<void> nl_connect(socket *s, sockaddr_storage *a, int len, u32)
{
    netlink_sock *nlk = nlk_sk(s->sk);
    if (len < 2)
        return error{EINVAL};
    if (a->ss_family == AF_UNSPEC) {
        nlk->sk_state = 7;
        nlk->dst_portid = 0;
        return {};
    }
    if (!valid_address(a, len))
        return error{EINVAL};
    auto *nl = reinterpret_cast<const sockaddr_nl *>(a);
    if ((nl->nl_pid || nl->nl_groups) && current()->euid != 0)
        return error{EPERM};
    autobind(nlk);
    nlk->dst_portid = nl->nl_pid;
    nlk->sk_state = 1;
    return {};
}

result<int> nl_getname(socket *s, sockaddr_storage *a, bool peer)
{
    netlink_sock *nlk = nlk_sk(s->sk);
    sockaddr_nl nl{AF_NETLINK, 0, peer ? nlk->dst_portid : nlk->portid,
                   peer ? 0 : static_cast<u32>(nlk->groups)};
    memcpy(a, &nl, sizeof nl);
    return static_cast<int>(sizeof nl);
}

result<void> nl_setsockopt(socket *s, int level, int name, user_ptr<const void> val, unsigned len)
{
    netlink_sock *nlk = nlk_sk(s->sk);
    u32 v = 0;
    if (level != SOL_NETLINK)
        return error{ENOPROTOOPT};
    if (len >= sizeof v)
        TRY_VOID(copy_from_user(&v, val, sizeof v));
    switch (name) {
    case NETLINK_ADD_MEMBERSHIP:
    case NETLINK_DROP_MEMBERSHIP: {
        if (!v || v > MAX_GROUPS)
            return error{EINVAL};
        spin_guard<bh> g{nl_table_lock};
        u64 bit = u64{1} << (v - 1);
        nlk->groups = name == NETLINK_ADD_MEMBERSHIP ? nlk->groups | bit : nlk->groups & ~bit;
        return {};
    }
    case NETLINK_PKTINFO:
    case NETLINK_BROADCAST_ERROR:
    case NETLINK_NO_ENOBUFS:
        nlk->nl_flags = v ? nlk->nl_flags | 1u << name : nlk->nl_flags & ~(1u << name);
        return {};
    default:
        return error{ENOPROTOOPT};
    }
}

result<void> nl_getsockopt(socket *s, int level, int name, user_ptr<void> val, user_ptr<int> optlen)
{
    int len;
    if (level != SOL_NETLINK || name < NETLINK_PKTINFO || name > NETLINK_NO_ENOBUFS)
        return error{ENOPROTOOPT};
    TRY_VOID(get_user(len, optlen));
    if (len < static_cast<int>(sizeof(int)))
        return error{EINVAL};
    int v = nlk_sk(s->sk)->nl_flags >> name & 1;
    TRY_VOID(put_user(optlen, static_cast<int>(sizeof v)));
    return copy_to_user(val, &v, sizeof v);
}

/// To another program: what NETLINK_USERSOCK is for. EPERM, ECONNREFUSED.
result<void> send_to_program(netlink_sock *nlk, u32 portid, u32 groups, const u8 *data, u32 len)
{
    if (current()->euid != 0)
        return error{EPERM};
    skb_ptr skb{alloc_skb(len, GFP_KERNEL)};
    if (!skb)
        return error{ENOBUFS};
    memcpy(skb_put(skb.get(), len), data, len);
    NETLINK_CB(skb.get()) = {nlk->portid, 0};
    if (groups)
        netlink_broadcast(nlk->sk_protocol, skb_get(skb.get()), nlk->portid,
                          static_cast<u32>(__builtin_ctz(groups)) + 1);
    if (!portid)
        return {};
    netlink_sock *to = lookup(nlk->sk_protocol, portid);
    if (!to)
        return error{ECONNREFUSED};
    sk_buff *own = skb_clone(skb.get(), GFP_KERNEL);
    if (own)
        netlink_unicast(to, own);
    sock_put(to);
    return own ? result<void>{} : result<void>{error{ENOBUFS}};
}

result<size_t> nl_sendmsg(socket *s, msghdr *m, size_t len)
{
    netlink_sock *nlk = nlk_sk(s->sk);
    scm_cookie scm;
    if (m->msg_flags & MSG_OOB)
        return error{EOPNOTSUPP};
    TRY_VOID(scm_send(s, m, &scm));
    u32 portid = nlk->dst_portid, groups = 0;
    if (m->msg_namelen) {
        if (!valid_address(m->msg_name, m->msg_namelen))
            return error{EINVAL};
        auto *nl = reinterpret_cast<const sockaddr_nl *>(m->msg_name);
        portid = nl->nl_pid;
        groups = nl->nl_groups;
        if ((portid || groups) && current()->euid != 0)
            return error{EPERM};
    }
    autobind(nlk);
    if (len > MAX_MESSAGE || static_cast<s64>(len) > nlk->sk_sndbuf - 32)
        return error{EMSGSIZE};
    auto *data = static_cast<u8 *>(kmalloc(max<size_t>(len, 1), GFP_KERNEL));
    if (!data)
        return error{ENOBUFS};
    auto r = m->msg_iter->copy_from(data, len);
    if (r && (portid || groups))
        r = send_to_program(nlk, portid, groups, data, static_cast<u32>(len));
    else if (r)
        netlink_rcv(nlk, kernels[nlk->sk_protocol], data, static_cast<u32>(len));
    kfree(data);
    if (!r)
        return r.fail();
    return len;
}

result<size_t> nl_recvmsg(socket *s, msghdr *m, size_t len, u32 flags)
{
    netlink_sock *nlk = nlk_sk(s->sk);
    if (flags & MSG_OOB)
        return error{EOPNOTSUPP};
    bool peeked;
    sk_buff *skb = TRY(skb_recv_datagram(nlk, flags, flags & MSG_DONTWAIT, &peeked));
    if (!skb)
        return size_t{0};
    u32 size = skb->len, n = static_cast<u32>(min<size_t>(len, size));
    if (n < size)
        m->msg_flags |= MSG_TRUNC;
    auto r = skb_copy_datagram_iter(skb, 0, *m->msg_iter, n);
    if (m->msg_name) {
        u32 group = NETLINK_CB(skb).dst_group;
        sockaddr_nl nl{AF_NETLINK, 0, NETLINK_CB(skb).portid,
                       group && group <= 32 ? 1u << (group - 1) : 0};
        memcpy(m->msg_name, &nl, sizeof nl);
        m->msg_namelen = sizeof nl;
    }
    if (r) {
        scm_cookie scm;
        scm.creds = {0, 0, 0}; // the kernel's
        if (nlk->nl_flags & 1u << NETLINK_PKTINFO) {
            auto put = put_cmsg(m, SOL_NETLINK, NETLINK_PKTINFO, &NETLINK_CB(skb).dst_group, 4);
            (void)put; // a bad address loses it
        }
        scm_recv(s, m, &scm, flags);
    }
    skb_free_datagram_locked(nlk, skb);
    netlink_dump(nlk);
    if (!r)
        return r.fail();
    return flags & MSG_TRUNC ? size_t{size} : size_t{n};
}

result<void> nl_accept(socket *, socket *, u32)
{
    return error{EOPNOTSUPP};
}
result<void> nl_listen(socket *, int)
{
    return error{EOPNOTSUPP};
}
result<void> nl_shutdown(socket *, int)
{
    return error{EOPNOTSUPP};
}
result<s64> nl_ioctl(socket *, u32 cmd, u64 arg)
{
    return dev_ioctl(cmd, arg);
}

constinit const proto_ops netlink_ops = {
    .family = AF_NETLINK,
    .name = "netlink_ops",
    .release = nl_release,
    .bind = nl_bind,
    .connect = nl_connect,
    .accept = nl_accept,
    .getname = nl_getname,
    .poll = datagram_poll,
    .ioctl = nl_ioctl,
    .listen = nl_listen,
    .shutdown = nl_shutdown,
    .setsockopt = nl_setsockopt,
    .getsockopt = nl_getsockopt,
    .sendmsg = nl_sendmsg,
    .recvmsg = nl_recvmsg,
};

result<void> nl_create(socket *s, int protocol, bool)
{
    if (s->type != SOCK_RAW && s->type != SOCK_DGRAM)
        return error{ESOCKTNOSUPPORT};
    if (protocol < 0 || protocol >= MAX_LINKS || !kernels[protocol])
        return error{EPROTONOSUPPORT};
    sock *sk = sk_alloc(AF_NETLINK, GFP_KERNEL, &netlink_proto);
    if (!sk)
        return error{ENOMEM};
    s->ops = &netlink_ops;
    sock_init_data(s, sk);
    sk->sk_protocol = static_cast<u8>(protocol);
    sk->sk_destruct = netlink_destruct;
    spin_guard<bh> g{nl_table_lock};
    socks->push_back(*nlk_sk(sk));
    return {};
}

const net_proto_family netlink_family = {AF_NETLINK, nl_create, "netlink"};
const netlink_kernel no_kernel{nullptr};
} // namespace

void netlink_kernel_create(int protocol, const netlink_kernel *k)
{
    kernels[protocol] = k;
}

void netlink_unicast(netlink_sock *nlk, sk_buff *skb, u32 group)
{
    NETLINK_CB(skb).dst_group = group;
    if (sock_queue_rcv_skb(nlk, skb))
        return;
    kfree_skb(skb);
    if (nlk->nl_flags & 1u << NETLINK_NO_ENOBUFS)
        return;
    nlk->sk_err.store(ENOBUFS);
    nlk->sk_error_report(nlk);
}

bool netlink_has_listeners(int protocol, u32 group)
{
    u64 bit = u64{1} << (group - 1);
    spin_guard<bh> g{nl_table_lock};
    for (netlink_sock &n : *socks)
        if (n.sk_protocol == protocol && (n.groups & bit))
            return true;
    return false;
}

void netlink_broadcast(int protocol, sk_buff *skb, u32 exclude, u32 group)
{
    u64 bit = u64{1} << (group - 1);
    {
        spin_guard<bh> g{nl_table_lock};
        for (netlink_sock &n : *socks) {
            if (n.sk_protocol != protocol || !(n.groups & bit) || (exclude && n.portid == exclude))
                continue;
            if (sk_buff *own = skb_clone(skb, GFP_ATOMIC))
                netlink_unicast(&n, own, group);
        }
    }
    consume_skb(skb);
}

void for_each_netlink(void (*f)(netlink_sock *, void *), void *arg)
{
    spin_guard<bh> g{nl_table_lock};
    for (netlink_sock &n : *socks)
        f(&n, arg);
}

static int netlink_init()
{
    socks.init();
    if (int err = proto_register(&netlink_proto))
        return err;
    netlink_kernel_create(NETLINK_USERSOCK, &no_kernel);
    netlink_kernel_create(NETLINK_KOBJECT_UEVENT, &no_kernel);
    netlink_proc_init();
    return sock_register(&netlink_family);
}
core_initcall(netlink_init);

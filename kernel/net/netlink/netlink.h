// SPDX-License-Identifier: MIT
// Netlink: messages (header, attributes), sockets, dumps. Linux: include/net/netlink.h, include/linux/netlink.h, net/netlink/af_netlink.c.
//
// A request is handled in its sender's context, synchronously; answers, dumps and notifications are packets in receive queues. Locks:
// nl_table_lock (spinlock, BH) for the list of sockets, port ids and groups; nlk->cb_mutex for a running dump. Kernel parts take rtnl
// inside of cb_mutex.
#pragma once

#include "net/core/sock.h"

constexpr int NETLINK_ROUTE = 0, NETLINK_USERSOCK = 2, NETLINK_SOCK_DIAG = 4,
              NETLINK_KOBJECT_UEVENT = 15, MAX_LINKS = 32;
constexpr u16 NLM_F_REQUEST = 1, NLM_F_MULTI = 2, NLM_F_ACK = 4, NLM_F_DUMP_INTR = 0x10,
              NLM_F_ROOT = 0x100, NLM_F_MATCH = 0x200, NLM_F_DUMP = 0x300, NLM_F_REPLACE = 0x100,
              NLM_F_EXCL = 0x200, NLM_F_CREATE = 0x400, NLM_F_APPEND = 0x800;
constexpr u16 NLMSG_ERROR = 2, NLMSG_DONE = 3, NLMSG_MIN_TYPE = 0x10;

struct sockaddr_nl {
    u16 nl_family, nl_pad;
    u32 nl_pid, nl_groups;
};
struct nlmsghdr {
    u32 nlmsg_len;
    u16 nlmsg_type, nlmsg_flags;
    u32 nlmsg_seq, nlmsg_pid;
};
static_assert(sizeof(nlmsghdr) == 16);
struct nlattr {
    u16 nla_len, nla_type;
};
constexpr u16 NLA_TYPE_MASK = 0x3fff;
constexpr u32 NLMSG_ALIGN(u32 n)
{
    return (n + 3) & ~3u;
}
/// Body of a message, and its length.
template <class T>
const T *nlmsg_data(const nlmsghdr *h)
{
    return reinterpret_cast<const T *>(h + 1);
}
inline u32 nlmsg_len(const nlmsghdr *h)
{
    return h->nlmsg_len - static_cast<u32>(sizeof *h);
}

// --- Writing. All return null/false when the packet has no room; then nlmsg_cancel() what was begun. Any context. -------------
/// Header and `payload` zeroed bytes behind it.
nlmsghdr *nlmsg_put(sk_buff *skb, u32 portid, u32 seq, u16 type, u32 payload, u16 flags);
bool nla_put(sk_buff *skb, u16 type, const void *data, u32 len);
template <class T>
bool nla_put_value(sk_buff *skb, u16 type, const T &v)
{
    return nla_put(skb, type, &v, sizeof v);
}
bool nla_put_string(sk_buff *skb, u16 type, const char *s);
/// An attribute that holds the ones put until nla_nest_end().
nlattr *nla_nest_start(sk_buff *skb, u16 type);
void nla_nest_end(sk_buff *skb, nlattr *nest);
/// The message's length is now known.
void nlmsg_end(sk_buff *skb, nlmsghdr *h);
void nlmsg_cancel(sk_buff *skb, nlmsghdr *h);
/// A packet for one message or one part of a dump. Null: out of memory.
sk_buff *nlmsg_new(gfp flags);

// --- Reading -----------------------------------------------------------------------------------------------------------------
/// The attributes of a message behind a header of `hdrlen` bytes, by type up to `max`; others are ignored, the last of equal ones
/// counts. EINVAL when the message is shorter than the header, or an attribute leaves it.
result<void> nlmsg_parse(const nlmsghdr *h, u32 hdrlen, const nlattr **tb, unsigned max);
/// The same inside of an attribute.
result<void> nla_parse_nested(const nlattr *nest, const nlattr **tb, unsigned max);
inline u32 nla_len(const nlattr *a)
{
    return a->nla_len - static_cast<u32>(sizeof *a);
}
/// Value of an attribute that is at least as long; else `missing`.
template <class T>
T nla_get(const nlattr *a, T missing)
{
    if (!a || nla_len(a) < sizeof(T))
        return missing;
    T v;
    memcpy(&v, a + 1, sizeof v);
    return v;
}
/// A name of a device or label, NUL-terminated and cut; false: there is none.
bool nla_get_name(const nlattr *a, char (&out)[16]);

// --- Sockets -----------------------------------------------------------------------------------------------------------------
struct netlink_sock;
/// A dump in progress. dump() fills one packet after another, from args; it returns more than 0 while there is more to come.
struct netlink_callback {
    int (*dump)(sk_buff *skb, netlink_callback *cb) = nullptr;
    u32 portid = 0, seq = 0; // of the request
    u64 args[6] = {};
    u8 request[128] = {}; // the request's body, cut
    u32 request_len = 0;
};
/// The kernel's side of a protocol: `input` handles one request message: 0, -errno, or -EINTR when it has answered (a dump).
struct netlink_kernel {
    int (*input)(netlink_sock *nlk, const nlmsghdr *h);
};
/// Offer a protocol; input null: nothing but notifications. Boot.
void netlink_kernel_create(int protocol, const netlink_kernel *k);

struct netlink_sock : sock {
    u32 portid = 0;     // 0: not bound
    u32 dst_portid = 0; // connect()
    u64 groups = 0;     // bit n: group n+1
    u32 nl_flags = 0;   // options that are only remembered
    mutex cb_mutex{"netlink.cb"};
    netlink_callback *cb = nullptr; // cb_mutex
    list_node node;
    netlink_sock() : sock{"sk_lock-AF_NETLINK"} {}
};
inline netlink_sock *nlk_sk(sock *sk)
{
    return static_cast<netlink_sock *>(sk);
}
/// Private to a queued packet: who sent it, to which group.
struct netlink_skb_parms {
    u32 portid, dst_group;
};
inline netlink_skb_parms &NETLINK_CB(sk_buff *skb)
{
    return *reinterpret_cast<netlink_skb_parms *>(skb->cb);
}
/// Answer a request: takes over the packet. A full queue drops it and shows ENOBUFS. Any context.
void netlink_unicast(netlink_sock *nlk, sk_buff *skb, u32 group = 0);
/// To every member of a group of a protocol, but the socket `exclude` (0: none). Takes over the packet. Any context but hard IRQ.
void netlink_broadcast(int protocol, sk_buff *skb, u32 exclude, u32 group);
/// Whether anybody would get it: saves the work otherwise.
bool netlink_has_listeners(int protocol, u32 group);
/// Begin a dump: -EINTR (it answers itself), -EBUSY, -ENOMEM. [P]
int netlink_dump_start(netlink_sock *nlk, const nlmsghdr *h,
                       int (*dump)(sk_buff *, netlink_callback *));
/// Body of the request that started a dump; null: it was shorter.
template <class T>
const T *dump_request(const netlink_callback *cb)
{
    return cb->request_len >= sizeof(T) ? reinterpret_cast<const T *>(cb->request) : nullptr;
}

// netlink_msg.cc
/// Handle every request in `data`, and acknowledge. [P]
void netlink_rcv(netlink_sock *nlk, const netlink_kernel *k, const u8 *data, u32 len);
/// Continue a dump as far as the receive buffer allows. [P]
void netlink_dump(netlink_sock *nlk);
// netlink_proc.cc
void netlink_proc_init();
/// Visit every socket under nl_table_lock.
void for_each_netlink(void (*f)(netlink_sock *, void *), void *arg);

// SPDX-License-Identifier: MIT
// SOL_IP options (Linux net/ipv4/ip_sockglue.c; ip(7)). Process context. The value is copied in first, then applied under the socket
// lock. Control messages are in ip_cmsg.cc, the error queue in ip_sockerr.cc.

#include "mm/slab.h"
#include "net/ipv4/inet_sock.h"

constexpr int IP_RETOPTS = 7, IP_ROUTER_ALERT = 5, IP_TRANSPARENT = 19, IP_MINTTL = 21,
              IP_NODEFRAG = 22, IP_MULTICAST_ALL = 49;

/// struct ip_mreqn; the older ip_mreq lacks the index.
struct ip_mreqn {
    be32 imr_multiaddr, imr_address;
    int imr_ifindex;
};

/// IP_MULTICAST_IF: device and source address for multicast. Socket lock held.
static result<void> set_multicast_if(inet_sock *inet, const ip_mreqn &mreq)
{
    if (!mreq.imr_ifindex && !mreq.imr_address) {
        inet->mc_index = 0;
        inet->mc_addr = be32{};
        return {};
    }
    if (!mreq.imr_ifindex && inet_addr_type(mreq.imr_address) != RTN_LOCAL)
        return error{EADDRNOTAVAIL};
    net_device *dev = mreq.imr_ifindex ? dev_get_by_index(static_cast<u32>(mreq.imr_ifindex))
                                       : ip_mc_find_dev(be32{}, mreq.imr_address, 0);
    if (!dev)
        return error{EADDRNOTAVAIL};
    u32 index = dev->ifindex;
    dev_put(dev);
    if (inet->sk_bound_dev_if && inet->sk_bound_dev_if != index)
        return error{EINVAL};
    inet->mc_index = index;
    inet->mc_addr = mreq.imr_address;
    return {};
}

/// Options with a struct ip_mreqn or one of its shorter forms.
static result<void> set_mreq_option(inet_sock *inet, int name, user_ptr<const void> val,
                                    unsigned len)
{
    ip_mreqn mreq{};
    unsigned least = name == IP_MULTICAST_IF ? 4 : 8;
    if (len < least)
        return error{EINVAL};
    if (len < 8) // a bare address
        TRY_VOID(copy_from_user(&mreq.imr_address, val, sizeof mreq.imr_address));
    else
        TRY_VOID(copy_from_user(&mreq, val, len >= sizeof mreq ? sizeof mreq : 8));
    lock_sock(inet);
    result<void> r;
    auto index = static_cast<u32>(mreq.imr_ifindex);
    if (name == IP_MULTICAST_IF)
        r = set_multicast_if(inet, mreq);
    else if (name == IP_ADD_MEMBERSHIP)
        r = ip_mc_join_group(inet, mreq.imr_multiaddr, mreq.imr_address, index);
    else
        r = ip_mc_leave_group(inet, mreq.imr_multiaddr, mreq.imr_address, index);
    release_sock(inet);
    return r;
}

/// IP_OPTIONS: header options for everything that is sent; none with length 0.
static result<void> set_ip_options(inet_sock *inet, user_ptr<const void> val, unsigned len)
{
    u8 raw[40];
    if (len > sizeof raw)
        return error{EINVAL};
    TRY_VOID(copy_from_user(raw, val, len));
    ip_options *fresh = nullptr;
    if (len) {
        ip_options parsed = TRY(ip_options_get(raw, len));
        fresh = knew<ip_options>(GFP_KERNEL, parsed);
        if (!fresh)
            return error{ENOMEM};
    }
    lock_sock(inet);
    ip_options *old = inet->inet_opt;
    rcu_assign_pointer(inet->inet_opt, fresh);
    release_sock(inet);
    if (old) {
        synchronize_rcu(); // senders copy it under RCU
        kdelete(old);
    }
    return {};
}

static void set_cmsg_flag(inet_sock *inet, u32 flag, int on)
{
    inet->cmsg_flags = on ? inet->cmsg_flags | flag : inet->cmsg_flags & ~flag;
}

/// Options that ask for control messages; false: another one.
static bool set_recv_option(inet_sock *inet, int name, int val)
{
    switch (name) {
    case IP_PKTINFO:
        set_cmsg_flag(inet, IP_CMSG_PKTINFO, val);
        return true;
    case IP_RECVTTL:
        set_cmsg_flag(inet, IP_CMSG_TTL, val);
        return true;
    case IP_RECVTOS:
        set_cmsg_flag(inet, IP_CMSG_TOS, val);
        return true;
    case IP_RECVOPTS:
        set_cmsg_flag(inet, IP_CMSG_RECVOPTS, val);
        return true;
    case IP_RETOPTS:
        set_cmsg_flag(inet, IP_CMSG_RETOPTS, val);
        return true;
    default:
        return false;
    }
}

/// A time-to-live: -1 stands for `dflt`.
static result<void> check_ttl(int val, int least)
{
    return val == -1 || (val >= least && val <= 255) ? result<void>{} : error{EINVAL};
}

/// Options with a number, `len` bytes were given. Socket lock held.
static result<void> set_number_option(inet_sock *inet, int name, int val, unsigned len)
{
    if (set_recv_option(inet, name, val))
        return {};
    if ((name == IP_TTL || name == IP_MULTICAST_TTL) && len < 1)
        return error{EINVAL};
    switch (name) {
    case IP_TOS:
        if (inet->sk_type == SOCK_STREAM) // there the last bits are TCP's (ECN)
            val = (val & ~3) | (inet->tos & 3);
        if (inet->tos != static_cast<u8>(val)) {
            inet->tos = static_cast<u8>(val);
            sk_dst_reset(inet);
        }
        return {};
    case IP_TTL:
        TRY_VOID(check_ttl(val, 1));
        inet->uc_ttl = static_cast<s16>(val);
        return {};
    case IP_MULTICAST_TTL:
        TRY_VOID(check_ttl(val, 0));
        inet->mc_ttl = val == -1 ? 1 : static_cast<u8>(val);
        return {};
    case IP_HDRINCL:
        if (inet->sk_type != SOCK_RAW)
            return error{ENOPROTOOPT};
        inet->hdrincl = val != 0;
        return {};
    case IP_MTU_DISCOVER:
        if (val < IP_PMTUDISC_DONT || val > IP_PMTUDISC_PROBE)
            return error{EINVAL};
        inet->pmtudisc = static_cast<u8>(val);
        return {};
    case IP_RECVERR:
        inet->recverr = val != 0;
        if (!val)
            skb_queue_purge(&inet->sk_error_queue);
        return {};
    case IP_MULTICAST_LOOP:
        inet->mc_loop = val != 0;
        return {};
    case IP_MULTICAST_ALL:
        if (val != 0 && val != 1)
            return error{EINVAL};
        inet->mc_all = static_cast<u8>(val);
        return {};
    case IP_FREEBIND:
    case IP_TRANSPARENT:
        if (name == IP_TRANSPARENT && val && !capable_net())
            return error{EPERM};
        if (len < 1)
            return error{EINVAL};
        inet->freebind = val != 0;
        return {};
    case IP_MINTTL:
        if (val < 0 || val > 255)
            return error{EINVAL};
        inet->min_ttl = static_cast<u8>(val);
        return {};
    default:
        return error{ENOPROTOOPT};
    }
}

result<void> ip_setsockopt(sock *sk, int level, int name, user_ptr<const void> val, unsigned len)
{
    inet_sock *inet = inet_sk(sk);
    if (level != SOL_IP)
        return error{ENOPROTOOPT};
    switch (name) {
    case IP_OPTIONS:
        return set_ip_options(inet, val, len);
    case IP_MULTICAST_IF:
    case IP_ADD_MEMBERSHIP:
    case IP_DROP_MEMBERSHIP:
        return set_mreq_option(inet, name, val, len);
    default:
        break;
    }
    int v = 0;
    if (len >= sizeof v)
        TRY_VOID(copy_from_user(&v, val, sizeof v));
    else if (len >= 1) { // a single byte is accepted too
        u8 b;
        TRY_VOID(copy_from_user(&b, val, 1));
        v = b;
    }
    lock_sock(sk);
    auto r = set_number_option(inet, name, v, len);
    release_sock(sk);
    return r;
}

// --- Reading --------------------------------------------------------------------------------------------

/// Options with a number.
static result<int> get_number_option(inet_sock *inet, int name)
{
    auto cmsg = [inet](u32 flag) { return inet->cmsg_flags & flag ? 1 : 0; };
    switch (name) {
    case IP_PKTINFO:
        return cmsg(IP_CMSG_PKTINFO);
    case IP_RECVTTL:
        return cmsg(IP_CMSG_TTL);
    case IP_RECVTOS:
        return cmsg(IP_CMSG_TOS);
    case IP_RECVOPTS:
        return cmsg(IP_CMSG_RECVOPTS);
    case IP_RETOPTS:
        return cmsg(IP_CMSG_RETOPTS);
    case IP_TOS:
        return int{inet->tos};
    case IP_TTL:
        return inet->uc_ttl == -1 ? sysctl_ip_default_ttl_get() : int{inet->uc_ttl};
    case IP_HDRINCL:
        return int{inet->hdrincl};
    case IP_MTU_DISCOVER:
        return int{inet->pmtudisc};
    case IP_MTU: {
        dst_entry *d = sk_dst_check(inet);
        if (!d)
            return error{ENOTCONN};
        int mtu = static_cast<int>(dst_mtu(d));
        dst_release(d);
        return mtu;
    }
    case IP_RECVERR:
        return int{inet->recverr};
    case IP_MULTICAST_TTL:
        return int{inet->mc_ttl};
    case IP_MULTICAST_LOOP:
        return int{inet->mc_loop};
    case IP_MULTICAST_ALL:
        return int{inet->mc_all};
    case IP_FREEBIND:
    case IP_TRANSPARENT:
        return int{inet->freebind};
    case IP_MINTTL:
        return int{inet->min_ttl};
    default:
        return error{ENOPROTOOPT};
    }
}

static result<void> put_bytes(user_ptr<void> val, user_ptr<int> optlen, const void *p, int n)
{
    TRY_VOID(put_user(optlen, n));
    return copy_to_user(val, p, static_cast<size_t>(n));
}

static result<void> get_ip_options(inet_sock *inet, user_ptr<void> val, user_ptr<int> optlen,
                                   int len)
{
    u8 raw[40];
    int n = 0;
    lock_sock(inet);
    if (inet->inet_opt) {
        n = min(len, static_cast<int>(inet->inet_opt->optlen));
        memcpy(raw, inet->inet_opt->data, static_cast<size_t>(n));
    }
    release_sock(inet);
    return put_bytes(val, optlen, raw, n);
}

result<void> ip_getsockopt(sock *sk, int level, int name, user_ptr<void> val, user_ptr<int> optlen)
{
    inet_sock *inet = inet_sk(sk);
    if (level != SOL_IP)
        return error{EOPNOTSUPP};
    int len;
    TRY_VOID(get_user(len, optlen));
    if (len < 0)
        return error{EINVAL};
    if (name == IP_OPTIONS)
        return get_ip_options(inet, val, optlen, len);
    if (name == IP_MULTICAST_IF)
        return put_bytes(val, optlen, &inet->mc_addr,
                         min(len, static_cast<int>(sizeof inet->mc_addr)));
    lock_sock(sk);
    auto r = get_number_option(inet, name);
    release_sock(sk);
    int v = TRY(std::move(r));
    if (len > 0 && len < static_cast<int>(sizeof v) && v >= 0 && v <= 255) {
        u8 b = static_cast<u8>(v);
        return put_bytes(val, optlen, &b, 1);
    }
    return put_bytes(val, optlen, &v, min(len, static_cast<int>(sizeof v)));
}

// SPDX-License-Identifier: MIT
// SOL_SOCKET options (Linux net/core/sock.c sock_setsockopt, sock_getsockopt; socket(7)). Process context. An option is decoded
// completely before the lock is taken; what follows cannot fail half-way.

#include "net/core/sock.h"

constexpr int SOCK_MIN_SNDBUF = 2048;
/// 2048 + sizeof(struct sk_buff) of Linux 3.10 on x86_64, so that getsockopt shows the same figure.
constexpr int SOCK_MIN_RCVBUF = 2048 + 240;
constexpr int SO_BSDCOMPAT = 14, SO_PEERNAME = 28, SO_PEERSEC = 31, SO_PASSSEC = 34,
              SO_TIMESTAMPNS = 35, SO_WIFI_STATUS = 41, SO_PEEK_OFF = 42, SO_NOFCS = 43,
              SO_SELECT_ERR_QUEUE = 45, SO_ATTACH_FILTER = 26, SO_DETACH_FILTER = 27,
              SO_LOCK_FILTER = 44;

struct linger_t {
    int l_onoff, l_linger;
};
struct timeval_t {
    s64 tv_sec, tv_usec;
};

static void sock_valbool_flag(sock *sk, sock_flags f, bool on)
{
    on ? sock_set_flag(sk, f) : sock_reset_flag(sk, f);
}

/// SO_BINDTODEVICE: an interface name, empty to undo.
static result<void> sock_bindtodevice(sock *sk, user_ptr<const void> val, unsigned len)
{
    char name[16] = {};
    if (!capable_net())
        return error{EPERM};
    if (static_cast<int>(len) < 0)
        return error{EINVAL};
    TRY_VOID(copy_from_user(name, val, min<unsigned>(len, sizeof name - 1)));
    u32 index = 0;
    if (name[0]) {
        net_device *dev = dev_get_by_name(name);
        if (!dev)
            return error{ENODEV};
        index = dev->ifindex;
        dev_put(dev);
    }
    lock_sock(sk);
    sk->sk_bound_dev_if = index;
    sk_dst_reset(sk);
    release_sock(sk);
    return {};
}

/// A struct timeval as jiffies: zero means for ever, a negative second count means not at all.
static result<s64> sock_timeout(user_ptr<const void> val, unsigned len)
{
    timeval_t tv;
    if (len < sizeof tv)
        return error{EINVAL};
    TRY_VOID(copy_from_user(&tv, val, sizeof tv));
    if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
        return error{EDOM};
    if (tv.tv_sec < 0)
        return s64{0};
    constexpr s64 hz = HZ, tick_us = 1000000 / hz;
    if ((tv.tv_sec == 0 && tv.tv_usec == 0) || tv.tv_sec >= MAX_SCHEDULE_TIMEOUT / hz - 1)
        return s64{MAX_SCHEDULE_TIMEOUT};
    return tv.tv_sec * hz + (tv.tv_usec + tick_us - 1) / tick_us;
}

/// The buffer sizes are doubled, because truesize counts the kernel's own overhead too.
static void set_sndbuf(sock *sk, int val)
{
    sk->sk_userlocks |= SOCK_SNDBUF_LOCK;
    sk->sk_sndbuf = max(static_cast<int>(static_cast<u32>(val) * 2), SOCK_MIN_SNDBUF);
    sk->sk_write_space(sk); // wake those who wait for room
}
static void set_rcvbuf(sock *sk, int val)
{
    sk->sk_userlocks |= SOCK_RCVBUF_LOCK;
    sk->sk_rcvbuf = max(static_cast<int>(static_cast<u32>(val) * 2), SOCK_MIN_RCVBUF);
}
/// Sizes are compared as unsigned, as Linux does: -1 asks for the maximum.
static int clamp_buf(int val, int limit)
{
    return static_cast<int>(min(static_cast<u32>(val), static_cast<u32>(limit)));
}

/// Options that are one flag; false: `name` is another one.
static bool set_flag_option(sock *sk, int name, bool on)
{
    switch (name) {
    case SO_REUSEADDR:
        sk->sk_reuse = on;
        return true;
    case SO_REUSEPORT:
        sk->sk_reuseport = on;
        return true;
    case SO_DONTROUTE:
        sock_valbool_flag(sk, SOCK_LOCALROUTE, on);
        return true;
    case SO_BROADCAST:
        sock_valbool_flag(sk, SOCK_BROADCAST, on);
        return true;
    case SO_KEEPALIVE:
        if (sk->sk_prot->keepalive)
            sk->sk_prot->keepalive(sk, on);
        sock_valbool_flag(sk, SOCK_KEEPOPEN, on);
        return true;
    case SO_OOBINLINE:
        sock_valbool_flag(sk, SOCK_URGINLINE, on);
        return true;
    case SO_NO_CHECK:
        sk->sk_no_check = on;
        return true;
    case SO_RXQ_OVFL:
        sock_valbool_flag(sk, SOCK_RXQ_OVFL, on);
        return true;
    case SO_PASSCRED:
        sock_valbool_flag(sk, SOCK_PASSCRED_F, on);
        return true;
    case SO_SELECT_ERR_QUEUE:
        sock_valbool_flag(sk, SOCK_SELECT_ERR_QUEUE, on);
        return true;
    case SO_NOFCS:
        sock_valbool_flag(sk, SOCK_NOFCS, on);
        return true;
    case SO_TIMESTAMP:
    case SO_TIMESTAMPNS:
        sock_valbool_flag(sk, SOCK_RCVTSTAMPNS, on && name == SO_TIMESTAMPNS);
        sock_valbool_flag(sk, SOCK_RCVTSTAMP, on);
        return true;
    case SO_BSDCOMPAT:
    case SO_PASSSEC:
    case SO_WIFI_STATUS:
        return true; // accepted, without meaning here
    default:
        return false;
    }
}

/// Options with an int; the socket lock is held.
static result<void> set_int_option(sock *sk, int name, int val)
{
    switch (name) {
    case SO_DEBUG:
        if (val && !capable_net())
            return error{EACCES};
        sock_valbool_flag(sk, SOCK_DBG, val);
        return {};
    case SO_SNDBUF:
        set_sndbuf(sk, clamp_buf(val, read_once(sysctl_wmem_max)));
        return {};
    case SO_RCVBUF:
        set_rcvbuf(sk, clamp_buf(val, read_once(sysctl_rmem_max)));
        return {};
    case SO_SNDBUFFORCE:
    case SO_RCVBUFFORCE:
        if (!capable_net())
            return error{EPERM};
        name == SO_SNDBUFFORCE ? set_sndbuf(sk, val) : set_rcvbuf(sk, val);
        return {};
    case SO_PRIORITY:
        if ((val < 0 || val > 6) && !capable_net())
            return error{EPERM};
        sk->sk_priority = static_cast<u32>(val);
        return {};
    case SO_MARK:
        if (!capable_net())
            return error{EPERM};
        sk->sk_mark = static_cast<u32>(val);
        return {};
    case SO_RCVLOWAT:
        sk->sk_rcvlowat = val < 0 ? INT32_MAX : val ? val : 1;
        return {};
    case SO_PEEK_OFF:
        return error{EOPNOTSUPP};
    case SO_DETACH_FILTER:
        return sk_detach_filter(sk);
    case SO_LOCK_FILTER: // cannot be taken back
        if (!val && sock_flag(sk, SOCK_FILTER_LOCKED))
            return error{EPERM};
        sock_valbool_flag(sk, SOCK_FILTER_LOCKED, val);
        return {};
    default: // also the read-only SO_TYPE, SO_PROTOCOL, SO_DOMAIN, SO_ERROR
        return set_flag_option(sk, name, val) ? result<void>{} : error{ENOPROTOOPT};
    }
}

static result<void> set_linger(sock *sk, user_ptr<const void> val, unsigned len)
{
    linger_t ling;
    if (len < sizeof ling)
        return error{EINVAL};
    TRY_VOID(copy_from_user(&ling, val, sizeof ling));
    lock_sock(sk);
    sock_valbool_flag(sk, SOCK_LINGER, ling.l_onoff);
    if (ling.l_onoff)
        sk->sk_lingertime =
            static_cast<s64>(static_cast<u32>(ling.l_linger)) * static_cast<s64>(HZ);
    release_sock(sk);
    return {};
}

result<void> sock_setsockopt(socket *s, int, int name, user_ptr<const void> val, unsigned len)
{
    sock *sk = s->sk;
    if (name == SO_BINDTODEVICE)
        return sock_bindtodevice(sk, val, len);
    if (name == SO_ATTACH_FILTER)
        return sk_attach_filter(sk, val, len);
    int v;
    if (len < sizeof v)
        return error{EINVAL};
    TRY_VOID(copy_from_user(&v, val, sizeof v));
    if (name == SO_LINGER)
        return set_linger(sk, val, len);
    if (name == SO_RCVTIMEO || name == SO_SNDTIMEO) {
        s64 t = TRY(sock_timeout(val, len));
        lock_sock(sk);
        (name == SO_RCVTIMEO ? sk->sk_rcvtimeo : sk->sk_sndtimeo) = t;
        release_sock(sk);
        return {};
    }
    lock_sock(sk);
    auto r = set_int_option(sk, name, v);
    release_sock(sk);
    return r;
}

// --- Reading ------------------------------------------------------------------------------------------------------------------

/// What an option gives back: `n` bytes of it.
union opt_value {
    int i;
    linger_t ling;
    timeval_t tv;
    ucred cred;
    char name[16];
    sockaddr_storage addr;
};

static int take_error(sock *sk)
{
    int err = sock_error(sk);
    return err ? err : sk->sk_err_soft.exchange(0);
}

/// Options that are an int; false: none of them.
static bool get_int_option(socket *s, int name, int *v)
{
    sock *sk = s->sk;
    auto flag = [&](sock_flags f) { return *v = sock_flag(sk, f) ? 1 : 0, true; };
    auto value = [&](s64 x) { return *v = static_cast<int>(x), true; };
    switch (name) {
    case SO_DEBUG:
        return flag(SOCK_DBG);
    case SO_DONTROUTE:
        return flag(SOCK_LOCALROUTE);
    case SO_BROADCAST:
        return flag(SOCK_BROADCAST);
    case SO_KEEPALIVE:
        return flag(SOCK_KEEPOPEN);
    case SO_OOBINLINE:
        return flag(SOCK_URGINLINE);
    case SO_RXQ_OVFL:
        return flag(SOCK_RXQ_OVFL);
    case SO_PASSCRED:
        return flag(SOCK_PASSCRED_F);
    case SO_SELECT_ERR_QUEUE:
        return flag(SOCK_SELECT_ERR_QUEUE);
    case SO_NOFCS:
        return flag(SOCK_NOFCS);
    case SO_TIMESTAMP:
        return value(sock_flag(sk, SOCK_RCVTSTAMP) && !sock_flag(sk, SOCK_RCVTSTAMPNS));
    case SO_TIMESTAMPNS:
        return flag(SOCK_RCVTSTAMPNS);
    case SO_SNDBUF:
        return value(sk->sk_sndbuf);
    case SO_RCVBUF:
        return value(sk->sk_rcvbuf);
    case SO_REUSEADDR:
        return value(sk->sk_reuse);
    case SO_REUSEPORT:
        return value(sk->sk_reuseport);
    case SO_TYPE:
        return value(sk->sk_type);
    case SO_PROTOCOL:
        return value(sk->sk_protocol);
    case SO_DOMAIN:
        return value(sk->sk_family);
    case SO_ERROR:
        return value(take_error(sk));
    case SO_NO_CHECK:
        return value(sk->sk_no_check);
    case SO_PRIORITY:
        return value(sk->sk_priority);
    case SO_MARK:
        return value(sk->sk_mark);
    case SO_RCVLOWAT:
        return value(sk->sk_rcvlowat);
    case SO_SNDLOWAT:
        return value(1);
    case SO_ACCEPTCONN:
        return value(sk->sk_state == 10); // TCP_LISTEN
    case SO_BSDCOMPAT:
    case SO_PASSSEC:
    case SO_WIFI_STATUS:
        return value(0);
    case SO_PEEK_OFF:
        return value(-1);
    default:
        return false;
    }
}

static timeval_t timeout_to_tv(s64 t)
{
    constexpr s64 hz = HZ;
    if (t == MAX_SCHEDULE_TIMEOUT)
        return {0, 0};
    return {t / hz, t % hz * (1000000 / hz)};
}

/// The name of the device the socket is bound to; length with NUL, 0 when none.
static result<unsigned> get_bound_device(sock *sk, char *name)
{
    if (!sk->sk_bound_dev_if)
        return 0u;
    net_device *dev = dev_get_by_index(sk->sk_bound_dev_if);
    if (!dev)
        return error{ENODEV};
    auto n = static_cast<unsigned>(strlcpy(name, dev->name, 16)) + 1;
    dev_put(dev);
    return n;
}

/// Fill in the value; returns its size.
static result<unsigned> get_option(socket *s, int name, unsigned len, opt_value *v)
{
    sock *sk = s->sk;
    if (get_int_option(s, name, &v->i))
        return static_cast<unsigned>(sizeof v->i);
    switch (name) {
    case SO_LINGER:
        v->ling = {sock_flag(sk, SOCK_LINGER),
                   static_cast<int>(sk->sk_lingertime / static_cast<s64>(HZ))};
        return static_cast<unsigned>(sizeof v->ling);
    case SO_RCVTIMEO:
    case SO_SNDTIMEO:
        v->tv = timeout_to_tv(name == SO_RCVTIMEO ? sk->sk_rcvtimeo : sk->sk_sndtimeo);
        return static_cast<unsigned>(sizeof v->tv);
    case SO_PEERCRED: // of a network socket: nobody
        v->cred = sk->sk_peer_cred;
        return static_cast<unsigned>(sizeof v->cred);
    case SO_PEERNAME: {
        auto n = s->ops->getname(s, &v->addr, true);
        if (!n)
            return error{ENOTCONN};
        if (static_cast<unsigned>(*n) < len)
            return error{EINVAL};
        return static_cast<unsigned>(*n);
    }
    case SO_BINDTODEVICE: {
        unsigned n = TRY(get_bound_device(sk, v->name));
        if (n && len < sizeof v->name)
            return error{EINVAL};
        return n;
    }
    default:
        return error{ENOPROTOOPT};
    }
}

result<void> sock_getsockopt(socket *s, int, int name, user_ptr<void> val, user_ptr<int> optlen)
{
    int len;
    TRY_VOID(get_user(len, optlen));
    if (len < 0)
        return error{EINVAL};
    opt_value v{};
    unsigned n = TRY(get_option(s, name, static_cast<unsigned>(len), &v));
    n = min(n, static_cast<unsigned>(len));
    TRY_VOID(copy_to_user(val, &v, n));
    return put_user(optlen, static_cast<int>(n));
}

// SPDX-License-Identifier: MIT
// sendmsg, recvmsg and their many-message forms. Linux: net/socket.c ___sys_sendmsg, ___sys_recvmsg, net/core/iovec.c.
// Process context.

#include "syscall/net.h"

namespace
{
constexpr u32 MSG_CMSG_COMPAT = 0x80000000;

/// A user's message, copied in: header, iovec array, and for sending its address and control data.
class user_message : pinned
{
public:
    ~user_message()
    {
        if (v_ != fast_)
            kfree(v_);
        if (control_ != fast_control_)
            kfree(control_);
    }
    /// Header and iovec. EFAULT, EMSGSIZE, ENOMEM.
    result<void> load(user_ptr<user_msghdr> p);
    /// Address and control data of a message to send. EINVAL, EFAULT, ENOBUFS.
    result<void> load_for_send(msghdr *m);

    user_msghdr h;
    sockaddr_storage addr;
    iov_iter iter;
    size_t total = 0;

private:
    iov_iter::piece fast_[8];
    iov_iter::piece *v_ = fast_;
    alignas(8) u8 fast_control_[64];
    u8 *control_ = fast_control_;
};

result<void> user_message::load(user_ptr<user_msghdr> p)
{
    static_assert(sizeof(iov_iter::piece) == 16, "the layout of struct iovec");
    TRY_VOID(get_user(h, p));
    if (h.msg_iovlen > UIO_MAXIOV)
        return error{EMSGSIZE};
    auto n = static_cast<unsigned>(h.msg_iovlen);
    if (n > sizeof fast_ / sizeof fast_[0]) {
        v_ = static_cast<iov_iter::piece *>(kmalloc(n * sizeof *v_, GFP_KERNEL));
        if (!v_)
            return error{ENOMEM};
    }
    TRY_VOID(copy_from_user(v_, user_ptr<const void>{h.msg_iov}, n * sizeof *v_));
    for (unsigned i = 0; i < n; i++) { // the sum is cut to what an int can tell
        v_[i].len = min<u64>(v_[i].len, INT32_MAX - total);
        total += v_[i].len;
    }
    iter = iov_iter::user_vec(v_, n);
    return {};
}

result<void> user_message::load_for_send(msghdr *m)
{
    m->msg_iter = &iter;
    if (h.msg_name && h.msg_namelen) {
        TRY_VOID(move_addr_to_kernel(user_ptr<const void>{h.msg_name}, h.msg_namelen, &addr));
        m->msg_name = &addr;
        m->msg_namelen = h.msg_namelen;
    }
    if (!h.msg_controllen)
        return {};
    if (h.msg_controllen > sizeof fast_control_) {
        if (h.msg_controllen > static_cast<u64>(read_once(sysctl_optmem_max)))
            return error{ENOBUFS};
        control_ = static_cast<u8 *>(kmalloc(h.msg_controllen, GFP_KERNEL));
        if (!control_)
            return error{ENOBUFS};
    }
    TRY_VOID(copy_from_user(control_, user_ptr<const void>{h.msg_control}, h.msg_controllen));
    m->msg_control_kern = control_;
    m->msg_controllen = h.msg_controllen;
    return {};
}

result<size_t> send_one(const socket_fd &s, user_ptr<user_msghdr> p, u32 flags)
{
    user_message u;
    msghdr m;
    TRY_VOID(u.load(p));
    TRY_VOID(u.load_for_send(&m));
    m.msg_flags = s.nonblock() ? flags | MSG_DONTWAIT : flags;
    return sock_sendmsg(s.get(), &m, u.total);
}

/// Member addresses in user space.
u64 field(user_ptr<user_msghdr> p, size_t offset)
{
    return p.addr() + offset;
}

result<size_t> recv_one(const socket_fd &s, user_ptr<user_msghdr> p, u32 flags, u32 *out_flags)
{
    user_message u;
    TRY_VOID(u.load(p));
    msghdr m;
    m.msg_iter = &u.iter;
    m.msg_name = &u.addr;
    m.msg_control = u.h.msg_control;
    m.msg_controllen = u.h.msg_control ? u.h.msg_controllen : 0;
    m.msg_flags = flags & MSG_CMSG_CLOEXEC;
    size_t n = TRY(sock_recvmsg(s.get(), &m, u.total, s.nonblock() ? flags | MSG_DONTWAIT : flags));
    if (u.h.msg_name)
        TRY_VOID(move_addr_to_user(&u.addr, m.msg_namelen, user_ptr<void>{u.h.msg_name},
                                   user_ptr<int>{field(p, offsetof(user_msghdr, msg_namelen))}));
    TRY_VOID(put_user(user_ptr<u32>{field(p, offsetof(user_msghdr, msg_flags))}, m.msg_flags));
    u64 used = m.msg_control - u.h.msg_control;
    TRY_VOID(put_user(user_ptr<u64>{field(p, offsetof(user_msghdr, msg_controllen))}, used));
    *out_flags = m.msg_flags;
    return n;
}

user_ptr<user_msghdr> message(user_ptr<user_mmsghdr> vec, u32 i)
{
    return user_ptr<user_msghdr>{(vec + i).addr() + offsetof(user_mmsghdr, msg_hdr)};
}
result<void> put_len(user_ptr<user_mmsghdr> vec, u32 i, size_t n)
{
    return put_user(user_ptr<u32>{(vec + i).addr() + offsetof(user_mmsghdr, msg_len)},
                    static_cast<u32>(n));
}
} // namespace

result<size_t> sys_sendmsg(int fd, user_ptr<user_msghdr> msg, u32 flags)
{
    if (flags & MSG_CMSG_COMPAT)
        return error{EINVAL};
    socket_fd s{fd};
    if (!s)
        return s.fail();
    return send_one(s, msg, flags);
}

result<size_t> sys_recvmsg(int fd, user_ptr<user_msghdr> msg, u32 flags)
{
    if (flags & MSG_CMSG_COMPAT)
        return error{EINVAL};
    socket_fd s{fd};
    if (!s)
        return s.fail();
    u32 out_flags;
    return recv_one(s, msg, flags, &out_flags);
}

result<int> sys_sendmmsg(int fd, user_ptr<user_mmsghdr> vec, u32 vlen, u32 flags)
{
    if (flags & MSG_CMSG_COMPAT)
        return error{EINVAL};
    vlen = min(vlen, UIO_MAXIOV);
    socket_fd s{fd};
    if (!s)
        return s.fail();
    for (u32 i = 0; i < vlen; i++) {
        auto n = send_one(s, message(vec, i), flags);
        auto r = n ? put_len(vec, i, *n) : result<void>{n.fail()};
        if (!r) // an error shows only if nothing was sent before it
            return i ? result<int>{static_cast<int>(i)} : result<int>{r.fail()};
        cond_resched();
    }
    return static_cast<int>(vlen);
}

namespace
{
/// Receive until vlen, an error, or the deadline; *done counts. The time-out is looked at after each message, as in Linux.
result<void> recv_many(const socket_fd &s, user_ptr<user_mmsghdr> vec, u32 vlen, u32 flags,
                       u64 deadline, u32 *done)
{
    while (*done < vlen) {
        u32 out_flags = 0;
        size_t n = TRY(recv_one(s, message(vec, *done), flags & ~MSG_WAITFORONE, &out_flags));
        TRY_VOID(put_len(vec, *done, n));
        ++*done;
        if (flags & MSG_WAITFORONE)
            flags |= MSG_DONTWAIT;
        if (deadline && ktime_get() >= deadline)
            break;
        if (out_flags & MSG_OOB)
            break;
        cond_resched();
    }
    return {};
}
} // namespace

result<int> sys_recvmmsg(int fd, user_ptr<user_mmsghdr> vec, u32 vlen, u32 flags,
                         user_ptr<user_timespec> timeout)
{
    if (flags & MSG_CMSG_COMPAT)
        return error{EINVAL};
    vlen = min(vlen, UIO_MAXIOV);
    u64 deadline = 0;
    if (timeout) {
        user_timespec ts;
        TRY_VOID(get_user(ts, timeout));
        if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= static_cast<s64>(NSEC_PER_SEC))
            return error{EINVAL};
        u64 sec = min<u64>(static_cast<u64>(ts.tv_sec), INT32_MAX);
        deadline = ktime_get() + sec * NSEC_PER_SEC + static_cast<u64>(ts.tv_nsec);
    }
    socket_fd s{fd};
    if (!s)
        return s.fail();
    if (int err = sock_error(s->sk))
        return error{static_cast<errno_t>(err)};
    u32 done = 0;
    auto r = recv_many(s, vec, vlen, flags, deadline, &done);
    if (!r && !done)
        return r.fail();
    if (!r && r.err() != EAGAIN)
        s->sk->sk_err.store(r.err()); // the next call tells it
    if (deadline && done) {
        u64 now = ktime_get(), left = now < deadline ? deadline - now : 0;
        user_timespec ts{static_cast<s64>(left / NSEC_PER_SEC),
                         static_cast<s64>(left % NSEC_PER_SEC)};
        TRY_VOID(put_user(timeout, ts));
    }
    return static_cast<int>(done);
}

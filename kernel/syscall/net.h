// SPDX-License-Identifier: MIT
// The socket system calls (Linux net/socket.c). Each first decodes: copies in and validates what the user gave; then it commits.
// User structures are Linux's x86_64 ones. Errors as in the manual pages of section 2.
#pragma once

#include "net/core/sock.h"
#include "syscall/syscall.h"

/// struct msghdr and struct mmsghdr as programs pass them.
struct user_msghdr {
    u64 msg_name;
    int msg_namelen;
    u64 msg_iov;
    u64 msg_iovlen;
    u64 msg_control;
    u64 msg_controllen;
    u32 msg_flags;
};
static_assert(sizeof(user_msghdr) == 56);
struct user_mmsghdr {
    user_msghdr msg_hdr;
    u32 msg_len;
};
static_assert(sizeof(user_mmsghdr) == 64);
struct user_timespec {
    s64 tv_sec, tv_nsec;
};

/// Longest iovec array (EMSGSIZE beyond) and messages in one sendmmsg/recvmmsg (cut).
constexpr unsigned UIO_MAXIOV = 1024;

// syscall/net.cc
result<int> sys_socket(int family, int type, int protocol);
result<void> sys_socketpair(int family, int type, int protocol, user_ptr<int> sv);
result<void> sys_bind(int fd, user_ptr<const void> addr, int len);
result<void> sys_connect(int fd, user_ptr<const void> addr, int len);
result<void> sys_listen(int fd, int backlog);
result<int> sys_accept(int fd, user_ptr<void> addr, user_ptr<int> len);
result<int> sys_accept4(int fd, user_ptr<void> addr, user_ptr<int> len, int flags);
result<void> sys_getsockname(int fd, user_ptr<void> addr, user_ptr<int> len);
result<void> sys_getpeername(int fd, user_ptr<void> addr, user_ptr<int> len);
result<void> sys_setsockopt(int fd, int level, int name, user_ptr<const void> val, int len);
result<void> sys_getsockopt(int fd, int level, int name, user_ptr<void> val, user_ptr<int> len);
result<void> sys_shutdown(int fd, int how);
/// send(2) is sendto without address, recv(2) recvfrom without (rows T-01, W-05).
result<size_t> sys_sendto(int fd, u64 buf, size_t len, u32 flags, user_ptr<const void> addr,
                          int addr_len);
result<size_t> sys_recvfrom(int fd, u64 buf, size_t len, u32 flags, user_ptr<void> addr,
                            user_ptr<int> addr_len);
// syscall/net_msg.cc
result<size_t> sys_sendmsg(int fd, user_ptr<user_msghdr> msg, u32 flags);
result<size_t> sys_recvmsg(int fd, user_ptr<user_msghdr> msg, u32 flags);
result<int> sys_sendmmsg(int fd, user_ptr<user_mmsghdr> vec, u32 vlen, u32 flags);
result<int> sys_recvmmsg(int fd, user_ptr<user_mmsghdr> vec, u32 vlen, u32 flags,
                         user_ptr<user_timespec> timeout);

/// The socket of a descriptor for the time of one call.
class socket_fd : pinned
{
public:
    explicit socket_fd(int fd) : s_{sockfd_lookup_light(fd, &file_, &put_)} {}
    ~socket_fd()
    {
        if (s_)
            fput_light(file_, put_);
    }
    explicit operator bool() const { return static_cast<bool>(s_); }
    ::error fail() const { return s_.fail(); }
    socket *get() const { return *s_; }
    socket *operator->() const { return *s_; }
    bool nonblock() const { return file_->f_flags & O_NONBLOCK; }
    u32 file_flags() const { return file_->f_flags; }

private:
    file *file_ = nullptr;
    bool put_ = false;
    result<socket *> s_;
};

/// Address in: EINVAL for an impossible length, EFAULT. Linux move_addr_to_kernel.
result<void> move_addr_to_kernel(user_ptr<const void> from, int len, sockaddr_storage *to);
/// Address out, cut to the user's *ulen, which then gets the true length. Linux move_addr_to_user.
result<void> move_addr_to_user(const sockaddr_storage *from, int len, user_ptr<void> to,
                               user_ptr<int> ulen);

// SPDX-License-Identifier: MIT
// Socket system calls with plain arguments; those with a struct msghdr are in net_msg.cc. Linux: net/socket.c. Process context.

#include "syscall/net.h"

result<void> move_addr_to_kernel(user_ptr<const void> from, int len, sockaddr_storage *to)
{
    if (len < 0 || len > static_cast<int>(sizeof *to))
        return error{EINVAL};
    if (len == 0)
        return {};
    return copy_from_user(to, from, static_cast<size_t>(len));
}

result<void> move_addr_to_user(const sockaddr_storage *from, int len, user_ptr<void> to,
                               user_ptr<int> ulen)
{
    int room;
    TRY_VOID(get_user(room, ulen));
    int n = min(room, len);
    if (n < 0)
        return error{EINVAL};
    if (n)
        TRY_VOID(copy_to_user(to, from, static_cast<size_t>(n)));
    return put_user(ulen, len);
}

result<int> sys_socket(int family, int type, int protocol)
{
    u32 flags = static_cast<u32>(type) & ~static_cast<u32>(SOCK_TYPE_MASK);
    if (flags & ~static_cast<u32>(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return error{EINVAL};
    socket *s = TRY(sock_create(family, type & SOCK_TYPE_MASK, protocol));
    auto fd = sock_map_fd(
        s, flags); // SOCK_CLOEXEC and SOCK_NONBLOCK have the numbers of O_CLOEXEC and O_NONBLOCK
    if (!fd)
        sock_release(s);
    return fd;
}

/// Files and descriptors of a pair; on failure the sockets that have no file are still the caller's.
static result<void> map_pair(socket *a, socket *b, u32 flags, user_ptr<int> sv, file_ptr *fa,
                             file_ptr *fb)
{
    *fa = file_ptr{TRY(sock_alloc_file(a, flags))};
    *fb = file_ptr{TRY(sock_alloc_file(b, flags))};
    int fd[2] = {TRY(get_unused_fd_flags(flags)), -1};
    auto second = get_unused_fd_flags(flags);
    result<void> r = second ? result<void>{} : result<void>{second.fail()};
    if (r) {
        fd[1] = *second;
        r = copy_to_user(user_ptr<void>{sv.addr()}, fd, sizeof fd);
    }
    if (!r) {
        put_unused_fd(fd[0]);
        if (second)
            put_unused_fd(*second);
        return r;
    }
    fd_install(fd[0], fa->release());
    fd_install(fd[1], fb->release());
    return {};
}

result<void> sys_socketpair(int family, int type, int protocol, user_ptr<int> sv)
{
    u32 flags = static_cast<u32>(type) & ~static_cast<u32>(SOCK_TYPE_MASK);
    if (flags & ~static_cast<u32>(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return error{EINVAL};
    socket *a = TRY(sock_create(family, type & SOCK_TYPE_MASK, protocol));
    auto b = sock_create(family, type & SOCK_TYPE_MASK, protocol);
    if (!b) {
        sock_release(a);
        return b.fail();
    }
    file_ptr fa, fb;
    auto r = a->ops->socketpair ? a->ops->socketpair(a, *b) : result<void>{error{EOPNOTSUPP}};
    if (r)
        r = map_pair(a, *b, flags, sv, &fa, &fb);
    if (r)
        return r;
    if (!fa.get())
        sock_release(a);
    if (!fb.get())
        sock_release(*b);
    return r;
}

result<void> sys_bind(int fd, user_ptr<const void> addr, int len)
{
    socket_fd s{fd};
    if (!s)
        return s.fail();
    sockaddr_storage a;
    TRY_VOID(move_addr_to_kernel(addr, len, &a));
    return s->ops->bind(s.get(), &a, len);
}

result<void> sys_connect(int fd, user_ptr<const void> addr, int len)
{
    socket_fd s{fd};
    if (!s)
        return s.fail();
    sockaddr_storage a;
    TRY_VOID(move_addr_to_kernel(addr, len, &a));
    return s->ops->connect(s.get(), &a, len, s.file_flags());
}

result<void> sys_listen(int fd, int backlog)
{
    socket_fd s{fd};
    if (!s)
        return s.fail();
    int limit = read_once(sysctl_somaxconn);
    if (static_cast<u32>(backlog) > static_cast<u32>(limit))
        backlog = limit;
    return s->ops->listen(s.get(), backlog);
}

/// The second half of accept4: file and descriptor exist before it waits, as in Linux (atlas §28.15).
static result<int> accept_into(socket *s, socket *child, int fd, u32 file_flags,
                               user_ptr<void> addr, user_ptr<int> len)
{
    TRY_VOID(s->ops->accept(s, child, file_flags));
    if (addr) {
        sockaddr_storage a;
        auto n = child->ops->getname(child, &a, true);
        if (!n)
            return error{ECONNABORTED};
        TRY_VOID(move_addr_to_user(&a, *n, addr, len));
    }
    return fd;
}

result<int> sys_accept4(int fd, user_ptr<void> addr, user_ptr<int> len, int flags)
{
    if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return error{EINVAL};
    socket_fd s{fd};
    if (!s)
        return s.fail();
    socket *child = sock_alloc();
    if (!child)
        return error{ENFILE};
    child->type = s->type;
    child->ops = s->ops;
    auto newfd = get_unused_fd_flags(static_cast<u32>(flags));
    if (!newfd) {
        sock_release(child);
        return newfd.fail();
    }
    auto f = sock_alloc_file(child, static_cast<u32>(flags));
    if (!f) {
        put_unused_fd(*newfd);
        sock_release(child);
        return f.fail();
    }
    auto r = accept_into(s.get(), child, *newfd, s.file_flags(), addr, len);
    if (!r) {
        fput(*f);
        put_unused_fd(*newfd);
        return r;
    }
    fd_install(*newfd, *f);
    return r;
}

result<int> sys_accept(int fd, user_ptr<void> addr, user_ptr<int> len)
{
    return sys_accept4(fd, addr, len, 0);
}

static result<void> get_name(int fd, user_ptr<void> addr, user_ptr<int> len, bool peer)
{
    socket_fd s{fd};
    if (!s)
        return s.fail();
    sockaddr_storage a;
    int n = TRY(s->ops->getname(s.get(), &a, peer));
    return move_addr_to_user(&a, n, addr, len);
}

result<void> sys_getsockname(int fd, user_ptr<void> addr, user_ptr<int> len)
{
    return get_name(fd, addr, len, false);
}

result<void> sys_getpeername(int fd, user_ptr<void> addr, user_ptr<int> len)
{
    return get_name(fd, addr, len, true);
}

result<void> sys_setsockopt(int fd, int level, int name, user_ptr<const void> val, int len)
{
    if (len < 0)
        return error{EINVAL};
    socket_fd s{fd};
    if (!s)
        return s.fail();
    if (level == SOL_SOCKET)
        return sock_setsockopt(s.get(), level, name, val, static_cast<unsigned>(len));
    return s->ops->setsockopt(s.get(), level, name, val, static_cast<unsigned>(len));
}

result<void> sys_getsockopt(int fd, int level, int name, user_ptr<void> val, user_ptr<int> len)
{
    socket_fd s{fd};
    if (!s)
        return s.fail();
    if (level == SOL_SOCKET)
        return sock_getsockopt(s.get(), level, name, val, len);
    return s->ops->getsockopt(s.get(), level, name, val, len);
}

result<void> sys_shutdown(int fd, int how)
{
    socket_fd s{fd};
    if (!s)
        return s.fail();
    return s->ops->shutdown(s.get(), how);
}

result<size_t> sys_sendto(int fd, u64 buf, size_t len, u32 flags, user_ptr<const void> addr,
                          int addr_len)
{
    len = min<size_t>(len, INT32_MAX);
    socket_fd s{fd};
    if (!s)
        return s.fail();
    sockaddr_storage a;
    iov_iter iter = iov_iter::user(buf, len);
    msghdr m;
    m.msg_iter = &iter;
    if (addr) {
        TRY_VOID(move_addr_to_kernel(addr, addr_len, &a));
        m.msg_name = &a;
        m.msg_namelen = addr_len;
    }
    m.msg_flags = s.nonblock() ? flags | MSG_DONTWAIT : flags;
    return sock_sendmsg(s.get(), &m, len);
}

result<size_t> sys_recvfrom(int fd, u64 buf, size_t len, u32 flags, user_ptr<void> addr,
                            user_ptr<int> addr_len)
{
    len = min<size_t>(len, INT32_MAX);
    socket_fd s{fd};
    if (!s)
        return s.fail();
    sockaddr_storage a;
    iov_iter iter = iov_iter::user(buf, len);
    msghdr m;
    m.msg_iter = &iter;
    m.msg_name = &a;
    auto r = sock_recvmsg(s.get(), &m, len, s.nonblock() ? flags | MSG_DONTWAIT : flags);
    if (r && addr)
        TRY_VOID(move_addr_to_user(&a, m.msg_namelen, addr, addr_len));
    return r;
}

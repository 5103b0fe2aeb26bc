// SPDX-License-Identifier: MIT
// The socket calls for UDP, judged by themselves: errors of socket() and bind(), options, flags, connected sockets. Everything
// goes over lo. Prints "ok NAME" or "FAIL NAME: …" a line; names of mission rows lead where one is shown.
#include "guest_test.h"

/// A pointer to nothing that the compiler does not see through.
static void *bad_pointer(void)
{
    volatile unsigned long hidden = 1;
    return (void *)hidden;
}

static struct sockaddr *sa(struct sockaddr_in *a)
{
    return (struct sockaddr *)a;
}

/// A UDP socket on 127.0.0.1, any port, that waits long, but not for ever.
static int patient_socket(void)
{
    int fd = udp_socket("127.0.0.1", 0);
    set_timeout(fd, PATIENCE_MS);
    return fd;
}

static int get_int(int fd, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    return getsockopt(fd, level, name, &value, &length) < 0 ? -errno : value;
}

static void check_creation(void)
{
    check_errno("K-01 unknown family", socket(AF_INET + 40, SOCK_DGRAM, 0), EAFNOSUPPORT);
    check_errno("K-01 unknown type", socket(AF_INET, 99, 0), EINVAL);
    check_errno("K-02 type without protocol", socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
    check_errno("K-02 protocol of another type", socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP),
                EPROTONOSUPPORT);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
    check_value("K-02 SO_TYPE", get_int(fd, SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
    check_value("K-02 SO_PROTOCOL", get_int(fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_UDP);
    check_value("K-02 SO_DOMAIN", get_int(fd, SOL_SOCKET, SO_DOMAIN), AF_INET);
    check("K-01 SOCK_NONBLOCK", fcntl(fd, F_GETFL) & O_NONBLOCK, "not set");
    check("K-01 SOCK_CLOEXEC", fcntl(fd, F_GETFD) & FD_CLOEXEC, "not set");
    close(fd);
    check_errno("T-01 bad descriptor", send(fd, "x", 1, 0), EBADF);
    int file = open("/test/pattern.bin", O_RDONLY);
    check_errno("T-01 not a socket", send(file, "x", 1, 0), ENOTSOCK);
    close(file);
}

static void check_bind(void)
{
    struct sockaddr_in a = address_of("127.0.0.1", 6000), b = address_of("0.0.0.0", 6000),
                       far = address_of("192.0.2.1", 6001);
    struct sockaddr_in wrong = a, got;
    socklen_t length = sizeof got;
    int one = socket(AF_INET, SOCK_DGRAM, 0), two = socket(AF_INET, SOCK_DGRAM, 0);
    check_value("bind", bind(one, sa(&a), sizeof a), 0);
    check_errno("bind the same", bind(two, sa(&a), sizeof a), EADDRINUSE);
    check_errno("bind the wildcard over it", bind(two, sa(&b), sizeof b), EADDRINUSE);
    check_errno("bind twice", bind(one, sa(&b), sizeof b), EINVAL);
    check_errno("bind somebody else's address", bind(two, sa(&far), sizeof far), EADDRNOTAVAIL);
    check_errno("bind short address", bind(two, sa(&a), 4), EINVAL);
    wrong.sin_family = 40;
    check_errno("bind other family", bind(two, sa(&wrong), sizeof wrong), EAFNOSUPPORT);
    check_value("getsockname", getsockname(one, sa(&got), &length), 0);
    check("getsockname tells",
          got.sin_port == a.sin_port && got.sin_addr.s_addr == a.sin_addr.s_addr, "another");
    length = sizeof got;
    check_errno("getpeername without one", getpeername(one, sa(&got), &length), ENOTCONN);
    int on = 1;
    setsockopt(one, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(two, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    check_value("bind with SO_REUSEADDR", bind(two, sa(&a), sizeof a), 0);
    close(one);
    close(two);
    one = socket(AF_INET, SOCK_DGRAM, 0);
    check_value("port free again after close", bind(one, sa(&a), sizeof a), 0);
    close(one);
    one = udp_socket("0.0.0.0", 0);
    check("automatic port", port_of(one) >= 32768 && port_of(one) <= 61000,
          "outside ip_local_port_range");
    check_errno("listen on UDP", listen(one, 1), EOPNOTSUPP);
    check_errno("accept on UDP", accept(one, NULL, NULL), EOPNOTSUPP);
    close(one);
}

static void check_options(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0), value;
    char byte;
    socklen_t length = sizeof value;
    check_value("default SO_RCVBUF", get_int(fd, SOL_SOCKET, SO_RCVBUF), 212992);
    check_value("default SO_SNDBUF", get_int(fd, SOL_SOCKET, SO_SNDBUF), 212992);
    value = 5000;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, sizeof value);
    check_value("SO_RCVBUF is doubled", get_int(fd, SOL_SOCKET, SO_RCVBUF), 10000);
    value = 100 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, sizeof value);
    check_value("SO_RCVBUF is limited", get_int(fd, SOL_SOCKET, SO_RCVBUF), 425984);
    value = 1;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, sizeof value);
    check("SO_RCVBUF has a least", get_int(fd, SOL_SOCKET, SO_RCVBUF) >= 2048, "less");
    check_value("SO_REUSEADDR", get_int(fd, SOL_SOCKET, SO_REUSEADDR), 0);
    value = 7;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, sizeof value);
    check_value("SO_REUSEADDR is one bit", get_int(fd, SOL_SOCKET, SO_REUSEADDR), 1);
    value = 99;
    setsockopt(fd, IPPROTO_IP, IP_TTL, &value, sizeof value);
    check_value("IP_TTL", get_int(fd, IPPROTO_IP, IP_TTL), 99);
    value = 300;
    check_errno("IP_TTL out of range", setsockopt(fd, IPPROTO_IP, IP_TTL, &value, sizeof value),
                EINVAL);
    check_errno("unknown option", setsockopt(fd, SOL_SOCKET, 4000, &value, sizeof value),
                ENOPROTOOPT);
    check_errno("short option", setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &byte, 1), EINVAL);
    check_errno("option at a bad address", setsockopt(fd, SOL_SOCKET, SO_RCVBUF, bad_pointer(), 4),
                EFAULT);
    check_errno("option to a bad address",
                getsockopt(fd, SOL_SOCKET, SO_RCVBUF, bad_pointer(), &length), EFAULT);
    struct timeval tv = {1, 500000}, got;
    length = sizeof got;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &got, &length);
    check("SO_RCVTIMEO reads back",
          got.tv_sec == 1 && got.tv_usec >= 499000 && got.tv_usec <= 501000, "another");
    struct sockaddr_in everybody = address_of("255.255.255.255", 6000);
    check_errno("broadcast needs SO_BROADCAST",
                sendto(fd, "x", 1, 0, sa(&everybody), sizeof everybody), EACCES);
    close(fd);
}

static void check_receive(void)
{
    static char big[70000];
    char data[64];
    int in = patient_socket(), out = udp_socket("127.0.0.1", 0), waiting = -1;
    struct sockaddr_in to = address_of("127.0.0.1", port_of(in)), from;
    socklen_t length = sizeof from;
    check_errno("U-08 MSG_DONTWAIT on empty", recv(in, data, sizeof data, MSG_DONTWAIT), EAGAIN);
    fcntl(in, F_SETFL, O_NONBLOCK);
    check_errno("U-08 O_NONBLOCK on empty", recv(in, data, sizeof data, 0), EAGAIN);
    fcntl(in, F_SETFL, 0);
    set_timeout(in, 200);
    double begin = now();
    check_errno("SO_RCVTIMEO ends a wait", recv(in, data, sizeof data, 0), EAGAIN);
    check("SO_RCVTIMEO waits", now() - begin >= 0.19, "too short");
    set_timeout(in, PATIENCE_MS);
    sendto(out, "0123456789", 10, 0, sa(&to), sizeof to);
    check_value("MSG_PEEK", recv(in, data, sizeof data, MSG_PEEK), 10);
    check_value("FIONREAD call", ioctl(in, FIONREAD, &waiting), 0);
    check_value("FIONREAD", waiting, 10);
    check_value("MSG_PEEK leaves it", recv(in, data, 4, MSG_PEEK), 4);
    check_value("MSG_TRUNC tells the whole length", recv(in, data, 4, MSG_PEEK | MSG_TRUNC), 10);
    memset(data, 0, sizeof data);
    struct iovec pieces[2] = {{data, 3}, {data + 10, 4}};
    struct msghdr message = {
        .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = pieces, .msg_iovlen = 2};
    check_value("recvmsg in pieces", recvmsg(in, &message, 0), 7);
    check("X-10 cut off and told", message.msg_flags & MSG_TRUNC, "no MSG_TRUNC");
    check("recvmsg contents", !memcmp(data, "012", 3) && !memcmp(data + 10, "3456", 4), "differ");
    check("recvmsg address",
          ntohs(from.sin_port) == port_of(out) && message.msg_namelen == sizeof from, "another");
    check_errno("X-10 the rest is gone", recv(in, data, sizeof data, MSG_DONTWAIT), EAGAIN);
    sendto(out, "", 0, 0, sa(&to), sizeof to);
    check_value("empty datagram", recvfrom(in, data, sizeof data, 0, sa(&from), &length), 0);
    for (int i = 0; i < 3; i++)
        sendto(out, data, (size_t)i + 1, 0, sa(&to), sizeof to);
    for (int i = 0; i < 3; i++)
        check_value("X-10 boundaries stay", recv(in, data, sizeof data, 0), i + 1);
    struct iovec parts[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    struct msghdr gather = {
        .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = parts, .msg_iovlen = 3};
    check_value("sendmsg in pieces", sendmsg(out, &gather, 0), 5);
    check("sendmsg contents", recv(in, data, sizeof data, 0) == 5 && !memcmp(data, "abcde", 5),
          "differ");
    check_value("largest datagram", sendto(out, big, 65507, 0, sa(&to), sizeof to), 65507);
    check_value("largest datagram arrives", recv(in, big, sizeof big, 0), 65507);
    check_errno("too large", sendto(out, big, 65508, 0, sa(&to), sizeof to), EMSGSIZE);
    check_errno("no destination", send(out, "x", 1, 0), EDESTADDRREQ);
    to.sin_port = 0;
    check_errno("port 0", sendto(out, "x", 1, 0, sa(&to), sizeof to), EINVAL);
    close(in);
    close(out);
}

static void check_connected(void)
{
    char data[64];
    int a = patient_socket(), b = patient_socket(), c = patient_socket();
    struct sockaddr_in at_a = address_of("127.0.0.1", port_of(a)),
                       at_b = address_of("127.0.0.1", port_of(b)), got;
    struct sockaddr_in none = {.sin_family = AF_UNSPEC};
    socklen_t length = sizeof got;
    check_value("connect", connect(a, sa(&at_b), sizeof at_b), 0);
    check_value("getpeername", getpeername(a, sa(&got), &length), 0);
    check("getpeername tells", got.sin_port == at_b.sin_port, "another");
    check_value("send to the peer", send(a, "1", 1, 0), 1);
    check_value("it arrives", recv(b, data, sizeof data, 0), 1);
    sendto(c, "from c", 6, 0, sa(&at_a), sizeof at_a);
    check_errno("only the peer is heard", recv(a, data, sizeof data, MSG_DONTWAIT), EAGAIN);
    sendto(b, "from b", 6, 0, sa(&at_a), sizeof at_a);
    check_value("the peer is heard", recv(a, data, sizeof data, 0), 6);
    check_value("write() sends", write(a, "2", 1), 1);
    check_value("read() receives", read(b, data, sizeof data), 1);
    check_value("disconnect", connect(a, sa(&none), sizeof none), 0);
    check_errno("disconnected", send(a, "x", 1, 0), EDESTADDRREQ);
    close(b);
    connect(a, sa(&at_b), sizeof at_b);
    send(a, "x", 1, 0);
    check_errno("U-02 closed port on lo", recv(a, data, sizeof data, 0), ECONNREFUSED);
    close(a);
    close(c);
}

static void check_shutdown_and_fds(void)
{
    char data[16];
    int a = patient_socket();
    check_errno("shutdown without a peer", shutdown(a, SHUT_RD), ENOTCONN);
    int copy = dup(a);
    close(a);
    struct sockaddr_in self = address_of("127.0.0.1", port_of(copy));
    sendto(copy, "dup", 3, 0, sa(&self), sizeof self);
    check_value("a duplicated descriptor is the same socket", recv(copy, data, sizeof data, 0), 3);
    pid_t pid = fork();
    if (pid == 0) {
        sendto(copy, "child", 5, 0, sa(&self), sizeof self);
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    check_value("so is an inherited one", recv(copy, data, sizeof data, 0), 5);
    close(copy);
    int opened = 0, fds[1100];
    while (opened < 1100 && (fds[opened] = socket(AF_INET, SOCK_DGRAM, 0)) >= 0)
        opened++;
    check("a process has a limit of descriptors", opened < 1100 && errno == EMFILE, NULL);
    while (opened > 0)
        close(fds[--opened]);
}

int main(void)
{
    line_output();
    check_creation();
    check_bind();
    check_options();
    check_receive();
    check_connected();
    check_shutdown_and_fds();
    puts(failures ? "failed" : "all ok");
    return failures != 0;
}

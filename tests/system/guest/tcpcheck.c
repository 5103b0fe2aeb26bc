// SPDX-License-Identifier: MIT
// TCP from a program's side, judged by itself over lo: the byte stream, blocking, buffers, urgent data, options, limits of descriptors. Says
// the same on Linux. Prints "ok NAME" or "FAIL NAME: …" a line; the mission row leads where one is shown.
#include "guest_test.h"
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>

static struct sockaddr *sa(struct sockaddr_in *a)
{
    return (struct sockaddr *)a;
}

/// A listening socket on 127.0.0.1, any port.
static int listening(int backlog)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = address_of("127.0.0.1", 0);
    if (fd < 0 || bind(fd, sa(&a), sizeof a) < 0 || listen(fd, backlog) < 0)
        check("listen", 0, NULL);
    return fd;
}

static int dial(int listener)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = address_of("127.0.0.1", port_of(listener));
    if (connect(fd, sa(&a), sizeof a) < 0)
        check("connect", 0, NULL);
    return fd;
}

/// Both ends of a connection; the first one has connected.
static void make_pair(int end[2])
{
    int l = listening(5);
    end[0] = dial(l);
    end[1] = accept(l, NULL, NULL);
    close(l);
}

static void close_pair(const int end[2])
{
    close(end[0]);
    close(end[1]);
}

static int get_int(int fd, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    return getsockopt(fd, level, name, &value, &length) < 0 ? -errno : value;
}

static int set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value);
}

/// The first word of a file of /proc/sys.
static const char *setting(const char *path)
{
    static char text[32];
    int fd = open(path, O_RDONLY);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    close(fd);
    text[got < 0 ? 0 : got] = 0;
    text[strcspn(text, "\n")] = 0;
    return text;
}

static void join(pid_t child)
{
    int status = 0;
    waitpid(child, &status, 0);
    failures += !WIFEXITED(status) || WEXITSTATUS(status);
}

static void check_boundaries(void)
{
    int end[2];
    char data[16];
    make_pair(end);
    send(end[0], "abc", 3, 0);
    send(end[0], "def", 3, 0);
    check_value("X-10 a stream joins what was sent", recv(end[1], data, 6, MSG_WAITALL), 6);
    send(end[0], "123456", 6, 0);
    check_value("X-10 a stream gives a part", recv(end[1], data, 4, MSG_WAITALL), 4);
    check_value("X-10 and the rest next time", recv(end[1], data, sizeof data, 0), 2);
    close_pair(end);
    int u = udp_socket("127.0.0.1", 0);
    struct sockaddr_in self = address_of("127.0.0.1", port_of(u));
    sendto(u, "abc", 3, 0, sa(&self), sizeof self);
    sendto(u, "123456", 6, 0, sa(&self), sizeof self);
    check_value("X-10 a datagram comes alone", recv(u, data, sizeof data, 0), 3);
    check_value("X-10 MSG_TRUNC tells a datagram's length", recv(u, data, 4, MSG_TRUNC), 6);
    check_errno("X-10 the rest of it is gone", recv(u, data, sizeof data, MSG_DONTWAIT), EAGAIN);
    close(u);
}

enum { MESSAGES = 1000, LONGEST = 300 };

/// Message n: tag 1 byte, length 2 bytes, value.
static size_t make_message(unsigned char *to, int n)
{
    size_t length = (size_t)(n * 7 % LONGEST);
    to[0] = (unsigned char)(n % 5);
    to[1] = (unsigned char)(length >> 8);
    to[2] = (unsigned char)length;
    for (size_t i = 0; i < length; i++)
        to[3 + i] = (unsigned char)((size_t)n + i);
    return 3 + length;
}

static void write_messages(int fd)
{
    static unsigned char all[MESSAGES * (3 + LONGEST)];
    size_t total = 0;
    for (int n = 0; n < MESSAGES; n++)
        total += make_message(all + total, n);
    srand(1);
    for (size_t at = 0; at < total;) {
        size_t part = 1 + (size_t)rand() % 700;
        part = part < total - at ? part : total - at;
        ssize_t sent = send(fd, all + at, part, rand() % 4 ? 0 : MSG_MORE);
        if (sent < 0)
            _exit(1);
        at += (size_t)sent;
    }
    close(fd);
}

static void check_messages(void)
{
    static unsigned char held[8192], wanted[3 + LONGEST];
    int end[2], good = 0;
    make_pair(end);
    pid_t child = fork();
    if (child == 0) {
        close(end[1]);
        set_int(end[0], IPPROTO_TCP, TCP_NODELAY, 1);
        write_messages(end[0]);
        _exit(0);
    }
    close(end[0]);
    srand(2);
    size_t have = 0;
    for (;;) {
        ssize_t got = recv(end[1], held + have, 1 + (size_t)rand() % 1000, 0);
        if (got <= 0)
            break;
        have += (size_t)got;
        size_t used = 0;
        while (have - used >= 3) {
            size_t length = 3 + ((size_t)held[used + 1] << 8 | held[used + 2]);
            if (have - used < length)
                break;
            good += make_message(wanted, good) == length && !memcmp(wanted, held + used, length);
            used += length;
        }
        have -= used;
        memmove(held, held + used, have);
    }
    check_value("X-08 messages found again in the stream", good, MESSAGES);
    close(end[1]);
    join(child);
}

/// A child sends 50 bytes, and 50 more later: when this process sleeps again, or when it has written to `told`, if that is a descriptor.
static pid_t send_twice(const int end[2], int told)
{
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        static char half[50];
        wait_until_asleep(parent);
        send(end[0], half, sizeof half, 0);
        if (told < 0)
            wait_until_asleep(parent);
        else
            read(told, half, 1);
        send(end[0], half, sizeof half, 0);
        _exit(0);
    }
    return child;
}

static void check_enough(void)
{
    int end[2], tell[2];
    char data[200];
    make_pair(end);
    check_value("pipe", pipe(tell), 0);
    set_int(end[1], SOL_SOCKET, SO_RCVLOWAT, 100);
    check_value("W-07 SO_RCVLOWAT", get_int(end[1], SOL_SOCKET, SO_RCVLOWAT), 100);
    pid_t child = send_twice(end, -1);
    check_value("W-07 a read waits for SO_RCVLOWAT", recv(end[1], data, sizeof data, 0), 100);
    join(child);
    set_int(end[1], SOL_SOCKET, SO_RCVLOWAT, 1);
    child = send_twice(end, tell[0]);
    check_value("W-07 one byte is enough", recv(end[1], data, sizeof data, 0), 50);
    write(tell[1], "", 1);
    recv(end[1], data, 50, MSG_WAITALL);
    join(child);
    child = send_twice(end, -1);
    check_value("W-07 MSG_WAITALL waits for all", recv(end[1], data, 100, MSG_WAITALL), 100);
    join(child);
    check_errno("W-21 nothing there", recv(end[1], data, 1, MSG_DONTWAIT), EAGAIN);
    close(end[0]);
    check_value("W-21 0 is the end only", recv(end[1], data, 1, 0), 0);
    close(end[1]);
    close_pair(tell);
}

static void check_send_buffer(void)
{
    static char block[1 << 20];
    int end[2];
    make_pair(end);
    set_int(end[0], SOL_SOCKET, SO_SNDBUF, 16384);
    set_int(end[1], SOL_SOCKET, SO_RCVBUF, 16384);
    ssize_t first = send(end[0], block, sizeof block, MSG_DONTWAIT);
    check("T-02 a full buffer takes a part", first > 0 && first < (ssize_t)sizeof block, NULL);
    ssize_t more;
    struct pollfd p = {.fd = end[0], .events = POLLOUT};
    int writable;
    do { // until nothing that is on the way makes room any more
        while ((more = send(end[0], block, sizeof block, MSG_DONTWAIT)) > 0)
            first += more;
    } while ((writable = poll(&p, 1, 500)) == 1);
    check_errno("T-02 and then nothing", more, EAGAIN);
    check_value("T-02 not writable", writable, 0);
    pid_t child = fork();
    if (child == 0) {
        close(end[1]);
        _exit(send(end[0], block, sizeof block, 0) != sizeof block); // sleeps until there is room
    }
    close(end[0]);
    ssize_t read_all = 0, got;
    while ((got = recv(end[1], block, sizeof block, 0)) > 0)
        read_all += got;
    check_value("T-02 acknowledgments wake the sender", read_all, first + (1 << 20));
    join(child);
    close(end[1]);
}

static volatile sig_atomic_t urgent;

static void on_urgent(int sig)
{
    urgent = sig;
}

static void check_urgent(void)
{
    int end[2], at_mark = -1;
    char data[16];
    make_pair(end);
    signal(SIGURG, on_urgent);
    check_value("F_SETOWN", fcntl(end[1], F_SETOWN, getpid()), 0);
    check_value("F_GETOWN", fcntl(end[1], F_GETOWN), getpid());
    send(end[0], "ab", 2, 0);
    send(end[0], "X", 1, MSG_OOB);
    send(end[0], "cd", 2, 0);
    struct pollfd p = {.fd = end[1], .events = POLLPRI};
    int ready;
    while ((ready = poll(&p, 1, PATIENCE_MS)) < 0 && errno == EINTR)
        ; // the signal comes before the byte is there to be read
    check_value("POLLPRI", ready, 1);
    check("SIGURG", urgent == SIGURG, "no signal");
    check_value("a read stops at the mark", recv(end[1], data, sizeof data, 0), 2);
    check_value("SIOCATMARK", ioctl(end[1], SIOCATMARK, &at_mark), 0);
    check_value("at the mark", at_mark, 1);
    check("MSG_OOB", recv(end[1], data, 1, MSG_OOB) == 1 && data[0] == 'X', NULL);
    check_errno("only once", recv(end[1], data, 1, MSG_OOB), EINVAL);
    check("the stream goes on after it", recv(end[1], data, 2, MSG_WAITALL) == 2 && data[0] == 'c',
          NULL);
    ioctl(end[1], SIOCATMARK, &at_mark);
    check_value("past the mark", at_mark, 0);
    set_int(end[1], SOL_SOCKET, SO_OOBINLINE, 1);
    send(end[0], "Y", 1, MSG_OOB);
    check("SO_OOBINLINE", recv(end[1], data, 1, 0) == 1 && data[0] == 'Y', NULL);
    check_errno("then not out of band", recv(end[1], data, 1, MSG_OOB), EINVAL);
    signal(SIGURG, SIG_DFL);
    close_pair(end);
}

static void check_option(const char *name, int fd, int option, int set, int wanted)
{
    char text[64];
    snprintf(text, sizeof text, "set %s", name);
    check_value(text, set_int(fd, IPPROTO_TCP, option, set), 0);
    check_value(name, get_int(fd, IPPROTO_TCP, option), wanted);
}

static void check_options(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    check_option("A-03 TCP_KEEPIDLE", fd, TCP_KEEPIDLE, 2, 2);
    check_option("A-03 TCP_KEEPINTVL", fd, TCP_KEEPINTVL, 1, 1);
    check_option("A-03 TCP_KEEPCNT", fd, TCP_KEEPCNT, 3, 3);
    check_option("TCP_SYNCNT", fd, TCP_SYNCNT, 2, 2);
    check_option("TCP_LINGER2", fd, TCP_LINGER2, 7, 7);
    check_option("TCP_LINGER2 off", fd, TCP_LINGER2, -1, -1);
    check_option("TCP_DEFER_ACCEPT", fd, TCP_DEFER_ACCEPT, 3, 3);
    check_option("TCP_DEFER_ACCEPT in whole time-outs", fd, TCP_DEFER_ACCEPT, 5, 7);
    check_option("TCP_USER_TIMEOUT", fd, TCP_USER_TIMEOUT, 12345, 12345);
    check_option("TCP_NODELAY", fd, TCP_NODELAY, 1, 1);
    check_option("TCP_CORK", fd, TCP_CORK, 1, 1);
    check_option("TCP_MAXSEG", fd, TCP_MAXSEG, 1000, 1000);
    check_option("TCP_WINDOW_CLAMP", fd, TCP_WINDOW_CLAMP, 8000, 8000);
    check_value("TCP_QUICKACK", get_int(fd, IPPROTO_TCP, TCP_QUICKACK), 1);
    check_option("TCP_QUICKACK off", fd, TCP_QUICKACK, 0, 0);
    check_errno("TCP_KEEPIDLE 0", set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 0), EINVAL);
    check_errno("TCP_KEEPCNT 128", set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 128), EINVAL);
    check_errno("TCP_SYNCNT 0", set_int(fd, IPPROTO_TCP, TCP_SYNCNT, 0), EINVAL);
    check_errno("TCP_MAXSEG 1", set_int(fd, IPPROTO_TCP, TCP_MAXSEG, 1), EINVAL);
    check_errno("an unknown option", set_int(fd, IPPROTO_TCP, 99, 1), ENOPROTOOPT);
    char name[16] = "";
    socklen_t length = sizeof name;
    getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length);
    check("TCP_CONGESTION", !strcmp(name, setting("/proc/sys/net/ipv4/tcp_congestion_control")),
          name);
    check_value("reno", setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
    check_errno("no such congestion control",
                setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "none", 4), ENOENT);
    close(fd);
}

/// The accept queue's limit, as ss shows it.
static int accept_limit(int fd)
{
    struct tcp_info info;
    socklen_t length = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0 ? -1 : (int)info.tcpi_sacked;
}

static void check_backlog(void)
{
    int most = atoi(setting("/proc/sys/net/core/somaxconn"));
    int fd = listening(-1);
    check_value("N-01 listen(-1) means somaxconn", accept_limit(fd), most);
    listen(fd, 5);
    check_value("N-02 listen again", accept_limit(fd), 5);
    listen(fd, most + 1);
    check_value("N-01 no more than somaxconn", accept_limit(fd), most);
    close(fd);
}

static void check_descriptors(void)
{
    struct rlimit old, few;
    int l = listening(5), top = dup(l);
    getrlimit(RLIMIT_NOFILE, &old);
    fcntl(l, F_SETFL, O_NONBLOCK);
    check_errno("H-05 nobody to accept", accept(l, NULL, NULL), EAGAIN);
    fcntl(l, F_SETFL, 0);
    int c = dial(l);
    close(top);
    few = (struct rlimit){(rlim_t)c + 1, old.rlim_max};
    int fill[64], n = 0;
    setrlimit(RLIMIT_NOFILE, &few);
    while (n < 64 && (fill[n] = dup(l)) >= 0)
        n++;
    check("Z-02 RLIMIT_NOFILE", n < 64 && errno == EMFILE, NULL);
    check_errno("Z-02 socket at the limit", socket(AF_INET, SOCK_STREAM, 0), EMFILE);
    check_errno("Z-02 accept at the limit", accept(l, NULL, NULL), EMFILE);
    setrlimit(RLIMIT_NOFILE, &old);
    int a = accept(l, NULL, NULL);
    check("Z-02 the connection has waited", a >= 0, NULL);
    setrlimit(RLIMIT_NOFILE, &few);
    close(a);
    while (n < 64 && (fill[n] = dup(l)) >= 0)
        n++;
    check_errno("H-05 the descriptor comes before the wait", accept(l, NULL, NULL), EMFILE);
    while (n > 0)
        close(fill[--n]);
    setrlimit(RLIMIT_NOFILE, &old);
    rlim_t above = (rlim_t)atoi(setting("/proc/sys/fs/nr_open")) + 1;
    check_errno("Z-02 no limit above nr_open",
                setrlimit(RLIMIT_NOFILE, &(struct rlimit){above, above}), EPERM);
    close(c);
    close(l);
}

int main(void)
{
    line_output();
    check_boundaries();
    check_messages();
    check_enough();
    check_send_buffer();
    check_urgent();
    check_options();
    check_backlog();
    check_descriptors();
    puts(failures ? "failed" : "all ok");
    return failures != 0;
}

// SPDX-License-Identifier: MIT
// AF_UNIX: names, connections, messages, passed files and credentials, errors. argv[1]: a directory of its own. Says the same on Linux.
#include "guest_test.h"
#include <poll.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

static struct sockaddr_un name_of(const char *path, socklen_t *len)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = strlen(path[0] == '@' ? path + 1 : path);
    if (path[0] == '@') {
        memcpy(a.sun_path + 1, path + 1, n);
        *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
    } else {
        memcpy(a.sun_path, path, n + 1);
        *len = sizeof a;
    }
    return a;
}
static int bind_to(int fd, const char *path)
{
    socklen_t len;
    struct sockaddr_un a = name_of(path, &len);
    return bind(fd, (struct sockaddr *)&a, len);
}
static int connect_to(int fd, const char *path)
{
    socklen_t len;
    struct sockaddr_un a = name_of(path, &len);
    return connect(fd, (struct sockaddr *)&a, len);
}
static ssize_t send_to(int fd, const char *path, const char *text)
{
    socklen_t len;
    struct sockaddr_un a = name_of(path, &len);
    return sendto(fd, text, strlen(text), MSG_DONTWAIT, (struct sockaddr *)&a, len);
}
static int events(int fd)
{
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0};
    poll(&p, 1, 0);
    return p.revents;
}

/// Send `text` with descriptors; *creds too if not null.
static ssize_t send_fds(int s, const char *text, const int *fds, unsigned n,
                        const struct ucred *creds)
{
    char control[CMSG_SPACE(sizeof(int) * 300) + CMSG_SPACE(sizeof(struct ucred))] = {0};
    struct iovec v = {(void *)text, strlen(text)};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control};
    struct cmsghdr *c = (struct cmsghdr *)control;
    if (n) {
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * n);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
        m.msg_controllen += CMSG_SPACE(sizeof(int) * n);
        c = (struct cmsghdr *)(control + m.msg_controllen);
    }
    if (creds) {
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_CREDENTIALS;
        c->cmsg_len = CMSG_LEN(sizeof *creds);
        memcpy(CMSG_DATA(c), creds, sizeof *creds);
        m.msg_controllen += CMSG_SPACE(sizeof *creds);
    }
    return syscall(SYS_sendmsg, s, &m, MSG_DONTWAIT); // musl's own has little room for control data
}

struct received {
    char text[256];
    ssize_t n;
    int fds[300];
    unsigned count;
    struct ucred creds;
    int have_creds, flags;
};
static struct received receive(int s, size_t room, int flags)
{
    struct received r = {.n = 0};
    char control[2048];
    struct iovec v = {r.text, sizeof r.text};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room};
    r.n = recvmsg(s, &m, flags | MSG_DONTWAIT);
    r.flags = m.msg_flags;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); r.n >= 0 && c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_type == SCM_RIGHTS) {
            r.count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            memcpy(r.fds, CMSG_DATA(c), r.count * sizeof(int));
        } else if (c->cmsg_type == SCM_CREDENTIALS) {
            memcpy(&r.creds, CMSG_DATA(c), sizeof r.creds);
            r.have_creds = 1;
        }
    }
    return r;
}

static void check_pairs(void)
{
    int p[2];
    char buf[256];
    check_errno("pair of a bad type", socketpair(AF_UNIX, SOCK_RDM, 0, p), ESOCKTNOSUPPORT);
    check_errno("pair of a bad protocol", socketpair(AF_UNIX, SOCK_STREAM, 6, p), EPROTONOSUPPORT);
    check_errno("pair of AF_INET", socketpair(AF_INET, SOCK_DGRAM, 0, p), EOPNOTSUPP);
    check_errno("pair to a bad address", syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 8),
                EFAULT);
    check_value("stream pair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
    check_value("cloexec", fcntl(p[1], F_GETFD), FD_CLOEXEC);
    check_value("fresh events", events(p[0]), POLLOUT);
    check_value("write", write(p[0], "hello", 5), 5);
    check_value("write more", write(p[0], "world", 5), 5);
    int n;
    check("FIONREAD", ioctl(p[1], FIONREAD, &n) == 0 && n == 10, NULL);
    check_value("peek", recv(p[1], buf, 3, MSG_PEEK), 3);
    check_value("writes are glued", read(p[1], buf, sizeof buf), 10);
    check("bytes", memcmp(buf, "helloworld", 10) == 0, "");
    check_errno("nothing left", recv(p[1], buf, 1, MSG_DONTWAIT), EAGAIN);
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "/x"};
    check_errno("address on a stream", sendto(p[0], "x", 1, 0, (struct sockaddr *)&a, sizeof a),
                EISCONN);
    check_value("shutdown WR", shutdown(p[0], SHUT_WR), 0);
    check_value("peer's events", events(p[1]), POLLIN | POLLOUT | POLLRDHUP);
    check_value("end of file", read(p[1], buf, 1), 0);
    check_value("other way still works", write(p[1], "back", 4), 4);
    check_value("read it", read(p[0], buf, 10), 4);
    check_errno("EPIPE", send(p[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    check_value("unread data", write(p[1], "lost", 4), 4);
    close(p[0]);
    check_value("after close", events(p[1]), POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
    check_errno("reset", read(p[1], buf, 1), ECONNRESET);
    check_value("then the end", read(p[1], buf, 1), 0);
    check_errno("write to nobody", send(p[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(p[1]);
}

static void check_back_pressure(void)
{
    int p[2], size = 4096;
    static char big[100000];
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p);
    setsockopt(p[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    ssize_t sent = 0, n;
    while ((n = write(p[0], big, 1000)) > 0)
        sent += n;
    check("full", n == -1 && errno == EAGAIN && sent >= 4000 && sent <= 20000, NULL);
    check_value("not writable", events(p[0]), 0);
    int outq;
    check("SIOCOUTQ", ioctl(p[0], TIOCOUTQ, &outq) == 0 && outq >= sent, NULL);
    while ((n = read(p[1], big, sizeof big)) > 0)
        sent -= n;
    check_value("all came", sent, 0);
    check_value("writable again", events(p[0]), POLLOUT);
    // A blocked writer goes on when the reader reads.
    fcntl(p[0], F_SETFL, 0);
    fcntl(p[1], F_SETFL, 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(p[1]);
        _exit(write(p[0], big, sizeof big) == sizeof big ? 0 : 1);
    }
    close(p[0]);
    ssize_t all = 0;
    while ((n = read(p[1], big, 7000)) > 0)
        all += n;
    int status;
    waitpid(pid, &status, 0);
    check_value("bytes through a small buffer", all, sizeof big);
    check_value("writer's status", status, 0);
    close(p[1]);
}

static void check_names(void)
{
    int a = socket(AF_UNIX, SOCK_STREAM, 0), b = socket(AF_UNIX, SOCK_STREAM, 0), c;
    struct sockaddr_un un;
    struct stat st;
    socklen_t len = sizeof un;
    check_value("getsockname of none", getsockname(a, (struct sockaddr *)&un, &len), 0);
    check_value("its length", len, 2);
    check_errno("getpeername", getpeername(a, (struct sockaddr *)&un, &len), ENOTCONN);
    check_errno("listen without a name", listen(a, 1), EINVAL);
    umask(027);
    check_value("bind", bind_to(a, "sock"), 0);
    check("S_IFSOCK", stat("sock", &st) == 0 && S_ISSOCK(st.st_mode), NULL);
    check_value("mode", st.st_mode & 0777, 0750);
    umask(022);
    check_errno("bind again", bind_to(a, "other"), EINVAL);
    check_errno("bind to the same", bind_to(b, "sock"), EADDRINUSE);
    check_errno("bind nowhere", bind_to(b, "no/such"), ENOENT);
    check_errno("open it", open("sock", O_RDWR), ENXIO);
    check_errno("not listening", connect_to(b, "sock"), ECONNREFUSED);
    check_errno("connect to nothing", connect_to(b, "nothing"), ENOENT);
    c = socket(AF_UNIX, SOCK_DGRAM, 0);
    check_errno("connect across types", connect_to(c, "sock"), EPROTOTYPE);
    close(open("plain", O_CREAT | O_RDWR, 0600));
    check_errno("connect to a file", connect_to(c, "plain"), ECONNREFUSED);
    check_errno("send nowhere", send(c, "x", 1, 0), ENOTCONN);
    check_errno("listen on a datagram socket", listen(c, 1), EOPNOTSUPP);
    check_errno("accept on it", accept(c, NULL, NULL), EOPNOTSUPP);
    len = sizeof un;
    un.sun_family = AF_UNIX;
    check_value("autobind", bind(c, (struct sockaddr *)&un, 2), 0);
    check("its name",
          getsockname(c, (struct sockaddr *)&un, &len) == 0 && len == 8 && un.sun_path[0] == 0,
          NULL);
    check_value("listen", listen(a, 1), 0);
    check_value("connect", connect_to(b, "sock"), 0);
    check_errno("connect twice", connect_to(b, "sock"), EISCONN);
    int d = accept(a, (struct sockaddr *)&un, (len = sizeof un, &len));
    check("accept", d >= 0 && len == 2, NULL);
    len = sizeof un;
    check("its own name is the listener's",
          getsockname(d, (struct sockaddr *)&un, &len) == 0 && strcmp(un.sun_path, "sock") == 0,
          NULL);
    len = sizeof un;
    check("peer name",
          getpeername(b, (struct sockaddr *)&un, &len) == 0 && len == 7 &&
              strcmp(un.sun_path, "sock") == 0,
          NULL);
    struct ucred cred;
    len = sizeof cred;
    check("SO_PEERCRED",
          getsockopt(b, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.pid == getpid(), NULL);
    check_errno("accept when empty", (fcntl(a, F_SETFL, O_NONBLOCK), accept(a, NULL, NULL)),
                EAGAIN);
    // Backlog 1: two fit, the third waits.
    int e[3];
    for (int i = 0; i < 3; i++) {
        e[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        int r = connect_to(e[i], "sock");
        check("backlog", i < 2 ? r == 0 : r == -1 && errno == EAGAIN, NULL);
    }
    check_value("listener readable", events(a) & POLLIN, POLLIN);
    close(a);
    check("never accepted", events(e[0]) & POLLHUP, "");
    check_errno("reset", read(e[0], &len, 1), ECONNRESET);
    for (int i = 0; i < 3; i++)
        close(e[i]);
    check("file stays", stat("sock", &st) == 0, NULL);
    close(b);
    b = socket(AF_UNIX, SOCK_STREAM, 0);
    check_errno("nobody behind the file", connect_to(b, "sock"), ECONNREFUSED);
    unlink("sock");
    check_value("abstract", bind_to(b, "@abs"), 0);
    a = socket(AF_UNIX, SOCK_STREAM, 0);
    check_errno("abstract taken", bind_to(a, "@abs"), EADDRINUSE);
    close(b);
    check_value("abstract free again", bind_to(a, "@abs"), 0);
    close(a);
    close(c);
    close(d);
}

static void check_datagrams(void)
{
    int a = socket(AF_UNIX, SOCK_DGRAM, 0), b = socket(AF_UNIX, SOCK_DGRAM, 0), c;
    char buf[64];
    struct sockaddr_un un;
    socklen_t len = sizeof un;
    bind_to(a, "@a");
    bind_to(b, "@b");
    check_value("sendto", send_to(b, "@a", "one"), 3);
    check_value("empty message", send_to(b, "@a", ""), 0);
    check_value("recvfrom", recvfrom(a, buf, sizeof buf, 0, (struct sockaddr *)&un, &len), 3);
    check("sender", len == 4 && memcmp(un.sun_path, "\0b", 2) == 0, "");
    check_value("the empty one", recv(a, buf, sizeof buf, MSG_DONTWAIT), 0);
    send_to(b, "@a", "long message");
    check_value("MSG_TRUNC", recv(a, buf, 4, MSG_TRUNC), 12);
    check_errno("nobody", send_to(b, "@zzz", "x"), ECONNREFUSED);
    check_value("connect", connect_to(b, "@a"), 0);
    check_value("send", send(b, "two", 3, 0), 3);
    check_value("connected peer refuses others",
                (connect_to(a, "@b"), c = socket(AF_UNIX, SOCK_DGRAM, 0),
                 send_to(c, "@a", "x") == -1 ? errno : 0),
                EPERM);
    un.sun_family = AF_UNSPEC;
    check_value("disconnect", connect(a, (struct sockaddr *)&un, sizeof un), 0);
    check_errno("peer was told", send(b, "x", 1, 0), ECONNRESET);
    int n = 0;
    while (send_to(c, "@a", "fill") == 4)
        n++;
    check("max_dgram_qlen", errno == EAGAIN && n >= 10 && n <= 11, NULL);
    check_value("connect to the full one", connect_to(c, "@a"), 0);
    check_value("not writable", events(c) & POLLOUT, 0);
    struct pollfd p = {c, POLLOUT, 0};
    pid_t pid = fork();
    if (pid == 0) {
        sleep_ms(50);
        _exit(recv(a, buf, sizeof buf, 0) != 4);
    }
    check_value("poll is woken by the reader", poll(&p, 1, PATIENCE_MS), 1);
    check_value("writable after one was read", events(c) & POLLOUT, POLLOUT);
    waitpid(pid, NULL, 0);
    close(a);
    check_errno("closed peer", send(c, "x", 1, 0), ECONNREFUSED);
    check_errno("forgotten", send(c, "x", 1, 0), ENOTCONN);
    int size = 4096;
    setsockopt(c, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    static char big[20000];
    check_errno("too big",
                (connect(b, (struct sockaddr *)&un, sizeof un), connect_to(c, "@b"),
                 send(c, big, sizeof big, 0)),
                EMSGSIZE);
    close(b);
    close(c);
}

static void check_seqpacket(void)
{
    int p[2];
    char buf[16];
    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p);
    check_value("packet", send(p[0], "abc", 3, 0), 3);
    check_value("packet 2", send(p[0], "defgh", 5, 0), 5);
    check_value("boundaries", read(p[1], buf, sizeof buf), 3);
    check_value("rest is cut", read(p[1], buf, 2), 2);
    check_errno("cut", recv(p[1], buf, 2, MSG_DONTWAIT), EAGAIN);
    shutdown(p[0], SHUT_WR);
    check_value("end", read(p[1], buf, 2), 0);
    close(p[0]);
    close(p[1]);
    int s = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    check_errno("not connected", send(s, "x", 1, 0), ENOTCONN);
    close(s);
}

static int open_files(void)
{
    int n = 0;
    for (int i = 0; i < 400; i++)
        n += fcntl(i, F_GETFD) >= 0;
    return n;
}

static void check_rights(void)
{
    int p[2], q[2], fds[300];
    int before = open_files();
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    check_value("pipe", pipe(q), 0);
    check_value("send an end", send_fds(p[0], "file", &q[1], 1, NULL), 4);
    write(p[0], "tail", 4);
    close(q[1]);
    struct received r = receive(p[1], 64, MSG_PEEK);
    check("peeked files are copies", r.n == 4 && r.count == 1, NULL);
    close(r.fds[0]);
    r = receive(p[1], 64, MSG_CMSG_CLOEXEC);
    check("the file comes alone",
          r.n == 4 && r.count == 1 && fcntl(r.fds[0], F_GETFD) == FD_CLOEXEC, NULL);
    check_value("it works", write(r.fds[0], "x", 1), 1);
    close(r.fds[0]);
    char buf[8];
    check("and was the last", read(q[0], buf, 8) == 1 && read(q[0], buf, 8) == 0, NULL);
    r = receive(p[1], 64, 0);
    check_value("tail", r.n, 4);
    close(q[0]);
    fds[0] = 999;
    check_errno("bad descriptor", send_fds(p[0], "x", fds, 1, NULL), EBADF);
    for (int i = 0; i < 300; i++)
        fds[i] = p[0];
    check_errno("too many", send_fds(p[0], "x", fds, 254, NULL), EINVAL);
    check_value("most", send_fds(p[0], "x", fds, 253, NULL), 1);
    r = receive(p[1], CMSG_LEN(3 * sizeof(int)), 0);
    check("little room", r.count == 3 && (r.flags & MSG_CTRUNC), NULL);
    for (int i = 0; i < 3; i++)
        close(r.fds[i]);
    send_fds(p[0], "x", fds, 2, NULL);
    r = receive(p[1], 0, 0);
    check("no room", r.n == 1 && r.count == 0 && (r.flags & MSG_CTRUNC), NULL);
    // Each holds the other: nobody can reach them after this.
    send_fds(p[0], "x", &p[0], 1, NULL);
    send_fds(p[1], "x", &p[1], 1, NULL);
    close(p[0]);
    close(p[1]);
    // A chain of sockets in sockets, dropped at its head.
    int head = -1;
    for (int i = 0; i < 200; i++) {
        socketpair(AF_UNIX, SOCK_DGRAM, 0, p);
        if (head >= 0) {
            send_fds(p[0], "x", &head, 1, NULL);
            close(head);
        }
        close(p[0]);
        head = p[1];
    }
    close(head);
    check_value("no descriptor is left", open_files(), before);
}

static void check_credentials(void)
{
    int p[2], on = 1;
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    write(p[0], "a", 1);
    setsockopt(p[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    write(p[0], "b", 1);
    struct received r = receive(p[1], 64, 0);
    check("sent before SO_PASSCRED",
          r.n >= 1 && r.have_creds && r.creds.pid == 0 && r.creds.uid == 65534, NULL);
    if (r.n == 1)
        r = receive(p[1], 64, 0);
    check("sent after it",
          r.n == 1 && r.have_creds && r.creds.pid == getpid() && r.creds.uid == getuid(), NULL);
    struct ucred mine = {getpid(), getuid(), getgid()}, wrong = {999999, 0, 0};
    check_value("explicit", send_fds(p[0], "c", NULL, 0, &mine), 1);
    r = receive(p[1], 64, 0);
    check("explicit came", r.have_creds && r.creds.pid == getpid(), NULL);
    check_errno("no such process", send_fds(p[0], "d", NULL, 0, &wrong), ESRCH);
    close(p[0]);
    close(p[1]);
}

static void check_many(void)
{
    int p[2];
    socketpair(AF_UNIX, SOCK_DGRAM, 0, p);
    struct iovec v[4];
    struct mmsghdr m[4] = {0};
    char buf[4][16];
    for (int i = 0; i < 4; i++) {
        v[i] = (struct iovec){"message", (size_t)i + 1};
        m[i].msg_hdr = (struct msghdr){.msg_iov = &v[i], .msg_iovlen = 1};
    }
    check_value("sendmmsg", sendmmsg(p[0], m, 4, 0), 4);
    for (int i = 0; i < 4; i++)
        v[i] = (struct iovec){buf[i], 16};
    check_value("recvmmsg", recvmmsg(p[1], m, 4, MSG_DONTWAIT, NULL), 4);
    check("their lengths", m[0].msg_len == 1 && m[3].msg_len == 4, "");
    close(p[0]);
    close(p[1]);
}

int main(int argc, char **argv)
{
    line_output();
    if (argc < 2 || (mkdir(argv[1], 0700) && errno != EEXIST) || chdir(argv[1]))
        return 2;
    signal(SIGPIPE, SIG_IGN);
    for (const char *const *f = (const char *const[]){"sock", "plain", NULL}; *f; f++)
        unlink(*f);
    check_pairs();
    check_back_pressure();
    check_names();
    check_datagrams();
    check_seqpacket();
    check_rights();
    check_credentials();
    check_many();
    puts(failures ? "failed" : "all ok");
    return failures != 0;
}

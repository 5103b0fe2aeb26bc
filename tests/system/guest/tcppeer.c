// SPDX-License-Identifier: MIT
// One end of TCP connections for the system tests. Usage:
//   tcppeer echo PORT [BACKLOG]       serve any number of connections by poll(): what comes goes back, end of stream is answered by close
//   tcppeer hold PORT BACKLOG         accept for ever and keep; prints "held N" at each power of ten and each 1000
//   tcppeer listen PORT BACKLOG       listen, never accept
//   tcppeer connect IP PORT [N]       N connections (1), one after the other: "connected PORT" or the error; then "echo" and its answer
#include "guest_test.h"
#include <poll.h>
#include <sys/resource.h>

enum { MOST = 20000 };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int listener(int port, int backlog)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in a = address_of("0.0.0.0", port);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, backlog) < 0)
        fail("tcppeer");
    printf("listening %d\n", port);
    return fd;
}

static void serve_echo(int fd)
{
    static struct pollfd p[1024];
    int n = 1;
    p[0] = (struct pollfd){.fd = fd, .events = POLLIN};
    for (;;) {
        if (poll(p, (nfds_t)n, -1) < 0)
            fail("poll");
        for (int i = n - 1; i > 0; i--) {
            char buf[65536];
            if (!p[i].revents)
                continue;
            ssize_t got = recv(p[i].fd, buf, sizeof buf, 0);
            if (got <= 0 || send(p[i].fd, buf, (size_t)got, MSG_NOSIGNAL) != got) {
                close(p[i].fd);
                p[i] = p[--n];
            }
        }
        if (p[0].revents && n < 1024)
            p[n++] = (struct pollfd){.fd = accept(fd, NULL, NULL), .events = POLLIN};
    }
}

static void serve_hold(int fd)
{
    struct rlimit lim = {MOST + 100, MOST + 100};
    if (setrlimit(RLIMIT_NOFILE, &lim) < 0)
        fail("setrlimit");
    for (int n = 1, next = 1;; n++) {
        if (accept(fd, NULL, NULL) < 0)
            fail("accept");
        if (n == next || n % 1000 == 0) {
            printf("held %d\n", n);
            if (n == next)
                next *= 10;
        }
    }
}

static void dial(const char *ip, int port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = address_of(ip, port), me;
    socklen_t len = sizeof me;
    char buf[64] = "";
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        printf("connect: %s\n", strerror(errno));
        return;
    }
    getsockname(fd, (struct sockaddr *)&me, &len);
    printf("connected %d\n", ntohs(me.sin_port));
    if (send(fd, "echo", 4, 0) != 4 || recv(fd, buf, sizeof buf - 1, 0) < 0)
        printf("exchange: %s\n", strerror(errno));
    else
        printf("answer %s\n", buf);
    close(fd);
}

int main(int argc, char **argv)
{
    line_output();
    if (argc < 3)
        return 2;
    int backlog = argc > 3 ? atoi(argv[3]) : 128;
    if (!strcmp(argv[1], "echo"))
        serve_echo(listener(atoi(argv[2]), backlog));
    if (!strcmp(argv[1], "hold"))
        serve_hold(listener(atoi(argv[2]), backlog));
    if (!strcmp(argv[1], "listen") && listener(atoi(argv[2]), backlog) >= 0)
        for (;;)
            pause();
    if (!strcmp(argv[1], "connect") && argc > 3)
        for (int i = argc > 4 ? atoi(argv[4]) : 1; i > 0; i--)
            dial(argv[2], atoi(argv[3]));
    return 0;
}

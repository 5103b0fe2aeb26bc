// SPDX-License-Identifier: MIT
// TCP client of an echo server; prints "DONE SECONDS INSTRUCTIONS" (see counted.h for the last), where DONE counts, by WHAT,
//   rounds    questions and their answers, one at a time, on one connection
//   connects  connections opened and, when the server has accepted and answered, closed
// Usage: tcp_rounds WHAT ADDRESS PORT SECONDS SIZE COUNTER_FILE|-
#include "counted.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

enum { MAX_SIZE = 65536, PATIENCE_S = 10 };

static struct sockaddr_in server;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int connected(void)
{
    struct timeval patience = {PATIENCE_S, 0};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
        connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        fail("connect");
    return fd;
}

static void ask(int fd, char *data, size_t size)
{
    if (send(fd, data, size, 0) != (ssize_t)size)
        fail("send");
    for (size_t got = 0; got < size;) {
        ssize_t n = recv(fd, data, size - got, 0);
        if (n <= 0)
            fail("recv");
        got += (size_t)n;
    }
}

int main(int argc, char **argv)
{
    static char data[MAX_SIZE];
    if (argc != 7) {
        fputs("usage: tcp_rounds rounds|connects ADDRESS PORT SECONDS SIZE COUNTER_FILE|-\n",
              stderr);
        return 2;
    }
    int connects = !strcmp(argv[1], "connects");
    double seconds = atof(argv[4]);
    size_t size = (size_t)atoi(argv[5]) % (MAX_SIZE + 1);
    const volatile uint64_t *counter = map_counter(argv[6]);
    server =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((in_port_t)atoi(argv[3]))};
    if (!inet_aton(argv[2], &server.sin_addr))
        fail(argv[2]);
    int fd = connects ? -1 : connected();
    long done = 0;
    uint64_t instructions = count(counter);
    double begin = now();
    for (; now() < begin + seconds; done++) {
        int each = connects ? connected() : fd;
        ask(each, data, size);
        if (connects)
            close(each);
    }
    double taken = now() - begin;
    instructions = count(counter) - instructions;
    printf("%ld %.6f %llu\n", done, taken, (unsigned long long)instructions);
    return 0;
}

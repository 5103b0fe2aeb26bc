// SPDX-License-Identifier: MIT
// One way to end a TCP connection with a peer, for captures. Usage: tcpclose IP PORT WAY
//   close            close first, the peer answers           last           wait for the peer's end, then close
//   both             send and close while the peer does       half           shut down the sending side, read to the end, close
//   linger           SO_LINGER 0                              unread         close with the peer's bytes unread
//   rdwr             shut down both sides, read to the end    late           close, so that what the peer sends afterwards is refused
#include "guest_test.h"

static void read_to_the_end(int fd)
{
    char data[4096];
    long total = 0;
    ssize_t got;
    while ((got = recv(fd, data, sizeof data, 0)) > 0)
        total += got;
    printf("end %ld %s\n", total, got < 0 ? strerror(errno) : "");
}

static void finish(int fd, const char *way)
{
    char data[16];
    if (!strcmp(way, "last") || !strcmp(way, "half") || !strcmp(way, "rdwr")) {
        if (strcmp(way, "last"))
            shutdown(fd, !strcmp(way, "half") ? SHUT_WR : SHUT_RDWR);
        read_to_the_end(fd);
    } else if (!strcmp(way, "linger")) {
        struct linger now = {1, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    } else if (!strcmp(way, "unread")) {
        recv(fd, data, 1, MSG_PEEK);
    }
    close(fd);
}

int main(int argc, char **argv)
{
    line_output();
    if (argc < 4)
        return 2;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = address_of(argv[1], atoi(argv[2]));
    char word[8];
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        perror("connect");
        return 1;
    }
    send(fd, "hello", 5, 0);
    recv(fd, word, 5, MSG_WAITALL); // the peer is ready
    finish(fd, argv[3]);
    puts("closed");
    return 0;
}

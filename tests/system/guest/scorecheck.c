// SPDX-License-Identifier: MIT
// Two sockets on one port, one bound to any address and one to ADDRESS; prints which of them gets each datagram (row U-01).
// Usage: scorecheck PORT ADDRESS
#include "guest_test.h"

static int open_on(const char *ip, int port)
{
    struct sockaddr_in a = address_of(ip, port);
    int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        perror(ip);
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    char data[64];
    if (argc < 3)
        return 2;
    line_output();
    int any = open_on("0.0.0.0", atoi(argv[1])), specific = open_on(argv[2], atoi(argv[1]));
    puts("listening");
    for (;;) {
        ssize_t n = recv(any, data, sizeof data, MSG_DONTWAIT);
        if (n >= 0)
            printf("scorecheck: wildcard got %zd\n", n);
        n = recv(specific, data, sizeof data, MSG_DONTWAIT);
        if (n >= 0)
            printf("scorecheck: specific got %zd\n", n);
        sleep_ms(20);
    }
}

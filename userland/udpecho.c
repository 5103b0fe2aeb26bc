// SPDX-License-Identifier: MIT
// UDP echo server (RFC 862) of one task that sleeps in a blocking recvfrom. Usage: udpecho PORT
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    static char buffer[65536];
    int port = argc > 1 ? atoi(argv[1]) : 7;
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof here) < 0) {
        perror("udpecho");
        return 1;
    }
    for (;;) {
        struct sockaddr_in peer;
        socklen_t length = sizeof peer;
        ssize_t n = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&peer, &length);
        if (n >= 0)
            sendto(fd, buffer, (size_t)n, 0, (struct sockaddr *)&peer, length);
        else if (errno != EINTR && errno != ECONNREFUSED)
            perror("udpecho: recvfrom");
    }
}

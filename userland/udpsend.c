// SPDX-License-Identifier: MIT
// Sends one datagram and shows the answer. Usage: udpsend ADDRESS PORT TEXT
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

int main(int argc, char **argv)
{
    static char answer[65536];
    struct sockaddr_in peer = {.sin_family = AF_INET};
    if (argc != 4 || !inet_aton(argv[1], &peer.sin_addr)) {
        fputs("usage: udpsend ADDRESS PORT TEXT\n", stderr);
        return 2;
    }
    peer.sin_port = htons((in_port_t)atoi(argv[2]));
    struct timeval patience = {10, 0};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
        connect(fd, (struct sockaddr *)&peer, sizeof peer) < 0 ||
        send(fd, argv[3], strlen(argv[3]), 0) < 0) {
        perror("udpsend");
        return 1;
    }
    ssize_t n = recv(fd, answer, sizeof answer, 0);
    if (n < 0) {
        perror("udpsend: no answer");
        return 1;
    }
    printf("%.*s\n", (int)n, answer);
    return 0;
}
